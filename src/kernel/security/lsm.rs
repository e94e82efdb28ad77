//! The kernel's security modules that are told what a program is to be when it is executed.
//!
//! # Source
//! `Documentation/admin-guide/LSM/apparmor.rst`, `Documentation/admin-guide/LSM/SELinux.rst`, proc(5).

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
            if has_apparmor() {
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
#[must_use]
pub fn has_apparmor() -> bool {
    let path = c"/sys/module/apparmor/parameters/enabled";
    let Ok(opened) = file::open(CWD, path, libc::O_RDONLY) else { return false };
    let own = file::filesystem(opened.by_ref()).is_ok_and(|kind| kind == SYSFS);
    own && file::read_to_end(opened.by_ref(), 16).is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether `SELinux` is in force: only then does the kernel have the file system that its policy is loaded through.
///
/// # Errors
/// What reading `/proc/filesystems` gives.
pub fn has_selinux() -> Result<bool> {
    let text = file::read_file(CWD, c"/proc/filesystems", 1 << 16)?;
    Ok(text.split(|byte| *byte == b'\n').any(|line| line == b"nodev\tselinuxfs"))
}

/// The error of a label where there is no `SELinux`.
#[must_use]
pub fn no_selinux(label: &str) -> Error {
    Error::os(Errno::EOPNOTSUPP, phrase!("take the SELinux label"), label).hint(phrase!(
        "the kernel has no SELinux, or has it turned off (CONFIG_SECURITY_SELINUX, security=selinux); leave label= out"
    ))
}

/// Has this process get a label of `SELinux`'s when it executes something.
///
/// # Errors
/// There is no such label in the policy, or this process may not give it.
pub fn selinux(label: &str) -> Result<()> {
    // Something else in its place would take the words and do nothing.
    let opened = procfs::open("self/attr/exec")?;
    file::write_all(opened.by_ref(), label.as_bytes()).map_err(|error| {
        let hint = match error.errno() {
            Errno::EINVAL => phrase!("the policy that is loaded has no such label: seinfo -t lists its types"),
            _ => phrase!("the policy does not let vial give that label"),
        };
        error.hint(hint)
    })
}
