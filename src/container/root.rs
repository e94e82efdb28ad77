//! A container's files as other commands see them: the root that its processes have, or one that is put together from the
//! same layers where nobody else sees it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::bundle::{Bundles, read_json};
use super::changes::{self, Change};
use super::launch::{self, FILE, STORAGE};
use super::spec::Spec;
use super::state::State;
use super::{plan, process};
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::image::helper::Helper;
use crate::image::resolve::{self, Place};
use crate::image::store::Store;
use crate::kernel::{loopdev, mounts, users as kernel_users};
use crate::storage::{BTRFS, Trees};
use crate::sys::cold::Gate;
use crate::sys::fd::CWD;
use crate::sys::file::Lock;
use crate::sys::uapi::Statx;
use crate::sys::{self, Fd, because, file, mount, users};

/// Rounds of 5 ms after which one that has an owner but does not run is given up.
const ROUNDS: u32 = 400;
/// How directories are opened.
const OPEN: i32 = libc::O_RDONLY | libc::O_DIRECTORY;

/// A container whose files are used. Until this is dropped it is not started or removed, unless it runs.
pub struct Files {
    /// 64 hexadecimal digits.
    pub id: &'static str,
    /// Its directory.
    pub directory: Fd,
    /// Its state.
    pub state: &'static State,
    /// Its `config.json`.
    pub config: &'static Value,
    /// Its first process's directory in `/proc`, which stands for that process even when its number is given out again.
    process: Option<Fd>,
}

impl Files {
    /// Finds a container by name or ID and holds it, alone if its files are to be changed.
    ///
    /// # Errors
    /// There is none; it is being started or removed.
    pub fn hold(bundles: &Bundles, wanted: &str, lock: Lock) -> Result<Files> {
        let (id, _) = bundles.find(wanted)?;
        let _why = because!("keep the container from being started or removed meanwhile");
        for _ in 0..ROUNDS {
            let (found, word) = match lock {
                Lock::Shared => (bundles.look(id)?, true),
                Lock::Exclusive => (bundles.take(id)?, false),
            };
            let Some((directory, owned)) = found else { break };
            let owned = owned == word;
            let state: &State = Box::leak(Box::new(State::load(directory.by_ref())?.unwrap_or_default()));
            let process = first_process(state);
            if process.is_some() || !owned {
                let config = read_json(directory.by_ref(), c"config.json")?;
                if let Some(config) = config
                    && (process.is_some() || !state.remove)
                {
                    return Ok(Files { id, directory, state, config: Box::leak(Box::new(config)), process });
                }
                return Err(Error::new(say!("container {} is dead: only its removal was not finished", wanted))
                    .hint(say!("vial rm {}", wanted)));
            }
            drop(directory);
            sys::process::sleep(5);
        }
        Err(Error::new(say!("container {} is being started or removed, or another command changes its files", wanted))
            .hint(phrase!("try again in a moment")))
    }

    /// Whether the first process is there.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// What an annotation says; empty without it.
    #[must_use]
    #[inline(never)]
    pub fn annotation(&self, name: &str) -> &'static str {
        self.config.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default()
    }

    /// Where something is mounted in the container.
    #[must_use]
    pub fn places(&self) -> Vec<&'static str> {
        let mounts = self.config.get("mounts").and_then(Value::as_array).unwrap_or_default();
        mounts.iter().filter_map(|mount| mount.get("destination")?.as_str()).collect()
    }

    /// Whose the container's root is, if its files have owners of the container's own user namespace where they are looked at:
    /// in its processes' root, or in a tree that was made for it.
    #[must_use]
    pub fn own_root(&self, through_process: bool) -> Option<(u32, u32)> {
        let first = |map| self.config.at(&["linux", map])?.as_array()?.first()?.get("hostID")?.as_u64();
        let shown = through_process && self.runs() || !self.annotation(launch::SHIFTED).is_empty();
        let (uid, gid) = (first("uidMappings")?, first("gidMappings")?);
        shown.then_some((uid as u32, gid as u32))
    }

    /// Has this process see owners of files as the container does, from now on; it does nothing else then.
    ///
    /// # Errors
    /// setns(2), and what the kernel refuses of a user namespace.
    pub fn see_owners(&self, through_process: bool) -> Result<()> {
        if self.own_root(through_process).is_none() {
            return Ok(());
        }
        let _why = because!("see owners of files as the container does");
        let namespace = if let Some(process) = &self.process {
            file::open(process.by_ref(), c"ns/user", libc::O_RDONLY)?
        } else {
            let linux = Spec::from_json(self.config).ok().and_then(|spec| spec.linux).unwrap_or_default();
            kernel_users::make(plan::map_text(&linux.uid_mappings), plan::map_text(&linux.gid_mappings))?
        };
        sys::process::setns(namespace.by_ref(), libc::CLONE_NEWUSER)
    }

    /// The root as the container's processes see it; of one that does not run, as they would, with the volumes and other files
    /// of the host's that are mounted there.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn root(&self, change: bool) -> Result<Fd> {
        if let Some(process) = &self.process {
            let _why = because!("open the container's root, as its first process sees it");
            return file::open(process.by_ref(), c"root", OPEN);
        }
        let fixed = self.config.at(&["root", "readonly"]).and_then(Value::as_bool) == Some(true);
        let flags = if change && !fixed { 0 } else { libc::MS_RDONLY };
        let layers = if self.annotation(STORAGE).is_empty() { self.layers() } else { Vec::new() };
        self.mount(&layers, "upper", "work", flags, true)
    }

    /// The layers with the container's changes, without anything that is mounted there. Of one that runs in a directory of the
    /// host's it is the root with its mounts, since such a directory may hold what would have to lie above it.
    ///
    /// # Errors
    /// mount(2).
    pub fn merged(&self) -> Result<Fd> {
        if let Some(tree) = self.tree() {
            return tree;
        }
        let mut layers = self.layers();
        if self.process.is_none() {
            return self.mount(&layers, "upper", "work", libc::MS_RDONLY, false);
        }
        if !self.annotation(launch::DIRECTORY).is_empty() {
            return self.root(false);
        }
        // The upper and the work directory are in use by the container's own mount.
        layers.insert(0, "upper");
        self.mount(&layers, "", "", libc::MS_RDONLY, false)
    }

    /// What the container has changed, sorted, and the directory that shows it: its overlay's upper one, or its tree.
    ///
    /// # Errors
    /// mount(2); what can't be listed or, with some storage drivers, made in the store.
    pub fn changes(&self, store: &dyn Fn() -> Result<Store>) -> Result<(Vec<Change>, Fd)> {
        if !self.annotation(launch::SHIFTED).is_empty() {
            return Err(Error::new(phrase!(
                "the container's files have owners of its own, so nothing can be compared with its image"
            ))
            .hint(phrase!("vial export has all files, with the owners that the container sees")));
        }
        let tree = self.tree();
        let whole = tree.is_some();
        let (upper, below) = if let Some(tree) = tree {
            (tree?, base(&store()?, &self.directory, &|name| self.annotation(name))?)
        } else {
            // Nothing lies above, but a single layer is no overlay.
            let below = self.mount(&self.layers(), "rootfs/upper", "rootfs/work", libc::MS_RDONLY, false)?;
            (file::open(self.directory.by_ref(), c"upper", OPEN)?, below)
        };
        let _why = because!("compare what is the container's own with its image");
        let changes = changes::list(upper.by_ref(), below.by_ref(), &self.places(), whole)?;
        Ok((changes, upper))
    }

    /// The tree that the container has to itself, with the storage drivers that make one.
    #[must_use]
    pub fn tree(&self) -> Option<Result<Fd>> {
        if self.annotation(STORAGE).is_empty() {
            return None;
        }
        Some(file::open(self.directory.by_ref(), c"tree", OPEN))
    }

    fn layers(&self) -> Vec<&'static str> {
        launch::layers(&|name| self.annotation(name))
    }

    /// Mounts an overlay, or without layers the container's tree, in this process's own copy of the mounts, with which it goes,
    /// and with `all` what else is mounted in the container. Nothing on it is a device or a program.
    #[inline(never)]
    fn mount(&self, layers: &[&'static str], upper: &str, work: &str, flags: libc::c_ulong, all: bool) -> Result<Fd> {
        let _why = because!("put the container's root together, where no other process sees it");
        let back = private(&self.directory, self.annotation(FILE))?;
        let flags = flags | libc::MS_NODEV | libc::MS_NOSUID | libc::MS_NOEXEC;
        if layers.is_empty() {
            bind(c"tree", c"rootfs/root")?;
            mount::mount(None, c"rootfs/root", None, flags | libc::MS_BIND | libc::MS_REMOUNT, None)?;
        } else {
            let mut layers = layers.to_vec();
            plan::short(&mut layers, &mut |target, path| file::symlink(target, CWD, path))?;
            let data = file::path(plan::overlay(&layers, upper, work, users::is_confined()))?;
            mount::mount(Some(c"overlay"), c"rootfs/root", Some(c"overlay"), flags, Some(data))?;
        }
        let root = file::open(CWD, c"rootfs/root", OPEN)?;
        if all {
            let _why = because!("mount the container's volumes there");
            for mount in self.config.get("mounts").and_then(Value::as_array).unwrap_or_default() {
                Files::mount_volume(&root, mount)?;
            }
        }
        file::fchdir(back.by_ref())?;
        Ok(root)
    }

    /// Mounts a volume, or another file or directory of the host's, where it is to be in the container. Links there lead nowhere
    /// outside, and what the container was never started with has no place for it yet.
    #[inline(never)]
    fn mount_volume(root: &Fd, mount: &Value) -> Result<()> {
        let text = |name| mount.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("type") != "bind" {
            return Ok(());
        }
        let source = file::path(text("source"))?;
        let is_directory = |stat: &Statx| u32::from(stat.mode) & libc::S_IFMT == libc::S_IFDIR;
        let directory = is_directory(&*file::stat_follow(CWD, source)?);
        let place = || -> Result<Option<(&str, Fd)>> {
            let found = resolve::find(root.by_ref(), text("destination").as_bytes(), true)?;
            let Some(Place { dir, name, stat }) = found else { return Ok(None) };
            let fits = match stat {
                Some(stat) => is_directory(&stat) == directory,
                None => directory && file::mkdir(dir.by_ref(), &name, 0o755).is_ok(),
            };
            if !fits {
                return Ok(None);
            }
            let place = file::open(dir.by_ref(), &name, libc::O_PATH | libc::O_NOFOLLOW)?;
            Ok(Some((join!("/proc/self/fd/{}", place.number()), place)))
        };
        let Some((target, _place)) = place()? else { return Ok(()) };
        bind(source, file::path(target)?)?;
        // What was opened before lies below it.
        let Some((target, _place)) = place()? else { return Ok(()) };
        let options = mount.get("options").and_then(Value::as_array).unwrap_or_default();
        let fixed = if options.iter().any(|option| option.as_str() == Some("ro")) { libc::MS_RDONLY } else { 0 };
        let flags = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_NODEV | libc::MS_NOSUID | libc::MS_NOEXEC | fixed;
        mount::mount(None, file::path(target)?, None, flags, None)
    }
}

/// Mounts a file or a directory, with all that is mounted there, at another place.
fn bind(source: &CStr, target: &CStr) -> Result<()> {
    mount::mount(Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)
}

/// Moves this process to its own copy of the mounts and to a container's directory; where it was. There is a file system in
/// memory on `rootfs`, and on it the container's file system image, if it has one.
fn private(directory: &Fd, image: &str) -> Result<Fd> {
    let back = file::open(CWD, c".", libc::O_PATH | libc::O_DIRECTORY)?;
    // The current directory goes along to the new copy; an open directory stays in the old one, and can't be mounted from.
    file::fchdir(directory.by_ref())?;
    sys::process::unshare(libc::CLONE_NEWNS).map_err(|error| error.hint(phrase!("run vial as root")))?;
    mounts::make_private()?;
    mount::mount(Some(c"tmpfs"), c"rootfs", Some(c"tmpfs"), 0, Some(c"mode=700"))?;
    for name in [c"rootfs/root", c"rootfs/upper", c"rootfs/work", plan::MOUNTED] {
        file::mkdir(CWD, name, 0o755)?;
    }
    if !image.is_empty() {
        loopdev::mount_image(file::path(image)?, plan::MOUNTED, plan::NODE)?;
    }
    Ok(back)
}

/// What a container with a tree of its own begins with, by what its annotations say.
#[inline(never)]
fn base(store: &Store, directory: &Fd, annotation: &dyn Fn(&str) -> &'static str) -> Result<Fd> {
    let path = annotation(launch::DIRECTORY);
    if !path.is_empty() {
        return file::open(CWD, file::path(path)?, OPEN);
    }
    let mut image = None;
    if !annotation(FILE).is_empty() {
        let _why = because!("mount the file system image, where no other process sees it");
        let back = private(directory, annotation(FILE))?;
        image = Some(file::open(CWD, plan::MOUNTED, OPEN)?);
        file::fchdir(back.by_ref())?;
    }
    let layers = launch::digests(annotation);
    let work = store.begin()?;
    let trees = Trees { root: store.root(), work: work.dir.by_ref(), btrfs: annotation(STORAGE) == BTRFS, image };
    if layers.is_empty() {
        trees.image.ok_or_else(|| Error::new(phrase!("the container has no layers")))
    } else {
        trees.base(&layers)
    }
}

/// Makes the tree of a container whose storage driver gives it one, with other owners if there are `maps` of users and groups, in a process of its own, with which its mounts go.
///
/// # Errors
/// What the file system refuses.
#[inline(never)]
pub fn make_tree(store: &Store, directory: &Fd, annotation: Annotation<'_>, maps: Maps<'_>) -> Result<()> {
    COLD_GATE_SELDOM.open()?(store, directory, annotation, maps)
}

/// What an annotation says.
type Annotation<'a> = &'a dyn Fn(&str) -> &'static str;
/// Maps of users and of groups.
type Maps<'a> = Option<(&'a [mounts::Part], &'a [mounts::Part])>;

type MakeTree = fn(&Store, &Fd, Annotation<'_>, Maps<'_>) -> Result<()>;

static COLD_GATE_SELDOM: Gate<MakeTree> = Gate(make_one);

fn make_one(store: &Store, directory: &Fd, annotation: Annotation<'_>, maps: Maps<'_>) -> Result<()> {
    let mut helper = Helper::start(&mut |_| {
        let base = base(store, directory, annotation)?;
        let btrfs = annotation(STORAGE) == BTRFS;
        let trees = Trees { root: store.root(), work: store.root(), btrfs, image: None };
        trees.make(&base, directory.by_ref(), btrfs && !annotation(launch::LAYERS).is_empty())?;
        if let Some((uids, gids)) = maps {
            let tree = file::open(directory.by_ref(), c"tree", OPEN)?;
            mounts::shift_owners(tree.by_ref(), uids, gids)?;
        }
        Ok(Vec::new())
    })?;
    helper.conclude().map(drop)
}

/// Opens the directory in `/proc` of a container's first process, if that is still there.
fn first_process(state: &State) -> Option<Fd> {
    if state.pid == 0 {
        return None;
    }
    let directory = file::open(CWD, file::path(join!("/proc/{}", state.pid)).ok()?, libc::O_PATH | libc::O_DIRECTORY);
    // What is open now is what is looked at now.
    directory.ok().filter(|_| process::is_alive(state.pid, state.pid_start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_process_is_found_only_as_what_it_is() {
        let pid = std::process::id();
        let began = process::began(pid);
        let find = |pid, pid_start| first_process(&State { pid, pid_start, ..State::default() });
        assert!(find(pid, began).is_some());
        assert!(find(pid, began + 1).is_none() && find(pid, 0).is_none() && find(0, began).is_none());
    }
}
