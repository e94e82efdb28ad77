//! `vial oci state`, `list`, `ps`, `version` and `features`: what there is.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::context::Context;
use super::super::flags::Id;
use super::super::parse::Parsed;
use super::super::{output, print, print_line, top};
use super::{held, open};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep;
use crate::container::oci::{self, Held, Status};
use crate::container::spec::OCI_VERSION;
use crate::container::{features, life};
use crate::sys::{fd, file};

/// Whether a list is printed as JSON.
fn is_json(parsed: &'static Parsed<'static>, id: Id) -> Result<bool> {
    let Some(given) = parsed.last(id) else { return Ok(false) };
    let known = match given.value {
        b"json" => Some(true),
        b"table" => Some(false),
        _ => None,
    };
    given.check(known, phrase!("no format"), phrase!("table or json"))
}

/// All that is told of a container.
fn told(held: &Held, status: Status, users: &'static str) -> Result<Value> {
    let mut told = held.told(status)?;
    let root = held.config()?.at(&["root", "path"]).and_then(Value::as_str).unwrap_or("rootfs");
    let root = if root.starts_with('/') { root } else { join!("{}/{}", held.state.bundle, root) };
    told.text("rootfs", root);
    told.text("created", held.state.created);
    let owner = join!("{}", file::stat(held.directory.by_ref(), c"")?.uid);
    told.text("owner", top::name(users, owner).unwrap_or(owner));
    Ok(told)
}

fn users() -> &'static str {
    keep::lossy(file::read_file(fd::CWD, c"/etc/passwd", 4 << 20).unwrap_or_default().leak())
}

pub(super) fn state(context: &Context<'static>) -> Result<u8> {
    let held = held(context)?;
    print_line(&told(&held, held.status(), users())?.to_pretty())?;
    Ok(0)
}

pub(super) fn list(context: &Context<'static>) -> Result<u8> {
    let (root, parsed) = (open(context)?, context.parsed);
    let json = is_json(parsed, Id::OciListFormat)?;
    let users = users();
    let mut lines = String::from("ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n");
    let (mut names, mut all) = (String::new(), Vec::new());
    for name in oci::list(root)? {
        names.push_str(join!("{}\n", name));
        if parsed.on(Id::OciListQuiet) {
            continue;
        }
        let told = match oci::look(root, name) {
            Ok(Some(held)) => told(&held, held.status(), users),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        let mut told = match told {
            Ok(told) => told,
            // The others are listed nevertheless.
            Err(error) => {
                life::warn(&error.because(join!("container {}", name)));
                continue;
            }
        };
        if told.get("pid").is_none() {
            told.set("pid", 0u32.into());
        }
        let text = |member| told.get(member).and_then(Value::as_str).unwrap_or_default();
        let pid = told.get("pid").and_then(Value::as_u64).unwrap_or_default();
        lines.push_str(join!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            name,
            pid,
            text("status"),
            text("bundle"),
            text("created"),
            text("owner")
        ));
        all.push(told);
    }
    if parsed.on(Id::OciListQuiet) {
        print(&names)?;
    } else if json {
        print_line(&Value::from(all).to_compact())?;
    } else {
        let mut out = String::new();
        output::columns(&mut out, &lines, 8);
        print(&out)?;
    }
    Ok(0)
}

/// Lists processes, as numbers or as ps(1) does, with options of that program if any are given.
pub(super) fn processes(context: &Context<'static>) -> Result<u8> {
    let json = is_json(context.parsed, Id::OciPsFormat)?;
    let held = held(context)?;
    let group = held.find_group()?.filter(|group| !group.directories().is_empty());
    let pids = match group {
        Some(group) => group.processes()?,
        // Without control groups only the first is known for certain.
        None if held.status() != Status::Stopped => [held.state.pid].to_vec(),
        None => Vec::new(),
    };
    if json {
        let mut numbers: Vec<Value> = Vec::new();
        for pid in pids {
            numbers.push(pid.into());
        }
        return print_line(&Value::from(numbers).to_compact()).map(|()| 0);
    }
    if pids.is_empty() {
        held.running()?;
    }
    top::show(context, pids)
}

/// Prints the version in lines that engines take apart: docker looks for the word `version`, for `commit:` and `spec:`, as runc
/// prints them.
pub(super) fn version() -> Result<u8> {
    let version = env!("CARGO_PKG_VERSION");
    print(say!("vial version {}\ncommit: v{}\nspec: {}\n", version, version, OCI_VERSION))?;
    Ok(0)
}

/// Prints what this runtime can do.
pub(super) fn features() -> Result<u8> {
    print_line(&features::features().to_pretty())?;
    Ok(0)
}
