//! Filters that tell a process outside of calls, and what the filters that they stand for say to a call.
//!
//! # Source
//! `seccomp_unotify(2)`, bpf(4), `linux/seccomp.h`.

use alloc::vec::Vec;

use syscalls::Sysno;

use super::profile::{NEW_LISTENER, NOTIFY};
use super::search::{ARCHITECTURE, ARGUMENTS, EQUALS, LOAD, NUMBER, Next, RETURN, next};
use super::{ALLOW, Filter, NATIVE};
use crate::base::errno::Errno;
use crate::sys::net::HANDS_OVER;
use crate::sys::notify::Call;
use crate::sys::security::seccomp_knows;

/// What a verdict does, without its data: `SECCOMP_RET_ACTION_FULL`.
const ACTION: u32 = 0xffff_0000;
/// The call fails: `SECCOMP_RET_ERRNO`.
const FAIL: u32 = 0x0005_0000;
/// The call is made and logged: `SECCOMP_RET_LOG`.
const LOG: u32 = 0x7ffc_0000;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): a call is not begun anew for each signal that comes while it waits.
const WAIT_KILLABLE: u32 = 32;

/// A filter that asks a process outside about all that this one lets pass, or about these calls alone, and about all that this one
/// has fail. The message by which that process gets the listener is let pass.
#[must_use]
pub fn watched(filter: Filter, chosen: Option<&[u32]>) -> Filter {
    let instruction = |code: u16, yes: usize, no: usize, k: u32| {
        u64::from(code) | (yes as u64) << 16 | (no as u64) << 24 | u64::from(k) << 32
    };
    let calls = chosen.unwrap_or_default();
    let mut program = Vec::from([
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(EQUALS, 0, 6 + 2 * calls.len(), NATIVE),
        instruction(LOAD, 0, 0, NUMBER),
        instruction(EQUALS, 0, 3, Sysno::sendmsg as u32),
        instruction(LOAD, 0, 0, ARGUMENTS + 16),
        instruction(EQUALS, 0, 1, HANDS_OVER),
        instruction(RETURN, 0, 0, ALLOW),
        instruction(LOAD, 0, 0, NUMBER),
    ]);
    for call in calls {
        program.extend([instruction(EQUALS, 0, 1, *call), instruction(RETURN, 0, 0, NOTIFY)]);
    }
    for &word in filter.program {
        let asks = match (word >> 32) as u32 & ACTION {
            FAIL => true,
            ALLOW | LOG => chosen.is_none(),
            _ => false,
        };
        let is_verdict = word as u16 == RETURN;
        program.push(if is_verdict && asks { instruction(RETURN, 0, 0, NOTIFY) } else { word });
    }
    let more = if seccomp_knows(NEW_LISTENER | WAIT_KILLABLE) { NEW_LISTENER | WAIT_KILLABLE } else { NEW_LISTENER };
    Filter { program: program.leak(), flags: filter.flags | more }
}

/// Whether a filter has a process outside decide about something.
#[must_use]
pub fn asks(filter: &Filter) -> bool {
    filter.flags & NEW_LISTENER != 0
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Made,
    /// It fails with this error.
    Fails(Errno),
    /// Whoever makes it is killed, by a signal that says so or at once.
    Kills,
}

/// What a filter says to a call; as the kernel does, bpf(4). A program that is none kills.
#[must_use]
pub fn verdict(program: &[u64], call: &Call) -> Verdict {
    let (mut at, mut value) = (0, Some(0));
    loop {
        match next(program, at, value) {
            Some(Next::Loads(word)) => (at, value) = (at + 1, Some(call.word(word))),
            Some(Next::Goes(to, with)) => (at, value) = (to, with),
            Some(Next::Ends(verdict)) => {
                return match verdict & ACTION {
                    FAIL => Verdict::Fails(Errno((verdict & !ACTION) as i32)),
                    ALLOW | LOG => Verdict::Made,
                    _ => Verdict::Kills,
                };
            }
            // All of a call is known.
            Some(Next::Either(..)) | None => return Verdict::Kills,
        }
    }
}
