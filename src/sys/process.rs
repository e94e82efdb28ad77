//! Processes and namespaces: cloning, executing, waiting, signals to others, names, limits, clocks.
#![expect(unsafe_code, reason = "wraps system calls")]

use core::ffi::{CStr, c_char};
use core::ptr;

use super::call::{enter, outcome, sys};
use super::fd::{Fd, FdRef};
use super::file::{fail, fail_on};
use super::ledger::{self, Role};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::time::Timestamp;

/// Which side of a clone this is.
#[derive(Debug)]
pub enum Side {
    /// The process that cloned: the child's ID as this process sees it.
    Parent(u32),
    /// The new process.
    Child,
}

/// Makes a process that goes on from here with a copy of this one's memory, in new namespaces as `flags` (`CLONE_NEW*`) say.
///
/// # Errors
/// clone(2).
pub fn clone(flags: i32, role: Role) -> Result<Side> {
    let process = ledger::new_process(role);
    // With a null stack and no shared memory this is fork(2) with namespaces. The order of the further arguments differs
    // between architectures, but all are zero.
    // SAFETY: no memory is shared, so the child may do anything.
    let pid = unsafe { sys!(clone, flags | libc::SIGCHLD, 0, 0, 0, 0) }
        .map_err(|errno| fail_on(errno, phrase!("clone"), "a process in new namespaces"))?;
    if pid == 0 {
        ledger::became(process);
        return Ok(Side::Child);
    }
    ledger::cloned(process, pid as u32);
    Ok(Side::Parent(pid as u32))
}

/// `struct clone_args` up to and with the control group (Linux 5.7), clone3(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// As [`clone`], and the child begins its life in the v2 control group whose directory is open (Linux 5.7).
///
/// # Errors
/// clone3(2): `ENOSYS`, `E2BIG` or `EINVAL` on older kernels, `EPERM` or `ENOSYS` where it is filtered.
pub fn clone_into(group: FdRef<'_>, flags: i32, role: Role) -> Result<Side> {
    /// `CLONE_INTO_CGROUP` (`linux/sched.h`).
    const INTO_CGROUP: u64 = 1 << 33;
    let args = CloneArgs {
        flags: flags as u32 as u64 | INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: group.number() as u64,
        ..CloneArgs::default()
    };
    let process = ledger::new_process(role);
    // SAFETY: the arguments are readable; no memory is shared, so the child may do anything.
    let pid = unsafe { sys!(clone3, &raw const args, size_of::<CloneArgs>()) }
        .map_err(|errno| fail_on(errno, phrase!("clone"), "a process in its control group"))?;
    if pid == 0 {
        ledger::became(process);
        return Ok(Side::Child);
    }
    ledger::cloned(process, pid as u32);
    Ok(Side::Parent(pid as u32))
}

/// Moves this process to new namespaces.
///
/// # Errors
/// unshare(2).
pub fn unshare(flags: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(unshare, flags) }.map(drop).map_err(|errno| fail_on(errno, phrase!("unshare"), "namespaces"))
}

/// Moves this process (for a PID namespace: its children to come) to a namespace that is open.
///
/// # Errors
/// setns(2).
pub fn setns(namespace: FdRef<'_>, kind: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(setns, namespace.number(), kind) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("setns"), "to a namespace"))
}

/// The namespace that a user or PID namespace was made in.
///
/// # Errors
/// `ioctl_ns(2)`: `EPERM` if this process is not in or above it.
pub fn parent_namespace(namespace: FdRef<'_>) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(ioctl, namespace.number(), super::uapi::ioctl::NS_GET_PARENT) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("find what holds"), "a namespace"))
}

/// A null-ended array of strings, as execve(2) takes them.
pub struct Strings<'a> {
    pointers: alloc::vec::Vec<*const c_char>,
    strings: core::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Gathers the strings.
    #[must_use]
    pub fn new(strings: &[&'a CStr]) -> Strings<'a> {
        let mut pointers = alloc::vec::Vec::with_capacity(strings.len() + 1);
        for string in strings {
            pointers.push(string.as_ptr());
        }
        pointers.push(ptr::null());
        Strings { pointers, strings: core::marker::PhantomData }
    }
}

/// Executes a program in this process; returns only if that fails.
#[must_use]
pub fn execve(program: &CStr, args: &Strings<'_>, env: &Strings<'_>) -> Errno {
    // SAFETY: the arrays end in a null pointer and their strings are alive.
    match unsafe { sys!(execve, program.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) } {
        Err(errno) => errno,
        Ok(_) => Errno::NONE,
    }
}

/// Executes a program that goes on as this process, and keeps its ledger too; returns only if that fails, and then the ledger is
/// wrong in its last line.
#[must_use]
pub fn go_on_as(program: &CStr, args: &[&CStr], env: &[&CStr]) -> Error {
    let (args, env) = (Strings::new(args), Strings::new(env));
    let words = [program.as_ptr() as usize, args.pointers.as_ptr() as usize, env.pointers.as_ptr() as usize, 0, 0, 0];
    ledger::print_replaced(&words);
    let register = enter(syscalls::Sysno::execve as usize, &words);
    fail(outcome(register).err().unwrap_or(Errno::NONE), phrase!("execute"), program)
}

/// Ends this process, after the ledger has been printed.
pub fn exit(code: u8) -> ! {
    ledger::print_last(code as i32);
    loop {
        enter(syscalls::Sysno::exit_group as usize, &[code as usize, 0, 0, 0, 0, 0]);
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(u8),
    /// Killed by this signal.
    Killed(u8),
}

impl Ended {
    /// wait(2): the low 7 bits are the signal, the next byte the exit code.
    #[must_use]
    pub fn of(status: i32) -> Ended {
        match (status & 0x7f) as u8 {
            0 => Ended::Exited((status >> 8) as u8),
            signal => Ended::Killed(signal),
        }
    }

    /// The exit code that a shell would show: 128 + n for signal n.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Ended::Exited(code) => code,
            Ended::Killed(signal) => 128 + signal,
        }
    }
}

/// What wait4(2) tells.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// The process.
    pub pid: u32,
    /// How it ended.
    pub ended: Ended,
}

/// Collects a child (`None`: any) that has ended; with `block` waits for one. `None` when there is none yet.
///
/// # Errors
/// wait4(2): `ECHILD` when there are no children.
pub fn wait(pid: Option<u32>, block: bool) -> Result<Option<Waited>> {
    let mut status = 0i32;
    let options = if block { 0 } else { libc::WNOHANG };
    let which = pid.map_or(-1, |pid| pid as isize);
    loop {
        // SAFETY: `status` is writable; no usage is asked for.
        match unsafe { sys!(wait4, which, &raw mut status, options, 0) } {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(fail_on(errno, phrase!("wait for"), "a process")),
            Ok(0) => return Ok(None),
            Ok(pid) => {
                return Ok(Some(Waited { pid: pid as u32, ended: Ended::of(status) }));
            }
        }
    }
}

/// Sends a signal to a process; only to own children, whose IDs can't be reused before they are collected.
///
/// # Errors
/// kill(2).
pub fn kill(pid: u32, signal: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(kill, pid, signal) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("send a signal to process"), pid))
}

/// Holds on to a process (Linux 5.3).
///
/// # Errors
/// `pidfd_open(2)`.
pub fn pidfd_open(pid: u32) -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(pidfd_open, pid, 0) }
        .map(Fd::from_kernel)
        .map_err(|errno| fail_on(errno, phrase!("hold on to process"), pid))
}

/// Sends a signal to the process held.
///
/// # Errors
/// `pidfd_send_signal(2)`.
pub fn pidfd_send_signal(process: FdRef<'_>, signal: i32) -> Result<()> {
    // SAFETY: no extra information is given.
    unsafe { sys!(pidfd_send_signal, process.number(), signal, 0, 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("send signal"), signal))
}

/// `struct pidfd_info` in its first form, `linux/pidfd.h`.
#[repr(C)]
#[derive(Default)]
struct PidInfo {
    mask: u64,
    control_group: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// How a process that is held, and that has been collected by its parent, ended; `None` if the kernel does not tell (before
/// Linux 6.15, or the parent has not collected it yet).
#[must_use]
pub fn end_of(process: FdRef<'_>) -> Option<Ended> {
    /// `PIDFD_GET_INFO`, `_IOWR(0xff, 11, struct pidfd_info)` with 64 bytes.
    const GET_INFO: u32 = 0xc040_ff0b;
    /// `PIDFD_INFO_EXIT`.
    const EXIT: u64 = 1 << 3;
    let mut info = PidInfo { mask: EXIT, ..PidInfo::default() };
    // SAFETY: `info` has the kernel's layout and the size that is encoded in the request.
    unsafe { sys!(ioctl, process.number(), GET_INFO, &raw mut info) }.ok()?;
    (info.mask & EXIT != 0).then(|| Ended::of(info.exit_code))
}

/// This process's ID.
#[must_use]
pub fn getpid() -> u32 {
    // SAFETY: no memory is involved; getpid(2) does not fail.
    unsafe { sys!(getpid) }.unwrap_or(0) as u32
}

/// The parent's ID; 0 when it is outside this PID namespace.
#[must_use]
pub fn getppid() -> u32 {
    // SAFETY: no memory is involved; getppid(2) does not fail.
    unsafe { sys!(getppid) }.unwrap_or(0) as u32
}

/// The effective user.
#[must_use]
pub fn geteuid() -> u32 {
    // SAFETY: no memory is involved; geteuid(2) does not fail.
    unsafe { sys!(geteuid) }.unwrap_or(u32::MAX as usize) as u32
}

/// The effective group.
#[must_use]
pub fn getegid() -> u32 {
    // SAFETY: no memory is involved; getegid(2) does not fail.
    unsafe { sys!(getegid) }.unwrap_or(u32::MAX as usize) as u32
}

/// Starts a session without a controlling terminal.
///
/// # Errors
/// setsid(2).
pub fn setsid() -> Result<()> {
    // SAFETY: no memory is involved.
    unsafe { sys!(setsid) }.map(drop).map_err(|errno| fail_on(errno, phrase!("start a session"), ""))
}

/// Has this process killed by `signal` when its parent ends.
///
/// # Errors
/// prctl(2).
pub fn prctl_die_with_parent(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as usize, phrase!("tie to the parent's life"))
}

/// Keeps other processes from tracing this one or reading its `/proc` entries until it executes a program.
///
/// # Errors
/// prctl(2).
pub fn prctl_not_dumpable() -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0, phrase!("close to tracing"))
}

/// Has set-user-ID programs and file capabilities ignored from now on.
///
/// # Errors
/// prctl(2).
pub fn prctl_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, phrase!("set no_new_privs"))
}

/// Keeps permitted capabilities over the change of user.
///
/// # Errors
/// prctl(2).
pub fn prctl_keep_capabilities() -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1, phrase!("keep capabilities over the change of user"))
}

/// Makes the children of this process's children its own when their parents end; or no longer.
///
/// # Errors
/// prctl(2).
pub fn prctl_adopt(adopt: bool) -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, usize::from(adopt), phrase!("adopt processes"))
}

/// Sets the name that `ps` shows.
///
/// # Errors
/// prctl(2).
pub fn prctl_name(name: &'static CStr) -> Result<()> {
    prctl(libc::PR_SET_NAME, name.as_ptr() as usize, phrase!("set the name of the process"))
}

fn prctl(option: i32, value: usize, operation: Phrase) -> Result<()> {
    // SAFETY: the options used here take numbers, or a string that is valid.
    unsafe { sys!(prctl, option, value, 0, 0, 0) }.map(drop).map_err(|errno| fail_on(errno, operation, ""))
}

/// Sets a resource limit of this process; `u64::MAX` is no limit.
///
/// # Errors
/// setrlimit(2); `EPERM` when a hard limit would be raised without `CAP_SYS_RESOURCE`.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    // SAFETY: `limit` has the layout of `struct rlimit64`.
    unsafe { sys!(prlimit64, 0, resource, limit.as_ptr(), 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set a resource limit"), ""))
}

/// A resource limit of this process: soft and hard.
///
/// # Errors
/// getrlimit(2).
pub fn get_rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    // SAFETY: `limit` has the layout of `struct rlimit64`.
    unsafe { sys!(prlimit64, 0, resource, 0, limit.as_mut_ptr()) }
        .map_err(|errno| fail_on(errno, phrase!("read a resource limit"), ""))?;
    Ok((limit[0], limit[1]))
}

/// Sets the host name of this UTS namespace.
///
/// # Errors
/// sethostname(2).
pub fn sethostname(name: &str) -> Result<()> {
    // SAFETY: the bytes are readable.
    unsafe { sys!(sethostname, name.as_ptr(), name.len()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the host name to"), name))
}

/// Sets the domain name of this UTS namespace.
///
/// # Errors
/// setdomainname(2).
pub fn setdomainname(name: &str) -> Result<()> {
    // SAFETY: the bytes are readable.
    unsafe { sys!(setdomainname, name.as_ptr(), name.len()) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("set the domain name to"), name))
}

/// The kernel's names: system, host, release, version, machine, domain.
///
/// # Errors
/// uname(2).
pub fn uname() -> Result<[&'static str; 6]> {
    // `struct new_utsname`: six fields of 65 bytes.
    let mut fields = [[0u8; 65]; 6];
    // SAFETY: the buffer has the kernel's layout.
    unsafe { sys!(uname, fields.as_mut_ptr()) }.map_err(|errno| fail_on(errno, phrase!("uname"), ""))?;
    Ok(fields.map(|field| match CStr::from_bytes_until_nul(&field) {
        Ok(text) => keep::copy(&text.to_string_lossy()),
        Err(_) => "",
    }))
}

/// Fills a buffer with random bytes.
///
/// # Errors
/// getrandom(2).
pub fn random(buffer: &mut [u8]) -> Result<()> {
    // Up to 256 bytes come in one piece, random(4).
    // SAFETY: the buffer is writable.
    unsafe { sys!(getrandom, buffer.as_mut_ptr(), buffer.len(), 0) }
        .map(drop)
        .map_err(|errno| fail_on(errno, phrase!("get random bytes"), ""))
}

/// A clock's time.
#[must_use]
pub fn clock(clock: i32) -> Timestamp {
    let mut now = [0i64; 2];
    // SAFETY: `now` has the layout of a `struct __kernel_timespec`.
    let _ = unsafe { sys!(clock_gettime, clock, now.as_mut_ptr()) };
    Timestamp { secs: now[0], nanos: now[1] as u32 }
}

/// Waits.
pub fn sleep(milliseconds: u32) {
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000].map(i64::from);
    #[cfg(target_pointer_width = "64")]
    // SAFETY: `time` has the layout of a `struct __kernel_timespec`.
    let _ = unsafe { sys!(nanosleep, time.as_ptr(), 0) };
    #[cfg(target_pointer_width = "32")]
    // SAFETY: `time` has the layout of a `struct __kernel_timespec`.
    let _ = unsafe { sys!(nanosleep, libc::CLOCK_MONOTONIC, 0, time.as_ptr(), 0) };
}

/// How many processors this process may use; 1 if the kernel does not tell.
#[must_use]
pub fn processors() -> u32 {
    let mut mask = [0usize; 128];
    // SAFETY: the mask is writable.
    match unsafe { sys!(sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) } {
        Ok(_) => mask.iter().map(|word| word.count_ones()).sum::<u32>().max(1),
        Err(_) => 1,
    }
}

/// Opens one of a process's namespaces (`net`, `pid`, ...).
///
/// # Errors
/// open(2).
pub fn open_namespace(pid: u32, name: &str) -> Result<Fd> {
    let path = super::file::path(join!("/proc/{}/ns/{}", pid, name))?;
    super::file::open(super::fd::CWD, path, libc::O_RDONLY)
        .map_err(|error| fail(error.errno(), phrase!("open namespace"), path))
}
