//! Containers that lie in wait for what joins them: with files that are not what they should be, and with processes that try
//! to get hold of the host through the one that comes from there.

use std::fs;
use std::time::Duration;

use crate::util::command::{Cmd, VIAL};
use crate::util::container::{Container, eventually};
use crate::util::{Scene, needs, rootfs};

trials! {
    damaged_user_files_neither_hang_nor_deceive [Root, Busybox, Kernel("overlay"), Command("exec")];
    a_null_device_that_is_none_is_refused [Root, Busybox, Kernel("overlay"), Command("exec")];
    a_terminal_that_is_none_is_refused [Root, Busybox, Kernel("overlay"), Command("exec")];
    mounts_over_proc_do_no_harm [Root, Busybox, Kernel("overlay"), Command("exec")];
    a_search_path_of_traps_is_walked_through [Root, Busybox, Kernel("overlay"), Command("exec")];
    no_open_file_of_vials_leads_out [Root, Busybox, Kernel("overlay"), Command("exec")];
    nothing_can_be_taken_from_what_joins [Root, Busybox, Tool("gcc"), Kernel("overlay"), Command("exec")];
    even_a_tracer_finds_no_rights_and_no_file_to_write [Root, Busybox, Tool("gcc"), Kernel("overlay"), Command("exec")];
    a_script_of_vial_itself_gets_a_sealed_copy [Root, Busybox, Tool("gcc"), Kernel("overlay"), Command("exec")];
}

const WAIT: &str = "exec sleep 600";

/// A command that must not hang.
fn vial<'a>(scene: &'a Scene, words: &[&str]) -> Cmd<'a> {
    scene.vial(words).limit(Duration::from_secs(20))
}

/// Has a container do something, as its own root would.
#[track_caller]
fn does(scene: &Scene, id: &str, script: &str) {
    vial(scene, &["exec", "-i", id, "/bin/busybox", "sh", "-c", script]).ok();
}

fn damaged_user_files_neither_hang_nor_deceive(scene: &Scene) {
    for (trap, says) in [
        ("mkfifo /etc/passwd", "no user user"),
        ("mkdir /etc/passwd", "no user user"),
        ("ln -s /proc/1/environ /etc/passwd", "no user user"),
        ("ln -s /proc/self/mem /etc/passwd", "no user user"),
        ("ln -s /etc/passwd /etc/passwd", "no user user"),
        ("mknod /etc/passwd c 1 5", "no user user"),
        ("truncate -s 1T /etc/passwd", "/etc/passwd"),
        ("tr -d 7 </dev/urandom | head -c 3000000 >/etc/passwd", "no user user"),
        ("printf 'user:x:-1:-1::/:\\n' >/etc/passwd", "user"),
        ("printf 'user:x:4294967296:0::/:\\nuser::::::' >/etc/passwd", "user"),
        ("rmdir /etc; ln -s /proc/1/root/../../etc /etc", "no user user"),
    ] {
        let container = Container::start(scene, &[], WAIT);
        let id = &*container.id;
        does(scene, id, &format!("rm -f /etc/passwd /etc/group; umount /etc/* 2>/dev/null; {trap}; true"));
        vial(scene, &["exec", "-u", "user", id, "true"]).ends(125).prints("").says(says);
        let output = vial(scene, &["exec", "-u", "7:8", id, "cat", "/proc/self/status"]).run();
        // A file that is too long is an error, since what stands at its end can't be known.
        assert!(
            output.code == 125 && trap.contains("1T") || output.stdout.contains("\nUid:\t7\t7\t"),
            "{trap}: {}",
            output.shown()
        );
        container.stop();
    }
}

fn a_null_device_that_is_none_is_refused(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let id = &*container.id;
    for trap in [
        "mkfifo /dev/null",
        "echo words >/dev/null",
        "mkdir /dev/null",
        "mknod /dev/null c 1 5",
        "mknod /dev/null b 1 3",
        "ln -s /etc/passwd /dev/null",
        "ln -s /dev/null /dev/null",
        "true",
    ] {
        does(scene, id, &format!("rm -rf /dev/null; {trap}"));
        for options in [&["exec"][..], &["exec", "-d"]] {
            let words = [options, &[id, "cat"]].concat();
            vial(scene, &words).input("").ends(125).prints("").says("/dev/null");
        }
        vial(scene, &["exec", "-i", id, "cat"]).input("in").ok().prints("in");
        vial(scene, &["exec", "-t", id, "true"]).ok();
    }
    does(scene, id, "rm -rf /dev/null; mknod -m 666 /dev/null c 1 3");
    vial(scene, &["exec", id, "cat"]).ok().prints("");
    container.stop();
}

fn a_terminal_that_is_none_is_refused(scene: &Scene) {
    let container = Container::start(scene, &["--cap-add", "SYS_ADMIN"], WAIT);
    let id = &*container.id;
    does(scene, id, "mount -t tmpfs none /dev/pts");
    for trap in ["mkfifo /dev/pts/ptmx", "mknod /dev/pts/ptmx c 5 2", "ln -s /dev/zero /dev/pts/ptmx", "true"] {
        does(scene, id, &format!("rm -f /dev/pts/ptmx; {trap}"));
        vial(scene, &["exec", "-t", id, "true"]).ends(125).prints("").says("/dev/pts/ptmx");
    }
    does(scene, id, "umount /dev/pts");
    vial(scene, &["exec", "-t", id, "tty"]).ok().prints("/dev/pts/0\r\n");
    container.stop();
}

fn mounts_over_proc_do_no_harm(scene: &Scene) {
    for trap in [
        "mount -t tmpfs none /proc",
        "umount -l /proc",
        "mount -t tmpfs none /proc/1",
        "mount --bind /proc/1 /proc/self",
        "mkfifo /tmp/trap; for file in oom_score_adj ns/mnt status stat; do mount --bind /tmp/trap /proc/1/$file; done",
        "mount -t tmpfs none /sys; mount -t tmpfs none /dev",
    ] {
        let container = Container::start(scene, &["--cap-add", "SYS_ADMIN", "--oom-score-adj", "77"], WAIT);
        does(scene, &container.id, &format!("({trap}) 2>/dev/null; true"));
        let output = vial(scene, &["exec", "-i", &container.id, "/bin/sh", "-c", "echo ran"]).ok();
        output.prints("ran\n").silent();
        container.stop();
    }
}

fn a_search_path_of_traps_is_walked_through(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    let id = &*container.id;
    does(
        scene,
        id,
        "mkdir /traps; cd /traps; ln -s loop loop; mkfifo fifo; mkdir -p dirs/id plain; echo words >plain/id; mkfifo plain/fifo; \
         ln -s /proc/self/fd/3 file",
    );
    let path = "PATH=/traps/loop:/traps/fifo:/traps/file:/traps/dirs:/traps/plain:/bin";
    vial(scene, &["exec", "-e", path, id, "id", "-u"]).ok().prints("0\n");
    vial(scene, &["exec", "-e", path, id, "fifo"]).ends(126);
    container.stop();
}

fn no_open_file_of_vials_leads_out(scene: &Scene) {
    fs::write(scene.path("outside"), "#!/bin/sh\necho out\n").expect("write a file");
    fs::set_permissions(scene.path("outside"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("set a mode");
    let rootfs = scene.rootfs().display().to_string();
    let container = Container::start(scene, &[], WAIT);
    let start = "exec 7</ 8<. 9</proc; exec \"$0\" \"$@\"";
    let outside = format!("{}{}", "/..".repeat(12), scene.path("outside").display());
    for number in 3..16 {
        let directory = format!("/proc/self/fd/{number}");
        let program = format!("{directory}{outside}");
        for words in [&["exec"][..], &["run", "--rm"], &["run", "--rm", "--init"]] {
            let target = if words[0] == "exec" { &container.id } else { &rootfs };
            let run = |options: &[&str], command: &str| {
                let words = [&["-c", start, VIAL][..], words, options, &[target, command]].concat();
                scene.command("bash", words).limit(Duration::from_secs(20)).run()
            };
            let output = run(&["-w", &directory], "pwd");
            assert!(output.code == 125 && output.stdout.is_empty(), "{}", output.shown());
            let output = run(&[], &program);
            assert!([126, 127].contains(&output.code) && output.stdout.is_empty(), "{}", output.shown());
        }
    }
    container.stop();
}

/// The hostile process, compiled.
#[track_caller]
pub fn watcher(scene: &Scene) {
    fs::write(scene.path("watch.c"), include_str!("data/watch.c")).expect("write the source");
    let gcc = needs::tool("gcc").expect("gcc is there");
    scene.command(&gcc.display().to_string(), ["-O2", "-static", "-o", "watch", "watch.c"]).ok();
}

/// Has things happen to a container in which the watcher runs; what it has found.
#[track_caller]
fn watched(scene: &Scene, options: &[&str], act: impl Fn(&str)) -> Vec<String> {
    let shared = format!("{}:/shared", scene.directory().display());
    let host = fs::read(VIAL).expect("read vial");
    let container = Container::start(scene, &[&["-v", &shared], options].concat(), "exec /shared/watch");
    eventually("the watcher watches", || fs::remove_file(scene.path("ready")).ok());
    act(&container.id);
    fs::write(scene.path("stop"), "").expect("write a file");
    let report = eventually("the watcher has told", || fs::read_to_string(scene.path("report")).ok());
    container.stop();
    fs::remove_file(scene.path("stop")).expect("remove a file");
    fs::remove_file(scene.path("report")).expect("remove a file");
    assert!(fs::read(VIAL).expect("read vial") == host, "the host's vial has changed");
    let lines: Vec<String> = report.lines().map(str::to_owned).collect();
    let bad = |line: &&String| line.starts_with("WROTE") || line.contains(VIAL);
    let bad: Vec<&String> = lines.iter().filter(bad).collect();
    assert!(bad.is_empty(), "{bad:?} in {lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("exe ")), "it has seen nothing: {lines:#?}");
    lines
}

/// The capabilities that the watcher has seen must be those of the container, and the root too.
#[track_caller]
fn assert_no_more_rights(lines: &[String], container: &str) {
    let sets: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("cap ")).collect();
    assert_eq!(sets, [container], "{lines:#?}");
    assert!(lines.iter().all(|line| !line.starts_with("FOREIGN")), "it has another root: {lines:#?}");
}

fn nothing_can_be_taken_from_what_joins(scene: &Scene) {
    watcher(scene);
    let lines = watched(scene, &[], |id| {
        for _ in 0..60 {
            vial(scene, &["exec", id, "sleep", "0.002"]).ok();
        }
        vial(scene, &["exec", "-t", id, "true"]).ok();
        vial(scene, &["exec", "-d", id, "true"]).ok();
        vial(scene, &["exec", "-w", "/tmp", id, "true"]).ok();
    });
    assert_no_more_rights(&lines, "00000000a80425fb");
    let secret = ["memfd", "socket", "anon_inode", "mem ", "traced", "opened"];
    let found: Vec<&String> = lines.iter().filter(|line| secret.iter().any(|word| line.contains(word))).collect();
    assert!(found.is_empty(), "{found:?}");
}

fn even_a_tracer_finds_no_rights_and_no_file_to_write(scene: &Scene) {
    watcher(scene);
    let lines = watched(scene, &["--cap-add", "SYS_PTRACE"], |id| {
        for _ in 0..60 {
            // It may be killed by being traced at the wrong moment, but not go on with more rights.
            drop(vial(scene, &["exec", id, "sleep", "0.002"]).run());
        }
    });
    assert_no_more_rights(&lines, "00000000a80c25fb");
    let files = lines.iter().filter_map(|line| line.strip_prefix("fd "));
    let own = ["/dev/null", "pipe:", "socket:"];
    let foreign: Vec<&str> = files.filter(|target| !own.contains(target)).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

fn a_script_of_vial_itself_gets_a_sealed_copy(scene: &Scene) {
    watcher(scene);
    let root = scene.path("own");
    rootfs::make(&root).expect("make a root");
    fs::remove_file(root.join("bin/sh")).expect("remove a link");
    fs::write(root.join("bin/sh"), "#!/proc/self/exe\n").expect("write a script");
    fs::set_permissions(root.join("bin/sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set a mode");
    let lines = watched(scene, &[], |id| {
        // An image of the same make, run where the watcher sees it.
        let words = ["run", "--rm", "--pid", &format!("container:{id}"), &root.display().to_string(), "/bin/sh"];
        for _ in 0..20 {
            vial(scene, &words).ends(125).says("unknown command");
        }
    });
    assert!(lines.iter().any(|line| line.starts_with("exe /memfd:vial")), "it has seen nothing: {lines:#?}");
    let lines = watched(scene, &[], |id| {
        does(scene, id, "rm /bin/sh; printf '#!/proc/self/exe\\n' >/bin/sh; chmod +x /bin/sh");
        for _ in 0..40 {
            // vial is told to execute itself: with the script's name as its command.
            vial(scene, &["exec", id, "/bin/sh", "-c", "true"]).ends(125).says("unknown command");
        }
        vial(scene, &["exec", id, "/proc/self/exe", "version"]).ok().shows("vial");
    });
    assert_no_more_rights(&lines, "00000000a80425fb");
    assert!(lines.iter().any(|line| line.starts_with("opened /memfd:vial")), "it has got hold of nothing: {lines:#?}");
}
