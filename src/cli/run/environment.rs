//! The workload's environment variables, and the files that tell a container its names.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::image::Found;
use super::{Options, Words};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::keep::{self, Kept};
use crate::cli::context::Context;
use crate::cli::flags::Id;
use crate::cli::options::files::parse_env_file;
use crate::cli::options::namespaces::{CONTAINER, GATEWAY, HOST, PATH, USER, host_entry};
use crate::cli::options::process::Variable;
use crate::cli::parse::Parsed;
use crate::container::files::Servers;
use crate::container::{defaults, files, user_network};
use crate::sys::{because, fd, file, process};

/// The most that is read of a file of variables or labels.
const LIMIT: usize = 4 << 20;

/// The variables, in order, the last of a name counting.
pub(in crate::cli) struct Environment(Kept<Vec<(&'static [u8], &'static [u8])>>);

impl Environment {
    /// Those of these lines.
    #[inline(never)]
    pub(in crate::cli) fn of(lines: &mut dyn Iterator<Item = &'static [u8]>) -> Environment {
        let mut environment = Environment(Kept::default());
        for line in lines {
            if let Some(variable) = Variable::parse(line) {
                environment.set(variable.name, variable.value.unwrap_or_default());
            }
        }
        environment
    }

    #[inline(never)]
    fn set(&mut self, name: &'static [u8], value: &'static [u8]) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Changes them.
    #[inline(never)]
    pub(in crate::cli) fn change(&mut self, context: &Context<'static>, variables: &[Variable<'static>]) {
        for &Variable { name, value } in variables {
            if let Some(value) = value.or_else(|| context.variable(name)) {
                self.set(name, value);
            } else if let Some(at) = self.0.iter().position(|(known, _)| *known == name) {
                self.0.remove(at);
            }
        }
    }

    /// For execve(2).
    #[inline(never)]
    pub(in crate::cli) fn lines(self) -> Words {
        let mut lines = Vec::with_capacity(self.0.len());
        for &(name, value) in &self.0 {
            // What holds a zero byte can't be passed on.
            if let Ok(line) = file::path([name, b"=", value].concat()) {
                lines.push(line);
            }
        }
        lines.leak()
    }
}

/// The variables that the command line asks for: those of files first.
#[inline(never)]
pub(in crate::cli) fn variables(parsed: &Parsed<'static>) -> Result<&'static [Variable<'static>]> {
    let mut variables = Kept::new(Vec::new());
    for path in parsed.all(Id::EnvFile) {
        let _why = because!("read variables from a file (--env-file)");
        variables.append(&mut parse_env_file(path, option_file(path, "--env-file")?)?);
    }
    for word in parsed.all(Id::Env) {
        variables.extend(Variable::parse(word));
    }
    Ok(variables.into_inner().leak())
}

/// The container's host name: the one asked for, or the beginning of its ID.
pub(super) fn hostname(options: Options, id: &'static str) -> &'static str {
    let name = options.parsed.text(Id::Hostname);
    if !name.is_empty() {
        return name;
    }
    let shares = options.is(Id::Uts, HOST) || options.is(Id::Network, HOST);
    if shares && let Ok([_, host, ..]) = process::uname() {
        return host;
    }
    id.get(..12).unwrap_or(id)
}

/// Gathers the variables: vial's own, the image's, those of files, the user's.
#[inline(never)]
pub(super) fn gather(context: &Context<'static>, found: &'static Found, hostname: &'static str) -> Result<Words> {
    let tty: &[&str] = if context.parsed.on(Id::Tty) { &["TERM=xterm"] } else { &[] };
    let own = [join!("PATH={}", defaults::PATH), "container=vial"];
    let mut environment = Environment::of(&mut own.iter().chain(tty).chain(&found.env).map(|line| line.as_bytes()));
    environment.change(context, variables(context.parsed)?);
    if !environment.0.iter().any(|(name, _)| *name == b"HOSTNAME") {
        environment.set(b"HOSTNAME", hostname.as_bytes());
    }
    Ok(environment.lines())
}

/// Reads the file that an option names.
pub(in crate::cli) fn option_file(path: &[u8], option: &str) -> Result<&'static [u8]> {
    match file::read_file(fd::CWD, file::path(path)?, LIMIT) {
        Ok(content) => Ok(content.leak()),
        Err(error) => Err(Error::os(error.errno(), say!("{}: read", option), path.escape_ascii())
            .hint(phrase!("accepted: a file of NAME=VALUE lines"))),
    }
}

/// `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` by name and content.
#[inline(never)]
pub(super) fn files(hostname: &str, options: Options) -> Result<[(&'static CStr, &'static str); 3]> {
    let parsed = options.parsed;
    let mut added = Kept::new(Vec::new());
    for entry in parsed.texts(Id::AddHost) {
        // The gateway of a container on a network is known when it starts.
        match host_entry(entry) {
            Ok((name, GATEWAY)) if options.is(Id::Network, HOST) => added.push((name, "127.0.0.1")),
            Ok((_, GATEWAY)) => {}
            entry => added.extend(entry),
        }
    }
    let hosts = if options.is(Id::Network, HOST) {
        let mut text = String::from(host_file(c"/etc/hosts")?);
        for &(name, address) in &added {
            text.push_str(join!("{}\t{}\n", address, name));
        }
        text
    } else {
        files::hosts(hostname, parsed.text(Id::Domainname), "127.0.1.1", &mut added.iter().copied())
    };
    let servers = if options.is(Id::Network, HOST | CONTAINER | PATH) { Servers::All } else { Servers::Reachable };
    let resolv = resolver(options, servers)?;
    Ok([(c"hostname", join!("{}\n", hostname)), (c"hosts", hosts.leak()), (c"resolv.conf", resolv)])
}

/// `/etc/resolv.conf`.
#[inline(never)]
pub(super) fn resolver(options: Options, servers: Servers) -> Result<&'static str> {
    let parsed = options.parsed;
    let mut resolv = host_file(c"/etc/resolv.conf")?;
    if files::is_stub(resolv) {
        resolv = host_file(c"/run/systemd/resolve/resolv.conf")?;
    }
    let mut asked = parsed.texts(Id::Dns);
    if asked.is_empty()
        && let (USER, program) = options.mode(Id::Network)
    {
        asked = alloc::vec![user_network::resolver(program)?].leak();
    }
    let wanted =
        files::Resolver { servers: asked, search: parsed.texts(Id::DnsSearch), options: parsed.texts(Id::DnsOption) };
    Ok(files::resolv_conf(resolv, &wanted, servers).leak())
}

/// A file of the host's, empty if there is none: a container can do without it.
fn host_file(path: &CStr) -> Result<&'static str> {
    match file::read_file(fd::CWD, path, LIMIT) {
        Err(error) if error.is(Errno::ENOENT) => Ok(""),
        content => content.map(|content| keep::lossy(&content)),
    }
}
