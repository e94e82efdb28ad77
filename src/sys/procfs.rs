//! The kernel's own `/proc`, whatever is mounted on parts of it and wherever links lead.
//!
//! What is written to `/proc` sets the kernel's parameters and the label of what is executed next. A container's `/proc` may be
//! covered, since its user mounts things where the image's links lead: what is written is then swallowed, or sets something
//! else (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881).

use super::fd::{CWD, Fd};
use super::file;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;

/// `PROC_SUPER_MAGIC`, `linux/magic.h`.
pub const PROC: usize = 0x9fa0;
/// `PROC_ROOT_INO`, `linux/proc_ns.h`.
const ROOT: u64 = 1;

/// Opens a file of it for writing, part by part, following nothing but `self` and leaving the file system nowhere.
///
/// # Errors
/// open(2); `EXDEV` for what is not the kernel's.
pub fn open(path: &str) -> Result<Fd> {
    if weak!("proc") {
        return file::open(CWD, file::path(join!("/proc/{}", path))?, libc::O_WRONLY);
    }
    walk(path).map_err(|errno| {
        let error = Error::os(errno, phrase!("open"), join!("/proc/{}", path)).because(super::ledger::reason());
        match errno {
            Errno::EXDEV | Errno::ELOOP => {
                error.hint(phrase!("something is mounted there in the container, or a link is in the way"))
            }
            _ => error,
        }
    })
}

fn walk(path: &str) -> core::result::Result<Fd, Errno> {
    let errno = |error: Error| error.errno();
    let directory = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let mut here = file::open(CWD, c"/proc", directory).map_err(errno)?;
    let top = file::stat(here.by_ref(), c"").map_err(errno)?;
    if file::filesystem(here.by_ref()).map_err(errno)? != PROC || top.ino != ROOT {
        return Err(Errno::EXDEV);
    }
    let mut parts = path.parts(b'/').peekable();
    while let Some(part) = parts.next() {
        // A FIFO would be waited for.
        let last = libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let flags = if parts.peek().is_some() { directory } else { last };
        let name = file::owned_path(part.as_bytes()).map_err(errno)?;
        let name = if part == "self" { file::readlink(here.by_ref(), &name).map_err(errno)? } else { name };
        here = file::open(here.by_ref(), &name, flags).map_err(errno)?;
        let stat = file::stat(here.by_ref(), c"").map_err(errno)?;
        if (stat.dev_major, stat.dev_minor) != (top.dev_major, top.dev_minor) {
            return Err(Errno::EXDEV);
        }
    }
    Ok(here)
}
