//! Netlink: messages to the kernel's networking, written by hand; netlink(7), rtnetlink(7).

pub mod link;
mod socket;
mod wire;

pub use socket::Socket;
pub use wire::{Message, acknowledgement};
