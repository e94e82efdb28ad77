//! Text to values. Input may be hostile: depth and work are bounded.

use alloc::vec::Vec;

use super::{Error, Member, Number, Value};
use crate::base::phrase::Phrase;
use crate::base::{keep, sort, text};

/// How deep arrays and objects may nest (RFC 8259, section 9, lets a parser set this): deeper is refused, not a stack overflow.
pub const MAX_DEPTH: usize = 128;

/// Up to this many members, comparing each pair of names is cheaper than sorting them.
const FEW: usize = 12;

/// Reads one JSON text.
///
/// # Errors
/// Whatever RFC 8259 does not allow, and three things that it leaves open and that programs read differently: a name twice
/// in one object, a surrogate without its partner, and nesting deeper than [`MAX_DEPTH`].
pub fn parse(input: &[u8]) -> Result<Value, Error> {
    let mut parser = Parser { input, at: 0, depth: 0 };
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    if parser.at == input.len() { Ok(value) } else { Err(parser.error(phrase!("expected the end"))) }
}

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, what: Phrase) -> Error {
        Error { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Value, Error> {
        let (text, value): (&[u8], _) = match self.peek() {
            Some(b'n') => (b"null", Value::Null),
            Some(b't') => (b"true", Value::Bool(true)),
            _ => (b"false", Value::Bool(false)),
        };
        if !self.input.get(self.at..).is_some_and(|rest| rest.starts_with(text)) {
            return Err(self.error(phrase!("expected a value")));
        }
        self.at += text.len();
        Ok(value)
    }

    /// Steps over an opening bracket. True if the closing one follows, which is then stepped over too.
    fn open(&mut self, close: u8) -> Result<bool, Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(phrase!("nested too deep")));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let empty = self.eat(close);
        self.depth -= usize::from(empty);
        Ok(empty)
    }

    /// Steps over what follows an element. True if it was the closing bracket, false if there is another element.
    fn next(&mut self, close: u8) -> Result<bool, Error> {
        self.skip_space();
        if self.eat(close) {
            self.depth -= 1;
            return Ok(true);
        }
        if !self.eat(b',') {
            return Err(self.error(phrase!("expected a comma or the closing bracket")));
        }
        self.skip_space();
        Ok(false)
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut elements = Vec::new();
        let mut done = self.open(b']')?;
        while !done {
            elements.push(self.value()?);
            done = self.next(b']')?;
        }
        Ok(elements.into())
    }

    fn object(&mut self) -> Result<Value, Error> {
        let start = self.at;
        let mut members = Vec::new();
        let mut done = self.open(b'}')?;
        while !done {
            if self.peek() != Some(b'"') {
                return Err(self.error(phrase!("expected a name in quotes")));
            }
            let name = self.string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error(phrase!("expected a colon")));
            }
            self.skip_space();
            members.push((name, self.value()?));
            done = self.next(b'}')?;
        }
        if has_duplicate(&members) {
            return Err(Error { offset: start, what: phrase!("a name occurs twice in the object") });
        }
        Ok(members.into())
    }

    /// Steps over digits, of which there must be at least one.
    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.error(phrase!("expected a digit"))) } else { Ok(()) }
    }

    /// `number = [ minus ] int [ frac ] [ exp ]` (RFC 8259, section 6).
    fn number(&mut self) -> Result<Number, Error> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        let bytes = self.input.get(start..self.at).unwrap_or_default();
        let text = core::str::from_utf8(bytes).unwrap_or_default();
        Ok(match (text::decimal_i64(text), text::decimal_u64(text)) {
            (Some(int), _) if text != "-0" => Number::Int(int),
            (_, Some(big)) => Number::Big(big),
            _ => Number::Raw(keep::copy(text)),
        })
    }

    fn string(&mut self) -> Result<&'static str, Error> {
        let start = self.at;
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let plain = self.input.get(self.at..).unwrap_or_default();
            let length = plain.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(plain.len());
            text.extend_from_slice(plain.get(..length).unwrap_or_default());
            self.at += length;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(&mut text)?,
                Some(_) => return Err(self.error(phrase!("a control character must be escaped"))),
                None => return Err(self.error(phrase!("the string has no end"))),
            }
        }
        self.at += 1;
        core::str::from_utf8(text.leak()).map_err(|_| Error { offset: start, what: phrase!("the string is not UTF-8") })
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        let Some(kind) = self.input.get(self.at + 1) else { return Err(self.error(phrase!("the string has no end"))) };
        let byte = match kind {
            b'"' | b'\\' | b'/' => *kind,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(text),
            _ => return Err(self.error(phrase!("unknown escape"))),
        };
        text.push(byte);
        self.at += 2;
        Ok(())
    }

    /// `\uXXXX`, or two of them for a character above U+FFFF: a high surrogate and a low one (RFC 8259, section 7).
    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        let mut code = self.code_unit(self.at)?;
        let mut length = 6;
        if let 0xd800..0xdc00 = code {
            let low = self.code_unit(self.at + 6)?;
            let 0xdc00..0xe000 = low else { return Err(self.error(phrase!("a surrogate without its partner"))) };
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            length = 12;
        }
        let Some(character) = char::from_u32(code) else {
            return Err(self.error(phrase!("a surrogate without its partner")));
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += length;
        Ok(())
    }

    /// The code unit of the `\uXXXX` at `start`.
    fn code_unit(&self, start: usize) -> Result<u32, Error> {
        let Some([b'\\', b'u', digits @ ..]) = self.input.get(start..start + 6) else {
            return Err(self.error(phrase!("expected \\u and four hexadecimal digits")));
        };
        digits
            .iter()
            .try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
            .ok_or(self.error(phrase!("expected four hexadecimal digits")))
    }
}

/// Whether two members bear one name, in n log n comparisons however the names were chosen: no hash that could be attacked.
fn has_duplicate(members: &[Member]) -> bool {
    let name = |at: usize| members.get(at).map(|(name, _)| *name);
    if members.len() <= FEW {
        return (1..members.len()).any(|at| (0..at).any(|other| name(at) == name(other)));
    }
    let order = sort::order(members.len(), &|one, other| name(one) < name(other));
    order.iter().zip(order.iter().skip(1)).any(|(&one, &other)| name(one) == name(other))
}
