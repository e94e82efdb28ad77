//! Floor 5: the command line.

pub mod flags;
pub mod help;
pub mod options;
pub mod output;
pub mod parse;

use core::ffi::CStr;

/// Runs a command line; the exit code.
pub fn main(_args: &[&'static CStr], _env: &[&'static CStr]) -> u8 {
    let _ = crate::sys::ledger::open(crate::sys::ledger::Format::Text);
    let _why = crate::sys::because("say hello");
    let _ = crate::sys::file::write_all(crate::sys::fd::STDOUT, b"hello\n");
    0
}
