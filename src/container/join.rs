//! Going to the namespaces of a container that runs.

use alloc::vec::Vec;

use super::plan::Entered;
use super::process as known;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::fd::{CWD, FdRef};
use crate::sys::users::is_confined;
use crate::sys::{file, process, security};

/// Becomes root of the user namespace that this process has entered: so far it is nobody there, though nothing is forbidden to it.
pub(super) fn become_root() -> Result<()> {
    security::setgroups(&[])?;
    security::setresgid(0)?;
    security::setresuid(0)
}

/// Namespaces in the order in which they are entered one by one, as `/proc` calls them.
const KINDS: [(&str, i32); 8] = [
    ("user", libc::CLONE_NEWUSER),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("net", libc::CLONE_NEWNET),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("pid", libc::CLONE_NEWPID),
    ("time", 0x80),
    ("mnt", libc::CLONE_NEWNS),
];

/// Moves to the namespaces of a container's process: all at once where the kernel can (Linux 5.8).
#[inline(never)]
pub(super) fn enter(container: Entered, kinds: i32) -> Result<()> {
    let held = FdRef::from_number(container.held);
    let mut kinds = kinds;
    if is_confined() {
        // Whoever is not the host's root can't go where it is already, if that is the host's.
        for (name, kind) in KINDS {
            if kinds & kind == 0 {
                // The kernel may not even have such ones.
                continue;
            }
            let inode = |whose: &str| -> Result<u64> {
                Ok(file::stat_follow(CWD, file::path(join!("/proc/{}/ns/{}", whose, name))?)?.ino)
            };
            if inode("self")? == inode(join!("{}", container.pid))? {
                kinds &= !kind;
            }
        }
    }
    match process::setns(held, kinds) {
        Err(error) if [Errno::EINVAL, Errno::EBADF].contains(&error.errno()) => {}
        result => return result,
    }
    let mut namespaces = Vec::with_capacity(8);
    for (name, kind) in KINDS.into_iter().filter(|(_, kind)| kinds & kind != 0) {
        let path = file::path(join!("/proc/{}/ns/{}", container.pid, name))?;
        namespaces.push((file::open(CWD, path, libc::O_RDONLY)?, kind));
    }
    if !known::is_alive(container.pid, container.then) {
        return Err(Error::os(Errno::ESRCH, phrase!("find the container's first process"), ""));
    }
    namespaces.iter().try_for_each(|(namespace, kind)| process::setns(namespace.by_ref(), *kind))
}
