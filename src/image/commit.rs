//! Commit: what a container has changed becomes a layer on top of its image's.

use alloc::vec::Vec;

use super::import::Imported;
use super::layer::How;
use super::reference::Reference;
use super::store::{Store, full_name};
use super::walk::{self, What};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::sys::{FdRef, because, process};

/// More layers than this are not mounted: the kernel takes 500 (`OVL_MAX_STACK`), if their names fit into a page (mount(2)).
const MAX_LAYERS: usize = 250;

/// What becomes an image.
pub struct Commit<'a> {
    /// The ID of the container's image.
    pub base: &'static str,
    /// The upper directory of the container's overlay, or its tree.
    pub upper: FdRef<'a>,
    /// What of a tree was changed.
    pub only: Option<&'a [(Vec<u8>, u8)]>,
    /// Empty files and directories that are left out.
    pub places: &'a [&'a str],
    /// What ran in the container.
    pub command: &'static str,
    /// Who made the image; empty if that is nobody's business.
    pub author: &'static str,
    /// Why.
    pub message: &'static str,
}

impl Store {
    /// Makes an image of a container's. `change` gets the member `config` of its image's configuration.
    ///
    /// # Errors
    /// The image is gone or has too many layers; the changes can't be read; the disk is full.
    #[inline(never)]
    pub fn commit(
        &self,
        commit: &Commit<'_>,
        name: Option<&Reference<'_>>,
        change: &mut dyn FnMut(&mut Value) -> Result<()>,
    ) -> Result<Imported> {
        let base = self.image(commit.base, &[])?;
        if base.layers.len() >= MAX_LAYERS {
            return Err(Error::new(say!(
                "the container's image has {} layers, and a mount has no room for more",
                MAX_LAYERS
            ))
            .hint(phrase!("make an image of one layer: vial export NAME | vial import - IMAGE")));
        }
        let mut config = base.config;
        change(config.member("config"))?;
        let work = self.begin()?;
        let how = How { whiteouts: true, ..How::default() };
        let what = What { layer: true, places: commit.places, only: commit.only, ..What::default() };
        let (layer, unpacked) = work.make_layer("layer", how, &mut |_| (), &mut |output| {
            let _why = because!("read and digest what the container has changed");
            walk::archive(commit.upper, c".", b".", what, output)
        })?;
        let created = process::clock(libc::CLOCK_REALTIME).rfc3339();
        let mut step = Value::Null;
        for (member, text) in [
            ("created", created),
            ("created_by", commit.command),
            ("author", commit.author),
            ("comment", commit.message),
        ] {
            if !text.is_empty() {
                step.set(member, text.into());
            }
        }
        append(config.member("rootfs").member("diff_ids"), join!("sha256:{}", layer).into());
        append(config.member("history"), step);
        config.set("created", created.into());
        config.set("author", commit.author.into());
        let id = self.land(&work, config.to_compact().as_bytes(), name.map(full_name).as_slice())?;
        Ok(Imported { id, layer, unpacked })
    }
}

fn append(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        _ => *list = Vec::from([item]).into(),
    }
}
