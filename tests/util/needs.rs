//! What a test needs of the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use super::command::VIAL;
use super::elf::is_static;
use crate::vm::kernel::{PC, kernel};
use crate::vm::matrix;

/// The interpreter that the system's packages have modules for.
pub const PYTHON: &str = "/usr/bin/python3";

/// Something that not every machine has.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// To run as root.
    Root,
    /// A program in `PATH`, `/usr/sbin` or `/sbin`.
    Tool(&'static str),
    /// One of several programs.
    OneOf(&'static [&'static str]),
    /// A statically linked busybox, for root file systems.
    Busybox,
    /// A file system or a module of the kernel.
    Kernel(&'static str),
    /// A module of the system's Python 3, see [`PYTHON`].
    Python(&'static str),
    /// Rust's libraries for a target.
    Target(&'static str),
    /// A controller of cgroup v1.
    CgroupV1(&'static str),
    /// cgroup v2, offering these controllers.
    CgroupV2(&'static [&'static str]),
    /// A file of the kernel's, or of the machine's.
    File(&'static str),
    /// A kernel as new as this.
    Linux(u32, u32),
    /// A command of vial.
    Command(&'static str),
    /// To boot a machine of its own, with [`crate::vm::Machine`].
    Machine,
    /// All kernels of the table in [`crate::vm::matrix`].
    Kernels,
}

impl Need {
    /// Why the test can't run, if it can't.
    pub fn missing(self) -> Option<String> {
        match self {
            Need::Root => (!is_root()).then(|| "needs root".to_owned()),
            Need::Tool(name) => tool(name).is_none().then(|| format!("needs {name}")),
            Need::OneOf(names) => {
                names.iter().all(|name| tool(name).is_none()).then(|| format!("needs {}", names.join(" or ")))
            }
            Need::Busybox => busybox().is_none().then(|| "needs a static busybox".to_owned()),
            Need::Kernel(name) => (!kernel_has(name)).then(|| format!("needs {name} in the kernel")),
            Need::Python(name) => (!has_module(name)).then(|| format!("needs python3's module {name}")),
            Need::Target(name) => (!has_target(name)).then(|| format!("needs Rust's target {name}")),
            Need::CgroupV1(name) => {
                (!has_v1_controller(name)).then(|| format!("needs the controller {name} of cgroup v1"))
            }
            Need::CgroupV2(names) => missing_in_v2(names),
            Need::File(path) => (!Path::new(path).exists()).then(|| format!("needs {path}")),
            Need::Linux(major, minor) => {
                (kernel_version() < (major, minor)).then(|| format!("needs Linux {major}.{minor}"))
            }
            Need::Command(name) => (!has_command(name)).then(|| format!("needs vial's command {name}")),
            Need::Kernels => matrix::missing(),
            Need::Machine => Need::Busybox.missing().or_else(|| Need::Tool(PC.emulator).missing()).or_else(no_kernel),
        }
    }
}

/// Whether this is a machine of [`crate::vm::boards`]: its processor is emulated, and few programs are there.
pub fn is_board() -> bool {
    VIAL == "/bin/vial"
}

/// The kernel's version.
fn kernel_version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    user.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// Where a program is.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The busybox, if it needs no dynamic loader.
pub fn busybox() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let path = tool("busybox")?;
        fs::read(&path).is_ok_and(|program| is_static(&program)).then_some(path)
    };
    FOUND.get_or_init(find).as_deref()
}

fn kernel_has(name: &str) -> bool {
    let listed = || {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        known.lines().any(|line| line.split_whitespace().last() == Some(name))
            || Path::new("/sys/module").join(name).exists()
    };
    let load = || Command::new("modprobe").args(["-q", name]).stderr(Stdio::null()).status();
    listed() || (is_root() && load().is_ok_and(|status| status.success()) && listed())
}

fn no_kernel() -> Option<String> {
    (kernel().is_none() || !cfg!(target_arch = "x86_64"))
        .then(|| "needs a kernel to boot, which tests/run fetches on x86_64".to_owned())
}

fn has_module(name: &str) -> bool {
    let import = format!("import {name}");
    let status = Command::new(PYTHON).args(["-c", &import]).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn has_target(name: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", name]).output();
    output.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}

fn has_v1_controller(name: &str) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let options = table.lines().filter_map(|line| line.split_once(" - cgroup ")).map(|(_, rest)| rest);
    options.flat_map(|options| options.split([' ', ','])).any(|option| option == name)
}

fn missing_in_v2(names: &[&str]) -> Option<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = table.lines().find(|line| line.contains(" - cgroup2 "));
    let Some(mount) = line.and_then(|line| line.split(' ').nth(4)) else { return Some("needs cgroup v2".to_owned()) };
    let offered = fs::read_to_string(Path::new(mount).join("cgroup.controllers")).unwrap_or_default();
    let missing = names.iter().find(|name| !offered.split_whitespace().any(|offer| offer == **name))?;
    Some(format!("needs the controller {missing} of cgroup v2"))
}

fn has_command(name: &str) -> bool {
    static HELP: OnceLock<String> = OnceLock::new();
    let help = HELP.get_or_init(|| {
        let output = Command::new(super::command::VIAL).arg("help").stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    });
    help.split(|character: char| !character.is_alphanumeric() && character != '-').any(|word| word == name)
}
