//! Containers that stay: made, started, stopped, started again, waited for, renamed and removed.

use std::fs;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::container::{Container, eventually, groups};
use crate::util::detached::{self, Detached, is_gone, proc};

trials! {
    run_prints_the_id_when_the_workload_runs [Root, Busybox, Kernel("overlay"), Command("start")];
    what_could_not_be_started_is_told_and_leaves_nothing [Root, Busybox, Kernel("overlay"), Command("start")];
    what_was_made_is_started_once [Root, Busybox, Kernel("overlay"), Command("start")];
    start_with_streams_is_as_run [Root, Busybox, Kernel("overlay"), Command("start")];
    a_workload_is_stopped_by_its_signal [Root, Busybox, Kernel("overlay"), Command("stop")];
    a_workload_that_does_not_stop_is_killed_in_time [Root, Busybox, Kernel("overlay"), Command("stop")];
    every_life_is_the_same_in_every_form [Root, Busybox, Kernel("overlay"), Command("stop")];
    a_life_without_control_groups_is_the_same [Root, Busybox, Tool("unshare"), Kernel("overlay"), Command("stop")];
    exit_codes_are_kept [Root, Busybox, Kernel("overlay"), Command("wait")];
    wait_waits_for_one_and_for_several_and_for_those_in_the_foreground [Root, Busybox, Kernel("overlay"), Command("wait")];
    signals_are_sent_to_the_workload [Root, Busybox, Kernel("overlay"), Command("kill")];
    a_container_is_renamed_while_it_runs_and_goes_under_any_name [Root, Busybox, Kernel("overlay"), Command("rename")];
    a_second_life_has_all_that_the_first_had [Root, Busybox, Kernel("overlay"), CgroupV1("memory"), Command("start")];
    a_container_of_the_foreground_lives_again [Root, Busybox, Kernel("overlay"), Command("start")];
    volumes_without_a_name_go_with_the_container [Root, Busybox, Kernel("overlay"), Command("start")];
    one_that_is_to_go_is_restarted_before [Root, Busybox, Kernel("overlay"), Command("restart")];
    nothing_of_the_callers_or_the_hosts_stays_open [Root, Busybox, Kernel("overlay"), Command("start")];
    names_that_are_missing_are_told_and_the_others_served [Root, Busybox, Kernel("overlay"), Command("stop")];
}

/// Ends at once when it is asked to.
const OBEDIENT: &str = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done";
/// Does not end when it is asked to.
const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.02; done";

fn run_prints_the_id_when_the_workload_runs(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for options in [&[][..], &["-t"], &["-i"], &["-t", "-i"], &["--init"], &["--pid", "host"]] {
        let command = scene.vial(["run", "-d", "--name", "web"]).args(options).args([&rootfs, "sleep", "600"]);
        let id = command.ok().silent().stdout;
        assert!(id.len() == 65 && id.ends_with('\n'), "{options:?}: {id:?}");
        let state = fs::read_to_string(scene.root().join("containers").join(id.trim_end()).join("state.json"));
        let state: serde_json::Value = serde_json::from_str(&state.expect("there is a state")).expect("it is JSON");
        let pid = state["pid"].as_u64().expect("it has a process") as u32;
        // No sooner: the process is the workload, or its parent.
        let child = proc(pid, &format!("task/{pid}/children"));
        let workload = if options == ["--init"] { child.trim().parse().expect("init has a child") } else { pid };
        assert_eq!(proc(workload, "cmdline"), "sleep\u{0}600\u{0}", "{options:?}");
        scene.vial(["rm", "-f", "web"]).ok().prints("web\n").silent();
        assert!(is_gone(pid));
        scene.assert_nothing_left();
    }
}

fn what_could_not_be_started_is_told_and_leaves_nothing(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let cases: &[(u8, &[&str], &str)] = &[
        (127, &[&rootfs, "no-such-command"], "no-such-command"),
        (127, &["-t", &rootfs, "/no/such/file"], "/no/such/file"),
        (127, &["--init", &rootfs, "no-such-command"], "no-such-command"),
        (127, &["--restart", "always", &rootfs, "no-such-command"], "no-such-command"),
        (126, &[&rootfs, "/etc"], "directory"),
        (125, &["-u", "nobody-there", &rootfs, "true"], "nobody-there"),
        (125, &["-v", "/etc:/bin/busybox", &rootfs, "true"], "/bin/busybox"),
        (125, &["--network", "container:none", &rootfs, "true"], "none"),
    ];
    for (code, words, named) in cases {
        for rm in [&["run", "-d", "-v", "/data"][..], &["run", "-d", "--rm"]] {
            if rm.contains(&"--rm") && words.contains(&"--restart") {
                continue;
            }
            scene.vial(rm).args(*words).ends((*code).into()).prints("").says(named);
            scene.assert_nothing_left();
            let volumes = fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
            assert_eq!(volumes, 0, "a volume of {words:?} is left");
        }
    }
    // One that was made before stays, and says why it could not be started.
    let web = scene.vial(["create", "--name", "web", &rootfs, "no-such-command"]).ok().stdout;
    scene.vial(["start", "web"]).ends(125).prints("").says("no-such-command");
    scene.vial(["start", "-a", "web"]).ends(127).prints("").says("no-such-command");
    let error = scene.vial(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", "web"]).ok();
    error.shows("created 127 ").shows("no-such-command");
    scene.vial(["rm", web.trim_end()]).ok();
}

fn what_was_made_is_started_once(scene: &Scene) {
    for options in [&[][..], &["--rm"]] {
        let web = Detached::create(scene, "web", options, "echo once; sleep 600");
        assert_eq!((web.condition().as_str(), web.pid()), ("created", 0));
        assert_eq!(web.wait(), 0);
        web.vial(&["start"]).ok().prints("web\n").silent();
        let pid = web.pid();
        // Again does nothing.
        web.vial(&["start"]).ok().prints("web\n").silent();
        web.says("once");
        assert_eq!((web.condition().as_str(), web.pid(), web.output().as_str()), ("running", pid, "once\n"));
        web.vial(&["rm"]).ends(125).says("running").says("hint: ");
        web.remove();
        scene.assert_nothing_left();
    }
}

fn start_with_streams_is_as_run(scene: &Scene) {
    let both = Detached::create(scene, "both", &["-i"], "cat; echo out; echo words >&2; exit 3");
    // Input ends with the first who is attached, and again with the next.
    for _ in 0..2 {
        both.vial(&["start", "-a", "-i"]).input("in\n").ends(3).prints("in\nout\n").says("words\n");
    }
    both.remove();
    let plain = Detached::create(scene, "plain", &[], "cat; echo out; exit 4");
    plain.vial(&["start", "-a"]).input("unread\n").ends(4).prints("out\n").silent();
    plain.vial(&["start", "--attach", "--interactive"]).input("unread\n").ends(4).prints("out\n");
    scene.vial(["start", "-a", "plain", "plain"]).ends(125).says("multiple");
    plain.remove();
    // What is to go when it ends does.
    let once = Detached::create(scene, "once", &["--rm"], "echo out; exit 5");
    once.vial(&["start", "-a"]).ends(5).prints("out\n").silent();
    scene.assert_nothing_left();
    let terminal = Detached::create(scene, "terminal", &["-t"], "test -t 1 && echo yes");
    terminal.vial(&["start", "-a"]).ok().prints("yes\r\n").silent();
    terminal.remove();
}

fn a_workload_is_stopped_by_its_signal(scene: &Scene) {
    let script = "for name in TERM INT USR1 RTMIN+3; do trap \"echo got $name; exit 9\" $name 2>/dev/null; done; \
                  trap 'echo got RTMIN+3; exit 9' 37; echo ready; while :; do sleep 0.02; done";
    // The container's signal; the command's words; what arrives.
    for (options, words, got) in [
        (&[][..], &["stop"][..], "TERM"),
        (&["--stop-signal", "USR1"], &["stop"], "USR1"),
        (&["--stop-signal", "SIGRTMIN+3"], &["stop"], "RTMIN+3"),
        (&["--stop-signal", "USR1"], &["stop", "-s", "INT"], "INT"),
        (&["--init"], &["stop"], "TERM"),
        (&["-t"], &["stop", "-t", "20"], "TERM"),
    ] {
        let web = Detached::run(scene, "web", options, script);
        web.says("ready");
        let begun = Instant::now();
        web.vial(words).ok().prints("web\n").silent();
        assert!(begun.elapsed() < Duration::from_secs(9), "{words:?} was not heard");
        assert!(web.output().contains(&format!("got {got}")), "{options:?} {words:?}: {}", web.output());
        assert_eq!((web.wait(), web.condition().as_str(), web.pid()), (9, "exited", 0));
        // To stop what has ended is no error.
        web.vial(words).ok().prints("web\n").silent();
        web.remove();
    }
}

fn a_workload_that_does_not_stop_is_killed_in_time(scene: &Scene) {
    let slow = "trap 'sleep 1.6; echo slept; exit 8' TERM; echo ready; while :; do sleep 0.02; done";
    // Options, script, the command's words; seconds at least and at most, exit code.
    let cases = [
        (&[][..], DEAF, &["stop", "-t", "1"][..], 1.0, 6.0, 137),
        (&["--init"], DEAF, &["stop", "--time", "1"], 1.0, 6.0, 137),
        (&["--pid", "host"], DEAF, &["stop", "-t", "0"], 0.0, 5.0, 137),
        (&["--stop-timeout", "1", "-t"], DEAF, &["stop"], 1.0, 6.0, 137),
        (&["--stop-timeout", "1"], slow, &["stop", "-t", "-1"], 1.6, 20.0, 8),
        (&["--stop-timeout", "1"], slow, &["restart", "-t", "0"], 0.0, 1.5, 0),
    ];
    for (number, (options, script, words, least, most, code)) in cases.into_iter().enumerate() {
        let web = Detached::run(scene, "web", options, script);
        web.says("ready");
        let begun = Instant::now();
        web.vial(words).ok().prints("web\n").silent();
        let taken = begun.elapsed().as_secs_f64();
        assert!((least..most).contains(&taken), "case {number}: {taken} s");
        if words[0] == "restart" {
            assert_eq!(web.condition(), "running");
        } else {
            assert_eq!((web.wait(), web.condition().as_str()), (code, "exited"), "case {number}");
        }
        web.remove();
        scene.assert_nothing_left();
    }
}

/// A whole life, and another; `vial` makes each command.
fn live(web: &Detached<'_>, what: &str) {
    web.says("ready");
    let first = web.pid();
    assert!(!is_gone(first), "{what}");
    web.vial(&["stop"]).ok();
    assert_eq!((web.wait(), web.condition().as_str()), (7, "exited"), "{what}");
    assert!(is_gone(first), "{what}");
    web.vial(&["start"]).ok();
    eventually("it is ready again", || (web.output().matches("ready").count() == 2).then_some(()));
    let second = web.pid();
    web.vial(&["restart"]).ok();
    assert!(second != first && is_gone(second) && !is_gone(web.pid()), "{what}");
    web.vial(&["kill"]).ok().prints("web\n");
    assert_eq!((web.wait(), web.condition().as_str()), (137, "exited"), "{what}");
    web.vial(&["kill"]).ends(125).says("does not run");
    web.vial(&["rm"]).ok().prints("web\n");
}

fn every_life_is_the_same_in_every_form(scene: &Scene) {
    for options in [&[][..], &["-t"], &["-i"], &["--init"], &["--init", "-t", "-i"], &["--pid", "host"], &["-m", "64m"]]
    {
        let web = Detached::run(scene, "web", options, OBEDIENT);
        live(&web, &format!("{options:?}"));
        scene.assert_nothing_left();
        assert!(groups(&format!("/vial/{}", web.id)).is_empty(), "a group of {options:?} is left");
    }
}

fn a_life_without_control_groups_is_the_same(scene: &Scene) {
    let script = format!(
        "umount -a -t cgroup,cgroup2 2>/dev/null; set -ex\n\
         vial run -d --name web $ROOT sh -c \"{OBEDIENT}\"\n\
         until vial logs web | grep -q ready; do sleep 0.02; done\n\
         vial stop web; test $(vial wait web) = 7\n\
         vial start web; vial restart -t 0 web; test \"$(vial ps --format '{{{{.State}}}}')\" = running\n\
         vial kill web; test $(vial wait web) = 137; vial start web; vial rm -f web"
    );
    let vial = format!("vial() {{ {VIAL} --best-effort \"$@\"; }}\n{script}");
    let command = scene.command("unshare", ["-m", "bash", "-c", &vial]).env("ROOT", scene.rootfs());
    command.ok();
    scene.assert_nothing_left();
}

fn exit_codes_are_kept(scene: &Scene) {
    for (options, script, code) in [
        (&[][..], "exit 0", 0),
        (&[], "exit 42", 42),
        (&["-t"], "exit 43", 43),
        (&["--init"], "exit 255", 255),
        (&["--pid", "host"], "kill -TERM $$; sleep 5", 143),
        (&["--init"], "kill -SEGV $$; sleep 5", 139),
    ] {
        let web = Detached::run(scene, "web", options, script);
        assert_eq!(web.wait(), code, "{options:?} {script}");
        // And again, of what has ended.
        assert_eq!(web.wait(), code);
        assert_eq!(web.condition(), "exited");
        scene.vial(["ps", "-a", "--format", "{{.Status}}"]).ok().shows(&format!("Exited ({code}) "));
        let inspected = scene.vial(["inspect", "-f", "{{.State.ExitCode}} {{.State.Running}}", "web"]).ok();
        inspected.prints(&format!("{code} false\n"));
        web.vial(&["rm"]).ok();
    }
}

fn wait_waits_for_one_and_for_several_and_for_those_in_the_foreground(scene: &Scene) {
    let shared = format!("{}:/shared", scene.directory().display());
    let script = |code: u32| format!("until test -e /shared/go; do sleep 0.02; done; exit {code}");
    let one = Detached::run(scene, "one", &["-v", &shared], &script(1));
    let two = Detached::run(scene, "two", &["-v", &shared, "--rm"], &script(2));
    let three = Container::named(scene, "three", &["-v", &shared], &script(3));
    let mut waiting: Vec<_> = [
        (vec!["wait", "one"], "1\n", 0),
        (vec!["wait", "one", "two"], "1\n2\n", 0),
        (vec!["wait", "two"], "2\n", 0),
        (vec!["wait", "no-such", "one"], "1\n", 125),
    ]
    .into_iter()
    .map(|(words, prints, code)| (scene.vial(words).start(), prints, code))
    .collect();
    let foreground = scene.vial(["wait", "three"]).start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(waiting[..3].iter_mut().all(|(command, ..)| !command.has_ended()));
    fs::write(scene.path("go"), "").expect("write a file");
    for (number, (command, prints, code)) in waiting.into_iter().enumerate() {
        let output = command.wait();
        // The second looks for `two` when that may be gone already.
        if number == 1 && output.code == 125 {
            let output = output.shows("1\n");
            let said = ["no such container: two", "container two was removed"]
                .iter()
                .any(|words| output.stderr.contains(words));
            assert!(said, "{}", output.shown());
        } else {
            output.ends(code).prints(prints);
        }
    }
    three.vial.wait().ends(3);
    // What goes with its end takes its exit code along, unless one was quick.
    let output = foreground.wait();
    assert!(output.stdout == "3\n" || output.stderr.contains("was removed"), "{}", output.shown());
    one.vial(&["rm"]).ok();
    drop(two);
}

fn signals_are_sent_to_the_workload(scene: &Scene) {
    let script = "trap 'echo one' USR1; trap 'echo two; exit 6' 12; echo ready; while :; do sleep 0.02; done";
    for options in [&[][..], &["--init"]] {
        let web = Detached::run(scene, "web", options, script);
        web.says("ready");
        web.vial(&["kill", "-s", "USR1"]).ok().prints("web\n");
        web.says("one");
        assert_eq!(web.condition(), "running");
        web.vial(&["kill", "--signal", "12"]).ok();
        assert_eq!(web.wait(), 6);
        web.vial(&["start"]).ok();
        // When it returns the container has ended.
        web.vial(&["kill"]).ok();
        web.vial(&["rm"]).ok();
    }
}

fn a_container_is_renamed_while_it_runs_and_goes_under_any_name(scene: &Scene) {
    for options in [&[][..], &["--rm"]] {
        let web = Detached::run(scene, "web", options, OBEDIENT);
        let other = Detached::create(scene, "other", &[], "true");
        scene.vial(["rename", "web", "other"]).ends(125).says("in use");
        scene.vial(["rename", "web", "front"]).ok().prints("").silent();
        scene.vial(["ps", "--format", "{{.Names}}"]).ok().prints("front\n");
        scene.vial(["stop", "web"]).ends(125).says("no such container: web").says("front");
        // The old name is free.
        scene.vial(["rename", "other", "web"]).ok();
        scene.vial(["rm", "web"]).ok();
        scene.vial(["stop", &web.id[..12]]).ok();
        if options.is_empty() {
            scene.vial(["start", "front"]).ok();
            scene.vial(["rm", "-f", "front"]).ok();
        }
        drop(other);
        scene.assert_nothing_left();
        assert_eq!(fs::read_dir(scene.root().join("names")).map_or(0, Iterator::count), 0, "a name is left");
    }
    // Two at once: one of them has its will, and the container has one name.
    let web = Detached::create(scene, "web", &[], "true");
    let racing: Vec<_> = ["a", "b", "c", "d"].map(|name| scene.vial(["rename", "web", name]).start()).into();
    let won = racing.into_iter().map(|command| command.wait().code).filter(|code| *code == 0).count();
    assert_eq!((won, fs::read_dir(scene.root().join("names")).map_or(0, Iterator::count)), (1, 1));
    scene.vial(["rm", &web.id]).ok();
}

fn a_second_life_has_all_that_the_first_had(scene: &Scene) {
    let bound = scene.path("bound");
    fs::create_dir_all(&bound).expect("make a directory");
    let bind = format!("{}:/bound:ro", bound.display());
    let options = [
        "-m",
        "48m",
        "--pids-limit",
        "77",
        "-e",
        "WORD=two words",
        "-u",
        "1000:1001",
        "-h",
        "inside",
        "-w",
        "/tmp",
        "-v",
        "kept:/kept",
        "-v",
        "/unnamed",
        "-v",
        &bind,
        "--cap-add",
        "SYS_TIME",
        "--ulimit",
        "nofile=99:99",
        "--read-only=false",
        "--tmpfs",
        "/scratch",
        "--label",
        "a=b",
        "--add-host",
        "there:10.1.2.3",
    ];
    let script = "echo $WORD; id -u; id -g; hostname; pwd; ulimit -n; grep CapBnd /proc/self/status; cat /etc/hosts; \
                  cut -d' ' -f2,3 /proc/mounts | sort; cat /tmp/count 2>/dev/null | wc -l; echo x >>/tmp/count; \
                  echo end; exec sleep 600";
    let web = Detached::run(scene, "web", &options, script);
    // What the life of this number has said but for its last line, that line, and the limits.
    let look = |number: usize| {
        let said = eventually("it has said all", || {
            let output = web.output();
            let lives: Vec<&str> = output.split("end\n").collect();
            (lives.len() == number + 2).then(|| lives[number].trim_end().to_owned())
        });
        let (said, count) = said.rsplit_once('\n').expect("it has said several lines");
        let read = |file: &str| {
            groups(&format!("/vial/{}", web.id)).iter().find_map(|group| fs::read_to_string(group.join(file)).ok())
        };
        (said.to_owned(), count.to_owned(), ["memory.limit_in_bytes", "pids.max"].map(read))
    };
    let (first, count, limits) = look(0);
    assert!(first.starts_with("two words\n1000\n1001\ninside\n/tmp\n99\n") && count == "0", "{first} {count}");
    assert_eq!(limits, ["50331648\n", "77\n"].map(|limit| Some(limit.to_owned())));
    web.vial(&["stop", "-t", "0"]).ok();
    web.vial(&["start"]).ok();
    assert_eq!(look(1), (first, "1".to_owned(), limits));
    let inspected = scene.vial(["inspect", "-f", "{{.Config.Labels}} {{.RestartCount}}", "web"]).run();
    assert!(inspected.code != 0 || inspected.stdout.contains('a'), "{}", inspected.shown());
    scene.vial(["rm", "-f", "-v", "web"]).ok();
    let volumes = fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
    assert_eq!(volumes, 1, "the volume with a name stays, the other goes");
    scene.vial(["volume", "rm", "kept"]).ok();
}

fn a_container_of_the_foreground_lives_again(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let script = "echo x >>/count; wc -l </count; exit $(wc -l </count)";
    for options in [&[][..], &["-t"], &["--init"]] {
        scene.vial(["run", "--name", "web"]).args(options).args([&rootfs, "sh", "-c", script]).ends(1);
        let output = scene.vial(["start", "-a", "web"]).ends(2).silent();
        assert_eq!(output.stdout.trim_end(), "2");
        scene.vial(["start", "web"]).ok();
        scene.vial(["wait", "web"]).ok().prints("3\n");
        scene.vial(["rm", "web"]).ok();
    }
    // And stopped, when it is in the foreground.
    let name = ["run", "--name", "web", &rootfs, "sh", "-c", OBEDIENT];
    let running = Container::watch(scene, scene.vial(name).start(), Some("web"));
    std::thread::sleep(Duration::from_millis(100));
    scene.vial(["stop", "web"]).ok().prints("web\n");
    running.vial.wait().ends(7);
    scene.vial(["rm", "web"]).ok();
}

fn volumes_without_a_name_go_with_the_container(scene: &Scene) {
    let volumes = || fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
    let web = Detached::run(
        scene,
        "web",
        &["--rm", "-v", "/data", "-v", "kept:/kept"],
        "echo x >/data/x; echo x >/kept/x; sleep 600",
    );
    assert_eq!(volumes(), 2);
    web.vial(&["stop", "-t", "0"]).ok();
    assert_eq!(volumes(), 1);
    scene.assert_nothing_left();
    let web = Detached::run(scene, "web", &["-v", "/data"], "sleep 600");
    web.vial(&["rm", "-f"]).ok();
    assert_eq!(volumes(), 2, "without -v they stay");
    let web = Detached::run(scene, "web", &["-v", "/data"], "sleep 600");
    web.vial(&["rm", "-f", "-v"]).ok();
    assert_eq!(volumes(), 2);
}

fn one_that_is_to_go_is_restarted_before(scene: &Scene) {
    let web = Detached::run(scene, "web", &["--rm"], &format!("echo x >>/count; wc -l </count; {OBEDIENT}"));
    web.says("ready");
    let first = web.pid();
    web.vial(&["restart"]).ok().prints("web\n").silent();
    web.says("2\nready");
    assert!(web.pid() != first && web.condition() == "running");
    web.vial(&["stop"]).ok();
    scene.assert_nothing_left();
}

fn nothing_of_the_callers_or_the_hosts_stays_open(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for options in ["", "--init", "-t", "-i"] {
        // Standard files of the caller, closed or not, and others.
        for files in ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "7<. 250<."] {
            let script = format!("\"$0\" run -d --name web {options} \"$1\" sleep 600 {files}");
            // Who has closed standard output is told that the ID can't be printed.
            scene.command("sh", ["-c", &script, VIAL, &rootfs]).ends(if files.contains(">&-") && files != "2>&-" {
                125
            } else {
                0
            });
            let web = Detached::find(scene, "web");
            let targets = |pid: u32| -> Vec<String> {
                let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
                files.filter_map(|file| Some(fs::read_link(file.path()).ok()?.display().to_string())).collect()
            };
            let inside = targets(web.pid());
            let known =
                |target: &String| ["/dev/null", "/dev/pts/0", "anon_inode:[signalfd]"].contains(&target.as_str());
            let strange: Vec<_> =
                inside.iter().filter(|target| !known(target) && !target.starts_with("pipe:")).collect();
            assert!(strange.is_empty() && inside.len() <= 4, "{options} {files}: {inside:?}");
            let has_shed = || proc(web.monitor(), "cmdline").starts_with("vial-monitor").then_some(());
            eventually("the monitor has let go of what it does not need", has_shed);
            eventually("it has its name", || (proc(web.monitor(), "comm") == "vial-monitor\n").then_some(()));
            let kept = targets(web.monitor());
            let directory = scene.directory().display().to_string();
            assert!(
                !kept.contains(&directory) && kept.iter().filter(|file| **file == "/dev/null").count() == 3,
                "{kept:?}"
            );
            assert_eq!(fs::read_link(format!("/proc/{}/cwd", web.monitor())).ok(), Some("/".into()));
            assert_eq!(proc(web.monitor(), "environ"), "");
            assert_eq!(web.condition(), "running");
            web.remove();
        }
    }
}

fn names_that_are_missing_are_told_and_the_others_served(scene: &Scene) {
    let (one, two) = (Detached::run(scene, "one", &[], OBEDIENT), Detached::run(scene, "two", &[], OBEDIENT));
    one.says("ready");
    two.says("ready");
    for (command, condition) in [("restart", "running"), ("stop", "exited"), ("start", "running"), ("kill", "exited")] {
        let output = scene.vial([command, "one", "no-such", "two"]).ends(125).prints("one\ntwo\n");
        output.says("no such container: no-such");
        assert_eq!((one.condition(), two.condition()), (condition.into(), condition.into()), "{command}");
        if command == "start" || command == "restart" {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    scene.vial(["rm", "one", "no-such", "two"]).ends(125).prints("one\ntwo\n");
    // By the beginning of an ID, and not by one that several have.
    let web = Detached::run(scene, "web", &[], OBEDIENT);
    web.says("ready");
    scene.vial(["stop", &web.id[..8]]).ok().prints(&format!("{}\n", &web.id[..8]));
    detached::run(scene, &["--name", "web"], "true").ends(125).says("in use");
    web.remove();
}
