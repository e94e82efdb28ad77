//! Who has which address of a network: a file for each, which is there as a whole or not at all.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::{LEASES, LIMIT, Subnet, address_text, entries, is_ipv4};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{self, Address, Cut};
use crate::sys::file;
use crate::sys::{FdRef, because};

/// What the name of a file begins with that is about to say who has an address.
const NEW: &str = "lease.";

/// Takes an address of a network: this one, or the lowest that is free. `content` is what is said of it: in the first line the
/// container's ID.
///
/// # Errors
/// The address is not in the subnet, is the network's own or taken; none is free; the network is being removed; what the file
/// system refuses.
pub fn lease(
    network: FdRef<'_>,
    subnet: &Subnet,
    gateway: &Address,
    wanted: Option<Address>,
    content: &str,
) -> Result<Address> {
    let _why = because!("take an address of the network");
    // The first address means the network itself, and the last one of IPv4 everybody on it.
    let last = subnet.last().saturating_sub(is_ipv4(&subnet.address).into());
    if let Some(wanted) = &wanted {
        let text = address_text(wanted);
        if !subnet.contains(wanted) {
            return Err(Error::new(say!("the address {} is not in the subnet {}", text, subnet.text())));
        }
        if wanted == gateway || !subnet.is_host(wanted) {
            return Err(Error::new(say!("the address {} is the network's own", text)));
        }
    }
    let new = file::path(join!("{}{}", NEW, first_line(content)))?;
    file::write_file(network, new, content.as_bytes(), 0o600)?;
    let found = find(network, subnet, gateway, wanted, last, new);
    if found.is_err() {
        let _ = file::unlink(network, new);
    }
    found
}

fn find(
    network: FdRef<'_>,
    subnet: &Subnet,
    gateway: &Address,
    wanted: Option<Address>,
    last: u64,
    new: &CStr,
) -> Result<Address> {
    let begin = if wanted.is_some() { 1 } else { likely(network, subnet, gateway, last)? };
    for number in (begin..=last).chain(1..begin) {
        let address = wanted.or_else(|| subnet.nth(number)).unwrap_or_default();
        if address == *gateway {
            continue;
        }
        match file::rename(network, new, network, place(&address)?, false) {
            Err(error) if error.is(Errno::EEXIST) && wanted.is_none() => {}
            Err(error) if error.is(Errno::EEXIST) => {
                let holder = holder(network, &address).unwrap_or_default();
                let short = holder.get(..12).unwrap_or(holder);
                return Err(Error::new(say!(
                    "the address {} is in use by container {}",
                    address_text(&address),
                    short
                )));
            }
            Err(error) if error.is(Errno::ENOENT) => {
                return Err(error.hint(phrase!("the network is being removed")));
            }
            result => return result.map(|()| address),
        }
    }
    Err(Error::new(say!("no address of the subnet {} is free", subnet.text())))
}

/// The number of an address that is free, and the one before it is not: the lowest free one, if none was given back. It takes few
/// looks, however many are taken. If none is found it is 1.
fn likely(network: FdRef<'_>, subnet: &Subnet, gateway: &Address, last: u64) -> Result<u64> {
    let is_free = |number| -> Result<bool> {
        match subnet.nth(number) {
            Some(address) if address != *gateway => Ok(!file::is_there(network, place(&address)?)?),
            _ => Ok(false),
        }
    };
    let (mut taken, mut free) = (0, 1);
    while !is_free(free)? {
        (taken, free) = (free, free.saturating_mul(2));
        if free > last {
            return Ok(1);
        }
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        *(if is_free(middle)? { &mut free } else { &mut taken }) = middle;
    }
    Ok(free)
}

fn first_line(content: &str) -> &str {
    content.cut(b'\n').map_or(content, |(line, _)| line)
}

/// Where it is written who has an address.
fn place(address: &Address) -> Result<&'static CStr> {
    file::path(join!("leases/{}", address_text(address)))
}

/// Gives an address back; that nobody has it is fine.
///
/// # Errors
/// What the file system refuses.
pub fn release(network: FdRef<'_>, address: &Address) -> Result<()> {
    let _why = because!("give the address back");
    match file::unlink(network, place(address)?) {
        Err(error) if error.is(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

/// Removes what killed commands have left that were about to take an address. Whoever does so holds the network's lock meanwhile,
/// shared, and whoever calls this alone.
///
/// # Errors
/// What the file system refuses.
pub fn clean(network: FdRef<'_>) -> Result<()> {
    for name in entries(network, c".")? {
        if name.starts_with(NEW) {
            file::unlink(network, file::path(name)?)?;
        }
    }
    Ok(())
}

/// The addresses that somebody has.
fn addresses(network: FdRef<'_>) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    match entries(network, LEASES) {
        // It is being removed.
        Err(error) if error.is(Errno::ENOENT) => {}
        result => {
            for name in result? {
                addresses.extend(text::address(name));
            }
        }
    }
    Ok(addresses)
}

/// The ID of the container that has an address, if it still has it.
fn holder(network: FdRef<'_>, address: &Address) -> Result<&'static str> {
    match file::read_file(network, place(address)?, LIMIT) {
        Err(error) if error.is(Errno::ENOENT) => Ok(""),
        content => Ok(first_line(keep::lossy(&content?))),
    }
}

/// The addresses that somebody has, and the IDs of the containers that have them.
///
/// # Errors
/// What the file system refuses.
pub fn leases(network: FdRef<'_>) -> Result<Vec<(Address, &'static str)>> {
    let _why = because!("look who has which address of the network");
    let mut leases = Vec::new();
    for address in addresses(network)? {
        let id = holder(network, &address)?;
        if !id.is_empty() {
            leases.push((address, id));
        }
    }
    Ok(leases)
}

#[cfg(test)]
mod tests {
    use super::super::Networks;
    use super::*;
    use crate::network::tests::{root, small};

    #[test]
    fn the_lowest_free_address_is_taken_and_none_twice() {
        let (root, path) = root("ipam");
        let networks = Networks::open(root.by_ref()).unwrap();
        networks.make("net", &mut small()).unwrap();
        let directory = networks.directory("net").unwrap();
        let subnet = Subnet::parse("192.0.2.0/29").unwrap();
        let gateway = text::address("192.0.2.1").unwrap();
        let take = |wanted: Option<&str>| {
            let wanted = wanted.map(|text| text::address(text).unwrap());
            let content = "0123456789abcdef\ndns 192.0.2.9\n";
            lease(directory.by_ref(), &subnet, &gateway, wanted, content)
                .map(|address| address_text(&address))
                .map_err(|error| error.to_string())
        };
        assert_eq!(take(None).unwrap(), "192.0.2.2");
        assert_eq!(take(Some("192.0.2.4")).unwrap(), "192.0.2.4");
        assert_eq!(take(None).unwrap(), "192.0.2.3");
        for (wanted, why) in [
            ("192.0.2.4", "in use by container 0123456789ab"),
            ("192.0.2.1", "the network's own"),
            ("192.0.2.0", "the network's own"),
            ("192.0.2.7", "the network's own"),
            ("192.0.2.8", "not in the subnet 192.0.2.0/29"),
            ("fd00::1", "not in the subnet"),
        ] {
            let error = take(Some(wanted)).unwrap_err();
            assert!(error.contains(why), "{wanted}: {error}");
        }
        assert_eq!(take(None).unwrap(), "192.0.2.5");
        assert_eq!(take(None).unwrap(), "192.0.2.6");
        assert!(take(None).unwrap_err().contains("no address of the subnet 192.0.2.0/29 is free"));
        release(directory.by_ref(), &text::address("192.0.2.3").unwrap()).unwrap();
        release(directory.by_ref(), &text::address("192.0.2.3").unwrap()).unwrap();
        assert_eq!(take(None).unwrap(), "192.0.2.3");

        let all = leases(directory.by_ref()).unwrap();
        assert_eq!((all.len(), all[0].1), (5, "0123456789abcdef"));
        assert!(networks.remove("net").unwrap_err().is(Errno::ENOTEMPTY));
        for (address, _) in all {
            release(directory.by_ref(), &address).unwrap();
        }
        networks.remove("net").unwrap();
        assert!(take(None).is_err());
        assert!(leases(directory.by_ref()).unwrap().is_empty());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn many_addresses_are_taken_in_order_and_those_that_were_given_back_are_found() {
        let (root, path) = root("ipam-many");
        let networks = Networks::open(root.by_ref()).unwrap();
        networks.make("net", &mut small()).unwrap();
        let directory = networks.directory("net").unwrap();
        let subnet = Subnet::parse("192.0.2.0/24").unwrap();
        let gateway = text::address("192.0.2.254").unwrap();
        let take = || lease(directory.by_ref(), &subnet, &gateway, None, "id\n").map(|address| address[15]);
        for number in 1..=200 {
            assert_eq!(take().unwrap(), number);
        }
        // What is next to one that is taken, or the end of all.
        for number in [60, 61, 100] {
            release(directory.by_ref(), &subnet.nth(number).unwrap()).unwrap();
        }
        let mut rest: Vec<u8> = (0..56).map(|_| take().unwrap()).collect();
        rest.sort_unstable();
        assert_eq!(rest, [60, 61, 100].into_iter().chain(201..=253).collect::<Vec<u8>>());
        assert!(take().unwrap_err().to_string().contains("no address of the subnet 192.0.2.0/24 is free"));
        std::fs::remove_dir_all(path).unwrap();
    }
}
