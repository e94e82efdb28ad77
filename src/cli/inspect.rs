//! `vial inspect` and `vial volume inspect`: all that is known of something, as JSON in docker's shape.

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Context;
use super::flags::Id;
use super::output::{self, Form, Format};
use super::parse::Given;
use super::{images, network, port, ps, volume};
use crate::base::error::{EXIT_FAILURE, Error, Result};
use crate::base::json::{Value, object, parse, record};
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::container::bundle::Bundles;
use crate::container::state::{Condition, Seen};
use crate::container::{defaults, volume as volumes};

/// What can be inspected, in the order in which a name is looked up.
const KINDS: [&str; 4] = ["container", "image", "volume", "network"];

/// `inspect`.
pub(super) fn inspect(context: &Context<'_>) -> Result<u8> {
    let parsed = context.parsed;
    let mut only = parsed.noun;
    if let Some(given) = parsed.last(Id::InspectType) {
        let wanted = given.text()?;
        let known = KINDS.contains(&wanted) && (only.is_empty() || only == wanted);
        given.check(known.then_some(()), phrase!("no such type"), phrase!("container, image, volume or network"))?;
        only = wanted;
    }
    print(context, only, parsed.last(Id::InspectFormat))
}

/// `volume inspect`.
pub(super) fn volumes(context: &Context<'_>) -> Result<u8> {
    print(context, "volume", context.parsed.last(Id::VolumeTemplate))
}

/// `network inspect`.
pub(super) fn networks(context: &Context<'_>) -> Result<u8> {
    print(context, "network", context.parsed.last(Id::VolumeTemplate))
}

/// Describes what has this name: of one kind, or the first that there is.
fn describe(context: &Context<'_>, only: &str, name: &str) -> Result<Option<Value>> {
    for kind in KINDS {
        let found = match kind {
            _ if !only.is_empty() && only != kind => None,
            "container" => container(context, name)?,
            "image" => images::describe(context, name)?,
            "volume" => volume::describe(context, name)?,
            _ => network::describe(context, name)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[inline(never)]
fn print(context: &Context<'_>, only: &str, given: Option<Given<'_>>) -> Result<u8> {
    let format = Format::new(given, false)?;
    if let (Some(given), Form::Table) = (given, format.form) {
        return Err(given.refuse(phrase!("no table"), phrase!("json or a template such as '{{.Name}}'")));
    }
    let mut found: Vec<Value> = Vec::new();
    let mut code = super::each(&context.parsed.positionals, &mut |name| {
        let Some(value) = describe(context, only, name)? else {
            let kind = if only.is_empty() { "object" } else { only };
            return Err(Error::new(say!("no such {}: {}", kind, name)));
        };
        found.push(value);
        Ok(())
    });
    if given.is_none() {
        super::print_line(&Value::from(found).to_pretty())?;
        return Ok(code);
    }
    for value in &found {
        let mut line = String::new();
        let result = if format.form == Form::Template {
            format.render(&mut line, &mut |out, path, json| lookup(value, out, path, json))
        } else {
            line = value.to_compact();
            Ok(())
        };
        match result {
            Ok(()) => super::print_line(&line)?,
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

/// Writes a template's field.
fn lookup(value: &Value, out: &mut String, path: &str, json: bool) -> Result<()> {
    let found = if path.is_empty() { Some(value) } else { at(value, path) };
    match found {
        Some(Value::String(text)) if !json => out.push_str(text),
        Some(found) => out.push_str(&found.to_compact()),
        None => {
            let members = value.as_object().unwrap_or_default();
            return Err(output::unknown_field(path, &mut members.iter().map(|(name, _)| *name)));
        }
    }
    Ok(())
}

/// A container in rows, as [`copy`] takes them, over the [`facts`].
const CONTAINER: Phrase = phrase!(
    "Id id \"\"
     Created state.created never
     Path program \"\"
     Args arguments
     State .
     Image image \"\"
     Name name \"\"
     RestartCount state.restartCount 0
     Driver . \"overlay\"
     Platform . \"linux\"
     Bundle bundle \"\"
     State
     Status status \"\"
     Running running false
     Paused paused false
     OOMKilled state.oomKilled false
     Dead dead false
     Pid state.pid 0
     ExitCode state.exitCode 0
     Error state.error \"\"
     StartedAt state.started never
     FinishedAt state.finished never
     HostConfig
     Memory linux.resources.memory.limit 0
     MemoryReservation linux.resources.memory.reservation 0
     MemorySwap linux.resources.memory.swap 0
     MemorySwappiness linux.resources.memory.swappiness
     OomKillDisable linux.resources.memory.disableOOMKiller false
     CpuShares linux.resources.cpu.shares 0
     CpuPeriod linux.resources.cpu.period 0
     CpuQuota linux.resources.cpu.quota 0
     CpusetCpus linux.resources.cpu.cpus \"\"
     CpusetMems linux.resources.cpu.mems \"\"
     PidsLimit linux.resources.pids.limit
     BlkioWeight linux.resources.blockIO.weight 0
     Sysctls linux.sysctl
     Ulimits process.rlimits
     OomScoreAdj process.oomScoreAdj 0
     ReadonlyRootfs root.readonly false
     CgroupPath linux.cgroupsPath \"\"
     MaskedPaths linux.maskedPaths
     ReadonlyPaths linux.readonlyPaths
     AutoRemove state.remove false
     NetworkMode network.Mode \"\"
     PortBindings network.Bindings {}
     PidMode modes.pid \"\"
     IpcMode modes.ipc \"\"
     UTSMode modes.uts \"\"
     CgroupnsMode modes.cgroup \"\"
     .
     Mounts asked
     Config
     Hostname hostname \"\"
     Domainname domainname \"\"
     User user \"\"
     Tty process.terminal false
     Env process.env
     Cmd process.args
     Image state.image \"\"
     WorkingDir process.cwd \"\"
     ExposedPorts exposed
     Labels state.labels {}
     StopSignal stopSignal \"\"
     .
     NetworkSettings
     Ports network.Ports {}
     IPAddress network.first.IPAddress \"\"
     IPPrefixLen network.first.IPPrefixLen 0
     Gateway network.first.Gateway \"\"
     MacAddress network.first.MacAddress \"\"
     GlobalIPv6Address network.first.GlobalIPv6Address \"\"
     GlobalIPv6PrefixLen network.first.GlobalIPv6PrefixLen 0
     IPv6Gateway network.first.IPv6Gateway \"\"
     Networks network.Networks {}"
);

/// Makes an object of rows: a member's name, the path to its value among the facts (a dot leads to nothing), and in JSON what
/// docker prints instead for something that was not asked for or has not happened; `null` if nothing stands there, and
/// `never` for a moment, for which empty text stands too. A name alone is the member that the rows below it are in; a dot
/// leads out of it.
pub(super) fn copy(facts: &Value, rows: Phrase) -> Value {
    let (mut copied, mut inside) = (Value::Null, ".");
    for row in rows.text().leak().parts(b'\n') {
        let mut words = row.words();
        let mut word = || words.next().unwrap_or_default();
        let (name, path, absent) = (word(), word(), word());
        if path.is_empty() {
            inside = name;
            continue;
        }
        let never = absent == "never";
        let value = match at(facts, path) {
            Some(found) if !never || found.as_str() != Some("") => found.clone(),
            _ if never => "0001-01-01T00:00:00Z".into(),
            _ => parse(absent.as_bytes()).unwrap_or_default(),
        };
        let object = if inside == "." { &mut copied } else { copied.member(inside) };
        object.set(name, value);
    }
    copied
}

/// What is known of a container.
#[inline(never)]
fn container(context: &Context<'_>, name: &str) -> Result<Option<Value>> {
    let root = context.open_root()?;
    let bundles = Bundles::open(root)?;
    let Some(found) = bundles.search(name)? else { return Ok(None) };
    let Some(mut seen) = Seen::look(&bundles, found)? else { return Ok(None) };
    if let Some(problem) = seen.problem.take() {
        return Err(problem);
    }
    let mut described = copy(&facts(context, &mut seen)?, CONTAINER);
    if context.parsed.on(Id::InspectSize) {
        described.set("SizeRw", ps::written(&seen)?.into());
    }
    Ok(Some(described))
}

/// All that is known of a container: its `config.json`, and besides its members `state` and what follows from both.
#[inline(never)]
fn facts(context: &Context<'_>, seen: &mut Seen) -> Result<Value> {
    // One that is being made has none yet.
    let mut facts = seen.config().unwrap_or_default();
    let annotation = |name: &str| facts.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    let (group, image) = (annotation("vial.group"), seen.state.image_id);
    let (program, arguments) = seen.state.command.split_first().unwrap_or((&"", &[]));
    for (name, text) in [
        ("user", join!("{}{}{}", annotation("vial.user"), (if group.is_empty() { "" } else { ":" }), group)),
        ("stopSignal", join!("{}", annotation("vial.stopSignal"))),
        ("id", seen.id),
        ("name", join!("/{}", seen.name)),
        ("image", join!("{}{}", (if image.is_empty() { "" } else { "sha256:" }), image)),
        ("bundle", join!("{}/containers/{}", Context::absolute(context.root_path())?, seen.id)),
        ("status", seen.condition.name()),
        ("program", program),
    ] {
        facts.text(name, text);
    }
    facts.set("arguments", Value::texts(arguments, ""));
    for port in seen.state.exposed.parts(b' ').filter(|port| !port.is_empty()) {
        facts.member("exposed").set(port.trim_end_matches(','), object([]));
    }
    facts.set("running", seen.condition.is_running().into());
    facts.set("paused", (seen.condition == Condition::Paused).into());
    facts.set("dead", (seen.condition == Condition::Dead).into());
    facts.set("state", record::write(&mut **seen.state));
    facts.set("modes", modes(&facts));
    let network = port::describe(context, seen, &facts)?;
    facts.set("network", network);
    facts.set("asked", mounts(context, &facts)?);
    Ok(facts)
}

/// Kinds of namespaces, and what is said of a container that has its own.
const MODES: &str = "network none|pid |ipc private|uts |cgroup private";

/// Whose namespaces a container has.
fn modes(facts: &Value) -> Value {
    let mut modes = Value::Null;
    let Some(namespaces) = at(facts, "linux.namespaces").and_then(Value::as_array) else { return modes };
    for row in MODES.parts(b'|') {
        let (kind, own) = row.cut(b' ').unwrap_or_default();
        let namespace = namespaces.iter().find(|namespace| namespace.get("type").and_then(Value::as_str) == Some(kind));
        let mode = match namespace.map(|namespace| namespace.get("path").and_then(Value::as_str)) {
            None => "host",
            Some(None) => own,
            Some(Some(path)) => join!("ns:{}", path),
        };
        modes.text(kind, mode);
    }
    modes
}

/// The mounts that the user or the image asked for.
fn mounts(context: &Context<'_>, facts: &Value) -> Result<Value> {
    let mut asked: Vec<Value> = Vec::new();
    let defaults = &defaults::spec()?.mounts;
    for mount in facts.get("mounts").and_then(Value::as_array).unwrap_or_default() {
        let text = |member| mount.get(member).and_then(Value::as_str).unwrap_or_default();
        let (source, destination) = (text("source"), text("destination"));
        let mut described = Value::default();
        match volumes::name_in(source) {
            Some(name) => {
                described.text("Type", "volume");
                described.text("Name", name);
                described.text("Driver", "local");
                described.text("Source", volume::mount_point(context, name)?);
            }
            None if source.starts_with('/') => {
                described.text("Type", "bind");
                described.text("Source", source);
            }
            None if text("type") == "tmpfs" && defaults.iter().all(|mount| mount.destination != destination) => {
                described.text("Type", "tmpfs");
                described.text("Source", "");
            }
            None => continue,
        }
        let (mut writable, mut propagation) = (true, "");
        for option in mount.get("options").and_then(Value::as_array).unwrap_or_default() {
            match option.as_str().unwrap_or_default() {
                "ro" => writable = false,
                option if text::place("private slave shared rprivate rslave rshared", option).is_some() => {
                    propagation = option;
                }
                _ => {}
            }
        }
        described.text("Destination", destination);
        described.set("RW", writable.into());
        described.text("Propagation", propagation);
        asked.push(described);
    }
    Ok(asked.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(value: &Value, path: &str, json: bool) -> Result<String> {
        let mut out = String::new();
        super::lookup(value, &mut out, path, json).map(|()| out)
    }

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
        let described = copy(&config, CONTAINER);
        let get = |path| at(&described, path);
        assert_eq!(get("HostConfig.Memory").unwrap().as_u64(), Some(5));
        assert_eq!(get("HostConfig.CpuShares").unwrap().as_u64(), Some(0));
        assert_eq!(get("HostConfig.PidsLimit"), Some(&Value::Null));
        assert_eq!((get("Mounts"), get("Config.Mounts")), (Some(&Value::Null), None));
        assert_eq!(get("Config.Tty").unwrap().as_bool(), Some(true));
        let state = copy(&parse(b"{\"state\":{\"started\":\"\"}}").unwrap(), CONTAINER);
        assert_eq!(at(&state, "State.StartedAt").unwrap().as_str(), Some("0001-01-01T00:00:00Z"));
    }
}
