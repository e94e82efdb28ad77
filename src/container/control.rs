//! A container's control group, from its specification to its removal.

use alloc::string::String;
use alloc::vec::Vec;

use super::plan::CgroupMount;
use super::spec::{NamespaceKind, Spec};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::Kept;
use crate::base::text::Cut;
use crate::kernel::cgroup::{self, Directory, Group, GroupPath, Hierarchies, Version};
use crate::sys::because;

/// The annotation that lists directories above the control group, a line each.
pub const PARENTS: &str = "vial.cgroupParents";

/// A control group that was made for a container.
pub struct Control {
    /// The group; `None` on a host without control groups.
    pub group: Option<Group>,
    /// What was asked for and can't be enforced here, if that was allowed.
    pub warnings: Kept<Vec<Error>>,
    /// Directories above it that were going to be made for it, a line each.
    parents: &'static str,
    /// Whether all processes end with the first one, because the PID namespace is theirs.
    end_together: bool,
}

/// What to limit, and where.
fn parts(spec: &mut Spec) -> Result<(Value, GroupPath)> {
    let Some(linux) = &mut spec.linux else { return Ok((Value::default(), GroupPath::new("/vial")?)) };
    let resources = linux.resources.as_ref().map(|resources| resources.0.clone()).unwrap_or_default();
    Ok((resources, GroupPath::new(linux.cgroups_path.unwrap_or("/vial"))?))
}

impl Control {
    /// Makes the group with all its limits, before anything of the container runs.
    ///
    /// # Errors
    /// A limit that can't be set, by controller and option.
    pub fn create(spec: &mut Spec, best_effort: bool) -> Result<Control> {
        let _why = because!("make the container's control group and set its limits, before anything of it runs");
        let (resources, path) = parts(spec)?;
        let hierarchies = Hierarchies::detect()?;
        let parents = super::launch::annotation(spec, PARENTS);
        let (group, warnings) = Group::create(&hierarchies, &resources, path, best_effort).or_else(|error| {
            remove_parents(parents)?;
            Err(error)
        })?;
        let end_together = super::plan::has_own(spec, NamespaceKind::Pid);
        Ok(Control { group: (!group.directories().is_empty()).then_some(group), warnings, parents, end_together })
    }

    /// Notes in a specification which directories above the control group are going to be made for it: should vial be killed
    /// just after making one, the note tells that it was vial's.
    ///
    /// # Errors
    /// What hides the host's control groups; a path that can't be one.
    pub fn note_parents(spec: &mut Spec) -> Result<()> {
        let _why = because!("note which directories above the control group are missing");
        let (_, path) = parts(spec)?;
        let missing = Group::missing_parents(&Hierarchies::detect()?, path)?;
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

    /// Kills what is left in the group and removes it.
    ///
    /// # Errors
    /// A directory that can't be removed.
    pub fn remove(&self) -> Result<()> {
        let _why = because!("remove the container's control group, and whatever is left in it");
        let Some(group) = &self.group else { return Ok(()) };
        if !self.end_together {
            group.kill_all()?;
        }
        // `update` may have put it into further hierarchies meanwhile.
        Group::everywhere(&Hierarchies::detect()?, group.path()).remove()?;
        remove_parents(self.parents)
    }

    /// What `create` would do, in words, and what would be shown in the container.
    ///
    /// # Errors
    /// As `create`, but nothing is made.
    pub fn describe(spec: &mut Spec) -> Result<(String, &'static [CgroupMount])> {
        let (resources, path) = parts(spec)?;
        let plan = cgroup::plan(&Hierarchies::detect()?, &resources, path, None)?;
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
        mounts.push(match directory.version {
            Version::V2 => CgroupMount { name: if alone { "" } else { "unified" }, kind: c"cgroup2", data: "" },
            Version::V1 => {
                let name = directory.controllers;
                CgroupMount { name, kind: c"cgroup", data: name }
            }
        });
    }
    mounts.leak()
}
