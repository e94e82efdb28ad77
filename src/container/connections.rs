//! What is put up on networks for a container that runs, as its file `connections` has it: written before anything is
//! acquired, and read by whoever takes it down or shows it.
//!
//! ```text
//! netns NAME
//! network NAME interface eth0 link vl0123456789a mac 02:76:0a:76:00:05 address 10.118.0.5 bits 16 gateway 10.118.0.1
//! port tcp 0.0.0.0 8080 80
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::keep;
use crate::base::text::{self, Cut, decimal_u32};
use crate::sys::{FdRef, file};

/// The file, in the container's directory.
pub const FILE: &CStr = c"connections";
/// The most that is read of it.
const LIMIT: usize = 8 << 20;

/// A container on a network. What it does not have is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The network's name.
    pub network: &'static str,
    /// The interface in the container.
    pub interface: &'static str,
    /// The other end, on the host.
    pub link: &'static str,
    /// The interface's MAC address.
    pub mac: &'static str,
    /// Its IPv4 address.
    pub address: &'static str,
    /// How long the prefix is.
    pub bits: &'static str,
    /// The host's address.
    pub gateway: &'static str,
    /// Its IPv6 address.
    pub address6: &'static str,
    /// How long the prefix is.
    pub bits6: &'static str,
    /// The host's address.
    pub gateway6: &'static str,
}

/// The words before the fields of a [`Connection`], in their order.
const FIELDS: &str = "network interface link mac address bits gateway address6 bits6 gateway6 ";

impl Connection {
    fn fields(&mut self) -> [&mut &'static str; 10] {
        [
            &mut self.network,
            &mut self.interface,
            &mut self.link,
            &mut self.mac,
            &mut self.address,
            &mut self.bits,
            &mut self.gateway,
            &mut self.address6,
            &mut self.bits6,
            &mut self.gateway6,
        ]
    }
}

/// A port of the host's that leads to one of the container's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The host's address: `0.0.0.0` or `::` for all of them.
    pub host: &'static str,
    /// The host's port.
    pub host_port: u16,
    /// The container's.
    pub port: u16,
}

/// All that is put up for a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// What its network namespace is called below `/run/netns`.
    pub netns: &'static str,
    /// The networks that it is on.
    pub networks: Vec<Connection>,
    /// The ports that lead to it.
    pub ports: Vec<Port>,
}

impl Connections {
    /// Takes the file's text apart. Lines of another kind are left out, and so is what is missing of one that was cut short.
    #[must_use]
    #[inline(never)]
    pub fn parse(text: &'static str) -> Connections {
        let mut all = Connections::default();
        for line in text.parts(b'\n') {
            let (kind, rest) = line.cut(b' ').unwrap_or_default();
            match kind {
                "netns" => all.netns = keep::copy(rest),
                "network" => all.networks.push(connection(line)),
                "port" => all.ports.extend(port(rest)),
                _ => {}
            }
        }
        all
    }

    /// As [`Connections::parse`] reads it.
    #[must_use]
    #[inline(never)]
    pub fn text(&mut self) -> String {
        let mut text = String::new();
        if !self.netns.is_empty() {
            text.push_str(join!("netns {}\n", self.netns));
        }
        for connection in &mut self.networks {
            let mut before = "";
            for (place, field) in connection.fields().into_iter().enumerate() {
                if !field.is_empty() {
                    for part in [before, text::word(FIELDS, place), " ", field] {
                        text.push_str(part);
                    }
                    before = " ";
                }
            }
            text.push('\n');
        }
        for port in &self.ports {
            text.push_str(join!("port {} {} {} {}\n", port.protocol, port.host, port.host_port, port.port));
        }
        text
    }
}

#[inline(never)]
fn connection(line: &str) -> Connection {
    let mut connection = Connection::default();
    let mut words = line.words();
    while let (Some(name), Some(word)) = (words.next(), words.next()) {
        if let Some(place) = text::place(FIELDS.trim_ascii_end(), name) {
            *connection.fields()[place] = keep::copy(word);
        }
    }
    connection
}

#[inline(never)]
fn port(rest: &str) -> Option<Port> {
    let mut words = rest.words();
    let (protocol, host) = (keep::copy(words.next()?), keep::copy(words.next()?));
    let mut number = || words.next().and_then(decimal_u32)?.try_into().ok();
    Some(Port { protocol, host, host_port: number()?, port: number()? })
}

/// What is put up for the container of this directory; nothing if the file is not there.
#[must_use]
pub fn connections(directory: FdRef<'_>) -> Connections {
    let content = file::read_file(directory, FILE, LIMIT).unwrap_or_default();
    Connections::parse(keep::lossy(&content))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "netns web\n\
        network bridge interface eth0 link vl0123456789a mac 02:76:0a:76:00:05 address 10.118.0.5 bits 16 gateway 10.118.0.1 \
        address6 fd00::5 bits6 64 gateway6 fd00::1\n\
        network lan interface eth1 address 192.0.2.5 bits 29\n\
        port tcp 0.0.0.0 8080 80\n\
        port udp :: 53 53\n";

    #[test]
    fn connections_are_read_as_they_are_written() {
        let mut all = Connections::parse(TEXT);
        assert_eq!(all.text(), TEXT);
        assert_eq!((all.netns, all.networks.len(), all.networks[0].gateway6), ("web", 2, "fd00::1"));
        let lan =
            Connection { network: "lan", interface: "eth1", address: "192.0.2.5", bits: "29", ..Default::default() };
        assert_eq!(all.networks[1], lan);
        assert_eq!(all.ports[1], Port { protocol: "udp", host: "::", host_port: 53, port: 53 });
        assert_eq!(Connections::default().text(), "");
    }

    #[test]
    fn what_is_malformed_is_left_out() {
        assert_eq!(
            Connections::parse("port tcp 0.0.0.0 8080\nport tcp a 65536 1\nnonsense\n\nport"),
            Connections::default()
        );
        assert_eq!(Connections::parse("network a address").networks[0].network, "a");
    }
}
