//! Users and groups as the container's own `/etc/passwd` and `/etc/group` have them; passwd(5), group(5).
//!
//! The files belong to the image and are hostile: they are opened without following the last link and without waiting (a
//! FIFO would hang the reader), must be regular, and are read up to a limit.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sort::sort;
use crate::base::text::{Cut, uid as number};
use crate::image::resolve;
use crate::sys::fd::{CWD, FdRef};
use crate::sys::file;

/// The most that is read of either file.
const LIMIT: usize = 4 << 20;

/// Who the workload is to be: `user[:group]`, numbers or names, as the user gave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Name or number of the user; empty for the specification's number.
    pub user: &'a str,
    /// Name or number of the group; empty for the user's own.
    pub group: &'a str,
    /// Names or numbers of further groups.
    pub further: &'a [&'a str],
}

/// Who the workload is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: &'static str,
}

/// Reads a file of the container's root, if it is there and is what it should be.
fn read(directory: FdRef<'_>, path: &CStr) -> Result<&'static str> {
    let mut flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    if weak!("passwd") {
        flags = libc::O_RDONLY;
    }
    let opened = match file::open(directory, path, flags) {
        Err(error) if error.is(Errno::ENOENT) || error.is(Errno::ENOTDIR) || error.is(Errno::ELOOP) => {
            return Ok("");
        }
        result => result?,
    };
    let stat = file::stat(opened.by_ref(), c"")?;
    if u32::from(stat.mode) & libc::S_IFMT != libc::S_IFREG && !weak!("passwd") {
        return Ok("");
    }
    let content = file::read_to_end(opened.by_ref(), LIMIT)
        .map_err(|error| error.hint(say!("it is the image's {}", path.to_string_lossy())))?;
    Ok(String::from_utf8_lossy(content.leak()).into_owned().leak())
}

/// Looks the wanted user up in the files of the current root.
///
/// # Errors
/// A name that the files lack.
pub fn resolve(wanted: &Wanted<'_>, default: (u32, u32)) -> Result<Identity> {
    let passwd = read(CWD, c"/etc/passwd")?;
    let group = read(CWD, c"/etc/group")?;
    find(wanted, default, passwd, group)
}

/// The same in a root that is not entered yet: nothing in it leads out.
///
/// # Errors
/// A name that the files lack.
pub fn resolve_in(root: FdRef<'_>, wanted: &Wanted<'_>, default: (u32, u32)) -> Result<Identity> {
    let Some(etc) = resolve::open(root, b"etc")? else { return find(wanted, default, "", "") };
    find(wanted, default, read(etc.by_ref(), c"passwd")?, read(etc.by_ref(), c"group")?)
}

/// A field of a line; empty if there is none.
#[inline(never)]
fn field(line: &str, place: usize) -> &str {
    line.parts(b':').nth(place).unwrap_or_default()
}

/// The first line of at least so many fields that fits.
#[inline(never)]
fn line<'a>(text: &'a str, fields: usize, fits: &dyn Fn(&'a str) -> bool) -> Option<&'a str> {
    text.parts(b'\n').find(|line| line.parts(b':').nth(fields - 1).is_some() && fits(line))
}

/// Looks the wanted user up in these texts.
///
/// # Errors
/// A name that they lack.
#[inline(never)]
pub fn find(wanted: &Wanted<'_>, default: (u32, u32), passwd: &'static str, group: &str) -> Result<Identity> {
    let user = wanted.user;
    let wanted_uid = if user.is_empty() { Some(default.0) } else { number(user) };
    // passwd(5): name, password, user, group, comment, home, shell. A name counts before a number.
    let mut entry = line(passwd, 6, &|line| !user.is_empty() && field(line, 0) == user);
    if entry.is_none() && wanted_uid.is_some() {
        entry = line(passwd, 6, &|line| number(field(line, 2)) == wanted_uid);
    }
    let uid = match (entry, wanted_uid) {
        (Some(line), _) => number(field(line, 2)).ok_or_else(|| broken("/etc/passwd", user))?,
        (None, Some(uid)) => uid,
        (None, None) => return Err(missing("user", user, "/etc/passwd", passwd)),
    };
    let entry = entry.unwrap_or("");
    let mut groups = Vec::new();
    let gid = if wanted.group.is_empty() {
        // group(5): name, password, group, members.
        for line in group.parts(b'\n') {
            if !entry.is_empty() && field(line, 3).parts(b',').any(|member| member == field(entry, 0)) {
                groups.extend(number(field(line, 2)));
            }
        }
        match entry {
            "" => default.1,
            // Root's group would be a surprise.
            _ => number(field(entry, 3)).ok_or_else(|| broken("/etc/passwd", field(entry, 0)))?,
        }
    } else {
        group_number(wanted.group, group)?
    };
    for further in wanted.further {
        groups.push(group_number(further, group)?);
    }
    sort(&mut groups, |one, other| one < other);
    groups.dedup();
    let home = match (field(entry, 5), uid) {
        ("", 0) => "/root",
        ("", _) => "/",
        (home, _) => home,
    };
    Ok(Identity { uid, gid, groups, home })
}

fn group_number(wanted: &str, group: &str) -> Result<u32> {
    match (line(group, 3, &|line| field(line, 0) == wanted), number(wanted)) {
        (Some(line), _) => number(field(line, 2)).ok_or_else(|| broken("/etc/group", wanted)),
        (None, Some(gid)) => Ok(gid),
        (None, None) => Err(missing("group", wanted, "/etc/group", group)),
    }
}

fn broken(file: &str, name: &str) -> Error {
    Error::new(say!("{} in the image gives {} an ID that is no number below 4294967295", file, name))
}

fn missing(what: &str, name: &str, file: &str, content: &str) -> Error {
    let known: Vec<&str> = content.parts(b'\n').filter_map(|line| line.parts(b':').next()).take(12).collect();
    let options = if what == "user" { "--user" } else { "the group of --user or --group-add" };
    Error::new(say!("no {} {} in the image", what, name)).hint(if known.is_empty() {
        say!("the image has no {}; {} takes a number", file, options)
    } else {
        say!("{} takes a number, or one of {}: {}", options, file, known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken line\nmail:x:8:8:mail:/var/mail:/bin/sh\n7:x:70:71::/seven:\n\
                          evil:x:4294967295:0::/:\nminus:x:-1:0::/:\n";
    const GROUP: &str = "root:x:0:\nmail:x:8:\nadm:x:4:mail,root\nvideo:x:44:mail\n";

    fn who(user: &str, group: &str, further: &[&str]) -> Result<Identity> {
        find(&Wanted { user, group, further }, (0, 0), PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers_are_looked_up_with_their_groups_and_home() {
        let mail = who("mail", "", &[]).unwrap();
        assert_eq!((mail.uid, mail.gid, &mail.groups[..], mail.home), (8, 8, &[4, 44][..], "/var/mail"));
        assert_eq!(who("8", "", &[]).unwrap(), mail);
        let root = who("", "", &["video", "99"]).unwrap();
        assert_eq!((root.uid, root.gid, &root.groups[..], root.home), (0, 0, &[4, 44, 99][..], "/root"));
        let chosen = who("mail", "adm", &[]).unwrap();
        assert_eq!((chosen.gid, &chosen.groups[..]), (4, &[][..]));
    }

    #[test]
    fn a_name_made_of_digits_counts_before_the_number() {
        assert_eq!(who("7", "", &[]).unwrap().uid, 70);
    }

    #[test]
    fn an_unknown_number_is_taken_as_it_is_and_lives_in_the_root_directory() {
        let unknown = who("1234", "", &[]).unwrap();
        assert_eq!((unknown.uid, unknown.gid, unknown.home), (1234, 0, "/"));
    }

    #[test]
    fn unknown_names_and_numbers_that_wrap_around_are_refused() {
        for user in ["nobody", "-1", "4294967295", "4294967296", "+0", " 0", "evil", "minus", "0x0"] {
            assert!(who(user, "", &[]).is_err(), "{user}");
            assert!(who("0", user, &[]).is_err(), "group {user}");
            assert!(who("0", "", &[user]).is_err(), "further {user}");
        }
    }
}
