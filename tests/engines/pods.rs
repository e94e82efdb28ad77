//! Pods: containers that share namespaces, as podman groups them.

use std::fs;

use crate::util::engine::{Engine, IMAGE};
use crate::util::needs;
use crate::util::scene::Scene;

trials! {
    the_containers_of_a_pod_share_its_namespaces [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("catatonit"), Command("oci")];
    a_pod_without_a_container_of_its_own_shares_nothing [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_container_shares_another_ones_namespaces [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    an_init_reaps_and_passes_signals_on [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("catatonit"), Command("oci")];
}

fn the_containers_of_a_pod_share_its_namespaces(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let context = scene.path("infra");
    fs::create_dir(&context).expect("make a directory");
    fs::copy(needs::tool("catatonit").expect("it is there"), context.join("catatonit")).expect("copy it");
    let steps = "FROM scratch\nCOPY catatonit /catatonit\nENTRYPOINT [\"/catatonit\", \"-P\"]\n";
    fs::write(context.join("Containerfile"), steps).expect("write what is to be built");
    engine.podman(&["build", "-t", "localhost/infra", "infra"]).ok();
    let shared = ["--share", "ipc,uts,net,pid", "--network", "none"];
    let words = [&["pod", "create", "--name", "pod", "--infra-image", "localhost/infra"], &shared[..]].concat();
    engine.podman(&words).ok();
    let serve = "mkdir /www; echo from the first >/www/index.html; exec httpd -f -p 8080 -h /www";
    engine.podman(&["run", "-d", "--pod", "pod", "--name", "first", IMAGE, "sh", "-c", serve]).ok();
    let look = "hostname; i=0; while [ $i -lt 50 ]; do wget -qO- http://127.0.0.1:8080/ && break; i=$((i + 1)); sleep 0.1; done; \
                ps -o args | grep -c -E '^(/catatonit -P|httpd)'";
    let seen = engine.podman(&["run", "--rm", "--pod", "pod", IMAGE, "sh", "-c", look]).ok();
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines, ["pod", "from the first", "2"], "{}", seen.shown());
    engine
        .podman(&["pod", "ps", "--format", "{{.Name}} {{.Status}} {{.NumberOfContainers}}"])
        .ok()
        .prints("pod Running 2\n");
    engine.podman(&["pod", "pause", "pod"]).ok();
    engine.podman(&["pod", "ps", "--format", "{{.Status}}"]).ok().prints("Paused\n");
    engine.podman(&["pod", "unpause", "pod"]).ok();
    engine.podman(&["pod", "stop", "-t", "1", "pod"]).ok();
    engine.podman(&["pod", "start", "pod"]).ok();
    engine.podman(&["pod", "rm", "-f", "-t", "0", "pod"]).ok();
    engine.end();
}

fn a_pod_without_a_container_of_its_own_shares_nothing(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    engine.podman(&["pod", "create", "--name", "pod", "--infra=false"]).ok();
    engine.podman(&["run", "-d", "--pod", "pod", "--name", "first", IMAGE, "sleep", "500"]).ok();
    let words = ["run", "--rm", "--pod", "pod", IMAGE, "sh", "-c", "ps -o args | grep '^sleep 500' || echo alone"];
    engine.podman(&words).ok().prints("alone\n");
    engine.podman(&["pod", "rm", "-f", "-t", "0", "pod"]).ok();
    engine.end();
}

fn a_container_shares_another_ones_namespaces(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    engine.podman(&["run", "-d", "--name", "first", "--network", "none", IMAGE, "sleep", "500"]).ok();
    let shared =
        ["--network", "container:first", "--pid", "container:first", "--ipc", "container:first", "--uts", "host"];
    let script = "ps -o args | grep '^sleep 500'; \
                  [ $(readlink /proc/1/ns/net) = $(readlink /proc/self/ns/net) ] && echo same";
    assert_eq!(engine.inside(&shared, script), "sleep 500\nsame");
    engine.end();
}

fn an_init_reaps_and_passes_signals_on(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let script = "trap 'echo asked; exit 4' TERM; echo up; while :; do sleep 0.1; done";
    engine.podman(&["run", "-d", "--init", "--name", "one", IMAGE, "sh", "-c", script]).ok();
    let said = || engine.podman(&["logs", "one"]).ok().stdout.contains("up").then_some(());
    crate::util::container::eventually("it is up", said);
    engine.podman(&["exec", "one", "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"]).ok().shows("podman-init");
    engine.podman(&["stop", "-t", "20", "one"]).ok();
    engine.podman(&["logs", "one"]).ok().prints("up\nasked\n");
    engine.podman(&["inspect", "one", "--format", "{{.State.ExitCode}}"]).ok().prints("4\n");
    engine.end();
}
