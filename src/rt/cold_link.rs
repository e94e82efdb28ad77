//! At build time: what most commands never execute is packed.
//!
//! This stands between the compiler and the linker. All that can be reached from the program's start without passing through a
//! gate (a static whose name holds `COLD_GATE`) stays as it is. The rest, which only a gate leads to, is linked to addresses of its own
//! behind everything else, and packed in the finished file; whoever opens a gate unpacks it there first (`sys::cold`).
//!
//! # Source
//! The System V ABI, "Object Files"; `elf.h`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

/// Names the linker that this stands before.
pub const LINKER: &str = "VIAL_LINKER";
/// A part of the names of gates.
const GATE: &str = "COLD_GATE";
/// The page size that addresses and places in the file agree by: the largest of any machine's.
const PAGE: u64 = 0x10000;

/// `SHT_PROGBITS`, `SHT_SYMTAB`, `SHT_RELA`, `SHT_NOBITS`.
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const RELA: u32 = 4;
const NOBITS: u32 = 8;
/// `SHF_WRITE`, `SHF_ALLOC`, `SHF_EXECINSTR`, `SHF_MERGE`.
const WRITE: u64 = 1;
const ALLOC: u64 = 2;
const MERGE: u64 = 16;
/// `PT_LOAD`, `PF_R`.
const LOAD: u32 = 1;
const READ: u32 = 4;

/// A section of an object file.
struct Section {
    name: String,
    flags: u64,
    is_data: bool,
    is_root: bool,
    is_gate: bool,
    /// Symbols of the object's that it refers to: a section of the same object, or a name.
    refers: Vec<Target>,
}

enum Target {
    Section(usize),
    Name(String),
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn name(strings: &[u8], at: u64) -> String {
    let rest = &strings[at as usize..];
    String::from_utf8_lossy(&rest[..rest.iter().position(|byte| *byte == 0).unwrap_or(0)]).into_owned()
}

/// Reads an object file of 64 bits, lowest byte first; nothing of another one. Adds the names that it defines.
fn read(object: &[u8], file: usize, defined: &mut BTreeMap<String, (usize, usize)>) -> Vec<Section> {
    if !object.starts_with(b"\x7fELF\x02\x01") {
        return Vec::new();
    }
    let (headers, count, names) = (number(object, 0x28, 8) as usize, number(object, 0x3c, 2), number(object, 0x3e, 2));
    let header = |index: usize| &object[headers + 64 * index..][..64];
    let content = |index: usize| {
        let header = header(index);
        let (at, size) = (number(header, 24, 8) as usize, number(header, 32, 8) as usize);
        if number(header, 4, 4) == u64::from(NOBITS) { &[][..] } else { &object[at..at + size] }
    };
    let mut sections: Vec<Section> = (0..count as usize)
        .map(|index| Section {
            name: name(content(names as usize), number(header(index), 0, 4)),
            flags: number(header(index), 8, 8),
            is_data: number(header(index), 4, 4) == u64::from(PROGBITS),
            is_root: false,
            is_gate: false,
            refers: Vec::new(),
        })
        .collect();
    for index in 0..count as usize {
        let kind = number(header(index), 4, 4) as u32;
        let linked = number(header(index), 40, 4) as usize;
        if kind == SYMTAB {
            for symbol in content(index).chunks_exact(24) {
                let (info, place) = (symbol[4], number(symbol, 6, 2) as usize);
                let called = name(content(linked), number(symbol, 0, 4));
                if place == 0 || place >= sections.len() {
                    continue;
                }
                sections[place].is_gate |= called.contains(GATE);
                // What others may refer to.
                if info >> 4 != 0 {
                    sections[place].is_root = true;
                    defined.insert(called, (file, place));
                }
            }
        }
        if kind == RELA {
            let (symbols, of) = (linked, number(header(index), 44, 4) as usize);
            let strings = content(number(header(symbols), 40, 4) as usize);
            for relocation in content(index).chunks_exact(24) {
                let symbol = &content(symbols)[24 * number(relocation, 12, 4) as usize..][..24];
                let place = number(symbol, 6, 2) as usize;
                let target = match place {
                    0 => Target::Name(name(strings, number(symbol, 0, 4))),
                    _ => Target::Section(place),
                };
                sections[of].refers.push(target);
            }
        }
    }
    sections
}

/// The names of the sections that only gates lead to.
fn cold(objects: &[PathBuf]) -> Vec<String> {
    let mut defined = BTreeMap::new();
    let files: Vec<Vec<Section>> = objects
        .iter()
        .enumerate()
        .map(|(file, path)| read(&fs::read(path).expect("read an object file"), file, &mut defined))
        .collect();
    let mut todo = Vec::new();
    for (file, sections) in files.iter().enumerate() {
        todo.extend(sections.iter().enumerate().filter(|(_, section)| section.is_root).map(|(at, _)| (file, at)));
    }
    let mut hot: BTreeSet<(usize, usize)> = todo.iter().copied().collect();
    while let Some((file, at)) = todo.pop() {
        let section = &files[file][at];
        for target in section.refers.iter().filter(|_| !section.is_gate) {
            let target = match target {
                Target::Section(at) => Some((file, *at)),
                Target::Name(name) => defined.get(name).copied(),
            };
            if let Some(target) = target
                && hot.insert(target)
            {
                todo.push(target);
            }
        }
    }
    let (mut cold, mut other) = (BTreeSet::new(), BTreeSet::new());
    for (file, sections) in files.iter().enumerate() {
        for (at, section) in sections.iter().enumerate() {
            let fits = section.is_data && section.flags & ALLOC != 0 && section.flags & (WRITE | MERGE) == 0;
            if fits && !hot.contains(&(file, at)) { &mut cold } else { &mut other }.insert(section.name.clone());
        }
    }
    // Names that several sections may have can't be listed: the linker would take all of them.
    cold.retain(|name| !other.contains(name) && name.matches('.').count() > 1);
    cold.into_iter().collect()
}

/// Links by the linker that [`LINKER`] names, with all that is cold at addresses of its own, and packs that.
pub fn link(linker: &str) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let own = env::current_exe().expect("this program has a path");
    let script = own.with_file_name("cold.ld");
    let is_object = |argument: &&String| Path::new(argument).extension().is_some_and(|extension| extension == "o");
    let objects: Vec<PathBuf> = arguments.iter().filter(is_object).map(PathBuf::from).collect();
    let cold = cold(&objects);
    let list = cold.iter().map(|name| format!("    *({name})\n")).collect::<String>();
    let text = format!(
        "SECTIONS\n{{\n  .cold ALIGN({PAGE}) : {{\n    cold_begin = .;\n{list}    . = ALIGN(16);\n    cold_end = .;\n  }}\n}}\nINSERT AFTER .bss;\n"
    );
    fs::write(&script, text).expect("write the linker script");
    let mut command = Command::new(linker);
    command.args(&arguments);
    command.arg(format!("-T{}", script.display()));
    let status = command.status().expect("run the linker");
    if !status.success() {
        return ExitCode::FAILURE;
    }
    let output = arguments.iter().position(|argument| argument == "-o").map(|at| PathBuf::from(&arguments[at + 1]));
    if let (Some(output), false) = (output, cold.is_empty()) {
        fs::copy(&output, own.with_file_name("whole")).expect("keep the program as it was linked");
        pack(&output);
    }
    ExitCode::SUCCESS
}

fn put(bytes: &mut [u8], at: usize, size: usize, number: u64) {
    bytes[at..at + size].copy_from_slice(&number.to_le_bytes()[..size]);
}

/// Packs the last segment of a program.
fn pack(path: &Path) {
    let mut program = fs::read(path).expect("read the program");
    let (headers, count) = (number(&program, 0x20, 8) as usize, number(&program, 0x38, 2) as usize);
    let last = (0..count)
        .map(|index| headers + 56 * index)
        .filter(|at| number(&program, *at, 4) == u64::from(LOAD))
        .max_by_key(|at| number(&program, at + 16, 8))
        .expect("a program has segments");
    let [at, address, size] = [8, 16, 32].map(|field| number(&program, last + field, 8));
    let end_before = (0..count)
        .map(|index| headers + 56 * index)
        .filter(|other| *other != last && number(&program, *other, 4) == u64::from(LOAD))
        .map(|other| number(&program, other + 8, 8) + number(&program, other + 32, 8))
        .max()
        .expect("there is another segment");
    let mut cold = program[at as usize..(at + size) as usize].to_vec();
    if number(&program, 0x12, 2) == 62 {
        filter(&mut cold, address as u32);
    }
    let packed = compress(&cold);
    // Sections follow: their headers stay, so that programs can be looked into.
    let (sections, section_count) = (number(&program, 0x28, 8) as usize, number(&program, 0x3c, 2) as usize);
    let mut table = program[sections..sections + 64 * section_count].to_vec();
    let names = number(&program, 0x3e, 2) as usize;
    let strings = {
        let header = &table[64 * names..];
        program[number(header, 24, 8) as usize..][..number(header, 32, 8) as usize].to_vec()
    };
    program.truncate(end_before as usize);
    let start = program.len() as u64;
    program.extend_from_slice(&packed);
    let strings_at = program.len() as u64;
    program.extend_from_slice(&strings);
    while !program.len().is_multiple_of(8) {
        program.push(0);
    }
    let table_at = program.len() as u64;
    for index in 0..section_count {
        let header = &mut table[64 * index..64 * index + 64];
        if index == names {
            put(header, 24, 8, strings_at);
        } else if number(header, 16, 8) == address {
            put(header, 4, 4, NOBITS.into());
            put(header, 24, 8, start);
        }
    }
    program.extend_from_slice(&table);
    put(&mut program, 0x28, 8, table_at);
    // The packed bytes are mapped behind the place that they are unpacked to.
    let mapped = (address + size).next_multiple_of(PAGE) + start % PAGE;
    put(&mut program, last + 4, 4, READ.into());
    for (field, value) in
        [(8, start), (16, mapped), (24, mapped), (32, packed.len() as u64), (40, packed.len() as u64), (48, PAGE)]
    {
        put(&mut program, last + field, 8, value);
    }
    fs::write(path, program).expect("write the program");
}

/// Calls name their target by its distance, which differs for each caller; by its address they are alike. `sys::cold` undoes it.
fn filter(code: &mut [u8], address: u32) {
    let mut at = 0;
    while at + 5 <= code.len() {
        if code[at] & 0xfe != 0xe8 {
            at += 1;
            continue;
        }
        let distance = number(code, at + 1, 4) as u32;
        let target = distance.wrapping_add(address).wrapping_add(at as u32 + 5);
        code[at + 1..at + 5].copy_from_slice(&target.to_be_bytes());
        at += 5;
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed).expect("pack what is cold");
    packed
}
