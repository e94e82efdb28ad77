//! HTTP/1.1 as a client: a request, the head of the answer, its body piece by piece. Each request has its own connection.
//!
//! What comes is from strangers: heads have a limit, and whoever sends next to nothing for too long is given up.
//!
//! # Source
//! RFC 9110 (what the fields mean), RFC 9112 (how messages are written).

use alloc::string::String;
use alloc::vec::Vec;

use super::connect;
use super::shown;
use crate::base::bytes;
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::kernel::program::{Environment, Program};
use crate::sys::poll::{Waiting, poll_within};
use crate::sys::{Fd, file, ledger, net, process};

/// The longest head of an answer.
const HEAD: usize = 64 << 10;
/// What is no head.
const NO_HEAD: Phrase = phrase!("something that is not HTTP");
/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// The fewest bytes in the time that is waited.
const LEAST: usize = 1 << 10;

/// Whether a text can stand in a request's field and in a line of curl's configuration without meaning more than itself.
#[must_use]
#[inline(never)]
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// The part of an address that names scheme and server: `https://host:port`. Empty if it is no address.
#[must_use]
#[inline(never)]
pub fn origin(url: &str) -> &str {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| url.starts_with(scheme)).unwrap_or_default();
    let host = url[scheme.len()..].parts(b'/').next().unwrap_or_default();
    if scheme.is_empty() || host.is_empty() || !is_plain(url) { "" } else { &url[..scheme.len() + host.len()] }
}

/// Whether nobody on the way can read it.
pub(super) fn is_secure(url: &str) -> bool {
    url.starts_with("https")
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// After so many bytes.
    Length,
    /// After the last chunk.
    Chunks,
    /// With the connection.
    Connection,
}

/// The client, with the latest answer.
pub struct Client {
    /// The environment, for curl.
    pub(super) env: Environment<'static>,
    /// How long to wait for answers, in milliseconds.
    pub(super) patience: i64,
    /// Where it was asked: scheme and server.
    origin: &'static str,
    connection: Option<Fd>,
    curl: Option<Program>,
    buffer: Vec<u8>,
    at: usize,
    pub(super) ends: Ends,
    /// Bytes that are still to come: of the body or the chunk.
    pub(super) left: u64,
    /// Since when it is waited for [`LEAST`] bytes, and how many came.
    since: i64,
    came: usize,
    /// The answer's status: 200 if all is well.
    pub status: u64,
    /// Its head: the status and what it is called there, then a line for each field, whose name is in lower case.
    head: String,
    /// Whether what failed may go well the next time.
    pub(super) may_pass: bool,
}

impl Client {
    /// One that has not asked yet: the environment, and how long to wait for answers, in milliseconds.
    #[must_use]
    pub fn new(env: Environment<'static>, patience: i64) -> Client {
        Client {
            env,
            patience,
            origin: "",
            connection: None,
            curl: None,
            buffer: Vec::new(),
            at: 0,
            ends: Ends::Length,
            left: 0,
            since: 0,
            came: 0,
            status: 0,
            head: String::new(),
            may_pass: false,
        }
    }

    /// The status and what it is called there.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.head.parts(b'\n').next().and_then(|line| line.get(9..)).unwrap_or_default()
    }

    /// A field of the head; empty if there is none.
    #[must_use]
    #[inline(never)]
    pub fn field(&self, name: &str) -> &str {
        for line in self.head.parts(b'\n') {
            if let Some((known, value)) = line.cut(b':')
                && known == name
            {
                return value.trim_ascii();
            }
        }
        ""
    }

    /// When to ask again, in seconds.
    #[must_use]
    pub fn after(&self) -> u64 {
        text::decimal_u64(self.field("retry-after")).unwrap_or(0)
    }

    /// Asks for something, and reads the head of the answer. `fields` are further lines of the request.
    #[inline(never)]
    pub(super) fn ask(&mut self, url: &'static str, fields: &str) -> Result<()> {
        self.origin = origin(url);
        self.may_pass = false;
        self.curl = None;
        let secure = is_secure(url);
        let authority = self.origin.cut_last(b'/').unwrap_or_default().1;
        let path = url[self.origin.len()..].strip_prefix('/').unwrap_or_default();
        // The same for a server and for curl, which is told what to send.
        let (first, before, after) = if secure {
            (join!("url = \"{}\"\n", url), "header = \"", "\"\n")
        } else {
            (join!("GET /{} HTTP/1.1\r\nHost: {}\r\n", path, authority), "", "\r\n")
        };
        let mut told = String::from(first);
        let own = concat!("Connection: close\nUser-Agent: vial/", env!("CARGO_PKG_VERSION"), "\n");
        for field in own.parts(b'\n').chain(fields.parts(b'\n')).filter(|field| !field.is_empty()) {
            for part in [before, field, after] {
                told.push_str(part);
            }
        }
        let patience = self.patience.min(connect::CONNECT);
        let connection = if secure {
            let (answer, curl) = connect::through_curl(self.env, patience, &told)?;
            self.curl = Some(curl);
            answer
        } else {
            told.push_str(after);
            let connection = connect::connect(authority, patience)?;
            net::send(connection.by_ref(), told.as_bytes(), None)?;
            connection
        };
        self.listen(connection)
    }

    /// Reads the head of an answer.
    ///
    /// # Errors
    /// It is none, or does not come.
    #[inline(never)]
    pub fn listen(&mut self, connection: Fd) -> Result<()> {
        self.connection = Some(connection);
        self.buffer.clear();
        self.at = 0;
        self.status = 0;
        (self.since, self.came) = (now(), 0);
        // 1xx only tells that the answer is to come.
        while self.status < 200 {
            self.read_head()?;
        }
        Ok(())
    }

    #[inline(never)]
    fn read_head(&mut self) -> Result<()> {
        self.head.clear();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            // The first line is none of a field.
            let place = line.bytes().position(|byte| byte == b':').filter(|_| !self.head.is_empty()).unwrap_or(0);
            for part in [&line[..place].to_ascii_lowercase(), &line[place..], "\n"] {
                self.head.push_str(part);
            }
            if self.head.len() > HEAD || !self.head.starts_with("HTTP/1.") {
                return Err(self.wrong(NO_HEAD));
            }
        }
        let Some(status @ 100..) = self.head.get(9..12).and_then(text::decimal_u64) else {
            return Err(self.wrong(NO_HEAD));
        };
        self.status = status;
        (self.ends, self.left) = match text::decimal_u64(self.field("content-length")) {
            _ if !self.field("transfer-encoding").is_empty() => return self.next_chunk(),
            Some(length) => (Ends::Length, length),
            None => (Ends::Connection, u64::MAX),
        };
        Ok(())
    }

    /// Reads how long the next chunk is; behind the last one the body has ended.
    fn next_chunk(&mut self) -> Result<()> {
        let line = self.line()?;
        let Some(length) = text::hexadecimal(line.parts(b';').next().unwrap_or_default()) else {
            return Err(self.wrong(phrase!("a chunk without a length")));
        };
        self.left = length;
        self.ends = if length == 0 { Ends::Length } else { Ends::Chunks };
        Ok(())
    }

    /// The next bytes of the body; none at its end.
    #[inline(never)]
    pub(super) fn piece(&mut self) -> Result<&[u8]> {
        if self.left == 0 && self.ends == Ends::Chunks {
            self.line()?;
            self.next_chunk()?;
        }
        if self.left > 0 && self.at == self.buffer.len() && !self.fill()? {
            // Whether this is all is for whoever knows how long it is.
            if self.ends != Ends::Connection {
                return Err(self.cut());
            }
            self.left = 0;
        }
        let start = self.at;
        let count = self.left.min((self.buffer.len() - start) as u64);
        self.at += count as usize;
        self.left -= count;
        Ok(&self.buffer[start..self.at])
    }

    /// The whole body, if it is not longer than `most`.
    ///
    /// # Errors
    /// It is longer, makes no sense, or was cut short.
    #[inline(never)]
    pub fn body(&mut self, most: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(body);
            }
            body.extend_from_slice(piece);
            if body.len() > most {
                return Err(self.wrong(phrase!("more than can be right")));
            }
        }
    }

    /// A line of the head, without its end.
    #[inline(never)]
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            if self.at == self.buffer.len() && !self.fill()? {
                return Err(self.cut());
            }
            let rest = &self.buffer[self.at..];
            let end = bytes::find(rest, b'\n');
            let count = end.map_or(rest.len(), |end| end + 1);
            line.extend_from_slice(&rest[..count]);
            self.at += count;
            if line.len() > HEAD {
                return Err(self.wrong(NO_HEAD));
            }
            if end.is_some() {
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
        }
    }

    /// Reads more; false at the end.
    #[inline(never)]
    fn fill(&mut self) -> Result<bool> {
        let Some(connection) = &self.connection else { return Ok(false) };
        loop {
            let mut left = self.since + self.patience - now();
            if left <= 0 {
                if self.came < LEAST {
                    return Err(self.failed(phrase!("next to nothing comes from")));
                }
                (self.since, self.came, left) = (now(), 0, self.patience);
            }
            let mut waiting = [Waiting::readable(connection.by_ref())];
            poll_within(&mut waiting, left as u64)?;
            if waiting[0].is_ready() {
                self.buffer.resize(PIECE, 0);
                // A connection that was reset has ended too.
                let count = file::read(connection.by_ref(), &mut self.buffer).unwrap_or(0);
                self.buffer.truncate(count);
                self.at = 0;
                self.came += count;
                return Ok(count > 0);
            }
        }
    }

    /// The error of an answer that ended early.
    #[cold]
    #[inline(never)]
    pub(super) fn cut(&mut self) -> Error {
        let curl = self.curl.as_mut().and_then(|curl| connect::conclude(curl, self.origin, &mut self.may_pass));
        curl.unwrap_or_else(|| self.failed(phrase!("the answer was cut short by")))
    }

    fn failed(&mut self, what: Phrase) -> Error {
        self.may_pass = true;
        Error::new(say!("{} {}", what, self.origin)).because(ledger::reason())
    }

    /// The error of an answer that makes no sense.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&self, what: Phrase) -> Error {
        self.answered(&what.text())
    }

    /// The error of an answer that is none that was hoped for.
    #[cold]
    #[inline(never)]
    pub(super) fn answered(&self, what: &str) -> Error {
        Error::new(say!("{} answered with {}", self.origin, shown(what))).because(ledger::reason())
    }
}

/// The clock's time in milliseconds.
fn now() -> i64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds()
}
