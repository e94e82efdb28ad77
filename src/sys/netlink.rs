//! Netlink sockets, netlink(7).
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::fail_on;
use crate::base::errno::Errno;
use crate::base::error::Result;

/// Options of such sockets: acknowledgements hold no copy of the message (Linux 4.3), but the kernel's words (Linux 4.12).
const OPTIONS: [i32; 2] = [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK];

/// A socket of a protocol (`NETLINK_ROUTE`, ...), for the network namespace that this process is in.
///
/// # Errors
/// socket(2); `EPROTONOSUPPORT` on a kernel without it.
pub fn open(protocol: i32) -> Result<Fd> {
    // SAFETY: no memory is involved.
    let socket = unsafe { sys!(socket, libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("open a netlink socket"), ""))?;
    for option in OPTIONS {
        let on = 1i32;
        // SAFETY: the value is readable for its length. Kernels that don't know the option answer without it.
        let _ =
            unsafe { sys!(setsockopt, socket.number(), libc::SOL_NETLINK, option, &raw const on, size_of::<i32>()) };
    }
    Ok(socket)
}

/// Sends one datagram to the kernel.
///
/// # Errors
/// send(2).
pub fn send(socket: FdRef<'_>, datagram: &[u8]) -> Result<()> {
    // SAFETY: the bytes are readable; a netlink socket without address talks to the kernel, netlink(7).
    unsafe { sys!(sendto, socket.number(), datagram.as_ptr(), datagram.len(), 0, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("send a netlink message"), ""))
}

/// Receives one datagram from the kernel.
///
/// # Errors
/// recv(2).
pub fn receive(socket: FdRef<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the buffer is writable.
        match unsafe { sys!(recvfrom, socket.number(), buffer.as_mut_ptr(), buffer.len(), 0, 0, 0) } {
            Err(Errno::EINTR) => {}
            result => return result.map_err(|errno| fail_on(errno, phrase!("receive a netlink message"), "")),
        }
    }
}
