//! What is different about a container that is made in a user namespace, where root is not the host's.

use super::Options;
use crate::base::error::{Error, Result};
use crate::cli::flags::Id;
use crate::cli::flags::table::name;
use crate::cli::options::{mounts, namespaces};
use crate::container::spec::{Mount, Spec};
use crate::kernel::users;
use crate::sys::cold::Gate;

pub(super) static COLD_GATE_SELDOM: Gate<fn(Options, &mut Spec) -> Result<()>> = Gate(adapt);

/// Changes the specification accordingly.
///
/// # Errors
/// What was asked for and only the host's root can do.
fn adapt(options: Options, spec: &mut Spec) -> Result<()> {
    if options.parsed.last(Id::DeviceCgroupRule).is_some() {
        return Err(Error::new(phrase!(
            "--device-cgroup-rule needs root: in a user namespace nobody can make devices"
        ))
        .hint(phrase!("--device gives the container one of the host's")));
    }
    own_namespaces(options, "working in a user namespace", namespaces::HOST)?;
    share_sysfs(options, spec, namespaces::HOST);
    let linux = spec.linux.get_or_insert_default();
    // There are the devices that the container is given and no others: those of the host's, under their own names.
    if !options.parsed.on(Id::RunPrivileged) {
        linux.devices.clear();
    }
    if let Some(resources) = &mut linux.resources {
        resources.0.remove("devices");
    }
    let groups_lack = !users::has("gid_map", TTY);
    for mount in &mut spec.mounts {
        if mount.kind == Some("devpts") && groups_lack {
            mount.options.retain(|option| *option != "gid=5");
        }
    }
    for given in options.parsed.flags.iter().filter(|given| given.flag.id == Id::Device) {
        if let Ok(device) = mounts::device(given.text()?) {
            linux.devices.retain(|known| known.path != device.container);
            spec.mounts.push(Mount {
                destination: device.container,
                kind: Some("bind"),
                source: Some(device.host),
                options: alloc::vec!["bind", "rprivate", "nosuid", "noexec"],
                ..Mount::default()
            });
        }
    }
    Ok(())
}

/// Refuses namespaces of these modes whose files the kernel makes only for who owns them: `/proc`, message queues, control groups.
///
/// # Errors
/// The container shares one of them.
pub(super) fn own_namespaces(options: Options, with: &str, modes: u8) -> Result<()> {
    for id in [Id::Pid, Id::Ipc, Id::CgroupNs] {
        if options.is(id, modes) {
            return Err(Error::new(say!(
                "--{} conflicts with {}: that namespace is not the container's own",
                name(id),
                with
            ))
            .hint(phrase!("the kernel shows its files only to who owns it; leave one of both out")));
        }
    }
    Ok(())
}

/// Shows the host's `/sys` to a container whose network is of these modes: the kernel makes none for who does not own the network.
pub(super) fn share_sysfs(options: Options, spec: &mut Spec, modes: u8) {
    let shares = options.is(Id::Network, modes);
    for mount in spec.mounts.iter_mut().filter(|mount| shares && mount.kind == Some("sysfs")) {
        mount.kind = Some("bind");
        mount.source = Some("/sys");
        mount.options = alloc::vec!["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro", "rro"];
    }
}

/// The group of terminals.
const TTY: u32 = 5;
