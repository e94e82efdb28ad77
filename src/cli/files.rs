//! `vial diff` and `vial export`: a container's files.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::images;
use crate::base::error::{Error, Result};
use crate::container::bundle::Bundles;
use crate::container::root::Files;
use crate::image::stream::Output;
use crate::image::walk::{self, What};
use crate::sys::file::Lock;
use crate::sys::{Fd, because, fd, file, terminal};

/// Holds the container that the first word names, for reading.
fn hold(context: &Context<'_>) -> Result<Files> {
    let root = context.open_root()?;
    Files::hold(&Bundles::open(root.by_ref())?, context.words()?[0], Lock::Shared)
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

/// Writes the container's root as an archive.
#[inline(never)]
pub(super) fn export(context: &Context<'_>) -> Result<u8> {
    let path = match context.parsed.last(Id::Output) {
        Some(given) => {
            let path = file::path(given.value)?;
            // Before anything is done; the file itself comes when there is something to write.
            let parent = given.value.iter().rposition(|byte| *byte == b'/').map_or(&b"."[..], |at| &given.value[..=at]);
            let is = |path, kind| {
                file::stat_follow(fd::CWD, path).is_ok_and(|stat| u32::from(stat.mode) & libc::S_IFMT == kind)
            };
            let fits = !given.value.is_empty() && is(file::path(parent)?, libc::S_IFDIR) && !is(path, libc::S_IFDIR);
            Some(given.check(
                fits.then_some(path),
                phrase!("no place for a file"),
                phrase!("a file, in a directory that is there"),
            )?)
        }
        None => None,
    };
    let files = hold(context)?;
    let root = files.merged()?;
    let (target, regular) = match path {
        Some(path) => {
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
            let target = file::create(fd::CWD, path, flags, 0o666)?;
            let regular = u32::from(file::stat(target.by_ref(), c"")?.mode) & libc::S_IFMT == libc::S_IFREG;
            (target, regular)
        }
        None => (standard_output()?, false),
    };
    let _why = because!("write the container's root as an archive");
    let written =
        Output::to(target, 0, &mut |output| walk::archive(root.by_ref(), c".", b".", What::default(), output));
    if let (Err(_), Some(path), true) = (&written, path, regular) {
        // A part of an archive looks like a whole one until it is read.
        let _ = file::unlink(fd::CWD, path);
    }
    written.map(|()| 0)
}

/// Standard output for an archive.
pub(super) fn standard_output() -> Result<Fd> {
    if terminal::modes(fd::STDOUT).is_ok() {
        return Err(Error::new(phrase!("standard output is a terminal, which an archive would only confuse"))
            .hint(phrase!("send it to a file or a program: vial ... > FILE")));
    }
    file::duplicate(fd::STDOUT)
}
