//! What is written down of a container besides its specification: `state.json`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Options;
use super::image::Found;
use crate::base::error::Result;
use crate::cli::options::files::parse_label_file;
use crate::container::life;
use crate::container::state::State;
use crate::sys::{because, fd, file, process};

/// What is known of a container before it is started; files of labels are read.
pub(super) fn prepared(options: Options, found: &Found) -> Result<State> {
    Ok(State {
        image: found.name.into(),
        image_id: found.id.into(),
        created: life::now(),
        remove: options.record.remove,
        // Should this process be killed before there is a monitor, this tells that it was not `create`.
        owner: if options.detach { process::getpid() } else { 0 },
        tty: options.tty,
        labels: labels(options)?,
        ..State::default()
    })
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
