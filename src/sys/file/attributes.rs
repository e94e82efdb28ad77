//! Kind, owner, mode, times and extended attributes of files.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use syscalls::Sysno;

use super::{at, fail, fail_on, on};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::call::sys;
use crate::sys::fd::{CWD, FdRef};
use crate::sys::number;
use crate::sys::uapi::Statx;
use crate::sys::users::is_confined;

/// Looks at a file; links are not followed; an empty path is the open file itself.
///
/// # Errors
/// statx(2).
pub fn stat(dir: FdRef<'_>, path: &CStr) -> Result<Box<Statx>> {
    statx(dir, path, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)
}

/// Looks at what a path leads to; links are followed.
///
/// # Errors
/// statx(2).
pub fn stat_follow(dir: FdRef<'_>, path: &CStr) -> Result<Box<Statx>> {
    statx(dir, path, 0)
}

fn statx(dir: FdRef<'_>, path: &CStr, flags: i32) -> Result<Box<Statx>> {
    /// `STATX_BASIC_STATS | STATX_BTIME`.
    const MASK: usize = 0xfff;
    let mut stat = Box::<Statx>::default();
    // SAFETY: `stat` is writable and has the kernel's layout.
    unsafe { at(Sysno::statx, dir, path, [flags as usize, MASK, &raw mut *stat as usize], phrase!("look at")) }?;
    Ok(stat)
}

/// The magic number of the file system that an open file is on, statfs(2).
///
/// # Errors
/// fstatfs(2).
pub fn filesystem(file: FdRef<'_>) -> Result<usize> {
    statfs(file).map(|statfs| statfs.kind as usize)
}

/// How much a file system holds and has room for.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes of what is counted.
    pub unit: u64,
    /// How many there are.
    pub units: u64,
    /// How many are free: for root those too that are kept for it.
    pub free: u64,
    /// How many files there can be; 0 for any number.
    pub files: u64,
    /// How many more.
    pub free_files: u64,
}

/// How much room there is on the file system of an open file.
///
/// # Errors
/// fstatfs(2).
pub fn space(file: FdRef<'_>) -> Result<Space> {
    let found = statfs(file)?;
    let Statfs { counts: [units, all, others, files, free_files], .. } = found;
    let free = if is_confined() { others } else { all };
    Ok(Space { unit: found.unit as u64, units, free, files, free_files })
}

/// `struct statfs`, and on 32-bit machines `struct statfs64`, `asm-generic/statfs.h`.
#[repr(C)]
#[derive(Default)]
struct Statfs {
    /// The magic number.
    kind: Word,
    unit: Word,
    /// In all, free, free for others than root; files in all, and free.
    counts: [u64; 5],
    id: u64,
    name_length: Word,
    fragment: Word,
    flags: Word,
    spare: [Word; 4],
}

/// What the machine's registers hold.
#[cfg(target_pointer_width = "64")]
type Word = u64;
#[cfg(target_pointer_width = "32")]
type Word = u32;

/// How long the kernel takes `struct statfs64` to be, which statfs64(2) wants to be told: it ends with a word.
#[cfg(target_pointer_width = "32")]
const STATFS_SIZE: usize = 84;

#[inline(never)]
fn statfs(file: FdRef<'_>) -> Result<Statfs> {
    let mut found = Statfs::default();
    #[cfg(target_pointer_width = "64")]
    // SAFETY: the buffer has the kernel's layout.
    let result = unsafe { sys!(fstatfs, file.number(), &raw mut found) };
    #[cfg(target_pointer_width = "32")]
    // SAFETY: the buffer has the kernel's layout.
    let result = unsafe { sys!(fstatfs, file.number(), STATFS_SIZE, &raw mut found) };
    result.map_err(|errno| fail_on(errno, phrase!("statfs"), ""))?;
    Ok(found)
}

/// The flags of the mount that an open file or path was found by, as mount(2) has them: `MS_RDONLY`, `MS_NOSUID`, `MS_NODEV`,
/// `MS_NOEXEC`.
///
/// # Errors
/// fstatfs(2).
pub fn mount_flags(file: FdRef<'_>) -> Result<usize> {
    statfs(file).map(|statfs| statfs.flags as usize)
}

/// The same of the mount that a path leads to.
///
/// # Errors
/// statfs(2).
pub fn mount_flags_at(path: &CStr) -> Result<usize> {
    statfs_at(path).map(|statfs| statfs.flags as usize)
}

/// The magic number of the file system that a path leads to, statfs(2).
///
/// # Errors
/// statfs(2).
pub fn filesystem_at(path: &CStr) -> Result<usize> {
    statfs_at(path).map(|statfs| statfs.kind as usize)
}

fn statfs_at(path: &CStr) -> Result<Statfs> {
    let mut found = Statfs::default();
    #[cfg(target_pointer_width = "64")]
    // SAFETY: `path` is a valid string, and the buffer has the kernel's layout.
    let result = unsafe { sys!(statfs, path.as_ptr(), &raw mut found) };
    #[cfg(target_pointer_width = "32")]
    // SAFETY: `path` is a valid string, and the buffer has the kernel's layout.
    let result = unsafe { sys!(statfs, path.as_ptr(), STATFS_SIZE, &raw mut found) };
    result.map_err(|errno| fail(errno, phrase!("statfs"), path))?;
    Ok(found)
}

/// Sets an open file's mode.
///
/// # Errors
/// fchmod(2).
pub fn chmod(file: FdRef<'_>, mode: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(Sysno::fchmod, file, [mode as usize, 0, 0, 0], phrase!("set mode")) }.map(drop)
}

/// Sets the mode of what a name stands for, without following a link: that has no mode, and is an error.
///
/// # Errors
/// open(2), chmod(2).
pub fn chmod_at(dir: FdRef<'_>, path: &CStr, mode: u32) -> Result<()> {
    // fchmodat(2) follows links before Linux 6.6, and the name may be a link by now.
    let follow = if weak!("nofollow") { 0 } else { libc::O_NOFOLLOW };
    let place = super::open(dir, path, libc::O_PATH | follow)?;
    let shown = super::owned_path(alloc::format!("/proc/self/fd/{}", place.number()).as_bytes())?;
    // SAFETY: `shown` is a valid string.
    unsafe { at(Sysno::fchmodat, CWD, &shown, [mode as usize, 0, 0], phrase!("set mode of")) }.map(drop)
}

/// Sets an open file's owner.
///
/// # Errors
/// fchown(2).
pub fn chown(file: FdRef<'_>, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(number::fchown, file, [uid as usize, gid as usize, 0, 0], phrase!("set owner")) }.map(drop)
}

/// Sets the owner of a path; a link is not followed.
///
/// # Errors
/// chown(2).
pub fn chown_at(dir: FdRef<'_>, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe {
        at(
            Sysno::fchownat,
            dir,
            path,
            [uid as usize, gid as usize, libc::AT_SYMLINK_NOFOLLOW as usize],
            phrase!("set owner of"),
        )
    }
    .map(drop)
}

/// Sets the owner of a path, or of what is open if the path is empty, be it opened as a place only; a link is not followed.
///
/// # Errors
/// chown(2).
pub fn give(dir: FdRef<'_>, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    let flags = (libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) as usize;
    // SAFETY: `path` is a valid string.
    unsafe { at(Sysno::fchownat, dir, path, [uid as usize, gid as usize, flags], phrase!("set owner of")) }.map(drop)
}

/// A point in time as the kernel takes it: seconds since 1970 and nanoseconds.
pub type Time = (i64, u32);

/// Sets access and modification time; `path` `None` means the open file itself; a link is not followed.
///
/// # Errors
/// utimensat(2).
pub fn set_times(dir: FdRef<'_>, path: Option<&CStr>, access: Time, modification: Time) -> Result<()> {
    let times = [[access.0, i64::from(access.1)], [modification.0, i64::from(modification.1)]];
    let (name, flags) = path.map_or((core::ptr::null(), 0), |path| (path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW));
    // SAFETY: `times` has the layout of two `struct __kernel_timespec`, and the path is valid or null.
    unsafe { sys!(utimensat, dir.number(), name, times.as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("set times of"), path.unwrap_or(c"")))
}

/// Sets an extended attribute of an open file.
///
/// # Errors
/// setxattr(2).
pub fn set_xattr(file: FdRef<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: name and value are readable.
    unsafe { sys!(fsetxattr, file.number(), name.as_ptr(), value.as_ptr(), value.len(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("set attribute"), name))
}

/// Sets an extended attribute of what a path names, a link itself included.
///
/// # Errors
/// setxattr(2).
pub fn set_xattr_at(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: path, name and value are readable.
    unsafe { sys!(lsetxattr, path.as_ptr(), name.as_ptr(), value.as_ptr(), value.len(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("set attribute"), name))
}

/// The names of an open file's extended attributes.
///
/// # Errors
/// listxattr(2).
pub fn list_xattrs(file: FdRef<'_>) -> Result<Vec<CString>> {
    let mut names = alloc::vec![0u8; 4096];
    loop {
        // SAFETY: the buffer is writable.
        match unsafe { sys!(flistxattr, file.number(), names.as_mut_ptr(), names.len()) } {
            Ok(length) => {
                let listed = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
                return listed.map(super::owned_path).collect();
            }
            Err(Errno::ERANGE) if names.len() < 1 << 20 => names.resize(names.len() * 4, 0),
            Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(fail_on(errno, phrase!("list attributes"), "")),
        }
    }
}

/// An extended attribute of an open file.
///
/// # Errors
/// getxattr(2).
pub fn get_xattr(file: FdRef<'_>, name: &CStr) -> Result<Vec<u8>> {
    // XATTR_SIZE_MAX (`linux/limits.h`).
    let mut value = alloc::vec![0u8; 64 << 10];
    // SAFETY: the buffer is writable.
    let length = unsafe { sys!(fgetxattr, file.number(), name.as_ptr(), value.as_mut_ptr(), value.len()) }
        .map_err(|errno| fail(errno, phrase!("read attribute"), name))?;
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_mode_is_never_set_through_a_link() {
        let path = std::env::temp_dir().join(format!("vial-chmod-{}", std::process::id()));
        std::fs::create_dir_all(path.join("directory")).unwrap();
        symlink("directory", path.join("link")).unwrap();
        let dir = super::super::open(CWD, super::super::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap();
        let mode = || std::fs::metadata(path.join("directory")).unwrap().permissions().mode() & 0o7777;
        chmod_at(dir.by_ref(), c"directory", 0o2750).unwrap();
        assert_eq!(mode(), 0o2750);
        assert!(chmod_at(dir.by_ref(), c"link", 0o777).is_err());
        assert_eq!(mode(), 0o2750);
        std::fs::remove_dir_all(path).unwrap();
    }
}
