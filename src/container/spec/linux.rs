//! `linux`: namespaces, devices, resources and what hides the host.

use alloc::vec::Vec;

use super::IdMapping;
use crate::base::json::record::{names, record};

record! {
    /// What is particular to Linux.
    pub struct Linux {
        /// The namespaces that are new or joined; the others are the runtime's own. Each kind at most once.
        namespaces: Vec<Namespace> = Optional "namespaces",
        /// The user IDs of a new user namespace.
        uid_mappings: Vec<IdMapping> = Optional "uidMappings",
        /// The group IDs of a new user namespace.
        gid_mappings: Vec<IdMapping> = Optional "gidMappings",
        /// Device files beyond the default ones.
        devices: Vec<Device> = Optional "devices",
        /// The container's cgroup: absolute below the hierarchy's root, otherwise the runtime decides where it lies.
        cgroups_path: Option<&'static str> = Optional "cgroupsPath",
        /// The limits that the cgroup enforces.
        resources: Option<Resources> = Optional "resources",
        /// Kernel parameters: names with dots, values.
        sysctl: Vec<(&'static str, &'static str)> = Optional "sysctl",
        /// How mounts travel between the root and the host: `private`, `shared`, `slave` or `unbindable`. Still text here,
        /// because runtimes also take `rprivate` and its like.
        rootfs_propagation: Option<&'static str> = Optional "rootfsPropagation",
        /// Paths inside that can't be read.
        masked_paths: Vec<&'static str> = Optional "maskedPaths",
        /// Paths inside that can't be written.
        readonly_paths: Vec<&'static str> = Optional "readonlyPaths",
        /// The `SELinux` context of the mounts.
        mount_label: Option<&'static str> = Optional "mountLabel",
    }

    /// A namespace.
    pub struct Namespace {
        /// Which.
        kind: NamespaceKind = Required "type",
        /// The one to join, as a file; without it a new one.
        path: Option<&'static str> = Optional "path",
    }

    /// A device file, see `mknod(2)`.
    pub struct Device {
        /// Character, block or FIFO.
        kind: DeviceKind = Required "type",
        /// Where, as seen from inside.
        path: &'static str = Required "path",
        /// The major number, which a FIFO lacks.
        major: Option<i64> = Optional "major",
        /// The minor number, which a FIFO lacks.
        minor: Option<i64> = Optional "minor",
        /// The permission bits.
        file_mode: Option<u32> = Optional "fileMode",
        /// The owner inside.
        uid: Option<u32> = Optional "uid",
        /// The group inside.
        gid: Option<u32> = Optional "gid",
    }
}

names! {
    /// The kinds of `namespaces(7)`.
    pub enum NamespaceKind {
        /// Mount points.
        #[default]
        Mount = "mount",
        /// Host and domain name.
        Uts = "uts",
        /// System V and POSIX message queues, semaphores, shared memory.
        Ipc = "ipc",
        /// Process IDs.
        Pid = "pid",
        /// Interfaces, addresses, routes, ports.
        Network = "network",
        /// The root of the cgroup hierarchy.
        Cgroup = "cgroup",
        /// User and group IDs, capabilities.
        User = "user",
        /// Monotonic and boot time.
        Time = "time",
    }

    /// The kinds of device files.
    pub enum DeviceKind {
        /// Character device.
        #[default]
        Char = "c",
        /// Character device too; the name is `mknod(1)`'s for an unbuffered one.
        Unbuffered = "u",
        /// Block device.
        Block = "b",
        /// Named pipe.
        Fifo = "p",
    }
}

record! {
    /// What the cgroup enforces. Where a value is a cgroup v1 file's, v2 has it converted.
    pub struct Resources {
        /// Which devices may be used: rules, of which the last that fits wins.
        devices: Vec<DeviceRule> = Optional "devices",
        /// Memory.
        memory: Option<Memory> = Optional "memory",
        /// Processor time.
        cpu: Option<Cpu> = Optional "cpu",
        /// The number of processes.
        pids: Option<Pids> = Optional "pids",
        /// Block devices' throughput.
        block_io: Option<BlockIo> = Optional "blockIO",
        /// Huge pages, one limit per size.
        hugepage_limits: Vec<HugepageLimit> = Optional "hugepageLimits",
        /// Files of the cgroup v2 directory and what is written to them.
        unified: Vec<(&'static str, &'static str)> = Optional "unified",
    }

    /// A rule about the use of devices.
    pub struct DeviceRule {
        /// Whether it allows or denies.
        allow: bool = Required "allow",
        /// `c`, `b`, or `a` for both, which is also meant without it.
        kind: Option<&'static str> = Optional "type",
        /// The major number; without it all.
        major: Option<i64> = Optional "major",
        /// The minor number; without it all.
        minor: Option<i64> = Optional "minor",
        /// Some of `r`, `w` and `m` (mknod).
        access: Option<&'static str> = Optional "access",
    }

    /// Limits of memory in bytes, where -1 is none.
    pub struct Memory {
        /// The hard limit.
        limit: Option<i64> = Optional "limit",
        /// The soft limit.
        reservation: Option<i64> = Optional "reservation",
        /// The limit of memory and swap together.
        swap: Option<i64> = Optional "swap",
        /// The kernel's own memory; the kernel has given this limit up.
        kernel: Option<i64> = Optional "kernel",
        /// The memory of TCP buffers, on cgroup v1.
        kernel_tcp: Option<i64> = Optional "kernelTCP",
        /// How readily pages are swapped, from 0 to 100.
        swappiness: Option<u64> = Optional "swappiness",
        /// Whether processes wait instead of being killed when memory is out, on cgroup v1.
        disable_oom_killer: Option<bool> = Optional "disableOOMKiller",
        /// Whether cgroups below count, on cgroup v1.
        use_hierarchy: Option<bool> = Optional "useHierarchy",
        /// Whether a limit below the present use is refused.
        check_before_update: Option<bool> = Optional "checkBeforeUpdate",
    }

    /// Shares and limits of processor time, in microseconds.
    pub struct Cpu {
        /// The weight against siblings, from 2 to 262144, normally 1024.
        shares: Option<u64> = Optional "shares",
        /// Time within a period; negative is no limit.
        quota: Option<i64> = Optional "quota",
        /// The period.
        period: Option<u64> = Optional "period",
        /// Time saved up from earlier periods.
        burst: Option<u64> = Optional "burst",
        /// 1 makes all tasks `SCHED_IDLE`.
        idle: Option<i64> = Optional "idle",
        /// Real-time scheduling's time within a period, on cgroup v1.
        realtime_runtime: Option<i64> = Optional "realtimeRuntime",
        /// Real-time scheduling's period, on cgroup v1.
        realtime_period: Option<u64> = Optional "realtimePeriod",
        /// The processors, as a list: `0-3,7`.
        cpus: Option<&'static str> = Optional "cpus",
        /// The memory nodes, as a list.
        mems: Option<&'static str> = Optional "mems",
    }

    /// The limit of processes.
    pub struct Pids {
        /// How many; -1 is no limit, and 0 is a limit too (since 1.3.0). The schema demands it, but programs that follow the
        /// Go types leave it out to say that nothing is set.
        limit: Option<i64> = Optional "limit",
    }

    /// Weights and limits of block devices.
    pub struct BlockIo {
        /// The weight against siblings, from 10 to 1000.
        weight: Option<u16> = Optional "weight",
        /// The weight against cgroups below, on cgroup v1.
        leaf_weight: Option<u16> = Optional "leafWeight",
        /// Weights for single devices.
        weight_device: Vec<DeviceWeight> = Optional "weightDevice",
        /// Bytes read per second.
        throttle_read_bps_device: Vec<DeviceRate> = Optional "throttleReadBpsDevice",
        /// Bytes written per second.
        throttle_write_bps_device: Vec<DeviceRate> = Optional "throttleWriteBpsDevice",
        /// Reads per second.
        throttle_read_iops_device: Vec<DeviceRate> = Optional "throttleReadIOPSDevice",
        /// Writes per second.
        throttle_write_iops_device: Vec<DeviceRate> = Optional "throttleWriteIOPSDevice",
    }

    /// A block device's weight.
    pub struct DeviceWeight {
        /// The major number.
        major: i64 = Required "major",
        /// The minor number.
        minor: i64 = Required "minor",
        /// The weight, from 10 to 1000.
        weight: Option<u16> = Optional "weight",
        /// The weight against cgroups below, on cgroup v1.
        leaf_weight: Option<u16> = Optional "leafWeight",
    }

    /// A block device's limit.
    pub struct DeviceRate {
        /// The major number.
        major: i64 = Required "major",
        /// The minor number.
        minor: i64 = Required "minor",
        /// Bytes or operations per second.
        rate: u64 = Required "rate",
    }

    /// A limit of huge pages.
    pub struct HugepageLimit {
        /// `2MB` or `1GB`, as the file names below the cgroup have it.
        page_size: &'static str = Required "pageSize",
        /// Bytes.
        limit: u64 = Required "limit",
    }
}
