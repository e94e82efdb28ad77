//! Owners of a tree that is to be a container's own, where mounts can't map them.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::copy::Identity;
use crate::base::error::{Error, Result};
use crate::sys::{FdRef, file, ledger};

/// A part of a map: the first ID inside, the first outside, and how many.
pub type Part = (u32, u32, u32);

/// Gives everything in a tree, which nobody else changes, to whoever the map has in its owner's place.
///
/// # Errors
/// An owner that the map does not have; chown(2).
pub fn shift_owners(tree: FdRef<'_>, uids: &[Part], gids: &[Part]) -> Result<()> {
    let mut shift = Shift { uids, gids, linked: Vec::new() };
    shift.one(tree, c"")?;
    shift.directory(tree)
}

struct Shift<'a> {
    uids: &'a [Part],
    gids: &'a [Part],
    /// Files with several names that were met.
    linked: Vec<Identity>,
}

impl Shift<'_> {
    fn directory(&mut self, directory: FdRef<'_>) -> Result<()> {
        for entry in file::list(directory)? {
            if self.one(directory, &entry.name)? {
                let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
                let inner = file::open(directory, &entry.name, flags)?;
                self.directory(inner.by_ref())?;
            }
        }
        ledger::relieve();
        Ok(())
    }

    /// Whether it is a directory.
    fn one(&mut self, directory: FdRef<'_>, name: &CStr) -> Result<bool> {
        let stat = file::stat(directory, name)?;
        let (kind, mode) = (u32::from(stat.mode) & libc::S_IFMT, u32::from(stat.mode) & 0o7777);
        if stat.nlink > 1 && kind != libc::S_IFDIR {
            let key = (stat.dev_major, stat.dev_minor, stat.ino);
            if self.linked.contains(&key) {
                return Ok(false);
            }
            self.linked.push(key);
        }
        let (uid, gid) = (map(self.uids, stat.uid)?, map(self.gids, stat.gid)?);
        if name.is_empty() {
            file::chown(directory, uid, gid)?;
        } else {
            file::chown_at(directory, name, uid, gid)?;
        }
        // A change of owner takes them away, chown(2).
        if mode & 0o6000 != 0 && kind == libc::S_IFREG {
            file::chmod_at(directory, name, mode)?;
        }
        Ok(kind == libc::S_IFDIR)
    }
}

fn map(parts: &[Part], id: u32) -> Result<u32> {
    let within = |part: &&Part| id >= part.0 && id - part.0 < part.2;
    match parts.iter().find(within) {
        Some(&(inside, outside, _)) => Ok(outside + (id - inside)),
        None => Err(Error::new(say!("a file belongs to ID {}, which the user namespace does not have", id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_part_of_the_map_makes_of_it() {
        let parts = [(0, 5000, 10), (20, 1, 1)];
        assert_eq!(map(&parts, 0), Ok(5000));
        assert_eq!(map(&parts, 9), Ok(5009));
        assert_eq!(map(&parts, 20), Ok(1));
        assert!(map(&parts, 10).is_err() && map(&parts, 21).is_err() && map(&[], 0).is_err());
    }
}
