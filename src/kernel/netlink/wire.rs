//! The layout of netlink messages: a header of 16 bytes, a fixed part by kind, attributes; everything in host byte order.

use alloc::vec::Vec;

use crate::base::errno::Errno;

/// `NLMSG_ERROR`, `linux/netlink.h`.
const ERROR: u16 = 2;

/// A message in the making.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Begins a message of a kind (`RTM_*`) with flags (`NLM_F_*`).
    #[must_use]
    pub fn new(kind: u16, flags: u16, sequence: u32) -> Message {
        let mut message = Message { bytes: Vec::with_capacity(64) };
        message.bytes.extend_from_slice(&0u32.to_ne_bytes());
        message.bytes.extend_from_slice(&kind.to_ne_bytes());
        message.bytes.extend_from_slice(&flags.to_ne_bytes());
        message.bytes.extend_from_slice(&sequence.to_ne_bytes());
        message.bytes.extend_from_slice(&0u32.to_ne_bytes());
        message
    }

    /// Adds the fixed part.
    #[must_use]
    pub fn fixed(mut self, bytes: &[u8]) -> Message {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The whole message, its length filled in.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// What the kernel answers to a message that asked for an acknowledgement; `None` if this is no such answer.
#[must_use]
pub fn acknowledgement(answer: &[u8]) -> Option<Result<(), Errno>> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(if code == 0 { Ok(()) } else { Err(Errno(code.wrapping_neg())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_header_and_a_fixed_part_with_the_length_first() {
        let bytes = Message::new(16, 5, 1).fixed(&[0xaa; 16]).finish();
        let mut expected = Vec::new();
        expected.extend_from_slice(&32u32.to_ne_bytes()); // length
        expected.extend_from_slice(&16u16.to_ne_bytes()); // RTM_NEWLINK
        expected.extend_from_slice(&5u16.to_ne_bytes()); // NLM_F_REQUEST | NLM_F_ACK
        expected.extend_from_slice(&1u32.to_ne_bytes()); // sequence number
        expected.extend_from_slice(&0u32.to_ne_bytes()); // port: the kernel fills it in
        expected.extend_from_slice(&[0xaa; 16]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_answer_is_success_an_error_or_something_else_and_never_a_panic() {
        let mut answer = [0u8; 36];
        answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        assert_eq!(acknowledgement(&answer), Some(Ok(())));
        answer[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert_eq!(acknowledgement(&answer), Some(Err(Errno::EPERM)));
        answer[16..20].copy_from_slice(&i32::MIN.to_ne_bytes());
        assert!(acknowledgement(&answer).is_some());
        assert_eq!(acknowledgement(&answer[..19]), None);
        assert_eq!(acknowledgement(&[]), None);
    }
}
