//! Copies of directories by open descriptors: owners, modes, times, attributes, links and devices are kept.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::cold::Gate;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, data, device, file, ledger, users};

/// Which file this is: device and inode number.
pub type Identity = (u32, u32, u64);

/// What of an overlay's layer says that nothing of those below shows in a directory. In a user namespace nobody can write
/// trusted attributes, so overlays there have others (`userxattr`, Linux 5.11).
#[must_use]
pub fn opaque_attribute() -> &'static CStr {
    if users::is_confined() { c"user.overlay.opaque" } else { c"trusted.overlay.opaque" }
}

/// The number of what takes a name of the layers below away where the layer itself lies on an overlay: that keeps 0:0, which
/// overlayfs knows, to itself. There is no such device either.
pub const OTHER_WHITEOUT: (u32, u32) = (0, 1);

/// Whether a character device is no device but says that there is nothing of its name (`overlayfs.rst`).
#[must_use]
pub fn is_whiteout(stat: &Statx) -> bool {
    stat.rdev_major == 0 && stat.rdev_minor <= OTHER_WHITEOUT.1
}

struct Copier<'a> {
    root: FdRef<'a>,
    /// Files with several names, and the name under which each was copied, below the copy's root.
    linked: Vec<(Identity, Vec<u8>)>,
    /// The file system that a layer lies on, beyond which nothing is copied, and a directory that is left out.
    layer: Option<((u32, u32), Identity)>,
}

/// Copies what is in one directory to another, which is empty, and then the directory's own owner, mode and times.
///
/// # Errors
/// The first call that fails.
pub fn copy_content(from: FdRef<'_>, to: FdRef<'_>) -> Result<()> {
    copy(from, to, None)
}

/// Puts a layer of an overlay onto a tree as an overlay would show both: what has a name already goes, directories apart, and
/// what the layer hides goes too. It stays on the layer's file system, and leaves the content of one directory out.
///
/// # Errors
/// The first call that fails.
pub fn add_layer(from: FdRef<'_>, to: FdRef<'_>, except: Identity) -> Result<()> {
    copy(from, to, Some(except))
}

fn copy(from: FdRef<'_>, to: FdRef<'_>, except: Option<Identity>) -> Result<()> {
    COLD_GATE_SELDOM.open()?(from, to, except)
}

type CopyTree = fn(FdRef<'_>, FdRef<'_>, Option<Identity>) -> Result<()>;

static COLD_GATE_SELDOM: Gate<CopyTree> = Gate(copy_all);

fn copy_all(from: FdRef<'_>, to: FdRef<'_>, except: Option<Identity>) -> Result<()> {
    let stat = file::stat(from, c"")?;
    let layer = except.map(|except| ((stat.dev_major, stat.dev_minor), except));
    let mut copier = Copier { root: to, linked: Vec::new(), layer };
    copier.directory(from, to, &mut Vec::new())?;
    dress(from, to, &stat)
}

/// How a directory is opened, and what else of the name is not followed or waited for.
const NO_FOLLOW: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
/// See [`NO_FOLLOW`].
const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | NO_FOLLOW;

impl Copier<'_> {
    fn directory(&mut self, from: FdRef<'_>, to: FdRef<'_>, path: &mut Vec<u8>) -> Result<()> {
        for entry in file::list(from)? {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name.to_bytes());
            self.entry(from, to, &entry.name, path)?;
            path.truncate(length);
        }
        ledger::relieve();
        Ok(())
    }

    #[inline(never)]
    fn entry(&mut self, from: FdRef<'_>, to: FdRef<'_>, name: &CStr, path: &mut Vec<u8>) -> Result<()> {
        let stat = file::stat(from, name)?;
        let key = (stat.dev_major, stat.dev_minor, stat.ino);
        let kind = u32::from(stat.mode) & libc::S_IFMT;
        if kind == libc::S_IFDIR {
            let source = file::open(from, name, DIRECTORY)?;
            let target = self.make_directory(&source, to, name)?;
            if !self.layer.is_some_and(|(device, except)| (key.0, key.1) != device || key == except) {
                self.directory(source.by_ref(), target.by_ref(), path)?;
            }
            return dress(source.by_ref(), target.by_ref(), &stat);
        }
        if self.layer.is_some() {
            file::remove_tree(to, name)?;
            if kind == libc::S_IFCHR && is_whiteout(&stat) {
                return Ok(());
            }
        }
        if stat.nlink > 1 {
            if let Some((_, first)) = self.linked.iter().rfind(|(known, _)| *known == key) {
                return file::link(self.root, &file::owned_path(first)?, to, name);
            }
            self.linked.push((key, path.clone()));
        }
        match kind {
            libc::S_IFREG => {
                let source = file::open(from, name, libc::O_RDONLY | NO_FOLLOW)?;
                let target = file::create(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | NO_FOLLOW, 0o600)?;
                copy_file(&source, &target, stat.size)?;
                dress(source.by_ref(), target.by_ref(), &stat)
            }
            libc::S_IFLNK => {
                let target: CString = file::readlink(from, name)?;
                file::symlink(&target, to, name)?;
                bare(to, name, &stat)
            }
            // A socket is of use only to the process that listens on it.
            libc::S_IFSOCK => Ok(()),
            _ => {
                file::mknod(to, name, u32::from(stat.mode), (stat.rdev_major, stat.rdev_minor))?;
                bare(to, name, &stat)
            }
        }
    }

    /// Makes a directory, or opens the one that is there and that what is in the source is to be added to.
    #[inline(never)]
    fn make_directory(&self, source: &Fd, to: FdRef<'_>, name: &CStr) -> Result<Fd> {
        if let Err(error) = file::mkdir(to, name, 0o700) {
            if !error.is(Errno::EEXIST) || self.layer.is_none() {
                return Err(error);
            }
            let opaque = file::get_xattr(source.by_ref(), opaque_attribute()).is_ok_and(|value| value == b"y");
            if let (false, Ok(there)) = (opaque, file::open(to, name, DIRECTORY)) {
                return Ok(there);
            }
            file::remove_tree(to, name)?;
            file::mkdir(to, name, 0o700)?;
        }
        file::open(to, name, DIRECTORY)
    }
}

/// Copies a file to one that is empty, from its beginning and with its holes: where the file system can, both then share the
/// data; else inside the kernel.
fn copy_file(from: &Fd, to: &Fd, size: u64) -> Result<()> {
    let (from, to) = (from.by_ref(), to.by_ref());
    if device::clone_file(from, to).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while let Some(start) = data::seek_data(from, at)? {
        let end = data::seek_hole(from, start)?;
        file::seek(from, start)?;
        file::seek(to, start)?;
        at = start;
        while at < end {
            match file::copy_range(from, to, (end - at).min(1 << 30) as usize)? {
                // It became shorter meanwhile.
                0 => return Ok(()),
                count => at += count as u64,
            }
        }
    }
    file::truncate(to, size)
}

/// Owner before mode, since a change of owner takes set-user-ID bits away; times last.
fn dress(from: FdRef<'_>, to: FdRef<'_>, stat: &Statx) -> Result<()> {
    file::chown(to, stat.uid, stat.gid)?;
    file::chmod(to, u32::from(stat.mode) & 0o7777)?;
    for name in file::list_xattrs(from)? {
        if !name.to_bytes().starts_with(b"trusted.overlay.") && !name.to_bytes().starts_with(b"user.overlay.") {
            file::set_xattr(to, &name, &file::get_xattr(from, &name)?)?;
        }
    }
    file::set_times(to, None, (stat.atime.secs, stat.atime.nanos), (stat.mtime.secs, stat.mtime.nanos))
}

/// Owner and times of what can't be opened.
fn bare(to: FdRef<'_>, name: &CStr, stat: &Statx) -> Result<()> {
    file::chown_at(to, name, stat.uid, stat.gid)?;
    let (access, modification) = ((stat.atime.secs, stat.atime.nanos), (stat.mtime.secs, stat.mtime.nanos));
    file::set_times(to, Some(name), access, modification)
}
