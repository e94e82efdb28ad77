//! Structs that are JSON objects: one table per struct serves reading and writing.
//!
//! The tables are written with [`record!`] and [`names!`]. Each field costs one call in either direction, and whatever can be
//! done through a trait object is compiled once, so that the hundred fields of a runtime configuration stay small as code
//! (`inline(never)` keeps the optimiser from undoing that).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Number, Value};
use crate::base::error::Error;
use crate::base::keep;
use crate::base::text::{Cut, Parts};

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

/// What can be a field of a record.
pub trait Field {
    /// Takes over what `value` says.
    ///
    /// # Errors
    /// If `value` has another type than the field, or lies beyond its range.
    fn read(&mut self, value: &Value) -> Result<(), Wrong>;

    /// The value as JSON.
    fn write(&self) -> Value;

    /// Whether this is what a reader makes of a missing member, which then need not be written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Reads a whole value.
///
/// # Errors
/// Names the path to the member that is missing, of the wrong type or out of range, and says which.
pub fn read<T: Field + Default>(value: &Value) -> Result<T, Error> {
    let mut record = T::default();
    record.read(value)?;
    Ok(record)
}

/// A struct with a table: it hands over its fields one by one.
pub trait Record {
    /// The members' names in the order of the fields, with a space behind each. An object must have those with an
    /// exclamation mark before them, and they are always written. Without another one the field keeps its default, and then
    /// it is not written.
    fn names(&self) -> &'static str;

    /// Calls [`Reader::field`] for each field.
    fn read_fields(&mut self, reader: &mut Reader<'_>);

    /// Calls [`Writer::field`] for each field.
    fn write_fields(&self, writer: &mut Writer);
}

/// The next name of [`Record::names`], and whether an object must have it.
fn next(names: &mut Parts<'static>) -> (&'static str, bool) {
    let name = names.next().unwrap_or_default();
    name.strip_prefix('!').map_or((name, false), |name| (name, true))
}

/// Takes an object's members one by one. Members that nobody asks for are ignored.
#[derive(Debug)]
pub struct Reader<'a> {
    object: &'a Value,
    names: Parts<'static>,
    result: Result<(), Wrong>,
}

impl Reader<'_> {
    /// Reads the next member into `field`, unless something went wrong before.
    #[inline(never)]
    pub fn field(&mut self, field: &mut dyn Field) {
        let (name, required) = next(&mut self.names);
        if self.result.is_err() {
            return;
        }
        // null is as good as nothing: Go programs, which write most configurations, marshal an empty slice or pointer so.
        let read = match self.object.get(name) {
            None | Some(Value::Null) if !required => return,
            None | Some(Value::Null) => Err(Wrong::new("is missing".to_owned())),
            Some(value) => field.read(value),
        };
        self.result = read.map_err(|wrong| wrong.inside(name));
    }
}

/// Reads an object into `record`.
///
/// # Errors
/// The first thing that is wrong.
#[inline(never)]
pub fn read_record(record: &mut dyn Record, value: &Value) -> Result<(), Wrong> {
    let Value::Object(_) = value else { return Err(Wrong::expected("an object", value)) };
    let mut reader = Reader { object: value, names: record.names().parts(b' '), result: Ok(()) };
    record.read_fields(&mut reader);
    reader.result
}

/// Collects an object's members.
#[derive(Debug)]
pub struct Writer {
    names: Parts<'static>,
    members: Vec<(String, Value)>,
}

impl Writer {
    /// Adds the next member, unless it is optional and absent.
    #[inline(never)]
    pub fn field(&mut self, field: &dyn Field) {
        let (name, required) = next(&mut self.names);
        if required || !field.is_absent() {
            self.members.push((name.to_owned(), field.write()));
        }
    }
}

/// Writes `record` as an object.
#[must_use]
#[inline(never)]
pub fn write_record(record: &dyn Record) -> Value {
    let mut writer = Writer { names: record.names().parts(b' '), members: Vec::new() };
    record.write_fields(&mut writer);
    Value::Object(writer.members)
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

        impl $crate::base::json::record::Record for $Name {
            fn names(&self) -> &'static str {
                concat!($( $crate::base::json::record::mark!($need), $key, " ", )*)
            }

            fn read_fields(&mut self, reader: &mut $crate::base::json::record::Reader<'_>) {
                $( reader.field(&mut self.$field); )*
            }

            fn write_fields(&self, writer: &mut $crate::base::json::record::Writer) {
                $( writer.field(&self.$field); )*
            }
        }

        impl $crate::base::json::record::Field for $Name {
            fn read(&mut self, value: &$crate::base::json::Value) -> core::result::Result<(), $crate::base::json::record::Wrong> {
                $crate::base::json::record::read_record(self, value)
            }

            fn write(&self) -> $crate::base::json::Value {
                $crate::base::json::record::write_record(self)
            }
        }
    )*};
}
pub(crate) use record;

/// What stands before a name in [`Record::names`].
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

            /// All names in the variants' order.
            const NAMES: &[&str] = &[$( $name, )*];

            /// The name in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                $Name::NAMES[self as usize]
            }
        }

        impl $crate::base::json::record::Field for $Name {
            fn read(&mut self, value: &$crate::base::json::Value) -> core::result::Result<(), $crate::base::json::record::Wrong> {
                *self = $Name::ALL[$crate::base::json::record::choice($Name::NAMES, value)?];
                Ok(())
            }

            fn write(&self) -> $crate::base::json::Value {
                self.name().into()
            }
        }
    )*};
}
pub(crate) use names;

/// Which of `names` the value is.
///
/// # Errors
/// If it is none of them.
pub fn choice(names: &[&str], value: &Value) -> Result<usize, Wrong> {
    let Value::String(text) = value else { return Err(Wrong::expected("a string", value)) };
    names
        .iter()
        .position(|name| name == text)
        .ok_or_else(|| Wrong::new(format!("expected one of {}, found {value}", names.join(", "))))
}

impl Field for bool {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        *self = value.as_bool().ok_or_else(|| Wrong::expected("true or false", value))?;
        Ok(())
    }

    fn write(&self) -> Value {
        (*self).into()
    }

    fn is_absent(&self) -> bool {
        !*self
    }
}

impl Field for String {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        value.as_str().ok_or_else(|| Wrong::expected("a string", value))?.clone_into(self);
        Ok(())
    }

    fn write(&self) -> Value {
        self.as_str().into()
    }
}

/// Text that stays until the process ends.
impl Field for &'static str {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        *self = keep::copy(value.as_str().ok_or_else(|| Wrong::expected("a string", value))?);
        Ok(())
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

/// `value` is not an integer, or not one between `least` and `greatest`.
fn not_integer(value: &Value, least: i64, greatest: u64) -> Wrong {
    match value {
        Value::Number(Number::Int(_) | Number::Big(_)) => {
            Wrong::new(format!("expected an integer from {least} to {greatest}, found {value}"))
        }
        _ => Wrong::expected("an integer", value),
    }
}

fn signed(value: &Value, least: i64, greatest: i64) -> Result<i64, Wrong> {
    let number = value.as_i64().filter(|number| (least..=greatest).contains(number));
    number.ok_or_else(|| not_integer(value, least, greatest as u64))
}

fn unsigned(value: &Value, greatest: u64) -> Result<u64, Wrong> {
    value.as_u64().filter(|number| *number <= greatest).ok_or_else(|| not_integer(value, 0, greatest))
}

macro_rules! integers {
    ($($Type:ident as $Wide:ident: $read:ident($($bound:ident)*),)*) => {$(
        impl Field for $Type {
            fn read(&mut self, value: &Value) -> Result<(), Wrong> {
                // The bounds make the cast exact.
                *self = $read(value, $($Type::$bound.into()),*)? as $Type;
                Ok(())
            }

            fn write(&self) -> Value {
                $Wide::from(*self).into()
            }
        }
    )*};
}

integers! {
    i32 as i64: signed(MIN MAX),
    i64 as i64: signed(MIN MAX),
    u16 as u64: unsigned(MAX),
    u32 as u64: unsigned(MAX),
    u64 as u64: unsigned(MAX),
}

impl<T: Field + Default> Field for Option<T> {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        self.insert(T::default()).read(value)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::write)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// A growing row of fields: what reading and writing an array needs to know of a vector.
trait List {
    /// Adds a default element and lends it.
    fn grow(&mut self) -> &mut dyn Field;

    /// The element at `index`, if there is one.
    fn at(&self, index: usize) -> Option<&dyn Field>;
}

impl<T: Field + Default> List for Vec<T> {
    fn grow(&mut self) -> &mut dyn Field {
        self.push_mut(T::default())
    }

    fn at(&self, index: usize) -> Option<&dyn Field> {
        self.get(index).map(|element| element as &dyn Field)
    }
}

#[inline(never)]
fn read_list(list: &mut dyn List, value: &Value) -> Result<(), Wrong> {
    let elements = value.as_array().ok_or_else(|| Wrong::expected("an array", value))?;
    for (index, element) in elements.iter().enumerate() {
        list.grow().read(element).map_err(|wrong| wrong.inside(&format!("[{index}]")))?;
    }
    Ok(())
}

#[inline(never)]
fn write_list(list: &dyn List) -> Value {
    Value::Array((0..).map_while(|index| list.at(index)).map(Field::write).collect())
}

impl<T: Field + Default> Field for Vec<T> {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        self.clear();
        read_list(self, value)
    }

    fn write(&self) -> Value {
        write_list(self)
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// An object whose names are data too, in its order.
impl Field for Vec<(String, String)> {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        self.clear();
        for (name, value) in value.as_object().ok_or_else(|| Wrong::expected("an object", value))? {
            let mut text = String::new();
            text.read(value).map_err(|wrong| wrong.inside(name))?;
            self.push((name.clone(), text));
        }
        Ok(())
    }

    fn write(&self) -> Value {
        Value::Object(self.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Likewise, as text that stays until the process ends.
impl Field for Vec<(&'static str, &'static str)> {
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        self.clear();
        for (name, value) in value.as_object().ok_or_else(|| Wrong::expected("an object", value))? {
            let mut text = "";
            text.read(value).map_err(|wrong| wrong.inside(name))?;
            self.push((keep::copy(name), text));
        }
        Ok(())
    }

    fn write(&self) -> Value {
        Value::Object(self.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}
