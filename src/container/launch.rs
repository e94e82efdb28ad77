//! What it takes to start a container, read from its specification alone, so that every start is as the first one.
//!
//! The specification has no member for some of it. That stands in annotations, whose names are below.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::bundle::{Bundles, read_json};
use super::log::LogOptions;
use super::plan::{MOUNTED, Root};
use super::spec::Spec;
use super::state::Seen;
use super::user::Wanted;
use super::volume::{self, Volumes};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::text::{Cut, decimal_i64};
use crate::storage::TREE;
use crate::sys::{Fd, FdRef, because, file};

/// The image as the user named it.
pub const IMAGE: &str = "vial.image";
/// Digests of the image's layers, the lowest first, with commas between them.
pub const LAYERS: &str = "vial.layers";
/// A directory of the host's that is the only layer.
pub const DIRECTORY: &str = "vial.directory";
/// A file system image that is the lowest layer: a path from the container's directory, or an absolute one.
pub const FILE: &str = "vial.file";
/// The storage driver, if it gives the container a tree of its own.
pub const STORAGE: &str = "vial.storage";
/// Who the workload is to be, if not the specification's number: user, group, and further groups with commas between them.
pub const USER: &str = "vial.user";
/// See [`USER`].
pub const GROUP: &str = "vial.group";
/// See [`USER`].
pub const GROUPS: &str = "vial.groups";
/// What asks the workload to stop.
pub const STOP_SIGNAL: &str = "vial.stopSignal";
/// How many seconds it then has.
pub const STOP_TIMEOUT: &str = "vial.stopTimeout";
/// Targets of volumes that get what the image has there while they are empty, a line each.
pub const FILLS: &str = "vial.fills";
/// Namespaces shared with other containers: `pid=ID,network=ID`.
pub const SHARED: &str = "vial.shared";
/// What to do when the workload has ended; see [`super::monitor::Policy`].
pub const RESTART: &str = "vial.restart";
/// Set if vial stays as the container's init.
pub const INIT: &str = "vial.init";
/// Set if standard input is kept open; `once` if it ends with the first that is attached to it.
pub const INPUT: &str = "vial.stdin";
/// Set if what can't be enforced is a warning.
pub const BEST_EFFORT: &str = "vial.bestEffort";
/// `default` if its processes make the system calls of the default profile only; one of the user's own stands in `linux.seccomp`.
pub const SECCOMP: &str = "vial.seccomp";
/// The only paths below which its processes use files, as `--landlock` has them.
pub const LANDLOCK: &str = "vial.landlock";
/// Set if the command holds bytes that the specification can't.
pub const LOSSY: &str = "vial.lossy";

/// The first ID of the range that was leased to the container ([`super::ranges`]).
pub const RANGE: &str = "vial.range";
/// Set if the files of the container's tree belong to the IDs of its user namespace, since mounts can't map them.
pub const SHIFTED: &str = "vial.shifted";

/// The networks that it is on, a line each: `NAME[ alias=A]...[ ip=A][ ip6=A][ mac=M]`.
pub const NETWORKS: &str = "vial.networks";
/// The ports that lead to it, a line each: `PROTOCOL ADDRESS HOSTPORT PORT`, with `*` for all addresses and 0 for a port that is
/// chosen.
pub const PORTS: &str = "vial.ports";
/// The servers that are asked for names in place of the host's, with blanks between them.
pub const DNS: &str = "vial.dns";
/// The lines of resolv.conf besides servers.
pub const RESOLV: &str = "vial.resolv";
/// Further lines of hosts: `NAME ADDRESS`, or `NAME host-gateway`.
pub const HOSTS: &str = "vial.hosts";

/// How many seconds a container has to end once it was asked to, unless it was made to have others; docker's.
const PATIENCE: i64 = 10;

/// How many seconds the container of this `config.json` has to end once it was asked to; below 0 all that it takes.
#[must_use]
pub fn patience(config: &Value) -> i64 {
    let own = config.at(&["annotations", STOP_TIMEOUT]).and_then(Value::as_str);
    own.and_then(decimal_i64).unwrap_or(PATIENCE)
}

/// What an annotation says; empty without it.
#[must_use]
pub fn annotation(spec: &Spec, name: &str) -> &'static str {
    spec.annotations.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// Words for execve(2).
pub type Words = &'static [&'static CStr];

/// A container that can be started.
pub struct Launch {
    /// The specification.
    pub spec: &'static mut Spec,
    /// The program and its arguments.
    pub args: Words,
    /// The environment.
    pub env: Words,
    /// Who the workload is to be.
    pub wanted: Wanted<'static>,
    /// How its log is kept.
    pub log: LogOptions,
}

/// The digests of the image's layers, the lowest first.
pub(super) fn digests(annotation: &dyn Fn(&str) -> &'static str) -> Vec<&'static str> {
    list(annotation(LAYERS), b',')
}

/// The directories of the layers as seen from the container's, the topmost first, by what its annotations say: where that is
/// a file system image, the place where it is mounted.
#[inline(never)]
pub(super) fn layers(annotation: &dyn Fn(&str) -> &'static str) -> Vec<&'static str> {
    let (file, directory) = (annotation(FILE), annotation(DIRECTORY));
    let mut layers = Vec::new();
    for layer in digests(annotation) {
        layers.insert(0, join!("../../layers/{}/diff", layer));
    }
    if !file.is_empty() {
        layers.pop();
        layers.push(keep::lossy(MOUNTED.to_bytes()));
    }
    if !directory.is_empty() {
        layers.push(directory);
    }
    layers
}

/// The parts of a list, none if it is empty.
fn list(text: &'static str, separator: u8) -> Vec<&'static str> {
    text.parts(separator).filter(|part| !part.is_empty()).collect()
}

fn words(texts: &[&str]) -> Result<Words> {
    let mut words = Vec::with_capacity(texts.len());
    for text in texts {
        words.push(file::path(text)?);
    }
    Ok(words.leak())
}

impl Launch {
    /// Reads what the specification says.
    ///
    /// # Errors
    /// A word with a zero byte.
    pub fn new(spec: &'static mut Spec) -> Result<Launch> {
        let further = list(annotation(spec, GROUPS), b',').leak();
        let wanted = Wanted { user: annotation(spec, USER), group: annotation(spec, GROUP), further };
        let (args, env) = match &spec.process {
            Some(process) => (words(&process.args)?, words(&process.env)?),
            None => (&[][..], &[][..]),
        };
        Ok(Launch { spec, args, env, wanted, log: LogOptions::default() })
    }

    /// Reads a container's `config.json`.
    ///
    /// # Errors
    /// It is missing or damaged, or does not hold the whole command.
    pub fn read(directory: FdRef<'_>) -> Result<Launch> {
        let _why = because!("read what the container is");
        let config = read_json(directory, c"config.json")?;
        let config: &'static Value = alloc::boxed::Box::leak(alloc::boxed::Box::new(config.unwrap_or(Value::Null)));
        let spec = Spec::from_json(config)
            .map_err(|error| Error::new(say!("config.json of the container is damaged: {}", error)))?;
        if !annotation(&spec, LOSSY).is_empty() {
            return Err(Error::new(phrase!("the container's command or environment holds bytes that are not UTF-8"))
                .hint(phrase!("it could be run once only; make it anew with vial run")));
        }
        let launch = Launch::new(alloc::boxed::Box::leak(alloc::boxed::Box::new(spec)))?;
        Ok(Launch { log: LogOptions::from_annotations(config), ..launch })
    }

    /// What an annotation says; empty without it.
    #[must_use]
    pub fn annotation(&self, name: &str) -> &'static str {
        annotation(self.spec, name)
    }

    /// What the container's root is made of; `volatile` if its changes go with it.
    #[must_use]
    pub fn root(&self, volatile: bool) -> Root {
        if !self.annotation(STORAGE).is_empty() {
            return Root::Directory(TREE);
        }
        let (layers, image) = (layers(&|name| self.annotation(name)).leak(), self.annotation(FILE));
        Root::Overlay { layers, image, upper: "upper", work: "work", target: "rootfs", volatile }
    }

    /// Whether the workload has a terminal.
    #[must_use]
    pub fn terminal(&self) -> bool {
        self.spec.process.as_ref().is_some_and(|process| process.terminal)
    }

    /// Makes the volumes that are missing; the targets of those that are to be filled with what the image has there.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn make_volumes(&self, root: FdRef<'_>) -> Result<&'static [&'static str]> {
        let mut volumes = None;
        let candidates = list(self.annotation(FILLS), b'\n');
        let mut fills = Vec::new();
        for mount in &self.spec.mounts {
            let Some(name) = mount.source.and_then(volume::name_in) else { continue };
            let volumes = match &volumes {
                Some(volumes) => volumes,
                None => volumes.insert(Volumes::open(root)?),
            };
            let data = volumes.make(name)?;
            if candidates.contains(&mount.destination) && file::list(data.by_ref())?.is_empty() {
                fills.push(mount.destination);
            }
        }
        Ok(fills.leak())
    }

    /// Finds the namespaces of other containers that this one shares: those have other processes after each start.
    ///
    /// # Errors
    /// One of them does not run.
    pub fn find_shared(&mut self, bundles: &Bundles) -> Result<()> {
        for shared in list(self.annotation(SHARED), b',') {
            let (name, id) = shared.cut(b'=').unwrap_or((shared, ""));
            let path = namespace_path(first_process(bundles, id)?.1, name);
            for namespace in self.spec.linux.iter_mut().flat_map(|linux| &mut linux.namespaces) {
                if namespace.kind.name() == name {
                    namespace.path = Some(path);
                }
            }
        }
        Ok(())
    }
}

/// Where the kernel shows a process's namespace of a kind.
#[must_use]
pub fn namespace_path(pid: u32, kind: &str) -> &'static str {
    join!("/proc/{}/ns/{}", pid, (if kind == "network" { "net" } else { kind }))
}

/// ID and first process of a container that runs.
///
/// # Errors
/// There is none of this name, or it does not run.
pub fn first_process(bundles: &Bundles, name: &str) -> Result<(&'static str, u32)> {
    let seen = Seen::look(bundles, bundles.find(name)?)?;
    match seen.filter(|seen| seen.condition.is_running()) {
        Some(seen) => Ok((seen.id, seen.state.pid)),
        None => Err(Error::new(say!("container {} does not run", name)).hint(phrase!("its namespaces went with it"))),
    }
}

/// Opens a container's directory with the lock that its owner has.
///
/// # Errors
/// It has an owner.
pub fn own(bundles: &Bundles, id: &str, name: &str) -> Result<Fd> {
    match bundles.take(id)? {
        Some((directory, true)) => Ok(directory),
        Some(_) => Err(Error::new(say!("container {} is running or being started", name))),
        None => Err(Error::new(say!("no such container: {}", name))),
    }
}
