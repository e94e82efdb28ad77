//! The calls that unpacking takes what reads a command line, and what writes a ledger down: they come before there is one.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use syscalls::Sysno;

use super::{because, begin_at, end};
use crate::base::phrase::Phrase;
use crate::sys::number;

/// Stands for the ledger, and for each record in it, while what writes one down is unpacked.
pub(super) fn early() -> *mut u8 {
    ptr::without_provenance_mut(1)
}

/// Notes calls for memory from now on: a ledger may be kept that is to begin with them.
pub fn expect() {
    super::SHARED.store(early().cast(), Ordering::Relaxed);
}

/// How many calls were made while there was no ledger yet that could tell of them.
static EARLY: AtomicUsize = AtomicUsize::new(0);
/// Those calls: number, arguments, when it began, and what came of it.
static EARLY_CALLS: [[AtomicUsize; 9]; 40] = [const { [const { AtomicUsize::new(0) }; 9] }; 40];

/// Notes a call.
pub(super) fn note_early(nr: Sysno, args: &[usize; 6], begun: u64) -> *mut u8 {
    let count = EARLY.fetch_add(1, Ordering::Relaxed);
    if let Some(call) = EARLY_CALLS.get(count) {
        call[0].store(nr as usize, Ordering::Relaxed);
        for (place, arg) in call[1..7].iter().zip(args) {
            place.store(*arg, Ordering::Relaxed);
        }
        call[7].store(begun as usize, Ordering::Relaxed);
    }
    early()
}

/// Writes down the calls that were made before there was a ledger.
#[inline(never)]
pub(super) fn record_early(why: Phrase) {
    let _why = because(why);
    let count = EARLY.load(Ordering::Relaxed);
    if let Some(shared) = super::shared() {
        shared.lost.fetch_add(count.saturating_sub(EARLY_CALLS.len()) as u64, Ordering::Relaxed);
    }
    for call in EARLY_CALLS.iter().take(count) {
        let [nr, args @ .., begun, register] = call.each_ref().map(|place| place.load(Ordering::Relaxed));
        // Unpacking asks for nothing but memory.
        let asked = [number::mmap, number::munmap, number::mprotect, number::madvise];
        if let Some(nr) = asked.into_iter().find(|known| *known as usize == nr) {
            end(begin_at(nr, &args, begun as u64), register);
        }
    }
}

/// Notes what came of the last of them.
pub(super) fn end_early(register: usize) {
    let count = EARLY.load(Ordering::Relaxed);
    if let Some(call) = EARLY_CALLS.get(count.wrapping_sub(1)) {
        call[8].store(register, Ordering::Relaxed);
    }
}
