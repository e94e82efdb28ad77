//! A group: made, joined, changed and removed.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use super::hierarchies::{Hierarchies, Version};
use super::limits::Limits;
use super::path::{DEFAULT_PARENT, GroupPath};
use super::plan::{Action, Directory, Extent, Plan, Step, plan};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::sys::{self, Fd, fd::CWD, file, process, security};

/// `BPF_PROG_TYPE_CGROUP_DEVICE` and `BPF_CGROUP_DEVICE` (`linux/bpf.h`).
const PROGRAM_KIND: u32 = 15;
const ATTACH_KIND: u32 = 6;

/// The extended attribute that tells directories above groups that vial made, apart from `/vial`, from those it found.
/// Such attributes are kept in memory by all of cgroupfs, v1 and v2.
const MARK: &CStr = c"trusted.vial";

/// How often making a directory is tried anew when another vial removes the one above it meanwhile.
const RACES: u32 = 16;

/// Longest file of a group that is read; `cgroup.procs` has a line for every process.
const LIMIT: usize = 16 << 20;

/// A control group: one directory in each of the hierarchies that it was made in.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    path: GroupPath,
    directories: Vec<Directory>,
}

impl Group {
    /// Makes a group and puts its limits in force; also returns what could not be had.
    ///
    /// With `best_effort` false there is nothing to return: a limit that can't be enforced is an error, and then nothing of
    /// the group is left. A directory that is there already is taken if no process is in it.
    ///
    /// # Errors
    /// When a controller is absent (the error names it, the option that needs it and the kernel's option), the group exists
    /// and has processes, or the kernel refuses a directory or a value.
    pub fn create(
        hierarchies: &Hierarchies,
        limits: &Limits,
        path: &GroupPath,
        extent: Extent,
        best_effort: bool,
    ) -> Result<(Group, Vec<Error>)> {
        let _why = sys::because("limit what the container may use");
        let plan = plan(hierarchies, limits, path, extent);
        let mut group = Group { path: path.clone(), directories: Vec::new() };
        match group.perform(plan, best_effort) {
            Ok(warnings) => Ok((group, warnings)),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = group.remove();
                Err(error)
            }
        }
    }

    /// Changes the limits of a group with processes in it. A hierarchy that it was not in so far is joined by all of them.
    ///
    /// Rules for devices only become stricter in v2, where the filters that were attached before stay.
    ///
    /// # Errors
    /// As [`Group::create`]; what was changed before the failure stays changed.
    pub fn change(&mut self, hierarchies: &Hierarchies, limits: &Limits, best_effort: bool) -> Result<Vec<Error>> {
        let _why = sys::because("change what the container may use");
        let memsw = self.holding("memory").map(|memory| read(&memory.path, "memory.memsw.limit_in_bytes"));
        let memsw = memsw.and_then(|text| text.ok()?.trim_ascii().parse().ok()).unwrap_or(u64::MAX);
        let known = self.directories.len();
        let warnings = self.perform(plan(hierarchies, limits, &self.path, Extent::Changed(memsw)), best_effort)?;
        let Some(from) = self.directories[..known].first().filter(|_| self.directories.len() > known) else {
            return Ok(warnings);
        };
        // What is forked while the list is gone through is in the next one.
        let mut moved = Vec::new();
        loop {
            let processes = super::kill::processes(&from.path)?;
            let new: Vec<u32> = processes.into_iter().filter(|pid| !moved.contains(pid)).collect();
            if new.is_empty() {
                return Ok(warnings);
            }
            for (pid, directory) in new.iter().flat_map(|pid| self.directories[known..].iter().map(move |to| (pid, to)))
            {
                match write(&directory.path, "cgroup.procs", &pid.to_string()) {
                    Err(error) if error.is(Errno::ESRCH) => {}
                    result => result?,
                }
            }
            moved.extend(new);
        }
    }

    /// Makes the directories that are not yet this group's, then takes the steps.
    fn perform(&mut self, plan: Plan, best_effort: bool) -> Result<Vec<Error>> {
        let mut warnings = Vec::new();
        let mut heed = |error: Error| {
            if !best_effort {
                return Err(error);
            }
            warnings.push(error);
            Ok(())
        };
        plan.unmet.into_iter().try_for_each(&mut heed)?;
        for directory in plan.directories {
            if self.directories.contains(&directory) {
                continue;
            }
            match self.make(&directory) {
                Ok(()) => self.directories.push(directory),
                Err(error) => heed(error)?,
            }
        }
        let mut values = Values::default();
        for step in &plan.steps {
            // Without its directory, which is known by now, a step has nowhere to be taken.
            if self.directories.iter().any(|directory| directory.path.starts_with(&step.directory)) {
                take(step, &mut values).or_else(&mut heed)?;
            }
        }
        Ok(warnings)
    }

    /// One call when the directory above is there. Another vial may remove that one at any time while it is empty.
    fn make(&self, directory: &Directory) -> Result<()> {
        let path = file::path(directory.path.as_str())?;
        let mut tries = 0;
        loop {
            match file::mkdir(CWD, path, 0o755) {
                Err(error) if error.is(Errno::ENOENT) && tries < RACES => self.make_parents(directory)?,
                Err(error) if error.is(Errno::EEXIST) && super::kill::processes(&directory.path)?.is_empty() => {
                    return Ok(());
                }
                Err(error) => return Err(hint_directory(error)),
                Ok(()) => return Ok(()),
            }
            tries += 1;
        }
    }

    fn make_parents(&self, directory: &Directory) -> Result<()> {
        for parent in self.path.parents() {
            let path = file::path(format!("{}/{parent}", directory.mount))?;
            match file::mkdir(CWD, path, 0o755) {
                Ok(()) if parent != DEFAULT_PARENT => {
                    // Without the mark the directory stays when it is empty, which does no harm.
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
    /// When a path has a zero byte, which [`GroupPath`] rules out.
    pub fn open_existing(hierarchies: &Hierarchies, path: &GroupPath) -> Result<Group> {
        let _why = sys::because("find the container's control groups");
        let mut directories = Vec::new();
        for hierarchy in hierarchies.iter() {
            let directory = Directory::of(hierarchy, path);
            if file::exists(CWD, file::path(directory.path.as_str())?) {
                directories.push(directory);
            }
        }
        Ok(Group { path: path.clone(), directories })
    }

    /// The directories above a group that are not there and would be made with it, the topmost first. Those of `/vial` are not
    /// among them: nobody else makes these, so they need no note.
    ///
    /// # Errors
    /// When a path has a zero byte, which [`GroupPath`] rules out.
    pub fn missing_parents(hierarchies: &Hierarchies, path: &GroupPath) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for hierarchy in hierarchies.iter() {
            for parent in path.parents().filter(|parent| !is_ours(parent)) {
                let directory = format!("{}/{parent}", hierarchy.mount);
                if !file::exists(CWD, file::path(directory.as_str())?) {
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
        if file::rmdir(CWD, path).is_err() {
            // It is gone, or the mark is there, or it stays when it is empty, which does no harm.
            let _ = file::set_xattr_at(path, MARK, b"1");
        }
        Ok(())
    }

    /// The group as it would be with a directory in every hierarchy, whether it has one or not: for removing all of it.
    #[must_use]
    pub fn everywhere(hierarchies: &Hierarchies, path: &GroupPath) -> Group {
        let directories = hierarchies.iter().map(|hierarchy| Directory::of(hierarchy, path)).collect();
        Group { path: path.clone(), directories }
    }

    /// Its path below the mount points.
    #[must_use]
    pub fn path(&self) -> &GroupPath {
        &self.path
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

    /// Opens the directory in v2, if there is one, for [`process::clone_into`].
    ///
    /// # Errors
    /// open(2).
    pub fn open_for_clone(&self) -> Result<Option<Fd>> {
        let Some(directory) = self.unified() else { return Ok(None) };
        let path = file::path(directory.path.as_str())?;
        file::open(CWD, path, libc::O_PATH | libc::O_DIRECTORY).map(Some)
    }

    /// Moves this process into the group; it must have a single thread. `born_in_v2` tells that it was cloned into v2.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn join_self(&self, born_in_v2: bool) -> Result<()> {
        let _why = sys::because("enter the control group");
        for directory in &self.directories {
            match directory.version {
                Version::V1 => write(&directory.path, "tasks", "0")?,
                Version::V2 if born_in_v2 => {}
                Version::V2 => write(&directory.path, "cgroup.procs", "0")?,
            }
        }
        Ok(())
    }

    /// Whether the kernel killed one of its processes because memory ran out.
    ///
    /// # Errors
    /// When the counter can't be read. Without the memory controller the answer is no.
    ///
    /// # Source
    /// `memory.oom_control` (v1, `oom_kill` since Linux 4.13) and `memory.events` (v2).
    pub fn was_oom_killed(&self) -> Result<bool> {
        let _why = sys::because("see whether memory ran out");
        let text = match (self.holding("memory"), self.unified()) {
            (Some(memory), _) => read(&memory.path, "memory.oom_control")?,
            (None, Some(unified)) => match read(&unified.path, "memory.events") {
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
        let _why = sys::because("remove the control group");
        let mut result = Ok(());
        for directory in &self.directories {
            match remove_tree(&directory.path) {
                Err(error) => result = result.and(Err(error)),
                Ok(()) => self.remove_parents(directory)?,
            }
        }
        result
    }

    fn remove_parents(&self, directory: &Directory) -> Result<()> {
        for parent in self.path.parents().rev() {
            let path = file::path(format!("{}/{parent}", directory.mount))?;
            // The kernel refuses while another group is in it.
            if !(is_ours(parent) || is_marked(path)) || file::rmdir(CWD, path).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a directory above a group is `/vial` or below it.
fn is_ours(parent: &str) -> bool {
    parent.parts(b'/').next() == Some(DEFAULT_PARENT)
}

fn is_marked(path: &CStr) -> bool {
    let directory = file::open(CWD, path, libc::O_RDONLY | libc::O_DIRECTORY);
    directory.is_ok_and(|directory| file::get_xattr(directory.by_ref(), MARK).is_ok())
}

/// Removes a group's directory. A process that was killed leaves its group only when it is collected or shortly before, so
/// the kernel may answer EBUSY for a moment; it does too while groups are below.
fn remove_tree(path: &str) -> Result<()> {
    let whole = file::path(path)?;
    for delay in [0].into_iter().chain([1; 20]).chain([10; 200]) {
        if delay > 0 {
            for child in children(path)? {
                remove_tree(&child)?;
            }
            process::sleep(delay);
        }
        match file::rmdir(CWD, whole) {
            Err(error) if error.is(Errno::EBUSY) || error.is(Errno::ENOTEMPTY) => {}
            Err(error) if error.is(Errno::ENOENT) => return Ok(()),
            result => return result,
        }
    }
    file::rmdir(CWD, whole).map_err(|error| error.hint("processes are still in it; kill them first"))
}

/// The groups directly below one; none if it is gone.
pub(super) fn children(path: &str) -> Result<Vec<String>> {
    let directory = match file::open(CWD, file::path(path)?, libc::O_RDONLY | libc::O_DIRECTORY) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(Vec::new()),
        directory => directory?,
    };
    let entries = file::list(directory.by_ref())?;
    let groups = entries.iter().filter(|entry| entry.kind == libc::DT_DIR);
    Ok(groups.map(|group| format!("{path}/{}", group.name.to_string_lossy())).collect())
}

/// Writes values, keeping the file of the last one open: rules for devices are many for one file.
#[derive(Default)]
struct Values(Option<(&'static CStr, Fd)>);

impl Values {
    fn write(&mut self, directory: &str, file: &str, value: &str) -> Result<()> {
        let path = file::path(format!("{directory}/{file}"))?;
        let (path, open) = match self.0.take() {
            Some(last) if last.0 == path => last,
            _ => {
                let open = file::open(CWD, path, libc::O_WRONLY)?;
                (path, open)
            }
        };
        let result = file::write_one_of_values(open.by_ref(), path, value.as_bytes());
        self.0 = Some((path, open));
        result
    }
}

fn take(step: &Step, values: &mut Values) -> Result<()> {
    let directory = &step.directory;
    match &step.action {
        Action::Write { file, value, fallback } => match (values.write(directory, file, value), fallback) {
            (Err(error), Some((file, value))) if error.is(Errno::ENOENT) => {
                values.write(directory, file, value).map_err(|error| hint(error, file, step.option))
            }
            (result, _) => result.map_err(|error| hint(error, file, step.option)),
        },
        Action::Inherit { file } => {
            if read(directory, file)?.trim_ascii().is_empty() {
                let above = directory.cut_last(b'/').map_or("/", |(above, _)| above);
                let value = read(above, file)?.trim_ascii().to_owned();
                write(directory, file, &value).map_err(|error| hint(error, file, step.option))?;
            }
            Ok(())
        }
        Action::FilterDevices { program } => {
            let path = file::path(directory.as_str())?;
            let group = file::open(CWD, path, libc::O_RDONLY | libc::O_DIRECTORY)?;
            security::bpf_load(PROGRAM_KIND, program)
                .and_then(|program| security::bpf_attach(group.by_ref(), program.by_ref(), ATTACH_KIND))
                .map_err(|error| {
                    error.hint("devices are kept from a cgroup v2 by BPF: needs CONFIG_CGROUP_BPF, CONFIG_BPF_SYSCALL and root")
                })
        }
    }
}

pub(super) fn write(directory: &str, file: &str, value: &str) -> Result<()> {
    file::write_value(CWD, file::path(format!("{directory}/{file}"))?, value.as_bytes())
}

pub(super) fn read(directory: &str, file: &str) -> Result<String> {
    let bytes = file::read_file(CWD, file::path(format!("{directory}/{file}"))?, LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The start of a file's name, an error number, and what the two mean together. The first row that fits counts.
#[rustfmt::skip]
const HINTS: &[(&str, Errno, &str)] = &[
    ("memory.memsw",  Errno::ENOENT, "needs CONFIG_SWAP (before Linux 6.1 CONFIG_MEMCG_SWAP and swapaccount=1 on the kernel's command line)"),
    ("memory.memsw",  Errno::EINVAL, "memory and swap together can't be below memory alone"),
    ("memory.swap",   Errno::ENOENT, "needs CONFIG_SWAP (before Linux 6.1 CONFIG_MEMCG_SWAP and swapaccount=1 on the kernel's command line)"),
    ("memory.kmem",   Errno::EOPNOTSUPP, "limits on kernel memory are gone from Linux 5.16 on; it counts as memory"),
    ("memory.limit",  Errno::EINVAL, "it can't be above the limit on memory and swap together"),
    ("memory.limit",  Errno::EBUSY,  "more than that is in use and can't be freed"),
    ("memory.memsw",  Errno::EBUSY,  "more than that is in use and can't be freed"),
    ("memory.oom",    Errno::EINVAL, "not possible where memory.use_hierarchy of the group above is off"),
    ("cpu.cfs_burst", Errno::ENOENT, "needs Linux 5.14 and CONFIG_CFS_BANDWIDTH"),
    ("cpu.max.burst", Errno::ENOENT, "needs Linux 5.14 and CONFIG_CFS_BANDWIDTH"),
    ("cpu.cfs",       Errno::ENOENT, "needs CONFIG_CFS_BANDWIDTH"),
    ("cpu.max",       Errno::ENOENT, "needs CONFIG_CFS_BANDWIDTH"),
    ("cpu.cfs_burst", Errno::EINVAL, "the burst can't be above the quota"),
    ("cpu.cfs",       Errno::EINVAL, "a period is 1000 to 1000000 µs, a quota at least 1000, and no more than the group above has"),
    ("cpu.max",       Errno::EINVAL, "a period is 1000 to 1000000 µs, a quota at least 1000, and a burst not above the quota"),
    ("cpu.idle",      Errno::ENOENT, "needs Linux 5.15"),
    ("cpu.shares",    Errno::EINVAL, "an idle group has no shares"),
    ("cpu.weight",    Errno::EINVAL, "an idle group has no weight"),
    ("cpu.rt",        Errno::ENOENT, "needs CONFIG_RT_GROUP_SCHED"),
    ("cpu.rt",        Errno::EINVAL, "the groups above must have real-time processor time to share"),
    ("cpuset",        Errno::EACCES, "not all of them belong to the group above"),
    ("cpuset",        Errno::ERANGE, "there are not so many"),
    ("cpuset",        Errno::EINVAL, "write a list such as 0-2,4, of processors or nodes that are there"),
    ("blkio.throttle", Errno::ENOENT, "needs CONFIG_BLK_DEV_THROTTLING"),
    ("io.max",        Errno::ENOENT, "needs CONFIG_BLK_DEV_THROTTLING"),
    ("blkio.leaf",    Errno::ENOENT, "went with the CFQ scheduler in Linux 5.0"),
    ("blkio.bfq",     Errno::ENOENT, "needs the BFQ scheduler with CONFIG_BFQ_GROUP_IOSCHED"),
    ("io.weight",     Errno::ENOENT, "needs CONFIG_BLK_CGROUP_IOCOST or the BFQ scheduler with CONFIG_BFQ_GROUP_IOSCHED"),
    ("blkio",         Errno::ENODEV, "there is no such block device; give a whole disk, not a partition"),
    ("io.",           Errno::ENODEV, "there is no such block device; give a whole disk, not a partition"),
    ("blkio",         Errno::EOPNOTSUPP, "this device's scheduler has no weights"),
    ("io.",           Errno::EOPNOTSUPP, "this device's scheduler has no weights"),
    ("hugetlb",       Errno::ENOENT, "this machine has no huge pages of that size"),
    ("devices",       Errno::EPERM,  "the group above does not have that device; give another --cgroup-parent"),
    ("cgroup.subtree", Errno::EBUSY, "processes live in that group itself, so cgroup v2 gives no controllers to those below; give another --cgroup-parent"),
    ("cgroup.subtree", Errno::ENOENT, "that group has not been given all these controllers; see cgroup.controllers in it"),
    ("cgroup.subtree", Errno::EOPNOTSUPP, "that group is threaded; give another --cgroup-parent"),
    ("",              Errno::ENOENT, "this kernel has no such file"),
    ("",              Errno::EROFS,  "control groups are mounted read-only here"),
];

fn hint(error: Error, file: &str, option: &str) -> Error {
    let row = HINTS.iter().find(|(start, errno, _)| file.starts_with(start) && error.is(*errno));
    match (row, option) {
        (Some((.., text)), "") => error.hint(*text),
        (Some((.., text)), _) => error.hint(format!("{option}: {text}")),
        (None, "") => error,
        (None, _) => error.hint(format!("this is {option}")),
    }
}

fn hint_directory(error: Error) -> Error {
    if error.is(Errno::EEXIST) {
        return error.hint("a group of that name has processes in it");
    }
    if error.is(Errno::EACCES) || error.is(Errno::EPERM) {
        return error.hint("groups are made by root, or below one that was delegated to you (--cgroup-parent)");
    }
    hint(error, "", "")
}
