//! Watching a workload: a process of vial's is told of each call before it is made, takes note of it, and lets it be made or fail as the
//! container's profile has it.
//!
//! The filter that tells is set last, just before execve(2), in the place of the profile's; so nothing that vial does itself is
//! noted. Where the kernel can count calls by itself (`count`), the process is told of few.

mod arguments;
mod constants;
mod count;
mod note;
mod programs;

use alloc::boxed::Box;
use alloc::vec::Vec;

use syscalls::Sysno;

use super::plan::{Action, Confinement, Step};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::watch::{self, Verdict, watched};
use crate::kernel::security::seccomp::{names, nothing_refused};
use crate::sys::fd::{Fd, FdRef};
use crate::sys::notify::{self, Call, Notice};
use crate::sys::poll::{self, Waiting};
use crate::sys::{because, ledger, net, process};
use arguments::ROWS;
use note::Notes;

pub use arguments::path_of;
pub use count::Counter;

/// What is to be taken note of.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the options of a command")]
pub struct Wish {
    /// What calls are made with, and not only which.
    pub arguments: bool,
    /// Which calls and how often alone: no files and no addresses.
    pub only_calls: bool,
    /// Whether the kernel counts, and this process is told only of what tells more than that.
    pub counts: bool,
    /// Whether vial stays as the container's first process.
    pub init: bool,
}

impl Wish {
    /// The calls that are told of; all without it.
    fn chosen(self) -> Option<Vec<u32>> {
        if !self.counts {
            return None;
        }
        let mut chosen = names::numbers("execve");
        for row in ROWS {
            if !self.only_calls && (self.arguments || row.is_use()) {
                for number in names::numbers(row.names()) {
                    // The kernel tells of what clone(2) is given.
                    if number != Sysno::clone as u32 && !chosen.contains(&number) {
                        chosen.push(number);
                    }
                }
            }
        }
        Some(chosen)
    }
}

/// The message that has the program of the profile which is watched.
const PROGRAM: u8 = b'P';
/// The message that a listener comes with.
const LISTENER: u8 = b'L';
/// The longest message: the kernel takes no longer programs.
const LONGEST: usize = 1 + 4096 * 8;

/// Arguments by which clone(2) makes a namespace that needs no rights: `CLONE_NEWUSER`.
const NAMESPACE: [u64; 6] = [0x1000_0000, 0, 0, 0, 0, 0];

/// A process that takes notes.
#[derive(Clone, Copy)]
pub struct Recorder<'a> {
    /// Where it listens.
    pub socket: FdRef<'a>,
    /// What it takes note of.
    pub wish: Wish,
}

/// The steps of a container whose calls a process is told of.
///
/// # Errors
/// The profile has a listener of its own; that process is gone.
pub fn watch(steps: &[Step], recorder: Recorder<'_>) -> Result<&'static [Step]> {
    let _why = because!("tell who takes note of the workload's calls which of them its profile refuses");
    let mut steps = Vec::from(steps);
    let mut found = false;
    for step in &mut steps {
        let Action::Confine(what) = step.action else { continue };
        let filter = what.filter.unwrap_or(nothing_refused());
        if watch::asks(&filter) {
            return Err(Error::new(phrase!(
                "the profile has a process outside decide about calls, which can't be watched too"
            )));
        }
        let words = filter.program.iter().flat_map(|word| word.to_le_bytes());
        net::send(recorder.socket, &[PROGRAM].into_iter().chain(words).collect::<Vec<u8>>(), None)?;
        let init_filter = Some(filter);
        let filter = Some(watched(filter, recorder.wish.chosen().as_deref()));
        step.action =
            Action::Confine(Box::leak(Box::new(Confinement { filter, init_filter, best_effort: false, ..*what })));
        found = true;
    }
    if found { Ok(steps.leak()) } else { Err(Error::new(phrase!("the container has nothing to watch its calls with"))) }
}

/// Hands a listener to the process that takes notes.
///
/// # Errors
/// It is gone.
pub fn hand_over(recorder: Recorder<'_>, listener: Option<Fd>) -> Result<()> {
    match listener {
        Some(listener) => net::send(recorder.socket, &[LISTENER], Some(listener.by_ref())),
        None => Ok(()),
    }
}

/// What the process that takes notes has in hand.
struct Desk {
    control: Fd,
    /// None once nobody sends any more.
    listeners: Vec<Fd>,
    program: Vec<u64>,
    notes: Notes,
    wish: Wish,
    /// Once the workload is executed.
    counter: Option<Counter>,
}

/// Takes notes until nobody is left to send listeners and none has calls; what was noted, as JSON.
///
/// # Errors
/// `seccomp_unotify(2)`, poll(2).
pub fn record(control: Fd, wish: Wish) -> Result<Vec<u8>> {
    let _why = because!("take note of the workload's calls");
    let notes = Notes::new(wish);
    let mut desk = Desk { control, listeners: Vec::new(), program: Vec::new(), notes, wish, counter: None };
    while desk.listen()? {
        ledger::relieve();
    }
    if let Some(counter) = &desk.counter {
        desk.notes.add(counter);
    }
    // Nobody looks at arguments then.
    let unseen = wish.only_calls && !wish.counts;
    let makes = Call { number: Sysno::clone as u32, architecture: NATIVE, arguments: NAMESPACE, ..Call::default() };
    let unseen = unseen && watch::verdict(&desk.program, &makes) == Verdict::Made;
    Ok(desk.notes.into_value(unseen).to_compact().as_bytes().to_vec())
}

/// Counts what a container does that runs, until it ends or this process is asked to; what was counted, as JSON.
///
/// # Errors
/// bpf(2), poll(2).
pub fn follow(pid: u32, wish: Wish) -> Result<Value> {
    let _why = because!("count the calls of a container that runs, until it ends or somebody ends this");
    let watched = super::run::watched_signals();
    poll::block_signals(watched)?;
    let signals = poll::signalfd(watched)?;
    let held = super::process::hold(pid, super::process::began(pid));
    let Some(held) = held else {
        return Err(Error::new(phrase!("the container has ended, or the kernel is older than Linux 5.3")));
    };
    let counter = Counter::start(pid, wish, true)?;
    poll::poll(&mut [Waiting::readable(held.by_ref()), Waiting::readable(signals.by_ref())])?;
    let mut notes = Notes::new(wish);
    notes.add(&counter);
    Ok(notes.into_value(true))
}

impl Desk {
    /// Waits for something and deals with it; whether there can be more.
    fn listen(&mut self) -> Result<bool> {
        let mut files: Vec<Waiting> =
            [&self.control].into_iter().chain(&self.listeners).map(|file| Waiting::readable(file.by_ref())).collect();
        poll::poll(&mut files)?;
        for (place, ready) in files[1..].iter().enumerate().rev() {
            if ready.has_ended() {
                drop(self.listeners.remove(place));
            } else if ready.is_ready() {
                self.take(place)?;
            }
        }
        if files[0].is_ready() && !self.hear()? {
            // What has been asked before is answered: nobody waits for ever.
            while self.listeners.iter().any(|listener| {
                let mut file = [Waiting::readable(listener.by_ref())];
                poll::poll_now(&mut file).is_ok() && file[0].is_ready() && !file[0].has_ended()
            }) {
                for place in 0..self.listeners.len() {
                    self.take(place)?;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes a message of vial's; false at the end.
    fn hear(&mut self) -> Result<bool> {
        let mut message = alloc::vec![0; LONGEST];
        let (length, file) = net::receive(self.control.by_ref(), &mut message)?;
        match message[..length].split_first() {
            None => return Ok(false),
            Some((&PROGRAM, bytes)) => {
                let words = bytes.as_chunks::<8>().0.iter();
                self.program = words.map(|word| u64::from_le_bytes(*word)).collect();
            }
            Some(_) => {
                if let Some(listener) = file {
                    notify::wake_in_turn(listener.by_ref());
                    self.listeners.push(listener);
                }
            }
        }
        Ok(true)
    }

    /// Takes a call from a listener and answers it.
    fn take(&mut self, place: usize) -> Result<()> {
        let listener = self.listeners[place].by_ref();
        let Some(Notice { id, thread, call, .. }) = notify::receive(listener)? else { return Ok(()) };
        if self.wish.counts && self.notes.becomes(thread, &call) {
            // It waits meanwhile.
            match &self.counter {
                None => self.counter = Some(Counter::start(thread, self.wish, false)?),
                Some(counter) => counter.clear(),
            }
        }
        let verdict = watch::verdict(&self.program, &call);
        self.notes.note(thread, &call, verdict != Verdict::Made);
        let refused = match verdict {
            Verdict::Made => None,
            Verdict::Fails(errno) => Some(errno),
            Verdict::Kills => {
                // It may be gone already.
                let _ = process::kill(thread, libc::SIGKILL);
                Some(Errno::EPERM)
            }
        };
        notify::answer(listener, id, refused).map_err(|error| {
            error.hint(phrase!("calls can be watched from Linux 5.5 on (SECCOMP_USER_NOTIF_FLAG_CONTINUE)"))
        })
    }
}
