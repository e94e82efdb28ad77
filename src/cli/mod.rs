//! Floor 5: the command line.

mod attach;
mod audit;
mod boot;
mod check;
mod commit;
mod connect;
mod contained;
mod context;
mod cp;
mod exec;
mod explain;
mod files;
mod filter;
pub mod flags;
mod gc;
pub mod help;
mod images;
mod info;
mod inspect;
mod lifecycle;
mod load;
mod logs;
mod network;
mod oci;
pub mod options;
pub mod output;
mod pack;
pub mod parse;
mod pause;
mod port;
mod ps;
mod pull;
mod rm;
mod rootless;
mod run;
mod sealed;
mod seccomp;
mod stats;
mod syscalls;
mod top;
mod update;
mod version;
mod volume;
mod why;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use context::Context;
use parse::{Explain, Globals};

use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::monitor;
use crate::image::helper::Helper;
use crate::sys::cold::{self, Gate};
use crate::sys::{Fd, FdRef, because, fd, file, ledger, net};

/// Runs a command line; the exit code. `secure` says that vial has rights from its file which its caller may not have, and
/// `appended` where in that file an image begins, which is 0 if there is none.
#[must_use]
pub fn main(args: &'static [&'static CStr], env: &'static [&'static CStr], secure: bool, appended: u32) -> u8 {
    #[cfg(feature = "weakened")]
    crate::base::weak::choose(env);
    if secure && !weak!("secure") {
        // Whoever may execute it would be root: an unprivileged user who can trace, or choose the environment and the files.
        report(
            &Error::new(phrase!("vial must not have rights from its file: a set-ID bit or capabilities"))
                .hint(phrase!("chmod ug-s, setcap -r; root runs it as it is, others in a user namespace")),
        );
        return EXIT_FAILURE;
    }
    monitor::become_one(args);
    crate::network::become_one(args);
    let (most_likely, is_visit) = guess(args);
    if is_visit && appended == 0 {
        sealed::go_on_early(args, env);
    }
    ledger::expect();
    match prepare(most_likely) {
        Ok(obey) => obey(args, env, appended),
        Err(error) => {
            report(&error);
            error.exit_code()
        }
    }
}

/// Does what a command line says.
type Obey = fn(&'static [&'static CStr], &'static [&'static CStr], u32) -> u8;

static COLD_GATE_EVERY: Gate<Obey> = Gate(obey);
static COLD_GATE_FRONT: Gate<Act> = Gate(run::run);
static COLD_GATE_MANAGE: Gate<(Act, Act)> = Gate((exec::exec, run::run));

/// What a command line most likely needs, by its words alone, and whether it makes processes where others may see them that are no friends,
/// see [`sealed`]. A wrong guess costs time and no more.
fn guess(args: &[&'static CStr]) -> (&'static [usize], bool) {
    let mut words = args.iter().map(|word| word.to_bytes()).skip(1);
    let first = loop {
        match words.next() {
            Some(b"--root" | b"--storage" | b"--explain-to") => drop(words.next()),
            Some([b'-', ..]) => {}
            word => break word.unwrap_or_default(),
        }
    };
    let has = |verb: &[u8]| args.iter().any(|word| word.to_bytes() == verb);
    match first {
        _ if first == b"oci" || oci::is_runtime(args) => {
            if has(b"create") || has(b"run") {
                (oci::COLD_GATE_MAKE.addresses(), true)
            } else if has(b"exec") {
                (oci::COLD_GATE_VISIT.addresses(), true)
            } else {
                (oci::COLD_GATE_OCI.addresses(), false)
            }
        }
        b"run" | b"create" => (COLD_GATE_FRONT.addresses(), false),
        b"exec" => (COLD_GATE_MANAGE.addresses(), true),
        other if PACKED.parts(b'\n').any(|known| known.as_bytes() == other) => (COLD_GATE_LOOK.addresses(), false),
        _ => (&[], false),
    }
}

/// Unpacks what the command line is read with, which no process that stays needs; at once with what the command most likely needs
/// besides, since that takes less time than one after the other.
fn prepare(most_likely: &[usize]) -> Result<Obey> {
    cold::open(most_likely)?;
    COLD_GATE_EVERY.open()
}

fn obey(args: &'static [&'static CStr], env: &'static [&'static CStr], appended: u32) -> u8 {
    let words: Vec<&[u8]> = match appended {
        0 => oci::words(args),
        _ => contained::first_words(args, env),
    };
    let words: &'static [_] = words.leak();
    // For the whole life of the process, so that whatever is made of the words can refer to them.
    let parsed: &'static _ = Box::leak(Box::new(parse::parse(words)));
    let globals = match parsed {
        Ok(parsed) => &parsed.globals,
        Err((globals, _)) => globals,
    };
    let _why = because(
        parsed.as_ref().map_or(phrase!("say what is wrong with the command line"), |parsed| parsed.command.help),
    );
    let again = args.first() == Some(&sealed::NAME);
    let result = open_ledger(globals, again).and_then(|()| match parsed {
        Ok(parsed) => dispatch(Context::new(parsed, args, env), appended),
        Err((_, error)) if appended != 0 => Err(error.clone().option("VIAL_OPTIONS")),
        Err((_, error)) => Err(error.clone()),
    });
    result.unwrap_or_else(|error| {
        report(&error);
        oci::failed(words, parsed, &error).unwrap_or_else(|| error.exit_code())
    })
}

/// Prints an error for a person.
fn report(error: &Error) {
    let _why = because!("say what went wrong");
    let _ = file::write_all(fd::STDERR, say!("vial: {}\n", error).as_bytes());
}

/// Starts the ledger, if it was asked for, before anything else is done; or goes on with it.
fn open_ledger(globals: &Globals<'_>, again: bool) -> Result<()> {
    let format = match (globals.explain, globals.explain_to) {
        (Some(Explain::Json), _) => ledger::Format::Json,
        (Some(Explain::Text), _) | (None, Some(_)) => ledger::Format::Text,
        (None, None) => {
            ledger::leave();
            return Ok(());
        }
    };
    ledger::open(format)?;
    let Some(path) = globals.explain_to else { return Ok(()) };
    let _why = because!("open the file that the ledger goes to");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | if again { 0 } else { libc::O_TRUNC };
    let opened = file::create(fd::CWD, file::path(path)?, flags, 0o644).map_err(|error| {
        error.option("--explain-to").hint(phrase!("accepted: a file, in a directory that is there"))
    })?;
    // Stays open until the process ends.
    ledger::print_to(FdRef::from_number(opened.leak()));
    Ok(())
}

/// What a command does.
type Act = fn(&Context<'static>) -> Result<u8>;

macro_rules! acts {
    ($($name:literal $act:expr;)* packed: $($packed:literal $packed_act:expr;)*) => {
        const NAMES: &str = concat!($($name, "\n"),*);
        static ACTS: &[Act] = &[$($act as Act),*];
        const PACKED: &str = concat!($($packed, "\n"),*);
        static COLD_GATE_LOOK: Gate<[Act; [$($packed),*].len()]> = Gate([$($packed_act as Act),*]);
    };
}

// Those behind `packed` are not needed to run containers.
acts! {
    "run"            run::run;
    "create"         run::make_only;
    "start"          lifecycle::start;
    "stop"           lifecycle::stop;
    "restart"        lifecycle::restart;
    "kill"           lifecycle::kill;
    "wait"           |context| Ok(lifecycle::wait(context));
    "exec"           exec::exec;
    "rm"             rm::remove;
    packed:
    "attach"         attach::attach;
    "audit"          audit::audit;
    "why"            why::why;
    "boot"           boot::boot;
    "logs"           logs::logs;
    "rename"         lifecycle::rename;
    "port"           port::port;
    "ps"             ps::list;
    "inspect"        inspect::inspect;
    "stats"          stats::show;
    "top"            top::list;
    "pause"          |context| Ok(pause::pause(context, true));
    "unpause"        |context| Ok(pause::pause(context, false));
    "update"         update::update;
    "cp"             cp::copy;
    "diff"           files::diff;
    "export"         files::export;
    "commit"         commit::commit;
    "import"         images::import;
    "load"           load::load;
    "save"           files::save;
    "pull"           pull::pull;
    "pack"           pack::pack;
    "images"         images::list;
    "tag"            images::tag;
    "rmi"            images::remove;
    "history"        images::history;
    "volume create"  volume::create;
    "volume ls"      volume::list;
    "volume inspect" inspect::volumes;
    "volume rm"      volume::remove;
    "network create" network::create;
    "network ls"     network::list;
    "network inspect" inspect::networks;
    "network rm"     network::remove;
    "network prune"  network::prune;
    "network connect" connect::connect;
    "network disconnect" connect::disconnect;
    "gc"             gc::collect;
    "info"           info::info;
    "check"          check::check;
    "seccomp"        seccomp::show;
    "explain"        explain::explain;
    "syscalls"       syscalls::list;
    "version"        version::version;
    "help"           help::print;
}

fn dispatch(mut context: Context<'static>, appended: u32) -> Result<u8> {
    if context.parsed.globals.ram
        && !matches!(context.parsed.command.name(), "help" | "version" | "syscalls" | "explain")
    {
        context.check_ram()?;
    }
    let name = context.parsed.command.name();
    if let Some(command) = name.strip_prefix(oci::NOUN) {
        return oci::run(&context, command);
    }
    rootless::enter(&mut context)?;
    if appended != 0 && name == "run" {
        context = contained::complete(&context, appended)?;
    }
    let context = &context;
    let place = |names: &str| names.parts(b'\n').position(|known| known == name);
    if let Some(packed) = place(PACKED) {
        return COLD_GATE_LOOK.open()?[packed](context);
    }
    match place(NAMES).and_then(|place| ACTS.get(place)) {
        Some(act) => act(context),
        None => Err(Error::new(say!("{} is not built in", name)).exit(EXIT_FAILURE)),
    }
}

/// A process beside this one, which dies with it, and the socket by which it is told what to do; its end is that of the work.
fn beside(work: &mut dyn FnMut(Fd) -> Result<Vec<u8>>) -> Result<(Helper, Fd)> {
    let (here, there) = net::socket_pair()?;
    let (mut here, mut there) = (Some(here), Some(there));
    let helper = Helper::start(&mut |_| {
        drop(here.take());
        there.take().map_or(Ok(Vec::new()), &mut *work)
    })?;
    here.map(|here| (helper, here)).ok_or_else(|| Error::new(phrase!("there is no process beside this one")))
}

/// Does something for each name, going on after failures, which are reported; the exit code.
fn each(names: &[&[u8]], act: &mut dyn FnMut(&str) -> Result<()>) -> u8 {
    let mut code = 0;
    for name in names {
        if let Err(error) = act(keep::lossy(name)) {
            report(&error);
            code = EXIT_FAILURE;
        }
    }
    code
}

/// Prints a result of one line to standard output.
#[inline(never)]
fn print_line(line: &str) -> Result<()> {
    print(&[line, "\n"].concat())
}

/// Prints a result to standard output.
#[inline(never)]
fn print(text: &str) -> Result<()> {
    let _why = because!("print the result");
    file::write_all(fd::STDOUT, text.as_bytes())
}
