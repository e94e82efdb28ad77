//! The specification of a container: docker's defaults, changed as the user and the image ask.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::image::Found;
use super::sources::{self, Sources};
use super::{Options, Words, confined, environment, rights};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::text;
use crate::cli::flags::{self, Id};
use crate::cli::options::limits::throttle;
use crate::cli::options::{self, mounts, namespaces, network};
use crate::cli::parse::Parsed;
use crate::container::files::Servers;
use crate::container::spec::{Linux, Mount, Namespace, NamespaceKind, Process, Spec};
use crate::container::user::Wanted;
use crate::container::{defaults, launch, remains, user_network};
use crate::sys::users;

/// What a specification is made of.
pub(super) struct Parts<'a> {
    pub(super) options: Options,
    pub(super) found: &'static Found,
    /// The storage driver, if it gives the container a tree of its own.
    pub(super) storage: &'static str,
    pub(super) sources: &'static Sources,
    pub(super) command: Words,
    pub(super) env: Words,
    pub(super) wanted: Wanted<'static>,
    pub(super) hostname: &'static str,
    pub(super) id: &'static str,
    /// Whether what can't be enforced is a warning.
    pub(super) best_effort: bool,
    /// Finds ID and first process of another container.
    pub(super) containers: &'a dyn Fn(&str) -> Result<(&'static str, u32)>,
}

/// Builds it.
#[inline(never)]
pub(super) fn build(parts: &Parts<'_>) -> Result<&'static mut Spec> {
    let options = parts.options;
    let mut asked = options.spec.take();
    devices(options.parsed, &mut asked)?;
    let mut document = defaults::document();
    options::merge(&mut document, &asked);
    let spec = Box::leak(Box::new(Spec::from_json(&document)?));
    if !options.is(Id::Uts, namespaces::HOST | namespaces::CONTAINER) {
        spec.hostname = Some(parts.hostname);
    }
    mount(parts, &mut spec.mounts);
    annotations(parts, &mut spec.annotations)?;
    // The defaults have both.
    if let Some(asked) = &mut spec.process {
        process(parts, asked);
    }
    if let Some(asked) = &mut spec.linux {
        linux(parts, asked, &mut spec.annotations)?;
    }
    rights::apply(options, spec)?;
    if users::is_confined() {
        confined::COLD_GATE_SELDOM.open()?(options, spec)?;
    }
    Ok(spec)
}

/// The annotations that [`annotations`] adds.
static NOTES: &[&str] = &[
    launch::IMAGE,
    launch::LAYERS,
    launch::DIRECTORY,
    launch::FILE,
    launch::STORAGE,
    launch::USER,
    launch::GROUP,
    launch::GROUPS,
    launch::FILLS,
    launch::INPUT,
    launch::BEST_EFFORT,
    launch::LOSSY,
    remains::VOLUMES,
    launch::STOP_SIGNAL,
    launch::RESOLV,
];

/// What the specification has no member for, but a later start needs, as far as flags alone don't say it.
#[inline(never)]
fn annotations(parts: &Parts<'_>, annotations: &mut Annotations) -> Result<()> {
    let parsed = parts.options.parsed;
    let input = match (parsed.on(Id::Interactive), parsed.on(Id::Detach)) {
        (false, _) => "",
        (true, false) => "once",
        (true, true) => "open",
    };
    let lossy = [parts.command, parts.env].iter().any(|words| words.iter().any(|word| word.to_str().is_err()));
    let set = |on: bool| if on { "true" } else { "" };
    // What flags say is there already.
    let signal = if parsed.last(Id::StopSignal).is_none() { parts.found.stop_signal } else { "" };
    let resolver = if parts.options.is(Id::Network, namespaces::NETWORKED | namespaces::USER) {
        if parsed.on(Id::PublishAll) {
            let place = annotations.iter().position(|(name, _)| *name == launch::PORTS).unwrap_or_else(|| {
                annotations.push((launch::PORTS, ""));
                annotations.len() - 1
            });
            let exposed = network::exposed(parsed, &parts.found.exposed);
            network::publish_all(exposed, &mut annotations[place].1);
        }
        environment::resolver(parts.options, Servers::Not)?
    } else {
        ""
    };
    let values = [
        parts.found.name,
        parts.found.digests,
        parts.found.directory,
        parts.found.file,
        parts.storage,
        parts.wanted.user,
        parts.wanted.group,
        parts.wanted.further.join(",").leak(),
        &parts.sources.fills,
        input,
        set(parts.best_effort),
        set(lossy),
        parts.sources.unnamed.join(",").leak(),
        signal,
        resolver,
    ];
    if let (namespaces::USER, program) = parts.options.mode(Id::Network) {
        annotations.push((user_network::USER_NETWORK, program));
    }
    for (name, value) in NOTES.iter().zip(values) {
        if !value.is_empty() {
            annotations.push((*name, value));
        }
    }
    Ok(())
}

#[inline(never)]
fn process(parts: &Parts<'_>, process: &mut Process) {
    let options = parts.options;
    process.args = super::lossy(parts.command);
    process.env = super::lossy(parts.env);
    if options.parsed.text(Id::Workdir).is_empty() && parts.found.workdir.starts_with('/') {
        process.cwd = parts.found.workdir;
    }
}

fn mount(parts: &Parts<'_>, mounts: &mut Vec<Mount>) {
    let options = parts.options;
    for mount in &mut *mounts {
        if mount.destination != "/dev/shm" {
        } else if options.is(Id::Ipc, namespaces::HOST) {
            mount.kind = Some("bind");
            mount.source = Some("/dev/shm");
            mount.options = alloc::vec!["rbind", "nosuid", "noexec", "nodev"];
        } else {
            let size = text::size(options.parsed.text(Id::ShmSize)).unwrap_or(defaults::SHM_SIZE);
            mount.options.push(join!("size={}", size));
        }
    }
    // What the user mounts takes the place of what would be there.
    let mut asked = parts.sources.mounts.take();
    mounts.retain(|mount| {
        let unwanted = mount.destination == "/dev/shm" && options.is(Id::Ipc, namespaces::NONE);
        !unwanted && !asked.iter().any(|asked| asked.destination == mount.destination)
    });
    mounts.append(&mut asked);
}

type Annotations = Vec<(&'static str, &'static str)>;

fn linux(parts: &Parts<'_>, linux: &mut Linux, annotations: &mut Annotations) -> Result<()> {
    join_namespaces(parts, &mut linux.namespaces, annotations)?;
    let mut parent = match parts.options.parsed.text(Id::CgroupParent) {
        "" => "vial",
        parent => parent,
    };
    while let Some(rest) = parent.strip_prefix('/').or_else(|| parent.strip_suffix('/')) {
        parent = rest;
    }
    linux.cgroups_path = Some(join!("/{}/{}", parent, parts.id));
    Ok(())
}

/// The namespaces: its own, unless it shares the host's or another container's.
#[inline(never)]
fn join_namespaces(parts: &Parts<'_>, namespaces: &mut Vec<Namespace>, annotations: &mut Annotations) -> Result<()> {
    let choices = [
        (NamespaceKind::Pid, Id::Pid),
        (NamespaceKind::Network, Id::Network),
        (NamespaceKind::Ipc, Id::Ipc),
        (NamespaceKind::Uts, Id::Uts),
        (NamespaceKind::Cgroup, Id::CgroupNs),
    ];
    let mut shared = Vec::new();
    for (kind, id) in choices {
        let path = match parts.options.mode(id) {
            (namespaces::HOST, _) => {
                namespaces.retain(|namespace| namespace.kind != kind);
                continue;
            }
            (namespaces::CONTAINER, other) => match (parts.containers)(other) {
                Ok((id, pid)) => {
                    shared.push(join!("{}={}", kind.name(), id));
                    launch::namespace_path(pid, kind.name())
                }
                Err(error) => return Err(error.option(join!("--{}", flags::table::name(id)))),
            },
            (namespaces::PATH, path) => path,
            _ => continue,
        };
        for namespace in &mut *namespaces {
            if namespace.kind == kind {
                namespace.path = Some(path);
            }
        }
    }
    if !shared.is_empty() {
        annotations.push((launch::SHARED, &*shared.join(",").leak()));
    }
    Ok(())
}

/// Looks up the devices that flags name, for their numbers.
#[inline(never)]
pub(in crate::cli) fn devices(parsed: &Parsed<'_>, spec: &mut Value) -> Result<()> {
    for given in &parsed.flags {
        let id = given.flag.id;
        let block_only = match id {
            Id::DeviceReadBps | Id::DeviceWriteBps | Id::DeviceReadIops | Id::DeviceWriteIops => true,
            Id::Device => false,
            _ => continue,
        };
        // What can't be read was refused before.
        let text = given.text()?;
        let rate = throttle(id, text).unwrap_or_default();
        let asked = mounts::device(text).ok();
        let path = asked.map_or(rate.0, |asked| asked.host);
        let (is_block, major, minor) = sources::device(path, join!("--{}", given.flag.long()), block_only)?;
        let (major, minor) = (join!("{}", major), join!("{}", minor));
        if let Some(asked) = asked {
            let kind = if is_block { "b" } else { "c" };
            let rule = ["true", kind, major, minor, asked.access];
            options::add(spec, Id::DeviceCgroupRule, "allow type major minor access", &rule);
            let node = [kind, asked.container, major, minor, "438"];
            options::add(spec, id, "type path major minor fileMode", &node);
        } else {
            options::add(spec, id, "major minor rate", &[major, minor, join!("{}", rate.1)]);
        }
    }
    Ok(())
}
