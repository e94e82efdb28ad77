//! Phrases: the words that vial says to people, which are packed in the binary and unpacked when somebody is to read them.
//!
//! Most of a program's text is never read: a run that goes well has no use for any error. `phrase!("no such file")` is a
//! number, and the text behind it takes little more than a third of its letters; `build.rs` finds and packs them ([`find`], [`pack`]).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(test)]
mod find;
#[cfg(test)]
mod pack;

/// What `build.rs` wrote: the constants used here, and all phrases in order for [`Phrase::of`].
#[expect(clippy::unreadable_literal, reason = "nobody reads them")]
mod packed {
    include!(concat!(env!("OUT_DIR"), "/phrases.rs"));
}

use packed::{ALL, LENGTHS, SYMBOLS, TEXT, WIDTH};

/// A packed text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase(u32);

/// Bits of the length, which is in bits; the start is above.
const LENGTH: u32 = 13;

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
        while at < end {
            let window = window(&TEXT, at);
            // The codes of a length are numbers in sequence, and so are their symbols.
            let (mut code, mut symbol) = (0, 0);
            for (shift, &count) in (0..32).rev().zip(&LENGTHS) {
                at += 1;
                let count = usize::from(count);
                let place = (window >> shift).wrapping_sub(code);
                if place < count {
                    expand(symbol + place, &mut out);
                    break;
                }
                code = (code + count) << 1;
                symbol += count;
            }
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

/// The bits that begin here, at the top of 32, of which 25 are there.
fn window(table: &[u8], at: usize) -> usize {
    let bytes = table.get(at / 8..).and_then(<[u8]>::first_chunk);
    (u32::from_be_bytes(*bytes.unwrap_or(&[0; 4])) << (at % 8)) as usize
}

/// Adds what a symbol stands for: a byte, or two other symbols.
fn expand(symbol: usize, out: &mut Vec<u8>) {
    let at = symbol * 2 * WIDTH;
    let [one, other] = [at, at + WIDTH].map(|at| window(&SYMBOLS, at) >> (32 - WIDTH));
    if one == (1 << WIDTH) - 1 {
        out.push(other as u8);
    } else {
        expand(one, out);
        expand(other, out);
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
        assert!(2 * (TEXT.len() + SYMBOLS.len()) < letters, "{} of {letters}", TEXT.len() + SYMBOLS.len());
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
        // `b` and `aaa` have codes of one bit; `aaa` is the last symbol and `a`; the last is `a` twice.
        assert_eq!((packed.width, packed.lengths), (8, vec![2]));
        assert_eq!(packed.symbols[..8], [255, b'b', 3, 2, 255, b'a', 2, 2]);
        assert_eq!((packed.text[0], packed.text.len()), (0b10_0111 << 2, 4));
        assert_eq!(packed.places, [(0, 1), (1, 1), (2, 0), (2, 1), (3, 1), (4, 1), (5, 1)]);
    }
}
