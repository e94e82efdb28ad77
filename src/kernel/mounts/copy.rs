//! Copies of directories by open descriptors: owners, modes, times, attributes, links and devices are kept.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, file};

/// A file with several names: device and inode number, and the name under which it was copied, below the copy's root.
type Linked = ((u32, u32, u64), Vec<u8>);

struct Copier<'a> {
    root: FdRef<'a>,
    linked: Vec<Linked>,
}

/// Copies what is in one directory to another, which is empty, and then the directory's own owner, mode and times.
///
/// # Errors
/// The first call that fails.
pub fn copy_content(from: FdRef<'_>, to: FdRef<'_>) -> Result<()> {
    let stat = file::stat(from, c"")?;
    let mut copier = Copier { root: to, linked: Vec::new() };
    copier.directory(from, to, &mut Vec::new())?;
    dress(from, to, &stat)
}

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
        Ok(())
    }

    fn entry(&mut self, from: FdRef<'_>, to: FdRef<'_>, name: &CStr, path: &mut Vec<u8>) -> Result<()> {
        let stat = file::stat(from, name)?;
        let key = (stat.dev_major, stat.dev_minor, stat.ino);
        let kind = u32::from(stat.mode) & libc::S_IFMT;
        if stat.nlink > 1 && kind != libc::S_IFDIR {
            if let Some((_, first)) = self.linked.iter().find(|(known, _)| *known == key) {
                return file::link(self.root, &file::owned_path(first)?, to, name);
            }
            self.linked.push((key, path.clone()));
        }
        let no_follow = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        match kind {
            libc::S_IFDIR => {
                let source = file::open(from, name, libc::O_RDONLY | libc::O_DIRECTORY | no_follow)?;
                file::mkdir(to, name, 0o700)?;
                let target = file::open(to, name, libc::O_RDONLY | libc::O_DIRECTORY | no_follow)?;
                self.directory(source.by_ref(), target.by_ref(), path)?;
                dress(source.by_ref(), target.by_ref(), &stat)
            }
            libc::S_IFREG => {
                let source = file::open(from, name, libc::O_RDONLY | no_follow)?;
                let target = file::create(to, name, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | no_follow, 0o600)?;
                content(&source, &target)?;
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
}

/// Copies bytes inside the kernel where the file systems allow it, else through a buffer.
fn content(from: &Fd, to: &Fd) -> Result<()> {
    loop {
        match file::copy_range(from.by_ref(), to.by_ref(), 1 << 30) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if [Errno::EXDEV, Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP].contains(&error.errno()) => {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let mut buffer = alloc::vec![0u8; 64 << 10];
    loop {
        match file::read(from.by_ref(), &mut buffer)? {
            0 => return Ok(()),
            count => file::write_all(to.by_ref(), &buffer[..count])?,
        }
    }
}

/// Owner before mode, since a change of owner takes set-user-ID bits away; times last.
fn dress(from: FdRef<'_>, to: FdRef<'_>, stat: &Statx) -> Result<()> {
    file::chown(to, stat.uid, stat.gid)?;
    file::chmod(to, u32::from(stat.mode) & 0o7777)?;
    for name in file::list_xattrs(from)? {
        if !name.to_bytes().starts_with(b"trusted.overlay.") {
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
