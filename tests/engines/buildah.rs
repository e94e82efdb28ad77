//! buildah, whose `run` has vial run a command in what is being built.

use std::fs;

use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    a_container_is_changed_by_commands_and_committed [Root, Busybox, Tool("buildah"), Tool("podman"), Tool("conmon"), Command("oci")];
    an_image_is_built_from_a_file [Root, Busybox, Tool("buildah"), Tool("podman"), Tool("conmon"), Command("oci")];
}

fn a_container_is_changed_by_commands_and_committed(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let runtime = scene.path("vial-oci").display().to_string();
    let run = |words: &[&str]| {
        let before = ["run", "--runtime", &runtime, "--isolation", "oci", "--network", "none"];
        engine.buildah(&[&before[..], words].concat())
    };
    let name = engine.buildah(&["from", "--cgroup-parent", &format!("/{}/build", engine.group), IMAGE]).ok().stdout;
    let name = name.trim();
    run(&[name, "--", "sh", "-c", "echo changed >/changed; id -u; hostname >/dev/null"]).ok().prints("0\n");
    run(&["--user", "7", "--env", "A=b", "--workingdir", "/tmp", name, "--", "sh", "-c", "id -u; pwd; echo $A"])
        .ok()
        .prints("7\n/tmp\nb\n");
    run(&[name, "--", "sh", "-c", "exit 5"]).ends(5);
    let shared = format!("{}:/mnt:ro", scene.directory().display());
    run(&["-v", &shared, name, "--", "sh", "-c", "touch /mnt/x 2>/dev/null || echo refused"]).ok().prints("refused\n");
    engine.buildah(&["commit", "-q", name, "localhost/changed"]).ok();
    engine.buildah(&["rm", name]).ok();
    engine.podman(&["run", "--rm", "localhost/changed", "cat", "/changed"]).ok().prints("changed\n");
    engine.end();
}

fn an_image_is_built_from_a_file(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let runtime = scene.path("vial-oci").display().to_string();
    let archive = engine.archive();
    fs::create_dir(scene.path("context")).expect("make a directory");
    fs::copy(&archive, scene.path("context/root.tar")).expect("copy the root");
    let steps = "FROM scratch\nADD root.tar /\nRUN echo built >/built\nCMD cat /built\n";
    fs::write(scene.path("context/Containerfile"), steps).expect("write what is to be built");
    let parent = format!("/{}/build", engine.group);
    #[rustfmt::skip]
    let words = ["build", "--runtime", &runtime, "--isolation", "oci", "--network", "none", "--cgroup-parent", &parent, "-t", "localhost/built", "context"];
    engine.buildah(&words).ok();
    engine.podman(&["run", "--rm", "localhost/built"]).ok().prints("built\n");
    engine.end();
}
