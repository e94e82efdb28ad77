//! A member, put together from all its headers.

use super::What;
use super::header::{FIELDS, Header, MAJOR, MINOR, MODE};
use super::pax::{Attributes, SIZE, Scope};
use super::sparse::{Extent, Place};
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

/// The extended headers that came before a member's own; what is empty was not there.
#[derive(Default)]
pub(super) struct Extensions {
    pub records: Vec<u8>,
    pub path: Vec<u8>,
    pub link: Vec<u8>,
}

impl Extensions {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.path.is_empty() && self.link.is_empty()
    }
}

/// Puts a member together from all its headers; how many bytes of data it has in the archive. What is still to be read of a
/// sparse one's map is left to `said`.
#[inline(never)]
pub(super) fn assemble(
    header: &Header,
    globals: &[u8],
    long: &Extensions,
    said: &mut Attributes,
    entry: &mut Entry,
) -> Result<u64, What> {
    said.apply(globals, Scope::Archive)?;
    said.apply(&long.records, Scope::Member)?;
    said.sparse.find()?;
    let is_sparse = said.sparse.place != Place::Nowhere || header.typeflag() == b'S';
    let pax = if said.sparse.name.is_empty() { &mut said.path } else { &mut said.sparse.name };
    entry.path = mem::take(pax);
    name(&mut entry.path, &long.path, &header.path())?;
    entry.kind = header.kind();
    for (place, field) in FIELDS.iter().enumerate() {
        // POSIX: links, devices, directories and pipes have no data, whatever their size field holds.
        if place == SIZE && entry.kind != Kind::File && header.typeflag() != b'D' {
            said.numbers[place] = None;
        } else if said.numbers[place].is_none() || place == SIZE && weak!("pax") {
            said.numbers[place] = Some(Time { seconds: header.number(field)?, nanoseconds: 0 });
        }
    }
    let [size, uid, gid, mtime, atime, ctime] = said.numbers;
    let stored = size.unwrap_or_default().seconds as u64;
    if header.typeflag() == 0 && entry.path.ends_with(b"/") {
        // Version 7 had no type for directories. Go's reader sees no data here, GNU tar does.
        if stored != 0 {
            return Err(phrase!("a directory with data"));
        }
        entry.kind = Kind::Directory;
    }
    if entry.kind != Kind::File && is_sparse {
        return Err(phrase!("a sparse member that is not a regular file"));
    }
    if matches!(entry.kind, Kind::HardLink | Kind::Symlink) {
        entry.link = mem::take(&mut said.link);
        name(&mut entry.link, &long.link, header.link())?;
    }
    if matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice) && header.has_device() {
        (entry.major, entry.minor) = (header.number(&MAJOR)? as u32, header.number(&MINOR)? as u32);
    }
    // Some writers put the whole `st_mode` into the field.
    entry.mode = header.number(&MODE)? as u32 & 0o7777;
    (entry.uid, entry.gid) = (uid.unwrap_or_default().seconds as u32, gid.unwrap_or_default().seconds as u32);
    entry.size = if entry.kind == Kind::File { stored } else { 0 };
    (entry.mtime, entry.atime, entry.ctime) = (mtime.unwrap_or_default(), atime, ctime);
    entry.xattrs = mem::take(&mut said.xattrs);
    Ok(stored)
}

/// A name may come from a pax or from a GNU header, else it is the header's own. Readers disagree on which of two wins, and no
/// writer makes two. The pax header's is there already.
#[inline(never)]
fn name(name: &mut Vec<u8>, gnu: &[u8], own: &[u8]) -> Result<(), What> {
    if !name.is_empty() && !gnu.is_empty() && **name != *gnu {
        return Err(phrase!("a pax and a GNU header that give one member two names"));
    }
    for other in [gnu, own] {
        if name.is_empty() {
            name.extend_from_slice(other);
        }
    }
    if name.contains(&0) {
        // Readers written in C would see its beginning, others refuse it.
        Err(phrase!("a name that holds a NUL"))
    } else if name.len() > MAX_PATH {
        Err(phrase!("a name of more than 64 KiB"))
    } else {
        Ok(())
    }
}
