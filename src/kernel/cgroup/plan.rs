//! From limits and hierarchies to an ordered list of steps, without entering the kernel.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::devices::{self, DeviceRule};
use super::hierarchies::{Hierarchies, Hierarchy, Version};
use super::limits::{self, Row};
use super::path::GroupPath;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The hierarchy's interface.
    pub version: Version,
    /// Where the hierarchy is mounted.
    pub mount: &'static str,
    /// v1: the controllers bound to it, as mount(2) takes them (`cpu,cpuacct`); empty for v2.
    pub controllers: &'static str,
    /// The directory itself.
    pub path: &'static str,
}

/// What a step does in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes a value to a file.
    Write {
        /// The file.
        file: &'static str,
        /// The value.
        value: &'static str,
        /// File and value to take instead when the file does not exist.
        fallback: Option<(&'static str, &'static str)>,
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
    pub directory: &'static str,
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

macro_rules! controllers {
    ($($v1:literal $v2:literal $counts:literal $kernel:literal;)*) => {
        const CONTROLLERS: &str = concat!($($v1, " ", $v2, " ", $counts, $kernel, "\n"),*);
    };
}

// A line for each: its name in v1 and in v2 (a dash: none), a plus sign if it counts something that `Extent::Accounted` is
// about, and the kernel option that brings it. v2 counts processor time without a controller.
#[rustfmt::skip]
controllers! {
    "memory"   "memory"  "+" "CONFIG_MEMCG (and CONFIG_MEMCG_V1 for cgroup v1)";
    "cpu"      "cpu"     ""  "CONFIG_CGROUP_SCHED";
    "cpuacct"  "-"       "+" "CONFIG_CGROUP_CPUACCT";
    "cpuset"   "cpuset"  ""  "CONFIG_CPUSETS";
    "pids"     "pids"    "+" "CONFIG_CGROUP_PIDS";
    "blkio"    "io"      "+" "CONFIG_BLK_CGROUP";
    "hugetlb"  "hugetlb" ""  "CONFIG_CGROUP_HUGETLB";
    "rdma"     "rdma"    ""  "CONFIG_CGROUP_RDMA";
    "net_cls"  "-"       ""  "CONFIG_CGROUP_NET_CLASSID";
    "net_prio" "-"       ""  "CONFIG_CGROUP_NET_PRIO";
}

/// Plans a group at `path`. `resources` is the runtime specification's `linux.resources`.
///
/// # Errors
/// A value that no control group can hold; the error names the member.
pub fn plan(hierarchies: &Hierarchies, resources: &Value, path: &GroupPath, extent: Extent) -> Result<Plan> {
    let mut planner = Planner { hierarchies, resources, path, extent, plan: Plan::default(), enable: String::new() };
    for line in CONTROLLERS.parts(b'\n') {
        let (v1, rest) = line.cut(b' ').unwrap_or_default();
        let (v2, kernel) = rest.cut(b' ').unwrap_or_default();
        planner.controller(v1, v2, kernel)?;
    }
    planner.devices()?;
    planner.unified();
    if !matches!(extent, Extent::Changed(_))
        && let Some(hierarchy) = hierarchies.v1("freezer").or(hierarchies.v2())
    {
        planner.join(hierarchy);
    }
    Ok(planner.finish())
}

struct Planner<'a> {
    hierarchies: &'a Hierarchies,
    resources: &'a Value,
    path: &'a GroupPath,
    extent: Extent,
    plan: Plan,
    /// The controllers to switch on in v2: ` +memory +pids`.
    enable: String,
}

impl Planner<'_> {
    /// Has the group made in a hierarchy; its directory there.
    #[inline(never)]
    fn join(&mut self, hierarchy: &Hierarchy) -> &'static str {
        let known = self.plan.directories.iter().find(|directory| directory.mount == hierarchy.mount);
        if let Some(directory) = known {
            return directory.path;
        }
        let directory = Directory::of(hierarchy, self.path);
        self.plan.directories.push(directory);
        directory.path
    }

    fn enable(&mut self, controller: &str) {
        if !self.enable.words().any(|known| known.strip_prefix('+') == Some(controller)) {
            self.enable.push_str(" +");
            self.enable.push_str(controller);
        }
    }

    /// All limits of one controller.
    fn controller(&mut self, v1: &'static str, v2: &'static str, kernel: &str) -> Result<()> {
        let asked = limits::asked(self.resources, v1);
        let counted = kernel.strip_prefix('+').filter(|_| self.extent == Extent::Accounted);
        if asked.is_empty() && counted.is_none() {
            return Ok(());
        }
        let (hierarchy, unified) = match (self.hierarchies.v1(v1), self.hierarchies.v2()) {
            (Some(hierarchy), _) => (*hierarchy, false),
            (None, Some(hierarchy)) if hierarchy.has(v2) => {
                self.enable(v2);
                (*hierarchy, true)
            }
            _ => {
                if let Some(row) = asked.first() {
                    self.absent(row.option, v1, kernel.trim_start_matches('+'));
                }
                return Ok(());
            }
        };
        let directory = self.join(&hierarchy);
        if v1 == "cpuset" && !unified {
            self.inherit(hierarchy.mount);
        }
        let start = self.plan.steps.len();
        for row in &asked {
            match if unified { row.v2 } else { row.v1 } {
                "-" => {
                    let message = say!("{} can't be enforced: cgroup v2 has nothing like it", row.option);
                    self.plan.unmet.push(Error::new(message).hint(phrase!("leave it out, or use --best-effort")));
                }
                files => self.limit(row, files, directory, start)?,
            }
        }
        Ok(())
    }

    /// The steps for one limit. Most follow those that are planned already; two must go before `start`'s.
    fn limit(&mut self, row: &Row, files: &'static str, directory: &'static str, start: usize) -> Result<()> {
        let (first, second) = files.cut(b'|').unwrap_or((files, ""));
        for value in &limits::values(self.resources, row.member) {
            let (file, text) = match limits::written(row, first, value, self.resources) {
                Ok(None) => continue,
                Ok(Some(written)) => written,
                Err(error) => {
                    self.plan.unmet.push(error);
                    continue;
                }
            };
            let fallback = if second.is_empty() { None } else { limits::written(row, second, value, self.resources)? };
            let early = match row.member {
                // The limit on memory must never be above that on memory and swap together: raised, the latter goes first;
                // lowered, last. -1 as an unsigned number is above everything, as it is meant.
                "memory.swap" => {
                    let memory = limits::at(self.resources, "memory.limit").and_then(Value::as_i64);
                    memory.is_some_and(|memory| matches!(self.extent, Extent::Changed(now) if memory as u64 > now))
                }
                // A group that is idle refuses shares (`sched_group_set_shares`), so leaving that state goes first.
                "cpu.idle" => text == "0",
                _ => false,
            };
            let at = if early { start } else { self.plan.steps.len() };
            let action = Action::Write { file, value: text, fallback };
            self.plan.steps.insert(at, Step { directory, action, option: row.option });
        }
        Ok(())
    }

    fn push(&mut self, directory: &'static str, action: Action, option: &'static str) {
        self.plan.steps.push(Step { directory, action, option });
    }

    /// A new group of v1's cpuset has no processors and no memory, and can't be joined before it has, cpusets(7).
    fn inherit(&mut self, mount: &str) {
        for path in self.path.parents().chain([self.path.as_str()]) {
            for (file, member) in [("cpuset.cpus", "cpu.cpus"), ("cpuset.mems", "cpu.mems")] {
                if path != self.path.as_str() || limits::at(self.resources, member).is_none() {
                    self.push(join!("{}/{}", mount, path), Action::Inherit { file }, "");
                }
            }
        }
    }

    /// The devices that may be used. v1: everything is denied first; the kernel keeps what follows as exceptions,
    /// `Documentation/admin-guide/cgroup-v1/devices.rst`.
    fn devices(&mut self) -> Result<()> {
        let option = "--device";
        let rules = DeviceRule::read_all(self.resources)?;
        if rules.is_empty() {
        } else if let Some(hierarchy) = self.hierarchies.v1("devices") {
            let directory = self.join(hierarchy);
            for (allow, value) in devices::lines(&rules) {
                let file = if allow { "devices.allow" } else { "devices.deny" };
                self.push(directory, Action::Write { file, value, fallback: None }, option);
            }
        } else if let Some(hierarchy) = self.hierarchies.v2() {
            let directory = self.join(hierarchy);
            self.push(directory, Action::FilterDevices { program: devices::filter(&rules) }, option);
        } else {
            self.absent(option, "devices", "CONFIG_CGROUP_DEVICE for cgroup v1 or CONFIG_CGROUP_BPF for cgroup v2");
        }
        Ok(())
    }

    /// Files of v2 by name: the part before the dot is the controller.
    fn unified(&mut self) {
        for (file, value) in self.resources.get("unified").and_then(Value::as_object).unwrap_or_default() {
            // The only one that the command line has an option for.
            let option = if *file == "memory.high" { "--memory-high" } else { "linux.resources.unified" };
            let controller = file.parts(b'.').next().unwrap_or("");
            if file.has(b'/') || !file.has(b'.') {
                let message = say!("{}: {} is not the name of a control group's file", option, Quoted(file));
                self.plan.unmet.push(Error::new(message));
                continue;
            }
            let offers = |hierarchy: &&Hierarchy| controller == "cgroup" || hierarchy.has(controller);
            let Some(hierarchy) = self.hierarchies.v2().filter(offers) else {
                let message =
                    say!("{}: {} needs the controller {} on cgroup v2, which is not there", option, file, controller);
                self.plan.unmet.push(Error::new(message).hint(where_else(controller, self.hierarchies)));
                continue;
            };
            let directory = self.join(hierarchy);
            if controller != "cgroup" {
                self.enable(controller);
            }
            let value = keep::copy(value.as_str().unwrap_or_default());
            self.push(directory, Action::Write { file: keep::copy(file), value, fallback: None }, option);
        }
    }

    /// Controllers of v2 are switched on from the top down, in every directory above the group, before anything is written.
    /// The group is there by then, so none of those above can go away meanwhile.
    fn finish(mut self) -> Plan {
        if let Some(hierarchy) = self.hierarchies.v2().filter(|_| !self.enable.is_empty()) {
            let value = keep::copy(self.enable.trim_ascii_start());
            let above = self.path.parents().map(|parent| join!("{}/{}", hierarchy.mount, parent));
            for (at, directory) in [hierarchy.mount].into_iter().chain(above).enumerate() {
                let action = Action::Write { file: "cgroup.subtree_control", value, fallback: None };
                self.plan.steps.insert(at, Step { directory, action, option: "" });
            }
        }
        self.plan
    }

    fn absent(&mut self, option: &str, controller: &str, kernel: &str) {
        let message = say!("{} can't be enforced: no cgroup hierarchy here has the {} controller", option, controller);
        let hint = if self.hierarchies.is_none() {
            say!("mount one (mount -t cgroup2 none /sys/fs/cgroup); the kernel needs {}", kernel)
        } else {
            say!(
                "the kernel needs {}, and no cgroup_disable={} on its command line; or use --best-effort",
                kernel,
                controller
            )
        };
        self.plan.unmet.push(Error::new(message).hint(hint));
    }
}

impl Directory {
    pub(super) fn of(hierarchy: &Hierarchy, path: &GroupPath) -> Directory {
        let Hierarchy { version, mount, controllers } = *hierarchy;
        let controllers = if version == Version::V1 { controllers } else { "" };
        Directory { version, mount, controllers, path: join!("{}/{}", mount, path.as_str()) }
    }
}

fn where_else(controller: &str, hierarchies: &Hierarchies) -> &'static str {
    match hierarchies.v1(if controller == "io" { "blkio" } else { controller }) {
        Some(hierarchy) => {
            let mount = hierarchy.mount;
            say!("the controller is bound to cgroup v1 at {}, which has no such limit; or use --best-effort", mount)
        }
        None => "see cgroup.controllers at the mount point of cgroup2",
    }
}

#[cfg(test)]
mod tests;
