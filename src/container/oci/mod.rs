//! Containers of engines that use vial as their runtime: the OCI runtime's operations. The engine has the bundle; vial keeps
//!
//! ```text
//! ROOT/ID/config.json   what the container was made of, whatever becomes of the bundle
//! ROOT/ID/state.json    where the bundle is, which process is the container's first one
//! ROOT/ID/start         the socket at which that process waits to be started
//! ```
//!
//! No process stays with the container: it belongs to whoever called. The first process does all that a container takes, and
//! then waits at the socket; `start` connects to it, and hears over this connection what became of the workload's execution.
//!
//! # Source
//! `runtime.md` of the runtime specification.

mod create;
mod end;
mod start;
mod visit;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use create::{Asked, Made, create};
pub use end::{clean, delete, kill, signal_all};
pub use start::start;
pub use visit::{Visit, exec};

use super::bundle::{Bundle, Durable, damaged, read_json};
use super::launch::{self, Launch};
use super::spec::{OCI_VERSION, Spec};
use super::{hooks, process, scope};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::json::record::{self, record};
use crate::base::keep::{self, Kept};
use crate::base::text::Cut;
use crate::kernel::cgroup::{Group, GroupPath, Hierarchies};
use crate::sys::{Fd, FdRef, because, fd, file, net};

/// The socket at which a container that was made waits to be started.
const START: &str = "start";

record! {
    /// What `state.json` holds.
    pub struct State {
        /// The bundle's directory, absolute.
        bundle: &'static str = Required "bundle",
        /// The first process; 0 until there is one.
        pid: u32 = Optional "pid",
        /// When it began; see [`super::process::began`].
        pid_start: u64 = Optional "pidStart",
        /// When the container was made, RFC 3339.
        created: &'static str = Required "created",
        /// The path of the control group; empty if there is none.
        group: &'static str = Optional "cgroupsPath",
        /// Directories above the control group that were made for it, a line each.
        parents: &'static str = Optional "cgroupParents",
        /// What tells of the unit that systemd has made for it; see [`super::scope::UNIT`].
        unit: &'static str = Optional "systemdUnit",
        /// Whether the bundle is a container of vial's own store, so that vial's annotations count.
        own: bool = Optional "own",
    }
}

/// How far a container has come, in the specification's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits to be started.
    Created,
    /// Its workload runs.
    Running,
    /// Its workload is frozen.
    Paused,
    /// Its workload has ended, or its making was cut short.
    Stopped,
}

impl Status {
    /// The specification's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// A container that is there.
pub struct Held {
    /// The name that the engine has given it.
    pub id: &'static str,
    /// Its directory.
    pub directory: Fd,
    /// What is known of it.
    pub state: Kept<Box<State>>,
}

/// Opens the directory of all containers, making it if it is missing.
///
/// # Errors
/// mkdir(2), open(2).
pub fn open(root: &str) -> Result<FdRef<'static>> {
    let _why = because!("open the directory that tells of the containers");
    let path = file::path(root)?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let opened = match file::open(crate::sys::fd::CWD, path, flags) {
        Err(error) if error.is(Errno::ENOENT) => {
            file::mkdir_all(root, 0o700)?;
            file::open(crate::sys::fd::CWD, path, flags)
        }
        result => result,
    };
    opened.map(Fd::keep).map_err(|error| error.hint(phrase!("--root DIR puts it elsewhere")))
}

/// The containers, by name.
///
/// # Errors
/// What the file system refuses.
pub fn list(root: FdRef<'_>) -> Result<Vec<&'static str>> {
    let mut names = super::bundle::entries(root)?;
    crate::base::sort::sort(&mut names, |one, other| one < other);
    Ok(names)
}

/// Finds a container.
///
/// # Errors
/// There is none, or what tells of it is damaged.
pub fn find(root: FdRef<'_>, id: &str) -> Result<Held> {
    match look(root, id)? {
        Some(held) => Ok(held),
        None => Err(missing(id)),
    }
}

/// The error for a container that is not there.
#[cold]
fn missing(id: &str) -> Error {
    // Engines know these words.
    Error::new(say!("container {} does not exist", id))
}

/// Finds a container, if it is there.
///
/// # Errors
/// What tells of it is damaged.
pub fn look(root: FdRef<'_>, id: &str) -> Result<Option<Held>> {
    let Some(mut held) = open_one(root, id)? else { return Ok(None) };
    if let Some(value) = read_json(held.directory.by_ref(), c"state.json")? {
        record::take(&mut **held.state, &value).map_err(|error| damaged("state.json", &error))?;
    }
    Ok(Some(held))
}

/// Finds a container that is to go, whatever is left of what tells of it.
///
/// # Errors
/// What the file system refuses.
pub fn look_anyway(root: FdRef<'_>, id: &str) -> Result<Option<Held>> {
    match look(root, id) {
        Err(error) => open_one(root, id).and_then(|held| held.map_or(Err(error), |held| Ok(Some(held)))),
        found => found,
    }
}

fn open_one(root: FdRef<'_>, id: &str) -> Result<Option<Held>> {
    let id = checked(id)?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = match file::open(root, file::path(id)?, flags) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(None),
        directory => directory?,
    };
    Ok(Some(Held { id, directory, state: Kept::default() }))
}

/// A container's name, which becomes a part of paths.
///
/// # Errors
/// It is none.
fn checked(id: &str) -> Result<&'static str> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id.is_empty() || id.len() > 255 || id == "." || id == ".." || !id.bytes().all(is_good) {
        return Err(Error::new(say!("invalid container ID {}", crate::base::text::Quoted(id)))
            .hint(phrase!("accepted: up to 255 letters, digits, and any of _ + - .")));
    }
    Ok(keep::copy(id))
}

impl Held {
    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> Status {
        if !process::is_alive(self.state.pid, self.state.pid_start) {
            // Who makes it has its directory locked.
            let free = file::try_lock(self.directory.by_ref(), file::Lock::Shared).unwrap_or(true);
            if free {
                let _ = file::unlock(self.directory.by_ref());
            }
            return if free || self.state.pid != 0 { Status::Stopped } else { Status::Creating };
        }
        if self.waits() {
            return Status::Created;
        }
        match self.find_group() {
            Ok(Some(group)) if group.is_frozen().unwrap_or(false) => Status::Paused,
            _ => Status::Running,
        }
    }

    /// Whether it waits to be started. `start` removes the socket once the workload is executed, or was killed before it could.
    fn waits(&self) -> bool {
        let there = file::exists(self.directory.by_ref(), c"start");
        there && net::connect_at(self.directory.by_ref(), START).is_ok()
    }

    /// Refuses what needs a workload.
    ///
    /// # Errors
    /// There is none.
    pub fn running(&self) -> Result<()> {
        match self.status() {
            Status::Running | Status::Paused => Ok(()),
            // Engines know these words.
            status => Err(Error::new(say!("container not running: {} is {}", self.id, status.name()))),
        }
    }

    /// Refuses what needs a process of the container's, be it one that waits to be started.
    ///
    /// # Errors
    /// There is none.
    pub fn started(&self) -> Result<()> {
        if self.status() == Status::Created { Ok(()) } else { self.running() }
    }

    /// What it was made of.
    ///
    /// # Errors
    /// That is missing or damaged.
    pub fn config(&self) -> Result<&'static Value> {
        let config = read_json(self.directory.by_ref(), c"config.json")?;
        Ok(Box::leak(Box::new(config.unwrap_or(Value::Null))))
    }

    /// The same as types, with what starts it.
    ///
    /// # Errors
    /// As [`Held::config`].
    pub fn launch(&self) -> Result<Launch> {
        let mut spec = Spec::from_json(self.config()?).map_err(|error| damaged("config.json", &error))?;
        if !self.state.own {
            disown(&mut spec);
        }
        Launch::new(Box::leak(Box::new(spec)))
    }

    /// Its control group, in those hierarchies where it has a directory.
    ///
    /// # Errors
    /// It has none; what hides the host's control groups.
    pub fn group(&self) -> Result<Group> {
        let none = || Error::new(say!("container {} has no control group", self.id));
        self.find_group()?.ok_or_else(none)
    }

    /// The same; `None` if it was made without one.
    ///
    /// # Errors
    /// What hides the host's control groups.
    pub fn find_group(&self) -> Result<Option<Group>> {
        match self.group_path()? {
            Some(path) => Group::open_existing(&Hierarchies::detect()?, path).map(Some),
            None => Ok(None),
        }
    }

    /// Where its control group is; `None` if it was made without one.
    fn group_path(&self) -> Result<Option<GroupPath>> {
        let path = if self.state.created.is_empty() {
            // Of what is damaged the copy of the specification may be left.
            self.config()?.at(&["linux", "cgroupsPath"]).and_then(Value::as_str).unwrap_or_default()
        } else {
            self.state.group
        };
        if path.is_empty() { Ok(None) } else { GroupPath::new(path).map(Some) }
    }

    /// Has systemd know of these limits too, if it has made the group: it would set them back otherwise when it reads its
    /// configuration anew.
    ///
    /// # Errors
    /// systemd refuses them, or can't be reached.
    pub fn tell_systemd(&self, resources: &Value) -> Result<()> {
        if self.state.unit.is_empty() {
            return Ok(());
        }
        let change = scope::COLD_GATE_OCI_UNIT.open()?.change;
        change(&Hierarchies::detect()?, resources, self.group()?.path(), self.state.unit)
    }

    /// What engines and hooks are told of it.
    ///
    /// # Errors
    /// As [`Held::config`].
    pub fn told(&self, status: Status) -> Result<Value> {
        let pid = if status == Status::Stopped { 0 } else { self.state.pid };
        Ok(hooks::told(&self.template()?, status.name(), pid))
    }

    /// The parts of it that do not change.
    fn template(&self) -> Result<Value> {
        Ok(template(self.id, self.state.bundle, self.config()?.get("annotations")))
    }

    fn save(&mut self) -> Result<()> {
        Bundle::replace(self.directory.by_ref(), c"state.json", &record::write(&mut **self.state), Durable::Never)
    }
}

/// What does not change of what is told of a container.
fn template(id: &'static str, bundle: &'static str, annotations: Option<&Value>) -> Value {
    let mut told = Value::Null;
    told.text("ociVersion", OCI_VERSION);
    told.text("id", id);
    told.text("bundle", bundle);
    if let Some(annotations) = annotations {
        told.set("annotations", annotations.clone());
    }
    told
}

/// Takes vial's own annotations out of a specification by others. Those tell of what the user of an engine may not decide, such as
/// which directories of the host's make up the root.
fn disown(spec: &mut Spec) {
    spec.annotations.retain(|(name, _)| !name.starts_with("vial."));
}

/// Whether a bundle is a container of vial's own store: it lies where those do, and has a state that only vial writes. Annotations
/// are the choice of an engine's user; its bundles' places and what else is in them are not.
fn is_own(bundle: FdRef<'_>, spec: &Spec) -> bool {
    let has_root = [launch::LAYERS, launch::DIRECTORY, launch::FILE, launch::STORAGE]
        .iter()
        .any(|name| !launch::annotation(spec, name).is_empty());
    let place = || {
        let link = file::path(join!("/proc/self/fd/{}", bundle.number() as u64))?;
        file::readlink(fd::CWD, link).map(|place| keep::lossy(place.to_bytes()))
    };
    let lies_there = |place: &str| {
        let mut names = place.parts(b'/').collect::<Vec<_>>().into_iter().rev();
        names.next().is_some_and(|id| id.len() == 64) && names.next() == Some("containers")
    };
    has_root && place().is_ok_and(lies_there) && super::state::State::load(bundle).is_ok_and(|state| state.is_some())
}
