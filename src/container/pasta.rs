//! A normal user's containers on a network: by `pasta`, a program that turns what a namespace sends into sockets of the user's.
//!
//! It stays in the background until the container has ended. It is noted in the place of the relay of root's containers.
//!
//! # Source
//! pasta(1).

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::connections::Connections;
use super::launch::{DNS, PORTS, annotation};
use super::spec::Spec;
use super::{process as known, publish};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{Cut, decimal_u32};
use crate::kernel::program::Program;
use crate::sys::cold::Gate;
use crate::sys::{Fd, FdRef, because, fd, file};

/// Set if the container is connected so.
pub const USER_NETWORK: &str = "vial.userNetwork";
/// The address at which it passes questions for names on to the host's servers.
pub const RESOLVER: &str = "169.254.1.1";
/// Where it is looked for.
const SEARCHED: &[&CStr] = &[c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
/// Where it writes its number, in the container's directory.
const NUMBER: &CStr = c"pasta.pid";

/// Whether the host has the program.
#[must_use]
pub fn is_there() -> bool {
    let paths = SEARCHED[0].to_str().unwrap_or_default().cut(b'=').map_or("", |(_, paths)| paths);
    paths.parts(b':').any(|path| file::path(join!("{}/pasta", path)).is_ok_and(|path| file::exists(fd::CWD, path)))
}

/// Whether a container is connected so.
#[must_use]
pub fn is_wanted(spec: &Spec) -> bool {
    !annotation(spec, USER_NETWORK).is_empty()
}

type Start = fn(&Spec, FdRef<'_>, Option<&Fd>) -> Result<()>;

static COLD_GATE: Gate<Start> = Gate(start);

/// Connects a container whose directory is the current one and whose network namespace this is.
///
/// # Errors
/// There is no such program, it fails, or a port is taken.
pub fn connect(spec: &Spec, directory: FdRef<'_>, namespace: Option<&Fd>) -> Result<()> {
    COLD_GATE.open()?(spec, directory, namespace)
}

fn start(spec: &Spec, directory: FdRef<'_>, namespace: Option<&Fd>) -> Result<()> {
    let _why = because!("connect the container by pasta");
    end(directory)?;
    let mut made = Connections::default();
    // Whoever has one of the ports is told of now; the sockets are closed before the program wants them.
    drop(publish::claim(spec, &mut made.ports)?);
    let mut forwards = [String::new(), String::new()];
    for (line, place) in annotation(spec, PORTS).parts(b'\n').zip(ports(&made)) {
        let mut words = line.words();
        let (protocol, at) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let list = &mut forwards[usize::from(protocol == "udp")];
        if !list.is_empty() {
            list.push(',');
        }
        if at != "*" {
            list.push_str(join!("{}/", at));
        }
        list.push_str(join!("{}:{}", place.0, place.1));
    }
    let forward = |list: &str| file::path(if list.is_empty() { "none" } else { keep::copy(list) });
    let namespace = namespace.ok_or_else(|| Error::new(phrase!("the container has no network namespace")))?;
    file::keep_on_exec(namespace.by_ref())?;
    let namespace = file::path(join!("/proc/self/fd/{}", namespace.number()))?;
    let [tcp, udp] = [forward(&forwards[0])?, forward(&forwards[1])?];
    let (none, resolver) = (c"none", file::path(RESOLVER)?);
    let mut args: Vec<&CStr> = Vec::new();
    args.extend([
        c"pasta",
        c"--config-net",
        c"--quiet",
        c"--no-map-gw",
        c"-t",
        tcp,
        c"-u",
        udp,
        c"-T",
        none,
        c"-U",
        none,
    ]);
    if annotation(spec, DNS).is_empty() {
        args.extend([c"--dns-forward", resolver]);
    }
    args.extend([c"--pid", NUMBER, c"--netns", namespace]);
    let (_output, mut running) = Program::start(&args, SEARCHED, None)?;
    match running.conclude() {
        Some(0) => {}
        None => {
            return Err(Error::new(phrase!("there is no pasta, which connects a normal user's containers"))
                .hint(phrase!("install it (package passt), or accept --network none or --network host")));
        }
        Some(code) => {
            end(directory)?;
            return Err(Error::new(say!("pasta can't connect the container: it ended with code {}", code))
                .hint(phrase!("it says why above; --network none and --network host do without")));
        }
    }
    let number = number(directory);
    made.relay = (number, known::began(number));
    made.write(directory)
}

/// The host's port and the container's of each port that was asked for: on all addresses there may be two of the same.
fn ports(made: &Connections) -> Vec<(u16, u16)> {
    let mut ports: Vec<(u16, u16)> = Vec::new();
    for port in made.ports.iter().filter(|port| port.host != "::" || !is_doubled(made, port.host_port)) {
        ports.push((port.host_port, port.port));
    }
    ports
}

fn is_doubled(made: &Connections, host_port: u16) -> bool {
    made.ports.iter().any(|port| port.host == "0.0.0.0" && port.host_port == host_port)
}

fn number(directory: FdRef<'_>) -> u32 {
    let text = file::read_file(directory, NUMBER, 32).unwrap_or_default();
    core::str::from_utf8(&text).ok().and_then(|text| decimal_u32(text.trim_ascii())).unwrap_or(0)
}

/// Ends one that was started for the container and is not noted, since vial was killed in between.
///
/// # Errors
/// It can't be ended.
pub fn end(directory: FdRef<'_>) -> Result<()> {
    let number = number(directory);
    if number == 0 {
        return Ok(());
    }
    let name = file::read_file(fd::CWD, file::path(join!("/proc/{}/comm", number))?, 32).unwrap_or_default();
    // Its number may be another process's by now.
    if name.starts_with(b"pasta") || name.starts_with(b"passt") {
        publish::end_relay((number, known::began(number)))?;
    }
    file::unlink(directory, NUMBER)
}
