//! Decompression of gzip files (RFC 1952) with the deflate method (RFC 1951), as a stream.
//!
//! - `input`: compressed bytes and the bits in them
//! - `huffman`: decoding tables
//! - `deflate`: blocks and symbols
//! - `window`: decoded bytes and the history of matches
//! - `crc32`: the checksum
//!
//! Everything that is ever allocated, about 228 KiB, is allocated at the start.
#![expect(clippy::inline_always, reason = "optimising for size keeps the hot loop's helpers out of line otherwise")]

mod crc32;
mod deflate;
mod huffman;
mod input;
#[cfg(test)]
mod tests;
mod window;

use alloc::boxed::Box;

pub use super::bytes::Failure;
use super::bytes::{Decode, Source, filled, load};
use crc32::Crc32;
use deflate::{Corrupt, Deflate};
use input::Input;
use window::Window;

/// Flags of a member's header (RFC 1952, section 2.3.1); FTEXT (1) is only a hint.
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The first bytes of every gzip file with the deflate method.
pub const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];

/// There is less than there should be.
const TRUNCATED: Corrupt = phrase!("the data ends too early");

/// What comes next in the file.
#[derive(Clone, Copy)]
enum State {
    /// The first member.
    Start,
    /// Inside a member's compressed data.
    Body,
    /// Behind a member: another one, padding, or the end.
    Between,
    End,
}

/// A gzip file being decompressed: all its members, one after the other.
///
/// A member's checksum and length are verified before the last of its bytes are handed out. Zeros behind the last member
/// are ignored, since tapes and block devices leave such padding; anything else there is an error, because a layer with
/// bytes that nobody looks at would be no layer that can be trusted. (gzip(1) warns and ignores it.)
pub struct Gzip<S: Source> {
    source: S,
    input: Input,
    deflate: Deflate,
    window: Window,
    crc: Crc32,
    /// Decoded bytes of the member, modulo 2³².
    length: u32,
    state: State,
    /// What has failed.
    failed: Option<Corrupt>,
    /// The source's own failure, until it is told.
    failure: Option<S::Error>,
}

impl<S: Source> Gzip<S> {
    /// Starts decompressing what `source` gives; nothing is read yet.
    pub fn new(source: S) -> Self {
        Self {
            source,
            input: Input::new(),
            deflate: Deflate::new(),
            window: Window::new(),
            crc: Crc32::new(),
            length: 0,
            state: State::Start,
            failed: None,
            failure: None,
        }
    }

    /// The source, which has been read to its end once [`Decode::fill`] gave no more bytes.
    pub fn into_source(self) -> S {
        self.source
    }

    /// Makes one step towards a full window.
    fn advance(&mut self) -> Result<State, Corrupt> {
        match self.state {
            State::Start => return self.header(),
            State::Body => {
                self.ensure()?;
                let result = self.deflate.step(&mut self.input, &mut self.window);
                // Zeros behind the end can make any error, but this one is the cause.
                if self.input.overrun() {
                    return Err(TRUNCATED);
                }
                if result? {
                    self.trailer()?;
                    return Ok(State::Between);
                }
            }
            State::Between => {
                self.ensure()?;
                return match self.input.bytes() {
                    [] => Ok(State::End),
                    [0, ..] => self.padding(),
                    _ => self.header(),
                };
            }
            State::End => {}
        }
        Ok(self.state)
    }

    /// Reads a member's header (RFC 1952, section 2.3).
    #[inline(never)]
    fn header(&mut self) -> Result<State, Corrupt> {
        self.crc.reset();
        self.length = 0;
        self.ensure()?;
        let held = self.input.bytes();
        if !MAGIC.starts_with(&held[..held.len().min(MAGIC.len())]) {
            return Err(phrase!("not the start of a gzip member"));
        }
        for _ in MAGIC {
            self.byte()?;
        }
        let flags = self.byte()?;
        if flags & RESERVED != 0 {
            return Err(phrase!("unknown flags in the gzip header"));
        }
        // Time, compression level, and operating system do not matter.
        for _ in 0..6 {
            self.byte()?;
        }
        if flags & FEXTRA != 0 {
            for _ in 0..self.short()? {
                self.byte()?;
            }
        }
        for flag in [FNAME, FCOMMENT] {
            while flags & flag != 0 && self.byte()? != 0 {}
        }
        if flags & FHCRC != 0 {
            let sum = self.crc.value() as u16;
            if self.short()? != sum {
                return Err(phrase!("the gzip header's checksum is wrong"));
            }
        }
        self.crc.reset();
        self.deflate.reset();
        self.window.forget();
        Ok(State::Body)
    }

    /// Verifies a member's checksum and length (RFC 1952, section 2.3.1).
    fn trailer(&mut self) -> Result<(), Corrupt> {
        self.input.align();
        self.sum();
        let (crc, length) = (self.crc.value(), self.length);
        if self.long()? != crc {
            return Err(phrase!("the checksum is wrong"));
        }
        if self.long()? != length {
            return Err(phrase!("the length is wrong"));
        }
        Ok(())
    }

    /// Skips the zeros behind the last member.
    fn padding(&mut self) -> Result<State, Corrupt> {
        loop {
            self.ensure()?;
            let bytes = self.input.bytes();
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            let (all, none) = (zeros == bytes.len(), bytes.is_empty());
            self.input.skip(zeros);
            if none {
                return Ok(State::End);
            }
            if !all {
                return Err(phrase!("something other than zeros behind the last gzip member"));
            }
        }
    }

    /// Takes the bytes decoded since the last time into the checksum and the length.
    fn sum(&mut self) {
        let count = self.window.sum(&mut self.crc);
        self.length = self.length.wrapping_add(count as u32);
    }

    /// Has the input ready for a step of the decoder.
    fn ensure(&mut self) -> Result<(), Corrupt> {
        self.failure = self.input.ensure(&mut self.source).err();
        if self.failure.is_some() { Err(phrase!("reading on after a failure")) } else { Ok(()) }
    }

    /// A byte of a header or trailer.
    #[inline(never)]
    fn byte(&mut self) -> Result<u8, Corrupt> {
        if self.input.bytes().is_empty() {
            self.ensure()?;
        }
        let &[byte, ..] = self.input.bytes() else { return Err(TRUNCATED) };
        self.input.skip(1);
        self.crc.update(&[byte]);
        Ok(byte)
    }

    #[inline(never)]
    fn short(&mut self) -> Result<u16, Corrupt> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    #[inline(never)]
    fn long(&mut self) -> Result<u32, Corrupt> {
        Ok(self.short()? as u32 | (self.short()? as u32) << 16)
    }
}

impl<S: Source> Decode<S::Error> for Gzip<S> {
    fn fill(&mut self) -> Result<&[u8], Failure<S::Error>> {
        if self.window.pending().is_empty() {
            self.window.slide();
            while self.failed.is_none() && self.window.has_room() && !matches!(self.state, State::End) {
                match self.advance() {
                    Ok(state) => self.state = state,
                    Err(what) => self.failed = Some(what),
                }
            }
            if let Some(what) = self.failed {
                // What was decoded of the member is not what was compressed.
                self.window.give(usize::MAX);
                // The byte that was being decoded.
                let offset = self.input.position();
                return Err(self.failure.take().map_or(Failure::Corrupt { offset, what }, Failure::Source));
            }
            self.sum();
        }
        Ok(self.window.pending())
    }

    fn consume(&mut self, count: usize) {
        self.window.give(count);
    }
}

impl<S: Source> Source for Gzip<S> {
    type Error = Failure<S::Error>;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let decoded = self.fill()?;
        let count = decoded.len().min(buffer.len());
        buffer[..count].copy_from_slice(&decoded[..count]);
        self.consume(count);
        Ok(count)
    }
}
