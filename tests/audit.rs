//! `vial audit`: what a workload needs, as strace sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::container::{Container, eventually};
use crate::util::user::User;

trials! {
    programs_are_recorded_as_strace_sees_them [Root, Tool("strace"), Tool("busybox"), Tool("bash"), Tool("python3"), Tool("perl"), Tool("gcc"), Kernel("overlay")];
    servers_are_recorded_as_strace_sees_them [Root, Tool("strace"), Tool("redis-server"), Tool("nginx"), Tool("curl"), Kernel("overlay")];
    programs_in_go_and_in_rust_are_recorded_as_strace_sees_them [Root, Tool("strace"), Tool("runc"), Kernel("overlay")];
    a_program_runs_under_its_profile_and_each_call_is_missed [Root, Busybox, Kernel("overlay")];
    what_calls_were_made_with_is_told [Root, Tool("python3"), Kernel("overlay")];
    files_are_told_by_what_was_done_to_them [Root, Busybox, Kernel("overlay")];
    rights_that_were_used_are_told_and_suffice [Root, Busybox, Kernel("overlay")];
    what_the_profile_refuses_is_refused_and_told [Root, Busybox, Kernel("overlay")];
    namespaces_are_in_a_profile_only_if_they_were_made [Root, Busybox, Tool("python3"), Kernel("overlay")];
    programs_of_32_bits_are_told_apart [Root, Busybox, Tool("gcc"), File("/lib64/ld-linux-x86-64.so.2"), Kernel("overlay")];
    it_runs_as_it_would_without_being_watched [Root, Busybox, Tool("script"), Kernel("overlay")];
    no_process_of_many_is_lost [Root, Busybox, Kernel("overlay")];
    nothing_that_vial_does_is_recorded [Root, Busybox, Kernel("overlay")];
    a_normal_user_has_it_by_notification [Root, Busybox, Tool("setpriv"), Tool("newuidmap"), Kernel("overlay")];
    what_watches_is_told_as_strace_sees_it [Root, Busybox, Tool("strace"), Kernel("overlay")];
    a_container_that_runs_is_followed [Root, Busybox, Kernel("overlay")];
    profiles_are_united [Root, Busybox, Kernel("overlay")];
    what_a_replay_lacks_is_told [Root, Busybox, Kernel("overlay")];
    what_can_not_be_watched_is_refused_and_nothing_is_left [Root, Busybox, Kernel("overlay")];
    a_watcher_that_is_killed_leaves_nothing [Root, Busybox, Kernel("overlay")];
}

/// How calls are seen.
const WAYS: [&str; 2] = ["ebpf", "notify"];
const PLAIN: [&str; 3] = ["--rm", "--network", "none"];

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What an audit records, and what it ended with.
#[track_caller]
fn audit(scene: &Scene, options: &[&str], command: &[&str]) -> (Value, Output) {
    let report = text(&scene.path("report"));
    let words = [&["audit", "--json", "--report", &report], &PLAIN[..], options, command].concat();
    let output = scene.vial(words).limit(Duration::from_mins(2)).run();
    let record = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {}", output.shown()));
    (serde_json::from_str(&record).expect("the report is JSON"), output)
}

fn names(record: &Value) -> BTreeSet<String> {
    record["Calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| call["Name"].as_str().expect("a name").to_owned())
        .collect()
}

fn call<'a>(record: &'a Value, name: &str) -> &'a Value {
    let calls = record["Calls"].as_array().expect("calls");
    calls.iter().find(|call| call["Name"] == name).unwrap_or_else(|| panic!("no {name} in {record:#}"))
}

fn texts(of: &Value) -> Vec<&str> {
    of.as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
}

/// What strace sees of a command in a container of the host's root.
fn traced(scene: &Scene, command: &[&str]) -> BTreeSet<String> {
    let directory = scene.path("out");
    fs::create_dir_all(&directory).expect("make a directory");
    let volume = format!("{}:/out", directory.display());
    let strace =
        ["--cap-add", "SYS_PTRACE", "-v", &volume, "host", "strace", "-f", "-qq", "-s", "0", "-o", "/out/trace"];
    scene.vial([&["run"], &PLAIN[..], &strace, command].concat()).limit(Duration::from_mins(2)).ok();
    let trace = fs::read_to_string(directory.join("trace")).expect("read the trace");
    let name = |line: &str| {
        let rest = line.split_once(' ').expect("a line begins with a number").1.trim_start();
        let rest = rest.strip_prefix("<... ").unwrap_or(rest);
        let end = rest.find(['(', ' ']).unwrap_or(rest.len());
        (!rest.starts_with(['+', '-'])).then(|| rest[..end].to_owned())
    };
    trace.lines().filter_map(name).collect()
}

/// Asserts that a command is recorded in both ways as strace sees it. What takes turns with others does not make the same calls each
/// time: then several times are looked at together, and what it makes at times does not count.
fn assert_recorded_as_traced(scene: &Scene, command: &[&str], at_times: &[&str]) {
    let (mut expected, mut recorded) = (BTreeSet::new(), [BTreeSet::new(), BTreeSet::new()]);
    for _ in 0..12 {
        let counts = |name: &String| name != "restart_syscall" && !at_times.contains(&name.as_str());
        expected.extend(traced(scene, command).into_iter().filter(counts));
        for (way, recorded) in WAYS.iter().zip(&mut recorded) {
            let (record, output) = audit(scene, &["--only-calls", "--with", way, "host"], command);
            output.ends(0);
            recorded.extend(names(&record).into_iter().filter(counts));
        }
        if recorded.iter().all(|recorded| *recorded == expected) {
            assert!(expected.len() > 2, "{expected:?}");
            return;
        }
    }
    for (way, recorded) in WAYS.iter().zip(&recorded) {
        let more: Vec<_> = recorded.difference(&expected).collect();
        let less: Vec<_> = expected.difference(recorded).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{command:?} by {way}: {more:?} that strace has not, {less:?} that it has alone"
        );
    }
}

fn programs_are_recorded_as_strace_sees_them(scene: &Scene) {
    let source = "int printf(const char *, ...); int main(void) { return printf(\"hello\\n\") != 6; }";
    let python = "import json, os, socket, subprocess, threading
a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'
thread = threading.Thread(target=lambda: json.dumps({'a': [1]})); thread.start(); thread.join()
subprocess.run(['true'], check=True); os.makedirs('/tmp/x/y'); os.rename('/tmp/x', '/tmp/z')";
    for command in [
        &["busybox", "ls", "-l", "/etc/"][..],
        &["busybox", "sh", "-c", "for n in 3 1 2; do echo $n; done | sort | head -n 1; (exit 0) & wait; kill -0 $$"],
        &["busybox", "find", "/etc/", "-name", "passwd"],
        &["busybox", "dd", "if=/dev/zero", "of=/tmp/x", "bs=1k", "count=3"],
        &[
            "bash",
            "-c",
            "a=(1 2 3); echo ${a[*]} | cat > /tmp/x; read -r b < /tmp/x; [[ $b == '1 2 3' ]] && echo $(( ${#a[@]} * 2 ))",
        ],
        &["python3", "-c", python],
        &[
            "perl",
            "-e",
            "open(F, '>', '/tmp/x'); print F join(',', sort map { $_ * 2 } 1..3); close F; unlink '/tmp/x'; fork || exit; wait",
        ],
        &["bash", "-c", "tar c /etc/alternatives | gzip | gzip -d | tar t >/dev/null"],
        &["bash", "-c", &format!("cd /tmp && echo '{source}' >x.c && gcc -o x x.c && ./x")],
    ] {
        assert_recorded_as_traced(scene, command, &[]);
    }
}

fn servers_are_recorded_as_strace_sees_them(scene: &Scene) {
    let redis = "redis-server --port 7777 --save '' >/dev/null & until redis-cli -p 7777 set a b 2>/dev/null; do sleep 0.1; done
        redis-cli -p 7777 get a; redis-cli -p 7777 shutdown nosave; wait";
    assert_recorded_as_traced(scene, &["bash", "-c", redis], &["clock_nanosleep"]);
    let nginx = "mkdir -p /tmp/n; cd /tmp/n; echo page >index.html; cat >conf <<END
daemon off; master_process on; worker_processes 1; user root; pid /tmp/n/pid; error_log /tmp/n/error;
events { }
http { access_log off; client_body_temp_path /tmp/n/1; proxy_temp_path /tmp/n/2; fastcgi_temp_path /tmp/n/3; uwsgi_temp_path /tmp/n/4;
scgi_temp_path /tmp/n/5; server { listen 127.0.0.1:8080; root /tmp/n; } }
END
        nginx -c /tmp/n/conf 2>/dev/null & until curl -sf http://127.0.0.1:8080/; do sleep 0.1; done; kill -QUIT $(cat pid); wait";
    assert_recorded_as_traced(scene, &["bash", "-c", nginx], &["clock_nanosleep"]);
}

fn programs_in_go_and_in_rust_are_recorded_as_strace_sees_them(scene: &Scene) {
    // Go's scheduler interrupts what runs for long, waits, and gives memory back.
    let scheduler = ["epoll_pwait", "futex", "getpid", "madvise", "nanosleep", "rt_sigreturn", "sched_yield", "tgkill"];
    assert_recorded_as_traced(scene, &["runc", "--version"], &scheduler);
    assert_recorded_as_traced(scene, &[VIAL, "version"], &[]);
}

/// Runs under a profile.
fn under(scene: &Scene, profile: &Value, options: &[&str], command: &[&str]) -> (Value, Output) {
    fs::write(scene.path("under.json"), profile.to_string()).expect("write a profile");
    let option = format!("seccomp={}", scene.path("under.json").display());
    audit(scene, &[&["--security-opt", &option], options].concat(), command)
}

fn a_program_runs_under_its_profile_and_each_call_is_missed(scene: &Scene) {
    let root = text(scene.rootfs());
    let script =
        "mkdir /tmp/d; echo a >/tmp/d/f; ls /tmp/d; cat /tmp/d/f; mv /tmp/d/f /tmp/g; rm /tmp/g; rmdir /tmp/d; id -u";
    for way in WAYS {
        let profile = text(&scene.path("profile.json"));
        let (_, output) = audit(scene, &["-o", &profile, "--with", way, &root], &["sh", "-c", script]);
        let expected = output.ends(0).prints("f\na\n0\n").stdout;
        let profile: Value =
            serde_json::from_str(&fs::read_to_string(profile).expect("it is written")).expect("it is JSON");
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let (record, output) = under(scene, &profile, &["--with", way, &root], &["sh", "-c", script]);
        output.ends(0).prints(&expected);
        assert!(record["Calls"].as_array().expect("calls").iter().all(|call| call["Refused"] == 0), "{record:#}");
        let allowed: Vec<String> = texts(&profile["syscalls"][0]["names"]).into_iter().map(str::to_owned).collect();
        assert!(allowed.len() > 15, "{allowed:?}");
        if way == WAYS[1] {
            continue;
        }
        for name in &allowed {
            let mut less = profile.clone();
            less["syscalls"][0]["names"].as_array_mut().expect("names").retain(|one| one != name.as_str());
            // Without some it does not even end, or does not begin, which is noticed as well.
            fs::write(scene.path("less.json"), less.to_string()).expect("write a profile");
            let option = format!("seccomp={}", scene.path("less.json").display());
            let report = text(&scene.path("less"));
            let _ = fs::remove_file(&report);
            let line = format!("-k 1 2 {VIAL} audit --json --report {report} --with {way} --security-opt {option}");
            let words: Vec<&str> = line.split(' ').chain(PLAIN).chain([&*root, "sh", "-c", script]).collect();
            let output = scene.command("timeout", words).run();
            let record = fs::read_to_string(&report).ok().and_then(|report| serde_json::from_str(&report).ok());
            let record: Value = record.unwrap_or(json!({"Calls": []}));
            let is_it = |call: &Value| call["Name"] == name.as_str() && call["Refused"] != 0;
            let told = record["Calls"].as_array().expect("calls").iter().any(is_it);
            assert!(told || output.code != 0, "nobody misses {name}: {}", output.shown());
        }
        // Behind those that were killed.
        scene.vial(["gc"]).ok();
    }
}

fn what_calls_were_made_with_is_told(scene: &Scene) {
    let python = "import socket, os, ctypes, fcntl, termios
server = socket.socket(); server.bind(('127.0.0.1', 8000)); server.listen()
client = socket.create_connection(('127.0.0.1', 8000))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.bind(('::1', 5353))
local = socket.socket(socket.AF_UNIX); local.bind('\\0abstract'); other = socket.socket(socket.AF_UNIX); other.bind('/tmp/socket')
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
os.chdir('/tmp'); open('relative', 'w').close(); d = os.open('/etc', os.O_RDONLY); os.open('passwd', os.O_RDONLY, dir_fd=d)
os.execv('/bin/true', ['true'])";
    for way in WAYS {
        let (record, output) = audit(scene, &["--args", "--with", way, "host"], &["python3", "-c", python]);
        output.ends(0);
        let made_with = |name: &str| -> Vec<String> {
            let arguments = call(&record, name)["Arguments"].as_array().expect("arguments").iter();
            arguments.map(|one| format!("{} {}", one["Argument"].as_str().expect("text"), one["Count"])).collect()
        };
        assert_eq!(made_with("socket"), ["AF_INET SOCK_STREAM 2", "AF_INET6 SOCK_DGRAM 1", "AF_UNIX SOCK_STREAM 2"]);
        assert_eq!(made_with("bind"), ["127.0.0.1:8000 1", "[::1]:5353 1", "unix:@abstract 1", "unix:/tmp/socket 1"]);
        assert_eq!(made_with("connect"), ["127.0.0.1:8000 1"]);
        assert!(made_with("prctl").contains(&"PR_SET_NO_NEW_PRIVS 1".to_owned()));
        assert!(made_with("execve").iter().any(|path| path.ends_with("/true 1")), "{:?}", made_with("execve"));
        let opened = made_with("openat");
        for path in ["/tmp/relative 1", "/etc/passwd 1"] {
            assert!(opened.contains(&path.to_owned()), "{opened:?}");
        }
        assert_eq!(texts(&record["Bound"]), ["127.0.0.1:8000", "[::1]:5353", "unix:@abstract", "unix:/tmp/socket"]);
        assert_eq!(texts(&record["Connected"]), ["127.0.0.1:8000"]);
    }
}

fn files_are_told_by_what_was_done_to_them(scene: &Scene) {
    let root = text(scene.rootfs());
    let script = "cat /etc/passwd >/tmp/copy; cat /nowhere; mkdir /var/made; ln -s /etc/passwd /tmp/link; cat /tmp/link >/dev/null; /bin/true";
    for way in WAYS {
        let (record, _) = audit(scene, &["--with", way, &root], &["sh", "-c", script]);
        let uses = |path: &str| {
            let files = record["Files"].as_array().expect("files");
            let file =
                files.iter().find(|file| file["Path"] == path).unwrap_or_else(|| panic!("no {path} in {record:#}"));
            ["Read", "Written", "Executed", "Missing"].map(|what| file[what] == true)
        };
        assert_eq!(uses("/etc/passwd"), [true, false, false, false]);
        assert_eq!(uses("/tmp/copy"), [false, true, false, false]);
        assert_eq!(uses("/nowhere"), [false, false, false, true]);
        assert_eq!(uses("/var/made"), [false, true, false, false]);
        assert_eq!(uses("/tmp/link"), [true, true, false, false]);
        assert_eq!(uses("/bin/true"), [false, false, true, false]);
    }
    // What is suggested suffices.
    let report = scene
        .vial([&["audit"], &PLAIN[..], &[&root, "sh", "-c", "echo a >/tmp/f; echo b >/run/g; cat /tmp/f"]].concat());
    let report = report.ok().says(" --read-only --tmpfs /run --tmpfs /tmp\n").stderr;
    let suggested = report.lines().last().expect("a last line").split_once(" --read-only").expect("it was there").1;
    let options: Vec<&str> = ["--read-only"].into_iter().chain(suggested.split_whitespace()).collect();
    let again =
        [&["run"], &PLAIN[..], &options, &[&root, "sh", "-c", "echo a >/tmp/f; echo b >/run/g; cat /tmp/f"]].concat();
    scene.vial(again).ok().prints("a\n");
}

fn rights_that_were_used_are_told_and_suffice(scene: &Scene) {
    let root = text(scene.rootfs());
    let script = "touch /tmp/f && chown 5:5 /tmp/f && chroot / true && echo done";
    let (record, output) = audit(scene, &["--with", "ebpf", &root], &["sh", "-c", script]);
    output.ends(0).prints("done\n");
    let granted: BTreeSet<&str> = record["Capabilities"]
        .as_array()
        .expect("this kernel tells of capabilities")
        .iter()
        .filter(|one| one["Granted"] == true)
        .map(|one| one["Name"].as_str().expect("a name"))
        .collect();
    assert!(
        granted.contains("CHOWN") && granted.contains("SYS_CHROOT") && !granted.contains("NET_ADMIN"),
        "{granted:?}"
    );
    let with = |missing: &str| {
        let mut options = vec!["--cap-drop", "ALL"];
        granted.iter().filter(|name| **name != missing).for_each(|name| options.extend(["--cap-add", name]));
        scene.vial([&["run"], &PLAIN[..], &options, &[&root, "sh", "-c", script]].concat()).run()
    };
    with("").ends(0).prints("done\n");
    for missing in ["CHOWN", "SYS_CHROOT"] {
        assert_ne!(with(missing).code, 0, "{missing} is not needed");
    }
}

fn what_the_profile_refuses_is_refused_and_told(scene: &Scene) {
    let root = text(scene.rootfs());
    let script = "mount -t tmpfs x /mnt 2>&1; echo $?; swapon /dev/null 2>/dev/null || echo refused; grep Seccomp: /proc/self/status";
    for way in WAYS {
        let (record, output) = audit(scene, &["--cap-add", "SYS_RAWIO", "--with", way, &root], &["sh", "-c", script]);
        let plain =
            scene.vial([&["run"], &PLAIN[..], &["--cap-add", "SYS_RAWIO", &root, "sh", "-c", script]].concat()).ok();
        output.ends(0).prints(&plain.stdout);
        assert!(plain.stdout.contains("refused") && plain.stdout.contains("Seccomp:\t2"), "{}", plain.shown());
        for name in ["mount", "swapon"] {
            let made = call(&record, name);
            assert_eq!(made["Count"], made["Refused"], "{made}");
            assert_ne!(made["Count"], 0);
        }
        // What was refused is no part of a profile.
        assert_eq!(call(&record, "write")["Refused"], 0);
    }
    let output =
        scene.vial([&["audit", "-o", "-"], &PLAIN[..], &[&root, "mount", "-t", "tmpfs", "x", "/mnt"]].concat()).run();
    let profile = &output.stdout[output.stdout.find('{').expect("a profile")..];
    assert!(profile.contains("\"execve\"") && !profile.contains("\"mount\""), "{profile}");
}

fn namespaces_are_in_a_profile_only_if_they_were_made(scene: &Scene) {
    let root = text(scene.rootfs());
    let clone = |options: &[&str], script: &str| {
        let words = [&["audit", "-o", "-", "--report", "/dev/null"], &PLAIN[..], options, &[&root, "sh", "-c", script]];
        let output = scene.vial(words.concat()).ok();
        let profile: Value = serde_json::from_str(&output.stdout).expect("a profile");
        let rules = profile["syscalls"].as_array().expect("rules");
        let rule = rules.iter().find(|rule| texts(&rule["names"]).contains(&"clone")).expect("it makes processes");
        rule["args"][0]["value"].as_u64()
    };
    for way in WAYS {
        let refused = Some(0x7e02_0000);
        assert_eq!(clone(&["--with", way], "true | true"), refused);
        let unconfined = ["--with", way, "--security-opt", "seccomp=unconfined"];
        // Where nobody looks, and the profile in force refuses none, they may be needed.
        let unseen = if way == "notify" { None } else { refused };
        assert_eq!(clone(&[&unconfined[..], &["--only-calls"]].concat(), "true | true"), unseen);
        assert_eq!(clone(&[&unconfined[..], &["--args"]].concat(), "true | true"), refused);
        // A process is made in a namespace by this call: bit 29 is that of PIDs.
        let python = "import ctypes; ctypes.CDLL(None).syscall(56, 0x20000011, 0, 0, 0, 0)";
        if way == "ebpf" && cfg!(target_arch = "x86_64") {
            let options = ["--with", way, "--cap-add", "SYS_ADMIN"];
            let words = [
                &["audit", "-o", "-", "--report", "/dev/null"],
                &PLAIN[..],
                &options,
                &["host", "python3", "-c", python],
            ];
            let output = scene.vial(words.concat()).ok();
            let profile: Value = serde_json::from_str(&output.stdout).expect("a profile");
            assert!(texts(&profile["syscalls"][0]["names"]).contains(&"clone"), "{profile:#}");
        }
    }
}

fn programs_of_32_bits_are_told_apart(scene: &Scene) {
    let source = "void _start(void) { int r; __asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(20));
        __asm__ volatile(\"int $0x80\" : : \"a\"(1), \"b\"(7)); }";
    fs::write(scene.path("small.c"), source).expect("write the source");
    scene
        .command("gcc", ["-m32", "-static", "-nostdlib", "-fno-pic", "-fno-stack-protector", "-o", "small", "small.c"])
        .ok();
    let volume = format!("{}:/small", scene.path("small").display());
    for way in WAYS {
        let (record, output) = audit(scene, &["-v", &volume, "--with", way, &text(scene.rootfs())], &["/small"]);
        output.ends(7);
        for name in ["getpid", "exit"] {
            let made = call(&record, name);
            assert_eq!((&made["Architecture"], &made["Count"]), (&json!("X86"), &json!(1)), "{made}");
        }
        assert_eq!(call(&record, "execve")["Architecture"], Value::Null);
    }
}

fn it_runs_as_it_would_without_being_watched(scene: &Scene) {
    let root = text(scene.rootfs());
    for way in WAYS {
        for (options, script, code, printed) in [
            (&[][..], "exit 7", 7, ""),
            (&["--init"], "kill -9 $$", 137, ""),
            (&["--init"], "echo $$; exit 3", 3, "2\n"),
            (&["-u", "user", "--init"], "id -u; exit 4", 4, "1000\n"),
            (&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status", 0, "Seccomp:\t2\n"),
            (&["--privileged"], "mount -t tmpfs x /mnt && echo mounted", 0, "mounted\n"),
            (&["--cap-drop", "ALL", "--security-opt", "no-new-privileges"], "echo none", 0, "none\n"),
            (&["-i"], "cat", 0, "typed\n"),
        ] {
            let words = [&["audit", "--with", way], &PLAIN[..], options, &[&root, "sh", "-c", script]].concat();
            scene.vial(words).input("typed\n").ends(code).prints(printed).says("CALL");
        }
        let line =
            format!("{VIAL} audit --with {way} --report report -it {} {root} sh -c 'tty; stty size'", PLAIN.join(" "));
        let output = scene.command("script", ["-qec", &format!("stty rows 33 cols 77; {line}"), "/dev/null"]).ok();
        assert!(output.stdout.contains("/dev/pts/0") && output.stdout.contains("33 77"), "{}", output.shown());
        // With an init, vial itself is not the workload.
        let (record, _) = audit(scene, &["--init", "--with", way, &root], &["sleep", "0.3"]);
        assert!(!names(&record).contains("signalfd4"), "{record:#}");
    }
    // A program that is not there.
    let words = [&["audit"], &PLAIN[..], &[&root, "nowhere"]].concat();
    scene.vial(words).ends(127).says("nowhere");
}

fn no_process_of_many_is_lost(scene: &Scene) {
    for way in WAYS {
        // A call that waits to be told of may be interrupted by a signal, seccomp_unotify(2), such as that of a child's end: fork(2) too.
        let at_once = if way == "notify" { "" } else { "&" };
        let script = &*format!("n=0; while [ $n -lt 150 ]; do (exec /bin/true) {at_once}\nn=$((n + 1)); done; wait");
        let (record, output) = audit(scene, &["--with", way, &text(scene.rootfs())], &["sh", "-c", script]);
        output.ends(0);
        assert_eq!(call(&record, "execve")["Count"], 151, "by {way}");
        let ended = ["exit", "exit_group"].iter().filter(|name| names(&record).contains(**name));
        let ended: u64 = ended.map(|name| call(&record, name)["Count"].as_u64().expect("a count")).sum();
        assert_eq!(ended, 151, "by {way}");
    }
}

fn nothing_that_vial_does_is_recorded(scene: &Scene) {
    for way in WAYS {
        for options in [&[][..], &["--init"], &["-u", "user"], &["-w", "/tmp"], &["--cap-drop", "ALL"]] {
            let root = text(scene.rootfs());
            let words = [&["--with", way], options, &[&root]].concat();
            let (record, output) = audit(scene, &words, &["true"]);
            output.ends(0);
            let names = names(&record);
            // Where numbers are short, busybox makes this call too.
            assert!(!names.contains("statx") || cfg!(target_pointer_width = "32"), "statx by {way} with {options:?}");
            for own in ["pivot_root", "mount", "seccomp", "sendmsg", "capset", "setresuid", "chdir", "close_range"] {
                assert!(!names.contains(own), "{own} by {way} with {options:?}");
            }
            assert_eq!(call(&record, "execve")["Count"], 1);
            assert_eq!(call(&record, "execve")["Process"], "true");
        }
    }
}

fn a_normal_user_has_it_by_notification(scene: &Scene) {
    let user = User::new(scene);
    let root = user.rootfs();
    let words =
        [&["audit", "--json", "--args"], &PLAIN[..], &[&root, "sh", "-c", "echo a >/tmp/f; cat /tmp/f"]].concat();
    let output = user.vial(words).ok().prints("a\n");
    let record: Value = serde_json::from_str(output.stderr.lines().last().expect("a report")).expect("it is JSON");
    assert!(names(&record).contains("execve"), "{record:#}");
    let files = record["Files"].as_array().expect("files");
    assert!(files.iter().any(|file| file["Path"] == "/tmp/f" && file["Written"] == true), "{record:#}");
    let ebpf = [&["audit", "--with", "ebpf"], &PLAIN[..], &[&root, "true"]].concat();
    user.vial(ebpf).ends(125).says("--with notify does without");
}

fn what_watches_is_told_as_strace_sees_it(scene: &Scene) {
    let root = text(scene.rootfs());
    for way in WAYS {
        let words = [&["audit", "--report", "report", "--with", way], &PLAIN[..], &[&root, "ls", "/"]].concat();
        let ledger = crate::ledger::compare(scene, 0, &words);
        assert!(ledger.processes.len() >= 3, "{:?}", ledger.processes.keys());
    }
}

fn a_container_that_runs_is_followed(scene: &Scene) {
    let container = Container::start(scene, &[], "while :; do sleep 0.1; done");
    let report = text(&scene.path("report"));
    let following = scene.vial(["audit", "--follow", &container.id, "--json", "--report", &report]).start();
    // It says nothing when it begins to watch: what is executed is repeated.
    for _ in 0..20 {
        scene.vial(["exec", &container.id, "mkdir", "-p", "/tmp/made"]).ok();
        std::thread::sleep(Duration::from_millis(50));
    }
    container.stop();
    following.wait().ends(0);
    let record: Value = serde_json::from_str(&fs::read_to_string(report).expect("it is written")).expect("it is JSON");
    let names = names(&record);
    assert!(names.contains("mkdir") || names.contains("mkdirat"), "{names:?}");
    assert!(!names.contains("capset") && !names.contains("setresuid") && !names.contains("setns"), "{names:?}");
    scene.vial(["audit", "--follow", "nobody"]).ends(125).says("no such container");
}

fn profiles_are_united(scene: &Scene) {
    let profile = |names: &[&str], more: Value| {
        let mut rules = vec![json!({"names": names, "action": "SCMP_ACT_ALLOW"})];
        rules.extend(more.as_array().cloned().unwrap_or_default());
        json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules})
    };
    let conditional = |name: &str| json!([{"names": [name], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]);
    for (name, content) in [
        ("a", profile(&["read", "write"], conditional("clone"))),
        ("b", profile(&["write", "close"], conditional("clone"))),
        ("c", profile(&["clone"], json!(null))),
        ("open", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})),
    ] {
        fs::write(scene.path(name), content.to_string()).expect("write a profile");
    }
    fs::write(scene.path("none"), "{").expect("write a file");
    let united = |words: &[&str]| -> Value {
        let output = scene.vial([&["audit", "--merge"], words].concat()).ok().silent();
        serde_json::from_str(&output.stdout).expect("it is JSON")
    };
    let both = united(&["a", "b"]);
    assert_eq!(texts(&both["syscalls"][0]["names"]), ["close", "read", "write"]);
    assert_eq!(both["syscalls"].as_array().map(Vec::len), Some(2), "{both:#}");
    let all = united(&["a", "b", "c"]);
    assert_eq!(all["syscalls"], json!([{"names": ["clone", "close", "read", "write"], "action": "SCMP_ACT_ALLOW"}]));
    scene.vial(["audit", "--merge", "-o", "whole", "a", "c"]).ok().prints("").silent();
    assert!(scene.path("whole").exists());
    scene.vial(["audit", "--merge", "a", "open"]).ends(125).says("SCMP_ACT_ALLOW").prints("");
    scene.vial(["audit", "--merge", "a", "none"]).ends(125).says("none is no JSON").prints("");
    scene.vial(["audit", "--merge", "a", "nowhere"]).ends(125).says("nowhere").prints("");
}

fn what_a_replay_lacks_is_told(scene: &Scene) {
    let root = text(scene.rootfs());
    let volume = format!("{}:/shared", scene.directory().display());
    let words = |script| [&["audit", "--replay", "-v", &volume], &PLAIN[..], &[&root, "sh", "-c", script]].concat();
    scene.vial(words("echo a; exit 3")).ends(3).prints("a\na\n").says("it ended with 3, as before\n");
    // It does something else the second time.
    let output =
        scene.vial(words("[ -e /shared/been ] && exec chmod 700 /shared/been; touch /shared/been; exit 0")).ends(0);
    let output = output.says("it ended with 1, and not with 0 as before");
    assert!(
        output.stderr.contains("chmod was refused") || output.stderr.contains("fchmodat was refused"),
        "{}",
        output.shown()
    );
}

fn what_can_not_be_watched_is_refused_and_nothing_is_left(scene: &Scene) {
    let root = text(scene.rootfs());
    let own = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]});
    fs::write(scene.path("own.json"), own.to_string()).expect("write a profile");
    let option = format!("seccomp={}", scene.path("own.json").display());
    let container = Container::start(scene, &[], "exec sleep 600");
    let inside = format!("container:{}", container.id);
    for (options, said) in [
        (&["-d", &*root][..], "--detach"),
        (&["--restart", "always", &root], "--restart"),
        (&["--dry-run", &root], "--dry-run"),
        (&["--with", "magic", &root], "ebpf, notify"),
        (&["--with", "ebpf", "--pid", &inside, &root], "PID namespace of the container's own"),
        (&["--security-opt", &option, &root], "a process outside"),
        (&[], "audit takes an image"),
        (&["--report", "/nowhere/report", &root, "true"], "/nowhere/report"),
        (&["-o", "/nowhere/profile", &root, "true"], "/nowhere/profile"),
    ] {
        scene.vial([&["audit"], &PLAIN[..2], &["none"], options].concat()).ends(125).says(said);
    }
    // Another's PID namespace is watched by notification.
    let words = [&["audit", "--pid", &inside], &PLAIN[..], &[&root, "true"]].concat();
    scene.vial(words).ok().says("execve");
    container.stop();
    scene.assert_nothing_left();
}

fn a_watcher_that_is_killed_leaves_nothing(scene: &Scene) {
    let root = text(scene.rootfs());
    let volume = format!("{}:/shared", scene.directory().display());
    for way in WAYS {
        for whom in ["vial", "the recorder"] {
            let _ = fs::remove_file(scene.path("ready"));
            let script = "echo >/shared/ready; while :; do sleep 0.05 || exit 9; done";
            let words = [&["audit", "--with", way, "-v", &volume], &PLAIN[..], &[&root, "sh", "-c", script]].concat();
            let running = scene.vial(words).start();
            eventually("it runs", || scene.path("ready").exists().then_some(()));
            let children = format!("/proc/{0}/task/{0}/children", running.id());
            let children = fs::read_to_string(children).expect("it has children");
            // The first one was there before the container.
            let recorder: u32 = children.split_whitespace().next().expect("a child").parse().expect("a number");
            let pid = if whom == "vial" { running.id() } else { recorder };
            scene.command("kill", ["-9", &pid.to_string()]).ok();
            let output = running.wait();
            assert_ne!(output.code, 0, "{whom} by {way}");
            eventually("it ends too", || (!Path::new(&format!("/proc/{recorder}")).exists()).then_some(()));
        }
        scene.vial(["gc"]).ok();
    }
    scene.assert_nothing_left();
}
