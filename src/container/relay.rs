//! Between the user's terminal and the container's: bytes both ways, sizes and signals in.

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::kernel::cgroup::Group;
use crate::kernel::tty::Raw;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Ended};
use crate::sys::{Fd, fd, file, ledger, terminal};

/// Passes on until the workload has ended and all that it wrote has been shown.
///
/// # Errors
/// What poll(2) refuses.
#[inline(never)]
pub fn run(pid: u32, group: Option<&Group>, master: Fd, signals: &Fd, interactive: bool) -> Result<Ended> {
    let _raw = if interactive { Some(Raw::enter(fd::STDIN)?) } else { None };
    let mut buffer = alloc::vec![0u8; 16 << 10];
    let mut master = Some(master);
    let mut input_open = interactive;
    let mut ended = None;
    let mut output_open = true;
    // A size that changed before the signal was watched for.
    copy_size(master.as_ref());
    loop {
        let input = if input_open { Waiting::readable(fd::STDIN) } else { Waiting::nothing() };
        let output = match &master {
            Some(master) if output_open => Waiting::readable(master.by_ref()),
            _ => Waiting::nothing(),
        };
        let mut waiting = [Waiting::readable(signals.by_ref()), output, input];
        if let (Some(ended), false) = (ended, output_open) {
            return Ok(ended);
        }
        if ended.is_some() {
            // The workload is gone; what it wrote is in the terminal, and processes it left may hold it open for ever.
            output_open = drain(&mut master, &mut buffer);
            continue;
        }
        super::process::poll(&mut waiting, pid, group)?;
        if waiting[1].is_ready() {
            output_open = pass(&mut master, &mut buffer);
            input_open &= master.is_some();
        }
        if let (Some(master), true) = (&master, waiting[2].is_ready()) {
            input_open = take_input(master, &mut buffer);
        }
        if waiting[0].is_ready() {
            ended = handle_signal(pid, master.as_ref(), signals)?;
        }
        ledger::relieve();
    }
}

/// Shows what the container wrote; whether there may be more. If the user's side is gone, so is the container's terminal, as
/// when a line hangs up: what writes to it must fail, not wait for ever.
fn pass(master: &mut Option<Fd>, buffer: &mut [u8]) -> bool {
    let Some(terminal) = master else { return false };
    match file::read(terminal.by_ref(), buffer) {
        // EIO: nobody has the other side open any more, pty(7).
        Ok(0) | Err(_) => false,
        Ok(count) if file::write_all(fd::STDOUT, &buffer[..count]).is_ok() => true,
        Ok(_) => {
            *master = None;
            false
        }
    }
}

/// Shows what is there already, without waiting for more.
fn drain(master: &mut Option<Fd>, buffer: &mut [u8]) -> bool {
    let Some(terminal) = master else { return false };
    let mut waiting = [Waiting::readable(terminal.by_ref())];
    poll::poll_now(&mut waiting).is_ok() && waiting[0].is_ready() && pass(master, buffer)
}

/// Hands the user's input in; whether there may be more. At its end the container's terminal is told as a key would.
fn take_input(master: &Fd, buffer: &mut [u8]) -> bool {
    match file::read(fd::STDIN, buffer) {
        Ok(0) => {
            let _ = file::write(master.by_ref(), &[4]);
            false
        }
        Ok(count) => file::write_all(master.by_ref(), &buffer[..count]).is_ok(),
        Err(error) => error.is(Errno::EAGAIN),
    }
}

fn handle_signal(pid: u32, master: Option<&Fd>, signals: &Fd) -> Result<Option<Ended>> {
    match poll::next_signal(signals.by_ref())? {
        libc::SIGCHLD => Ok(process::wait(Some(pid), false)?.map(|waited| waited.ended)),
        libc::SIGWINCH => {
            copy_size(master);
            Ok(None)
        }
        signal => {
            let _ = process::kill(pid, signal);
            Ok(None)
        }
    }
}

/// Gives the container's terminal the size of the user's, if there is one.
fn copy_size(master: Option<&Fd>) {
    if let (Some(master), Ok(size)) = (master, terminal::size(fd::STDIN)) {
        let _ = terminal::set_size(master.by_ref(), size);
    }
}
