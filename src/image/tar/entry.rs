//! A member, put together from all its headers.

use super::What;
use super::header::Header;
use super::pax::{Attributes, Scope};
use super::sparse::{Extent, Layout};
use alloc::vec::Vec;
use core::mem;

/// Sixteen times `PATH_MAX`.
const MAX_PATH: usize = 64 << 10;

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; contiguous files and types that nobody knows are this too.
    #[default]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub records: Vec<u8>,
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
}

impl Extensions {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.path.is_none() && self.link.is_none()
    }
}

/// An entry and what is still to be read for it.
pub(super) struct Member {
    pub entry: Entry,
    /// Bytes of data in the archive.
    pub stored: u64,
    /// From a pax header: a sparse file's size, and where its map is.
    pub layout: Option<(u64, Layout)>,
}

/// Puts a member together from all its headers; takes from `long` what it needs.
pub(super) fn assemble(header: &Header, globals: &[u8], long: &mut Extensions, offset: u64) -> Result<Member, What> {
    let mut said = Attributes::default();
    said.apply(globals, Scope::Archive)?;
    said.apply(&long.records, Scope::Member)?;
    let layout = said.sparse.layout()?;
    let path = name(said.sparse.name.take().or(said.path.take()), long.path.take(), &|| header.path())?;
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
            return Err(phrase!("a directory with data"));
        }
        kind = Kind::Directory;
    }
    if kind != Kind::File && (layout.is_some() || header.typeflag() == b'S') {
        return Err(phrase!("a sparse member that is not a regular file"));
    }
    let link = match kind {
        Kind::HardLink | Kind::Symlink => name(said.link.take(), long.link.take(), &|| header.link())?,
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
        xattrs: mem::take(&mut said.xattrs),
        sparse: None,
        offset,
    };
    Ok(Member { entry, stored, layout })
}

/// A name may come from a pax or from a GNU header. Readers disagree on which of two wins, and no writer makes two.
fn name(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>, own: &dyn Fn() -> Vec<u8>) -> Result<Vec<u8>, What> {
    if pax.is_some() && gnu.is_some() && pax != gnu {
        return Err(phrase!("a pax and a GNU header that give one member two names"));
    }
    let name = pax.or(gnu).unwrap_or_else(own);
    if name.contains(&0) {
        // Readers written in C would see its beginning, others refuse it.
        Err(phrase!("a name that holds a NUL"))
    } else if name.len() > MAX_PATH {
        Err(phrase!("a name of more than 64 KiB"))
    } else {
        Ok(name)
    }
}
