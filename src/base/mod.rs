//! Floor 0: pure code. Nothing here enters the kernel.

// Before the others, which use their macros.
#[macro_use]
pub mod phrase;
#[macro_use]
pub mod say;

#[cfg(feature = "weakened")]
pub mod weak;

/// Whether a test has turned this defence off; only a build with the feature `weakened` asks.
#[cfg(feature = "weakened")]
macro_rules! weak {
    ($name:literal) => {
        $crate::base::weak::is_off($name)
    };
}

/// No test can turn a defence off in this build.
#[cfg(not(feature = "weakened"))]
macro_rules! weak {
    ($name:literal) => {
        false
    };
}

pub mod address;
pub mod bytes;
pub mod dhcp;
pub mod dns;
pub mod errno;
pub mod error;
pub mod inflate;
pub mod json;
pub mod keep;
pub mod lzma;
#[cfg(test)]
pub(crate) mod samples;
pub mod sha256;
pub mod signal;
pub mod sort;
pub mod text;
pub mod time;
pub mod version;
pub mod zstd;
