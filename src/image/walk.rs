//! A directory as an archive: always the same bytes for the same tree.
//!
//! Names are sorted, hard links are kept, holes are left out, sockets are too (they mean nothing without the process that
//! listens). The walk never follows a link and stays on the directory's file system: of what is mounted below it, only the
//! empty mount points are taken.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::ffi::CString;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::ffi::CStr;

use super::layer::keeps_attribute;
use super::stream::Output;
use super::tar::{Entry, Extent, Kind, Time, Xattr, write};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::uapi::Statx;
use crate::sys::{Fd, FdRef, data, file, ledger, process};

/// `RLIMIT_NOFILE`, `asm-generic/resource.h`.
const OPEN_FILES: u32 = 7;
/// Bytes read at a time.
const BUFFER: usize = 128 << 10;
/// statx(2): the root of a mount (Linux 5.8).
const MOUNT_ROOT: u64 = 0x2000;
/// More extents than this are not worth their map, and readers refuse them.
const MAX_EXTENTS: usize = 4096;

/// Writes all below `top` as an archive.
///
/// # Errors
/// What can't be read, and a file that gets shorter meanwhile.
pub fn archive(top: FdRef<'_>, output: &mut Output) -> Result<()> {
    // One directory is open for each level of the tree. The limit is raised for this process alone, which ends after this.
    let (_, hard) = process::get_rlimit(OPEN_FILES)?;
    process::set_rlimit(OPEN_FILES, hard, hard)?;
    let stat = file::stat(top, c"")?;
    let device = (stat.dev_major, stat.dev_minor);
    let mut walk = Walk {
        output,
        device,
        links: BTreeMap::new(),
        path: b".".to_vec(),
        header: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    let mut entry = walk.describe(&stat, Kind::Directory);
    entry.path.push(b'/');
    entry.xattrs = attributes(top)?;
    walk.begin(&entry)?;
    walk.directory(top)?;
    walk.output.write(&write::END)
}

struct Walk<'a> {
    output: &'a mut Output,
    /// The file system to stay on.
    device: (u32, u32),
    /// The first name of each file that has several.
    links: BTreeMap<u64, Vec<u8>>,
    /// The name of what is at hand, from `.` on.
    path: Vec<u8>,
    header: Vec<u8>,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    fn directory(&mut self, dir: FdRef<'_>) -> Result<()> {
        // A heap sorts as well and is a tenth of the code of `slice::sort`.
        let names: BinaryHeap<CString> = file::list(dir)?.into_iter().map(|entry| entry.name).collect();
        let length = self.path.len();
        for name in names.into_sorted_vec() {
            self.path.push(b'/');
            self.path.extend_from_slice(name.to_bytes());
            self.member(dir, &name)
                .map_err(|error| error.hint(format!("this is about {} in the directory", self.path.escape_ascii())))?;
            self.path.truncate(length);
        }
        ledger::relieve();
        Ok(())
    }

    #[inline(never)]
    fn member(&mut self, dir: FdRef<'_>, name: &CStr) -> Result<()> {
        let stat = file::stat(dir, name)?;
        let kind = match u32::from(stat.mode) & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Symlink,
            libc::S_IFCHR => Kind::CharDevice,
            libc::S_IFBLK => Kind::BlockDevice,
            libc::S_IFIFO => Kind::Fifo,
            _ => return Ok(()),
        };
        let mut entry = self.describe(&stat, kind);
        if kind == Kind::Directory {
            return self.below(dir, name, entry, &stat);
        }
        if stat.nlink > 1 {
            if let Some(first) = self.links.get(&stat.ino) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                entry.size = 0;
                return self.begin(&entry);
            }
            self.links.insert(stat.ino, self.path.clone());
        }
        match kind {
            Kind::File => self.file(dir, name, entry),
            Kind::Symlink => {
                entry.link = file::readlink(dir, name)?.into_bytes();
                self.begin(&entry)
            }
            _ => self.begin(&entry),
        }
    }

    fn describe(&self, stat: &Statx, kind: Kind) -> Entry {
        let device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Entry {
            kind,
            path: self.path.clone(),
            link: Vec::new(),
            mode: u32::from(stat.mode) & 0o7777,
            uid: stat.uid,
            gid: stat.gid,
            size: if kind == Kind::File { stat.size } else { 0 },
            mtime: Time { seconds: stat.mtime.secs, nanoseconds: stat.mtime.nanos },
            atime: None,
            ctime: None,
            major: if device { stat.rdev_major } else { 0 },
            minor: if device { stat.rdev_minor } else { 0 },
            xattrs: Vec::new(),
            sparse: None,
            offset: 0,
        }
    }

    fn below(&mut self, dir: FdRef<'_>, name: &CStr, mut entry: Entry, stat: &Statx) -> Result<()> {
        entry.path.push(b'/');
        let mounted = stat.attributes & MOUNT_ROOT != 0 || (stat.dev_major, stat.dev_minor) != self.device;
        if mounted {
            return self.begin(&entry);
        }
        let inner = file::open(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
        entry.xattrs = attributes(inner.by_ref())?;
        self.begin(&entry)?;
        self.directory(inner.by_ref())
    }

    #[inline(never)]
    fn file(&mut self, dir: FdRef<'_>, name: &CStr, mut entry: Entry) -> Result<()> {
        // Not to wait if something put a FIFO in the file's place.
        let file = file::open(dir, name, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK)?;
        let stat = file::stat(file.by_ref(), c"")?;
        if u32::from(stat.mode) & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::new("a file became something else while it was read"));
        }
        entry.size = stat.size;
        entry.xattrs = attributes(file.by_ref())?;
        if stat.blocks * 512 < stat.size {
            entry.sparse = extents(&file, stat.size)?;
            file::seek(file.by_ref(), 0)?;
        }
        let stored = self.begin(&entry).map(|()| entry.size)?;
        let total = match &entry.sparse {
            None => {
                self.copy(&file, stored)?;
                stored
            }
            Some(extents) => {
                for extent in extents {
                    file::seek(file.by_ref(), extent.offset)?;
                    self.copy(&file, extent.length)?;
                }
                extents.iter().map(|extent| extent.length).sum()
            }
        };
        self.output.write(&[0; 512][..write::padding(total)])
    }

    /// Writes an entry's headers.
    fn begin(&mut self, entry: &Entry) -> Result<()> {
        self.header.clear();
        write::header(entry, &mut self.header)?;
        self.output.write(&self.header)
    }

    /// Writes so many bytes of a file.
    fn copy(&mut self, file: &Fd, mut count: u64) -> Result<()> {
        while count > 0 {
            let room = count.min(BUFFER as u64) as usize;
            match file::read(file.by_ref(), &mut self.buffer[..room])? {
                0 => return Err(Error::new("a file became shorter while it was read")),
                read => {
                    self.output.write(&self.buffer[..read])?;
                    count -= read as u64;
                }
            }
        }
        Ok(())
    }
}

/// Where a file's data lies; nothing if it has no holes, too many, or the file system can't tell.
fn extents(file: &Fd, size: u64) -> Result<Option<Vec<Extent>>> {
    let mut extents = Vec::new();
    let mut end = 0;
    loop {
        let start = match data::seek_data(file.by_ref(), end) {
            Ok(Some(start)) if start < size => start,
            Ok(_) => return Ok(Some(extents)),
            Err(error) if error.is(Errno::EINVAL) || error.is(Errno::EOPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error),
        };
        end = data::seek_hole(file.by_ref(), start)?.min(size);
        if (start, end) == (0, size) || extents.len() == MAX_EXTENTS {
            return Ok(None);
        }
        extents.push(Extent { offset: start, length: end - start });
    }
}

/// The extended attributes that go with a file, sorted by name.
fn attributes(file: FdRef<'_>) -> Result<Vec<Xattr>> {
    let names = file::list_xattrs(file)?.into_iter().filter(|name| keeps_attribute(name.to_bytes()));
    let names: BinaryHeap<CString> = names.collect();
    let read = |name: CString| Ok(Xattr { value: file::get_xattr(file, &name)?, name: name.into_bytes() });
    names.into_sorted_vec().into_iter().map(read).collect()
}
