//! Extended headers: POSIX pax(1), "pax Extended Header"; star(5) for the attributes, libarchive's tar(5) for its own.

use super::sparse::Declared;
use super::{Time, What, Xattr};
use crate::base::text;
use alloc::vec::Vec;

/// A kernel lists at most 64 KiB of names (`XATTR_LIST_MAX`); nothing real comes near this many.
const MAX_XATTRS: usize = 1024;

/// Keys of records that every member may have: numbers first, as in the table of the header's fields, then names.
const KEYS: &str = "size uid gid mtime atime ctime path linkpath";
/// Places among the keys.
pub const SIZE: usize = 0;
const MTIME: usize = 3;
const PATH: usize = 6;

/// What is said of a value that is none, for each key that has a number.
const WHATS: [What; PATH] = [
    // Digits and nothing else: wherever two readers understand a size differently, one sees members that the other takes for
    // data.
    phrase!("a pax size that is not decimal digits up to 2^63-1"),
    phrase!("a pax uid that is not a number from 0 to 4294967294"),
    phrase!("a pax gid that is not a number from 0 to 4294967294"),
    phrase!("a pax mtime that is not a time"),
    phrase!("a pax atime that is not a time"),
    phrase!("a pax ctime that is not a time"),
];

/// What extended headers say about a member; what they leave out, or empty, is in its header.
#[derive(Default)]
pub struct Attributes {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    /// The first of [`KEYS`].
    pub numbers: [Option<Time>; PATH],
    pub xattrs: Vec<Xattr>,
    pub sparse: Declared,
}

/// Whom a header's records are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The next member (`x`).
    Member,
    /// All members that follow (`g`).
    Archive,
}

impl Attributes {
    /// Lays a header's records over what is known; a record that comes later wins.
    #[inline(never)]
    pub fn apply(&mut self, mut records: &[u8], scope: Scope) -> Result<(), What> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(phrase!("a malformed pax record"))?;
            records = rest;
            if self.record(key, value)? && scope == Scope::Archive {
                // Lawful or not, readers disagree: Go's and libarchive's pass over global headers, GNU tar obeys.
                return Err(phrase!(
                    "a pax header for the whole archive that sets a size, extents or extended attributes"
                ));
            }
        }
        Ok(())
    }

    /// Takes a record; whether it makes sense for one member only. Unknown keys say nothing to us.
    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<bool, What> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            // GNU tar writes '=' and '%' of a name like this since 1.30; an empty value is a value.
            self.xattr(unescape(name, b"=%"), value.to_vec())?;
            return Ok(true);
        }
        if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let value = base64(value).ok_or(phrase!("an extended attribute that is not base64"))?;
            self.xattr(unescape(name, &[]), value)?;
            return Ok(true);
        }
        let key = str::from_utf8(key).unwrap_or_default();
        if let Some(key) = key.strip_prefix("GNU.sparse.") {
            self.sparse.record(key, value)?;
            return Ok(true);
        }
        let Some(place) = text::place(KEYS, key) else { return Ok(false) };
        if place >= PATH {
            let name = if place == PATH { &mut self.path } else { &mut self.link };
            *name = value.to_vec();
            return Ok(false);
        }
        // An empty value takes back what an earlier header said (POSIX).
        self.numbers[place] = None;
        if place == SIZE || !value.is_empty() {
            let limit = if place == SIZE { i64::MAX } else { u32::MAX as i64 - 1 };
            let number = match decimal(value) {
                _ if place >= MTIME => time(value),
                Some(seconds) if seconds as i64 <= limit => Some(Time { seconds: seconds as i64, nanoseconds: 0 }),
                _ => None,
            };
            self.numbers[place] = Some(number.ok_or(WHATS[place])?);
        }
        Ok(place == SIZE)
    }

    /// libarchive writes each attribute twice, in both spellings.
    fn xattr(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), What> {
        if name.is_empty() || name.contains(&0) {
            return Err(phrase!("an extended attribute without a proper name"));
        }
        if let Some(known) = self.xattrs.iter_mut().find(|known| known.name == name) {
            known.value = value;
        } else if self.xattrs.len() == MAX_XATTRS {
            return Err(phrase!("more than 1024 extended attributes"));
        } else {
            self.xattrs.push(Xattr { name, value });
        }
        Ok(())
    }
}

/// Cuts `LENGTH KEY=VALUE\n` off the front. The length counts the whole record, so a value may hold any byte.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = records.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&records[..blank])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    if equals == 0 {
        return None;
    }
    Some((&body[..equals], &body[equals + 1..], rest))
}

/// One or more digits and nothing else, up to what an `off_t` holds.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
        value = value.checked_mul(10)?.checked_add(digit as i64)?;
    }
    Some(value as u64)
}

/// `[-]SECONDS[.FRACTION]`; what is finer than a nanosecond is cut off.
fn time(value: &[u8]) -> Option<Time> {
    let (negative, value) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
    let point = value.iter().position(|&byte| byte == b'.').unwrap_or(value.len());
    let seconds = decimal(&value[..point])? as i64;
    let fraction = value.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(core::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0, |sum, digit| sum * 10 + (digit - b'0') as u32);
    Some(match (negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        // -1.25 is 0.75 after -2.
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

/// Undoes `%3D` for the bytes in `only`, or for all when that is empty.
fn unescape(name: &[u8], only: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        if let Some(byte) = escaped.filter(|byte| only.is_empty() || only.contains(byte)) {
            plain.push(byte);
            rest = &rest[3..];
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The digits of base 64, RFC 4648, section 4.
pub const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads what is written in these; libarchive leaves the padding away.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &digit in text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text) {
        let value = BASE64.iter().position(|known| *known == digit)?;
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
