//! Programs that search: a call's number is looked for in sorted parts by halves, and not among all calls one by one.
//!
//! A program is written from its end, since its jumps lead forward only: where one leads to is there before the jump is.
//!
//! # Source
//! bpf(4), `Documentation/userspace-api/seccomp_filter.rst`, `linux/filter.h`.

use alloc::vec::Vec;

/// `LD [k]`: a word of `struct seccomp_data`.
pub const LOAD: u16 = 0x20;
/// `AND k`
pub const AND: u16 = 0x54;
/// `RET k`
pub const RETURN: u16 = 0x06;
/// `JA k`
pub const GO: u16 = 0x05;
/// `JEQ k`
pub const EQUALS: u16 = 0x15;
/// `JGT k`
pub const ABOVE: u16 = 0x25;
/// `JGE k`
pub const AT_LEAST: u16 = 0x35;
/// `JSET k`
pub const HAS: u16 = 0x45;

/// Where `struct seccomp_data` has the call's number.
pub const NUMBER: u32 = 0;
/// And the architecture whose calls are numbered so.
pub const ARCHITECTURE: u32 = 4;
/// And the arguments, eight bytes each, the lower half first.
pub const ARGUMENTS: u32 = 16;

/// How far a jump with a condition leads, less what may come between.
const REACH: usize = 250;

/// A program under construction. Its places are counted from the end.
#[derive(Default)]
pub struct Program {
    /// `struct sock_filter` as words of 64 bits, the last first.
    code: Vec<u64>,
    /// What was written for a key, and where.
    known: Vec<(u32, usize)>,
}

/// How many numbers the last part counts for, which has no end.
const WIDTH: u32 = 8;

/// Where parts begin, and a key for what becomes of the calls in each.
pub type Parts = Vec<(u32, u32)>;

impl Program {
    /// Adds an instruction before all others; its place.
    pub fn add(&mut self, code: u16, k: u32) -> usize {
        self.code.push(u64::from(code) | u64::from(k) << 32);
        self.code.len() - 1
    }

    /// Has the program end with a verdict.
    pub fn verdict(&mut self, verdict: u32) -> usize {
        self.add(RETURN, verdict)
    }

    /// Adds a comparison and where it leads to.
    #[inline(never)]
    pub fn branch(&mut self, code: u16, k: u32, yes: usize, no: usize) -> usize {
        let yes = self.near(yes);
        let no = self.near(no);
        let at = self.add(code, k);
        let distance = |to: usize| (at - 1 - to) as u64;
        self.code[at] |= distance(yes) << 16 | distance(no) << 24;
        at
    }

    /// A place that leads where this one does, and is near: itself, if it is.
    fn near(&mut self, to: usize) -> usize {
        let distance = self.code.len() - to;
        if distance <= REACH { to } else { self.add(GO, distance as u32 - 1) }
    }

    /// Adds an instruction that goes on at a place.
    pub fn before(&mut self, code: u16, k: u32, next: usize) -> usize {
        let distance = self.code.len() - 1 - next;
        if distance != 0 {
            self.add(GO, distance as u32);
        }
        self.add(code, k)
    }

    /// Searches the number that was loaded in parts of which the first begins at 0 or below it.
    #[inline(never)]
    pub fn search(&mut self, parts: &[(u32, u32)], write: &dyn Fn(&mut Program, u32) -> usize) -> usize {
        if let [(_, key)] = *parts {
            let last = self.known.iter().rfind(|(known, _)| *known == key);
            if let Some((_, at)) = last.filter(|(_, at)| self.code.len() - at < REACH - 20) {
                return *at;
            }
            let at = write(self, key);
            self.known.push((key, at));
            return at;
        }
        // The halves have as many numbers, not as many parts: large parts are what programs call most, and the kernel, when it
        // takes a filter, runs it once for each number.
        let (first, last) = (parts[0].0, parts[parts.len() - 1].0.saturating_add(WIDTH));
        let middle = first + (last - first) / 2;
        let above = parts.iter().position(|part| part.0 > middle).unwrap_or(parts.len());
        let nearer = above > 1 && (above == parts.len() || middle - parts[above - 1].0 < parts[above].0 - middle);
        let (lower, upper) = parts.split_at((above - usize::from(nearer)).max(1));
        let yes = self.search(upper, write);
        let no = self.search(lower, write);
        self.branch(AT_LEAST, upper[0].0, yes, no)
    }

    /// Has keys stand for something else from now on.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// The program, its beginning first.
    pub fn finish(mut self) -> &'static [u64] {
        self.code.reverse();
        self.code.leak()
    }
}

/// What an instruction does, at a place of a program and with a value that may not be known.
pub enum Next {
    /// It loads a word of the call, and the next one follows.
    Loads(u32),
    /// Another one follows, with this value.
    Goes(usize, Option<u32>),
    /// One of two follows, by the value that is not known.
    Either(usize, usize),
    /// It ends with a verdict.
    Ends(u32),
}

/// What comes next; `None` where there is no instruction, or one that programs here don't have.
#[must_use]
pub fn next(program: &[u64], at: usize, value: Option<u32>) -> Option<Next> {
    let word = *program.get(at)?;
    let (code, k) = (word as u16, (word >> 32) as u32);
    let test: fn(u32, u32) -> bool = match code {
        LOAD => return Some(Next::Loads(k)),
        AND => return Some(Next::Goes(at + 1, value.map(|value| value & k))),
        GO => return Some(Next::Goes(at + 1 + k as usize, value)),
        RETURN => return Some(Next::Ends(k)),
        EQUALS => |value, k| value == k,
        ABOVE => |value, k| value > k,
        AT_LEAST => |value, k| value >= k,
        HAS => |value, k| value & k != 0,
        _ => return None,
    };
    let [yes, no] = [16, 24].map(|shift| at + 1 + usize::from((word >> shift) as u8));
    Some(match value {
        Some(known) => Next::Goes(if test(known, k) { yes } else { no }, value),
        None => Next::Either(yes, no),
    })
}

/// Adds a part, unless it is as the one before.
pub fn add_part(parts: &mut Parts, start: u32, key: u32) {
    if parts.last().is_some_and(|last| last.0 == start) {
        parts.pop();
    }
    if parts.last().is_none_or(|last| last.1 != key) {
        parts.push((start, key));
    }
}
