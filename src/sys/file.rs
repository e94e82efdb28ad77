//! Files and directories: open, read, write, make, remove, and their owners, modes, times and attributes.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::ledger;
pub use super::tree::remove_tree;
use super::uapi::{OpenHow, Statx};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;

/// The error of a failed call, under the reason in force.
pub(super) fn fail(errno: Errno, operation: &'static str, object: &CStr) -> Error {
    Error::os(errno, operation, object.to_string_lossy()).because(ledger::reason())
}

/// Likewise, about something that is not a path.
pub(super) fn fail_on(errno: Errno, operation: &'static str, object: impl ToString) -> Error {
    Error::os(errno, operation, object).because(ledger::reason())
}

/// A path for the kernel.
///
/// # Errors
/// When it holds a zero byte.
pub fn path(bytes: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::new("a path must not contain a zero byte"))
}

/// Opens a file; close-on-exec is always set.
///
/// # Errors
/// open(2).
pub fn open(dir: FdRef<'_>, path: &CStr, flags: i32) -> Result<Fd> {
    create(dir, path, flags, 0)
}

/// Opens a file with a mode for the case that it is made.
///
/// # Errors
/// open(2).
pub fn create(dir: FdRef<'_>, path: &CStr, flags: i32, mode: u32) -> Result<Fd> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(openat, dir.number(), path.as_ptr(), flags | libc::O_CLOEXEC, mode) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail(errno, "open", path))
}

/// openat2(2) as it is, for those who handle its absence (Linux before 5.6).
///
/// # Errors
/// openat2(2); `ENOSYS` or `EPERM` where it does not exist or is filtered.
pub fn openat2(dir: FdRef<'_>, path: &CStr, flags: i32, resolve: u64) -> Result<Fd> {
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u32 as u64, mode: 0, resolve };
    // SAFETY: `path` and `how` are valid.
    unsafe { sys!(openat2, dir.number(), path.as_ptr(), &raw const how, size_of::<OpenHow>()) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail(errno, "open", path))
}

/// Reads up to a buffer full; 0 at the end.
///
/// # Errors
/// read(2). An interrupted read is repeated.
pub fn read(file: FdRef<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the buffer is writable for its length.
        match unsafe { sys!(read, file.number(), buffer.as_mut_ptr(), buffer.len()) } {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| fail_on(errno, "read", "")),
        }
    }
}

/// Writes what the file takes.
///
/// # Errors
/// write(2). An interrupted write is repeated.
pub fn write(file: FdRef<'_>, bytes: &[u8]) -> Result<usize> {
    loop {
        // SAFETY: the bytes are readable.
        match unsafe { sys!(write, file.number(), bytes.as_ptr(), bytes.len()) } {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| fail_on(errno, "write", "")),
        }
    }
}

/// Writes everything.
///
/// # Errors
/// write(2).
pub fn write_all(file: FdRef<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write(file, bytes)?..];
    }
    Ok(())
}

/// Reads a whole file, up to `limit` bytes.
///
/// # Errors
/// open(2), read(2), and a file that is longer.
pub fn read_file(dir: FdRef<'_>, path: &CStr, limit: usize) -> Result<Vec<u8>> {
    let file = open(dir, path, libc::O_RDONLY)?;
    read_to_end(file.by_ref(), limit).map_err(|error| error.hint(path.to_string_lossy().into_owned()))
}

/// Reads an open file to its end, up to `limit` bytes.
///
/// # Errors
/// read(2), and a file that is longer.
pub fn read_to_end(file: FdRef<'_>, limit: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let length = content.len();
        content.resize(length + 4096, 0);
        let count = read(file, &mut content[length..])?;
        content.truncate(length + count);
        if count == 0 {
            return Ok(content);
        }
        if content.len() > limit {
            return Err(Error::new(alloc::format!("the file is larger than {limit} bytes")).because(ledger::reason()));
        }
    }
}

/// Makes or replaces a small file with this content.
///
/// # Errors
/// open(2), write(2).
pub fn write_file(dir: FdRef<'_>, path: &CStr, content: &[u8], mode: u32) -> Result<()> {
    let file = create(dir, path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, mode)?;
    write_all(file.by_ref(), content).map_err(|error| fail(error.errno(), "write", path))
}

/// Writes one value to an existing file of a kernel file system (a control group's, a sysctl's).
///
/// # Errors
/// open(2), write(2).
pub fn write_value(dir: FdRef<'_>, path: &CStr, value: &[u8]) -> Result<()> {
    write_one_of_values(open(dir, path, libc::O_WRONLY)?.by_ref(), path, value)
}

/// Likewise to a file that is open, because it takes several; the path is for the error.
///
/// # Errors
/// write(2).
pub fn write_one_of_values(file: FdRef<'_>, path: &CStr, value: &[u8]) -> Result<()> {
    write_all(file, value).map_err(|error| {
        let object = alloc::format!("{} to {}", String::from_utf8_lossy(value), path.to_string_lossy());
        Error::os(error.errno(), "write", object).because(ledger::reason())
    })
}

/// Sets the position of the next read or write.
///
/// # Errors
/// lseek(2).
pub fn seek(file: FdRef<'_>, offset: u64) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(lseek, file.number(), offset, libc::SEEK_SET) }.map(drop).map_err(|errno| fail_on(errno, "seek", ""))
}

/// Cuts a file or extends it with a hole.
///
/// # Errors
/// ftruncate(2).
pub fn truncate(file: FdRef<'_>, size: u64) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(ftruncate, file.number(), size) }.map(drop).map_err(|errno| fail_on(errno, "set the size to", size))
}

/// Waits until a file or directory is on the disk.
///
/// # Errors
/// fsync(2).
pub fn fsync(file: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fsync, file.number()) }.map(drop).map_err(|errno| fail_on(errno, "sync", ""))
}

/// Makes a directory.
///
/// # Errors
/// mkdir(2).
pub fn mkdir(dir: FdRef<'_>, path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(mkdirat, dir.number(), path.as_ptr(), mode) }
        .map(drop)
        .map_err(|errno| fail(errno, "make directory", path))
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
    let whole = self::path(path)?;
    match mkdir(super::fd::CWD, &whole, mode) {
        Err(error) if error.is(Errno::ENOENT) => {
            let parent = path.trim_end_matches('/').cut_last(b'/').map_or("", |(parent, _)| parent);
            if parent.is_empty() {
                return Err(error);
            }
            mkdir_all(parent, mode)?;
            mkdir_if_missing(super::fd::CWD, &whole, mode)
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
    unsafe { sys!(mknodat, dir.number(), path.as_ptr(), mode, number) }
        .map(drop)
        .map_err(|errno| fail(errno, "make node", path))
}

/// Makes a symbolic link.
///
/// # Errors
/// symlink(2).
pub fn symlink(target: &CStr, dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(symlinkat, target.as_ptr(), dir.number(), path.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail(errno, "make symbolic link", path))
}

/// Makes a hard link; a symbolic link at the source is linked itself.
///
/// # Errors
/// link(2).
pub fn link(from: FdRef<'_>, source: &CStr, dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(linkat, from.number(), source.as_ptr(), dir.number(), path.as_ptr(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, "make hard link", path))
}

/// Removes a file.
///
/// # Errors
/// unlink(2).
pub fn unlink(dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(unlinkat, dir.number(), path.as_ptr(), 0) }.map(drop).map_err(|errno| fail(errno, "remove", path))
}

/// Removes an empty directory.
///
/// # Errors
/// rmdir(2).
pub fn rmdir(dir: FdRef<'_>, path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(unlinkat, dir.number(), path.as_ptr(), libc::AT_REMOVEDIR) }
        .map(drop)
        .map_err(|errno| fail(errno, "remove directory", path))
}

/// Renames; with `replace` false an existing target is an error (`RENAME_NOREPLACE`).
///
/// # Errors
/// rename(2).
pub fn rename(from: FdRef<'_>, source: &CStr, to: FdRef<'_>, target: &CStr, replace: bool) -> Result<()> {
    let flags = if replace { 0 } else { libc::RENAME_NOREPLACE };
    // SAFETY: both are valid strings.
    unsafe { sys!(renameat2, from.number(), source.as_ptr(), to.number(), target.as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail(errno, "rename to", target))
}

/// Reads a symbolic link.
///
/// # Errors
/// readlink(2).
pub fn readlink(dir: FdRef<'_>, path: &CStr) -> Result<CString> {
    let mut target = alloc::vec![0u8; 4096];
    // SAFETY: the buffer is writable for its length.
    let length = unsafe { sys!(readlinkat, dir.number(), path.as_ptr(), target.as_mut_ptr(), target.len()) }
        .map_err(|errno| fail(errno, "read symbolic link", path))?;
    target.truncate(length);
    self::path(target)
}

/// Looks at a file; links are not followed; an empty path is the open file itself.
///
/// # Errors
/// statx(2).
pub fn stat(dir: FdRef<'_>, path: &CStr) -> Result<Statx> {
    statx(dir, path, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)
}

/// Looks at what a path leads to; links are followed.
///
/// # Errors
/// statx(2).
pub fn stat_follow(dir: FdRef<'_>, path: &CStr) -> Result<Statx> {
    statx(dir, path, 0)
}

fn statx(dir: FdRef<'_>, path: &CStr, flags: i32) -> Result<Statx> {
    /// `STATX_BASIC_STATS | STATX_BTIME`.
    const MASK: usize = 0xfff;
    let mut stat = Statx::default();
    // SAFETY: `stat` is writable and has the kernel's layout.
    unsafe { sys!(statx, dir.number(), path.as_ptr(), flags, MASK, &raw mut stat) }
        .map_err(|errno| fail(errno, "look at", path))?;
    Ok(stat)
}

/// The magic number of the file system that an open file is on, statfs(2).
///
/// # Errors
/// fstatfs(2).
pub fn filesystem(file: FdRef<'_>) -> Result<usize> {
    // `struct statfs` begins with the magic number in a `long`; 120 bytes on 64-bit, less on 32-bit.
    let mut statfs = [0usize; 16];
    // SAFETY: the buffer is at least as long as the kernel's structure.
    unsafe { sys!(fstatfs, file.number(), statfs.as_mut_ptr()) }.map_err(|errno| fail_on(errno, "statfs", ""))?;
    Ok(statfs[0])
}

/// The magic number of the file system that a path leads to, statfs(2).
///
/// # Errors
/// statfs(2).
pub fn filesystem_at(path: &CStr) -> Result<usize> {
    // As in `filesystem`.
    let mut statfs = [0usize; 16];
    // SAFETY: `path` is a valid string, and the buffer is at least as long as the kernel's structure.
    unsafe { sys!(statfs, path.as_ptr(), statfs.as_mut_ptr()) }.map_err(|errno| fail(errno, "statfs", path))?;
    Ok(statfs[0])
}

/// Whether a path exists, links followed.
#[must_use]
pub fn exists(dir: FdRef<'_>, path: &CStr) -> bool {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(faccessat, dir.number(), path.as_ptr(), libc::F_OK) }.is_ok()
}

/// Sets an open file's mode.
///
/// # Errors
/// fchmod(2).
pub fn chmod(file: FdRef<'_>, mode: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fchmod, file.number(), mode) }.map(drop).map_err(|errno| fail_on(errno, "set mode", ""))
}

/// Sets the mode of a path; a link at its end is followed, so only for names that are known not to be one.
///
/// # Errors
/// chmod(2).
pub fn chmod_at(dir: FdRef<'_>, path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(fchmodat, dir.number(), path.as_ptr(), mode) }
        .map(drop)
        .map_err(|errno| fail(errno, "set mode of", path))
}

/// Sets an open file's owner.
///
/// # Errors
/// fchown(2).
pub fn chown(file: FdRef<'_>, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fchown, file.number(), uid, gid) }.map(drop).map_err(|errno| fail_on(errno, "set owner", ""))
}

/// Sets the owner of a path; a link is not followed.
///
/// # Errors
/// chown(2).
pub fn chown_at(dir: FdRef<'_>, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(fchownat, dir.number(), path.as_ptr(), uid, gid, libc::AT_SYMLINK_NOFOLLOW) }
        .map(drop)
        .map_err(|errno| fail(errno, "set owner of", path))
}

/// A point in time as the kernel takes it: seconds since 1970 and nanoseconds.
pub type Time = (i64, u32);

/// Sets access and modification time; `path` `None` means the open file itself; a link is not followed.
///
/// # Errors
/// utimensat(2).
pub fn set_times(dir: FdRef<'_>, path: Option<&CStr>, access: Time, modification: Time) -> Result<()> {
    let times = [[access.0 as isize, access.1 as isize], [modification.0 as isize, modification.1 as isize]];
    let (name, flags) = path.map_or((core::ptr::null(), 0), |path| (path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW));
    // SAFETY: `times` has the layout of two `struct timespec` of words, and the path is valid or null.
    unsafe { sys!(utimensat, dir.number(), name, times.as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail(errno, "set times of", path.unwrap_or(c"")))
}

/// Sets an extended attribute of an open file.
///
/// # Errors
/// setxattr(2).
pub fn set_xattr(file: FdRef<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: name and value are readable.
    unsafe { sys!(fsetxattr, file.number(), name.as_ptr(), value.as_ptr(), value.len(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, "set attribute", name))
}

/// Sets an extended attribute of what a path names, a link itself included.
///
/// # Errors
/// setxattr(2).
pub fn set_xattr_at(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: path, name and value are readable.
    unsafe { sys!(lsetxattr, path.as_ptr(), name.as_ptr(), value.as_ptr(), value.len(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, "set attribute", name))
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
                return listed.map(|name| self::path(name)).collect();
            }
            Err(Errno::ERANGE) if names.len() < 1 << 20 => names.resize(names.len() * 4, 0),
            Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(fail_on(errno, "list attributes", "")),
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
        .map_err(|errno| fail(errno, "read attribute", name))?;
    value.truncate(length);
    Ok(value)
}

/// What a directory holds.
pub struct DirEntry {
    /// The name.
    pub name: CString,
    /// `DT_*`, `DT_UNKNOWN` where the file system does not tell.
    pub kind: u8,
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
            .map_err(|errno| fail_on(errno, "list directory", ""))?;
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

/// What a lock is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Others may hold it too.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes a lock on an open file, waiting for it; it goes with the last descriptor of this opening.
///
/// # Errors
/// flock(2).
pub fn lock(file: FdRef<'_>, lock: Lock) -> Result<()> {
    flock(file, lock, 0).map(drop)
}

/// Takes a lock if it is free; whether it was.
///
/// # Errors
/// flock(2).
pub fn try_lock(file: FdRef<'_>, lock: Lock) -> Result<bool> {
    flock(file, lock, libc::LOCK_NB)
}

/// Gives a lock back.
///
/// # Errors
/// flock(2).
pub fn unlock(file: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(flock, file.number(), libc::LOCK_UN) }.map(drop).map_err(|errno| fail_on(errno, "unlock", ""))
}

fn flock(file: FdRef<'_>, lock: Lock, wait: i32) -> Result<bool> {
    let operation = wait | if lock == Lock::Exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    loop {
        // SAFETY: no memory is involved.
        match unsafe { sys!(flock, file.number(), operation) } {
            Ok(_) => return Ok(true),
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(fail_on(errno, "lock", "")),
        }
    }
}

/// Sets which mode bits new files lack; returns what held before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: no memory is involved; umask(2) does not fail.
    unsafe { sys!(umask, mask) }.unwrap_or(0) as u32
}

/// Changes the current directory.
///
/// # Errors
/// chdir(2).
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(chdir, path.as_ptr()) }.map(drop).map_err(|errno| fail(errno, "change directory to", path))
}

/// Changes the current directory to an open one.
///
/// # Errors
/// fchdir(2).
pub fn fchdir(dir: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fchdir, dir.number()) }.map(drop).map_err(|errno| fail_on(errno, "change directory", ""))
}

/// The current directory.
///
/// # Errors
/// getcwd(2).
pub fn getcwd() -> Result<CString> {
    let mut buffer = alloc::vec![0u8; 4096];
    // SAFETY: the buffer is writable.
    let length = unsafe { sys!(getcwd, buffer.as_mut_ptr(), buffer.len()) }
        .map_err(|errno| fail_on(errno, "find the current directory", ""))?;
    buffer.truncate(length.saturating_sub(1));
    path(buffer)
}

/// A pipe: its reading and its writing end.
///
/// # Errors
/// pipe(2).
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    // SAFETY: room for two numbers.
    unsafe { sys!(pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) }.map_err(|errno| fail_on(errno, "make a pipe", ""))?;
    Ok((Fd::from_number(ends[0]), Fd::from_number(ends[1])))
}

/// Makes `target` a copy of `file`, which stays open in the workload.
///
/// # Errors
/// dup(2).
pub fn put_in_place(file: FdRef<'_>, target: FdRef<'_>) -> Result<()> {
    // SAFETY: whoever calls this means to replace `target`.
    unsafe { sys!(dup3, file.number(), target.number(), 0) }.map(drop).map_err(|errno| fail_on(errno, "dup", ""))
}

/// A second descriptor for the same opening.
///
/// # Errors
/// fcntl(2).
pub fn duplicate(file: FdRef<'_>) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fcntl, file.number(), libc::F_DUPFD_CLOEXEC, 3) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, "dup", ""))
}

/// An open file's status flags.
///
/// # Errors
/// fcntl(2).
pub fn status_flags(file: FdRef<'_>) -> Result<i32> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fcntl, file.number(), libc::F_GETFL, 0) }
        .map(|flags| flags as i32)
        .map_err(|errno| fail_on(errno, "fcntl", file.number()))
}

/// Marks every descriptor from `first` on close-on-exec (Linux 5.11).
///
/// # Errors
/// `close_range(2)`; `ENOSYS` or `EINVAL` on older kernels.
pub fn close_on_exec_from(first: i32) -> Result<()> {
    // SAFETY: nothing is closed now.
    unsafe { sys!(close_range, first, i32::MAX, libc::CLOSE_RANGE_CLOEXEC) }
        .map(drop)
        .map_err(|errno| fail_on(errno, "mark files close-on-exec", ""))
}

/// Marks one descriptor close-on-exec.
///
/// # Errors
/// fcntl(2).
pub fn close_on_exec(file: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fcntl, file.number(), libc::F_SETFD, libc::FD_CLOEXEC) }
        .map(drop)
        .map_err(|errno| fail_on(errno, "fcntl", file.number()))
}

/// Copies bytes between files inside the kernel, from their positions on; how many.
///
/// # Errors
/// `copy_file_range(2)`.
pub fn copy_range(from: FdRef<'_>, to: FdRef<'_>, count: usize) -> Result<usize> {
    // SAFETY: null offsets mean the files' own positions.
    unsafe { sys!(copy_file_range, from.number(), 0, to.number(), 0, count, 0) }
        .map_err(|errno| fail_on(errno, "copy a file", ""))
}
