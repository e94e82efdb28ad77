//! A command with a time limit, and assertions on what came of it.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::scene::kill_all_below;

/// The binary under test.
pub const VIAL: &str = match option_env!("VIAL_UNDER_TEST") {
    Some(path) => path,
    None => env!("CARGO_BIN_EXE_vial"),
};

/// A command's time, unless a test gives it another: generous, since a machine under load is no failure.
const LIMIT: Duration = Duration::from_mins(1);
/// How long output may stay open after the command has ended.
const LINGER: Duration = Duration::from_secs(5);

/// A command that is about to run in a scene.
#[must_use = "a command does nothing until it is run"]
pub struct Cmd<'a> {
    scene: &'a Path,
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; 128 + n after signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl<'a> Cmd<'a> {
    /// A command that sees the scene's root directory as `VIAL_ROOT`.
    pub fn new(scene: &'a Path, program: impl AsRef<OsStr>) -> Cmd<'a> {
        let mut command = Command::new(program);
        command.env("VIAL_ROOT", scene.join("root")).env_remove("XDG_RUNTIME_DIR").env_remove("XDG_DATA_HOME");
        // No test asks a registry that it does not mean to ask.
        command.env("VIAL_PULL", "never");
        // Nor does one connect containers that it does not mean to connect.
        command.env("VIAL_NETWORK", "none");
        command.env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8").current_dir(scene);
        Cmd { scene, command, input: Vec::new(), limit: LIMIT }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Cmd<'a> {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Cmd<'a> {
        self.command.env(name, value);
        self
    }

    /// Runs in this directory instead of the scene's.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Cmd<'a> {
        self.command.current_dir(directory);
        self
    }

    /// Gives this on standard input, which is empty otherwise.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Cmd<'a> {
        self.input = bytes.into();
        self
    }

    /// Gives the command this long.
    pub fn limit(mut self, limit: Duration) -> Cmd<'a> {
        self.limit = limit;
        self
    }

    /// The command line.
    fn line(&self) -> String {
        let words = [self.command.get_program()].into_iter().chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// Starts the command and leaves it running; the scene kills it in the end.
    pub fn start(mut self) -> Running<'a> {
        let line = self.line();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.input;
        // A command may end without reading all of its input.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        Running { scene: self.scene, line, child, stdout, stderr, ends: Instant::now() + self.limit }
    }

    /// Runs the command to its end; fails the test, with the output so far, when its time is up.
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Runs the command, which must succeed.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.run().ends(0)
    }

    /// Runs the command, which must end with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Output {
        self.run().ends(code)
    }
}

/// A command that runs.
pub struct Running<'a> {
    scene: &'a Path,
    line: String,
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    ends: Instant,
}

impl Running<'_> {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the command has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait for a child").is_some()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Output {
        let mut nap = Duration::from_micros(500);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                break Some(status);
            }
            if Instant::now() > self.ends {
                break None;
            }
            thread::sleep(nap);
            nap = (nap * 9 / 8).min(Duration::from_millis(10));
        };
        if status.is_none() {
            let _ = self.child.kill();
            kill_all_below(self.scene);
            let _ = self.child.wait();
        }
        let (stdout, out_closed) = gather(&self.stdout);
        let (stderr, error_closed) = gather(&self.stderr);
        let code = status.map_or(-1, code);
        let output = Output { line: self.line, code, stdout, stderr };
        assert!(status.is_some(), "did not end in time: {}", output.shown());
        assert!(out_closed && error_closed, "something still holds the output of: {}", output.shown());
        output
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Reads to the end in a thread: piece by piece, so that a command that hangs still shows what it said.
fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut piece = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            if sender.send(piece[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// All that was read, and whether the other side was closed.
fn gather(pieces: &Receiver<Vec<u8>>) -> (String, bool) {
    let mut bytes = Vec::new();
    loop {
        match pieces.recv_timeout(LINGER) {
            Ok(piece) => bytes.extend(piece),
            Err(end) => {
                let closed = end == mpsc::RecvTimeoutError::Disconnected;
                return (String::from_utf8_lossy(&bytes).into_owned(), closed);
            }
        }
    }
}

impl Output {
    /// Everything, for a message.
    pub fn shown(&self) -> String {
        let mut text = format!("{}\nexit code {}\n", self.line, self.code);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let _ = write!(text, "--- {name}\n{}\n", stream.trim_end());
        }
        text
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Output {
        assert!(self.code == code, "expected exit code {code}: {}", self.shown());
        self
    }

    /// Asserts the whole of standard output.
    #[track_caller]
    pub fn prints(self, text: &str) -> Output {
        assert!(self.stdout == text, "expected {text:?} on stdout: {}", self.shown());
        self
    }

    /// Asserts a part of standard output.
    #[track_caller]
    pub fn shows(self, text: &str) -> Output {
        assert!(self.stdout.contains(text), "expected {text:?} within stdout: {}", self.shown());
        self
    }

    /// Asserts a part of standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "expected {text:?} within stderr: {}", self.shown());
        self
    }

    /// Asserts that nothing was said on standard error.
    #[track_caller]
    pub fn silent(self) -> Output {
        assert!(self.stderr.is_empty(), "expected nothing on stderr: {}", self.shown());
        self
    }
}

/// The words of a command line, for programs that take one as a string; refuses what would need quoting.
pub fn shell_line<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> OsString {
    let mut line = OsString::new();
    for word in words {
        let word = word.as_ref();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-=:,+".contains(byte);
        assert!(word.as_encoded_bytes().iter().all(plain), "{} needs quoting", word.display());
        if !line.is_empty() {
            line.push(" ");
        }
        line.push(word);
    }
    line
}
