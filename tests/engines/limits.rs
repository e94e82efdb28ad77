//! What a container may use, as podman limits it.

use std::fs;
use std::path::PathBuf;

use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    limits_are_in_the_control_group_and_seen_inside [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    running_out_of_memory_is_told [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    rights_are_dropped_and_added [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    what_this_machine_can_not_limit_is_an_error_that_names_it [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
}

/// What a control group's file says, in whichever hierarchy has it.
fn value(groups: &[PathBuf], names: &[&str]) -> String {
    let mut files = groups.iter().flat_map(|group| names.iter().map(move |name| group.join(name)));
    let found = files.find_map(|file| fs::read_to_string(file).ok());
    found.unwrap_or_else(|| panic!("none of {groups:?} has {names:?}")).trim_end().to_owned()
}

fn limits_are_in_the_control_group_and_seen_inside(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    #[rustfmt::skip]
    let options = ["--memory", "64m", "--pids-limit", "20", "--cpus", "0.5", "--cpuset-cpus", "0", "--cpu-shares", "512"];
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; \
                  cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; exec sleep 500";
    let words = [&["run", "-d", "--name", "limited"], &options[..], &[IMAGE, "sh", "-c", script]].concat();
    let id = engine.podman(&words).ok().stdout;
    let groups = engine.groups(&format!("libpod-{}", id.trim()));
    assert!(!groups.is_empty(), "the container has no control group");
    assert_eq!(value(&groups, &["memory.max", "memory.limit_in_bytes"]), "67108864");
    assert_eq!(value(&groups, &["pids.max"]), "20");
    assert_eq!(value(&groups, &["cpuset.cpus"]), "0");
    assert!(["50000", "50000 100000"].contains(&&*value(&groups, &["cpu.cfs_quota_us", "cpu.max"])));
    let seen = || engine.podman(&["logs", "limited"]).ok().stdout;
    crate::util::container::eventually("it sees its limits", || (seen() == "67108864\n20\n").then_some(()));
    engine.podman(&["update", "--memory", "96m", "limited"]).ok();
    assert_eq!(value(&groups, &["memory.max", "memory.limit_in_bytes"]), "100663296");
    engine.end();
}

fn running_out_of_memory_is_told(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    // The first process stays, so that the monitor has time to see it.
    let script = "tail /dev/zero; echo $?; sleep 1; exit 3";
    let options = ["create", "--name", "greedy", "--memory", "32m", "--memory-swap", "32m", IMAGE, "sh", "-c", script];
    engine.podman(&options).ok();
    // Some versions of conmon tell it in the directory where podman was started, and podman looks in the container's.
    let place = engine.podman(&["inspect", "greedy", "--format", "{{.StaticDir}}"]).ok().stdout;
    let words = format!("cd {} && exec $PODMAN start -a greedy", place.trim());
    let output = engine.on_a_terminal(&words, "");
    assert_eq!((output.code, output.stdout.lines().any(|line| line == "137")), (3, true), "{}", output.shown());
    engine.podman(&["inspect", "greedy", "--format", "{{.State.OOMKilled}}"]).ok().prints("true\n");
    engine.end();
}

fn rights_are_dropped_and_added(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let script = "grep CapEff /proc/self/status; grep CapBnd /proc/self/status";
    let sets = |options: &[&str]| -> Vec<u64> {
        let told = engine.inside(options, script);
        let numbers = told.lines().map(|line| line.split_whitespace().last().unwrap_or_default());
        numbers.map(|number| u64::from_str_radix(number, 16).expect("a set")).collect()
    };
    assert_eq!(sets(&["--cap-drop", "all"]), [0, 0]);
    // CAP_NET_RAW is 13, CAP_CHOWN 0, CAP_SYS_PTRACE 19 (`linux/capability.h`).
    assert_eq!(sets(&["--cap-drop", "all", "--cap-add", "NET_RAW"]), [1 << 13, 1 << 13]);
    let [effective, bounding] = sets(&["--cap-add", "SYS_PTRACE", "--cap-drop", "CHOWN"])[..] else {
        panic!("two sets")
    };
    assert_eq!((effective >> 19 & 1, effective & 1, effective), (1, 0, bounding));
    assert_eq!(sets(&["--user", "1000"])[0], 0);
    engine.end();
}

fn what_this_machine_can_not_limit_is_an_error_that_names_it(scene: &Scene) {
    let engine = Engine::new(scene);
    engine.import();
    let output = engine.podman(&["run", "--rm", "--device-read-bps", "/dev/null:1mb", IMAGE, "true"]).ends(126);
    assert!(
        output.stderr.contains("OCI runtime error") && output.stderr.contains("--device-read-bps"),
        "{}",
        output.shown()
    );
    let output = engine.podman(&["run", "--rm", "--sysctl", "kernel.msgmax=x", IMAGE, "true"]).run();
    assert!(output.code == 126 && output.stderr.contains("msgmax"), "{}", output.shown());
    engine.end();
}
