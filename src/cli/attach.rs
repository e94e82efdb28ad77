//! Being attached to a detached container: what it writes comes out here, what comes in here goes to it.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::parse::Parsed;
use super::{lifecycle, pause};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::container::monitor::{self, ATTACH, CLOSE, ENDED, INPUT, OUTPUT};
use crate::container::state::{Condition, State};
use crate::container::{process, run};
use crate::image::helper::Helper;
use crate::kernel::tty::{self, Raw};
use crate::sys::cold::Gate;
use crate::sys::poll::{self, Waiting};
use crate::sys::{Fd, because, fd, file, ledger, net, terminal};

/// The keys that detach, unless told otherwise: docker's.
const KEYS: &str = "ctrl-p,ctrl-q";

/// How to be attached.
#[derive(Debug, Default)]
pub struct Manner {
    /// Whether the container has a terminal.
    pub tty: bool,
    /// Whether standard input goes to the workload.
    pub input: bool,
    /// Whether signals go to the workload.
    pub proxy: bool,
    /// The keys that detach.
    pub keys: Vec<u8>,
}

impl Manner {
    /// As the command line says.
    pub(super) fn new(parsed: &Parsed<'_>, input: bool) -> Result<Manner> {
        let keys = match parsed.last(Id::DetachKeys) {
            Some(given) => given.check(
                keys(given.text()?),
                phrase!("not keys"),
                phrase!("letters or ctrl-LETTER with commas between: ctrl-p,ctrl-q"),
            )?,
            None => keys(KEYS).unwrap_or_default(),
        };
        let proxy = parsed.last(Id::SigProxy).is_none_or(|given| given.value == b"true");
        Ok(Manner { tty: false, input, proxy, keys })
    }
}

/// Reads keys as docker names them: `a`, or `ctrl-` and one of `a-z`, `@`, `[`, `\`, `]`, `^`, `_`.
fn keys(text: &str) -> Option<Vec<u8>> {
    let mut keys = Vec::new();
    for word in text.parts(b',') {
        keys.push(match (word.strip_prefix("ctrl-").map(str::as_bytes), word.as_bytes()) {
            (Some(&[letter @ (b'a'..=b'z' | b'@' | b'['..=b'_')]), _) => letter & 0x1f,
            (None, &[letter]) => letter,
            _ => return None,
        });
    }
    Some(keys)
}

/// `vial attach`.
pub(super) fn attach(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let name = parsed.word(0);
    let mut manner = Manner::new(parsed, !parsed.on(Id::NoStdin))?;
    let (_, _, seen) = lifecycle::look(context, name)?;
    if seen.condition == Condition::Paused {
        return Err(pause::unpause_first(name));
    }
    if seen.condition != Condition::Running {
        return Err(Error::new(say!("cannot attach to container {}: it does not run", name))
            .hint(say!("start it and attach with: vial start -a {}", name)));
    }
    manner.tty = seen.state.tty;
    let session = connect(&seen.directory, name)?;
    net::send(session.by_ref(), &[ATTACH], None)?;
    follow(&session, &seen.directory, &manner)
}

/// Connects to a container's monitor.
pub(super) fn connect(directory: &Fd, name: &str) -> Result<Fd> {
    let _why = because!("connect to the container's monitor");
    net::connect_at(directory.by_ref(), monitor::SOCKET).map_err(|error| match error.errno() {
        Errno::ENOENT | Errno::ECONNREFUSED => {
            Error::new(say!("container {} has no monitor: it runs in the foreground of another vial", name))
                .hint(phrase!("a container that is started with vial run -d or vial start has one"))
        }
        _ => error,
    })
}

/// What is on its way to the workload.
struct Input {
    open: bool,
    message: Vec<u8>,
    /// How many of the keys that detach were typed just now.
    typed: usize,
}

/// Passes on until the container has ended or the keys that detach are typed; the exit code.
pub(super) fn follow(session: &Fd, directory: &Fd, manner: &Manner) -> Result<u8> {
    COLD_GATE_MANAGE.open()?(session, directory, manner)
}

type Follow = fn(&Fd, &Fd, &Manner) -> Result<u8>;

static COLD_GATE_MANAGE: Gate<Follow> = Gate(pass_on);

fn pass_on(session: &Fd, directory: &Fd, manner: &Manner) -> Result<u8> {
    let _why = because!("pass on what goes to and comes from the container, until it has ended");
    let before = poll::block_signals(run::watched_signals())?;
    let signals = poll::signalfd(run::watched_signals())?;
    let on_terminal = manner.tty && manner.input && tty::is_terminal(fd::STDIN);
    let raw = if on_terminal { Some(Raw::enter(fd::STDIN)?) } else { None };
    if manner.tty {
        send_size(session);
    }
    let mut input = Input { open: manner.input, message: Vec::new(), typed: 0 };
    let mut buffer = alloc::vec![0u8; 32 << 10];
    let code = loop {
        let mut waiting = [
            Waiting::readable(signals.by_ref()),
            Waiting::readable(session.by_ref()),
            match &input {
                Input { message, .. } if !message.is_empty() => Waiting::writable(session.by_ref()),
                Input { open: true, .. } => Waiting::readable(fd::STDIN),
                _ => Waiting::nothing(),
            },
        ];
        poll::poll(&mut waiting)?;
        if waiting[2].is_ready() && !input.pass(session, manner, on_terminal) {
            drop(raw);
            let _ = file::write_all(fd::STDERR, b"read escape sequence\n");
            break 0;
        }
        if waiting[1].is_ready() {
            let (length, _) = net::receive(session.by_ref(), &mut buffer)?;
            match buffer[..length].split_first() {
                Some((&ENDED, code)) => break code.first().copied().unwrap_or(0),
                Some((&kind, output)) => {
                    let place = if kind == OUTPUT { fd::STDOUT } else { fd::STDERR };
                    file::write_all(place, output)?;
                }
                None => {
                    return Err(Error::new(phrase!("the container's monitor was killed")).hint(phrase!(
                        "the container may still run: vial ps; vial attach connects to its new monitor"
                    )));
                }
            }
        }
        if waiting[0].is_ready() {
            match poll::next_signal(signals.by_ref())? {
                libc::SIGWINCH if manner.tty => send_size(session),
                libc::SIGCHLD | libc::SIGWINCH => {}
                signal if manner.proxy => {
                    // In a process of its own, since what is read of the state stays in memory.
                    let mut helper = Helper::start(&mut |_| {
                        let state = State::load(directory.by_ref())?.unwrap_or_default();
                        process::signal(state.pid, state.pid_start, signal).map(|_| Vec::new())
                    })?;
                    helper.conclude()?;
                }
                signal => break 128 + signal as u8,
            }
        }
        ledger::relieve();
    };
    poll::block_signals(before)?;
    Ok(code)
}

fn send_size(session: &Fd) {
    if let Ok(size) = terminal::size(fd::STDIN).or_else(|_| terminal::size(fd::STDOUT)) {
        let _ = net::try_send(session.by_ref(), &monitor::size_message(size));
    }
}

impl Input {
    /// Hands on what is there; false if the keys that detach were typed.
    fn pass(&mut self, session: &Fd, manner: &Manner, on_terminal: bool) -> bool {
        if self.message.is_empty() {
            let mut bytes = [0u8; monitor::INPUT_CHUNK];
            match file::read(fd::STDIN, &mut bytes) {
                Err(error) if error.is(Errno::EAGAIN) => return true,
                Ok(0) | Err(_) => {
                    self.open = false;
                    self.message.push(CLOSE);
                }
                Ok(count) => {
                    self.message.push(INPUT);
                    if on_terminal {
                        if self.filter(&bytes[..count], &manner.keys) {
                            // What was typed before them is the workload's.
                            let _ = net::send(session.by_ref(), &self.message, None);
                            return false;
                        }
                    } else {
                        self.message.extend_from_slice(&bytes[..count]);
                    }
                }
            }
        }
        match net::try_send(session.by_ref(), &self.message) {
            Err(error) if error.is(Errno::EAGAIN) => return true,
            // What the monitor said last is still to be read.
            Err(_) => self.open = false,
            Ok(()) => {}
        }
        self.message.clear();
        true
    }

    /// Takes over what was typed but the keys that detach; whether they are complete.
    fn filter(&mut self, bytes: &[u8], keys: &[u8]) -> bool {
        for &byte in bytes {
            if keys.get(self.typed) == Some(&byte) {
                self.typed += 1;
                if self.typed == keys.len() {
                    return true;
                }
                continue;
            }
            // Not the keys after all.
            self.message.extend_from_slice(&keys[..self.typed]);
            self.typed = usize::from(keys.first() == Some(&byte));
            if self.typed == 0 {
                self.message.push(byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_names_them() {
        assert_eq!(keys("ctrl-p,ctrl-q"), Some(vec![16, 17]));
        assert_eq!(keys("a,ctrl-@,ctrl-_"), Some(vec![b'a', 0, 31]));
        for wrong in ["", "ctrl-", "ctrl-P", "ab", "ctrl-p,", "alt-x"] {
            assert_eq!(keys(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_whole_sequence_detaches_and_what_looked_like_it_is_passed_on() {
        let mut input = Input { open: true, message: Vec::new(), typed: 0 };
        assert!(!input.filter(b"ab\x10c\x10", &[16, 17]));
        assert_eq!((&input.message[..], input.typed), (&b"ab\x10c"[..], 1));
        assert!(!input.filter(b"\x10", &[16, 17]));
        assert_eq!((&input.message[..], input.typed), (&b"ab\x10c\x10"[..], 1));
        assert!(input.filter(b"\x11x", &[16, 17]));
    }
}
