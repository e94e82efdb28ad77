//! `vial rm`: removes containers.

use super::context::Context;
use super::flags::Id;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::text;
use crate::container::bundle::{Bundles, read_json};
use crate::container::remains::{self, With};
use crate::container::state::{State, Status};
use crate::sys::{Fd, because, process};

/// Rounds of 5 ms after which an owner whose container was killed, but that does not go, is given up.
const ROUNDS: u32 = 2000;

/// Removes containers; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let root = context.open_root()?;
    let bundles = Bundles::open(root.by_ref())?;
    let code = super::each(&parsed.positionals, &mut |wanted| {
        let (id, name) = match bundles.search(wanted)? {
            Some(found) => found,
            None if parsed.on(Id::ForceRemove) => return Ok(()),
            None => bundles.find(wanted)?,
        };
        if let Some(directory) = take(&bundles, id, wanted, parsed.on(Id::ForceRemove))? {
            let config = config(&directory);
            let mut state = State::load(directory.by_ref()).unwrap_or_default();
            let mut volumes = true;
            if let Some(state) = &mut state {
                // From here on a kill leaves something for `vial gc` to finish.
                volumes = parsed.on(Id::RemoveVolumes) || (state.remove && !state.keep_volumes);
                (state.remove, state.keep_volumes) = (true, !volumes);
                state.save(directory.by_ref())?;
            }
            let with = With { config: config.as_ref(), state: state.as_deref(), volumes };
            remains::discard(root.by_ref(), &bundles, (id, name), &with)?;
        }
        super::print_line(wanted)
    });
    Ok(code)
}

/// The `config.json` of a container that is to go, as far as there is one.
fn config(directory: &Fd) -> Option<Value> {
    read_json(directory.by_ref(), c"config.json").unwrap_or_default()
}

/// Takes the container's lock, with `force` by killing what runs, so that the owner ends; `None` if the container went then.
#[inline(never)]
fn take(bundles: &Bundles, id: &str, wanted: &str, force: bool) -> Result<Option<Fd>> {
    let _why = because("make sure that no process owns the container");
    for _ in 0..ROUNDS {
        let Some((directory, free)) = bundles.take(id)? else { return Ok(None) };
        if free {
            return Ok(Some(directory));
        }
        let state = State::load(directory.by_ref())?;
        let runs = match state.as_ref().map(|state| state.status) {
            Some(Status::Running) => "running",
            Some(Status::Created) | None => "being started",
            // The owner is about to end.
            Some(Status::Exited) => "",
        };
        if !runs.is_empty() && !force {
            return Err(Error::new(text!("cannot remove container {wanted}: container is {runs}"))
                .hint(text!("stop the container before removing it, or force: vial rm -f {wanted}")));
        }
        if !runs.is_empty()
            && let Some(config) = config(&directory)
        {
            remains::kill(&config, id, &state.unwrap_or_default())?;
        }
        drop(directory);
        process::sleep(5);
    }
    Err(Error::new(text!("cannot remove container {wanted}: the vial process that it belongs to does not end"))
        .hint("is it stopped, or traced?"))
}
