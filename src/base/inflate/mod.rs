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
use core::mem;

pub use super::bytes::Failure;
use super::bytes::{Decode, Source, filled, load};
use super::phrase::Phrase;
use crc32::Crc32;
use deflate::Deflate;
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
    /// Nothing: what went before failed.
    Failed {
        offset: u64,
        what: Phrase,
    },
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
        }
    }

    /// The source, which has been read to its end once [`Decode::fill`] gave no more bytes.
    pub fn into_source(self) -> S {
        self.source
    }

    /// Makes one step towards a full window.
    fn advance(&mut self, state: State) -> Result<State, Failure<S::Error>> {
        match state {
            State::Start => self.header(),
            State::Body => {
                self.ensure()?;
                let result = self.deflate.step(&mut self.input, &mut self.window);
                // Zeros behind the end can make any error, but this one is the cause.
                if self.input.overrun() {
                    return Err(self.truncated());
                }
                if !result.map_err(|what| self.corrupt(what))? {
                    return Ok(State::Body);
                }
                self.trailer()?;
                Ok(State::Between)
            }
            State::Between => {
                self.ensure()?;
                match self.input.bytes() {
                    [] => Ok(State::End),
                    [0, ..] => self.padding(),
                    _ => self.header(),
                }
            }
            State::End => Ok(State::End),
            State::Failed { offset, what } => Err(Failure::Corrupt { offset, what }),
        }
    }

    /// Reads a member's header (RFC 1952, section 2.3).
    fn header(&mut self) -> Result<State, Failure<S::Error>> {
        self.crc.reset();
        self.length = 0;
        let start = self.input.position();
        for byte in MAGIC {
            if self.byte()? != byte {
                return Err(Failure::Corrupt { offset: start, what: phrase!("not the start of a gzip member") });
            }
        }
        let flags = self.byte()?;
        if flags & RESERVED != 0 {
            return Err(self.corrupt(phrase!("unknown flags in the gzip header")));
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
                return Err(self.corrupt(phrase!("the gzip header's checksum is wrong")));
            }
        }
        self.crc.reset();
        self.deflate.reset();
        self.window.forget();
        Ok(State::Body)
    }

    /// Verifies a member's checksum and length (RFC 1952, section 2.3.1).
    fn trailer(&mut self) -> Result<(), Failure<S::Error>> {
        self.input.align();
        self.sum();
        let (crc, length) = (self.crc.value(), self.length);
        if self.long()? != crc {
            return Err(self.corrupt(phrase!("the checksum is wrong")));
        }
        if self.long()? != length {
            return Err(self.corrupt(phrase!("the length is wrong")));
        }
        Ok(())
    }

    /// Skips the zeros behind the last member.
    fn padding(&mut self) -> Result<State, Failure<S::Error>> {
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
                return Err(self.corrupt(phrase!("something other than zeros behind the last gzip member")));
            }
        }
    }

    /// Takes the bytes decoded since the last time into the checksum and the length.
    fn sum(&mut self) {
        let count = self.window.sum(&mut self.crc);
        self.length = self.length.wrapping_add(count as u32);
    }

    /// Has the input ready for a step of the decoder.
    fn ensure(&mut self) -> Result<(), Failure<S::Error>> {
        self.input.ensure(&mut self.source).map_err(Failure::Source)
    }

    /// A byte of a header or trailer.
    fn byte(&mut self) -> Result<u8, Failure<S::Error>> {
        if self.input.bytes().is_empty() {
            self.ensure()?;
        }
        let &[byte, ..] = self.input.bytes() else { return Err(self.truncated()) };
        self.input.skip(1);
        self.crc.update(&[byte]);
        Ok(byte)
    }

    fn short(&mut self) -> Result<u16, Failure<S::Error>> {
        Ok(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn long(&mut self) -> Result<u32, Failure<S::Error>> {
        Ok(self.short()? as u32 | (self.short()? as u32) << 16)
    }

    /// An error at the byte that is being decoded.
    fn corrupt(&self, what: Phrase) -> Failure<S::Error> {
        Failure::Corrupt { offset: self.input.position(), what }
    }

    fn truncated(&self) -> Failure<S::Error> {
        self.corrupt(phrase!("the data ends too early"))
    }
}

impl<S: Source> Decode<S::Error> for Gzip<S> {
    fn fill(&mut self) -> Result<&[u8], Failure<S::Error>> {
        if self.window.pending().is_empty() {
            // Stays in place if anything below fails.
            let failed = State::Failed { offset: self.input.position(), what: phrase!("reading on after a failure") };
            let mut state = mem::replace(&mut self.state, failed);
            self.window.slide();
            while self.window.has_room() && !matches!(state, State::End) {
                state = self.advance(state).inspect_err(|failure| {
                    if let &Failure::Corrupt { offset, what } = failure {
                        self.state = State::Failed { offset, what };
                    }
                })?;
            }
            self.sum();
            self.state = state;
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
