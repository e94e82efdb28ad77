//! What only the first process of a machine does: loading modules, and ending it all.
#![expect(unsafe_code, reason = "wraps system calls")]

use super::call::sys;
use super::fd::FdRef;
use super::file::fail_on;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};

/// Loads a module; one that is loaded already is fine.
///
/// # Errors
/// `finit_module(2)`.
pub fn load_module(module: FdRef<'_>, name: &str, compressed: bool) -> Result<()> {
    /// `MODULE_INIT_COMPRESSED_FILE`, `linux/module.h` (Linux 5.17).
    const COMPRESSED: u32 = 4;
    let flags = if compressed { COMPRESSED } else { 0 };
    // SAFETY: the parameters are a valid string.
    match unsafe { sys!(finit_module, module.number(), c"".as_ptr(), flags) } {
        Err(Errno::EEXIST) | Ok(_) => Ok(()),
        Err(errno) => Err(fail_on(errno, phrase!("load the module"), name)),
    }
}

/// Writes all that is not yet on a disk.
pub fn sync() {
    // SAFETY: no memory is involved.
    let _ = unsafe { sys!(sync) };
}

/// Ends the machine: `RB_POWER_OFF`, `RB_HALT_SYSTEM` or `RB_AUTOBOOT`, reboot(2). In a PID namespace that only ends those in it.
///
/// # Errors
/// reboot(2).
pub fn reboot(how: i32) -> Result<()> {
    const MAGIC: (u32, u32) = (0xfee1_dead, 0x2812_1969);
    // SAFETY: no memory is involved.
    unsafe { sys!(reboot, MAGIC.0, MAGIC.1, how, 0) }
        .map(drop)
        .map_err(|errno| Error::os(errno, phrase!("end the machine"), ""))
}
