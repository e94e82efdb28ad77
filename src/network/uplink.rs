//! The machine's own network, where nobody else sets it up: an address that is told, or one from a DHCP server.

use crate::base::dhcp::{self, Kind, Lease};
use crate::base::error::{Error, Result};
use crate::base::text::{Cut, address, decimal_u32};
use crate::kernel::netlink::link::{self, Link};
use crate::kernel::netlink::{Datagram, Socket};
use crate::sys::fd::CWD;
use crate::sys::poll::{self, Waiting};
use crate::sys::{Fd, because, file, internet, process};

/// How often servers are asked, and how many milliseconds the first answer may take; each further one may take twice as long.
const TRIES: u32 = 5;
const PATIENCE: u64 = 500;

/// Sets the loopback interface up.
///
/// # Errors
/// What the kernel refuses.
pub fn loopback() -> Result<()> {
    let _why = because!("set the loopback interface up");
    let mut datagram = Datagram::default();
    datagram.up(link::LOOPBACK);
    datagram.acknowledge();
    Socket::route()?.request(&mut datagram, phrase!("set the loopback interface up"))
}

/// The machine's connection.
pub struct Uplink {
    /// The interface.
    name: &'static str,
    hardware: [u8; 6],
    host: &'static str,
    lease: Lease,
    /// When a lease is to be asked for again, in seconds of the monotonic clock; never for an address that was told.
    pub due: Option<i64>,
}

/// Connects the machine as it is told: `[INTERFACE:]dhcp`, or `[INTERFACE:]ADDRESS/BITS[,GATEWAY[,SERVER...]]`.
///
/// # Errors
/// It is told otherwise, there is no interface, or no server answers.
pub fn connect(told: &str, host: &'static str) -> Result<Uplink> {
    let (name, how) = match told.cut(b':') {
        Some((name, how)) if !name.is_empty() && !name.has(b'/') && !name.has(b'.') => (name, how),
        _ => ("", told),
    };
    let socket = Socket::route()?;
    let (name, found) = find(&socket, name)?;
    {
        let _why = because!("set the machine's interface up");
        let mut datagram = Datagram::default();
        datagram.up(found.index);
        datagram.acknowledge();
        socket.request(&mut datagram, phrase!("set an interface up"))?;
    }
    let mut uplink = Uplink { name, hardware: found.mac, host, lease: Lease::default(), due: None };
    if how == "dhcp" {
        uplink.lease = ask(name, found.mac, host)?;
        uplink.note_due();
    } else {
        uplink.lease = read(how)?;
    }
    configure(&socket, found.index, &uplink.lease)?;
    Ok(uplink)
}

impl Uplink {
    /// What was made, in words.
    #[must_use]
    pub fn text(&self) -> &'static str {
        let lease = &self.lease;
        let router = lease.router.map_or("", |router| join!(" via {}", super::address_text(&router)));
        join!("{}: {}/{}{}", self.name, super::address_text(&lease.address), u64::from(lease.bits), router)
    }

    /// A lease is asked for again after half of its time, RFC 2131 section 4.4.5; one for ever is not.
    fn note_due(&mut self) {
        let half = i64::from(self.lease.seconds / 2);
        let for_ever = self.lease.seconds == u32::MAX || half == 0;
        self.due = (!for_ever).then(|| process::clock(libc::CLOCK_MONOTONIC).secs + half.max(30));
    }

    /// Asks for the address again; for another one, if the server has changed its mind.
    ///
    /// # Errors
    /// No server answers: the next attempt is due a minute later.
    pub fn renew(&mut self) -> Result<()> {
        self.due = Some(process::clock(libc::CLOCK_MONOTONIC).secs + 60);
        let lease = ask(self.name, self.hardware, self.host)?;
        let known = |lease: &Lease| (lease.address, lease.bits, lease.router, lease.servers);
        if known(&lease) != known(&self.lease) {
            let socket = Socket::route()?;
            let (_, found) = find(&socket, self.name)?;
            let mut datagram = Datagram::default();
            // The routes go with it.
            datagram.no_address(found.index, &self.lease.address, self.lease.bits);
            datagram.acknowledge();
            // Somebody else may have taken it away.
            let _ = socket.request(&mut datagram, phrase!("take an address away"));
            configure(&socket, found.index, &lease)?;
        }
        self.lease = lease;
        self.note_due();
        Ok(())
    }
}

/// The interface of this name, or the first that is one to the outside. It may take a moment to appear.
fn find(socket: &Socket, name: &str) -> Result<(&'static str, Link)> {
    let _why = because!("find the machine's interface");
    for _ in 0..100 {
        let mut names = alloc::vec::Vec::new();
        match name {
            "" => {
                let listed = file::open(CWD, c"/sys/class/net", libc::O_RDONLY | libc::O_DIRECTORY)?;
                for entry in file::list(listed.by_ref())? {
                    names.push(crate::base::keep::lossy(entry.name.to_bytes()));
                }
                crate::base::sort::sort(&mut names, |one, other| one < other);
            }
            name => names.push(crate::base::keep::copy(name)),
        }
        for candidate in names {
            // Only hardware has a device behind it.
            let is_device =
                || file::exists(CWD, file::path(join!("/sys/class/net/{}/device", candidate)).unwrap_or(c""));
            if name.is_empty() && !is_device() {
                continue;
            }
            if let Some(link) = link::find(socket, candidate, 0)? {
                return Ok((candidate, link));
            }
        }
        process::sleep(20);
    }
    Err(Error::new(say!("no network interface {}", name))
        .hint(phrase!("its driver may be a module: vial.modules=virtio_net")))
}

/// An address that is told.
fn read(how: &str) -> Result<Lease> {
    let wrong = || {
        Error::new(say!("invalid network: {}", how))
            .hint(phrase!("accepted: dhcp, or ADDRESS/BITS,GATEWAY,SERVER such as 192.0.2.5/24,192.0.2.1"))
    };
    let mut parts = how.parts(b',');
    let (own, bits) = parts.next().and_then(|part| part.cut(b'/')).ok_or_else(wrong)?;
    let own = address(own).filter(super::is_ipv4).ok_or_else(wrong)?;
    let bits = decimal_u32(bits).filter(|bits| *bits <= 32).ok_or_else(wrong)?;
    let mut lease = Lease { address: own, bits: bits as u8, ..Lease::default() };
    if let Some(router) = parts.next().filter(|router| !router.is_empty()) {
        lease.router = Some(address(router).filter(super::is_ipv4).ok_or_else(wrong)?);
    }
    for (place, server) in lease.servers.iter_mut().zip(parts) {
        *place = Some(address(server).ok_or_else(wrong)?);
    }
    Ok(lease)
}

/// Asks the servers of the network for an address.
fn ask(name: &str, hardware: [u8; 6], host: &str) -> Result<Lease> {
    let _why = because!("ask the network for an address (DHCP)");
    let socket = internet::broadcast_from(name, 68)?;
    let mut random = [0; 4];
    process::random(&mut random)?;
    let transaction = u32::from_ne_bytes(random);
    let mut offered: Option<Lease> = None;
    let mut patience = PATIENCE;
    for _ in 0..TRIES {
        let kind = if offered.is_some() { Kind::Request } else { Kind::Discover };
        internet::broadcast(socket.by_ref(), &dhcp::message(kind, transaction, hardware, host, offered.as_ref()), 67);
        while let Some((kind, lease)) = answer(&socket, transaction, hardware, patience)? {
            match (kind, &offered) {
                (Kind::Offer, None) => {
                    offered = Some(lease);
                    let request = dhcp::message(Kind::Request, transaction, hardware, host, Some(&lease));
                    internet::broadcast(socket.by_ref(), &request, 67);
                }
                (Kind::Ack, Some(_)) => return Ok(lease),
                (Kind::Nak, _) => offered = None,
                _ => {}
            }
        }
        patience *= 2;
    }
    Err(Error::new(say!("no DHCP server answers at {}", name))
        .hint(phrase!("an address can be told: vial.net=192.0.2.5/24,192.0.2.1")))
}

/// The next answer that is for this machine, if one comes within so many milliseconds.
fn answer(socket: &Fd, transaction: u32, hardware: [u8; 6], milliseconds: u64) -> Result<Option<(Kind, Lease)>> {
    let mut buffer = alloc::vec![0; 1500];
    loop {
        let mut waiting = [Waiting::readable(socket.by_ref())];
        poll::poll_within(&mut waiting, milliseconds)?;
        if !waiting[0].is_ready() {
            return Ok(None);
        }
        let mut who = internet::Peer::default();
        let Some(count) = internet::receive_from(socket.by_ref(), &mut buffer, &mut who) else { continue };
        if let Some(found) = dhcp::read(&buffer[..count], transaction, hardware) {
            return Ok(Some(found));
        }
    }
}

/// Gives the interface its address, and says who is asked for names.
fn configure(socket: &Socket, index: u32, lease: &Lease) -> Result<()> {
    let _why = because!("give the machine's interface its address");
    let mut datagram = Datagram::default();
    datagram.address(index, &lease.address, lease.bits);
    if let Some(router) = &lease.router {
        datagram.default_route(router);
    }
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("give an interface its address"))?;
    let mut servers = alloc::string::String::new();
    for server in lease.servers.iter().flatten() {
        servers.push_str(join!("nameserver {}\n", super::address_text(server)));
    }
    if !servers.is_empty() {
        file::mkdir_if_missing(CWD, c"/etc", 0o755)?;
        file::write_file(CWD, c"/etc/resolv.conf", servers.as_bytes(), 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_with_gateway_and_servers() {
        let lease = read("192.0.2.5/24,192.0.2.1,192.0.2.2,2001:db8::1").unwrap();
        assert_eq!((lease.address, lease.bits), (address("192.0.2.5").unwrap(), 24));
        assert_eq!(lease.router, address("192.0.2.1"));
        assert_eq!(lease.servers, [address("192.0.2.2"), address("2001:db8::1"), None]);
        assert_eq!(read("10.0.0.2/8").unwrap().router, None);
        assert_eq!(read("10.0.0.2/8,,10.0.0.3").unwrap().servers[0], address("10.0.0.3"));
        for wrong in
            ["", "10.0.0.2", "10.0.0.2/33", "10.0.0/8", "x/8", "::1/64", "10.0.0.2/8,x", "10.0.0.2/8,10.0.0.1,x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
