//! Volumes that are given to the container's user (`:U`).

use super::act::Actor;
use super::plan::Gift;
use super::user;
use crate::base::error::Result;
use crate::kernel::mounts::{self, Part};
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::file;

type Give = fn(&Actor<'_>, &Gift) -> Result<()>;

static COLD_GATE: Gate<Give> = Gate(give_all);

/// Gives trees that were taken to the container's user, while this process has the host's rights.
///
/// # Errors
/// There is no such user; what a tree refuses.
pub fn give(actor: &Actor<'_>, gift: &Gift) -> Result<()> {
    COLD_GATE.open()?(actor, gift)
}

fn give_all(actor: &Actor<'_>, gift: &Gift) -> Result<()> {
    let root = file::open(CWD, gift.root, libc::O_PATH | libc::O_DIRECTORY)?;
    let who = user::resolve_in(root.by_ref(), &actor.wanted, actor.default_user)?;
    let outside = |map: &[Part], id| if map.is_empty() { Ok(id) } else { mounts::outside(map, id) };
    let (uid, gid) = (outside(gift.uids, who.uid)?, outside(gift.gids, who.gid)?);
    gift.slots.iter().try_for_each(|slot| mounts::give_tree(actor.tree(*slot)?.file(), uid, gid))
}
