//! The workload's environment variables, and the files that tell a container its names.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use super::image::Found;
use super::{Options, Words};
use crate::base::error::{Error, Result};
use crate::base::keep;
use crate::cli::context::Context;
use crate::cli::options::files::parse_env_file;
use crate::cli::options::namespaces::Namespace;
use crate::cli::options::process::Variable;
use crate::container::{defaults, files};
use crate::sys::{because, fd, file, process};

/// The most that is read of a file of variables or labels.
const LIMIT: usize = 4 << 20;

/// The variables, in order, the last of a name counting.
struct Environment(Vec<(&'static [u8], &'static [u8])>);

impl Environment {
    #[inline(never)]
    fn set(&mut self, name: &'static [u8], value: &'static [u8]) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn apply(&mut self, context: &Context<'_>, variable: &Variable<'static>) {
        if let Some(value) = variable.value.or_else(|| context.variable(variable.name)) {
            self.set(variable.name, value);
        } else if let Some(at) = self.0.iter().position(|(known, _)| *known == variable.name) {
            self.0.remove(at);
        }
    }
}

/// The container's host name: the one asked for, or the beginning of its ID.
pub(super) fn hostname(options: Options, id: &'static str) -> &'static str {
    let asked = &options.namespaces;
    if let Some(name) = asked.hostname {
        return name;
    }
    let shares = matches!(asked.uts, Some(Namespace::Host)) || matches!(asked.network, Some(Namespace::Host));
    if shares && let Ok([_, host, ..]) = process::uname() {
        return host;
    }
    id.get(..12).unwrap_or(id)
}

/// Gathers the variables as `NAME=VALUE`: vial's own, the image's, those of files, the user's.
#[inline(never)]
pub(super) fn gather(
    context: &Context<'_>,
    options: Options,
    found: &'static Found,
    hostname: &'static str,
) -> Result<Words> {
    let mut environment = Environment(Vec::new());
    environment.set(b"PATH", defaults::PATH.as_bytes());
    environment.set(b"container", b"vial");
    if options.tty {
        environment.set(b"TERM", b"xterm");
    }
    for line in &found.env {
        if let Some(variable) = Variable::parse(line.as_bytes()) {
            environment.set(variable.name, variable.value.unwrap_or_default());
        }
    }
    for path in &options.process.env_files {
        let _why = because!("read variables from a file (--env-file)");
        let content = option_file(path, "--env-file")?;
        for variable in parse_env_file(path, content)? {
            environment.apply(context, &variable);
        }
    }
    for variable in &options.process.env {
        environment.apply(context, variable);
    }
    if !environment.0.iter().any(|(name, _)| *name == b"HOSTNAME") {
        environment.set(b"HOSTNAME", hostname.as_bytes());
    }
    let mut lines = Vec::with_capacity(environment.0.len());
    for (name, value) in environment.0 {
        // What holds a zero byte can't be passed on.
        if let Ok(line) = file::path([name, b"=", value].concat()) {
            lines.push(line);
        }
    }
    Ok(lines.leak())
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
pub(super) fn files(hostname: &str, options: Options) -> [(&'static CStr, &'static str); 3] {
    let asked = &options.namespaces;
    let own_network = !matches!(asked.network, Some(Namespace::Host | Namespace::Container(_) | Namespace::Path(_)));
    let hosts = if matches!(asked.network, Some(Namespace::Host)) {
        let mut text = String::from(host_file(c"/etc/hosts"));
        for entry in &asked.hosts {
            text.push_str(join!("{}\t{}\n", entry.address, entry.name));
        }
        text
    } else {
        let mut added = asked.hosts.iter().map(|entry| (entry.name, entry.address));
        files::hosts(hostname, asked.domainname.unwrap_or_default(), &mut added)
    };
    let mut resolv = host_file(c"/etc/resolv.conf");
    if files::is_stub(resolv) {
        resolv = host_file(c"/run/systemd/resolve/resolv.conf");
    }
    let wanted = files::Resolver { servers: &asked.dns, search: &asked.dns_search, options: &asked.dns_options };
    let resolv = files::resolv_conf(resolv, &wanted, own_network).leak();
    [(c"hostname", join!("{}\n", hostname)), (c"hosts", hosts.leak()), (c"resolv.conf", resolv)]
}

/// A file of the host's, empty if it can't be read: a container can do without it.
fn host_file(path: &CStr) -> &'static str {
    let content = file::read_file(fd::CWD, path, LIMIT).unwrap_or_default();
    keep::lossy(&content)
}
