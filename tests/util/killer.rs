//! Kills one of a command's processes, or all of them, at a call of one's choice: a tracer, ptrace(2), which lets them run from
//! call to call and counts.
//!
//! strace can do nearly that, but not tell the processes apart: each one that comes to the place is killed.
#![expect(unsafe_code, reason = "ptrace(2) and waitpid(2) are in no crate that the tests have")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use syscalls::Sysno;

use super::Scene;
use super::command::VIAL;

/// A moment: just before a process makes a call.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which process, in the order in which they are made; the command itself is 0.
    pub process: usize,
    /// Which of its calls.
    pub call: usize,
    /// Whether all of the processes are killed then.
    pub all: bool,
}

/// The calls of each of vial's processes.
pub type Calls = Vec<Vec<Sysno>>;

/// So long nothing may happen before what the command left behind is let go of.
const QUIET: Duration = Duration::from_millis(20);
/// More than any command takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command once; the moments in it: each of vial's processes alone, be it the command, a keeper, a monitor or a
/// container's first, before each of its calls, and then all of them together. With `VIAL_TEST_ALL=1` it is all of them, with
/// another number every so manieth, and else so many, with the place of the first among the others. Each comes with words for
/// who reads of a failure.
pub fn moments(scene: &Scene, words: &[&str], sample: usize, first: usize) -> Vec<(Moment, String)> {
    let calls = run(scene, words, None);
    let mut moments = Vec::new();
    for all in [false, true] {
        for (process, calls) in calls.iter().enumerate() {
            for (call, name) in calls.iter().enumerate() {
                let who = if all { "all".to_owned() } else { format!("process {process}") };
                let what = format!("{}: {who} killed before call {call} of process {process}, {name}", words.join(" "));
                moments.push((Moment { process, call, all }, what));
            }
        }
    }
    assert!(moments.len() > 40, "{calls:?}");
    let asked = std::env::var("VIAL_TEST_ALL").ok().and_then(|step| step.parse().ok());
    if asked.is_some() {
        println!("{} moments in {}", moments.len(), words.join(" "));
    }
    let step = asked.unwrap_or(moments.len().div_ceil(sample));
    moments.into_iter().skip(first % step).step_by(step).collect()
}

/// Runs vial with these words, and kills at that moment; what it writes goes to the file `out`. Returns when the command has
/// ended and what it left behind is waiting, as untraced as ever.
///
/// # Panics
/// When it does not end.
pub fn run(scene: &Scene, words: &[&str], moment: Option<Moment>) -> Calls {
    let mut command = Command::new(VIAL);
    // Its output goes to a file: the monitor's and the workload's is not to hold a pipe open.
    let out = File::create(scene.path("out")).expect("make a file");
    command.args(words).env("VIAL_ROOT", scene.root()).env("VIAL_NETWORK", "none").current_dir(scene.directory());
    command.stdin(Stdio::null()).stdout(out.try_clone().expect("dup")).stderr(out);
    // A tracer's end sets free what it traces, and a thread is a tracer.
    let traced = thread::spawn(move || Tracer::default().trace(command, moment)).join();
    traced.unwrap_or_else(|_| panic!("{} under the tracer, {moment:?}", words.join(" ")))
}

#[derive(Default)]
struct Tracer {
    /// The place of each process in `calls`.
    places: HashMap<i32, usize>,
    calls: Calls,
    /// Those that live and are vial's.
    alive: Vec<i32>,
}

/// A request without an answer.
fn ptrace(request: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: none of the requests made here reads or writes memory of this process. One that fails is for a process that was
    // killed meanwhile, whose end is reported like any other.
    unsafe { libc::ptrace(request, pid, 0usize, data) };
}

/// The next event of a process of this thread; nothing if there is none now.
fn next() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the status is a variable of this function.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG) };
    (pid > 0).then_some((pid, status))
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

impl Tracer {
    fn trace(mut self, mut command: Command, moment: Option<Moment>) -> Calls {
        let traced = || {
            ptrace(libc::PTRACE_TRACEME, 0, 0);
            Ok::<(), Error>(())
        };
        // SAFETY: between fork and exec it makes this one call.
        #[expect(clippy::zombie_processes, reason = "it is waited for with all that it makes")]
        let child = unsafe { command.pre_exec(traced) }.spawn().expect("start vial");
        let id = child.id() as i32;
        let (ends, mut ended, mut quiet) = (Instant::now() + LIMIT, false, Instant::now());
        loop {
            let Some((pid, status)) = next() else {
                // One that was just made begins with a stop, and would stay stopped without a tracer.
                if ended && quiet.elapsed() > QUIET {
                    return self.calls;
                }
                assert!(Instant::now() < ends, "it does not end");
                thread::sleep(Duration::from_micros(100));
                continue;
            };
            quiet = Instant::now();
            if !libc::WIFSTOPPED(status) {
                self.alive.retain(|known| *known != pid);
                ended |= pid == id;
                continue;
            }
            let signal = self.stopped(pid, status, moment);
            ptrace(libc::PTRACE_SYSCALL, pid, signal as usize);
        }
    }

    /// Looks at a process that has stopped; the signal with which it goes on.
    fn stopped(&mut self, pid: i32, status: i32, moment: Option<Moment>) -> i32 {
        let Some(&place) = self.places.get(&pid) else {
            self.places.insert(pid, self.calls.len());
            self.calls.push(Vec::new());
            self.alive.push(pid);
            let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC;
            let made = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK;
            ptrace(libc::PTRACE_SETOPTIONS, pid, (options | made) as usize);
            // The signal with which it was made to stop is none of its own.
            return 0;
        };
        match (libc::WSTOPSIG(status), status >> 16) {
            (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC) => {
                // Who executes another program is the workload.
                let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                let program = program.to_string_lossy();
                if !program.starts_with(VIAL) && !program.starts_with("/memfd:") {
                    self.alive.retain(|known| *known != pid);
                    ptrace(libc::PTRACE_DETACH, pid, 0);
                }
                0
            }
            (libc::SIGTRAP, _) => 0,
            (signal, _) if signal == libc::SIGTRAP | 0x80 => {
                let Some(call) = entered(pid) else { return 0 };
                let calls = &mut self.calls[place];
                calls.push(call);
                if let Some(moment) = moment
                    && (moment.process, moment.call) == (place, calls.len() - 1)
                {
                    let killed = if moment.all { self.alive.as_slice() } else { &[pid] };
                    for &pid in killed {
                        // SAFETY: no memory is involved; these are processes of this test, which have not been waited for.
                        unsafe { libc::kill(pid, libc::SIGKILL) };
                    }
                }
                0
            }
            (signal, _) => signal,
        }
    }
}
