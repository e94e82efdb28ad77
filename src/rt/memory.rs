//! The memory functions that the compiler calls: copies, fills, comparisons.
//!
//! Short ones load everything before they store anything, which makes them right for overlapping memory too. Long ones are
//! in assembly, since a compiler would turn a loop that copies into a call of the function it stands in.
//!
//! The integration tests include this file as a module of theirs, where the functions must not take the C library's place.

#![expect(clippy::inline_always, reason = "a short copy costs less than a call")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "every access through a wider pointer is unaligned or a string instruction"
)]

use core::ffi::c_void;
use core::ptr;

/// Copies of up to 16 bytes by at most two loads of the same width, which may overlap.
///
/// # Safety
/// As `memmove`.
#[inline(always)]
unsafe fn move_short(to: *mut u8, from: *const u8, count: usize) {
    macro_rules! ends {
        ($kind:ty) => {{
            const WIDTH: usize = size_of::<$kind>();
            // SAFETY: the caller upholds `count` bytes on both sides, and `count` is at least the width.
            unsafe {
                let first = from.cast::<$kind>().read_unaligned();
                let last = from.add(count - WIDTH).cast::<$kind>().read_unaligned();
                to.cast::<$kind>().write_unaligned(first);
                to.add(count - WIDTH).cast::<$kind>().write_unaligned(last);
            }
        }};
    }
    match count {
        0 => {}
        // SAFETY: one byte.
        1 => unsafe { to.write(from.read()) },
        2..4 => ends!(u16),
        4..8 => ends!(u32),
        8..=16 => ends!(u64),
        _ => ends!(u128),
    }
}

/// memcpy(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller upholds that both sides hold `count` bytes.
    unsafe {
        if count <= 32 {
            move_short(to, from, count);
        } else {
            forward(to, from, count);
        }
    }
    to
}

/// memmove(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller upholds that both sides hold `count` bytes.
    unsafe {
        if count <= 32 {
            move_short(to, from, count);
        } else if (to as usize).wrapping_sub(from as usize) >= count {
            forward(to, from, count);
        } else {
            backward(to, from, count);
        }
    }
    to
}

/// Copies from the lowest address up.
///
/// # Safety
/// Both sides hold `count` bytes, and the target does not begin inside the source.
#[inline(always)]
unsafe fn forward(to: *mut u8, from: *const u8, count: usize) {
    #[cfg(target_arch = "x86_64")]
    if count >= 256 {
        // SAFETY: upheld by the caller; the direction flag is clear by the ABI.
        unsafe {
            core::arch::asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags));
        }
        return;
    }
    // SAFETY: the caller upholds `count` bytes on both sides, and `count` is above 32. The last 32 bytes are loaded before
    // anything is stored, since the target may reach into the source's end.
    unsafe {
        let last = [16, 32].map(|back| from.add(count - back).cast::<u128>().read_unaligned());
        forward_blocks(to, from, (count - 1) / 32);
        to.add(count - 16).cast::<u128>().write_unaligned(last[0]);
        to.add(count - 32).cast::<u128>().write_unaligned(last[1]);
    }
}

/// Copies so many times 32 bytes, at least once, from the lowest address up.
///
/// # Safety
/// Both sides hold that much, and the target does not begin inside the source.
#[inline(always)]
unsafe fn forward_blocks(to: *mut u8, from: *const u8, blocks: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: upheld by the caller. The string instruction takes long to begin, so short copies are a loop.
    unsafe {
        core::arch::asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "add {from}, 32",
            "add {to}, 32",
            "dec {blocks}",
            "jnz 2b",
            from = inout(reg) from => _, to = inout(reg) to => _, blocks = inout(reg) blocks => _,
            a = out(xmm_reg) _, b = out(xmm_reg) _, options(nostack)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: upheld by the caller; the target is hidden, so that the loop stays a loop.
    unsafe {
        for at in 0..blocks {
            let block = [0, 16].map(|half| from.add(at * 32 + half).cast::<u128>().read_unaligned());
            let target = core::hint::black_box(to.add(at * 32).cast::<u128>());
            target.write_unaligned(block[0]);
            target.add(1).write_unaligned(block[1]);
        }
    }
}

/// Copies from the highest address down.
///
/// # Safety
/// Both sides hold `count` bytes.
#[inline(always)]
unsafe fn backward(to: *mut u8, from: *const u8, count: usize) {
    let mut left = count;
    // SAFETY: each step stays inside `count` bytes and loads before it stores; volatile keeps the loop a loop.
    unsafe {
        while left >= 8 {
            left -= 8;
            let word = from.add(left).cast::<u64>().read_unaligned();
            core::hint::black_box(to.add(left).cast::<u64>()).write_unaligned(word);
        }
        while left > 0 {
            left -= 1;
            ptr::write_volatile(to.add(left), ptr::read_volatile(from.add(left)));
        }
    }
}

/// memset(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller upholds room for `count` bytes; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the caller upholds room for `count` bytes; the target is hidden, so that the loop stays a loop.
    unsafe {
        let wide = u128::from_ne_bytes([byte as u8; 16]);
        let mut at = 0;
        while at + 16 <= count {
            core::hint::black_box(to.add(at).cast::<u128>()).write_unaligned(wide);
            at += 16;
        }
        while at < count {
            ptr::write_volatile(to.add(at), byte as u8);
            at += 1;
        }
    }
    to
}

/// memcmp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    // SAFETY: the caller upholds that both sides hold `count` bytes.
    unsafe {
        while at + 8 <= count
            && left.add(at).cast::<u64>().read_unaligned() == right.add(at).cast::<u64>().read_unaligned()
        {
            at += 8;
        }
        while at < count {
            let (a, b) = (left.add(at).read(), right.add(at).read());
            if a != b {
                return i32::from(a) - i32::from(b);
            }
            at += 1;
        }
    }
    0
}

/// bcmp(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: as `memcmp`.
    unsafe { memcmp(left, right, count) }
}

/// strlen(3).
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(super) unsafe extern "C" fn strlen(text: *const c_void) -> usize {
    let text = text.cast::<u8>();
    let mut length = 0;
    // SAFETY: the caller upholds that a zero byte ends the text; volatile keeps the loop from becoming a call of itself.
    unsafe {
        while ptr::read_volatile(text.add(length)) != 0 {
            length += 1;
        }
    }
    length
}
