//! Messages as the kernel has them, byte for byte: `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`,
//! `linux/veth.h`, `linux/if_bridge.h`. On all machines that vial runs on numbers have their lowest byte first.

use super::*;
use crate::kernel::netlink::wire::{attribute, next_message, number, text};

const FOUR: Address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 118, 0, 5];
const SIX: Address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];

fn made(make: impl FnOnce(&mut Datagram)) -> Vec<u8> {
    let mut datagram = Datagram::default();
    make(&mut datagram);
    datagram.finish().to_vec()
}

/// The only message in there: its kind, and its fixed part and attributes.
fn body(bytes: &[u8]) -> (u16, &[u8]) {
    let mut rest = bytes;
    let (kind, _, body) = next_message(&mut rest).expect("there is a message");
    assert!(rest.is_empty());
    (kind, body)
}

#[rustfmt::skip]
const PAIR: &[u8] = &[
    144, 0, 0, 0, 16, 0, 0x01, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,    // RTM_NEWLINK, NLM_F_REQUEST | NLM_F_EXCL | NLM_F_CREATE
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,             // struct ifinfomsg
    15, 0, 3, 0, b'v', b'l', b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'a', 0, 0,  // IFLA_IFNAME, and padding
    8, 0, 4, 0, 0x78, 5, 0, 0,                                  // IFLA_MTU: 1400
    8, 0, 10, 0, 2, 0, 0, 0,                                    // IFLA_MASTER: interface 2
    80, 0, 18, 0x80,                                            // IFLA_LINKINFO | NLA_F_NESTED
      9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0,           //   IFLA_INFO_KIND
      64, 0, 2, 0x80,                                           //   IFLA_INFO_DATA
        60, 0, 1, 0x80,                                         //     VETH_INFO_PEER
          0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,       //       struct ifinfomsg
          9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0,       //       IFLA_IFNAME
          10, 0, 1, 0, 2, 0x76, 10, 118, 0, 5, 0, 0,            //       IFLA_ADDRESS
          8, 0, 4, 0, 0x78, 5, 0, 0,                            //       IFLA_MTU
          8, 0, 28, 0, 9, 0, 0, 0,                              //       IFLA_NET_NS_FD
];

#[rustfmt::skip]
const PORT_SET: &[u8] = &[
    92, 0, 0, 0, 16, 0, 0x01, 0, 2, 0, 0, 0, 0, 0, 0, 0,        // RTM_NEWLINK, NLM_F_REQUEST; the second message
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,             // struct ifinfomsg
    15, 0, 3, 0, b'v', b'l', b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'a', 0, 0,  // IFLA_IFNAME
    28, 0, 18, 0x80,                                            // IFLA_LINKINFO
      11, 0, 4, 0, b'b', b'r', b'i', b'd', b'g', b'e', 0, 0,    //   IFLA_INFO_SLAVE_KIND
      12, 0, 5, 0x80,                                           //   IFLA_INFO_SLAVE_DATA
        5, 0, 4, 0, 1, 0, 0, 0,                                 //     IFLA_BRPORT_MODE: hairpin
    16, 0, 26, 0x80,                                            // IFLA_AF_SPEC
      12, 0, 10, 0x80,                                          //   AF_INET6
        5, 0, 8, 0, 1, 0, 0, 0,                                 //     IFLA_INET6_ADDR_GEN_MODE: IN6_ADDR_GEN_MODE_NONE
    48, 0, 0, 0, 16, 0, 0x05, 0, 3, 0, 0, 0, 0, 0, 0, 0,        // RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK; the third message
    0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,             // struct ifinfomsg: IFF_UP, of which that changes
    15, 0, 3, 0, b'v', b'l', b'0', b'1', b'2', b'3', b'4', b'5', b'6', b'a', 0, 0,  // IFLA_IFNAME
];

#[test]
fn a_pair_has_its_inner_end_in_the_namespace_and_its_outer_one_at_the_bridge_as_a_hairpin_without_addresses() {
    let outer = New { name: "vl0123456a", mac: Some(mac(&FOUR)), mtu: 1400, over: 2, namespace: 9, has_ipv6: true };
    let bytes = made(|datagram| {
        datagram.pair("eth0", &outer);
        datagram.acknowledge();
    });
    let (pair, port) = bytes.split_at(PAIR.len().min(bytes.len()));
    assert_eq!(pair, PAIR);
    assert_eq!(port, PORT_SET);

    let (kind, message) = body(PAIR);
    assert_eq!(
        (kind, text(attribute(&message[16..], NAME)), number(&message[16..], MASTER)),
        (16, &b"vl0123456a"[..], 2)
    );
    let link = read_link(message).expect("a link");
    assert_eq!(link, Link { index: 0, mtu: 1400, mac: [0; 6], up: false });
    let peer = attribute(attribute(attribute(&message[16..], INFO), DATA), PEER);
    let link = read_link(peer).expect("a link");
    assert_eq!(link, Link { index: 0, mtu: 1400, mac: [2, 0x76, 10, 118, 0, 5], up: false });
    assert_eq!(number(&peer[16..], NAMESPACE), 9);
}

#[rustfmt::skip]
const CUT_OFF: &[u8] = &[
    48, 0, 0, 0, 19, 0, 0x05, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK
    7, 0, 0, 0, 0x2c, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,          // struct ifinfomsg: AF_BRIDGE, interface 300
    16, 0, 12, 0x80,                                            // IFLA_PROTINFO | NLA_F_NESTED
      5, 0, 1, 0, 0, 0, 0, 0,                                   //   IFLA_BRPORT_STATE: BR_STATE_DISABLED
      4, 0, 24, 0,                                              //   IFLA_BRPORT_FLUSH
];

#[test]
fn an_interface_is_cut_off_from_its_bridge() {
    let bytes = made(|datagram| {
        datagram.cut_off(300);
        datagram.acknowledge();
    });
    assert_eq!(bytes, CUT_OFF);
    assert_eq!(read_link(body(CUT_OFF).1).map(|link| link.index), Some(300));
}

#[rustfmt::skip]
const CONFIGURED: &[u8] = &[
    32, 0, 0, 0, 16, 0, 0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // RTM_NEWLINK
    0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,             // struct ifinfomsg: interface 2, IFF_UP
    48, 0, 0, 0, 20, 0, 0x01, 0x06, 2, 0, 0, 0, 0, 0, 0, 0,     // RTM_NEWADDR, NLM_F_REQUEST | NLM_F_EXCL | NLM_F_CREATE
    2, 16, 0, 0, 2, 0, 0, 0,                                    // struct ifaddrmsg: AF_INET, 16 bits, interface 2
    8, 0, 2, 0, 10, 118, 0, 5,                                  // IFA_LOCAL
    8, 0, 1, 0, 10, 118, 0, 5,                                  // IFA_ADDRESS
    8, 0, 8, 0, 2, 0, 0, 0,                                     // IFA_FLAGS: IFA_F_NODAD
    36, 0, 0, 0, 24, 0, 0x01, 0x06, 3, 0, 0, 0, 0, 0, 0, 0,     // RTM_NEWROUTE
    2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0,                       // struct rtmsg: RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST
    8, 0, 5, 0, 10, 118, 0, 1,                                  // RTA_GATEWAY
    72, 0, 0, 0, 20, 0, 0x05, 0x06, 4, 0, 0, 0, 0, 0, 0, 0,     // RTM_NEWADDR, and NLM_F_ACK
    10, 64, 0, 0, 2, 0, 0, 0,                                   // AF_INET6, 64 bits, interface 2
    20, 0, 2, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
    20, 0, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
    8, 0, 8, 0, 2, 0, 0, 0,
];

#[test]
fn an_interface_is_set_up_and_has_addresses_and_the_way_out() {
    let bytes = made(|datagram| {
        datagram.up(2);
        datagram.address(2, &FOUR, 16);
        datagram.default_route(&[&FOUR[..15], &[1]].concat().try_into().unwrap());
        datagram.address(2, &SIX, 64);
        datagram.acknowledge();
    });
    assert_eq!(bytes, CONFIGURED);

    let (mut rest, mut kinds) = (CONFIGURED, Vec::new());
    while let Some((kind, number, body)) = next_message(&mut rest) {
        kinds.push((kind, number));
        match kind {
            libc::RTM_NEWLINK => assert!(read_link(body).is_some_and(|link| link.up && link.index == 2)),
            libc::RTM_NEWROUTE => {
                assert_eq!(
                    read_route(body),
                    Some(Route { to: [&IPV4[..], &[0; 4]].concat().try_into().unwrap(), bits: 96, out: 0 })
                );
            }
            _ => {
                let own = address(attribute(&body[8..], LOCAL));
                assert_eq!(own, Some(if body[0] == 2 { FOUR } else { SIX }));
                assert_eq!(own, address(attribute(&body[8..], ADDRESS)));
            }
        }
    }
    assert_eq!(kinds, [(16, 1), (20, 2), (24, 3), (20, 4)]);
}

#[rustfmt::skip]
const BRIDGE: &[u8] = &[
    72, 0, 0, 0, 16, 0, 0x01, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,     // RTM_NEWLINK, NLM_F_REQUEST | NLM_F_EXCL | NLM_F_CREATE
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,             // struct ifinfomsg
    10, 0, 3, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // IFLA_IFNAME
    10, 0, 1, 0, 2, 0x76, 10, 118, 0, 5, 0, 0,                  // IFLA_ADDRESS
    16, 0, 18, 0x80,                                            // IFLA_LINKINFO
      11, 0, 1, 0, b'b', b'r', b'i', b'd', b'g', b'e', 0, 0,    //   IFLA_INFO_KIND
];

#[test]
fn a_bridge_has_a_name_and_a_hardware_address() {
    let new = New { name: "vial0", mac: Some(mac(&FOUR)), ..New::default() };
    assert_eq!(made(|datagram| datagram.bridge(&new)), BRIDGE);
    let link = read_link(body(BRIDGE).1);
    assert_eq!(link, Some(Link { index: 0, mtu: 0, mac: mac(&FOUR), up: false }));
}

#[rustfmt::skip]
const MOVED: &[u8] = &[
    52, 0, 0, 0, 16, 0, 0x05, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
    0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,             // struct ifinfomsg: interface 7, of which no flag changes
    11, 0, 3, 0, b'i', b'n', b's', b'i', b'd', b'e', 0, 0,      // IFLA_IFNAME
    8, 0, 28, 0, 9, 0, 0, 0,                                    // IFLA_NET_NS_FD
];

#[test]
fn an_interface_is_moved_under_a_name_with_the_addresses_that_stay() {
    let bytes = made(|datagram| {
        datagram.moved(7, "inside", 9);
        datagram.acknowledge();
    });
    assert_eq!(bytes, MOVED);
    // struct ifaddrmsg: IPv4, 24 bits, scope, interface 7; IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS.
    let told = |scope: u8, flags: u8| {
        [
            &[2u8, 24, 0x80, scope, 7, 0, 0, 0][..],
            &[8, 0, 1, 0, 10, 0, 0, 1],
            &[8, 0, 2, 0, 10, 0, 0, 1],
            &[8, 0, 4, 0, 10, 0, 0, 255],
            &[8, 0, 8, 0, flags, 0, 0, 0],
        ]
        .concat()
    };
    let held = read_held(&told(0, 0x80), 7).unwrap();
    assert_eq!(
        held,
        Held { kind: [2, 24], local: vec![10, 0, 0, 1], address: vec![10, 0, 0, 1], broadcast: vec![10, 0, 0, 255] }
    );
    assert_eq!(read_held(&told(253, 0x80), 7), None, "of the link only");
    assert_eq!(read_held(&told(0, 0), 7), None, "for some time only");
    assert_eq!(read_held(&told(0, 0x80), 8), None, "another interface's");
    let bytes = made(|datagram| datagram.held(3, &held));
    let (kind, body) = body(&bytes);
    assert_eq!((kind, &body[..8]), (libc::RTM_NEWADDR, &[2, 24, 0, 0, 3, 0, 0, 0][..]));
    assert_eq!(
        (attribute(&body[8..], 2), attribute(&body[8..], 4), number(&body[8..], 8)),
        (&[10, 0, 0, 1][..], &[10, 0, 0, 255][..], 2)
    );
}
