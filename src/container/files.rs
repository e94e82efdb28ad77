//! The files that tell a container its name and its name servers; hosts(5), resolv.conf(5).

use alloc::string::String;
use core::fmt::Write;

use crate::base::text::Cut;

/// `/etc/hosts` for a container with a network of its own: itself at this address, then what the user added.
#[must_use]
pub fn hosts<'a>(
    hostname: &str,
    domain: &str,
    own: &str,
    added: &mut dyn Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    let mut line = |address: &str, name: &str| text.push_str(join!("{}\t{}\n", address, name));
    line(own, if domain.is_empty() { hostname } else { join!("{}.{} {}", hostname, domain, hostname) });
    for (name, address) in added {
        line(address, name);
    }
    text
}

/// What the user asked of the resolver.
#[derive(Clone, Debug, Default)]
pub struct Resolver<'a> {
    /// Name servers' addresses.
    pub servers: &'a [&'a str],
    /// Domains to search; a single `.` for none.
    pub search: &'a [&'a str],
    /// Options.
    pub options: &'a [&'a str],
}

/// Which servers a container's resolv.conf names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// All of the host's, or those that were asked for.
    All,
    /// Likewise, as far as a network of its own lets it reach them.
    Reachable,
    /// None: they are known when it starts.
    Not,
}

/// Whether a resolv.conf names only the stub of systemd-resolved, which a container with its own network can't reach.
#[must_use]
pub fn is_stub(resolv: &str) -> bool {
    let mut servers = directives(resolv, "nameserver").peekable();
    servers.peek().is_some() && servers.all(|server| server.starts_with("127.0.0.53"))
}

/// The container's `/etc/resolv.conf`: the host's, in which what the user gave takes the place of what stood there.
///
/// With a network of its own a server on the host's loopback is out of reach and left out.
#[must_use]
pub fn resolv_conf(host: &str, wanted: &Resolver<'_>, servers: Servers) -> String {
    let mut text = String::new();
    let reachable = |server: &&str| servers == Servers::All || !(server.starts_with("127.") || *server == "::1");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key} {value}");
    };
    if servers == Servers::Not {
    } else if wanted.servers.is_empty() {
        directives(host, "nameserver").filter(reachable).for_each(|server| line("nameserver", server));
    } else {
        wanted.servers.iter().for_each(|server| line("nameserver", server));
    }
    match wanted.search {
        [] => directives(host, "search").chain(directives(host, "domain")).take(1).for_each(|all| line("search", all)),
        ["."] => {}
        domains => line("search", &domains.join(" ")),
    }
    match wanted.options {
        [] => directives(host, "options").for_each(|all| line("options", all)),
        options => line("options", &options.join(" ")),
    }
    text
}

/// The values of a keyword.
fn directives<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text.parts(b'\n').map(str::trim_ascii);
    let values = lines.filter_map(move |line| line.strip_prefix(key)?.strip_prefix([' ', '\t']));
    values.map(str::trim_ascii).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "# made by hand\nnameserver 127.0.0.1\nnameserver\t192.0.2.1\nsearch a.example b.example\noptions edns0\n";

    #[test]
    fn the_hosts_own_servers_are_kept_except_those_on_its_loopback() {
        let text = resolv_conf(HOST, &Resolver::default(), Servers::Reachable);
        assert_eq!(text, "nameserver 192.0.2.1\nsearch a.example b.example\noptions edns0\n");
        assert!(resolv_conf(HOST, &Resolver::default(), Servers::All).contains("127.0.0.1"));
    }

    #[test]
    fn what_the_user_gives_takes_the_place_of_the_hosts() {
        let wanted = Resolver { servers: &["192.0.2.9"], search: &["."], options: &["ndots:2", "rotate"] };
        assert_eq!(resolv_conf(HOST, &wanted, Servers::Reachable), "nameserver 192.0.2.9\noptions ndots:2 rotate\n");
    }

    #[test]
    fn the_stub_of_systemd_resolved_is_recognised() {
        assert!(is_stub("nameserver 127.0.0.53\noptions edns0 trust-ad\n"));
        assert!(!is_stub(HOST));
        assert!(!is_stub(""));
    }

    #[test]
    fn hosts_names_the_container_and_what_was_added() {
        let text = hosts("box", "lan", "127.0.1.1", &mut [("db", "192.0.2.5")].into_iter());
        assert!(text.contains("127.0.0.1\tlocalhost\n") && text.contains("127.0.1.1\tbox.lan box\n"));
        assert!(text.ends_with("192.0.2.5\tdb\n"));
    }
}
