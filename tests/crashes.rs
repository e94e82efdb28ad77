//! Killed processes: monitors, commands, workloads, at any moment. What is left is told as it is, goes on, or is removed; and
//! files that are damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::util::Scene;
use crate::util::container::{eventually, groups};
use crate::util::detached::{Detached, is_gone};
use crate::util::killer;
use crate::util::leaks;

trials! {
    a_container_whose_monitor_was_killed_gets_another [Root, Busybox, Kernel("overlay"), Command("attach")];
    twenty_commands_at_once_make_one_monitor [Root, Busybox, Kernel("overlay"), Command("attach")];
    a_terminal_goes_with_its_monitor [Root, Busybox, Kernel("overlay"), Command("attach")];
    one_that_waits_goes_on_waiting_when_the_monitor_is_killed [Root, Busybox, Kernel("overlay"), Command("wait")];
    both_killed_leave_what_gc_removes [Root, Busybox, Kernel("overlay"), Command("gc")];
    a_run_killed_at_any_call_leaves_the_truth [Root, Busybox, Kernel("overlay"), Command("start")];
    other_commands_killed_at_any_call_leave_the_truth [Root, Busybox, Kernel("overlay"), Command("start")];
    damaged_files_are_named_and_can_be_removed [Root, Busybox, Kernel("overlay"), Command("start")];
    a_full_disk_is_told_and_containers_go_on [Root, Busybox, Tool("mount"), Kernel("tmpfs"), Kernel("overlay"), Command("start")];
}

/// Says what it reads in the shared directory, until it is asked to end.
const TALKER: &str = "trap 'echo asked; exit 7' TERM; echo ready; while :; do \
                      for f in /shared/say-*; do test -e $f && cat $f && rm $f; done; sleep 0.02; done";

fn shared(scene: &Scene) -> String {
    format!("{}:/shared", scene.directory().display())
}

/// Has a [`TALKER`] say something, and waits until it is in its log.
fn say(scene: &Scene, web: &Detached<'_>, words: &str) {
    fs::write(scene.path("new"), format!("{words}\n")).expect("write a file");
    fs::rename(scene.path("new"), scene.path(format!("say-{words}"))).expect("rename a file");
    web.says(words);
}

/// The monitors of a scene.
fn monitors(scene: &Scene) -> usize {
    leaks::processes(scene.directory()).iter().filter(|process| process.line.starts_with("vial-monitor")).count()
}

fn a_container_whose_monitor_was_killed_gets_another(scene: &Scene) {
    for options in [&[][..], &["--init"], &["--pid", "host"], &["--restart", "always"], &["-i"], &["--rm"]] {
        // Each command finds it without a monitor.
        for command in ["ps", "logs", "attach", "stop", "gc", "wait", "rm"] {
            let web = Detached::run(scene, "web", &[&["-v", &shared(scene)], options].concat(), TALKER);
            web.says("ready");
            let pid = web.pid();
            web.kill_monitor();
            assert!(!is_gone(pid), "the workload goes on");
            let what = format!("{command} {options:?}");
            match command {
                "ps" => assert_eq!(web.condition(), "running", "{what}"),
                "logs" => web.says("ready"),
                "gc" => drop(scene.vial(["gc"]).ok().prints("")),
                _ => {}
            }
            if ["ps", "logs", "gc"].contains(&command) {
                assert_eq!(web.pid(), pid);
                assert!(!is_gone(web.monitor()), "{what}: there is another monitor");
                say(scene, &web, "afterwards");
            }
            if command == "attach" {
                let attached = web.vial(&["attach", "--no-stdin"]).start();
                eventually("it is adopted", || (!is_gone(web.monitor())).then_some(()));
                std::thread::sleep(Duration::from_millis(200));
                say(scene, &web, "attached");
                web.vial(&["stop"]).ok();
                let output = attached.wait();
                assert!(output.stdout.starts_with("attached\n"), "{what}: {}", output.shown());
            }
            if command == "wait" {
                let waiting = web.vial(&["wait"]).start();
                eventually("it is adopted", || (!is_gone(web.monitor())).then_some(()));
                web.vial(&["stop"]).ok();
                let code = waiting.wait().ends(0).stdout;
                assert!(code == "7\n" || code == "255\n", "{what}: {code}");
            }
            if command == "stop" {
                web.vial(&["stop"]).ok();
            }
            if !options.contains(&"--rm") {
                assert_eq!(
                    web.condition(),
                    if ["attach", "wait", "stop"].contains(&command) { "exited" } else { "running" },
                    "{what}"
                );
                if command == "stop" {
                    // How it ended is known where the kernel tells, and it starts again as ever.
                    assert!([7, 255].contains(&web.wait()), "{what}");
                    assert!(web.output().contains("asked"), "{what}: {}", web.output());
                    web.vial(&["start"]).ok();
                }
            }
            scene.vial(["rm", "-f", "web"]).ok();
            scene.assert_nothing_left();
            assert!(groups(&format!("/vial/{}", web.id)).is_empty(), "{what}");
        }
    }
}

fn twenty_commands_at_once_make_one_monitor(scene: &Scene) {
    for round in 0..3 {
        let web = Detached::run(scene, "web", &["-v", &shared(scene)], TALKER);
        web.says("ready");
        web.kill_monitor();
        let all: Vec<_> = (0..20)
            .map(|number| match number % 4 {
                0 => scene.vial(["ps", "-a", "-q"]).start(),
                1 => web.vial(&["logs"]).start(),
                2 => web.vial(&["inspect"]).start(),
                _ => web.vial(&["start"]).start(),
            })
            .collect();
        for command in all {
            command.wait().ends(0);
        }
        assert_eq!(monitors(scene), 1, "round {round}");
        say(scene, &web, "afterwards");
        web.vial(&["stop"]).ok();
        web.remove();
    }
}

fn a_terminal_goes_with_its_monitor(scene: &Scene) {
    for options in [&["-t"][..], &["-t", "-i"], &["-t", "--init"]] {
        let web = Detached::run(scene, "web", options, "echo ready; read line; echo gone >/gone; exit 5");
        web.says("ready");
        let pid = web.pid();
        web.kill_monitor();
        eventually("the workload has ended", || is_gone(pid).then_some(()));
        assert_eq!(web.condition(), "exited");
        web.vial(&["start"]).ok();
        assert_eq!(web.condition(), "running");
        web.remove();
        scene.assert_nothing_left();
    }
    // What does not look at its terminal goes on without.
    let web = Detached::run(scene, "web", &["-t"], "trap '' HUP; echo ready; exec sleep 600");
    web.says("ready");
    web.kill_monitor();
    assert_eq!(web.condition(), "running");
    web.vial(&["stop", "-t", "0"]).ok();
    assert_eq!(web.condition(), "exited");
    web.remove();
}

fn one_that_waits_goes_on_waiting_when_the_monitor_is_killed(scene: &Scene) {
    let web = Detached::run(scene, "web", &["-v", &shared(scene)], TALKER);
    web.says("ready");
    let mut waiting = web.vial(&["wait"]).start();
    let attached = web.vial(&["attach"]).start();
    std::thread::sleep(Duration::from_millis(200));
    web.kill_monitor();
    attached.wait().ends(125).says("monitor was killed").says("hint: ");
    eventually("it is adopted by who waits", || (!is_gone(web.monitor())).then_some(()));
    say(scene, &web, "afterwards");
    assert!(!waiting.has_ended());
    web.vial(&["stop"]).ok();
    let code = waiting.wait().ends(0).stdout;
    assert!(code == "7\n" || code == "255\n", "{code}");
    web.remove();
}

fn both_killed_leave_what_gc_removes(scene: &Scene) {
    for options in
        [&[][..], &["--init"], &["--pid", "host"], &["-t"], &["--rm", "-v", "/data"], &["--restart", "always"]]
    {
        let web = Detached::run(scene, "web", options, "sleep 600 & sleep 600");
        web.kill_all();
        let goes = options.contains(&"--rm");
        let condition = web.condition();
        let host = options.contains(&"host");
        assert_eq!(condition, if goes || host { "dead" } else { "exited" }, "{options:?}");
        let said = scene.vial(["gc"]).ok();
        assert!(said.stdout.contains(&web.id), "{}", said.shown());
        assert!(groups(&format!("/vial/{}", web.id)).is_empty(), "a group of {options:?} is left");
        if goes {
            scene.assert_nothing_left();
            assert_eq!(fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count), 0);
            continue;
        }
        assert_eq!((web.condition().as_str(), web.wait()), ("exited", 137), "{options:?}");
        web.vial(&["start"]).ok();
        assert_eq!(web.condition(), "running");
        web.remove();
        scene.assert_nothing_left();
    }
}

/// What must hold after a kill at any place: whatever `ps` says is so, everything works on, and nothing is left at the end.
fn is_in_order(scene: &Scene, what: &str) {
    let list = || scene.vial(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"]).ok();
    // What is not so may have come to pass since.
    let so = |line: &str| {
        let (id, condition) = line.split_once(' ').expect("two words");
        let web = Detached::of(scene, id);
        let pid = web.pid();
        match condition {
            "running" => pid > 0 && !is_gone(pid) && is_locked(&web.path()),
            "created" | "exited" => !(pid > 0 && !is_gone(pid) || is_locked(&web.path())),
            "dead" | "restarting" => true,
            _ => panic!("{what}: {line}"),
        }
    };
    eventually(&format!("{what}: ps tells the truth"), || list().stdout.lines().all(so).then_some(()));
    scene.vial(["gc"]).ok();
    for line in list().stdout.lines() {
        let (id, condition) = line.split_once(' ').expect("two words");
        // One whose workload was killed again and again is still to be started again, in a while.
        let known = ["running", "created", "exited", "restarting"];
        assert!(known.contains(&condition), "{what}: after gc {line}");
        if condition == "exited" {
            // It can be started again.
            scene.vial(["start", id]).ok();
        }
        scene.vial(["rm", "-f", "-v", id]).ok().silent();
        assert!(groups(&format!("/vial/{id}")).is_empty(), "{what}: a group is left");
    }
    eventually(&format!("{what}: nothing is left"), || leaks::below(scene.directory()).is_empty().then_some(()));
    for directory in ["names", "volumes"] {
        let left: Vec<_> = fs::read_dir(scene.root().join(directory))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert!(left.is_empty(), "{what}: {directory} {left:?}");
    }
}

/// Whether somebody holds the lock on a directory, `proc_locks(5)`.
fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(data) = fs::metadata(path) else { return false };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let needle = format!(":{} 0 EOF", data.ino());
    locks.lines().any(|line| line.contains("FLOCK") && line.contains("WRITE") && line.ends_with(&needle))
}

/// Kills at a sample of all moments, and sees that all is in order then.
fn sweep(scene: &Scene, words: &[&str], sample: usize, first: usize, prepare: &dyn Fn()) {
    prepare();
    let moments = killer::moments(scene, words, sample, first);
    is_in_order(scene, "nothing was killed");
    for (moment, what) in moments {
        prepare();
        killer::run(scene, words, Some(moment));
        is_in_order(scene, &what);
    }
}

fn a_run_killed_at_any_call_leaves_the_truth(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let run = |options: &'static [&'static str], sample: usize| {
        let words = [
            &["run", "-d", "--name", "web", "-m", "64m", "-v", "/data"],
            options,
            &[&rootfs, "/bin/sh", "-c", "sleep 600 & wait"],
        ]
        .concat();
        sweep(scene, &words, sample, 1, &|| ());
    };
    run(&[], 14);
    run(&["--rm", "--init"], 8);
    run(&["-t"], 5);
    run(&["--restart", "always"], 8);
}

fn other_commands_killed_at_any_call_leave_the_truth(scene: &Scene) {
    let make =
        || drop(Detached::create(scene, "web", &["-m", "64m", "-v", "/data"], "trap 'exit 0' TERM; sleep 600 & wait"));
    let start = || {
        make();
        scene.vial(["start", "web"]).ok();
    };
    sweep(scene, &["start", "web"], 6, 2, &make);
    sweep(scene, &["stop", "-t", "1", "web"], 4, 3, &start);
    sweep(scene, &["restart", "-t", "1", "web"], 5, 4, &start);
    sweep(scene, &["rm", "-f", "-v", "web"], 5, 5, &start);
    sweep(scene, &["exec", "web", "/bin/sh", "-c", "true"], 6, 6, &start);
    sweep(scene, &["exec", "-d", "web", "/bin/sh", "-c", "sleep 600"], 4, 7, &start);
}

fn damaged_files_are_named_and_can_be_removed(scene: &Scene) {
    let other = Detached::run(scene, "other", &["-v", &shared(scene)], TALKER);
    other.says("ready");
    for runs in [true, false] {
        for file in ["state.json", "config.json"] {
            for damage in ["empty", "garbage", "short", "directory", "missing"] {
                let web = Detached::run(scene, "web", &[], "sleep 600");
                let (pid, monitor) = (web.pid(), web.monitor());
                if !runs {
                    web.vial(&["stop", "-t", "0"]).ok();
                }
                let path = web.path().join(file);
                let text = fs::read_to_string(&path).expect("the file is there");
                fs::remove_file(&path).expect("remove the file");
                match damage {
                    "empty" => fs::write(&path, ""),
                    "garbage" => fs::write(&path, "\u{0}\u{1}{]"),
                    "short" => fs::write(&path, &text[..text.len() / 2]),
                    "directory" => fs::create_dir(&path),
                    _ => Ok(()),
                }
                .expect("damage the file");
                let what = format!("{damage} {file}, runs: {runs}");
                let listed = scene.vial(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok();
                assert!(listed.stdout.contains("other running\n"), "{what}: {}", listed.shown());
                if damage != "missing" {
                    let failed = web.vial(&[if runs || file == "state.json" { "stop" } else { "start" }]).ends(125);
                    assert!(failed.stderr.contains(file), "{what}: {}", failed.shown());
                    if file == "state.json" {
                        assert!(
                            failed.stderr.contains(&web.id) || failed.stderr.contains("web"),
                            "{what}: {}",
                            failed.shown()
                        );
                        assert!(
                            listed.stderr.contains(&web.id) && listed.stderr.contains(file),
                            "{what}: {}",
                            listed.shown()
                        );
                    }
                }
                scene.vial(["rm", "-f", "web"]).ok().prints("web\n");
                eventually(&format!("{what}: all is gone"), || {
                    (is_gone(pid) && is_gone(monitor) && !web.path().exists()).then_some(())
                });
                eventually(&format!("{what}: no group is left"), || {
                    groups(&format!("/vial/{}", web.id)).is_empty().then_some(())
                });
            }
        }
    }
    say(scene, &other, "afterwards");
    other.vial(&["stop"]).ok();
    assert_eq!(other.wait(), 7);
    other.remove();
}

fn a_full_disk_is_told_and_containers_go_on(scene: &Scene) {
    let small = scene.path("small");
    fs::create_dir_all(&small).expect("make a directory");
    let at = small.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", &at]).ok();
    let rootfs = scene.rootfs().display().to_string();
    let vial = |words: &[&str]| scene.vial(["--root", &at]).args(words);
    vial(&["run", "-d", "--name", "web", "-v", &shared(scene), &rootfs, "sh", "-c", TALKER]).ok();
    vial(&[
        "run",
        "-d",
        "--name",
        "loud",
        "--restart",
        "on-failure:1",
        &rootfs,
        "sh",
        "-c",
        "yes | head -c 8000000; exit 9",
    ])
    .ok();
    let end = |name: &str, code: &str| vial(&["wait", name]).ok().prints(code);
    end("loud", "9\n");
    // Now there is no room for anything.
    let filler = small.join("filler");
    let _ = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k", &format!("of={}", filler.display())])
        .stderr(Stdio::null())
        .status();
    let failed = vial(&["run", "-d", "--name", "more", &rootfs, "true"]).ends(125);
    assert!(failed.stderr.contains("ENOSPC"), "{}", failed.shown());
    vial(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok().prints("loud exited\nweb running\n");
    // What ends now is still written down: there is room where something was written before.
    vial(&["stop", "web"]).run();
    vial(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok().prints("loud exited\nweb exited\n");
    end("web", "7\n");
    vial(&["rm", "-f", "web", "loud"]).ok();
    let left: BTreeSet<_> =
        fs::read_dir(small.join("containers")).expect("list").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    // On a disk that can't be written nothing is done, and that is said.
    fs::remove_file(filler).expect("remove the file");
    vial(&["run", "-d", "--name", "web", &rootfs, "sleep", "600"]).ok();
    scene.command("mount", ["-o", "remount,ro", &at]).run();
    let failed = vial(&["run", "-d", &rootfs, "true"]).run();
    if failed.code != 0 {
        assert!(failed.code == 125 && failed.stderr.contains("EROFS"), "{}", failed.shown());
        vial(&["ps", "--format", "{{.Names}} {{.State}}"]).ok().prints("web running\n");
        vial(&["stop", "-t", "0", "web"]).ends(125).says("EROFS");
    }
    scene.command("mount", ["-o", "remount,rw", &at]).run();
    vial(&["rm", "-f", "web"]).ok();
    scene.command("umount", [&at]).ok();
}
