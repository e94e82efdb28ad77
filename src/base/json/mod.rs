//! JSON text to values and back, after RFC 8259.
//!
//! Numbers stay exact and no floating point is involved: what is not a 64-bit integer keeps its own text. Objects keep the
//! order of their members and hold each name once. Values stay until the process ends, so that no code gives them back.

mod parse;
pub mod record;
#[cfg(test)]
mod tests;
mod write;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::keep::Kept;
use super::phrase::Phrase;

pub use parse::{MAX_DEPTH, parse};
pub use write::write_string;

/// A JSON value. The default is `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, without its quotes and escapes.
    String(&'static str),
    /// The elements of an array.
    Array(Kept<Vec<Value>>),
    /// The members of an object in their order.
    Object(Kept<Vec<Member>>),
}

/// A member of an object: its name and its value.
pub type Member = (&'static str, Value);

/// A number in the narrowest form that loses nothing, so that equal integers compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// An integer that fits.
    Int(i64),
    /// An integer above [`i64::MAX`].
    Big(u64),
    /// The text of any other number: fractions, exponents, longer integers, and `-0`.
    Raw(&'static str),
}

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// How many bytes precede the trouble.
    pub offset: usize,
    /// What was wrong there, in words.
    pub what: Phrase,
}

impl fmt::Display for Error {
    /// `expected a value at byte 17`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

impl Value {
    /// The member `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The value below this one that the member names `keys` lead to.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Sets the member `key`; what is not an object becomes one.
    #[inline(never)]
    pub fn set(&mut self, key: &'static str, value: Value) {
        *self.member(key) = value;
    }

    /// The member `key`, `null` until something is put there; what is not an object becomes one.
    #[inline(never)]
    pub fn member(&mut self, key: &'static str) -> &mut Value {
        if !matches!(self, Value::Object(_)) {
            *self = object([]);
        }
        let Value::Object(members) = self else { return self };
        let place = members.iter().position(|(name, _)| *name == key).unwrap_or_else(|| {
            members.push((key, Value::Null));
            members.len() - 1
        });
        &mut members[place].1
    }

    /// Takes the member `key` away, if there is one.
    pub fn remove(&mut self, key: &str) {
        if let Value::Object(members) = self
            && let Some(place) = members.iter().position(|(name, _)| *name == key)
        {
            members.remove(place);
        }
    }

    /// Sets the member `key` to a text.
    #[inline(never)]
    pub fn text(&mut self, key: &'static str, text: &'static str) {
        self.set(key, text.into());
    }

    /// An array without elements.
    #[must_use]
    pub const fn array() -> Value {
        Value::Array(Kept::new(Vec::new()))
    }

    /// An array of texts, with something before each.
    #[must_use]
    pub fn texts<T: AsRef<str>>(texts: &[T], before: &str) -> Value {
        let mut elements: Vec<Value> = Vec::new();
        for text in texts {
            elements.push(join!("{}{}", before, text.as_ref()).into());
        }
        elements.into()
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&'static str> {
        if let Value::String(text) = self { Some(*text) } else { None }
    }

    /// The number, if this is an integer that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(Number::Int(number)) = self { Some(*number) } else { None }
    }

    /// The number, if this is an integer that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(Number::Int(number)) => u64::try_from(*number).ok(),
            Value::Number(Number::Big(number)) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The elements, if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(elements) = self { Some(elements) } else { None }
    }

    /// The members in their order, if this is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Member]> {
        if let Value::Object(members) = self { Some(members) } else { None }
    }

    /// What this is, with its article: `a string`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(Number::Raw(_)) => "a number",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

/// An object of `members`, whose names must differ.
///
/// `object([("name", "web".into()), ("pid", 7_u64.into())])`
#[must_use]
pub fn object<const N: usize>(members: [Member; N]) -> Value {
    Vec::from(members).into()
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(Number::Int(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).map_or(Number::Big(number), Number::Int))
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        i64::from(number).into()
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        i64::from(number).into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.leak())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Value {
        Value::Array(Kept::new(elements))
    }
}

impl From<Vec<Member>> for Value {
    fn from(members: Vec<Member>) -> Value {
        Value::Object(Kept::new(members))
    }
}
