//! SHA-256, after FIPS 180-4.
//!
//! The function that digests blocks can be replaced: the floor that may use the processor's own SHA instructions supplies
//! it through [`Sha256::with`].

use alloc::string::String;

/// Bytes in a block.
const BLOCK: usize = 64;

/// Mixes whole blocks (a multiple of 64 bytes) into the state.
pub type Compress = fn(&mut [u32; 8], &[u8]);

/// A digest under way.
#[derive(Clone)]
pub struct Sha256 {
    compress: Compress,
    state: [u32; 8],
    /// All bytes so far. The last `length % 64` of them wait in `pending`.
    length: u64,
    pending: [u8; BLOCK],
}

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256::new()
    }
}

impl Sha256 {
    /// Starts a digest with portable code.
    #[must_use]
    pub fn new() -> Sha256 {
        Sha256::with(compress)
    }

    /// Starts a digest with other code for the blocks.
    #[must_use]
    pub fn with(compress: Compress) -> Sha256 {
        Sha256 { compress, state: INITIAL, length: 0, pending: [0; BLOCK] }
    }

    /// Adds `data` to what is digested.
    pub fn update(&mut self, mut data: &[u8]) {
        let filled = self.length as usize % BLOCK;
        self.length = self.length.wrapping_add(data.len() as u64);
        if filled != 0 {
            let (head, tail) = data.split_at(data.len().min(BLOCK - filled));
            self.pending[filled..filled + head.len()].copy_from_slice(head);
            if filled + head.len() < BLOCK {
                return;
            }
            (self.compress)(&mut self.state, &self.pending);
            data = tail;
        }
        let (blocks, rest) = data.split_at(data.len() - data.len() % BLOCK);
        if !blocks.is_empty() {
            (self.compress)(&mut self.state, blocks);
        }
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(mut self) -> [u8; 32] {
        // Padding (FIPS 180-4, section 5.1.1): a one bit, zeros, and the length in bits as the last 8 bytes of a block.
        let bits = self.length.wrapping_mul(8);
        let filled = self.length as usize % BLOCK;
        let zeros = if filled < BLOCK - 8 { BLOCK - 8 - filled } else { 2 * BLOCK - 8 - filled };
        let mut padding = [0; BLOCK + 8];
        padding[0] = 0x80;
        padding[zeros..zeros + 8].copy_from_slice(&bits.to_be_bytes());
        self.update(&padding[..zeros + 8]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }
}

/// The digest of `data`.
#[must_use]
pub fn digest(data: &[u8]) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(data);
    sha.finish()
}

/// `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// One round (FIPS 180-4, section 6.2.2, step 3). Instead of moving the eight variables along, the next round names them
/// one place further; so only two of them change.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $input:expr) => {
        let sum = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
        let choice = $g ^ ($e & ($f ^ $g));
        let first = $h.wrapping_add(sum).wrapping_add(choice).wrapping_add($input);
        let sum = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
        let majority = ($a & $b) | ($c & ($a | $b));
        $d = $d.wrapping_add(first);
        $h = first.wrapping_add(sum).wrapping_add(majority);
    };
}

/// The portable code for the blocks.
///
/// Eight rounds bring the variables back to their places. That much is written out, since the compiler unrolls nothing when
/// it optimises for size.
#[expect(clippy::many_single_char_names, reason = "they are the standard's")]
pub fn compress(state: &mut [u32; 8], blocks: &[u8]) {
    let mut schedule = [0; 64];
    for block in blocks.as_chunks::<BLOCK>().0 {
        fill(&mut schedule, block);
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        for (w, k) in schedule.as_chunks::<8>().0.iter().zip(K.as_chunks::<8>().0) {
            round!(a b c d e f g h, w[0].wrapping_add(k[0]));
            round!(h a b c d e f g, w[1].wrapping_add(k[1]));
            round!(g h a b c d e f, w[2].wrapping_add(k[2]));
            round!(f g h a b c d e, w[3].wrapping_add(k[3]));
            round!(e f g h a b c d, w[4].wrapping_add(k[4]));
            round!(d e f g h a b c, w[5].wrapping_add(k[5]));
            round!(c d e f g h a b, w[6].wrapping_add(k[6]));
            round!(b c d e f g h a, w[7].wrapping_add(k[7]));
        }
        for (word, mixed) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = word.wrapping_add(mixed);
        }
    }
}

/// The message schedule of a block (FIPS 180-4, section 6.2.2, step 1).
fn fill(schedule: &mut [u32; 64], block: &[u8; BLOCK]) {
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..64 {
        let (early, late): (u32, u32) = (schedule[at - 15], schedule[at - 2]);
        schedule[at] = (early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3))
            .wrapping_add(late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10))
            .wrapping_add(schedule[at - 16])
            .wrapping_add(schedule[at - 7]);
    }
}

/// The first 32 bits of the fractional parts of the square roots of the first 8 primes (FIPS 180-4, section 5.3.3).
pub const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2).
#[rustfmt::skip]
pub static K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    #[test]
    fn the_vectors_of_the_standard_digest_as_printed() {
        // NIST, "Descriptions of SHA-256": one block, two blocks, nothing, a million times "a".
        let million = vec![b'a'; 1_000_000];
        let cases: [(&[u8], &str); 4] = [
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ];
        for (input, expected) in cases {
            assert_eq!(hex(&digest(input)), expected);
        }
    }

    #[test]
    fn every_length_and_every_split_agrees_with_the_sha2_crate() {
        let data: Vec<u8> = (0..1000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut random = 0x1234_5678_u32;
        for length in 0..data.len() {
            let expected: [u8; 32] = sha2::Sha256::digest(&data[..length]).into();
            let mut sha = Sha256::new();
            let mut rest = &data[..length];
            while !rest.is_empty() {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                let (head, tail) = rest.split_at((random as usize % 150).min(rest.len()));
                sha.update(head);
                rest = tail;
            }
            assert_eq!(sha.finish(), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_supplied_compression_gets_whole_blocks_and_decides_the_digest() {
        fn checked(state: &mut [u32; 8], blocks: &[u8]) {
            assert!(!blocks.is_empty() && blocks.len().is_multiple_of(64));
            compress(state, blocks);
            state[0] ^= 1;
        }
        let mut sha = Sha256::with(checked);
        sha.update(&[1; 63]);
        sha.update(&[1; 1]);
        sha.update(&[]);
        assert_ne!(sha.finish(), digest(&[1; 64]));
    }
}
