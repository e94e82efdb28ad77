//! A member, put together from all its headers.

use super::What;
use super::header::Header;
use super::pax::Attributes;
use super::sparse::Extent;
use alloc::vec::Vec;

/// Sixteen times `PATH_MAX`.
const MAX_PATH: usize = 64 << 10;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; contiguous files and types that nobody knows are this too.
    File,
    /// Another name for an earlier member, which `link` names.
    HardLink,
    /// A symbolic link to `link`.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A moment: `nanoseconds`, always under 10^9, come after `seconds`, also before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And the rest.
    pub nanoseconds: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// The whole name, `user.` or the like included; never empty, holds no NUL.
    pub name: Vec<u8>,
    /// Any bytes.
    pub value: Vec<u8>,
}

/// A member of an archive, without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The name as stored: it may be empty, absolute or hold `..`, but no NUL.
    pub path: Vec<u8>,
    /// Where a link points to, as stored; empty for the other kinds.
    pub link: Vec<u8>,
    /// Permission, set-id and sticky bits (`0o7777`).
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// Bytes in the file, holes included; 0 for all that is not a regular file.
    pub size: u64,
    /// When the content was last changed.
    pub mtime: Time,
    /// When it was last read, if a pax header says so.
    pub atime: Option<Time>,
    /// When the inode was last changed, if a pax header says so.
    pub ctime: Option<Time>,
    /// A device's major number.
    pub major: u32,
    /// A device's minor number.
    pub minor: u32,
    /// Extended attributes, each name once.
    pub xattrs: Vec<Xattr>,
    /// For a sparse file, the extents that the data fills one after the other: in order, none empty, none beyond `size`.
    pub sparse: Option<Vec<Extent>>,
    /// Where in the archive its first header starts.
    pub offset: u64,
}

/// The extended headers that came before a member's own.
#[derive(Default)]
pub(super) struct Extensions {
    pub records: Option<Vec<u8>>,
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
}

impl Extensions {
    pub fn is_empty(&self) -> bool {
        self.records.is_none() && self.path.is_none() && self.link.is_none()
    }
}

/// Puts an entry together from all its headers; returns also how many bytes of data are stored for it.
pub(super) fn describe(header: &Header, said: Attributes, long: Extensions, offset: u64) -> Result<(Entry, u64), What> {
    let path = name(said.path, long.path)?.map_or_else(|| Ok(header.path()), checked)?;
    let mut kind = header.kind();
    // POSIX: links, devices, directories and pipes have no data, whatever their size field holds.
    let stored = match said.size {
        _ if kind != Kind::File && header.typeflag() != b'D' => 0,
        Some(size) => size,
        None => header.size()?,
    };
    if header.typeflag() == 0 && path.ends_with(b"/") {
        // Version 7 had no type for directories. Go's reader sees no data here, GNU tar does.
        if stored != 0 {
            return Err("a directory with data");
        }
        kind = Kind::Directory;
    }
    let link = match kind {
        Kind::HardLink | Kind::Symlink => name(said.link, long.link)?.map_or_else(|| Ok(header.link()), checked)?,
        _ => Vec::new(),
    };
    let (major, minor) = if matches!(kind, Kind::CharDevice | Kind::BlockDevice) { header.device()? } else { (0, 0) };
    let entry = Entry {
        kind,
        path,
        link,
        mode: header.mode()?,
        uid: said.uid.map_or_else(|| header.uid(), Ok)?,
        gid: said.gid.map_or_else(|| header.gid(), Ok)?,
        size: if kind == Kind::File { stored } else { 0 },
        mtime: match said.mtime {
            Some(time) => time,
            None => Time { seconds: header.mtime()?, nanoseconds: 0 },
        },
        atime: said.atime,
        ctime: said.ctime,
        major,
        minor,
        xattrs: said.xattrs,
        sparse: None,
        offset,
    };
    Ok((entry, stored))
}

/// A name may come from a pax or from a GNU header. Readers disagree on which of two wins, and no writer makes two.
fn name(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, What> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => Err("a pax and a GNU header that give one member two names"),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

fn checked(name: Vec<u8>) -> Result<Vec<u8>, What> {
    if name.contains(&0) {
        // Readers written in C would see its beginning, others refuse it.
        Err("a name that holds a NUL")
    } else if name.len() > MAX_PATH {
        Err("a name of more than 64 KiB")
    } else {
        Ok(name)
    }
}
