//! podman as a normal user: it has vial started as root of the user's own namespace.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    a_normal_users_container_lives_a_whole_life [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("newuidmap"), Command("oci")];
    a_normal_user_builds_an_image [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("newuidmap"), Command("oci")];
    a_normal_user_keeps_the_own_id_and_has_others [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("newuidmap"), Command("oci")];
    a_normal_users_container_has_a_network [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("newuidmap"), Tool("slirp4netns"), File("/dev/net/tun"), Command("oci")];
    a_normal_users_options_are_heard [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("newuidmap"), Command("oci")];
}

fn ready(scene: &Scene) -> Engine<'_> {
    let engine = Engine::rootless(scene);
    engine.import();
    engine
}

fn a_normal_users_container_lives_a_whole_life(scene: &Scene) {
    let engine = ready(scene);
    engine.podman(&["run", "--rm", IMAGE, "sh", "-c", "id -u; exit 7"]).ends(7).prints("0\n");
    let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done";
    engine.podman(&["run", "-d", "--name", "one", IMAGE, "sh", "-c", script]).ok();
    engine.podman(&["exec", "one", "sh", "-c", "id -u; exit 3"]).ends(3).prints("0\n");
    engine.podman(&["exec", "-u", "5", "one", "id", "-u"]).ok().prints("5\n");
    engine.podman(&["exec", "-t", "one", "tty"]).ok().shows("/dev/pts/");
    engine.podman(&["top", "one", "args"]).ok().shows("trap");
    fs::write(engine.home().join("given"), "given").expect("write a file");
    engine.podman(&["cp", "given", "one:/tmp/taken"]).ok();
    engine.podman(&["exec", "one", "cat", "/tmp/taken"]).ok().prints("given");
    let said = || engine.podman(&["logs", "one"]).ok().stdout.contains("up").then_some(());
    crate::util::container::eventually("it is up", said);
    engine.podman(&["stop", "-t", "20", "one"]).ok();
    engine.podman(&["start", "one"]).ok();
    engine.podman(&["kill", "one"]).ok();
    engine.podman(&["wait", "one"]).ok().prints("137\n");
    engine.end();
}

fn a_normal_user_builds_an_image(scene: &Scene) {
    let engine = ready(scene);
    let context = engine.home().join("context");
    fs::create_dir(&context).expect("make a directory");
    let steps = format!("FROM {IMAGE}\nRUN echo built >/built\nUSER 9\nRUN id -u >/tmp/who\nCMD cat /built /tmp/who\n");
    fs::write(context.join("Containerfile"), steps).expect("write what is to be built");
    for isolation in ["oci", "rootless"] {
        engine
            .podman(&[
                "build",
                "--no-cache",
                "--isolation",
                isolation,
                "--network",
                "none",
                "-t",
                "localhost/built",
                "context",
            ])
            .ok();
        engine.podman(&["run", "--rm", "localhost/built"]).ok().prints("built\n9\n");
    }
    engine.end();
}

fn a_normal_user_keeps_the_own_id_and_has_others(scene: &Scene) {
    let engine = ready(scene);
    let home = engine.home();
    let id = fs::metadata(&home).expect("the home is there").uid();
    let shared = format!("{}:/mnt", home.display());
    let told = engine.inside(&["--userns", "keep-id", "-v", &shared], "id -u; touch /mnt/made; stat -c %u /mnt/made");
    assert_eq!(told, format!("{id}\n{id}"));
    assert_eq!(fs::metadata(home.join("made")).expect("it was made").uid(), id);
    let told = engine.inside(&["-v", &shared], "id -u; stat -c %u /mnt/made");
    assert_eq!(told, "0\n0");
    let told = engine.inside(&["--userns", "nomap"], "tr -s ' ' </proc/self/uid_map");
    assert_eq!(told, " 0 1 65536");
    assert_eq!(engine.inside(&["--user", "12:34"], "id -u; id -g; echo again >/dev/stdout"), "12\n34\nagain");
    engine.end();
}

fn a_normal_users_container_has_a_network(scene: &Scene) {
    let engine = ready(scene);
    let told = engine.inside(&["--network", "slirp4netns"], "ip route");
    assert!(told.contains("default via 10.0.2.2 dev tap0"), "{told}");
    let own = engine.command("readlink", ["/proc/self/ns/net"]).ok().stdout;
    assert_eq!(engine.inside(&["--network", "host"], "readlink /proc/self/ns/net"), own.trim_end());
    let serve = "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www";
    let words =
        ["run", "-d", "--name", "web", "--network", "slirp4netns", "-p", "127.0.0.1:8089:80", IMAGE, "sh", "-c", serve];
    engine.podman(&words).ok();
    let get = || engine.command("busybox", ["wget", "-qO-", "http://127.0.0.1:8089/"]).run();
    crate::util::container::eventually("the published port answers", || (get().stdout == "served\n").then_some(()));
    engine.end();
}

fn a_normal_users_options_are_heard(scene: &Scene) {
    let engine = ready(scene);
    let refused = "touch /made 2>/dev/null || echo refused; touch /tmp/made && echo made";
    assert_eq!(engine.inside(&["--read-only"], refused), "refused\nmade");
    assert_eq!(engine.inside(&["--hostname", "inside"], "hostname"), "inside");
    assert_eq!(engine.inside(&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward"), "1");
    assert_eq!(engine.inside(&["--cap-drop", "all"], "grep CapEff /proc/self/status | cut -f 2"), "0000000000000000");
    assert_eq!(engine.inside(&["--device", "/dev/zero:/dev/nothing"], "head -c 3 /dev/nothing | wc -c"), "3");
    assert_eq!(engine.inside(&["--tmpfs", "/scratch:size=1m"], "touch /scratch/x && echo made"), "made");
    assert_eq!(engine.inside(&["--init"], "tr '\\0' ' ' </proc/1/cmdline | grep -c podman-init"), "1");
    assert_eq!(engine.inside(&["--pid", "host"], "readlink /proc/self/ns/pid | wc -l"), "1");
    assert_eq!(engine.inside(&["--privileged"], "grep -c '^Seccomp:.*0$' /proc/self/status"), "1");
    assert_eq!(engine.inside(&["--cgroups", "disabled"], "echo ran"), "ran");
    assert_eq!(engine.inside(&["-m", "64m", "--oom-score-adj", "100"], "cat /proc/self/oom_score_adj"), "100");
    engine.end();
}
