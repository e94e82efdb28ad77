//! `vial exec` where control groups are v2 and nothing else.

use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    what_joins_is_in_the_group_of_v2 [Machine];
    what_joins_a_container_with_inner_groups_is_where_its_first_process_is [Machine];
    what_joins_is_limited_with_the_container [Machine];
    no_group_is_left_after_exec [Machine];
}

/// Makes a group below the container's and hands a controller to it: from then on the container's own takes no process.
const INNER: &str = "vial run -d --name inner --pids-limit 20 --cap-add SYS_ADMIN host sh -c 'mount -o remount,rw /sys/fs/cgroup &&
    mkdir /sys/fs/cgroup/inner && echo 1 >/sys/fs/cgroup/inner/cgroup.procs && echo +pids >/sys/fs/cgroup/cgroup.subtree_control && exec sleep 600'
    until grep -q pids /sys/fs/cgroup/vial/*/inner/cgroup.controllers; do sleep 0.05; done
    vial exec inner cat /proc/self/cgroup && vial exec -t inner cat /proc/1/cgroup
    vial exec -d inner sleep 600; cat /sys/fs/cgroup/vial/*/inner/cgroup.procs | wc -l";

/// The machine, booted once for all tests here.
#[track_caller]
fn booted() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "v2-exec", |scene| machine().boot(scene))
}

fn machine() -> Machine {
    Machine::with(&["overlay"])
        .step("mount", "mount -t cgroup2 none /sys/fs/cgroup")
        .step("start", "vial run -d --init --name plain --pids-limit 6 host sleep 600 | wc -c")
        .step(
            "join",
            "vial exec plain cat /proc/self/cgroup && vial exec -d plain sleep 600 && cat /sys/fs/cgroup/vial/*/cgroup.procs | wc -l",
        )
        .step("limit", "vial exec plain sh -c 'sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait'")
        .step("after limit", "sleep 2; vial exec plain echo ran")
        .step("inner", INNER)
        .step("end", "vial rm -f plain inner && find /sys/fs/cgroup -mindepth 1 -type d; vial ps -aq")
}

fn what_joins_is_in_the_group_of_v2(_: &Scene) {
    booted().step("start").ends(0).prints("65\n");
    booted().step("join").ends(0).prints("0::/\n3\n");
}

fn what_joins_a_container_with_inner_groups_is_where_its_first_process_is(_: &Scene) {
    let output = booted().step("inner").ends(0);
    let lines: Vec<&str> = output.stdout.lines().skip(1).collect();
    assert_eq!(lines, ["0::/inner", "0::/inner", "2"], "{}", output.shown());
}

fn what_joins_is_limited_with_the_container(_: &Scene) {
    booted().step("limit").ends(2).says("can't fork");
    booted().step("after limit").ends(0).prints("ran\n");
}

fn no_group_is_left_after_exec(_: &Scene) {
    booted().step("end").ends(0).prints("plain\ninner\n");
}
