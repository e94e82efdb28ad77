//! `import`, `tag` and `rmi`.

mod list;

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::load;
use super::parse::Parsed;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text;
use crate::base::text::Cut;
use crate::container::bundle::{self, Bundles};
use crate::container::launch::LAYERS;
use crate::container::state::State;
use crate::image::import::look;
use crate::image::instruction;
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::kernel::users::UNMAPPED;
use crate::sys::file::Lock;
use crate::sys::{FdRef, because, fd, file, process, terminal, users};

pub(super) use list::{describe, history, list};

/// Opens the images.
pub(super) fn store(context: &Context<'_>) -> Result<Store> {
    Store::open(context.root_path())
}

/// Makes an image of an archive or a directory; prints its ID.
#[inline(never)]
pub(super) fn import(context: &Context<'static>) -> Result<u8> {
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
    let changes = changes(parsed)?;
    file::umask(0);
    // Not every file system can hold a root.
    context.storage(context.open_root()?)?;
    let max_size = load::max_size(context)?;
    let store = store(context)?;
    let mut input = {
        let _why = because!("look at what is to be imported");
        look(source)?
    };
    let mut progress = Progress::new("importing", false);
    let imported = store.import(
        &mut input,
        name.as_ref(),
        &mut |config| match changes[..] {
            [] => Ok(()),
            _ => change(config, &changes),
        },
        message,
        max_size,
        &mut |bytes| progress.show(0, bytes),
    );
    progress.end();
    let imported = imported?;
    warn_of_lost(imported.unpacked.lost);
    super::print_line(join!("sha256:{}", imported.id))?;
    Ok(0)
}

/// The instructions of `--change`, a line each.
#[inline(never)]
pub(super) fn changes<'a>(parsed: &Parsed<'a>) -> Result<Vec<&'a str>> {
    let mut changes = Vec::new();
    for given in parsed.flags.iter().filter(|given| given.flag.id == Id::Change) {
        for line in given.text()?.parts(b'\n').filter(|line| !line.trim_ascii().is_empty() || given.value.is_empty()) {
            instruction::apply(&mut Value::Null, &[line]).map_err(|why| given.refuse(why, instruction::ACCEPTED))?;
            changes.push(line);
        }
    }
    Ok(changes)
}

/// Carries instructions out that are known to be good.
pub(super) fn change(config: &mut Value, changes: &[&str]) -> Result<()> {
    // Where there are no variables, `$NAME` is nothing; where there is no list of them, it would be anything.
    if config.get("Env").is_none() {
        config.set("Env", Value::array());
    }
    instruction::apply(config, changes).map_err(Error::new)
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
        let warning = if users::is_confined() {
            Error::new(say!("{} owners, devices or extended attributes were not kept", lost)).hint(UNMAPPED)
        } else {
            Error::new(say!("{} extended attributes were not kept", lost))
                .hint(phrase!("the file system does not take them; --root DIR puts the store elsewhere"))
        };
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

/// Gives an image a further name.
pub(super) fn tag(context: &Context<'_>) -> Result<u8> {
    let words = context.words()?;
    store(context)?.tag(words[0], &Reference::parse_new(words[1])?)?;
    Ok(0)
}

/// Removes images; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let store = store(context)?;
    let root = context.open_root()?;
    let mut failure = None;
    for word in &context.parsed.positionals {
        let image = keep::lossy(word);
        match store.remove(image, context.parsed.on(Id::ForceImage), &mut |layer| user_of(root, layer)) {
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

/// The container that uses a layer or an image, if there is one: each one's specification names its layers, and its state its
/// image. One that can't be read may use any.
pub(super) fn user_of(root: FdRef<'_>, wanted: &str) -> Option<String> {
    let bundles = Bundles::open(root).ok()?;
    for &(id, name) in bundles.list().ok()? {
        let Ok(directory) = file::open(root, file::path(join!("containers/{}", id)).ok()?, libc::O_PATH) else {
            continue;
        };
        let uses = match bundle::read_json(directory.by_ref(), c"config.json") {
            Ok(Some(spec)) => {
                spec.at(&["annotations", LAYERS])
                    .and_then(Value::as_str)
                    .is_some_and(|layers| layers.parts(b',').any(|used| used == wanted))
                    || State::load(directory.by_ref())
                        .is_ok_and(|state| state.is_some_and(|state| state.image_id == wanted))
            }
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
