//! What a container has said: files in its directory, in the log format that Kubernetes has container runtimes write.
//!
//! ```text
//! 2026-11-23T10:00:00.123456789Z stdout F the line
//! 2026-11-23T10:00:00.123456789Z stderr P a piece without its newline
//! ```
//!
//! `log` is being written; when a line would make it too long it becomes `log.1`, that `log.2`, and so on. Each line of a file
//! is an entry. The pieces of a line are those entries of its stream up to and with an F. Besides the workload's two streams
//! there is `system`, on which vial notes what is lost.

pub mod follow;
pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

use core::ffi::CStr;

use crate::base::json::Value;
use crate::base::text::{self, Cut};

/// The names of logging drivers that are accepted, as words. All but the last are docker's and podman's names for a log in
/// files that the engine itself writes and reads, which is the one kind that there is here.
pub const DRIVERS: &str = "k8s-file json-file local none";

/// The annotations of `config.json` that hold a container's [`LogOptions`].
const ANNOTATIONS: [&str; 3] = ["vial.log.driver", "vial.log.maxSize", "vial.log.maxFile"];

/// The least that a file may hold: room for any header and some text.
pub const MIN_SIZE: u64 = 1 << 10;
/// The most files there may be: a reader has all open at once.
pub const MAX_FILES: u32 = 100;

/// How a container's log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The driver's name, one of [`DRIVERS`].
    pub driver: &'static str,
    /// How many bytes a file may have.
    pub max_size: u64,
    /// How many files there may be; with one, the log begins anew when it is full.
    pub max_file: u32,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { driver: driver(0), max_size: 10 << 20, max_file: 3 }
    }
}

/// The driver at this place in [`DRIVERS`].
fn driver(place: usize) -> &'static str {
    DRIVERS.parts(b' ').nth(place).unwrap_or_default()
}

impl LogOptions {
    /// These sizes; none is kept if a file may have no bytes.
    #[must_use]
    pub fn of(max_size: u64, max_file: u32) -> LogOptions {
        LogOptions { driver: driver(if max_size == 0 { 3 } else { 0 }), max_size, max_file }
    }

    /// Whether a log is kept at all.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.driver != "none"
    }

    /// Chooses the driver; false if there is none of this name.
    pub fn set_driver(&mut self, name: &str) -> bool {
        let place = text::place(DRIVERS, name);
        self.driver = place.map_or(self.driver, driver);
        place.is_some()
    }

    /// Sets `max-size` or `max-file`; `None` if the option is neither, or the value out of bounds.
    pub fn set(&mut self, option: &str, value: &str) -> Option<()> {
        match option {
            "max-size" => self.max_size = text::size(value).filter(|size| *size >= MIN_SIZE)?,
            "max-file" => {
                self.max_file = text::decimal_u32(value).filter(|count| (1..=MAX_FILES).contains(count))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Reads them from a `config.json`; what is not there, or makes no sense, is as usual.
    #[must_use]
    pub fn from_annotations(config: &Value) -> LogOptions {
        let mut options = LogOptions::default();
        for (key, option) in ANNOTATIONS.iter().zip(["", "max-size", "max-file"]) {
            let Some(value) = config.at(&["annotations", key]).and_then(Value::as_str) else { continue };
            if options.set(option, value).is_none() && option.is_empty() {
                options.set_driver(value);
            }
        }
        options
    }
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The workload's standard output.
    Stdout,
    /// The workload's standard error.
    Stderr,
    /// vial itself.
    System,
}

/// The streams' names, in their order.
const STREAMS: [&[u8; 6]; 3] = [b"stdout", b"stderr", b"system"];

/// Bytes before an entry's text: `2026-11-23T10:00:00.123456789Z stdout F `.
const HEAD: usize = 40;
/// Bytes of the time in it.
const TIME: usize = 30;

/// Takes an entry's header apart: its stream, and whether a newline belongs behind its text. `None` if this is none.
fn head(entry: &[u8]) -> Option<(Stream, bool)> {
    let [b'Z', b' ', name @ .., b' ', tag, b' '] = entry.get(TIME - 1..HEAD)? else { return None };
    let stream = match STREAMS.iter().position(|known| *known == name)? {
        0 => Stream::Stdout,
        1 => Stream::Stderr,
        _ => Stream::System,
    };
    // The newline that ends a cut entry stands before the next one's `T`.
    (matches!(tag, b'F' | b'P') && entry[10] == b'T').then_some((stream, *tag == b'F'))
}

/// The name of a file of the log, of which there are [`MAX_FILES`]: 0 is the one that is being written.
#[inline(never)]
fn name(number: u32, room: &mut [u8; 8]) -> &CStr {
    let [tens, ones] = [number / 10, number % 10].map(|digit| b'0' + digit as u8);
    *room = match number {
        0 => *b"log\0\0\0\0\0",
        1..10 => [b'l', b'o', b'g', b'.', ones, 0, 0, 0],
        _ => [b'l', b'o', b'g', b'.', tens, ones, 0, 0],
    };
    CStr::from_bytes_until_nul(room).unwrap_or_default()
}
