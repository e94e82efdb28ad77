//! What a container has changed in its root: its upper directory, or its whole tree, against the layers below.

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::error::Result;
use crate::base::sort::sort;
use crate::image::walk::is_opaque;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, file, ledger};

/// A path and what became of it: `A`dded, `C`hanged or `D`eleted, docker's letters.
pub type Change = (Vec<u8>, u8);

/// Lists the changes, sorted by path. A directory counts as changed if something in it is, or if its mode, owner or time are.
/// Empty files and directories that are `places` to mount on are no changes. With `whole`, `upper` is no overlay's upper
/// directory but a tree that began as a copy of what is `below`.
///
/// # Errors
/// What can't be listed.
pub fn list(upper: FdRef<'_>, below: FdRef<'_>, places: &[&str], whole: bool) -> Result<Vec<Change>> {
    let mut changes = Changes { places, whole, found: Vec::new(), path: Vec::new() };
    changes.directory(upper, Some(below), whole || is_opaque(upper))?;
    sort(&mut changes.found, |one, other| one.0 < other.0);
    Ok(changes.found)
}

struct Changes<'a> {
    places: &'a [&'a str],
    whole: bool,
    found: Vec<Change>,
    path: Vec<u8>,
}

impl Changes<'_> {
    fn note(&mut self, letter: u8) {
        self.found.push((self.path.clone(), letter));
    }

    /// Goes through a directory; whether there were places to mount on, whose making changed its time. In an `opaque` one
    /// nothing of the layers below shows.
    fn directory(&mut self, upper: FdRef<'_>, below: Option<FdRef<'_>>, opaque: bool) -> Result<bool> {
        let (length, mut placed) = (self.path.len(), false);
        let at = |changes: &mut Self, name: &CStr| {
            changes.path.truncate(length);
            changes.path.push(b'/');
            changes.path.extend_from_slice(name.to_bytes());
        };
        let names = file::list(upper)?;
        for entry in &names {
            at(self, &entry.name);
            placed |= self.member(upper, below, &entry.name, opaque)?;
        }
        if let Some(below) = below.filter(|_| opaque) {
            for old in file::list(below)?.iter().filter(|old| !names.iter().any(|new| new.name == old.name)) {
                at(self, &old.name);
                self.note(b'D');
            }
        }
        self.path.truncate(length);
        ledger::relieve();
        Ok(placed)
    }

    /// Compares one name; whether it is a place to mount on.
    #[inline(never)]
    fn member(&mut self, upper: FdRef<'_>, below: Option<FdRef<'_>>, name: &CStr, opaque: bool) -> Result<bool> {
        let new = file::stat(upper, name)?;
        let old = below.and_then(|below| file::stat(below, name).ok());
        let is_place = self.places.iter().any(|place| place.as_bytes() == self.path);
        let letter = if old.is_some() { b'C' } else { b'A' };
        if kind(&new) != libc::S_IFDIR {
            if self.whole && old.as_ref().is_some_and(|old| is_same(old, &new)) {
                return Ok(false);
            }
            if !self.whole && kind(&new) == libc::S_IFCHR && (new.rdev_major, new.rdev_minor) == (0, 0) {
                // overlayfs.rst: what takes a name of the layers below away.
                if old.is_some() {
                    self.note(b'D');
                }
            } else if !is_place || new.size > 0 || kind(&new) != libc::S_IFREG {
                self.note(letter);
            } else {
                return Ok(true);
            }
            return Ok(false);
        }
        let was_directory = old.as_ref().filter(|old| kind(old) == libc::S_IFDIR);
        let inner = open(upper, name)?;
        let inner_below = was_directory.zip(below).map(|(_, below)| open(below, name)).transpose()?;
        let before = self.found.len();
        let opaque = opaque || is_opaque(inner.by_ref());
        let placed = self.directory(inner.by_ref(), inner_below.as_ref().map(Fd::by_ref), opaque)?;
        let changed = self.found.len() > before;
        if old.is_none() && !changed && (is_place || placed) {
            return Ok(true);
        }
        if changed || was_directory.is_none_or(|old| is_other(old, &new, placed)) {
            self.note(letter);
        }
        Ok(false)
    }
}

/// Whether a directory itself was changed; `placed` if its time means nothing.
fn is_other(old: &Statx, new: &Statx, placed: bool) -> bool {
    let time = |stat: &Statx| if placed { (0, 0) } else { (stat.mtime.secs, stat.mtime.nanos) };
    (old.mode, old.uid, old.gid, time(old)) != (new.mode, new.uid, new.gid, time(new))
}

/// Whether a file is what it was, as far as can be seen without reading it.
fn is_same(old: &Statx, new: &Statx) -> bool {
    let device = |stat: &Statx| (stat.rdev_major, stat.rdev_minor);
    !is_other(old, new, false) && (old.size, device(old)) == (new.size, device(new))
}

fn kind(stat: &Statx) -> u32 {
    u32::from(stat.mode) & libc::S_IFMT
}

fn open(dir: FdRef<'_>, name: &CStr) -> Result<Fd> {
    file::open(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}
