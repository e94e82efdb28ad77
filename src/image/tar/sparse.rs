//! Sparse members: where their stored bytes belong in the file.
//!
//! GNU tar manual, "Storing Sparse Files": the old GNU format has the map in the header, pax formats 0.0 and 0.1 in the
//! extended header, 1.0 in front of the data.

use super::What;
use super::header::BLOCK;
use super::pax::decimal;
use crate::base::text;
use alloc::vec::Vec;

/// More extents than this are refused: a map must not become a way to eat memory.
const MAX_EXTENTS: usize = 1 << 16;

/// A run of stored bytes of a sparse member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the bytes belong in the file.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
}

/// Adds to a map.
#[inline(never)]
pub fn push(map: &mut Vec<Extent>, offset: u64, length: u64) -> Result<(), What> {
    if map.len() == MAX_EXTENTS {
        return Err(phrase!("a sparse map of more than 65536 extents"));
    }
    map.push(Extent { offset, length });
    Ok(())
}

/// Leaves the extents that hold bytes, once they are known to be in order, inside the file and as long as what is stored.
#[inline(never)]
pub fn check(map: &mut Vec<Extent>, size: u64, stored: u64) -> Result<(), What> {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for extent in &*map {
        if extent.offset < end {
            return Err(phrase!("a sparse map out of order"));
        }
        end = extent.offset.checked_add(extent.length).ok_or(phrase!("a sparse map beyond 2^64"))?;
        // Extents don't overlap, so their sum is at most `end`.
        sum += extent.length;
    }
    if end > size {
        return Err(phrase!("a sparse map that goes beyond the file's end"));
    }
    if sum != stored {
        return Err(phrase!("a sparse map that does not fit the size of the stored data"));
    }
    // GNU tar ends a map with an empty extent to say where the file ends; the size says so too.
    map.retain(|extent| extent.length != 0);
    Ok(())
}

/// Keys behind `GNU.sparse.`, the first of which have numbers that are kept.
const KEYS: &str = "major minor size numblocks offset numbytes realsize name map";
const MAJOR: usize = 0;
const MINOR: usize = 1;
const SIZE: usize = 2;
const COUNT: usize = 3;
const OFFSET: usize = 4;
const LENGTH: usize = 5;
const REAL_SIZE: usize = 6;
const NAME: usize = 7;
const MAP: usize = 8;

/// Where a pax sparse member's map is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// There is none: it is no sparse member.
    #[default]
    Nowhere,
    /// In the extended header: format 0.0 or 0.1.
    Header,
    /// In front of the data: format 1.0.
    Data,
}

/// What an extended header says in its `GNU.sparse.*` records.
#[derive(Default)]
pub struct Declared {
    /// Empty if it is not said.
    pub name: Vec<u8>,
    pub map: Vec<Extent>,
    /// Known after [`Declared::find`].
    pub place: Place,
    pub size: u64,
    present: bool,
    numbers: [Option<u64>; OFFSET + 1],
}

impl Declared {
    /// Takes a record whose key went on with `key` behind `GNU.sparse.`.
    #[inline(never)]
    pub fn record(&mut self, key: &str, value: &[u8]) -> Result<(), What> {
        self.present = true;
        let Some(place) = text::place(KEYS, key) else { return Ok(()) };
        if place == NAME {
            self.name = value.to_vec();
            return Ok(());
        }
        if place == MAP {
            return self.list(value);
        }
        let number = decimal(value).ok_or(phrase!("a sparse record that is not a number"))?;
        match place {
            LENGTH => {
                let offset = self.numbers[OFFSET].take().ok_or(phrase!("a sparse length without its offset"))?;
                push(&mut self.map, offset, number)?;
            }
            OFFSET if self.numbers[OFFSET].is_some() => return Err(phrase!("a sparse offset without its length")),
            REAL_SIZE => self.numbers[SIZE] = Some(number),
            place => self.numbers[place] = Some(number),
        }
        Ok(())
    }

    /// Format 0.1: all offsets and lengths in one record, set apart by commas.
    fn list(&mut self, value: &[u8]) -> Result<(), What> {
        if !self.map.is_empty() {
            return Err(phrase!("two sparse maps for one member"));
        }
        if value.is_empty() {
            self.numbers[COUNT] = self.numbers[COUNT].or(Some(0));
            return Ok(());
        }
        let mut numbers = value.split(|&byte| byte == b',').map(decimal);
        while let Some(offset) = numbers.next() {
            let (Some(offset), Some(length)) = (offset, numbers.next().flatten()) else {
                return Err(phrase!("a sparse map that is not pairs of numbers"));
            };
            push(&mut self.map, offset, length)?;
        }
        Ok(())
    }

    /// Finds out where the map is, and the file's real size.
    pub fn find(&mut self) -> Result<(), What> {
        if !self.present {
            return Ok(());
        }
        self.size = self.numbers[SIZE].ok_or(phrase!("a sparse member without its real size"))?;
        let extents = self.map.len();
        self.place = match (self.numbers[MAJOR], self.numbers[MINOR]) {
            (None, None) | (Some(0), Some(0 | 1)) => {
                let fits = self.numbers[COUNT].map_or(extents != 0, |count| count == extents as u64);
                if !fits || self.numbers[OFFSET].is_some() {
                    return Err(phrase!("a sparse member without its map, or with a part of it"));
                }
                Place::Header
            }
            (Some(1), Some(0)) if extents == 0 => Place::Data,
            (Some(1), Some(0)) => return Err(phrase!("two sparse maps for one member")),
            _ => return Err(phrase!("a sparse format that is not 0.0, 0.1 or 1.0")),
        };
        Ok(())
    }
}

/// Reads the map of format 1.0: the number of extents, then offset and length of each, all decimal and ended by newlines.
#[derive(Default)]
pub struct Text {
    /// The lines so far.
    numbers: Vec<u64>,
    /// What was read of the next.
    number: Option<u64>,
}

impl Text {
    /// Takes the next block of the map; returns whether the map is complete (the block's rest is then padding).
    #[inline(never)]
    pub fn feed(&mut self, block: &[u8; BLOCK], map: &mut Vec<Extent>) -> Result<bool, What> {
        for &byte in block {
            if byte.is_ascii_digit() {
                let digit = (byte - b'0') as u64;
                let number = self.number.unwrap_or(0).checked_mul(10).and_then(|number| number.checked_add(digit));
                self.number = Some(number.ok_or(phrase!("a sparse map beyond 2^64"))?);
                continue;
            }
            if byte != b'\n' {
                return Err(phrase!("a sparse map that is not decimal numbers"));
            }
            self.numbers.push(self.number.take().ok_or(phrase!("a sparse map with an empty line"))?);
            if let [count, numbers @ ..] = &*self.numbers {
                if *count > MAX_EXTENTS as u64 {
                    return Err(phrase!("a sparse map of more than 65536 extents"));
                }
                if let (pairs, []) = numbers.as_chunks::<2>()
                    && pairs.len() as u64 == *count
                {
                    for &[offset, length] in pairs {
                        push(map, offset, length)?;
                    }
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
