//! Writing a container's log.

use alloc::vec::Vec;

use super::{HEAD, LogOptions, STREAMS, Stream, TIME, name};
use crate::base::bytes::find;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::sys::{Fd, FdRef, because, file};

/// Entries are gathered up to so many bytes, and none is longer.
const BUFFER: usize = 16 << 10;

/// A log that is being written. Nobody else may write it: who owns the container does.
///
/// No failure of the disk is a failure of the container: what can't be written is dropped, counted, and noted in the log as
/// soon as something can be written again. Nothing is allocated for a chunk, unless it has to be dropped.
pub struct Log {
    directory: Fd,
    options: LogOptions,
    /// `log`; none if it could not be made.
    file: Option<Fd>,
    /// How many bytes it has.
    size: u64,
    /// Whole entries that are still to be written to it.
    buffer: Vec<u8>,
    /// How many bytes of the workload's are in them.
    payload: usize,
    /// How many bytes of the workload's were dropped, and why the last ones.
    lost: usize,
    error: Option<Error>,
    /// How many of them a note tells of that is among the entries.
    noted: usize,
}

impl Log {
    /// Opens the log in a container's directory, going on with what is there; `None` if the options say that none is kept.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn open(directory: FdRef<'_>, options: &LogOptions) -> Result<Option<Log>> {
        if !options.keeps() {
            return Ok(None);
        }
        let _why = because!("open the container's log, to write down what it says");
        let mut log = Log {
            directory: file::duplicate(directory)?,
            options: *options,
            file: None,
            size: 0,
            buffer: Vec::with_capacity(BUFFER),
            payload: 0,
            lost: 0,
            error: None,
            noted: 0,
        };
        let opened = file::create(directory, c"log", libc::O_RDWR | libc::O_CREAT | libc::O_APPEND, 0o600)?;
        log.size = file::stat(opened.by_ref(), c"")?.size;
        let mut last = [b'\n'];
        if log.size > 0 {
            file::seek(opened.by_ref(), log.size - 1)?;
            file::read(opened.by_ref(), &mut last)?;
        }
        if last != [b'\n'] {
            // Whoever wrote was killed in the middle of an entry.
            log.buffer.push(b'\n');
        }
        log.file = Some(opened);
        Ok(Some(log))
    }

    /// Writes down what has just come from a stream, whole lines and the beginning of one alike, so that it can be read when
    /// this returns. Without any bytes it only notes what was lost, if that can be done by now.
    pub fn append(&mut self, stream: Stream, now: Timestamp, mut bytes: &[u8]) {
        let _why = because!("write what the container says to its log");
        if self.lost > 0 {
            self.note(now);
        }
        let mut head = header(stream, now);
        let most = self.options.max_size.min(BUFFER as u64) as usize - HEAD - 1;
        while !bytes.is_empty() {
            let window = &bytes[..bytes.len().min(most + 1)];
            let end = find(window, b'\n');
            let (text, rest) = bytes.split_at(end.unwrap_or(window.len().min(most)));
            head[HEAD - 2] = if end.is_some() { b'F' } else { b'P' };
            bytes = &rest[usize::from(end.is_some())..];
            self.push(&head, text, text.len() + usize::from(end.is_some()));
        }
        self.flush();
    }

    /// Notes that something was lost.
    #[cold]
    fn note(&mut self, now: Timestamp) {
        let Some(error) = &self.error else { return };
        let note = alloc::format!("vial: {} bytes of the log are lost: {}", self.lost, error.errno());
        self.push(&header(Stream::System, now), note.as_bytes(), 0);
        if !self.buffer.is_empty() {
            self.noted = self.lost;
        }
    }

    /// Puts an entry behind the others, in a new file if it does not fit into this one.
    fn push(&mut self, head: &[u8; HEAD], text: &[u8], payload: usize) {
        let length = HEAD + text.len() + 1;
        if self.buffer.len() + length > BUFFER {
            self.flush();
        }
        let used = self.size + self.buffer.len() as u64;
        if self.file.is_none() || (used > 0 && used + length as u64 > self.options.max_size) {
            self.flush();
            if let Err(error) = self.rotate() {
                self.lost += payload;
                self.error = Some(error);
                return;
            }
        }
        self.buffer.extend_from_slice(head);
        self.buffer.extend_from_slice(text);
        self.buffer.push(b'\n');
        self.payload += payload;
    }

    /// Writes the entries that were gathered.
    fn flush(&mut self) {
        let Some(opened) = &self.file else { return };
        match file::write_all(opened.by_ref(), &self.buffer) {
            Ok(()) => {
                self.size += self.buffer.len() as u64;
                self.lost -= self.noted;
            }
            Err(error) => {
                // A part of them may have been written.
                let _ = file::truncate(opened.by_ref(), self.size);
                self.lost += self.payload;
                self.error = Some(error);
            }
        }
        self.buffer.clear();
        (self.payload, self.noted) = (0, 0);
    }

    /// Gives each file the next number, the last one up, and begins a new one. Where it fails it can be tried again.
    #[cold]
    #[inline(never)]
    fn rotate(&mut self) -> Result<()> {
        let _why = because!("begin a new file of the container's log, and drop the oldest");
        let directory = self.directory.by_ref();
        if self.file.is_some() {
            let (mut old, mut new) = ([0; 8], [0; 8]);
            // Not replaced by a rename: ext4 begins to write what takes another's place to the disk at once. Nor emptied, if
            // it is the only one: who reads it has it still open.
            let oldest = name(self.options.max_file - 1, &mut old);
            if file::exists(directory, oldest) {
                file::unlink(directory, oldest)?;
            }
            for number in (1..self.options.max_file).rev() {
                let old = name(number - 1, &mut old);
                if file::exists(directory, old) {
                    file::rename(directory, old, directory, name(number, &mut new), true)?;
                }
            }
            self.file = None;
        }
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
        self.file = Some(file::create(directory, c"log", flags, 0o600)?);
        self.size = 0;
        Ok(())
    }
}

/// The header of an entry, as if it were a whole line.
fn header(stream: Stream, now: Timestamp) -> [u8; HEAD] {
    let mut head = *b"                               stdout F ";
    head[..TIME].copy_from_slice(&now.rfc3339_bytes());
    head[TIME + 1..][..6].copy_from_slice(STREAMS[stream as usize]);
    head
}
