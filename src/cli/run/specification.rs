//! The specification of a container: docker's defaults, changed as the user and the image ask.

use alloc::vec::Vec;

use super::image::Found;
use super::sources::{self, Sources};
use super::{Options, Words};
use crate::base::error::Result;
use crate::base::json::record::is_empty;
use crate::base::signal;
use crate::cli::options::limits::{Limits, Throttle};
use crate::cli::options::namespaces::Namespace as Asked;
use crate::container::spec::{
    BlockIo, Cpu, Device, DeviceKind, DeviceRate, DeviceRule, Linux, Memory, Mount, Namespace, NamespaceKind, Pids,
    Process, Resources, Rlimit, Spec,
};
use crate::container::user::Wanted;
use crate::container::{defaults, launch, remains};
use crate::kernel::security::caps;
use crate::sys::security;

/// What a specification is made of.
pub(super) struct Parts<'a> {
    pub(super) options: Options,
    pub(super) found: &'static Found,
    /// The storage driver, if it gives the container a tree of its own.
    pub(super) storage: &'static str,
    pub(super) sources: &'static Sources,
    pub(super) command: Words,
    pub(super) env: Words,
    pub(super) wanted: Wanted<'static>,
    pub(super) hostname: &'static str,
    pub(super) id: &'static str,
    /// Whether what can't be enforced is a warning.
    pub(super) best_effort: bool,
    /// Finds ID and first process of another container.
    pub(super) containers: &'a dyn Fn(&str) -> Result<(&'static str, u32)>,
}

/// Builds it.
#[inline(never)]
pub(super) fn build(parts: &Parts<'_>) -> Result<&'static mut Spec> {
    let options = parts.options;
    let spec = defaults::spec()?;
    if !matches!(options.namespaces.uts, Some(Asked::Host | Asked::Container(_))) {
        spec.hostname = Some(parts.hostname);
    }
    spec.domainname = options.namespaces.domainname;
    mounts(parts, &mut spec.mounts);
    annotations(parts, &mut spec.annotations);
    // The defaults have all of these.
    if let Some(root) = &mut spec.root {
        root.readonly = options.mounts.read_only;
    }
    if let Some(asked) = &mut spec.process {
        process(parts, asked)?;
    }
    if let Some(asked) = &mut spec.linux {
        linux(parts, asked, &mut spec.annotations)?;
    }
    Ok(spec)
}

/// What the specification has no member for, but a later start needs.
#[inline(never)]
fn annotations(parts: &Parts<'_>, annotations: &mut Annotations) {
    let options = parts.options;
    let signal = match options.process.stop_signal {
        Some(number) => signal::name(number).leak(),
        None => parts.found.stop_signal,
    };
    let input = match (options.interactive, options.detach) {
        (false, _) => "",
        (true, false) => "once",
        (true, true) => "open",
    };
    let lossy = parts.command.iter().chain(parts.env).any(|word| word.to_str().is_err());
    let set = |on: bool| if on { "true" } else { "" };
    for (name, value) in [
        (launch::IMAGE, parts.found.name),
        (launch::LAYERS, parts.found.digests),
        (launch::DIRECTORY, parts.found.directory),
        (launch::FILE, parts.found.file),
        (launch::STORAGE, parts.storage),
        (launch::USER, parts.wanted.user),
        (launch::GROUP, parts.wanted.group),
        (launch::GROUPS, parts.wanted.further.join(",").leak()),
        (launch::STOP_SIGNAL, signal),
        (launch::STOP_TIMEOUT, options.stop_timeout.map_or("", |seconds| join!("{}", seconds))),
        (launch::FILLS, &parts.sources.fills),
        (launch::RESTART, options.restart),
        (launch::INIT, set(options.process.init)),
        (launch::INPUT, input),
        (launch::BEST_EFFORT, set(parts.best_effort)),
        (launch::LOSSY, set(lossy)),
        (remains::VOLUMES, parts.sources.unnamed.join(",").leak()),
    ] {
        if !value.is_empty() {
            annotations.push((name, value));
        }
    }
    options.record.log.annotate(annotations);
}

#[inline(never)]
fn process(parts: &Parts<'_>, process: &mut Process) -> Result<()> {
    let options = parts.options;
    process.terminal = options.tty;
    process.args = super::lossy(parts.command);
    process.env = super::lossy(parts.env);
    if let Some(path) = options.process.workdir {
        process.cwd = path;
    } else if parts.found.workdir.starts_with('/') {
        process.cwd = parts.found.workdir;
    }
    for limit in &options.process.ulimits {
        let kind = join!("RLIMIT_{}", limit.name().to_ascii_uppercase());
        process.rlimits.push(Rlimit { kind, soft: limit.soft, hard: limit.hard });
    }
    process.no_new_privileges = options.security.no_new_privileges;
    process.oom_score_adj = options.process.oom_score_adj.map(i32::from);
    let mut granted = options.security.capabilities();
    if options.security.cap_add == caps::ALL {
        // All that there is to give: this kernel or whoever started vial may know fewer.
        granted &= security::capget()?.permitted;
    }
    let Some(sets) = &mut process.capabilities else { return Ok(()) };
    for number in 0..caps::COUNT {
        if let (true, Some(name)) = (granted & 1 << number != 0, caps::name(number)) {
            let name = join!("CAP_{}", name);
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.push(name);
            }
        }
    }
    Ok(())
}

fn mounts(parts: &Parts<'_>, mounts: &mut Vec<Mount>) {
    let options = parts.options;
    let ipc = &options.namespaces.ipc;
    for mount in &mut *mounts {
        if mount.destination != "/dev/shm" {
        } else if matches!(ipc, Some(Asked::Host)) {
            mount.kind = Some("bind");
            mount.source = Some("/dev/shm");
            mount.options = alloc::vec!["rbind", "nosuid", "noexec", "nodev"];
        } else {
            mount.options.push(join!("size={}", options.mounts.shm_size.unwrap_or(defaults::SHM_SIZE)));
        }
    }
    // What the user mounts takes the place of what would be there.
    let mut asked = parts.sources.mounts.take();
    mounts.retain(|mount| {
        let unwanted = mount.destination == "/dev/shm" && matches!(ipc, Some(Asked::None));
        !unwanted && !asked.iter().any(|asked| asked.destination == mount.destination)
    });
    mounts.append(&mut asked);
}

type Annotations = Vec<(&'static str, &'static str)>;

fn linux(parts: &Parts<'_>, linux: &mut Linux, annotations: &mut Annotations) -> Result<()> {
    let options = parts.options;
    namespaces(parts, &mut linux.namespaces, annotations)?;
    let mut parent = options.limits.cgroup_parent.unwrap_or("vial");
    while let Some(rest) = parent.strip_prefix('/').or_else(|| parent.strip_suffix('/')) {
        parent = rest;
    }
    linux.cgroups_path = Some(join!("/{}/{}", parent, parts.id));
    for setting in &options.namespaces.sysctls {
        linux.sysctl.push((setting.name, setting.value));
    }
    let Some(resources) = &mut linux.resources else { return Ok(()) };
    limits(&options.limits, resources)?;
    for asked in &options.mounts.devices {
        let (is_block, major, minor) = sources::device(asked.host, "--device", false)?;
        let (major, minor) = (Some(major.into()), Some(minor.into()));
        let (kind, letter) = if is_block { (DeviceKind::Block, "b") } else { (DeviceKind::Char, "c") };
        let path = asked.container;
        linux.devices.push(Device { kind, path, major, minor, file_mode: Some(0o666), ..Device::default() });
        allow(resources, letter, major, minor, asked.access);
    }
    Ok(())
}

#[inline(never)]
fn allow(resources: &mut Resources, kind: &'static str, major: Option<i64>, minor: Option<i64>, access: &'static str) {
    resources.devices.push(DeviceRule { allow: true, kind: Some(kind), major, minor, access: Some(access) });
}

/// The namespaces: its own, unless it shares the host's or another container's.
#[inline(never)]
fn namespaces(parts: &Parts<'_>, namespaces: &mut Vec<Namespace>, annotations: &mut Annotations) -> Result<()> {
    let asked = &parts.options.namespaces;
    let choices = [
        (NamespaceKind::Pid, "--pid", &asked.pid),
        (NamespaceKind::Network, "--network", &asked.network),
        (NamespaceKind::Ipc, "--ipc", &asked.ipc),
        (NamespaceKind::Uts, "--uts", &asked.uts),
        (NamespaceKind::Cgroup, "--cgroupns", &asked.cgroup),
    ];
    let mut shared = Vec::new();
    for (kind, option, choice) in choices {
        let path = match *choice {
            Some(Asked::Host) => {
                namespaces.retain(|namespace| namespace.kind != kind);
                continue;
            }
            Some(Asked::Container(other)) => match (parts.containers)(other) {
                Ok((id, pid)) => {
                    shared.push(join!("{}={}", kind.name(), id));
                    launch::namespace_path(pid, kind.name())
                }
                Err(error) => return Err(error.option(option)),
            },
            Some(Asked::Path(path)) => path,
            _ => continue,
        };
        for namespace in &mut *namespaces {
            if namespace.kind == kind {
                namespace.path = Some(path);
            }
        }
    }
    if !shared.is_empty() {
        annotations.push((launch::SHARED, &*shared.join(",").leak()));
    }
    Ok(())
}

/// The limits as the specification has them.
#[inline(never)]
pub(in crate::cli) fn limits(limits: &Limits<'static>, resources: &mut Resources) -> Result<()> {
    for asked in &limits.device_rules {
        let kind = match asked.kind {
            b'a' => "a",
            b'b' => "b",
            _ => "c",
        };
        allow(resources, kind, asked.major.map(i64::from), asked.minor.map(i64::from), asked.access);
    }
    let mut memory = Memory {
        limit: limits.memory.map(|bytes| bytes as i64),
        reservation: limits.memory_reservation.map(|bytes| bytes as i64),
        swap: limits.memory_swap,
        swappiness: limits.swappiness.map(u64::from),
        disable_oom_killer: limits.oom_kill_disable.then_some(true),
        ..Memory::default()
    };
    let mut cpu = Cpu {
        shares: limits.cpu_shares,
        quota: limits.cpu_quota,
        period: limits.cpu_period,
        cpus: limits.cpuset_cpus,
        mems: limits.cpuset_mems,
        ..Cpu::default()
    };
    let mut block = BlockIo { weight: limits.blkio_weight, ..BlockIo::default() };
    for (option, throttles, rates) in [
        ("--device-read-bps", &limits.read_bps, &mut block.throttle_read_bps_device),
        ("--device-write-bps", &limits.write_bps, &mut block.throttle_write_bps_device),
        ("--device-read-iops", &limits.read_iops, &mut block.throttle_read_iops_device),
        ("--device-write-iops", &limits.write_iops, &mut block.throttle_write_iops_device),
    ] {
        for Throttle { path, rate } in throttles {
            let (_, major, minor) = sources::device(path, option, true)?;
            rates.push(DeviceRate { major: major.into(), minor: minor.into(), rate: *rate });
        }
    }
    if let Some(high) = limits.memory_high {
        resources.unified.push(("memory.high", join!("{}", high)));
    }
    if !is_empty(&mut memory) {
        resources.memory = Some(memory);
    }
    if !is_empty(&mut cpu) {
        resources.cpu = Some(cpu);
    }
    if !is_empty(&mut block) {
        resources.block_io = Some(block);
    }
    resources.pids = limits.pids.map(|limit| Pids { limit: Some(limit) });
    Ok(())
}
