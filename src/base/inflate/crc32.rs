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
            // The state only overlaps the first four bytes; the lookups of the other twelve do not wait for it.
            let [a, b, c, d] = (u32::from_le_bytes([stride[0], stride[1], stride[2], stride[3]]) ^ state).to_le_bytes();
            let mut later = 0;
            for n in 4..STRIDE {
                later ^= tables[STRIDE - 1 - n][stride[n] as usize];
            }
            state = later
                ^ tables[15][a as usize]
                ^ tables[14][b as usize]
                ^ tables[13][c as usize]
                ^ tables[12][d as usize];
        }
        for &byte in rest {
            state = (state >> 8) ^ tables[0][((state ^ byte as u32) & 0xFF) as usize];
        }
        self.state = state;
    }
}
