//! The container's root: its layers, and how it becomes the root directory.

use alloc::boxed::Box;
use alloc::string::String;
use core::ffi::CStr;

use super::{Action, Gift, MOUNTED, Planner, Root, Setting, Stage, users};
use crate::base::error::Result;
use crate::container::labels;
use crate::container::spec::Spec;
use crate::sys::file;

/// How many layers fit into the options of a mount by their own names, of 83 bytes each.
const MANY: usize = 40;

#[inline(never)]
pub(super) fn root(plan: &mut Planner, spec: &Spec, setting: &Setting<'_>) -> Result<()> {
    plan.why = phrase!("cut the container's mounts off from the host's, so that neither sees what the other mounts");
    plan.add(Action::Private);
    plan.rare(spec, spec.process.as_ref(), Stage::Private)?;
    plan.why =
        phrase!("put the container's root together: the image's layers below, the container's own changes on top");
    let target = match setting.root {
        Root::Overlay { layers, image, mut upper, mut work, target, volatile } => {
            let target = file::path(target)?;
            if !image.is_empty() || layers.len() > MANY || plan.users {
                // The root is going to cover it.
                let kind = c"tmpfs";
                plan.add(Action::Filesystem { source: kind, kind, target, flags: 0, data: c"mode=700" });
            }
            if !image.is_empty() {
                plan.add(Action::Directory { path: MOUNTED });
                plan.add(Action::Image { file: file::path(image)? });
            }
            let mut layers = layers.to_vec();
            if plan.users {
                for (number, layer) in layers.iter_mut().enumerate() {
                    *layer = plan.mapped(layer, join!("rootfs/{}", number))?;
                }
                plan.mapped(".", "rootfs/own")?;
                (upper, work) = ("rootfs/own/upper", "rootfs/own/work");
            } else {
                short(&mut layers, &mut |target, path| {
                    plan.add(Action::Link { target, path });
                    Ok(())
                })?;
            }
            let mut data = overlay(&layers, upper, work, setting.confined);
            let label = labels::option(labels::of_mounts(spec));
            if !label.is_empty() {
                data.push_str(join!(",{}", label));
            }
            plan.add(Action::Overlay { target, data: file::path(data)?, volatile, owner: users::root(spec) });
            target
        }
        Root::Directory(path) => {
            let place = file::path(path)?;
            if !plan.users {
                plan.add(Action::BindRoot { source: place, target: place });
            }
            place
        }
    };
    if !plan.owned.is_empty() {
        own(plan, spec, target);
    }
    let slot = plan.next();
    if plan.users {
        let recursive = matches!(setting.root, Root::Directory(_));
        plan.add(Action::Take { slot, source: target, recursive });
        if recursive && !setting.shifted {
            plan.add(Action::MapOwners { slot, recursive });
        }
        users::enter(plan, spec, target)?;
    }
    plan.rare(spec, spec.process.as_ref(), Stage::Entered)?;
    plan.make();
    plan.why = phrase!("make it the root directory; from here on no path leads back to the host's files");
    let loosely = setting.hooks;
    plan.add(if plan.users { Action::EnterTree { slot, loosely } } else { Action::EnterRoot { target, loosely } });
    Ok(())
}

/// Plans to give trees to the container's user, as long as this process has the host's rights.
#[inline(never)]
fn own(plan: &mut Planner, spec: &Spec, root: &'static CStr) {
    plan.why = phrase!("give what is in these volumes to the container's user, as asked");
    let (uids, gids) = if plan.users { users::maps(spec) } else { (&[][..], &[][..]) };
    let slots = core::mem::take(&mut plan.owned);
    plan.add(Action::Own(Box::leak(Box::new(Gift { slots, root, uids, gids }))));
}

impl Planner {
    /// Plans to have a directory of the host's in a place where its owners are as the user namespace has them; that place.
    fn mapped(&mut self, directory: &str, place: &'static str) -> Result<&'static str> {
        let (slot, target) = (self.next(), file::path(place)?);
        self.add(Action::Directory { path: target });
        self.add(Action::Take { slot, source: file::path(directory)?, recursive: false });
        self.add(Action::MapOwners { slot, recursive: false });
        self.add(Action::Place { slot, target });
        Ok(place)
    }

    /// Plans the file systems that the kernel makes only for those who see all of the host's, `user_namespaces(7)`.
    fn make(&mut self) {
        self.why = phrase!("make the container's own kernel files while the host's can be seen");
        for (slot, kind, options) in core::mem::take(&mut self.makes) {
            self.add(Action::Make { slot, kind, source: kind, options });
        }
    }
}

/// Layers by names so short that all of them fit into the options of a mount, which are one page (mount(2)): for many, links in
/// the file system in memory on `rootfs`, which `link` makes.
#[inline(never)]
pub(in crate::container) fn short(layers: &mut [&'static str], link: Linker<'_>) -> Result<()> {
    if layers.len() > MANY {
        for (number, layer) in layers.iter_mut().enumerate() {
            let name = join!("rootfs/{}", number);
            link(file::path(join!("../{}", layer))?, file::path(name)?)?;
            *layer = name;
        }
    }
    Ok(())
}

/// Makes a link, whose target comes first.
type Linker<'a> = &'a mut dyn FnMut(&'static CStr, &'static CStr) -> Result<()>;

/// The options that mount layers, the topmost first, as one file system; without `upper` it can't be written to.
///
/// Whatever the kernel's defaults are: a directory that is renamed and a file whose owner is changed are copied whole, so that
/// the upper directory alone tells what was changed; and directories may belong to two overlays (`overlayfs.rst`).
///
/// What is `confined` to a user namespace can't write trusted attributes.
pub(in crate::container) fn overlay(layers: &[&str], upper: &str, work: &str, confined: bool) -> String {
    let mut data = String::from("lowerdir");
    let mut before = '=';
    for layer in layers {
        data.push(before);
        escape(&mut data, layer);
        before = ':';
    }
    if !upper.is_empty() {
        data.push_str(",upperdir=");
        escape(&mut data, upper);
        data.push_str(",workdir=");
        escape(&mut data, work);
    }
    // The second implies that neither directories nor files point elsewhere.
    data.push_str(if confined { ",index=off,userxattr" } else { ",redirect_dir=off,metacopy=off,index=off" });
    data
}

/// Overlay's option parser ends a value at a comma and a layer at a colon, unless a backslash stands before it.
fn escape(data: &mut String, path: &str) {
    for character in path.chars() {
        if matches!(character, ',' | ':' | '\\') {
            data.push('\\');
        }
        data.push(character);
    }
}
