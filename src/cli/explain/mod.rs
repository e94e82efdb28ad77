//! `vial explain`: why a container needs a step or a system call, and what two ledgers differ in.

mod diff;
mod facts;
mod normal;
mod steps;

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{Cut, Quoted, nearest};
use crate::sys::{CallInfo, calls};
use steps::{STEPS, Step};

/// Explains what is named, lists the steps if nothing is, or compares two ledgers.
///
/// # Errors
/// There is no such step or call; what is no ledger.
#[inline(never)]
pub(super) fn explain(context: &Context<'_>) -> Result<u8> {
    let (words, json) = (context.words()?, context.parsed.on(Id::ReportJson));
    if context.parsed.on(Id::ExplainDiff) {
        let [one, other] = words[..] else {
            return Err(Error::new(phrase!("two ledgers can be compared"))
                .option("--diff")
                .hint(phrase!("usage: vial explain --diff A.json B.json")));
        };
        return diff::compare(one, other, json);
    }
    let mut entries = Vec::new();
    for word in &words {
        find(word, &mut entries)?;
    }
    if words.is_empty() && !json {
        super::print(&list())?;
        return Ok(0);
    }
    if words.is_empty() {
        for step in STEPS {
            entries.push(of_step(step));
        }
    }
    if json {
        super::print_line(&Value::from(entries).to_compact())?;
    } else {
        super::print(&shown(&entries))?;
    }
    Ok(0)
}

/// All steps, and where the calls are.
fn list() -> String {
    let mut lines = String::from("STEP\tFOR\n");
    for step in STEPS {
        let facts = step.facts.text();
        lines.push_str(join!("{}\t{}\n", step.name, facts.parts(b'\n').next().unwrap_or_default()));
    }
    let mut out = String::new();
    super::output::columns(&mut out, &lines, 0);
    out.push_str(&phrase!("\n`vial syscalls` lists the system calls; `vial explain NAME` tells more of a step or a call\n").text());
    out
}

/// Adds what is known by this name: a call, a step, or the steps under this heading.
fn find(word: &str, entries: &mut Vec<Value>) -> Result<()> {
    if let Some(call) = calls().find(|call| call.name == word) {
        entries.push(of_call(&call));
        return Ok(());
    }
    if let Some(step) = STEPS.iter().find(|step| step.name == word) {
        entries.push(of_step(step));
        return Ok(());
    }
    let mut headings: Vec<&str> = Vec::new();
    for step in STEPS {
        for heading in step.headings {
            let heading = heading.kept();
            let fits = heading == word || contains(heading, word);
            if fits && !headings.contains(&heading) {
                headings.push(heading);
            }
        }
    }
    if headings.contains(&word) {
        headings = Vec::from([word]);
    }
    match headings[..] {
        [only] => {
            for step in STEPS.iter().filter(|step| step.headings.iter().any(|heading| heading.text() == only)) {
                entries.push(of_step(step));
            }
            Ok(())
        }
        [] => Err(unknown(word)),
        _ => {
            let is_of = |step: &&Step| step.headings.iter().any(|heading| headings.contains(&&*heading.text()));
            let names: Vec<&str> = STEPS.iter().filter(is_of).map(|step| step.name).collect();
            Err(Error::new(say!("{} is in the words of several steps", Quoted(word)))
                .hint(say!("these are: {}", names.join(", "))))
        }
    }
}

/// Whether a part of a heading is all of several words.
fn contains(heading: &str, part: &str) -> bool {
    part.len() > 3 && heading.as_bytes().windows(part.len()).any(|window| window == part.as_bytes())
}

fn unknown(word: &str) -> Error {
    let error = Error::new(say!("there is no step and no system call {}", Quoted(word)));
    let mut names = calls().map(|call| call.name).chain(STEPS.iter().map(|step| step.name));
    match nearest(word, &mut names) {
        Some(near) => error.hint(say!(
            "did you mean {}? `vial explain` lists the steps, `vial syscalls` the calls that vial makes",
            near
        )),
        None => error.hint(phrase!("`vial explain` lists the steps, `vial syscalls` the calls that vial makes")),
    }
}

/// What there is to tell of a call.
fn of_call(call: &CallInfo) -> Value {
    let mut entry = Value::default();
    entry.text("call", call.name);
    entry.set("number", (call.number as u64).into());
    entry.text("for", call.purpose.kept());
    entry.text("since", join!("Linux {}", facts::since(call.name)));
    entry.text("takes", facts::takes(call.name));
    entry.text("without", facts::without(call.name).leak());
    let plain = facts::plain(call.name);
    let mut names = Vec::new();
    for step in STEPS {
        if step.facts.text().parts(b'\n').last().is_some_and(|calls| calls.words().any(|name| name == plain)) {
            names.push(step.name);
        }
    }
    entry.set("steps", Value::texts(&names, ""));
    entry.text("source", join!("{}(2), syscalls(2), capabilities(7)", plain));
    entry
}

/// What there is to tell of a step.
fn of_step(step: &Step) -> Value {
    let mut entry = Value::default();
    entry.text("step", step.name);
    let mut headings = Vec::new();
    for heading in step.headings {
        headings.push(heading.text());
    }
    let facts = step.facts.kept();
    let mut lines = facts.parts(b'\n');
    let mut next = || keep::copy(lines.next().unwrap_or_default());
    entry.text("for", next());
    entry.set("headings", Value::texts(&headings, ""));
    entry.text("since", join!("Linux {}", next()));
    entry.text("takes", next());
    entry.text("without", next());
    let source = next();
    let calls: Vec<&str> = next().words().collect();
    entry.set("calls", Value::texts(&calls, ""));
    entry.text("source", source);
    entry
}

/// One field a line, the values below each other.
fn shown(entries: &[Value]) -> String {
    let mut out = String::new();
    for entry in entries {
        if !out.is_empty() {
            out.push('\n');
        }
        let mut lines = String::new();
        for (name, value) in entry.as_object().unwrap_or_default() {
            let text = match value {
                Value::Array(texts) if texts.is_empty() => String::from("none"),
                Value::Array(texts) => {
                    let between = if *name == "headings" { "\n\t" } else { ", " };
                    texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(between)
                }
                Value::String(text) => String::from(*text),
                other => other.to_compact(),
            };
            lines.push_str(join!("{}\t{}\n", name, text));
        }
        super::output::columns(&mut out, &lines, 0);
    }
    out
}
