//! The container's first process: everything between clone and the workload.

use core::ffi::CStr;

use super::act::{Actor, CREATED, ERROR, GO, HEIR, READY};
use super::confine::{self, confine};
use super::hooks::{self, Stage};
use super::init;
use super::plan::{Action, Confinement, Entered, Rare, Step};
use super::readback;
use super::run::{Engine, Surroundings};
use super::user::Wanted;
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::sort::sort;
use crate::kernel::cgroup::Group;
use crate::kernel::mounts;
use crate::sys::fd::{self, CWD, Fd};
use crate::sys::ledger::{self, Role};
use crate::sys::process::{self, Side, Strings};
use crate::sys::uapi::WindowSize;
use crate::sys::{because, file, net, poll, security, terminal};

/// All that the first process needs to know.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that the user asked for or not")]
pub struct Job<'a> {
    /// The plan.
    pub steps: &'a [Step],
    /// The control group to join.
    pub group: Option<&'a Group>,
    /// Whether the process was cloned into its v2 group.
    pub born_in_v2: bool,
    /// `CLONE_NEW*` of the namespaces that it is cloned into.
    pub namespaces: i32,
    /// Whether the container has its own cgroup namespace.
    pub own_cgroup_namespace: bool,
    /// The program and its arguments.
    pub args: &'a [&'a CStr],
    /// The environment; `HOME` is added.
    pub env: &'a [&'a CStr],
    /// Who the workload is to be.
    pub wanted: Wanted<'a>,
    /// The specification's user and group.
    pub default_user: (u32, u32),
    /// The specification's supplementary groups.
    pub groups: &'a [u32],
    /// The workload's umask.
    pub umask: u32,
    /// Whether standard input is the caller's; otherwise it is empty.
    pub interactive: bool,
    /// Whether vial stays as the first process and the workload becomes its child.
    pub init: bool,
    /// The size of the user's terminal.
    pub size: Option<WindowSize>,
    /// What the workload gets of the process that starts it.
    pub surroundings: Surroundings<'a>,
    /// Whether that process says when the workload may be executed.
    pub waits: bool,
    /// Whether that process wants the network namespace in hand.
    pub shows_network: bool,
    /// What an engine asks for.
    pub engine: Engine<'a>,
}

/// Does everything; never returns to the caller's code.
pub fn run(job: &Job<'_>, channel: &Fd) -> ! {
    let mut starter = None;
    let Err(error) = prepare(job, channel, &mut starter);
    let code = error.exit_code();
    let mut message = alloc::vec![ERROR];
    message.extend(error.encode());
    let _why = because!("tell vial what failed");
    let _ = net::send(starter.as_ref().unwrap_or(channel).by_ref(), &message, None);
    process::exit(code)
}

/// Ends with vial from now on, and has none of its files but those that are meant for it.
fn part(job: &Job<'_>, channel: &Fd, users: Option<&Fd>) -> Result<()> {
    let _why = because!("end with vial, and keep its open files from the workload");
    process::prctl_die_with_parent(libc::SIGKILL)?;
    if !weak!("dumpable") {
        process::prctl_not_dumpable()?;
    }
    if !weak!("session") {
        process::setsid()?;
    }
    if !job.engine.same_keyring {
        security::keyctl_join_session_keyring()?;
    }
    file::umask(0);
    for (file, place) in job.surroundings.standard.iter().zip([fd::STDIN, fd::STDOUT, fd::STDERR]) {
        if let Some(file) = file {
            file::put_in_place(*file, place)?;
        }
    }
    // Not only on execve: until then a path such as /proc/self/fd/7/../bin/sh would lead out (CVE-2024-21626).
    let held = entered(job).map(|container| container.held).or(users.map(Fd::number));
    if !weak!("fds") {
        let listener = job.engine.listener.map_or(-1, fd::FdRef::number);
        close_all_but(job.engine.files, [channel.number(), held.unwrap_or(-1), listener])?;
    }
    Ok(())
}

#[inline(never)]
fn prepare(job: &Job<'_>, channel: &Fd, starter: &mut Option<Fd>) -> Result<core::convert::Infallible> {
    if job.engine.follow.is_some() {
        let _why = because!("wait until another process of vial's follows this one");
        net::receive(channel.by_ref(), &mut [0; 8])?;
    }
    let mut actor = Actor::new(job.wanted, channel);
    actor.engine = job.engine;
    actor.shows_network = job.shows_network;
    // With a user namespace of its own it is another process that has the network's.
    if job.shows_network && !job.steps.iter().any(|step| matches!(step.action, Action::Users { .. })) {
        actor.show_network()?;
    }
    let is_open = |step: &&Step| matches!(step.action, Action::OomScore { .. } | Action::Users { .. });
    let open = job.steps.iter().take_while(is_open).count();
    let (open, steps) = job.steps.split_at(open);
    actor.perform(open)?;
    part(job, channel, actor.users.as_ref())?;
    // While it is the host that says what it is; on one without /proc nothing is told.
    actor.open_status()?;
    actor.default_user = job.default_user;
    actor.groups = job.groups;
    actor.size = job.size;
    let (early, late) = steps.split_at(early(steps));
    actor.perform(early)?;
    if let Some(group) = job.group {
        let _why = because!("join the container's control group, before anything of it runs");
        group.join_self(job.born_in_v2)?;
        if job.own_cgroup_namespace {
            process::unshare(libc::CLONE_NEWCGROUP)?;
        }
    }
    actor.perform(late)?;
    if let Some(status) = actor.status.take() {
        // A file of the host's, which the container's processes are not to find.
        readback::check(&status, &actor.rights, &actor.identity)?;
    }
    let _why = because!("become the workload");
    let stays = job.surroundings.stays;
    if !job.interactive && !is_console(job) {
        let all = stays && job.surroundings.standard[1].is_none();
        take_null_device(&[fd::STDIN, fd::STDOUT, fd::STDERR][..if all { 3 } else { 1 }])?;
    }
    // A change of user takes the tie to the parent away, prctl(2).
    process::prctl_die_with_parent(libc::SIGKILL)?;
    file::umask(job.umask);
    if job.waits {
        // Until vial has written down whose process this is, and has connected it, they end together.
        let mut message = [0u8; 1];
        if net::receive(channel.by_ref(), &mut message)?.0 == 0 {
            process::exit(EXIT_FAILURE);
        }
    }
    if stays {
        process::prctl_die_with_parent(0)?;
    }
    let mut confinement = confine::wanted(job.steps);
    if let Some(container) = entered(job) {
        drop(Fd::from_number(container.held));
        if let Some(what) = confinement.take_if(|what| confine::temporary(what) != 0) {
            confine(what, channel)?;
            confine::lower(what).map_err(confine::hint)?;
        }
        // Only now, with no more rights than the workload, is a process where the container's processes can see it. It takes
        // this one's place with the parent.
        // ENOMEM also says that process 1 has ended, pid_namespaces(7).
        let side = process::clone(libc::CLONE_PARENT, Role::Workload)
            .map_err(|error| error.hint(phrase!("memory is short (--memory, --pids-limit), or the container ends")))?;
        if let Side::Parent(pid) = side {
            let [a, b, c, d] = pid.to_le_bytes();
            net::send(channel.by_ref(), &[HEIR, a, b, c, d], None)?;
            process::exit(0);
        }
        if !stays {
            process::prctl_die_with_parent(libc::SIGKILL)?;
        }
        process::setsid()?;
        if is_console(job) {
            terminal::make_controlling(fd::STDIN)?;
        }
    }
    if job.init {
        if let Side::Parent(pid) = process::clone(0, Role::Workload)? {
            if let Some(what) = confinement {
                confine::confine_for_good(what, channel)?;
            }
            init::run(pid);
        }
        process::prctl_die_with_parent(libc::SIGKILL)?;
    }
    let mut channel = channel;
    if let Some(listener) = job.engine.listener {
        find_program(job)?;
        net::send(channel.by_ref(), &[CREATED], None)?;
        channel = starter.insert(await_start(listener)?);
        hooks::run(job.engine.hooks, &[Stage::StartContainer], actor.outer_pid)?;
    }
    net::send(channel.by_ref(), &[READY], None)?;
    Err(execute(job, actor.identity.home, confinement, channel))
}

/// Waits until the container is to be started; the connection to who starts it. One that ends without a word starts nothing.
fn await_start(listener: fd::FdRef<'_>) -> Result<Fd> {
    let _why = because!("wait until the container is started");
    loop {
        let starter = net::accept(listener)?;
        let mut message = [0u8; 1];
        if net::receive(starter.by_ref(), &mut message).is_ok_and(|(length, _)| length > 0 && message == [GO]) {
            return Ok(starter);
        }
    }
}

/// Finds what is going to be executed, so that a container without its program is not made.
fn find_program(job: &Job<'_>) -> Result<()> {
    let Some(program) = job.args.first() else { return Ok(()) };
    let check = |path: &CStr| match file::may_execute(path) {
        Ok(())
            if file::stat_follow(CWD, path).is_ok_and(|stat| u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR) =>
        {
            Err(Errno::EACCES)
        }
        Ok(()) => Ok(()),
        Err(error) => Err(error.errno()),
    };
    let (refused, searched) = search(job, program, &mut |path| check(path).err());
    match refused {
        Some((path, errno)) => Err(failure(program, path, errno, searched)),
        None => Ok(()),
    }
}

/// How many steps come before the control group is joined: up to the last that needs a device that its members may not have.
pub(super) fn early(steps: &[Step]) -> usize {
    let is_early = |step: &Step| match step.action {
        Action::Image { .. } => true,
        // On which processors it is to be when it joins.
        Action::Rare(rare) => matches!(rare, Rare::Processors { early: true, .. }),
        _ => false,
    };
    steps.iter().rposition(is_early).map_or(0, |last| last + 1)
}

fn is_console(job: &Job<'_>) -> bool {
    job.steps.iter().any(|step| matches!(step.action, Action::Console { .. }))
}

/// Whether there are hooks to be run half-way.
pub(super) fn meets(steps: &[Step]) -> bool {
    steps.iter().any(|step| step.action == Action::Hooks)
}

/// The container whose namespaces are entered, if it is there already.
fn entered(job: &Job<'_>) -> Option<Entered> {
    job.steps.iter().find_map(|step| match step.action {
        Action::Enter { container, .. } => Some(container),
        _ => None,
    })
}

/// Makes the container's null device these standard files. What is there may be the container's doing.
fn take_null_device(places: &[fd::FdRef<'_>]) -> Result<()> {
    let null = mounts::null_device(if places.len() > 1 { libc::O_RDWR } else { libc::O_RDONLY })?;
    places.iter().try_for_each(|place| file::put_in_place(null.by_ref(), *place))
}

/// Closes every open file but the standard ones, so many behind them, and these others.
fn close_all_but(files: u32, mut others: [i32; 3]) -> Result<()> {
    let mut first = 3 + files as i32;
    let from = first;
    sort(&mut others, |one, other| one < other);
    for kept in others.into_iter().chain([i32::MAX]) {
        if kept > first {
            match file::close_range(first, kept - 1) {
                Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EPERM) => {
                    // Before Linux 5.9.
                    return file::each_open(&mut |number| {
                        if number >= from && !others.contains(&number) {
                            drop(Fd::from_number(number));
                        }
                        Ok(())
                    });
                }
                result => result?,
            }
        }
        first = first.max(kept.saturating_add(1));
    }
    Ok(())
}

/// Executes the workload; returns why that failed.
#[inline(never)]
fn execute(job: &Job<'_>, home: &str, confinement: Option<&Confinement>, channel: &Fd) -> Error {
    let mut env = job.env.to_vec();
    if !env.iter().any(|variable| variable.to_bytes().starts_with(b"HOME=")) {
        env.extend(file::path(join!("HOME={}", home)));
    }
    let env = Strings::new(&env);
    let args = Strings::new(job.args);
    let Some(program) = job.args.first() else {
        return Error::new(phrase!("the container has no command")).hint(phrase!("give one after the image"));
    };
    // Engines ignore some themselves, which is none of the workload's business.
    let signals = if job.engine.exact { poll::default_signals() } else { Ok(()) };
    if let Err(error) = signals.and_then(|()| poll::block_signals(job.surroundings.signals)) {
        return error;
    }
    if let Some(Err(error)) = confinement.map(|what| confine(what, channel)) {
        return error;
    }
    let (refused, searched) = search(job, program, &mut |path| Some(process::execve(path, &args, &env)));
    let (path, errno) = refused.unwrap_or((program, Errno::ENOENT));
    failure(program, path, errno, searched)
}

/// Tries the places where a program may be, until an attempt does not fail, which ends in nothing; else the file that stands for the
/// others, why it failed, and where was searched if it is nowhere.
#[inline(never)]
fn search<'a>(
    job: &Job<'_>,
    program: &'a CStr,
    attempt: &mut dyn FnMut(&CStr) -> Option<Errno>,
) -> (Option<(&'a CStr, Errno)>, &'static str) {
    if program.to_bytes().contains(&b'/') {
        return (attempt(program).map(|errno| (program, errno)), "");
    }
    let path = job.env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH=")).unwrap_or_default();
    let mut refused: Option<(&CStr, Errno)> = None;
    for directory in path.split(|byte| *byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let Ok(candidate) = file::path([directory, b"/", program.to_bytes()].concat()) else { continue };
        match attempt(candidate) {
            None => return (None, ""),
            Some(Errno::ENOENT) if file::stat(CWD, candidate).is_err() => {}
            Some(Errno::ENOTDIR) => {}
            Some(errno) => refused = refused.or(Some((candidate, errno))),
        }
    }
    match refused {
        Some(_) => (refused, ""),
        None => (Some((program, Errno::ENOENT)), keep::lossy(path)),
    }
}

/// The error of a command that can't be executed, told apart by errno; execve(2).
fn failure(program: &CStr, path: &CStr, errno: Errno, searched: &str) -> Error {
    let found = searched.is_empty() && file::stat(CWD, path).is_ok();
    let error = Error::os(errno, phrase!("execute"), path.to_string_lossy()).because(ledger::reason());
    match errno {
        Errno::ENOENT if found => {
            error.exit(EXIT_NOT_EXECUTABLE).hint(phrase!("the file is there, but the interpreter or loader that it names is not"))
        }
        Errno::ENOENT if searched.is_empty() => error.exit(EXIT_NOT_FOUND).hint(phrase!("there is no such file in the image")),
        Errno::ENOENT => Error::os(errno, phrase!("find the command"), program.to_string_lossy())
            .because(ledger::reason())
            .exit(EXIT_NOT_FOUND)
            .hint(say!("it is in none of the directories of PATH: {}", searched)),
        Errno::ENOTDIR => error.exit(EXIT_NOT_FOUND).hint(phrase!("a part of the path is no directory")),
        Errno::EACCES => error.exit(EXIT_NOT_EXECUTABLE).hint(access_hint(path)),
        Errno::ENOEXEC => error.exit(EXIT_NOT_EXECUTABLE).hint(
            phrase!("it is neither a program for this processor nor a script that begins with #!; start a script with: sh SCRIPT"),
        ),
        _ => error.exit(EXIT_NOT_EXECUTABLE),
    }
}

fn access_hint(path: &CStr) -> Phrase {
    match file::stat_follow(CWD, path) {
        Ok(stat) if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR => phrase!("it is a directory"),
        Ok(stat) if u32::from(stat.mode) & 0o111 == 0 => {
            phrase!("the file is not executable; chmod +x in the image makes it so")
        }
        _ => phrase!("the workload's user may not execute it, or it lies on a mount with noexec"),
    }
}
