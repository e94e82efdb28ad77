//! Labels of `SELinux`'s: that of the workload, which it gets when it is executed, and that of the files of what is mounted for it.

use super::launch;
use super::spec::Spec;
use crate::base::error::{Error, Result};
use crate::base::text::Quoted;
use crate::kernel::security::lsm;
use crate::sys::because;
use crate::sys::cold::Gate;

type Look = fn(&mut Spec) -> Result<Option<Error>>;

static COLD_GATE: Gate<Look> = Gate(look);

/// File systems whose files have no labels on a disk, and get one when they are mounted.
const KINDS: [&str; 2] = ["tmpfs", "devpts"];

/// Makes labels part of the mounts, and sees whether there can be any; a warning if there can't, and are only wanted.
///
/// # Errors
/// The kernel has none; one is malformed.
pub fn apply(spec: &mut Spec) -> Result<Option<Error>> {
    if of_process(spec).is_empty() && of_mounts(spec).is_empty() { Ok(None) } else { COLD_GATE.open()?(spec) }
}

/// That of the workload.
#[must_use]
pub fn of_process(spec: &Spec) -> &'static str {
    spec.process.as_ref().and_then(|process| process.selinux_label).unwrap_or_default()
}

/// That of the files in what is mounted.
#[must_use]
pub fn of_mounts(spec: &Spec) -> &'static str {
    spec.linux.as_ref().and_then(|linux| linux.mount_label).unwrap_or_default()
}

fn look(spec: &mut Spec) -> Result<Option<Error>> {
    let _why = because!("see whether the kernel has the labels that were asked for");
    let (process, mounts) = (of_process(spec), of_mounts(spec));
    for label in [process, mounts] {
        if label.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\')) {
            return Err(Error::new(say!("{} is no SELinux label", Quoted(label))));
        }
    }
    if !lsm::has_selinux()? {
        let error = lsm::no_selinux(if process.is_empty() { mounts } else { process });
        if launch::annotation(spec, launch::BEST_EFFORT).is_empty() {
            return Err(error);
        }
        if let Some(process) = &mut spec.process {
            process.selinux_label = None;
        }
        if let Some(linux) = &mut spec.linux {
            linux.mount_label = None;
        }
        return Ok(Some(error));
    }
    let option = option(mounts);
    for mount in spec.mounts.iter_mut().filter(|mount| mount.kind.is_some_and(|kind| KINDS.contains(&kind))) {
        if !option.is_empty() && !mount.options.iter().any(|option| option.starts_with("context=")) {
            mount.options.push(option);
        }
    }
    Ok(None)
}

/// The option that gives all files of a mount a label, mount(8); in quotes, since a label may have commas. Empty without one.
#[must_use]
pub fn option(label: &str) -> &'static str {
    if label.is_empty() { "" } else { join!("context=\"{}\"", label) }
}
