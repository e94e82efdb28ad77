//! Those that are connected to a monitor: `attach`, `wait`, and the command that started the container.
//!
//! Each message is a packet whose first byte says what it is. One side sends [`ATTACH`] to get what the workload writes from
//! then on, [`INPUT`] for it to read, [`CLOSE`] at the end of that, and [`SIZE`] for its terminal. The other sends
//! [`OUTPUT`] and [`ENDED`]. Nobody else is waited for: what one that is attached has not taken stops the workload's
//! writing, as a pipe that is full does.

use crate::base::errno::Errno;
use crate::sys::fd::Fd;
use crate::sys::net;

/// Asks for what the workload writes.
pub const ATTACH: u8 = b'a';
/// Bytes for the workload to read.
pub const INPUT: u8 = b'i';
/// There are no more of them.
pub const CLOSE: u8 = b'c';
/// The terminal's rows and columns, two bytes each, the lower one first.
pub const SIZE: u8 = b'w';
/// Bytes that the workload wrote to standard output, and plus one to standard error.
pub const OUTPUT: u8 = b'1';
/// The container has ended for good; one byte more is its exit code.
pub const ENDED: u8 = b'x';

/// One that is connected.
pub(super) struct Client {
    pub(super) socket: Fd,
    /// Whether it gets what the workload writes.
    pub(super) gets_output: bool,
    /// Whether it has not taken the latest of that.
    pub(super) behind: bool,
    /// Whether it is gone.
    pub(super) gone: bool,
}

impl Client {
    pub(super) fn new(socket: Fd, gets_output: bool) -> Client {
        Client { socket, gets_output, behind: false, gone: false }
    }

    /// Hands it a message, now or, if it has no room, later.
    pub(super) fn hand(&mut self, message: &[u8]) {
        match net::try_send(self.socket.by_ref(), message) {
            Ok(()) => self.behind = false,
            Err(error) if error.is(Errno::EAGAIN) => self.behind = true,
            Err(_) => (self.gone, self.behind) = (true, false),
        }
    }
}
