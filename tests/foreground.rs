//! A container in the foreground: its streams, its exit code, its signals, its terminal, and what is said when it can't start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::util::command::{Output, VIAL};
use crate::util::container::{Container, eventually, groups, on_a_terminal, run, run_in, signal};
use crate::util::{Scene, rootfs};

trials! {
    input_output_and_errors_are_as_they_are [Root, Busybox, Kernel("overlay"), Command("run")];
    without_interactive_the_input_is_empty [Root, Busybox, Kernel("overlay"), Command("run")];
    every_exit_code_is_passed_on [Root, Busybox, Kernel("overlay"), Command("run")];
    death_by_a_signal_is_128_and_its_number [Root, Busybox, Kernel("overlay"), Command("run")];
    signals_reach_the_workload [Root, Busybox, Kernel("overlay"), Command("run")];
    a_stopped_vial_goes_on [Root, Busybox, Kernel("overlay"), Command("run")];
    output_that_nobody_reads_ends_the_workload [Root, Busybox, Tool("bash"), Kernel("overlay"), Command("run")];
    closed_standard_files_do_no_harm [Root, Busybox, Kernel("overlay"), Command("run")];
    the_terminal_has_the_size_of_the_users [Root, Busybox, Tool("script"), Tool("stty"), Kernel("overlay"), Command("run")];
    the_terminal_takes_keys_and_control_characters [Root, Busybox, Tool("script"), Kernel("overlay"), Command("run")];
    the_users_terminal_is_restored_whatever_happens [Root, Busybox, Tool("script"), Tool("stty"), Kernel("overlay"), Command("run")];
    the_users_terminal_is_raw_meanwhile [Root, Busybox, Tool("script"), Tool("stty"), Kernel("overlay"), Command("run")];
    nothing_is_lost_on_the_way_through_the_terminal [Root, Busybox, Tool("script"), Kernel("overlay"), Command("run")];
    a_terminal_without_one_is_refused_for_input [Root, Busybox, Kernel("overlay"), Command("run")];
    what_is_missing_is_told_in_a_line_with_a_hint [Root, Busybox, Kernel("overlay"), Command("run")];
    what_cannot_be_executed_is_told_by_its_reason [Root, Busybox, Kernel("overlay"), Command("run")];
    twenty_at_once_leave_nothing [Root, Busybox, Kernel("overlay"), Command("run")];
}

fn input_output_and_errors_are_as_they_are(scene: &Scene) {
    let script = "cat; echo out; echo words >&2";
    run(scene, &["-i"], script).input("in\n").ok().prints("in\nout\n").says("words\n");
    // Not through vial: the very same files.
    let words = [
        "-c",
        "exec \"$0\" run --rm -i \"$1\" sh -c 'readlink /proc/self/fd/0; readlink /proc/self/fd/1 >&2' <in >out 2>errors",
    ];
    fs::write(scene.path("in"), "").expect("write a file");
    scene.command("sh", words.into_iter().chain([VIAL, &scene.rootfs().display().to_string()])).ok();
    let read = |name: &str| fs::read_to_string(scene.path(name)).expect("the file is there");
    assert!(
        read("out").ends_with("/in\n") && read("errors").ends_with("/errors\n"),
        "{} {}",
        read("out"),
        read("errors")
    );
    let much = "0123456789abcdef".repeat(1 << 16);
    let output = run(scene, &["-i"], "tee /dev/stderr | wc -c").input(much.clone()).ok().prints("1048576\n");
    assert!(output.stderr == much);
}

fn without_interactive_the_input_is_empty(scene: &Scene) {
    run(scene, &[], "cat; readlink /proc/self/fd/0").input("unread\n").ok().prints("/dev/null\n");
    run(scene, &["-t"], "test -t 0 && echo yes").input("unread\n").ok().prints("yes\r\n");
    // It is the container's own null device, which is read only.
    run(scene, &[], "echo x >&0").ends(1);
}

fn every_exit_code_is_passed_on(scene: &Scene) {
    for code in [0, 1, 2, 42, 124, 125, 126, 127, 128, 137, 254, 255] {
        run(scene, &[], &format!("exit {code}")).ends(code).silent();
    }
    for options in [["-t"], ["--init"]] {
        run(scene, &options, "exit 42").ends(42);
    }
}

fn death_by_a_signal_is_128_and_its_number(scene: &Scene) {
    // Process 1 of its own namespace can't be killed from within, so that of the host.
    for (name, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11), ("USR1", 10)] {
        run(scene, &["--pid", "host"], &format!("kill -{name} $$; sleep 5")).ends(128 + number);
        run(scene, &["--init"], &format!("kill -{name} $$; sleep 5")).ends(128 + number);
    }
    Container::start(scene, &[], "exec sleep 600").stop().ends(137);
}

fn signals_reach_the_workload(scene: &Scene) {
    let script = "for name in TERM INT HUP USR1 USR2 QUIT CONT WINCH; do trap \"echo got $name; exit 7\" $name; done\n\
                  touch /shared/ready; while :; do sleep 0.02; done";
    let shared = format!("{}:/shared", scene.directory().display());
    for options in [&[][..], &["-t"], &["--init"]] {
        for name in ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"] {
            let container = Container::start(scene, &[&["-v", &shared], options].concat(), script);
            eventually("the workload has set its traps", || scene.path("ready").exists().then_some(()));
            fs::remove_file(scene.path("ready")).expect("remove a file");
            container.signal(name);
            container.vial.wait().ends(7).shows(&format!("got {name}"));
        }
    }
    // Process 1 without a handler lives on, as in every container; vial does, too.
    let container = Container::start(scene, &[], "exec sleep 600");
    for name in ["TERM", "INT", "HUP"] {
        container.signal(name);
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(container.proc("status").exists() && fs::metadata(format!("/proc/{}", container.vial.id())).is_ok());
    container.stop();
}

fn a_stopped_vial_goes_on(scene: &Scene) {
    let container = Container::start(scene, &[], "exec sleep 1");
    container.signal("STOP");
    std::thread::sleep(Duration::from_millis(1200));
    container.signal("CONT");
    container.vial.wait().ends(0);
}

fn output_that_nobody_reads_ends_the_workload(scene: &Scene) {
    for option in ["", "-t", "--init"] {
        let script = format!("\"$0\" run --rm {option} \"$1\" yes 2>errors | head -n 1; exit ${{PIPESTATUS[0]}}");
        let words = ["-c", &script, VIAL, &scene.rootfs().display().to_string()];
        let output = scene.command("bash", words).limit(Duration::from_secs(30)).run();
        assert_eq!(output.stdout.trim_end(), "y", "{}", output.shown());
        scene.assert_nothing_left();
    }
}

fn closed_standard_files_do_no_harm(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let script = format!(
            "\"$0\" run --rm -v \"$PWD\":/shared \"$1\" sh -c 'ls -l /proc/$$/fd >/shared/files; true' {closed}"
        );
        scene.command("sh", ["-c", &script, VIAL, &rootfs]).ok();
        // Nothing of vial's own took the free place.
        let files = fs::read_to_string(scene.path("files")).expect("the file is there");
        let foreign = files.lines().filter(|line| line.contains("->")).filter(|line| {
            let target = line.rsplit(" -> ").next().unwrap_or("");
            !target.starts_with("pipe:") && !target.ends_with("/dev/null") && !target.ends_with("/files")
        });
        assert_eq!(foreign.count(), 0, "{closed}:\n{files}");
    }
}

fn the_terminal_has_the_size_of_the_users(scene: &Scene) {
    let script = "stty rows 33 cols 77\n$VIAL run --rm -it $ROOT stty size\n$VIAL run --rm -it --init $ROOT sh -c 'stty size; tty'";
    on_a_terminal(scene, script, "").ends(0).prints("33 77\r\n33 77\r\n/dev/pts/0\r\n");
    // And follows it.
    let script = "stty rows 33 cols 77\nterminal=$(tty)\n\
                  (until test -e ready; do sleep 0.02; done; stty rows 44 cols 99 <$terminal) &\n\
                  $VIAL run --rm -it -v $PWD:/shared $ROOT sh -c 'trap \"stty size; exit\" WINCH; touch /shared/ready; while :; do sleep 0.02; done'";
    on_a_terminal(scene, script, "").ends(0).prints("44 99\r\n");
}

fn the_terminal_takes_keys_and_control_characters(scene: &Scene) {
    let script = "stty -echo\n$VIAL run --rm -it $ROOT sh -c 'stty -echo; echo ready; read line; echo got $line; trap \"echo interrupted; exit 9\" INT; while :; do sleep 0.02; done'; echo code $?";
    fs::write(scene.path("script"), script).expect("write a script");
    // Keys are typed when somebody is there to read them.
    let typed = "(until grep -q ready output 2>/dev/null; do sleep 0.02; done; printf 'words\\r'; until grep -q got output; do sleep 0.02; done; sleep 0.3; printf '\\003'; \
                 until grep -q code output; do sleep 0.02; done) | script -qefc 'bash ./script' /dev/null >output; tr -d '\\r' <output";
    let output = scene.command("bash", ["-c", typed]).env("VIAL", VIAL).env("ROOT", scene.rootfs()).ok();
    assert!(
        output.stdout.contains("got words\n") && output.stdout.contains("interrupted\ncode 9\n"),
        "{}",
        output.shown()
    );
}

fn the_users_terminal_is_restored_whatever_happens(scene: &Scene) {
    // How the run ends; what comes of it.
    for (what, run, code) in [
        ("the workload ends", "$VIAL run --rm -it $ROOT true", 0),
        ("the workload fails", "$VIAL run --rm -it $ROOT sh -c 'stty raw; exit 3'", 3),
        ("the workload can't be executed", "$VIAL run --rm -it $ROOT /missing", 127),
        (
            "the workload is killed",
            "$VIAL run --rm -it --pid host -v $PWD:/shared $ROOT sh -c 'kill -9 $$; sleep 9'",
            137,
        ),
        (
            "vial is asked to end",
            "(until test -e ready; do sleep 0.02; done; kill -TERM $(pgrep -f 'name victim'| head -n 1)) &\n\
          $VIAL run --rm -it --init --name victim -v $PWD:/shared $ROOT sh -c 'touch /shared/ready; sleep 600; sleep 600'",
            143,
        ),
        ("the image is missing", "$VIAL run --rm -it no-such-image true", 125),
    ] {
        let script = format!(
            "before=$(stty -g)\n{run}\ncode=$?\ntest \"$(stty -g)\" = \"$before\" && echo same >result || stty -a >result\necho $code >>result"
        );
        let output = on_a_terminal(scene, &script, "");
        let result = fs::read_to_string(scene.path("result")).expect("the script has written its result");
        assert_eq!(result, format!("same\n{code}\n"), "{what}: {}", output.shown());
        let _ = fs::remove_file(scene.path("ready"));
    }
}

fn the_users_terminal_is_raw_meanwhile(scene: &Scene) {
    let script = "terminal=$(tty)\n(until test -e ready; do sleep 0.02; done; stty -a <$terminal >modes; touch seen) &\n\
                  $VIAL run --rm -it -v $PWD:/shared $ROOT sh -c 'touch /shared/ready; until test -e /shared/seen; do sleep 0.02; done'";
    on_a_terminal(scene, script, "").ends(0);
    let modes = fs::read_to_string(scene.path("modes")).expect("the modes were written");
    assert!(
        ["-icanon", "-echo ", "-isig", "-opost", "-icrnl", "-ixon"].iter().all(|mode| modes.contains(mode)),
        "{modes}"
    );
}

fn nothing_is_lost_on_the_way_through_the_terminal(scene: &Scene) {
    let expected: String = (1..=100_000).map(|number| format!("{number}\r\n")).collect();
    // The end of the workload comes while much is still on its way.
    let output = run(scene, &["-t"], "seq 1 100000").ok();
    assert!(output.stdout == expected, "{} of {} bytes", output.stdout.len(), expected.len());
    let output = on_a_terminal(scene, "$VIAL run --rm -it $ROOT seq 1 100000", "").ends(0);
    assert!(output.stdout == expected, "{} of {} bytes", output.stdout.len(), expected.len());
    // Nor when the workload is long gone before vial gets to read.
    let shared = format!("{}:/shared", scene.directory().display());
    let script = "until test -e /shared/go; do sleep 0.02; done; seq 1 2000";
    let container = Container::start(scene, &["-t", "-v", &shared], script);
    container.signal("STOP");
    fs::write(scene.path("go"), "").expect("write a file");
    eventually("the workload has ended", || container.read_proc("stat").contains(") Z ").then_some(()));
    container.signal("CONT");
    let output = container.vial.wait().ends(0);
    assert!(expected.starts_with(&output.stdout) && output.stdout.ends_with("\n2000\r\n"), "{}", output.shown());
    // Nor when the reader is slow.
    let slow = format!("{VIAL} run --rm -t {} seq 1 100000 | (sleep 0.5; cat)", scene.rootfs().display());
    let output = scene.command("sh", ["-c", &slow]).ok();
    assert!(output.stdout == expected, "{} of {} bytes", output.stdout.len(), expected.len());
}

fn a_terminal_without_one_is_refused_for_input(scene: &Scene) {
    run(scene, &["-it"], "echo ran").ends(125).prints("").says("--tty").says("hint: ");
}

/// One line for what is wrong, at most one for why vial did it, and hints.
#[track_caller]
fn is_told_well(output: &Output) {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let rest_is_known = lines.iter().skip(1).all(|line| line.starts_with("hint: ") || line.starts_with("while: "));
    let is_short = lines.len() <= 3 && lines.first().is_some_and(|line| line.starts_with("vial: "));
    assert!(is_short && rest_is_known && output.stdout.is_empty(), "{}", output.shown());
    assert!(output.stderr.contains("hint: "), "no hint: {}", output.shown());
}

fn what_is_missing_is_told_in_a_line_with_a_hint(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let volume = format!("{}:/data", scene.path("file").display());
    fs::write(scene.path("file"), "").expect("write a file");
    // A parent of the test's own shows that no group stays.
    let parent = format!("/vial-test-{}-missing", std::process::id());
    let cases: &[(i32, &[&str], &str)] = &[
        (127, &[&rootfs, "no-such-command"], "no-such-command"),
        (127, &[&rootfs, "/no/such/file"], "/no/such/file"),
        (127, &["--init", &rootfs, "no-such-command"], "no-such-command"),
        (125, &["no-such-image", "true"], "no-such-image"),
        (125, &["no-such-image:tag", "true"], "no-such-image"),
        (125, &["./no-such-directory", "true"], "no-such-directory"),
        (125, &["./file", "true"], "file"),
        (125, &["--mount", "type=bind,src=/no/such/source,dst=/data", &rootfs, "true"], "/no/such/source"),
        (125, &["-v", &volume, "-v", "/etc:/bin/busybox", &rootfs, "true"], "/bin/busybox"),
        (125, &["-u", "nobody-there", &rootfs, "true"], "nobody-there"),
        (125, &["--network", "container:none", &rootfs, "true"], "none"),
    ];
    for (code, words, named) in cases {
        let output = scene.vial(["run", "--rm", "--cgroup-parent", &parent]).args(*words).ends(*code).says(named);
        is_told_well(&output);
        // Also without --rm: what never ran is not kept.
        scene.vial(["run", "--cgroup-parent", &parent]).args(*words).ends(*code);
        scene.assert_nothing_left();
    }
    assert!(groups(&parent).is_empty());
}

fn what_cannot_be_executed_is_told_by_its_reason(scene: &Scene) {
    let root = scene.path("own");
    rootfs::make(&root).expect("make a root");
    let write = |name: &str, content: &str, mode: u32| {
        fs::write(root.join(name), content).expect("write a file");
        fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode)).expect("set a mode");
    };
    write("plain", "echo script", 0o755);
    write("locked", "#!/bin/sh\necho ran", 0o644);
    write("private", "#!/bin/sh\necho ran", 0o700);
    write("lost", "#!/no/such/interpreter\n", 0o755);
    write("works", "#!/bin/sh\necho ran \"$@\"", 0o755);
    let image = root.display().to_string();
    for (program, options, code, words) in [
        ("/plain", &[][..], 126, "ENOEXEC"),
        ("/locked", &[], 126, "not executable"),
        ("/private", &["-u", "user"], 126, "EACCES"),
        ("/etc", &[], 126, "directory"),
        ("/lost", &[], 126, "interpreter"),
        ("/works/below", &[], 127, "ENOTDIR"),
    ] {
        let output =
            scene.vial(["run", "--rm"]).args(options).args([&image, program]).ends(code).says(words).says(program);
        is_told_well(&output);
    }
    scene.vial(["run", "--rm", &image, "/works", "a", "b c"]).ok().prints("ran a b c\n");
    scene.vial(["run", "--rm", "-w", "/", &image, "./works"]).ok().prints("ran\n");
    run_in(scene, &["-e", "PATH=/nowhere:/"], &image, "true").ends(127);
    scene.vial(["run", "--rm", "-e", "PATH=/nowhere:/", &image, "works"]).ok().prints("ran\n");
}

fn twenty_at_once_leave_nothing(scene: &Scene) {
    let start = |number: u32| {
        run(
            scene,
            &["--pids-limit", "50", "-v", "shared:/data"],
            &format!("echo {number} >/data/{number}; (sleep 600 &); exit {number}"),
        )
        .start()
    };
    let running: Vec<_> = (0..20).map(start).collect();
    for (number, running) in running.into_iter().enumerate() {
        running.wait().ends(number as i32).silent();
    }
    let written = fs::read_dir(scene.root().join("volumes/shared/_data")).expect("the volume is there").count();
    assert_eq!(written, 20);
    scene.assert_nothing_left();
    // Killed in the middle of it, they leave what gc removes.
    let running: Vec<_> = (0..10).map(|_| run(scene, &[], "sleep 600").start()).collect();
    for (number, running) in running.into_iter().enumerate() {
        std::thread::sleep(Duration::from_millis(number as u64 * 2));
        signal(running.id(), "KILL");
        drop(running.wait().ends(137));
    }
    scene.vial(["gc"]).ok();
    scene.assert_nothing_left();
}
