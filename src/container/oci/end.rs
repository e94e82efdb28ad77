//! Signals to a container, and its removal.

use alloc::vec::Vec;

use super::{Held, Status};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::container::control::{end_unit, remove_parents};
use crate::container::hooks::{self, Stage};
use crate::container::{process, rare};
use crate::kernel::cgroup::{Group, Hierarchies};
use crate::sys::poll::{self, Waiting};
use crate::sys::{FdRef, because, file, process as kernel};

/// Rounds of 10 ms for which a killed container may take to end.
const ROUNDS: u32 = 1000;

/// Sends a signal to the first process.
///
/// # Errors
/// It has ended.
pub fn kill(held: &Held, signal: i32) -> Result<()> {
    let _why = because!("send the signal");
    if process::signal(held.state.pid, held.state.pid_start, signal)? {
        return Ok(());
    }
    // Engines know these words.
    Err(Error::new(say!("container not running: {} is {}", held.id, held.status().name())))
}

/// Sends a signal to all processes, also to what is left of a container whose first process has ended.
///
/// # Errors
/// kill(2).
pub fn signal_all(held: &Held, signal: i32) -> Result<()> {
    let _why = because!("send the signal to all of the container's processes");
    let Some(group) = held.find_group()?.filter(|group| !group.directories().is_empty()) else {
        return kill(held, signal);
    };
    if signal == libc::SIGKILL {
        return group.kill_all();
    }
    for pid in group.processes()? {
        match kernel::kill(pid, signal) {
            Err(error) if error.is(Errno::ESRCH) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Removes a container; `force` also one that runs.
///
/// # Errors
/// It runs; the first removal that fails: what tells of the rest stays.
pub fn delete(root: FdRef<'_>, held: &Held, force: bool) -> Result<()> {
    let status = held.status();
    // What is being made, or removed by another, is waited for.
    if !force && matches!(status, Status::Running | Status::Paused) {
        return Err(Error::new(say!("cannot delete container {} that is not stopped: {}", held.id, status.name()))
            .hint(phrase!("--force kills it first")));
    }
    file::lock(held.directory.by_ref(), file::Lock::Exclusive)?;
    if file::stat(held.directory.by_ref(), c"")?.nlink == 0 {
        // Another one was faster. A container of the same name that was made meanwhile is not this one.
        return if force { Ok(()) } else { Err(super::missing(held.id)) };
    }
    // While it was being made, what it is came by and by.
    let whole = if held.state.pid == 0 { super::look_anyway(root, held.id)? } else { None };
    let held = whole.as_ref().unwrap_or(held);
    end(held)?;
    let hooks = held.launch().ok();
    let told = held.template();
    {
        let _why = because!("remove what tells of the container");
        // Its state goes last: without one it would be told as one that is being made.
        for name in [c"start", c"config.json", c"config.json.new"] {
            let _ = file::unlink(held.directory.by_ref(), name);
        }
        file::remove_tree(root, file::path(held.id)?)?;
    }
    if let (Some(launch), Ok(told)) = (hooks, told) {
        hooks::run(launch.spec.hooks.as_ref().map(|hooks| (hooks, &told)), &[Stage::Poststop], 0)?;
    }
    Ok(())
}

/// Kills what is left of a container, and removes its control group.
fn end(held: &Held) -> Result<()> {
    let _why = because!("kill what is left of the container, and remove its control group");
    process::signal(held.state.pid, held.state.pid_start, libc::SIGKILL)?;
    // One whose specification is damaged has its group only by what is left: nobody knows where it is.
    let path = held.group_path().unwrap_or_default();
    let hierarchies = if path.is_some() { Hierarchies::detect()? } else { Hierarchies::default() };
    if let Some(path) = path {
        let group = Group::open_existing(&hierarchies, path)?;
        if !group.directories().is_empty() {
            group.kill_all()?;
        }
    }
    let process = process::hold(held.state.pid, held.state.pid_start);
    for _ in 0..ROUNDS {
        if !process::is_alive(held.state.pid, held.state.pid_start) {
            break;
        }
        match &process {
            Some(process) => poll::poll_within(&mut [Waiting::readable(process.by_ref())], 10)?,
            None => kernel::sleep(10),
        }
    }
    end_unit(held.state.unit)?;
    if let Some(path) = path {
        Group::everywhere(&hierarchies, path).remove()?;
    }
    remove_parents(held.state.parents)?;
    // What is damaged may have had one.
    match held.config() {
        Ok(config) if config.at(&["linux", "intelRdt"]).is_some() => rare::leave_caches(config, held.id),
        _ => Ok(()),
    }
}

/// Removes what is left of containers whose making was cut short before they had a process: nobody was told of them. With `dry`
/// only tells which these are.
///
/// # Errors
/// What the file system refuses.
pub fn clean(root: FdRef<'_>, dry: bool) -> Result<Vec<&'static str>> {
    let mut cleaned = Vec::new();
    // Whoever makes one holds this until it has locked that one's directory.
    file::lock(root, file::Lock::Exclusive)?;
    for id in super::list(root)? {
        let Ok(Some(held)) = super::look(root, id) else { continue };
        if held.state.pid != 0 || !file::try_lock(held.directory.by_ref(), file::Lock::Exclusive)? {
            continue;
        }
        if !dry {
            end(&held)?;
            file::remove_tree(root, file::path(id)?)?;
        }
        cleaned.push(id);
    }
    file::unlock(root)?;
    Ok(cleaned)
}
