//! What may be limited, as data. Units and meanings are those of the runtime specification's `linux.resources`.

use alloc::string::String;
use alloc::vec::Vec;

use super::devices::DeviceRule;

/// Limits to put on a group; what is `None` or empty is left as the kernel has it.
///
/// # Source
/// The runtime specification's `config-linux.md`, "Control groups"; docker's `--memory-swap` semantics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory; -1 is no limit.
    pub memory: Option<i64>,
    /// Bytes of memory that the group is brought back to, or left alone below, when the host is short of it; -1 is no limit.
    pub memory_reservation: Option<i64>,
    /// Bytes of memory and swap together; -1 is no limit on swap; the same as `memory` is no swap at all.
    pub memory_swap: Option<i64>,
    /// How gladly anonymous memory is swapped, 0 to 100; v1 only.
    pub memory_swappiness: Option<u64>,
    /// Bytes of kernel memory; v1 only, and gone from Linux 5.16 on.
    pub memory_kernel: Option<i64>,
    /// Bytes of kernel memory for TCP buffers; v1 only.
    pub memory_kernel_tcp: Option<i64>,
    /// Whether processes wait for memory at the limit instead of being killed; v1 only.
    pub oom_kill_disable: bool,

    /// Share of the processors relative to other groups, 2 to 262144; 0 counts as not given.
    pub cpu_shares: Option<u64>,
    /// Microseconds of processor time per period; -1 is no limit.
    pub cpu_quota: Option<i64>,
    /// Microseconds of a period.
    pub cpu_period: Option<u64>,
    /// Microseconds of quota that may be saved up.
    pub cpu_burst: Option<u64>,
    /// Whether the group only runs when nothing else wants to (1) or as usual (0).
    pub cpu_idle: Option<i64>,
    /// Microseconds of a real-time period; v1 only.
    pub cpu_realtime_period: Option<u64>,
    /// Microseconds of real-time scheduling per period; v1 only.
    pub cpu_realtime_runtime: Option<i64>,
    /// Processors, as a list: `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// NUMA nodes, as a list.
    pub cpuset_mems: Option<String>,

    /// Processes and threads; -1 is no limit.
    pub pids: Option<i64>,

    /// Share of the block devices relative to other groups, 10 to 1000.
    pub block_weight: Option<u16>,
    /// Share relative to the group's own children, 10 to 1000; v1 only, and gone with the CFQ scheduler (Linux 5.0).
    pub block_leaf_weight: Option<u16>,
    /// Shares of single devices.
    pub block_weights: Vec<BlockWeight>,
    /// Rates of single devices.
    pub block_throttles: Vec<BlockThrottle>,

    /// Bytes of huge pages by page size as the kernel writes it (`2MB`).
    pub hugepages: Vec<(String, u64)>,
    /// RDMA resources by adapter.
    pub rdma: Vec<(String, Rdma)>,
    /// The class that the group's packets bear; v1 only.
    pub network_class: Option<u32>,
    /// Priorities of the group's packets by interface; v1 only.
    pub network_priorities: Vec<(String, u32)>,

    /// Which devices may be used, later rules going before earlier ones; none at all leaves them all to be used, otherwise
    /// what no rule speaks of is denied.
    pub devices: Vec<DeviceRule>,

    /// Files of v2 with the values to write to them as they are.
    pub unified: Vec<(String, String)>,
}

/// A block device's major and minor number.
pub type BlockDevice = (u32, u32);

/// A device's shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockWeight {
    /// The device.
    pub device: BlockDevice,
    /// Share relative to other groups, 10 to 1000.
    pub weight: Option<u16>,
    /// Share relative to the group's own children, 10 to 1000; v1 only.
    pub leaf_weight: Option<u16>,
}

/// A limit on a device's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockThrottle {
    /// The device.
    pub device: BlockDevice,
    /// What is counted.
    pub kind: ThrottleKind,
    /// How much of it per second.
    pub rate: u64,
}

/// What a [`BlockThrottle`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleKind {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Reads.
    Reads,
    /// Writes.
    Writes,
}

/// Limits on an RDMA adapter; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rdma {
    /// Handles of the adapter.
    pub handles: Option<u32>,
    /// Objects of the adapter.
    pub objects: Option<u32>,
}
