//! Bytes from one process to another through memory that both have, which costs a copy less on either side than a pipe.
//!
//! The sender fills pieces in turn, and the receiver empties them in the same order. Two pipes say whose turn it is: one
//! carries the length of each piece that is full, the other a byte for each that is free again. Only the sender ever writes to
//! a piece, and only while it is free; a full one may be read by both.
#![expect(unsafe_code, reason = "maps and shares memory")]

use core::slice;

use super::call::sys;
use super::fd::Fd;
use super::file::{self, fail_on};
use crate::base::error::{Error, Result};

/// How many bytes a piece has.
pub const PIECE: usize = 64 << 10;
/// How many of them there are.
const PIECES: usize = 16;

/// The pieces, which stay as long as the process.
#[derive(Clone, Copy)]
struct Pieces(*mut u8);

impl Pieces {
    /// The piece whose turn it is after so many.
    fn turn(self, number: usize) -> *mut u8 {
        self.0.wrapping_add(number % PIECES * PIECE)
    }
}

/// The end that bytes go into.
pub struct Sender {
    pieces: Pieces,
    full: Fd,
    free: Fd,
    /// How many pieces were sent, and how many may still be.
    sent: usize,
    left: usize,
}

/// The end that they come out of.
pub struct Receiver {
    pieces: Pieces,
    full: Fd,
    free: Fd,
    /// Open here too, so that a sender which has ended is no broken pipe.
    _turns: Fd,
    taken: usize,
    /// What of the piece in hand is still to be read, and its length; that is 0 if none is.
    at: usize,
    length: usize,
}

/// Both ends. One is for a process that is cloned next, which drops the other, as the other process drops this one.
///
/// # Errors
/// mmap(2), pipe(2).
pub fn ring() -> Result<(Sender, Receiver)> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping touches nothing that exists.
    let address = unsafe { sys!(mmap, 0, PIECES * PIECE, protection, flags, usize::MAX, 0) }
        .map_err(|errno| fail_on(errno, phrase!("share memory"), ""))?;
    let pieces = Pieces(address as *mut u8);
    let ((full, say_full), (free, say_free)) = (file::pipe()?, file::pipe()?);
    let turns = file::duplicate(free.by_ref())?;
    let sender = Sender { pieces, full: say_full, free, sent: 0, left: PIECES };
    Ok((sender, Receiver { pieces, full, free: say_free, _turns: turns, taken: 0, at: 0, length: 0 }))
}

impl Sender {
    /// The piece that is sent next; waits until it is free.
    ///
    /// # Errors
    /// Nobody receives any more.
    pub fn room(&mut self) -> Result<&mut [u8]> {
        if self.left == 0 {
            self.left = file::read(self.free.by_ref(), &mut [0; PIECES])?;
            if self.left == 0 {
                return Err(Error::new(phrase!("nobody receives what is read")));
            }
        }
        // SAFETY: the piece is free, by the receiver's word or because it was not sent yet: nobody but this process, which
        // has one sender, looks at it. It is mapped as long as the process lives.
        Ok(unsafe { slice::from_raw_parts_mut(self.pieces.turn(self.sent), PIECE) })
    }

    /// Sends the start of that piece, which can still be read.
    ///
    /// # Errors
    /// Nobody receives any more.
    pub fn send(&mut self, length: usize) -> Result<&[u8]> {
        let piece = self.room()?.as_ptr();
        file::write_all(self.full.by_ref(), &(length as u32).to_ne_bytes())?;
        self.sent += 1;
        self.left -= 1;
        // SAFETY: only this sender writes to pieces, and not while what is returned borrows it.
        Ok(unsafe { slice::from_raw_parts(piece, length.min(PIECE)) })
    }
}

impl Receiver {
    /// Fills the start of `buffer` with what comes next, waiting for it, and returns how many bytes; 0 once the sender has ended.
    ///
    /// # Errors
    /// read(2), write(2).
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.at == self.length {
            if self.length != 0 {
                self.length = 0;
                self.at = 0;
                self.taken += 1;
                file::write_all(self.free.by_ref(), &[0])?;
            }
            // So few bytes are written and read as a whole, pipe(7).
            let mut length = [0; 4];
            if file::read(self.full.by_ref(), &mut length)? == 0 {
                return Ok(0);
            }
            self.length = (u32::from_ne_bytes(length) as usize).min(PIECE);
        }
        // SAFETY: the piece was sent, so nobody writes to it until this one says that it is free.
        let piece = unsafe { slice::from_raw_parts(self.pieces.turn(self.taken), self.length) };
        let left = &piece[self.at..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}
