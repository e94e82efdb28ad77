//! What is written down of a container besides its specification: `state.json`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Options;
use super::environment::option_file;
use super::image::Found;
use crate::base::error::Result;
use crate::base::keep::Kept;
use crate::cli::flags::Id;
use crate::cli::options::files::parse_label_file;
use crate::cli::options::network::exposed;
use crate::cli::options::{Setting, label as label_of};
use crate::container::life;
use crate::container::state::State;
use crate::sys::{because, process};

/// What is known of a container before it is started; files of labels are read.
#[inline(never)]
pub(super) fn prepared(options: Options, found: &'static Found) -> Result<Kept<Box<State>>> {
    let mut state: Kept<Box<State>> = Kept::default();
    state.image = found.name;
    state.image_id = found.id;
    state.created = life::now();
    state.remove = options.parsed.on(Id::Remove);
    // Should this process be killed before there is a monitor, this tells that it was not `create`.
    state.owner = if options.parsed.on(Id::Detach) { process::getpid() } else { 0 };
    state.tty = options.parsed.on(Id::Tty);
    state.labels = labels(options, found)?;
    state.exposed = exposed(options.parsed, &found.exposed);
    Ok(state)
}

/// Labels of the image, of files, then those of the command line.
fn labels(options: Options, found: &'static Found) -> Result<Vec<(&'static str, &'static str)>> {
    let mut labels = Vec::new();
    for (name, value) in found.labels {
        // An object has each name once.
        labels.extend(value.as_str().map(|value| (*name, value)));
    }
    for path in options.parsed.all(Id::LabelFile) {
        let _why = because!("read labels from a file (--label-file)");
        for label in parse_label_file(path, option_file(path, "--label-file")?)? {
            set(&mut labels, label);
        }
    }
    for label in options.parsed.texts(Id::Label) {
        if let Some(label) = label_of(label) {
            set(&mut labels, label);
        }
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
