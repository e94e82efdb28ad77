//! vial in a container of vial's.

use std::time::Duration;

use crate::util::Scene;
use crate::util::command::{Output, VIAL};

trials! {
    a_vial_in_a_privileged_container_does_what_one_outside_does [Root, Busybox, Kernel("overlay")];
    a_vial_in_a_privileged_container_with_users_of_its_own_runs_containers [Root, Busybox, Kernel("overlay")];
    a_vial_in_a_container_says_what_that_lacks [Root, Busybox, Kernel("overlay")];
}

/// Runs a script in a container that has vial, and a store for it that is no overlay.
fn within(scene: &Scene, options: &[&str], script: &str) -> Output {
    let (vial, rootfs) = (format!("{VIAL}:/bin/vial:ro"), scene.rootfs().display().to_string());
    let words = ["run", "--rm", "--network", "none", "-v", &vial, "-v", "/var/lib/vial"];
    let words = words.iter().chain(options).copied().chain([rootfs.as_str(), "/bin/sh", "-c", script]);
    scene.vial(words).limit(Duration::from_mins(2)).run()
}

/// Makes an image.
const IMPORT: &str = "mkdir -p /r && cp -a /bin /r && vial import /r image >/dev/null || exit";

fn a_vial_in_a_privileged_container_does_what_one_outside_does(scene: &Scene) {
    let script = format!(
        "{IMPORT}
         if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
             # Where version 2 has all controllers, it gives none to groups below one with processes of its own.
             mkdir /sys/fs/cgroup/own
             for process in $(cat /sys/fs/cgroup/cgroup.procs); do echo $process; done | while read process; do
                 echo $process >/sys/fs/cgroup/own/cgroup.procs
             done 2>/dev/null
         fi
         limit='cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null'
         vial run --rm --network none -m 20m image sh -c \"$limit; echo ended\"
         vial run -d --name one --network none image sleep 600 >/dev/null
         vial exec one echo within && vial pause one && vial ps --format '{{{{.Status}}}}' | grep -o Paused && vial unpause one
         vial rm -f one
         vial run --rm --network none --userns auto image sh -c 'test $(cut -c 11-20 /proc/self/uid_map) -gt 0 && echo mapped'
         vial run --rm image sh -c 'ip -o -4 addr show eth0 | grep -c inet' 2>/dev/null
         vial network rm bridge
         find /sys/fs/cgroup -mindepth 2 -type d -name 'vial*'; vial ps -aq"
    );
    within(scene, &["--privileged"], &script)
        .ends(0)
        .prints("20971520\nended\nwithin\none\nPaused\none\none\nmapped\n1\nbridge\n");
}

fn a_vial_in_a_privileged_container_with_users_of_its_own_runs_containers(scene: &Scene) {
    let script = format!(
        "{IMPORT}
         vial run --rm --network none image sh -c 'echo ran as $(id -u)'
         vial run -d --name one --network none image sleep 600 >/dev/null; vial exec one echo within; vial rm -f one"
    );
    within(scene, &["--privileged", "--userns", "auto"], &script).ends(0).prints("ran as 0\nwithin\none\n");
}

fn a_vial_in_a_container_says_what_that_lacks(scene: &Scene) {
    let output = within(scene, &[], &format!("{IMPORT}; vial run --rm --network none image true")).ends(125);
    output.says("control groups are mounted read-only here").says("--privileged");
    let all_the_same = format!("{IMPORT}; vial --best-effort run --rm --network none image true");
    within(scene, &[], &all_the_same).ends(125).says("clone a process in new namespaces: EPERM").says("CAP_SYS_ADMIN");
}
