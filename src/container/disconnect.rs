//! Taking a container off networks: when it ends, and while it runs.

use alloc::vec::Vec;

use super::connect::{First, NAMED, inside, namespace_of};
use super::connections::{Connection, Connections};
use super::{publish, user_network};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::{self, Cut};
use crate::kernel::netlink::{Datagram, Socket, link};
use crate::network::{Networks, ipam, names};
use crate::sys::fd::CWD;
use crate::sys::users::is_confined;
use crate::sys::{FdRef, because, file};

/// Takes a container that runs off one of its networks.
///
/// # Errors
/// It is not on it; the first thing that can't be taken down.
pub fn leave(root: FdRef<'_>, directory: FdRef<'_>, first: First, network: &str) -> Result<()> {
    let mut all = Connections::read(directory)?;
    let Some(at) = all.networks.iter().position(|connection| connection.network == network) else {
        return Err(Error::new(say!("the container is not on the network {}", network)));
    };
    let networks = Networks::open(root)?;
    let connection = all.networks[at];
    publish::take_back(&networks, &all, Some(network))?;
    if connection.link.is_empty() {
        link::remove(&inside(&namespace_of(first)?)?, connection.interface)?;
    }
    let socket = Socket::route()?;
    if !connection.link.is_empty() {
        link::remove(&socket, connection.link)?;
    }
    take_off(&networks, &connection)?;
    all.networks.remove(at);
    all.write(directory)
}

/// Takes down what was put up for a container on networks; that there is nothing is fine. What is left are interfaces that
/// lead nowhere, these ones, and go by themselves as soon as nobody is in the container's namespace any more.
///
/// # Errors
/// The first that fails: what tells of the rest stays.
#[inline(never)]
pub fn release(root: FdRef<'_>, id: &str) -> Result<Vec<&'static str>> {
    let mut links = Vec::new();
    let directory = match file::open(root, file::path(join!("containers/{}", id))?, libc::O_RDONLY | libc::O_DIRECTORY)
    {
        Err(error) if error.is(Errno::ENOENT) => return Ok(links),
        directory => directory?,
    };
    let mut all = Connections::read(directory.by_ref())?;
    if is_confined() {
        user_network::end(directory.by_ref())?;
    }
    if all == Connections::default() {
        return Ok(links);
    }
    let _why = because!("take the container off its networks");
    let networks = Networks::open(root)?;
    publish::take_back(&networks, &all, None)?;
    // The ports are free when nothing that comes there goes astray.
    publish::end_relay(all.relay)?;
    for connection in all.networks.iter().filter(|connection| !connection.link.is_empty()) {
        links.push(connection.link);
    }
    cut_off(&links)?;
    for connection in &all.networks {
        take_off(&networks, connection)?;
    }
    if !all.netns.is_empty() {
        let place = file::path(join!("{}/{}", NAMED, all.netns))?;
        match file::unlink(CWD, place) {
            Err(error) if !error.is(Errno::ENOENT) => return Err(error),
            _ => {}
        }
    }
    all = Connections::default();
    all.write(directory.by_ref()).map(|()| links)
}

/// Separates the interfaces of a container that has ended from their bridges, so that its addresses can be somebody else's at
/// once; see [`crate::network::sweeper`] for what becomes of them.
#[inline(never)]
fn cut_off(links: &[&str]) -> Result<()> {
    let _why = because!("separate the container's interfaces from their bridges; they go with its network namespace");
    if links.is_empty() {
        return Ok(());
    }
    let socket = Socket::route()?;
    for link in links {
        let Some(there) = link::find(&socket, link, 0)? else { continue };
        let mut datagram = Datagram::default();
        datagram.cut_off(there.index);
        datagram.acknowledge();
        let asked = socket.request(&mut datagram, phrase!("separate an interface from its bridge"));
        if asked.is_err() {
            // Somebody has changed it.
            link::remove(&socket, link)?;
        }
    }
    Ok(())
}

/// Leaves a network: names first, so that nobody is led to an address that another one has by then.
fn take_off(networks: &Networks, connection: &Connection) -> Result<()> {
    let addresses = [connection.address, connection.address6];
    let directory = match networks.directory(connection.network) {
        // There is no such network any more.
        Err(error) if error.is(Errno::NONE) => None,
        directory => Some(directory?),
    };
    for address in addresses.into_iter().filter_map(text::address) {
        for name in connection.names.parts(b',') {
            if let Some(directory) = &directory {
                names::remove(directory.by_ref(), name, &address);
            }
        }
    }
    for address in addresses.into_iter().filter_map(text::address) {
        if let Some(directory) = &directory {
            ipam::release(directory.by_ref(), &address)?;
        }
    }
    Ok(())
}
