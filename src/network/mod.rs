//! Networks of containers: what they are on disk, who has which address, and which names lead to it.
//!
//! ```text
//! networks/NAME/network.json        what the network is
//! networks/NAME/leases/ADDRESS      who has the address, see [`ipam`]
//! networks/NAME/names/NAME/ADDRESS  what a name leads to, see [`names`]
//! networks/.NAME...                 one that is being made or removed
//! ```
//!
//! A network appears by a rename and is gone by one. That nobody has an address of it is what the removal of the empty directory
//! of leases says: from then on there can be no new one.

pub mod bridge;
pub mod ipam;
pub mod names;
pub mod relay;
pub mod resolver;
mod server;
pub mod sweeper;
pub mod uplink;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt;

use crate::base::address;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::record::{self, record};
use crate::base::json::{self};
use crate::base::keep::{self, Kept};
use crate::base::sha256;
use crate::base::sort::sort;
use crate::base::text::{self, Address, Cut, IPV4};
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, FdRef, because, process};

/// The directory of all networks.
const NETWORKS: &CStr = c"networks";
/// What a network is.
const FILE: &CStr = c"network.json";
/// Who has which address.
const LEASES: &CStr = c"leases";
/// What names lead to.
const NAMES: &CStr = c"names";
/// The most that is read of a file of a network's.
const LIMIT: usize = 1 << 20;

/// The network that containers are on that are not told otherwise.
pub const DEFAULT: &str = "bridge";

record! {
    /// A network, as `network.json` has it.
    pub struct Network {
        /// `bridge` or `macvlan`.
        driver: &'static str = Required "driver",
        /// The bridge's interface on the host.
        bridge: &'static str = Optional "bridge",
        /// The IPv4 subnet: `10.118.0.0/16`.
        subnet: &'static str = Optional "subnet",
        /// The host's address in it.
        gateway: &'static str = Optional "gateway",
        /// The IPv6 subnet; empty for none.
        subnet6: &'static str = Optional "subnet6",
        /// The host's address in it.
        gateway6: &'static str = Optional "gateway6",
        /// Whether there is no way out.
        internal: bool = Optional "internal",
        /// The largest packet; 0 for the host's.
        mtu: u32 = Optional "mtu",
        /// Of macvlan the host's interface.
        parent: &'static str = Optional "parent",
        /// The driver's options as they were given.
        options: Vec<(&'static str, &'static str)> = Optional "options",
        /// The user's notes.
        labels: Vec<(&'static str, &'static str)> = Optional "labels",
        /// When it was made, RFC 3339.
        created: &'static str = Optional "created",
        /// 64 hexadecimal digits.
        id: &'static str = Required "id",
    }
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The first of them.
    pub address: Address,
    /// How long the common beginning is, counted in 16 bytes: 96 more than people write for IPv4.
    pub bits: u8,
}

impl Subnet {
    /// Reads `10.118.0.0/16` or `fd00::/64`. An address with bits behind the prefix is none.
    #[must_use]
    #[inline(never)]
    pub fn parse(text: &str) -> Option<Subnet> {
        let (address, bits) = text.cut(b'/')?;
        let (address, bits) = (text::address(address)?, text::decimal_u32(bits)?);
        let bits = if is_ipv4(&address) { bits.checked_add(96)? } else { bits };
        let subnet = Subnet { address, bits: if bits <= 128 { bits as u8 } else { return None } };
        (number(&address) & subnet.rest() == 0).then_some(subnet)
    }

    /// The bits that differ among the addresses.
    #[inline(never)]
    fn rest(&self) -> u128 {
        u128::MAX.checked_shr(self.bits.into()).unwrap_or(0)
    }

    /// Whether an address is one of these.
    #[must_use]
    #[inline(never)]
    pub fn contains(&self, address: &Address) -> bool {
        (number(address) ^ number(&self.address)) & !self.rest() == 0
    }

    /// Whether some address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Subnet) -> bool {
        self.contains(&other.address) || other.contains(&self.address)
    }

    /// The address with this number, counted from the first, which has 0.
    #[must_use]
    #[inline(never)]
    pub fn nth(&self, number: u64) -> Option<Address> {
        let number = u128::from(number);
        (number <= self.rest()).then(|| (self::number(&self.address) | number).to_be_bytes())
    }

    /// The number of one of the addresses, see [`Subnet::nth`].
    #[must_use]
    pub fn place(&self, address: &Address) -> u64 {
        (number(address) & self.rest()) as u64
    }

    /// The number of the last address.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.rest().try_into().unwrap_or(u64::MAX)
    }

    /// Whether an address is one that a host may have: neither the network's own nor, with IPv4, everybody's.
    #[must_use]
    pub fn is_host(&self, address: &Address) -> bool {
        let last = self.last().saturating_sub(is_ipv4(address).into());
        self.contains(address) && (1..=last).contains(&self.place(address))
    }

    /// How long the common beginning is, as people write it.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        if is_ipv4(&self.address) { self.bits.wrapping_sub(96) } else { self.bits }
    }

    /// As [`Subnet::parse`] reads it.
    #[must_use]
    pub fn text(&self) -> &'static str {
        join!("{}/{}", address_text(&self.address), u32::from(self.prefix()))
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

fn number(address: &Address) -> u128 {
    u128::from_be_bytes(*address)
}

/// Whether an address is one of IPv4.
#[must_use]
pub fn is_ipv4(address: &Address) -> bool {
    address.starts_with(&IPV4)
}

/// An address in its canonical form, see [`address::text`].
#[must_use]
pub fn address_text(address: &Address) -> &'static str {
    address::text(address).leak()
}

/// Becomes the process that executed vial anew to serve a network or published ports or to see to what is left, if these are its words.
pub fn become_one(args: &'static [&'static CStr]) {
    resolver::become_one(args);
    relay::become_one(args);
    sweeper::become_one(args);
}

/// The networks of a store.
pub struct Networks(FdRef<'static>);

impl Networks {
    /// Opens the networks of a store.
    ///
    /// # Errors
    /// open(2), mkdir(2).
    pub fn open(root: FdRef<'_>) -> Result<Networks> {
        let _why = because!("open the directory of networks");
        file::mkdir_if_missing(root, NETWORKS, 0o700)?;
        file::open(root, NETWORKS, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .map(|file| Networks(file.keep()))
    }

    /// All names in their order.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn names(&self) -> Result<Vec<&'static str>> {
        let _why = because!("list the networks");
        let mut names = entries(self.0, c".")?;
        names.retain(|name| text::is_name(name));
        sort(&mut names, |one, other| one < other);
        Ok(names)
    }

    /// All networks that can be read, by name.
    ///
    /// # Errors
    /// What the file system refuses, and a damaged file.
    #[inline(never)]
    pub fn all(&self) -> Result<&'static [(&'static str, &'static mut Network)]> {
        let mut all = Vec::new();
        for name in self.names()? {
            if let Some(network) = self.load(name)? {
                all.push((name, Box::leak(network.into_inner())));
            }
        }
        Ok(all.leak())
    }

    /// Reads what a network is; `None` if there is none of this name.
    ///
    /// # Errors
    /// What the file system refuses, and a damaged file.
    pub fn load(&self, name: &str) -> Result<Option<Kept<Box<Network>>>> {
        if !text::is_name(name) {
            return Ok(None);
        }
        let path = join!("{}/network.json", name);
        let content = match file::read_file(self.0, file::path(path)?, LIMIT) {
            Err(error) if error.is(Errno::ENOENT) => return Ok(None),
            content => content?,
        };
        let mut network: Kept<Box<Network>> = Kept::default();
        let read = json::parse(&content).map_err(|error| Error::new(say!("{}", error.what)));
        match read.and_then(|value| record::take(&mut **network, &value)) {
            Ok(()) => Ok(Some(network)),
            Err(error) => Err(error.because(say!("read networks/{}", path))),
        }
    }

    /// Lets nobody else make or remove a network until [`Networks::make`] has been called.
    ///
    /// # Errors
    /// flock(2).
    pub fn hold(&self) -> Result<()> {
        file::lock(self.0, Lock::Exclusive)
    }

    /// Makes a network, under a new ID.
    ///
    /// # Errors
    /// `EEXIST` if there is one of this name; a subnet that overlaps another network's; what the file system refuses.
    pub fn make(&self, name: &str, network: &mut Network) -> Result<()> {
        let _why = because!("write down the network: beside its place first, then renamed");
        self.hold()?;
        let made = self.make_held(name, network);
        file::unlock(self.0)?;
        made
    }

    fn make_held(&self, name: &str, network: &mut Network) -> Result<()> {
        for (other, known) in self.all()?.iter().filter(|(other, _)| *other != name) {
            if let Some(theirs) = subnets(known).iter().find(|theirs| overlap(theirs, &subnets(network))) {
                return Err(Error::new(say!("the subnet overlaps {} of the network {}", theirs.text(), other))
                    .hint(phrase!("choose another --subnet, or none to have a free one chosen")));
            }
        }
        let mut random = [0u8; 32];
        process::random(&mut random)?;
        network.id = sha256::hex(&random).leak();
        network.created = process::clock(libc::CLOCK_REALTIME).rfc3339();
        let hidden = file::path(join!(".{}.{}", name, network.id.get(..12).unwrap_or_default()))?;
        let made = self.write(hidden, network).and_then(|()| {
            file::rename(self.0, hidden, self.0, file::path(name)?, false)?;
            file::sync(self.0)
        });
        if made.is_err() {
            let _ = file::remove_tree(self.0, hidden);
        }
        made
    }

    fn write(&self, hidden: &CStr, network: &mut Network) -> Result<()> {
        file::mkdir(self.0, hidden, 0o700)?;
        let directory = file::open(self.0, hidden, libc::O_RDONLY | libc::O_DIRECTORY)?;
        for name in [LEASES, NAMES] {
            file::mkdir(directory.by_ref(), name, 0o700)?;
        }
        let text = record::write(network).to_compact();
        let written = file::create(directory.by_ref(), FILE, libc::O_WRONLY | libc::O_CREAT, 0o644)?;
        file::write_all(written.by_ref(), text.as_bytes())?;
        file::sync(written.by_ref())?;
        file::sync(directory.by_ref())
    }

    /// Opens a network's directory.
    ///
    /// # Errors
    /// There is no such network; what the file system refuses.
    pub fn directory(&self, name: &str) -> Result<Fd> {
        if text::is_name(name) {
            match file::open(self.0, file::path(name)?, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW) {
                Err(error) if error.is(Errno::ENOENT) => {}
                result => return result,
            }
        }
        Err(self.missing(name))
    }

    /// Takes a lock on a network's directory; it goes with the descriptor.
    ///
    /// # Errors
    /// flock(2).
    pub fn lock(directory: &Fd, lock: Lock) -> Result<()> {
        file::lock(directory.by_ref(), lock)
    }

    /// Removes a network with what the kernel has of it.
    ///
    /// # Errors
    /// `ENOTEMPTY` if somebody has an address of it; there is no such network; what the file system or the kernel refuses.
    pub fn remove(&self, name: &str) -> Result<()> {
        let _why = because!("remove the network, if no container is on it");
        let directory = self.directory(name)?;
        Networks::lock(&directory, Lock::Exclusive)?;
        match file::rmdir(directory.by_ref(), LEASES) {
            // Removing it was cut short before.
            Err(error) if error.is(Errno::ENOENT) => {}
            result => result?,
        }
        let removed = match self.load(name) {
            Ok(Some(network)) => bridge::remove(&network).map(drop),
            result => result.map(drop),
        };
        if let Err(error) = removed {
            file::mkdir_if_missing(directory.by_ref(), LEASES, 0o700)?;
            return Err(error);
        }
        let hidden = file::path(join!(".{}", name))?;
        // What a removal that was killed has left would be in the way.
        file::remove_tree(self.0, hidden)?;
        file::rename(self.0, file::path(name)?, self.0, hidden, false)?;
        file::remove_tree(self.0, hidden)
    }

    /// Removes what killed commands have left of networks that were being made or removed; the names. With `dry` only tells
    /// them.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn clean(&self, dry: bool) -> Result<Vec<&'static str>> {
        let mut left = entries(self.0, c".")?;
        left.retain(|name| name.starts_with('.'));
        if !dry && !left.is_empty() {
            let _why = because!("finish what was cut short when networks were made or removed");
            self.hold()?;
            for name in &left {
                file::remove_tree(self.0, file::path(name)?)?;
            }
            file::unlock(self.0)?;
        }
        Ok(left)
    }

    /// The error for a network that is not there, with those that are.
    #[cold]
    #[must_use]
    pub fn missing(&self, name: &str) -> Error {
        let names = self.names().unwrap_or_default();
        let error = Error::new(say!("no such network: {}", name));
        match text::nearest(name, &mut names.iter().copied()) {
            Some(near) => error.hint(say!("did you mean {}?", near)),
            None if names.is_empty() => error.hint(phrase!("there are no networks; vial network create makes one")),
            None => error.hint(say!("there are: {}", &*names.join(", "))),
        }
    }
}

/// The names in a directory.
fn entries(parent: FdRef<'_>, path: &CStr) -> Result<Vec<&'static str>> {
    let directory = file::open(parent, path, libc::O_RDONLY | libc::O_DIRECTORY)?;
    let mut names = Vec::new();
    for entry in file::list(directory.by_ref())? {
        names.push(keep::lossy(entry.name.to_bytes()));
    }
    Ok(names)
}

/// The subnets that a network has.
#[must_use]
#[inline(never)]
pub fn subnets(network: &Network) -> Vec<Subnet> {
    let mut subnets = Vec::new();
    for text in [network.subnet, network.subnet6] {
        subnets.extend(Subnet::parse(text));
    }
    subnets
}

fn overlap(subnet: &Subnet, others: &[Subnet]) -> bool {
    others.iter().any(|other| subnet.overlaps(other))
}

/// A bridge network with free subnets: the first of `10.118.0.0/16` and those behind it that neither another network has nor
/// one of `taken` overlaps, and a random one of those that are anybody's own in IPv6, RFC 4193.
///
/// # Errors
/// None is free; what the file system refuses.
pub fn default_network(networks: &Networks, taken: &[Subnet], bridge: &'static str) -> Result<Network> {
    let mut taken = Vec::from(taken);
    for (_, known) in networks.all()? {
        taken.append(&mut subnets(known));
    }
    let candidates = (118..=255).chain(0..118);
    let mut free = candidates.map(|second| {
        let mut address = [0; 16];
        address[..12].copy_from_slice(&IPV4);
        address[12..14].copy_from_slice(&[10, second]);
        Subnet { address, bits: 112 }
    });
    let Some(subnet) = free.find(|subnet| !overlap(subnet, &taken)) else {
        return Err(Error::new(phrase!("no subnet 10.N.0.0/16 is free"))
            .hint(phrase!("make a network with one of your own: vial network create --subnet 172.20.0.0/16 NAME")));
    };
    let mut address = [0; 16];
    process::random(&mut address[1..6])?;
    address[0] = 0xfd;
    let subnet6 = Subnet { address, bits: 64 };
    let gateway = |subnet: &Subnet| address_text(&subnet.nth(1).unwrap_or_default());
    Ok(Network {
        driver: "bridge",
        bridge,
        subnet: subnet.text(),
        gateway: gateway(&subnet),
        subnet6: subnet6.text(),
        gateway6: gateway(&subnet6),
        ..Network::default()
    })
}

#[cfg(test)]
mod tests;
