//! Processes that are known by their number and by when they began: numbers are given out again.

use super::usage::{Process, read_proc};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::Cut;
use crate::kernel::cgroup::Group;
use crate::sys::fd::Fd;
use crate::sys::poll::{self, Waiting};
use crate::sys::process;

/// Milliseconds between two looks at a first process that may wait for what is frozen.
const LOOK: u64 = 1000;

/// When a process began, in the kernel's ticks since the machine did; 0 if there is no such process or it has ended.
#[must_use]
pub fn began(pid: u32) -> u64 {
    let stat = read_proc(&alloc::format!("{pid}"), "stat");
    let process = Process::parse(&stat);
    process.filter(|process| pid != 0 && !process.zombie).map_or(0, |process| process.began)
}

/// Whether the process that began then is still there.
#[must_use]
pub fn is_alive(pid: u32, then: u64) -> bool {
    then != 0 && (began(pid) == then || weak!("start-time") && began(pid) != 0)
}

/// Whether a process is about to end, or would be if it were not frozen: a first process waits for all others of its PID
/// namespace, and v1's freezer keeps what got SIGKILL from dying of it.
#[must_use]
pub fn is_dying(pid: u32) -> bool {
    let pid = &alloc::format!("{pid}");
    // Sets of signals that are pending, in hexadecimal, proc_pid_status(5): the ninth bit is in the third digit from the end.
    let kills =
        |set: &str| set.chars().nth_back(2).and_then(|digit| digit.to_digit(16)).is_some_and(|bits| bits & 1 != 0);
    let pending = |line: &str| (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:")) && kills(line);
    Process::parse(&read_proc(pid, "stat")).is_some_and(|process| process.exiting)
        || read_proc(pid, "status").parts(b'\n').any(pending)
}

/// Holds on to the process that began then; `None` if it has ended, and before Linux 5.3.
#[must_use]
pub fn hold(pid: u32, then: u64) -> Option<Fd> {
    let held = process::pidfd_open(pid).ok()?;
    // What is held now is what is looked at now.
    is_alive(pid, then).then_some(held)
}

/// Sends a signal to the process that began then; whether it was there.
///
/// # Errors
/// kill(2).
pub fn signal(pid: u32, then: u64, signal: i32) -> Result<bool> {
    let sent = match hold(pid, then) {
        Some(held) => process::pidfd_send_signal(held.by_ref(), signal),
        None if is_alive(pid, then) => process::kill(pid, signal),
        None => return Ok(false),
    };
    match sent {
        Err(error) if error.is(Errno::ESRCH) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Waits until one of the files is ready, while a container's first process runs.
///
/// When that one ends, the kernel kills all others of its PID namespace, has it wait for them, and tells nobody before they are
/// gone. v1's freezer keeps them from dying, and a workload that may make groups can have frozen some. So those are thawed.
///
/// # Errors
/// poll(2).
pub fn poll(files: &mut [Waiting], pid: u32, group: Option<&Group>) -> Result<()> {
    let Some(group) = group.filter(|group| group.holding("freezer").is_some()) else { return poll::poll(files) };
    loop {
        poll::poll_within(files, LOOK)?;
        if files.iter().any(Waiting::is_ready) {
            return Ok(());
        }
        if group.has_freezers_below() && is_dying(pid) {
            group.thaw_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_when_it_began_until_it_ends() {
        let mut child = std::process::Command::new("sleep").arg("9").spawn().unwrap();
        let then = began(child.id());
        assert!(then > 0 && is_alive(child.id(), then) && !is_alive(child.id(), then + 1));
        assert!(!signal(child.id(), then + 1, libc::SIGKILL).unwrap(), "another process of that number");
        assert!(signal(child.id(), then, libc::SIGKILL).unwrap());
        while is_alive(child.id(), then) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(hold(child.id(), then).is_none() && !signal(child.id(), then, 0).unwrap());
        assert_eq!((began(0), began(u32::MAX)), (0, 0));
    }
}
