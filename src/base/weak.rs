//! Defences that tests turn off to see that an attack which comes to nothing would be one without them.
//!
//! Only a build with the feature `weakened` has this module; in any other `weak!` is the constant `false`.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::text::{Cut, place};

/// What can be turned off.
const NAMES: &str = "secure exe fds cwd root resolve nofollow null proc kernel-files inheritable groups ids session passwd netlink \
                     abstract overlay-attributes private-store start-time dumpable bombs pax volumes read-back";

/// The places in [`NAMES`] of what is turned off, a bit each.
static OFF: AtomicU32 = AtomicU32::new(0);

/// Turns off what `VIAL_WEAK=name,name` in the environment names; a name that there is not is a mistake of the test.
///
/// # Panics
/// When there is no such name.
pub fn choose(env: &[&CStr]) {
    let Some(names) = env.iter().find_map(|variable| variable.to_str().ok()?.strip_prefix("VIAL_WEAK=")) else {
        return;
    };
    for name in names.parts(b',').filter(|name| !name.is_empty()) {
        let at = place(NAMES, name).expect("VIAL_WEAK names a defence that there is");
        OFF.fetch_or(1 << at, Ordering::Relaxed);
    }
}

/// The variable for vial that is executed anew.
#[must_use]
pub fn variable() -> String {
    let names: Vec<&str> = NAMES.parts(b' ').filter(|name| is_off(name)).collect();
    ["VIAL_WEAK=", &names.join(",")].concat()
}

/// Whether this one is turned off.
#[must_use]
pub fn is_off(name: &str) -> bool {
    place(NAMES, name).is_some_and(|at| OFF.load(Ordering::Relaxed) & 1 << at != 0)
}
