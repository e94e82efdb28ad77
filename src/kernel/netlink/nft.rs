//! Packet filters: a table for each network and family of addresses, `linux/netfilter/nf_tables.h`.
//!
//! Numbers in attributes have their highest byte first. All messages of a batch take effect at once, or none.

use alloc::vec::Vec;

use super::link::family;
use super::wire::{self, Datagram};
use crate::base::text::Address;

/// `NFNL_SUBSYS_NFTABLES`, and the messages of its own (`NFT_MSG_*`).
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const GET_TABLE: u16 = NFTABLES | 1;
const DELETE_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
const GET_CHAIN: u16 = NFTABLES | 4;
const NEW_RULE: u16 = NFTABLES | 6;
const NEW_SET: u16 = NFTABLES | 9;
const NEW_ELEMENT: u16 = NFTABLES | 0xc;
const DELETE_ELEMENT: u16 = NFTABLES | 0xe;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 16;
const END: u16 = 17;

/// The first attribute of whatever lies in a table is the table's name; the name of a table and of a set stand here.
const TABLE: u16 = 1;
const NAME: u16 = 2;
/// `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_CHAIN_POLICY`, `NFTA_CHAIN_TYPE`.
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
/// `NFTA_RULE_CHAIN` and `NFTA_RULE_EXPRESSIONS`.
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
/// What keys and values are made of, as nft(8) numbers it: protocol, port, addresses of both families.
const PROTOCOL: u32 = 12;
const PORT: u32 = 13;
const ADDRESSES: [u32; 2] = [7, 8];
/// `NFTA_SET_ELEM_LIST_ELEMENTS`.
const ELEMENTS: u16 = 3;

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`; `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_TUPLE_IP`, `CTA_IP_V4_SRC` and `CTA_IP_V6_SRC`;
/// `CTA_FILTER`, `CTA_FILTER_REPLY_FLAGS` and `CTA_FILTER_F_CTA_IP_SRC`, `linux/netfilter/nfnetlink_conntrack.h`.
const GET_CONNECTIONS: u16 = 1 << 8 | 1;
const DELETE_CONNECTIONS: u16 = 1 << 8 | 2;
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const OF_ADDRESSES: u16 = 1;
const SOURCES: [u16; 2] = [1, 3];
const CHOICE: u16 = 25;
const IN_REPLY: u16 = 2;
const SOURCE: u32 = 1;

/// Where packets are looked at: `NF_INET_*`, `NF_IP_PRI_*`, and the kind of chain.
const HOOKS: [(&str, u32, i32, &str); 4] = [
    ("prerouting", 0, -100, "nat"),
    ("output", 3, -100, "nat"),
    ("postrouting", 4, 100, "nat"),
    ("forward", 2, 0, "filter"),
];
/// Packets that are on their way through.
const FORWARD: u32 = 2;

/// An attribute's value.
#[derive(Clone, Copy)]
enum Is<'a> {
    /// A number.
    Number(u32),
    /// Bytes to compare with, or to set.
    Bytes(&'a [u8]),
    /// A name.
    Name(&'a str),
    /// What becomes of the packet.
    Verdict(u32),
}
use Is::{Bytes, Name, Number, Verdict};

/// An expression: its name, and its attributes numbered from 1, those that are missing left out.
type Expression<'a> = (&'a str, &'a [Option<Is<'a>>]);

/// Registers of four bytes each, from the first one on, `NFT_REG32_00`.
#[expect(clippy::unnecessary_wraps, reason = "it stands among attributes, of which some are missing")]
const fn register(number: u32) -> Option<Is<'static>> {
    Some(Number(8 + number))
}

/// What a network's tables say.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// The tables and the bridge have one name.
    pub bridge: &'a str,
    /// Whether nothing gets in or out.
    pub internal: bool,
}

/// The name of a bridge as a register holds it.
fn interface(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    bytes
}

/// A published port: packets for it go to this port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published<'a> {
    /// `IPPROTO_TCP` or `IPPROTO_UDP`.
    pub protocol: u8,
    /// The host's address; none for all of the container's address's family.
    pub at: Option<&'a Address>,
    /// The host's port.
    pub port: u16,
    /// The container's address.
    pub to: &'a Address,
    /// The container's port.
    pub to_port: u16,
}

impl Datagram {
    /// Has the kernel forget whatever was on its way to this address, since datagrams of who goes on sending would go there for
    /// ever. Kernels that can not choose so (before 6.8) refuse it, for want of the rest of the address: there each is to be named.
    pub fn forget(&mut self, to: &Address) {
        let (family, bytes) = family(to);
        // The version says that the family counts.
        self.message(DELETE_CONNECTIONS, 0, &[family, 1, 0, 0]);
        let reply = self.open(REPLY);
        let addresses = self.open(OF_ADDRESSES);
        self.attribute(SOURCES[usize::from(bytes.len() > 4)], bytes);
        self.close(addresses);
        self.close(reply);
        let choice = self.open(CHOICE);
        self.attribute(IN_REPLY, &SOURCE.to_ne_bytes());
        self.close(choice);
        self.acknowledge();
    }

    /// Lists what the kernel knows to be on its way, of an address's family.
    pub fn list_connections(&mut self, to: &Address) {
        self.message(GET_CONNECTIONS, libc::NLM_F_DUMP, &[family(to).0, 0, 0, 0]);
    }

    /// Has the kernel forget one that was listed.
    pub fn forget_one(&mut self, to: &Address, original: &[u8]) {
        self.message(DELETE_CONNECTIONS, 0, &[family(to).0, 0, 0, 0]);
        let tuple = self.open(ORIGINAL);
        self.raw(original);
        self.close(tuple);
        self.acknowledge();
    }

    /// `struct nfgenmsg` and the table.
    fn nft(&mut self, kind: u16, flags: i32, family: u8, table: &str) {
        self.message(kind, flags, &[family, 0, 0, 0]);
        self.text(TABLE, table);
    }

    fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, &number.to_be_bytes());
    }

    /// What comes then takes effect as a whole.
    pub fn begin_batch(&mut self) {
        self.message(BEGIN, 0, &[0, 0, 0, 10]);
    }

    /// Ends a batch.
    pub fn end_batch(&mut self) {
        self.acknowledge();
        self.message(END, 0, &[0, 0, 0, 10]);
    }

    /// Asks for a table.
    pub fn get_table(&mut self, family: u8, table: &str) {
        self.nft(GET_TABLE, 0, family, table);
        self.acknowledge();
    }

    /// Removes a table with all that is in it.
    pub fn delete_table(&mut self, family: u8, table: &str) {
        self.nft(DELETE_TABLE, 0, family, table);
    }

    /// Asks for all chains.
    pub fn list_chains(&mut self) {
        self.message(GET_CHAIN, libc::NLM_F_DUMP, &[0; 4]);
    }

    /// Makes a network's table for the family that its subnet is of. One that is left of a bridge that somebody removed goes, in the
    /// same moment: what is deleted must be there.
    #[inline(never)]
    pub fn filter(&mut self, filter: &Filter<'_>, subnet: &Address, bits: u8) {
        let (kind, net) = family(subnet);
        let table = filter.bridge;
        self.nft(NEW_TABLE, libc::NLM_F_CREATE, kind, table);
        self.delete_table(kind, table);
        self.nft(NEW_TABLE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, kind, table);
        // An internal network needs only the last one.
        for (name, hook, priority, of) in HOOKS.iter().skip(if filter.internal { 3 } else { 0 }) {
            self.nft(NEW_CHAIN, libc::NLM_F_CREATE, kind, table);
            self.text(CHAIN_NAME, name);
            let place = self.open(CHAIN_HOOK);
            self.number(1, *hook);
            self.number(2, *priority as u32);
            self.close(place);
            self.text(CHAIN_TYPE, of);
        }
        let bridge = interface(table);
        let bridge = Some(Bytes(&bridge));
        let (is, is_not) = (Some(Number(0)), Some(Number(1)));
        let (comes_from, goes_to) = ([register(0), Some(Number(6))], [register(0), Some(Number(7))]);
        let (at_bridge, elsewhere) = ([register(0), is, bridge], [register(0), is_not, bridge]);
        let into: [Expression<'_>; 4] =
            [("meta", &goes_to), ("cmp", &at_bridge), ("meta", &comes_from), ("cmp", &elsewhere)];
        let drop: Expression<'_> = ("immediate", &[Some(Number(0)), Some(Verdict(0))]);
        if filter.internal {
            self.rule(kind, table, "forward", &[&into, &[drop]]);
            let out: [Expression<'_>; 4] =
                [("meta", &comes_from), ("cmp", &at_bridge), ("meta", &goes_to), ("cmp", &elsewhere)];
            self.rule(kind, table, "forward", &[&out, &[drop]]);
            return;
        }
        // Only answers (established 2, related 4) and what came to a published port (IPS_DST_NAT, 32) get in.
        let (zero, answer, translated) = (Some(Bytes(&[0; 4])), 6u32.to_ne_bytes(), 32u32.to_ne_bytes());
        let (state, status) = ([register(0), Some(Number(0))], [register(0), Some(Number(2))]);
        let masked = |mask| [register(0), register(0), Some(Number(4)), Some(Bytes(mask)), zero];
        let (answers, translations) = (masked(&answer), masked(&translated));
        let (equals, differs) = ([register(0), is, zero], [register(0), is_not, zero]);
        self.rule(
            kind,
            table,
            "forward",
            &[
                &into,
                &[("ct", &state), ("bitwise", &answers), ("cmp", &equals)],
                &[("ct", &status), ("bitwise", &translations), ("cmp", &equals), drop],
            ],
        );

        // struct iphdr and struct ipv6hdr: where the addresses stand.
        let (length, source, target) = if net.len() == 4 { (4, 12, 16) } else { (16, 8, 24) };
        let words = length / 4;
        let load =
            |base, offset, length, to| [register(to), Some(Number(base)), Some(Number(offset)), Some(Number(length))];
        let (mask, none) = (prefix(bits, length as usize), [0; 16]);
        let size = length as usize;
        let from = load(1, source, length, 0);
        let network = [register(0), register(0), Some(Number(length)), Some(Bytes(&mask)), Some(Bytes(&none[..size]))];
        let inside = [register(0), is, Some(Bytes(net))];
        let ours: [Expression<'_>; 3] = [("payload", &from), ("bitwise", &network), ("cmp", &inside)];
        let masquerade: Expression<'_> = ("masq", &[]);
        // What leaves the network has the host's address; so has what a container sends to a port that is published by one
        // beside it, whose answer would not come back this way otherwise.
        self.rule(kind, table, "postrouting", &[&ours, &[("meta", &goes_to), ("cmp", &elsewhere), masquerade]]);
        let hairpin = [("ct", &status[..]), ("bitwise", &translations), ("cmp", &differs), masquerade];
        self.rule(kind, table, "postrouting", &[&ours, &hairpin]);

        let address = ADDRESSES[usize::from(size != 4)];
        for (set, first) in [("published", 0), ("published_at", length)] {
            self.nft(NEW_SET, libc::NLM_F_CREATE, kind, table);
            self.text(NAME, set);
            let key = if first == 0 { PROTOCOL << 6 | PORT } else { address << 12 | PROTOCOL << 6 | PORT };
            // A map; the kind and the length of keys and of values; and the number by which a batch knows it.
            for (kind, number) in
                [(3, 8), (4, key), (5, first + 8), (6, address << 6 | PORT), (7, length + 4), (10, first)]
            {
                self.number(kind, number);
            }
        }
        // The host's own loopback addresses are served by another process, whose packets stay on that interface.
        let to = load(1, target, length, 0);
        let local = if size == 4 { [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] } else { [0xff; 16] };
        let loopback = if size == 4 {
            [127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        } else {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        };
        let local =
            [register(0), register(0), Some(Number(length)), Some(Bytes(&local[..size])), Some(Bytes(&none[..size]))];
        let other = [register(0), is_not, Some(Bytes(&loopback[..size]))];
        // RTN_LOCAL: the kind of the address that it goes to is one of the host's.
        let (kind_of, host) = ([register(0), Some(Number(3)), Some(Number(2))], 2u32.to_ne_bytes());
        let hosts = [register(0), is, Some(Bytes(&host))];
        let check: [Expression<'_>; 5] =
            [("payload", &to), ("bitwise", &local), ("cmp", &other), ("fib", &kind_of), ("cmp", &hosts)];
        let (transport, port) = ([register(words), Some(Number(16))], load(2, 2, 2, words + 1));
        // The more particular one is looked into first. What is found takes the place of the key.
        for (set, first) in [("published_at", 0), ("published", words)] {
            let look = [Some(Name(set)), register(first), register(0)];
            let nat = [Some(Number(1)), Some(Number(kind.into())), register(0), None, register(words)];
            let found: [Expression<'_>; 5] =
                [("payload", &to), ("meta", &transport), ("payload", &port), ("lookup", &look), ("nat", &nat)];
            for chain in ["prerouting", "output"] {
                self.rule(kind, table, chain, &[&check, &found]);
            }
        }
    }

    /// Adds a rule at the end of a chain.
    #[inline(never)]
    fn rule(&mut self, family: u8, table: &str, chain: &str, parts: &[&[Expression<'_>]]) {
        self.nft(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, family, table);
        self.text(RULE_CHAIN, chain);
        let all = self.open(RULE_EXPRESSIONS);
        for (name, attributes) in parts.iter().copied().flatten() {
            let element = self.open(ELEMENT);
            self.text(1, name);
            let data = self.open(2);
            for (at, attribute) in attributes.iter().enumerate() {
                let kind = at as u16 + 1;
                match attribute {
                    Some(Number(number)) => self.number(kind, *number),
                    Some(Name(name)) => self.text(kind, name),
                    Some(Bytes(bytes)) => {
                        let place = self.open(kind);
                        self.attribute(VALUE, bytes);
                        self.close(place);
                    }
                    Some(Verdict(verdict)) => {
                        let (place, inner) = (self.open(kind), self.open(VERDICT));
                        self.number(1, *verdict);
                        self.close(inner);
                        self.close(place);
                    }
                    None => {}
                }
            }
            self.close(data);
            self.close(element);
        }
        self.close(all);
    }

    /// Publishes a port, which must not be published yet, or takes that back.
    #[inline(never)]
    pub fn publish(&mut self, table: &str, published: &Published<'_>, take_back: bool) {
        let (kind, to) = family(published.to);
        let (message, flags) =
            if take_back { (DELETE_ELEMENT, 0) } else { (NEW_ELEMENT, libc::NLM_F_CREATE | libc::NLM_F_EXCL) };
        self.nft(message, flags, kind, table);
        self.text(NAME, if published.at.is_some() { "published_at" } else { "published" });
        // Each part of a key has a multiple of four bytes.
        let [a, b] = published.port.to_be_bytes();
        let [c, d] = published.to_port.to_be_bytes();
        let key =
            [published.at.map_or(&[][..], |at| family(at).1), &[published.protocol, 0, 0, 0, a, b, 0, 0]].concat();
        let value = [to, &[c, d, 0, 0]].concat();
        let (elements, element) = (self.open(ELEMENTS), self.open(ELEMENT));
        for (kind, bytes) in [(1, &key), (2, &value)] {
            let place = self.open(kind);
            self.attribute(VALUE, bytes);
            self.close(place);
        }
        self.close(element);
        self.close(elements);
    }
}

/// So many ones, and then zeros.
fn prefix(bits: u8, size: usize) -> Vec<u8> {
    // An IPv4 prefix is counted as one of IPv6.
    let bits = u32::from(bits).saturating_sub(128 - size as u32 * 8);
    let ones = u128::MAX.checked_shl(size as u32 * 8 - bits).unwrap_or(0);
    ones.to_be_bytes()[16 - size..].to_vec()
}

/// What names a connection that was listed, if answers to it come from this address.
#[must_use]
pub fn read_connection<'a>(body: &'a [u8], to: &Address) -> Option<&'a [u8]> {
    let attributes = body.get(4..)?;
    let (_, bytes) = family(to);
    let addresses = wire::attribute(wire::attribute(attributes, REPLY), OF_ADDRESSES);
    let is_it = wire::attribute(addresses, SOURCES[usize::from(bytes.len() > 4)]) == bytes;
    is_it.then(|| wire::attribute(attributes, ORIGINAL))
}

/// A chain that drops what passes through the host and is not allowed by name: its family, table and name. `None` if this is
/// another one, or one of vial's.
#[must_use]
pub fn read_dropping(body: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    use super::wire::{attribute, text};
    let (&[family, ..], attributes) = body.split_first_chunk::<4>()?;
    let number = |attributes, kind| attribute(attributes, kind).first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let hook = number(attribute(attributes, CHAIN_HOOK), 1)?;
    let drops = hook == FORWARD && number(attributes, CHAIN_POLICY)? == 0;
    drops.then(|| (family, text(attribute(attributes, TABLE)), text(attribute(attributes, CHAIN_NAME))))
}

#[cfg(test)]
mod tests;
