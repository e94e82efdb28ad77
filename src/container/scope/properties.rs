//! What systemd is told about a unit: its limits, which it would set back otherwise when it reads its configuration anew, and
//! what the specification's annotations say.

use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::keep::{self, Kept};
use crate::base::text::{Cut, Quoted, decimal_i64, decimal_u32, decimal_u64, place, size};
use crate::kernel::cgroup::{Action, Step};
use crate::kernel::dbus::Value;

/// The beginning of annotations that are properties of the unit, with their values as `GVariant` writes them; runc's and crun's.
const ANNOTATION: &str = "org.systemd.property.";

/// A property of a unit.
pub type Property = (&'static str, Value<'static>);

/// Files of control groups that systemd writes too, with the property by which it is told, systemd.resource-control(5). Of those
/// that are not here it knows nothing, so they stay as they are.
const FILES: &str = "\
memory.max MemoryMax
memory.limit_in_bytes MemoryMax
memory.high MemoryHigh
memory.low MemoryLow
memory.min MemoryMin
memory.swap.max MemorySwapMax
memory.zswap.max MemoryZSwapMax
pids.max TasksMax
cpu.weight CPUWeight
cpu.shares CPUShares
io.weight IOWeight
blkio.weight BlockIOWeight
cpuset.cpus AllowedCPUs
cpuset.mems AllowedMemoryNodes
";

/// Limits that have no file of their own here, and what early versions did without (before 236).
const OTHERS: &str = "CPUQuotaPerSecUSec CPUQuotaPeriodUSec CollectMode";

/// More processors or nodes of memory than the kernel can have (`NR_CPUS`, `MAX_NUMNODES`).
const PLACES: u32 = 8192;
/// What systemd has for no limit: `CGROUP_LIMIT_MAX`, `USEC_INFINITY`.
const NONE: u64 = u64::MAX;

/// The properties for what is going to be written to the group's files.
///
/// # Errors
/// A value that systemd can't be told.
#[inline(never)]
pub fn of_limits(steps: &[Step]) -> Result<Kept<Vec<Property>>> {
    let mut told = Kept::new(Vec::new());
    let (mut quota, mut period, mut idle) = ("", "", false);
    let (mut devices, mut allowed) = (false, Vec::new());
    for step in steps.iter().filter(|step| step.action == Action::Write) {
        let (mut file, mut value) = (step.file, step.value);
        if let ("io.bfq.weight", Some(instead)) = (file, step.fallback.cut(b'=')) {
            (file, value) = instead;
        }
        match file {
            "cpu.max" => (quota, period) = value.cut(b' ').unwrap_or((value, "100000")),
            "cpu.cfs_quota_us" => quota = value,
            "cpu.cfs_period_us" => period = value,
            "cpu.idle" => idle = value == "1",
            "devices.deny" | "devices.allow" => {
                let allow = file == "devices.allow";
                if allow == (value == "a") || (!allow && !allowed.is_empty()) {
                    return Err(untold(step).hint(phrase!("it takes a list of what is allowed, with all else denied")));
                }
                devices = true;
                if allow {
                    allowed.push(device(value).ok_or_else(|| untold(step))?);
                }
            }
            _ => {
                let name = FILES.parts(b'\n').find_map(|line| line.cut(b' ').filter(|(known, _)| *known == file));
                let Some((_, name)) = name else { continue };
                // Weights of single devices it need not know: it writes those that it was told.
                if let Some(value) = self::value(name, value.strip_prefix("default ").unwrap_or(value)) {
                    told.push((name, value));
                } else if !value.has(b':') {
                    return Err(untold(step));
                }
            }
        }
    }
    if idle {
        // For systemd (252) this is the weight 0.
        told.retain(|(name, _)| *name != "CPUWeight");
        told.push(("CPUWeight", Value::Long(0)));
    }
    if !quota.is_empty() || !period.is_empty() {
        let period = decimal_u64(period).filter(|period| *period > 0);
        let quota = decimal_u64(quota).zip(period.or(Some(100_000)));
        // It keeps whole hundredths of a processor. Never more than asked for, but 0 would be nothing at all.
        let part =
            quota.map_or(NONE, |(quota, period)| (quota.saturating_mul(1_000_000) / period / 10_000).max(1) * 10_000);
        told.push(("CPUQuotaPerSecUSec", Value::Long(part)));
        if let Some(period) = period {
            told.push(("CPUQuotaPeriodUSec", Value::Long(period)));
        }
    }
    if devices {
        told.push(("DevicePolicy", Value::Text("strict")));
        told.push(("DeviceAllow", Value::Pairs(allowed.leak())));
    }
    Ok(told)
}

/// Whether a unit can do without this property: a limit is also written to the group's files.
#[must_use]
pub fn is_dispensable(name: &str) -> bool {
    place(OTHERS, name).is_some()
        || FILES.parts(b'\n').any(|line| line.cut(b' ').is_some_and(|(_, known)| known == name))
}

fn untold(step: &Step) -> Error {
    Error::new(say!("{}: systemd can't be told of {} for {}", step.option, Quoted(step.value), step.file))
}

/// A value as systemd takes it.
fn value(name: &str, text: &str) -> Option<Value<'static>> {
    if name.starts_with("Allowed") {
        return mask(text).map(Value::Bytes);
    }
    Some(Value::Long(if matches!(text, "max" | "-1") { NONE } else { decimal_u64(text).or_else(|| size(text))? }))
}

/// A list as `cpuset(7)` has it, as bits.
fn mask(list: &str) -> Option<&'static [u8]> {
    let mut bits = Vec::new();
    for part in list.trim_ascii().parts(b',') {
        let (first, last) = part.cut(b'-').unwrap_or((part, part));
        let (first, last) = (decimal_u32(first)?, decimal_u32(last)?);
        if last >= PLACES || first > last {
            return None;
        }
        for place in first..=last {
            let at = (place / 8) as usize;
            if at >= bits.len() {
                bits.resize(at + 1, 0);
            }
            bits[at] |= 1 << (place % 8);
        }
    }
    Some(bits.leak())
}

/// A line of v1's list of devices as systemd has it, and the uses.
fn device(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (kind, rest) = line.cut(b' ')?;
    let (numbers, uses) = rest.cut(b' ')?;
    let kind = if kind == "c" { "char" } else { "block" };
    let name = match numbers.cut(b':')? {
        ("*", "*") => join!("{}-*", kind),
        ("*", _) => return None,
        (major, "*") => join!("{}-{}", kind, major),
        _ => join!("/dev/{}/{}", kind, numbers),
    };
    Some((name, uses))
}

/// The properties in annotations.
///
/// # Errors
/// A value that is none of the types that these are written in.
pub fn of_annotations(annotations: &[(&'static str, &'static str)], told: &mut Vec<Property>) -> Result<()> {
    for &(annotation, text) in annotations {
        let Some(name) = annotation.strip_prefix(ANNOTATION) else { continue };
        let property = if name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            given(name, text)
        } else {
            None
        };
        told.push(property.ok_or_else(|| {
            Error::new(say!("annotations: {} can't be {}", annotation, Quoted(text))).hint(phrase!(
                "true, 'text', ['text', ...], or a number, with uint64, int64, uint32 or int32 before it"
            ))
        })?);
    }
    Ok(())
}

fn given(name: &'static str, text: &'static str) -> Option<Property> {
    let text = text.trim_ascii();
    let (kind, number) = text.cut(b' ').unwrap_or(("", text));
    let number = || decimal_i64(number.trim_ascii());
    if let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
        // systemd knows times in microseconds only.
        let seconds = u64::try_from(number()?).ok()?.checked_mul(1_000_000)?;
        return Some((join!("{}USec", stem), Value::Long(seconds)));
    }
    let value = match (kind, text) {
        (_, "true" | "false") => Value::Bool(text == "true"),
        _ if text.starts_with(['\'', '"']) => Value::Text(quoted(text)?),
        _ if text.starts_with('[') => {
            let mut texts = Vec::new();
            let inner = text.strip_prefix('[')?.strip_suffix(']')?.trim_ascii();
            for part in inner.parts(b',').filter(|_| !inner.is_empty()) {
                texts.push(quoted(part.trim_ascii())?);
            }
            Value::Texts(texts.leak())
        }
        ("uint64", _) => Value::Long(decimal_u64(text.strip_prefix("uint64")?.trim_ascii())?),
        ("int64", _) => Value::SignedLong(number()?),
        ("uint32", _) => Value::Number(u32::try_from(number()?).ok()?),
        ("int32" | "", _) => Value::Signed(i32::try_from(number()?).ok()?),
        _ => return None,
    };
    Some((name, value))
}

/// What is between quotes; escapes are not understood, and so refused.
fn quoted(text: &'static str) -> Option<&'static str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    if inner.contains([quote, '\\', '\0']) { None } else { Some(keep::copy(inner)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(file: &'static str, value: &'static str) -> Step {
        Step { file, value, ..Step::default() }
    }

    fn told(steps: &[(&'static str, &'static str)]) -> Vec<Property> {
        let mut made = Vec::new();
        for (file, value) in steps {
            made.push(step(file, value));
        }
        of_limits(&made).unwrap().into_inner()
    }

    #[test]
    fn limits_are_told_in_systemds_words() {
        let all = [
            ("cgroup.subtree_control", "+memory"),
            ("memory.max", "33554432"),
            ("memory.swap.max", "max"),
            ("memory.high", "16M"),
            ("pids.max", "20"),
            ("cpu.weight", "39"),
            ("cpuset.cpus", "0-2,9"),
            ("io.max", "8:0 rbps=1"),
            ("hugetlb.2MB.max", "0"),
        ];
        let expected = [
            ("MemoryMax", Value::Long(33_554_432)),
            ("MemorySwapMax", Value::Long(NONE)),
            ("MemoryHigh", Value::Long(16 << 20)),
            ("TasksMax", Value::Long(20)),
            ("CPUWeight", Value::Long(39)),
            ("AllowedCPUs", Value::Bytes(&[7, 2])),
        ];
        assert_eq!(told(&all), expected);
        assert_eq!(told(&[("cpu.weight", "39"), ("cpu.idle", "1")]), [("CPUWeight", Value::Long(0))]);
    }

    #[test]
    fn a_share_of_processors_is_in_hundredths_and_never_more_than_asked_for() {
        let quota = |value| told(&[("cpu.max", value)]);
        let both =
            |part, period| [("CPUQuotaPerSecUSec", Value::Long(part)), ("CPUQuotaPeriodUSec", Value::Long(period))];
        assert_eq!(quota("50000 100000"), both(500_000, 100_000));
        assert_eq!(quota("12345 100000"), both(120_000, 100_000));
        assert_eq!(quota("10 100000"), both(10_000, 100_000));
        assert_eq!(quota("max 200"), both(NONE, 200));
        assert_eq!(told(&[("cpu.cfs_quota_us", "-1")]), [("CPUQuotaPerSecUSec", Value::Long(NONE))]);
        assert_eq!(told(&[("cpu.cfs_period_us", "1000"), ("cpu.cfs_quota_us", "1500")]), both(1_500_000, 1000));
    }

    #[test]
    fn a_weight_of_one_device_is_not_told_and_what_cant_be_told_is_an_error() {
        let mut bfq = step("io.bfq.weight", "500");
        bfq.fallback = "io.weight=4950";
        assert_eq!(of_limits(&[bfq]).unwrap()[..], [("IOWeight", Value::Long(4950))]);
        assert_eq!(told(&[("io.weight", "8:0 10"), ("io.weight", "default 7")]), [("IOWeight", Value::Long(7))]);
        for (file, value) in
            [("memory.max", "much"), ("cpuset.cpus", "9-1"), ("cpuset.cpus", "8192"), ("cpuset.mems", "")]
        {
            assert!(of_limits(&[step(file, value)]).is_err(), "{file} {value}");
        }
    }

    #[test]
    fn devices_of_v1_are_a_list_of_what_is_allowed() {
        let rules = [
            ("devices.deny", "a"),
            ("devices.allow", "c 1:3 rwm"),
            ("devices.allow", "b *:* m"),
            ("devices.allow", "c 136:* rw"),
        ];
        let pairs: &[(&str, &str)] = &[("/dev/char/1:3", "rwm"), ("block-*", "m"), ("char-136", "rw")];
        assert_eq!(told(&rules), [("DevicePolicy", Value::Text("strict")), ("DeviceAllow", Value::Pairs(pairs))]);
        let denied = [step("devices.deny", "a"), step("devices.allow", "c 1:3 r"), step("devices.deny", "c 1:3 w")];
        assert!(of_limits(&denied).is_err());
        assert!(of_limits(&[step("devices.allow", "c *:3 w")]).is_err());
    }

    #[test]
    fn annotations_are_properties_with_their_types() {
        let read = |name: &'static str, text: &'static str| {
            let mut told = Vec::new();
            of_annotations(&[(name, text), ("other", "1")], &mut told).ok().map(|()| told)
        };
        let one = |text| read("org.systemd.property.Name", text).map(|told| told[0].1);
        assert_eq!(one("true"), Some(Value::Bool(true)));
        assert_eq!(one("'inactive-or-failed'"), Some(Value::Text("inactive-or-failed")));
        assert_eq!(one("15"), Some(Value::Signed(15)));
        assert_eq!(one("uint64 18446744073709551615"), Some(Value::Long(u64::MAX)));
        assert_eq!(one("int64 -2"), Some(Value::SignedLong(-2)));
        assert_eq!(one("uint32 7"), Some(Value::Number(7)));
        assert_eq!(one("['a.service', \"b\"]"), Some(Value::Texts(&["a.service", "b"])));
        assert_eq!(one("[]"), Some(Value::Texts(&[])));
        assert_eq!(
            read("org.systemd.property.TimeoutStopSec", "5").unwrap(),
            [("TimeoutStopUSec", Value::Long(5_000_000))]
        );
        let micro = ("TimeoutStopUSec", Value::Long(5));
        assert_eq!(read("org.systemd.property.TimeoutStopUSec", "uint64 5").unwrap(), [micro]);
        for text in ["", "maybe", "'open", "['a', b]", "uint32 -1", "2147483648", "double 1.5", "'a\\'b'"] {
            assert_eq!(one(text), None, "{text}");
        }
        assert_eq!(read("org.systemd.property.A B", "1"), None);
    }
}
