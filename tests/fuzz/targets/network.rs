//! What comes from other hosts: answers of name servers and of registries.

use std::iter;

use vial::base::dns::{self, Answer, Code};
use vial::base::text::{self, Address, IPV4};
use vial::image::registry::{self, Client};
use vial::kernel::dbus::{Value, Writer, call as dbus_call, next as dbus_next};
use vial::network::resolver::{Verdict, judge};
use vial::sys::net;

const NAME: &str = "ab.lan";

pub fn name_answers() -> Vec<Vec<u8>> {
    #[rustfmt::skip]
    let records: &[u8] = &[
        0xc0, 12,  0, 5,  0, 1,  0, 0, 0, 60,  0, 4,  1, b'c', 0xc0, 15,
        1, b'c', 0xc0, 15,  0, 1,  0, 1,  0, 0, 0, 60,  0, 4,  192, 0, 2, 7,
        1, b'c', 3, b'l', b'a', b'n', 0,  0, 28,  0, 1,  0, 0, 0, 60,  0, 16,
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0xc0, 12,  0, 1,  0, 3,  0, 0, 0, 60,  0, 4,  9, 9, 9, 9,
    ];
    let whole =
        [&[0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 0], &dns::question([0; 2], NAME, dns::A)[14..], records];
    vec![
        // The first byte says what is behind it: a message, or what is behind its question.
        [&[0], &whole.concat()[..]].concat(),
        [&[1, 0x81, 0x80, 0, 4], records].concat(),
        vec![1, 0x83, 0x80, 0, 0],
        vec![1, 0x81, 0x83, 0, 0],
    ]
}

/// Addresses are in the message, each in a record of its own, and those that a server would send for them are read again.
pub fn name_answer(bytes: &[u8]) {
    let question = &dns::question([0xab, 0xcd], NAME, dns::A)[2..];
    let message = match bytes {
        [0, message @ ..] => message.to_vec(),
        [_, one, two, high, low, records @ ..] => {
            [&question[..2], &[*one, *two], &question[4..6], &[*high, *low, 0, 0, 0, 0], &question[12..], records]
                .concat()
        }
        _ => return,
    };
    let mut addresses = Vec::new();
    let answer = dns::answer(&message, question, &mut addresses);
    let records = message.len().saturating_sub(question.len()) / 15;
    assert!(addresses.len() <= records, "{} addresses", addresses.len());
    for address in &addresses {
        let sent = address.strip_prefix(&IPV4).unwrap_or(address);
        assert!(message.windows(sent.len()).any(|at| at == sent), "an address from nowhere");
    }
    match answer {
        Answer::Other => {}
        Answer::Truncated => assert!(addresses.is_empty() && message[2] & 0x82 == 0x82),
        Answer::Whole => {
            assert!(message[..2] == question[..2] && message[12..].starts_with(&question[12..]));
            assert!(addresses.len() <= usize::from(message[6]) << 8 | usize::from(message[7]));
        }
    }
    let count = (addresses.len() as u16).to_be_bytes();
    let mut again = [&question[..2], &[0x81, 0x80, 0, 1], &count, &[0; 4], &question[12..]].concat();
    for address in &addresses {
        let sent = address.strip_prefix(&IPV4).unwrap_or(address);
        let kind = if sent.len() == 4 { dns::A } else { dns::AAAA };
        again.extend([0xc0, 12, 0, kind as u8, 0, 1, 0, 0, 0, 60, 0, sent.len() as u8]);
        again.extend(sent);
    }
    let mut same = Vec::new();
    assert_eq!(dns::answer(&again, question, &mut same), Answer::Whole);
    assert!(same == addresses);
}

pub fn name_questions() -> Vec<Vec<u8>> {
    let options: &[u8] = &[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0];
    let question = |name: &str, kind| dns::question([0xab, 0xcd], name, kind)[2..].to_vec();
    vec![
        question("Web", dns::A),
        [&question("db.1", dns::AAAA)[..], options].concat(),
        question("example.com", dns::AAAA),
        question("", 2),
        question("5.0.0.10.in-addr.arpa", 12),
        [&[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12], &[0, 1, 0, 1][..]].concat(),
    ]
}

/// A question is read as it stands, its name is good for a file, and an answer to it is one that is read with all addresses of
/// the kind asked for.
pub fn name_question(bytes: &[u8]) {
    let addresses = ["10.0.0.5", "fd00::5", "10.0.0.6"].map(|text| text::address(text).expect("an address"));
    match dns::asked(bytes) {
        Ok(asked) => {
            assert!(asked.length <= bytes.len() && (17..=12 + 255 + 4).contains(&asked.length));
            assert!(asked.name.bytes().all(|byte| {
                byte.is_ascii_digit() || byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.')
            }));
            assert!(!asked.name.starts_with('.') && !asked.name.ends_with('.') && !asked.name.contains(".."));
            if !asked.name.is_empty() {
                let same = dns::question([bytes[0], bytes[1]], &asked.name, asked.kind);
                // Kinds of two bytes are none that vial asks for.
                let most = if asked.kind < 256 { asked.length } else { asked.length - 4 };
                assert!(same[2 + 12..2 + most].eq_ignore_ascii_case(&bytes[12..most]));
            }
            let question = &bytes[..asked.length];
            let reply = dns::reply(question, Code::Fine, &addresses, 512);
            assert!(reply.len() <= 512 && dns::is_answer(&reply, question) && dns::asked(&reply).is_err());
            let mut found = Vec::new();
            assert_eq!(dns::answer(&reply, question, &mut found), Answer::Whole);
            let four = found.iter().filter(|address| address.starts_with(&IPV4)).count();
            assert_eq!(
                (four, found.len()),
                match asked.kind {
                    dns::A => (2, 2),
                    dns::AAAA => (0, 1),
                    _ => (0, 0),
                }
            );
        }
        Err(None) => assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
        Err(Some(_)) => assert!(bytes[2] & 0x80 == 0),
    }
    let lease = ["0123\n", "0123\ndns 192.0.2.1\n", "0123\ninternal\n"][bytes.len() % 3];
    for lease in [None, Some(lease.as_bytes())] {
        decision(bytes, lease, &addresses);
    }
}

/// What is decided about a message is about that message, is not long, and follows from the lease.
fn decision(bytes: &[u8], lease: Option<&[u8]>, addresses: &[Address]) {
    let mut looked = 0;
    let verdict = judge(bytes, dns::DATAGRAM, lease, &mut |name| {
        looked += 1;
        assert!(text::is_name(name) && name != "." && name != ".." && lease.is_some());
        (name == "web").then(|| addresses.to_vec())
    });
    assert!(looked <= 1);
    match verdict {
        Verdict::Nothing => assert!(dns::asked(bytes) == Err(None)),
        Verdict::Answer(reply) => {
            assert!(reply.len() <= dns::DATAGRAM && reply[..2] == bytes[..2] && reply[2] & 0x80 != 0);
            assert!(lease.is_some() || reply[3] & 15 != 0 && reply[6..8] == [0; 2]);
        }
        Verdict::Forward(servers, length) => {
            assert_eq!(dns::asked(bytes).map(|asked| asked.length), Ok(length));
            let lease = String::from_utf8_lossy(lease.expect("strangers are told nothing"));
            assert!(!lease.contains("internal") && servers.len() == lease.matches("dns ").count());
        }
    }
}

pub fn http_answers() -> Vec<Vec<u8>> {
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\n",
        "HTTP/1.0 404 Not Found\nServer: s\n\nuntil the end",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 307 Temporary Redirect\r\nLocation: https://h:1/p?q\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"https://a/t\",service=\"s\",scope=x\r\nRetry-After: 7\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What is left of an answer that comes in pieces of this length: status, some fields, and the body, unless it makes no sense.
fn read(bytes: &[u8], length: usize) -> Option<(u64, [String; 3], Option<Vec<u8>>)> {
    let (from, to) = net::socket_pair().expect("two ends");
    for piece in bytes.chunks(length) {
        net::send(to.by_ref(), piece, None).expect("there is room");
    }
    drop(to);
    let mut client = Client::new(&[], 10_000);
    client.listen(from).ok()?;
    let fields = ["content-length", "location", "www-authenticate"].map(|name| client.field(name).to_owned());
    let _ = (client.reason().len(), client.after());
    let body = client.body(1 << 16).ok();
    Some((client.status, fields, body))
}

/// The body of a message with a head of this length, by the letter of RFC 9112; nothing where it leaves something open.
fn body<'a>(bytes: &'a [u8], head: usize, field: &dyn Fn(&str) -> Option<&'a [u8]>) -> Option<Vec<u8>> {
    let mut rest = &bytes[head..];
    if field("transfer-encoding").is_some_and(|value| !value.is_empty()) {
        let mut body = Vec::new();
        loop {
            // httparse takes none for 0.
            if !rest.first()?.is_ascii_hexdigit() {
                return None;
            }
            let httparse::Status::Complete((start, length)) = httparse::parse_chunk_size(rest).ok()? else {
                return None;
            };
            if length == 0 {
                return Some(body);
            }
            let (chunk, after) = rest.get(start..)?.split_at_checked(usize::try_from(length).ok()?)?;
            body.extend_from_slice(chunk);
            rest = after.strip_prefix(b"\r\n")?;
        }
    }
    match field("content-length") {
        None => Some(rest.to_vec()),
        Some(length) => {
            let length: usize = str::from_utf8(length).ok()?.parse().ok()?;
            rest.get(..length).map(<[u8]>::to_vec)
        }
    }
}

/// The answer does not depend on how it comes, and is the one that httparse reads, where that takes it.
pub fn http_answer(bytes: &[u8]) {
    let ours = read(bytes, 1 << 16);
    if bytes.len().is_multiple_of(4) {
        assert!(read(bytes, bytes.len() / 5 + 1) == ours, "in pieces it is something else");
    }
    let Some((status, fields, ours)) = ours else { return };
    assert!((200..=999).contains(&status));
    for field in &fields {
        challenge(field);
    }
    let mut room = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut room);
    let Ok(httparse::Status::Complete(length)) = answer.parse(bytes) else { return };
    if answer.code.is_some_and(|code| code < 200) {
        return;
    }
    assert_eq!(answer.code.map(u64::from), Some(status));
    let field = |name: &str| {
        let mut same = answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        same.next().map(|header| header.value.trim_ascii())
    };
    for (name, ours) in ["content-length", "location", "www-authenticate"].into_iter().zip(&fields) {
        assert_eq!(String::from_utf8_lossy(field(name).unwrap_or_default()), **ours, "{name}");
    }
    if let Some(theirs) = body(bytes, length, &field) {
        assert!(ours.is_some_and(|ours| ours == theirs), "another body");
    }
}

/// Parameters are parts of a challenge, and an address's origin is one.
fn challenge(text: &str) {
    for name in ["realm", "service"] {
        let value = registry::parameter(text, name);
        assert!(value.is_empty() || text.contains(value) && text.contains(name));
        // What can be quoted is read as it was.
        if !value.contains(['"', '\\']) {
            assert_eq!(registry::parameter(&format!("Bearer x=\"a,b\", {name}=\"{value}\""), name), value);
        }
        let origin = registry::origin(value);
        assert!(value.starts_with(origin) && registry::is_plain(origin));
        assert!(origin.is_empty() || iter::once(origin).all(|origin| origin.matches('/').count() == 2));
    }
}

/// An answer, an error and a signal of systemd's, and calls as vial makes them.
pub fn bus_messages() -> Vec<Vec<u8>> {
    let mut body = Writer::default();
    body.text("a.scope");
    let array = body.open(8);
    body.property("PIDs", Value::Numbers(&[7]));
    body.property("DeviceAllow", Value::Pairs(&[("/dev/char/1:3", "rw")]));
    body.property("AllowedCPUs", Value::Bytes(&[3]));
    body.close(array);
    vec![
        dbus_call(1, ["/org", "a.b", "Start", "", "", "c.d"], "sa(sv)", &body),
        b"l\x02\x01\x01\x0b\0\0\0\x03\0\0\0\x17\0\0\0\x05\x01u\0\x01\0\0\0\x08\x01g\0\x01o\0\0\x07\x01s\0\x02\0\0\0:1\0\0\x06\0\0\0/job/7\0".to_vec(),
        b"B\x04\x01\x01\0\0\0\x09\0\0\0\x03\0\0\0\x17\x03\x01s\0\0\0\0\x03abc\0\0\0\0\0\x08\x01g\0\x02us\0\0\0\0\0\x01\0\0\0\0\0".to_vec(),
    ]
}

/// What is handed out of a message lies in it, nothing is made of less than the whole, and a call of what was read is read as it was.
pub fn bus_message(bytes: &[u8]) {
    let Ok(Some((message, length))) = dbus_next(bytes) else { return };
    assert!(length <= bytes.len() && length >= 16 && message.kind > 0);
    for end in [12, 16, length - 1] {
        assert!(end >= length || matches!(dbus_next(&bytes[..end]), Ok(None)), "less than the whole");
    }
    let within = |text: &str| text.is_empty() || bytes[..length].as_ptr_range().contains(&text.as_ptr());
    let texts = [message.path, message.interface, message.member, message.error, message.sender, message.types];
    assert!(texts.into_iter().all(|text| within(text) && !text.contains('\0')));
    let mut body = message.body;
    let mut again = Writer::default();
    let first = body.text();
    again.text(first.unwrap_or_default());
    let mut count = 0;
    while body.number().is_some() {
        count += 1;
    }
    assert!(count * 4 <= length && first.is_none_or(within));
    let fields = [message.path, message.interface, message.member, "", "", ""];
    let types = if message.types.len() > 255 { "" } else { message.types };
    let made = dbus_call(7, fields, types, &again);
    let (read, whole) = dbus_next(&made).expect("it is whole").expect("it is a message");
    assert_eq!(
        (read.path, read.interface, read.member, read.types, whole),
        (fields[0], fields[1], fields[2], types, made.len())
    );
    assert_eq!({ read.body }.text(), Some(first.unwrap_or_default()));
}
