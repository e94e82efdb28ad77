//! `vial run`: options and image to a specification, and the container's whole life in the foreground.

mod environment;
mod image;
mod record;
mod sources;
mod specification;

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use image::Found;
use sources::Sources;

use super::context::Context;
use super::options::RunOptions;
use super::options::process::Who;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::container::bundle::{Bundle, Bundles};
use crate::container::control::Control;
use crate::container::run::{self, Container};
use crate::container::spec::Spec;
use crate::container::state::State;
use crate::container::user::Wanted;
use crate::container::volume::Volumes;
use crate::image::store::Held;
use crate::sys::poll::{self, Signals};
use crate::sys::process::Ended;
use crate::sys::{Fd, because, fd, file, terminal};

/// Runs a container and cleans up behind it.
pub(super) fn run(context: &Context<'_>) -> Result<u8> {
    let options = RunOptions::from_parsed(context.parsed)?;
    let signals = {
        let _why = because("read signals as a file later, and give files exactly the modes that are asked for");
        file::umask(0);
        poll::block_signals(run::watched_signals())?
    };
    if options.tty && options.interactive && terminal::modes(fd::STDIN).is_err() {
        return Err(Error::new("--tty with --interactive needs a terminal, and standard input is none")
            .hint("leave out -t to pipe data in: vial run -i ..."));
    }
    let root = context.open_root()?;
    let (found, held) = image::find(context, &options.image)?;
    if options.dry_run {
        return describe(context, &root, &options, &found);
    }
    let bundles = Bundles::open(root.by_ref())?;
    let bundle = bundles.create(options.record.name.unwrap_or_default())?;
    let mut life = Life {
        held,
        context,
        options: &options,
        found: &found,
        root: &root,
        bundle: &bundle,
        control: None,
        volumes: Vec::new(),
    };
    let result = life.live(signals);
    life.end(&bundles, result)
}

/// One container, from its directory to its end.
struct Life<'a> {
    context: &'a Context<'a>,
    options: &'a RunOptions<'a>,
    found: &'a Found,
    root: &'a Fd,
    bundle: &'a Bundle,
    control: Option<Control>,
    /// Keeps the image from being removed until the container's files name it.
    held: Option<Held>,
    /// Volumes without a name, which go with the container.
    volumes: Vec<String>,
}

impl Life<'_> {
    /// Prepares, starts and waits; how the workload ended.
    fn live(&mut self, signals: Signals) -> Result<Ended> {
        let options = self.options;
        let mut state = record::prepared(options, self.found)?;
        let environment = environment::gather(self.context, options, self.found)?;
        let mut sources = Sources::gather(options, self.found, true)?;
        let mut spec = specification::build(&specification::Parts {
            options,
            found: self.found,
            sources: &sources,
            env: &environment,
            id: &self.bundle.id,
            containers: &|name| self.process_of(name),
        })?;
        if options.limits.cgroup_parent.is_some() {
            Control::note_parents(&mut spec)?;
        }
        self.write_bundle(&spec, options)?;
        self.held = None;
        self.volumes = core::mem::take(&mut sources.unnamed);
        let fills = sources.make_volumes(self.root)?;
        if let Some(path) = options.record.cidfile {
            write_cidfile(path, &self.bundle.id)?;
        }
        let control = Control::create(&spec, self.context.parsed.globals.best_effort)?;
        Context::warn(&control.warnings);
        let control = self.control.insert(control);
        let container = Container {
            spec: &spec,
            root: self.found.root(),
            directory: &self.bundle.directory,
            args: command(options, self.found)?,
            env: environment.for_process(options, &self.bundle.id),
            wanted: wanted(options, self.found),
            interactive: options.interactive,
            init: options.process.init,
            group: control.group.as_ref(),
            cgroups: control.mounts(),
            fills,
        };
        let running = run::start(&container, signals)?;
        let pid = running.pid;
        self.follow(running, &mut state).inspect_err(|_| run::Running::kill(pid))
    }

    /// Waits for the workload's end; writes down that it runs and how it ended.
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

    /// The first process of another container, by name or ID.
    fn process_of(&self, name: &str) -> Result<u32> {
        record::process_of(&Bundles::open(self.root.by_ref())?, name)
    }

    /// Writes what makes the container's directory an OCI bundle.
    fn write_bundle(&self, spec: &Spec, options: &RunOptions<'_>) -> Result<()> {
        let _why = because("write down what the container is: a bundle as the OCI runtime specification has it");
        self.bundle.write(c"config.json", &spec.to_json().to_compact())?;
        for (name, mode) in [(c"upper", 0o755), (c"work", 0o700), (c"rootfs", 0o755)] {
            file::mkdir(self.bundle.directory.by_ref(), name, mode)?;
        }
        let hostname = environment::hostname(options, &self.bundle.id);
        for (name, content) in environment::files(&hostname, options)? {
            self.bundle.write(&name, &content)?;
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
            let limit =
                self.options.limits.memory.map(|bytes| alloc::format!(" (--memory {bytes})")).unwrap_or_default();
            Context::warn(&alloc::vec![Error::new(alloc::format!("a process was killed: out of memory{limit}"))]);
        }
        Ok(ended.code())
    }

    /// Stops at the first failure: what tells of the rest stays, so that `vial gc` finds it.
    fn clean(&self, bundles: &Bundles, whole: bool) -> Result<()> {
        self.control.as_ref().map_or(Ok(()), Control::remove)?;
        if !whole {
            return Ok(());
        }
        for volume in &self.volumes {
            Volumes::open(self.root.by_ref())?.remove(volume, bundles, &self.bundle.id)?;
        }
        bundles.remove(&self.bundle.id, &self.bundle.name)
    }
}

/// Prints the plan and does nothing.
fn describe(context: &Context<'_>, root: &Fd, options: &RunOptions<'_>, found: &Found) -> Result<u8> {
    let environment = environment::gather(context, options, found)?;
    let sources = Sources::gather(options, found, false)?;
    let id = "0".repeat(64);
    let spec = specification::build(&specification::Parts {
        options,
        found,
        sources: &sources,
        env: &environment,
        id: &id,
        containers: &|name| record::process_of(&Bundles::open(root.by_ref())?, name),
    })?;
    let (mut text, mounts) = Control::describe(&spec)?;
    let plan = crate::container::plan::plan(
        &spec,
        &crate::container::plan::Setting { root: &found.root(), cgroups: &mounts, fills: &[] },
    )?;
    let mut why = "";
    for step in plan {
        if step.why != why {
            text.push_str(&alloc::format!("\n{}\n", step.why));
            why = step.why;
        }
        text.push_str(&alloc::format!("    {}\n", step.action));
    }
    let words: Vec<String> = command(options, found)?.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    text.push_str(&alloc::format!("\nbecome the workload\n    execute {}\n", words.join(" ")));
    super::print(text.trim_ascii_start())?;
    Ok(0)
}

/// What is executed: entry point and command, the user's before the image's; docker's rules.
fn command(options: &RunOptions<'_>, found: &Found) -> Result<Vec<CString>> {
    let mut words: Vec<&[u8]> = Vec::new();
    match options.process.entrypoint {
        Some(b"") => {}
        Some(program) => words.push(program),
        None => words.extend(found.entrypoint.iter().map(String::as_bytes)),
    }
    if !options.command.is_empty() {
        words.extend(&options.command);
    } else if options.process.entrypoint.is_none() {
        words.extend(found.command.iter().map(String::as_bytes));
    }
    if words.is_empty() {
        return Err(Error::new("no command to run").hint("the image names none; give one: vial run IMAGE COMMAND"));
    }
    words.into_iter().map(file::path).collect()
}

/// Who the workload is to be: the user's choice, else the image's.
fn wanted(options: &RunOptions<'_>, found: &Found) -> Wanted {
    let text = |who: &Who<'_>| match who {
        Who::Id(number) => number.to_string(),
        Who::Name(name) => name.to_string(),
    };
    let further = options.process.groups.iter().map(text).collect();
    match &options.process.user {
        Some(user) => {
            Wanted { user: text(user), group: options.process.group.as_ref().map(text).unwrap_or_default(), further }
        }
        None => {
            let (user, group) = found.user.cut(b':').unwrap_or((&found.user, ""));
            Wanted { user: user.into(), group: group.into(), further }
        }
    }
}

/// Writes the container's ID to a file that must not exist yet.
fn write_cidfile(path: &[u8], id: &str) -> Result<()> {
    let _why = because("write the container's ID where it was asked for (--cidfile)");
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    let opened = file::create(fd::CWD, &file::path(path)?, flags, 0o644).map_err(|error| {
        error.option("--cidfile").hint("--cidfile names a file that must not exist yet, in a directory that does")
    })?;
    file::write_all(opened.by_ref(), id.as_bytes())
}

/// The words that a specification's process has.
fn lossy(words: &[CString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}
