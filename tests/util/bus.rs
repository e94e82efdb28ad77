//! A bus with a systemd behind it that does as a test wants: it makes the control groups of units in the kernel's v1 hierarchies, and
//! answers truthfully, refuses, lies, says what is no message, or nothing at all. It knows as much of D-Bus as that takes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What the bus does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// All that it is asked for.
    Works,
    /// Does not take the user.
    Rejects,
    /// Refuses to start units, in these words.
    Refuses(&'static str, &'static str),
    /// Does not know a property, by this name.
    Lacks(&'static str),
    /// A unit of this name has failed before, and is there until it is reset.
    HasFailed,
    /// What it began does not come to be.
    Fails,
    /// Somebody else says that it did, and it is silent.
    IsMimicked,
    /// Makes a unit, but not where its group is looked for.
    Elsewhere,
    /// Answers a start with these bytes.
    Says(&'static [u8]),
    /// Ends when it is asked to start a unit.
    Leaves,
    /// Takes the order to start a unit, makes its group, and never says that it did.
    Waits,
}

/// Methods that were called, each with what it was called with.
type Calls = Mutex<Vec<(String, Vec<u8>)>>;

/// The bus. It goes on for as long as the test's process.
pub struct Bus {
    /// Its address.
    pub address: String,
    /// The methods that were called, each with what it was called with.
    pub calls: Arc<Calls>,
}

/// Bytes at the beginning of a message up to where its fields begin.
const HEADER: usize = 16;
/// Whose name on the bus systemd has.
const MANAGER: &str = ":1.0";

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

/// A message of a kind, with texts as fields by their codes; field 5 is a number.
fn message(kind: u8, answers: u32, fields: &[(u8, &str)], body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (code, value) in fields {
        pad(&mut all, 8);
        if *code == 8 {
            all.extend(b"\x08\x01g\0");
            all.push(value.len() as u8);
            all.extend(value.as_bytes());
            all.push(0);
        } else {
            all.extend([*code, 1, if *code == 1 { b'o' } else { b's' }, 0]);
            text(&mut all, value);
        }
    }
    if answers != 0 {
        pad(&mut all, 8);
        all.extend(b"\x05\x01u\0");
        all.extend(answers.to_le_bytes());
    }
    let mut message = vec![b'l', kind, 1, 1];
    message.extend((body.len() as u32).to_le_bytes());
    message.extend(99u32.to_le_bytes());
    message.extend((all.len() as u32).to_le_bytes());
    message.extend(all);
    pad(&mut message, 8);
    message.extend(body);
    message
}

/// A text of a body or of a field.
fn read_text(bytes: &[u8], at: usize) -> String {
    let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    String::from_utf8_lossy(&bytes[at + 4..at + 4 + length]).into_owned()
}

/// The method that is called.
fn member(fields: &[u8]) -> String {
    let at = fields.windows(4).position(|four| four == b"\x03\x01s\0").expect("a call has a method");
    read_text(fields, at + 4)
}

/// Where the value of a property is: behind its name and its type.
fn value(body: &[u8], name: &str, of: &str) -> Option<usize> {
    let mark = [name.as_bytes(), b"\0", &[of.len() as u8], of.as_bytes(), b"\0"].concat();
    let at = body.windows(mark.len()).position(|part| part == mark)?;
    Some((at + mark.len()).next_multiple_of(4))
}

/// The hierarchies that it makes groups in; in others it leaves that to who asks it, as systemd does.
pub const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/pids"];

impl Bus {
    /// One that behaves so; `name` is its socket's.
    pub fn new(directory: &Path, name: &str, manner: Manner) -> Bus {
        let path = directory.join(name);
        let listener = UnixListener::bind(&path).expect("listen at the bus's socket");
        let calls: Arc<Calls> = Arc::default();
        let known = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                // One that left or was left has nothing more to do.
                thread::spawn(move || drop(serve(stream, manner, &known)));
            }
        });
        Bus { address: format!("unix:path={}", path.display()), calls }
    }

    /// The names of the methods that were called so far.
    pub fn called(&self) -> Vec<String> {
        self.calls.lock().expect("no thread panics").iter().map(|(name, _)| name.clone()).collect()
    }
}

fn serve(mut stream: UnixStream, manner: Manner, calls: &Calls) -> std::io::Result<()> {
    let mut asked = Vec::new();
    let mut byte = [0];
    while !asked.ends_with(b"BEGIN\r\n") {
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
        if asked.ends_with(b"DATA\r\n") {
            assert_eq!(asked, b"\0AUTH EXTERNAL\r\nDATA\r\n");
            let refused = manner == Manner::Rejects;
            stream.write_all(if refused {
                b"REJECTED EXTERNAL\r\n"
            } else {
                b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n"
            })?;
        }
    }
    let mut had_failed = manner == Manner::HasFailed;
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header)?;
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let mut fields = vec![0; (number(12) as usize).next_multiple_of(8)];
        stream.read_exact(&mut fields)?;
        let mut body = vec![0; number(4) as usize];
        stream.read_exact(&mut body)?;
        let (name, serial) = (member(&fields), number(8));
        calls.lock().expect("no thread panics").push((name.clone(), body.clone()));
        let refuse = |error: &str, words: &str| {
            let mut body = Vec::new();
            text(&mut body, words);
            message(3, serial, &[(4, error), (7, MANAGER), (8, "s")], &body)
        };
        let begun = || {
            let mut body = Vec::new();
            text(&mut body, "/job/7");
            message(2, serial, &[(7, MANAGER), (8, "o")], &body)
        };
        let ended = |sender: &str, result: &str| {
            let mut body = 7u32.to_le_bytes().to_vec();
            for part in ["/job/7", "x.scope", result] {
                text(&mut body, part);
            }
            let fields = [
                (1, "/org/freedesktop/systemd1"),
                (2, "org.freedesktop.systemd1.Manager"),
                (3, "JobRemoved"),
                (7, sender),
                (8, "uoss"),
            ];
            message(4, 0, &fields, &body)
        };
        let answer = match (name.as_str(), manner) {
            ("Hello", _) => {
                let mut body = Vec::new();
                text(&mut body, ":1.9");
                message(2, serial, &[(7, "org.freedesktop.DBus"), (8, "s")], &body)
            }
            ("StartTransientUnit", Manner::Refuses(error, words)) => refuse(error, words),
            ("StartTransientUnit", Manner::Lacks(property)) if value(&body, property, "t").is_some() => {
                let words = format!("Cannot set property {property}, or unknown property.");
                refuse("org.freedesktop.DBus.Error.PropertyReadOnly", &words)
            }
            ("StartTransientUnit", Manner::HasFailed) if had_failed => {
                refuse("org.freedesktop.systemd1.UnitExists", "Unit x.scope already exists.")
            }
            ("StartTransientUnit", Manner::Says(bytes)) => bytes.to_vec(),
            ("StartTransientUnit", Manner::Leaves) => return Ok(()),
            ("StartTransientUnit", Manner::Fails) => [begun(), ended(MANAGER, "failed")].concat(),
            ("StartTransientUnit", Manner::IsMimicked) => {
                [begun(), ended(":1.66", "done"), ended(MANAGER, "canceled")].concat()
            }
            ("StartTransientUnit", Manner::Elsewhere) => [begun(), ended(MANAGER, "done")].concat(),
            ("StartTransientUnit", _) => {
                let slice = read_text(&body, value(&body, "Slice", "s").expect("it has a slice"));
                let at = value(&body, "PIDs", "au").expect("it has a process") + 4;
                let pid = u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes"));
                for hierarchy in HIERARCHIES {
                    let directory = Path::new(hierarchy).join(&slice).join(read_text(&body, 0));
                    fs::create_dir_all(&directory)?;
                    fs::write(directory.join("cgroup.procs"), pid.to_string())?;
                }
                let signal = if manner == Manner::Waits { Vec::new() } else { ended(MANAGER, "done") };
                // The signal may also come first.
                [signal, begun()].concat()
            }
            ("StopUnit", Manner::Works | Manner::HasFailed | Manner::Lacks(_)) => {
                [begun(), ended(MANAGER, "done")].concat()
            }
            ("StopUnit", _) => refuse("org.freedesktop.systemd1.NoSuchUnit", "Unit x.scope not loaded."),
            ("ResetFailedUnit", _) => {
                had_failed = false;
                message(2, serial, &[(7, MANAGER)], &[])
            }
            _ => message(2, serial, &[(7, MANAGER)], &[]),
        };
        stream.write_all(&answer)?;
    }
}
