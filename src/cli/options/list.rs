//! Options of `ps` and `inspect`.

use alloc::vec::Vec;

use super::number;
use crate::base::error::Result;
use crate::cli::flags::Id;
use crate::cli::parse::Parsed;

/// `--filter KEY=VALUE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// What it is about.
    pub key: Key,
    /// What to look for; for a label `NAME` or `NAME=VALUE`.
    pub value: &'a str,
}

/// What a filter can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The beginning of an ID.
    Id,
    /// A part of the name.
    Name,
    /// A label.
    Label,
    /// The state: `created`, `running`, `paused` or `exited`.
    Status,
    /// The image.
    Ancestor,
}

const KEYS: [(&str, Key); 5] =
    [("id", Key::Id), ("name", Key::Name), ("label", Key::Label), ("status", Key::Status), ("ancestor", Key::Ancestor)];

/// All filters of `ps`.
///
/// # Errors
/// An unknown key or state, or no value.
pub fn filters<'a>(parsed: &Parsed<'a>) -> Result<Vec<Filter<'a>>> {
    let form = "id=ID, name=PART, label=NAME[=VALUE], status=created|running|paused|exited or ancestor=IMAGE";
    let mut filters = Vec::new();
    for given in parsed.flags.iter().filter(|given| given.flag.id == Id::Filter) {
        let (key, value) = given.check(given.text()?.split_once('='), "no =", form)?;
        let key = KEYS.iter().find(|(known, _)| *known == key).map(|&(_, key)| key);
        let key = given.check(key, "no such key", form)?;
        let state = !matches!(key, Key::Status) || matches!(value, "created" | "running" | "paused" | "exited");
        given.check((state && !value.is_empty()).then_some(()), "no such value", form)?;
        filters.push(Filter { key, value });
    }
    Ok(filters)
}

/// How many of the newest containers `ps` shows, in whatever state; `None` for no such limit.
///
/// # Errors
/// `--last` is not a number.
pub fn last(parsed: &Parsed<'_>) -> Result<Option<u64>> {
    if parsed.on(Id::Latest) {
        return Ok(Some(1));
    }
    parsed.last(Id::Last).map(|given| number(&given, 0, i64::MAX).map(|count| count as u64)).transpose()
}

/// What `inspect` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Containers.
    Container,
    /// Images.
    Image,
    /// Volumes.
    Volume,
}

/// What `inspect` is to look at, by `--type` or by the noun of its alias; `None` for whatever has the name.
///
/// # Errors
/// An unknown type.
pub fn inspect_kind(parsed: &Parsed<'_>) -> Result<Option<Kind>> {
    let given = parsed.last(Id::InspectType);
    let name = given.map_or(Ok(parsed.noun), |given| given.text())?;
    match (name, given) {
        ("container", _) => Ok(Some(Kind::Container)),
        ("image", _) => Ok(Some(Kind::Image)),
        ("volume", _) => Ok(Some(Kind::Volume)),
        (_, Some(given)) => Err(given.refuse("no such type", given.flag.help)),
        (_, None) => Ok(None),
    }
}
