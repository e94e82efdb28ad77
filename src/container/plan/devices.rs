//! Devices: made, or in a user namespace, where nobody can make any, the host's own.

use core::ffi::CStr;

use super::{Action, Planner, Setting};
use crate::base::error::{Error, Result};
use crate::container::defaults;
use crate::container::spec::{DeviceKind, Spec};
use crate::kernel::mounts::Options;
use crate::sys::file;

/// Plans to take the host's in hand.
#[inline(never)]
pub(super) fn take(plan: &mut Planner, spec: &Spec) -> Result<()> {
    plan.slot = plan.free;
    plan.why = phrase!("take the host's devices in hand, since nobody can make any in a user namespace");
    for &(source, ..) in defaults::DEVICES {
        let slot = plan.next();
        plan.add(Action::Take { slot, source, recursive: false });
    }
    for device in spec.linux.iter().flat_map(|linux| &linux.devices).filter(|device| device.kind != DeviceKind::Fifo) {
        let slot = plan.next();
        plan.add(Action::Take { slot, source: file::path(device.path)?, recursive: false });
    }
    Ok(())
}

impl Planner {
    /// Puts the next device that was taken in its place.
    fn attach_device(&mut self, target: &'static CStr) {
        self.add(Action::Attach { slot: self.slot, target, options: Options::BIND });
        self.slot += 1;
    }
}

/// Plans what every program may expect.
pub(super) fn links(plan: &mut Planner, confined: bool) {
    plan.why = phrase!("make the few devices that every program may expect");
    for &(path, major, minor) in defaults::DEVICES {
        if confined {
            plan.attach_device(path);
        } else {
            plan.add(Action::Device { path, mode: libc::S_IFCHR | 0o666, major, minor, owner: (0, 0) });
        }
    }
    for &(target, path) in defaults::LINKS {
        plan.add(Action::Link { target, path });
    }
}

/// Plans what was asked for, and the terminal.
pub(super) fn asked(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>) -> Result<()> {
    plan.why = phrase!("make the devices that were asked for");
    for device in spec.linux.iter().flat_map(|linux| &linux.devices) {
        let kind = match device.kind {
            DeviceKind::Char | DeviceKind::Unbuffered => libc::S_IFCHR,
            DeviceKind::Block => libc::S_IFBLK,
            DeviceKind::Fifo => libc::S_IFIFO,
        };
        let number = |value: Option<i64>| u32::try_from(value.unwrap_or(0));
        let (Ok(major), Ok(minor)) = (number(device.major), number(device.minor)) else {
            return Err(Error::new(say!("linux.devices: {} has a device number out of range", device.path)));
        };
        if (setting.confined || plan.users) && kind != libc::S_IFIFO {
            plan.attach_device(file::path(device.path)?);
            continue;
        }
        plan.add(Action::Device {
            path: file::path(device.path)?,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            major,
            minor,
            owner: (device.uid.unwrap_or(0), device.gid.unwrap_or(0)),
        });
    }
    if spec.process.as_ref().is_some_and(|process| process.terminal) {
        plan.why = phrase!("make the container's own terminal");
        plan.add(Action::Console { first: true });
    }
    Ok(())
}
