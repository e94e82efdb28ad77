//! Law 3: what `--explain` prints is what strace sees, call by call and result by result.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::util::bundle::{self, Bundle};
use crate::util::command::{Output, VIAL, shell_line};
use crate::util::container::Container;
use crate::util::strace::Outcome::{Never, Value};
use crate::util::{Scene, account, strace};

trials! {
    run_is_told_as_strace_sees_it [Root, Tool("strace"), Kernel("overlay"), Command("run")];
    run_in_a_busybox_root_is_told_as_strace_sees_it [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("run")];
    run_with_a_terminal_is_told_as_strace_sees_it [Root, Tool("strace"), Tool("script"), Kernel("overlay"), Command("run")];
    run_with_an_init_is_told_as_strace_sees_it [Root, Tool("strace"), Kernel("overlay"), Command("run")];
    exec_is_told_as_strace_sees_it [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("exec")];
    oci_commands_are_told_as_strace_sees_them [Root, Tool("strace"), Busybox, Command("oci")];
    a_detached_run_is_told_until_its_monitor_reports [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("start")];
    a_failing_run_is_told_as_strace_sees_it [Root, Tool("strace"), Kernel("overlay"), Command("run")];
    import_is_told_as_strace_sees_it [Root, Tool("strace"), Command("import")];
    load_and_save_are_told_as_strace_sees_them [Root, Tool("strace"), Busybox, Tool("umoci"), Command("load")];
    file_system_images_are_told_as_strace_sees_them [Root, Tool("strace"), Busybox, Tool("mksquashfs"), Kernel("squashfs"), Kernel("overlay"), Command("import")];
    other_storage_drivers_are_told_as_strace_sees_them [Root, Tool("strace"), Busybox, Command("run")];
    copies_and_commits_are_told_as_strace_sees_them [Root, Tool("strace"), Busybox, Kernel("overlay"), Command("cp")];
    a_workload_that_makes_processes_is_left_out [Root, Tool("strace"), Kernel("overlay"), Command("run")];
    the_flag_may_follow_the_command [Root, Kernel("overlay"), Command("run")];
    the_list_of_calls_is_the_table [Command("syscalls")];
    the_text_form_heads_each_group_with_its_reason [Root, Kernel("overlay"), Command("run")];
    every_call_states_its_reason [Root, Kernel("overlay"), Command("run")];
    equal_accounts_have_no_differences [];
    a_missing_call_is_found [];
    an_extra_call_is_found [];
    a_different_result_is_found [];
    a_different_error_is_found [];
    a_call_that_returned_after_all_is_found [];
    a_missing_process_is_found [];
    an_invented_process_is_found [];
    an_unaccounted_process_is_found [];
    a_line_that_is_not_understood_is_an_error [];
    interrupted_calls_are_joined [];
}

/// Runs vial under strace, with a ledger, and compares the two.
pub fn compare(scene: &Scene, code: i32, args: &[&str]) -> account::Ledger {
    let (output, trace, ledger) = traced(scene, args, false);
    output.ends(code);
    account_for(scene, &trace, &ledger)
}

fn traced(scene: &Scene, args: &[&str], terminal: bool) -> (Output, PathBuf, PathBuf) {
    let (trace, ledger) = (scene.path("trace"), scene.path("ledger"));
    let mut words: Vec<String> = ["strace"].iter().chain(strace::OPTIONS).map(ToString::to_string).collect();
    words.extend(["-o".into(), trace.display().to_string(), VIAL.into(), "--explain=json".into()]);
    words.extend(["--explain-to".into(), ledger.display().to_string()]);
    words.extend(args.iter().map(ToString::to_string));
    let output = if terminal {
        let line = shell_line(words);
        scene.command("script", ["-qefc".as_ref(), line.as_os_str(), "/dev/null".as_ref()]).run()
    } else {
        scene.command(&words[0], &words[1..]).run()
    };
    (output, trace, ledger)
}

/// `run` whole, and of a container that was created the command that starts it and those about it.
fn oci_commands_are_told_as_strace_sees_them(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exit 7");
    bundle.write();
    let (root, place) = (bundle::state_directory(scene).display().to_string(), bundle.directory.display().to_string());
    compare(scene, 7, &["oci", "--root", &root, "run", "--bundle", &place, "web"]);
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.create();
    let about = |command: &[&str], code| compare(scene, code, &[&["oci", "--root", &root], command].concat());
    about(&["state", "web"], 0);
    about(&["exec", "web", "true"], 0);
    about(&["events", "--stats", "web"], 0);
    about(&["update", "--pids-limit", "20", "web"], 0);
    about(&["pause", "web"], 1);
    about(&["list"], 0);
    about(&["ps", "web"], 0);
    about(&["state", "nosuch"], 1);
    about(&["delete", "--force", "web"], 0);
}

/// The command and the container's first process are told whole. The monitor's calls are told up to the one by which it reports:
/// from then on it stays, and whoever would print is gone.
fn a_detached_run_is_told_until_its_monitor_reports(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for options in [&["--rm"][..], &["--rm", "-t"], &["--rm", "-m", "64m", "-i"], &["--restart", "on-failure"]] {
        let words = [&["run", "-d"], options, &[&rootfs, "/bin/sleep", "0.5"]].concat();
        let (output, trace, ledger) = traced(scene, &words, false);
        let id = output.ends(0).stdout;
        if options[0] == "--restart" {
            scene.vial(["rm", "-f", id.trim_end()]).ok();
        }
        let text = fs::read_to_string(&ledger).expect("there is a ledger");
        let told = account::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let text = fs::read_to_string(&trace).expect("there is a trace");
        let mut seen = strace::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        // With a policy there are two: one that starts and watches, and one that is there to make the next.
        let told_of: Vec<usize> =
            told.processes.iter().filter(|(id, _)| id.0 == "monitor").map(|(_, calls)| calls.len()).collect();
        assert_eq!(told_of.len(), if options[0] == "--restart" { 2 } else { 1 }, "{options:?}");
        let sheds = |call: &strace::Call| call.executed() && call.line.contains("/proc/self/exe");
        for calls in seen.processes.values_mut().filter(|calls| calls.iter().any(sheds)) {
            let entries = if calls.len() > 60 { told_of.iter().max() } else { told_of.iter().min() };
            let entries = *entries.expect("the ledger has a monitor");
            let rest = calls.split_off(entries);
            let watches = rest[0].name == "sendmsg";
            assert!(watches || rest[0].name == "chdir", "{}", rest[0].line);
            assert!(!watches || entries > 60, "only {entries} calls of the monitor are told");
        }
        let found = account::differences(&seen, &told);
        assert!(found.is_empty(), "{options:?}: {}", found.join("\n"));
    }
}

fn account_for(scene: &Scene, trace: &Path, ledger: &Path) -> account::Ledger {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let traced = strace::parse(&read(trace)).unwrap_or_else(|error| panic!("{error}"));
    let ledger = account::parse(&read(ledger)).unwrap_or_else(|error| panic!("{error}"));
    let found = account::differences(&traced, &ledger);
    assert!(found.is_empty(), "the ledger differs from what strace saw:\n{}", found.join("\n"));
    let listed = listed(scene);
    for entry in ledger.processes.values().flatten() {
        assert!(listed.contains(&entry.call), "`vial syscalls` lacks {}", entry.call);
    }
    ledger
}

/// The calls that `vial syscalls` lists.
fn listed(scene: &Scene) -> BTreeSet<String> {
    let output = scene.vial(["syscalls", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&output.stdout).expect("one JSON array");
    let name = |row: &serde_json::Value| row["name"].as_str().expect("each row has a \"name\"").to_owned();
    list.as_array().expect("one JSON array").iter().map(name).collect()
}

/// The processes in a ledger, by what they are.
fn roles(ledger: &account::Ledger) -> Vec<&str> {
    ledger.processes.keys().map(|(role, _)| role.as_str()).collect()
}

fn run_is_told_as_strace_sees_it(scene: &Scene) {
    let ledger = compare(scene, 0, &["run", "--rm", "host", "true"]);
    assert!(roles(&ledger).contains(&"vial") && roles(&ledger).contains(&"container"), "{:?}", roles(&ledger));
}

fn run_in_a_busybox_root_is_told_as_strace_sees_it(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    compare(scene, 7, &["run", "--rm", "-m", "64m", "-v", "/usr:/mnt:ro", "-e", "A=b", &rootfs, "sh", "-c", "exit 7"]);
}

fn run_with_a_terminal_is_told_as_strace_sees_it(scene: &Scene) {
    let (output, trace, ledger) = traced(scene, &["run", "--rm", "-it", "host", "tty"], true);
    output.ends(0).shows("/dev/");
    account_for(scene, &trace, &ledger);
}

fn run_with_an_init_is_told_as_strace_sees_it(scene: &Scene) {
    compare(scene, 3, &["run", "--rm", "--pid", "host", "host", "sh", "-c", "exit 3"]);
    let ledger = compare(scene, 3, &["run", "--rm", "--init", "host", "sh", "-c", "exit 3"]);
    assert!(roles(&ledger).contains(&"workload"), "{:?}", roles(&ledger));
}

fn exec_is_told_as_strace_sees_it(scene: &Scene) {
    let container = Container::start(scene, &[], "exec sleep 600");
    let ledger = compare(scene, 7, &["exec", &container.id, "sh", "-c", "exit 7"]);
    assert!(roles(&ledger).contains(&"workload"), "{:?}", roles(&ledger));
    compare(scene, 0, &["exec", "-d", "-u", "user", &container.id, "true"]);
    compare(scene, 127, &["exec", &container.id, "/nonexistent"]);
    let (output, trace, ledger) = traced(scene, &["exec", "-it", &container.id, "tty"], true);
    output.ends(0).shows("/dev/");
    account_for(scene, &trace, &ledger);
    container.stop();
}

fn a_failing_run_is_told_as_strace_sees_it(scene: &Scene) {
    compare(scene, 127, &["run", "--rm", "host", "/nonexistent"]);
}

fn copies_and_commits_are_told_as_strace_sees_them(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    scene.vial(["run", "--name", "c", "base", "sh", "-c", "rm -r /mnt; echo f > /f"]).ok();
    let ledger = compare(scene, 0, &["cp", "c:/etc", "etc"]);
    assert!(roles(&ledger).contains(&"helper"), "{:?}", roles(&ledger));
    compare(scene, 0, &["cp", "etc/passwd", "c:/new"]);
    compare(scene, 0, &["commit", "c", "mine"]);
    compare(scene, 0, &["diff", "c"]);
    compare(scene, 0, &["export", "-o", "c.tar", "c"]);
    scene.vial(["rm", "c"]).ok();
}

fn import_is_told_as_strace_sees_it(scene: &Scene) {
    let plain = small_archive();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &plain).expect("compress to memory");
    fs::write(scene.path("small.tar"), plain).expect("write the archive");
    fs::write(scene.path("small.tar.gz"), encoder.finish().expect("compress to memory")).expect("write the archive");
    compare(scene, 0, &["import", "small.tar", "small"]);
    compare(scene, 0, &["import", "small.tar.gz", "small:gz"]);
}

fn load_and_save_are_told_as_strace_sees_them(scene: &Scene) {
    crate::load::layout(scene);
    compare(scene, 0, &["load", "layout"]);
    compare(scene, 0, &["save", "-o", "saved.tar", "latest"]);
    compare(scene, 0, &["rmi", "latest"]);
    scene.command("gzip", ["saved.tar"]).ok();
    compare(scene, 0, &["load", "-i", "saved.tar.gz"]);
    compare(scene, 125, &["load", "/dev/null"]);
}

fn file_system_images_are_told_as_strace_sees_them(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.command("mksquashfs", [&rootfs, "root.squashfs", "-quiet", "-no-progress"]).ok();
    compare(scene, 0, &["import", "root.squashfs", "it"]);
    compare(scene, 0, &["run", "--rm", "./root.squashfs", "true"]);
    compare(scene, 0, &["run", "--name", "c", "it", "touch", "/new"]);
    compare(scene, 0, &["diff", "c"]);
    compare(scene, 0, &["rm", "c"]);
}

fn other_storage_drivers_are_told_as_strace_sees_them(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "it"]).ok();
    compare(scene, 0, &["--storage", "copy", "run", "--name", "c", "it", "touch", "/new"]);
    compare(scene, 0, &["diff", "c"]);
    compare(scene, 0, &["commit", "c", "second"]);
    compare(scene, 0, &["--storage", "copy", "run", "--rm", "second", "true"]);
    compare(scene, 0, &["rm", "c"]);
}

/// A directory, a file of some size, a symbolic and a hard link.
fn small_archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, path: &str, link: Option<&str>, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        header.set_size(body.len() as u64);
        match link {
            Some(link) => archive.append_link(&mut header, path, link),
            None => archive.append_data(&mut header, path, body),
        }
        .expect("build an archive in memory");
    };
    add(tar::EntryType::Directory, "etc/", None, b"");
    add(tar::EntryType::Regular, "etc/large", None, &b"0123456789abcdef".repeat(20_000));
    add(tar::EntryType::Symlink, "etc/symbolic", Some("large"), b"");
    add(tar::EntryType::Link, "etc/hard", Some("etc/large"), b"");
    archive.into_inner().expect("build an archive in memory")
}

fn a_workload_that_makes_processes_is_left_out(scene: &Scene) {
    compare(scene, 0, &["run", "--rm", "host", "sh", "-c", "(true; true) | cat; sleep 0.01 & wait"]);
}

fn the_flag_may_follow_the_command(scene: &Scene) {
    let after = scene.vial(["run", "--explain=json", "--rm", "host", "true"]).ok();
    let ledger = account::parse(&after.stderr).unwrap_or_else(|error| panic!("{error}"));
    assert!(roles(&ledger).contains(&"container"), "{}", after.shown());
}

fn the_list_of_calls_is_the_table(scene: &Scene) {
    let table: BTreeSet<String> = vial::sys::calls().map(|call| call.name.to_owned()).collect();
    assert_eq!(listed(scene), table);
    let text = scene.vial(["syscalls"]).ok().silent();
    for call in vial::sys::calls() {
        let row = text.stdout.lines().find(|line| line.split_whitespace().next() == Some(call.name));
        assert!(
            row.is_some_and(|row| row.contains(&call.purpose.text())),
            "{} is not explained: {}",
            call.name,
            text.shown()
        );
    }
}

fn the_text_form_heads_each_group_with_its_reason(scene: &Scene) {
    let told = scene.vial(["--explain", "run", "--rm", "host", "echo", "out"]).ok().prints("out\n");
    let heads = told.stderr.lines().filter(|line| !line.is_empty() && !line.starts_with(' '));
    assert!(heads.count() > 5, "{}", told.shown());
    told.says("    execve(").says("    exit_group(0) = ?");
}

fn every_call_states_its_reason(scene: &Scene) {
    let ledger = scene.path("ledger").display().to_string();
    scene.vial(["--explain=json", "--explain-to", &ledger, "run", "--rm", "host", "true"]).ok();
    let text = fs::read_to_string(&ledger).expect("read the ledger");
    let ledger = account::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let silent = ledger.processes.values().flatten().filter(|entry| entry.step.is_empty());
    let silent: Vec<&str> = silent.map(|entry| entry.line.as_str()).collect();
    assert!(silent.is_empty(), "made for no stated reason:\n{}", silent.join("\n"));
}

// The comparison itself, on literal texts.

const TRACE: &str = "\
100 execve(\"/x/vial\", [...], 0x7ffd /* 20 vars */) = 0
100 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE, -1, 0) = 0x7f0000001000
100 umask(000) = 022
100 openat(AT_FDCWD, \"/a) = 9\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
100 clone(child_stack=NULL, flags=CLONE_NEWPID|SIGCHLD <unfinished ...>
101 getpid( <unfinished ...>
100 <... clone resumed>) = 101
101 <... getpid resumed>) = 1 /* 101 in strace's PID NS */
100 ppoll([{fd=3, events=POLLIN}], 1, NULL, NULL, 8 <unfinished ...>
101 clone(child_stack=NULL, flags=SIGCHLD) = 2 /* 102 in strace's PID NS */
102 execve(\"/bin/none\", [...], 0x1 /* 1 var */) = -1 ENOENT (No such file or directory)
102 execve(\"/bin/true\", [...], 0x1 /* 1 var */ <unfinished ...>
101 wait4(-1,  <unfinished ...>
102 <... execve resumed>) = 0
102 brk(NULL) = 0x55000000
102 vfork( <unfinished ...>
103 getpid() = 3 /* 103 in strace's PID NS */
103 exit_group(0) = ?
103 +++ exited with 0 +++
102 <... vfork resumed>) = 3 /* 103 in strace's PID NS */
102 exit_group(0) = ?
102 +++ exited with 0 +++
101 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 2 /* 102 in strace's PID NS */
101 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=2, si_uid=0, si_status=0, si_utime=0, si_stime=0} ---
101 read(0, <unfinished ...>) = ?
101 +++ killed by SIGKILL +++
100 <... ppoll resumed>) = 1 ([{fd=3, revents=POLLIN}])
100 write(2, \"\"..., 900) = 900
100 exit_group(0) = ?
100 +++ exited with 0 +++
";

const LEDGER: &str = r#"{"step":"a","pid":100,"process":"vial","call":"mmap","args":[],"result":139637976731648,"ns":1}
{"step":"a","pid":100,"process":"vial","call":"umask","args":["0o0"],"result":18,"ns":1}
{"step":"a","pid":100,"process":"vial","call":"openat","args":["AT_FDCWD"],"result":-1,"errno":"ENOENT","ns":1}
{"step":"a","pid":100,"process":"vial","call":"clone","args":[],"result":101,"ns":1}
{"step":"b","pid":101,"process":"container","call":"getpid","args":[],"result":1,"ns":1}
{"step":"b","pid":101,"process":"container","call":"clone","args":[],"result":2,"ns":1}
{"step":"c","pid":2,"process":"workload","call":"execve","args":[],"result":-1,"errno":"ENOENT","ns":1}
{"step":"c","pid":2,"process":"workload","call":"execve","args":[],"result":0,"ns":1}
{"step":"b","pid":101,"process":"container","call":"wait4","args":[],"result":2,"ns":1}
{"step":"b","pid":101,"process":"container","call":"read","args":[],"result":null,"ns":1}
{"step":"a","pid":100,"process":"vial","call":"ppoll","args":[],"result":1,"ns":1}
{"step":"a","pid":100,"process":"vial","call":"write","args":[],"result":900,"ns":1}
{"step":"a","pid":100,"process":"vial","call":"exit_group","args":["0"],"result":null,"ns":0}
"#;

fn differences(trace: &str, ledger: &str) -> Vec<String> {
    let trace = strace::parse(trace).expect("a trace that is understood");
    account::differences(&trace, &account::parse(ledger).expect("a ledger that is understood"))
}

/// `text` after a change that must change it.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// `text` without the lines that hold a word.
fn without(text: &str, word: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.contains(word)).collect()
}

/// The one difference, which must speak of both.
#[track_caller]
fn one(found: &[String], words: &[&str]) {
    assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{found:#?}");
}

fn equal_accounts_have_no_differences(_: &Scene) {
    assert_eq!(differences(TRACE, LEDGER), Vec::<String>::new());
}

fn a_missing_call_is_found(_: &Scene) {
    for line in LEDGER.lines().filter(|line| !line.contains("workload")) {
        let found = differences(TRACE, &changed(LEDGER, &format!("{line}\n"), ""));
        assert!(!found.is_empty(), "without {line}");
    }
    let shorter = without(LEDGER, "exit_group");
    one(&differences(TRACE, &shorter), &["strace 6 > exit_group", "ledger 6 > nothing more"]);
}

fn an_extra_call_is_found(_: &Scene) {
    for line in LEDGER.lines() {
        let found = differences(TRACE, &changed(LEDGER, line, &format!("{line}\n{line}")));
        assert!(!found.is_empty(), "with {line} twice");
    }
    let strange = changed(TRACE, "100 umask", "100 getppid() = 1\n100 umask");
    one(
        &differences(&strange, LEDGER),
        &["strace 1 > getppid", "ledger 1 > {\"step\":\"a\",\"pid\":100,\"process\":\"vial\",\"call\":\"umask\""],
    );
}

fn a_different_result_is_found(_: &Scene) {
    one(&differences(TRACE, &changed(LEDGER, "\"result\":18,", "\"result\":22,")), &["umask(000) = 022"]);
    one(&differences(TRACE, &changed(LEDGER, "\"result\":900", "\"result\":899")), &["= 900"]);
    one(&differences(TRACE, &changed(LEDGER, "\"result\":139637976731648", "\"result\":0")), &["mmap"]);
}

fn a_different_error_is_found(_: &Scene) {
    one(&differences(TRACE, &changed(LEDGER, "ENOENT", "EACCES")), &["openat", "EACCES"]);
    one(&differences(TRACE, &changed(LEDGER, "-1,\"errno\":\"ENOENT\"", "0")), &["openat"]);
}

fn a_call_that_returned_after_all_is_found(_: &Scene) {
    one(&differences(TRACE, &changed(LEDGER, "\"result\":null", "\"result\":0")), &["read(0"]);
    let unfinished = changed(TRACE, "100 <... ppoll resumed>) = 1 ([{fd=3, revents=POLLIN}])\n", "");
    one(&differences(&unfinished, LEDGER), &["ppoll"]);
}

fn a_missing_process_is_found(_: &Scene) {
    one(&differences(TRACE, &without(LEDGER, "workload")), &["lacks the process 102 that 101 made"]);
}

fn an_invented_process_is_found(_: &Scene) {
    let with = format!(
        "{LEDGER}{}\n",
        LEDGER.lines().next().expect("a line").replace("100,\"process\":\"vial", "9,\"process\":\"helper")
    );
    one(&differences(TRACE, &with), &["strace saw nothing", "helper"]);
}

fn an_unaccounted_process_is_found(_: &Scene) {
    one(&differences(&format!("{TRACE}777 getpid() = 777\n"), LEDGER), &["777"]);
}

fn a_line_that_is_not_understood_is_an_error(_: &Scene) {
    for line in ["100 what", "x read(0) = 1", "100 read(0) = maybe", "100 <... read resumed>) = 0"] {
        assert!(strace::parse(line).is_err(), "{line}");
    }
    for line in ["{}", "what", r#"{"step":"a","pid":1,"process":"vial","call":"read","args":[],"ns":1}"#] {
        assert!(account::parse(line).is_err(), "{line}");
    }
}

fn interrupted_calls_are_joined(_: &Scene) {
    let text = "1 wait4(-1, NULL, 0, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n\
                1 --- SIGWINCH {si_signo=SIGWINCH, si_code=SI_KERNEL} ---\n\
                1 wait4(-1, NULL, 0, NULL) = 5\n\
                1 nanosleep({tv_sec=1, tv_nsec=0}, NULL) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)\n\
                1 restart_syscall(<... resuming interrupted nanosleep ...>) = 0\n\
                1 read(0, \"\", 1) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n";
    let traced = strace::parse(text).expect("a trace that is understood");
    let calls: Vec<_> = traced.processes[&1].iter().map(|call| (call.name.as_str(), call.outcome.clone())).collect();
    assert_eq!(calls, [("wait4", Value(5)), ("nanosleep", Value(0)), ("read", Never)]);
}
