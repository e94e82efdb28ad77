//! Kernels that lack the newer calls: each one is made to fail as it does there, alone and all together.
//!
//! strace's fault injection answers in the kernel's place, with ENOSYS as an old kernel and with EPERM as a filter that does
//! not know the call.

use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::container::eventually;
use crate::util::detached::{Detached, is_gone};

trials! {
    a_container_runs_without_any_one_of_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay")];
    a_container_runs_without_all_of_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay")];
    a_container_lives_and_ends_without_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("start")];
    a_bundle_lives_and_ends_without_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay")];
    a_workload_is_adopted_without_being_held [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("start")];
    an_archive_is_unpacked_without_the_newer_calls [Root, Tool("strace"), Tool("tar"), Busybox];
}

/// What Linux 4.19 lacks of the calls that vial makes; those that came together (Linux 5.2) stand together.
const NEWER: &[&str] = &[
    "openat2",
    "open_tree,move_mount",
    "fsopen,fsconfig,fsmount",
    "mount_setattr",
    "close_range",
    "clone3",
    "pidfd_open,pidfd_send_signal",
];

/// Runs a container with a read-only volume, which needs most of the newer calls, and asks it what it sees.
fn run_without(scene: &Scene, calls: &str, error: &str) {
    let shared = scene.path("shared");
    std::fs::create_dir_all(&shared).expect("make the volume");
    std::fs::write(shared.join("file"), "content\n").expect("write to the volume");
    let rootfs = scene.rootfs().display().to_string();
    let volume = format!("{}:/data:ro", shared.display());
    let script =
        "cat /data/file; touch /data/no 2>&1 | grep -c 'Read-only'; ls /proc/self/fd | wc -l; ls /sys/class/net";
    let inject = format!("inject={calls}:error={error}");
    let trace = scene.path("trace").display().to_string();
    let strace = ["-f", "-o", &trace, "-e", &format!("trace={calls}"), "-e", &inject, VIAL];
    let run = ["run", "--rm", "-m", "64m", "-v", &volume, &rootfs, "/bin/sh", "-c", script];
    // In the workload: standard files and the directory that `ls` reads.
    scene.command("strace", strace.into_iter().chain(run)).ok().prints("content\n1\n4\nlo\n");
}

fn a_container_runs_without_any_one_of_the_newer_calls(scene: &Scene) {
    for call in NEWER {
        for error in ["ENOSYS", "EPERM"] {
            run_without(scene, call, error);
        }
    }
}

fn a_container_runs_without_all_of_the_newer_calls(scene: &Scene) {
    run_without(scene, &NEWER.join(","), "ENOSYS");
    run_without(scene, &NEWER.join(","), "EPERM");
}

/// A command line to which none of these calls are there.
fn without(scene: &Scene, error: &str, words: &[&str]) -> Vec<String> {
    let (calls, trace) = (NEWER.join(","), scene.path("trace").display().to_string());
    let inject = ["-f".to_owned(), "-o".to_owned(), trace, "-e".to_owned(), format!("trace={calls}"), "-e".to_owned()];
    let words = [VIAL].into_iter().chain(words.iter().copied()).map(str::to_owned);
    inject.into_iter().chain([format!("inject={calls}:error={error}")]).chain(words).collect()
}

fn a_container_lives_and_ends_without_the_newer_calls(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let script = "trap 'exit 7' TERM; while :; do sleep 0.02; done";
    for error in ["ENOSYS", "EPERM"] {
        let vial = |words: &[&str]| scene.command("strace", without(scene, error, words)).ok();
        let run = ["run", "-d", "--name", "one", &rootfs, "/bin/sh", "-c", script];
        // strace stays with the monitor, so its command is not waited for.
        let tracing = scene.command("strace", without(scene, error, &run)).start();
        eventually("it runs", || (scene.vial(["ps", "-q"]).ok().stdout.lines().count() == 1).then_some(()));
        vial(&["exec", "one", "echo", "within"]).prints("within\n");
        vial(&["stop", "one"]).prints("one\n");
        tracing.wait().ends(0);
        scene.vial(["wait", "one"]).ok().prints("7\n");
        vial(&["rm", "one"]).prints("one\n");
    }
}

fn a_bundle_lives_and_ends_without_the_newer_calls(scene: &Scene) {
    let (state, bundle) = (scene.path("state").display().to_string(), scene.path("bundle"));
    std::fs::create_dir(&bundle).expect("make the bundle");
    scene.vial(["oci", "spec", "--bundle", &bundle.display().to_string()]).ok();
    let config = std::fs::read_to_string(bundle.join("config.json")).expect("read the specification");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("it is JSON");
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = ["/bin/sleep", "600"].as_slice().into();
    config["root"]["path"] = scene.rootfs().display().to_string().into();
    std::fs::write(bundle.join("config.json"), config.to_string()).expect("write the specification");
    let bundle = bundle.display().to_string();
    for error in ["ENOSYS", "EPERM"] {
        let oci = |words: &[&str]| {
            let words: Vec<&str> = ["oci", "--root", &state].iter().chain(words).copied().collect();
            without(scene, error, &words)
        };
        // What it makes goes on, and strace with it.
        let tracing = scene.command("strace", oci(&["create", "--bundle", &bundle, "one"])).start();
        let created = || {
            let told = scene.vial(["oci", "--root", &state, "state", "one"]).run().stdout;
            serde_json::from_str::<serde_json::Value>(&told).is_ok_and(|told| told["status"] == "created")
        };
        eventually("it is there", || created().then_some(()));
        scene.command("strace", oci(&["start", "one"])).ok();
        scene.command("strace", oci(&["exec", "one", "echo", "within"])).ok().prints("within\n");
        scene.command("strace", oci(&["kill", "one", "KILL"])).ok();
        tracing.wait();
        scene.command("strace", oci(&["delete", "--force", "one"])).ok();
        assert_eq!(std::fs::read_dir(&state).expect("list the state").count(), 0, "something is left");
    }
}

fn a_workload_is_adopted_without_being_held(scene: &Scene) {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done";
    let web = Detached::run(scene, "web", &[], script);
    web.says("ready");
    let pid = web.pid();
    web.kill_monitor();
    let trace = scene.path("trace").display().to_string();
    let inject = ["-f", "-o", &trace, "-e", "trace=pidfd_open,ioctl", "-e", "inject=pidfd_open:error=ENOSYS"];
    // strace stays with the new monitor, so its command is not waited for.
    let words = inject.into_iter().chain(["-e", "inject=ioctl:error=ENOTTY", VIAL, "ps", "-q"]);
    let tracing = scene.command("strace", words).start();
    eventually("it is adopted", || (!is_gone(web.monitor())).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(!is_gone(pid) && web.condition() == "running" && web.pid() == pid);
    web.vial(&["stop"]).ok();
    tracing.wait();
    // How it ended is known if the new parent was slower than the monitor.
    assert!([7, 255].contains(&web.wait()) && web.condition() == "exited");
    web.remove();
}

fn an_archive_is_unpacked_without_the_newer_calls(scene: &Scene) {
    let archive = scene.path("root.tar").display().to_string();
    let rootfs = scene.rootfs().display().to_string();
    scene.command("tar", ["-C", &rootfs, "-cf", &archive, "."]).ok();
    for error in ["ENOSYS", "EPERM"] {
        let inject = format!("inject={}:error={error}", NEWER.join(","));
        let trace = scene.path("trace").display().to_string();
        let strace = ["-f", "-o", &trace, "-e", &format!("trace={}", NEWER.join(",")), "-e", &inject];
        let import = [VIAL, "import", &archive, "old"];
        scene.command("strace", strace.into_iter().chain(import)).ok();
        scene.vial(["run", "--rm", "old", "/bin/echo", "unpacked"]).ok().prints("unpacked\n");
    }
}
