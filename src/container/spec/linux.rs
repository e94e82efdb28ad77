//! `linux`: namespaces, devices, resources and what hides the host.

use alloc::vec::Vec;

use super::{IdMapping, IntelRdt, MemoryPolicy, NetDevices, Personality, Resources, Seccomp, TimeOffsets};
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
        /// What the clocks of a new time namespace are ahead.
        time_offsets: Option<TimeOffsets> = Optional "timeOffsets",
        /// Device files beyond the default ones.
        devices: Vec<Device> = Optional "devices",
        /// The host's interfaces that become the container's, by their names there.
        net_devices: Option<NetDevices> = Optional "netDevices",
        /// The container's cgroup: absolute below the hierarchy's root, otherwise the runtime decides where it lies.
        cgroups_path: Option<&'static str> = Optional "cgroupsPath",
        /// The limits that the cgroup enforces.
        resources: Option<Resources> = Optional "resources",
        /// The filter of system calls.
        seccomp: Option<Seccomp> = Optional "seccomp",
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
        /// Shares of the processors' caches and of memory bandwidth.
        intel_rdt: Option<IntelRdt> = Optional "intelRdt",
        /// Whose system calls the container's are like.
        personality: Option<Personality> = Optional "personality",
        /// From which nodes its memory is.
        memory_policy: Option<MemoryPolicy> = Optional "memoryPolicy",
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
