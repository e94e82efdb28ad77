//! Control groups: limits, v1, v2 and hybrid hierarchies; cgroups(7), kernel `Documentation/admin-guide/cgroup-v1`, `cgroup-v2.rst`.
//!
//! [`Hierarchies::detect`] looks at what the host has mounted, [`plan`] turns limits into an ordered list of steps without entering
//! the kernel, and [`Group::create`] performs them. The container's first process then enters with
//! [`Group::join_self`].
//!
//! A group is made in those hierarchies only that its limits need and in one that can stop it, and joined in the one way that does not wait. Measured on
//! Linux 6.18 with nothing else going on, medians in microseconds:
//!
//! | step                                            | per hierarchy   |
//! |-------------------------------------------------|-----------------|
//! | mkdir                                           | 55 – 90         |
//! | write `0` to `tasks` (v1)                       | 70 – 110        |
//! | write `0` to `cgroup.procs` (v1 and v2)         | 12,000          |
//! | `clone3` with `CLONE_INTO_CGROUP` (v2)          | 50 above a fork |
//! | rmdir                                           | 50 – 80         |
//!
//! `cgroup.procs` may have to move other threads of the process, so the kernel shuts out every fork and exit of the whole
//! machine first, which takes an RCU grace period. A thread that moves only itself by `tasks` is exempt
//! (`cgroup_procs_write_start` in `kernel/cgroup/cgroup.c`), and so is a process that is born in its group.

mod alarm;
mod devices;
mod files;
mod freezer;
mod group;
mod hierarchies;
mod hints;
mod kill;
mod limits;
mod metrics;
mod path;
mod plan;
mod usage;
mod values;

pub use alarm::Alarm;
pub use group::Group;
pub use hierarchies::{Hierarchies, Hierarchy, Version};
pub use path::GroupPath;
pub use plan::{Action, Directory, Plan, Step, plan};
pub use usage::{Hits, Usage, sum};
