//! Trees of the host (files, directories, and what is mounted below them) on their way into the container.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::copy;
use super::mask::read_back;
use super::options::{LAZY, Options};
use super::place::{self, Kind};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::{Cut, unescape_octal};
use crate::sys::fd::CWD;
use crate::sys::uapi::MountAttr;
use crate::sys::{Fd, FdRef, file, mount, uapi};

/// A tree that was taken in hand before the change of root.
pub struct Tree {
    /// A detached copy of the mount, or (before Linux 5.2) the place itself, which [`carry`] takes along.
    file: Fd,
    detached: bool,
    recursive: bool,
    kind: Kind,
}

impl Tree {
    /// Takes the tree at a path of the host in hand.
    ///
    /// # Errors
    /// `open_tree(2)`, open(2).
    pub fn take(path: &CStr, recursive: bool) -> Result<Tree> {
        let (file, detached) = match mount::open_tree(CWD, path, recursive) {
            Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EPERM) => {
                (file::open(CWD, path, libc::O_PATH)?, false)
            }
            result => (result?, true),
        };
        let stat = file::stat(file.by_ref(), c"")?;
        let is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
        Ok(Tree { file, detached, recursive, kind: if is_directory { Kind::Directory } else { Kind::File } })
    }

    /// Makes a file system and takes its root in hand (Linux 5.2).
    ///
    /// # Errors
    /// `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`.
    pub fn make(kind: &CStr, source: &CStr, options: &Options) -> Result<Tree> {
        let context = mount::fsopen(kind)?;
        mount::fsconfig_set(context.by_ref(), c"source", source)?;
        for option in &options.data {
            match option.cut(b'=') {
                Some((name, value)) => {
                    mount::fsconfig_set(context.by_ref(), file::path(name)?, file::path(value)?)?;
                }
                None => mount::fsconfig_flag(context.by_ref(), file::path(option)?)?,
            }
        }
        // One of the kernel's own has no such flags, and may be there already without.
        for (flag, name) in [
            (libc::MS_RDONLY, c"ro"),
            (libc::MS_SYNCHRONOUS, c"sync"),
            (libc::MS_DIRSYNC, c"dirsync"),
            (libc::c_ulong::from(LAZY), c"lazytime"),
        ] {
            if options.set & flag != 0 && source != kind {
                mount::fsconfig_flag(context.by_ref(), name)?;
            }
        }
        mount::fsconfig_create(context.by_ref())?;
        let file = mount::fsmount(context.by_ref(), 0)?;
        Ok(Tree { file, detached: true, recursive: false, kind: Kind::Directory })
    }

    /// Takes the mount that an open directory is the root of, or lies in, in hand from there on, without those below.
    ///
    /// # Errors
    /// `open_tree(2)`.
    pub fn take_open(directory: FdRef<'_>) -> Result<Tree> {
        let file = mount::open_tree(directory, c"", false)?;
        Ok(Tree { file, detached: true, recursive: false, kind: Kind::Directory })
    }

    /// Has the tree show owners as a user namespace has them: what belongs to root on the disk belongs to that one's root.
    ///
    /// # Errors
    /// `mount_setattr(2)`: `EINVAL` where the file system can't, `ENOSYS` before Linux 5.12.
    pub fn map_owners(&self, users: FdRef<'_>, recursive: bool) -> Result<()> {
        let attributes = MountAttr {
            attr_set: uapi::MOUNT_ATTR_IDMAP.into(),
            userns_fd: users.number() as u64,
            ..MountAttr::default()
        };
        mount::mount_setattr(self.file.by_ref(), c"", &attributes, recursive)
    }

    /// What holds it, as a place only.
    #[must_use]
    pub fn file(&self) -> FdRef<'_> {
        self.file.by_ref()
    }

    /// Puts the tree, as it is, at a place of the host's mounts as this process sees them.
    ///
    /// # Errors
    /// `move_mount(2)`.
    pub fn put(&self, place: &CStr) -> Result<()> {
        mount::attach(self.file.by_ref(), place)
    }

    /// Puts the tree on the current directory, and goes into it.
    ///
    /// # Errors
    /// `move_mount(2)`, fchdir(2).
    pub fn go_into(&self) -> Result<()> {
        mount::attach_on(self.file.by_ref(), CWD)?;
        file::fchdir(self.file.by_ref())
    }

    /// Fills the tree, which is an empty directory, with what the new root has at a path; nothing if that is no directory.
    ///
    /// # Errors
    /// What the copy refuses.
    pub fn fill_from(&self, path: &CStr) -> Result<()> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let place = match place::find(path) {
            Err(error) if error.is(Errno::ENOENT) => return Ok(()),
            result => result?,
        };
        let from = match file::open(place.by_ref(), c".", flags) {
            Err(error) if error.is(Errno::ENOTDIR) => return Ok(()),
            result => result?,
        };
        let to = file::open(self.file.by_ref(), c".", flags)?;
        copy::copy_content(from.by_ref(), to.by_ref())
    }

    /// Puts the tree at a path of the new root, which is made if it is missing.
    ///
    /// # Errors
    /// What making the place, `move_mount(2)`, mount(2) and `mount_setattr(2)` refuse.
    pub fn attach(self, target: &CStr, options: &Options) -> Result<()> {
        let place = place::make(target, self.kind)?;
        let asked = options.set | options.recursive_flags().0;
        if self.detached {
            // Restricted while nobody can reach it yet.
            let propagation =
                if options.propagation == 0 { libc::MS_PRIVATE | libc::MS_REC } else { options.propagation };
            let done = restrict(self.file.by_ref(), c"", options, propagation)?;
            mount::attach_on(self.file.by_ref(), place.by_ref())?;
            if !done {
                restrict_each(target, options, propagation)?;
            }
            return read_back(target, asked);
        }
        let source = descriptor_path(&self.file)?;
        let depth = if self.recursive { libc::MS_REC } else { 0 };
        let onto = descriptor_path(&place)?;
        mount::mount(Some(source), onto, None, libc::MS_BIND | depth, None)?;
        mount::detach(source)?;
        restrict_each(target, options, options.propagation)?;
        read_back(target, asked)
    }
}

/// Takes the trees that could not be detached along into the new root, at `root`, since the old one is about to go: each is
/// mounted in a file system of its own on the new root's `dev`, until it is put in its place. There the image has no say.
///
/// # Errors
/// mount(2); `ENOTDIR` if the image has a link for its `/dev`.
pub fn carry(trees: &mut [Option<Tree>], root: &CStr) -> Result<()> {
    if trees.iter().flatten().all(|tree| tree.detached) {
        return Ok(());
    }
    let back = file::open(CWD, c".", libc::O_PATH | libc::O_DIRECTORY)?;
    file::chdir(root)?;
    file::mkdir_if_missing(CWD, c"dev", 0o755)?;
    let dev = file::open(CWD, c"dev", libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)?;
    mount::mount(Some(c"tmpfs"), descriptor_path(&dev)?, Some(c"tmpfs"), 0, Some(c"mode=700"))?;
    file::chdir(c"dev")?;
    for (number, tree) in trees.iter_mut().flatten().enumerate().filter(|(_, tree)| !tree.detached) {
        let name = file::path(alloc::format!("{number}"))?;
        match tree.kind {
            Kind::Directory => file::mkdir(CWD, name, 0o700)?,
            Kind::File => file::mknod(CWD, name, libc::S_IFREG | 0o600, (0, 0))?,
        }
        let depth = if tree.recursive { libc::MS_REC } else { 0 };
        mount::mount(Some(descriptor_path(&tree.file)?), name, None, libc::MS_BIND | depth, None)?;
        tree.file = file::open(CWD, name, libc::O_PATH)?;
    }
    file::fchdir(back.by_ref())
}

/// The path under which the kernel shows an open file to its process.
pub(super) fn descriptor_path(file: &Fd) -> Result<&'static CStr> {
    file::path(join!("/proc/self/fd/{}", file.number()))
}

/// Restricts a tree, detached or at a path; false where the kernel (before 5.12) can't and each mount must be remounted once attached.
fn restrict(tree: FdRef<'_>, path: &CStr, options: &Options, propagation: libc::c_ulong) -> Result<bool> {
    let spread = propagation & libc::MS_REC != 0;
    #[allow(clippy::unnecessary_cast, reason = "flags are as long as registers are")]
    let propagation = (propagation & !libc::MS_REC) as u64;
    let (recursive, recursive_cleared) = (options.recursive, options.recursive_cleared);
    let whole = MountAttr { attr_set: recursive, attr_clr: recursive_cleared, propagation, ..MountAttr::default() };
    // What holds for all can't be told apart from how far the propagation goes.
    let all = recursive | recursive_cleared != 0;
    let mut result = Ok(());
    if all && !spread && propagation != 0 {
        result = mount::mount_setattr(tree, path, &MountAttr { propagation: 0, ..whole }, true)
            .and_then(|()| mount::mount_setattr(tree, path, &MountAttr { propagation, ..MountAttr::default() }, false));
    } else if all || propagation != 0 {
        result = mount::mount_setattr(tree, path, &whole, spread || all);
    }
    let (set, cleared) = options.attributes();
    let rest = (set & !recursive, cleared & !recursive_cleared);
    if result.is_ok() && rest != (0, 0) {
        let top = MountAttr { attr_set: rest.0, attr_clr: cleared, ..MountAttr::default() };
        result = mount::mount_setattr(tree, path, &top, false);
    }
    match result {
        Err(error) if error.is(Errno::ENOSYS) || error.is(Errno::EPERM) => Ok(false),
        result => result.map(|()| true),
    }
}

/// Gives a mount of a file system, and all below it, the propagation and the attributes that the call which made it does not take.
///
/// # Errors
/// `mount_setattr(2)`, mount(2).
pub fn spread(target: &CStr, propagation: libc::c_ulong, recursive: (u64, u64)) -> Result<()> {
    let (recursive, recursive_cleared) = recursive;
    let options = Options { recursive, recursive_cleared, ..Options::default() };
    if !restrict(CWD, target, &options, propagation)? {
        restrict_each(target, &options, propagation)?;
    }
    read_back(target, options.recursive_flags().0)
}

/// Restricts an attached tree mount by mount, the only way before Linux 5.12.
fn restrict_each(target: &CStr, options: &Options, propagation: libc::c_ulong) -> Result<()> {
    if propagation != 0 {
        mount::mount(None, target, None, propagation, None)?;
    }
    let (recursive, recursive_cleared) = options.recursive_flags();
    if options.per_mount() | options.cleared | recursive | recursive_cleared == 0 {
        return Ok(());
    }
    // The table has the path without the image's links.
    let top = file::readlink(CWD, descriptor_path(&place::find(target)?)?)?;
    let table = file::read_file(CWD, c"/proc/self/mountinfo", 16 << 20)?;
    let table = String::from_utf8_lossy(&table);
    for (point, kept) in mounts_below(&table, &top.to_string_lossy()) {
        let is_top = point.as_bytes() == top.to_bytes();
        let mut flags = kept & !recursive_cleared | recursive;
        if is_top {
            flags = flags & !options.cleared | options.per_mount();
        }
        let point = file::path(point)?;
        mount::mount(None, point, None, libc::MS_BIND | libc::MS_REMOUNT | flags, None)?;
    }
    Ok(())
}

/// The mount points at and below a path, with the flags that each has (which a remount must repeat), from a mountinfo table.
#[must_use]
pub fn mounts_below(table: &str, top: &str) -> Vec<(String, libc::c_ulong)> {
    let below = |point: &str| point.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // proc_pid_mountinfo(5): ID, parent, device, root, mount point, options, ...
    let fields = table.parts(b'\n').filter_map(|line| {
        let mut fields = line.parts(b' ').skip(4);
        Some((unescape_octal(fields.next()?), fields.next()?))
    });
    let found = fields.filter(|(point, _)| below(point));
    found.map(|(point, flags)| (point, Options::parse(flags.parts(b',')).map_or(0, |parsed| parsed.set))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mounts_at_and_below_a_path_with_their_flags() {
        let table = "22 1 0:20 / /a rw,nosuid - tmpfs t rw\n23 22 0:21 / /a/b\\040c ro,nodev,relatime - tmpfs t rw\n\
                     24 1 0:22 / /ab rw - tmpfs t rw\n";
        let found = mounts_below(table, "/a");
        let expected =
            [("/a".into(), libc::MS_NOSUID), ("/a/b c".into(), libc::MS_RDONLY | libc::MS_NODEV | libc::MS_RELATIME)];
        assert_eq!(found, expected);
    }
}
