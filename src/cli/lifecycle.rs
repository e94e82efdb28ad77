//! What happens to containers between being made and being removed: `start`, `stop`, `restart`, `kill`, `wait`, `rename`,
//! `port`.

use alloc::boxed::Box;

use super::attach::{self, Manner};
use super::context::Context;
use super::flags::Id;
use super::parse::Parsed;
use super::pause;
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::json::Value;
use crate::base::signal;
use crate::base::text::{Quoted, decimal_i64, is_name};
use crate::container::bundle::{Bundle, Bundles, read_json};
use crate::container::launch;
use crate::container::monitor::{self, How, RESTARTING, STOPPED};
use crate::container::state::{Condition, PAUSED, Seen, State};
use crate::container::{process, remains};
use crate::sys::poll::{self, Waiting};
use crate::sys::{Fd, FdRef, because, file, net, process as kernel};

/// How often a container is stopped that is started again meanwhile.
const STOPS: u32 = 5;

/// Milliseconds between two looks at what another process is about to do.
const PAUSE: u32 = 2;
/// How many looks one waits for it.
const ROUNDS: u32 = 1000;

/// Finds a container and looks at it. One whose monitor was killed gets another.
pub(super) fn look(context: &Context<'_>, wanted: &str) -> Result<(FdRef<'static>, Bundles, Box<Seen>)> {
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let mut seen = Seen::look(&bundles, bundles.find(wanted)?)?.ok_or_else(|| gone(wanted))?;
    if let Some(problem) = seen.problem.take() {
        return Err(problem);
    }
    adopt(root, &bundles, &seen);
    Ok((root, bundles, seen))
}

/// What has become of a container since; `None` if it is gone.
fn look_again(bundles: &Bundles, seen: &Seen) -> Result<Option<Box<Seen>>> {
    Seen::look(bundles, (seen.id, seen.name))
}

fn gone(name: &str) -> Error {
    Error::new(say!("no such container: {}", name))
}

/// Makes a monitor for a container that runs without one.
pub(super) fn adopt(root: FdRef<'_>, bundles: &Bundles, seen: &Seen) {
    if !seen.orphan {
        return;
    }
    let adopted = match bundles.take(seen.id) {
        Ok(Some((directory, true))) => {
            let bundle = Bundle { id: seen.id, name: seen.name, directory };
            monitor::adopt(root, &bundle)
        }
        // Another command is doing so at this moment.
        Ok(Some((directory, false))) => {
            let _why = because!("wait until another command has made the container's new monitor");
            let mut rounds = 0;
            while rounds < ROUNDS
                && State::load(directory.by_ref()).is_ok_and(|state| state.is_some_and(|state| state.is_orphan()))
            {
                rounds += 1;
                kernel::sleep(PAUSE);
            }
            Ok(())
        }
        result => result.map(drop),
    };
    if let Err(error) = adopted {
        Context::warn(&[error]);
    }
}

/// Does something with each container that was named, going on after failures; prints each name when it is done.
fn each(context: &Context<'_>, act: &mut dyn FnMut(&str) -> Result<()>) -> u8 {
    super::each(&context.parsed.positionals, &mut |name| {
        act(name)?;
        super::print(&[name, "\n"].concat())
    })
}

/// `vial start`.
pub(super) fn start(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let (attached, interactive) = (parsed.on(Id::StartAttach), parsed.on(Id::StartInteractive));
    let mut manner = Manner::new(parsed, interactive)?;
    file::umask(0);
    if !attached && !interactive {
        return Ok(each(context, &mut |name| start_one(context, name, false).map(drop)));
    }
    if parsed.positionals.len() > 1 {
        return Err(Error::new(phrase!("you cannot start and attach multiple containers at once")));
    }
    let name = parsed.word(0);
    match start_one(context, name, true)? {
        Some((session, seen)) => {
            manner.tty = seen.state.tty;
            attach::follow(&session, &seen.directory, &manner)
        }
        None => attach::attach(context),
    }
}

/// Starts a container; the connection to its monitor, or nothing if it runs already.
fn start_one(context: &Context<'_>, name: &str, attach: bool) -> Result<Option<(Fd, Box<Seen>)>> {
    let (root, bundles, mut seen) = look(context, name)?;
    for _ in 0..ROUNDS {
        match seen.condition {
            Condition::Running | Condition::Restarting => return Ok(None),
            Condition::Paused => return Err(pause::unpause_first(name)),
            Condition::Dead => {
                return Err(Error::new(say!("container {} is dead: it was given up half-way", name))
                    .hint(say!("remove it with: vial rm {}", name)));
            }
            Condition::Created | Condition::Exited => {}
        }
        if let Some((directory, true)) = bundles.take(seen.id)? {
            for stale in [STOPPED, PAUSED] {
                let _ = file::unlink(directory.by_ref(), stale);
            }
            let bundle = Bundle { id: seen.id, name: seen.name, directory };
            let session = monitor::start(root, &bundle, &How { attach, signals: 0 })?;
            return Ok(Some((session, seen)));
        }
        // Somebody else starts it, has just ended it, or looks at it.
        kernel::sleep(PAUSE);
        seen = look_again(&bundles, &seen)?.ok_or_else(|| gone(name))?;
    }
    Err(Error::new(say!("container {} is being started or removed by another process", name)))
}

/// How to stop: with which signal, and how many seconds later to kill.
struct Stop {
    signal: Option<i32>,
    seconds: Option<i64>,
}

impl Stop {
    fn new(parsed: &Parsed<'_>) -> Result<Stop> {
        let signal = signal_of(parsed)?;
        let Some(given) = parsed.last(Id::StopTime) else { return Ok(Stop { signal, seconds: None }) };
        let seconds = decimal_i64(given.text()?).filter(|seconds| *seconds >= -1);
        given.check(
            seconds,
            phrase!("not a number of seconds"),
            phrase!("a whole number; -1 waits as long as it takes"),
        )?;
        Ok(Stop { signal, seconds })
    }
}

/// The signal that an option names.
fn signal_of(parsed: &Parsed<'_>) -> Result<Option<i32>> {
    let Some(given) = parsed.last(Id::Signal) else { return Ok(None) };
    let form = phrase!("a name or a number from 1 to 64, such as TERM, SIGUSR1, RTMIN+3 or 15");
    given.check(signal::parse(given.text()?), phrase!("no such signal"), form).map(|signal| Some(signal.into()))
}

/// `vial stop`.
pub(super) fn stop(context: &Context<'static>) -> Result<u8> {
    let how = Stop::new(context.parsed)?;
    Ok(each(context, &mut |name| stop_one(context, name, &how)))
}

/// Asks the workload to stop, kills it if it does not, and waits until its owner has cleaned up.
fn stop_one(context: &Context<'_>, name: &str, how: &Stop) -> Result<()> {
    let (_, bundles, mut seen) = look(context, name)?;
    let stops = seen.condition.is_running() || seen.condition == Condition::Restarting;
    let config = if stops { seen.config()? } else { return Ok(()) };
    let own = config.at(&["annotations", launch::STOP_SIGNAL]).and_then(Value::as_str);
    let signal = how.signal.or(own.and_then(signal::parse).map(i32::from));
    let seconds = how.seconds.unwrap_or_else(|| launch::patience(&config));
    // More than once if it is started again at the very moment.
    for _ in 0..STOPS {
        if !(seen.condition.is_running() || seen.condition == Condition::Restarting) {
            return Ok(());
        }
        let state = &seen.state;
        mark(&seen.directory, STOPPED)?;
        if seen.condition.is_running() {
            let _why = because!("ask the workload to stop, and kill it if it does not in time");
            process::signal(state.pid, state.pid_start, signal.unwrap_or(libc::SIGTERM))?;
            pause::let_go_on(&seen);
            if !ends(state, seconds)? {
                remains::kill(&config, seen.id, state)?;
            }
        } else {
            process::signal(state.owner, state.owner_start, libc::SIGTERM)?;
        }
        if settle(&bundles, seen.id)? {
            return Ok(());
        }
        let Some(again) = look_again(&bundles, &seen)? else { return Ok(()) };
        seen = again;
    }
    Err(Error::new(say!("container {} has ended, but the vial process that it belongs to does not", name))
        .hint(phrase!("is it stopped, or traced?")))
}

/// Makes a mark in a container's directory, unless that is gone.
pub(super) fn mark(directory: &Fd, name: &core::ffi::CStr) -> Result<()> {
    match file::create(directory.by_ref(), name, libc::O_WRONLY | libc::O_CREAT, 0o600) {
        Err(error) if !error.is(Errno::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Waits for the end of the first process, so many seconds; -1 is as long as it takes.
fn ends(state: &State, seconds: i64) -> Result<bool> {
    let Some(held) = process::hold(state.pid, state.pid_start) else {
        // Before Linux 5.3, or it has ended.
        let mut rounds = if seconds < 0 { i64::MAX } else { seconds * 100 };
        while process::is_alive(state.pid, state.pid_start) && rounds > 0 {
            rounds -= 1;
            kernel::sleep(10);
        }
        return Ok(rounds > 0);
    };
    let mut ready = [Waiting::readable(held.by_ref())];
    match u64::try_from(seconds) {
        Ok(seconds) => poll::poll_within(&mut ready, seconds.saturating_mul(1000))?,
        Err(_) => poll::poll(&mut ready)?,
    }
    Ok(ready[0].is_ready())
}

/// Waits until the process that owns a container lets go of it, but no longer than that should take; whether it has.
fn settle(bundles: &Bundles, id: &str) -> Result<bool> {
    let _why = because!("wait until the container's owner has cleaned up");
    for _ in 0..ROUNDS {
        if !bundles.look(id)?.is_some_and(|(_, owned)| owned) {
            return Ok(true);
        }
        kernel::sleep(PAUSE);
    }
    Ok(false)
}

/// `vial restart`.
pub(super) fn restart(context: &Context<'static>) -> Result<u8> {
    let how = Stop::new(context.parsed)?;
    file::umask(0);
    Ok(each(context, &mut |name| {
        let (_, _, seen) = look(context, name)?;
        mark(&seen.directory, RESTARTING)?;
        let result = stop_one(context, name, &how).and_then(|()| start_one(context, name, false).map(drop));
        let _ = file::unlink(seen.directory.by_ref(), RESTARTING);
        result
    }))
}

/// `vial kill`.
pub(super) fn kill(context: &Context<'static>) -> Result<u8> {
    let chosen = signal_of(context.parsed)?.unwrap_or(libc::SIGKILL);
    Ok(each(context, &mut |name| {
        let (_, bundles, seen) = look(context, name)?;
        let state = &seen.state;
        if chosen == libc::SIGKILL {
            mark(&seen.directory, STOPPED)?;
        }
        let sent = seen.condition.is_running() && process::signal(state.pid, state.pid_start, chosen)?;
        if sent && chosen == libc::SIGKILL {
            // v1's freezer keeps a process from dying.
            pause::let_go_on(&seen);
            // As docker's, so that what comes next finds it ended.
            settle(&bundles, seen.id)?;
        }
        if sent {
            return Ok(());
        }
        Err(Error::new(say!("cannot kill container {}: it does not run", name)))
    }))
}

/// `vial wait`: prints the exit codes.
pub(super) fn wait(context: &Context<'static>) -> u8 {
    super::each(&context.parsed.positionals, &mut |name| {
        let code = wait_one(context, name)?;
        super::print(&alloc::format!("{code}\n"))
    })
}

fn wait_one(context: &Context<'_>, name: &str) -> Result<u32> {
    let _why = because!("wait until the container has ended");
    let (_, bundles, seen) = look(context, name)?;
    match seen.condition {
        Condition::Running | Condition::Paused | Condition::Restarting => {}
        // Without a state it is being made, or being removed.
        Condition::Created if seen.state.created.is_empty() => return Err(gone(name)),
        Condition::Created => return Ok(0),
        _ => return Ok(seen.state.exit_code),
    }
    if let Ok(session) = attach::connect(&seen.directory, name) {
        let mut message = [0u8; 16];
        while let (length @ 1.., _) = net::receive(session.by_ref(), &mut message)? {
            if let [monitor::ENDED, code] = message[..length] {
                return Ok(code.into());
            }
        }
        // The monitor was killed; what is known now is what the next one writes down.
        return wait_one(context, seen.id);
    }
    // It runs in the foreground of another vial, which lets go of its directory at the end.
    ends(&seen.state, -1)?;
    while !settle(&bundles, seen.id)? {}
    match State::load(seen.directory.by_ref())? {
        Some(state) => Ok(state.exit_code),
        None => Err(Error::new(say!("container {} was removed, and its exit code with it", name))),
    }
}

/// `vial rename`.
pub(super) fn rename(context: &Context<'static>) -> Result<u8> {
    let (old, new) = (context.parsed.word(0), context.parsed.word(1));
    if !is_name(new) {
        return Err(Error::new(say!("invalid value {} for the new name: not a name", Quoted(new)))
            .hint(phrase!("accepted: letters, digits, _ . and -, beginning with a letter or digit, at most 128")));
    }
    let (_, bundles, seen) = look(context, old)?;
    if seen.name == new {
        return Err(Error::new(say!("container {} has this name already", old)));
    }
    bundles.rename(seen.id, seen.name, new)?;
    Ok(0)
}

/// Starts the containers whose policy says so, as when the machine starts.
pub(super) fn start_all(context: &Context<'static>) -> Result<u8> {
    file::umask(0);
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let mut code = 0;
    for &container in bundles.list()? {
        let Some(seen) = Seen::look(&bundles, container)? else { continue };
        adopt(root, &bundles, &seen);
        if seen.condition != Condition::Exited || !wants_start(&seen) {
            continue;
        }
        match start_one(context, seen.id, false) {
            Ok(_) => super::print(&[seen.name, "\n"].concat())?,
            Err(error) => {
                super::report(&error);
                code = EXIT_FAILURE;
            }
        }
    }
    Ok(code)
}

/// Whether a container that does not run is one that runs whenever the machine does.
fn wants_start(seen: &Seen) -> bool {
    let config = read_json(seen.directory.by_ref(), c"config.json").ok().flatten();
    let policy = config.as_ref().and_then(|config| config.at(&["annotations", launch::RESTART])?.as_str());
    match policy.and_then(monitor::Policy::parse) {
        Some(monitor::Policy::Always) => true,
        Some(monitor::Policy::UnlessStopped) => !file::exists(seen.directory.by_ref(), STOPPED),
        // What ended with the machine has failed, be it that nobody saw its end, or that it took its end for a failure.
        Some(policy @ monitor::Policy::OnFailure(_)) => {
            let state = &seen.state;
            state.finished.is_empty()
                || (policy.starts_again(state.exit_code as u8, state.restarts)
                    && !file::exists(seen.directory.by_ref(), STOPPED))
        }
        _ => false,
    }
}
