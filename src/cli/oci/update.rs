//! `vial oci update`: changes the limits of a container that runs.

use super::super::context::Context;
use super::super::flags::Id;
use super::super::options::merge;
use super::super::parse::{Given, Parsed};
use super::held;
use crate::base::error::{Error, Result};
use crate::base::json::record;
use crate::base::json::{self, Value};
use crate::base::text::{Cut, decimal_i64, size};
use crate::container::bundle::{self, Durable};
use crate::container::oci::Held;
use crate::container::spec::Resources;
use crate::kernel::cgroup::Hierarchies;
use crate::sys::fd::{self, CWD};
use crate::sys::{because, file};

/// A line for each option: its name, the member of `linux.resources`, the least and the most that it takes, and what else; `size` is
/// for bytes, and text has no bounds.
const OPTIONS: &str = "\
blkio-weight blockIO weight 10 1000
cpu-period cpu period 1 9223372036854775807
cpu-quota cpu quota -1 9223372036854775807
cpu-burst cpu burst 0 9223372036854775807
cpu-share cpu shares 1 9223372036854775807
cpu-idle cpu idle 0 1
cpu-rt-period cpu realtimePeriod 1 9223372036854775807
cpu-rt-runtime cpu realtimeRuntime -1 9223372036854775807
cpuset-cpus cpu cpus text
cpuset-mems cpu mems text
memory memory limit size
memory-reservation memory reservation size
memory-swap memory swap size
pids-limit pids limit -1 9223372036854775807";

/// Members for which nothing at all, or 0, says that they are to stay as they are: engines give all members they know of.
const UNCHANGED: &str = "memory limit reservation swap kernel kernelTCP
cpu shares quota period realtimeRuntime realtimePeriod cpus mems
pids limit
blockIO weight leafWeight";

/// Longest file of limits.
const LONGEST: usize = 16 << 20;

/// Changes the limits in force and what tells of them, or neither.
pub(super) fn update(context: &Context<'static>) -> Result<u8> {
    let parsed = context.parsed;
    let mut asked = match parsed.last(Id::Resources) {
        Some(given) => read(&given)?,
        None => json::object([]),
    };
    read_options(parsed, &mut asked)?;
    let held = held(context)?;
    let _why = because!("change the container's limits");
    // Of several at once each begins with what the one before has made.
    file::lock(held.directory.by_ref(), file::Lock::Exclusive)?;
    held.started()?;
    change(&held, &asked, parsed.globals.best_effort)?;
    Ok(0)
}

/// The limits in a file, or on standard input.
fn read(given: &Given<'static>) -> Result<Value> {
    let _why = because!("read the limits (--resources)");
    let refuse = |why: &str| {
        given.refuse(join!("{}", why), phrase!("a file of JSON as linux.resources has it; - is standard input"))
    };
    let content = match given.text()? {
        "-" => file::read_to_end(fd::STDIN, LONGEST),
        path => file::read_file(CWD, file::path(path)?, LONGEST),
    };
    let content = content.map_err(|error| refuse(join!("{}", error)))?;
    let value = json::parse(&content).map_err(|error| refuse(join!("{}", error)))?;
    let mut resources: Resources =
        record::read(&value).map_err(|error| Error::new(say!("--resources: linux.resources.{}", error)))?;
    for line in UNCHANGED.parts(b'\n') {
        let mut words = line.words();
        let group = resources.0.member(words.next().unwrap_or_default());
        for member in words {
            let is_nothing = |value: &Value| matches!(value.as_i64(), Some(0)) || value.as_str() == Some("");
            if group.get(member).is_some_and(is_nothing) {
                group.remove(member);
            }
        }
    }
    Ok(resources.0)
}

fn read_options(parsed: &'static Parsed<'static>, asked: &mut Value) -> Result<()> {
    for given in &parsed.flags {
        let name = given.flag.long();
        if matches!(given.flag.id, Id::UpdateL3 | Id::UpdateMemBw) {
            return Err(given.refuse(
                phrase!("vial can't change this of a container that runs"),
                phrase!("linux.intelRdt of config.json, when the container is made"),
            ));
        }
        let Some(line) = OPTIONS.parts(b'\n').find(|line| line.words().next() == Some(name)) else { continue };
        let mut words = line.words().skip(1);
        let mut word = || words.next().unwrap_or_default();
        let (group, member, least, most) = (word(), word(), word(), word());
        let text = given.text()?;
        let value = match least {
            "text" => {
                let known = crate::base::text::is_cpu_list(text).then_some(text);
                Value::from(given.check(known, phrase!("not a list"), phrase!("numbers and ranges: 0-3,7"))?)
            }
            "size" => {
                let read = if text == "-1" { Some(-1) } else { size(text).and_then(|size| i64::try_from(size).ok()) };
                let read = read.filter(|size| *size != 0);
                Value::from(given.check(
                    read,
                    phrase!("not a size"),
                    phrase!("bytes, a size such as 64m, or -1 for no limit"),
                )?)
            }
            _ => {
                let (least, most) = (decimal_i64(least).unwrap_or(0), decimal_i64(most).unwrap_or(0));
                let read =
                    decimal_i64(text).filter(|number| (least..=most).contains(number) && (*number != 0 || least == 0));
                let accepted = say!("a whole number from {} to {}, and not 0 where that is below", least, most);
                Value::from(given.check(read, phrase!("out of range"), accepted)?)
            }
        };
        asked.member(group).set(member, value);
    }
    Ok(())
}

/// Changes the limits.
fn change(held: &Held, asked: &Value, best_effort: bool) -> Result<()> {
    let mut config = held.config()?.clone();
    let mut asked = asked.clone();
    let old = config.at(RESOURCES).unwrap_or(&Value::Null).clone();
    let member = |of: &Value, path: &[&str]| of.at(path).and_then(Value::as_i64);
    if let Some(rules) = asked.get("devices").filter(|rules| rules.as_array().is_some_and(|rules| !rules.is_empty())) {
        // Which devices it may use is decided when it is made: in v2 rules only become stricter.
        let own: Resources = record::read(&old).map_err(|error| Error::new(say!("linux.resources.{}", error)))?;
        if own.0.get("devices") != Some(rules) {
            return Err(Error::new(phrase!("linux.resources.devices can't be changed while the container runs"))
                .hint(phrase!("leave them out, or give those that it has")));
        }
    }
    asked.remove("devices");
    let (limit, swap) = (["memory", "limit"], ["memory", "swap"]);
    if member(&asked, &limit) == Some(-1) && member(&asked, &swap).is_none() && member(&old, &swap).is_some() {
        // As runc has it: there would be no memory that memory and swap together are not to exceed.
        asked.member("memory").set("swap", (-1).into());
    }
    // What the kernel takes together.
    for (group, members) in [("memory", "limit reservation swap"), ("cpu", "quota period burst")] {
        if asked.get(group).and_then(Value::as_object).is_some_and(|given| !given.is_empty()) {
            for name in members.words() {
                if let (Some(value), None) = (old.at(&[group, name]), asked.at(&[group, name])) {
                    let value = value.clone();
                    asked.member(group).set(name, value);
                }
            }
        }
    }
    if let (Some(limit), Some(swap @ 0..)) = (member(&asked, &limit), member(&asked, &swap))
        && (limit < 0 || limit > swap)
    {
        return Err(Error::new(say!(
            "linux.resources.memory.swap: {} is less than the limit on memory, {}",
            swap,
            limit
        ))
        .hint(phrase!("it is memory and swap together; give both, or -1 for no limit")));
    }
    let resources = config.member(RESOURCES[0]).member(RESOURCES[1]);
    merge(resources, &asked);
    let directory = held.directory.by_ref();
    // First what can fail for want of room, then the kernel, and last what can't fail any more.
    bundle::stage(directory, c"config.json.new", libc::O_CREAT | libc::O_TRUNC, &config.to_compact(), Durable::Not)?;
    let told = held.tell_systemd(&asked).and_then(|()| held.group());
    let changed = told.and_then(|mut group| group.change(&Hierarchies::detect()?, &asked, best_effort));
    match changed {
        Ok(warnings) => Context::warn(&warnings),
        Err(error) => {
            let _ = file::unlink(directory, c"config.json.new");
            // The first failure is the one to tell.
            let _ = held.tell_systemd(&old);
            return Err(error.because(say!("change the limits of container {}", held.id)));
        }
    }
    file::rename(directory, c"config.json.new", directory, c"config.json", true)
}

/// Where limits are in the specification.
const RESOURCES: &[&str] = &["linux", "resources"];
