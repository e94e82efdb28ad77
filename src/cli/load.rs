//! `load`: images that other programs saved.

use super::context::Context;
use super::flags::Id;
use super::images::{self, Progress};
use super::options;
use crate::base::error::Result;
use crate::image::blobs::{NATIVE, Platform};
use crate::image::bring::Wanted;
use crate::image::import::look;
use crate::image::layout::Layout;
use crate::sys::file;

/// Loads all images of an archive or a directory.
#[inline(never)]
pub(super) fn load(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let (platform, max_size) = (platform(context)?, max_size(context)?);
    let mut source = parsed.positionals.first().copied();
    let given = parsed.last(Id::Input);
    if let Some(given) = given {
        let fits = (source.is_none() && !given.value.is_empty()).then_some(given.value);
        source = Some(given.check(fits, phrase!("no source, or one of two"), phrase!("an archive or a directory"))?);
    }
    let input = look(source.unwrap_or(b"-")).map_err(|error| match given {
        Some(_) => error.option("--input").hint(phrase!("accepted: an archive or a directory")),
        None => error,
    })?;
    file::umask(0);
    let store = images::store(context)?;
    let mut layout = Layout::open(&store, input, max_size)?;
    for image in layout.images(&platform)? {
        let mut progress = Progress::new("loading", parsed.on(Id::LoadQuiet));
        let mut wanted = Wanted {
            platform,
            names: &image.names,
            max_size,
            progress: &mut |layer, bytes| progress.show(layer, bytes),
        };
        let brought = store.assemble(&mut layout, image.config, &image.layers, &mut wanted);
        progress.end();
        let brought = brought?;
        images::warn_of_lost(brought.lost);
        for name in &image.names {
            super::print_line(say!("Loaded image: {}", name))?;
        }
        if image.names.is_empty() {
            super::print_line(say!("Loaded image ID: sha256:{}", brought.id))?;
        }
    }
    Ok(0)
}

/// What is given with `--max-size`; 0 for no limit.
pub(super) fn max_size(context: &Context<'_>) -> Result<u64> {
    context.parsed.last(Id::MaxSize).map_or(Ok(0), |given| options::size(&given))
}

/// What is given with `--platform`, or this machine's.
pub(super) fn platform(context: &Context<'_>) -> Result<Platform> {
    let Some(given) = context.parsed.last(Id::Platform) else { return Ok(NATIVE) };
    given.check(
        Platform::parse(given.text()?),
        phrase!("no platform"),
        phrase!("os/arch or os/arch/variant, such as linux/arm64"),
    )
}
