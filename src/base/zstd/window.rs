//! Decoded bytes: those of the last block, and those before them that matches may refer to.
//!
//! A block lies in one piece. When there is no room for another one, it goes to the front, and what was there is then
//! farther back than matches may reach. What lies behind the block stays good up to `lap`.

use alloc::vec;
use alloc::vec::Vec;

use super::{BLOCK, Corrupt};

/// Bytes that are copied at a time.
const CHUNK: usize = 16;
/// What a copy may write or read behind its end, two chunks at a time.
const MARGIN: usize = 2 * CHUNK;

/// The output buffer.
pub(super) struct Window {
    bytes: Vec<u8>,
    /// How far back a match may reach.
    reach: usize,
    /// The most bytes of a block.
    block: usize,
    /// Up to where bytes have been handed out.
    given: usize,
    /// Where the block at hand begins, and where what has been decoded ends.
    start: usize,
    end: usize,
    /// Where the last block ended before the front was gone to; 0 if it was not.
    lap: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), reach: 0, block: 0, given: 0, start: 0, end: 0, lap: 0 }
    }

    /// Makes room for a frame whose matches reach back so far, and forgets the one before.
    pub(super) fn begin(&mut self, reach: usize) {
        let block = reach.min(BLOCK);
        let size = reach + block + 2 * MARGIN;
        if self.bytes.len() < size {
            // Given back before more is taken.
            self.bytes = Vec::new();
            // Pages of it become memory when they are first written to.
            self.bytes = vec![0; size];
        }
        (self.reach, self.block) = (reach, block);
        (self.given, self.start, self.end, self.lap) = (0, 0, 0, 0);
    }

    /// Adds bytes that matches may refer to, see [`super::Alike::add`].
    pub(super) fn add(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        self.end += write(self.bytes.get_mut(self.end..self.reach)?)?;
        Some(())
    }

    /// The same by whoever looks at all that is there, up to an end that it is told, and says where the new one is.
    pub(super) fn add_to_all(&mut self, write: impl FnOnce(&mut [u8], usize) -> Option<usize>) -> Option<()> {
        self.end = write(self.bytes.get_mut(..self.reach)?, self.end)?;
        Some(())
    }

    /// What matches will be able to reach back to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.reach]
    }

    /// The last bytes, from this place on.
    pub(super) fn since(&self, start: usize) -> Option<&[u8]> {
        self.bytes.get(start..self.end)
    }

    /// Where what has been decoded ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The most bytes that a block of the frame may have.
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// The bytes that are to be handed out.
    pub(super) fn pending(&self) -> &[u8] {
        self.bytes.get(self.given..self.end).unwrap_or_default()
    }

    /// Hands out `count` of the pending bytes.
    pub(super) fn give(&mut self, count: usize) {
        self.given = self.end.min(self.given.saturating_add(count));
    }

    /// Prepares for a block, when nothing is pending.
    pub(super) fn open(&mut self) {
        let room = self.block + MARGIN;
        // The frame's, not the buffer's: so what can't be reached does not depend on frames before.
        if self.end + room > self.reach + self.block + 2 * MARGIN {
            self.lap = self.end;
            self.end = 0;
        }
        self.start = self.end;
        self.given = self.end;
    }

    /// The bytes of the block at hand.
    pub(super) fn fresh(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Appends `bytes`.
    #[inline(never)]
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        if bytes.len() > self.start + self.block - self.end {
            return Err(phrase!("a block of more bytes than it may have"));
        }
        self.bytes[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(())
    }

    /// Appends `count` of the byte, no more than a block's.
    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        self.bytes[self.end..][..count].fill(byte);
        self.end += count;
    }

    /// The hot loop's access, whose [`Writer::end`] has to be given to [`Window::commit`].
    pub(super) fn writer(&mut self) -> Writer<'_> {
        let limit = self.start + self.block;
        Writer { bytes: &mut self.bytes, end: self.end, limit, lap: self.lap, reach: self.reach }
    }

    /// The bytes that were taken.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes note of what a [`Writer`] has written.
    pub(super) fn commit(&mut self, end: usize) {
        self.end = end;
    }
}

/// The window with its positions in registers.
pub(super) struct Writer<'a> {
    bytes: &'a mut [u8],
    end: usize,
    limit: usize,
    lap: usize,
    reach: usize,
}

impl Writer<'_> {
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Copies a chunk within the window; false at its end, which margins keep out of reach.
    #[inline(always)]
    fn chunk(&mut self, from: usize, to: usize) -> bool {
        let Some(&chunk) = self.bytes.get(from..).and_then(<[u8]>::first_chunk::<CHUNK>) else { return false };
        let Some(place) = self.bytes.get_mut(to..).and_then(<[u8]>::first_chunk_mut) else { return false };
        *place = chunk;
        true
    }

    /// Appends `count` of the `literals`, behind which a margin can be read.
    #[inline(always)]
    pub(super) fn literals(&mut self, literals: &[u8], mut from: usize, count: usize) -> Result<(), Corrupt> {
        let mut to = self.end;
        if count > self.limit - to {
            return Err(phrase!("a block of more bytes than it may have"));
        }
        self.end += count;
        loop {
            let place = self.bytes.get_mut(to..).and_then(<[u8]>::first_chunk_mut::<CHUNK>);
            let (Some(place), Some(chunk)) = (place, literals.get(from..).and_then(<[u8]>::first_chunk)) else { break };
            *place = *chunk;
            from += CHUNK;
            to += CHUNK;
            if to >= self.end {
                break;
            }
        }
        Ok(())
    }

    /// Repeats the `count` bytes from `distance` ago, which may overlap those that are written.
    #[inline(always)]
    pub(super) fn copy(&mut self, distance: usize, count: usize) -> Result<(), Corrupt> {
        if count > self.limit - self.end {
            return Err(phrase!("a block of more bytes than it may have"));
        }
        if distance > self.reach {
            return Err(phrase!("a distance to before the start of the data"));
        }
        let mut from = self.end.wrapping_sub(distance);
        if distance > self.end {
            let back = distance - self.end;
            if count > back || back > self.lap {
                return self.copy_around(back, count);
            }
            from = self.lap - back;
        }
        self.copy_on(from, count);
        Ok(())
    }

    /// The same from `back` before the front was gone to and on from there.
    #[inline(never)]
    fn copy_around(&mut self, back: usize, count: usize) -> Result<(), Corrupt> {
        if back > self.lap {
            return Err(phrase!("a distance to before the start of the data"));
        }
        let mut from = self.lap - back;
        for _ in 0..count {
            if from == self.lap {
                from = 0;
            }
            self.bytes[self.end] = self.bytes[from];
            self.end += 1;
            from += 1;
        }
        Ok(())
    }

    /// Copies `count` bytes, and some more, from a place that may lie behind the end.
    #[inline(always)]
    fn copy_on(&mut self, mut from: usize, count: usize) {
        let mut to = self.end;
        self.end += count;
        let distance = to.wrapping_sub(from);
        if distance >= CHUNK {
            // Two at a time: most matches are over then, and whether is well predicted.
            loop {
                if !self.chunk(from, to) || !self.chunk(from + CHUNK, to + CHUNK) {
                    return;
                }
                from += 2 * CHUNK;
                to += 2 * CHUNK;
                if to >= self.end {
                    return;
                }
            }
        }
        // The bytes repeat with a period of `distance`, so also with twice that once they have been written twice.
        let mut period = distance;
        while to < self.end && self.chunk(to - period, to) {
            to += period.min(CHUNK);
            if period < CHUNK {
                period *= 2;
            }
        }
    }
}
