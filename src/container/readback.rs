//! Reads back what rights the kernel has left to the process that is about to become the workload: no call that seemed to
//! succeed is trusted.

use super::user::Identity;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{self, Cut};
use crate::sys::{Fd, because, file};

/// What it may have, and no more.
#[derive(Clone, Copy, Default)]
pub struct Rights {
    /// The sets of capabilities, in the order of [`SETS`].
    pub sets: [u64; 5],
    /// Whether it gets none by executing a program.
    pub no_new_privileges: bool,
    /// Whether IDs are told as they are outside of the container's user namespace.
    pub other_ids: bool,
    /// Whether the user's own groups stay, since nobody can take them away in a user namespace without `newgidmap`.
    pub keeps_groups: bool,
}

/// The names of the sets, `proc_pid_status(5)`.
const SETS: &str = "CapInh CapPrm CapEff CapBnd CapAmb";
/// More than the file has.
const LIMIT: usize = 64 << 10;

/// Compares a process's `status`, which was opened while no container had a say in what that is.
///
/// # Errors
/// The process has more rights, or is somebody else.
pub fn check(status: &Fd, rights: &Rights, identity: &Identity) -> Result<()> {
    let _why = because!("read back what rights the kernel has left to the workload");
    let content = file::read_to_end(status.by_ref(), LIMIT)?;
    for line in keep::lossy(&content).parts(b'\n') {
        let Some((name, value)) = line.cut(b':') else { continue };
        let mut words = value.split_ascii_whitespace();
        let all = |own: u32| words.clone().all(|word| text::decimal_u32(word) == Some(own));
        let right = match name {
            "Uid" | "Gid" | "Groups" if rights.other_ids => true,
            "Groups" if rights.keeps_groups => true,
            "Uid" => all(identity.uid),
            "Gid" => all(identity.gid),
            "Groups" => words.all(|word| text::decimal_u32(word).is_some_and(|group| identity.groups.contains(&group))),
            "NoNewPrivs" => !rights.no_new_privileges || all(1),
            _ => match SETS.parts(b' ').position(|set| set == name) {
                Some(set) => words.all(|word| text::hexadecimal(word).is_some_and(|has| has & !rights.sets[set] == 0)),
                None => true,
            },
        };
        if !right && !weak!("read-back") {
            return Err(Error::new(say!("the kernel left the workload other rights than asked for: {}", line)));
        }
    }
    Ok(())
}
