//! Loop devices, and what btrfs and other file systems do at an `ioctl(2)`.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::vec;

use super::call::sys;
use super::fd::FdRef;
use super::file::fail_on;
use super::uapi::ioctl::{
    BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_DESTROY, BTRFS_IOC_SUBVOL_CREATE, FICLONE, LOOP_CONFIGURE, LOOP_CTL_GET_FREE,
    LOOP_SET_FD, LOOP_SET_STATUS64,
};
use crate::base::errno::Errno;
use crate::base::error::Result;

/// `LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR`, `linux/loop.h`.
const LOOP_FLAGS: u32 = 1 | 4;
/// `BTRFS_PATH_NAME_MAX`, `linux/btrfs.h`.
const NAME_MAX: usize = 4087;

/// The number of a loop device that nobody has bound; another process may be faster.
///
/// # Errors
/// `loop(4)`.
pub fn free_loop(control: FdRef<'_>) -> Result<u32> {
    // SAFETY: no memory is involved.
    unsafe { sys!(ioctl, control.number(), LOOP_CTL_GET_FREE) }
        .map(|number| number as u32)
        .map_err(|errno| fail_on(errno, phrase!("find a free loop device"), ""))
}

/// Binds a loop device to a file, read-only and until its last user lets go of it.
///
/// # Errors
/// `loop(4)`; `EBUSY` for one that is bound already.
pub fn bind_loop(device: FdRef<'_>, file: FdRef<'_>) -> Result<()> {
    // `struct loop_config`: the file, the block size, and from byte 8 on `struct loop_info64`, whose flags are at byte 52.
    let mut config = [0u32; 76];
    config[0] = file.number() as u32;
    config[15] = LOOP_FLAGS;
    let number = device.number();
    // SAFETY: the structure has the kernel's size.
    let result = match unsafe { sys!(ioctl, number, LOOP_CONFIGURE, config.as_ptr()) } {
        // Before Linux 5.8.
        Err(Errno::EINVAL | Errno::ENOTTY) => {
            // SAFETY: no memory is involved.
            unsafe { sys!(ioctl, number, LOOP_SET_FD, file.number()) }
                // SAFETY: a `struct loop_info64` is left from there on.
                .and_then(|_| unsafe { sys!(ioctl, number, LOOP_SET_STATUS64, config[2..].as_ptr()) })
        }
        result => result,
    };
    result.map(drop).map_err(|errno| fail_on(errno, phrase!("bind the loop device"), ""))
}

/// Has a file, which is empty, share another one's data until one of them is changed.
///
/// # Errors
/// `ioctl_ficlone(2)`: they are not on the same file system, or that can't share.
pub fn clone_file(from: FdRef<'_>, to: FdRef<'_>) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(ioctl, to.number(), FICLONE, from.number()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("share a file's data"), ""))
}

/// Makes a subvolume of btrfs in a directory: an empty one, or a writable snapshot of `source`.
///
/// # Errors
/// `EEXIST`; what is no btrfs.
pub fn make_subvolume(parent: FdRef<'_>, name: &str, source: Option<FdRef<'_>>) -> Result<()> {
    let request = if source.is_some() { BTRFS_IOC_SNAP_CREATE } else { BTRFS_IOC_SUBVOL_CREATE };
    subvolume(parent, request, name, source.map_or(0, FdRef::number))
}

/// Removes a subvolume of btrfs with all that is in it.
///
/// # Errors
/// It is none, or has others in it.
pub fn remove_subvolume(parent: FdRef<'_>, name: &str) -> Result<()> {
    subvolume(parent, BTRFS_IOC_SNAP_DESTROY, name, 0)
}

#[inline(never)]
fn subvolume(parent: FdRef<'_>, request: u32, name: &str, source: i32) -> Result<()> {
    // `struct btrfs_ioctl_vol_args`: a number of 8 bytes, the name, and at least one zero byte.
    let mut args = vec![0u8; 4096];
    args[..8].copy_from_slice(&i64::from(source).to_ne_bytes());
    for (byte, letter) in args[8..8 + NAME_MAX].iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    // SAFETY: the structure has the kernel's size.
    unsafe { sys!(ioctl, parent.number(), request, args.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("make or remove the subvolume"), name))
}
