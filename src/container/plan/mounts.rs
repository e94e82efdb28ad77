//! What is mounted in the container: the host's trees are taken in hand while they can be seen, and put in their places in the
//! order of the specification.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::{Action, CgroupMount, Planner, Rare, Setting, devices, has_own};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::spec::{Mount, NamespaceKind, Spec};
use crate::kernel::mounts::Options;
use crate::sys::file;

/// The options of each mount, by its place in the specification, and the slot of its tree if it is a bind mount.
pub(super) type Taken = &'static [(&'static Options, Option<usize>)];

/// Plans to take the sources of all bind mounts, and behind them those of devices that can't be made.
#[inline(never)]
pub(super) fn take_trees(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>) -> Result<Taken> {
    plan.why = phrase!("take the host's files and directories that the container gets in hand, while they can be seen");
    let taken = Box::leak(Box::new(Vec::with_capacity(spec.mounts.len())));
    let confined = setting.confined || plan.users;
    for mount in &spec.mounts {
        let mut options = Options::parse(mount.options.iter().copied())?;
        if mount.kind == Some("bind") {
            options.set |= libc::MS_BIND;
        }
        let options: &Options = Box::leak(Box::new(options));
        let kind = mount.kind.unwrap_or_default();
        let source = mount.source.unwrap_or(kind);
        let anew = options.set & libc::MS_REMOUNT == 0;
        let mut slot = None;
        if options.is_bind() && anew {
            let Some(source) = mount.source else { return Err(missing(mount, "source")) };
            let recursive = options.set & libc::MS_REC != 0;
            let taken = plan.next();
            plan.add(Action::Take { slot: taken, source: file::path(source)?, recursive });
            slot = Some(taken);
            if options.owned {
                plan.owned.push(taken);
            }
            let maps = [&*mount.uid_mappings, &*mount.gid_mappings];
            if !maps[0].is_empty() {
                plan.map_by(taken, maps, options.idmap_all)?;
            } else if options.idmap {
                if !plan.users {
                    return Err(Error::new(say!("mounts: the mount at {} has the option idmap", mount.destination))
                        .hint(phrase!(
                            "it needs mappings, or a user namespace of the container's own: --userns auto"
                        )));
                }
                plan.add(Action::MapOwners { slot: taken, recursive: options.idmap_all });
            }
        } else if kind == "cgroup" {
            if shows_own_groups(spec, setting) {
                slot = Some(plan.free);
                for group in setting.cgroups {
                    let slot = plan.next();
                    plan.add(Action::Take { slot, source: file::path(group.path)?, recursive: false });
                }
            }
        } else if options.idmap || !mount.uid_mappings.is_empty() {
            return Err(Error::new(say!("mounts: the mount at {} has owners mapped", mount.destination))
                .hint(phrase!("that is for bind mounts")));
        } else if confined && matches!(kind, "proc" | "sysfs") || options.copy_up {
            if options.copy_up && kind != "tmpfs" {
                return Err(Error::new(say!("mounts: the mount at {} has the option tmpcopyup", mount.destination))
                    .hint(phrase!("that is for tmpfs")));
            }
            let made = plan.next();
            slot = Some(made);
            plan.makes.push((made, file::path(kind)?, options));
        } else if anew && (source.starts_with('/') || kind == "overlay") {
            // A device, or directories, of the host's.
            let made = plan.next();
            slot = Some(made);
            plan.add(Action::Make { slot: made, kind: file::path(kind)?, source: file::path(source)?, options });
        }
        taken.push((options, slot));
    }
    if confined {
        devices::take(plan, spec)?;
    }
    Ok(taken)
}

#[cold]
#[inline(never)]
fn missing(mount: &Mount, member: &str) -> Error {
    Error::new(say!("mounts: the mount at {} has no {}", mount.destination, member))
}

#[inline(never)]
pub(super) fn mounts(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>, taken: Taken) -> Result<()> {
    let confined = setting.confined || plan.users;
    let (mut has_devices, mut is_bound, mut has_hosts) = (false, false, false);
    let mut sealed = None;
    for (mount, (options, slot)) in spec.mounts.iter().zip(taken) {
        let is_dev = mount.destination.trim_end_matches('/') == "/dev";
        is_bound |= is_dev;
        has_hosts |= slot.is_some() && mount.destination.trim_end_matches('/') == "/sys";
        let target = file::path(mount.destination)?;
        if mount.kind == Some("cgroup") && !options.is_bind() {
            plan.why = phrase!("show the container's own control groups");
            if has_hosts && is_alone(setting) {
                // The host's are there, and the kernel mounts no file system where it is already.
                cover(plan, target, options.set);
            }
            cgroup_mounts(plan, target, options, *slot, setting)?;
            if options.set & libc::MS_RDONLY != 0 && !is_alone(setting) {
                sealed = Some(target);
            }
            continue;
        }
        if let Some(slot) = *slot {
            if options.copy_up {
                plan.why = phrase!("fill the new file system with what the root has in its place");
                plan.add(Action::Fill { slot, path: target });
            } else if setting.fills.contains(&mount.destination) {
                plan.why = phrase!("fill the new volume with what the image has in its place");
                plan.add(Action::Fill { slot, path: target });
            }
            plan.why = phrase!("put what was taken from the host in its place");
            plan.add(Action::Attach { slot, target, options });
            continue;
        }
        plan.why = phrase!("give the container its own processes, devices and kernel files");
        let kind = match mount.kind {
            Some(kind) => kind,
            None if options.set & libc::MS_REMOUNT != 0 => "none",
            None => return Err(missing(mount, "type")),
        };
        let flags = options.set;
        let source = file::path(mount.source.unwrap_or(kind))?;
        let data = file::path(options.data.join(","))?;
        if has_devices && mount.destination.strip_prefix("/dev/").is_some_and(|name| !name.has(b'/')) {
            // That is empty, so nothing has to be looked up.
            plan.add(Action::Directory { path: target });
        }
        plan.add(Action::Filesystem { source, kind: file::path(kind)?, target, flags, data });
        if options.propagation != 0 || options.recursive | options.recursive_cleared != 0 {
            let attributes = (options.recursive, options.recursive_cleared);
            plan.seldom(Rare::Spread { target, propagation: options.propagation, attributes });
        }
        if is_dev && options.set & libc::MS_REMOUNT == 0 {
            devices::links(plan, confined);
            has_devices = true;
        }
    }
    if let Some(path) = sealed {
        // Only now: podman has something mounted there as well, for systemd.
        plan.why = phrase!("show the container's own control groups");
        plan.add(Action::Seal { path });
    }
    if !is_bound {
        plan.missing_devices(confined)?;
    } else if !has_devices && confined {
        // Those that were taken are not needed.
        plan.slot += crate::container::defaults::DEVICES.len();
    }
    Ok(())
}

/// Whether the container's own group is all that it sees of each hierarchy, though it has no cgroup namespace: where there are several, as
/// with all runtimes. v2 alone is shown whole then.
fn shows_own_groups(spec: &Spec, setting: &Setting<'_>) -> bool {
    setting.cgroups.iter().any(|group| !group.name.is_empty()) && !has_own(spec, NamespaceKind::Cgroup)
}

/// Whether there is at most one hierarchy, which is mounted in its customary place itself.
fn is_alone(setting: &Setting<'_>) -> bool {
    matches!(setting.cgroups, [] | [CgroupMount { name: "", .. }])
}

/// Puts an empty directory in a place, for what is mounted there next.
fn cover(plan: &mut Planner, target: &'static CStr, flags: libc::c_ulong) {
    let (kind, data) = (c"tmpfs", c"mode=755,size=64k");
    plan.add(Action::Filesystem { source: kind, kind, target, flags: flags & !libc::MS_RDONLY, data });
}

/// Shows the container's own control groups: as its cgroup namespace has them, or those that were taken, from this slot on.
#[inline(never)]
fn cgroup_mounts(
    plan: &mut Planner,
    target: &'static CStr,
    options: &'static Options,
    slot: Option<usize>,
    setting: &Setting<'_>,
) -> Result<()> {
    let flags = options.set;
    let alone = is_alone(setting);
    if !alone {
        cover(plan, target, flags);
    }
    for (number, &CgroupMount { name, kind, data, .. }) in setting.cgroups.iter().enumerate() {
        let mut place = target;
        if !alone {
            place = file::path(join!("{}/{}", keep::lossy(target.to_bytes()), name))?;
            plan.add(Action::Directory { path: place });
        }
        plan.add(match slot {
            Some(first) => Action::Attach { slot: first + number, target: place, options },
            None => Action::Filesystem { source: c"cgroup", kind, target: place, flags, data: file::path(data)? },
        });
    }
    Ok(())
}
