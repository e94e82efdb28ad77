//! Being told when memory runs out in a group.

use super::files::{read, write};
use super::group::Group;
use super::usage::sum;
use crate::base::error::Result;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::{self, file, inotify, poll};

/// What tells.
///
/// # Source
/// Kernel `Documentation/admin-guide/cgroup-v1/memory.rst`, "OOM Control": an eventfd that is written to `cgroup.event_control`;
/// `cgroup-v2.rst`: `memory.events` is modified.
pub struct Alarm {
    file: Fd,
    /// The group's directory.
    path: &'static str,
    /// How many processes had been killed at the last look; nothing in v1, where the file counts.
    killed: Option<u64>,
}

impl Group {
    /// Asks to be told; `None` where nobody counts this group's memory.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn alarm(&self) -> Result<Option<Alarm>> {
        let _why = sys::because(phrase!("be told when the container's memory runs out"));
        if let Some(directory) = self.holding("memory") {
            let path = directory.path;
            let (file, control) = (poll::eventfd()?, file::path(join!("{}/memory.oom_control", path))?);
            let control = file::open(CWD, control, libc::O_RDONLY)?;
            let numbers = join!("{} {}", file.number(), control.number());
            write(path, "cgroup.event_control", numbers)?;
            return Ok(Some(Alarm { file, path, killed: None }));
        }
        let Some(directory) = self.unified() else { return Ok(None) };
        let events = file::path(join!("{}/memory.events", directory.path))?;
        if !file::exists(CWD, events) {
            return Ok(None);
        }
        let file = inotify::inotify_init1()?;
        inotify::inotify_add_watch(file.by_ref(), events, libc::IN_MODIFY)?;
        let mut alarm = Alarm { file, path: directory.path, killed: Some(0) };
        alarm.killed = alarm.killed_by_now();
        Ok(Some(alarm))
    }
}

impl Alarm {
    /// What can be read when there is something to tell.
    #[must_use]
    pub fn file(&self) -> FdRef<'_> {
        self.file.by_ref()
    }

    /// How many times memory has run out since the last look.
    ///
    /// # Errors
    /// read(2).
    pub fn look(&mut self) -> Result<u64> {
        let mut buffer = [0u8; 4096];
        file::read(self.file.by_ref(), &mut buffer)?;
        let Some(before) = self.killed else {
            // It also counts one when the group is removed.
            let is_there = read(self.path, "memory.oom_control").is_ok();
            let count = buffer.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            return Ok(if is_there { count } else { 0 });
        };
        self.killed = self.killed_by_now().or(self.killed);
        Ok(self.killed.unwrap_or(before).saturating_sub(before))
    }

    fn killed_by_now(&self) -> Option<u64> {
        sum(&read(self.path, "memory.events").ok()?, "oom_kill")
    }
}
