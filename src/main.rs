//! The hand-written main: from the kernel's first instruction to the command line.
#![no_std]
#![no_main]

extern crate alloc;

mod rt;

use core::ffi::CStr;

/// Runs a command line; the exit code. `secure` says that the process has got rights which its caller may not have.
fn main(args: &'static [&'static CStr], env: &'static [&'static CStr], secure: bool) -> u8 {
    vial::cli::main(args, env, secure, rt::appended())
}
