//! What is written down of a container besides its specification: `state.json`.

use alloc::string::{String, ToString};

use super::image::Found;
use crate::base::error::{Error, Result};
use crate::base::json::{Value, object};
use crate::cli::options::RunOptions;
use crate::cli::options::files::parse_label_file;
use crate::container::bundle::{self, Bundle, Bundles};
use crate::sys::process::{self, Ended};
use crate::sys::{because, fd, file};

fn now() -> Value {
    process::clock(libc::CLOCK_REALTIME).rfc3339().into()
}

/// The state of a container whose workload has just been executed.
pub(super) fn started(
    bundle: &Bundle,
    options: &RunOptions<'_>,
    found: &Found,
    pid: u32,
    volumes: &[String],
) -> Result<Value> {
    let _why = because("write down that the container runs");
    Ok(object([
        ("id", bundle.id.as_str().into()),
        ("name", bundle.name.as_str().into()),
        ("image", found.name.as_str().into()),
        ("imageId", found.id.as_str().into()),
        ("command", super::texts(super::lossy(&super::command(options, found)?))),
        ("status", "running".into()),
        ("pid", pid.into()),
        ("started", now()),
        ("remove", options.record.remove.into()),
        ("tty", options.tty.into()),
        ("labels", labels(options)?),
        ("volumes", super::texts(volumes.iter().cloned())),
    ]))
}

/// The same once the workload has ended.
pub(super) fn ended(mut state: Value, ended: Ended, oom_killed: bool) -> Value {
    let _why = because("write down how the container ended");
    state.set("status", "exited".into());
    state.set("pid", 0u32.into());
    state.set("finished", now());
    state.set("exitCode", u32::from(ended.code()).into());
    state.set("oomKilled", oom_killed.into());
    state
}

/// Labels of files, then those of the command line.
fn labels(options: &RunOptions<'_>) -> Result<Value> {
    let mut labels = object([]);
    for path in &options.record.label_files {
        let content = file::read_file(fd::CWD, &file::path(*path)?, 4 << 20)?;
        for label in parse_label_file(path, &content)? {
            labels.set(label.name, label.value.into());
        }
    }
    for label in &options.record.labels {
        labels.set(label.name, label.value.into());
    }
    Ok(labels)
}

/// The first process of a container that runs.
pub(super) fn process_of(bundles: &Bundles, name: &str) -> Result<u32> {
    let (id, name) = bundles.find(name)?;
    let (directory, free) = bundles.take(&id)?;
    let state = bundle::read_json(directory.by_ref(), c"state.json")?;
    let pid = state.as_ref().and_then(|state| state.get("pid")).and_then(Value::as_u64).unwrap_or(0) as u32;
    if free || pid == 0 {
        return Err(
            Error::new(alloc::format!("container {name} does not run")).hint("its namespaces went with it".to_string())
        );
    }
    Ok(pid)
}
