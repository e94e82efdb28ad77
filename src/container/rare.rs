//! Carrying out what few containers ask for; see [`crate::container::plan::Rare`].

use core::fmt::{self, Display, Formatter};

use super::act::Actor;
use super::plan::Rare;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::kernel::{mounts, users};
use crate::sys::fd::CWD;
use crate::sys::{because, file, process, sched};

/// Where the kernel shows the shares of caches and of memory bandwidth.
const SHARES: &str = "/sys/fs/resctrl";
/// `CLONE_NEWTIME` (Linux 5.6).
const TIME: i32 = 0x80;

impl Display for Rare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Rare::Users { path } => write!(f, "open the user namespace {}", path.to_string_lossy()),
            Rare::MapOwners { uids, gids, .. } => {
                let line = |text: &str| text.trim_ascii_end().replace('\n', ", ");
                write!(f, "have its owners mapped: users {}, groups {}", line(uids), line(gids))
            }
            Rare::Spread { target, .. } => write!(f, "set how {} propagates", target.to_string_lossy()),
            Rare::Device { path, major, minor, .. } => {
                write!(f, "make the device {} ({major}:{minor}) if it is missing", path.to_string_lossy())
            }
            Rare::Time { offsets } => {
                write!(f, "make a time namespace ({})", offsets.trim_ascii_end().replace('\n', ", "))
            }
            Rare::Caches { group, .. } => write!(f, "join {SHARES}/{group}"),
            Rare::Processors { list, .. } => write!(f, "run on the processors {list}"),
            Rare::Scheduler { policy, .. } => write!(f, "set the scheduler {policy}"),
            Rare::IoPriority { class, .. } => write!(f, "set the priority {class} of input and output"),
            Rare::Memory { mode, .. } => write!(f, "set the memory policy {mode}"),
            Rare::Personality { domain } => write!(f, "set the personality {domain}"),
        }
    }
}

/// Carries it out.
///
/// # Errors
/// What the kernel refuses, with what it lacks.
pub fn act(actor: &mut Actor<'_>, rare: &Rare) -> Result<()> {
    match *rare {
        Rare::Users { path } => {
            actor.users = Some(file::open(CWD, path, libc::O_RDONLY)?);
            Ok(())
        }
        Rare::MapOwners { slot, uids, gids, recursive } => {
            let namespace = users::make_inside(uids, gids)?;
            actor.map_owners(slot, namespace.by_ref(), recursive)
        }
        Rare::Spread { target, propagation, attributes } => mounts::spread(target, propagation, attributes),
        Rare::Device { path, mode, major, minor } => match file::mknod(CWD, path, mode, (major, minor)) {
            Err(error) if error.is(Errno::EEXIST) => Ok(()),
            Err(error) if error.is(Errno::ENOENT) => super::paths::device(path, mode, (major, minor), (0, 0)),
            result => result,
        },
        Rare::Time { offsets } => time(offsets),
        Rare::Caches { group, schemata, monitored } => caches(group, schemata, monitored),
        Rare::Processors { set, early, .. } => sched::sched_setaffinity(set).map_err(|error| {
            let member = if early { "process.execCPUAffinity.initial" } else { "process.execCPUAffinity.final" };
            error.option(member).hint(phrase!("none of these processors is there, or the container may use none of them"))
        }),
        Rare::Scheduler { attributes, .. } => sched::sched_setattr(attributes).map_err(|error| {
            let hint = match error.errno() {
                Errno::EPERM => phrase!(
                    "the kernel lets nobody have that here: it needs CAP_SYS_NICE, and with CONFIG_RT_GROUP_SCHED real-time processor time of the container's control group (linux.resources.cpu.realtimeRuntime)"
                ),
                Errno::EBUSY => phrase!("the processors have not so much time left"),
                _ => phrase!("the kernel has no such scheduler, or these values do not go together, sched_setattr(2)"),
            };
            error.option("process.scheduler").hint(hint)
        }),
        Rare::IoPriority { priority, .. } => sched::ioprio_set(priority).map_err(|error| {
            error.option("process.ioPriority").hint(phrase!("real time needs CAP_SYS_NICE or CAP_SYS_ADMIN; the kernel needs CONFIG_BLOCK"))
        }),
        Rare::Memory { number, nodes, any, .. } => {
            sched::set_mempolicy(number, nodes, any).map_err(|error| {
                let hint = match error.errno() {
                    Errno::ENOSYS => phrase!("the kernel has no memory policies (CONFIG_NUMA)"),
                    _ => phrase!(
                        "this kernel does not know the mode or the flags, they do not go together, or the container may use none of these nodes"
                    ),
                };
                error.option("linux.memoryPolicy").hint(hint)
            })
        }
        Rare::Personality { domain } => {
            sched::personality(domain).map_err(|error| error.option("linux.personality"))
        }
    }
}

/// Makes a time namespace and goes there. Its clocks can be set as long as nobody is in it.
fn time(offsets: &str) -> Result<()> {
    process::unshare(TIME).map_err(|error| {
        if error.is(Errno::EINVAL) {
            error.hint(phrase!("linux.namespaces: the kernel has no time namespaces (CONFIG_TIME_NS, Linux 5.6)"))
        } else {
            error
        }
    })?;
    if !offsets.is_empty() {
        let write = || file::write_value(CWD, c"/proc/self/timens_offsets", offsets.as_bytes());
        let mut set = write();
        if set.as_ref().is_err_and(|error| error.is(Errno::EACCES)) {
            // What is closed to tracing belongs to the host's root.
            sched::prctl_dumpable(true)?;
            set = write();
            sched::prctl_dumpable(false)?;
        }
        set.map_err(|error| {
            error.option("linux.timeOffsets").hint(phrase!(
                "no clock may become negative or greater than 146 years, and less than a second is counted in nanosecs"
            ))
        })?;
    }
    let own = file::open(CWD, c"/proc/self/ns/time_for_children", libc::O_RDONLY)?;
    process::setns(own.by_ref(), TIME)
}

/// Joins a group of shares, made if it is missing. What is forked stays in it.
fn caches(group: &str, schemata: &str, monitored: bool) -> Result<()> {
    let lacks = |error: Error| {
        error.option("linux.intelRdt").hint(phrase!(
            "/sys/fs/resctrl is not mounted: mount -t resctrl none /sys/fs/resctrl; the processor and the kernel must have it (CONFIG_X86_CPU_RESCTRL)"
        ))
    };
    file::stat(CWD, file::path(join!("{}/schemata", SHARES))?).map_err(lacks)?;
    let directory = join!("{}/{}", SHARES, group);
    file::mkdir_if_missing(CWD, file::path(directory)?, 0o755)?;
    let write = |name: &str, value: &str| {
        file::write_value(CWD, file::path(join!("{}/{}", directory, name))?, value.as_bytes()).map_err(|error| {
            let said =
                file::path(join!("{}/info/last_cmd_status", SHARES)).and_then(|path| file::read_file(CWD, path, 4096));
            let said = keep::lossy(said.unwrap_or_default().trim_ascii());
            error.option("linux.intelRdt").hint(said)
        })
    };
    for line in schemata.split_inclusive('\n') {
        write("schemata", line)?;
    }
    // 0 is whoever writes.
    write("tasks", "0")?;
    if monitored {
        let monitor = join!("mon_groups/{}", group);
        file::mkdir_if_missing(CWD, file::path(join!("{}/{}", directory, monitor))?, 0o755)?;
        write(join!("{}/tasks", monitor), "0")?;
    }
    Ok(())
}

/// Removes the group of shares of a container that no process is in any more. One that the specification names is not the
/// container's own: others may be in it.
///
/// # Errors
/// rmdir(2).
pub fn leave_caches(config: &Value, id: &str) -> Result<()> {
    let named = config.at(&["linux", "intelRdt", "closID"]).and_then(Value::as_str);
    if named != Some(id) {
        return Ok(());
    }
    let _why = because!("remove the container's group of shares of the processors' caches");
    match file::rmdir(CWD, file::path(join!("{}/{}", SHARES, id))?) {
        Err(error) if error.is(Errno::ENOENT) => Ok(()),
        result => result,
    }
}
