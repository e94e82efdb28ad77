//! Masks: parts of `/proc` and `/sys` that tell or change what a container has no business with.

use core::ffi::CStr;

use super::tree::descriptor_path;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::sys::fd::{CWD, Fd};
use crate::sys::{file, mount};

/// Opens the container's null device. What is there may be the container's doing, or that of who mounted a directory on `/dev`.
///
/// # Errors
/// open(2); something else is there.
pub fn null_device(mode: i32) -> Result<Fd> {
    // A FIFO would be waited for.
    let flags = mode | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let null = file::open(CWD, c"/dev/null", flags)?;
    let stat = file::stat(null.by_ref(), c"")?;
    // `linux/major.h`, MEM_MAJOR.
    let is_null = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFCHR && (stat.rdev_major, stat.rdev_minor) == (1, 3);
    if is_null || weak!("null") {
        Ok(null)
    } else {
        Err(Error::new(phrase!("/dev/null in the container is not the null device")))
    }
}

/// Mounts an open file on an open place, so that no name is looked up again which somebody may have changed.
///
/// # Errors
/// `open_tree(2)`, `move_mount(2)`; mount(2) before Linux 5.2.
pub fn put(file: &Fd, place: &Fd) -> Result<()> {
    match mount::open_tree(file.by_ref(), c"", false) {
        Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EPERM) => {
            mount::mount(Some(descriptor_path(file)?), descriptor_path(place)?, None, libc::MS_BIND, None)
        }
        tree => mount::attach_on(tree?.by_ref(), place.by_ref()),
    }
}

/// Hides a path: a file behind the null device, which is opened when it is needed first, a directory behind an empty read-only
/// file system. A missing path is fine.
///
/// # Errors
/// mount(2); there is no null device.
pub fn mask(path: &CStr, null: &mut Option<Fd>) -> Result<()> {
    // Asked first, since a bind mount that fails costs milliseconds: the kernel waits until nobody can see what it takes back.
    let place = match super::find(path) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(()),
        place => place?,
    };
    if u32::from(file::stat(place.by_ref(), c"")?.mode) & libc::S_IFMT == libc::S_IFDIR {
        mount::mount(Some(c"tmpfs"), path, Some(c"tmpfs"), libc::MS_RDONLY, Some(c"nr_inodes=1,size=0"))?;
        return read_back(path, libc::MS_RDONLY);
    }
    let null = match null {
        Some(null) => null,
        none => none.insert(null_device(libc::O_PATH)?),
    };
    put(null, &place)
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
    if asked as usize & !file::mount_flags_at(path)? == 0 {
        return Ok(());
    }
    Err(Error::new(say!("the kernel does not restrict {} as it was asked to", keep::lossy(path.to_bytes()))))
}
