//! What a container leaves when its owner is gone or when it is to go: processes, control groups, volumes without a name, its
//! directory. They go in this order, so that after a kill at any point what is left tells of the rest.

use alloc::vec::Vec;

use super::bundle::{Bundles, read_json};
use super::control::{PARENTS, end_unit, remove_parents};
use super::disconnect;
use super::launch::RANGE;
use super::process;
use super::ranges;
use super::scope;
use super::state::State;
use super::volume::Volumes;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::base::keep::text;
use crate::base::text::Cut;
use crate::kernel::cgroup::{Group, GroupPath, Hierarchies, Hits};
use crate::network::sweeper;
use crate::sys::{FdRef, because, process as kernel};

/// Rounds of 5 ms for which an owner without its lock may still be there.
const ROUNDS: u32 = 100;

/// The annotation of `config.json` that lists the volumes made for the container alone.
pub const VOLUMES: &str = "vial.volumes";

/// A container's `config.json`. If it is damaged or missing, the control group is taken to be where vial makes one unless told
/// otherwise, so that what runs can be ended.
#[must_use]
pub fn config(directory: FdRef<'_>, id: &str) -> Value {
    let assumed = || json::parse(text!("{{\"linux\":{{\"cgroupsPath\":\"/vial/{id}\"}}}}").as_bytes());
    read_json(directory, c"config.json").ok().flatten().or_else(|| assumed().ok()).unwrap_or(Value::Null)
}

/// The container's control group by its `config.json`. One that does not end in the container's own ID is somebody else's too,
/// and is left alone, unless systemd has made it for this container.
fn group_path(config: &Value, id: &str) -> Option<GroupPath> {
    let path = GroupPath::new(config.at(&["linux", "cgroupsPath"])?.as_str()?).ok()?;
    let (_, last) = path.as_str().cut_last(b'/').unwrap_or(("", path.as_str()));
    let is_own = last == id && last != path.as_str();
    (is_own || unit(config).parts(b'\n').next() == Some(last)).then_some(path)
}

/// What tells of the unit that systemd has made for the container; empty if there is none.
fn unit(config: &Value) -> &str {
    config.at(&["annotations", scope::UNIT]).and_then(Value::as_str).unwrap_or_default()
}

/// The container's control group, in those hierarchies where it has a directory.
///
/// # Errors
/// Its group is somebody else's too, or what hides the host's control groups.
pub fn group(config: &Value, id: &str) -> Result<Group> {
    let path =
        group_path(config, id).ok_or_else(|| Error::new(phrase!("the container has no control group of its own")))?;
    Group::open_existing(&Hierarchies::detect()?, path)
}

/// The control group of a container that runs, also one that it shares with others.
///
/// # Errors
/// What hides the host's control groups.
pub fn group_of(config: &Value) -> Result<Group> {
    let path = config.at(&["linux", "cgroupsPath"]).and_then(Value::as_str).unwrap_or("/vial");
    Group::open_existing(&Hierarchies::detect()?, GroupPath::new(path)?)
}

/// Whether processes are left in a container's control group.
#[must_use]
pub fn are_there(config: &Value, id: &str) -> bool {
    group(config, id).is_ok_and(|group| group.has_processes())
}

/// Whether the kernel killed a process of the container because memory was short.
#[must_use]
pub fn was_oom_killed(config: &Value, id: &str) -> bool {
    let _why = because!("see whether memory ran out");
    group(config, id).is_ok_and(|group| group.was_oom_killed().unwrap_or(false))
}

/// What the limits of a container have done.
#[must_use]
pub fn hits(config: &Value, id: &str) -> Hits {
    let resources = config.at(&["linux", "resources"]);
    resources.zip(group(config, id).ok()).map_or(Hits::default(), |(resources, group)| group.hits(resources))
}

/// Kills everything in a container whose owner lives. On a host without control groups that is the first process.
///
/// # Errors
/// What can't be killed.
#[inline(never)]
pub fn kill(config: &Value, id: &str, state: &State) -> Result<()> {
    let _why = because!("kill what runs in the container");
    if let Ok(group) = group(config, id)
        && !group.directories().is_empty()
    {
        return group.kill_all();
    }
    process::signal(state.pid, state.pid_start, libc::SIGKILL).map(drop)
}

/// Kills what is left of a container that nobody owns, and removes its control group; whether there was one. With `dry` only
/// tells.
///
/// # Errors
/// What can't be killed or removed; the container runs after all, in the store that this one is a copy of.
pub fn remove_group(config: &Value, id: &str, state: Option<&State>, dry: bool) -> Result<bool> {
    let _why = because!("kill what is left of the container and remove its control group");
    let Some(path) = group_path(config, id) else { return Ok(false) };
    let hierarchies = Hierarchies::detect()?;
    let group = Group::open_existing(&hierarchies, path)?;
    let found = !group.directories().is_empty();
    if dry {
        return Ok(found);
    }
    if found {
        let owner = |state: &State| process::is_alive(state.owner, state.owner_start);
        // One that is being killed has let go of its lock already.
        let mut rounds = 0;
        while rounds < ROUNDS && state.is_some_and(owner) {
            rounds += 1;
            kernel::sleep(5);
        }
        if state.is_some_and(owner) {
            return Err(Error::new(say!("container {} runs, but its owner has no lock on it", id))
                .hint(phrase!("this directory is a copy of the one that the container belongs to")));
        }
        group.kill_all()?;
    }
    end_unit(unit(config))?;
    // Its directories may be gone while those above them, made for it, are not.
    Group::everywhere(&hierarchies, path).remove()?;
    let parents = config.at(&["annotations", PARENTS]).and_then(Value::as_str).unwrap_or_default();
    remove_parents(parents)?;
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
        sweeper::start(&disconnect::release(root, id)?);
        if with.volumes {
            let owned = Volumes::open(root)?;
            for volume in volumes(config) {
                owned.remove(volume, bundles, id)?;
            }
        }
        let range = config.at(&["annotations", RANGE]).and_then(Value::as_str).unwrap_or_default();
        ranges::release(root, range, id)?;
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
        let by_unit = |unit: &str| {
            let text = std::format!(
                "{{\"linux\":{{\"cgroupsPath\":\"/a.slice/b-abc.scope\"}},\"annotations\":{{\"vial.systemdUnit\":\"{unit}\"}}}}"
            );
            group_path(&parse(text.as_bytes()).unwrap(), "abc").is_some()
        };
        assert!(by_unit("b-abc.scope\\n/run/x") && !by_unit("abc.scope\\n/run/x") && !by_unit(""));
    }

    #[test]
    fn volumes_are_listed_with_commas_between() {
        let config = parse(b"{\"annotations\":{\"vial.volumes\":\"a,b\"}}").unwrap();
        assert_eq!(volumes(&config), ["a", "b"]);
        assert!(volumes(&parse(b"{}").unwrap()).is_empty());
    }
}
