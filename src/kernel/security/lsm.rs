//! The kernel's security modules that are told what a program is to be when it is executed.
//!
//! # Source
//! `Documentation/admin-guide/LSM/apparmor.rst`, proc(5).

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::sys::fd::CWD;
use crate::sys::{file, procfs};

/// `SYSFS_MAGIC`.
const SYSFS: usize = 0x6265_6572;

/// Has this process get a profile of `AppArmor`'s when it executes something.
///
/// # Errors
/// There is no `AppArmor`, or no such profile.
pub fn apparmor(profile: &str) -> Result<()> {
    let write = |path: &str| {
        // Something else in its place would take the words and do nothing.
        let opened = procfs::open(path)?;
        file::write_all(opened.by_ref(), join!("exec {}", profile).as_bytes()).map_err(|error| {
            if error.is(Errno::ENOENT) {
                Error::new(say!("there is no AppArmor profile {}", profile))
                    .hint(phrase!("apparmor_parser loads profiles"))
            } else {
                error
            }
        })
    };
    match write("self/attr/apparmor/exec") {
        // Before Linux 5.1 the modules shared one place.
        Err(error) if error.is(Errno::ENOENT) => {
            if is_enabled() {
                return write("self/attr/exec");
            }
            Err(Error::os(Errno::EOPNOTSUPP, phrase!("take the AppArmor profile"), profile).hint(phrase!(
                "the kernel has no AppArmor, or has it turned off (CONFIG_SECURITY_APPARMOR, apparmor=1)"
            )))
        }
        result => result,
    }
}

/// Whether `AppArmor` is in force.
fn is_enabled() -> bool {
    let path = c"/sys/module/apparmor/parameters/enabled";
    let Ok(opened) = file::open(CWD, path, libc::O_RDONLY) else { return false };
    let own = file::filesystem(opened.by_ref()).is_ok_and(|kind| kind == SYSFS);
    own && file::read_to_end(opened.by_ref(), 16).is_ok_and(|text| text.starts_with(b"Y"))
}
