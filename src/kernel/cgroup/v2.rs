//! Limits as files of v2; kernel `Documentation/admin-guide/cgroup-v2.rst`.
//!
//! The conversions are those of the runtime specification's implementations, so that a bundle means the same here.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::limits::{Limits, ThrottleKind};
use super::v1::{Value, Write, Writes, rdma};
use crate::base::error::Error;

/// The period that the kernel starts with, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

/// The writes in order, and what v2 has no file for, by controller (as v1 calls it).
pub(super) fn writes(limits: &Limits) -> (Vec<Write>, Vec<(&'static str, Error)>) {
    let mut writes = Writes::default();
    let mut unmet = unsupported(limits);
    writes.rows(&[
        ("memory", "--memory", "memory.max", limits.memory.map(Value::Limit)),
        ("memory", "--memory-reservation", "memory.low", limits.memory_reservation.map(Value::Limit)),
    ]);
    match swap(limits) {
        Ok(value) => writes.rows(&[("memory", "--memory-swap", "memory.swap.max", value)]),
        Err(error) => unmet.push(("memory", error)),
    }
    cpu(limits, &mut writes);
    writes.rows(&[
        ("cpuset", "--cpuset-cpus", "cpuset.cpus", limits.cpuset_cpus.as_deref().map(Value::Text)),
        ("cpuset", "--cpuset-mems", "cpuset.mems", limits.cpuset_mems.as_deref().map(Value::Text)),
        ("pids", "--pids-limit", "pids.max", limits.pids.map(Value::Limit)),
    ]);
    block(limits, &mut writes);
    for (size, bytes) in &limits.hugepages {
        let file = format!("hugetlb.{size}.max");
        writes.add("hugetlb", "linux.resources.hugepageLimits", file, bytes.to_string());
    }
    rdma(limits, &mut writes);
    (writes.0, unmet)
}

fn unsupported(limits: &Limits) -> Vec<(&'static str, Error)> {
    let asked = [
        ("memory", "--memory-swappiness", limits.memory_swappiness.is_some()),
        ("memory", "--kernel-memory", limits.memory_kernel.is_some()),
        ("memory", "linux.resources.memory.kernelTCP", limits.memory_kernel_tcp.is_some()),
        ("memory", "--oom-kill-disable", limits.oom_kill_disable),
        ("cpu", "--cpu-rt-period", limits.cpu_realtime_period.is_some()),
        ("cpu", "--cpu-rt-runtime", limits.cpu_realtime_runtime.is_some()),
        ("blkio", "linux.resources.blockIO.leafWeight", limits.block_leaf_weight.is_some()),
        (
            "blkio",
            "linux.resources.blockIO.weightDevice.leafWeight",
            limits.block_weights.iter().any(|device| device.leaf_weight.is_some()),
        ),
    ];
    let mut absent = Vec::new();
    for (controller, option, _) in asked.iter().filter(|(.., asked)| *asked) {
        let error = Error::new(format!("{option} can't be enforced: cgroup v2 has nothing like it"));
        absent.push((*controller, error.hint("leave it out, or use --best-effort")));
    }
    absent
}

/// v2 limits swap alone, where the option is about memory and swap together.
fn swap(limits: &Limits) -> Result<Option<Value<'static>>, Error> {
    match (limits.memory_swap, limits.memory) {
        (None, _) => Ok(None),
        (Some(both), _) if both < 0 => Ok(Some(Value::Limit(-1))),
        (Some(both), Some(memory)) if memory >= 0 && both >= memory => Ok(Some(Value::Limit(both - memory))),
        (Some(_), Some(memory)) if memory >= 0 => {
            Err(Error::new("--memory-swap is memory and swap together and can't be below --memory"))
        }
        _ => Err(Error::new("--memory-swap is memory and swap together and needs a limit on --memory")),
    }
}

/// As in v1, the idle state is left first and entered last.
fn cpu(limits: &Limits, writes: &mut Writes) {
    let shares = limits.cpu_shares.filter(|shares| *shares != 0);
    let weight = ("cpu", "--cpu-shares", "cpu.weight", shares.map(|shares| Value::Unsigned(weight_of_shares(shares))));
    let idle = ("cpu", "linux.resources.cpu.idle", "cpu.idle", limits.cpu_idle.map(Value::Signed));
    writes.rows(&if limits.cpu_idle == Some(0) { [idle, weight] } else { [weight, idle] });
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        let option = if limits.cpu_quota.is_some() { "--cpu-quota" } else { "--cpu-period" };
        let period = limits.cpu_period.unwrap_or(DEFAULT_PERIOD);
        let value = match limits.cpu_quota {
            Some(quota) if quota >= 0 => format!("{quota} {period}"),
            _ => format!("max {period}"),
        };
        writes.add("cpu", option, "cpu.max", value);
    }
    writes.rows(&[("cpu", "linux.resources.cpu.burst", "cpu.max.burst", limits.cpu_burst.map(Value::Unsigned))]);
}

/// BFQ's file takes v1's range (and 1 to 9); that of the cost model 1 to 10000. The former is there when that scheduler is.
fn block(limits: &Limits, writes: &mut Writes) {
    if let Some(weight) = limits.block_weight {
        let converted = io_weight(weight).to_string();
        writes.either("--blkio-weight", ("io.bfq.weight", weight.to_string()), ("io.weight", converted));
    }
    for device in &limits.block_weights {
        let (major, minor) = device.device;
        if let Some(weight) = device.weight {
            let value = |weight: u64| format!("{major}:{minor} {weight}");
            let fallback = ("io.weight", value(io_weight(weight)));
            writes.either("--blkio-weight-device", ("io.bfq.weight", value(u64::from(weight))), fallback);
        }
    }
    for throttle in &limits.block_throttles {
        let (major, minor) = throttle.device;
        let key = match throttle.kind {
            ThrottleKind::ReadBytes => "rbps",
            ThrottleKind::WriteBytes => "wbps",
            ThrottleKind::Reads => "riops",
            ThrottleKind::Writes => "wiops",
        };
        writes.add("blkio", throttle.kind.option(), "io.max", format!("{major}:{minor} {key}={}", throttle.rate));
    }
}

/// 2 – 262144 to 1 – 10000, the ends on the ends.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// 10 – 1000 to 1 – 10000, the ends on the ends.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cgroup::limits::{BlockThrottle, BlockWeight};
    use std::string::String;
    use std::vec;

    fn files(limits: &Limits) -> Vec<String> {
        let (writes, unmet) = writes(limits);
        assert!(unmet.is_empty(), "{unmet:?}");
        writes.iter().map(|write| format!("{}={}", write.file, write.value)).collect()
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        let limits = |memory, both| Limits { memory: Some(memory), memory_swap: Some(both), ..Limits::default() };
        assert_eq!(files(&limits(100, 300)), ["memory.max=100", "memory.swap.max=200"]);
        assert_eq!(files(&limits(100, 100)), ["memory.max=100", "memory.swap.max=0"]);
        assert_eq!(files(&limits(-1, -1)), ["memory.max=max", "memory.swap.max=max"]);
        for (memory, both) in [(Some(300), 100), (Some(-1), 100), (None, 100)] {
            let limits = Limits { memory, memory_swap: Some(both), ..Limits::default() };
            assert_eq!(writes(&limits).1.len(), 1, "{memory:?} {both}");
        }
    }

    #[test]
    fn shares_and_weights_keep_their_ends_and_their_usual_values() {
        assert_eq!([0, 2, 1024, 262_144, u64::MAX].map(weight_of_shares), [1, 1, 39, 10000, 10000]);
        assert_eq!([0, 10, 500, 1000, u16::MAX].map(io_weight), [1, 1, 4950, 10000, 10000]);
    }

    #[test]
    fn quota_and_period_share_a_file() {
        let limits = |quota, period| Limits { cpu_quota: quota, cpu_period: period, ..Limits::default() };
        assert_eq!(files(&limits(Some(50_000), None)), ["cpu.max=50000 100000"]);
        assert_eq!(files(&limits(Some(-1), Some(200))), ["cpu.max=max 200"]);
        assert_eq!(files(&limits(None, Some(200))), ["cpu.max=max 200"]);
    }

    #[test]
    fn block_devices_have_one_file_with_keys() {
        let throttle = |kind, rate| BlockThrottle { device: (254, 0), kind, rate };
        let limits = Limits {
            block_throttles: vec![throttle(ThrottleKind::ReadBytes, 1), throttle(ThrottleKind::Writes, 2)],
            block_weights: vec![BlockWeight { device: (8, 0), weight: Some(10), leaf_weight: None }],
            ..Limits::default()
        };
        assert_eq!(files(&limits), ["io.bfq.weight=8:0 10", "io.max=254:0 rbps=1", "io.max=254:0 wiops=2"]);
        assert_eq!(writes(&limits).0[0].fallback, Some(("io.weight", "8:0 1".to_string())));
    }

    #[test]
    fn what_only_v1_has_is_unmet_and_names_the_option() {
        let limits = Limits { memory_swappiness: Some(1), oom_kill_disable: true, ..Limits::default() };
        let unmet = writes(&limits).1;
        assert!(unmet[0].1.to_string().contains("--memory-swappiness"));
        assert!(unmet[1].1.to_string().contains("--oom-kill-disable"));
    }
}
