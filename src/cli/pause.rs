//! `vial pause` and `vial unpause`.

use super::context::Context;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep::text;
use crate::container::bundle::Bundles;
use crate::container::state::{PAUSED, Seen};
use crate::sys::{because, file};

/// Finds a container that runs.
///
/// # Errors
/// There is none of this name, it does not run, or its state can't be told.
pub(super) fn running(bundles: &Bundles, wanted: &str) -> Result<Seen> {
    match Seen::look(bundles, bundles.find(wanted)?)? {
        Some(Seen { problem: Some(problem), .. }) => Err(problem),
        Some(seen) if seen.condition.is_running() => Ok(seen),
        _ => Err(is_not(wanted, "running")),
    }
}

fn is_not(wanted: &str, what: &str) -> Error {
    Error::new(text!("container {wanted} is not {what}"))
}

/// Freezes each container or lets it go on, and prints its name as it was given.
pub(super) fn pause(context: &Context<'_>, freeze: bool) -> Result<u8> {
    let bundles = Bundles::open(context.open_root()?.by_ref())?;
    Ok(super::each(&context.parsed.positionals, &mut |wanted| {
        let _why = because(if freeze { "freeze the container's processes" } else { "let the container go on" });
        let seen = running(&bundles, wanted)?;
        let directory = seen.directory.by_ref();
        let marked = file::exists(directory, PAUSED);
        let group = seen.group()?;
        if freeze {
            if marked && group.is_frozen()? {
                return Err(Error::new(text!("container {wanted} is already paused"))
                    .hint(text!("vial unpause {wanted} lets it go on")));
            }
            // Before, so that whatever is frozen is known to be, even if vial is killed here.
            file::write_file(directory, PAUSED, b"", 0o600)?;
        } else if !marked {
            return Err(is_not(wanted, "paused"));
        }
        let result = group.freeze(freeze);
        if !freeze || result.is_err() {
            // It may have gone with the container.
            let _ = file::unlink(directory, PAUSED);
        }
        match result {
            // Its group went meanwhile.
            Err(error) if error.is(Errno::ENOENT) || error.is(Errno::ENODEV) => Err(is_not(wanted, "running")),
            Err(error) => Err(error),
            Ok(()) => super::print(&[wanted, "\n"].concat()),
        }
    }))
}
