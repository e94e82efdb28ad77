//! `vial diff`, `vial export` and `vial save`: files as lists and archives.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::context::Context;
use super::flags::Id;
use super::images;
use super::parse::Given;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text;
use crate::container::bundle::Bundles;
use crate::container::launch::DIRECTORY;
use crate::container::root::Files;
use crate::image::helper::Helper;
use crate::image::save::Plan;
use crate::image::store::Store;
use crate::image::stream::Output;
use crate::image::walk::{self, What};
use crate::sys::file::Lock;
use crate::sys::uapi::Statx;
use crate::sys::{Fd, because, fd, file, terminal};

/// Holds the container that the first word names, for reading.
fn hold(context: &Context<'_>) -> Result<Files> {
    let root = context.open_root()?;
    Files::hold(&Bundles::open(root)?, context.words()?[0], Lock::Shared)
}

/// Prints what the container has changed, a line each.
#[inline(never)]
pub(super) fn diff(context: &Context<'_>) -> Result<u8> {
    let files = hold(context)?;
    let mut lines: Vec<u8> = Vec::new();
    for (path, letter) in files.changes(&|| images::store(context))?.0 {
        lines.extend_from_slice(&[letter, b' ']);
        lines.extend_from_slice(&path);
        lines.push(b'\n');
    }
    file::write_all(fd::STDOUT, &lines)?;
    Ok(0)
}

/// Where an archive is to go.
pub(super) enum Target {
    /// To standard output, or what else can't be replaced: a pipe, a device, what a link leads to.
    Through(Option<&'static CStr>),
    /// To a file of this name, which appears when it is whole.
    File(&'static CStr),
}

impl Target {
    /// Looks at the file that is named, before anything is done.
    #[inline(never)]
    pub(super) fn of(given: Option<Given<'_>>) -> Result<Target> {
        let Some(given) = given else { return Ok(Target::Through(None)) };
        let path = file::path(given.value)?;
        let parent = given.value.iter().rposition(|byte| *byte == b'/').map_or(&b"."[..], |at| &given.value[..=at]);
        let parent = file::path(parent)?;
        let kind = |stat: Result<Box<Statx>>| stat.map_or(0, |stat| u32::from(stat.mode) & libc::S_IFMT);
        let fits = !given.value.is_empty()
            && kind(file::stat_follow(fd::CWD, parent)) == libc::S_IFDIR
            && kind(file::stat_follow(fd::CWD, path)) != libc::S_IFDIR;
        given.check(
            fits.then_some(()),
            phrase!("no place for a file"),
            phrase!("a file, in a directory that is there"),
        )?;
        Ok(match kind(file::stat(fd::CWD, path)) {
            0 | libc::S_IFREG => Target::File(path),
            _ => Target::Through(Some(path)),
        })
    }

    /// Opens it and has `write` write it.
    #[inline(never)]
    pub(super) fn write(&self, write: &mut dyn FnMut(Fd) -> Result<()>) -> Result<()> {
        let path = match self {
            Target::Through(None) => return write(standard_output()?),
            Target::Through(Some(path)) => return write(file::open(fd::CWD, path, libc::O_WRONLY | libc::O_TRUNC)?),
            Target::File(path) => path,
        };
        let part = file::path(join!("{}.part", keep::lossy(path.to_bytes())))?;
        // What another one left that was killed.
        let _ = file::unlink(fd::CWD, part);
        let written = write(file::create(fd::CWD, part, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL, 0o666)?)
            .and_then(|()| file::rename(fd::CWD, part, fd::CWD, path, true));
        if written.is_err() {
            let _ = file::unlink(fd::CWD, part);
        }
        written
    }
}

/// Writes the container's root as an archive.
#[inline(never)]
pub(super) fn export(context: &Context<'_>) -> Result<u8> {
    let target = Target::of(context.parsed.last(Id::Output))?;
    let files = hold(context)?;
    let root = files.merged()?;
    let _why = because!("write the container's root as an archive");
    let through = files.tree().is_none() && !files.annotation(DIRECTORY).is_empty();
    target.write(&mut |file| {
        let write = || {
            files.see_owners(through)?;
            Output::to(file::duplicate(file.by_ref())?, 0, &mut |output| {
                walk::archive(root.by_ref(), c".", b".", What::default(), output)
            })
        };
        if files.own_root(through).is_none() {
            return write();
        }
        // Whoever sees owners as the container does may not write the file in its place.
        Helper::start(&mut |_| write().map(|()| Vec::new()))?.conclude().map(drop)
    })?;
    Ok(0)
}

/// Writes images as an archive.
#[inline(never)]
pub(super) fn save(context: &Context<'_>) -> Result<u8> {
    let target = Target::of(context.parsed.last(Id::Output))?;
    let docker = match context.parsed.last(Id::SaveFormat) {
        Some(given) => {
            let place = text::place("oci-archive docker-archive", given.text()?);
            given.check(place, phrase!("no format"), phrase!("docker-archive or oci-archive"))? == 1
        }
        None => true,
    };
    let store = images::store(context)?;
    let plan = plan(&store, &context.words()?, docker)?;
    target.write(&mut |file| store.save(&plan, file))?;
    Ok(0)
}

/// Plans an archive of images, and warns of what is not saved as it was.
#[inline(never)]
pub(super) fn plan(store: &Store, words: &[&str], docker: bool) -> Result<Plan> {
    let plan = store.plan(words, docker)?;
    for change in &plan.changed {
        let warning = Error::new(*change)
            .hint(phrase!("a layer could not be made again as it was, because the archive had something twice, or was unpacked by an older vial"));
        Context::warn(&[warning]);
    }
    Ok(plan)
}

/// Standard output for an archive.
pub(super) fn standard_output() -> Result<Fd> {
    if terminal::modes(fd::STDOUT).is_ok() {
        return Err(Error::new(phrase!("standard output is a terminal, which an archive would only confuse"))
            .hint(phrase!("send it to a file or a program: vial ... > FILE")));
    }
    file::duplicate(fd::STDOUT)
}
