//! `vial seccomp`: what a profile comes to on this machine, and how two differ.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::run;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::kernel::security::caps;
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::outcomes::{listing, outcomes, shown};
use crate::kernel::security::seccomp::{self, Filter, names, nothing_refused};

/// Prints what becomes of each call under a profile, or which calls two profiles treat differently.
///
/// # Errors
/// What is no profile.
#[inline(never)]
pub(super) fn show(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let words = context.words()?;
    let mut filters = Vec::new();
    for word in &words {
        filters.push(filter(word)?);
    }
    if parsed.on(Id::SeccompProgram) {
        for filter in &filters {
            super::print(&listing(filter.program))?;
        }
        return Ok(0);
    }
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    for (number, name) in names::calls(0) {
        let said = filters.iter().map(|filter| words_of(filter, number)).collect();
        rows.push((name, said));
    }
    if parsed.on(Id::ReportJson) {
        let mut calls = Vec::new();
        for (name, said) in rows {
            let mut call = Value::default();
            call.text("Name", name);
            call.set("Verdicts", Value::texts(&said, ""));
            calls.push(call);
        }
        super::print_line(&Value::from(calls).to_compact())?;
        return Ok(0);
    }
    super::print(&if let [only] = words[..] { whole(only, filters[0], &rows) } else { difference(&words, &rows) })?;
    Ok(0)
}

/// The filter of a profile with the default capabilities; `default` is vial's own.
fn filter(name: &str) -> Result<Filter> {
    match name {
        "default" => Ok(seccomp::default_filter(caps::DEFAULT)),
        "unconfined" => Ok(nothing_refused()),
        path => Ok(seccomp::compile(&run::profile(path, caps::DEFAULT)?)?.0),
    }
}

/// What a filter says to a call of this machine's own.
fn words_of(filter: &Filter, number: u32) -> String {
    let mut out = String::new();
    // What is allowed is said first.
    for verdict in outcomes(filter.program, NATIVE, number).into_iter().rev() {
        if !out.is_empty() {
            out.push_str(", or by its arguments ");
        }
        out.push_str(shown(verdict));
    }
    out
}

fn whole(name: &str, filter: Filter, rows: &[(&str, Vec<String>)]) -> String {
    let mut out = String::from(say!("{}: {} instructions\n", name, filter.program.len()));
    let mut kinds: Vec<&str> = Vec::new();
    for (_, said) in rows {
        if !kinds.contains(&&*said[0]) {
            kinds.push(&said[0]);
        }
    }
    for kind in kinds {
        let calls: Vec<&str> = rows.iter().filter(|(_, said)| said[0] == kind).map(|(name, _)| *name).collect();
        out.push_str(join!("\n{} ({})\n", kind, calls.len()));
        let mut line = String::new();
        for call in calls {
            if line.len() + call.len() > 100 {
                out.push_str(join!(" {}\n", line));
                line.clear();
            }
            line.push(' ');
            line.push_str(call);
        }
        out.push_str(join!(" {}\n", line));
    }
    out
}

fn difference(words: &[&str], rows: &[(&str, Vec<String>)]) -> String {
    let mut lines = String::from(join!("CALL\t{}\n", words.join("\t")));
    for (name, said) in rows {
        if said.iter().any(|one| *one != said[0]) {
            lines.push_str(join!("{}\t{}\n", name, said.join("\t")));
        }
    }
    let mut out = String::new();
    super::output::columns(&mut out, &lines, 0);
    out
}
