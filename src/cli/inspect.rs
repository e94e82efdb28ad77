//! `vial inspect` and `vial volume inspect`: all that is known of something, as JSON in docker's shape.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Format};
use super::parse::Given;
use super::{images, ps, volume};
use crate::base::error::{EXIT_FAILURE, Error, Result};
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

/// A member that is copied from `config.json`: its name, where it is there, and what docker has in its place if it is not.
type Row = (&'static str, &'static str, Absent);

/// What docker prints for something that was not asked for.
#[derive(Clone, Copy)]
enum Absent {
    Zero,
    Empty,
    No,
    Null,
}

use Absent::{Empty, No, Null, Zero};

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
];

#[rustfmt::skip]
const CONFIG: &[Row] = &[
    ("Hostname",           "hostname",                               Empty),
    ("Domainname",         "domainname",                             Empty),
    ("Tty",                "process.terminal",                       No),
    ("Env",                "process.env",                            Null),
    ("Cmd",                "process.args",                           Null),
    ("WorkingDir",         "process.cwd",                            Empty),
];

/// Names and kinds of namespaces: docker's member, the specification's kind, what a container of its own has.
const MODES: &[(&str, &str, &str)] = &[
    ("NetworkMode", "network", "none"),
    ("PidMode", "pid", ""),
    ("IpcMode", "ipc", "private"),
    ("UTSMode", "uts", ""),
    ("CgroupnsMode", "cgroup", "private"),
];

fn copy(config: &Value, rows: &[Row]) -> Value {
    let mut copied = object([]);
    for (name, path, absent) in rows {
        let value = at(config, path).cloned().unwrap_or(match absent {
            Zero => 0u32.into(),
            Empty => "".into(),
            No => false.into(),
            Null => Value::Null,
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
    // One that is being made has none yet.
    let config = seen.config().unwrap_or_default();
    let mut described = describe(context, &seen, &config)?;
    if context.parsed.on(Id::InspectSize) {
        described.set("SizeRw", ps::written(&seen)?.into());
    }
    Ok(Some(described))
}

#[inline(never)]
fn describe(context: &Context<'_>, seen: &Seen, config: &Value) -> Result<Value> {
    let state = &seen.state;
    let text = |text: &String| Value::from(text.as_str());
    // docker's word for a moment that was not.
    let moment = |moment: &String| if moment.is_empty() { "0001-01-01T00:00:00Z".into() } else { text(moment) };
    let annotation = |name: &str| config.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    let words: Vec<Value> = state.command.iter().map(text).collect();
    let (program, arguments) =
        words.split_first().map_or((Value::from(""), [].as_slice()), |(first, rest)| (first.clone(), rest));

    let mut host = copy(config, HOST_CONFIG);
    let shared = at(config, "linux.namespaces").and_then(Value::as_array).unwrap_or_default();
    for (name, kind, own) in MODES {
        let namespace = shared.iter().find(|namespace| namespace.get("type").and_then(Value::as_str) == Some(kind));
        let mode = match namespace.map(|namespace| namespace.get("path").and_then(Value::as_str)) {
            _ if *config == Value::Null => String::new(),
            None => "host".to_string(),
            Some(None) => own.to_string(),
            Some(Some(path)) => ["ns:", path].concat(),
        };
        host.set(name, mode.into());
    }
    host.set("AutoRemove", state.remove.into());

    let mut inner = copy(config, CONFIG);
    let (user, group) = (annotation("vial.user"), annotation("vial.group"));
    let colon = if group.is_empty() { "" } else { ":" };
    inner.set("User", [user, colon, group].concat().into());
    inner.set("Image", text(&state.image));
    inner.set("StopSignal", annotation("vial.stopSignal").into());
    inner.set("Labels", Value::Object(state.labels.iter().map(|(name, value)| (name.clone(), text(value))).collect()));

    let image = if state.image_id.is_empty() { String::new() } else { ["sha256:", &state.image_id].concat() };
    Ok(object([
        ("Id", text(&seen.id)),
        ("Created", moment(&state.created)),
        ("Path", program),
        ("Args", arguments.to_vec().into()),
        (
            "State",
            object([
                ("Status", seen.condition.name().into()),
                ("Running", (seen.condition == Condition::Running).into()),
                ("Paused", false.into()),
                ("OOMKilled", state.oom_killed.into()),
                ("Dead", (seen.condition == Condition::Dead).into()),
                ("Pid", state.pid.into()),
                ("ExitCode", state.exit_code.into()),
                ("Error", text(&state.error)),
                ("StartedAt", moment(&state.started)),
                ("FinishedAt", moment(&state.finished)),
            ]),
        ),
        ("Image", image.into()),
        ("Name", ["/", &seen.name].concat().into()),
        ("Driver", "overlay".into()),
        ("Platform", "linux".into()),
        ("Bundle", [&Context::absolute(&context.root_path())?, "/containers/", &seen.id].concat().into()),
        ("HostConfig", host),
        ("Mounts", mounts(context, config)?),
        ("Config", inner),
    ]))
}

/// The mounts that the user or the image asked for.
#[inline(never)]
fn mounts(context: &Context<'_>, config: &Value) -> Result<Value> {
    let mut asked: Vec<Value> = Vec::new();
    let defaults = &defaults::spec()?.mounts;
    for mount in config.get("mounts").and_then(Value::as_array).unwrap_or_default() {
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
        assert_eq!(copy(&config, CONFIG).get("Tty").unwrap().as_bool(), Some(true));
    }
}
