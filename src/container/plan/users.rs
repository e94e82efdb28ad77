//! A user namespace of the container's own.
//!
//! What takes the host's rights comes first: the host's trees and the image's layers are taken in hand, and show owners as the
//! namespace has them. Then another process goes on, which is root in the namespace and nobody outside of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::{Action, Planner, has_own, made_by_clone};
use crate::base::error::{Error, Result};
use crate::container::spec::{IdMapping, NamespaceKind, Spec};
use crate::kernel::mounts::Part;

/// Plans to make it, if the container has one; whether it does.
pub(super) fn wanted(plan: &mut Planner, spec: &Spec) -> Result<bool> {
    if !has_own(spec, NamespaceKind::User) {
        return Ok(false);
    }
    let Some(linux) = &spec.linux else { return Ok(false) };
    if linux.uid_mappings.is_empty() || linux.gid_mappings.is_empty() {
        return Err(Error::new(phrase!("linux.uidMappings, linux.gidMappings: a user namespace needs both")));
    }
    plan.why = phrase!("make a user namespace, in which root is nobody to the host");
    plan.add(Action::Users { uids: text(&linux.uid_mappings), gids: text(&linux.gid_mappings) });
    Ok(true)
}

/// The user and the group that the container's root is outside.
pub(super) fn root(spec: &Spec) -> (u32, u32) {
    let outside = |map: &[IdMapping]| map.iter().find(|range| range.container_id == 0).map_or(0, |range| range.host_id);
    spec.linux.as_ref().map_or((0, 0), |linux| (outside(&linux.uid_mappings), outside(&linux.gid_mappings)))
}

/// The maps of users and groups.
pub(super) fn maps(spec: &Spec) -> (&'static [Part], &'static [Part]) {
    let map = |map: &[IdMapping]| -> &'static [Part] {
        let mut parts = Vec::new();
        for range in map {
            parts.push((range.container_id, range.host_id, range.size));
        }
        parts.leak()
    };
    spec.linux.as_ref().map_or((&[], &[]), |linux| (map(&linux.uid_mappings), map(&linux.gid_mappings)))
}

/// A map as the kernel reads it, `user_namespaces(7)`.
pub fn text(map: &[IdMapping]) -> &'static str {
    let mut text = String::new();
    for range in map {
        text.push_str(join!("{} {} {}\n", range.container_id, range.host_id, range.size));
    }
    text.leak()
}

/// Plans to go on as root in it: from here on nothing of the host's is this process's, but for what it has in hand.
pub(super) fn enter(plan: &mut Planner, spec: &Spec, directory: &'static CStr) -> Result<()> {
    plan.why = phrase!("go on as root of the user namespace, in namespaces that belong to it");
    let kinds = made_by_clone(spec)?.0 & !libc::CLONE_NEWUSER;
    plan.add(Action::EnterUsers { kinds, directory });
    Ok(())
}
