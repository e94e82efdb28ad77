//! `--volume`, `--mount`, `--tmpfs`, `--device`.

use alloc::string::String;
use alloc::vec::Vec;

use super::{NAME, size, target};
use crate::base::error::Result;
use crate::base::text;
use crate::cli::flags::Id;
use crate::cli::parse::Given;

mod long;

/// How mount events travel between the host and the container, `mount_namespaces(7)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all, here and below: the default.
    #[default]
    RPrivate,
    /// Not at all, here.
    Private,
    /// Into the container, here and below.
    RSlave,
    /// Into the container, here.
    Slave,
    /// Both ways, here and below.
    RShared,
    /// Both ways, here.
    Shared,
}

/// The propagations under the names of mount options.
const PROPAGATIONS: [(&str, Propagation); 6] = [
    ("rprivate", Propagation::RPrivate),
    ("private", Propagation::Private),
    ("rslave", Propagation::RSlave),
    ("slave", Propagation::Slave),
    ("rshared", Propagation::RShared),
    ("shared", Propagation::Shared),
];

impl Propagation {
    /// The name as a mount option: `rprivate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        PROPAGATIONS[self as usize].0
    }

    fn parse(name: &str) -> Option<Propagation> {
        PROPAGATIONS.iter().find(|(known, _)| *known == name).map(|&(_, propagation)| propagation)
    }
}

/// What an in-memory file system is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path of the host.
    Bind {
        /// The path; relative if it starts with a dot.
        path: String,
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
        name: String,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where in the container: an absolute, clean path and not the root.
    pub target: String,
    /// Nothing can be written.
    pub read_only: bool,
}

/// A device node of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// The node's path on the host.
    pub host: &'a str,
    /// Its path in the container.
    pub container: String,
    /// What is allowed: letters of `rwm`.
    pub access: &'a str,
}

/// Everything mounted, and devices.
#[derive(Debug, Default)]
pub struct Mounts<'a> {
    /// All mounts in the order given; no two have the same target.
    pub mounts: Vec<Mount>,
    /// `--device`.
    pub devices: Vec<Device<'a>>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
}

impl<'a> Mounts<'a> {
    /// Takes a flag in; false if it belongs elsewhere.
    pub(super) fn set(&mut self, given: &Given<'a>) -> Result<bool> {
        let mount = match given.flag.id {
            Id::Volume => volume(given)?,
            Id::Mount => long::mount(given)?,
            Id::Tmpfs => tmpfs(given)?,
            Id::Device => {
                self.devices.push(device(given)?);
                return Ok(true);
            }
            Id::ShmSize => {
                self.shm_size = Some(size(given, 1)?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if self.mounts.iter().any(|earlier| earlier.target == mount.target) {
            return Err(given.refuse("another mount has this target", "one mount for each target"));
        }
        self.mounts.push(mount);
        Ok(true)
    }
}

const VOLUME: &str = "[SOURCE:]TARGET[:OPTIONS]: SOURCE a path that starts with / or ., or a volume's name; TARGET absolute and \
                      not /; OPTIONS of ro rw nocopy bind rbind private rprivate slave rslave shared rshared z Z";

/// `[SOURCE:]TARGET[:OPTIONS]`.
fn volume(given: &Given<'_>) -> Result<Mount> {
    let mut parts = given.text()?.split(':');
    let (source, place, options) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(place), None, ..) => (None, place, ""),
        (source, Some(place), None, _) => (source, place, ""),
        // An empty third part is a slip, not the absence of options.
        (source, Some(place), Some(options), None) if !options.is_empty() => (source, place, options),
        _ => return Err(given.refuse("too many or empty parts", VOLUME)),
    };
    let target = given.check(target(place), "the target must be absolute and not /", VOLUME)?;
    let source = match source {
        None => Source::Anonymous { copy: true },
        Some(path) if path.starts_with(['/', '.']) => {
            Source::Bind { path: path.into(), create: true, recursive: true, propagation: Propagation::default() }
        }
        Some(name) if text::is_name(name) => Source::Volume { name: name.into(), copy: true },
        Some(_) => return Err(given.refuse("the source is neither a path nor a volume's name", VOLUME)),
    };
    let mut mount = Mount { source, target, read_only: false };
    let mut seen = 0;
    for option in options.split(',').filter(|_| !options.is_empty()) {
        let kind = volume_option(&mut mount, option);
        let kind = given.check(kind, "an option is unknown or not for this kind of source", VOLUME)?;
        given.check((seen & kind == 0).then_some(()), "two options contradict each other", VOLUME)?;
        seen |= kind;
    }
    Ok(mount)
}

/// Applies one option; gives a bit for what it was about, of which there may be only one.
fn volume_option(mount: &mut Mount, option: &str) -> Option<u8> {
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
            *propagation = Propagation::parse(option)?;
            16
        }
        _ => return None,
    })
}

const TMPFS: &str = "TARGET[:OPTIONS]: TARGET absolute and not /; OPTIONS of ro rw exec noexec suid nosuid dev nodev size=64m \
                     mode=1777 uid=N gid=N nr_inodes=N";

/// `TARGET[:OPTIONS]`. What docker forbids by default stays forbidden: programs, set-user-ID and devices.
fn tmpfs(given: &Given<'_>) -> Result<Mount> {
    let (place, options) = given.text()?.split_once(':').unwrap_or((given.text()?, "rw"));
    let target = given.check(target(place), "the target must be absolute and not /", TMPFS)?;
    let mut fs = Tmpfs::default();
    let mut read_only = false;
    for option in options.split(',') {
        given.check(tmpfs_option(&mut fs, &mut read_only, option), "an option is unknown or malformed", TMPFS)?;
    }
    Ok(Mount { source: Source::Tmpfs(fs), target, read_only })
}

/// Applies one option; `None` if it won't do.
fn tmpfs_option(fs: &mut Tmpfs, read_only: &mut bool, option: &str) -> Option<()> {
    let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
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
fn device<'a>(given: &Given<'a>) -> Result<Device<'a>> {
    let form =
        "HOST[:CONTAINER[:ACCESS]]: absolute paths, and letters of rwm, such as /dev/fuse or /dev/sda:/dev/xvda:r";
    let parts: Vec<&str> = given.text()?.split(':').collect();
    let (host, container, access) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, access] if is_access(access) => (host, host, access),
        [host, container] => (host, container, "rwm"),
        [host, container, access] => (host, container, access),
        _ => return Err(given.refuse("too many parts", form)),
    };
    given.check(host.starts_with('/').then_some(()), "the host's path is not absolute", form)?;
    let container = given.check(target(container), "the container's path is not absolute", form)?;
    given.check(is_access(access).then_some(Device { host, container, access }), "the access is not of rwm", form)
}

/// Letters of `rwm`, each at most once.
pub(super) fn is_access(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().enumerate().all(|(at, byte)| b"rwm".contains(&byte) && !text[..at].contains(char::from(byte)))
}
