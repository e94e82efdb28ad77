//! Opening, reading and writing files.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use syscalls::Sysno;

use super::{at, fail, fail_on};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::call::sys;
use crate::sys::fd::{Fd, FdRef};
use crate::sys::ledger;
use crate::sys::uapi::OpenHow;

/// The flags that all files are opened with. A place in a file may need more than 32 bits, `O_LARGEFILE` (`asm/fcntl.h`).
const ALWAYS: i32 = libc::O_CLOEXEC | if cfg!(target_pointer_width = "64") { 0 } else { 0o400_000 };

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
    unsafe { at(Sysno::openat, dir, path, [(flags | ALWAYS) as usize, mode as usize, 0], phrase!("open")) }
        .map(Fd::from_kernel)
}

/// openat2(2) as it is, for those who handle its absence (Linux before 5.6).
///
/// # Errors
/// openat2(2); `ENOSYS` or `EPERM` where it does not exist or is filtered.
pub fn openat2(dir: FdRef<'_>, path: &CStr, flags: i32, resolve: u64) -> Result<Fd> {
    // What is opened as a place only takes no other flags here.
    let always = if flags & libc::O_PATH == 0 { ALWAYS } else { libc::O_CLOEXEC };
    let how = OpenHow { flags: (flags | always) as u32 as u64, mode: 0, resolve };
    // SAFETY: `path` and `how` are valid.
    unsafe { sys!(openat2, dir.number(), path.as_ptr(), &raw const how, size_of::<OpenHow>()) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail(errno, phrase!("open"), path))
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
            result => return result.map_err(|errno| fail_on(errno, phrase!("read"), "")),
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
            result => return result.map_err(|errno| fail_on(errno, phrase!("write"), "")),
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
    let mut buffer = [0; 4096];
    loop {
        let count = read(file, &mut buffer)?;
        content.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return Ok(content);
        }
        if content.len() > limit {
            return Err(Error::new(say!("the file is larger than {} bytes", limit)).because(ledger::reason()));
        }
    }
}

/// Makes or replaces a small file with this content.
///
/// # Errors
/// open(2), write(2).
pub fn write_file(dir: FdRef<'_>, path: &CStr, content: &[u8], mode: u32) -> Result<()> {
    let file = create(dir, path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, mode)?;
    write_all(file.by_ref(), content).map_err(|error| fail(error.errno(), phrase!("write"), path))
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
        Error::os(error.errno(), phrase!("write"), object).because(ledger::reason())
    })
}

/// Sets the position of the next read or write.
///
/// # Errors
/// lseek(2).
pub fn seek(file: FdRef<'_>, offset: u64) -> Result<()> {
    lseek(file, offset, libc::SEEK_SET).map(drop).map_err(|errno| fail_on(errno, phrase!("seek"), ""))
}

/// lseek(2): where that is.
pub(in crate::sys) fn lseek(file: FdRef<'_>, offset: u64, from: i32) -> core::result::Result<u64, Errno> {
    #[cfg(target_pointer_width = "64")]
    // SAFETY: no memory is involved.
    return unsafe { sys!(lseek, file.number(), offset, from) }.map(|place| place as u64);
    #[cfg(target_pointer_width = "32")]
    {
        let mut place = 0u64;
        // SAFETY: the place is writable.
        unsafe { sys!(lseek, file.number(), offset >> 32, offset, &raw mut place, from) }.map(|_| place)
    }
}

/// Cuts a file or extends it with a hole.
///
/// # Errors
/// ftruncate(2).
pub fn truncate(file: FdRef<'_>, size: u64) -> Result<()> {
    #[cfg(target_pointer_width = "64")]
    // SAFETY: no memory is involved.
    let result = unsafe { sys!(ftruncate, file.number(), size) };
    // A long number takes two registers, of which the first is an even one, syscall(2).
    #[cfg(target_pointer_width = "32")]
    // SAFETY: no memory is involved.
    let result = unsafe { sys!(ftruncate, file.number(), 0, size, size >> 32) };
    result.map(drop).map_err(|errno| fail_on(errno, phrase!("set the size to"), size))
}

/// Copies bytes between files inside the kernel, from their positions on; how many.
///
/// # Errors
/// sendfile(2).
pub fn copy_range(from: FdRef<'_>, to: FdRef<'_>, count: usize) -> Result<usize> {
    // SAFETY: the place to read from is the file's own.
    unsafe { sys!(sendfile, to.number(), from.number(), 0, count) }
        .map_err(|errno| fail_on(errno, phrase!("copy a file"), ""))
}
