//! LZMA without a header, whose matches may reach into what is there before, and which tells where it ends.
//!
//! It packs code that is seldom unpacked: it is an eighth shorter than [`super::zstd`], where instructions have one length, and takes
//! five times as long.
//!
//! # Source
//! "LZMA specification", a part of the LZMA SDK.

use alloc::vec;

/// States that follow from the last symbols: the first are those behind literals.
const STATES: usize = 12;
const LITERAL_STATES: usize = 7;
/// Bits of the last byte and the place that choose among models of literals, together.
const LITERAL_BITS: u32 = 2;
const LITERAL: usize = 0x300;
/// The most places that are told apart.
const PLACES: usize = 4;
/// The shortest match.
const SHORTEST: usize = 2;
/// The first distances that need more bits than their slot, and those whose last bits are modelled by themselves.
const SLOT_MODELLED: u32 = 4;
const SLOT_ALIGNED: u32 = 14;
/// The range below which a byte is taken, and the bits and the pace of probabilities.
const LOW: u32 = 1 << 24;
const PROBABILITY: u32 = 11;
const PACE: u32 = 5;

/// The probability of a bit that is 0.
type Model = u16;
/// One of a bit of which nothing is known.
const EVEN: Model = 1 << (PROBABILITY - 1);

/// What bits are read with.
struct Bits<'a> {
    rest: core::slice::Iter<'a, u8>,
    range: u32,
    code: u32,
    /// Whether a byte was missing.
    short: bool,
}

impl Bits<'_> {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "optimising for size keeps it out of the loops, which are a third slower then"
    )]
    fn fill(&mut self) {
        if self.range < LOW {
            self.range <<= 8;
            self.short |= self.rest.len() == 0;
            self.code = self.code << 8 | u32::from(self.rest.next().copied().unwrap_or_default());
        }
    }

    #[inline(never)]
    fn bit(&mut self, model: &mut Model) -> bool {
        self.bit_here(model)
    }

    /// The same, for loops.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as above")]
    fn bit_here(&mut self, model: &mut Model) -> bool {
        let bound = (self.range >> PROBABILITY) * u32::from(*model);
        let bit = self.code >= bound;
        if bit {
            self.range -= bound;
            self.code -= bound;
            *model -= *model >> PACE;
        } else {
            self.range = bound;
            *model += ((1 << PROBABILITY) - *model) >> PACE;
        }
        self.fill();
        bit
    }

    /// A number of so many bits, the highest first.
    fn tree(&mut self, models: &mut [Model], bits: u32) -> u32 {
        let mut node = 1;
        for _ in 0..bits {
            node = node << 1 | u32::from(self.bit_here(&mut models[node as usize]));
        }
        node - (1 << bits)
    }

    /// The same, the lowest first.
    fn reverse(&mut self, models: &mut [Model], bits: u32) -> u32 {
        let (mut node, mut number) = (1, 0);
        for place in 0..bits {
            let bit = u32::from(self.bit(&mut models[node as usize]));
            node = node << 1 | bit;
            number |= bit << place;
        }
        number
    }

    /// A number of so many bits that no model knows.
    fn direct(&mut self, bits: u32) -> u32 {
        let mut number = 0;
        for _ in 0..bits {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            number = number << 1 | u32::from(bit);
            self.fill();
        }
        number
    }
}

/// Where models are. Those of a match at each place, for each state:
const IS_MATCH: usize = 0;
/// At each place, whether what is repeated from the last distance is longer than one byte.
const IS_LONGER: usize = IS_MATCH + STATES * PLACES;
/// Whether the distance is an older one, and whether it is not the last, not the one before it, not the one before that.
const IS_OLDER: usize = IS_LONGER + STATES * PLACES;
const OLDER: usize = 4;
/// Lengths of matches, and of those that repeat a distance: whether they are long, the longest, and then by place.
const LENGTH: usize = IS_OLDER + STATES * OLDER;
const REPEATED_LENGTH: usize = LENGTH + LENGTHS;
const SHORT_LENGTHS: usize = 8;
const LONG_LENGTHS: usize = SHORT_LENGTHS + 8 * PLACES;
const LONGEST_LENGTHS: usize = LONG_LENGTHS + 8 * PLACES;
const LENGTHS: usize = LONGEST_LENGTHS + 256;
/// Slots of distances by length, and the bits behind a slot.
const SLOTS: usize = REPEATED_LENGTH + LENGTHS;
const DISTANCES: usize = SLOTS + 4 * 64;
const ALIGNED: usize = DISTANCES + 32 * (SLOT_ALIGNED - SLOT_MODELLED) as usize;
const LITERALS: usize = ALIGNED + 16;
const MODELS: usize = LITERALS + (LITERAL << LITERAL_BITS);

/// A length; its models begin at `at`.
fn length(models: &mut [Model], bits: &mut Bits<'_>, at: usize, place: usize) -> usize {
    let length = if !bits.bit(&mut models[at]) {
        bits.tree(&mut models[at + SHORT_LENGTHS + 8 * place..], 3)
    } else if !bits.bit(&mut models[at + 1]) {
        8 + bits.tree(&mut models[at + LONG_LENGTHS + 8 * place..], 3)
    } else {
        16 + bits.tree(&mut models[at + LONGEST_LENGTHS..], 8)
    };
    length as usize + SHORTEST
}

/// How far back, from 0 on, a match of this length is.
fn distance(models: &mut [Model], bits: &mut Bits<'_>, length: usize) -> u32 {
    let slot = bits.tree(&mut models[SLOTS + 64 * (length - SHORTEST).min(3)..], 6);
    if slot < SLOT_MODELLED {
        return slot;
    }
    let more = (slot >> 1) - 1;
    let first = (2 | slot & 1) << more;
    if slot < SLOT_ALIGNED {
        return first + bits.reverse(&mut models[DISTANCES + 32 * (slot - SLOT_MODELLED) as usize..], more);
    }
    let high = first.wrapping_add(bits.direct(more - 4) << 4);
    high.wrapping_add(bits.reverse(&mut models[ALIGNED..], 4))
}

/// A literal; behind a match, the byte that would have gone on with it tells something.
fn literal(models: &mut [Model], bits: &mut Bits<'_>, matched: Option<u8>) -> u8 {
    let mut node = 1;
    if let Some(byte) = matched {
        let mut byte = usize::from(byte);
        while node < 0x100 {
            let expected = byte >> 7 & 1;
            byte <<= 1;
            let bit = usize::from(bits.bit_here(&mut models[((1 + expected) << 8) + node]));
            node = node << 1 | bit;
            if bit != expected {
                break;
            }
        }
    }
    while node < 0x100 {
        node = node << 1 | usize::from(bits.bit_here(&mut models[node]));
    }
    node as u8
}

/// Unpacks behind the first `start` bytes of the memory; places are told apart by so many of their bits, two at most. Where that ends;
/// `None` if it is damaged, or there is no room.
#[inline(never)]
pub fn unpack(packed: &[u8], memory: &mut [u8], start: usize, place_bits: u32) -> Option<usize> {
    let (head, rest) = packed.split_first_chunk::<5>()?;
    let code = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut bits = Bits { rest: rest.iter(), range: u32::MAX, code, short: head[0] != 0 };
    let mut models = vec![EVEN; MODELS];
    let (mut state, mut distances, mut end) = (0, [0u32; 4], start);
    let places = (1 << place_bits) - 1;
    let last_bits = LITERAL_BITS - place_bits;
    while !bits.short {
        let place = end & places;
        let back = |distance: u32| end.checked_sub(1)?.checked_sub(distance as usize);
        if !bits.bit(&mut models[IS_MATCH + PLACES * state + place]) {
            let last = back(0).map_or(0, |at| usize::from(memory[at]));
            let matched = if state < LITERAL_STATES { None } else { Some(memory[back(distances[0])?]) };
            let which = place << last_bits | last >> (8 - last_bits);
            *memory.get_mut(end)? = literal(&mut models[LITERALS + LITERAL * which..], &mut bits, matched);
            end += 1;
            state = state.saturating_sub(if state < 10 { 3 } else { 6 });
            continue;
        }
        let is_behind_literal = state < LITERAL_STATES;
        let after = |behind_literal, behind_match| if is_behind_literal { behind_literal } else { behind_match };
        let older = IS_OLDER + OLDER * state;
        let count;
        if bits.bit(&mut models[older]) {
            let mut which = 0;
            while which < 3 && bits.bit(&mut models[older + 1 + which]) {
                which += 1;
            }
            if which == 0 && !bits.bit(&mut models[IS_LONGER + PLACES * state + place]) {
                (count, state) = (1, after(9, 11));
            } else {
                distances[..=which].rotate_right(1);
                (count, state) = (length(&mut models, &mut bits, REPEATED_LENGTH, place), after(8, 11));
            }
        } else {
            count = length(&mut models, &mut bits, LENGTH, place);
            let new = distance(&mut models, &mut bits, count);
            if new == u32::MAX {
                return (!bits.short && bits.rest.len() == 0).then_some(end);
            }
            distances = [new, distances[0], distances[1], distances[2]];
            state = after(7, 10);
        }
        let from = end.checked_sub(1)?.checked_sub(distances[0] as usize)?;
        if memory.len() - end < count {
            return None;
        }
        for at in 0..count {
            memory[end + at] = memory[from + at];
        }
        end += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use lzma_rust2::{LzmaOptions, LzmaWriter};
    use std::io::Write;

    use super::super::samples::Random;
    use super::*;

    fn packed(piece: &[u8], before: &[u8], place_bits: u32) -> Vec<u8> {
        let mut options = LzmaOptions::with_preset(9);
        (options.lc, options.lp, options.pb) = (LITERAL_BITS - place_bits, place_bits, place_bits);
        (options.dict_size, options.preset_dict) = (1 << 20, Some(before.to_vec()));
        let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, true).unwrap();
        writer.write_all(piece).unwrap();
        writer.finish().unwrap()
    }

    fn unpacked(packed: &[u8], before: &[u8], room: usize, place_bits: u32) -> Option<Vec<u8>> {
        let mut memory = before.to_vec();
        memory.resize(before.len() + room, 0);
        let end = unpack(packed, &mut memory, before.len(), place_bits)?;
        Some(memory[before.len()..end].to_vec())
    }

    #[test]
    fn pieces_that_another_packs_come_back() {
        for (seed, place_bits) in [(1, 0), (2, 1), (3, 2)] {
            let before = Random(seed).data(200_000);
            let text = include_bytes!("lzma.rs");
            let zeros = [0; 3000];
            let mixed = [&before[150_000..], text, &zeros, &Random(seed + 7).data(5000), &before[..70_000]].concat();
            for piece in [&b""[..], b"a", &zeros, &text[..], &mixed] {
                let packed = packed(piece, &before, place_bits);
                assert!(unpacked(&packed, &before, piece.len(), place_bits).as_deref() == Some(piece));
                assert!(
                    piece.len() < 1000 || packed.len() < piece.len() * 9 / 10,
                    "{} of {}",
                    packed.len(),
                    piece.len()
                );
                // A byte less than it needs.
                assert_eq!(
                    unpacked(&packed, &before, piece.len().wrapping_sub(1).min(piece.len()), place_bits).is_none(),
                    !piece.is_empty()
                );
            }
        }
    }

    #[test]
    fn damaged_pieces_do_no_harm() {
        let before = Random(5).data(3000);
        let piece = [&before[500..1500], &b"something else"[..], &Random(6).data(300), &[7; 100]].concat();
        let packed = packed(&piece, &before, 0);
        for at in 0..packed.len() {
            assert_eq!(unpacked(&packed[..at], &before, piece.len(), 0), None, "{at} bytes of it");
            let mut damaged = packed.clone();
            damaged[at] ^= 1 << (at % 8);
            drop(unpacked(&damaged, &before, piece.len(), 0));
            drop(unpacked(&damaged, &[], piece.len(), 2));
        }
    }
}
