//! The workload's environment variables, and the files that tell a container its names.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::image::Found;
use crate::base::error::{Error, Result};
use crate::cli::context::Context;
use crate::cli::options::RunOptions;
use crate::cli::options::files::parse_env_file;
use crate::cli::options::namespaces::Namespace;
use crate::cli::options::process::Variable;
use crate::container::{defaults, files};
use crate::sys::{because, fd, file};

/// The most that is read of a file of variables or labels.
const LIMIT: usize = 4 << 20;

/// The variables, in order, the last of a name counting.
pub(super) struct Environment(Vec<(Vec<u8>, Vec<u8>)>);

impl Environment {
    fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.0.push((name.to_vec(), value.to_vec())),
        }
    }

    fn apply(&mut self, context: &Context<'_>, variable: &Variable<'_>) {
        match variable.value.or_else(|| context.variable(variable.name)) {
            Some(value) => self.set(variable.name, value),
            None => self.0.retain(|(known, _)| known != variable.name),
        }
    }

    /// `NAME=VALUE` lines; `hostname` is known only once the container has an ID.
    pub(super) fn for_process(&self, options: &RunOptions<'_>, id: &str) -> Vec<CString> {
        let mut lines: Vec<Vec<u8>> = self.0.iter().map(|(name, value)| [name, &b"="[..], value].concat()).collect();
        if !self.0.iter().any(|(name, _)| name == b"HOSTNAME") {
            lines.push(alloc::format!("HOSTNAME={}", hostname(options, id)).into_bytes());
        }
        lines.into_iter().filter_map(|line| CString::new(line).ok()).collect()
    }
}

/// The container's host name: the one asked for, or the beginning of its ID.
pub(super) fn hostname(options: &RunOptions<'_>, id: &str) -> String {
    if let Some(name) = options.namespaces.hostname {
        return name.to_string();
    }
    let shares = matches!(options.namespaces.uts, Some(Namespace::Host))
        || matches!(options.namespaces.network, Some(Namespace::Host));
    match crate::sys::process::uname() {
        Ok([_, host, ..]) if shares => host,
        _ => id[..12].to_string(),
    }
}

/// Gathers the variables: vial's own, the image's, those of files, the user's.
pub(super) fn gather(context: &Context<'_>, options: &RunOptions<'_>, found: &Found) -> Result<Environment> {
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
        let _why = because("read variables from a file (--env-file)");
        let content = option_file(path, "--env-file")?;
        for variable in parse_env_file(path, &content)? {
            environment.apply(context, &variable);
        }
    }
    for variable in &options.process.env {
        environment.apply(context, variable);
    }
    Ok(environment)
}

/// Reads the file that an option names.
pub(super) fn option_file(path: &[u8], option: &str) -> Result<Vec<u8>> {
    let named = |error: Error| {
        Error::os(error.errno(), alloc::format!("{option}: read"), path.escape_ascii())
            .hint("accepted: a file of NAME=VALUE lines")
    };
    file::read_file(fd::CWD, &file::path(path)?, LIMIT).map_err(named)
}

/// `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` by name and content.
pub(super) fn files(hostname: &str, options: &RunOptions<'_>) -> Result<[(CString, String); 3]> {
    let asked = &options.namespaces;
    let own_network = !matches!(asked.network, Some(Namespace::Host | Namespace::Container(_) | Namespace::Path(_)));
    let hosts = if matches!(asked.network, Some(Namespace::Host)) {
        let mut text = host_file(c"/etc/hosts");
        for entry in &asked.hosts {
            text.push_str(&alloc::format!("{}\t{}\n", entry.address, entry.name));
        }
        text
    } else {
        let added = asked.hosts.iter().map(|entry| (entry.name, entry.address));
        files::hosts(hostname, asked.domainname.unwrap_or_default(), added)
    };
    let mut resolv = host_file(c"/etc/resolv.conf");
    if files::is_stub(&resolv) {
        resolv = host_file(c"/run/systemd/resolve/resolv.conf");
    }
    let wanted = files::Resolver { servers: &asked.dns, search: &asked.dns_search, options: &asked.dns_options };
    let resolv = files::resolv_conf(&resolv, &wanted, own_network);
    Ok([
        (c"hostname".into(), alloc::format!("{hostname}\n")),
        (c"hosts".into(), hosts),
        (c"resolv.conf".into(), resolv),
    ])
}

/// A file of the host's, empty if it can't be read: a container can do without it.
fn host_file(path: &core::ffi::CStr) -> String {
    let content = file::read_file(fd::CWD, path, LIMIT).unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}
