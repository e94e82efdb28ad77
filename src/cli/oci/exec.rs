//! `vial oci exec`.

use super::super::context::Context;
use super::super::flags::Id;
use super::super::parse::Given;
use super::{absolute, files, given, held};
use crate::base::error::{Error, Result};
use crate::base::json;
use crate::base::keep;
use crate::base::text::{Cut, uid};
use crate::container::oci::{self, Visit};
use crate::container::run::{self, Running};
use crate::container::spec::{Capabilities, Process};
use crate::kernel::security::caps;
use crate::sys::fd::CWD;
use crate::sys::{because, file, poll};

/// Executes a process in a container; its exit code.
pub(super) fn exec(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let given_files = files(parsed, Id::ExecPreserveFds)?;
    // What no process can have is refused before any container is looked at.
    let process = match parsed.last(Id::OciProcess) {
        Some(given) => Some(read(&given)?),
        None => changed(context, Process::default()).map(|_| None)?,
    };
    let held = held(context)?;
    let process = match process {
        Some(process) => process,
        None => changed(context, held.launch()?.spec.process.take().unwrap_or_default())?,
    };
    if process.args.is_empty() {
        return Err(Error::new(phrase!("no program to execute"))
            .hint(phrase!("give it behind the container, or --process FILE")));
    }
    let detached = parsed.on(Id::ExecDetach);
    let signals = poll::block_signals(run::watched_signals())?;
    let running = oci::exec(
        &held,
        Visit {
            process,
            pid_file: absolute(given(parsed, Id::ExecPidFile))?,
            console: absolute(given(parsed, Id::ExecConsole))?,
            detached,
            files: given_files,
            ignores_pause: parsed.on(Id::IgnorePaused),
            signals,
        },
    )?;
    if detached {
        return Ok(0);
    }
    let pid = running.pid;
    Ok(running.wait(None).inspect_err(|_| Running::kill(pid))?.code())
}

/// A process as a file has it.
fn read(given: &Given<'static>) -> Result<Process> {
    let _why = because!("read what is to be executed (--process)");
    let path = given.text()?;
    let content = file::read_file(CWD, file::path(path)?, 16 << 20).map_err(|error| {
        error.option("--process").hint(phrase!("accepted: a file of JSON as config.json has the process"))
    })?;
    let value = json::parse(&content).map_err(|error| Error::new(say!("--process: {}: {}", path, error)))?;
    let value = alloc::boxed::Box::leak(alloc::boxed::Box::new(value));
    Process::from_json(value).map_err(|error| Error::new(say!("--process: process.{}", error)))
}

/// The container's own process, with what the command line changes.
fn changed(context: &Context<'static>, mut process: Process) -> Result<Process> {
    let parsed = context.parsed;
    process.terminal = parsed.on(Id::ExecTty);
    process.args = parsed.positionals.iter().skip(1).map(|word| keep::lossy(word)).collect();
    if let Some(cwd) = given(parsed, Id::ExecCwd) {
        process.cwd = cwd;
    }
    for given in &parsed.flags {
        let text = given.text()?;
        let fits = match given.flag.id {
            Id::ExecEnv => text.cut(b'=').is_some_and(|(name, _)| !name.is_empty()),
            Id::ExecCwd => text.starts_with('/'),
            Id::ExecGroups => uid(text).is_some(),
            Id::ExecCap => caps::number(text).is_some(),
            _ => true,
        };
        given.check(fits.then_some(()), phrase!("this is none"), given.flag.value())?;
    }
    process.env.extend(parsed.texts(Id::ExecEnv));
    if let Some(user) = parsed.last(Id::ExecUser) {
        let (own, group) = user.text()?.cut(b':').unwrap_or((user.text()?, "0"));
        let accepted = phrase!("numbers: UID or UID:GID");
        process.user.uid = user.check(uid(own), phrase!("not a user"), accepted)?;
        process.user.gid = user.check(uid(group), phrase!("not a group"), accepted)?;
        process.user.additional_gids.clear();
    }
    for group in parsed.all(Id::ExecGroups) {
        process.user.additional_gids.extend(uid(keep::lossy(group)));
    }
    process.no_new_privileges |= parsed.on(Id::ExecNoNewPrivs);
    if let Some(profile) = given(parsed, Id::ExecAppArmor) {
        process.apparmor_profile = Some(profile);
    }
    if let Some(label) = given(parsed, Id::ExecLabel) {
        process.selinux_label = Some(label);
    }
    let sets = process.capabilities.get_or_insert_with(Capabilities::default);
    for capability in parsed.texts(Id::ExecCap) {
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(capability);
        }
    }
    Ok(process)
}
