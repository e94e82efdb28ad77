//! The first process of a machine: mounts, modules, network, images, containers, and an orderly end.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::super::context::Context;
use super::settings::{FILE, Settings, words};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::sort::sort;
use crate::base::text::Cut;
use crate::container::bundle::Bundles;
use crate::container::state::Seen;
use crate::image::blobs::NATIVE;
use crate::image::import::look;
use crate::image::layout::Layout;
use crate::image::store::Store;
use crate::kernel::modules;
use crate::network::uplink::{self, Uplink};
use crate::sys::fd::{self, CWD, Fd};
use crate::sys::ledger::Role;
use crate::sys::poll::{self, Waiting};
use crate::sys::process::{self, Side, Strings};
use crate::sys::{because, file, machine, mount};

/// What kernel file systems are mounted with.
const SAFE: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// What every machine has, in this order: kind, where, flags, options.
const MOUNTS: &[(&CStr, &str, libc::c_ulong, &CStr)] = &[
    (c"proc", "/proc", SAFE, c""),
    (c"sysfs", "/sys", SAFE, c""),
    (c"devtmpfs", "/dev", libc::MS_NOSUID, c"mode=755"),
    (c"devpts", "/dev/pts", libc::MS_NOSUID | libc::MS_NOEXEC, c"mode=620,gid=5,ptmxmode=666"),
    (c"tmpfs", "/dev/shm", libc::MS_NOSUID | libc::MS_NODEV, c"mode=1777"),
    (c"tmpfs", "/run", libc::MS_NOSUID | libc::MS_NODEV, c"mode=755"),
    (c"tmpfs", "/tmp", libc::MS_NOSUID | libc::MS_NODEV, c"mode=1777"),
];

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";
/// Where vial's state is.
const STATE: &str = "/var/lib/vial";
/// File systems that a disk with vial's state may have.
const DISKS: [&CStr; 4] = [c"ext4", c"btrfs", c"xfs", c"f2fs"];
/// How many seconds containers have to end before the machine does.
const PATIENCE: &CStr = c"10";

/// What signals to the first process mean, as with the init of busybox and of System V: what the machine does in the end,
/// reboot(2). Ctrl-Alt-Del sends the last.
const ENDS: [(i32, i32); 5] = [
    (libc::SIGUSR2, libc::RB_POWER_OFF),
    (libc::SIGPWR, libc::RB_POWER_OFF),
    (libc::SIGUSR1, libc::RB_HALT_SYSTEM),
    (libc::SIGTERM, libc::RB_AUTOBOOT),
    (libc::SIGINT, libc::RB_AUTOBOOT),
];

/// The machine in the hands of its first process.
struct Machine {
    settings: Settings,
    env: Vec<&'static CStr>,
    signals: Fd,
    /// What it is to do in the end.
    end: Option<i32>,
    uplink: Option<Uplink>,
}

/// Makes the words of a command line, in the process that is going to execute it.
type Words<'a> = &'a mut dyn FnMut() -> Result<Vec<&'static CStr>>;

/// Brings the machine up, and stays until it goes down.
pub(super) fn run(context: &Context<'static>) -> Result<u8> {
    file::umask(0o022);
    let signals = {
        let _why = because!("be told of signals and of the end of processes");
        poll::block_signals(!0)?;
        poll::signalfd(!0)?
    };
    // Told of once there is a console, which is in /dev.
    let mut failures: Vec<Error> = Vec::new();
    failures.extend(mount_all().err());
    console();
    let read = |path: &CStr| keep::lossy(file::read_file(CWD, path, 1 << 20).unwrap_or_default().leak());
    let (settings, wrong) = Settings::read(read(c"/proc/cmdline"), read(file::path(FILE)?));
    failures.extend(wrong);
    let mut machine = Machine { env: environment(&settings)?, settings, signals, end: None, uplink: None };
    machine.set_up(&mut failures);
    for failure in &failures {
        super::super::report(failure);
    }
    let run = machine.settings.run;
    if run.is_empty() {
        machine.spawn(&mut || Ok(alloc::vec![c"boot", c"--containers"]))?;
        super::super::print_line("vial: the machine is up")?;
        machine.wait_for(None)?;
    } else {
        let code = machine.child(&mut || {
            let mut args = alloc::vec![c"run"];
            for word in words(run) {
                args.push(file::path(word)?);
            }
            Ok(args)
        })?;
        super::super::print_line(say!("vial: the container ended with code {}", u32::from(code)))?;
    }
    machine.go_down(context)
}

/// Mounts what every machine has.
///
/// # Errors
/// The first that fails; the others are mounted all the same.
fn mount_all() -> Result<()> {
    let _why = because!("mount what every machine has");
    let mut result = Ok(());
    for &(kind, target, flags, data) in MOUNTS {
        result = result.and(mount_one(kind, target, flags, data));
    }
    result.and(control_groups())
}

fn mount_one(kind: &CStr, target: &str, flags: libc::c_ulong, data: &CStr) -> Result<()> {
    let place = file::path(target)?;
    file::mkdir_all(target, 0o755)?;
    match mount::mount(Some(kind), place, Some(kind), flags, Some(data)) {
        // The kernel may have done it (CONFIG_DEVTMPFS_MOUNT).
        Err(error) if error.is(Errno::EBUSY) => Ok(()),
        result => result,
    }
}

/// Mounts the unified hierarchy, or on a kernel without it each controller's. One without either runs containers without limits.
fn control_groups() -> Result<()> {
    let unified = mount_one(c"cgroup2", GROUPS, SAFE, c"");
    let controllers = file::read_file(CWD, c"/proc/cgroups", 1 << 16).unwrap_or_default();
    if unified.is_ok() || controllers.is_empty() {
        return Ok(());
    }
    mount_one(c"tmpfs", GROUPS, SAFE, c"mode=755")?;
    for line in keep::lossy(controllers.leak()).parts(b'\n').filter(|line| !line.starts_with('#')) {
        let mut fields = line.words();
        // Name, hierarchy, groups, whether it is enabled, cgroups(7).
        if let (Some(name), Some("1")) = (fields.next(), fields.nth(2)) {
            mount_one(c"cgroup", join!("{}/{}", GROUPS, name), SAFE, file::path(name)?)?;
        }
    }
    Ok(())
}

/// Has the console as standard files, which a kernel that found none when it started has not given.
fn console() {
    if file::is_inherited(fd::STDOUT) {
        return;
    }
    let Ok(console) = file::open(CWD, c"/dev/console", libc::O_RDWR | libc::O_NOCTTY) else { return };
    for place in [fd::STDIN, fd::STDOUT, fd::STDERR] {
        if console.number() != place.number() {
            let _ = file::put_in_place(console.by_ref(), place);
        }
    }
    if console.number() < 3 {
        let _ = file::keep_on_exec(console.by_ref());
        let _ = console.leak();
    }
}

/// The environment of whatever is started.
fn environment(settings: &Settings) -> Result<Vec<&'static CStr>> {
    let path = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut env = alloc::vec![path, c"HOME=/", c"TERM=linux"];
    for variable in &settings.env {
        env.push(file::path(variable)?);
    }
    Ok(env)
}

impl Machine {
    /// All that comes before containers. What fails is noted, and the machine goes on as well as it can.
    fn set_up(&mut self, failures: &mut Vec<Error>) {
        let settings = &self.settings;
        let mut attempt = |result: Result<()>| failures.extend(result.err());
        attempt(modules::load(&settings.modules));
        if !settings.hostname.is_empty() {
            attempt(process::sethostname(settings.hostname));
        }
        attempt(state(settings.data));
        attempt(uplink::loopback());
        if !settings.net.is_empty() {
            let host = if settings.hostname.is_empty() { "vial" } else { settings.hostname };
            match uplink::connect(settings.net, host) {
                Ok(made) => {
                    attempt(super::super::print_line(say!("vial: network {}", made.text())));
                    self.uplink = Some(made);
                }
                Err(error) => attempt(Err(error)),
            }
        }
        let images = settings.images;
        let archives = file::path(images)
            .and_then(|path| file::open(CWD, path, libc::O_RDONLY | libc::O_DIRECTORY))
            .and_then(|directory| file::list(directory.by_ref()));
        let mut names = Vec::new();
        for entry in archives.unwrap_or_default() {
            names.push(keep::lossy(entry.name.to_bytes()));
        }
        sort(&mut names, |one, other| one < other);
        for name in names {
            let path = join!("{}/{}", images, name);
            match self.child(&mut || image(path, name)) {
                Ok(0) => {}
                Ok(_) => failures.push(Error::new(say!("boot: {} became no image", path))),
                Err(error) => failures.push(error),
            }
        }
    }

    /// Starts vial once more; its process.
    fn spawn(&self, args: Words<'_>) -> Result<u32> {
        match process::clone(0, Role::Helper)? {
            Side::Parent(pid) => return Ok(pid),
            Side::Child => {}
        }
        let _ = process::setsid();
        let made = args().and_then(|args| poll::block_signals(0).map(|_| args));
        let error = match made {
            Ok(mut args) => {
                args.insert(0, c"vial");
                let (words, env) = (Strings::new(&args), Strings::new(&self.env));
                Error::os(process::execve(c"/proc/self/exe", &words, &env), phrase!("execute"), "vial")
            }
            Err(error) => error,
        };
        super::super::report(&error);
        process::exit(error.exit_code())
    }

    /// The same, and waits for its end; the exit code.
    fn child(&mut self, args: Words<'_>) -> Result<u8> {
        let _why = because!("have another vial do a part of it");
        let pid = self.spawn(args)?;
        self.wait_for(Some(pid))
    }

    /// Collects processes that have ended, as the first one must, until this one has, or the machine is to end.
    fn wait_for(&mut self, pid: Option<u32>) -> Result<u8> {
        let _why = because!("collect processes that have ended");
        loop {
            while let Some(waited) = process::wait(None, false).ok().flatten() {
                if Some(waited.pid) == pid {
                    return Ok(waited.ended.code());
                }
            }
            let mut waiting = [Waiting::readable(self.signals.by_ref())];
            poll::poll_within(&mut waiting, self.until_renewal())?;
            if !waiting[0].is_ready() {
                if let Some(Err(error)) = self.uplink.as_mut().map(Uplink::renew) {
                    super::super::report(&error);
                }
                continue;
            }
            let signal = poll::next_signal(self.signals.by_ref())?;
            if let Some((_, end)) = ENDS.iter().find(|(known, _)| *known == signal) {
                self.end = self.end.or(Some(*end));
                match pid {
                    None => return Ok(0),
                    Some(pid) => process::kill(pid, libc::SIGTERM)?,
                }
            }
        }
    }

    /// Milliseconds until the machine's address is to be asked for again.
    fn until_renewal(&self) -> u64 {
        let due = self.uplink.as_ref().and_then(|uplink| uplink.due);
        due.map_or(u64::MAX, |due| 1000 * (due - process::clock(libc::CLOCK_MONOTONIC).secs).max(0) as u64)
    }

    /// Ends the machine: containers first, then all else, and nothing that was written is lost.
    fn go_down(&mut self, context: &Context<'static>) -> Result<u8> {
        let _why = because!("bring the machine down");
        let running = running(context).unwrap_or_default();
        if !running.is_empty() {
            let _ = self.child(&mut || {
                let mut args = alloc::vec![c"stop", c"-t", PATIENCE];
                args.extend(&running);
                Ok(args)
            });
        }
        machine::sync();
        let _ = mount::mount(None, file::path(STATE)?, None, libc::MS_REMOUNT | libc::MS_RDONLY, None);
        machine::sync();
        machine::reboot(self.end.unwrap_or(libc::RB_POWER_OFF))?;
        // A machine that can't be switched off stands still.
        loop {
            process::sleep(1 << 20);
        }
    }
}

/// Sees to it that vial's state has a place: on a disk, or in memory, in a file system that can hold an overlay's changes.
fn state(device: &str) -> Result<()> {
    let _why = because!("have a place for vial's state");
    if device.is_empty() {
        return mount_one(c"tmpfs", STATE, libc::MS_NODEV, c"mode=700");
    }
    file::mkdir_all(STATE, 0o700)?;
    let (source, target) = (file::path(device)?, file::path(STATE)?);
    let mut result = Ok(());
    for _ in 0..100 {
        for kind in DISKS {
            result = mount::mount(Some(source), target, Some(kind), 0, None);
            if result.is_ok() {
                return Ok(());
            }
        }
        if file::exists(CWD, source) {
            break;
        }
        // The kernel still looks for disks.
        process::sleep(20);
    }
    result.map_err(|error| error.hint(phrase!("boot: data names a block device with ext4, btrfs, xfs or f2fs on it")))
}

/// What makes an image of an archive: those that hold images are loaded, others become one of the file's name.
fn image(path: &'static str, name: &str) -> Result<Vec<&'static CStr>> {
    let stem = name.parts(b'.').next().unwrap_or_default();
    let source: &CStr = file::path(path)?;
    file::umask(0);
    let holds_images = || -> Result<bool> {
        let store = Store::open(STATE)?;
        Ok(Layout::open(&store, look(path.as_bytes())?, 0)?.images(&NATIVE).is_ok())
    };
    if holds_images().unwrap_or(false) {
        return Ok(alloc::vec![c"load", c"-q", c"-i", source]);
    }
    Ok(alloc::vec![c"import", source, file::path(stem)?])
}

/// The IDs of containers that run.
fn running(context: &Context<'static>) -> Result<Vec<&'static CStr>> {
    let Some(root) = context.look_for_root()? else { return Ok(Vec::new()) };
    let bundles = Bundles::open(root)?;
    let mut running = Vec::new();
    for &(id, name) in bundles.list()? {
        if Seen::look(&bundles, (id, name)).ok().flatten().is_some_and(|seen| seen.condition.is_running()) {
            running.push(file::path(id)? as &CStr);
        }
    }
    Ok(running)
}
