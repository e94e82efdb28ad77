//! `vial update`: changes the limits of containers.

use super::context::Context;
use super::flags::Id;
use super::lifecycle;
use super::options::{RunOptions, merge};
use super::parse::Parsed;
use super::run;
use crate::base::error::{Error, Result};
use crate::base::json::Value;
use crate::base::text::Cut;
use crate::container::bundle::{self, Durable, read_json};
use crate::container::remains;
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
    asked(parsed, None)?;
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
    let asked = asked(context.parsed, Some(&config))?;
    merge(&mut config, &asked);
    let resources = asked.at(RESOURCES).unwrap_or(&Value::Null);
    // First what can fail for want of room, then the kernel, and last what can't fail any more.
    bundle::stage(directory, c"config.json.new", libc::O_CREAT | libc::O_TRUNC, &config.to_compact(), Durable::Whole)?;
    if !free && status == Status::Running {
        let changed = remains::group(&config, id)
            .and_then(|mut group| group.change(&Hierarchies::detect()?, resources, context.parsed.globals.best_effort));
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
fn asked(parsed: &'static Parsed<'static>, config: Option<&Value>) -> Result<Value> {
    let options = RunOptions::new(parsed);
    let memory: &[_] = &[Id::Memory, Id::MemoryReservation, Id::MemorySwap, Id::MemoryHigh];
    for (ids, group, members) in
        [(memory, "memory", "limit reservation swap"), (&[Id::CpuQuota, Id::CpuPeriod], "cpu", "quota period")]
    {
        let old = config.and_then(|config| config.at(RESOURCES)?.get(group));
        for member in members.parts(b' ').filter(|_| ids.iter().any(|id| parsed.last(*id).is_some())) {
            if let Some(value) = old.and_then(|old| old.get(member)) {
                let resources = options.spec.get_mut().member(RESOURCES[0]).member(RESOURCES[1]);
                resources.member(group).set(member, value.clone());
            }
        }
    }
    options.read()?;
    if config.is_some() {
        options.check_limits()?;
        run::devices(parsed, options.spec.get_mut())?;
    }
    Ok(options.spec.take())
}

/// Where limits are in the specification.
const RESOURCES: &[&str] = &["linux", "resources"];
