//! Which hierarchies of control groups the host has, and where they are mounted.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::errno::Errno;
use crate::base::error::Result;
use crate::base::keep;
use crate::base::text::{Cut, place, unescape_octal};
use crate::sys::{self, fd::CWD, file, users};

/// Where v2 is mounted by custom when it is alone.
const CUSTOMARY: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC` (`linux/magic.h`).
const CGROUP2_MAGIC: usize = 0x6367_7270;
/// The controllers of v1 by the names that mountinfo has for them, cgroups(7).
const CONTROLLERS: &str =
    "cpu cpuacct cpuset memory devices freezer blkio pids hugetlb net_cls net_prio perf_event rdma misc";

/// Which interface a hierarchy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One or several controllers, any number of such hierarchies.
    V1,
    /// The single unified hierarchy.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mount: &'static str,
    /// With commas between, v1: the controllers bound to it; v2: those that `cgroup.controllers` at the mount point offers.
    pub controllers: &'static str,
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
        let _why = sys::because(phrase!("find the host's control groups"));
        let mut found = if file::filesystem_at(file::path(CUSTOMARY)?) == Ok(CGROUP2_MAGIC) {
            Hierarchies(alloc::vec![Hierarchy { version: Version::V2, mount: CUSTOMARY, controllers: "" }])
        } else {
            Hierarchies::parse(&read_if_there("/proc/self/mountinfo")?)
        };
        if users::is_confined() {
            found.keep_delegated()?;
        }
        for hierarchy in &mut found.0 {
            if hierarchy.version == Version::V2 {
                let offered = read_if_there(join!("{}/cgroup.controllers", hierarchy.mount))?;
                hierarchy.controllers = keep::copy(&offered.trim_ascii().replace(' ', ","));
            }
        }
        Ok(found)
    }

    /// Keeps what a user may use who is not the host's root: of v2 what was delegated, `cgroup-v2.rst`, which takes the mount
    /// point's place. It begins with the topmost directory above this process's that is the user's. v1 delegates nothing.
    #[inline(never)]
    fn keep_delegated(&mut self) -> Result<()> {
        let own = read_if_there("/proc/self/cgroup")?;
        let own = own.parts(b'\n').find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        let mut kept = Vec::new();
        for hierarchy in self.0.iter().filter(|hierarchy| hierarchy.version == Version::V2) {
            let mut path = String::from(hierarchy.mount);
            for name in core::iter::once("").chain(own.parts(b'/').filter(|name| !name.is_empty())) {
                if !name.is_empty() {
                    path.push('/');
                    path.push_str(name);
                }
                // The user is root here, and who has no place here is nobody.
                let is_own = |file: &str| {
                    let stat = file::path(join!("{}/{}", path, file)).and_then(|path| file::stat(CWD, path));
                    stat.is_ok_and(|stat| stat.uid == 0)
                };
                if ["", "cgroup.procs", "cgroup.subtree_control"].iter().all(|file| is_own(file)) {
                    kept.push(Hierarchy { mount: path.leak(), ..*hierarchy });
                    break;
                }
            }
        }
        self.0 = kept;
        Ok(())
    }

    /// The hierarchies in the text of `/proc/self/mountinfo`; what v2 offers is not in it.
    #[must_use]
    pub fn parse(mountinfo: &str) -> Hierarchies {
        let mut mounts = Vec::new();
        for line in mountinfo.parts(b'\n') {
            if let Some(mount) = Mount::parse(line) {
                mounts.push(mount);
            }
        }
        let mut found = Hierarchies::default();
        // A hierarchy may be mounted in several places, as a part of it is for a container: the whole one goes first.
        for whole in [true, false] {
            for mount in mounts.iter().filter(|mount| (mount.0[ROOT] == "/") == whole) {
                found.add(mount, &mounts);
            }
        }
        found
    }

    #[inline(never)]
    fn add(&mut self, mount: &Mount<'_>, mounts: &[Mount<'_>]) {
        let mut bound = String::new();
        for option in mount.0[OPTIONS].parts(b',') {
            if place(CONTROLLERS, option).is_some() {
                bound.push_str(if bound.is_empty() { "" } else { "," });
                bound.push_str(option);
            }
        }
        let version = match mount.0[KIND] {
            "cgroup2" => Version::V2,
            "cgroup" if !bound.is_empty() => Version::V1,
            _ => return,
        };
        let is_known =
            |known: &Hierarchy| known.version == version && (version == Version::V2 || known.controllers == bound);
        if !mounts.iter().any(|other| other.covers(mount)) && !self.0.iter().any(is_known) {
            let controllers = if version == Version::V1 { bound.leak() } else { "" };
            self.0.push(Hierarchy { version, mount: unescape_octal(mount.0[POINT]).leak(), controllers });
        }
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
    #[inline(never)]
    pub fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.version == Version::V1 && hierarchy.has(controller))
    }

    /// The v2 hierarchy.
    #[must_use]
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }
}

/// A host of one's own making, say one that lacks some of what this one has.
impl FromIterator<Hierarchy> for Hierarchies {
    fn from_iter<T: IntoIterator<Item = Hierarchy>>(hierarchies: T) -> Hierarchies {
        Hierarchies(hierarchies.into_iter().collect())
    }
}

impl Hierarchy {
    /// Whether it has a controller.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.parts(b',').any(|has| has == controller)
    }
}

/// The fields of a line of mountinfo up to a lone dash, and those behind it. Optional ones before the dash are left out.
struct Mount<'a>([&'a str; 9]);

/// Places of the fields that are of use here.
const ID: usize = 0;
const PARENT: usize = 1;
const ROOT: usize = 3;
const POINT: usize = 4;
const DASH: usize = 5;
const KIND: usize = 6;
const OPTIONS: usize = 8;

impl<'a> Mount<'a> {
    /// `32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu`, `proc_pid_mountinfo(5)`.
    #[inline(never)]
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (mut fields, mut at) = ([""; 9], 0);
        for word in line.parts(b' ') {
            if at != DASH || word == "-" {
                *fields.get_mut(at)? = word;
                at += 1;
            }
        }
        (at == fields.len()).then_some(Mount(fields))
    }

    /// Whether this mount hides `other`: it lies on it, or next to it on the same mount and nearer to the root.
    #[inline(never)]
    fn covers(&self, other: &Mount<'_>) -> bool {
        let (mount, other) = (&self.0, &other.0);
        let behind = other[POINT].strip_prefix(mount[POINT]);
        (mount[PARENT] == other[ID] && behind == Some(""))
            || (mount[PARENT] == other[PARENT] && behind.is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Longest file that is read here; a host with ten thousand mounts has about 2 MiB of mountinfo.
const LIMIT: usize = 16 << 20;

fn read_if_there(path: &str) -> Result<String> {
    match file::read_file(CWD, file::path(path)?, LIMIT) {
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
    fn this_host_is_understood() {
        let found = Hierarchies::detect().unwrap();
        let mounted = std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - cgroup");
        assert_eq!(!found.is_none(), mounted);
    }
}
