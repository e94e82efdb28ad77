//! Monitors of containers that are started again: confined like all others, made anew for each life by a keeper that does
//! nothing else, and replaced by it when they are killed.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::confinement::mode;
use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::container::{eventually, groups, signal};
use crate::util::detached::{Detached, is_gone, proc};
use crate::util::leaks;

trials! {
    every_life_has_a_confined_monitor_and_a_workload_that_knows_nothing_of_it [Root, Busybox, Kernel("overlay"), File("/proc/sys/kernel/seccomp"), Command("start")];
    a_keeper_sleeps_and_holds_next_to_nothing [Root, Busybox, Kernel("overlay"), Command("start")];
    a_monitor_that_was_killed_is_replaced_at_once [Root, Busybox, Kernel("overlay"), Command("start")];
    a_keeper_that_was_killed_is_replaced_by_the_next_command [Root, Busybox, Kernel("overlay"), Command("start")];
    a_monitor_killed_before_the_next_start_does_not_hinder_it [Root, Busybox, Kernel("overlay"), Command("start")];
    those_attached_stay_so_over_restarts_and_lose_nothing [Root, Busybox, Kernel("overlay"), Command("attach")];
    one_that_does_not_read_holds_up_no_restart [Root, Busybox, Kernel("overlay"), Command("attach")];
    a_stop_meets_a_container_at_any_point_of_its_restart [Root, Busybox, Kernel("overlay"), Command("start")];
}

/// Ends with a failure when there is a file of this name in the shared directory, and tells which life it is.
const MORTAL: &str = "echo x >>/count; n=$(wc -l </count); echo life $n; trap 'exit 0' TERM; \
                      until test -e /shared/end-$n; do sleep 0.02; done; exit 3";

fn start<'a>(scene: &'a Scene, options: &[&str]) -> Detached<'a> {
    let shared = format!("{}:/shared", scene.directory().display());
    let web = Detached::run(scene, "web", &[&["-v", &shared, "--restart", "always"], options].concat(), MORTAL);
    web.says("life 1");
    web
}

/// Has a life end, and waits for the next one.
fn end(scene: &Scene, web: &Detached<'_>, life: u32) {
    fs::write(scene.path(format!("end-{life}")), "").expect("write a file");
    web.says(&format!("life {}", life + 1));
    eventually("it runs", || (web.state()["status"] == "running").then_some(()));
}

fn remove(scene: &Scene, web: &Detached<'_>) {
    let keeper = web.keeper();
    web.remove();
    eventually("its keeper is gone", || is_gone(keeper).then_some(()));
    scene.assert_nothing_left();
    assert!(groups(&format!("/vial/{}", web.id)).is_empty());
    for life in 1..9 {
        let _ = fs::remove_file(scene.path(format!("end-{life}")));
    }
}

fn every_life_has_a_confined_monitor_and_a_workload_that_knows_nothing_of_it(scene: &Scene) {
    for policy in ["always", "unless-stopped", "on-failure", "on-failure:3"] {
        for options in [&[][..], &["-it", "--init"]] {
            let free = ["--restart", policy, "--security-opt", "seccomp=unconfined"];
            let web = start(scene, &[&free, options].concat());
            let keeper = web.keeper();
            for life in 1..=2 {
                eventually("it is confined", || (mode(web.monitor().into())? == "2").then_some(()));
                web.vial(&["exec"]).args(["grep", "^Seccomp:", "/proc/1/status"]).ok().shows("Seccomp:\t0");
                assert!(proc(web.pid(), "status").contains("\nSeccomp:\t0\n"), "{policy} {options:?}");
                end(scene, &web, life);
                assert_eq!(web.keeper(), keeper, "{policy} {options:?}");
            }
            remove(scene, &web);
        }
    }
}

fn a_keeper_sleeps_and_holds_next_to_nothing(scene: &Scene) {
    let web = start(scene, &[]);
    let keeper = web.keeper();
    let look = || {
        let status = proc(keeper, "status");
        let lines = status.lines().filter(|line| line.contains("ctxt_switches") || line.starts_with("State"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = look();
    assert!(before[0].contains("sleeping") && before.len() == 3, "{before:?}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(before, look(), "it woke up");
    // The root of all state, the container's directory, two sockets of its own, and the one on which it was started.
    let files = fs::read_dir(format!("/proc/{keeper}/fd")).expect("list the keeper's files").flatten();
    let files: Vec<_> = files.map(|file| fs::read_link(file.path()).expect("read a link")).collect();
    let count = |start: &str| files.iter().filter(|file| file.display().to_string().starts_with(start)).count();
    assert_eq!((count("/dev/null"), count("socket:"), files.len()), (3, 3, 8), "{files:?}");
    assert!(files.contains(&scene.root()) && files.contains(&web.path()), "{files:?}");
    end(scene, &web, 1);
    assert_eq!(fs::read_dir(format!("/proc/{keeper}/fd")).expect("list the keeper's files").count(), 7);
    let memory = proc(keeper, "smaps_rollup");
    let line = memory.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("its memory is told");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kibibytes <= 40, "{kibibytes} KiB");
    remove(scene, &web);
}

fn a_monitor_that_was_killed_is_replaced_at_once(scene: &Scene) {
    for options in [&[][..], &["--init"], &["--pid", "host"], &["-i"], &["-t"]] {
        let web = start(scene, options);
        let (keeper, monitor, pid) = (web.keeper(), web.monitor(), web.pid());
        signal(monitor, "KILL");
        // No command is needed for it.
        let state = || Some(web.state()).filter(|state| state["owner"] != monitor && state["status"] == "running");
        let next = eventually("there is another monitor", state);
        assert_eq!(web.keeper(), keeper);
        eventually("it is confined", || (mode(web.monitor().into())? == "2").then_some(()));
        // Without its terminal it goes on too, since it is its first process, and ignores that the line was hung up.
        assert_eq!(next["pid"].as_u64(), Some(pid.into()), "{options:?}");
        end(scene, &web, 1);
        web.vial(&["stop"]).ok();
        assert_eq!(web.condition(), "exited", "{options:?}");
        eventually("the keeper has ended", || is_gone(keeper).then_some(()));
        remove(scene, &web);
    }
}

fn a_keeper_that_was_killed_is_replaced_by_the_next_command(scene: &Scene) {
    for options in [&[][..], &["--init"], &["-i"]] {
        let web = start(scene, options);
        let (keeper, monitor, pid) = (web.keeper(), web.monitor(), web.pid());
        signal(keeper, "KILL");
        eventually("both are gone", || (is_gone(keeper) && is_gone(monitor)).then_some(()));
        assert!(!is_gone(pid), "the workload goes on");
        assert_eq!(web.condition(), "running");
        assert_eq!(web.pid(), pid);
        assert!(web.keeper() != keeper && !is_gone(web.keeper()), "{options:?}");
        eventually("it is confined", || (mode(web.monitor().into())? == "2").then_some(()));
        end(scene, &web, 1);
        remove(scene, &web);
    }
}

fn a_monitor_killed_before_the_next_start_does_not_hinder_it(scene: &Scene) {
    let web = Detached::run(scene, "web", &["--restart", "always"], "echo life; exit 5");
    let keeper = web.keeper();
    eventually("it has failed several times", || (web.state()["restartCount"].as_u64() >= Some(4)).then_some(()));
    let state = eventually("it waits", || Some(web.state()).filter(|state| state["status"] == "restarting"));
    signal(state["owner"].as_u64().expect("a number") as u32, "KILL");
    eventually("it is started again", || (web.state()["restartCount"].as_u64() >= Some(6)).then_some(()));
    assert_eq!(web.keeper(), keeper);
    // Killed again and again, at whatever it does, it goes on.
    for round in 0..60 {
        // Which may have ended by now.
        let _ = Command::new("kill").args(["-KILL", &web.monitor().to_string()]).stderr(Stdio::null()).status();
        std::thread::sleep(Duration::from_millis(round * 3 % 50));
    }
    let lives = web.state()["restartCount"].as_u64();
    eventually("it goes on", || (web.state()["restartCount"].as_u64() > lives).then_some(()));
    assert_eq!(web.keeper(), keeper);
    web.vial(&["stop"]).ok();
    assert_eq!(web.condition(), "exited");
    remove(scene, &web);
}

fn those_attached_stay_so_over_restarts_and_lose_nothing(scene: &Scene) {
    let web = start(scene, &["-i"]);
    let all: Vec<_> = (0..3).map(|_| web.vial(&["attach"]).input("").start()).collect();
    std::thread::sleep(Duration::from_millis(300));
    end(scene, &web, 1);
    end(scene, &web, 2);
    // One who comes while there is no workload waits for the next.
    fs::write(scene.path("end-3"), "").expect("write a file");
    web.says("life 4");
    web.vial(&["stop"]).ok();
    for attached in all {
        attached.wait().ends(0).prints("life 2\nlife 3\nlife 4\n").silent();
    }
    remove(scene, &web);
}

fn one_that_does_not_read_holds_up_no_restart(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    // More than the pipes and sockets between monitor and reader have room for, but not more than all on the way. How much that
    // is depends on the pieces that the monitor reads: of 2 KB each a socket has room for 100 KB, and all on the way for 240.
    let write = "i=0; while test $i -lt 100; do printf %02000d 0; i=$((i + 1)); sleep 0.005; done";
    let script = format!("test -e /second || {{ {write}; }}; echo >/second; echo end; exit 3");
    let words = format!("run --name web --restart on-failure:2 {rootfs} sh -c '{script}'");
    for wait in ["", "until grep -q '\"status\":\"exited\"' containers/*/state.json 2>/dev/null; do sleep 0.1; done;"] {
        // It reads what there is room for, and the rest when the container has ended for good.
        let line = format!("cd {}; {VIAL} {words} | ({wait} sleep 0.2; cat)", scene.root().display());
        let begun = Instant::now();
        let output = scene.command("bash", ["-c", &line]).ok().silent();
        let expected = ["0".repeat(200_000), "end\n".repeat(3)].concat();
        assert_eq!(output.stdout.len(), expected.len(), "{wait}");
        assert!(output.stdout == expected && begun.elapsed() < Duration::from_secs(20));
        scene.vial(["rm", "web"]).ok();
        scene.assert_nothing_left();
    }
}

fn a_stop_meets_a_container_at_any_point_of_its_restart(scene: &Scene) {
    for round in 0..12 {
        let web = Detached::run(scene, "web", &["--restart", "always"], "trap '' TERM; sleep 0.05; exit 5");
        std::thread::sleep(Duration::from_millis(40 + 17 * round));
        let begun = Instant::now();
        web.vial(if round % 2 == 0 { &["stop", "-t", "1"] } else { &["rm", "-f"] }).ok();
        assert!(begun.elapsed() < Duration::from_secs(5), "round {round}: {:?}", begun.elapsed());
        if round % 2 == 0 {
            assert_eq!(web.condition(), "exited");
            let lives = web.state()["restartCount"].clone();
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!((web.condition().as_str(), &web.state()["restartCount"]), ("exited", &lives));
            web.vial(&["rm"]).ok();
        }
        eventually("all are gone", || leaks::processes(scene.directory()).is_empty().then_some(()));
        scene.assert_nothing_left();
    }
}
