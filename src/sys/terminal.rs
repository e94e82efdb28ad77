//! Terminals: modes, sizes, pseudo-terminals; `ioctl_tty(2)`.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::fail_on;
use super::uapi::{Termios, WindowSize};
use crate::base::error::Result;

/// A terminal's modes; an error when it is none.
///
/// # Errors
/// `ENOTTY` for what is no terminal.
pub fn modes(terminal: FdRef<'_>) -> Result<Termios> {
    let mut modes = Termios::default();
    // SAFETY: `Termios` has the kernel's layout.
    unsafe { sys!(ioctl, terminal.number(), libc::TCGETS, &raw mut modes) }
        .map_err(|errno| fail_on(errno, phrase!("read the terminal's modes"), ""))?;
    Ok(modes)
}

/// Sets a terminal's modes.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn set_modes(terminal: FdRef<'_>, modes: &Termios) -> Result<()> {
    // SAFETY: `Termios` has the kernel's layout.
    unsafe { sys!(ioctl, terminal.number(), libc::TCSETS, core::ptr::from_ref(modes)) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the terminal's modes"), ""))
}

/// A terminal's size.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn size(terminal: FdRef<'_>) -> Result<WindowSize> {
    let mut size = WindowSize::default();
    // SAFETY: `WindowSize` has the kernel's layout.
    unsafe { sys!(ioctl, terminal.number(), libc::TIOCGWINSZ, &raw mut size) }
        .map_err(|errno| fail_on(errno, phrase!("read the terminal's size"), ""))?;
    Ok(size)
}

/// Sets a terminal's size.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn set_size(terminal: FdRef<'_>, size: WindowSize) -> Result<()> {
    // SAFETY: `WindowSize` has the kernel's layout.
    unsafe { sys!(ioctl, terminal.number(), libc::TIOCSWINSZ, &raw const size) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the terminal's size"), ""))
}

/// Unlocks the other end of a pseudo-terminal.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn unlock(master: FdRef<'_>) -> Result<()> {
    let locked = 0i32;
    // SAFETY: a number is read.
    unsafe { sys!(ioctl, master.number(), libc::TIOCSPTLCK, &raw const locked) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("unlock the pseudo-terminal"), ""))
}

/// The number of a pseudo-terminal: its other end is `/dev/pts/N`.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn number(master: FdRef<'_>) -> Result<u32> {
    let mut number = 0u32;
    // SAFETY: a number is written.
    unsafe { sys!(ioctl, master.number(), libc::TIOCGPTN, &raw mut number) }
        .map_err(|errno| fail_on(errno, phrase!("number the pseudo-terminal"), ""))?;
    Ok(number)
}

/// Opens the other end of a pseudo-terminal without a path (Linux 4.13).
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn open_peer(master: FdRef<'_>) -> Result<Fd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: no memory is involved.
    unsafe { sys!(ioctl, master.number(), libc::TIOCGPTPEER, flags) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("open the pseudo-terminal's other end"), ""))
}

/// Makes a terminal the controlling one of this session.
///
/// # Errors
/// `ioctl_tty(2)`.
pub fn make_controlling(terminal: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(ioctl, terminal.number(), libc::TIOCSCTTY, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("make the terminal the controlling one"), ""))
}
