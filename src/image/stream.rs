//! An archive's bytes from a second process, which reads, decompresses and digests them on another processor.
//!
//! The two processes share a pipe for the data and one for the verdict: the digest, or the error that ended the data early.
//! Every way to make a layer goes through here: a plain or compressed archive, a pipe, a directory.

use alloc::vec;
use alloc::vec::Vec;

use crate::base::bytes::Source;
use crate::base::error::{Error, Result};
use crate::base::sha256::Sha256;
use crate::sys::ledger::Role;
use crate::sys::process::{self, Ended, Side};
use crate::sys::{self, Fd, data, file};

/// Data under way between the two: as much as an unprivileged user may ask for (`/proc/sys/fs/pipe-max-size`).
const PIPE: usize = 1 << 20;
/// Bytes that the producer gathers before they are digested and sent.
const PIECE: usize = 128 << 10;
/// The longest verdict: an error with four texts.
const VERDICT: usize = 64 << 10;

/// SHA-256 of a tar archive as it was before compression: what an OCI image calls a layer's `diff_id`.
pub type Digest = [u8; 32];

/// Where an archive's bytes go: to the other process, or where the user wants them.
pub struct Output {
    pipe: Fd,
    /// Not for the user's.
    digest: Option<Sha256>,
    pending: Vec<u8>,
}

impl Output {
    /// An archive for the user: what `produce` writes goes to a file that is open.
    ///
    /// # Errors
    /// What `produce` returns, and write(2).
    pub fn to(file: Fd, produce: &mut dyn FnMut(&mut Output) -> Result<()>) -> Result<()> {
        let mut output = Output { pipe: file, digest: None, pending: Vec::with_capacity(PIECE) };
        produce(&mut output)?;
        output.flush()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let large = bytes.len() > PIECE / 2;
        if large || self.pending.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        if large {
            return self.send(bytes);
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let pending = core::mem::take(&mut self.pending);
        self.send(&pending)?;
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        file::write_all(self.pipe.by_ref(), bytes)?;
        // While the other process works on them.
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        Ok(())
    }
}

/// The bytes as they come from the second process.
pub struct Stream {
    pipe: Fd,
    verdict: Fd,
    digest: Option<Digest>,
    /// Not yet collected.
    process: Option<u32>,
}

impl Stream {
    /// Starts a process that runs `produce`. It dies with this one.
    ///
    /// # Errors
    /// pipe(2), clone(2).
    pub fn start(produce: &mut dyn FnMut(&mut Output) -> Result<()>) -> Result<Stream> {
        let (pipe, input) = file::pipe()?;
        data::set_pipe_size(input.by_ref(), PIPE);
        let (verdict, judge) = file::pipe()?;
        let parent = process::getpid();
        match process::clone(0, Role::Helper)? {
            Side::Parent(child) => Ok(Stream { pipe, verdict, digest: None, process: Some(child) }),
            Side::Child => {
                drop((pipe, verdict));
                let digest = Some(sys::sha::sha256());
                let mut output = Output { pipe: input, digest, pending: Vec::with_capacity(PIECE) };
                let result = tie(parent).and_then(|()| produce(&mut output)).and_then(|()| output.flush());
                let (word, rest) = match (result, output.digest) {
                    (Ok(()), digest) => (1, digest.map(Sha256::finish).unwrap_or_default().to_vec()),
                    (Err(error), _) => (0, error.encode()),
                };
                let verdict = [&[word], &rest[..]].concat();
                // If nobody listens any more there is nobody to tell.
                let sent = file::write_all(judge.by_ref(), &verdict);
                process::exit(u8::from(sent.is_err()));
            }
        }
    }

    /// The digest of all bytes, once they have been read to the end.
    ///
    /// # Errors
    /// There is more to read.
    pub fn digest(&self) -> Result<Digest> {
        self.digest.ok_or_else(|| Error::new(phrase!("the archive was not read to its end")))
    }

    /// The bytes have ended: collects the process and learns why they did.
    fn conclude(&mut self) -> Result<()> {
        if self.digest.is_some() {
            return Ok(());
        }
        let verdict = file::read_to_end(self.verdict.by_ref(), VERDICT)?;
        let ended = self.process.take().map(|child| process::wait(Some(child), true)).transpose()?.flatten();
        match verdict.split_first() {
            Some((1, digest)) => {
                self.digest = digest.try_into().ok();
                self.digest().map(drop)
            }
            Some((0, error)) => Err(Error::decode(error).unwrap_or_else(|| died(None))),
            _ => Err(died(ended.map(|waited| waited.ended))),
        }
    }
}

/// Has this process end with its parent, which may have ended already.
fn tie(parent: u32) -> Result<()> {
    process::prctl_die_with_parent(libc::SIGKILL)?;
    if process::getppid() == parent { Ok(()) } else { Err(Error::new(phrase!("vial's first process has ended"))) }
}

fn died(ended: Option<Ended>) -> Error {
    match ended {
        Some(Ended::Killed(signal)) => {
            Error::new(say!("the process that reads the archive was killed by signal {}", signal))
        }
        _ => Error::new(phrase!("the process that reads the archive ended without a word")),
    }
}

impl Source for Stream {
    type Error = Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = if self.process.is_some() { file::read(self.pipe.by_ref(), buffer)? } else { 0 };
        if count == 0 {
            self.conclude()?;
        }
        Ok(count)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(child) = self.process.take() {
            let _ = process::kill(child, libc::SIGKILL);
            let _ = process::wait(Some(child), true);
        }
    }
}

/// A file as a stream, after bytes of it that have been read already.
pub struct Opened {
    /// Read before the rest of the file.
    pub head: Vec<u8>,
    /// The file, behind these bytes.
    pub file: Fd,
}

impl Source for &mut Opened {
    type Error = Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.head.is_empty() {
            return file::read(self.file.by_ref(), buffer);
        }
        let count = self.head.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.head[..count]);
        self.head.drain(..count);
        Ok(count)
    }
}

/// Sends all of `source`.
///
/// # Errors
/// The source's, and as for [`Output::write`].
pub fn copy(mut source: &mut Opened, output: &mut Output) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(()),
            count => output.write(&buffer[..count])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(stream: &mut Stream) -> Result<usize> {
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(total),
                count => total += count,
            }
        }
    }

    #[test]
    fn pieces_of_all_sizes_arrive_in_order_and_are_digested() {
        let sizes = [1, 511, PIECE / 2, PIECE / 2 + 1, 7, PIECE, 3 * PIECE, 100];
        let bytes: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|at| (at / 1000) as u8).collect();
        let mut stream = Stream::start(&mut |output| {
            let mut rest = &bytes[..];
            for size in sizes {
                let (piece, tail) = rest.split_at(size);
                output.write(piece)?;
                rest = tail;
            }
            Ok(())
        })
        .unwrap();
        assert!(stream.digest().is_err());
        assert_eq!(drain(&mut stream).unwrap(), bytes.len());
        assert_eq!(stream.digest().unwrap(), crate::base::sha256::digest(&bytes));
    }

    #[test]
    fn an_error_or_a_death_over_there_is_an_error_here() {
        let failed = Error::new("no").because(phrase!("why")).hint("try");
        let mut stream = Stream::start(&mut |_| Err(Error::new("no").because(phrase!("why")).hint("try"))).unwrap();
        assert_eq!(drain(&mut stream), Err(failed));
        let mut stream = Stream::start(&mut |_| process::kill(process::getpid(), libc::SIGKILL)).unwrap();
        assert!(drain(&mut stream).unwrap_err().to_string().contains("killed by signal 9"));
    }

    #[test]
    fn a_stream_that_is_dropped_takes_its_process_along() {
        let stream = Stream::start(&mut |output| {
            loop {
                output.write(&[0; 4096])?;
            }
        })
        .unwrap();
        let child = stream.process.unwrap();
        drop(stream);
        assert!(process::wait(Some(child), true).unwrap_err().is(crate::base::errno::Errno::ECHILD));
    }
}
