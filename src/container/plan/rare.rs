//! What few containers have: other propagation than none, clocks of their own, user namespaces that are there already, shares of
//! caches, and how, where and as what their first process runs.
//!
//! Nothing of it is needed for a plain container, so this is reached by a gate.

use alloc::boxed::Box;
use alloc::string::String;
use core::ffi::CStr;

use super::{Action, Planner, has_own, namespaces, users};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::text::{Cut, place};
use crate::container::defaults;
use crate::container::spec::{IdMapping, NamespaceKind, Process, Spec};
use crate::kernel::mounts::Options;
use crate::sys::cold::Gate;
use crate::sys::file;
use crate::sys::sched::{Attributes, NUMBERS, Numbers};

/// Something that is seldom done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above a variant says what its fields are")]
pub enum Rare {
    /// Takes a user namespace that is there in hand.
    Users { path: &'static CStr },
    /// Has a tree that was taken show owners as these maps have them.
    MapOwners { slot: usize, uids: &'static str, gids: &'static str, recursive: bool },
    /// Sets how mounts propagate, and attributes (to set, and to clear) of all mounts below.
    Spread { target: &'static CStr, propagation: super::Flags, attributes: (u64, u64) },
    /// Makes a device node where there is none.
    Device { path: &'static CStr, mode: u32, major: u32, minor: u32 },
    /// Makes a time namespace whose clocks are ahead by this, a line each, and goes there.
    Time { offsets: &'static str },
    /// Joins a group that has a share of the processors' caches and of memory bandwidth.
    Caches { group: &'static str, schemata: &'static str, monitored: bool },
    /// Sets on which processors it may run.
    Processors { list: &'static str, set: &'static Numbers, early: bool },
    /// Sets how the kernel gives it time.
    Scheduler { policy: &'static str, attributes: &'static Attributes },
    /// Sets when its input and output are served.
    IoPriority { class: &'static str, priority: u32 },
    /// Sets from which nodes its memory is.
    Memory { mode: &'static str, number: u32, nodes: &'static Numbers, any: bool },
    /// Has it see a machine of 32 bits, or not.
    Personality { domain: u32 },
}

/// When in a plan something seldom may be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before anything else.
    First,
    /// In the place of making all mounts private, with the host's rights.
    Private,
    /// When the container's user namespace was entered, if it has one, while the host can be seen.
    Entered,
    /// Before the user changes.
    Late,
    /// Before a further process joins the container.
    Joins,
    /// Before its user changes.
    Joined,
}

type Plan = fn(&mut Planner, &Spec, Option<&Process>, Stage) -> Result<()>;
type PlanMaps = fn(&mut Planner, usize, &[IdMapping], &[IdMapping], bool);
static COLD_GATE_OCI: Gate<Plan> = Gate(stage);
static COLD_GATE_OCI_MOUNT: Gate<PlanMaps> = Gate(map_owners);
static COLD_GATE_OCI_DEVICES: Gate<fn(&mut Planner, bool)> = Gate(devices);

/// Whether there is anything seldom about a container, or a process of it.
#[inline(never)]
fn is_rare(spec: &Spec, process: Option<&Process>) -> bool {
    let rare = |process: &Process| {
        process.scheduler.is_some() || process.io_priority.is_some() || process.exec_cpu_affinity.is_some()
    };
    process.is_some_and(rare)
        || spec.linux.as_ref().is_some_and(|linux| {
            linux.rootfs_propagation.is_some()
                || linux.intel_rdt.is_some()
                || linux.personality.is_some()
                || linux.memory_policy.is_some()
                || linux.namespaces.iter().any(|namespace| match namespace.kind {
                    NamespaceKind::Time => namespace.path.is_none(),
                    NamespaceKind::User => namespace.path.is_some(),
                    _ => false,
                })
        })
}

impl Planner {
    /// Plans what is seldom done at this stage.
    pub(super) fn rare(&mut self, spec: &Spec, process: Option<&Process>, stage: Stage) -> Result<()> {
        if is_rare(spec, process) { COLD_GATE_OCI.open()?(self, spec, process, stage) } else { Ok(()) }
    }

    /// Plans to have a tree that was taken show owners as a mount's own maps have them.
    pub(super) fn map_by(&mut self, slot: usize, maps: [&[IdMapping]; 2], recursive: bool) -> Result<()> {
        COLD_GATE_OCI_MOUNT.open()?(self, slot, maps[0], maps[1], recursive);
        Ok(())
    }

    /// Plans the devices that every program may expect in a `/dev` of the root's own.
    pub(super) fn missing_devices(&mut self, confined: bool) -> Result<()> {
        COLD_GATE_OCI_DEVICES.open()?(self, confined);
        Ok(())
    }

    /// Plans something seldom.
    #[inline(never)]
    pub(super) fn seldom(&mut self, rare: Rare) {
        self.add(Action::Rare(Box::leak(Box::new(rare))));
    }
}

fn map_owners(plan: &mut Planner, slot: usize, uids: &[IdMapping], gids: &[IdMapping], recursive: bool) {
    plan.seldom(Rare::MapOwners { slot, uids: users::text(uids), gids: users::text(gids), recursive });
}

fn devices(plan: &mut Planner, confined: bool) {
    plan.why = phrase!("make the few devices that every program may expect, where the root lacks them");
    for &(path, major, minor) in defaults::DEVICES {
        if confined {
            plan.add(Action::Attach { slot: plan.slot, target: path, options: Options::BIND });
            plan.slot += 1;
        } else {
            plan.seldom(Rare::Device { path, mode: libc::S_IFCHR | 0o666, major, minor });
        }
    }
    for &(target, path) in defaults::LINKS {
        plan.add(Action::Link { target, path });
    }
}

fn stage(plan: &mut Planner, spec: &Spec, process: Option<&Process>, stage: Stage) -> Result<()> {
    match stage {
        Stage::First => shared_users(plan, spec),
        Stage::Private => {
            let flags = root_propagation(spec)?;
            if flags & (libc::MS_SLAVE | libc::MS_SHARED) != 0 {
                // What is unmounted there must not be unmounted on the host, so the way back is closed for shared ones too.
                plan.steps.pop();
                plan.why = phrase!("see what the host mounts, as asked, without the host seeing what is mounted here");
                let propagation = libc::MS_SLAVE | libc::MS_REC;
                plan.seldom(Rare::Spread { target: c"/", propagation, attributes: (0, 0) });
            }
            caches(plan, spec)
        }
        Stage::Entered => {
            time(plan, spec);
            Ok(())
        }
        Stage::Joins => {
            affinity(plan, process, true)?;
            caches(plan, spec)
        }
        Stage::Joined => {
            affinity(plan, process, false)?;
            if let Some(scheduler) = process.and_then(|process| process.scheduler.as_ref()) {
                let deadline = scheduler.0.get("policy").and_then(Value::as_str) == Some("SCHED_DEADLINE");
                if deadline || texts(&scheduler.0, "flags").any(|flag| flag == "SCHED_FLAG_RESET_ON_FORK") {
                    // What becomes the process is cloned after this.
                    return Err(Error::new(phrase!(
                        "process.scheduler: a process that joins a container can't have SCHED_DEADLINE or SCHED_FLAG_RESET_ON_FORK"
                    )));
                }
            }
            late(plan, spec, process)
        }
        Stage::Late => {
            let flags = root_propagation(spec)?;
            if flags & (libc::MS_SLAVE | libc::MS_SHARED | libc::MS_UNBINDABLE) != 0 {
                plan.why = phrase!("have the root's mounts propagate as asked");
                plan.seldom(Rare::Spread { target: c"/", propagation: flags, attributes: (0, 0) });
            }
            late(plan, spec, process)
        }
    }
}

/// How the mounts of the root propagate.
fn root_propagation(spec: &Spec) -> Result<super::Flags> {
    let Some(word) = spec.linux.as_ref().and_then(|linux| linux.rootfs_propagation).filter(|word| !word.is_empty())
    else {
        return Ok(0);
    };
    let options = Options::parse([word])?;
    if options.propagation == 0 {
        return Err(Error::new(say!("linux.rootfsPropagation: unknown propagation {}", word))
            .hint(phrase!("accepted: private, shared, slave, unbindable, or one of them behind an r")));
    }
    Ok(options.propagation)
}

fn shared_users(plan: &mut Planner, spec: &Spec) -> Result<()> {
    for namespace in namespaces(spec) {
        if let (NamespaceKind::User, Some(path)) = (namespace.kind, namespace.path) {
            plan.why = phrase!("take the user namespace that is shared in hand");
            plan.seldom(Rare::Users { path: file::path(path)? });
            plan.users = true;
        }
    }
    Ok(())
}

/// Clocks that start ahead; they can be set until the first process is in the namespace, `time_namespaces(7)`.
fn time(plan: &mut Planner, spec: &Spec) {
    if !has_own(spec, NamespaceKind::Time) {
        return;
    }
    let mut text = String::new();
    let offsets = spec.linux.as_ref().and_then(|linux| linux.time_offsets.as_ref());
    for clock in ["monotonic", "boottime"] {
        let Some(offset) = offsets.and_then(|offsets| offsets.0.get(clock)) else { continue };
        let part = |name| offset.get(name).and_then(Value::as_i64).unwrap_or(0);
        text.push_str(join!("{} {} {}\n", clock, part("secs"), part("nanosecs")));
    }
    plan.why = phrase!("give the container clocks of its own");
    plan.seldom(Rare::Time { offsets: text.leak() });
}

/// What the group's file takes: lines of which each is a resource with its shares.
fn caches(plan: &mut Planner, spec: &Spec) -> Result<()> {
    let Some(rdt) = spec.linux.as_ref().and_then(|linux| linux.intel_rdt.as_ref()) else { return Ok(()) };
    let text = |name| rdt.0.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut schemata = String::new();
    let lines = rdt.0.get("schemata").and_then(Value::as_array).unwrap_or_default();
    for line in [text("l3CacheSchema"), text("memBwSchema")].into_iter().chain(lines.iter().filter_map(Value::as_str)) {
        if !line.is_empty() {
            schemata.push_str(line);
            schemata.push('\n');
        }
    }
    let group = text("closID");
    if group.is_empty() || group.has(b'/') || matches!(group, "." | "..") {
        return Err(Error::new(phrase!("linux.intelRdt.closID: is no name of a directory")));
    }
    let monitored = rdt.0.get("enableMonitoring").and_then(Value::as_bool).unwrap_or(false);
    plan.why = phrase!("give the container its share of the processors' caches and of memory bandwidth");
    plan.seldom(Rare::Caches { group, schemata: schemata.leak(), monitored });
    Ok(())
}

/// A list such as `0-2,7` as a set.
///
/// # Errors
/// It is no such list, or has a number that no kernel has.
fn numbers(member: &str, list: &str) -> Result<&'static Numbers> {
    let mut set: Numbers = [0; NUMBERS / usize::BITS as usize];
    let parts = |part: &str| {
        let part = part.trim_ascii();
        let (first, last) = part.cut(b'-').unwrap_or((part, part));
        let number = |text: &str| crate::base::text::decimal_u32(text).filter(|number| (*number as usize) < NUMBERS);
        number(first.trim_ascii()).zip(number(last.trim_ascii())).filter(|(first, last)| first <= last)
    };
    for part in list.parts(b',') {
        let Some((first, last)) = parts(part) else {
            return Err(Error::new(say!("{}: {} is no list of numbers", member, list))
                .hint(phrase!("accepted: a list such as 0-2,7")));
        };
        for number in first..=last {
            set[number as usize / usize::BITS as usize] |= 1 << (number % usize::BITS);
        }
    }
    Ok(Box::leak(Box::new(set)))
}

/// On which processors a further process of a container may run: before it is in the control group, and afterwards.
fn affinity(plan: &mut Planner, process: Option<&Process>, early: bool) -> Result<()> {
    let Some(affinity) = process.and_then(|process| process.exec_cpu_affinity.as_ref()) else { return Ok(()) };
    let (name, member) =
        if early { ("initial", "process.execCPUAffinity.initial") } else { ("final", "process.execCPUAffinity.final") };
    let list = affinity.0.get(name).and_then(Value::as_str).unwrap_or_default();
    if !list.is_empty() {
        plan.why = phrase!("keep the process on the processors that were asked for");
        plan.seldom(Rare::Processors { list, set: numbers(member, list)?, early });
    }
    Ok(())
}

/// The word's place in a list behind what all of its words begin with.
fn word(member: &str, value: &'static str, start: &str, list: &'static str) -> Result<usize> {
    let at = value.strip_prefix(start).and_then(|rest| place(list, rest)).filter(|_| !value.is_empty());
    at.ok_or_else(|| {
        Error::new(say!("{}: unknown value {}", member, value)).hint(say!(
            "accepted: {} and one of {}",
            start,
            list.replace(' ', ", ")
        ))
    })
}

/// Policies by number, `linux/sched.h`; the kernel has none that is called ISO.
pub(in crate::container) const POLICIES: &str = "OTHER FIFO RR BATCH ISO IDLE DEADLINE";
/// Flags, each at the number of its bit.
pub(in crate::container) const SCHEDULER_FLAGS: &str =
    "RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX";
/// Classes by number, `linux/ioprio.h`; what stands before the first is no class.
pub(in crate::container) const CLASSES: &str = "NONE RT BE IDLE";
/// Modes by number, `linux/mempolicy.h`.
pub(in crate::container) const MODES: &str =
    "DEFAULT PREFERRED BIND INTERLEAVE LOCAL PREFERRED_MANY WEIGHTED_INTERLEAVE";
/// Flags of modes, from bit 13 on.
pub(in crate::container) const MODE_FLAGS: &str = "NUMA_BALANCING RELATIVE_NODES STATIC_NODES";
/// Whose system calls a container's may be like.
pub(in crate::container) const DOMAINS: &str = "LINUX LINUX32";

fn texts<'a>(of: &'a Value, member: &str) -> impl Iterator<Item = &'static str> + 'a {
    of.get(member).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

#[inline(never)]
fn late(plan: &mut Planner, spec: &Spec, process: Option<&Process>) -> Result<()> {
    plan.why = phrase!("have the workload scheduled as asked");
    if let Some(scheduler) = process.and_then(|process| process.scheduler.as_ref()) {
        let scheduler = &scheduler.0;
        let policy = scheduler.get("policy").and_then(Value::as_str).unwrap_or_default();
        let mut flags = 0;
        for flag in texts(scheduler, "flags") {
            flags |= 1 << word("process.scheduler.flags", flag, "SCHED_FLAG_", SCHEDULER_FLAGS)?;
        }
        let number = |name| scheduler.get(name).and_then(Value::as_u64).unwrap_or(0);
        let attributes = Attributes {
            size: size_of::<Attributes>() as u32,
            policy: word("process.scheduler.policy", policy, "SCHED_", POLICIES)? as u32,
            flags,
            nice: scheduler.get("nice").and_then(Value::as_i64).unwrap_or(0) as i32,
            priority: number("priority") as u32,
            runtime: number("runtime"),
            deadline: number("deadline"),
            period: number("period"),
            least: 0,
            most: 0,
        };
        plan.seldom(Rare::Scheduler { policy, attributes: Box::leak(Box::new(attributes)) });
    }
    if let Some(priority) = process.and_then(|process| process.io_priority.as_ref()) {
        let class = priority.0.get("class").and_then(Value::as_str).unwrap_or_default();
        let number = word("process.ioPriority.class", class, "IOPRIO_CLASS_", CLASSES)? as u32;
        let level = priority.0.get("priority").and_then(Value::as_u64).unwrap_or(0) as u32;
        plan.seldom(Rare::IoPriority { class, priority: number << 13 | level });
    }
    let Some(linux) = &spec.linux else { return Ok(()) };
    if let Some(policy) = &linux.memory_policy {
        let mode = policy.0.get("mode").and_then(Value::as_str).unwrap_or_default();
        let mut number = word("linux.memoryPolicy.mode", mode, "MPOL_", MODES)? as u32;
        for flag in texts(&policy.0, "flags") {
            number |= 1 << (13 + word("linux.memoryPolicy.flags", flag, "MPOL_F_", MODE_FLAGS)?);
        }
        let list = policy.0.get("nodes").and_then(Value::as_str).unwrap_or_default();
        let any = !list.is_empty();
        let nodes = numbers("linux.memoryPolicy.nodes", if any { list } else { "0" })?;
        plan.why = phrase!("have the workload's memory come from the nodes that were asked for");
        plan.seldom(Rare::Memory { mode, number, nodes, any });
    }
    if let Some(personality) = &linux.personality {
        let domain = personality.0.get("domain").and_then(Value::as_str).unwrap_or("LINUX");
        if texts(&personality.0, "flags").next().is_some() {
            return Err(Error::new(phrase!("linux.personality.flags: the specification has none yet")));
        }
        // `PER_LINUX32`, `linux/personality.h`.
        let domain = if word("linux.personality.domain", domain, "", DOMAINS)? == 1 { 8 } else { 0 };
        plan.why = phrase!("have the workload see the kind of machine that was asked for");
        plan.seldom(Rare::Personality { domain });
    }
    Ok(())
}
