//! Programs that the kernel runs when something happens, and the maps that they keep numbers in.
//!
//! # Source
//! bpf(2), `linux/bpf.h`, `perf_event_open(2)`.
#![expect(unsafe_code, reason = "wraps system calls")]

use alloc::vec::Vec;
use core::ffi::CStr;

use super::call::sys;
use super::fd::{CWD, Fd, FdRef};
use super::file::{self, fail_on};
use super::uapi::ioctl::{PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::decimal_u32;

/// `union bpf_attr` for `BPF_PROG_LOAD`, as far as it is used here, bpf(2).
#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Loads a BPF program of `kind` (`BPF_PROG_TYPE_*`), one word per instruction.
///
/// # Errors
/// bpf(2).
pub fn load(kind: u32, instructions: &[u64]) -> Result<Fd> {
    /// `BPF_PROG_LOAD`.
    const LOAD: usize = 5;
    let attr = ProgramLoad {
        kind,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        ..ProgramLoad::default()
    };
    // SAFETY: the instructions and the license are readable.
    unsafe { sys!(bpf, LOAD, &raw const attr, size_of::<ProgramLoad>()) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("load a BPF program"), ""))
}

/// Attaches a BPF program to a control group; others that are attached stay in force (`BPF_F_ALLOW_MULTI`).
///
/// # Errors
/// bpf(2).
pub fn attach(group: FdRef<'_>, program: FdRef<'_>, attach_kind: u32) -> Result<()> {
    /// `BPF_PROG_ATTACH`.
    const ATTACH: usize = 8;
    /// `BPF_F_ALLOW_MULTI`.
    const ALLOW_MULTI: u32 = 2;
    let attr = [group.number() as u32, program.number() as u32, attach_kind, ALLOW_MULTI];
    // SAFETY: the attributes are readable.
    unsafe { sys!(bpf, ATTACH, attr.as_ptr(), size_of_val(&attr)) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("attach a BPF program"), ""))
}

/// Kinds of maps, `BPF_MAP_TYPE_*`.
#[derive(Clone, Copy, Debug)]
pub enum Map {
    /// Of any keys of eight bytes.
    Hash = 1,
    /// Of numbers, from 0 on.
    Array = 2,
    /// The same for each processor.
    ByProcessor = 6,
}

/// Makes a map for so many entries with values of this length.
///
/// # Errors
/// bpf(2).
pub fn map(kind: Map, value: u32, entries: u32) -> Result<Fd> {
    /// `BPF_MAP_CREATE`.
    const CREATE: usize = 0;
    let key = if matches!(kind, Map::Hash) { 8 } else { 4 };
    let attr = [kind as u32, key, value, entries, 0, 0];
    // SAFETY: the attributes are readable.
    unsafe { sys!(bpf, CREATE, attr.as_ptr(), size_of_val(&attr)) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("make a map for BPF programs"), ""))
}

/// The entries of a map whose keys and values are of these types.
#[must_use]
pub fn entries<const KEY: usize, const VALUE: usize>(map: FdRef<'_>) -> Vec<([u8; KEY], [u8; VALUE])> {
    /// `BPF_MAP_LOOKUP_ELEM` and `BPF_MAP_GET_NEXT_KEY`.
    const LOOK_UP: usize = 1;
    const NEXT: usize = 4;
    let (mut key, mut next, mut value) = ([0xff; KEY], [0; KEY], [0; VALUE]);
    let mut entries = Vec::new();
    loop {
        // A key that is not there stands before the first.
        let attr = [map.number() as u64, key.as_ptr() as u64, next.as_mut_ptr() as u64, 0];
        // SAFETY: the kernel reads one key and writes the other.
        if unsafe { sys!(bpf, NEXT, attr.as_ptr(), size_of_val(&attr)) }.is_err() {
            return entries;
        }
        key = next;
        let attr = [map.number() as u64, key.as_ptr() as u64, value.as_mut_ptr() as u64, 0];
        // SAFETY: the kernel reads the key and writes the value.
        if unsafe { sys!(bpf, LOOK_UP, attr.as_ptr(), size_of_val(&attr)) }.is_ok() {
            entries.push((key, value));
        }
    }
}

/// Sets an entry of a map.
pub fn put(map: FdRef<'_>, key: &[u8], value: &[u8]) {
    /// `BPF_MAP_UPDATE_ELEM`.
    const UPDATE: usize = 2;
    let attr = [map.number() as u64, key.as_ptr() as u64, value.as_ptr() as u64, 0];
    // SAFETY: the kernel reads the key and the value, which are as long as the map's are.
    let _ = unsafe { sys!(bpf, UPDATE, attr.as_ptr(), size_of_val(&attr)) };
}

/// Removes an entry of a map, if it is there.
pub fn remove(map: FdRef<'_>, key: &[u8]) {
    /// `BPF_MAP_DELETE_ELEM`.
    const DELETE: usize = 3;
    let attr = [map.number() as u64, key.as_ptr() as u64, 0, 0];
    // SAFETY: the kernel reads the key, which is as long as the map's are.
    let _ = unsafe { sys!(bpf, DELETE, attr.as_ptr(), size_of_val(&attr)) };
}

/// Has a program run at a tracepoint for as long as what is returned is open.
///
/// # Errors
/// bpf(2).
pub fn at_tracepoint(name: &CStr, program: FdRef<'_>) -> Result<Fd> {
    /// `BPF_RAW_TRACEPOINT_OPEN` (Linux 4.17).
    const OPEN: usize = 17;
    let attr = [name.as_ptr() as u64, program.number() as u64];
    // SAFETY: the name and the attributes are readable.
    unsafe { sys!(bpf, OPEN, attr.as_ptr(), size_of_val(&attr)) }.map(Fd::from_kernel).map_err(|errno| {
        fail_on(errno, phrase!("have a BPF program run at the tracepoint"), name.to_bytes().escape_ascii())
    })
}

/// Has a program run whenever the kernel enters one of its functions, for as long as what is returned is open.
///
/// # Errors
/// `perf_event_open(2)`; that the kernel has no such function.
pub fn at_function(name: &CStr, program: FdRef<'_>) -> Result<Fd> {
    /// `struct perf_event_attr` in its second version, with all that is wanted of it.
    #[repr(C)]
    #[derive(Default)]
    struct Event {
        kind: u32,
        size: u32,
        config: u64,
        period: u64,
        sample: u64,
        read: u64,
        flags: u64,
        wakeup: u32,
        breakpoint: u32,
        function: u64,
        offset: u64,
    }
    /// `PERF_FLAG_FD_CLOEXEC`.
    const CLOSE_ON_EXEC: usize = 8;
    let kind = file::read_file(CWD, c"/sys/bus/event_source/devices/kprobe/type", 16)?;
    let kind = core::str::from_utf8(&kind).ok().and_then(|text| decimal_u32(text.trim()));
    let kind = kind.ok_or_else(|| Error::new(phrase!("the kernel has no probes (CONFIG_KPROBE_EVENTS)")))?;
    let event = Event { kind, size: size_of::<Event>() as u32, function: name.as_ptr() as u64, ..Event::default() };
    // SAFETY: the attributes and the name in them are readable.
    let opened = unsafe { sys!(perf_event_open, &raw const event, usize::MAX, 0, usize::MAX, CLOSE_ON_EXEC) };
    let failed = |errno: Errno| {
        fail_on(errno, phrase!("have a BPF program run in the kernel's function"), name.to_bytes().escape_ascii())
    };
    let event = opened.map(Fd::from_kernel).map_err(failed)?;
    for (request, argument) in [(PERF_EVENT_IOC_SET_BPF, program.number()), (PERF_EVENT_IOC_ENABLE, 0)] {
        // SAFETY: numbers only.
        unsafe { sys!(ioctl, event.number(), request, argument) }.map_err(failed)?;
    }
    Ok(event)
}
