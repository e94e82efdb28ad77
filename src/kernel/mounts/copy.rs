//! Copies of directories by open descriptors: owners, modes, times, attributes, links and devices are kept.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, data, device, file};

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
}

/// Copies a file to one that is empty, from its beginning and with its holes: where the file system can, both then share the
/// data; else inside the kernel, or at last through a buffer.
///
/// # Errors
/// The first call that fails.
pub fn copy_file(from: &Fd, to: &Fd, size: u64) -> Result<()> {
    let (from, to) = (from.by_ref(), to.by_ref());
    if device::clone_file(from, to).is_ok() {
        return Ok(());
    }
    let mut end = 0;
    while let Some(start) = data::seek_data(from, end)? {
        end = data::seek_hole(from, start)?;
        file::seek(from, start)?;
        file::seek(to, start)?;
        range(from, to, end - start)?;
    }
    file::truncate(to, size)
}

fn range(from: FdRef<'_>, to: FdRef<'_>, mut left: u64) -> Result<()> {
    let mut buffer = Vec::new();
    while left > 0 {
        let count = if buffer.is_empty() {
            match file::copy_range(from, to, left.min(1 << 30) as usize) {
                Err(error)
                    if [Errno::EXDEV, Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP].contains(&error.errno()) =>
                {
                    buffer.resize(64 << 10, 0);
                    continue;
                }
                result => result?,
            }
        } else {
            let room = left.min(64 << 10) as usize;
            let count = file::read(from, &mut buffer[..room])?;
            file::write_all(to, &buffer[..count])?;
            count
        };
        if count == 0 {
            // It became shorter meanwhile.
            return Ok(());
        }
        left -= count as u64;
    }
    Ok(())
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
