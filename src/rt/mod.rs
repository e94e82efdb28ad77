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

/// Where in the file's header the place and the number of program headers stand, how many bytes each has, and where in it its address
/// stands; `elf.h`.
const PROGRAM_HEADERS: [usize; 4] =
    if cfg!(target_pointer_width = "64") { [0x20, 0x38, 56, 16] } else { [0x1c, 0x2c, 32, 8] };

/// Finds the packed part of this program: the segment behind the place where it is to be, which begins with the number of packs. There is none if that place itself
/// is one, as in a program that was linked without packing.
fn find_cold() {
    let (begin, end) = (&raw const cold_begin as usize, &raw const cold_end as usize);
    // SAFETY: as for `appended`.
    let header = unsafe { (&raw const HEADER).read_volatile() };
    let number = |at: usize, size: usize| {
        header[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | *byte as usize)
    };
    let [table, count, size, address] = PROGRAM_HEADERS;
    let (table, count) = (number(table, size_of::<usize>()), number(count, 2));
    for index in 0..count {
        let entry = (&raw const HEADER as usize + table + index * size) as *const u8;
        // SAFETY: the program headers are mapped with the file's own header, and so many of them are there.
        let address = unsafe { entry.add(address).cast::<usize>().read_volatile() };
        if begin != 0 && address >= end {
            // SAFETY: the build made this segment, and left the place before it free, for what is packed in it.
            unsafe { cold::place(address) };
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

/// The program's first instruction: hands the initial stack to [`begin`].
///
/// # Safety
/// Only the kernel may jump here.
#[cfg(target_arch = "arm")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_start() -> ! {
    core::arch::naked_asm!(
        "mov r11, #0", "mov lr, #0", "mov r0, sp", "bic r1, r0, #7", "mov sp, r1", "bl {begin}", "udf #0", begin = sym begin,
    )
}

/// The program's first instruction: hands the initial stack to [`begin`].
///
/// # Safety
/// Only the kernel may jump here.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_start() -> ! {
    core::arch::naked_asm!("mv a0, sp", "andi sp, sp, -16", "call {begin}", "unimp", begin = sym begin)
}

/// What a hatch calls (`cold_link`): unpacks the pack whose number the hatch has pushed, unless it is there, and changes no register.
///
/// # Safety
/// Only hatches may call this.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_hatch() {
    core::arch::naked_asm!(
        "push rax",
        "mov eax, [rsp + 16]",
        "bt dword ptr [rip + {unpacked}], eax",
        "jc 2f",
        "push rcx; push rdx; push rsi; push rdi; push r8; push r9; push r10; push r11; push rbp",
        "mov rbp, rsp",
        "sub rsp, 512",
        "and rsp, -16",
        "fxsave [rsp]",
        "mov edi, eax",
        "call {unpack}",
        "fxrstor [rsp]",
        "mov rsp, rbp",
        "pop rbp; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi; pop rdx; pop rcx",
        "2:",
        "pop rax",
        "ret 8",
        unpacked = sym cold::UNPACKED,
        unpack = sym cold::unpack_or_exit,
    )
}

/// Where a hatch leads (`cold_link`), whose address is in `x16`: unpacks the pack that the upper six bits of its third word are the
/// number of, unless it is there, and goes on to the address in the rest of the word. No register changes but `x16` and `x17`.
///
/// # Safety
/// Only hatches may come here.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_hatch() {
    core::arch::naked_asm!(
        "stp x0, x1, [sp, #-16]!",
        "ldr w16, [x16, #8]",
        "lsr w0, w16, #26",
        "and x16, x16, #0x3ffffff",
        "adrp x17, {unpacked}",
        "ldr w17, [x17, :lo12:{unpacked}]",
        "lsr w17, w17, w0",
        "tbnz w17, #0, 2f",
        "stp x29, x30, [sp, #-16]!; stp x16, x15, [sp, #-16]!; stp x2, x3, [sp, #-16]!; stp x4, x5, [sp, #-16]!",
        "stp x6, x7, [sp, #-16]!; stp x8, x9, [sp, #-16]!; stp x10, x11, [sp, #-16]!; stp x12, x13, [sp, #-16]!",
        "stp x14, x18, [sp, #-16]!",
        "stp q0, q1, [sp, #-32]!; stp q2, q3, [sp, #-32]!; stp q4, q5, [sp, #-32]!; stp q6, q7, [sp, #-32]!",
        "bl {unpack}",
        "ldp q6, q7, [sp], #32; ldp q4, q5, [sp], #32; ldp q2, q3, [sp], #32; ldp q0, q1, [sp], #32",
        "ldp x14, x18, [sp], #16",
        "ldp x12, x13, [sp], #16; ldp x10, x11, [sp], #16; ldp x8, x9, [sp], #16; ldp x6, x7, [sp], #16",
        "ldp x4, x5, [sp], #16; ldp x2, x3, [sp], #16; ldp x16, x15, [sp], #16; ldp x29, x30, [sp], #16",
        "2:",
        "ldp x0, x1, [sp], #16",
        "br x16",
        unpacked = sym cold::UNPACKED,
        unpack = sym cold::unpack_or_exit,
    )
}

/// Where a hatch leads (`cold_link`), whose third word `r12` is the place of: unpacks the pack that the upper six bits of that word
/// are the number of, unless it is there, and goes on to the address in the rest of it. No register changes but `r12`.
///
/// # Safety
/// Only hatches may come here.
#[cfg(target_arch = "arm")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_hatch() {
    core::arch::naked_asm!(
        "ldr r12, [r12, #4]",
        "push {{r0, r1, r2, r3, r12, lr}}",
        "lsr r0, r12, #26",
        "movw r1, #:lower16:{unpacked}",
        "movt r1, #:upper16:{unpacked}",
        "ldr r1, [r1]",
        "lsr r1, r1, r0",
        "tst r1, #1",
        "bne 2f",
        "vpush {{d0, d1, d2, d3, d4, d5, d6, d7}}",
        "bl {unpack}",
        "vpop {{d0, d1, d2, d3, d4, d5, d6, d7}}",
        "2:",
        "pop {{r0, r1, r2, r3, r12, lr}}",
        "bic r12, r12, #0xfc000000",
        "bx r12",
        unpacked = sym cold::UNPACKED,
        unpack = sym cold::unpack_or_exit,
    )
}

/// Where a hatch leads (`cold_link`), whose word `t1` is the place of: unpacks the pack that the upper six bits of that word are the
/// number of, unless it is there, and goes on to the address in the rest of it. No register changes but `t0`, `t1` and `t2`, which
/// hold nothing where a function begins.
///
/// # Safety
/// Only hatches may come here.
#[cfg(target_arch = "riscv64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn vial_hatch() {
    core::arch::naked_asm!(
        "lwu t1, 0(t1)",
        "srli t0, t1, 26",
        "lw t2, {unpacked}",
        "srl t2, t2, t0",
        "andi t2, t2, 1",
        "slli t1, t1, 38",
        "srli t1, t1, 38",
        "bnez t2, 2f",
        "addi sp, sp, -144",
        "sd ra, 0(sp); sd t1, 8(sp); sd a0, 16(sp); sd a1, 24(sp); sd a2, 32(sp); sd a3, 40(sp); sd a4, 48(sp)",
        "sd a5, 56(sp); sd a6, 64(sp); sd a7, 72(sp)",
        "fsd fa0, 80(sp); fsd fa1, 88(sp); fsd fa2, 96(sp); fsd fa3, 104(sp); fsd fa4, 112(sp); fsd fa5, 120(sp)",
        "fsd fa6, 128(sp); fsd fa7, 136(sp)",
        "mv a0, t0",
        "call {unpack}",
        "fld fa0, 80(sp); fld fa1, 88(sp); fld fa2, 96(sp); fld fa3, 104(sp); fld fa4, 112(sp); fld fa5, 120(sp)",
        "fld fa6, 128(sp); fld fa7, 136(sp)",
        "ld ra, 0(sp); ld t1, 8(sp); ld a0, 16(sp); ld a1, 24(sp); ld a2, 32(sp); ld a3, 40(sp); ld a4, 48(sp)",
        "ld a5, 56(sp); ld a6, 64(sp); ld a7, 72(sp)",
        "addi sp, sp, 144",
        "2:",
        "jr t1",
        unpacked = sym cold::UNPACKED,
        unpack = sym cold::unpack_or_exit,
    )
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
