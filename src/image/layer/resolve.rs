//! Paths inside a tree that is not trusted: links lead to where they would lead if the tree were the root.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, FdRef, file};

/// How an opened directory is used: its entries are made, and its times are set.
const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY;
/// Links followed on the way to one file, `MAXSYMLINKS` in `linux/namei.h`.
const MAX_LINKS: u32 = 40;

/// Opens the directory `path` (clean, relative) below `root`, links followed within; nothing if it does not exist.
///
/// # Errors
/// A part that is no directory, or a loop of links.
pub(super) fn open(root: FdRef<'_>, path: &[u8]) -> Result<Option<Fd>> {
    if path.is_empty() {
        return file::open(root, c".", DIRECTORY).map(Some);
    }
    let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    match file::openat2(root, &file::owned_path(path)?, DIRECTORY, resolve) {
        Err(error) if error.is(Errno::ENOENT) => Ok(None),
        // Before Linux 5.6, or where a seccomp filter does not know the call; EAGAIN when something was renamed meanwhile.
        Err(error) if [Errno::ENOSYS, Errno::EPERM, Errno::EAGAIN].contains(&error.errno()) => walk(root, path, false),
        result => result.map(Some),
    }
}

/// Likewise, and makes the directories that are missing, also behind links that lead nowhere yet.
///
/// # Errors
/// As for [`open`], and mkdir(2).
pub(super) fn make(root: FdRef<'_>, path: &[u8]) -> Result<Fd> {
    walk(root, path, true)?.ok_or_else(|| Error::os(Errno::ENOENT, "make directory", path.escape_ascii()))
}

/// Follows `path` link by link. `done` holds no link at any time, so that nothing can lead out of the root; this relies on
/// nobody else changing the tree, which lies in a directory that only its owner enters.
#[inline(never)]
pub(super) fn walk(root: FdRef<'_>, path: &[u8], make: bool) -> Result<Option<Fd>> {
    let mut done: Vec<u8> = Vec::new();
    // Components still to come, the next one last.
    let mut rest: Vec<Vec<u8>> = components(path).rev().map(<[u8]>::to_owned).collect();
    let mut links = 0;
    while let Some(component) = rest.pop() {
        if component == b".." {
            done.truncate(done.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
            continue;
        }
        let parent = done.len();
        if parent != 0 {
            done.push(b'/');
        }
        done.extend_from_slice(&component);
        let place = file::owned_path(&done)?;
        match file::readlink(root, &place) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::os(Errno::ELOOP, "open", path.escape_ascii()));
                }
                let target = target.into_bytes();
                done.truncate(if target.starts_with(b"/") { 0 } else { parent });
                rest.extend(components(&target).rev().map(<[u8]>::to_owned));
            }
            // Not a link. Whether it is a directory shows when it is used as one.
            Err(error) if error.is(Errno::EINVAL) => {}
            Err(error) if error.is(Errno::ENOENT) && make => file::mkdir(root, &place, 0o755)?,
            Err(error) if error.is(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let place = if done.is_empty() { c".".to_owned() } else { file::owned_path(&done)? };
    file::open(root, &place, DIRECTORY | libc::O_NOFOLLOW).map(Some)
}

/// The names in a path, without the empty ones and `.`.
pub(super) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !matches!(name, [] | [b'.']))
}

/// A name from an archive as a path below the root: without leading slashes, `.` and empty parts.
///
/// # Errors
/// A `..` in it, and a name longer than a path may be.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>> {
    /// `PATH_MAX` without the final zero byte.
    const LONGEST: usize = 4095;
    let mut path = Vec::with_capacity(name.len());
    for component in components(name) {
        if component == b".." {
            return Err(Error::new("the archive holds a name that leads upwards with `..`")
                .hint("archives with such names are refused: they try to write outside the root"));
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    if path.len() > LONGEST {
        return Err(Error::os(Errno::ENAMETOOLONG, "the archive holds a name of more than 4095 bytes", ""));
    }
    Ok(path)
}
