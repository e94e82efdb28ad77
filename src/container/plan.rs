//! The plan: a container's specification as an ordered list of actions.
//!
//! Pure: the order, which is where mistakes hurt, is decided and tested here. `--dry-run` prints the list, and the process
//! after clone does nothing but carry it out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

pub(super) use self::layers::{overlay, short};
pub(super) use self::users::text as map_text;
use super::spec::{Mount, Namespace, NamespaceKind, Process, Spec};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::place;
use crate::kernel::mounts::Options;
use crate::sys::file;

mod describe;
mod devices;
mod enter;

mod layers;
mod rights;
mod users;

pub use enter::{Entered, enter};
pub use rights::Confinement;
use rights::process_rights;

/// Where a file system image that is the lowest layer is mounted: on a file system in memory, which the root then covers.
pub(super) const MOUNTED: &CStr = c"rootfs/image";
/// Where a device's node is made if `/dev` lacks it.
pub(super) const NODE: &CStr = c"rootfs/node";

/// `MS_*`.
type Flags = libc::c_ulong;

/// One thing that the container's first process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above a variant says what its fields are")]
pub enum Action {
    /// Moves to a namespace that exists.
    Join { path: &'static CStr, kind: i32 },
    /// Moves to the namespaces of a process that is held.
    Enter { container: Entered, kinds: i32 },
    /// Takes a tree of the host in hand.
    Take { slot: usize, source: &'static CStr, recursive: bool },
    /// Makes the container's user namespace and takes it in hand.
    Users { uids: &'static str, gids: &'static str },
    /// Has a tree that was taken show owners as the container's user namespace has them.
    MapOwners { slot: usize },
    /// Puts a tree that was taken at a place of the host's, for this process alone.
    Place { slot: usize, target: &'static CStr },
    /// Goes on as another process, root in the container's user namespace, in new namespaces that belong to it.
    EnterUsers { kinds: i32, directory: &'static CStr },
    /// Makes a tree that was taken the root and lets go of the host's.
    EnterTree { slot: usize },
    /// Makes a file system and takes it in hand.
    Make { slot: usize, kind: &'static CStr, options: &'static Options },
    /// Cuts the mounts off from the host's.
    Private,
    /// Mounts a file system image, before the control group is joined, which keeps its members from the device.
    Image { file: &'static CStr },
    /// Mounts the layers as one file system; a volatile one never waits for the disk, since its changes are thrown away.
    /// It belongs to the root of the user namespace, if the container has one: whose IDs these are outside.
    Overlay { target: &'static CStr, data: &'static CStr, volatile: bool, owner: (u32, u32) },
    /// Uses a directory as the root.
    BindRoot { source: &'static CStr, target: &'static CStr },
    /// Makes a mounted directory the root and lets go of the host's.
    EnterRoot { target: &'static CStr },
    /// Mounts a file system.
    Filesystem { source: &'static CStr, kind: &'static CStr, target: &'static CStr, flags: Flags, data: &'static CStr },
    /// Fills a tree that was taken, an empty directory, with what the image has at a path.
    Fill { slot: usize, path: &'static CStr },
    /// Puts a tree that was taken in its place.
    Attach { slot: usize, target: &'static CStr, options: &'static Options },
    /// Makes a directory.
    Directory { path: &'static CStr },
    /// Makes a device node.
    Device { path: &'static CStr, mode: u32, major: u32, minor: u32, owner: (u32, u32) },
    /// Makes a symbolic link.
    Link { target: &'static CStr, path: &'static CStr },
    /// Makes the pseudo-terminal and, for the first process, puts it at `/dev/console`.
    Console { first: bool },
    /// Hides a path.
    Mask { path: &'static CStr },
    /// Makes a path read-only by a mount of its own.
    ReadOnly { path: &'static CStr },
    /// Makes a mount read-only.
    Seal { path: &'static CStr },
    /// Sets the host name.
    HostName { name: &'static str },
    /// Sets the domain name.
    DomainName { name: &'static str },
    /// Sets the loopback interface up.
    Loopback,
    /// Sets a kernel parameter of the container's namespaces.
    Sysctl { path: &'static str, value: &'static str },
    /// Sets how readily the kernel kills the container when memory is short.
    OomScore { value: i32 },
    /// Sets a resource limit.
    Limit { name: &'static str, resource: u32, soft: u64, hard: u64 },
    /// Looks up who the workload is, becomes that user with these capabilities.
    Become { bounding: u64, effective: u64, permitted: u64, inheritable: u64, ambient: u64, temporary: u64 },
    /// Ignores set-user-ID and file capabilities from now on.
    NoNewPrivileges,
    /// Makes the working directory if it is missing.
    MakeWorkingDirectory { path: &'static CStr },
    /// Goes to the working directory.
    WorkingDirectory { path: &'static CStr },
    /// Has the workload get this profile of `AppArmor`'s when it is executed.
    AppArmor { profile: &'static str, best_effort: bool },
    /// Gives up what the workload may not do, just before it is executed.
    Confine(&'static Confinement),
}

/// An action and why it is done, in words for a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The reason.
    pub why: Phrase,
    /// What is done.
    pub action: Action,
}

/// What the root is made of. Paths are relative to the store, or absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above a variant says what its fields are")]
pub enum Root {
    /// Layers, the topmost first, and the container's own upper and work directories, joined at `target`; `image` is a file
    /// that has the lowest of them in it, if it is not empty.
    Overlay {
        layers: &'static [&'static str],
        image: &'static str,
        upper: &'static str,
        work: &'static str,
        target: &'static str,
        volatile: bool,
    },
    /// A directory, used as it is, mounted at itself.
    Directory(&'static str),
}

/// A control group's hierarchy to show inside: name of the directory, kind, mount data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupMount {
    /// The directory's name below `/sys/fs/cgroup`; empty where one hierarchy is mounted there itself.
    pub name: &'static str,
    /// `cgroup` or `cgroup2`.
    pub kind: &'static CStr,
    /// The controllers, for v1.
    pub data: &'static str,
}

/// What the plan is made from, besides the specification.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// What the root is made of.
    pub root: Root,
    /// The hierarchies to show.
    pub cgroups: &'a [CgroupMount],
    /// Destinations of empty volumes that get what the image has there.
    pub fills: &'a [&'static str],
    /// Whether vial is in a user namespace, where nobody can make devices.
    pub confined: bool,
    /// Whether the files of a root that is no overlay belong to the IDs of the container's user namespace already.
    pub shifted: bool,
}

struct Planner {
    steps: Vec<Step>,
    why: Phrase,
    /// The next slot with a device.
    slot: usize,
    /// The next free slot.
    free: usize,
    /// Whether the container has a user namespace of its own.
    users: bool,
    /// File systems to make while the host's can be seen: the slot, the kind and the options of each.
    makes: Vec<(usize, &'static CStr, &'static Options)>,
}

impl Planner {
    fn new(steps: usize) -> &'static mut Planner {
        Box::leak(Box::new(Planner {
            steps: Vec::with_capacity(steps),
            why: Phrase::EMPTY,
            slot: 0,
            free: 0,
            users: false,
            makes: Vec::new(),
        }))
    }

    #[inline(never)]
    fn add(&mut self, action: Action) {
        self.steps.push(Step { why: self.why, action });
    }

    /// The next free slot, to be used now.
    fn next(&mut self) -> usize {
        self.free += 1;
        self.free - 1
    }
}

/// Makes the plan.
///
/// # Errors
/// What the specification asks for and can't be done: the error names the member.
pub fn plan(spec: &Spec, setting: &Setting<'_>) -> Result<&'static [Step]> {
    let plan = Planner::new(96);
    oom_score(plan, spec.process.as_ref());
    plan.users = users::wanted(plan, spec)?;
    join_namespaces(plan, spec)?;
    let taken = take_trees(plan, spec, setting)?;
    layers::root(plan, spec, setting)?;
    names(plan, spec);
    mounts(plan, spec, setting, taken)?;
    devices::asked(plan, spec, setting)?;
    restrictions(plan, spec)?;
    if let Some(process) = &spec.process {
        process_limits(plan, process)?;
        rights::apparmor(plan, spec, process);
        process_rights(plan, spec, process)?;
    }
    Ok(&plan.steps)
}

/// `CLONE_NEW*` for a kind of namespace.
#[must_use]
pub fn clone_flag(kind: NamespaceKind) -> i32 {
    match kind {
        NamespaceKind::Mount => libc::CLONE_NEWNS,
        NamespaceKind::Uts => libc::CLONE_NEWUTS,
        NamespaceKind::Ipc => libc::CLONE_NEWIPC,
        NamespaceKind::Pid => libc::CLONE_NEWPID,
        NamespaceKind::Network => libc::CLONE_NEWNET,
        NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
        NamespaceKind::User => libc::CLONE_NEWUSER,
        NamespaceKind::Time => 0x80,
    }
}

/// Whether the container has a new namespace of this kind.
#[must_use]
pub fn has_own(spec: &Spec, kind: NamespaceKind) -> bool {
    namespaces(spec).iter().any(|namespace| namespace.kind == kind && namespace.path.is_none())
}

/// The container's namespaces; none if nothing is particular to Linux.
#[must_use]
pub fn namespaces(spec: &Spec) -> &[Namespace] {
    match &spec.linux {
        Some(linux) => &linux.namespaces,
        None => &[],
    }
}

/// `CLONE_NEW*` of the container's new namespaces, and the PID namespace that it shares: these hold for the processes that
/// vial clones.
///
/// # Errors
/// A path with a zero byte.
pub fn made_by_clone(spec: &Spec) -> Result<(i32, Option<&'static CStr>)> {
    let (mut flags, mut shared) = (0, None);
    for namespace in namespaces(spec) {
        match namespace.path {
            None => flags |= clone_flag(namespace.kind),
            Some(path) if namespace.kind == NamespaceKind::Pid => shared = Some(file::path(path)?),
            Some(_) => {}
        }
    }
    Ok((flags, shared))
}

fn join_namespaces(plan: &mut Planner, spec: &Spec) -> Result<()> {
    plan.why = phrase!("share namespaces with another container or the host, as asked");
    for namespace in namespaces(spec) {
        // A PID namespace holds for children only: vial joins it before it clones.
        if let (Some(path), true) = (namespace.path, namespace.kind != NamespaceKind::Pid) {
            plan.add(Action::Join { path: file::path(path)?, kind: clone_flag(namespace.kind) });
        }
    }
    Ok(())
}

/// The options of each mount, by its place in the specification, and the slot of its tree if it is a bind mount.
type Taken = &'static [(&'static Options, Option<usize>)];

/// Plans to take the sources of all bind mounts, and behind them those of devices that can't be made.
#[inline(never)]
fn take_trees(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>) -> Result<Taken> {
    plan.why = phrase!("take the host's files and directories that the container gets in hand, while they can be seen");
    let taken = Box::leak(Box::new(Vec::with_capacity(spec.mounts.len())));
    let confined = setting.confined || plan.users;
    for mount in &spec.mounts {
        let options: &Options = Box::leak(Box::new(Options::parse(mount.options.iter().copied())?));
        if options.is_bind() {
            let Some(source) = mount.source else { return Err(missing(mount, "source")) };
            let recursive = options.set & libc::MS_REC != 0;
            let slot = plan.next();
            plan.add(Action::Take { slot, source: file::path(source)?, recursive });
            if options.idmap {
                if !plan.users {
                    return Err(Error::new(say!("mounts: the mount at {} has the option idmap", mount.destination))
                        .hint(phrase!("it needs a user namespace of the container's own: --userns auto")));
                }
                plan.add(Action::MapOwners { slot });
            }
            taken.push((options, Some(slot)));
        } else if confined && let Some(kind @ ("proc" | "sysfs")) = mount.kind {
            let slot = plan.next();
            plan.makes.push((slot, file::path(kind)?, options));
            taken.push((options, Some(slot)));
        } else {
            taken.push((options, None));
        }
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

fn names(plan: &mut Planner, spec: &Spec) {
    plan.why = phrase!("give the container its own name and a loopback interface");
    if let Some(name) = spec.hostname {
        plan.add(Action::HostName { name });
    }
    if let Some(name) = spec.domainname {
        plan.add(Action::DomainName { name });
    }
    if has_own(spec, NamespaceKind::Network) {
        plan.add(Action::Loopback);
    }
}

#[inline(never)]
fn mounts(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>, taken: Taken) -> Result<()> {
    for (mount, (options, slot)) in spec.mounts.iter().zip(taken) {
        let target = file::path(mount.destination)?;
        if let Some(slot) = *slot {
            if setting.fills.contains(&mount.destination) {
                plan.why = phrase!("fill the new volume with what the image has in its place");
                plan.add(Action::Fill { slot, path: target });
            }
            plan.why = phrase!("put what was taken from the host in its place");
            plan.add(Action::Attach { slot, target, options });
            continue;
        }
        plan.why = phrase!("give the container its own processes, devices and kernel files");
        let Some(kind) = mount.kind else { return Err(missing(mount, "type")) };
        let flags = options.set;
        if kind == "cgroup" {
            cgroup_mounts(plan, target, flags, setting)?;
            continue;
        }
        let source = file::path(mount.source.unwrap_or(kind))?;
        let data = file::path(options.data.join(","))?;
        plan.add(Action::Filesystem { source, kind: file::path(kind)?, target, flags, data });
        if options.propagation != 0 || options.recursive != 0 {
            return Err(Error::new(say!(
                "mounts: the mount at {} asks for propagation or recursive attributes, which are for bind mounts",
                mount.destination
            )));
        }
        if mount.destination == "/dev" {
            devices::links(plan, setting.confined || plan.users);
        }
    }
    Ok(())
}

/// Shows the container's own control groups, read-only.
fn cgroup_mounts(plan: &mut Planner, target: &'static CStr, flags: Flags, setting: &Setting<'_>) -> Result<()> {
    let alone = matches!(setting.cgroups, [] | [CgroupMount { name: "", .. }]);
    if !alone {
        let (kind, data) = (c"tmpfs", c"mode=755,size=64k");
        plan.add(Action::Filesystem { source: kind, kind, target, flags: flags & !libc::MS_RDONLY, data });
    }
    for &CgroupMount { name, kind, data } in setting.cgroups {
        let mut place = target;
        if !alone {
            place = file::path(join!("{}/{}", keep::lossy(target.to_bytes()), name))?;
            plan.add(Action::Directory { path: place });
        }
        plan.add(Action::Filesystem { source: c"cgroup", kind, target: place, flags, data: file::path(data)? });
    }
    if !alone && flags & libc::MS_RDONLY != 0 {
        plan.add(Action::Seal { path: target });
    }
    Ok(())
}

fn restrictions(plan: &mut Planner, spec: &Spec) -> Result<()> {
    if let Some(linux) = &spec.linux {
        plan.why = phrase!("set the kernel parameters that were asked for, in the container's namespaces");
        for &(name, value) in &linux.sysctl {
            plan.add(Action::Sysctl { path: join!("sys/{}", name.replace('.', "/")), value });
        }
        plan.why = phrase!("keep the container from changing the kernel's settings");
        for path in &linux.readonly_paths {
            plan.add(Action::ReadOnly { path: file::path(path)? });
        }
        plan.why = phrase!("hide what tells about the host");
        for path in &linux.masked_paths {
            plan.add(Action::Mask { path: file::path(path)? });
        }
    }
    if let Some(process) = spec.process.as_ref().filter(|process| process.cwd != "/") {
        plan.why = phrase!("make the workload's directory, if the image lacks it");
        plan.add(Action::MakeWorkingDirectory { path: file::path(process.cwd)? });
    }
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        plan.why = phrase!("make the root read-only, as asked");
        plan.add(Action::Seal { path: c"/" });
    }
    Ok(())
}

/// Before all else: a process that is closed to tracing can't write there, unless it is the host's root.
fn oom_score(plan: &mut Planner, process: Option<&Process>) {
    plan.why = phrase!("set how readily the kernel kills the workload when memory is short");
    if let Some(value) = process.and_then(|process| process.oom_score_adj) {
        plan.add(Action::OomScore { value });
    }
}

/// Names of the resources as the specification has them, by number; getrlimit(2).
const RESOURCES: &str =
    "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME";

#[inline(never)]
fn process_limits(plan: &mut Planner, process: &Process) -> Result<()> {
    plan.why = phrase!("set the workload's limits");
    for limit in &process.rlimits {
        let name = limit.kind.strip_prefix("RLIMIT_").unwrap_or(limit.kind);
        let Some(resource) = place(RESOURCES, name) else {
            return Err(Error::new(say!("process.rlimits: unknown resource {}", limit.kind))
                .hint(say!("accepted: RLIMIT_ and one of {}", RESOURCES.replace(' ', ", "))));
        };
        plan.add(Action::Limit { name, resource: resource as u32, soft: limit.soft, hard: limit.hard });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
