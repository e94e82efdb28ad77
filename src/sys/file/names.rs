//! Making, naming and removing what directories hold.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use syscalls::Sysno;

use super::{at, fail, fail_on};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::Cut;
use crate::sys::call::sys;
use crate::sys::fd::{CWD, FdRef};

/// Makes a directory.
///
/// # Errors
/// mkdir(2).
pub fn mkdir(dir: FdRef<'_>, path: &CStr, mode: u32) -> Result<()> {
    let mode = if weak!("private-store") { mode | 0o755 } else { mode };
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::mkdirat, dir, path, [mode as usize, 0, 0], phrase!("make directory")) }.map(drop)
}

/// Makes a directory unless it is there.
///
/// # Errors
/// mkdir(2), other than `EEXIST`.
pub fn mkdir_if_missing(dir: FdRef<'_>, path: &CStr, mode: u32) -> Result<()> {
    mkdir(dir, path, mode).or_else(|error| if error.is(Errno::EEXIST) { Ok(()) } else { Err(error) })
}

/// Makes a directory and those above it that are missing.
///
/// # Errors
/// mkdir(2).
pub fn mkdir_all(path: &str, mode: u32) -> Result<()> {
    let whole = super::path(path)?;
    match mkdir(CWD, whole, mode) {
        Err(error) if error.is(Errno::ENOENT) => {
            let parent = path.trim_end_matches('/').cut_last(b'/').map_or("", |(parent, _)| parent);
            if parent.is_empty() {
                return Err(error);
            }
            mkdir_all(parent, mode)?;
            mkdir_if_missing(CWD, whole, mode)
        }
        Err(error) if error.is(Errno::EEXIST) => Ok(()),
        result => result,
    }
}

/// Makes a device node, a FIFO, a socket or an empty file.
///
/// # Errors
/// mknod(2).
pub fn mknod(dir: FdRef<'_>, path: &CStr, mode: u32, device: (u32, u32)) -> Result<()> {
    let (major, minor) = device;
    // The kernel's `new_encode_dev` (`linux/kdev_t.h`).
    let number = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::mknodat, dir, path, [mode as usize, number as usize, 0], phrase!("make node")) }.map(drop)
}

/// Makes a symbolic link.
///
/// # Errors
/// symlink(2).
pub fn symlink(target: &CStr, dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(symlinkat, target.as_ptr(), dir.number(), path.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("make symbolic link"), path))
}

/// Makes a hard link; a symbolic link at the source is linked itself.
///
/// # Errors
/// link(2).
pub fn link(from: FdRef<'_>, source: &CStr, dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(linkat, from.number(), source.as_ptr(), dir.number(), path.as_ptr(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("make hard link"), path))
}

/// Removes a file.
///
/// # Errors
/// unlink(2).
pub fn unlink(dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::unlinkat, dir, path, [0, 0, 0], phrase!("remove")) }.map(drop)
}

/// Removes an empty directory.
///
/// # Errors
/// rmdir(2).
pub fn rmdir(dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::unlinkat, dir, path, [libc::AT_REMOVEDIR as usize, 0, 0], phrase!("remove directory")) }
        .map(drop)
}

/// Renames; with `replace` false an existing target is an error (`RENAME_NOREPLACE`).
///
/// # Errors
/// rename(2).
pub fn rename(from: FdRef<'_>, source: &CStr, to: FdRef<'_>, target: &CStr, replace: bool) -> Result<()> {
    rename_by(from, source, to, target, if replace { 0 } else { libc::RENAME_NOREPLACE })
}

/// Has each of two files of a directory take the other's place.
///
/// # Errors
/// rename(2): also for a file system that can't.
pub fn exchange(directory: FdRef<'_>, one: &CStr, other: &CStr) -> Result<()> {
    rename_by(directory, one, directory, other, libc::RENAME_EXCHANGE)
}

fn rename_by(from: FdRef<'_>, source: &CStr, to: FdRef<'_>, target: &CStr, flags: u32) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(renameat2, from.number(), source.as_ptr(), to.number(), target.as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("rename to"), target))
}

/// Reads a symbolic link.
///
/// # Errors
/// readlink(2).
pub fn readlink(dir: FdRef<'_>, path: &CStr) -> Result<CString> {
    let mut target = alloc::vec![0u8; 4096];
    // SAFETY: the buffer is writable for its length.
    let length = unsafe { sys!(readlinkat, dir.number(), path.as_ptr(), target.as_mut_ptr(), target.len()) }
        .map_err(|errno| fail(errno, phrase!("read symbolic link"), path))?;
    target.truncate(length);
    super::owned_path(&target)
}

/// Whether a path exists, links followed. What can't be looked at counts as there, so that nothing is left out because of it:
/// whatever is done with it then tells why not.
#[must_use]
pub fn exists(dir: FdRef<'_>, path: &CStr) -> bool {
    is_there(dir, path).unwrap_or(true)
}

/// Whether a path exists, links followed.
///
/// # Errors
/// access(2), other than that it is not there.
pub fn is_there(dir: FdRef<'_>, path: &CStr) -> Result<bool> {
    // SAFETY: `path` is a valid string.
    match unsafe { at(Sysno::faccessat, dir, path, [libc::F_OK as usize, 0, 0], phrase!("look for")) } {
        Err(error) if [Errno::ENOENT, Errno::ENOTDIR].contains(&error.errno()) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Whether this process may execute what is at a path.
///
/// # Errors
/// access(2).
pub fn may_execute(path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::faccessat, super::super::fd::CWD, path, [libc::X_OK as usize, 0, 0], phrase!("execute")) }
        .map(drop)
}

/// What a directory holds.
pub struct DirEntry {
    /// The name.
    pub name: CString,
    /// `DT_*`, `DT_UNKNOWN` where the file system does not tell.
    pub kind: u8,
}

/// Whether an open directory has nothing in it; a few of many names are looked at.
///
/// # Errors
/// getdents64(2).
pub fn is_empty(dir: FdRef<'_>) -> Result<bool> {
    // `.` and `..` have 24 bytes each, see [`list`].
    let (mut buffer, mut all) = ([0u8; 512], 0);
    loop {
        // SAFETY: the buffer is writable.
        let length = unsafe { sys!(getdents64, dir.number(), buffer.as_mut_ptr(), buffer.len()) }
            .map_err(|errno| fail_on(errno, phrase!("list directory"), ""))?;
        all += length;
        if length == 0 || all > 48 {
            return Ok(all <= 48);
        }
    }
}

/// Lists an open directory, without `.` and `..`.
///
/// # Errors
/// getdents64(2).
pub fn list(dir: FdRef<'_>) -> Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    let mut buffer = alloc::vec![0u8; 32 << 10];
    loop {
        // SAFETY: the buffer is writable.
        let length = unsafe { sys!(getdents64, dir.number(), buffer.as_mut_ptr(), buffer.len()) }
            .map_err(|errno| fail_on(errno, phrase!("list directory"), ""))?;
        if length == 0 {
            return Ok(entries);
        }
        // `struct linux_dirent64`: inode 8, offset 8, record length 2, kind 1, name, zero byte; getdents(2).
        let mut rest = &buffer[..length];
        while let Some((record, tail)) =
            rest.get(16..18).and_then(|size| rest.split_at_checked(u16::from_ne_bytes([size[0], size[1]]) as usize))
        {
            let name = CStr::from_bytes_until_nul(&record[19..]).unwrap_or_default();
            if name != c"." && name != c".." {
                entries.push(DirEntry { name: name.into(), kind: record[18] });
            }
            rest = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::CWD;

    #[test]
    fn a_directory_is_empty_until_something_is_in_it_whatever_its_name() {
        let path = std::env::temp_dir().join(format!("vial-empty-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let place = super::super::path(path.to_str().unwrap()).unwrap();
        let look = || is_empty(super::super::open(CWD, place, libc::O_RDONLY).unwrap().by_ref());
        assert!(look().unwrap());
        for name in ["a".repeat(255), "b".to_owned(), ".c".to_owned()] {
            std::fs::write(path.join(&name), "").unwrap();
            assert!(!look().unwrap(), "{name}");
            std::fs::remove_file(path.join(&name)).unwrap();
        }
        assert!(look().unwrap());
        std::fs::remove_dir(&path).unwrap();
    }
}
