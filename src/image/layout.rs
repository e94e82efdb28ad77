//! Images in a directory or an archive, as other programs keep them: OCI's layout (`oci-layout`, `index.json`, `blobs/`), and
//! docker's (`manifest.json`, which names files).
//!
//! # Source
//! The OCI image specification 1.1, `image-layout.md`; what `docker save` and `podman save` write.

use alloc::vec::Vec;

use super::blobs::{self, Blobs, Descriptor, Platform};
use super::import::Input;
use super::land::full;
use super::layer;
use super::manifest::{self, is_id};
use super::reference::Reference;
use super::resolve::{self, split};
use super::store::{Store, full_name};
use super::stream::{Opened, Output};
use super::tar::Kind;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::sys::{Fd, because, file};

/// More members than this no archive of images has.
const MAX_MEMBERS: usize = 1 << 16;
/// Links followed on the way to one member, as the kernel does.
const MAX_LINKS: usize = 40;

/// Where images lie together.
pub enum Layout {
    /// In a directory.
    Directory(Fd),
    /// In an archive that can be read from any place.
    Archive(Fd, Vec<Member>),
}

/// A file in an archive.
pub struct Member {
    path: Vec<u8>,
    /// Where another name of it, or a link, leads.
    link: Option<Vec<u8>>,
    at: u64,
    size: u64,
}

/// An image that was found.
pub struct Found {
    /// Its names, `NAME:TAG`.
    pub names: Vec<&'static str>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

impl Layout {
    /// Looks into a directory or an archive, plain or compressed. An archive that can't be read from any place is unpacked
    /// into a file of the store first, which has no name.
    ///
    /// # Errors
    /// It is damaged, or no archive.
    #[inline(never)]
    pub fn open(store: &Store, mut input: Input, max_size: u64) -> Result<Layout> {
        let _why = because!("look at what is to be loaded");
        let file = match input {
            Input::Directory(top, _) => return Ok(Layout::Directory(top)),
            Input::Plain(opened) if opened.is_part() => opened.file,
            _ => spool(store, &mut input, max_size).map_err(full)?,
        };
        Layout::within(file, 0)
    }

    /// Looks into a plain archive that begins at this place of a file and goes on to its end.
    ///
    /// # Errors
    /// It is damaged, or no archive.
    pub fn within(file: Fd, start: u64) -> Result<Layout> {
        let members = index(&file, start)?;
        Ok(Layout::Archive(file, members))
    }

    /// The images that are there.
    ///
    /// # Errors
    /// There are none, or what should name them is damaged.
    #[inline(never)]
    pub fn images(&mut self, platform: &Platform) -> Result<Vec<Found>> {
        let _why = because!("find the images");
        let mut found = Vec::new();
        // Archives may have both. What docker wrote says more of names, and is all that there was for long.
        if let Some(content) = self.read("manifest.json")? {
            for image in content.as_array().unwrap_or_default() {
                found.push(docker_image(image)?);
            }
        } else if let Some(content) = self.read("index.json")? {
            let list = content.get("manifests").and_then(Value::as_array).unwrap_or_default();
            for item in list {
                let name = name_of(item);
                // Those without a name are one image for several platforms.
                let top = if name.is_empty() { platform.pick(list) } else { Descriptor::read(item) }?;
                let (config, layers) = blobs::find(self, top, platform)?;
                found.push(Found { names: names(&[name]), config, layers });
                if name.is_empty() {
                    break;
                }
            }
        }
        if found.is_empty() {
            return Err(Error::new(phrase!("there is no image in it, which manifest.json or index.json would name"))
                .hint(phrase!("vial import makes an image of a root file system")));
        }
        Ok(found)
    }

    /// A document by its path, if it is there.
    fn read(&mut self, path: &'static str) -> Result<Option<Value>> {
        match blobs::document(self, &Descriptor { name: path, size: u64::MAX, media: "" }) {
            Err(error) if error.is(Errno::ENOENT) => Ok(None),
            result => manifest::parse(&result?).map(Some),
        }
    }

    /// Opens a file by its path; links lead nowhere outside.
    #[inline(never)]
    fn at(&self, path: &str) -> Result<Opened> {
        let missing = || Error::os(Errno::ENOENT, phrase!("find in the image's files"), path);
        match self {
            Layout::Directory(top) => {
                let place = resolve::find(top.by_ref(), path.as_bytes(), true)?.ok_or_else(missing)?;
                if !place.is(libc::S_IFREG) {
                    return Err(missing());
                }
                let file = file::open(place.dir.by_ref(), &place.name, libc::O_RDONLY | libc::O_NOFOLLOW)?;
                Ok(Opened::part(file, 0, place.stat.map_or(0, |stat| stat.size)))
            }
            Layout::Archive(file, members) => {
                let mut path = normal(path.as_bytes());
                for _ in 0..MAX_LINKS {
                    // The last of several members of one name wins.
                    let member = members.iter().rfind(|member| member.path == path).ok_or_else(missing)?;
                    let Some(link) = &member.link else {
                        return Ok(Opened::part(file::duplicate(file.by_ref())?, member.at, member.size));
                    };
                    path.clone_from(link);
                }
                Err(missing())
            }
        }
    }
}

impl Blobs for Layout {
    fn open(&mut self, blob: &Descriptor) -> Result<Opened> {
        let Some(digits) = blob.digest() else { return self.at(blob.name) };
        match self.at(join!("blobs/sha256/{}", digits)) {
            // docker's configurations of old.
            Err(error) if error.is(Errno::ENOENT) => self.at(join!("{}.json", digits)).map_err(|_| error),
            result => result,
        }
    }
}

/// What docker's `manifest.json` says of an image.
///
/// # Errors
/// It does not name the image's configuration.
pub fn docker_image(image: &Value) -> Result<Found> {
    let texts = |name| {
        let mut texts = Vec::new();
        for text in image.get(name).and_then(Value::as_array).unwrap_or_default() {
            texts.push(text.as_str().unwrap_or_default());
        }
        texts
    };
    let mut layers = Vec::new();
    for path in texts("Layers") {
        layers.push(named(path, path.strip_prefix("blobs/sha256/")));
    }
    let Some(config) = image.get("Config").and_then(Value::as_str) else {
        return Err(Error::new(phrase!("manifest.json does not name the image's configuration")));
    };
    let digits = config.strip_suffix(".json").or(config.strip_prefix("blobs/sha256/"));
    Ok(Found { names: names(&texts("RepoTags")), config: named(config, digits), layers })
}

/// A file that may be named by its digest.
fn named(path: &str, digits: Option<&str>) -> Descriptor {
    let name = match digits.filter(|digits| is_id(digits)) {
        Some(digits) => join!("sha256:{}", digits),
        None => keep::copy(path),
    };
    Descriptor { name, size: u64::MAX, media: "" }
}

/// The name that an index gives an image: what containerd and docker write in full, or what the specification has.
fn name_of(item: &Value) -> &str {
    let annotation = |name| item.at(&["annotations", name]).and_then(Value::as_str);
    annotation("io.containerd.image.name").or(annotation("org.opencontainers.image.ref.name")).unwrap_or_default()
}

/// Names as vial has them; what can't be one is left out.
fn names(given: &[&str]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in given {
        if let Ok(name) = Reference::parse_new(name) {
            names.push(full_name(&name));
        }
    }
    names
}

/// A path without `.` and `..`, which lead nowhere above.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in resolve::components(path) {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join(&b'/')
}

/// Unpacks an archive as a whole into a file without a name.
fn spool(store: &Store, input: &mut Input, max_size: u64) -> Result<Fd> {
    let _why = because!("keep the archive in a file, to read it from any place");
    let work = store.begin()?;
    let file = file::create(work.dir.by_ref(), c"archive", libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o600)?;
    file::unlink(work.dir.by_ref(), c"archive")?;
    Output::to(file::duplicate(file.by_ref())?, max_size, &mut |output| input.send(output))?;
    Ok(file)
}

/// Goes through an archive from header to header.
#[inline(never)]
fn index(file: &Fd, start: u64) -> Result<Vec<Member>> {
    let size = file::stat(file.by_ref(), c"")?.size.saturating_sub(start);
    let mut opened = Opened::part(file::duplicate(file.by_ref())?, start, size);
    let mut reader = layer::Archive::new(&mut opened);
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(layer::damaged)? {
        let at = start + reader.pass().map_err(layer::damaged)?;
        let path = normal(&entry.path);
        let link = match entry.kind {
            Kind::Symlink => Some(normal(&[split(&path).0, b"/", &entry.link].concat())),
            Kind::HardLink => Some(normal(&entry.link)),
            _ => None,
        };
        if entry.kind == Kind::File && entry.sparse.is_none() || link.is_some() {
            members.push(Member { path, link, at, size: entry.size });
        }
        if members.len() > MAX_MEMBERS {
            return Err(Error::new(phrase!("the archive has too many members for one of images"))
                .hint(phrase!("vial import makes an image of a root file system")));
        }
    }
    Ok(members)
}
