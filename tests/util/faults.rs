//! Which errors system calls are made to give.

use libc::{
    E2BIG, EACCES, EAGAIN, EBUSY, ECONNREFUSED, EINTR, EINVAL, EIO, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOLCK, ENOMEM,
    ENOSPC, ENOSYS, EPERM, EROFS,
};
use syscalls::Sysno;
use vial::sys::number;

/// The errors that a call is made to give, by its manual page: those that a machine can give at any time, those of a kernel
/// that forbids or lacks the call, and of what may be interrupted without a handler, signal(7), that too. None for calls that
/// can't fail.
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "the calls are grouped by what they are about")]
pub fn errors(call: Sysno) -> &'static [i32] {
    match call {
        // Files.
        number::openat | number::openat2 => &[EMFILE, ENOMEM, EIO, EACCES],
        number::close => &[EIO, EINTR],
        number::read | number::pread64 | number::getdents64 => &[EIO, ENOMEM],
        number::write | number::sendfile | number::ftruncate => &[ENOSPC, EIO, EPERM],
        number::lseek => &[EINVAL, EIO],
        number::fsync | number::syncfs => &[EIO, ENOSPC],
        number::statx | number::faccessat => &[ENOMEM, EACCES, EIO],
        number::fstatfs | number::statfs => &[EIO, ENOMEM],
        number::mkdirat | number::mknodat | number::symlinkat | number::linkat => &[ENOSPC, EPERM, EIO, ENOMEM],
        number::unlinkat => &[EIO, EBUSY, EROFS],
        number::renameat2 => &[ENOSPC, EIO],
        number::readlinkat => &[EIO, ENOMEM, EACCES],
        number::fchmod | number::fchmodat | number::fchown | number::fchownat | number::utimensat => &[EPERM, EIO, ENOMEM],
        number::fsetxattr | number::lsetxattr => &[EPERM, ENOSPC, EIO],
        number::flistxattr | number::llistxattr | number::fgetxattr | number::lgetxattr => &[EIO, ENOMEM],
        number::flock => &[ENOLCK, EINTR],
        number::inotify_init1 | number::inotify_add_watch => &[EMFILE, ENOMEM, ENOSPC],
        number::chdir | number::fchdir | number::getcwd => &[EACCES, EIO, ENOMEM],
        number::pipe2 | number::memfd_create | number::signalfd4 | number::eventfd2 => &[EMFILE, ENOMEM],
        number::dup3 => &[EBUSY, EMFILE],
        number::fcntl => &[EPERM, EMFILE],
        number::close_range => &[EMFILE, ENOMEM, ENOSYS],
        number::ioctl => &[EPERM, EIO, EBUSY],
        // Mounts.
        number::mount => &[EPERM, ENOMEM, EINVAL, EBUSY],
        number::umount2 => &[EBUSY, EPERM, ENOMEM],
        number::pivot_root => &[EINVAL, EPERM, EBUSY],
        number::chroot => &[EPERM, ENOMEM],
        number::open_tree | number::move_mount | number::mount_setattr => &[EPERM, ENOMEM, EINVAL, ENOSYS],
        number::fsopen | number::fsconfig | number::fsmount => &[EPERM, ENOMEM, ENOSYS],
        // Processes and namespaces.
        number::clone => &[EAGAIN, ENOMEM, ENOSPC, EPERM],
        number::clone3 => &[EAGAIN, ENOMEM, EPERM, ENOSYS],
        number::unshare | number::setns => &[EPERM, ENOMEM, ENOSPC],
        number::execve => &[ENOMEM, EIO, EACCES, E2BIG],
        number::wait4 => &[EINTR],
        number::kill => &[EPERM],
        number::pidfd_open | number::pidfd_send_signal => &[ENOSYS, EPERM, EMFILE],
        number::setsid | number::sched_getaffinity | number::uname => &[EPERM],
        number::prctl => &[EPERM, EINVAL],
        number::sched_setaffinity | number::sched_setattr | number::ioprio_set | number::set_mempolicy => {
            &[EPERM, EINVAL, ENOMEM]
        }
        number::personality => &[EINVAL],
        number::prlimit64 | number::sethostname | number::setdomainname => &[EPERM],
        number::getrandom => &[EINTR, ENOSYS],
        number::clock_gettime => &[EINVAL],
        number::nanosleep => &[EINTR],
        // Rights.
        number::capset | number::capget | number::setgroups => &[EPERM, ENOMEM],
        number::setresgid | number::setresuid => &[EPERM, EAGAIN],
        number::seccomp | number::bpf => &[EPERM, ENOMEM, EINVAL, ENOSYS],
        // Signals and waiting.
        number::rt_sigprocmask | number::rt_sigaction => &[EINVAL],
        number::ppoll => &[EINTR, ENOMEM],
        // Sockets.
        number::socket | number::socketpair => &[EMFILE, ENFILE, ENOBUFS, EPERM],
        number::bind | number::listen | number::setsockopt => &[EACCES, ENOMEM, EINVAL],
        number::accept4 => &[EMFILE, ENOMEM, EINTR],
        number::connect => &[ECONNREFUSED, EACCES, ENOENT],
        number::sendmsg | number::sendto => &[ENOBUFS, ENOMEM, EPERM],
        number::recvmsg | number::recvfrom => &[ENOMEM, EINTR],
        number::shutdown => &[ENOBUFS],
        // Memory.
        number::mmap | number::mremap | number::mprotect => &[ENOMEM],
        number::munmap => &[ENOMEM],
        _ => &[],
    }
}

/// The name of an error.
pub fn name(errno: i32) -> String {
    vial::base::errno::Errno(errno).name().unwrap_or("?").to_owned()
}
