//! `pause` and `unpause`: a container stands still and goes on, and can be killed and removed meanwhile.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::container::{Container, eventually, groups, signal};
use crate::util::detached::Detached;

trials! {
    a_paused_container_stands_still_and_goes_on [Root, Busybox, Kernel("overlay"), Command("pause")];
    a_paused_container_is_told_of_everywhere [Root, Busybox, Kernel("overlay"), Command("pause")];
    what_can_not_be_paused_is_said_in_dockers_words [Root, Busybox, Kernel("overlay"), Command("pause")];
    groups_below_are_paused_too [Root, Busybox, CgroupV1("freezer"), Kernel("overlay"), Command("pause")];
    a_paused_container_can_be_killed_and_removed [Root, Busybox, Kernel("overlay"), Command("pause")];
    what_was_frozen_from_inside_is_killed_too [Root, Busybox, CgroupV1("freezer"), Kernel("overlay"), Command("pause")];
    a_first_process_that_waits_for_a_frozen_one_is_killed_with_it [Root, Busybox, CgroupV1("freezer"), Kernel("overlay"), Command("pause")];
    a_first_process_that_ends_by_itself_takes_frozen_ones_along [Root, Busybox, Tool("script"), CgroupV1("freezer"), Kernel("overlay"), Command("run")];
    a_paused_container_can_be_stopped_but_nothing_else_be_done_with_it [Root, Busybox, Kernel("overlay"), Command("pause"), Command("start")];
    a_mark_alone_makes_nothing_paused [Root, Busybox, Kernel("overlay"), Command("pause")];
    a_pause_that_was_cut_short_is_undone_by_unpause [Root, Busybox, CgroupV1("freezer"), Kernel("overlay"), Command("pause")];
}

/// Makes a file longer and longer that the host sees.
const COUNT: &str = "while :; do echo >>/mnt/count; done";

/// A container that counts.
fn counting<'a>(scene: &'a Scene, options: &[&str]) -> Container<'a> {
    let share = format!("{}:/mnt", scene.directory().display());
    let container = Container::named(scene, "counter", &[&["-v", &share], options].concat(), COUNT);
    eventually("it counts", || (count(scene) > 0).then_some(()));
    container
}

fn count(scene: &Scene) -> u64 {
    fs::metadata(scene.path("count")).map_or(0, |file| file.len())
}

/// Whether the container does nothing for a while in which it would count far.
fn stands_still(scene: &Scene) -> bool {
    let before = count(scene);
    sleep(Duration::from_millis(100));
    count(scene) == before
}

/// The container's directory in v1's freezer, or in v2.
fn freezer(container: &Container<'_>) -> PathBuf {
    let all = groups(&format!("/vial/{}", container.id));
    let has = |group: &&PathBuf| group.join("freezer.state").exists() || group.join("cgroup.freeze").exists();
    all.iter().find(has).expect("the group can be frozen").clone()
}

fn a_paused_container_stands_still_and_goes_on(scene: &Scene) {
    let container = counting(scene, &[]);
    for name in ["counter", &container.id[..12]] {
        scene.vial(["pause", name]).ok().prints(&format!("{name}\n")).silent();
        assert!(stands_still(scene));
        scene.vial(["container", "unpause", name]).ok().prints(&format!("{name}\n")).silent();
        eventually("it goes on", || (!stands_still(scene)).then_some(()));
    }
    container.stop();
}

fn a_paused_container_is_told_of_everywhere(scene: &Scene) {
    let container = counting(scene, &[]);
    let look = |words: &[&str]| scene.vial(words).ok().silent().stdout.trim_end().to_owned();
    let told = || {
        [
            look(&["ps", "--format", "{{.State}}"]),
            look(&["ps", "-q", "-f", "status=paused"]).len().to_string(),
            look(&["ps", "-q", "-f", "status=running"]).len().to_string(),
            look(&["inspect", "-f", "{{.State.Status}} {{.State.Running}} {{.State.Paused}}", "counter"]),
        ]
    };
    let counts = |running: u32, paused: u32| {
        let info = look(&["info", "--json"]);
        for (name, count) in [("ContainersRunning", running), ("ContainersPaused", paused), ("ContainersStopped", 0)] {
            assert!(info.contains(&format!("\"{name}\":{count}")), "{name} {count}: {info}");
        }
    };
    assert_eq!(told(), ["running", "0", "12", "running true false"]);
    counts(1, 0);
    scene.vial(["pause", "counter"]).ok();
    assert_eq!(told(), ["paused", "12", "0", "paused true true"]);
    counts(0, 1);
    let status = look(&["ps", "--format", "{{.Status}}"]);
    assert!(status.starts_with("Up ") && status.ends_with(" (Paused)"), "{status}");
    scene.vial(["unpause", "counter"]).ok();
    assert_eq!(told(), ["running", "0", "12", "running true false"]);
    container.stop();
}

fn what_can_not_be_paused_is_said_in_dockers_words(scene: &Scene) {
    let container = counting(scene, &[]);
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "ended", &rootfs, "true"]).ok();
    scene.vial(["unpause", "counter"]).ends(125).prints("").says("container counter is not paused");
    scene.vial(["pause", "counter"]).ok();
    scene.vial(["pause", "counter"]).ends(125).prints("").says("container counter is already paused");
    scene.vial(["pause", "ended"]).ends(125).prints("").says("container ended is not running");
    scene.vial(["unpause", "ended"]).ends(125).prints("").says("container ended is not running");
    scene.vial(["pause", "nosuch"]).ends(125).prints("").says("no such container: nosuch");
    assert!(stands_still(scene), "none of this has any effect");
    // One failure does not keep the others from being done.
    scene.vial(["unpause", "ended", "counter"]).ends(125).prints("counter\n").says("container ended is not running");
    eventually("it goes on", || (!stands_still(scene)).then_some(()));
    container.stop();
    scene.vial(["rm", "ended"]).ok();
}

fn groups_below_are_paused_too(scene: &Scene) {
    let container = counting(scene, &[]);
    let inner = freezer(&container).join("inner");
    fs::create_dir(&inner).expect("make a group below");
    fs::write(inner.join("cgroup.procs"), container.pid.to_string()).expect("move the workload there");
    scene.vial(["pause", "counter"]).ok();
    assert!(stands_still(scene));
    scene.vial(["unpause", "counter"]).ok();
    eventually("it goes on", || (!stands_still(scene)).then_some(()));
    scene.vial(["top", "counter"]).ok().shows("sh -c");
    container.stop();
}

fn a_paused_container_can_be_killed_and_removed(scene: &Scene) {
    for options in [&[][..], &["--pids-limit", "20"], &["--init"], &["--pid", "host"]] {
        let container = counting(scene, options);
        scene.vial(["pause", "counter"]).ok();
        scene.vial(["rm", "counter"]).ends(125).says("container is running");
        let begun = Instant::now();
        scene.vial(["rm", "-f", "counter"]).ok();
        assert!(begun.elapsed() < Duration::from_secs(5), "{options:?}: {:?}", begun.elapsed());
        container.vial.wait().ends(137);
        scene.assert_nothing_left();
        fs::remove_file(scene.path("count")).expect("it has counted");
    }
    // A vial that is killed leaves a frozen workload, which gc kills.
    let container = counting(scene, &[]);
    scene.vial(["pause", "counter"]).ok();
    let group = freezer(&container);
    signal(container.vial.id(), "KILL");
    eventually("nobody owns the container", || {
        let listed = scene.vial(["gc", "--dry-run"]).ok().stdout;
        listed.contains(&container.id).then_some(())
    });
    scene.vial(["gc"]).ok();
    assert!(!group.exists());
    container.vial.wait().ends(137);
    scene.assert_nothing_left();
}

fn what_was_frozen_from_inside_is_killed_too(scene: &Scene) {
    let container = counting(scene, &[]);
    let outer = freezer(&container);
    let inner = outer.join("inner");
    fs::create_dir(&inner).expect("make a group below");
    fs::write(inner.join("cgroup.procs"), container.pid.to_string()).expect("move the workload there");
    fs::write(inner.join("freezer.state"), "FROZEN").expect("freeze it");
    eventually("it is frozen", || stands_still(scene).then_some(()));
    // To thaw the container is not to thaw what it has frozen itself.
    scene.vial(["pause", "counter"]).ok();
    scene.vial(["unpause", "counter"]).ok();
    assert!(stands_still(scene));
    let begun = Instant::now();
    scene.vial(["rm", "-f", "counter"]).ok();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    container.vial.wait().ends(137);
    assert!(!outer.exists());
}

fn a_first_process_that_waits_for_a_frozen_one_is_killed_with_it(scene: &Scene) {
    let share = format!("{}:/mnt", scene.directory().display());
    let script = "sleep 600 & while [ ! -e /mnt/go ]; do sleep 0.02; done";
    let it = Detached::run(scene, "it", &["-v", &share], script);
    let outer = groups(&format!("/vial/{}", it.id)).into_iter().find(|group| group.join("freezer.state").exists());
    let outer = outer.expect("the group can be frozen");
    let pid = it.pid();
    let inner = outer.join("inner");
    let child = eventually("there is a child", || {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let is_sleep = |child: &&str| {
            fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.starts_with("sleep\x00600"))
        };
        children.split_whitespace().find(is_sleep).map(str::to_owned)
    });
    fs::create_dir(&inner).expect("make a group below");
    fs::write(inner.join("cgroup.procs"), child).expect("move the child there");
    fs::write(inner.join("freezer.state"), "FROZEN").expect("freeze it");
    fs::write(scene.path("go"), "").expect("let the first process end");
    // The kernel has it wait for all others of its namespace, which got SIGKILL.
    let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is still there");
    eventually("it exits", || {
        let flags = stat().rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u32>().ok());
        // PF_EXITING, linux/sched.h.
        flags.is_some_and(|flags| flags & 4 != 0).then_some(())
    });
    it.remove();
    assert!(!outer.exists());
}

fn a_paused_container_can_be_stopped_but_nothing_else_be_done_with_it(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let script = "trap 'exit 3' TERM; while :; do sleep 0.02; done";
    let start = |name: &str| {
        scene.vial(["run", "-d", "--name", name, &rootfs, "sh", "-c", script]).ok();
        sleep(Duration::from_millis(200));
        scene.vial(["pause", name]).ok();
    };
    start("it");
    for words in [&["exec", "it", "true"][..], &["attach", "--no-stdin", "it"], &["start", "it"]] {
        scene.vial(words).ends(125).prints("").says("container it is paused").says("vial unpause it");
    }
    scene.vial(["stop", "it"]).ok().prints("it\n");
    scene.vial(["wait", "it"]).ok().prints("3\n");
    // What was left of the pause does not concern the next start.
    scene.vial(["start", "it"]).ok();
    scene.vial(["unpause", "it"]).ends(125).says("container it is not paused");
    scene.vial(["pause", "it"]).ok();
    scene.vial(["kill", "it"]).ok();
    scene.vial(["wait", "it"]).ok().prints("137\n");
    scene.vial(["rm", "it"]).ok();
    scene.assert_nothing_left();
}

fn a_mark_alone_makes_nothing_paused(scene: &Scene) {
    let container = counting(scene, &[]);
    fs::write(scene.root().join("containers").join(&container.id).join("paused"), "").expect("make the mark");
    scene.vial(["ps", "--format", "{{.State}}"]).ok().prints("running\n");
    scene.vial(["pause", "counter"]).ok();
    scene.vial(["ps", "--format", "{{.State}}"]).ok().prints("paused\n");
    // Frozen by somebody else it is not paused.
    scene.vial(["unpause", "counter"]).ok();
    let (file, frozen, thawed) = match freezer(&container) {
        group if group.join("freezer.state").exists() => (group.join("freezer.state"), "FROZEN", "THAWED"),
        group => (group.join("cgroup.freeze"), "1", "0"),
    };
    fs::write(&file, frozen).expect("freeze it");
    eventually("it is frozen", || stands_still(scene).then_some(()));
    scene.vial(["ps", "--format", "{{.State}}"]).ok().prints("running\n");
    fs::write(&file, thawed).expect("thaw it");
    container.stop();
}

fn a_pause_that_was_cut_short_is_undone_by_unpause(scene: &Scene) {
    let container = counting(scene, &[]);
    // As `pause` leaves it when it is killed while it waits.
    fs::write(scene.root().join("containers").join(&container.id).join("paused"), "").expect("make the mark");
    fs::write(freezer(&container).join("freezer.state"), "FROZEN").expect("freeze it");
    scene.vial(["unpause", "counter"]).ok();
    eventually("it goes on", || (!stands_still(scene)).then_some(()));
    scene.vial(["unpause", "counter"]).ends(125).says("is not paused");
    container.stop();
}

fn a_first_process_that_ends_by_itself_takes_frozen_ones_along(scene: &Scene) {
    // The hierarchy is the workload's to write to, and it makes a group below its own, as a manager of groups would.
    let mount = fs::read_to_string("/proc/self/mountinfo").expect("read the mount table");
    let mount = mount.lines().find(|line| line.contains(" - cgroup ") && line.ends_with("freezer"));
    let mount = mount.and_then(|line| line.split(' ').nth(4)).expect("there is a freezer");
    let script = "group=$(echo /freezer/vial/$(hostname)*)
        sleep 600 &
        mkdir $group/inner && echo $! >$group/inner/cgroup.procs && echo FROZEN >$group/inner/freezer.state
        until grep -q FROZEN $group/inner/freezer.state; do sleep 0.02; done
        exit 7";
    let share = format!("{mount}:/freezer");
    for options in [&[][..], &["-t"]] {
        let begun = Instant::now();
        let command = crate::util::container::run(scene, &[options, &["-v", &share]].concat(), script);
        command.limit(Duration::from_secs(20)).ends(7);
        assert!(begun.elapsed() < Duration::from_secs(10), "{options:?}: {:?}", begun.elapsed());
        scene.assert_nothing_left();
    }
}
