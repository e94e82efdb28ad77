//! `process`: what runs, as whom, and with what rights.

use alloc::vec::Vec;

use super::{Affinity, IoPriority, Scheduler};
use crate::base::error::Error;
use crate::base::json::Value;
use crate::base::json::record::{read, record, write};

impl Process {
    /// Reads a `process` object alone, as `exec --process FILE` of the OCI command line has it.
    ///
    /// # Errors
    /// Names the member: `user.uid: expected an integer, found a string`.
    pub fn from_json(value: &Value) -> Result<Process, Error> {
        read(value)
    }

    /// The `process` object.
    #[must_use]
    pub fn to_json(&mut self) -> Value {
        write(self)
    }
}

record! {
    /// A process in the container.
    pub struct Process {
        /// Whether it gets a terminal.
        terminal: bool = Optional "terminal",
        /// The terminal's size.
        console_size: Option<ConsoleSize> = Optional "consoleSize",
        /// As whom it runs.
        user: User = Optional "user",
        /// The program and its arguments. `start` needs them.
        args: Vec<&'static str> = Optional "args",
        /// The environment: `NAME=value`.
        env: Vec<&'static str> = Optional "env",
        /// The working directory, absolute.
        cwd: &'static str = Required "cwd",
        /// The capabilities; without them it keeps those that it happens to have.
        capabilities: Option<Capabilities> = Optional "capabilities",
        /// The resource limits, each type at most once.
        rlimits: Vec<Rlimit> = Optional "rlimits",
        /// Whether set-user-ID programs and file capabilities lose their effect, see `PR_SET_NO_NEW_PRIVS(2const)`.
        no_new_privileges: bool = Optional "noNewPrivileges",
        /// `/proc/PID/oom_score_adj`, from -1000 to 1000.
        oom_score_adj: Option<i32> = Optional "oomScoreAdj",
        /// How the kernel gives it time.
        scheduler: Option<Scheduler> = Optional "scheduler",
        /// When its input and output are served.
        io_priority: Option<IoPriority> = Optional "ioPriority",
        /// On which processors a further process of the container may run.
        exec_cpu_affinity: Option<Affinity> = Optional "execCPUAffinity",
        /// The `AppArmor` profile.
        apparmor_profile: Option<&'static str> = Optional "apparmorProfile",
        /// The `SELinux` label.
        selinux_label: Option<&'static str> = Optional "selinuxLabel",
    }

    /// A terminal's size in characters.
    pub struct ConsoleSize {
        /// Rows.
        height: u64 = Required "height",
        /// Columns.
        width: u64 = Required "width",
    }

    /// A user in the container.
    pub struct User {
        /// The user ID inside.
        uid: u32 = Optional "uid",
        /// The group ID inside.
        gid: u32 = Optional "gid",
        /// The file mode creation mask; without it the process keeps the runtime's.
        umask: Option<u32> = Optional "umask",
        /// The supplementary groups inside.
        additional_gids: Vec<u32> = Optional "additionalGids",
    }

    /// The five capability sets of `capabilities(7)`, as names: `CAP_NET_BIND_SERVICE`.
    pub struct Capabilities {
        /// What can be gained at all.
        bounding: Vec<&'static str> = Optional "bounding",
        /// What is in force.
        effective: Vec<&'static str> = Optional "effective",
        /// What programs with inheritable file capabilities keep.
        inheritable: Vec<&'static str> = Optional "inheritable",
        /// What can be put in force.
        permitted: Vec<&'static str> = Optional "permitted",
        /// What programs without file capabilities keep.
        ambient: Vec<&'static str> = Optional "ambient",
    }

    /// A resource limit, see `setrlimit(2)`.
    pub struct Rlimit {
        /// `RLIMIT_NOFILE` and so on.
        kind: &'static str = Required "type",
        /// The limit in force; [`u64::MAX`] is none.
        soft: u64 = Required "soft",
        /// How far the process may raise it.
        hard: u64 = Required "hard",
    }
}
