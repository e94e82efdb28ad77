//! The specification of a container: docker's defaults, changed as the user and the image ask.

use alloc::vec::Vec;

use super::image::Found;
use super::sources::{self, Sources};
use super::{Options, Words};
use crate::base::error::Result;
use crate::base::keep::text;
use crate::base::signal;
use crate::cli::options::limits::Throttle;
use crate::cli::options::namespaces::Namespace as Asked;
use crate::container::root::{DIRECTORY, LAYERS};
use crate::container::spec::{
    BlockIo, Cpu, Device, DeviceKind, DeviceRate, DeviceRule, Linux, Memory, Mount, Namespace, NamespaceKind, Pids,
    Process, Resources, Rlimit, Spec,
};
use crate::container::user::Wanted;
use crate::container::{defaults, remains};
use crate::kernel::security::caps;
use crate::sys::security;

/// What a specification is made of.
pub(super) struct Parts<'a> {
    pub(super) options: Options,
    pub(super) found: &'static Found,
    pub(super) sources: &'static Sources,
    pub(super) command: Words,
    pub(super) env: Words,
    pub(super) wanted: Wanted<'static>,
    pub(super) hostname: &'static str,
    pub(super) id: &'static str,
    /// Finds the first process of another container.
    pub(super) containers: &'a dyn Fn(&str) -> Result<u32>,
}

/// Builds it.
pub(super) fn build(parts: &Parts<'_>) -> Result<&'static mut Spec> {
    let options = parts.options;
    let spec = defaults::spec()?;
    if !matches!(options.namespaces.uts, Some(Asked::Host | Asked::Container(_))) {
        spec.hostname = Some(parts.hostname);
    }
    spec.domainname = options.namespaces.domainname;
    spec.root.get_or_insert_default().readonly = options.mounts.read_only;
    process(parts, spec.process.get_or_insert_default())?;
    mounts(parts, &mut spec.mounts);
    annotations(parts, &mut spec.annotations);
    linux(parts, spec.linux.get_or_insert_default())?;
    Ok(spec)
}

/// What the specification has no member for, but a later start needs.
fn annotations(parts: &Parts<'_>, annotations: &mut Vec<(&'static str, &'static str)>) {
    annotations.push(("vial.image", parts.found.name));
    let signal = match parts.options.process.stop_signal {
        Some(number) => signal::name(number).leak(),
        None => parts.found.stop_signal,
    };
    for (name, value) in [
        (LAYERS, parts.found.digests),
        (DIRECTORY, parts.found.layers.first().copied().filter(|layer| layer.starts_with('/')).unwrap_or_default()),
        ("vial.user", parts.wanted.user),
        ("vial.group", parts.wanted.group),
        (remains::VOLUMES, parts.sources.unnamed.join(",").leak()),
        ("vial.stopSignal", signal),
    ] {
        if !value.is_empty() {
            annotations.push((name, value));
        }
    }
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
    let mut granted = options.security.capabilities();
    if options.security.cap_add == caps::ALL {
        // All that there is to give: this kernel or whoever started vial may know fewer.
        granted &= security::capget()?.permitted;
    }
    let sets = process.capabilities.get_or_insert_default();
    for number in 0..caps::COUNT {
        if let (true, Some(name)) = (granted & 1 << number != 0, caps::name(number)) {
            let name = text!("CAP_{name}");
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                set.push(name);
            }
        }
    }
    for limit in &options.process.ulimits {
        let kind = text!("RLIMIT_{}", limit.name().to_ascii_uppercase());
        process.rlimits.push(Rlimit { kind, soft: limit.soft, hard: limit.hard });
    }
    process.no_new_privileges = options.security.no_new_privileges;
    process.oom_score_adj = options.process.oom_score_adj.map(i32::from);
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
            mount.options.push(text!("size={}", options.mounts.shm_size.unwrap_or(defaults::SHM_SIZE)));
        }
    }
    // What the user mounts takes the place of what would be there.
    let asked = &parts.sources.mounts;
    mounts.retain(|mount| {
        let unwanted = mount.destination == "/dev/shm" && matches!(ipc, Some(Asked::None));
        !unwanted && !asked.iter().any(|asked| asked.destination == mount.destination)
    });
    mounts.extend_from_slice(asked);
}

fn linux(parts: &Parts<'_>, linux: &mut Linux) -> Result<()> {
    let options = parts.options;
    namespaces(parts, &mut linux.namespaces)?;
    let parent = options.limits.cgroup_parent.unwrap_or("vial").trim_matches('/');
    linux.cgroups_path = Some(text!("/{parent}/{}", parts.id));
    for setting in &options.namespaces.sysctls {
        linux.sysctl.push((setting.name, setting.value));
    }
    let resources = linux.resources.get_or_insert_default();
    limits(options, resources)?;
    for asked in &options.mounts.devices {
        let (is_block, major, minor) = sources::device(asked.host, "--device", false)?;
        let (major, minor) = (Some(major.into()), Some(minor.into()));
        let (kind, letter) = if is_block { (DeviceKind::Block, "b") } else { (DeviceKind::Char, "c") };
        let path = &asked.container;
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
fn namespaces(parts: &Parts<'_>, namespaces: &mut Vec<Namespace>) -> Result<()> {
    let asked = &parts.options.namespaces;
    let choices = [
        (NamespaceKind::Pid, "pid", "--pid", &asked.pid),
        (NamespaceKind::Network, "net", "--network", &asked.network),
        (NamespaceKind::Ipc, "ipc", "--ipc", &asked.ipc),
        (NamespaceKind::Uts, "uts", "--uts", &asked.uts),
        (NamespaceKind::Cgroup, "cgroup", "--cgroupns", &asked.cgroup),
    ];
    for (kind, name, option, choice) in choices {
        let path = match *choice {
            Some(Asked::Host) => {
                namespaces.retain(|namespace| namespace.kind != kind);
                continue;
            }
            Some(Asked::Container(other)) => match (parts.containers)(other) {
                Ok(pid) => text!("/proc/{pid}/ns/{name}"),
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
    Ok(())
}

#[inline(never)]
fn limits(options: Options, resources: &mut Resources) -> Result<()> {
    let limits = &options.limits;
    for asked in &limits.device_rules {
        let kind = match asked.kind {
            b'a' => "a",
            b'b' => "b",
            _ => "c",
        };
        allow(resources, kind, asked.major.map(i64::from), asked.minor.map(i64::from), asked.access);
    }
    let memory = Memory {
        limit: limits.memory.map(|bytes| bytes as i64),
        reservation: limits.memory_reservation.map(|bytes| bytes as i64),
        swap: limits.memory_swap,
        swappiness: limits.swappiness.map(u64::from),
        disable_oom_killer: limits.oom_kill_disable.then_some(true),
        ..Memory::default()
    };
    let cpu = Cpu {
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
        resources.unified.push(("memory.high", text!("{high}")));
    }
    resources.memory = Some(memory).filter(|memory| *memory != Memory::default());
    resources.cpu = Some(cpu).filter(|cpu| *cpu != Cpu::default());
    resources.pids = limits.pids.map(|limit| Pids { limit: Some(limit) });
    resources.block_io = Some(block).filter(|block| *block != BlockIo::default());
    Ok(())
}
