//! Names of what arguments are made of.
//!
//! # Source
//! `linux/socket.h`, `linux/net.h`, `linux/sched.h`, `linux/prctl.h`, `asm-generic/ioctls.h`, `linux/sockios.h`, `linux/fs.h`.

use alloc::string::String;

use crate::base::text::word;

/// `AF_*`, from 0 on.
const FAMILIES: &str = "UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet NETBEUI SECURITY KEY NETLINK PACKET \
    ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN PHONET IEEE802154 CAIF ALG NFC VSOCK KCM \
    QIPCRTR SMC XDP MCTP";
/// `SOCK_*`, from 1 on.
const TYPES: &str = "STREAM DGRAM RAW RDM SEQPACKET DCCP - - - PACKET";
/// `CLONE_*`, from the bit 7 on; the bits below are a signal.
const CLONE: &str = "NEWTIME VM FS FILES SIGHAND PIDFD PTRACE VFORK PARENT THREAD NEWNS SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID \
    DETACHED UNTRACED CHILD_SETTID NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET IO";
/// `PR_*`, from 1 on.
const OPTIONS: &str = "SET_PDEATHSIG GET_PDEATHSIG GET_DUMPABLE SET_DUMPABLE GET_UNALIGN SET_UNALIGN GET_KEEPCAPS SET_KEEPCAPS GET_FPEMU \
    SET_FPEMU GET_FPEXC SET_FPEXC GET_TIMING SET_TIMING SET_NAME GET_NAME - - GET_ENDIAN SET_ENDIAN GET_SECCOMP SET_SECCOMP CAPBSET_READ \
    CAPBSET_DROP GET_TSC SET_TSC GET_SECUREBITS SET_SECUREBITS SET_TIMERSLACK GET_TIMERSLACK TASK_PERF_EVENTS_DISABLE TASK_PERF_EVENTS_ENABLE \
    MCE_KILL MCE_KILL_GET SET_MM SET_CHILD_SUBREAPER GET_CHILD_SUBREAPER SET_NO_NEW_PRIVS GET_NO_NEW_PRIVS GET_TID_ADDRESS SET_THP_DISABLE \
    GET_THP_DISABLE - - SET_FP_MODE GET_FP_MODE CAP_AMBIENT - - SVE_SET_VL SVE_GET_VL GET_SPECULATION_CTRL SET_SPECULATION_CTRL \
    PAC_RESET_KEYS SET_TAGGED_ADDR_CTRL GET_TAGGED_ADDR_CTRL SET_IO_FLUSHER GET_IO_FLUSHER SET_SYSCALL_USER_DISPATCH \
    PAC_SET_ENABLED_KEYS PAC_GET_ENABLED_KEYS SCHED_CORE SME_SET_VL SME_GET_VL SET_MDWE GET_MDWE";
/// Requests of ioctl(2), of which terminals and sockets have most.
const REQUESTS: [u32; 36] = [
    0x5401,
    0x5402,
    0x5403,
    0x5404,
    0x540b,
    0x540e,
    0x540f,
    0x5410,
    0x5412,
    0x5413,
    0x5414,
    0x541b,
    0x5421,
    0x5422,
    0x5429,
    0x5441,
    0x5450,
    0x5451,
    0x5452,
    0x8004_5430,
    0x4004_5431,
    0x8910,
    0x8912,
    0x8913,
    0x8914,
    0x8915,
    0x891b,
    0x8921,
    0x8927,
    0x8933,
    0x8946,
    0x4004_9409,
    0x8008_6601,
    0x4008_6602,
    0xc020_660b,
    0x1260,
];
const REQUEST_NAMES: &str = "TCGETS TCSETS TCSETSW TCSETSF TCFLSH TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCSTI TIOCGWINSZ TIOCSWINSZ FIONREAD FIONBIO \
    TIOCNOTTY TIOCGSID TIOCGPTPEER FIONCLEX FIOCLEX FIOASYNC TIOCGPTN TIOCSPTLCK SIOCGIFNAME SIOCGIFCONF SIOCGIFFLAGS SIOCSIFFLAGS SIOCGIFADDR \
    SIOCGIFNETMASK SIOCGIFMTU SIOCGIFHWADDR SIOCGIFINDEX SIOCETHTOOL FICLONE FS_IOC_GETFLAGS FS_IOC_SETFLAGS FS_IOC_FIEMAP BLKGETSIZE";

/// The name at this place of a list, behind what all names of it begin with; else the number.
fn named(start: &str, list: &'static str, place: Option<usize>, number: u64) -> String {
    match place.map(|place| word(list, place)) {
        Some(name) if !matches!(name, "" | "-") => String::from(join!("{}{}", start, name)),
        _ => alloc::format!("{number:#x}"),
    }
}

/// The name of a family of sockets.
pub(super) fn family_name(number: u64) -> String {
    named("AF_", FAMILIES, Some(number as usize), number)
}

/// The name of a type of sockets.
pub(super) fn socket_type(number: u64) -> String {
    named("SOCK_", TYPES, (number as usize).checked_sub(1), number)
}

/// The name of a request.
pub(super) fn request(number: u64) -> String {
    named("", REQUEST_NAMES, REQUESTS.iter().position(|known| u64::from(*known) == number), number)
}

/// The name of an option of prctl(2).
pub(super) fn option(number: u64) -> String {
    named("PR_", OPTIONS, (number as usize).checked_sub(1), number)
}

/// The names of flags of clone(2), without the signal.
pub(super) fn clone_flags(flags: u64) -> String {
    let mut out = String::new();
    for bit in 7..64 {
        if flags & 1 << bit != 0 {
            if !out.is_empty() {
                out.push('|');
            }
            out.push_str(&named("CLONE_", CLONE, Some(bit - 7), 1 << bit));
        }
    }
    if out.is_empty() {
        out.push('0');
    }
    out
}
