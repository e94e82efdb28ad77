//! Decoding tables for the Huffman codes of deflate (RFC 1951, section 3.2.2).
//!
//! A table is looked up with as many of the next bits as its primary index has; longer codes go on in a subtable
//! behind it. An entry is ready for the hot loop, and its layout is the same for all alphabets:
//!
//! ```text
//! 31        a literal
//! 30..16    the literal, or the base of a length or distance; of a pointer, the index of the subtable
//! 15        neither literal nor length nor distance: a pointer, the end of the block, or no code at all
//! 14        a pointer to a subtable
//! 13        the end of the block
//! 11..8     length of the code without extra bits; of a pointer, the index bits of the subtable
//! 5..0      bits to drop, extra bits included
//! ```

/// Index bits of the table of literals and lengths.
pub(super) const LITERAL_BITS: u32 = 11;
/// Index bits of the table of distances.
pub(super) const DISTANCE_BITS: u32 = 9;
/// Index bits of the table of code lengths, which are never longer.
const PRECODE_BITS: u32 = 7;
/// Room for the worst code of 288 symbols with 11 primary bits, 2342 entries (zlib's `enough 288 11 15`), as the power
/// of two that makes a masked index known to be inside.
pub(super) const LITERAL_SIZE: usize = 4096;
/// The same for 32 symbols and 9 bits: 594 entries.
pub(super) const DISTANCE_SIZE: usize = 1024;

pub(super) const LITERAL: u32 = 1 << 31;
pub(super) const EXCEPTION: u32 = 1 << 15;
pub(super) const POINTER: u32 = 1 << 14;
pub(super) const END: u32 = 1 << 13;

/// Longest code of any alphabet.
const LONGEST: usize = 15;
/// Symbols of the largest alphabet.
const SYMBOLS: usize = 288;

/// What a set of code lengths stands for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Alphabet {
    /// Literals, the end of the block, and lengths.
    Literals,
    /// Distances.
    Distances,
    /// The lengths of the codes of the other two.
    Precode,
}

impl Alphabet {
    fn primary(self) -> u32 {
        match self {
            Alphabet::Literals => LITERAL_BITS,
            Alphabet::Distances => DISTANCE_BITS,
            Alphabet::Precode => PRECODE_BITS,
        }
    }

    /// The entry of `symbol`, but for its code's length: extra bits and base from the tables of RFC 1951, section
    /// 3.2.5, which follow a rule: as many symbols share a number of extra bits as would one more or two more bits.
    fn entry(self, symbol: u32) -> u32 {
        let (index, group, least) = match (self, symbol) {
            (Alphabet::Precode, _) | (Alphabet::Literals, 0..256) => return LITERAL | symbol << 16,
            (Alphabet::Literals, 256) => return EXCEPTION | END,
            // Length 258 has a symbol of its own, without extra bits.
            (Alphabet::Literals, 285) => return 258 << 16,
            (Alphabet::Literals, 257..285) => (symbol - 257, 2, 3),
            (Alphabet::Distances, 0..30) => (symbol, 1, 1),
            // Symbols 286, 287 and distances 30, 31 take part in the fixed code but never occur.
            _ => return EXCEPTION,
        };
        let extra = (index >> group).saturating_sub(1);
        let base = if extra == 0 { index } else { ((1 << group) + (index & ((1 << group) - 1))) << extra };
        (base + least) << 16 | extra
    }
}

/// Fills `table` for the code that has these `lengths` (0 for a symbol without code); whether it is one.
///
/// Refused like in zlib: codes of which there are too many, and codes that leave bit strings without meaning. Excepted
/// are a single code of one bit, and no distance codes at all, both of which RFC 1951 allows for.
pub(super) fn build(table: &mut [u32], lengths: &[u8], alphabet: Alphabet) -> bool {
    let primary = alphabet.primary();
    let mut counts = [0u16; LONGEST + 1];
    for &length in lengths {
        counts[length as usize & LONGEST] += 1;
    }
    let used = lengths.len() - counts[0] as usize;
    counts[0] = 0;
    // Bit strings of the length at hand that no code begins.
    let mut free = 1i32;
    for &count in &counts[1..] {
        free = 2 * free - count as i32;
        if free < 0 {
            return false;
        }
    }
    if free > 0 {
        let lone = used == 1 && counts[1] == 1 && alphabet != Alphabet::Precode;
        let none = used == 0 && alphabet == Alphabet::Distances;
        // One bit, so that the position of the error is behind the code that means nothing.
        table[..1 << primary].fill(EXCEPTION | 1);
        if lone {
            let symbol = lengths.iter().position(|&length| length == 1).unwrap_or(0);
            let entry = alphabet.entry(symbol as u32) + 0x0101;
            table[..1 << primary].iter_mut().step_by(2).for_each(|slot| *slot = entry);
        }
        return lone || none;
    }
    let mut sorted = [0u16; SYMBOLS];
    let mut starts = [0u16; LONGEST + 2];
    for length in 1..=LONGEST {
        starts[length + 1] = starts[length] + counts[length];
    }
    for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length != 0) {
        let place = &mut starts[length as usize & LONGEST];
        sorted[*place as usize] = symbol as u16;
        *place += 1;
    }
    fill(table, lengths, alphabet, &sorted[..used], &mut counts);
    true
}

/// Gives the `sorted` symbols their codes, one after the other, and every code its entries.
fn fill(table: &mut [u32], lengths: &[u8], alphabet: Alphabet, sorted: &[u16], counts: &mut [u16; LONGEST + 1]) {
    let primary = alphabet.primary();
    // The code, its first bit lowest as it is in the stream.
    let mut code = 0usize;
    // The primary table is filled for the shortest code and doubled for each longer one: each entry is then made once.
    let mut size = 1;
    let mut behind = 1 << primary;
    let (mut subtable, mut subtable_of) = (0, usize::MAX);
    for &symbol in sorted {
        let length = lengths[symbol as usize] as u32;
        let entry = alphabet.entry(symbol as u32);
        while size < 1 << length.min(primary) {
            table.copy_within(0..size, size);
            size *= 2;
        }
        if length <= primary {
            table[code] = entry + 0x0101 * length;
        } else {
            let low = code & ((1 << primary) - 1);
            if low != subtable_of {
                let bits = subtable_bits(counts, length, primary);
                (subtable, subtable_of) = (behind, low);
                behind += 1 << bits;
                table[low] = EXCEPTION | POINTER | (subtable as u32) << 16 | bits << 8 | primary;
            }
            let step = 1 << (length - primary);
            let entry = entry + 0x0101 * (length - primary);
            table[subtable..behind][code >> primary..].iter_mut().step_by(step).for_each(|slot| *slot = entry);
        }
        counts[length as usize] -= 1;
        code = successor(code, length);
    }
    while size < 1 << primary {
        table.copy_within(0..size, size);
        size *= 2;
    }
}

/// Index bits of a subtable whose first code has `length` bits: enough for all the codes that will fall into it.
/// `counts` are the codes still to come.
fn subtable_bits(counts: &[u16; LONGEST + 1], length: u32, primary: u32) -> u32 {
    let mut bits = length - primary;
    let mut free = 1i32 << bits;
    while let Some(&count) = counts.get((bits + primary) as usize) {
        free -= count as i32;
        if free <= 0 {
            break;
        }
        bits += 1;
        free *= 2;
    }
    bits
}

/// The code of `length` bits after `code`, counting from the highest bit down because the first bit is the lowest.
fn successor(code: usize, length: u32) -> usize {
    let mut bit = 1 << (length - 1);
    while code & bit != 0 {
        bit >>= 1;
    }
    if bit == 0 { 0 } else { (code & (bit - 1)) | bit }
}
