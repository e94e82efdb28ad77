//! Containers on disk: one directory each, which is an OCI bundle, and one link for each name.
//!
//! ```text
//! containers/ID/config.json    the runtime specification
//! containers/ID/state.json     what became of it
//! containers/ID/{hostname,hosts,resolv.conf}
//! containers/ID/{upper,work,rootfs}
//! names/NAME -> ID
//! ```
//!
//! The process that owns a container holds a lock on its directory for as long as it lives. A directory that nobody has
//! locked belongs to a container that has ended, however that came about. Directories are made under a shared lock on their
//! parent, which the cleaner takes alone: it never sees one between being made and being locked.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::base::sha256;
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, FdRef, because, process};

/// The directory of all containers.
const CONTAINERS: &CStr = c"containers";
/// The directory of their names.
const NAMES: &CStr = c"names";

/// The containers of a store.
pub struct Bundles {
    containers: Fd,
    names: Fd,
}

/// One container's directory.
pub struct Bundle {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name.
    pub name: String,
    /// The directory, locked by whoever made or took it.
    pub directory: Fd,
}

/// Opens a directory of the store, making it if it is missing.
fn directory(root: FdRef<'_>, name: &CStr) -> Result<Fd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    match file::open(root, name, flags) {
        Err(error) if error.is(Errno::ENOENT) => {
            file::mkdir_if_missing(root, name, 0o700)?;
            file::open(root, name, flags)
        }
        result => result,
    }
}

impl Bundles {
    /// Opens the containers of a store.
    ///
    /// # Errors
    /// open(2), mkdir(2).
    pub fn open(root: FdRef<'_>) -> Result<Bundles> {
        Ok(Bundles { containers: directory(root, CONTAINERS)?, names: directory(root, NAMES)? })
    }

    /// Makes a container's directory, locked, under a new ID; `name` empty for one that is made up.
    ///
    /// # Errors
    /// A name that is taken; what the file system refuses.
    pub fn create(&self, name: &str) -> Result<Bundle> {
        let _why = because("make the container's directory, under an ID and a name that no other has");
        let mut random = [0u8; 32];
        process::random(&mut random)?;
        let id = sha256::hex(&random);
        file::lock(self.containers.by_ref(), Lock::Shared)?;
        let made = self.make(&id);
        file::unlock(self.containers.by_ref())?;
        let directory = made?;
        match self.claim(&id, name, &random) {
            Ok(name) => Ok(Bundle { id, name, directory }),
            Err(error) => {
                let _ = file::rmdir(self.containers.by_ref(), &file::path(id)?);
                Err(error)
            }
        }
    }

    fn make(&self, id: &str) -> Result<Fd> {
        let name = file::path(id)?;
        file::mkdir(self.containers.by_ref(), &name, 0o700)?;
        let directory = file::open(self.containers.by_ref(), &name, libc::O_RDONLY | libc::O_DIRECTORY)?;
        file::lock(directory.by_ref(), Lock::Exclusive)?;
        Ok(directory)
    }

    /// Takes the name, or makes one up that is free.
    fn claim(&self, id: &str, name: &str, random: &[u8; 32]) -> Result<String> {
        let target = file::path(id)?;
        for attempt in 0..16 {
            let candidate = if name.is_empty() { made_up_name(&random[attempt..]) } else { name.to_string() };
            match file::symlink(&target, self.names.by_ref(), &file::path(&*candidate)?) {
                Err(error) if error.is(Errno::EEXIST) && name.is_empty() => {}
                Err(error) if error.is(Errno::EEXIST) => {
                    let holder = file::readlink(self.names.by_ref(), &file::path(name)?)?;
                    let short: String = holder.to_string_lossy().chars().take(12).collect();
                    return Err(Error::new(alloc::format!("the name {name} is in use by container {short}"))
                        .hint(alloc::format!("remove it with: vial rm {name}; or choose another --name")));
                }
                result => return result.map(|()| candidate),
            }
        }
        Err(Error::new("no free name was found").hint("give one with --name"))
    }

    /// All containers: ID and name.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn list(&self) -> Result<Vec<(String, String)>> {
        let mut listed: Vec<(String, String)> = Vec::new();
        let rewound = file::open(self.containers.by_ref(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
        for entry in file::list(rewound.by_ref())? {
            listed.push((entry.name.to_string_lossy().into_owned(), String::new()));
        }
        let names = file::open(self.names.by_ref(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
        for entry in file::list(names.by_ref())? {
            let id = file::readlink(self.names.by_ref(), &entry.name)?;
            match listed.iter_mut().find(|(known, _)| known.as_bytes() == id.to_bytes()) {
                Some(container) => container.1 = entry.name.to_string_lossy().into_owned(),
                // Left by a removal or a creation that was cut short; the removal of names comes last, so nobody needs it.
                None => self.forget_if_dangling(&entry.name, &id),
            }
        }
        Ok(listed)
    }

    /// Removes a name whose container is gone, under the lock that keeps containers from being made meanwhile.
    fn forget_if_dangling(&self, name: &CStr, id: &CStr) {
        if file::lock(self.containers.by_ref(), Lock::Exclusive).is_ok() {
            if !file::exists(self.containers.by_ref(), id) {
                let _ = file::unlink(self.names.by_ref(), name);
            }
            let _ = file::unlock(self.containers.by_ref());
        }
    }

    /// Finds a container by its name, its ID or the beginning of its ID.
    ///
    /// # Errors
    /// None, or several, that fit.
    pub fn find(&self, wanted: &str) -> Result<(String, String)> {
        let all = self.list()?;
        if let Some(found) = all.iter().find(|(id, name)| name == wanted || id == wanted) {
            return Ok(found.clone());
        }
        let mut fitting = all.iter().filter(|(id, _)| !wanted.is_empty() && id.starts_with(wanted));
        match (fitting.next(), fitting.next()) {
            (Some(found), None) => Ok(found.clone()),
            (Some(_), Some(_)) => Err(Error::new(alloc::format!("several containers' IDs begin with {wanted}"))),
            _ => Err(Error::new(alloc::format!("no container {wanted}")).hint(known_names(&all))),
        }
    }

    /// Opens a container's directory; with its lock if no process owns it.
    ///
    /// # Errors
    /// open(2).
    pub fn take(&self, id: &str) -> Result<(Fd, bool)> {
        let directory = file::open(self.containers.by_ref(), &file::path(id)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let free = file::try_lock(directory.by_ref(), Lock::Exclusive)?;
        Ok((directory, free))
    }

    /// Keeps containers from being made until dropped, so that each one is either locked or abandoned.
    ///
    /// # Errors
    /// flock(2).
    pub fn settle(&self) -> Result<()> {
        file::lock(self.containers.by_ref(), Lock::Exclusive)?;
        file::unlock(self.containers.by_ref())
    }

    /// Removes a container's directory, whose lock the caller holds, and then its name.
    ///
    /// # Errors
    /// The first removal that fails.
    pub fn remove(&self, id: &str, name: &str) -> Result<()> {
        let _why = because("remove the container's directory and give its name back");
        file::remove_tree(self.containers.by_ref(), &file::path(id)?)?;
        match file::path(name) {
            Ok(name) if !name.is_empty() => match file::unlink(self.names.by_ref(), &name) {
                Err(error) if !error.is(Errno::ENOENT) => Err(error),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn known_names(all: &[(String, String)]) -> String {
    if all.is_empty() {
        return "there are no containers".to_string();
    }
    let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).filter(|name| !name.is_empty()).take(8).collect();
    alloc::format!("there are: {}", names.join(", "))
}

/// What a made-up name consists of.
const ADJECTIVES: [&str; 32] = [
    "amber", "brisk", "calm", "clear", "crisp", "deep", "eager", "early", "fair", "fresh", "gentle", "glad", "green",
    "keen", "kind", "light", "lively", "lucid", "mellow", "neat", "noble", "pale", "plain", "proud", "quick", "quiet",
    "round", "sharp", "silver", "steady", "still", "warm",
];
/// What a made-up name consists of.
const NOUNS: [&str; 32] = [
    "ampoule", "badger", "beaker", "birch", "brook", "cedar", "cork", "crane", "dune", "fern", "finch", "flask",
    "funnel", "glass", "harbor", "heron", "jar", "lake", "lichen", "maple", "marten", "meadow", "otter", "pebble",
    "pine", "reed", "river", "robin", "spruce", "stone", "tarn", "willow",
];

/// `quiet_otter_3f`.
fn made_up_name(random: &[u8]) -> String {
    let adjective = ADJECTIVES[random[0] as usize % ADJECTIVES.len()];
    let noun = NOUNS[random[1] as usize % NOUNS.len()];
    alloc::format!("{adjective}_{noun}_{:02x}", random[2])
}

impl Bundle {
    /// Writes one of the container's files.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn write(&self, name: &CStr, content: &str) -> Result<()> {
        file::write_file(self.directory.by_ref(), name, content.as_bytes(), 0o644)
    }

    /// Replaces the container's state as a whole.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn write_state(&self, state: &Value) -> Result<()> {
        let new: CString = c"state.json.new".into();
        file::write_file(self.directory.by_ref(), &new, state.to_compact().as_bytes(), 0o600)?;
        file::rename(self.directory.by_ref(), &new, self.directory.by_ref(), c"state.json", true)
    }
}

/// Reads a JSON file of a container; `None` if it is not there.
///
/// # Errors
/// What the file system refuses, and a file that is damaged, by name.
pub fn read_json(directory: FdRef<'_>, name: &CStr) -> Result<Option<Value>> {
    let content = match file::read_file(directory, name, 16 << 20) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(None),
        result => result?,
    };
    let parsed = json::parse(&content);
    parsed.map(Some).map_err(|error| {
        Error::new(alloc::format!("{} of the container is damaged: {error}", name.to_string_lossy()))
            .hint("vial rm removes the container")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::CWD;

    fn store(test: &str) -> (std::path::PathBuf, Fd) {
        let path = std::env::temp_dir().join(std::format!("vial-bundle-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let root = file::open(CWD, &file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap();
        (path, root)
    }

    #[test]
    fn a_container_is_found_by_name_id_and_unique_beginning_until_it_is_removed() {
        let (path, root) = store("find");
        let bundles = Bundles::open(root.by_ref()).unwrap();
        let bundle = bundles.create("web").unwrap();
        let expected = (bundle.id.clone(), String::from("web"));
        for wanted in ["web", &bundle.id, &bundle.id[..5]] {
            assert_eq!(bundles.find(wanted).unwrap(), expected, "{wanted}");
        }
        assert!(bundles.find("").is_err() && bundles.find("we").is_err());
        let taken = bundles.create("web").err().unwrap().to_string();
        assert!(taken.contains("the name web is in use"), "{taken}");
        assert_eq!(bundles.list().unwrap().len(), 1, "the failed creation left nothing");
        bundles.remove(&bundle.id, "web").unwrap();
        assert!(bundles.find("web").unwrap_err().to_string().contains("no container web"));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn the_lock_tells_whether_a_process_owns_the_container() {
        let (path, root) = store("lock");
        let bundles = Bundles::open(root.by_ref()).unwrap();
        let bundle = bundles.create("").unwrap();
        assert!(!bundles.take(&bundle.id).unwrap().1);
        let id = bundle.id.clone();
        drop(bundle);
        assert!(bundles.take(&id).unwrap().1);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_damaged_state_file_is_named_in_the_error() {
        let (path, root) = store("damaged");
        let bundle = Bundles::open(root.by_ref()).unwrap().create("").unwrap();
        assert_eq!(read_json(bundle.directory.by_ref(), c"state.json").unwrap(), None);
        bundle.write(c"state.json", "{\"pid\":").unwrap();
        let error = read_json(bundle.directory.by_ref(), c"state.json").unwrap_err().to_string();
        assert!(error.contains("state.json"), "{error}");
        std::fs::remove_dir_all(path).unwrap();
    }
}
