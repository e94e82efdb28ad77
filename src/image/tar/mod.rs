//! tar archives, read as a stream: version 7, ustar, star, pax and GNU.
//!
//! Where two readers of the same archive could see different members, ours takes POSIX's word, or refuses when no writer
//! does such a thing: an archive must not show one tree to the scanner and another to the container.
//!
//! # Source
//! POSIX.1-2017 pax(1); the GNU tar manual, "Tar Internals"; star(5).

mod entry;
mod header;
mod pax;
mod sparse;
#[cfg(test)]
mod tests;
pub mod write;

pub use self::entry::{Entry, Kind, Time, Xattr};
pub use self::sparse::Extent;

use self::entry::{Extensions, assemble};
use self::header::{BLOCK, FIELDS, GNU_MAP, GNU_MORE_MAP, GNU_REAL_SIZE, Header, gnu_extents, until_nul};
use self::pax::{Attributes, Scope};
use self::sparse::{Declared, Place, Text, check};
use super::frame::Frame;
use crate::base::bytes::Source;
use crate::base::phrase::Phrase;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

pub use self::pax::BASE64;
pub use crate::base::bytes::Failure;

/// All the memory a member's data ever takes.
const BUFFER: usize = 256 << 10;
/// Long names and extended headers are held whole; this is sixteen times what the kernel lets an attribute hold.
const MAX_EXTENSION: u64 = 1 << 20;

/// Global records are gone through for every member.
const MAX_GLOBALS: usize = 64 << 10;

/// Two of these end an archive.
const ZERO: [u8; BLOCK] = [0; BLOCK];

/// What is wrong with an archive.
type What = Phrase;

/// Reads an archive member by member.
pub struct Reader<S: Source> {
    source: S,
    /// Gets all bytes that are taken, but not what [`Reader::data`] lends.
    pub frame: Option<Frame>,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet taken.
    start: usize,
    end: usize,
    /// Bytes taken so far.
    position: u64,
    /// Data of the current member that was not taken yet, and the padding behind it.
    left: u64,
    padding: u64,
    /// The records of the global headers so far.
    globals: Vec<u8>,
    /// Set by the end marker.
    ended: bool,
    /// Where what is at hand begins: what is wrong is wrong there.
    at: u64,
    /// Behind a broken header nothing can be trusted: the failure is given again.
    broken: Option<What>,
    /// The stream's own, until it is told.
    failure: Option<S::Error>,
}

impl<S: Source> Reader<S> {
    /// Starts at the beginning of an archive.
    pub fn new(source: S) -> Self {
        Self {
            source,
            frame: None,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            position: 0,
            left: 0,
            padding: 0,
            globals: Vec::new(),
            ended: false,
            at: 0,
            broken: None,
            failure: None,
        }
    }

    /// Goes to the next member, over what is left of the current one's data; nothing at the archive's end.
    ///
    /// # Errors
    /// The stream's own; `Corrupt` for what is not, or not all of, an archive, and again whenever asked after that.
    pub fn next_entry(&mut self) -> Result<Option<Box<Entry>>, Failure<S::Error>> {
        let result = match self.broken {
            Some(what) => Err(what),
            None => self.advance(),
        };
        result.map_err(|what| {
            // A second try would go on behind the long name or the size that this one had read.
            self.broken = Some(what);
            self.left = 0;
            self.stop(what)
        })
    }

    /// Why it did not go on.
    #[inline(never)]
    fn stop(&mut self, what: What) -> Failure<S::Error> {
        match self.failure.take() {
            Some(error) => Failure::Source(error),
            None => Failure::Corrupt { offset: self.at, what },
        }
    }

    /// Something is wrong with the byte that would be the next one.
    #[inline(never)]
    fn wrong_here<T>(&mut self, what: What) -> Result<T, What> {
        self.at = self.position;
        Err(what)
    }

    /// Lends the next piece of the current member's data, as stored: a sparse member's holes are not there.
    /// An empty piece is the end.
    ///
    /// # Errors
    /// The stream's own; `Corrupt` if the archive is cut off.
    pub fn data(&mut self) -> Result<&[u8], Failure<S::Error>> {
        if self.left == 0 {
            return Ok(&[]);
        }
        match self.take(self.left) {
            Ok(count) => {
                self.left -= count as u64;
                Ok(&self.buffer[self.start - count..self.start])
            }
            Err(what) => Err(self.stop(what)),
        }
    }

    /// Adds bytes of the buffer to the frame.
    #[inline(never)]
    fn note(&mut self, taken: Range<usize>) {
        if let Some(frame) = &mut self.frame {
            frame.bytes(&self.buffer[taken]);
        }
    }

    /// How many bytes of the archive were taken so far.
    pub fn offset(&self) -> u64 {
        self.position
    }

    /// Reads what is left of the stream, so that a hash below sees all of it and a pipe's writer can finish.
    ///
    /// # Errors
    /// The stream's own.
    pub fn drain(&mut self) -> Result<(), S::Error> {
        (self.left, self.padding, self.ended) = (0, 0, true);
        loop {
            self.position += (self.end - self.start) as u64;
            self.note(self.start..self.end);
            (self.start, self.end) = (0, 0);
            if !self.fill().unwrap_or(false) {
                return self.failure.take().map_or(Ok(()), Err);
            }
        }
    }

    /// Goes over the current member's data without reading it, where the stream can do that; where in the archive it begins.
    ///
    /// # Errors
    /// `Corrupt` if the archive ends before.
    pub fn pass(&mut self) -> Result<u64, Failure<S::Error>> {
        let at = self.position;
        let whole = mem::take(&mut self.left).saturating_add(mem::take(&mut self.padding));
        let held = whole.min((self.end - self.start) as u64);
        self.start += held as usize;
        self.position = at.saturating_add(whole);
        if whole > held && !self.source.skip(whole - held) {
            let what = phrase!("the archive ends in the middle of a member");
            return Err(Failure::Corrupt { offset: at, what });
        }
        Ok(at)
    }

    /// The stream underneath. Reading from it loses the reader its place.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Gives the stream back; what the reader had read ahead is gone unless it was drained.
    pub fn into_source(self) -> S {
        self.source
    }

    fn advance(&mut self) -> Result<Option<Box<Entry>>, What> {
        let mut entry = Box::<Entry>::default();
        let mut long = Extensions::default();
        let mut first = None;
        let mut header = Header(ZERO);
        loop {
            self.skip()?;
            self.at = self.position;
            if !self.header(&mut header)? {
                return if long.is_empty() {
                    Ok(None)
                } else {
                    Err(phrase!("the archive ends after an extended header"))
                };
            }
            entry.offset = *first.get_or_insert(self.at);
            match header.typeflag() {
                // 'X' is what Solaris wrote before POSIX settled on 'x'. A second header replaces the first.
                b'x' | b'X' => self.extension(&header, &mut long.records)?,
                b'g' => {
                    let mut records = Vec::new();
                    self.extension(&header, &mut records)?;
                    Attributes::default().apply(&records, Scope::Archive)?;
                    if self.globals.len() + records.len() > MAX_GLOBALS {
                        return Err(phrase!("pax headers for the whole archive of more than 64 KiB"));
                    }
                    self.globals.append(&mut records);
                }
                b'L' => self.long_name(&header, &mut long.path)?,
                b'K' => self.long_name(&header, &mut long.link)?,
                b'M' => return Err(phrase!("the rest of a file that begins in another volume")),
                flag => {
                    self.at = entry.offset;
                    let mut said = Attributes::default();
                    let stored = assemble(&header, &self.globals, &long, &mut said, &mut entry)?;
                    self.begin(stored);
                    self.sparse(&header, &mut said.sparse, &mut entry)?;
                    if entry.kind != Kind::File {
                        // GNU's incremental archives list what a directory holds (type D).
                        self.padding += mem::take(&mut self.left);
                    }
                    // A volume label is no member, though it is made like one.
                    if flag != b'V' {
                        return Ok(Some(entry));
                    }
                    (*entry, long, first) = (Entry::default(), Extensions::default(), None);
                }
            }
        }
    }

    /// Reads the map of a sparse member, wherever it is.
    #[inline(never)]
    fn sparse(&mut self, header: &Header, said: &mut Declared, entry: &mut Entry) -> Result<(), What> {
        let mut block = [0; BLOCK];
        let old = header.typeflag() == b'S';
        match said.place {
            Place::Nowhere if !old => return Ok(()),
            Place::Nowhere => {
                if !header.is_gnu() {
                    return Err(phrase!("a member of type S that is not in GNU format"));
                }
                said.size = header.number(&GNU_REAL_SIZE)? as u64;
                let mut goes_on = gnu_extents(&header.0[GNU_MAP], &mut said.map)?;
                while goes_on {
                    self.need_block(&mut block)?;
                    goes_on = gnu_extents(&block[GNU_MORE_MAP], &mut said.map)?;
                }
            }
            _ if old => return Err(phrase!("two sparse maps for one member")),
            Place::Header => {}
            Place::Data => {
                let (mut text, mut complete) = (Text::default(), false);
                while !complete {
                    if self.left < BLOCK as u64 {
                        return Err(phrase!("a sparse map that goes beyond the member's data"));
                    }
                    self.left -= BLOCK as u64;
                    self.need_block(&mut block)?;
                    complete = text.feed(&block, &mut said.map)?;
                }
            }
        }
        check(&mut said.map, said.size, self.left)?;
        entry.sparse = Some(mem::take(&mut said.map));
        entry.size = said.size;
        Ok(())
    }

    /// Reads the next header; false at the end.
    fn header(&mut self, header: &mut Header) -> Result<bool, What> {
        if !self.ended && self.block(&mut header.0)? {
            if header.0 != ZERO {
                return header.verify().map(|()| true);
            }
            // Two zero blocks are the end. GNU tar and Go take one, or none, for enough if nothing follows.
            if self.block(&mut header.0)? && header.0 != ZERO {
                return Err(phrase!("a zero block between the members"));
            }
        }
        self.ended = true;
        Ok(false)
    }

    #[inline(never)]
    fn long_name(&mut self, header: &Header, name: &mut Vec<u8>) -> Result<(), What> {
        self.extension(header, name)?;
        name.truncate(until_nul(name).len());
        // GNU tar makes the name empty, Go's reader takes the short one.
        if name.is_empty() { Err(phrase!("an empty long name")) } else { Ok(()) }
    }

    /// Holds the data of an extended header.
    #[inline(never)]
    fn extension(&mut self, header: &Header, bytes: &mut Vec<u8>) -> Result<(), What> {
        let size = header.number(&FIELDS[pax::SIZE])? as u64;
        if size > MAX_EXTENSION && !weak!("bombs") {
            return Err(phrase!("a long name or extended header of more than 1 MiB"));
        }
        self.begin(size);
        bytes.clear();
        while self.left != 0 {
            let count = self.take(self.left)?;
            self.left -= count as u64;
            let taken = self.start - count..self.start;
            bytes.extend_from_slice(&self.buffer[taken.clone()]);
            self.note(taken);
        }
        Ok(())
    }

    fn begin(&mut self, stored: u64) {
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<(), What> {
        self.padding += mem::take(&mut self.left);
        while self.padding != 0 {
            let count = self.take(self.padding)?;
            self.padding -= count as u64;
            self.note(self.start - count..self.start);
        }
        Ok(())
    }

    /// Takes at least one and at most `limit` bytes, which are then before `start` in the buffer; how many.
    #[inline(never)]
    fn take(&mut self, limit: u64) -> Result<usize, What> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if !self.fill()? {
                return self.wrong_here(phrase!("the archive ends in the middle of a member"));
            }
        }
        let count = limit.min((self.end - self.start) as u64);
        self.start += count as usize;
        self.position += count;
        Ok(count as usize)
    }

    fn need_block(&mut self, block: &mut [u8; BLOCK]) -> Result<(), What> {
        if self.block(block)? { Ok(()) } else { self.wrong_here(phrase!("the archive ends in the middle of a member")) }
    }

    /// Takes a block; false if the stream ends just before it.
    #[inline(never)]
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, What> {
        if self.end - self.start < BLOCK {
            // Less than a block is moved so that what is read next gets the whole buffer.
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            while self.end < BLOCK {
                if !self.fill()? {
                    return if self.end == 0 {
                        Ok(false)
                    } else {
                        self.wrong_here(phrase!("the archive ends in the middle of a block"))
                    };
                }
            }
        }
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.note(self.start..self.start + BLOCK);
        self.start += BLOCK;
        self.position += BLOCK as u64;
        Ok(true)
    }

    /// Reads once behind what the buffer holds; false at the stream's end.
    #[inline(never)]
    fn fill(&mut self) -> Result<bool, What> {
        let free = &mut self.buffer[self.end..];
        let room = free.len();
        match self.source.read(free) {
            Ok(count) => {
                self.end += count.min(room);
                Ok(count != 0)
            }
            Err(error) => {
                self.failure = Some(error);
                self.wrong_here(phrase!("the stream failed here before"))
            }
        }
    }
}
