//! At build time: what not every process executes is packed.
//!
//! This stands between the compiler and the linker. All that can be reached from the program's start without passing through a
//! gate or a listed function stays as it is. The rest is linked to addresses of its own behind everything else, each
//! pack (`packs`) to its own, and compressed in the finished file. Two things lead there:
//!
//! - a gate, a static whose name holds `COLD_GATE`, or `COLD_GATE_` and a pack's name: whoever opens it unpacks first
//!   (`sys::cold`);
//! - a hatch, which is made here: each reference from outside to a function that the table of packs lists becomes one to a few
//!   instructions that unpack and jump to the function. The sources know nothing of it.
//!
//! What one pack's gates and functions alone lead to is in that pack; what those of several lead to, in one that all of them need.
//!
//! # Source
//! The System V ABI, "Object Files"; `elf.h`.

#[path = "cold_link/object.rs"]
mod object;
#[path = "cold_link/packs.rs"]
mod packs;
#[path = "../sys/short_code.rs"]
mod short_code;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use object::{Object, Section, Target, X86_64, number, put};
use packs::{HOT, HOT_FUNCTIONS, PACKS};
use short_code::Position;

/// Names the linker that this stands before.
pub const LINKER: &str = "VIAL_LINKER";
/// A part of the names of gates.
const GATE: &str = "COLD_GATE";
/// The pack of gates that name none.
const USUAL: &str = "commands";
/// The function that a hatch calls, see `rt`.
const OPENER: &str = "vial_hatch";
/// The page size that addresses and places in the file agree by: the largest of any machine's.
const PAGE: u64 = 0x10000;
/// `PT_NULL`, `PT_LOAD`, `PF_R`.
const NULL: u32 = 0;
const LOAD: u32 = 1;
const READ: u32 = 4;
/// What sections and parts of the finished program are called.
const COLD: &str = ".cold.";

/// A section: the file, and its number there.
type Place = (usize, usize);

/// The number of a pack.
fn pack(name: &str) -> usize {
    PACKS.iter().position(|pack| pack.name == name).unwrap_or_else(|| panic!("no pack is called {name}"))
}

/// A pack and all that is unpacked before it, as bits.
fn with_needed(pack_number: usize) -> u32 {
    PACKS[pack_number].needs.iter().fold(1 << pack_number, |bits, needed| {
        let needed = pack(needed);
        assert!(needed < pack_number, "{} stands before what it needs", PACKS[pack_number].name);
        bits | with_needed(needed)
    })
}

/// The packs that each of these needs, as bits.
fn needed_by_all(packs: u32) -> u32 {
    let all = (0..PACKS.len()).filter(|pack| packs >> pack & 1 != 0);
    all.fold(u32::MAX, |common, pack| common & with_needed(pack))
}

/// The path of a function, as the sources name it, for methods that of the module.
fn path(symbol: &str) -> String {
    let mut path = String::new();
    let mut rest = symbol.strip_prefix("_ZN").unwrap_or_default();
    loop {
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let Ok(length) = rest[..digits].parse::<usize>() else { return path };
        let part = &rest[digits..digits + length];
        rest = &rest[digits + length..];
        if !path.is_empty() {
            path.push_str("::");
        }
        // An implementation: of what, and for what.
        let part = part.strip_prefix("_$LT$").unwrap_or(part);
        path.push_str(
            &part
                .replace("..", "::")
                .replace("$LT$", "<")
                .replace("$GT$", ">")
                .replace("$u20$", " ")
                .replace("$RF$", "&"),
        );
    }
}

/// The pack that the tables say.
fn listed(section: &Section) -> Option<usize> {
    let path = path(&section.symbol);
    let path = path.strip_prefix("vial::")?;
    let fits = |names: &[&str]| {
        let fitting = names.iter().filter(|name| {
            path.strip_prefix(**name)
                .is_some_and(|rest| !rest.starts_with(|letter: char| letter == '_' || letter.is_ascii_alphanumeric()))
        });
        fitting.map(|name| name.len()).max()
    };
    let (length, found) = (0..PACKS.len()).filter_map(|pack| Some((fits(PACKS[pack].functions)?, pack))).max()?;
    (section.is_function && section.fits() && !section.is_root && fits(HOT_FUNCTIONS).is_none_or(|hot| hot < length))
        .then_some(found)
}

/// The pack of a gate.
fn gate(section: &Section) -> Option<usize> {
    let (_, rest) = section.symbol.split_once(GATE)?;
    let word = rest.trim_start_matches('_').to_ascii_lowercase();
    let named =
        (0..PACKS.len()).filter(|pack| word.starts_with(PACKS[*pack].name)).max_by_key(|pack| PACKS[*pack].name.len());
    Some(named.unwrap_or_else(|| pack(USUAL)))
}

/// All sections, and where each is to be.
struct Layout {
    objects: Vec<Object>,
    defined: BTreeMap<String, Place>,
    listed: BTreeMap<Place, usize>,
    gates: BTreeMap<Place, usize>,
    /// Those that are packed.
    packs: BTreeMap<Place, usize>,
    /// The packs that each of them is used by, as bits.
    users: BTreeMap<Place, u32>,
}

impl Layout {
    fn new(files: &[PathBuf]) -> Self {
        let mut defined = BTreeMap::new();
        let read = |(file, path)| Object::read(fs::read(path).expect("read an object file"), file, &mut defined);
        let objects: Vec<Object> = files.iter().enumerate().map(read).collect();
        let mut layout = Self {
            objects,
            defined,
            listed: BTreeMap::new(),
            gates: BTreeMap::new(),
            packs: BTreeMap::new(),
            users: BTreeMap::new(),
        };
        for place in layout.places() {
            let section = layout.section(place);
            let (listed, gate) = (listed(section), gate(section));
            layout.listed.extend(listed.map(|pack| (place, pack)));
            layout.gates.extend(gate.map(|pack| (place, pack)));
        }
        layout.divide();
        layout
    }

    fn places(&self) -> Vec<Place> {
        let sections =
            |(file, object): (usize, &Object)| (0..object.sections.len()).map(move |at| (file, at)).collect();
        self.objects.iter().enumerate().flat_map::<Vec<Place>, _>(sections).collect()
    }

    fn section(&self, place: Place) -> &Section {
        &self.objects[place.0].sections[place.1]
    }

    fn target(&self, file: usize, target: &Target) -> Option<Place> {
        match target {
            Target::Section(at) => Some((file, *at)),
            Target::Name(name) => self.defined.get(name).copied(),
        }
    }

    /// All that is reached from these without passing through a gate or a hatch; `own` has no hatches.
    fn reach(&self, mut todo: Vec<Place>, own: Option<usize>) -> BTreeSet<Place> {
        let mut reached: BTreeSet<Place> = todo.iter().copied().collect();
        while let Some(place) = todo.pop() {
            if self.gates.contains_key(&place) {
                continue;
            }
            for reference in &self.section(place).refers {
                if let Some(target) = self.target(place.0, &reference.target)
                    && self.listed.get(&target).is_none_or(|pack| Some(*pack) == own)
                    && reached.insert(target)
                {
                    todo.push(target);
                }
            }
        }
        reached
    }

    /// Finds out which section belongs to which pack.
    fn divide(&mut self) {
        let places = self.places();
        let roots = places.iter().copied().filter(|place| self.section(*place).is_root).collect();
        let mut hot = self.reach(roots, None);
        // What can't be moved, what is used by packs that need none in common, and all that these refer to.
        let mut users: BTreeMap<Place, u32> = BTreeMap::new();
        loop {
            users.clear();
            for pack in 0..PACKS.len() {
                let mut entries: Vec<Place> =
                    self.listed.iter().filter(|(_, other)| **other == pack).map(|(place, _)| *place).collect();
                for (gate, _) in self.gates.iter().filter(|(_, other)| **other == pack) {
                    let targets = self
                        .section(*gate)
                        .refers
                        .iter()
                        .filter_map(|reference| self.target(gate.0, &reference.target));
                    entries.extend(targets.filter(|target| self.listed.get(target).is_none_or(|other| *other == pack)));
                }
                for place in self.reach(entries, Some(pack)) {
                    *users.entry(place).or_default() |= 1 << pack;
                }
            }
            let is_stuck = |(place, packs): &(&Place, &u32)| {
                !hot.contains(*place) && (!self.section(**place).fits() || needed_by_all(**packs) == 0)
            };
            let stuck: Vec<Place> = users.iter().filter(is_stuck).map(|(place, _)| *place).collect();
            if stuck.is_empty() {
                break;
            }
            hot.extend(self.reach(stuck, None));
        }
        self.users.clone_from(&users);
        for (place, packs) in users.into_iter().filter(|(place, _)| !hot.contains(place)) {
            self.packs.insert(place, needed_by_all(packs).ilog2() as usize);
        }
    }

    /// Has references go through hatches where they must; how many hatches there are.
    fn redirect(&mut self) -> usize {
        let mut count = 0;
        for file in 0..self.objects.len() {
            let mut redirected = Vec::new();
            for (at, section) in self.objects[file].sections.iter().enumerate() {
                let own = self.gates.get(&(file, at)).or_else(|| self.packs.get(&(file, at)));
                let opened = own.map_or(0, |pack| with_needed(*pack));
                for (which, reference) in section.refers.iter().enumerate() {
                    if let Some(target) = self.target(file, &reference.target)
                        && let Some(pack) = self.packs.get(&target)
                        && section.is_there()
                        && opened >> pack & 1 == 0
                    {
                        assert!(
                            self.listed.contains_key(&target) || self.gates.contains_key(&(file, at)),
                            "{} leads to {} past all gates",
                            section.symbol,
                            self.section(target).symbol
                        );
                        redirected.push((at, which, *pack));
                    }
                }
            }
            if !redirected.is_empty() {
                count += self.objects[file].add_hatches(&redirected, OPENER, &format!("hatches_{file}"));
            }
        }
        count
    }

    /// What is where, for whoever looks for what could be somewhere else.
    fn report(&self) -> String {
        let mut report = String::new();
        let mut rows: Vec<(&str, String, u64, String)> = Vec::new();
        for place in self.places() {
            let section = self.section(place);
            if section.is_there() {
                let pack = self.packs.get(&place).map_or(HOT, |pack| PACKS[*pack].name);
                let path = path(&section.symbol);
                let users = self.users.get(&place).filter(|_| pack != HOT).map_or(0, |users| *users);
                let users = (0..PACKS.len()).filter(|pack| users >> pack & 1 != 0).map(|pack| PACKS[pack].name);
                let users = users.collect::<Vec<_>>().join("+");
                rows.push((
                    pack,
                    users,
                    section.size,
                    if path.is_empty() { format!("{} {}", section.name, section.symbol) } else { path },
                ));
            }
        }
        rows.sort();
        for (pack, users, size, path) in rows {
            let _ = writeln!(report, "{pack:10} {size:6} {path}  {users}");
        }
        report
    }
}

/// Links by the linker that [`LINKER`] names, with what is packed at addresses of its own, and packs that.
pub fn link(linker: &str) -> ExitCode {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let own = env::current_exe().expect("this program has a path");
    let beside = |name: &str| own.with_file_name(name);
    let is_object = |argument: &&String| Path::new(argument).extension().is_some_and(|extension| extension == "o");
    let files: Vec<PathBuf> = arguments.iter().filter(is_object).map(PathBuf::from).collect();
    let mut layout = Layout::new(&files);
    let used: BTreeSet<usize> = layout.packs.values().copied().collect();
    let mut report = layout.report();
    let hatches = layout.redirect();
    for (file, mut object) in std::mem::take(&mut layout.objects).into_iter().enumerate() {
        let packed = layout.packs.iter().filter(|((of, _), _)| *of == file);
        let renamed: Vec<_> = packed.map(|((_, at), pack)| (*at, format!("{COLD}{}", PACKS[*pack].name))).collect();
        if !renamed.is_empty() {
            object.rename(&renamed);
            let path = beside(&format!("packed{file}.o"));
            fs::write(&path, object.finish()).expect("write an object file");
            for argument in &mut arguments {
                if Path::new(argument) == files[file] {
                    *argument = path.display().to_string();
                }
            }
        }
    }
    let parts = used.iter().map(|pack| {
        let name = format!("{COLD}{}", PACKS[*pack].name);
        format!("  {name} ALIGN({PAGE}) : {{\n    *({name})\n    . = ALIGN(16);\n  }}\n")
    });
    let text = format!(
        "SECTIONS\n{{\n  cold_begin = ALIGN({PAGE});\n{}  cold_end = .;\n}}\nINSERT AFTER .bss;\n",
        parts.collect::<String>()
    );
    let script = beside("cold.ld");
    fs::write(&script, text).expect("write the linker script");
    let mut command = Command::new(linker);
    command.args(&arguments);
    command.arg(format!("-T{}", script.display()));
    let status = command.status().expect("run the linker");
    if !status.success() {
        return ExitCode::FAILURE;
    }
    let output = arguments.iter().position(|argument| argument == "-o").map(|at| PathBuf::from(&arguments[at + 1]));
    if let (Some(output), false) = (output, used.is_empty()) {
        fs::copy(&output, beside("whole")).expect("keep the program as it was linked");
        let _ = writeln!(report, "{hatches} hatches");
        finish(&output, &used, &mut report);
        fs::write(beside("packs.txt"), report).expect("write what is where");
    }
    ExitCode::SUCCESS
}

/// Packs a program's last segment. In its place are a table, and the packs: for each the address and the length, the length of
/// what is packed, and which packs are unpacked before (bits).
fn finish(path: &Path, used: &BTreeSet<usize>, report: &mut String) {
    let mut program = fs::read(path).expect("read the program");
    let (headers, count) = (number(&program, 0x20, 8) as usize, number(&program, 0x38, 2) as usize);
    // Sections follow: the headers of those that are not packed stay, so that programs can be looked into.
    let (sections, section_count) = (number(&program, 0x28, 8) as usize, number(&program, 0x3c, 2) as usize);
    let mut table = program[sections..sections + 64 * section_count].to_vec();
    let names = number(&program, 0x3e, 2) as usize;
    let content = |header: &[u8]| program[number(header, 24, 8) as usize..][..number(header, 32, 8) as usize].to_vec();
    let strings = content(&table[64 * names..]);
    let name = |header: &[u8]| &strings[number(header, 0, 4) as usize..];
    let is_cold = |header: &&[u8]| name(header).starts_with(COLD.as_bytes());
    let address = number(table.chunks_exact(64).find(is_cold).expect("something is packed"), 16, 8);
    // What is packed has one segment, or several if the linker leaves out what is between; the last one is kept.
    let segments = (0..count).map(|index| headers + 56 * index);
    let segments: Vec<usize> = segments.filter(|at| number(&program, *at, 4) == u64::from(LOAD)).collect();
    let (cold, others): (Vec<usize>, Vec<usize>) =
        segments.into_iter().partition(|at| number(&program, at + 16, 8) + number(&program, at + 40, 8) > address);
    let end = |at: &usize, field| number(&program, at + field, 8) + number(&program, at + 32, 8);
    let end_before = others.iter().map(|at| end(at, 8)).max().expect("there is another segment");
    let size = cold.iter().map(|at| end(at, 16)).max().expect("what is packed has a segment") - address;
    let last = cold[cold.len() - 1];
    let is_code = |header: &[u8]| name(header).starts_with(b".text\0");
    let code = table.chunks_exact(64).find(|header| is_code(header)).expect("a program has code");
    let before = content(code);
    // A row before the first has their number, and where the code is that packs resemble.
    let mut rows = vec![0; 16 * (1 + PACKS.len())];
    for (field, value) in [PACKS.len() as u64, number(code, 16, 8), before.len() as u64].into_iter().enumerate() {
        put(&mut rows, 4 * field, 4, value);
    }
    let (machine, first) = (number(&program, 0x12, 2), number(code, 16, 8) as u32);
    let before = short(&before, machine, Position { address: first, first });
    let mut packed = Vec::new();
    let mut codes = BTreeMap::new();
    for header in table.chunks_exact(64) {
        let place = number(header, 16, 8);
        let is = |pack: &usize| name(header).starts_with(format!("{COLD}{}\0", PACKS[*pack].name).as_bytes());
        let Some(pack) = used.iter().find(|pack| is(pack)) else { continue };
        let code = content(header);
        let whole = code.len();
        let code = short(&code, machine, Position { address: place as u32, first });
        // It resembles what is not packed, and what is unpacked before it.
        let mut before = before.clone();
        before.extend(
            codes.iter().filter(|(other, _)| with_needed(*pack) >> **other & 1 != 0).flat_map(|(_, code)| code),
        );
        let bytes = compress(&code, &before);
        let fields = [place, whole as u64, bytes.len() as u64, with_needed(*pack).into()];
        for (field, value) in fields.into_iter().enumerate() {
            put(&mut rows, 16 * (1 + pack) + 4 * field, 4, value);
        }
        codes.insert(*pack, code);
        let _ = writeln!(report, "{:10} {whole} bytes, packed {}", PACKS[*pack].name, bytes.len());
        packed.extend_from_slice(&bytes);
    }
    for pack in (0..PACKS.len()).filter(|pack| !used.contains(pack)) {
        // Empty, but what it needs is unpacked.
        put(&mut rows, 16 * (1 + pack) + 12, 4, with_needed(pack).into());
    }
    rows.extend_from_slice(&packed);
    program.truncate(end_before as usize);
    while !program.len().is_multiple_of(8) {
        program.push(0);
    }
    let start = program.len() as u64;
    program.extend_from_slice(&rows);
    let strings_at = program.len() as u64;
    program.extend_from_slice(&strings);
    while !program.len().is_multiple_of(8) {
        program.push(0);
    }
    let table_at = program.len() as u64;
    put(&mut table[64 * names..], 24, 8, strings_at);
    let kept: Vec<&[u8]> = table.chunks_exact(64).filter(|header| !is_cold(header)).collect();
    let names_before = table[..64 * names].chunks_exact(64).filter(|header| !is_cold(header)).count();
    for (at, size, value) in [(0x28, 8, table_at), (0x3c, 2, kept.len() as u64), (0x3e, 2, names_before as u64)] {
        put(&mut program, at, size, value);
    }
    program.extend_from_slice(&kept.concat());
    // The packed bytes are mapped behind the place that they are unpacked to.
    let mapped = (address + size).next_multiple_of(PAGE) + start % PAGE;
    for at in &cold[..cold.len() - 1] {
        put(&mut program, *at, 4, NULL.into());
    }
    put(&mut program, last + 4, 4, READ.into());
    for (field, value) in
        [(8, start), (16, mapped), (24, mapped), (32, rows.len() as u64), (40, rows.len() as u64), (48, PAGE)]
    {
        put(&mut program, last + field, 8, value);
    }
    fs::write(path, program).expect("write the program");
}

/// Code as it is packed.
fn short(code: &[u8], machine: u64, position: Position) -> Vec<u8> {
    let (mut short, mut long) = (vec![0; 2 * code.len() + 4], vec![0; code.len()]);
    let there = if machine == X86_64 { short_code::x86::shorten } else { short_code::arm::shorten };
    let back = if machine == X86_64 { short_code::x86::lengthen } else { short_code::arm::lengthen };
    let length = there(code, position, &mut short).expect("there is room for it");
    short.truncate(length);
    back(&short, position, &mut long).expect("it is as long as it was");
    assert_eq!(long, code, "short code is the same made long again");
    short
}

/// Packs with what comes before as a prefix: a frame without its header, see `base::zstd::Alike`.
fn compress(bytes: &[u8], before: &[u8]) -> Vec<u8> {
    use zstd::zstd_safe::{CCtx, CParameter, Strategy};
    let mut shortest: Option<Vec<u8>> = None;
    for (shortest_match, length) in [(3, 4096), (3, 64), (4, 4096), (5, 4096)] {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(22),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::WindowLog(20),
            CParameter::ChainLog(24),
            CParameter::HashLog(22),
            CParameter::SearchLog(16),
            CParameter::MinMatch(shortest_match),
            CParameter::TargetLength(length),
            CParameter::Strategy(Strategy::ZSTD_btultra2),
        ] {
            context.set_parameter(parameter).expect("choose how to pack");
        }
        context.ref_prefix(before).expect("choose what it resembles");
        let mut packed = vec![0; bytes.len() + 1000];
        let length = context.compress2(&mut packed[..], bytes).expect("pack what is cold");
        // The magic number; no flags; the size of the window.
        assert_eq!(packed[..5], [0x28, 0xb5, 0x2f, 0xfd, 0], "the frame's header is as short as can be");
        let packed = packed[6..length].to_vec();
        if shortest.as_ref().is_none_or(|shortest| packed.len() < shortest.len()) {
            shortest = Some(packed);
        }
    }
    shortest.expect("it was packed")
}
