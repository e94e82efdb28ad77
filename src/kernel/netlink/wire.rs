//! The layout of netlink messages: a header of 16 bytes, a fixed part by kind, attributes that may hold others; netlink(7).
//!
//! Everything is in host byte order, unless an attribute says otherwise, and begins at a multiple of four bytes.

use alloc::vec::Vec;

use crate::base::errno::Errno;

/// `NLMSG_ERROR`, `linux/netlink.h`: an acknowledgement, be it of a failure.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a list.
pub const DONE: u16 = 3;
/// Of an attribute's kind: others are in it.
const NESTED: u16 = 0x8000;
/// `NLMSGERR_ATTR_MSG`: the kernel's own words.
const WORDS: u16 = 1;
/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Messages that are sent to the kernel at once.
#[derive(Debug, Default)]
pub struct Datagram {
    bytes: Vec<u8>,
    /// Where the message in the making begins, and how many there are.
    begun: usize,
    count: u32,
    /// Whether something is longer than its length can say: it would be read as if it ended early, and what follows as attributes
    /// of their own (CVE-2021-43784).
    pub(super) too_long: bool,
}

impl Datagram {
    /// Begins a message of a kind (`RTM_*`) with flags (`NLM_F_*`) and its fixed part. Messages are numbered from 1.
    #[inline(never)]
    pub fn message(&mut self, kind: u16, flags: i32, fixed: &[u8]) {
        self.end();
        self.begun = self.bytes.len();
        self.count += 1;
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        // The length comes when the message ends; the sender's port is the kernel's to fill in.
        for part in [&[0; 4][..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &self.count.to_ne_bytes(), &[0; 4], fixed]
        {
            self.bytes.extend_from_slice(part);
        }
        self.pad();
    }

    /// Adds an attribute.
    #[inline(never)]
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = self.length(value.len() + 4);
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    /// Adds an attribute that is a text with a zero byte at its end.
    pub fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, &[text.as_bytes(), &[0]].concat());
    }

    /// Begins an attribute that holds others; where, for [`Datagram::close`].
    pub fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        at
    }

    /// Ends an attribute that holds others.
    pub fn close(&mut self, at: usize) {
        let length = self.length(self.bytes.len() - at);
        self.bytes[at..at + 2].copy_from_slice(&length);
    }

    fn length(&mut self, length: usize) -> [u8; 2] {
        self.too_long |= length > 0xffff;
        (length as u16).to_ne_bytes()
    }

    /// Adds bytes that are no attribute: the fixed part of what stands in one.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Asks for an acknowledgement of the message in the making, by which the kernel says that it has gone through all.
    pub fn acknowledge(&mut self) {
        self.bytes[self.begun + 6] |= libc::NLM_F_ACK as u8;
    }

    /// The whole datagram.
    pub fn finish(&mut self) -> &[u8] {
        self.end();
        &self.bytes
    }

    fn end(&mut self) {
        let length = (self.bytes.len() - self.begun) as u32;
        if let Some(place) = self.bytes[self.begun..].first_chunk_mut() {
            *place = length.to_ne_bytes();
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The next message of what the kernel sent: its kind, its number and the rest of it; `None` at the end and where it is damaged.
#[inline(never)]
pub fn next_message<'a>(rest: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let (header, _) = rest.split_first_chunk::<HEADER>()?;
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let body = rest.get(HEADER..word(0) as usize)?;
    let message = (u16::from_ne_bytes([header[4], header[5]]), word(8), body);
    *rest = rest.get((word(0) as usize).next_multiple_of(4)..).unwrap_or_default();
    Some(message)
}

/// The next attribute: its kind and its value.
#[inline(never)]
pub fn next_attribute<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (&[a, b, c, d], _) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_ne_bytes([a, b]));
    let value = rest.get(4..length)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes([c, d]) & 0x3fff, value))
}

/// The value of an attribute; empty if there is none of this kind.
#[must_use]
#[inline(never)]
pub fn attribute(mut attributes: &[u8], kind: u16) -> &[u8] {
    while let Some((found, value)) = next_attribute(&mut attributes) {
        if found == kind {
            return value;
        }
    }
    &[]
}

/// An attribute that is a number of four bytes; 0 if there is none.
#[must_use]
pub fn number(attributes: &[u8], kind: u16) -> u32 {
    attribute(attributes, kind).first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// A text as attributes hold it, without the zero byte.
#[must_use]
pub fn text(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What an acknowledgement says: the error, 0 if there is none, and the kernel's words (Linux 4.12).
#[must_use]
#[inline(never)]
pub fn verdict(body: &[u8]) -> (Errno, &[u8]) {
    let code = body.first_chunk().map_or(-libc::EBADMSG, |bytes| i32::from_ne_bytes(*bytes));
    // Behind it stands the header of what was sent, and no more of it (NETLINK_CAP_ACK).
    (Errno(code.wrapping_neg()), text(attribute(body.get(4 + HEADER..).unwrap_or_default(), WORDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    fn expected() -> Vec<u8> {
        [
            &44u32.to_ne_bytes()[..],                       // length of the message
            &16u16.to_ne_bytes(), &5u16.to_ne_bytes(),      // RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
            &1u32.to_ne_bytes(), &0u32.to_ne_bytes(),       // its number; port: the kernel fills it in
            &[0xaa; 4],                                     // the fixed part
            &7u16.to_ne_bytes(), &3u16.to_ne_bytes(), b"lo\0\0",            // IFLA_IFNAME, and a byte of padding
            &16u16.to_ne_bytes(), &(0x8012u16).to_ne_bytes(),          // IFLA_LINKINFO, which holds
            &8u16.to_ne_bytes(), &4u16.to_ne_bytes(), &1500u32.to_ne_bytes(), //   a number
            &4u16.to_ne_bytes(), &9u16.to_ne_bytes(),                       //   and nothing
            &16u32.to_ne_bytes(),
            &3u16.to_ne_bytes(), &1u16.to_ne_bytes(), &2u32.to_ne_bytes(), &0u32.to_ne_bytes(),
        ].concat()
    }

    #[test]
    fn messages_and_attributes_are_written_and_read_as_the_kernel_has_them() {
        let mut datagram = Datagram::default();
        datagram.message(16, 0, &[0xaa; 4]);
        datagram.acknowledge();
        datagram.text(3, "lo");
        let at = datagram.open(18);
        datagram.attribute(4, &1500u32.to_ne_bytes());
        datagram.attribute(9, &[]);
        datagram.close(at);
        datagram.message(DONE, 0, &[]);
        assert_eq!(datagram.finish(), expected());

        let bytes = expected();
        let mut rest = &bytes[..];
        let (kind, sequence, body) = next_message(&mut rest).unwrap();
        assert_eq!((kind, sequence), (16, 1));
        let attributes = &body[4..];
        assert_eq!(text(attribute(attributes, 3)), b"lo");
        assert_eq!(number(attribute(attributes, 18), 4), 1500);
        assert_eq!(attribute(attributes, 5), b"");
        assert_eq!(next_message(&mut rest), Some((DONE, 2, &[][..])));
        assert_eq!(next_message(&mut rest), None);
    }

    #[test]
    fn what_is_cut_short_is_no_message_and_never_a_panic() {
        let bytes = expected();
        for length in 0..44 {
            assert_eq!(next_message(&mut &bytes[..length]), None, "{length}");
        }
        for length in [0u32, 3, 15, 45, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            let mut rest = &bytes[..];
            while next_message(&mut rest).is_some() {}
        }
        for length in [0u16, 3, 25, u16::MAX] {
            let mut attributes = bytes[20..44].to_vec();
            attributes[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(next_attribute(&mut &attributes[..]), None, "{length}");
        }
    }

    #[test]
    fn an_acknowledgement_tells_the_error_and_the_kernels_words() {
        let body = |code: i32, rest: &[u8]| [&code.to_ne_bytes()[..], &[0; 16], rest].concat();
        assert_eq!(verdict(&body(0, &[])), (Errno(0), &b""[..]));
        let words = [&10u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"wrong\0\0\0"].concat();
        assert_eq!(verdict(&body(-libc::EPERM, &words)), (Errno::EPERM, &b"wrong"[..]));
        assert_eq!(verdict(&[]).0, Errno(libc::EBADMSG));
        let _ = verdict(&body(i32::MIN, &[1]));
    }
}
