//! `vial volume create`, `ls`, `inspect` and `rm`.

use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::List;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::{keep, text};
use crate::container::bundle::Bundles;
use crate::container::volume::{self, Volumes};

fn open(context: &Context<'_>) -> Result<Volumes> {
    Volumes::open(context.open_root()?)
}

/// Makes a volume, which may be there already; prints its name.
pub(super) fn create(context: &Context<'_>) -> Result<u8> {
    let name = match context.parsed.positionals.first() {
        Some(word) => {
            let accepted = phrase!("letters, digits, _ . and -, the first a letter or digit, at most 128");
            match core::str::from_utf8(word) {
                Ok(name) if text::is_name(name) => name,
                _ => return Err(super::parse::invalid(word, "a volume's name", phrase!("not a name"), accepted)),
            }
        }
        None => volume::unnamed()?.leak(),
    };
    open(context)?.make(name)?;
    super::print_line(name)?;
    Ok(0)
}

/// Lists volumes by name.
#[inline(never)]
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let flags = [Id::VolumeQuiet, Id::VolumeFormat, Id::VolumeJson];
    let list = List::new(context.parsed, flags, "Driver=DRIVER|Name=VOLUME NAME|Mountpoint=|Scope=")?;
    let mut cells: Vec<&str> = Vec::new();
    for name in open(context)?.list()? {
        cells.extend_from_slice(&["local", name, mount_point(context, name)?, "local"]);
    }
    list.print(&cells)
}

/// Where a volume lies, absolute.
pub(super) fn mount_point(context: &Context<'_>, name: &str) -> Result<&'static str> {
    Ok(join!("{}/volumes/{}/_data", Context::absolute(context.root_path())?, name))
}

/// What is known of a volume, if there is one of this name.
#[inline(never)]
pub(super) fn describe(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let Some(made) = open(context)?.made(name)? else { return Ok(None) };
    let mut described = Value::default();
    for (member, text) in [
        ("CreatedAt", made.rfc3339_short()),
        ("Driver", "local"),
        ("Mountpoint", mount_point(context, name)?),
        ("Name", keep::copy(name)),
        ("Scope", "local"),
    ] {
        described.text(member, text);
    }
    Ok(Some(described))
}

/// Removes volumes; goes on after one that can't be removed.
#[inline(never)]
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let root = context.open_root()?;
    let (bundles, volumes) = (Bundles::open(root)?, Volumes::open(root)?);
    let code = super::each(&context.parsed.positionals, &mut |name| {
        if volumes.made(name)?.is_some() {
            volumes.remove(name, &bundles, "")?;
        } else if !context.parsed.on(Id::ForceVolume) {
            return Err(missing(name));
        }
        super::print_line(name)
    });
    Ok(code)
}

/// The error for a volume that is not there.
fn missing(name: &str) -> Error {
    Error::new(say!("no such volume: {}", name)).hint(phrase!("`vial volume ls` lists all volumes"))
}
