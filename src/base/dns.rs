//! The domain name system: a question to a name server, and the addresses in its answer; and for a name server a question that
//! came, and an answer to it.
//!
//! # Source
//! RFC 1035 section 4 for the messages, RFC 3596 for IPv6.

use alloc::string::String;
use alloc::vec::Vec;

use super::text::{Address, Cut, IPV4};

/// The kind of record that holds an IPv4 address.
pub const A: u16 = 1;
/// The kind that holds an IPv6 address.
pub const AAAA: u16 = 28;

/// Bytes of a message before its first question.
const HEADER: usize = 12;
/// The longest message in a datagram, unless both sides agree on more, RFC 1035 section 2.3.4.
pub const DATAGRAM: usize = 512;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is an answer, of perhaps no records.
    Fine,
    /// It can't be read.
    Malformed,
    /// No server could be asked.
    Failed,
    /// There is no such name.
    NoName,
    /// It is of a kind that is not known.
    Unknown,
    /// Whoever asks is told nothing.
    Refused,
}

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

/// A question that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name in lower case, if it consists of letters, digits, `-`, `_` and, in between, `.`; otherwise nothing.
    pub name: String,
    /// The kind of record.
    pub kind: u16,
    /// Bytes of the message up to the question's end.
    pub length: usize,
}

/// Reads a message that should be a question.
///
/// # Errors
/// What is wrong with it, or `None` if it is not to be answered at all: it is no message, or an answer itself.
#[inline(never)]
pub fn asked(message: &[u8]) -> Result<Asked, Option<Code>> {
    let Some((header, rest)) = message.split_first_chunk::<HEADER>() else { return Err(None) };
    // The first bit is set in answers; four others say what kind of request it is.
    match header[2] >> 3 {
        0 => {}
        1..16 => return Err(Some(Code::Unknown)),
        _ => return Err(None),
    }
    if header[4..6] != [0, 1] {
        return Err(Some(Code::Malformed));
    }
    labels(rest).ok_or(Some(Code::Malformed))
}

/// Reads the question itself, RFC 1035 section 4.1.2.
fn labels(mut rest: &[u8]) -> Option<Asked> {
    let (mut name, mut plain, mut length) = (String::new(), true, HEADER + 5);
    loop {
        let (&size, tail) = rest.split_first()?;
        if size == 0 {
            rest = tail;
            break;
        }
        // A question has no earlier name to refer to. A name has at most 255 bytes with all its lengths.
        let (label, tail) = tail.split_at_checked(size.into())?;
        length += 1 + label.len();
        if size > 63 || length > HEADER + 4 + 255 {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label {
            plain &= byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.push(byte.to_ascii_lowercase().into());
        }
        rest = tail;
    }
    let [high, low, 0, class, ..] = *rest else { return None };
    // Of the Internet.
    if !plain || class != 1 {
        name.clear();
    }
    Some(Asked { name, kind: u16::from_be_bytes([high, low]), length })
}

/// An answer to the question that the message ends with, or to what had none that could be read, with those of the addresses
/// that are of the kind asked for. What makes it longer than `most` bytes is left out, which the asker is told.
#[must_use]
#[inline(never)]
pub fn reply(asked: &[u8], code: Code, addresses: &[Address], most: usize) -> Vec<u8> {
    let mut message = Vec::from(asked);
    let Some(header) = message.first_chunk_mut::<HEADER>() else { return message };
    // An answer; the kind of request and "recursion desired" are the question's; "recursion available".
    header[2] = 0x80 | header[2] & 0x79;
    header[3] = 0x80 | code as u8;
    // Only the question is repeated.
    header[4..].copy_from_slice(&[0, u8::from(asked.len() > HEADER), 0, 0, 0, 0, 0, 0]);
    let kind = asked[asked.len() - 3];
    let mut count = 0u16;
    for place in 0..addresses.len() {
        // Several of one name take turns.
        let address = &addresses[(place + usize::from(asked[1])) % addresses.len()];
        let four = address.strip_prefix(&IPV4);
        let (data, own) = four.map_or((&address[..], AAAA), |four| (four, A));
        if own != u16::from(kind) || asked[asked.len() - 4] != 0 {
            continue;
        }
        if message.len() + 12 + data.len() > most {
            message[2] |= 2;
            break;
        }
        // The name of the question, the kind, the Internet's class, no time to live: it may go at any moment.
        message.extend_from_slice(&[0xc0, HEADER as u8, 0, kind, 0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
        message.extend_from_slice(data);
        count += 1;
    }
    message[6..8].copy_from_slice(&count.to_be_bytes());
    message
}

/// Whether a message that came answers this question, which ends with it: what was behind it is about how it was sent, RFC 6891.
#[must_use]
pub fn is_answer(message: &[u8], asked: &[u8]) -> bool {
    let Some(same) = message.get(..asked.len().max(HEADER)) else { return false };
    same[..2] == asked[..2] && same[2] & 0x80 != 0 && same[HEADER..].eq_ignore_ascii_case(&asked[HEADER..])
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

    #[rustfmt::skip]
    const CAME: &[u8] = &[
        0xab, 0xcd,  1, 0x20,  0, 1,  0, 0,  0, 0,  0, 1, // id, flags: recursion desired, authentic data; counts
        3, b'W', b'e', b'B', 1, b'1', 0,                  // WeB.1
        0, 28,  0, 1,                                     // AAAA, IN
        0,  0, 41,  4, 0xd0,  0, 0, 0, 0,  0, 0,          // OPT, of 1232 bytes
    ];

    #[test]
    fn a_question_that_came_is_read() {
        assert_eq!(asked(CAME), Ok(Asked { name: "web.1".into(), kind: AAAA, length: 23 }));
        assert_eq!(asked(QUESTION), Ok(Asked { name: "ab.lan".into(), kind: A, length: 24 }));
        // What can't be a container's name is not shown, nor a question of another class.
        for (at, byte) in [(13, b'/'), (13, b'.'), (14, 0), (15, 0xff), (22, 3)] {
            let mut other = CAME.to_vec();
            other[at] = byte;
            assert_eq!(asked(&other), Ok(Asked { name: String::new(), kind: AAAA, length: 23 }));
        }
        // The root.
        assert_eq!(asked(&[&CAME[..12], &[0, 0, 2, 0, 1]].concat()).unwrap().length, 17);
    }

    #[test]
    fn what_is_no_question_is_told_apart() {
        for (at, byte, error) in [
            (2, 0x81, None),
            (2, 0x10, Some(Code::Unknown)),
            (5, 0, Some(Code::Malformed)),
            (4, 1, Some(Code::Malformed)),
            (12, 64, Some(Code::Malformed)),
            (12, 0xc0, Some(Code::Malformed)),
        ] {
            let mut other = CAME.to_vec();
            other[at] = byte;
            assert_eq!(asked(&other), Err(error), "{at}");
        }
        for end in 0..23 {
            assert_eq!(asked(&CAME[..end]), Err(if end < 12 { None } else { Some(Code::Malformed) }), "{end}");
        }
        let long = |labels: &[usize]| {
            let mut message = CAME[..12].to_vec();
            for size in labels {
                message.push(*size as u8);
                message.resize(message.len() + size, b'x');
            }
            message.extend([0, 0, 1, 0, 1]);
            asked(&message)
        };
        assert_eq!(long(&[63, 63, 63, 61]).unwrap().name.len(), 253);
        assert_eq!(long(&[63, 63, 63, 62]), Err(Some(Code::Malformed)));
        assert_eq!(long(&[64]), Err(Some(Code::Malformed)));
    }

    #[test]
    fn an_answer_has_the_question_and_the_addresses_asked_for() {
        let addresses = ["192.0.2.7", "fd00::5", "192.0.2.8"].map(|text| crate::base::text::address(text).unwrap());
        #[rustfmt::skip]
        let expected = [
            &[0xab, 0xcd,  0x81, 0x80,  0, 1,  0, 1,  0, 0,  0, 0], &CAME[12..23],
            &[0xc0, 12,  0, 28,  0, 1,  0, 0, 0, 0,  0, 16],
            &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        ];
        assert_eq!(reply(&CAME[..23], Code::Fine, &addresses, DATAGRAM), expected.concat());
        let four = reply(QUESTION, Code::Fine, &addresses, DATAGRAM);
        assert_eq!(answer(&four, QUESTION), (Answer::Whole, std::vec![addresses[2], addresses[0]]));
        // No more than there is room for.
        let cut = reply(QUESTION, Code::Fine, &addresses, 24 + 16 + 15);
        assert_eq!(cut[2..8], [0x83, 0x80, 0, 1, 0, 1]);
        assert_eq!(cut.len(), 24 + 16);
        assert_eq!(answer(&cut, QUESTION).0, Answer::Truncated);
    }

    #[test]
    fn a_refusal_says_why_and_to_what() {
        for (code, number) in
            [(Code::Malformed, 1), (Code::Failed, 2), (Code::NoName, 3), (Code::Unknown, 4), (Code::Refused, 5)]
        {
            assert_eq!(reply(&CAME[..12], code, &[], 512), [0xab, 0xcd, 0x81, 0x80 | number, 0, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(reply(&CAME[..23], code, &[], 512)[2..6], [0x81, 0x80 | number, 0, 1]);
        }
        assert_eq!(reply(&[1, 2], Code::Refused, &[[0; 16]], 512), [1, 2]);
    }

    #[test]
    fn only_what_answers_the_question_sent_is_one() {
        let asked = &CAME[..23];
        let good = reply(asked, Code::NoName, &[], 512);
        assert!(is_answer(&good, asked) && is_answer(&[&good, &CAME[23..]].concat(), asked));
        let mut shouted = good.clone();
        shouted[13..20].make_ascii_uppercase();
        assert!(is_answer(&shouted, asked));
        for (at, byte) in [(0, 0xac), (2, 1), (13, b'x'), (20, 1)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(!is_answer(&bad, asked), "{at}");
        }
        assert!(!is_answer(&good[..22], asked) && !is_answer(&[], asked));
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
