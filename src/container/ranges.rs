//! Ranges of user and group IDs, one for each container with a user namespace of its own (`--userns auto`).
//!
//! ```text
//! ranges/FIRST    the ID of the container that has the range that begins with this ID
//! ```
//!
//! Such a file is made exclusively, so no two containers have the same range, and goes with the container.

use alloc::vec::Vec;

use super::bundle::Bundles;
use super::launch::{RANGE, annotation};
use super::spec::Spec;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::decimal_u32;
use crate::kernel::users;
use crate::sys::{FdRef, because, fd, file};

/// How many IDs a container has: as many as there are 16-bit ones.
pub const COUNT: u32 = 1 << 16;

/// What systemd's list of user IDs leaves to nobody, and no tool gives to users: `0x7000_0000` to `0x7fef_ffff`.
const UNUSED: (u32, u32) = (0x7000_0000, 0x0ff0_0000);

/// The directory.
const DIRECTORY: &core::ffi::CStr = c"ranges";

/// The ranges to choose from, as the first of each: those that `/etc/subuid` and `/etc/subgid` both leave to vial or to
/// containers, or the unused ones.
fn candidates() -> Vec<(u32, u32)> {
    let read = |path| {
        let text = file::read_file(fd::CWD, path, 1 << 20).unwrap_or_default();
        let text = keep::lossy(text.leak());
        let own = users::subordinate(text, "vial", u32::MAX);
        if own.is_empty() { users::subordinate(text, "containers", u32::MAX) } else { own }
    };
    let (uids, gids) = (read(c"/etc/subuid"), read(c"/etc/subgid"));
    let mut both = Vec::new();
    for range in uids {
        if range.1 >= COUNT && gids.contains(&range) {
            both.push(range);
        }
    }
    if both.is_empty() {
        both.push(UNUSED);
    }
    both
}

/// Gives a container a free range; its first ID.
///
/// # Errors
/// All are taken.
pub fn lease(root: FdRef<'_>, id: &str) -> Result<u32> {
    let _why = because!("find a range of IDs that no other container has");
    file::mkdir_if_missing(root, DIRECTORY, 0o700)?;
    let candidates = candidates();
    let total: u32 = candidates.iter().map(|(_, count)| count / COUNT).sum();
    // IDs are random, so that two containers seldom try the same one.
    let start = id.get(..8).and_then(|head| u32::from_str_radix(head, 16).ok()).unwrap_or(0);
    for step in 0..total {
        let mut place = start.wrapping_add(step) % total;
        for &(first, count) in &candidates {
            let here = count / COUNT;
            if place >= here {
                place -= here;
                continue;
            }
            let first = first + place * COUNT;
            match take(root, first, id) {
                Err(error) if error.is(Errno::EEXIST) => {}
                result => return result.map(|()| first),
            }
            break;
        }
    }
    Err(Error::new(phrase!("all ranges of user IDs are taken"))
        .hint(phrase!("vial ps -a lists the containers; more ranges: lines such as vial:1000000000:655360 in /etc/subuid and /etc/subgid")))
}

/// Writes down who has a range, in one step: whose it is shows in what a link points to.
fn take(root: FdRef<'_>, first: u32, id: &str) -> Result<()> {
    file::symlink(file::path(id)?, root, file::path(join!("ranges/{}", first))?)
}

/// Gives back the range of a container by what its specification says.
///
/// # Errors
/// What the file system refuses.
pub fn release(root: FdRef<'_>, range: &str, id: &str) -> Result<()> {
    if decimal_u32(range).is_none() {
        return Ok(());
    }
    let path = file::path(join!("ranges/{}", range))?;
    match file::readlink(root, path) {
        Ok(owner) if owner.to_bytes() == id.as_bytes() => file::unlink(root, path),
        _ => Ok(()),
    }
}

/// The same by the specification itself.
///
/// # Errors
/// What the file system refuses.
pub fn release_of(root: FdRef<'_>, spec: &Spec, id: &str) -> Result<()> {
    release(root, annotation(spec, RANGE), id)
}

/// Gives back the ranges of containers that are gone; the first ID of each. With `dry` only tells.
///
/// # Errors
/// What the file system refuses.
pub fn collect(root: FdRef<'_>, bundles: &Bundles, dry: bool) -> Result<Vec<&'static str>> {
    let mut freed = Vec::new();
    if !file::exists(root, DIRECTORY) {
        return Ok(freed);
    }
    let directory = file::open(root, DIRECTORY, libc::O_RDONLY | libc::O_DIRECTORY)?;
    for entry in file::list(directory.by_ref())? {
        let Ok(owner) = file::readlink(directory.by_ref(), &entry.name) else { continue };
        if bundles.look(keep::lossy(owner.to_bytes()))?.is_some() {
            continue;
        }
        if !dry {
            file::unlink(directory.by_ref(), &entry.name)?;
        }
        freed.push(keep::copy(&entry.name.to_string_lossy()));
    }
    Ok(freed)
}
