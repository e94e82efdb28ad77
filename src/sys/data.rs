//! Where a file's data lies.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::FdRef;
use super::file::{fail_on, lseek};
use crate::base::errno::Errno;
use crate::base::error::Result;

/// Reads up to a buffer full from a place in a file, whose own position stays; 0 at the end.
///
/// # Errors
/// pread(2). An interrupted read is repeated.
pub fn read_at(file: FdRef<'_>, buffer: &mut [u8], at: u64) -> Result<usize> {
    loop {
        // SAFETY: the buffer is writable for its length.
        #[cfg(target_pointer_width = "64")]
        let result = unsafe { sys!(pread64, file.number(), buffer.as_mut_ptr(), buffer.len(), at) };
        // A long number takes two registers, of which the first is an even one, syscall(2).
        // SAFETY: the buffer is writable for its length.
        #[cfg(target_pointer_width = "32")]
        let result = unsafe { sys!(pread64, file.number(), buffer.as_mut_ptr(), buffer.len(), 0, at, at >> 32) };
        match result {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| fail_on(errno, phrase!("read"), "")),
        }
    }
}

/// Finds the next data of a file at or after `offset`; `None` if only a hole is left.
///
/// # Errors
/// lseek(2); `EINVAL` where the file system can't tell.
pub fn seek_data(file: FdRef<'_>, offset: u64) -> Result<Option<u64>> {
    match lseek(file, offset, libc::SEEK_DATA) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(fail_on(errno, phrase!("look for data"), "")),
    }
}

/// Finds where the data at `offset` ends: at a hole or at the file's end.
///
/// # Errors
/// lseek(2).
pub fn seek_hole(file: FdRef<'_>, offset: u64) -> Result<u64> {
    lseek(file, offset, libc::SEEK_HOLE).map_err(|errno| fail_on(errno, phrase!("look for a hole"), ""))
}
