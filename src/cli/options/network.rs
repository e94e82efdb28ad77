//! The networks that a container is on, what it is there, and the ports that lead to it.

use alloc::string::String;

use super::namespaces::{HOST, NETWORKED, USER, host_entry, is_allowed};
use super::{Read, RunOptions, accepted, conflict, find};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::text::{self, Cut};
use crate::cli::context::Context;
use crate::cli::flags::Id;
use crate::cli::parse::{Parsed, invalid};
use crate::kernel::netlink::link;
use crate::network::{DEFAULT, address_text, is_ipv4};

/// What a container may be on a network, in the words of `vial.networks`; the flags stand in the same order.
pub(in crate::cli) const DETAILS: &str = "alias ip ip6 mac ";

/// Whether this is an alias, an address or a MAC, by its place in [`DETAILS`].
pub(in crate::cli) fn is_detail(place: usize, value: &str) -> bool {
    match place {
        0 => text::is_name(value),
        // The lowest bit would mean a group of stations.
        3 => link::read_mac(value).is_some_and(|mac| mac[0] & 1 == 0),
        _ => text::address(value).is_some_and(|address| is_ipv4(&address) == (place == 1)),
    }
}

/// One of vial's networks as a line of `vial.networks`, of its name or docker's long form `name=NAME,alias=A,ip=1.2.3.4`.
///
/// # Errors
/// Why it is none.
#[inline(never)]
pub(super) fn network(word: &str) -> Read<String> {
    let (mut name, mut details) = (word, String::new());
    if word.has(b'=') {
        name = "";
        for part in word.parts(b',') {
            let (key, value) = part.cut(b'=').unwrap_or((part, ""));
            if key == "name" {
                name = value;
                continue;
            }
            let place = text::place("alias ip ip6 mac-address", key).ok_or(phrase!("a key is unknown"))?;
            if !is_detail(place, value) {
                return Err(phrase!("a value is malformed"));
            }
            add(&mut details, place, value);
        }
    }
    if matches!(name, "default" | "private") {
        name = DEFAULT;
    }
    if text::is_name(name) { Ok([name, &details].concat()) } else { Err(phrase!("no such mode")) }
}

fn add(line: &mut String, place: usize, value: &str) {
    line.push_str(join!(" {}={}", text::word(DETAILS, place), value));
}

/// The first port and the last of `80` or `80-90`.
fn ports(text: &str) -> Read<(u32, u32)> {
    let (first, last) = text.cut(b'-').unwrap_or((text, text));
    match (text::decimal_u32(first), text::decimal_u32(last)) {
        (Some(first @ 1..), Some(last @ ..=65_535)) if first <= last => Ok((first, last)),
        _ => Err(phrase!("not a port from 1 to 65535, nor a range of such")),
    }
}

/// What stands before the protocol, and the protocol.
fn protocol(text: &str) -> Read<(&str, &str)> {
    let (rest, protocol) = text.cut_last(b'/').unwrap_or((text, "tcp"));
    if matches!(protocol, "tcp" | "udp") { Ok((rest, protocol)) } else { Err(phrase!("neither tcp nor udp")) }
}

/// Gives the lines of `vial.ports` for `[[ADDRESS:]HOSTPORT:]PORT[/PROTOCOL]` one by one.
///
/// # Errors
/// Why it is none.
#[inline(never)]
pub(in crate::cli) fn publish(text: &str, take: &mut dyn FnMut(&str)) -> Read<()> {
    let (rest, protocol) = protocol(text)?;
    let (front, inner) = rest.cut_last(b':').unwrap_or(("", rest));
    let (address, outer) = front.cut_last(b':').unwrap_or(("", front));
    let address = match address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address) {
        "" => "*",
        bare => address_text(&text::address(bare).ok_or(phrase!("not an address"))?),
    };
    let (first, last) = ports(inner)?;
    let mut host = 0;
    if !matches!(outer, "" | "0") {
        let (from, to) = ports(outer)?;
        if to - from != last - first {
            return Err(phrase!("ranges of different lengths"));
        }
        host = from;
    }
    for port in first..=last {
        take(join!("{} {} {} {}", protocol, address, host, port));
        host += u32::from(host > 0);
    }
    Ok(())
}

/// Adds something to a list.
#[inline(never)]
fn append(list: &mut &'static str, between: &str, more: &str) {
    *list = join!("{}{}{}", list, (if list.is_empty() { "" } else { between }), more);
}

/// Adds something to what is noted under a name, after `vial.`.
#[inline(never)]
fn note(spec: &mut Value, name: &str, between: &str, more: &str) {
    let noted = find(spec, join!("annotations vial.{}", name));
    let mut list = noted.as_str().unwrap_or_default();
    append(&mut list, between, more);
    *noted = list.into();
}

/// The ports that the image says the container listens on, and those of `--expose`: `80/tcp, 53/udp`.
#[inline(never)]
pub(in crate::cli) fn exposed(parsed: &Parsed<'_>, own: &'static str) -> &'static str {
    let mut list = own;
    for port in parsed.texts(Id::Expose) {
        append(&mut list, ", ", if port.has(b'/') { port } else { join!("{}/tcp", port) });
    }
    list
}

/// Publishes those of these ports that are not published yet, at ports that are chosen.
#[inline(never)]
pub(in crate::cli) fn publish_all(exposed: &str, lines: &mut &'static str) {
    for port in exposed.parts(b',') {
        // What an image says may be no port.
        let _ = publish(port.trim_ascii_start(), &mut |line| {
            let (head, tail) = line.split_at(line.cut_last(b' ').map_or(0, |(head, _)| head.len()));
            let protocol = head.get(..3).unwrap_or_default();
            if !lines.parts(b'\n').any(|known| known.starts_with(protocol) && known.ends_with(tail)) {
                append(lines, "\n", line);
            }
        });
    }
}

impl RunOptions<'_> {
    /// Takes in what a flag says of the container's networks; why it won't do.
    #[inline(never)]
    pub(super) fn take_network(&mut self, id: Id, text: &str) -> Read<()> {
        let spec = self.spec.get_mut();
        match id {
            Id::Network if is_allowed(id, text) => {}
            Id::Network => append(&mut self.networks, "\n", &network(text)?),
            Id::Expose if text.has(b':') => return Err(phrase!("not a port")),
            Id::Expose => publish(text, &mut |_| ())?,
            Id::Publish => publish(text, &mut |line| note(spec, "ports", "\n", line))?,
            Id::AddHost => {
                let (name, address) = host_entry(text)?;
                note(spec, "hosts", "\n", join!("{} {}", name, address));
            }
            Id::Dns if text::is_address(text) => note(spec, "dns", " ", text),
            Id::Dns => return Err(phrase!("not an address")),
            _ => {
                let place = (id as usize).wrapping_sub(Id::NetworkAlias as usize);
                if !is_detail(place, text) {
                    return Err(phrase!("malformed"));
                }
                add(&mut self.details, place, text);
            }
        }
        Ok(())
    }

    /// Notes the networks: those of flags, or the one that is meant without, and what is told of the first.
    ///
    /// # Errors
    /// Networks and something else at once; `VIAL_NETWORK` is no mode.
    #[inline(never)]
    pub(super) fn note_networks(&mut self) -> Result<()> {
        let given = self.parsed.all(Id::Network).len();
        if given == 0 && self.take_network(Id::Network, self.network).is_err() {
            let accepted = accepted(Id::Network);
            return Err(invalid(self.network.as_bytes(), "VIAL_NETWORK", phrase!("no such mode"), accepted));
        }
        if given > 1 && self.networks.parts(b'\n').count() != given {
            let why = phrase!("one is no network that a container is on besides others");
            return Err(conflict("network", "network", why, phrase!("several networks, or one mode alone")));
        }
        if !self.networks.is_empty() {
            let first = self.networks.parts(b'\n').next().unwrap_or_default();
            let rest = self.networks.get(first.len()..).unwrap_or_default();
            note(self.spec.get_mut(), "networks", "", join!("{}{}{}", first, self.details, rest));
        }
        Ok(())
    }

    /// Refuses what only a container on a network can have, or says that it comes to nothing.
    #[inline(never)]
    pub(super) fn check_published(&self, flag: &str, id: Id) -> Result<()> {
        match self.mode(Id::Network).0 {
            NETWORKED => Ok(()),
            USER if matches!(id, Id::Publish | Id::PublishAll) => Ok(()),
            HOST if id == Id::AddHost => Ok(()),
            HOST if matches!(id, Id::Publish | Id::PublishAll) => {
                let why =
                    say!("--{} is discarded: with --network host all of the container's ports are the host's", flag);
                Context::warn(&[Error::new(why)]);
                Ok(())
            }
            _ => Err(conflict(flag, "network", phrase!("the container is on no network"), phrase!("a network's name"))),
        }
    }
}
