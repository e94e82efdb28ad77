//! Refusals that come as messages: the kernel's answers over netlink.

use super::super::usage::read_proc;
use crate::base::text::Cut;
use crate::sys::fd::CWD;
use crate::sys::file;
use crate::sys::notify::{Call, read_memory};

/// `NLMSG_ERROR`, netlink(7).
const ERROR: u16 = 2;
/// A header, and the number of an error behind it.
const LENGTH: usize = 20;

/// Whether a call has received the answer that a request over netlink was not permitted.
pub(super) fn by_netlink(thread: u32, call: &Call, value: i64) -> bool {
    if value < LENGTH as i64 {
        return false;
    }
    let mut at = call.arguments[1];
    if super::judge::name(call) == "recvmsg" {
        // `struct msghdr`: a name and its length, then where the parts are; a part begins with where it is.
        let word = size_of::<usize>() as u64;
        let number = |at: u64| {
            let mut bytes = [0; size_of::<usize>()];
            (read_memory(thread, at, &mut bytes) == bytes.len()).then(|| usize::from_le_bytes(bytes) as u64)
        };
        let Some(part) = number(at + 2 * word).and_then(number) else { return false };
        at = part;
    }
    let mut bytes = [0; LENGTH];
    if read_memory(thread, at, &mut bytes) != LENGTH {
        return false;
    }
    let kind = u16::from_le_bytes([bytes[4], bytes[5]]);
    let error = i32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    kind == ERROR && error == -libc::EPERM && is_netlink(thread, call.arguments[0])
}

/// Whether an open file is a netlink socket of the network's: `NETLINK_ROUTE`, `NETLINK_NETFILTER` or `NETLINK_GENERIC`.
fn is_netlink(thread: u32, number: u64) -> bool {
    let link = file::owned_path(join!("/proc/{}/fd/{}", thread, number).as_bytes());
    let Some(link) = link.and_then(|link| file::readlink(CWD, &link)).ok() else { return false };
    let inode = link.to_str().ok().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
    // The second column of a line is the family, and the last one the inode.
    let table = read_proc(join!("{}", thread), "net/netlink");
    let line = inode.and_then(|inode| table.parts(b'\n').find(|line| line.words().last() == Some(inode)));
    line.and_then(|line| line.words().nth(1)).is_some_and(|family| matches!(family, "0" | "12" | "16"))
}
