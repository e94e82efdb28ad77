//! Mount option strings, as mount(8) and the runtime specification have them, to flags.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::text::{Cut, Quoted, place};
use crate::sys::uapi;

/// What a list of option strings means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    /// `MS_*` to set.
    pub set: libc::c_ulong,
    /// `MS_*` that were explicitly switched off.
    pub cleared: libc::c_ulong,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, with `MS_REC`; 0 for none.
    pub propagation: libc::c_ulong,
    /// `MOUNT_ATTR_*` to set on the mount and on all below it.
    pub recursive: u64,
    /// `MOUNT_ATTR_*` to clear there.
    pub recursive_cleared: u64,
    /// Whether the content of the place is copied into the new tmpfs.
    pub copy_up: bool,
    /// Whether owners are shown as a user namespace has them.
    pub idmap: bool,
    /// Whether on all mounts below it too.
    pub idmap_all: bool,
    /// Whether all that is in it is given to the container's user first.
    pub owned: bool,
    /// What is left for the file system itself.
    pub data: Vec<String>,
}

impl Options {
    /// A bind mount, and nothing else.
    pub const BIND: &Options = &Options {
        set: libc::MS_BIND,
        cleared: 0,
        propagation: 0,
        recursive: 0,
        recursive_cleared: 0,
        copy_up: false,
        idmap: false,
        idmap_all: false,
        owned: false,
        data: Vec::new(),
    };
}

/// Not one of `MS_*` or `MOUNT_ATTR_*`: the option switches the others off.
const OFF: u32 = 1 << 31;
/// `MS_NOSYMFOLLOW` (Linux 5.10), `MS_POSIXACL`, `MS_I_VERSION`, `MS_LAZYTIME`; `linux/mount.h`.
const NO_LINKS: u32 = 1 << 8;
const ACL: u32 = 1 << 16;
const VERSION: u32 = 1 << 23;
pub(super) const LAZY: u32 = 1 << 25;

macro_rules! options {
    ($names:ident $bits:ident: $($name:literal $flags:expr;)*) => {
        const $names: &str = concat!($($name, " "),*);
        // No flag is beyond 32 bits.
        static $bits: &[u32] = &[$(($flags) as u32),*];
    };
}

// Options that set or clear flags, and from `private` on those that change how mounts propagate.
#[rustfmt::skip]
options! { FLAGS FLAG_BITS:
    "ro" libc::MS_RDONLY;              "rw" libc::MS_RDONLY as u32 | OFF;
    "nosuid" libc::MS_NOSUID;          "suid" libc::MS_NOSUID as u32 | OFF;
    "nodev" libc::MS_NODEV;            "dev" libc::MS_NODEV as u32 | OFF;
    "noexec" libc::MS_NOEXEC;          "exec" libc::MS_NOEXEC as u32 | OFF;
    "sync" libc::MS_SYNCHRONOUS;       "async" libc::MS_SYNCHRONOUS as u32 | OFF;
    "dirsync" libc::MS_DIRSYNC;
    "mand" libc::MS_MANDLOCK;          "nomand" libc::MS_MANDLOCK as u32 | OFF;
    "noatime" libc::MS_NOATIME;        "atime" libc::MS_NOATIME as u32 | OFF;
    "nodiratime" libc::MS_NODIRATIME;  "diratime" libc::MS_NODIRATIME as u32 | OFF;
    "relatime" libc::MS_RELATIME;      "norelatime" libc::MS_RELATIME as u32 | OFF;
    "strictatime" libc::MS_STRICTATIME; "nostrictatime" libc::MS_STRICTATIME as u32 | OFF;
    "nosymfollow" NO_LINKS;      "symfollow" NO_LINKS | OFF;
    "lazytime" LAZY;             "nolazytime" LAZY | OFF;
    "iversion" VERSION;          "noiversion" VERSION | OFF;
    "acl" ACL;                   "noacl" ACL | OFF;
    "silent" libc::MS_SILENT;          "loud" libc::MS_SILENT as u32 | OFF;
    "bind" libc::MS_BIND;              "rbind" libc::MS_BIND | libc::MS_REC;
    "remount" libc::MS_REMOUNT;        "defaults" 0;
    "private" libc::MS_PRIVATE;        "rprivate" libc::MS_PRIVATE | libc::MS_REC;
    "slave" libc::MS_SLAVE;            "rslave" libc::MS_SLAVE | libc::MS_REC;
    "shared" libc::MS_SHARED;          "rshared" libc::MS_SHARED | libc::MS_REC;
    "unbindable" libc::MS_UNBINDABLE;  "runbindable" libc::MS_UNBINDABLE | libc::MS_REC;
}

/// The flags of those that change how mounts propagate.
pub const PROPAGATION: libc::c_ulong = libc::MS_PRIVATE | libc::MS_SLAVE | libc::MS_SHARED | libc::MS_UNBINDABLE;

// Options that hold for a whole tree of mounts (Linux 5.12).
#[rustfmt::skip]
options! { RECURSIVE RECURSIVE_BITS:
    "rro" uapi::MOUNT_ATTR_RDONLY;            "rrw" uapi::MOUNT_ATTR_RDONLY | OFF;
    "rnosuid" uapi::MOUNT_ATTR_NOSUID;        "rsuid" uapi::MOUNT_ATTR_NOSUID | OFF;
    "rnodev" uapi::MOUNT_ATTR_NODEV;          "rdev" uapi::MOUNT_ATTR_NODEV | OFF;
    "rnoexec" uapi::MOUNT_ATTR_NOEXEC;        "rexec" uapi::MOUNT_ATTR_NOEXEC | OFF;
    "rnodiratime" uapi::MOUNT_ATTR_NODIRATIME; "rdiratime" uapi::MOUNT_ATTR_NODIRATIME | OFF;
    "rnosymfollow" uapi::MOUNT_ATTR_NOSYMFOLLOW; "rsymfollow" uapi::MOUNT_ATTR_NOSYMFOLLOW | OFF;
    "rrelatime" uapi::MOUNT_ATTR__ATIME | OFF; "rnorelatime" uapi::MOUNT_ATTR__ATIME | OFF;
    "rnoatime" uapi::MOUNT_ATTR_NOATIME;      "ratime" uapi::MOUNT_ATTR__ATIME | OFF;
    "rstrictatime" uapi::MOUNT_ATTR_STRICTATIME; "rnostrictatime" uapi::MOUNT_ATTR__ATIME | OFF;
}

/// Options that are neither.
const OTHERS: &str = "tmpcopyup idmap ridmap ";

/// The names of all options, which `vial oci features` tells; whatever else a mount has is for its file system.
pub fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.words().chain(RECURSIVE.words()).chain(OTHERS.words())
}

/// Flags that a bind mount can have of its own, and the attributes that they are.
const PAIRS: [(u32, u32); 6] = [
    (libc::MS_RDONLY as u32, uapi::MOUNT_ATTR_RDONLY),
    (libc::MS_NOSUID as u32, uapi::MOUNT_ATTR_NOSUID),
    (libc::MS_NODEV as u32, uapi::MOUNT_ATTR_NODEV),
    (libc::MS_NOEXEC as u32, uapi::MOUNT_ATTR_NOEXEC),
    (libc::MS_NODIRATIME as u32, uapi::MOUNT_ATTR_NODIRATIME),
    (NO_LINKS, uapi::MOUNT_ATTR_NOSYMFOLLOW),
];

/// Flags that say how times of access are kept.
const TIMES: libc::c_ulong = libc::MS_NOATIME | libc::MS_STRICTATIME | libc::MS_RELATIME;

impl Options {
    /// Sorts option strings; what is not a generic option is the file system's. Of two that contradict the last counts.
    ///
    /// # Errors
    /// An option that can't be passed on because it holds a zero byte or a comma.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Options> {
        let mut parsed = Options::default();
        for option in options {
            parsed.add(option)?;
        }
        Ok(parsed)
    }

    #[inline(never)]
    fn add(&mut self, option: &str) -> Result<()> {
        if let Some(&bits) = place(FLAGS, option).and_then(|at| FLAG_BITS.get(at)) {
            let flags = libc::c_ulong::from(bits & !OFF);
            if flags & PROPAGATION != 0 {
                self.propagation = flags;
            } else if bits & OFF == 0 {
                (self.set, self.cleared) = (self.set | flags, self.cleared & !flags);
            } else {
                (self.set, self.cleared) = (self.set & !flags, self.cleared | flags);
            }
        } else if let Some(&bits) = place(RECURSIVE, option).and_then(|at| RECURSIVE_BITS.get(at)) {
            let attributes = u64::from(bits & !OFF);
            // How times of access are kept is one number: all of its bits are cleared to set one, mount_setattr(2).
            let time = u64::from(uapi::MOUNT_ATTR__ATIME);
            let group = if attributes & time == 0 { attributes } else { time };
            if bits & OFF == 0 {
                self.recursive = self.recursive & !group | attributes;
                self.recursive_cleared = self.recursive_cleared & !group | group & time;
            } else {
                (self.recursive, self.recursive_cleared) = (self.recursive & !group, self.recursive_cleared | group);
            }
        } else if let Some(at) = place(OTHERS, option).filter(|at| *at < 3) {
            self.copy_up |= at == 0;
            self.idmap |= at > 0;
            self.idmap_all |= at == 2;
        } else if option == "U" {
            self.owned = true;
        } else if option.bytes().any(|byte| matches!(byte, 0 | b',')) && !option.starts_with("context=\"") {
            return Err(Error::new(say!("invalid mount option {}: it holds a comma or a zero byte", Quoted(option))));
        } else if !option.is_empty() {
            self.data.push(option.into());
        }
        Ok(())
    }

    /// The attributes that the top mount gets and those that it loses, as `mount_setattr(2)` has them.
    #[must_use]
    pub fn attributes(&self) -> (u64, u64) {
        let (mut set, mut cleared) = (0, 0);
        for (flag, attribute) in PAIRS {
            set |= if self.set & libc::c_ulong::from(flag) == 0 { 0 } else { attribute };
            cleared |= if self.cleared & libc::c_ulong::from(flag) == 0 { 0 } else { attribute };
        }
        if (self.set | self.cleared) & TIMES != 0 {
            cleared |= uapi::MOUNT_ATTR__ATIME;
        }
        if self.set & libc::MS_NOATIME != 0 {
            set |= uapi::MOUNT_ATTR_NOATIME;
        } else if self.set & libc::MS_STRICTATIME != 0 {
            set |= uapi::MOUNT_ATTR_STRICTATIME;
        }
        (set.into(), cleared.into())
    }

    /// The flags that the attributes of all mounts of a tree are: to set, and to clear.
    #[must_use]
    pub fn recursive_flags(&self) -> (libc::c_ulong, libc::c_ulong) {
        let flags = |attributes: u64| {
            let chosen = PAIRS.iter().filter(|(_, attribute)| attributes & u64::from(*attribute) != 0);
            chosen.map(|(flag, _)| libc::c_ulong::from(*flag)).sum::<libc::c_ulong>()
        };
        let (mut set, mut cleared) = (flags(self.recursive), flags(self.recursive_cleared));
        let time = |attribute: u32| self.recursive & u64::from(uapi::MOUNT_ATTR__ATIME) == u64::from(attribute);
        if self.recursive_cleared & u64::from(uapi::MOUNT_ATTR__ATIME) != 0 {
            cleared |= TIMES;
            set |= if time(uapi::MOUNT_ATTR_NOATIME) {
                libc::MS_NOATIME
            } else if time(uapi::MOUNT_ATTR_STRICTATIME) {
                libc::MS_STRICTATIME
            } else {
                libc::MS_RELATIME
            };
        }
        (set, cleared)
    }

    /// Whether this is a bind mount.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.set & libc::MS_BIND != 0
    }

    /// The flags that a remount can change on a bind mount.
    #[must_use]
    pub fn per_mount(&self) -> libc::c_ulong {
        self.set & !(libc::MS_BIND | libc::MS_REC | libc::MS_SILENT)
    }

    /// Read-only, for the mount and all below it: what `:ro` means in vial.
    pub fn make_read_only(&mut self) {
        self.set |= libc::MS_RDONLY;
        self.recursive |= u64::from(uapi::MOUNT_ATTR_RDONLY);
        self.recursive_cleared &= !u64::from(uapi::MOUNT_ATTR_RDONLY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_options_become_flags_and_the_rest_goes_to_the_file_system() {
        let options =
            Options::parse(["nosuid", "noexec", "exec", "rbind", "rslave", "rro", "size=64k", "mode=700"]).unwrap();
        assert_eq!(options.set, libc::MS_NOSUID | libc::MS_BIND | libc::MS_REC);
        assert_eq!(options.cleared, libc::MS_NOEXEC);
        assert_eq!(options.propagation, libc::MS_SLAVE | libc::MS_REC);
        assert_eq!(options.recursive, u64::from(uapi::MOUNT_ATTR_RDONLY));
        assert_eq!(options.data, ["size=64k", "mode=700"]);
        assert!(options.is_bind());
        assert_eq!(options.per_mount(), libc::MS_NOSUID);
    }

    #[test]
    fn every_option_of_the_specification_is_known_once_and_has_its_flags() {
        let mut names: Vec<&str> = names().collect();
        assert_eq!((FLAGS.words().count(), RECURSIVE.words().count()), (FLAG_BITS.len(), RECURSIVE_BITS.len()));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!((names.len(), count), (64, 64));
        for name in names {
            let options = Options::parse([name]).unwrap();
            assert!(options.data.is_empty(), "{name}");
            assert!(name == "defaults" || options != Options::default(), "{name}");
        }
        let one = |option| Options::parse([option]).unwrap();
        assert_eq!(one("nosymfollow").set, 256);
        assert_eq!(one("lazytime").set, libc::MS_LAZYTIME);
        assert_eq!(one("iversion").set, libc::MS_I_VERSION);
        assert_eq!(one("strictatime").attributes(), (0x20, 0x70));
        assert_eq!(one("noatime").attributes(), (0x10, 0x70));
        assert_eq!(one("relatime").attributes(), (0, 0x70));
        assert_eq!(one("rw").attributes(), (0, 1));
        assert_eq!((one("ridmap").idmap, one("ridmap").idmap_all, one("idmap").idmap_all), (true, true, false));
    }

    #[test]
    fn of_options_that_contradict_each_other_the_last_counts() {
        let recursive = |options: &[&str]| {
            let options = Options::parse(options.iter().copied()).unwrap();
            (options.recursive, options.recursive_cleared)
        };
        assert_eq!(recursive(&["rro", "rrw"]), (0, 1));
        assert_eq!(recursive(&["rrw", "rro"]), (1, 0));
        assert_eq!(recursive(&["rnoatime", "rnosuid"]), (0x12, 0x70));
        assert_eq!(recursive(&["rnoatime", "rstrictatime"]), (0x20, 0x70));
        assert_eq!(recursive(&["rnoatime", "rrelatime"]), (0, 0x70));
        let tree = Options::parse(["rnoatime", "rro", "rexec"]).unwrap().recursive_flags();
        assert_eq!(tree.0, libc::MS_NOATIME | libc::MS_RDONLY);
        assert_eq!(tree.1, libc::MS_NOATIME | libc::MS_STRICTATIME | libc::MS_RELATIME | libc::MS_NOEXEC);
    }

    #[test]
    fn a_comma_inside_an_option_is_refused_since_it_would_become_two() {
        assert!(Options::parse(["size=1k,mode=777"]).is_err());
    }
}
