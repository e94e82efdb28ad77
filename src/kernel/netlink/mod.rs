//! Netlink: messages to the kernel's networking, written by hand; netlink(7), rtnetlink(7), nft(8).

pub mod link;
pub mod nft;
mod socket;
mod wire;

pub use socket::Socket;
pub use wire::{Datagram, next_attribute, next_message, verdict};
