//! Changes in a directory as a file, inotify(7).
#![expect(unsafe_code, reason = "wraps system calls")]

use core::ffi::CStr;

use super::call::sys;
use super::fd::{Fd, FdRef};
use super::file::{fail, fail_on};
use crate::base::error::Result;

/// A file from which events can be read, [`next_event`].
///
/// # Errors
/// `inotify_init(2)`.
pub fn inotify_init1() -> Result<Fd> {
    // SAFETY: no memory is involved.
    unsafe { sys!(inotify_init1, libc::IN_CLOEXEC) }.map(Fd::from_kernel).map_err(|errno| {
        fail_on(errno, phrase!("watch files"), "")
            .hint(phrase!("the sysctl fs.inotify.max_user_instances says how many may be watched"))
    })
}

/// Asks for events of a file, or of a directory and of the files in it.
///
/// # Errors
/// `inotify_add_watch(2)`.
pub fn inotify_add_watch(inotify: FdRef<'_>, path: &CStr, events: u32) -> Result<()> {
    // SAFETY: `path` is a valid string.
    unsafe { sys!(inotify_add_watch, inotify.number(), path.as_ptr(), events) }
        .map(drop)
        .map_err(|errno| fail(errno, phrase!("watch"), path))
}

/// Takes the first of the events that were read: what happened, and the name in the directory.
pub fn next_event<'a>(events: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    // `struct inotify_event`: watch, mask, cookie and length, 4 bytes each, then the name with zeros behind it.
    let number = |at: usize| Some(u32::from_ne_bytes(*events.get(at..)?.first_chunk()?));
    let (mask, length) = (number(4)?, number(12)? as usize);
    let name = events.get(16..)?.get(..length)?;
    *events = &events[16 + length..];
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(length);
    Some((mask, &name[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_one_by_one_and_a_cut_one_is_none() {
        let mut bytes = std::vec::Vec::new();
        for (mask, name) in [(2u32, b"log\0\0\0\0\0".as_slice()), (0x4000, b""), (0x80, b"state.json\0\0\0\0\0\0")] {
            for word in [1, mask, 0, name.len() as u32] {
                bytes.extend_from_slice(&word.to_ne_bytes());
            }
            bytes.extend_from_slice(name);
        }
        let mut rest = bytes.as_slice();
        let all: Vec<_> = std::iter::from_fn(|| next_event(&mut rest)).collect();
        assert_eq!(all, [(2, b"log".as_slice()), (0x4000, b""), (0x80, b"state.json")]);
        for end in 0..24 {
            assert_eq!(next_event(&mut &bytes[..end]), None);
        }
    }
}
