//! What two ledgers differ in, process by process.

use alloc::string::String;
use alloc::vec::Vec;

use super::normal::{Call, Known};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, parse};
use crate::sys::fd::CWD;
use crate::sys::{because, file};

/// The longest ledger that is read, in bytes.
const LONGEST: usize = 256 << 20;
/// How many differences are looked for at once: the shortest way is found between two places that have fewer between them, in memory
/// of four bytes for each pair of them.
const AT_ONCE: usize = 1000;
/// Where the ledger's file is opened, whose name is no part of what is told.
const PLACE: &str = "open the file that the ledger goes to";
/// Steps in which it depends on others what comes, and in how many pieces, or whether the kernel was quicker, which takes interfaces
/// away with their namespace: each call in them is compared by its name, and once.
const WAITS: [&str; 5] =
    ["wait ", "watch ", "pass on ", "be the container's init", "separate the container's interfaces"];
/// No place.
const NONE: i32 = -1;

/// A call as it is compared.
struct Line {
    role: &'static str,
    step: &'static str,
    call: &'static str,
    text: &'static str,
}

impl PartialEq for Line {
    fn eq(&self, other: &Line) -> bool {
        self.text == other.text && self.step == other.step
    }
}

/// A process: what it is, how many of these were before it, and its calls in order.
struct Process {
    role: &'static str,
    nth: usize,
    pid: u64,
    lines: Vec<Line>,
}

/// A line that is in one of them only: in the first or not, and where.
type Edit = (bool, usize);

/// Says what two ledgers differ in; the exit code, 0 if it is nothing.
///
/// # Errors
/// What is no ledger.
#[inline(never)]
pub(super) fn compare(one: &str, other: &str, json: bool) -> Result<u8> {
    let (first, second) = (read(one)?, read(other)?);
    // By what they are: the second helper is compared with the second helper.
    let mut pairs: Vec<(&[Line], &[Line])> = Vec::new();
    for process in &first {
        pairs.push((&process.lines, lines(&second, process)));
    }
    for process in &second {
        if lines(&first, process).is_empty() {
            pairs.push((&[], &process.lines));
        }
    }
    let mut out = String::from(join!("--- {}\n+++ {}\n", one, other));
    let mut entries = Vec::new();
    let mut same = true;
    let mut heading = ("", "");
    for (a, b) in pairs {
        for (is_old, at) in edits(a, b, AT_ONCE) {
            let Some(line) = (if is_old { a } else { b }).get(at) else { continue };
            let sign = if is_old { "-" } else { "+" };
            same = false;
            if json {
                let mut entry = Value::default();
                entry.text("sign", sign);
                entry.text("process", line.role);
                entry.text("step", line.step);
                entry.text("call", line.text);
                entries.push(entry);
                continue;
            }
            if heading != (line.role, line.step) {
                heading = (line.role, line.step);
                out.push_str(join!("\n{}: {}\n", line.role, line.step));
            }
            out.push_str(join!("{} {}\n", sign, line.text));
        }
    }
    if json {
        super::super::print_line(&Value::from(entries).to_compact())?;
    } else {
        let totals = summary(&first, &second);
        super::super::print(&if same {
            phrase!("they tell of the same calls\n\n").text() + &totals
        } else {
            out + "\n" + &totals
        })?;
    }
    Ok(u8::from(!same))
}

/// The calls of the process that is what another is.
fn lines<'a>(processes: &'a [Process], like: &Process) -> &'a [Line] {
    let found = processes.iter().find(|process| (process.role, process.nth) == (like.role, like.nth));
    found.map_or(&[], |process| &process.lines)
}

/// How many calls there are, and which were made more or less often.
#[inline(never)]
fn summary(first: &[Process], second: &[Process]) -> String {
    let mut counts: Vec<(&str, [u64; 2])> = Vec::from([("all", [0; 2])]);
    for (side, processes) in [first, second].into_iter().enumerate() {
        for line in processes.iter().flat_map(|process| &process.lines) {
            let place = counts.iter().position(|known| known.0 == line.call);
            let place = place.unwrap_or_else(|| {
                counts.push((line.call, [0; 2]));
                counts.len() - 1
            });
            counts[0].1[side] += 1;
            counts[place].1[side] += 1;
        }
    }
    let mut rows = String::from("CALL\tA\tB\n");
    for (at, (name, [one, other])) in counts.into_iter().enumerate() {
        if at == 0 || one != other {
            rows.push_str(join!("{}\t{}\t{}\n", name, one, other));
        }
    }
    let mut out = String::new();
    super::super::output::columns(&mut out, &rows, 0);
    out
}

/// Reads a ledger. What the ledger itself calls to be printed is left out: how often depends on how long it is.
#[inline(never)]
fn read(path: &str) -> Result<Vec<Process>> {
    let _why = because!("read the ledger");
    let content = file::read_file(CWD, file::path(path)?, LONGEST)?;
    let mut known = Known::default();
    let mut entries = Vec::new();
    for (at, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let wrong = |what: &str| {
            Error::new(say!("{} is no ledger: line {}: {}", path, at + 1, what))
                .hint(phrase!("vial --explain=json --explain-to FILE run ... writes one"))
        };
        let value = parse(line).map_err(|error| wrong(say!("expected JSON: {}", error)))?;
        let entry = Entry::of(&value).map_err(|what| wrong(say!("expected an object with {}", what)))?;
        known.learn_pid(entry.pid);
        known.learn(&entry.call());
        if entry.step == PLACE {
            known.place = entry.args.get(1).copied().unwrap_or_default();
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Error::new(say!("{} is no ledger: line 1: expected an object for each call, found nothing", path)));
    }
    let mut processes: Vec<Process> = Vec::new();
    for entry in entries {
        let place = processes.iter().position(|process| (process.role, process.pid) == (entry.process, entry.pid));
        let place = place.unwrap_or_else(|| {
            let nth = processes.iter().filter(|process| process.role == entry.process).count();
            processes.push(Process { role: entry.process, nth, pid: entry.pid, lines: Vec::new() });
            processes.len() - 1
        });
        if entry.step == "print this ledger" {
            continue;
        }
        let lines = &mut processes[place].lines;
        let mut text: &str = known.text(&entry.call()).leak();
        if WAITS.iter().any(|words| entry.step.starts_with(words)) {
            text = entry.name;
            if lines.iter().rev().take_while(|line| line.step == entry.step).any(|line| line.call == text) {
                continue;
            }
        }
        lines.push(Line { role: entry.process, step: entry.step, call: entry.name, text });
    }
    Ok(processes)
}

/// A line of a ledger.
struct Entry {
    step: &'static str,
    process: &'static str,
    pid: u64,
    name: &'static str,
    args: Vec<&'static str>,
    result: &'static str,
}

impl Entry {
    /// What the line says; or which member it lacks.
    #[inline(never)]
    fn of(line: &Value) -> core::result::Result<Entry, &'static str> {
        if let Some(lost) = line.get("lost").and_then(Value::as_u64) {
            let name = join!("lost {}", lost);
            return Ok(Entry {
                step: "calls that found no room",
                process: "vial",
                pid: 0,
                name,
                args: Vec::new(),
                result: "",
            });
        }
        let text = |key: &'static str| line.get(key).and_then(Value::as_str).ok_or(key);
        let mut args = Vec::new();
        for arg in line.get("args").and_then(Value::as_array).ok_or("args")? {
            args.push(arg.as_str().ok_or("args")?);
        }
        let result = match (line.get("result").ok_or("result")?, line.get("errno").and_then(Value::as_str)) {
            (Value::Null, _) => "?",
            (value, None) => value.to_compact().leak(),
            (_, Some(errno)) => join!("-1 {}", errno),
        };
        Ok(Entry {
            step: text("step")?,
            process: text("process")?,
            pid: line.get("pid").and_then(Value::as_u64).ok_or("pid")?,
            name: text("call")?,
            args,
            result,
        })
    }

    fn call(&self) -> Call<'_> {
        Call { name: self.name, args: &self.args, result: self.result }
    }
}

/// What has to be taken from `a` and added to make `b` of it, in order.
///
/// Source: Eugene W. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986. It is the shortest way for up to `at_once`
/// differences; where there are more, the way that gets farthest with so many is taken, and the search begins again from there.
#[inline(never)]
fn edits<T: PartialEq>(a: &[T], b: &[T], at_once: usize) -> Vec<Edit> {
    let mut out = Vec::new();
    let same = a.iter().rev().zip(b.iter().rev()).take_while(|(one, other)| one == other).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let mut at = (0, 0);
    while at.0 < a.len() || at.1 < b.len() {
        let (on, mut found) = advance(&a[at.0..], &b[at.1..], at_once);
        found.reverse();
        for (is_old, place) in found {
            out.push((is_old, place + if is_old { at.0 } else { at.1 }));
        }
        at = (at.0 + on.0, at.1 + on.1);
    }
    out
}

/// The farthest place that is reached with so many edits, and these, the last one first.
#[inline(never)]
fn advance<T: PartialEq>(a: &[T], b: &[T], at_once: usize) -> ((usize, usize), Vec<Edit>) {
    let (width, height) = (a.len() as i32, b.len() as i32);
    // For each number of edits: how far into `a` one gets, by how much farther that is than into `b`, in steps of two.
    let mut rounds: Vec<Vec<i32>> = Vec::new();
    // Where that is best: the place in the last round.
    let (mut best, mut reach) = (0, NONE);
    for edit in 0..=at_once {
        let mut round = Vec::with_capacity(edit + 1);
        reach = NONE;
        let mut done = false;
        for place in 0..=edit {
            let ahead = 2 * place as i32 - edit as i32;
            let mut x = from(rounds.last(), place, ahead, width, height).0;
            if x != NONE {
                while x < width && x - ahead < height && a[x as usize] == b[(x - ahead) as usize] {
                    x += 1;
                }
                let sum = 2 * x - ahead;
                if sum > reach {
                    (best, reach) = (place, sum);
                }
                done |= sum == width + height;
            }
            round.push(x);
        }
        rounds.push(round);
        if done {
            break;
        }
    }
    let last = rounds.len() - 1;
    let x = rounds[last][best];
    let y = reach - x;
    let mut found = Vec::new();
    for edit in (1..=last).rev() {
        let ahead = 2 * best as i32 - edit as i32;
        let (x, is_old) = from(rounds.get(edit - 1), best, ahead, width, height);
        found.push((is_old, if is_old { x - 1 } else { x - ahead - 1 } as usize));
        best -= usize::from(is_old);
    }
    ((x as usize, y as usize), found)
}

/// How far one gets by one edit more, before what is the same; whether by taking from the first.
fn from(before: Option<&Vec<i32>>, place: usize, ahead: i32, width: i32, height: i32) -> (i32, bool) {
    let Some(before) = before else { return (0, false) };
    let at = |place: Option<usize>| place.and_then(|place| before.get(place)).copied().unwrap_or(NONE);
    // Taken from the first, or added from the second.
    let (less, more) = (at(place.checked_sub(1)), at(Some(place)));
    let less = if less == NONE || less == width { NONE } else { less + 1 };
    let more = if more == NONE || more - ahead > height { NONE } else { more };
    if less > more { (less, true) } else { (more, false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second, made of the first by the edits, and how many there are.
    fn made(a: &[u8], b: &[u8], at_once: usize) -> (Vec<u8>, usize) {
        let edits = edits(a, b, at_once);
        let mut out = Vec::new();
        let (mut i, mut j) = (0, 0);
        let mut todo = edits.iter().peekable();
        while i < a.len() || todo.peek().is_some() {
            match todo.peek() {
                Some((true, at)) if *at == i => {
                    todo.next();
                    i += 1;
                }
                Some((false, at)) if *at == j => {
                    todo.next();
                    out.push(b[j]);
                    j += 1;
                }
                _ => {
                    out.push(a[i]);
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        (out, edits.len())
    }

    fn least(a: &[u8], b: &[u8]) -> usize {
        let mut above: Vec<usize> = (0..=b.len()).collect();
        for (row, one) in a.iter().enumerate() {
            let mut now = vec![row + 1];
            for (column, other) in b.iter().enumerate() {
                let best = if one == other { above[column] } else { 1 + above[column + 1].min(now[column]) };
                now.push(best);
            }
            above = now;
        }
        above[b.len()]
    }

    #[test]
    fn edits_make_the_second_of_the_first_and_are_the_fewest() {
        let mut seed = 1u32;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..2000 {
            let (long, short) = (next(14), next(14));
            let a: Vec<u8> = (0..long).map(|_| next(4) as u8).collect();
            let b: Vec<u8> = (0..short).map(|_| next(4) as u8).collect();
            assert_eq!(made(&a, &b, 100), (b.clone(), least(&a, &b)), "{a:?} {b:?}");
            for at_once in [1, 2, 3] {
                let (out, count) = made(&a, &b, at_once);
                assert_eq!(out, b, "{a:?} {at_once}");
                assert!(count <= a.len() + b.len());
            }
        }
    }

    #[test]
    fn lines_that_are_in_none_of_both_are_found_in_long_ledgers_that_share_nothing() {
        let (a, b) = (vec![1u8; 30_000], vec![2u8; 30_000]);
        assert_eq!(edits(&a, &b, AT_ONCE).len(), 60_000);
    }
}
