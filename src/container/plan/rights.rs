//! What a process of the container may do: user, capabilities, and what confines it as the last thing before it is executed.

use alloc::boxed::Box;

use super::{Action, Planner};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::container::launch;
use crate::container::spec::{Capabilities, Process, Spec};
use crate::kernel::security::caps;
use crate::kernel::security::seccomp::{self, Filter};
use crate::sys::file;

/// What a process takes upon itself just before it becomes the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The filter of system calls.
    pub filter: Option<Filter>,
    /// Another one for vial itself, where it stays as an init.
    pub init_filter: Option<Filter>,
    /// The paths below which it may use files, with Landlock's rules; empty for no such bounds.
    pub landlock: &'static str,
    /// Capabilities that this takes: it is executed without them if they are in none of the sets that last.
    pub temporary: u64,
    /// The capabilities that it has besides, as root.
    pub granted: u64,
    /// And as another user.
    pub ambient: u64,
    /// Whether a kernel that has no filters is no reason to stop.
    pub best_effort: bool,
}

/// Plans all that gives rights or takes them, in this order: the user changes while that is allowed, and what confines comes last.
#[inline(never)]
pub(super) fn process_rights(plan: &mut Planner, spec: &Spec, process: &Process) -> Result<()> {
    let none = Capabilities::default();
    let sets = process.capabilities.as_ref().unwrap_or(&none);
    let (bounding, permitted) = (capability_set(&sets.bounding)?, capability_set(&sets.permitted)?);
    let inheritable = capability_set(&sets.inheritable)?;
    // The kernel knows no other ambient ones, capabilities(7); what runc suggests names some.
    let ambient = capability_set(&sets.ambient)? & inheritable & permitted;
    let filter = filter(spec, bounding)?;
    // Without no_new_privs this capability is needed, seccomp(2), landlock(7).
    let landlock = launch::annotation(spec, launch::LANDLOCK);
    let confined = filter.is_some() || !landlock.is_empty();
    let temporary = if confined && !process.no_new_privileges { caps::SYS_ADMIN } else { 0 };
    plan.why = phrase!("become the workload's user, with no more rights than it needs");
    plan.add(Action::Become {
        bounding,
        effective: capability_set(&sets.effective)?,
        permitted,
        inheritable,
        ambient,
        temporary,
    });
    if process.no_new_privileges {
        plan.add(Action::NoNewPrivileges);
    }
    plan.why = phrase!("go to the workload's directory");
    plan.add(Action::WorkingDirectory { path: file::path(process.cwd)? });
    if confined {
        plan.why = phrase!("let the workload use nothing but the system calls and files that it is to have");
        plan.add(Action::Confine(Box::leak(Box::new(Confinement {
            filter,
            init_filter: None,
            landlock,
            temporary,
            granted: permitted,
            ambient,
            best_effort: best_effort(spec),
        }))));
    }
    Ok(())
}

/// Whether what the kernel lacks is a warning.
fn best_effort(spec: &Spec) -> bool {
    !launch::annotation(spec, launch::BEST_EFFORT).is_empty()
}

/// Plans to take an `AppArmor` profile and a label of `SELinux`'s, where `/proc` shows this process to itself.
pub(super) fn modules(plan: &mut Planner, spec: &Spec, process: &Process) {
    if let Some(profile) = process.apparmor_profile.filter(|profile| !matches!(*profile, "" | "unconfined")) {
        plan.why = phrase!("have the workload confined by AppArmor");
        plan.add(Action::AppArmor { profile, best_effort: best_effort(spec) });
    }
    if let Some(label) = process.selinux_label.filter(|label| !label.is_empty()) {
        plan.why = phrase!("have the workload confined by SELinux");
        plan.add(Action::Label { label, best_effort: best_effort(spec) });
    }
}

/// The filter of a container whose processes can't get more than these capabilities.
fn filter(spec: &Spec, bounding: u64) -> Result<Option<Filter>> {
    if let Some(seccomp) = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()) {
        let (filter, notifies) = seccomp::compile(&seccomp.0)?;
        let listens = seccomp.0.get("listenerPath").and_then(Value::as_str).is_some_and(|path| path.starts_with('/'));
        if notifies && (!listens || !launch::annotation(spec, launch::INIT).is_empty()) {
            return Err(Error::new(phrase!(
                "linux.seccomp: SCMP_ACT_NOTIFY needs a listenerPath, absolute, and a container without --init"
            )));
        }
        return Ok(Some(filter));
    }
    let is_default = launch::annotation(spec, launch::SECCOMP) == "default";
    Ok(is_default.then(|| seccomp::default_filter(bounding)))
}

/// Names to bits. Unknown ones are ignored with the kernel's blessing only if it does not have them either, so: refused.
#[inline(never)]
fn capability_set(names: &[&str]) -> Result<u64> {
    let mut set = 0;
    for name in names {
        match caps::number(name) {
            Some(number) => set |= 1 << number,
            None => return Err(Error::new(say!("process.capabilities: unknown capability {}", name))),
        }
    }
    Ok(set)
}
