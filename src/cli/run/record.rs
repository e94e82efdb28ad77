//! What is written down of a container besides its specification: `state.json`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Options;
use super::environment::option_file;
use super::image::Found;
use crate::base::error::{Error, Result};
use crate::base::keep::text;
use crate::cli::options::Setting;
use crate::cli::options::files::parse_label_file;
use crate::container::bundle::Bundles;
use crate::container::state::{Condition, Seen, State, Status};
use crate::sys::because;
use crate::sys::process::{self, Ended};

/// This moment, as states hold it.
pub(super) fn now() -> &'static str {
    process::clock(libc::CLOCK_REALTIME).rfc3339().leak()
}

/// What is known of a container before it is started; files of labels are read.
#[inline(never)]
pub(super) fn prepared(options: Options, found: &Found) -> Result<&'static mut State> {
    let state = Box::leak(Box::new(State::default()));
    state.image = found.name;
    state.image_id = found.id;
    state.created = now();
    state.remove = options.record.remove;
    state.tty = options.tty;
    state.labels = labels(options)?;
    Ok(state)
}

/// Notes that the workload has just been executed.
pub(super) fn started(state: &mut State, pid: u32) {
    state.status = Status::Running;
    state.pid = pid;
    state.owner = process::getpid();
    state.started = now();
}

/// Notes that the workload has ended.
pub(super) fn ended(state: &mut State, ended: Ended, oom_killed: bool) {
    state.status = Status::Exited;
    state.pid = 0;
    state.finished = now();
    state.exit_code = ended.code().into();
    state.oom_killed = oom_killed;
}

/// Labels of files, then those of the command line.
fn labels(options: Options) -> Result<Vec<(&'static str, &'static str)>> {
    let mut labels = Vec::new();
    for path in &options.record.label_files {
        let _why = because("read labels from a file (--label-file)");
        for label in parse_label_file(path, option_file(path, "--label-file")?)? {
            set(&mut labels, label);
        }
    }
    for label in &options.record.labels {
        set(&mut labels, *label);
    }
    Ok(labels)
}

/// Adds a label; the last of a name counts.
#[inline(never)]
fn set(labels: &mut Vec<(&'static str, &'static str)>, label: Setting<'static>) {
    match labels.iter_mut().find(|(known, _)| *known == label.name) {
        Some((_, old)) => *old = label.value,
        None => labels.push((label.name, label.value)),
    }
}

/// The first process of a container that runs.
pub(super) fn process_of(bundles: &Bundles, name: &str) -> Result<u32> {
    let seen = Seen::look(bundles, bundles.find(name)?)?;
    match seen.filter(|seen| seen.condition == Condition::Running) {
        Some(seen) => Ok(seen.state.pid),
        None => Err(Error::new(text!("container {name} does not run")).hint("its namespaces went with it")),
    }
}
