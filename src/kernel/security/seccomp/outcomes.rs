//! What a filter can say to a call, whatever its arguments, and the filter itself as text.
//!
//! # Source
//! bpf(4), `linux/seccomp.h`.

use alloc::string::String;
use alloc::vec::Vec;

use super::search::{ABOVE, AND, ARCHITECTURE, AT_LEAST, EQUALS, GO, HAS, LOAD, NUMBER, Next, RETURN, next};
use crate::base::errno::Errno;
use crate::base::sort::sort;

/// The verdicts that a program can come to for a call, the least ones first: its number and its architecture are known, its arguments
/// are not.
#[must_use]
pub fn outcomes(program: &[u64], architecture: u32, number: u32) -> Vec<u32> {
    let (mut todo, mut seen, mut found) = (Vec::from([(0, Some(0))]), Vec::new(), Vec::new());
    while let Some(state) = todo.pop() {
        if seen.contains(&state) {
            continue;
        }
        seen.push(state);
        let (at, value) = state;
        match next(program, at, value) {
            Some(Next::Loads(NUMBER)) => todo.push((at + 1, Some(number))),
            Some(Next::Loads(ARCHITECTURE)) => todo.push((at + 1, Some(architecture))),
            Some(Next::Loads(_)) => todo.push((at + 1, None)),
            Some(Next::Goes(to, with)) => todo.push((to, with)),
            Some(Next::Either(one, other)) => todo.extend([(one, value), (other, value)]),
            Some(Next::Ends(verdict)) if !found.contains(&verdict) => found.push(verdict),
            Some(Next::Ends(_)) | None => {}
        }
    }
    sort(&mut found, |one, other| one < other);
    found
}

/// A verdict in words.
#[must_use]
pub fn shown(verdict: u32) -> &'static str {
    let data = verdict & 0xffff;
    match verdict & 0xffff_0000 {
        0x0000_0000 => "kills the thread",
        0x8000_0000 => "kills the process",
        0x0003_0000 => "SIGSYS",
        0x0005_0000 => Errno(data as i32).name().unwrap_or("fails"),
        0x7fc0_0000 => "a process outside decides",
        0x7ff0_0000 => "a tracer decides",
        0x7ffc_0000 => "allowed, and logged",
        0x7fff_0000 => "allowed",
        _ => "unknown",
    }
}

/// A program, an instruction a line: where a comparison leads to, if it is so and if not.
#[must_use]
pub fn listing(program: &[u64]) -> String {
    let mut out = String::new();
    for (at, &word) in program.iter().enumerate() {
        let (code, k) = (word as u16, (word >> 32) as u32);
        let [yes, no] = [16, 24].map(|shift| at + 1 + usize::from((word >> shift) as u8));
        let name = match code {
            LOAD => "load",
            AND => "and",
            GO => "go",
            RETURN => "return",
            EQUALS => "if ==",
            ABOVE => "if >",
            AT_LEAST => "if >=",
            HAS => "if &",
            _ => "?",
        };
        out.push_str(&match code {
            RETURN => alloc::format!("{at:5}  {name:<7}{}\n", shown(k)),
            LOAD => alloc::format!("{at:5}  {name:<7}[{k}]\n"),
            GO => alloc::format!("{at:5}  {name:<7}{}\n", at + 1 + k as usize),
            AND => alloc::format!("{at:5}  {name:<7}{k:#x}\n"),
            _ => alloc::format!("{at:5}  {name:<7}{k:#x}, {yes}, else {no}\n"),
        });
    }
    out
}
