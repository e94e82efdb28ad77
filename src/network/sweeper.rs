//! What the kernel takes long for when a container has ended, and nobody is to wait for.
//!
//! An interface that is removed waits for grace periods, some 25 ms, and so does, for 5 to 15, whoever closes a socket by which
//! packet filters were changed. So the end of a container only separates its interfaces from their bridges. They go with their
//! other ends as soon as nothing is left in the container's network namespace. Mostly that is at once, but another program
//! may be in there, or a connection that its other side has not ended. So some time later whoever is left is removed.

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::text::Cut;
use crate::kernel::anew::{self, Line, Numbers};
use crate::kernel::netlink::{Socket, link};
use crate::sys::{Fd, because, process};

/// The name under which vial executes itself to see to it.
const NAME: &CStr = c"vial-sweeper";
/// Milliseconds for which the kernel may take down a network namespace by itself.
const PATIENCE: u32 = 250;

/// Removes interfaces that do not go by themselves; returns some time later.
pub fn sweep(links: &[&str]) {
    if links.is_empty() {
        return;
    }
    let _why = because!("remove interfaces if others hold their network namespace");
    process::sleep(PATIENCE);
    if let Ok(socket) = Socket::route() {
        for link in links {
            let _ = link::remove(&socket, link);
        }
    }
}

/// Has another process do so, and close what this one has open of packet filters.
pub fn start(links: &[&str]) {
    if links.is_empty() {
        return;
    }
    let _why = because!("make the process that sees the container's interfaces go");
    let mut numbers = Numbers::default();
    if let Some(filters) = Socket::kept() {
        numbers.put_file(filters);
    }
    // Without it they go all the same, as soon as nobody is in the namespace.
    let _ = numbers.start(NAME, &links.join(" "), false);
}

/// Becomes that process, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    if args.first() == Some(&NAME) {
        let _filters: Option<Fd> = Line::new(args).file();
        sweep(&anew::word(args, 1).words().collect::<Vec<_>>());
        process::exit(0);
    }
}
