//! `--userns`, `--uidmap`, `--gidmap`: a user namespace of the container's own.

use alloc::vec::Vec;

use super::Options;
use super::confined::{own_namespaces, share_sysfs};
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::version::version;
use crate::cli::context::Context;
use crate::cli::flags::Id;
use crate::cli::options::namespaces::{CONTAINER, HOST, PATH, id_range};
use crate::container::spec::{IdMapping, Namespace, NamespaceKind, Spec};
use crate::container::{launch, ranges};
use crate::kernel::mounts::{Options as MountOptions, Part, Tree};
use crate::kernel::users;
use crate::sys::cold::Gate;
use crate::sys::users::is_confined;
use crate::sys::{FdRef, because, process};

type Give = fn(Options, &mut Spec, Option<FdRef<'_>>, &str) -> Result<()>;

static COLD_GATE: Gate<Give> = Gate(give);

/// Gives the container its user namespace, if it was asked for. Without a store, and then nothing is going to be made, no range
/// of IDs is taken.
///
/// # Errors
/// A range that is malformed; what the kernel refuses.
pub(super) fn apply(options: Options, spec: &mut Spec, store: Option<FdRef<'_>>, id: &str) -> Result<()> {
    let parsed = options.parsed;
    let is_asked = [Id::UserNs, Id::UidMap, Id::GidMap].iter().any(|id| parsed.last(*id).is_some());
    if is_asked && parsed.text(Id::UserNs) != "host" { COLD_GATE.open()?(options, spec, store, id) } else { Ok(()) }
}

/// The ranges that a flag gives.
fn ranges_of(options: Options, id: Id) -> Vec<IdMapping> {
    let mut map = Vec::new();
    for text in options.parsed.texts(id) {
        if let Ok((container_id, host_id, size)) = id_range(text) {
            map.push(IdMapping { container_id, host_id, size });
        }
    }
    map
}

fn give(options: Options, spec: &mut Spec, store: Option<FdRef<'_>>, id: &str) -> Result<()> {
    let mode = options.parsed.text(Id::UserNs);
    let (mut uids, mut gids) = (ranges_of(options, Id::UidMap), ranges_of(options, Id::GidMap));
    let needs_root = |why: Phrase| Err(Error::new(why).hint(phrase!("accepted here: --userns host")));
    if mode == "keep-id" || is_confined() {
        return needs_root(phrase!(
            "--userns: a normal user's containers are in a user namespace already, and root has no ID to keep"
        ));
    }
    if mode == "auto" && !(uids.is_empty() && gids.is_empty()) {
        return Err(Error::new(phrase!("--userns auto conflicts with --uidmap and --gidmap"))
            .hint(phrase!("accepted: one of them")));
    }
    own_namespaces(options, "--userns", HOST | CONTAINER)?;
    if uids.is_empty() && gids.is_empty() {
        let first = match store {
            Some(store) => ranges::lease(store, id)?,
            None => 0,
        };
        spec.annotations.push((launch::RANGE, join!("{}", first)));
        uids.push(IdMapping { container_id: 0, host_id: first, size: ranges::COUNT });
    }
    if uids.is_empty() {
        uids.clone_from(&gids);
    } else if gids.is_empty() {
        gids.clone_from(&uids);
    }
    let linux = spec.linux.get_or_insert_default();
    linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
    let can_map = match store {
        Some(store) => can_map(store)?,
        None => true,
    };
    (linux.uid_mappings, linux.gid_mappings) = (uids, gids);
    if !can_map {
        Context::warn(&[Error::new(phrase!(
            "the kernel or the store's file system can't map owners of files, so this container gets a copy of its image"
        ))]);
        spec.annotations.push((launch::SHIFTED, "true"));
        if launch::annotation(spec, launch::STORAGE).is_empty() {
            spec.annotations.push((launch::STORAGE, "copy"));
        }
    }
    share_sysfs(options, spec, HOST | CONTAINER | PATH);
    for mount in &mut spec.mounts {
        // What is vial's own: files made for the container, and volumes.
        let is_own = mount.source.is_some_and(|source| !source.starts_with('/'));
        let options = MountOptions::parse(mount.options.iter().copied())?;
        if can_map && is_own && options.is_bind() && !options.idmap {
            mount.options.push("idmap");
        }
    }
    Ok(())
}

/// Whether mounts of the store can show owners as a user namespace has them. Nobody can tell but the kernel.
fn can_map(store: FdRef<'_>) -> Result<bool> {
    let _why = because!("see whether owners of files in the store can be mapped");
    // Overlays of such mounts came later than the mounts themselves.
    if version(process::uname()?[2]) < (5, 19) {
        return Ok(false);
    }
    let namespace = users::make("0 0 1", "0 0 1")?;
    let tree = Tree::take_open(store);
    Ok(tree.is_ok_and(|tree| tree.map_owners(namespace.by_ref()).is_ok()))
}

/// The maps by which the owners in a container's tree are changed, if mounts can't map them.
pub(super) fn shift(spec: &Spec) -> (Vec<Part>, Vec<Part>) {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    if let (Some(linux), false) = (&spec.linux, launch::annotation(spec, launch::SHIFTED).is_empty()) {
        for (parts, map) in [(&mut uids, &linux.uid_mappings), (&mut gids, &linux.gid_mappings)] {
            for range in map {
                parts.push((range.container_id, range.host_id, range.size));
            }
        }
    }
    (uids, gids)
}
