//! A further process in a container.

use super::create::{hand_over_terminal, write_pid};
use super::{Held, Status};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::container::launch::Launch;
use crate::container::plan::{self, Entered};
use crate::container::process;
use crate::container::run::{self, Container, Engine, Running, Surroundings};
use crate::container::spec::Process;
use crate::container::user::Wanted;
use crate::sys::Fd;
use crate::sys::poll::Signals;

/// How a process is to be executed in a container.
pub struct Visit<'a> {
    /// The process.
    pub process: Process,
    /// The file that gets its number.
    pub pid_file: Option<&'a str>,
    /// The socket that gets the other side of its terminal.
    pub console: Option<&'a str>,
    /// Whether vial does not stay.
    pub detached: bool,
    /// How many of vial's own files behind the standard ones it gets.
    pub files: u32,
    /// Whether a paused container is no reason to stop: it waits there.
    pub ignores_pause: bool,
    /// The signal mask that vial was started with.
    pub signals: Signals,
}

/// Executes a process in a container.
///
/// # Errors
/// Whatever failed.
pub fn exec(held: &Held, visit: Visit<'_>) -> Result<Running> {
    match held.status() {
        Status::Running | Status::Created => {}
        Status::Paused if visit.ignores_pause => {}
        Status::Paused => return Err(Error::new(say!("container {} is paused", held.id))),
        status => return Err(Error::new(say!("container not running: {} is {}", held.id, status.name()))),
    }
    crate::container::check::check_process(&visit.process, "process.")?;
    if visit.process.terminal && visit.detached && visit.console.is_none() {
        return Err(Error::new(phrase!("a terminal: nobody would have its other side"))
            .hint(phrase!("--console-socket PATH names the socket that gets it")));
    }
    let (pid, then) = (held.state.pid, held.state.pid_start);
    let launch = held.launch()?;
    let entered = Entered { held: process::hold(pid, then).map_or(-1, Fd::leak), pid, then };
    let steps = plan::enter(launch.spec, &visit.process, entered)?;
    launch.spec.process = Some(visit.process);
    let Launch { spec, args, env, .. } = Launch::new(launch.spec)?;
    let spec = &*spec;
    let mut group = held.find_group()?;
    let running = loop {
        let container = Container {
            spec,
            steps,
            directory: held.directory.by_ref(),
            namespaces: 0,
            pid_namespace: None,
            args,
            env,
            wanted: Wanted::default(),
            interactive: true,
            init: false,
            group: group.as_ref(),
            shows_network: false,
            engine: Engine { files: visit.files, exact: true, ..Engine::default() },
        };
        let surroundings = Surroundings { standard: [None; 3], stays: visit.detached, signals: visit.signals };
        match run::start(&container, &surroundings, None, &mut |_| Ok(())) {
            Err(error) if error.is(Errno::EBUSY) && group.as_mut().is_some_and(|group| group.follow(pid)) => {}
            result => break result?,
        }
    };
    let finish = || -> Result<()> {
        if let (Some(master), Some(console)) = (&running.master, visit.console) {
            hand_over_terminal(console, master)?;
        }
        visit.pid_file.map_or(Ok(()), |path| write_pid(path, running.pid))
    };
    finish().inspect_err(|_| Running::kill(running.pid))?;
    Ok(running)
}
