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
//!
//! What a container has outside its directory (its control group, volumes without a name) is made after `config.json`, which
//! tells of it, and is gone before `config.json` goes: [`Bundles::remove`] takes that file first. A directory that nobody
//! owns and that lacks `config.json` or `state.json` is waste, and nothing else belongs to it but what `config.json` tells.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Display;

use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::base::keep::{self, text};
use crate::base::sha256;
use crate::base::text::{Cut, place, word};
use crate::sys::file::{self, DirEntry, Lock};
use crate::sys::{Fd, FdRef, because, process};

/// The directory of all containers.
const CONTAINERS: &CStr = c"containers";
/// The directory of their names.
const NAMES: &CStr = c"names";

/// The containers of a store.
pub struct Bundles {
    containers: FdRef<'static>,
    names: FdRef<'static>,
}

/// An ID and a name (which is empty for a container that was killed before it had one), or a name and an ID.
pub type Named = (&'static str, &'static str);

/// One container's directory.
pub struct Bundle {
    /// 64 hexadecimal digits.
    pub id: &'static str,
    /// The name.
    pub name: &'static str,
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
        Ok(Bundles { containers: directory(root, CONTAINERS)?.keep(), names: directory(root, NAMES)?.keep() })
    }

    /// Makes a container's directory, locked, under a new ID; `name` empty for one that is made up.
    ///
    /// # Errors
    /// A name that is taken; what the file system refuses.
    pub fn create(&self, name: &str) -> Result<Bundle> {
        let _why = because!("make the container's directory, under an ID and a name that no other has");
        let mut random = [0u8; 32];
        process::random(&mut random)?;
        let id: &str = sha256::hex(&random).leak();
        file::lock(self.containers, Lock::Shared)?;
        let made = self.make(id);
        file::unlock(self.containers)?;
        let directory = made?;
        match self.claim(id, name, &random) {
            Ok(name) => Ok(Bundle { id, name, directory }),
            Err(error) => {
                let _ = file::rmdir(self.containers, file::path(id)?);
                Err(error)
            }
        }
    }

    fn make(&self, id: &str) -> Result<Fd> {
        let name = file::path(id)?;
        file::mkdir(self.containers, name, 0o700)?;
        let directory = file::open(self.containers, name, libc::O_RDONLY | libc::O_DIRECTORY)?;
        file::lock(directory.by_ref(), Lock::Exclusive)?;
        Ok(directory)
    }

    /// Takes the name, or makes one up that is free.
    fn claim(&self, id: &str, name: &str, random: &[u8; 32]) -> Result<&'static str> {
        let target = file::path(id)?;
        for attempt in 0..16 {
            let candidate = if name.is_empty() { made_up_name(&random[attempt..]) } else { keep::copy(name) };
            match file::symlink(target, self.names, file::path(candidate)?) {
                Err(error) if error.is(Errno::EEXIST) && name.is_empty() => {}
                Err(error) if error.is(Errno::EEXIST) => {
                    let holder = match file::readlink(self.names, file::path(name)?) {
                        Err(error) if error.is(Errno::ENOENT) => continue,
                        holder => holder?,
                    };
                    if !file::exists(self.containers, &holder) {
                        // Left by a removal or a creation that was cut short.
                        self.give_back(name, keep::lossy(holder.to_bytes())).map(drop)?;
                        continue;
                    }
                    let holder = keep::lossy(holder.to_bytes());
                    let short = holder.get(..12).unwrap_or(holder);
                    return Err(Error::new(say!("the name {} is in use by container {}", name, short))
                        .hint(say!("remove it with: vial rm {}; or choose another --name", name)));
                }
                result => return result.map(|()| candidate),
            }
        }
        Err(Error::new(phrase!("no free name was found")).hint(phrase!("give one with --name")))
    }

    /// All containers: ID and name, which is empty for one that was killed before it had one.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn list(&self) -> Result<&'static [Named]> {
        self.survey().map(|(containers, _)| containers)
    }

    /// The containers as `list` has them, and the names whose container is gone, each with its ID.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn survey(&self) -> Result<(&'static [Named], &'static [Named])> {
        self.look_for(None)
    }

    /// Of the containers as `list` has them those that are not known yet. While there are none, nothing stays in memory: this
    /// may be asked again and again.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn others(&self, is_known: &dyn Fn(&str) -> bool) -> Result<&'static [Named]> {
        self.look_for(Some(is_known)).map(|(containers, _)| containers)
    }

    #[inline(never)]
    fn look_for(&self, is_known: Option<&dyn Fn(&str) -> bool>) -> Result<(&'static [Named], &'static [Named])> {
        let _why = because!("list the containers and their names");
        let (mut containers, mut dangling): (Vec<Named>, Vec<Named>) = (Vec::new(), Vec::new());
        for entry in list(self.containers)? {
            let id = entry.name.to_string_lossy();
            if !is_known.is_some_and(|is_known| is_known(&id)) {
                containers.push((keep::copy(&id), ""));
            }
        }
        if is_known.is_some() && containers.is_empty() {
            return Ok((&[], &[]));
        }
        for entry in list(self.names)? {
            let id = match file::readlink(self.names, &entry.name) {
                Err(error) if error.is(Errno::ENOENT) => continue,
                id => id?,
            };
            match containers.iter_mut().find(|(known, _)| known.as_bytes() == id.to_bytes()) {
                Some(container) => container.1 = keep::lossy(entry.name.to_bytes()),
                // Known, or made since the directory was listed.
                None if file::exists(self.containers, &id) => {}
                None => dangling.push((keep::lossy(entry.name.to_bytes()), keep::lossy(id.to_bytes()))),
            }
        }
        Ok((containers.leak(), dangling.leak()))
    }

    /// Removes a name if it stands for this container, which is gone or has another one; whether it did. All names go under
    /// one lock, so that what was looked at is what goes, and not the name of a new container.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn give_back(&self, name: &str, id: &str) -> Result<bool> {
        let link = file::path(name)?;
        file::lock(self.containers, Lock::Exclusive)?;
        let ours = file::readlink(self.names, link).is_ok_and(|target| target.as_bytes() == id.as_bytes());
        let result = if ours { file::unlink(self.names, link) } else { Ok(()) };
        file::unlock(self.containers)?;
        result.map(|()| ours)
    }

    /// Finds a container by its name, its ID or the beginning of its ID.
    ///
    /// # Errors
    /// None, or several, that fit.
    pub fn find(&self, wanted: &str) -> Result<Named> {
        let all = self.list()?;
        match pick(all, wanted)? {
            Some(found) => Ok(found),
            None => Err(Error::new(say!("no such container: {}", wanted)).hint(known_names(all))),
        }
    }

    /// As `find`, but that there is none is no error.
    ///
    /// # Errors
    /// Several that fit.
    pub fn search(&self, wanted: &str) -> Result<Option<Named>> {
        pick(self.list()?, wanted)
    }

    /// Opens a container's directory, and whether a process owns it, which keeps on if it is not so until the directory is
    /// closed or unlocked. `None` if it went meanwhile.
    ///
    /// # Errors
    /// open(2), flock(2).
    pub fn look(&self, id: &str) -> Result<Option<(Fd, bool)>> {
        let Some(directory) = self.open_directory(id)? else { return Ok(None) };
        let free = file::try_lock(directory.by_ref(), Lock::Shared)?;
        Ok(Some((directory, !free)))
    }

    /// Opens a container's directory; with its lock, and `true`, if no process owns it. `None` if it went meanwhile.
    ///
    /// # Errors
    /// open(2), flock(2).
    pub fn take(&self, id: &str) -> Result<Option<(Fd, bool)>> {
        let Some(directory) = self.open_directory(id)? else { return Ok(None) };
        while !file::try_lock(directory.by_ref(), Lock::Exclusive)? {
            if !file::try_lock(directory.by_ref(), Lock::Shared)? {
                return Ok(Some((directory, false)));
            }
            // Nobody owns it, but somebody looks at it.
            file::unlock(directory.by_ref())?;
            process::sleep(1);
        }
        // Whoever had the lock may have removed it.
        Ok(self.open_directory(id)?.is_some().then_some((directory, true)))
    }

    fn open_directory(&self, id: &str) -> Result<Option<Fd>> {
        // This is asked again and again while something is waited for.
        let name = file::owned_path(id.as_bytes())?;
        match file::open(self.containers, &name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW) {
            Err(error) if error.is(Errno::ENOENT) => Ok(None),
            directory => directory.map(Some),
        }
    }

    /// Waits for containers that are being made: of those that were listed before, each is locked or abandoned afterwards.
    ///
    /// # Errors
    /// flock(2).
    pub fn settle(&self) -> Result<()> {
        file::lock(self.containers, Lock::Exclusive)?;
        file::unlock(self.containers)
    }

    /// Removes a container's directory, whose lock the caller holds, and then its name. `config.json` goes first: what it tells
    /// of must be gone, and without it nobody takes the rest for a container.
    ///
    /// # Errors
    /// The first removal that fails.
    pub fn remove(&self, id: &str, name: &str) -> Result<()> {
        let _why = because!("remove the container's directory and give its name back");
        file::remove_tree(self.containers, file::path(join!("{}/config.json", id))?)?;
        // While it is listed, another command may leave a mark in it.
        let mut rounds = 0;
        while let Err(error) = file::remove_tree(self.containers, file::path(id)?) {
            rounds += 1;
            if !error.is(Errno::ENOTEMPTY) || rounds == 100 {
                return Err(error);
            }
        }
        if !name.is_empty() && self.give_back(name, id)? {
            return Ok(());
        }
        // It was renamed since, or whoever removes it does not know its name.
        match self.survey()?.1.iter().find(|(_, of)| *of == id) {
            Some((name, _)) => self.give_back(name, id).map(drop),
            None => Ok(()),
        }
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// The name is taken; what the file system refuses.
    pub fn rename(&self, id: &str, old: &str, new: &str) -> Result<()> {
        let _why = because!("give the container another name");
        self.claim(id, new, &[0; 32])?;
        if old.is_empty() || self.give_back(old, id)? {
            return file::sync(self.names);
        }
        // Somebody else renamed it first.
        self.give_back(new, id)?;
        Err(Error::new(say!("no such container: {}", old)))
    }
}

/// What is in a directory, from its beginning: the descriptor's own position is left alone.
fn list(directory: FdRef<'_>) -> Result<Vec<DirEntry>> {
    let fresh = file::open(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
    file::list(fresh.by_ref())
}

/// The names in a directory.
pub(super) fn entries(directory: FdRef<'_>) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for entry in list(directory)? {
        names.push(keep::lossy(entry.name.to_bytes()));
    }
    Ok(names)
}

fn pick(all: &[Named], wanted: &str) -> Result<Option<Named>> {
    let (mut found, mut fitting) = (None, 0);
    for &(id, name) in all.iter().filter(|_| !wanted.is_empty()) {
        if name == wanted || id == wanted {
            return Ok(Some((id, name)));
        }
        if id.starts_with(wanted) {
            (found, fitting) = (Some((id, name)), fitting + 1);
        }
    }
    if fitting > 1 { Err(Error::new(say!("several containers' IDs begin with {}", wanted))) } else { Ok(found) }
}

fn known_names(all: &[Named]) -> &'static str {
    let mut names = String::new();
    for (_, name) in all.iter().filter(|(_, name)| !name.is_empty()).take(8) {
        names.push_str(if names.is_empty() { "there are: " } else { ", " });
        names.push_str(name);
    }
    if names.is_empty() { "there are no containers" } else { names.leak() }
}

/// What a made-up name consists of, 32 words each.
const ADJECTIVES: &str = "amber brisk calm clear crisp deep eager early fair fresh gentle glad green keen kind light lively \
                          lucid mellow neat noble pale plain proud quick quiet round sharp silver steady still warm ";
/// What a made-up name consists of.
const NOUNS: &str = "ampoule badger beaker birch brook cedar cork crane dune fern finch flask funnel glass harbor heron jar \
                     lake lichen maple marten meadow otter pebble pine reed river robin spruce stone tarn willow ";

/// `quiet_otter_3f`.
fn made_up_name(random: &[u8]) -> &'static str {
    let pick = |list, at: usize| word(list, usize::from(random[at] % 32));
    text!("{}_{}_{:02x}", pick(ADJECTIVES, 0), pick(NOUNS, 1), u32::from(random[2]))
}

/// Whether a name may be one that vial made up for a container.
#[must_use]
pub fn is_made_up(name: &str) -> bool {
    let mut parts = name.parts(b'_');
    let mut next = || parts.next().unwrap_or_default();
    let known = place(ADJECTIVES, next()).is_some() && place(NOUNS, next()).is_some();
    let digits = next();
    known && digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && parts.next().is_none()
}

impl Bundle {
    /// Writes one of the container's files.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn write(&self, name: &CStr, content: &str) -> Result<()> {
        file::write_file(self.directory.by_ref(), name, content.as_bytes(), 0o644)
    }

    /// Replaces one of a container's files as a whole.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn replace(directory: FdRef<'_>, name: &CStr, content: &Value, durable: Durable) -> Result<()> {
        let new = file::path([name.to_bytes(), b".new"].concat())?;
        let mut text = content.to_compact();
        match stage(directory, new, libc::O_CREAT | libc::O_TRUNC, &text, durable) {
            Err(error) if error.is(Errno::ENOSPC) || error.is(Errno::EDQUOT) => {
                // The disk is full, but there is room where the file is: blanks at the end are none of its meaning.
                let _ = file::unlink(directory, new);
                let size = file::stat(directory, name).map_err(|_| error)?.size;
                while (text.len() as u64) < size {
                    text.push(' ');
                }
                stage(directory, name, 0, &text, durable)
            }
            result => result.and_then(|()| {
                // A file that another one replaces is written to the disk at once by ext4, and removing it would wait for that.
                if durable == Durable::Never && file::exchange(directory, new, name).is_ok() {
                    return file::unlink(directory, new);
                }
                file::rename(directory, new, directory, name, true)?;
                if durable == Durable::Done { file::sync(directory) } else { Ok(()) }
            }),
        }
    }
}

/// What a crash of the machine may do to a file that has just replaced another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Durable {
    /// It may be damaged: nobody asks for it any more.
    Never,
    /// It goes with the machine, or says only what is true until then.
    Not,
    /// There is one of the two, and it is whole.
    Whole,
    /// There is the new one.
    Done,
}

/// Writes a file that is about to take another's place, with these flags; see [`Bundle::replace`].
///
/// # Errors
/// What the file system refuses.
pub fn stage(directory: FdRef<'_>, path: &CStr, flags: i32, text: &str, durable: Durable) -> Result<()> {
    let opened = file::create(directory, path, libc::O_WRONLY | flags, 0o600)?;
    let written = file::write_all(opened.by_ref(), text.as_bytes());
    let synced = written.and_then(|()| if durable > Durable::Not { file::sync(opened.by_ref()) } else { Ok(()) });
    synced.map_err(|error| Error::os(error.errno(), phrase!("write"), path.to_string_lossy()))
}

/// Reads a JSON file of a container; `None` if it is not there.
///
/// # Errors
/// What the file system refuses, and a file that is damaged, by name.
pub fn read_json(directory: FdRef<'_>, name: &CStr) -> Result<Option<Value>> {
    match file::read_file(directory, name, 16 << 20) {
        Err(error) if error.is(Errno::ENOENT) => Ok(None),
        Err(error) => Err(Error::os(error.errno(), phrase!("read"), name.to_string_lossy())),
        Ok(content) => match json::parse(&content) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(damaged(keep::lossy(name.to_bytes()), &error)),
        },
    }
}

/// The error for a file of a container that can't be used.
#[cold]
pub(super) fn damaged(file: &str, why: &dyn Display) -> Error {
    Error::new(say!("{} of the container is damaged: {}", file, why))
        .hint(phrase!("vial rm removes the container; `vial oci delete --force` does if it is an engine's"))
}

#[cfg(test)]
mod tests;
