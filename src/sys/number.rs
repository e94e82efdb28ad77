//! The numbers of system calls, by the names that machines of 64 bits have for them. Those of 32 bits have kept calls by these
//! names that know of less: 16 bits of a user's number, 32 bits of a time or of a place in a file; [`named`] tells which stands for
//! which. The calls for times came with Linux 5.1.
//!
//! Source: `arch/arm/tools/syscall.tbl`.

#[cfg(target_pointer_width = "64")]
pub use syscalls::Sysno::*;

#[cfg(target_pointer_width = "32")]
pub use {
    syscalls::Sysno::*,
    syscalls::Sysno::{
        _llseek as lseek, clock_gettime64 as clock_gettime, clock_nanosleep_time64 as nanosleep, fchown32 as fchown,
        fcntl64 as fcntl, fstatfs64 as fstatfs, ftruncate64 as ftruncate, getegid32 as getegid, geteuid32 as geteuid,
        mmap2 as mmap, ppoll_time64 as ppoll, sendfile64 as sendfile, setfsgid32 as setfsgid, setfsuid32 as setfsuid,
        setgroups32 as setgroups, setresgid32 as setresgid, setresuid32 as setresuid, statfs64 as statfs,
        utimensat_time64 as utimensat,
    },
};

/// The kernel's own name for a call.
#[cfg(target_pointer_width = "64")]
macro_rules! named {
    ($name:ident) => {
        stringify!($name)
    };
}

/// The kernel's own name for a call.
#[cfg(target_pointer_width = "32")]
#[rustfmt::skip]
macro_rules! named {
    (lseek) => { "_llseek" };
    (clock_gettime) => { "clock_gettime64" };
    (nanosleep) => { "clock_nanosleep_time64" };
    (fchown) => { "fchown32" };
    (fcntl) => { "fcntl64" };
    (fstatfs) => { "fstatfs64" };
    (ftruncate) => { "ftruncate64" };
    (getegid) => { "getegid32" };
    (geteuid) => { "geteuid32" };
    (mmap) => { "mmap2" };
    (ppoll) => { "ppoll_time64" };
    (sendfile) => { "sendfile64" };
    (setfsgid) => { "setfsgid32" };
    (setfsuid) => { "setfsuid32" };
    (setgroups) => { "setgroups32" };
    (setresgid) => { "setresgid32" };
    (setresuid) => { "setresuid32" };
    (statfs) => { "statfs64" };
    (utimensat) => { "utimensat_time64" };
    ($name:ident) => { stringify!($name) };
}
pub(super) use named;
