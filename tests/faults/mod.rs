//! The sweep: every call of a command fails, or its process is killed there, once. The command then does all that it was asked
//! for, or says what failed; and nothing is left after `vial gc`.
//!
//! `tests/sweep` tries all of it, and prints a table. Otherwise it is a sample.

use std::fs;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use crate::util::Scene;
use crate::util::command::Output;
use crate::util::detached::Detached;
use crate::util::leaks;
use crate::util::network::Host;
use crate::util::tree;

mod judge;
mod state;

use judge::{Case, Sweep};

trials! {
    a_run_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_run_with_many_options_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_detached_run_and_its_removal_do_all_or_say_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_connected_run_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    an_exec_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_start_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_stop_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    an_import_does_all_or_says_why_not [Root, Busybox, Tool("gcc"), Kernel("overlay"), Tool("tar")];
}

/// Restrictions of many kinds.
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "--read-only", "--tmpfs", "/tmp:size=1m", "-h", "box", "--domainname", "example", "-u", "1000:29", "--group-add", "10",
    "-m", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5", "-c", "512", "--cap-drop", "ALL",
    "--cap-add", "NET_BIND_SERVICE", "--cap-add", "SYS_CHROOT", "--security-opt", "no-new-privileges", "--ulimit", "nofile=100:200",
    "--oom-score-adj", "100", "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--sysctl", "kernel.shmmax=100000",
    "--shm-size", "1m", "--device", "/dev/zero:/dev/own:r", "-e", "WORD=value", "-w", "/home/user", "--init",
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a scene's control groups lie below.
fn groups(scene: &Scene) -> String {
    let number = scene.directory().file_name().expect("it has a name").to_string_lossy().replace('_', "-");
    format!("/{}{}-{number}", leaks::MARK, std::process::id())
}

/// A case without anything special.
fn case<'a>(scene: &Scene, name: &'static str, commands: Vec<Vec<String>>) -> Case<'a> {
    Case {
        name,
        groups: groups(scene),
        commands,
        prepare: Box::new(|| ()),
        ready: Box::new(|_| true),
        outcome: Box::new(|said| state::normal(&said[0].stdout)),
        settle: Vec::new(),
        host: None,
    }
}

/// `vial run --rm` of a workload that prints what it sees.
fn run(scene: &Scene, options: &[&str]) -> Vec<String> {
    words(&[&["run", "--rm", "--cgroup-parent", &groups(scene)], options, &[&state::root(), "/bin/look", "-"]].concat())
}

fn a_run_does_all_or_says_why_not(scene: &Scene) {
    Sweep::sweep(scene, case(scene, "run --rm", vec![run(scene, &[])]), 12);
}

fn a_run_with_many_options_does_all_or_says_why_not(scene: &Scene) {
    fs::create_dir(scene.path("read")).expect("make a directory");
    let read = format!("{}:/read:ro", scene.path("read").display());
    let options = [OPTIONS, &["-v", &read, "-v", "/data"]].concat();
    Sweep::sweep(scene, case(scene, "run --rm, with options", vec![run(scene, &options)]), 12);
}

/// The words that have a workload write down what it sees, and stay.
fn stays() -> Vec<String> {
    words(&[&state::root(), "/bin/look", "/shared/state", "stay"])
}

/// A directory of the host's for that.
fn shared(scene: &Scene) -> Vec<String> {
    fs::create_dir_all(scene.path("shared")).expect("make a directory");
    words(&[
        "--cgroup-parent",
        &groups(scene),
        "--name",
        "web",
        "-h",
        "box",
        "-m",
        "64m",
        "-v",
        &format!("{}:/shared", scene.path("shared").display()),
    ])
}

/// What the workload has written down.
fn written(scene: &Scene) -> String {
    let ends = Instant::now() + Duration::from_secs(10);
    loop {
        match fs::read_to_string(scene.path("shared/state")) {
            Ok(text) => return state::normal(&text),
            Err(_) if Instant::now() > ends => return state::NOTHING.to_owned(),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn forget(scene: &Scene) {
    let _ = fs::remove_file(scene.path("shared/state"));
}

fn a_detached_run_and_its_removal_do_all_or_say_why_not(scene: &Scene) {
    let run = [words(&["run", "-d"]), shared(scene), stays()].concat();
    let path = scene.path("shared/state");
    let case = Case {
        prepare: Box::new(|| forget(scene)),
        ready: Box::new(move |ends: &[ExitStatus]| !ends[0].success() || path.exists()),
        outcome: Box::new(|_: &[Output]| {
            let left = fs::read_dir(scene.root().join("containers")).map_or(0, Iterator::count);
            let written = written(scene);
            if written == state::NOTHING { written } else { format!("{written}{left} containers\n") }
        }),
        settle: vec![words(&["rm", "-f", "web"])],
        ..case(scene, "run -d, rm -f", vec![run, words(&["rm", "-f", "web"])])
    };
    Sweep::sweep(scene, case, 14);
}

fn a_connected_run_does_all_or_says_why_not(scene: &Scene) {
    let host = Host::new(scene);
    let name = host.name("web");
    let run =
        run(scene, &["--network", "bridge", "--name", &name, "-p", "8080:80", "--network-alias", "www", "-h", "box"]);
    let case = Case { host: Some(&host), ..case(scene, "run --rm, connected", vec![run]) };
    Sweep::sweep(scene, case, 10);
    host.end();
}

fn an_exec_does_all_or_says_why_not(scene: &Scene) {
    let groups = groups(scene);
    let options = [
        "--cgroup-parent",
        &groups,
        "--read-only",
        "-m",
        "64m",
        "--security-opt",
        "no-new-privileges",
        "--cap-drop",
        "CHOWN",
        "--ulimit",
        "nofile=100:200",
    ];
    let exec = words(&["exec", "-u", "1000", "-w", "/home/user", "-e", "WORD=value", "web", "/bin/look", "-"]);
    let root = state::root();
    let prepare =
        words(&[&["run", "-d", "--name", "web"], &options[..], &[&root, "/bin/look", "ready", "stay"]].concat());
    let case = Case {
        prepare: Box::new(move || drop(scene.vial(&prepare).ok())),
        settle: vec![words(&["rm", "-f", "web"])],
        ..case(scene, "exec", vec![exec])
    };
    Sweep::sweep(scene, case, 10);
}

fn a_start_does_all_or_says_why_not(scene: &Scene) {
    let create = [words(&["create"]), shared(scene), stays()].concat();
    let case = Case {
        prepare: Box::new(move || {
            forget(scene);
            scene.vial(&create).ok();
        }),
        outcome: Box::new(|_: &[Output]| written(scene)),
        settle: vec![words(&["rm", "-f", "web"])],
        ..case(scene, "start", vec![words(&["start", "web"])])
    };
    Sweep::sweep(scene, case, 10);
}

fn a_stop_does_all_or_says_why_not(scene: &Scene) {
    let run = [words(&["run", "-d"]), shared(scene), stays()].concat();
    let case = Case {
        prepare: Box::new(move || {
            forget(scene);
            scene.vial(&run).ok();
            assert_ne!(written(scene), state::NOTHING);
        }),
        outcome: Box::new(|_: &[Output]| {
            let web = Detached::find(scene, "web");
            format!("{} {}\n", web.condition(), web.wait())
        }),
        settle: vec![words(&["rm", "-f", "web"])],
        ..case(scene, "stop", vec![words(&["stop", "web"])])
    };
    Sweep::sweep(scene, case, 6);
}

/// A small tree with files of all kinds, as an archive.
fn archive(scene: &Scene) {
    let script = "mkdir -p it/a/b it/c && cd it && head -c 200000 /dev/urandom >a/big && echo words >a/b/file && ln a/b/file c/hard && \
                  ln -s ../a/b/file c/soft && mkfifo c/fifo && mknod c/device c 1 7 && chmod 2750 a/b && chown 1000:29 a/big c && \
                  touch -d @1000000000 a/b/file a/b c && cd .. && tar -cf it.tar -C it . && gzip it.tar";
    scene.command("sh", ["-c", script]).ok();
}

fn an_import_does_all_or_says_why_not(scene: &Scene) {
    archive(scene);
    let case = Case {
        outcome: Box::new(|_: &[Output]| {
            let layers = fs::read_dir(scene.root().join("layers")).into_iter().flatten().flatten();
            let trees: String = layers.map(|layer| format!("{:#?}", tree::look(&layer.path().join("diff")))).collect();
            let named = scene.vial(["images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}"]).ok().stdout;
            format!("{named}{trees}")
        }),
        settle: vec![words(&["gc", "--images", "--all"])],
        ..case(scene, "import", vec![words(&["import", "it.tar.gz", "it:1"])])
    };
    Sweep::sweep(scene, case, 10);
}
