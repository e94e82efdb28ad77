//! An archive's bytes from a second process, which reads, decompresses and digests them on another processor.
//!
//! The two processes share memory for the data, and a pipe for the verdict: the digest, or the error that ended the data early.
//! Every way to make a layer goes through here: a plain or compressed archive, a pipe, a directory.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::blobs::Descriptor;
use super::helper::Helper;
use crate::base::bytes::Source;
use crate::base::error::{Error, Result};
use crate::base::sha256::{Sha256, hex};
use crate::sys::ring::{PIECE, Receiver, Sender, ring};
use crate::sys::{self, Fd, data, file};

/// SHA-256 of a tar archive as it was before compression: what an OCI image calls a layer's `diff_id`.
pub type Digest = [u8; 32];

/// Where an archive's bytes go: to the other process, or where the user wants them.
pub struct Output {
    /// To the other process. If there is none, pieces are filled here, and go to a file or are only digested.
    ring: Option<Sender>,
    buffer: Vec<u8>,
    file: Option<Fd>,
    digest: Option<Sha256>,
    /// How much of the piece in hand is filled.
    filled: usize,
    /// How many bytes may still come, and how many that was at first.
    left: u64,
    most: u64,
}

impl Output {
    /// No more than `most` bytes if that is not 0, of which nothing is done yet.
    fn new(most: u64) -> Output {
        let most = if most == 0 { u64::MAX } else { most };
        Output { ring: None, buffer: Vec::new(), file: None, digest: None, filled: 0, left: most, most }
    }

    /// An archive for the user: what `produce` writes goes to a file that is open, no more than `most` bytes if that is not 0.
    ///
    /// # Errors
    /// What `produce` returns, and write(2).
    pub fn to(file: Fd, most: u64, produce: &mut dyn FnMut(&mut Output) -> Result<()>) -> Result<()> {
        let mut output = Output { buffer: vec![0; PIECE], file: Some(file), ..Output::new(most) };
        produce(&mut output)?;
        output.flush()
    }

    /// What `produce` would write: its digest, and how many bytes it is.
    ///
    /// # Errors
    /// What `produce` returns.
    pub fn measure(produce: &mut dyn FnMut(&mut Output) -> Result<()>) -> Result<(Digest, u64)> {
        let mut output = Output { buffer: vec![0; PIECE], digest: Some(sys::sha::sha256()), ..Output::new(0) };
        produce(&mut output)?;
        output.flush()?;
        let length = output.written();
        Ok((output.digest.map(Sha256::finish).unwrap_or_default(), length))
    }

    /// How many bytes have been added.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.most - self.left + self.filled as u64
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When nobody reads them any more.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.filled += count;
        }
        Ok(())
    }

    /// What is left of the piece in hand, which is not nothing.
    #[inline(never)]
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == PIECE {
            self.flush()?;
        }
        let piece = match &mut self.ring {
            Some(ring) => ring.room()?,
            None => &mut self.buffer[..],
        };
        Ok(&mut piece[self.filled..])
    }

    #[inline(never)]
    fn flush(&mut self) -> Result<()> {
        let filled = mem::take(&mut self.filled);
        if filled == 0 {
            return Ok(());
        }
        let Some(left) = self.left.checked_sub(filled as u64) else {
            return Err(too_large(self.most));
        };
        self.left = left;
        // The other process works on it at the same time.
        let piece = match &mut self.ring {
            Some(ring) => ring.send(filled)?,
            None => &self.buffer[..filled],
        };
        if let Some(file) = &self.file {
            file::write_all(file.by_ref(), piece)?;
        }
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
        }
        Ok(())
    }
}

/// The bytes as they come from the second process.
pub struct Stream {
    ring: Receiver,
    helper: Helper,
    digest: Option<Digest>,
}

impl Stream {
    /// Starts a process that runs `produce`, for no more than `most` bytes if that is not 0. It dies with this one.
    ///
    /// # Errors
    /// mmap(2), pipe(2), clone(2).
    pub fn start(most: u64, produce: &mut dyn FnMut(&mut Output) -> Result<()>) -> Result<Stream> {
        let (sender, receiver) = ring()?;
        let (mut sender, mut receiver) = (Some(sender), Some(receiver));
        let helper = Helper::start(&mut |_| {
            receiver = None;
            let mut output = Output { ring: sender.take(), digest: Some(sys::sha::sha256()), ..Output::new(most) };
            produce(&mut output)?;
            output.flush()?;
            Ok(output.digest.map(Sha256::finish).unwrap_or_default().to_vec())
        })?;
        let Some(ring) = receiver else { return Err(Error::new("")) };
        Ok(Stream { ring, helper, digest: None })
    }

    /// The digest of all bytes, once they have been read to the end.
    ///
    /// # Errors
    /// There is more to read.
    pub fn digest(&self) -> Result<Digest> {
        self.digest.ok_or_else(|| Error::new(phrase!("the archive was not read to its end")))
    }
}

pub(super) fn too_large(most: u64) -> Error {
    Error::new(say!("the archive unpacks to more than {} bytes", most)).hint(phrase!("--max-size allows more"))
}

impl Source for Stream {
    type Error = Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.helper.id().is_none() {
            return self.digest().map(|_| 0);
        }
        let count = self.ring.receive(buffer)?;
        if count == 0 {
            self.digest = self.helper.conclude()?.try_into().ok();
        }
        Ok(count)
    }
}

/// A file, or a part of one, as a stream.
pub struct Opened {
    /// Read already, and to be read again before the rest.
    pub head: Vec<u8>,
    /// The file, which stands behind these bytes if it is not a part.
    pub file: Fd,
    /// Where the next byte lies, if others read the same file.
    at: Option<u64>,
    /// How many bytes may still be read of the file.
    left: u64,
    /// Of what was read of the file.
    digest: Option<Sha256>,
}

impl Opened {
    /// All of a file, from where it stands.
    #[must_use]
    pub fn new(file: Fd) -> Opened {
        Opened { head: Vec::new(), file, at: None, left: u64::MAX, digest: None }
    }

    /// So many bytes of a file that other processes read too.
    #[must_use]
    pub fn part(file: Fd, at: u64, size: u64) -> Opened {
        Opened { at: Some(at), left: size, ..Opened::new(file) }
    }

    /// Whether it can be read from any place.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.at.is_some()
    }

    /// Begins to digest what is read, and reads no further than the blob goes.
    pub fn expect(&mut self, blob: &Descriptor) {
        self.digest = Some(sys::sha::sha256());
        self.left = self.left.min(blob.size);
    }

    /// Whether all that was read, which is all there is, was this blob.
    ///
    /// # Errors
    /// It was not.
    #[inline(never)]
    pub fn verify(&mut self, blob: &Descriptor) -> Result<()> {
        let Some(expected) = blob.digest() else { return Ok(()) };
        let found = self.digest.take().map(|digest| hex(&digest.finish()));
        if found.as_deref() == Some(expected) {
            return Ok(());
        }
        Err(Error::new(say!("{} is damaged: its content does not have this digest", blob.name))
            .because(sys::ledger::reason()))
    }

    /// The first bytes, up to `count`, which are read again afterwards.
    ///
    /// # Errors
    /// read(2).
    pub fn peek(&mut self, count: usize) -> Result<&[u8]> {
        let mut head = vec![0; count];
        let mut length = 0;
        while length < count {
            match self.read_some(&mut head[length..])? {
                0 => break,
                read => length += read,
            }
        }
        head.truncate(length);
        self.head = head;
        Ok(&self.head)
    }

    /// All bytes, if there are not more than `limit`.
    ///
    /// # Errors
    /// read(2), and when there are more.
    pub fn read_all(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let length = content.len();
            content.resize(length + 4096, 0);
            let count = self.read_some(&mut content[length..])?;
            content.truncate(length + count);
            if count == 0 {
                return Ok(content);
            }
            if content.len() > limit {
                return Err(Error::new(say!("a document of more than {} bytes", limit)));
            }
        }
    }

    #[inline(never)]
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if !self.head.is_empty() {
            let count = self.head.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.head[..count]);
            self.head.drain(..count);
            return Ok(count);
        }
        let room = self.left.min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..room];
        let count = match &mut self.at {
            None => file::read(self.file.by_ref(), buffer)?,
            Some(at) => {
                let count = data::read_at(self.file.by_ref(), buffer, *at)?;
                *at += count as u64;
                count
            }
        };
        self.left -= count as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..count]);
        }
        Ok(count)
    }
}

impl Source for Opened {
    type Error = Error;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.read_some(buffer)
    }

    fn skip(&mut self, count: u64) -> bool {
        let (Some(at), Some(left)) = (&mut self.at, self.left.checked_sub(count)) else { return false };
        *at += count;
        self.left = left;
        true
    }
}

/// Sends all of `source`.
///
/// # Errors
/// The source's, and as for [`Output::write`].
pub fn copy(source: &mut Opened, output: &mut Output) -> Result<()> {
    loop {
        match source.read_some(output.room()?)? {
            0 => return Ok(()),
            count => output.filled += count,
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
        let mut stream = Stream::start(0, &mut |output| {
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
        let mut stream = Stream::start(0, &mut |_| Err(Error::new("no").because(phrase!("why")).hint("try"))).unwrap();
        assert_eq!(drain(&mut stream), Err(failed));
        let mut stream =
            Stream::start(0, &mut |_| crate::sys::process::kill(crate::sys::process::getpid(), libc::SIGKILL)).unwrap();
        assert!(drain(&mut stream).unwrap_err().to_string().contains("killed by signal 9"));
    }

    #[test]
    fn a_stream_that_is_dropped_takes_its_process_along() {
        let stream = Stream::start(0, &mut |output| {
            loop {
                output.write(&[0; 4096])?;
            }
        })
        .unwrap();
        let child = stream.helper.id().unwrap();
        drop(stream);
        let collected = crate::sys::process::wait(Some(child), true).unwrap_err();
        assert!(collected.is(crate::base::errno::Errno::ECHILD));
    }
}
