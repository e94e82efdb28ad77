//! What a C library and Rust's own run-time would do: start, panic, memory functions, the heap's registration.
//!
//! Only the binary has this floor. Source of the stack's layout at the start: the System V ABI's processor supplements,
//! "Initial Stack and Register State"; execve(2).
#![expect(unsafe_code, reason = "start code and the symbols that the compiler calls")]

mod memory;

use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

use vial::sys::heap::{self, Heap};
use vial::sys::{cold, fd, file, process};

#[global_allocator]
static HEAP: Heap = Heap::new();

unsafe extern "C" {
    /// The file's own header in memory. The linker defines it.
    #[link_name = "__ehdr_start"]
    static HEADER: [u8; 64];
    /// Where what is packed is to be, and its end; both are 0 if nothing is.
    static cold_begin: u8;
    /// See `cold_begin`.
    static cold_end: u8;
}

/// Bytes of a program header, and where its address and its length stand, for a program of 64 bits.
const PROGRAM_HEADER: [usize; 3] = [56, 16, 32];

/// Finds the packed part of this program: the segment behind the place where it is to be. There is none if that place itself
/// is one, as in a program that was linked without packing.
fn find_cold() {
    let (begin, end) = (&raw const cold_begin as usize, &raw const cold_end as usize);
    // SAFETY: as for `appended`.
    let header = unsafe { (&raw const HEADER).read_volatile() };
    let number = |at: usize, size: usize| {
        header[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | *byte as usize)
    };
    let (table, count) = (number(0x20, 8), number(0x38, 2));
    let [size, address, length] = PROGRAM_HEADER;
    for index in 0..count {
        let entry = (&raw const HEADER as usize + table + index * size) as *const u8;
        // SAFETY: the program headers are mapped with the file's own header, and so many of them are there.
        let (address, length) = unsafe {
            (entry.add(address).cast::<usize>().read_volatile(), entry.add(length).cast::<usize>().read_volatile())
        };
        if begin != 0 && address >= end {
            // SAFETY: the linker left the place before this segment free, for what is packed in it.
            unsafe { cold::place(begin, end - begin, address, length) };
        }
    }
}

/// Where in this program's file an image begins, as its header says; 0 if there is none.
pub(crate) fn appended() -> u32 {
    // SAFETY: the header is mapped with the first segment, and nobody writes to it. What it holds is not known when the
    // program is compiled.
    let header = unsafe { (&raw const HEADER).read_volatile() };
    u32::from_le_bytes([header[12], header[13], header[14], header[15]])
}

/// The program's first instruction: hands the initial stack to [`begin`].
///
/// # Safety
/// Only the kernel may jump here.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_start() -> ! {
    core::arch::naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {begin}", "ud2", begin = sym begin)
}

/// The program's first instruction: hands the initial stack to [`begin`].
///
/// # Safety
/// Only the kernel may jump here.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_start() -> ! {
    core::arch::naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "bl {begin}", "udf #0", begin = sym begin)
}

/// Reads the arguments and the environment off the initial stack: count, arguments, null, environment, null, and then pairs of
/// a kind and a value, the last of kind `AT_NULL`; getauxval(3).
///
/// # Safety
/// `stack` is the stack pointer that the kernel gave the process.
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: the kernel put the count at the top and that many string pointers and a null after it, then the environment.
    let (args, env, secure) = unsafe {
        let count = stack.read();
        let args = stack.add(1).cast::<*const c_char>();
        let env = strings(args.add(count + 1)).leak();
        (strings(args).leak(), &*env, is_secure(stack.add(count + env.len() + 3)))
    };
    find_cold();
    process::exit(crate::main(args, env, secure))
}

/// Whether the kernel says that this program was given rights by its file: a set-ID bit or capabilities.
///
/// # Safety
/// The pairs are those of the initial stack.
unsafe fn is_secure(mut pair: *const usize) -> bool {
    // SAFETY: the caller upholds the array's end.
    unsafe {
        while pair.read() != libc::AT_NULL as usize {
            if pair.read() == libc::AT_SECURE as usize {
                return pair.add(1).read() != 0;
            }
            pair = pair.add(2);
        }
    }
    false
}

/// The strings of a null-ended array.
///
/// # Safety
/// `array` ends in a null pointer; its strings live as long as the process.
unsafe fn strings(mut array: *const *const c_char) -> alloc::vec::Vec<&'static CStr> {
    let mut strings = alloc::vec::Vec::new();
    // SAFETY: the caller upholds the array's end; the strings lie on the initial stack, which is never unmapped.
    unsafe {
        while !array.read().is_null() {
            strings.push(CStr::from_ptr(array.read()));
            array = array.add(1);
        }
    }
    strings
}

/// Says that there is no memory or that vial broke its own rules, and ends the process.
///
/// A debug build says how and where. That would be 10 KB of places and messages, which the release binary leaves out.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if heap::is_exhausted() {
        let _ = file::write_all(fd::STDERR, b"vial: get memory: ENOMEM (Cannot allocate memory)\n");
    } else if cfg!(debug_assertions) {
        let _ = file::write_all(fd::STDERR, alloc::format!("vial: internal error: {info}\n").as_bytes());
    } else {
        let _ = file::write_all(fd::STDERR, b"vial: internal error\n");
    }
    process::exit(vial::base::error::EXIT_FAILURE)
}

/// Named by precompiled parts of the core library; nothing unwinds, so nothing calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by precompiled parts of the core library; nothing unwinds, so nothing calls it.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

/// Asked by the compiler's support code for the processor's features; 0 means none beyond the base architecture.
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
extern "C" fn getauxval(_kind: usize) -> usize {
    0
}
