//! What a container may do: capabilities, the filter of system calls, what is hidden from it, and devices.

use alloc::vec::Vec;

use super::Options;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::cli::flags::Id;
use crate::container::launch;
use crate::container::spec::{Device, DeviceKind, Linux, Process, Seccomp, Spec};
use crate::kernel::security::{caps, seccomp};
use crate::sys::cold::Gate;
use crate::sys::{because, fd, file, process, security};

/// The most bytes that a profile may have.
const PROFILE: usize = 1 << 20;

/// What is asked for only seldom.
static COLD_GATE_SELDOM: Gate<fn(Options, &mut Spec) -> Result<()>> = Gate(unusual);

/// Gives the specification the rights that the options come to.
#[inline(never)]
pub(super) fn apply(options: Options, spec: &mut Spec) -> Result<()> {
    let privileged = options.parsed.on(Id::RunPrivileged);
    let mut granted = options.capabilities();
    if granted == caps::ALL || options.cap_add == caps::ALL {
        // All that there is to give: this kernel or whoever started vial may know fewer.
        granted &= security::capget()?.permitted;
    }
    if let Some(process) = &mut spec.process {
        grant(process, granted);
    }
    let asked = &options.security;
    if matches!(asked.seccomp, "" | "default") && !(privileged && asked.seccomp.is_empty()) {
        spec.annotations.push((launch::SECCOMP, "default"));
    }
    let is_usual = matches!(asked.seccomp, "" | "default" | "unconfined")
        && asked.mask.is_empty()
        && asked.unmask.is_empty()
        && spec.linux.as_ref().is_none_or(|linux| linux.mount_label.is_none())
        && !privileged;
    if is_usual { Ok(()) } else { COLD_GATE_SELDOM.open()?(options, spec) }
}

fn unusual(options: Options, spec: &mut Spec) -> Result<()> {
    let asked = &options.security;
    let is_labelled = spec.linux.as_ref().is_some_and(|linux| linux.mount_label.is_some());
    if is_labelled && options.mounts.iter().any(|mount| mount.labelled) {
        return Err(Error::new(phrase!(
            "--volume: z and Z conflict with --security-opt label=: vial labels no files of the host's"
        ))
        .hint(phrase!("chcon labels them: chcon -R -t container_file_t PATH")));
    }
    let bounding = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    let bounding = bounding.map_or(0, |sets| {
        sets.bounding.iter().filter_map(|name| caps::number(name)).fold(0, |set, number| set | 1 << number)
    });
    let privileged = options.parsed.on(Id::RunPrivileged);
    if privileged {
        for mount in &mut spec.mounts {
            if matches!(mount.destination, "/sys" | "/sys/fs/cgroup") {
                mount.options.retain(|option| *option != "ro");
            }
        }
    }
    let Some(linux) = &mut spec.linux else { return Ok(()) };
    if !matches!(asked.seccomp, "" | "default" | "unconfined") {
        linux.seccomp =
            Some(Seccomp(profile(asked.seccomp, bounding).map_err(|error| error.option("--security-opt"))?));
    }
    let is_shown = |path: &&'static str| {
        privileged
            || asked.unmask.iter().any(|shown| match shown.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => shown == path,
            })
    };
    linux.masked_paths.retain(|path| !is_shown(path));
    linux.readonly_paths.retain(|path| !is_shown(path));
    for path in &asked.mask {
        linux.masked_paths.push(crate::base::keep::copy(path));
    }
    if privileged { all_devices(linux) } else { Ok(()) }
}

/// A profile of docker's form as the filter of a container with these capabilities.
///
/// # Errors
/// What is no profile.
pub(in crate::cli) fn profile(path: &str, bounding: u64) -> Result<Value> {
    let _why = because!("read the seccomp profile");
    let text = file::read_file(fd::CWD, file::path(path)?, PROFILE)?;
    let malformed = |why: &str| Error::new(say!("the seccomp profile {} is malformed: {}", path, why));
    let profile = json::parse(&text).map_err(|error| malformed(&alloc::format!("{error}")))?;
    let kernel = process::uname()?[2];
    let resolved = seccomp::resolve(&profile, bounding, kernel)?;
    // What is wrong in it is told now, and not when it is started.
    let mut whole = Seccomp::default();
    json::record::take(&mut whole, &resolved).map_err(|error| malformed(&alloc::format!("{error}")))?;
    seccomp::compile(&whole.0)?;
    Ok(whole.0)
}

/// Gives the container all devices that the host has.
fn all_devices(linux: &mut Linux) -> Result<()> {
    let _why = because!("find the host's devices, all of which a privileged container has");
    let rule = json::object([("allow", true.into()), ("access", "rwm".into())]);
    linux.resources.get_or_insert_default().0.set("devices", [rule].to_vec().into());
    let mut found = Vec::new();
    devices_below("/dev", &mut found)?;
    found.retain(|device: &Device| !linux.devices.iter().any(|asked| asked.path == device.path));
    linux.devices.append(&mut found);
    Ok(())
}

/// Adds the devices below a directory, but for what each container has of its own.
fn devices_below(directory: &str, found: &mut Vec<Device>) -> Result<()> {
    let opened = file::open(fd::CWD, file::path(directory)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
    for entry in file::list(opened.by_ref())? {
        let path = join!("{}/{}", directory, entry.name.to_string_lossy());
        if matches!(path, "/dev/pts" | "/dev/shm" | "/dev/fd" | "/dev/mqueue" | "/dev/console" | "/dev/ptmx") {
            continue;
        }
        let Ok(stat) = file::stat(opened.by_ref(), &entry.name) else { continue };
        let kind = match u32::from(stat.mode) & libc::S_IFMT {
            libc::S_IFDIR => {
                devices_below(path, found)?;
                continue;
            }
            libc::S_IFBLK => DeviceKind::Block,
            libc::S_IFCHR => DeviceKind::Char,
            _ => continue,
        };
        found.push(Device {
            kind,
            path,
            major: Some(stat.rdev_major.into()),
            minor: Some(stat.rdev_minor.into()),
            file_mode: Some(u32::from(stat.mode) & 0o7777),
            uid: Some(stat.uid),
            gid: Some(stat.gid),
        });
    }
    Ok(())
}

/// Gives a process these capabilities and no others.
#[inline(never)]
pub(in crate::cli) fn grant(process: &mut Process, granted: u64) {
    let mut names = Vec::new();
    for (number, name) in caps::names().enumerate() {
        if granted & 1 << number != 0 {
            names.push(join!("CAP_{}", name));
        }
    }
    let sets = process.capabilities.get_or_insert_default();
    (sets.bounding, sets.effective, sets.permitted) = (names.clone(), names.clone(), names);
}
