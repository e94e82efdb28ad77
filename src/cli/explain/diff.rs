//! What two ledgers differ in, process by process.

use alloc::string::String;
use alloc::vec::Vec;

use super::normal::{Call, Known};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, parse};
use crate::base::keep;
use crate::base::sort::sort;
use crate::sys::fd::CWD;
use crate::sys::{because, file};

/// The longest ledger that is read, in bytes.
const LONGEST: usize = 256 << 20;
/// How many differences are looked for at once: the shortest way is found between two places that have fewer between them, in memory
/// of four bytes for each pair of them.
const AT_ONCE: usize = 1000;
/// No place.
const NONE: i32 = -1;

/// A call as it is compared.
#[derive(PartialEq, Eq)]
struct Line {
    step: &'static str,
    text: String,
}

/// A process, its calls in order.
struct Process {
    role: &'static str,
    pid: u64,
    lines: Vec<Line>,
    names: Vec<&'static str>,
}

/// A line that is in one of them only: in the first or not, and where.
type Edit = (bool, usize);

/// Says what two ledgers differ in; the exit code, 0 if it is nothing.
///
/// # Errors
/// What is no ledger.
pub(super) fn compare(one: &str, other: &str, json: bool) -> Result<u8> {
    let (first, second) = (read(one)?, read(other)?);
    let mut pairs: Vec<(Option<&Process>, Option<&Process>)> = Vec::new();
    for (at, process) in first.iter().enumerate() {
        let before = first.iter().take(at).filter(|known| known.role == process.role).count();
        pairs.push((Some(process), second.iter().filter(|known| known.role == process.role).nth(before)));
    }
    for (at, process) in second.iter().enumerate() {
        let before = second.iter().take(at).filter(|known| known.role == process.role).count();
        if first.iter().filter(|known| known.role == process.role).nth(before).is_none() {
            pairs.push((None, Some(process)));
        }
    }
    let mut out = String::from(join!("--- {}\n+++ {}\n", one, other));
    let mut entries = Vec::new();
    for (old, new) in pairs {
        let (a, b) = (lines(old), lines(new));
        let Some(process) = old.or(new) else { continue };
        let mut step = "";
        for (is_old, at) in edits(a, b, AT_ONCE) {
            let Some(line) = (if is_old { a } else { b }).get(at) else { continue };
            let sign = if is_old { "-" } else { "+" };
            if json {
                let mut entry = Value::default();
                entry.text("sign", sign);
                entry.text("process", process.role);
                entry.text("step", line.step);
                entry.text("call", keep::copy(&line.text));
                entries.push(entry);
                continue;
            }
            if step != line.step {
                step = line.step;
                out.push_str(&["\n", process.role, ": ", step, "\n"].concat());
            }
            out.push_str(&[sign, " ", &line.text, "\n"].concat());
        }
    }
    let same = first.len() == second.len() && first.iter().zip(&second).all(|(old, new)| old.lines == new.lines);
    if json {
        super::super::print_line(&Value::from(entries).to_compact())?;
    } else {
        let totals = summary(&first, &second);
        super::super::print(&if same { phrase!("they tell of the same calls\n\n").text() + &totals } else { out + "\n" + &totals })?;
    }
    Ok(u8::from(!same))
}

fn lines(process: Option<&Process>) -> &[Line] {
    process.map_or(&[], |process| &process.lines)
}

/// How many calls there are, and which were made more or less often.
fn summary(first: &[Process], second: &[Process]) -> String {
    let mut counts: Vec<(&str, u64, u64)> = Vec::new();
    let mut totals = (0, 0);
    for (is_old, processes) in [(true, first), (false, second)] {
        for name in processes.iter().flat_map(|process| &process.names) {
            let place = counts.iter().position(|known| known.0 == *name).unwrap_or_else(|| {
                counts.push((name, 0, 0));
                counts.len() - 1
            });
            let (count, total) =
                if is_old { (&mut counts[place].1, &mut totals.0) } else { (&mut counts[place].2, &mut totals.1) };
            *count += 1;
            *total += 1;
        }
    }
    sort(&mut counts, |one, other| one.0 < other.0);
    let mut rows = String::from("CALL\tA\tB\n");
    rows.push_str(join!("all\t{}\t{}\n", totals.0, totals.1));
    for (name, one, other) in counts {
        if one != other {
            rows.push_str(join!("{}\t{}\t{}\n", name, one, other));
        }
    }
    let mut out = String::new();
    super::super::output::columns(&mut out, &rows, 0);
    out
}

/// Reads a ledger. What the ledger itself calls to be printed is left out: how often depends on how long it is.
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
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Error::new(say!("{} is no ledger: line 1: expected an object for each call, found nothing", path)));
    }
    let mut processes: Vec<Process> = Vec::new();
    for entry in entries {
        let place = processes.iter().position(|process| (process.role, process.pid) == (entry.process, entry.pid));
        let place = place.unwrap_or_else(|| {
            let new = Process { role: entry.process, pid: entry.pid, lines: Vec::new(), names: Vec::new() };
            processes.push(new);
            processes.len() - 1
        });
        if entry.step == "print this ledger" {
            continue;
        }
        // Where it is written is no part of what is told.
        let text = match entry.step {
            "open the file that the ledger goes to" => String::from(entry.name),
            _ => known.text(&entry.call()),
        };
        processes[place].lines.push(Line { step: entry.step, text });
        processes[place].names.push(entry.name);
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
    fn of(line: &Value) -> core::result::Result<Entry, &'static str> {
        if let Some(lost) = line.get("lost").and_then(Value::as_u64) {
            let name = join!("lost {}", lost);
            return Ok(Entry { step: "calls that found no room", process: "vial", pid: 0, name, args: Vec::new(), result: "" });
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
fn edits<T: PartialEq>(a: &[T], b: &[T], at_once: usize) -> Vec<Edit> {
    let mut out = Vec::new();
    let same = a.iter().rev().zip(b.iter().rev()).take_while(|(one, other)| one == other).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let (x, y, mut found) = advance(&a[i..], &b[j..], at_once);
        found.reverse();
        for (is_old, at) in found {
            out.push((is_old, at + if is_old { i } else { j }));
        }
        (i, j) = (i + x, j + y);
    }
    out
}

/// The farthest place that is reached with so many edits, and these, the last one first.
fn advance<T: PartialEq>(a: &[T], b: &[T], at_once: usize) -> (usize, usize, Vec<Edit>) {
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
    (x as usize, y as usize, found)
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
