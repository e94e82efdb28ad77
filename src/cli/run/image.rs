//! The image to run: its layers, and what its config says.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::cli::context::Context;
use crate::cli::images;
use crate::container::plan::Root;
use crate::image::reference::Image;
use crate::image::store::{Held, Store};
use crate::sys::{fd, file};

/// An image, ready to run.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// As the user named it.
    pub(super) name: String,
    /// Its ID; empty for the host and for directories.
    pub(super) id: String,
    /// Directories of the layers, the topmost first; relative ones start at the bundle.
    pub(super) layers: Vec<String>,
    /// Digests of the layers, with commas between them.
    pub(super) digests: String,
    /// `Entrypoint`.
    pub(super) entrypoint: Vec<String>,
    /// `Cmd`.
    pub(super) command: Vec<String>,
    /// `Env`.
    pub(super) env: Vec<String>,
    /// `WorkingDir`.
    pub(super) workdir: String,
    /// `User`.
    pub(super) user: String,
    /// `Volumes`.
    pub(super) volumes: Vec<String>,
    /// `StopSignal`.
    pub(super) stop_signal: String,
}

impl Found {
    /// What the container's root is made of; `volatile` if its changes go with it.
    pub(super) fn root(&self, volatile: bool) -> Root {
        Root::Overlay {
            layers: self.layers.clone(),
            upper: "upper".to_string(),
            work: "work".to_string(),
            target: "rootfs".to_string(),
            volatile,
        }
    }
}

/// Finds the image; with `make` also makes the store if it is missing, and keeps what it finds. Once a container's files say that it uses the image, `held` may go.
pub(super) fn find(context: &Context<'_>, image: &Image<'_>, make: bool) -> Result<(Found, Option<Held>)> {
    let name = match image {
        Image::Host => {
            let command = alloc::vec!["/bin/sh".to_string()];
            return Ok((
                Found { name: "host".into(), layers: alloc::vec!["/".into()], command, ..Found::default() },
                None,
            ));
        }
        Image::Path(path) => return directory(path).map(|found| (found, None)),
        Image::Id(id) => id.to_string(),
        Image::Name(name) => match (name.tag, name.id_prefix()) {
            (Some(tag), _) => alloc::format!("{}:{tag}", name.name),
            _ => name.name.to_string(),
        },
    };
    let (store, held) = if make {
        let store = images::store(context)?;
        let held = images::hold(&store)?;
        (store, Some(held))
    } else {
        (Store::look(&context.root_path())?, None)
    };
    let stored = store.find(&name).map_err(|error| error.because("find the image to run"))?;
    let mut found = Found { name, id: stored.id, ..Found::default() };
    // The store lists the lowest first, overlay the topmost.
    found.layers = stored.layers.iter().rev().map(|layer| alloc::format!("../../layers/{layer}/diff")).collect();
    found.digests = stored.layers.join(",");
    configure(&mut found, stored.config.get("config").unwrap_or(&Value::Null));
    Ok((found, held))
}

/// A root file system directory, used as it is.
fn directory(path: &[u8]) -> Result<Found> {
    let name = String::from_utf8_lossy(path).into_owned();
    let stat = file::stat_follow(fd::CWD, &file::path(path)?)
        .map_err(|error| error.hint("an IMAGE that begins with / or . is a directory that holds a root file system"))?;
    if u32::from(stat.mode) & libc::S_IFMT != libc::S_IFDIR {
        return Err(Error::new(alloc::format!("{name} is no directory")).hint(
            "an IMAGE that begins with / or . is a directory; make an image of an archive with: vial import FILE NAME",
        ));
    }
    let absolute = Context::absolute(&name)?;
    Ok(Found { name, layers: alloc::vec![absolute], command: alloc::vec!["/bin/sh".to_string()], ..Found::default() })
}

/// A member of an image's config that is a list of texts.
fn list(config: &Value, member: &str) -> Vec<String> {
    let items = config.get(member).and_then(Value::as_array).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(String::from).collect()
}

/// Takes over what an image's config says.
fn configure(found: &mut Found, config: &Value) {
    let text = |member| config.get(member).and_then(Value::as_str).unwrap_or_default().to_string();
    found.entrypoint = list(config, "Entrypoint");
    found.command = list(config, "Cmd");
    found.env = list(config, "Env");
    found.workdir = text("WorkingDir");
    found.user = text("User");
    found.stop_signal = text("StopSignal");
    let volumes = config.get("Volumes").and_then(Value::as_object).unwrap_or_default();
    found.volumes = volumes.iter().map(|(path, _)| path.clone()).collect();
}
