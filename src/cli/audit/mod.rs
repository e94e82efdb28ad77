//! `vial audit`: a container whose workload is watched, and what it was seen to need.

mod profile;
mod report;

pub(super) use profile::allowing;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::{Id, table};
use super::options::namespaces::PRIVATE;
use super::parse::Parsed;
use super::{output, pull, run, sealed};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, parse};
use crate::container::audit::{self, Counter, Recorder, Wish, record};
use crate::container::bundle::Bundles;
use crate::container::spec::{Seccomp, Spec};
use crate::container::{launch, remains};
use crate::sys::fd::{self, CWD, Fd};
use crate::sys::{because, file};

/// The longest profile that is read.
const LONGEST: usize = 16 << 20;

/// Runs a container, and tells what it needed.
pub(super) fn audit(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    if parsed.on(Id::AuditMerge) {
        return merge(context);
    }
    if let Some(given) = parsed.last(Id::AuditFollow) {
        return match given.text()? {
            "" => Err(given.refuse(phrase!("no name"), phrase!("the name or the ID of a container that runs"))),
            name => follow(context, name),
        };
    }
    if parsed.positionals.is_empty() {
        return Err(Error::new(phrase!("audit takes an image, and a command")).hint(phrase!("see `vial audit --help`")));
    }
    let options = run::read(context)?;
    for (id, given) in
        [(Id::Detach, parsed.on(Id::Detach)), (Id::Restart, options.restarts()), (Id::DryRun, parsed.on(Id::DryRun))]
    {
        if given {
            return Err(Error::new(phrase!("a container that is watched runs once, in the foreground"))
                .option(join!("--{}", table::name(id))));
        }
    }
    if !options.is(Id::Pid, PRIVATE) {
        sealed::go_on(context)?;
    }
    let counter = counter(parsed, options)?;
    let sinks = Sinks::open(parsed)?;
    if let code @ 1.. = pull::provide(context, options)? {
        return Ok(code);
    }
    let mut wish = Wish {
        arguments: parsed.on(Id::AuditArgs),
        only_calls: parsed.on(Id::AuditOnlyCalls),
        counts: false,
        init: parsed.on(Id::Init),
    };
    wish.counts = counter.is_some();
    let (code, record) = watched(context, options, wish, &confined)?;
    drop(counter);
    let made = sinks.write(&record, parsed)?;
    if parsed.on(Id::AuditReplay) {
        replay(context, options, &made, code)?;
    }
    Ok(code)
}

/// Where what was recorded is written, open before anything runs.
struct Sinks {
    report: Option<Fd>,
    profile: Option<Fd>,
}

impl Sinks {
    fn open(parsed: &Parsed<'_>) -> Result<Sinks> {
        let _why = because!("open the files that what is recorded will be written to");
        let open = |id| output::sink(parsed, id);
        Ok(Sinks { report: open(Id::AuditReport)?, profile: open(Id::AuditProfile)? })
    }

    /// Writes the report and the profile, and returns that.
    fn write(&self, record: &Value, parsed: &Parsed<'_>) -> Result<Value> {
        let _why = because!("write down what was recorded");
        let made = profile::of(record);
        if let Some(file) = &self.profile {
            file::write_all(file.by_ref(), join!("{}\n", made.to_pretty()).as_bytes())?;
        }
        let json = parsed.on(Id::AuditJson);
        let report = if json { join!("{}\n", record.to_compact()).into() } else { report::text(record, parsed) };
        file::write_all(self.report.as_ref().map_or(fd::STDERR, Fd::by_ref), report.as_bytes())?;
        Ok(made)
    }
}

/// Watches a container that runs, with all that is executed in it.
fn follow(context: &Context<'static>, name: &str) -> Result<u8> {
    let parsed = context.parsed;
    let sinks = Sinks::open(parsed)?;
    let bundles = Bundles::open(context.open_root()?)?;
    let (id, pid) = launch::first_process(&bundles, name)?;
    let config = match bundles.look(id)? {
        Some((directory, _)) => remains::config(directory.by_ref(), id),
        None => Value::Null,
    };
    let init = config.at(&["annotations", launch::INIT]).is_some();
    let wish = Wish { only_calls: parsed.on(Id::AuditOnlyCalls), init, counts: true, ..Wish::default() };
    let record = audit::follow(pid, wish).map_err(|error| {
        error.hint(phrase!(
            "a container that runs is watched by programs that count, which take root on the machine and Linux 5.7"
        ))
    })?;
    sinks.write(&record, parsed)?;
    Ok(0)
}

/// Runs a container that is watched: its exit code, and what was recorded.
fn watched(
    context: &Context<'static>,
    options: run::Options,
    wish: Wish,
    change: &dyn Fn(&mut Spec),
) -> Result<(u8, Value)> {
    let (mut helper, socket) = super::beside(&mut |there| record(there, wish))?;
    let socket: &'static Fd = Box::leak(Box::new(socket));
    let code = run::with(context, options, &|life| {
        change(life.launch.spec);
        life.recorder = Some(Recorder { socket: socket.by_ref(), wish });
    });
    // So that it is told that nothing follows.
    drop(Fd::from_number(socket.number()));
    // What stops it stops the container too, and says why.
    let record = helper.conclude()?;
    let code = code?;
    let record = parse(&record).map_err(|_| Error::new(phrase!("what was recorded can't be read")))?;
    Ok((code, record))
}

/// What shows that the kernel can count, if it is to; the calls of processes are marked as long as it is there, so that the first
/// one counts.
fn counter(parsed: &Parsed<'_>, options: run::Options) -> Result<Option<Fd>> {
    let _why = because!("see whether the kernel counts a container's calls by a BPF program");
    let asked = match parsed.last(Id::AuditWith) {
        None => None,
        Some(given) => match given.text()? {
            "ebpf" => Some(true),
            "notify" => Some(false),
            _ => return Err(given.refuse(phrase!("there is no such way"), phrase!("ebpf, notify"))),
        },
    };
    if asked == Some(false) {
        return Ok(None);
    }
    // Others are in the namespace, or the container's own are in further ones.
    let is_private = options.is(Id::Pid, PRIVATE);
    let made = if is_private {
        Counter::prepare()
    } else {
        Err(Error::new(phrase!("--with ebpf needs a PID namespace of the container's own")))
    };
    match made {
        Ok(counter) => Ok(Some(counter)),
        Err(error) if asked.is_some() => Err(error.hint(phrase!(
            "programs that count take root on the machine, Linux 5.7 and CONFIG_BPF_EVENTS; --with notify does without"
        ))),
        Err(_) => Ok(None),
    }
}

/// Sees to it that there is a filter in whose place another can be.
fn confined(spec: &mut Spec) {
    let is_default = launch::annotation(spec, launch::SECCOMP) == "default";
    if let Some(linux) = &mut spec.linux
        && linux.seccomp.is_none()
        && !is_default
    {
        let mut nothing_refused = Value::default();
        nothing_refused.text("defaultAction", "SCMP_ACT_ALLOW");
        linux.seccomp = Some(Seccomp(nothing_refused));
    }
}

/// Runs the container again under the profile, and says whether it ends as before, and what was refused.
fn replay(context: &Context<'static>, options: run::Options, made: &Value, before: u8) -> Result<()> {
    let confined = |spec: &mut Spec| {
        if let Some(linux) = &mut spec.linux {
            linux.seccomp = Some(Seccomp(made.clone()));
        }
    };
    let (code, record) = watched(context, options, Wish { only_calls: true, ..Wish::default() }, &confined)?;
    let mut words = if code == before {
        String::from(say!("replayed under the profile: it ended with {}, as before\n", u64::from(code)))
    } else {
        let (code, before) = (u64::from(code), u64::from(before));
        String::from(say!("replayed under the profile: it ended with {}, and not with {} as before\n", code, before))
    };
    for call in profile::list(&record, "Calls") {
        let refused = call.get("Refused").and_then(Value::as_u64).unwrap_or(0);
        if refused != 0 {
            let name = call.get("Name").and_then(Value::as_str).unwrap_or_default();
            words.push_str(say!(
                "{} was refused {} times: what it does differs from run to run; --merge unites profiles\n",
                name,
                refused
            ));
        }
    }
    file::write_all(fd::STDERR, words.as_bytes())
}

/// Unites profiles.
fn merge(context: &Context<'static>) -> Result<u8> {
    let mut profiles = Vec::new();
    for word in context.words()? {
        let file = file::open(CWD, file::path(word)?, libc::O_RDONLY)?;
        let bytes = file::read_to_end(file.by_ref(), LONGEST)?;
        profiles.push(parse(&bytes).map_err(|error| Error::new(say!("{} is no JSON: {}", word, error)))?);
    }
    let united = profile::united(&profiles)?;
    let sinks = Sinks::open(context.parsed)?;
    let to = sinks.profile.as_ref().map_or(fd::STDOUT, Fd::by_ref);
    file::write_all(to, join!("{}\n", united.to_pretty()).as_bytes())?;
    Ok(0)
}
