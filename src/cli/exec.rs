//! `vial exec`: a further process in a container that runs.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::options::process::{Process as Asked, Variable, Who};
use super::run::{lossy, option_file};
use super::{lifecycle, pause, sealed};
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::cli::options::files::parse_env_file;
use crate::container::launch::{Launch, Words};
use crate::container::plan::{self, Entered};
use crate::container::run::{self, Container, Running, Surroundings};
use crate::container::spec::Process;
use crate::container::state::{Condition, Seen};
use crate::container::user::Wanted;
use crate::container::{process, remains};
use crate::kernel::security::caps;
use crate::kernel::tty;
use crate::sys::{Fd, because, fd, file, poll, security};

/// Runs a command in a container; its exit code.
pub(super) fn exec(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let mut asked = Asked::default();
    for given in &parsed.flags {
        asked.set(given)?;
    }
    let (detach, tty, interactive) = (parsed.on(Id::Detach), parsed.on(Id::Tty), parsed.on(Id::Interactive));
    if tty && interactive && !detach && !tty::is_terminal(fd::STDIN) {
        return Err(Error::new(phrase!("--tty with --interactive needs a terminal, and standard input is none"))
            .hint(phrase!("leave out -t to pipe data in: vial exec -i ...")));
    }
    if tty && detach {
        return Err(Error::new(phrase!("--tty with --detach: nobody would hold the terminal's other end"))
            .hint(phrase!("leave out one of them; a detached container can have a terminal: vial run -dt ...")));
    }
    sealed::go_on(context)?;
    let variables = variables(&asked, tty)?;
    let name = parsed.word(0);
    let (_, _, seen) = lifecycle::look(context, name)?;
    if seen.condition == Condition::Paused {
        return Err(pause::unpause_first(name));
    }
    if seen.condition != Condition::Running {
        return Err(
            Error::new(say!("container {} does not run", name)).hint(say!("start it with: vial start {}", name))
        );
    }
    let (pid, then) = (seen.state.pid, seen.state.pid_start);
    join(context, &seen, &asked, &variables).map_err(|error| {
        // ESRCH: it has no namespaces any more, but is still there.
        let ended = error.is(Errno::ESRCH) || !process::is_alive(pid, then);
        if ended && error.exit_code() == EXIT_FAILURE {
            Error::new(say!("container {} has ended", name))
        } else {
            error
        }
    })
}

/// Joins a container that runs.
#[inline(never)]
fn join(
    context: &Context<'static>,
    seen: &Seen,
    asked: &Asked<'static>,
    variables: &[Variable<'static>],
) -> Result<u8> {
    let parsed = context.parsed;
    let (detach, tty) = (parsed.on(Id::Detach), parsed.on(Id::Tty));
    let (pid, then) = (seen.state.pid, seen.state.pid_start);
    let signals = poll::block_signals(run::watched_signals())?;
    // Held, so that it can't become another process; its number alone would not do.
    let held = process::hold(pid, then);
    let launch = Launch::read(seen.directory.by_ref())?;
    let mut words = Vec::new();
    for word in &parsed.positionals[1..] {
        words.push(file::path(word)?);
    }
    let args: Words = words.leak();
    let Some(process) = &mut launch.spec.process else {
        return Err(Error::new(phrase!("the container has no process")));
    };
    process.terminal = tty;
    process.args = lossy(args);
    if let Some(path) = asked.workdir {
        process.cwd = path;
    }
    if parsed.on(Id::Privileged) {
        grant_all(process)?;
    }
    let env = environment(context, variables, launch.env)?;
    let steps = plan::enter(
        launch.spec.process.as_ref().unwrap_or(&Process::default()),
        Entered { held: held.as_ref().map_or(-1, Fd::number), pid, then },
    )?;
    let mut group = remains::group_of(&seen.config()?)?;
    let running = loop {
        let container = Container {
            spec: launch.spec,
            steps,
            directory: seen.directory.by_ref(),
            namespaces: 0,
            pid_namespace: None,
            args,
            env,
            wanted: wanted(asked, launch.wanted),
            interactive: parsed.on(Id::Interactive) && !detach,
            init: false,
            group: Some(&group),
        };
        let surroundings = Surroundings { standard: [None; 3], stays: detach, signals };
        match run::start(&container, &surroundings, &mut |_| Ok(())) {
            Err(error) if error.is(Errno::EBUSY) && group.follow(pid) => {}
            result => break result?,
        }
    };
    if detach {
        return Ok(0);
    }
    let pid = running.pid;
    Ok(running.wait().inspect_err(|_| Running::kill(pid))?.code())
}

/// The user that was asked for, or the container's own.
fn wanted(asked: &Asked<'static>, own: Wanted<'static>) -> Wanted<'static> {
    let text = |who: &Who<'static>| match *who {
        Who::Id(number) => join!("{}", number),
        Who::Name(name) => name,
    };
    match &asked.user {
        Some(user) => Wanted { user: text(user), group: asked.group.as_ref().map_or("", text), further: &[] },
        None => own,
    }
}

/// The variables that were asked for.
fn variables(asked: &Asked<'static>, tty: bool) -> Result<Vec<Variable<'static>>> {
    let mut variables = Vec::new();
    if tty {
        variables.push(Variable { name: b"TERM", value: Some(b"xterm") });
    }
    for path in &asked.env_files {
        let _why = because!("read variables from a file (--env-file)");
        variables.extend(parse_env_file(path, option_file(path, "--env-file")?)?);
    }
    variables.extend_from_slice(&asked.env);
    Ok(variables)
}

/// The container's variables, and others in their place.
fn environment(context: &Context<'_>, variables: &[Variable<'static>], own: Words) -> Result<Words> {
    let mut lines = own.to_vec();
    for variable in variables {
        let is_same = |line: &&core::ffi::CStr| {
            line.to_bytes().strip_prefix(variable.name).is_some_and(|rest| rest.first() == Some(&b'='))
        };
        lines.retain(|line| !is_same(line));
        if let Some(value) = variable.value.or_else(|| context.variable(variable.name)) {
            lines.push(file::path([variable.name, b"=", value].concat())?);
        }
    }
    Ok(lines.leak())
}

/// All capabilities that there are to give.
fn grant_all(process: &mut Process) -> Result<()> {
    let granted = security::capget()?.permitted;
    let sets = process.capabilities.get_or_insert_default();
    let mut names = Vec::new();
    for number in 0..caps::COUNT {
        if let (true, Some(name)) = (granted & 1 << number != 0, caps::name(number)) {
            names.push(join!("CAP_{}", name));
        }
    }
    (sets.bounding, sets.effective, sets.permitted) = (names.clone(), names.clone(), names);
    Ok(())
}
