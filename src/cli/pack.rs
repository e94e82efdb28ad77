//! `vial pack`: an image of programs of this machine.

use alloc::boxed::Box;

use super::context::Context;
use super::flags::Id;
use super::images;
use crate::base::error::Result;
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::defaults;
use crate::image::pack::Packing;
use crate::image::reference::Reference;
use crate::sys::{because, fd, file};

/// Makes the image; prints what is in it, and its ID.
#[inline(never)]
pub(super) fn pack(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let changes = images::changes(parsed)?;
    let packing = Box::leak(Box::new(Packing::new(context.variable(b"PATH").map_or(defaults::PATH, keep::lossy))));
    let _why = because!("find out what the programs need");
    for given in &parsed.flags {
        if given.flag.id == Id::Include {
            let path = Context::absolute(given.text()?)?;
            let known = !given.value.is_empty() && file::exists(fd::CWD, file::path(path)?);
            packing.tree(given.check(
                known.then_some(path),
                phrase!("no such file"),
                phrase!("a file or a directory"),
            )?)?;
        }
    }
    let name = parsed.word(0);
    let name = Reference::parse_new(name)?;
    for at in 1..parsed.positionals.len() {
        let word = parsed.word(at);
        packing.program(if word.has(b'/') { Context::absolute(word)? } else { word })?;
    }
    if !parsed.globals.best_effort
        && let Some(error) = packing.missing.pop()
    {
        return Err(error);
    }
    Context::warn(&packing.missing);
    file::umask(0);
    let packing = &*packing;
    let made = images::store(context)?.pack(packing, &name, &changes)?;
    images::warn_of_lost(made.unpacked.lost_attributes);
    if !parsed.on(Id::Quiet) {
        super::print_line(packing.lines.join("\n").leak())?;
    }
    super::print_line(join!("sha256:{}", made.id))?;
    Ok(0)
}
