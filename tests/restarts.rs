//! Restart policies: counts, delays, what ends them, and what is started with the machine.

use std::fs;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::container::{eventually, signal};
use crate::util::detached::{Detached, is_gone};

trials! {
    a_failure_is_tried_again_as_often_as_the_policy_says [Root, Busybox, Kernel("overlay"), Command("start")];
    delays_double_and_any_command_ends_them [Root, Busybox, Kernel("overlay"), Command("start")];
    a_workload_that_cannot_be_started_again_is_tried_again [Root, Busybox, Kernel("overlay"), Command("start")];
    one_that_is_always_started_again_is_stopped_and_removed [Root, Busybox, Kernel("overlay"), Command("start")];
    the_terminal_and_input_are_there_in_each_life [Root, Busybox, Kernel("overlay"), Command("start")];
    what_ran_when_the_machine_went_down_is_started_with_it [Root, Busybox, Kernel("overlay"), Command("boot")];
    whoever_ends_all_processes_ends_the_container [Root, Busybox, Kernel("overlay"), Command("start")];
    a_workload_that_does_not_heed_the_end_of_all_is_killed [Root, Busybox, Kernel("overlay"), Command("boot")];
    a_failure_with_the_machine_is_one_that_is_tried_again [Root, Busybox, Kernel("overlay"), Command("boot")];
}

/// A field of `vial inspect`.
fn field(web: &Detached<'_>, template: &str) -> String {
    web.vial(&["inspect", "-f", template]).ok().stdout.trim_end().to_owned()
}

fn a_failure_is_tried_again_as_often_as_the_policy_says(scene: &Scene) {
    // The policy, the exit code; lives, and the last code.
    for (policy, code, lives) in [("on-failure:2", 3, 3), ("on-failure:1", 0, 1), ("on-failure", 0, 1), ("no", 3, 1)] {
        let web = Detached::run(scene, "web", &["--restart", policy], &format!("echo life; exit {code}"));
        assert_eq!(web.wait(), code, "{policy}");
        assert_eq!((web.output().matches("life").count(), web.condition().as_str()), (lives, "exited"), "{policy}");
        assert_eq!(field(&web, "{{.RestartCount}}"), (lives - 1).to_string(), "{policy}");
        // A start by hand begins anew.
        web.vial(&["start"]).ok();
        assert_eq!(web.wait(), code);
        assert_eq!(web.output().matches("life").count(), 2 * lives, "{policy}");
        web.vial(&["rm"]).ok();
    }
    // One that succeeds after two failures.
    let script = "echo x >>/count; test $(wc -l </count) = 3";
    let web = Detached::run(scene, "web", &["--restart", "on-failure:5"], script);
    assert_eq!((web.wait(), field(&web, "{{.RestartCount}}").as_str()), (0, "2"));
    web.remove();
    // Attached from the first life to the last.
    let rootfs = scene.rootfs().display().to_string();
    let words = ["run", "--name", "web", "--restart", "on-failure:2", &rootfs, "sh", "-c", "echo life; exit 4"];
    scene.vial(words).ends(4).prints("life\nlife\nlife\n");
    scene.vial(["rm", "web"]).ok();
}

fn delays_double_and_any_command_ends_them(scene: &Scene) {
    // Four delays make 100 + 200 + 400 + 800 ms.
    let begun = Instant::now();
    let web = Detached::run(scene, "web", &["--restart", "on-failure:4"], "exit 5");
    assert_eq!(web.wait(), 5);
    let taken = begun.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_secs(8)).contains(&taken), "{taken:?}");
    web.remove();
    for end in [&["stop"][..], &["rm", "-f"], &["restart"], &["kill"]] {
        let web = Detached::run(scene, "web", &["--restart", "always"], "exit 5");
        // By now each lasts long.
        eventually("it has failed several times", || (web.state()["restartCount"].as_u64() >= Some(4)).then_some(()));
        eventually("it waits", || (web.condition() == "restarting").then_some(()));
        scene.vial(["ps", "--format", "{{.Status}}"]).ok().shows("Restarting (5) ");
        web.vial(&["rm"]).ends(125).says("running");
        let begun = Instant::now();
        if end == ["kill"] {
            // As docker: there is nothing to be killed.
            web.vial(end).ends(125).says("does not run");
            web.vial(&["rm", "-f"]).ok();
        } else {
            web.vial(end).ok().prints("web\n");
        }
        assert!(begun.elapsed() < Duration::from_millis(900), "{end:?} took {:?}", begun.elapsed());
        match end[0] {
            "stop" => {
                assert_eq!((web.condition().as_str(), web.wait()), ("exited", 5));
                let lives = web.state()["restartCount"].clone();
                std::thread::sleep(Duration::from_millis(300));
                assert_eq!(web.state()["restartCount"], lives, "it was started again");
                web.vial(&["rm"]).ok();
            }
            "restart" => web.remove(),
            _ => {}
        }
        scene.assert_nothing_left();
    }
}

fn a_workload_that_cannot_be_started_again_is_tried_again(scene: &Scene) {
    let bound = scene.path("bound");
    fs::write(&bound, "").expect("write a file");
    let mount = format!("type=bind,src={},dst=/bound", bound.display());
    let web = Detached::run(
        scene,
        "web",
        &["--restart", "on-failure:3", "--mount", &mount],
        "rm -f /bound; sleep 0.1; exit 6",
    );
    fs::remove_file(&bound).expect("remove a file");
    // What vial itself fails with counts as the workload's failure.
    assert_eq!((web.wait(), web.condition().as_str()), (125, "exited"));
    assert!(field(&web, "{{.State.Error}}").contains("bound"), "{}", field(&web, "{{.State.Error}}"));
    assert_eq!(field(&web, "{{.RestartCount}}"), "3");
    fs::write(&bound, "").expect("write a file");
    web.vial(&["start"]).ok();
    assert_eq!(field(&web, "{{.State.Error}}"), "");
    web.remove();
}

fn one_that_is_always_started_again_is_stopped_and_removed(scene: &Scene) {
    for policy in ["always", "unless-stopped"] {
        for options in [&[][..], &["--init"], &["-t"], &["--pid", "host"]] {
            let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done";
            let web = Detached::run(scene, "web", &[&["--restart", policy], options].concat(), script);
            web.says("ready");
            // From outside it is started again.
            let first = web.pid();
            signal(first, "KILL");
            eventually("it has another life", || {
                (web.pid() > 0 && web.pid() != first && web.condition() == "running").then_some(())
            });
            eventually("it is ready", || (web.output().matches("ready").count() == 2).then_some(()));
            web.vial(&["stop"]).ok();
            assert_eq!((web.condition().as_str(), web.wait()), ("exited", 0));
            web.vial(&["start"]).ok();
            eventually("it is ready", || (web.output().matches("ready").count() == 3).then_some(()));
            // By the user's own kill it is not.
            web.vial(&["kill"]).ok();
            assert_eq!((web.condition().as_str(), web.wait()), ("exited", 137));
            web.vial(&["start"]).ok();
            web.vial(&["rm", "-f"]).ok();
            scene.assert_nothing_left();
        }
    }
}

fn the_terminal_and_input_are_there_in_each_life(scene: &Scene) {
    let script = "test -t 0 && test -t 1 && echo terminal; read line; echo got $line; exit 3";
    let web = Detached::run(scene, "web", &["-t", "-i", "--restart", "always"], script);
    for number in 1..=2 {
        eventually("it is ready", || (web.output().matches("terminal").count() == number).then_some(()));
        eventually("it runs", || (web.condition() == "running").then_some(()));
        let attached = web.vial(&["attach"]).input("word\n").start();
        eventually("it has read", || (web.output().matches("got word").count() >= number).then_some(()));
        signal(attached.id(), "KILL");
        attached.wait();
    }
    web.remove();
}

fn what_ran_when_the_machine_went_down_is_started_with_it(scene: &Scene) {
    let script = "echo life; exec sleep 600";
    let run = |name: &'static str, policy: &str| Detached::run(scene, name, &["--restart", policy], script);
    let all = [
        run("no", "no"),
        run("always", "always"),
        run("unless", "unless-stopped"),
        run("failure", "on-failure:3"),
        run("always-stopped", "always"),
        run("unless-stopped", "unless-stopped"),
        run("failure-stopped", "on-failure"),
    ];
    for web in &all {
        web.says("life");
    }
    for web in &all[4..] {
        web.vial(&["stop", "-t", "0"]).ok();
    }
    let orphan = Detached::run(scene, "orphan", &["--restart", "always"], script);
    // A power cut.
    for web in &all[..4] {
        web.kill_all();
    }
    scene.vial(["ps", "-a", "-f", "status=exited", "-q"]).ok();
    let output = scene.vial(["boot", "--containers"]).ok().silent();
    let mut started: Vec<_> = output.stdout.lines().collect();
    started.sort_unstable();
    assert_eq!(started, ["always", "always-stopped", "failure", "unless"]);
    for (web, runs) in all.iter().zip([false, true, true, true, true, false, false]) {
        assert_eq!(web.condition(), if runs { "running" } else { "exited" }, "{}", web.name);
    }
    assert_eq!(orphan.output().matches("life").count(), 1);
    // A second time there is nothing to do.
    scene.vial(["boot", "--containers"]).ok().prints("").silent();
    all.iter().chain([&orphan]).for_each(Detached::remove);
}

fn whoever_ends_all_processes_ends_the_container(scene: &Scene) {
    // As when the machine goes down: everybody gets SIGTERM.
    let script = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let web = Detached::run(scene, "web", &["--restart", "always"], script);
    web.says("ready");
    let monitor = web.monitor();
    signal(monitor, "TERM");
    eventually("the monitor has ended", || is_gone(monitor).then_some(()));
    assert_eq!((web.condition().as_str(), web.wait()), ("exited", 0));
    web.says("asked");
    // It was not the user who stopped it.
    scene.vial(["boot", "--containers"]).ok().prints("web\n");
    web.remove();
}

fn a_workload_that_does_not_heed_the_end_of_all_is_killed(scene: &Scene) {
    // The first process of a PID namespace gets no SIGTERM that it did not ask for.
    let options = ["--restart", "always", "--stop-timeout", "1"];
    let web = Detached::run(scene, "web", &options, "echo ready; exec sleep 600");
    web.says("ready");
    let begun = Instant::now();
    signal(web.monitor(), "TERM");
    let monitor = web.monitor();
    eventually("the monitor has ended", || is_gone(monitor).then_some(()));
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!((web.condition().as_str(), web.wait()), ("exited", 137));
    assert_ne!(web.state()["finished"], "", "the monitor saw it");
    web.remove();
    // Time without end is what it may be given, too; and the first signal counts.
    let web = Detached::run(scene, "web", &["--stop-timeout", "-1"], "echo ready; exec sleep 600");
    web.says("ready");
    signal(web.monitor(), "TERM");
    signal(web.monitor(), "TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(web.condition(), "running");
    web.vial(&["stop", "-t", "0"]).ok();
    web.remove();
}

fn a_failure_with_the_machine_is_one_that_is_tried_again(scene: &Scene) {
    let run = |name: &str, seconds: &str, script: &str| {
        let options = ["--restart", "on-failure:3", "--stop-timeout", seconds];
        let web = Detached::run(scene, name, &options, &format!("{script}; echo ready; while :; do sleep 0.02; done"));
        web.says("ready");
        web
    };
    let fails = [
        run("killed", "0", ":"),
        run("failed", "20", "trap 'exit 4' TERM"),
        run("succeeded", "20", "trap 'exit 0' TERM"),
    ];
    let stopped = run("stopped", "0", ":");
    stopped.vial(&["stop", "-t", "0"]).ok();
    let hopeless = Detached::run(scene, "hopeless", &["--restart", "on-failure:1"], "exit 3");
    assert_eq!(hopeless.wait(), 3);
    for web in &fails {
        let monitor = web.monitor();
        signal(monitor, "TERM");
        eventually("the monitor has ended", || is_gone(monitor).then_some(()));
    }
    let output = scene.vial(["boot", "--containers"]).ok().silent();
    let mut started: Vec<_> = output.stdout.lines().collect();
    started.sort_unstable();
    assert_eq!(started, ["failed", "killed"]);
    fails.iter().chain([&stopped, &hopeless]).for_each(Detached::remove);
}
