//! Owners of a tree that is to be a container's own, where mounts can't map them.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::copy::Identity;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::sys::fd::{CWD, Fd};
use crate::sys::uapi::Statx;
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
        let (uid, gid) = (outside(self.uids, stat.uid)?, outside(self.gids, stat.gid)?);
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

/// Directories of a host whose files are the system's, or everybody's.
const SYSTEM: &str = "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr \
                      /usr/bin /usr/include /usr/lib /usr/lib32 /usr/lib64 /usr/libexec /usr/local /usr/sbin /usr/share /usr/src \
                      /var /var/cache /var/lib /var/log /var/run /var/spool /var/tmp";

/// What tells a file from others.
fn identity(stat: &Statx) -> Identity {
    (stat.dev_major, stat.dev_minor, stat.ino)
}

/// A directory on the way down: what it is, and the directories in it that are still to be gone through.
type Level = (Identity, Vec<CString>);

const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Gives everything in a tree to a user and a group, following no link. Other processes may change the tree meanwhile: each
/// directory is opened in the one above, and the way back is compared with the way down. However deep it is, two are open.
///
/// # Errors
/// It is, or has in it, a directory of the system's; chown(2); `ESTALE` if something was moved.
pub fn give_tree(tree: FdRef<'_>, uid: u32, gid: u32) -> Result<()> {
    let mut system = Vec::new();
    for path in SYSTEM.words() {
        if let Ok(stat) = file::stat_follow(CWD, file::path(path)?) {
            system.push((identity(&stat), path));
        }
    }
    let give = |directory: FdRef<'_>, name: &CStr| -> Result<Option<Identity>> {
        let stat = match file::stat(directory, name) {
            // Somebody has removed it.
            Err(error) if error.is(Errno::ENOENT) => return Ok(None),
            result => result?,
        };
        let identity = identity(&stat);
        if let Some((_, path)) = system.iter().find(|(known, _)| *known == identity) {
            return Err(Error::new(say!("{} is the system's, and is not given away", path)).hint(phrase!(
                "the option U changes the owner of everything below a volume; name a directory of its own"
            )));
        }
        if (stat.uid, stat.gid) != (uid, gid) {
            match file::give(directory, name, uid, gid) {
                Err(error) if error.is(Errno::ENOENT) => return Ok(None),
                result => result?,
            }
        }
        Ok((u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR).then_some(identity))
    };
    let below = |directory: FdRef<'_>| -> Result<Vec<CString>> {
        let mut directories = Vec::new();
        for entry in file::list(directory)? {
            if give(directory, &entry.name)?.is_some() {
                directories.push(entry.name);
            }
        }
        ledger::relieve();
        Ok(directories)
    };
    let Some(top) = give(tree, c"")? else { return Ok(()) };
    let mut here = file::open(tree, c".", DIRECTORY)?;
    let mut level: Level = (top, below(here.by_ref())?);
    let mut levels: Vec<Level> = Vec::new();
    loop {
        if let Some(name) = level.1.pop() {
            let inner = match file::open(here.by_ref(), &name, DIRECTORY) {
                // It went, or is something else by now.
                Err(error) if [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].contains(&error.errno()) => continue,
                result => result?,
            };
            // What was opened may be another one than was looked at.
            let Some(own) = give(inner.by_ref(), c"")? else { continue };
            here = inner;
            levels.push(core::mem::replace(&mut level, (own, below(here.by_ref())?)));
        } else if let Some(above) = levels.pop() {
            // There is none if this was moved to where the mount does not reach.
            let outer = match file::open(here.by_ref(), c"..", DIRECTORY) {
                Err(error) if error.is(Errno::ENOENT) => None,
                result => Some(result?),
            };
            let is_same = |outer: &Fd| Ok::<_, Error>(identity(&*file::stat(outer.by_ref(), c"")?) == above.0);
            here = match outer {
                Some(outer) if is_same(&outer)? => outer,
                _ => {
                    return Err(Error::os(Errno::ESTALE, phrase!("set owner of"), "a directory of the volume")
                        .hint(phrase!("something moved it meanwhile")));
                }
            };
            level = above;
        } else {
            return Ok(());
        }
    }
}

/// What an ID of a map is outside.
///
/// # Errors
/// The map does not have it.
pub fn outside(parts: &[Part], id: u32) -> Result<u32> {
    let within = |part: &&Part| id >= part.0 && id - part.0 < part.2;
    match parts.iter().find(within) {
        Some(&(inside, outside, _)) => Ok(outside + (id - inside)),
        None => Err(Error::new(say!(
            "a file belongs, or is to belong, to ID {}, which the user namespace does not have",
            id
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_part_of_the_map_makes_of_it() {
        let parts = [(0, 5000, 10), (20, 1, 1)];
        assert_eq!(outside(&parts, 0), Ok(5000));
        assert_eq!(outside(&parts, 9), Ok(5009));
        assert_eq!(outside(&parts, 20), Ok(1));
        assert!(outside(&parts, 10).is_err() && outside(&parts, 21).is_err() && outside(&[], 0).is_err());
    }
}
