//! What the manual says of the system calls that vial can make, and what vial does where one is missing.
//!
//! Sources: `syscalls(2)`, for `mount_setattr` its own page; `capabilities(7)`, for the newer calls about mounts `mount(2)`, as which
//! the kernel takes them. Tests compare with these pages.

use alloc::string::String;

use crate::base::phrase::Phrase;
use crate::base::text::Cut;

/// The Linux of each line, and the calls that came with it. Machines of 32 bits have some by other names, see `sys::number`.
const SINCE: Phrase = phrase!(
    "1.0 chdir chroot clone close execve fchdir fchmod fchown fcntl fstatfs fsync ftruncate getegid geteuid getpid getppid ioctl kill lseek mmap mount mprotect munmap ptrace read reboot setdomainname setgroups sethostname setsid statfs sync umask uname wait4 write\n\
     1.2 personality setfsgid setfsuid _llseek\n\
     2.0 bind connect flock getsockopt listen mremap nanosleep recvfrom recvmsg sendmsg sendto setsockopt shutdown socket socketpair\n\
     2.2 capget capset getcwd prctl pread64 rt_sigaction rt_sigprocmask sendfile setresgid setresuid umount2\n\
     2.4 getdents64 madvise pivot_root fchown32 fcntl64 ftruncate64 getegid32 geteuid32 mmap2 setfsgid32 setfsuid32 setgroups32 setresgid32 setresuid32\n\
     2.6 clock_gettime exit_group fgetxattr flistxattr fsetxattr lgetxattr llistxattr lsetxattr sched_getaffinity sched_setaffinity fstatfs64 sendfile64 statfs64\n\
     2.6.6 set_mempolicy\n\
     2.6.10 keyctl\n\
     2.6.13 inotify_add_watch ioprio_set\n\
     2.6.16 faccessat fchmodat fchownat linkat mkdirat mknodat openat ppoll readlinkat symlinkat unlinkat unshare\n\
     2.6.22 utimensat\n\
     2.6.27 dup3 eventfd2 inotify_init1 pipe2 signalfd4\n\
     2.6.28 accept4\n\
     2.6.31 perf_event_open\n\
     2.6.36 prlimit64\n\
     2.6.39 syncfs\n\
     3.0 setns\n\
     3.2 process_vm_readv\n\
     3.8 finit_module\n\
     3.14 sched_setattr\n\
     3.15 renameat2\n\
     3.17 getrandom memfd_create seccomp\n\
     3.18 bpf\n\
     4.11 statx\n\
     5.1 pidfd_send_signal clock_gettime64 clock_nanosleep_time64 ppoll_time64 utimensat_time64\n\
     5.2 fsconfig fsmount fsopen move_mount open_tree\n\
     5.3 clone3 pidfd_open\n\
     5.6 openat2\n\
     5.9 close_range\n\
     5.12 mount_setattr\n\
     5.13 landlock_add_rule landlock_create_ruleset landlock_restrict_self"
);

/// A capability, for which uses if not for all, and the calls that take it.
const TAKES: Phrase = phrase!(
    "SYS_ADMIN||fsmount fsopen mount mount_setattr move_mount open_tree pivot_root setdomainname sethostname setns umount2\n\
     SYS_ADMIN|to make the file system|fsconfig\n\
     SYS_ADMIN|for new namespaces, but those of users|clone clone3 unshare\n\
     SYS_ADMIN|unless no_new_privs is set|landlock_restrict_self seccomp\n\
     SYS_ADMIN|for attributes that are trusted. or security.|fsetxattr lsetxattr\n\
     SYS_ADMIN|to remove a subvolume of btrfs|ioctl\n\
     BPF|or CAP_SYS_ADMIN|bpf\n\
     PERFMON|or CAP_SYS_ADMIN|perf_event_open\n\
     SYS_CHROOT||chroot\n\
     MKNOD|for devices|mknodat\n\
     CHOWN||fchown fchownat\n\
     FOWNER|for the files of others|fchmod fchmodat utimensat\n\
     SETGID||setfsgid setgroups setresgid\n\
     SETUID||setfsuid setresuid\n\
     SETPCAP|to take capabilities from the bounding set|prctl\n\
     KILL|for processes of other users|kill pidfd_send_signal\n\
     NET_BIND_SERVICE|for ports below 1024|bind\n\
     NET_ADMIN|for interfaces, addresses and packet filters|sendto\n\
     NET_ADMIN|for packet filters|getsockopt\n\
     SYS_RESOURCE|to raise a hard limit|prlimit64\n\
     SYS_RESOURCE|for pipes above pipe-max-size|fcntl\n\
     SYS_PTRACE|for processes with other rights|process_vm_readv ptrace\n\
     SYS_NICE|for real time|ioprio_set sched_setattr\n\
     SYS_MODULE||finit_module\n\
     SYS_BOOT||reboot"
);

/// Calls, and what vial does where the kernel or a filter lacks them.
static WITHOUT: &[(Phrase, Phrase)] = &[
    (phrase!("openat2"), phrase!("paths are walked name by name")),
    (
        phrase!("clone3"),
        phrase!("clone makes the process, which is moved to its control group then; so it is before Linux 5.7"),
    ),
    (phrase!("close_range"), phrase!("files are closed one by one")),
    (phrase!("pidfd_open pidfd_send_signal"), phrase!("processes are known by number and start time")),
    (phrase!("open_tree move_mount fsopen fsconfig fsmount"), phrase!("mount(2) does it")),
    (
        phrase!("mount_setattr"),
        phrase!("mounts are made read-only one by one, and --userns copies the layers, whose owners can't be mapped"),
    ),
    (
        phrase!("pivot_root"),
        phrase!("a root that can't be pivoted, the initial RAM file system, has the new one moved over it, and chroot"),
    ),
    (phrase!("memfd_create"), phrase!("no exec, no vial oci")),
    (phrase!("seccomp"), phrase!("an error; --best-effort or --security-opt seccomp=unconfined does without")),
    (
        phrase!("landlock_create_ruleset landlock_add_rule landlock_restrict_self"),
        phrase!("--landlock is refused, or with --best-effort a warning; nothing else uses it"),
    ),
    (
        phrase!("bpf"),
        phrase!(
            "cgroup v2 can't keep devices from the container: an error, which --best-effort or --privileged avoids"
        ),
    ),
    (
        phrase!("perf_event_open"),
        phrase!("`vial audit` has the kernel ask about each call instead, and tells of no capabilities"),
    ),
    (phrase!("keyctl"), phrase!("nothing is lost: without it there are no keys to be kept from the container")),
    (phrase!("madvise"), phrase!("memory is found page by page, as before Linux 5.14; nothing else changes")),
    (phrase!("setgroups"), phrase!("an error; a normal user's container without newgidmap keeps the groups it has")),
    (
        phrase!("mknodat"),
        phrase!("in a user namespace, where nobody can make devices, the host's are mounted in their places"),
    ),
    (phrase!("fsetxattr lsetxattr"), phrase!("attributes that the file system can't have are left out and counted")),
    (phrase!("process_vm_readv"), phrase!("`vial audit` does not tell what was given by address")),
    (
        phrase!("ptrace"),
        phrase!("`vial why` can't follow a command; it tells what is known of containers all the same"),
    ),
    (phrase!("sched_setattr ioprio_set set_mempolicy personality"), phrase!("what asks for it is refused")),
    (phrase!("finit_module reboot sync"), phrase!("only `vial boot` needs it")),
];

/// The words behind the key of the line that names this call, and that key's other words before them.
fn line(table: Phrase, call: &str) -> Option<String> {
    let text = table.text();
    text.parts(b'\n').find(|line| line.words().skip(1).any(|word| word == call)).map(String::from)
}

/// Since which Linux there is this call.
pub(super) fn since(call: &str) -> String {
    line(SINCE, call).and_then(|line| line.words().next().map(String::from)).unwrap_or_default()
}

/// A call by the name that machines of 64 bits have for it.
pub(super) fn plain(call: &str) -> &str {
    match call {
        "_llseek" => "lseek",
        "mmap2" => "mmap",
        "clock_nanosleep_time64" => "nanosleep",
        "getdents64" | "pread64" | "prlimit64" => call,
        _ => ["_time64", "64", "32"].iter().find_map(|end| call.strip_suffix(end)).unwrap_or(call),
    }
}

/// The capability that a call takes, and for what if not always.
pub(super) fn takes(call: &str) -> &'static str {
    let table = TAKES.text();
    for line in table.parts(b'\n') {
        let Some((name, rest)) = line.cut(b'|') else { continue };
        let Some((uses, calls)) = rest.cut(b'|') else { continue };
        if calls.words().any(|word| word == plain(call)) {
            return if uses.is_empty() { join!("CAP_{}", name) } else { join!("CAP_{} ({})", name, uses) };
        }
    }
    "none"
}

/// What vial does without a call.
pub(super) fn without(call: &str) -> String {
    let found = WITHOUT.iter().find(|(calls, _)| calls.text().words().any(|word| word == plain(call)));
    found
        .map_or(
            phrase!("each kernel that vial works on has it; where it is refused all the same, what it was for fails"),
            |(_, does)| *does,
        )
        .text()
}
