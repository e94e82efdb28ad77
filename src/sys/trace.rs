//! Following another process's system calls, with what they return.
//!
//! # Source
//! ptrace(2), `linux/ptrace.h`.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::file::fail_on;
use super::notify::Call;
use super::process::Ended;
use crate::base::errno::Errno;
use crate::base::error::Result;

/// Requests that libc has for few targets.
const CONT: i32 = 7;
const DETACH: i32 = 17;
const SYSCALL: i32 = 24;
const SEIZE: i32 = 0x4206;
const LISTEN: i32 = 0x4208;
const GET_SYSCALL_INFO: i32 = 0x420e;

/// `PTRACE_O_TRACESYSGOOD`, `TRACEFORK`, `TRACEVFORK`, `TRACECLONE` and `TRACEEXEC`.
const OPTIONS: usize = 0x1f;
/// `PTRACE_EVENT_EXEC` and `PTRACE_EVENT_STOP`.
const EVENT_EXEC: i32 = 4;
const EVENT_STOP: i32 = 128;

/// Why a thread that is followed stands still, or that it does no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has ended.
    Ended(Ended),
    /// It is about to make a call, or has made one.
    Call,
    /// It has executed a program.
    Executed,
    /// A signal is about to reach it.
    Signal(i32),
    /// It was stopped, as by SIGSTOP, and stays so.
    Stopped,
    /// It was just made, or made another, or goes on.
    Other,
}

/// Where a call is.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// It is about to be made.
    Begins(Call),
    /// It has returned this: the negative number of an error below 0.
    Ends(i64),
}

/// Follows a process, and all that it makes, from now on; it goes on meanwhile.
///
/// # Errors
/// ptrace(2): `EPERM` for who may not, and where another does.
pub fn seize(process: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe { sys!(ptrace, SEIZE, process, 0, OPTIONS) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("follow process"), process))
}

/// Lets a thread go on, with this signal if it is not 0; with `calls` until its next call begins or ends. It may be gone.
pub fn go_on(thread: u32, signal: i32, calls: bool) {
    // SAFETY: numbers only.
    let _ = unsafe { sys!(ptrace, if calls { SYSCALL } else { CONT }, thread, 0, signal) };
}

/// Leaves a thread stopped until somebody has it go on.
pub fn leave(thread: u32) {
    // SAFETY: numbers only.
    let _ = unsafe { sys!(ptrace, LISTEN, thread, 0, 0) };
}

/// Follows a thread no more.
pub fn let_go(thread: u32) {
    // SAFETY: numbers only.
    let _ = unsafe { sys!(ptrace, DETACH, thread, 0, 0) };
}

/// The call that a thread stands still in; nothing if it is gone, or before Linux 5.3.
#[must_use]
pub fn stage(thread: u32) -> Option<Stage> {
    /// `struct ptrace_syscall_info`, as words of 8 bytes.
    const WORDS: usize = 11;
    const ENTRY: u64 = 1;
    const EXIT: u64 = 2;
    let mut info = [0u64; WORDS];
    // SAFETY: it is writable for its length.
    unsafe { sys!(ptrace, GET_SYSCALL_INFO, thread, 8 * WORDS, info.as_mut_ptr()) }.ok()?;
    // The first holds a byte that says which it is, and behind it, in its upper half, the architecture.
    match info[0] & 0xff {
        ENTRY => {
            let mut arguments = [0; 6];
            arguments.copy_from_slice(&info[4..10]);
            Some(Stage::Begins(Call {
                number: info[3] as u32,
                architecture: (info[0] >> 32) as u32,
                instruction: info[1],
                arguments,
            }))
        }
        EXIT => Some(Stage::Ends(info[3] as i64)),
        _ => None,
    }
}

/// The next thread that stands still or has ended, if there is one.
#[must_use]
pub fn next() -> Option<(u32, Event)> {
    /// `__WALL`: threads too, whatever they say to their parents.
    const ALL: usize = 0x4000_0000;
    /// What `PTRACE_O_TRACESYSGOOD` adds to the signal.
    const CALL: i32 = libc::SIGTRAP | 0x80;
    let mut status = 0i32;
    let thread = loop {
        // SAFETY: `status` is writable; no usage is asked for.
        match unsafe { sys!(wait4, -1isize, &raw mut status, libc::WNOHANG as usize | ALL, 0) } {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(0) => return None,
            Ok(thread) => break thread as u32,
        }
    };
    if status & 0xff != 0x7f {
        return Some((thread, Event::Ended(Ended::of(status))));
    }
    let signal = status >> 8 & 0xff;
    let event = match status >> 16 {
        0 if signal == CALL => Event::Call,
        0 => Event::Signal(signal),
        EVENT_EXEC => Event::Executed,
        EVENT_STOP if signal != libc::SIGTRAP => Event::Stopped,
        _ => Event::Other,
    };
    Some((thread, event))
}
