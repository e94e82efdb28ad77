//! User namespaces: getting into one, maps of IDs, and which IDs a user may have in one.
//!
//! # Source
//! `user_namespaces(7)`, subuid(5), newuidmap(1).

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::phrase::Phrase;
use crate::base::text::{Cut, decimal_u32};
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::file::{self, Lock};
use crate::sys::ledger::Role;
use crate::sys::net;
use crate::sys::process::{self, Side};
use crate::sys::users::{entered, is_confined};

/// Moves this process to a user namespace of its own, whose maps are still empty.
///
/// # Errors
/// unshare(2), with why the kernel refuses and what to do about it.
pub fn unshare() -> Result<()> {
    process::unshare(libc::CLONE_NEWUSER).map_err(refused)?;
    entered();
    Ok(())
}

/// Moves this process to a process's user namespace, if that is still the process meant once its namespace is open: its number may
/// be another one's by then.
///
/// # Errors
/// open(2), setns(2); `ESRCH` for another process.
pub fn join(pid: u32, is_meant: &dyn Fn() -> Result<bool>) -> Result<()> {
    let mut namespace = file::open(CWD, file::path(join!("/proc/{}/ns/user", pid))?, libc::O_RDONLY)?;
    if !is_meant()? {
        return Err(Error::os(Errno::ESRCH, phrase!("join the user namespace of process"), pid));
    }
    // One in this process's own namespace is meant; a container may have a further one in it.
    let own = file::stat_follow(CWD, c"/proc/self/ns/user")?.ino;
    loop {
        let above = process::parent_namespace(namespace.by_ref())?;
        if file::stat(above.by_ref(), c"")?.ino == own {
            break;
        }
        namespace = above;
    }
    process::setns(namespace.by_ref(), libc::CLONE_NEWUSER)?;
    entered();
    Ok(())
}

/// The file of a store that tells which processes work on it in a user namespace: those have its first byte locked. Who has
/// the second locked looks for them, or becomes the first.
pub const PLACE: &CStr = c"users";

/// Waits until nobody else looks for a namespace to join, or makes one. This process's turn ends when what is returned goes.
///
/// # Errors
/// fcntl(2).
pub fn take_turn(place: FdRef<'_>) -> Result<Turn<'_>> {
    file::lock_byte(place, 1, Lock::Exclusive)?;
    Ok(Turn(place))
}

/// See [`take_turn`].
pub struct Turn<'a>(FdRef<'a>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It also ends with the process.
        let _ = file::unlock_byte(self.0, 1);
    }
}

/// A process that works on a store.
///
/// # Errors
/// fcntl(2).
pub fn who_stays(place: FdRef<'_>) -> Result<Option<u32>> {
    file::holder_of_byte(place, 0)
}

/// Tells others that this process works on a store, for as long as it lives and has the file open.
///
/// # Errors
/// fcntl(2).
pub fn stay(place: FdRef<'_>) -> Result<()> {
    file::lock_byte(place, 0, Lock::Shared)
}

/// The same for a process that begins its work in such a namespace already; any other does nothing.
pub fn stay_too(root: FdRef<'_>) {
    if is_confined()
        && let Ok(place) = file::open(root, PLACE, libc::O_RDWR)
    {
        let _ = stay(place.keep());
    }
}

/// Makes a user namespace with these maps and takes it in hand. Its first process has ended when this returns.
///
/// # Errors
/// clone(2), what the kernel refuses of the maps.
pub fn make(uids: &str, gids: &str) -> Result<Fd> {
    let (wait, go) = file::pipe()?;
    let pid = match process::clone(libc::CLONE_NEWUSER, Role::Helper).map_err(refused)? {
        Side::Parent(pid) => pid,
        Side::Child => {
            drop(go);
            // Nothing is ever said: it ends with the process that made it.
            let _ = file::read(wait.by_ref(), &mut [0]);
            process::exit(0);
        }
    };
    let made = map(pid, uids, gids);
    drop(go);
    process::wait(Some(pid), true)?;
    made
}

/// The same where the numbers of processes are not those that the host's `/proc` knows: in a PID namespace of the container's.
///
/// # Errors
/// As [`make`].
pub fn make_inside(uids: &str, gids: &str) -> Result<Fd> {
    let (here, there) = net::socket_pair()?;
    let pid = match process::clone(libc::CLONE_NEWUSER, Role::Helper).map_err(refused)? {
        Side::Parent(pid) => pid,
        Side::Child => {
            drop(here);
            let told = file::open(CWD, c"/proc/self", libc::O_PATH | libc::O_DIRECTORY)
                .and_then(|own| net::send(there.by_ref(), &[0], Some(own.by_ref())));
            if told.is_ok() {
                let _ = net::receive(there.by_ref(), &mut [0]);
            }
            process::exit(0);
        }
    };
    drop(there);
    let made = match net::receive(here.by_ref(), &mut [0]) {
        Ok((_, Some(directory))) => map_at(directory.by_ref(), "", uids, gids),
        Ok(_) => Err(Error::os(Errno::ESRCH, phrase!("find the process in"), "the user namespace")),
        Err(error) => Err(error),
    };
    drop(here);
    process::wait(Some(pid), true)?;
    made
}

/// Sets the maps of a process's user namespace, and opens it.
fn map(pid: u32, uids: &str, gids: &str) -> Result<Fd> {
    map_at(CWD, join!("/proc/{}/", pid), uids, gids)
}

fn map_at(directory: FdRef<'_>, before: &str, uids: &str, gids: &str) -> Result<Fd> {
    for (name, map) in [("uid_map", uids), ("gid_map", gids)] {
        let path = file::path(join!("{}{}", before, name))?;
        file::write_value(directory, path, map.as_bytes()).map_err(|error| {
            error.hint(phrase!(
                "ranges must not overlap, and must be of IDs that this user may have (/etc/subuid, /etc/subgid)"
            ))
        })?;
    }
    file::open(directory, file::path(join!("{}ns/user", before))?, libc::O_RDONLY)
}

/// What a file of `/proc/sys` says; 1 if there is none.
fn setting(path: &str) -> u32 {
    let text = file::path(path).and_then(|path| file::read_file(CWD, path, 64)).unwrap_or_default();
    core::str::from_utf8(&text).ok().and_then(|text| decimal_u32(text.trim_ascii())).unwrap_or(1)
}

/// Says why there can be no user namespace, each reason with its remedy.
#[cold]
#[must_use]
pub fn refused(error: Error) -> Error {
    let hint = match error.errno() {
        Errno::ENOSYS | Errno::EINVAL => {
            phrase!("the kernel has no user namespaces (CONFIG_USER_NS); run vial as root")
        }
        Errno::ENOSPC if setting("/proc/sys/user/max_user_namespaces") == 0 => {
            phrase!("the host allows no user namespaces; root changes that: sysctl user.max_user_namespaces=10000")
        }
        Errno::ENOSPC | Errno::EUSERS => {
            phrase!("there are too many user namespaces, or too many within each other; see user.max_user_namespaces")
        }
        _ if setting("/proc/sys/kernel/unprivileged_userns_clone") == 0 => {
            phrase!(
                "the host keeps user namespaces for root, who changes that: sysctl kernel.unprivileged_userns_clone=1"
            )
        }
        _ => phrase!(
            "something forbids user namespaces: a chroot, a sandbox's filter of system calls, or a security module; run vial as root"
        ),
    };
    error.hint(hint)
}

/// Says why the IDs of a new user namespace could not be set.
#[cold]
fn restricted(error: Error) -> Error {
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1
        && file::exists(CWD, c"/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    {
        return error.hint(phrase!(
            "AppArmor gives programs without a profile no rights in user namespaces; root changes that: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for vial that allows userns"
        ));
    }
    error
}

/// A line of a map: the first ID inside, the first outside, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first ID in the namespace.
    pub inside: u32,
    /// The first ID in the namespace above.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The ranges that a user may have besides the own ID, from the text of `/etc/subuid` or `/etc/subgid`: those of the name
/// and those of the number.
#[must_use]
pub fn subordinate(text: &str, name: &str, uid: u32) -> Vec<(u32, u32)> {
    let mut ranges = Vec::new();
    for line in text.parts(b'\n') {
        let mut fields = line.trim_ascii().parts(b':');
        let (Some(user), Some(first), Some(count)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let is_own = user == name && !name.is_empty() || decimal_u32(user) == Some(uid);
        if let (true, Some(first), Some(count @ 1..)) = (is_own, decimal_u32(first), decimal_u32(count))
            && first.checked_add(count).is_some()
        {
            ranges.push((first, count));
        }
    }
    ranges
}

/// The map of a normal user: root is the user, and the ranges follow one after the other.
#[must_use]
pub fn own_map(id: u32, ranges: &[(u32, u32)]) -> Vec<Range> {
    let mut map = alloc::vec![Range { inside: 0, outside: id, count: 1 }];
    let mut next = 1u32;
    for &(outside, count) in ranges {
        // The last ID is none: it means "no change" to the kernel.
        let count = count.min(u32::MAX - next);
        if count > 0 {
            map.push(Range { inside: next, outside, count });
            next += count;
        }
    }
    map
}

/// Sets this process's own map, of its own user and group only, which needs nobody's help. It can't change groups then.
///
/// # Errors
/// What the kernel refuses.
pub fn map_alone(uid: u32, gid: u32) -> Result<()> {
    let write = |path, text: &str| file::write_value(CWD, path, text.as_bytes()).map_err(restricted);
    write(c"/proc/self/setgroups", "deny")?;
    write(c"/proc/self/uid_map", join!("0 {} 1", uid))?;
    write(c"/proc/self/gid_map", join!("0 {} 1", gid))
}

/// Whether this process may not change its groups, since nobody with the right to has mapped them.
#[must_use]
pub fn keeps_groups() -> bool {
    file::read_file(CWD, c"/proc/self/setgroups", 16).is_ok_and(|text| text.starts_with(b"deny"))
}

/// Whether an ID has a place in a map of this process, `uid_map` or `gid_map`.
#[must_use]
pub fn has(map: &str, id: u32) -> bool {
    let Ok(path) = file::path(join!("/proc/self/{}", map)) else { return true };
    let Ok(text) = file::read_file(CWD, path, 1 << 16) else { return true };
    let text = alloc::string::String::from_utf8_lossy(&text).into_owned();
    text.parts(b'\n').any(|line| {
        let mut fields = line.words().map(decimal_u32);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Some(inside)), Some(_), Some(Some(count))) => id >= inside && id - inside < count,
            _ => false,
        }
    })
}

/// What to do about an ID that has no place.
pub const UNMAPPED: Phrase = phrase!(
    "that user or group has no place in the user namespace; a range of IDs gives it one: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, with newuidmap installed (package uidmap)"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ranges_are_those_of_the_name_and_of_the_number() {
        let text =
            "other:100000:65536\nme:165536:65536\n1000:300000:10\n\nme:x:1\nme:4294967295:2\nme:5:0\nme:7\n10000:1:1\n";
        assert_eq!(subordinate(text, "me", 1000), [(165_536, 65_536), (300_000, 10)]);
        assert_eq!(subordinate(text, "", 7), []);
        assert_eq!(subordinate(":1:2\n", "", 7), []);
    }

    #[test]
    fn in_a_users_own_map_root_is_the_user_and_the_ranges_follow() {
        let range = |inside, outside, count| Range { inside, outside, count };
        assert_eq!(own_map(1000, &[]), [range(0, 1000, 1)]);
        let expected = [range(0, 1000, 1), range(1, 100_000, 65_536), range(65_537, 300_000, 10)];
        assert_eq!(own_map(1000, &[(100_000, 65_536), (300_000, 10)]), expected);
        let huge = own_map(5, &[(1, u32::MAX - 1), (9, 9)]);
        assert_eq!(huge, [range(0, 5, 1), range(1, 1, u32::MAX - 1)]);
    }
}
