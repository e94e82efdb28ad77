//! The harness itself: that it sees what goes wrong.

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::util::needs::Need;
use crate::util::{Scene, leaks};

trials! {
    a_command_that_hangs_fails_with_its_output [];
    a_process_that_keeps_the_output_open_fails [];
    a_process_that_stays_is_a_leak [];
    a_mount_that_stays_is_a_leak [Root];
    state_that_stays_is_a_leak [];
    a_scene_that_panicked_leaves_nothing [Root];
    a_mount_of_another_directory_survives_the_cleaning [Root];
    what_is_missing_is_named [];
    the_busybox_root_runs [Root, Busybox];
    the_outcome_of_a_command_is_asserted [];
}

/// The message with which something fails.
fn failure(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("this must fail");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

fn a_command_that_hangs_fails_with_its_output(scene: &Scene) {
    let begun = Instant::now();
    let command = scene.command("sh", ["-c", "echo before; sleep 600 & sleep 500"]).limit(Duration::from_millis(300));
    let message = failure(|| drop(command.run()));
    assert!(message.contains("did not end in time") && message.contains("before"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    scene.assert_nothing_left();
}

fn a_process_that_keeps_the_output_open_fails(scene: &Scene) {
    let message = failure(|| drop(scene.command("sh", ["-c", "sleep 600 & echo done"]).run()));
    assert!(message.contains("still holds the output") && message.contains("done"), "{message}");
    crate::util::scene::kill_all_below(scene.directory());
}

fn a_process_that_stays_is_a_leak(scene: &Scene) {
    let running = scene.command("sleep", ["600"]).start();
    let message = failure(|| scene.assert_nothing_left());
    assert!(message.contains(&format!("process {} sleep 600", running.id())), "{message}");
    crate::util::scene::kill_all_below(scene.directory());
    running.wait().ends(137);
}

fn a_mount_that_stays_is_a_leak(scene: &Scene) {
    let target = scene.path("with a blank");
    fs::create_dir(&target).expect("make a directory");
    scene.command("mount", ["-t".as_ref(), "tmpfs".as_ref(), "none".as_ref(), target.as_os_str()]).ok();
    let message = failure(|| scene.assert_nothing_left());
    assert!(message.contains(&format!("mount {}", target.display())), "{message}");
    scene.command("umount", [&target]).ok();
}

fn state_that_stays_is_a_leak(scene: &Scene) {
    let left = scene.root().join("containers/abc");
    fs::create_dir_all(&left).expect("make a directory");
    assert!(failure(|| scene.assert_nothing_left()).contains("containers/abc"));
    fs::remove_dir(&left).expect("remove a directory");
    let left = scene.root().join("run/x/pid");
    fs::create_dir_all(scene.root().join("run/x")).expect("make a directory");
    fs::write(&left, "1").expect("write a file");
    assert!(failure(|| scene.assert_nothing_left()).contains("run/x/pid"));
    fs::remove_file(&left).expect("remove a file");
}

fn a_scene_that_panicked_leaves_nothing(scene: &Scene) {
    let inner = Scene::new("inner");
    let directory = inner.directory().to_owned();
    failure(move || {
        inner.command("mount", ["-t".as_ref(), "tmpfs".as_ref(), "none".as_ref(), inner.root().as_os_str()]).ok();
        drop(inner.command("sleep", ["600"]).start());
        panic!("as a test does");
    });
    assert!(!directory.exists());
    assert!(leaks::mounts(&directory).is_empty() && leaks::processes(&directory).is_empty());
    drop(scene.command("true", [""; 0]).ok());
}

fn a_mount_of_another_directory_survives_the_cleaning(scene: &Scene) {
    let precious = scene.path("precious");
    fs::create_dir(&precious).expect("make a directory");
    fs::write(precious.join("file"), "kept").expect("write a file");
    let inner = Scene::new("inner");
    let target = inner.path("bound");
    fs::create_dir(&target).expect("make a directory");
    inner.command("mount", ["--bind".as_ref(), precious.as_os_str(), target.as_os_str()]).ok();
    symlink(&precious, inner.path("link")).expect("make a link");
    let directory = inner.directory().to_owned();
    drop(inner);
    assert!(!directory.exists());
    assert_eq!(fs::read_to_string(precious.join("file")).expect("the file is there"), "kept");
}

fn what_is_missing_is_named(_: &Scene) {
    let shown = |need: Need| need.missing().unwrap_or_default();
    assert_eq!(shown(Need::Tool("no-such-tool")), "needs no-such-tool");
    assert_eq!(shown(Need::OneOf(&["no-such-tool", "nor-this"])), "needs no-such-tool or nor-this");
    assert_eq!(shown(Need::OneOf(&["no-such-tool", "sh"])), "");
    assert_eq!(shown(Need::Tool("sh")), "");
    assert_eq!(shown(Need::Kernel("nosuchfs")), "needs nosuchfs in the kernel");
    assert_eq!(shown(Need::Kernel("proc")), "");
    assert_eq!(shown(Need::Target("no-such-target")), "needs Rust's target no-such-target");
    assert_eq!(shown(Need::File("/no/such/file")), "needs /no/such/file");
    assert_eq!(shown(Need::File("/proc")), "");
    assert!(shown(Need::CgroupV2(&["no-such-controller"])).starts_with("needs "));
    assert_eq!(shown(Need::Command("no-such-command")), "needs vial's command no-such-command");
}

fn the_busybox_root_runs(scene: &Scene) {
    let root = scene.rootfs();
    let words = ["/bin/sh", "-c", "id -un; ls /etc; cat /etc/os-release | head -n 1; stat -c %a /tmp"];
    let output = scene.command("chroot", [root.as_os_str()].into_iter().chain(words.map(AsRef::as_ref)));
    output.ok().prints("root\ngroup\nos-release\npasswd\nID=busybox\n1777\n");
    assert!(Path::new(root).join("sbin").is_symlink());
}

fn the_outcome_of_a_command_is_asserted(scene: &Scene) {
    let output = scene.command("sh", ["-c", "cat; echo words >&2; exit 3"]).input("in").run();
    let output = output.ends(3).prints("in").shows("i").says("words");
    assert!(failure(|| drop(output.clone().ends(0))).contains("exit code 3"));
    assert!(failure(|| drop(output.clone().prints("i"))).contains("in"));
    assert!(failure(|| drop(output.clone().silent())).contains("words"));
    assert_eq!(scene.command("sh", ["-c", "kill -9 $$"]).run().code, 137);
}
