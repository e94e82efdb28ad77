//! Resource limits of the specification to those of the control groups.

use alloc::string::String;
use alloc::vec::Vec;

use super::spec::{BlockIo, DeviceRate, DeviceRule, Resources};
use crate::base::error::{Error, Result};
use crate::base::keep::text;
use crate::kernel::cgroup::{self, Access, BlockThrottle, BlockWeight, DeviceKind, Limits, ThrottleKind};

/// Converts them.
///
/// # Errors
/// A value that no control group can hold; the error names the member.
#[inline(never)]
pub fn limits(resources: &Resources) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(memory) = &resources.memory {
        limits.memory = memory.limit;
        limits.memory_reservation = memory.reservation;
        limits.memory_swap = memory.swap;
        limits.memory_swappiness = memory.swappiness;
        limits.memory_kernel = memory.kernel;
        limits.memory_kernel_tcp = memory.kernel_tcp;
        limits.oom_kill_disable = memory.disable_oom_killer.unwrap_or(false);
    }
    if let Some(cpu) = &resources.cpu {
        limits.cpu_shares = cpu.shares;
        limits.cpu_quota = cpu.quota;
        limits.cpu_period = cpu.period;
        limits.cpu_burst = cpu.burst;
        limits.cpu_idle = cpu.idle;
        limits.cpu_realtime_period = cpu.realtime_period;
        limits.cpu_realtime_runtime = cpu.realtime_runtime;
        limits.cpuset_cpus = cpu.cpus.map(String::from);
        limits.cpuset_mems = cpu.mems.map(String::from);
    }
    limits.pids = resources.pids.as_ref().and_then(|pids| pids.limit);
    if let Some(block) = &resources.block_io {
        blocks(&mut limits, block)?;
    }
    for page in &resources.hugepage_limits {
        limits.hugepages.push((page.page_size.into(), page.limit));
    }
    for rule in &resources.devices {
        limits.devices.push(device(rule)?);
    }
    for &(file, value) in &resources.unified {
        limits.unified.push((file.into(), value.into()));
    }
    Ok(limits)
}

fn number(value: i64, member: &str) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::new(text!("linux.resources.{member}: {value} is no device number")))
}

fn blocks(limits: &mut Limits, block: &BlockIo) -> Result<()> {
    limits.block_weight = block.weight;
    limits.block_leaf_weight = block.leaf_weight;
    for entry in &block.weight_device {
        let device = (number(entry.major, "blockIO.weightDevice")?, number(entry.minor, "blockIO.weightDevice")?);
        limits.block_weights.push(BlockWeight { device, weight: entry.weight, leaf_weight: entry.leaf_weight });
    }
    let kinds: [(&Vec<DeviceRate>, ThrottleKind); 4] = [
        (&block.throttle_read_bps_device, ThrottleKind::ReadBytes),
        (&block.throttle_write_bps_device, ThrottleKind::WriteBytes),
        (&block.throttle_read_iops_device, ThrottleKind::Reads),
        (&block.throttle_write_iops_device, ThrottleKind::Writes),
    ];
    for (rates, kind) in kinds {
        for entry in rates {
            let device = (number(entry.major, "blockIO.throttle")?, number(entry.minor, "blockIO.throttle")?);
            limits.block_throttles.push(BlockThrottle { device, kind, rate: entry.rate });
        }
    }
    Ok(())
}

fn device(rule: &DeviceRule) -> Result<cgroup::DeviceRule> {
    let kind = match rule.kind {
        None | Some("a") => DeviceKind::All,
        Some("c" | "u") => DeviceKind::Character,
        Some("b") => DeviceKind::Block,
        Some(other) => return Err(Error::new(text!("linux.resources.devices: unknown type {other}"))),
    };
    // -1 is what docker and runc write for any number.
    let any = |value: Option<i64>| match value {
        Some(value) if value >= 0 => number(value, "devices").map(Some),
        _ => Ok(None),
    };
    let letters = rule.access.unwrap_or("rwm");
    let Some(access) = Access::parse(letters) else {
        return Err(Error::new(text!("linux.resources.devices: access {letters} is not made of r, w and m")));
    };
    Ok(cgroup::DeviceRule { allow: rule.allow, kind, major: any(rule.major)?, minor: any(rule.minor)?, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_members_is_about_every_device_and_use() {
        let everything = device(&DeviceRule { allow: false, ..DeviceRule::default() }).unwrap();
        assert_eq!((everything.kind, everything.major, everything.access), (DeviceKind::All, None, Access::ALL));
        let any = DeviceRule { allow: true, kind: Some("c"), major: Some(136), minor: Some(-1), access: Some("rw") };
        let any = device(&any).unwrap();
        assert_eq!((any.kind, any.major, any.minor, any.access.mknod), (DeviceKind::Character, Some(136), None, false));
    }

    #[test]
    fn nonsense_is_refused_by_member() {
        for (rule, expected) in [
            (DeviceRule { kind: Some("z"), ..DeviceRule::default() }, "unknown type z"),
            (DeviceRule { access: Some("x"), ..DeviceRule::default() }, "access x"),
            (DeviceRule { major: Some(1 << 40), ..DeviceRule::default() }, "no device number"),
        ] {
            let error = device(&rule).unwrap_err().to_string();
            assert!(error.contains("linux.resources.devices") && error.contains(expected), "{error}");
        }
    }
}
