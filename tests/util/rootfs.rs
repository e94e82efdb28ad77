//! A small root file system: busybox and what a program may expect beside it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, io};

use super::needs;
use super::scene::work_directory;

/// The root file system that all tests share; made at the first call.
pub fn shared() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = work_directory().join("rootfs");
        make(&directory).expect("make a root file system of busybox");
        directory
    })
}

/// Makes a root file system of busybox in a directory that does not exist.
///
/// # Errors
/// Without a static busybox, and when files can't be made.
pub fn make(directory: &Path) -> io::Result<()> {
    make_of(needs::busybox().ok_or_else(|| io::Error::other("there is no static busybox"))?, directory)
}

/// The same of another busybox, which may be for another machine. It has the programs of this machine's.
///
/// # Errors
/// As [`make`].
pub fn make_of(busybox: &Path, directory: &Path) -> io::Result<()> {
    let own = needs::busybox().ok_or_else(|| io::Error::other("there is no static busybox"))?;
    for name in ["bin", "dev", "etc", "home/user", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"] {
        fs::create_dir_all(directory.join(name))?;
    }
    fs::set_permissions(directory.join("tmp"), PermissionsExt::from_mode(0o1777))?;
    fs::set_permissions(directory.join("root"), PermissionsExt::from_mode(0o700))?;
    fs::copy(busybox, directory.join("bin/busybox"))?;
    let listed = Command::new(own).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&listed.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", directory.join("bin").join(applet))?;
    }
    symlink("bin", directory.join("sbin"))?;
    symlink("../bin", directory.join("usr/bin"))?;
    symlink("../bin", directory.join("usr/sbin"))?;
    fs::write(directory.join("etc/passwd"), PASSWD)?;
    fs::write(directory.join("etc/group"), GROUP)?;
    fs::write(directory.join("etc/os-release"), "ID=busybox\nPRETTY_NAME=\"busybox for tests\"\n")?;
    Ok(())
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\naudio:x:29:user\nuser:x:1000:\nnogroup:x:65534:\n";
