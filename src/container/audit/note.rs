//! What is noted of a workload's calls.

use alloc::string::String;
use alloc::vec::Vec;

use syscalls::Sysno;

use super::Wish;
use super::arguments::{Arguments, Use};
use super::constants::clone_flags;
use super::count::{Counted, Counter, Kind};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::sort::sort;
use crate::base::text::{Cut, decimal_u32, hexadecimal};
use crate::kernel::security::caps;
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::names::{self, ARCHITECTURES, COMPAT};
use crate::sys::fd::CWD;
use crate::sys::file;
use crate::sys::notify::Call;

/// How many different arguments of one call are listed.
const MOST: usize = 1000;

/// A call that was made at least once.
struct Made {
    architecture: u32,
    number: u32,
    count: u64,
    /// How often the profile refused it.
    refused: u64,
    /// Which process made it first: its name, and its number as the container sees it.
    first: (&'static str, u32),
    arguments: Vec<(&'static str, u64)>,
}

/// A file that was used.
struct File {
    path: &'static str,
    /// How, as bits of [`Use`].
    uses: u8,
}

/// All that is noted.
pub(super) struct Notes {
    wish: Wish,
    /// The thread that becomes the workload, and what it is called before.
    before: Option<(u32, &'static str)>,
    calls: Vec<Made>,
    arguments: Arguments,
    files: Vec<File>,
    bound: Vec<&'static str>,
    connected: Vec<&'static str>,
    /// Capabilities that the kernel asked for, if it tells: which, how often, and who was the first.
    capabilities: Option<Vec<(u32, u64, &'static str)>>,
    /// Those that the container's processes can have.
    bounding: u64,
    /// Whether namespaces were made.
    makes_namespaces: bool,
    /// Whether there was more than is listed.
    cut: bool,
}

impl Notes {
    pub(super) fn new(wish: Wish) -> Notes {
        Notes {
            wish,
            before: None,
            calls: Vec::new(),
            arguments: Arguments::new(),
            files: Vec::new(),
            bound: Vec::new(),
            connected: Vec::new(),
            capabilities: None,
            bounding: 0,
            makes_namespaces: false,
            cut: false,
        }
    }

    /// Whether a call is one by which vial tries to become the workload: it looks for the program at several places, and what it has
    /// done so far does not count.
    pub(super) fn becomes(&mut self, thread: u32, call: &Call) -> bool {
        if call.architecture != NATIVE || call.number != Sysno::execve as u32 {
            return false;
        }
        let name = || process(thread).0;
        let (first, before) = *self.before.get_or_insert_with(|| (thread, name()));
        first == thread && before == name()
    }

    /// Takes note of a call before it is made, or refused.
    pub(super) fn note(&mut self, thread: u32, call: &Call, refused: bool) {
        let is_first = self.becomes(thread, call);
        if is_first {
            *self = Notes { before: self.before, ..Notes::new(self.wish) };
        }
        let is = |made: &Made| made.number == call.number && made.architecture == call.architecture;
        let place = self.calls.iter().position(is).unwrap_or_else(|| {
            self.calls.push(Made {
                architecture: call.architecture,
                number: call.number,
                count: 0,
                refused: 0,
                first: {
                    let (name, number, bounding) = process(thread);
                    self.bounding |= bounding;
                    (name, number)
                },
                arguments: Vec::new(),
            });
            self.calls.len() - 1
        });
        let made = &mut self.calls[place];
        // What is made the kernel counts, if it counts.
        made.count += u64::from(refused || !self.wish.counts);
        made.refused += u64::from(refused);
        if self.wish.only_calls && !is_first {
            return;
        }
        for (what, text) in self.arguments.read(thread, call) {
            let text = &*text;
            match what {
                Use::Bound => add(&mut self.bound, text),
                Use::Connected => add(&mut self.connected, text),
                Use::Argument => self.makes_namespaces |= !refused && makes_namespace(text),
                Use::Read | Use::Written | Use::Executed | Use::Missing => {
                    let bit = what as u8;
                    match self.files.iter().position(|file| file.path == text) {
                        Some(place) => self.files[place].uses |= bit,
                        None if self.files.len() < 64 * MOST => {
                            self.files.push(File { path: keep::copy(text), uses: bit });
                        }
                        None => self.cut = true,
                    }
                    if what == Use::Executed && is_first {
                        // Its name is vial's still.
                        made.first.0 = keep::copy(text.parts(b'/').last().unwrap_or(text));
                    }
                }
            }
            if self.wish.arguments {
                match made.arguments.iter().position(|(known, _)| *known == text) {
                    Some(place) => made.arguments[place].1 += 1,
                    None if made.arguments.len() < MOST => made.arguments.push((keep::copy(text), 1)),
                    None => self.cut = true,
                }
            }
        }
    }

    /// Adds what the kernel has counted.
    pub(super) fn add(&mut self, counter: &Counter) {
        let (mut capabilities, mut flags) = (Vec::new(), Vec::new());
        for Counted { number, kind, count, first } in counter.counted() {
            let architecture = match kind {
                Kind::Native => NATIVE,
                Kind::Compat => COMPAT,
                Kind::Capability => {
                    capabilities.push((number, count, first.0));
                    continue;
                }
                Kind::Flags => {
                    let text = clone_flags(number.into());
                    self.makes_namespaces |= makes_namespace(&text);
                    flags.push((keep::copy(&text), count));
                    continue;
                }
            };
            match self.calls.iter_mut().find(|made| made.number == number && made.architecture == architecture) {
                Some(made) => made.count += count,
                None => self.calls.push(Made { architecture, number, count, refused: 0, first, arguments: Vec::new() }),
            }
        }
        if counter.sees_capabilities {
            self.capabilities = Some(capabilities);
        }
        let is_clone = |made: &&mut Made| made.architecture == NATIVE && made.number == Sysno::clone as u32;
        if let Some(made) = self.calls.iter_mut().find(is_clone)
            && self.wish.arguments
        {
            for (text, count) in flags {
                // Other signals make other flags of the same names.
                match made.arguments.iter().position(|(known, _)| *known == text) {
                    Some(place) => made.arguments[place].1 += count,
                    None => made.arguments.push((text, count)),
                }
            }
        }
    }

    /// What was noted: calls by name, files by path. With `unseen`, namespaces may have been made that nobody saw.
    pub(super) fn into_value(mut self, unseen: bool) -> Value {
        let mut calls = Vec::new();
        let named = |made: &Made| {
            let (column, name) = names::name(made.architecture, made.number);
            (column, name.unwrap_or_else(|| join!("{}", u64::from(made.number))))
        };
        sort(&mut self.calls, |one, other| named(one) < named(other));
        for made in &self.calls {
            let (column, name) = named(made);
            let mut call = Value::default();
            call.text("Name", name);
            call.set("Number", u64::from(made.number).into());
            if column != 0 {
                call.text("Architecture", ARCHITECTURES.parts(b' ').nth(column).unwrap_or("unknown"));
            }
            call.set("Count", made.count.into());
            call.set("Refused", made.refused.into());
            call.text("Process", made.first.0);
            call.set("Pid", u64::from(made.first.1).into());
            if self.wish.arguments && !made.arguments.is_empty() {
                let argument = |&(text, count): &(&'static str, u64)| {
                    let mut value = Value::default();
                    value.text("Argument", text);
                    value.set("Count", count.into());
                    value
                };
                call.set("Arguments", made.arguments.iter().map(argument).collect::<Vec<Value>>().into());
            }
            calls.push(call);
        }
        sort(&mut self.files, |one, other| one.path < other.path);
        let file = |file: &File| {
            let mut value = Value::default();
            value.text("Path", file.path);
            for (name, what) in [("Read", Use::Read), ("Written", Use::Written), ("Executed", Use::Executed)] {
                value.set(name, (file.uses & what as u8 != 0).into());
            }
            value.set("Missing", (file.uses == Use::Missing as u8).into());
            value
        };
        let mut record = Value::default();
        record.set("Calls", calls.into());
        record.set("Files", self.files.iter().map(file).collect::<Vec<Value>>().into());
        record.set("Bound", Value::texts(&self.bound, ""));
        record.set("Connected", Value::texts(&self.connected, ""));
        if let Some(capabilities) = &mut self.capabilities {
            sort(capabilities, |one, other| one.0 < other.0);
            let mut values = Vec::new();
            for &(number, count, process) in &*capabilities {
                let mut value = Value::default();
                value.text("Name", u8::try_from(number).ok().and_then(caps::name).unwrap_or("unknown"));
                value.set("Count", count.into());
                value.set("Granted", (self.bounding >> number & 1 != 0).into());
                value.text("Process", process);
                values.push(value);
            }
            record.set("Capabilities", values.into());
        }
        record.set("MakesNamespaces", (self.makes_namespaces || unseen).into());
        record.set("Cut", self.cut.into());
        record
    }
}

/// Whether one of these flags of clone(2) makes a namespace.
fn makes_namespace(flags: &str) -> bool {
    flags.parts(b'|').any(|flag| flag.starts_with("CLONE_NEW"))
}

fn add(list: &mut Vec<&'static str>, text: &str) {
    if !list.contains(&text) && list.len() < MOST {
        list.push(keep::copy(text));
    }
}

/// A process's name, its number as the innermost PID namespace has it, and the capabilities that it can have.
fn process(thread: u32) -> (&'static str, u32, u64) {
    let unknown = ("?", 0, 0);
    let Ok(path) = file::owned_path(alloc::format!("/proc/{thread}/status").as_bytes()) else { return unknown };
    let Ok(status) = file::read_file(CWD, &path, 8 << 10) else { return unknown };
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let number = field("NStgid:").words().last().and_then(decimal_u32).unwrap_or(0);
    let bounding = hexadecimal(field("CapBnd:").trim()).unwrap_or(0);
    (keep::copy(field("Name:").trim()), number, bounding)
}
