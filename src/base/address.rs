//! Addresses as they are written.

use alloc::string::String;

use super::text::{Address, IPV4};

/// An address in the one form that RFC 5952 has for it; an IPv4 address without what stands before it.
#[must_use]
#[inline(never)]
pub fn text(address: &Address) -> String {
    let mut out = String::new();
    if let Some(four) = address.strip_prefix(&IPV4) {
        for byte in four {
            if !out.is_empty() {
                out.push('.');
            }
            number(&mut out, (*byte).into(), 10);
        }
        return out;
    }
    let group = |at: usize| u32::from(address[2 * at]) << 8 | u32::from(address[2 * at + 1]);
    // The longest run of zeros has a short form, the first of equal ones; a single zero has not.
    let (mut gap, mut longest) = (8, 1);
    for start in 0..8 {
        let mut end = start;
        while end < 8 && group(end) == 0 {
            end += 1;
        }
        if end - start > longest {
            (gap, longest) = (start, end - start);
        }
    }
    let mut at = 0;
    while at < 8 {
        if at == gap {
            out.push_str("::");
            at += longest;
            continue;
        }
        if at > 0 && !out.ends_with(':') {
            out.push(':');
        }
        number(&mut out, group(at), 16);
        at += 1;
    }
    out
}

/// Adds a number in this radix.
fn number(out: &mut String, value: u32, radix: u32) {
    if value >= radix {
        number(out, value / radix, radix);
    }
    out.push(char::from(b"0123456789abcdef"[(value % radix) as usize & 15]));
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};
    use std::string::ToString;

    use super::*;
    use crate::base::samples::Random;
    use crate::base::text;

    #[test]
    fn addresses_are_written_in_their_canonical_form() {
        for good in [
            "0.0.0.0",
            "255.255.255.255",
            "10.118.0.5",
            "::",
            "::1",
            "1::",
            "2001:db8::1",
            "fd12:3456:789a::5",
            "2001:db8:0:1:1:1:1:1",
            "2001:0:0:1::1",
            "2001:db8::1:0:0:1",
            "1:2:3:4:5:6:7:8",
            "::fffe:0:0",
        ] {
            assert_eq!(super::text(&text::address(good).unwrap()), good);
        }
    }

    #[test]
    fn all_addresses_are_written_as_the_standard_library_does_and_read_again() {
        let mut random = Random(5);
        for _ in 0..20_000 {
            // Many zeros.
            let mut address: Address = (u128::from(random.next()) << 64 | u128::from(random.next())).to_be_bytes();
            let mask = random.next();
            for (at, byte) in address.iter_mut().enumerate() {
                if mask >> (at / 2) & 1 == 0 {
                    *byte = 0;
                }
                if (mask >> (16 + at)).trailing_zeros() >= 2 {
                    *byte &= 0xf;
                }
            }
            assert_eq!(super::text(&address), Ipv6Addr::from(address).to_string());
            assert_eq!(text::address(&super::text(&address)), Some(address));
            let four = [address[0], address[2], address[5], address[15]];
            address[..12].copy_from_slice(&IPV4);
            address[12..].copy_from_slice(&four);
            assert_eq!(super::text(&address), Ipv4Addr::from(four).to_string());
        }
    }
}
