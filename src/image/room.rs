//! Room that an archive does not get: a disk with nothing left stops whatever else writes to it, and many an archive is small and
//! unpacks to more than any disk has.

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::FdRef;
use crate::sys::file::{self, Space};

/// The most that is written between two looks.
const STEP: u64 = 16 << 20;
/// What a member counts besides its content: files are counted as well as bytes.
pub(super) const MEMBER: u64 = 16 << 10;
/// No more is left than this, however large the disk: bytes and files.
const MOST: (u64, u64) = (64 << 20, 1000);

/// Looks now and then how much room there is.
pub(super) struct Room {
    /// So much may be written before the next look; for ever if it is the most that there is.
    left: u64,
}

impl Room {
    /// The first look is at once.
    pub(super) fn new(kept: bool) -> Room {
        Room { left: if kept { 0 } else { u64::MAX } }
    }

    /// Notes that so much is going to be added to the file system that something is on.
    ///
    /// # Errors
    /// `ENOSPC` if that would leave less than a hundredth of it, fstatfs(2).
    #[inline(never)]
    pub(super) fn take(&mut self, on: FdRef<'_>, bytes: u64) -> Result<()> {
        if self.left >= bytes {
            self.left -= if self.left == u64::MAX { 0 } else { bytes };
            return Ok(());
        }
        let Space { unit, units, free, files, free_files } = file::space(on)?;
        // A file system without bounds tells of none.
        let spare =
            |all: u64, free: u64, most: u64| if all == 0 { STEP } else { free.saturating_sub(most.min(all / 100)) };
        let left = spare(units.saturating_mul(unit), free.saturating_mul(unit), MOST.0).min(STEP);
        let left = left.min(spare(files, free_files, MOST.1).saturating_mul(MEMBER));
        if left < bytes {
            return Err(Error::os(Errno::ENOSPC, phrase!("keep a hundredth free of"), "the store's disk"));
        }
        self.left = left - bytes;
        Ok(())
    }
}
