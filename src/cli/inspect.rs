//! `vial inspect` and `vial volume inspect`: all that is known of something, as JSON in docker's shape.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Format};
use super::parse::Given;
use super::{images, ps, volume};
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::json::record::Field;
use crate::base::json::{Value, object};
use crate::base::text::Cut;
use crate::container::bundle::Bundles;
use crate::container::state::{Condition, Seen};
use crate::container::{defaults, volume as volumes};

/// Describes the one of a kind that has this name, if there is one.
type Describe = fn(&Context<'_>, &str) -> Result<Option<Value>>;

/// What can be inspected, in the order in which a name is looked up.
const KINDS: &[(&str, Describe)] =
    &[("container", container), ("image", images::describe), ("volume", volume::describe)];

/// `inspect`.
pub(super) fn inspect(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let mut kinds: Vec<&(&str, Describe)> = KINDS.iter().collect();
    if !parsed.noun.is_empty() {
        kinds.retain(|(kind, _)| *kind == parsed.noun);
    }
    if let Some(given) = parsed.last(Id::InspectType) {
        let wanted = given.text()?;
        kinds.retain(|(kind, _)| *kind == wanted);
        given.check((!kinds.is_empty()).then_some(()), "no such type", "container, image or volume")?;
    }
    print(context, &kinds, parsed.last(Id::InspectFormat))
}

/// `volume inspect`.
pub(super) fn volumes(context: &Context<'_>) -> Result<u8> {
    print(context, &[&("volume", volume::describe)], context.parsed.last(Id::VolumeTemplate))
}

#[inline(never)]
fn print(context: &Context<'_>, kinds: &[&(&str, Describe)], format: Option<Given<'_>>) -> Result<u8> {
    let parsed = match format {
        None => None,
        Some(given) => match Format::new(Some(given), false)? {
            Format::Table | Format::TemplateTable(_) => {
                return Err(given.refuse("no table", "json or a template such as '{{.Name}}'"));
            }
            format => Some(format),
        },
    };
    let mut found: Vec<Value> = Vec::new();
    let mut code = super::each(&context.parsed.positionals, &mut |name| {
        for (_, describe) in kinds {
            if let Some(value) = describe(context, name)? {
                found.push(value);
                return Ok(());
            }
        }
        let kind = if let [(kind, _)] = kinds { kind } else { "object" };
        Err(Error::new(alloc::format!("no such {kind}: {name}")))
    });
    let Some(format) = parsed else {
        super::print(&[&Value::from(found).to_pretty(), "\n"].concat())?;
        return Ok(code);
    };
    for value in &found {
        let line = match &format {
            Format::Template(template) => template.render(&mut |path, json| lookup(value, path, json)),
            _ => Ok(value.to_compact()),
        };
        match line {
            Ok(line) => super::print(&[&line, "\n"].concat())?,
            Err(error) => {
                super::report(&error);
                code = EXIT_FAILURE;
            }
        }
    }
    Ok(code)
}

/// The value that the names in `path`, dots between them, lead to.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.parts(b'.').try_fold(value, |value, name| value.get(name))
}

/// A template's field.
fn lookup(value: &Value, path: &str, json: bool) -> Result<String> {
    let found = if path.is_empty() { Some(value) } else { at(value, path) };
    match found {
        Some(Value::String(text)) if !json => Ok(text.clone()),
        Some(found) => Ok(found.to_compact()),
        None => {
            let members = value.as_object().unwrap_or_default();
            Err(output::unknown_field(path, &mut members.iter().map(|(name, _)| name.as_str())))
        }
    }
}

/// A member of what is printed: its name, the path to its value among the [`facts`], and what is there instead if that is not.
type Row = (&'static str, &'static str, Absent);

/// What docker prints for something that was not asked for or has not happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Zero,
    Empty,
    No,
    Null,
    Nothing,
    Never,
}

use Absent::{Empty, Never, No, Nothing, Null, Zero};

#[rustfmt::skip]
const TOP: &[Row] = &[
    ("Id",                 "id",                                     Empty),
    ("Created",            "state.created",                          Never),
    ("Path",               "program",                                Empty),
    ("Args",               "arguments",                              Null),
    ("State",              "",                                       Null),
    ("Image",              "image",                                  Empty),
    ("Name",               "name",                                   Empty),
    ("Driver",             "driver",                                 Empty),
    ("Platform",           "platform",                               Empty),
    ("Bundle",             "bundle",                                 Empty),
];

#[rustfmt::skip]
const STATE: &[Row] = &[
    ("Status",             "status",                                 Empty),
    ("Running",            "running",                                No),
    ("Paused",             "paused",                                 No),
    ("OOMKilled",          "state.oomKilled",                        No),
    ("Dead",               "dead",                                   No),
    ("Pid",                "state.pid",                              Zero),
    ("ExitCode",           "state.exitCode",                         Zero),
    ("Error",              "state.error",                            Empty),
    ("StartedAt",          "state.started",                          Never),
    ("FinishedAt",         "state.finished",                         Never),
];

#[rustfmt::skip]
const HOST_CONFIG: &[Row] = &[
    ("Memory",             "linux.resources.memory.limit",           Zero),
    ("MemoryReservation",  "linux.resources.memory.reservation",     Zero),
    ("MemorySwap",         "linux.resources.memory.swap",            Zero),
    ("MemorySwappiness",   "linux.resources.memory.swappiness",      Null),
    ("OomKillDisable",     "linux.resources.memory.disableOOMKiller", No),
    ("CpuShares",          "linux.resources.cpu.shares",             Zero),
    ("CpuPeriod",          "linux.resources.cpu.period",             Zero),
    ("CpuQuota",           "linux.resources.cpu.quota",              Zero),
    ("CpusetCpus",         "linux.resources.cpu.cpus",               Empty),
    ("CpusetMems",         "linux.resources.cpu.mems",               Empty),
    ("PidsLimit",          "linux.resources.pids.limit",             Null),
    ("BlkioWeight",        "linux.resources.blockIO.weight",         Zero),
    ("Sysctls",            "linux.sysctl",                           Null),
    ("Ulimits",            "process.rlimits",                        Null),
    ("OomScoreAdj",        "process.oomScoreAdj",                    Zero),
    ("ReadonlyRootfs",     "root.readonly",                          No),
    ("CgroupPath",         "linux.cgroupsPath",                      Empty),
    ("MaskedPaths",        "linux.maskedPaths",                      Null),
    ("ReadonlyPaths",      "linux.readonlyPaths",                    Null),
    ("AutoRemove",         "state.remove",                           No),
];

#[rustfmt::skip]
const CONFIG: &[Row] = &[
    ("Hostname",           "hostname",                               Empty),
    ("Domainname",         "domainname",                             Empty),
    ("User",               "user",                                   Empty),
    ("Tty",                "process.terminal",                       No),
    ("Env",                "process.env",                            Null),
    ("Cmd",                "process.args",                           Null),
    ("Image",              "state.image",                            Empty),
    ("WorkingDir",         "process.cwd",                            Empty),
    ("Labels",             "state.labels",                           Nothing),
    ("StopSignal",         "stopSignal",                             Empty),
];

/// Names and kinds of namespaces: docker's member, the specification's kind, what a container of its own has.
const MODES: &[(&str, &str, &str)] = &[
    ("NetworkMode", "network", "none"),
    ("PidMode", "pid", ""),
    ("IpcMode", "ipc", "private"),
    ("UTSMode", "uts", ""),
    ("CgroupnsMode", "cgroup", "private"),
];

fn copy(facts: &Value, rows: &[Row]) -> Value {
    let mut copied = object([]);
    for (name, path, absent) in rows {
        let found = at(facts, path).filter(|found| *absent != Never || found.as_str() != Some("")).cloned();
        let value = found.unwrap_or_else(|| match absent {
            Zero => 0u32.into(),
            Empty => "".into(),
            No => false.into(),
            Null => Value::Null,
            Nothing => object([]),
            Never => "0001-01-01T00:00:00Z".into(),
        });
        copied.set(name, value);
    }
    copied
}

/// What is known of a container.
fn container(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let root = context.open_root()?;
    let bundles = Bundles::open(root.by_ref())?;
    let Some(found) = bundles.search(name)? else { return Ok(None) };
    let Some(seen) = Seen::look(&bundles, found)? else { return Ok(None) };
    if let Some(problem) = seen.problem {
        return Err(problem);
    }
    let facts = facts(context, &seen)?;
    let mut described = copy(&facts, TOP);
    let mut host = copy(&facts, HOST_CONFIG);
    modes(&facts, &mut host);
    described.set("State", copy(&facts, STATE));
    described.set("HostConfig", host);
    described.set("Mounts", mounts(context, &facts)?);
    described.set("Config", copy(&facts, CONFIG));
    if context.parsed.on(Id::InspectSize) {
        described.set("SizeRw", ps::written(&seen)?.into());
    }
    Ok(Some(described))
}

/// All that is known of a container: its `config.json`, and besides its members `state` and what follows from both.
fn facts(context: &Context<'_>, seen: &Seen) -> Result<Value> {
    // One that is being made has none yet.
    let mut facts = seen.config().unwrap_or_default();
    let annotation = |name: &str| facts.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    let (user, group) = (annotation("vial.user"), annotation("vial.group"));
    let user = [user, if group.is_empty() { "" } else { ":" }, group].concat();
    let stop_signal = annotation("vial.stopSignal").to_string();
    let image = &seen.state.image_id;
    let image = [if image.is_empty() { "" } else { "sha256:" }, image].concat();
    let bundle = [&Context::absolute(&context.root_path())?, "/containers/", &seen.id].concat();
    let texts = [
        ("id", seen.id.clone()),
        ("name", ["/", &seen.name].concat()),
        ("image", image),
        ("bundle", bundle),
        ("user", user),
        ("stopSignal", stop_signal),
        ("status", seen.condition.name().to_string()),
        ("driver", "overlay".to_string()),
        ("platform", "linux".to_string()),
    ];
    for (name, text) in texts {
        facts.set(name, text.into());
    }
    let mut words = seen.state.command.iter().map(|word| Value::from(word.as_str()));
    facts.set("program", words.next().unwrap_or_else(|| "".into()));
    facts.set("arguments", words.collect::<Vec<Value>>().into());
    facts.set("running", seen.condition.is_running().into());
    facts.set("paused", (seen.condition == Condition::Paused).into());
    facts.set("dead", (seen.condition == Condition::Dead).into());
    facts.set("state", seen.state.write());
    Ok(facts)
}

/// Whose namespaces a container has.
fn modes(facts: &Value, host: &mut Value) {
    let Some(namespaces) = at(facts, "linux.namespaces").and_then(Value::as_array) else { return };
    for (name, kind, own) in MODES {
        let namespace = namespaces.iter().find(|namespace| namespace.get("type").and_then(Value::as_str) == Some(kind));
        let mode = match namespace.map(|namespace| namespace.get("path").and_then(Value::as_str)) {
            None => "host".to_string(),
            Some(None) => own.to_string(),
            Some(Some(path)) => ["ns:", path].concat(),
        };
        host.set(name, mode.into());
    }
}

/// The mounts that the user or the image asked for.
fn mounts(context: &Context<'_>, facts: &Value) -> Result<Value> {
    let mut asked: Vec<Value> = Vec::new();
    let defaults = &defaults::spec()?.mounts;
    for mount in facts.get("mounts").and_then(Value::as_array).unwrap_or_default() {
        let text = |member| mount.get(member).and_then(Value::as_str).unwrap_or_default();
        let (source, destination) = (text("source"), text("destination"));
        let options = mount.get("options").and_then(Value::as_array).unwrap_or_default();
        let has = |option: &str| options.iter().any(|given| given.as_str() == Some(option));
        let (kind, name, source) = match volumes::name_in(source) {
            Some(name) => ("volume", name, volume::mount_point(context, name)?),
            None if source.starts_with('/') => ("bind", "", source.to_string()),
            None if text("type") == "tmpfs" && defaults.iter().all(|mount| mount.destination != destination) => {
                ("tmpfs", "", String::new())
            }
            None => continue,
        };
        let propagation =
            ["private", "slave", "shared", "rprivate", "rslave", "rshared"].into_iter().rfind(|name| has(name));
        let mut described = object([("Type", kind.into())]);
        if !name.is_empty() {
            described.set("Name", name.into());
            described.set("Driver", "local".into());
        }
        described.set("Source", source.into());
        described.set("Destination", destination.into());
        described.set("RW", (!has("ro")).into());
        described.set("Propagation", propagation.unwrap_or_default().into());
        asked.push(described);
    }
    Ok(asked.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json::parse;

    #[test]
    fn templates_reach_into_objects_and_name_what_there_is() {
        let value = parse(b"{\"Id\":\"a\",\"State\":{\"Pid\":7,\"Status\":\"running\"}}").unwrap();
        assert_eq!(lookup(&value, "State.Pid", false).unwrap(), "7");
        assert_eq!(lookup(&value, "State.Status", false).unwrap(), "running");
        assert_eq!(lookup(&value, "State.Status", true).unwrap(), "\"running\"");
        assert_eq!(lookup(&value, "", true).unwrap(), value.to_compact());
        assert_eq!(lookup(&value, "State", false).unwrap(), "{\"Pid\":7,\"Status\":\"running\"}");
        let error = lookup(&value, "State.Nope", false).unwrap_err().to_string();
        assert!(error.contains("{{.State.Nope}}") && error.contains("accepted: .Id, .State"), "{error}");
    }

    #[test]
    fn what_was_not_asked_for_is_as_docker_has_it() {
        let config =
            parse(b"{\"linux\":{\"resources\":{\"memory\":{\"limit\":5}}},\"process\":{\"terminal\":true}}").unwrap();
        let host = copy(&config, HOST_CONFIG);
        assert_eq!(host.get("Memory").unwrap().as_u64(), Some(5));
        assert_eq!(host.get("CpuShares").unwrap().as_u64(), Some(0));
        assert_eq!(host.get("PidsLimit"), Some(&Value::Null));
        let state = copy(&parse(b"{\"state\":{\"started\":\"\"}}").unwrap(), STATE);
        assert_eq!(state.get("StartedAt").unwrap().as_str(), Some("0001-01-01T00:00:00Z"));
        assert_eq!(copy(&config, CONFIG).get("Tty").unwrap().as_bool(), Some(true));
    }
}
