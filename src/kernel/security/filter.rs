//! Filters of system calls: programs that the kernel runs before each call of a process and of all that it starts.
//!
//! # Source
//! seccomp(2), `Documentation/userspace-api/seccomp_filter.rst`, `linux/seccomp.h`, `linux/audit.h`.

use alloc::vec::Vec;

use libc::sock_filter as Instruction;
use syscalls::Sysno;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::sys::security;

/// The call is made.
pub const ALLOW: u32 = 0x7fff_0000;
/// The process is killed (Linux 4.14).
pub const KILL: u32 = 0x8000_0000;

/// The call is not made and fails with this error.
#[must_use]
pub const fn fail(errno: Errno) -> u32 {
    0x0005_0000 | errno.0 as u32
}

/// The kernel's name for this program's architecture (`AUDIT_ARCH_*`): calls come with numbers of several on one machine.
pub const NATIVE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else if cfg!(target_arch = "aarch64") {
    0xc000_00b7
} else if cfg!(target_arch = "riscv64") {
    0xc000_00f3
} else {
    // 32-bit Arm.
    0x4000_0028
};

// Instructions, bpf(4): load a word of `struct seccomp_data`, compare, end.
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUALS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// Where `struct seccomp_data` has the call's number, its architecture, and the lower halves of its arguments, eight bytes apart.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };

/// A program under construction: rules for one architecture's calls, the first that fits counts.
pub struct Filter(Vec<Instruction>);

impl Filter {
    /// Begins with what becomes of calls of other architectures.
    #[must_use]
    pub fn new(architecture: u32, others: u32) -> Filter {
        let mut filter = Filter(Vec::with_capacity(160));
        filter.add(LOAD, 0, ARCHITECTURE_AT);
        filter.add(EQUALS, 1, architecture);
        filter.add(RETURN, 0, others);
        filter.add(LOAD, 0, NUMBER_AT);
        filter
    }

    /// Says what becomes of a call.
    pub fn call(&mut self, number: u32, verdict: u32) {
        self.0.push(Instruction { code: EQUALS, jt: 0, jf: 1, k: number });
        self.add(RETURN, 0, verdict);
    }

    /// Says what becomes of a call if one of its arguments is this, counted from 0, and if not.
    fn call_with(&mut self, number: u32, (argument, value): (u32, u32), verdict: u32, otherwise: u32) {
        self.0.push(Instruction { code: EQUALS, jt: 0, jf: 4, k: number });
        self.add(LOAD, 0, ARGUMENTS_AT + 8 * argument);
        self.0.push(Instruction { code: EQUALS, jt: 0, jf: 1, k: value });
        self.add(RETURN, 0, verdict);
        self.add(RETURN, 0, otherwise);
    }

    /// Says what becomes of all other calls. On x86-64 those of the x32 interface are among them: their numbers have a bit more.
    #[must_use]
    pub fn finish(mut self, otherwise: u32) -> Vec<Instruction> {
        self.add(RETURN, 0, otherwise);
        self.0
    }

    /// Adds an instruction that, if it compares and finds what it looks for, skips so many.
    fn add(&mut self, code: u16, skip: u8, k: u32) {
        self.0.push(Instruction { code, jt: skip, jf: 0, k });
    }
}

/// A call that may be made if one of its arguments is this: which, counted from 0, and its value.
pub type With = (Sysno, u32, u32);

/// Lets this process, and whatever it starts, make these calls only; others fail with `EPERM`.
///
/// # Errors
/// seccomp(2): `ENOSYS` or `EINVAL` on a kernel without it, `EACCES` without `CAP_SYS_ADMIN` and `no_new_privs`.
pub fn allow_only(calls: &[Sysno], with: &[With]) -> Result<()> {
    security::seccomp_set_filter(&only(calls, with))
}

fn only(calls: &[Sysno], with: &[With]) -> Vec<Instruction> {
    let refused = fail(Errno::EPERM);
    let mut filter = Filter::new(NATIVE, refused);
    for call in calls {
        filter.call(*call as u32, ALLOW);
    }
    for &(call, argument, value) in with {
        filter.call_with(call as u32, (argument, value), ALLOW, refused);
    }
    filter.finish(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel does, on a call of an architecture; bpf(4).
    fn run(program: &[Instruction], number: u32, architecture: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            match (code, k) {
                (LOAD, NUMBER_AT) => accumulator = number,
                (LOAD, ARCHITECTURE_AT) => accumulator = architecture,
                // All arguments are this in these tests.
                (LOAD, ARGUMENTS_AT..) => accumulator = 16,
                (EQUALS, _) => at += usize::from(if accumulator == k { jt } else { jf }),
                (RETURN, verdict) => return verdict,
                _ => panic!("an instruction that is not known: {code:#x} {k:#x}"),
            }
        }
    }

    #[test]
    fn only_the_calls_listed_are_allowed() {
        let listed = [Sysno::read, Sysno::exit_group, Sysno::ppoll];
        let program = only(&listed, &[]);
        for number in 0..600 {
            let expected = if listed.iter().any(|call| *call as u32 == number) { ALLOW } else { 0x0005_0001 };
            assert_eq!(run(&program, number, NATIVE), expected, "{number}");
        }
        assert_eq!(run(&only(&[], &[]), Sysno::read as u32, NATIVE), 0x0005_0001);
    }

    #[test]
    fn an_argument_decides_where_it_is_asked_for() {
        for (value, expected) in [(16, ALLOW), (2, 0x0005_0001)] {
            let program = only(&[Sysno::read], &[(Sysno::socket, 0, value), (Sysno::umount2, 1, 16)]);
            assert_eq!(run(&program, Sysno::socket as u32, NATIVE), expected);
            assert_eq!(run(&program, Sysno::umount2 as u32, NATIVE), ALLOW);
            assert_eq!(run(&program, Sysno::read as u32, NATIVE), ALLOW);
            assert_eq!(run(&program, Sysno::mount as u32, NATIVE), 0x0005_0001);
        }
    }

    #[test]
    fn calls_of_other_architectures_and_of_x32_are_none_of_these() {
        let program = only(&[Sysno::read, Sysno::write], &[]);
        for architecture in [0x4000_0003, 0xc000_003f, 0, !NATIVE] {
            assert_eq!(run(&program, Sysno::read as u32, architecture), 0x0005_0001, "{architecture:#x}");
        }
        assert_eq!(run(&program, Sysno::read as u32 | 0x4000_0000, NATIVE), 0x0005_0001);
        assert_eq!(run(&program, Sysno::read as u32 | 0x8000_0000, NATIVE), 0x0005_0001);
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_others_may_kill() {
        let mut filter = Filter::new(NATIVE, KILL);
        filter.call(7, fail(Errno::ENOSYS));
        filter.call(7, ALLOW);
        let program = filter.finish(ALLOW);
        assert_eq!(run(&program, 7, NATIVE), 0x0005_0026);
        assert_eq!((run(&program, 8, NATIVE), run(&program, 7, 1)), (ALLOW, KILL));
    }
}
