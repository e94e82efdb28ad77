//! What name servers are asked and answer, RFC 1035, as far as tests need it.

use std::net::IpAddr;

use super::container::eventually;
use super::traffic::{By, PATIENCE, Place};

/// The addresses of a family that a name has: what a name server answers, or its refusal's code.
#[track_caller]
pub fn resolve(from: &Place, by: By, server: &str, name: &str, is_ipv6: bool) -> Result<Vec<IpAddr>, u8> {
    let answer = eventually(&format!("{server} answers for {name} by {by:?}"), || {
        let question = question(name, is_ipv6);
        match by {
            By::Udp => from.try_ask(by, server, 53, &question, PATIENCE).ok(),
            By::Tcp => {
                let length = (question.len() as u16).to_be_bytes();
                let answer = from.try_ask(by, server, 53, &[&length[..], &question].concat(), PATIENCE).ok()?;
                answer.get(2..).map(<[u8]>::to_vec)
            }
        }
        .filter(|answer| answer.len() >= 12)
    });
    read_answer(&answer)
}

/// A question as RFC 1035 has it.
fn question(name: &str, is_ipv6: bool) -> Vec<u8> {
    // A number, recursion desired, one question.
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, if is_ipv6 { 28 } else { 1 }, 0, 1]);
    message
}

fn read_answer(message: &[u8]) -> Result<Vec<IpAddr>, u8> {
    let code = message[3] & 0xf;
    if code != 0 {
        return Err(code);
    }
    let (mut at, mut found) = (skip_name(message, 12) + 4, Vec::new());
    for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
        at = skip_name(message, at);
        let length = usize::from(u16::from_be_bytes([message[at + 8], message[at + 9]]));
        let data = &message[at + 10..at + 10 + length];
        if let Ok(four) = <[u8; 4]>::try_from(data) {
            found.push(four.into());
        } else if let Ok(sixteen) = <[u8; 16]>::try_from(data) {
            found.push(sixteen.into());
        }
        at += 10 + length;
    }
    Ok(found)
}

fn skip_name(message: &[u8], mut at: usize) -> usize {
    loop {
        match message[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}

/// The answer of a name server that knows everything: these addresses, of the family that is asked for.
pub fn answer(question: &[u8], addresses: [IpAddr; 2]) -> Vec<u8> {
    let end = skip_name(question, 12) + 4;
    let mut message = question[..end].to_vec();
    // It is an answer, without error, with one record, whose name is that of the question.
    (message[2], message[3], message[7], message[11]) = (0x81, 0x80, 1, 0);
    let is_ipv6 = question[end - 3] == 28;
    message.extend([0xc0, 12, 0, question[end - 3], 0, 1, 0, 0, 0, 9]);
    match addresses[usize::from(is_ipv6)] {
        IpAddr::V4(address) => message.extend([&[0, 4][..], &address.octets()].concat()),
        IpAddr::V6(address) => message.extend([&[0, 16][..], &address.octets()].concat()),
    }
    message
}
