//! A conversation with the kernel over one netlink socket.

use alloc::vec;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicI32, Ordering};

use super::wire::{self, DONE, Datagram, ERROR};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::sys::{self, Fd, FdRef, netlink};

/// What is read at a time: lists come in pieces that fit into what was offered before.
const BUFFER: usize = 32 << 10;

/// See [`Socket::filters`].
static KEPT: AtomicI32 = AtomicI32::new(0);

/// An open netlink socket.
pub struct Socket(Fd);

impl Socket {
    /// Opens a socket for interfaces, addresses and routes, in the network namespace that this process is in.
    ///
    /// # Errors
    /// socket(2).
    pub fn route() -> Result<Socket> {
        netlink::open(libc::NETLINK_ROUTE)
            .map(Socket)
            .map_err(|error| error.hint(phrase!("the kernel has no networking (CONFIG_NET); use --network host")))
    }

    /// Opens a socket for packet filters.
    ///
    /// # Errors
    /// socket(2).
    pub fn netfilter() -> Result<Socket> {
        netlink::open(libc::NETLINK_NETFILTER).map(Socket)
    }

    /// The socket for packet filters that stays open as long as this process: while something is being removed, each one that is
    /// closed waits until nobody can look at that any more, which takes milliseconds.
    ///
    /// # Errors
    /// socket(2).
    pub fn filters() -> Result<ManuallyDrop<Socket>> {
        let number = match KEPT.load(Ordering::Relaxed) {
            0 => netlink::open(libc::NETLINK_NETFILTER)?.leak(),
            number => number,
        };
        KEPT.store(number, Ordering::Relaxed);
        Ok(ManuallyDrop::new(Socket(Fd::from_number(number))))
    }

    /// That socket, if there is one.
    #[must_use]
    pub fn kept() -> Option<FdRef<'static>> {
        Some(KEPT.load(Ordering::Relaxed)).filter(|number| *number != 0).map(FdRef::from_number)
    }

    /// Has another one take that one's place: after a failure there is more to come than is waited for.
    pub fn renew() {
        KEPT.store(0, Ordering::Relaxed);
    }

    /// Sends messages and waits until the kernel has gone through all, the last of which asks for an acknowledgement.
    ///
    /// # Errors
    /// The first that the kernel refuses; `what` says what they were for.
    pub fn request(&self, datagram: &mut Datagram, what: Phrase) -> Result<()> {
        self.ask(datagram, what, &mut |_, _| ())
    }

    /// Sends a message and hands out what comes: an object, or the list of all.
    ///
    /// # Errors
    /// As for [`Socket::request`].
    #[inline(never)]
    pub fn ask(&self, datagram: &mut Datagram, what: Phrase, each: &mut dyn FnMut(u16, &[u8])) -> Result<()> {
        if datagram.too_long && !weak!("netlink") {
            return Err(Error::os(Errno::EMSGSIZE, what, "").because(sys::ledger::reason()));
        }
        netlink::send(self.0.by_ref(), datagram.finish())?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = netlink::receive(self.0.by_ref(), &mut buffer)?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((kind, _, body)) = wire::next_message(&mut rest) {
                match kind {
                    DONE => return Ok(()),
                    ERROR => match wire::verdict(body) {
                        (Errno(0), _) => return Ok(()),
                        (errno, words) => {
                            return Err(Error::os(errno, what, keep::lossy(words)).because(sys::ledger::reason()));
                        }
                    },
                    _ => each(kind, body),
                }
            }
        }
    }
}
