//! Connections to ports published on the host's loopback, which the kernel's address translation can't serve: passed on by a
//! process of the container's owner's, with which it ends.
//!
//! It accepts connections, and has two processes for each, one for each direction, so that neither waits for the other and memory
//! stays flat. Datagrams pass through its own loop, with a socket for each of those who sent some lately.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;

use syscalls::Sysno;

use crate::base::address;
use crate::base::error::Result;
use crate::base::text::{self, Address, Cut};
use crate::kernel::anew::{self, BLOCKED, Line, Numbers};
use crate::kernel::program::tie;
use crate::kernel::security::filter;
use crate::sys::internet::{self, Peer};
use crate::sys::ledger::Role;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Side};
use crate::sys::{Fd, FdRef, because, file};

/// The name under which vial executes itself to become a relay.
const NAME: &CStr = c"vial-relay";
/// The most connections at once; further ones wait in the kernel.
const CONNECTIONS: usize = 512;
/// Milliseconds that the container has to take a connection.
const CONNECT: u64 = 10_000;
/// The most who send datagrams and get some back at once; whoever has been silent for longest makes room for the next.
const PEERS: usize = 128;
/// Milliseconds of silence after which nothing comes back any more.
const SILENCE: u64 = 60_000;
/// Bytes that are passed on at once.
const CHUNK: usize = 32 << 10;
/// The longest datagram.
const LONGEST: usize = 0xffff;

/// What it asks of the kernel.
#[rustfmt::skip]
const CALLS: &[Sysno] = &[
    Sysno::ppoll, Sysno::read, Sysno::write, Sysno::recvfrom, Sysno::sendto, Sysno::accept4, Sysno::socket, Sysno::connect,
    Sysno::shutdown, Sysno::close, Sysno::fcntl, Sysno::restart_syscall,
    // Processes for connections.
    Sysno::clone, Sysno::wait4, Sysno::prctl, Sysno::getpid, Sysno::getppid,
    // Itself.
    Sysno::clock_gettime, Sysno::nanosleep, Sysno::mmap, Sysno::munmap, Sysno::mremap, Sysno::exit_group,
];

/// A port of the host's, and where what comes there goes.
pub struct Entrance {
    /// Made by [`listen`].
    pub socket: Fd,
    /// Whether it is for connections; otherwise for datagrams.
    pub is_tcp: bool,
    /// The container's address.
    pub to: Address,
    /// The container's port.
    pub port: u16,
}

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
    let mut entrances = Vec::new();
    for to in anew::word(args, 1).words().filter_map(text::address) {
        let Some(socket) = line.file() else { anew::refuse() };
        entrances.push(Entrance { socket, is_tcp: line.number() == 1, to, port: line.number() as u16 });
    }
    let Ok(signals) = poll::signalfd(poll::bit(libc::SIGCHLD)) else { anew::refuse() };
    let _ = poll::block_signals(BLOCKED);
    // A kernel without filters is no reason not to go on: this is no workload.
    let _ = filter::allow_only(CALLS);
    let relay = Relay { entrances, signals, connections: 0, peers: Vec::new(), buffer: vec![0; LONGEST] };
    relay.live();
}

/// Somebody who sent datagrams to one of the ports.
struct Sender {
    who: Peer,
    entrance: usize,
    /// To the container, from which answers come.
    socket: Fd,
    /// When one came from either side last.
    heard: u64,
}

struct Relay {
    entrances: Vec<Entrance>,
    signals: Fd,
    /// How many there are.
    connections: usize,
    peers: Vec<Sender>,
    buffer: Vec<u8>,
}

/// The monotonic clock, in milliseconds.
fn now() -> u64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds() as u64
}

impl Relay {
    fn live(mut self) -> ! {
        let mut files = Vec::with_capacity(16);
        loop {
            files.clear();
            files.push(Waiting::readable(self.signals.by_ref()));
            for entrance in &self.entrances {
                let room = !entrance.is_tcp || self.connections < CONNECTIONS;
                files.push(if room { Waiting::readable(entrance.socket.by_ref()) } else { Waiting::nothing() });
            }
            let first = files.len();
            let mut oldest = u64::MAX;
            for peer in &self.peers {
                files.push(Waiting::readable(peer.socket.by_ref()));
                oldest = oldest.min(peer.heard);
            }
            let wait = if oldest == u64::MAX { oldest } else { (oldest + SILENCE).saturating_sub(now()) };
            if poll::poll_within(&mut files, wait).is_err() {
                process::exit(1);
            }
            let now = now();
            for at in (0..self.peers.len()).rev() {
                let peer = &mut self.peers[at];
                if files[first + at].is_ready()
                    // An error says that nobody listens in the container; it may be told of the next one too.
                    && let Ok(length) = file::read(peer.socket.by_ref(), &mut self.buffer)
                {
                    peer.heard = now;
                    let socket = self.entrances[peer.entrance].socket.by_ref();
                    let _ = internet::send_to(socket, &self.buffer[..length], peer.who);
                }
                if now >= peer.heard + SILENCE {
                    self.peers.swap_remove(at);
                }
            }
            for at in 0..self.entrances.len() {
                if files[1 + at].is_ready() {
                    if self.entrances[at].is_tcp {
                        self.take_connection(at);
                    } else {
                        self.take_datagram(at, now);
                    }
                }
            }
            if files[0].is_ready() {
                let _ = poll::next_signal(self.signals.by_ref());
                while let Ok(Some(_)) = process::wait(None, false) {
                    self.connections -= 1;
                }
            }
        }
    }

    fn take_datagram(&mut self, at: usize, now: u64) {
        let entrance = &self.entrances[at];
        let Ok((length, who)) = internet::receive_from(entrance.socket.by_ref(), &mut self.buffer) else { return };
        let known = self.peers.iter().position(|peer| peer.who == who && peer.entrance == at);
        let place = known.unwrap_or_else(|| {
            if self.peers.len() >= PEERS {
                let oldest = self.peers.iter().enumerate().min_by_key(|(_, peer)| peer.heard);
                let oldest = oldest.map_or(0, |(place, _)| place);
                self.peers.swap_remove(oldest);
            }
            let Ok(socket) = internet::connect_to(&entrance.to, entrance.port, libc::SOCK_DGRAM, 0) else {
                return usize::MAX;
            };
            self.peers.push(Sender { who, entrance: at, socket, heard: now });
            self.peers.len() - 1
        });
        if let Some(peer) = self.peers.get_mut(place) {
            peer.heard = now;
            let _ = file::write(peer.socket.by_ref(), &self.buffer[..length]);
        }
    }

    fn take_connection(&mut self, at: usize) {
        let entrance = &self.entrances[at];
        let parent = process::getpid();
        let taken = internet::accept_from(entrance.socket.by_ref())
            .and_then(|(client, _)| Ok((client, process::clone(0, Role::Helper)?)));
        match taken {
            Ok((_, Side::Parent(_))) => self.connections += 1,
            Ok((client, Side::Child)) => {
                let (to, port) = (entrance.to, entrance.port);
                // The port is not this process's to hold.
                self.entrances.clear();
                self.peers.clear();
                if tie(parent).is_ok() {
                    let _ = connect(client.by_ref(), &to, port);
                }
                process::exit(0);
            }
            // There is no room for it, or it has ended already; whichever it is, not at once again.
            Err(_) => process::sleep(10),
        }
    }
}

/// Connects a client to the container, and passes on what both say until they have ended.
fn connect(client: FdRef<'_>, to: &Address, port: u16) -> Result<()> {
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
            Ok(0) => return drop(internet::shutdown(to, libc::SHUT_WR)),
            Ok(count) if file::write_all(to, &buffer[..count]).is_ok() => {}
            _ => break,
        }
    }
    for side in [from, to] {
        let _ = internet::shutdown(side, libc::SHUT_RDWR);
    }
}
