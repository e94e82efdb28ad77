//! One core: what `vial run` makes is a bundle that other runtimes run, and `vial oci run` runs whatever container vial has made.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::util::Scene;
use crate::util::bundle::oci;
use crate::util::command::Output;

trials! {
    another_runtime_runs_containers_that_vial_made [Root, Busybox, Tool("runc"), Kernel("overlay"), Command("oci")];
    another_runtime_runs_an_overlay_that_was_mounted_as_the_annotations_say [Root, Busybox, Tool("runc"), Kernel("overlay"), Command("oci")];
    every_container_of_vials_runs_as_a_bundle [Root, Busybox, Kernel("overlay"), Command("oci")];
    a_container_of_a_file_system_image_runs_as_a_bundle [Root, Busybox, Tool("mksquashfs"), Kernel("squashfs"), Kernel("overlay"), Command("oci")];
    a_container_that_runs_is_not_run_twice [Root, Busybox, Kernel("overlay"), Command("oci")];
}

/// What each container is asked for, and what it must say.
const LINE: &str = "echo hello; id -u; cat /etc/hostname; touch /new && echo new; ls /data; exit 5";

/// Makes a container, which is not started; the bundle.
fn made(scene: &Scene, options: &[&str], line: &str) -> PathBuf {
    let rootfs = scene.rootfs().display().to_string();
    let words = [&["create", "--name", "it", "--hostname", "inside"], options, &[&rootfs, "sh", "-c", line]].concat();
    let id = scene.vial(words).ok().stdout;
    scene.root().join("containers").join(id.trim())
}

fn share(scene: &Scene) -> String {
    fs::create_dir_all(scene.path("shared")).expect("make a directory");
    fs::write(scene.path("shared/file"), "").expect("write a file");
    format!("{}:/data", scene.path("shared").display())
}

/// Has runc run a bundle.
fn runc(scene: &Scene, bundle: &str) -> Output {
    let root = scene.path("runc").display().to_string();
    let run = || scene.command("runc", ["--root", &root, "run", "-b", bundle, "web"]).run();
    // The last of vial's containers takes the group above it away, also when runc has just seen that it is there.
    let taken =
        |output: &Output| output.stderr.contains("mkdir /sys/fs/cgroup/") && output.stderr.contains("no such file");
    let output = (0..10).map(|_| run()).find(|output| !taken(output)).expect("the group above is there for once");
    // It makes groups in systemd's hierarchy too, where vial has none, and leaves the one above.
    let _ = fs::remove_dir("/sys/fs/cgroup/systemd/vial");
    output
}

fn another_runtime_runs_containers_that_vial_made(scene: &Scene) {
    let share = share(scene);
    #[rustfmt::skip]
    let rows: &[(&[&str], &str)] = &[
        (&["--storage", "copy", "-v", &share],                                 "hello\n0\ninside\nnew\nfile\n"),
        (&["--storage", "copy", "-v", &share, "-m", "64m", "--pids-limit", "50", "--cpus", "0.5"], "hello\n0\ninside\nnew\nfile\n"),
        (&["--storage", "copy", "-v", &share, "-u", "1000:1000"],              "hello\n1000\ninside\nfile\n"),
        (&["--storage", "copy", "-v", &share, "--read-only"],                  "hello\n0\ninside\nfile\n"),
        (&["--storage", "copy", "-v", &share, "--cap-drop", "ALL", "--tmpfs", "/x"], "hello\n0\ninside\nnew\nfile\n"),
    ];
    for (options, said) in rows {
        let bundle = made(scene, options, LINE).display().to_string();
        // The tree is made when the container is first started.
        scene.vial(["start", "-a", "it"]).ends(5);
        let output = runc(scene, &bundle);
        assert!(output.code == 5 && output.stdout == *said, "{options:?}: {}", output.shown());
        scene.vial(["rm", "it"]).ok();
    }
}

fn another_runtime_runs_an_overlay_that_was_mounted_as_the_annotations_say(scene: &Scene) {
    let bundle = made(scene, &["--storage", "overlay"], "echo hello; touch /new && echo new; exit 5");
    let text = fs::read_to_string(bundle.join("config.json")).expect("read it");
    let config: Value = serde_json::from_str(&text).expect("it is JSON");
    let lower = config["annotations"]["vial.directory"].as_str().expect("its lowest layer is named");
    let root = bundle.join(config["root"]["path"].as_str().expect("its root is named")).display().to_string();
    let options = format!("lowerdir={lower},upperdir={0}/upper,workdir={0}/work", bundle.display());
    scene.command("mount", ["-t", "overlay", "none", "-o", &options, &root]).ok();
    let output = runc(scene, &bundle.display().to_string());
    scene.command("umount", [&root]).ok();
    output.ends(5).prints("hello\nnew\n");
    assert!(bundle.join("upper/new").exists());
    scene.vial(["rm", "it"]).ok();
}

fn every_container_of_vials_runs_as_a_bundle(scene: &Scene) {
    let share = share(scene);
    #[rustfmt::skip]
    let rows: &[(&[&str], &str)] = &[
        (&["-v", &share],                                              "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", "data:/data"],                                        "hello\n0\ninside\nnew\n"),
        (&["-v", &share, "--storage", "copy"],                         "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", &share, "-m", "64m", "--cpus", "0.5", "--pids-limit", "50"], "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", &share, "-u", "user"],                                "hello\n1000\ninside\nfile\n"),
        (&["-v", &share, "--read-only"],                               "hello\n0\ninside\nfile\n"),
        (&["-v", &share, "--init"],                                    "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", &share, "--userns", "auto"],                          "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", &share, "--security-opt", "seccomp=unconfined"],      "hello\n0\ninside\nnew\nfile\n"),
        (&["-v", &share, "--pid", "host", "--cap-drop", "ALL"],        "hello\n0\ninside\nnew\nfile\n"),
    ];
    for (options, said) in rows {
        // One that was only made, and one that has run and ended.
        for runs in [false, true] {
            let bundle = made(scene, options, LINE).display().to_string();
            if runs {
                scene.vial(["start", "-a", "it"]).ends(5);
            }
            for _ in 0..2 {
                let output = oci(scene, ["run", "--bundle", &bundle, "web"]).run();
                assert!(output.code == 5 && output.stdout == *said, "{options:?}, {runs}: {}", output.shown());
            }
            // It is vial's own as before.
            let output = scene.vial(["start", "-a", "it"]).run();
            assert!(output.code == 5 && output.stdout == *said, "{options:?}, {runs}: {}", output.shown());
            scene.vial(["rm", "it"]).ok();
        }
    }
    scene.vial(["volume", "rm", "data"]).ok();
    oci(scene, ["list", "-q"]).ok().prints("");
}

fn a_container_of_a_file_system_image_runs_as_a_bundle(scene: &Scene) {
    let (image, rootfs) = (scene.path("image.sqfs").display().to_string(), scene.rootfs().display().to_string());
    scene.command("mksquashfs", [&rootfs, &image, "-quiet", "-no-progress"]).ok();
    let id = scene.vial(["create", "--name", "it", &image, "sh", "-c", "touch /new && echo new; exit 5"]).ok().stdout;
    let bundle = scene.root().join("containers").join(id.trim()).display().to_string();
    oci(scene, ["run", "--bundle", &bundle, "web"]).ends(5).prints("new\n");
    scene.vial(["start", "-a", "it"]).ends(5).prints("new\n");
    scene.vial(["rm", "it"]).ok();
}

fn a_container_that_runs_is_not_run_twice(scene: &Scene) {
    let bundle = made(scene, &[], "exec sleep 600").display().to_string();
    scene.vial(["start", "it"]).ok();
    oci(scene, ["run", "--bundle", &bundle, "web"]).ends(1).says("runs by vial");
    scene.vial(["rm", "-f", "it"]).ok();
    let bundle = made(scene, &["-v", &share(scene)], "touch /data/up; exec sleep 600").display().to_string();
    let runs = oci(scene, ["run", "--bundle", &bundle, "web"]).start();
    crate::util::container::eventually("it runs", || scene.path("shared/up").exists().then_some(()));
    let output = scene.vial(["start", "it"]).run();
    assert!(output.code != 0, "{}", output.shown());
    oci(scene, ["kill", "web", "KILL"]).ok();
    runs.wait().ends(137);
    scene.vial(["rm", "it"]).ok();
}
