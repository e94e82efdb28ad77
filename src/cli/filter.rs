//! `--filter KEY=VALUE`: which rows of a list are wanted.

use alloc::vec::Vec;

use super::flags::Id;
use super::parse::{Given, Parsed};
use crate::base::error::Result;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};

/// What is given under one key is alternatives, except for labels; all keys must fit.
pub(super) struct Filters<'a> {
    /// The keys that there are, with spaces between.
    keys: &'static str,
    given: Vec<(&'a str, &'a str)>,
}

impl<'a> Filters<'a> {
    /// Reads them; `look` sees each, and refuses a value that is none.
    #[inline(never)]
    pub(super) fn new(
        parsed: &Parsed<'a>,
        (id, keys, accepted): (Id, &'static str, Phrase),
        look: &mut dyn FnMut(&Given<'a>, &'a str, &'a str) -> Result<()>,
    ) -> Result<Filters<'a>> {
        let mut filters = Filters { keys, given: Vec::new() };
        for given in parsed.flags.iter().filter(|given| given.flag.id == id) {
            let (key, value) = given.check(given.text()?.cut(b'='), "no =", accepted)?;
            given.check(text::place(keys, key), phrase!("no such key"), accepted)?;
            look(given, key, value)?;
            filters.given.push((key, value));
        }
        Ok(filters)
    }

    /// Whether something fits all; `fits` tells of one key and value.
    pub(super) fn fit(&self, fits: &dyn Fn(&str, &str) -> bool) -> bool {
        self.keys.parts(b' ').all(|key| {
            let (mut given, mut fitting) = (0, 0);
            for (_, value) in self.given.iter().filter(|(of, _)| *of == key) {
                given += 1;
                fitting += usize::from(fits(key, value));
            }
            fitting == given || (fitting > 0 && key != "label")
        })
    }
}

/// Whether text fits a pattern, in which `*` stands for any letters but `/`, and `?` for one of them.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    let tail = text.split_first().filter(|(letter, _)| *letter == first || (b"*?".contains(first) && **letter != b'/'));
    match (first, tail) {
        (b'*', Some((_, tail))) => matches(rest, text) || matches(pattern, tail),
        (b'*', None) => matches(rest, text),
        (_, Some((_, tail))) => matches(rest, tail),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_of_one_part() {
        for (pattern, text) in [
            ("a", "a"),
            ("", ""),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbc"),
            ("a?c", "abc"),
            ("*/b:*", "a/b:1"),
            ("**", "a"),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "b"), ("a", "ab"), ("a*", "a/b"), ("?", "/"), ("?", ""), ("a*c", "abcd"), ("", "a")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }
}
