//! The name server of a network: a process at port 53 of the network's own addresses, as long as a container is connected to it.
//!
//! It answers for the names of the containers from the network's directory, which it looks into for each question, so that
//! names come and go at once. All else it passes on, unchanged but for its number, to the servers in the asker's lease or those
//! of the host, by the protocol that it came by. Datagrams are served by one loop over fixed tables, and each connection by a
//! process of its own, which has little time. Who has no lease is told nothing.
//!
//! # Source
//! RFC 1035, RFC 7766 for connections, RFC 5452 for what keeps others from answering: a port and a number that nobody knows.

mod judge;

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;

use syscalls::Sysno;

use crate::base::address;
use crate::base::dns::{self, Code};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::{self, Address, Cut};
use crate::kernel::anew::{self, BLOCKED, Line, Numbers};
use crate::kernel::program::tie;
use crate::kernel::security::filter;
use crate::sys::file::Lock;
use crate::sys::inotify::{inotify_add_watch, inotify_init1};
use crate::sys::internet::{self, Peer};
use crate::sys::ledger::Role;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Side};
use crate::sys::{Fd, FdRef, because, fd, file};

pub use judge::{Verdict, judge};

/// The name under which vial executes itself to become a network's name server.
const NAME: &CStr = c"vial-resolver";
/// The port of name servers.
const PORT: u16 = 53;
/// The most datagrams that wait for an answer at once, and those of one asker.
const DATAGRAMS: usize = 256;
const DATAGRAMS_EACH: usize = 64;
/// The most connections at once, and those of one asker.
const CONNECTIONS: usize = 16;
const CONNECTIONS_EACH: usize = 4;
/// How long a server has for an answer, and how many are asked; all have no more than [`WHOLE`]. In milliseconds.
const PATIENCE: u64 = 2000;
const TRIES: usize = 3;
const WHOLE: u64 = 5000;
/// How long a connection lives, in milliseconds.
const CONNECTION: u64 = 20_000;
/// The longest question.
const QUESTION: usize = 4 << 10;
/// The longest message.
const LONGEST: usize = 0xffff;
/// The longest lease, and the most that is read of the host's configuration.
const TEXT: usize = 64 << 10;

/// What it asks of the kernel.
#[rustfmt::skip]
const CALLS: &[Sysno] = &[
    // Sockets, of which it makes new ones to ask others, and at its own addresses should it be wanted again.
    Sysno::ppoll, Sysno::read, Sysno::write, Sysno::recvfrom, Sysno::sendto, Sysno::accept4, Sysno::socket,
    Sysno::connect, Sysno::bind, Sysno::listen, Sysno::setsockopt, Sysno::close, Sysno::restart_syscall,
    // The network's directory, and the host's configuration.
    Sysno::openat, Sysno::getdents64, Sysno::flock,
    // Processes for connections.
    Sysno::clone, Sysno::wait4, Sysno::kill, Sysno::prctl, Sysno::getpid, Sysno::getppid,
    // Itself.
    Sysno::clock_gettime, Sysno::getrandom, Sysno::mmap, Sysno::munmap, Sysno::mremap, Sysno::exit_group,
];

/// Has names answered at a network's addresses, to those that have a lease. Returns when a process listens there.
///
/// # Errors
/// Another program is at port 53, or the addresses are not this machine's.
pub fn ensure(network: FdRef<'_>, gateways: &[Address]) -> Result<()> {
    let _why = because!("have the names of the network's containers answered");
    let lock = file::create(network, c"resolver", libc::O_RDWR | libc::O_CREAT, 0o600)?;
    if !file::try_lock(lock.by_ref(), Lock::Exclusive)? {
        return Ok(());
    }
    let mut doors = Vec::new();
    let mut addresses = alloc::string::String::new();
    for gateway in gateways {
        doors.push(Door::new(gateway)?);
        addresses.push_str(&address::text(gateway));
        addresses.push(' ');
    }
    let inotify = inotify_init1()?;
    let leases = file::owned_path(join!("/proc/self/fd/{}/leases", network.number()).as_bytes())?;
    inotify_add_watch(inotify.by_ref(), &leases, libc::IN_DELETE)?;
    let mut numbers = Numbers::default();
    numbers.put_file(network);
    for file in [&lock, &inotify] {
        numbers.file(Some(file));
    }
    for door in &doors {
        numbers.file(Some(&door.datagrams));
        numbers.file(Some(&door.connections));
    }
    numbers.start(NAME, &addresses, false).map(drop)
}

/// Becomes a network's name server, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    if args.first() != Some(&NAME) {
        return;
    }
    let mut line = Line::new(args);
    let (Some(network), Some(lock), Some(inotify), Ok(signals)) =
        (line.file(), line.file(), line.file(), poll::signalfd(poll::bit(libc::SIGCHLD)))
    else {
        anew::refuse()
    };
    let mut doors = Vec::new();
    while let (Some(datagrams), Some(connections)) = (line.file(), line.file()) {
        doors.push(Door { datagrams, connections });
    }
    let _ = poll::block_signals(BLOCKED);
    // A kernel without filters is no reason not to go on: this is no workload.
    let _ = filter::allow_only(CALLS);
    let mut resolver = Resolver {
        network,
        inotify,
        signals,
        doors,
        waiting: Vec::new(),
        served: Vec::new(),
        buffer: vec![0; LONGEST],
    };
    loop {
        while resolver.is_wanted() {
            if resolver.wait().is_err() {
                process::exit(1);
            }
        }
        // Whoever has made a lease since, and found the lock taken, relies on this process; whoever finds it free does not.
        resolver.close();
        let free = file::unlock(lock.by_ref()).is_ok();
        let mut again =
            free && resolver.is_wanted() && matches!(file::try_lock(lock.by_ref(), Lock::Exclusive), Ok(true));
        for address in anew::word(args, 1).words().filter_map(text::address) {
            again = again && Door::new(&address).map(|door| resolver.doors.push(door)).is_ok();
        }
        if !again {
            process::exit(0);
        }
    }
}

/// The sockets at one address.
struct Door {
    datagrams: Fd,
    connections: Fd,
}

impl Door {
    fn new(address: &Address) -> Result<Door> {
        let open = |kind| internet::listen_on(address, PORT, kind);
        let opened =
            open(libc::SOCK_DGRAM).and_then(|datagrams| Ok(Door { datagrams, connections: open(libc::SOCK_STREAM)? }));
        opened.map_err(|error| if error.is(Errno::EADDRINUSE) { taken(error) } else { error })
    }
}

#[cold]
fn taken(error: Error) -> Error {
    error.hint(phrase!(
        "another name server has that port, perhaps at all addresses: let it listen at its own only (dnsmasq: bind-dynamic), or use --network host or none"
    ))
}

/// A question that was passed on in a datagram.
struct Waits {
    /// Who asked, and at which of the doors.
    asker: Peer,
    door: usize,
    /// As it was sent: with a number of our own.
    question: Vec<u8>,
    /// The number that it came with.
    number: [u8; 2],
    servers: Vec<Address>,
    /// How many servers were asked before.
    tries: usize,
    /// To the server that is asked.
    socket: Option<Fd>,
    /// When the next one is.
    deadline: u64,
    /// When there is none any more.
    end: u64,
}

/// A connection, which has a process of its own.
struct Served {
    process: u32,
    asker: Address,
    end: u64,
}

struct Resolver {
    network: Fd,
    inotify: Fd,
    signals: Fd,
    doors: Vec<Door>,
    waiting: Vec<Waits>,
    served: Vec<Served>,
    buffer: Vec<u8>,
}

/// The monotonic clock, in milliseconds.
fn now() -> u64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds() as u64
}

impl Resolver {
    /// Whether any container is connected to the network.
    fn is_wanted(&self) -> bool {
        self.list("leases").is_ok_and(|leases| !leases.is_empty())
    }

    /// The addresses that the files in a directory of the network's are called by.
    fn list(&self, path: &str) -> Result<Vec<Address>> {
        let path = file::owned_path(path.as_bytes())?;
        let directory = file::open(self.network.by_ref(), &path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let mut addresses = Vec::new();
        for entry in file::list(directory.by_ref())? {
            addresses.extend(entry.name.to_str().ok().and_then(text::address));
        }
        Ok(addresses)
    }

    /// Waits for what may happen, and does what is to be done; returns after a lease was given back.
    fn wait(&mut self) -> Result<()> {
        let mut files = Vec::with_capacity(16);
        loop {
            files.clear();
            files.push(Waiting::readable(self.inotify.by_ref()));
            files.push(Waiting::readable(self.signals.by_ref()));
            for door in &self.doors {
                files.push(Waiting::readable(door.datagrams.by_ref()));
                let room = self.served.len() < CONNECTIONS;
                files.push(if room { Waiting::readable(door.connections.by_ref()) } else { Waiting::nothing() });
            }
            let first = files.len();
            let mut next = u64::MAX;
            for waits in &self.waiting {
                files.push(
                    waits.socket.as_ref().map_or(Waiting::nothing(), |socket| Waiting::readable(socket.by_ref())),
                );
                next = next.min(waits.deadline);
            }
            for served in &self.served {
                next = next.min(served.end);
            }
            poll::poll_within(&mut files, next.saturating_sub(if next == u64::MAX { 0 } else { now() }))?;
            let now = now();
            for at in (0..self.waiting.len()).rev() {
                let ready = files[first + at].is_ready();
                if (ready || now >= self.waiting[at].deadline) && self.go_on(at, ready, now) {
                    self.waiting.swap_remove(at);
                }
            }
            for door in 0..self.doors.len() {
                if files[2 + 2 * door].is_ready() {
                    self.take_datagram(door, now);
                }
                if files[3 + 2 * door].is_ready() {
                    self.take_connection(door, now);
                }
            }
            for served in &self.served {
                if now >= served.end {
                    let _ = process::kill(served.process, libc::SIGKILL);
                }
            }
            if files[1].is_ready() {
                poll::next_signal(self.signals.by_ref())?;
                while let Ok(Some(waited)) = process::wait(None, false) {
                    self.served.retain(|served| served.process != waited.pid);
                }
            }
            if files[0].is_ready() {
                return file::read(self.inotify.by_ref(), &mut self.buffer).map(drop);
            }
        }
    }

    /// What is to be done with a message from this address.
    fn judge(&self, message: &[u8], asker: &Address, most: usize) -> Verdict {
        let path = alloc::format!("leases/{}", address::text(asker));
        let lease =
            file::owned_path(path.as_bytes()).and_then(|path| file::read_file(self.network.by_ref(), &path, TEXT));
        let mut verdict =
            judge::judge(message, most, lease.ok().as_deref(), &mut |name| self.list(&["names/", name].concat()).ok());
        if let Verdict::Forward(servers) = &mut verdict
            && servers.is_empty()
            && let Ok(host) = file::read_file(fd::CWD, c"/etc/resolv.conf", TEXT)
        {
            *servers = judge::servers(&host, "nameserver");
        }
        verdict
    }

    fn take_datagram(&mut self, door: usize, now: u64) {
        let socket = self.doors[door].datagrams.by_ref();
        let Ok((length, asker)) = internet::receive_from(socket, &mut self.buffer[..=QUESTION]) else { return };
        if length > QUESTION {
            return;
        }
        let mut question = Vec::from(&self.buffer[..length]);
        match self.judge(&question, &asker.address, dns::DATAGRAM) {
            Verdict::Nothing => {}
            Verdict::Answer(reply) => drop(internet::send_to(socket, &reply, asker)),
            Verdict::Forward(servers) => {
                // Whoever has too many under way asks again later.
                let his = self.waiting.iter().filter(|waits| waits.asker.address == asker.address).count();
                if self.waiting.len() >= DATAGRAMS || his >= DATAGRAMS_EACH {
                    return;
                }
                let number = [question[0], question[1]];
                if process::random(&mut question[..2]).is_err() {
                    return;
                }
                let end = now + WHOLE;
                self.waiting.push(Waits {
                    asker,
                    door,
                    question,
                    number,
                    servers,
                    tries: 0,
                    socket: None,
                    deadline: 0,
                    end,
                });
                let at = self.waiting.len() - 1;
                if self.go_on(at, false, now) {
                    self.waiting.swap_remove(at);
                }
            }
        }
    }

    /// Takes an answer to a question that was passed on, or asks the next server; whether that was all.
    fn go_on(&mut self, at: usize, ready: bool, now: u64) -> bool {
        let waits = &mut self.waiting[at];
        let mut reply = None;
        if ready && let Some(socket) = &waits.socket {
            if let Ok(length) = file::read(socket.by_ref(), &mut self.buffer) {
                if !dns::is_answer(&self.buffer[..length], &waits.question) {
                    return false;
                }
                reply = Some(&mut self.buffer[..length]);
            }
        }
        // Also when nobody listens there, which is told by an error.
        while reply.is_none() && waits.tries < TRIES && now < waits.end {
            let Some(server) = waits.servers.get(waits.tries % waits.servers.len().max(1)) else { break };
            waits.tries += 1;
            waits.deadline = waits.end.min(now + PATIENCE);
            waits.socket = internet::connect_to(server, PORT, libc::SOCK_DGRAM, 0).ok();
            if waits.socket.as_ref().is_some_and(|socket| file::write(socket.by_ref(), &waits.question).is_ok()) {
                return false;
            }
        }
        let mut failed;
        let reply = if let Some(reply) = reply {
            reply
        } else {
            let length = dns::asked(&waits.question).map_or(0, |asked| asked.length);
            failed = dns::reply(&waits.question[..length], Code::Failed, &[], dns::DATAGRAM);
            &mut failed[..]
        };
        if let Some(number) = reply.first_chunk_mut() {
            *number = waits.number;
        }
        let _ = internet::send_to(self.doors[waits.door].datagrams.by_ref(), reply, waits.asker);
        true
    }

    fn take_connection(&mut self, door: usize, now: u64) {
        let Ok((socket, peer)) = internet::accept_from(self.doors[door].connections.by_ref()) else { return };
        let asker = peer.address;
        if self.served.iter().filter(|served| served.asker == asker).count() >= CONNECTIONS_EACH {
            return;
        }
        let parent = process::getpid();
        match process::clone(0, Role::Helper) {
            Ok(Side::Parent(process)) => self.served.push(Served { process, asker, end: now + CONNECTION }),
            Ok(Side::Child) => {
                self.doors.clear();
                if tie(parent).is_ok() {
                    self.serve(socket.by_ref(), &asker);
                }
                process::exit(0);
            }
            Err(_) => {}
        }
    }

    /// Serves a connection; `None` is its end.
    fn serve(&self, socket: FdRef<'_>, asker: &Address) -> Option<()> {
        loop {
            let message = receive(socket, CONNECTION, QUESTION)?;
            let reply = match self.judge(&message[2..], asker, LONGEST) {
                Verdict::Nothing => return None,
                Verdict::Answer(reply) => [&(reply.len() as u16).to_be_bytes(), &reply[..]].concat(),
                Verdict::Forward(servers) => servers.iter().find_map(|server| {
                    let server = internet::connect_to(server, PORT, libc::SOCK_STREAM, PATIENCE).ok()?;
                    file::write_all(server.by_ref(), &message).ok()?;
                    receive(server.by_ref(), PATIENCE, LONGEST)
                })?,
            };
            file::write_all(socket, &reply).ok()?;
        }
    }

    /// Closes all sockets, also those of other processes.
    fn close(&mut self) {
        for served in &self.served {
            let _ = process::kill(served.process, libc::SIGKILL);
        }
        while process::wait(None, true).is_ok() {}
        self.served.clear();
        self.waiting.clear();
        self.doors.clear();
    }
}

/// Receives a message with its length before it, as connections have them; each part may take so many milliseconds.
fn receive(socket: FdRef<'_>, milliseconds: u64, most: usize) -> Option<Vec<u8>> {
    let mut message = vec![0; 2];
    let mut length = 0;
    loop {
        let mut ready = [Waiting::readable(socket)];
        poll::poll_within(&mut ready, milliseconds).ok()?;
        if !ready[0].is_ready() {
            return None;
        }
        match file::read(socket, &mut message[length..]).ok()? {
            0 => return None,
            count => length += count,
        }
        if length == 2 && message.len() == 2 {
            let size = usize::from(u16::from_be_bytes([message[0], message[1]]));
            message.resize(2 + size, 0);
            if size > most {
                return None;
            }
        }
        if length == message.len() {
            return Some(message);
        }
    }
}
