//! The ledger: every system call that vial's processes make, in order, under the reason for it.
//!
//! The record lies in memory that vial shares with the processes it clones, so that one process can print them all, and so
//! that a child's last calls are there even if it is killed. A record is begun before the call and completed after it. The
//! first process prints; the line of the printing `write` itself is the last one that this `write` prints.
//!
//! Nothing is allocated while a record is made, and without a ledger a call costs one load and one branch more.
#![expect(unsafe_code, reason = "reads and writes the memory that vial's processes share")]

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::{ptr, slice};

use syscalls::Sysno;

use super::arch;
use super::call::{call, enter, outcome};
use super::calls::{self, SEPARATOR, Text};
use super::cold::{self, Gate};
use super::number;
use crate::base::error::Result;
use crate::base::phrase::Phrase;

mod early;
mod print;

pub use early::expect;
use early::{early, end_early, note_early, record_early};
pub use print::Format;

/// Bytes reserved for records; pages that are never written cost nothing.
const CAPACITY: usize = if cfg!(target_pointer_width = "64") { 256 << 20 } else { 32 << 20 };
/// Loops that make many calls print when this many bytes of records have gathered.
const MUCH: usize = 192 << 10;
/// The most processes that are told apart.
const PROCESSES: usize = 64;

const BEGUN: u32 = 1;
const DONE: u32 = 2;
const PRINTED: u32 = 3;

/// What the shared memory starts with.
#[repr(C)]
struct Shared {
    /// Offset of the next record.
    head: AtomicUsize,
    /// Calls that found no more room.
    lost: AtomicU64,
    /// The next process number.
    processes: AtomicU32,
    /// Process IDs by process number, as the process that cloned them saw them.
    pids: [AtomicU32; PROCESSES],
    /// What each process is: an index into `ROLES`.
    roles: [AtomicU32; PROCESSES],
}

/// A call of the printing process's own that is printed before it is made.
struct Last<'a> {
    call: Sysno,
    args: &'a str,
    result: Option<usize>,
    why: Phrase,
}

/// One call. The text of its arguments follows.
#[repr(C)]
struct Record {
    length: u32,
    state: AtomicU32,
    process: u32,
    number: u32,
    begun: u64,
    ended: AtomicU64,
    register: AtomicUsize,
    reason: u32,
    text_length: usize,
}

/// The shared memory of the ledger that is being kept; null for none.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
/// Where it is printed, and in which form.
static SINK: AtomicU32 = AtomicU32::new(2);
static JSON: AtomicBool = AtomicBool::new(false);
/// The first record that may be still unprinted.
static UNPRINTED: AtomicUsize = AtomicUsize::new(0);
/// This process's number; 0 is the process that opened the ledger.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Clock readings when the ledger was opened: ticks and nanoseconds.
static TICKS: AtomicU64 = AtomicU64::new(0);
static NANOSECONDS: AtomicU64 = AtomicU64::new(0);

#[cfg(not(test))]
mod reason {
    //! The reasons in force, outermost first.
    use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

    use crate::base::phrase::Phrase;

    /// More are never nested; if they were, the deepest would go unnamed.
    const MOST: usize = 16;
    static REASONS: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
    static DEPTH: AtomicUsize = AtomicUsize::new(0);

    #[inline(never)]
    pub(super) fn get() -> Phrase {
        let top = DEPTH.load(Relaxed).min(MOST).wrapping_sub(1);
        REASONS.get(top).map_or(Phrase::EMPTY, |reason| Phrase::from_number(reason.load(Relaxed)))
    }

    #[inline(never)]
    pub(super) fn push(reason: Phrase) {
        let top = DEPTH.fetch_add(1, Relaxed);
        if let Some(place) = REASONS.get(top) {
            place.store(reason.number(), Relaxed);
        }
    }

    #[inline(never)]
    pub(super) fn pop() {
        DEPTH.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod reason {
    //! Unit tests run in threads, each with its own reasons.
    use std::cell::RefCell;

    use crate::base::phrase::Phrase;

    std::thread_local! { static REASONS: RefCell<Vec<Phrase>> = const { RefCell::new(Vec::new()) }; }
    pub(super) fn get() -> Phrase {
        REASONS.with_borrow(|reasons| reasons.last().copied().unwrap_or(Phrase::EMPTY))
    }
    pub(super) fn push(reason: Phrase) {
        REASONS.with_borrow_mut(|reasons| reasons.push(reason));
    }
    pub(super) fn pop() {
        REASONS.with_borrow_mut(std::vec::Vec::pop);
    }
}

/// Puts the reason that held before back when dropped. They are dropped in the reverse of the order in which they were made.
#[must_use = "the reason holds as long as this lives"]
pub struct Because(());

/// States why the calls that follow are made: heads their group in the ledger and becomes the context of their errors.
/// `because!("...")` is the same with the words themselves.
#[inline]
pub fn because(why: Phrase) -> Because {
    reason::push(why);
    Because(())
}

/// The reason in force.
#[must_use]
#[inline]
pub fn reason() -> Phrase {
    reason::get()
}

impl Drop for Because {
    #[inline]
    fn drop(&mut self) {
        reason::pop();
    }
}

fn shared() -> Option<&'static Shared> {
    let shared = SHARED.load(Ordering::Relaxed);
    if shared == early().cast() {
        return None;
    }
    // SAFETY: `open` stores the address of a mapping that is never unmapped, and only once it is initialised.
    unsafe { shared.as_ref() }
}

/// Whether a ledger is kept.
#[must_use]
pub fn is_open() -> bool {
    shared().is_some()
}

/// The records' memory, behind the header.
fn base(shared: &Shared) -> *mut u8 {
    ptr::from_ref(shared).cast_mut().cast::<u8>().wrapping_add(size_of::<Shared>().next_multiple_of(64))
}

/// Starts the ledger; the calls that this takes, and those before that were noted, are its first entries.
///
/// # Errors
/// When the kernel gives no memory.
pub fn open(format: Format) -> Result<()> {
    let _why = because!("keep this ledger");
    let length = CAPACITY + size_of::<Shared>().next_multiple_of(64);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let args = [0, length, protection as usize, flags as usize, usize::MAX, 0];
    // What writes a ledger down is packed.
    expect();
    let unpacked = COLD_GATE_LEDGER_DESCRIBE.open();
    SHARED.store(ptr::null_mut(), Ordering::Relaxed);
    unpacked?;
    let begun = arch::ticks();
    // SAFETY: a fresh mapping touches nothing that exists.
    let address = unsafe { call(number::mmap, args) }
        .map_err(|errno| super::file::fail(errno, phrase!("mmap"), c"the ledger"))?;
    JSON.store(format == Format::Json, Ordering::Relaxed);
    SHARED.store(address as *mut Shared, Ordering::Relaxed);
    record_early(cold::WHY);
    let record = begin_at(number::mmap, &args, begun);
    end(record, address);
    if let Some(shared) = shared() {
        shared.processes.store(1, Ordering::Relaxed);
        shared.pids[0].store(super::process::getpid(), Ordering::Relaxed);
    }
    TICKS.store(arch::ticks(), Ordering::Relaxed);
    NANOSECONDS.store(nanoseconds(), Ordering::Relaxed);
    Ok(())
}

/// Keeps no ledger of this process any more: it outlives the one that prints.
pub fn leave() {
    SHARED.store(ptr::null_mut(), Ordering::Relaxed);
}

/// Prints to this descriptor from now on, which must stay open.
pub fn print_to(sink: super::FdRef<'_>) {
    SINK.store(sink.number() as u32, Ordering::Relaxed);
}

fn nanoseconds() -> u64 {
    let now = super::process::clock(libc::CLOCK_MONOTONIC);
    now.secs as u64 * 1_000_000_000 + u64::from(now.nanos)
}

/// Begins a record; null when no ledger is kept or it is full.
#[inline]
pub(super) fn begin(nr: Sysno, args: &[usize; 6]) -> *mut u8 {
    if SHARED.load(Ordering::Relaxed).is_null() { ptr::null_mut() } else { begin_at(nr, args, arch::ticks()) }
}

#[cold]
#[inline(never)]
fn begin_at(nr: Sysno, args: &[usize; 6], begun: u64) -> *mut u8 {
    let Some(shared) = shared() else { return note_early(nr, args, begun) };
    let mut text = Text::new();
    let Ok(describe) = COLD_GATE_LEDGER_DESCRIBE.open() else { return ptr::null_mut() };
    describe(nr, args, &mut text);
    let text = text.as_bytes();
    let length = (size_of::<Record>() + text.len()).next_multiple_of(16);
    let at = shared.head.fetch_add(length, Ordering::Relaxed);
    if at + length > CAPACITY {
        shared.head.fetch_sub(length, Ordering::Relaxed);
        shared.lost.fetch_add(1, Ordering::Relaxed);
        return ptr::null_mut();
    }
    let start = base(shared).wrapping_add(at);
    let record = Record {
        length: length as u32,
        state: AtomicU32::new(BEGUN),
        process: PROCESS.load(Ordering::Relaxed),
        number: nr as u32,
        begun,
        ended: AtomicU64::new(0),
        register: AtomicUsize::new(0),
        reason: reason().number(),
        text_length: text.len(),
    };
    // SAFETY: these bytes lie inside the mapping, are aligned to 16, and were reserved for this record alone.
    unsafe {
        start.cast::<Record>().write(record);
        start.add(size_of::<Record>()).copy_from_nonoverlapping(text.as_ptr(), text.len());
    }
    start
}

/// Completes a record.
#[inline]
pub(super) fn end(record: *mut u8, register: usize) {
    if !record.is_null() {
        end_at(record, register);
    }
}

#[cold]
#[inline(never)]
fn end_at(record: *mut u8, register: usize) {
    if record == early() {
        return end_early(register);
    }
    // SAFETY: `begin` returned this address of a record in the mapping, which stays mapped.
    let record = unsafe { &*record.cast::<Record>() };
    let clones = record.number == Sysno::clone as u32 || record.number == Sysno::clone3 as u32;
    if clones && register == 0 {
        // This is the new process, in which the call returns once more; the record is the one of the process that made it.
        return;
    }
    record.ended.store(arch::ticks(), Ordering::Relaxed);
    record.register.store(register, Ordering::Relaxed);
    record.state.store(DONE, Ordering::Release);
}

/// What the processes of vial are, as the ledger names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The process that the user started.
    Vial,
    /// The container's first process, until it executes the workload.
    Container,
    /// The process that will execute the workload under vial's init.
    Workload,
    /// A process that does part of the first one's work.
    Helper,
    /// The process that stays with a detached container.
    Monitor,
    /// One that serves a network or published ports, and is vial executed anew.
    Server,
}

/// Names of the roles, in their order.
const ROLES: [&str; 6] = ["vial", "container", "workload", "helper", "monitor", "server"];

/// Reserves a number for the process that is about to be cloned.
#[must_use]
pub(super) fn new_process(role: Role) -> u32 {
    let Some(shared) = shared() else { return 0 };
    let process = shared.processes.fetch_add(1, Ordering::Relaxed).min(PROCESSES as u32 - 1);
    shared.roles[process as usize].store(role as u32, Ordering::Relaxed);
    process
}

/// Says which process was cloned under this number; called by the process that cloned it.
pub(super) fn cloned(process: u32, pid: u32) {
    if let Some(shared) = shared() {
        shared.pids[process as usize].store(pid, Ordering::Relaxed);
    }
}

/// Says that this process is the one cloned under this number.
pub(super) fn became(process: u32) {
    PROCESS.store(process, Ordering::Relaxed);
}

/// A record and the text of its arguments.
struct Seen<'a> {
    record: &'a Record,
    text: &'a str,
    why: Phrase,
}

fn seen(shared: &Shared, at: usize) -> Seen<'_> {
    let start = base(shared).wrapping_add(at);
    // SAFETY: `at` is the offset of a record that was written whole: offsets are walked from 0 in steps of lengths, up to
    // `head`, by the printing process while it alone adds records or after `state` was seen set.
    unsafe {
        let record = &*start.cast::<Record>();
        let text = slice::from_raw_parts(start.add(size_of::<Record>()), record.text_length);
        Seen { record, text: core::str::from_utf8_unchecked(text), why: Phrase::from_number(record.reason) }
    }
}

/// Marks the execve that a cloned process began as successful: called by the process that knows.
pub fn executed() {
    let Some(shared) = shared() else { return };
    let mut at = UNPRINTED.load(Ordering::Relaxed);
    while at < shared.head.load(Ordering::Relaxed) {
        let record = seen(shared, at).record;
        if record.number == Sysno::execve as u32 && record.state.load(Ordering::Acquire) == BEGUN {
            record.ended.store(record.begun, Ordering::Relaxed);
            record.state.store(DONE, Ordering::Release);
        }
        at += (record.length as usize).max(16);
    }
}

/// Prints if much has gathered; for loops that make many calls.
pub fn relieve() {
    let Some(shared) = shared() else { return };
    if shared.head.load(Ordering::Relaxed) - UNPRINTED.load(Ordering::Relaxed) > MUCH {
        print_done();
    }
}

/// Prints what is complete, in order. Only the process that opened the ledger prints.
pub fn print_done() {
    if PROCESS.load(Ordering::Relaxed) == 0 {
        print(None);
    }
}

/// Prints everything that is left and, as its last line, the call by which this process is about to end.
pub(super) fn print_last(code: i32) {
    if PROCESS.load(Ordering::Relaxed) == 0 {
        print(Some(&Last { call: Sysno::exit_group, args: &alloc::format!("{code}"), result: None, why: print::END }));
    } else {
        let _why = because(print::END);
        // Begun and never completed: the first process prints it with `?` for its result, as strace does.
        let _ = begin(Sysno::exit_group, &[code as usize, 0, 0, 0, 0, 0]);
    }
}

/// Prints everything and, as its last line, the execve by which this process is about to go on as another program.
pub(super) fn print_replaced(args: &[usize; 6]) {
    let Some(Ok(describe)) = shared().map(|_| COLD_GATE_LEDGER_DESCRIBE.open()) else { return };
    let mut text = Text::new();
    describe(Sysno::execve, args, &mut text);
    let args = core::str::from_utf8(text.as_bytes()).unwrap_or_default();
    print(Some(&Last { call: Sysno::execve, args, result: Some(0), why: reason() }));
}

fn print(last: Option<&Last<'_>>) {
    if let Some((shared, Ok(print))) = shared().map(|shared| (shared, COLD_GATE_LEDGER_PRINT.open())) {
        print(shared, last);
    }
}

static COLD_GATE_LEDGER_DESCRIBE: Gate<fn(Sysno, &[usize; 6], &mut Text)> = Gate(calls::describe);
static COLD_GATE_LEDGER_PRINT: Gate<fn(&Shared, Option<&Last<'_>>)> = Gate(print_page);

fn print_page(shared: &Shared, last: Option<&Last<'_>>) {
    let _why = because(print::OWN);
    let now = nanoseconds();
    let elapsed = now.saturating_sub(NANOSECONDS.load(Ordering::Relaxed));
    let scale = print::Scale::new(arch::ticks() - TICKS.load(Ordering::Relaxed), elapsed);
    // All the memory at once, and before the end is looked at: a call for more would be missing from the page.
    let mut at = UNPRINTED.load(Ordering::Relaxed);
    let room = 5 * (shared.head.load(Ordering::Relaxed) - at) + 4096;
    let mut page = print::Page::new(JSON.load(Ordering::Relaxed), scale, room);
    let end = shared.head.load(Ordering::Relaxed);
    let mut gap = false;
    while at < end {
        let entry = seen(shared, at);
        if entry.record.length == 0 {
            // Reserved by another process, which has not written it yet; or never will, and the next one is further on.
            if last.is_none() {
                break;
            }
            at += 16;
            continue;
        }
        let state = entry.record.state.load(Ordering::Acquire);
        if state == DONE || (state == BEGUN && last.is_some()) {
            entry.record.state.store(PRINTED, Ordering::Relaxed);
            page.add(shared, &entry, state == DONE);
        }
        gap |= state == BEGUN && last.is_none();
        at += entry.record.length as usize;
        if !gap {
            UNPRINTED.store(at, Ordering::Relaxed);
        }
    }
    if last.is_some() || !page.text.is_empty() {
        write_out(shared, &mut page, last);
    }
    if last.is_some() {
        // Giving the memory back would be one more call.
        core::mem::forget(page);
        return;
    }
    // A process that is alone and has printed everything starts over, so that a long import needs no more memory.
    let alone = shared.processes.load(Ordering::Relaxed) == 1;
    if alone && UNPRINTED.load(Ordering::Relaxed) == shared.head.load(Ordering::Relaxed) {
        shared.head.store(0, Ordering::Relaxed);
        UNPRINTED.store(0, Ordering::Relaxed);
    }
}

/// Writes the page, to which this adds the line of the very call that writes it, and the last call's if there is one.
fn write_out(shared: &Shared, page: &mut print::Page, last: Option<&Last<'_>>) {
    page.note_lost(shared.lost.swap(0, Ordering::Relaxed));
    let sink = SINK.load(Ordering::Relaxed) as usize;
    let body = page.text.len();
    // The line tells the number of bytes written, which depends on the line's length: a second or third round settles it.
    let mut total = body;
    for _ in 0..8 {
        page.text.truncate(body);
        let args = alloc::format!("{sink}{SEPARATOR}\"the lines above\"{SEPARATOR}{total}");
        page.add_own(shared, &Last { call: Sysno::write, args: &args, result: Some(total), why: print::OWN });
        if let Some(last) = last {
            page.add_own(shared, last);
        }
        if page.text.len() == total {
            break;
        }
        total = page.text.len();
    }
    let mut rest = page.text.as_bytes();
    let mut register = enter(Sysno::write as usize, &[sink, rest.as_ptr() as usize, rest.len(), 0, 0, 0]);
    // What a full pipe or disk did not take goes through the door like any call; its lines come with the next page.
    while let Ok(count) = outcome(register)
        && count > 0
        && count < rest.len()
    {
        rest = &rest[count..];
        let args = [sink, rest.as_ptr() as usize, rest.len(), 0, 0, 0];
        // SAFETY: the page is alive and that long.
        register = unsafe { call(Sysno::write, args) }.unwrap_or(0);
    }
    page.text.clear();
}
