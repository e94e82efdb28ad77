//! CRC-32 as gzip uses it (RFC 1952, section 8): reflected polynomial 0xEDB88320, sixteen bytes a step.

use alloc::boxed::Box;

const POLYNOMIAL: u32 = 0xEDB8_8320;
/// Bytes taken in one step, one table for each.
const STRIDE: usize = 16;

/// `tables[n][byte]` is the effect of `byte` on the checksum `n` bytes later.
type Tables = [[u32; 256]; STRIDE];

/// A running checksum. Its 16 KiB of tables are computed when it is made: that takes microseconds, and storing them
/// would cost a tenth of the binary.
pub(super) struct Crc32 {
    tables: Box<Tables>,
    /// The checksum so far, inverted as the algorithm keeps it.
    state: u32,
}

impl Crc32 {
    /// The checksum of nothing.
    pub(super) fn new() -> Self {
        let mut tables: Box<Tables> = super::filled([0; 256]);
        for byte in 0..256usize {
            let mut effect = byte as u32;
            for _ in 0..8 {
                effect = (effect >> 1) ^ (POLYNOMIAL & (effect & 1).wrapping_neg());
            }
            tables[0][byte] = effect;
        }
        for byte in 0..256 {
            for later in 1..STRIDE {
                let before = tables[later - 1][byte];
                tables[later][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            }
        }
        Self { tables, state: !0 }
    }

    /// Starts anew.
    pub(super) fn reset(&mut self) {
        self.state = !0;
    }

    /// The checksum of everything since the start.
    pub(super) fn value(&self) -> u32 {
        !self.state
    }

    /// Takes `bytes` in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let tables = &*self.tables;
        let mut state = self.state;
        let (strides, rest) = bytes.as_chunks::<STRIDE>();
        for stride in strides {
            let word = |n: usize| u32::from_le_bytes([stride[n], stride[n + 1], stride[n + 2], stride[n + 3]]);
            // Only the first word meets the state; the lookups of the others do not wait for it.
            let later = four(tables, 8, word(4)) ^ four(tables, 4, word(8)) ^ four(tables, 0, word(12));
            state = later ^ four(tables, 12, word(0) ^ state);
        }
        for &byte in rest {
            state = (state >> 8) ^ tables[0][((state ^ byte as u32) & 0xFF) as usize];
        }
        self.state = state;
    }
}

/// The effect of the four bytes of `word` when `later` bytes follow them. Written out, because a compiler that optimises
/// for size leaves a loop a loop.
#[inline(always)]
fn four(tables: &Tables, later: usize, word: u32) -> u32 {
    let [a, b, c, d] = word.to_le_bytes();
    tables[later + 3][a as usize]
        ^ tables[later + 2][b as usize]
        ^ tables[later + 1][c as usize]
        ^ tables[later][d as usize]
}
