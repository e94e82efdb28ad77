//! Killing everything in a group.

use alloc::vec::Vec;

use super::files::{children, read, write};
use super::group::Group;
use super::hierarchies::Version;
use super::plan::Directory;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::text::{Cut, decimal_u32};
use crate::sys::{self, process};

/// Rounds of a millisecond after which a group that still has processes is given up: those wait for a device or a server
/// and can't die.
const ROUNDS: u32 = 5000;

impl Group {
    /// Whether a process is in the group or in one below it.
    #[must_use]
    pub fn has_processes(&self) -> bool {
        self.directories().iter().any(|directory| tree(directory.path).is_ok_and(|processes| !processes.is_empty()))
    }

    /// Kills every process in the group and in those below it, and waits until none is left.
    ///
    /// In v2 the kernel does it at once (`cgroup.kill`, Linux 5.14). Otherwise the group is frozen while its processes get the
    /// signal, so that they can't fork faster than they are killed; that needs v1's freezer or Linux 5.2.
    ///
    /// # Errors
    /// When processes are left after some seconds.
    pub fn kill_all(&self) -> Result<()> {
        let _why = sys::because(phrase!("kill what is left in the control group"));
        let Some(directory) = self.unified().or(self.holding("freezer")).or(self.directories().first()) else {
            return Ok(());
        };
        if directory.version == Version::V2 && write(directory.path, "cgroup.kill", "1").is_ok() {
            // In a hybrid group v1's freezer may still hold them.
            return wait_until_empty(directory, &mut || self.thaw_all());
        }
        // Without a freezer it is a race that is run again until it is won, so failures to freeze are left aside.
        wait_until_empty(directory, &mut || {
            self.begin_to_freeze();
            // Read anew: what was forked meanwhile is frozen too.
            for pid in tree(directory.path).unwrap_or_default() {
                // It may have ended already.
                let _ = process::kill(pid, libc::SIGKILL);
            }
            self.thaw_all();
        })
    }

    /// The processes in the group and in all below it.
    ///
    /// # Errors
    /// What can't be read.
    pub fn processes(&self) -> Result<Vec<u32>> {
        self.directories().first().map_or(Ok(Vec::new()), |directory| tree(directory.path))
    }
}

fn wait_until_empty(directory: &Directory, act: &mut dyn FnMut()) -> Result<()> {
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left = tree(directory.path)?;
        if left.is_empty() {
            return Ok(());
        }
        act();
        process::sleep(1);
    }
    Err(Error::os(Errno::EBUSY, phrase!("kill all processes in"), directory.path)
        .because(sys::ledger::reason())
        .hint(say!("process {} does not die; it may wait for a device or a server", left[0])))
}

/// The processes in a group and in all below it; none if it is gone.
pub(super) fn tree(path: &str) -> Result<Vec<u32>> {
    let mut found = processes(path)?;
    for child in children(path)? {
        found.append(&mut tree(&child)?);
    }
    Ok(found)
}

/// The processes in a group itself; none if it is gone.
pub(super) fn processes(path: &str) -> Result<Vec<u32>> {
    match read(path, "cgroup.procs") {
        // A process of another PID namespace shows as 0, which kill(2) would take for this process's own group.
        Ok(text) => {
            let mut found = Vec::new();
            for line in text.parts(b'\n') {
                found.extend(decimal_u32(line).filter(|pid| *pid != 0));
            }
            Ok(found)
        }
        // ENODEV: it went after the file was opened. EOPNOTSUPP: a threaded group, whose processes are in that above.
        Err(error) if [Errno::ENOENT, Errno::ENODEV, Errno::EOPNOTSUPP].contains(&error.errno()) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
