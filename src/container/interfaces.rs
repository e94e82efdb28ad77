//! The host's interfaces that become a container's, `linux.netDevices`.
//!
//! Each keeps its addresses that are global and stay, and is set up. From then on nobody looks after it: when the container's last
//! process has ended, its network namespace goes, the kernel gives what is hardware back to the host under the name that it has then,
//! and what was made by software is gone. Only if the container could not be made is everything put back.
//!
//! # Source
//! `config-linux.md` of the runtime specification, "Network Devices"; `network_namespaces(7)`.

use alloc::vec::Vec;

use super::connect::inside;
use super::launch::namespace_path;
use super::spec::{NamespaceKind, Spec};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::{Member, Value};
use crate::kernel::netlink::link::{self, Held};
use crate::kernel::netlink::{Datagram, Socket};
use crate::sys::fd::{CWD, Fd};
use crate::sys::{because, file};

/// An interface that was moved.
struct One {
    /// Its name at the host's, and in the container.
    names: [&'static str; 2],
    addresses: Vec<Held>,
    up: bool,
}

/// Interfaces that were moved.
#[derive(Default)]
pub struct Moved {
    /// The container's network namespace, and this process's own.
    namespaces: Option<[Fd; 2]>,
    all: Vec<One>,
}

/// The interfaces that a container gets, by their names.
#[must_use]
pub fn wanted(spec: &Spec) -> &[Member] {
    let devices = spec.linux.as_ref().and_then(|linux| linux.net_devices.as_ref());
    devices.and_then(|devices| devices.0.as_object()).unwrap_or_default()
}

impl Moved {
    /// Moves all that the specification names to the container's network namespace, where the process is or is going to be.
    ///
    /// # Errors
    /// One is missing, or there is one of its new name; what the kernel refuses. Those that were moved are still there.
    pub fn take(&mut self, spec: &Spec, pid: u32) -> Result<()> {
        let _why = because!("move the interfaces that the container gets into its network namespace");
        let shared = super::plan::namespaces(spec).iter().find(|namespace| namespace.kind == NamespaceKind::Network);
        let path = shared.and_then(|namespace| namespace.path).unwrap_or_else(|| namespace_path(pid, "network"));
        let open = |path: &str| file::open(CWD, file::path(path)?, libc::O_RDONLY);
        let [theirs, _] = self.namespaces.insert([open(path)?, open("/proc/self/ns/net")?]);
        let (theirs, outer, inner) = (theirs.number(), Socket::route()?, inside(theirs)?);
        for (name, device) in wanted(spec) {
            let member = join!("linux.netDevices.{}", name);
            let new = device.get("name").and_then(Value::as_str).filter(|new| !new.is_empty()).unwrap_or(name);
            let Some(link) = link::find(&outer, name, 0)? else {
                return Err(Error::new(say!("{}: there is no such network interface", member)));
            };
            if link::find(&inner, new, 0)?.is_some() {
                return Err(Error::new(say!("{}: the container has an interface {} already", member, new)));
            }
            let one = One { names: [name, new], addresses: link::addresses(&outer, link.index)?, up: link.up };
            shift(&outer, link.index, new, theirs).map_err(|error| {
                let error = error.option(member);
                if error.is(Errno::EINVAL) {
                    error.hint(phrase!(
                        "an interface such as a bridge or a tunnel may be bound to its network namespace"
                    ))
                } else {
                    error
                }
            })?;
            self.all.push(one);
            let Some(One { addresses, .. }) = self.all.last() else { continue };
            dress(&inner, new, addresses, true).map_err(|error| error.option(member))?;
        }
        Ok(())
    }

    /// Puts back what was moved, since there is going to be no container.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn give_back(self) -> Result<()> {
        let Some([theirs, own]) = self.namespaces.filter(|_| !self.all.is_empty()) else { return Ok(()) };
        let _why = because!("give the interfaces back, since the container could not be made");
        let (outer, inner) = (Socket::route()?, inside(&theirs)?);
        for One { names: [name, new], addresses, up } in &self.all {
            if let Some(link) = link::find(&inner, new, 0)? {
                shift(&inner, link.index, name, own.number())?;
                dress(&outer, name, addresses, *up)?;
            }
        }
        Ok(())
    }
}

/// Moves an interface from where the socket is.
fn shift(socket: &Socket, index: u32, name: &str, namespace: i32) -> Result<()> {
    let mut datagram = Datagram::default();
    datagram.moved(index, name, namespace);
    datagram.acknowledge();
    socket.request(&mut datagram, phrase!("move a network interface"))
}

/// Gives an interface its addresses, and sets it up. Its number may be another one than before.
fn dress(socket: &Socket, name: &str, addresses: &[Held], up: bool) -> Result<()> {
    let Some(link) = link::find(socket, name, 0)? else { return Ok(()) };
    let mut datagram = Datagram::default();
    for address in addresses {
        datagram.held(link.index, address);
    }
    if up {
        datagram.up(link.index);
    }
    if up || !addresses.is_empty() {
        datagram.acknowledge();
        socket.request(&mut datagram, phrase!("give the interface its addresses"))?;
    }
    Ok(())
}
