//! Huffman codes of literals (RFC 8878, section 4.2).

use super::bits::{Bits, top};
use super::fse::{Alphabet, Table};
use super::input::{Buffer, Input};
use super::{Box, Corrupt, filled};

/// The longest code.
const LONGEST: u32 = 11;
/// Symbols that are decoded from bits looked at once: five of eleven bits are less than 57.
const BATCH: usize = 5;

/// A table of codes: the next eleven bits give the symbol, in the high byte, and the length of its code.
pub(super) struct Huffman {
    table: Box<[u16; 1 << LONGEST]>,
    /// There is something to decode with.
    known: bool,
}

impl Huffman {
    pub(super) fn new() -> Self {
        Self { table: filled(0), known: false }
    }

    /// Has no codes any more.
    pub(super) fn forget(&mut self) {
        self.known = false;
    }

    #[inline(never)]
    /// Reads a description of codes (RFC 8878, section 4.2.1) of a part of the input that ends at `end`.
    pub(super) fn read(&mut self, scratch: &mut Table, input: &mut Input, end: usize) -> Result<(), Corrupt> {
        let mut weights = [0u8; 256];
        let head = input.take(1, end)?;
        let count = if head < 128 {
            let end = input.next + head.min(end - input.next);
            coded(scratch, input, end, &mut weights)?
        } else {
            let count = head - 127;
            let from = input.next;
            input.advance(count.div_ceil(2), end)?;
            for (at, weight) in weights[..count].iter_mut().enumerate() {
                *weight = input.buffer[from + at / 2] >> (4 * (!at & 1)) & 15;
            }
            count
        };
        self.known = false;
        if !self.build(&mut weights, count) {
            return Err(phrase!("weights that make no Huffman code"));
        }
        self.known = true;
        Ok(())
    }

    #[inline(never)]
    /// Fills the table for these weights of `count` symbols and that of the next one, which follows from them
    /// (RFC 8878, section 4.2.1); whether they make a code.
    fn build(&mut self, weights: &mut [u8; 256], count: usize) -> bool {
        let mut sum = 0u32;
        for &weight in &*weights {
            sum += (1 << weight) >> 1;
        }
        // A sum that is already a power of two leaves another such sum for the last symbol.
        let Some(log) = sum.checked_ilog2().map(|log| log + 1).filter(|log| *log <= LONGEST) else { return false };
        let rest = (1 << log) - sum;
        let Some(last) = weights.get_mut(count) else { return false };
        *last = rest.ilog2() as u8 + 1;
        // Codes of the longest length come in pairs, since the sum is even, and there must be some.
        if !rest.is_power_of_two() || !weights.contains(&1) {
            return false;
        }
        let mut at = 0;
        for weight in 1..=log {
            for (symbol, _) in weights.iter().enumerate().filter(|(_, known)| u32::from(**known) == weight) {
                // So many entries for each, since the index is always of the longest code's length.
                let end = at + (1 << (weight - 1 + LONGEST - log));
                let entry = (symbol << 8) as u16 | (log + 1 - weight) as u16;
                if let Some(places) = self.table.get_mut(at..end) {
                    places.fill(entry);
                }
                at = end;
            }
        }
        true
    }

    #[inline(never)]
    /// Decodes into `output` the one or four streams that the input has up to `end` (RFC 8878, section 3.1.1.3.1.6).
    pub(super) fn decode(&self, input: &mut Input, end: usize, four: bool, output: &mut [u8]) -> Result<(), Corrupt> {
        if !self.known {
            return Err(phrase!("literals that need the codes of a block before, which has none"));
        }
        let count = if four { 4 } else { 1 };
        let each = output.len().div_ceil(count);
        let mut lengths = [usize::MAX; 4];
        for length in &mut lengths[..count - 1] {
            *length = input.take(2, end)?;
        }
        let mut start = input.next;
        let mut streams = [Bits::default(); 4];
        for (stream, length) in streams[..count].iter_mut().zip(lengths) {
            let behind = start + length.min(end - start);
            *stream = Bits::new(&input.buffer, start, behind)?;
            start = behind;
        }
        let mut done = 0;
        if four {
            // The last one has what is left, which may be less.
            let Some(least) = output.len().checked_sub(3 * each) else {
                return Err(phrase!("four streams for fewer literals"));
            };
            done = together(&self.table, &input.buffer, &mut streams, output, each, least);
        }
        let mut from = 0;
        for stream in &mut streams[..count] {
            let end = output.len().min(from + each);
            finish(&self.table, &input.buffer, stream, &mut output[from + done..end])?;
            from = end;
        }
        Ok(())
    }
}

/// Reads weights that are coded themselves, up to `end` (RFC 8878, section 4.2.1.2); how many.
#[inline(never)]
fn coded(table: &mut Table, input: &mut Input, end: usize, weights: &mut [u8; 256]) -> Result<usize, Corrupt> {
    table.read(Alphabet::Weights, input, end)?;
    let mut bits = Bits::new(&input.buffer, input.next, end)?;
    input.next = end;
    let mut states = [bits.take(&input.buffer, table.log), bits.take(&input.buffer, table.log)];
    let mut count = 0;
    // The last symbol of all 256 has no weight here.
    while count < 254 {
        let [now, then] = states;
        let entry = table.entries[now & 63];
        weights[count] = entry as u8;
        count += 1;
        let needed = (entry >> 40) as u32 & 15;
        if bits.left() < needed as isize {
            weights[count] = table.entries[then & 63] as u8;
            return Ok(count + 1);
        }
        states = [then, (entry >> 48) as usize + bits.take(&input.buffer, needed)];
    }
    Err(phrase!("more weights than symbols"))
}

/// The hot loop: decodes of all four streams, whose symbols begin `each` bytes apart, as many as are surely among the
/// `least` that the last of them has; how many.
#[inline(never)]
fn together(
    table: &[u16; 1 << LONGEST],
    buffer: &Buffer,
    streams: &mut [Bits; 4],
    output: &mut [u8],
    each: usize,
    least: usize,
) -> usize {
    let mut done = 0;
    while done + BATCH <= least {
        let mut at = done;
        for stream in streams.iter_mut() {
            batch(table, stream.peek(buffer), stream, output, at);
            at += each;
        }
        done += BATCH;
    }
    done
}

#[inline(always)]
fn batch(table: &[u16; 1 << LONGEST], mut word: u64, stream: &mut Bits, output: &mut [u8], at: usize) {
    let Some(places) = output.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<BATCH>) else { return };
    let mut used = 0;
    places[0] = symbol(table, &mut word, &mut used);
    places[1] = symbol(table, &mut word, &mut used);
    places[2] = symbol(table, &mut word, &mut used);
    places[3] = symbol(table, &mut word, &mut used);
    places[4] = symbol(table, &mut word, &mut used);
    stream.drop(used & 0xFF);
}

/// Takes a symbol off `word`, and adds the length of its code to the low byte of `used`.
#[inline(always)]
fn symbol(table: &[u16; 1 << LONGEST], word: &mut u64, used: &mut usize) -> u8 {
    let entry = table[top(*word, LONGEST) as usize & ((1 << LONGEST) - 1)];
    *word = word.wrapping_shl(u32::from(entry));
    *used += usize::from(entry);
    (entry >> 8) as u8
}

/// Decodes one stream to its end.
#[inline(never)]
fn finish(table: &[u16; 1 << LONGEST], buffer: &Buffer, stream: &mut Bits, output: &mut [u8]) -> Result<(), Corrupt> {
    for place in output {
        let mut used = 0;
        *place = symbol(table, &mut stream.peek(buffer), &mut used);
        stream.drop(used & 0xFF);
    }
    stream.finish()
}
