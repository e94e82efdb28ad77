//! The plan in words, for `--dry-run`.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use super::Action;
use crate::base::keep;

/// A path in words.
struct Path<'a>(&'a CStr);

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(keep::lossy(self.0.to_bytes()))
    }
}

/// Lines with commas between.
struct Lines<'a>(&'a str);

impl Display for Lines<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.trim_ascii_end().replace('\n', ", "))
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Join { path, .. } => write!(f, "join the namespace {}", Path(path)),
            Action::Enter { container, .. } => write!(f, "join the namespaces of process {}", container.pid),
            Action::Take { source, .. } => write!(f, "take {}", Path(source)),
            Action::Users { uids, gids } => {
                write!(f, "make a user namespace of users {} and groups {}", Lines(uids), Lines(gids))
            }
            Action::MapOwners { .. } => f.write_str("have its owners mapped"),
            Action::Own(_) => f.write_str("give all that is in them to the container's user"),
            Action::Place { target, .. } => write!(f, "put it at {}", Path(target)),
            Action::EnterUsers { .. } => f.write_str("clone a process that is root in the user namespace"),
            Action::EnterTree { .. } => f.write_str("pivot_root to it, unmount the host's root"),
            Action::Make { kind, .. } => write!(f, "make a file system {}", Path(kind)),
            Action::Private => f.write_str("make all mounts private"),
            Action::Image { file } => write!(f, "mount what is in {} on {}", Path(file), Path(super::MOUNTED)),
            Action::Overlay { target, data, .. } => write!(f, "mount overlay on {} ({})", Path(target), Path(data)),
            Action::BindRoot { source, .. } => write!(f, "use {} as the root", Path(source)),
            Action::EnterRoot { target, .. } => write!(f, "pivot_root to {}, unmount the host's root", Path(target)),
            Action::Hooks => f.write_str("run hooks, unmount the host's root"),
            Action::Filesystem { kind, target, data, .. } if data.is_empty() => {
                write!(f, "mount {} on {}", Path(kind), Path(target))
            }
            Action::Filesystem { kind, target, data, .. } => {
                write!(f, "mount {} on {} ({})", Path(kind), Path(target), Path(data))
            }
            Action::Fill { path, .. } => write!(f, "copy what is at {} to it", Path(path)),
            Action::Attach { target, options, .. } => {
                let read_only = if options.set & libc::MS_RDONLY != 0 { ", read-only" } else { "" };
                write!(f, "bind it to {}{read_only}", Path(target))
            }
            Action::Directory { path } => write!(f, "make the directory {}", Path(path)),
            Action::Device { path, major, minor, .. } => write!(f, "make the device {} ({major}:{minor})", Path(path)),
            Action::Link { target, path } => write!(f, "link {} to {}", Path(path), Path(target)),
            Action::Console { first: true } => f.write_str("make a pseudo-terminal and bind it to /dev/console"),
            Action::Console { first: false } => f.write_str("make a pseudo-terminal"),
            Action::Mask { path } => write!(f, "hide {}", Path(path)),
            Action::ReadOnly { path } | Action::Seal { path } => write!(f, "make {} read-only", Path(path)),
            Action::HostName { name } => write!(f, "set the host name {name}"),
            Action::DomainName { name } => write!(f, "set the domain name {name}"),
            Action::Loopback => f.write_str("set the loopback interface up"),
            Action::Sysctl { path, value } => write!(f, "write {value} to /proc/{path}"),
            Action::OomScore { value } => write!(f, "set the OOM score adjustment {value}"),
            Action::Limit { name, soft, hard, .. } => write!(f, "limit {name} to {soft} (hard: {hard})"),
            Action::Become { bounding, .. } => write!(f, "change user and groups; keep capabilities {bounding:#x}"),
            Action::NoNewPrivileges => f.write_str("set no_new_privs"),
            Action::AppArmor { profile, .. } => write!(f, "take the AppArmor profile {profile}"),
            Action::Rare(rare) => Display::fmt(rare, f),
            Action::Label { label, .. } => write!(f, "take the SELinux label {label}"),
            Action::Confine(what) => {
                if !what.landlock.is_empty() {
                    write!(f, "use files as these rules allow: {}", what.landlock)?;
                }
                let Some(filter) = what.filter else { return Ok(()) };
                let and = if what.landlock.is_empty() { "" } else { "; " };
                write!(f, "{and}set a seccomp filter of {} instructions", filter.program.len())
            }
            Action::MakeWorkingDirectory { path } => write!(f, "make {} if it is missing", Path(path)),
            Action::WorkingDirectory { path } => write!(f, "change directory to {}", Path(path)),
        }
    }
}
