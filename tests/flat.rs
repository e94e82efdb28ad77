//! Commands that go on for as long as the user likes take no more memory than at their beginning, however often they look.

use std::fs;
use std::time::Duration;

use crate::util::Scene;
use crate::util::command::{Running, VIAL};
use crate::util::container::{Container, eventually, signal};
use crate::util::detached::Detached;

trials! {
    showing_what_containers_use_takes_no_more_with_time [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("stats")];
    showing_what_is_used_takes_no_more_while_containers_come_and_go [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("stats")];
    following_a_log_takes_no_more_with_time [Root, Busybox, Kernel("overlay"), Command("logs")];
    being_attached_takes_no_more_with_each_signal [Root, Busybox, Kernel("overlay"), Command("attach")];
    waiting_for_another_vials_container_takes_no_more_with_time [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("wait")];
}

/// Kilobytes that a process may take more, once it has done all that it does at least once: what it calls for the first time, and
/// the pack that this is in (`src/rt/cold_link/packs.rs`).
const SLACK: u64 = 160;

/// Kilobytes of memory that a process has.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Starts a command that loses no time with waiting, and whose output goes to the file `out`; both as process and by its ID.
fn hasty<'a>(scene: &'a Scene, inject: &str, command: &str) -> (Running<'a>, u32) {
    let sleep = if cfg!(target_pointer_width = "32") { "clock_nanosleep_time64" } else { "nanosleep" };
    let calls =
        format!("strace -f -qq -o /dev/null --seccomp-bpf -e trace={sleep},pidfd_open -e inject={sleep}:retval=0");
    let line = format!("exec {calls} {inject} {VIAL} {command} >out");
    let running = scene.command("sh", ["-c", &line]).limit(Duration::from_mins(3)).start();
    let of_vial = || {
        let children = format!("/proc/{0}/task/{0}/children", running.id());
        let pid: u32 = fs::read_to_string(children).ok()?.split_whitespace().next()?.parse().ok()?;
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(VIAL)).then_some(pid)
    };
    let pid = eventually("vial runs", of_vial);
    (running, pid)
}

/// Waits until so many lines more have come out of a command; the most memory that it had meanwhile.
fn more_lines(scene: &Scene, pid: u32, count: usize) -> u64 {
    let lines = || fs::read_to_string(scene.path("out")).map_or(0, |text| text.lines().count());
    let wanted = lines() + count;
    let mut most = 0;
    eventually("it goes on", || {
        most = most.max(resident(pid));
        (lines() >= wanted).then_some(most)
    })
}

#[track_caller]
fn assert_flat(before: u64, after: u64) {
    assert!(after <= before + SLACK, "{before} kB became {after} kB");
}

fn showing_what_containers_use_takes_no_more_with_time(scene: &Scene) {
    let made: Vec<_> = (0..40).map(|number| Detached::create(scene, &format!("web{number}"), &[], "")).collect();
    let (running, pid) = hasty(scene, "", "stats -a --format '{{.Name}}'");
    let before = more_lines(scene, pid, 20 * made.len());
    assert_flat(before, more_lines(scene, pid, 400 * made.len()));
    signal(pid, "TERM");
    running.wait();
    made.iter().for_each(Detached::remove);
}

fn showing_what_is_used_takes_no_more_while_containers_come_and_go(scene: &Scene) {
    // One that somebody else owns and that does not run is looked at each time: here the test does.
    let web = Detached::create(scene, "web", &[], "");
    let other = Detached::create(scene, "other", &[], "");
    let directory = fs::File::open(web.path()).expect("open a directory");
    directory.lock().expect("lock it");
    let (running, pid) = hasty(scene, "", "stats -a --format '{{.Name}}' web other");
    let before = more_lines(scene, pid, 2 * 1500);
    assert_flat(before, more_lines(scene, pid, 2 * 3000));
    // Whoever is asked for and goes is no error for the others.
    drop(directory);
    other.remove();
    more_lines(scene, pid, 1500);
    let all = fs::read_to_string(scene.path("out")).expect("read the output");
    assert!(all.ends_with("web\nweb\n"), "{}", &all[all.len() - 40..]);
    signal(pid, "TERM");
    running.wait();
    web.remove();
}

fn following_a_log_takes_no_more_with_time(scene: &Scene) {
    let web = Detached::run(scene, "web", &[], "echo ready; exec sleep 600");
    web.says("ready");
    let follower = scene.vial(["logs", "-f", "web"]).start();
    let mark = web.path().join("mark");
    // A file that goes may be anything: it looks whether the container is still there.
    let stir = |times| {
        for _ in 0..times {
            fs::write(&mark, "").and_then(|()| fs::remove_file(&mark)).expect("make and remove a file");
            std::thread::sleep(Duration::from_millis(3));
        }
    };
    stir(50);
    let before = resident(follower.id());
    stir(300);
    assert_flat(before, resident(follower.id()));
    web.vial(&["stop", "-t", "0"]).ok();
    follower.wait().ends(0).prints("ready\n");
    web.remove();
}

fn being_attached_takes_no_more_with_each_signal(scene: &Scene) {
    let web =
        Detached::run(scene, "web", &[], "trap : USR1; trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done");
    web.says("ready");
    let attached = scene.vial(["attach", "--no-stdin", "web"]).start();
    let blocks = || {
        let status = fs::read_to_string(format!("/proc/{}/status", attached.id())).ok()?;
        status.contains("SigBlk:\tffff").then_some(())
    };
    eventually("it takes signals", blocks);
    let send = |times| {
        for _ in 0..times {
            signal(attached.id(), "USR1");
        }
    };
    send(50);
    let before = resident(attached.id());
    send(300);
    assert_flat(before, resident(attached.id()));
    signal(attached.id(), "TERM");
    attached.wait().ends(5);
    web.remove();
}

fn waiting_for_another_vials_container_takes_no_more_with_time(scene: &Scene) {
    let web = Container::named(scene, "web", &[], "exec sleep 600");
    // Before Linux 5.3 it looks again and again.
    let (running, pid) = hasty(scene, "-e inject=pidfd_open:error=ENOSYS", "wait web");
    std::thread::sleep(Duration::from_millis(500));
    let before = resident(pid);
    std::thread::sleep(Duration::from_secs(1));
    assert_flat(before, resident(pid));
    web.stop();
    running.wait();
}
