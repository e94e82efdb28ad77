//! Mount option strings, as mount(8) and the runtime specification have them, to flags.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::error::{Error, Result};
use crate::base::text::Quoted;
use crate::sys::uapi;

/// What a list of option strings means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `MS_*` to set.
    pub set: libc::c_ulong,
    /// `MS_*` that were explicitly switched off.
    pub cleared: libc::c_ulong,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, with `MS_REC`; 0 for none.
    pub propagation: libc::c_ulong,
    /// `MOUNT_ATTR_*` to set on the mount and on all below it.
    pub recursive: u64,
    /// Whether the content of the place is copied into the new tmpfs.
    pub copy_up: bool,
    /// Whether owners are shown as the container's user namespace has them.
    pub idmap: bool,
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
        copy_up: false,
        idmap: false,
        data: Vec::new(),
    };
}

/// Options that set or clear one flag.
const FLAGS: &[(&str, libc::c_ulong, bool)] = &[
    ("ro", libc::MS_RDONLY, true),
    ("rw", libc::MS_RDONLY, false),
    ("nosuid", libc::MS_NOSUID, true),
    ("suid", libc::MS_NOSUID, false),
    ("nodev", libc::MS_NODEV, true),
    ("dev", libc::MS_NODEV, false),
    ("noexec", libc::MS_NOEXEC, true),
    ("exec", libc::MS_NOEXEC, false),
    ("sync", libc::MS_SYNCHRONOUS, true),
    ("async", libc::MS_SYNCHRONOUS, false),
    ("dirsync", libc::MS_DIRSYNC, true),
    ("mand", libc::MS_MANDLOCK, true),
    ("nomand", libc::MS_MANDLOCK, false),
    ("noatime", libc::MS_NOATIME, true),
    ("atime", libc::MS_NOATIME, false),
    ("nodiratime", libc::MS_NODIRATIME, true),
    ("diratime", libc::MS_NODIRATIME, false),
    ("relatime", libc::MS_RELATIME, true),
    ("norelatime", libc::MS_RELATIME, false),
    ("strictatime", libc::MS_STRICTATIME, true),
    ("nostrictatime", libc::MS_STRICTATIME, false),
    ("silent", libc::MS_SILENT, true),
    ("loud", libc::MS_SILENT, false),
    ("bind", libc::MS_BIND, true),
    ("rbind", libc::MS_BIND | libc::MS_REC, true),
    ("defaults", 0, true),
];

/// Options that change how mounts propagate.
const PROPAGATION: &[(&str, libc::c_ulong)] = &[
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("slave", libc::MS_SLAVE),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("shared", libc::MS_SHARED),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
    ("unbindable", libc::MS_UNBINDABLE),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
];

/// Options that hold for a whole tree of mounts.
const RECURSIVE: &[(&str, u32)] = &[
    ("rro", uapi::MOUNT_ATTR_RDONLY),
    ("rnosuid", uapi::MOUNT_ATTR_NOSUID),
    ("rnodev", uapi::MOUNT_ATTR_NODEV),
    ("rnoexec", uapi::MOUNT_ATTR_NOEXEC),
    ("rnoatime", uapi::MOUNT_ATTR_NOATIME),
];

impl Options {
    /// Sorts option strings; what is not a generic option is the file system's.
    ///
    /// # Errors
    /// An option that can't be passed on because it holds a zero byte or a comma.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Options> {
        let mut parsed = Options::default();
        for option in options {
            if let Some((_, flags, on)) = FLAGS.iter().find(|(name, ..)| *name == option) {
                parsed.set = if *on { parsed.set | flags } else { parsed.set & !flags };
                parsed.cleared = if *on { parsed.cleared & !flags } else { parsed.cleared | flags };
            } else if let Some((_, flags)) = PROPAGATION.iter().find(|(name, _)| *name == option) {
                parsed.propagation = *flags;
            } else if let Some((_, attribute)) = RECURSIVE.iter().find(|(name, _)| *name == option) {
                parsed.recursive |= u64::from(*attribute);
            } else if option == "tmpcopyup" {
                parsed.copy_up = true;
            } else if matches!(option, "idmap" | "ridmap") {
                parsed.idmap = true;
            } else if option.bytes().any(|byte| matches!(byte, 0 | b',')) {
                return Err(Error::new(say!(
                    "invalid mount option {}: it holds a comma or a zero byte",
                    Quoted(option)
                )));
            } else if !option.is_empty() {
                parsed.data.push(option.into());
            }
        }
        Ok(parsed)
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
    fn a_comma_inside_an_option_is_refused_since_it_would_become_two() {
        assert!(Options::parse(["size=1k,mode=777"]).is_err());
    }
}
