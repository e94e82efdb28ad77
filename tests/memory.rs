//! The memory functions that the binary brings, against the standard library's.
#![expect(unsafe_code, reason = "calls functions that take raw memory")]

use crate::util::Scene;

#[path = "../src/rt/memory.rs"]
mod tested;

trials! {
    memcpy_copies_every_length_at_every_alignment [];
    memmove_copies_over_every_overlap [];
    memset_fills_exactly [];
    memcmp_and_bcmp_compare_unsigned_bytes [];
    strlen_finds_the_first_zero [];
}

/// Lengths beyond every threshold of the implementation.
const LENGTHS: usize = 600;
/// Bytes around what is written, which must stay.
const MARGIN: usize = 32;

/// Bytes of which no two neighbours, and no two at the distance of a block, are equal.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256 * 13 + 1) as u8).collect()
}

fn memcpy_copies_every_length_at_every_alignment(_: &Scene) {
    let source = pattern(LENGTHS + MARGIN);
    for length in 0..=LENGTHS {
        for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 7), (15, 9)] {
            let mut target = vec![0xEE; LENGTHS + 2 * MARGIN];
            let mut expected = target.clone();
            expected[MARGIN + to..][..length].copy_from_slice(&source[from..][..length]);
            let at = target[MARGIN + to..].as_mut_ptr();
            // SAFETY: the target has room for `length` bytes after `to`, the source holds them; they are apart.
            let result = unsafe { tested::memcpy(at, source[from..].as_ptr(), length) };
            assert_eq!(result, at);
            assert!(target == expected, "{length} bytes from {from} to {to}");
        }
    }
}

fn memmove_copies_over_every_overlap(_: &Scene) {
    let near = 0..48;
    let far = [63, 64, 65, 127, 128, 255, 256, 257, 300, 511];
    for length in 0..=LENGTHS {
        for distance in near.clone().chain(far) {
            for (from, to) in [(MARGIN, MARGIN + distance), (MARGIN + distance, MARGIN)] {
                let mut tested = pattern(LENGTHS + distance + 2 * MARGIN);
                let mut expected = tested.clone();
                expected.copy_within(from..from + length, to);
                let start = tested.as_mut_ptr();
                // SAFETY: both ranges lie inside the vector.
                unsafe { tested::memmove(start.add(to), start.add(from), length) };
                assert!(tested == expected, "{length} bytes from {from} to {to}");
            }
        }
    }
}

fn memset_fills_exactly(_: &Scene) {
    for length in 0..=LENGTHS {
        for (byte, to) in [(0, 0), (0x1FF, 3), (-1, 8), (0x41, 15)] {
            let mut target = pattern(LENGTHS + 2 * MARGIN);
            let mut expected = target.clone();
            expected[MARGIN + to..][..length].fill(byte as u8);
            // SAFETY: the target has room for `length` bytes after `to`.
            unsafe { tested::memset(target[MARGIN + to..].as_mut_ptr(), byte, length) };
            assert!(target == expected, "{length} bytes of {byte} at {to}");
        }
    }
}

fn memcmp_and_bcmp_compare_unsigned_bytes(_: &Scene) {
    let left = pattern(LENGTHS);
    // SAFETY: both sides hold `length` bytes.
    let compare = |left: &[u8], right: &[u8], length| unsafe {
        (tested::memcmp(left.as_ptr(), right.as_ptr(), length), tested::bcmp(left.as_ptr(), right.as_ptr(), length))
    };
    for length in 0..LENGTHS {
        assert_eq!(compare(&left, &left.clone(), length), (0, 0));
    }
    for at in 0..LENGTHS {
        let mut right = left.clone();
        right[at] ^= 0x80;
        // What lies behind the first difference must not count.
        right[at + 1..].fill(0);
        let expected = left[at].cmp(&right[at]);
        let (ordered, equal) = compare(&left, &right, LENGTHS);
        assert_eq!(ordered.cmp(&0), expected, "differing at {at}");
        assert_ne!(equal, 0, "differing at {at}");
        assert_eq!(compare(&left, &right, at), (0, 0), "equal below {at}");
    }
}

fn strlen_finds_the_first_zero(_: &Scene) {
    let mut text = vec![0xFF_u8; LENGTHS + 2];
    text[LENGTHS + 1] = 0;
    for length in (0..=LENGTHS).rev() {
        text[length] = 0;
        // SAFETY: the text ends in a zero byte.
        assert_eq!(unsafe { tested::strlen(text.as_ptr().cast()) }, length);
    }
}
