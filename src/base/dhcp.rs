//! Messages of DHCP, by which a machine gets an address for IPv4 on its network.
//!
//! # Source
//! RFC 2131 (the protocol, figure 1 and table 5), RFC 2132 (options), RFC 3442 is not needed: the router option is.

use alloc::vec::Vec;

use super::text::{Address, IPV4};

/// What stands before the options, RFC 2131 section 3.
const MAGIC: [u8; 4] = [99, 130, 83, 99];
/// Bytes before [`MAGIC`].
const HEAD: usize = 236;
/// Servers expect messages of BOOTP's size at least, RFC 1542 section 2.1.
const LEAST: usize = 300;

/// Options: mask, router, name servers, host name, requested address, lease time, kind of message, server, wanted options, end.
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const SERVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const MTU: u8 = 26;
const REQUESTED: u8 = 50;
const LEASE: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const WANTED: u8 = 55;
const END: u8 = 255;

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The machine looks for servers.
    Discover = 1,
    /// A server has an address.
    Offer = 2,
    /// The machine wants it.
    Request = 3,
    /// It is the machine's.
    Ack = 5,
    /// It is not.
    Nak = 6,
}

/// What a server has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The machine's address.
    pub address: Address,
    /// How many bits of it are the network's.
    pub bits: u8,
    /// Where everything else goes.
    pub router: Option<Address>,
    /// Who is asked for names; the first three.
    pub servers: [Option<Address>; 3],
    /// The server, by the address that it calls itself.
    pub server: [u8; 4],
    /// For how many seconds.
    pub seconds: u32,
    /// The MTU of the network; 0 if it does not say.
    pub mtu: u16,
}

/// A message to all servers. One that requests an address names the lease that was offered.
#[must_use]
pub fn message(kind: Kind, transaction: u32, hardware: [u8; 6], host: &str, offered: Option<&Lease>) -> Vec<u8> {
    let mut message = alloc::vec![0; HEAD];
    // A request over Ethernet, whose addresses have six bytes; answers are to be broadcast, as nobody has the address yet.
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(&transaction.to_be_bytes());
    message[10] = 0x80;
    message[28..34].copy_from_slice(&hardware);
    message.extend(MAGIC);
    message.extend([KIND, 1, kind as u8]);
    if let Some(lease) = offered {
        message.extend([REQUESTED, 4]);
        message.extend(&lease.address[12..]);
        message.extend([SERVER, 4]);
        message.extend(lease.server);
    }
    message.extend([WANTED, 5, MASK, ROUTER, SERVERS, MTU, LEASE]);
    let host = host.as_bytes();
    if let 1..=63 = host.len() {
        message.extend([HOST_NAME, host.len() as u8]);
        message.extend(host);
    }
    message.push(END);
    if message.len() < LEAST {
        message.resize(LEAST, 0);
    }
    message
}

fn four(bytes: &[u8]) -> Option<Address> {
    let mut address = [0; 16];
    address[..12].copy_from_slice(&IPV4);
    address[12..].copy_from_slice(bytes.first_chunk::<4>()?);
    Some(address)
}

/// Reads an answer to this transaction of this machine; `None` for anything else, be it damaged or meant for others.
#[must_use]
pub fn read(message: &[u8], transaction: u32, hardware: [u8; 6]) -> Option<(Kind, Lease)> {
    let (head, rest) = message.split_at_checked(HEAD)?;
    let is_ours = head[0] == 2 && head[4..8] == transaction.to_be_bytes() && head[28..34] == hardware;
    let mut options = rest.strip_prefix(&MAGIC).filter(|_| is_ours)?;
    let mut lease = Lease { address: four(&head[16..20])?, bits: 32, ..Lease::default() };
    let mut kind = None;
    while let Some((&option, rest)) = options.split_first() {
        match option {
            END => break,
            // Padding.
            0 => {
                options = rest;
                continue;
            }
            _ => {}
        }
        let (&length, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        options = rest;
        let number = || value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match option {
            KIND => kind = value.first().copied(),
            MASK => {
                let mask = number()?;
                lease.bits = mask.leading_ones() as u8;
                if mask.count_ones() != mask.leading_ones() {
                    return None;
                }
            }
            ROUTER => lease.router = four(value),
            SERVERS => {
                for (place, server) in lease.servers.iter_mut().zip(value.chunks_exact(4)) {
                    *place = four(server);
                }
            }
            SERVER => lease.server = *value.first_chunk()?,
            LEASE => lease.seconds = number()?,
            MTU => lease.mtu = u16::from_be_bytes(*value.first_chunk()?),
            _ => {}
        }
    }
    let kind = match kind? {
        2 => Kind::Offer,
        5 => Kind::Ack,
        6 => Kind::Nak,
        _ => return None,
    };
    let usable = lease.address[12..] != [0; 4] && lease.address[12..] != [255; 4];
    (kind == Kind::Nak || usable).then_some((kind, lease))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::address;

    const OWN: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

    /// An answer with these options.
    fn answer(options: &[u8]) -> Vec<u8> {
        let mut bytes = alloc::vec![0; HEAD];
        bytes[0] = 2;
        bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
        bytes[16..20].copy_from_slice(&[10, 0, 2, 15]);
        bytes[28..34].copy_from_slice(&OWN);
        bytes.extend(MAGIC);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_question_is_as_the_standard_has_it() {
        let bytes = message(Kind::Discover, 0x0102_0304, OWN, "board", None);
        assert_eq!(
            bytes[..12],
            [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0],
            "request, Ethernet, six bytes, transaction, broadcast"
        );
        assert_eq!(bytes[12..28], [0; 16], "no address is known");
        assert_eq!(bytes[28..34], OWN);
        assert_eq!(bytes[34..236], [0; 202], "neither names nor files");
        let options = [99, 130, 83, 99, 53, 1, 1, 55, 5, 1, 3, 6, 26, 51, 12, 5, b'b', b'o', b'a', b'r', b'd', 255];
        assert_eq!(bytes[236..258], options);
        assert_eq!(bytes.len(), 300);
        let lease = Lease { address: address("10.0.2.15").unwrap(), server: [10, 0, 2, 2], ..Lease::default() };
        let bytes = message(Kind::Request, 1, OWN, "", Some(&lease));
        assert_eq!(bytes[240..255], [53, 1, 3, 50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]);
    }

    #[test]
    fn an_answer_is_read_with_all_that_the_machine_needs() {
        let options = [
            53, 1, 5, 0, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 6, 8, 10, 0, 2, 3, 1, 1, 1, 1, 54, 4, 10, 0, 2, 2,
            51, 4, 0, 1, 0x51, 0x80, 26, 2, 5, 0xdc, 255, 9, 9,
        ];
        let (kind, lease) = read(&answer(&options), 0x0102_0304, OWN).unwrap();
        assert_eq!(kind, Kind::Ack);
        assert_eq!((lease.address, lease.bits), (address("10.0.2.15").unwrap(), 24));
        assert_eq!(lease.router, address("10.0.2.2"));
        assert_eq!(lease.servers, [address("10.0.2.3"), address("1.1.1.1"), None]);
        assert_eq!((lease.server, lease.seconds, lease.mtu), ([10, 0, 2, 2], 86_400, 1500));
    }

    #[test]
    fn what_is_damaged_or_meant_for_others_is_nothing() {
        let good = answer(&[53, 1, 2, 255]);
        assert!(read(&good, 0x0102_0304, OWN).is_some());
        assert!(read(&good, 5, OWN).is_none() && read(&good, 0x0102_0304, [0; 6]).is_none());
        for length in 0..good.len() - 1 {
            assert!(read(&good[..length], 0x0102_0304, OWN).is_none(), "{length} bytes");
        }
        for options in
            [&[53, 1, 9, 255][..], &[1, 4, 255, 0, 255, 0, 53, 1, 2], &[53, 200, 2], &[1, 1, 1, 53, 1, 2], &[255]]
        {
            assert!(read(&answer(options), 0x0102_0304, OWN).is_none(), "{options:?}");
        }
        let mut nobody = good.clone();
        nobody[16..20].fill(0);
        assert!(read(&nobody, 0x0102_0304, OWN).is_none(), "no address");
    }
}
