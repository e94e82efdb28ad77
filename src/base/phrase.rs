//! Phrases: the words that vial says to people, which are packed in the binary and unpacked when somebody is to read them.
//!
//! Most of a program's text is never read: a run that goes well has no use for any error. `phrase!("no such file")` is a
//! number, and the text behind it takes less than half of its letters; `build.rs` finds and packs them ([`find`], [`pack`]).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(test)]
mod find;
#[cfg(test)]
mod pack;

/// What `build.rs` wrote: the constants used here, and all phrases in order for [`Phrase::of`].
mod packed {
    include!(concat!(env!("OUT_DIR"), "/phrases.rs"));
}

use packed::{ALL, SPLIT, SYMBOLS, TEXT};

/// A packed text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase(u32);

/// Bits of the length, in half-bytes; the start is above.
const LENGTH: u32 = 12;

impl Phrase {
    /// The empty phrase.
    pub const EMPTY: Phrase = Phrase(0);

    /// The phrase with this text, looked up by the compiler.
    ///
    /// # Panics
    /// There is none, which stops the compiler.
    #[must_use]
    pub const fn of(text: &str) -> Phrase {
        let (mut low, mut high) = (0, ALL.len());
        while low < high {
            let middle = low.midpoint(high);
            match compare(text.as_bytes(), ALL[middle].0.as_bytes()) {
                0 => return Phrase::at(middle),
                less if less < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        if text.is_empty() {
            return Phrase::EMPTY;
        }
        panic!("build.rs packs what it finds in the brackets of `phrase!` and its kin")
    }

    /// The number, to be kept where a phrase can't be.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The phrase with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Phrase {
        Phrase(number)
    }

    /// The phrase at this place of the table.
    const fn at(place: usize) -> Phrase {
        let (_, start, length) = ALL[place];
        Phrase(start << LENGTH | length)
    }

    /// Whether this is the empty phrase.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Phrase::EMPTY
    }

    /// The text.
    #[must_use]
    #[inline(never)]
    pub fn text(self) -> String {
        let mut at = (self.0 >> LENGTH) as usize;
        let end = at + (self.0 & ((1 << LENGTH) - 1)) as usize;
        let mut out = Vec::new();
        let mut half = || {
            let byte = TEXT.get(at / 2).copied().unwrap_or_default();
            at += 1;
            (at, usize::from(if at.is_multiple_of(2) { byte & 15 } else { byte >> 4 }))
        };
        let (none, one) = SPLIT;
        loop {
            let (at, first) = half();
            if at > end {
                break;
            }
            let symbol = if first < none {
                first
            } else if first < none + one {
                none + (first - none) * 16 + half().1
            } else {
                none + one * 16 + (first - none - one) * 256 + half().1 * 16 + half().1
            };
            expand(symbol, &mut out);
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// The text, which stays.
    #[must_use]
    pub fn kept(self) -> &'static str {
        self.text().leak()
    }
}

/// Below 0, 0 or above as one text comes before the other, equals it, or comes after it.
const fn compare(one: &[u8], other: &[u8]) -> isize {
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return one[at] as isize - other[at] as isize;
        }
        at += 1;
    }
    one.len() as isize - other.len() as isize
}

/// Adds what a symbol stands for: a byte, or two other symbols.
fn expand(symbol: usize, out: &mut Vec<u8>) {
    let Some(&[high, middle, low]) = SYMBOLS.get(symbol) else { return };
    let (one, other) = (usize::from(high) << 4 | usize::from(middle >> 4), usize::from(middle & 15) << 8);
    if one == 0xFFF {
        out.push(low);
    } else {
        expand(one, out);
        expand(other | usize::from(low), out);
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `phrase!("no such file")`: a [`Phrase`].
macro_rules! phrase {
    ($text:expr $(,)?) => {
        const { $crate::base::phrase::Phrase::of($text) }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_unpacks_to_what_the_source_says() {
        assert!(ALL.len() > 100, "{}", ALL.len());
        for (place, (text, ..)) in ALL.iter().enumerate() {
            assert_eq!(Phrase::at(place).text(), *text);
        }
        assert_eq!(Phrase::EMPTY.text(), "");
    }

    #[test]
    fn phrases_take_less_than_half_of_their_letters() {
        let letters: usize = ALL.iter().map(|(text, ..)| text.len()).sum();
        assert!(2 * (TEXT.len() + 3 * SYMBOLS.len()) < letters, "{} of {letters}", TEXT.len() + 3 * SYMBOLS.len());
    }

    #[test]
    fn literals_are_found_in_the_macros_alone() {
        let source = r#"
            let plain = "not this"; // phrase!("nor this")
            let one = phrase!("one \"quoted\" \x41, \\ and \
                 a second line\n");
            let quote = ('"', b'\'', '\\', "no");
            fn life<'a>(text: &'a str) { because!("two") }
            calls! { read [Fd] "three"; write [Fd, x("four")] "five"; }
            "no more"
        "#;
        let mut found = Vec::new();
        find::phrases(source, &mut found);
        assert_eq!(found, ["one \"quoted\" A, \\ and a second line\n", "two", "three", "four", "five"]);
    }

    #[test]
    fn three_of_a_kind_are_one_pair_and_equal_texts_are_packed_alike() {
        let packed = pack::pack(&["aaa", "b", "", "b", "aaa", "aaa", "aaa"]);
        // `aaa` is the fourth symbol and the second, which is `a`; the fourth is the second twice.
        assert_eq!(packed.symbols, [[0, 0x30, 1], [0xFF, 0xF0, b'a'], [0xFF, 0xF0, b'b'], [0, 0x10, 1]]);
        assert!(packed.split.0 >= 4 && packed.text.len() == 3, "half a byte each: {:?}", packed.split);
        assert_eq!(packed.places.iter().map(|place| place.1).collect::<Vec<_>>(), [1, 1, 0, 1, 1, 1, 1]);
    }
}
