//! Containers on networks: what they have of one, what they reach, and what is kept apart.

use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::network::{CABLE, HOST, Host, REMOTE, STAY};
use crate::util::traffic::{BOTH, By, Place};

trials! {
    a_container_is_on_the_bridge_unless_told_otherwise [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    no_end_at_a_bridge_has_an_address [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    that_the_host_passes_packets_on_is_said_when_it_is_switched_on [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_subnet_is_chosen_that_the_host_has_no_route_to [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    packets_are_as_large_as_those_of_the_way_out [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    two_stores_have_bridges_and_subnets_of_their_own [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_container_reaches_others_under_the_address_of_the_host [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    containers_of_two_networks_do_not_reach_each_other [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    an_internal_network_has_no_way_out_and_none_in [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_container_has_the_addresses_that_it_asks_for [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_container_is_at_the_cable_of_the_host [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_container_is_on_several_networks [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_container_joins_a_namespace_that_has_a_name [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nsenter")];
    another_firewall_that_drops_is_named_with_what_to_do [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    an_older_firewall_that_drops_is_named_with_what_to_do [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Tool("iptables-legacy")];
    what_the_kernel_refuses_is_told_in_its_own_words_or_without_them [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("strace"), Command("network")];
    without_packet_filters_only_ports_are_refused [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Tool("python3")];
}

fn a_container_is_on_the_bridge_unless_told_otherwise(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &[], STAY);
    let [four, six] = web.addresses("eth0");
    assert_eq!(four, "10.118.0.2/16");
    assert!(six.starts_with("fd") && six.ends_with("::2/64"), "{six}");
    let prefix = six.trim_end_matches("2/64");
    let routes = web.exec(&host, "ip route; ip -6 route");
    assert!(routes.contains("default via 10.118.0.1 dev eth0"), "{routes}");
    assert!(routes.contains(&format!("default via {prefix}1 dev eth0")), "{routes}");
    let loopback = web.exec(&host, "ip addr show dev lo");
    for word in ["LOOPBACK,UP", "127.0.0.1/8", "::1/128"] {
        assert!(loopback.contains(word), "{loopback}");
    }
    // It has a name, for everybody's tools.
    let seen = host.command("ip", ["netns", "exec", web.name(), "ip", "-o", "address"]).ok();
    seen.shows("eth0    inet 10.118.0.2/16").shows(&six);
    let bridge = host.ip(&["-o", "address", "show", "dev", "vial0"]);
    assert!(bridge.contains("10.118.0.1/16") && bridge.contains(&format!("{prefix}1/64")), "{bridge}");
    // The host reaches it, and it another one.
    let _server = web.place().listen(By::Tcp, "::", 7000);
    let other = host.container("other", &[], STAY);
    for (at, own) in web.own().iter().enumerate() {
        host.place().ask(By::Tcp, own, 7000);
        assert_eq!(other.place().ask(By::Tcp, own, 7000), other.own()[at]);
    }
    let none = host.inside(&["--network", "none"], "ip -o link");
    assert!(!none.contains("eth0"), "{none}");
    host.end();
}

fn no_end_at_a_bridge_has_an_address(scene: &Scene) {
    // Each would cost the host time for every container: routes that it goes through, and packets to all the others.
    let host = Host::new(scene);
    host.vial(["network", "create", "--ipv6=false", "four"]).ok();
    let _both = host.container("both", &[], STAY);
    let _four = host.container("four", &["--network", "four"], STAY);
    let ends = host.ip(&["-o", "link", "show", "type", "veth"]);
    let up = ends.lines().filter(|line| line.contains(" vl") && line.contains(",UP")).count();
    assert_eq!(up, 2, "{ends}");
    let addresses = host.ip(&["-o", "address"]);
    assert!(addresses.contains(" vial0 ") && !addresses.contains(" vl"), "{addresses}");
    host.end();
}

fn that_the_host_passes_packets_on_is_said_when_it_is_switched_on(scene: &Scene) {
    let host = Host::new(scene);
    let value = |name: &str| host.command("cat", [format!("/proc/sys/net/{name}")]).ok().stdout;
    let switches = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"];
    assert_eq!(switches.map(value), ["0\n", "0\n"]);
    let rootfs = scene.rootfs().display().to_string();
    let first = host.vial(["run", "--rm", &rootfs, "true"]).ok();
    first.says("net.ipv4.ip_forward").says("net.ipv6.conf.all.forwarding");
    assert_eq!(switches.map(value), ["1\n", "1\n"]);
    host.vial(["run", "--rm", &rootfs, "true"]).ok().silent();
    host.end();
}

fn a_subnet_is_chosen_that_the_host_has_no_route_to(scene: &Scene) {
    let host = Host::new(scene);
    host.ip(&["address", "add", "10.118.3.1/16", "dev", CABLE]);
    host.ip(&["route", "add", "10.119.7.0/24", "via", REMOTE[0]]);
    host.ip(&["route", "add", "blackhole", "10.120.0.0/15"]);
    let web = host.container("web", &[], STAY);
    assert_eq!(web.addresses("eth0")[0], "10.122.0.2/16");
    host.end();
}

fn packets_are_as_large_as_those_of_the_way_out(scene: &Scene) {
    for mtu in [1500, 1400, 9000] {
        let host = Host::with_mtu(scene, mtu);
        let web = host.container("web", &[], STAY);
        let shown = [
            web.exec(&host, "cat /sys/class/net/eth0/mtu"),
            host.ip(&["-o", "link", "show", "dev", "vial0"]),
            host.ip(&["-o", "link", "show", "master", "vial0"]),
        ];
        assert_eq!(shown[0], mtu.to_string());
        assert!(shown[1..].iter().all(|line| line.contains(&format!(" mtu {mtu} "))), "{shown:?}");
        // The largest that the cable takes comes through, and back.
        let size = (mtu - 28).to_string();
        web.exec(&host, &format!("ping -c1 -W5 -s {size} {}", REMOTE[0]));
        host.end();
    }
}

fn two_stores_have_bridges_and_subnets_of_their_own(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &[], STAY);
    let rootfs = scene.rootfs().display().to_string();
    let script = "ip -o -4 addr show dev eth0";
    let shown = host.vial_of("other", ["run", "--rm", &rootfs, "sh", "-c", script]).ok().stdout;
    assert!(shown.contains(" 10.119.0.2/16"), "{shown}");
    assert_eq!(web.addresses("eth0")[0], "10.118.0.2/16");
    let mut bridges = host.interfaces();
    bridges.retain(|name| name.starts_with("vial"));
    assert_eq!(bridges, ["vial0", "vial1"]);
    let rules = host.rules();
    for table in ["table ip vial0", "table ip vial1", "table ip6 vial0", "table ip6 vial1"] {
        assert!(rules.contains(table), "{rules}");
    }
    // Their containers do not reach each other.
    let name = host.name("back");
    host.vial_of("other", ["run", "-d", "--name", &name, &rootfs, "sh", "-c", STAY]).ok();
    let back = Place::named(&name);
    let _server = back.listen(By::Tcp, "::", 7000);
    host.place().ask(By::Tcp, "10.119.0.2", 7000);
    web.place().must_not_reach(By::Tcp, "10.119.0.2", 7000);
    host.end();
}

fn a_container_reaches_others_under_the_address_of_the_host(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &[], STAY);
    for (host_address, remote) in HOST.into_iter().zip(REMOTE) {
        for by in BOTH {
            let server = host.remote().listen(by, remote, 7000);
            assert_eq!(web.place().ask(by, remote, 7000), host_address, "{by:?}");
            assert!(server.count() > 0);
        }
    }
    // And by its own means.
    let _server = host.remote().listen(By::Tcp, "::", 7001);
    for (host_address, remote) in HOST.into_iter().zip(REMOTE) {
        assert_eq!(web.exec(&host, &format!("echo x | nc {remote} 7001")), host_address);
        web.exec(&host, &format!("ping -c1 -W5 {remote}"));
    }
    // Two at the same port of the same server.
    let other = host.container("other", &[], STAY);
    assert_eq!(other.place().ask(By::Tcp, REMOTE[0], 7001), HOST[0]);
    host.end();
}

fn containers_of_two_networks_do_not_reach_each_other(scene: &Scene) {
    let host = Host::new(scene);
    for network in ["front", "back"] {
        host.vial(["network", "create", network]).ok();
    }
    let front = host.container("web", &["--network", "front"], STAY);
    let back = host.container("db", &["--network", "back"], STAY);
    let beside = host.container("beside", &["--network", "back"], STAY);
    for by in BOTH {
        for (server, stranger, friend) in [(&back, &front, &beside), (&front, &back, &front)] {
            let listener = server.place().listen(by, "::", 7000);
            for own in server.own() {
                friend.place().ask(by, &own, 7000);
                let heard = listener.count();
                stranger.place().must_not_reach(by, &own, 7000);
                assert_eq!(listener.count(), heard);
            }
        }
    }
    host.end();
}

fn an_internal_network_has_no_way_out_and_none_in(scene: &Scene) {
    let host = Host::new(scene);
    // Another one has the host pass packets on.
    let open = host.container("open", &[], STAY);
    host.vial(["network", "create", "--internal", "dark"]).ok();
    let one = host.container("one", &["--network", "dark"], STAY);
    let two = host.container("two", &["--network", "dark"], STAY);
    let routes = one.exec(&host, "ip route; ip -6 route");
    assert!(!routes.contains("default"), "{routes}");
    let own = one.own();
    // Not even with a way to the host, from either side.
    for (at, address) in own.iter().enumerate() {
        let family = ["-4", "-6"][at];
        let gateway = address.rsplit_once(['.', ':']).map(|(net, _)| format!("{net}{}1", [".", ":"][at]));
        let gateway = gateway.expect("an address");
        let namespace = format!("--net=/run/netns/{}", one.name());
        scene.command("nsenter", [&namespace, "ip", family, "route", "add", "default", "via", &gateway]).ok();
        host.command_there("ip", [family, "route", "add", address, "via", HOST[at]]).ok();
    }
    host.is_refused(&["--network", "dark", "-p", "8080:80"]).says("no bridge network that leads out").says("internal");
    for by in BOTH {
        let far = host.remote().listen(by, "::", 7000);
        let near = one.place().listen(by, "::", 7000);
        for (at, address) in own.iter().enumerate() {
            assert_eq!(two.place().ask(by, address, 7000), two.own()[at]);
            open.place().ask(by, REMOTE[at], 7000);
            // Nothing may come there, not even without an answer.
            let heard = (far.count(), near.count());
            one.place().must_not_reach(by, REMOTE[at], 7000);
            host.remote().must_not_reach(by, address, 7000);
            open.place().must_not_reach(by, address, 7000);
            assert_eq!((far.count(), near.count()), heard, "{by:?} {address}");
        }
    }
    host.end();
}

fn a_container_has_the_addresses_that_it_asks_for(scene: &Scene) {
    let host = Host::new(scene);
    let mac = "02:42:0a:00:00:05";
    host.vial(["network", "create", "--subnet", "10.40.0.0/24", "--subnet", "fd40::/64", "back"]).ok();
    let asked = ["--network", "back", "--ip", "10.40.0.77", "--ip6", "fd40::99", "--mac-address", mac];
    let web = host.container("web", &asked, STAY);
    assert_eq!(web.addresses("eth0"), ["10.40.0.77/24", "fd40::99/64"]);
    assert_eq!(web.exec(&host, "cat /sys/class/net/eth0/address"), mac);
    let _server = host.remote().listen(By::Tcp, "::", 7000);
    for (host_address, remote) in HOST.into_iter().zip(REMOTE) {
        assert_eq!(web.place().ask(By::Tcp, remote, 7000), host_address);
    }
    // What somebody has, nobody else gets.
    host.is_refused(&["--network", "back", "--ip", "10.40.0.77"]).says("10.40.0.77");
    host.is_refused(&["--network", "back", "--ip6", "fd40::99"]).says("fd40::99");
    host.is_refused(&["--network", "back", "--ip", "10.41.0.7"]).says("10.41.0.7");
    host.is_refused(&["--network", "back", "--ip", "10.40.0.1"]).says("10.40.0.1");
    // It has them again when it is started again, and others do when it is gone.
    web.0.vial(&["rm"]).ends(125);
    host.vial(["restart", "-t", "0", web.name()]).ok();
    assert_eq!(web.addresses("eth0"), ["10.40.0.77/24", "fd40::99/64"]);
    host.vial(["rm", "-f", web.name()]).ok();
    let heir = host.container("heir", &["--network", "back", "--ip", "10.40.0.77"], STAY);
    assert_eq!(heir.addresses("eth0")[0], "10.40.0.77/24");
    host.end();
}

fn a_container_is_at_the_cable_of_the_host(scene: &Scene) {
    let host = Host::new(scene);
    let parent = format!("parent={CABLE}");
    let subnets = ["--subnet", "198.51.100.0/24", "--gateway", REMOTE[0], "--subnet", "2001:db8:1::/64"];
    let words = ["network", "create", "-d", "macvlan", "-o", &parent];
    host.vial(words).args(subnets).args(["--gateway", REMOTE[1], "lan"]).ok();
    let web = host.container("web", &["--network", "lan", "--ip", "198.51.100.50", "--ip6", "2001:db8:1::50"], STAY);
    let own = ["198.51.100.50", "2001:db8:1::50"];
    assert_eq!(web.own(), own);
    let _far = host.remote().listen(By::Tcp, "::", 7000);
    let _near = web.place().listen(By::Tcp, "::", 7000);
    for (at, address) in own.into_iter().enumerate() {
        assert_eq!(web.place().ask(By::Tcp, REMOTE[at], 7000), address);
        assert_eq!(host.remote().ask(By::Tcp, address, 7000), REMOTE[at]);
    }
    assert_eq!(host.interfaces(), [""; 0], "there is no bridge");
    host.end();
}

fn a_container_is_on_several_networks(scene: &Scene) {
    let host = Host::new(scene);
    for network in ["front", "back"] {
        host.vial(["network", "create", network]).ok();
    }
    let both = host.container("both", &["--network", "front", "--network", "back"], STAY);
    let front = host.container("web", &["--network", "front"], STAY);
    let back = host.container("db", &["--network", "back"], STAY);
    let _servers = [&front, &back, &both].map(|guest| guest.place().listen(By::Tcp, "::", 7000));
    let _far = host.remote().listen(By::Tcp, "::", 7000);
    for (at, interface) in ["eth0", "eth1"].into_iter().enumerate() {
        let peer = [&front, &back][at];
        for (family, address) in both.addresses(interface).iter().enumerate() {
            let own = address.split_once('/').expect("it has an address").0;
            assert_eq!(both.place().ask(By::Tcp, &peer.own()[family], 7000), own);
            assert_eq!(peer.place().ask(By::Tcp, own, 7000), peer.own()[family]);
        }
    }
    for family in 0..2 {
        assert_eq!(both.place().ask(By::Tcp, REMOTE[family], 7000), HOST[family]);
        // It is no way between the two.
        front.place().must_not_reach(By::Tcp, &back.own()[family], 7000);
    }
    host.end();
}

fn a_container_joins_a_namespace_that_has_a_name(scene: &Scene) {
    let host = Host::new(scene);
    let path = format!("ns:/run/netns/{}", host.name("made"));
    host.command("ip", ["netns", "add", &host.name("made")]).ok();
    host.command("ip", ["-n", &host.name("made"), "link", "add", "peer7", "type", "veth"]).ok();
    let shown = host.inside(&["--network", &path], "ip -o link");
    assert!(shown.contains("peer7"), "{shown}");
    host.is_refused(&["--network", "ns:/run/netns/no-such"]).says("/run/netns/no-such");
    host.is_refused(&["--network", "ns:/proc/self/ns/uts"]);
    host.command("ip", ["netns", "delete", &host.name("made")]).ok();
    host.end();
}

fn another_firewall_that_drops_is_named_with_what_to_do(scene: &Scene) {
    let host = Host::new(scene);
    host.command(
        "nft",
        ["add table inet wall; add chain inet wall pass { type filter hook forward priority 0; policy drop; }"],
    )
    .ok();
    let output = host.start("web", &[], STAY).ok();
    let web = host.guest("web");
    let told = output.clone().says("chain pass of table inet wall").stderr;
    let _server = host.remote().listen(By::Tcp, REMOTE[0], 7000);
    web.place().must_not_reach(By::Tcp, REMOTE[0], 7000);
    // What it says helps.
    let command = told.split('\'').nth(1).unwrap_or_else(|| panic!("there is no command in {}", output.shown()));
    host.command("nft", [command]).ok();
    assert_eq!(web.place().ask(By::Tcp, REMOTE[0], 7000), HOST[0]);
    host.end();
}

fn an_older_firewall_that_drops_is_named_with_what_to_do(scene: &Scene) {
    let host = Host::new(scene);
    let programs = ["iptables-legacy", "ip6tables-legacy"];
    // The table alone is no reason to say anything.
    host.command(programs[0], ["-P", "FORWARD", "ACCEPT"]).ok();
    host.container("first", &[], "exit 0").0.wait();
    host.end();
    for (family, program) in programs.into_iter().enumerate() {
        host.command(program, ["-P", "FORWARD", "DROP"]).ok();
        let output = host.start("web", &[], STAY).ok().says(&format!("chain FORWARD of {program}"));
        let web = host.guest("web");
        let _server = host.remote().listen(By::Tcp, REMOTE[family], 7000);
        web.place().must_not_reach(By::Tcp, REMOTE[family], 7000);
        let commands = output.stderr.split('\'').nth(1).expect("there are commands").to_owned();
        host.command("sh", ["-c", &commands]).ok();
        assert_eq!(web.place().ask(By::Tcp, REMOTE[family], 7000), HOST[family]);
        host.command(program, ["-P", "FORWARD", "ACCEPT"]).ok();
        host.end();
    }
}

fn what_the_kernel_refuses_is_told_in_its_own_words_or_without_them(scene: &Scene) {
    let host = Host::new(scene);
    host.vial(["network", "create", "-d", "macvlan", "-o", "parent=lo", "--subnet", "10.9.0.0/24", "m"]).ok();
    let root = scene.rootfs().display().to_string();
    let run = ["run", "--rm", "--network", "m", &root, "true"];
    let refused = "make the container's interface";
    host.vial(run).ends(125).says(refused).says("mtu greater than device maximum").says("EINVAL");
    // Before Linux 4.12 no socket takes the option that they come by.
    let older =
        ["-f", "-o", "/dev/null", "-e", "inject=setsockopt:error=ENOPROTOOPT", "env", "-u", "VIAL_NETWORK", VIAL];
    let output = host.command("strace", older.into_iter().chain(run)).ends(125);
    output.says(&format!("{refused}: EINVAL (Invalid argument)"));
    host.vial(["network", "rm", "m"]).ok();
    host.end();
}

fn without_packet_filters_only_ports_are_refused(scene: &Scene) {
    let host = Host::new(scene);
    let (rootfs, filter) = (scene.rootfs().display().to_string(), scene.path("filter.py"));
    std::fs::write(&filter, NO_NETFILTER).expect("write a program");
    let without = |options: &[&str]| {
        let command = host.command("python3", [&filter]).args(["env", "-u", "VIAL_NETWORK", VIAL, "run", "--rm"]);
        command.args(options).args([&rootfs, "sh", "-c", "ip -o -4 address"])
    };
    without(&["-p", "8080:80"]).ends(125).prints("").says("CONFIG_NF_TABLES");
    without(&[]).ok().shows(" 10.118.0.2/16");
    for mode in ["none", "host"] {
        without(&["--network", mode]).ok().shows("127.0.0.1").silent();
    }
    host.end();
    // Whoever makes the bridge is told.
    without(&[]).ok().shows(" 10.118.0.2/16").says("CONFIG_NF_TABLES");
    host.end();
}

/// Executes a program as on a kernel without `nf_tables`: seccomp(2) has `socket(AF_NETLINK, .., NETLINK_NETFILTER)` fail with
/// `EPROTONOSUPPORT`.
const NO_NETFILTER: &str = "
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {'x86_64': 41, 'armv7l': 281}.get(os.uname().machine, 198)
def equal(value, otherwise): return struct.pack('HBBI', 0x15, 0, otherwise, value)
def load(offset): return struct.pack('HBBI', 0x20, 0, 0, offset)
def give(value): return struct.pack('HBBI', 0x06, 0, 0, value)
code = (load(0) + equal(number, 5) + load(16) + equal(16, 3) + load(32) + equal(12, 1)
        + give(0x00050000 | errno.EPROTONOSUPPORT) + give(0x7fff0000))
buffer = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack('@HP', len(code) // 8, ctypes.addressof(buffer)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
";
