//! Namespaces, and the names and addresses that live in them.

use super::{Read, RunOptions, conflict, find};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;

/// A new namespace of its own, which is meant without any flag too.
pub const PRIVATE: u8 = 1;
/// The host's.
pub const HOST: u8 = 2;
/// A new one that holds nothing: a network with loopback only, no `/dev/shm`.
pub const NONE: u8 = 4;
/// A new one that other containers may join.
pub const SHAREABLE: u8 = 8;
/// That of another container, by ID or name.
pub const CONTAINER: u8 = 16;
/// The one at a path such as `/proc/1/ns/net`.
pub const PATH: u8 = 32;

/// A new one that is connected by a program of that name, for normal users.
pub const USER: u8 = 64;
/// A new one that is on vial's networks.
pub const NETWORKED: u8 = 128;

/// Whose namespace a flag asks for: one of the above, none if it is no such mode; and the container, the path or the program.
#[must_use]
#[inline(never)]
pub fn mode(word: &str) -> (u8, &str) {
    let (kind, rest) = word.cut(b':').unwrap_or((word, ""));
    // The names of the modes, in the order of their bits.
    let place = text::place("private host none shareable container ns pasta slirp4netns", kind);
    let mode = place.map_or(u8::from(kind.is_empty()), |place| 1 << place.min(6));
    let fits = match mode {
        CONTAINER => text::is_name(rest),
        PATH => rest.starts_with('/'),
        _ => rest.is_empty(),
    };
    (if fits { mode } else { 0 }, if mode == USER { kind } else { rest })
}

/// What `--network` takes besides networks.
const MODES: u8 = NONE | HOST | CONTAINER | PATH | USER;

/// As [`mode`], for one flag: what is no mode of the network's is a network.
#[must_use]
pub(super) fn whose(id: Id, word: &str) -> (u8, &str) {
    match mode(word) {
        (mode, _) if id == Id::Network && mode & MODES == 0 => (NETWORKED, ""),
        mode => mode,
    }
}

/// Whether the flag takes this mode. Its help names what is accepted.
pub(super) fn is_allowed(id: Id, word: &str) -> bool {
    let allowed = match id {
        Id::Network => MODES,
        Id::Ipc => PRIVATE | SHAREABLE | NONE | HOST | CONTAINER,
        Id::CgroupNs => PRIVATE | HOST,
        _ => PRIVATE | HOST | CONTAINER,
    };
    mode(word).0 & allowed != 0 && !word.is_empty() && !word.ends_with(':')
}

/// The first ID inside, the first outside, and how many, of `INSIDE:OUTSIDE:COUNT`.
///
/// # Errors
/// Why it is none.
pub(in crate::cli) fn id_range(text: &str) -> Read<(u32, u32, u32)> {
    let mut parts = text.parts(b':').map(text::uid);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Some(inside)), Some(Some(outside)), Some(Some(count @ 1..)), None)
            if inside.checked_add(count).is_some() && outside.checked_add(count).is_some() =>
        {
            Ok((inside, outside, count))
        }
        _ => Err(phrase!("not a range of IDs")),
    }
}

/// The user and the group that the caller is to be inside, of `keep-id[:uid=UID,gid=GID]`; nothing for another mode.
#[inline(never)]
pub(in crate::cli) fn keep_id(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let rest = text.strip_prefix("keep-id")?;
    let mut ids = [None; 2];
    if !rest.is_empty() {
        for part in rest.strip_prefix(':')?.parts(b',') {
            let (name, id) = part.cut(b'=')?;
            ids[text::place("uid gid", name)?] = Some(text::uid(id)?);
        }
    }
    Some((ids[0], ids[1]))
}

impl<'a> RunOptions<'a> {
    /// Whose namespace one of the flags asks for, see [`mode`]; [`NETWORKED`] if the container is on networks.
    #[must_use]
    #[inline(never)]
    pub fn mode(&self, id: Id) -> (u8, &'a str) {
        let network = if id == Id::Network { self.network } else { "" };
        match self.parsed.text(id) {
            "" => whose(id, network),
            word => whose(id, word),
        }
    }

    /// Whether the namespace is one of these.
    #[must_use]
    #[inline(never)]
    pub fn is(&self, id: Id, modes: u8) -> bool {
        self.mode(id).0 & modes != 0
    }

    /// Refuses what would change a namespace that is not the container's own.
    #[inline(never)]
    pub(super) fn check_namespaces(&self) -> Result<()> {
        for given in &self.parsed.flags {
            let id = given.flag.id;
            let (space, name) = match id {
                Id::Hostname | Id::Domainname => (Id::Uts, "uts"),
                Id::ShmSize => (Id::Ipc, "ipc"),
                Id::Sysctl if !given.value.starts_with(b"net.") => (Id::Ipc, "ipc"),
                Id::AddHost if given.value.ends_with(GATEWAY.as_bytes()) => {
                    self.check_published(given.flag.long(), id)?;
                    continue;
                }
                Id::Publish | Id::PublishAll | Id::NetworkAlias | Id::Ip | Id::Ip6 | Id::MacAddress => {
                    self.check_published(given.flag.long(), id)?;
                    continue;
                }
                Id::AddHost | Id::Dns | Id::DnsSearch | Id::DnsOption | Id::Sysctl => (Id::Network, "network"),
                _ => continue,
            };
            let whose = match self.mode(space).0 {
                NONE if id == Id::ShmSize => "empty",
                CONTAINER => "another container's",
                // A container that joins another's network shares its files too; the host's network has no such files to share.
                HOST if space != Id::Network || id == Id::Sysctl => "the host's",
                PATH if id == Id::Sysctl => "not the container's own",
                _ => continue,
            };
            if id == Id::Sysctl {
                let why = say!("with --{} as given the namespace is {}", name, whose);
                return Err(given.refuse(why, phrase!("parameters of namespaces that are the container's own")));
            }
            return Err(conflict(
                given.flag.long(),
                name,
                say!("that namespace is {}", whose),
                phrase!("one of the two"),
            ));
        }
        Ok(())
    }
}

/// The address that the host has on the container's network.
pub const GATEWAY: &str = "host-gateway";

/// `NAME:IP` or `NAME=IP`; an IPv6 address may be in brackets.
///
/// # Errors
/// Why it is none.
#[inline(never)]
pub(in crate::cli) fn host_entry(entry: &str) -> Read<(&str, &str)> {
    let (name, address) = entry.cut(b'=').or_else(|| entry.cut(b':')).ok_or(phrase!("no address"))?;
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    if address == GATEWAY && text::is_hostname(name) {
        return Ok((name, address));
    }
    let known = text::is_address(bare) && (bare.len() == address.len() || bare.has(b':')) && text::is_hostname(name);
    if known { Ok((name, bare)) } else { Err(phrase!("not a name and an address")) }
}

/// The parameters that belong to a namespace and not to the machine, as docker's list.
pub(super) const SYSCTLS: &str = "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax \
                                  kernel.shmmni kernel.shm_rmid_forced";

/// `NAME=VALUE`, as a member of `sysctl`. A slash is refused, so that no name can climb out of `/proc/sys/net`.
#[inline(never)]
pub(super) fn sysctl<'a>(spec: &mut Value, text: &'a str) -> Read<&'a str> {
    let (name, value) = text.cut(b'=').ok_or(phrase!("no ="))?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let tail = name.strip_prefix("net.").or_else(|| name.strip_prefix("fs.mqueue."));
    let known = text::place(SYSCTLS, name).is_some()
        || (plain && tail.is_some_and(|tail| tail.parts(b'.').all(|part| !part.is_empty())));
    if !known {
        return Err(phrase!("not a parameter of a namespace"));
    }
    *find(spec, join!("linux sysctl {}", name)) = keep::copy(value).into();
    Ok(text)
}
