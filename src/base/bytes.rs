//! Streams of bytes and little helpers to take integers out of them.

/// Where bytes come from.
pub trait Source {
    /// What can go wrong underneath.
    type Error;
    /// Fills the start of `buffer` and returns how many bytes; 0 only at the end of the stream or for an empty buffer.
    ///
    /// # Errors
    /// Whatever the underlying stream reports.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error>;
}

/// Where the first `byte` is.
#[inline]
#[must_use]
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    bytes.iter().position(|known| *known == byte)
}
