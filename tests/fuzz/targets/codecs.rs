//! Decompression, against the crates that others use.

use std::cell::RefCell;
use std::io::{Read, Write};

use vial::base::bytes::{Decode, Failure};
use vial::base::inflate::Gzip;
use vial::base::zstd::Zstd;

use super::{Bytes, sample};

/// More output is not looked at: a bomb is no error, and no reason to be slow.
const MOST: usize = 1 << 16;

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

/// Whole files: whoever else accepts them reads the same, and nobody accepts what is corrupt.
pub fn gzip(bytes: &[u8]) {
    let (ours, end) = drain(&mut Gzip::new(Bytes(bytes, usize::MAX)));
    place(end, bytes);
    assert!(ours.len() <= bytes.len() * 1032 + 300, "more than deflate can");
    match end {
        Ok(()) => {
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
        Err(Failure::Corrupt { what, .. }) => {
            let other = theirs(flate2::read::MultiGzDecoder::new(bytes));
            assert!(other.is_none_or(|other| other.len() > MOST), "only flate2 takes this: {what}");
        }
        Err(_) => {}
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

thread_local! {
    /// One for all inputs: to make it takes longer than to decode a short one.
    static LIBZSTD: RefCell<zstd::bulk::Decompressor<'static>> = RefCell::default();
}

/// What is decoded is what libzstd decodes, and what is corrupt is so for libzstd too.
pub fn zstd(bytes: &[u8]) {
    let (ours, end) = drain(&mut Zstd::new(Bytes(bytes, usize::MAX)));
    place(end, bytes);
    // Three bytes and one make a block of 128 KiB.
    assert!(ours.len() <= (bytes.len() / 4 + 1) << 17, "more than zstd can");
    let mut other = Vec::with_capacity(if end.is_ok() { ours.len() + 1 } else { MOST });
    let result = LIBZSTD.with_borrow_mut(|libzstd| libzstd.decompress_to_buffer(bytes, &mut other));
    match end {
        Ok(()) => {
            assert!(result.is_ok() && other == ours, "libzstd reads something else: {result:?}");
            if bytes.len().is_multiple_of(8) {
                let (slowly, again) = drain(&mut Zstd::new(Bytes(bytes, 1)));
                assert!(slowly == ours && again.is_ok(), "byte by byte it is something else");
            }
        }
        // It takes nothing for a file, and keeps to no window, since it has all of the output at hand.
        Err(Failure::Corrupt { what, .. }) => {
            let what = what.text();
            let strict = ["a distance to before", "a block of more bytes"].iter().any(|begin| what.starts_with(begin));
            assert!(result.is_err() || bytes.is_empty() || strict, "only libzstd takes this: {what}");
        }
        Err(_) => {}
    }
}
