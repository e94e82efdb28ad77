//! What the kernel has of a network: the bridge, its addresses, and packet filters for what leaves and enters it.
//!
//! They are made when the first container comes, and stay until the network is removed, or `vial gc` finds nobody on it. That a
//! bridge is set up comes last, and says that all of it is there.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::{DEFAULT, Network, Networks, Subnet, default_network, subnets};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep::Kept;
use crate::base::text::{self, Address};
use crate::kernel::netlink::link::{self, Link, New, family};
use crate::kernel::netlink::nft::{self, Filter};
use crate::kernel::netlink::{Datagram, Socket};
use crate::kernel::xtables;
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, because};

/// IPv6 is there.
const IPV6: &CStr = c"/proc/sys/net/ipv6/conf/all/forwarding";

/// What is told about a network that was just set up.
pub type Notes = Kept<Vec<&'static str>>;

/// A lock that all vials in this network namespace take turns by, whatever their stores: the namespace's own file bears it.
fn turn() -> Result<Fd> {
    let _why = because!("take turns with other vials that set up networks here");
    let namespace = file::open(CWD, c"/proc/self/ns/net", libc::O_RDONLY)?;
    file::lock(namespace.by_ref(), Lock::Exclusive)?;
    Ok(namespace)
}

/// Whether the kernel has IPv6, and new interfaces do. Where that can't be read it counts as there, and what can't be done then
/// tells.
#[must_use]
pub fn has_ipv6() -> bool {
    match file::read_file(CWD, c"/proc/sys/net/ipv6/conf/default/disable_ipv6", 16) {
        Ok(value) => value.first() == Some(&b'0'),
        Err(error) => !error.is(Errno::ENOENT),
    }
}

/// The name of a network's interface on the host, and of its tables.
#[must_use]
pub fn interface(network: &Network) -> &'static str {
    if network.bridge.is_empty() {
        return join!("vial-{}", network.id.get(..8).unwrap_or_default());
    }
    network.bridge
}

/// The hardware address of a network's bridge, by which it is known.
fn mac(network: &Network) -> [u8; 6] {
    link::mac(&[network.gateway, network.gateway6].into_iter().find_map(text::address).unwrap_or_default())
}

/// Makes the network that containers are on that are not told otherwise: with a subnet that the host has no route to, and the
/// first free name for its bridge.
///
/// # Errors
/// What the kernel or the file system refuses.
pub fn make_default(networks: &Networks) -> Result<()> {
    COLD_GATE_NETWORK_DEFAULT.open()?(networks)
}

static COLD_GATE_NETWORK_DEFAULT: Gate<fn(&Networks) -> Result<()>> = Gate(make_default_once);

fn make_default_once(networks: &Networks) -> Result<()> {
    let _why = because!("make the network that containers are on unless told otherwise");
    let _turn = turn()?;
    let socket = Socket::route()?;
    let mut number = 0;
    let bridge = loop {
        let name = join!("vial{}", number);
        if link::find(&socket, name, 0)?.is_none() {
            break name;
        }
        number += 1u32;
    };
    match networks.make(DEFAULT, &mut default_network(networks, &taken()?, bridge)?) {
        Err(error) if error.is(Errno::EEXIST) => Ok(()),
        result => result,
    }
}

/// What the host has routes to, besides by default.
///
/// # Errors
/// What the kernel refuses.
pub fn taken() -> Result<Vec<Subnet>> {
    let mut taken = Vec::new();
    link::routes(&mut |route| {
        if route.bits > 96 {
            taken.push(Subnet { address: route.to, bits: route.bits });
        }
    })?;
    Ok(taken)
}

/// The MTU of the interface by which the host reaches others; 0 if that is the usual one.
fn outward_mtu(socket: &Socket) -> Result<u32> {
    let mut out = 0;
    link::routes(&mut |route| {
        if matches!(route.bits, 0 | 96) && route.out > link::LOOPBACK && out == 0 {
            out = route.out;
        }
    })?;
    let found = if out == 0 { None } else { link::find(socket, "", out)? };
    Ok(found.map_or(0, |link| if link.mtu == 1500 { 0 } else { link.mtu }))
}

/// Sees to it that a network's bridge is there and set up. What people should know about it is noted.
///
/// # Errors
/// What the kernel refuses or lacks; the host has other routes to the subnet, or another interface of that name.
#[inline(never)]
pub fn ensure(socket: &Socket, network: &Network, notes: &mut Notes) -> Result<Link> {
    let _why = because!("look whether the network's bridge is there");
    let name = interface(network);
    let mac = mac(network);
    match link::find(socket, name, 0)? {
        Some(link) if link.up && link.mac == mac => Ok(link),
        _ => COLD_GATE_NETWORK.open()?(socket, network, notes),
    }
}

type Make = fn(&Socket, &Network, &mut Notes) -> Result<Link>;

/// Only the first container needs it.
static COLD_GATE_NETWORK: Gate<Make> = Gate(make);

/// Makes the bridge.
fn make(socket: &Socket, network: &Network, notes: &mut Notes) -> Result<Link> {
    let (name, mac) = (interface(network), mac(network));
    let _turn = turn()?;
    if let Some(link) = link::find(socket, name, 0)? {
        if link.mac != mac {
            return Err(Error::new(say!("the host has an interface {} that is none of this network's", name))
                .hint(phrase!("remove it, or the network: vial network rm NETWORK; it is made anew when it is used")));
        }
        if link.up {
            return Ok(link);
        }
        // Whoever made it was killed before all of it was there.
        remove_named(socket, name)?;
    }
    let own = subnets(network);
    if let Some(other) = taken()?.iter().find(|other| own.iter().any(|subnet| subnet.overlaps(other))) {
        return Err(Error::new(say!("the host has a route to {}, which overlaps the network's subnet", other.text()))
            .hint(phrase!(
                "vial network create --subnet makes one with another subnet; vial network rm removes this one"
            )));
    }
    let _why = because!("set up the network's bridge, the way out, and what keeps others out");
    let mtu = if network.mtu == 0 { outward_mtu(socket)? } else { network.mtu };
    let mut datagram = Datagram::default();
    datagram.bridge(&New { name, mac: Some(mac), mtu, ..New::default() });
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("make the bridge")).map_err(|error| match error.errno() {
        Errno::EOPNOTSUPP => {
            error.hint(phrase!("the kernel has no bridges (CONFIG_BRIDGE); --network none or host do without"))
        }
        Errno::EPERM => error.hint(phrase!("it takes CAP_NET_ADMIN; --network none or host do without")),
        _ => error,
    })?;
    let made = link::find(socket, name, 0)?.unwrap_or_default();
    let set_up = set_up(socket, network, &own, made.index, notes);
    if set_up.is_err() {
        let _ = remove_named(socket, name);
    }
    set_up.map(|()| made)
}

/// Gives a new bridge addresses and filters, and sets it up.
#[inline(never)]
fn set_up(socket: &Socket, network: &Network, own: &[Subnet], index: u32, notes: &mut Notes) -> Result<()> {
    let name = interface(network);
    let mut datagram = Datagram::default();
    for (subnet, gateway) in own.iter().zip([network.gateway, network.gateway6]) {
        let is_ipv6 = family(&subnet.address).0 == libc::AF_INET6 as u8;
        if let Some(gateway) = text::address(gateway)
            && (!is_ipv6 || has_ipv6())
        {
            datagram.address(index, &gateway, subnet.prefix());
        }
    }
    // If one family can't have them the other can.
    if filter(network, own).is_err() {
        for subnet in own {
            if let Err(error) = filter(network, core::slice::from_ref(subnet)) {
                notes.push(join!("{}", error));
            }
        }
    }
    if !network.internal {
        forward(c"/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward", notes)?;
        if own.len() > 1 && has_ipv6() {
            keep_routers()?;
            forward(IPV6, "net.ipv6.conf.all.forwarding", notes)?;
        }
        foreign(name, notes);
    }
    datagram.up(index);
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("give the bridge its addresses"))
}

/// Makes a network's tables anew, which another firewall has thrown away.
///
/// # Errors
/// What the kernel refuses or lacks.
pub fn repair(network: &Network) -> Result<()> {
    let _why = because!("set up the network's packet filters again");
    filter(network, &subnets(network))
}

/// Makes a network's tables, one for each family, all at once.
///
/// # Errors
/// What the kernel refuses or lacks.
fn filter(network: &Network, subnets: &[Subnet]) -> Result<()> {
    let table = interface(network);
    let mut datagram = Datagram::default();
    datagram.begin_batch();
    for subnet in subnets {
        let (kind, _) = family(&subnet.address);
        if kind == libc::AF_INET6 as u8 && !has_ipv6() {
            continue;
        }
        datagram.filter(&Filter { bridge: table, internal: network.internal }, &subnet.address, subnet.bits);
    }
    datagram.end_batch();
    Socket::netfilter().map_err(lacks)?.request(&mut datagram, phrase!("set up the packet filter")).map_err(lacks)
}

/// What a kernel without some part of packet filters answers, and what can be done without them.
#[cold]
#[must_use]
pub fn lacks(error: Error) -> Error {
    match error.errno() {
        Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::ENOENT | Errno::EINVAL => error.hint(phrase!(
            "the kernel lacks nf_tables (CONFIG_NF_TABLES, NFT_CT, NFT_NAT, NFT_MASQ, NFT_FIB_IPV4, NFT_FIB_IPV6): no port can be published, and nothing leads out of the network"
        )),
        _ => error,
    }
}

fn delete_table(kind: u8, table: &str) -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.begin_batch();
    datagram.delete_table(kind, table);
    datagram.end_batch();
    let deleted =
        Socket::netfilter().and_then(|socket| socket.request(&mut datagram, phrase!("remove the packet filter")));
    match deleted {
        Err(error) if error.is(Errno::EPERM) => Err(error),
        // There is none, be it for want of filters at all.
        _ => Ok(()),
    }
}

/// Lets the host pass packets on, and says so.
fn forward(path: &CStr, name: &str, notes: &mut Notes) -> Result<()> {
    if file::read_file(CWD, path, 16)?.first() == Some(&b'0') {
        let hint = phrase!("containers reach other hosts only if the host passes packets on");
        file::write_value(CWD, path, b"1").map_err(|error| error.hint(hint))?;
        notes.push(say!("switched on {}: the host passes packets on from now on", name));
    }
    Ok(())
}

/// A host that passes IPv6 packets on takes no routes from routers any more, unless told to do both, kernel's ip-sysctl.rst.
fn keep_routers() -> Result<()> {
    let directory = file::open(CWD, c"/proc/sys/net/ipv6/conf", libc::O_RDONLY | libc::O_DIRECTORY)?;
    for entry in file::list(directory.by_ref())? {
        let path = file::path([entry.name.to_bytes(), b"/accept_ra"].concat())?;
        if file::read_file(directory.by_ref(), path, 16).is_ok_and(|value| value.first() == Some(&b'1')) {
            let _ = file::write_value(directory.by_ref(), path, b"2");
        }
    }
    Ok(())
}

/// Notes whose filters drop what passes through the host unless they know it.
fn foreign(bridge: &str, notes: &mut Notes) {
    for (is_ipv6, program) in [(false, "iptables-legacy"), (true, "ip6tables-legacy")] {
        if xtables::drops(is_ipv6) {
            notes.push(say!(
                "another firewall drops what it does not know: chain FORWARD of {}; let it pass: '{} -I FORWARD -i {} -j ACCEPT; {} -I FORWARD -o {} -j ACCEPT'",
                program, program, bridge, program, bridge
            ));
        }
    }
    let mut datagram = Datagram::default();
    datagram.list_chains();
    let Ok(socket) = Socket::netfilter() else { return };
    let _ = socket.ask(&mut datagram, phrase!("look for other packet filters"), &mut |_, body| {
        let Some((kind, table, chain)) = nft::read_dropping(body) else { return };
        let family = match i32::from(kind) {
            libc::AF_INET => "ip",
            libc::AF_INET6 => "ip6",
            _ => "inet",
        };
        let (table, chain) = (crate::base::keep::lossy(table), crate::base::keep::lossy(chain));
        notes.push(say!(
            "another firewall drops what it does not know: chain {} of table {} {}; let it pass: nft 'insert rule {} {} {} iifname {} accept; insert rule {} {} {} oifname {} accept'",
            chain, family, table, family, table, chain, bridge, family, table, chain, bridge
        ));
    });
}

/// Removes what the kernel has of a network, on which no container is; whether there was a bridge.
///
/// # Errors
/// What the kernel refuses.
pub fn remove(network: &Network) -> Result<bool> {
    let _why = because!("remove the network's bridge and its packet filters");
    if network.driver != "bridge" {
        return Ok(false);
    }
    let _turn = turn()?;
    let (socket, name) = (Socket::route()?, interface(network));
    match link::find(&socket, name, 0)? {
        Some(link) if link.mac == mac(network) => remove_named(&socket, name).map(|()| true),
        // There is none, or it is another's.
        _ => Ok(false),
    }
}

fn remove_named(socket: &Socket, name: &str) -> Result<()> {
    for kind in [libc::AF_INET, libc::AF_INET6] {
        delete_table(kind as u8, name)?;
    }
    link::remove(socket, name)
}

/// The gateways of a network as a container's files name them.
#[must_use]
pub fn gateways(network: &Network) -> Vec<Address> {
    let mut gateways = Vec::new();
    for text in [network.gateway, network.gateway6] {
        gateways.extend(text::address(text).filter(|address| family(address).0 == libc::AF_INET as u8 || has_ipv6()));
    }
    gateways
}
