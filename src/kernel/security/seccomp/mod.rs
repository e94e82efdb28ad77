//! Filters of system calls for workloads: the default profile, and those that a specification has.
//!
//! The default one is docker's, by which images are made. Its tables come with the binary (`compile.rs`), so that making a program
//! of them takes microseconds.

mod docker;
pub mod names;
pub mod outcomes;
mod profile;
mod search;
mod tables;
#[cfg(test)]
mod tests;
pub mod watch;

pub use profile::{flag, known};

use super::filter::{ALLOW, NATIVE, fail};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::json::Value;
use crate::sys::cold::Gate;
use search::{AND, ARCHITECTURE, ARGUMENTS, AT_LEAST, EQUALS, HAS, LOAD, NUMBER, Parts, Program, add_part};
use tables::{CHECKS, CLASSES, COMPAT, Check, Class, PRIVATE, X32};

/// A program and how it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `struct sock_filter`, a word each.
    pub program: &'static [u64],
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
}

/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW` (Linux 4.17): a filter is no reason to turn speculation off, which costs more than it does.
pub const SPEC_ALLOW: u32 = 4;
/// The thread is killed.
const KILL_THREAD: u32 = 0;
/// The kernel's name for the architecture of 32-bit programs, where there is one.
const COMPAT_ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0x4000_0003 } else { 0x4000_0028 };
/// What numbers of x32 have more than those of the processor's own calls.
const X32_BIT: u32 = 0x4000_0000;

/// What is made of a specification's filter.
type Compile = fn(&Value) -> Result<(Filter, bool)>;
/// What is made of a profile of docker's form.
type Resolve = fn(&Value, u64, &str) -> Result<Value>;

static COLD_GATE_SELDOM_COMPILE: Gate<Compile> = Gate(profile::compile);
static COLD_GATE_SELDOM_RESOLVE: Gate<Resolve> = Gate(docker::resolve);

/// The filter that a specification's `linux.seccomp` asks for, and whether a process outside decides about some calls.
///
/// # Errors
/// Names the member whose value is not one of the specification's.
pub fn compile(seccomp: &Value) -> Result<(Filter, bool)> {
    COLD_GATE_SELDOM_COMPILE.open()?(seccomp)
}

/// The `linux.seccomp` that a profile of docker's form comes to, for a container with these capabilities on this kernel.
///
/// # Errors
/// What is no profile.
pub fn resolve(profile: &Value, capabilities: u64, kernel: &str) -> Result<Value> {
    COLD_GATE_SELDOM_RESOLVE.open()?(profile, capabilities, kernel)
}

/// The default profile, for a container with these capabilities at most.
#[must_use]
pub fn default_filter(capabilities: u64) -> Filter {
    let parts = |table: &[u16]| {
        let mut parts = Parts::new();
        for word in table {
            let Class(one, other, with, without) = CLASSES[usize::from(word & 31)];
            let has = capabilities & (1 << one | 1 << other) != 0;
            let start = u32::from(word >> 5);
            let start = if start < PRIVATE { start } else { start - PRIVATE + 0xf_0000 };
            add_part(&mut parts, start, u32::from(if has { with } else { without }));
        }
        parts
    };
    let program = &mut Program::default();
    let foreign = program.verdict(KILL_THREAD);
    let mut native = program.search(&parts(&tables::NATIVE), &write);
    if cfg!(target_arch = "x86_64") {
        // Calls of x32 are the processor's own, but for some that have other numbers.
        let other = program.search(&parts(&X32), &write);
        let branch = program.branch(AT_LEAST, u32::from(X32.get(1).map_or(0, |part| part >> 5)), other, native);
        let x32 = program.before(AND, X32_BIT - 1, branch);
        let none = program.verdict(fail(Errno::ENOSYS));
        let x32 = program.branch(AT_LEAST, 2 * X32_BIT, none, x32);
        native = program.branch(AT_LEAST, X32_BIT, x32, native);
    }
    let native = program.before(LOAD, NUMBER, native);
    let mut others = foreign;
    if COMPAT.len() > 1 {
        let compat = program.search(&parts(&COMPAT), &write);
        let compat = program.before(LOAD, NUMBER, compat);
        others = program.branch(EQUALS, COMPAT_ARCHITECTURE, compat, foreign);
    }
    let first = program.branch(EQUALS, NATIVE, native, others);
    program.before(LOAD, ARCHITECTURE, first);
    Filter { program: core::mem::take(program).finish(), flags: SPEC_ALLOW }
}

/// A filter that refuses nothing.
#[must_use]
pub fn nothing_refused() -> Filter {
    const RETURN: u64 = search::RETURN as u64 | (ALLOW as u64) << 32;
    Filter { program: &[RETURN], flags: SPEC_ALLOW }
}

/// Writes what becomes of a call by its outcome in the tables.
fn write(program: &mut Program, outcome: u32) -> usize {
    match outcome {
        0 => program.verdict(ALLOW),
        1 => program.verdict(fail(Errno::EPERM)),
        2 => program.verdict(fail(Errno::ENOSYS)),
        check => {
            let Check(argument, tests, then, otherwise) = CHECKS[check as usize - 3];
            let then = write(program, then.into());
            let mut next = write(program, otherwise.into());
            for &(test, value) in tests.iter().rev() {
                let (yes, no) = if test == AT_LEAST || test == HAS { (next, then) } else { (then, next) };
                next = program.branch(test, value, yes, no);
            }
            program.before(LOAD, ARGUMENTS + 8 * u32::from(argument), next)
        }
    }
}
