//! Every system call that vial can make, what its arguments are, and what it is for.
//!
//! The ledger prints from this table and `vial syscalls` lists it. A call that is missing here can't be made: `call` and the
//! table use the same names, and a test compares the two.
#![expect(unsafe_code, reason = "shows strings and structures that calls were given")]

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};

use syscalls::Sysno;

use super::number::{self, named};
use super::uapi;
use crate::base::phrase::Phrase;
use crate::base::text::Cut;

mod names;

use names::Names;

/// Stands between the arguments in a record's text.
pub(super) const SEPARATOR: char = '\u{1f}';
/// Bytes of a string that are shown.
const SHOWN: usize = 120;

/// What an argument of a system call is.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// There is no further argument.
    None,
    /// A file descriptor, or `AT_FDCWD`.
    Fd,
    /// A path or another string that ends in a zero byte; null is shown as such.
    Str,
    /// Bytes given to the kernel; the next argument is their number.
    Bytes,
    /// A signed number.
    Int,
    /// A number shown in octal, as modes are.
    Octal,
    /// A number shown in hexadecimal.
    Hex,
    /// Memory that the kernel fills or reads; shown as `...`.
    Memory,
    /// Names for the set bits.
    Bits(Names),
    /// A name for the value.
    One(Names),
    /// A null-ended array of strings.
    Strings,
    /// `struct open_how`, openat2(2).
    OpenHow,
    /// `struct mount_attr`, `mount_setattr(2)`.
    MountAttr,
}

/// A row of the table as it lies in the binary: no pointers, so that a hundred rows stay small.
struct Row {
    number: u16,
    args: [Arg; 6],
}

/// A row of the table.
#[derive(Debug)]
pub struct CallInfo {
    /// The call's number on this architecture.
    pub number: usize,
    /// The kernel's name for it.
    pub name: &'static str,
    /// What vial uses it for.
    pub purpose: Phrase,
}

use Arg::{Bits, Bytes, Fd, Hex, Int, Memory, MountAttr, Octal, One, OpenHow, Str, Strings};

macro_rules! calls {
    ($($name:ident [$($arg:expr),*] $(or [$($other:expr),*])? $purpose:literal;)*) => {
        /// The table, by area.
        static ROWS: &[Row] = &[$(Row { number: number::$name as u16, args: args(&[$($arg),*], &[$($($other),*)?]) },)*];
        /// Their names.
        const NAMES: &str = concat!($(named!($name), " "),*);
        /// And their purposes.
        static PURPOSES: &[Phrase] = &[$(phrase!($purpose)),*];
    };
}

/// All arguments that a call can have, of which these are the first; others where machines of 32 bits have others.
const fn args(given: &[Arg], on_32_bits: &[Arg]) -> [Arg; 6] {
    let has_own = cfg!(target_pointer_width = "32") && !on_32_bits.is_empty();
    let given = if has_own { on_32_bits } else { given };
    let mut args = [Arg::None; 6];
    let (known, _) = args.split_at_mut(given.len());
    known.copy_from_slice(given);
    args
}

calls! {
    // Files.
    openat [Fd, Str, Bits(Names::Open), Octal] "open a file";
    openat2 [Fd, Str, OpenHow, Int] "open a path that must not lead out of a container's root";
    close [Fd] "close a file";
    read [Fd, Memory, Int] "read from a file, a pipe or a terminal";
    pread64 [Fd, Memory, Int, Int] or [Fd, Memory, Int, Int, Hex, Hex] "read a part of an archive that other processes read too";
    write [Fd, Bytes, Int] "write to a file, a pipe, a terminal or a control group's file";
    lseek [Fd, Int, Int] or [Fd, Hex, Hex, Memory, Int] "leave a hole in a sparse file, or find one";
    memfd_create [Str, Bits(Names::Memfd)] "make a file in memory, for a copy of vial";
    sendfile [Fd, Fd, Memory, Int] "copy a file inside the kernel";
    ftruncate [Fd, Int] or [Fd, Int, Hex, Hex] "give a file its size";
    fsync [Fd] "make sure that a file is on the disk";
    syncfs [Fd] "make sure that all of an image is on the disk";
    getdents64 [Fd, Memory, Int] "list a directory";
    statx [Fd, Str, Bits(Names::At), Hex, Memory] "look at a file's kind, owner, size and times";
    fstatfs [Fd, Memory] or [Fd, Int, Memory] "look at which file system a file is on";
    statfs [Str, Memory] or [Str, Int, Memory] "look at which file system a path is on";
    faccessat [Fd, Str, Int] "look whether a path exists or may be executed";
    mkdirat [Fd, Str, Octal] "make a directory";
    mknodat [Fd, Str, Octal, Hex] "make a device node or a FIFO";
    symlinkat [Str, Fd, Str] "make a symbolic link";
    linkat [Fd, Str, Fd, Str, Bits(Names::At)] "make a hard link";
    unlinkat [Fd, Str, Bits(Names::Unlink)] "remove a file or a directory";
    renameat2 [Fd, Str, Fd, Str, Int] "put something that is complete in its final place";
    readlinkat [Fd, Str, Memory, Int] "read a symbolic link";
    fchmod [Fd, Octal] "set a file's mode";
    fchmodat [Fd, Str, Octal] "set the mode of a path";
    fchown [Fd, Int, Int] "set a file's owner";
    fchownat [Fd, Str, Int, Int, Bits(Names::At)] "set the owner of a path";
    utimensat [Fd, Str, Memory, Bits(Names::At)] "set a file's times";
    fsetxattr [Fd, Str, Bytes, Int, Int] "set an extended attribute";
    lsetxattr [Str, Str, Bytes, Int, Int] "set an extended attribute of a symbolic link";
    flistxattr [Fd, Memory, Int] "list extended attributes";
    fgetxattr [Fd, Str, Memory, Int] "read an extended attribute";
    llistxattr [Str, Memory, Int] "list the extended attributes of a symbolic link";
    lgetxattr [Str, Str, Memory, Int] "read an extended attribute of a symbolic link";
    flock [Fd, Int] "lock a container or an image against other vial processes";
    inotify_init1 [Bits(Names::Open)] "be told of what changes in a container's directory";
    inotify_add_watch [Fd, Str, Bits(Names::Inotify)] "name the directory to be told about";
    umask [Octal] "set which mode bits new files lack";
    chdir [Str] "change the current directory";
    fchdir [Fd] "change the current directory to an open one";
    getcwd [Memory, Int] "find out the current directory";
    pipe2 [Memory, Bits(Names::Open)] "make a pipe";
    dup3 [Fd, Fd, Bits(Names::Open)] "put a file in another's place";
    fcntl [Fd, One(Names::Fcntl), Int] "change an open file's flags, or how much a pipe holds";
    close_range [Fd, Int, Bits(Names::CloseRange)] "keep inherited files from the workload";
    ioctl [Fd, One(Names::Ioctl), Memory] "control a terminal or a loop device, share a file's data, or watch a workload's calls";
    // Mounts.
    mount [Str, Str, Str, Bits(Names::Mount), Str] "mount a file system, or change a mount";
    umount2 [Str, Bits(Names::Umount)] "take a mount away";
    pivot_root [Str, Str] "make the container's root the root";
    chroot [Str] "change the root where pivot_root can't";
    open_tree [Fd, Str, Bits(Names::OpenTree)] "take a copy of a mount in hand";
    move_mount [Fd, Str, Fd, Str, Bits(Names::MoveMount)] "attach a mount that is in hand";
    fsopen [Str, Int] "begin to make a file system";
    fsconfig [Fd, One(Names::Fsconfig), Str, Str, Int] "set an option of a file system";
    fsmount [Fd, Int, Bits(Names::MountAttr)] "make a mount of a file system";
    mount_setattr [Fd, Str, Bits(Names::At), MountAttr, Int] "make mounts read-only or private, recursively";
    // Processes and namespaces.
    clone [Bits(Names::Clone), Hex, Memory, Hex, Hex] "make a process, in new namespaces";
    clone3 [Memory, Int] "make a process that begins in its control group";
    unshare [Bits(Names::Clone)] "move this process to new namespaces";
    setns [Fd, Bits(Names::Clone)] "move this process to another's namespace";
    execve [Str, Strings, Memory] "become the workload, or a monitor that needs little memory";
    exit_group [Int] "end this process";
    wait4 [Int, Memory, Int, Memory] "collect a process that has ended";
    process_vm_readv [Int, Memory, Int, Memory, Int, Int] "see what a workload that is watched was calling with";
    ptrace [Hex, Int, Hex, Hex] "see what a workload that failed was refused (`vial why`)";
    kill [Int, One(Names::Signal)] "send a signal to a process";
    pidfd_open [Int, Int] "hold on to a process";
    pidfd_send_signal [Fd, One(Names::Signal), Memory, Int] "send a signal to exactly this process";
    getpid [] "find out this process's ID";
    getppid [] "see whether the parent is still there";
    geteuid [] "find out which user runs vial";
    setfsuid [Int] "own the files of a user namespace's root";
    setfsgid [Int] "own the files of a user namespace's root";
    getegid [] "find out which group runs vial";
    setsid [] "start a session of its own";
    prctl [One(Names::Prctl), Hex, Hex, Hex, Hex] "change a property of this process";
    sched_getaffinity [Int, Int, Memory] "find out how many processors there are";
    sched_setaffinity [Int, Int, Memory] "keep a further process of a container on some processors";
    sched_setattr [Int, Memory, Hex] "set how the workload is given time";
    ioprio_set [Int, Int, Hex] "set when the workload's input and output are served";
    set_mempolicy [Hex, Memory, Int] "set from which nodes the workload's memory is";
    personality [Hex] "have the workload see another kind of machine";
    prlimit64 [Int, One(Names::Rlimit), Memory, Memory] "set a resource limit";
    sethostname [Bytes, Int] "set the container's host name";
    setdomainname [Bytes, Int] "set the container's domain name";
    uname [Memory] "find out the kernel's version";
    getrandom [Memory, Int, Int] "get random bytes for an ID";
    finit_module [Fd, Str, Int] "load a module, where vial is the machine's first process";
    sync [] "write all to the disks before the machine ends";
    reboot [Hex, Hex, Hex, Int] "end the machine, where vial is its first process";
    clock_gettime [Int, Memory] "find out the time";
    nanosleep [Memory, Memory] or [Int, Int, Memory, Memory] "wait a moment";
    // Rights.
    capset [Memory, Memory] "give up capabilities";
    capget [Memory, Memory] "find out this process's capabilities";
    setgroups [Int, Memory] "set the supplementary groups";
    setresgid [Int, Int, Int] "become the workload's group";
    setresuid [Int, Int, Int] "become the workload's user";
    seccomp [Int, Hex, Memory] "give up system calls";
    landlock_create_ruleset [Memory, Int, Hex] "make rules about files";
    landlock_add_rule [Fd, Int, Memory, Hex] "let files below a path be used";
    landlock_restrict_self [Fd, Hex] "give up all other files";
    keyctl [Int, Hex] "keep the host's keys from the container";
    bpf [Int, Memory, Int] "load and attach the device filter of cgroup v2, or count a workload's calls";
    perf_event_open [Memory, Int, Int, Int, Int] "be told of capabilities that a workload uses";
    // Signals and waiting.
    rt_sigaction [One(Names::Signal), Memory, Memory, Int] "have a signal do what it does by default";
    rt_sigprocmask [Int, Memory, Memory, Int] "block signals, to read them as a file instead";
    signalfd4 [Fd, Memory, Int, Bits(Names::Open)] "read signals as a file";
    eventfd2 [Int, Bits(Names::Open)] "be told when a container's memory runs out";
    ppoll [Memory, Int, Memory, Memory, Int] "wait for one of several files";
    // Sockets.
    socket [One(Names::Family), Int, Int] "open a netlink or a local socket, or one of the Internet's";
    socketpair [One(Names::Family), Int, Int, Memory] "make the channel between vial and the container's first process";
    bind [Fd, Memory, Int] "give a socket its place in a container's directory, or its address and port";
    listen [Fd, Int] "let others connect to the monitor, a name server or a published port";
    accept4 [Fd, Memory, Memory, Bits(Names::Open)] "take a connection";
    connect [Fd, Memory, Int] "connect to a container, its monitor, a registry or a name server";
    sendmsg [Fd, Memory, Int] "send a message, perhaps with an open file";
    recvmsg [Fd, Memory, Int] "receive a message, perhaps with an open file";
    getsockopt [Fd, Int, Int, Memory, Memory] "read the policies of older packet filters";
    setsockopt [Fd, Int, Int, Memory, Int] "say how a netlink socket answers, or who shares an address and a port";
    shutdown [Fd, Int] "pass on that a connection has ended in one direction";
    sendto [Fd, Memory, Int, Int, Memory, Int] "send a netlink message or a datagram";
    recvfrom [Fd, Memory, Int, Int, Memory, Memory] "receive a netlink message or a datagram";
    // Memory.
    mmap [Hex, Int, Hex, Hex, Int, Int] "get memory";
    munmap [Hex, Int] "give memory back";
    mprotect [Hex, Int, Hex] "make code of what was unpacked";
    madvise [Hex, Int, Int] "have all of this memory at once";
    mremap [Hex, Int, Int, Int] "make a block of memory longer";
}

/// The table: every call that vial can make.
pub fn calls() -> impl Iterator<Item = CallInfo> {
    let named = ROWS.iter().zip(NAMES.parts(b' '));
    named.zip(PURPOSES).map(|((row, name), &purpose)| CallInfo { number: row.number.into(), name, purpose })
}

/// The kernel's name for a call.
pub(super) fn name(number: usize) -> &'static str {
    calls().find(|call| call.number == number).map_or("?", |call| call.name)
}

/// Text in a fixed room; what does not fit is left out.
pub(super) struct Text {
    bytes: [u8; 640],
    length: usize,
}

impl Text {
    pub(super) fn new() -> Text {
        Text { bytes: [0; 640], length: 0 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.length;
        let mut fits = text.len().min(room);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.bytes[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

/// Writes the arguments of a call as text.
pub(super) fn describe(number: Sysno, args: &[usize; 6], out: &mut Text) {
    let Some(row) = ROWS.iter().find(|row| usize::from(row.number) == number as usize) else { return };
    let next = args.iter().skip(1).chain(&[0]);
    for (at, ((kind, &value), &next)) in row.args.iter().zip(args).zip(next).enumerate() {
        if matches!(kind, Arg::None) {
            return;
        }
        if at > 0 {
            let _ = out.write_char(SEPARATOR);
        }
        let _ = argument(*kind, value, next, out);
    }
}

fn argument(kind: Arg, value: usize, next: usize, out: &mut Text) -> fmt::Result {
    match kind {
        Arg::None => Ok(()),
        Fd if value as i32 == libc::AT_FDCWD => out.write_str("AT_FDCWD"),
        Fd | Int => write!(out, "{}", value as isize),
        Octal => write!(out, "{value:#o}"),
        Hex => write!(out, "{value:#x}"),
        Str | Bytes | Memory | Strings | OpenHow | MountAttr if value == 0 => out.write_str("NULL"),
        // SAFETY: the call is about to be made with this string, so its caller upholds that it ends in a zero byte.
        Str => quoted(unsafe { CStr::from_ptr(value as *const c_char) }.to_bytes(), out),
        // SAFETY: likewise, with the number of bytes that the call is given.
        Bytes => quoted(unsafe { core::slice::from_raw_parts(value as *const u8, next) }, out),
        Memory => out.write_str("..."),
        Bits(names) => bits(names, value, out),
        One(names) => match names.table().find(|&(number, _)| number == value) {
            Some((_, name)) => out.write_str(name),
            None => write!(out, "{value}"),
        },
        Strings => strings(value as *const *const c_char, out),
        OpenHow => {
            // SAFETY: the caller of openat2 passes a valid structure.
            let how = unsafe { &*(value as *const uapi::OpenHow) };
            bits(Names::Open, how.flags as usize, out)?;
            out.write_char(' ')?;
            bits(Names::Resolve, how.resolve as usize, out)
        }
        MountAttr => {
            // SAFETY: the caller of mount_setattr passes a valid structure.
            let attr = unsafe { &*(value as *const uapi::MountAttr) };
            bits(Names::MountAttr, attr.attr_set as usize, out)?;
            if attr.propagation != 0 {
                out.write_char(' ')?;
                bits(Names::Mount, attr.propagation as usize, out)?;
            }
            Ok(())
        }
    }
}

fn bits(names: Names, value: usize, out: &mut Text) -> fmt::Result {
    let mut rest = value;
    let mut first = true;
    for (bit, name) in names.table() {
        if bit != 0 && rest & bit == bit {
            if !first {
                out.write_char('|')?;
            }
            out.write_str(name)?;
            rest &= !bit;
            first = false;
        }
    }
    match (rest, first) {
        (0, false) => Ok(()),
        (0, true) => out.write_char('0'),
        (_, true) => write!(out, "{rest:#x}"),
        (_, false) => write!(out, "|{rest:#x}"),
    }
}

fn quoted(bytes: &[u8], out: &mut Text) -> fmt::Result {
    out.write_char('"')?;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => out.write_str("\\n")?,
                '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => write!(out, "\\x{:02x}", character as u32)?,
                _ => out.write_char(character)?,
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_str(if shown.len() < bytes.len() { "\"..." } else { "\"" })
}

fn strings(mut array: *const *const c_char, out: &mut Text) -> fmt::Result {
    out.write_char('[')?;
    for at in 0.. {
        // SAFETY: the caller of execve passes an array that ends in a null pointer.
        let string = unsafe { array.read() };
        if string.is_null() {
            break;
        }
        if at > 0 {
            out.write_str(", ")?;
        }
        // SAFETY: its elements end in a zero byte.
        quoted(unsafe { CStr::from_ptr(string) }.to_bytes(), out)?;
        array = array.wrapping_add(1);
    }
    out.write_char(']')
}
