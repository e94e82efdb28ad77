//! Programs of the host's that an engine has run at moments of a container's life. Each is told of the container on its standard
//! input; what it prints is shown if it fails.
//!
//! # Source
//! `config.md` of the runtime specification, "POSIX-platform Hooks"; `runtime.md`, "State" and "Lifecycle".

use alloc::vec::Vec;
use core::ffi::CStr;

use super::life;
use super::spec::{Hook, Hooks, OCI_VERSION};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::sys::cold::Gate;
use crate::sys::fd;
use crate::sys::ledger::{self, Role};
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Ended, Side, Strings};
use crate::sys::{because, file};

/// The hooks, and what they are told.
pub type Told<'a> = Option<(&'a Hooks, &'a Value)>;

/// A moment of a container's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// See [`Hooks`], as for the others.
    Prestart,
    /// The same.
    CreateRuntime,
    /// The same.
    CreateContainer,
    /// The same.
    StartContainer,
    /// The same.
    Poststart,
    /// The same.
    Poststop,
}

impl Stage {
    /// Its hooks, what it is called, and the state that the container is in meanwhile.
    fn of(self, hooks: &Hooks) -> (&[Hook], &'static str, &'static str) {
        match self {
            Stage::Prestart => (&hooks.prestart, "prestart", "creating"),
            Stage::CreateRuntime => (&hooks.create_runtime, "createRuntime", "creating"),
            Stage::CreateContainer => (&hooks.create_container, "createContainer", "creating"),
            Stage::StartContainer => (&hooks.start_container, "startContainer", "created"),
            Stage::Poststart => (&hooks.poststart, "poststart", "running"),
            Stage::Poststop => (&hooks.poststop, "poststop", "stopped"),
        }
    }
}

/// Runs hooks.
type Run = fn(&Hooks, &Value, &[Stage], u32) -> Result<()>;

static COLD_GATE_OCI: Gate<Run> = Gate(run_all);

/// Runs the hooks of these moments, in their order. `pid` is the container's first process, 0 if there is none any more.
///
/// # Errors
/// One failed; those behind it are not run. After the container was started, or has gone, that is a warning.
pub fn run(hooks: Told<'_>, stages: &[Stage], pid: u32) -> Result<()> {
    match hooks {
        Some((hooks, state)) if stages.iter().any(|stage| !stage.of(hooks).0.is_empty()) => {
            COLD_GATE_OCI.open()?(hooks, state, stages, pid)
        }
        _ => Ok(()),
    }
}

fn run_all(hooks: &Hooks, state: &Value, stages: &[Stage], pid: u32) -> Result<()> {
    for stage in stages {
        let (hooks, name, status) = stage.of(hooks);
        let told = told(state, status, pid).to_compact();
        for (number, hook) in hooks.iter().enumerate() {
            let _why = because!("run a hook");
            match run_one(hook, &told) {
                Ok(()) => {}
                Err(error) => {
                    let error = error.because(say!("hooks.{}[{}]", name, number as u64));
                    if matches!(stage, Stage::Poststart | Stage::Poststop) {
                        life::warn(&error);
                    } else {
                        return Err(error);
                    }
                }
            }
        }
    }
    Ok(())
}

/// What a hook is told: the container's state, `runtime.md`.
pub fn told(state: &Value, status: &'static str, pid: u32) -> Value {
    let mut told = Value::Null;
    told.text("ociVersion", OCI_VERSION);
    told.text("id", state.get("id").and_then(Value::as_str).unwrap_or_default());
    told.text("status", status);
    if pid != 0 {
        told.set("pid", pid.into());
    }
    for member in ["bundle", "annotations"] {
        if let Some(value) = state.get(member) {
            told.set(member, value.clone());
        }
    }
    told
}

/// Runs a hook and waits for its end.
#[inline(never)]
fn run_one(hook: &Hook, told: &str) -> Result<()> {
    let words =
        |texts: &[&str]| -> Result<Vec<&CStr>> { texts.iter().map(|text| Ok(file::path(text)? as &CStr)).collect() };
    let own = [hook.path];
    let (program, args, env) =
        (file::path(hook.path)?, words(if hook.args.is_empty() { &own } else { &hook.args })?, words(&hook.env)?);
    let (input, output) = (file::in_memory()?, file::in_memory()?);
    file::write_all(input.by_ref(), told.as_bytes())?;
    file::seek(input.by_ref(), 0)?;
    let pid = match process::clone(0, Role::Helper)? {
        Side::Parent(pid) => pid,
        Side::Child => {
            let ready = file::put_in_place(input.by_ref(), fd::STDIN)
                .and_then(|()| file::put_in_place(output.by_ref(), fd::STDOUT))
                .and_then(|()| file::put_in_place(output.by_ref(), fd::STDERR))
                .and_then(|()| file::close_all_on_exec())
                .and_then(|()| poll::block_signals(0));
            if ready.is_ok() {
                let errno = process::execve(program, &Strings::new(&args), &Strings::new(&env));
                let error = Error::os(errno, phrase!("execute"), hook.path);
                let _ = file::write_all(fd::STDOUT, say!("{}", error).as_bytes());
            }
            process::exit(255)
        }
    };
    let ended = wait(pid, hook.timeout)?;
    ledger::executed();
    let how = match ended {
        Some(Ended::Exited(0)) => return Ok(()),
        Some(Ended::Exited(code)) => say!("ended with code {}", code),
        Some(Ended::Killed(signal)) => say!("was killed by {}", crate::base::signal::name(signal)),
        None => say!("did not end within its timeout of {} s", hook.timeout.unwrap_or(0)),
    };
    let mut said = alloc::vec![0u8; 4 << 10];
    file::seek(output.by_ref(), 0)?;
    let count = file::read(output.by_ref(), &mut said)?;
    let said = keep::lossy(&said[..count]).trim_ascii();
    Err(Error::new(if said.is_empty() {
        say!("the hook {} {}", hook.path, how)
    } else {
        say!("the hook {} {}: {}", hook.path, how, said)
    }))
}

/// Waits for a hook's end; nothing if it takes longer than it may, which ends it.
fn wait(pid: u32, timeout: Option<i64>) -> Result<Option<Ended>> {
    let Some(seconds) = timeout.filter(|seconds| *seconds > 0) else {
        return Ok(process::wait(Some(pid), true)?.map(|waited| waited.ended));
    };
    let deadline = process::clock(libc::CLOCK_MONOTONIC).secs.saturating_add(seconds);
    let held = process::pidfd_open(pid);
    loop {
        if let Some(waited) = process::wait(Some(pid), false)? {
            return Ok(Some(waited.ended));
        }
        let left = deadline - process::clock(libc::CLOCK_MONOTONIC).secs;
        if left <= 0 {
            process::kill(pid, libc::SIGKILL)?;
            process::wait(Some(pid), true)?;
            return Ok(None);
        }
        match &held {
            Ok(held) => poll::poll_within(&mut [Waiting::readable(held.by_ref())], left as u64 * 1000)?,
            // Before Linux 5.3.
            Err(_) => process::sleep(10),
        }
    }
}

/// Whether a path is one that a hook may have.
///
/// # Errors
/// It is not absolute.
pub fn check(hooks: &Hooks) -> Result<()> {
    for stage in [
        Stage::Prestart,
        Stage::CreateRuntime,
        Stage::CreateContainer,
        Stage::StartContainer,
        Stage::Poststart,
        Stage::Poststop,
    ] {
        let (hooks, name, _) = stage.of(hooks);
        for (number, hook) in hooks.iter().enumerate() {
            let bad = if !hook.path.starts_with('/') {
                say!("hooks.{}[{}].path: {} is not absolute", name, number as u64, hook.path)
            } else if hook.timeout.is_some_and(|timeout| timeout < 1) {
                say!("hooks.{}[{}].timeout: is not greater than 0", name, number as u64)
            } else {
                continue;
            };
            return Err(Error::new(bad));
        }
    }
    Ok(())
}
