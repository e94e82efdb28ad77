//! The older packet filters, which `iptables-legacy` sets up, as far as they may be in the way; `linux/netfilter_ipv4/ip_tables.h`,
//! `linux/netfilter_ipv6/ip6_tables.h`, `linux/netfilter/x_tables.h`.

use alloc::vec;

use crate::base::error::Result;
use crate::sys::fd::CWD;
use crate::sys::{file, internet};

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`, which have the same numbers for IPv6.
const INFO: i32 = 64;
const ENTRIES: i32 = 65;
/// `struct ipt_getinfo`: where the number for a hook's policy stands, of which those of packets on their way through is the third, and
/// where the size of all entries.
const POLICY: usize = 56 + 2 * 4;
const SIZE: usize = 80;
/// `struct ipt_get_entries` before the entries, the size in it, and what is before the verdict in `struct xt_standard_target`.
const HEAD: usize = 40;
const ASKED: usize = 32;
const VERDICT: usize = 32;
/// `-NF_DROP - 1`.
const DROP: [u8; 4] = (-1i32).to_ne_bytes();

fn number(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_ne_bytes(*four) as usize)
}

/// Whether these filters drop what passes through the host and is not allowed by name. A table that is not there is not looked
/// for: that would make it.
#[must_use]
pub fn drops(is_ipv6: bool) -> bool {
    let names = if is_ipv6 { c"/proc/net/ip6_tables_names" } else { c"/proc/net/ip_tables_names" };
    let names = file::read_file(CWD, names, 1 << 10).unwrap_or_default();
    names.split(|byte| *byte == b'\n').any(|name| name == b"filter") && ask(is_ipv6).unwrap_or(false)
}

fn ask(is_ipv6: bool) -> Result<bool> {
    let socket = internet::raw(is_ipv6)?;
    let mut info = [0; 84];
    info[..6].copy_from_slice(b"filter");
    internet::table(socket.by_ref(), is_ipv6, INFO, &mut info)?;
    let size = number(&info, SIZE);
    let mut entries = vec![0; HEAD + size];
    entries[..6].copy_from_slice(b"filter");
    entries[ASKED..ASKED + 4].copy_from_slice(&info[SIZE..]);
    internet::table(socket.by_ref(), is_ipv6, ENTRIES, &mut entries)?;
    Ok(is_drop(&info, &entries, is_ipv6))
}

/// The policy stands as the last rule: a `struct ipt_entry` or `struct ip6t_entry` without matches, and its target.
fn is_drop(info: &[u8], entries: &[u8], is_ipv6: bool) -> bool {
    let at = HEAD + number(info, POLICY) + if is_ipv6 { 168 } else { 112 } + VERDICT;
    entries.get(at..).is_some_and(|rest| rest.starts_with(&DROP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_the_verdict_of_its_rule() {
        for (is_ipv6, entry) in [(false, 112), (true, 168)] {
            let mut info = [0; 84];
            // NF_INET_FORWARD's underflow, `hook_entry` and those of two hooks before it.
            info[64..68].copy_from_slice(&(2 * (entry + 40u32)).to_ne_bytes());
            let mut entries = vec![0; 40 + 3 * (entry as usize + 40)];
            assert!(!is_drop(&info, &entries, is_ipv6));
            let verdict = entries.len() - 8;
            entries[verdict..verdict + 4].copy_from_slice(&(-1i32).to_ne_bytes());
            assert!(is_drop(&info, &entries, is_ipv6));
            // NF_ACCEPT.
            entries[verdict..verdict + 4].copy_from_slice(&(-2i32).to_ne_bytes());
            assert!(!is_drop(&info, &entries, is_ipv6));
            assert!(!is_drop(&info, &entries[..verdict], is_ipv6) && !is_drop(&[], &[], is_ipv6));
        }
    }
}
