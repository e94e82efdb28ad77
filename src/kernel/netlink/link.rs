//! Interfaces, addresses and routes; rtnetlink(7), `linux/if_link.h`, `linux/if_addr.h`, `linux/rtnetlink.h`.

use alloc::string::String;
use alloc::vec::Vec;

use super::socket::Socket;
use super::wire::{self, Datagram};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::sha256;
use crate::base::text::{self, Address, Cut, IPV4};

/// The loopback interface's index in every network namespace.
pub const LOOPBACK: u32 = 1;

/// `IFLA_ADDRESS`, which has the number of `IFA_ADDRESS`, and its like.
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const LINK: u16 = 5;
const MASTER: u16 = 10;
const INFO: u16 = 18;
const NAMESPACE: u16 = 28;
const KIND: u16 = 1;
const DATA: u16 = 2;
/// `IFLA_INFO_SLAVE_KIND`, `IFLA_INFO_SLAVE_DATA`, and in that `IFLA_BRPORT_MODE`.
const SLAVE_KIND: u16 = 4;
const SLAVE_DATA: u16 = 5;
const HAIRPIN: u16 = 4;
/// `IFLA_PROTINFO`, and in that `IFLA_BRPORT_STATE` and `IFLA_BRPORT_FLUSH`.
const PORT: u16 = 12;
const STATE: u16 = 1;
const FLUSH: u16 = 24;
/// `IFLA_AF_SPEC`, in that `IFLA_INET6_ADDR_GEN_MODE`, and `IN6_ADDR_GEN_MODE_NONE`.
const FAMILIES: u16 = 26;
const ADDRESSES: u16 = 8;
const NO_ADDRESSES: u8 = 1;
/// `VETH_INFO_PEER`, `linux/veth.h`.
const PEER: u16 = 1;
/// `IFLA_MACVLAN_MODE` and `MACVLAN_MODE_BRIDGE`.
const MODE: u16 = 1;
const MODE_BRIDGE: u32 = 4;
/// `IFA_BROADCAST`.
const BROADCAST: u16 = 4;
/// `IFA_F_PERMANENT`: nobody gives it for some time only.
const PERMANENT: u32 = 0x80;
/// `IFA_LOCAL`, `IFA_ADDRESS`, `IFA_FLAGS`; `IFA_F_NODAD`: usable at once.
const LOCAL: u16 = 2;
const FLAGS: u16 = 8;
const NO_DUPLICATES: u32 = 2;
/// `RTA_DST`, `RTA_OIF`, `RTA_GATEWAY`.
const DESTINATION: u16 = 1;
const OUT: u16 = 4;
const GATEWAY: u16 = 5;
/// `RT_TABLE_MAIN`, `RTPROT_STATIC`, `RT_SCOPE_UNIVERSE`, `RTN_UNICAST`.
const ROUTE: [u8; 4] = [254, 4, 0, 1];

/// Make it; it must not be there yet.
const NEW: i32 = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
/// List all.
const ALL: i32 = libc::NLM_F_DUMP;

/// `struct ifinfomsg`: an interface, and whether it is set up.
fn interface(index: u32, up: bool) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    // The flags, and which of them change.
    (fixed[8], fixed[12]) = (u8::from(up), u8::from(up));
    fixed
}

/// The family of an address, and its bytes as the kernel has them.
#[must_use]
pub fn family(address: &Address) -> (u8, &[u8]) {
    match address.strip_prefix(&IPV4) {
        Some(four) => (libc::AF_INET as u8, four),
        None => (libc::AF_INET6 as u8, address),
    }
}

/// An address of the kernel's.
fn address(bytes: &[u8]) -> Option<Address> {
    match bytes.len() {
        4 => [&IPV4[..], bytes].concat().try_into().ok(),
        _ => bytes.try_into().ok(),
    }
}

/// What a new interface has.
#[derive(Clone, Copy, Debug, Default)]
pub struct New<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hardware address, if not one that the kernel makes up.
    pub mac: Option<[u8; 6]>,
    /// Its MTU; 0 for the usual one.
    pub mtu: u32,
    /// The bridge that it belongs to; for a macvlan the interface that it lies on.
    pub over: u32,
    /// The network namespace that it (or the inner end of a pair) is born in, an open file.
    pub namespace: i32,
    /// Whether the kernel has IPv6, and would make up an address for the outer end of a pair.
    pub has_ipv6: bool,
}

impl Datagram {
    /// Sets an interface up.
    pub fn up(&mut self, index: u32) {
        self.message(libc::RTM_NEWLINK, 0, &interface(index, true));
    }

    /// Makes a bridge, which is not set up yet.
    pub fn bridge(&mut self, new: &New<'_>) {
        self.message(libc::RTM_NEWLINK, NEW, &interface(0, false));
        self.common(new.name, new);
        let info = self.open(INFO);
        self.text(KIND, "bridge");
        self.close(info);
    }

    /// Makes a pair of interfaces: the outer one at a bridge and set up, the inner one, of this name, in another namespace.
    pub fn pair(&mut self, inner: &str, outer: &New<'_>) {
        self.message(libc::RTM_NEWLINK, NEW, &interface(0, false));
        self.common(outer.name, &New { mac: None, ..*outer });
        self.attribute(MASTER, &outer.over.to_ne_bytes());
        let info = self.open(INFO);
        self.text(KIND, "veth");
        let data = self.open(DATA);
        let peer = self.open(PEER);
        // It can be set up only once both are there.
        self.raw(&interface(0, false));
        self.common(inner, outer);
        self.attribute(NAMESPACE, &outer.namespace.to_ne_bytes());
        self.close(peer);
        self.close(data);
        self.close(info);
        // Who asks for a port of the host's that leads to itself gets there also where br_netfilter has the packet translated
        // on its way through the bridge, which sends nothing back to where it comes from unless it is told to.
        self.message(libc::RTM_NEWLINK, 0, &interface(0, false));
        self.text(NAME, outer.name);
        let info = self.open(INFO);
        self.text(SLAVE_KIND, "bridge");
        let data = self.open(SLAVE_DATA);
        self.attribute(HAIRPIN, &[1]);
        self.close(data);
        self.close(info);
        if outer.has_ipv6 {
            // A bridge hands on what comes by a port, whatever addresses that has.
            let families = self.open(FAMILIES);
            let family = self.open(libc::AF_INET6 as u16);
            self.attribute(ADDRESSES, &[NO_ADDRESSES]);
            self.close(family);
            self.close(families);
        }
        self.message(libc::RTM_NEWLINK, 0, &interface(0, true));
        self.text(NAME, outer.name);
    }

    /// Lets nothing more through between an interface and its bridge, which forgets who was there. That takes no time, unlike
    /// the removal of an interface.
    pub fn cut_off(&mut self, index: u32) {
        // A bridge's own kind of this message, of whose effects nobody is told: who hears of a change enables the port again.
        let mut fixed = interface(index, false);
        fixed[0] = libc::AF_BRIDGE as u8;
        self.message(libc::RTM_SETLINK, 0, &fixed);
        let port = self.open(PORT);
        // `BR_STATE_DISABLED`, `linux/if_bridge.h`.
        self.attribute(STATE, &[0]);
        self.attribute(FLUSH, &[]);
        self.close(port);
    }

    /// Moves an interface to another network namespace, an open file, under a name there. It is set down meanwhile.
    pub fn moved(&mut self, index: u32, name: &str, namespace: i32) {
        self.message(libc::RTM_NEWLINK, 0, &interface(index, false));
        self.text(NAME, name);
        self.attribute(NAMESPACE, &namespace.to_ne_bytes());
    }

    /// Gives an interface an address that another one had, or itself before it was moved.
    pub fn held(&mut self, index: u32, held: &Held) {
        let [a, b, c, d] = index.to_ne_bytes();
        let [family, bits] = held.kind;
        self.message(libc::RTM_NEWADDR, NEW, &[family, bits, 0, 0, a, b, c, d]);
        for (kind, bytes) in [(LOCAL, &held.local), (ADDRESS, &held.address), (BROADCAST, &held.broadcast)] {
            if !bytes.is_empty() {
                self.attribute(kind, bytes);
            }
        }
        self.attribute(FLAGS, &NO_DUPLICATES.to_ne_bytes());
    }

    /// Makes an interface in another namespace that has an own hardware address on one of the host's.
    pub fn macvlan(&mut self, new: &New<'_>) {
        self.message(libc::RTM_NEWLINK, NEW, &interface(0, false));
        self.common(new.name, new);
        self.attribute(LINK, &new.over.to_ne_bytes());
        self.attribute(NAMESPACE, &new.namespace.to_ne_bytes());
        let info = self.open(INFO);
        self.text(KIND, "macvlan");
        let data = self.open(DATA);
        self.attribute(MODE, &MODE_BRIDGE.to_ne_bytes());
        self.close(data);
        self.close(info);
    }

    #[inline(never)]
    fn common(&mut self, name: &str, new: &New<'_>) {
        self.text(NAME, name);
        if let Some(mac) = new.mac {
            self.attribute(ADDRESS, &mac);
        }
        if new.mtu != 0 {
            self.attribute(MTU, &new.mtu.to_ne_bytes());
        }
    }

    /// Gives an interface an address, which is not looked for on the network first.
    pub fn address(&mut self, index: u32, address: &Address, bits: u8) {
        self.about_address(libc::RTM_NEWADDR, NEW, index, address, bits);
    }

    /// Takes an address away, and with an interface's last one all routes over it.
    pub fn no_address(&mut self, index: u32, address: &Address, bits: u8) {
        self.about_address(libc::RTM_DELADDR, 0, index, address, bits);
    }

    fn about_address(&mut self, kind: u16, flags: i32, index: u32, address: &Address, bits: u8) {
        let (family, bytes) = family(address);
        // `struct ifaddrmsg`: family, length of the prefix, flags, scope, interface.
        let [a, b, c, d] = index.to_ne_bytes();
        self.message(kind, flags, &[family, bits, 0, 0, a, b, c, d]);
        self.attribute(LOCAL, bytes);
        self.attribute(ADDRESS, bytes);
        self.attribute(FLAGS, &NO_DUPLICATES.to_ne_bytes());
    }

    /// Sends what goes nowhere else to this gateway.
    pub fn default_route(&mut self, gateway: &Address) {
        let (family, bytes) = family(gateway);
        let [table, protocol, scope, kind] = ROUTE;
        self.message(libc::RTM_NEWROUTE, NEW, &[family, 0, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]);
        self.attribute(GATEWAY, bytes);
    }
}

/// An interface that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// By which others refer to it.
    pub index: u32,
    /// Its MTU.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Whether it is set up.
    pub up: bool,
}

/// Reads an interface: `struct ifinfomsg` and attributes.
fn read_link(body: &[u8]) -> Option<Link> {
    let attributes = body.get(16..)?;
    let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
    let mac = wire::attribute(attributes, ADDRESS).try_into().unwrap_or_default();
    Some(Link { index, mtu: wire::number(attributes, MTU), mac, up: body[8] & 1 != 0 })
}

/// Looks for an interface by its name, or if that is empty by its number; `None` if there is none.
///
/// # Errors
/// What the kernel refuses besides.
#[inline(never)]
pub fn find(socket: &Socket, name: &str, index: u32) -> Result<Option<Link>> {
    let (mut datagram, mut found) = (Datagram::default(), None);
    datagram.message(libc::RTM_GETLINK, 0, &interface(index, false));
    if !name.is_empty() {
        datagram.text(NAME, name);
    }
    datagram.acknowledge();
    let result = socket.ask(&mut datagram, phrase!("look for a network interface"), &mut |_, body| {
        found = read_link(body);
    });
    match result {
        Err(error) if !error.is(Errno::ENODEV) => Err(error),
        _ => Ok(found),
    }
}

/// Removes an interface; that there is none of this name is fine.
///
/// # Errors
/// What the kernel refuses.
pub fn remove(socket: &Socket, name: &str) -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.message(libc::RTM_DELLINK, 0, &interface(0, false));
    datagram.text(NAME, name);
    datagram.acknowledge();
    match socket.request(&mut datagram, phrase!("remove a network interface")) {
        Err(error) if error.is(Errno::ENODEV) => Ok(()),
        result => result,
    }
}

/// An address that an interface has: family and bits of its prefix, and the bytes of what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    kind: [u8; 2],
    local: Vec<u8>,
    address: Vec<u8>,
    broadcast: Vec<u8>,
}

/// Reads an address that is global and stays, `struct ifaddrmsg` and attributes; not those that an interface makes up.
fn read_held(body: &[u8], index: u32) -> Option<Held> {
    let (&[family, bits, _, scope, a, b, c, d], attributes) = body.split_first_chunk::<8>()?;
    let part = |kind| wire::attribute(attributes, kind).to_vec();
    let stays = wire::number(attributes, FLAGS) & PERMANENT != 0;
    let own = u32::from_ne_bytes([a, b, c, d]) == index;
    let [local, address, broadcast] = [part(LOCAL), part(ADDRESS), part(BROADCAST)];
    (own && stays && scope == 0).then_some(Held { kind: [family, bits], local, address, broadcast })
}

/// The addresses of an interface that are global and stay.
///
/// # Errors
/// What the kernel refuses.
pub fn addresses(socket: &Socket, index: u32) -> Result<Vec<Held>> {
    let (mut datagram, mut found) = (Datagram::default(), Vec::new());
    datagram.message(libc::RTM_GETADDR, ALL, &[0; 8]);
    socket.ask(&mut datagram, phrase!("list the addresses"), &mut |_, body| found.extend(read_held(body, index)))?;
    Ok(found)
}

/// A route of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads: a prefix, all of it zero for all other destinations.
    pub to: Address,
    /// How many bits of it count, as in IPv6 also for IPv4.
    pub bits: u8,
    /// The interface's number.
    pub out: u32,
}

/// Reads a route: `struct rtmsg` and attributes.
fn read_route(body: &[u8]) -> Option<Route> {
    let (&[family, bits, ..], attributes) = body.split_first_chunk::<12>()?;
    let (all, more) = if family == libc::AF_INET as u8 { (&[0; 4][..], 96) } else { (&[0; 16][..], 0) };
    let to = wire::attribute(attributes, DESTINATION);
    let to = address(if to.is_empty() { all } else { to })?;
    Some(Route { to, bits: bits.checked_add(more).filter(|bits| *bits <= 128)?, out: wire::number(attributes, OUT) })
}

/// Hands out all routes, those to the host's own addresses too.
///
/// # Errors
/// What the kernel refuses.
pub fn routes(each: &mut dyn FnMut(Route)) -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.message(libc::RTM_GETROUTE, ALL, &[0; 12]);
    Socket::route()?.ask(&mut datagram, phrase!("list the routes"), &mut |_, body| {
        if let Some(route) = read_route(body) {
            each(route);
        }
    })
}

/// The hardware address of whoever has this IPv4 address: whoever gets it next has the same, which neighbours may remember.
#[must_use]
pub fn mac(address: &Address) -> [u8; 6] {
    let [.., a, b, c, d] = *address;
    [2, 0x76, a, b, c, d]
}

/// Reads a hardware address as people write it: `02:76:0a:76:00:05`.
#[must_use]
pub fn read_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.parts(b':');
    for byte in &mut mac {
        *byte = parts.next().filter(|part| part.len() == 2).and_then(text::hexadecimal)? as u8;
    }
    parts.next().is_none().then_some(mac)
}

/// As people write it.
#[must_use]
pub fn mac_text(mac: [u8; 6]) -> &'static str {
    let mut text = String::new();
    for byte in mac {
        if !text.is_empty() {
            text.push(':');
        }
        text.push_str(&sha256::hex(&[byte]));
    }
    text.leak()
}

#[cfg(test)]
mod tests;
