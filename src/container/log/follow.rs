//! Waiting for a container to say more, without asking again and again.

use crate::base::error::Result;
use crate::container::monitor::RESTARTING;
use crate::container::state::{State, Status};
use crate::sys::file::Lock;
use crate::sys::inotify::{inotify_add_watch, inotify_init1, next_event};
use crate::sys::poll::Waiting;
use crate::sys::{Fd, FdRef, because, file, poll};

/// Rounds, and milliseconds of each, for which an owner that has closed the log is expected to end.
const ROUNDS: u32 = 100;
const ROUND: u64 = 10;

/// Tells of changes in a container's directory.
pub struct Watch {
    inotify: Fd,
    /// Rounds that are left.
    doubts: u32,
}

impl Watch {
    /// Begins to watch; the directory becomes the current one.
    ///
    /// # Errors
    /// `inotify_init(2)`, `inotify_add_watch(2)`.
    pub fn new(directory: FdRef<'_>) -> Result<Watch> {
        let _why = because!("be told of what changes in the container's directory");
        let inotify = inotify_init1()?;
        // A watch on a directory tells of its files too, whatever their names come to be. That of one that was removed can't
        // be relied on: it comes when nobody has it open, which this process does.
        let events = libc::IN_MODIFY | libc::IN_CLOSE_WRITE | libc::IN_MOVED_TO | libc::IN_DELETE;
        // The one way to name an open directory here that does not need /proc.
        file::fchdir(directory)?;
        inotify_add_watch(inotify.by_ref(), c".", events)?;
        Ok(Watch { inotify, doubts: 0 })
    }

    /// Waits for a change, at most so many milliseconds; whether it is one after which [`is_over`] is to be asked.
    ///
    /// # Errors
    /// poll(2), read(2).
    pub fn wait(&mut self, milliseconds: u64) -> Result<bool> {
        let _why = because!("wait until the container says more, or ends");
        let mut most = milliseconds;
        if self.doubts > 0 {
            self.doubts -= 1;
            most = most.min(ROUND);
        }
        let mut files = [Waiting::readable(self.inotify.by_ref())];
        poll::poll_within(&mut files, most)?;
        if !files[0].is_ready() {
            return Ok(true);
        }
        // Room for several; one has at most 16 bytes and a name of at most 256.
        let mut buffer = [0; 1024];
        let length = file::read(self.inotify.by_ref(), &mut buffer)?;
        let (mut events, mut ask) = (&buffer[..length], false);
        while let Some((event, name)) = next_event(&mut events) {
            ask |= event != libc::IN_MODIFY;
            if event == libc::IN_CLOSE_WRITE && name == b"log" {
                // The owner ends or was killed; a rotated file has another name then, unless there is but one. It still has its
                // lock now, and nothing tells of the lock's end.
                self.doubts = ROUNDS;
            }
        }
        Ok(ask)
    }
}

/// Whether a container says no more: it has ended, or is going, and nobody is about to start it again.
///
/// # Errors
/// What the file system refuses.
pub fn is_over(directory: FdRef<'_>) -> Result<bool> {
    let _why = because!("see whether the container has ended for good");
    if !file::exists(directory, c"config.json") {
        // What is removed first.
        return Ok(true);
    }
    if file::exists(directory, RESTARTING) {
        return Ok(false);
    }
    let owned = !file::try_lock(directory, Lock::Shared)?;
    let state = State::load(directory);
    if !owned {
        file::unlock(directory)?;
    }
    // It may be removed at this moment.
    let Some(state) = state? else { return Ok(!owned) };
    // A workload outlives its monitor, and another one goes on with the log.
    let goes_on = owned || (state.status == Status::Running && state.is_orphan());
    Ok(!goes_on || state.status == Status::Exited)
}
