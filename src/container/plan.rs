//! The plan: a container's specification as an ordered list of actions.
//!
//! Pure: the order, which is where mistakes hurt, is decided and tested here. `--dry-run` prints the list, and the process
//! after clone does nothing but carry it out.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::defaults;
use super::spec::{DeviceKind, Mount, NamespaceKind, Process, Spec};
use crate::base::error::{Error, Result};
use crate::kernel::mounts::Options;
use crate::kernel::security::caps;
use crate::sys::file;

mod describe;

/// One thing that the container's first process does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above a variant says what its fields are")]
pub enum Action {
    /// Moves to a namespace that exists.
    Join { path: CString, kind: i32 },
    /// Takes a tree of the host in hand.
    Take { slot: usize, source: CString, recursive: bool },
    /// Cuts the mounts off from the host's.
    Private,
    /// Mounts the layers as one file system.
    Overlay { target: CString, data: CString },
    /// Uses a directory as the root.
    BindRoot { source: CString, target: CString },
    /// Makes a mounted directory the root and lets go of the host's.
    EnterRoot { target: CString },
    /// Mounts a file system.
    Filesystem { source: CString, kind: CString, target: CString, flags: libc::c_ulong, data: CString },
    /// Fills a tree that was taken, an empty directory, with what the image has at a path.
    Fill { slot: usize, path: CString },
    /// Puts a tree that was taken in its place.
    Attach { slot: usize, target: CString, options: Options },
    /// Makes a directory.
    Directory { path: CString },
    /// Makes a device node.
    Device { path: CString, mode: u32, major: u32, minor: u32, owner: (u32, u32) },
    /// Makes a symbolic link.
    Link { target: CString, path: CString },
    /// Makes the pseudo-terminal and puts it at `/dev/console`.
    Console,
    /// Hides a path.
    Mask { path: CString },
    /// Makes a path read-only by a mount of its own.
    ReadOnly { path: CString },
    /// Makes a mount read-only.
    Seal { path: CString },
    /// Sets the host name.
    HostName { name: String },
    /// Sets the domain name.
    DomainName { name: String },
    /// Sets the loopback interface up.
    Loopback,
    /// Sets a kernel parameter of the container's namespaces.
    Sysctl { path: CString, value: String },
    /// Sets how readily the kernel kills the container when memory is short.
    OomScore { value: i32 },
    /// Sets a resource limit.
    Limit { name: String, resource: u32, soft: u64, hard: u64 },
    /// Looks up who the workload is, becomes that user with these capabilities.
    Become { bounding: u64, effective: u64, permitted: u64, inheritable: u64, ambient: u64 },
    /// Ignores set-user-ID and file capabilities from now on.
    NoNewPrivileges,
    /// Makes the working directory if it is missing.
    MakeWorkingDirectory { path: CString },
    /// Goes to the working directory.
    WorkingDirectory { path: CString },
}

/// An action and why it is done, in words for a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The reason.
    pub why: &'static str,
    /// What is done.
    pub action: Action,
}

/// What the root is made of. Paths are relative to the store, or absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the line above a variant says what its fields are")]
pub enum Root {
    /// Layers, the topmost first, and the container's own upper and work directories, joined at `target`.
    Overlay { layers: Vec<String>, upper: String, work: String, target: String },
    /// A directory, used as it is, mounted at itself.
    Directory(String),
}

/// A control group's hierarchy to show inside: name of the directory, kind, mount data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupMount {
    /// The directory's name below `/sys/fs/cgroup`; empty where one hierarchy is mounted there itself.
    pub name: String,
    /// `cgroup` or `cgroup2`.
    pub kind: &'static core::ffi::CStr,
    /// The controllers, for v1.
    pub data: String,
}

/// What the plan is made from, besides the specification.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// What the root is made of.
    pub root: &'a Root,
    /// The hierarchies to show.
    pub cgroups: &'a [CgroupMount],
    /// Destinations of empty volumes that get what the image has there.
    pub fills: &'a [String],
}

struct Planner {
    steps: Vec<Step>,
    why: &'static str,
    slots: usize,
}

impl Planner {
    fn add(&mut self, action: Action) {
        self.steps.push(Step { why: self.why, action });
    }
}

/// Makes the plan.
///
/// # Errors
/// What the specification asks for and can't be done: the error names the member.
pub fn plan(spec: &Spec, setting: &Setting<'_>) -> Result<Vec<Step>> {
    let mut plan = Planner { steps: Vec::with_capacity(96), why: "", slots: 0 };
    join_namespaces(&mut plan, spec)?;
    let taken = take_trees(&mut plan, spec)?;
    root(&mut plan, setting)?;
    names(&mut plan, spec);
    mounts(&mut plan, spec, setting, &taken)?;
    devices(&mut plan, spec)?;
    restrictions(&mut plan, spec)?;
    if let Some(process) = &spec.process {
        process_steps(&mut plan, process)?;
    }
    Ok(plan.steps)
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
    spec.linux
        .iter()
        .flat_map(|linux| &linux.namespaces)
        .any(|namespace| namespace.kind == kind && namespace.path.is_none())
}

fn join_namespaces(plan: &mut Planner, spec: &Spec) -> Result<()> {
    plan.why = "share namespaces with another container or the host, as asked";
    for namespace in spec.linux.iter().flat_map(|linux| &linux.namespaces) {
        // A PID namespace holds for children only: vial joins it before it clones.
        if let (Some(path), true) = (&namespace.path, namespace.kind != NamespaceKind::Pid) {
            plan.add(Action::Join { path: file::path(&**path)?, kind: clone_flag(namespace.kind) });
        }
    }
    Ok(())
}

/// Plans to take the sources of all bind mounts; the slot of each mount, by its place in the specification.
fn take_trees(plan: &mut Planner, spec: &Spec) -> Result<Vec<Option<usize>>> {
    plan.why = "take the host's files and directories that the container gets in hand, while they can be seen";
    let mut taken = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let options = options(mount)?;
        if !options.is_bind() {
            taken.push(None);
            continue;
        }
        let source = mount.source.as_deref().ok_or_else(|| missing(mount, "source"))?;
        let recursive = options.set & libc::MS_REC != 0;
        plan.add(Action::Take { slot: plan.slots, source: file::path(source)?, recursive });
        taken.push(Some(plan.slots));
        plan.slots += 1;
    }
    Ok(taken)
}

fn missing(mount: &Mount, member: &str) -> Error {
    Error::new(alloc::format!("mounts: the mount at {} has no {member}", mount.destination))
}

fn options(mount: &Mount) -> Result<Options> {
    Options::parse(mount.options.iter().map(String::as_str))
}

fn root(plan: &mut Planner, setting: &Setting<'_>) -> Result<()> {
    plan.why = "cut the container's mounts off from the host's, so that neither sees what the other mounts";
    plan.add(Action::Private);
    plan.why = "put the container's root together: the image's layers below, the container's own changes on top";
    let target = match setting.root {
        Root::Overlay { layers, upper, work, target } => {
            let lower: Vec<String> = layers.iter().map(|layer| escape(layer)).collect();
            let data =
                alloc::format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), escape(upper), escape(work));
            plan.add(Action::Overlay { target: file::path(&**target)?, data: file::path(data)? });
            target
        }
        Root::Directory(path) => {
            let path_string = file::path(&**path)?;
            plan.add(Action::BindRoot { source: path_string.clone(), target: path_string });
            path
        }
    };
    plan.why = "make it the root directory; from here on no path leads back to the host's files";
    plan.add(Action::EnterRoot { target: file::path(&**target)? });
    Ok(())
}

/// Overlay's option parser ends a value at a comma and a layer at a colon, unless a backslash stands before it.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, ',' | ':' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn names(plan: &mut Planner, spec: &Spec) {
    plan.why = "give the container its own name and a loopback interface";
    if let Some(name) = &spec.hostname {
        plan.add(Action::HostName { name: name.clone() });
    }
    if let Some(name) = &spec.domainname {
        plan.add(Action::DomainName { name: name.clone() });
    }
    if has_own(spec, NamespaceKind::Network) {
        plan.add(Action::Loopback);
    }
}

fn mounts(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>, taken: &[Option<usize>]) -> Result<()> {
    for (mount, slot) in spec.mounts.iter().zip(taken) {
        let options = options(mount)?;
        let target = file::path(&*mount.destination)?;
        if let Some(slot) = *slot {
            if setting.fills.contains(&mount.destination) {
                plan.why = "fill the new volume with what the image has in its place";
                plan.add(Action::Fill { slot, path: target.clone() });
            }
            plan.why = "put what was taken from the host in its place";
            plan.add(Action::Attach { slot, target, options });
            continue;
        }
        plan.why = "give the container its own processes, devices and kernel files";
        let kind = mount.kind.as_deref().ok_or_else(|| missing(mount, "type"))?;
        if kind == "cgroup" {
            cgroup_mounts(plan, &target, &options, setting)?;
            continue;
        }
        let source = file::path(mount.source.as_deref().unwrap_or(kind))?;
        let data = file::path(options.data.join(","))?;
        plan.add(Action::Filesystem {
            source,
            kind: file::path(kind)?,
            target: target.clone(),
            flags: options.set,
            data,
        });
        if options.propagation != 0 || options.recursive != 0 {
            return Err(Error::new(alloc::format!(
                "mounts: the mount at {} asks for propagation or recursive attributes, which are for bind mounts",
                mount.destination
            )));
        }
        if mount.destination == "/dev" {
            device_links(plan)?;
        }
    }
    Ok(())
}

/// Shows the container's own control groups, read-only.
fn cgroup_mounts(plan: &mut Planner, target: &CString, options: &Options, setting: &Setting<'_>) -> Result<()> {
    let at = target.to_string_lossy().into_owned();
    let flags = options.set;
    if let [only] = setting.cgroups
        && only.name.is_empty()
    {
        let data = file::path(&*only.data)?;
        plan.add(Action::Filesystem {
            source: c"cgroup".into(),
            kind: only.kind.into(),
            target: target.clone(),
            flags,
            data,
        });
        return Ok(());
    }
    if setting.cgroups.is_empty() {
        return Ok(());
    }
    let writable = flags & !libc::MS_RDONLY;
    let tmpfs = |flags| Action::Filesystem {
        source: c"tmpfs".into(),
        kind: c"tmpfs".into(),
        target: target.clone(),
        flags,
        data: c"mode=755,size=64k".into(),
    };
    plan.add(tmpfs(writable));
    for hierarchy in setting.cgroups {
        let place = file::path(alloc::format!("{at}/{}", hierarchy.name))?;
        plan.add(Action::Directory { path: place.clone() });
        let data = file::path(&*hierarchy.data)?;
        plan.add(Action::Filesystem {
            source: c"cgroup".into(),
            kind: hierarchy.kind.into(),
            target: place,
            flags,
            data,
        });
    }
    if flags & libc::MS_RDONLY != 0 {
        plan.add(Action::Seal { path: target.clone() });
    }
    Ok(())
}

fn device_links(plan: &mut Planner) -> Result<()> {
    plan.why = "make the few devices that every program may expect";
    for (name, major, minor) in defaults::DEVICES {
        let path = file::path(alloc::format!("/dev/{name}"))?;
        let mode = libc::S_IFCHR | 0o666;
        plan.add(Action::Device { path, mode, major: *major, minor: *minor, owner: (0, 0) });
    }
    for (target, path) in defaults::LINKS {
        plan.add(Action::Link { target: file::path(*target)?, path: file::path(*path)? });
    }
    Ok(())
}

fn devices(plan: &mut Planner, spec: &Spec) -> Result<()> {
    plan.why = "make the devices that were asked for";
    for device in spec.linux.iter().flat_map(|linux| &linux.devices) {
        let kind = match device.kind {
            DeviceKind::Char | DeviceKind::Unbuffered => libc::S_IFCHR,
            DeviceKind::Block => libc::S_IFBLK,
            DeviceKind::Fifo => libc::S_IFIFO,
        };
        let number = |value: Option<i64>| {
            let fitting = u32::try_from(value.unwrap_or(0)).ok();
            fitting.ok_or_else(|| {
                Error::new(alloc::format!("linux.devices: {} has a device number out of range", device.path))
            })
        };
        plan.add(Action::Device {
            path: file::path(&*device.path)?,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            major: number(device.major)?,
            minor: number(device.minor)?,
            owner: (device.uid.unwrap_or(0), device.gid.unwrap_or(0)),
        });
    }
    if spec.process.as_ref().is_some_and(|process| process.terminal) {
        plan.why = "make the container's own terminal";
        plan.add(Action::Console);
    }
    Ok(())
}

fn restrictions(plan: &mut Planner, spec: &Spec) -> Result<()> {
    if let Some(linux) = &spec.linux {
        plan.why = "set the kernel parameters that were asked for, in the container's namespaces";
        for (name, value) in &linux.sysctl {
            let path = file::path(alloc::format!("/proc/sys/{}", name.replace('.', "/")))?;
            plan.add(Action::Sysctl { path, value: value.clone() });
        }
        plan.why = "keep the container from changing the kernel's settings";
        for path in &linux.readonly_paths {
            plan.add(Action::ReadOnly { path: file::path(&**path)? });
        }
        plan.why = "hide what tells about the host";
        for path in &linux.masked_paths {
            plan.add(Action::Mask { path: file::path(&**path)? });
        }
    }
    if let Some(process) = spec.process.as_ref().filter(|process| process.cwd != "/") {
        plan.why = "make the workload's directory, if the image lacks it";
        plan.add(Action::MakeWorkingDirectory { path: file::path(&*process.cwd)? });
    }
    if spec.root.as_ref().is_some_and(|root| root.readonly) {
        plan.why = "make the root read-only, as asked";
        plan.add(Action::Seal { path: c"/".into() });
    }
    Ok(())
}

/// Names of the resources as the specification has them, by number; getrlimit(2).
const RESOURCES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

fn process_steps(plan: &mut Planner, process: &Process) -> Result<()> {
    plan.why = "set the workload's limits";
    if let Some(value) = process.oom_score_adj {
        plan.add(Action::OomScore { value });
    }
    for limit in &process.rlimits {
        let plain = limit.kind.strip_prefix("RLIMIT_").unwrap_or(&limit.kind);
        let resource = RESOURCES.iter().position(|name| *name == plain).ok_or_else(|| {
            Error::new(alloc::format!("process.rlimits: unknown resource {}", limit.kind))
                .hint(alloc::format!("accepted: RLIMIT_ and one of {}", RESOURCES.join(", ")))
        })?;
        let name = plain.to_string();
        plan.add(Action::Limit { name, resource: resource as u32, soft: limit.soft, hard: limit.hard });
    }
    plan.why = "become the workload's user, with no more rights than it needs";
    let none = Vec::new();
    let set = |names: &Vec<String>| capability_set(names);
    let capabilities = process.capabilities.as_ref();
    let names = |pick: fn(&super::spec::Capabilities) -> &Vec<String>| set(capabilities.map_or(&none, pick));
    plan.add(Action::Become {
        bounding: names(|sets| &sets.bounding)?,
        effective: names(|sets| &sets.effective)?,
        permitted: names(|sets| &sets.permitted)?,
        inheritable: names(|sets| &sets.inheritable)?,
        ambient: names(|sets| &sets.ambient)?,
    });
    if process.no_new_privileges {
        plan.add(Action::NoNewPrivileges);
    }
    plan.why = "go to the workload's directory";
    plan.add(Action::WorkingDirectory { path: file::path(&*process.cwd)? });
    Ok(())
}

/// Names to bits. Unknown ones are ignored with the kernel's blessing only if it does not have them either, so: refused.
fn capability_set(names: &[String]) -> Result<u64> {
    names.iter().try_fold(0, |set, name| match caps::number(name) {
        Some(number) => Ok(set | 1 << number),
        None => Err(Error::new(alloc::format!("process.capabilities: unknown capability {name}"))),
    })
}

#[cfg(test)]
mod tests;
