//! Compressed bytes, and the bits taken out of them.

use super::super::bytes::Source;
use super::{Box, filled, load};

/// Size of the input buffer, a power of two so that a masked index is known to be inside.
const SIZE: usize = 1 << 16;
/// No step of the decoder takes more than this without asking for more: the largest is the header of a dynamic block
/// (RFC 1951, section 3.2.7), 17 + 19 * 3 + 316 * (7 + 7) bits, 562 bytes.
const STEP: usize = 1024;
/// The most bytes ever held: room stays for `STEP` zeros that follow the end of the stream.
const DATA: usize = SIZE - STEP;
/// What one turn of the hot loop may load: three refills of at most seven bytes, and the eight bytes of the last load.
const TURN: usize = 32;

/// The input buffer; the eight extra bytes let a load start at any masked index.
pub(super) type Buffer = [u8; SIZE + 8];

/// A position in the input buffer, to the bit.
///
/// `held` keeps up to 63 bits ready, the next one lowest. Above `count` bits it may hold more: always a copy of what
/// `next` points to, so that a refill may set the same bits again.
#[derive(Clone, Copy)]
pub(super) struct Bits {
    held: u64,
    /// The number of bits, in the low six bits; subtracting whole table entries leaves rubbish above.
    count: u32,
    /// The index of the first byte not counted in `count`.
    next: usize,
}

impl Bits {
    /// Makes at least 56 bits ready.
    #[inline(always)]
    pub(super) fn refill(&mut self, buffer: &Buffer) {
        self.held |= u64::from_le_bytes(load(buffer, self.next & (SIZE - 1))).wrapping_shl(self.count);
        self.next += 7 - ((self.count >> 3) & 7) as usize;
        self.count |= 0b11_1000;
    }

    /// The bits that are ready, the next one lowest.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.held
    }

    /// Drops as many bits as the low six bits of `entry` say.
    #[inline(always)]
    pub(super) fn drop(&mut self, entry: u32) {
        self.held = self.held.wrapping_shr(entry);
        self.count = self.count.wrapping_sub(entry);
    }

    /// The index of the byte that the hot loop is at, for its comparison with [`Input::limit`].
    #[inline(always)]
    pub(super) fn next(&self) -> usize {
        self.next
    }

    /// Takes the next `count` bits, at most 16. Only headers come here, so that size goes before speed.
    #[inline(never)]
    pub(super) fn take(&mut self, buffer: &Buffer, count: u32) -> u32 {
        self.refill(buffer);
        let value = self.held as u32 & ((1 << count) - 1);
        self.drop(count);
        value
    }
}

/// The input buffer and how far it has been read.
pub(super) struct Input {
    pub(super) buffer: Box<Buffer>,
    pub(super) bits: Bits,
    /// End of the bytes in the buffer.
    end: usize,
    /// Offset in the stream of the first byte in the buffer.
    offset: u64,
    /// The source has no more.
    ended: bool,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { buffer: filled(0), bits: Bits { held: 0, count: 0, next: 0 }, end: 0, offset: 0, ended: false }
    }

    /// Reads from `source` until the next step has all that it may take, or the source ends. From then on zeros follow
    /// the data, which keeps the end of the stream out of the hot loop; [`Input::overrun`] tells if any were taken.
    pub(super) fn ensure<S: Source>(&mut self, source: &mut S) -> Result<(), S::Error> {
        self.give_back();
        if self.ended || self.end - self.bits.next >= STEP {
            return Ok(());
        }
        // A byte of which bits are left stays too, so that its position can be told.
        let start = self.bits.next - usize::from(self.bits.count > 0);
        self.buffer.copy_within(start..self.end, 0);
        self.offset += start as u64;
        self.end -= start;
        self.bits.next -= start;
        while self.end - self.bits.next < STEP {
            let room = &mut self.buffer[self.end..DATA];
            let most = room.len();
            match source.read(room)? {
                0 => {
                    self.ended = true;
                    self.buffer[self.end..self.end + STEP].fill(0);
                    break;
                }
                count => self.end += count.min(most),
            }
        }
        Ok(())
    }

    /// Puts whole bytes back from the bits, so that `next` is the byte after the one in use.
    fn give_back(&mut self) {
        let count = self.bits.count & 63;
        self.bits.next -= (count >> 3) as usize;
        self.bits.count = count & 7;
        self.bits.held &= (1 << self.bits.count) - 1;
    }

    /// Drops what is left of a byte that has been begun.
    pub(super) fn align(&mut self) {
        self.give_back();
        self.bits.held = 0;
        self.bits.count = 0;
    }

    /// The index before which a turn of the hot loop finds all the input that it may take.
    pub(super) fn limit(&self) -> usize {
        (if self.ended { self.end + STEP } else { self.end }).saturating_sub(TURN)
    }

    /// Whether bits were taken from behind the end of the stream.
    pub(super) fn overrun(&self) -> bool {
        self.bits.next - ((self.bits.count & 63) >> 3) as usize > self.end
    }

    /// Offset in the stream of the byte that the next bit is in.
    pub(super) fn position(&self) -> u64 {
        let whole = (self.bits.count as usize & 63).div_ceil(8);
        self.offset + (self.bits.next - whole).min(self.end) as u64
    }

    /// The whole bytes in the buffer. Only after [`Input::align`].
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.bits.next..self.end).unwrap_or_default()
    }

    /// Drops `count` of the bytes that [`Input::bytes`] gave.
    pub(super) fn skip(&mut self, count: usize) {
        self.bits.next += count;
    }
}
