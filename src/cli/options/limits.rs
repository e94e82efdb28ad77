//! What cgroups enforce. Bounds are the kernel's, or docker's where docker is stricter.

use super::mounts::is_access;
use super::{Read, RunOptions, add, conflict, place, put};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;

/// The least memory that a container can start in, as docker's.
const MEMORY_MIN: u64 = 6 << 20;
/// The kernel's default period in microseconds.
const PERIOD: u64 = 100_000;
/// The kernel's least quota in microseconds.
const QUOTA_MIN: i64 = 1_000;

impl RunOptions<'_> {
    /// Whether the limits fit together. `update` may be given one of two, where the other is the container's already.
    ///
    /// # Errors
    /// They do not.
    #[inline(never)]
    pub fn check_limits(&mut self) -> Result<()> {
        let (parsed, spec) = (self.parsed, self.spec.get_mut());
        for id in [Id::CpuQuota, Id::CpuPeriod] {
            if let (Some(_), Some(other)) = (parsed.last(Id::Cpus), parsed.last(id)) {
                let why = phrase!("--cpus sets both quota and period");
                let accepted = phrase!("--cpus, or --cpu-quota with --cpu-period");
                return Err(conflict("cpus", other.flag.long(), why, accepted));
            }
        }
        let number = |member| spec.at(&["linux", "resources", "memory", member]).and_then(Value::as_i64);
        let (memory, limit) = (parsed.last(Id::Memory), number("limit"));
        let high = text::size(parsed.text(Id::MemoryHigh)).map(|bytes| bytes as i64);
        for (id, value) in [(Id::MemoryReservation, number("reservation")), (Id::MemoryHigh, high)] {
            let (Some(value), Some(limit)) = (value, limit) else { continue };
            let (given, why, accepted) = if let Some(given) = parsed.last(id) {
                (given, phrase!("above --memory"), phrase!("a size of at most --memory"))
            } else if let Some(given) = memory {
                let accepted = phrase!("a size of at least --memory-reservation");
                (given, phrase!("below --memory-reservation"), accepted)
            } else {
                continue;
            };
            if value > limit {
                return Err(given.refuse(why, accepted));
            }
        }
        let Some(swap) = number("swap") else { return Ok(()) };
        let (given, why, accepted) = if let Some(given) = parsed.last(Id::MemorySwap) {
            let why = match limit {
                None => phrase!("--memory is not given"),
                Some(_) => phrase!("below --memory, which it includes"),
            };
            (given, why, phrase!("-1 for no limit, or a size of at least --memory, which must be given too"))
        } else if let Some(given) = memory {
            let accepted =
                phrase!("a size of at most --memory-swap, which includes it and can be changed at the same time");
            (given, phrase!("above --memory-swap"), accepted)
        } else {
            return Ok(());
        };
        if limit.is_some_and(|limit| swap < 0 || limit <= swap) { Ok(()) } else { Err(given.refuse(why, accepted)) }
    }
}

/// A limit in the kernel's units.
#[inline(never)]
pub(super) fn limit<'a>(spec: &mut Value, id: Id, text: &'a str) -> Read<&'a str> {
    let number = match id {
        Id::MemorySwap if text == "-1" => return Ok(text),
        Id::Memory | Id::MemoryReservation | Id::MemorySwap | Id::MemoryHigh => {
            i64::try_from(size(text, MEMORY_MIN)?).unwrap_or(i64::MAX)
        }
        Id::ShmSize => return size(text, 1).map(|_| text),
        Id::Cpus => {
            let billionths = text::billionths(text).ok_or(phrase!("not a number of CPUs"))?;
            let quota = (billionths / (1_000_000_000 / PERIOD)) as i64;
            if quota < QUOTA_MIN {
                return Err(phrase!("too small"));
            }
            put(spec, place(Id::CpuPeriod), join!("{}", PERIOD));
            quota
        }
        Id::MemorySwappiness
        | Id::CpuQuota
        | Id::CpuPeriod
        | Id::CpuShares
        | Id::PidsLimit
        | Id::BlkioWeight
        | Id::OomScoreAdj
        | Id::StopTimeout => number(id, text)?,
        // The device's number is for the floor that may look at it.
        Id::DeviceReadBps | Id::DeviceWriteBps | Id::DeviceReadIops | Id::DeviceWriteIops => {
            return throttle(id, text).map(|_| text);
        }
        Id::DeviceCgroupRule => return device_rule(spec, text).ok_or(phrase!("not a device rule")),
        // A switch, or for somebody else.
        _ => return Ok(text),
    };
    Ok(join!("{}", number))
}

/// A size of at least `least` bytes.
#[inline(never)]
pub(super) fn size(text: &str, least: u64) -> Read<u64> {
    let bytes = text::size(text).ok_or(phrase!("not a size"))?;
    if bytes < least { Err(phrase!("too small")) } else { Ok(bytes) }
}

/// A whole number within the flag's bounds. Where -1 is for no limit, it is below them.
#[inline(never)]
pub(super) fn number(id: Id, text: &str) -> Read<i64> {
    let (least, most) = match id {
        Id::StopTimeout => (-1, i64::MAX / 1000),
        Id::OomScoreAdj => (-1_000, 1_000),
        Id::MemorySwappiness => (0, 100),
        Id::CpuQuota => (QUOTA_MIN, i64::MAX),
        Id::CpuPeriod => (1_000, 1_000_000),
        Id::CpuShares => (2, 262_144),
        Id::PidsLimit => (1, i64::MAX),
        _ => (10, 1_000),
    };
    match text::decimal_i64(text).ok_or(phrase!("not a whole number"))? {
        -1 if most == i64::MAX => Ok(-1),
        0 if id == Id::PidsLimit => Ok(-1),
        number if number < least => Err(phrase!("too small")),
        number if number > most => Err(phrase!("too large")),
        number => Ok(number),
    }
}

/// `PATH:RATE`: the device's path on the host, and bytes or operations a second.
#[inline(never)]
pub(in crate::cli) fn throttle(id: Id, text: &str) -> Read<(&'static str, u64)> {
    let (path, rate) = text.cut_last(b':').ok_or(phrase!("no rate"))?;
    let path = super::target(path).ok_or(phrase!("the path is not absolute"))?;
    let bytes = matches!(id, Id::DeviceReadBps | Id::DeviceWriteBps);
    match if bytes { text::size(rate) } else { text::decimal_u64(rate) } {
        None | Some(0) => Err(phrase!("not a rate")),
        Some(rate) => Ok((path, rate)),
    }
}

/// `c 1:3 rwm`, `b *:* r`, `a *:* rwm`.
#[inline(never)]
fn device_rule<'a>(spec: &mut Value, text: &'a str) -> Option<&'a str> {
    let (kind, rest) = text.cut(b' ')?;
    let (numbers, access) = rest.cut(b' ')?;
    let (major, minor) = numbers.cut(b':')?;
    let is_number = |text| text == "*" || text::decimal_u32(text).is_some();
    let known = matches!(kind, "a" | "b" | "c") && is_number(major) && is_number(minor) && is_access(access);
    known.then(|| {
        add(spec, Id::DeviceCgroupRule, "allow type major minor access", &["true", kind, major, minor, access]);
        text
    })
}

/// Whether this is a path below the cgroup root. `..` is refused: it would leave it.
pub(super) fn is_parent(path: &str) -> bool {
    path.bytes().any(|byte| byte != b'/') && path.parts(b'/').all(|part| !matches!(part, "." | ".."))
}
