//! Reads what `strace -f -o FILE` writes: every process's calls and results, exactly.
//!
//! Source: strace(1), "DESCRIPTION" (the forms of a line, unfinished and resumed calls, processes that end).

use std::collections::BTreeMap;

/// Options with which the output is parsed exactly: no attach messages, no padding, no string contents, IDs in every
/// namespace.
pub const OPTIONS: &[&str] = &["-f", "-qq", "-a", "1", "-s", "0", "--decode-pids=pidns"];

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Value(u64),
    /// An error's name.
    Error(String),
    /// The call never returned.
    Never,
    /// The kernel interrupted the call and starts it again.
    Again,
}

/// A system call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The kernel's name.
    pub name: String,
    /// What it gave.
    pub outcome: Outcome,
    /// Its result as a process ID of strace's own namespace, where that differs from the result.
    pub id: Option<u32>,
    /// The line, for messages.
    pub line: String,
}

/// What strace saw.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// The process that strace started.
    pub first: u32,
    /// The calls of each process, in order.
    pub processes: BTreeMap<u32, Vec<Call>>,
}

impl Call {
    /// Whether the call makes a process.
    pub fn clones(&self) -> bool {
        matches!(self.name.as_str(), "clone" | "clone3" | "fork" | "vfork")
    }

    /// The process that the call made, as strace numbers it.
    pub fn child(&self) -> Option<u32> {
        match self.outcome {
            Outcome::Value(id @ 1..) if self.clones() => self.id.or(u32::try_from(id).ok()),
            _ => None,
        }
    }

    /// Whether the call has replaced the program.
    pub fn executed(&self) -> bool {
        matches!(self.name.as_str(), "execve" | "execveat") && self.outcome == Outcome::Value(0)
    }
}

/// Reads strace's output.
///
/// # Errors
/// A line that has none of the known forms: then nothing may be concluded from the rest either.
pub fn parse(text: &str) -> Result<Traced, String> {
    let mut traced = Traced::default();
    for line in text.lines() {
        let unknown = || format!("strace printed a line that is not understood: {line}");
        let (id, event) = line.trim_start().split_once(' ').ok_or_else(unknown)?;
        let (id, event) = (id.parse::<u32>().map_err(|_| unknown())?, event.trim_start());
        if traced.first == 0 {
            traced.first = id;
        }
        let calls = traced.processes.entry(id).or_default();
        if event.starts_with("+++ ") || event.starts_with("--- ") {
            continue;
        }
        if let Some(resumed) = event.strip_prefix("<... ") {
            let (name, rest) = resumed.split_once(" resumed>").ok_or_else(unknown)?;
            let call = calls.last_mut().filter(|call| call.name == name).ok_or_else(unknown)?;
            if !rest.ends_with("<unfinished ...>") {
                (call.outcome, call.id) = result(rest).ok_or_else(unknown)?;
            }
            call.line = format!("{} {event}", call.line);
            continue;
        }
        let (name, _) = event.split_once('(').filter(|(name, _)| is_name(name)).ok_or_else(unknown)?;
        let (outcome, inner) = if event.ends_with("<unfinished ...>") {
            (Outcome::Never, None)
        } else {
            result(event).ok_or_else(unknown)?
        };
        calls.push(Call { name: name.to_owned(), outcome, id: inner, line: event.to_owned() });
    }
    for calls in traced.processes.values_mut() {
        join_restarted(calls);
    }
    Ok(traced)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The result behind the last `) = `, and the process ID in strace's namespace that may follow it.
fn result(event: &str) -> Option<(Outcome, Option<u32>)> {
    let starts = event.match_indices("= ").map(|(at, _)| at);
    let at =
        starts.filter(|at| *at > 0 && event[..*at].ends_with(' ') && event[..*at].trim_end().ends_with(')')).last()?;
    let text = &event[at + 2..];
    let mut words = text.split(' ');
    let (value, note) = (words.next()?, words.next());
    if value == "?" {
        return Some((
            if note.is_some_and(|note| note.starts_with("ERESTART")) { Outcome::Again } else { Outcome::Never },
            None,
        ));
    }
    if value == "-1" && note.is_some_and(|note| note.starts_with('E')) {
        return Some((Outcome::Error(note?.to_owned()), None));
    }
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None if value.len() > 1 && value.starts_with('0') => u64::from_str_radix(value, 8),
        None => value.parse(),
    };
    let id = text.split_once("/* ").and_then(|(_, note)| note.strip_suffix(" in strace's PID NS */"));
    Some((Outcome::Value(number.ok()?), id.and_then(|id| id.parse().ok())))
}

/// A call that a signal interrupted and that the kernel started again is one call: it has one caller, who waited once.
fn join_restarted(calls: &mut Vec<Call>) {
    let mut joined: Vec<Call> = Vec::with_capacity(calls.len());
    for mut call in calls.drain(..) {
        if let Some(before) = joined
            .pop_if(|last| last.outcome == Outcome::Again && (last.name == call.name || call.name == "restart_syscall"))
        {
            call.name = before.name;
        }
        joined.push(call);
    }
    for call in &mut joined {
        if call.outcome == Outcome::Again {
            call.outcome = Outcome::Never;
        }
    }
    *calls = joined;
}
