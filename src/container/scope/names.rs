//! What a specification's `cgroupsPath` means where systemd makes the control groups: `slice:prefix:name`, as runc has it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::text::{Cut, Quoted};

/// The end of names of groups of processes that systemd did not start itself, systemd.scope(5).
const SCOPE: &str = ".scope";
/// The end of names of groups of groups, systemd.slice(5).
const SLICE: &str = ".slice";
/// Longest name of a unit, systemd.unit(5).
const LONGEST: usize = 255;

/// A unit, and where its control group lies.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: &'static str,
    /// The path of its group from the top of systemd's own part of the hierarchy, with a leading slash.
    pub path: &'static str,
}

fn refuse(path: &str, why: &'static str) -> Error {
    Error::new(say!("linux.cgroupsPath: {} {}", Quoted(path), why))
        .hint(phrase!("with --systemd-cgroup it is SLICE:PREFIX:NAME, such as system.slice:vial:NAME"))
}

/// Reads `slice:prefix:name`; without any the unit is `vial-ID.scope`. Where no slice is named it is `default`.
///
/// # Errors
/// It is no such path, or names what can't be a unit that has processes.
pub fn unit(path: &str, id: &str, default: &str) -> Result<Unit> {
    let mut parts = Vec::new();
    if path.is_empty() {
        parts.extend(["", "vial", id]);
    } else {
        parts.extend(path.parts(b':'));
    }
    let [slice, prefix, name] = parts[..] else {
        return Err(refuse(path, "does not have three parts with colons between them"));
    };
    if name.is_empty() {
        return Err(refuse(path, "names no unit"));
    }
    if name.ends_with(SLICE) {
        return Err(refuse(path, "names a slice, which has no processes of its own"));
    }
    let name = join!("{}-{}{}", prefix, name, SCOPE);
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'\\' | b'@' | b':');
    if name.len() > LONGEST || !name.bytes().all(is_allowed) {
        return Err(refuse(path, "can't be the name of a unit: letters, digits and _.-\\@, at most 255 of them"));
    }
    let slice = if slice.is_empty() { default } else { slice };
    let Some(above) = expand(slice) else {
        return Err(refuse(path, "does not begin with the name of a slice"));
    };
    Ok(Unit { name, path: join!("{}/{}", above, name) })
}

/// Where a slice's group lies: `/a.slice/a-b.slice` for `a-b.slice`, systemd.slice(5). `-.slice` is the topmost.
fn expand(slice: &str) -> Option<String> {
    let mut path = String::new();
    let name = slice.strip_suffix(SLICE).filter(|name| !name.is_empty())?;
    if name == "-" {
        return Some(path);
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'\\' | b':');
    if slice.len() > LONGEST || !name.bytes().all(is_allowed) || name.parts(b'-').any(str::is_empty) {
        return None;
    }
    for (at, _) in name.bytes().enumerate().filter(|(_, byte)| *byte == b'-').chain([(name.len(), 0)]) {
        path.push('/');
        path.push_str(name.get(..at)?);
        path.push_str(SLICE);
    }
    Some(path)
}

/// The slice that a unit's group lies in.
#[must_use]
pub fn slice_of(path: &str) -> &str {
    let above = path.cut_last(b'/').map_or("", |(above, _)| above);
    let slice = above.cut_last(b'/').map_or(above, |(_, last)| last);
    if slice.is_empty() { "-.slice" } else { slice }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn made(path: &str) -> (&'static str, &'static str) {
        let unit = unit(path, "abc", "system.slice").unwrap();
        (unit.name, unit.path)
    }

    #[test]
    fn the_three_parts_are_slice_prefix_and_name() {
        assert_eq!(made("machine.slice:libpod:1f"), ("libpod-1f.scope", "/machine.slice/libpod-1f.scope"));
        assert_eq!(made(":docker:1f"), ("docker-1f.scope", "/system.slice/docker-1f.scope"));
        assert_eq!(made(""), ("vial-abc.scope", "/system.slice/vial-abc.scope"));
        assert_eq!(made("-.slice::x"), ("-x.scope", "/-x.scope"));
    }

    #[test]
    fn a_slice_lies_in_those_that_its_name_begins_with() {
        let path = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice/cri-containerd-a.scope";
        assert_eq!(made("kubepods-besteffort-pod1_2.slice:cri-containerd:a").1, path);
        assert_eq!(slice_of(path), "kubepods-besteffort-pod1_2.slice");
        assert_eq!(
            (slice_of("a.slice/b.scope"), slice_of("/x.scope"), slice_of("x.scope")),
            ("a.slice", "-.slice", "-.slice")
        );
    }

    #[test]
    fn what_is_no_unit_with_processes_is_refused() {
        for path in [
            "/vial/a",
            "a",
            "a.slice:b",
            "a.slice:b:c:d",
            "a:b:c",
            ".slice:b:c",
            "-a.slice:b:c",
            "a--b.slice:b:c",
            "a-.slice:b:c",
            "a/b.slice:b:c",
            "a.slice:b:",
            "a.slice:b:../c",
            "a.slice:b:c/d",
            "a.slice:b c:d",
            "a.slice:b:c.slice",
        ] {
            let error = unit(path, "abc", "system.slice").unwrap_err().to_string();
            assert!(error.contains("linux.cgroupsPath") && error.contains("SLICE:PREFIX:NAME"), "{path}: {error}");
        }
        assert!(unit(&["a.slice:b:", &"x".repeat(255)].concat(), "abc", "").is_err());
    }
}
