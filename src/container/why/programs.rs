//! Programs that can't be executed, or do not get what their files give.

use alloc::string::String;
use alloc::vec::Vec;

use super::standing::Standing;
use super::{Finding, calls, paths};
use crate::base::errno::Errno;
use crate::base::keep;
use crate::base::text::{Cut, is_among};
use crate::image::elf;
use crate::kernel::security::filter::NATIVE;
use crate::sys::notify::Call;
use crate::sys::{FdRef, data, fd, file};

/// How many libraries are remembered that were not found.
const MOST: usize = 64;
/// The longest first line of a script that the kernel reads (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;

/// What rights a program was to have by its file, and by what it does not; nothing if there are none or it has them.
pub(super) fn muted(thread: u32, standing: &Standing) -> Option<&'static str> {
    let program = file::owned_path(join!("/proc/{}/exe", thread).as_bytes()).ok()?;
    let program = file::open(fd::CWD, &program, libc::O_RDONLY).ok()?;
    let stat = file::stat(program.by_ref(), c"").ok()?;
    let sets = u32::from(stat.mode) & libc::S_ISUID != 0 && stat.uid != standing.user;
    if !sets && file::get_xattr(program.by_ref(), c"security.capability").is_err() {
        return None;
    }
    if standing.no_new_privileges {
        return Some("no-new-privileges");
    }
    let flags = file::mount_flags(program.by_ref()).ok()? as libc::c_ulong;
    (flags & libc::MS_NOSUID != 0).then_some("nosuid")
}

/// Why a program could not be executed, if not by its mode or its mount.
pub(super) fn judge(standing: &Standing, path: &str, errno: Errno) -> Option<Finding> {
    let found = paths::look(standing, path)?;
    if u32::from(found.stat.mode) & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let program = {
        let found = file::openat2(
            standing.root()?.by_ref(),
            &file::owned_path(path.as_bytes()).ok()?,
            libc::O_RDONLY | libc::O_NONBLOCK,
            libc::RESOLVE_IN_ROOT,
        );
        found.ok()?
    };
    let (wanted, kind) = interpreter(program.by_ref());
    match errno {
        Errno::ENOENT if !wanted.is_empty() && paths::look(standing, wanted).is_none() => Some(finding!(
            "missing interpreter",
            "{} is there, but {}, which it is executed by, is not" [path, wanted],
            "an image that has {}, or a program that was built statically" [wanted]
        )),
        Errno::ENOEXEC if kind => Some(finding!(
            "another processor",
            "{} is a program for another processor" [path],
            "an image for this machine, or qemu-user with binfmt_misc on the host" []
        )),
        Errno::ENOEXEC => Some(finding!(
            "no program",
            "{} is neither a program nor a script that begins with #!"[path],
            "sh {}, or #!/bin/sh as its first line"[path]
        )),
        _ => None,
    }
}

/// What a program is executed by, which may be nothing, and whether it is an ELF file.
fn interpreter(program: FdRef<'_>) -> (&'static str, bool) {
    let mut line = [0; LINE];
    let count = data::read_at(program, &mut line, 0).unwrap_or(0);
    if let Some(rest) = line[..count].strip_prefix(b"#!") {
        let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return (keep::lossy(rest).words().next().unwrap_or_default(), false);
    }
    match elf::parse(&mut |at, buffer| data::read_at(program, buffer, at).unwrap_or(0)) {
        Some(elf) => (elf.loader, true),
        None => ("", false),
    }
}

/// The name of a library that a call looks for.
fn library(thread: u32, call: &Call) -> Option<String> {
    if call.architecture != NATIVE {
        return None;
    }
    let name = super::judge::name(call);
    if !is_among("open openat", name) {
        return None;
    }
    let path = calls::path(thread, name, call)?;
    let (_, file) = path.cut_last(b'/')?;
    let is_library = file.as_bytes().windows(3).any(|part| part == b".so");
    is_library.then(|| file.into())
}

/// Takes note of a library that was looked for in vain; whether the call was that.
pub(super) fn is_missing(missing: &mut Vec<String>, thread: u32, call: &Call, errno: Errno) -> bool {
    if errno != Errno::ENOENT {
        return false;
    }
    let Some(name) = library(thread, call) else { return false };
    if !missing.contains(&name) && missing.len() < MOST {
        missing.push(name);
    }
    true
}

/// Forgets a library that was found.
pub(super) fn found(missing: &mut Vec<String>, thread: u32, call: &Call) {
    if !missing.is_empty()
        && let Some(name) = library(thread, call)
    {
        missing.retain(|known| *known != name);
    }
}

/// What a program ended for that its loader found no library for.
pub(super) fn without_library(missing: &[String]) -> Option<Finding> {
    // The loader looks for its cache too, and gives up at the first library.
    let name = missing.last()?;
    Some(finding!(
        "missing library",
        "{} is in none of the places where libraries are looked for"[name],
        "an image with {}; `vial pack` makes one of a program with its libraries"[name]
    ))
}
