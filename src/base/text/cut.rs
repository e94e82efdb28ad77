//! Taking text apart, and finding words in lists.

/// Taking text apart at one ASCII byte, by one copy of the code: each use of the standard library's searchers is a further one.
pub trait Cut {
    /// Before and behind the first `at`.
    fn cut(&self, at: u8) -> Option<(&str, &str)>;
    /// Before and behind the last `at`.
    fn cut_last(&self, at: u8) -> Option<(&str, &str)>;
    /// Everything between any two `at`, and before the first and behind the last.
    fn parts(&self, at: u8) -> Parts<'_>;
    /// Everything between spaces, tabs and line ends.
    fn words(&self) -> Words<'_>;
    /// Whether `at` occurs.
    fn has(&self, at: u8) -> bool;
}

impl Cut for str {
    #[inline(never)]
    fn cut(&self, at: u8) -> Option<(&str, &str)> {
        let place = first_place(self.as_bytes(), at)?;
        Some((self.get(..place)?, self.get(place + 1..)?))
    }

    #[inline(never)]
    fn cut_last(&self, at: u8) -> Option<(&str, &str)> {
        let place = self.bytes().rposition(|byte| byte == at)?;
        Some((self.get(..place)?, self.get(place + 1..)?))
    }

    fn parts(&self, at: u8) -> Parts<'_> {
        Parts { rest: Some(self), at }
    }

    fn words(&self) -> Words<'_> {
        Words { rest: self }
    }

    #[inline(never)]
    fn has(&self, at: u8) -> bool {
        self.bytes().any(|byte| byte == at)
    }
}

/// Where a byte is first. A start goes through some hundred kilobytes of lists and tables, so eight bytes are looked at together: those that
/// are the byte become zero, and a zero is the lowest byte that borrows.
fn first_place(bytes: &[u8], at: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let mut start = 0;
    while let Some(chunk) = bytes[start..].first_chunk() {
        let differs = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(at));
        let borrows = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if borrows != 0 {
            return Some(start + borrows.trailing_zeros() as usize / 8);
        }
        start += chunk.len();
    }
    bytes[start..].iter().position(|byte| *byte == at).map(|place| start + place)
}

/// What [`Cut::parts`] goes through.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: Option<&'a str>,
    at: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (part, rest) = rest.cut(self.at).map_or((rest, None), |(part, rest)| (part, Some(rest)));
        self.rest = rest;
        Some(part)
    }
}

/// What [`Cut::words`] goes through.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_ascii_start();
        let end = rest.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let (word, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Where `word` stands among the words of `list`, which single spaces part.
#[must_use]
#[inline(never)]
pub fn place(list: &str, word: &str) -> Option<usize> {
    let (mut rest, mut place) = (list.as_bytes(), 0);
    loop {
        if rest.strip_prefix(word.as_bytes()).is_some_and(|behind| matches!(behind, [] | [b' ', ..])) && !word.has(b' ')
        {
            return Some(place);
        }
        rest = &rest[first_place(rest, b' ')? + 1..];
        place += 1;
    }
}

/// Whether `word` is among the words of `list`, between which are single spaces.
#[must_use]
pub fn is_among(list: &str, word: &str) -> bool {
    place(list, word).is_some()
}

/// The word at `index` in `list`, whose words have a space behind each; empty if there are not so many.
#[must_use]
#[inline(never)]
pub fn word(list: &'static str, index: usize) -> &'static str {
    list.parts(b' ').nth(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_is_that_of_the_standard_library() {
        let text: Vec<u8> = (0..40).map(|at| [b'x', b'y', 0, 0x7f, 0x80, 0x81, 0xff][at * 5 % 7]).collect();
        for (from, at) in (0..40).flat_map(|from| (0..=u8::MAX).map(move |at| (from, at))) {
            let bytes = &text[from..];
            assert_eq!(first_place(bytes, at), bytes.iter().position(|byte| *byte == at), "{bytes:?} {at}");
        }
    }

    #[test]
    fn a_word_is_found_as_a_whole() {
        let list = "read write read-only  end";
        for (word, expected) in [
            ("read", Some(0)),
            ("read-only", Some(2)),
            ("", Some(3)),
            ("end", Some(4)),
            ("rea", None),
            ("read write", None),
        ] {
            assert_eq!(place(list, word), expected, "{word:?}");
            assert_eq!(place(list, word), list.split(' ').position(|known| known == word), "{word:?}");
        }
        assert_eq!((place("", ""), place("", "a")), (Some(0), None));
    }
}
