//! What one monitor of a container leaves to the next: those that are connected, and what they have not read yet.
//!
//! It lies in a pair of sockets that their keeper holds open and does not look into.

use alloc::vec::Vec;

use super::Monitor;
use super::clients::{Client, Queue};
use crate::base::error::Result;
use crate::sys::fd::Fd;
use crate::sys::{because, file, net};

/// The socket at which others attach.
const LISTENER: u8 = b'l';
/// A file with the messages that not all have taken.
const QUEUE: u8 = b'q';
/// One that is connected: whether it gets what the workload writes, and the first message that it lacks.
const CLIENT: u8 = b'c';
/// More than a queue ever holds.
const LIMIT: usize = 16 << 20;

/// A monitor writes to one end when it ends, and the next one reads from the other.
pub(super) struct Handover {
    pub(super) to: Fd,
    pub(super) from: Fd,
}

impl Handover {
    /// Makes one with nothing in it.
    pub(super) fn new() -> Result<Handover> {
        let _why = because!("make the place where a monitor leaves its connections to the next one");
        let (to, from) = net::socket_pair()?;
        file::never_wait(from.by_ref())?;
        Ok(Handover { to, from })
    }

    /// One that is open already.
    pub(super) fn of(to: Option<Fd>, from: Option<Fd>) -> Option<Handover> {
        Some(Handover { to: to?, from: from? })
    }
}

impl Monitor {
    /// Leaves everybody to the next monitor. Whoever does not fit is disconnected.
    pub(super) fn hand_over(&self) {
        let _why = because!("leave those that are connected to the next monitor");
        let Some(handover) = &self.handover else { return };
        let leave = |message: &[u8], file: &Fd| drop(net::try_send_file(handover.to.by_ref(), message, file.by_ref()));
        if let Some(listener) = &self.listener {
            leave(&[LISTENER], listener);
        }
        let queue = if self.queue.is_empty() { None } else { self.queue_as_file().ok() };
        if let Some(queue) = &queue {
            leave(&[QUEUE], queue);
        }
        for client in &self.clients {
            let behind = client.is_behind(&self.queue);
            if !client.gone && (!behind || queue.is_some()) {
                let [a, b, c, d] = (client.taken as u32).to_le_bytes();
                leave(&[CLIENT, client.gets_output.into(), a, b, c, d], &client.socket);
            }
        }
    }

    /// Writes down what not all have taken, in a file without a name.
    pub(super) fn queue_as_file(&self) -> Result<Fd> {
        let directory = self.directory.by_ref();
        let name = c"unread";
        let file = file::create(directory, name, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC, 0o600)?;
        let _ = file::unlink(directory, name);
        for message in &self.queue {
            file::write_all(file.by_ref(), &(message.len() as u32).to_le_bytes())?;
            file::write_all(file.by_ref(), message)?;
        }
        file::seek(file.by_ref(), 0)?;
        Ok(file)
    }

    /// Takes what the monitor before has left.
    pub(super) fn receive_handed_over(&mut self) {
        let _why = because!("take over those that are connected from the monitor before");
        let Some(handover) = &self.handover else { return };
        let mut message = [0; 8];
        while let Ok((length, Some(file))) = net::receive(handover.from.by_ref(), &mut message) {
            match message[..length] {
                [LISTENER] => self.listener = Some(file),
                [QUEUE] => self.queue = read_queue(&file).unwrap_or_default(),
                [CLIENT, gets_output, a, b, c, d] => {
                    let mut client = Client::new(file, gets_output == 1);
                    // Sign and all: that of one that lacks nothing is the highest there is.
                    client.taken = i32::from_le_bytes([a, b, c, d]) as usize;
                    self.clients.push(client);
                }
                _ => {}
            }
        }
    }
}

/// Reads what [`Monitor::queue_as_file`] wrote.
pub(super) fn read_queue(file: &Fd) -> Result<Queue> {
    let bytes = file::read_to_end(file.by_ref(), LIMIT)?;
    let (mut rest, mut queue) = (&bytes[..], Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((message, tail)) = tail.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
        queue.push(message.to_vec());
        rest = tail;
    }
    Ok(queue)
}
