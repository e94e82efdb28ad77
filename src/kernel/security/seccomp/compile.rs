//! Makes tables of the default profile when vial is built: what becomes of each call on the processor that it is built for.
//!
//! The profile is docker's, as it is (`default.json`), and so is a rule's meaning: what its `includes` and `excludes` ask for is
//! the container's capabilities, the processor and the kernel's version. The last two are known here: vial itself needs a later
//! kernel than any rule does. What depends on capabilities becomes a class, of which a call's number is in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The profile and the numbers of calls.
const PROFILE: &str = include_str!("default.json");
const NUMBERS: &str = include_str!("numbers.txt");

/// The oldest kernel that vial runs on.
const KERNEL: (u32, u32) = (4, 19);

/// Where numbers begin that stand for those of Arm's own calls, from 0xf0000 on.
const PRIVATE: u32 = 1536;

/// Where classes begin that are the same for all: no such call, never, always.
const FIXED: [Class; 3] = [(0, 2, 2), (0, 1, 1), (0, 0, 0)];

/// One of these capabilities, what becomes of the call with it, and what without: 0 it is made, 1 `EPERM`, 2 `ENOSYS`, above that
/// what a check of its arguments says.
type Class = (u64, usize, usize);

/// An argument, counted from 0, and tests of its lower half: if one of them is true, the call's outcome is the first number, and
/// if none is the second.
type Check = (u64, Vec<(&'static str, u64)>, usize, usize);

/// A value of the profile.
enum Json {
    Null,
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn get(&self, name: &str) -> &Json {
        let Json::Object(members) = self else { return &Json::Null };
        members.iter().find(|(known, _)| known == name).map_or(&Json::Null, |(_, value)| value)
    }

    fn texts(&self) -> Vec<&str> {
        let Json::List(list) = self else { return Vec::new() };
        list.iter().map(Json::text).collect()
    }

    fn text(&self) -> &str {
        if let Json::Text(text) = self { text } else { "" }
    }

    fn number(&self) -> Option<u64> {
        if let Json::Number(number) = self { Some(*number) } else { None }
    }

    fn list(&self) -> &[Json] {
        if let Json::List(list) = self { list } else { &[] }
    }
}

/// Reads a value: the profile has no escapes, and no numbers but whole ones.
fn parse(text: &mut &str) -> Json {
    let skip = |text: &mut &str, extra: &[char]| {
        *text = text.trim_start_matches(|letter: char| letter.is_whitespace() || extra.contains(&letter));
    };
    skip(text, &[]);
    if let Some(rest) = text.strip_prefix('"') {
        let (string, rest) = rest.split_once('"').expect("a string ends");
        *text = rest;
        return Json::Text(string.to_owned());
    }
    if let Some(rest) = text.strip_prefix("null") {
        *text = rest;
        return Json::Null;
    }
    if let Some(open @ ('[' | '{')) = text.chars().next() {
        *text = &text[1..];
        let (mut list, mut members) = (Vec::new(), Vec::new());
        loop {
            skip(text, &[',']);
            if let Some(rest) = text.strip_prefix([']', '}']) {
                *text = rest;
                return if open == '[' { Json::List(list) } else { Json::Object(members) };
            }
            let value = parse(text);
            if open == '[' {
                list.push(value);
            } else {
                skip(text, &[':']);
                members.push((value.text().to_owned(), parse(text)));
            }
        }
    }
    let end = text.find(|letter: char| !letter.is_ascii_digit()).expect("a number ends");
    let number = text[..end].parse().expect("a number of the profile");
    *text = &text[end..];
    Json::Number(number)
}

/// The bits of capabilities.
fn capabilities(names: &Json, known: &[&str]) -> u64 {
    let bit = |name: &&str| {
        known.iter().position(|known| name.strip_prefix("CAP_") == Some(known)).expect("a capability of the kernel's")
    };
    names.texts().iter().map(|name| 1 << bit(name)).sum()
}

/// Whether a rule is for this processor and kernel.
fn is_here(rule: &Json, arch: &str) -> bool {
    let (wanted, unwanted) = (rule.get("includes"), rule.get("excludes"));
    let mut version = wanted.get("minKernel").text().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (version.next().unwrap_or(0), version.next().unwrap_or(0));
    assert!(version <= KERNEL && unwanted.get("minKernel").text().is_empty(), "a rule is for some kernels only");
    let arches = wanted.get("arches").texts();
    (arches.is_empty() || arches.contains(&arch)) && !unwanted.get("arches").texts().contains(&arch)
}

/// The classes and the checks found so far.
struct Tables<'a> {
    rules: &'a [Json],
    known: &'a [&'a str],
    arch: &'a str,
    classes: Vec<Class>,
    checks: Vec<Check>,
}

impl Tables<'_> {
    /// The class of a call.
    fn class(&mut self, name: &str) -> usize {
        let class = if name == "socketcall" { self.socketcall() } else { self.by_rules(name) };
        self.classes.iter().position(|known| *known == class).unwrap_or_else(|| {
            self.classes.push(class);
            self.classes.len() - 1
        })
    }

    /// One call that stands for many, whose arguments lie in memory, where no filter can see them. So that it is no way around
    /// the rule for `socket`, it opens none: number 1 of `linux/net.h`. `ENOSYS` says to use `socket` itself (Linux 4.3).
    fn socketcall(&mut self) -> Class {
        let check = self.check((0, vec![("EQ", 1)], 2, 0));
        (0, check, check)
    }

    fn by_rules(&mut self, name: &str) -> Class {
        let (mut with, mut otherwise, mut tests, mut at) = (0, 1, Vec::new(), None);
        for rule in self.rules.iter().filter(|rule| rule.get("names").texts().contains(&name)) {
            if !is_here(rule, self.arch) {
                continue;
            }
            let allows = rule.get("action").text() == "SCMP_ACT_ALLOW";
            let includes = capabilities(rule.get("includes").get("caps"), self.known);
            if includes != 0 {
                assert!(
                    allows && rule.get("args").list().is_empty() && includes.is_power_of_two(),
                    "a new kind of rule"
                );
                with |= includes;
            } else if let [arg] = rule.get("args").list() {
                assert!(allows && at.is_none_or(|at| Some(at) == arg.get("index").number()), "a new kind of rule");
                at = arg.get("index").number();
                let kind = arg.get("op").text().strip_prefix("SCMP_CMP_").expect("an operator");
                let value = arg.get("value").number().expect("a value");
                tests.push(match kind {
                    "LT" => ("LT", value),
                    "EQ" => ("EQ", value),
                    "GT" => ("GT", value),
                    "MASKED_EQ" => ("NONE", value),
                    _ => panic!("a new operator"),
                });
            } else {
                assert!(rule.get("args").list().is_empty(), "a rule with several arguments");
                otherwise = if allows { 0 } else { 2 };
                assert!(allows || rule.get("errnoRet").number() == Some(38), "another error than ENOSYS");
            }
        }
        if let Some(at) = at {
            otherwise = self.check((at, tests, 0, 1));
        }
        if otherwise == 0 { FIXED[2] } else { (with, if with == 0 { otherwise } else { 0 }, otherwise) }
    }

    fn check(&mut self, check: Check) -> usize {
        self.checks.iter().position(|known| *known == check).unwrap_or_else(|| {
            self.checks.push(check);
            self.checks.len() - 1
        }) + 3
    }
}

/// The source of the tables for a processor, by Rust's name for it. `caps.rs` has the names of capabilities.
pub fn tables(processor: &str, caps: &str) -> String {
    let (arch, columns) = match processor {
        "x86_64" => ("amd64", [1, 2, 3]),
        "aarch64" => ("arm64", [4, 5, 0]),
        "riscv64" => ("riscv64", [6, 0, 0]),
        _ => ("arm", [5, 0, 0]),
    };
    let profile = parse(&mut &*PROFILE);
    assert!(profile.get("defaultErrnoRet").number() == Some(1), "the profile's refusal is EPERM");
    let known =
        caps.split_once("NAMES: &str = \"").and_then(|(_, rest)| rest.split_once('"')).expect("the list of names").0;
    let known: Vec<&str> = known.split_whitespace().filter(|word| *word != "\\").collect();
    let rules = profile.get("syscalls").list();
    let mut tables = Tables { rules, known: &known, arch, classes: FIXED.to_vec(), checks: Vec::new() };
    let rows: Vec<Vec<&str>> =
        NUMBERS.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(' ').collect()).collect();
    let number = |row: &[&str], column: usize| row[column].parse::<u32>().ok();
    let mut source = String::new();
    for (column, name) in columns.into_iter().zip(["NATIVE", "COMPAT", "X32"]) {
        let mut calls = BTreeMap::new();
        for row in &rows {
            // Most of x32 is as the native calls are.
            let least = if name == "X32" { 512 } else { 0 };
            if let Some(number) = number(row, column).filter(|number| column != 0 && *number >= least) {
                calls.insert(number, tables.class(row[0]));
            }
        }
        // Where calls of a class begin; between those that are there and behind them are none.
        let mut parts: Vec<(u32, usize)> = vec![(0, 0)];
        for (&number, &class) in &calls {
            for (start, class) in [(number, class), (number + 1, 0)] {
                if parts.last().is_some_and(|last| last.0 == start) {
                    parts.pop();
                }
                if parts.last().is_none_or(|last| last.1 != class) {
                    parts.push((start, class));
                }
            }
        }
        // 16 bits for a part: its start, of which Arm's own calls lack the high bits, and below that its class.
        let word = |&(start, class): &(u32, usize)| {
            assert!(
                class < 32 && (start < PRIVATE || start >> 16 == 0xf && start & 0xffff < 2048 - PRIVATE),
                "{name}: {start}"
            );
            (if start < PRIVATE { start } else { PRIVATE + (start & 0xffff) }) << 5 | class as u32
        };
        let words: Vec<u32> = parts.iter().map(word).collect();
        let _ = writeln!(source, "pub(super) static {name}: [u16; {}] = {words:?};", words.len());
    }
    let classes = tables.classes.iter().map(|(caps, with, without)| {
        assert!(caps.count_ones() <= 2, "more capabilities than a class has room for");
        // The lowest and the highest, which may be the same; 63 is none.
        let (low, high) = (caps.trailing_zeros().min(63), 63 - caps.leading_zeros().min(63));
        format!("Class({low}, {}, {with}, {without})", if *caps == 0 { 63 } else { high })
    });
    let _ = writeln!(source, "pub(super) static CLASSES: &[Class] = &[{}];", classes.collect::<Vec<_>>().join(", "));
    let checks = tables.checks.iter().map(|(at, tests, then, otherwise)| {
        let tests = tests.iter().map(|(test, value)| format!("({test}, {value})")).collect::<Vec<_>>().join(", ");
        format!("Check({at}, &[{tests}], {then}, {otherwise})")
    });
    let _ = writeln!(source, "pub(super) static CHECKS: &[Check] = &[{}];", checks.collect::<Vec<_>>().join(", "));
    let _ = writeln!(source, "pub(super) static NAMES: &str = {:?};", names(&rows, columns));
    source
}

/// Names and numbers for profiles of the user's own, a line each, by the first of their numbers. A number is left out if it is one
/// more than the one before,.
fn names(rows: &[Vec<&str>], columns: [usize; 3]) -> String {
    let number = |row: &[&str], column: usize| row[column].parse::<u32>().ok().filter(|_| column != 0);
    let mut rows: Vec<&Vec<&str>> =
        rows.iter().filter(|row| columns.iter().any(|column| number(row, *column).is_some())).collect();
    rows.sort_by_key(|row| columns.map(|column| number(row, column).unwrap_or(u32::MAX)));
    let (mut lines, mut expected, mut seen) = (String::new(), [0; 3], BTreeSet::new());
    for row in rows {
        assert!(seen.insert(row[0]), "{} has two rows", row[0]);
        lines.push_str(row[0]);
        for (place, column) in columns.into_iter().enumerate().filter(|(_, column)| *column != 0) {
            let number = number(row, column);
            let expected = &mut expected[place];
            let _ = match number {
                None => write!(lines, " -"),
                Some(number) if number == *expected => write!(lines, " "),
                Some(number) => write!(lines, " {number}"),
            };
            if let Some(number) = number {
                *expected = number + 1;
            }
        }
        lines = lines.trim_end().to_owned() + "\n";
    }
    lines
}
