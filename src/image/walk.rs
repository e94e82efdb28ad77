//! A file or a directory as an archive: always the same bytes for the same tree.
//!
//! Names are sorted, hard links are kept, holes are left out, sockets are too (they mean nothing without the process that
//! listens). The walk never follows a link and opens nothing but directories and regular files, whoever changes the tree
//! meanwhile.

use alloc::vec::Vec;
use alloc::{format, vec};
use core::ffi::CStr;

use super::layer::{OPAQUE, WHITEOUT, keeps_attribute};
use super::stream::Output;
use super::tar::{Entry, Extent, Kind, Time, Xattr, write};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sort::sort;
use crate::kernel::mounts::{is_whiteout, opaque_attribute};
use crate::sys::fd::CWD;
use crate::sys::file::DirEntry;
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

/// File systems that the kernel makes up, and those in memory, which go with the container: `linux/magic.h`.
const NOT_KEPT: &[usize] =
    &[0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202, 0x0102_1994, 0x6462_6720, 0x7472_6163];

/// A path from the root on, with a slash behind it, and whether all below it is meant too.
pub type Chosen = (&'static str, bool);

/// What of a tree is archived. The default is all of its file system; of what is mounted below, only the empty mount points.
#[derive(Clone, Copy, Debug, Default)]
pub struct What<'a> {
    /// What is mounted below belongs to it, except what the kernel makes up and what is in memory only.
    pub mounted: bool,
    /// The tree is the upper directory of an overlay, and becomes a layer as OCI images have it.
    pub layer: bool,
    /// Files and directories (`/etc/hosts`) that are left out while they are empty: places to mount on.
    pub places: &'a [&'a str],
    /// These paths of the root directory, one after the other. A directory that is meant alone is root's, and says nothing about
    /// this machine.
    pub chosen: &'a [Chosen],
    /// Only these paths (`/etc/motd`), sorted, and for those with a `D` that they are gone: a whole tree becomes a layer.
    pub only: Option<&'a [(Vec<u8>, u8)]>,
}

/// Writes what `name` stands for in a directory, and all below it, as an archive in which its name is `path`.
///
/// # Errors
/// What can't be read, and a file that gets shorter meanwhile.
pub fn archive(dir: FdRef<'_>, name: &CStr, path: &[u8], what: What<'_>, output: &mut Output) -> Result<()> {
    // One directory is open for each level of the tree. The limit is raised for this process alone, which ends after this.
    let (_, hard) = process::get_rlimit(OPEN_FILES)?;
    process::set_rlimit(OPEN_FILES, hard, hard)?;
    let mut walk = Walk {
        output,
        what,
        device: (0, 0),
        links: Links::default(),
        path: Vec::new(),
        top: 0,
        alone: false,
        entry: Entry::default(),
        header: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    if what.chosen.is_empty() {
        walk.begin_at(dir, name, path)?;
    }
    let mut tree = "none";
    for (path, whole) in what.chosen {
        if path.starts_with(tree) {
            continue;
        }
        walk.alone = !whole;
        tree = if *whole { path } else { tree };
        let path = file::path(join!(".{}", path.strip_suffix('/').unwrap_or(path)))?;
        walk.begin_at(dir, path, path.to_bytes())?;
    }
    walk.output.write(&write::END)
}

/// Which file this is.
type Identity = (u32, u32, u64);

/// Files with several names: a hash table that is a tenth of the code of `BTreeMap`.
#[derive(Default)]
struct Links {
    /// For each remainder of the inode number, one more than the place of the last file that has it.
    last: Vec<usize>,
    /// The files: which, the place before as in `last`, the first name.
    files: Vec<(Identity, usize, Vec<u8>)>,
}

impl Links {
    /// The first name of a file; notes this one if it is that.
    fn first(&mut self, file: Identity, name: &[u8]) -> Option<&[u8]> {
        self.last.resize(1 << 14, 0);
        let slot = &mut self.last[file.2 as usize & ((1 << 14) - 1)];
        let mut place = *slot;
        while let Some((known, before, _)) = self.files.get(place.wrapping_sub(1)) {
            if *known == file {
                return self.files.get(place - 1).map(|(.., first)| &**first);
            }
            place = *before;
        }
        self.files.push((file, *slot, name.to_vec()));
        *slot = self.files.len();
        None
    }
}

struct Walk<'a> {
    output: &'a mut Output,
    what: What<'a>,
    /// The file system to stay on.
    device: (u32, u32),
    /// The first name of each file that has several.
    links: Links,
    /// The name of what is at hand.
    path: Vec<u8>,
    /// How long the name of the first was.
    top: usize,
    /// Whether it is meant without what is below it.
    alone: bool,
    /// What is at hand: one for all, so that nothing is allocated for each.
    entry: Entry,
    header: Vec<u8>,
    buffer: Vec<u8>,
}

/// The names in a directory, in order.
pub(super) fn sorted(dir: FdRef<'_>) -> Result<Vec<DirEntry>> {
    let mut entries = file::list(dir)?;
    sort(&mut entries, |one, other| one.name < other.name);
    Ok(entries)
}

impl Walk<'_> {
    #[inline(never)]
    fn begin_at(&mut self, dir: FdRef<'_>, name: &CStr, path: &[u8]) -> Result<()> {
        let stat = file::stat(dir, name)?;
        self.device = (stat.dev_major, stat.dev_minor);
        self.path = path.to_vec();
        self.top = path.len();
        self.member(dir, name)
    }

    fn directory(&mut self, dir: FdRef<'_>) -> Result<()> {
        let entries = sorted(dir)?;
        let length = self.path.len();
        for entry in &entries {
            self.path.push(b'/');
            self.path.extend_from_slice(entry.name.to_bytes());
            self.member(dir, &entry.name)
                .map_err(|error| error.hint(say!("this is about {} in the directory", self.path.escape_ascii())))?;
            self.path.truncate(length);
        }
        for (path, letter) in self.what.only.unwrap_or_default() {
            if let (b'D', Some([b'/', name @ ..])) = (letter, path.strip_prefix(&self.path[self.top..]))
                && !name.contains(&b'/')
            {
                self.entry = Entry::default();
                self.entry.path.clone_from(&self.path);
                self.entry.path.push(b'/');
                self.marker(self.entry.path.len(), WHITEOUT, name)?;
            }
        }
        ledger::relieve();
        Ok(())
    }

    /// Whether the path at hand is wanted.
    fn is_wanted(&self) -> bool {
        let path = &self.path[self.top..];
        let same = |only: &[(Vec<u8>, u8)]| only.binary_search_by(|(known, _)| (**known).cmp(path)).is_ok();
        path.is_empty() || self.what.only.is_none_or(same)
    }

    #[inline(never)]
    fn member(&mut self, dir: FdRef<'_>, name: &CStr) -> Result<()> {
        if !self.is_wanted() {
            return Ok(());
        }
        let stat = match file::stat(dir, name) {
            // Removed since the directory was listed.
            Err(error) if error.is(Errno::ENOENT) && self.path.len() > self.top => return Ok(()),
            result => result?,
        };
        let kind = match u32::from(stat.mode) & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Symlink,
            libc::S_IFCHR => Kind::CharDevice,
            libc::S_IFBLK => Kind::BlockDevice,
            libc::S_IFIFO => Kind::Fifo,
            _ => return Ok(()),
        };
        self.describe(&stat, kind);
        if self.what.layer {
            let name = name.to_bytes();
            if name.starts_with(WHITEOUT) {
                let name = name.escape_ascii();
                return Err(Error::new(say!("the name {} would mean in an image that something was removed", name))
                    .hint(phrase!(
                        "rename the file, or make an image of one layer: vial export NAME | vial import -"
                    )));
            }
            if kind == Kind::CharDevice && is_whiteout(&stat) {
                let at = self.path.len() - name.len();
                return self.marker(at, WHITEOUT, name);
            }
        }
        if stat.size == 0 && kind == Kind::File && self.is_place() {
            return Ok(());
        }
        if kind == Kind::Directory {
            return self.below(dir, name, &stat);
        }
        if stat.nlink > 1 {
            let identity = (stat.dev_major, stat.dev_minor, stat.ino);
            if let Some(first) = self.links.first(identity, &self.path) {
                self.entry.kind = Kind::HardLink;
                self.entry.link.extend_from_slice(first);
                self.entry.size = 0;
                return self.begin();
            }
        }
        match kind {
            // A file that is mounted on another one, which can't be seen.
            Kind::File if stat.attributes & MOUNT_ROOT != 0 && !self.what.mounted && self.path.len() > self.top => {
                self.entry.size = 0;
            }
            Kind::File => return self.file(dir, name),
            Kind::Symlink => self.entry.link = file::readlink(dir, name)?.into_bytes(),
            _ => {}
        }
        self.begin()
    }

    /// Whether this is a place to mount on, which is left out.
    fn is_place(&self) -> bool {
        self.what.places.iter().any(|place| Some(place.as_bytes()) == self.path.get(1..))
    }

    /// An empty file whose name says what is not there; the name at hand counts up to `at`.
    fn marker(&mut self, at: usize, mark: &[u8], name: &[u8]) -> Result<()> {
        let entry = &mut self.entry;
        entry.path.truncate(at);
        entry.path.extend_from_slice(mark);
        entry.path.extend_from_slice(name);
        (entry.kind, entry.mode) = (Kind::File, 0);
        entry.xattrs.clear();
        self.begin()
    }

    fn describe(&mut self, stat: &Statx, kind: Kind) {
        let entry = &mut self.entry;
        entry.kind = kind;
        entry.path.clone_from(&self.path);
        entry.link.clear();
        entry.xattrs.clear();
        entry.mode = u32::from(stat.mode) & 0o7777;
        (entry.uid, entry.gid) = (stat.uid, stat.gid);
        entry.size = if kind == Kind::File { stat.size } else { 0 };
        entry.mtime = Time { seconds: stat.mtime.secs, nanoseconds: stat.mtime.nanos };
        // 0:0 for what is no device.
        (entry.major, entry.minor) = (stat.rdev_major, stat.rdev_minor);
    }

    fn below(&mut self, dir: FdRef<'_>, name: &CStr, stat: &Statx) -> Result<()> {
        let mounted = self.path.len() > self.top
            && (stat.attributes & MOUNT_ROOT != 0 || (stat.dev_major, stat.dev_minor) != self.device);
        self.entry.path.push(b'/');
        if self.alone {
            let entry = &mut self.entry;
            entry.mode = if entry.mode & 0o1000 == 0 { 0o755 } else { 0o1777 };
            (entry.uid, entry.gid, entry.mtime) = (0, 0, Time::default());
            return self.begin();
        }
        if mounted && !self.what.mounted {
            return self.begin();
        }
        let inner = file::open(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
        if self.is_place() {
            if file::list(inner.by_ref())?.is_empty() {
                return Ok(());
            }
            file::seek(inner.by_ref(), 0)?;
        }
        self.entry.xattrs = attributes(inner.by_ref())?;
        self.begin()?;
        if mounted && NOT_KEPT.contains(&file::filesystem(inner.by_ref())?) {
            return Ok(());
        }
        if self.what.layer && is_opaque(inner.by_ref()) {
            self.marker(self.entry.path.len(), OPAQUE, b"")?;
        }
        self.directory(inner.by_ref())
    }

    #[inline(never)]
    fn file(&mut self, dir: FdRef<'_>, name: &CStr) -> Result<()> {
        // The name may be a device's by now, which must not be opened. A descriptor that is no opening can be looked at first.
        let place = file::open(dir, name, libc::O_PATH | libc::O_NOFOLLOW)?;
        let stat = file::stat(place.by_ref(), c"")?;
        if u32::from(stat.mode) & libc::S_IFMT != libc::S_IFREG {
            return Err(Error::new(phrase!("a file became something else while it was read")));
        }
        let shown = file::owned_path(format!("/proc/self/fd/{}", place.number()).as_bytes())?;
        let file = file::open(CWD, &shown, libc::O_RDONLY)?;
        self.entry.size = stat.size;
        self.entry.xattrs = attributes(file.by_ref())?;
        if stat.blocks * 512 < stat.size {
            self.entry.sparse = extents(&file, stat.size)?;
            file::seek(file.by_ref(), 0)?;
        }
        self.begin()?;
        let Some(extents) = self.entry.sparse.take() else {
            self.copy(&file, stat.size)?;
            return self.pad(stat.size);
        };
        let mut total = 0;
        for extent in &extents {
            file::seek(file.by_ref(), extent.offset)?;
            self.copy(&file, extent.length)?;
            total += extent.length;
        }
        self.pad(total)
    }

    fn pad(&mut self, total: u64) -> Result<()> {
        self.output.write(&[0; 512][..write::padding(total)])
    }

    /// Writes an entry's headers.
    #[inline(never)]
    fn begin(&mut self) -> Result<()> {
        self.header.clear();
        write::header(&self.entry, &mut self.header)?;
        self.output.write(&self.header)
    }

    /// Writes so many bytes of a file.
    fn copy(&mut self, file: &Fd, mut count: u64) -> Result<()> {
        while count > 0 {
            let room = count.min(BUFFER as u64) as usize;
            match file::read(file.by_ref(), &mut self.buffer[..room])? {
                0 => return Err(Error::new(phrase!("a file became shorter while it was read"))),
                read => {
                    self.output.write(&self.buffer[..read])?;
                    count -= read as u64;
                }
            }
        }
        Ok(())
    }
}

/// Whether nothing of the layers below shows in a directory of an overlay's upper one.
#[must_use]
pub fn is_opaque(dir: FdRef<'_>) -> bool {
    file::get_xattr(dir, opaque_attribute()).is_ok_and(|value| value == b"y")
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
    let mut attributes = Vec::new();
    for name in file::list_xattrs(file)? {
        if keeps_attribute(name.to_bytes()) {
            attributes.push(Xattr { value: file::get_xattr(file, &name)?, name: name.into_bytes() });
        }
    }
    sort(&mut attributes, |one, other| one.name < other.name);
    Ok(attributes)
}
