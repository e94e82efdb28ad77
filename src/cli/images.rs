//! `import`, `images` and `rmi`.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::load;
use super::output::{self, List};
use super::ps::short;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text;
use crate::base::text::Cut;
use crate::base::time::human_duration;
use crate::container::bundle::{self, Bundles};
use crate::container::launch::LAYERS;
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::sys::file::Lock;
use crate::sys::{FdRef, fd, file, process, terminal};

/// Opens the images.
pub(super) fn store(context: &Context<'_>) -> Result<Store> {
    Store::open(context.root_path())
}

/// Makes an image of an archive or a directory; prints its ID.
#[inline(never)]
pub(super) fn import(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let source = parsed.positionals.first().copied().unwrap_or_default();
    let name = match name_at(context, 1)? {
        Some(word) => Some(Reference::parse_new(word)?),
        None => None,
    };
    let message = match parsed.last(Id::Message) {
        Some(given) => given.text()?,
        None => "",
    };
    file::umask(0);
    // Not every file system can hold a root.
    context.storage(context.open_root()?.by_ref())?;
    let max_size = load::max_size(context)?;
    let mut progress = Progress::new("importing", false);
    let imported =
        store(context)?.import(source, name.as_ref(), message, max_size, &mut |bytes| progress.show(0, bytes));
    progress.end();
    let imported = imported?;
    warn_of_lost(imported.unpacked.lost_attributes);
    super::print_line(join!("sha256:{}", imported.id))?;
    Ok(0)
}

/// An image's name on the command line.
fn name_at<'a>(context: &Context<'a>, index: usize) -> Result<Option<&'a str>> {
    let Some(word) = context.parsed.positionals.get(index) else { return Ok(None) };
    match core::str::from_utf8(word) {
        Ok(word) => Ok(Some(word)),
        Err(_) => Err(Error::new(phrase!("an image's name must be UTF-8"))),
    }
}

/// Tells of attributes that were lost.
#[inline(never)]
pub(super) fn warn_of_lost(lost: u64) {
    if lost > 0 {
        let warning = Error::new(say!("{} extended attributes were not kept", lost))
            .hint(phrase!("the file system does not take them; --root DIR puts the store elsewhere"));
        Context::warn(&[warning]);
    }
}

/// How far an import is, on a terminal.
pub(super) struct Progress {
    what: &'static str,
    on_terminal: bool,
    shown: u64,
    began: crate::base::time::Timestamp,
    /// Bytes of each layer.
    layers: Vec<u64>,
}

/// Shown again after so many bytes.
const STEP: u64 = 8 << 20;

impl Progress {
    pub(super) fn new(what: &'static str, quiet: bool) -> Progress {
        let on_terminal = !quiet && terminal::modes(fd::STDERR).is_ok();
        Progress { what, on_terminal, shown: 0, began: process::clock(libc::CLOCK_MONOTONIC), layers: Vec::new() }
    }

    /// So many bytes of a layer have been unpacked.
    #[inline(never)]
    pub(super) fn show(&mut self, layer: usize, bytes: u64) {
        if !self.on_terminal {
            return;
        }
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, 0);
        }
        self.layers[layer] = bytes;
        let bytes = self.layers.iter().sum();
        if bytes < self.shown + STEP {
            return;
        }
        self.shown = bytes;
        let seconds = process::clock(libc::CLOCK_MONOTONIC).seconds_since(self.began).max(1) as u64;
        let (done, rate) = (text::human_size(bytes), text::human_size(bytes / seconds));
        let _ = file::write_all(fd::STDERR, alloc::format!("\r{}: {done}, {rate}/s \x1b[K", self.what).as_bytes());
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.shown > 0 {
            let _ = file::write_all(fd::STDERR, b"\r\x1b[K");
        }
    }
}

/// Lists images, a row for each name.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let fields = "Repository=REPOSITORY|Tag=TAG|ID=IMAGE ID|CreatedSince=CREATED|Size=SIZE|CreatedAt=";
    let mut list = List::new(parsed, output::FLAGS, fields)?;
    let wanted = match name_at(context, 0)? {
        Some(word) => Some(Reference::parse(word)?),
        None => None,
    };
    let fits = |repository: &str, tag: &str| match &wanted {
        None => true,
        Some(wanted) => repository == wanted.name && wanted.tag.is_none_or(|wanted| wanted == tag),
    };
    let now = process::clock(libc::CLOCK_REALTIME);
    for image in store(context)?.list()? {
        let id = if parsed.on(Id::NoTrunc) { join!("sha256:{}", image.id) } else { short(keep::copy(image.id), false) };
        let cells = [
            id,
            say!("{} ago", human_duration(now.seconds_since(image.created))),
            text::human_size(image.size).leak(),
            image.created.rfc3339_short().leak(),
        ];
        for name in &image.names {
            let (repository, tag) = match name.cut(b'@') {
                Some((repository, _digest)) => (repository, "<none>"),
                None => name.cut_last(b':').unwrap_or((name, "<none>")),
            };
            if fits(repository, tag) {
                list.cells.extend_from_slice(&[keep::copy(repository), keep::copy(tag)]);
                list.cells.extend_from_slice(&cells);
            }
        }
        if image.names.is_empty() && wanted.is_none() {
            list.cells.extend_from_slice(&["<none>", "<none>"]);
            list.cells.extend_from_slice(&cells);
        }
    }
    list.print()
}

/// What is known of an image, if there is one of this name.
#[inline(never)]
pub(super) fn describe(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let store = store(context)?;
    let Ok(image) = store.find(name) else { return Ok(None) };
    let history = image.config.get("history").and_then(Value::as_array).and_then(<[Value]>::last);
    let comment = history.and_then(|last| last.get("comment")).and_then(Value::as_str).unwrap_or_default();
    let mut size = 0;
    for summary in store.list()? {
        if summary.id == image.id {
            size = summary.size;
        }
    }
    let mut described = Value::default();
    described.text("Id", join!("sha256:{}", image.id));
    described.set("RepoTags", Value::texts(&image.names, ""));
    described.text("Comment", comment);
    for (name, member) in [("Created", "created"), ("Architecture", "architecture"), ("Os", "os")] {
        described.set(name, image.config.get(member).cloned().unwrap_or_default());
    }
    described.set("Size", size.into());
    let mut layers = Value::default();
    layers.text("Type", "layers");
    layers.set("Layers", Value::texts(&image.layers, "sha256:"));
    described.set("RootFS", layers);
    described.set("Config", image.config.get("config").cloned().unwrap_or_default());
    Ok(Some(described))
}

/// Removes images; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let store = store(context)?;
    let root = context.open_root()?;
    let mut failure = None;
    for word in &context.parsed.positionals {
        let image = keep::lossy(word);
        match store.remove(image, context.parsed.on(Id::ForceImage), &mut |layer| user_of(root.by_ref(), layer)) {
            Ok(done) => {
                for line in done {
                    super::print_line(line)?;
                }
            }
            // As docker's: with --force it is fine for the image to be gone already.
            Err(error) if context.parsed.on(Id::ForceImage) && store.find(image).is_err() => super::report(&error),
            Err(error) => {
                if let Some(before) = failure.replace(error) {
                    super::report(&before);
                }
            }
        }
    }
    failure.map_or(Ok(0), Err)
}

/// The container that uses a layer, if there is one: each one's specification names its layers. One whose specification can't
/// be read may use any.
pub(super) fn user_of(root: FdRef<'_>, layer: &str) -> Option<String> {
    let bundles = Bundles::open(root).ok()?;
    for (id, name) in bundles.list().ok()? {
        let Ok(directory) = file::open(root, file::path(join!("containers/{}", id)).ok()?, libc::O_PATH) else {
            continue;
        };
        let uses = match bundle::read_json(directory.by_ref(), c"config.json") {
            Ok(Some(spec)) => spec
                .at(&["annotations", LAYERS])
                .and_then(Value::as_str)
                .is_some_and(|layers| layers.parts(b',').any(|used| used == layer)),
            Ok(None) => false,
            Err(_) => true,
        };
        if uses {
            return Some(String::from(if name.is_empty() { id } else { name }));
        }
    }
    None
}

/// Keeps images from being removed until a container that uses one shows it.
pub(super) fn hold(store: &Store) -> Result<crate::image::store::Held> {
    store.hold(Lock::Shared)
}
