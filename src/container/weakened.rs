//! How others set a container up, for the tests to attack: in the host's root, by paths below the container's.

use core::sync::atomic::{AtomicBool, Ordering};

use super::plan::Action;
use crate::base::error::Result;
use crate::kernel::mounts;
use crate::sys::file;

/// Whether the root was changed.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The action as it is done before the change of root, which is made at the last moment.
///
/// # Errors
/// That of the change of root.
pub fn late(action: &Action) -> Result<Action> {
    let mut action = *action;
    if !weak!("root") {
        return Ok(action);
    }
    match &mut action {
        Action::Attach { target: path, .. }
        | Action::Filesystem { target: path, .. }
        | Action::Fill { path, .. }
        | Action::Directory { path }
        | Action::Device { path, .. }
        | Action::Link { path, .. } => *path = file::path([b".", path.to_bytes()].concat())?,
        // Of those that are made read-only the root is the last.
        Action::Seal { path } if *path != c"/" => {}
        Action::Become { .. } | Action::Console { .. } | Action::MakeWorkingDirectory { .. } | Action::Seal { .. }
            if !ENTERED.swap(true, Ordering::Relaxed) =>
        {
            mounts::enter()?;
        }
        _ => {}
    }
    Ok(action)
}
