//! Bits of a stream that is read from its end to its start, as entropy-coded data is (RFC 8878, section 4.1).

use super::input::{Buffer, SIZE};
use super::{Corrupt, load};

/// What is left of such a stream in the input buffer.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits {
    /// Where the bits that were taken begin, in bits from the buffer's start. Taking more than there is goes on into
    /// what stands before, and wraps in the end; [`Bits::left`] tells.
    at: usize,
    /// Where the stream begins, in bits.
    start: usize,
}

impl Bits {
    /// The stream of the bytes from `start` to `end`. Its last byte holds a highest set bit, behind the first to be read.
    #[inline(never)]
    pub(super) fn new(buffer: &Buffer, start: usize, end: usize) -> Result<Self, Corrupt> {
        let last = buffer[(end - 1) & (SIZE - 1)];
        if start >= end || last == 0 {
            return Err(phrase!("a bit stream without an end mark"));
        }
        Ok(Self { at: end * 8 - 1 - last.leading_zeros() as usize, start: start * 8 })
    }

    /// At least the next 57 bits, the next one highest.
    #[inline(always)]
    pub(super) fn peek(&self, buffer: &Buffer) -> u64 {
        let end = self.at.wrapping_add(7) >> 3;
        // A mask stands in for the bounds check. What it changes is far before the stream.
        let bytes = load(buffer, end.wrapping_sub(8) & (SIZE - 1));
        u64::from_le_bytes(bytes).wrapping_shl((end * 8).wrapping_sub(self.at) as u32)
    }

    /// Drops `count` bits.
    #[inline(always)]
    pub(super) fn drop(&mut self, count: usize) {
        self.at = self.at.wrapping_sub(count);
    }

    /// Takes `count` bits, at most 57.
    #[inline(never)]
    pub(super) fn take(&mut self, buffer: &Buffer, count: u32) -> usize {
        let value = top(self.peek(buffer), count);
        self.drop(count as usize);
        value as usize
    }

    /// How many bits are left; less than none when more were taken than there were.
    pub(super) fn left(&self) -> isize {
        self.at.wrapping_sub(self.start) as isize
    }

    /// Says so if the stream was not read to its very start.
    pub(super) fn finish(&self) -> Result<(), Corrupt> {
        if self.left() == 0 { Ok(()) } else { Err(phrase!("a bit stream of another length than its symbols")) }
    }
}

/// The highest bits of `word`, as many as the low six bits of `count` say.
#[inline(always)]
pub(super) fn top(word: u64, count: u32) -> u64 {
    (word >> 1).wrapping_shr(!count)
}
