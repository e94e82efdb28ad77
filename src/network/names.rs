//! What names lead to on a network: empty files, `names/NAME/ADDRESS`. Whoever is asked for a name lists a directory.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::{NAMES, address_text, entries};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::{self, Address};
use crate::sys::{FdRef, because, file};

/// The directory of a name; letters are the same in either case, RFC 4343.
fn directory(name: &str) -> &'static str {
    join!("names/{}", name.to_ascii_lowercase())
}

fn place(name: &str, address: &Address) -> Result<&'static CStr> {
    file::path(join!("{}/{}", directory(name), address_text(address)))
}

/// Makes a name lead to an address, besides others that it may lead to.
///
/// # Errors
/// What the file system refuses.
pub fn add(network: FdRef<'_>, name: &str, address: &Address) -> Result<()> {
    let _why = because!("let the network's other containers find this one by name");
    loop {
        file::mkdir_if_missing(network, file::path(directory(name))?, 0o700)?;
        match file::mknod(network, place(name, address)?, libc::S_IFREG | 0o600, (0, 0)) {
            // Whoever had the name took the directory along.
            Err(error) if error.is(Errno::ENOENT) => {}
            Err(error) if error.is(Errno::EEXIST) => return Ok(()),
            result => return result,
        }
    }
}

/// Makes a name lead to an address no more; that it does not is fine.
pub fn remove(network: FdRef<'_>, name: &str, address: &Address) {
    let _why = because!("let the container be found by name no more");
    let (Ok(place), Ok(directory)) = (place(name, address), file::path(directory(name))) else { return };
    let _ = file::unlink(network, place);
    // It stays as long as the name leads elsewhere.
    let _ = file::rmdir(network, directory);
}

/// Removes what leads to addresses that nobody has.
///
/// # Errors
/// What the file system refuses.
pub fn clean(network: FdRef<'_>, held: &[Address]) -> Result<()> {
    for name in entries(network, NAMES)? {
        let addresses = match entries(network, file::path(directory(name))?) {
            // Whoever had the name last has just given it up.
            Err(error) if error.is(Errno::ENOENT) => continue,
            addresses => addresses?,
        };
        for address in addresses {
            if let Some(address) = text::address(address).filter(|address| !held.contains(address)) {
                remove(network, name, &address);
            }
        }
        // One that leads nowhere, because whoever gave it up could not remove it.
        let _ = file::rmdir(network, file::path(directory(name))?);
    }
    Ok(())
}

/// The names that lead to an address.
#[must_use]
pub fn of(network: FdRef<'_>, address: &Address) -> Vec<&'static str> {
    let mut names = entries(network, NAMES).unwrap_or_default();
    names.retain(|name| place(name, address).is_ok_and(|place| file::exists(network, place)));
    names
}

#[cfg(test)]
mod tests {
    use super::super::Networks;
    use super::*;
    use crate::base::text;
    use crate::network::tests::{root, small};

    #[test]
    fn a_name_leads_to_all_its_addresses_and_goes_with_the_last() {
        let (root, path) = root("names");
        let networks = Networks::open(root.by_ref()).unwrap();
        networks.make("net", &mut small()).unwrap();
        let network = networks.directory("net").unwrap();
        let (one, two) = (text::address("192.0.2.2").unwrap(), text::address("fd00::2").unwrap());
        for (name, address) in [("Web", &one), ("web", &one), ("web", &two), ("www", &one)] {
            add(network.by_ref(), name, address).unwrap();
        }
        let mut names = of(network.by_ref(), &one);
        names.sort_unstable();
        assert_eq!((names, of(network.by_ref(), &two)), (vec!["web", "www"], vec!["web"]));
        assert!(path.join("networks/net/names/web/fd00::2").exists());
        remove(network.by_ref(), "web", &one);
        remove(network.by_ref(), "web", &one);
        assert_eq!(of(network.by_ref(), &two), ["web"]);
        remove(network.by_ref(), "WEB", &two);
        assert!(!path.join("networks/net/names/web").exists());
        std::fs::remove_dir_all(path).unwrap();
    }
}
