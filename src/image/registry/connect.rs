//! Ways to a server: a connection of one's own, with the addresses that its name stands for; and for `https` the host's curl, of
//! which nothing is asked but to speak TLS: it sends our request and passes the answer on, head and body, as it comes.

use alloc::vec;
use alloc::vec::Vec;

use crate::base::dns::{self, Answer};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Address, Cut};
use crate::kernel::program::{Environment, Program};
use crate::sys::ledger;
use crate::sys::poll::{Waiting, poll_within};
use crate::sys::{Fd, because, fd, file, internet, net, process};

/// The longest wait for a connection, in milliseconds.
pub(super) const CONNECT: i64 = 15_000;
/// How long a name server has for an answer, in milliseconds; each is asked twice.
const ASK: u64 = 3000;

/// Connects to a server; tries its addresses in turn.
#[inline(never)]
pub(super) fn connect(authority: &str, patience: i64) -> Result<Fd> {
    let (mut host, mut port) = (authority, "80");
    // An IPv6 address stands in brackets.
    if let Some((before, after)) = authority.cut_last(b':')
        && !after.has(b']')
    {
        (host, port) = (before, after);
    }
    let port = text::decimal_u32(port).unwrap_or(0) as u16;
    let mut failed = Error::new(say!("can't find the host {}: neither /etc/hosts nor a name server knows it", host));
    for address in resolve(host) {
        match internet::connect_to(&address, port, libc::SOCK_STREAM, patience as u64) {
            Err(error) => failed = Error::os(error.errno(), phrase!("connect to"), authority),
            connection => return connection,
        }
    }
    Err(failed.because(ledger::reason()))
}

/// The addresses of a host: what it is called by, what `/etc/hosts` says, hosts(5), or what the name servers of
/// `/etc/resolv.conf` say, resolv.conf(5).
#[inline(never)]
fn resolve(host: &str) -> Vec<Address> {
    let _why = because!("find the registry's addresses");
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut addresses = Vec::new();
    addresses.extend(text::address(if host == "localhost" { "127.0.0.1" } else { bare }));
    // The servers are asked a second time, since datagrams get lost.
    for path in [c"/etc/hosts", c"/etc/resolv.conf", c"/etc/resolv.conf"] {
        if !addresses.is_empty() {
            break;
        }
        let lines = keep::lossy(&file::read_file(fd::CWD, path, 1 << 20).unwrap_or_default());
        for line in lines.parts(b'\n') {
            let mut words = line.parts(b'#').next().unwrap_or_default().words();
            let first = words.next().unwrap_or_default();
            let (server, mut names) = (words.clone().next().and_then(text::address), words);
            if let Some(address) = text::address(first)
                && names.any(|name| name == host)
            {
                addresses.push(address);
            }
            if let Some(server) = server
                && first == "nameserver"
                && addresses.is_empty()
            {
                for kind in [dns::A, dns::AAAA] {
                    let _ = ask(&server, host, kind, &mut addresses);
                }
            }
        }
    }
    addresses
}

/// Asks one name server, over TCP if the answer is too long for a datagram.
#[inline(never)]
fn ask(server: &Address, name: &str, kind: u16, addresses: &mut Vec<Address>) -> Result<()> {
    let mut id = [0; 2];
    process::random(&mut id)?;
    let question = dns::question(id, name, kind);
    // Over TCP a length precedes each message, RFC 1035 section 4.2.2.
    for (socket, before) in [(libc::SOCK_DGRAM, 0), (libc::SOCK_STREAM, 2)] {
        let socket = internet::connect_to(server, 53, socket, ASK)?;
        net::send(socket.by_ref(), &question[2 - before..], None)?;
        let (mut message, mut length) = (vec![0; 1 << 16], 0);
        // A stranger's datagram, or a message of which more is to come, is no answer yet.
        let mut answer = Answer::Other;
        while answer == Answer::Other {
            poll_within(&mut [Waiting::readable(socket.by_ref())], ASK)?;
            let count = file::read(socket.by_ref(), &mut message[length..])?;
            if count == 0 {
                return Ok(());
            }
            let came = message[..length + count].get(before..).unwrap_or_default();
            answer = dns::answer(came, &question[2..], addresses);
            length += if before == 0 { 0 } else { count };
        }
        if answer == Answer::Whole {
            break;
        }
    }
    Ok(())
}

/// What curl is told of itself, besides request and address; curl(1). It follows nothing and keeps nothing: each request is
/// our own, and what it passes on is HTTP/1.1 as the server sent it.
const CONFIGURATION: Phrase = phrase!(
    "silent\ninclude\nraw\nhttp1.1\nno-buffer\ngloboff\npath-as-is\nsuppress-connect-headers\nproto = \"=https\"\n"
);

/// Has the host's curl ask for something. It reads all of it from standard input: its command line, which others may see, says
/// nothing.
#[inline(never)]
pub(super) fn through_curl(env: Environment<'_>, patience: i64, told: &str) -> Result<(Fd, Program)> {
    let _why = because!("have curl speak TLS with the registry");
    let told = join!("{}connect-timeout = {}\n{}", CONFIGURATION, patience / 1000 + 1, told);
    let (input, config) = file::pipe()?;
    // It fits the pipe, so that nobody has to read yet: a token has been a part of an answer of at most this length.
    file::write_all(config.by_ref(), &told.as_bytes()[..told.len().min(super::TEXT)])?;
    drop(config);
    Program::start(&[c"curl", c"-q", c"-K", c"-"], env, Some(input.by_ref()))
}

/// Waits for curl's end; how it failed, if it did, and whether it may go well the next time.
#[inline(never)]
pub(super) fn conclude(curl: &mut Program, origin: &str, may_pass: &mut bool) -> Option<Error> {
    let Some(code) = curl.conclude() else {
        return Some(Error::new(phrase!("https needs the program curl, and there is none in PATH")).hint(phrase!(
            "bring the image another way: `skopeo copy docker://NAME docker-archive:FILE` and `vial load FILE`, or `docker save NAME | vial load`"
        )));
    };
    // EXIT CODES in curl(1): what may go well the next time, and what needs something else.
    *may_pass = matches!(code, 18 | 28 | 52 | 56);
    let (what, hint) = match code {
        // Killed by a signal: what is said of the answer then will do.
        0 | 129.. => return None,
        6 => (phrase!("can't find the host"), phrase!("`vial images` lists what is here")),
        7 => (phrase!("can't connect"), phrase!("`vial images` lists what is here")),
        35 => (phrase!("no TLS is spoken there"), phrase!("--plain-http, if that is right")),
        60 => {
            (phrase!("its certificate is not trusted"), phrase!("CURL_CA_BUNDLE=FILE names the authorities to trust"))
        }
        _ => (phrase!("see EXIT CODES in curl(1)"), Phrase::EMPTY),
    };
    Some(
        Error::new(say!("curl failed with code {}: {}: {}", u32::from(code), what, origin))
            .hint(hint)
            .because(ledger::reason()),
    )
}
