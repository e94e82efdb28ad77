//! XXH64, the checksum of a frame's content (the specification of xxHash, with seed 0).

const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];
/// Bytes taken in one step, eight for each accumulator.
const STRIPE: usize = 32;

/// A running checksum.
pub(super) struct Xxh64 {
    state: [u64; 4],
    length: u64,
    /// The start of a stripe that is not yet whole: the length modulo 32 tells how much.
    pending: [u8; STRIPE],
}

impl Xxh64 {
    /// The checksum of nothing.
    pub(super) fn new() -> Self {
        let [first, second, ..] = PRIMES;
        let state = [first.wrapping_add(second), second, 0, first.wrapping_neg()];
        Self { state, length: 0, pending: [0; STRIPE] }
    }

    /// Takes `bytes` in.
    #[inline(never)]
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let held = self.length as usize % STRIPE;
        self.length += bytes.len() as u64;
        if held > 0 {
            let count = bytes.len().min(STRIPE - held);
            let (start, rest) = bytes.split_at(count);
            self.pending[held..held + count].copy_from_slice(start);
            bytes = rest;
            if held + count < STRIPE {
                return;
            }
            stripes(&mut self.state, &[self.pending]);
        }
        let (whole, rest) = bytes.as_chunks();
        stripes(&mut self.state, whole);
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    /// The low half of the checksum, which is all that a frame has.
    #[inline(never)]
    pub(super) fn value(&self) -> u32 {
        let [first, second, third, fourth, fifth] = PRIMES;
        let mut sum = fifth;
        if self.length >= STRIPE as u64 {
            sum = 0;
            for (value, bits) in self.state.into_iter().zip([1, 7, 12, 18]) {
                sum = sum.wrapping_add(value.rotate_left(bits));
            }
            for value in self.state {
                sum = mix(sum, round(0, value), 0, first, fourth);
            }
        }
        sum = sum.wrapping_add(self.length);
        let (words, rest) = self.pending[..self.length as usize % STRIPE].as_chunks();
        for word in words {
            sum = mix(sum, round(0, u64::from_le_bytes(*word)), 27, first, fourth);
        }
        let (words, rest) = rest.as_chunks();
        for word in words {
            sum = mix(sum, u64::from(u32::from_le_bytes(*word)).wrapping_mul(first), 23, second, third);
        }
        for byte in rest {
            sum = mix(sum, u64::from(*byte).wrapping_mul(fifth), 11, first, 0);
        }
        sum = (sum ^ (sum >> 33)).wrapping_mul(second);
        sum = (sum ^ (sum >> 29)).wrapping_mul(third);
        (sum ^ (sum >> 32)) as u32
    }
}

/// Mixes a word into the sum of sums.
#[inline(never)]
fn mix(sum: u64, word: u64, bits: u32, factor: u64, more: u64) -> u64 {
    (sum ^ word).rotate_left(bits).wrapping_mul(factor).wrapping_add(more)
}

#[inline(always)]
fn round(state: u64, word: u64) -> u64 {
    state.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

fn stripes(state: &mut [u64; 4], stripes: &[[u8; STRIPE]]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for stripe in stripes {
        let word = |at| u64::from_le_bytes(super::load(stripe, at));
        // Written out, because a compiler that optimises for size leaves a loop a loop.
        a = round(a, word(0));
        b = round(b, word(8));
        c = round(c, word(16));
        d = round(d, word(24));
    }
    *state = [a, b, c, d];
}
