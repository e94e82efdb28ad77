//! Files and directories: open, read, write, make, remove, and their owners, modes, times and attributes.
#![expect(unsafe_code, reason = "wraps system calls")]

mod attributes;
mod content;
mod descriptors;
mod names;

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::string::ToString;
use core::ffi::CStr;

pub use attributes::*;
pub use content::*;
pub use descriptors::*;
pub use names::*;
use syscalls::Sysno;

use super::call::call;
use super::fd::FdRef;
use super::ledger;
pub use super::tree::{remove_tree, tree_size};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;

/// The error of a failed call, under the reason in force.
pub(super) fn fail(errno: Errno, operation: Phrase, object: &CStr) -> Error {
    Error::os(errno, operation, object.to_string_lossy()).because(ledger::reason())
}

/// Likewise, about something that is not a path.
pub(super) fn fail_on(errno: Errno, operation: Phrase, object: impl ToString) -> Error {
    Error::os(errno, operation, object).because(ledger::reason())
}

/// A path for the kernel, which stays until the process ends.
///
/// # Errors
/// When it holds a zero byte.
pub fn path(bytes: impl AsRef<[u8]>) -> Result<&'static CStr> {
    kept_path(bytes.as_ref())
}

#[inline(never)]
fn kept_path(bytes: &[u8]) -> Result<&'static CStr> {
    match owned_path(bytes) {
        Ok(path) => Ok(Box::leak(path.into_boxed_c_str())),
        Err(error) => Err(error),
    }
}

/// A path for the kernel, for loops over files without number.
///
/// # Errors
/// When it holds a zero byte.
#[inline(never)]
pub fn owned_path(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::new(phrase!("a path must not contain a zero byte")))
}

/// A call about a path below a directory: `name(dir, path, rest...)`.
///
/// # Safety
/// What is in `rest` must be valid for the call.
#[inline(never)]
unsafe fn at(name: Sysno, dir: FdRef<'_>, path: &CStr, rest: [usize; 3], operation: Phrase) -> Result<usize> {
    let args = [dir.number() as usize, path.as_ptr() as usize, rest[0], rest[1], rest[2], 0];
    // SAFETY: the path is a valid string, and the caller upholds the rest.
    unsafe { call(name, args) }.map_err(|errno| fail(errno, operation, path))
}

/// A call about an open file: `name(file, rest...)`.
///
/// # Safety
/// What is in `rest` must be valid for the call.
#[inline(never)]
unsafe fn on(name: Sysno, file: FdRef<'_>, rest: [usize; 4], operation: Phrase) -> Result<usize> {
    let args = [file.number() as usize, rest[0], rest[1], rest[2], rest[3], 0];
    // SAFETY: the caller upholds what the arguments point to.
    unsafe { call(name, args) }.map_err(|errno| fail_on(errno, operation, ""))
}
