//! The last thing before a workload is executed: it gives up what it may not do.
//!
//! A filter holds for vial's own process too, from the moment at which it is set. So nothing comes after it but execve(2), except
//! where the container would see a process meanwhile that has more rights than it has itself: what joins a container is filtered
//! before it is in there.

use super::plan::{Action, Confinement, Step};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::kernel::security::landlock;
use crate::sys::cold::Gate;
use crate::sys::fd::Fd;
use crate::sys::security::{self, Capabilities};
use crate::sys::{because, net, process};

/// The message that says what can't be had and is not insisted on: an error's wire form.
pub const WARNING: u8 = b'W';
/// The message that carries the listener of a filter that has a process outside decide.
pub const LISTENER: u8 = b'L';

static COLD_GATE_SELDOM: Gate<fn(&str, bool) -> Result<()>> = Gate(landlock::restrict);

/// What confines the workload.
#[must_use]
pub fn wanted(steps: &[Step]) -> Option<&'static Confinement> {
    steps.iter().rev().find_map(|step| if let Action::Confine(what) = step.action { Some(what) } else { None })
}

/// Gives up files and calls.
///
/// # Errors
/// landlock(7), seccomp(2); on a kernel without these only if that is to stop it.
#[inline(never)]
pub fn confine(what: &Confinement, channel: &Fd) -> Result<()> {
    let why = phrase!("let the workload use nothing but the system calls and files that it is to have");
    let _why = because(why);
    if !what.landlock.is_empty() {
        let restrict = COLD_GATE_SELDOM.open()?;
        heed(
            what.best_effort,
            channel,
            restrict(what.landlock, !what.best_effort).map_err(|error| error.because(why)),
        )?;
    }
    let Some(filter) = what.filter else { return Ok(()) };
    let set = security::seccomp_set(filter.flags, filter.program).map_err(|error| {
        let error = error.because(why);
        match error.errno() {
            Errno::ENOSYS | Errno::EINVAL => error.hint(phrase!(
                "the kernel has no filters of system calls (CONFIG_SECCOMP_FILTER) or not the profile's flags; --best-effort or \
                 --security-opt seccomp=unconfined does without"
            )),
            _ => error,
        }
    });
    let mut sent = Ok(());
    let set = set.map(|listener| {
        if let Some(listener) = listener {
            sent = net::hand_over(channel.by_ref(), &[LISTENER], listener.by_ref());
            // It goes on execve: a call more might be asked about.
            let _ = listener.leak();
        }
    });
    heed(what.best_effort, channel, set)?;
    sent
}

/// Lets what a kernel does not have be no more than a warning, if that is wanted.
///
/// # Errors
/// That of the result, if it is not wanted.
pub fn heed(best_effort: bool, channel: &Fd, result: Result<()>) -> Result<()> {
    match result {
        Err(error) if best_effort && [Errno::ENOSYS, Errno::EINVAL, Errno::EOPNOTSUPP].contains(&error.errno()) => {
            net::send(channel.by_ref(), &[&[WARNING], &*error.encode()].concat(), None)
        }
        result => result,
    }
}

/// The same for a process that stays what it is: it is never executed, so it gives up by hand what execve(2) takes from the others.
///
/// # Errors
/// As [`confine`]; prctl(2), capset(2).
pub fn confine_for_good(what: &Confinement, channel: &Fd) -> Result<()> {
    if temporary(what) != 0 {
        process::prctl_no_new_privs()?;
        lower(what)?;
    }
    let filter = what.init_filter.or(what.filter);
    confine(&Confinement { filter, ..*what }, channel)
}

/// The capabilities that this process has for the sake of its confinement alone.
#[must_use]
pub fn temporary(what: &Confinement) -> u64 {
    what.temporary & !if process::geteuid() == 0 { what.granted } else { what.ambient }
}

/// Gives them up.
///
/// # Errors
/// capset(2); a profile may refuse it.
pub fn lower(what: &Confinement) -> Result<()> {
    let own = security::capget()?;
    let permitted = own.permitted & !temporary(what);
    security::capset(Capabilities { permitted, effective: own.effective & permitted, ..own })
}

/// What to do about a profile that refuses what vial itself does after it.
pub fn hint(error: Error) -> Error {
    error.hint(phrase!(
        "the profile refuses what vial still has to do; --security-opt no-new-privileges has it set last"
    ))
}
