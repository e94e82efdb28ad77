//! The monitor: the process that stays with a detached container, as its parent and the owner of its directory.
//!
//! There is one for each container. It is made by the command that starts the container, tells that command when the workload
//! has been executed or why not, and then executes vial anew, so that none of the memory that starting took stays with it. It
//! keeps the other ends of the workload's pipes or terminal, writes the log, serves those that are attached, and when the
//! workload ends writes that down and takes down what was put up. It has given up all rights that this does not need, so that
//! it can't start the workload again. Where a policy may want that, the monitor has a [`keeper`] above it, and nothing else.
//!
//! A workload outlives its monitor. Whichever command meets a container that runs without one makes another ([`adopt`]),
//! which finds the pipes where the workload has them. A terminal is lost with its monitor, as when a line hangs up.

mod anew;
pub mod clients;
pub mod confine;
mod handover;
mod keeper;
mod policy;
mod watch;

use alloc::vec::Vec;
use core::ffi::CStr;

use super::act::{ERROR, READY};
use super::bundle::{Bundle, Bundles};
use super::launch::{self, Launch};
use super::life::{self, Life};
use super::log::{LogOptions, write::Log};
use super::remains::{self, With};
use super::run::{self, Surroundings};
use super::state::{State, Status};
use super::{disconnect, publish};
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::json::Value;
use crate::kernel::cgroup::Hits;
use crate::kernel::users;
use crate::network::sweeper;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::ledger::{self, Role};
use crate::sys::poll::{self, Signals};
use crate::sys::process::{self, Side};
use crate::sys::{because, file, net};

pub use anew::become_one;
pub use clients::{ATTACH, CLOSE, ENDED, INPUT, INPUT_CHUNK, OUTPUT, SIZE, size_message};
use clients::{Client, Queue};
use handover::Handover;
use keeper::Keeper;
pub use policy::Policy;

/// The monitor's socket in the container's directory.
pub const SOCKET: &str = "attach";
/// The mark in a container's directory that the user stopped it: its policy does not start it again.
pub const STOPPED: &CStr = c"stopped";
/// The mark that it is about to be started again.
pub const RESTARTING: &CStr = c"restarting";

/// How often a monitor tries to tell that a container runs.
const TRIES: u32 = 3;

/// How a container is started.
#[derive(Clone, Copy)]
pub struct How {
    /// Whether the caller gets what the workload writes, from its first byte on.
    pub attach: bool,
    /// The signal mask that vial was started with.
    pub signals: Signals,
}

/// All that a monitor has.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Monitor {
    root: Fd,
    directory: Fd,
    id: &'static str,
    /// Standard output and standard error; the first is the terminal if there is one.
    outputs: [Option<Fd>; 2],
    input: Option<Fd>,
    listener: Option<Fd>,
    clients: Vec<Client>,
    /// What not all of them have taken.
    queue: Queue,
    /// The first process.
    pid: u32,
    /// Whether it is this process's child; otherwise it was adopted.
    is_parent: bool,
    /// Whether input ends with the first who is attached to it.
    once: bool,
    /// Whether the workload has a terminal.
    tty: bool,
    /// Whether the monitor was told to end the container.
    told: bool,
    /// When it is killed, on the monotonic clock in milliseconds.
    deadline: u64,
    /// How many workloads before this one ended soon after they were started: the next start waits for it.
    failures: u8,
    /// What outlives this monitor, if the workload may be started again.
    handover: Option<Handover>,
    /// How the log is kept.
    log_options: LogOptions,
    /// The log, while there is something to be written to it.
    log: Option<Log>,
    /// Interfaces that are to go by themselves.
    links: Vec<&'static str>,
    /// What the container's limits had done when it ended.
    hits: Hits,
}

/// Starts a container whose directory the caller has locked; returns when its workload has been executed, with a connection
/// to its monitor.
///
/// # Errors
/// Why the workload was not executed; nothing of the container runs then.
pub fn start(root: FdRef<'_>, bundle: &Bundle, how: &How) -> Result<Fd> {
    make(root, bundle, Some(how))
}

/// Makes a monitor for a container that runs without one, and whose directory the caller has locked.
///
/// # Errors
/// It can't be made.
pub fn adopt(root: FdRef<'_>, bundle: &Bundle) -> Result<()> {
    let _why = because!("give a container whose monitor was killed another one");
    make(root, bundle, None).map(drop)
}

/// Makes the process and waits for its word. Without `how` the container runs already.
fn make(root: FdRef<'_>, bundle: &Bundle, how: Option<&How>) -> Result<Fd> {
    let (here, there) = {
        let _why = because!("make the channel on which the container's monitor reports");
        net::socket_pair()?
    };
    let side = {
        let _why = because!("make the process that stays with the container, its monitor");
        process::clone(0, Role::Monitor)?
    };
    if let Side::Child = side {
        drop(here);
        let _why = because!("be on one's own: in a session without a terminal");
        // Before there is a workload, whose end would be missed.
        let apart = process::setsid().and_then(|()| poll::block_signals(run::watched_signals()));
        // Standard files are going to be replaced, and may be closed now.
        let high = |file: FdRef<'_>| match file.number() {
            0..3 => file::duplicate(file),
            number => Ok(Fd::from_number(number)),
        };
        let (Ok(root), Ok(directory), Ok(channel)) =
            (high(root), high(bundle.directory.by_ref()), high(there.by_ref()))
        else {
            process::exit(EXIT_FAILURE);
        };
        if let Err(error) = apart {
            Monitor::report(Err(error), &channel);
        }
        users::stay_too(root.by_ref());
        let keeper = Keeper {
            root,
            directory,
            id: bundle.id,
            channel: Some(channel),
            attach: how.is_some_and(|how| how.attach),
            signals: how.map_or(0, |how| how.signals),
            handover: None,
            monitor: 0,
        };
        keeper.begin(how.is_none());
    }
    drop(there);
    let _why = because!("wait until the container's workload has been executed, or its monitor says why not");
    let mut message = alloc::vec![0u8; 8 << 10];
    let length = net::receive(here.by_ref(), &mut message)?.0;
    match message[..length].split_first() {
        Some((&READY, _)) => {
            ledger::executed();
            Ok(here)
        }
        Some((&ERROR, wire)) => Err(Error::decode(wire).unwrap_or_else(killed)),
        _ => Err(killed()),
    }
}

fn killed() -> Error {
    Error::new(phrase!("the container's monitor ended before the workload was executed"))
        .hint(phrase!("vial gc removes what is left"))
}

impl Monitor {
    /// One that has nothing in hand yet.
    #[inline(never)]
    fn new(root: Fd, directory: Fd, id: &'static str, handover: Option<Handover>) -> Monitor {
        Monitor {
            root,
            directory,
            id,
            outputs: [None, None],
            input: None,
            listener: None,
            clients: Vec::new(),
            queue: Queue::new(),
            pid: 0,
            is_parent: true,
            once: false,
            tty: false,
            told: false,
            deadline: u64::MAX,
            failures: 0,
            handover,
            log_options: LogOptions::default(),
            log: None,
            links: Vec::new(),
            hits: Hits::default(),
        }
    }

    /// Tells the command that made this process; ends it if there is nothing to stay with.
    fn report(result: Result<()>, channel: &Fd) {
        let _why = because!("tell the command that started the container");
        match result {
            Ok(()) => {
                // The container runs, and the command would say that it does not. Should that be gone, nobody is told.
                let mut tries = TRIES;
                while tries > 0 && net::send(channel.by_ref(), &[READY], None).is_err() {
                    tries -= 1;
                }
            }
            Err(error) => {
                let mut message = alloc::vec![ERROR];
                message.extend(error.encode());
                let _ = net::send(channel.by_ref(), &message, None);
                process::exit(0);
            }
        }
    }

    /// Starts the container, `again` if that is its policy and no command wants it, and keeps the other ends of its standard
    /// files.
    #[inline(never)]
    fn launch(&mut self, launch: Result<Launch>, again: bool, signals: Signals) -> Result<()> {
        self.listen();
        let bundles = Bundles::open(self.root.by_ref())?;
        let mut launch = launch?;
        let mut state = State::load(self.directory.by_ref())?.unwrap_or_default();
        self.log_options = launch.log;
        // It is there when the command that starts the container has ended, and whether it can be is known.
        self.log = Log::open(self.directory.by_ref(), &self.log_options)?;
        self.tty = launch.terminal();
        let input = launch.annotation(launch::INPUT);
        self.once = input == "once";
        state.pipes.clear();
        if state.remove && !state.started.is_empty() {
            // The kernel refuses a volatile overlay a second time: the machine may have crashed meanwhile. It has not.
            let _ = file::remove_tree(self.directory.by_ref(), c"work/work/incompat");
        }
        if !again {
            state.restarts = 0;
        }
        let mut theirs: [Option<Fd>; 3] = [None, None, None];
        if !self.tty {
            let _why = because!("make the pipes between the workload and its monitor");
            if !input.is_empty() {
                let (read, write) = file::pipe()?;
                file::never_wait(write.by_ref())?;
                (theirs[0], self.input) = (Some(read), Some(write));
            }
            for (place, output) in self.outputs.iter_mut().enumerate() {
                let (read, write) = file::pipe()?;
                state.pipes.push(file::stat(read.by_ref(), c"")?.ino);
                // Also open for reading, so that writing to it does not fail while a killed monitor is being replaced.
                let both = file::path(join!("/proc/self/fd/{}", write.number()))?;
                theirs[place + 1] = Some(file::open(CWD, both, libc::O_RDWR).unwrap_or(write));
                *output = Some(read);
            }
        }
        let mut life = Life {
            root: self.root.by_ref(),
            bundles: &bundles,
            id: self.id,
            name: "",
            directory: &self.directory,
            launch: &mut launch,
            state,
            control: None,
            recorder: None,
            follower: None,
        };
        let standard = [0, 1, 2].map(|place| theirs[place].as_ref().map(Fd::by_ref));
        match life.start(&Surroundings { standard, stays: true, signals }) {
            Ok(running) => {
                self.pid = running.pid;
                self.is_parent = true;
                if let Some(master) = running.master {
                    file::never_wait(master.by_ref())?;
                    self.input = if input.is_empty() { None } else { Some(file::duplicate(master.by_ref())?) };
                    self.outputs[0] = Some(master);
                }
                Ok(())
            }
            Err(error) => {
                if let Some(control) = &life.control {
                    let _ = control.remove();
                }
                let _ = disconnect::release(life.root, life.id);
                (life.state.pid, life.state.pid_start) = (0, 0);
                life.state.error = join!("{}", error);
                life.state.exit_code = error.exit_code().into();
                let _ = life.state.save(self.directory.by_ref());
                Err(error)
            }
        }
    }

    /// Finds what the killed monitor had.
    fn take_over(&mut self, launch: Result<Launch>) -> Result<()> {
        self.listen();
        let mut state = State::load(self.directory.by_ref())?.unwrap_or_default();
        // If that is damaged, the container is adopted all the same.
        self.log_options = launch.map(|launch| launch.log).unwrap_or_default();
        self.pid = state.pid;
        self.is_parent = false;
        for (place, inode) in state.pipes.iter().enumerate().take(2) {
            self.outputs[place] = find_pipe(state.pid, *inode);
        }
        // Another program may have taken a port meanwhile; the container runs all the same.
        let _ = publish::resume(self.root.by_ref(), self.directory.by_ref());
        state.owner = process::getpid();
        state.owner_start = super::process::began(state.owner);
        if state.status != Status::Running {
            // The monitor was killed when the workload had just been executed.
            (state.status, state.started) = (Status::Running, life::now());
        }
        state.save(self.directory.by_ref())
    }

    /// Opens the socket that others attach to. A container can do without, where there is no `/proc`.
    fn listen(&mut self) {
        if self.listener.is_none() {
            let _why = because!("make the socket at which others attach to the container");
            let _ = file::unlink(self.directory.by_ref(), c"attach");
            self.listener = net::listen_at(self.directory.by_ref(), SOCKET).ok();
        }
    }

    /// Watches the container until its workload has ended; and ends with it.
    fn live(mut self) -> ! {
        let _ = process::prctl_not_dumpable();
        confine::confine();
        let ended = self.watch();
        let end = self.finish(ended);
        self.conclude(end)
    }

    /// Ends, with a code that says what comes next; see [`Keeper`].
    fn conclude(&mut self, end: Option<u8>) -> ! {
        if let Some(code) = end {
            self.say_end(code);
        }
        self.pause();
        if self.is_stopped() {
            let code = self.give_up();
            self.say_end(code);
        }
        self.hand_over();
        sweeper::sweep(&self.links);
        process::exit((self.failures + 1).min(policy::MOST_CODE))
    }

    /// Whether the user, or whoever told the monitor to end, wants no restart.
    fn is_stopped(&self) -> bool {
        self.told || file::exists(self.directory.by_ref(), STOPPED)
    }

    /// Takes down what was put up for a workload that has ended; the exit code if that is not to be started again.
    fn finish(&mut self, ended: Option<process::Ended>) -> Option<u8> {
        let _why = because!("take down what was put up for the container");
        let config = remains::config(self.directory.by_ref(), self.id);
        let oom_killed = remains::was_oom_killed(&config, self.id);
        self.hits = remains::hits(&config, self.id);
        let _ = remains::remove_group(&config, self.id, None, false);
        self.links = disconnect::release(self.root.by_ref(), self.id).unwrap_or_default();
        self.drain();
        self.end_with(life::code(ended), oom_killed)
    }

    /// Writes down how the workload ended; the exit code if it is not to be started again.
    fn end_with(&mut self, code: u8, oom_killed: bool) -> Option<u8> {
        let directory = self.directory.by_ref();
        let config = remains::config(directory, self.id);
        let mut state = State::load(directory).ok().flatten().unwrap_or_default();
        let policy = config.at(&["annotations", launch::RESTART]).and_then(Value::as_str);
        let policy = policy.and_then(Policy::parse).unwrap_or(Policy::No);
        let again = !self.is_stopped() && policy.starts_again(code, state.restarts);
        if policy::ran_long(state.pid_start) {
            self.failures = 0;
        }
        state.note_hits(self.hits);
        state.end(code, oom_killed, if again { Status::Restarting } else { Status::Exited });
        state.restarts += u32::from(again);
        let _ = state.save(directory);
        if again {
            return None;
        }
        let _ = file::unlink(directory, c"attach");
        if state.remove && !file::exists(directory, RESTARTING) {
            self.discard(&state, &config);
        }
        Some(code)
    }

    /// Writes down that another start, which was about to come, does not come; the last exit code.
    fn give_up(&mut self) -> u8 {
        let directory = self.directory.by_ref();
        let mut code = 0;
        if let Ok(Some(mut state)) = State::load(directory) {
            state.status = Status::Exited;
            code = state.exit_code as u8;
            let _ = state.save(directory);
        }
        let _ = file::unlink(directory, c"attach");
        code
    }

    fn discard(&self, state: &State, config: &Value) {
        let _why = because!("remove the container, as was asked for (--rm)");
        let with = With { config: Some(config), state: Some(state), volumes: !state.keep_volumes };
        let discard =
            || remains::discard(self.root.by_ref(), &Bundles::open(self.root.by_ref())?, (self.id, ""), &with);
        let _ = discard();
    }
}

/// Opens the reading end of a pipe that a process has as standard output or standard error. Whatever else it may have there
/// is left alone.
fn find_pipe(pid: u32, inode: u64) -> Option<Fd> {
    for number in [1, 2] {
        let path = file::path(join!("/proc/{}/fd/{}", pid, number)).ok()?;
        let stat = file::stat_follow(CWD, path).ok()?;
        if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFIFO && stat.ino == inode {
            let opened = file::open(CWD, path, libc::O_RDONLY | libc::O_NONBLOCK).ok()?;
            return file::stat(opened.by_ref(), c"").is_ok_and(|stat| stat.ino == inode).then_some(opened);
        }
    }
    None
}
