//! A conversation over one connection: with a bus, or with a program that speaks D-Bus itself.

use alloc::string::String;
use alloc::vec::Vec;

use super::wire::{self, ERROR, LONGEST, Message, RETURN, SIGNAL, Writer};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{Cut, hexadecimal};
use crate::sys::fd::{CWD, Fd};
use crate::sys::poll::{self, Waiting};
use crate::sys::{file, ledger, net, process};

/// How many milliseconds the other side has for an answer.
const PATIENCE: i64 = 30_000;
/// What is read at a time.
const PIECE: usize = 4 << 10;

/// What is said before the first message: a zero byte, and that the kernel is to say who this is. In a user namespace nobody
/// here knows the number that the other side has for this user, so none is given ("AUTH EXTERNAL" without one is asked for it,
/// and an empty answer stands for what the kernel says). All at once, as sd-bus does: what comes to systemd together with the end
/// of this it looks at only when something else comes.
const HANDSHAKE: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// The bus itself, which is a peer too.
const DAEMON: Method =
    Method { to: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

/// Whose methods are called.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The name on the bus.
    pub to: &'static str,
    /// The object.
    pub path: &'static str,
    /// The interface.
    pub interface: &'static str,
}

/// What a method answered.
#[derive(Debug)]
pub struct Answer {
    /// The error's name; empty if it is none.
    pub error: String,
    /// The first value, if that is a text; of an error its words.
    pub text: String,
    /// Who answered; empty without a bus between.
    pub sender: String,
}

/// A connection.
pub struct Bus {
    socket: Fd,
    /// What has come and was not read yet.
    came: Vec<u8>,
    /// The number of the last message.
    serial: u32,
    /// Signals that came before an answer.
    early: Vec<Vec<u8>>,
    /// Whether there is no bus between.
    direct: bool,
}

/// The socket that an address is about: the first that is in the file system, since others are not in use any more.
#[must_use]
pub fn socket(address: &str) -> Option<&'static str> {
    let at = address
        .parts(b';')
        .find_map(|one| one.strip_prefix("unix:")?.parts(b',').find_map(|pair| pair.strip_prefix("path=")))?;
    let (mut path, mut rest) = (Vec::new(), at.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = tail.split_first_chunk::<2>()?;
            path.push(hexadecimal(core::str::from_utf8(digits).ok()?)? as u8);
            rest = tail;
        } else {
            path.push(*first);
        }
    }
    Some(keep::lossy(&path)).filter(|path| path.starts_with('/'))
}

impl Bus {
    /// Connects to the first of these sockets, one a line, that somebody listens at. One called `private` is systemd's own, which
    /// has no bus between.
    ///
    /// # Errors
    /// There is none, or who listens does not take this user.
    #[inline(never)]
    pub fn open(sockets: &str) -> Result<Bus> {
        let mut refused = None;
        for path in sockets.parts(b'\n') {
            let (directory, name) = path.cut_last(b'/').unwrap_or_default();
            let connected = file::open(CWD, file::path(join!("{}/", directory))?, libc::O_PATH | libc::O_DIRECTORY)
                .and_then(|directory| net::connect_stream_at(directory.by_ref(), name));
            match connected {
                Ok(socket) => {
                    let mut bus =
                        Bus { socket, came: Vec::new(), serial: 0, early: Vec::new(), direct: name == "private" };
                    bus.introduce(path)?;
                    if !bus.direct {
                        bus.ask(&DAEMON, "Hello", "", &Writer::default())?.taken("Hello")?;
                    }
                    return Ok(bus);
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let refused = refused.map_or(Errno::ENOENT, |error| error.errno());
        Err(Error::os(
            refused,
            phrase!("connect to"),
            join!("{}", sockets.parts(b'\n').collect::<Vec<_>>().join(" or ")),
        ))
    }

    /// Has the kernel say who this is.
    #[inline(never)]
    fn introduce(&mut self, path: &str) -> Result<()> {
        net::send(self.socket.by_ref(), HANDSHAKE, None)?;
        let end = now() + PATIENCE;
        loop {
            while let Some(at) = self.came.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.came.drain(..=at).collect();
                if line.starts_with(b"OK") {
                    return Ok(());
                }
                if !line.starts_with(b"DATA") {
                    return Err(Error::new(say!(
                        "{} does not take this user: {}",
                        path,
                        keep::lossy(line.trim_ascii())
                    )));
                }
            }
            self.receive(end)?;
        }
    }

    /// Has the bus pass on the signals that this rule is about; without one all come anyway.
    ///
    /// # Errors
    /// What the bus says.
    pub fn subscribe(&mut self, rule: &str) -> Result<()> {
        if self.direct {
            return Ok(());
        }
        let mut body = Writer::default();
        body.text(rule);
        self.ask(&DAEMON, "AddMatch", "s", &body)?.taken("AddMatch")
    }

    /// Calls a method and waits for what it answers, which may be an error.
    ///
    /// # Errors
    /// The other side ended, does not answer, or says what is no message.
    #[inline(never)]
    pub fn ask(&mut self, method: &Method, member: &str, types: &str, body: &Writer) -> Result<Answer> {
        self.serial += 1;
        let serial = self.serial;
        let fields = [method.path, method.interface, member, "", "", method.to];
        net::send(self.socket.by_ref(), &wire::call(serial, fields, types, body), None)?;
        let (mut early, mut answer) = (core::mem::take(&mut self.early), None);
        let result = self.each(&mut |message, bytes| {
            if message.kind == SIGNAL {
                early.push(bytes.to_vec());
            }
            if matches!(message.kind, RETURN | ERROR) && message.answers == serial {
                let mut body = message.body;
                let text = if message.types.starts_with(['s', 'o']) { body.text() } else { None };
                let error = match message.kind {
                    RETURN => "",
                    // An error without a name is one all the same.
                    _ if message.error.is_empty() => "?",
                    _ => message.error,
                };
                let text = text.unwrap_or_default().into();
                answer = Some(Answer { error: error.into(), text, sender: message.sender.into() });
            }
            answer.is_some()
        });
        self.early = early;
        result.and_then(|()| answer.ok_or_else(|| damaged(Phrase::EMPTY)))
    }

    /// Waits for a signal until `wanted` says that it is the one.
    ///
    /// # Errors
    /// As [`Bus::ask`].
    #[inline(never)]
    pub fn await_signal(&mut self, wanted: &mut dyn FnMut(&Message<'_>) -> bool) -> Result<()> {
        for bytes in core::mem::take(&mut self.early) {
            if matches!(wire::next(&bytes), Ok(Some((message, _))) if wanted(&message)) {
                return Ok(());
            }
        }
        self.each(&mut |message, _| message.kind == SIGNAL && wanted(message))
    }

    /// Reads messages until `act` says that it has what it wants.
    #[inline(never)]
    fn each(&mut self, act: &mut dyn FnMut(&Message<'_>, &[u8]) -> bool) -> Result<()> {
        let end = now() + PATIENCE;
        loop {
            while let Some((message, length)) = wire::next(&self.came).map_err(damaged)? {
                let found = act(&message, &self.came[..length]);
                self.came.drain(..length);
                if found {
                    return Ok(());
                }
            }
            self.receive(end)?;
        }
    }

    /// Takes what has come, waiting for it until then.
    #[inline(never)]
    fn receive(&mut self, end: i64) -> Result<()> {
        let mut waiting = [Waiting::readable(self.socket.by_ref())];
        poll::poll_within(&mut waiting, (end - now()).max(0) as u64)?;
        if !waiting[0].is_ready() {
            return Err(
                Error::os(Errno::ETIMEDOUT, phrase!("wait for an answer over D-Bus"), "").because(ledger::reason())
            );
        }
        let start = self.came.len();
        if start > 2 * LONGEST + PIECE {
            return Err(damaged(phrase!("too much without an end")));
        }
        self.came.resize(start + PIECE, 0);
        // Files that nobody asked for are closed at once.
        let count = net::receive(self.socket.by_ref(), &mut self.came[start..])?.0;
        self.came.truncate(start + count);
        if count == 0 {
            return Err(damaged(phrase!("the other side has closed the connection")));
        }
        Ok(())
    }
}

impl Answer {
    /// An error if it is one, in the words of who answered.
    ///
    /// # Errors
    /// That one.
    pub fn taken(&self, what: &str) -> Result<()> {
        if self.error.is_empty() {
            return Ok(());
        }
        Err(Error::new(say!("{}: {} ({})", what, printable(&self.text), printable(&self.error)))
            .because(ledger::reason()))
    }
}

/// What others say does not go to a terminal as it is.
fn printable(text: &str) -> &'static str {
    crate::base::text::printable(text)
}

fn damaged(what: Phrase) -> Error {
    Error::os(Errno(libc::EBADMSG), phrase!("read what came over D-Bus:"), what.text()).because(ledger::reason())
}

fn now() -> i64 {
    process::clock(libc::CLOCK_MONOTONIC).milliseconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_an_address_is_its_first_path() {
        assert_eq!(socket("unix:path=/run/dbus/system_bus_socket"), Some("/run/dbus/system_bus_socket"));
        assert_eq!(socket("unix:abstract=/a;unix:guid=1,path=/tmp/a%20b%25"), Some("/tmp/a b%"));
        for other in ["", "unix:abstract=/tmp/x", "tcp:host=a,port=1", "unix:path=", "unix:path=a", "unix:path=/%zz"] {
            assert_eq!(socket(other), None, "{other}");
        }
    }
}
