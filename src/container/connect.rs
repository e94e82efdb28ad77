//! Connecting a container to networks, when it starts and while it runs.
//!
//! Its owner does so from outside, as soon as the first process is there and has a network namespace, which that process is
//! waiting for. What is made is written down before ([`super::connections`]), so that it can be taken down by whoever comes.
//! An address is written down by the network itself.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::bundle::Bundles;
use super::connections::{Connection, Connections};
use super::disconnect::{self, release};
use super::files;
use super::launch::{DNS, HOSTS, NETWORKS, RESOLV, annotation, namespace_path};
use super::process as known;
use super::publish;
use super::spec::Spec;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep::{self, Kept};
use crate::base::text::{self, Address, Cut, IPV4};
use crate::kernel::netlink::link::{self, New};
use crate::kernel::netlink::{Datagram, Socket};
use crate::network::bridge::{self, Notes};
use crate::network::relay;
use crate::network::{DEFAULT, Network, Networks, address_text, ipam, names, resolver, subnets, sweeper};
use crate::sys::fd::CWD;
use crate::sys::file::Lock;
use crate::sys::{Fd, FdRef, because, file, process};

/// Where network namespaces have names, ip-netns(8).
pub(super) const NAMED: &str = "/run/netns";

/// Whose connections these are.
#[derive(Clone, Copy)]
pub struct Whose<'a> {
    /// The directory of all state.
    pub root: FdRef<'a>,
    /// The container's directory.
    pub directory: FdRef<'a>,
    /// Its ID.
    pub id: &'a str,
    /// Its name, if it is known.
    pub name: &'a str,
    /// What it is.
    pub spec: &'a Spec,
}

/// A container's first process: its number, and when it began; 0 of a child of this process, whose number nobody else can have.
#[derive(Clone, Copy)]
pub struct First(pub u32, pub u64);

/// Whether a container is on networks of vial's.
#[must_use]
pub fn is_wanted(spec: &Spec) -> bool {
    !annotation(spec, NETWORKS).is_empty()
}

/// A container that is being connected, and what of it is there.
struct Making<'a> {
    whose: Whose<'a>,
    networks: Networks,
    /// For the host's interfaces.
    socket: Socket,
    /// The container's network namespace.
    namespace: Fd,
    first: First,
    made: Connections,
    notes: Notes,
    /// The gateways by which its names are answered.
    servers: Vec<Address>,
}

/// Connects a container whose first process is this one; what people should know of it.
///
/// # Errors
/// What the kernel refuses or lacks; a network that is not there; an address or a port that is taken. Nothing is left then.
#[inline(never)]
pub fn connect(whose: &Whose<'_>, pid: u32) -> Result<Notes> {
    // What the last start has left, if its owner was killed.
    sweeper::start(&release(whose.root, whose.id)?);
    let mut whose = *whose;
    if whose.name.is_empty() {
        // A monitor that starts it does not know how it is called by now.
        whose.name = Bundles::open(whose.root)?.search(whose.id)?.map_or("", |(_, name)| name);
    }
    let mut making = Making::new(whose, First(pid, 0), Connections::default())?;
    match making.make() {
        Ok(()) => Ok(making.notes),
        Err(error) => {
            let _ = release(whose.root, whose.id);
            Err(error)
        }
    }
}

/// Connects a container that runs to another network, by a line as [`NETWORKS`] has it.
///
/// # Errors
/// As for [`connect`].
pub fn join(whose: &Whose<'_>, first: First, line: &'static str) -> Result<Notes> {
    let before = Connections::read(whose.directory)?;
    let mut making = Making::new(*whose, first, before.clone())?;
    for connection in &before.networks {
        if let Some(network) = making.networks.load(connection.network)? {
            making.servers.extend(if network.driver == "bridge" { bridge::gateways(&network) } else { Vec::new() });
        }
    }
    if let Err(error) = making.join(line).and_then(|()| making.files()) {
        let name = line.words().next().unwrap_or_default();
        let _ = disconnect::leave(whose.root, whose.directory, first, name);
        return Err(error);
    }
    Ok(making.notes)
}

impl<'a> Making<'a> {
    fn new(whose: Whose<'a>, first: First, made: Connections) -> Result<Making<'a>> {
        let namespace = namespace_of(first)?;
        Ok(Making {
            whose,
            networks: Networks::open(whose.root)?,
            socket: Socket::route()?,
            namespace,
            first,
            made,
            notes: Notes::default(),
            servers: Vec::new(),
        })
    }

    #[inline(never)]
    fn make(&mut self) -> Result<()> {
        let mut ports = Vec::new();
        let mut entrances = publish::claim(self.whose.spec, &mut ports)?;
        for line in annotation(self.whose.spec, NETWORKS).parts(b'\n') {
            self.join(line)?;
        }
        self.made.ports = ports;
        self.write()?;
        if let Err(error) = publish::publish(&self.networks, &self.made) {
            // What is there instead is another container's: it is not to be taken back.
            self.made.ports.clear();
            self.write()?;
            return Err(error);
        }
        self.name()?;
        self.files()?;
        if !entrances.is_empty() {
            let to = publish::target(&self.networks, &self.made)?;
            for entrance in &mut entrances {
                entrance.to = to;
            }
            let relay = relay::start(&entrances)?;
            self.made.relay = (relay, known::began(relay));
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        self.made.write(self.whose.directory)
    }

    /// Joins a network.
    #[inline(never)]
    fn join(&mut self, line: &'static str) -> Result<()> {
        let mut words = line.words();
        let name = words.next().unwrap_or_default();
        if name == DEFAULT && self.networks.load(name)?.is_none() {
            bridge::make_default(&self.networks)?;
        }
        let network = self.networks.load(name)?.ok_or_else(|| self.networks.missing(name))?;
        let directory = self.networks.directory(name)?;
        // Until an address is taken nothing else keeps `vial gc` from removing the bridge.
        Networks::lock(&directory, Lock::Shared)?;
        let taken = |name: &str| self.made.networks.iter().any(|connection| connection.interface == name);
        let number = (0..26u32).find(|number| !taken(join!("eth{}", *number))).unwrap_or_default();
        let letter = char::from(b'a' + number as u8);
        let short = |length| self.whose.id.get(..length).unwrap_or_default();
        let mut connection = Connection {
            network: name,
            interface: join!("eth{}", number),
            link: if network.driver == "bridge" { join!("vl{}{}{}", short(5), self.first.0, letter) } else { "" },
            ..Connection::default()
        };
        let (mut wanted, mut mac) = ([None; 2], "");
        let mut found_by = Vec::from([short(12)]);
        if !self.whose.name.is_empty() {
            found_by.push(self.whose.name);
        }
        for word in words {
            match word.cut(b'=').unwrap_or_default() {
                ("alias", alias) => found_by.push(alias),
                ("ip", address) => wanted[0] = text::address(address),
                ("ip6", address) => wanted[1] = text::address(address),
                ("mac", address) => mac = address,
                _ => {}
            }
        }
        connection.names = found_by.join(",").leak();
        self.lease(&network, directory.by_ref(), wanted, &mut connection)?;
        let own = [connection.address, connection.address6].into_iter().find_map(text::address).unwrap_or_default();
        let mac = link::read_mac(mac).unwrap_or(link::mac(&own));
        connection.mac = link::mac_text(mac);
        self.made.networks.push(connection);
        self.write()?;
        self.link(&network, &connection, mac)?;
        // The process that answers names has this file open too.
        file::unlock(directory.by_ref())?;
        self.configure(&connection)?;
        for address in [connection.address, connection.address6].into_iter().filter_map(text::address) {
            for name in &found_by {
                names::add(directory.by_ref(), name, &address)?;
            }
        }
        if network.driver == "bridge" {
            let gateways = bridge::gateways(&network);
            resolver::ensure(directory.by_ref(), &gateways)?;
            self.servers.extend(gateways);
        }
        Ok(())
    }

    /// Takes addresses of a network: the second with the same number as the first.
    #[inline(never)]
    fn lease(
        &self,
        network: &Network,
        directory: FdRef<'_>,
        wanted: [Option<Address>; 2],
        connection: &mut Connection,
    ) -> Result<()> {
        let mut content = alloc::string::String::from(join!("{}\n", self.whose.id));
        for server in annotation(self.whose.spec, DNS).words() {
            content.push_str(join!("dns {}\n", server));
        }
        if network.internal {
            content.push_str("internal\n");
        }
        let mut place = None;
        for subnet in &subnets(network) {
            let is_ipv4 = subnet.address.starts_with(&IPV4);
            let (wanted, gateway) = if is_ipv4 { (wanted[0], network.gateway) } else { (wanted[1], network.gateway6) };
            if !is_ipv4 && !bridge::has_ipv6() {
                continue;
            }
            let at = text::address(gateway).unwrap_or_default();
            let like = wanted.or_else(|| place.and_then(|place| subnet.nth(place)));
            let leased = match ipam::lease(directory, subnet, &at, like, &content) {
                // Somebody asked for the one with the same number.
                Err(_) if wanted.is_none() && like.is_some() => ipam::lease(directory, subnet, &at, None, &content),
                leased => leased,
            };
            let address = leased.inspect_err(|_| {
                for taken in [connection.address, connection.address6].into_iter().filter_map(text::address) {
                    let _ = ipam::release(directory, &taken);
                }
            })?;
            place = Some(subnet.place(&address));
            let gateway = if network.internal { "" } else { gateway };
            let bits = join!("{}", u32::from(subnet.prefix()));
            if is_ipv4 {
                (connection.address, connection.bits, connection.gateway) = (address_text(&address), bits, gateway);
            } else {
                (connection.address6, connection.bits6, connection.gateway6) = (address_text(&address), bits, gateway);
            }
        }
        Ok(())
    }

    /// Makes the interface, which is born in the container's namespace.
    #[inline(never)]
    fn link(&mut self, network: &Network, connection: &Connection, mac: [u8; 6]) -> Result<()> {
        let is_bridge = network.driver == "bridge";
        let over = if is_bridge {
            bridge::ensure(&self.socket, network, &mut self.notes)?
        } else {
            link::find(&self.socket, network.parent, 0)?.ok_or_else(|| {
                Error::new(say!("the host has no interface {}, on which the network lies", network.parent))
            })?
        };
        let _why = because!("make the container's interface in its network namespace, and its other end at the bridge");
        let namespace = self.namespace.by_ref().number();
        let name = if is_bridge { connection.link } else { connection.interface };
        let mtu = if network.mtu == 0 { over.mtu } else { network.mtu };
        let new = New {
            name,
            mac: Some(mac),
            mtu,
            over: over.index,
            namespace,
            has_ipv6: !connection.address6.is_empty() || bridge::has_ipv6(),
        };
        let mut left = 2;
        loop {
            let mut datagram = Datagram::default();
            if is_bridge {
                datagram.pair(connection.interface, &new);
            } else {
                datagram.macvlan(&new);
            }
            datagram.acknowledge();
            left -= 1;
            match self.socket.request(&mut datagram, phrase!("make the container's interface")) {
                // The last one's namespace is still on its way out.
                Err(error) if left > 0 && error.is(Errno::EEXIST) => {
                    // The old one has more to say: that it went through the rest of the messages.
                    self.socket = Socket::route()?;
                    link::remove(&self.socket, connection.link)?;
                }
                Err(error) if error.is(Errno::EOPNOTSUPP) => {
                    return Err(error.hint(phrase!(
                        "the kernel has no such interfaces (CONFIG_VETH, CONFIG_MACVLAN); --network none or host do without"
                    )));
                }
                result => return result,
            }
        }
    }

    /// Gives the interface its addresses and routes, from within the container's namespace.
    #[inline(never)]
    fn configure(&mut self, connection: &Connection) -> Result<()> {
        let _why = because!("give the container's interface its addresses and the way out");
        let inner = inside(&self.namespace)?;
        let index = link::find(&inner, connection.interface, 0)?.map_or(0, |link| link.index);
        let mut datagram = Datagram::default();
        datagram.up(index);
        let families = [
            (connection.address, connection.bits, connection.gateway),
            (connection.address6, connection.bits6, connection.gateway6),
        ];
        for (at, (address, bits, gateway)) in families.into_iter().enumerate() {
            let Some(address) = text::address(address) else { continue };
            datagram.address(index, &address, text::decimal_u32(bits).unwrap_or(0) as u8);
            let earlier = self.made.networks.iter().any(|other| {
                other.interface != connection.interface
                    && !(if at == 0 { other.gateway } else { other.gateway6 }).is_empty()
            });
            if let (false, Some(gateway)) = (earlier, text::address(gateway)) {
                datagram.default_route(&gateway);
            }
        }
        datagram.acknowledge();
        inner.request(&mut datagram, phrase!("give the interface its addresses"))
    }

    /// Gives the network namespace a name that ip-netns(8) knows, if nobody else has it: a link to the first process's. A mount,
    /// as that command makes, would be copied for each container that is started while this one runs.
    fn name(&mut self) -> Result<()> {
        let name = if self.whose.name.is_empty() { self.whose.id } else { self.whose.name };
        let _why = because!("name the container's network namespace, for ip netns");
        file::mkdir_all(NAMED, 0o755)?;
        let path = join!("{}/{}", NAMED, name);
        let place = file::path(path)?;
        // Whoever takes the container off its networks removes what is written down, so that must not be another's.
        if !file::is_there(CWD, place)? {
            self.made.netns = keep::copy(name);
            self.write()?;
            // That of a container whose owner was killed leads nowhere.
            let _ = file::unlink(CWD, place);
        }
        match file::symlink(file::path(namespace_path(self.first.0, "network"))?, CWD, place) {
            Err(error) if error.is(Errno::EEXIST) => {
                self.notes.push(say!("{} is there already: the network namespace has no name", path));
                self.made.netns = "";
                self.write()
            }
            result => result,
        }
    }

    /// Tells the container its address, its name servers, and what was added.
    #[inline(never)]
    fn files(&self) -> Result<()> {
        let _why = because!("tell the container its address and its name servers");
        let spec = self.whose.spec;
        let first = self.made.networks.first().copied().unwrap_or_default();
        let gateway = self.servers.first().map_or("", address_text);
        let mut added = Kept::new(Vec::new());
        for line in annotation(spec, HOSTS).parts(b'\n') {
            if let Some((name, address)) = line.cut(b' ') {
                added.push((name, if address == "host-gateway" { gateway } else { address }));
            }
        }
        let own = if first.address.is_empty() { first.address6 } else { first.address };
        let hosts = files::hosts(
            spec.hostname.unwrap_or_default(),
            spec.domainname.unwrap_or_default(),
            own,
            &mut added.iter().copied(),
        );
        put(self.whose.directory, c"hosts", &hosts)?;
        if self.servers.is_empty() {
            return Ok(());
        }
        let mut resolv = alloc::string::String::new();
        for server in &self.servers {
            resolv.push_str(join!("nameserver {}\n", address_text(server)));
        }
        resolv.push_str(annotation(spec, RESOLV));
        put(self.whose.directory, c"resolv.conf", &resolv)
    }
}

/// Fills one of the container's files anew where it is: it is mounted there.
fn put(directory: FdRef<'_>, name: &CStr, content: &str) -> Result<()> {
    let opened = file::create(directory, name, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, 0o644)?;
    file::write_all(opened.by_ref(), content.as_bytes())
}

/// A container's network namespace.
pub(super) fn namespace_of(First(pid, began): First) -> Result<Fd> {
    let _why = because!("open the container's network namespace");
    let opened = file::open(CWD, file::path(namespace_path(pid, "network"))?, libc::O_RDONLY)?;
    // A process that is there now is the one that was there then, or the number is another's.
    if began != 0 && !known::is_alive(pid, began) {
        return Err(Error::new(phrase!("the container has ended")));
    }
    Ok(opened)
}

/// A socket for the interfaces in another network namespace, to which this process goes for a moment.
pub(super) fn inside(namespace: &Fd) -> Result<Socket> {
    let own = file::open(CWD, c"/proc/self/ns/net", libc::O_RDONLY)?;
    process::setns(namespace.by_ref(), libc::CLONE_NEWNET)?;
    let socket = Socket::route();
    process::setns(own.by_ref(), libc::CLONE_NEWNET)?;
    socket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_that_of_the_process_which_began_then() {
        let own = std::process::id();
        let began = known::began(own);
        assert!(namespace_of(First(own, began)).is_ok() && namespace_of(First(own, 0)).is_ok());
        let error = namespace_of(First(own, began + 1)).map(drop).unwrap_err().to_string();
        assert!(error.contains("the container has ended"), "{error}");
    }
}
