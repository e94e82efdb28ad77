//! Capabilities by name and number, and docker's default set.
//!
//! # Source
//! `capabilities(7)`, `linux/capability.h`.

use crate::base::text::{Cut, place};

/// The names without `CAP_`; the place in the list is the kernel's number.
const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
                     NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT \
                     SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE \
                     AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ \
                     PERFMON BPF CHECKPOINT_RESTORE";

/// How many capabilities are known; the last is `CAP_CHECKPOINT_RESTORE`, Linux 5.9.
pub const COUNT: u8 = 41;

/// Every known capability, one bit each.
pub const ALL: u64 = (1 << COUNT) - 1;

/// What a filter of system calls takes without `no_new_privs`, and mounts and much else do.
pub const SYS_ADMIN: u64 = 1 << 21;

/// The 14 that a container has unless told otherwise, as docker's.
pub const DEFAULT: u64 = 1 << 0 // CHOWN
    | 1 << 1   // DAC_OVERRIDE
    | 1 << 3   // FOWNER
    | 1 << 4   // FSETID
    | 1 << 5   // KILL
    | 1 << 6   // SETGID
    | 1 << 7   // SETUID
    | 1 << 8   // SETPCAP
    | 1 << 10  // NET_BIND_SERVICE
    | 1 << 13  // NET_RAW
    | 1 << 18  // SYS_CHROOT
    | 1 << 27  // MKNOD
    | 1 << 29  // AUDIT_WRITE
    | 1 << 31; // SETFCAP

/// The names without `CAP_` in the order of their numbers.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.parts(b' ')
}

/// The number of a capability; `CAP_` before it is optional and case does not matter.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    let name = name.to_ascii_uppercase();
    place(NAMES, name.strip_prefix("CAP_").unwrap_or(&name)).map(|number| number as u8)
}

/// The name without `CAP_`.
#[must_use]
pub fn name(number: u8) -> Option<&'static str> {
    names().nth(number.into())
}

/// Docker's rule: all but the dropped if everything was added, only the added if everything was dropped, and
/// otherwise `base` without the dropped and with the added; what is both dropped and added stays.
#[must_use]
pub fn tweak(base: u64, add: u64, drop: u64) -> u64 {
    if add == ALL { ALL & !drop } else { (base & !drop) | add }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_the_kernels_numbers() {
        assert_eq!(names().count(), usize::from(COUNT));
        let known = [
            ("CHOWN", 0),
            ("NET_ADMIN", 12),
            ("SYS_ADMIN", 21),
            ("SETFCAP", 31),
            ("BPF", 39),
            ("CHECKPOINT_RESTORE", 40),
        ];
        for (text, expected) in known {
            assert_eq!(number(text), Some(expected));
            assert_eq!(name(expected), Some(text));
        }
        assert_eq!(name(41), None);
    }

    #[test]
    fn the_prefix_and_case_do_not_matter() {
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_Admin"] {
            assert_eq!(number(text), Some(12), "{text}");
        }
        for text in ["", "CAP_", "NET", "CAP_CAP_KILL", "ALL", "NET_ADMIN "] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_default_set_is_dockers_fourteen() {
        let expected = "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod \
                        audit_write setfcap";
        let mask = expected.split_whitespace().map(|text| 1 << number(text).unwrap()).sum::<u64>();
        assert_eq!(DEFAULT, mask);
        assert_eq!(DEFAULT.count_ones(), 14);
    }

    #[test]
    fn added_and_dropped_capabilities_combine_as_dockers() {
        let (admin, kill) = (1 << 12, 1 << 5);
        assert_eq!(tweak(DEFAULT, 0, 0), DEFAULT);
        assert_eq!(tweak(DEFAULT, admin, kill), (DEFAULT | admin) & !kill);
        assert_eq!(tweak(DEFAULT, admin, ALL), admin);
        assert_eq!(tweak(DEFAULT, ALL, kill), ALL & !kill);
        assert_eq!(tweak(DEFAULT, kill, kill), DEFAULT);
    }
}
