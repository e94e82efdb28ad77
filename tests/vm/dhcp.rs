//! A DHCP server at the other end of an emulated machine's cable, which is a pair of UDP sockets that carry the frames. Each lease that is
//! asked for anew is the next of a list. Source: RFC 2131, RFC 2132.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// What a machine is given: its address, the router's and the server's for names, in a network of 24 bits.
#[derive(Clone, Copy)]
pub struct Lease {
    pub address: [u8; 4],
    pub router: [u8; 4],
    pub names: [u8; 4],
}

/// For how many seconds a lease is given, half of which a client waits.
const SECONDS: u32 = 60;
/// The server.
const OWN: [u8; 4] = [10, 9, 0, 1];
const HARDWARE: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// Starts a server; the options of qemu's for the machine. It ends with the tests.
pub fn serve(leases: Vec<Lease>) -> String {
    let own = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // A port that is free now is the machine's.
    let its = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a socket");
    let port = own.local_addr().expect("it has an address").port();
    own.set_read_timeout(Some(Duration::from_mins(10))).expect("set a time");
    thread::spawn(move || {
        let (mut frame, mut given) = ([0; 2000], 0);
        while let Ok(length) = own.recv(&mut frame) {
            let Some((kind, answer)) = answer(&frame[..length], leases[given.min(leases.len() - 1)]) else { continue };
            let _ = own.send_to(&answer, its);
            given += usize::from(kind == 3);
        }
    });
    format!("socket,id=n,udp=127.0.0.1:{port},localaddr={its}")
}

/// What kind of message a frame holds, if it holds one, and the frame that answers it.
fn answer(frame: &[u8], lease: Lease) -> Option<(u8, Vec<u8>)> {
    // IPv4 with a header of 20 bytes, and UDP to the server's port.
    let is_asked = frame.get(12..15)? == [8, 0, 0x45] && frame.get(23) == Some(&17) && frame.get(36..38)? == [0, 67];
    let asked = frame.get(42..).filter(|_| is_asked)?;
    let mut options = asked.get(236..)?.strip_prefix(&MAGIC)?;
    let kind = loop {
        let [option, length, rest @ ..] = options else { return None };
        match option {
            53 => break *rest.first()?,
            0 => options = &options[1..],
            _ => options = rest.get(usize::from(*length)..)?,
        }
    };
    // An answer, of Ethernet, to the same client in the same transaction.
    let mut told = vec![2, 1, 6, 0];
    told.extend(asked.get(4..8)?);
    told.extend([0; 8]);
    told.extend(lease.address);
    told.extend([0; 8]);
    told.extend(asked.get(28..44)?);
    told.resize(236, 0);
    told.extend(MAGIC);
    for (option, value) in [
        (53, vec![if kind == 1 { 2 } else { 5 }]),
        (54, OWN.to_vec()),
        (51, SECONDS.to_be_bytes().to_vec()),
        (1, vec![255, 255, 255, 0]),
        (3, lease.router.to_vec()),
        (6, lease.names.to_vec()),
    ] {
        told.extend([option, value.len() as u8]);
        told.extend(value);
    }
    told.push(255);
    let mut datagram = vec![0, 67, 0, 68];
    datagram.extend((told.len() as u16 + 8).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(told);
    let mut packet = vec![0x45, 0];
    packet.extend((datagram.len() as u16 + 20).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(OWN);
    packet.extend([255; 4]);
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut answer = vec![255; 6];
    answer.extend(HARDWARE);
    answer.extend([8, 0]);
    answer.extend(packet);
    answer.extend(datagram);
    Some((kind, answer))
}
