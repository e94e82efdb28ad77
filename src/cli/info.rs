//! `vial info`: this machine, this kernel, and what is in the store.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::{images, ps};
use crate::base::error::Result;
use crate::base::json::Value;
use crate::base::keep::text;
use crate::base::text::Cut;
use crate::container::state::Condition;
use crate::kernel::cgroup::{Hierarchies, Version};
use crate::sys::process;

/// Prints it, with docker's names where docker has them.
#[inline(never)]
pub(super) fn info(context: &Context<'_>) -> Result<u8> {
    let containers = ps::all(context)?;
    let count = |condition| containers.iter().filter(|seen| seen.condition == condition).count();
    let (running, paused) = (count(Condition::Running), count(Condition::Paused));
    let images = images::store(context)?.list()?.len();
    let hierarchies = Hierarchies::detect()?;
    let [_, host, release, _, machine, _] = process::uname()?;
    let mut report = Value::default();
    let number = |report: &mut Value, name, count: usize| report.set(name, (count as u64).into());
    report.text("Version", env!("CARGO_PKG_VERSION"));
    report.text("RootDir", Context::absolute(context.root_path())?);
    number(&mut report, "Containers", containers.len());
    number(&mut report, "ContainersRunning", running);
    number(&mut report, "ContainersPaused", paused);
    number(&mut report, "ContainersStopped", containers.len() - running - paused);
    number(&mut report, "Images", images);
    report.text("Driver", context.storage(context.open_root()?)?);
    report.text("CgroupVersion", kind(&hierarchies));
    report.set("CgroupControllers", controllers(&hierarchies));
    report.text("KernelVersion", release);
    report.text("Architecture", machine);
    number(&mut report, "NCPU", process::processors() as usize);
    report.text("Name", host);
    if context.parsed.on(Id::ReportJson) {
        super::print_line(&report.to_compact())?;
        return Ok(0);
    }
    let mut text = String::new();
    for (name, value) in report.as_object().unwrap_or_default() {
        let mut words = String::new();
        for word in value.as_array().unwrap_or_default() {
            words.push_str(if words.is_empty() { "" } else { " " });
            words.push_str(word.as_str().unwrap_or_default());
        }
        let value = match value {
            Value::String(text) => text,
            Value::Array(_) => &*words,
            other => &*other.to_compact(),
        };
        text.push_str(text!("{name:<20}{value}\n"));
    }
    super::print(&text)?;
    Ok(0)
}

/// Which interface the control groups have.
fn kind(hierarchies: &Hierarchies) -> &'static str {
    let v1 = hierarchies.iter().any(|hierarchy| hierarchy.version == Version::V1);
    match (v1, hierarchies.v2().is_some()) {
        (true, true) => "hybrid",
        (true, false) => "1",
        (false, true) => "2",
        (false, false) => "none",
    }
}

/// All controllers that limits can be set through.
fn controllers(hierarchies: &Hierarchies) -> Value {
    let mut names = Vec::new();
    for hierarchy in hierarchies.iter() {
        names.extend(hierarchy.controllers.parts(b',').filter(|name| !name.is_empty()));
    }
    Value::texts(&names, "")
}
