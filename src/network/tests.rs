//! Subnets as numbers, and networks on disk.

use std::path::PathBuf;

use super::*;
use crate::sys::fd::CWD;

/// A store of a test's own.
pub(super) fn root(name: &str) -> (Fd, PathBuf) {
    let path = std::env::temp_dir().join(format!("vial-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    (file::open(CWD, file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap(), path)
}

/// A network with few addresses.
pub(super) fn small() -> Network {
    Network { driver: "bridge", subnet: "192.0.2.0/29", gateway: "192.0.2.1", ..Network::default() }
}

fn subnet(text: &str) -> Subnet {
    Subnet::parse(text).unwrap()
}

#[test]
fn a_subnet_is_read_as_it_is_written() {
    for text in ["10.118.0.0/16", "0.0.0.0/0", "192.0.2.1/32", "fd00::/64", "::/0", "fd00:0:0:1::8/125", "::1/128"] {
        assert_eq!(subnet(text).to_string(), text);
    }
    assert_eq!((subnet("10.0.0.0/8").bits, subnet("10.0.0.0/8").prefix()), (104, 8));
    for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.1/8", "fd00::/129", "fd00::1/64", "10.0.0.0/", "10/8", "a/8"] {
        assert_eq!(Subnet::parse(text), None, "{text}");
    }
    assert_eq!(Subnet::parse("10.0.0.0/4294967295"), None);
}

#[test]
fn an_address_is_written_in_its_canonical_form() {
    // The examples of RFC 5952, sections 4 and 5, among others.
    for (text, canonical) in [
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8::ABCD:f", "2001:db8::abcd:f"),
        ("::", "::"),
        ("::1", "::1"),
        ("fd00::", "fd00::"),
        ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"),
        ("10.118.0.255", "10.118.0.255"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
    ] {
        assert_eq!(address_text(&text::address(text).unwrap()), canonical);
    }
    let mut state = 7u32;
    for _ in 0..2000 {
        let bytes: Address = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 30 == 0 { (state >> 16) as u8 } else { 0 }
        });
        assert_eq!(address_text(&bytes), std::net::Ipv6Addr::from(bytes).to_string());
    }
}

#[test]
fn what_is_in_a_subnet_and_what_overlaps_it() {
    let ten = subnet("10.118.0.0/16");
    for (text, inside) in [("10.118.0.0", true), ("10.118.255.255", true), ("10.119.0.0", false), ("fd00::1", false)] {
        assert_eq!(ten.contains(&text::address(text).unwrap()), inside, "{text}");
    }
    for (text, overlaps) in
        [("10.0.0.0/8", true), ("10.118.7.0/24", true), ("10.119.0.0/16", false), ("fd00::/8", false)]
    {
        assert_eq!((ten.overlaps(&subnet(text)), subnet(text).overlaps(&ten)), (overlaps, overlaps), "{text}");
    }
    let nth = |subnet: &Subnet, number| subnet.nth(number).map(|address| address_text(&address));
    assert_eq!((nth(&ten, 1), nth(&ten, 65536)), (Some("10.118.0.1"), None));
    assert_eq!(nth(&subnet("fd00::/64"), 0x1_0002), Some("fd00::1:2"));
    assert_eq!((ten.last(), ten.place(&text::address("10.118.1.2").unwrap())), (65535, 258));
    assert_eq!(subnet("::/0").last(), u64::MAX);
}

#[test]
fn a_network_is_made_whole_once_and_removed() {
    let (root, path) = root("networks");
    let networks = Networks::open(root.by_ref()).unwrap();
    assert_eq!((networks.names().unwrap(), networks.load("net").unwrap()), (vec![], None));
    let mut network = Network { mtu: 1400, labels: vec![("a", "b")], internal: true, ..small() };
    networks.make("net", &mut network).unwrap();
    assert_eq!((network.id.len(), networks.load("net").unwrap().unwrap().into_inner()), (64, Box::new(network)));
    assert!(networks.make("net", &mut small()).unwrap_err().is(Errno::EEXIST));
    let error = networks.make("other", &mut small()).unwrap_err().to_string();
    assert!(error.contains("overlaps 192.0.2.0/29 of the network net"), "{error}");
    assert_eq!(std::fs::read_dir(path.join("networks")).unwrap().count(), 1, "nothing is left of what failed");

    for (name, hint) in [("nte", "did you mean net?"), ("elsewhere", "there are: net"), ("../names", "there are: net")]
    {
        let error = networks.directory(name).unwrap_err().to_string();
        assert!(error.contains(&format!("no such network: {name}")) && error.contains(hint), "{error}");
        assert_eq!(networks.load(name).unwrap(), None);
    }
    // Killed half-way, both times.
    std::fs::create_dir_all(path.join("networks/.net/names")).unwrap();
    std::fs::remove_dir(path.join("networks/net/leases")).unwrap();
    networks.remove("net").unwrap();
    std::fs::create_dir_all(path.join("networks/.left.0123/leases")).unwrap();
    assert_eq!(networks.clean(true).unwrap(), [".left.0123"]);
    assert_eq!(networks.clean(false).unwrap(), [".left.0123"]);
    assert_eq!(std::fs::read_dir(path.join("networks")).unwrap().count(), 0);
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn the_default_networks_subnet_avoids_what_is_taken() {
    let (root, path) = root("default");
    let networks = Networks::open(root.by_ref()).unwrap();
    let mut first = default_network(&networks, &[], "vial0").unwrap();
    assert_eq!((first.subnet, first.gateway, first.bridge), ("10.118.0.0/16", "10.118.0.1", "vial0"));
    let local = Subnet::parse(first.subnet6).unwrap();
    assert!(subnet("fd00::/8").overlaps(&local) && local.bits == 64);
    assert_eq!(text::address(first.gateway6), local.nth(1));
    networks.hold().unwrap();
    networks.make(DEFAULT, &mut first).unwrap();
    let routes = [subnet("10.119.3.0/24"), subnet("10.120.0.0/15"), subnet("fd00::/8")];
    assert_eq!(default_network(&networks, &routes, "vial1").unwrap().subnet, "10.122.0.0/16");
    assert!(default_network(&networks, &[subnet("10.0.0.0/8")], "vial1").is_err());
    std::fs::remove_dir_all(path).unwrap();
}
