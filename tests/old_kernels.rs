//! Kernels that lack the newer calls: each one is made to fail as it does there, alone and all together.
//!
//! strace's fault injection answers in the kernel's place, with ENOSYS as an old kernel and with EPERM as a filter that does
//! not know the call.

use crate::util::Scene;

trials! {
    a_container_runs_without_any_one_of_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay")];
    a_container_runs_without_all_of_the_newer_calls [Root, Tool("strace"), Busybox, Kernel("overlay")];
    an_archive_is_unpacked_without_the_newer_calls [Root, Tool("strace"), Tool("tar"), Busybox];
}

/// What Linux 4.19 lacks of the calls that vial makes; those that came together (Linux 5.2) stand together.
const NEWER: &[&str] = &["openat2", "open_tree,move_mount", "mount_setattr", "close_range", "clone3", "pidfd_open"];

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
    let vial = env!("CARGO_BIN_EXE_vial");
    let strace = ["-f", "-o", &trace, "-e", &format!("trace={calls}"), "-e", &inject, vial];
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

fn an_archive_is_unpacked_without_the_newer_calls(scene: &Scene) {
    let archive = scene.path("root.tar").display().to_string();
    let rootfs = scene.rootfs().display().to_string();
    scene.command("tar", ["-C", &rootfs, "-cf", &archive, "."]).ok();
    for error in ["ENOSYS", "EPERM"] {
        let inject = format!("inject={}:error={error}", NEWER.join(","));
        let trace = scene.path("trace").display().to_string();
        let strace = ["-f", "-o", &trace, "-e", &format!("trace={}", NEWER.join(",")), "-e", &inject];
        let import = [env!("CARGO_BIN_EXE_vial"), "import", &archive, "old"];
        scene.command("strace", strace.into_iter().chain(import)).ok();
        scene.vial(["run", "--rm", "old", "/bin/echo", "unpacked"]).ok().prints("unpacked\n");
    }
}
