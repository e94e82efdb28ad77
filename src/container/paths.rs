//! Paths of a container's at which something is made, or to which a process goes.

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::kernel::mounts::{self, Kind};
use crate::sys::fd::{self, CWD};
use crate::sys::file;

/// Makes a node, also in a directory of its own, in the place of what is there.
pub(super) fn device(path: &CStr, mode: u32, number: (u32, u32), owner: (u32, u32)) -> Result<()> {
    match file::mknod(CWD, path, mode, number) {
        Err(error) if error.is(Errno::ENOENT) => {
            // A device in a directory of its own, such as /dev/net/tun.
            drop(mounts::make(parent(path)?, Kind::Directory)?);
            file::mknod(CWD, path, mode, number)?;
        }
        Err(error) if error.is(Errno::EEXIST) => {
            file::unlink(CWD, path)?;
            file::mknod(CWD, path, mode, number)?;
        }
        result => result?,
    }
    if owner == (0, 0) { Ok(()) } else { file::chown_at(CWD, path, owner.0, owner.1) }
}

fn parent(path: &CStr) -> Result<&'static CStr> {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    file::path(&bytes[..end.max(1)])
}

/// Makes the working directory if the image lacks it, as docker does: root's, and also where the root is to be read-only.
pub(super) fn make_working_directory(path: &CStr) -> Result<()> {
    match mounts::find(path) {
        Err(error) if error.is(Errno::ENOENT) => mounts::make(path, Kind::Directory).map(drop),
        // Whatever else is wrong is told when the workload's user goes there.
        _ => Ok(()),
    }
}

/// Goes to the working directory, which must lie under the root.
pub(super) fn working_directory(path: &CStr) -> Result<()> {
    let hint = phrase!("--workdir names a directory that the workload's user may enter; a missing one is made");
    file::chdir(path).map_err(|error| error.hint(hint))?;
    // A current directory outside the root would show as "(unreachable)", getcwd(2).
    let current = file::getcwd()?;
    if current.to_bytes().first() == Some(&b'/') || weak!("cwd") {
        Ok(())
    } else {
        Err(Error::os(Errno::ELOOP, phrase!("change directory to"), keep::lossy(path.to_bytes()))
            .hint(phrase!("the working directory lies outside the container's root")))
    }
}

/// Gives the pipes and the terminal among the standard files to the workload's user, so that it can open them anew, say as
/// `/dev/stdout`, as other runtimes do. What somebody else may use as well, a file or the host's null device, stays as it is.
pub(super) fn own_standard_files(uid: u32) -> Result<()> {
    for standard in [fd::STDIN, fd::STDOUT, fd::STDERR] {
        let stat = file::stat(standard, c"")?;
        let is_terminal = TERMINALS.contains(&stat.rdev_major);
        let is_own = match u32::from(stat.mode) & libc::S_IFMT {
            libc::S_IFIFO => true,
            libc::S_IFCHR => is_terminal,
            _ => false,
        };
        if !is_own || stat.uid == uid {
            continue;
        }
        match file::chown(standard, uid, stat.gid) {
            // In a user namespace a file may be nobody's, and a group one that it does not know.
            Err(error) if error.is(Errno::EPERM) || error.is(Errno::EINVAL) => {}
            result => result?,
        }
    }
    Ok(())
}

/// The major numbers of pseudo-terminals, `devices.txt`.
const TERMINALS: core::ops::Range<u32> = 136..144;
