//! Runs commands call by call, ptrace(2), and does harm to one of their processes, or to all, at a call of one's choice: kills
//! it, or has the call fail.
//!
//! strace can do nearly that, but not tell the processes apart: each one that comes to the place is harmed.
#![expect(unsafe_code, reason = "ptrace(2) and waitpid(2) are in no crate that the tests have")]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Error;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use syscalls::Sysno;

use super::command::VIAL;
use super::faults;

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It is killed just before the call.
    Kill,
    /// All of the command's processes are.
    KillAll,
    /// The call is not made, and gives the error of this place among those of [`faults::errors`].
    Fail(usize),
}

/// A moment: just before a process makes a call.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which process, in the order in which they are made; the first command itself is 0.
    pub process: usize,
    /// Which of its calls.
    pub call: usize,
    /// What is done then.
    pub harm: Harm,
}

/// The calls of each of vial's processes.
pub type Calls = Vec<Vec<Sysno>>;

/// What commands did.
#[derive(Debug, Default)]
pub struct Traced {
    /// The calls of their processes.
    pub calls: Calls,
    /// How each of them ended.
    pub ends: Vec<ExitStatus>,
    /// The call at which harm was done, with the error that it gave; nothing if it did not come to that.
    pub struck: Option<(Sysno, Option<i32>)>,
    /// The process to which it was done.
    pub victim: i32,
    /// Whether they were killed because they did not end.
    pub hung: bool,
    /// Processes of vial's that ended by a signal which nobody sent.
    pub crashes: Vec<String>,
}

/// So long nothing may happen before what the commands left behind is let go of.
const QUIET: Duration = Duration::from_millis(20);
/// The same when all of that sleeps, and the harm is done.
const ASLEEP: Duration = Duration::from_millis(3);
/// So long one waits for what is to come true between two commands.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the commands, one after the other, and does that harm. Before each but the first `ready` comes true, or is given up.
/// Returns when they have ended and what they left behind is waiting, as untraced as ever; what does not end within `limit` is
/// killed.
///
/// # Panics
/// When they can't be traced.
pub fn trace(
    commands: Vec<Command>,
    moment: Option<Moment>,
    limit: Duration,
    ready: impl Fn(&[ExitStatus]) -> bool + Sync,
) -> Traced {
    // A tracer's end sets free what it traces, and a thread is a tracer.
    thread::scope(|scope| {
        let tracing = scope.spawn(|| {
            let (over, end) = mpsc::channel::<()>();
            let mut tracer = Tracer { moment, ..Tracer::default() };
            let (alive, hung) = (Arc::clone(&tracer.alive), Arc::clone(&tracer.hung));
            let watch = thread::spawn(move || {
                while end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    hung.store(true, Ordering::Relaxed);
                    kill(&alive.lock().expect("nobody panics with it"));
                }
            });
            tracer.run(commands, &ready, over);
            watch.join().expect("it does not panic");
            tracer.told.hung = tracer.hung.load(Ordering::Relaxed);
            tracer.told
        });
        tracing.join().unwrap_or_else(|_| panic!("the tracer failed at {moment:?}"))
    })
}

#[derive(Default)]
struct Tracer {
    moment: Option<Moment>,
    told: Traced,
    /// The place of each process in the list of calls.
    places: HashMap<i32, usize>,
    /// Those that have stopped for the first time.
    begun: HashSet<i32>,
    /// Those that live and are vial's.
    alive: Arc<Mutex<Vec<i32>>>,
    hung: Arc<AtomicBool>,
    /// The process whose call is about to fail, and how.
    failing: Option<(i32, i32)>,
}

/// Kills processes of this thread's, which have not been waited for.
fn kill(pids: &[i32]) {
    for &pid in pids {
        // SAFETY: no memory is involved.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// A request without an answer.
fn ptrace(request: libc::c_uint, pid: i32, address: usize, data: usize) {
    // SAFETY: none of the requests made here reads or writes memory of this process. One that fails is for a process that was
    // killed meanwhile, whose end is reported like any other.
    unsafe { libc::ptrace(request, pid, address, data) };
}

/// What is known of the processes of this thread.
enum Next {
    /// One has stopped or ended, with this status.
    Event(i32, i32),
    /// There are some, with nothing to tell of.
    Nothing,
    /// There is none.
    Nobody,
}

/// The next event of a process of this thread; waits for one if it is to.
fn next(wait: bool) -> Next {
    let mut status = 0;
    let options = libc::__WALL | libc::__WNOTHREAD | if wait { 0 } else { libc::WNOHANG };
    // SAFETY: the status is a variable of this function.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, options) };
    match pid {
        0 => Next::Nothing,
        1.. => Next::Event(pid, status),
        _ => Next::Nobody,
    }
}

/// The process that one has just made.
fn made(pid: i32) -> i32 {
    let mut made: libc::c_ulong = 0;
    // SAFETY: the kernel writes a word there.
    unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0usize, &raw mut made) };
    made as i32
}

/// The call that a process is about to make; nothing if it comes from one.
fn entered(pid: i32) -> Option<Sysno> {
    // SAFETY: all zeros are a value of this structure of numbers.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: the kernel writes no more than `size` bytes there.
    unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) };
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: an entry has this member.
    Sysno::new(unsafe { info.u.entry.nr } as usize)
}

/// Has the call that a process is about to make not be made.
#[cfg(target_arch = "x86_64")]
fn cancel(pid: i32) {
    ptrace(libc::PTRACE_POKEUSER, pid, 8 * libc::ORIG_RAX as usize, usize::MAX);
}

/// Has the call that a process comes from give this error.
#[cfg(target_arch = "x86_64")]
fn refuse(pid: i32, errno: i32) {
    ptrace(libc::PTRACE_POKEUSER, pid, 8 * libc::RAX as usize, -(errno as isize) as usize);
}

/// Reads or writes the word at the beginning of a set of registers.
#[cfg(target_arch = "aarch64")]
fn registers(request: libc::c_uint, pid: i32, set: usize, words: &mut [u64], bytes: usize) {
    let mut vector = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: bytes };
    // SAFETY: the kernel reads or writes no more than `bytes` of these words.
    unsafe { libc::ptrace(request, pid, set, &raw mut vector) };
}

/// Has the call that a process is about to make not be made.
#[cfg(target_arch = "aarch64")]
fn cancel(pid: i32) {
    /// `linux/elf.h`: the number of the call, four bytes.
    const NT_ARM_SYSTEM_CALL: usize = 0x404;
    registers(libc::PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &mut [u64::MAX], 4);
}

/// Has the call that a process comes from give this error.
#[cfg(target_arch = "aarch64")]
fn refuse(pid: i32, errno: i32) {
    /// `linux/elf.h`: 31 registers, of which the first has the result, and three more words.
    const NT_PRSTATUS: usize = 1;
    let mut words = [0; 34];
    registers(libc::PTRACE_GETREGSET, pid, NT_PRSTATUS, &mut words, 272);
    words[0] = -i64::from(errno) as u64;
    registers(libc::PTRACE_SETREGSET, pid, NT_PRSTATUS, &mut words, 272);
}

/// Has the call that a process is about to make not be made.
#[cfg(target_arch = "arm")]
fn cancel(pid: i32) {
    /// `PTRACE_SET_SYSCALL`, `asm/ptrace.h`.
    const SET_SYSCALL: libc::c_uint = 23;
    ptrace(SET_SYSCALL, pid, 0, usize::MAX);
}

/// Has the call that a process comes from give this error.
#[cfg(target_arch = "arm")]
fn refuse(pid: i32, errno: i32) {
    // The first register.
    ptrace(libc::PTRACE_POKEUSER, pid, 0, -(errno as isize) as usize);
}

/// Whether a process waits for something.
fn sleeps(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_name, rest)| rest.starts_with('S'))
}

/// Starts a command under this thread; its process.
fn start(mut command: Command) -> i32 {
    let traced = || {
        ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        Ok::<(), Error>(())
    };
    // SAFETY: between fork and exec it makes this one call.
    #[expect(clippy::zombie_processes, reason = "it is waited for with all that it makes")]
    let child = unsafe { command.pre_exec(traced) }.spawn().expect("start vial");
    child.id() as i32
}

impl Tracer {
    fn run(&mut self, commands: Vec<Command>, ready: &dyn Fn(&[ExitStatus]) -> bool, over: Sender<()>) {
        let mut commands = commands.into_iter();
        let mut current = commands.next().map(start);
        let (mut quiet, mut gives_up) = (Instant::now(), Instant::now());
        loop {
            let event = next(current.is_some());
            let Next::Event(pid, status) = event else {
                let waits = commands.len() > 0 && !ready(&self.told.ends) && Instant::now() < gives_up;
                if !waits && let Some(command) = commands.next() {
                    current = Some(start(command));
                    continue;
                }
                // One that was just made begins with a stop, and would stay stopped without a tracer.
                let alive = self.alive.lock().expect("nobody panics with it").clone();
                let begun = alive.iter().all(|pid| self.begun.contains(pid));
                let over_soon = self.moment.is_none() || self.told.struck.is_some();
                let is_quiet = || {
                    quiet.elapsed() > QUIET
                        || over_soon && quiet.elapsed() > ASLEEP && alive.iter().all(|pid| sleeps(*pid))
                };
                // One whose maker was killed before it could tell of it is not known yet.
                let is_over = if alive.is_empty() {
                    matches!(event, Next::Nobody) || self.hung.load(Ordering::Relaxed)
                } else {
                    begun && is_quiet()
                };
                if !waits && is_over {
                    drop(over);
                    return;
                }
                thread::sleep(Duration::from_micros(200));
                continue;
            };
            quiet = Instant::now();
            if libc::WIFSTOPPED(status) {
                let signal = self.stopped(pid, status);
                let request = if self.counts(pid) { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
                ptrace(request, pid, 0, signal as usize);
                continue;
            }
            self.ended(pid, status);
            if current == Some(pid) {
                self.told.ends.push(ExitStatus::from_raw(status));
                (current, gives_up) = (None, Instant::now() + PATIENCE);
            }
        }
    }

    /// Whether it matters which calls a process makes: all that are made count before any harm is done on purpose, and then those
    /// of the one to which it will be done.
    fn counts(&self, pid: i32) -> bool {
        let Some(moment) = self.moment else { return true };
        let is_victim = self.told.struck.is_none() && self.places.get(&pid) == Some(&moment.process);
        is_victim || self.failing.is_some_and(|(who, _)| who == pid)
    }

    fn ended(&mut self, pid: i32, status: i32) {
        self.alive.lock().expect("nobody panics with it").retain(|known| *known != pid);
        // One whose reader has failed ends by SIGPIPE.
        if libc::WIFSIGNALED(status) && ![libc::SIGKILL, libc::SIGPIPE].contains(&libc::WTERMSIG(status)) {
            self.told.crashes.push(format!("process {pid} ended by signal {}", libc::WTERMSIG(status)));
        }
    }

    /// The place of a process in the list of calls.
    fn place(&mut self, pid: i32) -> usize {
        *self.places.entry(pid).or_insert_with(|| {
            self.told.calls.push(Vec::new());
            self.alive.lock().expect("nobody panics with it").push(pid);
            self.told.calls.len() - 1
        })
    }

    /// Looks at a process that has stopped; the signal with which it goes on.
    fn stopped(&mut self, pid: i32, status: i32) -> i32 {
        let place = self.place(pid);
        if self.begun.insert(pid) {
            let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC;
            let made = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK;
            ptrace(libc::PTRACE_SETOPTIONS, pid, 0, (options | made) as usize);
            // The signal with which it was made to stop is none of its own.
            return 0;
        }
        match (libc::WSTOPSIG(status), status >> 16) {
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => {
                // Who executes another program is the workload.
                let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                let program = program.to_string_lossy();
                if !program.starts_with(VIAL) && !program.starts_with("/memfd:") {
                    self.alive.lock().expect("nobody panics with it").retain(|known| *known != pid);
                    ptrace(libc::PTRACE_DETACH, pid, 0, 0);
                }
                0
            }
            (libc::SIGTRAP, libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) => {
                // From now on it is known, also if this one is killed next.
                self.place(made(pid));
                0
            }
            (libc::SIGTRAP, _) => 0,
            (signal, _) if signal == libc::SIGTRAP | 0x80 => {
                match entered(pid) {
                    Some(call) => self.enters(pid, place, call),
                    None => {
                        if let Some((_, errno)) = self.failing.take_if(|(who, _)| *who == pid) {
                            refuse(pid, errno);
                        }
                    }
                }
                0
            }
            (signal, _) => signal,
        }
    }

    /// Counts a call, and does harm at the one that is meant.
    fn enters(&mut self, pid: i32, place: usize, call: Sysno) {
        let calls = &mut self.told.calls[place];
        calls.push(call);
        let here = |moment: &Moment| (moment.process, moment.call) == (place, calls.len() - 1);
        let Some(moment) = self.moment.filter(here) else { return };
        let mut errno = None;
        match moment.harm {
            Harm::Kill => kill(&[pid]),
            Harm::KillAll => kill(&self.alive.lock().expect("nobody panics with it")),
            Harm::Fail(which) => {
                let Some(&error) = faults::errors(call).get(which) else { return };
                self.failing = Some((pid, error));
                errno = Some(error);
                // Whatever close(2) says, the file is closed, on Linux.
                if call != Sysno::close {
                    cancel(pid);
                }
            }
        }
        (self.told.struck, self.told.victim) = (Some((call, errno)), pid);
    }
}
