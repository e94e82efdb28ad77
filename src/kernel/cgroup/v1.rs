//! Limits as files of v1; kernel `Documentation/admin-guide/cgroup-v1/`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::devices::{Access, DeviceKind, DeviceRule};
use super::limits::{Limits, ThrottleKind};

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The controller, by its v1 name.
    pub controller: &'static str,
    /// What it was asked for by.
    pub option: &'static str,
    /// The file in the group's directory.
    pub file: Cow<'static, str>,
    /// What to write to it.
    pub value: String,
    /// What to write where instead when the file does not exist.
    pub fallback: Option<(&'static str, String)>,
}

/// Gathers writes.
#[derive(Default)]
pub(super) struct Writes(pub(super) Vec<Write>);

/// A value that is not yet a text: rows of these are plain data, which keeps the code small.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Signed(i64),
    /// Below zero it is `max`, as v2 and the younger controllers of v1 write it.
    Limit(i64),
    Unsigned(u64),
    Text(&'a str),
}

/// Controller, option, file, value: a limit that is one number or text in one file.
pub(super) type Row<'a> = (&'static str, &'static str, &'static str, Option<Value<'a>>);

impl Writes {
    pub(super) fn rows(&mut self, rows: &[Row<'_>]) {
        for (controller, option, file, value) in rows {
            let value = match value {
                None => continue,
                Some(Value::Limit(number)) if *number < 0 => "max".to_string(),
                Some(Value::Signed(number) | Value::Limit(number)) => number.to_string(),
                Some(Value::Unsigned(number)) => number.to_string(),
                Some(Value::Text(text)) => (*text).to_string(),
            };
            self.add(controller, option, *file, value);
        }
    }

    pub(super) fn add(
        &mut self,
        controller: &'static str,
        option: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: String,
    ) {
        self.0.push(Write { controller, option, file: file.into(), value, fallback: None });
    }

    /// With another file to write when the first does not exist.
    pub(super) fn either(
        &mut self,
        option: &'static str,
        (file, value): (&'static str, String),
        fallback: (&'static str, String),
    ) {
        let controller = "blkio";
        self.0.push(Write { controller, option, file: file.into(), value, fallback: Some(fallback) });
    }
}

pub(super) fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// The writes in the order in which the kernel takes them.
///
/// `memsw_now` is the present limit on memory and swap together when a group that exists is changed.
pub(super) fn writes(limits: &Limits, memsw_now: Option<u64>) -> Vec<Write> {
    let mut writes = Writes::default();
    memory(limits, memsw_now, &mut writes);
    cpu(limits, &mut writes);
    writes.rows(&[
        ("cpuset", "--cpuset-cpus", "cpuset.cpus", limits.cpuset_cpus.as_deref().map(Value::Text)),
        ("cpuset", "--cpuset-mems", "cpuset.mems", limits.cpuset_mems.as_deref().map(Value::Text)),
        ("pids", "--pids-limit", "pids.max", limits.pids.map(Value::Limit)),
    ]);
    block(limits, &mut writes);
    for (size, bytes) in &limits.hugepages {
        let file = format!("hugetlb.{size}.limit_in_bytes");
        writes.add("hugetlb", "linux.resources.hugepageLimits", file, bytes.to_string());
    }
    rdma(limits, &mut writes);
    writes.rows(&[(
        "net_cls",
        "linux.resources.network.classID",
        "net_cls.classid",
        limits.network_class.map(|class| Value::Unsigned(class.into())),
    )]);
    for (interface, priority) in &limits.network_priorities {
        let value = format!("{interface} {priority}");
        writes.add("net_prio", "linux.resources.network.priorities", "net_prio.ifpriomap", value);
    }
    devices(&limits.devices, &mut writes);
    writes.0
}

/// The limit on memory must never be above that on memory and swap together: raised, the latter goes first; lowered, last.
fn memory(limits: &Limits, memsw_now: Option<u64>, writes: &mut Writes) {
    let limit = ("memory", "--memory", "memory.limit_in_bytes", limits.memory.map(Value::Signed));
    let both = ("memory", "--memory-swap", "memory.memsw.limit_in_bytes", limits.memory_swap.map(Value::Signed));
    // -1 as an unsigned number is above everything, as it is meant.
    let raised = match (limits.memory, memsw_now) {
        (Some(limit), Some(now)) => limit as u64 > now,
        _ => false,
    };
    writes.rows(&if raised { [both, limit] } else { [limit, both] });
    writes.rows(&[
        ("memory", "--memory-reservation", "memory.soft_limit_in_bytes", limits.memory_reservation.map(Value::Signed)),
        ("memory", "--kernel-memory", "memory.kmem.limit_in_bytes", limits.memory_kernel.map(Value::Signed)),
        (
            "memory",
            "linux.resources.memory.kernelTCP",
            "memory.kmem.tcp.limit_in_bytes",
            limits.memory_kernel_tcp.map(Value::Signed),
        ),
        ("memory", "--memory-swappiness", "memory.swappiness", limits.memory_swappiness.map(Value::Unsigned)),
        ("memory", "--oom-kill-disable", "memory.oom_control", limits.oom_kill_disable.then_some(Value::Signed(1))),
    ]);
}

/// A group that is idle refuses shares (`sched_group_set_shares`), so leaving that state goes first and entering it last.
/// The period goes before the quota, which is checked against it, and the burst may not be above the quota.
fn cpu(limits: &Limits, writes: &mut Writes) {
    let shares =
        ("cpu", "--cpu-shares", "cpu.shares", limits.cpu_shares.filter(|shares| *shares != 0).map(Value::Unsigned));
    let idle = ("cpu", "linux.resources.cpu.idle", "cpu.idle", limits.cpu_idle.map(Value::Signed));
    writes.rows(&if limits.cpu_idle == Some(0) { [idle, shares] } else { [shares, idle] });
    writes.rows(&[
        ("cpu", "--cpu-period", "cpu.cfs_period_us", limits.cpu_period.map(Value::Unsigned)),
        ("cpu", "--cpu-quota", "cpu.cfs_quota_us", limits.cpu_quota.map(Value::Signed)),
        ("cpu", "linux.resources.cpu.burst", "cpu.cfs_burst_us", limits.cpu_burst.map(Value::Unsigned)),
        ("cpu", "--cpu-rt-period", "cpu.rt_period_us", limits.cpu_realtime_period.map(Value::Unsigned)),
        ("cpu", "--cpu-rt-runtime", "cpu.rt_runtime_us", limits.cpu_realtime_runtime.map(Value::Signed)),
    ]);
}

/// `blkio.weight` was CFQ's and went with it in Linux 5.0; BFQ's own file is there when that scheduler is.
fn block(limits: &Limits, writes: &mut Writes) {
    if let Some(weight) = text(limits.block_weight) {
        writes.either("--blkio-weight", ("blkio.weight", weight.clone()), ("blkio.bfq.weight", weight));
    }
    writes.rows(&[(
        "blkio",
        "linux.resources.blockIO.leafWeight",
        "blkio.leaf_weight",
        limits.block_leaf_weight.map(|weight| Value::Unsigned(weight.into())),
    )]);
    for device in &limits.block_weights {
        let (major, minor) = device.device;
        if let Some(weight) = device.weight {
            let value = format!("{major}:{minor} {weight}");
            let fallback = ("blkio.bfq.weight_device", value.clone());
            writes.either("--blkio-weight-device", ("blkio.weight_device", value), fallback);
        }
        if let Some(weight) = device.leaf_weight {
            let value = format!("{major}:{minor} {weight}");
            writes.add("blkio", "linux.resources.blockIO.weightDevice", "blkio.leaf_weight_device", value);
        }
    }
    for throttle in &limits.block_throttles {
        let (major, minor) = throttle.device;
        let file = match throttle.kind {
            ThrottleKind::ReadBytes => "blkio.throttle.read_bps_device",
            ThrottleKind::WriteBytes => "blkio.throttle.write_bps_device",
            ThrottleKind::Reads => "blkio.throttle.read_iops_device",
            ThrottleKind::Writes => "blkio.throttle.write_iops_device",
        };
        writes.add("blkio", throttle.kind.option(), file, format!("{major}:{minor} {}", throttle.rate));
    }
}

impl ThrottleKind {
    pub(super) fn option(self) -> &'static str {
        match self {
            ThrottleKind::ReadBytes => "--device-read-bps",
            ThrottleKind::WriteBytes => "--device-write-bps",
            ThrottleKind::Reads => "--device-read-iops",
            ThrottleKind::Writes => "--device-write-iops",
        }
    }
}

/// The same file and syntax in v1 and v2; `Documentation/admin-guide/cgroup-v1/rdma.rst`.
pub(super) fn rdma(limits: &Limits, writes: &mut Writes) {
    for (adapter, rdma) in &limits.rdma {
        let handles = text(rdma.handles).unwrap_or("max".to_string());
        let objects = text(rdma.objects).unwrap_or("max".to_string());
        let value = format!("{adapter} hca_handle={handles} hca_object={objects}");
        writes.add("rdma", "linux.resources.rdma", "rdma.max", value);
    }
}

/// Everything is denied first; the kernel keeps what follows as exceptions, `Documentation/admin-guide/cgroup-v1/devices.rst`.
fn devices(rules: &[DeviceRule], writes: &mut Writes) {
    if rules.is_empty() {
        return;
    }
    writes.add("devices", "--device", "devices.deny", "a".to_string());
    // A specification begins by denying everything once more, as a rule.
    let again = |rule: &&DeviceRule| !rule.allow && rule.is_everything();
    for rule in rules.iter().skip_while(again) {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        if rule.is_everything() {
            writes.add("devices", "--device", file, "a".to_string());
            continue;
        }
        // `a` with numbers stands for both kinds here; to the kernel it means all devices, whatever follows.
        let kinds: &[char] = match rule.kind {
            DeviceKind::All => &['b', 'c'],
            DeviceKind::Block => &['b'],
            DeviceKind::Character => &['c'],
        };
        for kind in kinds {
            let number = |number| text::<u32>(number).unwrap_or("*".to_string());
            let access = access(rule.access);
            let value = format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor));
            writes.add("devices", "--device", file, value);
        }
    }
}

fn access(access: Access) -> String {
    let letters = [(access.read, 'r'), (access.write, 'w'), (access.mknod, 'm')];
    letters.into_iter().filter_map(|(set, letter)| set.then_some(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn files(limits: &Limits, memsw_now: Option<u64>) -> Vec<(String, String)> {
        writes(limits, memsw_now).into_iter().map(|write| (write.file.into_owned(), write.value)).collect()
    }

    fn pair(file: &str, value: &str) -> (String, String) {
        (file.to_string(), value.to_string())
    }

    #[test]
    fn memory_goes_before_memory_and_swap_in_a_fresh_group_and_when_lowered() {
        let limits = Limits { memory: Some(1 << 20), memory_swap: Some(2 << 20), ..Limits::default() };
        let order = [pair("memory.limit_in_bytes", "1048576"), pair("memory.memsw.limit_in_bytes", "2097152")];
        assert_eq!(files(&limits, None), order);
        assert_eq!(files(&limits, Some(4 << 20)), order);
    }

    #[test]
    fn memory_and_swap_goes_first_when_memory_is_raised_above_it() {
        let limits = Limits { memory: Some(8 << 20), memory_swap: Some(-1), ..Limits::default() };
        let order = [pair("memory.memsw.limit_in_bytes", "-1"), pair("memory.limit_in_bytes", "8388608")];
        assert_eq!(files(&limits, Some(4 << 20)), order);
        let unlimited = Limits { memory: Some(-1), memory_swap: Some(-1), ..Limits::default() };
        assert_eq!(files(&unlimited, Some(4 << 20))[0].0, "memory.memsw.limit_in_bytes");
    }

    #[test]
    fn the_idle_state_is_left_before_and_entered_after_shares() {
        let limits = |idle| Limits { cpu_shares: Some(512), cpu_idle: Some(idle), ..Limits::default() };
        assert_eq!(files(&limits(0), None), [pair("cpu.idle", "0"), pair("cpu.shares", "512")]);
        assert_eq!(files(&limits(1), None), [pair("cpu.shares", "512"), pair("cpu.idle", "1")]);
    }

    #[test]
    fn the_period_goes_before_the_quota_and_that_before_the_burst() {
        let limits = Limits { cpu_quota: Some(50), cpu_period: Some(100), cpu_burst: Some(25), ..Limits::default() };
        let order = [pair("cpu.cfs_period_us", "100"), pair("cpu.cfs_quota_us", "50"), pair("cpu.cfs_burst_us", "25")];
        assert_eq!(files(&limits, None), order);
    }

    #[test]
    fn devices_are_all_denied_first_and_then_follow_the_rules_in_order() {
        let rule = |allow, kind, major, minor, access: &str| DeviceRule {
            allow,
            kind,
            major,
            minor,
            access: Access::parse(access).unwrap(),
        };
        let devices = vec![
            rule(false, DeviceKind::All, None, None, "rwm"),
            rule(true, DeviceKind::Character, Some(1), Some(3), "rwm"),
            rule(true, DeviceKind::Character, None, None, "m"),
            rule(false, DeviceKind::All, Some(8), None, "w"),
        ];
        let expected = [
            pair("devices.deny", "a"),
            pair("devices.allow", "c 1:3 rwm"),
            pair("devices.allow", "c *:* m"),
            pair("devices.deny", "b 8:* w"),
            pair("devices.deny", "c 8:* w"),
        ];
        assert_eq!(files(&Limits { devices, ..Limits::default() }, None), expected);
    }

    #[test]
    fn nothing_asked_is_nothing_written() {
        assert_eq!(files(&Limits::default(), None), []);
        assert_eq!(files(&Limits { cpu_shares: Some(0), ..Limits::default() }, None), []);
    }
}
