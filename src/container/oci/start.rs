//! Starting a container that waits for it.

use super::{Held, START, Status};
use crate::base::error::{Error, Result};
use crate::container::act::{ERROR, GO, READY};
use crate::container::hooks::{self, Stage};
use crate::container::process;
use crate::sys::{because, file, ledger, net};

/// Has the first process become the workload.
///
/// # Errors
/// The container does not wait; why the workload could not be executed, after which the container has stopped.
pub fn start(held: &Held) -> Result<()> {
    let directory = held.directory.by_ref();
    if held.status() != Status::Created {
        return Err(refused(held));
    }
    let launch = held.launch()?;
    if launch.args.is_empty() {
        return Err(Error::new(phrase!("process.args: there is no program to be executed")));
    }
    // Of several at once one is heard.
    let channel = net::connect_at(directory, START).map_err(|_| refused(held))?;
    {
        let _why = because!("have the container's first process become the workload");
        net::send(channel.by_ref(), &[GO], None).map_err(|_| refused(held))?;
    }
    let _why = because!("wait until it has, or says why not");
    let (mut ready, mut failed) = (false, None);
    let mut message = alloc::vec![0u8; 8 << 10];
    loop {
        // A connection that nobody took ends with an error.
        let length = net::receive(channel.by_ref(), &mut message).map_or(0, |(length, _)| length);
        match message[..length].split_first() {
            None => break,
            Some((&READY, _)) => ready = true,
            Some((&ERROR, wire)) => failed = Some(Error::decode(wire)),
            Some(_) => {}
        }
    }
    // From here on the state says that it runs, or has stopped.
    let _ = file::unlink(directory, c"start");
    if let Some(error) = failed {
        return Err(error.unwrap_or_else(died));
    }
    if !ready {
        let is_there = process::is_alive(held.state.pid, held.state.pid_start);
        return Err(if is_there { refused(held) } else { died() });
    }
    ledger::executed();
    let told = held.template()?;
    hooks::run(launch.spec.hooks.as_ref().map(|hooks| (hooks, &told)), &[Stage::Poststart], held.state.pid)
}

#[cold]
fn refused(held: &Held) -> Error {
    Error::new(say!("cannot start container {}: it is {}", held.id, held.status().name()))
        .hint(phrase!("only a container that was created and not started yet can be"))
}

#[cold]
fn died() -> Error {
    Error::new(phrase!("the container's first process ended before it became the workload"))
}
