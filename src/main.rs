//! The hand-written main: from the kernel's first instruction to the command line.
#![no_std]
#![no_main]

extern crate alloc;

mod rt;

use core::ffi::CStr;

/// Runs a command line; the exit code.
fn main(args: &'static [&'static CStr], env: &'static [&'static CStr]) -> u8 {
    vial::cli::main(args, env, rt::appended())
}
