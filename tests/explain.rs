//! `vial explain`: that what it says of steps and calls is so, and that ledgers are compared as they should be.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::util::Scene;
use crate::util::container::Container;

trials! {
    every_step_and_every_call_is_explained_in_all_fields [];
    what_is_asked_for_may_be_a_name_or_words_of_a_heading [];
    what_is_neither_a_step_nor_a_call_is_answered_with_what_was_meant [];
    calls_came_with_the_kernels_that_the_manual_names [File(SYSCALLS)];
    capabilities_are_those_that_the_manual_names_for_the_calls [File(CAPABILITIES)];
    the_headings_of_a_plan_and_of_a_ledger_are_explained_with_their_calls [Root, Kernel("overlay"), Command("run")];
    two_runs_of_one_command_have_no_differences [Root, Busybox, Kernel("overlay"), Command("run")];
    what_two_ledgers_differ_in_is_told_by_process_and_step [Root, Kernel("overlay"), Command("run")];
    long_ledgers_are_compared_in_little_memory [];
    what_is_no_ledger_is_refused_with_its_line [];
}

const SYSCALLS: &str = "/usr/share/man/man2/syscalls.2.gz";
const CAPABILITIES: &str = "/usr/share/man/man7/capabilities.7.gz";

fn explained(scene: &Scene, words: &[&str]) -> Vec<Value> {
    let output = scene.vial([&["explain", "--json"], words].concat()).ok().silent();
    serde_json::from_str(&output.stdout).expect("one JSON array")
}

/// What is said of all calls that vial makes.
fn calls(scene: &Scene) -> Vec<Value> {
    let names: Vec<&str> = vial::sys::calls().map(|call| call.name).collect();
    explained(scene, &names)
}

#[track_caller]
fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("no {key}: {entry:#}"))
}

fn texts<'a>(entry: &'a Value, key: &str) -> Vec<&'a str> {
    let list = entry[key].as_array().unwrap_or_else(|| panic!("no {key}: {entry:#}"));
    list.iter().map(|one| one.as_str().expect("a text")).collect()
}

fn every_step_and_every_call_is_explained_in_all_fields(scene: &Scene) {
    let (steps, calls) = (explained(scene, &[]), calls(scene));
    assert!(steps.len() >= 30, "{} steps", steps.len());
    assert_eq!(calls.len(), vial::sys::calls().count());
    for entry in steps.iter().chain(&calls) {
        for key in ["for", "takes", "without", "source"] {
            text(entry, key);
        }
        assert!(text(entry, "since").starts_with("Linux ") && text(entry, "since").len() > 8, "{entry:#}");
    }
    let names: Vec<&str> = calls.iter().map(|call| text(call, "call")).collect();
    for step in &steps {
        assert!(!names.contains(&text(step, "step")), "a call has this name: {step:#}");
        assert!(!texts(step, "headings").is_empty(), "{step:#}");
        for call in texts(step, "calls") {
            let call = calls.iter().find(|known| known["call"] == call);
            let call = call.unwrap_or_else(|| panic!("vial makes no such call: {step:#}"));
            assert!(texts(call, "steps").contains(&text(step, "step")), "{call:#}");
        }
    }
    for (call, info) in calls.iter().zip(vial::sys::calls()) {
        assert_eq!((text(call, "for"), call["number"].as_u64()), (&*info.purpose.text(), Some(info.number as u64)));
    }
    let list = scene.vial(["explain"]).ok().silent().shows("`vial syscalls` lists the system calls");
    for step in &steps {
        let begins = |line: &&str| line.split_whitespace().next() == Some(text(step, "step"));
        let line = list.stdout.lines().find(begins).unwrap_or_else(|| panic!("the list lacks {step:#}"));
        assert!(line.ends_with(text(step, "for")), "{line}");
    }
}

fn what_is_asked_for_may_be_a_name_or_words_of_a_heading(scene: &Scene) {
    let output = scene.vial(["explain", "pivot_root", "masked"]).ok().silent();
    let output =
        output.shows("call      pivot_root\n").shows("\nsince     Linux 2.4\n").shows("\nsteps     switch-root\n");
    let output = output.shows("\ntakes     CAP_SYS_ADMIN\n").shows("\nsource    pivot_root(2), ");
    output.shows("\n\nstep       masked\n").shows("\nheadings   hide what tells about the host\n");
    let names = |words: &str| -> Vec<String> {
        explained(scene, &[words]).iter().map(|step| text(step, "step").to_owned()).collect()
    };
    assert_eq!(names("hide what tells about the host"), ["masked"]);
    assert_eq!(names("tells about"), ["masked"]);
    assert_eq!(names("end"), ["ledger"]);
    // What several do under the same words is all told.
    assert_eq!(
        names("let the workload use nothing but the system calls and files that it is to have"),
        ["filter", "landlock"]
    );
    // One that is a part of another.
    assert_eq!(names("make the container's control group and set its limits"), ["cgroup"]);
}

fn what_is_neither_a_step_nor_a_call_is_answered_with_what_was_meant(scene: &Scene) {
    for (word, near) in [("pivot_roott", "pivot_root"), ("maskd", "masked"), ("capabilites", "capabilities")] {
        let output = scene.vial(["explain", word]).ends(125).says(&format!("did you mean {near}?"));
        output.says("`vial explain` lists the steps, `vial syscalls` the calls").prints("");
    }
    let output =
        scene.vial(["explain", "qqqqqqqqqqqq"]).ends(125).says("there is no step and no system call \"qqqqqqqqqqqq\"");
    output.says("hint: `vial explain` lists the steps");
    scene.vial(["explain", "make the"]).ends(125).says("is in the words of several steps").says(" namespaces ");
    scene.vial(["explain", ""]).ends(125).says("no step");
}

fn unpacked(path: &str) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).expect("open the page"))
        .read_to_string(&mut text)
        .expect("unpack it");
    text
}

/// The table in the manual is the source. It has no row for `mount_setattr`, whose own page tells, and on machines of 32 bits none
/// for the calls for times that came with Linux 5.1.
fn calls_came_with_the_kernels_that_the_manual_names(scene: &Scene) {
    let page = unpacked(SYSCALLS);
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some((name, rest)) = line.strip_prefix("\\fB").and_then(|line| line.split_once("\\fP(2)\t")) else {
            continue;
        };
        let (mut version, note) = rest.split_once('\t').unwrap_or((rest, ""));
        if version.is_empty() && note == "T{" {
            // `Added as "pread" in 2.2;`
            let added = lines.next().expect("the note").trim_end_matches(';');
            version = added.rsplit(' ').next().expect("a version");
        }
        rows.insert(name, version.split(';').next().expect("a version").to_owned());
    }
    assert!(rows.len() > 300, "{} rows", rows.len());
    let mut compared = 0;
    for call in calls(scene) {
        let (name, since) = (text(&call, "call"), text(&call, "since"));
        match rows.get(name) {
            Some(version) => {
                assert_eq!(since, format!("Linux {version}"), "{name}");
                compared += 1;
            }
            None if name == "mount_setattr" => {
                let page = unpacked("/usr/share/man/man2/mount_setattr.2.gz");
                assert!(page.contains("first appeared in Linux 5.12") && since == "Linux 5.12", "{since}");
            }
            None => assert!(name.ends_with("_time64") || name == "clock_gettime64", "the manual lacks {name}"),
        }
        // It is the source for what the call does, too. The new calls about mounts have pages since man-pages 6.16.
        let source = text(&call, "source").split('(').next().expect("a page");
        let page = Path::new("/usr/share/man/man2").join(format!("{source}.2.gz"));
        let is_new = ["open_tree", "move_mount", "fsopen", "fsconfig", "fsmount"].contains(&name);
        assert!(is_new || page.exists(), "there is no page {source}(2)");
    }
    assert!(compared > 120, "only {compared} compared");
}

/// Where the page does not name the call itself, what it does name that the call does.
const OPERATIONS: &[(&str, &str)] = &[
    ("fsconfig", "mount(2)"),
    ("fsmount", "mount(2)"),
    ("fsopen", "mount(2)"),
    ("mount_setattr", "mount(2)"),
    ("move_mount", "mount(2)"),
    ("open_tree", "mount(2)"),
    ("umount2", "umount(2)"),
    ("clone3", "clone(2)"),
    ("landlock_restrict_self", "no_new_privs"),
    ("fsetxattr", "xattr(7)"),
    ("lsetxattr", "xattr(7)"),
    ("mknodat", "mknod(2)"),
    ("fchown", "chown(2)"),
    ("fchownat", "chown(2)"),
    ("fchmod", "chmod(2)"),
    ("fchmodat", "chmod(2)"),
    ("utimensat", "utime(2)"),
    ("setgroups", "supplementary GID list"),
    ("setresgid", "process GIDs"),
    ("setfsgid", "process GIDs"),
    ("pidfd_send_signal", "sending signals"),
    ("bind", "Bind a socket to Internet domain privileged ports"),
    ("sendto", "interface configuration"),
    ("getsockopt", "administration of IP firewall"),
    ("prlimit64", "increase resource limits"),
    ("finit_module", "Load and unload kernel modules"),
];

fn capabilities_are_those_that_the_manual_names_for_the_calls(scene: &Scene) {
    let page = unpacked(CAPABILITIES);
    // By capability: what is below its name, with the names of calls in one word.
    let mut paragraphs: BTreeMap<&str, String> = BTreeMap::new();
    let (mut before, mut at) = ("", "");
    for line in page.lines().take_while(|line| !line.contains("Past and current implementation")) {
        let bare = [".BR ", ".B ", ".IR ", ".I "].iter().find_map(|font| line.strip_prefix(font)).unwrap_or(line);
        if before == ".TP" && bare.starts_with("CAP_") {
            at = bare.split(' ').next().expect("a name");
        }
        let paragraph = paragraphs.entry(at).or_default();
        paragraph.push_str(&bare.replace(" (", "("));
        paragraph.push(' ');
        before = line;
    }
    assert!(paragraphs.len() > 40, "{:?}", paragraphs.keys());
    let mut compared = 0;
    for call in calls(scene) {
        let (name, takes) = (text(&call, "call"), text(&call, "takes"));
        let Some(capability) = takes.split(' ').next().filter(|word| word.starts_with("CAP_")) else {
            assert_eq!(takes, "none", "{name}");
            continue;
        };
        let paragraph = paragraphs.get(capability).unwrap_or_else(|| panic!("{capability} is not in the list"));
        let operation = OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, operation)| *operation);
        let named = operation.map_or_else(|| format!("{name}(2)"), str::to_owned);
        assert!(paragraph.contains(&named), "{named} is not in {paragraph}");
        compared += 1;
    }
    assert!(compared > 35, "only {compared} compared");
}

/// What `run` does here, besides what its workload is.
const RUN: [&str; 6] = ["run", "--rm", "--network", "none", "host", "true"];

fn ledger(scene: &Scene, name: &str, words: &[&str]) -> String {
    let path = scene.path(name).display().to_string();
    scene.vial([&["--explain=json", "--explain-to", &path], words].concat()).ok();
    path
}

fn the_headings_of_a_plan_and_of_a_ledger_are_explained_with_their_calls(scene: &Scene) {
    let plan =
        scene.vial(["run", "--dry-run", "-w", "/tmp", "--ulimit", "nofile=9", "--userns", "auto", "host", "true"]).ok();
    for heading in plan.stdout.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')) {
        let known = explained(scene, &[heading]);
        assert!(known.iter().all(|step| texts(step, "headings").contains(&heading)), "{known:#?}");
    }
    let path = ledger(scene, "ledger", &RUN);
    let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in fs::read_to_string(path).expect("read the ledger").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        made.entry(text(&line, "step").to_owned()).or_default().push(text(&line, "call").to_owned());
    }
    assert!(made.len() > 20, "{made:?}");
    for (heading, calls) in made {
        let steps = explained(scene, &[&heading]);
        let listed: Vec<&str> = steps.iter().flat_map(|step| texts(step, "calls")).collect();
        for call in calls {
            // Files are opened and closed nearly everywhere, and memory is taken.
            let is_listed =
                ["close", "openat", "read", "write", "mmap", "munmap"].contains(&&*call) || listed.contains(&&*call);
            assert!(is_listed, "{call} is made under {heading:?}, for which there are {listed:?}");
        }
    }
}

#[track_caller]
fn are_the_same(scene: &Scene, one: &str, other: &str) {
    let output = scene.vial(["explain", "--diff", one, other]).run();
    assert!(output.code == 0, "{}", output.shown());
    output.silent().shows("they tell of the same calls\n");
    scene.vial(["explain", "--json", "--diff", one, other]).ok().prints("[]\n");
}

fn two_runs_of_one_command_have_no_differences(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    // Where the control groups are, others make some as well.
    let parent = format!("vial-explain-{}", std::process::id());
    let plain = ["run", "--rm", "--cgroup-parent", &parent, "--network", "none", "host", "true"];
    let limits = [
        "run",
        "--rm",
        "--cgroup-parent",
        &parent,
        "-m",
        "64m",
        "-w",
        "/tmp",
        "-u",
        "user",
        "-v",
        "/usr:/mnt:ro",
        &rootfs,
        "true",
    ];
    let init = ["run", "--rm", "--cgroup-parent", &parent, "--init", "-t", &rootfs, "true"];
    let container = Container::start(scene, &[], "exec sleep 600");
    let exec = ["exec", &container.id, "true"];
    for (at, words) in [&plain[..], &limits, &init, &exec].into_iter().enumerate() {
        // The first run makes what stays for the next ones.
        ledger(scene, "before", words);
        let one = ledger(scene, &format!("{at}.json"), words);
        for run in 0..5 {
            are_the_same(scene, &one, &ledger(scene, &format!("{at}.{run}.json"), words));
        }
    }
    container.stop();
}

fn what_two_ledgers_differ_in_is_told_by_process_and_step(scene: &Scene) {
    ledger(scene, "before", &RUN);
    let one = ledger(scene, "one.json", &RUN);
    let other = ledger(
        scene,
        "other.json",
        &["run", "--rm", "--network", "none", "-h", "inside", "--privileged", "host", "true"],
    );
    let output = scene.vial(["explain", "--diff", &one, &other]).ends(1).silent();
    let output = output.shows(&format!("--- {one}\n+++ {other}\n"));
    let names = "\ncontainer: give the container its own name and a loopback interface\n\
                 - sethostname(\"<id>\", 12) = 0\n+ sethostname(\"inside\", 6) = 0\n";
    let output = output.shows(names).shows("\ncontainer: hide what tells about the host\n- ").shows("\nCALL ");
    let count = |path: &str, call: &str| {
        let text = fs::read_to_string(path).expect("read a ledger");
        text.lines().filter(|line| line.contains(&format!("\"call\":\"{call}\""))).count()
    };
    for name in ["seccomp", "mount"] {
        let row = output.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        let row: Vec<&str> =
            row.unwrap_or_else(|| panic!("no {name}: {}", output.shown())).split_whitespace().collect();
        assert_eq!(row[1..], [count(&one, name).to_string(), count(&other, name).to_string()], "{name}");
    }
    assert!(!output.stdout.contains("\npivot_root "), "{}", output.shown());
    // The other way round it is the other way round.
    let back = scene.vial(["explain", "--diff", &other, &one]).ends(1).silent();
    back.shows("\n- sethostname(\"inside\", 6) = 0\n+ sethostname(\"<id>\", 12) = 0\n");
    let json = scene.vial(["explain", "--json", "--diff", &one, &other]).ends(1).silent();
    let json: Vec<Value> = serde_json::from_str(&json.stdout).expect("one JSON array");
    assert_eq!(json.iter().filter(|entry| entry["sign"] == "-").count(), output.stdout.matches("\n- ").count());
    assert!(
        json.iter().any(|entry| entry["call"] == "sethostname(\"inside\", 6) = 0" && entry["process"] == "container")
    );
}

fn line(process: &str, pid: u32, step: &str, call: &str, argument: usize) -> String {
    format!(
        "{{\"step\":\"{step}\",\"pid\":{pid},\"process\":\"{process}\",\"call\":\"{call}\",\"args\":[\"{argument}\"],\"result\":0,\"ns\":1}}\n"
    )
}

fn long_ledgers_are_compared_in_little_memory(scene: &Scene) {
    let write = |name: &str, lines: &dyn Fn(usize) -> Option<usize>| {
        let text: String =
            (0..40_000).filter_map(lines).map(|argument| line("vial", 5, "unpack", "close", argument)).collect();
        fs::write(scene.path(name), text).expect("write a ledger");
        scene.path(name).display().to_string()
    };
    let one = write("one", &|at| Some(at));
    let other = write("other", &|at| (at % 1000 != 7).then_some(at));
    let none = write("none", &|at| Some(at + 100_000));
    // A table of all pairs would be 1.6 GB.
    let limited = |one: &str, other: &str| {
        let words =
            ["-c", "ulimit -v 700000; exec \"$@\"", "sh", crate::util::command::VIAL, "explain", "--diff", one, other];
        scene.command("sh", words).ends(1).silent()
    };
    let output = limited(&one, &other).shows("\n- close(7) = 0\n- close(1007) = 0\n");
    assert_eq!((output.stdout.matches("\n- ").count(), output.stdout.matches("\n+ ").count()), (40, 0));
    let output = limited(&one, &none);
    assert_eq!((output.stdout.matches("\n- ").count(), output.stdout.matches("\n+ ").count()), (40_000, 40_000));
    // Processes are told apart by what they are and which of these they are.
    let processes = |name: &str, pids: [u32; 2], argument| {
        let text = [line("helper", pids[0], "x", "umask", 1), line("helper", pids[1], "x", "umask", argument)].concat();
        fs::write(scene.path(name), text).expect("write a ledger");
        scene.path(name).display().to_string()
    };
    let one = processes("p1", [7, 9], 2);
    are_the_same(scene, &one, &processes("p2", [12, 11], 2));
    scene
        .vial(["explain", "--diff", &one, &processes("p3", [12, 11], 3)])
        .ends(1)
        .shows("\n- umask(2) = 0\n+ umask(3) = 0\n");
}

fn what_is_no_ledger_is_refused_with_its_line(scene: &Scene) {
    let good = line("vial", 5, "x", "umask", 1);
    fs::write(scene.path("good"), &good).expect("write a ledger");
    for (text, place, what) in [
        ("", 1, "expected an object for each call, found nothing".to_owned()),
        ("x\n", 1, "expected JSON".to_owned()),
        (&*format!("{good}[]\n"), 2, "expected an object with".to_owned()),
        (&*good.replace("\"pid\":5", "\"pid\":\"5\""), 1, "expected an object with pid".to_owned()),
        (&*good.replace("\"step\":\"x\"", "\"step\":1"), 1, "expected an object with step".to_owned()),
        (&*good.replace("[\"1\"]", "[1]"), 1, "expected an object with args".to_owned()),
        (&*format!("{good}{}", good.replace("\"result\":0,", "")), 2, "expected an object with result".to_owned()),
    ] {
        fs::write(scene.path("bad"), text).expect("write what is no ledger");
        let expected = format!("bad is no ledger: line {place}: {what}");
        scene.vial(["explain", "--diff", "good", "bad"]).ends(125).says(&expected).prints("");
        scene.vial(["explain", "--diff", "bad", "good"]).ends(125).says(&expected).prints("");
    }
    scene.vial(["explain", "--diff", "good", "nowhere"]).ends(125).says("nowhere").says("ENOENT");
    scene.vial(["explain", "--diff", "good"]).ends(125).says("--diff").says("usage: vial explain --diff A.json B.json");
    scene.vial(["explain", "--diff", "good", "good", "good"]).ends(125).says("--diff");
    scene.vial(["explain", "--diff"]).ends(125).says("--diff");
}
