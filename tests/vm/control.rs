//! Pausing, counting and changing where control groups are v2 and nothing else.

use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    a_paused_container_stands_still_and_goes_on_in_v2 [Machine];
    a_paused_container_is_removed_by_force_in_v2 [Machine];
    use_is_counted_in_v2 [Machine];
    use_is_counted_by_process_where_v2_has_no_controller_on [Machine];
    limits_change_in_v2_and_what_is_refused_changes_nothing [Machine];
}

/// Starts a container in the background and waits until it runs; `$g` is its group.
fn start(options: &str, script: &str) -> String {
    format!(
        "vial run --rm --name it {options} host sh -c {script} & vial=$!
         until vial ps -q | grep -q .; do sleep 0.05; done; g=/sys/fs/cgroup/vial/$(vial ps -q --no-trunc)\n"
    )
}

const STOP: &str = "\nvial rm -f it >/dev/null; wait $vial; ls -d /sys/fs/cgroup/vial";

/// The machine, booted once for all tests here.
#[track_caller]
fn booted() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "v2-control", |scene| machine().boot(scene))
}

fn machine() -> Machine {
    let count = "'n=0; while :; do n=$((n+1)); echo $n >/mnt/count; sleep 0.01; done'";
    let still = "a=$(cat /data/count); sleep 0.5; [ \"$a\" = \"$(cat /data/count)\" ] && echo still || echo goes on";
    let busy = "'dd if=/dev/zero of=/dev/shm/file bs=1M count=20 2>/dev/null; while :; do :; done'";
    let row = "vial stats --no-stream --format '{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}' it";
    Machine::with(&["overlay"])
        .step("mount", "mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /dev/shm")
        .step(
            "pause",
            format!(
                "{}{still}; vial pause it; {still}; vial ps --format '{{{{.State}}}}'; grep frozen $g/cgroup.events
                 vial unpause it; {still}{STOP}",
                start("-v /data:/mnt", count)
            ),
        )
        .step("paused", format!("{}vial pause it; vial rm it; vial rm -f it; wait $vial; echo $?", start("", count)))
        .step(
            "counted",
            format!("{}sleep 2; {row}; cat $g/pids.current{STOP}", start("-m 64m --pids-limit 9 --cpus 0.5", busy)),
        )
        .step(
            "by process",
            format!(
                "{}sleep 2; {row}; ls $g | grep -c memory.current
             grep MemTotal /proc/meminfo{STOP}",
                start("--cpus 0.3", busy)
            ),
        )
        .step(
            "update",
            format!(
                "{}vial update -m 64m --memory-swap 80m --cpus 0.2 --pids-limit 7 --cpuset-cpus 0 it
                 cat $g/memory.max $g/memory.swap.max $g/cpu.max $g/pids.max $g/cpuset.cpus
                 vial update --cpu-quota 50000 it; cat $g/cpu.max
                 vial update -m 70m --cpus 0.4 --cpuset-cpus 400 it; cat $g/memory.max $g/cpu.max $g/cpuset.cpus
                 vial update --memory-swappiness 7 it{STOP}",
                start("-c 99", "'exec sleep 600'")
            ),
        )
}

fn a_paused_container_stands_still_and_goes_on_in_v2(_: &Scene) {
    booted().step("pause").prints("goes on\nit\nstill\npaused\nfrozen 1\nit\ngoes on\n");
}

fn a_paused_container_is_removed_by_force_in_v2(_: &Scene) {
    booted().step("paused").ends(0).prints("it\nit\n137\n").says("container is running");
}

/// Percent of processor time, MiB of memory and the limit, and the last cell, of the first line.
fn parts(text: &str) -> (f64, f64, &str, &str) {
    let cells: Vec<&str> = text.lines().next().unwrap_or_default().split('|').collect();
    let (used, limit) = cells[1].split_once(" / ").expect("use and limit");
    let used = used.strip_suffix("MiB").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    (cells[0].trim_end_matches('%').parse().expect("a percentage"), used, limit, cells[2])
}

fn use_is_counted_in_v2(_: &Scene) {
    let output = booted().step("counted");
    let (cpu, memory, limit, processes) = parts(&output.stdout);
    assert!((35.0..60.0).contains(&cpu) && (20.0..30.0).contains(&memory), "{}", output.shown());
    assert_eq!((limit, processes), ("64MiB", "1"), "{}", output.shown());
    assert!(output.stdout.ends_with("\n1\n"), "{}", output.shown());
}

fn use_is_counted_by_process_where_v2_has_no_controller_on(_: &Scene) {
    let output = booted().step("by process");
    let text = output.stdout.replace("KiB", "MiB");
    let (cpu, _, limit, processes) = parts(&text);
    assert!((20.0..40.0).contains(&cpu) && processes == "1", "{}", output.shown());
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[1], "0", "no memory is counted by the group: {}", output.shown());
    let all: f64 = lines[2].split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("the machine's memory");
    assert_eq!(limit, format!("{:.1}MiB", all / 1024.0), "{}", output.shown());
}

fn limits_change_in_v2_and_what_is_refused_changes_nothing(_: &Scene) {
    let output = booted().step("update");
    output
        .prints("it\n67108864\n16777216\n20000 100000\n7\n0\nit\n50000 100000\n67108864\n50000 100000\n0\n")
        .says("--cpuset-cpus")
        .says("--memory-swappiness can't be enforced: cgroup v2 has nothing like it");
}
