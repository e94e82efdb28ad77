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

#[path = "cold_link/class.rs"]
mod class;
#[path = "cold_link/finish.rs"]
mod finish;
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

use finish::finish;
use object::{Object, Section, Target};
use packs::{HOT, HOT_FUNCTIONS, PACKS};

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
            let mut stuck: Vec<Place> = users.iter().filter(is_stuck).map(|(place, _)| *place).collect();
            if stuck.is_empty() {
                let packed = users.iter().filter(|(place, _)| !hot.contains(*place));
                self.packs = packed.map(|(place, packs)| (*place, needed_by_all(*packs).ilog2() as usize)).collect();
                stuck = self.out_of_reach();
            }
            if stuck.is_empty() {
                break;
            }
            hot.extend(self.reach(stuck, None));
        }
        self.users = users;
    }

    /// What is in one pack, and used in another that does not need that: several packs may be needed by all that use both.
    fn out_of_reach(&self) -> Vec<Place> {
        let mut found = Vec::new();
        for (place, pack) in &self.packs {
            for reference in &self.section(*place).refers {
                if let Some(target) = self.target(place.0, &reference.target)
                    && let Some(other) = self.packs.get(&target)
                    && !self.listed.contains_key(&target)
                    && !self.gates.contains_key(place)
                    && with_needed(*pack) >> other & 1 == 0
                {
                    found.push(target);
                }
            }
        }
        found
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
    // What is kept as it was linked is to have its symbols; the program itself loses them when it is packed.
    arguments.retain(|argument| !matches!(argument.as_str(), "-s" | "--strip-all" | "-Wl,--strip-all"));
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
