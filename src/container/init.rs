//! vial as the container's init (`--init`): it collects processes that nobody waits for and passes signals on.

use crate::sys::fd::{Fd, FdRef};
use crate::sys::{because, poll, process};

/// Runs until the workload ends, then ends with its exit code; the kernel then kills what is left in the PID namespace.
///
/// The channel is closed first: its end tells vial that the workload runs, and that must not wait for this process.
pub fn run(workload: u32, channel: &Fd) -> ! {
    let _why = because("be the container's init: collect what has ended, pass signals on");
    drop(Fd::from_number(channel.number()));
    let code = supervise(workload).unwrap_or(crate::base::error::EXIT_FAILURE);
    process::exit(code)
}

fn supervise(workload: u32) -> Option<u8> {
    process::prctl_not_dumpable().ok()?;
    poll::block_signals(poll::Signals::MAX).ok()?;
    let signals = poll::signalfd(poll::Signals::MAX).ok()?;
    loop {
        match poll::next_signal(FdRef::from_number(signals.number())).ok()? {
            libc::SIGCHLD => {
                while let Ok(Some(waited)) = process::wait(None, false) {
                    if waited.pid == workload {
                        return Some(waited.ended.code());
                    }
                }
            }
            signal => {
                let _ = process::kill(workload, signal);
            }
        }
    }
}
