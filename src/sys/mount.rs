//! Mounts: the calls of `mount(2)` and of the newer interface that takes mounts in hand (`open_tree(2)`, `fsopen(2)`).
#![expect(unsafe_code, reason = "wraps system calls")]

use core::ffi::{CStr, c_char};
use core::ptr;

use super::call::sys;
use super::fd::{CWD, Fd, FdRef};
use super::file::{fail, fail_on};
use super::uapi::{self, MountAttr};
use crate::base::error::Result;
use crate::base::phrase::Phrase;
use crate::base::text::place;

fn pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

/// mount(2) as it is.
///
/// # Errors
/// mount(2).
pub fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> Result<()> {
    // SAFETY: strings are valid or null.
    unsafe { sys!(mount, pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data)) }
        .map(drop)
        .map_err(|errno| fail(errno, operation(kind, flags), target))
}

/// What mount(2) does with these flags, in words.
fn operation(kind: Option<&CStr>, flags: libc::c_ulong) -> Phrase {
    match kind {
        _ if flags & libc::MS_REMOUNT != 0 => phrase!("remount"),
        _ if flags & libc::MS_MOVE != 0 => phrase!("move the mount to"),
        _ if flags & libc::MS_BIND != 0 => phrase!("bind mount on"),
        Some(kind) => match place("proc sysfs tmpfs overlay", kind.to_str().unwrap_or_default()) {
            Some(0) => phrase!("mount proc on"),
            Some(1) => phrase!("mount sysfs on"),
            Some(2) => phrase!("mount tmpfs on"),
            Some(3) => phrase!("mount overlay on"),
            _ => phrase!("mount on"),
        },
        None => phrase!("change the propagation of"),
    }
}

/// Takes a mount away from the tree at once; it goes when its last user does (`MNT_DETACH`).
///
/// # Errors
/// umount(2).
pub fn detach(target: &CStr) -> Result<()> {
    // SAFETY: `target` is a valid string.
    unsafe { sys!(umount2, target.as_ptr(), libc::MNT_DETACH) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("unmount"), target))
}

/// Makes `root` the root and puts the old one at `old`.
///
/// # Errors
/// `pivot_root(2)`; `EINVAL` where the old root is the initial ramfs.
pub fn pivot_root(root: &CStr, old: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(pivot_root, root.as_ptr(), old.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("pivot_root to"), root))
}

/// Changes the root directory of this process.
///
/// # Errors
/// chroot(2).
pub fn chroot(root: &CStr) -> Result<()> {
    // SAFETY: `root` is a valid string.
    unsafe { sys!(chroot, root.as_ptr()) }.map(drop).map_err(|errno| fail(errno, phrase!("chroot to"), root))
}

/// Takes a copy of a mount, and of those below it if `recursive`, in hand (Linux 5.2).
///
/// # Errors
/// `open_tree(2)`.
pub fn open_tree(dir: FdRef<'_>, path: &CStr, recursive: bool) -> Result<Fd> {
    let empty = if path.is_empty() { uapi::AT_EMPTY_PATH } else { 0 };
    let depth = if recursive { uapi::AT_RECURSIVE } else { 0 };
    let flags = uapi::OPEN_TREE_CLONE | uapi::OPEN_TREE_CLOEXEC | depth | empty;
    // SAFETY: `path` is a valid string.
    unsafe { sys!(open_tree, dir.number(), path.as_ptr(), flags) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail(errno, phrase!("take a copy of the mount"), path))
}

/// Attaches a mount that is in hand at a path, whose last links are followed.
///
/// # Errors
/// `move_mount(2)`.
pub fn attach(tree: FdRef<'_>, target: &CStr) -> Result<()> {
    let flags = uapi::MOVE_MOUNT_F_EMPTY_PATH;
    // SAFETY: both strings are valid.
    unsafe { sys!(move_mount, tree.number(), c"".as_ptr(), CWD.number(), target.as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("attach a mount at"), target))
}

/// Attaches a mount that is in hand on an open file or directory.
///
/// # Errors
/// `move_mount(2)`.
pub fn attach_on(tree: FdRef<'_>, place: FdRef<'_>) -> Result<()> {
    let flags = uapi::MOVE_MOUNT_F_EMPTY_PATH | uapi::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: the strings are valid.
    unsafe { sys!(move_mount, tree.number(), c"".as_ptr(), place.number(), c"".as_ptr(), flags) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("attach a mount"), ""))
}

/// Begins to make a file system (Linux 5.2).
///
/// # Errors
/// `fsopen(2)`.
pub fn fsopen(kind: &CStr) -> Result<Fd> {
    // SAFETY: `kind` is a valid string.
    unsafe { sys!(fsopen, kind.as_ptr(), uapi::FSOPEN_CLOEXEC) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail(errno, phrase!("begin to make the file system"), kind))
}

/// Sets an option of a file system in the making.
///
/// # Errors
/// `fsconfig(2)`.
pub fn fsconfig_set(context: FdRef<'_>, key: &CStr, value: &CStr) -> Result<()> {
    // SAFETY: both are valid strings.
    unsafe { sys!(fsconfig, context.number(), uapi::FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("set the file system's option"), key))
}

/// Sets an option without a value of a file system in the making.
///
/// # Errors
/// `fsconfig(2)`.
pub fn fsconfig_flag(context: FdRef<'_>, key: &CStr) -> Result<()> {
    // SAFETY: the key is a valid string, and there is no value.
    unsafe { sys!(fsconfig, context.number(), uapi::FSCONFIG_SET_FLAG, key.as_ptr(), 0, 0) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("set the file system's option"), key))
}

/// Makes the file system.
///
/// # Errors
/// `fsconfig(2)`.
pub fn fsconfig_create(context: FdRef<'_>) -> Result<()> {
    // SAFETY: null strings are what this command takes.
    unsafe { sys!(fsconfig, context.number(), uapi::FSCONFIG_CMD_CREATE, 0, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("make the file system"), ""))
}

/// Makes a mount of the file system and takes it in hand; `attributes` are `MOUNT_ATTR_*`.
///
/// # Errors
/// `fsmount(2)`.
pub fn fsmount(context: FdRef<'_>, attributes: u32) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(fsmount, context.number(), uapi::FSMOUNT_CLOEXEC, attributes) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("make a mount of the file system"), ""))
}

/// Changes the attributes of a mount, and of those below it if `recursive` (Linux 5.12).
///
/// # Errors
/// `mount_setattr(2)`.
pub fn mount_setattr(dir: FdRef<'_>, path: &CStr, attr: &MountAttr, recursive: bool) -> Result<()> {
    let empty = if path.is_empty() { uapi::AT_EMPTY_PATH } else { 0 };
    let flags = empty | if recursive { uapi::AT_RECURSIVE } else { 0 };
    let size = size_of::<MountAttr>();
    // SAFETY: `path` and `attr` are valid.
    unsafe { sys!(mount_setattr, dir.number(), path.as_ptr(), flags, ptr::from_ref(attr), size) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("change mount attributes of"), path))
}
