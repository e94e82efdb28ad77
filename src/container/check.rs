//! Whether a bundle's `config.json` makes sense as a whole, before anything is made of it.
//!
//! The types have made sure of each member by then. This is about what must go together, and what a kernel would refuse much later,
//! or would do to the host. Pure, but for [`against_host`]. Each error names the member and says what is accepted.
//!
//! # Source
//! `config.md` and `config-linux.md` of the runtime specification.

use alloc::vec::Vec;

use super::hooks;
use super::plan::rare::{CLASSES, DOMAINS, MODE_FLAGS, MODES, POLICIES, SCHEDULER_FLAGS};
use super::plan::{RESOURCES, namespaces};
use super::spec::{DeviceKind, IdMapping, Linux, NamespaceKind, Process, Spec};
use crate::base::error::{Error, Result, Text};
use crate::base::json::Value;
use crate::base::text::{Cut, decimal_u32, is_cpu_list, place};
use crate::kernel::mounts::Options;
use crate::kernel::security::caps;
use crate::sys::fd::CWD;
use crate::sys::file;

/// The kinds of hooks, in the order in which they are run.
pub const HOOKS: &str = "prestart createRuntime createContainer startContainer poststart poststop";
/// The oldest and the newest version of the specification that bundles may comply with; see [`version`].
pub const VERSIONS: [&str; 2] = ["1.0.0", super::spec::OCI_VERSION];

#[cold]
#[inline(never)]
fn wrong(member: &str, what: impl Into<Text>) -> Error {
    Error::new(say!("{}: {}", member, what.into()))
}

/// Refuses what `good` is not true of: the member, what is accepted.
#[inline(never)]
fn must(good: bool, member: &str, accepted: &str) -> Result<()> {
    if good { Ok(()) } else { Err(wrong(member, say!("expected {}", accepted))) }
}

fn absolute(path: &str, member: &str) -> Result<()> {
    must(path.starts_with('/') && !path.has(0), member, "an absolute path")
}

/// The word behind what words of its kind begin with, and its place among those that there are.
fn known(value: &str, start: &str, list: &str, member: &str) -> Result<usize> {
    let at = value.strip_prefix(start).filter(|rest| !rest.is_empty()).and_then(|rest| place(list, rest));
    at.ok_or_else(|| {
        let all = list.replace(' ', join!(", {}", start));
        wrong(member, say!("expected one of {}{}, found {}", start, all, value))
    })
}

/// Checks a whole specification and the document that it was read from.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(spec: &Spec, config: &Value) -> Result<()> {
    version(spec.oci_version)?;
    let root = spec.root.as_ref().map_or("", |root| root.path);
    must(!root.is_empty() && !root.has(0), "root.path", "the path of the container's root file system")?;
    if let Some(process) = &spec.process {
        check_process(process, "process.")?;
    }
    for (name, value) in [("hostname", spec.hostname), ("domainname", spec.domainname)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            must(
                has(spec, NamespaceKind::Uts),
                name,
                "a uts namespace in linux.namespaces, since it would be the host's name",
            )?;
            must(value.len() <= 64 && !value.has(0), name, "at most 64 bytes")?;
        }
    }
    mounts(spec)?;
    must(spec.annotations.iter().all(|(name, _)| !name.is_empty()), "annotations", "names that are not empty")?;
    if let Some(known) = &spec.hooks {
        hooks::check(known)?;
    }
    let none = Linux::default();
    linux(spec, spec.linux.as_ref().unwrap_or(&none), config)
}

/// `MAJOR.MINOR.PATCH`, perhaps with something behind a hyphen or a plus sign. All of major version 1 is one contract.
fn version(version: &str) -> Result<()> {
    let core = version.parts(b'+').next().unwrap_or_default();
    let core = core.cut(b'-').map_or(core, |(core, _)| core);
    let mut parts = core.parts(b'.').map(|part| decimal_u32(part).filter(|_| part == "0" || !part.starts_with('0')));
    let numbers = [parts.next(), parts.next(), parts.next(), parts.next()];
    if matches!(numbers, [Some(Some(1)), Some(Some(_)), Some(Some(_)), None]) {
        return Ok(());
    }
    Err(wrong(
        "ociVersion",
        say!("expected a version from {} to {}, or another 1.x.y, found {}", VERSIONS[0], VERSIONS[1], version),
    ))
}

/// Whether the container has a namespace of this kind that is not simply the runtime's.
fn has(spec: &Spec, kind: NamespaceKind) -> bool {
    namespaces(spec).iter().any(|namespace| namespace.kind == kind)
}

/// Checks a process, as the specification or `exec --process` has it; `of` is what its members stand behind.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_process(process: &Process, of: &str) -> Result<()> {
    let at = |member: &str| join!("{}{}", of, member);
    absolute(process.cwd, at("cwd"))?;
    must(process.args.first().is_some_and(|program| !program.is_empty()), at("args"), "the program and its arguments")?;
    for (list, name) in [(&process.args, "args"), (&process.env, "env")] {
        must(!list.iter().any(|text| text.has(0)), at(name), "texts without a zero byte")?;
    }
    for (number, variable) in process.env.iter().enumerate() {
        must(
            variable.cut(b'=').is_some_and(|(name, _)| !name.is_empty()),
            join!("{}env[{}]", of, number),
            "NAME=VALUE",
        )?;
    }
    if let Some(size) = &process.console_size {
        must(size.height.max(size.width) <= 0xffff, at("consoleSize"), "at most 65535 rows and columns")?;
    }
    let user = &process.user;
    must(user.umask.unwrap_or(0) <= 0o777, at("user.umask"), "a number from 0 to 511")?;
    let mut ids = user.additional_gids.iter().chain([&user.uid, &user.gid]);
    must(!ids.any(|id| *id == u32::MAX), at("user"), "IDs below 4294967295, which stands for none")?;
    if let Some(sets) = &process.capabilities {
        let sets = [
            (&sets.bounding, "capabilities.bounding"),
            (&sets.effective, "capabilities.effective"),
            (&sets.inheritable, "capabilities.inheritable"),
            (&sets.permitted, "capabilities.permitted"),
            (&sets.ambient, "capabilities.ambient"),
        ];
        for (names, member) in sets {
            for name in names {
                must(
                    caps::number(name).is_some(),
                    at(member),
                    join!("capabilities(7) such as CAP_KILL, found {}", name),
                )?;
            }
        }
    }
    for (number, limit) in process.rlimits.iter().enumerate() {
        let member = join!("{}rlimits[{}]", of, number);
        known(limit.kind, "RLIMIT_", RESOURCES, join!("{}.type", member))?;
        let twice = process.rlimits[..number].iter().any(|other| other.kind == limit.kind);
        must(!twice, join!("{}.type", member), "each limit once")?;
        must(limit.soft <= limit.hard, join!("{}.soft", member), "no more than the hard limit")?;
    }
    let score = process.oom_score_adj.unwrap_or(0);
    must((-1000..=1000).contains(&score), at("oomScoreAdj"), "a number from -1000 to 1000")?;
    scheduler(process, &at)
}

fn scheduler(process: &Process, at: &dyn Fn(&str) -> &'static str) -> Result<()> {
    if let Some(scheduler) = &process.scheduler {
        let scheduler = &scheduler.0;
        let policy = known(text(scheduler, "policy"), "SCHED_", POLICIES, at("scheduler.policy"))?;
        must(policy != 4, at("scheduler.policy"), "another one than SCHED_ISO, which Linux does not have")?;
        for flag in list(scheduler, "flags") {
            known(flag, "SCHED_FLAG_", SCHEDULER_FLAGS, at("scheduler.flags"))?;
        }
        let number = |name| scheduler.get(name).and_then(Value::as_i64).unwrap_or(0);
        let (nice, priority) = (number("nice"), number("priority"));
        let nices = if matches!(policy, 0 | 3) { -20..=19 } else { 0..=0 };
        must(
            nices.contains(&nice),
            at("scheduler.nice"),
            "a number from -20 to 19, for SCHED_OTHER and SCHED_BATCH only",
        )?;
        let priorities = if matches!(policy, 1 | 2) { 1..=99 } else { 0..=0 };
        must(
            priorities.contains(&priority),
            at("scheduler.priority"),
            "a number from 1 to 99, for SCHED_FIFO and SCHED_RR only",
        )?;
        let [runtime, deadline, period] =
            ["runtime", "deadline", "period"].map(|name| scheduler.get(name).and_then(Value::as_u64).unwrap_or(0));
        let fits = if policy == 6 {
            runtime > 0 && runtime <= deadline && (period == 0 || deadline <= period)
        } else {
            runtime | deadline | period == 0
        };
        must(
            fits,
            at("scheduler.runtime"),
            "with SCHED_DEADLINE, and with it only, a runtime up to the deadline, up to the period",
        )?;
    }
    if let Some(priority) = &process.io_priority {
        let class = known(text(&priority.0, "class"), "IOPRIO_CLASS_", CLASSES, at("ioPriority.class"))?;
        must(class != 0, at("ioPriority.class"), "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")?;
        let level = priority.0.get("priority").and_then(Value::as_i64).unwrap_or(0);
        must((0..=7).contains(&level), at("ioPriority.priority"), "a number from 0 to 7")?;
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        for (name, member) in [("initial", "execCPUAffinity.initial"), ("final", "execCPUAffinity.final")] {
            numbers(text(&affinity.0, name), at(member))?;
        }
    }
    Ok(())
}

fn text<'v>(of: &'v Value, member: &str) -> &'v str {
    of.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(of: &'v Value, member: &str) -> impl Iterator<Item = &'static str> + 'v {
    of.get(member).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

fn numbers(text: &str, member: &str) -> Result<()> {
    must(text.is_empty() || is_cpu_list(&text.replace(' ', "")), member, "a list of numbers such as 0-2,7")
}

fn mounts(spec: &Spec) -> Result<()> {
    for (number, mount) in spec.mounts.iter().enumerate() {
        let member = join!("mounts[{}]", number);
        absolute(mount.destination, join!("{}.destination", member))?;
        let options =
            Options::parse(mount.options.iter().copied()).map_err(|error| error.option(join!("{}.options", member)))?;
        let is_bind = options.is_bind() || mount.kind == Some("bind");
        let source = mount.source.unwrap_or_default();
        must(
            !(source.has(0) || is_bind && source.is_empty()) || options.set & libc::MS_REMOUNT != 0,
            join!("{}.source", member),
            "a path, for a bind mount",
        )?;
        let kind = mount.kind.unwrap_or_default();
        must(
            is_bind || !kind.is_empty() || options.set & libc::MS_REMOUNT != 0,
            join!("{}.type", member),
            "a file system, or the option bind",
        )?;
        must(!options.copy_up || kind == "tmpfs", join!("{}.options", member), "tmpcopyup with the type tmpfs only")?;
        let maps = [&mount.uid_mappings, &mount.gid_mappings];
        let mapped = maps.iter().any(|map| !map.is_empty());
        must(
            !mapped || maps.iter().all(|map| !map.is_empty()),
            join!("{}.uidMappings", member),
            "with gidMappings, and those with uidMappings",
        )?;
        must(
            is_bind || !mapped && !options.idmap,
            join!("{}.options", member),
            "owners to be mapped on bind mounts only",
        )?;
        let users = mapped || has(spec, NamespaceKind::User);
        must(!options.idmap || users, join!("{}.options", member), "idmap with uidMappings, or with a user namespace")?;
        for (map, name) in maps.into_iter().zip(["uidMappings", "gidMappings"]) {
            ids(map, join!("{}.{}", member, name))?;
        }
    }
    Ok(())
}

/// Ranges that are not empty, end before the last ID, and don't overlap.
fn ids(map: &[IdMapping], member: &str) -> Result<()> {
    for (number, range) in map.iter().enumerate() {
        let fits = range.size > 0
            && range.container_id.checked_add(range.size).is_some()
            && range.host_id.checked_add(range.size).is_some();
        must(fits, join!("{}[{}].size", member, number), "a range of IDs that is not empty, below 4294967295")?;
        let apart = |one: u32, other: u32, size: u32| {
            one >= other && one - other >= size || other >= one && other - one >= range.size
        };
        let fits = map[..number].iter().all(|other| {
            apart(range.container_id, other.container_id, other.size) && apart(range.host_id, other.host_id, other.size)
        });
        must(fits, join!("{}[{}]", member, number), "ranges that don't overlap")?;
    }
    Ok(())
}

fn linux(spec: &Spec, linux: &Linux, config: &Value) -> Result<()> {
    for (number, namespace) in linux.namespaces.iter().enumerate() {
        let member = join!("linux.namespaces[{}]", number);
        let twice = linux.namespaces[..number].iter().any(|other| other.kind == namespace.kind);
        must(!twice, join!("{}.type", member), "each type once")?;
        if let Some(path) = namespace.path {
            absolute(path, join!("{}.path", member))?;
        }
    }
    must(
        has(spec, NamespaceKind::Mount),
        "linux.namespaces",
        "a mount namespace, since all mounts would be the host's",
    )?;
    let user = linux.namespaces.iter().find(|namespace| namespace.kind == NamespaceKind::User);
    for (map, member) in [(&linux.uid_mappings, "linux.uidMappings"), (&linux.gid_mappings, "linux.gidMappings")] {
        must(map.is_empty() || user.is_some(), member, "a user namespace in linux.namespaces")?;
        must(
            !map.is_empty() || user.is_none_or(|user| user.path.is_some()),
            member,
            "mappings, which a new user namespace needs",
        )?;
        ids(map, member)?;
    }
    offsets(linux, config)?;
    for &(name, _) in &linux.sysctl {
        sysctl(spec, name)?;
    }
    for (number, device) in linux.devices.iter().enumerate() {
        let member = join!("linux.devices[{}]", number);
        absolute(device.path, join!("{}.path", member))?;
        let twice = linux.devices[..number].iter().any(|other| other.path == device.path);
        must(!twice, join!("{}.path", member), "each path once")?;
        for (value, name) in [(device.major, "major"), (device.minor, "minor")] {
            let fits = value.map_or(device.kind == DeviceKind::Fifo, |value| u32::try_from(value).is_ok());
            must(fits, join!("{}.{}", member, name), "a number, which all but FIFOs have")?;
        }
        // podman has the kind of file among them.
        let mode = device.file_mode.unwrap_or(0);
        must(mode <= 0o177_777, join!("{}.fileMode", member), "permission bits, in decimal")?;
    }
    for (paths, member) in [(&linux.masked_paths, "linux.maskedPaths"), (&linux.readonly_paths, "linux.readonlyPaths")]
    {
        for (number, path) in paths.iter().enumerate() {
            absolute(path, join!("{}[{}]", member, number))?;
        }
    }
    if let Some(word) = linux.rootfs_propagation.filter(|word| !word.is_empty()) {
        let known = Options::parse([word]).is_ok_and(|options| options.propagation != 0);
        must(
            known,
            "linux.rootfsPropagation",
            join!("private, shared, slave, unbindable, or one of them behind an r, found {}", word),
        )?;
    }
    interfaces(spec, linux)?;
    rest(linux)
}

fn offsets(linux: &Linux, config: &Value) -> Result<()> {
    let Some(offsets) = config.at(&["linux", "timeOffsets"]).and_then(Value::as_object) else { return Ok(()) };
    let own =
        linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Time && namespace.path.is_none());
    must(own || offsets.is_empty(), "linux.timeOffsets", "a new time namespace in linux.namespaces")?;
    for (clock, offset) in offsets {
        must(
            matches!(*clock, "monotonic" | "boottime"),
            join!("linux.timeOffsets.{}", clock),
            "monotonic or boottime",
        )?;
        let part = offset.get("nanosecs").and_then(Value::as_u64).unwrap_or(0);
        must(part < 1_000_000_000, join!("linux.timeOffsets.{}.nanosecs", clock), "less than a second")?;
    }
    Ok(())
}

/// Kernel parameters of an IPC namespace, beside those below `fs.mqueue`.
const IPC: &str = "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced";

/// Whether a kernel parameter is one of a namespace that the container has. Slashes stand for dots, and the other way round, if a
/// slash comes first, sysctl(8).
fn sysctl(spec: &Spec, name: &str) -> Result<()> {
    let member = join!("linux.sysctl.{}", name);
    let first = name.bytes().find(|byte| matches!(byte, b'.' | b'/'));
    let dotted = if first == Some(b'/') { name.replace('/', ".") } else { name.into() };
    let fits = dotted.parts(b'.').all(|part| !part.is_empty())
        && !name.has(0)
        && !(first == Some(b'.') && name.parts(b'/').any(|part| part == ".."));
    must(fits, member, "a parameter's name with dots between its parts")?;
    let (kind, of) = match &*dotted {
        name if name.starts_with("net.") => {
            (NamespaceKind::Network, "a network namespace in linux.namespaces, since it would be the host's")
        }
        name if name.starts_with("fs.mqueue.") || place(IPC, name).is_some() => {
            (NamespaceKind::Ipc, "an ipc namespace in linux.namespaces, since it would be the host's")
        }
        "kernel.domainname" => {
            (NamespaceKind::Uts, "a uts namespace in linux.namespaces, since it would be the host's")
        }
        "kernel.hostname" => return must(false, member, "hostname in its place"),
        name if name.starts_with("user.") => {
            (NamespaceKind::User, "a user namespace in linux.namespaces, since it would be the host's")
        }
        _ => {
            return must(
                false,
                member,
                "a parameter of a namespace: net.*, fs.mqueue.*, user.*, kernel.domainname, or one of System V's such as kernel.shmmax",
            );
        }
    };
    must(has(spec, kind), member, of)
}

fn interfaces(spec: &Spec, linux: &Linux) -> Result<()> {
    let Some(devices) = linux.net_devices.as_ref().and_then(|devices| devices.0.as_object()) else { return Ok(()) };
    must(
        has(spec, NamespaceKind::Network) || devices.is_empty(),
        "linux.netDevices",
        "a network namespace in linux.namespaces",
    )?;
    // `dev_valid_name`, `net/core/dev.c`.
    let fits = |name: &str| {
        (1..16).contains(&name.len())
            && !matches!(name, "." | "..")
            && !name.bytes().any(|byte| matches!(byte, b'/' | b':' | b'%') || byte.is_ascii_whitespace() || byte == 0)
    };
    let mut inside = Vec::new();
    for (name, device) in devices {
        let member = join!("linux.netDevices.{}", name);
        must(fits(name), member, "the name of a network interface")?;
        let new = device.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).unwrap_or(name);
        must(
            fits(new),
            join!("{}.name", member),
            "the name of a network interface: 1 to 15 bytes, no slash, colon or space",
        )?;
        must(!inside.contains(&new), join!("{}.name", member), "each name once")?;
        inside.push(new);
    }
    Ok(())
}

fn rest(linux: &Linux) -> Result<()> {
    if let Some(rdt) = &linux.intel_rdt {
        let group = text(&rdt.0, "closID");
        must(
            !group.has(b'/') && !matches!(group, "." | "..") && !group.has(0),
            "linux.intelRdt.closID",
            "the name of a directory",
        )?;
        let lines =
            list(&rdt.0, "schemata").chain([text_kept(&rdt.0, "l3CacheSchema"), text_kept(&rdt.0, "memBwSchema")]);
        must(!lines.into_iter().any(|line| line.has(b'\n')), "linux.intelRdt", "schemata of one line")?;
        let bandwidth = text(&rdt.0, "memBwSchema");
        must(
            bandwidth.is_empty() || bandwidth.starts_with("MB:"),
            "linux.intelRdt.memBwSchema",
            "MB: and what follows it",
        )?;
    }
    if let Some(personality) = &linux.personality {
        let domain = text(&personality.0, "domain");
        must(place(DOMAINS, domain).is_some() || domain.is_empty(), "linux.personality.domain", "LINUX or LINUX32")?;
        must(
            list(&personality.0, "flags").next().is_none(),
            "linux.personality.flags",
            "none: the specification has no flags yet",
        )?;
    }
    if let Some(policy) = &linux.memory_policy {
        let mode = known(text(&policy.0, "mode"), "MPOL_", MODES, "linux.memoryPolicy.mode")?;
        let nodes = text(&policy.0, "nodes");
        numbers(nodes, "linux.memoryPolicy.nodes")?;
        let mut flags = 0;
        for flag in list(&policy.0, "flags") {
            flags |= 1 << known(flag, "MPOL_F_", MODE_FLAGS, "linux.memoryPolicy.flags")?;
        }
        // `do_set_mempolicy`, `mm/mempolicy.c`: the default and the local one have no nodes, the preferred one may have some.
        must(nodes.is_empty() || !matches!(mode, 0 | 4), "linux.memoryPolicy.nodes", "none with this mode")?;
        must(!nodes.is_empty() || matches!(mode, 0 | 1 | 4), "linux.memoryPolicy.nodes", "nodes with this mode")?;
        must(flags & 6 != 6, "linux.memoryPolicy.flags", "not both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES")?;
    }
    Ok(())
}

fn text_kept(of: &Value, member: &str) -> &'static str {
    of.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Refuses kernel parameters of namespaces that are there already and are the host's after all.
///
/// # Errors
/// They are; stat(2).
pub fn against_host(spec: &Spec) -> Result<()> {
    let Some(linux) = &spec.linux else { return Ok(()) };
    for namespace in &linux.namespaces {
        let (name, start) = match namespace.kind {
            NamespaceKind::Network => ("net", "net"),
            NamespaceKind::Ipc => ("ipc", "fs."),
            _ => continue,
        };
        let Some(path) = namespace.path else { continue };
        let own = |parameter: &str| {
            let is_network = parameter.starts_with("net") && matches!(parameter.as_bytes().get(3), Some(b'.' | b'/'));
            is_network == (start == "net")
        };
        if !linux.sysctl.iter().any(|(parameter, _)| own(parameter)) {
            continue;
        }
        let inode = |path: &str| Ok::<_, Error>(file::stat_follow(CWD, file::path(path)?)?.ino);
        if inode(path)? == inode(join!("/proc/self/ns/{}", name))? {
            return Err(wrong(
                "linux.sysctl",
                say!("the {} namespace that is joined is vial's own, so these would be the host's", name),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
