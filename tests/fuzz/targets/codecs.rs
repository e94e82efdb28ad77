//! Decompression and archives, against the crates that others use.

use std::io::{Read, Write};

use vial::base::bytes::{Decode, Failure};
use vial::base::inflate::Gzip;
use vial::base::zstd::Zstd;
use vial::image::tar::{Entry, Kind, Reader};

use super::{Bytes, sample};

/// More output is not looked at: a bomb is no error, and no reason to be slow.
const MOST: usize = 1 << 20;

/// All that a decoder gives, up to about `MOST`; whether that was all, and without an error.
fn drain(decoder: &mut dyn Decode<()>) -> (Vec<u8>, Result<(), Failure<()>>) {
    let mut out = Vec::new();
    loop {
        match decoder.fill() {
            Ok([]) => return (out, Ok(())),
            Ok(piece) => {
                let count = piece.len();
                out.extend_from_slice(piece);
                decoder.consume(count);
                if out.len() > MOST {
                    return (out, Err(Failure::Source(())));
                }
            }
            Err(failure) => {
                // What has failed stays so, and gives no more.
                assert_eq!(decoder.fill().err(), Some(failure));
                if let Failure::Corrupt { what, .. } = failure {
                    assert!(!what.is_empty() && what.text() != "reading on after a failure");
                }
                return (out, Err(failure));
            }
        }
    }
}

/// An error's place lies within the input.
fn place(failure: Result<(), Failure<()>>, input: &[u8]) {
    if let Err(Failure::Corrupt { offset, .. }) = failure {
        assert!(offset <= input.len() as u64, "at byte {offset} of {}", input.len());
    }
}

/// What another crate reads, up to `MOST`; nothing if it finds an error.
fn theirs(mut reader: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    reader.by_ref().take(MOST as u64 + 1).read_to_end(&mut out).ok()?;
    Some(out)
}

pub fn gzipped() -> Vec<Vec<u8>> {
    let pack = |bytes: &[u8], level| {
        let builder = flate2::GzBuilder::new().filename("name").comment("comment").extra(b"extra".as_slice());
        let builder = if level == 1 { builder } else { flate2::GzBuilder::new() };
        let mut encoder = builder.write(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(bytes).expect("to memory");
        encoder.finish().expect("to memory")
    };
    let mut seeds: Vec<_> = [0, 1, 6, 9].map(|level| pack(&sample(300), level)).to_vec();
    seeds.push([pack(b"one", 6), pack(b"", 6), pack(b"two", 0), vec![0; 600]].concat());
    seeds
}

/// Whole files: whoever else accepts them reads the same.
pub fn gzip(bytes: &[u8]) {
    let (ours, end) = drain(&mut Gzip::new(Bytes(bytes, usize::MAX)));
    place(end, bytes);
    assert!(ours.len() <= bytes.len() * 1032 + 300, "more than deflate can");
    if end.is_ok() {
        let padded = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let other = theirs(flate2::read::MultiGzDecoder::new(&bytes[..padded.max(bytes.len().min(18))]));
        // The end of the last member may be zeros too.
        if let Some(other) = other {
            assert!(ours == other, "flate2 reads something else");
        }
        if bytes.len().is_multiple_of(8) {
            let (slowly, again) = drain(&mut Gzip::new(Bytes(bytes, 1)));
            assert!(slowly == ours && again.is_ok(), "byte by byte it is something else");
        }
    }
}

pub fn deflated() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (length, level) in [(0, 6), (40, 0), (300, 1), (300, 6), (2000, 9)] {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&sample(length)).expect("to memory");
        seeds.push(encoder.finish().expect("to memory"));
    }
    // Fixed codes: a literal, a match, the end.
    seeds.push(vec![0x4b, 0x04, 0x02, 0x00]);
    seeds
}

/// Deflate data in a wrapping that is right: both accept it, or neither.
pub fn inflate(bytes: &[u8]) {
    let mut oracle = flate2::Decompress::new(false);
    let mut content = Vec::with_capacity(1 << 15);
    let status = oracle.decompress_vec(bytes, &mut content, flate2::FlushDecompress::Finish);
    if content.len() == content.capacity() {
        return;
    }
    let accepted = matches!(status, Ok(flate2::Status::StreamEnd));
    let end = if accepted { oracle.total_in() as usize } else { bytes.len() };
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let head = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3];
    let (sum, length) = (crc.sum().to_le_bytes(), (content.len() as u32).to_le_bytes());
    // Behind what is cut off, the rest would be data too.
    let (sum, length) = if accepted { (&sum[..], &length[..]) } else { (&[][..], &[][..]) };
    let file = [&head, &bytes[..end], sum, length].concat();
    let (ours, result) = drain(&mut Gzip::new(Bytes(&file, usize::MAX)));
    place(result, &file);
    assert_eq!(result.is_ok(), accepted, "flate2 says something else: {result:?}");
    assert!(!accepted || ours == content, "flate2 reads something else");
}

pub fn zstd_frames() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (length, level, checksum) in
        [(0, 3, false), (20, 3, true), (300, 1, false), (2000, 19, false), (2000, -5, false)]
    {
        let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("an encoder");
        encoder.include_checksum(checksum).expect("a parameter");
        // Small blocks, so that there are several.
        for piece in sample(length).chunks(700) {
            encoder.write_all(piece).expect("to memory");
            encoder.flush().expect("to memory");
        }
        seeds.push(encoder.finish().expect("to memory"));
    }
    seeds.push([&b"\x51\x2a\x4d\x18\x03\0\0\0abc"[..], &seeds[1], &seeds[2]].concat());
    seeds.push(b"\x28\xb5\x2f\xfd\x20\x09\x28\0\0hello\x23\0\0!".to_vec());
    seeds
}

/// What is decoded is what libzstd decodes.
pub fn zstd(bytes: &[u8]) {
    let (ours, end) = drain(&mut Zstd::new(Bytes(bytes, usize::MAX)));
    place(end, bytes);
    // Three bytes and one make a block of 128 KiB.
    assert!(ours.len() <= (bytes.len() / 4 + 1) << 17, "more than zstd can");
    if end.is_ok() {
        let other = theirs(zstd::Decoder::new(bytes).expect("a decoder"));
        assert!(other.is_some_and(|other| other == ours), "libzstd reads something else");
        if bytes.len().is_multiple_of(8) {
            let (slowly, again) = drain(&mut Zstd::new(Bytes(bytes, 1)));
            assert!(slowly == ours && again.is_ok(), "byte by byte it is something else");
        }
    }
}

pub fn archives() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0; 1024]];
    for long in [false, true] {
        let mut builder = tar::Builder::new(Vec::new());
        let name = if long { "d/".repeat(90) } else { "d/".to_owned() };
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        for (kind, name, content) in
            [(tar::EntryType::Directory, name.clone(), ""), (tar::EntryType::Regular, name.clone() + "f", "content")]
        {
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            if long {
                builder
                    .append_pax_extensions([("SCHILY.xattr.user.a", &b"v"[..]), ("mtime", b"5.25")])
                    .expect("to memory");
            }
            builder.append_data(&mut header, name, content.as_bytes()).expect("to memory");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, name.clone() + "l", name.clone() + "f").expect("to memory");
        }
        seeds.push(builder.into_inner().expect("to memory"));
    }
    // A sparse file in GNU's first format: a hole, then four bytes.
    let mut header = tar::Header::new_gnu();
    header.set_path("s").expect("a name");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(4);
    header.set_mode(0o600);
    let gnu = header.as_gnu_mut().expect("it is");
    gnu.set_real_size(1028);
    gnu.sparse[0].offset.copy_from_slice(b"00000002000\0");
    gnu.sparse[0].numbytes.copy_from_slice(b"00000000004\0");
    header.set_cksum();
    seeds.push([header.as_bytes(), &b"data"[..], &[0; 508 + 1024]].concat());
    seeds
}

/// A member with its stored data.
type Member = (Entry, Vec<u8>);

/// Members up to the first error; whether there was none.
fn members(bytes: &[u8], most: usize) -> (Vec<Member>, bool) {
    let mut reader = Reader::new(Bytes(bytes, most));
    let mut found = Vec::new();
    loop {
        match reader.next_entry() {
            Ok(None) => return (found, true),
            Err(_) => {
                assert!(reader.next_entry().is_err(), "it goes on after an error");
                return (found, false);
            }
            Ok(Some(entry)) => {
                let mut data = Vec::new();
                loop {
                    match reader.data() {
                        Ok([]) => break,
                        Ok(piece) => data.extend_from_slice(piece),
                        Err(_) => return (found, false),
                    }
                }
                assert!(reader.offset() <= bytes.len() as u64);
                found.push((*entry, data));
            }
        }
    }
}

/// Members' names and sizes and data are within bounds, and do not depend on how the bytes come.
pub fn tar(bytes: &[u8]) {
    let (found, whole) = members(bytes, usize::MAX);
    assert!(found.len() <= bytes.len() / 512);
    assert!(found.iter().map(|(_, data)| data.len()).sum::<usize>() <= bytes.len());
    let mut before = 0;
    for (entry, data) in &found {
        let Entry { kind, path, link, size, xattrs, sparse, .. } = entry;
        assert!(!path.contains(&0) && !link.contains(&0), "NUL in a name");
        assert!(path.len() + link.len() <= bytes.len() && entry.mode <= 0o7777);
        assert!(entry.mtime.nanoseconds < 1_000_000_000);
        assert!(before <= entry.offset && entry.offset.is_multiple_of(512), "headers stand one after the other");
        before = entry.offset + 512;
        assert!(*kind == Kind::File || data.is_empty() && *size == 0, "only files have data");
        for (number, one) in xattrs.iter().enumerate() {
            assert!(!one.name.is_empty() && !one.name.contains(&0));
            assert!(xattrs[..number].iter().all(|other| other.name != one.name), "an attribute twice");
        }
        match sparse {
            None => assert_eq!(*size, data.len() as u64),
            Some(extents) => {
                let mut end = 0;
                for extent in extents {
                    assert!(extent.offset >= end && extent.length > 0, "extents out of order");
                    end = extent.offset.checked_add(extent.length).expect("within 64 bits");
                }
                assert!(end <= *size);
                assert_eq!(extents.iter().map(|extent| extent.length).sum::<u64>(), data.len() as u64);
            }
        }
    }
    assert!(members(bytes, 511) == (found.clone(), whole), "in other pieces it is something else");
    if whole {
        against_tar(bytes, &found);
    }
}

/// Where the tar crate reads as many members, it reads the same names and data. It gives up where vial does not, say on
/// names that are not text, and ends at one block of zeros.
fn against_tar(bytes: &[u8], found: &[Member]) {
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return };
    let mut other = Vec::new();
    for entry in entries {
        let Ok(mut entry) = entry else { return };
        if entry.header().entry_type().is_pax_global_extensions() {
            continue;
        }
        let mut data = Vec::new();
        if entry.size() > MOST as u64 || entry.read_to_end(&mut data).is_err() {
            return;
        }
        other.push((entry.header().entry_type(), entry.path_bytes().into_owned(), data));
    }
    if other.len() != found.len() {
        return;
    }
    for ((kind, path, data), (entry, ours)) in other.into_iter().zip(found) {
        if kind == tar::EntryType::Regular && entry.kind == Kind::File && entry.sparse.is_none() && path == entry.path {
            assert!(data == *ours, "the tar crate reads other data");
        }
    }
}
