//! Control groups that systemd makes, with a bus of the tests' own and what it pretends to be; `tests/vm/scopes.rs` has a real one.

use std::path::Path;
use std::{fs, process, thread, time::Duration};

use crate::util::Scene;
use crate::util::bus::{Bus, HIERARCHIES, Manner};
use crate::util::command::Cmd;
use crate::util::container::eventually;

trials! {
    without_systemd_it_is_said_what_is_missing_and_what_to_do [Root, Busybox, Command("oci")];
    a_container_is_in_the_group_of_its_unit_which_ends_with_it [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    what_this_systemd_does_not_know_is_left_out [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    a_unit_that_has_failed_before_is_taken_again [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    what_is_refused_is_told_and_leaves_nothing [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    what_is_no_answer_is_an_error_and_leaves_nothing [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    a_signal_by_somebody_else_is_not_believed [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    a_vial_that_is_killed_takes_the_process_along_that_keeps_the_unit [Root, Busybox, CgroupV1("freezer"), CgroupV1("pids"), Command("oci")];
    paths_and_addresses_that_cant_be_are_refused [Root, Busybox, Command("oci")];
}

/// A slice of a test's own; it goes with this.
struct Slice(String);

impl Slice {
    fn new(name: &str) -> Slice {
        Slice(format!("vialtest{}{name}.slice", process::id()))
    }

    /// The processes in a unit.
    fn processes(&self, unit: &str) -> String {
        let file = Path::new(HIERARCHIES[0]).join(&self.0).join(unit).join("cgroup.procs");
        fs::read_to_string(file).unwrap_or_default()
    }

    /// What is below it, in any hierarchy.
    fn units(&self) -> Vec<String> {
        let all = fs::read_dir("/sys/fs/cgroup").expect("there are control groups").flatten();
        let groups = all.flat_map(|group| fs::read_dir(group.path().join(&self.0)).into_iter().flatten().flatten());
        groups.filter(|entry| entry.path().is_dir()).map(|entry| entry.path().display().to_string()).collect()
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        for hierarchy in HIERARCHIES {
            for unit in self.units() {
                let _ = fs::remove_dir(unit);
            }
            let _ = fs::remove_dir(Path::new(hierarchy).join(&self.0));
        }
    }
}

/// A bundle of busybox with this `cgroupsPath`.
fn bundle(scene: &Scene, group: &str, script: &str) {
    let config = format!(
        r#"{{"ociVersion": "1.2.0", "process": {{"cwd": "/", "user": {{"uid": 0, "gid": 0}}, "args": ["sh", "-c", "{script}"],
        "env": ["PATH=/bin"]}}, "root": {{"path": "{}", "readonly": true}}, "mounts": [{{"destination": "/proc", "type": "proc"}}, {{"destination": "/dev", "type": "tmpfs"}}], "annotations": {{"org.systemd.property.KillSignal": "15"}},
        "linux": {{"cgroupsPath": "{group}", "namespaces": [{{"type": "pid"}}, {{"type": "mount"}}],
        "resources": {{"pids": {{"limit": 33}}, "cpu": {{"shares": 77}}}}}}}}"#,
        scene.rootfs().display()
    );
    fs::create_dir_all(scene.path("bundle")).expect("make the bundle");
    fs::write(scene.path("bundle/config.json"), config).expect("write the bundle");
}

fn oci<'a>(scene: &'a Scene, bus: &str, args: &[&str]) -> Cmd<'a> {
    let all = scene.vial(["oci", "--systemd-cgroup", "--root"]).args([scene.path("root/oci")]);
    all.args(args).env("DBUS_SYSTEM_BUS_ADDRESS", bus)
}

fn run<'a>(scene: &'a Scene, bus: &str, id: &str) -> Cmd<'a> {
    oci(scene, bus, &["run", "--bundle", "bundle", id])
}

/// No container is left.
#[track_caller]
fn assert_gone(scene: &Scene) {
    let left = fs::read_dir(scene.path("root/oci")).map(Iterator::count);
    assert_eq!(left.unwrap_or(0), 0, "something is left of the container");
}

fn without_systemd_it_is_said_what_is_missing_and_what_to_do(scene: &Scene) {
    bundle(scene, "", "true");
    let nowhere = format!("unix:path={}", scene.path("nothing").display());
    let output = run(scene, &nowhere, "a").ends(1).says("--systemd-cgroup: connect to").says("ENOENT");
    output.says(&scene.path("nothing").display().to_string()).says("leave the option out");
    assert_gone(scene);
}

fn a_container_is_in_the_group_of_its_unit_which_ends_with_it(scene: &Scene) {
    let slice = Slice::new("whole");
    bundle(scene, &format!("{}:some:thing", slice.0), "cat /proc/self/cgroup");
    let bus = Bus::new(scene.directory(), "socket", Manner::Works);
    let output = run(scene, &bus.address, "thing").ok().silent();
    output.shows(&format!(":freezer:/{}/some-thing.scope\n", slice.0)).shows(&format!("pids:/{}/some", slice.0));
    let called = ["Hello", "AddMatch", "StartTransientUnit", "Hello", "AddMatch", "StopUnit", "ResetFailedUnit"];
    assert_eq!(bus.called(), called);
    let calls = bus.calls.lock().expect("no thread panics");
    let told = String::from_utf8_lossy(&calls[2].1).into_owned();
    for word in ["some-thing.scope", "replace", "Slice", &slice.0, "Delegate", "TasksMax", "CPUShares", "KillSignal"] {
        assert!(told.contains(word), "{word}: {told:?}");
    }
    assert!(String::from_utf8_lossy(&calls[5].1).contains("some-thing.scope"));
    assert_eq!(slice.units(), [""; 0]);
    assert_gone(scene);
}

fn what_this_systemd_does_not_know_is_left_out(scene: &Scene) {
    let slice = Slice::new("lacks");
    bundle(scene, &format!("{}:some:thing", slice.0), "exit 3");
    let bus = Bus::new(scene.directory(), "socket", Manner::Lacks("CPUShares"));
    run(scene, &bus.address, "thing").ends(3).silent();
    let calls = bus.calls.lock().expect("no thread panics");
    let starts: Vec<_> = calls.iter().filter(|(name, _)| name == "StartTransientUnit").collect();
    let tells = |at: usize, word: &str| String::from_utf8_lossy(&starts[at].1).contains(word);
    assert!(starts.len() == 2 && tells(0, "CPUShares") && !tells(1, "CPUShares") && tells(1, "TasksMax"));
    drop(calls);
    // What was asked for by name, and what makes the unit what it is, is not.
    let needed = Bus::new(
        scene.directory(),
        "other",
        Manner::Refuses("x.Y", "Cannot set property KillSignal, or unknown property."),
    );
    run(scene, &needed.address, "thing").ends(1).says("Cannot set property KillSignal, or unknown property. (x.Y)");
    assert_gone(scene);
}

fn a_unit_that_has_failed_before_is_taken_again(scene: &Scene) {
    let slice = Slice::new("again");
    bundle(scene, &format!("{}:some:thing", slice.0), "exit 3");
    let bus = Bus::new(scene.directory(), "socket", Manner::HasFailed);
    run(scene, &bus.address, "thing").ends(3).silent();
    assert_eq!(bus.called()[2..5], ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
}

fn what_is_refused_is_told_and_leaves_nothing(scene: &Scene) {
    let slice = Slice::new("refused");
    bundle(scene, &format!("{}:some:thing", slice.0), "true");
    let exists = Manner::Refuses("org.freedesktop.systemd1.UnitExists", "Unit some-thing.scope already\x1b[1m exists.");
    for (number, (manner, words)) in [
        (Manner::Rejects, "does not take this user: REJECTED EXTERNAL"),
        (exists, "already [1m exists. (org.freedesktop.systemd1.UnitExists)"),
        (Manner::Fails, "systemd says \"failed\""),
        (Manner::Elsewhere, "systemd has made the unit, but not the control group"),
    ]
    .into_iter()
    .enumerate()
    {
        let bus = Bus::new(scene.directory(), &format!("socket{number}"), manner);
        run(scene, &bus.address, "thing").ends(1).says(words);
        // A unit that is another container's is not ended.
        assert_eq!(bus.called().contains(&"StopUnit".to_owned()), number > 1, "{manner:?}");
        assert_gone(scene);
        assert_eq!(slice.units(), [""; 0]);
    }
}

fn what_is_no_answer_is_an_error_and_leaves_nothing(scene: &Scene) {
    let slice = Slice::new("damaged");
    bundle(scene, &format!("{}:some:thing", slice.0), "true");
    let manners = [
        Manner::Leaves,
        Manner::Says(b"l\x02\x01\x02\0\0\0\0\x01\0\0\0\0\0\0\0"),
        Manner::Says(b"l\x02\x01\x01\xff\xff\xff\xff\x01\0\0\0\0\0\0\0"),
        Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ];
    for (number, manner) in manners.into_iter().enumerate() {
        let bus = Bus::new(scene.directory(), &format!("socket{number}"), manner);
        run(scene, &bus.address, "thing").ends(1).says("read what came over D-Bus:");
        assert_gone(scene);
    }
}

fn a_signal_by_somebody_else_is_not_believed(scene: &Scene) {
    let slice = Slice::new("mimic");
    bundle(scene, &format!("{}:some:thing", slice.0), "true");
    let bus = Bus::new(scene.directory(), "socket", Manner::IsMimicked);
    run(scene, &bus.address, "thing").ends(1).says("systemd says \"canceled\"");
    assert_gone(scene);
}

fn a_vial_that_is_killed_takes_the_process_along_that_keeps_the_unit(scene: &Scene) {
    let slice = Slice::new("killed");
    bundle(scene, &format!("{}:some:thing", slice.0), "true");
    let bus = Bus::new(scene.directory(), "socket", Manner::Waits);
    let vial = run(scene, &bus.address, "thing").start();
    let unit = "some-thing.scope";
    eventually("the unit has a process", || (!slice.processes(unit).is_empty()).then_some(()));
    thread::sleep(Duration::from_millis(50));
    scene.command("kill", ["-KILL", &vial.id().to_string()]).ok();
    vial.wait().ends(137);
    eventually("the unit has none", || slice.processes(unit).is_empty().then_some(()));
    oci(scene, &bus.address, &["delete", "--force", "thing"]).ok().silent();
    assert_eq!(bus.called().last().map(String::as_str), Some("ResetFailedUnit"));
    assert_eq!(slice.units(), [""; 0]);
    assert_gone(scene);
}

fn paths_and_addresses_that_cant_be_are_refused(scene: &Scene) {
    for path in ["/vial/x", "a.slice:b", "a.slice:b:c.slice"] {
        bundle(scene, path, "true");
        run(scene, "unix:path=/", "x").ends(1).says("linux.cgroupsPath").says("SLICE:PREFIX:NAME");
    }
    bundle(scene, "", "true");
    run(scene, "unix:abstract=/tmp/x", "x").ends(1).says("DBUS_SYSTEM_BUS_ADDRESS").says("unix:path=");
    assert_gone(scene);
}
