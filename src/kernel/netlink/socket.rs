//! A conversation with the kernel over one netlink socket.

use alloc::string::String;

use super::wire;
use crate::base::error::{Error, Result};
use crate::sys::{Fd, net};

/// An open netlink socket.
pub struct Socket(Fd);

impl Socket {
    /// Opens a socket for interfaces, addresses and routes.
    ///
    /// # Errors
    /// socket(2).
    pub fn route() -> Result<Socket> {
        net::netlink(libc::NETLINK_ROUTE)
            .map(Socket)
            .map_err(|error| error.hint(phrase!("the kernel has no networking (CONFIG_NET); use --network host")))
    }

    /// Sends a message and waits for its acknowledgement.
    ///
    /// # Errors
    /// What the kernel answers; `what` says what the message was for.
    pub fn request(&self, message: &[u8], what: &'static str) -> Result<()> {
        net::send_to_kernel(self.0.by_ref(), message)?;
        let mut answer = [0u8; 1024];
        let length = net::receive_from_kernel(self.0.by_ref(), &mut answer)?;
        match wire::acknowledgement(&answer[..length]) {
            Some(Ok(())) => Ok(()),
            Some(Err(errno)) => Err(Error::os(errno, what, String::new()).because(crate::sys::ledger::reason())),
            None => {
                Err(Error::new(phrase!("the kernel gave an answer to a netlink message that is no acknowledgement")))
            }
        }
    }
}
