//! Places inside the container's root: finding them and making them, without following the kernel's magic links.
//!
//! By the time this runs, the container's root is this process's root, so an ordinary link can't lead out of it. The links
//! under `/proc` that lead to open files and other roots could: those are refused.

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::fd::{CWD, Fd};
use crate::sys::uapi::Statx;
use crate::sys::{FdRef, file, procfs, users};

/// What a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file: anything that is no directory.
    File,
}

/// Opens an absolute path inside the root as a place to mount on; links are followed inside the root.
///
/// A link of the image's must not lead to `/proc`: what covers it would hide what vial reads and writes there.
///
/// # Errors
/// open(2); `ELOOP` for a magic link, and for one that leads to `/proc`.
pub fn find(path: &CStr) -> Result<Fd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    let place = match file::openat2(CWD, path, flags, libc::RESOLVE_NO_MAGICLINKS) {
        // Before Linux 5.6, or refused by a filter that does not know the call: `/proc` is the only place with magic links.
        Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EPERM) => file::open(CWD, path, flags),
        result => result,
    }?;
    let is_named = path.to_bytes().strip_prefix(b"/proc").is_some_and(|rest| matches!(rest, [] | [b'/', ..]));
    let any = is_named | weak!("proc") | weak!("root");
    if any || file::filesystem(place.by_ref())? != procfs::PROC {
        return Ok(place);
    }
    Err(Error::os(Errno::ELOOP, phrase!("open"), path.to_string_lossy())
        .hint(phrase!("a link in the image leads to /proc, which nothing may cover")))
}

/// Refuses an image that has links where the kernel's own file systems and devices are to be: what is meant for there would be
/// made wherever they lead, which may be a directory of the host's that the container gets as a volume (CVE-2026-41579).
///
/// # Errors
/// There is such a link.
pub fn refuse_links() -> Result<()> {
    for path in [c"/proc", c"/sys", c"/dev"] {
        let is_link = |stat: &Statx| u32::from(stat.mode) & libc::S_IFMT == libc::S_IFLNK;
        if file::stat(CWD, path).is_ok_and(|stat| is_link(&stat)) && !weak!("kernel-files") {
            return Err(Error::new(say!("the image's {} is a link", path.to_string_lossy())).hint(phrase!(
                "it must be a directory, or missing: the container's own devices and kernel files come there"
            )));
        }
    }
    Ok(())
}

/// Makes a directory or an empty file, and the directories above it, where they are missing; opens the place.
///
/// # Errors
/// What mkdir(2), mknod(2) and open(2) refuse; a directory where a file is needed, and the other way round.
pub fn make(path: &CStr, kind: Kind) -> Result<Fd> {
    match find(path) {
        Ok(place) => check(&place, path, kind).map(|()| place),
        Err(error) if error.is(Errno::ENOENT) => {
            add(path, kind)?;
            let place = find(path)?;
            check(&place, path, kind).map(|()| place)
        }
        Err(error) => Err(error),
    }
}

/// Makes a directory or an empty file where nothing is, and the directories above it where they are missing.
///
/// # Errors
/// What mkdir(2), mknod(2) and open(2) refuse.
pub fn add(path: &CStr, kind: Kind) -> Result<()> {
    make_missing(path, kind).map_err(|error| match error.errno() {
        Errno::EACCES if users::is_confined() => error.hint(phrase!(
            "the directory is somebody's who has no place in the user namespace; vial import makes an image of it, whose files are"
        )),
        _ => error,
    })
}

/// Makes what is missing, in the directory above, which is made first where it is missing itself.
fn make_missing(path: &CStr, kind: Kind) -> Result<()> {
    let mut text = path.to_bytes();
    while let [rest @ .., b'/'] = text {
        text = rest;
    }
    let end = text.iter().rposition(|byte| *byte == b'/').map_or(0, |place| place + 1);
    let (above, name) = text.split_at(end);
    if name.is_empty() {
        return Ok(());
    }
    let above = file::path(if above.is_empty() { b"." } else { above })?;
    let directory = match find(above) {
        Err(error) if error.is(Errno::ENOENT) => {
            make_missing(above, Kind::Directory)?;
            find(above)?
        }
        result => result?,
    };
    make_one(directory.by_ref(), file::path(name)?, kind)
}

fn make_one(directory: FdRef<'_>, name: &CStr, kind: Kind) -> Result<()> {
    let result = match kind {
        Kind::Directory => file::mkdir(directory, name, 0o755),
        Kind::File => file::mknod(directory, name, libc::S_IFREG | 0o644, (0, 0)),
    };
    result.or_else(|error| if error.is(Errno::EEXIST) { Ok(()) } else { Err(error) }).map_err(|error| {
        if error.is(Errno::EROFS) {
            error.hint(phrase!("the place to mount on does not exist, and can't be made on a read-only file system"))
        } else {
            error
        }
    })
}

fn check(place: &Fd, path: &CStr, kind: Kind) -> Result<()> {
    let stat = file::stat(place.by_ref(), c"")?;
    let is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
    match kind {
        Kind::Directory if !is_directory => {
            Err(Error::os(Errno::ENOTDIR, phrase!("mount a directory on"), path.to_string_lossy()).hint(phrase!(
                "--volume, --mount or --tmpfs: the image has a file there; mount it elsewhere, or mount a file"
            )))
        }
        Kind::File if is_directory => Err(Error::os(Errno::EISDIR, phrase!("mount a file on"), path.to_string_lossy())
            .hint(phrase!(
                "--volume or --mount: the image has a directory there; mount it elsewhere, or mount a directory"
            ))),
        _ => Ok(()),
    }
}
