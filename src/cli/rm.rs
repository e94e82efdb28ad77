//! `vial rm`: removes containers.

use super::context::Context;
use super::flags::Id;
use super::lifecycle::mark;
use crate::base::error::{Error, Result};
use crate::container::bundle::Bundles;
use crate::container::monitor::STOPPED;
use crate::container::process;
use crate::container::remains::{self, With};
use crate::container::state::{State, Status};
use crate::sys::{Fd, because, process as kernel};

/// Rounds of 5 ms after which an owner whose container was killed, but that does not go, is given up.
const ROUNDS: u32 = 2000;

/// Removes containers; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let code = super::each(&parsed.positionals, &mut |wanted| {
        let (id, name) = match bundles.search(wanted)? {
            Some(found) => found,
            None if parsed.on(Id::ForceRemove) => return Ok(()),
            None => bundles.find(wanted)?,
        };
        if let Some(directory) = take(&bundles, id, wanted, parsed.on(Id::ForceRemove))? {
            let config = remains::config(directory.by_ref(), id);
            let mut state = State::load(directory.by_ref()).unwrap_or_default();
            let mut volumes = true;
            if let Some(state) = &mut state {
                // From here on a kill leaves something for `vial gc` to finish.
                volumes = parsed.on(Id::RemoveVolumes) || (state.remove && !state.keep_volumes);
                (state.remove, state.keep_volumes) = (true, !volumes);
                state.save(directory.by_ref())?;
            }
            let with = With { config: Some(&config), state: state.as_deref().map(AsRef::as_ref), volumes };
            remains::discard(root, &bundles, (id, name), &with)?;
        }
        super::print_line(wanted)
    });
    Ok(code)
}

/// Takes the container's lock, with `force` by killing what runs, so that the owner ends; `None` if the container went then.
#[inline(never)]
fn take(bundles: &Bundles, id: &str, wanted: &str, force: bool) -> Result<Option<Fd>> {
    let _why = because!("make sure that no process owns the container");
    // One that is being made gets its owner.
    bundles.settle()?;
    for _ in 0..ROUNDS {
        let Some((directory, free)) = bundles.take(id)? else { return Ok(None) };
        let state = match State::load(directory.by_ref()) {
            Err(error) if !free && !force => return Err(error.because(say!("look at container {}", wanted))),
            // Damaged: whatever is known of it, it is to go.
            state => state.unwrap_or_default(),
        };
        if free && !state.as_ref().is_some_and(|state| state.is_orphan()) {
            return Ok(Some(directory));
        }
        let runs = match state.as_ref().map(|state| state.status) {
            Some(Status::Running | Status::Restarting) => "running",
            Some(Status::Created) | None => "being started",
            // The owner is about to end.
            Some(Status::Exited) => "",
        };
        if !runs.is_empty() && !force {
            return Err(Error::new(say!("cannot remove container {}: container is {}", wanted, runs))
                .hint(say!("stop the container before removing it, or force: vial rm -f {}", wanted)));
        }
        if !runs.is_empty() {
            let state = state.unwrap_or_default();
            mark(&directory, STOPPED)?;
            remains::kill(&remains::config(directory.by_ref(), id), id, &state)?;
            if state.status == Status::Restarting {
                process::signal(state.owner, state.owner_start, libc::SIGTERM)?;
            }
        }
        drop(directory);
        kernel::sleep(5);
    }
    Err(Error::new(say!("cannot remove container {}: the vial process that it belongs to does not end", wanted))
        .hint(phrase!("is it stopped, or traced?")))
}
