//! `vial why`: which line of defence said no to a workload that failed.

use alloc::boxed::Box;
use alloc::string::String;
use core::cell::RefCell;

use super::context::Context;
use super::flags::{Id, table};
use super::parse::{self, Globals, Parsed};
use super::{exec, lifecycle, output, pull, run, sealed};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, parse};
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::life::{Follower, Life};
use crate::container::plan::Step;
use crate::container::state::Condition;
use crate::container::{remains, why};
use crate::kernel::cgroup::Hits;
use crate::sys::fd::{self, Fd, FdRef};
use crate::sys::{because, file};

/// Words that stand for vial where docker's users write a whole command line.
const OWN: [&[u8]; 2] = [b"vial", b"docker"];

/// Tells why a container has failed, or runs a command of vial's and tells why that does.
pub(super) fn why(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let report = Report::open(parsed)?;
    let words = &parsed.positionals[..];
    if parsed.on(Id::WhyAgain) {
        let [name] = words[..] else {
            return Err(Error::new(phrase!("--again takes the name of one container")));
        };
        return followed(context, &report, &|follower| {
            run::again(context, keep::lossy(name), &|life| life.follower = Some(follower))
        });
    }
    if let [name] = words[..] {
        return report.write(&of_container(context, keep::lossy(name))?).map(|()| 0);
    }
    let words = if OWN.contains(&words[0]) { &words[1..] } else { words };
    let inner = inner(context, words)?;
    match inner.parsed.command.name() {
        "run" => {
            let options = run::read(&inner)?;
            refuse(inner.parsed, &[Id::Detach, Id::DryRun])?;
            if options.restarts() {
                refuse(inner.parsed, &[Id::Restart])?;
            }
            if let code @ 1.. = pull::provide(&inner, options)? {
                return Ok(code);
            }
            followed(context, &report, &|follow| {
                run::with(&inner, options, &|life: &mut Life<'_>| life.follower = Some(follow))
            })
        }
        "exec" => {
            refuse(inner.parsed, &[Id::Detach])?;
            followed(context, &report, &|follow| exec::followed(&inner, Some(follow)))
        }
        name => Err(Error::new(say!("why does not follow {}", name))
            .hint(phrase!("vial why -- run ..., vial why -- exec ..., or the name of a container that has failed"))),
    }
}

/// Refuses options of a command that is followed.
fn refuse(parsed: &Parsed<'_>, ids: &[Id]) -> Result<()> {
    match ids.iter().find(|id| parsed.last(**id).is_some()) {
        Some(id) => Err(Error::new(phrase!("a container that is followed runs once, in the foreground"))
            .option(join!("--{}", table::name(*id)))),
        None => Ok(()),
    }
}

/// The command line behind this one.
fn inner(context: &Context<'static>, words: &[&'static [u8]]) -> Result<Context<'static>> {
    let words: &'static [&'static [u8]] = words.to_vec().leak();
    let mut parsed = parse::parse(words).map_err(|(_, error)| error)?;
    let (own, outer) = (&parsed.globals, &context.parsed.globals);
    parsed.globals = Globals {
        root: own.root.or(outer.root),
        ram: own.ram || outer.ram,
        storage: own.storage.or(outer.storage),
        best_effort: own.best_effort || outer.best_effort,
        ..outer.clone()
    };
    let mut inner = Context::new(Box::leak(Box::new(parsed)), context.args, context.env);
    inner.user_root = context.user_root;
    Ok(inner)
}

/// Who follows: another process, and what this one knows at the end.
struct Pair {
    socket: Fd,
    known: RefCell<Value>,
}

impl Follower for Pair {
    fn begins(&self, directory: FdRef<'_>, steps: &[Step], pid: u32) -> Result<()> {
        why::begin(self.socket.by_ref(), directory, steps, pid)
    }

    fn ended(&self, directory: FdRef<'_>, oom_killed: bool, hits: Hits) {
        let config = remains::config(directory, "");
        self.known.replace(why::known(&config, 0, oom_killed, hits));
    }
}

/// Starts who follows, does something, and tells what was found.
fn followed(
    context: &Context<'static>,
    report: &Report,
    act: &dyn Fn(&'static dyn Follower) -> Result<u8>,
) -> Result<u8> {
    // Who is followed may be in namespaces that others are in too.
    sealed::go_on(context)?;
    let (mut helper, socket) = super::beside(&mut |there| why::follow(&there))?;
    let pair: &'static Pair = Box::leak(Box::new(Pair { socket, known: RefCell::default() }));
    let code = act(pair);
    drop(Fd::from_number(pair.socket.number()));
    let found = helper.conclude()?;
    let code = code?;
    let found = parse(&found).map_err(|_| Error::new(phrase!("what was found can't be read")))?;
    // What was seen tells more than what was counted.
    let seen = found.as_array().unwrap_or_default();
    let same = |one: &Value, other: &Value| one.get("Why") == other.get("Why");
    let known = pair.known.take();
    let mut all = known.as_array().unwrap_or_default().to_vec();
    all.retain(|known| !seen.iter().any(|seen| same(known, seen)));
    all.extend_from_slice(seen);
    if code == 0 {
        for finding in &mut all {
            finding.set("Likely", false.into());
        }
    }
    let mut value = Value::default();
    value.set("ExitCode", u64::from(code).into());
    value.set("Findings", all.into());
    report.write(&value)?;
    Ok(code)
}

/// What is known of a container that has failed, or may be about to.
fn of_container(context: &Context<'static>, name: &str) -> Result<Value> {
    let _why = because!("see what is known of how the container ended");
    let (_, _, seen) = lifecycle::look(context, name)?;
    let config = seen.config()?;
    let state = &seen.state;
    let mut value = Value::default();
    value.text("Name", seen.name);
    value.text("Status", seen.condition.name());
    let (mut oom_killed, mut hits) = (state.oom_killed, Hits::default());
    if seen.condition.is_running() {
        let group = remains::group_of(&config)?;
        oom_killed = group.was_oom_killed()?;
        hits = config.at(&["linux", "resources"]).map(|resources| group.hits(resources)).unwrap_or_default();
    } else if let [refused, throttled] = state.hits[..] {
        hits = Hits { refused, throttled };
    }
    if matches!(seen.condition, Condition::Exited | Condition::Restarting) {
        value.set("ExitCode", u64::from(state.exit_code).into());
    }
    if !state.error.is_empty() {
        value.text("Error", state.error);
    }
    value.set("Findings", why::known(&config, state.exit_code, oom_killed, hits));
    Ok(value)
}

/// Where it is written what was found.
struct Report {
    file: Option<Fd>,
    json: bool,
}

impl Report {
    fn open(parsed: &Parsed<'_>) -> Result<Report> {
        let json = parsed.on(Id::WhyJson);
        let file = output::sink(parsed, Id::WhyReport)?;
        Ok(Report { file, json })
    }

    fn write(&self, found: &Value) -> Result<()> {
        let _why = because!("say what was found");
        let text = if self.json { join!("{}\n", found.to_compact()).into() } else { text(found) };
        file::write_all(self.file.as_ref().map_or(fd::STDERR, Fd::by_ref), text.as_bytes())
    }
}

/// What was found, for people.
fn text(found: &Value) -> String {
    let word = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    let mut out = String::new();
    let name = word(found, "Name");
    let whose = if name.is_empty() { "the workload" } else { name };
    out.push_str(match number(found, "ExitCode") {
        Some(code @ 129..=192) => say!("{} was killed by signal {}, or ended with {}\n", whose, code - 128, code),
        Some(code) => say!("{} ended with {}\n", whose, code),
        None if !word(found, "Error").is_empty() => say!("{} was not started\n", whose),
        None => say!("{} is {}\n", whose, word(found, "Status")),
    });
    let error = word(found, "Error");
    if !error.is_empty() {
        for line in error.parts(b'\n') {
            out.push_str(join!("  {}\n", line));
        }
    }
    let findings = found.get("Findings").and_then(Value::as_array).unwrap_or_default();
    let likely = |finding: &&Value| finding.get("Likely").and_then(Value::as_bool) == Some(true);
    for finding in findings.iter().filter(likely) {
        out.push_str(&described(finding));
    }
    let mut others = findings.iter().filter(|finding| !likely(finding)).peekable();
    if others.peek().is_some() {
        out.push_str("refused too, which need not matter:\n");
    }
    for finding in others {
        out.push_str(&described(finding));
    }
    if findings.is_empty() && error.is_empty() {
        out.push_str(if name.is_empty() {
            "  no line of defence has refused it anything: what it says itself is all there is\n"
        } else {
            say!(
                "  nothing is known that held it up; `vial why --again {}` starts it again and follows its calls\n",
                name
            )
        });
    }
    out
}

/// A finding: which line, why, where, and what to change.
fn described(finding: &Value) -> String {
    let word = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = String::from(join!("  {}: {}\n", word("Line"), word("Why")));
    let count = finding.get("Count").and_then(Value::as_u64).unwrap_or(1);
    let times = if count > 1 { say!(", {} times", count) } else { "" };
    if !word("Call").is_empty() {
        let pid = finding.get("Pid").and_then(Value::as_u64).unwrap_or(0);
        let how = match word("Errno") {
            "" if word("Line") == "seccomp" => "was the last call of",
            "" => "found nothing in",
            errno => say!("failed with {} in", errno),
        };
        out.push_str(say!("    {} {} {} (process {}){}\n", word("Call"), how, word("Process"), pid, times));
    }
    out.push_str(say!("    try {}\n", word("Change")));
    out
}
