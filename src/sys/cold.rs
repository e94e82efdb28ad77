//! What most commands never execute: it is packed in the program's file, and unpacked when a command needs it.
//!
//! A start of a container, and the processes that stay with it, need three fifths of vial's code. The rest (images, lists, copies)
//! is reached through gates alone, [`Gate`], each of which unpacks it first. `src/rt/cold_link.rs` finds out what that is when the
//! program is linked: whatever can be reached without passing through a gate is not packed. So no way leads past one.
#![expect(unsafe_code, reason = "makes code of what was unpacked")]

use core::hint::black_box;
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::call::sys;
use super::file::fail_on;
use crate::base::bytes::Source;
use crate::base::error::{Error, Result};
use crate::base::inflate::Gzip;
use crate::base::phrase::Phrase;
use crate::sys::because;

/// Where it is to be and how long it is, and where it is packed and how long that is; no length if there is nothing to unpack.
static PLACE: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// Says where the packed part is.
///
/// # Safety
/// So many bytes are readable at `packed` as long as the process lives; nothing is mapped from `at` on, for `length` bytes, which
/// begin a page, and what is packed belongs there.
pub unsafe fn place(at: usize, length: usize, packed: usize, packed_length: usize) {
    for (place, number) in PLACE.iter().zip([at, length, packed, packed_length]) {
        place.store(number, Ordering::Relaxed);
    }
}

/// Why it is unpacked.
pub(super) const WHY: Phrase = phrase!("unpack the part of vial that most commands never execute");

/// What is left of the packed bytes.
struct Packed(&'static [u8]);

impl Source for Packed {
    type Error = ();

    fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, ()> {
        let count = self.0.len().min(buffer.len());
        let (head, tail) = self.0.split_at(count);
        buffer[..count].copy_from_slice(head);
        self.0 = tail;
        Ok(count)
    }
}

/// Unpacks it, if that was not done yet.
///
/// # Errors
/// mmap(2), mprotect(2): a kernel that forbids to execute what was written.
#[inline(never)]
fn unpack() -> Result<()> {
    let [at, length, packed, packed_length] = [0, 1, 2, 3].map(|which| PLACE[which].load(Ordering::Relaxed));
    if length == 0 {
        return Ok(());
    }
    let _why = because(WHY);
    let failed = |errno| fail_on(errno, phrase!("unpack a part of vial"), "");
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: whoever called `place` upholds that nothing is there.
    unsafe { sys!(mmap, at, length, protection, flags, usize::MAX, 0) }.map_err(failed)?;
    // SAFETY: both were promised to `place`; nobody else knows the fresh mapping yet.
    let (packed, whole) = unsafe {
        (slice::from_raw_parts(packed as *const u8, packed_length), slice::from_raw_parts_mut(at as *mut u8, length))
    };
    let mut gzip = Gzip::new(Packed(packed));
    let mut done = 0;
    while done < length {
        match gzip.read(&mut whole[done..]) {
            Ok(count @ 1..) => done += count,
            _ => return Err(Error::new(phrase!("the program's own file is damaged"))),
        }
    }
    if cfg!(target_arch = "x86_64") {
        restore(whole, at as u32);
    }
    // SAFETY: from here on nobody writes there any more.
    unsafe { sys!(mprotect, at, length, libc::PROT_READ | libc::PROT_EXEC) }.map_err(failed)?;
    PLACE[1].store(0, Ordering::Relaxed);
    Ok(())
}

/// Calls name their target by its address, which packs better; makes distances of them again.
fn restore(code: &mut [u8], address: u32) {
    let mut at = 0;
    while let Some(&[call, a, b, c, d]) = code[at..].first_chunk() {
        if call & 0xfe != 0xe8 {
            at += 1;
            continue;
        }
        let distance = u32::from_be_bytes([a, b, c, d]).wrapping_sub(address).wrapping_sub(at as u32 + 5);
        code[at + 1..at + 5].copy_from_slice(&distance.to_le_bytes());
        at += 5;
    }
}

/// The way to something that is packed: a function, or several. The name of a static of this type begins with `COLD_GATE`.
pub struct Gate<T: 'static>(pub T);

impl<T: Copy> Gate<T> {
    /// Opens it.
    ///
    /// # Errors
    /// It can't be unpacked.
    pub fn open(&'static self) -> Result<T> {
        unpack()?;
        // The compiler is not to know what is behind it: a call that it makes a direct one leads past the gate.
        Ok(black_box(self).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_jumps_get_their_distances_back() {
        // At 0x1000: push; call 0x1010; jmp 0x0fff; a call that is cut short.
        let mut code = [0x50, 0xe8, 0, 0, 0x10, 0x10, 0xe9, 0, 0, 0x0f, 0xff, 0xe8, 1, 2];
        restore(&mut code, 0x1000);
        assert_eq!(code, [0x50, 0xe8, 0x0a, 0, 0, 0, 0xe9, 0xf4, 0xff, 0xff, 0xff, 0xe8, 1, 2]);
    }
}
