//! `vial audit`: a container whose workload is watched, and what it was seen to need.

mod profile;
mod report;

use alloc::vec::Vec;

use super::context::Context;
use super::flags::{Id, table};
use super::options::namespaces::PRIVATE;
use super::parse::Parsed;
use super::{pull, run, sealed};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, parse};
use crate::container::audit::{Counter, Recorder, Wish, record};
use crate::container::launch;
use crate::container::spec::{Seccomp, Spec};
use crate::image::helper::Helper;
use crate::sys::fd::{self, CWD, Fd};
use crate::sys::{because, file, net};

/// The longest profile that is read.
const LONGEST: usize = 16 << 20;

/// Runs a container, and tells what it needed.
pub(super) fn audit(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    if parsed.on(Id::AuditMerge) {
        return merge(context);
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
    if let code @ 1.. = pull::provide(context, options)? {
        return Ok(code);
    }
    let mut wish = Wish {
        arguments: parsed.on(Id::AuditArgs),
        only_calls: parsed.on(Id::AuditOnlyCalls),
        counts: false,
        init: parsed.on(Id::Init),
    };
    let counter = counter(parsed, options)?;
    wish.counts = counter.is_some();
    let (mut helper, socket) = recorder(wish)?;
    let socket: &'static Fd = alloc::boxed::Box::leak(alloc::boxed::Box::new(socket));
    let code = run::with(context, options, &confined, Some(Recorder { socket: socket.by_ref(), wish }));
    // So that it is told that nothing follows.
    drop(Fd::from_number(socket.number()));
    drop(counter);
    let record = helper.conclude()?;
    let code = code?;
    let record = parse(&record).map_err(|_| Error::new(phrase!("what was recorded can't be read")))?;
    let made = profile::of(&record);
    if let Some(given) = parsed.last(Id::AuditProfile) {
        write(given.value, join!("{}\n", made.to_pretty()))?;
    }
    let report = if parsed.on(Id::AuditJson) {
        join!("{}\n", record.to_compact()).into()
    } else {
        report::text(&record, parsed)
    };
    match parsed.last(Id::AuditReport) {
        Some(given) => write(given.value, &report)?,
        None => file::write_all(fd::STDERR, report.as_bytes())?,
    }
    if parsed.on(Id::AuditReplay) {
        replay(context, options, &made, code)?;
    }
    Ok(code)
}

/// What shows that the kernel can count, if it is to; the calls of processes are marked as long as it is there, so that the first
/// one counts.
fn counter(parsed: &Parsed<'_>, options: run::Options) -> Result<Option<Fd>> {
    let _why = because!("see whether the kernel counts a container's calls by a BPF program");
    let asked = match parsed.text(Id::AuditWith) {
        "" => None,
        "ebpf" => Some(true),
        "notify" => Some(false),
        other => {
            return Err(Error::new(say!("--with: unknown value {}", other)).hint(phrase!("accepted: ebpf, notify")));
        }
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

/// A process that takes notes, and the socket that it listens at.
fn recorder(wish: Wish) -> Result<(Helper, Fd)> {
    let (here, there) = net::socket_pair()?;
    let (mut here, mut there) = (Some(here), Some(there));
    let helper = Helper::start(&mut |_| {
        drop(here.take());
        match there.take() {
            Some(there) => record(there, wish),
            None => Ok(Vec::new()),
        }
    })?;
    match here {
        Some(here) => Ok((helper, here)),
        None => Err(Error::new(phrase!("nobody takes notes"))),
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

/// Runs the container again under the profile, and says whether it ends as before.
fn replay(context: &Context<'static>, options: run::Options, made: &Value, before: u8) -> Result<()> {
    let confined = |spec: &mut Spec| {
        if let Some(linux) = &mut spec.linux {
            linux.seccomp = Some(Seccomp(made.clone()));
        }
    };
    let code = run::with(context, options, &confined, None)?;
    let words = if code == before {
        say!("replayed under the profile: it ended with {}, as before\n", u64::from(code))
    } else {
        say!(
            "replayed under the profile: it ended with {}, and not with {} as before\n",
            u64::from(code),
            u64::from(before)
        )
    };
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
    match context.parsed.last(Id::AuditProfile) {
        Some(given) => write(given.value, join!("{}\n", united.to_pretty()))?,
        None => super::print_line(&united.to_pretty())?,
    }
    Ok(0)
}

/// Writes a file, or to standard output for `-`.
fn write(name: &[u8], text: &str) -> Result<()> {
    let _why = because!("write down what was recorded");
    if name == b"-" {
        return file::write_all(fd::STDOUT, text.as_bytes());
    }
    let file = file::create(CWD, file::path(name)?, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, 0o644)?;
    file::write_all(file.by_ref(), text.as_bytes())
}
