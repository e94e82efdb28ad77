//! A layer's frame: all of its archive that is not the content of files, so that the very same archive can be made again
//! from the tree. What was loaded is then saved with the digests that it had.
//!
//! A frame is a list of pieces. Each begins with a number that holds a kind in its two lowest bits, and a count:
//!
//! ```text
//! 0  bytes of the archive: so many, which follow
//! 1  zeros: so many
//! 2  content: the length of a path, the path; then two numbers, where in that file it begins and how much of it
//! ```
//!
//! Numbers are written in groups of seven bits, the lowest first; the highest bit says that another group follows (LEB128).

use alloc::vec;
use alloc::vec::Vec;

use super::resolve;
use super::stream::Output;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, FdRef, data, file};

/// Bytes gathered before they are written, and read at a time.
const BUFFER: usize = 64 << 10;
/// Fewer zeros are not worth a piece of their own.
const RUN: usize = 8;

/// A frame that is being written.
pub struct Frame {
    file: Fd,
    pending: Vec<u8>,
    /// The first write that failed; it is told in the end.
    failure: Option<Error>,
}

impl Frame {
    /// Begins one in an empty file.
    #[must_use]
    pub fn new(file: Fd) -> Frame {
        Frame { file, pending: Vec::with_capacity(BUFFER), failure: None }
    }

    /// Adds bytes of the archive.
    #[inline(never)]
    pub fn bytes(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let zeros = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            if zeros >= RUN || zeros == rest.len() {
                self.number(zeros as u64, Some(1));
                rest = &rest[zeros..];
                continue;
            }
            let end = rest.windows(RUN).position(|run| run == [0; RUN]).unwrap_or(rest.len());
            self.number(end as u64, Some(0));
            self.pending.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        self.flush(BUFFER);
    }

    /// Adds a part of a file's content.
    #[inline(never)]
    pub fn content(&mut self, path: &[u8], offset: u64, length: u64) {
        self.number(path.len() as u64, Some(2));
        self.pending.extend_from_slice(path);
        self.number(offset, None);
        self.number(length, None);
    }

    /// Writes all.
    ///
    /// # Errors
    /// write(2), also earlier ones.
    pub fn finish(mut self) -> Result<()> {
        self.flush(1);
        self.failure.map_or(Ok(()), Err)
    }

    fn flush(&mut self, least: usize) {
        if self.pending.len() >= least {
            if let Err(error) = file::write_all(self.file.by_ref(), &self.pending) {
                self.failure.get_or_insert(error);
            }
            self.pending.clear();
        }
    }

    fn number(&mut self, number: u64, kind: Option<u64>) {
        let mut rest = kind.map_or(number, |kind| number << 2 | kind);
        while rest > 0x7f {
            self.pending.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.pending.push(rest as u8);
    }
}

/// Writes the archive that a frame and a tree are of. Whether it is that is told by its digest alone.
///
/// # Errors
/// The tree lacks something, or the frame is damaged.
#[inline(never)]
pub fn restore(frame: Fd, tree: FdRef<'_>, output: &mut Output) -> Result<()> {
    let mut pieces = Pieces { file: frame, buffer: vec![0; BUFFER], start: 0, end: 0 };
    let mut buffer = vec![0; BUFFER];
    while pieces.more()? {
        let number = pieces.number()?;
        let mut count = number >> 2;
        match number & 3 {
            0 => {
                while count > 0 {
                    let piece = pieces.take(count)?;
                    output.write(piece)?;
                    count -= piece.len() as u64;
                }
            }
            1 => {
                buffer.fill(0);
                while count > 0 {
                    let now = count.min(BUFFER as u64) as usize;
                    output.write(&buffer[..now])?;
                    count -= now as u64;
                }
            }
            _ => {
                let mut path = Vec::new();
                while (path.len() as u64) < count {
                    let left = count - path.len() as u64;
                    path.extend_from_slice(pieces.take(left)?);
                }
                let (mut at, mut left) = (pieces.number()?, pieces.number()?);
                let place = resolve::find(tree, &path, false)?.filter(|place| place.is(libc::S_IFREG));
                let Some(place) = place else { return Err(damaged()) };
                let file = file::open(place.dir.by_ref(), &place.name, libc::O_RDONLY | libc::O_NOFOLLOW)?;
                while left > 0 {
                    let room = left.min(BUFFER as u64) as usize;
                    let read = data::read_at(file.by_ref(), &mut buffer[..room], at)?;
                    if read == 0 {
                        return Err(damaged());
                    }
                    output.write(&buffer[..read])?;
                    (at, left) = (at + read as u64, left - read as u64);
                }
            }
        }
    }
    Ok(())
}

fn damaged() -> Error {
    Error::new(phrase!("the layer is not as it was unpacked"))
}

/// A frame that is being read.
struct Pieces {
    file: Fd,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Pieces {
    /// Whether there is more; at least a byte is then in the buffer.
    #[inline(never)]
    fn more(&mut self) -> Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, file::read(self.file.by_ref(), &mut self.buffer)?);
        }
        Ok(self.end > 0)
    }

    /// Takes at least one and at most `most` bytes.
    fn take(&mut self, most: u64) -> Result<&[u8]> {
        if !self.more()? {
            return Err(damaged());
        }
        let end = self.end.min(self.start.saturating_add(most as usize));
        let start = core::mem::replace(&mut self.start, end);
        Ok(&self.buffer[start..end])
    }

    fn number(&mut self) -> Result<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return Ok(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::layer::tests::Scratch;
    use crate::sys::fd::CWD;

    fn open(path: &std::path::Path, flags: i32) -> Fd {
        file::create(CWD, file::path(path.to_str().unwrap()).unwrap(), flags, 0o600).unwrap()
    }

    /// What a frame of these pieces is restored to.
    fn round(scratch: &Scratch, make: impl FnOnce(&mut Frame)) -> (Result<()>, Vec<u8>, Vec<u8>) {
        let (frame, archive) = (scratch.0.join("frame"), scratch.0.join("archive"));
        let mut written = Frame::new(open(&frame, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC));
        make(&mut written);
        written.finish().unwrap();
        let tree = open(&scratch.0, libc::O_RDONLY);
        let out = open(&archive, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC);
        let result = Output::to(out, 0, &mut |output| restore(open(&frame, libc::O_RDONLY), tree.by_ref(), output));
        (result, std::fs::read(archive).unwrap(), std::fs::read(frame).unwrap())
    }

    #[test]
    fn bytes_zeros_and_content_come_back_as_they_were() {
        let scratch = Scratch::new("frame");
        std::fs::create_dir(scratch.0.join("d")).unwrap();
        let content: Vec<u8> = (0..300_000_u32).map(|number| (number / 7) as u8).collect();
        std::fs::write(scratch.0.join("d/f"), &content).unwrap();
        let mut head = vec![0; 1000];
        (head[0], head[99], head[104], head[999]) = (1, 2, 3, 4);
        let (result, archive, frame) = round(&scratch, |frame| {
            frame.bytes(&head);
            frame.content(b"d/f", 0, 300_000);
            frame.bytes(&vec![0; 200_000]);
            frame.content(b"d/f", 5, 130);
            frame.bytes(&vec![7; 100_000]);
            frame.bytes(&[0, 0]);
        });
        result.unwrap();
        let expected = [&head[..], &content, &vec![0; 200_000], &content[5..135], &vec![7; 100_000], &[0, 0]].concat();
        assert!(archive == expected, "{} bytes", archive.len());
        assert!(frame.len() < 100_100, "zeros take no room: {}", frame.len());
    }

    #[test]
    fn the_form_is_as_it_is_described() {
        let scratch = Scratch::new("frame-form");
        let (_, _, frame) = round(&scratch, |frame| {
            frame.bytes(b"ab\0\0c");
            frame.bytes(&[0; 300]);
            frame.content(b"p/q", 128, 3);
        });
        let expected = [
            &[5 << 2][..],
            b"ab\0\0c",    // five bytes
            &[0xb1, 0x09], // 300 << 2 | 1: zeros
            &[3 << 2 | 2],
            b"p/q", // content of p/q
            &[0x80, 0x01],
            &[3], // from byte 128, three of them
        ]
        .concat();
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_tree_that_lacks_something_is_an_error() {
        let scratch = Scratch::new("frame-lacks");
        std::fs::write(scratch.0.join("short"), "abc").unwrap();
        std::os::unix::fs::symlink("short", scratch.0.join("link")).unwrap();
        for (path, offset, length) in
            [("short", 0, 4), ("short", 3, 1), ("none", 0, 1), ("link", 0, 1), ("no/ne", 0, 1)]
        {
            let (result, ..) = round(&scratch, |frame| frame.content(path.as_bytes(), offset, length));
            assert!(result.is_err(), "{path} {offset} {length}");
        }
        assert!(round(&scratch, |frame| frame.content(b"short", 0, 3)).0.is_ok());
    }

    #[test]
    fn a_damaged_frame_is_an_error_and_no_panic() {
        let scratch = Scratch::new("frame-damaged");
        std::fs::write(scratch.0.join("f"), "abc").unwrap();
        let (_, _, whole) = round(&scratch, |frame| {
            frame.bytes(b"head");
            frame.content(b"f", 0, 3);
        });
        let tree = open(&scratch.0, libc::O_RDONLY);
        let path = scratch.0.join("damaged");
        for end in 0..whole.len() {
            for change in [0, 1, 2, 3, 0x40, 0x80, 0xff] {
                let mut bytes = whole[..end].to_vec();
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= change;
                }
                std::fs::write(&path, &bytes).unwrap();
                let out = open(std::path::Path::new("/dev/null"), libc::O_WRONLY);
                let _ =
                    Output::to(out, 1 << 20, &mut |output| restore(open(&path, libc::O_RDONLY), tree.by_ref(), output));
            }
        }
    }
}
