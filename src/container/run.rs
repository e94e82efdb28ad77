//! The process that the user started: prepares, clones the container's first process, waits for it, and cleans up.

use core::ffi::CStr;

use super::act::{CREATED, ERROR, GO, HEIR, MEET, NAMESPACE, READY, TERMINAL};
use super::child::{self, Job};
use super::confine::{LISTENER, WARNING};
use super::hooks::{self, Stage};
use super::plan::Step;
use super::relay;
use super::spec::{Hooks, Spec};
use super::user::Wanted;
use super::{audit, life, notify};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::kernel::cgroup::Group;
use crate::sys::fd::{self, CWD, Fd, FdRef};
use crate::sys::ledger::{self, Role};
use crate::sys::poll::{self, Signals, Waiting};
use crate::sys::process::{self, Ended, Side};
use crate::sys::uapi::WindowSize;
use crate::sys::{because, file, net, terminal};

/// A process to run: a container's first one, or a further one in a container that runs.
pub struct Container<'a> {
    /// The specification.
    pub spec: &'a Spec,
    /// What it does before it becomes the workload.
    pub steps: &'a [Step],
    /// The directory where relative paths start.
    pub directory: FdRef<'a>,
    /// `CLONE_NEW*` of the namespaces that are made for it.
    pub namespaces: i32,
    /// The PID namespace that it is made in, if not in a new one or vial's.
    pub pid_namespace: Option<&'static CStr>,
    /// The program and its arguments.
    pub args: &'a [&'a CStr],
    /// The environment.
    pub env: &'a [&'a CStr],
    /// Who the workload is to be, where the specification's number does not say it.
    pub wanted: Wanted<'a>,
    /// Whether standard input is the caller's.
    pub interactive: bool,
    /// Whether vial stays as the container's init.
    pub init: bool,
    /// The control group, made already.
    pub group: Option<&'a Group>,
    /// Whether whoever connects it needs its network namespace in hand.
    pub shows_network: bool,
    /// What engines ask for that use vial as their runtime.
    pub engine: Engine<'a>,
}

/// What engines ask for that use vial as their runtime.
#[derive(Clone, Copy, Default)]
pub struct Engine<'a> {
    /// The socket at which the first process waits to be started; without one it starts at once.
    pub listener: Option<FdRef<'a>>,
    /// How many of vial's own files behind the standard ones the workload gets.
    pub files: u32,
    /// Whether the workload keeps vial's session keyring.
    pub same_keyring: bool,
    /// Whether the workload is the user and has the groups that the specification has by number, whatever the image says.
    pub exact: bool,
    /// The hooks, and what they are told of the container, but for its process.
    pub hooks: Option<(&'a Hooks, &'a Value)>,
    /// Who takes note of the workload's calls.
    pub recorder: Option<audit::Recorder<'a>>,
    /// Has the process followed that makes this one, or becomes it, before that does anything.
    pub follow: Option<&'a dyn Fn(u32) -> Result<()>>,
}

/// What the workload gets of the process that starts it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Standard files; where there is none, the caller's own.
    pub standard: [Option<FdRef<'a>>; 3],
    /// Whether the workload goes on when the process that started it is killed.
    pub stays: bool,
    /// The signal mask that vial was started with.
    pub signals: Signals,
}

/// Signals that stop the kernel from waiting, or that tell of mistakes of vial's own: never blocked.
const NEVER_BLOCKED: Signals = poll::bit(libc::SIGKILL)
    | poll::bit(libc::SIGSTOP)
    | poll::bit(libc::SIGTSTP)
    | poll::bit(libc::SIGTTIN)
    | poll::bit(libc::SIGTTOU)
    | poll::bit(libc::SIGSEGV)
    | poll::bit(libc::SIGBUS)
    | poll::bit(libc::SIGILL)
    | poll::bit(libc::SIGFPE);

/// A container whose workload has been executed.
pub struct Running {
    /// The first process, as the host sees it.
    pub pid: u32,
    /// The other side of the workload's terminal.
    pub master: Option<Fd>,
    interactive: bool,
}

/// Starts the container; returns when the workload has been executed, or why it was not. What is to stay is executed only
/// after `note` has written down which process it is. If it is to be connected to networks, `connect` does so meanwhile.
///
/// # Errors
/// Whatever failed, in whichever process; nothing of the container runs any more then.
#[inline(never)]
pub fn start(
    container: &Container<'_>,
    surroundings: &Surroundings<'_>,
    connect: Option<&mut Connect<'_>>,
    note: &mut dyn FnMut(u32) -> Result<()>,
) -> Result<Running> {
    let process =
        container.spec.process.as_ref().ok_or_else(|| Error::new(phrase!("process: the specification has none")))?;
    let asked = process.console_size.as_ref().map(|size| WindowSize {
        rows: size.height as u16,
        columns: size.width as u16,
        ..WindowSize::default()
    });
    let size = if process.terminal { asked.or_else(|| terminal::size(fd::STDIN).ok()) } else { None };
    // The others are going to be made by a process in the user namespace, so that they belong to it.
    let users = container.namespaces & libc::CLONE_NEWUSER != 0;
    let namespaces = if users { libc::CLONE_NEWNS } else { container.namespaces };
    let mut job = Job {
        steps: container.steps,
        group: container.group,
        born_in_v2: false,
        namespaces: namespaces & !libc::CLONE_NEWCGROUP,
        own_cgroup_namespace: namespaces & libc::CLONE_NEWCGROUP != 0,
        args: container.args,
        env: container.env,
        wanted: container.wanted,
        default_user: (process.user.uid, process.user.gid),
        groups: &process.user.additional_gids,
        umask: process.user.umask.unwrap_or(0o022),
        interactive: container.interactive,
        init: container.init,
        size,
        surroundings: *surroundings,
        waits: surroundings.stays || connect.is_some(),
        shows_network: container.shows_network,
        engine: container.engine,
    };
    {
        // The clone's current directory is in its own copy of the mounts; an open directory would stay in the host's.
        let _why = because!("go to the container's directory, where relative paths start");
        file::fchdir(container.directory)?;
    }
    if let Some(path) = container.pid_namespace {
        // It holds for the processes that this one clones.
        let _why = because!("have the container's processes made in the PID namespace that it shares");
        process::setns(file::open(CWD, path, libc::O_RDONLY)?.by_ref(), libc::CLONE_NEWPID)?;
    }
    let (here, there) = {
        let _why = because!("make the channel on which the container's first process reports");
        net::socket_pair()?
    };
    let side = clone(&mut job)?;
    let mut pid = match side {
        Side::Child => {
            // Only so does a message to a vial that was killed before fail.
            drop(here);
            child::run(&job, &there)
        }
        Side::Parent(pid) => pid,
    };
    drop(there);
    if let Some(follow) = container.engine.follow {
        let followed = follow(pid).and_then(|()| net::send(here.by_ref(), &[GO], None));
        followed.inspect_err(|_| Running::kill(pid))?;
    }
    let mut namespace = None;
    if users {
        pid = await_heir(pid, &here)?;
    }
    if container.shows_network {
        namespace = Some(await_namespace(pid, &here, container)?);
    }
    if let Some(connect) = connect
        && let Err(error) = connect(pid, namespace.as_ref())
    {
        // That process may have ended before, and has said why then.
        let mut said = [Waiting::readable(here.by_ref())];
        let ended = error.is(Errno::ENOENT) && poll::poll_now(&mut said).is_ok() && said[0].is_ready();
        let _ = process::kill(pid, libc::SIGKILL);
        let reported = await_execution(pid, &here, container).err().filter(|_| ended);
        return Err(reported.unwrap_or(error));
    }
    if surroundings.stays {
        note(pid).inspect_err(|_| Running::kill(pid))?;
    }
    let mut talk = Talk::new(pid, &here, container);
    if child::meets(job.steps) && talk.listen(MEET)? {
        talk.meet().inspect_err(|_| Running::kill(pid))?;
    }
    if job.waits
        && let Err(error) = net::send(here.by_ref(), &[GO], None)
    {
        // If that process has ended it has said why; else it would wait for ever.
        let gone = error.is(Errno::EPIPE) || error.is(Errno::ECONNRESET);
        let _ = process::kill(pid, libc::SIGKILL);
        return Err(talk.conclude().err().filter(|_| gone).unwrap_or(error));
    }
    let is_created = container.engine.listener.is_some() && talk.listen(CREATED)?;
    let (pid, master) = if is_created { (talk.pid, talk.master) } else { talk.conclude()? };
    Ok(Running { pid, master, interactive: container.interactive })
}

/// Makes the first process: in its control group at once where v2 can (Linux 5.7), since moving it there takes milliseconds.
fn clone(job: &mut Job<'_>) -> Result<Side> {
    let _why = because!("make the container's first process, in namespaces of its own");
    let group = job.group.filter(|_| child::early(job.steps) == 0);
    if let Some(directory) = group.map(Group::open_for_clone).transpose()?.flatten() {
        job.born_in_v2 = true;
        match process::clone_into(directory.by_ref(), job.namespaces, Role::Container) {
            Err(error) if [Errno::ENOSYS, Errno::E2BIG, Errno::EINVAL, Errno::EPERM].contains(&error.errno()) => {}
            result => return result,
        }
        job.born_in_v2 = false;
    }
    process::clone(job.namespaces, Role::Container).map_err(|error| {
        if !error.is(Errno::EPERM) {
            return error;
        }
        error.hint(phrase!(
            "root without CAP_SYS_ADMIN, or a sandbox's filter: vial in a container wants that one to be run with --privileged"
        ))
    })
}

/// Waits for the first process's network namespace.
#[inline(never)]
fn await_namespace(pid: u32, channel: &Fd, container: &Container<'_>) -> Result<Fd> {
    let _why = because!("wait for the network namespace that is to be connected");
    let mut message = alloc::vec![0u8; 8 << 10];
    let (length, file) = net::receive(channel.by_ref(), &mut message)?;
    match (message[..length].split_first(), file) {
        (Some((&NAMESPACE, _)), Some(file)) => return Ok(file),
        (Some((&ERROR, wire)), _) => {
            process::wait(Some(pid), true)?;
            return Err(Error::decode(wire).unwrap_or_else(|| died("failed")));
        }
        _ => {}
    }
    Err(await_execution(pid, channel, container).err().unwrap_or_else(|| died("failed")))
}

/// Connects the first process, whose network namespace may be in hand.
pub type Connect<'a> = dyn FnMut(u32, Option<&Fd>) -> Result<()> + 'a;

/// Waits until another process has taken the first one's place; which that is.
#[inline(never)]
fn await_heir(pid: u32, channel: &Fd) -> Result<u32> {
    let _why = because!("wait until the container's first process is in its user namespace, or says why not");
    let mut message = alloc::vec![0u8; 8 << 10];
    let length = net::receive(channel.by_ref(), &mut message)?.0;
    process::wait(Some(pid), true)?;
    match message[..length].split_first() {
        Some((&HEIR, &[a, b, c, d])) => Ok(u32::from_le_bytes([a, b, c, d])),
        Some((&ERROR, wire)) => Err(Error::decode(wire).unwrap_or_else(|| died("failed"))),
        _ => Err(died("ended")),
    }
}

/// The error of a first process that ended without saying why.
#[cold]
fn died(how: &str) -> Error {
    Error::new(say!("the container's process {} before it became the workload", how))
        .hint(phrase!("too little memory (--memory), or somebody killed it or the container"))
}

/// What is heard from the first process.
struct Talk<'a> {
    channel: &'a Fd,
    container: &'a Container<'a>,
    /// Which process is going to be the workload.
    pid: u32,
    master: Option<Fd>,
    ready: bool,
    failed: Option<Error>,
}

/// Waits until the channel ends; see [`Talk::conclude`].
fn await_execution(pid: u32, channel: &Fd, container: &Container<'_>) -> Result<(u32, Option<Fd>)> {
    Talk::new(pid, channel, container).conclude()
}

impl<'a> Talk<'a> {
    fn new(pid: u32, channel: &'a Fd, container: &'a Container<'a>) -> Talk<'a> {
        Talk { channel, container, pid, master: None, ready: false, failed: None }
    }

    /// Listens until a message of this kind, or until the channel ends; whether there was one.
    #[inline(never)]
    fn listen(&mut self, until: u8) -> Result<bool> {
        let mut message = alloc::vec![0u8; 8 << 10];
        loop {
            let (length, file) = net::receive(self.channel.by_ref(), &mut message)?;
            match message[..length].split_first() {
                None => return Ok(false),
                Some((&kind, _)) if kind == until => return Ok(true),
                Some((&TERMINAL, _)) => self.master = file,
                Some((&READY, _)) => self.ready = true,
                Some((&WARNING, wire)) => Error::decode(wire).iter().for_each(|warning| life::warn(warning)),
                Some((&LISTENER, _)) => {
                    let container = self.container;
                    let handed = match container.engine.recorder {
                        Some(recorder) => audit::hand_over(recorder, file),
                        None => notify::hand_over(container.spec, container.directory, self.pid, file),
                    };
                    handed.inspect_err(|_| Running::kill(self.pid))?;
                }
                Some((&HEIR, &[a, b, c, d])) => {
                    process::wait(Some(self.pid), true)?;
                    self.pid = u32::from_le_bytes([a, b, c, d]);
                }
                // The heir's may come before it is known; all have let go of the channel in the end.
                Some((&ERROR, wire)) => {
                    let unknown = || Error::new(phrase!("the container's first process failed"));
                    self.failed = Some(Error::decode(wire).unwrap_or_else(unknown));
                }
                Some(_) => {}
            }
        }
    }

    /// Runs the hooks that are for this side, while the first process waits with all mounts made and the host's root in reach.
    fn meet(&mut self) -> Result<()> {
        hooks::run(self.container.engine.hooks, &[Stage::Prestart, Stage::CreateRuntime], self.pid)?;
        let [a, b, c, d] = self.pid.to_le_bytes();
        net::send(self.channel.by_ref(), &[GO, a, b, c, d], None)
    }

    /// Waits until the channel ends, which execve(2) does; takes the terminal or the error that comes before. Also tells which
    /// process is the workload.
    #[inline(never)]
    fn conclude(mut self) -> Result<(u32, Option<Fd>)> {
        let _why = because!("wait until the container's first process has become the workload, or says why not");
        self.listen(0)?;
        if let Some(error) = self.failed {
            process::wait(Some(self.pid), true)?;
            return Err(error);
        }
        if self.ready {
            ledger::executed();
            return Ok((self.pid, self.master));
        }
        // The channel also ends when the process dies without a word.
        let ended = process::wait(Some(self.pid), true)?.map(|waited| waited.ended);
        let how = match ended {
            Some(Ended::Killed(signal)) => alloc::format!("was killed by {}", crate::base::signal::name(signal)),
            _ => "ended".into(),
        };
        Err(died(&how))
    }
}

impl Running {
    /// Passes signals and, with a terminal, input and output on until the workload has ended. `group` is that of a first process.
    ///
    /// # Errors
    /// What the kernel refuses; the workload may still run then.
    pub fn wait(self, group: Option<&Group>) -> Result<Ended> {
        let _why = because!("wait for the workload, and pass on what comes for it");
        let signals = poll::signalfd(watched_signals())?;
        ledger::print_done();
        if let Some(master) = self.master {
            return relay::run(self.pid, group, master, &signals, self.interactive);
        }
        loop {
            super::process::poll(&mut [Waiting::readable(signals.by_ref())], self.pid, group)?;
            match poll::next_signal(signals.by_ref())? {
                libc::SIGCHLD => {
                    if let Some(waited) = process::wait(Some(self.pid), false)? {
                        return Ok(waited.ended);
                    }
                }
                signal => {
                    let _ = process::kill(self.pid, signal);
                }
            }
            ledger::relieve();
        }
    }

    /// Kills the workload and waits for its end: for the case that it can't be waited for in an orderly way.
    pub fn kill(pid: u32) {
        let _why = because!("kill the workload, which can't be waited for");
        let _ = process::kill(pid, libc::SIGKILL);
        let _ = process::wait(Some(pid), true);
    }
}

/// The signals that are read as a file: all that can be blocked and that somebody may send.
#[must_use]
pub fn watched_signals() -> Signals {
    !NEVER_BLOCKED
}
