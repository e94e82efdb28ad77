//! Storage drivers: what a container's root is made of.
//!
//! `overlay` mounts the layers below a directory of the container's own, and copies nothing. The others give each container a
//! tree of its own, `containers/ID/tree`: `btrfs` a snapshot, `copy` a copy, which shares the data where the file system can.
//! What they begin with is made once for all containers of the same layers:
//!
//! ```text
//! trees/HEX-HEX/            layers put on top of each other: the topmost one's digest, and the beginning of that of them all
//! ```
//!
//! Such a tree is made of layers that stay where they are, so it may go at any time; it does with its topmost layer.

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sha256;
use crate::kernel::mounts::{self, Identity};
use crate::sys::ledger::Role;
use crate::sys::process::{self, Ended, Side};
use crate::sys::{Fd, FdRef, because, device, file, mount, users};

/// The names of the drivers, the one first that is taken where it works.
pub const DRIVERS: &str = "overlay btrfs copy";
/// The driver whose trees are subvolumes.
pub const BTRFS: &str = "btrfs";
/// A container's own tree.
pub const TREE: &str = "tree";

/// Btrfs, `linux/magic.h`.
const BTRFS_MAGIC: usize = 0x9123_683e;
/// File systems that can't hold what is written to an overlay: other overlays, those of other machines and programs (NFS,
/// CIFS, SMB, Ceph, 9P, FUSE), eCryptfs, and ramfs, which has no attributes (`overlayfs.rst`; `linux/magic.h`).
const NO_UPPER: &[usize] =
    &[0x794c_7630, 0x6969, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x0102_1997, 0x6573_5546, 0xf15f, 0x8584_58f6];
/// File systems without owners, modes and links: FAT, exFAT, NTFS.
const FOREIGN: &[usize] = &[0x4d44, 0x2011_bab0, 0x5346_544e, 0x7366_746e];

/// The driver for a store: the one that was asked for, or the first that works on its file system.
///
/// # Errors
/// The one that was asked for does not work there, or none does.
#[inline(never)]
pub fn choose(root: FdRef<'_>, asked: &'static str) -> Result<&'static str> {
    let kind = file::filesystem(root)?;
    if FOREIGN.contains(&kind) {
        return Err(Error::new(phrase!(
            "the store is on a file system that knows neither owners nor links, such as FAT"
        ))
        .hint(phrase!("--root DIR or VIAL_ROOT=DIR puts it elsewhere")));
    }
    if asked == BTRFS && kind != BTRFS_MAGIC {
        return Err(Error::new(phrase!("--storage btrfs: the store is not on btrfs"))
            .hint(phrase!("accepted there: overlay or copy")));
    }
    Ok(match asked {
        "" if NO_UPPER.contains(&kind) || !has_overlay() => "copy",
        "" => "overlay",
        asked => asked,
    })
}

/// Whether the kernel has overlays, and for a normal user too (Linux 5.11). Where it can't be asked (before 5.2) it is to say so
/// when one is mounted.
#[inline(never)]
fn has_overlay() -> bool {
    let _why = because!("see whether the kernel has overlays");
    if users::is_confined() {
        return has_overlay_for_users().unwrap_or(true);
    }
    !mount::fsopen(c"overlay").is_err_and(|error| error.is(Errno::ENODEV))
}

/// The same for a normal user, whom the kernel answers in mounts of one's own only.
#[inline(never)]
fn has_overlay_for_users() -> Result<bool> {
    // Without layers there would be none, if there could be one.
    let create = || mount::fsconfig_create(mount::fsopen(c"overlay")?.by_ref());
    match process::clone(libc::CLONE_NEWNS, Role::Helper)? {
        Side::Child => {
            process::exit(u8::from(create().is_err_and(|error| error.is(Errno::ENODEV) || error.is(Errno::EPERM))))
        }
        Side::Parent(pid) => {
            Ok(!process::wait(Some(pid), true)?.is_some_and(|waited| matches!(waited.ended, Ended::Exited(1))))
        }
    }
}

/// What trees are made with.
pub struct Trees<'a> {
    /// The store.
    pub root: FdRef<'a>,
    /// A directory in it for what is under way.
    pub work: FdRef<'a>,
    /// Whether they are subvolumes of btrfs.
    pub btrfs: bool,
    /// The tree of the lowest layer, if that is a file system image.
    pub image: Option<Fd>,
}

impl Trees<'_> {
    /// The tree of these layers, the lowest first; made unless it is there.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn base(&self, layers: &[&str]) -> Result<Fd> {
        if let ([only], false, None) = (layers, self.btrfs, &self.image) {
            return self.layer(only, false);
        }
        let name = tree_name(layers);
        let path = file::path(join!("trees/{}", name))?;
        match open(self.root, path) {
            Err(error) if error.is(Errno::ENOENT) => {}
            result => return result,
        }
        let _why = because!("put the image's layers together, for all containers of it");
        let (mut first, mut before) = (0, None);
        if let (true, [below @ .., _]) = (self.btrfs && layers.len() > 1, layers) {
            (first, before) = (below.len(), Some(self.base(below)?));
        }
        let made = self.begin(self.work, name, before.as_ref())?;
        for (at, layer) in layers.iter().enumerate().skip(first) {
            mounts::add_layer(self.layer(layer, at == 0)?.by_ref(), made.by_ref(), self.store()?)?;
        }
        file::sync_all(self.work)?;
        file::mkdir_if_missing(self.root, c"trees", 0o700)?;
        // If somebody else was faster, theirs will do.
        let renamed = file::rename(self.work, file::path(name)?, self.root, path, false);
        open(self.root, path).or_else(|error| renamed.and(Err(error)))
    }

    /// Makes a container's own tree, in its directory, of the one that it begins with; `snapshot` if that is a subvolume.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn make(&self, base: &Fd, directory: FdRef<'_>, snapshot: bool) -> Result<()> {
        let _why = because!("make the container's own tree");
        let made = self.begin(directory, TREE, Some(base).filter(|_| snapshot))?;
        if snapshot { Ok(()) } else { mounts::add_layer(base.by_ref(), made.by_ref(), self.store()?) }
    }

    /// A new tree: empty, or with btrfs a snapshot.
    #[inline(never)]
    fn begin(&self, directory: FdRef<'_>, name: &str, source: Option<&Fd>) -> Result<Fd> {
        let path = file::path(name)?;
        if self.btrfs {
            device::make_subvolume(directory, name, source.map(Fd::by_ref))?;
        } else {
            file::mkdir(directory, path, 0o755)?;
        }
        open(directory, path)
    }

    fn layer(&self, layer: &str, lowest: bool) -> Result<Fd> {
        match &self.image {
            Some(image) if lowest => open(image.by_ref(), c"."),
            _ => open(self.root, file::path(join!("layers/{}/diff", layer))?),
        }
    }

    /// Which directory the store is: one that holds it is copied without it.
    fn store(&self) -> Result<Identity> {
        let stat = file::stat(self.root, c"")?;
        Ok((stat.dev_major, stat.dev_minor, stat.ino))
    }
}

/// What the tree of these layers is called.
fn tree_name(layers: &[&str]) -> &'static str {
    let chain = sha256::hex(&sha256::digest(layers.join(",").as_bytes()));
    join!("{}-{}", layers.last().copied().unwrap_or_default(), chain.get(..16).unwrap_or_default())
}

fn open(directory: FdRef<'_>, path: &core::ffi::CStr) -> Result<Fd> {
    file::open(directory, path, libc::O_RDONLY | libc::O_DIRECTORY)
}
