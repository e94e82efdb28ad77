//! What every container finds unless told otherwise: the file systems, devices and masks that docker's users rely on.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::spec::{Mount, Namespace, NamespaceKind};

/// The search path when neither the image nor the user gives one.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes in `/dev/shm` unless told otherwise, as docker's.
pub const SHM_SIZE: u64 = 64 << 20;

/// Destination, type, source, options.
const MOUNTS: &[(&str, &str, &str, &[&str])] = &[
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
];

/// The file systems of a container of its own.
#[must_use]
pub fn mounts(shm_size: u64) -> Vec<Mount> {
    let mount = |(destination, kind, source, options): &(&str, &str, &str, &[&str])| {
        let mut options: Vec<String> = options.iter().map(ToString::to_string).collect();
        if *destination == "/dev/shm" {
            options.push(alloc::format!("size={shm_size}"));
        }
        Mount {
            destination: destination.to_string(),
            kind: Some(kind.to_string()),
            source: Some(source.to_string()),
            options,
            ..Mount::default()
        }
    };
    MOUNTS.iter().map(mount).collect()
}

/// Character devices that every container has: name, major, minor; `Documentation/admin-guide/devices.txt`.
pub const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links that every container has in `/dev`.
pub const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// Devices that the device control group lets through: kind, major, minor (-1: any), access. Making nodes is allowed, using
/// them is not, except for these.
pub const DEVICE_RULES: &[(&str, i64, i64, &str)] = &[
    ("c", -1, -1, "m"),
    ("b", -1, -1, "m"),
    ("c", 1, 3, "rwm"),
    ("c", 1, 5, "rwm"),
    ("c", 1, 7, "rwm"),
    ("c", 1, 8, "rwm"),
    ("c", 1, 9, "rwm"),
    ("c", 5, 0, "rwm"),
    ("c", 5, 2, "rwm"),
    ("c", 136, -1, "rwm"),
];

/// Hidden: they tell about the host, or can hang or change it.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only: they belong to the host's kernel.
pub const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The namespaces of a container of its own.
#[must_use]
pub fn namespaces() -> Vec<Namespace> {
    use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    [Pid, Network, Ipc, Uts, Mount, Cgroup].map(|kind| Namespace { kind, path: None }).to_vec()
}
