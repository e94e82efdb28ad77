//! D-Bus: calls of methods over a socket, and the signals that tell what came of them.
//!
//! # Source
//! The D-Bus specification, version 0.43, <https://dbus.freedesktop.org/doc/dbus-specification.html>.

mod bus;
mod wire;

pub use bus::{Answer, Bus, Method, socket};
pub use wire::{Message, Reader, Value, Writer, call, next};
