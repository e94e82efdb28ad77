//! Sockets of the Internet: connections and datagrams, of IPv4 and IPv6.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::fail_on;
use super::poll::{Waiting, poll_within};
use crate::base::address;
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::{Address, IPV4};

/// `struct sockaddr_in` or `struct sockaddr_in6`, ip(7), ipv6(7).
#[repr(C)]
#[derive(Default)]
struct Place {
    family: u16,
    /// The highest byte first, as all that follows.
    port: [u8; 2],
    /// IPv4's address stands here; for IPv6 it is the flow label.
    four: [u8; 4],
    address: Address,
    scope: u32,
}

/// `sizeof(struct sockaddr_in)`.
const LENGTH_4: u32 = 16;
/// `sizeof(struct sockaddr_in6)`.
const LENGTH_6: u32 = size_of::<Place>() as u32;

impl Place {
    #[inline(never)]
    fn new(address: &Address, port: u16) -> (Place, u32) {
        let mut place = Place { port: port.to_be_bytes(), ..Place::default() };
        if let Some(four) = address.strip_prefix(&IPV4) {
            place.family = libc::AF_INET as u16;
            place.four.copy_from_slice(four);
            return (place, LENGTH_4);
        }
        place.family = libc::AF_INET6 as u16;
        place.address = *address;
        (place, LENGTH_6)
    }

    fn read(&self) -> Peer {
        let mut address = self.address;
        if self.family == libc::AF_INET as u16 {
            address[..12].copy_from_slice(&IPV4);
            address[12..].copy_from_slice(&self.four);
        }
        Peer { address, port: u16::from_be_bytes(self.port) }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Address,
    /// Its port.
    pub port: u16,
}

fn open(family: u16, kind: i32) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(socket, family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("open a socket"), ""))
}

/// A connection to another host, or for datagrams (`SOCK_DGRAM`) a socket that talks with no other. Reading and writing don't wait.
///
/// # Errors
/// connect(2): `ECONNREFUSED` if nobody listens; `ETIMEDOUT` after so many milliseconds.
pub fn connect_to(address: &Address, port: u16, kind: i32, milliseconds: u64) -> Result<Fd> {
    let (to, length) = Place::new(address, port);
    let socket = open(to.family, kind)?;
    // SAFETY: the address is readable.
    let connect = || unsafe { sys!(connect, socket.number(), &raw const to, length) };
    let mut result = connect();
    if matches!(result, Err(Errno::EINPROGRESS)) {
        let mut waiting = [Waiting::writable(socket.by_ref())];
        poll_within(&mut waiting, milliseconds)?;
        // The second call tells how the first one ended.
        result = if waiting[0].is_ready() { connect() } else { Err(Errno::ETIMEDOUT) };
    }
    result.map_err(|errno| fail_on(errno, phrase!("connect"), ""))?;
    Ok(socket)
}

/// A socket at an address and port, for connections (`SOCK_STREAM`), which can be made at once, or datagrams (`SOCK_DGRAM`).
/// What it does does not wait. One of IPv6 leaves IPv4 to others.
///
/// # Errors
/// bind(2), listen(2): `EADDRINUSE` if the port is taken, `EADDRNOTAVAIL` if the address is not this machine's, `EACCES` below
/// port 1024 for those without `CAP_NET_BIND_SERVICE`.
pub fn listen_on(address: &Address, port: u16, kind: i32) -> Result<Fd> {
    let (at, length) = Place::new(address, port);
    let socket = open(at.family, kind)?;
    let set = |level: i32, option: i32| {
        let on = 1i32;
        // SAFETY: the value is a readable number of 4 bytes.
        unsafe { sys!(setsockopt, socket.number(), level, option, &raw const on, 4) }
    };
    // Connections that ended a moment ago don't keep others from the port. Datagrams would be shared with any who asks.
    let mut result = if kind == libc::SOCK_STREAM { set(libc::SOL_SOCKET, libc::SO_REUSEADDR) } else { Ok(0) };
    if length == LENGTH_6 {
        result = result.and_then(|_| set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY));
    }
    // SAFETY: the address is readable.
    result = result.and_then(|_| unsafe { sys!(bind, socket.number(), &raw const at, length) });
    if kind == libc::SOCK_STREAM {
        // SAFETY: no memory is involved.
        result = result.and_then(|_| unsafe { sys!(listen, socket.number(), 128) });
    }
    result.map_err(|errno| fail_on(errno, phrase!("listen at"), join!("{} port {}", address::text(address), port)))?;
    Ok(socket)
}

/// Takes a connection, and tells whose it is. Reading and writing wait.
///
/// # Errors
/// accept(2): `EAGAIN` if there is none.
pub fn accept_from(socket: FdRef<'_>) -> Result<(Fd, Peer)> {
    let (mut place, mut length) = (Place::default(), LENGTH_6);
    // SAFETY: the address is writable, and so long.
    unsafe { sys!(accept4, socket.number(), &raw mut place, &raw mut length, libc::SOCK_CLOEXEC) }
        .map(|number| (Fd::from_kernel(number), place.read()))
        .map_err(|errno| fail_on(errno, phrase!("accept a connection"), ""))
}

/// Receives a datagram, and tells whose it is; what has no room in the buffer is lost.
///
/// # Errors
/// recv(2): `EAGAIN` if there is none.
pub fn receive_from(socket: FdRef<'_>, buffer: &mut [u8]) -> Result<(usize, Peer)> {
    let (mut place, mut length) = (Place::default(), LENGTH_6);
    let (to, size) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the buffer is writable, and so is the address, which is so long.
    unsafe { sys!(recvfrom, socket.number(), to, size, 0, &raw mut place, &raw mut length) }
        .map(|count| (count, place.read()))
        .map_err(|errno| fail_on(errno, phrase!("receive a message"), ""))
}

/// Sends a datagram.
///
/// # Errors
/// send(2).
pub fn send_to(socket: FdRef<'_>, datagram: &[u8], to: Peer) -> Result<()> {
    let (place, length) = Place::new(&to.address, to.port);
    let (from, size) = (datagram.as_ptr(), datagram.len());
    // SAFETY: the bytes and the address are readable.
    unsafe { sys!(sendto, socket.number(), from, size, 0, &raw const place, length) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("send a message"), ""))
}

/// Tells the other end that nothing more comes (`SHUT_WR`), or ends the connection in both directions (`SHUT_RDWR`), for every
/// process that has it.
///
/// # Errors
/// shutdown(2).
pub fn shutdown(socket: FdRef<'_>, how: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(shutdown, socket.number(), how) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("end the connection"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::address;

    #[test]
    fn places_are_as_the_kernel_has_them_and_read_as_they_were() {
        assert_eq!((LENGTH_4, LENGTH_6), (16, 28));
        for (text, family, length) in [("192.0.2.7", libc::AF_INET, 16), ("2001:db8::1", libc::AF_INET6, 28)] {
            let peer = Peer { address: address(text).unwrap(), port: 0x1234 };
            let (place, size) = Place::new(&peer.address, peer.port);
            assert_eq!((i32::from(place.family), place.port, size), (family, [0x12, 0x34], length));
            assert_eq!(place.read(), peer);
        }
        assert_eq!(Place::new(&address("192.0.2.7").unwrap(), 1).0.four, [192, 0, 2, 7]);
    }
}
