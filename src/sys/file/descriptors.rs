//! Open files as such: locks, copies, flags; and the current directory.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::ffi::CString;
use core::ffi::CStr;

use syscalls::Sysno;

use super::{fail, fail_on, on};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::call::sys;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::number;

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
    let unlock = || unsafe { on(Sysno::flock, file, [libc::LOCK_UN as usize, 0, 0, 0], phrase!("unlock")) };
    // Not given up at once: a lock that stays is waited for by this very process.
    unlock().or_else(|_| unlock()).map(drop)
}

fn flock(file: FdRef<'_>, lock: Lock, wait: i32) -> Result<bool> {
    let operation = wait | if lock == Lock::Exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    loop {
        // SAFETY: no memory is involved.
        match unsafe { sys!(flock, file.number(), operation) } {
            Ok(_) => return Ok(true),
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(fail_on(errno, phrase!("lock"), "")),
        }
    }
}

/// `struct flock` of 64-bit architectures, `struct flock64` of others; `asm-generic/fcntl.h`, fcntl(2).
#[repr(C)]
struct ByteLock {
    kind: i16,
    whence: i16,
    start: i64,
    length: i64,
    pid: i32,
}

impl ByteLock {
    fn of(at: i64, lock: Lock) -> ByteLock {
        let kind = if lock == Lock::Exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        ByteLock { kind: kind as i16, whence: libc::SEEK_SET as i16, start: at, length: 1, pid: 0 }
    }

    /// Calls fcntl(2): 0 asks who holds it, 1 takes it if it is free, 2 waits for it. Those with 64-bit offsets are other ones
    /// on 32-bit architectures.
    fn call(&mut self, file: FdRef<'_>, which: i32) -> core::result::Result<usize, Errno> {
        let first = if cfg!(target_pointer_width = "64") { 5 } else { 12 };
        // SAFETY: the structure has the kernel's layout and is writable.
        unsafe { sys!(fcntl, file.number(), first + which, &raw mut *self) }
    }
}

/// Takes a lock on a byte of a file, waiting for it. It is this process's alone, not its children's, and goes with the first
/// of its descriptors of this file that is closed.
///
/// # Errors
/// fcntl(2); `EBADF` if the file is not open for reading and writing.
pub fn lock_byte(file: FdRef<'_>, at: i64, lock: Lock) -> Result<()> {
    loop {
        match ByteLock::of(at, lock).call(file, 2) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(fail_on(errno, phrase!("lock"), "")),
        }
    }
}

/// Gives the lock on a byte back.
///
/// # Errors
/// fcntl(2).
pub fn unlock_byte(file: FdRef<'_>, at: i64) -> Result<()> {
    let mut lock = ByteLock { kind: libc::F_UNLCK as i16, ..ByteLock::of(at, Lock::Shared) };
    lock.call(file, 1).map(drop).map_err(|errno| fail_on(errno, phrase!("unlock"), ""))
}

/// A process that has a byte of a file locked, if one has and this process can see it.
///
/// # Errors
/// fcntl(2).
pub fn holder_of_byte(file: FdRef<'_>, at: i64) -> Result<Option<u32>> {
    let mut lock = ByteLock::of(at, Lock::Exclusive);
    lock.call(file, 0).map_err(|errno| fail_on(errno, phrase!("look for the lock of"), ""))?;
    Ok(if lock.kind == libc::F_UNLCK as i16 || lock.pid <= 0 { None } else { Some(lock.pid as u32) })
}

/// Sets which mode bits new files lack.
pub fn umask(mask: u32) {
    // SAFETY: no memory is involved; umask(2) does not fail.
    let _ = unsafe { sys!(umask, mask) };
}

/// Changes the current directory.
///
/// # Errors
/// chdir(2).
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(chdir, path.as_ptr()) }.map(drop).map_err(|errno| fail(errno, phrase!("change directory to"), path))
}

/// Changes the current directory to an open one.
///
/// # Errors
/// fchdir(2).
pub fn fchdir(dir: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(Sysno::fchdir, dir, [0, 0, 0, 0], phrase!("change directory")) }.map(drop)
}

/// The current directory.
///
/// # Errors
/// getcwd(2).
pub fn getcwd() -> Result<CString> {
    let mut buffer = alloc::vec![0u8; 4096];
    // SAFETY: the buffer is writable.
    let length = unsafe { sys!(getcwd, buffer.as_mut_ptr(), buffer.len()) }
        .map_err(|errno| fail_on(errno, phrase!("find the current directory"), ""))?;
    buffer.truncate(length.saturating_sub(1));
    super::owned_path(&buffer)
}

/// A pipe: its reading and its writing end.
///
/// # Errors
/// pipe(2).
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    // SAFETY: room for two numbers.
    unsafe { sys!(pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC) }
        .map_err(|errno| fail_on(errno, phrase!("make a pipe"), ""))?;
    Ok((Fd::from_number(ends[0]), Fd::from_number(ends[1])))
}

/// Makes `target` a copy of `file`, which stays open in the workload.
///
/// # Errors
/// dup(2).
pub fn put_in_place(file: FdRef<'_>, target: FdRef<'_>) -> Result<()> {
    // SAFETY: whoever calls this means to replace `target`.
    unsafe { sys!(dup3, file.number(), target.number(), 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("dup"), ""))
}

/// A file in memory with another's content, which nobody can change any more.
///
/// # Errors
/// `memfd_create(2)`, sendfile(2).
pub fn sealed_copy(file: FdRef<'_>) -> Result<Fd> {
    /// `MFD_EXEC` (Linux 6.3), without which a file may come without permission to execute it.
    const EXEC: u32 = 0x10;
    let fail = |errno| fail_on(errno, phrase!("make a sealed copy"), "");
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a valid string.
    let create = |flags: u32| unsafe { sys!(memfd_create, c"vial".as_ptr(), flags) };
    let made = match create(flags | EXEC) {
        Err(Errno::EINVAL) => create(flags),
        made => made,
    };
    let copy = made.map(Fd::from_kernel).map_err(fail)?;
    while super::copy_range(file, copy.by_ref(), 1 << 30)? > 0 {}
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // EBUSY: the kernel still has some of the pages in hand, which it lets go of in a moment.
    for _ in 0..200 {
        match fcntl(copy.by_ref(), libc::F_ADD_SEALS, seals) {
            Err(error) if error.is(Errno::EBUSY) => crate::sys::process::sleep(5),
            result => return result.map(|()| copy),
        }
    }
    Err(fail(Errno::EBUSY))
}

/// An empty file in memory, which goes when it is closed.
///
/// # Errors
/// `memfd_create(2)`.
pub fn in_memory() -> Result<Fd> {
    // SAFETY: the name is a valid string.
    unsafe { sys!(memfd_create, c"vial".as_ptr(), libc::MFD_CLOEXEC) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("make a file in memory"), ""))
}

/// A second descriptor for the same opening.
///
/// # Errors
/// fcntl(2).
pub fn duplicate(file: FdRef<'_>) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { on(number::fcntl, file, [libc::F_DUPFD_CLOEXEC as usize, 3, 0, 0], phrase!("dup")) }.map(Fd::from_kernel)
}

/// Whether a file is open that programs executed by this process get too, as none of vial's own is.
#[must_use]
pub fn is_inherited(file: FdRef<'_>) -> bool {
    // SAFETY: no memory is involved.
    unsafe { sys!(fcntl, file.number(), libc::F_GETFD, 0) }.is_ok_and(|flags| flags as i32 & libc::FD_CLOEXEC == 0)
}

/// Closes every descriptor from `first` on: `now` (Linux 5.9), or when this process executes a program (Linux 5.11).
///
/// # Errors
/// `close_range(2)`; `ENOSYS` or `EINVAL` on older kernels.
pub fn close_from(first: i32, now: bool) -> Result<()> {
    let flags = if now { 0 } else { libc::CLOSE_RANGE_CLOEXEC };
    // SAFETY: whoever has all closed now owns all, and uses none of them any more.
    unsafe { sys!(close_range, first, i32::MAX, flags) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("close all files"), ""))
}

/// Closes the descriptors from `first` to `last` (Linux 5.9).
///
/// # Errors
/// `close_range(2)`; `ENOSYS` on older kernels.
pub fn close_range(first: i32, last: i32) -> Result<()> {
    // SAFETY: whoever calls this means to close them all, and uses none of them any more.
    unsafe { sys!(close_range, first, last, 0) }.map(drop).map_err(|errno| fail_on(errno, phrase!("close files"), ""))
}

/// Marks one descriptor close-on-exec.
///
/// # Errors
/// fcntl(2).
pub fn close_on_exec(file: FdRef<'_>) -> Result<()> {
    fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC)
}

/// Does something with every open file but the standard ones.
///
/// # Errors
/// `/proc` is not there, or what `act` returns.
pub fn each_open(act: &mut dyn FnMut(i32) -> Result<()>) -> Result<()> {
    let listed = super::open(CWD, c"/proc/self/fd", libc::O_RDONLY | libc::O_DIRECTORY)?;
    let entries = super::list(listed.by_ref())?;
    drop(listed);
    entries
        .iter()
        .filter_map(|entry| entry.name.to_str().ok()?.parse().ok())
        .filter(|number| *number > 2)
        .try_for_each(act)
}

/// Has every open file but the standard ones closed when this process executes a program.
///
/// # Errors
/// `close_range(2)`, and without it those of [`each_open`].
pub fn close_all_on_exec() -> Result<()> {
    match close_from(3, false) {
        Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EINVAL) || error.is(Errno::EPERM) => {
            // Before Linux 5.11.
            each_open(&mut |number| match close_on_exec(FdRef::from_number(number)) {
                // The list's own.
                Err(error) if error.is(Errno::EBADF) => Ok(()),
                result => result,
            })
        }
        result => result,
    }
}

/// Has one descriptor stay open in the program that this process executes next.
///
/// # Errors
/// fcntl(2).
pub fn keep_on_exec(file: FdRef<'_>) -> Result<()> {
    fcntl(file, libc::F_SETFD, 0)
}

/// Has reads and writes fail with `EAGAIN` where they would wait. This holds for every descriptor of the same opening.
///
/// # Errors
/// fcntl(2).
pub fn never_wait(file: FdRef<'_>) -> Result<()> {
    fcntl(file, libc::F_SETFL, libc::O_NONBLOCK)
}

/// Has reads and writes wait again, for every descriptor of the same opening.
///
/// # Errors
/// fcntl(2).
pub fn always_wait(file: FdRef<'_>) -> Result<()> {
    fcntl(file, libc::F_SETFL, 0)
}

fn fcntl(file: FdRef<'_>, operation: i32, value: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(number::fcntl, file, [operation as usize, value as usize, 0, 0], phrase!("fcntl")) }.map(drop)
}

/// Waits until what was written to a file is on the disk.
///
/// # Errors
/// fsync(2).
pub fn sync(file: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(Sysno::fsync, file, [0; 4], phrase!("write to the disk")) }.map(drop)
}

/// Waits until all that was written to a file system is on the disk. Tells also of what could not be written since the file
/// was opened (Linux 5.8).
///
/// # Errors
/// syncfs(2).
pub fn sync_all(file: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { on(Sysno::syncfs, file, [0; 4], phrase!("write all to the disk")) }.map(drop)
}
