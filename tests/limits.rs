//! Limits: each is in force in the kernel while the workload runs, and its group is gone afterwards.

use std::fs;
use std::path::Path;

use crate::util::Scene;
use crate::util::container::{Container, eventually, groups, inside, run};
use crate::util::disk::Disk;

trials! {
    every_limit_is_in_its_file [Root, Busybox, Kernel("overlay"), Command("run")];
    memory_and_swap_are_limited_together [Root, Busybox, Kernel("overlay"), Command("run")];
    a_workload_that_takes_too_much_memory_is_killed [Root, Busybox, Kernel("overlay"), Command("run")];
    a_child_that_takes_too_much_memory_is_told_of [Root, Busybox, Kernel("overlay"), Command("run")];
    processor_time_is_measurably_limited [Root, Busybox, Kernel("overlay"), Command("run")];
    the_workload_runs_on_the_chosen_processors_only [Root, Busybox, Kernel("overlay"), Command("run")];
    no_more_processes_than_allowed_can_be_made [Root, Busybox, Kernel("overlay"), Command("run")];
    reading_and_writing_a_disk_is_limited [Root, Busybox, Tool("losetup"), Kernel("loop"), Kernel("overlay"), Command("run")];
    a_disk_can_be_named_but_not_opened [Root, Busybox, Tool("losetup"), Kernel("loop"), Kernel("overlay"), Command("run")];
    a_rule_lets_a_device_through [Root, Busybox, Tool("losetup"), Kernel("loop"), Kernel("overlay"), Command("run")];
    the_group_is_made_below_the_parent_asked_for [Root, Busybox, Kernel("overlay"), Command("run")];
    a_limit_without_its_controller_is_an_error [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("run")];
    a_limit_that_the_kernel_refuses_is_an_error_and_leaves_no_group [Root, Busybox, Kernel("overlay"), Command("run")];
    a_running_container_has_its_groups_and_leaves_none [Root, Busybox, Kernel("overlay"), Command("run")];
}

/// An option, the file of v1 and what is in it, the same for v2.
pub type Row<'a> = (&'a [&'a str], (&'a str, &'a str), (&'a str, &'a str));

pub const ROWS: &[Row<'_>] = &[
    (&["-m", "32m"], ("memory.limit_in_bytes", "33554432"), ("memory.max", "33554432")),
    (&["--memory-reservation", "16m"], ("memory.soft_limit_in_bytes", "16777216"), ("memory.low", "16777216")),
    (&["-m", "32m", "--memory-swappiness", "7"], ("memory.swappiness", "7"), ("", "")),
    (&["--cpus", "0.5"], ("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")),
    (&["--cpus", "1.25"], ("cpu.cfs_quota_us", "125000"), ("cpu.max", "125000 100000")),
    (&["--cpu-quota", "20000", "--cpu-period", "50000"], ("cpu.cfs_period_us", "50000"), ("cpu.max", "20000 50000")),
    (&["-c", "512"], ("cpu.shares", "512"), ("cpu.weight", "20")),
    (&["--cpuset-cpus", "0"], ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
    (&["--cpuset-mems", "0"], ("cpuset.mems", "0"), ("cpuset.mems", "0")),
    (&["--pids-limit", "19"], ("pids.max", "19"), ("pids.max", "19")),
    (&["--pids-limit", "-1"], ("pids.max", "max"), ("pids.max", "max")),
];

fn every_limit_is_in_its_file(scene: &Scene) {
    for (options, v1, v2) in ROWS {
        let look = |(file, _): (&str, &str)| {
            format!("cat /sys/fs/cgroup/{}{file} 2>/dev/null", if file == v1.0 { "*/" } else { "" })
        };
        let script = format!("{} || cat /sys/fs/cgroup/{}", look(*v1), v2.0);
        let output = run(scene, options, &script).run();
        if v2.0.is_empty() && output.code == 125 {
            // cgroup v2 has nothing of the kind, and vial says so.
            assert!(output.stderr.contains(options[options.len() - 2]), "{}", output.shown());
            continue;
        }
        let shown = output.ends(0).stdout;
        assert!([v1.1, v2.1].contains(&shown.trim_end()), "{options:?}: {shown}");
    }
    // The weight of block devices is there when their scheduler is.
    let files =
        "cd /sys/fs/cgroup; cat blkio/blkio*.weight io.weight io.bfq.weight 2>/dev/null | sed 's/^default //;q'";
    let weight = run(scene, &["--blkio-weight", "300"], files).run();
    assert!(
        ["300\n", "2930\n"].contains(&weight.stdout.as_str())
            || weight.code == 125 && weight.stderr.contains("--blkio-weight"),
        "{}",
        weight.shown()
    );
}

fn memory_and_swap_are_limited_together(scene: &Scene) {
    let script = "cat /sys/fs/cgroup/*/memory.memsw.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.swap.max";
    let output = run(scene, &["-m", "32m", "--memory-swap", "48m"], script).run();
    if output.code == 125 {
        output.says("--memory-swap");
        return;
    }
    let shown = output.ends(0).stdout;
    // v1 counts both, v2 swap alone.
    assert!(["50331648\n", "16777216\n"].contains(&&*shown), "{shown}");
    // Less than the memory alone makes no sense.
    run(scene, &["-m", "32m", "--memory-swap", "16m"], "true").ends(125).says("--memory-swap");
}

/// Fills its memory until it is killed.
const HUNGRY: &str = "exec tail /dev/zero";

fn a_workload_that_takes_too_much_memory_is_killed(scene: &Scene) {
    run(scene, &["-m", "24m", "--memory-swap", "24m"], HUNGRY).ends(137).says("killed: out of memory (limit 24M)");
    // It is not told of those that were killed for other reasons.
    let container = Container::start(scene, &["-m", "24m"], "exec sleep 600");
    let output = container.stop();
    assert!(!output.stderr.contains("memory"), "{}", output.shown());
}

fn a_child_that_takes_too_much_memory_is_told_of(scene: &Scene) {
    let script = "tail /dev/zero; echo ended with $?";
    run(scene, &["-m", "24m", "--memory-swap", "24m"], script).ok().shows("ended with 137").says("out of memory");
}

fn processor_time_is_measurably_limited(scene: &Scene) {
    // A second of clock at a tenth of a processor.
    let script = "timeout 1 sh -c 'while :; do :; done'; cat /sys/fs/cgroup/*/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null; times";
    let output = run(scene, &["--cpus", "0.1"], script).ok();
    let throttled = output.stdout.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    assert!(throttled.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count >= 3)), "{}", output.shown());
    // Children's user time, `0m0.10s`: a busy loop without the limit would come near a second.
    let last = output.stdout.lines().last().and_then(|line| line.split_whitespace().next());
    let seconds = last.and_then(|time| time.strip_prefix("0m")?.strip_suffix('s')?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds < 0.5), "{}", output.shown());
}

fn the_workload_runs_on_the_chosen_processors_only(scene: &Scene) {
    let script = "sed -n 's/Cpus_allowed_list:\t//p' /proc/self/status";
    assert_eq!(inside(scene, &["--cpuset-cpus", "0"], script), "0");
    run(scene, &["--cpuset-cpus", "4000"], "true").ends(125).says("--cpuset-cpus");
}

fn no_more_processes_than_allowed_can_be_made(scene: &Scene) {
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait";
    run(scene, &["--pids-limit", "5"], script).ends(2).says("can't fork");
    scene.assert_nothing_left();
    // A bomb goes off in its own room.
    let bomb = "bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 0.5; echo alive";
    run(scene, &["--pids-limit", "40"], bomb).run();
    scene.assert_nothing_left();
}

fn reading_and_writing_a_disk_is_limited(scene: &Scene) {
    let disk = Disk::new(scene);
    for (option, limit, file, key, value) in [
        ("--device-read-bps", "1m", "read_bps", "rbps", "1048576"),
        ("--device-write-bps", "2m", "write_bps", "wbps", "2097152"),
        ("--device-read-iops", "30", "read_iops", "riops", "30"),
        ("--device-write-iops", "40", "write_iops", "wiops", "40"),
    ] {
        let script =
            format!("cat /sys/fs/cgroup/*/blkio.throttle.{file}_device 2>/dev/null || cat /sys/fs/cgroup/io.max");
        let shown = inside(scene, &[option, &format!("{}:{limit}", disk.path)], &script);
        let number = &disk.number;
        let is_v2 = shown.starts_with(&format!("{number} ")) && shown.contains(&format!("{key}={value}"));
        assert!(shown == format!("{number} {value}") || is_v2, "{option}: {shown}");
    }
    // Two MiB at one MiB a second.
    let limit = format!("{}:1m", disk.path);
    let script = "dd if=/dev/disk of=/dev/null bs=64k count=32 iflag=direct";
    let begun = std::time::Instant::now();
    run(scene, &["--device", &format!("{}:/dev/disk", disk.path), "--device-read-bps", &limit], script).ok();
    assert!(begun.elapsed().as_millis() > 1000, "the limit has no effect: {:?}", begun.elapsed());
    run(scene, &["--device-read-bps", "/etc/passwd:1m"], "true").ends(125).says("--device-read-bps").says("no device");
    run(scene, &["--device-write-iops", "/dev/null:1"], "true").ends(125).says("--device-write-iops");
}

/// Makes the node of a disk, then tries to read it.
fn try_node(disk: &Disk<'_>) -> String {
    let (major, minor) = disk.number.split_once(':').expect("two numbers");
    format!("mknod /tmp/disk b {major} {minor} && echo made && head -c 1 /tmp/disk | wc -c")
}

fn a_disk_can_be_named_but_not_opened(scene: &Scene) {
    let disk = Disk::new(scene);
    for options in [&[][..], &["--cap-add", "SYS_ADMIN"], &["--device", "/dev/null:/dev/other"]] {
        run(scene, options, &try_node(&disk)).run().prints("made\n0\n").says("Operation not permitted");
    }
    let major = disk.number.split(':').next().expect("two numbers");
    let writing = format!("mknod /tmp/disk b {major} 0 && echo x >/tmp/disk");
    run(scene, &[], &writing).ends(1).says("Operation not permitted");
}

fn a_rule_lets_a_device_through(scene: &Scene) {
    let disk = Disk::new(scene);
    let rule = |access: &str| format!("b {} {access}", disk.number);
    run(scene, &["--device-cgroup-rule", &rule("rwm")], &try_node(&disk)).ok().prints("made\n1\n");
    run(scene, &["--device-cgroup-rule", &rule("w")], &try_node(&disk)).run().prints("made\n0\n");
    run(scene, &["--device-cgroup-rule", "b *:* r"], &try_node(&disk)).ok().prints("made\n1\n");
    run(scene, &["--device-cgroup-rule", "z 1:1 r"], "true").ends(125).says("--device-cgroup-rule");
}

fn the_group_is_made_below_the_parent_asked_for(scene: &Scene) {
    let parent = format!("vial-test-{}/below", std::process::id());
    let container =
        Container::start(scene, &["--cgroup-parent", &format!("/{parent}"), "--pids-limit", "9"], "exec sleep 600");
    let path = format!("/{parent}/{}", container.id);
    assert!(container.read_proc("cgroup").contains(&path), "{}", container.read_proc("cgroup"));
    assert!(!groups(&path).is_empty());
    assert!(groups(&format!("/vial/{}", container.id)).is_empty());
    container.stop();
    assert!(groups(&path).is_empty());
    assert!(
        groups(&format!("/vial-test-{}", std::process::id())).is_empty(),
        "the parents that were made for it are gone"
    );
    // One that was there stays.
    let hierarchies: Vec<_> = groups("").into_iter().filter(|root| root.join("cgroup.procs").exists()).collect();
    let name = format!("vial-test-{}-own", std::process::id());
    let own: Vec<_> = hierarchies.iter().map(|root| root.join(&name)).collect();
    for group in &own {
        fs::create_dir(group).expect("make a group");
    }
    let output = run(scene, &["--cgroup-parent", &name], "true").run();
    // Whatever came of it, they go.
    let removed: Vec<_> = own.iter().map(fs::remove_dir).collect();
    output.ends(0);
    assert!(removed.iter().all(Result::is_ok), "each group is there and empty: {removed:?}");
    run(scene, &["--cgroup-parent", "/../x"], "true").ends(125).says("--cgroup-parent");
}

fn a_limit_without_its_controller_is_an_error(scene: &Scene) {
    let parent = format!("/vial-test-{}-refused", std::process::id());
    let refused = run(scene, &["--memory-high", "10m", "--cgroup-parent", &parent], "echo ran").ends(125).prints("");
    refused.says("--memory-high").says("memory").says("cgroup v2");
    scene.assert_nothing_left();
    assert!(groups(&parent).is_empty());
    let rootfs = scene.rootfs().display().to_string();
    let words = ["--best-effort", "run", "--rm", "--memory-high", "10m", &rootfs, "echo", "ran"];
    let warned = scene.vial(words).ok();
    warned.prints("ran\n").says("warning").says("--memory-high");
}

fn a_limit_that_the_kernel_refuses_is_an_error_and_leaves_no_group(scene: &Scene) {
    for (options, words) in [
        (&["--cpuset-cpus", "999"][..], "--cpuset-cpus"),
        (&["--cpuset-mems", "63"], "--cpuset-mems"),
        (&["--cpus", "0.5", "--cpuset-mems", "63"], "--cpuset-mems"),
    ] {
        run(scene, options, "echo ran").ends(125).prints("").says(words);
        scene.assert_nothing_left();
    }
}

fn a_running_container_has_its_groups_and_leaves_none(scene: &Scene) {
    let options = ["-m", "64m", "--cpus", "1", "-c", "100", "--cpuset-cpus", "0", "--pids-limit", "30"];
    let script = "(setsid sleep 600 &); (setsid sleep 600 &); exec sleep 600";
    let container = Container::start(scene, &options, script);
    let path = format!("/vial/{}", container.id);
    let made = groups(&path);
    assert!(!made.is_empty());
    eventually("all processes are in every group", || {
        let count = |group: &std::path::PathBuf| {
            fs::read_to_string(group.join("cgroup.procs")).map_or(0, |list| list.lines().count())
        };
        made.iter().all(|group| count(group) == 3).then_some(())
    });
    container.stop();
    assert!(groups(&path).is_empty());
    assert!(!made.iter().any(|group| Path::new(group).exists()));
}
