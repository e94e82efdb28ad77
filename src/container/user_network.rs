//! A normal user's containers on a network: by a program that turns what a namespace sends into sockets of the user's.
//!
//! Either of two will do. It stays in the background until the container has ended, also without vial, and is noted in the
//! place of the relay of root's containers.
//!
//! # Source
//! pasta(1), slirp4netns(1).

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::connections::{Connections, Port};
use super::launch::{DNS, PORTS, annotation};
use super::spec::Spec;
use super::{process as known, publish};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::base::text::{self, Cut, decimal_u32};
use crate::kernel::program::{self, Program};
use crate::network::bridge;
use crate::sys::cold::Gate;
use crate::sys::{Fd, FdRef, because, fd, file, net, poll, process};

/// Set to the program's name if the container is connected so.
pub const USER_NETWORK: &str = "vial.userNetwork";

/// A program that connects.
struct Means {
    name: &'static str,
    /// What it has to be told. A sign after `%` stands for one of the [`SIGNS`], and a word whose sign stands for nothing is left out.
    words: &'static str,
    /// The address at which it passes questions for names on to the host's servers.
    resolver: &'static str,
}

/// Ports of TCP and of UDP, the namespace, the resolver, which descriptor tells that it is ready, which one that the container has
/// ended, the socket at which it takes ports, and what it takes for IPv6.
const SIGNS: &str = "t u n d r x a 6";

/// Those that are known, the better one first.
static MEANS: [Means; 2] = [
    Means {
        name: "pasta",
        words: "--config-net --quiet --no-map-gw -T none -U none -t %t -u %u --dns-forward=%d --pid network.pid --netns %n",
        resolver: "169.254.1.1",
    },
    Means {
        name: "slirp4netns",
        words: "--configure --mtu=65520 --disable-host-loopback --enable-sandbox --enable-seccomp --%6 --ready-fd=%r --exit-fd=%x \
                --api-socket=%a --netns-type=path %n tap0",
        resolver: "10.0.2.3",
    },
];
/// Where they are looked for.
const SEARCHED: &[&CStr] = &[c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
/// Where its number is, in the container's directory.
const NUMBER: &CStr = c"network.pid";
/// The socket at which slirp4netns takes ports, there too.
const SOCKET: &str = "network.socket";

/// Whether a container is connected so.
#[must_use]
pub fn is_wanted(spec: &Spec) -> bool {
    !annotation(spec, USER_NETWORK).is_empty()
}

type Act = fn(&Spec, FdRef<'_>, u32, Option<&Fd>) -> Result<()>;
type Find = fn() -> &'static str;
type Tell = fn(&str) -> &'static str;
type End = fn(FdRef<'_>) -> Result<()>;

static COLD_GATE_NETWORK: Gate<(Act, Find, Tell, End)> = Gate((start, find, tell, finish));

/// The program that the host has, the better one if it has both; nothing if it has none.
///
/// # Errors
/// As [`Gate::open`].
pub fn found() -> Result<&'static str> {
    Ok(COLD_GATE_NETWORK.open()?.1())
}

/// The address at which a program passes questions for names on.
///
/// # Errors
/// As [`Gate::open`].
pub fn resolver(program: &str) -> Result<&'static str> {
    Ok(COLD_GATE_NETWORK.open()?.2(program))
}

/// Connects a container whose directory is the current one, with this first process and network namespace.
///
/// # Errors
/// There is no such program, it fails, or a port is taken.
pub fn connect(spec: &Spec, directory: FdRef<'_>, pid: u32, namespace: Option<&Fd>) -> Result<()> {
    COLD_GATE_NETWORK.open()?.0(spec, directory, pid, namespace)
}

/// Ends one that was started for the container and is not noted, since vial was killed in between.
///
/// # Errors
/// It can't be ended.
pub fn end(directory: FdRef<'_>) -> Result<()> {
    COLD_GATE_NETWORK.open()?.3(directory)
}

fn find() -> &'static str {
    let paths = SEARCHED[0].to_str().unwrap_or_default().cut(b'=').map_or("", |(_, paths)| paths);
    for means in &MEANS {
        for path in paths.parts(b':') {
            if file::path(join!("{}/{}", path, means.name)).is_ok_and(|path| file::exists(fd::CWD, path)) {
                return means.name;
            }
        }
    }
    ""
}

fn means(program: &str) -> &'static Means {
    &MEANS[usize::from(program != MEANS[0].name)]
}

fn tell(program: &str) -> &'static str {
    means(program).resolver
}

fn start(spec: &Spec, directory: FdRef<'_>, pid: u32, namespace: Option<&Fd>) -> Result<()> {
    let _why = because!("connect the container by a program of the host's that normal users may execute");
    finish(directory)?;
    let means = means(annotation(spec, USER_NETWORK));
    let stays = means.name != MEANS[0].name;
    let mut made = Connections::default();
    // Whoever has one of the ports is told of now; the sockets are closed before the program wants them.
    drop(publish::claim(spec, &mut made.ports)?);
    let [tcp, udp] = if stays { only_ipv4(spec, &mut made.ports).map(|()| ["", ""])? } else { forwards(spec, &made) };
    let namespace = namespace.ok_or_else(|| Error::new(phrase!("the container has no network namespace")))?;
    let (ready, tells) = file::pipe()?;
    // Before Linux 6.9 the end of a process is not told as slirp4netns expects it, and before 5.3 there are no such files: there
    // it is ended by vial alone.
    let ends = if stays { process::pidfd_open(pid).ok() } else { None };
    let values = [
        tcp,
        udp,
        join!("/proc/self/fd/{}", namespace.number()),
        if annotation(spec, DNS).is_empty() { means.resolver } else { "" },
        join!("{}", tells.number()),
        ends.as_ref().map_or("", |ends| join!("{}", ends.number())),
        if made.ports.is_empty() { "" } else { SOCKET },
        if bridge::has_ipv6() { "enable-ipv6" } else { "" },
    ];
    let mut args = alloc::vec![file::path(means.name)?];
    for word in means.words.words() {
        match word.cut(b'%').map(|(head, sign)| (head, text::place(SIGNS, sign).map_or("", |place| values[place]))) {
            None => args.push(file::path(word)?),
            Some((_, "")) => {}
            Some((head, value)) => args.push(file::path(join!("{}{}", head, value))?),
        }
    }
    // What slirp4netns says: its own end of that it never reads, so that it says it to somebody as long as it lives, and to no
    // more than fits in there.
    let (words, says) = file::pipe()?;
    file::never_wait(says.by_ref())?;
    let mut running = Program::prepare(&args, SEARCHED, &mut |parent| {
        file::keep_on_exec(namespace.by_ref())?;
        file::put_in_place(says.by_ref(), fd::STDOUT)?;
        if !stays {
            // It goes to the background by itself.
            return program::tie(parent);
        }
        for kept in [Some(&tells), ends.as_ref()].into_iter().flatten() {
            file::keep_on_exec(kept.by_ref())?;
        }
        // What is meant for those at the terminal is not meant for it.
        process::setsid()?;
        poll::block_signals(0)?;
        process::prctl_name(c"slirp4netns")?;
        file::write_file(directory, NUMBER, join!("{}", process::getpid()).as_bytes(), 0o600)?;
        file::put_in_place(words.by_ref(), fd::STDIN)?;
        file::put_in_place(says.by_ref(), fd::STDERR)
    })?;
    drop((tells, says));
    let is_ready = stays && file::read(ready.by_ref(), &mut [0]).is_ok_and(|count| count == 1);
    let code = if is_ready { Some(0) } else { running.conclude() };
    if let (true, false, Some(_)) = (stays, is_ready, code) {
        let said = file::read_to_end(words.by_ref(), 64 << 10).unwrap_or_default();
        let _ = file::write_all(fd::STDERR, &said);
    }
    let number = if is_ready { running.leave() } else { number(directory) };
    made.relay = (number, known::began(number));
    match code {
        Some(0) if !stays || is_ready => {}
        None => {
            finish(directory)?;
            return Err(Error::new(say!("there is no {}, which connects a normal user's containers", means.name))
                .hint(phrase!(
                    "install pasta (package passt) or slirp4netns, or accept --network none or --network host"
                )));
        }
        Some(code) => {
            finish(directory)?;
            return Err(Error::new(say!("{} can't connect the container: it ended with code {}", means.name, code))
                .hint(phrase!("it says why above; --network none and --network host do without")));
        }
    }
    if stays && let Err(error) = hand_over(directory, &made.ports) {
        finish(directory)?;
        return Err(error);
    }
    made.write(directory)
}

/// What pasta is told of the ports: those of TCP, and of UDP. On all addresses there may be two of the same.
fn forwards(spec: &Spec, made: &Connections) -> [&'static str; 2] {
    let mut lists = [String::new(), String::new()];
    let has = |host: &str, at: u16| made.ports.iter().any(|port| port.host == host && port.host_port == at);
    let ports = made.ports.iter().filter(|port| port.host != "::" || !has("0.0.0.0", port.host_port));
    for (line, port) in annotation(spec, PORTS).parts(b'\n').zip(ports) {
        let mut words = line.words();
        let (protocol, at) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let list = &mut lists[usize::from(protocol == "udp")];
        if !list.is_empty() {
            list.push(',');
        }
        if at != "*" {
            list.push_str(join!("{}/", at));
        }
        list.push_str(join!("{}:{}", port.host_port, port.port));
    }
    lists.map(|list| if list.is_empty() { "none" } else { keep::copy(&list) })
}

/// slirp4netns publishes at addresses of IPv4 only. What is published on all addresses is so on all of these.
fn only_ipv4(spec: &Spec, ports: &mut Vec<Port>) -> Result<()> {
    for line in annotation(spec, PORTS).parts(b'\n') {
        let at = line.words().nth(1).unwrap_or_default();
        if at.has(b':') {
            return Err(Error::new(say!(
                "slirp4netns can't publish ports at {}: it does so at IPv4 addresses only",
                at
            ))
            .hint(phrase!("pasta (package passt) can")));
        }
    }
    while let Some(at) = ports.iter().position(|port| port.host == "::") {
        ports.remove(at);
    }
    Ok(())
}

/// Tells slirp4netns which ports it is to listen at, and takes the socket for that away.
fn hand_over(directory: FdRef<'_>, ports: &[Port]) -> Result<()> {
    for port in ports {
        let socket = net::connect_stream_at(directory, SOCKET)?;
        let ask = [
            "{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"",
            port.protocol,
            "\",\"host_addr\":\"",
            port.host,
            join!("\",\"host_port\":{},\"guest_port\":{}", port.host_port, port.port),
            "}}",
        ];
        net::send(socket.by_ref(), ask.concat().as_bytes(), None)?;
        let answer = file::read_to_end(socket.by_ref(), 4 << 10)?;
        if !answer.starts_with(b"{\"return\"") {
            let answer = keep::lossy(&answer);
            return Err(Error::new(say!("slirp4netns can't publish port {}: {}", port.host_port, answer)));
        }
    }
    if ports.is_empty() { Ok(()) } else { file::unlink(directory, file::path(SOCKET)?) }
}

fn number(directory: FdRef<'_>) -> u32 {
    let text = file::read_file(directory, NUMBER, 32).unwrap_or_default();
    core::str::from_utf8(&text).ok().and_then(|text| decimal_u32(text.trim_ascii())).unwrap_or(0)
}

fn finish(directory: FdRef<'_>) -> Result<()> {
    let number = number(directory);
    if number == 0 {
        return Ok(());
    }
    let name = file::read_file(fd::CWD, file::path(join!("/proc/{}/comm", number))?, 32).unwrap_or_default();
    // Its number may be another process's by now.
    if [&b"pasta"[..], b"passt", b"slirp4netns"].iter().any(|known| name.starts_with(known)) {
        publish::end_relay((number, known::began(number)))?;
    }
    file::unlink(directory, NUMBER)
}
