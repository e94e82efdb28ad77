//! Blobs: what images are made of elsewhere, and what the documents among them say.
//!
//! An image is a configuration and layers, which a manifest names by their digests; an index names the manifests for several
//! platforms. Where blobs lie (an archive, a directory, a registry) is behind [`Blobs`]. All of it comes from somebody else,
//! and nothing is believed that its digest does not vouch for.
//!
//! # Source
//! The OCI image specification 1.1, `descriptor.md`, `manifest.md` and `image-index.md`; docker's "Image Manifest V 2,
//! Schema 2", whose documents have the same members.

use alloc::vec::Vec;

use super::manifest::{self, is_id};
use super::stream::Opened;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::Cut;

/// The longest document: registries take no longer manifest (distribution specification, "Pushing Manifests").
pub const DOCUMENT: usize = 4 << 20;
/// More layers can't be stacked, `OVL_MAX_STACK` in `fs/overlayfs/params.h`.
const MAX_LAYERS: usize = 500;
/// Indexes in indexes; two are seen in the wild.
const MAX_DEPTH: usize = 8;

/// What names a blob, and says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// `sha256:` and 64 hexadecimal digits. In docker's archives it may be a path: then nothing vouches for the bytes, but
    /// for those of a layer once it is unpacked.
    pub name: &'static str,
    /// How many bytes it has; [`u64::MAX`] where that is not said.
    pub size: u64,
    /// What it is said to be, which is not relied on: content tells.
    pub media: &'static str,
}

/// Where blobs lie.
pub trait Blobs {
    /// Tells what will be opened next, in this order: the layers that the store has not got.
    ///
    /// # Errors
    /// None of them can be had.
    fn want(&mut self, _missing: &[Descriptor]) -> Result<()> {
        Ok(())
    }

    /// Waits until a blob that was said to be wanted can be opened at once.
    ///
    /// # Errors
    /// It can't be had.
    fn wait(&mut self, _blob: &Descriptor) -> Result<()> {
        Ok(())
    }

    /// Opens a blob at its beginning. Who reads it compares size and digest.
    ///
    /// # Errors
    /// There is no such blob, or it can't be read.
    fn open(&mut self, blob: &Descriptor) -> Result<Opened>;
}

/// `os/architecture[/variant]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform(&'static str);

/// What this machine runs.
pub const NATIVE: Platform = Platform(manifest::PLATFORM);
/// The variants that will do where none is asked for, the best first: one that is not said is the common one, v7 of arm and
/// v8 of arm64 (containerd's `platforms`).
const VARIANTS: &str = if cfg!(target_arch = "arm") { "|v7|v6|v5" } else { "|v8|v7|v6|v5|v1" };

impl Platform {
    /// Reads `os/architecture[/variant]`; nothing if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Platform> {
        let count = text.parts(b'/').filter(|part| !part.is_empty()).count();
        let whole = (2..=3).contains(&count) && count == text.parts(b'/').count();
        whole.then_some(Platform(keep::copy(text)))
    }

    /// Picks what fits best among the descriptors of an index; one that does not say what it is for comes after all that do.
    ///
    /// # Errors
    /// None fits; the hint lists what there is.
    #[inline(never)]
    pub fn pick(&self, list: &[Value]) -> Result<Descriptor> {
        let mut best = (usize::MAX, None);
        let mut others = Vec::new();
        for item in list {
            let mut rank = usize::MAX - 1;
            if let Some(platform) = item.get("platform") {
                let member = |name: &str| platform.get(name).and_then(Value::as_str).unwrap_or_default();
                let variant = member("variant");
                let plain = join!("{}/{}", member("os"), member("architecture"));
                let whole = if variant.is_empty() { plain } else { join!("{}/{}", plain, variant) };
                others.push(whole);
                rank = match VARIANTS.parts(b'|').position(|known| known == variant) {
                    _ if whole == self.0 => 0,
                    Some(place) if plain == self.0 => 1 + place,
                    _ => continue,
                };
            }
            if rank < best.0 {
                best = (rank, Some(item));
            }
        }
        match best.1 {
            Some(item) => Descriptor::read(item),
            None => Err(Error::new(say!("there is no image for {}", self.0))
                .hint(say!("there is one for {}", others.join(", ")))),
        }
    }
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    /// It names no blob by a SHA-256 digest, or its size is none.
    #[inline(never)]
    pub fn read(value: &Value) -> Result<Descriptor> {
        let member = |name| value.get(name).and_then(Value::as_str).map_or("", keep::copy);
        let name = member("digest");
        if !name.strip_prefix("sha256:").is_some_and(is_id) {
            return Err(refuse(phrase!("a blob is not named by its SHA-256 digest")));
        }
        let Some(size) = value.get("size").and_then(Value::as_i64).filter(|size| *size >= 0) else {
            return Err(refuse(phrase!("a blob's size is not given")));
        };
        Ok(Descriptor { name, size: size as u64, media: member("mediaType") })
    }

    /// The digest's 64 digits, if it is known.
    #[must_use]
    pub fn digest(&self) -> Option<&'static str> {
        self.name.strip_prefix("sha256:").filter(|digits| is_id(digits))
    }
}

/// The error of a manifest or an index that does not say what it should.
fn refuse(why: Phrase) -> Error {
    Error::new(say!("the image's manifest is not one that vial reads: {}", why))
}

/// Reads a document and verifies it.
///
/// # Errors
/// It can't be had, is longer than [`DOCUMENT`], or is not what its descriptor says.
#[inline(never)]
pub fn document(blobs: &mut dyn Blobs, blob: &Descriptor) -> Result<Vec<u8>> {
    let mut opened = blobs.open(blob)?;
    opened.expect(blob);
    let content = opened.read_all(DOCUMENT).map_err(|error| error.hint(say!("this is about {}", blob.name)))?;
    opened.verify(blob)?;
    Ok(content)
}

/// Finds the configuration and the layers of the image that `top` names, a manifest or an index.
///
/// # Errors
/// A document can't be had, or does not say what it should; there is no image for the platform.
#[inline(never)]
pub fn find(blobs: &mut dyn Blobs, mut top: Descriptor, platform: &Platform) -> Result<(Descriptor, Vec<Descriptor>)> {
    for _ in 0..MAX_DEPTH {
        let content = manifest::parse(&document(blobs, &top)?)?;
        if let Some(list) = content.get("manifests").and_then(Value::as_array) {
            top = platform.pick(list)?;
            continue;
        }
        let (Some(config), Some(list)) = (content.get("config"), content.get("layers").and_then(Value::as_array))
        else {
            return Err(refuse(phrase!("it names no configuration and layers"))
                .hint(phrase!("manifests of docker's schema 1 are too old")));
        };
        if list.len() > MAX_LAYERS {
            return Err(refuse(phrase!("it has more than 500 layers")));
        }
        let mut layers = Vec::new();
        for layer in list {
            layers.push(Descriptor::read(layer)?);
        }
        return Ok((Descriptor::read(config)?, layers));
    }
    Err(refuse(phrase!("it is an index in an index, again and again")))
}
