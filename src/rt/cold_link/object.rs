//! Object files, lowest byte first: what refers to what, and how to have it refer to something else.
//!
//! # Source
//! The System V ABI, "Object Files"; `elf.h`; the processor supplements, "Relocation".

use std::collections::BTreeMap;

use super::class::{Class, ELF64, Field, KIND, MACHINE, NAME, get, put};

/// `SHT_PROGBITS`, `SHT_SYMTAB`, `SHT_NOBITS`.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const NOBITS: u32 = 8;
/// `SHF_WRITE`, `SHF_ALLOC`, `SHF_EXECINSTR`, `SHF_MERGE`, `SHF_STRINGS`.
const WRITE: u64 = 1;
pub const ALLOC: u64 = 2;
const EXECUTE: u64 = 4;
const MERGE: u64 = 16;
const STRINGS: u64 = 32;
/// `STT_FUNC`.
const FUNCTION: u8 = 2;
/// `STB_GLOBAL` with `STT_NOTYPE`, and `STV_HIDDEN`.
const GLOBAL: u8 = 1 << 4;
const HIDDEN: u8 = 2;
/// `EM_X86_64`, `EM_ARM`, `EM_AARCH64`, `EM_RISCV`.
pub const X86_64: u64 = 62;
pub const ARM: u64 = 40;
const AARCH64: u64 = 183;
pub const RISCV: u64 = 243;
/// `R_ARM_ABS32`.
const ARM_WORD: u64 = 2;

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
    offset: i64,
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
    class: &'static Class,
    headers: Vec<Vec<u8>>,
    pub sections: Vec<Section>,
    pub machine: u64,
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
        let class = Class::of(&bytes);
        let mut object =
            Self { class: class.unwrap_or(&ELF64), headers: Vec::new(), sections: Vec::new(), machine: 0, bytes };
        let Some(class) = class else { return object };
        object.machine = get(&object.bytes, MACHINE);
        if !matches!(object.machine, X86_64 | ARM | AARCH64 | RISCV) {
            return object;
        }
        let at = |field| get(&object.bytes, field) as usize;
        let (table, count, names) = (at(class.sections), at(class.section_count), at(class.section_names));
        object.headers = object.bytes[table..].chunks_exact(class.header).take(count).map(<[u8]>::to_vec).collect();
        let names = object.content(names);
        let sections = object.headers.iter().map(|header| Section {
            name: name(names, get(header, NAME)),
            flags: get(header, class.flags),
            is_data: get(header, KIND) == u64::from(PROGBITS),
            size: get(header, class.size),
            is_root: false,
            symbol: String::new(),
            is_function: false,
            refers: Vec::new(),
        });
        let mut sections: Vec<Section> = sections.collect();
        let of = &object;
        let tables = |kind| (0..count).filter(move |index| get(&of.headers[*index], KIND) == u64::from(kind));
        for index in tables(SYMTAB) {
            let strings = object.content(object.field(index, class.link));
            for symbol in object.content(index).chunks_exact(class.symbol) {
                let (info, place) = (symbol[class.symbol_info.0], get(symbol, class.symbol_section) as usize);
                let called = name(strings, get(symbol, NAME));
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
        for index in tables(class.relocations) {
            let (symbols, of) = (object.field(index, class.link), object.field(index, class.info));
            let strings = object.content(object.field(symbols, class.link));
            let start = object.field(index, class.place);
            for (place, relocation) in object.content(index).chunks_exact(class.relocation).enumerate() {
                let (kind, symbol) = (get(relocation, class.relocation_kind), get(relocation, class.relocation_symbol));
                let symbol = &object.content(symbols)[class.symbol * symbol as usize..][..class.symbol];
                let (target, value) = match get(symbol, class.symbol_section) as usize {
                    0 => (Target::Name(name(strings, get(symbol, NAME))), 0),
                    // The lowest bit says which instructions a function of ARM is made of.
                    section if object.machine == ARM && symbol[class.symbol_info.0] & 15 == FUNCTION => {
                        (Target::Section(section), (get(symbol, class.symbol_value) & !1) as i64)
                    }
                    section => (Target::Section(section), get(symbol, class.symbol_value) as i64),
                };
                let added = match class.addend {
                    Some(field) => get(relocation, field) as i64 - bias(object.machine, kind),
                    // It is where the relocation is for; in an instruction of ARM it only makes up for the processor's way to count.
                    None if kind == ARM_WORD => {
                        let word = get(relocation, class.relocation_place) as usize;
                        get(object.content(of), (word, 4)) as i64
                    }
                    None => 0,
                };
                let at = start + place * class.relocation;
                sections[of].refers.push(Reference { target, at, offset: value + added });
            }
        }
        object.sections = sections;
        object
    }

    fn field(&self, section: usize, field: Field) -> usize {
        get(&self.headers[section], field) as usize
    }

    fn content(&self, section: usize) -> &[u8] {
        let (at, size) = (self.field(section, self.class.place), self.field(section, self.class.size));
        if get(&self.headers[section], KIND) == u64::from(NOBITS) { &[] } else { &self.bytes[at..at + size] }
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
        put(&mut self.headers[section], self.class.place, at);
        put(&mut self.headers[section], self.class.size, content.len() as u64);
        start
    }

    /// Calls sections otherwise.
    pub fn rename(&mut self, sections: &[(usize, String)]) {
        let names = self.names();
        let class = self.class;
        let mut places = BTreeMap::new();
        for (section, name) in sections {
            let place = match places.get(name) {
                Some(place) => *place,
                None => self.extend(names, format!("{name}\0").as_bytes()),
            };
            places.insert(name, place);
            let header = &mut self.headers[*section];
            put(header, NAME, place);
            let flags = get(header, class.flags) & !(MERGE | STRINGS);
            put(header, class.flags, flags);
            put(header, class.entry, 0);
        }
    }

    /// The section that holds the names of sections.
    fn names(&self) -> usize {
        get(&self.bytes, self.class.section_names) as usize
    }

    /// Adds a section of ways to other places, and has references go there: each is (a section, which of its references, the
    /// pack that is to be opened, the place behind it). `opener` is the name of the function that opens.
    pub fn add_hatches(&mut self, redirected: &[(usize, usize, usize)], opener: &str, called: &str) -> usize {
        let class = self.class;
        let symtab = (0..self.headers.len()).find(|index| get(&self.headers[*index], KIND) == u64::from(SYMTAB));
        let symtab = symtab.expect("an object file has symbols");
        let strings = self.field(symtab, class.link);
        let new = self.headers.len();
        let first = (self.field(symtab, class.size) / class.symbol) as u64;
        let symbol = |name: u64, section: usize, value: u64| {
            let mut symbol = vec![0; class.symbol];
            put(&mut symbol, NAME, name);
            let (info, visibility) = if section == 0 { (GLOBAL, 0) } else { (GLOBAL | FUNCTION, HIDDEN) };
            put(&mut symbol, class.symbol_info, u64::from(info) | u64::from(visibility) << 8);
            put(&mut symbol, class.symbol_section, section as u64);
            put(&mut symbol, class.symbol_value, value);
            symbol
        };
        let place = self.extend(strings, format!("{opener}\0").as_bytes());
        let mut symbols = symbol(place, 0, 0);
        let (mut code, mut relocations) = (Vec::new(), Vec::new());
        let mut made = BTreeMap::new();
        for (section, which, pack) in redirected {
            let reference = &self.sections[*section].refers[*which];
            let at = reference.at;
            assert_eq!(reference.offset, 0, "{} leads into a packed function", self.sections[*section].name);
            let relocation = &self.bytes[at..at + class.relocation];
            let (kind, target) = (get(relocation, class.relocation_kind), get(relocation, class.relocation_symbol));
            assert!(
                !(self.machine == X86_64 && matches!(kind, 9 | 41 | 42)),
                "a packed function has an entry in the GOT"
            );
            let key = match &reference.target {
                Target::Section(section) => section.to_string(),
                Target::Name(name) => name.clone(),
            };
            // Of a symbol that is a section's beginning, the function's place there; it is 0 otherwise.
            let plain =
                class.addend.map_or(0, |field| get(relocation, field).wrapping_sub(bias(self.machine, kind) as u64));
            let hatch = made.len() as u64;
            let hatch = *made.entry((key, *pack)).or_insert_with(|| {
                let place = code.len() as u64;
                let (instructions, ways) = hatch_for(self.machine, *pack as u64, plain);
                code.extend_from_slice(&instructions);
                for way in ways {
                    let mut relocation = vec![0; class.relocation];
                    put(&mut relocation, class.relocation_place, place + way.at);
                    put(&mut relocation, class.relocation_kind, way.kind);
                    put(&mut relocation, class.relocation_symbol, [0, first, target][way.to]);
                    if let Some(field) = class.addend {
                        put(&mut relocation, field, way.addend.wrapping_add(bias(self.machine, way.kind) as u64));
                    }
                    relocations.extend_from_slice(&relocation);
                }
                let name = self.extend(strings, format!("{called}_{hatch}\0").as_bytes());
                symbols.extend(symbol(name, new, place + u64::from(self.machine == ARM)));
                hatch
            });
            let relocation = &mut self.bytes[at..at + class.relocation];
            put(relocation, class.relocation_symbol, first + 1 + hatch);
            if let Some(field) = class.addend {
                put(relocation, field, bias(self.machine, kind) as u64);
            }
        }
        self.extend(symtab, &symbols);
        for (kind, flags, content, link, info, size) in [
            (PROGBITS, ALLOC | EXECUTE, &code, 0, 0, 0),
            (class.relocations, 0, &relocations, symtab, new, class.relocation),
        ] {
            let mut header = vec![0; class.header];
            put(&mut header, KIND, kind.into());
            let at = self.append(content);
            for (field, value) in [
                (class.flags, flags),
                (class.place, at),
                (class.size, content.len() as u64),
                (class.align, 4),
                (class.entry, size as u64),
                (class.link, link as u64),
                (class.info, info as u64),
            ] {
                put(&mut header, field, value);
            }
            self.headers.push(header);
        }
        self.rename_hatches(new);
        made.len()
    }

    fn rename_hatches(&mut self, section: usize) {
        let names = self.names();
        for (section, name) in [(section, ".text.hatches\0"), (section + 1, ".rel.text.hatches\0")] {
            let place = self.extend(names, name.as_bytes());
            put(&mut self.headers[section], NAME, place);
        }
    }

    /// The file as it is now.
    pub fn finish(mut self) -> Vec<u8> {
        let table = self.headers.concat();
        let at = self.append(&table);
        put(&mut self.bytes, self.class.sections, at);
        put(&mut self.bytes, self.class.section_count, self.headers.len() as u64);
        self.bytes
    }
}

/// A relocation of a hatch.
struct Way {
    at: u64,
    kind: u64,
    /// Where it leads: nowhere, to the function that opens, or to the one behind the hatch.
    to: usize,
    addend: u64,
}

const NOWHERE: usize = 0;
const OPEN: usize = 1;
const BEHIND: usize = 2;

/// A hatch for a pack: its bytes, and its ways; the function behind it is so far behind its symbol.
fn hatch_for(machine: u64, pack: u64, plain: u64) -> (Vec<u8>, Vec<Way>) {
    let word = plain + (pack << 26);
    let way = |at, kind, to, addend| Way { at, kind, to, addend };
    match machine {
        // push PACK; call OPENER; jmp TARGET
        X86_64 => (
            vec![0x6a, pack as u8, 0xe8, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0],
            vec![way(3, 4, OPEN, 0), way(8, 4, BEHIND, plain)],
        ),
        // adr x16, .; b OPENER; a word with the target and, above its address, the pack
        AARCH64 => (
            [0x1000_0010_u32, 0x1400_0000, 0].map(u32::to_le_bytes).concat(),
            vec![way(4, 282, OPEN, 0), way(8, 258, BEHIND, word)],
        ),
        // call t1, OPENER, which the linker may make shorter (R_RISCV_RELAX); the same word.
        RISCV => (
            [0x0000_0317_u32, 0x0003_0367, 0].map(u32::to_le_bytes).concat(),
            vec![way(0, 19, OPEN, 0), way(0, 51, NOWHERE, 0), way(8, 1, BEHIND, word)],
        ),
        // mov r12, pc; nop; b.w OPENER; the same word. R_ARM_THM_JUMP24 counts from four bytes behind its instruction.
        _ => (
            [0xbf00_46fc_u32, 0xbffe_f7ff, word as u32].map(u32::to_le_bytes).concat(),
            vec![way(4, 30, OPEN, 0), way(8, ARM_WORD, BEHIND, 0)],
        ),
    }
}
