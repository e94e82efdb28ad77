//! Waiting: signals as a file, and several files at once.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::fail_on;
use crate::base::errno::Errno;
use crate::base::error::Result;

/// A set of signals: bit n - 1 stands for signal n.
pub type Signals = u64;

/// The bit of a signal.
#[must_use]
pub const fn bit(signal: i32) -> Signals {
    1 << (signal - 1)
}

/// Sets which signals are blocked; returns what was.
///
/// # Errors
/// sigprocmask(2).
pub fn block_signals(blocked: Signals) -> Result<Signals> {
    let mut before: Signals = 0;
    // SAFETY: both sets are 8 bytes, as the kernel's.
    unsafe { sys!(rt_sigprocmask, libc::SIG_SETMASK, &raw const blocked, &raw mut before, 8) }
        .map_err(|errno| fail_on(errno, phrase!("block signals"), ""))?;
    Ok(before)
}

/// Has all signals do again what they do by default, also those that whoever executed this program ignored.
///
/// # Errors
/// sigaction(2).
pub fn default_signals() -> Result<()> {
    // The kernel's `struct sigaction`, `linux/signal.h`: 0 is `SIG_DFL`, with no flags and nothing blocked.
    let default = [0u64; 4];
    for signal in (1..=31).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // SAFETY: what is read is as large as the kernel's, and nothing is written.
        unsafe { sys!(rt_sigaction, signal, default.as_ptr(), 0usize, 8) }
            .map_err(|errno| fail_on(errno, phrase!("reset a signal"), ""))?;
    }
    Ok(())
}

/// Blocked signals as a file.
///
/// # Errors
/// signalfd(2).
pub fn signalfd(signals: Signals) -> Result<Fd> {
    // SAFETY: the set is 8 bytes, as the kernel's.
    unsafe { sys!(signalfd4, -1isize, &raw const signals, 8, libc::SFD_CLOEXEC) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("read signals as a file"), ""))
}

/// A counter as a file: eight bytes, which the kernel adds to and a read takes.
///
/// # Errors
/// `eventfd(2)`.
pub fn eventfd() -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(eventfd2, 0, libc::EFD_CLOEXEC) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("make a counter of events"), ""))
}

/// The next signal's number; waits for one.
///
/// # Errors
/// read(2).
pub fn next_signal(file: FdRef<'_>) -> Result<i32> {
    // `struct signalfd_siginfo` is 128 bytes and begins with the number, signalfd(2).
    let mut info = [0u8; 128];
    super::file::read(file, &mut info)?;
    Ok(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}

/// A file to wait for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    file: i32,
    events: i16,
    ready: i16,
}

impl Waiting {
    /// Waits until the file can be read (or has ended).
    #[must_use]
    pub fn readable(file: FdRef<'_>) -> Waiting {
        Waiting { file: file.number(), events: libc::POLLIN, ready: 0 }
    }

    /// Waits until the file can be written.
    #[must_use]
    pub fn writable(file: FdRef<'_>) -> Waiting {
        Waiting { file: file.number(), events: libc::POLLOUT, ready: 0 }
    }

    /// Does not wait, but keeps its place.
    #[must_use]
    pub fn nothing() -> Waiting {
        Waiting { file: -1, events: 0, ready: 0 }
    }

    /// Whether something happened: data, room, the end or an error.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready != 0
    }

    /// Whether nobody is left at the other side, and nothing to read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ready & libc::POLLHUP != 0 && self.ready & libc::POLLIN == 0
    }
}

/// Waits until one of the files is ready.
///
/// # Errors
/// poll(2).
pub fn poll(files: &mut [Waiting]) -> Result<()> {
    poll_for(files, None)
}

/// Looks which of the files are ready, without waiting.
///
/// # Errors
/// poll(2).
pub fn poll_now(files: &mut [Waiting]) -> Result<()> {
    poll_for(files, Some([0; 2]))
}

/// Waits until one of the files is ready, or for so many milliseconds.
///
/// # Errors
/// poll(2).
pub fn poll_within(files: &mut [Waiting], milliseconds: u64) -> Result<()> {
    poll_for(files, Some([milliseconds / 1000, milliseconds % 1000 * 1_000_000]))
}

fn poll_for(files: &mut [Waiting], time: Option<[u64; 2]>) -> Result<()> {
    let time = time.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    loop {
        // SAFETY: `Waiting` has the layout of `struct pollfd`, and the time that of a `struct __kernel_timespec`.
        match unsafe { sys!(ppoll, files.as_mut_ptr(), files.len(), time, 0, 8) } {
            Err(Errno::EINTR) => {}
            result => return result.map(drop).map_err(|errno| fail_on(errno, phrase!("wait for files"), "")),
        }
    }
}
