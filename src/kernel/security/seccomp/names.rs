//! Names and numbers of calls.

use alloc::vec::Vec;

use super::tables::NAMES;
use super::{COMPAT_ARCHITECTURE, NATIVE, X32_BIT};
use crate::base::sort::sort;
use crate::base::text::{Cut, decimal_u64};

/// The architectures that a program can be of here, without `SCMP_ARCH_`, in the order of the tables' columns.
pub const ARCHITECTURES: &str = if cfg!(target_arch = "x86_64") {
    "X86_64 X86 X32"
} else if cfg!(target_arch = "aarch64") {
    "AARCH64 ARM"
} else if cfg!(target_arch = "riscv64") {
    "RISCV64"
} else {
    "ARM"
};

/// The kernel's name for the architecture of 32-bit programs.
pub const COMPAT: u32 = COMPAT_ARCHITECTURE;

/// The calls of one of the [`ARCHITECTURES`], by number; a number may have two names.
#[must_use]
pub fn calls(column: usize) -> Vec<(u32, &'static str)> {
    let (mut calls, mut next) = (Vec::new(), 0);
    for line in NAMES.parts(b'\n') {
        let mut words = line.parts(b' ');
        let name = words.next().unwrap_or_default();
        // What is left out is one more than the one before.
        let number = match words.nth(column).unwrap_or_default() {
            "" => Some(next),
            number => decimal_u64(number),
        };
        if let Some(number) = number.filter(|_| !name.is_empty()) {
            calls.push((number as u32, name));
            next = number + 1;
        }
    }
    sort(&mut calls, |one, other| one.0 < other.0);
    calls
}

/// The numbers that this processor's own calls of these names have; of names that it has no call by, none.
#[must_use]
pub fn numbers(names: &str) -> Vec<u32> {
    let listed = |(number, name): (u32, &str)| names.parts(b' ').any(|one| one == name).then_some(number);
    calls(0).into_iter().filter_map(listed).collect()
}

/// Which of the [`ARCHITECTURES`] a call belongs to, and its name there, if it has one.
#[must_use]
pub fn name(architecture: u32, number: u32) -> (usize, Option<&'static str>) {
    let (column, number) = match architecture {
        NATIVE if cfg!(target_arch = "x86_64") && number & X32_BIT != 0 => (2, number & !X32_BIT),
        NATIVE => (0, number),
        other if other == COMPAT_ARCHITECTURE => (1, number),
        _ => return (usize::MAX, None),
    };
    (column, calls(column).into_iter().find(|call| call.0 == number).map(|call| call.1))
}
