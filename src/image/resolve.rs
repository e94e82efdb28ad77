//! Paths inside a tree that is not trusted: links lead to where they would lead if the tree were the root.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, file};

/// How an opened directory is used: its entries are made, and its times are set.
const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY;
/// Links followed on the way to one file, `MAXSYMLINKS` in `linux/namei.h`.
const MAX_LINKS: u32 = 40;

/// A name in an open directory, and what bears it.
pub struct Place {
    /// The directory.
    pub dir: Fd,
    /// The name; `.` for the directory itself.
    pub name: CString,
    /// What is there; nothing if the name is free.
    pub stat: Option<Box<Statx>>,
}

impl Place {
    /// Whether something is there whose kind is `kind` (`S_IFDIR`, ...).
    #[must_use]
    pub fn is(&self, kind: u32) -> bool {
        self.stat.as_ref().is_some_and(|stat| u32::from(stat.mode) & libc::S_IFMT == kind)
    }
}

/// Finds a path below `root`, links on the way followed within, and with `follow` the one at its end; nothing if there is no
/// directory that could hold it.
///
/// # Errors
/// A part that is no directory, or a loop of links.
pub fn find(root: FdRef<'_>, path: &[u8], follow: bool) -> Result<Option<Place>> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        while path.last() == Some(&b'/') {
            path.pop();
        }
        let (parent, name) = split(&path);
        // These lead to a directory in one that is not known yet.
        let (parent, name) = if matches!(name, b"" | b"." | b"..") { (&path[..], &b"."[..]) } else { (parent, name) };
        let name = file::owned_path(name)?;
        let Some(dir) = open(root, parent)? else { return Ok(None) };
        let stat = match file::stat(dir.by_ref(), &name) {
            Err(error) if error.is(Errno::ENOENT) => None,
            result => Some(result?),
        };
        let place = Place { dir, name, stat };
        if !follow || !place.is(libc::S_IFLNK) {
            return Ok(Some(place));
        }
        let target = file::readlink(place.dir.by_ref(), &place.name)?.into_bytes();
        path = if target.starts_with(b"/") { target } else { [parent, b"/", &target].concat() };
    }
    Err(too_many_links(&path))
}

fn too_many_links(path: &[u8]) -> Error {
    Error::os(Errno::ELOOP, phrase!("open"), path.escape_ascii())
}

/// Opens the directory `path` below `root`, links followed within; nothing if it does not exist.
///
/// # Errors
/// A part that is no directory, or a loop of links.
pub fn open(root: FdRef<'_>, path: &[u8]) -> Result<Option<Fd>> {
    if path.is_empty() {
        return file::open(root, c".", DIRECTORY).map(Some);
    }
    if weak!("resolve") {
        let opened = file::open(root, &file::owned_path(path)?, DIRECTORY);
        return if opened.as_ref().is_err_and(|error| error.is(Errno::ENOENT)) { Ok(None) } else { opened.map(Some) };
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
    walk(root, path, true)?.ok_or_else(|| Error::os(Errno::ENOENT, phrase!("make directory"), path.escape_ascii()))
}

/// Follows `path` component by component, each opened in the one before and never through a link: what somebody swaps
/// meanwhile can't lead out either, since links are read and followed here, and `..` goes back on the way that was taken.
#[inline(never)]
pub(super) fn walk(root: FdRef<'_>, path: &[u8], make: bool) -> Result<Option<Fd>> {
    let mut here = step(root, c".")?;
    // The way that was taken, which holds no link, and the one still to go.
    let (mut done, mut rest) = (Vec::new(), path.to_vec());
    let mut links = 0;
    loop {
        let start = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
        let end = rest[start..].iter().position(|byte| *byte == b'/').map_or(rest.len(), |length| start + length);
        let name = file::owned_path(&rest[start..end])?;
        match name.as_bytes() {
            // The way may lead through directories that this user must not list.
            b"" => return file::open(here.by_ref(), c".", DIRECTORY).map(Some),
            b".." => {
                done.truncate(done.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                here = again(root, &done)?;
                rest.drain(..end);
                continue;
            }
            _ => {}
        }
        let error = match step(here.by_ref(), &name) {
            Ok(next) => {
                here = next;
                if name.as_bytes() != b"." {
                    done.push(b'/');
                    done.extend_from_slice(name.as_bytes());
                }
                rest.drain(..end);
                continue;
            }
            Err(error) => error,
        };
        if error.is(Errno::ENOENT) {
            if !make {
                return Ok(None);
            }
            file::mkdir_if_missing(here.by_ref(), &name, 0o755)?;
            continue;
        }
        // A link, or something that is no directory.
        let mut target = file::readlink(here.by_ref(), &name).map_err(|_| error)?.into_bytes();
        links += 1;
        if links > MAX_LINKS {
            return Err(too_many_links(path));
        }
        if target.starts_with(b"/") {
            done.clear();
            here = step(root, c".")?;
        }
        target.extend_from_slice(&rest[end..]);
        rest = target;
    }
}

fn step(dir: FdRef<'_>, name: &CStr) -> Result<Fd> {
    file::open(dir, name, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}

/// Goes a way again from its beginning.
fn again(root: FdRef<'_>, done: &[u8]) -> Result<Fd> {
    let mut here = step(root, c".")?;
    for name in components(done) {
        here = step(here.by_ref(), &file::owned_path(name)?)?;
    }
    Ok(here)
}

/// Splits a path into its directory and its last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|&byte| byte == b'/').map_or((&[], path), |at| (&path[..at], &path[at + 1..]))
}

/// The names in a path, without the empty ones and `.`.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
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
        if component == b".." && !weak!("resolve") {
            return Err(Error::new(phrase!("the archive holds a name that leads upwards with `..`"))
                .hint(phrase!("archives with such names are refused: they try to write outside the root")));
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    if path.len() > LONGEST {
        return Err(Error::os(Errno::ENAMETOOLONG, phrase!("the archive holds a name of more than 4095 bytes"), ""));
    }
    Ok(path)
}
