//! Volumes: directories that outlive containers.
//!
//! ```text
//! volumes/NAME/_data/    what containers mount
//! volumes/.NAME/         one that is being removed
//! ```
//!
//! A container mounts `../../volumes/NAME/_data`, relative to its bundle, and says so in its `config.json` before it makes the
//! volume. Volumes are made under a shared lock on the directory and removed under an exclusive one: a volume goes only
//! while no container tells of it, and one that is told of a moment later is made anew.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::bundle::{Bundles, entries, read_json};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::sha256;
use crate::base::sort::sort;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::sys::file::{self, Lock};
use crate::sys::{Fd, FdRef, because, process};

/// The directory of all volumes.
const VOLUMES: &CStr = c"volumes";

/// The volumes of a store.
pub struct Volumes(FdRef<'static>);

/// Where a volume lies, relative to a container's bundle.
#[must_use]
pub fn source(name: &str) -> String {
    format!("../../volumes/{name}/_data")
}

/// The volume that a mount's source means, if it is one.
#[must_use]
pub fn name_in(source: &str) -> Option<&str> {
    source.strip_prefix("../../volumes/")?.strip_suffix("/_data")
}

/// A name for a volume that has none.
///
/// # Errors
/// getrandom(2).
pub fn unnamed() -> Result<String> {
    let mut random = [0u8; 32];
    process::random(&mut random)?;
    Ok(sha256::hex(&random))
}

/// Whether a directory's name is that of a volume on its way out.
fn is_hidden(name: &str) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

impl Volumes {
    /// Opens the volumes of a store.
    ///
    /// # Errors
    /// open(2), mkdir(2).
    pub fn open(root: FdRef<'_>) -> Result<Volumes> {
        let _why = because!("open the directory of volumes");
        file::mkdir_if_missing(root, VOLUMES, 0o700)?;
        file::open(root, VOLUMES, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .map(|file| Volumes(file.keep()))
    }

    /// Opens what a volume holds, making it if it is missing.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn make(&self, name: &str) -> Result<Fd> {
        let _why = because!("make the volume");
        file::lock(self.0, Lock::Shared)?;
        let data = file::path(join!("{}/_data", name))?;
        let made = file::mkdir_if_missing(self.0, file::path(name)?, 0o700)
            .and_then(|()| file::mkdir_if_missing(self.0, data, 0o755))
            .and_then(|()| file::open(self.0, data, libc::O_RDONLY | libc::O_DIRECTORY));
        file::unlock(self.0)?;
        made
    }

    /// All names in their order.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn list(&self) -> Result<Vec<&'static str>> {
        let mut names = self.entries()?;
        names.retain(|name| !is_hidden(name));
        sort(&mut names, |one, other| one < other);
        Ok(names)
    }

    fn entries(&self) -> Result<Vec<&'static str>> {
        let _why = because!("list the volumes");
        entries(self.0)
    }

    /// When a volume was made, as far as the file system tells; `None` if there is no such volume.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn made(&self, name: &str) -> Result<Option<Timestamp>> {
        /// statx(2).
        const BTIME: u32 = 0x800;
        if !text::is_name(name) {
            return Ok(None);
        }
        match file::stat(self.0, file::path(name)?) {
            Err(error) if error.is(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
            Ok(stat) => {
                let time = if stat.mask & BTIME == 0 { stat.ctime } else { stat.btime };
                Ok(Some(Timestamp { secs: time.secs, nanos: time.nanos }))
            }
        }
    }

    /// Removes a volume; that there is none is no error. `but` is a container that may use it.
    ///
    /// # Errors
    /// A container uses it; what the file system refuses.
    pub fn remove(&self, name: &str, bundles: &Bundles, but: &str) -> Result<()> {
        let _why = because!("remove the volume, if no container uses it");
        file::lock(self.0, Lock::Exclusive)?;
        let hidden = file::path(join!(".{}", name))?;
        let result = self.hide(name, hidden, bundles, but).and_then(|()| file::remove_tree(self.0, hidden));
        file::unlock(self.0)?;
        result
    }

    /// Takes a volume out of sight, if there is one.
    fn hide(&self, name: &str, hidden: &CStr, bundles: &Bundles, but: &str) -> Result<()> {
        if let Some(user) = user(bundles, &source(name), but)? {
            return Err(Error::new(say!("cannot remove volume {}: it is in use by container {}", name, user))
                .hint(say!("remove the container first: vial rm {}", user)));
        }
        // What a removal that was killed has left would be in the way.
        file::remove_tree(self.0, hidden)?;
        match file::rename(self.0, file::path(name)?, self.0, hidden, false) {
            Err(error) if error.is(Errno::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// Removes what killed removals have left; the volumes' names. With `dry` only tells them.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn clean(&self, dry: bool) -> Result<Vec<&'static str>> {
        let mut left = self.entries()?;
        left.retain(|name| is_hidden(name));
        if !dry && !left.is_empty() {
            let _why = because!("finish the removal of volumes that was cut short");
            file::lock(self.0, Lock::Exclusive)?;
            let mut result = Ok(());
            for name in &left {
                result = result.and_then(|()| file::remove_tree(self.0, file::path(name)?));
            }
            file::unlock(self.0)?;
            result?;
        }
        for name in &mut left {
            *name = name.get(1..).unwrap_or_default();
        }
        Ok(left)
    }
}

/// The name, or else the ID, of a container other than `but` that mounts something, by its `config.json`.
fn user(bundles: &Bundles, source: &str, but: &str) -> Result<Option<&'static str>> {
    for &(id, name) in bundles.list()? {
        let Some((directory, _)) = bundles.look(id)?.filter(|_| id != but) else { continue };
        // One that is cut short is written anew or given up; a volume is made only after that.
        let Ok(Some(config)) = read_json(directory.by_ref(), c"config.json") else { continue };
        let mounts = config.get("mounts").and_then(Value::as_array).unwrap_or_default();
        if mounts.iter().any(|mount| mount.get("source").and_then(Value::as_str) == Some(source)) {
            return Ok(Some(if name.is_empty() { id } else { name }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::CWD;

    #[test]
    fn a_volume_lives_until_it_is_removed_and_not_while_a_container_tells_of_it() {
        let path = std::env::temp_dir().join(format!("vial-volume-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let root = file::open(CWD, file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap();
        let (bundles, volumes) = (Bundles::open(root.by_ref()).unwrap(), Volumes::open(root.by_ref()).unwrap());
        for name in ["b", "a", "c"] {
            volumes.make(name).unwrap();
        }
        std::fs::write(path.join("volumes/b/_data/file"), "x").unwrap();
        assert_eq!(volumes.list().unwrap(), ["a", "b", "c"]);
        assert!(volumes.made("b").unwrap().is_some() && volumes.made("x").unwrap().is_none());
        assert!(volumes.made("..").unwrap().is_none());

        let bundle = bundles.create("web").unwrap();
        bundle.write(c"config.json", &format!("{{\"mounts\":[{{\"source\":\"{}\"}}]}}", source("b"))).unwrap();
        let error = volumes.remove("b", &bundles, "").unwrap_err().to_string();
        assert!(error.contains("in use by container web"), "{error}");
        volumes.remove("b", &bundles, bundle.id).unwrap();
        volumes.remove("never", &bundles, "").unwrap();
        assert_eq!(volumes.list().unwrap(), ["a", "c"]);

        // Killed between the two steps.
        std::fs::rename(path.join("volumes/a"), path.join("volumes/.a")).unwrap();
        assert_eq!(volumes.list().unwrap(), ["c"]);
        assert_eq!(volumes.clean(true).unwrap(), ["a"]);
        assert_eq!(volumes.clean(false).unwrap(), ["a"]);
        assert!(volumes.clean(false).unwrap().is_empty());
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_mounts_source_tells_the_volume() {
        assert_eq!(name_in(&source("data")), Some("data"));
        assert_eq!(name_in("/data/_data"), None);
    }
}
