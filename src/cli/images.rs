//! `import`, `images` and `rmi`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Field, Format};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, object};
use crate::base::keep::text;
use crate::base::text;
use crate::base::text::Cut;
use crate::base::time::human_duration;
use crate::container::bundle::{self, Bundles};
use crate::container::launch::LAYERS;
use crate::image::layer::Unpacked;
use crate::image::reference::Reference;
use crate::image::store::{Store, Summary};
use crate::sys::file::Lock;
use crate::sys::{FdRef, fd, file, process, terminal};

/// Opens the images.
pub(super) fn store(context: &Context<'_>) -> Result<Store> {
    Store::open(&context.root_path())
}

/// Makes an image of an archive or a directory; prints its ID.
pub(super) fn import(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let source = parsed.positionals.first().copied().unwrap_or_default();
    let name = match parsed.positionals.get(1) {
        Some(word) => {
            let word = core::str::from_utf8(word).map_err(|_| Error::new("an image's name must be UTF-8"))?;
            Some(Reference::parse_new(word)?)
        }
        None => None,
    };
    let message = parsed.last(Id::Message).map(|given| given.text()).transpose()?.unwrap_or_default();
    file::umask(0);
    let mut progress = Progress::new();
    let imported = store(context)?.import(source, name.as_ref(), message, &mut |bytes| progress.show(bytes));
    progress.end();
    let imported = imported?;
    warn_of_lost(&imported.unpacked);
    super::print(&alloc::format!("sha256:{}\n", imported.id))?;
    Ok(0)
}

/// Tells of attributes that were lost.
#[inline(never)]
pub(super) fn warn_of_lost(unpacked: &Unpacked) {
    let lost = unpacked.lost_attributes;
    if lost > 0 {
        let warning = Error::new(alloc::format!("{lost} extended attributes were not kept"))
            .hint("the file system does not take them; --root DIR puts the store elsewhere");
        Context::warn(&[warning]);
    }
}

/// How far an import is, on a terminal.
struct Progress {
    on_terminal: bool,
    shown: u64,
    began: crate::base::time::Timestamp,
}

/// Shown again after so many bytes.
const STEP: u64 = 8 << 20;

impl Progress {
    fn new() -> Progress {
        let on_terminal = terminal::modes(fd::STDERR).is_ok();
        Progress { on_terminal, shown: 0, began: process::clock(libc::CLOCK_MONOTONIC) }
    }

    fn show(&mut self, bytes: u64) {
        if !self.on_terminal || bytes < self.shown + STEP {
            return;
        }
        self.shown = bytes;
        let seconds = process::clock(libc::CLOCK_MONOTONIC).seconds_since(self.began).max(1) as u64;
        let (done, rate) = (text::human_size(bytes), text::human_size(bytes / seconds));
        let _ = file::write_all(fd::STDERR, alloc::format!("\rimporting: {done}, {rate}/s \x1b[K").as_bytes());
    }

    /// Takes the line away.
    fn end(&self) {
        if self.shown > 0 {
            let _ = file::write_all(fd::STDERR, b"\r\x1b[K");
        }
    }
}

/// The columns of `images`.
const FIELDS: &[Field] = &[
    Field { name: "Repository", heading: "REPOSITORY" },
    Field { name: "Tag", heading: "TAG" },
    Field { name: "ID", heading: "IMAGE ID" },
    Field { name: "CreatedSince", heading: "CREATED" },
    Field { name: "Size", heading: "SIZE" },
    Field { name: "CreatedAt", heading: "" },
];

/// Lists images, a row for each name.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let format = Format::new(parsed.last(Id::Format), parsed.on(Id::Json))?;
    let wanted = match parsed.positionals.first() {
        Some(word) => {
            let word = core::str::from_utf8(word).map_err(|_| Error::new("an image's name must be UTF-8"))?;
            Some(Reference::parse(word)?)
        }
        None => None,
    };
    let fits = |name: &str| match &wanted {
        None => true,
        Some(wanted) => name.cut_last(b':').is_some_and(|(repository, tag)| {
            repository == wanted.name && wanted.tag.is_none_or(|wanted| wanted == tag)
        }),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    for image in store(context)?.list()? {
        let id =
            if parsed.on(Id::NoTrunc) { alloc::format!("sha256:{}", image.id) } else { image.id[..12].to_string() };
        for name in image.names.iter().filter(|name| fits(name)) {
            rows.push(row(&image, &id, name.cut_last(b':').unwrap_or((name, "<none>"))));
            ids.push(id.clone());
        }
        if image.names.is_empty() && wanted.is_none() {
            rows.push(row(&image, &id, ("<none>", "<none>")));
            ids.push(id);
        }
    }
    if parsed.on(Id::Quiet) {
        ids.dedup();
        super::print(&ids.iter().map(|id| alloc::format!("{id}\n")).collect::<String>())?;
    } else {
        super::print(&output::list(&format, FIELDS, &rows)?)?;
    }
    Ok(0)
}

fn row(image: &Summary, id: &str, (repository, tag): (&str, &str)) -> Vec<String> {
    let age = process::clock(libc::CLOCK_REALTIME).seconds_since(image.created);
    alloc::vec![
        repository.to_string(),
        tag.to_string(),
        id.to_string(),
        alloc::format!("{} ago", human_duration(age)),
        text::human_size(image.size),
        image.created.rfc3339_short(),
    ]
}

/// What is known of an image, if there is one of this name.
pub(super) fn describe(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let store = store(context)?;
    let Ok(image) = store.find(name) else { return Ok(None) };
    let digest = |layer: &&str| Value::from(["sha256:", layer].concat());
    let member = |name: &str| image.config.get(name).cloned().unwrap_or_default();
    let history = image.config.get("history").and_then(Value::as_array).and_then(<[Value]>::last);
    let comment = history.and_then(|last| last.get("comment")).and_then(Value::as_str).unwrap_or_default();
    let size = store.list()?.iter().find(|summary| summary.id == image.id).map_or(0, |summary| summary.size);
    Ok(Some(object([
        ("Id", digest(&image.id)),
        ("RepoTags", image.names.iter().map(|name| Value::from(*name)).collect::<Vec<Value>>().into()),
        ("Comment", comment.into()),
        ("Created", member("created")),
        ("Architecture", member("architecture")),
        ("Os", member("os")),
        ("Size", size.into()),
        (
            "RootFS",
            object([
                ("Type", "layers".into()),
                ("Layers", image.layers.iter().map(digest).collect::<Vec<Value>>().into()),
            ]),
        ),
        ("Config", member("config")),
    ])))
}

/// Removes images; goes on after one that can't be removed.
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let store = store(context)?;
    let root = context.open_root()?;
    let mut failure = None;
    for word in &context.parsed.positionals {
        let image = String::from_utf8_lossy(word);
        match store.remove(&image, context.parsed.on(Id::ForceImage), &mut |layer| user_of(root.by_ref(), layer)) {
            Ok(done) => super::print(&done.iter().map(|line| alloc::format!("{line}\n")).collect::<String>())?,
            // As docker's: with --force it is fine for the image to be gone already.
            Err(error) if context.parsed.on(Id::ForceImage) && store.find(&image).is_err() => super::report(&error),
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
    let uses = |(id, name): &(String, String)| {
        let directory = file::open(root, file::path(text!("containers/{id}")).ok()?, libc::O_PATH).ok()?;
        let used = match bundle::read_json(directory.by_ref(), c"config.json") {
            Ok(spec) => {
                let spec = spec?;
                spec.at(&["annotations", LAYERS])?.as_str()?.parts(b',').any(|used| used == layer)
            }
            Err(_) => true,
        };
        used.then(|| if name.is_empty() { id.clone() } else { name.clone() })
    };
    bundles.list().ok()?.iter().find_map(uses)
}

/// Keeps images from being removed until a container that uses one shows it.
pub(super) fn hold(store: &Store) -> Result<crate::image::store::Held> {
    store.hold(Lock::Shared)
}
