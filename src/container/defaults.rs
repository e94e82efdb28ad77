//! What every container finds unless told otherwise: the file systems, devices and masks that docker's users rely on.

use alloc::boxed::Box;
use core::ffi::CStr;

use super::spec::Spec;
use crate::base::error::Result;
use crate::base::json::{Value, parse};

/// The search path when neither the image nor the user gives one.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes in `/dev/shm` unless told otherwise, as docker's.
pub const SHM_SIZE: u64 = 64 << 20;

/// The specification of a container that nothing particular was asked of. (`/dev/shm` gets its size besides.)
///
/// The device control group lets every node be made but only these be used. What is masked tells about the host, or can hang
/// or change it; what is read-only belongs to the host's kernel.
const SPEC: &str = r#"{
"ociVersion":"1.3.0",
"process":{"cwd":"/","capabilities":{}},
"root":{"path":"rootfs"},
"mounts":[
{"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]},
{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]},
{"destination":"/dev/pts","type":"devpts","source":"devpts",
"options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"]},
{"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777"]},
{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","options":["nosuid","noexec","nodev"]},
{"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev","ro"]},
{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","noexec","nodev","relatime","ro"]},
{"destination":"/etc/resolv.conf","type":"bind","source":"resolv.conf","options":["bind","rprivate"]},
{"destination":"/etc/hostname","type":"bind","source":"hostname","options":["bind","rprivate"]},
{"destination":"/etc/hosts","type":"bind","source":"hosts","options":["bind","rprivate"]}],
"linux":{
"namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"}],
"resources":{"devices":[
{"allow":false,"access":"rwm"},
{"allow":true,"type":"c","access":"m"},
{"allow":true,"type":"b","access":"m"},
{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},
{"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"},
{"allow":true,"type":"c","major":1,"minor":7,"access":"rwm"},
{"allow":true,"type":"c","major":1,"minor":8,"access":"rwm"},
{"allow":true,"type":"c","major":1,"minor":9,"access":"rwm"},
{"allow":true,"type":"c","major":5,"minor":0,"access":"rwm"},
{"allow":true,"type":"c","major":5,"minor":2,"access":"rwm"},
{"allow":true,"type":"c","major":136,"access":"rwm"}]},
"maskedPaths":["/proc/acpi","/proc/asound","/proc/interrupts","/proc/kcore","/proc/keys","/proc/latency_stats",
"/proc/sched_debug","/proc/scsi","/proc/timer_list","/proc/timer_stats","/sys/devices/virtual/powercap","/sys/firmware"],
"readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]}}"#;

/// The specification of a container that nothing particular was asked of, to be changed as the user asks.
#[must_use]
pub fn document() -> Value {
    // It is right, as the tests see.
    parse(SPEC.as_bytes()).unwrap_or_default()
}

/// The same as types.
///
/// # Errors
/// None: the document is right.
pub fn spec() -> Result<&'static mut Spec> {
    Ok(Box::leak(Box::new(Spec::from_json(&document())?)))
}

/// Character devices that every container has: path, major, minor; `Documentation/admin-guide/devices.txt`.
pub const DEVICES: &[(&CStr, u32, u32)] = &[
    (c"/dev/null", 1, 3),
    (c"/dev/zero", 1, 5),
    (c"/dev/full", 1, 7),
    (c"/dev/random", 1, 8),
    (c"/dev/urandom", 1, 9),
    (c"/dev/tty", 5, 0),
];

/// Links that every container has in `/dev`.
pub const LINKS: &[(&CStr, &CStr)] = &[
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"pts/ptmx", c"/dev/ptmx"),
];
