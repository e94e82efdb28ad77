//! `vial pause` and `vial unpause`.

use alloc::boxed::Box;

use super::context::Context;
use super::lifecycle;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::container::state::{Condition, PAUSED, Seen};
use crate::sys::{because, file};

/// Finds a container that runs.
///
/// # Errors
/// There is none of this name, it does not run, or its state can't be told.
pub(super) fn running(context: &Context<'_>, wanted: &str) -> Result<Box<Seen>> {
    let (_, _, seen) = lifecycle::look(context, wanted)?;
    if seen.condition.is_running() { Ok(seen) } else { Err(is_not(wanted, "running")) }
}

/// The error for what can't be done with a container that stands still.
#[cold]
pub(super) fn unpause_first(wanted: &str) -> Error {
    Error::new(say!("container {} is paused", wanted)).hint(say!("let it go on first: vial unpause {}", wanted))
}

/// Lets a paused container go on that is to end.
pub(super) fn let_go_on(seen: &Seen) {
    if seen.condition == Condition::Paused {
        // If it is gone, so much the better.
        let _ = seen.group().and_then(|group| group.freeze(false));
        let _ = file::unlink(seen.directory.by_ref(), PAUSED);
    }
}

fn is_not(wanted: &str, what: &str) -> Error {
    Error::new(say!("container {} is not {}", wanted, what))
}

/// Freezes each container or lets it go on, and prints its name as it was given.
pub(super) fn pause(context: &Context<'_>, freeze: bool) -> u8 {
    super::each(&context.parsed.positionals, &mut |wanted| {
        let _why = because(if freeze {
            phrase!("freeze the container's processes")
        } else {
            phrase!("let the container go on")
        });
        let seen = running(context, wanted)?;
        let directory = seen.directory.by_ref();
        let marked = file::exists(directory, PAUSED);
        let group = seen.group()?;
        if freeze {
            if marked && group.is_frozen()? {
                return Err(Error::new(say!("container {} is already paused", wanted))
                    .hint(say!("vial unpause {} lets it go on", wanted)));
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
    })
}
