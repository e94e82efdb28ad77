//! Limits of a normal user's containers, where control groups are v2 and a part of them was delegated to the user.

use std::fs;
use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    a_normal_user_limits_containers_where_v2_is_delegated [Machine, Tool("mkfs.ext4")];
    nothing_of_v2_is_left_behind_a_normal_users_containers [Machine, Tool("mkfs.ext4")];
    without_delegation_limits_are_refused_and_the_rest_goes_on [Machine, Tool("mkfs.ext4")];
}

/// What systemd does for a user: a directory that is the user's, and processes in one below it.
const DELEGATE: &str = "mount -t cgroup2 none /sys/fs/cgroup
    echo '+memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
    mkdir -p /sys/fs/cgroup/session/shell /data/u/fs/bin /data/u/fs/proc
    cp /bin/busybox /data/u/fs/bin && for name in sh cat sleep; do ln -s busybox /data/u/fs/bin/$name; done
    chown -R 1000:1000 /data/u
    for file in '' cgroup.procs cgroup.subtree_control shell shell/cgroup.procs; do
        chown 1000:1000 /sys/fs/cgroup/session/$file
    done";

/// Has the user do something, from the delegated part of the tree.
fn user(script: &str) -> String {
    format!(
        "chmod 711 /data; echo $$ >/sys/fs/cgroup/session/shell/cgroup.procs
         su user -c 'export VIAL_ROOT=/data/u/store; {script}'"
    )
}

/// The machine, booted once for all tests here.
#[track_caller]
fn booted() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "rootless", |scene| {
        let disk = scene.path("disk");
        fs::File::create(&disk).and_then(|file| file.set_len(64 << 20)).map_err(|error| error.to_string())?;
        scene.command("mkfs.ext4", ["-q".as_ref(), disk.as_os_str()]).ok();
        Machine::with(&["overlay", "virtio_pci", "virtio_blk"])
            .disk(&disk)
            .step("delegate", DELEGATE)
            .step(
                "limits",
                user("vial run --rm -m 32m --pids-limit 9 /data/u/fs cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"),
            )
            .step(
                "life",
                user(
                    "vial run -d --name one -m 32m /data/u/fs sleep 600 >/dev/null && vial pause one &&
                     vial ps --format \"{{.Status}}\" && vial unpause one && vial stats --no-stream --format \"{{.MemUsage}}\" one &&
                     vial exec one cat /proc/self/cgroup && vial rm -f one",
                ),
            )
            .step("groups", "find /sys/fs/cgroup/session -mindepth 1 -type d")
            .step(
                "refused",
                "su user -c 'export VIAL_ROOT=/data/u/store; vial run --rm -m 32m /data/u/fs true'",
            )
            .step("plain", "su user -c 'export VIAL_ROOT=/data/u/store; vial run --rm /data/u/fs cat /proc/self/cgroup'")
            .boot(scene)
    })
}

fn a_normal_user_limits_containers_where_v2_is_delegated(_: &Scene) {
    booted().step("delegate").ends(0);
    booted().step("limits").ends(0).prints("33554432\n9\n");
    let life = booted().step("life").ends(0);
    let lines: Vec<&str> = life.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("one", "one"), "{}", life.shown());
    assert!(lines[1].contains("(Paused)") && lines[3].ends_with("/ 32MiB"), "{}", life.shown());
    assert_eq!(lines[4..], ["0::/", "one"], "{}", life.shown());
}

fn nothing_of_v2_is_left_behind_a_normal_users_containers(_: &Scene) {
    booted().step("groups").ends(0).prints("/sys/fs/cgroup/session/shell\n");
}

fn without_delegation_limits_are_refused_and_the_rest_goes_on(_: &Scene) {
    booted().step("refused").ends(125).says("--memory can't be enforced").says("Delegate=yes");
    booted().step("plain").ends(0);
}
