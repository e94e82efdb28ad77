//! The container's root: its layers, and how it becomes the root directory.

use alloc::string::String;
use core::ffi::CStr;

use super::{Action, MOUNTED, Planner, Root, Setting};
use crate::base::error::Result;
use crate::sys::file;

/// How many layers fit into the options of a mount by their own names, of 83 bytes each.
const MANY: usize = 40;

#[inline(never)]
pub(super) fn root(plan: &mut Planner, setting: &Setting<'_>) -> Result<()> {
    plan.why = phrase!("cut the container's mounts off from the host's, so that neither sees what the other mounts");
    plan.add(Action::Private);
    plan.why =
        phrase!("put the container's root together: the image's layers below, the container's own changes on top");
    let target = match setting.root {
        Root::Overlay { layers, image, upper, work, target, volatile } => {
            let target = file::path(target)?;
            if !image.is_empty() || layers.len() > MANY {
                // The root is going to cover it.
                let kind = c"tmpfs";
                plan.add(Action::Filesystem { source: kind, kind, target, flags: 0, data: c"mode=700" });
            }
            if !image.is_empty() {
                plan.add(Action::Directory { path: MOUNTED });
                plan.add(Action::Image { file: file::path(image)? });
            }
            let mut layers = layers.to_vec();
            short(&mut layers, &mut |target, path| {
                plan.add(Action::Link { target, path });
                Ok(())
            })?;
            let data = overlay(&layers, upper, work, setting.confined);
            plan.add(Action::Overlay { target, data: file::path(data)?, volatile });
            target
        }
        Root::Directory(path) => {
            let place = file::path(path)?;
            plan.add(Action::BindRoot { source: place, target: place });
            place
        }
    };
    plan.why = phrase!("make it the root directory; from here on no path leads back to the host's files");
    plan.add(Action::EnterRoot { target });
    Ok(())
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
