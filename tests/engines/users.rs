//! User namespaces that podman asks for, as root: files belong to whom podman has given them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    root_of_a_user_namespace_owns_the_image_and_is_nobody_outside [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_range_is_chosen_for_each_container [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    volumes_belong_to_whom_they_were_given [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    users_and_groups_are_those_that_podman_found [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
}

/// What a directory of files looks like from inside.
const LOOK: &str = "cat /proc/self/uid_map | tr -s ' ' | sed 's/^ //'; id -u; stat -c %u /bin/busybox /proc/1 /dev/mqueue; touch /made && echo made";

fn root_of_a_user_namespace_owns_the_image_and_is_nobody_outside(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let map = ["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"];
    assert_eq!(engine.inside(&map, LOOK), "0 200000 65536\n0\n0\n0\n0\nmade");
    let words = [&["run", "-d", "--name", "mapped"], &map[..], &[IMAGE, "sleep", "500"]].concat();
    engine.podman(&words).ok();
    let pid = engine.podman(&["inspect", "mapped", "--format", "{{.State.Pid}}"]).ok().stdout;
    let owner = fs::metadata(format!("/proc/{}", pid.trim())).expect("it runs").uid();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("it runs");
    assert!(status.contains("Uid:\t200000\t200000"), "{owner}: {status}");
    engine
        .podman(&["exec", "mapped", "sh", "-c", "id -u; head -n 1 /proc/self/uid_map | tr -s ' '"])
        .ok()
        .prints("0\n 0 200000 65536\n");
    engine.podman(&["exec", "-u", "7:8", "mapped", "sh", "-c", "id -u; id -g"]).ok().prints("7\n8\n");
    engine.end();
}

fn a_range_is_chosen_for_each_container(scene: &Scene) {
    for name in ["subuid", "subgid"] {
        fs::write(scene.path(name), "containers:3000000:1000000\n").expect("write who may have which IDs");
    }
    let engine = Engine::new(scene);
    engine.import();
    let told = engine.inside(&["--userns", "auto:size=2000"], LOOK);
    assert_eq!(told, "0 3000000 2000\n0\n0\n0\n0\nmade");
    engine.end();
}

fn volumes_belong_to_whom_they_were_given(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let host = scene.path("host");
    fs::create_dir(&host).expect("make a directory");
    let bound = |options: &str| format!("{}:/mnt{options}", host.display());
    let map = ["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"];
    let script = "stat -c %u /mnt; touch /mnt/new 2>/dev/null && stat -c %u /mnt/new; true";
    let inside = |options: &str| engine.inside(&[&map[..], &["-v", &bound(options)]].concat(), script);
    assert_eq!(inside(""), "65534", "the host's root is nobody there");
    assert_eq!(inside(":idmap"), "0\n0", "owners are mapped");
    assert_eq!(fs::metadata(host.join("new")).expect("it was made").uid(), 0);
    assert_eq!(inside(":U"), "0\n0", "the files were given to the container's root");
    assert_eq!(fs::metadata(&host).expect("it is there").uid(), 200_000);
    assert_eq!(
        engine.inside(&["--user", "9", "-v", "own:/data:U"], "touch /data/new; stat -c %u /data /data/new"),
        "9\n9"
    );
    engine.podman(&["volume", "rm", "own"]).ok();
    engine.end();
}

fn users_and_groups_are_those_that_podman_found(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    assert_eq!(engine.inside(&["--user", "12:34"], "id -u; id -g; umask"), "12\n34\n0022");
    assert_eq!(engine.inside(&["--group-add", "56", "--umask", "077"], "id -G; umask"), "0 56\n0077");
    engine.podman(&["run", "--rm", "--user", "nobody-at-all", IMAGE, "true"]).ends(126);
    // What others may reopen: the pipes belong to the user.
    assert_eq!(engine.inside(&["--user", "12"], "echo again >/dev/stdout"), "again");
    engine.end();
}
