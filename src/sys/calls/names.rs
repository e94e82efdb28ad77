//! Names for the flags and constants that arguments are made of.

use crate::base::text::Cut;
use crate::sys::uapi;

/// Turns the rows into [`Names`]: the values in one array and the names in one string, which is a third of what an array of
/// pairs would take.
macro_rules! names {
    ($($(#[$doc:meta])* $table:ident $from:path: $($name:ident)*;)*) => {
        /// A table of values and their names.
        #[derive(Clone, Copy, Debug)]
        pub enum Names { $($(#[$doc])* $table,)* }

        impl Names {
            /// The values, and the names in the same order with a space behind each.
            fn lists(self) -> (&'static [u32], &'static str) {
                match self {
                    $(Names::$table => {
                        use $from as source;
                        (&[$(source::$name as u32),*], concat!($(stringify!($name), " "),*))
                    })*
                }
            }
        }
    };
}

impl Names {
    /// The values with their names.
    pub(super) fn table(self) -> impl Iterator<Item = (usize, &'static str)> {
        let (values, names) = self.lists();
        values.iter().map(|&value| value as usize).zip(names.parts(b' '))
    }
}

names! {
    /// Of open(2).
    Open libc: O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_DIRECTORY O_NOFOLLOW O_CLOEXEC
        O_PATH;
    /// Of linkat(2), statx(2) and their like.
    At libc: AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_EMPTY_PATH AT_NO_AUTOMOUNT AT_RECURSIVE;
    /// Of unlinkat(2).
    Unlink libc: AT_REMOVEDIR;
    /// Of openat2(2).
    Resolve libc: RESOLVE_IN_ROOT RESOLVE_BENEATH RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_NO_XDEV;
    /// Of fcntl(2).
    Fcntl libc: F_GETFL F_SETFL F_GETFD F_SETFD F_GETLK F_SETLK F_SETLKW F_DUPFD_CLOEXEC F_ADD_SEALS;
    /// Of `memfd_create(2)`.
    Memfd libc: MFD_CLOEXEC MFD_ALLOW_SEALING MFD_EXEC;
    /// Of inotify(7).
    Inotify libc: IN_MODIFY IN_CLOSE_WRITE IN_MOVED_TO IN_DELETE;
    /// Of `close_range(2)`.
    CloseRange libc: CLOSE_RANGE_CLOEXEC CLOSE_RANGE_UNSHARE;
    /// Of ioctl(2).
    Ioctl uapi::ioctl: TIOCGWINSZ TIOCSWINSZ TIOCSCTTY TIOCGPTPEER TIOCGPTN TIOCSPTLCK TCGETS TCSETS FICLONE SIOCSIFFLAGS NS_GET_PARENT
        LOOP_CTL_GET_FREE LOOP_CONFIGURE LOOP_SET_FD LOOP_SET_STATUS64 BTRFS_IOC_SNAP_CREATE BTRFS_IOC_SUBVOL_CREATE
        BTRFS_IOC_SNAP_DESTROY SECCOMP_IOCTL_NOTIF_RECV SECCOMP_IOCTL_NOTIF_SEND SECCOMP_IOCTL_NOTIF_SET_FLAGS PERF_EVENT_IOC_SET_BPF PERF_EVENT_IOC_ENABLE;
    /// Of mount(2).
    Mount libc: MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOATIME
        MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED MS_RELATIME
        MS_STRICTATIME;
    /// Of umount2(2).
    Umount libc: MNT_DETACH MNT_FORCE;
    /// Of `open_tree(2)`.
    OpenTree uapi: OPEN_TREE_CLONE OPEN_TREE_CLOEXEC AT_RECURSIVE AT_EMPTY_PATH AT_NO_AUTOMOUNT;
    /// Of `move_mount(2)`.
    MoveMount uapi: MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_EMPTY_PATH;
    /// Of `fsconfig(2)`.
    Fsconfig uapi: FSCONFIG_SET_FLAG FSCONFIG_SET_STRING FSCONFIG_SET_FD FSCONFIG_CMD_CREATE;
    /// Of `mount_setattr(2)`.
    MountAttr uapi: MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOATIME
        MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME MOUNT_ATTR_NOSYMFOLLOW MOUNT_ATTR_IDMAP;
    /// Of clone(2).
    Clone libc: SIGCHLD CLONE_NEWNS CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWPID CLONE_NEWNET CLONE_NEWCGROUP
        CLONE_NEWUSER CLONE_PIDFD CLONE_VM CLONE_VFORK;
    /// Of signal(7).
    Signal libc: SIGHUP SIGINT SIGQUIT SIGKILL SIGUSR1 SIGUSR2 SIGTERM SIGCONT SIGSTOP SIGWINCH;
    /// Of prctl(2).
    Prctl libc: PR_SET_PDEATHSIG PR_SET_DUMPABLE PR_SET_NO_NEW_PRIVS PR_CAPBSET_DROP PR_SET_KEEPCAPS PR_CAP_AMBIENT
        PR_SET_NAME PR_CAPBSET_READ PR_SET_CHILD_SUBREAPER;
    /// Of getrlimit(2).
    Rlimit libc: RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC
        RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE
        RLIMIT_RTPRIO RLIMIT_RTTIME;
    /// Of socket(2).
    Family libc: AF_UNIX AF_NETLINK AF_INET AF_INET6;
}
