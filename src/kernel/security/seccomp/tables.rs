//! What `build.rs` makes of the default profile and the numbers of calls (`compile.rs`).
#![expect(clippy::unreadable_literal, reason = "nobody reads the tables")]

use super::search::{ABOVE as GT, AT_LEAST as LT, EQUALS as EQ, HAS as NONE};

/// What becomes of the calls of a class: two capabilities (63 is none), the outcome with one of them, and without. 0 it is made, 1 `EPERM`, 2 `ENOSYS`; above
/// that a check decides.
#[derive(Clone, Copy)]
pub(super) struct Class(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) u8);

/// Where numbers begin in the tables that stand for those of Arm's own calls, from 0xf0000 on.
pub(super) const PRIVATE: u32 = 1536;

/// An argument, counted from 0, and what its lower half is compared with, for the kernel takes no more of it (what would be
/// compared with the whole could be passed by with bits that count for nothing): the outcome if one of the comparisons is true,
/// and if none is. `LT` and `NONE` are true where their instructions find nothing.
pub(super) struct Check(pub(super) u8, pub(super) &'static [(u16, u32)], pub(super) u8, pub(super) u8);

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
