//! `vial logs`: what a container has printed, each stream to its own.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::lifecycle;
use super::parse::Parsed;
use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::container::log::follow::{Watch, is_over};
use crate::container::log::read::{Reader, Wanted};
use crate::container::log::{LogOptions, Stream};
use crate::container::state::{Seen, Status};
use crate::image::helper::Helper;
use crate::sys::{FdRef, because, fd, file, ledger, process};

/// Bytes that are written at once.
const ROOM: usize = 64 << 10;
const SECOND: u64 = 1_000_000_000;

/// Shows a container's log.
pub(super) fn logs(context: &Context<'_>) -> Result<u8> {
    let (wanted, until) = wanted(context.parsed)?;
    let until = until.filter(|_| context.parsed.on(Id::Follow));
    Ok(super::each(&context.parsed.positionals, &mut |name| show(context, name, wanted, until)))
}

/// Shows it, and with `until` also what comes by then, which is counted in nanoseconds since 1970.
fn show(context: &Context<'_>, name: &str, wanted: Wanted, until: Option<u64>) -> Result<()> {
    let (root, bundles, seen) = lifecycle::look(context, name)?;
    let directory = seen.directory.by_ref();
    // What comes after the first look at the log is told of, so that nothing is missed in between.
    let mut watch = until.map(|_| Watch::new(directory)).transpose()?;
    let mut over = until.is_none() || is_over(directory)?;
    let mut reader = Reader::open(directory, wanted)?;
    if reader.is_empty() {
        missing(&seen, name)?;
    }
    let mut output = Output { stream: fd::STDOUT, bytes: Vec::with_capacity(ROOM) };
    loop {
        reader.drain(over, &mut |stream, bytes| output.put(stream, bytes))?;
        output.flush()?;
        ledger::relieve();
        let (Some(watch), Some(until), false) = (&mut watch, until, over) else { return Ok(()) };
        let left = if until == u64::MAX { until } else { until.saturating_sub(now()) };
        if watch.wait(left.div_ceil(1_000_000))? {
            // In a process of its own, since what is read of the container's files stays in memory.
            let mut helper = Helper::start(&mut |_| {
                // Its monitor may have been killed, and its output waits for another one.
                if let Some(seen) = Seen::look(&bundles, (seen.id, seen.name))? {
                    lifecycle::adopt(root, &bundles, &seen);
                }
                Ok(alloc::vec![is_over(directory)?.into()])
            })?;
            over = helper.conclude()? == [1];
        }
        over |= left == 0;
    }
}

/// What is to be shown, and until when.
fn wanted(parsed: &Parsed<'_>) -> Result<(Wanted, Option<u64>)> {
    let mut wanted = Wanted { timestamps: parsed.on(Id::Timestamps), ..Wanted::default() };
    if let Some(given) = parsed.last(Id::Tail).filter(|given| given.value != b"all") {
        let number = text::decimal_u64(given.text()?);
        wanted.tail =
            Some(given.check(number, phrase!("not a number of lines"), phrase!("a number from 0 on, or all"))?);
    }
    let mut until = u64::MAX;
    for id in [Id::Since, Id::Until] {
        let Some(given) = parsed.last(id) else { continue };
        let text = given.text()?;
        let ago = |time| now().saturating_sub(time);
        let read = Timestamp::parse(text).map(nanoseconds).or_else(|| text::billionths(text));
        let read = read.or_else(|| text::duration(text).map(ago));
        let form =
            phrase!("2026-01-02T03:04:05Z (RFC 3339), seconds since 1970, or how long ago, such as 10m or 1h30m");
        let time = given.check(read, phrase!("not a time"), form)?;
        let bytes = Timestamp { secs: (time / SECOND) as i64, nanos: (time % SECOND) as u32 }.rfc3339_bytes();
        if id == Id::Since {
            wanted.since = bytes;
        } else {
            (wanted.until, until) = (bytes, time);
        }
    }
    Ok((wanted, Some(until)))
}

/// The time, in nanoseconds since 1970.
fn now() -> u64 {
    nanoseconds(process::clock(libc::CLOCK_REALTIME))
}

/// Nanoseconds since 1970; what lies before or beyond five centuries is no time of a log.
fn nanoseconds(time: Timestamp) -> u64 {
    (time.secs.max(0) as u64).saturating_mul(SECOND).saturating_add(u64::from(time.nanos))
}

/// Why a container has no log, unless it is one that was never started.
fn missing(seen: &Seen, name: &str) -> Result<()> {
    let (why, hint) = if !LogOptions::from_annotations(&seen.config()?).keeps() {
        (
            phrase!("its logging driver is none, which does not support reading"),
            phrase!("make it without --log-driver none"),
        )
    } else if seen.state.status == Status::Created {
        return Ok(());
    } else {
        (phrase!("it runs, or ran, in the foreground"), phrase!("what runs in the background (run -d) has one"))
    };
    Err(Error::new(say!("container {} has no log: {}", name, why)).hint(hint))
}

/// Text on its way to one of vial's own streams.
struct Output {
    stream: FdRef<'static>,
    bytes: Vec<u8>,
}

impl Output {
    fn put(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let stream = if stream == Stream::Stdout { fd::STDOUT } else { fd::STDERR };
        // One at a time, so that they keep their order where both are the same file.
        if stream != self.stream || self.bytes.len() + bytes.len() > ROOM {
            self.flush()?;
            self.stream = stream;
        }
        if bytes.len() > ROOM {
            return file::write_all(stream, bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let _why = because!("show what the container has printed");
        file::write_all(self.stream, &self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
