//! What a container leaves when its owner is gone or when it is to go: processes, control groups, volumes without a name, its
//! directory. They go in this order, so that after a kill at any point what is left tells of the rest.

use alloc::vec::Vec;

use super::bundle::Bundles;
use super::control::PARENTS;
use super::state::State;
use super::volume::Volumes;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::text;
use crate::base::text::{self, Cut};
use crate::kernel::cgroup::{Group, GroupPath, Hierarchies};
use crate::sys::fd::CWD;
use crate::sys::{FdRef, because, file, process};

/// The annotation of `config.json` that lists the volumes made for the container alone.
pub const VOLUMES: &str = "vial.volumes";

/// The container's control group by its `config.json`. One that does not end in the container's own ID is somebody else's too,
/// and is left alone.
fn group_path(config: &Value, id: &str) -> Option<GroupPath> {
    let path = GroupPath::new(config.at(&["linux", "cgroupsPath"])?.as_str()?).ok()?;
    path.as_str().cut_last(b'/').is_some_and(|(_, last)| last == id).then_some(path)
}

/// Whether processes are left in a container's control group.
#[must_use]
pub fn are_there(config: &Value, id: &str) -> bool {
    let group =
        || Group::open_existing(&Hierarchies::detect()?, &group_path(config, id).ok_or_else(|| Error::new(""))?);
    group().is_ok_and(|group| group.has_processes())
}

/// Whether a process is the child of another one.
fn is_child(pid: u32, parent: u32) -> bool {
    let parent_of = || -> Option<u32> {
        let stat = file::read_file(CWD, file::path(text!("/proc/{pid}/stat")).ok()?, 4096).ok()?;
        // `7 (any name) S 1 ...`, proc_pid_stat(5).
        let behind = stat.iter().rposition(|byte| *byte == b')')?;
        text::decimal_u32(core::str::from_utf8(stat.get(behind..)?).ok()?.words().nth(2)?)
    };
    pid != 0 && parent != 0 && parent_of() == Some(parent)
}

/// Kills everything in a container whose owner lives. On a host without control groups that is the first process, if it still
/// is the child of the owner.
///
/// # Errors
/// What can't be killed.
#[inline(never)]
pub fn kill(config: &Value, id: &str, state: &State) -> Result<()> {
    let _why = because("kill what runs in the container");
    if let Some(path) = group_path(config, id) {
        let group = Group::open_existing(&Hierarchies::detect()?, &path)?;
        if !group.directories().is_empty() {
            return group.kill_all();
        }
    }
    if is_child(state.pid, state.owner) { process::kill(state.pid, libc::SIGKILL) } else { Ok(()) }
}

/// Kills what is left of a container that nobody owns, and removes its control group; whether there was one. With `dry` only
/// tells.
///
/// # Errors
/// What can't be killed or removed; the container runs after all, in the store that this one is a copy of.
pub fn remove_group(config: &Value, id: &str, state: Option<&State>, dry: bool) -> Result<bool> {
    let _why = because("kill what is left of the container and remove its control group");
    let Some(path) = group_path(config, id) else { return Ok(false) };
    let hierarchies = Hierarchies::detect()?;
    let group = Group::open_existing(&hierarchies, &path)?;
    let found = !group.directories().is_empty();
    if dry {
        return Ok(found);
    }
    if found {
        if state.is_some_and(|state| is_child(state.pid, state.owner)) {
            return Err(Error::new(text!("container {id} runs, but its owner has no lock on it"))
                .hint("this directory is a copy of the one that the container belongs to"));
        }
        group.kill_all()?;
    }
    // Its directories may be gone while those above them, made for it, are not.
    Group::everywhere(&hierarchies, &path).remove()?;
    let parents = config.at(&["annotations", PARENTS]).and_then(Value::as_str).unwrap_or_default();
    // Those below come after those above.
    for parent in parents.parts(b'\n').filter(|parent| !parent.is_empty()).collect::<Vec<&str>>().into_iter().rev() {
        Group::remove_parent(parent)?;
    }
    Ok(found)
}

/// The volumes that were made for a container alone.
#[must_use]
pub fn volumes(config: &Value) -> Vec<&str> {
    let listed = config.at(&["annotations", VOLUMES]).and_then(Value::as_str).unwrap_or_default();
    listed.parts(b',').filter(|name| !name.is_empty()).collect()
}

/// Removes a container whose lock the caller holds, with all that belongs to it.
///
/// # Errors
/// The first removal that fails.
pub fn discard(root: FdRef<'_>, bundles: &Bundles, (id, name): (&str, &str), with: &With<'_>) -> Result<()> {
    if let Some(config) = with.config {
        remove_group(config, id, with.state, false)?;
        if with.volumes {
            let owned = Volumes::open(root)?;
            for volume in volumes(config) {
                owned.remove(volume, bundles, id)?;
            }
        }
    }
    bundles.remove(id, name)
}

/// What is known of a container that is to go.
pub struct With<'a> {
    /// Its `config.json`.
    pub config: Option<&'a Value>,
    /// Its state.
    pub state: Option<&'a State>,
    /// Whether the volumes made for it alone go too.
    pub volumes: bool,
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::base::json::parse;

    #[test]
    fn only_a_group_that_ends_in_the_containers_own_id_is_its_own() {
        let path = |text: &str| {
            let config = parse(std::format!("{{\"linux\":{{\"cgroupsPath\":\"{text}\"}}}}").as_bytes()).unwrap();
            group_path(&config, "abc").map(|path| path.as_str().to_string())
        };
        assert_eq!(path("/vial/abc").as_deref(), Some("vial/abc"));
        assert_eq!(path("/a/b/abc").as_deref(), Some("a/b/abc"));
        for other in ["/vial", "/abc/", "/vial/xabc", "/vial/abc/..", "/vial/abcd", ""] {
            assert_eq!(path(other), None, "{other}");
        }
        assert_eq!(group_path(&parse(b"{}").unwrap(), "abc"), None);
    }

    #[test]
    fn a_process_is_the_child_of_its_parent_only() {
        let mut child = std::process::Command::new("sleep").arg("9").spawn().unwrap();
        assert!(is_child(child.id(), std::process::id()));
        assert!(!is_child(child.id(), 1) && !is_child(0, 0) && !is_child(u32::MAX, std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn volumes_are_listed_with_commas_between() {
        let config = parse(b"{\"annotations\":{\"vial.volumes\":\"a,b\"}}").unwrap();
        assert_eq!(volumes(&config), ["a", "b"]);
        assert!(volumes(&parse(b"{}").unwrap()).is_empty());
    }
}
