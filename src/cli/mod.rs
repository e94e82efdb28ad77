//! Floor 5: the command line.

mod attach;
mod commit;
mod context;
mod cp;
mod exec;
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
pub mod options;
pub mod output;
pub mod parse;
mod pause;
mod ps;
mod pull;
mod rm;
mod run;
mod sealed;
mod stats;
mod syscalls;
mod top;
mod update;
mod version;
mod volume;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use context::Context;
use parse::{Explain, Globals};

use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::keep;
use crate::container::monitor;
use crate::sys::{FdRef, because, fd, file, ledger};

/// Runs a command line; the exit code.
#[must_use]
pub fn main(args: &'static [&'static CStr], env: &'static [&'static CStr]) -> u8 {
    monitor::become_one(args);
    let words: Vec<&[u8]> = args.iter().skip(1).map(|word| word.to_bytes()).collect();
    // For the whole life of the process, so that whatever is made of the words can refer to them.
    let parsed: &'static _ = Box::leak(Box::new(parse::parse(words.leak())));
    let globals = match parsed {
        Ok(parsed) => &parsed.globals,
        Err((globals, _)) => globals,
    };
    let _why = because(
        parsed.as_ref().map_or(phrase!("say what is wrong with the command line"), |parsed| parsed.command.help),
    );
    let again = args.first() == Some(&sealed::NAME);
    let result = open_ledger(globals, again).and_then(|()| match parsed {
        Ok(parsed) => dispatch(&Context::new(parsed, args, env)),
        Err((_, error)) => Err(error.clone()),
    });
    result.unwrap_or_else(|error| {
        report(&error);
        error.exit_code()
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
        (None, None) => return Ok(()),
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

fn dispatch(context: &Context<'static>) -> Result<u8> {
    if context.parsed.globals.ram && !matches!(context.parsed.command.name, "help" | "version" | "syscalls") {
        context.check_ram()?;
    }
    match context.parsed.command.name {
        "run" => run::run(context),
        "create" => run::make_only(context),
        "start" => lifecycle::start(context),
        "stop" => lifecycle::stop(context),
        "restart" => lifecycle::restart(context),
        "kill" => lifecycle::kill(context),
        "wait" => Ok(lifecycle::wait(context)),
        "attach" => attach::attach(context),
        "exec" => exec::exec(context),
        "rename" => lifecycle::rename(context),
        "port" => lifecycle::port(context),
        "boot" => lifecycle::start_all(context),
        "ps" => ps::list(context),
        "inspect" => inspect::inspect(context),
        "stats" => stats::show(context),
        "top" => top::list(context),
        "pause" => Ok(pause::pause(context, true)),
        "unpause" => Ok(pause::pause(context, false)),
        "update" => update::update(context),
        "logs" => logs::logs(context),
        "rm" => rm::remove(context),
        "cp" => cp::copy(context),
        "diff" => files::diff(context),
        "export" => files::export(context),
        "commit" => commit::commit(context),
        "import" => images::import(context),
        "load" => load::load(context),
        "pull" => pull::pull(context),
        "images" => images::list(context),
        "tag" => images::tag(context),
        "history" => images::history(context),
        "rmi" => images::remove(context),
        "volume create" => volume::create(context),
        "volume ls" => volume::list(context),
        "volume inspect" => inspect::volumes(context),
        "volume rm" => volume::remove(context),
        "gc" => gc::collect(context),
        "info" => info::info(context),
        "syscalls" => syscalls::list(context),
        "version" => version::version(context),
        "help" => {
            print(&help::topic(&context.parsed.positionals)?)?;
            Ok(0)
        }
        name => Err(Error::new(say!("{} is not built in", name)).exit(EXIT_FAILURE)),
    }
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
