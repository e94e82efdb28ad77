//! Headers of archives that vial writes: ustar, with a pax header before it for what ustar can't express.
//!
//! The same entry always gives the same bytes, so that the same tree always gives the same digest.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::header::{BLOCK, CHECKSUM_DIGITS, FIELDS, Field, Header, MAJOR, MINOR, MODE};
use super::pax::SIZE;
use super::{Entry, Extent, Kind, Time};
use crate::base::error::{Error, Result};
use crate::image::resolve::split;

/// What ends an archive: two zero blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// How many zeros follow `size` bytes of data.
#[must_use]
pub fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// Whether an archive may begin with this block: a header whose checksum is right, or an empty archive's end.
#[must_use]
pub fn is_start(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|&byte| byte == 0) || Header(*block).verify().is_ok()
}

/// Appends all that comes before an entry's data. The data follows, its extents one after the other for a sparse file, and
/// then [`padding`] for as many bytes as this returns.
///
/// # Errors
/// A device number that the format can't hold.
#[inline(never)]
pub fn header(entry: &Entry, out: &mut Vec<u8>) -> Result<u64> {
    let mut records = Vec::new();
    let mut map = Vec::new();
    let mut stored = if entry.kind == Kind::File { entry.size } else { 0 };
    let mut path = Cow::from(&entry.path);
    if let Some(extents) = &entry.sparse {
        stored = sparse(extents, entry.size, &mut map);
        number_record(&mut records, "GNU.sparse.major", 1);
        number_record(&mut records, "GNU.sparse.minor", 0);
        record(&mut records, b"GNU.sparse.name", &entry.path);
        number_record(&mut records, "GNU.sparse.realsize", entry.size);
        // What a program sees that does not know sparse files.
        path = [b"GNUSparseFile.0/", split(&path).1].concat().into();
    }
    let mut block = Block::new(b'0' + entry.kind as u8);
    let fits = ustar(entry, &path, stored, &mut block, &mut records);
    if !fits {
        return Err(Error::new(phrase!("a device whose number does not fit an archive")));
    }
    if !records.is_empty() {
        let mut extended = Block::new(b'x');
        extended.text(0, b"././@PaxHeader");
        extended.octal(&FIELDS[SIZE], records.len() as u64);
        extended.finish(out);
        out.append(&mut records);
        pad(out);
    }
    block.finish(out);
    out.append(&mut map);
    Ok(stored)
}

/// GNU tar manual, "Storing Sparse Files", PAX Format, Version 1.0: the map stands before the data. How many bytes both are.
fn sparse(extents: &[Extent], size: u64, map: &mut Vec<u8>) -> u64 {
    // An empty extent at the end says where that is: GNU tar would take the last one's for it.
    decimal(map, extents.len() as u64 + 1);
    let mut stored = 0;
    for extent in extents.iter().chain(&[Extent { offset: size, length: 0 }]) {
        map.push(b'\n');
        decimal(map, extent.offset);
        map.push(b'\n');
        decimal(map, extent.length);
        stored += extent.length;
    }
    map.push(b'\n');
    pad(map);
    stored + map.len() as u64
}

/// Fills the last block with zeros.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// The ustar header, whose bytes are zeros yet; what does not fit goes to the records. Whether all can be said.
#[inline(never)]
fn ustar(entry: &Entry, path: &[u8], stored: u64, block: &mut Block, records: &mut Vec<u8>) -> bool {
    let mut name = path;
    if path.len() > 100 {
        if let Some(at) = prefix_end(path) {
            block.text(345, &path[..at]);
            name = &path[at + 1..];
        } else {
            record(records, b"path", path);
        }
    }
    block.text(0, &name[..name.len().min(100)]);
    if entry.link.len() > 100 {
        record(records, b"linkpath", &entry.link);
    }
    block.text(157, &entry.link[..entry.link.len().min(100)]);
    block.octal(&MODE, entry.mode.into());
    let [size, uid, gid, mtime] = &FIELDS;
    block.number(uid, "uid", entry.uid.into(), records);
    block.number(gid, "gid", entry.gid.into(), records);
    block.number(size, "size", stored, records);
    let seconds = u64::try_from(entry.mtime.seconds).unwrap_or(u64::MAX);
    if !block.octal(mtime, seconds) || entry.mtime.nanoseconds != 0 {
        record(records, b"mtime", &time(entry.mtime));
    }
    for attribute in &entry.xattrs {
        let mut key = b"SCHILY.xattr.".to_vec();
        for &byte in &attribute.name {
            // As GNU tar does since 1.30: a record's key ends at the first '='.
            match byte {
                b'=' => key.extend_from_slice(b"%3D"),
                b'%' => key.extend_from_slice(b"%25"),
                _ => key.push(byte),
            }
        }
        record(records, &key, &attribute.value);
    }
    block.octal(&MAJOR, entry.major.into()) && block.octal(&MINOR, entry.minor.into())
}

/// Where a long path may be cut into a prefix of at most 155 bytes and a name of at most 100 (POSIX pax(1)).
fn prefix_end(path: &[u8]) -> Option<usize> {
    let from = path.len().saturating_sub(101).max(1);
    (from..path.len().min(156).max(from)).find(|&at| path[at] == b'/' && at + 1 < path.len())
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
#[inline(never)]
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = (key.len() + value.len() + 3) as u64;
    let mut length = rest;
    loop {
        let at = records.len();
        decimal(records, length);
        let counted = rest + (records.len() - at) as u64;
        if counted == length {
            break;
        }
        length = counted;
        records.truncate(at);
    }
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

#[inline(never)]
fn number_record(records: &mut Vec<u8>, key: &str, value: u64) {
    let mut text = Vec::new();
    decimal(&mut text, value);
    record(records, key.as_bytes(), &text);
}

#[inline(never)]
fn decimal(out: &mut Vec<u8>, number: u64) {
    if number > 9 {
        decimal(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

/// A time in decimal; before 1970 the fraction counts down from the second above.
#[inline(never)]
fn time(time: Time) -> Vec<u8> {
    let (mut seconds, mut nanos, mut text) = (time.seconds, u64::from(time.nanoseconds), Vec::new());
    if seconds < 0 {
        text.push(b'-');
        if nanos > 0 {
            (seconds, nanos) = (seconds + 1, 1_000_000_000 - nanos);
        }
    }
    decimal(&mut text, seconds.unsigned_abs());
    if nanos > 0 {
        // With a digit before, so that there are nine.
        let at = text.len();
        decimal(&mut text, 1_000_000_000 + nanos);
        text[at] = b'.';
    }
    text
}

/// A header block under construction.
struct Block(Vec<u8>);

impl Block {
    #[inline(never)]
    fn new(flag: u8) -> Block {
        let mut block = Block(vec![0; BLOCK]);
        block.0[156] = flag;
        block.text(257, b"ustar\x0000");
        for field in FIELDS.iter().chain([&MODE, &MAJOR, &MINOR]) {
            block.octal(field, 0);
        }
        block
    }

    #[inline(never)]
    fn text(&mut self, at: usize, text: &[u8]) {
        self.0[at..at + text.len()].copy_from_slice(text);
    }

    /// Writes a number with leading zeros and a NUL; false, and nothing is written, if it does not fit.
    #[inline(never)]
    fn octal(&mut self, field: &Field, value: u64) -> bool {
        let places = field.width - 1;
        let fits = value >> (3 * places) == 0;
        if fits {
            for place in 0..places {
                self.0[field.at + places - 1 - place] = b'0' + (value >> (3 * place) & 7) as u8;
            }
        }
        fits
    }

    /// Likewise, and a number that does not fit becomes a record.
    #[inline(never)]
    fn number(&mut self, field: &Field, key: &str, value: u64, records: &mut Vec<u8>) {
        if !self.octal(field, value) {
            number_record(records, key, value);
        }
    }

    /// Fills in the checksum, which is taken with its own field full of blanks: six digits, a NUL, a blank. That is all.
    #[inline(never)]
    fn finish(&mut self, out: &mut Vec<u8>) {
        self.text(148, b"        ");
        let sum = self.0.iter().map(|&byte| u64::from(byte)).sum();
        self.octal(&CHECKSUM_DIGITS, sum);
        out.append(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reader, Xattr};
    use super::*;
    use crate::base::bytes::Source;

    struct Bytes<'a>(&'a [u8]);

    impl Source for Bytes<'_> {
        type Error = ();
        fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, ()> {
            let (head, tail) = self.0.split_at(self.0.len().min(buffer.len()));
            buffer[..head.len()].copy_from_slice(head);
            self.0 = tail;
            Ok(head.len())
        }
    }

    fn entry(kind: Kind, path: &str) -> Entry {
        let mtime = Time { seconds: 1, nanoseconds: 0 };
        let (path, link) = (path.as_bytes().to_vec(), Vec::new());
        let [mode, uid, gid, major, minor] = [0o644, 0, 0, 0, 0];
        let (atime, ctime, xattrs, sparse) = (None, None, Vec::new(), None);
        Entry {
            kind,
            path,
            link,
            mode,
            uid,
            gid,
            size: 0,
            mtime,
            atime,
            ctime,
            major,
            minor,
            xattrs,
            sparse,
            offset: 0,
        }
    }

    fn samples() -> Vec<Entry> {
        let long = format!("{}/{}", "d".repeat(150), "n".repeat(100));
        let unsplittable = "x".repeat(300);
        let before_1970 = Time { seconds: -2, nanoseconds: 750_000_000 };
        let xattr = |name: &str, value: &[u8]| Xattr { name: name.into(), value: value.into() };
        let attributes = vec![xattr("user.a=b%c", b"\0\n=x"), xattr("security.capability", &[1; 20])];
        vec![
            entry(Kind::Directory, "d/"),
            Entry { mode: 0o6755, size: 5, ..entry(Kind::File, "d/f") },
            Entry { size: 9 << 30, ..entry(Kind::File, "big") },
            Entry { size: 3, xattrs: attributes, ..entry(Kind::File, &long) },
            Entry { link: long.clone().into(), ..entry(Kind::HardLink, &unsplittable) },
            Entry { link: b"../x".to_vec(), mode: 0o777, ..entry(Kind::Symlink, "l") },
            Entry { major: 4095, minor: 0xf_ffff, uid: 1 << 30, gid: u32::MAX - 1, ..entry(Kind::BlockDevice, "b") },
            Entry { mtime: before_1970, ..entry(Kind::Fifo, "p") },
            Entry { mtime: Time { seconds: 1 << 40, nanoseconds: 1 }, ..entry(Kind::CharDevice, "c") },
        ]
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for expected in samples() {
            let mut bytes = Vec::new();
            let stored = header(&expected, &mut bytes).unwrap();
            assert_eq!(stored, expected.size);
            assert_eq!(bytes.len() % BLOCK, 0);
            let read = Reader::new(Bytes(&bytes)).next_entry().unwrap().unwrap();
            assert_eq!(*read, expected);
        }
    }

    #[test]
    fn a_sparse_file_is_read_back_with_its_extents() {
        let extents = vec![Extent { offset: 4096, length: 5 }, Extent { offset: 1 << 33, length: 3 }];
        let expected = Entry { size: 1 << 34, sparse: Some(extents), ..entry(Kind::File, "a/sparse") };
        let mut bytes = Vec::new();
        let stored = header(&expected, &mut bytes).unwrap();
        bytes.extend_from_slice(b"12345678");
        bytes.resize(bytes.len() + padding(stored), 0);
        bytes.extend_from_slice(&END);
        let mut reader = Reader::new(Bytes(&bytes));
        assert_eq!(*reader.next_entry().unwrap().unwrap(), expected);
        assert_eq!(reader.data().unwrap(), b"12345678");
        assert_eq!(reader.next_entry().unwrap(), None);
    }

    #[test]
    fn the_tar_crate_agrees_on_what_is_written() {
        for expected in samples().into_iter().filter(|entry| entry.size < 10 && entry.mtime.seconds >= 0) {
            let mut bytes = Vec::new();
            let stored = header(&expected, &mut bytes).unwrap();
            bytes.resize(bytes.len() + stored as usize + padding(stored), 0);
            bytes.extend_from_slice(&END);
            let mut archive = ::tar::Archive::new(&bytes[..]);
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(&*entry.path_bytes(), &expected.path[..]);
            assert_eq!(entry.link_name_bytes().unwrap_or_default(), &expected.link[..]);
            assert_eq!(entry.size(), stored);
            assert_eq!(entry.header().mode().unwrap(), expected.mode);
        }
    }
}
