//! What decoders are tested with: sources that behave in all the ways that sources do, and random data.

use super::bytes::Source;

/// Bytes as a source that gives at most `most` of them at a time and may fail at the end.
pub(crate) struct Bytes {
    pub(crate) all: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) most: usize,
    pub(crate) fails: bool,
}

impl Bytes {
    /// All of them, and no failure.
    pub(crate) fn new(bytes: &[u8], most: usize) -> Self {
        Self { all: bytes.to_vec(), at: 0, most, fails: false }
    }
}

impl Source for Bytes {
    type Error = &'static str;
    fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, Self::Error> {
        let left = &self.all[self.at..];
        let count = left.len().min(buffer.len()).min(self.most);
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        if count == 0 && self.fails { Err("the disk is on fire") } else { Ok(count) }
    }
}

/// A small pseudo-random generator (xorshift64*), so that a failure can be had again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    /// Bytes of a random nature: noise, few symbols, runs, and copies from near and far.
    pub(crate) fn data(&mut self, length: usize) -> Vec<u8> {
        let mut data = Vec::with_capacity(length + 600);
        while data.len() < length {
            let count = 1 + self.below(600);
            match self.below(5) {
                0 => (0..count).for_each(|_| data.push(self.next() as u8)),
                1 => (0..count).for_each(|_| data.push(b'a' + self.below(6) as u8)),
                2 => data.resize(data.len() + count, self.next() as u8),
                _ if data.is_empty() => {}
                nature => {
                    let distance = 1 + self.below(data.len().min(if nature == 3 { 20 } else { 33_000 }));
                    (0..count).for_each(|_| data.push(data[data.len() - distance]));
                }
            }
        }
        data.truncate(length);
        data
    }
}
