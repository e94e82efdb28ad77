//! Sparse members: where their stored bytes belong in the file.
//!
//! GNU tar manual, "Storing Sparse Files": the old GNU format has the map in the header, pax formats 0.0 and 0.1 in the
//! extended header, 1.0 in front of the data.

use super::What;
use super::header::BLOCK;
use super::pax::decimal;
use alloc::vec::Vec;
use core::mem;

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

/// A map while it is read.
#[derive(Default)]
pub struct Map(Vec<Extent>);

impl Map {
    pub fn push(&mut self, extent: Extent) -> Result<(), What> {
        if self.0.len() == MAX_EXTENTS {
            return Err(phrase!("a sparse map of more than 65536 extents"));
        }
        self.0.push(extent);
        Ok(())
    }

    /// The extents that hold bytes, once they are known to be in order, inside the file and as long as what is stored.
    pub fn check(mut self, size: u64, stored: u64) -> Result<Vec<Extent>, What> {
        let (mut end, mut sum) = (0_u64, 0_u64);
        for extent in &self.0 {
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
        self.0.retain(|extent| extent.length != 0);
        Ok(self.0)
    }
}

/// What an extended header says in its `GNU.sparse.*` records.
#[derive(Default)]
pub struct Declared {
    pub name: Option<Vec<u8>>,
    present: bool,
    version: (Option<u64>, Option<u64>),
    size: Option<u64>,
    count: Option<u64>,
    map: Map,
    offset: Option<u64>,
}

/// Where a pax sparse member's map is.
pub enum Layout {
    Header(Map),
    Data,
}

impl Declared {
    /// Takes a record whose key went on with `key` behind `GNU.sparse.`.
    pub fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), What> {
        self.present = true;
        if key == b"name" {
            self.name = Some(value.to_vec());
            return Ok(());
        }
        if key == b"map" {
            return self.list(value);
        }
        let number = || decimal(value).ok_or(phrase!("a sparse record that is not a number"));
        match key {
            b"major" => self.version.0 = Some(number()?),
            b"minor" => self.version.1 = Some(number()?),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"numblocks" => self.count = Some(number()?),
            b"offset" if self.offset.is_some() => return Err(phrase!("a sparse offset without its length")),
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(phrase!("a sparse length without its offset"))?;
                self.map.push(Extent { offset, length: number()? })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Format 0.1: all offsets and lengths in one record, set apart by commas.
    fn list(&mut self, value: &[u8]) -> Result<(), What> {
        if !self.map.0.is_empty() {
            return Err(phrase!("two sparse maps for one member"));
        }
        if value.is_empty() {
            self.count = self.count.or(Some(0));
            return Ok(());
        }
        let mut numbers = value.split(|&byte| byte == b',').map(decimal);
        while let Some(offset) = numbers.next() {
            let extent =
                offset.zip(numbers.next().flatten()).ok_or(phrase!("a sparse map that is not pairs of numbers"))?;
            self.map.push(Extent { offset: extent.0, length: extent.1 })?;
        }
        Ok(())
    }

    /// The file's real size and where its map is; nothing if the records don't speak of a sparse member.
    pub fn layout(&mut self) -> Result<Option<(u64, Layout)>, What> {
        if !self.present {
            return Ok(None);
        }
        let size = self.size.ok_or(phrase!("a sparse member without its real size"))?;
        let extents = self.map.0.len();
        match self.version {
            (None, None) | (Some(0), Some(0 | 1)) => {
                let fits = self.count.map_or(extents != 0, |count| count == extents as u64);
                if !fits || self.offset.is_some() {
                    return Err(phrase!("a sparse member without its map, or with a part of it"));
                }
                Ok(Some((size, Layout::Header(mem::take(&mut self.map)))))
            }
            (Some(1), Some(0)) if extents == 0 => Ok(Some((size, Layout::Data))),
            (Some(1), Some(0)) => Err(phrase!("two sparse maps for one member")),
            _ => Err(phrase!("a sparse format that is not 0.0, 0.1 or 1.0")),
        }
    }
}

/// Reads the map of format 1.0: the number of extents, then offset and length of each, all decimal and ended by newlines.
#[derive(Default)]
pub struct Text {
    map: Map,
    count: Option<u64>,
    offset: Option<u64>,
    number: Option<u64>,
}

impl Text {
    /// Takes the next block of the map; returns whether the map is complete (the block's rest is then padding).
    pub fn feed(&mut self, block: &[u8; BLOCK]) -> Result<bool, What> {
        for &byte in block {
            match byte {
                b'0'..=b'9' => self.digit(byte - b'0')?,
                b'\n' => {
                    let number = self.number.take().ok_or(phrase!("a sparse map with an empty line"))?;
                    if self.line(number)? {
                        return Ok(true);
                    }
                }
                _ => return Err(phrase!("a sparse map that is not decimal numbers")),
            }
        }
        Ok(false)
    }

    fn digit(&mut self, digit: u8) -> Result<(), What> {
        let number = self.number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(digit as u64));
        self.number = Some(number.ok_or(phrase!("a sparse map beyond 2^64"))?);
        Ok(())
    }

    fn line(&mut self, number: u64) -> Result<bool, What> {
        let Some(count) = self.count else {
            self.count = Some(number);
            return if number > MAX_EXTENTS as u64 {
                Err(phrase!("a sparse map of more than 65536 extents"))
            } else {
                Ok(number == 0)
            };
        };
        match self.offset.take() {
            None => self.offset = Some(number),
            Some(offset) => self.map.push(Extent { offset, length: number })?,
        }
        Ok(self.map.0.len() as u64 == count)
    }

    pub fn into_map(self) -> Map {
        self.map
    }
}
