//! How fast vial's decoders are, beside the libraries in C that others use, in one process and without files.

use std::convert::Infallible;
use std::fmt::Debug;
use std::fs;
use std::io::{Read, sink};
use std::path::Path;
use std::time::{Duration, Instant};

use vial::base::bytes::{Decode, Source};
use vial::base::inflate::Gzip;
use vial::base::zstd::Zstd;

use super::import::{generated, packed};
use super::measure::{median_and_least, remove};
use super::report::{Cell, Report, Table};

/// Bytes in memory.
struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    type Error = Infallible;

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.0.read(buffer).expect("memory can be read"))
    }
}

/// Decodes all with one of vial's.
fn own(decoder: &mut dyn Decode<Infallible>) -> u64 {
    let mut count = 0;
    loop {
        let length = decoder.fill().unwrap_or_else(|_| panic!("it is not damaged")).len();
        if length == 0 {
            return count;
        }
        count += length as u64;
        decoder.consume(length);
    }
}

/// Decodes all with a library.
fn other<E: Debug>(decoder: Result<impl Read, E>) -> u64 {
    std::io::copy(&mut decoder.expect("a decoder"), &mut sink()).expect("it is not damaged")
}

/// Measures and prints a table.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    fs::create_dir_all(directory).expect("make the bench's directory");
    let plain = directory.join("root.tar");
    generated(&plain);
    let size = fs::metadata(&plain).expect("the archive exists").len();
    let title = format!(
        "Decoding {} MB in memory, {rounds} rounds in turn; the libraries are zlib and libzstd, as the crates flate2 and zstd build them.",
        size / 1_000_000
    );
    let mut table = Table::new(title, &["vial MB/s", "library MB/s", "ratio of medians"]);
    for (kind, line) in
        [("gzip -1", "gzip -1"), ("gzip -6", "gzip -6"), ("zstd -3", "zstd -3 -q"), ("zstd -19", "zstd -19 -q -T0")]
    {
        let file = directory.join("packed");
        packed(line, &plain, &file);
        let bytes = fs::read(&file).expect("read what was packed");
        let gzip = kind.starts_with("gzip");
        let (mut times, mut others) = (Vec::new(), Vec::new());
        let measure = |times: &mut Vec<Duration>, decode: &dyn Fn() -> u64| {
            let begun = Instant::now();
            let count = decode();
            times.push(begun.elapsed());
            assert_eq!(count, size, "{kind}");
        };
        for _ in 0..rounds {
            measure(&mut times, &|| {
                if gzip { own(&mut Gzip::new(Bytes(&bytes))) } else { own(&mut Zstd::new(Bytes(&bytes))) }
            });
            measure(&mut others, &|| {
                if gzip {
                    other(Ok::<_, ()>(flate2::read::MultiGzDecoder::new(&bytes[..])))
                } else {
                    other(zstd::stream::read::Decoder::new(&bytes[..]))
                }
            });
        }
        let (own, other) = (median_and_least(times).0.as_secs_f64(), median_and_least(others).0.as_secs_f64());
        let rate = |seconds: f64| Cell::Number(f64::from((size / 1000) as u32) / 1e3 / seconds, 0);
        table.row(kind, vec![rate(own), rate(other), Cell::Number(own / other, 2)]);
    }
    report.add(&table);
    remove(directory);
}
