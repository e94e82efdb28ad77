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
use crate::base::text::{Cut, Quoted, nearest};
use crate::sys::{CallInfo, calls};
use steps::{STEPS, Step};

/// The lines of what is known of a step.
const NAME: usize = 0;
const FOR: usize = 1;
const SINCE: usize = 2;
const TAKES: usize = 3;
const WITHOUT: usize = 4;
const SOURCE: usize = 5;
const CALLS: usize = 6;

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
#[inline(never)]
fn list() -> String {
    let mut lines = String::from("STEP\tFOR\n");
    for step in STEPS {
        lines.push_str(join!("{}\t{}\n", step.line(NAME), step.line(FOR)));
    }
    let mut out = String::new();
    super::output::columns(&mut out, &lines, 0);
    out.push_str(
        &phrase!("\n`vial syscalls` lists the system calls; `vial explain NAME` tells more of a step or a call\n")
            .text(),
    );
    out
}

/// Adds what is known by this name: a call, a step, or the steps under this heading.
#[inline(never)]
fn find(word: &str, entries: &mut Vec<Value>) -> Result<()> {
    for call in calls() {
        if call.name == word {
            entries.push(of_call(&call));
            return Ok(());
        }
    }
    let mut named = "";
    let mut found: Vec<&Step> = Vec::new();
    // A whole heading is meant before one that has it in it.
    for whole in [true, false] {
        for step in STEPS {
            for heading in step.headings {
                if heading.is_empty() {
                    break;
                }
                let heading = heading.kept();
                if step.line(NAME) == word || heading == word || !whole && contains(heading, word) {
                    // All that is done under one heading is told, and not more.
                    if !named.is_empty() && named != heading && heading != word {
                        return Err(several(word));
                    }
                    named = heading;
                    found.push(step);
                    break;
                }
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        return Err(unknown(word));
    }
    for step in found {
        entries.push(of_step(step));
    }
    Ok(())
}

/// Whether a heading has this in it.
fn contains(heading: &str, part: &str) -> bool {
    part.len() > 3 && heading.as_bytes().windows(part.len()).any(|window| window == part.as_bytes())
}

/// The error for words that are in several headings.
fn several(word: &str) -> Error {
    let mut names = String::new();
    for step in STEPS {
        if step.headings.iter().any(|heading| contains(heading.kept(), word)) {
            names.push(' ');
            names.push_str(step.line(NAME));
        }
    }
    Error::new(say!("{} is in the words of several steps", Quoted(word))).hint(say!("these are:{}", names))
}

#[inline(never)]
fn unknown(word: &str) -> Error {
    let error = Error::new(say!("there is no step and no system call {}", Quoted(word)));
    let mut names = calls().map(|call| call.name).chain(STEPS.iter().map(|step| step.line(NAME)));
    match nearest(word, &mut names) {
        Some(near) => error.hint(say!(
            "did you mean {}? `vial explain` lists the steps, `vial syscalls` the calls that vial makes",
            near
        )),
        None => error.hint(phrase!("`vial explain` lists the steps, `vial syscalls` the calls that vial makes")),
    }
}

/// What there is to tell of a call.
#[inline(never)]
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
        if step.line(CALLS).words().any(|name| name == plain) {
            names.push(step.line(NAME));
        }
    }
    entry.set("steps", Value::texts(&names, ""));
    entry.text("source", join!("{}(2), syscalls(2), capabilities(7)", plain));
    entry
}

/// What there is to tell of a step.
#[inline(never)]
fn of_step(step: &Step) -> Value {
    let mut entry = Value::default();
    entry.text("step", step.line(NAME));
    entry.text("for", step.line(FOR));
    let mut headings = Vec::new();
    for heading in step.headings {
        if !heading.is_empty() {
            headings.push(heading.kept());
        }
    }
    entry.set("headings", Value::texts(&headings, ""));
    entry.text("since", join!("Linux {}", step.line(SINCE)));
    entry.text("takes", step.line(TAKES));
    entry.text("without", step.line(WITHOUT));
    let calls: Vec<&str> = step.line(CALLS).words().collect();
    entry.set("calls", Value::texts(&calls, ""));
    entry.text("source", step.line(SOURCE));
    entry
}

/// One field a line, the values below each other.
#[inline(never)]
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
