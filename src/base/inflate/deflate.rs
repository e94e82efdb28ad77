//! The deflate format (RFC 1951): blocks, and the symbols in them.

use super::huffman::{
    Alphabet, DISTANCE_BITS, DISTANCE_SIZE, END, EXCEPTION, LITERAL, LITERAL_BITS, LITERAL_SIZE, POINTER, build,
};
use super::input::{Bits, Buffer, Input};
use super::window::Window;
use super::{Box, filled};
use crate::base::phrase::Phrase;

/// The order in which a dynamic block tells the lengths of the precode (RFC 1951, section 3.2.7).
const PRECODE_ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is wrong with the stream.
pub(super) type Corrupt = Phrase;

/// Where in a block the decoder is.
#[derive(Clone, Copy)]
enum Place {
    /// Before a block's header.
    Header,
    /// In a stored block of which so many bytes are left.
    Stored(usize),
    /// In a compressed block.
    Symbols,
}

/// A decoder of deflate streams.
pub(super) struct Deflate {
    literals: Box<[u32; LITERAL_SIZE]>,
    /// Also the table of the precode, which is done with before the distances are known.
    distances: Box<[u32; DISTANCE_SIZE]>,
    place: Place,
    /// The block at hand is the last one.
    last: bool,
    /// The tables are those of the fixed codes.
    fixed: bool,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self { literals: filled(0), distances: filled(0), place: Place::Header, last: false, fixed: false }
    }

    /// Prepares for a new stream.
    pub(super) fn reset(&mut self) {
        self.place = Place::Header;
        self.last = false;
    }

    /// Decodes some more, after [`Input::ensure`]; whether the stream has come to its end. Each call takes some input
    /// unless the window is full or the input has ended. Out of line, lest every kind of source has a copy of it.
    #[inline(never)]
    pub(super) fn step(&mut self, input: &mut Input, window: &mut Window) -> Result<bool, Corrupt> {
        match self.place {
            Place::Header => self.header(input)?,
            Place::Stored(0) => return Ok(self.end_block()),
            Place::Stored(left) => {
                let count = window.append(input.bytes(), left);
                input.skip(count);
                if count == 0 && window.has_room() {
                    // Nothing to copy and room to copy to: this makes the overrun that the caller looks for.
                    input.skip(1);
                }
                self.place = Place::Stored(left - count);
            }
            Place::Symbols => {
                let limit = input.limit();
                if symbols(&self.literals, &self.distances, &input.buffer, &mut input.bits, limit, window)? {
                    return Ok(self.end_block());
                }
            }
        }
        Ok(false)
    }

    fn end_block(&mut self) -> bool {
        self.place = Place::Header;
        self.last
    }

    /// Reads the header of a block and prepares for its content (RFC 1951, section 3.2.3).
    fn header(&mut self, input: &mut Input) -> Result<(), Corrupt> {
        self.last = input.bits.take(&input.buffer, 1) != 0;
        self.place = match input.bits.take(&input.buffer, 2) {
            0 => {
                input.align();
                let length = input.bits.take(&input.buffer, 16);
                let complement = input.bits.take(&input.buffer, 16);
                if length != complement ^ 0xFFFF {
                    return Err(phrase!("a stored block's length contradicts its complement"));
                }
                input.align();
                Place::Stored(length as usize)
            }
            1 => {
                self.fixed_codes();
                Place::Symbols
            }
            2 => {
                self.fixed = false;
                self.dynamic_codes(input)?;
                Place::Symbols
            }
            _ => return Err(phrase!("a block of the reserved type")),
        };
        Ok(())
    }

    /// The fixed codes (RFC 1951, section 3.2.6).
    fn fixed_codes(&mut self) {
        if !self.fixed {
            let mut lengths = [8; 288];
            lengths[144..256].fill(9);
            lengths[256..280].fill(7);
            build(&mut *self.literals, &lengths, Alphabet::Literals);
            build(&mut *self.distances, &[5; 32], Alphabet::Distances);
            self.fixed = true;
        }
    }

    /// Reads the codes of a dynamic block (RFC 1951, section 3.2.7).
    fn dynamic_codes(&mut self, input: &mut Input) -> Result<(), Corrupt> {
        let Input { buffer, bits, .. } = input;
        let literals = bits.take(buffer, 5) as usize + 257;
        let distances = bits.take(buffer, 5) as usize + 1;
        let precodes = bits.take(buffer, 4) as usize + 4;
        if literals > 286 || distances > 30 {
            return Err(phrase!("more codes than there are symbols"));
        }
        let mut lengths = [0u8; 19];
        for &symbol in &PRECODE_ORDER[..precodes] {
            lengths[symbol as usize] = bits.take(buffer, 3) as u8;
        }
        if !build(&mut *self.distances, &lengths, Alphabet::Precode) {
            return Err(phrase!("the lengths of the code length codes make no code"));
        }
        let mut lengths = [0u8; 286 + 30];
        self.code_lengths(buffer, bits, &mut lengths[..literals + distances])?;
        if lengths[256] == 0 {
            return Err(phrase!("a block without a code for its end"));
        }
        let (literals, distances) = lengths[..literals + distances].split_at(literals);
        if !build(&mut *self.literals, literals, Alphabet::Literals) {
            return Err(phrase!("the lengths of the literal codes make no code"));
        }
        if !build(&mut *self.distances, distances, Alphabet::Distances) {
            return Err(phrase!("the lengths of the distance codes make no code"));
        }
        Ok(())
    }

    /// Reads code lengths, themselves coded by the precode in the table of distances, until `lengths` is full.
    fn code_lengths(&self, buffer: &Buffer, bits: &mut Bits, lengths: &mut [u8]) -> Result<(), Corrupt> {
        let mut at = 0;
        while at < lengths.len() {
            bits.refill(buffer);
            let entry = self.distances[bits.peek() as usize & 127];
            bits.drop(entry);
            let (length, times) = match (entry >> 16) & 0xFF {
                length @ 0..16 => (length as u8, 1),
                16 if at == 0 => return Err(phrase!("a repeated code length before the first")),
                16 => (lengths[at - 1], 3 + bits.take(buffer, 2) as usize),
                17 => (0, 3 + bits.take(buffer, 3) as usize),
                _ => (0, 11 + bits.take(buffer, 7) as usize),
            };
            lengths.get_mut(at..at + times).ok_or(phrase!("more code lengths than codes"))?.fill(length);
            at += times;
        }
        Ok(())
    }
}

/// The bits that follow a length's or distance's code in `bits`, as seen before dropping `entry`.
#[inline(always)]
fn extra(bits: u64, entry: u32) -> u32 {
    (bits & !(!0u64).wrapping_shl(entry)) as u32 >> ((entry >> 8) & 15)
}

/// The entry that the code at the start of `bits` has in a subtable of `table`, once `pointer`'s bits are dropped.
#[inline(always)]
fn follow<const N: usize>(table: &[u32; N], pointer: u32, bits: u64) -> u32 {
    let low = bits as u32 & ((1 << ((pointer >> 8) & 15)) - 1);
    table[((pointer >> 16) + low) as usize & (N - 1)]
}

/// The hot loop: decodes symbols until the input is at `limit`, the window is full, or the block ends, which it tells.
///
/// Each turn begins with the next entry already looked up, so that this need not wait for the copying of a match. At
/// least 56 bits are ready after a refill. Two literals that are not in a subtable take 22 of them at most, and a
/// length 20 more; the 28 of a distance need a second refill.
fn symbols(
    literals: &[u32; LITERAL_SIZE],
    distances: &[u32; DISTANCE_SIZE],
    buffer: &Buffer,
    place: &mut Bits,
    limit: usize,
    window: &mut Window,
) -> Result<bool, Corrupt> {
    const MASK: usize = (1 << LITERAL_BITS) - 1;
    let mut bits = *place;
    let mut output = window.writer();
    bits.refill(buffer);
    let mut entry = literals[bits.peek() as usize & MASK];
    let result = loop {
        if bits.next() >= limit || output.is_full() {
            break Ok(false);
        }
        if entry & LITERAL != 0 {
            bits.drop(entry);
            output.push((entry >> 16) as u8);
            entry = literals[bits.peek() as usize & MASK];
            if entry & LITERAL != 0 {
                bits.drop(entry);
                output.push((entry >> 16) as u8);
                entry = literals[bits.peek() as usize & MASK];
                if entry & LITERAL != 0 {
                    bits.drop(entry);
                    output.push((entry >> 16) as u8);
                    bits.refill(buffer);
                    entry = literals[bits.peek() as usize & MASK];
                    continue;
                }
            }
        }
        if entry & EXCEPTION != 0 {
            if entry & POINTER != 0 {
                bits.drop(entry);
                entry = follow(literals, entry, bits.peek());
                if entry & LITERAL != 0 {
                    bits.drop(entry);
                    output.push((entry >> 16) as u8);
                    bits.refill(buffer);
                    entry = literals[bits.peek() as usize & MASK];
                    continue;
                }
            }
            if entry & EXCEPTION != 0 {
                bits.drop(entry);
                break if entry & END != 0 { Ok(true) } else { Err(phrase!("a code that stands for nothing")) };
            }
        }
        let length = (entry >> 16) + extra(bits.peek(), entry);
        bits.drop(entry);
        bits.refill(buffer);
        entry = distances[bits.peek() as usize & ((1 << DISTANCE_BITS) - 1)];
        if entry & EXCEPTION != 0 {
            bits.drop(entry);
            if entry & POINTER == 0 {
                break Err(phrase!("a distance code that stands for nothing"));
            }
            entry = follow(distances, entry, bits.peek());
            if entry & EXCEPTION != 0 {
                break Err(phrase!("a distance code that stands for nothing"));
            }
        }
        let distance = (entry >> 16) + extra(bits.peek(), entry);
        bits.drop(entry);
        bits.refill(buffer);
        entry = literals[bits.peek() as usize & MASK];
        if !output.copy(distance as usize, length as usize) {
            break Err(phrase!("a distance to before the start of the data"));
        }
    };
    let end = output.end();
    window.commit(end);
    *place = bits;
    result
}
