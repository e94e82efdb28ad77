//! `vial oci events`: what a container uses, now and then, and each time that its memory runs out.
//!
//! This goes on for as long as the container does. So nothing that is made in between stays.

use alloc::string::String;

use super::super::context::Context;
use super::super::flags::Id;
use super::super::print;
use super::held;
use crate::base::error::Result;
use crate::base::text::duration;
use crate::container::oci::Held;
use crate::container::process;
use crate::kernel::cgroup::Group;
use crate::sys::poll::{self, Waiting};
use crate::sys::{Fd, FdRef, because, process as kernel};

/// Milliseconds between two reports, unless told otherwise.
const INTERVAL: u64 = 5000;
/// Milliseconds between two looks at whether the first process is there, before the kernel tells (Linux 5.3).
const LOOK: u64 = 500;

/// Prints a line for each event, until the container has ended.
///
/// # Errors
/// The container does not run, or has no control group.
pub(super) fn print_all(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let interval = match parsed.last(Id::EventsInterval) {
        None => INTERVAL,
        Some(given) => {
            let read = duration(given.text()?).map(|time| time / 1_000_000).filter(|time| *time > 0);
            given.check(read, phrase!("not an interval"), phrase!("a time such as 5s, 500ms or 1m"))?
        }
    };
    let held = held(context)?;
    held.started()?;
    let group = held.group()?;
    if parsed.on(Id::EventsStats) {
        return print_stats(held.id, &group).map(|()| 0);
    }
    watch(&held, &group, interval).map(|()| 0)
}

fn watch(held: &Held, group: &Group, interval: u64) -> Result<()> {
    let _why = because!("wait for what happens to the container, and for its end");
    let mut alarm = group.alarm()?;
    let (pid, then) = (held.state.pid, held.state.pid_start);
    let process = process::hold(pid, then);
    let waiting = |file: Option<FdRef<'_>>| file.map_or(Waiting::nothing(), Waiting::readable);
    let mut next = now() + interval;
    while process.is_some() || process::is_alive(pid, then) {
        let left = next.saturating_sub(now());
        if left == 0 {
            print_stats(held.id, group)?;
            next = now() + interval;
            continue;
        }
        let mut files = [waiting(process.as_ref().map(Fd::by_ref)), waiting(alarm.as_ref().map(|alarm| alarm.file()))];
        poll::poll_within(&mut files, if process.is_some() { left } else { left.min(LOOK) })?;
        if let Some(alarm) = alarm.as_mut().filter(|_| files[1].is_ready()) {
            for _ in 0..alarm.look()? {
                print(&["{\"type\":\"oom\",\"id\":\"", held.id, "\"}\n"].concat())?;
            }
        }
        if files[0].is_ready() {
            break;
        }
    }
    Ok(())
}

/// Milliseconds of a clock that only goes forward.
fn now() -> u64 {
    let now = kernel::clock(libc::CLOCK_MONOTONIC);
    now.secs as u64 * 1000 + u64::from(now.nanos / 1_000_000)
}

fn print_stats(id: &str, group: &Group) -> Result<()> {
    let mut line = String::from("{\"type\":\"stats\",\"id\":\"");
    line.push_str(id);
    line.push_str("\",\"data\":{");
    group.metrics(&mut line);
    // vial gives containers no shares of caches of its own accord, and their interfaces are the engine's.
    line.push_str(",\"intel_rdt\":{},\"network_interfaces\":null}}\n");
    print(&line)
}
