//! What a network's name server and a relay have in common: one loop over doors, at which datagrams and connections come.
//!
//! A datagram is passed on from a socket of its own, on which an answer is waited for. A connection has a process of its own, so
//! that none waits for another.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use syscalls::Sysno;

use super::relay;
use super::resolver::{CONNECTION, Names, Verdict};
use crate::base::dns;
use crate::base::text::Address;
use crate::kernel::anew::{self, BLOCKED};
use crate::kernel::program::tie;
use crate::kernel::security::filter;
use crate::sys::internet::{self, Peer};
use crate::sys::ledger::Role;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Side};
use crate::sys::{Fd, file, number};

/// The most datagrams that wait for an answer, and those of one sender, whose oldest makes room for a further one.
const FLOWS: usize = 512;
const FLOWS_EACH: usize = 128;
/// How many datagrams of one door are taken before others have their turn.
const BURST: u32 = 32;
/// The longest datagram.
pub(super) const LONGEST: usize = 0xffff;
/// For how long answers to a datagram that was passed on come back, in milliseconds.
const SILENCE: u64 = 60_000;

/// What both ask of the kernel, and behind [`COMMON`] what only a name server does, which has files and may need new doors.
#[rustfmt::skip]
static CALLS: &[Sysno] = &[
    number::ppoll, number::read, number::write, number::recvfrom, number::sendto, number::accept4, number::socket, number::connect,
    number::shutdown, number::close, number::fcntl, number::clone, number::wait4, number::kill, number::prctl, number::getpid,
    number::getppid, number::clock_gettime, number::nanosleep, number::restart_syscall, number::mmap, number::munmap,
    number::mremap, number::mprotect, number::exit_group,
    number::openat, number::getdents64, number::flock, number::getrandom, number::bind, number::listen, number::setsockopt,
];
const COMMON: usize = 25;

/// A port of the host's, and where what comes there goes.
pub struct Entrance {
    /// Listens.
    pub socket: Fd,
    /// Whether it is for connections; otherwise for datagrams.
    pub is_tcp: bool,
    /// The container's address.
    pub to: Address,
    /// The container's port.
    pub port: u16,
}

/// A datagram that was passed on.
#[derive(Default)]
pub(super) struct Flow {
    /// Who sent it, and through which of the doors.
    pub(super) who: Peer,
    door: usize,
    /// Where it was passed on to.
    pub(super) socket: Option<Fd>,
    /// Until when an answer is waited for.
    pub(super) deadline: u64,
    /// What a name server asks others: as it is sent, with a number of our own.
    pub(super) question: Vec<u8>,
    /// Where the question itself ends.
    pub(super) length: usize,
    /// The number that it came with.
    pub(super) number: [u8; 2],
    /// Who is to be asked, the first at the end.
    pub(super) servers: Vec<Address>,
}

/// A connection's process.
struct Served {
    process: u32,
    who: Address,
    end: u64,
}

pub(super) struct Server {
    pub(super) doors: Vec<Entrance>,
    /// What a name server has.
    pub(super) names: Option<Names>,
    signals: Fd,
    #[expect(clippy::vec_box, reason = "moving one in and out is code at each place where it is done")]
    flows: Vec<Box<Flow>>,
    served: Vec<Served>,
    pub(super) buffer: Vec<u8>,
}

/// The monotonic clock, in milliseconds.
fn now() -> u64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds() as u64
}

impl Server {
    /// One that has confined itself. A kernel without filters is no reason not to go on: this is no workload.
    #[inline(never)]
    pub(super) fn new(names: Option<Names>) -> Server {
        let Ok(signals) = poll::signalfd(poll::bit(libc::SIGCHLD)) else { anew::refuse() };
        let _ = poll::block_signals(BLOCKED);
        let _ = filter::allow_only(if names.is_some() { CALLS } else { &CALLS[..COMMON] }, &[]);
        Server { doors: Vec::new(), names, signals, flows: Vec::new(), served: Vec::new(), buffer: vec![0; LONGEST] }
    }

    /// Waits for what may happen, and does what is to be done; returns after a container has left a name server's network.
    #[inline(never)]
    pub(super) fn wait(&mut self) {
        let (most, each, life) = match self.names {
            Some(_) => (16, 4, CONNECTION),
            None => (512, 512, u64::MAX / 2),
        };
        let mut files = Vec::with_capacity(16);
        loop {
            files.clear();
            files.push(Waiting::readable(self.signals.by_ref()));
            let inotify = self.names.as_ref().map(|names| &names.inotify);
            files.push(inotify.map_or(Waiting::nothing(), |inotify| Waiting::readable(inotify.by_ref())));
            for door in &self.doors {
                // Where there is no room a connection waits in the kernel.
                let room = !door.is_tcp || self.served.len() < most;
                files.push(if room { Waiting::readable(door.socket.by_ref()) } else { Waiting::nothing() });
            }
            let first = files.len();
            let mut next = u64::MAX;
            for flow in &self.flows {
                let socket = flow.socket.as_ref();
                files.push(socket.map_or(Waiting::nothing(), |socket| Waiting::readable(socket.by_ref())));
                next = next.min(flow.deadline);
            }
            for served in &self.served {
                next = next.min(served.end);
            }
            if poll::poll_within(&mut files, next.saturating_sub(now())).is_err() {
                process::exit(1);
            }
            let now = now();
            for at in (0..self.flows.len()).rev() {
                let ready = files[first + at].is_ready();
                if ready || now >= self.flows[at].deadline {
                    let mut flow = self.flows.remove(at);
                    if !self.go_on(&mut flow, ready, now) {
                        self.flows.insert(at, flow);
                    }
                }
            }
            for at in 0..self.doors.len() {
                if !files[2 + at].is_ready() {
                } else if self.doors[at].is_tcp {
                    self.take_connection(at, each, now + life);
                } else {
                    // Several at a time, since looking at all files again takes longer than one.
                    for _ in 0..BURST {
                        if !self.take_datagram(at, now) {
                            break;
                        }
                    }
                }
            }
            for served in &self.served {
                if now >= served.end {
                    let _ = process::kill(served.process, libc::SIGKILL);
                }
            }
            if files[0].is_ready() {
                let _ = poll::next_signal(self.signals.by_ref());
                while let Ok(Some(ended)) = process::wait(None, false) {
                    if let Some(at) = self.served.iter().position(|served| served.process == ended.pid) {
                        self.served.swap_remove(at);
                    }
                }
            }
            if let Some(names) = &self.names
                && files[1].is_ready()
            {
                let _ = file::read(names.inotify.by_ref(), &mut self.buffer);
                return;
            }
        }
    }

    /// Closes all sockets, also those of other processes.
    pub(super) fn close(&mut self) {
        for served in &self.served {
            let _ = process::kill(served.process, libc::SIGKILL);
        }
        while process::wait(None, true).is_ok() {}
        self.served.clear();
        self.leave();
    }

    /// Lets go of the doors, which are not a connection's to hold.
    #[inline(never)]
    fn leave(&mut self) {
        self.doors.clear();
        self.flows.clear();
    }

    /// Has a process of its own serve a connection.
    #[inline(never)]
    fn take_connection(&mut self, at: usize, each: usize, end: u64) {
        let door = &self.doors[at];
        let mut peer = Peer::default();
        let Some(socket) = internet::accept_from(door.socket.by_ref(), &mut peer) else {
            // It has ended already, or there is no room: not at once again.
            return process::sleep(1);
        };
        let who = peer.address();
        if self.served.iter().filter(|served| served.who == who).count() >= each {
            return;
        }
        let parent = process::getpid();
        match process::clone(0, Role::Helper) {
            Ok(Side::Parent(process)) => self.served.push(Served { process, who, end }),
            Ok(Side::Child) => {
                let (to, port) = (door.to, door.port);
                self.leave();
                if tie(parent).is_ok() {
                    match &self.names {
                        Some(names) => names.serve(socket.by_ref(), &who),
                        None => drop(relay::connect(socket.by_ref(), &to, port)),
                    }
                }
                process::exit(0);
            }
            Err(_) => {}
        }
    }

    /// Passes a datagram on, or answers it; whether there was one.
    #[inline(never)]
    fn take_datagram(&mut self, at: usize, now: u64) -> bool {
        let door = &self.doors[at];
        let mut flow = Box::new(Flow { door: at, ..Flow::default() });
        let Some(length) = internet::receive_from(door.socket.by_ref(), &mut self.buffer, &mut flow.who) else {
            return false;
        };
        let datagram = &self.buffer[..length];
        let who = flow.who.address();
        if let Some(names) = &self.names {
            match names.judge(datagram, &who, dns::DATAGRAM) {
                Verdict::Nothing => return true,
                Verdict::Answer(reply) => {
                    internet::send_to(door.socket.by_ref(), &reply, &flow.who);
                    return true;
                }
                Verdict::Forward(servers, length) => flow.begin(datagram, &servers, length),
            }
        } else {
            match self.flows.iter().position(|known| known.who == flow.who && known.door == at) {
                Some(place) => flow = self.flows.remove(place),
                None => flow.socket = internet::connect_to(&door.to, door.port, libc::SOCK_DGRAM, 0).ok(),
            }
            if let Some(socket) = &flow.socket {
                let _ = file::write(socket.by_ref(), datagram);
            }
        }
        // Those who sent something lately are behind the others.
        let (mut his, mut oldest) = (0, 0);
        for (place, other) in self.flows.iter().enumerate().rev() {
            if other.who.address() == who {
                (his, oldest) = (his + 1, place);
            }
        }
        if his >= FLOWS_EACH {
            self.flows.remove(oldest);
        }
        flow.deadline = now + SILENCE;
        if self.flows.len() < FLOWS && (self.names.is_none() || !self.go_on(&mut flow, false, now)) {
            self.flows.push(flow);
        }
        true
    }

    /// Takes an answer to a datagram that was passed on, or sees what is to be done without one; whether that was all.
    #[inline(never)]
    fn go_on(&mut self, flow: &mut Flow, ready: bool, now: u64) -> bool {
        let mut answer = None;
        if ready && let Some(socket) = &flow.socket {
            answer =
                file::read(socket.by_ref(), &mut self.buffer).ok().and_then(|length| self.buffer.get_mut(..length));
        }
        let door = self.doors[flow.door].socket.by_ref();
        if self.names.is_some() {
            return flow.ask(answer, door, now);
        }
        if let Some(answer) = answer {
            internet::send_to(door, answer, &flow.who);
            flow.deadline = now + SILENCE;
        }
        // An error says that nobody listens in the container; it may be told of the next one too.
        !ready
    }
}
