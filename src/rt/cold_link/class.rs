//! Where object files and programs have what: those of 64 bits and those of 32, lowest byte first.
//!
//! # Source
//! `elf.h`.

/// Where a number is, and its bytes.
pub type Field = (usize, usize);

/// A file's machine; the kind of a segment; the name of a section or symbol, and the kind of a section.
pub const MACHINE: Field = (0x12, 2);
pub const SEGMENT_KIND: Field = (0, 4);
pub const NAME: Field = (0, 4);
pub const KIND: Field = (4, 4);

/// Where what is.
pub struct Class {
    /// The file's header: where the headers of segments and of sections are, how many there are, and which section has their names.
    pub segments: Field,
    pub segment_count: Field,
    pub sections: Field,
    pub section_count: Field,
    pub section_names: Field,
    /// A section's header: its bytes, and what they hold besides the name and the kind.
    pub header: usize,
    pub flags: Field,
    pub address: Field,
    pub place: Field,
    pub size: Field,
    pub link: Field,
    pub info: Field,
    pub align: Field,
    pub entry: Field,
    /// A segment's header likewise, besides the kind.
    pub segment: usize,
    pub segment_flags: Field,
    pub segment_place: Field,
    pub segment_address: Field,
    pub segment_physical: Field,
    pub segment_size: Field,
    pub segment_memory: Field,
    pub segment_align: Field,
    /// A symbol: its bytes, its kind with its visibility, its section, its value.
    pub symbol: usize,
    pub symbol_info: Field,
    pub symbol_section: Field,
    pub symbol_value: Field,
    /// `SHT_RELA` or `SHT_REL`; a relocation: its bytes, and what they hold.
    pub relocations: u32,
    pub relocation: usize,
    pub relocation_place: Field,
    pub relocation_kind: Field,
    pub relocation_symbol: Field,
    /// None where it is what the relocation is for that holds it.
    pub addend: Option<Field>,
}

pub static ELF64: Class = Class {
    segments: (0x20, 8),
    segment_count: (0x38, 2),
    sections: (0x28, 8),
    section_count: (0x3c, 2),
    section_names: (0x3e, 2),
    header: 64,
    flags: (8, 8),
    address: (16, 8),
    place: (24, 8),
    size: (32, 8),
    link: (40, 4),
    info: (44, 4),
    align: (48, 8),
    entry: (56, 8),
    segment: 56,
    segment_flags: (4, 4),
    segment_place: (8, 8),
    segment_address: (16, 8),
    segment_physical: (24, 8),
    segment_size: (32, 8),
    segment_memory: (40, 8),
    segment_align: (48, 8),
    symbol: 24,
    symbol_info: (4, 2),
    symbol_section: (6, 2),
    symbol_value: (8, 8),
    relocations: 4,
    relocation: 24,
    relocation_place: (0, 8),
    relocation_kind: (8, 4),
    relocation_symbol: (12, 4),
    addend: Some((16, 8)),
};

pub static ELF32: Class = Class {
    segments: (0x1c, 4),
    segment_count: (0x2c, 2),
    sections: (0x20, 4),
    section_count: (0x30, 2),
    section_names: (0x32, 2),
    header: 40,
    flags: (8, 4),
    address: (12, 4),
    place: (16, 4),
    size: (20, 4),
    link: (24, 4),
    info: (28, 4),
    align: (32, 4),
    entry: (36, 4),
    segment: 32,
    segment_flags: (24, 4),
    segment_place: (4, 4),
    segment_address: (8, 4),
    segment_physical: (12, 4),
    segment_size: (16, 4),
    segment_memory: (20, 4),
    segment_align: (28, 4),
    symbol: 16,
    symbol_info: (12, 2),
    symbol_section: (14, 2),
    symbol_value: (4, 4),
    relocations: 9,
    relocation: 8,
    relocation_place: (0, 4),
    relocation_kind: (4, 1),
    relocation_symbol: (5, 3),
    addend: None,
};

impl Class {
    /// That of a file; none of one that is no such file.
    pub fn of(bytes: &[u8]) -> Option<&'static Self> {
        match bytes.get(..6)? {
            b"\x7fELF\x02\x01" => Some(&ELF64),
            b"\x7fELF\x01\x01" => Some(&ELF32),
            _ => None,
        }
    }
}

/// The number in a field.
pub fn get(bytes: &[u8], (at, size): Field) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Puts a number in a field.
pub fn put(bytes: &mut [u8], (at, size): Field, number: u64) {
    bytes[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
}
