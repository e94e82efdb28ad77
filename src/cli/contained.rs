//! A program that holds its own image: vial, and behind it an archive such as `vial save` writes.
//!
//! `vial pack --self-contained` writes such a file. Started, it runs the image, with its own arguments as the image's. The
//! first start unpacks the image into the store, where it has no name; those after it find it there.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::context::{self, Context};
use super::images;
use super::parse;
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::image::blobs::NATIVE;
use crate::image::bring::Wanted;
use crate::image::layout::Layout;
use crate::sys::cold::Gate;
use crate::sys::{because, fd, file, terminal};

/// Where in the file's own header is said where the archive begins, in four bytes, the lowest first: in the padding of the
/// identification, which nobody reads (elf(5), `EI_PAD`).
pub(super) const PLACE: core::ops::Range<usize> = 12..16;
/// Stands for the image as long as it is not known: no image has this name.
const UNKNOWN: &[u8] = b"?";

/// The command line that the program stands for.
pub(super) fn words(
    args: &[&'static CStr],
    env: &[&'static CStr],
    terminal: bool,
    image: &'static [u8],
) -> Vec<&'static [u8]> {
    let mut words: Vec<&[u8]> = ["run", "--rm", "-i"].map(str::as_bytes).to_vec();
    if terminal {
        words.push(b"-t");
    }
    let options = context::variable(env, b"VIAL_OPTIONS").unwrap_or_default();
    words.extend(options.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()));
    words.extend([b"--", image]);
    words.extend(args.iter().skip(1).map(|word| word.to_bytes()));
    words
}

/// The command line before anything was looked at.
pub(super) fn first_words(args: &[&'static CStr], env: &[&'static CStr]) -> Vec<&'static [u8]> {
    words(args, env, false, UNKNOWN)
}

/// Makes the command line what it is to be, once the image that begins at this place of vial's own file is in the store.
#[inline(never)]
pub(super) fn complete(context: &Context<'static>, start: u32) -> Result<Context<'static>> {
    let (args, env) = (context.args, context.env);
    if context.parsed.positionals.first() != Some(&UNKNOWN) {
        return Err(Error::new(say!("VIAL_OPTIONS: not an option: {}", context.parsed.word(0))).hint(phrase!(
            "accepted: options of `vial run`, with = before a value that begins with -, and spaces between"
        )));
    }
    let image = COLD_GATE.open()?(context, start.into())?;
    let terminal = {
        let _why = because!("see whether somebody sits at a terminal");
        terminal::modes(fd::STDIN).is_ok() && terminal::modes(fd::STDOUT).is_ok()
    };
    let parsed = parse::parse(&words(args, env, terminal, image.as_bytes())).map_err(|(_, error)| error)?;
    Ok(Context::new(Box::leak(Box::new(parsed)), args, env))
}

/// The way to [`bring`], which is not needed without an image.
static COLD_GATE: Gate<fn(&Context<'_>, u64) -> Result<&'static str>> = Gate(bring);

/// Sees to it that the image is in the store; its ID.
#[inline(never)]
fn bring(context: &Context<'_>, start: u64) -> Result<&'static str> {
    let damaged = |error: Error| error.option("the image in this program");
    let (mut layout, image) = {
        let _why = because!("find the image in the program's own file");
        let own = file::open(fd::CWD, c"/proc/self/exe", libc::O_RDONLY)?;
        let mut layout = Layout::within(own, start).map_err(damaged)?;
        let image = layout.images(&NATIVE).map_err(damaged)?.swap_remove(0);
        (layout, image)
    };
    let id = keep::copy(image.config.digest().unwrap_or_default());
    file::umask(0);
    let store = images::store(context)?;
    if store.find(id).is_err() {
        let mut wanted = Wanted { platform: NATIVE, names: &[], max_size: 0, progress: &mut |_, _| () };
        let brought = store.assemble(&mut layout, image.config, &image.layers, &mut wanted).map_err(damaged)?;
        images::warn_of_lost(brought.lost);
    }
    Ok(id)
}
