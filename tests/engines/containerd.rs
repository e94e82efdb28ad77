//! containerd: its client has the shim `io.containerd.runc.v2` start vial.

use std::fs;
use std::process::Command;

use crate::util::command::{Cmd, Output};
use crate::util::container::eventually;
use crate::util::engine::Engine;
use crate::util::scene::Scene;

trials! {
    a_task_lives_a_whole_life [Root, Busybox, Tool("containerd"), Tool("ctr"), Command("oci")];
    a_task_that_is_asked_for_on_the_command_line_is_as_asked [Root, Busybox, Tool("containerd"), Tool("ctr"), Command("oci")];
    a_task_has_a_terminal [Root, Busybox, Tool("containerd"), Tool("ctr"), Tool("script"), Command("oci")];
    a_shim_that_was_killed_leaves_nothing [Root, Busybox, Tool("containerd"), Tool("ctr"), Command("oci")];
}

/// The image's name, as containerd completes it.
const IMAGE: &str = "docker.io/library/busybox:latest";

fn ready(scene: &Scene) -> Engine<'_> {
    let engine = Engine::new(scene);
    let archive = scene.path("image.tar").display().to_string();
    scene.vial(["import", &engine.archive(), "busybox"]).ok();
    scene.vial(["save", "--format", "oci-archive", "-o", &archive, "busybox"]).ok();
    engine.start_containerd();
    engine.ctr(&["image", "import", "--snapshotter", "native", &archive]).ok().shows("busybox");
    engine
}

/// `ctr run` with vial below the shim.
fn run<'a>(engine: &Engine<'a>, scene: &Scene, options: &[&str], words: &[&str]) -> Cmd<'a> {
    let runtime = scene.path("vial-oci").display().to_string();
    let before = ["run", "--runtime", "io.containerd.runc.v2", "--runc-binary", &runtime, "--snapshotter", "native"];
    engine.ctr(&[&before[..], options, &[IMAGE], words].concat())
}

/// What a command shows below its head, a task in each line.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    output.stdout.lines().skip(1).map(words).collect()
}

fn a_task_lives_a_whole_life(scene: &Scene) {
    let engine = ready(scene);
    run(&engine, scene, &["--rm"], &["short", "sh", "-c", "echo hello; exit 7"]).ends(7).prints("hello\n");
    let missing = run(&engine, scene, &["--rm"], &["short", "nosuch"]).ends(1);
    assert!(
        missing.stderr.contains("OCI runtime create failed") && missing.stderr.contains("nosuch"),
        "{}",
        missing.shown()
    );

    run(&engine, scene, &["-d"], &["one", "sh", "-c", "while :; do sleep 0.1; done"]).ok();
    let status = || rows(&engine.ctr(&["task", "ls"]).ok())[0][2].clone();
    assert_eq!(status(), "RUNNING");
    let exec = |words: &[&str]| engine.ctr(&[&["task", "exec", "--exec-id", "more", "one"], words].concat());
    exec(&["sh", "-c", "echo more; exit 5"]).ends(5).prints("more\n");
    exec(&["nosuch"]).ends(1).says("nosuch");
    engine.ctr(&["task", "pause", "one"]).ok();
    assert_eq!(status(), "PAUSED");
    engine.ctr(&["task", "resume", "one"]).ok();
    assert_eq!(status(), "RUNNING");
    let figures = engine.ctr(&["task", "metrics", "one"]).ok().stdout;
    assert!(figures.contains("pids.current") && figures.contains("memory.usage"), "{figures}");
    let listed = rows(&engine.ctr(&["task", "ps", "one"]).ok());
    assert!(!listed.is_empty() && listed[0][0].parse::<u32>().is_ok(), "{listed:?}");
    let refused = engine.ctr(&["task", "checkpoint", "one"]).run();
    assert!(refused.code != 0 && refused.stderr.contains("not supported"), "{}", refused.shown());
    assert_eq!(status(), "RUNNING");
    engine.ctr(&["task", "kill", "-s", "KILL", "one"]).ok();
    eventually("it has ended", || (status() == "STOPPED").then_some(()));
    engine.ctr(&["task", "delete", "one"]).ok().says("code 137");
    engine.ctr(&["container", "rm", "one"]).ok();
    engine.end();
}

fn a_task_that_is_asked_for_on_the_command_line_is_as_asked(scene: &Scene) {
    let engine = ready(scene);
    let shell = |options: &[&str], script: &str| {
        let output = run(&engine, scene, &[&["--rm"], options].concat(), &["asked", "sh", "-c", script]).ok();
        output.stdout.trim_end().to_owned()
    };
    assert_eq!(shell(&["--env", "A=b", "--cwd", "/tmp"], "echo $A; pwd"), "b\n/tmp");
    assert_eq!(shell(&["--read-only"], "touch /x 2>/dev/null || echo refused"), "refused");
    assert_eq!(shell(&["--no-pivot"], "echo ran"), "ran");
    assert_eq!(shell(&["--seccomp"], "grep -c '^Seccomp:.*2$' /proc/self/status"), "1");
    let sets =
        shell(&["--cap-add", "CAP_SYS_PTRACE", "--cap-drop", "CAP_CHOWN"], "grep CapEff /proc/self/status | cut -f 2");
    let set = u64::from_str_radix(&sets, 16).expect("a set");
    assert_eq!((set >> 19 & 1, set & 1), (1, 0));
    let mount = format!("type=bind,src={},dst=/mnt,options=rbind:ro", scene.directory().display());
    assert_eq!(shell(&["--mount", &mount], "test -e /mnt/vial-oci && touch /mnt/x 2>/dev/null || echo fixed"), "fixed");
    let own = engine.command("readlink", ["/proc/self/ns/net"]).ok().stdout;
    assert_eq!(shell(&["--net-host"], "readlink /proc/self/ns/net"), own.trim_end());
    assert_eq!(shell(&["--privileged"], "grep -c '^Seccomp:.*0$' /proc/self/status"), "1");
    assert_eq!(
        shell(&["--uidmap", "0:200000:65536", "--gidmap", "0:200000:65536"], "tr -s ' ' </proc/self/uid_map"),
        " 0 200000 65536"
    );

    run(&engine, scene, &["-d", "--memory-limit", "67108864"], &["limited", "sleep", "500"]).ok();
    let groups = engine.groups("limited");
    let limits = groups.iter().filter_map(|group| {
        ["memory.max", "memory.limit_in_bytes"].iter().find_map(|name| fs::read_to_string(group.join(name)).ok())
    });
    assert_eq!(limits.collect::<Vec<_>>(), ["67108864\n"], "{groups:?}");
    engine.ctr(&["task", "rm", "-f", "limited"]).run();
    engine.ctr(&["container", "rm", "limited"]).ok();
    engine.end();
}

fn a_task_has_a_terminal(scene: &Scene) {
    let engine = ready(scene);
    let ctr = format!("ctr -a {} -n {}", scene.path("containerd.sock").display(), engine.group);
    let runtime = scene.path("vial-oci").display().to_string();
    let options = format!("--runtime io.containerd.runc.v2 --runc-binary {runtime} --snapshotter native");
    let output = engine.on_a_terminal(
        &format!(
            "{ctr} run --rm -t {options} {IMAGE} one sh -c 'tty; read line; echo got $line; exit 4'; echo code $?"
        ),
        "typed\n",
    );
    assert!(output.stdout.contains("/dev/pts/0") && output.stdout.contains("got typed"), "{}", output.shown());
    assert!(output.stdout.contains("code 4"), "{}", output.shown());
    engine.end();
}

fn a_shim_that_was_killed_leaves_nothing(scene: &Scene) {
    let engine = ready(scene);
    run(&engine, scene, &["-d"], &["one", "sleep", "500"]).ok();
    let pid: u32 = rows(&engine.ctr(&["task", "ls"]).ok())[0][1].parse().expect("the task's process");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let shim = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).expect("it has a parent");
    let line = fs::read_to_string(format!("/proc/{shim}/cmdline")).expect("the shim runs");
    assert!(line.contains("containerd-shim") && line.contains(&engine.group), "{line}");
    Command::new("/bin/kill").args(["-KILL", shim]).status().expect("kill the shim");
    let gone = || rows(&engine.ctr(&["task", "ls"]).ok()).is_empty().then_some(());
    eventually("containerd saw that the shim has ended", gone);
    eventually("the workload has ended", || (!fs::exists(format!("/proc/{pid}/root")).unwrap_or(false)).then_some(()));
    engine.ctr(&["container", "rm", "one"]).ok();
    engine.end();
}
