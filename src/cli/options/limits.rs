//! What cgroups enforce. Bounds are the kernel's, or docker's where docker is stricter.

use alloc::vec::Vec;

use super::mounts::is_access;
use super::{Read, SIZE, conflict, number, size};
use crate::base::error::Result;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;
use crate::cli::parse::{Given, Parsed};

/// The least memory that a container can start in, as docker's.
const MEMORY_MIN: u64 = 6 << 20;
/// The kernel's default period in microseconds.
const PERIOD: u64 = 100_000;
/// The kernel's least quota in microseconds.
const QUOTA_MIN: i64 = 1_000;

/// A limit on the throughput of one block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// The device's path on the host.
    pub path: &'static str,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// Device nodes that may be used, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule<'a> {
    /// `c` for character, `b` for block, `a` for both.
    pub kind: u8,
    /// The major number; `None` for any.
    pub major: Option<u32>,
    /// The minor number; `None` for any.
    pub minor: Option<u32>,
    /// What is allowed: letters of `rwm`.
    pub access: &'a str,
}

/// Every limit; `None` where none was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Limits<'a> {
    /// `--memory` in bytes.
    pub memory: Option<u64>,
    /// `--memory-reservation` in bytes.
    pub memory_reservation: Option<u64>,
    /// `--memory-high` in bytes.
    pub memory_high: Option<u64>,
    /// `--memory-swap`: memory and swap together in bytes; -1 for no limit.
    pub memory_swap: Option<i64>,
    /// `--memory-swappiness`, 0 to 100.
    pub swappiness: Option<u8>,
    /// `--oom-kill-disable`.
    pub oom_kill_disable: bool,
    /// `--cpu-quota`, or what `--cpus` comes to, in microseconds; -1 for no limit.
    pub cpu_quota: Option<i64>,
    /// `--cpu-period`, or that of `--cpus`, in microseconds.
    pub cpu_period: Option<u64>,
    /// `--cpu-shares`, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// `--cpuset-cpus`: a list as `cpuset(7)` writes it.
    pub cpuset_cpus: Option<&'a str>,
    /// `--cpuset-mems`, likewise.
    pub cpuset_mems: Option<&'a str>,
    /// `--pids-limit`; -1 for no limit.
    pub pids: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `--device-read-bps`.
    pub read_bps: Vec<Throttle>,
    /// `--device-write-bps`.
    pub write_bps: Vec<Throttle>,
    /// `--device-read-iops`.
    pub read_iops: Vec<Throttle>,
    /// `--device-write-iops`.
    pub write_iops: Vec<Throttle>,
    /// `--device-cgroup-rule`.
    pub device_rules: Vec<DeviceRule<'a>>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<&'a str>,
}

impl<'a> Limits<'a> {
    /// Takes a flag in; false if it belongs elsewhere.
    pub(in crate::cli) fn set(&mut self, given: &Given<'a>) -> Result<bool> {
        match given.flag.id {
            Id::Memory => self.memory = Some(size(given, MEMORY_MIN)?),
            Id::MemoryReservation => self.memory_reservation = Some(size(given, MEMORY_MIN)?),
            Id::MemoryHigh => self.memory_high = Some(size(given, MEMORY_MIN)?),
            Id::MemorySwap if given.value == b"-1" => self.memory_swap = Some(-1),
            Id::MemorySwap => self.memory_swap = Some(size(given, MEMORY_MIN)?.try_into().unwrap_or(i64::MAX)),
            Id::MemorySwappiness => self.swappiness = Some(number(given, 0, 100)? as u8),
            Id::Cpus => (self.cpu_quota, self.cpu_period) = (Some(cpus(given)?), Some(PERIOD)),
            Id::CpuQuota if given.value == b"-1" => self.cpu_quota = Some(-1),
            Id::CpuQuota => self.cpu_quota = Some(quota(given)?),
            Id::CpuPeriod => self.cpu_period = Some(number(given, 1_000, 1_000_000)? as u64),
            Id::CpuShares => self.cpu_shares = Some(number(given, 2, 262_144)? as u64),
            Id::CpusetCpus => self.cpuset_cpus = Some(cpu_list(given)?),
            Id::CpusetMems => self.cpuset_mems = Some(cpu_list(given)?),
            Id::PidsLimit => self.pids = Some(pids(given)?),
            Id::BlkioWeight => self.blkio_weight = Some(number(given, 10, 1000)? as u16),
            Id::DeviceReadBps => throttle(&mut self.read_bps, given, true)?,
            Id::DeviceWriteBps => throttle(&mut self.write_bps, given, true)?,
            Id::DeviceReadIops => throttle(&mut self.read_iops, given, false)?,
            Id::DeviceWriteIops => throttle(&mut self.write_iops, given, false)?,
            Id::DeviceCgroupRule => self.device_rules.push(device_rule(given)?),
            Id::CgroupParent => self.cgroup_parent = Some(cgroup_parent(given)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the limits fit together.
    pub(in crate::cli) fn check(&self, parsed: &Parsed<'a>) -> Result<()> {
        for id in [Id::CpuQuota, Id::CpuPeriod] {
            if let (Some(_), Some(other)) = (parsed.last(Id::Cpus), parsed.last(id)) {
                let why = phrase!("--cpus sets both quota and period");
                return Err(conflict(
                    "cpus",
                    other.flag.long(),
                    why,
                    phrase!("--cpus, or --cpu-quota with --cpu-period"),
                ));
            }
        }
        // `update` may be given one of two, where the other is the container's already.
        let memory = parsed.last(Id::Memory);
        let below =
            |id, value: Option<u64>| match (parsed.last(id), memory, value, self.memory) {
                (Some(given), _, Some(value), Some(memory)) if value > memory => {
                    Err(given.refuse(phrase!("above --memory"), phrase!("a size of at most --memory")))
                }
                (None, Some(given), Some(value), Some(memory)) if value > memory => Err(given
                    .refuse(phrase!("below --memory-reservation"), phrase!("a size of at least --memory-reservation"))),
                _ => Ok(()),
            };
        below(Id::MemoryReservation, self.memory_reservation)?;
        below(Id::MemoryHigh, self.memory_high)?;
        if let (Some(given), Some(swap)) = (parsed.last(Id::MemorySwap), self.memory_swap) {
            let form = phrase!("-1 for no limit, or a size of at least --memory, which must be given too");
            let memory = given.check(self.memory, phrase!("--memory is not given"), form)?;
            given.check(
                (swap == -1 || swap as u64 >= memory).then_some(()),
                phrase!("below --memory, which it includes"),
                form,
            )?;
        } else if let (Some(given), Some(swap @ 0..), Some(limit)) = (memory, self.memory_swap, self.memory) {
            let form =
                phrase!("a size of at most --memory-swap, which includes it and can be changed at the same time");
            given.check((limit <= swap as u64).then_some(()), phrase!("above --memory-swap"), form)?;
        }
        Ok(())
    }
}

/// CPUs in billionths to microseconds of each period.
fn cpus(given: &Given<'_>) -> Result<i64> {
    let form = phrase!("a number of CPUs with at most nine decimals, such as 1.5; at least 0.01");
    let billionths = given.check(text::billionths(given.text()?), phrase!("not a number of CPUs"), form)?;
    let quota = (billionths / (1_000_000_000 / PERIOD)) as i64;
    if quota < QUOTA_MIN { Err(given.refuse(phrase!("too small"), form)) } else { Ok(quota) }
}

fn quota(given: &Given<'_>) -> Result<i64> {
    let form = phrase!("microseconds, at least 1000, or -1 for no limit");
    let quota = given.check(text::decimal_i64(given.text()?), phrase!("not a whole number"), form)?;
    given.check(Some(quota).filter(|&quota| quota >= QUOTA_MIN), phrase!("too small"), form)
}

fn pids(given: &Given<'_>) -> Result<i64> {
    let form = phrase!("a whole number, at least 1; 0 or -1 for no limit");
    match given.check(text::decimal_i64(given.text()?), phrase!("not a whole number"), form)? {
        -1 | 0 => Ok(-1),
        count => given.check(Some(count).filter(|&count| count > 0), phrase!("too small"), form),
    }
}

fn cpu_list<'a>(given: &Given<'a>) -> Result<&'a str> {
    let list = given.text()?;
    given.check(
        text::is_cpu_list(list).then_some(list),
        phrase!("not a list"),
        phrase!("numbers and ranges such as 0-2,4"),
    )
}

/// `PATH:RATE`; the last rate of a path counts.
fn throttle(throttles: &mut Vec<Throttle>, given: &Given<'_>, bytes: bool) -> Result<()> {
    let read = |text: &str| -> Read<Throttle> {
        let (path, rate) = text.cut_last(b':').ok_or(phrase!("no rate"))?;
        let path = super::target(path).ok_or(phrase!("the path is not absolute"))?;
        match if bytes { text::size(rate) } else { text::decimal_u64(rate) } {
            None | Some(0) => Err(phrase!("not a rate")),
            Some(rate) => Ok(Throttle { path, rate }),
        }
    };
    let throttle = match read(given.text()?) {
        Ok(throttle) => throttle,
        Err(why) => {
            let rate = if bytes { SIZE } else { phrase!("a whole number") };
            let form = phrase!("PATH:RATE with an absolute path of a block device and, a second,");
            return Err(given.refuse(why, say!("{} {}; at least 1", form, rate)));
        }
    };
    if let Some(earlier) = throttles.iter().position(|earlier| earlier.path == throttle.path) {
        throttles.remove(earlier);
    }
    throttles.push(throttle);
    Ok(())
}

/// `c 1:3 rwm`, `b *:* r`, `a *:* rwm`.
fn device_rule<'a>(given: &Given<'a>) -> Result<DeviceRule<'a>> {
    let form = phrase!("TYPE MAJOR:MINOR ACCESS: a, b or c, numbers or *, letters of rwm, such as 'c 1:3 rwm'");
    let text = given.text()?;
    let read = || {
        let (kind, rest) = text.cut(b' ')?;
        let (numbers, access) = rest.cut(b' ')?;
        let (major, minor) = numbers.cut(b':')?;
        let number = |text| if text == "*" { Some(None) } else { text::decimal_u32(text).map(Some) };
        let &[kind @ (b'a' | b'b' | b'c')] = kind.as_bytes() else { return None };
        let rule = DeviceRule { kind, major: number(major)?, minor: number(minor)?, access };
        is_access(access).then_some(rule)
    };
    given.check(read(), phrase!("not a device rule"), form)
}

/// A path below the cgroup root. `..` is refused: it would leave it.
fn cgroup_parent<'a>(given: &Given<'a>) -> Result<&'a str> {
    let path = given.text()?;
    let plain = |part| !matches!(part, "." | "..");
    let known = path.bytes().any(|byte| byte != b'/') && path.parts(b'/').all(plain);
    given.check(
        known.then_some(path),
        phrase!("not a path below the cgroup root"),
        phrase!("a path without . and .., such as /jobs"),
    )
}
