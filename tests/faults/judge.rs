//! Does harm at each call of a command, and judges what comes of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use syscalls::Sysno;
use vial::sys::number;

use super::state;
use crate::util::command::{Output, VIAL};
use crate::util::network::Host;
use crate::util::scene::kill_all_below;
use crate::util::tracer::{self, Harm, Moment, Traced};
use crate::util::{Scene, faults, killer, leaks};

/// So long a command may take, with all that it starts.
const LIMIT: Duration = Duration::from_secs(20);
/// How long the kernel may take to bury what has ended.
const GRACE: Duration = Duration::from_secs(2);
/// How often a point is looked for.
const ATTEMPTS: usize = 3;
/// How many findings are told.
const SHOWN: usize = 40;

/// Whether the next command may come, when those before have ended so.
pub type Ready<'a> = dyn Fn(&[ExitStatus]) -> bool + Send + Sync + 'a;
/// What has come of commands that said this.
pub type Outcome<'a> = dyn Fn(&[Output]) -> String + 'a;

/// Commands that are swept, one after the other.
pub struct Case<'a> {
    /// What the table calls it.
    pub name: &'static str,
    /// The words of each command.
    pub commands: Vec<Vec<String>>,
    /// Makes what they need.
    pub prepare: Box<dyn Fn() + 'a>,
    /// Whether the next command may come, when those before have ended so.
    pub ready: Box<Ready<'a>>,
    /// What has come of it if they succeeded: always the same text. They said this.
    pub outcome: Box<Outcome<'a>>,
    /// What their control groups lie below: it belongs to this case alone.
    pub groups: String,
    /// Removes what they leave on purpose.
    pub settle: Vec<Vec<String>>,
    /// The host on whose network they run, if not that of all tests.
    pub host: Option<&'a Host<'a>>,
}

/// What is wrong, by kinds, as columns of the table.
const KINDS: [&str; 5] = ["weaker", "hangs", "crashes", "silent", "leaks"];
const WEAKER: usize = 0;
const HANG: usize = 1;
const CRASH: usize = 2;
const SILENT: usize = 3;
const LEAK: usize = 4;

/// A sweep under way.
pub struct Sweep<'a> {
    scene: &'a Scene,
    case: Case<'a>,
    /// What came of the commands without harm.
    clean: String,
    files: BTreeSet<PathBuf>,
    found: Vec<(usize, String)>,
    counts: [usize; 5],
    tried: usize,
    missed: usize,
}

impl<'a> Sweep<'a> {
    /// Sweeps a case: all of its points if `VIAL_TEST_ALL=1`, every so manieth with another number, and else so many; fails if
    /// anything was found.
    ///
    /// # Panics
    /// What was found, or what fails without any harm.
    pub fn sweep(scene: &'a Scene, case: Case<'a>, sample: usize) {
        let (clean, files) = (String::new(), BTreeSet::new());
        let mut sweep = Sweep { scene, case, clean, files, found: Vec::new(), counts: [0; 5], tried: 0, missed: 0 };
        let calls = sweep.begin();
        let points = points(&calls);
        let step = killer::step_asked_for().unwrap_or(points.len().div_ceil(sample));
        let only: Option<(usize, usize)> = std::env::var("VIAL_TEST_POINT").ok().map(|point| {
            let (process, call) = point.split_once(':').expect("PROCESS:CALL");
            (process.parse().expect("a number"), call.parse().expect("a number"))
        });
        let known = if step == 1 { Vec::new() } else { known(&calls) };
        let (part, parts) = part();
        for (number, moment) in points.into_iter().skip(step / 2).step_by(step).chain(known).enumerate() {
            if number % parts == part && only.is_none_or(|only| only == (moment.process, moment.call)) {
                sweep.point(moment);
            }
        }
        let total: usize = calls.iter().map(Vec::len).sum();
        sweep.end(total);
    }

    /// Runs the commands without harm; their calls. More than once, so that what is only ever made once is there, and since who
    /// looks until another one is done looks more often at times: the fewest calls are those that come each time.
    fn begin(&mut self) -> tracer::Calls {
        let mut calls = Vec::new();
        for round in 0..3 {
            (self.case.prepare)();
            let (traced, said) = self.run(None);
            for output in &said {
                assert_eq!(output.code, 0, "without harm: {}", output.shown());
            }
            self.clean = (self.case.outcome)(&said);
            let count = |calls: &tracer::Calls| calls.iter().map(Vec::len).sum::<usize>();
            if round < 2 || count(&traced.calls) < count(&calls) {
                calls = traced.calls;
            }
            let left = self.settle();
            assert_eq!(left, [""; 0], "{} without harm", self.case.name);
            self.files = files(&self.scene.root());
        }
        if std::env::var_os("VIAL_TEST_SHOWN").is_some() {
            println!("{}", self.clean);
        }
        calls
    }

    fn run(&self, moment: Option<Moment>) -> (Traced, Vec<Output>) {
        let path = |number: usize, kind: &str| self.scene.path(format!("{kind}{number}"));
        let mut commands = Vec::new();
        for (number, words) in self.case.commands.iter().enumerate() {
            let mut command = Command::new(VIAL);
            command.args(words).env("VIAL_ROOT", self.scene.root()).env("VIAL_PULL", "never");
            command.env("VIAL_NETWORK", "none").current_dir(self.scene.directory());
            let file = |kind: &str| File::create(path(number, kind)).expect("make a file");
            command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
            commands.push(command);
        }
        let trace = || tracer::trace(commands, moment, LIMIT, &*self.case.ready);
        let traced = match self.case.host {
            Some(host) => host.place().within(trace),
            None => trace(),
        };
        let read = |number: usize, kind: &str| {
            String::from_utf8_lossy(&fs::read(path(number, kind)).unwrap_or_default()).into_owned()
        };
        let said = traced.ends.iter().enumerate().map(|(number, status)| Output {
            line: self.case.commands[number].join(" ").chars().take(100).collect(),
            code: status.code().unwrap_or(-1),
            stdout: read(number, "out"),
            stderr: read(number, "err"),
        });
        let said = said.collect();
        (traced, said)
    }

    /// Does harm at a point, and judges what comes of it. A process that is faster this time may not come there; then once more.
    fn point(&mut self, moment: Moment) {
        let mut attempts = 0;
        let (traced, said, (call, errno)) = loop {
            (self.case.prepare)();
            let (traced, said) = self.run(Some(moment));
            if let Some(struck) = traced.struck {
                break (traced, said, struck);
            }
            self.settle();
            attempts += 1;
            if attempts == ATTEMPTS {
                self.missed += 1;
                return;
            }
        };
        self.tried += 1;
        let how = match (moment.harm, errno) {
            (Harm::KillAll, _) => "all killed".to_owned(),
            (_, Some(errno)) => faults::name(errno),
            _ => "killed".to_owned(),
        };
        let what = format!("{}:{} {call} {how}", moment.process, moment.call);
        let mut found = self.judge(&traced, &said, errno);
        for left in self.settle() {
            found.push((LEAK, left));
        }
        let mut told = [false; 5];
        for (kind, text) in found {
            if !std::mem::replace(&mut told[kind], true) {
                self.counts[kind] += 1;
            }
            if std::env::var_os("VIAL_TEST_SHOWN").is_some() {
                println!("{}: {what}: {}: {text}", self.case.name, KINDS[kind]);
            }
            self.found.push((kind, format!("{what}: {}: {text}", KINDS[kind])));
        }
    }

    /// What is wrong with how the commands ended.
    fn judge(&self, traced: &Traced, said: &[Output], errno: Option<i32>) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        if traced.hung {
            found.push((HANG, said.iter().map(Output::shown).collect()));
            return found;
        }
        found.extend(traced.crashes.iter().map(|crash| (CRASH, crash.clone())));
        let executes = traced.struck.is_some_and(|(call, _)| call == Sysno::execve);
        for (output, status) in said.iter().zip(&traced.ends) {
            if output.stderr.contains("internal error") {
                found.push((CRASH, output.shown()));
            }
            let message = output.stderr.lines().any(|line| line.starts_with("vial: ") && !line.contains(": warning: "));
            match status.code() {
                // Who was killed says nothing.
                None if errno.is_none() => return found,
                None => found.push((CRASH, output.shown())),
                Some(0) => continue,
                // Killed at its very start, as it looks from outside.
                Some(137) if errno.is_none() => continue,
                Some(125) if message => {}
                Some(126 | 127) if message && executes => {}
                Some(_) => found.push((SILENT, output.shown())),
            }
            // A process that gets no memory can't say so to another one.
            let memory = errno == Some(libc::ENOMEM) && output.stderr.contains("memory");
            // It may be what followed from that error that is told.
            if errno.is_some() && !memory && !names_an_error(&output.stderr) {
                found.push((SILENT, format!("the error is not named: {}", output.shown())));
            }
        }
        if said.iter().all(|output| output.code == 0) {
            let outcome = (self.case.outcome)(said);
            // One that is killed as it becomes the workload might have been killed a moment later.
            if outcome != self.clean && (errno.is_some() || outcome != state::NOTHING) {
                let said: String = said.iter().map(|output| output.stderr.as_str()).collect();
                found.push((WEAKER, format!("{said}{}", state::difference(&self.clean, &outcome))));
            }
        }
        found
    }

    /// Collects what is left once, and removes what is there on purpose; everything that is still there then.
    fn settle(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let commands = [vec!["gc".to_owned()]].into_iter().chain(self.case.settle.clone());
        for words in commands {
            let vial = match self.case.host {
                Some(host) => host.vial(&words),
                None => self.scene.vial(&words),
            };
            let output = vial.limit(LIMIT).run();
            if output.code != 0 || words[0] != "gc" && !output.stderr.is_empty() {
                left.push(output.shown());
            }
        }
        left.extend(self.left());
        if !left.is_empty() {
            kill_all_below(self.scene.directory());
            for words in [&["rm", "-f", "web"][..], &["gc", "--images", "--all"]] {
                let _ = self.scene.vial(words).run();
            }
            for group in self.groups().iter().rev() {
                let _ = fs::remove_dir(group);
            }
            self.files = files(&self.scene.root());
        }
        left
    }

    /// The control groups of this case that are there. Those elsewhere would be seen at the end of all tests.
    fn groups(&self) -> Vec<PathBuf> {
        leaks::control_groups_below(&self.case.groups)
    }

    /// What is there and was not before.
    fn left(&self) -> Vec<String> {
        let ends = Instant::now() + GRACE;
        loop {
            let mut left = leaks::below(self.scene.directory());
            let files = files(&self.scene.root());
            left.extend(files.difference(&self.files).map(|path| format!("file {}", path.display())));
            left.extend(self.groups().iter().map(|path| format!("group {}", path.display())));
            if let Some(host) = self.case.host {
                left.extend(host.left());
                left.extend(host.unfinished());
            }
            if self.files.is_empty() {
                left.retain(|line| !line.starts_with("file "));
            }
            if left.is_empty() || Instant::now() > ends {
                return left;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tells what came of it.
    fn end(self, calls: usize) {
        let mut row = format!(
            "{:<24} calls {calls:>5}  points {:>5}  not reached {:>3}",
            self.case.name, self.tried, self.missed
        );
        for (kind, count) in KINDS.iter().zip(self.counts) {
            let _ = write!(row, "  {kind} {count}");
        }
        if killer::step_asked_for().is_some() {
            println!("{row}");
        }
        let found: Vec<&str> = self.found.iter().take(SHOWN).map(|(_, text)| text.as_str()).collect();
        assert!(found.is_empty(), "{row}\n{}", found.join("\n"));
        assert!(self.missed * 5 <= self.tried, "{row}: most points must be reached");
    }
}

/// The part that `VIAL_TEST_PART=3/10` asks for, counted from 0, and how many parts there are: every tenth point, but others for
/// each part.
fn part() -> (usize, usize) {
    let Ok(asked) = std::env::var("VIAL_TEST_PART") else { return (0, 1) };
    let numbers = asked.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    let (part, parts): (usize, usize) = numbers.expect("PART/PARTS");
    assert!((1..=parts).contains(&part), "{asked} is no part");
    (part - 1, parts)
}

/// All points of these calls: each fails with each of its errors, each is one's last, and all processes' last.
fn points(calls: &tracer::Calls) -> Vec<Moment> {
    let mut points = Vec::new();
    for (process, calls) in calls.iter().enumerate() {
        for (call, name) in calls.iter().enumerate() {
            let fails = (0..faults::errors(*name).len()).map(Harm::Fail);
            points.extend(fails.chain([Harm::Kill, Harm::KillAll]).map(|harm| Moment { process, call, harm }));
        }
    }
    points
}

/// Calls whose errors were once overlooked: a right that was kept (prctl), a group that was not joined or removed (faccessat,
/// lsetxattr), a wait without an end (sendmsg, kill), a container that was killed too soon (ppoll), no word (mmap).
const KNOWN: [Sysno; 7] =
    [Sysno::prctl, Sysno::faccessat, Sysno::lsetxattr, Sysno::sendmsg, Sysno::kill, number::ppoll, number::mmap];

/// One of these in the middle of each process, with each of its errors.
fn known(calls: &tracer::Calls) -> Vec<Moment> {
    let mut points = Vec::new();
    for (process, calls) in calls.iter().enumerate() {
        for name in KNOWN {
            let places: Vec<usize> = (0..calls.len()).filter(|at| calls[*at] == name).collect();
            if let Some(&call) = places.get(places.len() / 2) {
                let fails = (0..faults::errors(name).len()).map(Harm::Fail);
                points.extend(fails.map(|harm| Moment { process, call, harm }));
            }
        }
    }
    points
}

/// Everything below a directory, by path.
fn files(top: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut todo = vec![top.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}

/// Whether a message has the name of an error of the kernel's: `mount on /x: EPERM (Operation not permitted)`.
fn names_an_error(text: &str) -> bool {
    text.split(": E").skip(1).any(|rest| {
        let name = rest.split(' ').next().unwrap_or_default();
        name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}
