//! Compares vial's ledger with what strace saw: law 3.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use serde_json::Value;

use super::strace::{Call, Outcome, Traced};

/// A line of the ledger.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the call was for.
    pub step: String,
    /// The call's name.
    pub call: String,
    /// What it gave.
    pub outcome: Outcome,
    /// The line, for messages.
    pub line: String,
}

/// A process in the ledger: what it is, and its ID as the process that cloned it saw it.
pub type Id = (String, u64);

/// What the ledger tells.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The process that the user started.
    pub first: Id,
    /// The calls of each process, in order.
    pub processes: BTreeMap<Id, Vec<Entry>>,
}

/// Reads a ledger printed as JSON lines.
///
/// # Errors
/// A line that lacks one of the promised fields, or has one of another type.
pub fn parse(text: &str) -> Result<Ledger, String> {
    let mut ledger = Ledger::default();
    for line in text.lines() {
        let wrong = |what: &str| format!("the ledger's line {what}: {line}");
        let object: Value = serde_json::from_str(line).map_err(|error| wrong(&format!("is no JSON ({error})")))?;
        let string = |name: &str| {
            object[name].as_str().map(str::to_owned).ok_or_else(|| wrong(&format!("has no string \"{name}\"")))
        };
        let id = (string("process")?, object["pid"].as_u64().ok_or_else(|| wrong("has no number \"pid\""))?);
        if !object["args"].is_array() || !object["ns"].is_u64() {
            return Err(wrong("lacks \"args\" or \"ns\""));
        }
        let outcome = match (&object["result"], &object["errno"]) {
            (Value::Null, Value::Null) if object.get("result").is_some() => Outcome::Never,
            (Value::Number(number), Value::Null) => {
                Outcome::Value(number.as_u64().ok_or_else(|| wrong("has a result below 0"))?)
            }
            (Value::Number(number), Value::String(errno)) if number.as_i64() == Some(-1) => {
                Outcome::Error(errno.clone())
            }
            _ => return Err(wrong("has no \"result\" and \"errno\" of the promised forms")),
        };
        if ledger.processes.is_empty() {
            ledger.first = id.clone();
        }
        let entry = Entry { step: string("step")?, call: string("call")?, outcome, line: line.to_owned() };
        ledger.processes.entry(id).or_default().push(entry);
    }
    Ok(ledger)
}

/// Every difference between the two, a text each; none when the ledger is complete and right.
///
/// Left out is only what is not vial: strace's own `execve` of vial, and the workload, which is what a process does after an
/// `execve` that succeeded, with all the processes that it makes then.
pub fn differences(traced: &Traced, ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut foreign = VecDeque::new();
    let mut pairs = VecDeque::from([(traced.first, ledger.first.clone())]);
    while let Some((pid, id)) = pairs.pop_front() {
        seen.insert(pid);
        told.insert(id.clone());
        let calls = traced.processes.get(&pid).map_or(&[][..], Vec::as_slice);
        let calls = match calls {
            [start, rest @ ..] if pid == traced.first && start.executed() => rest,
            _ => calls,
        };
        // Its own copy in memory, as which vial goes on, has no other path.
        let is_workload = |call: &Call| call.executed() && !call.line.contains("(\"/proc/self/fd/");
        let until = calls.iter().position(is_workload).map_or(calls.len(), |at| at + 1);
        let (own, workload) = calls.split_at(until);
        foreign.extend(workload.iter().filter_map(Call::child));
        let entries = ledger.processes.get(&id).map_or(&[][..], Vec::as_slice);
        found.extend(first_difference(pid, &id, own, entries));
        for call in own {
            let (Some(child), Outcome::Value(number)) = (call.child(), &call.outcome) else { continue };
            let next = ledger.processes.keys().find(|(_, pid)| pid == number).filter(|id| !told.contains(*id));
            if let Some(id) = next {
                pairs.push_back((child, id.clone()));
                continue;
            }
            foreign.push_back(child);
            if traced.processes.get(&child).is_some_and(|calls| !calls.is_empty()) {
                found.push(format!("the ledger lacks the process {child} that {pid} made: {}", call.line));
            }
        }
    }
    while let Some(pid) = foreign.pop_front() {
        if seen.insert(pid) {
            foreign.extend(traced.processes.get(&pid).into_iter().flatten().filter_map(Call::child));
        }
    }
    for (pid, calls) in &traced.processes {
        if !seen.contains(pid) && !calls.is_empty() {
            found.push(format!("nobody is known to have made process {pid}, whose first call is {}", calls[0].line));
        }
    }
    for id in ledger.processes.keys().filter(|id| !told.contains(*id)) {
        found.push(format!("strace saw nothing of the ledger's process {id:?}"));
    }
    found
}

/// Where two accounts of a process part.
fn first_difference(pid: u32, id: &Id, calls: &[Call], entries: &[Entry]) -> Option<String> {
    let same = |call: &Call, entry: &Entry| call.name == entry.call && call.outcome == entry.outcome;
    let at = calls.iter().zip(entries).position(|(call, entry)| !same(call, entry));
    let at = at.unwrap_or(calls.len().min(entries.len()));
    if at == calls.len() && at == entries.len() {
        return None;
    }
    let from = at.saturating_sub(2);
    let mut text = format!("process {pid}, which the ledger calls {id:?}, differs at its call {at}\n");
    for (name, lines) in [
        ("strace", calls.iter().map(|call| &call.line).collect::<Vec<_>>()),
        ("ledger", entries.iter().map(|entry| &entry.line).collect()),
    ] {
        for (number, line) in lines.iter().enumerate().take(at + 3).skip(from) {
            let _ = writeln!(text, "  {name} {number}{} {line}", if number == at { " >" } else { "  " });
        }
        if lines.len() <= at {
            let _ = writeln!(text, "  {name} {at} > nothing more");
        }
    }
    Some(text)
}
