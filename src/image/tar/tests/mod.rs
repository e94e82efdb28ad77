//! Archives built byte by byte, and what reads them.

mod formats;
mod hostile;
mod names;
mod oracle;
mod sparse;

use super::{Entry, Failure, Reader};
use crate::base::bytes::Source;
use core::convert::Infallible;

/// A stream that gives at most `step` bytes at a time.
pub struct Bytes<'a> {
    pub rest: &'a [u8],
    pub step: usize,
}

impl Source for Bytes<'_> {
    type Error = Infallible;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let count = self.step.min(self.rest.len()).min(buffer.len());
        let (now, later) = self.rest.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.rest = later;
        Ok(count)
    }
}

pub type Members = Vec<(Entry, Vec<u8>)>;

/// All members with their stored data, read in pieces of `step`.
pub fn read_by(archive: &[u8], step: usize) -> Result<Members, (u64, &'static str)> {
    let mut reader = Reader::new(Bytes { rest: archive, step });
    let mut members = Vec::new();
    let plain = |failure| match failure {
        Failure::Corrupt { offset, what } => (offset, what.kept()),
        Failure::Refused { .. } => unreachable!("archives are read or damaged"),
    };
    while let Some(entry) = reader.next_entry().map_err(plain)? {
        let mut data = Vec::new();
        loop {
            let piece = reader.data().map_err(plain)?;
            if piece.is_empty() {
                break;
            }
            data.extend_from_slice(piece);
        }
        members.push((*entry, data));
    }
    let Ok(()) = reader.drain();
    assert_eq!(reader.offset(), archive.len() as u64);
    Ok(members)
}

pub fn read(archive: &[u8]) -> Result<Members, (u64, &'static str)> {
    read_by(archive, usize::MAX)
}

/// The only member of an archive.
pub fn only(archive: &[u8]) -> (Entry, Vec<u8>) {
    let mut members = read(archive).unwrap();
    assert_eq!(members.len(), 1);
    members.remove(0)
}

/// Why an archive is refused.
pub fn refusal(archive: &[u8]) -> &'static str {
    read(archive).expect_err("the archive is read").1
}

/// A sparse member's content, holes and all.
pub fn expand((entry, data): &(Entry, Vec<u8>)) -> Vec<u8> {
    let Some(extents) = &entry.sparse else { return data.clone() };
    let mut file = vec![0; entry.size as usize];
    let mut data = data.as_slice();
    for extent in extents {
        let (now, later) = data.split_at(extent.length as usize);
        file[extent.offset as usize..][..now.len()].copy_from_slice(now);
        data = later;
    }
    assert!(data.is_empty());
    file
}

/// A header block in the making.
#[derive(Clone)]
pub struct Head(pub [u8; 512]);

impl Head {
    /// A header with the fields of version 7, owned by 1000:100, mode 644, from 1970.
    pub fn v7(path: &str, flag: u8, size: u64) -> Self {
        let head = Self([0; 512]).put(0, path.as_bytes()).put(100, b"0000644\0").put(108, b"0001750\0");
        head.put(116, b"0000144\0")
            .put(124, format!("{size:011o}\0").as_bytes())
            .put(136, b"00000000000\0")
            .put(156, &[flag])
    }

    pub fn ustar(path: &str, flag: u8, size: u64) -> Self {
        Self::v7(path, flag, size).put(257, b"ustar\x0000").put(329, b"0000000\x000000000\0")
    }

    pub fn gnu(path: &str, flag: u8, size: u64) -> Self {
        Self::v7(path, flag, size).put(257, b"ustar  \0")
    }

    pub fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The block with its checksum, and `data` padded behind it.
    pub fn with(&self, data: &[u8]) -> Vec<u8> {
        let mut block = self.clone().put(148, b"        ");
        let sum: u32 = block.0.iter().map(|&byte| u32::from(byte)).sum();
        block = block.put(148, format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = block.0.to_vec();
        bytes.extend(padded(data));
        bytes
    }
}

pub fn padded(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(512), 0);
    bytes
}

/// An extended header of type `flag` with these records.
pub fn extended(flag: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let body = key.len() + value.len() + 3;
        let length =
            (1..20).map(|digits| body + digits).find(|length| body + length.to_string().len() == *length).unwrap();
        data.extend(format!("{length} {key}=").into_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    Head::ustar("PaxHeaders/x", flag, data.len() as u64).with(&data)
}

pub fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    extended(b'x', records)
}

pub fn long(flag: u8, name: &[u8]) -> Vec<u8> {
    Head::gnu("././@LongLink", flag, name.len() as u64).with(name)
}

/// The parts and the end marker.
pub fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
