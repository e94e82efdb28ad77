//! Code whose calls say where they lead, which packs better.
//!
//! In code a call names its target by the distance, which differs for each caller; where it leads is the same for all. The build
//! changes what it packs like this (`src/rt/cold_link.rs`); whoever unpacks it changes it back, and so what it resembles.
//!
//! # Source
//! "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2, CALL and JMP; "Arm Architecture Reference Manual" for
//! A-profile, BL and ADRP, and BL of T32; "The RISC-V Instruction Set Manual", volume I, JAL and AUIPC.

/// Where a piece of code is.
#[derive(Clone, Copy)]
pub struct Position {
    /// Its own address.
    pub address: u32,
    /// The address that all code begins at.
    pub first: u32,
}

/// x86's code, whose calls and jumps become shorter: three bytes say where the target is, the highest first. What only looks like a
/// call, because its target would be in no code, stays; a byte [`ESCAPE`] is put behind its first one if it could be taken for a
/// short one.
pub mod x86 {
    use super::Position;

    /// Instructions begin where so many bits of their place are 0.
    pub const PLACE_BITS: u32 = 0;

    /// How many targets' places there are, in units of 2^16: what the first of three bytes is below.
    const PLACES: u8 = 0x1F;
    /// Says that no short call follows.
    pub(super) const ESCAPE: u8 = 0xFF;
    /// How many bytes are looked at together.
    const CHUNK: usize = 16;

    /// Which of these bytes are the first one of a call or of a jump by a distance of 32 bits, as bits.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a few instructions of the loop below")]
    #[allow(unsafe_code, reason = "nothing else is as fast, and nothing depends so much on it")]
    fn firsts(bytes: &[u8; CHUNK]) -> u32 {
        use core::arch::x86_64::{_mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: every processor of 64 bits has SSE2, and so many bytes are read as there are.
        unsafe {
            let even = _mm_and_si128(_mm_loadu_si128(bytes.as_ptr().cast()), _mm_set1_epi8(!1));
            _mm_movemask_epi8(_mm_cmpeq_epi8(even, _mm_set1_epi8(0xe8u8 as i8))) as u32
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn firsts(bytes: &[u8; CHUNK]) -> u32 {
        bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(byte & 0xfe == 0xe8))
    }

    /// Copies code from one place to another, up to the first byte of a call or of a jump by a distance of 32 bits, and that; whether
    /// there is one, and `None` if there is no room. Behind what it copies something may be written.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "optimising for size keeps the loop out of line; the build script's own lints don't mind"
    )]
    fn copy(code: &[u8], from: &mut usize, room: &mut [u8], to: &mut usize) -> Option<bool> {
        loop {
            let (code, room) = (code.get(*from..)?, room.get_mut(*to..)?);
            if let (Some(bytes), Some(place)) = (code.first_chunk(), room.first_chunk_mut()) {
                *place = *bytes;
                let found = firsts(bytes);
                if found != 0 {
                    let count = found.trailing_zeros() as usize + 1;
                    (*from, *to) = (*from + count, *to + count);
                    return Some(true);
                }
                (*from, *to) = (*from + CHUNK, *to + CHUNK);
            } else {
                let Some(&byte) = code.first() else { return Some(false) };
                *room.first_mut()? = byte;
                (*from, *to) = (*from + 1, *to + 1);
                if byte & 0xfe == 0xe8 {
                    return Some(true);
                }
            }
        }
    }

    /// Shortens code; how long it is then. There must be as much room as the code has, and a bit for escapes; `None` if there is not.
    pub fn shorten(code: &[u8], position: Position, short: &mut [u8]) -> Option<usize> {
        let (mut at, mut to) = (0, 0);
        while copy(code, &mut at, short, &mut to)? {
            let distance = code.get(at..)?.first_chunk();
            let offset = distance.map_or(u32::MAX, |distance| {
                let target = u32::from_le_bytes(*distance).wrapping_add(position.address).wrapping_add(at as u32 + 4);
                target.wrapping_sub(position.first)
            });
            if offset >> 16 < PLACES.into() {
                *short.get_mut(to..)?.first_chunk_mut()? = (offset << 8).to_be_bytes();
                (at, to) = (at + 4, to + 3);
            } else if code.get(at).is_some_and(|next| *next < PLACES || *next == ESCAPE) {
                *short.get_mut(to)? = ESCAPE;
                to += 1;
            }
        }
        Some(to)
    }

    /// Makes shortened code long again; `None` if it is not as long as there is room.
    pub fn lengthen(short: &[u8], position: Position, code: &mut [u8]) -> Option<()> {
        let (mut at, mut to) = (0, 0);
        while copy(short, &mut at, code, &mut to)? {
            match short.get(at..)?.first_chunk() {
                Some(&[high, middle, low]) if high < PLACES => {
                    let target = u32::from_be_bytes([0, high, middle, low]).wrapping_add(position.first);
                    let distance = target.wrapping_sub(position.address).wrapping_sub(to as u32 + 4);
                    *code.get_mut(to..)?.first_chunk_mut()? = distance.to_le_bytes();
                    (at, to) = (at + 3, to + 4);
                }
                _ => at += usize::from(short.get(at) == Some(&ESCAPE)),
            }
        }
        (to == code.len()).then_some(())
    }
}

/// Defines both ways for code that stays as long as it is, by its `change`, which adds to distances, or takes away again.
macro_rules! both_ways {
    () => {
        /// Says where calls lead.
        pub fn shorten(code: &[u8], position: Position, short: &mut [u8]) -> Option<usize> {
            change(code, position, short, u32::wrapping_add)
        }

        /// Says how far that is again; `None` if the code is not as long as there is room.
        pub fn lengthen(short: &[u8], position: Position, code: &mut [u8]) -> Option<()> {
            (change(short, position, code, u32::wrapping_sub)? == code.len()).then_some(())
        }
    };
}

/// Arm's code of 64 bits, which stays as long as it is.
pub mod arm {
    use super::Position;

    /// Instructions begin where so many bits of their place are 0.
    pub const PLACE_BITS: u32 = 2;

    /// The bits of a distance, in words, in a call.
    const WORDS: u32 = (1 << 26) - 1;
    /// The bits of a distance, in pages, in an instruction that makes an address.
    const PAGES: u32 = 0x60ff_ffe0;

    both_ways!();

    fn change(from: &[u8], position: Position, to: &mut [u8], add: fn(u32, u32) -> u32) -> Option<usize> {
        let to = to.get_mut(..from.len())?;
        to.copy_from_slice(from);
        let mut address = position.address;
        for bytes in to.as_chunks_mut::<4>().0 {
            let word = u32::from_le_bytes(*bytes);
            if word >> 26 == 0x25 {
                let here = address.wrapping_sub(position.first) >> 2;
                *bytes = (word & !WORDS | add(word, here) & WORDS).to_le_bytes();
            } else if word & 0x9f00_0000 == 0x9000_0000 {
                let pages = add(word >> 29 & 3 | word >> 3 & 0x1f_fffc, address >> 12);
                *bytes = (word & !PAGES | (pages & 3) << 29 | (pages & 0x1f_fffc) << 3).to_le_bytes();
            }
            address = address.wrapping_add(4);
        }
        Some(from.len())
    }
}

/// RISC-V's code, with instructions of 16 and of 32 bits, which stays as long as it is.
pub mod risc {
    use super::Position;

    /// Instructions begin where so many bits of their place are 0.
    pub const PLACE_BITS: u32 = 1;

    /// Says where calls and addresses lead.
    pub fn shorten(code: &[u8], position: Position, short: &mut [u8]) -> Option<usize> {
        change(code, position, short, false)
    }

    /// Says how far that is again; `None` if the code is not as long as there is room.
    pub fn lengthen(short: &[u8], position: Position, code: &mut [u8]) -> Option<()> {
        (change(short, position, code, true)? == code.len()).then_some(())
    }

    /// The distance of a call is in 20 bits, out of order; that of what two instructions make, AUIPC and one that adds to it, in 20
    /// bits and in 12 with a sign. Where they lead has the same bits, in order.
    fn change(from: &[u8], position: Position, to: &mut [u8], back: bool) -> Option<usize> {
        let to = to.get_mut(..from.len())?;
        to.copy_from_slice(from);
        let moved = |value: u32, by: u32| if back { value.wrapping_sub(by) } else { value.wrapping_add(by) };
        let mut at = 0;
        while let Some(bytes) = to.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let word = u32::from_le_bytes(*bytes);
            let here = position.address.wrapping_sub(position.first).wrapping_add(at as u32);
            at += if word & 3 == 3 { 4 } else { 2 };
            if word & 0xfff == 0x0ef {
                let place = if back { word >> 12 } else { halves(word) };
                let place = moved(place, here >> 1);
                let field = if back { scattered(place) } else { place << 12 };
                *bytes = (word & 0xfff | field).to_le_bytes();
            } else if word & 0x7f == 0x17
                && let Some(pair) = to.get_mut(at - 4..).and_then(<[u8]>::first_chunk_mut::<8>)
            {
                let pair_bits = u64::from_le_bytes(*pair);
                let next = (pair_bits >> 32) as u32;
                // A load, an addition or a jump, by the register that the first one has written.
                if !matches!(next & 0x7f, 0x03 | 0x13 | 0x67) || next >> 15 & 31 != word >> 7 & 31 {
                    continue;
                }
                let (high, low) = (word & 0xffff_f000, next >> 20);
                let carry = |value: u32| (value & 0x800) << 1;
                let value = moved(if back { high | low } else { (high | low).wrapping_sub(carry(low)) }, here);
                let high = (if back { value.wrapping_add(carry(value)) } else { value }) & 0xffff_f000;
                let (first, second) = (word & 0xfff | high, next & 0xf_ffff | value << 20);
                *pair = (u64::from(second) << 32 | u64::from(first)).to_le_bytes();
                at += 4;
            }
        }
        Some(from.len())
    }

    /// The distance of JAL, in units of two bytes.
    fn halves(word: u32) -> u32 {
        word >> 12 & 0x8_0000 | word >> 1 & 0x7_f800 | word >> 10 & 0x400 | word >> 21 & 0x3ff
    }

    /// And as the instruction has it.
    fn scattered(halves: u32) -> u32 {
        (halves & 0x8_0000) << 12 | (halves & 0x7_f800) << 1 | (halves & 0x400) << 10 | (halves & 0x3ff) << 21
    }
}

/// Arm's code of 32 bits, with instructions of 16 and of 32 bits (Thumb), which stays as long as it is.
pub mod thumb {
    use super::Position;

    /// Instructions begin where so many bits of their place are 0.
    pub const PLACE_BITS: u32 = 1;

    both_ways!();

    /// The distance of a call that leads no further than 4 MiB is in 11 bits of each of its halves; all have the same bits besides.
    fn change(from: &[u8], position: Position, to: &mut [u8], add: fn(u32, u32) -> u32) -> Option<usize> {
        let to = to.get_mut(..from.len())?;
        to.copy_from_slice(from);
        let mut at = 0;
        while let Some(bytes) = to.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let word = u32::from_le_bytes(*bytes);
            at += 2;
            if word & 0xf800_f800 == 0xf800_f000 {
                let here = position.address.wrapping_sub(position.first).wrapping_add(at as u32 + 2) >> 1;
                let place = add((word & 0x7ff) << 11 | word >> 16 & 0x7ff, here);
                *bytes = (0xf800_f000 | place >> 11 & 0x7ff | (place & 0x7ff) << 16).to_le_bytes();
                at += 2;
            }
        }
        Some(from.len())
    }
}

#[cfg(test)]
mod tests {
    use super::x86::{ESCAPE, lengthen, shorten};
    use super::*;

    fn shortened(code: &[u8], position: Position) -> Vec<u8> {
        let mut short = vec![0; 2 * code.len() + 4];
        let length = shorten(code, position, &mut short).unwrap();
        short.truncate(length);
        let mut long = vec![0; code.len()];
        lengthen(&short, position, &mut long).unwrap();
        assert_eq!(long, code);
        short
    }

    #[test]
    fn a_call_is_where_it_leads_in_three_bytes() {
        let position = Position { address: 0x1000, first: 0x800 };
        // push; call 0x1010; jmp 0x0fff; a call that is cut short.
        let code = [0x50, 0xe8, 0x0a, 0, 0, 0, 0xe9, 0xf4, 0xff, 0xff, 0xff, 0xe8, 0x20, 2];
        assert_eq!(shortened(&code, position), [0x50, 0xe8, 0, 0x08, 0x10, 0xe9, 0, 0x07, 0xff, 0xe8, 0x20, 2]);
    }

    #[test]
    fn what_leads_to_no_code_is_told_apart() {
        let position = Position { address: 0x1000, first: 0x1000 };
        for (code, short) in [
            (&[0xe8, 1, 2, 3, 4][..], &[0xe8, ESCAPE, 1, 2, 3, 4][..]),
            (&[0xe8, 0x1f, 2, 3, 4], &[0xe8, 0x1f, 2, 3, 4]),
            (&[0xe9, 0xff, 2, 3, 4], &[0xe9, ESCAPE, 0xff, 2, 3, 4]),
            (&[0xe8, 0], &[0xe8, ESCAPE, 0]),
            (&[0xe8, 0xe8], &[0xe8, 0xe8]),
            (&[0xe8], &[0xe8]),
            // The last places that are reached, and those behind.
            (&[0xe8, 0xfa, 0xff, 0x1e, 0], &[0xe8, 0x1e, 0xff, 0xff]),
            (&[0xe8, 0xfb, 0xff, 0x1e, 0], &[0xe8, 0xfb, 0xff, 0x1e, 0]),
        ] {
            assert_eq!(shortened(code, position), short, "{code:?}");
        }
    }

    #[test]
    fn whatever_is_shortened_comes_back() {
        let mut noise = 1u32;
        for round in 0..2000 {
            let position = Position { address: round << 12, first: round << 10 };
            let code: Vec<u8> = (0..round % 97)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Half of all bytes are of calls, or their distances' upper bytes.
                    let of_calls = [0xe8, 0xe9, 0, 0xff, 0x1e, 0x1f, 0x20, 0xe8];
                    if noise >> 30 < 2 { of_calls[(noise >> 8) as usize % 8] } else { (noise >> 16) as u8 }
                })
                .collect();
            shortened(&code, position);
        }
    }

    #[test]
    fn damaged_code_and_too_little_room_do_no_harm() {
        let position = Position { address: 0, first: 0 };
        let code = [0xe8, 1, 2, 3, 4, 0xe9, 0, 0, 0, 0];
        for length in 0..10 {
            assert!(shorten(&code, position, &mut vec![0; length]).is_none_or(|short| short <= length));
            for room in 0..20 {
                let _ = lengthen(&code[..length], position, &mut vec![0; room]);
            }
        }
    }

    #[test]
    fn thumbs_calls_stay_as_long_as_they_are() {
        let position = Position { address: 0x4_0006, first: 0x4_0000 };
        // nop; bl +8; bl -4; b.w +0, which is none; half a call.
        let halves = [0xbf00_u16, 0xf000, 0xf804, 0xf7ff, 0xfffe, 0xf000, 0xb800, 0xf000];
        let code = halves.map(u16::to_le_bytes).concat();
        // Halves of what is between the beginning of code and where they lead.
        let changed = [0xbf00_u16, 0xf000, 0xf80a, 0xf000, 0xf806, 0xf000, 0xb800, 0xf000];
        let mut short = vec![0; code.len() + 5];
        assert_eq!(thumb::shorten(&code, position, &mut short), Some(code.len()));
        assert_eq!(short[..code.len()], changed.map(u16::to_le_bytes).concat());
        let mut long = vec![0; code.len()];
        assert_eq!(thumb::lengthen(&short[..code.len()], position, &mut long), Some(()));
        assert_eq!(long, code);
        assert_eq!(thumb::lengthen(&short, position, &mut long), None);
    }

    #[test]
    fn calls_and_addresses_of_risc_v_stay_as_long_as_they_are() {
        let position = Position { address: 0x4_0002, first: 0x1_0000 };
        let changed = |code: &[u8]| {
            let mut short = vec![0; code.len() + 5];
            assert_eq!(risc::shorten(code, position, &mut short), Some(code.len()));
            short.truncate(code.len());
            let mut long = vec![0; code.len()];
            assert_eq!(risc::lengthen(&short, position, &mut long), Some(()));
            assert_eq!(long, code);
            short
        };
        // c.nop; jal ra, +0x800; jal ra, -2; jal t0, +4, which is no call.
        let code =
            [&[1, 0][..], [0x0010_00ef_u32, 0xffff_f0ef, 0x0040_02ef].map(u32::to_le_bytes).as_flattened()].concat();
        // Half of what lies between the beginning of code and where they lead: 0x30804, 0x30006.
        let short =
            [&[1, 0][..], [0x1840_20ef_u32, 0x1800_30ef, 0x0040_02ef].map(u32::to_le_bytes).as_flattened()].concat();
        assert_eq!(changed(&code), short);
        // auipc a0, 1; addi a1, a0, -4; auipc a0, 0; ld a0, 8(a1), which has another address; auipc a0 at the end.
        let code = [0x0000_1517_u32, 0xffc5_0593, 0x0000_0517, 0x0085_b503, 0x0000_0517];
        // 0x30002 + 0xffc behind the beginning of code.
        let short = [0x0003_0517_u32, 0xffe5_0593, 0x0000_0517, 0x0085_b503, 0x0000_0517];
        assert_eq!(changed(code.map(u32::to_le_bytes).as_flattened()), short.map(u32::to_le_bytes).concat());
        // Any code at all.
        let mut noise = 1u32;
        for length in 0..2000 {
            let code: Vec<u8> = (0..length % 97)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    [0x17, 0xef, 0x67, 0x15, 0x05, (noise >> 16) as u8][(noise >> 8) as usize % 6]
                })
                .collect();
            changed(&code);
        }
    }

    #[test]
    fn arms_calls_and_addresses_stay_as_long_as_they_are() {
        let position = Position { address: 0x23_0008, first: 0x20_0000 };
        // nop; bl +0x10; bl -8; adrp x0, +0x5000; adrp x3, -0x1000; b +4; two bytes more.
        let words = [0xd503_201f_u32, 0x9400_0004, 0x97ff_fffe, 0xb000_0020, 0xf0ff_ffe3, 0x1400_0001];
        let code = [words.map(u32::to_le_bytes).as_flattened(), &[0x94, 1]].concat();
        // The words that calls lead to, from where code begins, and the pages.
        let changed = [0xd503_201f_u32, 0x9400_c007, 0x9400_c002, 0xb000_11a0, 0xf000_1163, 0x1400_0001];
        let mut short = vec![0; code.len() + 5];
        assert_eq!(arm::shorten(&code, position, &mut short), Some(code.len()));
        assert_eq!(short[..24], *changed.map(u32::to_le_bytes).as_flattened());
        let mut long = vec![0; code.len()];
        assert_eq!(arm::lengthen(&short[..code.len()], position, &mut long), Some(()));
        assert_eq!(long, code);
        assert_eq!(arm::lengthen(&short, position, &mut long), None);
        assert_eq!(arm::lengthen(&short[..20], position, &mut long), None);
    }
}
