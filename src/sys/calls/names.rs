//! Names for the flags and constants that arguments are made of.

use crate::sys::uapi;

/// A table of values and their names.
type Names = &'static [(usize, &'static str)];

macro_rules! names {
    ($from:path: $($name:ident),* $(,)?) => {{ use $from as source; &[$((source::$name as u32 as usize, stringify!($name))),*] }};
}

pub(super) const OPEN: Names = names![libc: O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND, O_NONBLOCK,
    O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_PATH];
pub(super) const AT: Names =
    names![libc: AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE];
pub(super) const UNLINK: Names = names![libc: AT_REMOVEDIR];
pub(super) const RESOLVE: Names = names![libc: RESOLVE_IN_ROOT, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV];
pub(super) const FCNTL: Names = names![libc: F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC, F_SETPIPE_SZ];
pub(super) const CLOSE_RANGE: Names = names![libc: CLOSE_RANGE_CLOEXEC, CLOSE_RANGE_UNSHARE];
pub(super) const IOCTL: Names = names![libc: TIOCGWINSZ, TIOCSWINSZ, TIOCSCTTY, TIOCGPTPEER, TIOCGPTN, TIOCSPTLCK, TCGETS,
    TCSETS, FICLONE, SIOCSIFFLAGS];
pub(super) const MOUNT: Names = names![libc: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT,
    MS_MANDLOCK, MS_DIRSYNC, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_UNBINDABLE, MS_PRIVATE,
    MS_SLAVE, MS_SHARED, MS_RELATIME, MS_STRICTATIME];
pub(super) const UMOUNT: Names = names![libc: MNT_DETACH, MNT_FORCE];
pub(super) const OPEN_TREE: Names =
    names![uapi: OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_RECURSIVE, AT_EMPTY_PATH, AT_NO_AUTOMOUNT];
pub(super) const MOVE_MOUNT: Names = names![uapi: MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH];
pub(super) const FSCONFIG: Names =
    names![uapi: FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE];
pub(super) const MOUNT_ATTR: Names = names![uapi: MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOATIME];
pub(super) const CLONE: Names = names![libc: SIGCHLD, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET,
    CLONE_NEWCGROUP, CLONE_NEWUSER, CLONE_PIDFD, CLONE_VM, CLONE_VFORK];
pub(super) const SIGNAL: Names = names![libc: SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, SIGUSR2, SIGTERM, SIGCONT, SIGSTOP,
    SIGWINCH];
pub(super) const PRCTL: Names = names![libc: PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP,
    PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_SET_NAME, PR_CAPBSET_READ, PR_SET_CHILD_SUBREAPER];
pub(super) const RLIMIT: Names = &[
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];
pub(super) const FAMILY: Names = names![libc: AF_UNIX, AF_NETLINK, AF_INET];
