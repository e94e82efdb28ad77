//! `vial exec`: what joins a container is as its first process is, and ends as it should. Its hostile side is in `hostile.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::command::{Cmd, VIAL};
use crate::util::container::on_a_terminal;
use crate::util::container::{Container, eventually, groups, signal};

trials! {
    it_is_in_all_namespaces_of_the_container [Root, Busybox, Kernel("overlay"), Command("exec")];
    it_is_in_the_control_groups_of_the_container [Root, Busybox, Kernel("overlay"), Command("exec")];
    it_has_the_rights_and_surroundings_of_the_first_process [Root, Busybox, Kernel("overlay"), Command("exec")];
    its_user_and_groups_are_those_that_were_asked_for [Root, Busybox, Kernel("overlay"), Command("exec")];
    its_variables_are_the_containers_and_those_given [Root, Busybox, Kernel("overlay"), Command("exec")];
    its_directory_is_the_containers_or_the_one_given [Root, Busybox, Kernel("overlay"), Command("exec")];
    privileged_grants_what_vial_has_and_nothing_else_does [Root, Busybox, Kernel("overlay"), Command("exec")];
    input_and_output_are_as_they_are [Root, Busybox, Kernel("overlay"), Command("exec")];
    exit_codes_are_passed_on_and_failures_told_apart [Root, Busybox, Kernel("overlay"), Command("exec")];
    signals_are_passed_on [Root, Busybox, Kernel("overlay"), Command("exec")];
    its_terminal_is_its_own [Root, Busybox, Tool("script"), Tool("stty"), Kernel("overlay"), Command("exec")];
    a_terminal_is_refused_where_there_can_be_none [Root, Busybox, Kernel("overlay"), Command("exec")];
    detached_it_goes_on_without_vial [Root, Busybox, Kernel("overlay"), Command("exec")];
    killing_vial_kills_it [Root, Busybox, Kernel("overlay"), Command("exec")];
    it_works_in_a_container_with_an_init_and_one_that_is_detached [Root, Busybox, Kernel("overlay"), Command("exec")];
    a_container_that_does_not_run_is_told [Root, Busybox, Kernel("overlay"), Command("exec")];
    fifty_at_once_leave_nothing [Root, Busybox, Kernel("overlay"), Command("exec")];
    a_container_that_ends_meanwhile_takes_it_along [Root, Busybox, Kernel("overlay"), Command("exec")];
    no_file_of_the_callers_is_open [Root, Busybox, Tool("bash"), Kernel("overlay"), Command("exec")];
    a_monitor_has_only_files_of_its_own [Root, Busybox, Tool("bash"), Kernel("overlay"), Command("exec")];
}

/// What a container does while others join it.
const WAIT: &str = "exec sleep 600";
/// The kinds of namespaces.
const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// `vial exec` of a shell script.
fn exec<'a>(scene: &'a Scene, id: &str, options: &[&str], script: &str) -> Cmd<'a> {
    scene.vial(["exec"]).args(options).args([id, "sh", "-c", script])
}

/// What the script prints; it must succeed and say nothing else.
#[track_caller]
fn inside(scene: &Scene, id: &str, options: &[&str], script: &str) -> String {
    exec(scene, id, options, script).ok().silent().stdout
}

fn it_is_in_all_namespaces_of_the_container(scene: &Scene) {
    let script = format!("for kind in {}; do readlink /proc/self/ns/$kind; done", KINDS.join(" "));
    let check = |container: &Container, options: &[&str]| {
        let own: Vec<String> = KINDS.iter().map(|kind| container.namespace(kind) + "\n").collect();
        assert_eq!(inside(scene, &container.id, &[], &script), own.concat(), "{options:?}");
    };
    let first = Container::named(scene, "first", &[], WAIT);
    check(&first, &[]);
    for options in [
        ["--pid", "host"],
        ["--network", "host"],
        ["--ipc", "host"],
        ["--uts", "host"],
        ["--cgroupns", "host"],
        ["--pid", "container:first"],
        ["--network", "container:first"],
        ["--ipc", "container:first"],
        ["--uts", "container:first"],
    ] {
        let second = Container::named(scene, "second", &options, WAIT);
        check(&second, &options);
        second.stop();
    }
    first.stop();
}

fn it_is_in_the_control_groups_of_the_container(scene: &Scene) {
    let container = Container::start(scene, &["--pids-limit", "20", "-m", "64m"], WAIT);
    let ours = fs::read_to_string("/proc/self/cgroup").expect("read the own groups");
    let before = container.read_proc("cgroup");
    assert!(before != ours && before.contains("vial"), "{before}");
    exec(scene, &container.id, &["-d"], WAIT).ok().prints("").silent();
    let directories = groups(&format!("/vial/{}", container.id));
    assert!(!directories.is_empty());
    for directory in directories {
        let inside = fs::read_to_string(directory.join("cgroup.procs")).expect("read the processes of a group");
        let pids: Vec<&str> = inside.lines().collect();
        assert_eq!(pids.len(), 2, "{} holds {pids:?}", directory.display());
        for pid in pids {
            assert_eq!(fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("read the groups"), before);
        }
    }
    container.stop();
}

fn it_has_the_rights_and_surroundings_of_the_first_process(scene: &Scene) {
    let probe = "grep -E '^(Cap|NoNewPrivs|Seccomp|Uid|Gid|Groups|Umask|SigBlk|SigIgn)' /proc/self/status; cat /proc/self/limits \
                 /proc/self/oom_score_adj; umask; pwd; env | sort; hostname; cat /proc/mounts";
    let shared = format!("{}:/shared", scene.directory().display());
    let everything = [
        &["--cap-drop", "ALL", "--cap-add", "KILL", "--cap-add", "SETUID", "--cap-add", "SETGID"][..],
        &[
            "--security-opt",
            "no-new-privileges",
            "--ulimit",
            "nofile=64:128",
            "--ulimit",
            "core=0",
            "--oom-score-adj",
            "500",
        ],
        &["-u", "user", "--group-add", "audio", "-w", "/tmp", "-e", "A=b c", "-h", "inside", "--read-only"],
    ]
    .concat();
    for options in [&[][..], &["--cap-add", "ALL"], &["-u", "1234:55"], &["-u", "nobody"], &["--init"], &everything] {
        fs::write(scene.path("first"), "").expect("write a file");
        std::os::unix::fs::chown(scene.path("first"), Some(1000), None).expect("give a file away");
        fs::set_permissions(scene.path("first"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("set a mode");
        let script = format!("({probe}) >/shared/first; echo done >>/shared/first; exec sleep 600");
        let container = Container::start(scene, &[&["-v", &shared], options].concat(), &script);
        let first = eventually("the first process has told", || {
            let text = fs::read_to_string(scene.path("first")).expect("read what it told");
            text.strip_suffix("done\n").map(str::to_owned)
        });
        assert_eq!(inside(scene, &container.id, &[], &format!("({probe})")), first, "{options:?}");
        container.stop();
    }
}

fn its_user_and_groups_are_those_that_were_asked_for(scene: &Scene) {
    let container = Container::start(scene, &["-u", "nobody"], WAIT);
    for (options, expected) in [
        (&[][..], "65534 65534 65534 /\n"),
        (&["-u", "root"], "0 0 0 /root\n"),
        (&["-u", "user"], "1000 1000 1000 29 /home/user\n"),
        (&["-u", "user:audio"], "1000 29 29 /home/user\n"),
        (&["-u", "user:7"], "1000 7 7 /home/user\n"),
        (&["-u", "4321"], "4321 0 0 /\n"),
        (&["-u", "4321:8765"], "4321 8765 8765 /\n"),
    ] {
        let told = inside(scene, &container.id, options, "echo $(id -u) $(id -g) $(id -G) $HOME");
        assert_eq!(told, expected, "{options:?}");
    }
    exec(scene, &container.id, &["-u", "somebody"], "true").ends(125).prints("").says("somebody").says("hint: ");
    // Another user has no capability, whatever the container has.
    let sets = inside(scene, &container.id, &["-u", "user"], "grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status");
    assert_eq!(sets.matches("0000000000000000").count(), 3, "{sets}");
    container.stop();
}

fn its_variables_are_the_containers_and_those_given(scene: &Scene) {
    let container = Container::start(scene, &["-e", "A=1", "-e", "B=2"], WAIT);
    fs::write(scene.path("file"), "# comment\nB=from file\nC=3\nPASSED\n").expect("write a file");
    let id = &container.id;
    assert_eq!(inside(scene, id, &[], "echo $A $B $C"), "1 2\n");
    assert_eq!(inside(scene, id, &["--env-file", "file", "-e", "A=9"], "echo $A $B $C"), "9 from file 3\n");
    // As run has it: a name alone passes the caller's on, and -e counts more than a file.
    let passed = exec(scene, id, &["--env-file", "file", "-e", "B=mine", "-e", "X"], "echo $B $PASSED $X${Y-none}");
    passed.env("PASSED", "p").env("X", "x").env("Y", "y").ok().prints("mine p xnone\n");
    assert_eq!(inside(scene, id, &["-e", "A="], "echo ${A-unset}."), ".\n");
    assert_eq!(inside(scene, id, &["-e", "HOME=/mine"], "echo $HOME"), "/mine\n");
    // The search is by the new PATH.
    scene.vial(["exec", "-e", "PATH=/nowhere", id, "true"]).ends(127);
    exec(scene, id, &["--env-file", "missing"], "true").ends(125).says("missing");
    container.stop();
}

fn its_directory_is_the_containers_or_the_one_given(scene: &Scene) {
    let container = Container::start(scene, &["-w", "/usr"], WAIT);
    let id = &container.id;
    for (options, expected) in [(&[][..], "/usr\n"), (&["-w", "/home/user"], "/home/user\n"), (&["-w", "/"], "/\n")] {
        assert_eq!(inside(scene, id, options, "pwd"), expected);
    }
    for (path, what) in [("/missing", "ENOENT"), ("/etc/passwd", "ENOTDIR")] {
        exec(scene, id, &["-w", path], "true").ends(125).says(path).says(what);
    }
    exec(scene, id, &["-u", "user", "-w", "/root"], "true").ends(125).says("EACCES");
    container.stop();
}

fn privileged_grants_what_vial_has_and_nothing_else_does(scene: &Scene) {
    let own = fs::read_to_string("/proc/self/status").expect("read the own status");
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).expect("the own capabilities");
    let container = Container::start(scene, &["--cap-drop", "ALL"], WAIT);
    let script = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f 2";
    let id = &container.id;
    assert_eq!(inside(scene, id, &["--privileged"], script), format!("{own}\n{own}\n{own}\n"));
    assert_eq!(inside(scene, id, &[], script), "0000000000000000\n".repeat(3));
    container.stop();
}

fn input_and_output_are_as_they_are(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let id = &container.id;
    exec(scene, id, &["-i"], "cat; echo words >&2; exit 3").input("in\n").ends(3).prints("in\n").says("words\n");
    exec(scene, id, &[], "cat; readlink /proc/self/fd/0").input("unread\n").ok().prints("/dev/null\n");
    let much = "0123456789abcdef".repeat(1 << 16);
    exec(scene, id, &["-i"], "wc -c").input(much.clone()).ok().prints("1048576\n");
    let output = exec(scene, id, &["-i"], "cat").input(much.clone()).ok();
    assert!(output.stdout == much);
    container.stop();
}

fn exit_codes_are_passed_on_and_failures_told_apart(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let id = &container.id;
    for code in [0, 1, 42, 125, 126, 127, 255] {
        exec(scene, id, &[], &format!("exit {code}")).ends(code).silent();
        exec(scene, id, &["-t"], &format!("exit {code}")).ends(code).silent();
    }
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11)] {
        exec(scene, id, &[], &format!("kill -{name} $$; sleep 5")).ends(128 + number);
    }
    for options in [&["exec"][..], &["exec", "-d"], &["exec", "-t"]] {
        for (command, code, what) in [
            ("no-such-command", 127, "no-such-command"),
            ("/no/such/file", 127, "ENOENT"),
            ("/etc/passwd", 126, "not executable"),
            ("/etc", 126, "directory"),
            ("/etc/passwd/below", 127, "ENOTDIR"),
        ] {
            scene.vial(options).args([id, command]).ends(code).prints("").says(what).says("hint: ");
        }
    }
    container.stop();
}

fn signals_are_passed_on(scene: &Scene) {
    let shared = format!("{}:/shared", scene.directory().display());
    let container = Container::start(scene, &["-v", &shared], WAIT);
    for (options, name) in [(&[][..], "TERM"), (&[], "INT"), (&[], "HUP"), (&[], "USR1"), (&["-t"], "QUIT")] {
        let script =
            format!("trap 'echo got {name}; exit 7' {name}; touch /shared/ready; while :; do sleep 0.02; done");
        let vial = exec(scene, &container.id, options, &script).start();
        eventually("it has set its trap", || fs::remove_file(scene.path("ready")).ok());
        signal(vial.id(), name);
        vial.wait().ends(7).shows(&format!("got {name}"));
    }
    // Without a trap it ends by them: it is not process 1.
    let vial = exec(scene, &container.id, &[], "touch /shared/ready; exec sleep 600").start();
    eventually("it runs", || fs::remove_file(scene.path("ready")).ok());
    std::thread::sleep(Duration::from_millis(50));
    signal(vial.id(), "TERM");
    vial.wait().ends(143);
    container.stop();
}

fn its_terminal_is_its_own(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let id = &container.id;
    // The size; that it is the controlling terminal of a session that the process leads; and no file but that.
    let script = format!(
        "stty rows 33 cols 77\n$VIAL exec -it {id} sh -c \
         'stty size; tty; tty </dev/tty; cut -d \" \" -f 1,5,6,8 /proc/self/stat | tr \" \" \"\\n\" | sort -u | wc -l; echo $TERM; exec ls -1 /proc/self/fd'"
    );
    let shown = on_a_terminal(scene, &script, "").ends(0);
    // busybox's sh executes cut as a child of its own group, which is then the terminal's foreground group.
    shown.prints("33 77\r\n/dev/pts/0\r\n/dev/tty\r\n2\r\nxterm\r\n0\r\n1\r\n2\r\n3\r\n");
    // Sizes are passed on (busybox sets rows and columns one after the other), keys make signals, and job control works.
    let shared = format!("{}:/shared", scene.directory().display());
    let other = Container::named(scene, "other", &["-v", &shared], WAIT);
    let script = "stty rows 33 cols 77\nterminal=$(tty)\n\
                  (until test -e ready; do sleep 0.02; done; stty rows 44 cols 99 <$terminal) &\n\
                  $VIAL exec -it other sh -c 'trap \"stty size | grep 44.99 && exit 5\" WINCH; touch /shared/ready; while :; do sleep 0.02; done'\necho code $?";
    on_a_terminal(scene, script, "").ends(0).prints("44 99\r\ncode 5\r\n");
    let jobs = "$VIAL exec -it other sh -c 'set -m; sleep 600 & jobs; kill %1; wait; sh -c \"kill -STOP \\$\\$\"; jobs; fg; echo over'";
    let output = on_a_terminal(scene, jobs, "").ends(0);
    assert!(output.stdout.contains("Running") && output.stdout.contains("Stopped"), "{}", output.shown());
    assert!(output.stdout.ends_with("over\r\n") && output.stderr.is_empty(), "{}", output.shown());
    // All that was written is shown.
    let expected: String = (1..=20_000).map(|number| format!("{number}\r\n")).collect();
    let output = scene.vial(["exec", "-t", id, "seq", "1", "20000"]).ok();
    assert!(output.stdout == expected, "{} of {} bytes", output.stdout.len(), expected.len());
    // The user's terminal is as before.
    let script = format!(
        "before=$(stty -g)\n$VIAL exec -it {id} sh -c 'stty raw; exit 3'\ntest \"$(stty -g)\" = \"$before\" && echo same"
    );
    on_a_terminal(scene, &script, "").ends(0).shows("same");
    other.stop();
    container.stop();
}

fn a_terminal_is_refused_where_there_can_be_none(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    exec(scene, &container.id, &["-it"], "echo ran").ends(125).prints("").says("--tty").says("hint: ");
    exec(scene, &container.id, &["-dt"], "echo ran").ends(125).prints("").says("--detach").says("hint: ");
    container.stop();
}

fn detached_it_goes_on_without_vial(scene: &Scene) {
    let shared = format!("{}:/shared", scene.directory().display());
    let container = Container::start(scene, &["-v", &shared], WAIT);
    let begun = Instant::now();
    let script = "files=$(for file in 0 1 2; do readlink /proc/$$/fd/$file; done); echo \"$files\" >/shared/files; cat >/shared/input; sleep 0.3; \
                  cut -d ' ' -f 1,6 /proc/self/stat >/shared/late; exec sleep 600";
    exec(scene, &container.id, &["-d"], script).input("unread").ok().prints("").silent();
    // With -i there is nobody to give it input either.
    exec(scene, &container.id, &["-di"], "cat >/shared/other").input("unread").ok().prints("").silent();
    assert!(begun.elapsed() < Duration::from_secs(30));
    eventually("it goes on", || fs::read_to_string(scene.path("late")).ok().filter(|text| text.ends_with('\n')));
    let read = |name: &str| fs::read_to_string(scene.path(name)).expect("it was written");
    assert_eq!(read("files"), "/dev/null\n".repeat(3));
    assert_eq!((read("input"), read("other")), (String::new(), String::new()));
    // It ends with the container.
    container.stop();
    scene.assert_nothing_left();
}

fn killing_vial_kills_it(scene: &Scene) {
    let shared = format!("{}:/shared", scene.directory().display());
    for options in [&[][..], &["--pid", "host"], &["--init"]] {
        let container = Container::start(scene, &[&["-v", &shared], options].concat(), WAIT);
        for options in [&[][..], &["-t"], &["-u", "user"]] {
            fs::write(scene.path("pid"), "").expect("write a file");
            fs::set_permissions(scene.path("pid"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .expect("set a mode");
            let script = "echo $$ >/shared/pid; exec sleep 600";
            let vial = exec(scene, &container.id, options, script).start();
            let pid = eventually("it runs", || {
                fs::read_to_string(scene.path("pid")).ok().filter(|text| text.ends_with('\n'))
            });
            let pid = pid.trim();
            let is_there = || {
                inside(
                    scene,
                    &container.id,
                    &[],
                    &format!("test -d /proc/{pid} && grep State /proc/{pid}/status; true"),
                )
            };
            assert!(!is_there().is_empty());
            signal(vial.id(), "KILL");
            drop(vial.wait().ends(137));
            eventually("it is gone", || {
                let state = is_there();
                (state.is_empty() || state.contains('Z')).then_some(())
            });
        }
        container.stop();
    }
}

fn it_works_in_a_container_with_an_init_and_one_that_is_detached(scene: &Scene) {
    let container = Container::start(scene, &["--init"], WAIT);
    assert_eq!(inside(scene, &container.id, &[], "tr '\\0' ' ' </proc/2/cmdline"), "sleep 600 ");
    container.stop();
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "-d", "--name", "stays", &rootfs, "sleep", "600"]).ok();
    assert_eq!(inside(scene, "stays", &[], "tr '\\0' ' ' </proc/1/cmdline"), "sleep 600 ");
    exec(scene, "stays", &[], "exit 9").ends(9);
    scene.vial(["restart", "-t", "0", "stays"]).ok();
    assert_eq!(inside(scene, "stays", &[], "tr '\\0' ' ' </proc/1/cmdline"), "sleep 600 ");
    scene.vial(["rm", "-f", "stays"]).ok();
}

fn a_container_that_does_not_run_is_told(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["create", "--name", "made", &rootfs, "true"]).ok();
    exec(scene, "made", &[], "true").ends(125).prints("").says("made").says("vial start made");
    scene.vial(["run", "--name", "ended", &rootfs, "true"]).ok();
    exec(scene, "ended", &["-d"], "true").ends(125).prints("").says("ended does not run");
    scene.vial(["run", "-d", "--name", "paused", &rootfs, "sleep", "600"]).ok();
    scene.vial(["pause", "paused"]).ok();
    exec(scene, "paused", &[], "true").ends(125).prints("").says("paused").says("vial unpause paused");
    scene.vial(["unpause", "paused"]).ok();
    assert_eq!(inside(scene, "paused", &[], "echo on"), "on\n");
    scene.vial(["rm", "-f", "paused"]).ok();
    exec(scene, "nobody", &[], "true").ends(125).says("no such container: nobody");
    scene.vial(["exec", "made"]).ends(125).says("exec");
    scene.vial(["rm", "made", "ended"]).ok();
}

fn fifty_at_once_leave_nothing(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let start = |number: u32| {
        let options: &[&str] = if number.is_multiple_of(3) { &["-t"] } else { &["-u", "user"] };
        exec(scene, &container.id, options, &format!("echo {number}; exit {number}")).start()
    };
    let running: Vec<_> = (0..50).map(start).collect();
    for (number, running) in running.into_iter().enumerate() {
        let output = running.wait().ends(number as i32);
        assert_eq!(output.stdout.trim_end(), number.to_string());
    }
    eventually("only the first is left", || {
        (inside(scene, &container.id, &[], "set -- /proc/[0-9]*; echo $#") == "2\n").then_some(())
    });
    // Killed in the middle of it, they leave nothing either.
    let running: Vec<_> = (0..10).map(|_| exec(scene, &container.id, &[], WAIT).start()).collect();
    for (number, running) in running.into_iter().enumerate() {
        std::thread::sleep(Duration::from_millis(number as u64 * 2));
        signal(running.id(), "KILL");
        drop(running.wait().ends(137));
    }
    eventually("they are gone", || {
        inside(scene, &container.id, &[], "ps").lines().all(|line| !line.contains("sh -c exec")).then_some(())
    });
    let file = scene.root().join("containers").join(&container.id).join("state.json");
    assert!(fs::read_to_string(file).expect("the state").contains("running"));
    container.stop();
}

fn a_container_that_ends_meanwhile_takes_it_along(scene: &Scene) {
    for round in 0..12 {
        let options: &[&str] = if round % 3 == 0 { &["--init"] } else { &[] };
        let container = Container::start(scene, options, WAIT);
        let running: Vec<_> = (0..4).map(|_| exec(scene, &container.id, &[], WAIT).start()).collect();
        std::thread::sleep(Duration::from_millis(round * 3));
        signal(container.pid, "KILL");
        for running in running {
            // It was killed with the container, or came too late.
            let output = running.wait();
            assert!(output.code == 137 || output.code == 125, "{}", output.shown());
            let words = ["has ended", "does not run", "no such container", "killed by SIGKILL", "the container ends"];
            assert!(output.code == 137 || words.iter().any(|word| output.stderr.contains(word)), "{}", output.shown());
        }
        container.vial.wait().ends(137);
        scene.assert_nothing_left();
    }
}

/// Starts vial with many files open: `$0` and the arguments.
const MANY_FILES: &str =
    "for number in $(seq 3 20); do eval \"exec $number</\"; done; exec 40<>/dev/null; exec \"$0\" \"$@\"";

fn no_file_of_the_callers_is_open(scene: &Scene) {
    let shared = format!("{}:/shared", scene.directory().display());
    let container = Container::start(scene, &["-v", &shared], WAIT);
    // The last is the listing's own.
    let list = "exec ls /proc/self/fd >/shared/files";
    let listed = || {
        let text = eventually("the files are listed", || {
            fs::read_to_string(scene.path("files")).ok().filter(|text| text.ends_with("3\n"))
        });
        fs::remove_file(scene.path("files")).expect("remove a file");
        text
    };
    for options in [&[][..], &["-i"], &["-d"], &["-u", "user"]] {
        if options == ["-u", "user"] {
            fs::write(scene.path("files"), "").expect("write a file");
            fs::set_permissions(scene.path("files"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .expect("set a mode");
        }
        let words = ["-c", MANY_FILES, VIAL, "exec"].into_iter().chain(options.iter().copied());
        scene.command("bash", words.chain([&*container.id, "sh", "-c", list])).ok();
        assert_eq!(listed(), "0\n1\n2\n3\n", "{options:?}");
    }
    let words = ["-c", MANY_FILES, VIAL, "exec", "-t", &*container.id, "ls", "-1", "/proc/self/fd"];
    scene.command("bash", words).ok().prints("0\r\n1\r\n2\r\n3\r\n");
    container.stop();
    let rootfs = scene.rootfs().display().to_string();
    for options in [&[][..], &["--init"], &["-i"], &["-t"]] {
        let run = ["-c", MANY_FILES, VIAL, "run", "--rm", "-d", "-v", &shared].into_iter();
        scene.command("bash", run.chain(options.iter().copied()).chain([&*rootfs, "sh", "-c", list])).ok();
        assert_eq!(listed(), "0\n1\n2\n3\n", "run -d {options:?}");
        eventually("the container is gone", || scene.vial(["ps", "-aq"]).ok().stdout.is_empty().then_some(()));
    }
}

fn a_monitor_has_only_files_of_its_own(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for (options, inputs) in [(&[][..], 0), (&["-i"], 1), (&["-t"], 0), (&["--init"], 0)] {
        let run = ["-c", MANY_FILES, VIAL, "run", "-d", "--name", "stays"].into_iter();
        scene.command("bash", run.chain(options.iter().copied()).chain([&*rootfs, "sleep", "600"])).ok();
        let state = scene.vial(["inspect", "-f", "{{.Id}}", "stays"]).ok().stdout;
        let directory = scene.root().join("containers").join(state.trim());
        let text = fs::read_to_string(directory.join("state.json")).expect("the state");
        let owner =
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["owner"].as_u64().expect("an owner");
        let known = [scene.root(), directory.clone(), directory.join("log")];
        let wanted = if options == ["-t"] { 0 } else { 2 + inputs };
        // What is wrong with them; a file may go while it is looked at.
        let wrong = || {
            let (mut pipes, mut wrong) = (0, Vec::new());
            for entry in fs::read_dir(format!("/proc/{owner}/fd")).expect("list the monitor's files").flatten() {
                let path = entry.path();
                let Ok(target) = fs::read_link(&path) else { continue };
                let target = target.display().to_string();
                pipes += usize::from(target.starts_with("pipe:"));
                let is_known = known.iter().any(|path| path.display().to_string() == target)
                    || ["pipe:", "socket:", "anon_inode:[signalfd]", "/dev/null", "/dev/pts/ptmx", "/ptmx"]
                        .iter()
                        .any(|start| target.starts_with(start));
                // The device is the host's, or its own instance of devpts.
                let is_null = fs::metadata(&path).is_ok_and(|data| data.rdev() == 0x103);
                if !is_known || target.starts_with("/dev/null") && !is_null {
                    wrong.push(format!("{} -> {target}", path.display()));
                }
            }
            if pipes != wanted {
                wrong.push(format!("{pipes} pipes, not {wanted}"));
            }
            wrong
        };
        // It executes itself anew after the command that started it has ended.
        let ends = Instant::now() + Duration::from_secs(5);
        while !wrong().is_empty() && Instant::now() < ends {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(wrong(), [""; 0], "{options:?}");
        scene.vial(["rm", "-f", "stays"]).ok();
    }
}
