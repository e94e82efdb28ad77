//! `update`: limits change in the kernel and in what the container is started with, or nothing changes at all.

use std::fs;

use serde_json::Value;

use crate::limits::ROWS;
use crate::util::Scene;
use crate::util::container::{Container, eventually, groups, inside};

trials! {
    every_limit_changes_while_the_container_runs [Root, Busybox, Kernel("overlay"), Command("update")];
    memory_and_swap_are_raised_and_lowered_together [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("update")];
    new_limits_must_fit_those_that_the_container_has [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("update")];
    a_limit_that_more_than_is_used_already_is_refused_and_nothing_changes [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("update")];
    what_the_kernel_refuses_leaves_the_old_limits_in_force [Root, Busybox, CgroupV1("cpuset"), Kernel("overlay"), Command("update")];
    a_limit_without_its_controller_is_refused_by_name [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("update")];
    all_processes_join_a_hierarchy_that_is_new_and_it_goes_with_the_container [Root, Busybox, CgroupV1("pids"), Kernel("overlay"), Command("update")];
    what_does_not_run_is_started_with_the_new_limits [Root, Busybox, Kernel("overlay"), Command("update")];
    of_many_updates_at_once_none_is_lost [Root, Busybox, Kernel("overlay"), Command("update")];
    several_containers_change_and_one_failure_does_not_keep_the_others [Root, Busybox, Kernel("overlay"), Command("update")];
}

/// The files of this name in all of the container's groups.
fn files(container: &Container<'_>, name: &str) -> Vec<String> {
    let groups = groups(&format!("/vial/{}", container.id));
    groups.iter().filter_map(|group| Some(fs::read_to_string(group.join(name)).ok()?.trim().to_owned())).collect()
}

/// What the container's `config.json` says of `linux.resources`.
fn resources(scene: &Scene, id: &str) -> Value {
    let text = fs::read_to_string(scene.root().join("containers").join(id).join("config.json")).expect("read it");
    let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
    config["linux"]["resources"].take()
}

fn every_limit_changes_while_the_container_runs(scene: &Scene) {
    let container =
        Container::named(scene, "it", &["-m", "40m", "--cpu-period", "60000", "-c", "99"], "exec sleep 600");
    for (options, v1, v2) in ROWS {
        // What the one has of these two, the other has not.
        if options.contains(&"--cpu-quota") || options.contains(&"--memory-swappiness") {
            continue;
        }
        let output = scene.vial(["update"]).args(*options).args(["it"]).ok();
        output.prints("it\n").silent();
        let found = [files(&container, v1.0), files(&container, v2.0)].concat();
        assert!(found.iter().any(|value| value == v1.1 || value == v2.1), "{options:?}: {found:?}");
    }
    scene.vial(["update", "--cpu-quota", "20000", "--cpu-period", "50000", "it"]).ok();
    let found = [files(&container, "cpu.cfs_quota_us"), files(&container, "cpu.max")].concat();
    assert!(found.contains(&"20000".to_owned()) || found.contains(&"20000 50000".to_owned()), "{found:?}");
    let written = resources(scene, &container.id);
    assert_eq!(written["memory"]["limit"], 32 << 20);
    assert_eq!((&written["cpu"]["quota"], &written["cpu"]["period"]), (&20000.into(), &50000.into()));
    assert_eq!((&written["cpu"]["shares"], &written["pids"]["limit"]), (&512.into(), &(-1).into()));
    assert!(written["devices"].as_array().is_some_and(|rules| rules.len() > 5), "the others stay: {written}");
    container.stop();
}

fn memory_and_swap_are_raised_and_lowered_together(scene: &Scene) {
    let container = Container::named(scene, "it", &["-m", "32m", "--memory-swap", "32m"], "exec sleep 600");
    for megabytes in ["100m", "24m"] {
        scene.vial(["update", "-m", megabytes, "--memory-swap", megabytes, "it"]).ok();
        let bytes = (megabytes.trim_end_matches('m').parse::<u64>().expect("a number") << 20).to_string();
        for file in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] {
            assert_eq!(files(&container, file), [&*bytes], "{file}");
        }
    }
    scene.vial(["update", "--memory-swap", "-1", "it"]).ok();
    assert!(files(&container, "memory.memsw.limit_in_bytes")[0].len() > 15);
    container.stop();
}

fn new_limits_must_fit_those_that_the_container_has(scene: &Scene) {
    let options = ["-m", "32m", "--memory-swap", "40m", "--memory-reservation", "20m"];
    let container = Container::named(scene, "it", &options, "exec sleep 600");
    let before = resources(scene, &container.id);
    for (words, named) in [
        (&["-m", "64m"][..], ["--memory", "--memory-swap"]),
        (&["-m", "16m"], ["--memory", "--memory-reservation"]),
        (&["--memory-swap", "16m"], ["--memory-swap", "--memory"]),
        (&["--memory-reservation", "33m"], ["--memory-reservation", "--memory"]),
        (&["--cpus", "1", "--cpu-quota", "5000"], ["--cpus", "--cpu-quota"]),
    ] {
        let output = scene.vial(["update"]).args(words).args(["it"]).ends(125).prints("");
        let first = output.stderr.lines().next().unwrap_or_default().to_owned();
        assert!(named.iter().all(|name| first.contains(name)), "{}", output.shown());
        assert_eq!(resources(scene, &container.id), before);
    }
    assert_eq!(files(&container, "memory.limit_in_bytes"), ["33554432"]);
    container.stop();
}

fn a_limit_that_more_than_is_used_already_is_refused_and_nothing_changes(scene: &Scene) {
    let script = "dd if=/dev/zero of=/dev/shm/file bs=1M count=20 2>/dev/null; touch /mnt/done; exec sleep 600";
    let share = format!("{}:/mnt", scene.directory().display());
    let options = ["-m", "64m", "--memory-swap", "64m", "-v", &share, "--cpus", "0.7"];
    let container = Container::named(scene, "it", &options, script);
    eventually("it has its memory", || scene.path("done").exists().then_some(()));
    let before = resources(scene, &container.id);
    let words = ["update", "-m", "8m", "--memory-swap", "8m", "--cpus", "0.2", "--pids-limit", "50", "it"];
    let output = scene.vial(words).ends(125).prints("").says("EBUSY").says("--memory");
    output.says("more than that is in use and can't be freed");
    assert_eq!(files(&container, "memory.limit_in_bytes"), ["67108864"]);
    assert_eq!(files(&container, "cpu.cfs_quota_us"), ["70000"]);
    assert_eq!(files(&container, "pids.max"), [""; 0], "the hierarchy that was new is left again");
    assert_eq!(resources(scene, &container.id), before);
    assert!(!scene.root().join("containers").join(&container.id).join("config.json.new").exists());
    container.stop();
}

fn what_the_kernel_refuses_leaves_the_old_limits_in_force(scene: &Scene) {
    let options = ["-m", "64m", "--memory-swap", "80m", "--cpus", "0.7", "--cpuset-cpus", "0", "-c", "300"];
    let container = Container::named(scene, "it", &options, "exec sleep 600");
    let before = resources(scene, &container.id);
    // Everything before the last of these is accepted and has to be taken back.
    let words = ["-m", "90m", "--memory-swap", "90m", "--cpus", "0.2", "-c", "400", "--cpuset-cpus", "4000"];
    scene.vial(["update"]).args(words).args(["it"]).ends(125).prints("").says("--cpuset-cpus");
    for (file, value) in [
        ("memory.limit_in_bytes", "67108864"),
        ("memory.memsw.limit_in_bytes", "83886080"),
        ("cpu.cfs_quota_us", "70000"),
        ("cpu.shares", "300"),
        ("cpuset.cpus", "0"),
    ] {
        assert_eq!(files(&container, file), [value], "{file}");
    }
    assert_eq!(resources(scene, &container.id), before);
    container.stop();
}

fn a_limit_without_its_controller_is_refused_by_name(scene: &Scene) {
    let container = Container::named(scene, "it", &["-m", "64m"], "exec sleep 600");
    let before = resources(scene, &container.id);
    let output = scene.vial(["update", "--memory-high", "10m", "--cpus", "0.5", "it"]).ends(125).prints("");
    output.says("--memory-high").says("memory").says("cgroup v2");
    assert_eq!(files(&container, "cpu.cfs_quota_us"), [""; 0]);
    assert_eq!(resources(scene, &container.id), before);
    let words = ["--best-effort", "update", "--memory-high", "10m", "--cpus", "0.5", "it"];
    scene.vial(words).ok().prints("it\n").says("warning").says("--memory-high");
    assert_eq!(files(&container, "cpu.cfs_quota_us"), ["50000"]);
    container.stop();
}

fn all_processes_join_a_hierarchy_that_is_new_and_it_goes_with_the_container(scene: &Scene) {
    let container = Container::named(scene, "it", &[], "(setsid sleep 601 &); (setsid sleep 602 &); exec sleep 603");
    eventually("all are there", || (files(&container, "cgroup.procs")[0].lines().count() == 3).then_some(()));
    assert_eq!(files(&container, "pids.max"), [""; 0]);
    scene.vial(["update", "--pids-limit", "7", "--cpus", "0.5", "it"]).ok();
    assert_eq!(
        (files(&container, "pids.max"), files(&container, "pids.current")),
        (vec!["7".into()], vec!["3".into()])
    );
    let lists = files(&container, "cgroup.procs");
    assert!(lists.len() >= 4 && lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    let path = format!("/vial/{}", container.id);
    container.stop();
    assert!(groups(&path).is_empty(), "{:?}", groups(&path));
}

fn what_does_not_run_is_started_with_the_new_limits(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "ended", "-m", "32m", &rootfs, "true"]).ok();
    scene.vial(["update", "-m", "48m", "--cpuset-cpus", "0", "--device-read-bps", "/dev/null:1m", "ended"]).ends(125);
    scene.vial(["update", "-m", "48m", "--cpuset-cpus", "0", "ended"]).ok().prints("ended\n").silent();
    scene
        .vial(["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.CpusetCpus}}", "ended"])
        .ok()
        .prints("50331648 0\n");
    scene.vial(["update", "nosuch", "-m", "48m"]).ends(125).says("no such container: nosuch");
    scene.vial(["rm", "ended"]).ok();
    scene.assert_nothing_left();
}

fn of_many_updates_at_once_none_is_lost(scene: &Scene) {
    for _ in 0..4 {
        let container = Container::named(scene, "it", &["-m", "64m"], "exec sleep 600");
        let options = [["--cpus", "0.5"], ["-c", "300"], ["--pids-limit", "77"], ["--cpuset-cpus", "0"], ["-m", "70m"]];
        let all: Vec<_> =
            options.iter().map(|option| scene.vial(["update"]).args(option).args(["it"]).start()).collect();
        for update in all {
            update.wait().ends(0);
        }
        let limits = resources(scene, &container.id);
        let has = [
            limits["cpu"]["quota"] == 50_000,
            limits["cpu"]["shares"] == 300,
            limits["pids"]["limit"] == 77,
            limits["cpu"]["cpus"] == "0",
            limits["memory"]["limit"] == 70 << 20,
        ];
        assert_eq!(has, [true; 5], "{limits}");
        container.stop();
    }
}

fn several_containers_change_and_one_failure_does_not_keep_the_others(scene: &Scene) {
    let one = Container::named(scene, "one", &[], "exec sleep 600");
    let other = Container::named(scene, "other", &[], "exec sleep 600");
    scene.vial(["update", "-c", "77", "one", "nosuch", "other"]).ends(125).prints("one\nother\n").says("nosuch");
    for container in [&one, &other] {
        let weight = [files(container, "cpu.shares"), files(container, "cpu.weight")].concat();
        assert!(weight == ["77"] || weight == ["3"], "{weight:?}");
    }
    one.stop();
    other.stop();
    // Nothing of it concerns the next container.
    let script = "cat /sys/fs/cgroup/*/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
    assert_eq!(inside(scene, &["--pids-limit", "9"], script), "9");
}
