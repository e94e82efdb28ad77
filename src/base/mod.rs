//! Floor 0: pure code. Nothing here enters the kernel.

// Before the others, which use their macros.
#[macro_use]
pub mod phrase;
#[macro_use]
pub mod say;

pub mod address;
pub mod bytes;
pub mod dns;
pub mod errno;
pub mod error;
pub mod inflate;
pub mod json;
pub mod keep;
#[cfg(test)]
pub(crate) mod samples;
pub mod sha256;
pub mod signal;
pub mod sort;
pub mod text;
pub mod time;
pub mod zstd;
