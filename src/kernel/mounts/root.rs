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

/// Makes the current directory, which must be a mount point, the root, and lets go of the old one.
///
/// `pivot_root(2)` with `.` for both stacks the old root on the new one. It is taken off at once: a path that begins at the
/// root does not see it, but every `..` that arrives at the root steps onto what is mounted there, so that a link such as
/// `/var/run -> ../run` would lead to the host's files. A root that can't be pivoted (the initial ramfs gives `EINVAL`) is
/// covered instead.
///
/// # Errors
/// There is a link where the kernel's own files are to be; `pivot_root(2)`, umount(2), and mount(2), chroot(2) in their place.
pub fn enter() -> Result<()> {
    let old = file::open(CWD, c"/", libc::O_PATH | libc::O_DIRECTORY)?;
    match mount::pivot_root(c".", c".") {
        Ok(()) => {
            file::fchdir(old.by_ref())?;
            mount::detach(c".")?;
        }
        Err(error) if error.is(Errno::EINVAL) => {
            mount::mount(Some(c"."), c"/", None, libc::MS_MOVE, None).map_err(|_| error)?;
            mount::chroot(c".")?;
        }
        Err(error) => return Err(error),
    }
    file::chdir(c"/")?;
    super::place::refuse_links()
}

/// Makes the current directory the root of this process alone: paths end there as they do once it is the root of all, since
/// nothing is mounted on it, and those who hold the old one can go back.
///
/// # Errors
/// chroot(2); there is a link where the kernel's own files are to be.
pub fn enter_loosely() -> Result<()> {
    mount::chroot(c".")?;
    super::place::refuse_links()
}

/// Goes back to a root, and to a directory in it.
///
/// # Errors
/// chroot(2), fchdir(2).
pub fn go_back(places: &[Fd; 2]) -> Result<()> {
    file::fchdir(places[0].by_ref())?;
    mount::chroot(c".")?;
    file::fchdir(places[1].by_ref())
}
