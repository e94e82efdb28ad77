//! What calls are made with: the arguments that tell what a workload is up to.
//!
//! # Source
//! syscalls(2) and the pages of the calls that are listed; `linux/audit.h`.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::constants::{clone_flags, family_name, option, request, socket_type};
use crate::base::address;
use crate::base::errno::Errno;
use crate::base::text::{IPV4, clean_path};
use crate::kernel::security::filter::NATIVE;
use crate::kernel::security::seccomp::names;
use crate::sys::fd::{CWD, Fd};
use crate::sys::file;
use crate::sys::notify::{Call, read_memory};

/// The longest path, with its end.
const PATH: usize = 4096;

/// What an argument tells; uses of files are bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Use {
    /// A file is read.
    Read = 1,
    /// It, or the directory that it is in, is changed.
    Written = 2,
    /// It is executed.
    Executed = 4,
    /// It was looked for and is not there.
    Missing = 8,
    /// An address that is taken.
    Bound = 16,
    /// An address that is connected to.
    Connected = 32,
    /// Something else.
    Argument = 64,
}

/// What the arguments of a call are.
#[derive(Clone, Copy)]
enum Kind {
    /// A path and, behind it, flags of open(2).
    Open,
    /// A path and a `struct open_how`.
    OpenHow,
    /// A path of what is changed.
    Change,
    /// A path of a program.
    Execute,
    /// A family and a type of sockets.
    Socket,
    /// The address of a socket that is connected.
    Connect,
    /// And of one that is bound.
    Bind,
    /// A request of ioctl(2).
    Request,
    /// Flags of clone(2), or at the begin of a structure.
    Clone,
    CloneStructure,
    /// An option of prctl(2).
    Option,
}

/// Names of calls, what their arguments are, which one is the directory that a path begins at (none: the current one), and which one is
/// the first that tells something.
pub(super) struct Row(&'static str, Kind, Option<u8>, u8);

/// Later rows are for further paths of the same calls.
pub(super) const ROWS: &[Row] = &[
    Row("open", Kind::Open, None, 0),
    Row("openat", Kind::Open, Some(0), 1),
    Row("openat2", Kind::OpenHow, Some(0), 1),
    Row("execve", Kind::Execute, None, 0),
    Row("execveat", Kind::Execute, Some(0), 1),
    Row(
        "creat mkdir rmdir unlink chmod chown chown32 lchown lchown32 truncate truncate64 mknod utime utimes setxattr lsetxattr \
         removexattr lremovexattr rename link",
        Kind::Change,
        None,
        0,
    ),
    Row("rename link symlink", Kind::Change, None, 1),
    Row(
        "mkdirat unlinkat mknodat fchmodat fchmodat2 fchownat utimensat utimensat_time64 futimesat renameat renameat2 linkat",
        Kind::Change,
        Some(0),
        1,
    ),
    Row("renameat renameat2 linkat", Kind::Change, Some(2), 3),
    Row("symlinkat", Kind::Change, Some(1), 2),
    Row("socket socketpair", Kind::Socket, None, 0),
    Row("connect", Kind::Connect, None, 1),
    Row("bind", Kind::Bind, None, 1),
    Row("ioctl", Kind::Request, None, 1),
    Row("clone unshare", Kind::Clone, None, 0),
    Row("setns", Kind::Clone, None, 1),
    Row("clone3", Kind::CloneStructure, None, 0),
    Row("prctl", Kind::Option, None, 0),
];

impl Row {
    /// The names of its calls.
    pub(super) fn names(&self) -> &'static str {
        self.0
    }

    /// Whether they use files or addresses.
    pub(super) fn is_use(&self) -> bool {
        matches!(self.1, Kind::Open | Kind::OpenHow | Kind::Change | Kind::Execute | Kind::Connect | Kind::Bind)
    }
}

/// Reads arguments of this processor's own calls.
pub(super) struct Arguments {
    /// For each number of a call, its rows.
    rows: Vec<(u32, usize)>,
    /// The container's root, once it has executed something.
    root: Option<Fd>,
}

impl Arguments {
    pub(super) fn new() -> Arguments {
        let mut rows = Vec::new();
        for (place, row) in ROWS.iter().enumerate() {
            rows.extend(names::numbers(row.0).into_iter().map(|number| (number, place)));
        }
        Arguments { rows, root: None }
    }

    /// What a call tells.
    pub(super) fn read(&mut self, thread: u32, call: &Call) -> Vec<(Use, Cow<'static, str>)> {
        let mut told = Vec::new();
        if call.architecture != NATIVE {
            return told;
        }
        for index in 0..self.rows.len() {
            let (number, place) = self.rows[index];
            if number == call.number {
                told.extend(self.read_row(thread, call, &ROWS[place]));
            }
        }
        told
    }

    fn read_row(&mut self, thread: u32, call: &Call, row: &Row) -> Option<(Use, Cow<'static, str>)> {
        let &Row(_, kind, directory, first) = row;
        let argument = |index: u8| call.arguments.get(usize::from(index)).copied().unwrap_or(0);
        let value = argument(first);
        let next = argument(first + 1);
        let text = |text: String| (Use::Argument, Cow::Owned(text));
        Some(match kind {
            Kind::Open | Kind::OpenHow | Kind::Change | Kind::Execute => {
                let path = path_of(thread, directory.map(argument), value)?;
                let how = match kind {
                    Kind::Open => next as i32,
                    Kind::OpenHow => word(thread, next)? as i32,
                    _ => 0,
                };
                let writes = how & libc::O_ACCMODE != libc::O_RDONLY || how & (libc::O_CREAT | libc::O_TRUNC) != 0;
                let what = match kind {
                    Kind::Execute if self.is_missing(thread, &path) => Use::Missing,
                    Kind::Execute => Use::Executed,
                    Kind::Change => Use::Written,
                    _ if how & libc::O_CREAT == 0 && self.is_missing(thread, &path) => Use::Missing,
                    _ if writes => Use::Written,
                    _ => Use::Read,
                };
                (what, Cow::Owned(path))
            }
            Kind::Connect | Kind::Bind => {
                let what = if matches!(kind, Kind::Bind) { Use::Bound } else { Use::Connected };
                (what, Cow::Owned(socket_address(thread, value, next)?))
            }
            Kind::Socket => {
                let kind = next & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
                text(alloc::format!("{} {}", family_name(value), socket_type(kind)))
            }
            Kind::Request => text(request(value & 0xffff_ffff)),
            Kind::Clone => text(clone_flags(value & 0xffff_ffff)),
            Kind::CloneStructure => text(clone_flags(word(thread, value)?)),
            Kind::Option => text(option(value & 0xffff_ffff)),
        })
    }

    /// Whether the container's root has no such file. Where nobody can tell, or each process sees others, it is there.
    fn is_missing(&mut self, thread: u32, path: &str) -> bool {
        if path.starts_with("/proc/") || path.starts_with("/dev/") {
            return false;
        }
        if self.root.is_none() {
            let root = file::owned_path(alloc::format!("/proc/{thread}/root").as_bytes());
            self.root = root.and_then(|root| file::open(CWD, &root, libc::O_PATH)).ok();
        }
        let (Some(root), Ok(path)) = (&self.root, file::owned_path(path.as_bytes())) else { return false };
        let found = file::openat2(root.by_ref(), &path, libc::O_PATH, libc::RESOLVE_IN_ROOT);
        found.is_err_and(|error| error.is(Errno::ENOENT) || error.is(Errno::ENOTDIR))
    }
}

/// A path as the container has it, from where a process has it in memory.
#[must_use]
pub fn path_of(thread: u32, directory: Option<u64>, address: u64) -> Option<String> {
    let mut bytes = alloc::vec![0; PATH];
    let end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0);
    // Most are short, and what is behind them need not be there.
    let mut count = read_memory(thread, address, &mut bytes[..256]);
    if end(&bytes[..count]).is_none() {
        count = read_memory(thread, address, &mut bytes);
    }
    bytes.truncate(end(&bytes[..count])?);
    let path = String::from_utf8_lossy(&bytes);
    if path.starts_with('/') {
        return clean_path(&path).or_else(|| Some(path.into_owned()));
    }
    let from = match directory.map(|number| number as i32) {
        Some(number) if number != libc::AT_FDCWD => alloc::format!("/proc/{thread}/fd/{number}"),
        _ => alloc::format!("/proc/{thread}/cwd"),
    };
    let from = file::readlink(CWD, &file::owned_path(from.as_bytes()).ok()?).ok()?;
    let from = String::from_utf8_lossy(from.to_bytes());
    if path.is_empty() {
        return Some(from.into_owned());
    }
    let whole = alloc::format!("{from}/{path}");
    clean_path(&whole).or(Some(whole))
}

/// The first 8 bytes of a structure.
fn word(thread: u32, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (read_memory(thread, address, &mut bytes) == bytes.len()).then(|| u64::from_le_bytes(bytes))
}

/// A socket's address: of the Internet, or one that only this machine knows.
fn socket_address(thread: u32, at: u64, length: u64) -> Option<String> {
    let mut bytes = [0; 128];
    let room = bytes.get_mut(..length as usize)?;
    let count = read_memory(thread, at, room);
    let (family, rest) = room[..count].split_first_chunk::<2>()?;
    let port = || rest.first_chunk::<2>().map_or(0, |port| u16::from_be_bytes(*port));
    Some(match i32::from(u16::from_le_bytes(*family)) {
        libc::AF_INET => {
            let mut whole = [0; 16];
            whole[..12].copy_from_slice(&IPV4);
            whole[12..].copy_from_slice(rest.get(2..6)?);
            alloc::format!("{}:{}", address::text(&whole), port())
        }
        libc::AF_INET6 => alloc::format!("[{}]:{}", address::text(rest.get(6..)?.first_chunk()?), port()),
        libc::AF_UNIX => {
            // An abstract name begins with a zero byte, and has no end of its own, unix(7).
            let name = match rest {
                [0, name @ ..] => alloc::format!("@{}", String::from_utf8_lossy(name)),
                name => String::from_utf8_lossy(name.split(|byte| *byte == 0).next()?).into_owned(),
            };
            alloc::format!("unix:{name}")
        }
        number => family_name(number as u64),
    })
}
