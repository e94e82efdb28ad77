//! Names: containers of a network find each other, and everybody else by the servers of the host.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::container::{eventually, signal};
use crate::util::detached::is_gone;
use crate::util::dns::{answer, resolve};
use crate::util::network::{HOST, Host, REMOTE, STAY, WEB};
use crate::util::traffic::{BOTH, By, Listener, Place};

trials! {
    containers_find_each_other_by_name_and_alias [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_name_is_there_from_the_start_to_the_end [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    names_of_another_network_are_not_answered [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    other_names_are_asked_of_the_servers_of_the_host [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    the_files_of_a_container_tell_its_address_and_what_was_added [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    names_are_answered_again_after_who_does_so_was_killed [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    one_name_leads_to_all_that_have_it [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
}

/// That there is no such name, RFC 1035, section 4.1.1.
const NO_SUCH_NAME: u8 = 3;
/// What a server of the test's says of each name.
const KNOWN: [&str; 2] = ["192.0.2.7", "2001:db8:7::7"];
/// So soon after start and stop a name must have come and gone.
const SOON: Duration = Duration::from_millis(100);

fn addresses(texts: [&str; 2]) -> [IpAddr; 2] {
    texts.map(|text| text.parse().expect("an address"))
}

/// The servers in a container's `resolv.conf`.
fn servers(host: &Host<'_>, word: &str) -> Vec<String> {
    let text = host.guest(word).exec(host, "cat /etc/resolv.conf");
    text.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(str::to_owned).collect()
}

/// An answer that there is no such name.
fn nothing(question: &[u8]) -> Vec<u8> {
    let mut message = question.to_vec();
    (message[2], message[3]) = (0x81, 0x80 | NO_SUCH_NAME);
    message
}

/// A name server in the rest of the world, which knows every name or none; it speaks both protocols at both addresses.
fn name_server(host: &Host<'_>, knows: bool) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for by in BOTH {
        let reply = move |bytes: &[u8], _| {
            let question = bytes.get(if by == By::Tcp { 2 } else { 0 }..).unwrap_or_default();
            let message = if knows { answer(question, addresses(KNOWN)) } else { nothing(question) };
            let length = (message.len() as u16).to_be_bytes();
            if by == By::Tcp { [&length[..], &message].concat() } else { message }
        };
        for remote in REMOTE {
            listeners.push(host.remote().serve(by, remote, 53, reply));
        }
    }
    listeners
}

fn containers_find_each_other_by_name_and_alias(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &["-h", "the-web", "--network-alias", "www", "--network-alias", "front"], WEB);
    let client = host.container("client", &[], STAY);
    let own = web.own();
    let servers = servers(&host, "client");
    assert_eq!(servers.len(), 2, "one for each family: {servers:?}");
    for name in [web.name(), "www", "front", &web.0.id[..12]] {
        for (at, server) in servers.iter().enumerate() {
            for by in BOTH {
                for (family, address) in own.iter().enumerate() {
                    let found = resolve(&client.place(), by, server, name, family == 1);
                    let wanted: IpAddr = address.parse().expect("an address");
                    assert_eq!(found, Ok(vec![wanted]), "{name} by {by:?} of server {at}");
                }
            }
        }
    }
    // It finds itself, upper case is lower case, and a container's own programs get there.
    assert_eq!(resolve(&web.place(), By::Udp, &servers[0], "WWW", false).map(|all| all.len()), Ok(1));
    let shown =
        client.exec(&host, &format!("nslookup {0}; wget -q -O - http://{0}/; wget -q -O - http://www/", web.name()));
    assert!(own.iter().all(|address| shown.contains(address.as_str())), "{shown}");
    assert_eq!(shown.matches("the-web").count(), 2, "{shown}");
    host.end();
}

fn a_name_is_there_from_the_start_to_the_end(scene: &Scene) {
    let host = Host::new(scene);
    let _world = name_server(&host, false);
    let client = host.container("client", &["--dns", REMOTE[0]], STAY);
    let server = servers(&host, "client").remove(0);
    let ask = || resolve(&client.place(), By::Udp, &server, &host.name("web"), false);
    // The best of several: another program may take the time of one.
    let (mut came, mut went, mut ended) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let measure = |best: &mut Duration, begun: Instant, is_there: bool| {
        eventually("the name changes", || (ask().is_ok() == is_there).then_some(()));
        *best = (*best).min(begun.elapsed());
    };
    assert_eq!(ask(), Err(NO_SUCH_NAME));
    for _ in 0..4 {
        let web = host.container(
            "web",
            &["-v", &format!("{}:/scene", scene.directory().display())],
            "until test -e /scene/end; do sleep 0.01; done",
        );
        measure(&mut came, Instant::now(), true);
        host.vial(["kill", web.name()]).ok();
        measure(&mut went, Instant::now(), false);
        host.vial(["start", web.name()]).ok();
        measure(&mut came, Instant::now(), true);
        std::fs::write(scene.path("end"), "").expect("write a file");
        assert_eq!(web.0.wait(), 0);
        measure(&mut ended, Instant::now(), false);
        std::fs::remove_file(scene.path("end")).expect("remove it");
        host.vial(["rm", web.name()]).ok();
    }
    assert!([came, went, ended].iter().all(|taken| *taken < SOON), "{came:?} {went:?} {ended:?}");
    host.end();
}

fn names_of_another_network_are_not_answered(scene: &Scene) {
    let host = Host::new(scene);
    let _world = name_server(&host, false);
    for network in ["front", "back"] {
        host.vial(["network", "create", network]).ok();
    }
    let options = |network| ["--network", network, "--dns", REMOTE[0]];
    let front = host.container("web", &[&options("front")[..], &["--network-alias", "www"]].concat(), STAY);
    let back = host.container("db", &options("back"), STAY);
    let beside = host.container("beside", &options("front"), STAY);
    for name in [front.name(), "www"] {
        let ask = |place: &Place, word: &str, by| resolve(place, by, &servers(&host, word)[0], name, false);
        for by in BOTH {
            assert!(ask(&beside.place(), "beside", by).is_ok());
            assert_eq!(ask(&back.place(), "db", by), Err(NO_SUCH_NAME), "{name} {by:?}");
        }
    }
    // Nor does the server of that network answer them, or anybody outside.
    let server = &servers(&host, "beside")[0];
    let question = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, b'w', b'w', b'w', 0, 0, 1, 0, 1];
    assert!(beside.place().try_ask(By::Udp, server, 53, &question, Duration::from_secs(5)).is_ok());
    host.command_there("ip", ["route", "add", server, "via", HOST[0]]).ok();
    for place in [back.place(), host.remote()] {
        for by in BOTH {
            let length = &[0, question.len() as u8][..if by == By::Tcp { 2 } else { 0 }];
            let question = [length, &question].concat();
            let heard = place.try_ask(by, server, 53, &question, Duration::from_millis(400));
            // That it is refused may be said.
            let is_told =
                heard.as_ref().is_ok_and(|answer| answer.get(length.len() + 3).is_some_and(|code| code & 0xf != 5));
            assert!(!is_told, "{by:?} {place:?}: {heard:?}");
        }
    }
    host.end();
}

fn other_names_are_asked_of_the_servers_of_the_host(scene: &Scene) {
    let host = Host::new(scene);
    let world = name_server(&host, true);
    let [four, six] = addresses(KNOWN);
    for remote in REMOTE {
        let client = host.container("client", &["--dns", remote], STAY);
        for server in servers(&host, "client") {
            for by in BOTH {
                let ask = |is_ipv6| resolve(&client.place(), by, &server, "www.example.org", is_ipv6);
                assert_eq!(ask(false), Ok(vec![four]), "{by:?} {server} {remote}");
                assert_eq!(ask(true), Ok(vec![six]), "{by:?} {server} {remote}");
            }
        }
        let shown = client.exec(&host, "nslookup www.example.org");
        assert!(KNOWN.iter().all(|known| shown.contains(known)), "{shown}");
        host.vial(["rm", "-f", client.name()]).ok();
    }
    // Each of them was asked, by the protocol by which it was.
    assert!(world.iter().all(|listener| listener.count() >= 4));
    // A server that does not answer is followed by the next.
    let client = host.container("client", &["--dns", "198.51.100.99", "--dns", REMOTE[0]], STAY);
    let server = servers(&host, "client").remove(0);
    assert_eq!(resolve(&client.place(), By::Udp, &server, "www.example.org", false), Ok(vec![four]));
    host.vial(["network", "create", "--internal", "dark"]).ok();
    let dark = host.container("dark", &["--network", "dark", "--dns", REMOTE[0]], STAY);
    let asked: Vec<usize> = world.iter().map(Listener::count).collect();
    let server = servers(&host, "dark").remove(0);
    assert!(resolve(&dark.place(), By::Udp, &server, "www.example.org", false).is_err());
    assert_eq!(asked, world.iter().map(Listener::count).collect::<Vec<_>>());
    host.end();
}

fn the_files_of_a_container_tell_its_address_and_what_was_added(scene: &Scene) {
    let host = Host::new(scene);
    let options = ["-h", "the-web", "--add-host", "host.internal:host-gateway", "--add-host", "other:192.0.2.9"];
    let more = ["--dns-search", "example.org", "--dns-search", "example.net", "--dns-option", "ndots:2"];
    let web = host.container("web", &[&options[..], &more].concat(), STAY);
    let hosts = web.exec(&host, "cat /etc/hosts");
    let has = |address: &str, name: &str| {
        hosts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| words[..2] == [address, name])
    };
    assert!(
        has(&web.own()[0], "the-web") && has("192.0.2.9", "other") && has("10.118.0.1", "host.internal"),
        "{hosts}"
    );
    let resolv = web.exec(&host, "cat /etc/resolv.conf");
    assert!(resolv.contains("search example.org example.net\n") && resolv.contains("options ndots:2"), "{resolv}");
    // A server of the host's is found there.
    let _server = host.place().listen(By::Tcp, "0.0.0.0", 7000);
    assert_eq!(web.exec(&host, "echo x | nc host.internal 7000"), web.own()[0]);
    host.end();
}

fn one_name_leads_to_all_that_have_it(scene: &Scene) {
    let host = Host::new(scene);
    let _world = name_server(&host, false);
    host.vial(["network", "create", "back"]).ok();
    let options = ["--network", "back", "--network-alias", "db", "--dns", REMOTE[0]];
    let guests = ["one", "two", "three"].map(|word| host.container(word, &options, STAY));
    let server = servers(&host, "one").remove(0);
    for count in (1..=3).rev() {
        for family in 0..2 {
            let mut found = resolve(&guests[0].place(), By::Udp, &server, "db", family == 1).expect("it is known");
            let own = guests[..count].iter().map(|guest| guest.own()[family].parse().expect("an address"));
            let mut wanted: Vec<IpAddr> = own.collect();
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted);
        }
        if count > 1 {
            host.vial(["stop", "-t", "0", guests[count - 1].name()]).ok();
        }
    }
    host.end();
}

fn names_are_answered_again_after_who_does_so_was_killed(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &["--network-alias", "www"], STAY);
    let server = &servers(&host, "web")[0];
    let find_it = || {
        let found = resolve(&web.place(), By::Udp, server, "www", false);
        assert_eq!(found, Ok(vec![web.own()[0].parse().expect("an address")]));
    };
    let resolver = || {
        let all = host.processes();
        all.into_iter().find(|(_, line)| line.starts_with("vial-resolver")).map(|(id, _)| id)
    };
    find_it();
    for command in [&["network", "ls"][..], &["network", "inspect", "bridge"], &["gc"]] {
        let id = resolver().expect("there is one");
        signal(id, "KILL");
        eventually("it is gone", || is_gone(id).then_some(()));
        host.vial(command).ok();
        find_it();
    }
    host.end();
}
