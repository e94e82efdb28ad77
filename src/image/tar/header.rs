//! One 512-byte header block: where its fields lie and how its numbers are written.

use super::sparse::{Extent, Map};
use super::{Kind, What};
use alloc::vec::Vec;
use core::ops::Range;

/// The unit of everything in a tar archive.
pub const BLOCK: usize = 512;

// POSIX pax(1), "ustar Interchange Format"; the first nine are as old as version 7's tar(5).
const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
// star(5): the prefix gives its end to two times, and a second magic closes the block.
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_MAGIC: Range<usize> = 508..512;
// GNU tar manual, "Basic Tar Format", struct oldgnu_header and struct sparse_header.
const GNU_MAP: Range<usize> = 386..482;
const GNU_MAP_GOES_ON: usize = 482;
const GNU_REAL_SIZE: Range<usize> = 483..495;
const GNU_MORE_MAP: Range<usize> = 0..504;
const GNU_MORE_MAP_GOES_ON: usize = 504;

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
        let (mut sum, mut negative) = (CHECKSUM.len() as i64 * b' ' as i64, 0);
        for &byte in self.0[..CHECKSUM.start].iter().chain(&self.0[CHECKSUM.end..]) {
            sum += byte as i64;
            negative += (byte >> 7) as i64;
        }
        match number(&self.0[CHECKSUM]) {
            Some(stored) if stored == sum || stored == sum - 256 * negative => Ok(()),
            _ => Err(phrase!("not a tar header: its checksum is wrong")),
        }
    }

    pub fn typeflag(&self) -> u8 {
        self.0[TYPE]
    }

    /// POSIX: a type that isn't known is a regular file.
    pub fn kind(&self) -> Kind {
        match self.typeflag() {
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' | b'D' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => Kind::File,
        }
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

    pub fn link(&self) -> Vec<u8> {
        until_nul(&self.0[LINK]).to_vec()
    }

    /// The permission bits; some writers put the whole `st_mode` into the field.
    pub fn mode(&self) -> Result<u32, What> {
        let mode = number(&self.0[MODE]).ok_or(phrase!("the mode is not a number"))?;
        Ok((mode & 0o7777) as u32)
    }

    pub fn uid(&self) -> Result<u32, What> {
        number(&self.0[UID]).and_then(owner).ok_or(phrase!("the user id is not a number from 0 to 4294967294"))
    }

    pub fn gid(&self) -> Result<u32, What> {
        number(&self.0[GID]).and_then(owner).ok_or(phrase!("the group id is not a number from 0 to 4294967294"))
    }

    pub fn size(&self) -> Result<u64, What> {
        length(&self.0[SIZE]).ok_or(phrase!("the size is not a number from 0 to 2^63-1"))
    }

    pub fn mtime(&self) -> Result<i64, What> {
        number(&self.0[MTIME]).ok_or(phrase!("the modification time is not a number"))
    }

    /// Major and minor number of a device; version 7's header has none.
    pub fn device(&self) -> Result<(u32, u32), What> {
        if self.format() == Format::V7 {
            return Ok((0, 0));
        }
        let part = |field: Range<usize>| number(&self.0[field]).and_then(|n| u32::try_from(n).ok());
        part(MAJOR).zip(part(MINOR)).ok_or(phrase!("the device number is not a number from 0 to 4294967295"))
    }

    /// The first part of an old GNU sparse map: the file's real size, and whether blocks with more of the map follow.
    pub fn gnu_sparse(&self, map: &mut Map) -> Result<(u64, bool), What> {
        if self.format() != Format::Gnu {
            return Err(phrase!("a member of type S that is not in GNU format"));
        }
        let size = length(&self.0[GNU_REAL_SIZE]).ok_or(phrase!("the sparse member's real size is not a number"))?;
        let goes_on = self.0[GNU_MAP_GOES_ON] != 0;
        gnu_extents(&self.0[GNU_MAP], goes_on, map)?;
        Ok((size, goes_on))
    }
}

/// Reads a block that continues an old GNU sparse map; returns whether another follows.
pub fn gnu_sparse_more(block: &[u8; BLOCK], map: &mut Map) -> Result<bool, What> {
    let goes_on = block[GNU_MORE_MAP_GOES_ON] != 0;
    gnu_extents(&block[GNU_MORE_MAP], goes_on, map)?;
    Ok(goes_on)
}

fn gnu_extents(entries: &[u8], goes_on: bool, map: &mut Map) -> Result<(), What> {
    for entry in entries.chunks_exact(24) {
        let (offset, size) = entry.split_at(12);
        if offset[0] == 0 || size[0] == 0 {
            // GNU tar stops here, Go's reader would take the following block for map: no writer makes that.
            return if goes_on { Err(phrase!("a sparse map that goes on after its end")) } else { Ok(()) };
        }
        let extent =
            length(offset).zip(length(size)).ok_or(phrase!("the sparse map holds something that is not a number"))?;
        map.push(Extent { offset: extent.0, length: extent.1 })?;
    }
    Ok(())
}

/// A user or group id; the last value means "don't change" to chown(2).
pub fn owner(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|&id| id != u32::MAX)
}

fn length(field: &[u8]) -> Option<u64> {
    number(field).and_then(|n| u64::try_from(n).ok())
}

/// What stands before the first NUL, or all of a field that is full.
pub fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A numeric field: octal digits, or base 256 when the first bit is set (GNU tar manual, "Extensions").
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
