//! `vial why`: which line of defence said no, and what to change, which then helps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::util::Scene;
use crate::util::command::Output;
use crate::util::container::eventually;
use crate::util::user::User;

trials! {
    rights_that_lack_are_named [Root, Busybox, Kernel("overlay"), Tool("ip")];
    rules_of_a_profile_are_told_by_their_number [Root, Busybox, Kernel("overlay")];
    who_a_filter_kills_is_told_with_the_call [Root, Busybox, Kernel("overlay")];
    paths_that_are_covered_or_read_only_are_told [Root, Busybox, Kernel("overlay")];
    flags_of_mounts_are_told [Root, Busybox, Kernel("overlay")];
    rights_of_files_that_do_not_count_are_told [Root, Tool("setpriv"), File("/etc/shadow"), Kernel("overlay")];
    owners_and_modes_are_told [Root, Busybox, Kernel("overlay")];
    rules_about_files_are_told [Root, Busybox, Kernel("overlay"), File("/sys/kernel/security"), Linux(6, 2)];
    user_namespaces_are_told [Root, Busybox, Kernel("overlay")];
    programs_that_can_not_be_executed_are_told [Root, Busybox, Kernel("overlay")];
    libraries_that_are_not_there_are_told [Root, Tool("gcc"), Kernel("overlay")];
    limits_that_were_met_are_told [Root, Busybox, Kernel("overlay"), CgroupV1("pids")];
    what_the_kernel_or_the_network_has_not_is_told [Root, Busybox, Kernel("overlay")];
    the_likeliest_comes_first_and_what_does_not_matter_last [Root, Busybox, Kernel("overlay")];
    it_runs_as_it_would_without_being_followed [Root, Busybox, Kernel("overlay")];
    a_mistake_ends_the_first_process_as_it_would [Root, Tool("gcc"), Kernel("overlay")];
    what_is_executed_in_a_container_that_runs_is_followed [Root, Busybox, Kernel("overlay")];
    a_container_that_has_failed_is_told_of [Root, Busybox, Kernel("overlay"), CgroupV1("pids")];
    a_container_is_started_again_and_followed [Root, Busybox, Kernel("overlay")];
    a_normal_user_has_its_commands_followed [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    a_follower_that_is_killed_leaves_the_workload_alone [Root, Busybox, Kernel("overlay")];
    what_can_not_be_followed_is_refused [Root, Busybox, Kernel("overlay")];
}

/// What is found when a command of vial's is followed, and how it ended.
#[track_caller]
fn why(scene: &Scene, words: &[&str]) -> (Value, Output) {
    let report = scene.path("answer").display().to_string();
    let _ = fs::remove_file(&report);
    let output =
        scene.vial([&["why", "--json", "--report", &report, "--"], words].concat()).limit(Duration::from_mins(1)).run();
    let text = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {}", output.shown()));
    (serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}: {}", output.shown())), output)
}

/// A script in a container, followed.
#[track_caller]
fn found(scene: &Scene, options: &[&str], image: &str, script: &str) -> Vec<Value> {
    let (answer, output) =
        why(scene, &[&["run", "--rm", "--network", "none"], options, &[image, "sh", "-c", script]].concat());
    assert_eq!(answer["ExitCode"], output.code);
    answer["Findings"].as_array().expect("findings").clone()
}

/// What does not work, why, and what helps.
struct Row<'a> {
    options: &'a [&'a str],
    script: &'a str,
    line: &'a str,
    /// The call, or what its names on several processors have in common.
    call: &'a str,
    errno: &'a str,
    /// What is to be in the reason, and in what to change.
    says: [&'a str; 2],
    /// The change as options in the place of the row's own; with none it is not tried.
    helped_by: Option<&'a [&'a str]>,
}

/// Asserts that a row's script fails for what the row says, that this comes first, and that the change helps.
#[track_caller]
fn assert_row(scene: &Scene, image: &str, row: &Row<'_>) {
    let Row { options, script, line, call, errno, says: [why, change], helped_by } = row;
    let findings = found(scene, options, image, script);
    let first = findings.first().unwrap_or_else(|| panic!("nothing is found: {options:?} {script}"));
    let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
    assert_eq!([text("Line"), text("Errno")], [*line, *errno], "{options:?} {script}: {findings:#?}");
    assert!(
        text("Call").contains(call) && text("Call").is_empty() == call.is_empty(),
        "{options:?} {script}: {first:#}"
    );
    assert!(text("Why").contains(why) && text("Change").contains(change), "{options:?} {script}: {first:#}");
    assert_eq!(first["Likely"], true);
    if let Some(helping) = helped_by {
        let words = [&["run", "--rm", "--network", "none"], *helping, &[image, "sh", "-c", script]].concat();
        scene.vial(words).limit(Duration::from_mins(1)).ok();
    }
}

fn rootfs(scene: &Scene) -> String {
    scene.rootfs().display().to_string()
}

fn rights_that_lack_are_named(scene: &Scene) {
    for (script, options, line, call, capability) in [
        ("mount -t tmpfs none /mnt", &[][..], "seccomp", "mount", "SYS_ADMIN"),
        ("hostname other", &[], "seccomp", "sethostname", "SYS_ADMIN"),
        ("dmesg >/dev/null", &[], "seccomp", "syslog", "SYSLOG"),
        ("chroot / true", &["--cap-drop", "ALL"], "seccomp", "chroot", "SYS_CHROOT"),
        ("chown 1 /etc/passwd", &["--cap-drop", "ALL"], "capability", "chown", "CHOWN"),
        ("mknod /x c 1 3", &["--cap-drop", "ALL"], "capability", "mknod", "MKNOD"),
        ("ip link add x type bridge", &[], "capability", "recvmsg", "NET_ADMIN"),
    ] {
        let helping = [options, &["--cap-add", capability]].concat();
        let says = [capability, &*format!("--cap-add {capability}")];
        let row = Row { options, script, line, call, errno: "EPERM", says, helped_by: Some(&helping) };
        assert_row(scene, &rootfs(scene), &row);
    }
}

fn profile(scene: &Scene) -> String {
    let path = scene.path("profile.json");
    let profile = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["getcwd"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
        { "names": ["symlink", "symlinkat"], "action": "SCMP_ACT_KILL_PROCESS" },
        { "names": ["unlink", "unlinkat"], "action": "SCMP_ACT_TRAP" },
    ]});
    fs::write(&path, profile.to_string()).expect("write a profile");
    format!("seccomp={}", path.display())
}

fn rules_of_a_profile_are_told_by_their_number(scene: &Scene) {
    let option = profile(scene);
    let image = rootfs(scene);
    let refused = Row {
        options: &["--security-opt", &option],
        script: "mkdir /x",
        line: "seccomp",
        call: "mkdir",
        errno: "ENOSYS",
        says: ["rule 2 of the profile (SCMP_ACT_ERRNO)", "mkdir"],
        helped_by: Some(&["--security-opt", "seccomp=unconfined"]),
    };
    assert_row(scene, &image, &refused);
    // What stands in no rule falls to the default action.
    let path = scene.path("few.json");
    let names = [
        "execve",
        "exit_group",
        "brk",
        "mmap",
        "munmap",
        "mprotect",
        "read",
        "write",
        "open",
        "openat",
        "close",
        "stat",
        "fstat",
        "lstat",
        "newfstatat",
        "statx",
        "fcntl",
        "dup2",
        "dup3",
        "ioctl",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "getpid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "set_tid_address",
        "set_robust_list",
        "arch_prctl",
        "prlimit64",
        "readlink",
        "getcwd",
        "getrandom",
        "rseq",
        "futex",
        "clone",
        "fork",
        "vfork",
        "wait4",
        "uname",
        "prctl",
        "exit",
    ];
    let few = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{ "names": names.as_slice(), "action": "SCMP_ACT_ALLOW" }] });
    fs::write(&path, few.to_string()).expect("write a profile");
    let option = format!("seccomp={}", path.display());
    let says = ["no rule of the profile is for mkdir", "among what the profile allows"];
    assert_row(scene, &image, &Row { options: &["--security-opt", &option], errno: "EPERM", says, ..refused });
}

fn who_a_filter_kills_is_told_with_the_call(scene: &Scene) {
    let option = profile(scene);
    let image = rootfs(scene);
    for (script, call, says) in [
        ("ln -s a /b; exit 3", "symlink", "rule 3 of the profile (SCMP_ACT_KILL_PROCESS)"),
        ("rm /etc/passwd; exit 3", "unlink", "rule 4 of the profile (SCMP_ACT_TRAP)"),
        ("exec ln -s a /b", "symlink", "rule 3"),
        ("exec rm /etc/passwd", "unlink", "rule 4"),
    ] {
        let findings = found(scene, &["--security-opt", &option], &image, script);
        let [only] = &findings[..] else { panic!("{script}: {findings:#?}") };
        assert_eq!(only["Line"], "seccomp");
        assert!(only["Call"].as_str().is_some_and(|made| made.starts_with(call)), "{only:#}");
        assert!(only["Why"].as_str().is_some_and(|why| why.contains(says)), "{only:#}");
    }
}

fn paths_that_are_covered_or_read_only_are_told(scene: &Scene) {
    let shared = scene.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    let (closed, open) = (format!("{}:/data:ro", shared.display()), format!("{}:/data", shared.display()));
    let line = "read-only path";
    let row =
        |options, script, says, helped_by| Row { options, script, line, call: "open", errno: "EROFS", says, helped_by };
    let image = rootfs(scene);
    for row in [
        row(
            &["--read-only"],
            "echo x > /tmp/x",
            ["root is read-only", "--tmpfs /tmp"],
            Some(&["--read-only", "--tmpfs", "/tmp"]),
        ),
        row(&["--read-only"], "echo x > /etc/x", ["root is read-only", "a volume at /etc"], Some(&[])),
        row(&["-v", &closed], "echo x > /data/x", ["the mount at /data", "without :ro"], Some(&["-v", &open])),
        row(&[], "echo 1 > /proc/sys/kernel/panic", ["/proc/sys", "--sysctl kernel.panic"], None),
        Row {
            options: &[],
            script: "grep -q . /proc/keys",
            line: "masked path",
            call: "open",
            errno: "",
            says: ["/proc/keys", "--security-opt unmask=/proc/keys"],
            helped_by: Path::new("/proc/keys").exists().then_some(&["--security-opt", "unmask=/proc/keys"]),
        },
    ] {
        assert_row(scene, &image, &row);
    }
}

fn flags_of_mounts_are_told(scene: &Scene) {
    let image = rootfs(scene);
    let rows = [
        Row {
            options: &["--tmpfs", "/x"],
            script: "cp /bin/busybox /x/true; /x/true",
            line: "noexec",
            call: "execve",
            errno: "EACCES",
            says: ["/x", "--tmpfs /x:exec"],
            helped_by: Some(&["--tmpfs", "/x:exec"]),
        },
        Row {
            options: &["--tmpfs", "/x"],
            script: "mknod /x/null c 1 3; cat /x/null",
            line: "nodev",
            call: "open",
            errno: "EACCES",
            says: ["/x/null", "--device"],
            helped_by: None,
        },
        Row {
            options: &[],
            script: "mknod /kmsg c 1 11; head -c 1 /kmsg",
            line: "device rules",
            call: "open",
            errno: "EPERM",
            says: ["/kmsg", "--device"],
            helped_by: None,
        },
    ];
    for row in &rows {
        assert_row(scene, &image, row);
    }
}

/// A copy of a program of the machine's that has its owner's rights.
fn set_user_id(scene: &Scene, program: &str) -> String {
    let place = scene.path("own");
    fs::create_dir_all(&place).expect("make a directory");
    fs::copy(program, place.join("program")).expect("copy a program");
    fs::set_permissions(place.join("program"), PermissionsExt::from_mode(0o4755)).expect("set its mode");
    format!("{}:/own", place.display())
}

fn rights_of_files_that_do_not_count_are_told(scene: &Scene) {
    let volume = set_user_id(scene, "/bin/cat");
    let row = Row {
        options: &["-u", "1000", "-v", &volume, "--security-opt", "no-new-privileges"],
        script: "/own/program /etc/shadow > /dev/null",
        line: "no-new-privileges",
        call: "open",
        errno: "EACCES",
        says: ["program has no rights by its file", "without --security-opt no-new-privileges"],
        helped_by: Some(&["-u", "1000", "-v", &volume]),
    };
    assert_row(scene, "host", &row);
    let muted = Row {
        options: &["-v", &volume, "--tmpfs", "/x:exec"],
        script: "cp -p /own/program /x/program; setpriv --reuid 1000 --clear-groups /x/program /etc/shadow > /dev/null",
        line: "nosuid",
        says: ["program has no rights by its file", "without nosuid"],
        helped_by: Some(&["-v", &volume, "--tmpfs", "/x:exec,suid"]),
        ..row
    };
    assert_row(scene, "host", &muted);
}

/// A volume at `/data` with a file that nobody but root may read.
fn secret(scene: &Scene) -> String {
    let shared = scene.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    fs::write(shared.join("secret"), "x").expect("write a file");
    fs::set_permissions(shared.join("secret"), PermissionsExt::from_mode(0o600)).expect("set its mode");
    format!("{}:/data", shared.display())
}

fn owners_and_modes_are_told(scene: &Scene) {
    let image = rootfs(scene);
    let volume = secret(scene);
    for row in [
        Row {
            options: &["-u", "1000", "-v", &volume],
            script: "cat /data/secret",
            line: "permissions",
            call: "open",
            errno: "EACCES",
            says: ["/data/secret is of user 0 with mode 0600, and the process is user 1000", "-u 0"],
            helped_by: Some(&["-u", "0", "-v", &volume]),
        },
        Row {
            options: &["-u", "1000"],
            script: "ls /root/x",
            line: "permissions",
            call: "stat",
            errno: "EACCES",
            says: ["/root is of user 0 with mode 0700", "-u 0"],
            helped_by: None,
        },
        Row {
            options: &["--cap-drop", "DAC_OVERRIDE"],
            script: "chown 1 /etc/passwd && chmod 600 /etc/passwd && cat /etc/passwd",
            line: "capability",
            call: "open",
            errno: "EACCES",
            says: ["CAP_DAC_OVERRIDE", "--cap-add DAC_OVERRIDE"],
            helped_by: Some(&["--cap-add", "DAC_OVERRIDE"]),
        },
    ] {
        assert_row(scene, &image, &row);
    }
}

fn rules_about_files_are_told(scene: &Scene) {
    let row = Row {
        options: &["--landlock", "ro:/"],
        script: "echo x > /tmp/x",
        line: "landlock",
        call: "open",
        errno: "EACCES",
        says: ["/tmp/x", "--landlock rw:"],
        helped_by: Some(&["--landlock", "ro:/", "--landlock", "rw:/tmp"]),
    };
    assert_row(scene, &rootfs(scene), &row);
}

fn user_namespaces_are_told(scene: &Scene) {
    let image = rootfs(scene);
    let volume = secret(scene);
    let mapped = format!("{volume}:idmap");
    for row in [
        Row {
            options: &["--userns", "auto"],
            script: "chown 99999 /etc/passwd",
            line: "user namespace",
            call: "chown",
            errno: "EINVAL",
            says: ["no number", "--userns host"],
            helped_by: Some(&["--userns", "host"]),
        },
        Row {
            options: &["--userns", "auto"],
            script: "mknod /x c 1 3",
            line: "user namespace",
            call: "mknod",
            errno: "EPERM",
            says: ["CAP_MKNOD on the machine", "--userns host"],
            helped_by: Some(&["--userns", "host"]),
        },
        Row {
            options: &["--userns", "auto", "-v", &volume],
            script: "cat /data/secret",
            line: "user namespace",
            call: "open",
            errno: "EACCES",
            says: ["/data/secret belongs to a user", ":idmap"],
            helped_by: Some(&["--userns", "auto", "-v", &mapped]),
        },
    ] {
        assert_row(scene, &image, &row);
    }
}

fn programs_that_can_not_be_executed_are_told(scene: &Scene) {
    let place = scene.path("programs");
    fs::create_dir(&place).expect("make a directory");
    let write = |name: &str, bytes: &[u8], mode: u32| {
        fs::write(place.join(name), bytes).expect("write a file");
        fs::set_permissions(place.join(name), PermissionsExt::from_mode(mode)).expect("set its mode");
    };
    write("script", b"#!/usr/bin/no-such-program\n", 0o755);
    write("closed", b"#!/bin/sh\n", 0o644);
    write("text", b"\x01\x02\x03", 0o755);
    // A 64-bit ELF file for a processor that nobody has, elf(5).
    let mut other = vec![0; 64];
    other[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (other[16], other[18], other[20]) = (2, 0xfe, 1);
    write("other", &other, 0o755);
    let volume = format!("{}:/p", place.display());
    let image = rootfs(scene);
    for (script, line, errno, says) in [
        ("/p/script", "missing interpreter", "ENOENT", ["/usr/bin/no-such-program", "an image that has"]),
        ("/p/closed", "no x", "EACCES", ["/p/closed is not executable", "chmod +x /p/closed"]),
        ("exec /p/text", "no program", "ENOEXEC", ["/p/text", "#!/bin/sh"]),
        ("exec /p/other", "another processor", "ENOEXEC", ["/p/other", "qemu"]),
    ] {
        let row = Row { options: &["-v", &volume], script, line, call: "execve", errno, says, helped_by: None };
        assert_row(scene, &image, &row);
    }
    // What the container itself can't execute vial says at once.
    scene
        .vial(["why", "--", "run", "--rm", "-v", &volume, &image, "/p/script"])
        .ends(126)
        .says("execute /p/script: ENOENT")
        .says("the interpreter or loader that it names is not");
}

/// Builds a program of a line of C.
fn build(scene: &Scene, source: &str, words: &[&str]) {
    fs::create_dir_all(scene.path("built")).expect("make a directory");
    fs::write(scene.path("source.c"), source).expect("write the source");
    let source = scene.path("source.c").display().to_string();
    scene.command("gcc", [words, &[&source]].concat()).current_dir(scene.path("built")).ok();
}

fn libraries_that_are_not_there_are_told(scene: &Scene) {
    build(scene, "int f(void) { return 0; }", &["-shared", "-Wl,-soname,libof-nobody.so.7", "-o", "libof-nobody.so.7"]);
    build(
        scene,
        "int f(void); int main(void) { return f(); }",
        &["-o", "needs", "-Wl,--no-as-needed", "libof-nobody.so.7", "-x", "c"],
    );
    fs::rename(scene.path("built/libof-nobody.so.7"), scene.path("library")).expect("take the library away");
    let volume = format!("{}:/built", scene.path("built").display());
    let findings = found(scene, &["-v", &volume], "host", "/built/needs");
    assert_eq!(findings[0]["Line"], "missing library", "{findings:#?}");
    assert!(findings[0]["Why"].as_str().is_some_and(|why| why.contains("libof-nobody.so.7")), "{findings:#?}");
    fs::rename(scene.path("library"), scene.path("built/libof-nobody.so.7")).expect("put the library back");
    let options = ["-v", &volume, "-e", "LD_LIBRARY_PATH=/built"];
    assert_eq!(found(scene, &options, "host", "/built/needs"), [Value::Null; 0]);
}

const HUNGRY: &str = "exec tail /dev/zero";
const MANY: &str = "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2 & done; wait";
const BUSY: &str = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exit 3";

fn limits_that_were_met_are_told(scene: &Scene) {
    let image = rootfs(scene);
    let row = |options, script, line, call, errno, says, helped_by| Row {
        options,
        script,
        line,
        call,
        errno,
        says,
        helped_by,
    };
    for row in [
        row(
            &["--pids-limit", "5"],
            MANY,
            "number of processes",
            "clone",
            "EAGAIN",
            ["5 processes", "--pids-limit"],
            Some(&["--pids-limit", "50"]),
        ),
        row(&["-m", "24m"], HUNGRY, "memory", "", "", ["killed: out of memory (limit 24M)", "--memory"], None),
        row(&["--cpus", "0.1"], BUSY, "processor time", "", "", ["--cpus", "--cpus"], None),
        row(
            &["--shm-size", "64k"],
            "head -c 100000 /dev/zero > /dev/shm/x",
            "full file system",
            "write",
            "ENOSPC",
            ["/dev/shm", "--shm-size"],
            Some(&["--shm-size", "1m"]),
        ),
        row(
            &["--ulimit", "nofile=5"],
            "exec 3</etc/passwd 4</etc/passwd; cat /etc/passwd",
            "number of open files",
            "open",
            "EMFILE",
            ["open", "--ulimit nofile"],
            Some(&["--ulimit", "nofile=50"]),
        ),
    ] {
        assert_row(scene, &image, &row);
    }
}

fn what_the_kernel_or_the_network_has_not_is_told(scene: &Scene) {
    let image = rootfs(scene);
    let rows = [
        Row {
            options: &["--cap-add", "SYS_ADMIN"],
            script: "mount -t nosuchfs none /mnt",
            line: "kernel",
            call: "mount",
            errno: "ENODEV",
            says: ["no file system of that kind", "vial check"],
            helped_by: None,
        },
        Row {
            options: &[],
            script: "wget -q -O - http://192.0.2.1/",
            line: "network",
            call: "connect",
            errno: "ENETUNREACH",
            says: ["no way", "--network"],
            helped_by: None,
        },
    ];
    for row in &rows {
        assert_row(scene, &image, row);
    }
}

fn the_likeliest_comes_first_and_what_does_not_matter_last(scene: &Scene) {
    let image = rootfs(scene);
    let script = "mount -t tmpfs none /mnt 2>/dev/null; chown 1 /x 2>/dev/null; chroot / true; exit $?";
    let options = ["--cap-drop", "SYS_CHROOT"];
    let findings = found(scene, &options, &image, script);
    assert_eq!(findings[0]["Call"], "chroot", "{findings:#?}");
    let words =
        [&["why", "--", "run", "--rm", "--network", "none"], &options[..], &[&image, "sh", "-c", script]].concat();
    let output = scene.vial(words).run();
    let place = |text: &str| output.stderr.find(text).unwrap_or_else(|| panic!("no {text}: {}", output.shown()));
    assert!(place("the workload ended with 1") < place("chroot failed with EPERM in chroot"), "{}", output.shown());
    assert!(place("chroot failed with EPERM") < place("mount failed with EPERM in mount"), "{}", output.shown());
    // What ends well was refused nothing that mattered.
    let calm = scene.vial([
        "why",
        "--",
        "run",
        "--rm",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null; exit 0",
    ]);
    calm.ok().says("the workload ended with 0").says("refused too, which need not matter");
    let calm = scene.vial(["why", "--", "run", "--rm", "--network", "none", &image, "false"]);
    calm.ends(1).says("no line of defence has refused it anything");
}

fn it_runs_as_it_would_without_being_followed(scene: &Scene) {
    let image = rootfs(scene);
    // Forks, threads' kin, stops, signals that are caught and that are not, an orphan, a pipe.
    let script = "trap 'echo caught' USR1; kill -USR1 $$; \
                  for n in 3 1 2; do echo $n; done | sort; \
                  sleep 5 & child=$!; kill -STOP $child; kill -CONT $child; kill $child; wait $child; echo $?; \
                  (sh -c 'kill -KILL $$'); echo $?; (sleep 0.1 & exec true); wait; cat; \
                  for n in $(seq 100); do (exit 1) || true; done; exec sh -c 'exit 7'";
    let plain = ["run", "--rm", "-i", "--network", "none", &image, "sh", "-c", script];
    let expected = scene.vial(plain).input("from outside\n").run();
    let followed = scene.vial([&["why", "--"], &plain[..]].concat()).input("from outside\n").run();
    assert_eq!((followed.code, &followed.stdout), (7, &expected.stdout), "{}", followed.shown());
    assert_eq!(expected.stdout, "caught\n1\n2\n3\n143\n137\nfrom outside\n");
    let init =
        ["why", "--", "vial", "run", "--rm", "--init", "--network", "none", &image, "sh", "-c", "echo $$; exit 4"];
    scene.vial(init).ends(4).prints("2\n");
}

fn a_mistake_ends_the_first_process_as_it_would(scene: &Scene) {
    build(scene, "int main(void) { *(volatile int *)0 = 1; }", &["-o", "crash", "-x", "c"]);
    let volume = format!("{}:/built", scene.path("built").display());
    for command in [&["/built/crash"][..], &["sh", "-c", "/built/crash"]] {
        let words = [&["why", "--", "run", "--rm", "--network", "none", "-v", &volume, "host"], command].concat();
        scene.vial(words).ends(139).says("killed by signal 11").says("no line of defence");
    }
}

fn what_is_executed_in_a_container_that_runs_is_followed(scene: &Scene) {
    let image = rootfs(scene);
    scene.vial(["run", "-d", "--network", "none", "--name", "web", &image, "sleep", "1000"]).ok();
    let (answer, _) = why(scene, &["exec", "web", "mount", "-t", "tmpfs", "none", "/mnt"]);
    assert_eq!((&answer["Findings"][0]["Line"], &answer["Findings"][0]["Call"]), (&json!("seccomp"), &json!("mount")));
    // What is left behind goes on.
    scene
        .vial(["why", "--", "exec", "web", "sh", "-c", "sleep 2000 >/dev/null 2>&1 & exit 3"])
        .ends(3)
        .says("no line of defence");
    scene.vial(["exec", "web", "sh", "-c", "ps -o args | grep -q '[s]leep 2000'"]).ok();
    scene.vial(["why", "web"]).ok().says("web is running");
    scene.vial(["rm", "-f", "web"]).ok();
}

fn a_container_that_has_failed_is_told_of(scene: &Scene) {
    let image = rootfs(scene);
    for (name, options, script, says) in [
        ("hungry", &["-m", "24m"][..], HUNGRY, "memory: killed: out of memory (limit 24M)"),
        ("many", &["--pids-limit", "5"], MANY, "number of processes: there may be 5 processes"),
        ("busy", &["--cpus", "0.1"], BUSY, "processor time: its processes waited for"),
    ] {
        for foreground in [true, false] {
            let detach: &[&str] = if foreground { &[] } else { &["-d"] };
            let words = [&["run", "--network", "none", "--name", name], detach, options, &[&image, "sh", "-c", script]]
                .concat();
            scene.vial(words).limit(Duration::from_mins(1)).run();
            scene.vial(["wait", name]).limit(Duration::from_mins(1)).ok();
            scene.vial(["why", name]).ok().says(says).says(&format!("{name} ")).says("try a higher --");
            let inspected = scene.vial(["inspect", name]).ok().stdout;
            let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
            assert_eq!(inspected[0]["State"]["OOMKilled"], name == "hungry");
            scene.vial(["rm", name]).ok();
        }
    }
    scene.vial(["create", "--network", "none", "--name", "it", &image, "/no/such/program"]).ok();
    scene.vial(["start", "it"]).run();
    scene.vial(["why", "it"]).ok().says("it was not started").says("/no/such/program");
    scene.vial(["rm", "it"]).ok();
    let option = profile(scene);
    scene
        .vial(["run", "--network", "none", "--name", "it", "--security-opt", &option, &image, "ln", "-s", "a", "/b"])
        .ends(159);
    scene.vial(["why", "it"]).ok().says("seccomp").says("--again");
    scene.vial(["rm", "it"]).ok();
    scene.vial(["why", "it"]).ends(125).says("no such container: it");
}

fn a_container_is_started_again_and_followed(scene: &Scene) {
    let image = rootfs(scene);
    let script = "echo again; mount -t tmpfs none /mnt || exit 9";
    scene.vial(["run", "--network", "none", "--name", "it", &image, "sh", "-c", script]).ends(9);
    scene.vial(["why", "it"]).ok().says("it ended with 9").says("vial why --again it");
    for _ in 0..2 {
        scene.vial(["why", "--again", "it"]).ends(9).prints("again\n").says("try --cap-add SYS_ADMIN");
    }
    let inspected: Value = serde_json::from_str(&scene.vial(["inspect", "it"]).ok().stdout).expect("JSON");
    assert_eq!((&inspected[0]["State"]["Status"], &inspected[0]["State"]["ExitCode"]), (&json!("exited"), &json!(9)));
    scene.vial(["start", "-a", "it"]).ends(9).prints("again\n");
    scene.vial(["rm", "it"]).ok();
    scene.vial(["run", "-d", "--network", "none", "--name", "it", &image, "sleep", "1000"]).ok();
    scene.vial(["why", "--again", "it"]).ends(125).says("does not stand still").says("vial why -- exec");
    scene.vial(["rm", "-f", "it"]).ok();
}

fn a_normal_user_has_its_commands_followed(scene: &Scene) {
    let user = User::new(scene);
    let plain = ["run", "--rm", "--network", "none", &user.rootfs()];
    user.vial([&["why", "--"], &plain[..], &["mount", "-t", "tmpfs", "none", "/mnt"]].concat())
        .ends(1)
        .says("seccomp: the default profile lets a container call mount with CAP_SYS_ADMIN only");
    user.vial([&["why", "--"], &plain[..], &["mknod", "/x", "c", "1", "3"]].concat())
        .ends(1)
        .says("takes CAP_MKNOD on the machine");
    user.vial(["run", "-d", "--network", "none", "--name", "it", &user.rootfs(), "sleep", "1000"]).ok();
    user.vial(["why", "--", "exec", "it", "mount", "-t", "tmpfs", "none", "/mnt"])
        .ends(1)
        .says("try --cap-add SYS_ADMIN");
    user.vial(["rm", "-f", "it"]).ok();
}

fn a_follower_that_is_killed_leaves_the_workload_alone(scene: &Scene) {
    let image = rootfs(scene);
    let shared = scene.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    let volume = format!("{}:/shared", shared.display());
    let script = "touch /shared/there; until test -e /shared/go; do sleep 0.02; done; echo done; exit 5";
    let followed = scene
        .vial(["why", "--", "run", "--rm", "--network", "none", "-v", &volume, &image, "sh", "-c", script])
        .start();
    eventually("the workload runs", || shared.join("there").exists().then_some(()));
    let children = format!("/proc/{0}/task/{0}/children", followed.id());
    // The first child is who follows, the second the container's first process.
    let children = fs::read_to_string(children).expect("read the children");
    let first = children.split_whitespace().next().expect("there is a child");
    assert!(Command::new("kill").args(["-KILL", first]).status().is_ok_and(|status| status.success()));
    fs::write(shared.join("go"), "").expect("write a file");
    followed.wait().ends(125).prints("done\n").says("a helping process was killed by signal 9");
    scene.vial(["ps", "-aq"]).ok().prints("");
}

fn what_can_not_be_followed_is_refused(scene: &Scene) {
    let image = rootfs(scene);
    for (words, says) in [
        (&["why"][..], "vial why takes at least 1 argument"),
        (&["why", "nobody"], "no such container: nobody"),
        (&["why", "--", "rnu", "--rm", "host", "true"], "did you mean `vial run`"),
        (&["why", "--", "images", "-q"], "why does not follow images"),
        (
            &["why", "--", "run", "-d", &image, "true"],
            "--detach: a container that is followed runs once, in the foreground",
        ),
        (&["why", "--", "run", "--restart", "always", &image, "true"], "--restart: a container that is followed"),
        (&["why", "--", "run", "--no-such", &image, "true"], "--no-such"),
        (&["why", "--again", "a", "b"], "--again takes the name of one container"),
        (&["why", "--report", "/no/such/directory/x", "web"], "--report"),
        (&["why", "--", "exec", "nobody", "true"], "no such container: nobody"),
    ] {
        scene.vial(words).ends(125).says(says);
    }
    scene.vial(["ps", "-aq"]).ok().prints("");
}
