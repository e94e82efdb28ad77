//! A layer: an archive unpacked into a directory.
//!
//! Everything goes by directory descriptors. A name's directory is resolved inside the root, its last component is made anew
//! and never followed, so that no link in the archive leads out (the container escapes through unpacking, CVE-2019-14271 and
//! its kin, all followed one).
//!
//! One directory is at hand at a time. Its modification time is noted when it is entered and put back when it is left:
//! directories so keep their times without a list of them, however large the archive is and in whatever order.

#[cfg(test)]
pub(super) mod tests;

use alloc::ffi::CString;
use alloc::vec::Vec;
use alloc::{format, string::String};
use core::ffi::CStr;

use super::land::full;
use super::resolve::{self, split};
use super::room::{MEMBER, Room};
use super::tar::{Entry, Extent, Failure, Kind, Reader};
use crate::base::bytes::Source;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::kernel::mounts::{OTHER_WHITEOUT, opaque_attribute};
use crate::sys::{Fd, FdRef, file, ledger, process, users};

/// For `set_times`: leave this one as it is, utimensat(2).
const OMIT: file::Time = (0, libc::UTIME_OMIT as u32);

/// An archive as it is read here, from wherever: one type, so that reading is compiled once.
pub type Archive<'a> = Reader<&'a mut dyn Source<Error = Error>>;

/// What came of unpacking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes in regular files, without holes.
    pub size: u64,
    /// Members of the archive.
    pub entries: u64,
    /// Bytes of the archive.
    pub length: u64,
    /// Extended attributes that the file system does not take, and in a user namespace owners that have no place in it, and
    /// devices, which nobody can make there.
    pub lost: u64,
}

/// How an archive is unpacked. The default is for a root file system: all is as the archive says, the last of several members
/// of one name wins, and names that begin with `.wh.` are names like others.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// The owner of all files, instead of those that the archive names.
    pub owner: Option<(u32, u32)>,
    /// The archive comes from somebody who is not trusted with `owner`'s rights: no program in it gets them by a set-ID bit.
    pub foreign: bool,
    /// A directory does not take the place of something else, nor the other way round.
    pub keep: bool,
    /// The archive is a layer as OCI images have it: `.wh.NAME` takes NAME of the layers below away, `.wh..wh..opq` all that
    /// they have in a directory. In the tree it is as overlayfs has it. (OCI image specification 1.1, `layer.md`;
    /// `overlayfs.rst`.)
    pub whiteouts: bool,
    /// The most bytes that the archive may have, uncompressed; 0 for any number.
    pub max_size: u64,
}

/// What stands before the names of what is not there any more.
pub const WHITEOUT: &[u8] = b".wh.";
/// The name of what says that nothing of the layers below shows in a directory.
pub const OPAQUE: &[u8] = b".wh..wh..opq";

impl How {
    /// Changes what the archive says of a member's owner, and takes rights away that were meant for another one: chown(2)
    /// does the same.
    fn give(self, entry: &mut Entry) {
        let Some(owner) = self.owner else { return };
        let other = (entry.uid, entry.gid) != owner;
        (entry.uid, entry.gid) = owner;
        if (other || self.foreign) && entry.kind == Kind::File {
            entry.mode &= 0o1777;
            if let Some(at) = entry.xattrs.iter().position(|attribute| attribute.name == CAPABILITY.to_bytes()) {
                entry.xattrs.swap_remove(at);
            }
        }
    }
}

/// Unpacks an archive into the directory `root` and reads the archive to its end. Whatever links are there, and whoever
/// changes the directory meanwhile, nothing outside of it is touched.
///
/// `progress` gets the number of bytes that have been read. This process's file mode mask must be 0.
///
/// # Errors
/// A damaged archive with the place, one that tries to leave the root, and the kernel's.
pub fn unpack(archive: &mut Archive<'_>, root: FdRef<'_>, how: How, progress: &mut dyn FnMut(u64)) -> Result<Unpacked> {
    let mut tree = Tree::new(root, how)?;
    while let Some(mut entry) = archive.next_entry().map_err(damaged)? {
        how.give(&mut entry);
        tree.add(&entry, archive).map_err(|error| {
            full(error).hint(say!("this is about {} in the archive", String::from_utf8_lossy(&entry.path)))
        })?;
        tree.outcome.entries += 1;
        tree.room.take(root, MEMBER).map_err(full)?;
        progress(archive.offset());
        ledger::relieve();
    }
    tree.leave()?;
    archive.drain()?;
    tree.outcome.length = archive.offset();
    Ok(tree.outcome)
}

/// The error of an archive that can't be read.
pub(super) fn damaged(failure: Failure<Error>) -> Error {
    refused(failure, phrase!("bytes are counted in the tar archive, once decompressed"))
}

/// Likewise, or of one that can't be decompressed; the hint says where bytes are counted.
#[inline(never)]
pub(super) fn refused(failure: Failure<Error>, counted: Phrase) -> Error {
    let (said, hint) = match failure {
        Failure::Source(error) => return error,
        Failure::Corrupt { offset, what } => {
            (say!("the archive is damaged: {}, at byte {} of the archive", what, offset), counted)
        }
        Failure::Refused { what, hint } => (say!("the archive can't be decompressed: {}", what), hint),
    };
    Error::new(said).because(ledger::reason()).hint(hint)
}

/// A program's capabilities.
const CAPABILITY: &CStr = c"security.capability";

/// Whether an extended attribute belongs to the file and not to the machine it comes from.
///
/// overlayfs's own would make a layer lie about others (`overlayfs.rst`); security labels are the host's policy, except file
/// capabilities, which are the program's.
#[must_use]
pub fn keeps_attribute(name: &[u8]) -> bool {
    let foreign: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"security."];
    weak!("overlay-attributes")
        || name == CAPABILITY.to_bytes()
        || !foreign.iter().any(|prefix| name.starts_with(prefix))
}

/// The directory at hand.
struct Place {
    path: Vec<u8>,
    dir: Fd,
    mode: u32,
    gid: u32,
    mtime: file::Time,
    /// The mode that it gets back when it is left.
    closed: bool,
}

/// A tree under construction.
struct Tree<'a> {
    root: FdRef<'a>,
    /// The owner that new files get in a directory of this group.
    owner: (u32, u32),
    /// Whether this user may write to directories whatever their mode.
    privileged: bool,
    how: How,
    here: Option<Place>,
    outcome: Unpacked,
    room: Room,
}

impl<'a> Tree<'a> {
    fn new(root: FdRef<'a>, how: How) -> Result<Tree<'a>> {
        let stat = file::stat(root, c"")?;
        let privileged = process::geteuid() == 0;
        let (owner, outcome, room) = ((stat.uid, stat.gid), Unpacked::default(), Room::new(!how.keep));
        Ok(Tree { root, owner, privileged, how, here: None, outcome, room })
    }

    fn add(&mut self, entry: &Entry, archive: &mut Archive<'_>) -> Result<()> {
        let path = resolve::clean(&entry.path)?;
        if path.is_empty() {
            return self.top(entry);
        }
        let (parent, name) = split(&path);
        self.enter(parent)?;
        if self.how.whiteouts
            && let Some(hidden) = name.strip_prefix(WHITEOUT)
        {
            return self.hide(name, hidden);
        }
        let name = file::owned_path(name)?;
        if entry.kind == Kind::HardLink {
            return self.hard_link(entry, &name);
        }
        let is_directory = entry.kind == Kind::Directory;
        let mut known = false;
        let file = match self.make(entry, &name) {
            Err(error) if error.is(Errno::EEXIST) => {
                // A directory that is there already stays, with what is in it.
                known = is_directory && is_directory_at(self.dir(), &name)?;
                if known {
                    None
                } else {
                    self.clear(&name, is_directory)?;
                    let file = self.make(entry, &name)?;
                    if is_directory && self.how.whiteouts {
                        // What stood there, a whiteout perhaps, hid what the layers below have of the name.
                        self.make_opaque(&name)?;
                    }
                    file
                }
            }
            Err(error) if error.is(Errno::EPERM) && users::is_confined() && is_device(entry.kind) => {
                self.outcome.lost += 1;
                return Ok(());
            }
            result => result.map_err(needs_root)?,
        };
        if let Some(file) = &file {
            self.content(entry, file.by_ref(), &name, archive)?;
        }
        self.dress(entry, file.as_ref().map(Fd::by_ref), &name, known)
    }

    /// The root's own entry.
    fn top(&mut self, entry: &Entry) -> Result<()> {
        self.leave()?;
        if entry.kind != Kind::Directory {
            return Err(Error::new(phrase!("the archive's entry for the root is not a directory")));
        }
        self.dress(entry, Some(self.root), c"", true)
    }

    /// Makes `path` the directory at hand.
    fn enter(&mut self, path: &[u8]) -> Result<()> {
        if self.here.as_ref().is_some_and(|here| here.path == path) {
            return Ok(());
        }
        self.leave()?;
        let dir = match resolve::open(self.root, path)? {
            Some(dir) => dir,
            None => resolve::make(self.root, path)?,
        };
        let stat = file::stat(dir.by_ref(), c"")?;
        let mode = u32::from(stat.mode) & 0o7777;
        let closed = !self.privileged && mode & 0o300 != 0o300;
        if closed {
            file::chmod(dir.by_ref(), mode | 0o700)?;
        }
        let mtime = (stat.mtime.secs, stat.mtime.nanos);
        self.here = Some(Place { path: path.into(), dir, mode, gid: stat.gid, mtime, closed });
        Ok(())
    }

    /// Puts the directory at hand back as it was when it was entered.
    fn leave(&mut self) -> Result<()> {
        let Some(here) = self.here.take() else { return Ok(()) };
        if here.closed {
            file::chmod(here.dir.by_ref(), here.mode)?;
        }
        file::set_times(here.dir.by_ref(), None, OMIT, here.mtime)
    }

    /// The descriptor of the directory at hand; `enter` comes before every use.
    fn dir(&self) -> FdRef<'_> {
        self.here.as_ref().map_or(self.root, |here| here.dir.by_ref())
    }

    /// Makes something new that is empty; a file is then open.
    #[inline(never)]
    fn make(&self, entry: &Entry, name: &CStr) -> Result<Option<Fd>> {
        let kind = match entry.kind {
            Kind::File => {
                let mut flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
                if weak!("nofollow") {
                    flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
                }
                return file::create(self.dir(), name, flags, entry.mode & 0o777).map(Some);
            }
            Kind::Directory => return file::mkdir(self.dir(), name, entry.mode & 0o1777).map(|()| None),
            Kind::Symlink => {
                return file::symlink(&file::owned_path(&entry.link)?, self.dir(), name).map(|()| None);
            }
            Kind::CharDevice => libc::S_IFCHR,
            Kind::BlockDevice => libc::S_IFBLK,
            _ => libc::S_IFIFO,
        };
        // The kernel has 12 bits for the major number and 20 for the minor (`linux/kdev_t.h`).
        if entry.major >= 1 << 12 || entry.minor >= 1 << 20 {
            return Err(Error::new(say!("there is no device {}:{}", entry.major, entry.minor)));
        }
        file::mknod(self.dir(), name, kind | entry.mode & 0o777, (entry.major, entry.minor)).map(|()| None)
    }

    /// Takes away what has a name that something else is to have.
    #[inline(never)]
    fn clear(&self, name: &CStr, for_directory: bool) -> Result<()> {
        if !self.how.keep {
            return file::remove_tree(self.dir(), name);
        }
        if for_directory {
            return Err(in_the_way("something that is no directory", "one"));
        }
        match file::unlink(self.dir(), name) {
            Err(error) if error.is(Errno::EISDIR) => Err(in_the_way("a directory", "something that is none")),
            result => result,
        }
    }

    /// Takes something of the layers below away. What this layer itself has of the name stays: it lies above.
    fn hide(&self, name: &[u8], hidden: &[u8]) -> Result<()> {
        if name == OPAQUE {
            return self.make_opaque(c".");
        }
        if hidden.starts_with(WHITEOUT) {
            // Of aufs, about itself.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::new(phrase!("a whiteout that takes away a directory itself, or the one above it")));
        }
        let hidden = file::owned_path(hidden)?;
        let mut made = file::mknod(self.dir(), &hidden, libc::S_IFCHR, (0, 0));
        if made.as_ref().is_err_and(|error| error.is(Errno::EPERM)) {
            made = file::mknod(self.dir(), &hidden, libc::S_IFCHR, OTHER_WHITEOUT);
        }
        match made.map_err(needs_root) {
            Err(error) if error.is(Errno::EEXIST) => match self.make_opaque(&hidden) {
                Err(error) if error.is(Errno::ENOTDIR) => Ok(()),
                result => result,
            },
            result => result,
        }
    }

    fn make_opaque(&self, name: &CStr) -> Result<()> {
        let dir = file::open(self.dir(), name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
        file::set_xattr(dir.by_ref(), opaque_attribute(), b"y").map_err(needs_root)
    }

    /// Fills a file.
    fn content(&mut self, entry: &Entry, file: FdRef<'_>, name: &CStr, archive: &mut Archive<'_>) -> Result<()> {
        self.outcome.size += content(entry, file, archive, &mut self.room)?;
        if let (Some(frame), Some(here)) = (&mut archive.frame, &self.here) {
            let path = [&here.path, &b"/"[..], name.to_bytes()].concat();
            let whole = [Extent { offset: 0, length: entry.size }];
            for extent in entry.sparse.as_deref().unwrap_or(&whole) {
                frame.content(&path, extent.offset, extent.length);
            }
        }
        Ok(())
    }

    /// Gives what an entry is about its owner, attributes, mode and times: a file that is open, or what has a name only, because
    /// it can't be opened, or not without effect. What was `known` has none of them yet.
    #[inline(never)]
    fn dress(&mut self, entry: &Entry, file: Option<FdRef<'_>>, name: &CStr, known: bool) -> Result<()> {
        // A change of owner takes the set-ID bits and capabilities away (chown(2)), so they come after it.
        if known || !self.owned(entry) {
            let given = match file {
                Some(file) => file::chown(file, entry.uid, entry.gid),
                None => file::chown_at(self.dir(), name, entry.uid, entry.gid),
            };
            match given {
                Err(error) if error.is(Errno::EINVAL) && users::is_confined() => self.outcome.lost += 1,
                result => result.map_err(needs_root)?,
            }
        }
        self.attributes(entry, file, name)?;
        // mkdir(2) gives a directory its parent's set-group-ID bit.
        let inherits = self.here.as_ref().is_some_and(|here| here.mode & libc::S_ISGID != 0);
        let differs = entry.kind == Kind::Directory && (known || inherits || !entry.xattrs.is_empty());
        if differs || entry.mode & 0o7000 != 0 && entry.kind != Kind::Symlink {
            match file {
                Some(file) => file::chmod(file, entry.mode)?,
                None => file::chmod_at(self.dir(), name, entry.mode)?,
            }
        }
        let pair = |time: super::tar::Time| (time.seconds, time.nanoseconds);
        // Archives seldom have the first.
        let (access, modification) = (pair(entry.atime.unwrap_or(entry.mtime)), pair(entry.mtime));
        let path = if file.is_none() { Some(name) } else { None };
        file::set_times(file.unwrap_or(self.dir()), path, access, modification)
    }

    /// Another name for what an earlier entry made; a link at the target's end is linked itself.
    fn hard_link(&mut self, entry: &Entry, name: &CStr) -> Result<()> {
        let target = resolve::clean(&entry.link)?;
        let (parent, last) = split(&target);
        let last = file::owned_path(last)?;
        let missing = || Error::new(say!("a hard link to {}, which does not exist", entry.link.escape_ascii()));
        let near = self.here.as_ref().is_some_and(|here| here.path == parent);
        let other = if near { None } else { Some(resolve::open(self.root, parent)?.ok_or_else(missing)?) };
        let from = other.as_ref().map_or(self.dir(), Fd::by_ref);
        let mut cleared = false;
        loop {
            match file::link(from, &last, self.dir(), name) {
                Err(error) if error.is(Errno::ENOENT) => return Err(missing()),
                Err(error) if error.is(Errno::EEXIST) && !cleared => {
                    // If both names are the same file already, removing one might remove the only one.
                    let (old, new) = (file::stat(from, &last)?, file::stat(self.dir(), name)?);
                    if (old.dev_major, old.dev_minor, old.ino) == (new.dev_major, new.dev_minor, new.ino) {
                        return Ok(());
                    }
                    self.clear(name, false)?;
                    cleared = true;
                }
                result => return result,
            }
        }
    }

    /// Whether a file made in the directory at hand has the entry's owner from the start. In a directory of another group,
    /// which the file may inherit (its set-group-ID bit, the mount option `grpid`), that is not taken for granted.
    fn owned(&self, entry: &Entry) -> bool {
        let group = self.here.as_ref().map_or(self.owner.1, |here| here.gid);
        (entry.uid, entry.gid) == self.owner && group == self.owner.1
    }

    fn attributes(&mut self, entry: &Entry, file: Option<FdRef<'_>>, name: &CStr) -> Result<()> {
        for attribute in entry.xattrs.iter().filter(|attribute| keeps_attribute(&attribute.name)) {
            let key = file::owned_path(&attribute.name)?;
            let result = match file {
                Some(file) => file::set_xattr(file, &key, &attribute.value),
                None => file::set_xattr_at(&self.by_proc(name)?, &key, &attribute.value),
            };
            match result {
                // tmpfs has no `user.` before Linux 6.6, no file system has it on links and devices: docker leaves these out
                // as well. A program without its capability would fail later and far away.
                Err(error)
                    if key.as_c_str() != CAPABILITY && [Errno::EOPNOTSUPP, Errno::EPERM].contains(&error.errno()) =>
                {
                    self.outcome.lost += 1;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// A path for the calls that take no directory; its last component is the name itself.
    fn by_proc(&self, name: &CStr) -> Result<CString> {
        let mut path = format!("/proc/self/fd/{}/", self.dir().number()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        file::owned_path(&path)
    }
}

/// Writes a file's data, leaving its holes; how many bytes.
fn content(entry: &Entry, file: FdRef<'_>, archive: &mut Archive<'_>, room: &mut Room) -> Result<u64> {
    let mut extents = entry.sparse.iter().flatten();
    let mut left = if entry.sparse.is_some() { 0 } else { u64::MAX };
    let mut written = 0;
    loop {
        let mut piece = archive.data().map_err(damaged)?;
        if piece.is_empty() {
            break;
        }
        written += piece.len() as u64;
        room.take(file, piece.len() as u64)?;
        while !piece.is_empty() {
            if left == 0 {
                // The reader has checked that the extents take all of the data.
                let extent =
                    extents.next().ok_or_else(|| Error::new(phrase!("a sparse file with more data than extents")))?;
                file::seek(file, extent.offset)?;
                left = extent.length;
            }
            let (now, later) = piece.split_at(left.min(piece.len() as u64) as usize);
            file::write_all(file, now)?;
            left -= now.len() as u64;
            piece = later;
        }
    }
    if entry.sparse.is_some() {
        file::truncate(file, entry.size)?;
    }
    Ok(written)
}

fn is_device(kind: Kind) -> bool {
    matches!(kind, Kind::CharDevice | Kind::BlockDevice)
}

fn is_directory_at(dir: FdRef<'_>, name: &CStr) -> Result<bool> {
    if weak!("nofollow") {
        return Ok(u32::from(file::stat_follow(dir, name)?.mode) & libc::S_IFMT == libc::S_IFDIR);
    }
    Ok(u32::from(file::stat(dir, name)?.mode) & libc::S_IFMT == libc::S_IFDIR)
}

fn in_the_way(there: &str, new: &str) -> Error {
    Error::new(say!("cannot replace {} with {}", there, new)).hint(phrase!("remove it first, or copy to another place"))
}

fn needs_root(error: Error) -> Error {
    let hint = phrase!("only root can give files to others and make devices");
    if error.is(Errno::EPERM) { error.hint(hint) } else { error }
}
