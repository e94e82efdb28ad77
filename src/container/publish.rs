//! Published ports: a process holds them on the host, so that nobody else has them, and the kernel's address translation has what
//! comes there go to the container. It does not reach what comes by the host's loopback: that the process passes on.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::connections::{Connection, Connections, Port};
use super::launch::{PORTS, annotation};
use super::process as known;
use super::spec::Spec;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep::Kept;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Address, Cut, IPV4};
use crate::kernel::netlink::link::family;
use crate::kernel::netlink::nft::{Published, read_connection};
use crate::kernel::netlink::{Datagram, Socket};
use crate::network::relay::{self, Entrance};
use crate::network::{Network, Networks, bridge};
use crate::sys::{FdRef, because, process};

/// The first port that is chosen where none is given, and how many there are.
const CHOSEN: (u32, u32) = (32768, 28000);
/// How many of them are tried.
const TRIES: u32 = 100;

/// Takes the ports of the host's that a container publishes.
///
/// # Errors
/// One is taken.
#[inline(never)]
pub(super) fn claim(spec: &Spec, ports: &mut Vec<Port>) -> Result<Vec<Entrance>> {
    let mut entrances = Vec::new();
    for line in annotation(spec, PORTS).parts(b'\n') {
        let mut words = line.words();
        let (Some(protocol), Some(at)) = (words.next(), words.next()) else { continue };
        let mut number = || words.next().and_then(text::decimal_u32).unwrap_or(0);
        let (host_port, port) = (number(), number() as u16);
        let all = match at {
            "*" => &["0.0.0.0", "::"][..if bridge::has_ipv6() { 2 } else { 1 }],
            _ => &[at][..],
        };
        let mut tries = if host_port == 0 { TRIES } else { 1 };
        let (chosen, mut taken) = loop {
            let candidate = if host_port == 0 { any_port()? } else { host_port as u16 };
            tries -= 1;
            match take(all, candidate, protocol == "tcp") {
                Err(error) if tries > 0 && error.is(Errno::EADDRINUSE) => {}
                Err(error) => return Err(port_hint(error)),
                Ok(taken) => break (candidate, taken),
            }
        };
        for entrance in &mut taken {
            entrance.port = port;
        }
        entrances.append(&mut taken);
        for host in all {
            ports.push(Port { protocol, host, host_port: chosen, port });
        }
    }
    Ok(entrances)
}

/// Has what comes to the host's ports go to the container's.
///
/// # Errors
/// A port is taken; the kernel lacks what it takes; no network can have published ports.
#[inline(never)]
pub(super) fn publish(networks: &Networks, made: &Connections) -> Result<()> {
    if made.ports.is_empty() {
        return Ok(());
    }
    let _why = because!("have the kernel send what comes to the host's ports to the container");
    let Some((first, network)) = public(networks, made)? else {
        return Err(Error::new(phrase!(
            "no port can be published: the container is on no bridge network that leads out"
        ))
        .hint(phrase!("internal networks and macvlan have no ports that are published")));
    };
    let published = || translate(&network, &first, &made.ports, false);
    match published() {
        // Another firewall has thrown the tables away.
        Err(error) if error.is(Errno::ENOENT) => bridge::repair(&network).and_then(|()| published()),
        result => result,
    }
    .map_err(|error| match error.errno() {
        // Nobody has it: it was free.
        Errno::EEXIST => error.hint(phrase!("a killed container has left one of its ports; vial gc gives it back")),
        _ => bridge::lacks(error),
    })
}

/// The first network of a container on which ports can be published: one on a bridge that leads out.
fn public(networks: &Networks, made: &Connections) -> Result<Option<(Connection, Kept<Box<Network>>)>> {
    for connection in made.networks.iter().filter(|connection| !connection.link.is_empty()) {
        if let Some(network) = networks.load(connection.network)?.filter(|network| !network.internal) {
            return Ok(Some((*connection, network)));
        }
    }
    Ok(None)
}

/// Where what comes to the relay goes: to the container on the network of its ports.
///
/// # Errors
/// What the file system refuses.
pub(super) fn target(networks: &Networks, made: &Connections) -> Result<Address> {
    let connection = public(networks, made)?.map(|(connection, _)| connection).unwrap_or_default();
    Ok([connection.address, connection.address6].into_iter().find_map(text::address).unwrap_or_default())
}

/// Any port that may be free.
fn any_port() -> Result<u16> {
    let mut random = [0; 4];
    process::random(&mut random)?;
    Ok((CHOSEN.0 + u32::from_ne_bytes(random) % CHOSEN.1) as u16)
}

/// Takes a port at addresses of the host's, if it is free there. Nothing but what comes by the loopback gets so far: all else was
/// translated before. But so nobody else can have the port, whatever it is.
fn take(all: &[&str], port: u16, is_tcp: bool) -> Result<Vec<Entrance>> {
    let mut taken = Vec::new();
    for to in all.iter().filter_map(|at| text::address(at)) {
        taken.push(Entrance { socket: relay::listen(&to, port, is_tcp)?, is_tcp, to, port: 0 });
    }
    Ok(taken)
}

fn is_loopback(address: &Address) -> bool {
    match address.strip_prefix(&IPV4) {
        Some(four) => four[0] == 127,
        None => text::address("::1") == Some(*address),
    }
}

#[cold]
fn port_hint(error: Error) -> Error {
    match error.errno() {
        Errno::EADDRINUSE => error.hint(phrase!(
            "the port is taken, by another program or another container; -p takes a free one if the host's is left out"
        )),
        Errno::EACCES => error.hint(phrase!("normal users have no port below net.ipv4.ip_unprivileged_port_start")),
        Errno::EADDRNOTAVAIL => error.hint(phrase!("-p names an address that this host does not have")),
        _ => error,
    }
}

/// Publishes ports, all or none, or takes that back.
fn translate(network: &Network, connection: &Connection, ports: &[Port], back: bool) -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.begin_batch();
    let (mut any, mut forgotten) = (false, Vec::new());
    for to in [connection.address, connection.address6].into_iter().filter_map(text::address) {
        for port in ports {
            let Some(at) = text::address(port.host) else { continue };
            // The loopback is the relay's.
            if family(&at).0 != family(&to).0 || is_loopback(&at) {
                continue;
            }
            any = true;
            let is_udp = port.protocol == "udp";
            let published = Published {
                protocol: if is_udp { libc::IPPROTO_UDP } else { libc::IPPROTO_TCP } as u8,
                at: if ["0.0.0.0", "::"].contains(&port.host) { None } else { Some(&at) },
                port: port.host_port,
                to: &to,
                to_port: port.port,
            };
            datagram.publish(bridge::interface(network), &published, back);
            if back && is_udp && !forgotten.contains(&to) {
                forgotten.push(to);
            }
        }
    }
    if !any {
        return Ok(());
    }
    datagram.end_batch();
    let socket = Socket::filters()?;
    socket.request(&mut datagram, phrase!("publish the container's ports")).inspect_err(|_| Socket::renew())?;
    for to in forgotten {
        let mut datagram = Datagram::default();
        datagram.forget(&to);
        if socket.request(&mut datagram, FORGET).is_err() {
            Socket::renew();
            let _ = forget_each(&to);
        }
    }
    Ok(())
}

/// Why the kernel is asked to forget connections.
const FORGET: Phrase = phrase!("forget who sent datagrams");

/// Has the kernel forget what is on its way to an address, one by one.
fn forget_each(to: &Address) -> Result<()> {
    let socket = Socket::netfilter()?;
    let (mut datagram, mut found) = (Datagram::default(), Vec::new());
    datagram.list_connections(to);
    socket.ask(&mut datagram, FORGET, &mut |_, body| found.extend(read_connection(body, to).map(Vec::from)))?;
    for original in found {
        let mut datagram = Datagram::default();
        datagram.forget_one(to, &original);
        // It may have ended meanwhile.
        let _ = socket.request(&mut datagram, FORGET);
    }
    Ok(())
}

/// Has nothing more go to the container's ports by a network, or by whichever it is.
///
/// # Errors
/// What the kernel refuses.
pub(super) fn take_back(networks: &Networks, made: &Connections, by: Option<&str>) -> Result<()> {
    if made.ports.is_empty() {
        return Ok(());
    }
    let Some((connection, network)) = public(networks, made)? else { return Ok(()) };
    if by.is_some_and(|by| by != connection.network) {
        return Ok(());
    }
    match translate(&network, &connection, &made.ports, true) {
        // They had not been published yet, or somebody has thrown some away.
        Err(error) if error.is(Errno::ENOENT) => {
            for port in &made.ports {
                let _ = translate(&network, &connection, core::slice::from_ref(port), true);
            }
            Ok(())
        }
        Err(error) if [Errno::EPROTONOSUPPORT, Errno::EOPNOTSUPP].contains(&error.errno()) => Ok(()),
        result => result,
    }
}

/// Ends the process that passes on what comes to the loopback, so that its ports are free.
///
/// # Errors
/// It can't be told to.
pub(super) fn end_relay((pid, began): (u32, u64)) -> Result<()> {
    if pid == 0 || !known::signal(pid, began, libc::SIGKILL)? {
        return Ok(());
    }
    // It may be this process's own, or somebody else's.
    if process::wait(Some(pid), true).is_err() {
        let mut rounds = 0;
        while known::is_alive(pid, began) && rounds < 1000 {
            rounds += 1;
            process::sleep(1);
        }
    }
    Ok(())
}

/// Makes the relay anew whose monitor was killed, and which ended with it.
///
/// # Errors
/// A port is taken meanwhile.
pub fn resume(root: FdRef<'_>, directory: FdRef<'_>) -> Result<()> {
    let mut all = Connections::read(directory)?;
    // What connects a normal user's container goes on.
    if all.relay.0 == 0 || all.networks.is_empty() {
        return Ok(());
    }
    end_relay(all.relay)?;
    let to = target(&Networks::open(root)?, &all)?;
    let mut entrances = Vec::new();
    for port in &all.ports {
        for mut entrance in take(&[port.host], port.host_port, port.protocol == "tcp")? {
            (entrance.to, entrance.port) = (to, port.port);
            entrances.push(entrance);
        }
    }
    let relay = relay::start(&entrances)?;
    all.relay = (relay, known::began(relay));
    all.write(directory)
}
