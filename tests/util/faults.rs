//! Which errors system calls are made to give.

use libc::{
    E2BIG, EACCES, EAGAIN, EBUSY, ECONNREFUSED, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOLCK, ENOMEM,
    ENOSPC, ENOSYS, EPERM, EROFS,
};
use syscalls::Sysno;

/// The errors that a call is made to give, by its manual page: those that a machine can give at any time, those of a kernel
/// that forbids or lacks the call, and of what may be interrupted without a handler, signal(7), that too. None for calls that
/// can't fail.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "the calls are grouped by what they are about")]
pub fn errors(call: Sysno) -> &'static [i32] {
    match call {
        // Files.
        Sysno::openat | Sysno::openat2 => &[EMFILE, ENOMEM, EIO, EACCES],
        Sysno::close => &[EIO, EINTR],
        Sysno::read | Sysno::pread64 | Sysno::getdents64 => &[EIO, ENOMEM],
        Sysno::write | Sysno::sendfile | Sysno::ftruncate => &[ENOSPC, EIO, EPERM],
        Sysno::lseek => &[EINVAL, EIO],
        Sysno::fsync | Sysno::syncfs => &[EIO, ENOSPC],
        Sysno::statx | Sysno::faccessat => &[ENOMEM, EACCES, EIO],
        Sysno::fstatfs | Sysno::statfs => &[EIO, ENOMEM],
        Sysno::mkdirat | Sysno::mknodat | Sysno::symlinkat | Sysno::linkat => &[ENOSPC, EPERM, EIO, ENOMEM],
        Sysno::unlinkat => &[EIO, EBUSY, EROFS],
        Sysno::renameat2 => &[ENOSPC, EIO],
        Sysno::readlinkat => &[EIO, ENOMEM, EACCES],
        Sysno::fchmod | Sysno::fchmodat | Sysno::fchown | Sysno::fchownat | Sysno::utimensat => &[EPERM, EIO, ENOMEM],
        Sysno::fsetxattr | Sysno::lsetxattr => &[EPERM, ENOSPC, EIO],
        Sysno::flistxattr | Sysno::llistxattr | Sysno::fgetxattr | Sysno::lgetxattr => &[EIO, ENOMEM],
        Sysno::flock => &[ENOLCK, EINTR],
        Sysno::inotify_init1 | Sysno::inotify_add_watch => &[EMFILE, ENOMEM, ENOSPC],
        Sysno::chdir | Sysno::fchdir | Sysno::getcwd => &[EACCES, EIO, ENOMEM],
        Sysno::pipe2 | Sysno::memfd_create | Sysno::signalfd4 | Sysno::eventfd2 => &[EMFILE, ENOMEM],
        Sysno::dup3 => &[EBUSY, EMFILE],
        Sysno::fcntl => &[EPERM, EMFILE],
        Sysno::close_range => &[EMFILE, ENOMEM, ENOSYS],
        Sysno::ioctl => &[EPERM, EIO, EBUSY],
        // Mounts.
        Sysno::mount => &[EPERM, ENOMEM, EINVAL, EBUSY],
        Sysno::umount2 => &[EBUSY, EPERM, ENOMEM],
        Sysno::pivot_root => &[EINVAL, EPERM, EBUSY],
        Sysno::chroot => &[EPERM, ENOMEM],
        Sysno::open_tree | Sysno::move_mount | Sysno::mount_setattr => &[EPERM, ENOMEM, EINVAL, ENOSYS],
        Sysno::fsopen | Sysno::fsconfig | Sysno::fsmount => &[EPERM, ENOMEM, ENOSYS],
        // Processes and namespaces.
        Sysno::clone => &[EAGAIN, ENOMEM, ENOSPC, EPERM],
        Sysno::clone3 => &[EAGAIN, ENOMEM, EPERM, ENOSYS],
        Sysno::unshare | Sysno::setns => &[EPERM, ENOMEM, ENOSPC],
        Sysno::execve => &[ENOMEM, EIO, EACCES, E2BIG],
        Sysno::wait4 => &[EINTR],
        Sysno::kill => &[EPERM],
        Sysno::pidfd_open | Sysno::pidfd_send_signal => &[ENOSYS, EPERM, EMFILE],
        Sysno::setsid | Sysno::sched_getaffinity | Sysno::uname => &[EPERM],
        Sysno::prctl => &[EPERM, EINVAL],
        Sysno::sched_setaffinity | Sysno::sched_setattr | Sysno::ioprio_set | Sysno::set_mempolicy => {
            &[EPERM, EINVAL, ENOMEM]
        }
        Sysno::personality => &[EINVAL],
        Sysno::prlimit64 | Sysno::sethostname | Sysno::setdomainname => &[EPERM],
        Sysno::getrandom => &[EINTR, ENOSYS],
        Sysno::clock_gettime => &[EINVAL],
        Sysno::nanosleep => &[EINTR],
        // Rights.
        Sysno::capset | Sysno::capget | Sysno::setgroups => &[EPERM, ENOMEM],
        Sysno::setresgid | Sysno::setresuid => &[EPERM, EAGAIN],
        Sysno::seccomp | Sysno::bpf => &[EPERM, ENOMEM, EINVAL, ENOSYS],
        // Signals and waiting.
        Sysno::rt_sigprocmask | Sysno::rt_sigaction => &[EINVAL],
        Sysno::ppoll => &[EINTR, ENOMEM],
        // Sockets.
        Sysno::socket | Sysno::socketpair => &[EMFILE, ENFILE, ENOBUFS, EPERM],
        Sysno::bind | Sysno::listen | Sysno::setsockopt => &[EACCES, ENOMEM, EINVAL],
        Sysno::accept4 => &[EMFILE, ENOMEM, EINTR],
        Sysno::connect => &[ECONNREFUSED, EACCES, ENOENT],
        Sysno::sendmsg | Sysno::sendto => &[ENOBUFS, ENOMEM, EPERM],
        Sysno::recvmsg | Sysno::recvfrom => &[ENOMEM, EINTR],
        Sysno::shutdown => &[ENOBUFS],
        // Memory.
        Sysno::mmap | Sysno::mremap | Sysno::mprotect => &[ENOMEM],
        Sysno::munmap => &[ENOMEM],
        _ => &[],
    }
}

/// The name of an error.
pub fn name(errno: i32) -> String {
    vial::base::errno::Errno(errno).name().unwrap_or("?").to_owned()
}
