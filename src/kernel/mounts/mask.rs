//! Masks: parts of `/proc` and `/sys` that tell or change what a container has no business with.

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::sys::fd::CWD;
use crate::sys::{file, mount};

/// Hides a path: a file behind the null device, a directory behind an empty read-only file system. A missing path is fine.
///
/// The null device is the one of the container's own `/dev`, made moments ago; the image has no say in it.
///
/// # Errors
/// mount(2).
pub fn mask(path: &CStr) -> Result<()> {
    // Asked first, since a bind mount that fails costs milliseconds: the kernel waits until nobody can see what it takes back.
    match file::stat(CWD, path) {
        Err(error) if error.is(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(stat) if u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR => {
            mount::mount(Some(c"tmpfs"), path, Some(c"tmpfs"), libc::MS_RDONLY, Some(c"nr_inodes=1,size=0"))?;
            read_back(path, libc::MS_RDONLY)
        }
        Ok(_) => mount::mount(Some(c"/dev/null"), path, None, libc::MS_BIND, None),
    }
}

/// Makes a path read-only by a mount of its own. A missing path is fine.
///
/// # Errors
/// mount(2).
pub fn read_only(path: &CStr) -> Result<()> {
    match mount::mount(Some(path), path, None, libc::MS_BIND | libc::MS_REC, None) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(()),
        result => result?,
    }
    seal(path)
}

/// Makes a mount read-only; on all but the root also without programs, devices and set-user-ID bits.
///
/// # Errors
/// mount(2).
pub fn seal(path: &CStr) -> Result<()> {
    // A remount sets all flags anew. The root keeps its programs, devices and set-user-ID bits.
    let kept = if path == c"/" { 0 } else { libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC };
    let flags = libc::MS_RDONLY | kept;
    mount::mount(None, path, None, libc::MS_BIND | libc::MS_REMOUNT | flags, None)?;
    read_back(path, flags)
}

/// Looks whether what a path leads to now is restricted as it was asked for, whatever the calls seemed to do.
///
/// # Errors
/// It is not.
#[inline(never)]
pub fn read_back(path: &CStr, flags: libc::c_ulong) -> Result<()> {
    let asked = flags & (libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    if asked == 0 {
        return Ok(());
    }
    let place = file::open(CWD, path, libc::O_PATH)?;
    if asked as usize & !file::mount_flags(place.by_ref())? == 0 {
        return Ok(());
    }
    Err(Error::new(say!("the kernel does not restrict {} as it was asked to", keep::lossy(path.to_bytes()))))
}
