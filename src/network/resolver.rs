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

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::server::{Entrance, Flow, LONGEST, Server};
use crate::base::address;
use crate::base::dns::{self, Code};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Address, Cut};
use crate::kernel::anew::{self, Line, Numbers};
use crate::sys::file::Lock;
use crate::sys::inotify::{inotify_add_watch, inotify_init1};
use crate::sys::poll::{self, Waiting};
use crate::sys::{Fd, FdRef, because, fd, file, internet, process};

pub use judge::{Verdict, judge};

/// The name under which vial executes itself to become a network's name server.
const NAME: &CStr = c"vial-resolver";
/// The port of name servers.
const PORT: u16 = 53;
/// How long a server has for an answer, in milliseconds, and how many are asked, in turn if there are fewer: those who ask wait
/// for five seconds, resolv.conf(5).
const PATIENCE: u64 = 1600;
const TRIES: usize = 3;
/// How long a connection lives, in milliseconds.
pub(super) const CONNECTION: u64 = 20_000;
/// The longest lease, and the most that is read of the host's configuration.
const TEXT: usize = 64 << 10;

/// Has names answered at a network's addresses, to those that have a lease. Returns when a process listens there.
///
/// # Errors
/// Another program is at port 53, or the addresses are not this machine's.
pub fn ensure(network: FdRef<'_>, gateways: &[Address]) -> Result<()> {
    let _why = because!("have the names of the network's containers answered");
    let mut files = vec![file::create(network, c"resolver", libc::O_RDWR | libc::O_CREAT, 0o600)?];
    if !file::try_lock(files[0].by_ref(), Lock::Exclusive)? {
        return Ok(());
    }
    let mut addresses = String::new();
    for gateway in gateways {
        addresses.push_str(&address::text(gateway));
        addresses.push(' ');
    }
    files.push(inotify_init1()?);
    let leases = file::path(join!("/proc/self/fd/{}/leases", network.number()))?;
    inotify_add_watch(files[1].by_ref(), leases, libc::IN_DELETE)?;
    listen(&addresses, &mut |socket| files.push(socket))?;
    let mut numbers = Numbers::default();
    numbers.put_file(network);
    for file in &files {
        numbers.file(Some(file));
    }
    numbers.start(NAME, &addresses, false).map(drop)
}

/// Opens the sockets at these addresses: at each one for datagrams, and one for connections.
#[inline(never)]
fn listen(addresses: &str, take: &mut dyn FnMut(Fd)) -> Result<()> {
    for address in addresses.words().filter_map(text::address) {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_STREAM] {
            let socket = internet::listen_on(&address, PORT, kind);
            take(socket.map_err(|error| if error.is(Errno::EADDRINUSE) { error.hint(TAKEN) } else { error })?);
        }
    }
    Ok(())
}

const TAKEN: Phrase = phrase!(
    "another name server has that port, perhaps at all addresses: let it listen at its own only (dnsmasq: bind-dynamic), or use --network host or none"
);

/// Becomes a network's name server, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    if args.first() != Some(&NAME) {
        return;
    }
    let mut line = Line::new(args);
    let (Some(network), Some(lock), Some(inotify)) = (line.file(), line.file(), line.file()) else { anew::refuse() };
    let lock = lock.keep();
    let mut server = Server::new(Some(Names { network: network.keep(), inotify }));
    while let Some(socket) = line.file() {
        add(&mut server, socket);
    }
    loop {
        while is_wanted(&server) {
            server.wait();
        }
        // Whoever has made a lease since, and found the lock taken, relies on this process; whoever finds it free does not.
        server.close();
        let again = file::unlock(lock).is_ok()
            && is_wanted(&server)
            && file::try_lock(lock, Lock::Exclusive).unwrap_or(false)
            && listen(anew::word(args, 1), &mut |socket| add(&mut server, socket)).is_ok();
        if !again {
            process::exit(0);
        }
    }
}

/// Adds a door; every other one is for connections.
#[inline(never)]
fn add(server: &mut Server, socket: Fd) {
    let is_tcp = server.doors.len() % 2 == 1;
    server.doors.push(Entrance { socket, is_tcp, to: [0; 16], port: 0 });
}

/// Whether any container is connected to the network.
#[inline(never)]
fn is_wanted(server: &Server) -> bool {
    let leases = server.names.as_ref().and_then(|names| names.open("leases", ""));
    leases.is_some_and(|leases| !file::is_empty(leases.by_ref()).unwrap_or(true))
}

/// The network's directory.
pub(super) struct Names {
    network: FdRef<'static>,
    /// Tells when a lease is given back.
    pub(super) inotify: Fd,
}

impl Names {
    /// Opens what is in a directory of the network's, if it is there.
    #[inline(never)]
    fn open(&self, directory: &str, name: &str) -> Option<Fd> {
        let path = file::owned_path([directory, "/", name].concat().as_bytes()).ok()?;
        file::open(self.network, &path, libc::O_RDONLY).ok()
    }

    /// The addresses that the files in a directory are called by, if it is there.
    #[inline(never)]
    fn list(&self, directory: &str, name: &str) -> Option<Vec<Address>> {
        let directory = self.open(directory, name)?;
        let mut addresses = Vec::new();
        for entry in file::list(directory.by_ref()).ok()? {
            addresses.extend(text::address(entry.name.to_str().unwrap_or_default()));
        }
        Some(addresses)
    }

    /// What is to be done with a message from this address.
    #[inline(never)]
    pub(super) fn judge(&self, message: &[u8], asker: &Address, most: usize) -> Verdict {
        let lease = self.open("leases", &address::text(asker));
        let lease = lease.and_then(|lease| file::read_to_end(lease.by_ref(), TEXT).ok());
        let mut verdict = judge::judge(message, most, lease.as_deref(), &mut |name| self.list("names", name));
        if let Verdict::Forward(servers, _) = &mut verdict
            && servers.is_empty()
            && let Ok(host) = file::read_file(fd::CWD, c"/etc/resolv.conf", TEXT)
        {
            *servers = judge::servers(&host, "nameserver").unwrap_or_default();
        }
        verdict
    }

    /// Serves a connection until it ends.
    #[inline(never)]
    pub(super) fn serve(&self, socket: FdRef<'_>, asker: &Address) {
        let (mut message, mut reply) = (Vec::new(), Vec::new());
        while receive(socket, CONNECTION, &mut message) {
            reply.truncate(2);
            match self.judge(&message[2..], asker, LONGEST) {
                Verdict::Nothing => return,
                Verdict::Answer(own) => reply = [&(own.len() as u16).to_be_bytes()[..], &own].concat(),
                Verdict::Forward(servers, _) => {
                    for server in servers {
                        if let Ok(server) = internet::connect_to(&server, PORT, libc::SOCK_STREAM, PATIENCE)
                            && file::write_all(server.by_ref(), &message).is_ok()
                            && receive(server.by_ref(), PATIENCE, &mut reply)
                        {
                            break;
                        }
                    }
                }
            }
            if reply.len() <= 2 || file::write_all(socket, &reply).is_err() {
                return;
            }
        }
    }
}

/// Receives a message with its length before it, as connections have them; each part may take so many milliseconds. Without one
/// there is less than that.
#[inline(never)]
fn receive(socket: FdRef<'_>, milliseconds: u64, message: &mut Vec<u8>) -> bool {
    let mut length = 0;
    message.clear();
    message.resize(2, 0);
    while length < message.len() {
        let mut ready = [Waiting::readable(socket)];
        if poll::poll_within(&mut ready, milliseconds).is_err() || !ready[0].is_ready() {
            break;
        }
        match file::read(socket, &mut message[length..]) {
            Ok(count @ 1..) => length += count,
            _ => break,
        }
        if length == 2 {
            let size = u16::from_be_bytes([message[0], message[1]]);
            message.resize(2 + usize::from(size), 0);
        }
    }
    let whole = length > 2 && length == message.len();
    if !whole {
        message.clear();
    }
    whole
}

impl Flow {
    /// Takes a question that is to be passed on to one of these servers.
    #[inline(never)]
    pub(super) fn begin(&mut self, question: &[u8], servers: &[Address], length: usize) {
        self.question = Vec::from(question);
        self.length = length;
        // In turn, if there are fewer; the first at the end.
        for server in servers.iter().cycle().take(TRIES) {
            self.servers.insert(0, *server);
        }
        if let Some(number) = self.question.first_chunk_mut() {
            self.number = *number;
            // Without random bytes there is still the port, which nobody knows.
            let _ = process::random(number);
        }
    }

    /// Takes what came from the server asked last, if anything did, or asks the next one; whether that was all.
    #[inline(never)]
    pub(super) fn ask(&mut self, came: Option<&mut [u8]>, door: FdRef<'_>, now: u64) -> bool {
        let asked = self.question.get(..self.length).unwrap_or_default();
        let mut failed;
        let reply = if let Some(came) = came {
            if !dns::is_answer(came, asked) {
                return false;
            }
            came
        } else {
            // Also when nobody listens there, which is told by an error.
            while let Some(server) = self.servers.pop() {
                self.deadline = now + PATIENCE;
                self.socket = internet::connect_to(&server, PORT, libc::SOCK_DGRAM, 0).ok();
                if let Some(socket) = &self.socket
                    && file::write(socket.by_ref(), &self.question).is_ok()
                {
                    return false;
                }
            }
            failed = dns::reply(asked, Code::Failed, &[], dns::DATAGRAM);
            &mut failed
        };
        if let Some(number) = reply.first_chunk_mut() {
            *number = self.number;
        }
        internet::send_to(door, reply, &self.who);
        true
    }
}
