//! Processes that are known by their number and by when they began: numbers are given out again.

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::keep::text;
use crate::base::text::{Cut, decimal_u64};
use crate::sys::fd::{CWD, Fd};
use crate::sys::{file, process};

/// When a process began, in the kernel's ticks since the machine did; 0 if there is no such process or it has ended.
#[must_use]
pub fn began(pid: u32) -> u64 {
    let read = || -> Option<u64> {
        let stat = file::read_file(CWD, file::path(text!("/proc/{pid}/stat")).ok()?, 4096).ok()?;
        // `7 (any name) S 1 ...`, proc_pid_stat(5): the state is the third field, the start time the 22nd.
        let behind = stat.iter().rposition(|byte| *byte == b')')?;
        let mut words = core::str::from_utf8(stat.get(behind + 1..)?).ok()?.words();
        if matches!(words.next()?, "Z" | "X") {
            return None;
        }
        decimal_u64(words.nth(18)?)
    };
    if pid == 0 { 0 } else { read().unwrap_or(0) }
}

/// Whether the process that began then is still there.
#[must_use]
pub fn is_alive(pid: u32, then: u64) -> bool {
    then != 0 && began(pid) == then
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
