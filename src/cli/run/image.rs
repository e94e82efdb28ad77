//! The image to run: its layers, and what its config says.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::error::{Error, Result};
use crate::base::json::{Member, Value};
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::cli::context::Context;
use crate::cli::images;
use crate::image::reference::Image;
use crate::image::store::{Held, Store};
use crate::kernel::loopdev;
use crate::sys::{fd, file};

/// An image, ready to run.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// As the user named it.
    pub(super) name: &'static str,
    /// Its ID; empty for the host and for directories.
    pub(super) id: &'static str,
    /// The directory that is the only layer; empty for images.
    pub(super) directory: &'static str,
    /// The file system image that is the lowest layer; empty if there is none.
    pub(super) file: &'static str,
    /// Digests of the layers, with commas between them.
    pub(super) digests: &'static str,
    /// `Entrypoint`.
    pub(super) entrypoint: Vec<&'static str>,
    /// `Cmd`.
    pub(super) command: Vec<&'static str>,
    /// `Env`.
    pub(super) env: Vec<&'static str>,
    /// `WorkingDir`.
    pub(super) workdir: &'static str,
    /// `User`.
    pub(super) user: &'static str,
    /// `Volumes`.
    pub(super) volumes: Vec<&'static str>,
    /// `StopSignal`.
    pub(super) stop_signal: &'static str,
    /// `Labels`.
    pub(super) labels: &'static [Member],
    /// `ExposedPorts`: `80/tcp, 53/udp`.
    pub(super) exposed: String,
}

/// Finds the image; without `make` nothing is made, nor kept from being removed. Once a container's files say that it uses
/// the image, `held` may go.
#[inline(never)]
pub(super) fn find(
    context: &Context<'_>,
    image: &Image<'static>,
    make: bool,
    held: &mut Option<Held>,
) -> Result<&'static Found> {
    let found = Box::leak(Box::new(Found::default()));
    found.name = match image {
        Image::Host => "host",
        Image::Path(path) => keep::lossy(path),
        Image::Id(id) => id,
        Image::Name(name) => match (name.tag, name.digest) {
            (_, Some(digest)) => join!("{}@{}", name.name, digest),
            (Some(tag), _) => join!("{}:{}", name.name, tag),
            _ => name.name,
        },
    };
    match image {
        Image::Host => found.directory = "/",
        Image::Path(path) => local(found, file::path(path)?)?,
        _ => {
            let store = if make { images::store(context)? } else { Store::look(context.root_path())? };
            if make {
                *held = Some(images::hold(&store)?);
            }
            stored(found, &store)?;
            return Ok(found);
        }
    }
    found.command.push("/bin/sh");
    Ok(found)
}

/// Takes over what the store says of the image.
#[inline(never)]
fn stored(found: &mut Found, store: &Store) -> Result<()> {
    let stored = match store.find(found.name) {
        Ok(stored) => Box::leak(Box::new(stored)),
        Err(error) => return Err(error.because(phrase!("find the image to run"))),
    };
    found.id = stored.id;
    found.digests = stored.layers.join(",").leak();
    if stored.on_filesystem {
        found.file = join!("../../layers/{}/image", stored.layers[0]);
    }
    if let Some(config) = stored.config.get("config") {
        return configure(found, config).map_err(|what| {
            Error::new(say!("image {}: {} in its configuration", found.name, what))
                .hint(phrase!("`vial inspect` shows it; an image without comes from whoever made this one"))
        });
    }
    Ok(())
}

/// A root file system directory or a file system image, used as it is.
#[inline(never)]
fn local(found: &mut Found, path: &CStr) -> Result<()> {
    let stat = file::stat_follow(fd::CWD, path).map_err(|error| {
        error.hint(phrase!(
            "an IMAGE that begins with / or . is a directory that holds a root file system, or an image of one"
        ))
    })?;
    let absolute = Context::absolute(found.name)?;
    match u32::from(stat.mode) & libc::S_IFMT {
        libc::S_IFDIR => found.directory = absolute,
        libc::S_IFREG => {
            loopdev::open(path)?;
            found.file = absolute;
        }
        _ => return Err(Error::new(say!("{} is neither a directory nor a file", found.name))),
    }
    Ok(())
}

/// The most volumes and ports of an image: others are an attack on the host's patience.
const MOST: usize = 256;

/// Takes over what an image's config says; what is of another type than it should be is not there. Why not, if some of it can't
/// be.
fn configure(found: &mut Found, config: &'static Value) -> core::result::Result<(), &'static str> {
    for (member, texts) in [("Entrypoint", &mut found.entrypoint), ("Cmd", &mut found.command), ("Env", &mut found.env)]
    {
        for item in config.get(member).and_then(Value::as_array).unwrap_or_default() {
            texts.extend(item.as_str());
        }
    }
    for (member, text) in
        [("WorkingDir", &mut found.workdir), ("User", &mut found.user), ("StopSignal", &mut found.stop_signal)]
    {
        *text = config.get(member).and_then(Value::as_str).unwrap_or_default();
    }
    let object = |member| config.get(member).and_then(Value::as_object).unwrap_or_default();
    for (path, _) in object("Volumes") {
        // vial needs the kernel's own there.
        let below = text::clean_path(path)
            .and_then(|path| path.strip_prefix("/proc").map(|rest| matches!(rest.as_bytes(), [] | [b'/', ..])));
        if below == Some(true) && !weak!("volumes") {
            return Err("a volume on /proc");
        }
        found.volumes.push(path);
    }
    found.labels = object("Labels");
    for (port, _) in object("ExposedPorts").iter().take(MOST) {
        let (number, protocol) = port.cut(b'/').unwrap_or((port, "tcp"));
        if text::decimal_u32(number).is_some_and(|number| number <= 65_535)
            && matches!(protocol, "tcp" | "udp" | "sctp")
        {
            for part in [if found.exposed.is_empty() { "" } else { ", " }, number, "/", protocol] {
                found.exposed.push_str(part);
            }
        }
    }
    if found.volumes.len() > MOST {
        return Err("too many volumes");
    }
    let lists = [&found.entrypoint, &found.command, &found.env, &found.volumes];
    let mut texts = lists.into_iter().flatten().chain([&found.workdir, &found.user]);
    if texts.any(|text| text.has(b'\0')) { Err("a zero byte") } else { Ok(()) }
}
