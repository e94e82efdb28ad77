//! Limits where control groups are v2 and nothing else: as tests/limits.rs has them, on a kernel booted for it.

use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::limits::ROWS;
use crate::util::Scene;

trials! {
    every_limit_is_in_its_file_of_v2 [Machine];
    memory_swap_is_limited_apart_from_memory_in_v2 [Machine];
    what_takes_too_much_memory_is_killed_and_told_of_in_v2 [Machine];
    processor_time_is_measurably_limited_in_v2 [Machine];
    no_more_processes_than_allowed_can_be_made_in_v2 [Machine];
    only_devices_that_are_allowed_can_be_opened_in_v2 [Machine];
    a_limit_that_v2_has_not_is_an_error [Machine];
    controllers_reach_a_parent_that_was_asked_for [Machine];
    no_group_of_v2_is_left [Machine];
    the_group_of_a_vial_that_was_killed_is_removed_by_gc_in_v2 [Machine];
}

/// Shows all control groups, by the name of what is above them.
const GROUPS: &str = "find /sys/fs/cgroup -mindepth 1 -type d";

/// Starts a container and kills its vial while something is in the group.
const KILL: &str = "vial run --rm -m 32m host sleep 600 & vial=$!
    until grep -q . /sys/fs/cgroup/vial/*/cgroup.procs 2>/dev/null; do sleep 0.05; done
    kill -9 $vial; wait $vial";

/// Tries a device that no container gets unasked: the first loop device, by a node that the container makes.
const TRY_DISK: &str = "'mknod /tmp/disk b 7 0 && echo made && head -c 1 /tmp/disk | wc -c'";

/// The machine, booted once for all tests here.
#[track_caller]
fn booted() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "v2", |scene| machine().boot(scene))
}

fn machine() -> Machine {
    let run = |options: &str, script: &str| format!("vial run --rm {options} host sh -c {script}");
    let mut machine = Machine::with(&["overlay", "loop"]).step(
        "mount",
        "mount -t cgroup2 none /sys/fs/cgroup && cat /sys/fs/cgroup/cgroup.controllers
         truncate -s 1M /data/disk && losetup /dev/loop0 /data/disk",
    );
    for (options, _, (file, _)) in ROWS.iter().filter(|row| !row.2.0.is_empty()) {
        let options = options.join(" ");
        machine = machine.step(&options, run(&options, &format!("'cat /sys/fs/cgroup/{file}'")));
    }
    machine
        .step("swap", run("-m 32m --memory-swap 48m", "'cat /sys/fs/cgroup/memory.swap.max'"))
        .step("hungry", run("-m 24m --memory-swap 24m", "'exec tail /dev/zero'"))
        .step("hungry child", run("-m 24m --memory-swap 24m", "'tail /dev/zero; echo ended with $?'"))
        .step("busy", run("--cpus 0.1", "'timeout 2 sh -c \"while :; do :; done\"; cat /sys/fs/cgroup/cpu.stat'"))
        .step("forks", run("--pids-limit 5", "'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait'"))
        .step("bomb", run("--pids-limit 40", "'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 0.5; echo alive'"))
        .step("after bomb", format!("{GROUPS}; ps | grep -c bom[b]"))
        .step("disk", run("", TRY_DISK))
        .step("disk read", run("--device-cgroup-rule 'b 7:0 r'", TRY_DISK))
        .step("disk write", run("--device-cgroup-rule 'b 7:0 w'", TRY_DISK))
        .step("null", run("", "'echo gone >/dev/null && head -c 3 /dev/zero | wc -c'"))
        .step("swappiness", run("-m 32m --memory-swappiness 7", "'echo ran'"))
        .step("best effort", "vial --best-effort run --rm -m 32m --memory-swappiness 7 host echo ran")
        .step(
            "parent",
            run("--cgroup-parent /mine/below --pids-limit 9", "'cat /proc/self/cgroup /sys/fs/cgroup/pids.max'"),
        )
        .step("groups", GROUPS)
        .step("killed", format!("{KILL}; vial gc; {GROUPS}; vial ps -aq"))
}

fn every_limit_is_in_its_file_of_v2(_: &Scene) {
    booted().step("mount").ends(0).prints("cpuset cpu io memory hugetlb pids rdma misc\n");
    for (options, _, (file, value)) in ROWS.iter().filter(|row| !row.2.0.is_empty()) {
        let output = booted().step(&options.join(" ")).ends(0).silent();
        assert_eq!(output.stdout.trim_end(), *value, "{file} after {options:?}");
    }
}

fn memory_swap_is_limited_apart_from_memory_in_v2(_: &Scene) {
    booted().step("swap").ends(0).prints("16777216\n");
}

fn what_takes_too_much_memory_is_killed_and_told_of_in_v2(_: &Scene) {
    booted().step("hungry").ends(137).says("killed: out of memory (limit 24M)");
    booted().step("hungry child").ends(0).prints("ended with 137\n").says("out of memory");
}

fn processor_time_is_measurably_limited_in_v2(_: &Scene) {
    let output = booted().step("busy").ends(0);
    let throttled = output.stdout.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    assert!(throttled.is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count >= 3)), "{}", output.shown());
}

fn no_more_processes_than_allowed_can_be_made_in_v2(_: &Scene) {
    booted().step("forks").ends(2).says("can't fork");
    booted().step("after bomb").ends(1).prints("0\n");
}

fn only_devices_that_are_allowed_can_be_opened_in_v2(_: &Scene) {
    booted().step("disk").prints("made\n0\n").says("Operation not permitted");
    booted().step("disk write").prints("made\n0\n").says("Operation not permitted");
    booted().step("disk read").ends(0).prints("made\n1\n").silent();
    booted().step("null").ends(0).prints("3\n").silent();
}

fn a_limit_that_v2_has_not_is_an_error(_: &Scene) {
    booted().step("swappiness").ends(125).prints("").says("--memory-swappiness");
    booted().step("best effort").ends(0).prints("ran\n").says("--memory-swappiness");
}

fn controllers_reach_a_parent_that_was_asked_for(_: &Scene) {
    booted().step("parent").ends(0).prints("0::/\n9\n");
}

fn no_group_of_v2_is_left(_: &Scene) {
    booted().step("groups").ends(0).prints("");
}

fn the_group_of_a_vial_that_was_killed_is_removed_by_gc_in_v2(_: &Scene) {
    // gc tells what it removed, and nothing else is there to be listed.
    let output = booted().step("killed").ends(0);
    assert!(output.stdout.starts_with("container ") && output.stdout.lines().count() == 1, "{}", output.shown());
}
