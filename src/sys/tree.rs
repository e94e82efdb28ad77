//! Whole trees of files.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::fd::{Fd, FdRef};
use super::file::{list, open, rmdir, stat, unlink};
use super::ledger;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};

/// statx(2): the root of a mount (Linux 5.8).
const MOUNT_ROOT: u64 = 0x2000;

/// A directory on the way down.
struct Level {
    name: CString,
    /// What tells it from others: device and inode.
    identity: (u32, u32, u64),
    /// Directories in it that are still there.
    left: Vec<CString>,
}

/// Removes a directory and all below it, never following a link and never leaving the file system by a mount.
///
/// However deep the tree is, two descriptors are open at a time: the way up is `..`, and what is found there is compared
/// with what was left.
///
/// # Errors
/// The first removal that fails; a directory that is not there is none.
pub fn remove_tree(dir: FdRef<'_>, path: &CStr) -> Result<()> {
    match rmdir(dir, path) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(()),
        Err(error) if error.is(Errno::ENOTDIR) => return unlink(dir, path),
        Err(error) if error.is(Errno::ENOTEMPTY) || error.is(Errno::EEXIST) => {}
        result => return result,
    }
    walk(dir, path, true)?;
    rmdir(dir, path)
}

/// How many bytes the files in a directory and in all below it have, without following links. What goes meanwhile is left out.
///
/// # Errors
/// What can't be listed; a directory that was moved while it was looked at.
pub fn tree_size(dir: FdRef<'_>, path: &CStr) -> Result<u64> {
    walk(dir, path, false)
}

const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Goes through all below a directory, and removes it if that is wanted; else how many bytes the files have.
#[inline(never)]
fn walk(dir: FdRef<'_>, path: &CStr, remove: bool) -> Result<u64> {
    let (mut total, mut levels) = (0, Vec::new());
    let mut here = open(dir, path, DIRECTORY)?;
    let mut level = enter(&here, path, remove, &mut total)?;
    loop {
        ledger::relieve();
        if let Some(name) = level.left.pop() {
            if remove {
                match rmdir(here.by_ref(), &name) {
                    Err(error) if error.is(Errno::ENOTEMPTY) || error.is(Errno::EEXIST) => {}
                    result => {
                        result?;
                        continue;
                    }
                }
            }
            here = match open(here.by_ref(), &name, DIRECTORY) {
                Err(_) if !remove => continue,
                below => below?,
            };
            let below = enter(&here, &name, remove, &mut total)?;
            levels.push(core::mem::replace(&mut level, below));
        } else if let Some(above) = levels.pop() {
            here = open(here.by_ref(), c"..", DIRECTORY)?;
            if identity(&here)? != above.identity {
                let operation = if remove { phrase!("remove directory") } else { phrase!("measure directory") };
                return Err(Error::os(Errno::ESTALE, operation, level.name.to_string_lossy())
                    .because(ledger::reason())
                    .hint(phrase!("something moved it meanwhile")));
            }
            if remove {
                rmdir(here.by_ref(), &level.name)?;
            }
            level = above;
        } else {
            return Ok(total);
        }
    }
}

/// Removes all files of a directory, or adds up their bytes; what is left are directories.
#[inline(never)]
fn enter(dir: &Fd, name: &CStr, remove: bool, total: &mut u64) -> Result<Level> {
    let identity = identity(dir)?;
    let mut left = Vec::new();
    for entry in list(dir.by_ref())? {
        let mut is_directory = entry.kind == libc::DT_DIR;
        if !remove {
            let Ok(stat) = stat(dir.by_ref(), &entry.name) else { continue };
            is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
            *total += if is_directory { 0 } else { stat.size };
        } else if !is_directory {
            match unlink(dir.by_ref(), &entry.name) {
                // What unlink(2) says of a directory: Linux the first, POSIX the second.
                Err(error) if entry.kind == libc::DT_UNKNOWN && (error.is(Errno::EISDIR) || error.is(Errno::EPERM)) => {
                    is_directory = true;
                }
                result => result?,
            }
        }
        if is_directory {
            left.push(entry.name);
        }
    }
    Ok(Level { name: name.into(), identity, left })
}

/// Which directory this is; the root of a mount is refused.
fn identity(dir: &Fd) -> Result<(u32, u32, u64)> {
    let stat = stat(dir.by_ref(), c"")?;
    if stat.attributes & MOUNT_ROOT != 0 {
        return Err(Error::os(Errno::EBUSY, phrase!("remove directory"), "that something is mounted on")
            .because(ledger::reason()));
    }
    Ok((stat.dev_major, stat.dev_minor, stat.ino))
}

#[cfg(test)]
mod tests {
    use super::super::file::{self, mkdir, write_file};
    use super::*;

    #[test]
    fn a_tree_deeper_than_the_limit_of_open_files_is_removed() {
        let base = std::env::temp_dir().join(format!("vial-remove-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let top = file::path(base.to_str().unwrap()).unwrap();
        let top = open(super::super::fd::CWD, top, libc::O_RDONLY).unwrap();
        mkdir(top.by_ref(), c"x", 0o700).unwrap();
        write_file(top.by_ref(), c"stays", b"", 0o600).unwrap();
        let mut dir = open(top.by_ref(), c"x", libc::O_RDONLY).unwrap();
        for _ in 0..3000 {
            for name in [c"d", c"e"] {
                mkdir(dir.by_ref(), name, 0o700).unwrap();
            }
            write_file(dir.by_ref(), c"f", b"", 0o600).unwrap();
            file::symlink(c"../../../../stays", dir.by_ref(), c"l").unwrap();
            dir = open(dir.by_ref(), c"d", libc::O_RDONLY).unwrap();
        }
        write_file(dir.by_ref(), c"deep", b"12345", 0o600).unwrap();
        // Links count with the length of what they hold.
        assert_eq!(tree_size(top.by_ref(), c"x").unwrap(), 5 + 3000 * "../../../../stays".len() as u64);
        remove_tree(top.by_ref(), c"x").unwrap();
        let left: Vec<_> = list(top.by_ref()).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, [CString::from(c"stays")]);
        std::fs::remove_dir_all(base).unwrap();
    }
}
