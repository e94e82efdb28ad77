//! `linux.resources`, what the control group enforces, `linux.seccomp`, and what few containers have. Nothing looks at them but
//! the code that makes the group and the filter, or that sets what is rare, which takes JSON; so they stay JSON, and are only
//! made sure of.

use alloc::vec::Vec;

use crate::base::json::record::{Field, Way, Wrong};
use crate::base::json::{Value, object};
use crate::base::text::Cut;

/// A line for each kind of object: its name, then its members with their types. An exclamation mark stands before what it must
/// have, a star before the type of a list's elements, a percent sign before that of an object's members of any name. What is no
/// object is one letter: an integer, an unsigned one, a narrower one (32 bits: n, signed w, 16: h), a truth value, text, or an
/// object of texts. Where a value is a cgroup v1 file's, v2 has it converted.
const SHAPES: &str = "\
resources devices:*rule memory:memory cpu:cpu pids:pids blockIO:block hugepageLimits:*hugepages network:network rdma:%rdma unified:o
rule !allow:b type:t major:i minor:i access:t
memory limit:i reservation:i swap:i kernel:i kernelTCP:i swappiness:u disableOOMKiller:b useHierarchy:b checkBeforeUpdate:b
cpu shares:u quota:i period:u burst:u idle:i realtimeRuntime:i realtimePeriod:u cpus:t mems:t
pids limit:i
block weight:h leafWeight:h weightDevice:*weight throttleReadBpsDevice:*rate throttleWriteBpsDevice:*rate \
throttleReadIOPSDevice:*rate throttleWriteIOPSDevice:*rate
weight !major:i !minor:i weight:h leafWeight:h
rate !major:i !minor:i !rate:u
hugepages !pageSize:t !limit:u
network classID:n priorities:*interface
interface !name:t !priority:n
rdma hcaHandles:n hcaObjects:n
seccomp !defaultAction:t defaultErrnoRet:n architectures:*t flags:*t listenerPath:t listenerMetadata:t syscalls:*call
call !names:*t !action:t errnoRet:n args:*argument
argument !index:n !value:u valueTwo:u !op:t
scheduler !policy:t nice:w priority:w flags:*t runtime:u deadline:u period:u
ioPriority !class:t priority:w
affinity initial:t final:t
timeOffsets monotonic:offset boottime:offset
offset secs:i nanosecs:n
netDevice name:t
intelRdt closID:t schemata:*t l3CacheSchema:t memBwSchema:t enableMonitoring:b
personality domain:t flags:*t
memoryPolicy !mode:t nodes:t flags:*t";

macro_rules! shaped {
    ($($(#[$meta:meta])* $Name:ident $shape:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $Name(pub Value);

        impl Field for $Name {
            fn pass(&mut self, way: &mut Way<'_>) -> Result<(), Wrong> {
                pass($shape, &mut self.0, way)
            }
        }
    )*};
}

shaped! {
    /// The limits, as JSON that holds nothing else.
    Resources "resources";
    /// The filter of system calls, as JSON that holds nothing else.
    Seccomp "seccomp";
    /// How the kernel gives the process time, `sched_setattr(2)`.
    Scheduler "scheduler";
    /// When its input and output are served, `ioprio_set(2)`.
    IoPriority "ioPriority";
    /// On which processors it may run, before and after it joins the container's control group.
    Affinity "affinity";
    /// What the clocks of a time namespace are ahead, `time_namespaces(7)`.
    TimeOffsets "timeOffsets";
    /// The host's interfaces that become the container's.
    NetDevices "%netDevice";
    /// Shares of the processors' caches and of memory bandwidth, kernel `Documentation/arch/x86/resctrl.rst`.
    IntelRdt "intelRdt";
    /// Whose system calls the container's are like, personality(2).
    Personality "personality";
    /// From which nodes its memory is, `set_mempolicy(2)`.
    MemoryPolicy "memoryPolicy";
}

fn pass(shape: &str, out: &mut Value, way: &mut Way<'_>) -> Result<(), Wrong> {
    let Some(value) = way.turn(out.clone()) else { return Ok(()) };
    shaped(shape, value, out)
}

/// Takes the value over without what is not in its shape.
fn shaped(shape: &str, value: &Value, out: &mut Value) -> Result<(), Wrong> {
    if let Some(shape) = shape.strip_prefix('*') {
        let mut elements = Vec::new();
        for element in value.as_array().ok_or_else(|| Wrong::expected("an array", value))? {
            let mut own = Value::Null;
            if let Err(wrong) = shaped(shape, element, &mut own) {
                return Err(wrong.inside(join!("[{}]", elements.len() as u64)));
            }
            elements.push(own);
        }
        *out = elements.into();
        return Ok(());
    }
    if let Some(shape) = shape.strip_prefix('%') {
        *out = object([]);
        for (name, member) in value.as_object().ok_or_else(|| Wrong::expected("an object", value))? {
            if let Err(wrong) = shaped(shape, member, out.member(name)) {
                return Err(wrong.inside(name));
            }
        }
        return Ok(());
    }
    let members = |line: &'static str| line.strip_prefix(shape)?.strip_prefix(' ');
    let line = if shape.len() > 1 { SHAPES.parts(b'\n').find_map(members) } else { None };
    let Some(members) = line else {
        *out = value.clone();
        let way = &mut Way::from(value);
        return match shape.as_bytes() {
            b"i" => 0_i64.pass(way),
            b"u" => 0_u64.pass(way),
            b"n" => 0_u32.pass(way),
            b"w" => 0_i32.pass(way),
            b"h" => 0_u16.pass(way),
            b"b" => false.pass(way),
            b"t" => "".pass(way),
            _ => Vec::<(&str, &str)>::new().pass(way),
        };
    };
    if value.as_object().is_none() {
        return Err(Wrong::expected("an object", value));
    }
    *out = object([]);
    for member in members.parts(b' ') {
        let (name, shape) = member.cut(b':').unwrap_or_default();
        let (name, must) = name.strip_prefix('!').map_or((name, false), |name| (name, true));
        let wrong = match value.get(name) {
            Some(Value::Null) | None if must => Err(Wrong::missing()),
            Some(Value::Null) | None => Ok(()),
            Some(value) => shaped(shape, value, out.member(name)),
        };
        if let Err(wrong) = wrong {
            return Err(wrong.inside(name));
        }
    }
    Ok(())
}
