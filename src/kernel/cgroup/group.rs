//! A group: made, joined, changed and removed.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::files::{DELAYS, read, remove_tree, write};
use super::hierarchies::{Hierarchies, Version};
use super::hints::hint_directory;
use super::path::{DEFAULT_PARENT, GroupPath};
use super::plan::{Directory, Plan, plan};
use super::values::Values;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep::Kept;
use crate::base::text::Cut;
use crate::sys::{self, Fd, fd::CWD, file};

/// The extended attribute that tells directories above groups that vial made, apart from `/vial`, from those it found.
/// Such attributes are kept in memory by all of cgroupfs, v1 and v2.
const MARK: &CStr = c"trusted.vial";

/// How often making a directory is tried anew when another vial removes the one above it meanwhile.
const RACES: u32 = 16;

/// A control group: one directory in each of the hierarchies that it was made in.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    path: GroupPath,
    /// The process that may be in it before it is made.
    holder: u32,
    directories: Kept<Vec<Directory>>,
}

impl Group {
    /// Makes a group and puts its limits in force; also returns what could not be had. `resources` is the runtime
    /// specification's `linux.resources`.
    ///
    /// With `best_effort` false there is nothing to return: a limit that can't be enforced is an error, and then nothing of
    /// the group is left. A directory that is there already is taken if no process is in it.
    ///
    /// # Errors
    /// When a controller is absent (the error names it, the option that needs it and the kernel's option), the group exists
    /// and has processes, or the kernel refuses a directory or a value.
    pub fn create(
        hierarchies: &Hierarchies,
        resources: &Value,
        path: GroupPath,
        best_effort: bool,
    ) -> Result<(Group, Kept<Vec<Error>>)> {
        Group::make_new(hierarchies, resources, path, best_effort, None)
    }

    /// As [`Group::create`], but in all hierarchies, where others look for it.
    ///
    /// # Errors
    /// As [`Group::create`].
    pub fn create_everywhere(
        hierarchies: &Hierarchies,
        resources: &Value,
        path: GroupPath,
        best_effort: bool,
    ) -> Result<(Group, Kept<Vec<Error>>)> {
        Group::make_new(hierarchies, resources, path, best_effort, Some(0))
    }

    /// As [`Group::create_everywhere`], where somebody else has made the group in some of the hierarchies already, with this process
    /// in it; and then a failure leaves what there is to whoever it was.
    ///
    /// # Errors
    /// As [`Group::create`].
    pub fn create_around(
        hierarchies: &Hierarchies,
        resources: &Value,
        path: GroupPath,
        best_effort: bool,
        holder: u32,
    ) -> Result<(Group, Kept<Vec<Error>>)> {
        Group::make_new(hierarchies, resources, path, best_effort, Some(holder))
    }

    fn make_new(
        hierarchies: &Hierarchies,
        resources: &Value,
        path: GroupPath,
        best_effort: bool,
        everywhere: Option<u32>,
    ) -> Result<(Group, Kept<Vec<Error>>)> {
        let _why = sys::because(phrase!("limit what the container may use"));
        let plan = plan(hierarchies, resources, path, None, everywhere.is_some())?;
        let holder = everywhere.unwrap_or_default();
        let mut group = Group { path, holder, directories: Kept::default() };
        match group.perform(*plan, best_effort, &mut Values::default()) {
            Ok(warnings) => Ok((group, warnings)),
            Err(error) => {
                if holder == 0 {
                    // The first failure is the one to tell.
                    let _ = group.remove();
                }
                Err(error)
            }
        }
    }

    /// Changes the limits of a group with processes in it. A hierarchy that it was not in so far is joined by all of them.
    ///
    /// Rules for devices only become stricter in v2, where the filters that were attached before stay.
    ///
    /// # Errors
    /// As [`Group::create`]; the limits are as they were then.
    pub fn change(
        &mut self,
        hierarchies: &Hierarchies,
        resources: &Value,
        best_effort: bool,
    ) -> Result<Kept<Vec<Error>>> {
        let _why = sys::because(phrase!("change what the container may use"));
        let memsw = self.holding("memory").map(|memory| read(memory.path, "memory.memsw.limit_in_bytes"));
        let memsw = memsw.and_then(|text| text.ok()?.trim_ascii().parse().ok()).unwrap_or(u64::MAX);
        let known = self.directories.len();
        let plan = plan(hierarchies, resources, self.path, Some(memsw), false)?;
        let mut values = Values::with_undo();
        let mut result = self.perform(*plan, best_effort, &mut values);
        if result.is_ok()
            && let Err(error) = self.move_all(known)
        {
            result = Err(error);
        }
        if result.is_err() {
            values.undo();
            for directory in self.directories.iter().skip(known) {
                // What could not be moved there is not there. What could be stays, with all limits as the kernel has them.
                if remove_tree(directory.path, &[0]).is_ok() {
                    let _ = remove_parents(self.path, directory);
                }
            }
            self.directories.truncate(known);
        }
        result
    }

    /// Moves all processes of the first directory's group to those from `known` on.
    #[inline(never)]
    fn move_all(&self, known: usize) -> Result<()> {
        let Some((from, new)) = self.directories.split_at_checked(known) else { return Ok(()) };
        let (Some(from), false) = (from.first(), new.is_empty()) else { return Ok(()) };
        // What is forked while the list is gone through is in the next one.
        let mut moved = Kept::new(Vec::new());
        loop {
            let before = moved.len();
            for pid in super::kill::tree(from.path)? {
                if moved.contains(&pid) {
                    continue;
                }
                for directory in new {
                    match write(directory.path, "cgroup.procs", join!("{}", pid)) {
                        Err(error) if error.is(Errno::ESRCH) => {}
                        result => result?,
                    }
                }
                moved.push(pid);
            }
            if moved.len() == before {
                return Ok(());
            }
        }
    }

    /// Makes the directories that are not yet this group's, then takes the steps.
    #[inline(never)]
    fn perform(&mut self, plan: Plan, best_effort: bool, values: &mut Values) -> Result<Kept<Vec<Error>>> {
        let Plan { directories, steps, program, unmet: mut warnings } = plan;
        heed(&mut warnings, best_effort, Ok(()))?;
        for &directory in &directories {
            if self.has(directory.path) {
                continue;
            }
            let made = self.make(&directory);
            if made.is_ok() {
                self.directories.push(directory);
            }
            heed(&mut warnings, best_effort, made)?;
        }
        for step in &steps {
            // Without its directory, which is known by now, a step has nowhere to be taken.
            if self.has(step.directory) {
                heed(&mut warnings, best_effort, values.take(step, program))?;
            }
        }
        Ok(warnings)
    }

    /// Whether there is this directory, or one of the group's is below it.
    #[inline(never)]
    fn has(&self, path: &str) -> bool {
        self.directories.iter().any(|directory| directory.path.starts_with(path))
    }

    /// One call when the directory above is there. Another vial may remove that one at any time while it is empty.
    #[inline(never)]
    fn make(&self, directory: &Directory) -> Result<()> {
        let path = file::path(directory.path)?;
        let mut tries = 0;
        loop {
            match file::mkdir(CWD, path, 0o755) {
                Err(error) if error.is(Errno::ENOENT) && tries < RACES => self.make_parents(directory)?,
                Err(error)
                    if error.is(Errno::EEXIST)
                        && super::kill::processes(directory.path)?.iter().all(|pid| *pid == self.holder) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(hint_directory(error)),
                Ok(()) => return Ok(()),
            }
            tries += 1;
        }
    }

    #[inline(never)]
    fn make_parents(&self, directory: &Directory) -> Result<()> {
        for &parent in self.path.parents() {
            let path = below(directory.mount, parent)?;
            match file::mkdir(CWD, path, 0o755) {
                Ok(()) if parent != DEFAULT_PARENT => {
                    // Without the mark it is removed by what the container notes, if nobody else is in it then.
                    let _ = file::set_xattr_at(path, MARK, b"1");
                }
                Ok(()) => {}
                Err(error) if error.is(Errno::EEXIST) => {}
                // The one above has just been removed: the caller begins again.
                Err(error) if error.is(Errno::ENOENT) => return Ok(()),
                Err(error) => return Err(hint_directory(error)),
            }
        }
        Ok(())
    }

    /// Finds a group that was made before, in those hierarchies where it has a directory.
    ///
    /// # Errors
    /// What hides whether they are there.
    pub fn open_existing(hierarchies: &Hierarchies, path: GroupPath) -> Result<Group> {
        let _why = sys::because(phrase!("find the container's control groups"));
        let mut directories = Kept::new(Vec::new());
        for hierarchy in hierarchies.iter() {
            let directory = Directory::of(hierarchy, path);
            if file::is_there(CWD, file::path(directory.path)?)? {
                directories.push(directory);
            }
        }
        Ok(Group { path, holder: 0, directories })
    }

    /// The directories above a group that are not there and would be made with it, the topmost first. Those of `/vial` are not
    /// among them: nobody else makes these, so they need no note.
    ///
    /// # Errors
    /// What hides whether they are there.
    pub fn missing_parents(path: GroupPath) -> Result<Vec<&'static str>> {
        let mut missing = Vec::new();
        if is_ours(path) || path.parents().is_empty() {
            return Ok(missing);
        }
        for hierarchy in Hierarchies::detect()?.iter() {
            for parent in path.parents() {
                let directory = join!("{}/{}", hierarchy.mount, parent);
                if !file::is_there(CWD, file::path(directory)?)? {
                    missing.push(directory);
                }
            }
        }
        Ok(missing)
    }

    /// Removes a directory that [`Group::missing_parents`] told of and whose maker may have been killed before it was marked;
    /// while another group is in it, the mark is set instead, so that it goes with that one.
    ///
    /// # Errors
    /// When the path has a zero byte.
    pub fn remove_parent(directory: &str) -> Result<()> {
        let path = file::path(directory)?;
        match file::rmdir(CWD, path) {
            Err(error) if !error.is(Errno::ENOENT) => {
                // The mark is there already, or it stays when it is empty, which does no harm.
                let _ = file::set_xattr_at(path, MARK, b"1");
            }
            _ => {}
        }
        Ok(())
    }

    /// The group as it would be with a directory in every hierarchy, whether it has one or not: for removing all of it.
    #[must_use]
    pub fn everywhere(hierarchies: &Hierarchies, path: GroupPath) -> Group {
        let mut directories = Kept::new(Vec::new());
        for hierarchy in hierarchies.iter() {
            directories.push(Directory::of(hierarchy, path));
        }
        Group { path, holder: 0, directories }
    }

    /// Its path below the mount points.
    #[must_use]
    pub fn path(&self) -> GroupPath {
        self.path
    }

    /// Its directories; empty on a host without control groups.
    #[must_use]
    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// The directory whose hierarchy a v1 controller is bound to.
    #[must_use]
    pub fn holding(&self, controller: &str) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.controllers.parts(b',').any(|bound| bound == controller))
    }

    /// The directory in v2.
    #[must_use]
    pub fn unified(&self) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.version == Version::V2)
    }

    /// Opens the directory in v2, if there is one, for [`clone_into`](crate::sys::process::clone_into).
    ///
    /// # Errors
    /// open(2).
    pub fn open_for_clone(&self) -> Result<Option<Fd>> {
        let Some(directory) = self.unified() else { return Ok(None) };
        let path = file::path(directory.path)?;
        file::open(CWD, path, libc::O_PATH | libc::O_DIRECTORY).map(Some)
    }

    /// Moves this process into the group; it must have a single thread. `born_in_v2` tells that it was cloned into v2.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn join_self(&self, born_in_v2: bool) -> Result<()> {
        let _why = sys::because(phrase!("enter the control group"));
        for directory in &self.directories {
            match directory.version {
                Version::V1 => write(directory.path, "tasks", "0")?,
                Version::V2 if born_in_v2 => {}
                Version::V2 => write(directory.path, "cgroup.procs", "0")?,
            }
        }
        Ok(())
    }

    /// Goes to the group of a process in v2, if it is below this one; whether it is. A group that has handed controllers to those
    /// below it takes no processes (`cgroups(7)`, "no internal processes" rule): then what is to join a container's group joins
    /// its first process, as with crun.
    pub fn follow(&mut self, pid: u32) -> bool {
        let Ok(own) = read(join!("/proc/{}", pid), "cgroup") else { return false };
        let path = own.parts(b'\n').find_map(|line| line.strip_prefix("0::/")?.strip_prefix(self.path.as_str()));
        let unified = self.directories.iter_mut().find(|directory| directory.version == Version::V2);
        match (path.filter(|path| path.starts_with('/')), unified) {
            (Some(below), Some(unified)) if !unified.path.ends_with(below) => {
                unified.path = join!("{}{}", unified.path, below);
                true
            }
            _ => false,
        }
    }

    /// Whether the kernel killed one of its processes because memory ran out.
    ///
    /// # Errors
    /// When the counter can't be read. Without the memory controller the answer is no.
    ///
    /// # Source
    /// `memory.oom_control` (v1, `oom_kill` since Linux 4.13) and `memory.events` (v2).
    pub fn was_oom_killed(&self) -> Result<bool> {
        let _why = sys::because(phrase!("see whether memory ran out"));
        let text = match (self.holding("memory"), self.unified()) {
            (Some(memory), _) => read(memory.path, "memory.oom_control")?,
            (None, Some(unified)) => match read(unified.path, "memory.events") {
                Err(error) if error.is(Errno::ENOENT) => return Ok(false),
                text => text?,
            },
            (None, None) => return Ok(false),
        };
        Ok(text.parts(b'\n').any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim_ascii() != "0")))
    }

    /// Removes its directories with all groups that its processes made below them, then those above that vial made and that
    /// are empty now. What is gone already is no error.
    ///
    /// # Errors
    /// The first directory that can't be removed; the others are, nevertheless.
    pub fn remove(&self) -> Result<()> {
        self.remove_with(true)
    }

    /// The same by whoever has made it: where it is not, there is nothing above it either.
    ///
    /// # Errors
    /// As [`Group::remove`].
    pub fn remove_own(&self) -> Result<()> {
        self.remove_with(false)
    }

    fn remove_with(&self, everywhere: bool) -> Result<()> {
        let _why = sys::because(phrase!("remove the control group"));
        let mut result = Ok(());
        for directory in &self.directories {
            match remove_tree(directory.path, DELAYS) {
                Err(error) => result = result.and(Err(error)),
                Ok(was_there) if was_there || everywhere => remove_parents(self.path, directory)?,
                Ok(_) => {}
            }
        }
        result
    }
}

/// Adds a failure to the warnings; the first of them all, unless there may be some.
#[inline(never)]
fn heed(warnings: &mut Kept<Vec<Error>>, best_effort: bool, result: Result<()>) -> Result<()> {
    warnings.extend(result.err());
    if best_effort || warnings.is_empty() { Ok(()) } else { Err(warnings.swap_remove(0)) }
}

fn remove_parents(group: GroupPath, directory: &Directory) -> Result<()> {
    for parent in group.parents().iter().rev() {
        let path = below(directory.mount, parent)?;
        // The kernel refuses while another group is in it.
        if !(is_ours(group) || is_marked(path)) || file::rmdir(CWD, path).is_err() {
            break;
        }
    }
    Ok(())
}

/// A directory below the mount point.
fn below(mount: &str, path: &str) -> Result<&'static CStr> {
    file::path(join!("{}/{}", mount, path))
}

/// Whether the directories above a group are `/vial` and below it.
fn is_ours(path: GroupPath) -> bool {
    path.as_str().parts(b'/').next() == Some(DEFAULT_PARENT)
}

fn is_marked(path: &CStr) -> bool {
    let directory = file::open(CWD, path, libc::O_RDONLY | libc::O_DIRECTORY);
    directory.is_ok_and(|directory| file::get_xattr(directory.by_ref(), MARK).is_ok())
}
