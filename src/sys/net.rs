//! Sockets: the channel between vial's processes, which also carries open files, and netlink.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::fail_on;
use crate::base::errno::Errno;
use crate::base::error::Result;

/// Two connected sockets that keep messages apart.
///
/// # Errors
/// socketpair(2).
pub fn socket_pair() -> Result<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    // SAFETY: room for two numbers.
    unsafe { sys!(socketpair, libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) }
        .map_err(|errno| fail_on(errno, phrase!("make a socket pair"), ""))?;
    Ok((Fd::from_number(ends[0]), Fd::from_number(ends[1])))
}

/// `struct cmsghdr` with one descriptor, cmsg(3); the length field is a word.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    file: i32,
    padding: i32,
}

/// `CMSG_LEN(sizeof(int))`.
const CONTROL_LENGTH: usize = size_of::<usize>() + 12;

/// `struct msghdr` as the kernel has it (`user_msghdr`).
#[repr(C)]
struct Message {
    name: usize,
    name_length: u32,
    parts: *const [usize; 2],
    part_count: usize,
    control: *const Control,
    control_length: usize,
    flags: u32,
}

/// `struct sockaddr_un`, unix(7).
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

/// An address below an open directory, however long that directory's own path is.
fn address(dir: FdRef<'_>, name: &str) -> Address {
    let mut address = Address { family: libc::AF_UNIX as u16, path: [0; 108] };
    let path = alloc::format!("/proc/self/fd/{}/{name}", dir.number());
    for (place, byte) in address.path.iter_mut().zip(path.bytes().take(107)) {
        *place = byte;
    }
    if weak!("abstract") {
        address.path = [0; 108];
        for (place, byte) in address.path[1..].iter_mut().zip(name.bytes()) {
            *place = byte;
        }
    }
    address
}

fn local_socket(kind: i32) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(socket, libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("open a socket"), ""))
}

/// A socket in a directory that others can connect to; it keeps messages apart.
///
/// # Errors
/// bind(2): `EADDRINUSE` if the name is taken; `ENOENT` without `/proc`.
pub fn listen_at(dir: FdRef<'_>, name: &str) -> Result<Fd> {
    let (socket, address) = (local_socket(libc::SOCK_SEQPACKET)?, address(dir, name));
    // SAFETY: the address is readable.
    unsafe { sys!(bind, socket.number(), &raw const address, size_of::<Address>()) }
        // SAFETY: no memory is involved.
        .and_then(|_| unsafe { sys!(listen, socket.number(), 64) })
        .map_err(|errno| fail_on(errno, phrase!("listen at the socket"), name))?;
    Ok(socket)
}

/// Takes a connection; it waits for one.
///
/// # Errors
/// accept(2).
pub fn accept(socket: FdRef<'_>) -> Result<Fd> {
    // SAFETY: the address is not asked for.
    unsafe { sys!(accept4, socket.number(), 0, 0, libc::SOCK_CLOEXEC) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("accept a connection"), ""))
}

/// Connects to a socket in a directory.
///
/// # Errors
/// connect(2): `ENOENT` if there is none, `ECONNREFUSED` if nobody listens any more.
pub fn connect_at(dir: FdRef<'_>, name: &str) -> Result<Fd> {
    connect(dir, name, libc::SOCK_SEQPACKET)
}

/// Connects to a socket in a directory that takes a stream of bytes.
///
/// # Errors
/// connect(2).
pub fn connect_stream_at(dir: FdRef<'_>, name: &str) -> Result<Fd> {
    connect(dir, name, libc::SOCK_STREAM)
}

fn connect(dir: FdRef<'_>, name: &str, kind: i32) -> Result<Fd> {
    let (socket, address) = (local_socket(kind)?, address(dir, name));
    // SAFETY: the address is readable.
    unsafe { sys!(connect, socket.number(), &raw const address, size_of::<Address>()) }
        .map_err(|errno| fail_on(errno, phrase!("connect to the socket"), name))?;
    Ok(socket)
}

/// Sends a message, with an open file if there is one.
///
/// # Errors
/// send(2). A peer that is gone gives `EPIPE` and no signal.
pub fn send(socket: FdRef<'_>, bytes: &[u8], file: Option<FdRef<'_>>) -> Result<()> {
    send_with(socket, bytes, file, 0)
}

/// Sends a message if there is room for it.
///
/// # Errors
/// send(2): `EAGAIN` if there is none, `EPIPE` if the peer is gone.
pub fn try_send(socket: FdRef<'_>, bytes: &[u8]) -> Result<()> {
    send_with(socket, bytes, None, libc::MSG_DONTWAIT)
}

/// Sends a message with an open file if there is room for it.
///
/// # Errors
/// send(2): `EAGAIN` if there is none, `EPIPE` if the peer is gone.
pub fn try_send_file(socket: FdRef<'_>, bytes: &[u8], file: FdRef<'_>) -> Result<()> {
    send_with(socket, bytes, Some(file), libc::MSG_DONTWAIT)
}

fn send_with(socket: FdRef<'_>, bytes: &[u8], file: Option<FdRef<'_>>, flags: i32) -> Result<()> {
    let part = [bytes.as_ptr() as usize, bytes.len()];
    let control = Control {
        length: CONTROL_LENGTH,
        level: libc::SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        file: file.map_or(-1, FdRef::number),
        padding: 0,
    };
    let control_length = if file.is_some() { size_of::<Control>() } else { 0 };
    let message = Message {
        name: 0,
        name_length: 0,
        parts: &raw const part,
        part_count: 1,
        control: &raw const control,
        control_length,
        flags: 0,
    };
    // SAFETY: everything that the message points to is alive.
    unsafe { sys!(sendmsg, socket.number(), &raw const message, libc::MSG_NOSIGNAL | flags) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("send a message"), ""))
}

/// The flags of the message by which a filter's listener is handed over: no other message has them, so that a filter can let it pass.
/// `MSG_SYN`, `MSG_CONFIRM` and `MSG_RST` say nothing to a local socket.
pub const HANDS_OVER: u32 = (libc::MSG_NOSIGNAL | libc::MSG_SYN | libc::MSG_CONFIRM | libc::MSG_RST) as u32;

/// Sends the listener of a filter that this process has just got.
///
/// # Errors
/// send(2).
pub fn hand_over(socket: FdRef<'_>, bytes: &[u8], listener: FdRef<'_>) -> Result<()> {
    send_with(socket, bytes, Some(listener), HANDS_OVER as i32)
}

/// Receives a message and the file that came with it; an empty message is the end.
///
/// # Errors
/// recv(2).
pub fn receive(socket: FdRef<'_>, buffer: &mut [u8]) -> Result<(usize, Option<Fd>)> {
    let part = [buffer.as_mut_ptr() as usize, buffer.len()];
    let mut control = Control { length: 0, level: 0, kind: 0, file: -1, padding: 0 };
    let message = Message {
        name: 0,
        name_length: 0,
        parts: &raw const part,
        part_count: 1,
        control: &raw mut control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    loop {
        // SAFETY: everything that the message points to is alive and writable.
        match unsafe { sys!(recvmsg, socket.number(), &raw const message, libc::MSG_CMSG_CLOEXEC) } {
            // The other side ended without having read all: what it sent before, and the end, come next (unix(7)).
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(errno) => return Err(fail_on(errno, phrase!("receive a message"), "")),
            Ok(count) => {
                let came = control.length >= CONTROL_LENGTH && control.kind == libc::SCM_RIGHTS && control.file >= 0;
                return Ok((count, came.then(|| Fd::from_number(control.file))));
            }
        }
    }
}
