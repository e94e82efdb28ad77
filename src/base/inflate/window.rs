//! Decoded bytes: the ones to hand out, and behind them the 32 KiB that matches may refer to.

use super::crc32::Crc32;
use super::{Box, filled, load};

/// Size of the buffer, a power of two so that a masked index is known to be inside.
const SIZE: usize = 1 << 17;
/// The farthest that a match may reach back (RFC 1951, section 2).
const HISTORY: usize = 1 << 15;
/// Bytes that a match copies at a time.
const CHUNK: usize = 16;
/// What one turn of the hot loop may write: two literals and the longest match, whose last two chunks may stand over.
const TURN: usize = 2 + 258 + 2 * CHUNK;
/// Where the window counts as full.
const FULL: usize = SIZE - TURN;

/// The extra bytes let a chunk start at any masked index.
type Buffer = [u8; SIZE + CHUNK];

/// The output buffer. Bytes are appended until it is full; when all have been handed out, the last ones move to the
/// front as history.
pub(super) struct Window {
    bytes: Box<Buffer>,
    /// Where the history begins.
    floor: usize,
    /// Up to where bytes have been handed out.
    given: usize,
    /// Up to where bytes are in the checksum.
    summed: usize,
    /// Up to where bytes are decoded.
    end: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { bytes: filled(0), floor: 0, given: 0, summed: 0, end: 0 }
    }

    /// The bytes that are to be handed out.
    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(self.given..self.end).unwrap_or_default()
    }

    /// Hands out `count` of the pending bytes.
    pub(super) fn give(&mut self, count: usize) {
        self.given = self.end.min(self.given.saturating_add(count));
    }

    /// Forgets the history: a new stream must not refer to the one before.
    pub(super) fn forget(&mut self) {
        self.floor = self.end;
    }

    /// Makes room when nothing is pending.
    pub(super) fn slide(&mut self) {
        if self.has_room() {
            return;
        }
        let kept = (self.end - self.floor).min(HISTORY);
        self.bytes.copy_within(self.end - kept..self.end, 0);
        self.floor = 0;
        (self.given, self.summed, self.end) = (kept, kept, kept);
    }

    /// Whether anything more can be decoded.
    pub(super) fn has_room(&self) -> bool {
        self.end < FULL
    }

    /// Takes the bytes that were decoded since the last time into `crc`, and tells their number.
    pub(super) fn sum(&mut self, crc: &mut Crc32) -> usize {
        let fresh = self.bytes.get(self.summed..self.end).unwrap_or_default();
        crc.update(fresh);
        self.summed = self.end;
        fresh.len()
    }

    /// Appends the start of `bytes`, at most `limit` of them, and tells how many there was room for.
    pub(super) fn append(&mut self, bytes: &[u8], limit: usize) -> usize {
        let count = bytes.len().min(limit).min(FULL.saturating_sub(self.end));
        self.bytes[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }

    /// The hot loop's access, whose [`Writer::end`] has to be given to [`Window::commit`].
    pub(super) fn writer(&mut self) -> Writer<'_> {
        Writer { floor: self.floor, end: self.end, bytes: &mut self.bytes }
    }

    /// Takes note of what a [`Writer`] has written.
    pub(super) fn commit(&mut self, end: usize) {
        self.end = end;
    }
}

/// The window with its positions in registers. All writes are to masked positions, which `is_full` keeps from changing
/// anything: the mask only stands in for the bounds check.
pub(super) struct Writer<'a> {
    bytes: &'a mut Buffer,
    floor: usize,
    end: usize,
}

impl Writer<'_> {
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Whether a turn of the hot loop might not find the room it needs.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.end >= FULL
    }

    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.end & (SIZE - 1)] = byte;
        self.end += 1;
    }

    #[inline(always)]
    fn load(&self, at: usize) -> [u8; CHUNK] {
        load(self.bytes, at & (SIZE - 1))
    }

    #[inline(always)]
    fn store(&mut self, at: usize, chunk: [u8; CHUNK]) {
        if let Some(place) = self.bytes.get_mut(at & (SIZE - 1)..).and_then(<[u8]>::first_chunk_mut) {
            *place = chunk;
        }
    }

    /// Repeats the `length` bytes from `distance` ago; false if there are none so far back. The bytes may overlap the
    /// ones being written (RFC 1951, section 3.2.3).
    #[inline(always)]
    pub(super) fn copy(&mut self, distance: usize, length: usize) -> bool {
        if distance > self.end - self.floor {
            return false;
        }
        let from = self.end - distance;
        let mut to = self.end;
        self.end += length;
        if distance >= CHUNK {
            // Two at a time: most matches are over then, and whether is well predicted.
            loop {
                let chunk = self.load(to - distance);
                self.store(to, chunk);
                let chunk = self.load(to + CHUNK - distance);
                self.store(to + CHUNK, chunk);
                to += 2 * CHUNK;
                if to >= self.end {
                    return true;
                }
            }
        }
        if distance == 1 {
            let chunk = [self.bytes[from & (SIZE - 1)]; CHUNK];
            while to < self.end {
                self.store(to, chunk);
                to += CHUNK;
            }
            return true;
        }
        // The bytes repeat with a period of `distance`, so also with twice that once they have been written twice.
        let mut period = distance;
        while to < self.end {
            let chunk = self.load(to - period);
            self.store(to, chunk);
            to += period.min(CHUNK);
            if period < CHUNK {
                period *= 2;
            }
        }
        true
    }
}
