//! `vial update`: changes the limits of containers.

use alloc::boxed::Box;

use super::context::Context;
use super::flags::Id;
use super::lifecycle;
use super::options::limits::Limits;
use super::parse::Parsed;
use crate::base::error::{Error, Result};
use crate::base::json::record;
use crate::base::json::{Value, object};
use crate::container::bundle::{self, Durable, read_json};
use crate::container::remains;
use crate::container::spec::Resources;
use crate::container::state::{State, Status};
use crate::kernel::cgroup::Hierarchies;
use crate::sys::because;
use crate::sys::file::{self, Lock};

/// Changes each container, and prints its name as it was given.
pub(super) fn update(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    if parsed.flags.is_empty() {
        return Err(Error::new(phrase!("no limit is given")).hint(phrase!("`vial update --help` lists them")));
    }
    // What no container can have is refused before any is looked at.
    limits(parsed, None)?;
    Ok(super::each(&parsed.positionals, &mut |name| {
        one(context, name)?;
        super::print(&[name, "\n"].concat())
    }))
}

/// Changes a container: the limits in force if it runs, and what it is started with the next time.
fn one(context: &Context<'static>, name: &str) -> Result<()> {
    let _why = because!("change the container's limits");
    let (_, bundles, seen) = lifecycle::look(context, name)?;
    let id = &seen.id;
    let gone = || Error::new(say!("no such container: {}", name));
    // If it does not run, this keeps it from being started meanwhile.
    let (directory, free) = bundles.take(id)?.ok_or_else(gone)?;
    let directory = directory.by_ref();
    let status = State::load(directory)?.map(|state| state.status);
    // Of several at once each begins with what the one before has made.
    let turn = file::open(directory, c"rootfs", libc::O_RDONLY | libc::O_DIRECTORY)?;
    file::lock(turn.by_ref(), Lock::Exclusive)?;
    let config = read_json(directory, c"config.json")?;
    let (Some(mut config), Some(status)) = (config, status.filter(|status| free || *status == Status::Running)) else {
        return Err(Error::new(say!("container {} is being started or ends; try again", name)));
    };
    let limits = limits(context.parsed, Some(&config))?;
    let mut resources = Resources::default();
    super::run::limits(&limits, &mut resources)?;
    let asked = record::write(&mut resources);
    merge(&mut config, object([("linux", object([("resources", asked.clone())]))]));
    // First what can fail for want of room, then the kernel, and last what can't fail any more.
    bundle::stage(directory, c"config.json.new", libc::O_CREAT | libc::O_TRUNC, &config.to_compact(), Durable::Whole)?;
    if !free && status == Status::Running {
        let changed = remains::group(&config, id)
            .and_then(|mut group| group.change(&Hierarchies::detect()?, &asked, context.parsed.globals.best_effort));
        match changed {
            Ok(warnings) => Context::warn(&warnings),
            Err(error) => {
                let _ = file::unlink(directory, c"config.json.new");
                return Err(error.because(say!("change the limits of container {}", name)));
            }
        }
    }
    file::rename(directory, c"config.json.new", directory, c"config.json", true)?;
    file::sync(directory)
}

/// The limits that are asked for, with those of the container that they must fit and that the kernel takes together with them.
#[inline(never)]
fn limits(parsed: &Parsed<'static>, config: Option<&Value>) -> Result<Box<Limits<'static>>> {
    let mut limits: Box<Limits<'static>> = Box::default();
    let old = |group, member| config.and_then(|config| config.at(&["linux", "resources", group, member]));
    let given = |ids: &[Id]| ids.iter().any(|id| parsed.last(*id).is_some());
    if given(&[Id::Memory, Id::MemoryReservation, Id::MemorySwap, Id::MemoryHigh]) {
        limits.memory = old("memory", "limit").and_then(Value::as_u64);
        limits.memory_reservation = old("memory", "reservation").and_then(Value::as_u64);
        limits.memory_swap = old("memory", "swap").and_then(Value::as_i64);
    }
    if given(&[Id::CpuQuota, Id::CpuPeriod]) {
        limits.cpu_quota = old("cpu", "quota").and_then(Value::as_i64);
        limits.cpu_period = old("cpu", "period").and_then(Value::as_u64);
    }
    for given in &parsed.flags {
        limits.set(given)?;
    }
    if config.is_some() {
        limits.check(parsed)?;
    }
    Ok(limits)
}

/// Puts the members of `new` in the places of those in `old`; of lists those elements that are about the same device.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(members), Value::Object(new)) => {
            for (name, value) in new.into_inner() {
                match members.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, old)) => merge(old, value),
                    None => members.push((name, value)),
                }
            }
        }
        (Value::Array(elements), Value::Array(new)) => {
            for element in new.into_inner() {
                let number = |of: &Value, member| of.get(member).and_then(Value::as_i64);
                let device = |of: &Value| (number(of, "major"), number(of, "minor"));
                elements.retain(|known| device(known) != device(&element));
                elements.push(element);
            }
        }
        (old, new) => *old = new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::parse;

    #[test]
    fn new_limits_take_the_places_of_old_ones_and_leave_the_others() {
        let mut old = parse(
            br#"{"a":1,"linux":{"b":2,"resources":{"memory":{"limit":5,"swap":6},"pids":{"limit":7},
                "blockIO":{"rate":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":2}]}}}}"#,
        )
        .unwrap();
        let new = parse(
            br#"{"linux":{"resources":{"memory":{"limit":9},"cpu":{"shares":3},
                "blockIO":{"rate":[{"major":8,"minor":0,"rate":4}],"other":[{"major":1,"minor":1,"rate":1}]}}}}"#,
        )
        .unwrap();
        merge(&mut old, new);
        assert_eq!(
            old.to_compact(),
            r#"{"a":1,"linux":{"b":2,"resources":{"memory":{"limit":9,"swap":6},"pids":{"limit":7},"#.to_owned()
                + r#""blockIO":{"rate":[{"major":8,"minor":1,"rate":2},{"major":8,"minor":0,"rate":4}],"#
                + r#""other":[{"major":1,"minor":1,"rate":1}]},"cpu":{"shares":3}}}}"#
        );
    }
}
