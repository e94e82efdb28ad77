//! Filters that have a process outside decide about some calls (`SCMP_ACT_NOTIFY`): it gets the filter's listener, over a socket
//! that it listens at, with what the specification wants it to know of the container.
//!
//! # Source
//! `config-linux.md` of the runtime specification, "The Container Process State"; `seccomp_unotify(2)`.

use super::spec::{OCI_VERSION, Spec};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::Cut;
use crate::sys::cold::Gate;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::{because, file, net};

/// Hands a listener over.
type Send = fn(&Spec, FdRef<'_>, u32, Option<Fd>) -> Result<()>;

static COLD_GATE_SELDOM: Gate<Send> = Gate(send);

/// Hands the listener of a container's process to whoever the specification names.
///
/// # Errors
/// Nobody listens there.
pub fn hand_over(spec: &Spec, bundle: FdRef<'_>, pid: u32, listener: Option<Fd>) -> Result<()> {
    COLD_GATE_SELDOM.open()?(spec, bundle, pid, listener)
}

fn send(spec: &Spec, bundle: FdRef<'_>, pid: u32, listener: Option<Fd>) -> Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let _why =
        because!("hand over who decides about the container's system calls, to the listener that its profile names");
    let seccomp = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let text = |name| seccomp.and_then(|seccomp| seccomp.0.get(name)).and_then(Value::as_str).unwrap_or_default();
    let path = text("listenerPath");
    let end = path.bytes().rposition(|byte| byte == b'/').unwrap_or(0);
    let (directory, name) = (&path[..end.max(1)], &path[(end + 1).min(path.len())..]);
    let place = file::readlink(CWD, file::path(join!("/proc/self/fd/{}", bundle.number() as u64))?)?;
    let place = keep::lossy(place.to_bytes());
    let id = place.parts(b'/').last().unwrap_or_default();
    let mut message = Value::Null;
    message.text("ociVersion", OCI_VERSION);
    message.set("fds", Value::texts(&["seccompFd"], ""));
    message.set("pid", pid.into());
    message.text("metadata", text("listenerMetadata"));
    let state = message.member("state");
    state.text("ociVersion", OCI_VERSION);
    state.text("id", id);
    state.text("status", "creating");
    state.set("pid", pid.into());
    state.text("bundle", place);
    let annotations = state.member("annotations");
    for (name, value) in &spec.annotations {
        annotations.text(name, value);
    }
    let failed = |error: Error| error.hint(phrase!("linux.seccomp.listenerPath is a socket that somebody listens at"));
    let directory = file::open(CWD, file::path(directory)?, libc::O_PATH | libc::O_DIRECTORY).map_err(failed)?;
    let socket = net::connect_stream_at(directory.by_ref(), name).map_err(failed)?;
    net::send(socket.by_ref(), message.to_compact().as_bytes(), Some(listener.by_ref()))
}
