//! What a monitor may still ask of the kernel once its container runs.
//!
//! It is in touch with what the workload writes and with whoever attaches, for as long as the container lives, and has root's
//! rights. So it gives up all calls that watching and cleaning up don't need. A filter holds for all that a process starts too,
//! so it is another process, its keeper, that makes the next monitor when the workload is to be started again.

use syscalls::Sysno;

use crate::kernel::security::filter::{self, With};
use crate::sys::{because, number};

/// The calls of a monitor that does nothing but watch and clean up: on files, on processes that are there, on memory.
#[rustfmt::skip]
pub const CALLS: &[Sysno] = &[
    // What it waits for, and what passes through it.
    number::ppoll, number::read, number::write, number::recvmsg, number::sendmsg, number::accept4, number::signalfd4,
    number::rt_sigprocmask, number::ioctl,
    number::fcntl, number::close, number::clock_gettime, number::nanosleep, number::restart_syscall,
    // State, logs, and what is removed.
    number::openat, number::statx, number::statfs, number::faccessat, number::readlinkat, number::getdents64, number::lseek,
    number::ftruncate, number::fsync, number::flock, number::mkdirat, number::renameat2, number::unlinkat, number::fgetxattr,
    number::lsetxattr,
    // The container's processes.
    number::wait4, number::kill, number::pidfd_open, number::pidfd_send_signal,
    // The networks that it is taken off.
    number::setsockopt, number::sendto, number::recvfrom,
    // Itself, parts of which may still have to be unpacked.
    number::mmap, number::munmap, number::mremap, number::mprotect, number::exit_group,
];

/// Those that it makes in one way only: to tell the kernel what a container has of networks no more.
pub const WITH: &[With] = &[(number::socket, 0, libc::AF_NETLINK as u32)];

/// Gives up all other calls. A kernel without filters is no reason not to go on: the monitor is no workload.
pub(super) fn confine() {
    let _why = because!("give up what watching does not need");
    let _ = filter::allow_only(CALLS, WITH);
}
