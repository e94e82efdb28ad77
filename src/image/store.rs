//! The store: images, their names and their layers, as files.
//!
//! ```text
//! lock                      held while something lands or goes
//! layers/HEX/diff/          an unpacked layer, by the digest of its archive
//! layers/HEX/image          in its place a file system image, by its digest: the lowest layer, or none
//! layers/HEX/size           bytes in it
//! layers/HEX/frame          what its archive has besides the content of files, to make it again (`frame`)
//! trees/HEX-HEX/            layers put on top of each other, for storage drivers that need them so; made when they are needed
//! images/HEX.json           an image's configuration; HEX is its digest and the image's ID
//! refs/NAME:TAG             the ID that a name stands for, `+` for `/`
//! partial/HEX               a download under way or interrupted, by the digest of what it is to be; locked by who has it in hand
//! tmp/RANDOM/               work under way; its owner holds a lock on the directory
//! ```
//!
//! Everything is complete, and on the disk, before it is renamed to its place, and an image's configuration comes last: what
//! was killed before that shows nothing. Nothing in the store tells where the store lies.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::land::full;
use super::manifest::{self, is_id};
use super::reference::{self, Reference};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text;
use crate::base::text::Cut;
use crate::base::time::Timestamp;
use crate::sys::file::Lock;
use crate::sys::{self, Fd, FdRef, file};

/// The longest configuration.
const CONFIG: usize = 4 << 20;
/// The directories of the store.
const DIRECTORIES: [&CStr; 4] = [c"layers", c"images", c"refs", c"tmp"];

/// An open store.
pub struct Store {
    pub(super) root: Fd,
    path: &'static str,
}

/// A name and the ID that it stands for.
pub(super) type Name = (&'static str, &'static str);

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// 64 hexadecimal digits.
    pub id: &'static str,
    /// All its names, `NAME:TAG`.
    pub names: Vec<&'static str>,
    /// Its configuration.
    pub config: Value,
    /// Its layers' digests in hexadecimal digits, the lowest layer first.
    pub layers: Vec<&'static str>,
    /// Whether the lowest is a file system image; [`Store::find`] tells.
    pub on_filesystem: bool,
}

/// A line of the list of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// 64 hexadecimal digits.
    pub id: &'static str,
    /// All its names, `NAME:TAG`; none for one whose name went to another.
    pub names: Vec<&'static str>,
    /// When it was made.
    pub created: Timestamp,
    /// Its configuration.
    pub config: Value,
    /// Bytes in its layers.
    pub size: u64,
}

/// The store's lock; goes when dropped.
pub struct Held {
    _file: Fd,
}

impl Store {
    /// Opens the store in the directory `path`; makes what is missing.
    ///
    /// # Errors
    /// mkdir(2), open(2).
    pub fn open(path: &str) -> Result<Store> {
        let _why = sys::because(phrase!("open the store"));
        let directory = || -> Result<Fd> {
            file::mkdir_all(path, 0o700)?;
            let root = file::open(sys::fd::CWD, file::path(path)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
            for name in DIRECTORIES {
                file::mkdir_if_missing(root.by_ref(), name, 0o700)?;
            }
            Ok(root)
        };
        let elsewhere = phrase!("run vial as root, or keep its data elsewhere with --root DIR");
        let root = directory().map_err(|error| error.hint(elsewhere))?;
        Ok(Store { root, path: keep::copy(path.trim_end_matches('/')) })
    }

    /// Opens the store in the directory `path` and makes nothing.
    ///
    /// # Errors
    /// open(2).
    pub fn look(path: &str) -> Result<Store> {
        let _why = sys::because(phrase!("open the store"));
        let root = file::open(sys::fd::CWD, file::path(path)?, libc::O_RDONLY | libc::O_DIRECTORY)
            .map_err(|error| error.hint(phrase!("there are no images yet; `vial import` makes one")))?;
        Ok(Store { root, path: keep::copy(path.trim_end_matches('/')) })
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> FdRef<'_> {
        self.root.by_ref()
    }

    /// Takes the store's lock: shared by those who count on an image to stay (from finding it until what they make shows
    /// that it is in use), alone by those who add or remove.
    ///
    /// # Errors
    /// open(2), flock(2).
    pub fn hold(&self, lock: Lock) -> Result<Held> {
        let file = file::create(self.root.by_ref(), c"lock", libc::O_RDWR | libc::O_CREAT, 0o600).map_err(full)?;
        file::lock(file.by_ref(), lock)?;
        Ok(Held { _file: file })
    }

    /// Where a layer's tree lies.
    ///
    /// # Errors
    /// The store's path holds a zero byte.
    pub fn layer_directory(&self, layer: &str) -> Result<&'static CStr> {
        file::path(join!("{}/layers/{}/diff", self.path, layer))
    }

    /// All images, the newest first.
    ///
    /// # Errors
    /// What can't be read.
    pub fn list(&self) -> Result<Vec<Summary>> {
        let _why = sys::because(phrase!("list the images"));
        let names = self.names()?;
        let mut list: Vec<Summary> = Vec::new();
        for id in self.ids()? {
            let image = self.image(id, &names)?;
            let mut size = 0;
            for layer in &image.layers {
                size += self.layer_size(layer);
            }
            let created = manifest::created(&image.config);
            let summary = Summary { size, names: image.names, created, id, config: image.config };
            let at = list.iter().position(|other| other.created < created).unwrap_or(list.len());
            list.insert(at, summary);
        }
        Ok(list)
    }

    /// Finds an image by its name or by its ID, of which any unambiguous beginning will do.
    ///
    /// # Errors
    /// There is none, with a hint at what may have been meant; or several.
    pub fn find(&self, image: &str) -> Result<Image> {
        let _why = sys::because(phrase!("find the image"));
        let names = self.names()?;
        let id = self.resolve(image, &names)?;
        let mut found = self.image(id, &names)?;
        for layer in &found.layers {
            if !self.has(layer, "diff")? {
                if Some(layer) == found.layers.first() && self.is_filesystem(layer)? {
                    found.on_filesystem = true;
                    continue;
                }
                return Err(Error::new(say!("image {} lacks its layer {}", image, layer))
                    .hint(phrase!("the store was damaged; import the image again")));
            }
        }
        Ok(found)
    }

    /// The ID of an image, as for [`Store::find`].
    ///
    /// # Errors
    /// As for [`Store::find`].
    pub fn look_up(&self, image: &str) -> Result<&'static str> {
        let _why = sys::because(phrase!("see whether the image is here"));
        self.resolve(image, &self.names()?)
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// As for [`Store::find`].
    pub fn tag(&self, image: &str, name: &Reference<'_>) -> Result<()> {
        let _why = sys::because(phrase!("name the image"));
        let _lock = self.hold(Lock::Exclusive)?;
        let id = self.resolve(image, &self.names()?)?;
        self.workspace()?.place(self, join!("{}\n", id), reference_path(full_name(name))).map_err(full)
    }

    /// All names that stand for an image that exists, with its ID.
    pub(super) fn names(&self) -> Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in self.directory(c"refs")? {
            let content = file::read_file(self.root.by_ref(), file::path(join!("refs/{}", entry))?, 4096)?;
            // The first line is of an image that landed, or was about to when its import was killed: then the next one holds.
            let content = keep::copy(&String::from_utf8_lossy(&content));
            for id in content.parts(b'\n').filter(|id| is_id(id)) {
                if self.has_image(id)? {
                    names.push((readable(entry), id));
                    break;
                }
            }
        }
        Ok(names)
    }

    /// Whether a layer is there.
    pub(super) fn has_layer(&self, layer: &str) -> Result<bool> {
        Ok(self.has(layer, "diff")? || self.is_filesystem(layer)?)
    }

    /// Whether a layer is a file system image, which has to be mounted, and not a directory.
    ///
    /// # Errors
    /// access(2).
    pub fn is_filesystem(&self, layer: &str) -> Result<bool> {
        self.has(layer, "image")
    }

    fn has(&self, layer: &str, form: &str) -> Result<bool> {
        file::is_there(self.root.by_ref(), file::path(join!("layers/{}/{}", layer, form))?)
    }

    fn has_image(&self, id: &str) -> Result<bool> {
        file::is_there(self.root.by_ref(), file::path(image_path(id))?)
    }

    /// The names in one of the store's directories.
    pub(super) fn directory(&self, name: &CStr) -> Result<Vec<&'static str>> {
        let dir = match file::open(self.root.by_ref(), name, libc::O_RDONLY | libc::O_DIRECTORY) {
            // A store that was only looked at.
            Err(error) if error.is(Errno::ENOENT) => return Ok(Vec::new()),
            result => result?,
        };
        let mut names = Vec::new();
        for entry in file::list(dir.by_ref())? {
            if let Ok(name) = entry.name.to_str() {
                names.push(keep::copy(name));
            }
        }
        Ok(names)
    }

    /// The IDs of all images.
    pub(super) fn ids(&self) -> Result<Vec<&'static str>> {
        let mut ids = self.directory(c"images")?;
        ids.retain_mut(|name| {
            *name = name.strip_suffix(".json").unwrap_or_default();
            is_id(name)
        });
        Ok(ids)
    }

    #[inline(never)]
    pub(super) fn image(&self, id: &'static str, names: &[Name]) -> Result<Image> {
        let config = manifest::parse(&self.config(id)?)?;
        let layers = manifest::layers(&config)?;
        let names = names.iter().filter(|(_, of)| *of == id).map(|(name, _)| *name).collect();
        Ok(Image { id, names, config, layers, on_filesystem: false })
    }

    /// An image's configuration as it is.
    pub(super) fn config(&self, id: &str) -> Result<Vec<u8>> {
        file::read_file(self.root.by_ref(), file::path(image_path(id))?, CONFIG)
    }

    /// When the latest of these names was given; the epoch if there is none.
    #[must_use]
    pub fn tagged(&self, names: &[&str]) -> Timestamp {
        let mut latest = Timestamp::default();
        for name in names {
            let stat = file::path(reference_path(name)).and_then(|path| file::stat(self.root.by_ref(), path));
            let given = stat.map_or(latest, |stat| Timestamp { secs: stat.mtime.secs, nanos: stat.mtime.nanos });
            latest = if latest < given { given } else { latest };
        }
        latest
    }

    /// Bytes in a layer.
    #[must_use]
    pub fn layer_size(&self, layer: &str) -> u64 {
        let size = file::path(join!("layers/{}/size", layer))
            .and_then(|path| file::read_file(self.root.by_ref(), path, 64))
            .unwrap_or_default();
        core::str::from_utf8(&size).ok().and_then(|size| text::decimal_u64(size.trim_end())).unwrap_or(0)
    }

    /// The ID that a word stands for: a name first, then an ID.
    pub(super) fn resolve(&self, image: &str, names: &[Name]) -> Result<&'static str> {
        let (name, prefix) = match reference::Image::parse(image.as_bytes())? {
            reference::Image::Id(digits) => (None, Some(digits)),
            reference::Image::Name(name) => (Some(full_name(&name)), name.id_prefix()),
            _ => return Err(Error::new(say!("{} is not an image in the store", image))),
        };
        if let Some((_, id)) = names.iter().find(|(known, _)| Some(*known) == name) {
            return Ok(id);
        }
        let ids = if prefix.is_some() { self.ids()? } else { Vec::new() };
        let mut matching = ids.into_iter().filter(|id| prefix.is_some_and(|prefix| id.starts_with(prefix)));
        match (matching.next(), matching.next()) {
            (Some(id), None) => Ok(id),
            (Some(_), Some(_)) => Err(Error::new(say!("{} is the beginning of several images' IDs", image))
                .hint(phrase!("give more of its digits; `vial images` lists them"))),
            (None, _) => {
                let error = Error::new(say!("no image is named {}", image));
                // People leave the tag away, and so does the comparison.
                let mut known = names.iter().flat_map(|(name, _)| [*name, short(name)]);
                Err(match text::nearest(image, &mut known) {
                    Some(near) => error.hint(say!("did you mean {}?", near)),
                    None => error.hint(phrase!("`vial images` lists the images, `vial import` makes one")),
                })
            }
        }
    }
}

/// `NAME:TAG`, or `NAME@DIGEST` for what has a digest.
#[must_use]
pub fn full_name(name: &Reference<'_>) -> &'static str {
    if let Some(digest) = name.digest {
        return join!("{}@{}", name.name, digest);
    }
    join!("{}:{}", name.name, name.tag())
}

/// The name without the tag that is meant when there is none.
fn short(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}

/// The file of a name; `+` can't be part of one.
pub(super) fn reference_path(name: &str) -> &'static str {
    join!("refs/{}", name.replace('/', "+"))
}

/// The name of such a file.
#[inline(never)]
pub(super) fn readable(file: &str) -> &'static str {
    file.replace('+', "/").leak()
}

/// The file of an image.
pub(super) fn image_path(id: &str) -> &'static str {
    join!("images/{}.json", id)
}
