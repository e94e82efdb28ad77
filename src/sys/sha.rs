//! SHA-256 with the processor's own instructions, where it has them.
//!
//! Only `x86_64` for now: ARM's processors tell user mode of theirs through the auxiliary vector alone.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls instructions that were found to exist"))]

use crate::base::sha256::{self, Sha256};

/// Starts a digest with the fastest code that this processor runs.
#[must_use]
pub fn sha256() -> Sha256 {
    Sha256::with(fastest())
}

#[cfg(not(target_arch = "x86_64"))]
fn fastest() -> sha256::Compress {
    sha256::compress
}

#[cfg(target_arch = "x86_64")]
fn fastest() -> sha256::Compress {
    if x86::available() { x86::compress } else { sha256::compress }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __cpuid, __cpuid_count, __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128,
        _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
        _mm_shuffle_epi32, _mm_storeu_si128,
    };

    use crate::base::sha256::K;

    /// Whether the processor has the SHA extensions and the shuffles that go with them.
    ///
    /// # Source
    /// Intel's Software Developer's Manual, volume 2, CPUID: leaf 1 ECX bits 9 (SSSE3) and 19 (SSE4.1), leaf 7 EBX bit 29 (SHA).
    pub(super) fn available() -> bool {
        const SHUFFLES: u32 = 1 << 9 | 1 << 19;
        let (most, features) = (__cpuid(0).eax, __cpuid(1).ecx);
        most >= 7 && features & SHUFFLES == SHUFFLES && __cpuid_count(7, 0).ebx & 1 << 29 != 0
    }

    /// As [`crate::base::sha256::compress`]; only where [`available`] said so.
    pub(super) fn compress(state: &mut [u32; 8], blocks: &[u8]) {
        // SAFETY: `fastest` hands this function out only after `available` found the instructions.
        unsafe { digest(state, blocks) }
    }

    /// Four words of a table or block.
    #[target_feature(enable = "sse2")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: 16 bytes are readable, and the instruction asks for no alignment.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    /// Words 16 to 19 of the message schedule, from the sixteen before them.
    #[target_feature(enable = "sha,ssse3")]
    fn next(w0: __m128i, w4: __m128i, w8: __m128i, w12: __m128i) -> __m128i {
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4));
        _mm_sha256msg2_epu32(sum, w12)
    }

    /// Four rounds with four words of the schedule and their constants.
    #[target_feature(enable = "sha,sse2")]
    fn rounds(abef: __m128i, cdgh: __m128i, words: __m128i, k: &[u32; 4]) -> (__m128i, __m128i) {
        // SAFETY: four words are readable, and the instruction asks for no alignment.
        let sum = _mm_add_epi32(words, unsafe { _mm_loadu_si128(k.as_ptr().cast()) });
        let efgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        (_mm_sha256rnds2_epu32(abef, efgh, _mm_shuffle_epi32(sum, 0x0e)), efgh)
    }

    /// The instructions want the state as two vectors, (A B E F) and (C D G H) from the highest word down.
    ///
    /// # Source
    /// Gulley and others, "Intel SHA Extensions", 2013.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn digest(state: &mut [u32; 8], blocks: &[u8]) {
        // Turns the bytes of each word around: the standard's words are big-endian.
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        // SAFETY: the state is two vectors long.
        let (low, high) =
            unsafe { (_mm_loadu_si128(state.as_ptr().cast()), _mm_loadu_si128(state[4..].as_ptr().cast())) };
        let (badc, hgfe) = (_mm_shuffle_epi32(low, 0xb1), _mm_shuffle_epi32(high, 0x1b));
        let mut abef = _mm_alignr_epi8(badc, hgfe, 8);
        let mut cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
        let constants = K.as_chunks::<4>().0.as_chunks::<4>().0;
        for block in blocks.as_chunks::<64>().0 {
            let before = (abef, cdgh);
            let (quarters, _) = block.as_chunks::<16>();
            let mut w = [swap; 4];
            for (words, bytes) in w.iter_mut().zip(quarters) {
                *words = _mm_shuffle_epi8(load(bytes), swap);
            }
            let [mut w0, mut w4, mut w8, mut w12] = w;
            for (part, k) in constants.iter().enumerate() {
                // Written out, because a compiler that optimises for size leaves a loop a loop.
                let [k0, k4, k8, k12] = k;
                (abef, cdgh) = rounds(abef, cdgh, w0, k0);
                (abef, cdgh) = rounds(abef, cdgh, w4, k4);
                (abef, cdgh) = rounds(abef, cdgh, w8, k8);
                (abef, cdgh) = rounds(abef, cdgh, w12, k12);
                if part < 3 {
                    w0 = next(w0, w4, w8, w12);
                    w4 = next(w4, w8, w12, w0);
                    w8 = next(w8, w12, w0, w4);
                    w12 = next(w12, w0, w4, w8);
                }
            }
            (abef, cdgh) = (_mm_add_epi32(abef, before.0), _mm_add_epi32(cdgh, before.1));
        }
        let (feba, dchg) = (_mm_shuffle_epi32(abef, 0x1b), _mm_shuffle_epi32(cdgh, 0xb1));
        // SAFETY: the state is two vectors long.
        unsafe {
            _mm_storeu_si128(state.as_mut_ptr().cast(), _mm_blend_epi16(feba, dchg, 0xf0));
            _mm_storeu_si128(state[4..].as_mut_ptr().cast(), _mm_alignr_epi8(dchg, feba, 8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_instructions_agree_with_the_portable_code() {
        if core::ptr::fn_addr_eq(fastest(), sha256::compress as sha256::Compress) {
            println!("this processor has no SHA instructions that vial uses; nothing to compare");
        }
        let data: Vec<u8> = (0..5000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
        for length in [0, 1, 55, 56, 63, 64, 65, 127, 128, 1000, 4096, 5000] {
            let mut sha = sha256();
            sha.update(&data[..length / 3]);
            sha.update(&data[length / 3..length]);
            assert_eq!(sha.finish(), sha256::digest(&data[..length]), "{length} bytes");
        }
    }
}
