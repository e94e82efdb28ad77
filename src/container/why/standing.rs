//! What a process of a workload is and may.

use alloc::string::String;

use super::super::usage::read_proc;
use crate::base::keep;
use crate::base::text::{Cut, decimal_u32, hexadecimal};
use crate::sys::fd::CWD;
use crate::sys::{Fd, file};

/// As `proc_pid_status(5)` has it; numbers of users and groups are those of vial's own user namespace.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) thread: u32,
    pub(super) name: &'static str,
    /// Its number as the innermost PID namespace has it.
    pub(super) inside: u32,
    /// The number of its first thread, as vial has it.
    pub(super) group: u32,
    /// Whose files it may use: the user, the group, and the further groups.
    pub(super) user: u32,
    pub(super) main_group: u32,
    groups: String,
    pub(super) effective: u64,
    pub(super) bounding: u64,
    /// Signals that it has handlers for.
    caught: u64,
    pub(super) no_new_privileges: bool,
    /// The lines of its user namespace's map.
    map: String,
}

impl Standing {
    pub(super) fn of(thread: u32) -> Standing {
        let pid = join!("{}", thread);
        let status = read_proc(pid, "status");
        let field = |name: &str| {
            status
                .parts(b'\n')
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
                .trim_ascii()
        };
        let last = |text: &str| text.words().last().and_then(decimal_u32).unwrap_or(0);
        let set = |name: &str| hexadecimal(field(name)).unwrap_or(0);
        Standing {
            thread,
            name: keep::copy(field("Name")),
            inside: last(field("NStgid")),
            group: last(field("Tgid")),
            user: last(field("Uid")),
            main_group: last(field("Gid")),
            groups: field("Groups").into(),
            effective: set("CapEff"),
            bounding: set("CapBnd"),
            caught: set("SigCgt"),
            no_new_privileges: field("NoNewPrivs") == "1",
            map: read_proc(pid, "uid_map"),
        }
    }

    /// Of a process that is gone: its name, and its number as the container saw it.
    pub(super) fn gone(thread: u32, (name, inside): (&'static str, u32)) -> Standing {
        Standing { thread, group: thread, name, inside, ..Standing::default() }
    }

    /// Whether it is the first of its namespace, and catches no such signal.
    pub(super) fn survives(&self, signal: i32) -> bool {
        self.inside == 1 && self.caught >> (signal - 1) & 1 == 0
    }

    /// Whether it is in a group, as vial has it.
    pub(super) fn is_in(&self, group: u32) -> bool {
        self.main_group == group || self.groups.words().any(|word| decimal_u32(word) == Some(group))
    }

    /// Whether its user namespace is another than the machine's.
    pub(super) fn is_mapped(&self) -> bool {
        !self.map.is_empty() && !self.map.words().eq(["0", "0", "4294967295"])
    }

    /// The number that it has for a user, or nothing where its namespace has none.
    pub(super) fn inside(&self, user: u32) -> Option<u32> {
        let own =
            |pid: &str| file::readlink(CWD, &file::owned_path(join!("/proc/{}/ns/user", pid).as_bytes()).ok()?).ok();
        if own("self") == own(join!("{}", self.thread)) {
            // This process sees the same numbers, and one for all that have none: proc(5), overflowuid.
            return (user != 65534).then_some(user);
        }
        self.map.parts(b'\n').find_map(|line| {
            let mut numbers = line.words().filter_map(decimal_u32);
            let (first, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
            (outside <= user && user - outside < count).then(|| first + (user - outside))
        })
    }

    /// Whether it has a capability in its own user namespace.
    pub(super) fn has(&self, capability: u8) -> bool {
        self.effective >> capability & 1 != 0
    }

    /// Its root directory.
    pub(super) fn root(&self) -> Option<Fd> {
        let root = file::owned_path(join!("/proc/{}/root", self.thread).as_bytes()).ok()?;
        file::open(CWD, &root, libc::O_PATH | libc::O_DIRECTORY).ok()
    }
}
