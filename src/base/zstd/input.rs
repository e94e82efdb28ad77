//! Compressed bytes: always a whole block of them at once.

use super::super::bytes::Source;
use super::{Box, Corrupt, filled, load};

/// Size of the buffer without its margin, a power of two so that a masked index is known to be inside. The largest block
/// fits, and then some.
pub(super) const SIZE: usize = 1 << 18;
/// Where the data begins, so that eight bytes before the end of any part of it can be loaded.
const FRONT: usize = 8;
/// Bytes behind the data that literals may be copied with.
const MARGIN: usize = 64;

/// The input buffer.
pub(super) type Buffer = [u8; SIZE + MARGIN];

/// The input buffer and how far it has been read.
pub(super) struct Input {
    pub(super) buffer: Box<Buffer>,
    /// The next byte.
    pub(super) next: usize,
    /// End of the bytes in the buffer.
    end: usize,
    /// Offset in the stream of the first byte in the buffer, modulo 2⁶⁴.
    offset: u64,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { buffer: filled(0), next: FRONT, end: FRONT, offset: (FRONT as u64).wrapping_neg() }
    }

    /// Reads from `source` until the next `count` bytes are in the buffer, or all that there are.
    pub(super) fn ensure<S: Source>(&mut self, source: &mut S, count: usize) -> Result<(), S::Error> {
        if self.next + count > self.end {
            self.buffer.copy_within(self.next..self.end, FRONT);
            self.offset = self.offset.wrapping_add((self.next - FRONT) as u64);
            self.end = FRONT + self.end - self.next;
            self.next = FRONT;
        }
        while self.next + count > self.end {
            let room = &mut self.buffer[self.end..SIZE];
            let most = room.len();
            match source.read(room)? {
                0 => break,
                count => self.end += count.min(most),
            }
        }
        Ok(())
    }

    /// How many bytes are in the buffer.
    pub(super) fn held(&self) -> usize {
        self.end - self.next
    }

    /// Offset in the stream of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.offset.wrapping_add(self.next as u64)
    }

    /// The next bytes as a number, the lowest first; they may be behind the data.
    pub(super) fn peek(&self) -> u64 {
        u64::from_le_bytes(load(&*self.buffer, self.next))
    }

    /// Takes `count` bytes, at most four, of a part that ends at `end`.
    pub(super) fn take(&mut self, count: usize, end: usize) -> Result<usize, Corrupt> {
        let number = self.peek() as usize & (0xFFFF_FFFF >> (32 - 8 * count));
        self.advance(count, end)?;
        Ok(number)
    }

    /// Goes on behind the next `count` bytes of a part that ends at `end`.
    pub(super) fn advance(&mut self, count: usize, end: usize) -> Result<(), Corrupt> {
        if count > end - self.next {
            return Err(phrase!("a block that is shorter than its content"));
        }
        self.next += count;
        Ok(())
    }

    /// Takes `count` bytes, at most eight, outside of blocks.
    pub(super) fn number(&mut self, count: usize) -> Result<u64, Corrupt> {
        let mut bytes = self.peek().to_le_bytes();
        bytes[count..].fill(0);
        self.need(count)?;
        self.next += count;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Says so, at the end of the data, if there are no more `count` bytes.
    pub(super) fn need(&mut self, count: usize) -> Result<(), Corrupt> {
        if count > self.held() {
            self.next = self.end;
            return Err(phrase!("the data ends too early"));
        }
        Ok(())
    }
}
