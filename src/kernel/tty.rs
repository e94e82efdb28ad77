//! Terminals: raw mode that is undone, and a container's own pseudo-terminal.

use crate::base::error::{Error, Result};
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::uapi::{Termios, WindowSize};
use crate::sys::{file, terminal};

/// A terminal in raw mode; its modes are put back when this is dropped.
pub struct Raw {
    file: i32,
    before: Termios,
}

impl Raw {
    /// Puts a terminal that stays open into raw mode, as `cfmakeraw(3)` does.
    ///
    /// # Errors
    /// `ENOTTY` for what is no terminal.
    pub fn enter(file: FdRef<'static>) -> Result<Raw> {
        let before = terminal::modes(file)?;
        terminal::set_modes(file, &raw(before))?;
        Ok(Raw { file: file.number(), before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has hung up has no modes to put back.
        let _ = terminal::set_modes(FdRef::from_number(self.file), &self.before);
    }
}

/// Every byte as it comes: no signals from keys, no echo, no lines, no translation.
fn raw(mut modes: Termios) -> Termios {
    let input = libc::IGNBRK
        | libc::BRKINT
        | libc::PARMRK
        | libc::ISTRIP
        | libc::INLCR
        | libc::IGNCR
        | libc::ICRNL
        | libc::IXON;
    modes.iflag &= !input;
    modes.oflag &= !libc::OPOST;
    modes.lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
    modes.cflag = modes.cflag & !(libc::CSIZE | libc::PARENB) | libc::CS8;
    modes.cc[libc::VMIN] = 1;
    modes.cc[libc::VTIME] = 0;
    modes
}

/// Whether this is a terminal.
#[must_use]
pub fn is_terminal(file: FdRef<'_>) -> bool {
    terminal::modes(file).is_ok()
}

/// `DEVPTS_SUPER_MAGIC`, statfs(2).
const DEVPTS: usize = 0x1cd1;

/// A pseudo-terminal: the end that the user's side keeps, and the one that the workload gets.
pub struct Pair {
    /// What is written here, the workload reads.
    pub master: Fd,
    /// The workload's side.
    pub slave: Fd,
}

/// Makes a pseudo-terminal in the devpts instance of the container, whose root is already this process's.
///
/// # Errors
/// open(2), `ioctl_tty(2)`.
pub fn open_pair(size: Option<WindowSize>) -> Result<Pair> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let master = file::open(CWD, c"/dev/pts/ptmx", flags | libc::O_NOFOLLOW)?;
    if file::filesystem(master.by_ref())? != DEVPTS {
        return Err(Error::new(phrase!("/dev/pts/ptmx in the container is no pseudo-terminal")));
    }
    terminal::unlock(master.by_ref())?;
    let slave = terminal::open_peer(master.by_ref())?;
    if let Some(size) = size {
        terminal::set_size(slave.by_ref(), size)?;
    }
    Ok(Pair { master, slave })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_mode_passes_every_byte_and_leaves_speed_and_other_flags_alone() {
        let before =
            Termios { iflag: u32::MAX, oflag: u32::MAX, cflag: u32::MAX, lflag: u32::MAX, line: 3, cc: [9; 19] };
        let after = raw(before);
        assert_eq!(after.lflag & (libc::ECHO | libc::ICANON | libc::ISIG), 0);
        assert_eq!(after.iflag & (libc::ICRNL | libc::IXON), 0);
        assert_eq!(after.oflag & libc::OPOST, 0);
        assert_eq!(after.cflag & libc::CSIZE, libc::CS8);
        assert_eq!(after.cflag & libc::CBAUD, libc::CBAUD);
        assert_eq!((after.cc[libc::VMIN], after.cc[libc::VTIME], after.line), (1, 0, 3));
    }
}
