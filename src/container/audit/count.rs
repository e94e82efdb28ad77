//! Counting calls, and uses of capabilities, by programs that the kernel runs whenever one is made.
//!
//! A program runs for all processes of the machine, and counts for those whose PID namespace is the container's: one that a workload
//! makes for itself is not seen.
//!
//! # Source
//! bpf(2), `linux/bpf.h`.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::Wish;
use super::programs::{self, Whose};
use crate::base::error::Result;
use crate::base::keep;
use crate::sys::bpf::{self, Map};
use crate::sys::fd::Fd;
use crate::sys::file;
use crate::sys::process;

/// `BPF_PROG_TYPE_KPROBE` and `BPF_PROG_TYPE_RAW_TRACEPOINT`.
const AT_FUNCTION: u32 = 2;
const AT_TRACEPOINT: u32 = 17;

/// The kernel's function that says whether a process has a capability, and its tracepoint.
const CAPABLE: &CStr = c"cap_capable";

/// How many different calls and capabilities are counted.
const ENTRIES: u32 = 512;
/// Numbers of calls are below this, but for few.
const NUMBERS: u32 = 512;
const KEY: usize = 8;
/// An entry: how often, the number of the first process, and its name.
const ENTRY: usize = 32;
const VALUE: u32 = ENTRY as u32;
/// What is remembered of a processor's last process: where the kernel has it, its numbers there, those in the namespace or 0, and
/// whether it is a 32-bit program.
const LAST: u32 = 32;

/// What the second half of a key says of the first: a call's number, one of a 32-bit program's, a capability, or flags of clone(2).
pub(super) const COMPAT: u32 = 1;
pub(super) const CAPABILITY: u32 = 2;
pub(super) const FLAGS: u32 = 3;

/// Where things are counted and remembered.
pub(super) struct Maps {
    /// Calls of this processor's own, by number.
    pub(super) native: Fd,
    /// Others, and capabilities.
    pub(super) others: Fd,
    /// Each processor's last process.
    pub(super) last: Fd,
}

impl Maps {
    fn new() -> Result<Maps> {
        Ok(Maps {
            native: bpf::map(Map::Array, VALUE, NUMBERS)?,
            others: bpf::map(Map::Hash, VALUE, ENTRIES)?,
            last: bpf::map(Map::ByProcessor, LAST, 1)?,
        })
    }
}

/// Programs that run.
pub struct Counter {
    maps: Maps,
    #[expect(dead_code, reason = "the programs run for as long as these are open")]
    running: Vec<Fd>,
    /// Whether uses of capabilities are counted.
    pub sees_capabilities: bool,
}

/// Something that was counted.
pub struct Counted {
    /// What: a call's number, a capability's, or flags.
    pub number: u32,
    /// Which of these, and whose call.
    pub kind: Kind,
    /// How often.
    pub count: u64,
    /// Which process was the first: its name, and its number inside.
    pub first: (&'static str, u32),
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call of this processor's own.
    Native,
    /// One of a 32-bit program.
    Compat,
    /// A use of a capability.
    Capability,
    /// clone(2) with these flags.
    Flags,
}

impl Counter {
    /// Sees whether calls can be counted, and has the kernel mark all processes as such whose calls a program is told of: they are as
    /// long as what is returned is open. A call that has begun before is told to none.
    ///
    /// # Errors
    /// bpf(2): `EPERM` for whoever is not root of the machine, `EINVAL` before Linux 5.7.
    pub fn prepare() -> Result<Fd> {
        let maps = Maps::new()?;
        bpf::load(
            AT_TRACEPOINT,
            &programs::calls(&Whose { namespace: (0, 0), but_first: false, but_joining: true }, &maps),
        )?;
        let nothing = bpf::load(AT_TRACEPOINT, &programs::nothing())?;
        bpf::at_tracepoint(c"sys_enter", nothing.by_ref())
    }

    /// Counts for the PID namespace of a process, and uses of capabilities unless calls alone are asked for. It may be there already,
    /// and others join it.
    ///
    /// # Errors
    /// As for [`Counter::prepare`].
    pub fn start(thread: u32, wish: Wish, joined: bool) -> Result<Counter> {
        let stat = file::stat(process::open_namespace(thread, "pid")?.by_ref(), c"")?;
        let namespace = (u64::from(stat.dev_major) << 20 | u64::from(stat.dev_minor), stat.ino);
        let whose = Whose { namespace, but_first: wish.init, but_joining: joined };
        let maps = Maps::new()?;
        let mut running = Vec::new();
        let watch = |at_tracepoint| {
            // It knows less of a process than the other program, so it remembers for itself.
            let last = bpf::map(Map::ByProcessor, LAST, 1)?;
            let code = programs::capabilities(&whose, &maps.others, &last, at_tracepoint);
            if at_tracepoint {
                bpf::at_tracepoint(CAPABLE, bpf::load(AT_TRACEPOINT, &code)?.by_ref())
            } else {
                bpf::at_function(CAPABLE, bpf::load(AT_FUNCTION, &code)?.by_ref())
            }
        };
        // The tracepoint came with Linux 6.14; not every kernel can do the other.
        let watched = if wish.only_calls { None } else { watch(true).or_else(|_| watch(false)).ok() };
        let sees_capabilities = watched.is_some();
        running.extend(watched);
        let program = bpf::load(AT_TRACEPOINT, &programs::calls(&whose, &maps))?;
        running.push(bpf::at_tracepoint(c"sys_enter", program.by_ref())?);
        Ok(Counter { maps, running, sees_capabilities })
    }

    /// Begins anew.
    pub fn clear(&self) {
        for (key, _) in bpf::entries::<KEY, ENTRY>(self.maps.others.by_ref()) {
            bpf::remove(self.maps.others.by_ref(), &key);
        }
        for (key, value) in bpf::entries::<4, ENTRY>(self.maps.native.by_ref()) {
            if value != [0; ENTRY] {
                bpf::put(self.maps.native.by_ref(), &key, &[0; ENTRY]);
            }
        }
    }

    /// What was counted.
    #[must_use]
    pub fn counted(&self) -> Vec<Counted> {
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let entry = |key: &[u8], value: &[u8]| Counted {
            number: number(&key[..4]) as u32,
            kind: match number(&key[4..]) as u32 {
                CAPABILITY => Kind::Capability,
                FLAGS => Kind::Flags,
                COMPAT => Kind::Compat,
                _ => Kind::Native,
            },
            count: number(&value[..8]),
            first: (
                keep::lossy(value[16..].split(|byte| *byte == 0).next().unwrap_or_default()),
                number(&value[8..12]) as u32,
            ),
        };
        let mut counted = Vec::new();
        for (key, value) in bpf::entries::<KEY, ENTRY>(self.maps.others.by_ref()) {
            counted.push(entry(&key, &value));
        }
        for (key, value) in bpf::entries::<4, ENTRY>(self.maps.native.by_ref()) {
            if value != [0; ENTRY] {
                counted.push(entry(&key, &value));
            }
        }
        counted
    }
}
