//! What a monitor may still ask of the kernel once its container runs.
//!
//! It is in touch with what the workload writes and with whoever attaches, for as long as the container lives, and has root's
//! rights. So it gives up all calls that watching and cleaning up don't need. A filter holds for all that a process starts too,
//! so it is another process, its keeper, that makes the next monitor when the workload is to be started again.

use syscalls::Sysno;

use crate::kernel::security::filter::{self, With};
use crate::sys::because;

/// The calls of a monitor that does nothing but watch and clean up: on files, on processes that are there, on memory.
#[rustfmt::skip]
pub const CALLS: &[Sysno] = &[
    // What it waits for, and what passes through it.
    Sysno::ppoll, Sysno::read, Sysno::write, Sysno::recvmsg, Sysno::sendmsg, Sysno::accept4, Sysno::signalfd4,
    Sysno::rt_sigprocmask, Sysno::ioctl,
    Sysno::fcntl, Sysno::close, Sysno::clock_gettime, Sysno::nanosleep, Sysno::restart_syscall,
    // State, logs, and what is removed.
    Sysno::openat, Sysno::statx, Sysno::statfs, Sysno::faccessat, Sysno::readlinkat, Sysno::getdents64, Sysno::lseek,
    Sysno::ftruncate, Sysno::fsync, Sysno::flock, Sysno::mkdirat, Sysno::renameat2, Sysno::unlinkat, Sysno::fgetxattr,
    Sysno::lsetxattr,
    // The container's processes.
    Sysno::wait4, Sysno::kill, Sysno::pidfd_open, Sysno::pidfd_send_signal,
    // The networks that it is taken off.
    Sysno::setsockopt, Sysno::sendto, Sysno::recvfrom,
    // Itself, parts of which may still have to be unpacked.
    Sysno::mmap, Sysno::munmap, Sysno::mremap, Sysno::mprotect, Sysno::exit_group,
];

/// Those that it makes in one way only: to tell the kernel what a container has of networks no more.
pub const WITH: &[With] = &[(Sysno::socket, 0, libc::AF_NETLINK as u32)];

/// Gives up all other calls. A kernel without filters is no reason not to go on: the monitor is no workload.
pub(super) fn confine() {
    let _why = because!("give up what watching does not need");
    let _ = filter::allow_only(CALLS, WITH);
}
