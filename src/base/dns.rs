//! The domain name system: a question to a name server, and the addresses in its answer.
//!
//! # Source
//! RFC 1035 section 4 for the messages, RFC 3596 for IPv6.

use alloc::vec::Vec;

use super::text::{Address, Cut, IPV4};

/// The kind of record that holds an IPv4 address.
pub const A: u16 = 1;
/// The kind that holds an IPv6 address.
pub const AAAA: u16 = 28;

/// Bytes of a message before its first question.
const HEADER: usize = 12;

/// What a message says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answers another question, or is damaged.
    Other,
    /// It did not fit, and is to be asked for over TCP.
    Truncated,
    /// All that the server has to say, which may be nothing.
    Whole,
}

/// A question for a name's records of one kind; a name server refuses what can't be a name. Its length stands before it, as it
/// is sent over TCP.
#[must_use]
#[inline(never)]
pub fn question(id: [u8; 2], name: &str, kind: u16) -> Vec<u8> {
    // The length, the identification, "recursion desired", and one question.
    let mut message = Vec::from([0, 0, id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.parts(b'.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        message.push(label.len() as u8);
        message.extend_from_slice(label);
    }
    // The root, the kind, and the class of the Internet.
    message.extend_from_slice(&[0, 0, kind as u8, 0, 1]);
    let length = message.len() - 2;
    message[1] = length as u8;
    message[0] = (length >> 8) as u8;
    message
}

/// Reads what came for a question. A name that stands for another one comes with that one's addresses, since the server was asked
/// to follow it; so all addresses are taken, whosever they are. The question comes without its length.
#[inline(never)]
pub fn answer(message: &[u8], question: &[u8], addresses: &mut Vec<Address>) -> Answer {
    read(message, question, addresses).unwrap_or(Answer::Other)
}

fn read(message: &[u8], question: &[u8], addresses: &mut Vec<Address>) -> Option<Answer> {
    let (header, rest) = message.split_first_chunk::<HEADER>()?;
    let (id, asked) = question.split_first_chunk::<HEADER>()?;
    let mut rest = rest.strip_prefix(asked)?;
    // The identification and the number of questions are those that were sent.
    if header[..2] != id[..2] || header[4..6] != id[4..6] || header[2] & 0x80 == 0 {
        return None;
    }
    if header[2] & 2 != 0 {
        return Some(Answer::Truncated);
    }
    for _ in 0..u16::from_be_bytes([header[6], header[7]]) {
        rest = skip_name(rest)?;
        // Kind, class, time to live, length, data.
        let (head, tail) = rest.split_first_chunk::<10>()?;
        let (data, tail) = tail.split_at_checked(usize::from(head[9]) | usize::from(head[8]) << 8)?;
        rest = tail;
        let [0, kind, 0, 1, ..] = *head else { continue };
        let mut address = [0; 16];
        address[..12].copy_from_slice(&IPV4);
        let place = match (u16::from(kind), data.len()) {
            (A, 4) => 12,
            (AAAA, 16) => 0,
            _ => continue,
        };
        address[place..].copy_from_slice(data);
        addresses.push(address);
    }
    Some(Answer::Whole)
}

/// What is behind a name, which ends with the root or by referring to an earlier one.
fn skip_name(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (&length, tail) = rest.split_first()?;
        match length {
            0 => return Some(tail),
            1..64 => rest = tail.get(usize::from(length)..)?,
            0xc0.. => return tail.get(1..),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer says, and the addresses in it.
    fn answer(message: &[u8], question: &[u8]) -> (Answer, Vec<Address>) {
        let mut addresses = Vec::new();
        let answer = super::answer(message, question, &mut addresses);
        (answer, addresses)
    }

    #[rustfmt::skip]
    const QUESTION: &[u8] = &[
        0xab, 0xcd,  1, 0,  0, 1,  0, 0,  0, 0,  0, 0, // id, flags: recursion desired, counts
        2, b'a', b'b', 3, b'l', b'a', b'n', 0,         // ab.lan
        0, 1,  0, 1,                                   // A, IN
    ];

    /// The header and the question of an answer, and then these records.
    fn message(flags: [u8; 2], count: u8, records: &[u8]) -> Vec<u8> {
        [&[0xab, 0xcd, flags[0], flags[1], 0, 1, 0, count, 0, 0, 0, 0], &QUESTION[12..], records].concat()
    }

    #[rustfmt::skip]
    const RECORDS: &[u8] = &[
        0xc0, 12,  0, 5,  0, 1,  0, 0, 0, 60,  0, 4,  1, b'c', 0xc0, 15,        // ab.lan is c.lan
        1, b'c', 0xc0, 15,  0, 1,  0, 1,  0, 0, 0, 60,  0, 4,  192, 0, 2, 7,    // c.lan A 192.0.2.7
        1, b'c', 3, b'l', b'a', b'n', 0,  0, 28,  0, 1,  0, 0, 0, 60,  0, 16,   // c.lan AAAA 2001:db8::1
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0xc0, 12,  0, 1,  0, 3,  0, 0, 0, 60,  0, 4,  9, 9, 9, 9,               // of another class
    ];

    #[test]
    fn a_question_is_as_the_standard_has_it() {
        assert_eq!(question([0xab, 0xcd], "ab.lan", A), [&[0, 24], QUESTION].concat());
        assert_eq!(question([0, 1], "x", AAAA)[14..], [1, b'x', 0, 0, 28, 0, 1]);
        // What can't be a name is never taken for something else.
        for bad in ["", ".", "a..b", &["x"; 64].concat(), &["abcdefg."; 99].concat()] {
            let made = question([0, 0], bad, A);
            assert_eq!(usize::from(u16::from_be_bytes([made[0], made[1]])), made.len() - 2, "{bad}");
        }
    }

    #[test]
    fn all_addresses_of_an_answer_are_found_behind_other_names_too() {
        let addresses = ["192.0.2.7", "2001:db8::1"].map(|text| crate::base::text::address(text).unwrap());
        assert_eq!(answer(&message([0x81, 0x80], 4, RECORDS), QUESTION), (Answer::Whole, addresses.to_vec()));
        assert_eq!(answer(&message([0x81, 0x80], 0, &[]), QUESTION), (Answer::Whole, Vec::new()));
    }

    #[test]
    fn refusals_and_cut_answers_are_told() {
        assert_eq!(answer(&message([0x81, 0x83], 0, &[]), QUESTION), (Answer::Whole, Vec::new()));
        assert_eq!(answer(&message([0x83, 0x80], 4, RECORDS), QUESTION).0, Answer::Truncated);
    }

    #[test]
    fn what_answers_another_question_or_is_cut_short_is_not_taken() {
        let good = message([0x81, 0x80], 4, RECORDS);
        for end in 0..good.len() {
            assert_eq!(answer(&good[..end], QUESTION).0, Answer::Other, "cut at {end}");
        }
        // Another id, a question instead of an answer, two questions, another name, another kind.
        for (at, byte) in [(0, 0xac), (2, 1), (5, 2), (13, b'x'), (21, 28)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(answer(&bad, QUESTION).0, Answer::Other, "{at}");
        }
        // A label of a form that the standard reserves.
        let reserved = [&[0x80, 1], &RECORDS[2..16]].concat();
        assert_eq!(answer(&message([0x81, 0x80], 1, &reserved), QUESTION).0, Answer::Other);
    }

    #[test]
    fn no_bytes_at_all_break_the_reader() {
        let good = message([0x81, 0x80], 4, RECORDS);
        let mut random = 0x5eed_u64;
        for _ in 0..200_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut bad = good.clone();
            for shift in [0, 20, 40] {
                let at = 24 + (random >> shift) as usize % (bad.len() - 24);
                bad[at] = (random >> (shift + 9)) as u8;
            }
            let _ = answer(&bad, QUESTION);
        }
    }
}
