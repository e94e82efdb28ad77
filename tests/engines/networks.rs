//! Networks that podman makes, on a host of the test's own.

use crate::util::container::eventually;
use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    a_container_on_podmans_network_has_an_address_and_a_published_port [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("iptables"), File("/usr/lib/podman/netavark"), Command("oci")];
    containers_on_one_network_find_each_other_by_name [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("iptables"), File("/usr/lib/podman/aardvark-dns"), Command("oci")];
    the_hosts_network_is_shared [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
}

fn a_container_on_podmans_network_has_an_address_and_a_published_port(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let serve = "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www";
    let words =
        ["run", "-d", "--name", "web", "--network", "podman", "-p", "127.0.0.1:8088:80", IMAGE, "sh", "-c", serve];
    engine.podman(&words).ok();
    let get = || engine.command("busybox", ["wget", "-qO-", "http://127.0.0.1:8088/"]).run();
    eventually("the published port answers", || (get().stdout == "served\n").then_some(()));
    let address = engine.podman(&["exec", "web", "ip", "-4", "-o", "address", "show", "dev", "eth0"]).ok().stdout;
    assert!(address.contains("inet 10.88."), "{address}");
    let other = engine.inside(&["--network", "podman"], "ping -c 1 -W 5 10.88.0.1 >/dev/null && ip route");
    assert!(other.contains("default via 10.88.0.1 dev eth0"), "{other}");
    engine.end();
}

fn containers_on_one_network_find_each_other_by_name(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    engine.podman(&["network", "create", "shared"]).ok();
    engine.podman(&["run", "-d", "--name", "other", "--network", "shared", IMAGE, "sleep", "500"]).ok();
    let script = "i=0; until ping -c 1 -W 2 other >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 20 ] || exit; sleep 0.2; done; echo found";
    assert_eq!(engine.inside(&["--network", "shared"], script), "found");
    engine.podman(&["rm", "-f", "-t", "0", "other"]).ok();
    engine.podman(&["network", "rm", "shared"]).ok();
    engine.end();
}

fn the_hosts_network_is_shared(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let own = engine.command("readlink", ["/proc/self/ns/net"]).ok().stdout;
    assert_eq!(engine.inside(&["--network", "host"], "readlink /proc/self/ns/net"), own.trim_end());
    assert_ne!(engine.inside(&[], "readlink /proc/self/ns/net"), own.trim_end());
    engine.end();
}
