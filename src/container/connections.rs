//! What is put up for a container on networks, as `connections` in its directory has it: a line for each thing, written before
//! that is made, so that whoever finds it knows what to take down.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::sys::{FdRef, file};

/// The file's name.
const FILE: &CStr = c"connections";

/// A container's connection to a network. What it does not have is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The network's name.
    pub network: &'static str,
    /// The interface in the container.
    pub interface: &'static str,
    /// The other end, at the host's bridge.
    pub link: &'static str,
    /// The hardware address.
    pub mac: &'static str,
    /// The IPv4 address.
    pub address: &'static str,
    /// The length of its prefix.
    pub bits: &'static str,
    /// The way out.
    pub gateway: &'static str,
    /// The same for IPv6.
    pub address6: &'static str,
    /// See `bits`.
    pub bits6: &'static str,
    /// See `gateway`.
    pub gateway6: &'static str,
    /// By which it is found besides by its own name, commas between.
    pub names: &'static str,
}

/// A published port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The host's address: `0.0.0.0` and `::` for all.
    pub host: &'static str,
    /// The host's port.
    pub host_port: u16,
    /// The container's.
    pub port: u16,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// The name of the network namespace below `/run/netns`.
    pub netns: &'static str,
    /// The process that passes on what comes to the loopback, and when it began.
    pub relay: (u32, u64),
    /// The networks, in the order in which they were joined.
    pub networks: Vec<Connection>,
    /// The published ports.
    pub ports: Vec<Port>,
}

impl Connection {
    /// Its parts by name.
    #[inline(never)]
    pub fn parts(&mut self) -> [(&'static str, &mut &'static str); 11] {
        [
            ("network", &mut self.network),
            ("interface", &mut self.interface),
            ("link", &mut self.link),
            ("mac", &mut self.mac),
            ("address", &mut self.address),
            ("bits", &mut self.bits),
            ("gateway", &mut self.gateway),
            ("address6", &mut self.address6),
            ("bits6", &mut self.bits6),
            ("gateway6", &mut self.gateway6),
            ("names", &mut self.names),
        ]
    }
}

impl Connections {
    /// Reads what is put up for a container; nothing if there is no such file.
    ///
    /// # Errors
    /// What keeps it from being read: then nobody may take it that nothing is put up.
    #[inline(never)]
    pub fn read(directory: FdRef<'_>) -> Result<Connections> {
        match file::read_file(directory, FILE, 1 << 20) {
            Err(error) if error.is(Errno::ENOENT) => Ok(Connections::default()),
            content => Ok(Connections::parse(keep::lossy(&content?))),
        }
    }

    #[inline(never)]
    fn parse(content: &'static str) -> Connections {
        let mut all = Connections::default();
        for line in content.parts(b'\n') {
            let mut words = line.words();
            let mut word = || words.next().unwrap_or_default();
            match word() {
                "netns" => all.netns = word(),
                "relay" => {
                    let number = |text| text::decimal_u64(text).unwrap_or(0);
                    all.relay = (number(word()) as u32, number(word()));
                }
                "port" => {
                    let number = |text| text::decimal_u32(text).unwrap_or(0) as u16;
                    let (protocol, host) = (word(), word());
                    all.ports.push(Port { protocol, host, host_port: number(word()), port: number(word()) });
                }
                "network" => {
                    let (mut connection, mut words) = (Connection::default(), line.words());
                    while let (Some(name), Some(value)) = (words.next(), words.next()) {
                        for (known, part) in connection.parts() {
                            if known == name {
                                *part = value;
                            }
                        }
                    }
                    all.networks.push(connection);
                }
                _ => {}
            }
        }
        all
    }

    fn text(&mut self) -> String {
        let mut content = String::new();
        if !self.netns.is_empty() {
            content.push_str(join!("netns {}\n", self.netns));
        }
        if self.relay.0 != 0 {
            content.push_str(join!("relay {} {}\n", self.relay.0, self.relay.1));
        }
        for connection in &mut self.networks {
            let mut line = String::new();
            for (name, part) in connection.parts() {
                if !part.is_empty() {
                    line.push_str(join!("{} {} ", name, *part));
                }
            }
            line.pop();
            line.push('\n');
            content.push_str(&line);
        }
        for port in &self.ports {
            content.push_str(join!("port {} {} {} {}\n", port.protocol, port.host, port.host_port, port.port));
        }
        content
    }

    /// Writes it, as a whole; without anything in it the file goes.
    ///
    /// # Errors
    /// What the file system refuses.
    #[inline(never)]
    pub fn write(&mut self, directory: FdRef<'_>) -> Result<()> {
        let content = self.text();
        if content.is_empty() {
            return match file::unlink(directory, FILE) {
                Err(error) if error.is(crate::base::errno::Errno::ENOENT) => Ok(()),
                result => result,
            };
        }
        file::write_file(directory, c"connections.new", content.as_bytes(), 0o600)?;
        file::rename(directory, c"connections.new", directory, FILE, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "netns web\nrelay 17 4711\n\
        network bridge interface eth0 link vl0123456789a mac 02:76:0a:76:00:05 address 10.118.0.5 bits 16 gateway 10.118.0.1 \
        address6 fd00::5 bits6 64 gateway6 fd00::1 names web,www\n\
        network db interface eth1 link vl0123456789b address 10.119.0.2 bits 16\n\
        port tcp 0.0.0.0 8080 80\nport udp :: 53 5353\n";

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut all = Connections::parse(TEXT);
        assert_eq!(all.text(), TEXT);
        assert_eq!((all.netns, all.relay, all.networks.len(), all.ports.len()), ("web", (17, 4711), 2, 2));
        assert_eq!(all.networks[0].names, "web,www");
        assert_eq!(all.ports[1], Port { protocol: "udp", host: "::", host_port: 53, port: 5353 });
    }

    #[test]
    fn a_damaged_file_is_read_as_far_as_it_goes() {
        for length in 0..TEXT.len() {
            let _ = Connections::parse(TEXT.get(..length).unwrap());
        }
        assert_eq!(Connections::parse("port\nnetwork\nx y\n").ports.len(), 1);
    }
}
