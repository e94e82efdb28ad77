//! The programs that count, as instructions.
//!
//! # Source
//! bpf(2), bpf-helpers(7), `Documentation/bpf/standardization/instruction-set.rst`, `linux/bpf.h`; `struct pt_regs` of each processor.

use alloc::vec::Vec;

use syscalls::Sysno;

use super::count::{CAPABILITY, COMPAT, FLAGS, Maps};
use crate::sys::fd::Fd;

/// Where `struct pt_regs` has what tells 32-bit programs, the bits that it is, and their value; none where there is none.
const COMPAT_MARK: Option<(u32, u32, u32)> = if cfg!(target_arch = "x86_64") {
    // The code segment, `__USER32_CS`.
    Some((136, 0xffff, 0x23))
} else if cfg!(target_arch = "aarch64") {
    // The processor's state, `PSR_MODE32_BIT`.
    Some((264, 0x10, 0x10))
} else {
    None
};
/// Where it has the first argument of a call, and the number of clone(2).
const FIRST: u32 = if cfg!(target_arch = "x86_64") {
    112
} else if cfg!(target_arch = "riscv64") {
    80
} else {
    0
};
const CLONE: u32 = Sysno::clone as u32;
/// Where it has the third and the fourth argument of a function of the kernel's.
const THIRD: u32 = if cfg!(target_arch = "x86_64") {
    96
} else if cfg!(target_arch = "aarch64") {
    16
} else if cfg!(target_arch = "riscv64") {
    96
} else {
    8
};
const FOURTH: u32 = if cfg!(target_arch = "x86_64") {
    88
} else if cfg!(target_arch = "aarch64") {
    24
} else if cfg!(target_arch = "riscv64") {
    104
} else {
    12
};

/// Helpers of the kernel's, by number.
const LOOK_UP: u32 = 1;
const UPDATE: u32 = 2;
const HOST_IDS: u32 = 14;
const COMMAND: u32 = 16;
const TASK: u32 = 35;
const READ: u32 = 113;
const NAMESPACE_IDS: u32 = 120;

// Instructions, and registers as bits of them.
const MOVE: u64 = 0xb7;
const MOVE_REGISTER: u64 = 0xbf;
const ADD: u64 = 0x07;
const AND: u64 = 0x57;
const LOAD_WORD: u64 = 0x61;
const LOAD_LONG: u64 = 0x79;
const STORE_WORD: u64 = 0x62;
const STORE_LONG: u64 = 0x7a;
const STORE_REGISTER_WORD: u64 = 0x63;
const STORE_REGISTER_LONG: u64 = 0x7b;
const ADD_ATOMICALLY: u64 = 0xdb;
const LOAD_CONSTANT: u64 = 0x18;
const CALL: u64 = 0x85;
const EXIT: u64 = 0x95;
const IF_EQUAL: u64 = 0x15;
const IF_NOT_EQUAL: u64 = 0x55;
const IF_NOT_EQUAL_REGISTER: u64 = 0x5d;
const IF_HAS: u64 = 0x45;
const GO: u64 = 0x05;
/// The register of the stack's end.
const STACK: u64 = 10;

/// Where things are on the stack.
const IDS: i16 = -8;
const KEY_AT: i16 = -16;
const VALUE_AT: i16 = -48;
const LAST_AT: i16 = -56;
const COMPAT_AT: i16 = -64;
/// What a constant is: a map.
const MAP: u64 = 1;
/// The numbers of execve(2) and execveat(2), and those that 32-bit programs have for them.
const EXECUTES: &[u32] = if cfg!(target_arch = "x86_64") {
    &[59, 322, 11, 358]
} else if cfg!(target_arch = "arm") {
    &[11, 387]
} else {
    &[221, 281, 11, 387]
};

/// Whose calls are counted.
pub(super) struct Whose {
    /// The device and the number of a PID namespace's file.
    pub(super) namespace: (u64, u64),
    /// Whether its first process is vial.
    pub(super) but_first: bool,
    /// Whether what is called as vial is does not count either until it is executed: processes that join a container.
    pub(super) but_joining: bool,
}

/// A program under construction.
#[derive(Default)]
struct Program {
    code: Vec<u64>,
    /// Jumps to the end.
    ends: Vec<usize>,
}

impl Program {
    fn add(&mut self, code: u64, to: u64, from: u64, offset: i16, value: u32) {
        self.code.push(code | to << 8 | from << 12 | u64::from(offset as u16) << 16 | u64::from(value) << 32);
    }

    /// A 64-bit constant, of a kind.
    fn constant(&mut self, to: u64, value: u64, kind: u64) {
        self.add(LOAD_CONSTANT, to, kind, 0, value as u32);
        self.add(0, 0, 0, 0, (value >> 32) as u32);
    }

    fn call(&mut self, helper: u32) {
        self.add(CALL, 0, 0, 0, helper);
    }

    /// An address on the stack.
    fn place(&mut self, to: u64, offset: i16) {
        self.add(MOVE_REGISTER, to, STACK, 0, 0);
        self.add(ADD, to, 0, 0, i32::from(offset) as u32);
    }

    /// Goes to the end if a comparison with a value is so.
    fn end_if(&mut self, comparison: u64, register: u64, value: u32) {
        self.ends.push(self.code.len());
        self.add(comparison, register, 0, 0, value);
    }

    /// Goes on only for processes of a PID namespace, and not for its first one if that is vial. What a processor's last process is is
    /// remembered, since the kernel takes longer to tell than for a short call. `registers` has those of a call.
    fn only_in(&mut self, whose: &Whose, last: &Fd, registers: Option<u64>) {
        let (device, inode) = whose.namespace;
        self.call(TASK);
        self.add(MOVE_REGISTER, 8, 0, 0, 0);
        self.call(HOST_IDS);
        self.add(MOVE_REGISTER, 9, 0, 0, 0);
        self.add(STORE_WORD, STACK, 0, KEY_AT, 0);
        self.look_up(last);
        self.end_if(IF_EQUAL, 0, 0);
        self.add(STORE_REGISTER_LONG, STACK, 0, LAST_AT, 0);
        self.add(LOAD_LONG, 1, 0, 0, 0);
        let other_task = self.jump(IF_NOT_EQUAL_REGISTER, 1, 8);
        self.add(LOAD_LONG, 1, 0, 8, 0);
        let other_ids = self.jump(IF_NOT_EQUAL_REGISTER, 1, 9);
        self.add(LOAD_LONG, 1, 0, 16, 0);
        self.add(STORE_REGISTER_LONG, STACK, 1, IDS, 0);
        self.add(LOAD_LONG, 1, 0, 24, 0);
        self.add(STORE_REGISTER_LONG, STACK, 1, COMPAT_AT, 0);
        let known = self.jump(GO, 0, 0);
        self.lead_here(other_task);
        self.lead_here(other_ids);
        self.constant(1, device, 0);
        self.constant(2, inode, 0);
        self.place(3, IDS);
        self.add(MOVE, 4, 0, 0, 8);
        self.call(NAMESPACE_IDS);
        self.add(IF_EQUAL, 0, 0, 1, 0);
        self.add(STORE_LONG, STACK, 0, IDS, 0);
        if whose.but_joining {
            self.place(1, VALUE_AT);
            self.add(MOVE, 2, 0, 0, 16);
            self.call(COMMAND);
            self.add(LOAD_LONG, 1, STACK, VALUE_AT, 0);
            self.constant(2, u64::from_ne_bytes(*b"vial\0\0\0\0"), 0);
            self.add(IF_NOT_EQUAL_REGISTER, 1, 2, 2, 0);
            self.add(STORE_LONG, STACK, 0, IDS, 0);
            // It is going to be another program: not to be remembered.
            self.add(MOVE, 8, 0, 0, 0);
        }
        self.add(STORE_LONG, STACK, 0, COMPAT_AT, 0);
        if let (Some(registers), Some((offset, bits, value))) = (registers, COMPAT_MARK) {
            self.place(1, VALUE_AT);
            self.add(MOVE, 2, 0, 0, 8);
            self.add(MOVE_REGISTER, 3, registers, 0, 0);
            self.add(ADD, 3, 0, 0, offset);
            self.call(READ);
            self.add(LOAD_LONG, 1, STACK, VALUE_AT, 0);
            self.add(AND, 1, 0, 0, bits);
            self.add(IF_NOT_EQUAL, 1, 0, 1, value);
            self.add(STORE_LONG, STACK, 0, COMPAT_AT, COMPAT);
        }
        self.add(LOAD_LONG, 1, STACK, LAST_AT, 0);
        self.add(STORE_REGISTER_LONG, 1, 8, 0, 0);
        self.add(STORE_REGISTER_LONG, 1, 9, 8, 0);
        self.add(LOAD_LONG, 2, STACK, IDS, 0);
        self.add(STORE_REGISTER_LONG, 1, 2, 16, 0);
        self.add(LOAD_LONG, 2, STACK, COMPAT_AT, 0);
        self.add(STORE_REGISTER_LONG, 1, 2, 24, 0);
        self.lead_here(known);
        self.add(LOAD_WORD, 1, STACK, IDS + 4, 0);
        self.end_if(IF_EQUAL, 1, 0);
        if whose.but_first {
            self.end_if(IF_EQUAL, 1, 1);
        }
    }

    /// Counts the flags that clone(2) was given, by these registers, and goes on: nobody should be told of that call before it is made,
    /// for one that waits may be interrupted, and no program expects that of it.
    fn count_flags(&mut self, registers: u64, maps: &Maps) {
        self.place(1, VALUE_AT);
        self.add(MOVE, 2, 0, 0, 8);
        self.add(MOVE_REGISTER, 3, registers, 0, 0);
        self.add(ADD, 3, 0, 0, FIRST);
        self.call(READ);
        self.add(LOAD_WORD, 1, STACK, VALUE_AT, 0);
        self.add(STORE_REGISTER_WORD, STACK, 1, KEY_AT, 0);
        self.add(STORE_WORD, STACK, 0, KEY_AT + 4, FLAGS);
        self.look_up(&maps.others);
        let missing = self.jump(IF_EQUAL, 0, 0);
        self.add(MOVE, 1, 0, 0, 1);
        self.add(ADD_ATOMICALLY, 0, 1, 0, 0);
        let counted = self.jump(GO, 0, 0);
        self.lead_here(missing);
        self.add(STORE_LONG, STACK, 0, VALUE_AT, 1);
        for at in [8, 16, 24] {
            self.add(STORE_LONG, STACK, 0, VALUE_AT + at, 0);
        }
        self.update(&maps.others);
        self.lead_here(counted);
    }

    /// Adds what is on the stack for the key there; another processor may have been faster (`BPF_NOEXIST`).
    fn update(&mut self, map: &Fd) {
        self.constant(1, map.number() as u64, MAP);
        self.place(2, KEY_AT);
        self.place(3, VALUE_AT);
        self.add(MOVE, 4, 0, 0, 1);
        self.call(UPDATE);
    }

    /// Looks up the key that is on the stack.
    fn look_up(&mut self, map: &Fd) {
        self.constant(1, map.number() as u64, MAP);
        self.place(2, KEY_AT);
        self.call(LOOK_UP);
    }

    /// Adds a jump that leads somewhere later.
    fn jump(&mut self, code: u64, one: u64, other: u64) -> usize {
        self.add(code, one, other, 0, 0);
        self.code.len() - 1
    }

    /// Has a jump lead to what comes next.
    fn lead_here(&mut self, jump: usize) {
        self.code[jump] |= ((self.code.len() - jump - 1) as u64) << 16;
    }

    /// Counts where a register points to, once it has noted the process if it is the first.
    fn count_at(&mut self, place: u64) {
        self.add(LOAD_LONG, 1, place, 0, 0);
        let again = self.jump(IF_NOT_EQUAL, 1, 0);
        self.add(LOAD_WORD, 1, STACK, IDS + 4, 0);
        self.add(STORE_REGISTER_WORD, place, 1, 8, 0);
        self.add(MOVE_REGISTER, 1, place, 0, 0);
        self.add(ADD, 1, 0, 0, 16);
        self.add(MOVE, 2, 0, 0, 16);
        self.call(COMMAND);
        self.lead_here(again);
        self.add(MOVE, 1, 0, 0, 1);
        self.add(ADD_ATOMICALLY, place, 1, 0, 0);
        self.ends.push(self.code.len());
        self.add(GO, 0, 0, 0, 0);
    }

    /// Counts for the key that is on the stack, and ends.
    fn count(mut self, map: &Fd) -> Vec<u64> {
        self.look_up(map);
        self.add(MOVE_REGISTER, 9, 0, 0, 0);
        let missing = self.jump(IF_EQUAL, 9, 0);
        self.count_at(9);
        self.lead_here(missing);
        for at in [0, 8, 16, 24] {
            self.add(STORE_LONG, STACK, 0, VALUE_AT + at, 0);
        }
        self.update(map);
        self.look_up(map);
        self.end_if(IF_EQUAL, 0, 0);
        self.add(MOVE_REGISTER, 9, 0, 0, 0);
        self.count_at(9);
        self.finish()
    }

    fn finish(mut self) -> Vec<u64> {
        for jump in core::mem::take(&mut self.ends) {
            self.lead_here(jump);
        }
        self.add(MOVE, 0, 0, 0, 0);
        self.add(EXIT, 0, 0, 0, 0);
        self.code
    }
}

/// The program that counts calls: it is given the registers and the number.
pub(super) fn calls(whose: &Whose, maps: &Maps) -> Vec<u64> {
    let mut program = Program::default();
    program.add(LOAD_LONG, 6, 1, 8, 0);
    program.add(LOAD_LONG, 7, 1, 0, 0);
    program.only_in(whose, &maps.last, Some(7));
    // After one of these it may be a program of another kind.
    let mut executes = Vec::new();
    for number in EXECUTES {
        executes.push(program.code.len());
        program.add(IF_EQUAL, 6, 0, 0, *number);
    }
    let goes_on = program.jump(GO, 0, 0);
    for jump in executes {
        program.lead_here(jump);
    }
    program.add(LOAD_LONG, 1, STACK, LAST_AT, 0);
    program.add(STORE_LONG, 1, 0, 0, 0);
    program.lead_here(goes_on);
    program.add(LOAD_WORD, 8, STACK, COMPAT_AT, 0);
    let compat_before = program.jump(IF_NOT_EQUAL, 8, 0);
    let other_before = program.code.len();
    program.add(IF_NOT_EQUAL, 6, 0, 0, CLONE);
    program.count_flags(7, maps);
    program.lead_here(compat_before);
    program.lead_here(other_before);
    program.add(STORE_REGISTER_WORD, STACK, 6, KEY_AT, 0);
    let compat = program.jump(IF_NOT_EQUAL, 8, 0);
    program.look_up(&maps.native);
    program.add(MOVE_REGISTER, 9, 0, 0, 0);
    let other = program.jump(IF_EQUAL, 9, 0);
    program.count_at(9);
    program.lead_here(compat);
    program.lead_here(other);
    program.add(STORE_REGISTER_WORD, STACK, 8, KEY_AT + 4, 0);
    program.count(&maps.others)
}

/// The program that counts uses of capabilities: it is given the registers of `cap_capable`, or what its tracepoint tells.
pub(super) fn capabilities(whose: &Whose, map: &Fd, last: &Fd, at_tracepoint: bool) -> Vec<u64> {
    /// `CAP_OPT_NOAUDIT`: the kernel asks for something that it can do without. The tracepoint does not tell.
    const UNTOLD: u32 = 2;
    /// The fourth of what the tracepoint tells.
    const ASKED_FOR: i16 = 24;
    let load = if cfg!(target_pointer_width = "64") { LOAD_LONG } else { LOAD_WORD };
    let mut program = Program::default();
    if at_tracepoint {
        program.add(LOAD_LONG, 6, 1, ASKED_FOR, 0);
    } else {
        program.add(load, 6, 1, THIRD as i16, 0);
        program.add(load, 7, 1, FOURTH as i16, 0);
        program.end_if(IF_HAS, 7, UNTOLD);
    }
    program.only_in(whose, last, None);
    program.add(STORE_REGISTER_WORD, STACK, 6, KEY_AT, 0);
    program.add(STORE_WORD, STACK, 0, KEY_AT + 4, CAPABILITY);
    program.count(map)
}

/// A program that does nothing.
pub(super) fn nothing() -> Vec<u64> {
    Program::default().finish()
}
