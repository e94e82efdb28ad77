//! Connections to ports published on the host's loopback, which the kernel's address translation can't serve: passed on by a
//! process of the container's owner's, with which it ends.
//!
//! It accepts connections, and has two processes for each, one for each direction, so that neither waits for the other and memory
//! stays flat. Datagrams pass through its own loop, with a socket for each of those who sent some lately.

use alloc::string::String;
use alloc::vec;
use core::ffi::CStr;

use super::server::Server;
use crate::base::address;
use crate::base::error::Result;
use crate::base::text::{self, Address, Cut};
use crate::kernel::anew::{self, Line, Numbers};
use crate::kernel::program::tie;
use crate::sys::ledger::Role;
use crate::sys::process::{self, Side};
use crate::sys::{Fd, FdRef, because, file, internet};

pub use super::server::Entrance;

/// The name under which vial executes itself to become a relay.
const NAME: &CStr = c"vial-relay";
/// Milliseconds that the container has to take a connection.
const CONNECT: u64 = 10_000;
/// Bytes that are passed on at once.
const CHUNK: usize = 32 << 10;

/// Takes a port of the host's at one of its addresses.
///
/// # Errors
/// bind(2): `EADDRINUSE` if it is taken.
pub fn listen(address: &Address, port: u16, is_tcp: bool) -> Result<Fd> {
    let _why = because!("listen at a published port");
    internet::listen_on(address, port, if is_tcp { libc::SOCK_STREAM } else { libc::SOCK_DGRAM })
}

/// Makes the process that passes on what comes to these ports; its ID. It ends with this one.
///
/// # Errors
/// clone(2).
pub fn start(entrances: &[Entrance]) -> Result<u32> {
    let _why = because!("make the process that passes on what comes to ports published on the loopback");
    let (mut numbers, mut targets) = (Numbers::default(), String::new());
    for entrance in entrances {
        numbers.file(Some(&entrance.socket));
        numbers.put(entrance.is_tcp.into());
        numbers.put(entrance.port.into());
        targets.push_str(&address::text(&entrance.to));
        targets.push(' ');
    }
    numbers.start(NAME, &targets, true)
}

/// Becomes a relay, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    if args.first() != Some(&NAME) {
        return;
    }
    let mut line = Line::new(args);
    let mut server = Server::new(None);
    for to in anew::word(args, 1).words().filter_map(text::address) {
        let Some(socket) = line.file() else { anew::refuse() };
        server.doors.push(Entrance { socket, is_tcp: line.number() == 1, to, port: line.number() as u16 });
    }
    if !server.doors.is_empty() {
        server.wait();
    }
    anew::refuse()
}

/// Connects a client to the container, and passes on what both say until they have ended.
pub(super) fn connect(client: FdRef<'_>, to: &Address, port: u16) -> Result<()> {
    let target = internet::connect_to(to, port, libc::SOCK_STREAM, CONNECT)?;
    let target = target.by_ref();
    file::always_wait(target)?;
    let parent = process::getpid();
    match process::clone(0, Role::Helper)? {
        Side::Parent(other) => {
            pass(client, target);
            process::wait(Some(other), true).map(drop)
        }
        Side::Child => {
            if tie(parent).is_ok() {
                pass(target, client);
            }
            process::exit(0)
        }
    }
}

/// Passes on what comes from one side until it ends; then the other is told. After an error nothing goes in either direction.
fn pass(from: FdRef<'_>, to: FdRef<'_>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file::read(from, &mut buffer) {
            Ok(0) => return internet::shutdown(to, libc::SHUT_WR),
            Ok(count) if file::write_all(to, &buffer[..count]).is_ok() => {}
            _ => break,
        }
    }
    for side in [from, to] {
        internet::shutdown(side, libc::SHUT_RDWR);
    }
}
