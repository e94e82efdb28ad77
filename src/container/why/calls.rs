//! Which capability a call takes, where it takes one, and which of its arguments is a path.
//!
//! # Source
//! capabilities(7), and the pages of the calls.

use super::super::audit::path_of;
use crate::base::text::{Cut, is_among};
use crate::kernel::security::caps;
use crate::sys::notify::{Call, read_memory};

/// Names of calls, which one of their arguments is the directory that a path begins at (none: the current one), which one the path.
struct Path(&'static str, Option<u8>, u8);

const PATHS: &[Path] = &[
    Path(
        "open creat execve access stat lstat chdir chroot mkdir rmdir unlink chmod chown chown32 lchown lchown32 truncate truncate64 \
         mknod utime utimes setxattr lsetxattr removexattr lremovexattr rename link readlink statfs umount2 acct swapon swapoff",
        None,
        0,
    ),
    Path(
        "openat openat2 execveat faccessat faccessat2 newfstatat statx mkdirat unlinkat mknodat fchmodat fchmodat2 fchownat utimensat \
         utimensat_time64 futimesat renameat renameat2 linkat readlinkat",
        Some(0),
        1,
    ),
    Path("symlinkat", Some(1), 2),
    Path("symlink mount", None, 1),
];

/// The capabilities that calls take, each behind a colon.
const CAPABILITIES: &str = "mount umount umount2 move_mount open_tree fsopen fsmount fsconfig fspick mount_setattr pivot_root swapon \
                            swapoff setns unshare clone clone3 sethostname setdomainname quotactl fanotify_init :SYS_ADMIN \
                            reboot kexec_load kexec_file_load :SYS_BOOT \
                            settimeofday clock_settime clock_settime64 clock_adjtime clock_adjtime64 adjtimex stime :SYS_TIME \
                            init_module finit_module delete_module :SYS_MODULE \
                            iopl ioperm :SYS_RAWIO chroot :SYS_CHROOT mknod mknodat :MKNOD \
                            chown chown32 fchown fchown32 lchown lchown32 fchownat :CHOWN \
                            chmod fchmod fchmodat fchmodat2 utime utimes utimensat utimensat_time64 futimesat unlink unlinkat rename \
                            renameat renameat2 rmdir setxattr lsetxattr fsetxattr :FOWNER \
                            setuid setuid32 setreuid setreuid32 setresuid setresuid32 setfsuid setfsuid32 :SETUID \
                            setgid setgid32 setregid setregid32 setresgid setresgid32 setfsgid setfsgid32 setgroups setgroups32 :SETGID \
                            kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo :KILL \
                            ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise :SYS_PTRACE \
                            nice setpriority sched_setscheduler sched_setparam sched_setattr sched_setaffinity ioprio_set mbind \
                            migrate_pages move_pages set_mempolicy :SYS_NICE \
                            setrlimit prlimit64 :SYS_RESOURCE mlock mlock2 mlockall shmctl :IPC_LOCK \
                            syslog :SYSLOG perf_event_open :PERFMON bpf :BPF capset prctl :SETPCAP vhangup :SYS_TTY_CONFIG \
                            acct :SYS_PACCT open_by_handle_at :DAC_READ_SEARCH fcntl fcntl64 :LEASE timerfd_create :WAKE_ALARM \
                            setsockopt recvmsg recvfrom :NET_ADMIN ";

/// The capability that a call of this name takes when it is not permitted.
pub(super) fn capability(thread: u32, name: &str, call: &Call) -> Option<u8> {
    let [first, second, third, ..] = call.arguments;
    let needed = match name {
        // AF_PACKET, or raw sockets of another family, packet(7), raw(7).
        "socket" => "NET_RAW",
        "bind" if is_low(thread, call) => "NET_BIND_SERVICE",
        "bind" => "NET_ADMIN",
        // Requests of sockets and interfaces, ioctl_list(2).
        "ioctl" if second >> 8 & 0xff == 0x89 => "NET_ADMIN",
        "ioctl" => "SYS_ADMIN",
        // SO_BINDTODEVICE is for raw sockets first, socket(7).
        "setsockopt" if second == libc::SOL_SOCKET as u64 && third == libc::SO_BINDTODEVICE as u64 => "NET_RAW",
        // PR_CAPBSET_DROP takes one, and others take others, prctl(2).
        "prctl" if first != libc::PR_CAPBSET_DROP as u64 => "SYS_ADMIN",
        _ => {
            let mut group = false;
            CAPABILITIES.words().find_map(|word| match word.strip_prefix(':') {
                Some(needed) if group => Some(needed),
                Some(_) => None,
                None => {
                    group |= word == name;
                    None
                }
            })?
        }
    };
    caps::number(needed)
}

/// Whether an address of the Internet has a port that not everybody may take, ip(7).
fn is_low(thread: u32, call: &Call) -> bool {
    let mut bytes = [0; 4];
    let read = read_memory(thread, call.arguments[1], &mut bytes);
    let [family, _, port @ ..] = bytes;
    let internet = [libc::AF_INET, libc::AF_INET6].contains(&i32::from(family));
    read == bytes.len() && internet && (1..1024).contains(&u16::from_be_bytes(port))
}

/// The path that a call of this name is about, as the container has it. Like all that is judged with, it stays.
pub(super) fn path(thread: u32, name: &str, call: &Call) -> Option<&'static str> {
    let &Path(_, directory, path) = PATHS.iter().find(|row| is_among(row.0, name))?;
    let argument = |place: u8| call.arguments.get(usize::from(place)).copied().unwrap_or(0);
    path_of(thread, directory.map(argument), argument(path)).map(|path| &*path.leak())
}
