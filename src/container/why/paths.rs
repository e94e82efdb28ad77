//! Why a path was refused: its mount, what covers it, its owner and mode.

use alloc::boxed::Box;
use alloc::string::String;

use super::super::audit::path_of;
use super::super::launch;
use super::super::usage::read_proc;
use super::judge::Case;
use super::standing::Standing;
use super::{Finding, calls};
use crate::base::errno::Errno;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{Cut, unescape_octal};
use crate::kernel::security::caps;
use crate::kernel::security::filter::NATIVE;
use crate::sys::notify::Call;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, file};

/// `STATX_ATTR_IMMUTABLE` and `STATX_ATTR_APPEND`, statx(2).
const FIXED: u64 = 0x30;
/// `TMPFS_MAGIC`, `linux/magic.h`.
const TMPFS: usize = 0x0102_1994;
/// What a mode lets somebody do.
const READ: u16 = 4;
const WRITE: u16 = 2;
const EXECUTE: u16 = 1;

/// The mount that a path of a process lies on: its place, and its own options.
pub(super) fn mount_of(thread: u32, path: &str) -> Option<(String, String)> {
    let table = read_proc(join!("{}", thread), "mountinfo");
    let mut found: Option<(String, String)> = None;
    for line in table.parts(b'\n') {
        // proc_pid_mountinfo(5): ID, parent, device, root, mount point, options.
        let mut fields = line.parts(b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let point = unescape_octal(point);
        let longer = found.as_ref().is_none_or(|(known, _)| known.len() <= point.len());
        if longer && is_below(path, &point) {
            found = Some((point, options.into()));
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
pub(super) fn look(standing: &Standing, path: &str) -> Option<(Fd, Box<Statx>)> {
    let found = file::openat2(
        standing.root()?.by_ref(),
        &file::owned_path(path.as_bytes()).ok()?,
        libc::O_PATH,
        libc::RESOLVE_IN_ROOT,
    );
    let found = found.ok()?;
    let stat = file::stat(found.by_ref(), c"").ok()?;
    Some((found, stat))
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
    let executes = matches!(case.name(), "execve" | "execveat");
    if executes
        && let Some((point, options)) = mount_of(case.thread, path)
        && options.parts(b',').any(|one| one == "noexec")
    {
        return Some(Finding {
            line: "noexec",
            what: say!("no program below {} can be executed: that mount has noexec", point),
            change: say!("--tmpfs {}:exec, or a volume from a mount of the host's without noexec", point),
        });
    }
    by_mode(case, path, executes).or_else(|| by_owner(case, path)).or_else(|| by_rules(case, path))
}

fn masked(top: &'static str) -> Finding {
    Finding {
        line: "masked path",
        what: say!("{} is hidden from containers, since it tells about the host", top),
        change: say!("--security-opt unmask={}", top),
    }
}

/// Why nothing is there.
pub(super) fn below_masked(config: &Value, path: &str) -> Option<Finding> {
    listed(config, "maskedPaths", path).map(masked)
}

/// Why a file that was opened is empty.
pub(super) fn hidden(config: &Value, thread: u32, call: &Call) -> Option<Finding> {
    let name = super::judge::name(call);
    if call.architecture != NATIVE || !matches!(name, "open" | "openat" | "openat2") {
        return None;
    }
    listed(config, "maskedPaths", &calls::path(thread, name, call)?).map(masked)
}

/// Why a path can't be written to.
fn read_only(case: &Case<'_>, path: &str) -> Finding {
    let line = "read-only path";
    if let Some(top) = listed(case.config, "readonlyPaths", path) {
        let change = match path.strip_prefix("/proc/sys/") {
            Some(rest) => {
                say!("--sysctl {}=VALUE, for a setting that namespaces have of their own", rest.replace('/', "."))
            }
            None => "--security-opt systempaths=unconfined",
        };
        return Finding { line, what: say!("{} is read-only in containers", top), change };
    }
    let point = mount_of(case.thread, path).map_or_else(|| "/".into(), |mount| mount.0);
    let directory =
        path.cut_last(b'/').map_or("/", |(directory, _)| if directory.is_empty() { "/" } else { directory });
    if point == "/" {
        let own = case.config.at(&["root", "readonly"]).and_then(Value::as_bool) == Some(true);
        let what =
            if own { "the container's root is read-only (--read-only)" } else { "the container's root is read-only" };
        let passing = ["/tmp", "/run", "/var"].iter().any(|top| is_below(directory, top));
        let change = if passing {
            say!("--tmpfs {}, or a volume there", directory)
        } else {
            say!("a volume at {}, or without --read-only", directory)
        };
        return Finding { line, what, change };
    }
    let mounts = case.config.get("mounts").and_then(Value::as_array).unwrap_or_default();
    let is_own = mounts.iter().any(|mount| {
        mount.get("destination").and_then(Value::as_str) == Some(&point)
            && mount.get("source").and_then(Value::as_str).is_some_and(|source| source.starts_with('/'))
    });
    let change = if is_own {
        say!("the same volume without :ro, at {}", point)
    } else {
        "--privileged, which gives up other walls too"
    };
    Finding { line, what: say!("the mount at {} is read-only", point), change }
}

/// Why a device can't be opened.
fn device(case: &Case<'_>, path: &str) -> Option<Finding> {
    if !matches!(case.name(), "open" | "openat" | "openat2") {
        return None;
    }
    let (found, stat) = look(case.standing, path)?;
    let kind = u32::from(stat.mode) & libc::S_IFMT;
    if kind != libc::S_IFCHR && kind != libc::S_IFBLK {
        return None;
    }
    let flags = file::mount_flags(found.by_ref()).unwrap_or(0) as libc::c_ulong;
    if case.errno == Errno::EACCES && flags & libc::MS_NODEV != 0 {
        return Some(Finding {
            line: "nodev",
            what: say!("{} is a device, on a mount with nodev", path),
            change: say!("--device {}, which makes it below /dev", path),
        });
    }
    (case.errno == Errno::EPERM).then(|| Finding {
        line: "device rules",
        what: say!("the container's control group does not let it use the device {}", path),
        change: say!("--device {}", path),
    })
}

/// What a file's mode, or that of a directory on the way, does not let the process do.
fn by_mode(case: &Case<'_>, path: &str, executes: bool) -> Option<Finding> {
    if case.errno != Errno::EACCES {
        return None;
    }
    let mut ends: alloc::vec::Vec<usize> =
        path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at).collect();
    ends.push(path.len());
    for (place, &end) in ends.iter().enumerate() {
        let last = place + 1 == ends.len();
        let part = path.get(..end.max(1))?;
        let Some((_, stat)) = look(case.standing, part) else {
            // What is not there yet is made in the one before.
            return None;
        };
        let is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
        let wanted = match (last, is_directory) {
            (false, _) if place + 2 == ends.len() && case.changes_directory() => WRITE | EXECUTE,
            (false, _) => EXECUTE,
            (true, _) if executes => EXECUTE,
            (true, true) => EXECUTE,
            (true, false) => case.wanted(),
        };
        if let Some(finding) = by_bits(case.standing, part, &stat, wanted, executes && last) {
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
    let is_directory = u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
    // Who may use all files may execute those that somebody may, capabilities(7).
    let any = stat.mode & 0o111 != 0;
    if executes && !any {
        return Some(Finding {
            line: "no x",
            what: say!("{} is not executable", path),
            change: say!("chmod +x {}", path),
        });
    }
    let overrides = standing.has(1) && standing.inside(stat.uid).is_some();
    if (stat.mode >> shift) & wanted == wanted || overrides {
        return None;
    }
    let Some(owner) = standing.inside(stat.uid) else {
        return Some(foreign(path, is_directory));
    };
    let user = standing.inside(standing.user).unwrap_or(standing.user);
    let mode = text_mode(stat.mode);
    let what = say!("{} is of user {} with mode {}, and the process is user {}", path, owner, mode, user);
    if user == 0 {
        let lost = standing.bounding >> 1 & 1 == 0;
        let change = if lost { "--cap-add DAC_OVERRIDE" } else { "chmod or chown it" };
        return Some(Finding { line: "capability", what: say!("{}, without CAP_DAC_OVERRIDE", what), change });
    }
    Some(Finding { line: "permissions", what, change: say!("-u {}, or chown it to {}", owner, user) })
}

fn text_mode(mode: u16) -> &'static str {
    keep::text!("{:04o}", mode & 0o7777)
}

/// A file whose owner the container's user namespace has no number for.
fn foreign(path: &str, _: bool) -> Finding {
    Finding {
        line: "user namespace",
        what: say!("{} belongs to a user that the container's user namespace has no number for", path),
        change: "the volume with :idmap or :U, or --userns host",
    }
}

/// A file that only its owner, or nobody, may change so.
fn by_owner(case: &Case<'_>, path: &str) -> Option<Finding> {
    let (_, stat) = look(case.standing, path)?;
    if case.errno == Errno::EOVERFLOW || case.standing.is_mapped() && case.standing.inside(stat.uid).is_none() {
        return Some(foreign(path, false));
    }
    if case.errno == Errno::EPERM && stat.attributes & FIXED != 0 {
        return Some(Finding {
            line: "immutable file",
            what: say!("{} has an attribute that keeps it as it is, chattr(1)", path),
            change: say!("chattr -i -a {}, as root of the machine", path),
        });
    }
    None
}

/// What rules about files, or a security module, have to do with it.
fn by_rules(case: &Case<'_>, path: &str) -> Option<Finding> {
    if case.errno != Errno::EACCES {
        return None;
    }
    let annotation = |name| case.config.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    if !annotation(launch::LANDLOCK).is_empty() {
        return Some(Finding {
            line: "landlock",
            what: say!("{} is not among what --landlock lets it use so", path),
            change: say!("--landlock rw:{}", path),
        });
    }
    let label = read_proc(join!("{}", case.thread), "attr/current");
    let label = label.trim_matches(|letter: char| letter == '\0' || letter.is_ascii_whitespace());
    if label.is_empty() || label == "unconfined" || label == "kernel" {
        return None;
    }
    Some(Finding {
        line: "security module",
        what: say!("the kernel's security module confines it ({}), and no other line of defence explains this", label),
        change: "--security-opt apparmor=PROFILE or apparmor=unconfined; the kernel's log says what was refused",
    })
}

/// Why there is no room.
pub(super) fn full(case: &Case<'_>) -> Option<Finding> {
    let path = match case.path() {
        Some(path) => path,
        // An open file.
        None => path_of(case.thread, Some(case.call.arguments[0]), 0).or_else(|| {
            let link =
                file::owned_path(join!("/proc/{}/fd/{}", case.thread, case.call.arguments[0]).as_bytes()).ok()?;
            let link = file::readlink(crate::sys::fd::CWD, &link).ok()?;
            Some(String::from_utf8_lossy(link.to_bytes()).into_owned())
        })?,
    };
    let (point, _) = mount_of(case.thread, &path)?;
    let (found, _) = look(case.standing, &point)?;
    if file::filesystem(found.by_ref()).ok()? != TMPFS {
        return Some(Finding {
            line: "full file system",
            what: say!("there is no room left on the file system at {}", point),
            change: "make room on the host: `vial gc --images`, or --root DIR on another file system",
        });
    }
    let change = if point == "/dev/shm" { "a larger --shm-size" } else { say!("--tmpfs {}:size=SIZE, larger", point) };
    Some(Finding { line: "full file system", what: say!("the file system in memory at {} is full", point), change })
}

/// For a mode: what a call of open(2) asks for.
pub(super) fn wanted(flags: i32) -> u16 {
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => READ,
        libc::O_WRONLY => WRITE,
        _ => READ | WRITE,
    }
}

/// A capability's finding: see [`caps`].
pub(super) fn capable(number: u8) -> &'static str {
    caps::name(number).unwrap_or("?")
}
