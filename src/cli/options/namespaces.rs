//! Namespaces, and the names and addresses that live in them.

use alloc::vec::Vec;

use super::{Setting, conflict};
use crate::base::error::Result;
use crate::base::phrase::Phrase;
use crate::base::text::{self, Cut};
use crate::cli::flags::Id;
use crate::cli::parse::{Given, Parsed};

/// Whose namespace the container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace<'a> {
    /// A new one of its own.
    Private,
    /// The host's.
    Host,
    /// A new one that holds nothing: a network with loopback only, no `/dev/shm`.
    None,
    /// A new one that other containers may join.
    Shareable,
    /// That of another container, by ID or name.
    Container(&'a str),
    /// The one at a path such as `/proc/1/ns/net`.
    Path(&'a str),
}

/// What a flag allows, one bit for each of the above in their order.
const PRIVATE: u8 = 1;
const HOST: u8 = 2;
const NONE: u8 = 4;
const SHAREABLE: u8 = 8;
const CONTAINER: u8 = 16;
const PATH: u8 = 32;

/// Reads one mode. The flag's help names what is accepted.
#[inline(never)]
fn namespace<'a>(given: &Given<'a>, allowed: u8) -> Result<Option<Namespace<'a>>> {
    let word = given.text()?;
    let (kind, mode) = match word.cut(b':').unwrap_or((word, "")) {
        ("private", "") => (PRIVATE, Namespace::Private),
        ("host", "") => (HOST, Namespace::Host),
        ("none", "") => (NONE, Namespace::None),
        ("shareable", "") => (SHAREABLE, Namespace::Shareable),
        ("container", id) if text::is_name(id) => (CONTAINER, Namespace::Container(id)),
        ("ns", path) if path.starts_with('/') => (PATH, Namespace::Path(path)),
        _ => (0, Namespace::Private),
    };
    let known = (kind & allowed != 0 && !word.ends_with(':')).then_some(mode);
    given.check(known, phrase!("no such mode"), given.flag.help()).map(Some)
}

/// An additional line of `/etc/hosts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostEntry<'a> {
    /// The name.
    pub name: &'a str,
    /// The address.
    pub address: &'a str,
}

/// Namespaces and what is set in them. A mode that was not asked for is `None`: the default depends on the machine.
#[derive(Debug, Default)]
pub struct Namespaces<'a> {
    /// `--network`.
    pub network: Option<Namespace<'a>>,
    /// `--pid`.
    pub pid: Option<Namespace<'a>>,
    /// `--ipc`.
    pub ipc: Option<Namespace<'a>>,
    /// `--uts`.
    pub uts: Option<Namespace<'a>>,
    /// `--cgroupns`.
    pub cgroup: Option<Namespace<'a>>,
    /// `--hostname`.
    pub hostname: Option<&'a str>,
    /// `--domainname`.
    pub domainname: Option<&'a str>,
    /// `--add-host`.
    pub hosts: Vec<HostEntry<'a>>,
    /// `--dns`: addresses.
    pub dns: Vec<&'a str>,
    /// `--dns-search`; a single `.` stands for none at all.
    pub dns_search: Vec<&'a str>,
    /// `--dns-option`.
    pub dns_options: Vec<&'a str>,
    /// `--sysctl`, in order; the last of a name counts.
    pub sysctls: Vec<Setting<'a>>,
}

impl<'a> Namespaces<'a> {
    /// Takes a flag in; false if it belongs elsewhere.
    pub(super) fn set(&mut self, given: &Given<'a>) -> Result<bool> {
        match given.flag.id {
            Id::Network => self.network = namespace(given, NONE | HOST | CONTAINER | PATH)?,
            Id::Pid => self.pid = namespace(given, PRIVATE | HOST | CONTAINER)?,
            Id::Ipc => self.ipc = namespace(given, PRIVATE | SHAREABLE | NONE | HOST | CONTAINER)?,
            Id::Uts => self.uts = namespace(given, PRIVATE | HOST | CONTAINER)?,
            Id::CgroupNs => self.cgroup = namespace(given, PRIVATE | HOST)?,
            Id::Hostname => self.hostname = Some(hostname(given)?),
            Id::Domainname => self.domainname = Some(hostname(given)?),
            Id::AddHost => self.hosts.push(host_entry(given)?),
            Id::Dns => {
                let address = given.text()?;
                self.dns.push(given.check(
                    text::is_address(address).then_some(address),
                    phrase!("not an address"),
                    ADDRESS,
                )?);
            }
            Id::DnsSearch => {
                let domain = given.text()?;
                let known = domain == "." || text::is_hostname(domain.trim_end_matches('.'));
                self.dns_search.push(given.check(
                    known.then_some(domain),
                    phrase!("not a domain"),
                    phrase!("a domain such as example.com, or ."),
                )?);
            }
            Id::DnsOption => {
                let option = given.text()?;
                let known = !option.is_empty() && option.bytes().all(|byte| byte.is_ascii_graphic());
                self.dns_options.push(given.check(
                    known.then_some(option),
                    phrase!("not one word"),
                    phrase!("one word such as ndots:2"),
                )?);
            }
            Id::Sysctl => self.sysctls.push(sysctl(given)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses what would change a namespace that is not the container's own.
    #[inline(never)]
    pub(super) fn check(&self, parsed: &Parsed<'a>) -> Result<()> {
        let joined = |mode: Option<Namespace<'_>>| match mode? {
            Namespace::Host => Some("the host's"),
            Namespace::Container(_) => Some("another container's"),
            Namespace::Path(_) => Some("not the container's own"),
            _ => None,
        };
        // A container that joins another's network shares its files too; the host's network has no such files to share.
        let network = self.network.filter(|mode| matches!(mode, Namespace::Container(_)));
        let rules = [
            (Id::Hostname, "uts", self.uts),
            (Id::Domainname, "uts", self.uts),
            (Id::ShmSize, "ipc", self.ipc),
            (Id::AddHost, "network", network),
            (Id::Dns, "network", network),
            (Id::DnsSearch, "network", network),
            (Id::DnsOption, "network", network),
        ];
        for (id, other, mode) in rules {
            let empty = (id == Id::ShmSize && mode == Some(Namespace::None)).then_some("empty");
            if let (Some(given), Some(whose)) = (parsed.last(id), joined(mode).or(empty)) {
                let why = say!("that namespace is {}", whose);
                return Err(conflict(given.flag.long(), other, why, phrase!("one of the two")));
            }
        }
        for given in parsed.flags.iter().filter(|given| given.flag.id == Id::Sysctl) {
            let (other, mode) =
                if given.value.starts_with(b"net.") { ("network", self.network) } else { ("ipc", self.ipc) };
            if let Some(whose) = joined(mode) {
                let why = say!("with --{} as given the namespace is {}", other, whose);
                return Err(given.refuse(why, phrase!("parameters of namespaces that are the container's own")));
            }
        }
        Ok(())
    }
}

const ADDRESS: Phrase = phrase!("an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1");

#[inline(never)]
fn hostname<'a>(given: &Given<'a>) -> Result<&'a str> {
    let form =
        phrase!("dotted labels of letters, digits, - and _, which neither begin nor end with -, at most 64 bytes");
    let name = given.text()?;
    given.check(text::is_hostname(name).then_some(name), phrase!("not a host name"), form)
}

/// `NAME:IP` or `NAME=IP`; an IPv6 address may be in brackets.
fn host_entry<'a>(given: &Given<'a>) -> Result<HostEntry<'a>> {
    let entry = given.text()?;
    let refuse = |why| given.refuse(why, say!("NAME:IP or NAME=IP with {}", ADDRESS));
    let Some((name, address)) = entry.cut(b'=').or_else(|| entry.cut(b':')) else {
        return Err(refuse(phrase!("no address")));
    };
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    let known =
        text::is_address(bare) && (bare.len() == address.len() || bare.cut(b':').is_some()) && text::is_hostname(name);
    if known { Ok(HostEntry { name, address: bare }) } else { Err(refuse(phrase!("not a name and an address"))) }
}

/// The parameters that belong to a namespace and not to the machine, as docker's list.
const SYSCTLS: &str = "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni \
                       kernel.shm_rmid_forced";

/// `NAME=VALUE`. A slash is refused, so that no name can climb out of `/proc/sys/net`.
fn sysctl<'a>(given: &Given<'a>) -> Result<Setting<'a>> {
    let refuse = |why| given.refuse(why, say!("NAME=VALUE with NAME one of {}, fs.mqueue.* or net.*", SYSCTLS));
    let Some((name, value)) = given.text()?.cut(b'=') else { return Err(refuse(phrase!("no ="))) };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let tail = name.strip_prefix("net.").or_else(|| name.strip_prefix("fs.mqueue."));
    let known = text::place(SYSCTLS, name).is_some()
        || (plain && tail.is_some_and(|tail| tail.parts(b'.').all(|part| !part.is_empty())));
    if known { Ok(Setting { name, value }) } else { Err(refuse(phrase!("not a parameter of a namespace"))) }
}
