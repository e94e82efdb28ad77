//! From limits and hierarchies to an ordered list of steps, without entering the kernel.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::hierarchies::{Hierarchies, Hierarchy, Version};
use super::limits::Limits;
use super::path::GroupPath;
use super::v1::Write;
use super::{devices, v1, v2};
use crate::base::error::Error;
use crate::base::text::{Cut, Quoted};

/// In which hierarchies the group is made beyond those that its limits need. Each costs about 0.2 ms, see [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those needed to stop and kill it (v1's freezer, or v2).
    Needed,
    /// And those that count what it uses: memory, processor time, block devices, processes.
    Accounted,
    /// The group exists and gets new limits; the number is its present limit on memory and swap together in v1.
    Changed(u64),
}

/// A directory of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The hierarchy's interface.
    pub version: Version,
    /// Where the hierarchy is mounted.
    pub mount: String,
    /// v1: the controllers bound to it, as mount(2) takes them (`cpu,cpuacct`); empty for v2.
    pub controllers: String,
    /// The directory itself.
    pub path: String,
}

/// What a step does in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes a value to a file.
    Write {
        /// The file.
        file: Cow<'static, str>,
        /// The value.
        value: String,
        /// File and value to take instead when the file does not exist.
        fallback: Option<(&'static str, String)>,
    },
    /// Takes the value of the parent directory's file, if this one's is empty.
    Inherit {
        /// The file.
        file: &'static str,
    },
    /// Attaches a BPF program to the group that decides about devices.
    FilterDevices {
        /// The program.
        program: Vec<u64>,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub directory: String,
    /// What.
    pub action: Action,
    /// The option that asked for it; empty when it only prepares others.
    pub option: &'static str,
}

/// The directories to make, then the steps to take, in order; and what can't be had on this host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The group's directories.
    pub directories: Vec<Directory>,
    /// What to do when they are all there.
    pub steps: Vec<Step>,
    /// The limits that this host can't enforce, each with what is missing.
    pub unmet: Vec<Error>,
}

impl fmt::Display for Plan {
    /// One line for each directory and step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for directory in &self.directories {
            writeln!(f, "make group {}", directory.path)?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.directory;
        match &self.action {
            Action::Write { file, value, fallback: None } => write!(f, "write {value} to {directory}/{file}")?,
            Action::Write { file, value, fallback: Some((other, instead)) } => {
                write!(f, "write {value} to {directory}/{file} or {instead} to {other}")?;
            }
            Action::Inherit { file } => write!(f, "fill {directory}/{file} from above")?,
            Action::FilterDevices { program } => {
                write!(f, "attach a device filter of {} instructions to {directory}", program.len())?;
            }
        }
        if self.option.is_empty() { Ok(()) } else { write!(f, " ({})", self.option) }
    }
}

/// A controller: its name in v1 and v2 (empty: none), and the kernel option that brings it.
struct Controller {
    v1: &'static str,
    v2: &'static str,
    kernel: &'static str,
    /// Whether it counts something that [`Extent::Accounted`] is about.
    counts: bool,
}

#[rustfmt::skip]
const CONTROLLERS: &[Controller] = &[
    Controller { v1: "memory",   v2: "memory",  kernel: "CONFIG_MEMCG (and CONFIG_MEMCG_V1 for cgroup v1)", counts: true },
    Controller { v1: "cpu",      v2: "cpu",     kernel: "CONFIG_CGROUP_SCHED",            counts: false },
    // v2 counts processor time without a controller.
    Controller { v1: "cpuacct",  v2: "",        kernel: "CONFIG_CGROUP_CPUACCT",          counts: true },
    Controller { v1: "cpuset",   v2: "cpuset",  kernel: "CONFIG_CPUSETS",                 counts: false },
    Controller { v1: "pids",     v2: "pids",    kernel: "CONFIG_CGROUP_PIDS",             counts: true },
    Controller { v1: "blkio",    v2: "io",      kernel: "CONFIG_BLK_CGROUP",              counts: true },
    Controller { v1: "hugetlb",  v2: "hugetlb", kernel: "CONFIG_CGROUP_HUGETLB",          counts: false },
    Controller { v1: "rdma",     v2: "rdma",    kernel: "CONFIG_CGROUP_RDMA",             counts: false },
    Controller { v1: "net_cls",  v2: "",        kernel: "CONFIG_CGROUP_NET_CLASSID",      counts: false },
    Controller { v1: "net_prio", v2: "",        kernel: "CONFIG_CGROUP_NET_PRIO",         counts: false },
];

/// The controllers that a plan will look for, by their v1 names.
pub(super) fn wanted(limits: &Limits, extent: Extent) -> Vec<&'static str> {
    let writes = v1::writes(limits, None);
    let asked = |name: &str| writes.iter().any(|write| write.controller == name);
    let counts = |controller: &Controller| controller.counts && extent == Extent::Accounted;
    let table = CONTROLLERS.iter().filter(|controller| counts(controller) || asked(controller.v1));
    let devices = asked("devices").then_some("devices");
    table.map(|controller| controller.v1).chain(devices).chain(["freezer"]).collect()
}

/// Plans a group at `path`.
#[must_use]
pub fn plan(hierarchies: &Hierarchies, limits: &Limits, path: &GroupPath, extent: Extent) -> Plan {
    let memsw_now = if let Extent::Changed(now) = extent { Some(now) } else { None };
    let mut planner = Planner { hierarchies, path, plan: Plan::default(), enable: Vec::new() };
    let writes_v1 = v1::writes(limits, memsw_now);
    let (writes_v2, mut unmet_v2) = v2::writes(limits);
    for controller in CONTROLLERS {
        let asked: Vec<&Write> = writes_v1.iter().filter(|write| write.controller == controller.v1).collect();
        let counted = controller.counts && extent == Extent::Accounted;
        if asked.is_empty() && !counted {
            continue;
        }
        if let Some(hierarchy) = hierarchies.v1(controller.v1) {
            let directory = planner.join(hierarchy);
            if controller.v1 == "cpuset" {
                planner.inherit(hierarchy, limits);
            }
            planner.write(&directory, asked.into_iter());
        } else if let Some(hierarchy) = hierarchies.v2().filter(|hierarchy| hierarchy.has(controller.v2)) {
            let directory = planner.join(hierarchy);
            planner.enable(controller.v2);
            planner.write(&directory, writes_v2.iter().filter(|write| write.controller == controller.v1));
            let unmet = unmet_v2.extract_if(.., |(name, _)| *name == controller.v1);
            planner.plan.unmet.extend(unmet.map(|(_, error)| error));
        } else if let Some(first) = asked.first() {
            planner.plan.unmet.push(absent(first.option, controller.v1, controller.kernel, hierarchies));
        }
    }
    planner.devices(limits, &writes_v1);
    planner.unified(limits);
    if memsw_now.is_none()
        && let Some(hierarchy) = hierarchies.v1("freezer").or(hierarchies.v2())
    {
        planner.join(hierarchy);
    }
    planner.finish()
}

struct Planner<'a> {
    hierarchies: &'a Hierarchies,
    path: &'a GroupPath,
    plan: Plan,
    /// The controllers to switch on in v2.
    enable: Vec<&'a str>,
}

impl<'a> Planner<'a> {
    /// Has the group made in a hierarchy; its directory there.
    fn join(&mut self, hierarchy: &Hierarchy) -> String {
        let directory = Directory::of(hierarchy, self.path);
        let path = directory.path.clone();
        if !self.plan.directories.contains(&directory) {
            self.plan.directories.push(directory);
        }
        path
    }

    fn enable(&mut self, controller: &'a str) {
        if !self.enable.contains(&controller) {
            self.enable.push(controller);
        }
    }

    fn write<'b>(&mut self, directory: &str, writes: impl Iterator<Item = &'b Write>) {
        for Write { file, value, fallback, option, .. } in writes {
            let action = Action::Write { file: file.clone(), value: value.clone(), fallback: fallback.clone() };
            self.plan.steps.push(Step { directory: directory.to_string(), action, option });
        }
    }

    /// A new group of v1's cpuset has no processors and no memory, and can't be joined before it has, cpusets(7).
    fn inherit(&mut self, hierarchy: &Hierarchy, limits: &Limits) {
        let own = [("cpuset.cpus", limits.cpuset_cpus.is_none()), ("cpuset.mems", limits.cpuset_mems.is_none())];
        let above = self.path.parents().map(|parent| (parent, [("cpuset.cpus", true), ("cpuset.mems", true)]));
        for (path, files) in above.chain([(self.path.as_str(), own)]) {
            for (file, _) in files.into_iter().filter(|(_, inherit)| *inherit) {
                let directory = format!("{}/{path}", hierarchy.mount);
                self.plan.steps.push(Step { directory, action: Action::Inherit { file }, option: "" });
            }
        }
    }

    fn devices(&mut self, limits: &Limits, writes_v1: &[Write]) {
        if limits.devices.is_empty() {
            return;
        }
        let option = "--device";
        if let Some(hierarchy) = self.hierarchies.v1("devices") {
            let directory = self.join(hierarchy);
            self.write(&directory, writes_v1.iter().filter(|write| write.controller == "devices"));
        } else if let Some(hierarchy) = self.hierarchies.v2() {
            let directory = self.join(hierarchy);
            let action = Action::FilterDevices { program: devices::filter(&limits.devices) };
            self.plan.steps.push(Step { directory, action, option });
        } else {
            let kernel = "CONFIG_CGROUP_DEVICE for cgroup v1 or CONFIG_CGROUP_BPF for cgroup v2";
            self.plan.unmet.push(absent(option, "devices", kernel, self.hierarchies));
        }
    }

    /// Files of v2 by name: the part before the dot is the controller.
    fn unified(&mut self, limits: &'a Limits) {
        for (file, value) in &limits.unified {
            let option = "linux.resources.unified";
            let controller = file.parts(b'.').next().unwrap_or("");
            if file.has(b'/') || !file.has(b'.') {
                self.plan
                    .unmet
                    .push(Error::new(format!("{option}: {} is not the name of a control group's file", Quoted(file))));
                continue;
            }
            let offers = |hierarchy: &&Hierarchy| controller == "cgroup" || hierarchy.has(controller);
            let Some(hierarchy) = self.hierarchies.v2().filter(offers) else {
                let message =
                    format!("{option}: {file} needs the controller {controller} on cgroup v2, which is not there");
                self.plan.unmet.push(Error::new(message).hint(where_else(controller, self.hierarchies)));
                continue;
            };
            let directory = self.join(hierarchy);
            if controller != "cgroup" {
                self.enable(controller);
            }
            let action = Action::Write { file: Cow::Owned(file.clone()), value: value.clone(), fallback: None };
            self.plan.steps.push(Step { directory, action, option });
        }
    }

    /// Controllers of v2 are switched on from the top down, in every directory above the group, before anything is written.
    /// The group is there by then, so none of those above can go away meanwhile.
    fn finish(mut self) -> Plan {
        if let Some(hierarchy) = self.hierarchies.v2().filter(|_| !self.enable.is_empty()) {
            let value = format!("+{}", self.enable.join(" +"));
            let mut steps = Vec::new();
            let mut enable = |directory: String| {
                let (file, value) = ("cgroup.subtree_control".into(), value.clone());
                steps.push(Step { directory, action: Action::Write { file, value, fallback: None }, option: "" });
            };
            enable(hierarchy.mount.clone());
            for parent in self.path.parents() {
                enable(format!("{}/{parent}", hierarchy.mount));
            }
            // The controllers must be on before anything of theirs is written.
            steps.append(&mut self.plan.steps);
            self.plan.steps = steps;
        }
        self.plan
    }
}

impl Directory {
    pub(super) fn of(hierarchy: &Hierarchy, path: &GroupPath) -> Directory {
        Directory {
            version: hierarchy.version,
            mount: hierarchy.mount.clone(),
            controllers: if hierarchy.version == Version::V1 { hierarchy.controllers.join(",") } else { String::new() },
            path: format!("{}/{}", hierarchy.mount, path.as_str()),
        }
    }
}

fn absent(option: &str, controller: &str, kernel: &str, hierarchies: &Hierarchies) -> Error {
    let message = format!("{option} can't be enforced: no cgroup hierarchy here has the {controller} controller");
    let hint = if hierarchies.is_none() {
        format!("mount one (mount -t cgroup2 none /sys/fs/cgroup); the kernel needs {kernel}")
    } else {
        format!(
            "the kernel needs {kernel}, and no cgroup_disable={controller} on its command line; or use --best-effort"
        )
    };
    Error::new(message).hint(hint)
}

fn where_else(controller: &str, hierarchies: &Hierarchies) -> String {
    let v1 = if controller == "io" { "blkio" } else { controller };
    match hierarchies.v1(v1) {
        Some(hierarchy) => format!("it is bound to the v1 hierarchy at {}; use the option of its own", hierarchy.mount),
        None => "see cgroup.controllers at the mount point of cgroup2".to_string(),
    }
}

#[cfg(test)]
mod tests;
