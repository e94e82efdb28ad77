//! Network interfaces.

use alloc::vec::Vec;

use super::wire::Message;

/// The loopback interface's index in every network namespace.
pub const LOOPBACK: u32 = 1;

/// The message that sets an interface up.
#[must_use]
pub fn up(index: u32, sequence: u32) -> Vec<u8> {
    // `struct ifinfomsg`: family, padding, type, index, flags, change mask; rtnetlink(7).
    let mut fixed = [0u8; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
    fixed[12..16].copy_from_slice(&(libc::IFF_UP as u32).to_ne_bytes());
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    Message::new(libc::RTM_NEWLINK, flags, sequence).fixed(&fixed).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_loopback_up_names_its_index_and_one_flag() {
        let bytes = up(LOOPBACK, 7);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[16..20], [0, 0, 0, 0]); // family, padding, type
        assert_eq!(bytes[20..24], 1u32.to_ne_bytes()); // index
        assert_eq!(bytes[24..28], 1u32.to_ne_bytes()); // IFF_UP
        assert_eq!(bytes[28..32], 1u32.to_ne_bytes()); // only that flag changes
    }
}
