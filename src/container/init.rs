//! vial as the container's init (`--init`): it collects processes that nobody waits for and passes signals on.

use crate::base::error::Result;
use crate::sys::fd::{self, Fd, FdRef};
use crate::sys::{because, file, poll, process};

/// Runs until the workload ends, then ends with its exit code; the kernel then kills what is left in the PID namespace.
///
/// All files are closed first. The end of the channel tells vial that the workload runs, and must not wait for this process;
/// the lock on the container's directory is to go with its owner; and nothing of the host's stays open in the container.
pub fn run(workload: u32) -> ! {
    let _why = because!("be the container's init: collect what has ended, pass signals on");
    if file::close_from(3, true).is_err() {
        // Before Linux 5.9, and there need not be a /proc here.
        (3..1024).for_each(|number| drop(Fd::from_number(number)));
    }
    let code = supervise(workload).unwrap_or_else(|error| {
        // Nobody else hears of it any more.
        let _ = file::write_all(fd::STDERR, say!("vial: {}\n", error).as_bytes());
        error.exit_code()
    });
    process::exit(code)
}

fn supervise(workload: u32) -> Result<u8> {
    process::prctl_not_dumpable()?;
    poll::block_signals(poll::Signals::MAX)?;
    let signals = poll::signalfd(poll::Signals::MAX)?;
    loop {
        match poll::next_signal(FdRef::from_number(signals.number()))? {
            libc::SIGCHLD => {
                while let Ok(Some(waited)) = process::wait(None, false) {
                    if waited.pid == workload {
                        return Ok(waited.ended.code());
                    }
                }
            }
            signal => {
                let _ = process::kill(workload, signal);
            }
        }
    }
}
