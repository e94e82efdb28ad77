//! `--volume`, `--mount`, `--tmpfs`, `--device`.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Read, RunOptions, target};
use crate::base::json::record::names;
use crate::base::keep::text;
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

/// Options of an empty file system in memory, as mount(8) has them. What docker forbids by
/// default is forbidden: programs, set-user-ID and devices.
pub const TMPFS: &[&str] = &["noexec", "nosuid", "nodev", "mode=1777"];

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
    /// An empty file system in memory with these options.
    Tmpfs(&'static [&'static str]),
}

/// One mount.
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that the user asked for or not")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// What is mounted.
    pub source: Source<'a>,
    /// Where in the container: an absolute, clean path and not the root.
    pub target: &'static str,
    /// Nothing can be written.
    pub read_only: bool,
    /// Owners are shown as the container's user namespace has them.
    pub idmap: bool,
    /// All that is in it is given to the container's user first.
    pub owned: bool,
    /// Its files are to get the container's label.
    pub labelled: bool,
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

const NO_TARGET: Phrase = phrase!("the target must be absolute and not / or /proc");

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
    let mut mount = Mount { source, target, read_only: false, idmap: false, owned: false, labelled: false };
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
    let place = text::place("rw ro bind rbind nocopy z Z idmap U", option);
    let odd = place.is_some_and(|place| place % 2 == 1);
    Some(match (place, &mut mount.source) {
        (Some(0 | 1), _) => {
            mount.read_only = odd;
            1
        }
        // Without a label there is nothing that files must be labelled to match.
        (Some(5 | 6), _) => {
            mount.labelled = true;
            2
        }
        (Some(8), _) => {
            mount.owned = true;
            64
        }
        (Some(7), Source::Bind { .. }) => {
            mount.idmap = true;
            32
        }
        (Some(4), Source::Volume { copy, .. } | Source::Anonymous { copy }) => {
            *copy = false;
            4
        }
        (Some(2 | 3), Source::Bind { recursive, .. }) => {
            *recursive = odd;
            8
        }
        (_, Source::Bind { propagation, .. }) => {
            *propagation = Propagation::named(option)?;
            16
        }
        _ => return None,
    })
}

/// `TARGET[:OPTIONS]`.
fn tmpfs(text: &str) -> Read<Mount<'_>> {
    let (place, options) = text.cut(b':').unwrap_or((text, "rw"));
    let target = target(place).ok_or(NO_TARGET)?;
    let mut all = TMPFS.to_vec();
    let mut read_only = false;
    for option in options.parts(b',') {
        match option.cut(b'=') {
            None if matches!(option, "ro" | "rw") => read_only = option == "ro",
            None => tmpfs_switch(&mut all, option).ok_or(UNKNOWN)?,
            Some((name, value)) => tmpfs_option(&mut all, name, value).ok_or(UNKNOWN)?,
        }
    }
    Ok(Mount { source: Source::Tmpfs(all.leak()), target, read_only, idmap: false, owned: false, labelled: false })
}

const UNKNOWN: Phrase = phrase!("an option is unknown or malformed");

/// Applies an option without a value; `None` if it won't do.
fn tmpfs_switch(options: &mut Vec<&'static str>, name: &str) -> Option<()> {
    const SWITCHES: &str = "exec noexec suid nosuid dev nodev ";
    let place = text::place(SWITCHES.trim_ascii_end(), name)?;
    // One that is off has its opposite behind it.
    let off = text::word(SWITCHES, place | 1);
    replace(options, off, if place & 1 == 1 { off } else { "" });
    Some(())
}

/// Puts an option in the place of that of the same name; none if it is empty.
#[inline(never)]
fn replace(options: &mut Vec<&'static str>, name: &str, new: &'static str) {
    options.retain(|option| option.cut(b'=').map_or(*option, |(name, _)| name) != name);
    if !new.is_empty() {
        options.push(new);
    }
}

/// Applies an option with its value; `None` if it won't do.
#[inline(never)]
fn tmpfs_option(options: &mut Vec<&'static str>, name: &str, value: &str) -> Option<()> {
    let number = match text::place("mode uid gid size nr_inodes", name)? {
        0 => text!("{:o}", text::octal_mode(value)?),
        1 | 2 => text::uid(value)?.to_string().leak(),
        place => text::size(value).filter(|&number| number > 0 || place > 3)?.to_string().leak(),
    };
    replace(options, name, join!("{}={}", name, number));
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
