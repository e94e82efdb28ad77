//! Object files of 64 bits, lowest byte first: what refers to what, and how to have it refer to something else.
//!
//! # Source
//! The System V ABI, "Object Files"; `elf.h`; the processor supplements, "Relocation".

use std::collections::BTreeMap;

/// `SHT_PROGBITS`, `SHT_SYMTAB`, `SHT_RELA`, `SHT_NOBITS`.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const RELA: u32 = 4;
const NOBITS: u32 = 8;
/// `SHF_WRITE`, `SHF_ALLOC`, `SHF_EXECINSTR`, `SHF_MERGE`, `SHF_STRINGS`.
const WRITE: u64 = 1;
const ALLOC: u64 = 2;
const EXECUTE: u64 = 4;
const MERGE: u64 = 16;
const STRINGS: u64 = 32;
/// `STT_FUNC`.
const FUNCTION: u8 = 2;
/// `STB_GLOBAL` with `STT_NOTYPE`, and `STV_HIDDEN`.
const GLOBAL: u8 = 1 << 4;
const HIDDEN: u8 = 2;
/// `EM_X86_64`, `EM_AARCH64`.
pub const X86_64: u64 = 62;
const AARCH64: u64 = 183;

/// The bytes of a section's header, a symbol and a relocation.
const HEADER: usize = 64;
const SYMBOL: usize = 24;
const RELOCATION: usize = 24;

/// A section.
pub struct Section {
    pub name: String,
    flags: u64,
    is_data: bool,
    pub size: u64,
    /// Others may refer to it.
    pub is_root: bool,
    /// What the first symbol in it is called, functions before data.
    pub symbol: String,
    pub is_function: bool,
    pub refers: Vec<Reference>,
}

impl Section {
    /// Whether it can be moved: nobody writes to it, and it has its bytes for itself.
    pub fn fits(&self) -> bool {
        let own = self.flags & MERGE == 0 || self.name.matches('.').count() > 3;
        self.is_data && self.flags & (ALLOC | WRITE) == ALLOC && own
    }

    /// Whether it takes room where the program runs: tables for unwinding are discarded.
    pub fn is_there(&self) -> bool {
        self.is_data && self.flags & ALLOC != 0 && self.name != ".eh_frame"
    }
}

/// A relocation.
pub struct Reference {
    pub target: Target,
    /// Where it is in the file.
    at: usize,
    /// How far from the target's beginning it leads.
    pub offset: i64,
}

/// What a relocation refers to: a section of the same object, or a name.
#[derive(Clone)]
pub enum Target {
    Section(usize),
    Name(String),
}

/// An object file.
pub struct Object {
    bytes: Vec<u8>,
    headers: Vec<[u8; HEADER]>,
    pub sections: Vec<Section>,
    pub machine: u64,
}

pub fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub fn put(bytes: &mut [u8], at: usize, size: usize, number: u64) {
    bytes[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
}

fn name(strings: &[u8], at: u64) -> String {
    let rest = &strings[at as usize..];
    String::from_utf8_lossy(&rest[..rest.iter().position(|byte| *byte == 0).unwrap_or(0)]).into_owned()
}

/// What a relocation adds because the processor counts from behind the field: four bytes for distances on x86.
fn bias(machine: u64, kind: u64) -> i64 {
    if machine == X86_64 && matches!(kind, 2 | 4 | 9 | 41 | 42) { -4 } else { 0 }
}

impl Object {
    /// Reads it, and adds the names that it defines; nothing of a file of another kind, or for another processor.
    pub fn read(bytes: Vec<u8>, file: usize, defined: &mut BTreeMap<String, (usize, usize)>) -> Self {
        let mut object = Self { headers: Vec::new(), sections: Vec::new(), machine: 0, bytes };
        if !object.bytes.starts_with(b"\x7fELF\x02\x01") {
            return object;
        }
        object.machine = number(&object.bytes, 0x12, 2);
        if !matches!(object.machine, X86_64 | AARCH64) {
            return object;
        }
        let (at, count) = (number(&object.bytes, 0x28, 8) as usize, number(&object.bytes, 0x3c, 2) as usize);
        object.headers = object.bytes[at..].as_chunks().0[..count].to_vec();
        let names = object.content(number(&object.bytes, 0x3e, 2) as usize);
        let sections = object.headers.iter().map(|header| Section {
            name: name(names, number(header, 0, 4)),
            flags: number(header, 8, 8),
            is_data: number(header, 4, 4) == u64::from(PROGBITS),
            size: number(header, 32, 8),
            is_root: false,
            symbol: String::new(),
            is_function: false,
            refers: Vec::new(),
        });
        let mut sections: Vec<Section> = sections.collect();
        let of = &object;
        let tables = |kind| (0..count).filter(move |index| of.field(*index, 4, 4) == u64::from(kind));
        for index in tables(SYMTAB) {
            let strings = object.content(object.field(index, 40, 4) as usize);
            for symbol in object.content(index).chunks_exact(SYMBOL) {
                let (info, place) = (symbol[4], number(symbol, 6, 2) as usize);
                let called = name(strings, number(symbol, 0, 4));
                if place == 0 || place >= count {
                    continue;
                }
                let section = &mut sections[place];
                let is_function = info & 15 == FUNCTION;
                // Names that begin like this mark what is code and what data on ARM.
                if !called.is_empty()
                    && !called.starts_with('$')
                    && (section.symbol.is_empty() || is_function && !section.is_function)
                {
                    section.symbol.clone_from(&called);
                    section.is_function = is_function;
                }
                // What others may refer to.
                if info >> 4 != 0 {
                    section.is_root = true;
                    defined.insert(called, (file, place));
                }
            }
        }
        for index in tables(RELA) {
            let (symbols, of) = (object.field(index, 40, 4) as usize, object.field(index, 44, 4) as usize);
            let strings = object.content(object.field(symbols, 40, 4) as usize);
            let start = object.field(index, 24, 8) as usize;
            for (place, relocation) in object.content(index).chunks_exact(RELOCATION).enumerate() {
                let kind = number(relocation, 8, 4);
                let symbol = &object.content(symbols)[SYMBOL * number(relocation, 12, 4) as usize..][..SYMBOL];
                let (target, value) = match number(symbol, 6, 2) as usize {
                    0 => (Target::Name(name(strings, number(symbol, 0, 4))), 0),
                    section => (Target::Section(section), number(symbol, 8, 8) as i64),
                };
                let offset = value + number(relocation, 16, 8) as i64 - bias(object.machine, kind);
                sections[of].refers.push(Reference { target, at: start + place * RELOCATION, offset });
            }
        }
        object.sections = sections;
        object
    }

    fn field(&self, section: usize, at: usize, size: usize) -> u64 {
        number(&self.headers[section], at, size)
    }

    fn content(&self, section: usize) -> &[u8] {
        let (at, size) = (self.field(section, 24, 8) as usize, self.field(section, 32, 8) as usize);
        if self.field(section, 4, 4) == u64::from(NOBITS) { &[] } else { &self.bytes[at..at + size] }
    }

    /// Adds bytes to the file; where they are.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// Moves a section's bytes to the file's end, with more behind them; where these begin in the section.
    fn extend(&mut self, section: usize, more: &[u8]) -> u64 {
        let mut content = self.content(section).to_vec();
        let start = content.len() as u64;
        content.extend_from_slice(more);
        let at = self.append(&content);
        put(&mut self.headers[section], 24, 8, at);
        put(&mut self.headers[section], 32, 8, content.len() as u64);
        start
    }

    /// Calls sections otherwise.
    pub fn rename(&mut self, sections: &[(usize, String)]) {
        let names = number(&self.bytes, 0x3e, 2) as usize;
        let mut places = BTreeMap::new();
        for (section, name) in sections {
            let place = match places.get(name) {
                Some(place) => *place,
                None => self.extend(names, format!("{name}\0").as_bytes()),
            };
            places.insert(name, place);
            let header = &mut self.headers[*section];
            put(header, 0, 4, place);
            let flags = number(header, 8, 8) & !(MERGE | STRINGS);
            put(header, 8, 8, flags);
            put(header, 56, 8, 0);
        }
    }

    /// Adds a section of ways to other places, and has references go there: each is (a section, which of its references, the
    /// pack that is to be opened, the place behind it). `hatch` is the name of the function that opens.
    pub fn add_hatches(&mut self, redirected: &[(usize, usize, usize)], hatch: &str, called: &str) -> usize {
        let symtab = (0..self.headers.len()).find(|index| self.field(*index, 4, 4) == u64::from(SYMTAB));
        let symtab = symtab.expect("an object file has symbols");
        let strings = self.field(symtab, 40, 4) as usize;
        let symbol = |name: u64, info: u8, section: usize| {
            let mut symbol = [0; SYMBOL];
            put(&mut symbol, 0, 4, name);
            (symbol[4], symbol[5]) = (info, if section == 0 { 0 } else { HIDDEN });
            put(&mut symbol, 6, 2, section as u64);
            symbol
        };
        let new = self.headers.len();
        let first = self.field(symtab, 32, 8) / SYMBOL as u64;
        let own = self.extend(strings, format!("{called}\0").as_bytes());
        let opener = self.extend(strings, format!("{hatch}\0").as_bytes());
        self.extend(symtab, &[symbol(own, GLOBAL, new), symbol(opener, GLOBAL, 0)].concat());
        let (mut code, mut relocations) = (Vec::new(), Vec::new());
        let mut made = BTreeMap::new();
        for (section, which, pack) in redirected {
            let reference = &self.sections[*section].refers[*which];
            let at = reference.at;
            assert_eq!(reference.offset, 0, "{} leads into a packed function", self.sections[*section].name);
            let (kind, target) = (number(&self.bytes, at + 8, 4), number(&self.bytes, at + 12, 4));
            assert!(
                !(self.machine == X86_64 && matches!(kind, 9 | 41 | 42)),
                "a packed function has an entry in the GOT"
            );
            let key = match &reference.target {
                Target::Section(section) => section.to_string(),
                Target::Name(name) => name.clone(),
            };
            let addend = number(&self.bytes, at + 16, 8);
            let plain = addend.wrapping_sub(bias(self.machine, kind) as u64);
            let place = *made.entry((key, *pack)).or_insert_with(|| {
                let place = code.len() as u64;
                // What follows here is the way to the function that opens, and that to the one behind it.
                let (instructions, ways) = if self.machine == X86_64 {
                    // push PACK; call OPENER; jmp TARGET
                    let instructions = vec![0x6a, *pack as u8, 0xe8, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0];
                    (instructions, [(3, 4, first + 1, 0), (8, 4, target, plain)])
                } else {
                    // adr x16, .; b OPENER; a word with the target and, above its address, the pack
                    let word = plain + ((*pack as u64) << 26);
                    let instructions = [0x1000_0010_u32, 0x1400_0000, 0].map(u32::to_le_bytes).concat();
                    (instructions, [(4, 282, first + 1, 0), (8, 258, target, word)])
                };
                code.extend_from_slice(&instructions);
                for (at, kind, symbol, addend) in ways {
                    let mut relocation = [0; RELOCATION];
                    put(&mut relocation, 0, 8, place + at);
                    put(&mut relocation, 8, 4, kind);
                    put(&mut relocation, 12, 4, symbol);
                    put(&mut relocation, 16, 8, addend.wrapping_add(bias(self.machine, kind) as u64));
                    relocations.extend_from_slice(&relocation);
                }
                place
            });
            put(&mut self.bytes, at + 12, 4, first);
            put(&mut self.bytes, at + 16, 8, place.wrapping_add(bias(self.machine, kind) as u64));
        }
        for (kind, flags, content, link, info, size) in
            [(PROGBITS, ALLOC | EXECUTE, &code, 0, 0, 0), (RELA, 0, &relocations, symtab, new, RELOCATION)]
        {
            let mut header = [0; HEADER];
            put(&mut header, 4, 4, kind.into());
            put(&mut header, 8, 8, flags);
            let at = self.append(content);
            for (field, value) in [(24, at), (32, content.len() as u64), (48, 4), (56, size as u64)] {
                put(&mut header, field, 8, value);
            }
            put(&mut header, 40, 4, link as u64);
            put(&mut header, 44, 4, info as u64);
            self.headers.push(header);
        }
        self.rename_hatches(new);
        made.len()
    }

    fn rename_hatches(&mut self, section: usize) {
        let names = number(&self.bytes, 0x3e, 2) as usize;
        for (section, name) in [(section, ".text.hatches\0"), (section + 1, ".rela.text.hatches\0")] {
            let place = self.extend(names, name.as_bytes());
            put(&mut self.headers[section], 0, 4, place);
        }
    }

    /// The file as it is now.
    pub fn finish(mut self) -> Vec<u8> {
        let table = self.headers.concat();
        let at = self.append(&table);
        put(&mut self.bytes, 0x28, 8, at);
        put(&mut self.bytes, 0x3c, 2, (table.len() / HEADER) as u64);
        self.bytes
    }
}
