//! Decompression of Zstandard files (RFC 8878), as a stream.
//!
//! - `input`: compressed bytes
//! - `bits`: the bits in them
//! - `fse`, `huffman`: decoding tables
//! - `block`: literals and sequences
//! - `window`: decoded bytes and what matches may refer to
//! - `xxh64`: the checksum
//! - `alike`: pieces without a frame, which resemble each other
//!
//! Besides about 350 KiB, memory is taken for the window of the frame at hand, as it is filled.
#![expect(clippy::inline_always, reason = "optimising for size keeps the hot loop's helpers out of line otherwise")]

mod alike;
mod bits;
mod block;
mod fse;
mod huffman;
mod input;
#[cfg(test)]
mod tests;
mod window;
mod xxh64;

use alloc::boxed::Box;

pub use self::alike::Alike;
pub use super::bytes::Failure;
use super::bytes::{Decode, Source, filled, load};
use super::phrase::Phrase;
use block::Decoder;
use input::Input;
use window::Window;
use xxh64::Xxh64;

/// What is wrong with the data.
type Corrupt = Phrase;

/// The first bytes of a frame.
pub const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// The last three of the first bytes of a frame that is to be skipped; the high half of the byte before them is 5.
const SKIPPABLE: [u8; 3] = [0x2A, 0x4D, 0x18];
/// The most bytes that a block decodes to, and that it has.
const BLOCK: usize = 128 << 10;
/// The farthest that matches may reach back: what `zstd --ultra --long=27` needs, and what zstd(1) itself stops at unless
/// it is told how much memory it may take.
pub const WINDOW: u64 = 128 << 20;

/// What is refused although it may be good.
const DICTIONARY: Corrupt = phrase!("it was compressed with a dictionary");
const TOO_FAR_BACK: Corrupt = phrase!("it needs a window of more than 128 MiB");

/// Whether a file that begins like this is one of Zstandard's. Parallel compressors begin with a frame to be skipped.
#[must_use]
pub fn is_start(head: &[u8]) -> bool {
    head.starts_with(&MAGIC) || head.first().is_some_and(|byte| byte >> 4 == 5) && head[1..].starts_with(&SKIPPABLE)
}

/// What comes next in the file.
#[derive(Clone, Copy)]
enum State {
    /// A frame.
    Frame,
    /// As many bytes to skip.
    Skip(u64),
    /// The header of a block.
    Block,
    /// What a block with this header has.
    Content(usize),
    /// A frame, or the end.
    Between,
    End,
}

/// A file being decompressed: all its frames, one after the other.
///
/// A frame's checksum, if it has one, and its length, if it tells it, are verified before the last of its bytes are handed
/// out. Frames that are to be skipped are. Behind the last frame nothing may follow.
pub struct Zstd<S: Source> {
    source: S,
    frames: Frames,
    /// What has failed.
    failed: Option<Corrupt>,
}

impl<S: Source> Zstd<S> {
    /// Starts decompressing what `source` gives; nothing is read yet.
    pub fn new(source: S) -> Self {
        let frames = Frames {
            input: Input::new(),
            decoder: Decoder::new(),
            window: Window::new(),
            sum: Xxh64::new(),
            summed: false,
            content: None,
            length: 0,
            state: State::Frame,
        };
        Self { source, frames, failed: None }
    }

    /// The source, which has been read to its end once [`Decode::fill`] gave no more bytes.
    pub fn into_source(self) -> S {
        self.source
    }
}

impl<S: Source> Decode<S::Error> for Zstd<S> {
    fn fill(&mut self) -> Result<&[u8], Failure<S::Error>> {
        let frames = &mut self.frames;
        while frames.window.pending().is_empty() && !matches!(frames.state, State::End) {
            if self.failed.is_none() {
                match frames.input.ensure(&mut self.source, frames.wanted()) {
                    Ok(()) => self.failed = frames.advance().err(),
                    Err(error) => {
                        self.failed = Some(phrase!("reading on after a failure"));
                        return Err(Failure::Source(error));
                    }
                }
            }
            if let Some(what) = self.failed {
                frames.window.give(usize::MAX);
                let offset = frames.input.position();
                let hint = if what == DICTIONARY {
                    phrase!("pass it through zstd: zstd -dc -D DICTIONARY FILE")
                } else if what == TOO_FAR_BACK {
                    // zstd(1) itself takes no more of 32 bits of addresses.
                    if cfg!(target_pointer_width = "32") {
                        phrase!("pass it through zstd: zstd -dc --long=30 FILE")
                    } else {
                        phrase!("pass it through zstd: zstd -dc --long=31 FILE")
                    }
                } else {
                    return Err(Failure::Corrupt { offset, what });
                };
                return Err(Failure::Refused { what, hint });
            }
        }
        Ok(self.frames.window.pending())
    }

    fn consume(&mut self, count: usize) {
        self.frames.window.give(count);
    }
}

impl<S: Source> Source for Zstd<S> {
    type Error = Failure<S::Error>;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure<S::Error>> {
        let decoded = self.fill()?;
        let count = decoded.len().min(buffer.len());
        buffer[..count].copy_from_slice(&decoded[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// What does not depend on where the bytes come from.
struct Frames {
    input: Input,
    decoder: Decoder,
    window: Window,
    sum: Xxh64,
    /// The frame has a checksum.
    summed: bool,
    /// How many bytes the frame's header says that there are, if it does.
    content: Option<u64>,
    /// How many bytes of the frame have been decoded.
    length: u64,
    state: State,
}

impl Frames {
    /// How many bytes the next step may take: the longest header has 18, and a checksum may follow a block.
    fn wanted(&self) -> usize {
        match self.state {
            State::Content(head) => 4 + if head & 6 == 2 { 1 } else { head >> 3 },
            _ => 18,
        }
    }

    /// Decodes a header or a block, of which all is in the input if the file has it.
    fn advance(&mut self) -> Result<(), Corrupt> {
        self.state = match self.state {
            State::Between if self.input.held() == 0 => State::End,
            State::Frame | State::Between => self.frame()?,
            State::Skip(0) => State::Between,
            State::Skip(left) => {
                self.input.need(1)?;
                let count = left.min(self.input.held() as u64);
                self.input.next += count as usize;
                State::Skip(left - count)
            }
            State::Block => State::Content(self.input.number(3)? as usize),
            State::Content(head) => self.block(head)?,
            State::End => State::End,
        };
        Ok(())
    }

    /// Reads a frame's header (RFC 8878, section 3.1.1.1), or that of a frame that is to be skipped (section 3.1.2).
    fn frame(&mut self) -> Result<State, Corrupt> {
        let input = &mut self.input;
        let start = input.next;
        let magic = (input.number(4)? as u32).to_le_bytes();
        if !is_start(&magic) {
            input.next = start;
            return Err(phrase!("not the start of a zstd frame"));
        }
        if magic != MAGIC {
            return Ok(State::Skip(input.number(4)?));
        }
        let flags = input.number(1)? as usize;
        if flags & 8 != 0 {
            return Err(phrase!("a reserved bit in the frame's header"));
        }
        let single = flags & 0x20 != 0;
        let window = input.number(usize::from(!single))?;
        let base = 1 << (10 + (window >> 3));
        let mut reach = base + (base >> 3) * (window & 7);
        if input.number((1 << (flags & 3)) >> 1)? != 0 {
            return Err(DICTIONARY);
        }
        let size = if flags < 0x40 { usize::from(single) } else { 1 << (flags >> 6) };
        let content = input.number(size)? + if size == 2 { 256 } else { 0 };
        self.content = (size > 0).then_some(content);
        if single {
            reach = content;
        }
        if reach > WINDOW {
            return Err(TOO_FAR_BACK);
        }
        self.window.begin(reach as usize);
        self.decoder.reset();
        self.sum = Xxh64::new();
        self.summed = flags & 4 != 0;
        self.length = 0;
        Ok(State::Block)
    }

    /// Decodes a block (RFC 8878, section 3.1.1.2), and verifies the frame behind the last one.
    fn block(&mut self, head: usize) -> Result<State, Corrupt> {
        self.decoder.block(head, &mut self.input, &mut self.window)?;
        let input = &mut self.input;
        let fresh = self.window.fresh();
        self.length += fresh.len() as u64;
        if self.summed {
            self.sum.update(fresh);
        }
        let last = head & 1 != 0;
        if self.content.is_some_and(|content| self.length > content || last && self.length < content) {
            return Err(phrase!("the length is wrong"));
        }
        if !last {
            return Ok(State::Block);
        }
        if self.summed && input.number(4)? as u32 != self.sum.value() {
            return Err(phrase!("the checksum is wrong"));
        }
        Ok(State::Between)
    }
}
