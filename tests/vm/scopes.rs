//! Containers whose control groups systemd makes (`vial oci ... --systemd-cgroup`): on a machine whose first process it is, first
//! without a bus, over systemd's own socket, and then by way of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Booted, Machine, once, systemd};
use crate::util::Scene;
use crate::util::needs::tool;

trials! {
    a_scope_has_the_container_its_slice_and_its_limits [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    a_daemon_that_reads_its_configuration_anew_leaves_the_limits_alone [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    a_container_that_is_deleted_leaves_no_unit_and_no_group [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    the_bus_is_as_good_as_systemds_own_socket [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    annotations_are_properties_of_the_unit [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    what_systemd_refuses_is_told_in_its_words_and_leaves_nothing [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    a_unit_that_failed_is_forgotten [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
    vial_killed_at_any_moment_leaves_no_unit [Machine, File("/lib/systemd/systemd"), File("/lib/systemd/system/dbus.service"), Tool("dbus-daemon"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4"), Command("oci")];
}

/// The programs of the bus, and its files.
const BUS: &str = "/lib/systemd/system/dbus.service /lib/systemd/system/dbus.socket /usr/share/dbus-1/system.conf \
                   /usr/share/dbus-1/system.d/org.freedesktop.systemd1.conf";
/// What containers are made of: limits of each kind that systemd would set back.
const CONFIG: &str = r#"{"ociVersion": "1.2.0", "process": {"cwd": "/", "user": {"uid": 0, "gid": 0},
    "args": ["sh", "-c", "ARGS"], "env": ["PATH=/bin"]}, "root": {"path": "rootfs"}, "annotations": {ANNOTATIONS},
    "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/sys/fs/cgroup", "type": "cgroup"}],
    "linux": {"cgroupsPath": "GROUP", "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}],
    "resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": 33554432, "reservation": 16777216},
    "pids": {"limit": 20}, "cpu": {"quota": 12345, "period": 50000, "shares": 512, "cpus": "0"},
    "unified": {"memory.high": "25165824"}}}}"#;

/// The files of limits, as a script shows them.
const LIMITS: &str = "cd /sys/fs/cgroup/machine.slice/machine-test.slice/vial-ID.scope &&
    cat memory.max memory.low memory.high pids.max cpu.max cpu.weight cpuset.cpus";
/// What is there of containers and units.
const LEFT: &str = "vial oci list -q; ls -d /sys/fs/cgroup/machine.slice/machine-test.slice/vial-* 2>/dev/null
    systemctl list-units --all --no-legend --plain 'vial-*'; ls /run/vial/oci";

#[track_caller]
fn told() -> &'static Booted {
    static TOLD: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&TOLD, "scopes", story)
}

/// A bundle's `config.json`.
fn bundle(tree: &Path, name: &str, group: &str, annotations: &str, script: &str) {
    let directory = tree.join("root").join(name);
    fs::create_dir_all(&directory).expect("make the bundle");
    let config = CONFIG.replace("GROUP", group).replace("ANNOTATIONS", annotations).replace("ARGS", script);
    fs::write(directory.join("config.json"), config).expect("write the bundle");
}

fn root(scene: &Scene) -> PathBuf {
    let tree = systemd::root(scene);
    for file in BUS.split_whitespace() {
        systemd::copy(file.as_ref(), &tree);
    }
    systemd::copy_program(scene, &tool("dbus-daemon").expect("it is needed"), &tree);
    let etc = tree.join("etc");
    let users = "root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\nsomebody:x:1000:1000::/:/bin/sh\n";
    fs::write(etc.join("passwd"), users).expect("write the users");
    fs::write(etc.join("group"), "root:x:0:\nmessagebus:x:100:\nsomebody:x:1000:\n").expect("write the groups");
    let group = "machine-test.slice:vial:";
    bundle(&tree, "one", &[group, "one"].concat(), "", "sleep 600");
    bundle(&tree, "two", &[group, "two"].concat(), "", "sleep 600");
    let properties = r#""org.systemd.property.TimeoutStopUSec": "uint64 7000000", "org.systemd.property.KillSignal": "15",
        "org.systemd.property.CollectMode": "'inactive-or-failed'""#;
    bundle(&tree, "told", &[group, "told"].concat(), properties, "sleep 600");
    bundle(&tree, "wrong", &[group, "wrong"].concat(), r#""org.systemd.property.NoSuchThing": "true""#, "sleep 600");
    // systemd has it fail after a second.
    let short =
        r#""org.systemd.property.RuntimeMaxSec": "1", "org.systemd.property.TimeoutStopUSec": "uint64 1000000""#;
    bundle(&tree, "short", &[group, "short"].concat(), short, "sleep 600");
    bundle(&tree, "path", "/machine/path", "", "sleep 600");
    tree
}

fn story(scene: &Scene) -> Result<Booted, String> {
    let disk = scene.path("disk");
    fs::File::create(&disk).and_then(|file| file.set_len(256 << 20)).map_err(|error| error.to_string())?;
    let root = root(scene);
    scene.command("mkfs.ext4", ["-q", "-d"]).args([root.as_os_str(), disk.as_os_str()]).ok();
    let run =
        |id: &str| format!("vial oci --systemd-cgroup run -d --bundle /root/{id} {id} </dev/null >/dev/null || exit\n");
    let limits = |id: &str| LIMITS.replace("ID", id);
    let show = |id: &str| {
        format!(
            "systemctl show vial-{id}.scope -p ActiveState -p Slice -p ControlGroup -p Delegate -p MemoryMax -p TasksMax
             systemctl status vial-{id}.scope | grep -c 'sleep 600'
             wc -l </sys/fs/cgroup/machine.slice/machine-test.slice/vial-{id}.scope/cgroup.procs
             vial oci exec {id} cat /proc/self/cgroup"
        )
    };
    let delete = |id: &str| format!("vial oci delete --force {id}; systemctl is-active vial-{id}.scope\n{LEFT}");
    Machine::with(&["overlay", "virtio_pci", "virtio_blk", "autofs4"])
        .disk(&disk)
        .step(
            "bundles",
            "for name in one two told wrong short path; do
                 mkdir /root/$name/rootfs && cp -a /bin/busybox /root/$name && cd /root/$name/rootfs &&
                 mkdir bin proc sys dev && mv ../busybox bin/busybox && for tool in sh sleep cat dd; do ln -s busybox bin/$tool; done
             done; [ ! -e /run/dbus ]",
        )
        .step("one", run("one") + &show("one"))
        .step("limits", limits("one"))
        .step(
            "reload",
            "systemctl daemon-reload && systemctl set-property --runtime machine-test.slice CPUWeight=50 &&
             systemctl daemon-reexec && systemctl daemon-reload\n"
                .to_owned()
                + &limits("one")
                + "\nvial oci state one | grep -c running",
        )
        .step(
            "update",
            "vial oci update --memory 41943040 --pids-limit 30 one && systemctl daemon-reload &&
             systemctl show vial-one.scope -p MemoryMax -p TasksMax && systemctl set-property --runtime machine-test.slice CPUWeight=51\n"
                .to_owned()
                + &limits("one"),
        )
        .step("again", "vial oci --systemd-cgroup run -d --bundle /root/one another")
        .step("delete one", delete("one"))
        .step(
            "two",
            format!(
                "systemctl start dbus.socket dbus.service && mv /run/systemd/private /run/systemd/elsewhere\n{}{}",
                run("two"),
                show("two")
            ),
        )
        .step("delete two", delete("two"))
        .step("told", run("told") + "systemctl show vial-told.scope -p TimeoutStopUSec -p KillSignal -p CollectMode")
        .step("delete told", delete("told"))
        .step("wrong", "vial oci --systemd-cgroup run -d --bundle /root/wrong wrong")
        .step("path", "vial oci --systemd-cgroup run -d --bundle /root/path path")
        .step("left", LEFT)
        .step(
            "short",
            "vial oci run --keep --systemd-cgroup --bundle /root/short short; echo $?
             systemctl list-units --all --no-legend --plain 'vial-*'\n"
                .to_owned()
                + &delete("short"),
        )
        .step(
            "killed",
            format!(
                "exec 2>/dev/null
                 for delay in 0 2 4 7 11 16 25 50; do
                     vial oci create --systemd-cgroup --bundle /root/two two </dev/null >/dev/null 2>&1 & pid=$!
                     usleep ${{delay}}0000; kill -9 $pid 2>/dev/null; wait $pid
                     vial oci delete --force two || exit
                     for round in 1 2 3 4 5 6 7 8 9; do
                         [ -n \"$(systemctl list-units --all --no-legend --plain 'vial-*')\" ] || break; sleep 0.2
                     done
                     {LEFT}
                 done"
            ),
        )
        .step(
            "before delete",
            "exec 2>/dev/null
             vial oci create --systemd-cgroup --bundle /root/two two </dev/null >/dev/null & pid=$!
             while kill -0 $pid && ! [ -e /sys/fs/cgroup/machine.slice/machine-test.slice/vial-two.scope ]; do :; done
             kill -9 $pid; wait $pid; echo $?
             vial oci delete --force two\n"
                .to_owned()
                + LEFT,
        )
        .boot(scene)
}

/// What `systemctl show` and the container itself say.
fn shown(id: &str) -> String {
    format!(
        "Slice=machine-test.slice\nControlGroup=/machine.slice/machine-test.slice/vial-{id}.scope\nDelegate=yes\n\
         MemoryMax=33554432\nTasksMax=20\nActiveState=active\n1\n1\n0::/\n"
    )
}

/// Memory, processes, and processors, as they were asked for.
const FILES: &str = "33554432\n16777216\n25165824\n20\n12345 50000\n20\n0\n";

fn a_scope_has_the_container_its_slice_and_its_limits(_: &Scene) {
    told().step("bundles").ends(0);
    told().step("one").ends(0).silent().prints(&shown("one"));
    told().step("limits").ends(0).prints(FILES);
}

fn a_daemon_that_reads_its_configuration_anew_leaves_the_limits_alone(_: &Scene) {
    // Of a share of processors systemd keeps whole hundredths.
    let after = FILES.replace("12345", "12000");
    told().step("reload").ends(0).prints(&(after.clone() + "1\n"));
    let updated = after.replace("33554432", "41943040").replace("\n20\n12000", "\n30\n12000");
    told().step("update").ends(0).prints(&("MemoryMax=41943040\nTasksMax=30\n".to_owned() + &updated));
}

fn a_container_that_is_deleted_leaves_no_unit_and_no_group(_: &Scene) {
    told().step("delete one").silent().prints("inactive\n");
    told().step("delete two").silent().prints("inactive\n");
}

fn the_bus_is_as_good_as_systemds_own_socket(_: &Scene) {
    told().step("two").ends(0).silent().prints(&shown("two"));
}

fn annotations_are_properties_of_the_unit(_: &Scene) {
    told().step("told").ends(0).prints("TimeoutStopUSec=7s\nKillSignal=15\nCollectMode=inactive-or-failed\n");
    told().step("delete told").silent().prints("inactive\n");
}

fn what_systemd_refuses_is_told_in_its_words_and_leaves_nothing(_: &Scene) {
    told().step("again").ends(1).says("Unit vial-one.scope was already loaded").says("UnitExists");
    told().step("wrong").ends(1).says("Cannot set property NoSuchThing, or unknown property");
    told().step("path").ends(1).says("SLICE:PREFIX:NAME");
    told().step("left").silent().prints("");
}

fn a_unit_that_failed_is_forgotten(_: &Scene) {
    told().step("short").silent().prints("137\ninactive\n");
}

fn vial_killed_at_any_moment_leaves_no_unit(_: &Scene) {
    told().step("killed").silent().prints("");
    told().step("before delete").silent().prints("137\n");
}
