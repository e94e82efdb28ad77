//! Reading numbers, sizes and names that people type, and writing sizes that people read.
//!
//! Everything here is strict: a text is accepted whole or not at all, and nothing is trimmed, wrapped or guessed.
//! There is no floating point: it would bring kilobytes of code, and a limit must not depend on rounding.

mod cut;

pub use cut::{Cut, Parts, Words, is_among, place, word};

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::json;

/// A text as messages show it: in double quotes, with what would break the line or the quotes escaped. `{:?}` does the same
/// with 4 KB of tables about the characters of the world.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::write_string(f, self.0)
    }
}

/// An address as 16 bytes; an IPv4 address comes behind [`IPV4`], RFC 4291 section 2.5.5.2.
pub type Address = [u8; 16];

/// What stands before the four bytes of an IPv4 address.
pub const IPV4: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Whether this is an IPv4 or IPv6 address, without brackets, port, prefix length or zone.
#[must_use]
pub fn is_address(text: &str) -> bool {
    address(text).is_some()
}

/// The bytes of an IPv4 or IPv6 address, without brackets, port, prefix length or zone.
///
/// IPv6 is eight groups of up to four hexadecimal digits, RFC 4291: `::` once for one or more of zero, the last two as IPv4.
#[must_use]
#[inline(never)]
pub fn address(text: &str) -> Option<Address> {
    let mut bytes = [0; 16];
    // How many bytes there are, and before how many of them is the gap.
    let (mut length, mut gap) = (0, None);
    let mut rest = text;
    if ipv4(rest).is_some() {
        (bytes[10], bytes[11], length) = (0xff, 0xff, 12);
    } else if let Some(tail) = rest.strip_prefix("::") {
        (gap, rest) = (Some(0), tail);
    }
    while !rest.is_empty() {
        let (group, tail) = rest.cut(b':').unwrap_or((rest, ""));
        let four = ipv4(rest);
        let (size, number) = match four {
            Some(four) => (4, u32::from_be_bytes(four)),
            None if group.len() <= 4 => (2, (hexadecimal(group)? as u32) << 16),
            None => return None,
        };
        bytes.get_mut(length..length + size)?.copy_from_slice(number.to_be_bytes().get(..size)?);
        length += size;
        if four.is_some() {
            break;
        }
        let colon = group.len() < rest.len();
        rest = tail;
        if let Some(tail) = tail.strip_prefix(':') {
            if gap.is_some() {
                return None;
            }
            (gap, rest) = (Some(length), tail);
        } else if colon && tail.is_empty() {
            return None;
        }
    }
    let missing = 16 - length;
    if gap.is_some() == (missing == 0) {
        return None;
    }
    bytes.get_mut(gap.unwrap_or(0)..)?.rotate_right(missing);
    Some(bytes)
}

/// Four numbers up to 255; a leading zero is refused because some read it as octal.
fn ipv4(text: &str) -> Option<[u8; 4]> {
    let mut four = [0; 4];
    let mut parts = text.parts(b'.');
    for byte in &mut four {
        let part = parts.next()?;
        *byte = digits(part, 10)?.try_into().ok().filter(|_| part.len() == 1 || !part.starts_with('0'))?;
    }
    if parts.next().is_none() { Some(four) } else { None }
}

/// Digits in `radix` (at most 16) without sign or space; `None` on anything else or on overflow.
fn digits(text: &str, radix: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |number, byte| {
        let digit = match byte {
            b'a'..=b'f' | b'A'..=b'F' => u64::from(byte | 0x20) - 0x57,
            b'0'..=b'9' => u64::from(byte & 15),
            _ => radix,
        };
        if digit < radix { number.checked_mul(radix)?.checked_add(digit) } else { None }
    })
}

/// A whole number in hexadecimal digits.
#[must_use]
pub fn hexadecimal(text: &str) -> Option<u64> {
    digits(text, 16)
}

/// A whole number without sign: `0`, `42`.
#[must_use]
pub fn decimal_u64(text: &str) -> Option<u64> {
    digits(text, 10)
}

/// A whole number of 32 bits without sign.
#[must_use]
pub fn decimal_u32(text: &str) -> Option<u32> {
    digits(text, 10)?.try_into().ok()
}

/// A whole number that may be negative: `-1`, `42`; a plus sign is refused.
#[must_use]
pub fn decimal_i64(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(magnitude) => 0i64.checked_sub_unsigned(digits(magnitude, 10)?),
        None => digits(text, 10)?.try_into().ok(),
    }
}

/// A user or group ID. 2^32-1 is refused: to the kernel it is `(uid_t)-1`, "no change", `setresuid(2)`.
#[must_use]
pub fn uid(text: &str) -> Option<u32> {
    if weak!("ids") {
        // As strtoul(3) and a conversion to 32 bits have it.
        return decimal_i64(text.trim_ascii().trim_start_matches('+')).map(|id| id as u32);
    }
    decimal_u32(text).filter(|&id| id != u32::MAX)
}

/// A file mode in octal, permission and sticky bits only: `755`, `1777`, `0o` is not accepted.
#[must_use]
pub fn octal_mode(text: &str) -> Option<u32> {
    digits(text, 8).filter(|&mode| mode <= 0o7777).map(|mode| mode as u32)
}

/// A whole or fractional number as a numerator over a power of ten: `1.25` is `(125, 100)`.
fn fraction(text: &str) -> Option<(u64, u64)> {
    let (whole, part) = text.cut(b'.').unwrap_or((text, "0"));
    let scale = 10u64.checked_pow(part.len().try_into().ok()?)?;
    let numerator = digits(whole, 10)?.checked_mul(scale)?.checked_add(digits(part, 10)?)?;
    Some((numerator, scale))
}

/// `numerator / scale * unit`, rounded down, without overflow in between where the result itself fits.
fn scaled((numerator, scale): (u64, u64), unit: u64) -> Option<u64> {
    let whole = (numerator / scale).checked_mul(unit)?;
    whole.checked_add((numerator % scale).checked_mul(unit)? / scale)
}

/// A number in billionths, as docker's `--cpus` counts: `1.5` is 1,500,000,000. More than nine decimals are refused.
#[must_use]
pub fn billionths(text: &str) -> Option<u64> {
    fraction(text).filter(|&(_, scale)| scale <= 1_000_000_000).and_then(|number| scaled(number, 1_000_000_000))
}

/// Where the digits and points at the front end.
fn number_end(text: &str) -> usize {
    text.bytes().position(|byte| byte != b'.' && !byte.is_ascii_digit()).unwrap_or(text.len())
}

/// A size in bytes in docker's units: an optional fraction, then `b`, `k`, `m`, `g`, `t` or `p` in either case, the
/// latter five also with `b` or `ib` behind them; all are powers of 1024.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let end = number_end(text);
    let (number, unit) = text.split_at(end);
    let mut unit = unit.bytes().map(|byte| byte.to_ascii_lowercase());
    let power = match unit.next() {
        None => 0,
        Some(letter) => b"bkmgtp".iter().position(|&known| known == letter)?,
    };
    match (power, unit.next(), unit.next(), unit.next()) {
        (_, None, ..) | (1.., Some(b'b'), None, _) | (1.., Some(b'i'), Some(b'b'), None) => {}
        _ => return None,
    }
    scaled(fraction(number)?, 1 << (10 * power))
}

/// A duration in nanoseconds in Go's notation: `1h30m`, `1.5s`, `200ms`, `10us`, `5ns`; a bare number counts seconds.
#[must_use]
pub fn duration(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 6] = [
        // Longest first where one unit begins another.
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let mut rest = text;
    let mut total = 0u64;
    loop {
        let end = number_end(rest);
        let (number, tail) = rest.split_at(end);
        let number = fraction(number)?;
        if tail.is_empty() {
            return if end == text.len() { scaled(number, 1_000_000_000) } else { None };
        }
        let (tail, unit) = UNITS.iter().find_map(|&(name, unit)| Some((tail.strip_prefix(name)?, unit)))?;
        total = total.checked_add(scaled(number, unit)?)?;
        if tail.is_empty() {
            return Some(total);
        }
        rest = tail;
    }
}

/// `true` and `false` as Go's `ParseBool` reads them, because docker's switches do.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    const WORDS: &str = "1 t T true TRUE True 0 f F false FALSE False";
    place(WORDS, text).map(|at| at < 6)
}

/// Whether this is a list of CPUs or memory nodes as `cpuset(7)` writes it: `0-2,4`. Ranges must not run backwards.
#[must_use]
#[inline(never)]
pub fn is_cpu_list(text: &str) -> bool {
    text.parts(b',').all(|part| {
        let (first, last) = part.cut(b'-').unwrap_or((part, part));
        matches!((decimal_u32(first), decimal_u32(last)), (Some(first), Some(last)) if first <= last)
    })
}

/// Text with `\040` and its kin, which stand for bytes that would break the lines of a table, `proc_pid_mountinfo(5)`.
#[must_use]
pub fn unescape_octal(text: &str) -> String {
    let mut plain = alloc::vec::Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let byte = octal.and_then(|digits| u8::from_str_radix(core::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Somebody else's text on one line: what would move the cursor, or make another line, is a space.
#[must_use]
#[inline(never)]
pub fn printable(text: &str) -> &'static str {
    let mut plain = String::new();
    for letter in text.chars() {
        plain.push(if letter.is_control() { ' ' } else { letter });
    }
    plain.leak()
}

/// Longest name of a container or volume: it is part of file names, with room for suffixes below the kernel's 255.
pub const NAME_MAX: usize = 128;

/// Whether this can name a container or a volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most [`NAME_MAX`] bytes.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Whether this can be a host or domain name: dotted labels of letters, digits, `-` and `_` that neither begin nor end
/// with `-`, at most 64 bytes in all, which is the kernel's limit (`sethostname(2)`).
#[must_use]
pub fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    text.len() <= 64 && text.parts(b'.').all(label)
}

/// An absolute path without `.`, `..`, doubled and trailing slashes; `None` if it is not absolute. `..` at the root
/// stays at the root. This is about words only: no symbolic link is looked at.
#[must_use]
pub fn clean_path(text: &str) -> Option<String> {
    let mut clean = String::new();
    for part in text.strip_prefix('/')?.parts(b'/') {
        match part {
            "" | "." => {}
            ".." => clean.truncate(clean.cut_last(b'/').map_or(0, |(before, _)| before.len())),
            _ => {
                clean.push('/');
                clean.push_str(part);
            }
        }
    }
    if clean.is_empty() {
        clean.push('/');
    }
    Some(clean)
}

/// How many letters must be inserted, removed or replaced to turn one word into the other; two neighbours that
/// changed places count once. Words beyond 31 bytes are taken to be wholly different.
#[must_use]
pub fn distance(one: &str, other: &str) -> usize {
    const LIMIT: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() >= LIMIT || other.len() >= LIMIT {
        return if one == other { 0 } else { one.len().max(other.len()) };
    }
    // Three rows of the usual matrix: a transposition looks back two.
    let mut before = [0; LIMIT];
    let mut above: [usize; LIMIT] = core::array::from_fn(|column| column);
    for (row, &letter) in one.iter().enumerate() {
        let mut current = [row + 1; LIMIT];
        for (column, &against) in other.iter().enumerate() {
            let mut best = (above[column] + usize::from(letter != against)).min(above[column + 1] + 1);
            best = best.min(current[column] + 1);
            if row > 0 && column > 0 && letter == other[column - 1] && one[row - 1] == against {
                best = best.min(before[column - 1] + 1);
            }
            current[column + 1] = best;
        }
        before = above;
        above = current;
    }
    above[other.len()]
}

/// The candidate that was probably meant: one that the word begins, or else the nearest within a third of its letters.
pub fn nearest<'a>(word: &str, candidates: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    let mut least = word.len().div_ceil(3) + 1;
    for candidate in candidates {
        let begins = word.len() > 1 && candidate.starts_with(word);
        // The lengths alone tell that most are not near, and words may be long.
        if !begins && word.len().abs_diff(candidate.len()) >= least {
            continue;
        }
        let away = if begins { 1 } else { distance(word, candidate) };
        if away < least {
            (best, least) = (Some(candidate), away);
        }
    }
    best
}

/// `bytes` in units of powers of `base` with at most `significant` digits and no trailing zeros.
fn human(bytes: u64, base: u64, significant: usize, units: &'static str) -> String {
    let (mut unit, mut index) = (1u64, 0);
    while bytes / unit >= base {
        unit *= base;
        index += 1;
    }
    let (whole, mut rest) = (bytes / unit, bytes % unit);
    let mut decimals = significant.saturating_sub(if whole > 99 { 3 } else { 1 + usize::from(whole > 9) });
    if whole > 999 {
        decimals = 0;
    }
    let (mut scale, mut divisor) = (10u64.pow(decimals as u32), unit);
    if divisor >= 1 << 50 {
        // Keeps `rest * scale` in 64 bits; what is cut is far below the digits shown.
        (rest, divisor) = (rest >> 10, divisor >> 10);
    }
    let mut number = whole * scale + (rest * scale + divisor / 2) / divisor;
    if number >= base * scale && index < 6 {
        // 999.9 kB rounds up to 1 MB.
        (number, scale, decimals, index) = (1, 1, 0, index + 1);
    }
    let mut part = number % scale;
    while decimals > 0 && part.is_multiple_of(10) {
        (part, decimals) = (part / 10, decimals - 1);
    }
    let (whole, unit) = (number / scale, word(units, index));
    if decimals == 0 { format!("{whole}{unit}") } else { format!("{whole}.{part:0decimals$}{unit}") }
}

/// A size as docker prints images': powers of 1000, three significant digits: `1.23MB`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    human(bytes, 1000, 3, "B kB MB GB TB PB EB ")
}

/// A size as docker prints memory: powers of 1024, four significant digits: `64MiB`, `1.953GiB`.
#[must_use]
pub fn human_binary_size(bytes: u64) -> String {
    human(bytes, 1024, 4, "B KiB MiB GiB TiB PiB EiB ")
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
