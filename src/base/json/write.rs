//! Values to text.

use alloc::string::String;
use core::fmt::{self, Write};

use super::{Number, Value};

impl Value {
    /// The text on one line, without spaces.
    #[must_use]
    pub fn to_compact(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = self.write(&mut out, None);
        out
    }

    /// The text for people: one member or element per line, two spaces deeper with each level, no final newline.
    #[must_use]
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out, Some(0));
        out
    }

    /// Writes the text; `level` is the depth of the indentation, if there is to be any.
    fn write(&self, out: &mut dyn Write, level: Option<usize>) -> fmt::Result {
        let inner = level.map(|level| level + 1);
        match self {
            Value::Null => out.write_str("null"),
            Value::Bool(true) => out.write_str("true"),
            Value::Bool(false) => out.write_str("false"),
            Value::Number(Number::Int(number)) => write!(out, "{number}"),
            Value::Number(Number::Big(number)) => write!(out, "{number}"),
            Value::Number(Number::Raw(text)) => out.write_str(text),
            Value::String(text) => write_string(out, text),
            Value::Array(elements) => {
                let mut lead = "[";
                for element in elements {
                    out.write_str(lead)?;
                    new_line(out, inner)?;
                    element.write(out, inner)?;
                    lead = ",";
                }
                close(out, lead, "[", "]", level)
            }
            Value::Object(members) => {
                let mut lead = "{";
                for (name, value) in members {
                    out.write_str(lead)?;
                    new_line(out, inner)?;
                    write_string(out, name)?;
                    out.write_str(if level.is_some() { ": " } else { ":" })?;
                    value.write(out, inner)?;
                    lead = ",";
                }
                close(out, lead, "{", "}", level)
            }
        }
    }
}

impl fmt::Display for Value {
    /// The text on one line, without spaces; with `{:#}` the indented one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = f.alternate().then_some(0);
        self.write(f, level)
    }
}

fn new_line(out: &mut dyn Write, level: Option<usize>) -> fmt::Result {
    let Some(level) = level else { return Ok(()) };
    out.write_str("\n")?;
    (0..level).try_for_each(|_| out.write_str("  "))
}

/// Ends an array or object. If `lead` is still the opening bracket there was no element, and both brackets stand together.
fn close(out: &mut dyn Write, lead: &str, open: &str, close: &str, level: Option<usize>) -> fmt::Result {
    if lead == open {
        out.write_str(open)?;
    } else {
        new_line(out, level)?;
    }
    out.write_str(close)
}

/// Writes `text` as a JSON string, in quotes and with what must be escaped (RFC 8259, section 7) escaped; the rest as it is.
///
/// # Errors
/// Only those of `out`.
pub fn write_string(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_str("\"")?;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        // What must be escaped is one byte long, so both cuts are between characters.
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let (special, tail) = tail.split_at_checked(1).unwrap_or((tail, ""));
        out.write_str(plain)?;
        match special {
            "\"" => out.write_str("\\\"")?,
            "\\" => out.write_str("\\\\")?,
            "\n" => out.write_str("\\n")?,
            "\r" => out.write_str("\\r")?,
            "\t" => out.write_str("\\t")?,
            _ => special.chars().try_for_each(|letter| write!(out, "\\u{:04x}", u32::from(letter)))?,
        }
        rest = tail;
    }
    out.write_str(rest)?;
    out.write_str("\"")
}
