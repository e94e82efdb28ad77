//! What the values of flags mean: typed and checked, still without a look at the machine.
//!
//! Values borrow from the command line. Names are kept unresolved: users, volumes, images and variables to inherit are for
//! the floor that may open files.

pub mod files;
pub mod limits;
pub mod mounts;
pub mod namespaces;
pub mod network;
pub mod process;
pub mod security;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use super::attach::Manner;
use super::flags::Id;
use super::parse::{Given, Parsed};
use crate::base::error::{Error, Result, Text};
use crate::base::json::Value;
use crate::base::keep;
use crate::base::phrase::Phrase;
use crate::base::signal;
use crate::base::text::{self, Cut};
use crate::container::log::LogOptions;
use crate::container::monitor::Policy;
use crate::image::reference::Image;
use crate::network::DEFAULT;
use process::Variable;

/// `NAME=VALUE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Before the first equals sign.
    pub name: &'a str,
    /// After it.
    pub value: &'a str,
}

/// Everything that a container or a process in one was asked to be. All values of flags are right; what is no more than text
/// is looked up where it is needed.
pub struct RunOptions<'a> {
    /// The flags.
    pub parsed: &'a Parsed<'a>,
    /// The network, or what it is if the flags don't say.
    pub network: &'a str,
    /// The networks that it is on, as they are noted.
    networks: &'static str,
    /// What it is on the first of them.
    details: String,
    /// The image.
    pub image: Image<'a>,
    /// The command and its arguments; empty for the image's own.
    pub command: &'a [&'a [u8]],
    /// How to be attached, if it is not detached.
    pub manner: Manner,
    /// What the flags come to in the runtime specification: its members, to be added to those that it has anyway.
    pub spec: Cell<Value>,
    /// All mounts in the order given; no two have the same target.
    pub mounts: Vec<mounts::Mount<'a>>,
    /// `--cap-add`: one bit for each capability, [`crate::kernel::security::caps::ALL`] for `ALL`.
    pub cap_add: u64,
    /// `--cap-drop`, likewise.
    pub cap_drop: u64,
    /// `--security-opt`.
    pub security: security::Asked<'a>,
}

impl<'a> RunOptions<'a> {
    /// Nothing so far.
    #[must_use]
    pub fn new(parsed: &'a Parsed<'a>) -> &'a mut RunOptions<'a> {
        Box::leak(Box::new(RunOptions {
            parsed,
            network: DEFAULT,
            networks: "",
            details: String::new(),
            image: Image::default(),
            command: &[],
            manner: Manner::default(),
            spec: Cell::default(),
            mounts: Vec::new(),
            cap_add: 0,
            cap_drop: 0,
            security: security::Asked::default(),
        }))
    }

    /// Reads the flags and positionals of `run`. `network` is what `--network` is if it is not given.
    ///
    /// # Errors
    /// A value that is malformed or out of range, or two flags that contradict each other.
    #[inline(never)]
    pub fn from_parsed(parsed: &'a Parsed<'a>, network: &'a str) -> Result<&'a mut RunOptions<'a>> {
        let Some((image, command)) = parsed.positionals.split_first() else {
            return Err(Error::new(phrase!("no image was named"))
                .hint(phrase!("usage: vial run [OPTIONS] IMAGE [COMMAND] [ARG...]")));
        };
        let options = RunOptions::new(parsed);
        options.network = network;
        options.image = Image::parse(image)?;
        options.command = command;
        options.manner = Manner { tty: parsed.on(Id::Tty), ..Manner::new(parsed, parsed.on(Id::Interactive))? };
        options.read()?;
        if parsed.text(Id::LogDriver) == "none" && parsed.last(Id::LogOpt).is_some() {
            return Err(conflict("log-opt", "log-driver none", phrase!("no log is kept"), phrase!("one of both")));
        }
        options.check_limits()?;
        options.check_namespaces()?;
        options.note_networks()?;
        options.check_capabilities()?;
        if parsed.on(Id::Remove) && options.restarts() {
            return Err(conflict(
                "rm",
                "restart",
                phrase!("a container that is removed can't be started again"),
                phrase!("one of them"),
            ));
        }
        Ok(options)
    }

    /// Reads all flags.
    ///
    /// # Errors
    /// A value that is malformed or out of range.
    #[inline(never)]
    pub fn read(&mut self) -> Result<()> {
        for given in &self.parsed.flags {
            let id = given.flag.id;
            // Paths and variables need not be UTF-8.
            let read = match id {
                Id::Env if Variable::parse(given.value).is_none() => Err(phrase!("no name")),
                Id::EnvFile | Id::LabelFile | Id::CidFile if given.value.is_empty() => Err(phrase!("empty")),
                Id::Entrypoint | Id::Env | Id::EnvFile | Id::LabelFile | Id::CidFile => continue,
                Id::SecurityOpt | Id::Landlock => self.confinement(id, given.text()?)?,
                _ => self.take(id, given.text()?),
            };
            match read {
                Ok(text) => put(self.spec.get_mut(), place(id), text),
                Err(why) => return Err(refuse(given, why)),
            }
        }
        Ok(())
    }

    /// Takes a flag in: what stands for its value in the specification, if it has a place there; or why it won't do.
    #[inline(never)]
    fn take(&mut self, id: Id, text: &'a str) -> Read<&'a str> {
        let spec = self.spec.get_mut();
        let (fits, why) = match id {
            Id::Init if text == "false" => return Ok(""),
            Id::Name => (text::is_name(text), phrase!("not a name")),
            Id::Label => (label(text).is_some(), phrase!("no name")),
            Id::Restart => (Policy::parse(text).is_some(), phrase!("no such policy")),
            Id::StopSignal => {
                let signal = signal::parse(text).ok_or(phrase!("no such signal"))?;
                return Ok(signal::name(signal).leak());
            }
            Id::LogDriver => (LogOptions::default().set_driver(text), phrase!("no such driver")),
            Id::LogOpt => {
                let (option, value) = text.cut(b'=').unwrap_or_default();
                let fits = LogOptions::default().set(option, value).is_some();
                if let (true, Some(number)) = (fits, text::size(value)) {
                    let name = if option == "max-size" { "maxSize" } else { "maxFile" };
                    *find(spec, join!("annotations vial.log.{}", name)) = join!("{}", number).into();
                }
                (fits, phrase!("no such option, or not a value of it"))
            }
            Id::Workdir => (text.starts_with('/'), phrase!("not absolute")),
            Id::User | Id::GroupAdd => return process::who(id, text),
            Id::Ulimit => return process::ulimit(spec, text),
            Id::CapAdd => return security::capability(text, &mut self.cap_add),
            Id::CapDrop => return security::capability(text, &mut self.cap_drop),
            Id::Volume | Id::Mount | Id::Tmpfs => return self.mount(id, text),
            Id::Device => return mounts::device(text).map(|_| text),
            Id::Pull => (text::place(PULL, text).is_some(), phrase!("not one of them")),
            Id::Network
            | Id::Publish
            | Id::Expose
            | Id::NetworkAlias
            | Id::Ip
            | Id::Ip6
            | Id::MacAddress
            | Id::AddHost
            | Id::Dns => return self.take_network(id, text).map(|()| text),
            Id::Pid | Id::Ipc | Id::Uts | Id::CgroupNs => (namespaces::is_allowed(id, text), phrase!("no such mode")),
            Id::UserNs => {
                let known = text::place("host auto", text).is_some() || namespaces::keep_id(text).is_some();
                (known, phrase!("no such mode"))
            }
            Id::UidMap | Id::GidMap => return namespaces::id_range(text).map(|_| ""),
            Id::Hostname | Id::Domainname => (text::is_hostname(text), phrase!("not a host name")),
            Id::PublishAll => return Ok(text),
            Id::DnsSearch => (text == "." || text::is_hostname(text.trim_end_matches('.')), phrase!("not a domain")),
            Id::DnsOption => {
                (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()), phrase!("not one word"))
            }
            Id::Sysctl => return namespaces::sysctl(spec, text),
            Id::CpusetCpus | Id::CpusetMems => (text::is_cpu_list(text), phrase!("not a list")),
            Id::CgroupParent => (limits::is_parent(text), phrase!("not a path below the cgroup root")),
            _ => return limits::limit(spec, id, text),
        };
        if fits { Ok(text) } else { Err(why) }
    }

    /// Whether the workload is started again when it has ended.
    #[must_use]
    pub fn restarts(&self) -> bool {
        !matches!(self.parsed.text(Id::Restart), "" | "no")
    }
}

/// What is accepted, as far as the flag's help does not say it.
fn accepted(id: Id) -> Phrase {
    match id {
        Id::Name | Id::NetworkAlias => NAME,
        Id::Label => phrase!("NAME or NAME=VALUE"),
        Id::LabelFile | Id::EnvFile | Id::CidFile => phrase!("a path"),
        Id::LogDriver => phrase!("k8s-file json-file local none"),
        Id::LogOpt => phrase!("max-size=SIZE from 1k on, or max-file=NUMBER from 1 to 100"),
        Id::StopTimeout => phrase!("a whole number from -1 to 9223372036854775"),
        Id::Restart => phrase!("no, always, unless-stopped or on-failure[:COUNT]"),
        Id::Pull => phrase!("missing always never"),
        Id::Env => phrase!("NAME=VALUE, or NAME to pass it on"),
        Id::Workdir => phrase!("an absolute path"),
        Id::User => phrase!("UID or user name, optionally :GID or group name; numbers from 0 to 4294967294"),
        Id::GroupAdd => phrase!("GID or group name; numbers from 0 to 4294967294"),
        Id::StopSignal => phrase!("a name or a number from 1 to 64, such as TERM, SIGUSR1, RTMIN+3 or 15"),
        Id::Ulimit => phrase!(
            "NAME=SOFT[:HARD], numbers or `unlimited`, SOFT at most HARD, such as nofile=1024:4096; NAME is one of core cpu data \
             fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
        ),
        Id::OomScoreAdj => phrase!("a whole number from -1000 to 1000"),
        Id::Volume => phrase!(
            "[SOURCE:]TARGET[:OPTIONS]: SOURCE a path that starts with / or ., or a volume's name; TARGET absolute and not / or /proc; \
             OPTIONS of ro rw nocopy bind rbind private rprivate slave rslave shared rshared z Z idmap U"
        ),
        Id::Mount => phrase!(
            "type=bind,src=PATH,dst=TARGET[,readonly][,bind-propagation=rprivate|private|rslave|slave|rshared|shared]\
             [,bind-recursive=enabled|disabled]; type=volume[,src=NAME],dst=TARGET[,readonly][,volume-nocopy]; \
             type=tmpfs,dst=TARGET[,readonly][,tmpfs-size=64m][,tmpfs-mode=1777]"
        ),
        Id::Tmpfs => phrase!(
            "TARGET[:OPTIONS]: TARGET absolute and not / or /proc; OPTIONS of ro rw exec noexec suid nosuid dev nodev size=64m mode=1777 \
             uid=N gid=N nr_inodes=N"
        ),
        Id::Device => phrase!(
            "HOST[:CONTAINER[:ACCESS]]: absolute paths, and letters of rwm, such as /dev/fuse or /dev/sda:/dev/xvda:r"
        ),
        Id::Hostname | Id::Domainname => {
            phrase!("dotted labels of letters, digits, - and _, which neither begin nor end with -, at most 64 bytes")
        }
        Id::Network => phrase!(
            "none, host, pasta, slirp4netns, container:ID, ns:PATH, a network's name, or name=NAME[,alias=NAME][,ip=IP][,ip6=IP][,mac-address=MAC]"
        ),
        Id::Publish => phrase!(
            "[[ADDRESS:]PORT:]PORT[/tcp|/udp], ranges of the same length in the place of ports, such as 8080:80, 127.0.0.1:53:53/udp, \
             [::1]:8000-8010:80-90 or 80"
        ),
        Id::Ip6 => phrase!("an IPv6 address such as fd00::5"),
        Id::AddHost => {
            phrase!("NAME:IP or NAME=IP with an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1, or host-gateway")
        }
        Id::Dns => phrase!("an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1"),
        Id::DnsSearch => phrase!("a domain such as example.com, or ."),
        Id::DnsOption => phrase!("one word such as ndots:2"),
        Id::Memory | Id::MemoryReservation | Id::MemoryHigh | Id::MemorySwap => {
            phrase!("a number with an optional unit b, k, m, g, t or p (powers of 1024), such as 64m; at least 6MiB")
        }
        Id::ShmSize | Id::MaxSize => {
            phrase!("a number with an optional unit b, k, m, g, t or p (powers of 1024), such as 64m; at least 1B")
        }
        Id::MemorySwappiness => phrase!("a whole number from 0 to 100"),
        Id::Cpus => phrase!("a number of CPUs with at most nine decimals, such as 1.5; at least 0.01"),
        Id::CpuQuota => phrase!("microseconds, at least 1000, or -1 for no limit"),
        Id::CpuPeriod => phrase!("a whole number from 1000 to 1000000"),
        Id::CpuShares => phrase!("a whole number from 2 to 262144"),
        Id::CpusetCpus | Id::CpusetMems => phrase!("numbers and ranges such as 0-2,4"),
        Id::PidsLimit => phrase!("a whole number, at least 1; 0 or -1 for no limit"),
        Id::BlkioWeight => phrase!("a whole number from 10 to 1000"),
        Id::DeviceReadBps | Id::DeviceWriteBps => phrase!(
            "PATH:RATE with an absolute path of a block device and, a second, a number with an optional unit b, k, m, g, t or p \
             (powers of 1024), such as 64m; at least 1"
        ),
        Id::DeviceReadIops | Id::DeviceWriteIops => {
            phrase!("PATH:RATE with an absolute path of a block device and, a second, a whole number; at least 1")
        }
        Id::DeviceCgroupRule => {
            phrase!("TYPE MAJOR:MINOR ACCESS: a, b or c, numbers or *, letters of rwm, such as 'c 1:3 rwm'")
        }
        Id::UidMap | Id::GidMap => phrase!("INSIDE:OUTSIDE:COUNT, such as 0:100000:65536"),
        Id::CgroupParent => phrase!("a path without . and .., such as /jobs"),
        Id::SecurityOpt => phrase!(
            "no-new-privileges[=true|false], seccomp=FILE|default|unconfined, apparmor=PROFILE|unconfined, label=disable|user:U|role:R|type:T|level:L|filetype:T, \
             systempaths=unconfined, mask=PATH[:PATH], unmask=ALL|PATH[:PATH]"
        ),
        Id::Landlock => phrase!("ro:PATH or rw:PATH with commas between them, such as ro:/,rw:/tmp,rw:/dev"),
        Id::CapAdd | Id::CapDrop => {
            phrase!("ALL, or a capability with or without CAP_, such as NET_ADMIN; capabilities(7) lists them")
        }
        _ => Phrase::EMPTY,
    }
}

/// Where in the specification a flag's value is: the members on the way. A number sign stands before those where it is no text
/// but a number or a truth value.
fn place(id: Id) -> Phrase {
    match id {
        Id::Init => phrase!("annotations vial.init"),
        Id::LogDriver => phrase!("annotations vial.log.driver"),
        Id::Restart => phrase!("annotations vial.restart"),
        Id::StopTimeout => phrase!("annotations vial.stopTimeout"),
        Id::StopSignal => phrase!("annotations vial.stopSignal"),
        Id::Tty => phrase!("#process terminal"),
        Id::Workdir => phrase!("process cwd"),
        Id::OomScoreAdj => phrase!("#process oomScoreAdj"),
        Id::ReadOnly => phrase!("#root readonly"),
        Id::Domainname => phrase!("domainname"),
        Id::Memory => phrase!("#linux resources memory limit"),
        Id::MemoryReservation => phrase!("#linux resources memory reservation"),
        Id::MemorySwap => phrase!("#linux resources memory swap"),
        Id::MemorySwappiness => phrase!("#linux resources memory swappiness"),
        Id::OomKillDisable => phrase!("#linux resources memory disableOOMKiller"),
        Id::MemoryHigh => phrase!("linux resources unified memory.high"),
        Id::Cpus | Id::CpuQuota => phrase!("#linux resources cpu quota"),
        Id::CpuPeriod => phrase!("#linux resources cpu period"),
        Id::CpuShares => phrase!("#linux resources cpu shares"),
        Id::CpusetCpus => phrase!("linux resources cpu cpus"),
        Id::CpusetMems => phrase!("linux resources cpu mems"),
        Id::PidsLimit => phrase!("#linux resources pids limit"),
        Id::BlkioWeight => phrase!("#linux resources blockIO weight"),
        _ => Phrase::EMPTY,
    }
}

/// Where in the specification a flag adds to a list.
fn list(id: Id) -> Phrase {
    match id {
        Id::Ulimit => phrase!("process rlimits"),
        Id::DeviceReadBps => phrase!("linux resources blockIO throttleReadBpsDevice"),
        Id::DeviceWriteBps => phrase!("linux resources blockIO throttleWriteBpsDevice"),
        Id::DeviceReadIops => phrase!("linux resources blockIO throttleReadIOPSDevice"),
        Id::DeviceWriteIops => phrase!("linux resources blockIO throttleWriteIOPSDevice"),
        Id::DeviceCgroupRule => phrase!("linux resources devices"),
        _ => phrase!("linux devices"),
    }
}

/// The value at a place.
#[inline(never)]
fn find<'v>(spec: &'v mut Value, place: &'static str) -> &'v mut Value {
    let mut at = spec;
    for name in place.parts(b' ') {
        at = at.member(name);
    }
    at
}

/// Puts a text to its place, if it has one.
#[inline(never)]
fn put(spec: &mut Value, place: Phrase, text: &str) {
    let place = place.kept();
    if let Some(place) = place.strip_prefix('#') {
        *find(spec, place) = plain(text);
    } else if !place.is_empty() {
        *find(spec, place) = keep::copy(text).into();
    }
}

/// What a text means that is a number or a truth value; nothing if it is a star.
#[inline(never)]
fn plain(text: &str) -> Value {
    match (text, text::decimal_i64(text), text::decimal_u64(text)) {
        (_, Some(number), _) => number.into(),
        (_, _, Some(number)) => number.into(),
        ("true", ..) => Value::Bool(true),
        ("*" | "false", ..) => Value::Null,
        _ => keep::copy(text).into(),
    }
}

/// Adds an object with these members to a flag's list. One that is about the same is no longer there.
#[inline(never)]
pub(super) fn add(spec: &mut Value, id: Id, names: &'static str, words: &[&str]) {
    let mut element = Value::Null;
    for (name, word) in names.parts(b' ').zip(words) {
        element.set(name, plain(word));
    }
    merge(find(spec, list(id).kept()), &alloc::vec![element].into());
}

/// Puts the members of `new` in the places of those in `old`; of lists those elements that are about the same.
#[inline(never)]
pub(super) fn merge(old: &mut Value, new: &Value) {
    if let Value::Object(members) = new {
        for (name, value) in members {
            merge(old.member(name), value);
        }
    } else if let (Value::Array(elements), Value::Array(new)) = (&mut *old, new) {
        for element in new {
            let is_same = |known: &Value| {
                let text = |of: &Value, name| of.get(name).unwrap_or(&Value::Null).to_compact();
                ["type", "path", "major", "minor", "access", "pageSize", "name"]
                    .iter()
                    .all(|name| text(known, name) == text(element, name))
            };
            if let Some(same) = elements.iter().position(is_same) {
                elements.remove(same);
            }
            elements.push(element.clone());
        }
    } else if *new != Value::Null {
        *old = new.clone();
    }
}

/// The error for a value that won't do.
#[cold]
#[inline(never)]
fn refuse(given: &Given<'_>, why: Phrase) -> Error {
    let id = given.flag.id;
    let mut reason = Text::from(why);
    let accepted = accepted(id);
    let accepted: Text = if why == mounts::NO_NAME {
        NAME.into()
    } else if why == mounts::TAKEN {
        phrase!("one mount for each target").into()
    } else if id == Id::Sysctl {
        say!("NAME=VALUE with NAME one of {}, fs.mqueue.* or net.*", namespaces::SYSCTLS).into()
    } else if accepted.is_empty() {
        given.flag.help().into()
    } else {
        accepted.into()
    };
    if matches!(id, Id::CapAdd | Id::CapDrop)
        && let Some(near) = security::nearest(given)
    {
        reason = say!("{}; did you mean {}?", why, near).into();
    }
    given.refuse(reason, accepted)
}

/// When to pull the image.
pub const PULL: &str = "missing always never";

/// What names a container or a volume.
const NAME: Phrase = phrase!("letters, digits, _ . and -, beginning with a letter or digit, at most 128");

/// `NAME=VALUE`, or `NAME` alone for an empty value.
pub(super) fn label(text: &str) -> Option<Setting<'_>> {
    let (name, value) = text.cut(b'=').unwrap_or((text, ""));
    (!name.is_empty()).then_some(Setting { name, value })
}

/// What a value reads as, or why it does not.
type Read<T> = core::result::Result<T, Phrase>;

/// A path in the container, cleaned.
#[inline(never)]
pub(super) fn target(text: &str) -> Option<&'static str> {
    text::clean_path(text).map(|path| &*path.leak()).filter(|path| !matches!(*path, "/" | "/proc"))
}

/// The size that a flag gives, of at least a byte.
pub(super) fn size(given: &Given<'_>) -> Result<u64> {
    limits::size(given.text()?, 1).map_err(|why| refuse(given, why))
}

/// The error for two flags that contradict each other.
#[cold]
#[inline(never)]
fn conflict(one: &str, other: &str, why: impl Into<Text>, accepted: Phrase) -> Error {
    Error::new(say!("--{} conflicts with --{}: {}", one, other, why.into())).hint(say!("accepted: {}", accepted))
}

#[cfg(test)]
mod tests;
