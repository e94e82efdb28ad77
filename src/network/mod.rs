//! Networks of containers.

use core::ffi::CStr;

pub mod relay;
pub mod resolver;
mod server;

/// Becomes the process that executed vial anew to serve a network or published ports, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    resolver::become_one(args);
    relay::become_one(args);
}
