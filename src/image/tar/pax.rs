//! Extended headers: POSIX pax(1), "pax Extended Header"; star(5) for the attributes, libarchive's tar(5) for its own.

use super::header::owner;
use super::sparse::Declared;
use super::{Time, What, Xattr};
use alloc::vec::Vec;

/// A kernel lists at most 64 KiB of names (`XATTR_LIST_MAX`); nothing real comes near this many.
const MAX_XATTRS: usize = 1024;

/// What extended headers say about a member; what they leave out is in its header.
#[derive(Default)]
pub struct Attributes {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mtime: Option<Time>,
    pub atime: Option<Time>,
    pub ctime: Option<Time>,
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
    pub fn apply(&mut self, mut records: &[u8], scope: Scope) -> Result<(), What> {
        while !records.is_empty() {
            let (key, value, rest) = record(records).ok_or(phrase!("a malformed pax record"))?;
            let own = self.member_only(key, value)?;
            if own && scope == Scope::Archive {
                // Lawful or not, readers disagree: Go's and libarchive's pass over global headers, GNU tar obeys.
                return Err(phrase!(
                    "a pax header for the whole archive that sets a size, extents or extended attributes"
                ));
            }
            if !own {
                self.common(key, value)?;
            }
            records = rest;
        }
        Ok(())
    }

    /// An empty value takes back what an earlier header said (POSIX). Unknown keys say nothing to us.
    fn common(&mut self, key: &[u8], value: &[u8]) -> Result<(), What> {
        let names: [(&[u8], &mut Option<Vec<u8>>); 2] = [(b"path", &mut self.path), (b"linkpath", &mut self.link)];
        for (name, field) in names {
            if name == key {
                *field = (!value.is_empty()).then(|| value.to_vec());
            }
        }
        let ids: [(&[u8], &mut Option<u32>, What); 2] = [
            (b"uid", &mut self.uid, phrase!("a pax uid that is not a number from 0 to 4294967294")),
            (b"gid", &mut self.gid, phrase!("a pax gid that is not a number from 0 to 4294967294")),
        ];
        for (name, field, what) in ids {
            if name == key {
                *field = optional(value, id, what)?;
            }
        }
        let times: [(&[u8], &mut Option<Time>, What); 3] = [
            (b"mtime", &mut self.mtime, phrase!("a pax mtime that is not a time")),
            (b"atime", &mut self.atime, phrase!("a pax atime that is not a time")),
            (b"ctime", &mut self.ctime, phrase!("a pax ctime that is not a time")),
        ];
        for (name, field, what) in times {
            if name == key {
                *field = optional(value, time, what)?;
            }
        }
        Ok(())
    }

    /// Takes the records that make sense for one member only; returns whether this was one.
    fn member_only(&mut self, key: &[u8], value: &[u8]) -> Result<bool, What> {
        if key == b"size" {
            // Digits and nothing else: wherever two readers understand a size differently, one sees members that the
            // other takes for data.
            self.size = Some(decimal(value).ok_or(phrase!("a pax size that is not decimal digits up to 2^63-1"))?);
        } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            self.sparse.record(key, value)?;
        } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            // GNU tar writes '=' and '%' of a name like this since 1.30; an empty value is a value.
            self.xattr(unescape(name, b"=%"), value.to_vec())?;
        } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let value = base64(value).ok_or(phrase!("an extended attribute that is not base64"))?;
            self.xattr(unescape(name, &[]), value)?;
        } else {
            return Ok(false);
        }
        Ok(true)
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

fn optional<T>(value: &[u8], parse: fn(&[u8]) -> Option<T>, what: What) -> Result<Option<T>, What> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some).ok_or(what) }
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

fn id(value: &[u8]) -> Option<u32> {
    owner(decimal(value)? as i64)
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

/// RFC 4648, section 4; libarchive leaves the padding away.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &digit in text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text) {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
