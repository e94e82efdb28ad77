//! The command line: help, the ledger's options, the plan, the grammar of options, the names of commands.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::Value;
use vial::cli::flags::table::{GLOBAL, TOP};
use vial::cli::flags::{COMMANDS, verbs};
use vial::cli::parse;

use crate::util::source::project;
use crate::util::{Scene, account, leaks, strace};

trials! {
    help_for_every_command_has_examples_first_and_every_option [];
    help_is_the_same_however_it_is_asked_for [];
    help_version_and_the_list_of_calls_need_no_state_and_no_root [];
    the_version_is_cargos [];
    every_example_is_a_command_line_that_parses [];
    every_command_line_in_the_readme_parses [];
    every_command_of_the_table_is_built_in [];
    the_ledger_may_be_asked_for_before_and_after_the_commands_name [];
    the_ledger_goes_to_a_file_and_leaves_standard_error_alone [];
    the_ledger_as_json_has_a_whole_object_on_every_line [];
    the_plan_does_nothing [Root, Tool("strace"), Command("run")];
    the_plan_does_nothing_in_a_root_directory_that_is_there [Root, Tool("strace"), Busybox, Command("run")];
    the_plan_has_the_order_of_the_real_ledger [Root, Kernel("overlay"), Command("run")];
    the_plan_names_what_was_asked_for [Root, Command("run")];
    a_value_may_be_attached_or_stand_alone [Root, Busybox, Kernel("overlay"), Command("run")];
    letters_stand_together_behind_one_dash [Root, Busybox, Tool("script"), Kernel("overlay"), Command("run")];
    options_stop_at_the_image [Root, Busybox, Kernel("overlay"), Command("run")];
    two_dashes_end_the_options [Root, Busybox, Kernel("overlay"), Command("run")];
    options_may_follow_the_words_of_commands_that_run_nothing [Command("import")];
    the_last_of_an_option_counts [Root, Busybox, Kernel("overlay"), Command("run")];
    a_command_is_known_by_its_noun_too [Command("import")];
    the_root_directory_is_chosen_by_option_then_by_variable [Command("import")];
    the_state_of_a_user_without_root_lies_in_the_users_own_directory [Root, Tool("setpriv"), Command("import")];
    results_go_to_standard_output_and_words_to_standard_error [Command("import")];
    a_workloads_words_need_not_be_utf8 [Root, Busybox, Kernel("overlay"), Command("run")];
    a_result_that_cannot_be_printed_is_a_failure [];
}

/// A path that can't be made.
const IMPOSSIBLE: &str = "/proc/self/nonexistent/root";

fn help_for_every_command_has_examples_first_and_every_option(scene: &Scene) {
    for row in COMMANDS {
        let words = row.name().split(' ').chain(["--help"]);
        let output = scene.vial(words).env("VIAL_ROOT", IMPOSSIBLE).ok().silent();
        let place =
            |text: &str| output.stdout.find(text).unwrap_or_else(|| panic!("{text:?} is missing: {}", output.shown()));
        assert_eq!(place(row.help.kept()), 0, "{}", output.shown());
        let usage = place(&format!("Usage: vial {} {}", row.name(), row.usage));
        let examples = place("\nExamples:\n");
        let options =
            row.groups.first().map_or_else(|| place("\nGlobal options:\n"), |group| place(group.title.kept()));
        assert!(usage < examples && examples < options, "{}", output.shown());
        for example in row.examples.text().lines() {
            let line = example.split('#').next().unwrap().trim_end();
            assert!(place(&format!("  vial {line}\n")) < options);
        }
        for flag in row.flags().chain(GLOBAL.flags()) {
            let is_flag = |word: &str| word.split(['[', ' ']).next() == Some(&format!("--{}", flag.long()));
            let has = |line: &str| {
                line.starts_with("  ") && line.split_inclusive(", ").any(|part| is_flag(part.trim_start()))
            };
            let shown = output.stdout.lines().skip_while(|line| !has(line));
            assert!(shown.take(2).any(|line| line.ends_with(flag.help())), "--{}: {}", flag.long(), output.shown());
        }
    }
}

fn help_is_the_same_however_it_is_asked_for(scene: &Scene) {
    let say = |words: &[&str]| scene.vial(words).env("VIAL_ROOT", IMPOSSIBLE).ok().silent().stdout;
    let all = say(&[]);
    let oci = say(&["oci"]);
    for words in [&["help"][..], &["--help"], &["-h"], &["help", "--help"][..0]] {
        assert_eq!(say(words), all, "vial {words:?}");
    }
    for row in COMMANDS {
        // Those of an OCI runtime are for engines, and have a list of their own.
        let (list, name) = match row.name().strip_prefix("oci ") {
            Some(verb) => (&oci, verb),
            None => (&all, row.name()),
        };
        assert!(
            list.lines().any(|line| line.starts_with(&format!("  {name} ")) && line.ends_with(&row.help.text())),
            "{name}"
        );
        let words: Vec<&str> = row.name().split(' ').collect();
        let page = say(&[&["help"], &words[..]].concat());
        for option in ["--help", "--help=true"] {
            assert_eq!(say(&[&words[..], &[option]].concat()), page);
        }
        // Nothing after it counts.
        assert_eq!(say(&[&words[..], &["--help", "--no-such-option"]].concat()), page);
        for alias in row.names().skip(1) {
            let words: Vec<&str> = alias.split(' ').collect();
            assert_eq!(say(&[&words[..], &["--help"]].concat()), page, "vial {alias} --help");
        }
    }
    for noun in ["container", "image", "volume"] {
        let page = say(&[noun]);
        assert!(verbs(noun).count() > 3 && page.starts_with(&format!("Usage: vial {noun} COMMAND")), "{page}");
        assert_eq!(say(&["help", noun]), page);
        assert_eq!(say(&[noun, "--help"]), page);
    }
    for flag in TOP.flags() {
        assert!(all.contains(&format!("--{}", flag.long())) && all.contains(flag.help()));
    }
}

/// The names of the calls that a command line made, by its own ledger.
fn calls(scene: &Scene, words: &[&str]) -> BTreeSet<String> {
    let output = scene.vial(["--explain=json"].iter().chain(words)).env("VIAL_ROOT", IMPOSSIBLE).ok();
    let ledger = account::parse(&output.stderr).unwrap_or_else(|error| panic!("{error}"));
    ledger.processes.into_values().flatten().map(|entry| entry.call).collect()
}

fn help_version_and_the_list_of_calls_need_no_state_and_no_root(scene: &Scene) {
    // Memory, what is packed in it, the clock and the ledger's own process ID; else nothing but printing.
    let (mmap, clock) =
        if cfg!(target_pointer_width = "32") { ("mmap2", "clock_gettime64") } else { ("mmap", "clock_gettime") };
    let harmless: BTreeSet<String> =
        [mmap, "mprotect", "madvise", "munmap", "getpid", clock, "write", "exit_group"].map(String::from).into();
    for words in
        [&["help"][..], &["help", "run"], &["run", "--help"], &["version", "--json"], &["syscalls"], &["volume"]]
    {
        let made = calls(scene, words);
        assert!(made.is_subset(&harmless), "vial {words:?} made {:?}", made.difference(&harmless));
        assert!(made.contains("write"));
    }
}

fn the_version_is_cargos(scene: &Scene) {
    let version = env!("CARGO_PKG_VERSION");
    let say = |words: &[&str]| scene.vial(words).env("VIAL_ROOT", IMPOSSIBLE).ok().silent().stdout;
    let text = say(&["version"]);
    assert!(
        text.starts_with(&format!("vial {version} (")) && text.ends_with(")\n") && text.lines().count() == 1,
        "{text}"
    );
    assert_eq!(say(&["--version"]), text);
    assert_eq!(say(&["-v"]), text);
    let json: Value = serde_json::from_str(&say(&["version", "--json"])).expect("an object");
    assert_eq!(json["Version"], version);
    assert_eq!(json["OCIVersion"], "1.3.0");
}

/// The words of an example, as a shell would part them; what follows `<` or `|` is the shell's.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in line.chars() {
        let word = words.last_mut().expect("there is always one");
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (end, Some(open)) if end == open => quote = None,
            (' ', None) if word.is_empty() => {}
            (' ', None) => words.push(String::new()),
            ('<' | '|' | '#' | '>' | ';' | '&', None) if word.is_empty() => break,
            _ => word.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn parses(line: &str) -> &'static str {
    let words = shell_words(line);
    let bytes: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    parse::parse(&bytes).unwrap_or_else(|(_, error)| panic!("vial {line}\n{error}")).command.name()
}

fn every_example_is_a_command_line_that_parses(scene: &Scene) {
    for row in COMMANDS {
        let page = scene.vial(["help"].into_iter().chain(row.name().split(' '))).ok().stdout;
        let examples = page.lines().filter_map(|line| line.strip_prefix("  vial "));
        assert_eq!(examples.clone().count(), row.examples.text().lines().count(), "{page}");
        examples.for_each(|line| assert_eq!(parses(line), row.name(), "{line}"));
    }
    let page = scene.vial(["help"]).ok().stdout;
    let mut found = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("  vial ")) {
        let line = line.split("   ").next().expect("a first part");
        assert_ne!(parses(line), "help", "{line}");
        found += 1;
    }
    assert!(found >= 3, "{page}");
}

fn every_command_line_in_the_readme_parses(_: &Scene) {
    let text = fs::read_to_string(project().join("README.md")).expect("read the README");
    let in_code = |found: &mut (bool, Vec<String>), line: &str| {
        if line.starts_with("```") {
            found.0 = !found.0;
        } else if let (true, Some(line)) = (found.0, line.trim_start_matches("$ ").strip_prefix("vial ")) {
            // Engines' settings name it too.
            if !line.starts_with("= ") {
                found.1.push(line.to_owned());
            }
        }
    };
    let mut found = (false, Vec::new());
    text.lines().for_each(|line| in_code(&mut found, line));
    assert!(found.1.len() > 3, "the README shows {} command lines", found.1.len());
    for line in found.1 {
        parses(&line);
    }
}

fn every_command_of_the_table_is_built_in(scene: &Scene) {
    for row in COMMANDS {
        // What goes on until it is interrupted is asked to look once.
        let once = row.flags().find(|flag| flag.long() == "no-stream").map(|_| "--no-stream");
        let words = row.name().split(' ').chain(once).chain((0..row.args.0).map(|_| "nosuchthing"));
        let output = scene.vial(words).run();
        assert!(!output.stderr.contains("not built in"), "{}", output.shown());
    }
}

fn the_ledger_may_be_asked_for_before_and_after_the_commands_name(scene: &Scene) {
    let plain = scene.vial(["images"]).ok().silent();
    for words in
        [["--explain", "images"], ["images", "--explain"], ["--explain=text", "images"], ["images", "--explain=text"]]
    {
        let output = scene.vial(words).ok().prints(&plain.stdout);
        assert!(output.stderr.lines().any(|line| line.starts_with("    openat(")), "{}", output.shown());
    }
    for words in [["--explain=json", "images"], ["images", "--explain=json"]] {
        let output = scene.vial(words).ok().prints(&plain.stdout);
        let ledger = account::parse(&output.stderr).unwrap_or_else(|error| panic!("{error}"));
        assert!(ledger.processes.values().flatten().any(|entry| entry.call == "openat"), "{}", output.shown());
    }
    // A refused command line is explained too, after the error.
    scene
        .vial(["--explain", "images", "--nosuch"])
        .run()
        .ends(125)
        .says("vial: unknown flag --nosuch")
        .says("    exit_group(125)");
}

fn the_ledger_goes_to_a_file_and_leaves_standard_error_alone(scene: &Scene) {
    let plain = scene.vial(["images"]).ok().stdout;
    for words in [["--explain-to", "ledger", "images"], ["images", "--explain-to", "ledger"]] {
        scene.vial(words).ok().prints(&plain).silent();
        let text = fs::read_to_string(scene.path("ledger")).expect("the ledger is there");
        assert!(text.contains("    exit_group(0) = ?") && text.contains("    openat("), "{text}");
        // It is written anew each time.
        assert_eq!(text.matches("exit_group").count(), 1, "{text}");
    }
    scene.vial(["--explain=json", "--explain-to=ledger", "images"]).ok().prints(&plain).silent();
    let text = fs::read_to_string(scene.path("ledger")).expect("the ledger is there");
    account::parse(&text).unwrap_or_else(|error| panic!("{error}"));
}

fn the_ledger_as_json_has_a_whole_object_on_every_line(scene: &Scene) {
    let odd = scene.path("odd \"name\" \\ \n\u{1}ä");
    let words = ["--explain=json".as_ref(), "import".as_ref(), odd.as_os_str()];
    let output = scene.vial(words).run().ends(125);
    let mut lines = 0;
    for line in output.stderr.lines().filter(|line| line.starts_with('{')) {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for (name, fits) in [
            ("step", object["step"].is_string()),
            ("pid", object["pid"].is_u64()),
            ("call", object["call"].is_string()),
            ("args", object["args"].is_array()),
            ("result", object["result"].is_number() || object["result"].is_null()),
            ("ns", object["ns"].is_u64()),
        ] {
            assert!(fits, "{name} in {line}");
        }
        lines += 1;
    }
    assert!(lines > 5, "{}", output.shown());
    let opened =
        output.stderr.lines().find(|line| line.contains("ENOENT") && line.starts_with('{')).expect("a failed call");
    let object: Value = serde_json::from_str(opened).expect("it was read before");
    let path = object["args"]
        .as_array()
        .expect("it is an array")
        .iter()
        .any(|word| word.as_str().is_some_and(|word| word.contains("odd")));
    assert!(path, "{opened}");
}

/// Asks whether the kernel has overlays, and changes nothing.
const ASKING: &str = "fsopen(\"overlay\", FSOPEN_CLOEXEC)";

/// Calls that change something, or make a process.
const CHANGING: &[&str] = &[
    "bpf",
    "chmod",
    "chown",
    "clone",
    "clone3",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fork",
    "fsconfig",
    "fsmount",
    "fsopen",
    "ftruncate",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "setns",
    "setxattr",
    "symlink",
    "symlinkat",
    "truncate",
    "umount2",
    "unlink",
    "unlinkat",
    "unshare",
    "utimensat",
    "vfork",
];

/// Runs vial under strace and asserts that it changed nothing.
fn changes_nothing(scene: &Scene, words: &[&str], root: &str) -> String {
    let before = leaks::control_groups();
    let trace = scene.path("trace");
    let mut line: Vec<&str> =
        vec!["-f", "-qq", "-o", trace.to_str().expect("a plain path"), crate::util::command::VIAL];
    line.extend(words);
    let output = scene.command("strace", &line).env("VIAL_ROOT", root).ok().silent();
    let text = fs::read_to_string(&trace).expect("read the trace");
    let traced = strace::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(traced.processes.len(), 1, "it made a process:\n{text}");
    for call in traced.processes.values().flatten().filter(|call| !call.line.starts_with(ASKING)) {
        assert!(!CHANGING.contains(&call.name.as_str()) && !call.line.contains("O_CREAT"), "{}", call.line);
        let elsewhere = call.name.starts_with("write") && !call.line.starts_with("write(1,");
        assert!(!elsewhere && !call.line.contains("O_RDWR") && !call.line.contains("O_WRONLY"), "{}", call.line);
    }
    // Other tests make control groups at the same time, but none of this name.
    let new = leaks::control_groups();
    let of_plan = new.difference(&before).flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
    assert!(of_plan.map(|entry| entry.file_name()).all(|name| !name.as_bytes().starts_with(b"0000000000")));
    output.stdout
}

/// A plan with a part of everything.
const ASKED: &[&str] = &[
    "run",
    "--dry-run",
    "--rm",
    "-m",
    "64m",
    "--cpus",
    "1.5",
    "--pids-limit",
    "50",
    "--hostname",
    "planned",
    "-v",
    "/usr:/mnt:ro",
    "-v",
    "named:/data",
    "-v",
    "./made:/made",
    "--tmpfs",
    "/x:size=1m",
    "--sysctl",
    "net.ipv4.ip_forward=1",
    "--ulimit",
    "nofile=64:128",
    "-w",
    "/tmp",
    "-u",
    "1000",
    "--device",
    "/dev/null:/dev/other",
    "--read-only",
    "--security-opt",
    "no-new-privileges",
    "host",
    "true",
];

fn the_plan_does_nothing(scene: &Scene) {
    let root = scene.path("not/there/yet");
    let text = changes_nothing(scene, ASKED, &root.display().to_string());
    assert!(text.contains("mount overlay") && text.contains("execute true"), "{text}");
    assert!(!scene.path("not").exists() && !scene.path("made").exists());
    // Needs not even a root directory that can be made.
    changes_nothing(scene, ASKED, IMPOSSIBLE);
}

fn the_plan_does_nothing_in_a_root_directory_that_is_there(scene: &Scene) {
    let root = scene.root().display().to_string();
    scene.vial(["import", &scene.rootfs().display().to_string(), "box"]).ok();
    let names = || -> BTreeSet<PathBuf> {
        let output = scene.command("find", [scene.root()]).ok();
        output.stdout.lines().map(PathBuf::from).collect()
    };
    let before = names();
    let text = changes_nothing(scene, &["run", "--dry-run", "-v", "data:/data", "box", "sh", "-c", "id"], &root);
    assert!(text.contains("execute sh -c id") && text.contains("layers/"), "{text}");
    assert_eq!(names(), before);
    scene.vial(["run", "--dry-run", "nosuch", "true"]).run().ends(125).prints("").says("no image is named nosuch");
    assert_eq!(names(), before);
}

fn the_plan_has_the_order_of_the_real_ledger(scene: &Scene) {
    let words: Vec<&str> = ASKED.iter().filter(|word| **word != "--read-only").copied().collect();
    let plan = scene.vial(&words).ok().stdout;
    let planned: Vec<&str> = plan.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
    let real: Vec<&str> = words.iter().filter(|word| **word != "--dry-run").copied().collect();
    let ledger = scene.path("ledger").display().to_string();
    scene.vial(["--explain=json", "--explain-to", &ledger].iter().copied().chain(real)).ok();
    let text = fs::read_to_string(&ledger).expect("read the ledger");
    let ledger = account::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let inside =
        ledger.processes.iter().find(|((role, _), _)| role == "container").expect("the container's first process");
    let mut steps: Vec<&str> = inside.1.iter().map(|entry| entry.step.as_str()).collect();
    steps.dedup();
    assert!(planned.len() > 10, "{plan}");
    let mut at = 0;
    for head in planned.iter().skip_while(|head| head.contains("control group")) {
        let found = steps[at..].iter().position(|step| step == head);
        at += found.unwrap_or_else(|| panic!("{head:?} does not follow in {steps:#?}")) + 1;
    }
    // The groups come before the container's first process.
    let outside: Vec<&str> = ledger.processes[&ledger.first].iter().map(|entry| entry.step.as_str()).collect();
    let place = |text: &str| {
        outside.iter().position(|step| step.contains(text)).unwrap_or_else(|| panic!("{text}: {outside:#?}"))
    };
    assert!(planned[0].contains("control group"), "{plan}");
    assert!(place("limit what the container may use") < place("make the container's first process"));
}

fn the_plan_names_what_was_asked_for(scene: &Scene) {
    let plan = scene.vial(ASKED).ok().silent().stdout;
    for part in [
        "67108864",
        "pids.max",
        "planned",
        "/usr",
        "/mnt, read-only",
        "/data",
        "mount tmpfs on /x (",
        "size=1048576",
        "write 1 to /proc/sys/net/ipv4/ip_forward",
        "NOFILE to 64 (hard: 128)",
        "change directory to /tmp",
        "/dev/other (1:3)",
        "set no_new_privs",
        "pivot_root",
        "execute true",
    ] {
        assert!(plan.contains(part), "{part:?} is missing in\n{plan}");
    }
    assert!(!leaks::control_groups().iter().any(|path| path.join("0".repeat(64)).exists()));
}

/// What a shell in a busybox root prints, with these options before the image.
fn shell(scene: &Scene, options: &[&str], script: &str) -> String {
    let rootfs = scene.rootfs().display().to_string();
    let words = ["run", "--rm"].iter().chain(options).copied().chain([rootfs.as_str(), "sh", "-c", script]);
    scene.vial(words).ok().silent().stdout
}

fn a_value_may_be_attached_or_stand_alone(scene: &Scene) {
    for options in [&["--env=A=b"][..], &["--env", "A=b"], &["-e", "A=b"], &["-eA=b"], &["-e=A=b"]] {
        assert_eq!(shell(scene, options, "echo $A"), "b\n", "{options:?}");
    }
    // A value is taken as it is, whatever it looks like.
    assert_eq!(shell(scene, &["-e", "A=--rm -x"], "echo $A"), "--rm -x\n");
    assert_eq!(shell(scene, &["--env=A=b=c"], "echo $A"), "b=c\n");
}

fn letters_stand_together_behind_one_dash(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for options in ["-it", "-ti", "-i -t", "-itw/tmp"] {
        let line = format!("{} run --rm {options} {rootfs} tty", crate::util::command::VIAL);
        scene.command("script", ["-qefc", &line, "/dev/null"]).ok().shows("/dev/");
    }
    assert_eq!(shell(scene, &["-iw", "/tmp"], "pwd"), "/tmp\n");
    assert_eq!(shell(scene, &["-iw/tmp"], "pwd"), "/tmp\n");
    assert_eq!(shell(scene, &["-iu1000", "-w=/tmp"], "id -u; pwd"), "1000\n/tmp\n");
}

fn options_stop_at_the_image(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let echo = ["run", "--rm", &rootfs, "echo", "--rm", "-it", "--nosuch", "--", "--help", "--explain"];
    scene.vial(echo).ok().prints("--rm -it --nosuch -- --help --explain\n").silent();
}

fn two_dashes_end_the_options(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--rm", "--", &rootfs, "echo", "a"]).ok().prints("a\n");
    scene.vial(["import", "--", "--no-such-file"]).run().ends(125).says("--no-such-file");
}

fn options_may_follow_the_words_of_commands_that_run_nothing(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    let id = scene.vial(["import", "tree", "a:1", "-m", "a note"]).ok().stdout;
    let shown = scene.vial(["images", "a", "--no-trunc", "-q"]).ok().stdout;
    assert_eq!(shown, id);
    scene.vial(["rmi", "a:1", "--force"]).ok();
}

fn the_last_of_an_option_counts(scene: &Scene) {
    assert_eq!(shell(scene, &["-w", "/", "--workdir=/tmp"], "pwd"), "/tmp\n");
    assert_eq!(shell(scene, &["-e", "A=1", "-e", "A=2", "-e", "B=3"], "echo $A $B"), "2 3\n");
    assert_eq!(shell(scene, &["--read-only", "--read-only=false"], "touch /x && echo written"), "written\n");
}

fn a_command_is_known_by_its_noun_too(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    let id = scene.vial(["image", "import", "tree", "a:1"]).ok().stdout;
    for words in [
        &["images", "-q", "--no-trunc"][..],
        &["image", "ls", "-q", "--no-trunc"],
        &["image", "list", "-q", "--no-trunc"],
    ] {
        scene.vial(words).ok().prints(&id);
    }
    for words in [
        &["ps", "-q"][..],
        &["container", "ls", "-q"],
        &["container", "list", "-q"],
        &["container", "ps", "-q"],
        &["volume", "ls", "-q"],
    ] {
        scene.vial(words).ok().prints("");
    }
    scene.vial(["image", "rm", "a:1"]).ok().shows("Untagged: a:1\n");
    scene.vial(["image", "ls", "-q"]).ok().prints("");
    // A noun before a verb that is not its own is not ignored.
    scene.vial(["volume", "images"]).run().ends(125).says("unknown command \"volume images\"");
}

fn the_root_directory_is_chosen_by_option_then_by_variable(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    let other = scene.path("other").display().to_string();
    scene.vial(["import", "tree", "by-variable"]).ok();
    scene.vial(["--root", &other, "import", "tree", "by-option"]).ok();
    let list = |words: &[&str]| scene.vial(words).ok().stdout;
    assert_eq!(list(&["images", "--format={{.Repository}}"]), "by-variable\n");
    for words in
        [&["--root", &other, "images"][..], &["images", "--root", &other], &[&format!("--root={other}"), "images"]]
    {
        assert_eq!(list(&[words, &["--format={{.Repository}}"]].concat()), "by-option\n");
    }
    // A relative path starts at the current directory.
    assert_eq!(list(&["--root", "other", "images", "--format={{.Repository}}"]), "by-option\n");
    // An image is whole wherever its root directory is moved: no path is kept in it.
    fs::rename(scene.path("other"), scene.path("moved")).expect("move the root directory");
    assert_eq!(list(&["--root", "moved", "images", "--format={{.Repository}}"]), "by-option\n");
    let needle = scene.directory().display().to_string();
    scene.command("grep", ["-r", &needle, "moved"]).run().ends(1);
    scene.vial(["images"]).env("VIAL_ROOT", IMPOSSIBLE).run().ends(125).says("--root").prints("");
}

fn the_state_of_a_user_without_root_lies_in_the_users_own_directory(scene: &Scene) {
    // The binary may lie where only root can go.
    let program = scene.path("vial");
    fs::copy(crate::util::command::VIAL, &program).expect("copy the binary");
    let home = std::env::temp_dir().join(format!("vial-home-{}", std::process::id()));
    fs::create_dir(&home).expect("make a home");
    std::os::unix::fs::chown(&home, Some(4321), Some(4321)).expect("give the home away");
    let run = |words: &[&str], data: Option<&str>| {
        let script = format!("unset VIAL_ROOT; exec /proc/self/fd/9 {}", words.join(" "));
        let user = ["--reuid=4321", "--regid=4321", "--clear-groups", "sh", "-c", &script];
        let line = format!("exec 9<{}; cd /; exec setpriv \"$@\"", program.display());
        let command = scene.command("sh", ["-c", &line, "sh"].iter().chain(&user)).env("HOME", home.as_os_str());
        match data {
            Some(data) => command.env("XDG_DATA_HOME", data),
            None => command,
        }
        .run()
    };
    let first = run(&["images", "-q"], None);
    let second = run(&["images", "-q"], home.join("data").to_str());
    let made = (home.join(".local/share/vial/images").is_dir(), home.join("data/vial/images").is_dir());
    fs::remove_dir_all(&home).expect("remove the home");
    first.ends(0).silent();
    second.ends(0).silent();
    assert_eq!(made, (true, true));
}

fn results_go_to_standard_output_and_words_to_standard_error(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    let id = scene.vial(["import", "tree", "a"]).ok().silent().stdout;
    assert!(id.starts_with("sha256:") && id.len() == 72 && id.ends_with('\n'), "{id:?}");
    scene.vial(["images"]).ok().silent().shows("REPOSITORY");
    let failed = scene.vial(["rmi", "nosuch", "a"]).run().ends(125).says("vial: no image is named nosuch");
    assert!(failed.stdout.starts_with("Untagged: a:latest\nDeleted: sha256:"), "{}", failed.shown());
    for words in [&["images", "--nosuch"][..], &["nosuch"], &["run", "--rm", "nosuch", "true"], &["import", "nosuch"]] {
        let output = scene.vial(words).run().ends(125).prints("");
        assert!(output.stderr.starts_with("vial: ") && output.stderr.ends_with('\n'), "{}", output.shown());
        assert!(!output.stderr.contains('\u{1b}'), "no colour, nobody asked for it: {}", output.shown());
    }
}

fn a_workloads_words_need_not_be_utf8(scene: &Scene) {
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let rootfs = scene.rootfs();
    let script = "printf %s \"$1\" | od -An -tx1; printf %s \"$A\" | od -An -tx1";
    let variable = std::ffi::OsStr::from_bytes(b"A=\xfd");
    let words = [
        "run".as_ref(),
        "--rm".as_ref(),
        "-e".as_ref(),
        variable,
        rootfs.as_os_str(),
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        odd,
    ];
    scene.vial(words).ok().prints(" ff fe\n fd\n").silent();
}

fn a_result_that_cannot_be_printed_is_a_failure(scene: &Scene) {
    let line = format!("{} help >/dev/full", crate::util::command::VIAL);
    scene.command("sh", ["-c", &line]).run().ends(125).says("ENOSPC");
}
