//! Save: images as an archive that other programs load.
//!
//! One form serves all: OCI's layout with docker's `manifest.json` beside its index, as docker itself writes since version 25.
//! Layers are not compressed: they are what they were before, byte for byte, so the image keeps its ID.

use alloc::vec::Vec;

use super::frame;
use super::store::{Image, Store};
use super::stream::Output;
use super::tar::{Entry, write};
use super::walk::{self, What};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::sha256::{self, hex};
use crate::base::text::Cut;
use crate::sys::fd::CWD;
use crate::sys::file::Lock;
use crate::sys::{Fd, because, file};

/// A file in the archive.
struct Piece {
    path: &'static str,
    size: u64,
    content: Content,
}

/// What is in it.
#[derive(Clone, Copy)]
enum Content {
    Bytes(&'static [u8]),
    /// A layer of the store, and whether its archive is made anew.
    Layer(&'static str, bool),
}

/// An archive that can be written.
pub struct Plan {
    pieces: Vec<Piece>,
    /// What is to be said of images whose layers could not be made again as they were.
    pub changed: Vec<&'static str>,
    /// Nothing of it goes as long as this lives.
    _held: super::store::Held,
}

impl Store {
    /// Plans an archive of images, given by name or ID; with `docker` it has docker's list too.
    ///
    /// # Errors
    /// There is no such image; a layer can't be read.
    #[inline(never)]
    pub fn plan(&self, words: &[&str], docker: bool) -> Result<Plan> {
        let mut plan = Plan { pieces: Vec::new(), changed: Vec::new(), _held: self.hold(Lock::Shared)? };
        let (mut index, mut list) = (Vec::new(), Vec::new());
        for word in words {
            let image = self.find(word)?;
            // By an ID it is saved without its names.
            let name = image.names.iter().find(|name| *name == word || name.strip_suffix(":latest") == Some(word));
            let (manifest, config, layers) = self.add(&image, &mut plan)?;
            let (mut notes, mut tags) = ("", "null");
            if let Some(name) = name {
                let (repository, tag) = name.cut_last(b':').unwrap_or((name, "latest"));
                // In full, as containerd has it.
                let first = repository.cut(b'/').map(|(first, _)| first);
                let registry = match first {
                    None => "docker.io/library/",
                    Some(host) if host == "localhost" || host.bytes().any(|byte| matches!(byte, b'.' | b':')) => "",
                    Some(_) => "docker.io/",
                };
                notes = join!(
                    ",\"annotations\":{}",
                    object(join!(
                        "\"io.containerd.image.name\":\"{}{}\",\"org.opencontainers.image.ref.name\":\"{}\"",
                        registry,
                        name,
                        tag
                    ))
                );
                tags = join!("[\"{}\"]", name);
            }
            index.push(object(join!("{}{}", manifest, notes)));
            let mut blobs = Vec::new();
            for layer in layers {
                blobs.push(join!("\"blobs/sha256/{}\"", layer));
            }
            let blobs = blobs.join(",");
            list.push(object(join!(
                "\"Config\":\"blobs/sha256/{}\",\"RepoTags\":{},\"Layers\":[{}]",
                config,
                tags,
                blobs
            )));
        }
        let index = index.join(",");
        plan.text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        plan.text(
            "index.json",
            object(join!(
                "\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{}]",
                index
            )),
        );
        if docker {
            plan.text("manifest.json", join!("[{}]", list.join(",")));
        }
        Ok(plan)
    }

    /// Adds what an image is made of; the members of its manifest's descriptor, its configuration's digest and its layers'.
    #[inline(never)]
    fn add(&self, image: &Image, plan: &mut Plan) -> Result<(&'static str, &'static str, Vec<&'static str>)> {
        let _why = because!("see that the layers can be made again as they were");
        let (mut digests, mut members) = (Vec::new(), Vec::new());
        for layer in &image.layers {
            if self.is_filesystem(layer)? {
                return Err(Error::new(say!("image {} is a file system image, not layers of archives", image.id))
                    .hint(phrase!(
                        "make one of layers: vial create IMAGE, then vial export CONTAINER | vial import - NAME"
                    )));
            }
            let mut anew = false;
            let mut measured = self.measure(layer, anew)?;
            if measured.is_none_or(|(digest, _)| digest != *layer) {
                anew = true;
                measured = self.measure(layer, anew)?;
            }
            let Some((digest, size)) = measured else { continue };
            members.push(object(descriptor("layer.v1.tar", digest, size)));
            plan.add(join!("blobs/sha256/{}", digest), size, Content::Layer(layer, anew));
            digests.push(digest);
        }
        let mut config: &'static [u8] = self.config(image.id)?.leak();
        if digests != image.layers {
            let mut value = image.config.clone();
            value.member("rootfs").set("diff_ids", Value::texts(&digests, "sha256:"));
            config = value.to_compact().leak().as_bytes();
        }
        let id = plan.blob(config);
        if id != image.id {
            plan.changed.push(say!("image {} is saved as {}", image.id, id));
        }
        let manifest = object(join!(
            "\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{},\"layers\":[{}]",
            object(descriptor("config.v1+json", id, config.len() as u64)),
            members.join(",")
        ));
        let digest = plan.blob(manifest.as_bytes());
        Ok((descriptor("manifest.v1+json", digest, manifest.len() as u64), id, digests))
    }

    /// The digest and the length of a layer's archive; nothing if it can't be made.
    fn measure(&self, layer: &str, anew: bool) -> Result<Option<(&'static str, u64)>> {
        match Output::measure(&mut |output| self.send_layer(layer, anew, output)) {
            Ok((digest, length)) => Ok(Some((keep::copy(&hex(&digest)), length))),
            Err(error) if anew => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Writes a layer's archive.
    #[inline(never)]
    fn send_layer(&self, layer: &str, anew: bool, output: &mut Output) -> Result<()> {
        let tree = file::open(CWD, self.layer_directory(layer)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
        if anew {
            return walk::archive(tree.by_ref(), c".", b".", What { layer: true, ..What::default() }, output);
        }
        let frame = file::open(self.root.by_ref(), file::path(join!("layers/{}/frame", layer))?, libc::O_RDONLY)?;
        frame::restore(frame, tree.by_ref(), output)
    }

    /// Writes a planned archive.
    ///
    /// # Errors
    /// write(2); a layer was changed meanwhile.
    pub fn save(&self, plan: &Plan, file: Fd) -> Result<()> {
        let _why = because!("write the archive");
        Output::to(file, 0, &mut |output| {
            let mut entry = Entry { mode: 0o644, ..Entry::default() };
            let mut header = Vec::new();
            for piece in &plan.pieces {
                entry.path = piece.path.into();
                entry.size = piece.size;
                header.clear();
                write::header(&entry, &mut header)?;
                output.write(&header)?;
                let before = output.written();
                match piece.content {
                    Content::Bytes(bytes) => output.write(bytes)?,
                    Content::Layer(layer, anew) => self.send_layer(layer, anew, output)?,
                }
                if output.written() - before != piece.size {
                    return Err(Error::new(phrase!("a layer was changed while it was written")));
                }
                output.write(&[0; 512][..write::padding(piece.size)])?;
            }
            output.write(&write::END)
        })
    }
}

/// A JSON object of these members.
#[inline(never)]
fn object(members: &str) -> &'static str {
    join!("{}{}{}", "{", members, "}")
}

/// The members of a descriptor.
#[inline(never)]
fn descriptor(kind: &str, digest: &str, size: u64) -> &'static str {
    join!("\"mediaType\":\"application/vnd.oci.image.{}\",\"digest\":\"sha256:{}\",\"size\":{}", kind, digest, size)
}

impl Plan {
    /// Adds a file, unless it is there already.
    #[inline(never)]
    fn add(&mut self, path: &'static str, size: u64, content: Content) {
        if !self.pieces.iter().any(|piece| piece.path == path) {
            self.pieces.push(Piece { path, size, content });
        }
    }

    fn text(&mut self, path: &'static str, text: &'static str) {
        self.add(path, text.len() as u64, Content::Bytes(text.as_bytes()));
    }

    /// Adds a document by its digest, which is returned.
    fn blob(&mut self, bytes: &'static [u8]) -> &'static str {
        let digest = keep::copy(&hex(&sha256::digest(bytes)));
        self.add(join!("blobs/sha256/{}", digest), bytes.len() as u64, Content::Bytes(bytes));
        digest
    }
}
