//! Those that are connected to a monitor: `attach`, `wait`, and the command that started the container.
//!
//! Each message is a packet whose first byte says what it is. One side sends [`ATTACH`] to get what the workload writes from
//! then on, [`INPUT`] for it to read, [`CLOSE`] at the end of that, and [`SIZE`] for its terminal. The other sends
//! [`OUTPUT`] and [`ENDED`]. What one that is attached has not taken stops the workload's writing, as a pipe that is full does,
//! and nothing else.

use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::sys::fd::Fd;
use crate::sys::net;
use crate::sys::uapi::WindowSize;

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

/// The most that [`INPUT`] carries. A pipe with room for anything has room for so much, pipe(7).
pub const INPUT_CHUNK: usize = (4 << 10) - 1;

/// What a message of a client's says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// It is gone.
    Gone,
    /// It wants what the workload writes.
    Attach,
    /// This is for the workload to read.
    Input(&'a [u8]),
    /// There is no more of that.
    Close,
    /// The terminal is to have this size.
    Size(WindowSize),
    /// Nothing that is known.
    Nothing,
}

/// Reads a message of a client's: anybody who may connect has written it.
#[must_use]
pub fn read(message: &[u8]) -> Said<'_> {
    match *message {
        [] => Said::Gone,
        [ATTACH, ..] => Said::Attach,
        [INPUT, ref bytes @ ..] => Said::Input(bytes),
        [CLOSE, ..] => Said::Close,
        [SIZE, a, b, c, d] => Said::Size(WindowSize {
            rows: u16::from_le_bytes([a, b]),
            columns: u16::from_le_bytes([c, d]),
            ..Default::default()
        }),
        _ => Said::Nothing,
    }
}

/// One that is connected.
pub struct Client {
    /// The way to it.
    pub socket: Fd,
    /// Whether it gets what the workload writes.
    pub gets_output: bool,
    /// The first message of the queue that it lacks; beyond all if there is none.
    pub(super) taken: usize,
    /// Whether it is gone.
    pub gone: bool,
}

impl Client {
    /// One that has just connected.
    #[must_use]
    pub fn new(socket: Fd, gets_output: bool) -> Client {
        Client { socket, gets_output, taken: usize::MAX, gone: false }
    }

    /// Whether there is something that it has not taken.
    #[must_use]
    pub fn is_behind(&self, queue: &Queue) -> bool {
        self.taken < queue.len() && !self.gone
    }

    /// Hands it a message; whether it has taken it.
    fn takes(&mut self, message: &[u8]) -> bool {
        match net::try_send(self.socket.by_ref(), message) {
            Err(error) if error.is(Errno::EAGAIN) => return false,
            result => self.gone |= result.is_err(),
        }
        true
    }

    /// Hands it as much of the queue as it has room for.
    pub fn catch_up(&mut self, queue: &Queue) {
        while self.is_behind(queue) && self.takes(&queue[self.taken]) {
            self.taken += 1;
        }
        if self.taken == queue.len() {
            self.taken = usize::MAX;
        }
    }
}

/// Messages that not all have taken, the oldest first.
pub type Queue = Vec<Vec<u8>>;

/// Hands a message to all that get it; the queue keeps it for those that have no room.
pub fn hand_out(clients: &mut [Client], queue: &mut Queue, message: &[u8]) {
    let mut late = false;
    for client in clients {
        let gets_it = client.gets_output || message[0] == ENDED;
        if gets_it && (client.is_behind(queue) || !client.takes(message)) {
            // What it lacks begins with this message, if not before.
            client.taken = client.taken.min(queue.len());
            late = true;
        }
    }
    if late {
        queue.push(message.to_vec());
    }
}

/// A size of a terminal in its wire form: rows and columns.
#[must_use]
pub fn size_message(size: WindowSize) -> [u8; 5] {
    let ([a, b], [c, d]) = (size.rows.to_le_bytes(), size.columns.to_le_bytes());
    [SIZE, a, b, c, d]
}
