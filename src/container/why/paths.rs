//! Why a path was refused: its mount, what covers it, its owner and mode.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::launch;
use super::super::usage::read_proc;
use super::judge::Case;
use super::standing::Standing;
use super::{Finding, calls};
use crate::base::errno::Errno;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{Cut, is_among, unescape_octal};
use crate::sys::fd::CWD;
use crate::sys::file;
use crate::sys::notify::Call;
use crate::sys::uapi::Statx;

/// `STATX_ATTR_IMMUTABLE` and `STATX_ATTR_APPEND`, statx(2).
const FIXED: u64 = 0x30;
/// `TMPFS_MAGIC`, `linux/magic.h`.
const TMPFS: usize = 0x0102_1994;
/// What a mode lets somebody do.
const READ: u16 = 4;
const WRITE: u16 = 2;
const EXECUTE: u16 = 1;

/// The mount that a path of a process lies on: its place, and its own options.
pub(super) fn mount_of(thread: u32, path: &str) -> Option<(&'static str, &'static str)> {
    let table: &'static str = read_proc(join!("{}", thread), "mountinfo").leak();
    let mut found: Option<(&str, &str)> = None;
    for line in table.parts(b'\n') {
        // proc_pid_mountinfo(5): ID, parent, device, root, mount point, options.
        let mut fields = line.parts(b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let point = &*unescape_octal(point).leak();
        let longer = found.is_none_or(|(known, _)| known.len() <= point.len());
        if longer && is_below(path, point) {
            found = Some((point, options));
        }
    }
    found
}

/// Whether a path is another, or lies below it.
pub(super) fn is_below(path: &str, top: &str) -> bool {
    top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The one of a list of the specification's paths that a path is, or lies below.
fn listed(config: &Value, list: &str, path: &str) -> Option<&'static str> {
    let paths = config.at(&["linux", list])?.as_array()?;
    paths.iter().filter_map(Value::as_str).find(|top| is_below(path, top))
}

/// A file as a process finds it.
pub(super) struct Found {
    pub(super) stat: &'static Statx,
    /// The flags of its mount, and the kind of its file system.
    flags: libc::c_ulong,
    kind: usize,
}

/// Looks at a file as a process does.
pub(super) fn look(standing: &Standing, path: &str) -> Option<Found> {
    let root = standing.root()?;
    let path = file::owned_path(path.as_bytes()).ok()?;
    let found = file::openat2(root.by_ref(), &path, libc::O_PATH, libc::RESOLVE_IN_ROOT).ok()?;
    let found = found.by_ref();
    Some(Found {
        stat: Box::leak(file::stat(found, c"").ok()?),
        flags: file::mount_flags(found).unwrap_or(0) as libc::c_ulong,
        kind: file::filesystem(found).unwrap_or(0),
    })
}

/// What is in the way of a path.
pub(super) fn judge(case: &Case<'_>, path: &str) -> Option<Finding> {
    if let Some(top) = listed(case.config, "maskedPaths", path) {
        return Some(masked(top));
    }
    match case.errno {
        Errno::EROFS => return Some(read_only(case, path)),
        Errno::EACCES | Errno::EPERM | Errno::EOVERFLOW => {}
        _ => return None,
    }
    if let Some(finding) = device(case, path) {
        return Some(finding);
    }
    let executes = is_among("execve execveat", case.name());
    if executes
        && let Some((point, options)) = mount_of(case.thread, path)
        && options.parts(b',').any(|one| one == "noexec")
    {
        return Some(finding!(
            "noexec",
            "no program below {} can be executed: that mount has noexec"[point],
            "--tmpfs {}:exec, or a volume from a mount of the host's without noexec"[point]
        ));
    }
    by_mode(case, path, executes).or_else(|| by_owner(case, path)).or_else(|| by_rules(case, path))
}

fn masked(top: &str) -> Finding {
    finding!(
        "masked path",
        "{} is hidden from containers, since it tells about the host"[top],
        "--security-opt unmask={}"[top]
    )
}

/// Why a file that was opened is empty, or is not there.
pub(super) fn hidden(config: &Value, thread: u32, call: &Call) -> Option<Finding> {
    listed(config, "maskedPaths", calls::path(thread, super::judge::name(call), call)?).map(masked)
}

/// Why a path can't be written to.
fn read_only(case: &Case<'_>, path: &str) -> Finding {
    if let Some(top) = listed(case.config, "readonlyPaths", path) {
        let Some(rest) = path.strip_prefix("/proc/sys/") else {
            return finding!(
                "read-only path", "{} is read-only in containers" [top], "--security-opt systempaths=unconfined" []
            );
        };
        let name = rest.parts(b'/').collect::<Vec<&str>>().join(".");
        return finding!(
            "read-only path",
            "{} is read-only in containers"[top],
            "--sysctl {}=VALUE, for a setting that namespaces have of their own"[name]
        );
    }
    let point = mount_of(case.thread, path).map_or("/", |mount| mount.0);
    if point == "/" {
        let directory = path.cut_last(b'/').map_or("", |(directory, _)| directory);
        let passing = ["/tmp", "/run", "/var"].iter().any(|top| is_below(directory, top));
        return if passing {
            finding!("read-only path", "the container's root is read-only" [], "--tmpfs {}, or a volume there" [directory])
        } else {
            finding!(
                "read-only path", "the container's root is read-only" [], "a volume at {}, or without --read-only" [directory]
            )
        };
    }
    let mounts = case.config.get("mounts").and_then(Value::as_array).unwrap_or_default();
    let text = |mount: &Value, name| mount.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_own = |mount: &Value| text(mount, "destination") == point && text(mount, "source").starts_with('/');
    if mounts.iter().any(is_own) {
        finding!("read-only path", "the mount at {} is read-only"[point], "the same volume without :ro, at {}"[point])
    } else {
        finding!(
            "read-only path", "the mount at {} is read-only" [point], "--privileged, which gives up other walls too" []
        )
    }
}

/// Why a device can't be opened.
fn device(case: &Case<'_>, path: &str) -> Option<Finding> {
    if !is_among("open openat openat2", case.name()) {
        return None;
    }
    let found = look(case.standing, path)?;
    let kind = u32::from(found.stat.mode) & libc::S_IFMT;
    if kind != libc::S_IFCHR && kind != libc::S_IFBLK {
        return None;
    }
    if case.errno == Errno::EACCES && found.flags & libc::MS_NODEV != 0 {
        return Some(finding!(
            "nodev",
            "{} is a device, on a mount with nodev"[path],
            "--device {}, which makes it below /dev"[path]
        ));
    }
    (case.errno == Errno::EPERM).then(|| {
        finding!(
            "device rules",
            "the container's control group does not let it use the device {}"[path],
            "--device {}"[path]
        )
    })
}

/// What a file's mode, or that of a directory on the way, does not let the process do.
fn by_mode(case: &Case<'_>, path: &str, executes: bool) -> Option<Finding> {
    if case.errno != Errno::EACCES {
        return None;
    }
    let mut ends: Vec<usize> = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at).collect();
    ends.push(path.len());
    for (place, &end) in ends.iter().enumerate() {
        let last = place + 1 == ends.len();
        let part = path.get(..end.max(1))?;
        let Some(Found { stat, .. }) = look(case.standing, part) else {
            // What is not there yet is made in the one before.
            return None;
        };
        let is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
        let wanted = if place + 2 == ends.len() && case.changes_directory() {
            WRITE | EXECUTE
        } else if last && !is_directory && !executes {
            case.wanted()
        } else {
            EXECUTE
        };
        if let Some(finding) = by_bits(case.standing, part, stat, wanted, executes && last) {
            return Some(finding);
        }
    }
    None
}

fn by_bits(standing: &Standing, path: &str, stat: &Statx, wanted: u16, executes: bool) -> Option<Finding> {
    let shift = if stat.uid == standing.user {
        6
    } else if standing.is_in(stat.gid) {
        3
    } else {
        0
    };
    // Who may use all files may execute those that somebody may, capabilities(7).
    if executes && stat.mode & 0o111 == 0 {
        return Some(finding!("no x", "{} is not executable"[path], "chmod +x {}"[path]));
    }
    let overrides = standing.has(1) && standing.inside(stat.uid).is_some();
    if (stat.mode >> shift) & wanted == wanted || overrides {
        return None;
    }
    let Some(owner) = standing.inside(stat.uid) else { return Some(foreign(path)) };
    let (owner, user) = (join!("{}", owner), join!("{}", standing.inside(standing.user).unwrap_or(standing.user)));
    let mode = [9, 6, 3, 0].map(|shift| char::from(b'0' + (stat.mode >> shift & 7) as u8)).iter().collect::<String>();
    if user != "0" {
        return Some(finding!(
            "permissions",
            "{} is of user {} with mode {}, and the process is user {}" [path, owner, mode, user],
            "-u {}, or chown it to {}" [owner, user]
        ));
    }
    let change = if standing.bounding >> 1 & 1 == 0 { "--cap-add DAC_OVERRIDE" } else { "chmod or chown" };
    Some(finding!(
        "capability",
        "{} is of user {} with mode {}, and the container has no CAP_DAC_OVERRIDE" [path, owner, mode],
        "{}" [change]
    ))
}

/// A file whose owner the container's user namespace has no number for.
fn foreign(path: &str) -> Finding {
    finding!(
        "user namespace",
        "{} belongs to a user that the container's user namespace has no number for" [path],
        "the volume with :idmap or :U, or --userns host" []
    )
}

/// A file that only its owner, or nobody, may change so.
fn by_owner(case: &Case<'_>, path: &str) -> Option<Finding> {
    let stat = look(case.standing, path)?.stat;
    if case.errno == Errno::EOVERFLOW || case.standing.is_mapped() && case.standing.inside(stat.uid).is_none() {
        return Some(foreign(path));
    }
    (case.errno == Errno::EPERM && stat.attributes & FIXED != 0).then(|| {
        finding!(
            "immutable file",
            "{} has an attribute that keeps it as it is, chattr(1)"[path],
            "chattr -i -a {}, as root of the machine"[path]
        )
    })
}

/// What rules about files, or a security module, have to do with it.
fn by_rules(case: &Case<'_>, path: &str) -> Option<Finding> {
    if case.errno != Errno::EACCES {
        return None;
    }
    let annotation = |name| case.config.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    if !annotation(launch::LANDLOCK).is_empty() {
        return Some(finding!(
            "landlock",
            "{} is not among what --landlock lets it use so"[path],
            "--landlock rw:{}"[path]
        ));
    }
    let label = read_proc(join!("{}", case.thread), "attr/current");
    let label = label.parts(b'\0').next().unwrap_or_default().trim_ascii();
    if label.is_empty() || is_among("unconfined kernel", label) {
        return None;
    }
    Some(finding!(
        "security module",
        "the kernel's security module confines it ({}), and no other line of defence explains this" [label],
        "--security-opt apparmor=PROFILE or apparmor=unconfined; the kernel's log says what was refused" []
    ))
}

/// Why there is no room.
pub(super) fn full(case: &Case<'_>) -> Option<Finding> {
    let path = case.path().or_else(|| {
        // An open file.
        let link = file::owned_path(join!("/proc/{}/fd/{}", case.thread, case.call.arguments[0]).as_bytes()).ok()?;
        Some(keep::lossy(file::readlink(CWD, &link).ok()?.to_bytes()))
    })?;
    let (point, _) = mount_of(case.thread, path)?;
    Some(if look(case.standing, point)?.kind != TMPFS {
        finding!(
            "full file system",
            "there is no room left on the file system at {}" [point],
            "make room on the host: `vial gc --images`, or --root DIR on another file system" []
        )
    } else if point == "/dev/shm" {
        finding!("full file system", "the file system in memory at {} is full" [point], "a larger --shm-size" [])
    } else {
        finding!(
            "full file system",
            "the file system in memory at {} is full"[point],
            "--tmpfs {}:size=SIZE, larger"[point]
        )
    })
}

/// For a mode: what a call of open(2) asks for.
pub(super) fn wanted(flags: i32) -> u16 {
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => READ,
        libc::O_WRONLY => WRITE,
        _ => READ | WRITE,
    }
}
