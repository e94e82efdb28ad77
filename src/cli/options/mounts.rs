//! `--volume`, `--mount`, `--tmpfs`, `--device`.

use super::{Read, RunOptions, target};
use crate::base::json::record::names;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;

mod long;

names! {
    /// How mount events travel between the host and the container, `mount_namespaces(7)`, under the names of mount options.
    pub enum Propagation {
        /// Not at all, here and below: the default.
        #[default]
        RPrivate = "rprivate",
        /// Not at all, here.
        Private = "private",
        /// Into the container, here and below.
        RSlave = "rslave",
        /// Into the container, here.
        Slave = "slave",
        /// Both ways, here and below.
        RShared = "rshared",
        /// Both ways, here.
        Shared = "shared",
    }
}

/// What an in-memory file system is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tmpfs {
    /// At most this many bytes; the kernel's default is half of memory.
    pub size: Option<u64>,
    /// The root directory's mode.
    pub mode: Option<u32>,
    /// The root directory's owner.
    pub uid: Option<u32>,
    /// The root directory's group.
    pub gid: Option<u32>,
    /// At most this many files.
    pub inodes: Option<u64>,
    /// Programs can be executed.
    pub exec: bool,
    /// Set-user-ID bits count.
    pub suid: bool,
    /// Device nodes work.
    pub dev: bool,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A path of the host.
    Bind {
        /// The path; relative if it starts with a dot.
        path: &'a str,
        /// A missing path is made a directory (`--volume`) rather than an error (`--mount`).
        create: bool,
        /// Mounts below the path come along.
        recursive: bool,
        /// How mount events travel.
        propagation: Propagation,
    },
    /// A volume with a name.
    Volume {
        /// The name.
        name: &'a str,
        /// An empty volume is filled with what the image has at the target.
        copy: bool,
    },
    /// A new volume without a name.
    Anonymous {
        /// It is filled with what the image has at the target.
        copy: bool,
    },
    /// An empty file system in memory.
    Tmpfs(Tmpfs),
}

/// One mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// What is mounted.
    pub source: Source<'a>,
    /// Where in the container: an absolute, clean path and not the root.
    pub target: &'static str,
    /// Nothing can be written.
    pub read_only: bool,
}

/// A device node of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The node's path on the host.
    pub host: &'a str,
    /// Its path in the container.
    pub container: &'static str,
    /// What is allowed: letters of `rwm`.
    pub access: &'a str,
}

/// Why a value is refused for which something else is accepted: a volume's name.
pub(super) const NO_NAME: Phrase = phrase!("the source is not a volume's name");
/// Likewise: one mount for each target.
pub(super) const TAKEN: Phrase = phrase!("another mount has this target");

impl<'a> RunOptions<'a> {
    /// Takes `--volume`, `--mount` or `--tmpfs` in.
    #[inline(never)]
    pub(super) fn mount(&mut self, id: Id, text: &'a str) -> Read<&'a str> {
        let mount = match id {
            Id::Volume => volume(text),
            Id::Mount => long::mount(text),
            _ => tmpfs(text),
        }?;
        if self.mounts.iter().any(|earlier| earlier.target == mount.target) {
            return Err(TAKEN);
        }
        self.mounts.push(mount);
        Ok(text)
    }
}

const NO_TARGET: Phrase = phrase!("the target must be absolute and not /");

/// `[SOURCE:]TARGET[:OPTIONS]`.
fn volume(text: &str) -> Read<Mount<'_>> {
    let mut parts = text.parts(b':');
    let (source, place, options) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(place), None, ..) => (None, place, ""),
        (source, Some(place), None, _) => (source, place, ""),
        // An empty third part is a slip, not the absence of options.
        (source, Some(place), Some(options), None) if !options.is_empty() => (source, place, options),
        _ => return Err(phrase!("too many or empty parts")),
    };
    let target = target(place).ok_or(NO_TARGET)?;
    let source = match source {
        None => Source::Anonymous { copy: true },
        Some(path) if path.starts_with(['/', '.']) => {
            Source::Bind { path, create: true, recursive: true, propagation: Propagation::default() }
        }
        Some(name) if text::is_name(name) => Source::Volume { name, copy: true },
        Some(_) => return Err(phrase!("the source is neither a path nor a volume's name")),
    };
    let mut mount = Mount { source, target, read_only: false };
    let mut seen = 0;
    for option in options.parts(b',').filter(|_| !options.is_empty()) {
        let Some(kind) = volume_option(&mut mount, option) else {
            return Err(phrase!("an option is unknown or not for this kind of source"));
        };
        if seen & kind != 0 {
            return Err(phrase!("two options contradict each other"));
        }
        seen |= kind;
    }
    Ok(mount)
}

/// Applies one option; gives a bit for what it was about, of which there may be only one.
fn volume_option(mount: &mut Mount<'_>, option: &str) -> Option<u8> {
    Some(match (option, &mut mount.source) {
        ("ro" | "rw", _) => {
            mount.read_only = option == "ro";
            1
        }
        // vial sets no SELinux labels on processes, so that there is nothing that files must be labelled to match.
        ("z" | "Z", _) => 2,
        ("nocopy", Source::Volume { copy, .. } | Source::Anonymous { copy }) => {
            *copy = false;
            4
        }
        ("bind" | "rbind", Source::Bind { recursive, .. }) => {
            *recursive = option == "rbind";
            8
        }
        (_, Source::Bind { propagation, .. }) => {
            *propagation = Propagation::named(option)?;
            16
        }
        _ => return None,
    })
}

/// `TARGET[:OPTIONS]`. What docker forbids by default stays forbidden: programs, set-user-ID and devices.
fn tmpfs(text: &str) -> Read<Mount<'_>> {
    let (place, options) = text.cut(b':').unwrap_or((text, "rw"));
    let target = target(place).ok_or(NO_TARGET)?;
    let mut fs = Tmpfs::default();
    let mut read_only = false;
    for option in options.parts(b',') {
        let (name, value) = option.cut(b'=').map_or((option, None), |(name, value)| (name, Some(value)));
        tmpfs_option(&mut fs, &mut read_only, name, value).ok_or(phrase!("an option is unknown or malformed"))?;
    }
    Ok(Mount { source: Source::Tmpfs(fs), target, read_only })
}

/// Applies one option; `None` if it won't do.
#[inline(never)]
fn tmpfs_option(fs: &mut Tmpfs, read_only: &mut bool, name: &str, value: Option<&str>) -> Option<()> {
    match (name, value) {
        ("ro" | "rw", None) => *read_only = name == "ro",
        ("exec" | "noexec", None) => fs.exec = name == "exec",
        ("suid" | "nosuid", None) => fs.suid = name == "suid",
        ("dev" | "nodev", None) => fs.dev = name == "dev",
        ("size", Some(value)) => fs.size = Some(text::size(value).filter(|&bytes| bytes > 0)?),
        ("mode", Some(value)) => fs.mode = Some(text::octal_mode(value)?),
        ("uid", Some(value)) => fs.uid = Some(text::uid(value)?),
        ("gid", Some(value)) => fs.gid = Some(text::uid(value)?),
        ("nr_inodes", Some(value)) => fs.inodes = Some(text::size(value)?),
        _ => return None,
    }
    Some(())
}

/// `HOST[:CONTAINER[:ACCESS]]` or `HOST:ACCESS`.
#[inline(never)]
pub(in crate::cli) fn device(text: &str) -> Read<Device<'_>> {
    let mut parts = text.parts(b':');
    let host = parts.next().unwrap_or_default();
    let (container, access) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => (host, "rwm"),
        (Some(access), None, _) if is_access(access) => (host, access),
        (Some(container), None, _) => (container, "rwm"),
        (Some(container), Some(access), None) => (container, access),
        _ => return Err(phrase!("too many parts")),
    };
    if !host.starts_with('/') {
        return Err(phrase!("the host's path is not absolute"));
    }
    let container = target(container).ok_or(phrase!("the container's path is not absolute"))?;
    if is_access(access) { Ok(Device { host, container, access }) } else { Err(phrase!("the access is not of rwm")) }
}

/// Letters of `rwm`, each at most once.
pub(super) fn is_access(text: &str) -> bool {
    let count = |letter| text.bytes().filter(|&byte| byte == letter).count();
    !text.is_empty() && text.bytes().all(|letter| b"rwm".contains(&letter) && count(letter) == 1)
}
