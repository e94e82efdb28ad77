//! The process: its words, variables, user and resource limits.

use super::{Read, add};
use crate::base::json::Value;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;

/// A variable of the environment. Bytes, because it need not be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value; `None` to take the caller's, and to leave it unset if the caller has none.
    pub value: Option<&'a [u8]>,
}

impl<'a> Variable<'a> {
    /// Reads `NAME=VALUE` or `NAME`; `None` if the name is empty.
    #[must_use]
    pub fn parse(word: &'a [u8]) -> Option<Variable<'a>> {
        let (name, value) = match word.iter().position(|&byte| byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        (!name.is_empty()).then_some(Variable { name, value })
    }
}

/// `setrlimit(2)`'s resources. `as` is left out as docker does: it limits nothing useful.
const RESOURCES: &str =
    "cpu fsize data stack core rss nproc nofile memlock locks sigpending msgqueue nice rtprio rttime";

/// `NAME=SOFT[:HARD]`, as an element of `rlimits`.
#[inline(never)]
pub(super) fn ulimit<'a>(spec: &mut Value, text: &'a str) -> Read<&'a str> {
    let (name, limits) = text.cut(b'=').ok_or(phrase!("no ="))?;
    text::place(RESOURCES, name).ok_or(phrase!("no such resource"))?;
    let (soft, hard) = limits.cut(b':').unwrap_or((limits, limits));
    let limit = |text| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        _ => text::decimal_u64(text).ok_or(phrase!("not a number")),
    };
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    if soft > hard {
        return Err(phrase!("the soft limit is above the hard"));
    }
    let kind = join!("RLIMIT_{}", name.to_ascii_uppercase());
    add(spec, Id::Ulimit, "type soft hard", &[kind, join!("{}", soft), join!("{}", hard)]);
    Ok(text)
}

/// `USER[:GROUP]`, or one group: numbers, or what can be names. A sign is never part of one: `-1` must not end as a very large
/// ID.
#[inline(never)]
pub(super) fn who(id: Id, text: &str) -> Read<&str> {
    let odd = |byte: u8| byte <= b' ' || matches!(byte, b':' | b',' | b'/' | 0x7f);
    let (user, group) = if id == Id::User { text.cut(b':').unwrap_or((text, "0")) } else { (text, "0") };
    for word in [group, user] {
        if word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty() {
            text::uid(word).ok_or(phrase!("the number is too large"))?;
        } else if weak!("ids") {
        } else if matches!(word.as_bytes(), [] | [b'-' | b'+', ..]) || word.bytes().any(odd) {
            return Err(phrase!("neither a number nor a name"));
        }
    }
    Ok(text)
}
