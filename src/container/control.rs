//! A container's control group, from its specification to its removal.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use super::plan::CgroupMount;
use super::scope;
use super::spec::{NamespaceKind, Spec};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::Kept;
use crate::base::text::Cut;
use crate::kernel::cgroup::{self, Directory, Group, GroupPath, Hierarchies, Hits, Version};
use crate::sys::because;

/// The annotation that lists directories above the control group, a line each.
pub const PARENTS: &str = "vial.cgroupParents";

/// A control group that was made for a container, or none.
#[derive(Default)]
pub struct Control {
    /// The group; `None` on a host without control groups.
    pub group: Option<Group>,
    /// What was asked for and can't be enforced here, if that was allowed.
    pub warnings: Kept<Vec<Error>>,
    /// Where groups can be.
    hierarchies: Hierarchies,
    /// Directories above it that were going to be made for it, a line each.
    parents: &'static str,
    /// The unit whose group it is, if systemd has made it; see [`scope::UNIT`].
    unit: &'static str,
    /// The process that keeps that unit until the container's own is in it; 0 if there is none.
    holder: Cell<u32>,
    /// Whether all processes end with the first one, because the PID namespace is theirs.
    end_together: bool,
}

/// Makes a group.
type Create = fn(&Hierarchies, &Value, GroupPath, bool) -> Result<(Group, Kept<Vec<Error>>)>;

/// Where the group is to be.
fn path(spec: &Spec) -> Result<GroupPath> {
    GroupPath::new(spec.linux.as_ref().and_then(|linux| linux.cgroups_path).unwrap_or("/vial"))
}

/// What to limit, and where.
fn parts(spec: &Spec) -> Result<(Value, GroupPath)> {
    let resources = spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
    Ok((resources.map(|resources| resources.0.clone()).unwrap_or_default(), path(spec)?))
}

impl Control {
    /// Makes the group with all its limits, before anything of the container runs.
    ///
    /// # Errors
    /// A limit that can't be set, by controller and option.
    pub fn create(spec: &mut Spec, best_effort: bool) -> Result<Control> {
        Control::make(spec, best_effort, Group::create)
    }

    /// As [`Control::create`], in all hierarchies: engines look for their containers' groups there.
    ///
    /// # Errors
    /// As [`Control::create`].
    pub fn create_everywhere(spec: &mut Spec, best_effort: bool) -> Result<Control> {
        Control::make(spec, best_effort, Group::create_everywhere)
    }

    fn make(spec: &mut Spec, best_effort: bool, create: Create) -> Result<Control> {
        let _why = because!("make the container's control group and set its limits, before anything of it runs");
        let (resources, path) = parts(spec)?;
        let hierarchies = Hierarchies::detect()?;
        let parents = super::launch::annotation(spec, PARENTS);
        let unit = super::launch::annotation(spec, scope::UNIT);
        let holder = match unit {
            "" => 0,
            _ => (scope::COLD_GATE_OCI_UNIT.open()?.make)(spec, &hierarchies, &resources, path, unit)?,
        };
        let end_together = super::plan::has_own(spec, NamespaceKind::Pid);
        let mut control = Control {
            group: None,
            warnings: Kept::default(),
            hierarchies,
            parents,
            unit,
            holder: Cell::new(holder),
            end_together,
        };
        let hierarchies = &control.hierarchies;
        let made = match holder {
            0 => create(hierarchies, &resources, path, best_effort),
            _ => Group::create_around(hierarchies, &resources, path, best_effort, holder),
        };
        match made {
            Ok((group, warnings)) => {
                control.group = (!group.directories().is_empty()).then_some(group);
                control.warnings = warnings;
                Ok(control)
            }
            Err(error) => {
                if holder != 0 {
                    // The first failure is the one to tell.
                    let _ = control.end_unit().and_then(|()| Group::everywhere(&control.hierarchies, path).remove());
                }
                remove_parents(parents)?;
                Err(error)
            }
        }
    }

    /// Notes in a specification which directories above the control group are going to be made for it: should vial be killed
    /// just after making one, the note tells that it was vial's.
    ///
    /// # Errors
    /// What hides the host's control groups; a path that can't be one.
    pub fn note_parents(spec: &mut Spec) -> Result<()> {
        if !super::launch::annotation(spec, scope::UNIT).is_empty() {
            // Those are systemd's.
            return Ok(());
        }
        let _why = because!("note which directories above the control group are missing");
        let missing = Group::missing_parents(path(spec)?)?;
        if !missing.is_empty() {
            spec.annotations.push((PARENTS, missing.join("\n").leak()));
        }
        Ok(())
    }

    /// The hierarchies to show in the container.
    #[must_use]
    pub fn mounts(&self) -> &'static [CgroupMount] {
        self.group.as_ref().map_or(&[], |group| mounts(group.directories()))
    }

    /// Whether the kernel killed a process of the group because memory was short.
    #[must_use]
    pub fn was_oom_killed(&self) -> bool {
        let _why = because!("see whether memory ran out");
        self.group.as_ref().is_some_and(|group| group.was_oom_killed().unwrap_or(false))
    }

    /// What its limits have done.
    #[must_use]
    pub fn hits(&self, spec: &Spec) -> Hits {
        let resources = spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
        self.group.as_ref().zip(resources).map_or(Hits::default(), |(group, resources)| group.hits(&resources.0))
    }

    /// Says that the container's first process has joined the group.
    pub fn joined(&self) {
        let holder = self.holder.take();
        if holder != 0 {
            scope::let_go(holder);
        }
    }

    /// Ends the unit that systemd has made.
    fn end_unit(&self) -> Result<()> {
        self.joined();
        end_unit(self.unit)
    }

    /// Kills what is left in the group and removes it.
    ///
    /// # Errors
    /// A directory that can't be removed.
    pub fn remove(&self) -> Result<()> {
        let _why = because!("remove the container's control group, and whatever is left in it");
        let Some(group) = &self.group else { return self.end_unit() };
        if !self.end_together {
            group.kill_all()?;
        }
        self.end_unit()?;
        // `update` may have put it into further hierarchies meanwhile.
        Group::everywhere(&self.hierarchies, group.path()).remove_own()?;
        remove_parents(self.parents)
    }

    /// What `create` would do, in words, and what would be shown in the container.
    ///
    /// # Errors
    /// As `create`, but nothing is made.
    pub fn describe(spec: &mut Spec) -> Result<(String, &'static [CgroupMount])> {
        let (resources, path) = parts(spec)?;
        let plan = cgroup::plan(&Hierarchies::detect()?, &resources, path, None, false)?;
        let mut text = String::from("make the container's control group and set its limits\n");
        for directory in &plan.directories {
            text.push_str(join!("    make the directory {}\n", directory.path));
        }
        for step in &plan.steps {
            text.push_str(join!("    {}\n", step.text()));
        }
        for unmet in &plan.unmet {
            text.push_str(join!("    impossible here: {}\n", unmet));
        }
        Ok((text, mounts(&plan.directories)))
    }
}

/// Ends the unit that an annotation tells of, if there is one.
///
/// # Errors
/// systemd does not want to.
pub fn end_unit(unit: &str) -> Result<()> {
    if unit.is_empty() { Ok(()) } else { (scope::COLD_GATE_OCI_UNIT.open()?.stop)(unit) }
}

/// Removes the directories above a control group that [`Control::note_parents`] noted, as far as nobody else is in them.
///
/// # Errors
/// A path that can't be one.
pub fn remove_parents(noted: &str) -> Result<()> {
    // Those below come after those above.
    for parent in noted.parts(b'\n').filter(|parent| !parent.is_empty()).collect::<Vec<&str>>().into_iter().rev() {
        Group::remove_parent(parent)?;
    }
    Ok(())
}

fn mounts(directories: &[Directory]) -> &'static [CgroupMount] {
    let alone = directories.len() == 1;
    let mut mounts = Vec::with_capacity(directories.len());
    for directory in directories {
        let path = directory.path;
        mounts.push(match directory.version {
            Version::V2 => CgroupMount { name: if alone { "" } else { "unified" }, kind: c"cgroup2", data: "", path },
            Version::V1 => {
                let name = directory.controllers;
                CgroupMount { name, kind: c"cgroup", data: name, path }
            }
        });
    }
    mounts.leak()
}
