//! `vial pack`: an image of programs of this machine.

use alloc::boxed::Box;

use super::context::Context;
use super::files::{self, Target};
use super::flags::Id;
use super::{contained, images};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::Cut;
use crate::container::defaults;
use crate::image::pack::Packing;
use crate::image::reference::Reference;
use crate::image::store::Store;
use crate::sys::{because, fd, file};

/// vial is smaller than this by far, and so it is with all that helps to look for mistakes.
const MOST: usize = 64 << 20;
/// An archive consists of such blocks, and where it is appended a reader may look for it at their bounds.
const BLOCK: usize = 512;

/// Makes the image; prints what is in it, and its ID.
#[inline(never)]
pub(super) fn pack(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let program = Target::of(parsed.last(Id::SelfContained))?;
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
    if parsed.positionals.len() == 1 {
        let of_packing = parsed.flags.iter().any(|given| matches!(given.flag.id, Id::Include | Id::Change));
        if of_packing || matches!(program, Target::Through(None)) {
            return Err(Error::new(phrase!("no program is named that is to be packed"))
                .hint(say!("usage: vial pack {}", parsed.command.usage)));
        }
        return append(&images::store(context)?, parsed.word(0), &program).map(|()| 0);
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
    let store = images::store(context)?;
    let made = store.pack(packing, &name, &changes)?;
    images::warn_of_lost(made.unpacked.lost);
    if !parsed.on(Id::Quiet) {
        super::print_line(packing.lines.join("\n").leak())?;
    }
    super::print_line(join!("sha256:{}", made.id))?;
    if !matches!(program, Target::Through(None)) {
        append(&store, made.id, &program)?;
    }
    Ok(0)
}

/// Writes vial itself and an image behind it: one program.
#[inline(never)]
fn append(store: &Store, image: &str, program: &Target) -> Result<()> {
    let plan = files::plan(store, &[image], false)?;
    let _why = because!("write vial and the image as one program");
    let mut own = file::read_file(fd::CWD, c"/proc/self/exe", MOST)?;
    own.resize(own.len().next_multiple_of(BLOCK), 0);
    let start = own.len() as u32;
    own[contained::PLACE].copy_from_slice(&start.to_le_bytes());
    program.write(&mut |file| {
        file::write_all(file.by_ref(), &own)?;
        file::chmod(file.by_ref(), 0o755)?;
        store.save(&plan, file)
    })
}
