//! `vial run` and `vial create`: options and image to a specification and a bundle; and a whole life in the foreground.

mod changed;
mod confined;
mod environment;

mod ids;
mod image;
mod record;
mod rights;
mod sources;
mod specification;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Write;

pub(super) use changed::{again, with};
pub(super) use environment::{Environment, variables};
use image::Found;
pub(super) use rights::{grant, profile};
use sources::Sources;
use specification::Parts;
pub(super) use specification::devices;

use super::context::Context;
use super::flags::Id;
use super::lifecycle::mark;
use super::options::RunOptions;
use super::options::namespaces::{NETWORKED, PRIVATE, USER};
use super::parse::Parsed;
use super::pull;
use super::sealed;
use super::{attach, images};
use crate::base::error::{Error, Result};
use crate::base::keep::{self, Kept, text};
use crate::base::phrase::Phrase;
use crate::base::text::{Cut, size, uid};
use crate::container::bundle::{Bundle, Bundles, Durable};
use crate::container::control::Control;
use crate::container::disconnect;
use crate::container::launch::{self, Launch, Words};
use crate::container::life::{self, Life};
use crate::container::monitor;
use crate::container::plan::{self, Setting};
use crate::container::process;
use crate::container::ranges;
use crate::container::remains::{self, With};
use crate::container::root;
use crate::container::run::{self, Surroundings};
use crate::container::spec::Spec;
use crate::container::state::{State, Status};
use crate::container::user::Wanted;
use crate::container::user_network;
use crate::image::land::full;
use crate::network::{DEFAULT, Networks, sweeper};
use crate::storage;
use crate::sys::cold::Gate;
use crate::sys::poll;
use crate::sys::process::Ended;
use crate::sys::{Fd, FdRef, because, fd, file, terminal, users};

/// What `run` was asked for.
pub(super) type Options = &'static RunOptions<'static>;

/// Reads what was asked for.
pub(super) fn read(context: &Context<'static>) -> Result<Options> {
    let is_user = context.user_root.is_some();
    let network = match context.variable(b"VIAL_NETWORK") {
        None | Some(b"") if is_user => match user_network::found()? {
            "" => DEFAULT,
            program => program,
        },
        None | Some(b"") => DEFAULT,
        Some(word) => keep::lossy(word),
    };
    let options = RunOptions::from_parsed(context.parsed, network)?;
    if is_user && options.is(Id::Network, NETWORKED) {
        return Err(Error::new(phrase!("vial's networks need root")).hint(phrase!(
            "accepted for a normal user: --network none or host, and pasta (package passt) or slirp4netns if that is installed"
        )));
    }
    if let (false, (USER, program)) = (is_user, options.mode(Id::Network)) {
        return Err(Error::new(say!("--network {} is for normal users", program))
            .hint(phrase!("root's containers are on networks of vial's: vial network ls")));
    }
    Ok(options)
}

/// Runs a container and cleans up behind it, or leaves it to its monitor.
pub(super) fn run(context: &Context<'static>) -> Result<u8> {
    let options = read(context)?;
    let parsed = context.parsed;
    let detach = parsed.on(Id::Detach);
    if !options.is(Id::Pid, PRIVATE) {
        // Others, that may be no friends, are where the container's processes are made.
        sealed::go_on(context)?;
    }
    if parsed.on(Id::Tty) && parsed.on(Id::Interactive) && !detach && terminal::modes(fd::STDIN).is_err() {
        return Err(Error::new(phrase!("--tty with --interactive needs a terminal, and standard input is none"))
            .hint(phrase!("leave out -t to pipe data in: vial run -i ...")));
    }
    if parsed.on(Id::DryRun) {
        return COLD_GATE.open()?(context, options);
    }
    if let code @ 1.. = pull::provide(context, options)? {
        return Ok(code);
    }
    let signals = block_signals()?;
    let made = create(context, options)?;
    let bundle = made.bundle;
    if detach || options.restarts() {
        let session = monitor::start(made.root, bundle, &monitor::How { attach: !detach, signals });
        let session = session.inspect_err(|_| drop(discard(made)))?;
        if detach {
            super::print_line(bundle.id)?;
            return Ok(0);
        }
        return attach::follow(&session, &bundle.directory, &options.manner);
    }
    let mut life = made.life();
    let surroundings = Surroundings { standard: [None; 3], stays: false, signals };
    let result = life.start(&surroundings).and_then(|running| follow(running, &mut life));
    end(&life, options, result)
}

fn block_signals() -> Result<poll::Signals> {
    let _why = because!("read signals as a file later, and give files exactly the modes that are asked for");
    file::umask(0);
    poll::block_signals(run::watched_signals())
}

/// Removes a container that could not be started. The workload may run all the same, if its monitor was killed.
#[inline(never)]
fn discard(made: &Created) -> Result<()> {
    let bundle = made.bundle;
    let directory = bundle.directory.by_ref();
    let state = State::load(directory).ok().flatten().unwrap_or_default();
    let config = remains::config(directory, bundle.id);
    // Another monitor may be about to take over.
    mark(&bundle.directory, monitor::STOPPED)?;
    process::signal(state.pid, state.pid_start, libc::SIGKILL)?;
    let with = With { config: Some(&config), state: None, volumes: true };
    remains::discard(made.root, made.bundles, (bundle.id, bundle.name), &with)
}

/// Makes a container, to be started later; prints its ID.
pub(super) fn make_only(context: &Context<'static>) -> Result<u8> {
    let options = read(context)?;
    if let code @ 1.. = pull::provide(context, options)? {
        return Ok(code);
    }
    file::umask(0);
    let made = create(context, options)?;
    made.state.save(made.bundle.directory.by_ref())?;
    super::print_line(made.bundle.id)?;
    Ok(0)
}

/// A container that was made and not started. All of it stays until the process ends.
struct Created {
    root: FdRef<'static>,
    bundles: &'static Bundles,
    bundle: &'static Bundle,
    launch: Launch,
    state: Kept<Box<State>>,
}

impl Created {
    fn life(&'static mut self) -> Life<'static> {
        Life {
            root: self.root,
            bundles: self.bundles,
            id: self.bundle.id,
            name: self.bundle.name,
            directory: &self.bundle.directory,
            launch: &mut self.launch,
            state: core::mem::take(&mut self.state),
            control: None,
            recorder: None,
            follower: None,
        }
    }
}

/// Makes a container's directory with all that says what it is; on failure nothing is left.
#[inline(never)]
fn create(context: &Context<'static>, options: Options) -> Result<&'static mut Created> {
    let root = context.open_root()?;
    // Keeps the image from being removed until the container's files name it.
    let mut held = None;
    let found = image::find(context, &options.image, true, &mut held)?;
    let storage = storage(context, found, root)?;
    let bundles: &'static Bundles = Box::leak(Box::new(Bundles::open(root).map_err(full)?));
    let bundle = bundles.create(context.parsed.text(Id::Name)).map_err(full)?;
    let bundle: &'static Bundle = Box::leak(Box::new(bundle));
    match fill_in(context, options, found, storage, bundle) {
        Ok((launch, state)) => Ok(Box::leak(Box::new(Created { root, bundles, bundle, launch, state }))),
        Err(error) => {
            let _ = bundles.remove(bundle.id, bundle.name);
            let _ = ranges::collect(root, bundles, false);
            Err(error)
        }
    }
}

/// The storage driver, if it gives the container a tree of its own. The host's root is not copied.
fn storage(context: &Context<'_>, found: &Found, root: FdRef<'_>) -> Result<&'static str> {
    let storage = context.storage(root)?;
    if storage == "overlay" || (found.directory == "/" && context.parsed.globals.storage.is_none()) {
        return Ok("");
    }
    if found.directory == "/" {
        return Err(Error::new(phrase!("the host's own root needs the storage driver overlay: others would copy it"))
            .hint(phrase!("name a directory or an image")));
    }
    Ok(storage)
}

type Look = fn(&Fd) -> Result<()>;

static COLD_GATE_SELDOM_MOUNT: Gate<Look> = Gate(tell_of_mount);

/// Tells what a tree loses by where it lies. An overlay, which has a mount of its own, does not.
fn tell_of_mount(directory: &Fd) -> Result<()> {
    let flags = file::mount_flags(directory.by_ref())? as libc::c_ulong;
    for (flag, name, lost) in [
        (libc::MS_NOSUID, "nosuid", phrase!("set-user-ID programs of the image, such as su, get no rights by it")),
        (libc::MS_NODEV, "nodev", phrase!("device files that the image or the workload has there can't be opened")),
        (libc::MS_NOEXEC, "noexec", phrase!("no program of the image can be executed")),
    ] {
        if flags & flag != 0 {
            Context::warn(&[Error::new(say!(
                "the store lies on a mount with {}, and so does the container's tree: {}",
                name,
                lost
            ))
            .hint(phrase!("--root DIR puts it elsewhere; with the storage driver overlay it does not matter"))]);
        }
    }
    Ok(())
}

fn fill_in(
    context: &Context<'static>,
    options: Options,
    found: &'static Found,
    storage: &'static str,
    bundle: &Bundle,
) -> Result<(Launch, Kept<Box<State>>)> {
    let id = bundle.id;
    let mut state = record::prepared(options, found)?;
    let made = make(context, options, (found, storage), id, true)?;
    ids::apply(options, made.spec, Some(context.open_root()?), id)?;
    state.command = lossy(made.command);
    if context.parsed.last(Id::CgroupParent).is_some() {
        Control::note_parents(made.spec)?;
    }
    write_bundle(bundle, options, id, made.spec)?;
    if !launch::annotation(made.spec, launch::STORAGE).is_empty() {
        let store = images::store(context)?;
        let (uids, gids) = ids::shift(made.spec);
        let maps = if uids.is_empty() { None } else { Some((&uids[..], &gids[..])) };
        root::make_tree(&store, &bundle.directory, &|name| launch::annotation(made.spec, name), maps)?;
        COLD_GATE_SELDOM_MOUNT.open()?(&bundle.directory)?;
    }
    let mut launch = Launch::new(made.spec)?;
    // These need not be UTF-8.
    (launch.args, launch.env) = (made.command, made.env);
    let is_kept = context.parsed.on(Id::Detach) || context.parsed.command.name() == "create";
    if is_kept && !launch.annotation(launch::LOSSY).is_empty() {
        return Err(Error::new(phrase!("the command and its environment must be UTF-8 if the container is to stay")));
    }
    if let Some(given) = context.parsed.last(Id::CidFile) {
        write_cidfile(given.value, id)?;
    }
    if is_kept || !context.parsed.on(Id::Remove) {
        let _why = because!("write down what the container came from");
        state.write(bundle.directory.by_ref(), durable(options))?;
    }
    Ok((launch, state))
}

/// What a container is, all in memory.
struct Made {
    command: Words,
    env: Words,
    spec: &'static mut Spec,
}

/// Works out what the container is; with `make`, directories of the host's that are missing are made.
#[inline(never)]
fn make(
    context: &Context<'static>,
    options: Options,
    (found, storage): (&'static Found, &'static str),
    id: &'static str,
    make: bool,
) -> Result<&'static mut Made> {
    let hostname = environment::hostname(options, id);
    let env = environment::gather(context, found, hostname)?;
    let sources = Sources::gather(options, found, make)?;
    let command = command(options, found)?;
    let (user, group) = found.user.cut(b':').unwrap_or((found.user, ""));
    let wanted = wanted(context.parsed, Wanted { user, group, further: context.parsed.texts(Id::GroupAdd) });
    let containers: &dyn Fn(&str) -> Result<(&'static str, u32)> = &|name| match context.look_for_root()? {
        Some(root) if file::exists(root, c"containers") => launch::first_process(&Bundles::open(root)?, name),
        _ => Err(Error::new(say!("no such container: {}", name))),
    };
    let best_effort = context.parsed.globals.best_effort;
    let parts = Parts { options, found, storage, sources, command, env, wanted, hostname, id, best_effort, containers };
    let spec = specification::build(&parts)?;
    check_networks(context, spec)?;
    Ok(Box::leak(Box::new(Made { command, env, spec })))
}

/// Sees to it that the networks are there. The default one is made when needed.
#[inline(never)]
fn check_networks(context: &Context<'_>, spec: &Spec) -> Result<()> {
    let root = context.look_for_root()?;
    for line in launch::annotation(spec, launch::NETWORKS).parts(b'\n') {
        let name = line.words().next().unwrap_or(DEFAULT);
        let path = file::path(join!("networks/{}/network.json", name))?;
        if name != DEFAULT && !root.is_some_and(|root| file::exists(root, path)) {
            return Err(Networks::open(context.open_root()?)?.missing(name).option("--network"));
        }
    }
    Ok(())
}

/// Waits for the workload's end and writes down how it ended.
fn follow(running: run::Running, life: &mut Life<'_>) -> Result<Ended> {
    let pid = running.pid;
    let group = life.control.as_ref().and_then(|control| control.group.as_ref());
    let ended = running.wait(group).inspect_err(|_| run::Running::kill(pid))?;
    if !life.state.remove || life.follower.is_some() {
        let control = life.control.as_ref();
        let oom_killed = control.is_some_and(Control::was_oom_killed);
        let hits = control.map(|control| control.hits(life.launch.spec)).unwrap_or_default();
        if let Some(follower) = life.follower {
            follower.ended(life.directory.by_ref(), oom_killed, hits);
        }
        let _why = because!("write down how the container ended");
        life.state.note_hits(hits);
        life.state.end(ended.code(), oom_killed, Status::Exited);
        life.state.save(life.directory.by_ref())?;
    }
    Ok(ended)
}

/// What a container's files are as long as it is not known to run.
fn durable(options: Options) -> Durable {
    if options.parsed.on(Id::Remove) { Durable::Not } else { Durable::Whole }
}

/// Writes what makes the container's directory an OCI bundle.
fn write_bundle(bundle: &Bundle, options: Options, id: &'static str, spec: &mut Spec) -> Result<()> {
    let _why = because!("write down what the container is: a bundle as the OCI runtime specification has it");
    let overlay = launch::annotation(spec, launch::STORAGE).is_empty();
    if let Some(root) = spec.root.as_mut().filter(|_| !overlay) {
        // Where other runtimes find it, which know nothing of how vial has it made.
        root.path = storage::TREE;
    }
    // Names are looked up in the image when the container is started; numbers are for everybody.
    let (user, group) = (launch::annotation(spec, launch::USER), launch::annotation(spec, launch::GROUP));
    if let (Some(process), Some(user)) = (spec.process.as_mut(), uid(user)) {
        (process.user.uid, process.user.gid) = (user, uid(group).unwrap_or(process.user.gid));
    }
    Bundle::replace(bundle.directory.by_ref(), c"config.json", &spec.to_json(), durable(options))?;
    for (name, mode) in &[(c"rootfs", 0o755), (c"upper", 0o755), (c"work", 0o700)][..if overlay { 3 } else { 1 }] {
        file::mkdir(bundle.directory.by_ref(), name, *mode)?;
    }
    for (name, content) in environment::files(environment::hostname(options, id), options)? {
        bundle.write(name, content)?;
    }
    Ok(())
}

/// Takes down what was put up, on every path; the exit code. What fails first tells of the rest, for `vial gc`.
fn end(life: &Life<'_>, options: Options, result: Result<Ended>) -> Result<u8> {
    let control = life.control.as_ref();
    let oom = control.is_some_and(|control| result.is_ok() && control.was_oom_killed());
    let whole = result.is_err() || life.state.remove;
    let mut links = Vec::new();
    let cleaned = control
        .map_or(Ok(()), Control::remove)
        .and_then(|()| disconnect::release(life.root, life.id))
        .map(|left| links = left)
        .and_then(|()| if whole { life.discard() } else { Ok(()) });
    sweeper::start(&links);
    let ended = result?;
    cleaned?;
    if oom {
        Context::warn(&[Error::new(life::out_of_memory(size(options.parsed.text(Id::Memory))))]);
    }
    Ok(ended.code())
}

static COLD_GATE: Gate<fn(&Context<'static>, Options) -> Result<u8>> = Gate(describe);

/// Prints the plan and does nothing.
fn describe(context: &Context<'static>, options: Options) -> Result<u8> {
    let found = image::find(context, &options.image, false, &mut None)?;
    let storage = match context.look_for_root()? {
        Some(root) => storage(context, found, root)?,
        None => "",
    };
    let made = make(context, options, (found, storage), text!("{:064}", 0), false)?;
    ids::apply(options, made.spec, None, "")?;
    let (mut text, cgroups) = Control::describe(made.spec)?;
    let mut why = Phrase::EMPTY;
    let launch = Launch::new(made.spec)?;
    let root = launch.root(options.parsed.on(Id::Remove));
    for step in plan::plan(
        launch.spec,
        &Setting { root, cgroups, fills: &[], confined: users::is_confined(), shifted: false, hooks: false },
    )? {
        if step.why != why {
            why = step.why;
            let _ = writeln!(text, "\n{why}");
        }
        let _ = writeln!(text, "    {}", step.action);
    }
    let _ = writeln!(text, "\nbecome the workload\n    execute {}", lossy(made.command).join(" "));
    super::print(text.trim_ascii_start())?;
    Ok(0)
}

/// What is executed: entry point and command, the user's before the image's; docker's rules.
fn command(options: Options, found: &'static Found) -> Result<Words> {
    let mut words = Vec::new();
    let mut add = |word: &[u8]| -> Result<()> {
        words.push(file::path(word)?);
        Ok(())
    };
    let entrypoint = options.parsed.last(Id::Entrypoint).map(|given| given.value);
    match entrypoint {
        Some(b"") => {}
        Some(program) => add(program)?,
        None => found.entrypoint.iter().try_for_each(|word| add(word.as_bytes()))?,
    }
    if !options.command.is_empty() {
        options.command.iter().try_for_each(|word| add(word))?;
    } else if entrypoint.is_none() {
        found.command.iter().try_for_each(|word| add(word.as_bytes()))?;
    }
    if words.is_empty() {
        return Err(Error::new(phrase!("no command to run"))
            .hint(phrase!("the image names none; give one: vial run IMAGE COMMAND")));
    }
    Ok(words.leak())
}

/// Who the workload is to be: the user's choice, else what there is anyway.
#[inline(never)]
pub(super) fn wanted(parsed: &Parsed<'static>, own: Wanted<'static>) -> Wanted<'static> {
    let user = parsed.text(Id::User);
    if user.is_empty() {
        return own;
    }
    let (user, group) = user.cut(b':').unwrap_or((user, ""));
    Wanted { user, group, further: own.further }
}

/// Writes the container's ID to a file that must not exist yet.
#[inline(never)]
fn write_cidfile(path: &[u8], id: &str) -> Result<()> {
    let _why = because!("write the container's ID where it was asked for (--cidfile)");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    let opened = file::create(fd::CWD, file::path(path)?, flags, 0o644).map_err(|error| {
        error
            .option("--cidfile")
            .hint(phrase!("--cidfile names a file that must not exist yet, in a directory that does"))
    })?;
    file::write_all(opened.by_ref(), id.as_bytes())
}

/// The words that a specification's process has.
#[inline(never)]
pub(super) fn lossy(words: Words) -> Vec<&'static str> {
    let mut texts = Vec::with_capacity(words.len());
    for word in words {
        texts.push(match word.to_string_lossy() {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => text.leak(),
        });
    }
    texts
}
