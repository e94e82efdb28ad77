//! Why a workload fails: a process of vial's follows its calls, and says of each that was refused which line of defence refused it.
//!
//! It follows from outside, by ptrace(2), from the first program that is executed on: what vial does itself before is not seen, and
//! what the workload does is as it is without, but slower.

/// `finding!("line", "why {}" [about], "change {}" [with])`: a [`Finding`], whose literals are phrases.
macro_rules! finding {
    ($line:literal, $what:literal [$($about:expr),*], $change:literal [$($with:expr),*] $(,)?) => {{
        const {
            assert!($crate::base::say::fits($what, <[&str]>::len(&[$(stringify!($about)),*])));
            assert!($crate::base::say::fits($change, <[&str]>::len(&[$(stringify!($with)),*])));
        }
        let words: &[&str] = &[$(AsRef::<str>::as_ref(&$about),)* $(AsRef::<str>::as_ref(&$with)),*];
        let count = <[&str]>::len(&[$(stringify!($about)),*]);
        $crate::container::why::Finding::new([phrase!($line), phrase!($what), phrase!($change)], words, count)
    }};
}

mod calls;
mod ends;
mod judge;
mod paths;
mod programs;
mod refused;
mod standing;

use alloc::string::String;
use alloc::vec::Vec;

use syscalls::Sysno;

use super::bundle::read_json;
use super::confine;
use super::plan::Step;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::phrase::Phrase;
use crate::base::say::say;
use crate::base::sort::sort;
use crate::kernel::cgroup::Hits;
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::{names, nothing_refused};
use crate::sys::fd::{Fd, FdRef};
use crate::sys::notify::Call;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::Ended;
use crate::sys::trace::{self, Event, Stage};
use crate::sys::{because, ledger, net, process};

use standing::Standing;

/// The message that has the program of the container's filter.
const PROGRAM: u8 = b'P';
/// The message that comes with the container's directory, and says which process to follow.
const FOLLOW: u8 = b'F';
/// The longest message: the kernel takes no longer programs.
const LONGEST: usize = 1 + 4096 * 8;
/// How many different findings are kept, and how many refusals are judged: what is said of them stays until this process ends.
const MOST: usize = 1000;
const MOST_JUDGED: u32 = 5_000;

/// What a call was refused by, or a process ended by.
#[derive(Debug)]
pub struct Finding {
    /// The line of defence.
    pub line: Phrase,
    /// Why it said no.
    pub what: &'static str,
    /// What to change.
    pub change: &'static str,
}

impl Finding {
    /// Of a line and two templates, with what their braces stand for: so many words are the first one's.
    #[inline(never)]
    fn new([line, what, change]: [Phrase; 3], words: &[&str], count: usize) -> Finding {
        let (about, with) = words.split_at(count);
        Finding { line, what: say(what, about), change: say(change, with) }
    }
}

/// A call that was refused, or an end.
struct Noted {
    finding: Finding,
    call: &'static str,
    errno: Errno,
    /// The process by its name, its number as the container sees it, and as vial does.
    process: (&'static str, u32, u32),
    count: u64,
    /// How likely it is what the failure comes from.
    weight: u8,
}

/// It told somebody of it: what it did next was to write to standard error.
const TOLD: u8 = 1;
/// It ended with something else than 0.
const FAILED: u8 = 2;
/// It ended by it.
const ENDED: u8 = 4;

/// Hands a process that waits to be executed to the one that follows.
///
/// # Errors
/// It may not be followed.
pub fn begin(follower: FdRef<'_>, directory: FdRef<'_>, steps: &[Step], pid: u32) -> Result<()> {
    let _why = because!("have the process followed, so that what it is refused can be told");
    let filter = confine::wanted(steps).and_then(|what| what.filter).unwrap_or(nothing_refused());
    let words = filter.program.iter().flat_map(|word| word.to_le_bytes());
    net::send(follower, &[PROGRAM].into_iter().chain(words).collect::<Vec<u8>>(), None)?;
    net::send(follower, &[&[FOLLOW][..], &pid.to_le_bytes()].concat(), Some(directory))?;
    let mut answer = [0; 4 << 10];
    let (length, _) = net::receive(follower, &mut answer)?;
    match answer[..length].split_first() {
        Some((1, _)) => Ok(()),
        Some((_, wire)) if let Some(error) = Error::decode(wire) => Err(error.hint(phrase!(
            "another process follows it, or this machine lets nobody follow (kernel.yama.ptrace_scope)"
        ))),
        _ => Err(Error::new(phrase!("the process that follows the workload has ended"))),
    }
}

/// Signals that the kernel sends for what a thread has done.
const MISTAKES: [i32; 5] = [libc::SIGSYS, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// A thread that is followed.
struct Thread {
    id: u32,
    /// Whether its calls are looked at: not vial's own.
    calls: bool,
    call: Option<Call>,
    /// The one before, which may be what it is killed for.
    last: Option<Call>,
    /// Its name, and its number as the container sees it.
    who: (&'static str, u32),
    /// The refusal that it has not told of yet.
    refused: Option<usize>,
    /// Libraries that it has looked for, found at none of the places so far.
    missing: Vec<String>,
    /// What rights its program was to have by its file, and by what it does not.
    muted: Option<&'static str>,
}

/// What who follows has in hand.
struct Following {
    /// Numbers of the calls that open files, receive messages, make processes, and execute programs.
    opens: Vec<u32>,
    receives: Vec<u32>,
    forks: Vec<u32>,
    executes: Vec<u32>,
    threads: Vec<Thread>,
    executed: bool,
    program: Vec<u64>,
    config: Value,
    noted: Vec<Noted>,
    /// How many refusals were judged.
    judged: u32,
}

/// Follows what it is handed until nobody is left to hand anything over; what was found, as JSON.
///
/// # Errors
/// poll(2), signalfd(2).
pub fn follow(control: &Fd) -> Result<Vec<u8>> {
    let _why = because!("follow the workload's calls, to tell which are refused");
    poll::block_signals(poll::bit(libc::SIGCHLD))?;
    let signals = poll::signalfd(poll::bit(libc::SIGCHLD))?;
    let mut following = Following {
        opens: names::numbers("open openat openat2"),
        receives: names::numbers("recvmsg recvfrom"),
        forks: names::numbers("clone clone3 fork vfork"),
        executes: names::numbers("execve execveat"),
        threads: Vec::new(),
        executed: false,
        program: Vec::new(),
        config: Value::Null,
        noted: Vec::new(),
        judged: 0,
    };
    loop {
        let mut files = [Waiting::readable(control.by_ref()), Waiting::readable(signals.by_ref())];
        poll::poll(&mut files)?;
        if files[1].is_ready() {
            poll::next_signal(signals.by_ref())?;
        }
        while let Some((thread, event)) = trace::next() {
            following.take(thread, event);
            ledger::relieve();
        }
        if files[0].is_ready() && !following.hear(control.by_ref())? {
            return Ok(following.into_value().to_compact().as_bytes().to_vec());
        }
    }
}

impl Following {
    /// Takes a message; false at the end.
    fn hear(&mut self, control: FdRef<'_>) -> Result<bool> {
        let mut message = alloc::vec![0; LONGEST];
        let (length, file) = net::receive(control, &mut message)?;
        match (message[..length].split_first(), file) {
            (None, _) => return Ok(false),
            (Some((&PROGRAM, bytes)), _) => {
                let words = bytes.as_chunks::<8>().0.iter();
                self.program = words.map(|word| u64::from_le_bytes(*word)).collect();
            }
            (Some((_, &[a, b, c, d])), Some(directory)) => {
                let pid = u32::from_le_bytes([a, b, c, d]);
                let begun = read_json(directory.by_ref(), c"config.json").and_then(|config| {
                    self.config = config.unwrap_or_default();
                    trace::seize(pid)
                });
                let answer = match begun {
                    Ok(()) => Vec::from([1]),
                    Err(error) => [&[0][..], &error.encode()].concat(),
                };
                net::send(control, &answer, None)?;
            }
            _ => {}
        }
        Ok(true)
    }

    /// The place of a thread, which may be a new one.
    fn place(&mut self, id: u32) -> usize {
        self.threads.iter().position(|thread| thread.id == id).unwrap_or_else(|| {
            let calls = self.executed;
            self.threads.push(Thread {
                id,
                calls,
                call: None,
                last: None,
                who: ("", 0),
                refused: None,
                missing: Vec::new(),
                muted: None,
            });
            self.threads.len() - 1
        })
    }

    /// Takes what a thread came to, and lets it go on.
    fn take(&mut self, id: u32, event: Event) {
        let place = self.place(id);
        let mut signal = 0;
        match event {
            Event::Ended(ended) => {
                let thread = self.threads.swap_remove(place);
                return self.ended(&thread, ended);
            }
            Event::Stopped => return trace::leave(id),
            Event::Call => match trace::stage(id) {
                Some(Stage::Begins(call)) => self.begins(place, call),
                Some(Stage::Ends(value)) => self.ends(place, value),
                None => {}
            },
            Event::Executed => {
                self.executed = true;
                let thread = &mut self.threads[place];
                thread.calls = true;
                (thread.call, thread.missing) = (None, Vec::new());
                let standing = Standing::of(id);
                thread.who = (standing.name, standing.inside);
                thread.muted = programs::muted(id, &standing);
            }
            Event::Signal(number) => {
                signal = number;
                if number == libc::SIGSYS {
                    self.killed_by_filter(place);
                }
                // A container's first process would survive its own mistakes while somebody traces it (`force_sig_info_to_task` in
                // kernel/signal.c): it makes them again without.
                if MISTAKES.contains(&number) && Standing::of(id).survives(number) {
                    if number == libc::SIGSYS {
                        let _ = process::kill(id, libc::SIGKILL);
                    } else {
                        self.threads.swap_remove(place);
                        return trace::let_go(id);
                    }
                }
            }
            Event::Other => {}
        }
        trace::go_on(id, signal, self.threads[place].calls);
    }

    /// A call is about to be made.
    fn begins(&mut self, place: usize, call: Call) {
        let thread = &mut self.threads[place];
        thread.call = Some(call);
        let writes = call.number == Sysno::write as u32 || call.number == Sysno::writev as u32;
        if call.architecture == NATIVE
            && writes
            && call.arguments[0] == 2
            && let Some(refused) = thread.refused.take()
        {
            self.noted[refused].weight |= TOLD;
        }
    }

    /// A call has returned.
    fn ends(&mut self, place: usize, value: i64) {
        let Some(call) = self.threads[place].call.take() else { return };
        self.threads[place].last = Some(call);
        let id = self.threads[place].id;
        let errno = match value {
            -4095..=-1 => Errno(-value as i32),
            _ if Following::is_one_of(&self.receives, &call) && refused::by_netlink(id, &call, value) => Errno::EPERM,
            _ if Following::is_one_of(&self.opens, &call) => {
                programs::found(&mut self.threads[place].missing, id, &call);
                return self.opened(place, &call, Errno::NONE);
            }
            _ => return,
        };
        if programs::is_missing(&mut self.threads[place].missing, id, &call, errno) || !judge::matters(errno) {
            return;
        }
        // These come often, and mean nothing else of most calls.
        match errno {
            Errno::ENOENT if !Following::is_one_of(&self.executes, &call) => return self.opened(place, &call, errno),
            Errno::EAGAIN if !Following::is_one_of(&self.forks, &call) => return,
            _ => {}
        }
        self.judged += 1;
        if self.judged > MOST_JUDGED {
            return;
        }
        let standing = Standing::of(id);
        let case = judge::Case {
            thread: id,
            call,
            errno,
            program: &self.program,
            config: &self.config,
            standing: &standing,
            muted: self.threads[place].muted,
        };
        if let Some(finding) = judge::judge(&case) {
            let noted = self.note(finding, case.name(), errno, &standing, 0);
            self.threads[place].refused = noted;
        }
    }

    /// Whether a call is one of this processor's own with one of these numbers.
    fn is_one_of(numbers: &[u32], call: &Call) -> bool {
        call.architecture == NATIVE && numbers.contains(&call.number)
    }

    /// A file was opened that may be one that shows nothing, or looked for where nothing is shown.
    fn opened(&mut self, place: usize, call: &Call, errno: Errno) {
        let id = self.threads[place].id;
        if let Some(finding) = paths::hidden(&self.config, id, call) {
            let noted = self.note(finding, judge::name(call), errno, &Standing::of(id), 0);
            self.threads[place].refused = noted;
        }
    }

    /// Takes note of a finding; where.
    fn note(
        &mut self,
        finding: Finding,
        call: &'static str,
        errno: Errno,
        standing: &Standing,
        weight: u8,
    ) -> Option<usize> {
        let process = (standing.name, standing.inside, standing.group);
        let is = |noted: &Noted| {
            (noted.process, noted.call, noted.errno) == (process, call, errno)
                && (noted.finding.line, noted.finding.what) == (finding.line, finding.what)
        };
        if let Some(place) = self.noted.iter().position(is) {
            let mut noted = self.noted.remove(place);
            noted.count += 1;
            // The last one comes last.
            for thread in &mut self.threads {
                thread.refused = thread
                    .refused
                    .filter(|refused| *refused != place)
                    .map(|refused| refused - usize::from(refused > place));
            }
            self.noted.push(noted);
        } else if self.noted.len() < MOST {
            self.noted.push(Noted { finding, call, errno, process, count: 1, weight });
        } else {
            return None;
        }
        Some(self.noted.len() - 1)
    }

    /// A filter has killed a thread, or is about to.
    fn killed_by_filter(&mut self, place: usize) {
        let Some(call) = self.threads[place].last else { return };
        let id = self.threads[place].id;
        let standing = Standing::of(id);
        let finding = judge::by_filter(&call, &self.config, None);
        let name = judge::name(&call);
        self.note(finding, name, Errno::NONE, &standing, ENDED);
    }

    /// A thread has ended; the first of a process ends last.
    fn ended(&mut self, thread: &Thread, ended: Ended) {
        match ended {
            Ended::Exited(0) => {}
            Ended::Exited(code) => {
                for noted in &mut self.noted {
                    if noted.process.2 == thread.id {
                        noted.weight |= FAILED;
                    }
                }
                if code == 127
                    && let Some(finding) = programs::without_library(&thread.missing)
                {
                    self.note(finding, "", Errno::NONE, &Standing::gone(thread.id, thread.who), ENDED);
                }
            }
            Ended::Killed(signal) => {
                let signal = i32::from(signal);
                if signal == libc::SIGSYS
                    && let Some(call) = thread.last
                    && !self.noted.iter().any(|noted| noted.process.2 == thread.id && noted.weight & ENDED != 0)
                {
                    let finding = judge::by_filter(&call, &self.config, None);
                    self.note(finding, judge::name(&call), Errno::NONE, &Standing::gone(thread.id, thread.who), ENDED);
                }
            }
        }
    }

    /// What was found, the likeliest first.
    fn into_value(self) -> Value {
        let mut order: Vec<usize> = (0..self.noted.len()).collect();
        sort(&mut order, |one, other| {
            let weight = |place: usize| (self.noted[place].weight, place);
            weight(*one) > weight(*other)
        });
        // The first is, if any.
        let best = order.first().map_or(0, |first| self.noted[*first].weight);
        let least = (TOLD | FAILED).min(best).max(1);
        let values = order.into_iter().map(|place| value_of(&self.noted[place], least));
        Value::from(values.collect::<Vec<Value>>())
    }
}

/// What is known of a container without having followed it: by how it ended, and what its control group has counted.
#[must_use]
pub fn known(config: &Value, code: u32, oom_killed: bool, hits: Hits) -> Value {
    let mut found = ends::of(config, oom_killed, hits);
    if code == 128 + libc::SIGSYS as u32 {
        found.push(finding!(
            "seccomp", "it was killed for a call that its profile does not allow" [], "--again, which tells of the call" []
        ));
    }
    let noted = |finding| Noted { finding, call: "", errno: Errno::NONE, process: ("", 0, 0), count: 1, weight: ENDED };
    Value::from(found.into_iter().map(|finding| value_of(&noted(finding), 0)).collect::<Vec<Value>>())
}

/// A finding in the form that it is printed from; likely if it has this weight at least.
fn value_of(noted: &Noted, least: u8) -> Value {
    let mut value = Value::default();
    value.text("Line", noted.finding.line.kept());
    value.text("Why", noted.finding.what);
    value.text("Change", noted.finding.change);
    if !noted.call.is_empty() {
        value.text("Call", noted.call);
    }
    if let Some(name) = noted.errno.name() {
        value.text("Errno", name);
    }
    if !noted.process.0.is_empty() {
        value.text("Process", noted.process.0);
        value.set("Pid", u64::from(noted.process.1).into());
    }
    value.set("Count", noted.count.into());
    value.set("Likely", (noted.weight >= least).into());
    value
}
