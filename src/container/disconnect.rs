//! Taking a container off networks: when it ends, and while it runs.

use super::connect::{NAMED, inside, namespace_of};
use super::connections::{Connection, Connections};
use super::publish;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::{self, Cut};
use crate::kernel::netlink::{Socket, link};
use crate::network::{Networks, ipam, names};
use crate::sys::fd::CWD;
use crate::sys::{FdRef, because, file, mount};

/// Takes a container that runs off one of its networks.
///
/// # Errors
/// It is not on it; the first thing that can't be taken down.
pub fn leave(root: FdRef<'_>, directory: FdRef<'_>, pid: u32, network: &str) -> Result<()> {
    let mut all = Connections::read(directory)?;
    let Some(at) = all.networks.iter().position(|connection| connection.network == network) else {
        return Err(Error::new(say!("the container is not on the network {}", network)));
    };
    let networks = Networks::open(root)?;
    let connection = all.networks[at];
    publish::take_back(&networks, &all, Some(network))?;
    if connection.link.is_empty() {
        link::remove(&inside(&namespace_of(pid)?)?, connection.interface)?;
    }
    take_off(&networks, &Socket::route()?, &connection)?;
    all.networks.remove(at);
    all.write(directory)
}

/// Takes down what was put up for a container on networks; that there is nothing is fine.
///
/// # Errors
/// The first that fails: what tells of the rest stays.
#[inline(never)]
pub fn release(root: FdRef<'_>, id: &str) -> Result<()> {
    let directory = match file::open(root, file::path(join!("containers/{}", id))?, libc::O_RDONLY | libc::O_DIRECTORY)
    {
        Err(error) if error.is(Errno::ENOENT) => return Ok(()),
        directory => directory?,
    };
    let mut all = Connections::read(directory.by_ref())?;
    if all == Connections::default() {
        return Ok(());
    }
    let _why = because!("take the container off its networks");
    let networks = Networks::open(root)?;
    publish::take_back(&networks, &all, None)?;
    // The ports are free when nothing that comes there goes astray.
    publish::end_relay(all.relay)?;
    let socket = Socket::route()?;
    for connection in &all.networks {
        take_off(&networks, &socket, connection)?;
    }
    if !all.netns.is_empty() {
        let place = file::path(join!("{}/{}", NAMED, all.netns))?;
        let _ = mount::detach(place);
        match file::unlink(CWD, place) {
            Err(error) if !error.is(Errno::ENOENT) => return Err(error),
            _ => {}
        }
    }
    all = Connections::default();
    all.write(directory.by_ref())
}

/// Leaves a network: names first, so that nobody is led to an address that another one has by then.
fn take_off(networks: &Networks, socket: &Socket, connection: &Connection) -> Result<()> {
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
    if !connection.link.is_empty() {
        link::remove(socket, connection.link)?;
    }
    for address in addresses.into_iter().filter_map(text::address) {
        if let Some(directory) = &directory {
            ipam::release(directory.by_ref(), &address)?;
        }
    }
    Ok(())
}
