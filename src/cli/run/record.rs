//! What is written down of a container besides its specification: `state.json`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Options;
use super::image::Found;
use crate::base::error::{Error, Result};
use crate::base::keep::text;
use crate::cli::options::files::parse_label_file;
use crate::container::bundle::Bundles;
use crate::container::state::{Seen, State, Status};
use crate::sys::process::{self, Ended};
use crate::sys::{because, fd, file};

/// This moment, as states hold it.
pub(super) fn now() -> String {
    process::clock(libc::CLOCK_REALTIME).rfc3339()
}

/// What is known of a container before it is started; files of labels are read.
pub(super) fn prepared(options: Options, found: &Found) -> Result<&'static mut State> {
    let state = Box::leak(Box::new(State::default()));
    state.image = found.name.into();
    state.image_id = found.id.into();
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
fn labels(options: Options) -> Result<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match labels.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value.to_string(),
        None => labels.push((name.to_string(), value.to_string())),
    };
    for path in &options.record.label_files {
        let _why = because("read labels from a file (--label-file)");
        let content = file::read_file(fd::CWD, file::path(path)?, 4 << 20)
            .map_err(|error| error.option("--label-file").hint("accepted: a file of NAME=VALUE lines"))?;
        for label in parse_label_file(path, &content)? {
            set(label.name, label.value);
        }
    }
    for label in &options.record.labels {
        set(label.name, label.value);
    }
    Ok(labels)
}

/// The first process of a container that runs.
pub(super) fn process_of(bundles: &Bundles, name: &str) -> Result<u32> {
    let seen = Seen::look(bundles, bundles.find(name)?)?;
    match seen.filter(|seen| seen.condition.is_running()) {
        Some(seen) => Ok(seen.state.pid),
        None => Err(Error::new(text!("container {name} does not run")).hint("its namespaces went with it")),
    }
}
