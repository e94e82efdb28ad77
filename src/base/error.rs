//! The one error type: what failed, on what, why vial was doing it, and what may help.
//!
//! It prints as a person would want to read it, first line first:
//!
//! ```text
//! vial: mount overlay on /var/lib/vial/containers/ab12/rootfs: EINVAL (Invalid argument)
//! while: put the container's root together from its layers
//! hint: the upper directory must not lie on overlayfs
//! ```

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::errno::Errno;
use super::phrase::Phrase;

/// The result of nearly everything in vial.
pub type Result<T> = core::result::Result<T, Error>;

/// The exit code for vial's own failures, as docker's.
pub const EXIT_FAILURE: u8 = 125;
/// The exit code for a command that was found but can't be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// The exit code for a command that was not found.
pub const EXIT_NOT_FOUND: u8 = 127;

/// A failure: errno, operation, object, reason, hint, and the exit code that it leads to.
///
/// One pointer wide, so that results stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    errno: Errno,
    operation: Text,
    object: String,
    reason: Text,
    hint: Text,
    exit: u8,
}

/// Words of an error: a phrase, or made for the occasion. Those stay: they end what they are about, so there are few of
/// them. What failed in passing names its object only, and that is owned.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// Made for the occasion.
    Kept(&'static str),
    /// Unpacked when it is printed.
    Packed(Phrase),
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::Kept(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Kept(text.leak())
    }
}

impl From<Phrase> for Text {
    fn from(phrase: Phrase) -> Text {
        Text::Packed(phrase)
    }
}

impl Text {
    /// Nothing.
    const NONE: Text = Text::Packed(Phrase::EMPTY);

    /// The words.
    #[must_use]
    #[inline(never)]
    pub fn text(self) -> String {
        match self {
            Text::Kept(text) => String::from(text),
            Text::Packed(phrase) => phrase.text(),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Text {}

impl Error {
    /// The kernel refused `operation` on `object`.
    #[expect(clippy::needless_pass_by_value, reason = "texts and references to them come here alike")]
    pub fn os(errno: Errno, operation: impl Into<Text>, object: impl ToString) -> Error {
        Error::made(errno, operation.into(), object.to_string())
    }

    /// What the constructors share; they are generic, so that each of their uses would be a copy of this.
    #[cold]
    #[inline(never)]
    fn made(errno: Errno, operation: Text, object: String) -> Error {
        Error(Box::new(Inner { errno, operation, object, reason: Text::NONE, hint: Text::NONE, exit: EXIT_FAILURE }))
    }

    /// vial itself refuses: `message` is the whole first line.
    pub fn new(message: impl Into<Text>) -> Error {
        Error::made(Errno::NONE, message.into(), String::new())
    }

    /// Adds what to do about it. The first hint stays: it was given nearest to the cause.
    #[must_use]
    pub fn hint(self, hint: impl Into<Text>) -> Error {
        self.with(|inner| &mut inner.hint, hint.into())
    }

    /// Takes over another error's hint if that is what was meant instead of a name.
    #[must_use]
    pub fn meant(mut self, other: &Error) -> Error {
        if other.0.hint.text().starts_with("did you mean ") {
            self.0.hint = other.0.hint;
        }
        self
    }

    /// Adds the step that was under way. The first reason stays: it is the innermost.
    #[must_use]
    pub fn because(self, reason: impl Into<Text>) -> Error {
        self.with(|inner| &mut inner.reason, reason.into())
    }

    #[cold]
    #[inline(never)]
    fn with(mut self, place: fn(&mut Inner) -> &mut Text, text: Text) -> Error {
        let place = place(&mut self.0);
        if place.text().is_empty() {
            *place = text;
        }
        self
    }

    /// Names the option whose value led here, as in `--env-file: open x: ENOENT`.
    #[must_use]
    #[cold]
    pub fn option(mut self, option: &str) -> Error {
        self.0.operation = Text::from([option, ": ", &self.0.operation.text()].concat());
        self
    }

    /// Sets the exit code that this failure leads to.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Error {
        self.0.exit = code;
        self
    }

    /// The kernel's error number; [`Errno::NONE`] for vial's own errors.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.0.errno
    }

    /// The exit code that this failure leads to.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.0.exit
    }

    /// Whether the kernel's error number is `errno`.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.0.errno == errno
    }

    /// The wire form, for a child that reports to its parent: errno, exit code, then the four texts, each with its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let inner = &self.0;
        let mut wire = Vec::with_capacity(64);
        wire.extend_from_slice(&inner.errno.0.to_le_bytes());
        wire.push(inner.exit);
        for text in [&inner.operation.text(), &inner.object, &inner.reason.text(), &inner.hint.text()] {
            wire.extend_from_slice(&(text.len() as u32).to_le_bytes());
            wire.extend_from_slice(text.as_bytes());
        }
        wire
    }

    /// Reads the wire form; `None` if it is not one.
    #[must_use]
    pub fn decode(wire: &[u8]) -> Option<Error> {
        let (errno, rest) = wire.split_first_chunk::<4>()?;
        let (exit, mut rest) = rest.split_first()?;
        let mut texts = [const { String::new() }; 4];
        for text in &mut texts {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let (bytes, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            *text = String::from_utf8_lossy(bytes).into_owned();
            rest = tail;
        }
        let [operation, object, reason, hint] = texts;
        Some(Error(Box::new(Inner {
            errno: Errno(i32::from_le_bytes(*errno)),
            operation: operation.into(),
            object,
            reason: reason.into(),
            hint: hint.into(),
            exit: *exit,
        })))
    }
}

impl fmt::Display for Error {
    /// One to three lines without the leading `vial: ` and without a final newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.write_str(&inner.operation.text())?;
        if !inner.object.is_empty() {
            write!(f, " {}", inner.object)?;
        }
        if inner.errno != Errno::NONE {
            write!(f, ": {}", inner.errno)?;
        }
        for (title, text) in [("\nwhile: ", inner.reason), ("\nhint: ", inner.hint)] {
            let text = text.text();
            if !text.is_empty() {
                f.write_str(title)?;
                f.write_str(&text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_call_then_the_reason_then_the_hint() {
        let error =
            Error::os(Errno::EINVAL, "mount overlay on", "/x").because("join the layers").hint("not on overlayfs");
        assert_eq!(
            error.to_string(),
            "mount overlay on /x: EINVAL (Invalid argument)\nwhile: join the layers\nhint: not on overlayfs"
        );
    }

    #[test]
    fn the_innermost_reason_and_hint_win() {
        let error = Error::new("no").because("inner").because("outer").hint("near").hint("far");
        assert_eq!(error.to_string(), "no\nwhile: inner\nhint: near");
    }

    #[test]
    fn what_came_without_a_hint_takes_one() {
        let error = Error::decode(&Error::new("no").encode()).expect("it is whole");
        assert_eq!(error.hint("near").because("why").to_string(), "no\nwhile: why\nhint: near");
    }

    #[test]
    fn an_option_stands_first() {
        assert_eq!(
            Error::os(Errno::ENOENT, "open", "x").option("--file").to_string(),
            "--file: open x: ENOENT (No such file or directory)"
        );
    }

    #[test]
    fn the_wire_form_carries_everything_and_refuses_what_is_cut() {
        let error = Error::os(Errno::EACCES, "execve", "/bin/é").because("why").hint("chmod +x").exit(126);
        let wire = error.encode();
        assert_eq!(Error::decode(&wire), Some(error));
        for end in 0..wire.len() {
            assert_eq!(Error::decode(&wire[..end]), None, "cut at {end}");
        }
    }
}
