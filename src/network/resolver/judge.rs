//! What is to be done with a message that came to a network's name server; pure code.

use alloc::vec::Vec;

use crate::base::dns::{self, Code};
use crate::base::text::{self, Address, Cut};

/// The longest question that is looked at: many may be kept at once.
const QUESTION: usize = 4 << 10;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Nothing,
    /// This is sent back.
    Answer(Vec<u8>),
    /// One of these servers is asked, or if there are none, one of the host's. The question ends after so many bytes.
    Forward(Vec<Address>, usize),
}

/// Decides about a message. The answer has at most `most` bytes; the lease is that of the address it came from, and `look` has
/// the addresses of a name, if it is one of the network's: in lower case, and good for the name of a file.
#[inline(never)]
pub fn judge(
    message: &[u8],
    most: usize,
    lease: Option<&[u8]>,
    look: &mut dyn FnMut(&str) -> Option<Vec<Address>>,
) -> Verdict {
    let mut addresses = Vec::new();
    let (length, code) = match dns::asked(message) {
        Err(None) => return Verdict::Nothing,
        _ if message.len() > QUESTION => return Verdict::Nothing,
        Err(Some(code)) => (12, code),
        Ok(asked) => {
            let code = match lease {
                None => Code::Refused,
                Some(lease) => {
                    let known = if text::is_name(&asked.name) { look(&asked.name) } else { None };
                    if let Some(known) = known {
                        addresses = known;
                        Code::Fine
                    } else if let Some(servers) = servers(lease, "dns") {
                        return Verdict::Forward(servers, asked.length);
                    } else {
                        Code::NoName
                    }
                }
            };
            (asked.length, code)
        }
    };
    Verdict::Answer(dns::reply(&message[..length], code, &addresses, most))
}

/// The servers of the lines that begin with this word, three at most, resolv.conf(5); `None` if none is to be asked.
#[must_use]
#[inline(never)]
pub fn servers(lines: &[u8], word: &str) -> Option<Vec<Address>> {
    let mut servers = Vec::new();
    for line in core::str::from_utf8(lines).unwrap_or_default().parts(b'\n') {
        let mut words = line.words();
        match words.next() {
            Some("internal") => return None,
            Some(first) if first == word && servers.len() < 3 => {
                servers.extend(words.next().and_then(text::address));
            }
            _ => {}
        }
    }
    Some(servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dns::{A, AAAA, Answer};

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text::address(text).unwrap()).collect()
    }

    /// What becomes of a question about a name, in a network that has `web` and `four`.
    fn verdict(name: &str, kind: u16, lease: Option<&str>) -> Verdict {
        judge(&dns::question([7, 0], name, kind)[2..], 512, lease.map(str::as_bytes), &mut |name| match name {
            "web" => Some(addresses(&["10.0.0.5", "fd00::5", "10.0.0.6"])),
            "four" => Some(addresses(&["10.0.0.7"])),
            _ => None,
        })
    }

    /// The code of an answer, and the addresses in it.
    fn said(name: &str, kind: u16, lease: Option<&str>) -> (u8, Vec<Address>) {
        let Verdict::Answer(reply) = verdict(name, kind, lease) else { panic!("there is no answer") };
        let mut found = Vec::new();
        assert_eq!(dns::answer(&reply, &dns::question([7, 0], name, kind)[2..], &mut found), Answer::Whole);
        (reply[3] & 15, found)
    }

    #[test]
    fn names_of_containers_are_answered_and_never_passed_on() {
        let lease = Some("0123\ndns 192.0.2.1\n");
        assert_eq!(said("web", A, lease), (0, addresses(&["10.0.0.5", "10.0.0.6"])));
        assert_eq!(said("WEB", AAAA, lease), (0, addresses(&["fd00::5"])));
        assert_eq!(said("four", AAAA, lease), (0, Vec::new()));
        assert_eq!(said("four", 15, Some("0123\ninternal\n")), (0, Vec::new()));
    }

    #[test]
    fn other_names_are_passed_on_to_the_servers_of_the_lease() {
        assert_eq!(verdict("example.com", A, Some("0123")), Verdict::Forward(Vec::new(), 29));
        let lease = "0123\ndns 192.0.2.1\ndns bad\ndns fd00::53\n";
        assert_eq!(verdict("example.com", A, Some(lease)), Verdict::Forward(addresses(&["192.0.2.1", "fd00::53"]), 29));
        // What no container can be called is not looked for.
        for name in ["..", "-x", "a/b", ".web", "web\0"] {
            assert!(
                !matches!(verdict(name, A, Some("0123")), Verdict::Answer(reply) if reply[3].trailing_zeros() >= 4),
                "{name}"
            );
        }
    }

    #[test]
    fn an_internal_network_has_no_other_names_and_strangers_are_told_nothing() {
        assert_eq!(said("example.com", A, Some("0123\ninternal\n")), (3, Vec::new()));
        for name in ["example.com", "web"] {
            assert_eq!(said(name, A, None), (5, Vec::new()));
        }
    }

    #[test]
    fn what_is_no_question_is_refused_or_not_answered() {
        let mut message = dns::question([7, 0], "web", A)[2..].to_vec();
        message[2] |= 0x80;
        let mut never = |_: &str| -> Option<Vec<Address>> { panic!("looked for") };
        assert_eq!(judge(&message, 512, Some(b"0123"), &mut never), Verdict::Nothing);
        assert_eq!(judge(&message[..11], 512, Some(b"0123"), &mut never), Verdict::Nothing);
        message[2] = 1;
        let Verdict::Answer(reply) = judge(&message[..20], 512, Some(b"0123"), &mut never) else { panic!() };
        assert_eq!(reply, [7, 0, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn containers_of_one_name_take_turns() {
        let mut first = Vec::new();
        for number in 0..3 {
            let question = &dns::question([0, number], "x", A)[2..];
            let all = addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
            let Verdict::Answer(reply) = judge(question, 512, Some(b""), &mut |_| Some(all.clone())) else { panic!() };
            let mut found = Vec::new();
            dns::answer(&reply, question, &mut found);
            first.push(found[0]);
        }
        assert_eq!(first, addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    }

    #[test]
    fn servers_are_read_as_in_resolv_conf() {
        let text = b"# x\nnameserver 127.0.0.53\n options edns0\nnameserver\t::1 # y\nnameserver fe80::1%eth0\n";
        assert_eq!(servers(text, "nameserver"), Some(addresses(&["127.0.0.53", "::1"])));
        assert_eq!(servers(b"dns 1.1.1.1\ndns 1.1.1.2\ndns 1.1.1.3\ndns 1.1.1.4", "dns").unwrap().len(), 3);
        assert_eq!(servers(b"\xff", "dns"), Some(Vec::new()));
        assert_eq!(servers(b"0123\ndns 1.1.1.1\ninternal\n", "dns"), None);
    }
}
