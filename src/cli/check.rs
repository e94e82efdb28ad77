//! `vial check`: what of the kernel vial can use on this machine, found out by using it.

mod probes;

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::text;
use crate::base::phrase::Phrase;
use crate::image::helper::Helper;
use crate::sys::{FdRef, because, process};
use probes::FEATURES;

/// Something that vial can use.
struct Feature {
    /// What it is called.
    name: &'static str,
    /// Who can't have a plain `vial run` without it.
    needed: Need,
    /// The new namespaces that it is tried in, as root of a user namespace if a normal user tries.
    inside: i32,
    /// Tries it.
    probe: fn() -> Result<()>,
    /// The kernel's options that it takes.
    options: &'static str,
    /// What is not there without it.
    without: Phrase,
}

/// Who needs something.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Nobody,
    /// A normal user's containers do without it.
    Root,
    All,
}

/// The exit code if a plain `vial run` would not work.
const LACKING: u8 = 1;

/// Tries everything and prints what came of it.
///
/// # Errors
/// There are no processes to try things in.
#[inline(never)]
pub(super) fn check(context: &Context<'_>) -> Result<u8> {
    let [_, _, release, _, machine, _] = process::uname()?;
    let by_root = context.user_root.is_none() && process::geteuid() == 0;
    let (mut rows, mut lacking) = (Vec::new(), Vec::new());
    let mut out = String::from(text!("Linux {} on {}\n\n", release, machine));
    for feature in FEATURES {
        let error = tried(feature)?;
        let needed = feature.needed == Need::All || feature.needed == Need::Root && by_root;
        if error.is_some() && needed {
            lacking.push(feature.name);
        }
        let word = match error {
            None => "yes",
            Some(_) if needed => "NO",
            Some(_) => "no",
        };
        out.push_str(text!("{:<5}{}\n", word, feature.name));
        let mut row = Value::default();
        row.text("Name", feature.name);
        row.set("Works", error.is_none().into());
        row.set("Needed", needed.into());
        row.text("Options", feature.options);
        row.text("Without", feature.without.text().leak());
        if let Some(error) = &error {
            let text = String::from(text!("{}", error));
            // Behind the first line it says what was tried, and perhaps what can be done.
            let mut lines = text.lines();
            let error = lines.next().unwrap_or_default();
            out.push_str(text!("       {error}\n"));
            if let Some(hint) = lines.find(|line| line.starts_with("hint: ")) {
                out.push_str(text!("       {hint}\n"));
            }
            if !feature.options.is_empty() {
                out.push_str(text!("       the kernel's: {}\n", feature.options));
            }
            out.push_str(text!("       without it: {}\n", feature.without));
            row.text("Error", String::from(error).leak());
        }
        rows.push(row);
    }
    if context.parsed.on(Id::ReportJson) {
        super::print_line(&Value::from(rows).to_compact())?;
    } else {
        let verdict = if lacking.is_empty() {
            phrase!("\n`vial run` works here with its defaults.\n").text()
        } else {
            String::from(say!(
                "\n`vial run` does not work here with its defaults, for want of: {}\n",
                lacking.join(", ")
            ))
        };
        out.push_str(&verdict);
        super::print(&out)?;
    }
    Ok(if lacking.is_empty() { 0 } else { LACKING })
}

/// Tries something in a process of its own; what has failed.
fn tried(feature: &Feature) -> Result<Option<Error>> {
    let _why = because!("try what the kernel offers");
    let mut work = |_: FdRef<'_>| {
        let mut inside = feature.inside;
        if inside != 0 && process::geteuid() != 0 {
            // What gives the rights that the others take.
            probes::become_root()?;
            inside &= !libc::CLONE_NEWUSER;
        }
        if inside != 0 {
            process::unshare(inside)?;
        }
        (feature.probe)().map(|()| Vec::new())
    };
    Ok(Helper::start(&mut work)?.conclude().err())
}
