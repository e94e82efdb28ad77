//! `vial volume create`, `ls`, `inspect` and `rm`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Field, Format};
use crate::base::error::{Error, Result};
use crate::base::json::{Value, object};
use crate::base::text;
use crate::container::bundle::Bundles;
use crate::container::volume::{self, Volumes};

fn open(context: &Context<'_>) -> Result<Volumes> {
    Volumes::open(context.open_root()?.by_ref())
}

/// Makes a volume, which may be there already; prints its name.
pub(super) fn create(context: &Context<'_>) -> Result<u8> {
    let name = match context.parsed.positionals.first() {
        Some(word) => {
            let name = core::str::from_utf8(word).ok().filter(|name| text::is_name(name));
            let accepted = "letters, digits, _ . and -, the first a letter or digit, at most 128";
            name.ok_or_else(|| super::parse::invalid(word, "a volume's name", "not a name", accepted))?.to_string()
        }
        None => volume::unnamed()?,
    };
    open(context)?.make(&name)?;
    super::print(&[&name, "\n"].concat())?;
    Ok(0)
}

/// docker's columns and the further fields of its templates.
const FIELDS: &[Field] = &[
    Field { name: "Driver", heading: "DRIVER" },
    Field { name: "Name", heading: "VOLUME NAME" },
    Field { name: "Mountpoint", heading: "" },
    Field { name: "Scope", heading: "" },
];

/// Lists volumes by name.
pub(super) fn list(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let format = Format::new(parsed.last(Id::VolumeFormat), parsed.on(Id::VolumeJson))?;
    let names = open(context)?.list()?;
    if parsed.on(Id::VolumeQuiet) {
        let lines: Vec<&str> = names.iter().flat_map(|name| [name, "\n"]).collect();
        super::print(&lines.concat())?;
        return Ok(0);
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for name in names {
        let place = mount_point(context, &name)?;
        rows.push(alloc::vec!["local".to_string(), name, place, "local".to_string()]);
    }
    super::print(&output::list(&format, FIELDS, &rows)?)?;
    Ok(0)
}

/// Where a volume lies, absolute.
pub(super) fn mount_point(context: &Context<'_>, name: &str) -> Result<String> {
    Ok([&Context::absolute(&context.root_path())?, "/volumes/", name, "/_data"].concat())
}

/// What is known of a volume, if there is one of this name.
pub(super) fn describe(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let Some(made) = open(context)?.made(name)? else { return Ok(None) };
    Ok(Some(object([
        ("CreatedAt", made.rfc3339_short().into()),
        ("Driver", "local".into()),
        ("Mountpoint", mount_point(context, name)?.into()),
        ("Name", name.into()),
        ("Scope", "local".into()),
    ])))
}

/// Removes volumes; goes on after one that can't be removed.
pub(super) fn remove(context: &Context<'_>) -> Result<u8> {
    let root = context.open_root()?;
    let (bundles, volumes) = (Bundles::open(root.by_ref())?, Volumes::open(root.by_ref())?);
    let code = super::each(&context.parsed.positionals, &mut |name| {
        if volumes.made(name)?.is_some() {
            volumes.remove(name, &bundles, "")?;
        } else if !context.parsed.on(Id::ForceVolume) {
            return Err(missing(name));
        }
        super::print(&[name, "\n"].concat())
    });
    Ok(code)
}

/// The error for a volume that is not there.
fn missing(name: &str) -> Error {
    Error::new(alloc::format!("no such volume: {name}")).hint("`vial volume ls` lists all volumes")
}
