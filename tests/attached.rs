//! Being attached to a detached container: output, input, terminals, signals; slow and stopped ones; and that nothing is lost.

use std::fs;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::util::Scene;
use crate::util::command::{Running, VIAL};
use crate::util::container::{Container, eventually, on_a_terminal, signal};
use crate::util::detached::{Detached, is_gone, proc};

trials! {
    attach_shows_what_comes_from_then_on [Root, Busybox, Kernel("overlay"), Command("attach")];
    input_reaches_the_workload_and_ends_once_or_never [Root, Busybox, Kernel("overlay"), Command("attach")];
    several_are_attached_at_once [Root, Busybox, Kernel("overlay"), Command("attach")];
    one_that_is_stopped_holds_up_nobody_but_the_workload_and_loses_nothing [Root, Busybox, Kernel("overlay"), Command("attach")];
    signals_are_passed_on_unless_told_otherwise [Root, Busybox, Kernel("overlay"), Command("attach")];
    the_keys_that_detach_leave_the_container_running [Root, Busybox, Tool("script"), Kernel("overlay"), Command("attach")];
    a_detached_terminal_takes_size_and_keys [Root, Busybox, Tool("script"), Kernel("overlay"), Command("attach")];
    what_has_no_monitor_cannot_be_attached_to [Root, Busybox, Kernel("overlay"), Command("attach")];
    a_flood_of_output_arrives_whole_in_little_memory [Root, Busybox, Tool("sha256sum"), Kernel("overlay"), Command("start")];
    a_monitor_sleeps_while_nothing_happens [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("start")];
}

/// Prints a line for each file that appears in the shared directory: `go` is answered, `end` ends.
const PRINTER: &str = "echo before; for name in a b c end; do until test -e /shared/$name; do sleep 0.02; done; echo $name; \
                       echo $name >&2; done; exit 5";

fn shared(scene: &Scene) -> String {
    format!("{}:/shared", scene.directory().display())
}

fn touch(scene: &Scene, name: &str) {
    fs::write(scene.path(name), "").expect("write a file");
}

/// Waits until a command that is attached has reached its monitor: so many are connected.
fn connected(web: &Detached<'_>, count: usize) {
    let sockets = || {
        let files = fs::read_dir(format!("/proc/{}/fd", web.monitor())).into_iter().flatten().flatten();
        files
            .filter(|file| {
                fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
            })
            .count()
    };
    // One more is what it listens at, and two are what it shares with its keeper.
    let own = if web.keeper() == 0 { 1 } else { 3 };
    eventually("they are attached", || (sockets() >= count + own).then_some(()));
    // The request to be attached comes right behind.
    std::thread::sleep(Duration::from_millis(100));
}

fn attach_shows_what_comes_from_then_on(scene: &Scene) {
    for options in [&[][..], &["--init"], &["--restart", "on-failure:0"]] {
        let web = Detached::run(scene, "web", &[&["-v", &shared(scene)], options].concat(), PRINTER);
        web.says("before");
        touch(scene, "a");
        web.says("a\n");
        let attached = web.vial(&["attach"]).input("unread").start();
        connected(&web, 1);
        for name in ["b", "c"] {
            touch(scene, name);
            web.says(&format!("{name}\n"));
        }
        if options.contains(&"--restart") {
            // For good, then.
            web.vial(&["kill"]).ok();
            attached.wait().ends(137).prints("b\nc\n").says("b\nc\n");
        } else {
            touch(scene, "end");
            let output = attached.wait().ends(5).prints("b\nc\nend\n");
            assert_eq!(output.stderr, "b\nc\nend\n");
            assert_eq!(web.wait(), 5);
        }
        web.vial(&["attach"]).ends(125).says("does not run").says("hint: ");
        web.vial(&["rm"]).ok();
        for name in ["a", "b", "c", "end"] {
            let _ = fs::remove_file(scene.path(name));
        }
    }
}

fn input_reaches_the_workload_and_ends_once_or_never(scene: &Scene) {
    let script = "while read line; do echo got $line; test \"$line\" != end || exit 3; done; echo closed; exit 4";
    // What was detached from the beginning keeps its input open.
    let open = Detached::run(scene, "open", &["-i"], script);
    for (number, word) in ["one", "two"].iter().enumerate() {
        let attached = open.vial(&["attach"]).input(format!("{word}\n")).start();
        open.says(&format!("got {word}\n"));
        assert_eq!(open.condition(), "running", "after {number} inputs have ended");
        signal(attached.id(), "KILL");
        attached.wait();
    }
    open.vial(&["attach", "--no-stdin"]).input("end\n").start();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(open.condition(), "running");
    open.vial(&["attach"]).input("end\n").ends(3).prints("got end\n");
    assert_eq!(open.wait(), 3);
    open.remove();
    // What was made to be attached to ends its input with the first.
    let once = Detached::create(scene, "once", &["-i"], script);
    once.vial(&["start", "-a", "-i"]).input("one\ntwo\n").ends(4).prints("got one\ngot two\nclosed\n");
    once.remove();
    // More than any buffer holds, of which nothing is lost.
    let much = "0123456789abcde\n".repeat(1 << 16);
    let long = Detached::create(scene, "long", &["-i"], "sleep 0.3; tee /dev/stderr | wc -c");
    let output = long.vial(&["start", "-ai"]).input(much.clone()).ok().prints("1048576\n");
    assert!(output.stderr == much, "{} bytes", output.stderr.len());
    long.remove();
    // Nobody reads it, and nothing hangs.
    let deaf = Detached::create(scene, "deaf", &["-i"], "exec <&-; echo ready; sleep 1; exit 6");
    deaf.vial(&["start", "-ai"]).input(much).ends(6).prints("ready\n");
    deaf.remove();
}

fn several_are_attached_at_once(scene: &Scene) {
    let web = Detached::run(
        scene,
        "web",
        &["-v", &shared(scene)],
        "until test -e /shared/go; do sleep 0.02; done; seq 1 20000; echo end >&2; exit 9",
    );
    let attached: Vec<Running<'_>> = (0..8).map(|_| web.vial(&["attach"]).start()).collect();
    let waiting = web.vial(&["wait"]).start();
    connected(&web, 9);
    touch(scene, "go");
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    for one in attached {
        let output = one.wait().ends(9);
        assert!(output.stdout == expected && output.stderr == "end\n", "{} bytes", output.stdout.len());
    }
    waiting.wait().ends(0).prints("9\n");
    assert!(web.output().starts_with(&expected));
    web.remove();
}

fn one_that_is_stopped_holds_up_nobody_but_the_workload_and_loses_nothing(scene: &Scene) {
    // Much more than sockets and pipes hold, and not without end.
    let web = Detached::run(
        scene,
        "web",
        &["-v", &shared(scene)],
        "until test -e /shared/go; do sleep 0.02; done; seq 1 200000; exit 9",
    );
    let (stopped, other) = (web.vial(&["attach"]).start(), web.vial(&["attach"]).start());
    connected(&web, 2);
    signal(stopped.id(), "STOP");
    touch(scene, "go");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(web.condition(), "running", "it waits to be read");
    // All commands work meanwhile.
    let begun = Instant::now();
    web.vial(&["logs"]).ok();
    web.vial(&["stop", "-t", "1"]).ok();
    assert_eq!((web.wait(), web.condition().as_str()), (137, "exited"));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let log = web.output();
    web.vial(&["start"]).ok();
    web.vial(&["rm", "-f"]).ok();
    signal(stopped.id(), "CONT");
    for attached in [stopped, other] {
        let output = attached.wait().ends(137);
        assert!(output.stdout == log, "{} of {} bytes", output.stdout.len(), log.len());
    }
    // One that ends is forgotten.
    fs::remove_file(scene.path("go")).expect("remove a file");
    let web = Detached::run(
        scene,
        "web",
        &["-v", &shared(scene)],
        "until test -e /shared/go; do sleep 0.02; done; seq 1 200000; exit 9",
    );
    let stopped = web.vial(&["attach"]).start();
    connected(&web, 1);
    signal(stopped.id(), "STOP");
    touch(scene, "go");
    std::thread::sleep(Duration::from_millis(200));
    signal(stopped.id(), "KILL");
    stopped.wait();
    assert_eq!(web.wait(), 9);
    web.remove();
}

fn signals_are_passed_on_unless_told_otherwise(scene: &Scene) {
    let script = "for name in TERM INT USR1 HUP; do trap \"echo got $name\" $name; done; trap 'exit 7' QUIT; echo ready; \
                  while :; do sleep 0.02; done";
    for options in [&[][..], &["--init"]] {
        let web = Detached::run(scene, "web", options, script);
        web.says("ready");
        let attached = web.vial(&["attach"]).start();
        connected(&web, 1);
        for name in ["TERM", "INT", "USR1", "HUP"] {
            signal(attached.id(), name);
            web.says(&format!("got {name}"));
        }
        let deaf = web.vial(&["attach", "--sig-proxy=false"]).start();
        connected(&web, 2);
        signal(deaf.id(), "INT");
        deaf.wait().ends(130);
        assert_eq!(web.condition(), "running");
        signal(attached.id(), "QUIT");
        attached.wait().ends(7);
        web.remove();
    }
}

fn the_keys_that_detach_leave_the_container_running(scene: &Scene) {
    let web =
        Detached::run(scene, "web", &["-t", "-i"], "stty -echo; echo ready; while read line; do echo got $line; done");
    web.says("ready");
    // The end of what is typed comes long after the keys.
    let typed = |keys: &str, options: &str| {
        let script = format!(
            "(sleep 0.3; printf '{keys}'; until test -e detached; do sleep 0.02; done) | \
             (script -qefc '{VIAL} attach {options} web' /dev/null; code=$?; touch detached; exit $code)"
        );
        let output = scene.command("bash", ["-c", &script]).run();
        let _ = fs::remove_file(scene.path("detached"));
        output
    };
    typed("word\\r\\020\\021", "").ends(0).shows("read escape sequence");
    web.says("got word");
    assert_eq!(web.condition(), "running");
    typed("x\\001y\\001b", "--detach-keys ctrl-a,b").ends(0).shows("read escape sequence");
    assert_eq!(web.condition(), "running");
    web.vial(&["attach", "--detach-keys", "nonsense"]).ends(125).says("--detach-keys");
    web.remove();
}

fn a_detached_terminal_takes_size_and_keys(scene: &Scene) {
    let web = Detached::run(scene, "web", &["-it"], "echo ready; read line; stty size; echo got $line; exit 5");
    web.says("ready");
    // A terminal of nobody's, with no size, until somebody is attached.
    let output = on_a_terminal(scene, "stty rows 33 cols 77 -echo\n$VIAL attach web", "word\n");
    assert!(
        output.code == 5 && output.stdout.contains("33 77\r\n") && output.stdout.contains("got word\r\n"),
        "{}",
        output.shown()
    );
    web.vial(&["rm"]).ok();
    // As does one that is started attached.
    let web = Detached::create(scene, "web", &["-it"], "stty size; read line; echo got $line; exit 6");
    let output = on_a_terminal(scene, "stty rows 44 cols 99 -echo\n$VIAL start -ai web", "word\n");
    assert!(output.code == 6 && output.stdout.contains("got word\r\n"), "{}", output.shown());
    web.remove();
    // And the user's own is as before.
    let script = "before=$(stty -g); $VIAL run -it --restart on-failure --name web $ROOT sh -c 'stty raw; exit 0'; \
                  test \"$(stty -g)\" = \"$before\" && echo same; $VIAL rm web";
    on_a_terminal(scene, script, "").ends(0).shows("same");
}

fn what_has_no_monitor_cannot_be_attached_to(scene: &Scene) {
    let container = Container::named(scene, "front", &[], "sleep 600");
    scene.vial(["attach", "front"]).ends(125).says("no monitor").says("hint: ");
    container.stop();
    scene.vial(["attach", "front"]).ends(125).says("no such container: front");
}

/// Bytes of a process's anonymous private memory, `proc_pid_smaps(5)`.
fn anonymous(pid: u32) -> u64 {
    let smaps = proc(pid, "smaps");
    let lines = smaps.lines().filter_map(|line| line.strip_prefix("Anonymous:"));
    lines.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>() * 1024
}

/// The most that a monitor may take for itself while the workload runs. When that has ended, what is left in its pipes is kept
/// for those that are slow. What the command that started the container had unpacked of vial is among it (`sys::cold`).
const MEMORY: u64 = 128 << 10;

fn a_flood_of_output_arrives_whole_in_little_memory(scene: &Scene) {
    const MIB: usize = 48;
    let script = format!("dd if=/dev/zero bs=1M count={MIB} 2>/dev/null | tr '\\0' a; printf end; exit 3");
    let mut hash = Sha256::new();
    (0..MIB).for_each(|_| hash.update(vec![b'a'; 1 << 20]));
    hash.update("end");
    let expected = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (options, reader) in [
        (&["--log-driver", "none"][..], "sha256sum"),
        (&["--log-driver", "none"], "(sleep 1; sha256sum)"),
        (&[], "(for n in 1 2 3 4; do dd bs=4M count=1 iflag=fullblock 2>/dev/null; sleep 0.2; done; cat) | sha256sum"),
    ] {
        let web = Detached::create(scene, "web", options, &script);
        let line = format!("{VIAL} start -a web | {reader}; echo ${{PIPESTATUS[0]}}");
        let mut reading = scene.command("bash", ["-c", &line]).start();
        let mut most = 0;
        while !reading.has_ended() {
            let monitor = web.monitor();
            // Not while it is still the process that starts the container.
            if proc(monitor, "cmdline").starts_with("vial-monitor") {
                let now = anonymous(monitor);
                // Looked at last: the workload may end while the monitor is looked at.
                if !is_gone(web.pid()) {
                    most = most.max(now);
                }
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        reading.wait().ends(0).prints(&format!("{expected}  -\n3\n"));
        assert!(most > 0 && most < MEMORY, "{reader}: the monitor took {most} bytes");
        assert_eq!(web.wait(), 3);
        web.remove();
    }
}

fn a_monitor_sleeps_while_nothing_happens(scene: &Scene) {
    for options in [&[][..], &["-t", "-i"], &["--init"]] {
        let web = Detached::run(scene, "web", options, "echo ready; exec sleep 600");
        web.says("ready");
        let attached = web.vial(&["attach"]).start();
        connected(&web, 1);
        let monitor = web.monitor();
        let switches = || {
            let status = proc(monitor, "status");
            let lines: Vec<_> =
                status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect();
            assert_eq!(lines.len(), 2, "{status}");
            lines
        };
        let before = switches();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(before, switches(), "it woke up");
        assert!(anonymous(monitor) < MEMORY, "{} bytes", anonymous(monitor));
        signal(attached.id(), "KILL");
        attached.wait();
        assert!(!is_gone(monitor));
        web.remove();
    }
}
