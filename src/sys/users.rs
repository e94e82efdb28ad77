//! Which user namespace this process is in; `user_namespaces(7)`.

use core::sync::atomic::{AtomicU8, Ordering};

use super::fd::CWD;
use super::file;

/// The inode of the initial user namespace, `USER_NS_INIT_INO` (`linux/nsfs.h`); fixed since Linux 3.8.
const INITIAL: u64 = 0xefff_fffd;

/// What is known: nothing, that it is the initial one, or that it is another.
static KNOWN: AtomicU8 = AtomicU8::new(0);
const IS_INITIAL: u8 = 1;
const IS_OTHER: u8 = 2;

/// Whether this process is in a user namespace other than the initial one, where root is not the host's. Without `/proc` it is
/// not: who has mounted nothing yet is the host's first process.
#[must_use]
pub fn is_confined() -> bool {
    let mut known = KNOWN.load(Ordering::Relaxed);
    if known == 0 {
        let initial = file::stat_follow(CWD, c"/proc/self/ns/user").map_or(true, |stat| stat.ino == INITIAL);
        known = if initial { IS_INITIAL } else { IS_OTHER };
        KNOWN.store(known, Ordering::Relaxed);
    }
    known == IS_OTHER
}

/// Notes that this process has moved to another one.
pub fn entered() {
    KNOWN.store(IS_OTHER, Ordering::Relaxed);
}
