//! The ledger's two printed forms: text for people, one JSON object a line for programs.

use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering};

use super::super::calls::{self, SEPARATOR};
use super::{Last, ROLES, Seen, Shared};
use crate::base::errno::Errno;
use crate::base::phrase::Phrase;
use crate::sys::call::outcome;

/// The ledger's printed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: grouped under the reason for each call.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Why the ledger makes calls of its own.
pub(super) const OWN: Phrase = phrase!("print this ledger");
/// Why the last call is made.
pub(super) const END: Phrase = phrase!("end");

/// How long a tick is.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    ticks: u64,
    nanoseconds: u64,
}

impl Scale {
    /// So many ticks passed in so many nanoseconds.
    pub(super) fn new(ticks: u64, nanoseconds: u64) -> Scale {
        Scale { ticks, nanoseconds }
    }

    fn nanoseconds(self, ticks: u64) -> u64 {
        (u128::from(ticks) * u128::from(self.nanoseconds)).checked_div(u128::from(self.ticks)).unwrap_or(0) as u64
    }
}

/// Lines waiting to be written.
pub(super) struct Page {
    pub(super) text: String,
    json: bool,
    scale: Scale,
}

/// One call, ready to print.
struct Line<'a> {
    process: usize,
    pid: u32,
    why: Phrase,
    call: &'a str,
    args: &'a str,
    result: Option<usize>,
    nanoseconds: u64,
}

/// The group that the last text line belonged to: process and reason. Groups go on across pages.
static GROUP: AtomicU64 = AtomicU64::new(u64::MAX);

impl Page {
    /// An empty page with room for so many bytes.
    pub(super) fn new(json: bool, scale: Scale, room: usize) -> Page {
        Page { text: String::with_capacity(room), json, scale }
    }

    /// Adds a recorded call; one that has not returned shows `?`.
    pub(super) fn add(&mut self, shared: &Shared, entry: &Seen<'_>, returned: bool) {
        let record = entry.record;
        let process = record.process as usize;
        let ticks = record.ended.load(Ordering::Relaxed).saturating_sub(record.begun);
        self.line(
            shared,
            &Line {
                process,
                pid: shared.pids[process].load(Ordering::Relaxed),
                why: entry.why,
                call: calls::name(record.number as usize),
                args: entry.text,
                result: returned.then(|| record.register.load(Ordering::Relaxed)),
                nanoseconds: self.scale.nanoseconds(ticks),
            },
        );
    }

    /// Adds a call that the printing process is about to make: the `write` of this page, or its last one.
    pub(super) fn add_own(&mut self, shared: &Shared, own: &Last<'_>) {
        let pid = shared.pids[0].load(Ordering::Relaxed);
        let call = calls::name(own.call as usize);
        let Last { args, result, why, .. } = *own;
        self.line(shared, &Line { process: 0, pid, why, call, args, result, nanoseconds: 0 });
    }

    /// Says how many calls found no room, if any.
    pub(super) fn note_lost(&mut self, lost: u64) {
        if lost > 0 {
            let _ = if self.json {
                writeln!(self.text, "{{\"lost\":{lost}}}")
            } else {
                writeln!(self.text, "({lost} calls found no room in the ledger)")
            };
        }
    }

    fn line(&mut self, shared: &Shared, line: &Line<'_>) {
        let role = ROLES[shared.roles[line.process].load(Ordering::Relaxed) as usize % ROLES.len()];
        let _ = if self.json { self.line_json(line, role) } else { self.line_text(line, role) };
    }

    fn line_text(&mut self, line: &Line<'_>, role: &str) -> core::fmt::Result {
        let group = (line.process as u64) << 32 | u64::from(line.why.number());
        if GROUP.swap(group, Ordering::Relaxed) != group {
            writeln!(self.text, "\n{role} {}: {}", line.pid, line.why)?;
        }
        write!(self.text, "    {}(", line.call)?;
        for (at, arg) in line.args.split(SEPARATOR).enumerate() {
            write!(self.text, "{}{arg}", if at > 0 { ", " } else { "" })?;
        }
        self.text.push_str(") = ");
        match line.result.map(outcome) {
            None => self.text.push('?'),
            Some(Ok(value)) if value > 1 << 31 => write!(self.text, "{value:#x}")?,
            Some(Ok(value)) => write!(self.text, "{value}")?,
            Some(Err(errno)) => write!(self.text, "-1 {errno}")?,
        }
        if line.nanoseconds > 0 {
            write!(self.text, "  <{}.{} µs>", line.nanoseconds / 1000, line.nanoseconds % 1000 / 100)?;
        }
        self.text.push('\n');
        Ok(())
    }

    fn line_json(&mut self, line: &Line<'_>, role: &str) -> core::fmt::Result {
        self.text.push_str("{\"step\":");
        quote(&mut self.text, &line.why.text());
        write!(self.text, ",\"pid\":{},\"process\":\"{role}\",\"call\":\"{}\",\"args\":[", line.pid, line.call)?;
        for (at, arg) in line.args.split(SEPARATOR).filter(|arg| !arg.is_empty()).enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            quote(&mut self.text, arg);
        }
        self.text.push_str("],\"result\":");
        match line.result.map(outcome) {
            None => self.text.push_str("null"),
            Some(Ok(value)) => write!(self.text, "{value}")?,
            Some(Err(errno)) => write!(self.text, "-1,\"errno\":\"{}\"", errno_name(errno))?,
        }
        writeln!(self.text, ",\"ns\":{}}}", line.nanoseconds)
    }
}

fn errno_name(errno: Errno) -> &'static str {
    errno.name().unwrap_or("unknown")
}

/// A JSON string; the texts here are already free of control characters.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}
