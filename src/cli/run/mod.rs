//! `vial run`: options and image to a specification, and the container's whole life in the foreground.

mod environment;
mod image;
mod record;
mod sources;
mod specification;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Write;

use image::Found;
use sources::Sources;
use specification::Parts;

use super::context::Context;
use super::options::RunOptions;
use super::options::process::Who;
use crate::base::error::{Error, Result};
use crate::base::keep::text;
use crate::base::text::Cut;
use crate::container::bundle::{Bundle, Bundles};
use crate::container::control::Control;
use crate::container::plan::{self, Setting};
use crate::container::run::{self, Container};
use crate::container::spec::Spec;
use crate::container::state::State;
use crate::container::user::Wanted;
use crate::container::volume::Volumes;
use crate::image::store::Held;
use crate::sys::poll::{self, Signals};
use crate::sys::process::Ended;
use crate::sys::{Fd, because, fd, file, terminal};

/// What `run` was asked for.
type Options = &'static RunOptions<'static>;
/// Words for execve(2).
type Words = &'static [&'static CStr];

/// Runs a container and cleans up behind it.
pub(super) fn run(context: &Context<'static>) -> Result<u8> {
    let options: Options = RunOptions::from_parsed(context.parsed)?;
    let signals = {
        let _why = because("read signals as a file later, and give files exactly the modes that are asked for");
        file::umask(0);
        poll::block_signals(run::watched_signals())?
    };
    if options.tty && options.interactive && terminal::modes(fd::STDIN).is_err() {
        return Err(Error::new("--tty with --interactive needs a terminal, and standard input is none")
            .hint("leave out -t to pipe data in: vial run -i ..."));
    }
    if options.dry_run {
        return describe(context, options);
    }
    let root = context.open_root()?;
    let mut held = None;
    let found = image::find(context, &options.image, true, &mut held)?;
    let bundles = Bundles::open(root.by_ref())?;
    let bundle = bundles.create(options.record.name.unwrap_or_default())?;
    let id = bundle.id;
    let mut life =
        Life { held, context, options, found, root: &root, bundle: &bundle, id, control: None, volumes: &[] };
    let result = life.live(signals);
    life.end(&bundles, result)
}

/// One container, from its directory to its end.
struct Life<'a> {
    context: &'a Context<'static>,
    options: Options,
    found: &'static Found,
    root: &'a Fd,
    bundle: &'a Bundle,
    id: &'static str,
    control: Option<Control>,
    /// Keeps the image from being removed until the container's files name it.
    held: Option<Held>,
    /// Volumes without a name, which go with the container.
    volumes: &'static [&'static str],
}

/// What a container is, all in memory.
struct Made {
    command: Words,
    env: Words,
    wanted: Wanted<'static>,
    sources: &'static Sources,
    spec: &'static mut Spec,
}

/// Works out what the container is; with `make`, directories of the host's that are missing are made.
#[inline(never)]
fn make(
    context: &Context<'_>,
    options: Options,
    found: &'static Found,
    id: &'static str,
    make: bool,
) -> Result<&'static mut Made> {
    let hostname = environment::hostname(options, id);
    let env = environment::gather(context, options, found, hostname)?;
    let sources = Sources::gather(options, found, make)?;
    let command = command(options, found)?;
    let wanted = wanted(options, found);
    let containers: &dyn Fn(&str) -> Result<u32> = &|name| match context.look_for_root()? {
        Some(root) if file::exists(root.by_ref(), c"containers") => {
            record::process_of(&Bundles::open(root.by_ref())?, name)
        }
        _ => Err(Error::new(text!("no such container: {name}"))),
    };
    let parts = Parts { options, found, sources, command, env, wanted, hostname, id, containers };
    let spec = specification::build(&parts)?;
    Ok(Box::leak(Box::new(Made { command, env, wanted, sources, spec })))
}

impl Life<'_> {
    /// Prepares, starts and waits; how the workload ended.
    #[inline(never)]
    fn live(&mut self, signals: Signals) -> Result<Ended> {
        let options = self.options;
        let state = record::prepared(options, self.found)?;
        let made = make(self.context, options, self.found, self.id, true)?;
        state.command = lossy(made.command);
        if options.limits.cgroup_parent.is_some() {
            Control::note_parents(made.spec)?;
        }
        self.write_bundle(made.spec)?;
        self.held = None;
        self.volumes = &made.sources.unnamed;
        let fills = made.sources.make_volumes(self.root)?;
        if let Some(path) = options.record.cidfile {
            write_cidfile(path, self.id)?;
        }
        let control = self.control.insert(Control::create(made.spec, self.context.parsed.globals.best_effort)?);
        Context::warn(&control.warnings);
        let container = Container {
            spec: made.spec,
            root: self.found.root(options.record.remove),
            directory: &self.bundle.directory,
            args: made.command,
            env: made.env,
            wanted: made.wanted,
            interactive: options.interactive,
            init: options.process.init,
            group: control.group.as_ref(),
            cgroups: control.mounts(),
            fills,
        };
        let running = run::start(&container, signals)?;
        let pid = running.pid;
        self.follow(running, state).inspect_err(|_| run::Running::kill(pid))
    }

    /// Waits for the workload's end; writes down that it runs and how it ended.
    #[inline(never)]
    fn follow(&self, running: run::Running, state: &mut State) -> Result<Ended> {
        let why = because("write down that the container runs");
        record::started(state, running.pid);
        state.save(self.bundle.directory.by_ref())?;
        drop(why);
        let ended = running.wait()?;
        if !self.options.record.remove {
            let _why = because("write down how the container ended");
            record::ended(state, ended, self.control.as_ref().is_some_and(Control::was_oom_killed));
            state.save(self.bundle.directory.by_ref())?;
        }
        Ok(ended)
    }

    /// Writes what makes the container's directory an OCI bundle.
    fn write_bundle(&self, spec: &mut Spec) -> Result<()> {
        let _why = because("write down what the container is: a bundle as the OCI runtime specification has it");
        self.bundle.write(c"config.json", &spec.to_json().to_compact())?;
        for (name, mode) in [(c"upper", 0o755), (c"work", 0o700), (c"rootfs", 0o755)] {
            file::mkdir(self.bundle.directory.by_ref(), name, mode)?;
        }
        let hostname = environment::hostname(self.options, self.id);
        for (name, content) in environment::files(hostname, self.options) {
            self.bundle.write(name, content)?;
        }
        Ok(())
    }

    /// Takes down what `live` put up, on every path; the exit code.
    fn end(self, bundles: &Bundles, result: Result<Ended>) -> Result<u8> {
        let oom = self.control.as_ref().is_some_and(|control| result.is_ok() && control.was_oom_killed());
        let cleaned = self.clean(bundles, result.is_err() || self.options.record.remove);
        let ended = result?;
        cleaned?;
        if oom {
            let limit = match self.options.limits.memory {
                Some(bytes) => text!(" (--memory {bytes})"),
                None => "",
            };
            Context::warn(&[Error::new(text!("a process was killed: out of memory{limit}"))]);
        }
        Ok(ended.code())
    }

    /// Stops at the first failure: what tells of the rest stays, so that `vial gc` finds it.
    fn clean(&self, bundles: &Bundles, whole: bool) -> Result<()> {
        self.control.as_ref().map_or(Ok(()), Control::remove)?;
        if !whole {
            return Ok(());
        }
        for volume in self.volumes {
            Volumes::open(self.root.by_ref())?.remove(volume, bundles, self.id)?;
        }
        bundles.remove(self.id, self.bundle.name)
    }
}

/// Prints the plan and does nothing.
#[inline(never)]
fn describe(context: &Context<'_>, options: Options) -> Result<u8> {
    let found = image::find(context, &options.image, false, &mut None)?;
    let made = make(context, options, found, text!("{:064}", 0), false)?;
    let (mut text, cgroups) = Control::describe(made.spec)?;
    let mut why = "";
    for step in plan::plan(made.spec, &Setting { root: found.root(options.record.remove), cgroups, fills: &[] })? {
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
    match options.process.entrypoint {
        Some(b"") => {}
        Some(program) => add(program)?,
        None => found.entrypoint.iter().try_for_each(|word| add(word.as_bytes()))?,
    }
    if !options.command.is_empty() {
        options.command.iter().try_for_each(|word| add(word))?;
    } else if options.process.entrypoint.is_none() {
        found.command.iter().try_for_each(|word| add(word.as_bytes()))?;
    }
    if words.is_empty() {
        return Err(Error::new("no command to run").hint("the image names none; give one: vial run IMAGE COMMAND"));
    }
    Ok(words.leak())
}

/// Who the workload is to be: the user's choice, else the image's.
fn wanted(options: Options, found: &'static Found) -> Wanted<'static> {
    let text = |who: &Who<'static>| match *who {
        Who::Id(number) => text!("{number}"),
        Who::Name(name) => name,
    };
    let mut further = Vec::with_capacity(options.process.groups.len());
    for group in &options.process.groups {
        further.push(text(group));
    }
    let further = further.leak();
    let (user, group) = if let Some(user) = &options.process.user {
        (text(user), options.process.group.as_ref().map_or("", text))
    } else {
        found.user.cut(b':').unwrap_or((found.user, ""))
    };
    Wanted { user, group, further }
}

/// Writes the container's ID to a file that must not exist yet.
fn write_cidfile(path: &[u8], id: &str) -> Result<()> {
    let _why = because("write the container's ID where it was asked for (--cidfile)");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    let opened = file::create(fd::CWD, file::path(path)?, flags, 0o644).map_err(|error| {
        error.option("--cidfile").hint("--cidfile names a file that must not exist yet, in a directory that does")
    })?;
    file::write_all(opened.by_ref(), id.as_bytes())
}

/// The words that a specification's process has.
#[inline(never)]
fn lossy(words: Words) -> Vec<&'static str> {
    let mut texts = Vec::with_capacity(words.len());
    for word in words {
        texts.push(match word.to_string_lossy() {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => text.leak(),
        });
    }
    texts
}
