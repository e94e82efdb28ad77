//! Machines of their own, for what the kernel under the tests is not: a kernel booted in an emulator, which takes about three
//! seconds and neither root nor hardware that helps.
//!
//! The first root file system is made here, of busybox, vial, the modules asked for and the test's steps, which are shell
//! scripts. `init` runs them, and what each did is read from the console.

mod apparmor;
mod boards;
mod boot;
mod check;
mod control;
mod cpio;
mod dhcp;
mod exec;
mod harness;
pub mod kernel;
mod limits;
pub mod matrix;
mod reboot;
mod rootless;
mod scopes;
mod systemd;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use cpio::Cpio;

/// The tests of all modules here.
pub fn trials() -> Vec<Trial> {
    let modules = [
        apparmor::trials(),
        boards::trials(),
        boot::trials(),
        check::trials(),
        control::trials(),
        exec::trials(),
        harness::trials(),
        limits::trials(),
        matrix::trials(),
        reboot::trials(),
        rootless::trials(),
        scopes::trials(),
        systemd::trials(),
    ];
    modules.into_iter().flatten().collect()
}

/// More than a boot and its steps take on a machine under load.
const LIMIT: Duration = Duration::from_mins(5);

/// A machine that is about to be booted.
pub struct Machine {
    modules: Vec<String>,
    steps: Vec<(String, String)>,
    /// What busybox's init is to do, if it is the first process.
    inittab: Option<String>,
    /// A file that is the machine's disk.
    disk: Option<PathBuf>,
    /// What brings it down at its end, if it is not to go down at once.
    end: Option<String>,
    /// The kernel, vial and what else is on it, if these are not the usual ones.
    kind: Option<Kind>,
    /// The time that it has, and each of its steps, if that is not the usual one.
    limit: Option<Duration>,
}

/// What a machine is made of.
pub struct Kind {
    pub kernel: kernel::Kernel,
    /// The file of vial's.
    pub vial: PathBuf,
    /// A root file system with busybox.
    pub rootfs: PathBuf,
}

/// What happened on a machine from its start to its end.
pub struct Booted {
    steps: Vec<(String, Output)>,
}

/// What all tests of a file ask, which was made by the first of them.
#[track_caller]
pub fn once<T>(
    made: &'static OnceLock<Result<T, String>>,
    name: &str,
    make: fn(&Scene) -> Result<T, String>,
) -> &'static T {
    match made.get_or_init(|| make(&Scene::new(name))) {
        Ok(made) => made,
        Err(error) => panic!("{error}"),
    }
}

/// Boots a kernel with a first root file system and more devices; `words` are added to the kernel's command line.
fn emulate(
    scene: &Scene,
    kernel: &kernel::Kernel,
    disk: &Path,
    devices: &[(&str, String)],
    words: &str,
    limit: Duration,
) -> Output {
    let board = &kernel.board;
    let console = format!("console={} loglevel=1 panic=-1 {words}", board.console);
    // timeout(1), since a run that takes too long is to be told and not to end the test at once.
    let qemu = scene.command("timeout", [&limit.as_secs().to_string(), board.emulator]);
    let qemu = qemu.limit(limit + Duration::from_mins(1)).args(board.options).args([
        "-accel",
        "tcg",
        "-m",
        "1024",
        "-nodefaults",
        "-no-user-config",
    ]);
    let qemu = qemu.args(["-display", "none", "-serial", "stdio", "-no-reboot", "-append", &console]);
    let qemu = devices.iter().fold(qemu, |qemu, (option, value)| qemu.args([*option, value]));
    qemu.args(["-kernel".as_ref(), kernel.image.as_os_str()]).args(["-initrd".as_ref(), disk.as_os_str()]).run()
}

impl Machine {
    /// A machine that loads these modules when it starts.
    pub fn with(modules: &[&str]) -> Machine {
        Machine {
            modules: modules.iter().map(ToString::to_string).collect(),
            steps: Vec::new(),
            inittab: None,
            disk: None,
            end: None,
            kind: None,
            limit: None,
        }
    }

    /// Gives it this time, and each of its steps.
    pub fn limit(mut self, limit: Duration) -> Machine {
        self.limit = Some(limit);
        self
    }

    /// Has busybox's init do this; `/run-steps` runs the steps.
    pub fn inittab(mut self, lines: &str) -> Machine {
        self.inittab = Some(lines.to_owned());
        self
    }

    /// Gives it a disk with an ext4 file system, which is mounted where vial's state is. If a system with an `/sbin/init` of its
    /// own is on it, this is the machine's root, and that init has to run `/run/run-steps`.
    pub fn disk(mut self, file: &Path) -> Machine {
        self.disk = Some(file.to_owned());
        self
    }

    /// Has this shell script bring it down when all steps are done, in the place of a power cut.
    pub fn goes_down_by(mut self, script: &str) -> Machine {
        self.end = Some(script.to_owned());
        self
    }

    /// Makes it of this.
    pub fn of(mut self, kind: Kind) -> Machine {
        self.kind = Some(kind);
        self
    }

    /// A shell script, run when those before have ended; a minute is its time. What it mounts stays mounted.
    pub fn step(mut self, name: &str, script: impl Into<String>) -> Machine {
        self.steps.push((name.to_owned(), script.into()));
        self
    }

    /// Boots it, lets it run to its end, and gives what the steps did.
    ///
    /// # Errors
    /// The console's text, when the machine did not come to its end.
    pub fn boot(mut self, scene: &Scene) -> Result<Booted, String> {
        let usual = || kernel::kernel().map(|kernel| (kernel, PathBuf::from(VIAL), scene.rootfs().to_owned()));
        let given = self.kind.take().map(|kind| (kind.kernel, kind.vial, kind.rootfs));
        let (kernel, vial, rootfs) = given.or_else(usual).ok_or("there is no kernel to boot")?;
        let disk = scene.path("initramfs");
        fs::write(&disk, self.root(&kernel, &vial, &rootfs)).map_err(|error| format!("{}: {error}", disk.display()))?;
        let mut devices = Vec::new();
        if let Some(disk) = &self.disk {
            devices.push(("-drive", format!("file={},format=raw,if=virtio", disk.display())));
        }
        let output = emulate(scene, &kernel, &disk, &devices, "", self.limit.unwrap_or(LIMIT));
        self.read(&output.stdout).map_err(|what| format!("{what}: {}", output.shown()))
    }

    /// The first root file system.
    fn root(&self, kernel: &kernel::Kernel, vial: &Path, rootfs: &Path) -> Vec<u8> {
        let mut root = Cpio::default();
        root.tree(rootfs);
        root.program("bin/vial", &fs::read(vial).expect("read vial"));
        root.program("init", include_bytes!("init"));
        root.program("run-steps", include_bytes!("run-steps"));
        if let Some(lines) = &self.inittab {
            root.program("etc/inittab", lines.as_bytes());
        }
        if let Some(script) = &self.end {
            root.program("run-end", script.as_bytes());
        }
        if let Some(limit) = self.limit {
            root.program("steps-limit", format!("{}\n", limit.as_secs()).as_bytes());
        }
        for directory in ["data", "modules", "steps"] {
            root.directory(directory);
        }
        for (at, module) in kernel.modules(&self.modules).iter().enumerate() {
            root.program(&format!("modules/{at:03}"), module);
        }
        for (at, (_, script)) in self.steps.iter().enumerate() {
            root.program(&format!("steps/{at:03}"), script.as_bytes());
        }
        root.finish()
    }

    /// Finds in the console's text what the steps did.
    fn read(&self, console: &str) -> Result<Booted, String> {
        let mut steps = Vec::new();
        let mut output = Output { line: String::new(), code: -1, stdout: String::new(), stderr: String::new() };
        for line in console.lines().map(|line| line.trim_end_matches('\r')) {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            let Some((name, script)) = self.steps.get(steps.len()) else {
                if mark == "@done" {
                    return Ok(Booted { steps });
                }
                continue;
            };
            match mark {
                "@begin" => output.line = format!("step {name}: {script}"),
                "@out" => writeln!(output.stdout, "{rest}").expect("a string takes all"),
                "@err" => writeln!(output.stderr, "{rest}").expect("a string takes all"),
                "@end" => {
                    output.code = rest.parse().map_err(|_| format!("no exit code: {line}"))?;
                    let next = Output { line: String::new(), code: -1, stdout: String::new(), stderr: String::new() };
                    steps.push((name.clone(), std::mem::replace(&mut output, next)));
                }
                "@failed" => return Err(format!("the machine {rest}")),
                _ => {}
            }
        }
        Err(format!("the machine ended in step {} of {}", steps.len() + 1, self.steps.len()))
    }
}

impl Booted {
    /// What a step did. Its output is told by lines, so that the last one always ends.
    ///
    /// # Panics
    /// When there is no step of this name.
    #[track_caller]
    pub fn step(&self, name: &str) -> Output {
        let found = self.steps.iter().find(|(step, _)| step == name);
        found.unwrap_or_else(|| panic!("there is no step {name}")).1.clone()
    }
}
