//! `vial exec`: a further process in a container that runs.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::context::Context;
use super::flags::Id;
use super::options::RunOptions;
use super::options::process::Variable;
use super::run::{Environment, grant, lossy, variables, wanted};
use super::{lifecycle, pause, sealed};
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::keep::Kept;
use crate::container::launch::{Launch, Words};
use crate::container::life::Follower;
use crate::container::plan::{self, Entered};
use crate::container::run::{self, Container, Engine, Running, Surroundings};
use crate::container::state::{Condition, Seen};
use crate::container::user::Wanted;
use crate::container::{process, remains};
use crate::kernel::tty;
use crate::sys::{Fd, fd, file, poll, security};

/// Runs a command in a container; its exit code.
pub(super) fn exec(context: &Context<'static>) -> Result<u8> {
    followed(context, None)
}

/// Likewise, with somebody who is told of its process before it is executed.
pub(super) fn followed(context: &Context<'static>, follower: Option<&dyn Follower>) -> Result<u8> {
    let parsed = context.parsed;
    RunOptions::new(parsed).read()?;
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
    let variables = variables(parsed)?;
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
    join(context, &seen, variables, follower).map_err(|error| {
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
    variables: &[Variable<'static>],
    follower: Option<&dyn Follower>,
) -> Result<u8> {
    let parsed = context.parsed;
    let (detach, tty) = (parsed.on(Id::Detach), parsed.on(Id::Tty));
    let (pid, then) = (seen.state.pid, seen.state.pid_start);
    let signals = poll::block_signals(run::watched_signals())?;
    // Held, so that it can't become another process; its number alone would not do.
    let held = process::hold(pid, then).map_or(-1, Fd::leak);
    let launch = Launch::read(seen.directory.by_ref())?;
    let mut words = Kept::new(Vec::new());
    for word in &parsed.positionals[1..] {
        words.push(file::path(word)?);
    }
    let args: Words = words.into_inner().leak();
    let Some(mut process) = launch.spec.process.take() else {
        return Err(Error::new(phrase!("the container has no process")));
    };
    process.terminal = tty;
    process.args = lossy(args);
    let workdir = parsed.text(Id::Workdir);
    if !workdir.is_empty() {
        process.cwd = workdir;
    }
    if parsed.on(Id::Privileged) {
        grant(&mut process, security::capget()?.permitted);
        (process.apparmor_profile, process.selinux_label) = (None, None);
    }
    let tty: &[&CStr] = if tty { &[c"TERM=xterm"] } else { &[] };
    let mut env = Environment::of(&mut launch.env.iter().chain(tty).map(|line| line.to_bytes()));
    env.change(context, variables);
    let env = env.lines();
    let steps = plan::enter(launch.spec, &process, Entered { held, pid, then })?;
    launch.spec.process = Some(process);
    let mut group = remains::group_of(&seen.config()?)?;
    // Another user has groups of its own.
    let own = if parsed.last(Id::User).is_none() { launch.wanted } else { Wanted::default() };
    let follow = |pid| follower.map_or(Ok(()), |follower| follower.begins(seen.directory.by_ref(), steps, pid));
    let running = loop {
        let container = Container {
            spec: launch.spec,
            steps,
            directory: seen.directory.by_ref(),
            namespaces: 0,
            pid_namespace: None,
            args,
            env,
            wanted: wanted(parsed, own),
            interactive: parsed.on(Id::Interactive) && !detach,
            init: false,
            group: Some(&group),
            shows_network: false,
            engine: Engine { follow: follower.is_some().then_some(&follow), ..Engine::default() },
        };
        let surroundings = Surroundings { standard: [None; 3], stays: detach, signals };
        match run::start(&container, &surroundings, None, &mut |_| Ok(())) {
            Err(error) if error.is(Errno::EBUSY) && group.follow(pid) => {}
            result => break result?,
        }
    };
    if detach {
        return Ok(0);
    }
    let pid = running.pid;
    let code = running.wait(None).inspect_err(|_| Running::kill(pid))?.code();
    if let Some(follower) = follower {
        let resources = launch.spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
        let hits = resources.map(|resources| group.hits(&resources.0)).unwrap_or_default();
        let killed = code == 128 + libc::SIGKILL as u8 && group.was_oom_killed().unwrap_or(false);
        follower.ended(seen.directory.by_ref(), killed, hits);
    }
    Ok(code)
}
