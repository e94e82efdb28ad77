//! Streams of bytes, why decoding one stopped, and little helpers of the decoders.

use alloc::boxed::Box;
use alloc::vec;

use super::phrase::Phrase;

/// Where bytes come from.
pub trait Source {
    /// What can go wrong underneath.
    type Error;
    /// Fills the start of `buffer` and returns how many bytes; 0 only at the end of the stream or for an empty buffer.
    ///
    /// # Errors
    /// Whatever the underlying stream reports.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error>;

    /// Goes over so many bytes without reading them; false, and nothing is done, where that is not possible.
    fn skip(&mut self, _count: u64) -> bool {
        false
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    type Error = S::Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, S::Error> {
        (**self).read(buffer)
    }

    fn skip(&mut self, count: u64) -> bool {
        (**self).skip(count)
    }
}

/// Why a decoder stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The source failed.
    Source(E),
    /// The data is not what a compressor would have written.
    Corrupt {
        /// Where, in bytes from the start of the compressed data.
        offset: u64,
        /// What is wrong there.
        what: Phrase,
    },
    /// The data may be good, but the decoder can't or won't decode it.
    Refused {
        /// What it would take.
        what: Phrase,
        /// What to do about it.
        hint: Phrase,
    },
}

/// What decodes a stream and shows the bytes where they lie.
pub trait Decode<E> {
    /// Decoded bytes, none only at the end. They are given again until [`Decode::consume`] takes them.
    ///
    /// # Errors
    /// The source's, that the data is corrupt or cut off, or that the decoder refuses it. After any of them, nothing more
    /// can be decoded.
    fn fill(&mut self) -> Result<&[u8], Failure<E>>;

    /// Drops the first `count` bytes that [`Decode::fill`] gave.
    fn consume(&mut self, count: usize);
}

/// The bytes at `at`, where the callers' masks or lengths make sure that they are. For hot loops: a range in brackets
/// would be a call there, because the compiler optimises for size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "optimising for size keeps it out of line otherwise")]
pub(super) fn load<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(chunk) => *chunk,
        None => [0; N],
    }
}

/// An array of `zero`s on the heap. Large ones of numbers are no memory before they are written to.
#[expect(clippy::unnecessary_box_returns, reason = "it is too large to be anywhere else")]
pub(super) fn filled<T: Copy, const N: usize>(zero: T) -> Box<[T; N]> {
    match vec![zero; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("a vector of as many elements is as long"),
    }
}

/// Where the first `byte` is, looking at eight bytes at a time.
#[must_use]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        // The lowest high bit that is set stands in the first byte that is zero; those above may be wrong.
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(number * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    Some(bytes.len() - rest.len() + rest.iter().position(|known| *known == byte)?)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_of_several_is_found_at_every_place() {
        for length in 0..40usize {
            for filler in [0u8, 1, 9, 11, 0x7f, 0x80, 0x8a, 0xff] {
                let mut bytes = std::vec![filler; length];
                assert_eq!(find(&bytes, b'\n'), None);
                for at in (0..length).rev() {
                    bytes[at] = b'\n';
                    assert_eq!(find(&bytes, b'\n'), Some(at), "{length} {filler}");
                    assert_eq!(find(&bytes[at + 1..], b'\n').is_some(), at + 1 < length);
                }
            }
        }
    }
}
