//! Messages as the kernel has them, byte for byte: `linux/netfilter/nfnetlink.h`, `linux/netfilter/nf_tables.h`,
//! `linux/netfilter/nfnetlink_conntrack.h`. Headers have their lowest byte first, numbers in attributes their highest.

use super::*;
use crate::kernel::netlink::wire::{attribute, next_attribute, next_message, text};

mod whole;

const SUBNET: Address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 118, 0, 0];
const OWN: Address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 118, 0, 5];

fn made(make: impl FnOnce(&mut Datagram)) -> Vec<u8> {
    let mut datagram = Datagram::default();
    datagram.begin_batch();
    make(&mut datagram);
    datagram.end_batch();
    datagram.finish().to_vec()
}

/// All messages in there: their kinds and what follows the header.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    while let Some((kind, number, body)) = next_message(&mut bytes) {
        all.push((kind, body));
        assert_eq!(number as usize, all.len());
    }
    all
}

#[rustfmt::skip]
const INTERNAL: &[u8] = &[
    20, 0, 0, 0, 16, 0, 0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST
    0, 0, 0, 10,                                                // struct nfgenmsg: res_id NFNL_SUBSYS_NFTABLES
    32, 0, 0, 0, 0, 10, 0x01, 0x04, 2, 0, 0, 0, 0, 0, 0, 0,     // NFT_MSG_NEWTABLE, NLM_F_CREATE: so that it can be deleted
    2, 0, 0, 0,                                                 // struct nfgenmsg: NFPROTO_IPV4
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_TABLE_NAME
    32, 0, 0, 0, 2, 10, 0x01, 0, 3, 0, 0, 0, 0, 0, 0, 0,        // NFT_MSG_DELTABLE
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,
    32, 0, 0, 0, 0, 10, 0x01, 0x06, 4, 0, 0, 0, 0, 0, 0, 0,     // NFT_MSG_NEWTABLE, NLM_F_EXCL | NLM_F_CREATE
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,
    76, 0, 0, 0, 3, 10, 0x01, 0x04, 5, 0, 0, 0, 0, 0, 0, 0,     // NFT_MSG_NEWCHAIN, NLM_F_CREATE
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_CHAIN_TABLE
    12, 0, 3, 0, b'f', b'o', b'r', b'w', b'a', b'r', b'd', 0,   // NFTA_CHAIN_NAME
    20, 0, 4, 0x80,                                             // NFTA_CHAIN_HOOK | NLA_F_NESTED
      8, 0, 1, 0, 0, 0, 0, 2,                                   //   NFTA_HOOK_HOOKNUM: NF_INET_FORWARD
      8, 0, 2, 0, 0, 0, 0, 0,                                   //   NFTA_HOOK_PRIORITY: NF_IP_PRI_FILTER
    11, 0, 7, 0, b'f', b'i', b'l', b't', b'e', b'r', 0, 0,      // NFTA_CHAIN_TYPE
    0x18, 1, 0, 0, 6, 10, 0x01, 0x0c, 6, 0, 0, 0, 0, 0, 0, 0,   // NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_RULE_TABLE
    12, 0, 2, 0, b'f', b'o', b'r', b'w', b'a', b'r', b'd', 0,   // NFTA_RULE_CHAIN
    236, 0, 4, 0x80,                                            // NFTA_RULE_EXPRESSIONS
      36, 0, 1, 0x80,                                           //   NFTA_LIST_ELEM
        9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0,         //     NFTA_EXPR_NAME
        20, 0, 2, 0x80,                                         //     NFTA_EXPR_DATA
          8, 0, 1, 0, 0, 0, 0, 8,                               //       NFTA_META_DREG: NFT_REG32_00
          8, 0, 2, 0, 0, 0, 0, 7,                               //       NFTA_META_KEY: NFT_META_OIFNAME
      56, 0, 1, 0x80,
        8, 0, 1, 0, b'c', b'm', b'p', 0,
        44, 0, 2, 0x80,
          8, 0, 1, 0, 0, 0, 0, 8,                               //       NFTA_CMP_SREG
          8, 0, 2, 0, 0, 0, 0, 0,                               //       NFTA_CMP_OP: NFT_CMP_EQ
          24, 0, 3, 0x80,                                       //       NFTA_CMP_DATA
            20, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // NFTA_DATA_VALUE
      36, 0, 1, 0x80,
        9, 0, 1, 0, b'm', b'e', b't', b'a', 0, 0, 0, 0,
        20, 0, 2, 0x80,
          8, 0, 1, 0, 0, 0, 0, 8,
          8, 0, 2, 0, 0, 0, 0, 6,                               //       NFT_META_IIFNAME
      56, 0, 1, 0x80,
        8, 0, 1, 0, b'c', b'm', b'p', 0,
        44, 0, 2, 0x80,
          8, 0, 1, 0, 0, 0, 0, 8,
          8, 0, 2, 0, 0, 0, 0, 1,                               //       NFT_CMP_NEQ
          24, 0, 3, 0x80,
            20, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      48, 0, 1, 0x80,
        14, 0, 1, 0, b'i', b'm', b'm', b'e', b'd', b'i', b'a', b't', b'e', 0, 0, 0,
        28, 0, 2, 0x80,
          8, 0, 1, 0, 0, 0, 0, 0,                               //       NFTA_IMMEDIATE_DREG: NFT_REG_VERDICT
          16, 0, 2, 0x80,                                       //       NFTA_IMMEDIATE_DATA
            12, 0, 2, 0x80,                                     //         NFTA_DATA_VERDICT
              8, 0, 1, 0, 0, 0, 0, 0,                           //           NFTA_VERDICT_CODE: NF_DROP
];

#[test]
fn an_internal_networks_table_drops_what_would_get_in_or_out() {
    let filter = Filter { bridge: "vial0", internal: true };
    let bytes = made(|datagram| datagram.filter(&filter, &SUBNET, 112));
    assert_eq!(bytes[..INTERNAL.len()], *INTERNAL);
    // The other rule is the same with both interfaces exchanged, and asks for an acknowledgement; then the batch ends.
    let all = messages(&bytes);
    assert_eq!(
        all.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [16, 0xa00, 0xa02, 0xa00, 0xa03, 0xa06, 0xa06, 17]
    );
    assert_eq!(bytes[bytes.len() - 20..], [20, 0, 0, 0, 17, 0, 0x01, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10]);
    let mut expressions = attribute(&all[6].1[4..], RULE_EXPRESSIONS);
    let mut shown = Vec::new();
    while let Some((ELEMENT, element)) = next_attribute(&mut expressions) {
        let second = attribute(attribute(element, 2), 2);
        shown.push((text(attribute(element, 1)), second.last().copied().unwrap_or_default()));
    }
    assert_eq!(shown, [(&b"meta"[..], 6), (b"cmp", 0), (b"meta", 7), (b"cmp", 1), (b"immediate", 0)]);
}

#[rustfmt::skip]
const MAPS: [&[u8]; 2] = [&[
    2, 0, 0, 0,                                                 // struct nfgenmsg: NFPROTO_IPV4
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_SET_TABLE
    14, 0, 2, 0, b'p', b'u', b'b', b'l', b'i', b's', b'h', b'e', b'd', 0, 0, 0,  // NFTA_SET_NAME
    8, 0, 3, 0, 0, 0, 0, 8,                                     // NFTA_SET_FLAGS: NFT_SET_MAP
    8, 0, 4, 0, 0, 0, 0x03, 0x0d,                               // NFTA_SET_KEY_TYPE: inet_proto . inet_service, 6 bits each
    8, 0, 5, 0, 0, 0, 0, 8,                                     // NFTA_SET_KEY_LEN
    8, 0, 6, 0, 0, 0, 0x01, 0xcd,                               // NFTA_SET_DATA_TYPE: ipv4_addr . inet_service
    8, 0, 7, 0, 0, 0, 0, 8,                                     // NFTA_SET_DATA_LEN
    8, 0, 10, 0, 0, 0, 0, 0,                                    // NFTA_SET_ID
], &[
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,
    17, 0, 2, 0, b'p', b'u', b'b', b'l', b'i', b's', b'h', b'e', b'd', b'_', b'a', b't', 0, 0, 0, 0,
    8, 0, 3, 0, 0, 0, 0, 8,
    8, 0, 4, 0, 0, 0, 0x73, 0x0d,                               // ipv4_addr . inet_proto . inet_service
    8, 0, 5, 0, 0, 0, 0, 12,
    8, 0, 6, 0, 0, 0, 0x01, 0xcd,
    8, 0, 7, 0, 0, 0, 0, 8,
    8, 0, 10, 0, 0, 0, 0, 4,
]];

#[test]
fn a_network_that_leads_out_has_two_maps_and_four_chains() {
    let filter = Filter { bridge: "vial0", internal: false };
    let bytes = made(|datagram| datagram.filter(&filter, &SUBNET, 112));
    let all = messages(&bytes);
    let of = |wanted: u16| all.iter().filter(|(kind, _)| *kind == wanted).map(|(_, body)| *body).collect::<Vec<_>>();
    assert_eq!(of(NEW_SET), MAPS);
    let chains: Vec<&[u8]> = of(NEW_CHAIN).iter().map(|body| text(attribute(&body[4..], CHAIN_NAME))).collect();
    assert_eq!(chains, [&b"prerouting"[..], b"output", b"postrouting", b"forward"]);
    let rules: Vec<&[u8]> = of(NEW_RULE).iter().map(|body| text(attribute(&body[4..], RULE_CHAIN))).collect();
    let nat = [&b"prerouting"[..], b"output", b"prerouting", b"output"];
    assert_eq!(rules, [&[&b"forward"[..], b"postrouting", b"postrouting"], &nat[..]].concat());
    // None of the chains of its own is one that drops all it does not know.
    assert!(of(NEW_CHAIN).into_iter().all(|body| read_dropping(body).is_none()));
}

#[rustfmt::skip]
const PUBLISHED: &[u8] = &[
    20, 0, 0, 0, 16, 0, 0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // NFNL_MSG_BATCH_BEGIN
    0, 0, 0, 10,
    88, 0, 0, 0, 12, 10, 0x01, 0x06, 2, 0, 0, 0, 0, 0, 0, 0,    // NFT_MSG_NEWSETELEM, NLM_F_EXCL | NLM_F_CREATE
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_SET_ELEM_LIST_TABLE
    14, 0, 2, 0, b'p', b'u', b'b', b'l', b'i', b's', b'h', b'e', b'd', 0, 0, 0,  // NFTA_SET_ELEM_LIST_SET
    40, 0, 3, 0x80,                                             // NFTA_SET_ELEM_LIST_ELEMENTS
      36, 0, 1, 0x80,                                           //   NFTA_LIST_ELEM
        16, 0, 1, 0x80,                                         //     NFTA_SET_ELEM_KEY
          12, 0, 1, 0, 6, 0, 0, 0, 0x1f, 0x90, 0, 0,            //       NFTA_DATA_VALUE: TCP, port 8080
        16, 0, 2, 0x80,                                         //     NFTA_SET_ELEM_DATA
          12, 0, 1, 0, 10, 118, 0, 5, 0, 80, 0, 0,              //       10.118.0.5, port 80
    96, 0, 0, 0, 12, 10, 0x05, 0x06, 3, 0, 0, 0, 0, 0, 0, 0,    // and NLM_F_ACK
    2, 0, 0, 0,
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,
    17, 0, 2, 0, b'p', b'u', b'b', b'l', b'i', b's', b'h', b'e', b'd', b'_', b'a', b't', 0, 0, 0, 0,
    44, 0, 3, 0x80,
      40, 0, 1, 0x80,
        20, 0, 1, 0x80,
          16, 0, 1, 0, 198, 51, 100, 1, 17, 0, 0, 0, 0, 53, 0, 0,  //    198.51.100.1, UDP, port 53
        16, 0, 2, 0x80,
          12, 0, 1, 0, 10, 118, 0, 5, 0x14, 0xe9, 0, 0,         //       10.118.0.5, port 5353
    20, 0, 0, 0, 17, 0, 0x01, 0, 4, 0, 0, 0, 0, 0, 0, 0,        // NFNL_MSG_BATCH_END
    0, 0, 0, 10,
];

#[test]
fn ports_are_published_and_taken_back_by_elements_of_maps() {
    let at = [&SUBNET[..12], &[198, 51, 100, 1]].concat().try_into().unwrap();
    let ports = [
        Published { protocol: 6, at: None, port: 8080, to: &OWN, to_port: 80 },
        Published { protocol: 17, at: Some(&at), port: 53, to: &OWN, to_port: 5353 },
    ];
    let batch = |back| made(|datagram| ports.iter().for_each(|port| datagram.publish("vial0", port, back)));
    assert_eq!(batch(false), PUBLISHED);
    // NFT_MSG_DELSETELEM, without flags.
    let mut back = PUBLISHED.to_vec();
    for message in [20, 108] {
        (back[message + 4], back[message + 7]) = (14, 0);
    }
    assert_eq!(batch(true), back);

    let all = messages(PUBLISHED);
    for ((_, body), set) in all[1..3].iter().zip(["published", "published_at"]) {
        assert_eq!(text(attribute(&body[4..], NAME)), set.as_bytes());
        let element = attribute(attribute(&body[4..], ELEMENTS), ELEMENT);
        let value = attribute(attribute(element, 2), VALUE);
        assert_eq!(value[..4], OWN[12..]);
    }
}

#[rustfmt::skip]
const DELETED: &[u8] = &[
    32, 0, 0, 0, 2, 10, 0x01, 0, 1, 0, 0, 0, 0, 0, 0, 0,        // NFT_MSG_DELTABLE
    10, 0, 0, 0,                                                // NFPROTO_IPV6
    10, 0, 1, 0, b'v', b'i', b'a', b'l', b'0', 0, 0, 0,         // NFTA_TABLE_NAME
    48, 0, 0, 0, 2, 1, 0x05, 0, 2, 0, 0, 0, 0, 0, 0, 0,         // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
    2, 1, 0, 0,                                                 // AF_INET, and version 1
    16, 0, 2, 0x80,                                             // CTA_TUPLE_REPLY
      12, 0, 1, 0x80,                                           //   CTA_TUPLE_IP
        8, 0, 1, 0, 10, 118, 0, 5,                              //     CTA_IP_V4_SRC
    12, 0, 25, 0x80,                                            // CTA_FILTER
      8, 0, 2, 0, 1, 0, 0, 0,                                   //   CTA_FILTER_REPLY_FLAGS: CTA_FILTER_F_CTA_IP_SRC
];

#[test]
fn a_table_goes_as_a_whole_and_what_was_on_its_way_to_an_address_is_forgotten() {
    let mut datagram = Datagram::default();
    datagram.delete_table(libc::AF_INET6 as u8, "vial0");
    datagram.forget(&OWN);
    assert_eq!(datagram.finish(), DELETED);
}

#[test]
fn a_chain_that_drops_what_it_does_not_know_is_one_of_what_passes_through() {
    let chain = |hook: u8, policy: &[u8]| {
        let table = [12, 0, 1, 0, b'f', b'i', b'l', b't', b'e', b'r', b's', 0];
        let name = [12, 0, 3, 0, b'f', b'o', b'r', b'w', b'a', b'r', b'd', 0];
        // NFTA_CHAIN_HOOK and NFTA_CHAIN_POLICY.
        [&[1, 0, 0, 0], &table[..], &name, &[12, 0, 4, 0x80, 8, 0, 1, 0, 0, 0, 0, hook], policy].concat()
    };
    let (drop, accept) = ([8, 0, 5, 0, 0, 0, 0, 0], [8, 0, 5, 0, 0, 0, 0, 1]);
    assert_eq!(read_dropping(&chain(2, &drop)), Some((1, &b"filters"[..], &b"forward"[..])));
    for other in [chain(2, &accept), chain(2, &[]), chain(1, &drop), Vec::new()] {
        assert_eq!(read_dropping(&other), None);
    }
}

#[test]
fn where_they_can_not_be_chosen_connections_are_listed_and_forgotten_one_by_one() {
    // CTA_TUPLE_IP with CTA_IP_V4_SRC and CTA_IP_V4_DST, CTA_TUPLE_PROTO with CTA_PROTO_NUM, and a padded end.
    let tuple = |from: [u8; 4], to: [u8; 4]| {
        [&[20, 0, 1, 0x80, 8, 0, 1, 0], &from[..], &[8, 0, 2, 0], &to, &[12, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0]]
            .concat()
    };
    let (client, host, own) = ([192, 0, 2, 7], [192, 0, 2, 1], [10, 118, 0, 5]);
    let original = tuple(client, host);
    let listed = |answers: [u8; 4]| {
        // struct nfgenmsg; CTA_TUPLE_ORIG; CTA_TUPLE_REPLY.
        let reply = tuple(answers, client);
        [&[2, 0, 0, 0, 36, 0, 1, 0x80], &original[..], &[36, 0, 2, 0x80], &reply].concat()
    };
    assert_eq!(read_connection(&listed(own), &OWN), Some(&original[..]));
    for other in [listed(host), listed(own)[..30].to_vec(), Vec::new()] {
        assert_eq!(read_connection(&other, &OWN), None);
    }
    let mut datagram = Datagram::default();
    datagram.forget_one(&OWN, &original);
    // IPCTNL_MSG_CT_DELETE, with NLM_F_REQUEST and NLM_F_ACK.
    let expected = [&[56, 0, 0, 0, 2, 1, 5, 0], &[0; 8][..], &[2, 0, 0, 0, 36, 0, 1, 0x80], &original].concat();
    let made = datagram.finish();
    assert_eq!([&made[..8], &[0; 8], &made[16..]].concat(), expected);
}
