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

use self::entry::{Extensions, Member, assemble};
use self::header::{BLOCK, Header, gnu_sparse_more, until_nul};
use self::pax::{Attributes, Scope};
use self::sparse::{Layout, Map, Text};
use crate::base::bytes::Source;
use crate::base::phrase::Phrase;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

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

/// Why an archive can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// The stream underneath failed.
    Source(E),
    /// The archive is damaged, cut off, or something that is refused.
    Corrupt {
        /// Where in the archive.
        offset: u64,
        /// What is wrong there.
        what: Phrase,
    },
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Source(error)
    }
}

/// Reads an archive member by member.
pub struct Reader<S: Source> {
    source: S,
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
    /// Behind a broken header nothing can be trusted: the failure is given again.
    broken: Option<(u64, What)>,
}

impl<S: Source> Reader<S> {
    /// Starts at the beginning of an archive.
    pub fn new(source: S) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            position: 0,
            left: 0,
            padding: 0,
            globals: Vec::new(),
            ended: false,
            broken: None,
        }
    }

    /// Goes to the next member, over what is left of the current one's data; nothing at the archive's end.
    ///
    /// # Errors
    /// The stream's own; `Corrupt` for what is not, or not all of, an archive, and again whenever asked after that.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Failure<S::Error>> {
        if let Some((offset, what)) = self.broken {
            return Err(Failure::Corrupt { offset, what });
        }
        let next = self.advance();
        // A second try would go on behind the long name or the size that this one had read.
        self.broken = match next {
            Ok(_) => return next,
            Err(Failure::Corrupt { offset, what }) => Some((offset, what)),
            Err(Failure::Source(_)) => Some((self.position, phrase!("the stream failed here before"))),
        };
        self.left = 0;
        next
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
        let taken = self.take(self.left)?;
        self.left -= taken.len() as u64;
        Ok(&self.buffer[taken])
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
            (self.start, self.end) = (0, 0);
            if !self.fill()? {
                return Ok(());
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
            return corrupt(at, phrase!("the archive ends in the middle of a member"));
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

    fn advance(&mut self) -> Result<Option<Entry>, Failure<S::Error>> {
        let mut extensions = Extensions::default();
        let mut first = None;
        let mut header = Header(ZERO);
        loop {
            self.skip()?;
            let at = self.position;
            if !self.header(&mut header)? {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    corrupt(at, phrase!("the archive ends after an extended header"))
                };
            }
            let start = *first.get_or_insert(at);
            match header.typeflag() {
                // 'X' is what Solaris wrote before POSIX settled on 'x'. A second header replaces the first.
                b'x' | b'X' => extensions.records = self.extension(&header, at)?,
                b'g' => {
                    let records = self.extension(&header, at)?;
                    Attributes::default().apply(&records, Scope::Archive).or_else(|what| corrupt(at, what))?;
                    if self.globals.len() + records.len() > MAX_GLOBALS {
                        return corrupt(at, phrase!("pax headers for the whole archive of more than 64 KiB"));
                    }
                    self.globals.extend_from_slice(&records);
                }
                b'L' => extensions.path = Some(self.long_name(&header, at)?),
                b'K' => extensions.link = Some(self.long_name(&header, at)?),
                b'M' => return corrupt(at, phrase!("the rest of a file that begins in another volume")),
                flag => {
                    let member = assemble(&header, &self.globals, &mut mem::take(&mut extensions), start);
                    let entry = self.member(&header, member.or_else(|what| corrupt(start, what))?)?;
                    // A volume label is no member, though it is made like one.
                    if flag != b'V' {
                        return Ok(Some(entry));
                    }
                    first = None;
                }
            }
        }
    }

    fn member(&mut self, header: &Header, member: Member) -> Result<Entry, Failure<S::Error>> {
        let Member { mut entry, stored, layout } = member;
        self.begin(stored);
        if header.typeflag() == b'S' || layout.is_some() {
            let (size, map) = self.map(header, layout, entry.offset)?;
            entry.sparse = Some(map.check(size, self.left).or_else(|what| corrupt(entry.offset, what))?);
            entry.size = size;
        }
        if entry.kind != Kind::File {
            // GNU's incremental archives list what a directory holds (type D).
            self.padding += mem::take(&mut self.left);
        }
        Ok(entry)
    }

    fn map(
        &mut self,
        header: &Header,
        layout: Option<(u64, Layout)>,
        at: u64,
    ) -> Result<(u64, Map), Failure<S::Error>> {
        let mut block = [0; BLOCK];
        match layout {
            Some(_) if header.typeflag() == b'S' => corrupt(at, phrase!("two sparse maps for one member")),
            Some((size, Layout::Header(map))) => Ok((size, map)),
            Some((size, Layout::Data)) => {
                let (mut text, mut complete) = (Text::default(), false);
                while !complete {
                    if self.left < BLOCK as u64 {
                        return corrupt(at, phrase!("a sparse map that goes beyond the member's data"));
                    }
                    self.left -= BLOCK as u64;
                    self.need_block(&mut block)?;
                    complete = text.feed(&block).or_else(|what| corrupt(at, what))?;
                }
                Ok((size, text.into_map()))
            }
            None => {
                let mut map = Map::default();
                let (size, mut goes_on) = header.gnu_sparse(&mut map).or_else(|what| corrupt(at, what))?;
                while goes_on {
                    self.need_block(&mut block)?;
                    goes_on = gnu_sparse_more(&block, &mut map).or_else(|what| corrupt(at, what))?;
                }
                Ok((size, map))
            }
        }
    }

    /// Reads the next header; false at the end.
    fn header(&mut self, header: &mut Header) -> Result<bool, Failure<S::Error>> {
        let at = self.position;
        if !self.ended && self.block(&mut header.0)? {
            if header.0 != ZERO {
                return header.verify().map(|()| true).or_else(|what| corrupt(at, what));
            }
            // Two zero blocks are the end. GNU tar and Go take one, or none, for enough if nothing follows.
            if self.block(&mut header.0)? && header.0 != ZERO {
                return corrupt(at, phrase!("a zero block between the members"));
            }
        }
        self.ended = true;
        Ok(false)
    }

    fn long_name(&mut self, header: &Header, at: u64) -> Result<Vec<u8>, Failure<S::Error>> {
        let mut name = self.extension(header, at)?;
        name.truncate(until_nul(&name).len());
        // GNU tar makes the name empty, Go's reader takes the short one.
        if name.is_empty() { corrupt(at, phrase!("an empty long name")) } else { Ok(name) }
    }

    /// Holds the data of an extended header.
    fn extension(&mut self, header: &Header, at: u64) -> Result<Vec<u8>, Failure<S::Error>> {
        let size = header.size().or_else(|what| corrupt(at, what))?;
        if size > MAX_EXTENSION {
            return corrupt(at, phrase!("a long name or extended header of more than 1 MiB"));
        }
        self.begin(size);
        let mut bytes = Vec::with_capacity(size as usize);
        loop {
            let piece = self.data()?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(piece);
        }
    }

    fn begin(&mut self, stored: u64) {
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<(), Failure<S::Error>> {
        self.padding += mem::take(&mut self.left);
        while self.padding != 0 {
            self.padding -= self.take(self.padding)?.len() as u64;
        }
        Ok(())
    }

    /// Takes at least one and at most `limit` bytes; returns where in the buffer they are.
    fn take(&mut self, limit: u64) -> Result<Range<usize>, Failure<S::Error>> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if !self.fill()? {
                return corrupt(self.position, phrase!("the archive ends in the middle of a member"));
            }
        }
        let count = limit.min((self.end - self.start) as u64);
        let taken = self.start..self.start + count as usize;
        self.start = taken.end;
        self.position += count;
        Ok(taken)
    }

    fn need_block(&mut self, block: &mut [u8; BLOCK]) -> Result<(), Failure<S::Error>> {
        if self.block(block)? {
            Ok(())
        } else {
            corrupt(self.position, phrase!("the archive ends in the middle of a member"))
        }
    }

    /// Takes a block; false if the stream ends just before it.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, Failure<S::Error>> {
        if self.end - self.start < BLOCK {
            // Less than a block is moved so that what is read next gets the whole buffer.
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            while self.end < BLOCK {
                if !self.fill()? {
                    return if self.end == 0 {
                        Ok(false)
                    } else {
                        corrupt(self.position, phrase!("the archive ends in the middle of a block"))
                    };
                }
            }
        }
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.start += BLOCK;
        self.position += BLOCK as u64;
        Ok(true)
    }

    /// Reads once behind what the buffer holds; false at the stream's end.
    fn fill(&mut self) -> Result<bool, S::Error> {
        let free = &mut self.buffer[self.end..];
        let room = free.len();
        let count = self.source.read(free)?.min(room);
        self.end += count;
        Ok(count != 0)
    }
}

fn corrupt<T, E>(offset: u64, what: What) -> Result<T, Failure<E>> {
    Err(Failure::Corrupt { offset, what })
}
