//! Structs that are JSON objects: one table per struct serves reading and writing.
//!
//! The tables are written with [`record!`] and [`names!`]. Each field costs one call for both directions, and whatever can be
//! done through a trait object is compiled once, so that the hundred fields of a runtime configuration stay small as code
//! (`inline(never)` keeps the optimiser from undoing that).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Member, Number, Value};
use crate::base::error::Error;
use crate::base::text::{self, Cut, Parts};

/// What is wrong with a value, and where below the outermost one. One pointer wide, as [`Error`] is.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(Box<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    path: String,
    what: String,
}

impl Wrong {
    /// Something is wrong with the value at hand.
    #[must_use]
    pub fn new(what: String) -> Wrong {
        Wrong(Box::new(Inner { path: String::new(), what }))
    }

    /// `value` is not `expected`.
    #[must_use]
    pub fn expected(expected: &str, value: &Value) -> Wrong {
        match value {
            Value::Number(_) | Value::Bool(_) => Wrong::new(format!("expected {expected}, found {value}")),
            _ => Wrong::new(format!("expected {expected}, found {}", value.kind())),
        }
    }

    /// There is no value.
    #[must_use]
    #[inline(never)]
    pub fn missing() -> Wrong {
        Wrong::new("is missing".to_owned())
    }

    /// What was at hand is the member `name` of a larger value. An element `[3]` follows a name without a dot.
    #[must_use]
    pub fn inside(mut self, name: &str) -> Wrong {
        let path = &mut self.0.path;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        *path = [name, dot, path].concat();
        self
    }
}

impl From<Wrong> for Error {
    /// `linux.resources.memory.limit: expected an integer, found a string`.
    fn from(wrong: Wrong) -> Error {
        let Inner { path, what } = &*wrong.0;
        let colon = if path.is_empty() { "" } else { ": " };
        Error::new([path, colon, what].concat())
    }
}

/// A value on its way: out of JSON into a field, or out of a field into JSON.
#[derive(Debug)]
pub struct Way<'v> {
    /// What to read; `None` to write.
    from: Option<&'v Value>,
    /// What was written. It stays `None` for what a reader makes of a missing member.
    to: Option<Value>,
    /// Whether even that is to be written.
    whole: bool,
}

/// What can be a field of a record.
pub trait Field {
    /// Takes over what is to be read, or says what is to be written.
    ///
    /// # Errors
    /// If what is read has another type than the field, or lies beyond its range.
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong>;

    /// Of a list the element at `index`, if there is one; with `grow` a new one is added first.
    fn element(&mut self, _index: usize, _grow: bool) -> Option<&mut dyn Field> {
        None
    }
}

/// Reads a whole value.
///
/// # Errors
/// Names the path to the member that is missing, of the wrong type or out of range, and says which.
pub fn read<T: Field + Default>(value: &Value) -> Result<T, Error> {
    let mut record = T::default();
    take(&mut record, value)?;
    Ok(record)
}

/// Reads a whole value into `field`, which has nothing in it yet.
///
/// # Errors
/// As [`read`].
#[inline(never)]
pub fn take(field: &mut dyn Field, value: &Value) -> Result<(), Error> {
    field.pass(&mut Way::from(value)).map_err(Error::from)
}

/// A whole value as JSON. (It is borrowed as for reading, and stays as it is.)
#[must_use]
pub fn write(field: &mut dyn Field) -> Value {
    let mut way = Way { from: None, to: None, whole: true };
    // Only reading can go wrong.
    let _ = field.pass(&mut way);
    way.to.unwrap_or_default()
}

/// Whether a record holds nothing that would be written.
#[must_use]
pub fn is_empty(record: &mut dyn Field) -> bool {
    write(record).as_object().is_some_and(<[_]>::is_empty)
}

/// Goes through a record's fields in the order of its members' names.
#[derive(Debug)]
pub struct Pass<'w, 'v> {
    way: &'w mut Way<'v>,
    names: Parts<'static>,
    members: Vec<Member>,
    result: Result<(), Wrong>,
}

impl<'w, 'v> Pass<'w, 'v> {
    /// Begins with `names`, which have a space behind each. An object must have those with an exclamation mark before them,
    /// and they are always written. Without another one the field keeps its default, and then it is not written.
    #[inline(never)]
    pub fn new(names: &'static str, way: &'w mut Way<'v>) -> Pass<'w, 'v> {
        let result = match way.from {
            None | Some(Value::Object(_)) => Ok(()),
            Some(value) => Err(Wrong::expected("an object", value)),
        };
        Pass { way, names: names.parts(b' '), members: Vec::new(), result }
    }

    /// Passes the next member, unless something went wrong before. Members that nobody asks for are ignored.
    #[inline(never)]
    pub fn field(&mut self, field: &mut dyn Field) {
        let name = self.names.next().unwrap_or_default();
        let (name, whole) = name.strip_prefix('!').map_or((name, false), |name| (name, true));
        if self.result.is_err() {
            return;
        }
        let mut way = Way { from: None, to: None, whole };
        if let Some(object) = self.way.from {
            // null is as good as nothing: Go programs, which write most configurations, marshal an empty slice or pointer so.
            way.from = object.get(name).filter(|value| **value != Value::Null);
            if way.from.is_none() {
                if whole {
                    self.result = Err(Wrong::missing().inside(name));
                }
                return;
            }
        }
        self.result = field.pass(&mut way).map_err(|wrong| wrong.inside(name));
        if let Some(value) = way.to {
            self.members.push((name, value));
        }
    }

    /// Ends behind the last field.
    ///
    /// # Errors
    /// The first thing that is wrong.
    #[inline(never)]
    pub fn end(self) -> Result<(), Wrong> {
        if self.way.from.is_none() {
            self.way.to = Some(self.members.into());
        }
        self.result
    }
}

/// Defines structs with public fields that are JSON objects: `field: Type = Required "name",` or `= Optional "name",`.
macro_rules! record {
    ($(
        $(#[$meta:meta])*
        pub struct $Name:ident {$( $(#[$field_meta:meta])* $field:ident: $Type:ty = $need:ident $key:literal, )*}
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $Name {$( $(#[$field_meta])* pub $field: $Type, )*}

        impl $crate::base::json::record::Field for $Name {
            fn pass(
                &mut self,
                way: &mut $crate::base::json::record::Way<'_>,
            ) -> core::result::Result<(), $crate::base::json::record::Wrong> {
                let names = concat!($( $crate::base::json::record::mark!($need), $key, " ", )*);
                let mut pass = $crate::base::json::record::Pass::new(names, way);
                $( pass.field(&mut self.$field); )*
                pass.end()
            }
        }
    )*};
}
pub(crate) use record;

/// What stands before a name that an object must have, for [`Pass::new`].
macro_rules! mark {
    (Required) => {
        "!"
    };
    (Optional) => {
        ""
    };
}
pub(crate) use mark;

/// Defines enums that are JSON strings: `Variant = "name",`. One variant bears `#[default]`.
macro_rules! names {
    ($(
        $(#[$meta:meta])*
        pub enum $Name:ident {$( $(#[$variant_meta:meta])* $Variant:ident = $name:literal, )*}
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $Name {$( $(#[$variant_meta])* $Variant, )*}

        impl $Name {
            /// All variants in their order.
            pub const ALL: &[$Name] = &[$( $Name::$Variant, )*];

            /// All names in the variants' order, with a space behind each.
            const NAMES: &str = concat!($( $name, " ", )*);

            /// The variant of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<$Name> {
                $Name::ALL.get($crate::base::text::place($Name::NAMES.trim_ascii_end(), name)?).copied()
            }

            /// The name in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                $crate::base::text::word($Name::NAMES, self as usize)
            }
        }

        impl $crate::base::json::record::Field for $Name {
            fn pass(
                &mut self,
                way: &mut $crate::base::json::record::Way<'_>,
            ) -> core::result::Result<(), $crate::base::json::record::Wrong> {
                *self = $Name::ALL[$crate::base::json::record::choice($Name::NAMES, *self as usize, way)?];
                Ok(())
            }
        }
    )*};
}
pub(crate) use names;

impl<'v> Way<'v> {
    /// To read this.
    #[must_use]
    pub fn from(value: &'v Value) -> Way<'v> {
        Way { from: Some(value), to: None, whole: true }
    }

    /// The value to read, or else writes `value`.
    pub fn turn(&mut self, value: Value) -> Option<&'v Value> {
        if self.from.is_none() {
            self.to = Some(value);
        }
        self.from
    }
}

/// Passes the word at `index` among `names`, which have a space behind each: the index of the one that is read.
///
/// # Errors
/// If it is none of them.
pub fn choice(names: &'static str, index: usize, way: &mut Way<'_>) -> Result<usize, Wrong> {
    let Some(value) = way.turn(text::word(names, index).into()) else { return Ok(index) };
    let Value::String(text) = value else { return Err(Wrong::expected("a string", value)) };
    let names = names.trim_ascii_end();
    match text::place(names, text) {
        Some(index) => Ok(index),
        None => Err(Wrong::new(format!("expected one of {}, found {value}", names.replace(' ', ", ")))),
    }
}

impl Field for bool {
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
        match way.from {
            Some(value) => *self = value.as_bool().ok_or_else(|| Wrong::expected("true or false", value))?,
            None if *self || way.whole => way.to = Some(Value::Bool(*self)),
            None => {}
        }
        Ok(())
    }
}

/// Text that stays until the process ends.
impl Field for &'static str {
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
        if let Some(value) = way.turn((*self).into()) {
            *self = value.as_str().ok_or_else(|| Wrong::expected("a string", value))?;
        }
        Ok(())
    }
}

/// `value` is not an integer, or not one between `least` and `greatest`.
#[cold]
#[inline(never)]
fn not_integer(value: &Value, least: i64, greatest: u64) -> Wrong {
    match value {
        Value::Number(Number::Int(_) | Number::Big(_)) => {
            Wrong::new(format!("expected an integer from {least} to {greatest}, found {value}"))
        }
        _ => Wrong::expected("an integer", value),
    }
}

#[inline(never)]
fn signed(number: i64, way: &mut Way<'_>, least: i64, greatest: i64) -> Result<i64, Wrong> {
    let Some(value) = way.turn(number.into()) else { return Ok(number) };
    let number = value.as_i64().filter(|number| (least..=greatest).contains(number));
    number.ok_or_else(|| not_integer(value, least, greatest as u64))
}

#[inline(never)]
fn unsigned(number: u64, way: &mut Way<'_>, greatest: u64) -> Result<u64, Wrong> {
    let Some(value) = way.turn(number.into()) else { return Ok(number) };
    value.as_u64().filter(|number| *number <= greatest).ok_or_else(|| not_integer(value, 0, greatest))
}

macro_rules! integers {
    ($($Type:ident: $pass:ident($($bound:ident)*),)*) => {$(
        impl Field for $Type {
            fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
                // The bounds make the cast exact.
                *self = $pass((*self).into(), way, $($Type::$bound.into()),*)? as $Type;
                Ok(())
            }
        }
    )*};
}

integers! {
    i32: signed(MIN MAX),
    i64: signed(MIN MAX),
    u16: unsigned(MAX),
    u32: unsigned(MAX),
    u64: unsigned(MAX),
}

impl<T: Field + Default> Field for Option<T> {
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
        if way.from.is_some() {
            // It was empty: one reads into the default.
            let _ = self.get_or_insert_default();
        }
        way.whole = true;
        self.as_mut().map_or(Ok(()), |field| field.pass(way))
    }
}

impl<T: Field + Default> Field for Vec<T> {
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
        list(self, way)
    }

    fn element(&mut self, index: usize, grow: bool) -> Option<&mut dyn Field> {
        if grow {
            self.push(T::default());
        }
        self.get_mut(index).map(|element| element as &mut dyn Field)
    }
}

/// Passes what [`Field::element`] lends.
#[inline(never)]
fn list(list: &mut dyn Field, way: &mut Way<'_>) -> Result<(), Wrong> {
    if let Some(value) = way.from {
        let elements = value.as_array().ok_or_else(|| Wrong::expected("an array", value))?;
        for (index, element) in elements.iter().enumerate() {
            if let Some(field) = list.element(index, true) {
                let mut way = Way { from: Some(element), to: None, whole: true };
                field.pass(&mut way).map_err(|wrong| wrong.inside(&format!("[{index}]")))?;
            }
        }
        return Ok(());
    }
    let mut elements = Vec::new();
    while let Some(field) = list.element(elements.len(), false) {
        elements.push(write(field));
    }
    if !elements.is_empty() {
        way.to = Some(elements.into());
    }
    Ok(())
}

/// An object whose names are data too, in its order, as text that stays until the process ends.
impl Field for Vec<(&'static str, &'static str)> {
    fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
        if let Some(value) = way.from {
            self.clear();
            for (name, value) in value.as_object().ok_or_else(|| Wrong::expected("an object", value))? {
                let text = value.as_str().ok_or_else(|| Wrong::expected("a string", value).inside(name))?;
                self.push((name, text));
            }
        } else if !self.is_empty() {
            let mut members = Vec::new();
            for (name, text) in self {
                members.push((*name, (*text).into()));
            }
            way.to = Some(members.into());
        }
        Ok(())
    }
}
