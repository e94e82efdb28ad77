//! Landlock: a process gives up all files but those below some paths, for itself and for whatever it starts.
//!
//! # Source
//! landlock(7), `Documentation/userspace-api/landlock.rst`, `linux/landlock.h`.

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::sys::fd::CWD;
use crate::sys::{file, security};

/// What may be done to files: to execute, write, read and truncate them, and to control devices.
const OF_FILES: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15;
/// To execute and read files, and to list directories.
const READING: u64 = 1 | 1 << 2 | 1 << 3;
/// All that each version of the kernel's interface knows, from the first on; what a version adds nothing to is as before.
const KNOWN: [u64; 5] = [(1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1];

/// The rules of a list such as `ro:/usr,rw:/tmp`: whether there may be written, and below which path; `None` for what is no rule.
pub fn rules(list: &str) -> impl Iterator<Item = Option<(bool, &str)>> {
    list.parts(b',').map(|rule| match rule.cut(b':') {
        Some((mode @ ("ro" | "rw"), path)) if path.starts_with('/') => Some((mode == "rw", path)),
        _ => None,
    })
}

/// Gives up all files but those of a list of rules. Without `strict` also where the kernel does not know how to keep what may
/// only be read from being truncated.
///
/// # Errors
/// `ENOSYS` or `EOPNOTSUPP` on a kernel without it; a path that is not there; `EPERM` without `CAP_SYS_ADMIN` and `no_new_privs`.
pub fn restrict(list: &str, strict: bool) -> Result<()> {
    let missing = |error: Error| {
        match error.errno() {
        Errno::ENOSYS | Errno::EOPNOTSUPP => error.hint(phrase!(
            "the kernel has no Landlock, or has it turned off (CONFIG_SECURITY_LANDLOCK, lsm=landlock); --best-effort does without"
        )),
        _ => error,
    }
    };
    let version = security::landlock_version().map_err(missing)?;
    if version < 3 && strict {
        return Err(Error::os(Errno::EOPNOTSUPP, phrase!("keep files from being truncated by Landlock"), "")
            .hint(phrase!("that takes Linux 6.2; --best-effort does without")));
    }
    let known = KNOWN[version.clamp(1, KNOWN.len()) - 1];
    let ruleset = security::landlock_create_ruleset(known)?;
    for (writing, path) in rules(list).flatten() {
        let place = file::open(CWD, file::path(path)?, libc::O_PATH)?;
        let is_directory = u32::from(file::stat(place.by_ref(), c"")?.mode) & libc::S_IFMT == libc::S_IFDIR;
        let allowed = if writing { known } else { READING } & if is_directory { u64::MAX } else { OF_FILES };
        security::landlock_add_rule(ruleset.by_ref(), allowed & known, place.by_ref())?;
    }
    security::landlock_restrict_self(ruleset.by_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_their_modes() {
        let read = |list| rules(list).collect::<Vec<_>>();
        assert_eq!(read("ro:/usr,rw:/tmp"), [Some((false, "/usr")), Some((true, "/tmp"))]);
        for list in ["", "/usr", "ro:", "ro:usr", "rx:/usr", "ro", "RO:/usr"] {
            assert_eq!(read(list), [None], "{list:?}");
        }
    }
}
