//! The layout of D-Bus messages: a header of 12 bytes, fields, and a body, "Message Format" in the specification.
//!
//! What is written has the low byte first; what is read may have either order. Each kind of value begins at a multiple of its own
//! size, counted from the message's start, with zeros before it.

use alloc::vec::Vec;

use crate::base::phrase::Phrase;

/// A call of a method.
pub const CALL: u8 = 1;
/// A method's answer.
pub const RETURN: u8 = 2;
/// Why a method has no answer.
pub const ERROR: u8 = 3;
/// Something that happened.
pub const SIGNAL: u8 = 4;

/// The longest message that is read; what systemd says here takes some hundred bytes. The specification allows 128 MiB.
pub const LONGEST: usize = 1 << 20;
/// Bytes up to where the header's fields begin.
const HEADER: usize = 16;
/// The fields, by their codes: where it goes, the interface, the member, the error's name, what is answered, to whom, from whom,
/// and the body's types. Which type each has.
const FIELDS: &[u8; 9] = b"\0osssussg";

/// A value with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `b`
    Bool(bool),
    /// `i`
    Signed(i32),
    /// `u`
    Number(u32),
    /// `x`
    SignedLong(i64),
    /// `t`
    Long(u64),
    /// `s`
    Text(&'a str),
    /// `ay`
    Bytes(&'a [u8]),
    /// `au`
    Numbers(&'a [u32]),
    /// `as`
    Texts(&'a [&'a str]),
    /// `a(ss)`
    Pairs(&'a [(&'a str, &'a str)]),
}

/// Values one after another, each at its place.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    #[inline(never)]
    fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    /// Four bytes.
    #[inline(never)]
    pub fn number(&mut self, number: u32) {
        self.pad(4);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Eight bytes.
    #[inline(never)]
    pub fn long(&mut self, number: u64) {
        self.pad(8);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// A text, or the path of an object.
    #[inline(never)]
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
    }

    /// Types; at most 255 of them.
    #[inline(never)]
    pub fn signature(&mut self, types: &str) {
        self.bytes.push(types.len() as u8);
        self.bytes.extend_from_slice(types.as_bytes());
        self.bytes.push(0);
    }

    /// Begins an array whose elements begin at multiples of this; where, for [`Writer::close`].
    #[inline(never)]
    pub fn open(&mut self, align: usize) -> (usize, usize) {
        self.number(0);
        let length = self.bytes.len() - 4;
        // The length does not count what comes before the first element.
        self.pad(align);
        (length, self.bytes.len())
    }

    /// Ends an array.
    #[inline(never)]
    pub fn close(&mut self, (length, start): (usize, usize)) {
        let count = (self.bytes.len() - start) as u32;
        self.bytes[length..length + 4].copy_from_slice(&count.to_le_bytes());
    }

    /// A name and a value of any type: `(sv)`, an element of what systemd takes as properties.
    pub fn property(&mut self, name: &str, value: Value<'_>) {
        self.pad(8);
        self.text(name);
        self.variant(value);
    }

    /// A value with its type before it.
    #[inline(never)]
    pub fn variant(&mut self, value: Value<'_>) {
        self.signature(match value {
            Value::Bool(_) => "b",
            Value::Signed(_) => "i",
            Value::Number(_) => "u",
            Value::SignedLong(_) => "x",
            Value::Long(_) => "t",
            Value::Text(_) => "s",
            Value::Bytes(_) => "ay",
            Value::Numbers(_) => "au",
            Value::Texts(_) => "as",
            Value::Pairs(_) => "a(ss)",
        });
        match value {
            Value::Bool(is) => self.number(is.into()),
            Value::Signed(number) => self.number(number as u32),
            Value::Number(number) => self.number(number),
            Value::SignedLong(number) => self.long(number as u64),
            Value::Long(number) => self.long(number),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => {
                self.number(bytes.len() as u32);
                self.bytes.extend_from_slice(bytes);
            }
            Value::Numbers(numbers) => {
                let array = self.open(4);
                for number in numbers {
                    self.number(*number);
                }
                self.close(array);
            }
            Value::Texts(texts) => {
                let array = self.open(4);
                for text in texts {
                    self.text(text);
                }
                self.close(array);
            }
            Value::Pairs(pairs) => {
                let array = self.open(8);
                for (one, other) in pairs {
                    self.pad(8);
                    self.text(one);
                    self.text(other);
                }
                self.close(array);
            }
        }
    }

    /// The bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A call of a method. `fields` are by their codes from 1 on: the object, the interface, the method, nothing, nothing, and to
/// whom; those that are empty are left out.
#[must_use]
#[inline(never)]
pub fn call(serial: u32, fields: [&str; 6], types: &str, body: &Writer) -> Vec<u8> {
    let mut message = Writer { bytes: alloc::vec![b'l', CALL, 0, 1] };
    message.number(body.bytes.len() as u32);
    message.number(serial);
    let array = message.open(8);
    for (code, value) in (1u8..).zip(fields).filter(|(_, value)| !value.is_empty()) {
        message.pad(8);
        message.bytes.push(code);
        message.signature(if code == 1 { "o" } else { "s" });
        message.text(value);
    }
    if !types.is_empty() {
        message.pad(8);
        message.bytes.push(8);
        message.signature("g");
        message.signature(types);
    }
    message.close(array);
    message.pad(8);
    message.bytes.extend_from_slice(&body.bytes);
    message.bytes
}

/// Values one after another, as they are read. Nothing is handed out that is not whole.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether the high byte comes first.
    big: bool,
}

impl<'a> Reader<'a> {
    /// Goes to the next multiple; there are only zeros on the way.
    #[inline(never)]
    fn pad(&mut self, to: usize) -> Option<()> {
        let count = self.at.next_multiple_of(to) - self.at;
        self.take(count)?.iter().all(|byte| *byte == 0).then_some(())
    }

    #[inline(never)]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    /// Four bytes.
    #[inline(never)]
    pub fn number(&mut self) -> Option<u32> {
        self.pad(4)?;
        let bytes = *self.take(4)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// A text or the path of an object: UTF-8 without a zero byte, and one behind it.
    #[inline(never)]
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        self.letters(length as usize)
    }

    /// Types.
    fn signature(&mut self) -> Option<&'a str> {
        let length = *self.take(1)?.first()?;
        self.letters(length.into())
    }

    #[inline(never)]
    fn letters(&mut self, length: usize) -> Option<&'a str> {
        let (end, letters) = self.take(length.checked_add(1)?)?.split_last()?;
        let is_whole = *end == 0 && !letters.contains(&0);
        if is_whole { core::str::from_utf8(letters).ok() } else { None }
    }
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// A call, an answer, an error or a signal.
    pub kind: u8,
    /// The message that it answers; 0 if none.
    pub answers: u32,
    /// The object that a signal is about.
    pub path: &'a str,
    /// The interface that a signal belongs to.
    pub interface: &'a str,
    /// What happened.
    pub member: &'a str,
    /// The error's name.
    pub error: &'a str,
    /// Who sent it, which the bus fills in; empty without a bus between.
    pub sender: &'a str,
    /// The body's types.
    pub types: &'a str,
    /// The body.
    pub body: Reader<'a>,
}

/// The first message in what came so far, and how long it is; `None` if there is more to come.
///
/// # Errors
/// What is wrong with it.
#[inline(never)]
pub fn next(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, Phrase> {
    let Some(&[order, kind, _, version, ..]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    if !matches!(order, b'l' | b'B') || version != 1 || kind == 0 {
        return Err(phrase!("a message begins like none"));
    }
    let mut fields = Reader { bytes, at: 4, big: order == b'B' };
    let [Some(body), Some(_serial), Some(length)] = [(); 3].map(|()| fields.number()) else { return Ok(None) };
    // No sum of these overflows: each is below the limit.
    let [body, length] = [body as usize, length as usize];
    if body > LONGEST || length > LONGEST {
        return Err(phrase!("a message is too long"));
    }
    let begins = (HEADER + length).next_multiple_of(8);
    let Some(whole) = bytes.get(..begins + body) else { return Ok(None) };
    fields.bytes = whole.get(..HEADER + length).unwrap_or_default();
    let damaged = phrase!("a message is damaged");
    let (texts, answers) = read_fields(&mut fields).ok_or(damaged)?;
    let mut body = Reader { bytes: whole, at: fields.at, big: fields.big };
    body.pad(8).ok_or(damaged)?;
    body = Reader { bytes: whole.get(begins..).unwrap_or_default(), at: 0, big: fields.big };
    let [_, path, interface, member, error, _, _, sender, types] = texts;
    Ok(Some((Message { kind, answers, path, interface, member, error, sender, types, body }, whole.len())))
}

/// The fields by their codes, and the number that one of them is.
fn read_fields<'a>(fields: &mut Reader<'a>) -> Option<([&'a str; 9], u32)> {
    let (mut texts, mut answers) = ([""; 9], 0);
    while fields.at < fields.bytes.len() {
        fields.pad(8)?;
        let code = usize::from(*fields.take(1)?.first()?);
        let of = fields.signature()?;
        if FIELDS.get(code).is_some_and(|known| of.as_bytes() != [*known]) {
            return None;
        }
        let mut text = "";
        match of {
            "s" | "o" => text = fields.text()?,
            "g" => text = fields.signature()?,
            "u" if code == 5 => answers = fields.number()?,
            "u" | "i" | "h" | "b" => drop(fields.number()?),
            // Of what a later version may add nothing that has parts is known, and so not where it ends.
            _ => return None,
        }
        if let Some(place) = texts.get_mut(code) {
            *place = text;
        }
    }
    Some((texts, answers))
}

#[cfg(test)]
mod tests;
