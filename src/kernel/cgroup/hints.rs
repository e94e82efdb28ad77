//! What the kernel means by an error of a control group's file.

use crate::base::errno::Errno;
use crate::base::error::Error;
use crate::base::phrase::Phrase;
use crate::base::text::Cut;

macro_rules! hints {
    ($($files:literal $errno:ident $hint:literal;)*) => {
        const ERRNOS: &[Errno] = &[$(Errno::$errno),*];
        const FILES: &str = concat!($($files, "\n"),*);
        static HINTS: &[Phrase] = &[$(phrase!($hint)),*];
    };
}

// How the files' names begin, an error number, and what the two mean together. The first row that fits counts.
#[rustfmt::skip]
hints! {
    "memory.memsw memory.swap"   ENOENT "needs CONFIG_SWAP (before Linux 6.1 CONFIG_MEMCG_SWAP and swapaccount=1 on the kernel's command line)";
    "memory.memsw"               EINVAL "memory and swap together can't be below memory alone";
    "memory.kmem"                EOPNOTSUPP "limits on kernel memory are gone from Linux 5.16 on; it counts as memory";
    "memory.limit"               EINVAL "it can't be above the limit on memory and swap together";
    "memory.limit memory.memsw"  EBUSY  "more than that is in use and can't be freed";
    "memory.oom"                 EINVAL "not possible where memory.use_hierarchy of the group above is off";
    "cpu.cfs_burst cpu.max.burst" ENOENT "needs Linux 5.14 and CONFIG_CFS_BANDWIDTH";
    "cpu.cfs cpu.max"            ENOENT "needs CONFIG_CFS_BANDWIDTH";
    "cpu.cfs_burst"              EINVAL "the burst can't be above the quota";
    "cpu.cfs"                    EINVAL "a period is 1000 to 1000000 µs, a quota at least 1000, and no more than the group above has";
    "cpu.max"                    EINVAL "a period is 1000 to 1000000 µs, a quota at least 1000, and a burst not above the quota";
    "cpu.idle"                   ENOENT "needs Linux 5.15";
    "cpu.shares"                 EINVAL "an idle group has no shares";
    "cpu.weight"                 EINVAL "an idle group has no weight";
    "cpu.rt"                     ENOENT "needs CONFIG_RT_GROUP_SCHED";
    "cpu.rt"                     EINVAL "the groups above must have real-time processor time to share";
    "cpuset"                     EACCES "not all of them belong to the group above";
    "cpuset"                     ERANGE "there are not so many";
    "cpuset"                     EINVAL "write a list such as 0-2,4, of processors or nodes that are there";
    "blkio.throttle io.max"      ENOENT "needs CONFIG_BLK_DEV_THROTTLING";
    "blkio.leaf"                 ENOENT "went with the CFQ scheduler in Linux 5.0";
    "blkio.bfq"                  ENOENT "needs the BFQ scheduler with CONFIG_BFQ_GROUP_IOSCHED";
    "io.weight"                  ENOENT "needs CONFIG_BLK_CGROUP_IOCOST or the BFQ scheduler with CONFIG_BFQ_GROUP_IOSCHED";
    "blkio io."                  ENODEV "there is no such block device; give a whole disk, not a partition";
    "blkio io."                  EOPNOTSUPP "this device's scheduler has no weights";
    "hugetlb"                    ENOENT "this machine has no huge pages of that size";
    "net_prio"                   EINVAL "there is no such network interface here";
    "rdma"                       EINVAL "there is no such RDMA device here";
    "rdma"                       ENODEV "there is no such RDMA device here";
    "memory.current"             EBUSY  "linux.resources.memory.checkBeforeUpdate has the present limit stay then";
    "devices"                    EPERM  "the group above does not have that device; give another --cgroup-parent";
    "cgroup.subtree"             EBUSY  "processes live in that group itself, so cgroup v2 gives no controllers to those below; give another --cgroup-parent";
    "cgroup.subtree"             ENOENT "that group has not been given all these controllers; see cgroup.controllers in it";
    "cgroup.subtree"             EOPNOTSUPP "that group is threaded; give another --cgroup-parent";
    "cgroup.freeze"              ENOENT "needs Linux 5.2";
    ""                           ENOENT "this kernel has no such file";
    ""                           EROFS  "control groups are mounted read-only here; vial in a container wants that one to be run with --privileged";
}

/// Adds the hint to the error of a file, and the option that the file was written for, if any.
#[cold]
pub(super) fn hint(error: Error, file: &str, option: &str) -> Error {
    let mut hint = Phrase::EMPTY;
    for ((errno, files), &known) in ERRNOS.iter().zip(FILES.parts(b'\n')).zip(HINTS) {
        if error.is(*errno) && files.parts(b' ').any(|start| file.starts_with(start)) {
            hint = known;
            break;
        }
    }
    match (hint.is_empty(), option) {
        (true, "") => error,
        (true, _) => error.hint(say!("this is {}", option)),
        (false, "") => error.hint(hint),
        (false, _) => error.hint(join!("{}: {}", option, hint)),
    }
}

/// Adds the hint to the error of a group's directory.
#[cold]
pub(super) fn hint_directory(error: Error) -> Error {
    if error.is(Errno::EEXIST) {
        return error.hint(phrase!("a group of that name has processes in it"));
    }
    if error.is(Errno::EACCES) || error.is(Errno::EPERM) {
        return error
            .hint(phrase!("groups are made by root, or below one that was delegated to you (--cgroup-parent)"));
    }
    hint(error, "", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_first_row_that_fits_both_file_and_error_counts() {
        let said = |errno, file, option| hint(Error::os(errno, "write", "x"), file, option).to_string();
        assert!(
            said(Errno::ENOENT, "cpu.cfs_burst_us", "").ends_with("hint: needs Linux 5.14 and CONFIG_CFS_BANDWIDTH")
        );
        assert!(
            said(Errno::ENOENT, "cpu.cfs_quota_us", "--cpus").ends_with("hint: --cpus: needs CONFIG_CFS_BANDWIDTH")
        );
        assert!(said(Errno::EBUSY, "memory.memsw.limit_in_bytes", "").contains("more than that is in use"));
        assert!(said(Errno::ENOENT, "whatever", "").ends_with("this kernel has no such file"));
        assert!(said(Errno::EPERM, "whatever", "--x").ends_with("hint: this is --x"));
        assert!(!said(Errno::EPERM, "whatever", "").contains("hint"));
    }
}
