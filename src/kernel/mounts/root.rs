//! The change of root.

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::fd::{CWD, Fd};
use crate::sys::{file, mount};

/// Cuts all mounts off from the host's, so that nothing mounted here is seen there (and `pivot_root` is allowed).
///
/// # Errors
/// mount(2).
pub fn make_private() -> Result<()> {
    mount::mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)
}

/// The host's root, still mounted so that its trees can be bound, but out of the reach of every path.
pub struct OldRoot {
    directory: Option<Fd>,
}

/// Makes the current directory, which must be a mount point, the root.
///
/// `pivot_root(2)` with `.` for both stacks the old root on the new one, where no path leads: lookups begin at the
/// process's root, which is below it. A root that can't be pivoted (the initial ramfs gives `EINVAL`) is covered instead.
///
/// # Errors
/// `pivot_root(2)`, and mount(2), chroot(2) in its place.
pub fn enter() -> Result<OldRoot> {
    let old = file::open(CWD, c"/", libc::O_PATH | libc::O_DIRECTORY)?;
    match mount::pivot_root(c".", c".") {
        Ok(()) => Ok(OldRoot { directory: Some(old) }),
        Err(error) if error.is(Errno::EINVAL) => {
            mount::mount(Some(c"."), c"/", None, libc::MS_MOVE, None).map_err(|_| error)?;
            mount::chroot(c".")?;
            file::chdir(c"/")?;
            Ok(OldRoot { directory: None })
        }
        Err(error) => Err(error),
    }
}

/// Lets go of the host's root for good.
///
/// # Errors
/// umount(2).
pub fn leave_old(old: OldRoot) -> Result<()> {
    if let Some(directory) = old.directory {
        file::fchdir(directory.by_ref())?;
        mount::detach(c".")?;
    }
    file::chdir(c"/")
}
