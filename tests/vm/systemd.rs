//! Containers under systemd: a machine whose first process it is, with the host's programs and units, and README's unit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::needs::tool;

trials! {
    the_unit_starts_what_is_to_run_after_a_power_cut [Machine, File("/lib/systemd/systemd"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4")];
    stopping_restarting_or_leaving_the_unit_ends_no_container [Machine, File("/lib/systemd/systemd"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4")];
    limits_hold_in_a_tree_of_groups_that_systemd_owns [Machine, File("/lib/systemd/systemd"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4")];
    an_orderly_end_lets_each_monitor_write_down_how_its_container_ended [Machine, File("/lib/systemd/systemd"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4")];
    after_an_orderly_end_the_same_runs_as_after_a_power_cut [Machine, File("/lib/systemd/systemd"), Tool("systemctl"), Tool("ldd"), Tool("mkfs.ext4")];
}

/// What the machine does from when it is set up to its third start.
struct Story {
    made: Booted,
    cut: Booted,
    ended: Booted,
}

/// All of systemd that the machine needs; later versions have one more program.
const PROGRAMS: [&str; 5] = [
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-executor",
    "/lib/systemd/systemd-journald",
    "/lib/systemd/systemd-shutdown",
    "systemctl",
];
const UNITS: &str = "basic.target emergency.target final.target local-fs-pre.target local-fs.target multi-user.target \
                     paths.target poweroff.target rescue.target shutdown.target slices.target sockets.target swap.target \
                     sysinit.target systemd-journald-dev-log.socket systemd-journald.service systemd-journald.socket \
                     systemd-poweroff.service timers.target umount.target";
/// What runs the steps; not part of any target's start, so that the targets are reached.
const STEPS: &str = "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nStandardOutput=tty\nTTYPath=/dev/ttyS0\n\
                     ExecStart=/bin/sh /run/run-steps\n[Unit]\nAfter=multi-user.target\n";
/// A target without anything else, to be gone to.
const OTHER: &str = "[Unit]\nRequires=basic.target\nWants=steps.service\nAllowIsolate=yes\n";

/// Waits until the unit was stopped; the target itself waits for the steps.
const LEFT: &str = "while systemctl -q is-active vial; do sleep 0.1; done";
/// Names and states.
const LIST: &str = "vial ps -a --format '{{.Names}} {{.State}}' | sort";
/// The first processes of what runs whenever the machine does.
const PIDS: &str = "vial inspect -f '{{.State.Pid}}' always failure unless";

/// The machine, booted three times for all tests here.
#[track_caller]
fn told() -> &'static Story {
    static TOLD: OnceLock<Result<Story, String>> = OnceLock::new();
    once(&TOLD, "systemd", story)
}

fn story(scene: &Scene) -> Result<Story, String> {
    let disk = scene.path("disk");
    fs::File::create(&disk).and_then(|file| file.set_len(256 << 20)).map_err(|error| error.to_string())?;
    let root = root(scene);
    scene.command("mkfs.ext4", ["-q", "-d"]).args([root.as_os_str(), disk.as_os_str()]).ok();
    let machine = || Machine::with(&["overlay", "virtio_pci", "virtio_blk", "autofs4"]).disk(&disk);
    // The first process of a PID namespace does not heed SIGTERM unless it says so, and a shell that waits does.
    let heeds = "trap exit\\ 0 TERM; while :; do sleep 0.1; done";
    let run = |name: &str, options: &str, what: &str| {
        format!("vial run -d --name {name} --stop-timeout 2 {options} host sh -c '{what}' >/dev/null || exit\n")
    };
    let made = machine()
        .step("enable", "systemctl enable vial && systemctl start vial && systemctl is-active vial")
        .step(
            "run",
            [
                run("always", "--restart always -m 32m --pids-limit 20", "exec sleep 600"),
                run("unless", "--restart unless-stopped --cpus 0.5", heeds),
                run("failure", "--restart on-failure", "exec sleep 600"),
                run("success", "--restart on-failure", heeds),
                run("no", "", "exec sleep 600"),
                run("stopped", "--restart unless-stopped", "exec sleep 600"),
                run("over", "--restart on-failure", "exit 0"),
                "vial stop -t 0 stopped; vial wait over; sync".into(),
            ]
            .concat(),
        )
        .step("list", LIST)
        .boot(scene)?;
    let cut = machine()
        .step("list", format!("systemctl is-active vial; {LIST}"))
        .step("restart", unharmed("systemctl restart vial; systemctl is-active vial"))
        .step("stop", unharmed("systemctl stop vial; systemctl is-active vial"))
        .step("start", unharmed("systemctl start vial; systemctl is-active vial"))
        .step(
            "isolate",
            unharmed(&format!("systemctl --no-block isolate other.target; {LEFT}; systemctl is-active vial")),
        )
        .step("anew", unharmed("systemctl daemon-reload; systemctl daemon-reexec; systemctl start vial; echo done"))
        .step(
            "limits",
            "vial exec always cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
             vial exec unless cat /sys/fs/cgroup/cpu.max
             cat /proc/$(vial inspect -f '{{.State.Pid}}' unless)/cgroup | cut -d / -f 1-2
             grep -c overlay /proc/self/mountinfo",
        )
        .step("no", "vial start no")
        .goes_down_by("systemctl poweroff")
        .boot(scene)?;
    let ended = machine()
        .step("list", format!("systemctl is-active vial; {LIST}"))
        .step("no", "vial inspect -f '{{.State.ExitCode}} {{.State.FinishedAt}}' no")
        .boot(scene)?;
    Ok(Story { made, cut, ended })
}

/// Does something, and says whether the containers have run on meanwhile.
fn unharmed(script: &str) -> String {
    format!("before=$({PIDS})\n{script}\n[ \"$before\" = \"$({PIDS})\" ] && kill -0 $before && vial ps -q | wc -l")
}

/// The tree of the machine's root.
pub(super) fn root(scene: &Scene) -> PathBuf {
    let tree = scene.path("tree");
    let make = |path: &str| fs::create_dir_all(tree.join(path)).expect("make a directory");
    for path in ["dev", "etc/systemd/system", "proc", "root", "run", "sys", "tmp", "var/log", "usr/local/bin"] {
        make(path);
    }
    for name in ["bin", "lib", "lib64"] {
        make(&format!("usr/{name}"));
        symlink(format!("usr/{name}"), tree.join(name)).expect("make a link");
    }
    symlink("usr/bin", tree.join("sbin")).expect("make a link");
    scene.command("cp", ["-a"]).args([scene.rootfs().join("bin/."), tree.join("usr/bin")]).ok();
    for name in ["init", "poweroff"] {
        fs::remove_file(tree.join("usr/bin").join(name)).expect("busybox has it");
    }
    symlink("../lib/systemd/systemd", tree.join("usr/bin/init")).expect("make a link");
    for name in PROGRAMS {
        if let Some(file) = tool(name) {
            copy_program(scene, &file, &tree);
        }
    }
    fs::copy(VIAL, tree.join("usr/local/bin/vial")).expect("copy vial");
    configure(&tree);
    tree
}

/// Copies a program with its libraries.
pub(super) fn copy_program(scene: &Scene, file: &Path, tree: &Path) {
    copy(file, tree);
    let libraries = scene.command("ldd", [file]).ok().stdout;
    libraries.split_whitespace().filter(|word| word.starts_with('/')).for_each(|path| copy(path.as_ref(), tree));
}

/// Copies a file to the same place, by way of `/usr`.
pub(super) fn copy(file: &Path, tree: &Path) {
    let inside = file.strip_prefix("/usr").or(file.strip_prefix("/")).expect("it is absolute");
    let to = tree.join("usr").join(inside);
    fs::create_dir_all(to.parent().expect("it lies in a directory")).expect("make a directory");
    // A link of busybox's may be in its place, and is not to be written through.
    let _ = fs::remove_file(&to);
    fs::copy(file, &to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn configure(tree: &Path) {
    let units = tree.join("usr/lib/systemd/system");
    fs::create_dir_all(units.join("sockets.target.wants")).expect("make a directory");
    for unit in UNITS.split_whitespace() {
        let from = Path::new("/lib/systemd/system").join(unit);
        fs::copy(&from, units.join(unit)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    for socket in ["systemd-journald.socket", "systemd-journald-dev-log.socket"] {
        symlink(format!("../{socket}"), units.join("sockets.target.wants").join(socket)).expect("make a link");
    }
    let write = |path: &str, text: &str| fs::write(tree.join("etc").join(path), text).expect("write a file");
    write("passwd", "root:x:0:0:root:/root:/bin/sh\n");
    write("group", "root:x:0:\n");
    write("os-release", "ID=machine\n");
    write("machine-id", "");
    write("systemd/system.conf", "[Manager]\nShowStatus=no\n");
    write("systemd/system/vial.service", &unit());
    write("systemd/system/steps.service", STEPS);
    write("systemd/system/other.target", OTHER);
    let multi_user = "/lib/systemd/system/multi-user.target";
    symlink(multi_user, tree.join("etc/systemd/system/default.target")).expect("make a link");
    let wants = tree.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir(&wants).expect("make a directory");
    symlink("../steps.service", wants.join("steps.service")).expect("make a link");
}

/// README's unit.
fn unit() -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("read it");
    let lines = readme.lines().skip_while(|line| *line != "[Service]").take_while(|line| *line != "```");
    let unit: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(unit.contains("WantedBy="), "README has a unit for systemd: {unit}");
    unit
}

fn the_unit_starts_what_is_to_run_after_a_power_cut(_: &Scene) {
    told().made.step("enable").ends(0).prints("active\n");
    told().made.step("run").ends(0);
    told().made.step("list").prints(
        "always running\nfailure running\nno running\nover exited\nstopped exited\nsuccess running\nunless running\n",
    );
    told().cut.step("list").ends(0).prints(
        "active\nalways running\nfailure running\nno exited\nover exited\nstopped exited\nsuccess running\n\
         unless running\n",
    );
}

fn stopping_restarting_or_leaving_the_unit_ends_no_container(_: &Scene) {
    for (step, says) in
        [("restart", "active"), ("stop", "inactive"), ("start", "active"), ("isolate", "inactive"), ("anew", "done")]
    {
        told().cut.step(step).ends(0).silent().prints(&format!("{says}\n4\n"));
    }
}

fn limits_hold_in_a_tree_of_groups_that_systemd_owns(_: &Scene) {
    told().cut.step("limits").prints("33554432\n20\n50000 100000\n0::/vial\n0\n");
}

fn an_orderly_end_lets_each_monitor_write_down_how_its_container_ended(_: &Scene) {
    told().cut.step("no").ends(0);
    told().ended.step("no").ends(0).shows("137 2");
}

fn after_an_orderly_end_the_same_runs_as_after_a_power_cut(_: &Scene) {
    told().ended.step("list").ends(0).prints(
        "active\nalways running\nfailure running\nno exited\nover exited\nstopped exited\nsuccess exited\n\
         unless running\n",
    );
}
