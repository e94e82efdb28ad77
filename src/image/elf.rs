//! ELF files: which loader and which libraries a program asks for.
//!
//! The parser sees a file through a window, and trusts none of the numbers in it.
//!
//! # Source
//! elf(5); the System V ABI, "Program Header" and "Dynamic Section".

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::base::keep;
use crate::base::phrase::Phrase;

/// Bytes that are read at a time.
const WINDOW: usize = 4096;
/// The most entries of a table.
const ENTRIES: u64 = 1024;
/// The highest place.
const MOST: u64 = u64::MAX >> 2;
/// The longest name or list of directories.
const NAME: usize = 16 << 10;
/// `PT_LOAD`, `PT_DYNAMIC` and `PT_INTERP`.
const LOAD: u64 = 1;
const DYNAMIC: u64 = 2;
const INTERP: u64 = 3;

/// Reads bytes from an offset on; how many. There are fewer than asked for only where the file ends.
pub type Read<'a> = dyn FnMut(u64, &mut [u8]) -> usize + 'a;

/// What a program or a library says about itself. Like all that a command looks at once, it stays.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// Why this is no file that can be used, if so.
    pub wrong: Option<Phrase>,
    /// Word size and processor: only files with the same go together.
    pub kind: u64,
    /// `PT_INTERP`; empty if there is none.
    pub loader: &'static str,
    /// `DT_SONAME`, the name that it answers to.
    pub soname: &'static str,
    /// `DT_RPATH`; empty beside the other, as it then does not count, ld.so(8).
    pub rpath: &'static str,
    /// `DT_RUNPATH`.
    pub runpath: &'static str,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<&'static str>,
}

/// Takes a file apart; nothing if it is no ELF file.
pub fn parse(read: &mut Read<'_>) -> Option<&'static Elf> {
    let mut file =
        File { read, window: [0; WINDOW], start: 0, length: 0, width: 8, dynamic: 0, strings: 0, wrong: false };
    if file.number(0, 4) != u64::from(u32::from_le_bytes(*b"\x7fELF")) {
        return None;
    }
    let elf = Box::leak(Box::<Elf>::default());
    // Word size and byte order.
    match file.number(4, 2) {
        0x101 => file.width = 4,
        0x102 => {}
        _ => {
            elf.wrong = Some(phrase!("for a big-endian processor, or none that is known:"));
            return Some(elf);
        }
    }
    elf.kind = file.number(4, 1) << 16 | file.number(18, 2);
    let loader = file.segment(INTERP, u64::MAX);
    if loader != 0 {
        elf.loader = file.string(loader);
    }
    file.dynamic = file.segment(DYNAMIC, u64::MAX);
    // An address; the segments say where that lies in the file.
    let strings = file.tag(&mut 0, 5);
    if strings != 0 {
        file.strings = file.segment(LOAD, strings);
    }
    elf.soname = file.name(&mut 0, 14);
    elf.runpath = file.name(&mut 0, 29);
    if elf.runpath.is_empty() {
        elf.rpath = file.name(&mut 0, 15);
    }
    let mut at = 0;
    loop {
        let name = file.name(&mut at, 1);
        if name.is_empty() {
            break;
        }
        elf.needed.push(name);
    }
    if file.wrong {
        elf.wrong = Some(phrase!("an ELF file that is cut short, or with a table that makes no sense:"));
    }
    Some(elf)
}

struct File<'a, 'b> {
    read: &'a mut Read<'b>,
    window: [u8; WINDOW],
    /// Where the window is, and how much of it there is.
    start: u64,
    length: usize,
    /// A word's size. What is of one moves all that comes behind it.
    width: u64,
    /// Where the dynamic section is, or 0.
    dynamic: u64,
    /// Where the names are.
    strings: u64,
    /// Whether something was looked for where there is nothing.
    wrong: bool,
}

impl File<'_, '_> {
    fn byte(&mut self, at: u64) -> u8 {
        if at.wrapping_sub(self.start) >= self.length as u64 {
            self.start = at;
            self.length = (self.read)(at, &mut self.window);
        }
        let byte = self.window[..self.length].get((at - self.start) as usize);
        self.wrong |= byte.is_none();
        byte.copied().unwrap_or_default()
    }

    /// A little-endian number.
    #[inline(never)]
    fn number(&mut self, at: u64, width: u64) -> u64 {
        let mut number = 0;
        for place in 0..width {
            number |= u64::from(self.byte(at + place)) << (8 * place);
        }
        number
    }

    /// A number of a word's size. No file and no program is so large that the sum of three overflows.
    fn word(&mut self, at: u64) -> u64 {
        let number = self.number(at, self.width);
        self.wrong |= number > MOST;
        number & MOST
    }

    /// Where the first segment of a kind is in the file, or an address that lies in it; 0 if there is none.
    #[inline(never)]
    fn segment(&mut self, kind: u64, address: u64) -> u64 {
        let width = self.width;
        let mut at = self.word(24 + width);
        for _ in 0..self.number(32 + 3 * width, 2).min(ENTRIES) {
            if self.wrong {
                // Behind the file's end each byte is a read.
                break;
            }
            let inside = if address > MOST { 0 } else { address.wrapping_sub(self.word(at + 2 * width)) };
            if self.number(at, 4) == kind && inside < self.word(at + 4 * width) {
                return self.word(at + width) + inside;
            }
            at += self.number(30 + 3 * width, 2);
        }
        0
    }

    /// The next value of a tag in the dynamic section; 0 if there is none.
    #[inline(never)]
    fn tag(&mut self, at: &mut u64, wanted: u64) -> u64 {
        while self.dynamic != 0 && !self.wrong {
            let entry = self.dynamic + 2 * self.width * *at;
            *at += 1;
            let tag = self.word(entry);
            if tag == wanted {
                return self.word(entry + self.width);
            }
            if tag == 0 || *at > ENTRIES {
                self.wrong |= tag != 0;
                break;
            }
        }
        0
    }

    /// The next name that a tag stands for; empty if there is none.
    #[inline(never)]
    fn name(&mut self, at: &mut u64, tag: u64) -> &'static str {
        let name = self.tag(at, tag);
        if name == 0 {
            return "";
        }
        self.wrong |= self.strings == 0;
        self.string(self.strings + name)
    }

    /// A text that a zero byte ends.
    #[inline(never)]
    fn string(&mut self, at: u64) -> &'static str {
        let mut bytes = Vec::new();
        while bytes.len() < NAME {
            match self.byte(at + bytes.len() as u64) {
                0 => return keep::lossy(&bytes),
                byte => bytes.push(byte),
            }
        }
        self.wrong = true;
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of fields, each a number and how many bytes it has.
    fn file(fields: &[(u64, usize)], strings: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, width) in fields {
            bytes.extend_from_slice(&number.to_le_bytes()[..*width]);
        }
        bytes.extend_from_slice(strings);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<&'static Elf> {
        parse(&mut |offset, buffer| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    const NAMES: &[u8] = b"\0libx.so.1\0liby.so\0/one:$ORIGIN\0/ld.so\0me\0";

    /// A 32-bit file: header, two segments and the dynamic section behind the third, names at the end.
    fn narrow(tag: u64) -> Vec<u8> {
        let (table, dynamic, names) = (52, 52 + 3 * 32, 52 + 3 * 32 + 7 * 8);
        #[rustfmt::skip]
        let fields = [
            // e_ident: magic, 32 bits, little endian, version
            (0x464c_457f, 4), (1, 1), (1, 1), (1, 1), (0, 8), (0, 1),
            // ET_DYN, EM_386, version, entry, e_phoff, e_shoff, flags, e_ehsize, e_phentsize, e_phnum, sections
            (3, 2), (3, 2), (1, 4), (0, 4), (table, 4), (0, 4), (0, 4), (52, 2), (32, 2), (3, 2), (0, 6),
            // PT_LOAD: type, offset, address, physical, size in the file, in memory, flags, alignment
            (1, 4), (0, 4), (0x0804_8000, 4), (0, 4), (names + 64, 4), (names + 64, 4), (5, 4), (4096, 4),
            // PT_INTERP and PT_DYNAMIC
            (3, 4), (names + 32, 4), (0, 4), (0, 4), (7, 4), (7, 4), (4, 4), (1, 4),
            (2, 4), (dynamic, 4), (0, 4), (0, 4), (7 * 8, 4), (7 * 8, 4), (6, 4), (4, 4),
            // DT_NEEDED twice, DT_STRTAB, DT_SONAME, a list of directories, DT_DEBUG, DT_NULL
            (1, 4), (1, 4), (1, 4), (11, 4), (5, 4), (0x0804_8000 + names, 4), (14, 4), (39, 4), (tag, 4), (19, 4),
            (21, 4), (u64::from(u32::MAX), 4), (0, 8),
        ];
        file(&fields, NAMES)
    }

    #[test]
    fn a_32_bit_file_is_read() {
        let elf = read(&narrow(15)).unwrap();
        let expected = Elf {
            wrong: None,
            kind: 1 << 16 | 3,
            loader: "/ld.so",
            soname: "me",
            rpath: "/one:$ORIGIN",
            runpath: "",
            needed: ["libx.so.1", "liby.so"].into(),
        };
        assert_eq!(*elf, expected);
        let elf = read(&narrow(29)).unwrap();
        assert_eq!((elf.rpath, elf.runpath), ("", "/one:$ORIGIN"));
    }

    #[test]
    fn wherever_it_is_cut_or_changed_it_is_read_or_refused() {
        let whole = narrow(15);
        for length in 0..whole.len() {
            let elf = read(&whole[..length]);
            assert!(if length < 4 { elf.is_none() } else { elf.unwrap().wrong.is_some() }, "{length}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = read(&bytes);
            }
        }
    }

    #[test]
    fn names_without_a_table_of_names_are_refused() {
        let mut bytes = narrow(15);
        // The segment that is mapped lies at address 0, and begins in the middle of the file.
        bytes[56] = 64;
        bytes[60..64].fill(0);
        let table = 52 + 3 * 32 + 2 * 8;
        assert_eq!(bytes[table], 5);
        bytes[table] = 0x50;
        assert!(read(&bytes).unwrap().wrong.is_some());
    }

    #[test]
    fn a_table_behind_the_end_is_not_looked_for_entry_by_entry() {
        let mut bytes = narrow(15);
        (bytes[44], bytes[45]) = (0xff, 0xff);
        bytes.truncate(52);
        let mut reads = 0;
        let elf = parse(&mut |offset, buffer| {
            reads += 1;
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        });
        assert!(elf.unwrap().wrong.is_some() && reads < 200, "{reads}");
    }

    #[test]
    fn other_files_are_none_and_other_processors_are_refused() {
        assert_eq!(read(b"#!/bin/sh\n"), None);
        let mut bytes = narrow(15);
        bytes[5] = 2;
        assert!(read(&bytes).unwrap().wrong.unwrap().text().contains("big-endian"));
    }
}
