//! Decoding tables for finite state entropy (RFC 8878, section 4.1).
//!
//! An entry says what its state stands for and how to find the next state, ready for the hot loop:
//!
//! ```text
//! 63..48    the least of the states that may follow
//! 47..40    bits to read and add to it
//! 39..32    extra bits of the symbol
//! 31..0     the symbol, or the base of the length or offset that it stands for
//! ```

use super::input::Input;
use super::{Corrupt, load};

/// States of the largest table.
pub(super) const SIZE: usize = 512;
/// More symbols than any alphabet has.
const SYMBOLS: usize = 64;

/// What symbols stand for. The number is the place among a decoder's tables.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Alphabet {
    LiteralLengths,
    Offsets,
    MatchLengths,
    /// The weights of Huffman codes.
    Weights,
}

/// Extra bits of the literal lengths' symbols from 16 on (RFC 8878, section 3.1.1.3.2.1.1).
const LITERAL_EXTRA: &[u8] = &[1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// Extra bits of the match lengths' symbols from 32 on.
const MATCH_EXTRA: &[u8] = &[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// Extra bits of the offsets' symbols.
const OFFSET_EXTRA: &[u8] = &[
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    31,
];

/// The predefined distributions (RFC 8878, section 3.1.1.3.2.2).
#[rustfmt::skip]
const LITERALS: &[i8] = &[
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
];
#[rustfmt::skip]
const OFFSETS: &[i8] = &[
    1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
];
#[rustfmt::skip]
const MATCHES: &[i8] = &[
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];

impl Alphabet {
    /// How many symbols there are, and the most bits that a table's index may have (RFC 8878, section 3.1.1.3.2.1).
    fn limits(self) -> (usize, u32) {
        match self {
            Alphabet::LiteralLengths => (36, 9),
            Alphabet::Offsets => (32, 8),
            Alphabet::MatchLengths => (53, 9),
            Alphabet::Weights => (12, 6),
        }
    }

    /// What each symbol stands for: the low half of its entries. As many extra bits as a symbol has, so many numbers it
    /// stands for, and the next one for those behind them.
    #[inline(never)]
    fn meanings(self) -> [u64; SYMBOLS] {
        let mut meanings = [0; SYMBOLS];
        let (plain, extra, mut base) = match self {
            Alphabet::LiteralLengths => (16, LITERAL_EXTRA, 0),
            Alphabet::MatchLengths => (32, MATCH_EXTRA, 3),
            Alphabet::Offsets => (0, OFFSET_EXTRA, 1),
            Alphabet::Weights => (SYMBOLS, OFFSET_EXTRA, 0),
        };
        for (symbol, meaning) in meanings.iter_mut().enumerate() {
            let bits = symbol.checked_sub(plain).and_then(|at| extra.get(at)).map_or(0, |bits| u64::from(*bits));
            *meaning = bits << 32 | base;
            base += 1 << bits;
        }
        meanings
    }
}

/// A table.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) entries: [u64; SIZE],
    /// Bits of the first state.
    pub(super) log: u32,
    /// There is something to decode with.
    pub(super) known: bool,
}

impl Table {
    /// What stands for nothing yet.
    pub(super) const UNKNOWN: Table = Table { entries: [0; SIZE], log: 0, known: false };

    /// Has every symbol be this one.
    pub(super) fn repeat(&mut self, alphabet: Alphabet, symbol: usize) -> Result<(), Corrupt> {
        let (symbols, _) = alphabet.limits();
        if symbol >= symbols {
            return Err(phrase!("a symbol that stands for nothing"));
        }
        self.entries[0] = alphabet.meanings()[symbol];
        self.log = 0;
        self.known = true;
        Ok(())
    }

    /// Takes the distribution that RFC 8878 gives.
    pub(super) fn predefined(&mut self, alphabet: Alphabet) {
        let (log, distribution) = match alphabet {
            Alphabet::LiteralLengths => (6, LITERALS),
            Alphabet::Offsets => (5, OFFSETS),
            _ => (6, MATCHES),
        };
        let mut counts = [0; SYMBOLS];
        for (count, known) in counts.iter_mut().zip(distribution) {
            *count = i16::from(*known);
        }
        self.build(alphabet, log, &counts);
    }

    /// Reads a distribution (RFC 8878, section 4.1.1) of a part of the input that ends at `end`.
    pub(super) fn read(&mut self, alphabet: Alphabet, input: &mut Input, end: usize) -> Result<(), Corrupt> {
        let mut at = input.next * 8;
        let mut take = |count: u32, keep: bool| {
            let word = u64::from_le_bytes(load(&*input.buffer, at / 8)) >> (at & 7);
            at += if keep { 0 } else { count as usize };
            word as u32 & ((1 << count) - 1)
        };
        let (symbols, most) = alphabet.limits();
        let log = take(4, false) + 5;
        if log > most {
            return Err(phrase!("a table that is larger than it may be"));
        }
        let mut counts = [0i16; SYMBOLS];
        let mut symbol = 0;
        let mut left = 1u32 << log;
        while left > 0 {
            let place = counts[..symbols].get_mut(symbol).ok_or(phrase!("a distribution that does not add up"))?;
            symbol += 1;
            // Values up to `left + 1`; the lowest of them are one bit shorter than the others.
            let bits = (left + 1).ilog2() + 1;
            let short = (1 << bits) - 2 - left;
            let mut value = take(bits - 1, true);
            if value < short {
                take(bits - 1, false);
            } else {
                value = take(bits, false);
                if value >> (bits - 1) != 0 {
                    value -= short;
                }
            }
            *place = value as i16 - 1;
            left = left
                .checked_sub(u32::from(place.unsigned_abs()))
                .ok_or(phrase!("a distribution that does not add up"))?;
            // Behind a zero stands how many more there are.
            let mut more = value == 1;
            while more && symbol < symbols {
                let zeros = take(2, false);
                symbol += zeros as usize;
                more = zeros == 3;
            }
        }
        let length = at.div_ceil(8) - input.next;
        input.advance(length, end)?;
        self.build(alphabet, log, &counts);
        Ok(())
    }

    /// Lays the table out (RFC 8878, section 4.1.1). The counts, of which -1 is a rare symbol's, add up to its size.
    fn build(&mut self, alphabet: Alphabet, log: u32, counts: &[i16; SYMBOLS]) {
        let size = 1 << log;
        let entries = &mut self.entries[..size];
        let mut next = [0u32; SYMBOLS];
        // Rare symbols have the last states.
        let mut free = size;
        for (symbol, &count) in counts.iter().enumerate() {
            next[symbol] = u32::from(count.unsigned_abs());
            if count < 0 {
                free -= 1;
                entries[free] = symbol as u64;
            }
        }
        let mut at = 0;
        for (symbol, &count) in counts.iter().enumerate() {
            for _ in 0..count {
                entries[at] = symbol as u64;
                loop {
                    at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
                    if at < free {
                        break;
                    }
                }
            }
        }
        let meanings = alphabet.meanings();
        for entry in entries {
            let symbol = *entry as usize % SYMBOLS;
            let state = next[symbol];
            next[symbol] += 1;
            let bits = log - state.ilog2();
            let least = (state << bits) as u64 - size as u64;
            *entry = least << 48 | u64::from(bits) << 40 | meanings[symbol];
        }
        self.log = log;
        self.known = true;
    }
}
