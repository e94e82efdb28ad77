//! `vial info`: this machine, this kernel, and what is in the store.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::{images, ps};
use crate::base::error::Result;
use crate::base::json::{Value, object};
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
    let hierarchies = Hierarchies::detect()?;
    let [_, host, release, _, machine, _] = process::uname()?;
    let number = |count: usize| Value::from(count as u64);
    let report = object([
        ("Version", env!("CARGO_PKG_VERSION").into()),
        ("RootDir", Context::absolute(&context.root_path())?.into()),
        ("Containers", number(containers.len())),
        ("ContainersRunning", number(running)),
        ("ContainersPaused", number(paused)),
        ("ContainersStopped", number(containers.len() - running - paused)),
        ("Images", number(images::store(context)?.list()?.len())),
        ("Driver", "overlay".into()),
        ("CgroupVersion", kind(&hierarchies).into()),
        ("CgroupControllers", controllers(&hierarchies)),
        ("KernelVersion", release.into()),
        ("Architecture", machine.into()),
        ("NCPU", process::processors().into()),
        ("Name", host.into()),
    ]);
    if context.parsed.on(Id::ReportJson) {
        super::print(&alloc::format!("{report}\n"))?;
        return Ok(0);
    }
    let mut text = String::new();
    for (name, value) in report.as_object().unwrap_or_default() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<&str>>().join(" "),
            other => other.to_compact(),
        };
        text.push_str(&alloc::format!("{name:<20}{value}\n"));
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
    let names = hierarchies.iter().flat_map(|hierarchy| hierarchy.controllers.parts(b','));
    Value::from(names.filter(|name| !name.is_empty()).map(Value::from).collect::<Vec<Value>>())
}
