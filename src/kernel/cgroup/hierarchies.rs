//! Which hierarchies of control groups the host has, and where they are mounted.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use super::limits::Limits;
use super::plan::{Extent, wanted};
use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::text::Cut;
use crate::sys::{self, fd::CWD, file};

/// Where v2 is mounted by custom when it is alone, and below which each hierarchy of v1 is, under its controllers' names.
const CUSTOMARY: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC` (`linux/magic.h`).
const CGROUP2_MAGIC: usize = 0x6367_7270;
/// `CGROUP_SUPER_MAGIC` (`linux/magic.h`).
const CGROUP1_MAGIC: usize = 0x0027_e0eb;
/// Controllers of v1 that may share a hierarchy; their single names are then symbolic links.
const TOGETHER: &[&str] = &["cpu,cpuacct", "net_cls,net_prio"];

/// The controllers of v1 by the names that mountinfo has for them, cgroups(7).
const CONTROLLERS: &[&str] = &[
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
];

/// Which interface a hierarchy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One or several controllers, any number of such hierarchies.
    V1,
    /// The single unified hierarchy.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mount: String,
    /// v1: the controllers bound to it; v2: those that `cgroup.controllers` at the mount point offers.
    pub controllers: Vec<String>,
}

/// All hierarchies that controllers can be used through; named ones (`name=systemd`) are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Looks at all that is mounted. A host without `/proc` or without control groups has none.
    ///
    /// # Errors
    /// When mountinfo or `cgroup.controllers` can't be read for another reason than that they are not there.
    pub fn detect() -> Result<Hierarchies> {
        let _why = sys::because("find the host's control groups");
        let mut found = Hierarchies::mounted()?;
        found.ask_v2()?;
        Ok(found)
    }

    /// Looks for what a group with these limits needs and for no more.
    ///
    /// Where the hierarchies are mounted where they are by custom, this takes one statfs(2) for each that is needed. Reading
    /// mountinfo instead takes 140 µs on a host with 20 mounts, and more with each further one.
    ///
    /// # Errors
    /// As [`Hierarchies::detect`].
    pub fn detect_for(limits: &Limits, extent: Extent) -> Result<Hierarchies> {
        let _why = sys::because("find the host's control groups");
        let wanted = wanted(limits, extent);
        if !limits.unified.is_empty() {
            return Hierarchies::detect();
        }
        let mut found = Hierarchies::customary(&wanted)?.map_or_else(Hierarchies::mounted, Ok)?;
        // In v2 these two are there without a controller.
        let served = |name: &&str| found.v1(name).is_some() || ["devices", "freezer"].contains(name);
        if !wanted.iter().all(served) {
            found.ask_v2()?;
        }
        Ok(found)
    }

    fn mounted() -> Result<Hierarchies> {
        if magic(CUSTOMARY)? == CGROUP2_MAGIC {
            return Ok(Hierarchies(alloc::vec![Hierarchy::v2(CUSTOMARY.to_string())]));
        }
        Ok(Hierarchies::parse(&read_if_there(file::path("/proc/self/mountinfo")?)?))
    }

    /// The wanted controllers where they are by custom; `None` unless all are.
    fn customary(wanted: &[&str]) -> Result<Option<Hierarchies>> {
        let mut found = Hierarchies::default();
        if magic(CUSTOMARY)? == CGROUP2_MAGIC {
            found.0.push(Hierarchy::v2(CUSTOMARY.to_string()));
            return Ok(Some(found));
        }
        for controller in wanted {
            if found.v1(controller).is_some() {
                continue;
            }
            let together = TOGETHER.iter().filter(|names| names.parts(b',').any(|name| name == *controller));
            let mut there = false;
            for names in together.chain([controller]) {
                let mount = format!("{CUSTOMARY}/{names}");
                if magic(&mount)? == CGROUP1_MAGIC {
                    let controllers = names.parts(b',').map(ToString::to_string).collect();
                    found.0.push(Hierarchy { version: Version::V1, mount, controllers });
                    there = true;
                    break;
                }
            }
            if !there {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// Asks v2, if there is one, which controllers it offers.
    fn ask_v2(&mut self) -> Result<()> {
        for hierarchy in self.0.iter_mut().filter(|hierarchy| hierarchy.version == Version::V2) {
            let offered = read_if_there(file::path(format!("{}/cgroup.controllers", hierarchy.mount))?)?;
            hierarchy.controllers = offered.words().map(ToString::to_string).collect();
        }
        Ok(())
    }

    /// The hierarchies in the text of `/proc/self/mountinfo`; what v2 offers is not in it.
    fn parse(mountinfo: &str) -> Hierarchies {
        let mounts: Vec<Mount<'_>> = mountinfo.parts(b'\n').filter_map(Mount::parse).collect();
        let mut found: Vec<(bool, Hierarchy)> = Vec::new();
        for mount in mounts.iter().filter(|mount| !mounts.iter().any(|other| other.covers(mount))) {
            let point = unescape(mount.point);
            let hierarchy = match mount.kind {
                "cgroup2" => Hierarchy::v2(point),
                "cgroup" => {
                    let bound = mount.options.parts(b',').filter(|option| CONTROLLERS.contains(option));
                    let controllers: Vec<String> = bound.map(ToString::to_string).collect();
                    if controllers.is_empty() {
                        continue;
                    }
                    Hierarchy { version: Version::V1, mount: point, controllers }
                }
                _ => continue,
            };
            // A hierarchy may be mounted in several places, as a part of it is for a container: the whole one goes first.
            let whole = mount.root == "/";
            let same = |(_, other): &&mut (bool, Hierarchy)| {
                other.version == hierarchy.version && other.controllers == hierarchy.controllers
            };
            match found.iter_mut().find(same) {
                Some(known) if whole && !known.0 => *known = (whole, hierarchy),
                Some(_) => {}
                None => found.push((whole, hierarchy)),
            }
        }
        Hierarchies(found.into_iter().map(|(_, hierarchy)| hierarchy).collect())
    }

    /// For tests of the planner.
    #[cfg(test)]
    pub(super) fn of(list: &[(Version, &str, &[&str])]) -> Hierarchies {
        Hierarchies(
            list.iter()
                .map(|(version, mount, controllers)| Hierarchy {
                    version: *version,
                    mount: (*mount).to_string(),
                    controllers: controllers.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        )
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.0.iter()
    }

    /// Whether the host has none at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The v1 hierarchy that a controller is bound to.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.version == Version::V1 && hierarchy.has(controller))
    }

    /// The v2 hierarchy.
    #[must_use]
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }

    /// Whether there is a way to keep devices from a group: v1's controller, or v2 with its BPF programs.
    #[must_use]
    pub fn can_filter_devices(&self) -> bool {
        self.v1("devices").is_some() || self.v2().is_some()
    }
}

impl Hierarchy {
    fn v2(mount: String) -> Hierarchy {
        Hierarchy { version: Version::V2, mount, controllers: Vec::new() }
    }

    /// Whether it has a controller.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|has| has == controller)
    }
}

/// The fields of a line of mountinfo that are of use here.
struct Mount<'a> {
    id: &'a str,
    parent: &'a str,
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu`, `proc_pid_mountinfo(5)`.
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let mut fields = line.parts(b' ');
        let (id, parent, _device) = (fields.next()?, fields.next()?, fields.next()?);
        let (root, point) = (fields.next()?, fields.next()?);
        // Optional ones end with this.
        fields.find(|field| *field == "-")?;
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mount { id, parent, root, point, kind, options })
    }

    /// Whether this mount hides `other`: it lies on it, or next to it on the same mount and nearer to the root.
    fn covers(&self, other: &Mount<'_>) -> bool {
        (self.parent == other.id && self.point == other.point)
            || (self.parent == other.parent
                && other.point.strip_prefix(self.point).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Mount points are written with octal escapes for space, tab, newline and backslash, `proc_pid_mountinfo(5)`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.parts(b'\\');
    plain.push_str(parts.next().unwrap_or(""));
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                plain.push(byte as char);
                plain.push_str(&part[3..]);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Longest file that is read here; a host with ten thousand mounts has about 2 MiB of mountinfo.
const LIMIT: usize = 16 << 20;

/// The kind of file system at a path; 0 if nothing is there.
fn magic(path: &str) -> Result<usize> {
    Ok(file::filesystem_at(file::path(path)?).unwrap_or(0))
}

fn read_if_there(path: &CStr) -> Result<String> {
    match file::read_file(CWD, path, LIMIT) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.is(Errno::ENOENT) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
25 30 0:22 / /proc rw,nosuid - proc proc rw
26 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw
30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 26 0:26 / /sys/fs/cgroup ro,nosuid shared:8 - tmpfs tmpfs ro,mode=755
32 31 0:28 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,release_agent=/lib/systemd/agent,name=systemd
36 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw shared:13 - cgroup cgroup rw,cpu,cpuacct
37 31 0:33 / /sys/fs/cgroup/memory rw shared:14 - cgroup cgroup rw,memory
";

    #[test]
    fn a_v1_host_has_the_controllers_where_they_are_mounted_and_no_named_hierarchy() {
        let found = Hierarchies::parse(V1);
        assert_eq!(found.iter().count(), 2);
        assert_eq!(found.v1("cpuacct").unwrap().mount, "/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(found.v1("cpu"), found.v1("cpuacct"));
        assert_eq!(found.v1("memory").unwrap().mount, "/sys/fs/cgroup/memory");
        assert_eq!(found.v1("pids"), None);
        assert_eq!(found.v2(), None);
    }

    #[test]
    fn a_v2_host_has_one_hierarchy() {
        let found = Hierarchies::parse(
            "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
        );
        assert_eq!(found.iter().count(), 1);
        assert_eq!(found.v2().unwrap().mount, "/sys/fs/cgroup");
    }

    #[test]
    fn a_hybrid_host_has_both() {
        let text = [V1, "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"].concat();
        let found = Hierarchies::parse(&text);
        assert_eq!(found.v2().unwrap().mount, "/sys/fs/cgroup/unified");
        assert!(found.v1("memory").is_some());
    }

    #[test]
    fn a_host_without_control_groups_has_none() {
        assert!(
            Hierarchies::parse("30 1 8:1 / / rw - ext4 /dev/sda1 rw\n25 30 0:22 / /proc rw - proc proc rw\n").is_none()
        );
        assert!(Hierarchies::parse("").is_none());
    }

    #[test]
    fn a_mount_that_is_covered_is_not_used() {
        let empty = [V1, "50 31 0:60 / /sys/fs/cgroup rw - tmpfs none rw\n"].concat();
        assert!(Hierarchies::parse(&empty).is_none());
        let over_one = [V1, "50 37 0:60 / /sys/fs/cgroup/memory rw - tmpfs none rw\n"].concat();
        assert_eq!(Hierarchies::parse(&over_one).v1("memory"), None);
    }

    #[test]
    fn the_mount_of_a_whole_hierarchy_goes_before_that_of_a_part() {
        let text = ["60 30 0:33 /docker/x /other\\040place rw - cgroup cgroup rw,memory\n", V1].concat();
        assert_eq!(Hierarchies::parse(&text).v1("memory").unwrap().mount, "/sys/fs/cgroup/memory");
        let only = Hierarchies::parse("60 30 0:33 /docker/x /other\\040place rw - cgroup cgroup rw,memory\n");
        assert_eq!(only.v1("memory").unwrap().mount, "/other place");
    }

    #[test]
    fn what_is_looked_for_alone_is_found_where_all_is() {
        let all = Hierarchies::detect().unwrap();
        let limits = Limits { memory: Some(1), cpu_shares: Some(2), ..Limits::default() };
        let some = Hierarchies::detect_for(&limits, Extent::Accounted).unwrap();
        for controller in wanted(&limits, Extent::Accounted) {
            assert_eq!(some.v1(controller), all.v1(controller), "{controller}");
        }
        assert!(all.v1("freezer").is_some() || some.v2() == all.v2());
    }

    #[test]
    fn this_host_is_understood() {
        let found = Hierarchies::detect().unwrap();
        let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup");
        assert_eq!(!found.is_none(), mounted);
    }
}
