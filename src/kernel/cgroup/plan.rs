//! From limits and hierarchies to an ordered list of steps, without entering the kernel.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::devices;
use super::hierarchies::{Hierarchies, Hierarchy, Version};
use super::limits::{self, Row};
use super::path::GroupPath;
use crate::base::error::{Error, Result, Text};
use crate::base::json::Value;
use crate::base::keep::{self, Kept};
use crate::base::text::{Cut, Quoted};
use crate::sys::users;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Writes a value to a file.
    #[default]
    Write,
    /// Takes the value of the parent directory's file, if this one's is empty.
    Inherit,
    /// Refuses to go on if the file has more than the value.
    AtMost,
    /// Attaches a BPF program to the group that decides about devices.
    FilterDevices,
    /// Writes a value to a file, if the kernel takes it.
    Try,
}

/// One step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Where.
    pub directory: &'static str,
    /// The file.
    pub file: &'static str,
    /// What is written to it.
    pub value: &'static str,
    /// What to take instead when the file does not exist: another, an equals sign, and the value; empty if there is nothing.
    pub fallback: &'static str,
    /// The option that asked for it; empty when it only prepares others.
    pub option: &'static str,
}

/// The directories to make, then the steps to take, in order; and what can't be had on this host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The group's directories.
    pub directories: Kept<Vec<Directory>>,
    /// What to do when they are all there.
    pub steps: Kept<Vec<Step>>,
    /// The program that decides about devices.
    pub program: &'static [u64],
    /// The limits that this host can't enforce, each with what is missing.
    pub unmet: Kept<Vec<Error>>,
}

impl Step {
    /// What it does, in words.
    #[must_use]
    pub fn text(&self) -> &'static str {
        let &Step { action, directory, file, value, fallback, option } = self;
        let words = match (action, fallback.cut(b'=')) {
            (Action::Write, None) => join!("write {} to {}/{}", value, directory, file),
            (Action::Write, Some((other, instead))) => {
                join!("write {} to {}/{} or {} to {}", value, directory, file, instead, other)
            }
            (Action::Inherit, _) => join!("fill {}/{} from above", directory, file),
            (Action::Try, _) => join!("write {} to {}/{} if it can be", value, directory, file),
            (Action::AtMost, _) => join!("see that {}/{} is not above {}", directory, file, value),
            (Action::FilterDevices, _) => join!("attach a device filter of {} instructions to {}", value, directory),
        };
        if option.is_empty() { words } else { join!("{} ({})", words, option) }
    }
}

/// Plans a group at `path`. `resources` is the runtime specification's `linux.resources`. If the group exists and gets new
/// limits, `changed` is its present limit on memory and swap together in v1. `everywhere` makes it in all hierarchies, with
/// all that can count there, whatever is limited: others look for it there.
///
/// # Errors
/// A value that no control group can hold; the error names the member.
pub fn plan(
    hierarchies: &Hierarchies,
    resources: &Value,
    path: GroupPath,
    changed: Option<u64>,
    everywhere: bool,
) -> Result<Box<Plan>> {
    let mut planner = Planner {
        hierarchies,
        resources,
        path,
        changed,
        plan: Box::default(),
        step: Step::default(),
        enable: String::new(),
        controller: Row::default(),
        is_there: false,
        directory: "",
        start: 0,
        unified: false,
    };
    for line in limits::TABLE.parts(b'\n') {
        planner.line(line);
    }
    planner.devices()?;
    planner.unified();
    if everywhere {
        planner.join_all();
    }
    if changed.is_none()
        && let Some(hierarchy) = hierarchies.v1("freezer").or(hierarchies.v2())
    {
        planner.join(hierarchy);
    }
    planner.finish();
    Ok(planner.plan)
}

/// The controllers of v2 that count or limit what containers use.
const COUNTING: &str = "cpu cpuset io memory pids hugetlb";

struct Planner<'a> {
    hierarchies: &'a Hierarchies,
    resources: &'a Value,
    path: GroupPath,
    changed: Option<u64>,
    plan: Box<Plan>,
    /// The step that is being made.
    step: Step,
    /// The controllers to switch on in v2: ` +memory +pids`.
    enable: String,
    /// The line about the controller whose limits are gone through.
    controller: Row,
    /// Whether one of its limits was asked for, so that the following is known.
    is_there: bool,
    /// Its directory; empty if it is nowhere.
    directory: &'static str,
    /// Where its steps begin.
    start: usize,
    /// Whether it is in v2.
    unified: bool,
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

    /// Joins every hierarchy, and has v2 count all that it can.
    fn join_all(&mut self) {
        let hierarchies = self.hierarchies;
        for hierarchy in hierarchies.iter() {
            let known = self.plan.directories.len();
            self.join(hierarchy);
            if hierarchy.version == Version::V1 {
                if hierarchy.has("cpuset") && self.plan.directories.len() > known {
                    self.inherit(hierarchy.mount);
                }
                continue;
            }
            let parents = self.path.parents();
            for at in 0..=parents.len() {
                let parent = at.checked_sub(1).and_then(|at| parents.get(at));
                let directory = parent.map_or(hierarchy.mount, |parent| join!("{}/{}", hierarchy.mount, parent));
                for controller in COUNTING.words().filter(|controller| hierarchy.has(controller)) {
                    let value = join!("+{}", controller);
                    self.step = Step {
                        action: Action::Try,
                        directory,
                        file: "cgroup.subtree_control",
                        value,
                        ..Step::default()
                    };
                    self.push();
                }
            }
        }
    }

    #[inline(never)]
    fn enable(&mut self, controller: &str) {
        if !self.enable.words().any(|known| known.strip_prefix('+') == Some(controller)) {
            self.enable.push_str(" +");
            self.enable.push_str(controller);
        }
    }

    #[inline(never)]
    fn insert(&mut self, at: usize) {
        self.plan.steps.insert(at, core::mem::take(&mut self.step));
    }

    fn push(&mut self) {
        self.insert(self.plan.steps.len());
    }

    fn refuse(&mut self, message: impl Into<Text>) {
        self.plan.unmet.push(Error::new(message));
    }

    /// A line of the table: a controller, or one of its limits.
    #[inline(never)]
    fn line(&mut self, line: &'static str) {
        let row = Row::of(line);
        if row.member == "=" {
            (self.controller, self.is_there) = (row, false);
            return;
        }
        for &(name, value) in &limits::values(self.resources, row.member) {
            let option = row.option();
            if !self.is_there {
                self.is_there = true;
                self.find(option);
            }
            let files = if self.unified { row.v2 } else { row.v1 };
            if self.directory.is_empty() {
                return;
            }
            if files == "-" {
                let message = say!("{} can't be enforced: cgroup v2 has nothing like it", option);
                self.plan.unmet.push(Error::new(message).hint(phrase!("leave it out, or use --best-effort")));
                return;
            }
            self.step.option = option;
            self.limit(&row, files, (name, value));
        }
    }

    /// Where the controller at hand is, for the first of its limits that is asked for.
    #[inline(never)]
    fn find(&mut self, option: &str) {
        let Row { v1, v2, rest, .. } = self.controller;
        let hierarchies = self.hierarchies;
        let bound = hierarchies.v1(v1);
        self.unified = bound.is_none();
        self.directory = "";
        if let Some(hierarchy) = bound.or(hierarchies.v2().filter(|hierarchy| hierarchy.has(v2))) {
            self.directory = self.join(hierarchy);
            if self.unified {
                self.enable(v2);
            }
        } else {
            self.absent(option, v1, rest);
        }
        if let (Some(hierarchy), "cpuset") = (bound, v1) {
            self.inherit(hierarchy.mount);
        }
        self.start = self.plan.steps.len();
    }

    /// The step for a limit. Most follow those that are planned already; two must go before the controller's others.
    #[inline(never)]
    fn limit(&mut self, row: &Row, files: &'static str, value: (&'static str, &Value)) {
        let (first, second) = files.cut(b'|').unwrap_or((files, ""));
        let (file, text) = match limits::written(row, first, value, self.resources) {
            Ok(("", _)) => return,
            Ok(written) => written,
            Err(message) => return self.refuse(message),
        };
        if !second.is_empty()
            && let Ok((other, instead)) = limits::written(row, second, value, self.resources)
        {
            self.step.fallback = join!("{}={}", other, instead);
        }
        // v1 refuses by itself; v2 would kill until the limit is met (`cgroup-v2.rst`, memory.max).
        if row.member == "memory.limit"
            && self.unified
            && self.changed.is_some()
            && limits::at(self.resources, "memory.checkBeforeUpdate").and_then(Value::as_bool) == Some(true)
        {
            let (option, fallback) = (self.step.option, self.step.fallback);
            let (directory, file) = (self.directory, "memory.current");
            self.step = Step { action: Action::AtMost, directory, file, value: text, option, ..Step::default() };
            self.push();
            (self.step.option, self.step.fallback) = (option, fallback);
        }
        let early = match row.member {
            // The limit on memory must never be above that on memory and swap together: raised, the latter goes first;
            // lowered, last. -1 as an unsigned number is above everything, as it is meant.
            "memory.swap" => {
                let memory = limits::at(self.resources, "memory.limit").and_then(Value::as_i64);
                memory.zip(self.changed).is_some_and(|(memory, now)| memory as u64 > now)
            }
            // A group that is idle refuses shares (`sched_group_set_shares`), so leaving that state goes first.
            "cpu.idle" => text == "0",
            _ => false,
        };
        (self.step.directory, self.step.file, self.step.value) = (self.directory, file, text);
        self.insert(if early { self.start } else { self.plan.steps.len() });
    }

    /// A new group of v1's cpuset has no processors and no memory, and can't be joined before it has, cpusets(7).
    #[inline(never)]
    fn inherit(&mut self, mount: &str) {
        let own = self.path.as_str();
        for path in self.path.way() {
            for what in ["cpus", "mems"] {
                if *path != own || limits::at(self.resources, join!("cpu.{}", what)).is_none() {
                    self.step.action = Action::Inherit;
                    self.step.directory = join!("{}/{}", mount, path);
                    self.step.file = join!("cpuset.{}", what);
                    self.push();
                }
            }
        }
    }

    /// The devices that may be used. v1: everything is denied first; the kernel keeps what follows as exceptions,
    /// `Documentation/admin-guide/cgroup-v1/devices.rst`.
    #[inline(never)]
    fn devices(&mut self) -> Result<()> {
        let hierarchies = self.hierarchies;
        let rules = devices::read_all(self.resources)?;
        let bound = hierarchies.v1("devices");
        let option = "--device";
        if rules.is_empty() {
            return Ok(());
        }
        let Some(hierarchy) = bound.or(hierarchies.v2()) else {
            self.absent(option, "devices", "CONFIG_CGROUP_DEVICE for cgroup v1 or CONFIG_CGROUP_BPF for cgroup v2");
            return Ok(());
        };
        let directory = self.join(hierarchy);
        if bound.is_none() {
            self.plan.program = devices::filter(&rules).leak();
            let value = join!("{}", self.plan.program.len());
            self.step = Step { action: Action::FilterDevices, directory, value, option, ..Step::default() };
            self.push();
            return Ok(());
        }
        for (file, value) in devices::lines(&rules) {
            self.step = Step { directory, file, value, option, ..Step::default() };
            self.push();
        }
        Ok(())
    }

    /// Files of v2 by name: the part before the dot is the controller.
    #[inline(never)]
    fn unified(&mut self) {
        let hierarchies = self.hierarchies;
        for (file, value) in self.resources.get("unified").and_then(Value::as_object).unwrap_or_default() {
            // The only one that the command line has an option for.
            let option = if *file == "memory.high" { "--memory-high" } else { "linux.resources.unified" };
            let Some((controller, _)) = file.cut(b'.').filter(|_| !file.has(b'/')) else {
                self.refuse(say!("{}: {} is not the name of a control group's file", option, Quoted(file)));
                continue;
            };
            let core = controller == "cgroup";
            let Some(hierarchy) = hierarchies.v2().filter(|hierarchy| core || hierarchy.has(controller)) else {
                let message =
                    say!("{}: {} needs the controller {} on cgroup v2, which is not there", option, file, controller);
                self.plan.unmet.push(Error::new(message).hint(where_else(controller, hierarchies)));
                continue;
            };
            let directory = self.join(hierarchy);
            if !core {
                self.enable(controller);
            }
            self.step.directory = directory;
            self.step.file = file;
            self.step.value = value.as_str().unwrap_or_default();
            self.step.option = option;
            self.push();
        }
    }

    /// Controllers of v2 are switched on from the top down, in every directory above the group, before anything is written.
    /// The group is there by then, so none of those above can go away meanwhile.
    #[inline(never)]
    fn finish(&mut self) {
        if let Some(hierarchy) = self.hierarchies.v2().filter(|_| !self.enable.is_empty()) {
            let value = keep::copy(self.enable.trim_ascii_start());
            let parents = self.path.parents();
            for at in 0..=parents.len() {
                let parent = at.checked_sub(1).and_then(|at| parents.get(at));
                self.step.directory = parent.map_or(hierarchy.mount, |parent| join!("{}/{}", hierarchy.mount, parent));
                (self.step.file, self.step.value) = ("cgroup.subtree_control", value);
                self.insert(at);
            }
        }
    }

    fn absent(&mut self, option: &str, controller: &str, kernel: &str) {
        let message = say!("{} can't be enforced: no cgroup hierarchy here has the {} controller", option, controller);
        let hint = if users::is_confined() {
            join!(
                "{}",
                phrase!(
                    "a normal user can set limits where cgroup v2 is delegated: systemd-run --user --scope -p Delegate=yes vial run ...; or use --best-effort, or root"
                )
            )
        } else if self.hierarchies.is_none() {
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
    pub(super) fn of(hierarchy: &Hierarchy, path: GroupPath) -> Directory {
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
