//! One 512-byte header block: where its fields lie and how its numbers are written.

use super::sparse::{Extent, push};
use super::{Kind, What};
use alloc::vec::Vec;
use core::ops::Range;

/// The unit of everything in a tar archive.
pub const BLOCK: usize = 512;

/// A field that holds a number.
pub struct Field {
    /// Where it begins, and how many bytes it has.
    pub at: usize,
    pub width: usize,
    /// What is accepted.
    least: i64,
    most: i64,
    /// What to say of anything else.
    what: What,
}

impl Field {
    const fn new(at: usize, width: usize, (least, most): (i64, i64), what: What) -> Field {
        Field { at, width, least, most, what }
    }
}

// POSIX pax(1), "ustar Interchange Format"; the fields up to the link are as old as version 7's tar(5).
const NAME: Range<usize> = 0..100;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;
// star(5): the prefix gives its end to two times, and a second magic closes the block.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MAGIC: Range<usize> = 508..512;
// GNU tar manual, "Basic Tar Format", struct oldgnu_header and struct sparse_header: a part of the map, and whether it goes on.
pub const GNU_MAP: Range<usize> = 386..483;
pub const GNU_MORE_MAP: Range<usize> = 0..505;

/// Any number that a field can hold.
const ANY: (i64, i64) = (i64::MIN, i64::MAX);
/// A user or group id; the last value means "don't change" to chown(2).
const ID: (i64, i64) = (0, u32::MAX as i64 - 1);
/// A part of a device number.
const PART: (i64, i64) = (0, u32::MAX as i64);
const LENGTH: (i64, i64) = (0, i64::MAX);

/// What extended headers may say in the place of the header, in the order of their keys.
#[rustfmt::skip]
pub const FIELDS: [Field; 4] = [
    Field::new(124, 12, LENGTH, phrase!("the size is not a number from 0 to 2^63-1")),
    Field::new(108,  8, ID,     phrase!("the user id is not a number from 0 to 4294967294")),
    Field::new(116,  8, ID,     phrase!("the group id is not a number from 0 to 4294967294")),
    Field::new(136, 12, ANY,    phrase!("the modification time is not a number")),
];
pub const CHECKSUM: Field = Field::new(148, 8, ANY, phrase!("not a tar header: its checksum is wrong"));
/// Where its digits are written.
pub const CHECKSUM_DIGITS: Field = Field { width: 7, ..CHECKSUM };
pub const MODE: Field = Field::new(100, 8, ANY, phrase!("the mode is not a number"));
pub const MAJOR: Field = Field::new(329, 8, PART, phrase!("the device number is not a number from 0 to 4294967295"));
pub const MINOR: Field = Field::new(337, 8, PART, phrase!("the device number is not a number from 0 to 4294967295"));
pub const GNU_REAL_SIZE: Field = Field::new(483, 12, LENGTH, phrase!("the sparse member's real size is not a number"));

/// Who defined what lies behind the version 7 fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header block.
pub struct Header(pub [u8; BLOCK]);

impl Header {
    fn format(&self) -> Format {
        match &self.0[MAGIC] {
            b"ustar  \0" => Format::Gnu,
            // The version behind the magic is not looked at: writers put 00, NULs or spaces there.
            [b'u', b's', b't', b'a', b'r', 0, ..] if &self.0[STAR_MAGIC] == b"tar\0" => Format::Star,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
            _ => Format::V7,
        }
    }

    /// The sum of all bytes with the checksum's own taken as blanks. Some old writers summed signed characters.
    pub fn verify(&self) -> Result<(), What> {
        let (mut sum, mut negative) = (CHECKSUM.width as i64 * b' ' as i64, 0);
        let (before, behind) = (&self.0[..CHECKSUM.at], &self.0[CHECKSUM.at + CHECKSUM.width..]);
        for &byte in before.iter().chain(behind) {
            sum += byte as i64;
            negative += (byte >> 7) as i64;
        }
        let stored = self.number(&CHECKSUM)?;
        if stored == sum || stored == sum - 256 * negative { Ok(()) } else { Err(CHECKSUM.what) }
    }

    pub fn typeflag(&self) -> u8 {
        self.0[TYPE]
    }

    /// POSIX: a type that isn't known is a regular file.
    pub fn kind(&self) -> Kind {
        const KINDS: [Kind; 7] = [
            Kind::File,
            Kind::HardLink,
            Kind::Symlink,
            Kind::CharDevice,
            Kind::BlockDevice,
            Kind::Directory,
            Kind::Fifo,
        ];
        let flag = if self.typeflag() == b'D' { b'5' } else { self.typeflag() };
        KINDS.get(flag.wrapping_sub(b'0') as usize).copied().unwrap_or_default()
    }

    pub fn path(&self) -> Vec<u8> {
        let prefix = match self.format() {
            Format::Ustar => until_nul(&self.0[PREFIX]),
            Format::Star => until_nul(&self.0[STAR_PREFIX]),
            Format::V7 | Format::Gnu => &[],
        };
        let mut path = prefix.to_vec();
        if !prefix.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(until_nul(&self.0[NAME]));
        path
    }

    pub fn link(&self) -> &[u8] {
        until_nul(&self.0[LINK])
    }

    /// A number.
    #[inline(never)]
    pub fn number(&self, field: &Field) -> Result<i64, What> {
        match number(&self.0[field.at..field.at + field.width]) {
            Some(number) if (field.least..=field.most).contains(&number) => Ok(number),
            _ => Err(field.what),
        }
    }

    /// Version 7's header has no device numbers.
    pub fn has_device(&self) -> bool {
        self.format() != Format::V7
    }

    pub fn is_gnu(&self) -> bool {
        self.format() == Format::Gnu
    }
}

/// Reads a part of an old GNU sparse map, and the byte behind it: whether another block with more follows.
#[inline(never)]
pub fn gnu_extents(part: &[u8], map: &mut Vec<Extent>) -> Result<bool, What> {
    let goes_on = part.last().is_some_and(|last| *last != 0);
    for entry in part.chunks_exact(24) {
        let (offset, size) = entry.split_at(12);
        if offset[0] == 0 || size[0] == 0 {
            // GNU tar stops here, Go's reader would take the following block for map: no writer makes that.
            return if goes_on { Err(phrase!("a sparse map that goes on after its end")) } else { Ok(false) };
        }
        let (Some(offset @ 0..), Some(length @ 0..)) = (number(offset), number(size)) else {
            return Err(phrase!("the sparse map holds something that is not a number"));
        };
        push(map, offset as u64, length as u64)?;
    }
    Ok(goes_on)
}

/// What stands before the first NUL, or all of a field that is full.
pub fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A numeric field: octal digits, or base 256 when the first bit is set (GNU tar manual, "Extensions").
#[inline(never)]
fn number(field: &[u8]) -> Option<i64> {
    match field {
        [first, ..] if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

/// Blanks or NULs may lead, one of them ends the digits, what follows is ignored; nothing at all is 0.
fn octal(field: &[u8]) -> Option<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let mut value = 0_i64;
    for byte in field[start..].iter().take_while(|byte| !blank(byte)) {
        let digit = byte.checked_sub(b'0').filter(|&digit| digit < 8)?;
        // Twelve digits at most: 36 bits.
        value = value << 3 | digit as i64;
    }
    Some(value)
}

/// Big-endian two's complement of the field's width less the marker bit, so the second bit is the sign.
fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value = if negative { -1_i64 } else { 0 };
    for (place, &byte) in field.iter().enumerate() {
        let byte = match place {
            0 if negative => byte | 0x80,
            0 => byte & 0x7f,
            _ => byte,
        };
        value = value.checked_mul(256)? | byte as i64;
    }
    Some(value)
}
