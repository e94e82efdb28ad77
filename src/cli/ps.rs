//! `vial ps`: the containers, newest first.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::filter::Filters;
use super::flags::Id;
use super::output::{self, List};
use super::parse::Parsed;
use super::{lifecycle, port};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::sort::sort;
use crate::base::text::{self, Cut};
use crate::container::bundle::Bundles;
use crate::container::state::{Condition, Seen, since};
use crate::sys::{file, process};

/// docker's columns.
const COLUMNS: &str =
    "ID=CONTAINER ID|Image=IMAGE|Command=COMMAND|RunningFor=CREATED|Status=STATUS|Ports=PORTS|Names=NAMES";
/// The longest command that is shown whole.
const COMMAND: usize = 20;

/// Lists containers.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let sized = parsed.on(Id::Size);
    let fields = join!("{}|Size={}|CreatedAt=|State=|Labels=", COLUMNS, (if sized { "SIZE" } else { "" }));
    let list = List::new(parsed, output::FLAGS, fields)?;
    let (filters, any_state) = filters(parsed)?;
    let last = newest(parsed)?;
    let mut found = all(context)?;
    let runs = |seen: &Seen| seen.condition.is_running() || seen.condition == Condition::Restarting;
    found.retain(|seen| {
        filters.fit(&|key, value| fits(seen, key, value)) && (last.is_some() || any_state || runs(seen))
    });
    sort(&mut found, |one, other| one.state.created > other.state.created);
    found.truncate(last.unwrap_or(usize::MAX));
    let format = parsed.last(Id::Format).map_or(&b""[..], |given| given.value);
    let sizes = sized || format.windows(5).any(|word| word == b".Size");
    let now = process::clock(libc::CLOCK_REALTIME);
    let whole = parsed.on(Id::NoTrunc);
    let mut cells: Vec<&str> = Vec::new();
    for seen in &found {
        let state = &seen.state;
        let size = if sizes { written(seen).ok() } else { None };
        cells.extend_from_slice(&[
            short(seen.id, whole),
            if state.image == state.image_id { short(state.image, whole) } else { state.image },
            quoted(&state.command.join(" "), whole),
            since("", state.created, now, " ago"),
            seen.status(now),
            if seen.condition.is_running() { port::shown(seen) } else { "" },
            seen.name,
            size.map_or("", |bytes| text::human_size(bytes).leak()),
            state.created,
            seen.condition.name(),
            labels(&state.labels),
        ]);
    }
    list.print(&cells)
}

/// All containers; those whose state can't be told are said so of on standard error.
#[expect(clippy::vec_box, reason = "sorting and handing on move what is boxed as one word")]
pub(super) fn all(context: &Context<'_>) -> Result<Vec<Box<Seen>>> {
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let mut all = Vec::new();
    for &container in bundles.list()? {
        let Some(mut seen) = Seen::look(&bundles, container)? else { continue };
        if let Some(problem) = seen.problem.take() {
            Context::warn(&[problem]);
        }
        lifecycle::adopt(root, &bundles, &seen);
        all.push(seen);
    }
    Ok(all)
}

/// How many of the newest are wanted, if `--last` or `--latest` says so.
fn newest(parsed: &Parsed<'_>) -> Result<Option<usize>> {
    if parsed.on(Id::Latest) {
        return Ok(Some(1));
    }
    let Some(given) = parsed.last(Id::Last) else { return Ok(None) };
    let number = text::decimal_u32(given.text()?).filter(|number| *number > 0);
    given.check(number, phrase!("no such count"), phrase!("a number from 1 on")).map(|number| Some(number as usize))
}

/// An ID, or its beginning.
pub(super) fn short(id: &'static str, whole: bool) -> &'static str {
    if whole { id } else { id.get(..12).unwrap_or(id) }
}

/// `name=value,name=value`.
#[inline(never)]
fn labels(labels: &[(&str, &str)]) -> &'static str {
    let mut list = String::new();
    for (name, value) in labels {
        let comma = if list.is_empty() { "" } else { "," };
        for part in [comma, name, "=", value] {
            list.push_str(part);
        }
    }
    list.leak()
}

/// How many bytes a container has written to its root.
pub(super) fn written(seen: &Seen) -> Result<u64> {
    match file::tree_size(seen.directory.by_ref(), c"upper") {
        // A storage driver gave it a tree of its own.
        Err(error) if error.is(Errno::ENOENT) => file::tree_size(seen.directory.by_ref(), c"tree"),
        result => result,
    }
}

/// A command in quotes, cut as docker does.
fn quoted(command: &str, whole: bool) -> &'static str {
    if command.is_empty() {
        return "";
    }
    Value::from(cut(command, if whole { usize::MAX } else { COMMAND })).to_compact().leak()
}

/// Text of at most so many letters, the last of which says that there are more.
#[inline(never)]
pub(super) fn cut(text: &str, most: usize) -> &'static str {
    // Where the last letter that fits begins, and where the first that does not.
    let (mut last, mut end) = (0, text.len());
    for (index, (at, _)) in text.char_indices().enumerate() {
        if index < most {
            last = at;
        } else {
            end = at;
            break;
        }
    }
    if end < text.len() { join!("{}…", (&text[..last])) } else { keep::copy(text) }
}

/// Reads `--filter`; whether containers are wanted that do not run.
fn filters<'a>(parsed: &Parsed<'a>) -> Result<(Filters<'a>, bool)> {
    let mut any_state = parsed.on(Id::AllContainers);
    let rows =
        (Id::Filter, "id name label status ancestor", phrase!("id=, name=, label=, status= or ancestor= with a value"));
    let filters = Filters::new(parsed, rows, &mut |given, key, value| {
        if key != "status" {
            return Ok(());
        }
        any_state = true;
        let known = Condition::ALL.iter().any(|condition| condition.name() == value);
        given.check(
            known.then_some(()),
            phrase!("no such status"),
            phrase!("created, running, paused, restarting, exited or dead"),
        )
    })?;
    Ok((filters, any_state))
}

#[inline(never)]
fn fits(seen: &Seen, key: &str, value: &str) -> bool {
    let state = &seen.state;
    match key {
        "id" => seen.id.starts_with(value),
        "name" => value.is_empty() || seen.name.as_bytes().windows(value.len()).any(|part| part == value.as_bytes()),
        "status" => seen.condition.name() == value,
        "label" => has_label(&state.labels, value),
        _ => {
            let id = value.strip_prefix("sha256:").unwrap_or(value);
            state.image == value
                || state.image.strip_suffix(":latest") == Some(value)
                || value.strip_suffix(":latest") == Some(state.image)
                || (id.len() >= 12 && state.image_id.starts_with(id))
        }
    }
}

/// Whether one of these labels is `NAME`, or `NAME=VALUE`.
pub(super) fn has_label(labels: &[(&str, &str)], wanted: &str) -> bool {
    let (name, value) = wanted.cut(b'=').map_or((wanted, None), |(name, value)| (name, Some(value)));
    labels.iter().any(|(known, is)| *known == name && value.is_none_or(|value| value == *is))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse::parse;
    use crate::container::state::State;
    use crate::sys::Fd;

    fn seen() -> Seen {
        let state = State {
            image: "debian:latest",
            image_id: "0123456789abcdef",
            command: vec!["sh", "-c", "echo \"hello\" world"],
            labels: vec![("a", "1"), ("b", "")],
            ..State::default()
        };
        let directory = Fd::from_number(-1);
        let state = keep::Kept::new(Box::new(state));
        let id = "f".repeat(64).leak();
        Seen { id, name: "web", directory, condition: Condition::Exited, state, orphan: false, problem: None }
    }

    fn filter(words: &[&'static str]) -> Result<bool> {
        let mut line: Vec<&[u8]> = vec![b"ps"];
        for word in words {
            line.extend([&b"-f"[..], word.as_bytes()]);
        }
        let parsed = parse(&line).unwrap();
        let seen = seen();
        Ok(filters(&parsed)?.0.fit(&|key, value| fits(&seen, key, value)))
    }

    #[test]
    fn one_of_the_values_under_a_key_must_fit_and_all_keys_and_labels() {
        for fitting in [
            &["name=we"][..],
            &["id=fff"],
            &["status=running", "status=exited"],
            &["label=a", "label=a=1", "label=b="],
            &["ancestor=debian", "name=x", "name=web"],
            &["ancestor=sha256:0123456789ab"],
            &[],
        ] {
            assert!(filter(fitting).unwrap(), "{fitting:?}");
        }
        for other in
            [&["name=x"][..], &["label=a", "label=c"], &["label=a=2"], &["id=ff", "status=dead"], &["ancestor=deb"]]
        {
            assert!(!filter(other).unwrap(), "{other:?}");
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        for (word, accepted) in [("web", "label="), ("nope=1", "ancestor="), ("status=up", "created, running")] {
            let error = filter(&[word]).unwrap_err().to_string();
            assert!(error.contains("for --filter") && error.contains(accepted), "{error}");
        }
    }

    #[test]
    fn commands_are_quoted_and_cut_as_dockers() {
        assert_eq!(quoted("sh -c echo \"hello\" world", false), "\"sh -c echo \\\"hello\\\" …\"");
        assert_eq!(quoted("12345678901234567890", false), "\"12345678901234567890\"");
        assert_eq!(quoted("123456789012345678901", false), "\"1234567890123456789…\"");
        assert_eq!(quoted("123456789012345678901", true), "\"123456789012345678901\"");
    }

    #[test]
    fn a_count_must_be_a_number_from_one_on() {
        for word in [&b"0"[..], b"-1", b"x"] {
            let line = [&b"ps"[..], b"-n", word];
            assert!(newest(&parse(&line).unwrap()).is_err());
        }
        assert_eq!(newest(&parse(&[b"ps", b"-n", b"3"]).unwrap()).unwrap(), Some(3));
        assert_eq!(newest(&parse(&[b"ps", b"-l"]).unwrap()).unwrap(), Some(1));
        assert_eq!(newest(&parse(&[b"ps"]).unwrap()).unwrap(), None);
    }
}
