//! `--userns`, `--uidmap`, `--gidmap`: a user namespace of the container's own.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::Options;
use super::confined::{own_namespaces, share_sysfs};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{Cut, decimal_u32};
use crate::base::version::version;
use crate::cli::context::Context;
use crate::cli::flags::Id;
use crate::cli::options::namespaces::{CONTAINER, HOST, PATH, id_range, keep_id};
use crate::container::spec::{IdMapping, Namespace, NamespaceKind, Spec};
use crate::container::{launch, ranges};
use crate::kernel::mounts::{Options as MountOptions, Part, Tree};
use crate::kernel::users;
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::users::is_confined;
use crate::sys::{FdRef, because, file, process};

type Give = fn(Options, &mut Spec, Option<FdRef<'_>>, &str) -> Result<()>;

static COLD_GATE_SELDOM: Gate<Give> = Gate(give);

/// Gives the container its user namespace, if it was asked for. Without a store, and then nothing is going to be made, no range
/// of IDs is taken.
///
/// # Errors
/// A range that is malformed; what the kernel refuses.
pub(super) fn apply(options: Options, spec: &mut Spec, store: Option<FdRef<'_>>, id: &str) -> Result<()> {
    let parsed = options.parsed;
    let is_asked = [Id::UserNs, Id::UidMap, Id::GidMap].iter().any(|id| parsed.last(*id).is_some());
    if is_asked && parsed.text(Id::UserNs) != "host" {
        COLD_GATE_SELDOM.open()?(options, spec, store, id)
    } else {
        Ok(())
    }
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
    let kept = keep_id(mode);
    let (mut uids, mut gids) = (ranges_of(options, Id::UidMap), ranges_of(options, Id::GidMap));
    if kept.is_none() && is_confined() {
        return Err(Error::new(phrase!("--userns: a normal user's containers are in a user namespace already"))
            .hint(phrase!("accepted here: --userns host or keep-id")));
    }
    if (mode == "auto" || kept.is_some()) && !(uids.is_empty() && gids.is_empty()) {
        return Err(Error::new(say!("--userns {} conflicts with --uidmap and --gidmap", mode))
            .hint(phrase!("accepted: one of them")));
    }
    own_namespaces(options, "--userns", HOST | CONTAINER)?;
    if let Some((uid, gid)) = kept {
        let (uid, gid) = (keep(c"/proc/self/uid_map", uid, &mut uids)?, keep(c"/proc/self/gid_map", gid, &mut gids)?);
        if options.parsed.last(Id::User).is_none() {
            spec.annotations.retain(|(name, _)| !matches!(*name, launch::USER | launch::GROUP));
            spec.annotations.extend([(launch::USER, join!("{}", uid)), (launch::GROUP, join!("{}", gid))]);
        }
    }
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
            mount.options.push("ridmap");
        }
    }
    Ok(())
}

/// Maps the caller's ID to itself, or to the one that is wanted, and all others that there are around it, in their order: where
/// vial is root, its own is 0. The ID that the caller has inside.
fn keep(path: &CStr, wanted: Option<u32>, map: &mut Vec<IdMapping>) -> Result<u32> {
    let text = file::read_file(CWD, path, 1 << 16)?;
    let lines = keep::lossy(text.leak()).parts(b'\n').filter_map(|line| {
        let mut fields = line.words().map(decimal_u32);
        Some((fields.next()??, fields.next()??, fields.next()??))
    });
    let (mut own, mut end) = (0, 0);
    for (inside, outside, count) in lines {
        own = if inside == 0 { outside } else { own };
        end = inside.saturating_add(count);
    }
    let kept = wanted.unwrap_or(own);
    let mut part = |container_id, host_id, size| {
        if size > 0 {
            map.push(IdMapping { container_id, host_id, size });
        }
    };
    if end < 2 {
        return Err(Error::new(phrase!(
            "--userns keep-id needs more than one ID, of which one is the container's root"
        ))
        .hint(users::UNMAPPED));
    }
    // What lies above the IDs that there are leaves a gap behind them.
    let below = kept.min(end - 1);
    part(0, 1, below);
    part(kept, 0, 1);
    if kept < end {
        part(kept + 1, kept + 1, end - 1 - kept);
    }
    Ok(kept)
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
    Ok(tree.is_ok_and(|tree| tree.map_owners(namespace.by_ref(), false).is_ok()))
}

/// The maps by which the owners in a container's tree are changed, if mounts can't map them.
#[inline(never)]
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
