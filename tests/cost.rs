//! What commands may cost, in system calls: seconds depend on the machine, these do not.

use std::fs;

use crate::util::bundle::{self, Bundle};
use crate::util::command::VIAL;
use crate::util::{Scene, strace};

trials! {
    commands_make_no_more_calls_than_they_are_known_to [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("run"), Command("exec"), Command("oci")];
}

/// How many calls vial's processes make for a command, before the workload is executed and after.
fn calls(scene: &Scene, words: &[&str]) -> usize {
    let trace = scene.path("trace");
    let options = [strace::OPTIONS, &["-o"]].concat();
    scene.command("strace", options).args([trace.as_os_str(), VIAL.as_ref()]).args(words).ok();
    let text = fs::read_to_string(&trace).expect("there is a trace");
    let seen = strace::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let own = seen.processes.values().map(|calls| {
        let executed = calls.iter().position(|call| call.executed() && call.line.contains("\"/bin/true\""));
        executed.map_or(calls.len(), |at| at + 1)
    });
    own.sum()
}

/// The numbers are those of the release, which unpacks itself with a dozen calls, where all controllers are in cgroup v1, and a few more for
/// what a machine has mounted; they grow only on purpose.
fn commands_make_no_more_calls_than_they_are_known_to(scene: &Scene) {
    let root = scene.rootfs().display().to_string();
    let bundle = Bundle::new(scene, "cost", "exit 0");
    bundle.write();
    let state = bundle::state_directory(scene).display().to_string();
    let place = bundle.directory.display().to_string();
    scene.vial(["run", "-d", "--name", "stays", "--network", "none", &root, "/bin/sleep", "600"]).ok();
    let plain = ["run", "--rm", "--network", "none"];
    let rows: [(&str, Vec<&str>, usize); 6] = [
        ("run without a network", [&plain[..], &[&root, "/bin/true"]].concat(), 436),
        ("run with the host's network", vec!["run", "--rm", "--network", "host", &root, "/bin/true"], 436),
        ("run with limits", [&plain[..], &["-m", "64m", "--pids-limit", "100", &root, "/bin/true"]].concat(), 480),
        ("exec", vec!["exec", "stays", "/bin/true"], 200),
        ("ps", vec!["ps"], 66),
        ("oci run", vec!["oci", "--root", &state, "run", "--bundle", &place, "cost"], 466),
    ];
    let mut over = Vec::new();
    for (name, words, most) in rows {
        let made = calls(scene, &words);
        println!("{name}: {made} calls, at most {most}");
        if made > most {
            over.push((name, made, most));
        }
    }
    scene.vial(["rm", "-f", "stays"]).ok();
    assert!(over.is_empty(), "more calls than before: {over:?}");
}
