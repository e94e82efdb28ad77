//! The specification of a container: docker's defaults, changed as the user and the image ask.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::environment::{self, Environment};
use super::image::Found;
use super::sources::{self, Sources};
use crate::base::error::{Error, Result};
use crate::cli::options::RunOptions;
use crate::cli::options::limits::Throttle;
use crate::cli::options::namespaces::Namespace as Asked;
use crate::container::spec::{
    BlockIo, Capabilities, Cpu, Device, DeviceKind, DeviceRate, DeviceRule, Linux, Memory, Mount, Namespace,
    NamespaceKind, OCI_VERSION, Pids, Process, Resources, Rlimit, Root, Spec,
};
use crate::container::{defaults, remains};
use crate::kernel::security::caps;
use crate::sys::security;

/// What a specification is made of.
pub(super) struct Parts<'a> {
    pub(super) options: &'a RunOptions<'a>,
    pub(super) found: &'a Found,
    pub(super) sources: &'a Sources,
    pub(super) env: &'a Environment,
    pub(super) id: &'a str,
    /// Finds the first process of another container.
    pub(super) containers: &'a dyn Fn(&str) -> Result<u32>,
}

/// Builds it.
pub(super) fn build(parts: &Parts<'_>) -> Result<Spec> {
    let options = parts.options;
    let own_uts = !matches!(options.namespaces.uts, Some(Asked::Host | Asked::Container(_)));
    let hostname = environment::hostname(options, parts.id);
    Ok(Spec {
        oci_version: OCI_VERSION.to_string(),
        process: Some(process(parts)?),
        root: Some(Root { path: "rootfs".to_string(), readonly: options.mounts.read_only }),
        hostname: own_uts.then_some(hostname),
        domainname: options.namespaces.domainname.map(ToString::to_string),
        mounts: mounts(parts),
        annotations: annotations(parts),
        linux: Some(linux(parts)?),
    })
}

/// What the specification has no member for, but a later start needs.
fn annotations(parts: &Parts<'_>) -> Vec<(String, String)> {
    let wanted = super::wanted(parts.options, parts.found);
    let signal = parts.options.process.stop_signal.map(crate::base::signal::name);
    let mut annotations = alloc::vec![("vial.image".to_string(), parts.found.name.clone())];
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            annotations.push((name.to_string(), value));
        }
    };
    add(crate::cli::images::LAYERS, parts.found.digests.clone());
    add("vial.user", wanted.user);
    add("vial.group", wanted.group);
    add(remains::VOLUMES, parts.sources.unnamed.join(","));
    add("vial.stopSignal", signal.unwrap_or_else(|| parts.found.stop_signal.clone()));
    annotations
}

fn process(parts: &Parts<'_>) -> Result<Process> {
    let options = parts.options;
    let names = |set: u64| (0..caps::COUNT).filter(move |number| set & 1 << number != 0).filter_map(caps::name);
    let mut granted = options.security.capabilities();
    if options.security.cap_add == caps::ALL {
        // All that there is to give: this kernel or whoever started vial may know fewer.
        granted &= security::capget()?.permitted;
    }
    let chosen: Vec<String> = names(granted).map(|name| alloc::format!("CAP_{name}")).collect();
    let workdir = match options.process.workdir {
        Some(path) => path,
        None if parts.found.workdir.starts_with('/') => &parts.found.workdir,
        None => "/",
    };
    Ok(Process {
        terminal: options.tty,
        args: super::lossy(&super::command(options, parts.found)?),
        env: super::lossy(&parts.env.for_process(options, parts.id)),
        cwd: workdir.to_string(),
        capabilities: Some(Capabilities {
            bounding: chosen.clone(),
            effective: chosen.clone(),
            permitted: chosen,
            ..Capabilities::default()
        }),
        rlimits: options
            .process
            .ulimits
            .iter()
            .map(|limit| Rlimit {
                kind: alloc::format!("RLIMIT_{}", limit.name().to_ascii_uppercase()),
                soft: limit.soft,
                hard: limit.hard,
            })
            .collect(),
        no_new_privileges: options.security.no_new_privileges,
        oom_score_adj: options.process.oom_score_adj.map(i32::from),
        ..Process::default()
    })
}

fn mounts(parts: &Parts<'_>) -> Vec<Mount> {
    let options = parts.options;
    let mut mounts = defaults::mounts(options.mounts.shm_size.unwrap_or(defaults::SHM_SIZE));
    match &options.namespaces.ipc {
        Some(Asked::Host) => bind_instead(&mut mounts, "/dev/shm", "/dev/shm"),
        Some(Asked::None) => mounts.retain(|mount| mount.destination != "/dev/shm"),
        _ => {}
    }
    let etc = |name: &str| Mount {
        destination: alloc::format!("/etc/{name}"),
        kind: Some("bind".to_string()),
        source: Some(name.to_string()),
        options: alloc::vec!["bind".to_string(), "rprivate".to_string()],
        ..Mount::default()
    };
    mounts.extend(["resolv.conf", "hostname", "hosts"].map(etc));
    // What the user mounts takes the place of what would be there.
    mounts.retain(|mount| !parts.sources.mounts.iter().any(|asked| asked.destination == mount.destination));
    mounts.extend(parts.sources.mounts.iter().cloned());
    mounts
}

fn bind_instead(mounts: &mut [Mount], destination: &str, source: &str) {
    if let Some(mount) = mounts.iter_mut().find(|mount| mount.destination == destination) {
        mount.kind = Some("bind".to_string());
        mount.source = Some(source.to_string());
        mount.options = ["rbind", "nosuid", "noexec", "nodev"].map(String::from).to_vec();
    }
}

fn linux(parts: &Parts<'_>) -> Result<Linux> {
    let options = parts.options;
    let sysctls = &options.namespaces.sysctls;
    let mut linux = Linux {
        namespaces: namespaces(parts)?,
        cgroups_path: Some(match options.limits.cgroup_parent {
            Some(parent) => alloc::format!("/{}/{}", parent.trim_matches('/'), parts.id),
            None => alloc::format!("/vial/{}", parts.id),
        }),
        resources: Some(resources(options)?),
        sysctl: sysctls.iter().map(|setting| (setting.name.to_string(), setting.value.to_string())).collect(),
        masked_paths: defaults::MASKED.iter().map(ToString::to_string).collect(),
        readonly_paths: defaults::READ_ONLY.iter().map(ToString::to_string).collect(),
        ..Linux::default()
    };
    for asked in &options.mounts.devices {
        let (is_block, major, minor) = sources::device(asked.host, "--device", false)?;
        linux.devices.push(Device {
            kind: if is_block { DeviceKind::Block } else { DeviceKind::Char },
            path: asked.container.clone(),
            major: Some(major.into()),
            minor: Some(minor.into()),
            file_mode: Some(0o666),
            ..Device::default()
        });
        let kind = if is_block { "b" } else { "c" };
        let rules = &mut linux.resources.get_or_insert_default().devices;
        rules.push(rule(kind, Some(major.into()), Some(minor.into()), asked.access));
    }
    Ok(linux)
}

fn rule(kind: &str, major: Option<i64>, minor: Option<i64>, access: &str) -> DeviceRule {
    DeviceRule { allow: true, kind: Some(kind.to_string()), major, minor, access: Some(access.to_string()) }
}

/// The namespaces: its own, unless it shares the host's or another container's.
fn namespaces(parts: &Parts<'_>) -> Result<Vec<Namespace>> {
    let asked = &parts.options.namespaces;
    let mut namespaces = defaults::namespaces();
    let choices = [
        (NamespaceKind::Pid, "pid", "--pid", &asked.pid),
        (NamespaceKind::Network, "net", "--network", &asked.network),
        (NamespaceKind::Ipc, "ipc", "--ipc", &asked.ipc),
        (NamespaceKind::Uts, "uts", "--uts", &asked.uts),
        (NamespaceKind::Cgroup, "cgroup", "--cgroupns", &asked.cgroup),
    ];
    for (kind, name, option, choice) in choices {
        let path = match choice {
            Some(Asked::Host) => None,
            Some(Asked::Container(other)) => Some(alloc::format!(
                "/proc/{}/ns/{name}",
                (parts.containers)(other).map_err(|error| error.option(option))?
            )),
            Some(Asked::Path(path)) => Some(path.to_string()),
            _ => continue,
        };
        match path {
            None => namespaces.retain(|namespace| namespace.kind != kind),
            path => {
                if let Some(namespace) = namespaces.iter_mut().find(|namespace| namespace.kind == kind) {
                    namespace.path = path;
                }
            }
        }
    }
    Ok(namespaces)
}

fn resources(options: &RunOptions<'_>) -> Result<Resources> {
    let limits = &options.limits;
    let mut devices =
        alloc::vec![DeviceRule { allow: false, access: Some("rwm".to_string()), ..DeviceRule::default() }];
    devices.extend(defaults::DEVICE_RULES.iter().map(|(kind, major, minor, access)| {
        rule(kind, Some(*major).filter(|number| *number >= 0), Some(*minor).filter(|number| *number >= 0), access)
    }));
    devices.extend(limits.device_rules.iter().map(|asked| {
        let kind = (asked.kind as char).to_string();
        rule(&kind, asked.major.map(i64::from), asked.minor.map(i64::from), asked.access)
    }));
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
        cpus: limits.cpuset_cpus.map(ToString::to_string),
        mems: limits.cpuset_mems.map(ToString::to_string),
        ..Cpu::default()
    };
    let block = BlockIo {
        weight: limits.blkio_weight,
        throttle_read_bps_device: rates(&limits.read_bps, "--device-read-bps")?,
        throttle_write_bps_device: rates(&limits.write_bps, "--device-write-bps")?,
        throttle_read_iops_device: rates(&limits.read_iops, "--device-read-iops")?,
        throttle_write_iops_device: rates(&limits.write_iops, "--device-write-iops")?,
        ..BlockIo::default()
    };
    let mut unified = Vec::new();
    if let Some(high) = limits.memory_high {
        unified.push(("memory.high".to_string(), high.to_string()));
    }
    Ok(Resources {
        devices,
        memory: Some(memory).filter(|memory| *memory != Memory::default()),
        cpu: Some(cpu).filter(|cpu| *cpu != Cpu::default()),
        pids: limits.pids.map(|limit| Pids { limit: Some(limit) }),
        block_io: Some(block).filter(|block| *block != BlockIo::default()),
        unified,
        ..Resources::default()
    })
}

fn rates(throttles: &[Throttle], option: &str) -> Result<Vec<DeviceRate>> {
    let rate = |throttle: &Throttle| {
        let (_, major, minor) = sources::device(&throttle.path, option, true)?;
        Ok::<DeviceRate, Error>(DeviceRate { major: major.into(), minor: minor.into(), rate: throttle.rate })
    };
    throttles.iter().map(rate).collect()
}
