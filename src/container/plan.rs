//! The plan: a container's specification as an ordered list of actions.
//!
//! Pure: the order, which is where mistakes hurt, is decided and tested here. `--dry-run` prints the list, and the process
//! after clone does nothing but carry it out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

pub(super) use self::layers::{overlay, short};
pub(super) use self::users::text as map_text;
use super::spec::{Namespace, NamespaceKind, Process, Spec};
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::text::place;
use crate::kernel::mounts::{Options, Part};
use crate::sys::file;

mod describe;
mod devices;
mod enter;

mod layers;
mod mounts;
pub(super) mod rare;
mod rights;
mod users;

pub use enter::{Entered, enter};
pub use rare::Rare;
use rare::Stage;
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
    MapOwners { slot: usize, recursive: bool },
    /// Gives all that is in trees that were taken to the container's user.
    Own(&'static Gift),
    /// Puts a tree that was taken at a place of the host's, for this process alone.
    Place { slot: usize, target: &'static CStr },
    /// Goes on as another process, root in the container's user namespace, in new namespaces that belong to it.
    EnterUsers { kinds: i32, directory: &'static CStr },
    /// Makes a tree that was taken the root and lets go of the host's; `loosely` as with `EnterRoot`.
    EnterTree { slot: usize, loosely: bool },
    /// Makes a file system and takes it in hand.
    Make { slot: usize, kind: &'static CStr, source: &'static CStr, options: &'static Options },
    /// Cuts the mounts off from the host's.
    Private,
    /// Mounts a file system image, before the control group is joined, which keeps its members from the device.
    Image { file: &'static CStr },
    /// Mounts the layers as one file system; a volatile one never waits for the disk, since its changes are thrown away.
    /// It belongs to the root of the user namespace, if the container has one: whose IDs these are outside.
    Overlay { target: &'static CStr, data: &'static CStr, volatile: bool, owner: (u32, u32) },
    /// Uses a directory as the root.
    BindRoot { source: &'static CStr, target: &'static CStr },
    /// Makes a mounted directory the root and lets go of the host's; or keeps that `loosely` in reach for hooks.
    EnterRoot { target: &'static CStr, loosely: bool },
    /// Has hooks run, which find the host's files and the container's mounts, and then lets go of the host's root.
    Hooks,
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
    /// Does something that is seldom wanted.
    Rare(&'static Rare),
    /// Has the workload get this label of `SELinux`'s when it is executed.
    Label { label: &'static str, best_effort: bool },
    /// Gives up what the workload may not do, just before it is executed.
    Confine(&'static Confinement),
}

/// What is given to the container's user, whom the files below `root` tell. What that is outside the maps say; without any it is
/// the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the lines above say what its fields are")]
pub struct Gift {
    pub slots: Vec<usize>,
    pub root: &'static CStr,
    pub uids: &'static [Part],
    pub gids: &'static [Part],
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
    /// The container's own group, as the host sees it.
    pub path: &'static str,
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
    /// Whether hooks are to find the container's mounts in the host's root.
    pub hooks: bool,
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
    /// Slots of trees that are the container's user's.
    owned: Vec<usize>,
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
            owned: Vec::new(),
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
    let process = spec.process.as_ref();
    oom_score(plan, process);
    plan.rare(spec, process, Stage::First)?;
    plan.users |= users::wanted(plan, spec)?;
    join_namespaces(plan, spec)?;
    let taken = mounts::take_trees(plan, spec, setting)?;
    layers::root(plan, spec, setting)?;
    names(plan, spec);
    mounts::mounts(plan, spec, setting, taken)?;
    devices::asked(plan, spec, setting)?;
    if setting.hooks {
        plan.why = phrase!("have the hooks run that are to see the container before it lets go of the host's root");
        plan.add(Action::Hooks);
    }
    restrictions(plan, spec)?;
    plan.rare(spec, process, Stage::Late)?;
    if let Some(process) = process {
        process_limits(plan, process)?;
        rights::modules(plan, spec, process);
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
            // What is cloned is not in it yet, so it is made later.
            None if namespace.kind == NamespaceKind::Time => {}
            None => flags |= clone_flag(namespace.kind),
            // It is entered by the way that leads into a new one.
            Some(_) if namespace.kind == NamespaceKind::User => flags |= libc::CLONE_NEWUSER,
            Some(path) if namespace.kind == NamespaceKind::Pid => shared = Some(file::path(path)?),
            Some(_) => {}
        }
    }
    Ok((flags, shared))
}

fn join_namespaces(plan: &mut Planner, spec: &Spec) -> Result<()> {
    plan.why = phrase!("share namespaces with another container or the host, as asked");
    // Where the others are is a matter of the mounts.
    for mounts in [false, true] {
        for namespace in namespaces(spec) {
            let is_last = namespace.kind == NamespaceKind::Mount;
            // A PID namespace holds for children only: vial joins it before it clones. A user namespace takes the host's rights.
            let elsewhere = matches!(namespace.kind, NamespaceKind::Pid | NamespaceKind::User);
            if let (Some(path), false) = (namespace.path, elsewhere || is_last != mounts) {
                plan.add(Action::Join { path: file::path(path)?, kind: clone_flag(namespace.kind) });
            }
        }
    }
    Ok(())
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

fn restrictions(plan: &mut Planner, spec: &Spec) -> Result<()> {
    if let Some(linux) = &spec.linux {
        plan.why = phrase!("set the kernel parameters that were asked for, in the container's namespaces");
        for &(name, value) in &linux.sysctl {
            // A slash before any dot says that the parts have slashes between them, and dots in them, sysctl(8).
            let by_slashes = name.bytes().find(|byte| matches!(byte, b'.' | b'/')) == Some(b'/');
            let path = if by_slashes { join!("sys/{}", name) } else { join!("sys/{}", name.replace('.', "/")) };
            plan.add(Action::Sysctl { path, value });
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
pub(super) const RESOURCES: &str =
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
