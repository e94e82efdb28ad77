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

/// An address and a port as the kernel has them: `struct sockaddr_in` or `struct sockaddr_in6`, ip(7), ipv6(7).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    family: u16,
    /// The highest byte first, as all that follows.
    port: [u8; 2],
    /// IPv4's address stands here; for IPv6 it is the flow label.
    four: [u8; 4],
    address: Address,
    scope: u32,
}

impl Peer {
    /// One at this address and port.
    #[inline(never)]
    fn new(address: &Address, port: u16) -> Peer {
        let mut peer = Peer { family: libc::AF_INET6 as u16, port: port.to_be_bytes(), ..Peer::default() };
        if let Some(four) = address.strip_prefix(&IPV4) {
            peer.family = libc::AF_INET as u16;
            peer.four.copy_from_slice(four);
        } else {
            peer.address = *address;
        }
        peer
    }

    /// `sizeof(struct sockaddr_in)`, or that of `struct sockaddr_in6`.
    fn length(&self) -> usize {
        if self.is_four() { 16 } else { size_of::<Peer>() }
    }

    fn is_four(&self) -> bool {
        self.family == libc::AF_INET as u16
    }

    /// The address alone.
    #[must_use]
    pub fn address(&self) -> Address {
        let mut address = self.address;
        if self.is_four() {
            address[..12].copy_from_slice(&IPV4);
            address[12..].copy_from_slice(&self.four);
        }
        address
    }
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
    let to = Peer::new(address, port);
    let socket = open(to.family, kind)?;
    // SAFETY: the address is readable.
    let connect = || unsafe { sys!(connect, socket.number(), &raw const to, to.length()) };
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
#[inline(never)]
pub fn listen_on(address: &Address, port: u16, kind: i32) -> Result<Fd> {
    let at = Peer::new(address, port);
    let socket = open(at.family, kind)?;
    // Connections that ended a moment ago don't keep others from the port. Datagrams would be shared with any who asks.
    let is_stream = kind == libc::SOCK_STREAM;
    let set = |level: i32, option: i32| {
        // SAFETY: the value is a readable number of 4 bytes.
        let _ = unsafe { sys!(setsockopt, socket.number(), level, option, &raw const ON, 4) };
    };
    // The kernel knows both, and what they are for shows in what follows.
    if is_stream {
        set(libc::SOL_SOCKET, libc::SO_REUSEADDR);
    }
    if !at.is_four() {
        set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY);
    }
    // SAFETY: the address is readable.
    let mut result = unsafe { sys!(bind, socket.number(), &raw const at, at.length()) };
    if is_stream {
        // SAFETY: no memory is involved.
        result = result.and_then(|_| unsafe { sys!(listen, socket.number(), 128) });
    }
    match result {
        Ok(_) => Ok(socket),
        Err(errno) => Err(fail_on(errno, phrase!("listen at"), join!("{} port {}", address::text(address), port))),
    }
}

/// What options are set to.
static ON: i32 = 1;

/// Takes a connection, if there is one, and tells whose it is. Reading and writing wait.
#[inline(never)]
pub fn accept_from(socket: FdRef<'_>, who: &mut Peer) -> Option<Fd> {
    let mut length = size_of::<Peer>() as u32;
    // SAFETY: the address is writable, and so long.
    unsafe { sys!(accept4, socket.number(), &raw mut *who, &raw mut length, libc::SOCK_CLOEXEC) }
        .ok()
        .map(Fd::from_kernel)
}

/// Receives a datagram, if there is one, and tells whose it is; what has no room in the buffer is lost.
#[inline(never)]
pub fn receive_from(socket: FdRef<'_>, buffer: &mut [u8], who: &mut Peer) -> Option<usize> {
    let mut length = size_of::<Peer>() as u32;
    let (to, size) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the buffer is writable, and so is the address, which is so long.
    unsafe { sys!(recvfrom, socket.number(), to, size, 0, &raw mut *who, &raw mut length) }.ok()
}

/// Sends a datagram, if the kernel takes it. Nobody waits for one that it does not.
#[inline(never)]
pub fn send_to(socket: FdRef<'_>, datagram: &[u8], to: &Peer) {
    let (from, size) = (datagram.as_ptr(), datagram.len());
    // SAFETY: the bytes and the address are readable.
    let _ = unsafe { sys!(sendto, socket.number(), from, size, 0, &raw const *to, to.length()) };
}

/// A socket for datagrams to all on an interface's network, which need not have an address; at this port of its own.
///
/// # Errors
/// setsockopt(2), bind(2).
pub fn broadcast_from(interface: &str, port: u16) -> Result<Fd> {
    let socket = open(libc::AF_INET as u16, libc::SOCK_DGRAM)?;
    let at = Peer::new(&any(), port);
    let name = alloc::format!("{interface}\0");
    let (broadcast, device) = (libc::SO_BROADCAST, libc::SO_BINDTODEVICE);
    // SAFETY: the value is a readable number of 4 bytes.
    unsafe { sys!(setsockopt, socket.number(), libc::SOL_SOCKET, broadcast, &raw const ON, 4) }
        // SAFETY: the name is readable for its length.
        .and_then(|_| unsafe { sys!(setsockopt, socket.number(), libc::SOL_SOCKET, device, name.as_ptr(), name.len()) })
        // SAFETY: the address is readable.
        .and_then(|_| unsafe { sys!(bind, socket.number(), &raw const at, at.length()) })
        .map_err(|errno| fail_on(errno, phrase!("listen at"), interface))?;
    Ok(socket)
}

/// Sends a datagram to all on the network, at this port, if the kernel takes it.
pub fn broadcast(socket: FdRef<'_>, datagram: &[u8], port: u16) {
    let mut to = Peer::new(&any(), port);
    to.four = [255; 4];
    send_to(socket, datagram, &to);
}

/// No address in particular.
fn any() -> Address {
    let mut any = [0; 16];
    any[..12].copy_from_slice(&IPV4);
    any
}

/// Tells the other end that nothing more comes (`SHUT_WR`), or ends the connection in both directions (`SHUT_RDWR`), for every
/// process that has it. One that has ended already stays so.
pub fn shutdown(socket: FdRef<'_>, how: i32) {
    // SAFETY: no memory is involved.
    let _ = unsafe { sys!(shutdown, socket.number(), how) };
}

/// A socket by which tables of the older packet filters are read; it takes `CAP_NET_RAW`.
///
/// # Errors
/// socket(2).
pub fn raw(is_ipv6: bool) -> Result<Fd> {
    let family = if is_ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    // SAFETY: no memory is involved.
    unsafe { sys!(socket, family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("open a socket"), ""))
}

/// Reads something of a table: all of the buffer, whose beginning says which.
///
/// # Errors
/// getsockopt(2).
pub fn table(socket: FdRef<'_>, is_ipv6: bool, option: i32, buffer: &mut [u8]) -> Result<()> {
    let (level, mut length) = (if is_ipv6 { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP }, buffer.len() as u32);
    // SAFETY: the buffer is writable for its length, and so is that.
    unsafe { sys!(getsockopt, socket.number(), level, option, buffer.as_mut_ptr(), &raw mut length) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("read packet filters"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::address;

    #[test]
    fn peers_are_as_the_kernel_has_them_and_read_as_they_were() {
        for (text, family, length) in [("192.0.2.7", libc::AF_INET, 16), ("2001:db8::1", libc::AF_INET6, 28)] {
            let address = address(text).unwrap();
            let peer = Peer::new(&address, 0x1234);
            assert_eq!((i32::from(peer.family), peer.port, peer.length()), (family, [0x12, 0x34], length));
            assert_eq!(peer.address(), address);
        }
        assert_eq!(Peer::new(&address("192.0.2.7").unwrap(), 1).four, [192, 0, 2, 7]);
    }
}
