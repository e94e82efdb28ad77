//! Stopping all processes of a group where they are, and letting them go on.

use super::files::{children, read, write};
use super::group::Group;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::Cut;
use crate::sys::{self, fd::CWD, file, process};

/// Milliseconds after which a group that is not frozen yet is let go again.
const PATIENCE: u32 = 10_000;

/// A freezer's file, what freezes and what thaws, the file that tells of it, and the line that says it is done: kernel
/// `Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`, and `cgroup-v2.rst` (Linux 5.2).
type Freezer = [&'static str; 5];
const V1: &Freezer = &["freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN"];
const V2: &Freezer = &["cgroup.freeze", "1", "0", "cgroup.events", "frozen 1"];

impl Group {
    /// v1's, if the group is in that hierarchy, as every group is that was made where there is one; else v2's.
    fn freezer(&self) -> Result<(&'static str, &'static Freezer)> {
        match (self.holding("freezer"), self.unified()) {
            (Some(directory), _) => Ok((directory.path, V1)),
            (None, Some(directory)) => Ok((directory.path, V2)),
            (None, None) => Err(Error::new(phrase!("no control group hierarchy here can freeze processes"))
                .hint(phrase!("the kernel needs CONFIG_CGROUP_FREEZER for cgroup v1, or cgroup v2 and Linux 5.2"))),
        }
    }

    /// Whether all its processes are frozen.
    ///
    /// # Errors
    /// There is no freezer, or no group.
    pub fn is_frozen(&self) -> Result<bool> {
        let (path, [.., file, line]) = self.freezer()?;
        Ok(read(path, file)?.parts(b'\n').any(|found| found == *line))
    }

    /// Freezes all its processes, or lets them go on; returns when that is done. Both come about by and by: a process that waits
    /// for a device or a server can't be frozen until it has its answer.
    ///
    /// # Errors
    /// There is no freezer; some process does not freeze within ten seconds, after which none stays frozen; or the group
    /// above is frozen too.
    pub fn freeze(&self, freeze: bool) -> Result<()> {
        let (path, [file, frozen, thawed, ..]) = self.freezer()?;
        write(path, file, if freeze { frozen } else { thawed }).map_err(|error| super::hints::hint(error, file, ""))?;
        for _ in 0..PATIENCE {
            if self.is_frozen()? == freeze {
                return Ok(());
            }
            process::sleep(1);
        }
        let (operation, hint) = if freeze {
            let _ = write(path, file, thawed);
            (
                phrase!("freeze"),
                phrase!("a process waits for a device or a server and can't be stopped now; nothing is frozen"),
            )
        } else {
            (phrase!("thaw"), phrase!("is the control group above it frozen?"))
        };
        Err(Error::os(Errno::EBUSY, operation, path).because(sys::ledger::reason()).hint(hint))
    }

    /// Thaws it and all groups below it, which may have been frozen from inside, so that what got SIGKILL can die of it: v1's
    /// freezer keeps a process from that. It may also not be frozen at all, so nothing is made of failures.
    pub fn thaw_all(&self) {
        for (directory, [file, _, thawed, ..]) in [(self.holding("freezer"), V1), (self.unified(), V2)] {
            if let Some(directory) = directory {
                thaw(directory.path, file, thawed);
            }
        }
    }

    /// Whether v1's freezer has groups below it, each of which counts as a link to its directory.
    #[must_use]
    pub fn has_freezers_below(&self) -> bool {
        let path = self.holding("freezer").and_then(|directory| file::owned_path(directory.path.as_bytes()).ok());
        path.is_some_and(|path| file::stat(CWD, &path).is_ok_and(|stat| stat.nlink > 2))
    }

    /// Freezes as much as can be frozen at once.
    pub(super) fn begin_to_freeze(&self) {
        if let Ok((path, [file, frozen, ..])) = self.freezer() {
            let _ = write(path, file, frozen);
        }
    }
}

fn thaw(path: &str, file: &str, thawed: &str) {
    let _ = write(path, file, thawed);
    for child in children(path).unwrap_or_default() {
        thaw(&child, file, thawed);
    }
}
