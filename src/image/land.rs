//! Landing: what is to be in the store is made beside it, put on the disk, and only then renamed to its place.
//!
//! Whoever makes an image takes a [`Workspace`], puts layers into it ([`Workspace::make_layer`]), each complete once it is
//! called by its digest there, and hands it to [`Store::land`] with the configuration. A process that is killed, and a machine
//! that loses its power, leave the image whole or not at all.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::frame::Frame;
use super::helper::Helper;
use super::layer::{self, How, Unpacked};
use super::manifest::{self, is_id};
use super::store::{Store, image_path, reference_path};
use super::stream::{self, Digest, Stream};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::sha256::{self, hex};
use crate::sys::file::Lock;
use crate::sys::{self, Fd, FdRef, file, process};

/// Milliseconds between two looks of a process that puts on the disk what is written.
const FLUSH_EVERY: u32 = 150;

/// A directory for work under way. Its lock says that the owner is alive; dropping it removes it.
pub struct Workspace {
    root: Fd,
    path: &'static str,
    /// The directory.
    pub dir: Fd,
}

impl Store {
    /// A place for what is in the making.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn begin(&self) -> Result<Workspace> {
        let _why = sys::because(phrase!("make room in the store"));
        // Shared, so that no `clean` runs between the directory's making and its lock.
        let _lock = self.hold(Lock::Shared)?;
        self.workspace()
    }

    /// A directory of one's own for what is under way, for whoever holds the store's lock.
    pub(super) fn workspace(&self) -> Result<Workspace> {
        let mut random = [0; 8];
        process::random(&mut random)?;
        let path = join!("tmp/{}", hex(&random));
        let root = file::duplicate(self.root.by_ref())?;
        file::mkdir(root.by_ref(), file::path(path)?, 0o700)?;
        let dir = file::open(root.by_ref(), file::path(path)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
        file::lock(dir.by_ref(), Lock::Exclusive)?;
        Ok(Workspace { root, path, dir })
    }

    /// Puts an image in its place: the layers that `work` holds, called by their digests, the names (`NAME:TAG`), and at last the configuration, by
    /// whose digest it is known, which is returned. Its appearance is the moment at which there is the image.
    ///
    /// # Errors
    /// What the disk refuses; the configuration names a layer that is neither in `work` nor in the store.
    pub(super) fn land(&self, work: &Workspace, config: &[u8], names: &[&str]) -> Result<&'static str> {
        self.settle(work, config, names).map_err(full)
    }

    #[inline(never)]
    fn settle(&self, work: &Workspace, config: &[u8], names: &[&str]) -> Result<&'static str> {
        let id = keep::copy(&hex(&sha256::digest(config)));
        let layers = manifest::layers(&manifest::parse(config)?)?;
        file::write_file(work.dir.by_ref(), c"config", config, 0o600)?;
        {
            let _why = sys::because(phrase!("put the image on the disk before anything refers to it"));
            // The errors of all that was written since the directory was opened are told here (Linux 5.8).
            file::sync_all(work.dir.by_ref())?;
        }
        let _why = sys::because(phrase!("put the image in its place"));
        let _lock = self.hold(Lock::Exclusive)?;
        let root = self.root.by_ref();
        let mut moved = Vec::new();
        let result = self.publish(work, id, &layers, names, &mut moved);
        if result.is_err() {
            // Nobody has seen them: the lock is held.
            for (name, target) in moved {
                let _ = file::rename(root, target, work.dir.by_ref(), name, false);
            }
        }
        result.map(|()| id)
    }

    /// Renames all, in that order, and notes which layers were and nothing needs yet.
    fn publish(
        &self,
        work: &Workspace,
        id: &str,
        layers: &[&str],
        names: &[&str],
        moved: &mut Vec<(&'static CStr, &'static CStr)>,
    ) -> Result<()> {
        let root = self.root.by_ref();
        for layer in self.directory(file::path(work.path)?)?.into_iter().filter(|name| is_id(name)) {
            let (name, target) = (file::path(layer)?, file::path(join!("layers/{}", layer))?);
            match file::rename(work.dir.by_ref(), name, root, target, false) {
                // Another import had the same content.
                Err(error) if error.is(Errno::EEXIST) || error.is(Errno::ENOTEMPTY) => {}
                result => {
                    result?;
                    moved.push((name, target));
                }
            }
        }
        for layer in layers {
            if !self.has_layer(layer)? {
                // It was there when this began.
                return Err(
                    Error::new(say!("layer {} was removed meanwhile", layer)).hint(phrase!("do the same again"))
                );
            }
        }
        self.sync(c"layers")?;
        for name in names {
            // The second line holds until the image of the first has landed.
            let known = self.names()?;
            let before = known.iter().find(|(known, _)| known == name).map_or("", |(_, id)| id);
            work.place(self, join!("{}\n{}\n", id, before), reference_path(name))?;
        }
        file::rename(work.dir.by_ref(), c"config", root, file::path(image_path(id))?, true)?;
        // From now on an image needs them.
        moved.clear();
        self.sync(c"images")
    }

    /// Waits until the names in one of the store's directories are on the disk.
    #[inline(never)]
    pub(super) fn sync(&self, directory: &CStr) -> Result<()> {
        let directory = file::open(self.root.by_ref(), directory, libc::O_RDONLY | libc::O_DIRECTORY)?;
        file::sync(directory.by_ref())
    }
}

impl Workspace {
    /// Has a process that puts what is written on the disk meanwhile, so that little is left to wait for in the end.
    ///
    /// # Errors
    /// What keeps it from starting.
    #[inline(never)]
    pub(super) fn flush(&self) -> Result<Helper> {
        Helper::start(&mut |_| {
            let _why = sys::because(phrase!("put what is unpacked on the disk meanwhile"));
            // A file of its own, since an error is told once for each, and to be told to who lands the image.
            let file = file::open(self.dir.by_ref(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
            loop {
                process::sleep(FLUSH_EVERY);
                let _ = file::sync_all(file.by_ref());
            }
        })
    }

    /// Makes a small file with this content and puts it in its place in the store, by way of the disk.
    pub(super) fn place(&self, store: &Store, content: &str, target: &str) -> Result<()> {
        let work = self.dir.by_ref();
        let file = file::create(work, c"file", libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, 0o600)?;
        file::write_all(file.by_ref(), content.as_bytes())?;
        file::sync(file.by_ref())?;
        file::rename(work, c"file", store.root.by_ref(), file::path(target)?, true)?;
        store.sync(c"refs")
    }

    /// Unpacks what `produce` writes as a layer, which is then complete; its digest in hexadecimal digits. Until then it is
    /// called `part`.
    pub(super) fn make_layer(
        &self,
        part: &str,
        how: How,
        progress: &mut dyn FnMut(u64),
        produce: &mut dyn FnMut(&mut stream::Output) -> Result<()>,
    ) -> Result<(&'static str, Unpacked)> {
        let _why = sys::because(phrase!("unpack the layer"));
        let work = self.dir.by_ref();
        file::mkdir(work, file::path(part)?, 0o700).map_err(full)?;
        let layer = file::open(work, file::path(part)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
        file::mkdir(layer.by_ref(), c"diff", 0o755).map_err(full)?;
        let root = file::open(layer.by_ref(), c"diff", libc::O_RDONLY | libc::O_DIRECTORY)?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let frame = file::create(layer.by_ref(), c"frame", flags, 0o600).map_err(full)?;
        let (digest, unpacked) = transfer(root.by_ref(), how, Some(frame), progress, produce)?;
        let digest = self.seal(part, &digest, unpacked.size)?;
        Ok((digest, unpacked))
    }

    /// Calls a layer that is complete by its digest, and notes its size.
    #[inline(never)]
    pub(super) fn seal(&self, part: &str, digest: &Digest, size: u64) -> Result<&'static str> {
        let work = self.dir.by_ref();
        file::write_file(work, file::path(join!("{}/size", part))?, join!("{}\n", size).as_bytes(), 0o600)
            .map_err(full)?;
        let digest = keep::copy(&hex(digest));
        file::rename(work, file::path(part)?, work, file::path(digest)?, false).map_err(full)?;
        Ok(digest)
    }
}

/// Says what can be done about a disk that takes no more.
#[must_use]
pub fn full(error: Error) -> Error {
    let hint = match error.errno() {
        Errno::ENOSPC => phrase!("the disk is full; --root DIR puts the store on another one"),
        Errno::EDQUOT => phrase!("the quota is used up; --root DIR puts the store on another disk"),
        Errno::EROFS => phrase!("the file system is read-only; --root DIR puts the store on another one"),
        _ => return error,
    };
    error.hint(hint)
}

/// Unpacks what `produce` writes, in a process of its own, into a directory. Its frame goes to a file, if there is one.
///
/// # Errors
/// Those of `produce`, and as for [`layer::unpack`].
#[inline(never)]
pub fn transfer(
    to: FdRef<'_>,
    how: How,
    frame: Option<Fd>,
    progress: &mut dyn FnMut(u64),
    produce: &mut dyn FnMut(&mut stream::Output) -> Result<()>,
) -> Result<(Digest, Unpacked)> {
    let mut stream = Stream::start(how.max_size, produce)?;
    let mut archive = layer::Archive::new(&mut stream);
    archive.frame = frame.map(Frame::new);
    let unpacked = layer::unpack(&mut archive, to, how, progress)?;
    if let Some(frame) = archive.frame.take() {
        frame.finish().map_err(full)?;
    }
    drop(archive);
    Ok((stream.digest()?, unpacked))
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What can't be removed now is found by `vial gc`.
        let _ = file::path(self.path).and_then(|path| file::remove_tree(self.root.by_ref(), path));
    }
}
