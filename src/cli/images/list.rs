//! `images` and `history`, and what `inspect` tells of an image.

use alloc::vec::Vec;

use super::{name_at, store};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::base::time::{Timestamp, human_duration};
use crate::cli::context::Context;
use crate::cli::filter::{Filters, matches};
use crate::cli::flags::Id;
use crate::cli::inspect::copy;
use crate::cli::output::{self, List};
use crate::cli::ps::{cut, has_label, short};
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::sys::process;

/// The longest command that a step of a history is shown with.
const STEP: usize = 45;

/// Lists images, a row for each name.
#[inline(never)]
pub(in crate::cli) fn list(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let digest = if parsed.on(Id::Digests) { "DIGEST" } else { "" };
    let fields =
        join!("Repository=REPOSITORY|Tag=TAG|Digest={}|ID=IMAGE ID|CreatedSince=CREATED|Size=SIZE|CreatedAt=", digest);
    let list = List::new(parsed, output::FLAGS, fields)?;
    let mut patterns: Vec<&str> = Vec::new();
    let mut others: Vec<&str> = Vec::new();
    if let Some(word) = name_at(context, 0)? {
        let is_pattern = word.bytes().any(|byte| b"*?".contains(&byte));
        patterns.push(if is_pattern { word } else { plain(&Reference::parse(word)?) });
    }
    let accepted = phrase!("dangling=true or false, reference=NAME[:TAG] with * and ?, label=, before= or since=IMAGE");
    let rows = (Id::ImageFilter, "dangling reference label before since", accepted);
    let filters = Filters::new(parsed, rows, &mut |given, key, value| {
        match key {
            "dangling" => drop(given.check(text::boolean(value), phrase!("neither true nor false"), accepted)?),
            "reference" => patterns.push(value),
            "label" => {}
            _ => others.push(value),
        }
        Ok(())
    })?;
    let store = store(context)?;
    for other in others {
        made(&store, other)?;
    }
    let mut cells: Vec<&str> = Vec::new();
    let now = process::clock(libc::CLOCK_REALTIME);
    for image in store.list()? {
        let fits = |key: &str, value: &str| match key {
            "dangling" => text::boolean(value) == Some(image.names.is_empty()),
            "label" => {
                let labels = image.config.at(&["config", "Labels"]).and_then(Value::as_object).unwrap_or_default();
                labels.iter().any(|(name, is)| has_label(&[(name, is.as_str().unwrap_or_default())], value))
            }
            "before" => made(&store, value).is_ok_and(|other| image.created < other),
            "since" => made(&store, value).is_ok_and(|other| other < image.created),
            _ => true,
        };
        if !filters.fit(&fits) {
            continue;
        }
        let id = if parsed.on(Id::NoTrunc) { join!("sha256:{}", image.id) } else { short(keep::copy(image.id), false) };
        let nameless = image.names.is_empty() && patterns.is_empty();
        for name in image.names.iter().copied().chain(nameless.then_some("<none>:<none>")) {
            let (repository, tag) = match name.cut(b'@') {
                Some((repository, _digest)) => (repository, "<none>"),
                None => name.cut_last(b':').unwrap_or((name, "<none>")),
            };
            let fits = |pattern: &&str| {
                matches(pattern.as_bytes(), repository.as_bytes()) || matches(pattern.as_bytes(), name.as_bytes())
            };
            if patterns.iter().all(fits) {
                cells.extend_from_slice(&[
                    repository,
                    tag,
                    // vial keeps configurations and layers, no manifest.
                    "<none>",
                    id,
                    say!("{} ago", human_duration(now.seconds_since(image.created))),
                    text::human_size(image.size).leak(),
                    image.created.rfc3339_short(),
                ]);
            }
        }
    }
    list.print(&cells)
}

/// A name without the tag that it did not come with.
fn plain(name: &Reference<'_>) -> &'static str {
    match name.tag {
        Some(tag) => join!("{}:{}", name.name, tag),
        None => keep::copy(name.name),
    }
}

/// When an image was made.
fn made(store: &Store, image: &str) -> Result<Timestamp> {
    Ok(crate::image::manifest::created(&store.find(image)?.config))
}

/// Lists what an image's configuration says of how it was made, the last step first.
#[inline(never)]
pub(in crate::cli) fn history(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let whole = parsed.on(Id::NoTrunc);
    let human = parsed.last(Id::Human).is_none_or(|given| given.value == b"true");
    let fields = "ID=IMAGE|CreatedSince=CREATED|CreatedBy=CREATED BY|Size=SIZE|Comment=COMMENT|CreatedAt=";
    let list = List::new(parsed, output::FLAGS, fields)?;
    let store = store(context)?;
    let image = store.find(context.words()?[0])?;
    let mut steps: Vec<(&Value, u64)> = Vec::new();
    let mut layers = image.layers.iter();
    for step in image.config.get("history").and_then(Value::as_array).unwrap_or_default() {
        let empty = step.get("empty_layer").and_then(Value::as_bool) == Some(true);
        let layer = if empty { None } else { layers.next() };
        steps.push((step, layer.map_or(0, |layer| store.layer_size(layer))));
    }
    // Layers that nothing is said of.
    for layer in layers {
        steps.push((&Value::Null, store.layer_size(layer)));
    }
    let mut cells: Vec<&str> = Vec::new();
    let now = process::clock(libc::CLOCK_REALTIME);
    let mut id = if whole { join!("sha256:{}", image.id) } else { short(image.id, false) };
    for (step, size) in steps.into_iter().rev() {
        let member = |name| text::printable(step.get(name).and_then(Value::as_str).unwrap_or_default());
        let created = Timestamp::parse(member("created"));
        let at = created.map_or("", |created| created.rfc3339_short());
        let since = created.map_or("N/A", |created| say!("{} ago", human_duration(now.seconds_since(created))));
        cells.extend_from_slice(&[
            id,
            if human { since } else { at },
            cut(member("created_by"), if whole { usize::MAX } else { STEP }),
            if human { text::human_size(size).leak() } else { say!("{}", size) },
            member("comment"),
            at,
        ]);
        id = "<missing>";
    }
    list.print(&cells)
}

/// An image in rows, as [`copy`] takes them, over its configuration and what [`describe`] adds.
const IMAGE: Phrase = phrase!(
    "Id id
     RepoTags names
     RepoDigests . []
     Comment comment
     Created created \"\"
     Author author \"\"
     Architecture architecture \"\"
     Variant variant \"\"
     Os os \"\"
     Config config
     Config
     User config.User \"\"
     ExposedPorts config.ExposedPorts
     Env config.Env
     Entrypoint config.Entrypoint
     Cmd config.Cmd
     Volumes config.Volumes
     WorkingDir config.WorkingDir \"\"
     Labels config.Labels
     .
     Size size
     RootFS
     Type . \"layers\"
     Layers layers
     Metadata
     LastTagTime tagged"
);

/// What is known of an image, if there is one of this name.
#[inline(never)]
pub(in crate::cli) fn describe(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let store = store(context)?;
    let Ok(image) = store.find(name) else { return Ok(None) };
    let mut size = 0;
    for layer in &image.layers {
        size += store.layer_size(layer);
    }
    let mut facts = image.config;
    let history = facts.get("history").and_then(Value::as_array).and_then(<[Value]>::last);
    let comment = history.and_then(|last| last.get("comment")).and_then(Value::as_str).unwrap_or_default();
    facts.text("comment", comment);
    facts.text("id", join!("sha256:{}", image.id));
    facts.set("names", Value::texts(&image.names, ""));
    facts.set("size", size.into());
    facts.set("layers", Value::texts(&image.layers, "sha256:"));
    facts.text("tagged", store.tagged(&image.names).rfc3339());
    Ok(Some(copy(&facts, IMAGE)))
}
