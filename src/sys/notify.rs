//! Deciding about other processes' system calls, and looking at what they were called with.
//!
//! # Source
//! `seccomp_unotify(2)`, `process_vm_readv(2)`, `linux/seccomp.h`.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::FdRef;
use super::file::fail_on;
use super::uapi::ioctl::{SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND, SECCOMP_IOCTL_NOTIF_SET_FLAGS};
use crate::base::errno::Errno;
use crate::base::error::Result;

/// A call that waits for a decision: `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Notice {
    /// What to answer to.
    pub id: u64,
    /// The thread that calls, as this process sees it; 0 if it can't.
    pub thread: u32,
    flags: u32,
    /// The call: what its filter was given, `struct seccomp_data`.
    pub call: Call,
}

/// A call as filters see it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Whose number that is, `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Where it was made.
    pub instruction: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Call {
    /// A word of it, by its place in bytes, as a filter loads it.
    #[must_use]
    pub fn word(&self, at: u32) -> u32 {
        let half = |value: u64| (value >> if at & 4 == 0 { 0 } else { 32 }) as u32;
        match at {
            0 => self.number,
            4 => self.architecture,
            8 | 12 => half(self.instruction),
            _ => self.arguments.get((at as usize - 16) / 8).copied().map_or(0, half),
        }
    }
}

/// Takes the next call; waits for one. `None` if its caller is gone.
///
/// # Errors
/// `seccomp_unotify(2)`.
pub fn receive(listener: FdRef<'_>) -> Result<Option<Notice>> {
    let mut notice = Notice::default();
    // SAFETY: that is writable, and zero as the kernel wants it to be.
    match unsafe { sys!(ioctl, listener.number(), SECCOMP_IOCTL_NOTIF_RECV, &raw mut notice) } {
        Ok(_) => Ok(Some(notice)),
        Err(Errno::ENOENT | Errno::EINTR) => Ok(None),
        Err(errno) => Err(fail_on(errno, phrase!("take a call that waits for a decision"), "")),
    }
}

/// Answers: the call is made, or fails with an error. Nothing happens if its caller is gone.
///
/// # Errors
/// `seccomp_unotify(2)`: `EINVAL` before Linux 5.5, where no call can be made.
pub fn answer(listener: FdRef<'_>, id: u64, refused: Option<Errno>) -> Result<()> {
    /// `struct seccomp_notif_resp`.
    #[repr(C)]
    struct Response {
        id: u64,
        value: i64,
        error: i32,
        flags: u32,
    }
    /// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
    const CONTINUE: u32 = 1;
    let (error, flags) = refused.map_or((0, CONTINUE), |errno| (-errno.0, 0));
    let response = Response { id, value: 0, error, flags };
    // SAFETY: that is readable.
    match unsafe { sys!(ioctl, listener.number(), SECCOMP_IOCTL_NOTIF_SEND, &raw const response) } {
        Ok(_) | Err(Errno::ENOENT | Errno::EINPROGRESS) => Ok(()),
        Err(errno) => Err(fail_on(errno, phrase!("answer a call that waits for a decision"), "")),
    }
}

/// Has the kernel go on with whoever answers and whoever called on one processor, if it can (Linux 6.6).
pub fn wake_in_turn(listener: FdRef<'_>) {
    /// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
    const IN_TURN: usize = 1;
    // SAFETY: numbers only.
    let _ = unsafe { sys!(ioctl, listener.number(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, IN_TURN) };
}

/// Reads another process's memory; how much of it is there. None if this process may not.
#[must_use]
pub fn read_memory(process: u32, address: u64, buffer: &mut [u8]) -> usize {
    let here = [buffer.as_mut_ptr() as usize, buffer.len()];
    let there = [address as usize, buffer.len()];
    // SAFETY: the buffer is writable for its length, and both are `struct iovec`s.
    unsafe { sys!(process_vm_readv, process, here.as_ptr(), 1, there.as_ptr(), 1, 0) }.unwrap_or(0)
}
