//! What not every process executes: it is packed in the program's file, and unpacked when it is needed.
//!
//! A start of a container, and the processes that stay with it, need less than half of vial's code. The rest is in several packs,
//! each of which is unpacked to its place in memory once in a process's life (its children have it too). Two things lead there:
//! gates, [`Gate`], which say so when a pack can't be unpacked, and hatches, which `src/rt/cold_link.rs` puts before functions
//! that the table of packs lists, and which then end the process. That finds out what belongs to which pack when the program is
//! linked: whatever can be reached without passing through either is not packed. So no way leads past them.
#![expect(unsafe_code, reason = "makes code of what was unpacked")]

use core::hint::black_box;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::call::sys;
use super::fd;
use super::file::{fail_on, write_all};
use super::process;
use super::short_code::Position;
#[cfg(target_arch = "aarch64")]
use super::short_code::arm as short_code;
#[cfg(target_arch = "riscv64")]
use super::short_code::risc as short_code;
#[cfg(target_arch = "arm")]
use super::short_code::thumb as short_code;
#[cfg(target_arch = "x86_64")]
use super::short_code::x86 as short_code;
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::phrase::Phrase;
use crate::base::zstd::Alike;
use crate::sys::because;

/// A pack, as the program's file has it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pack {
    /// Where it is to be, and how long it is; no length if there is nothing in it.
    address: u32,
    length: u32,
    /// How long what is packed is, and [`SLOWLY`].
    packed: u32,
    /// The packs that are needed with this one, itself among them, as bits.
    needed: u32,
}

/// Says that a pack is packed by [`crate::base::lzma`].
const SLOWLY: u32 = 1 << 31;

impl Pack {
    /// How long what is packed is.
    fn packed(&self) -> usize {
        (self.packed & !SLOWLY) as usize
    }
}

/// The table of packs, and their number; none if there is nothing to unpack.
static TABLE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
/// The code that is not packed, and its length: packs resemble it.
static BEFORE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
/// What is shortened may become longer by this, see [`short_code`].
const SLACK: usize = 4096;
/// Which packs are there, as bits.
pub static UNPACKED: AtomicU32 = AtomicU32::new(0);

/// Says where the packs are: behind a row with their number, and the place and length of the code that is not packed, is a table of
/// them, and behind that are their packed bytes.
///
/// # Safety
/// That is readable at `table` as long as the process lives, as `src/rt/cold_link.rs` made it; nothing is mapped where packs are to be.
pub unsafe fn place(table: usize) {
    // SAFETY: the caller upholds it.
    let head = unsafe { (table as *const Pack).read_volatile() };
    TABLE[0].store(table + size_of::<Pack>(), Ordering::Relaxed);
    TABLE[1].store(head.address as usize, Ordering::Relaxed);
    BEFORE[0].store(head.length as usize, Ordering::Relaxed);
    BEFORE[1].store(head.packed as usize, Ordering::Relaxed);
}

/// The code that is not packed.
fn before() -> &'static [u8] {
    let [start, length] = [0, 1].map(|which| BEFORE[which].load(Ordering::Relaxed));
    // SAFETY: whoever called `place` upholds that this is the program's own code, which nobody changes.
    if start == 0 { &[] } else { unsafe { slice::from_raw_parts(start as *const u8, length) } }
}

/// The packs.
fn table() -> &'static [Pack] {
    let [table, count] = [0, 1].map(|which| TABLE[which].load(Ordering::Relaxed));
    if count == 0 {
        return &[];
    }
    // SAFETY: whoever called `place` upholds it.
    unsafe { slice::from_raw_parts(table as *const Pack, count) }
}

/// Why it is unpacked.
pub(super) const WHY: Phrase = phrase!("unpack a part of vial that most commands never execute");

/// Unpacks these packs, as bits, unless that was done. What has failed; no number if the file is damaged.
#[inline(never)]
fn unpack(needed: u32) -> core::result::Result<(), Option<Errno>> {
    let packs = table();
    if needed & !UNPACKED.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let _why = because(WHY);
    let among = |packs: u32, which: usize| packs >> which & 1 != 0;
    let lengths =
        packs.iter().enumerate().map(|(which, pack)| if among(needed, which) { pack.length as usize } else { 0 });
    let mut alike = Alike::new(before().len() + lengths.sum::<usize>() + SLACK);
    populate(alike.room());
    let first = before().as_ptr() as u32;
    alike.add(|room| short(before(), first, room)).ok_or(None)?;
    let start = alike.end();
    // Which packs are there behind that.
    let mut there = 0;
    let mut packed = packs.as_ptr_range().end.cast::<u8>();
    for (which, pack) in packs.iter().enumerate() {
        let bytes = packed;
        packed = packed.wrapping_add(pack.packed());
        if !among(needed & !UNPACKED.load(Ordering::Relaxed), which) {
            continue;
        }
        if there | 1 << which != pack.needed {
            alike.cut(start);
            for (other, pack) in packs[..which].iter().enumerate() {
                if among(packs[which].needed, other) {
                    // SAFETY: it was unpacked to there.
                    let code = unsafe { slice::from_raw_parts(pack.address as *const u8, pack.length as usize) };
                    alike.add(|room| short(code, first, room)).ok_or(None)?;
                }
            }
        }
        if pack.length != 0 {
            // SAFETY: whoever called `place` upholds that nothing is at the pack's place until it is unpacked to there, and that
            // its bytes are here.
            unsafe {
                let bytes = slice::from_raw_parts(bytes, pack.packed());
                let short = if pack.packed & SLOWLY == 0 {
                    alike.unpack(bytes)
                } else {
                    alike.unpack_slowly(bytes, short_code::PLACE_BITS)
                };
                unpack_to(pack.address as usize, pack.length as usize, short.ok_or(None)?)?;
            }
        }
        there = pack.needed;
        UNPACKED.fetch_or(1 << which, Ordering::Relaxed);
    }
    Ok(())
}

/// Has the kernel find this memory at once, if it is new enough (Linux 5.14), since all of it will be written.
fn populate(room: &mut [u8]) {
    let start = room.as_ptr() as usize;
    // SAFETY: nothing changes but when there is memory.
    let _ = unsafe { sys!(madvise, start - start % 4096, room.len(), libc::MADV_POPULATE_WRITE) };
}

/// Code as packs resemble it, in this room; its length.
fn short(code: &[u8], first: u32, room: &mut [u8]) -> Option<usize> {
    short_code::shorten(code, Position { address: code.as_ptr() as u32, first }, room)
}

/// Makes memory of this code at this place, where it is so long.
///
/// # Safety
/// Nothing is mapped there.
unsafe fn unpack_to(at: usize, length: usize, short: &[u8]) -> core::result::Result<(), Option<Errno>> {
    // All of it is written, so the kernel may as well find the memory at once.
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_POPULATE,
    );
    // SAFETY: the caller upholds that nothing is there.
    unsafe { sys!(mmap, at, length, protection, flags, usize::MAX, 0) }.map_err(Some)?;
    // SAFETY: nobody else knows the fresh mapping yet.
    let place = unsafe { slice::from_raw_parts_mut(at as *mut u8, length) };
    let here = Position { address: at as u32, first: before().as_ptr() as u32 };
    short_code::lengthen(short, here, place).ok_or(None)?;
    // SAFETY: from here on nobody writes there any more.
    unsafe { sys!(mprotect, at, length, libc::PROT_READ | libc::PROT_EXEC) }.map_err(Some)?;
    Ok(())
}

/// What a hatch calls: unpacks, or ends the process. Nothing here may itself be packed.
pub extern "C" fn unpack_or_exit(wanted: usize) {
    let needed = table().get(wanted).map_or(0, |pack| pack.needed);
    if unpack(needed).is_err() {
        let _ = write_all(fd::STDERR, b"vial: unpack a part of vial: no memory, or none that may be executed\n");
        process::exit(EXIT_FAILURE);
    }
}

/// The way to something that is packed: a function, or several. The name of a static of this type is `COLD_GATE`, or begins with
/// `COLD_GATE_` and the name of a pack.
pub struct Gate<T: 'static>(pub T);

impl<T: Copy> Gate<T> {
    /// Opens it.
    ///
    /// # Errors
    /// mmap(2), mprotect(2): a kernel that forbids to execute what was written.
    #[inline]
    pub fn open(&'static self) -> Result<T> {
        open(self.addresses())?;
        // The compiler is not to know what is behind it: a call that it makes a direct one leads past the gate.
        Ok(black_box(self).0)
    }

    /// What is behind it, for [`open`].
    #[inline]
    pub fn addresses(&'static self) -> &'static [usize] {
        const { assert!(size_of::<T>().is_multiple_of(size_of::<usize>())) };
        // SAFETY: functions are addresses, which are as long as a number, and nothing lies between them.
        unsafe { slice::from_raw_parts(ptr::from_ref(self).cast(), size_of::<T>() / size_of::<usize>()) }
    }
}

/// Unpacks the packs that these addresses are in.
///
/// # Errors
/// As [`Gate::open`].
#[inline(never)]
pub fn open(addresses: &[usize]) -> Result<()> {
    let mut needed = 0;
    for address in black_box(addresses) {
        let is_there = |pack: &&Pack| address.wrapping_sub(pack.address as usize) < pack.length as usize;
        needed |= table().iter().find(is_there).map_or(0, |pack| pack.needed);
    }
    unpack(needed).map_err(|errno| match errno {
        Some(errno) => fail_on(errno, phrase!("unpack a part of vial"), ""),
        None => Error::new(phrase!("the program's own file is damaged")),
    })
}
