//! Bringing an image into the store: from blobs, wherever they lie, to layers and a configuration in their places.
//!
//! Layers that the store has are left out. The others are unpacked by a process each, as many at once as there are
//! processors; each of these has another one that reads, decompresses and digests for it.

use alloc::vec::Vec;

use super::blobs::{self, Blobs, Descriptor, Platform};
use super::helper::{Helper, say};
use super::import::Input;
use super::land::Workspace;
use super::layer::How;
use super::manifest;
use super::store::Store;
use super::stream::too_large;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::sys::poll::{self, Waiting};
use crate::sys::{because, process};

/// The process says again how far it is after so many bytes.
const STEP: u64 = 4 << 20;

/// What is wanted of an image.
pub struct Wanted<'a> {
    /// For which machine, if there are several.
    pub platform: Platform,
    /// All names that it gets, `NAME:TAG`.
    pub names: &'a [&'a str],
    /// The most bytes that the layers that are not in the store may unpack to; 0 for any number.
    pub max_size: u64,
    /// Gets the number of a layer, of those that were wanted, and how many bytes of it have been unpacked.
    pub progress: &'a mut dyn FnMut(usize, u64),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brought {
    /// The image's ID.
    pub id: &'static str,
    /// Extended attributes that the file system does not take.
    pub lost: u64,
}

/// A layer to be unpacked: what is read, and the digest of what it unpacks to.
type Job = (Descriptor, &'static str);

impl Store {
    /// Brings the image that `top` names, a manifest or an index.
    ///
    /// # Errors
    /// Blobs can't be had, are damaged, or are not what they are said to be. Nothing of the image is then in the store.
    pub fn bring(&self, blobs: &mut dyn Blobs, top: Descriptor, wanted: &mut Wanted<'_>) -> Result<Brought> {
        let (config, layers) = {
            let _why = because!("find the image's configuration and layers");
            blobs::find(blobs, top, &wanted.platform)?
        };
        self.assemble(blobs, config, &layers, wanted)
    }

    /// Makes an image of a configuration and its layers, the lowest first.
    ///
    /// # Errors
    /// As for [`Store::bring`].
    #[inline(never)]
    pub fn assemble(
        &self,
        blobs: &mut dyn Blobs,
        config: Descriptor,
        layers: &[Descriptor],
        wanted: &mut Wanted<'_>,
    ) -> Result<Brought> {
        let bytes = {
            let _why = because!("read the image's configuration");
            blobs::document(blobs, &config)?
        };
        let value = manifest::parse(&bytes)?;
        let digests = manifest::layers(&value)?;
        if digests.len() != layers.len() {
            return Err(Error::new(say!(
                "the image's configuration names {} layers, and there are {}",
                digests.len(),
                layers.len()
            )));
        }
        let os = value.get("os").and_then(Value::as_str).unwrap_or("linux");
        if os != "linux" {
            return Err(Error::new(say!("the image is for {}", os)).hint(phrase!("vial runs images for Linux")));
        }
        let mut jobs: Vec<Job> = Vec::new();
        for (layer, digest) in layers.iter().zip(digests) {
            if !self.has_layer(digest)? && !jobs.iter().any(|(_, known)| *known == digest) {
                jobs.push((*layer, digest));
            }
        }
        let work = self.begin()?;
        let lost = self.unpack(&work, blobs, &jobs, wanted)?;
        Ok(Brought { id: self.land(&work, &bytes, wanted.names)?, lost })
    }

    /// Unpacks layers; returns how many attributes were lost.
    #[inline(never)]
    fn unpack(&self, work: &Workspace, blobs: &mut dyn Blobs, jobs: &[Job], wanted: &mut Wanted<'_>) -> Result<u64> {
        let mut missing = Vec::new();
        for (blob, _) in jobs {
            missing.push(*blob);
        }
        blobs.want(&missing)?;
        let (mut running, mut lost, mut next, mut size) = (Vec::<(usize, Helper)>::new(), 0, 0, 0);
        let most = process::processors() as usize;
        loop {
            while next < jobs.len() && running.len() < most {
                blobs.wait(&jobs[next].0)?;
                // Another command may have brought it meanwhile, and have removed what it had downloaded for it.
                if !self.has_layer(jobs[next].1)? {
                    running.push((next, start(work, blobs, next, &jobs[next], wanted.max_size)?));
                }
                next += 1;
            }
            if running.is_empty() {
                return Ok(lost);
            }
            let _why = because!("wait for the layers to be unpacked");
            let mut files = Vec::new();
            for (_, helper) in &running {
                files.push(Waiting::readable(helper.pipe.by_ref()));
            }
            poll::poll(&mut files)?;
            let Some(at) = files.iter().position(Waiting::is_ready) else { continue };
            let (layer, helper) = &mut running[at];
            if !helper.listen(&mut |bytes| (wanted.progress)(*layer, bytes))? {
                continue;
            }
            if let ([its_size, its_lost], _) = helper.conclude()?.as_chunks() {
                size += u64::from_le_bytes(*its_size);
                lost += u64::from_le_bytes(*its_lost);
            }
            running.swap_remove(at);
            if wanted.max_size != 0 && size > wanted.max_size {
                return Err(too_large(wanted.max_size));
            }
        }
    }
}

/// Starts a process that unpacks a layer.
#[inline(never)]
fn start(work: &Workspace, blobs: &mut dyn Blobs, layer: usize, (blob, digest): &Job, max_size: u64) -> Result<Helper> {
    let _why = because!("unpack the layer");
    let mut opened = blobs.open(blob)?;
    opened.expect(blob);
    let mut opened = Some(opened);
    Helper::start(&mut |report| {
        let mut shown = 0;
        let mut progress = |bytes: u64| {
            if bytes >= shown + STEP {
                shown = bytes;
                say(report, bytes);
            }
        };
        let Some(opened) = opened.take() else { return Ok(Vec::new()) };
        let how = How { whiteouts: true, max_size, ..How::default() };
        let mut input = Input::of(opened, join!("layer {}", blob.name))?;
        let (found, unpacked) = work.make_layer(join!("{}", layer), how, &mut progress, &mut |output| {
            input.send(output)?;
            input.verify(blob)
        })?;
        if found != *digest {
            return Err(changed(digest, found));
        }
        Ok([unpacked.length, unpacked.lost].map(u64::to_le_bytes).concat())
    })
}

fn changed(expected: &str, found: &str) -> Error {
    Error::new(say!("layer sha256:{} is damaged: unpacked it has the digest sha256:{}", expected, found))
        .hint(phrase!("the image's configuration names its layers by these digests (rootfs.diff_ids)"))
}
