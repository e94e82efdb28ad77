//! The ports that lead to a container and the networks that it is on: `vial port`, and what `ps` and `inspect` show.

use alloc::vec::Vec;

use super::context::Context;
use super::inspect::copy;
use super::lifecycle::look;
use crate::base::error::{Error, Result};
use crate::base::json::{Value, object};
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::text::{Cut, decimal_u64};
use crate::container::connections::{Connection, Connections, Port};
use crate::container::launch::{NETWORKS, PORTS};
use crate::container::state::Seen;
use crate::container::user_network::USER_NETWORK;
use crate::network::Networks;

/// What is put up for a container, to be shown; nothing if it does not run.
fn connections(seen: &Seen) -> Connections {
    let running = seen.condition.is_running();
    if running { Connections::read(seen.directory.by_ref()).unwrap_or_default() } else { Connections::default() }
}

/// `80/tcp`.
fn inner(port: &Port) -> &'static str {
    join!("{}/{}", port.port, port.protocol)
}

/// `0.0.0.0:8080`, `[::]:8080`.
fn outer(port: &Port) -> &'static str {
    let (open, close) = if port.host.has(b':') { ("[", "]") } else { ("", "") };
    join!("{}{}{}:{}", open, port.host, close, port.host_port)
}

/// Prints the ports that lead to a container: all, or where one of them can be reached.
pub(super) fn port(context: &Context<'static>) -> Result<u8> {
    let (name, asked) = (context.parsed.word(0), context.parsed.word(1));
    let wanted = if asked.has(b'/') { asked } else { join!("{}/tcp", asked) };
    let mut missed = !asked.is_empty();
    for port in &connections(&look(context, name)?.2).ports {
        let (inner, outer) = (inner(port), outer(port));
        if asked.is_empty() {
            super::print_line(join!("{} -> {}", inner, outer))?;
        } else if inner == wanted {
            missed = false;
            super::print_line(outer)?;
        }
    }
    if missed { Err(Error::new(say!("no public port '{}' published for {}", asked, name))) } else { Ok(0) }
}

/// `0.0.0.0:8080->80/tcp, 443/tcp`: the ports that lead to a container, and those that it listens on besides.
pub(super) fn shown(seen: &Seen) -> &'static str {
    let mut shown = "";
    let mut add = |more: &str| shown = join!("{}{}{}", shown, (if shown.is_empty() { "" } else { ", " }), more);
    let ports = connections(seen).ports;
    for port in &ports {
        add(join!("{}->{}", outer(port), inner(port)));
    }
    for exposed in seen.state.exposed.parts(b',').map(str::trim_ascii_start) {
        if !exposed.is_empty() && ports.iter().all(|port| inner(port) != exposed) {
            add(exposed);
        }
    }
    shown
}

/// What `inspect` shows of a container's networks and ports, by its `config.json` and what is put up.
#[inline(never)]
pub(super) fn describe(context: &Context<'_>, seen: &Seen, config: &Value) -> Result<Value> {
    let note = |name| config.at(&["annotations", name]).and_then(Value::as_str).unwrap_or_default();
    let mut made = connections(seen);
    let (mut described, mut future) = (Value::Null, Vec::new());
    let mut mode = config.at(&["modes", "network"]).and_then(Value::as_str).unwrap_or_default();
    for name in [NETWORKS, USER_NETWORK] {
        if let Some(first) = note(name).words().next() {
            mode = keep::copy(first);
        }
    }
    // Those that it will be on, if it does not run.
    for line in note(NETWORKS).parts(b'\n').filter(|_| made.networks.is_empty() && !seen.condition.is_running()) {
        let (mut words, mut names, mut mac) = (line.words(), Vec::new(), "");
        let Some(network) = words.next() else { continue };
        for word in words {
            match word.cut(b'=') {
                Some(("alias", alias)) => names.push(alias),
                Some(("mac", address)) => mac = keep::copy(address),
                _ => {}
            }
        }
        let names = names.join(",").leak();
        future.push(Connection { network: keep::copy(network), mac, names, ..Connection::default() });
    }
    made.networks.append(&mut future);
    let networks = Networks::open(context.open_root()?)?;
    for connection in &mut made.networks {
        let own = endpoint(connection, networks.load(connection.network)?.map_or("", |network| network.id));
        if *described.member("first") == Value::Null {
            described.set("first", own.clone());
        }
        described.member("Networks").set(connection.network, own);
    }
    described.text("Mode", mode);
    for line in note(PORTS).parts(b'\n') {
        let mut words = line.words();
        let mut word = || words.next().unwrap_or_default();
        let (protocol, host, host_port, port) = (word(), word(), word(), word());
        if !port.is_empty() {
            let host = if host == "*" { "" } else { host };
            bind(described.member("Bindings"), join!("{}/{}", port, protocol), host, host_port);
        }
    }
    for exposed in seen.state.exposed.parts(b',').map(str::trim_ascii_start).filter(|port| !port.is_empty()) {
        described.member("Ports").member(exposed);
    }
    for port in &made.ports {
        bind(described.member("Ports"), inner(port), port.host, join!("{}", port.host_port));
    }
    Ok(described)
}

/// Adds an address and a port of the host's to those that lead to a container's port.
fn bind(ports: &mut Value, port: &'static str, host: &'static str, host_port: &'static str) {
    let known = ports.member(port);
    let mut all = Vec::from(known.as_array().unwrap_or_default());
    all.push(object([("HostIp", host.into()), ("HostPort", host_port.into())]));
    *known = all.into();
}

/// A connection in rows, as [`copy`] takes them.
const ENDPOINT: Phrase = phrase!(
    "IPAddress address \"\"
     IPPrefixLen bits 0
     Gateway gateway \"\"
     MacAddress mac \"\"
     GlobalIPv6Address address6 \"\"
     GlobalIPv6PrefixLen bits6 0
     IPv6Gateway gateway6 \"\"
     NetworkID id \"\"
     Aliases aliases"
);

/// A connection as docker shows it.
#[inline(never)]
fn endpoint(connection: &mut Connection, id: &'static str) -> Value {
    let mut facts = Value::Null;
    for (name, part) in connection.parts() {
        facts.set(name, decimal_u64(part).map_or(Value::from(*part), Value::from));
    }
    let names: Vec<&str> = connection.names.parts(b',').collect();
    facts.set("aliases", Value::texts(&names, ""));
    facts.text("id", id);
    copy(&facts, ENDPOINT)
}
