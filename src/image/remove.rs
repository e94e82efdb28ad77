//! Taking images out of the store, and what killed processes left in it.

use alloc::string::String;
use alloc::vec::Vec;

use super::store::{Store, image_path, readable, reference_path};
use crate::base::error::{Error, Result};
use crate::sys::file::Lock;
use crate::sys::{self, device, file, ledger, process};

/// Tells which container uses a layer or an image, if one does.
pub type InUse<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

/// Seconds.
const DAY: i64 = 86_400;

/// What [`Store::clean`] is to do.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Only say what would be done.
    pub dry: bool,
    /// Images go that no container uses and no name stands for.
    pub images: bool,
    /// And those that have names.
    pub named: bool,
    /// How many bytes the layers had that went.
    pub freed: u64,
}

/// What was done, a line each.
type Done = Result<Vec<&'static str>>;

impl Store {
    /// Takes away a name or, given an ID or the last name, the image with the layers that no other image needs. With `force`
    /// an ID may have several names, and a name goes even if a container needs the image, which then stays without one.
    ///
    /// Returns what was done in docker's words, a line each.
    ///
    /// # Errors
    /// There is no such image, it has several names, or a container uses it.
    #[inline(never)]
    pub fn remove(&self, image: &str, force: bool, in_use: InUse<'_>) -> Done {
        let _why = sys::because(phrase!("remove the image"));
        let _lock = self.hold(Lock::Exclusive)?;
        let names = self.names()?;
        let id = self.resolve(image, &names)?;
        let found = self.image(id, &names)?;
        let called = found.names.iter().find(|name| **name == image || name.strip_suffix(":latest") == Some(image));
        if let Some(name) = called
            && found.names.len() > 1
        {
            return Ok([self.untag(name)?].into());
        }
        if found.names.len() > 1 && !force {
            return Err(Error::new(say!("image {} has several names: {}", image, found.names.join(", ")))
                .hint(phrase!("remove it by name, or with -f to remove all of them")));
        }
        let needed = self.needed(&[id])?;
        let unneeded = |layer: &&&'static str| !needed.contains(*layer);
        let user = in_use(id).or_else(|| found.layers.iter().filter(unneeded).find_map(|layer| in_use(layer)));
        if let Some(container) = user {
            if let Some(name) = called
                && force
            {
                return Ok([self.untag(name)?].into());
            }
            return Err(Error::new(say!("image {} is in use by container {}", image, container))
                .hint(say!("remove the container first: vial rm {}", container)));
        }
        let mut done = Vec::new();
        for name in &found.names {
            done.push(self.untag(name)?);
        }
        self.delete(&mut Sweep::default(), &[id], found.layers, in_use, &mut done)?;
        Ok(done)
    }

    /// Deletes images, and those of these layers that no other image needs and no container uses.
    #[inline(never)]
    fn delete(
        &self,
        sweep: &mut Sweep,
        images: &[&str],
        layers: Vec<&'static str>,
        in_use: InUse<'_>,
        done: &mut Vec<&'static str>,
    ) -> Result<()> {
        for id in images {
            if !sweep.dry {
                file::unlink(self.root.by_ref(), file::path(image_path(id))?)?;
            }
            done.push(say!("Deleted: sha256:{}", id));
        }
        if !images.is_empty() && !sweep.dry {
            // No loss of power leaves an image without its layers.
            self.sync(c"images")?;
        }
        let needed = self.needed(images)?;
        for layer in layers {
            if !needed.contains(&layer) && in_use(layer).is_none() {
                sweep.freed += self.layer_size(layer);
                if !sweep.dry {
                    self.remove_layer(join!("layers/{}", layer))?;
                }
                done.push(say!("Deleted: sha256:{}", layer));
            }
        }
        if sweep.dry { Ok(()) } else { self.clean_trees() }
    }

    /// Removes what killed processes left: work whose owner is gone, layers that no image has and no container uses, names of
    /// images that never landed. Also images, if they are unwanted. Returns a line for each.
    ///
    /// # Errors
    /// What can't be read or removed.
    #[inline(never)]
    pub fn clean(&self, sweep: &mut Sweep, in_use: InUse<'_>) -> Done {
        let _why = sys::because(phrase!("remove what killed processes left in the store"));
        let _lock = self.hold(Lock::Exclusive)?;
        let mut done = Vec::new();
        self.sweep(sweep.dry, &mut done)?;
        let names = self.names()?;
        let mut gone = Vec::new();
        if sweep.images {
            for id in self.ids()? {
                let wanted = !sweep.named && names.iter().any(|(_, of)| *of == id);
                if !wanted && in_use(id).is_none() {
                    gone.push(id);
                }
            }
        }
        self.delete(sweep, &gone, self.directory(c"layers")?, in_use, &mut done)?;
        for file in self.directory(c"refs")? {
            let name = readable(file);
            if !names.iter().any(|(known, of)| *known == name && !gone.contains(of)) {
                if !sweep.dry {
                    self.untag(name)?;
                }
                done.push(say!("Untagged: {}", name));
            }
        }
        Ok(done)
    }

    /// Removes only what processes that are gone had under way.
    ///
    /// # Errors
    /// What can't be read or removed.
    pub fn clean_work(&self) -> Result<()> {
        let _why = sys::because(phrase!("remove what was under way"));
        let _lock = self.hold(Lock::Exclusive)?;
        self.sweep(false, &mut Vec::new())
    }

    /// Removes work whose owner is gone, and downloads that nobody has gone on with for a day.
    #[inline(never)]
    fn sweep(&self, dry: bool, done: &mut Vec<&'static str>) -> Result<()> {
        let now = process::clock(libc::CLOCK_REALTIME).secs;
        for (place, patience) in [("tmp", i64::MIN), ("partial", DAY)] {
            for name in self.directory(file::path(place)?)? {
                let shown = join!("{}/{}", place, name);
                let path = file::path(shown)?;
                let file = file::open(self.root.by_ref(), path, libc::O_RDONLY | libc::O_NOFOLLOW);
                if let Ok(file) = file
                    && now.saturating_sub(file::stat(file.by_ref(), c"")?.mtime.secs) > patience
                    && file::try_lock(file.by_ref(), Lock::Exclusive).unwrap_or(false)
                {
                    if !dry {
                        file::remove_tree(self.root.by_ref(), path)?;
                    }
                    done.push(say!("Deleted: {}", shown));
                }
                ledger::relieve();
            }
        }
        Ok(())
    }

    /// Removes the trees whose topmost layer is gone.
    #[inline(never)]
    fn clean_trees(&self) -> Result<()> {
        for tree in self.directory(c"trees")? {
            if !self.has_layer(tree.get(..64).unwrap_or_default())? {
                self.remove_layer(join!("trees/{}", tree))?;
            }
        }
        Ok(())
    }

    /// The layers of all images but these.
    fn needed(&self, except: &[&str]) -> Result<Vec<&'static str>> {
        let mut layers = Vec::new();
        for id in self.ids()?.into_iter().filter(|id| !except.contains(id)) {
            layers.append(&mut self.image(id, &[])?.layers);
        }
        Ok(layers)
    }

    #[inline(never)]
    fn untag(&self, name: &str) -> Result<&'static str> {
        file::unlink(self.root.by_ref(), file::path(reference_path(name))?)?;
        Ok(say!("Untagged: {}", name))
    }

    /// Moves a layer or a tree out of sight first: a half-removed one must not look like a whole one.
    #[inline(never)]
    fn remove_layer(&self, path: &str) -> Result<()> {
        let work = self.workspace()?;
        file::rename(self.root.by_ref(), file::path(path)?, work.dir.by_ref(), c"layer", true)?;
        if path.starts_with('t') {
            // Much faster where it is one; else, and if others are in it, it goes as any directory.
            let _ = device::remove_subvolume(work.dir.by_ref(), "layer");
        }
        file::remove_tree(work.dir.by_ref(), c"layer")
    }
}
