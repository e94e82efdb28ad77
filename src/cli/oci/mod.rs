//! `vial oci`: the OCI runtime's command line, for podman, containerd and whoever else has containers run by another program. The
//! names `runc`, `crun` and `vial-oci` mean the same. What engines expect, words of errors too, is runc's.

mod events;
mod exec;
mod look;
mod spec;
mod update;
mod words;

use super::context::Context;
use super::flags::Id;
use super::parse::Parsed;
use super::sealed;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::signal;
use crate::base::text::decimal_u32;
use crate::container::oci::{self, Asked, Held, Status};
use crate::container::run::{self, Running};
use crate::sys::cold::Gate;
use crate::sys::fd::{CWD, FdRef};
use crate::sys::{because, file, poll, process, users};

pub(super) use words::{failed, is_runtime, words};

/// What the names of these commands begin with.
pub(super) const NOUN: &str = "oci ";

pub(super) static COLD_GATE_OCI: Gate<Command> = Gate(command);
pub(super) static COLD_GATE_MAKE: Gate<Command> = Gate(make);
pub(super) static COLD_GATE_VISIT: Gate<Command> = Gate(visit);

/// What does a command by its name.
type Command = fn(&Context<'static>, &str) -> Result<u8>;

/// Does a command.
pub(super) fn run(context: &Context<'static>, command: &str) -> Result<u8> {
    if matches!(command, "create" | "run" | "exec") {
        // No vial stays and keeps its file from being written to. The copy would have to unpack again what is unpacked before.
        sealed::go_on(context)?;
    }
    let gate = if matches!(command, "create" | "run") { &COLD_GATE_MAKE } else { &COLD_GATE_OCI };
    gate.open()?(context, command)
}

/// Does a command that makes a container.
fn make(context: &Context<'static>, command: &str) -> Result<u8> {
    words::begin(context.parsed)?;
    if command == "create" { create(context, true).map(|_| 0) } else { whole_life(context) }
}

fn command(context: &Context<'static>, command: &str) -> Result<u8> {
    words::begin(context.parsed)?;
    match command {
        "start" => oci::start(&held(context)?).map(|()| 0),
        "state" => look::state(context),
        "kill" => kill(context),
        "delete" => delete(context),
        _ => COLD_GATE_VISIT.open()?(context, command),
    }
}

/// Does a command that not every container sees.
fn visit(context: &Context<'static>, command: &str) -> Result<u8> {
    match command {
        "exec" => exec::exec(context),
        "list" => look::list(context),
        "ps" => look::processes(context),
        "pause" => freeze(context, true),
        "resume" => freeze(context, false),
        "update" => update::update(context),
        "events" => events::print_all(context),
        "spec" => spec::write(context),
        "features" => look::features(),
        "version" => look::version(),
        _ => Err(Error::new(say!("{} is not supported", command))
            .hint(phrase!("vial has no part that writes down and takes up again what processes are"))),
    }
}

/// The directory of all containers.
fn root(context: &Context<'_>) -> &'static str {
    match (context.parsed.globals.root, context.variable(b"XDG_RUNTIME_DIR")) {
        (Some(root), _) => keep::lossy(root),
        // Podman without root has it in a user namespace, where it is root.
        (None, Some(runtime)) if process::geteuid() != 0 || users::is_confined() => {
            join!("{}/vial/oci", keep::lossy(runtime))
        }
        (None, _) => "/run/vial/oci",
    }
}

/// The same where it is unless told otherwise, if it is there.
pub(super) fn existing_root(context: &Context<'_>) -> Result<Option<FdRef<'static>>> {
    let path = match (context.variable(b"XDG_RUNTIME_DIR"), context.user_root) {
        (Some(runtime), Some(_)) => join!("{}/vial/oci", keep::lossy(runtime)),
        (None, Some(_)) => return Ok(None),
        (_, None) => "/run/vial/oci",
    };
    match file::open(CWD, file::path(path)?, libc::O_RDONLY | libc::O_DIRECTORY) {
        Err(error) if error.is(Errno::ENOENT) => Ok(None),
        root => root.map(|root| Some(root.keep())),
    }
}

fn open(context: &Context<'_>) -> Result<FdRef<'static>> {
    oci::open(root(context))
}

/// The container that the command line names.
fn held(context: &Context<'_>) -> Result<Held> {
    oci::find(open(context)?, context.parsed.word(0))
}

/// A flag's value, if it was given.
fn given(parsed: &Parsed<'static>, id: Id) -> Option<&'static str> {
    Some(parsed.text(id)).filter(|text| !text.is_empty())
}

/// How many files are to be passed on, all of which must be open.
fn files(parsed: &Parsed<'static>, id: Id) -> Result<u32> {
    let Some(given) = parsed.last(id) else { return Ok(0) };
    let count = decimal_u32(given.text()?).filter(|count| *count < 1 << 20);
    let count = given.check(count, phrase!("not a number of files"), phrase!("0, 1, 2 and so on"))?;
    for number in 3..3 + count {
        let there = file::is_inherited(FdRef::from_number(number as i32)).then_some(());
        given.check(there, say!("file {} is not open", number), phrase!("as many as are open, from number 3 on"))?;
    }
    Ok(count)
}

/// A path that will be used when another directory is the current one.
fn absolute(path: Option<&'static str>) -> Result<Option<&'static str>> {
    path.map(Context::absolute).transpose()
}

/// Makes a container.
fn create(context: &Context<'static>, detached: bool) -> Result<oci::Made> {
    let parsed = context.parsed;
    let variable: &dyn Fn(&str) -> Option<&'static str> = &|name| context.text_variable(name);
    let manager = parsed.text(Id::CgroupManager);
    let by_systemd = manager == "systemd" || manager.is_empty() && parsed.on(Id::SystemdCgroup);
    let asked = Asked {
        root: root(context),
        id: parsed.word(0),
        bundle: given(parsed, Id::Bundle).unwrap_or("."),
        pid_file: absolute(given(parsed, Id::PidFile))?,
        console: absolute(given(parsed, Id::ConsoleSocket))?,
        detached,
        files: files(parsed, Id::PreserveFds)?,
        same_keyring: parsed.on(Id::NoNewKeyring),
        systemd: by_systemd.then_some(variable),
        grouped: manager != "disabled",
        best_effort: parsed.globals.best_effort,
        signals: {
            let _why = because!("read signals as a file later, and give files exactly the modes that are asked for");
            file::umask(0);
            poll::block_signals(run::watched_signals())?
        },
    };
    oci::create(&asked)
}

/// Makes a container, starts it, and waits for its end, after which it is deleted.
fn whole_life(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let detached = parsed.on(Id::OciDetach);
    let made = create(context, detached)?;
    let root = open(context)?;
    if let Err(error) = oci::start(&made.held) {
        let _ = oci::delete(root, &made.held, true);
        return Err(error);
    }
    if detached {
        return Ok(0);
    }
    let pid = made.running.pid;
    let ended = made.running.wait(made.control.group.as_ref()).inspect_err(|_| Running::kill(pid));
    if !parsed.on(Id::Keep) {
        oci::delete(root, &made.held, true)?;
    }
    Ok(ended?.code())
}

fn kill(context: &Context<'static>) -> Result<u8> {
    let held = held(context)?;
    let word = context.parsed.word(1);
    let signal = match word {
        "" => libc::SIGTERM,
        _ => signal::parse(word).map(i32::from).ok_or_else(|| {
            Error::new(say!("invalid signal {}", crate::base::text::Quoted(word)))
                .hint(phrase!("accepted: a name such as TERM or SIGTERM, or a number"))
        })?,
    };
    if context.parsed.on(Id::KillAll) { oci::signal_all(&held, signal) } else { oci::kill(&held, signal) }.map(|()| 0)
}

fn delete(context: &Context<'static>) -> Result<u8> {
    let force = context.parsed.on(Id::OciForce);
    let root = open(context)?;
    let found = if force { oci::look_anyway } else { oci::look };
    match found(root, context.parsed.word(0))? {
        Some(held) => oci::delete(root, &held, force).map(|()| 0),
        None if force => Ok(0),
        None => held(context).map(|_| 0),
    }
}

fn freeze(context: &Context<'static>, freeze: bool) -> Result<u8> {
    let held = held(context)?;
    let status = held.status();
    if freeze && status == Status::Paused || !freeze && status != Status::Paused {
        return Err(Error::new(say!("container {} is {}", held.id, status.name())));
    }
    if freeze {
        held.running()?;
    }
    held.group()?.freeze(freeze)?;
    Ok(0)
}
