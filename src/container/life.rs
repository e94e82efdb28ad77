//! One run of a container by the process that owns it: from the control group to what is left when the workload has ended.

use alloc::boxed::Box;
use core::fmt::Display;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use super::audit;
use super::bundle::{Bundles, Durable};
use super::connect::{self, Whose};
use super::control::Control;
use super::labels;
use super::launch::{self, Launch};
use super::plan::{self, Setting, Step};
use super::process;
use super::ranges;
use super::remains;
use super::run::{self, Connect, Container, Engine, Running, Surroundings};
use super::spec::Mount;
use super::state::{State, Status};
use super::user_network;
use super::volume::Volumes;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep::Kept;
use crate::base::text::{Cut, human_binary_size};
use crate::kernel::cgroup::Hits;
use crate::sys::cold::Gate;
use crate::sys::fd::{self, Fd, FdRef};
use crate::sys::process::Ended;
use crate::sys::{because, file, process as kernel, users};

/// Who follows a workload.
pub trait Follower {
    /// Is told which process is going to be it, while that waits: the container's directory, and what the process does before.
    ///
    /// # Errors
    /// It can't be followed.
    fn begins(&self, directory: FdRef<'_>, steps: &[Step], pid: u32) -> Result<()>;

    /// Is told that it has ended, before its control group goes: whether memory ran out, and what its limits have done.
    fn ended(&self, directory: FdRef<'_>, oom_killed: bool, hits: Hits);
}

/// A container and all that its owner has in hand.
pub struct Life<'a> {
    /// The directory of all state.
    pub root: FdRef<'a>,
    /// The containers.
    pub bundles: &'a Bundles,
    /// The container's ID.
    pub id: &'a str,
    /// Its name, if it is known.
    pub name: &'a str,
    /// Its directory, locked.
    pub directory: &'a Fd,
    /// What it is.
    pub launch: &'a mut Launch,
    /// What became of it.
    pub state: Kept<Box<State>>,
    /// Its control group, once it is made.
    pub control: Option<Control>,
    /// Who takes note of its workload's calls.
    pub recorder: Option<audit::Recorder<'a>>,
    /// Who is told of its first process while that waits, before it is the workload.
    pub follower: Option<&'a dyn Follower>,
}

/// This moment, as states hold it.
#[must_use]
pub fn now() -> &'static str {
    kernel::clock(libc::CLOCK_REALTIME).rfc3339()
}

/// Says what could not be had but need not stop anything.
pub fn warn(warning: &dyn Display) {
    let _ = file::write_all(fd::STDERR, alloc::format!("vial: warning: {warning}\n").as_bytes());
    note("warning", warning);
}

/// What is said when the kernel has killed a process since memory ran out, with the limit in bytes if there is one.
#[must_use]
pub fn out_of_memory(limit: Option<u64>) -> &'static str {
    let Some(limit) = limit else { return "killed: out of memory" };
    let size = human_binary_size(limit);
    // As people write limits: `64M`.
    say!("killed: out of memory (limit {})", size.strip_suffix("iB").unwrap_or(&size))
}

/// The file that engines read errors and warnings in, shifted by one bit for whether they stand there as JSON; 0 without one.
static LOG: AtomicU32 = AtomicU32::new(0);

/// Writes errors and warnings to a file too, for as long as this process lives.
pub fn log_to(file: FdRef<'_>, json: bool) {
    LOG.store(file.number() as u32 * 2 + u32::from(json), Relaxed);
}

/// Adds a line to a log.
type Add = fn(u32, &'static str, &dyn Display) -> Result<()>;

static COLD_GATE_OCI_LOG: Gate<Add> = Gate(add_to_log);

/// Adds a line to an engine's log, if there is one.
pub fn note(level: &'static str, what: &dyn Display) {
    let log = LOG.load(Relaxed);
    if log != 0 {
        // Nobody else is left to be told that this fails.
        let _ = COLD_GATE_OCI_LOG.open().and_then(|add| add(log, level, what));
    }
}

/// The line is as logrus writes it, which engines have a reader for.
fn add_to_log(log: u32, level: &'static str, what: &dyn Display) -> Result<()> {
    let _why = because!("tell the engine what went wrong (--log)");
    let mut line = Value::Null;
    line.text("level", level);
    line.text("msg", join!("{}", what));
    line.text("time", now());
    let line = if log & 1 == 1 {
        join!("{}\n", line.to_compact())
    } else {
        join!("time=\"{}\" level={} msg={}\n", now(), level, Value::from(join!("{}", what)).to_compact())
    };
    file::write_all(FdRef::from_number((log >> 1) as i32), line.as_bytes())
}

impl Life<'_> {
    /// Makes what the container needs and starts it; returns when the workload has been executed.
    ///
    /// # Errors
    /// Whatever failed; nothing of the container runs any more then, but its control group may be there.
    #[inline(never)]
    pub fn start(&mut self, surroundings: &Surroundings<'_>) -> Result<Running> {
        self.launch.find_shared(self.bundles)?;
        if let Some(warning) = labels::apply(self.launch.spec)? {
            warn(&warning);
        }
        let fills = self.launch.make_volumes(self.root)?;
        let best_effort = !self.launch.annotation(launch::BEST_EFFORT).is_empty();
        // Who may make control groups in there is to find all controllers.
        let is_open = |mount: &Mount| mount.destination == "/sys/fs/cgroup" && !mount.options.contains(&"ro");
        let everywhere = self.launch.spec.mounts.iter().any(is_open);
        let create = if everywhere { Control::create_everywhere } else { Control::create };
        let control = self.control.insert(create(self.launch.spec, best_effort)?);
        for warning in &control.warnings {
            warn(warning);
        }
        let shifted = !self.launch.annotation(launch::SHIFTED).is_empty();
        let spec = &*self.launch.spec;
        let setting = Setting {
            root: self.launch.root(self.state.remove),
            cgroups: control.mounts(),
            fills,
            confined: users::is_confined(),
            shifted,
            hooks: false,
        };
        let (namespaces, pid_namespace) = plan::made_by_clone(spec)?;
        let steps = match self.recorder {
            Some(recorder) => audit::watch(plan::plan(spec, &setting)?, recorder)?,
            None => plan::plan(spec, &setting)?,
        };
        let (follower, directory) = (self.follower, self.directory);
        let follow = |pid| follower.map_or(Ok(()), |follower| follower.begins(directory.by_ref(), steps, pid));
        let container = Container {
            spec,
            steps,
            directory: self.directory.by_ref(),
            namespaces,
            pid_namespace,
            args: self.launch.args,
            env: self.launch.env,
            wanted: self.launch.wanted,
            interactive: !self.launch.annotation(launch::INPUT).is_empty(),
            init: !self.launch.annotation(launch::INIT).is_empty(),
            group: control.group.as_ref(),
            shows_network: user_network::is_wanted(spec),
            engine: Engine {
                recorder: self.recorder,
                follow: self.follower.is_some().then_some(&follow),
                ..Engine::default()
            },
        };
        let state = &mut self.state;
        let whose = Whose { root: self.root, directory: directory.by_ref(), id: self.id, name: self.name, spec };
        let mut connect = |pid: u32, _: Option<&Fd>| {
            for note in &connect::connect(&whose, pid)? {
                warn(note);
            }
            Ok(())
        };
        let mut by_program =
            |pid: u32, namespace: Option<&Fd>| user_network::connect(spec, directory.by_ref(), pid, namespace);
        let connect: Option<&mut Connect<'_>> = if connect::is_wanted(spec) {
            Some(&mut connect)
        } else if user_network::is_wanted(spec) {
            Some(&mut by_program)
        } else {
            None
        };
        let mut note = |pid| {
            // Should vial be killed now, this tells whom to look for.
            let _why = because!("write down which process is going to be the workload");
            note_process(state, pid);
            state.write(directory.by_ref(), Durable::Not)
        };
        let running = run::start(&container, surroundings, connect, &mut note)?;
        self.control.iter().for_each(Control::joined);
        let noted = self.note_start(&running);
        noted.inspect_err(|_| Running::kill(running.pid))?;
        Ok(running)
    }

    fn note_start(&mut self, running: &Running) -> Result<()> {
        let _why = because!("write down that the container runs");
        note_process(&mut self.state, running.pid);
        let state = &mut self.state;
        (state.status, state.started, state.exit_code, state.oom_killed) = (Status::Running, now(), 0, false);
        state.finished = "";
        state.error = "";
        self.state.save(self.directory.by_ref())
    }

    /// Removes the container with all that belongs to it.
    ///
    /// # Errors
    /// The first removal that fails: what tells of the rest stays, so that `vial gc` finds it.
    pub fn discard(&self) -> Result<()> {
        for volume in launch::annotation(self.launch.spec, remains::VOLUMES).parts(b',').filter(|name| !name.is_empty())
        {
            Volumes::open(self.root)?.remove(volume, self.bundles, self.id)?;
        }
        ranges::release_of(self.root, self.launch.spec, self.id)?;
        self.bundles.remove(self.id, self.name)
    }
}

/// Notes the first process and its owner.
fn note_process(state: &mut State, pid: u32) {
    if state.pid != pid {
        (state.pid, state.pid_start) = (pid, process::began(pid));
        state.owner = kernel::getpid();
        state.owner_start = process::began(state.owner);
    }
}

/// The exit code for a workload that ended so; 255 if nobody can tell.
#[must_use]
pub fn code(ended: Option<Ended>) -> u8 {
    ended.map_or(255, Ended::code)
}
