//! Sentences made of a template and a few words; they stay until the process ends.
//!
//! `format_args!` hands a formatter and its subject over for each word, and brings code for widths and precisions. Nearly all
//! that vial says needs neither: its words are texts already.

use alloc::string::{String, ToString};
use core::fmt;
use core::slice::EscapeAscii;

use super::errno::Errno;
use super::error::{Error, Text};
use super::json;
use super::phrase::Phrase;
use super::text::Quoted;

/// The template with each `{}` replaced by one of the words, as text that stays.
#[must_use]
#[inline(never)]
pub fn join(template: &str, words: &[&str]) -> &'static str {
    let mut out = String::new();
    let mut words = words.iter();
    let mut rest = template;
    while let Some(at) = rest.bytes().position(|byte| byte == b'{') {
        out.push_str(rest.get(..at).unwrap_or_default());
        out.push_str(words.next().copied().unwrap_or_default());
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.push_str(rest);
    out.leak()
}

/// Likewise, for a phrase.
#[must_use]
#[cold]
#[inline(never)]
pub fn say(template: Phrase, words: &[&str]) -> &'static str {
    join(&template.text(), words)
}

/// Whether the template has this many `{}`, and no other braces; the compiler asks.
#[must_use]
pub const fn fits(template: &str, count: usize) -> bool {
    let bytes = template.as_bytes();
    let (mut at, mut holes, mut braces) = (0, 0, 0);
    while at < bytes.len() {
        if matches!(bytes[at], b'{' | b'}') {
            braces += 1;
        }
        if bytes[at] == b'{' && at + 1 < bytes.len() && bytes[at + 1] == b'}' {
            holes += 1;
        }
        at += 1;
    }
    holes == count && braces == 2 * count
}

/// What can stand in the holes of [`join`] and [`say`].
pub trait Word {
    /// As text; what has to be made for it stays.
    fn word(&self) -> &str;
}

impl Word for str {
    fn word(&self) -> &str {
        self
    }
}

impl Word for String {
    fn word(&self) -> &str {
        self
    }
}

impl<T: Word + ?Sized> Word for &T {
    fn word(&self) -> &str {
        (**self).word()
    }
}

macro_rules! shown {
    ($($type:ty)*) => {$(
        impl Word for $type {
            fn word(&self) -> &str {
                self.to_string().leak()
            }
        }
    )*};
}

shown! { u8 u16 u32 u64 usize i32 i64 char Errno Error json::Error Phrase Text Quoted<'_> EscapeAscii<'_> &dyn fmt::Display }

/// `join!("{}.json", name)`: text that stays. It takes a third of the code of `text!`, and knows no other braces.
macro_rules! join {
    ($template:literal, $($word:expr),+ $(,)?) => {{
        use $crate::base::say::Word as _;
        const { assert!($crate::base::say::fits($template, [$(stringify!($word)),+].len()), "each pair of braces takes one word") };
        $crate::base::say::join($template, &[$($word.word()),+])
    }};
}

/// `say!("container {} is paused", name)`: the same with a phrase, for people.
macro_rules! say {
    ($template:literal, $($word:expr),+ $(,)?) => {{
        use $crate::base::say::Word as _;
        const { assert!($crate::base::say::fits($template, [$(stringify!($word)),+].len()), "each pair of braces takes one word") };
        $crate::base::say::say(phrase!($template), &[$($word.word()),+])
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_the_places_of_braces_in_order() {
        assert_eq!(join!("{}/{}.json", "a", String::from("b")), "a/b.json");
        assert_eq!(join!("{}", 7u32), "7");
        assert_eq!(join("no hole", &["left out"]), "no hole");
        assert_eq!(join("{} and {}", &["one"]), "one and ");
    }

    #[test]
    fn a_template_fits_its_words_and_has_no_other_braces() {
        assert!(fits("{} of {}", 2) && fits("none", 0));
        assert!(!fits("{}", 2) && !fits("{name}", 1) && !fits("{{}}", 1) && !fits("{:>3}", 1) && !fits("{", 1));
    }
}
