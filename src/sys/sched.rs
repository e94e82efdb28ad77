//! What few containers ask for: how a process is scheduled, on which processors and from which memory, and as what it runs.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::file::fail_on;
use crate::base::error::Result;

/// `struct sched_attr` in its second form, `sched_setattr(2)`, `linux/sched/types.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its bytes.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// From -20 to 19, without real time.
    pub nice: i32,
    /// From 1 to 99, in real time.
    pub priority: u32,
    /// Nanoseconds that it gets in a period.
    pub runtime: u64,
    /// Nanoseconds after which it must have had them.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
    /// How fast a processor is to be at least, of 1024.
    pub least: u32,
    /// And at most.
    pub most: u32,
}

/// How many numbers of processors and of memory nodes are known, as many as a kernel can have.
pub const NUMBERS: usize = 8192;
/// A set of them, a bit each.
pub type Numbers = [usize; NUMBERS / usize::BITS as usize];

/// Sets how the kernel gives this process time.
///
/// # Errors
/// `sched_setattr(2)`.
pub fn sched_setattr(attributes: &Attributes) -> Result<()> {
    // SAFETY: the structure has the kernel's layout and says how long it is.
    unsafe { sys!(sched_setattr, 0, core::ptr::from_ref(attributes), 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the scheduler"), ""))
}

/// Sets on which processors this process may run.
///
/// # Errors
/// `sched_setaffinity(2)`.
pub fn sched_setaffinity(processors: &Numbers) -> Result<()> {
    // SAFETY: the mask is readable.
    unsafe { sys!(sched_setaffinity, 0, size_of::<Numbers>(), processors.as_ptr()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the processors that may be used"), ""))
}

/// Sets when this process's input and output are served: the class above 13 bits of a priority.
///
/// # Errors
/// `ioprio_set(2)`.
pub fn ioprio_set(priority: u32) -> Result<()> {
    /// `IOPRIO_WHO_PROCESS`.
    const PROCESS: i32 = 1;
    // SAFETY: no memory is involved.
    unsafe { sys!(ioprio_set, PROCESS, 0, priority) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the priority of input and output"), ""))
}

/// Sets from which nodes the memory of this process is.
///
/// # Errors
/// `set_mempolicy(2)`.
pub fn set_mempolicy(mode: u32, nodes: &Numbers, any: bool) -> Result<()> {
    // The kernel takes more bits than it has nodes if those are zero, but no more than a page of them; it looks at one less.
    let (mask, bits) = if any { (nodes.as_ptr() as usize, NUMBERS + 1) } else { (0, 0) };
    // SAFETY: the mask is readable.
    unsafe { sys!(set_mempolicy, mode, mask, bits) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the memory policy"), ""))
}

/// Sets whose system calls this process makes; personality(2).
///
/// # Errors
/// personality(2).
pub fn personality(domain: u32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(personality, domain) }.map(drop).map_err(|errno| fail_on(errno, phrase!("set the personality"), ""))
}

/// Has other processes be able to trace this one and to write to its `/proc` entries, or no longer.
///
/// # Errors
/// prctl(2).
pub fn prctl_dumpable(open: bool) -> Result<()> {
    // SAFETY: this option takes a number.
    unsafe { sys!(prctl, libc::PR_SET_DUMPABLE, usize::from(open), 0, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("open to tracing for a moment"), ""))
}
