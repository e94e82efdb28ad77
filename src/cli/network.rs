//! `vial network create`, `ls`, `inspect`, `rm` and `prune`.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{FLAGS, List};
use super::parse::Given;
use super::{each, print_line, ps};
use crate::base::errno::Errno;
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::json::{Value, object, record};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::container::bundle::{Bundles, read_json};
use crate::container::connections::{Connection, Connections};
use crate::container::launch::NETWORKS;
use crate::network::{self, DEFAULT, Network, Networks, Subnet, address_text, bridge, ipam, is_ipv4, resolver};
use crate::sys::{fd, file};

pub(super) fn open(context: &Context<'_>) -> Result<Networks> {
    let networks = Networks::open(context.open_root()?)?;
    revive(&networks);
    Ok(networks)
}

/// Sees to it that the names on all networks are answered, should somebody have killed who does so.
fn revive(networks: &Networks) {
    for (name, network) in networks.all().into_iter().flatten() {
        if let Ok(directory) = networks.directory(name)
            && network.driver == "bridge"
            && ipam::leases(directory.by_ref()).is_ok_and(|leases| !leases.is_empty())
        {
            // Whoever starts a container there is told what is in the way.
            let _ = resolver::ensure(directory.by_ref(), &bridge::gateways(network));
        }
    }
}

/// The network that is meant by its name, its ID, or the beginning of its ID.
#[inline(never)]
pub(super) fn find(networks: &Networks, wanted: &str) -> Result<Option<&'static (&'static str, &'static mut Network)>> {
    let all = networks.all()?;
    let by_name = all.iter().find(|(name, _)| *name == wanted);
    Ok(by_name.or_else(|| all.iter().find(|(_, network)| wanted.len() > 3 && network.id.starts_with(wanted))))
}

/// Makes a network, of which the kernel has nothing until a container is on it; prints its ID.
#[inline(never)]
pub(super) fn create(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let name = parsed.word(0);
    if !text::is_name(name) || text::place("none host default private container ns", name).is_some() {
        let accepted = phrase!("letters, digits, _ . and -, the first a letter or digit, and no mode of --network");
        return Err(super::parse::invalid(name.as_bytes(), "a network's name", phrase!("not a name"), accepted));
    }
    let mut network = Network { driver: "bridge", internal: parsed.on(Id::Internal), ..Network::default() };
    // What a gateway may be is for the subnet to say.
    for is_subnet in [true, false] {
        for given in parsed.flags.iter().filter(|given| (given.flag.id == Id::Subnet) == is_subnet) {
            take(&mut network, given)?;
        }
    }
    let networks = open(context)?;
    // Until it is made nobody else takes what is free.
    networks.hold()?;
    let free = network::default_network(&networks, &bridge::taken().unwrap_or_default(), "")?;
    if network.subnet.is_empty() {
        (network.subnet, network.gateway) = (free.subnet, free.gateway);
    }
    if network.subnet6.is_empty() && parsed.last(Id::Ipv6).is_none_or(|given| given.value == b"true") {
        (network.subnet6, network.gateway6) = (free.subnet6, free.gateway6);
    }
    match networks.make(name, &mut network) {
        Err(error) if error.is(Errno::EEXIST) => Err(Error::new(say!("there is a network {} already", name))
            .hint(say!("remove it with: vial network rm {}; or choose another name", name))),
        result => result.and_then(|()| print_line(network.id)).map(|()| 0),
    }
}

/// The options of a network, docker's name behind our own.
const OPTIONS: &str = "mtu com.docker.network.driver.mtu name com.docker.network.bridge.name parent";

/// Takes over what a flag says.
#[inline(never)]
fn take(network: &mut Network, given: &Given<'static>) -> Result<()> {
    let text = given.text()?;
    let (key, value) = text.cut(b'=').unwrap_or((text, ""));
    let accepted = match given.flag.id {
        Id::Subnet => {
            if let Some(subnet) = Subnet::parse(text).filter(|subnet| subnet.bits <= 126) {
                let (of, gateway) = places(network, is_ipv4(&subnet.address));
                (*of, *gateway) = (subnet.text(), address_text(&subnet.nth(1).unwrap_or_default()));
                return Ok(());
            }
            phrase!("at least four addresses, such as 172.20.0.0/16 or fd00:1::/64, with no bit behind the prefix")
        }
        Id::Gateway => {
            if let Some(address) = text::address(text) {
                let (subnet, gateway) = places(network, is_ipv4(&address));
                if Subnet::parse(subnet).is_some_and(|subnet| subnet.is_host(&address)) {
                    *gateway = address_text(&address);
                    return Ok(());
                }
            }
            phrase!("an address of the subnet, and neither its first nor its last")
        }
        Id::Driver => {
            if text::place("bridge macvlan", text).is_some() {
                network.driver = text;
                return Ok(());
            }
            phrase!("bridge or macvlan")
        }
        Id::NetworkOpt => {
            let mtu = text::decimal_u32(value).filter(|mtu| (1280..=65_535).contains(mtu)).unwrap_or(0);
            let is_interface = text::is_name(value) && value.len() < 16;
            let is_known = match text::place(OPTIONS, key) {
                Some(0 | 1) => {
                    network.mtu = mtu;
                    mtu > 0
                }
                Some(2 | 3) => {
                    network.bridge = value;
                    is_interface
                }
                Some(_) => {
                    network.parent = value;
                    is_interface
                }
                None => false,
            };
            network.options.push((key, value));
            if is_known {
                return Ok(());
            }
            phrase!("mtu=1280 to mtu=65535, name=INTERFACE of the bridge, or parent=INTERFACE for macvlan")
        }
        Id::NetworkLabel => {
            network.labels.push((key, value));
            if !key.is_empty() {
                return Ok(());
            }
            phrase!("NAME or NAME=VALUE")
        }
        _ => return Ok(()),
    };
    Err(given.refuse(phrase!("not one that is possible"), accepted))
}

/// The subnet of a family and the gateway.
fn places(network: &mut Network, is_ipv4: bool) -> (&mut &'static str, &mut &'static str) {
    if is_ipv4 { (&mut network.subnet, &mut network.gateway) } else { (&mut network.subnet6, &mut network.gateway6) }
}

/// Lists networks by name.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let list = List::new(context.parsed, FLAGS, "ID=NETWORK ID|Name=NAME|Driver=DRIVER|Scope=SCOPE")?;
    let mut cells: Vec<&str> = Vec::new();
    for (name, network) in open(context)?.all()? {
        let id = ps::short(network.id, context.parsed.on(Id::NoTrunc));
        cells.extend_from_slice(&[id, name, network.driver, "local"]);
    }
    list.print(&cells)
}

/// A network in rows, as [`super::inspect::copy`] takes them.
const NETWORK: Phrase = phrase!(
    "Name name
     Id id
     Created created
     Scope . \"local\"
     Driver driver
     EnableIPv4 . true
     EnableIPv6 ipv6
     IPAM
     Driver . \"default\"
     Config config
     .
     Internal internal false
     Containers containers {}
     Options options {}
     Labels labels {}"
);

/// What is known of a network, if there is one of this name.
#[inline(never)]
pub(super) fn describe(context: &Context<'_>, wanted: &str) -> Result<Option<Value>> {
    let networks = open(context)?;
    let Some(&(name, ref network)) = find(&networks, wanted)? else { return Ok(None) };
    let mut facts = record::write(&mut Network::clone(network));
    facts.text("name", name);
    facts.set("ipv6", (!network.subnet6.is_empty()).into());
    let mut config: Vec<Value> = Vec::new();
    for (subnet, gateway) in [(network.subnet, network.gateway), (network.subnet6, network.gateway6)] {
        if !subnet.is_empty() {
            config.push(object([("Subnet", subnet.into()), ("Gateway", gateway.into())]));
        }
    }
    facts.set("config", config.into());
    on(context, name, &mut |id, known, connection| {
        let described = facts.member("containers").member(id);
        described.text("Name", known);
        described.text("MacAddress", connection.mac);
        described.text("IPv4Address", with_bits(connection.address, connection.bits));
        described.text("IPv6Address", with_bits(connection.address6, connection.bits6));
    })?;
    Ok(Some(super::inspect::copy(&facts, NETWORK)))
}

fn with_bits(address: &str, bits: &str) -> &'static str {
    if address.is_empty() { "" } else { join!("{}/{}", address, bits) }
}

/// Goes through the containers that are on a network: ID, name, and their connection.
#[inline(never)]
fn on(
    context: &Context<'_>,
    network: &str,
    take: &mut dyn FnMut(&'static str, &'static str, &mut Connection),
) -> Result<()> {
    let bundles = Bundles::open(context.open_root()?)?;
    for &(id, name) in bundles.list()? {
        if let Some((directory, _)) = bundles.look(id)? {
            for connection in &mut Connections::read(directory.by_ref())?.networks {
                if connection.network == network {
                    take(id, name, connection);
                }
            }
        }
    }
    Ok(())
}

/// Removes networks; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let networks = open(context)?;
    Ok(each(&context.parsed.positionals, &mut |wanted| match find(&networks, wanted)? {
        Some(&(name, _)) => match networks.remove(name) {
            Err(error) if error.is(Errno::ENOTEMPTY) => {
                let mut users = String::new();
                on(context, name, &mut |_, user, _| {
                    users.push(' ');
                    users.push_str(user);
                })?;
                Err(Error::new(say!("the network {} is in use by{}", name, users))
                    .hint(phrase!("stop the containers first; vial gc ends what killed ones have left")))
            }
            result => result.and_then(|()| print_line(name)),
        },
        None if context.parsed.on(Id::ForceVolume) => Ok(()),
        None => Err(networks.missing(wanted)),
    }))
}

/// Removes the networks that no container is on or would be; asks first, unless told not to. Words are docker's.
#[inline(never)]
pub(super) fn prune(context: &Context<'_>) -> Result<u8> {
    if !context.parsed.on(Id::ForcePrune) {
        super::print(phrase!(
            "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] "
        ).kept())?;
        let mut answer = [0; 16];
        let length = file::read(fd::STDIN, &mut answer)?;
        if length == 0 || !matches!(answer[0], b'y' | b'Y') {
            return Ok(0);
        }
    }
    let (networks, bundles) = (open(context)?, Bundles::open(context.open_root()?)?);
    let mut used = Vec::from([DEFAULT]);
    for &(id, _) in bundles.list()? {
        let Some((directory, _)) = bundles.look(id)? else { continue };
        let config = read_json(directory.by_ref(), c"config.json")?.unwrap_or_default();
        let noted = config.at(&["annotations", NETWORKS]).and_then(Value::as_str).unwrap_or_default();
        used.extend(keep::copy(noted).parts(b'\n').filter_map(|line| line.words().next()));
    }
    let (mut removed, mut code) = (String::new(), 0);
    for name in networks.names()? {
        if used.contains(&name) {
            continue;
        }
        match networks.remove(name) {
            Ok(()) => removed.push_str(join!("{}\n", name)),
            // Somebody has come since.
            Err(error) if error.is(Errno::ENOTEMPTY) => {}
            Err(error) => {
                super::report(&error);
                code = EXIT_FAILURE;
            }
        }
    }
    if !removed.is_empty() {
        print_line(join!("Deleted Networks:\n{}", &*removed))?;
    }
    Ok(code)
}
