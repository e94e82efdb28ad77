//! Actions that need nothing but themselves.

use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::container::paths::{device, make_working_directory};
use crate::container::plan::{self, Action};
use crate::kernel::netlink::{Datagram, Socket, link};
use crate::kernel::{loopdev, mounts};
use crate::sys::fd::CWD;
use crate::sys::users::is_confined;
use crate::sys::{file, mount, process, procfs, security};

/// Does one.
///
/// # Errors
/// What the kernel refuses; an action that needs more.
#[inline(never)]
pub(super) fn act(action: &Action) -> Result<()> {
    match *action {
        Action::Private => mounts::make_private(),
        Action::Image { file } => loopdev::mount_image(file, plan::MOUNTED, plan::NODE),
        Action::Overlay { target, data, volatile, owner: (0, 0) } => overlay(target, data, volatile),
        Action::Overlay { target, data, volatile, owner: (uid, gid) } => {
            // The overlay keeps the rights of whoever mounts it, and makes files as that one.
            security::own_files_as(uid, gid)?;
            overlay(target, data, volatile)?;
            security::own_files_as(0, 0)
        }
        Action::BindRoot { source, target } => {
            mount::mount(Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)
        }
        Action::Filesystem { source, kind, target, flags, data } => {
            mounts::filesystem(source, kind, target, flags, data)
        }
        Action::Directory { path } => file::mkdir_if_missing(CWD, path, 0o755),
        Action::Device { path, mode, major, minor, owner } => device(path, mode, (major, minor), owner),
        Action::Link { target, path } => match file::symlink(target, CWD, path) {
            Err(error) if error.is(Errno::EEXIST) => Ok(()),
            result => result,
        },
        Action::MakeWorkingDirectory { path } => make_working_directory(path),
        Action::ReadOnly { path } => mounts::read_only(path),
        Action::Seal { path } => mounts::seal(path),
        Action::HostName { name } => process::sethostname(name),
        Action::DomainName { name } => process::setdomainname(name),
        Action::Loopback => {
            let mut datagram = Datagram::default();
            datagram.up(link::LOOPBACK);
            datagram.acknowledge();
            Socket::route()?.request(&mut datagram, phrase!("set the loopback interface up"))
        }
        Action::Sysctl { path, value } => sysctl(path, value).map_err(|error| {
            if error.is(Errno::ENOENT) {
                error.hint(phrase!("--sysctl: the kernel has no such parameter, or not in this namespace"))
            } else {
                error
            }
        }),
        Action::OomScore { value } => {
            file::write_value(CWD, c"/proc/self/oom_score_adj", join!("{}", value).as_bytes()).map_err(|error| {
                if error.is(Errno::EACCES) {
                    error.hint(phrase!("--oom-score-adj: a value below vial's own needs CAP_SYS_RESOURCE"))
                } else {
                    error
                }
            })
        }
        Action::Limit { name, resource, soft, hard } => {
            process::set_rlimit(resource, soft, hard).map_err(|error| limit_hint(error.errno(), name, resource))
        }
        _ => Err(Error::new(phrase!("the plan holds an action that needs an actor"))),
    }
}

/// Sets a kernel parameter, by its path in the kernel's own `/proc`.
fn sysctl(path: &str, value: &str) -> Result<()> {
    file::write_one_of_values(procfs::open(path)?.by_ref(), file::path(path)?, value.as_bytes())
}

/// Mounts the layers. Without `volatile` (Linux 5.10) the unmount waits until all that the host has written is on the disk,
/// whoever wrote it.
fn overlay(target: &CStr, data: &CStr, volatile: bool) -> Result<()> {
    let mount = |data: &CStr| mount::mount(Some(c"overlay"), target, Some(c"overlay"), 0, Some(data));
    if volatile {
        match mount(file::path([data.to_bytes(), b",volatile"].concat())?) {
            Err(error) if error.is(Errno::EINVAL) => {}
            result => return result.map_err(overlay_hint),
        }
    }
    mount(data).map_err(overlay_hint)
}

fn overlay_hint(error: Error) -> Error {
    match error.errno() {
        Errno::ENODEV => error
            .hint(phrase!("the kernel has no overlay file system (CONFIG_OVERLAY_FS); --storage copy does without")),
        Errno::EINVAL if is_confined() => error.hint(phrase!(
            "a normal user can't have what is mounted below it left out of a directory, such as the host's root: name one without, or run vial as root; or the store's file system can't hold an overlay (--storage copy, Linux 5.11)"
        )),
        Errno::EINVAL => error.hint(phrase!(
            "the store's file system can't hold an overlay; --root DIR puts it elsewhere, --storage copy does without"
        )),
        _ => error,
    }
}

fn limit_hint(errno: Errno, name: &str, resource: u32) -> Error {
    let error = Error::os(errno, phrase!("set the resource limit"), say!("{} (--ulimit)", name.to_ascii_lowercase()));
    match process::get_rlimit(resource) {
        Ok((_, hard)) if error.is(Errno::EPERM) => {
            error.hint(say!("vial's own hard limit is {}, and raising it needs CAP_SYS_RESOURCE", hard))
        }
        _ => error,
    }
}
