//! Compressed blocks (RFC 8878, section 3.1.1.3): literals, and sequences that say where they go and what is repeated.

use super::bits::{Bits, top};
use super::fse::{Alphabet, SIZE, Table};
use super::huffman::Huffman;
use super::input::{Buffer, Input};
use super::window::Window;
use super::{BLOCK, Box, Corrupt, filled};

/// Bytes behind the literals that may be copied with them.
const MARGIN: usize = 32;
/// The last three offsets at the start of a frame (RFC 8878, section 3.1.1.5).
const OFFSETS: [usize; 3] = [1, 4, 8];

/// The literals of a block.
enum Literals {
    /// They stand in the input, from there on.
    There(usize),
    /// They are in the decoder's buffer.
    Here,
}

/// A decoder of compressed blocks, and what it keeps from one to the next.
pub(super) struct Decoder {
    literals: Box<[u8; BLOCK + MARGIN]>,
    huffman: Huffman,
    /// One for each [`Alphabet`].
    tables: Box<[Table; 4]>,
    offsets: [usize; 3],
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { literals: filled(0), huffman: Huffman::new(), tables: filled(Table::UNKNOWN), offsets: OFFSETS }
    }

    /// Prepares for a new frame.
    pub(super) fn reset(&mut self) {
        self.huffman.forget();
        for table in self.tables.iter_mut() {
            table.known = false;
        }
        self.offsets = OFFSETS;
    }

    /// Decodes a block with this header, of which as many bytes are in the buffer as there are.
    #[inline(never)]
    pub(super) fn block(&mut self, head: usize, input: &mut Input, window: &mut Window) -> Result<(), Corrupt> {
        let (form, size) = ((head >> 1) & 3, head >> 3);
        if size > window.block() {
            return Err(phrase!("a block of more bytes than it may have"));
        }
        let from = input.next;
        let held = if form == 1 { 1 } else { size };
        input.need(held)?;
        window.open();
        match form {
            0 => window.append(&input.buffer[from..from + size])?,
            1 => window.repeat(input.buffer[from], size),
            2 => self.decode(input, from + size, window)?,
            _ => return Err(phrase!("a block of the reserved type")),
        }
        input.next = from + held;
        Ok(())
    }

    /// Decodes the block that the input has up to `end`.
    fn decode(&mut self, input: &mut Input, end: usize, window: &mut Window) -> Result<(), Corrupt> {
        let (literals, size) = self.literals(input, end, window.block())?;
        let mut count = input.take(1, end)?;
        if count == 255 {
            count = input.take(2, end)? + 0x7F00;
        } else if count >= 128 {
            count = (count - 128) << 8 | input.take(1, end)?;
        }
        if count > 0 {
            self.codes(input, end)?;
        }
        let literals = match literals {
            Literals::There(from) => &input.buffer[from..],
            Literals::Here => &self.literals[..],
        };
        let from = match count {
            0 if input.next < end => return Err(phrase!("something behind the literals of a block without sequences")),
            0 => 0,
            _ => {
                let bits = Bits::new(&input.buffer, input.next, end)?;
                sequences(
                    &self.tables,
                    &input.buffer,
                    bits,
                    count,
                    &literals[..size + MARGIN],
                    &mut self.offsets,
                    window,
                )?
            }
        };
        window.append(&literals[from..size])
    }

    #[inline(never)]
    /// Reads the literals (RFC 8878, section 3.1.1.3.1); where they are, and how many.
    fn literals(&mut self, input: &mut Input, end: usize, most: usize) -> Result<(Literals, usize), Corrupt> {
        let head = input.peek();
        let (form, format) = (head & 3, (head >> 2) & 3);
        let (bytes, bits) = match (form >> 1, format) {
            (0, 1) => (2, 12),
            (0, 3) => (3, 20),
            (0, _) => (1, 5),
            (_, 0 | 1) => (3, 10),
            (_, 2) => (4, 14),
            _ => (5, 18),
        };
        input.advance(bytes, end)?;
        let number = head & (u64::MAX >> (64 - 8 * bytes));
        if form < 2 {
            let size = (number >> (8 * bytes - bits)) as usize;
            if size > most {
                return Err(phrase!("more literals than a block may have"));
            }
            let from = input.next;
            if form == 0 {
                input.advance(size, end)?;
                return Ok((Literals::There(from), size));
            }
            let byte = input.take(1, end)? as u8;
            self.literals[..size].fill(byte);
            return Ok((Literals::Here, size));
        }
        let size = (number >> 4) as usize & ((1 << bits) - 1);
        if size > most {
            return Err(phrase!("more literals than a block may have"));
        }
        let from = input.next;
        let length = (number >> (4 + bits)) as usize;
        if length > end - from || length == 0 {
            return Err(phrase!("literals that are longer than their block"));
        }
        let end = from + length;
        if form == 2 {
            self.huffman.read(&mut self.tables[Alphabet::Weights as usize], input, end)?;
        }
        self.huffman.decode(input, end, format != 0, &mut self.literals[..size])?;
        input.next = end;
        Ok((Literals::Here, size))
    }

    #[inline(never)]
    /// Reads the tables that the sequences are coded with (RFC 8878, section 3.1.1.3.2.1).
    fn codes(&mut self, input: &mut Input, end: usize) -> Result<(), Corrupt> {
        let modes = input.take(1, end)?;
        if modes & 3 != 0 {
            return Err(phrase!("reserved bits in the header of sequences"));
        }
        let alphabets = [Alphabet::LiteralLengths, Alphabet::Offsets, Alphabet::MatchLengths];
        for (table, alphabet) in self.tables.iter_mut().zip(alphabets) {
            match (modes << (2 * alphabet as usize)) >> 6 & 3 {
                0 => table.predefined(alphabet),
                1 => table.repeat(alphabet, input.take(1, end)?)?,
                2 => table.read(alphabet, input, end)?,
                _ if table.known => {}
                _ => return Err(phrase!("sequences that need the table of a block before, which has none")),
            }
        }
        Ok(())
    }
}

/// The hot loop: decodes the sequences and does what they say (RFC 8878, sections 3.1.1.3.2.1.2 and 3.1.1.4). Behind the
/// literals there is a margin; the number of those that were used is returned.
///
/// 57 bits are ready after a look: enough for an offset, 31 bits at most, and the length of a match, 16; and then for the
/// length of the literals, 16 more, and three states, 26.
#[inline(never)]
fn sequences(
    [lengths, distances, matches, _]: &[Table; 4],
    buffer: &Buffer,
    mut bits: Bits,
    count: usize,
    literals: &[u8],
    offsets: &mut [usize; 3],
    window: &mut Window,
) -> Result<usize, Corrupt> {
    let size = literals.len() - MARGIN;
    let mut states = [bits.take(buffer, lengths.log), bits.take(buffer, distances.log), bits.take(buffer, matches.log)];
    let (lengths, distances, matches) = (&lengths.entries, &distances.entries, &matches.entries);
    let mut output = window.writer();
    let mut from = 0;
    for left in (0..count).rev() {
        let length = lengths[states[0] % SIZE];
        let distance = distances[states[1] % SIZE];
        let matched = matches[states[2] % SIZE];
        let mut word = bits.peek(buffer);
        let value = add(&mut word, distance as u32, distance >> 32);
        let matching = add(&mut word, matched as u32, matched >> 32);
        bits.drop(low(distance >> 32) + low(matched >> 32));
        let mut word = bits.peek(buffer);
        let literal = add(&mut word, length as u32, length >> 32);
        let mut used = low(length >> 32);
        if left > 0 {
            states[0] = add(&mut word, (length >> 48) as u32, length >> 40);
            states[2] = add(&mut word, (matched >> 48) as u32, matched >> 40);
            states[1] = add(&mut word, (distance >> 48) as u32, distance >> 40);
            used += low(length >> 40) + low(matched >> 40) + low(distance >> 40);
        }
        bits.drop(used);
        let [last, second, third] = *offsets;
        // A repeated offset: without literals the last one would have made the match before longer.
        *offsets = match if value > 3 { 4 } else { value + usize::from(literal == 0) } {
            4 if value > 3 => [value - 3, last, second],
            1 => [last, second, third],
            2 => [second, last, third],
            3 => [third, last, second],
            _ => [last - 1, last, second],
        };
        if offsets[0] == 0 {
            return Err(phrase!("a distance of nothing"));
        }
        if literal > size - from {
            return Err(phrase!("sequences of more literals than there are"));
        }
        output.literals(literals, from, literal)?;
        from += literal;
        output.copy(offsets[0], matching)?;
    }
    bits.finish()?;
    let end = output.end();
    window.commit(end);
    Ok(from)
}

/// Adds to `base` as many of the highest bits of `word` as the low six bits of `count` say, and drops them there.
#[inline(always)]
fn add(word: &mut u64, base: u32, count: u64) -> usize {
    let value = base as usize + top(*word, count as u32) as usize;
    *word = word.wrapping_shl(count as u32);
    value
}

/// The number in the lowest byte.
#[inline(always)]
fn low(word: u64) -> usize {
    word as usize & 0xFF
}
