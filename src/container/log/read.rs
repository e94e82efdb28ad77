//! Reading a container's log, from its files in their order, while it may be written and rotated.

use alloc::vec::Vec;

use super::{HEAD, MAX_FILES, Stream, TIME, head, name};
use crate::base::bytes::find;
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::{Fd, FdRef, because, file};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// What is to be shown of a log.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only the last lines.
    pub tail: Option<u64>,
    /// Only lines that began then or later, as [`rfc3339_bytes`](crate::base::time::Timestamp::rfc3339_bytes).
    pub since: [u8; TIME],
    /// Only lines that began then or earlier.
    pub until: [u8; TIME],
    /// Each line's time before it.
    pub timestamps: bool,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { tail: None, since: [b' '; TIME], until: [b'~'; TIME], timestamps: false }
    }
}

/// What takes the bytes that are to be shown, in pieces of any length.
pub type Show<'a> = &'a mut dyn FnMut(Stream, &[u8]) -> Result<()>;

/// A file of the log.
struct Part {
    file: Fd,
    inode: u64,
    /// Its size when it was opened.
    size: u64,
}

/// The entry that is being read.
#[derive(Clone, Copy)]
struct Entry {
    stream: Stream,
    /// Whether the newline at its end belongs to its text.
    full: bool,
    shown: bool,
}

/// A log that is being read.
pub struct Reader<'a> {
    directory: FdRef<'a>,
    wanted: Wanted,
    /// The files that are not read to their ends, the newest first; the last one is under way.
    parts: Vec<Part>,
    /// What was read of it and not yet shown: less than a header, between two reads.
    buffer: Vec<u8>,
    filled: usize,
    entry: Option<Entry>,
    /// For each stream whether a line has begun of which more is to come, and whether it is shown.
    begun: [Option<bool>; 3],
    /// How many entries of each stream stand before the lines that are wanted.
    skip: [u64; 3],
}

/// The inode of the file that is being written; 0, which no file has, if there is none now.
fn newest(directory: FdRef<'_>) -> u64 {
    // Looked for first, since that it is not there is no error.
    if !file::exists(directory, c"log") {
        return 0;
    }
    file::stat(directory, c"log").map_or(0, |stat| stat.ino)
}

impl<'a> Reader<'a> {
    /// Opens the log in a container's directory; there may be none yet.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn open(directory: FdRef<'a>, wanted: Wanted) -> Result<Reader<'a>> {
        let _why = because!("open the files of the container's log");
        let mut reader = Reader {
            directory,
            wanted,
            parts: Vec::new(),
            buffer: alloc::vec![0; CHUNK + HEAD],
            filled: 0,
            entry: None,
            begun: [None; 3],
            skip: [0; 3],
        };
        reader.open_newer()?;
        if let Some(lines) = wanted.tail {
            reader.seek_last(lines)?;
        }
        Ok(reader)
    }

    /// Whether there is no log.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Shows all that there is; `last` if nothing will follow, so that an entry without an end is as good as one.
    ///
    /// # Errors
    /// What the file system refuses, and what `show` does.
    pub fn drain(&mut self, last: bool, show: Show<'_>) -> Result<()> {
        let _why = because!("read the container's log");
        loop {
            let (mut count, mut inode) = (0, 0);
            if let Some(part) = self.parts.last() {
                count = file::read(part.file.by_ref(), &mut self.buffer[self.filled..])?;
                inode = part.inode;
            }
            self.filled += count;
            if count > 0 {
                self.consume(false, show)?;
            } else if self.parts.len() > 1 {
                // It was given up for the next one.
                self.consume(true, show)?;
                self.parts.pop();
            } else if [0, inode].contains(&newest(self.directory)) {
                return if last { self.consume(true, show) } else { Ok(()) };
            } else if !self.open_newer()? {
                show(Stream::System, b"vial: the log is rotated faster than it is read; lines may be missing here\n")?;
            }
        }
    }

    /// Opens the files that are newer than the one under way, to which more may have come before it was rotated; false if there
    /// may have been others in between.
    ///
    /// While they are opened they may be rotated, so that one is met twice or not at all; if the newest is still the same in
    /// the end they were not. A name that is missing is no end, since one is while they are rotated.
    #[inline(never)]
    fn open_newer(&mut self) -> Result<bool> {
        let known = self.parts.len();
        let under_way = self.parts.last().map_or(0, |part| part.inode);
        loop {
            let first = newest(self.directory);
            let (mut missing, mut met) = (false, false);
            self.parts.drain(..self.parts.len() - known);
            for number in 0..MAX_FILES {
                let file = match file::open(self.directory, name(number, &mut [0; 8]), libc::O_RDONLY) {
                    Ok(file) => file,
                    Err(error) if !error.is(Errno::ENOENT) => return Err(error),
                    Err(_) if missing => break,
                    Err(_) => {
                        missing = true;
                        continue;
                    }
                };
                let stat = file::stat(file.by_ref(), c"")?;
                let (inode, size) = (stat.ino, stat.size);
                met = inode == under_way;
                if met {
                    break;
                }
                self.parts.insert(self.parts.len() - known, Part { file, inode, size });
                missing = false;
            }
            if newest(self.directory) == first {
                return Ok(met || under_way == 0 || self.parts.len() < known + 2);
            }
        }
    }

    /// Shows what is in the buffer, but for the beginning of a header; with `end` that too, since no more of it is to come.
    fn consume(&mut self, end: bool, show: Show<'_>) -> Result<()> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut rest = &buffer[..self.filled];
        while !rest.is_empty() {
            let Some(entry) = self.entry else {
                if rest.len() < HEAD && !end && find(rest, b'\n').is_none() {
                    break;
                }
                rest = self.begin(rest, show)?;
                continue;
            };
            let newline = find(rest, b'\n');
            let (text, behind) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            rest = behind;
            if entry.shown {
                let cut = usize::from(newline.is_some() && !entry.full);
                show(entry.stream, &text[..text.len() - cut])?;
            }
            if newline.is_some() {
                self.entry = None;
            }
        }
        if end {
            self.entry = None;
        }
        let left = rest.len();
        let filled = self.filled;
        buffer.copy_within(filled - left..filled, 0);
        (self.buffer, self.filled) = (buffer, left);
        Ok(())
    }

    /// Takes a header: what is to be done with the entry's text, which follows.
    fn begin<'b>(&mut self, bytes: &'b [u8], show: Show<'_>) -> Result<&'b [u8]> {
        let found = head(bytes);
        // What is damaged goes to none of the workload's streams, which have perhaps not said it.
        let (stream, full) = found.unwrap_or((Stream::System, true));
        let (head, text) = bytes.split_at(if found.is_some() { HEAD } else { 0 });
        let place = stream as usize;
        let mut shown = false;
        if self.skip[place] > 0 {
            self.skip[place] -= 1;
        } else if found.is_none() {
            shown = true;
        } else {
            let time = &head[..TIME];
            let inside = self.begun[place];
            // A line is shown as a whole, or not.
            shown = inside.unwrap_or(*time >= self.wanted.since[..] && *time <= self.wanted.until[..]);
            self.begun[place] = (!full).then_some(shown);
            if shown && inside.is_none() && self.wanted.timestamps {
                show(stream, time)?;
                show(stream, b" ")?;
            }
        }
        self.entry = Some(Entry { stream, full, shown });
        Ok(text)
    }

    /// Goes to where the last lines begin, from the end backwards.
    fn seek_last(&mut self, lines: u64) -> Result<()> {
        let mut search = Search { left: lines, ..Search::default() };
        let mut found = (0, self.parts.first().map_or(0, |part| part.size));
        'parts: for (number, part) in self.parts.iter().enumerate() {
            // What the buffer holds lies between these; behind it stands the beginning of what lay there before.
            let (mut high, mut behind) = (part.size, 0);
            while high > 0 && !search.is_done() {
                let low = high.saturating_sub(CHUNK as u64);
                let length = (high - low) as usize;
                self.buffer.copy_within(..behind, length);
                file::seek(part.file.by_ref(), low)?;
                let mut filled = 0;
                while filled < length {
                    filled = match file::read(part.file.by_ref(), &mut self.buffer[filled..length])? {
                        0 => {
                            // Somebody has cut the file.
                            self.buffer[filled..length].fill(0);
                            length
                        }
                        count => filled + count,
                    };
                }
                let mut end = length;
                loop {
                    let newline = self.buffer[..end].iter().rposition(|byte| *byte == b'\n');
                    if newline.is_none() && low > 0 {
                        break;
                    }
                    let start = newline.map_or(0, |at| at + 1);
                    if low + (start as u64) < part.size {
                        if search.take(head(&self.buffer[start..length + behind])) {
                            found = (number, low + start as u64);
                            self.skip = search.skip;
                        }
                        if search.is_done() {
                            break 'parts;
                        }
                    }
                    let Some(newline) = newline else { break };
                    end = newline;
                }
                behind = HEAD.min(length + behind);
                high = low;
            }
            if search.is_done() {
                break;
            }
        }
        self.parts.truncate(found.0 + 1);
        for part in &self.parts {
            file::seek(part.file.by_ref(), 0)?;
        }
        match self.parts.last() {
            Some(part) => file::seek(part.file.by_ref(), found.1),
            None => Ok(()),
        }
    }
}

/// A search for the last lines of all streams, entry by entry from the end.
#[derive(Default)]
struct Search {
    /// How many more lines are wanted.
    left: u64,
    /// Streams of which an entry was met.
    met: [bool; 3],
    /// Streams of which a line is wanted whose beginning was not met yet.
    open: [bool; 3],
    /// How many entries of each stream were met that are not wanted.
    skip: [u64; 3],
}

impl Search {
    /// Takes the entry that stands before the others in; whether it is wanted.
    fn take(&mut self, head: Option<(Stream, bool)>) -> bool {
        let (stream, full) = head.unwrap_or((Stream::System, true));
        let place = stream as usize;
        if full || !self.met[place] {
            // The last entry of a line, so the one behind it was the first of its own.
            self.met[place] = true;
            self.open[place] = self.left > 0;
            self.left = self.left.saturating_sub(1);
        }
        let wanted = self.open[place];
        self.skip[place] += u64::from(!wanted);
        if stream == Stream::System {
            // vial's own lines have one entry.
            self.open[place] = false;
        }
        wanted
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.open == [false; 3]
    }
}
