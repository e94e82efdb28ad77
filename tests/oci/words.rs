//! Command lines, and the words that engines look for in what is said: podman, containerd, CRI-O and docker take errors apart.

use std::fs;

use serde_json::Value;

use crate::util::Scene;
use crate::util::bundle::{Bundle, errors, oci, state_directory};
use crate::util::command::Output;

trials! {
    help_lists_the_commands_and_explains_each [Command("oci")];
    the_version_is_printed_in_lines_that_engines_take_apart [Command("oci")];
    what_engines_look_for_in_errors_is_said [Root, Busybox, Command("oci")];
    errors_are_in_the_log_in_the_form_that_was_asked_for [Root, Busybox, Command("oci")];
    errors_of_the_command_line_are_in_the_log_too [Command("oci")];
    warnings_are_in_the_log_as_such [Root, Busybox, Command("oci")];
    what_is_not_supported_says_so [Command("oci")];
    features_are_told_as_the_specification_has_them [Command("oci")];
    a_specification_to_begin_with_is_valid_and_runs [Root, Busybox, Command("oci")];
    a_specification_for_a_normal_user_is_valid [Command("oci")];
    a_specification_is_never_written_over [Command("oci")];
}

fn help_lists_the_commands_and_explains_each(scene: &Scene) {
    let commands = [
        "create",
        "start",
        "state",
        "kill",
        "delete",
        "run",
        "exec",
        "list",
        "ps",
        "pause",
        "resume",
        "update",
        "events",
        "spec",
        "features",
        "checkpoint",
        "restore",
        "version",
    ];
    let all = scene.vial(["oci", "--help"]).ok().silent().stdout;
    for command in commands {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not in\n{all}");
        let page = scene.vial(["oci", command, "--help"]).ok().stdout;
        assert!(page.contains(&format!("Usage: vial oci {command}")), "{page}");
    }
    scene.vial(["oci"]).ok().shows("create");
    scene.vial(["oci", "--root", "/x", "--log-format", "json", "create", "--help"]).ok().shows("--bundle");
    scene.vial(["help"]).ok().shows("\n  oci ");
}

/// A reader of versions as docker's daemon has it: a line with the word, one that begins with `commit:`.
fn as_docker_reads(text: &str) -> (String, String) {
    let (mut version, mut commit) = (String::new(), String::new());
    for line in text.trim().lines() {
        if let Some((_, rest)) = line.split_once("version") {
            rest.trim().clone_into(&mut version);
        } else if let Some(rest) = line.strip_prefix("commit:") {
            rest.trim().clone_into(&mut commit);
        }
    }
    (version, commit)
}

fn the_version_is_printed_in_lines_that_engines_take_apart(scene: &Scene) {
    let expected = format!("vial version {0}\ncommit: v{0}\nspec: 1.3.0\n", env!("CARGO_PKG_VERSION"));
    for words in [&["oci", "--version"][..], &["oci", "-v"], &["oci", "version"], &["oci", "--debug", "--version"]] {
        scene.vial(words).ok().prints(&expected).silent();
    }
    assert_eq!(as_docker_reads(&expected).0, env!("CARGO_PKG_VERSION"));
    assert!(!as_docker_reads(&expected).1.is_empty());
}

/// How containerd's shim takes a failed `kill`.
fn is_gone_to_containerd(output: &Output) -> bool {
    let text = &output.stderr;
    ["os: process already finished", "container not running", "does not exist"].iter().any(|words| text.contains(words))
        || text.to_lowercase().contains("no such process")
}

/// How podman takes a failure: by what makes its exit code 126 or 127.
fn to_podman(output: &Output) -> u8 {
    let text = output.stderr.to_lowercase();
    if text.contains("permission denied") || text.contains("operation not permitted") {
        126
    } else if text.contains("executable file not found in") || text.contains("no such file or directory") {
        127
    } else {
        125
    }
}

fn what_engines_look_for_in_errors_is_said(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    let output = bundle.oci("kill", &[]).ends(1);
    assert!(is_gone_to_containerd(&output), "{}", output.shown());
    for (program, code) in [("/nosuch/program", 127), ("nosuch", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let before = bundle.config["process"]["args"].take();
        bundle.config["process"]["args"] = serde_json::json!([program]);
        let output = bundle.make("create", &[]).ends(1);
        assert_eq!(to_podman(&output), code, "{}", output.shown());
        bundle.assert_gone();
        bundle.config["process"]["args"] = before;
    }
    bundle.start();
    for (program, code) in [("/nosuch/program", 127), ("nosuch", 127), ("/etc/passwd", 126)] {
        let output = bundle.oci("exec", &[program]).ends(255);
        assert_eq!(to_podman(&output), code, "{}", output.shown());
    }
    bundle.oci("kill", &["KILL"]).ok();
    bundle.is_going_to_be("stopped");
    let output = bundle.oci("kill", &[]).ends(1);
    assert!(is_gone_to_containerd(&output), "{}", output.shown());
    bundle.delete();
}

/// The lines of a log in logrus's JSON.
fn lines(scene: &Scene) -> Vec<Value> {
    let text = fs::read_to_string(scene.path("log")).expect("there is a log");
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

fn errors_are_in_the_log_in_the_form_that_was_asked_for(scene: &Scene) {
    let log = scene.path("log").display().to_string();
    for _ in 0..2 {
        let output = oci(scene, ["--log", &log, "--log-format", "json", "state", "web"]).ends(1);
        let last = lines(scene).pop().expect("there is a line");
        assert_eq!(last["level"], "error");
        assert_eq!(output.stderr, format!("vial: {}\n", last["msg"].as_str().expect("it is text")));
        assert!(last["time"].as_str().expect("it is text").ends_with('Z'), "{last}");
    }
    assert_eq!(lines(scene).len(), 2, "nothing is written over");
    fs::remove_file(&log).expect("remove it");
    for format in [&[][..], &["--log-format", "text"], &["--log-format=text"]] {
        oci(scene, ["state"]).args(format).args(["--log", &log, "web"]).ends(1);
        let text = fs::read_to_string(&log).expect("there is a log");
        assert!(
            text.starts_with("time=\"20") && text.contains("\" level=error msg=\"container web does not exist\""),
            "{text}"
        );
    }
    fs::remove_file(&log).expect("remove it");
    let mut bundle = Bundle::new(scene, "web", "true");
    bundle.config["linux"]["resources"]["memory"] = serde_json::json!({"limit": "much"});
    bundle.make("create", &["--log", &log, "--log-format", "json"]).ends(1);
    let line = lines(scene).remove(0);
    assert!(line["msg"].as_str().expect("text").contains("linux.resources.memory.limit: "), "{line}");
    bundle.assert_gone();
    // One that can't be opened is an error before anything else.
    let output = oci(scene, ["--log", "/nonexistent/log", "list"]).ends(1);
    assert!(output.prints("").stderr.contains("--log: open /nonexistent/log"));
}

fn errors_of_the_command_line_are_in_the_log_too(scene: &Scene) {
    let log = scene.path("log").display().to_string();
    let bad: &[&[&str]] = &[&["--frob", "list"], &["list", "--frob"], &["state"], &["nosuch"], &["start", "a", "b"]];
    for (number, words) in bad.iter().enumerate() {
        for format in [&["--log-format", "json"][..], &["--log-format=json"]] {
            let output = oci(scene, ["--log", &log]).args(format).args(*words).ends(1).prints("");
            let last = lines(scene).pop().expect("there is a line");
            assert_eq!(output.stderr, format!("vial: {}\n", last["msg"].as_str().expect("text")), "{number}");
        }
    }
    assert_eq!(lines(scene).len(), 2 * bad.len());
    oci(scene, ["--log", &log, "--log-format", "xml", "list"]).ends(1).says("--log-format").says("text|json");
    oci(scene, ["--rootless", "perhaps", "list"]).ends(1).says("--rootless").says("auto");
    for rootless in ["true", "false", "auto"] {
        oci(scene, ["--rootless", rootless, "list"]).ok();
    }
}

fn warnings_are_in_the_log_as_such(scene: &Scene) {
    let log = scene.path("log").display().to_string();
    let mut bundle = Bundle::new(scene, "web", "true");
    // Of a hook that fails after the container was started nothing more is made, as the specification has it.
    bundle.config["hooks"] = serde_json::json!({"poststart": [{"path": "/bin/false"}]});
    bundle.create();
    bundle.oci("start", &["--log", &log, "--log-format", "json"]).ok().says("warning: ");
    let line = lines(scene).remove(0);
    assert_eq!(line["level"], "warning");
    assert!(line["msg"].as_str().expect("text").contains("hooks.poststart[0]"), "{line}");
    bundle.delete();
}

fn what_is_not_supported_says_so(scene: &Scene) {
    for command in ["checkpoint", "restore"] {
        let words = [command, "--image-path", "/x", "--work-path", "/y", "web"];
        oci(scene, words).ends(1).prints("").says(&format!("{command} is not supported"));
        oci(scene, [command, "web"]).ends(1).prints("").says(&format!("{command} is not supported"));
        oci(scene, [command, "web", "--image-path", "/x"]).ends(1).says(&format!("{command} is not supported"));
    }
}

fn features_are_told_as_the_specification_has_them(scene: &Scene) {
    let output = oci(scene, ["features"]).ok().silent();
    let features: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    assert_eq!(errors("features-schema", &features), [""; 0]);
    assert_eq!(features["ociVersionMax"], "1.3.0");
    // The schema would have found something.
    assert!(!errors("features-schema", &serde_json::json!({"ociVersionMin": 1})).is_empty());
}

fn a_specification_to_begin_with_is_valid_and_runs(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "");
    let place = bundle.directory.display().to_string();
    oci(scene, ["spec", "--bundle", &place]).ok().prints("").silent();
    let path = bundle.directory.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("read it")).expect("it is JSON");
    assert_eq!(errors("config-schema", &config), [""; 0]);
    assert_eq!((&config["process"]["args"][0], &config["process"]["terminal"]), (&"sh".into(), &true.into()));
    assert_eq!(config["root"], serde_json::json!({"path": "rootfs", "readonly": true}));
    std::os::unix::fs::symlink(scene.rootfs(), bundle.directory.join("rootfs")).expect("make a link");
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["hostname"]);
    config["linux"]["cgroupsPath"] = bundle.group.as_str().into();
    fs::write(&path, config.to_string()).expect("write it");
    oci(scene, ["run", "--bundle", &place, "web"]).ok().prints("vial\n").silent();
    bundle.assert_gone();
}

fn a_specification_for_a_normal_user_is_valid(scene: &Scene) {
    oci(scene, ["spec", "--rootless"]).ok();
    let path = scene.path("config.json");
    let config: Value = serde_json::from_slice(&fs::read(&path).expect("read it")).expect("it is JSON");
    assert_eq!(errors("config-schema", &config), [""; 0]);
    let kinds: Vec<_> =
        config["linux"]["namespaces"].as_array().expect("a list").iter().map(|of| of["type"].as_str()).collect();
    assert!(kinds.contains(&Some("user")) && !kinds.contains(&Some("network")), "{kinds:?}");
    assert_eq!(config["linux"]["uidMappings"][0]["size"], 1);
    assert!(!config.to_string().contains("gid=5") && config["linux"]["resources"].is_null(), "{config}");
}

fn a_specification_is_never_written_over(scene: &Scene) {
    fs::write(scene.path("config.json"), "mine").expect("write a file");
    oci(scene, ["spec"]).ends(1).says("config.json exists").says("hint: ");
    assert_eq!(fs::read_to_string(scene.path("config.json")).expect("read it"), "mine");
    oci(scene, ["spec", "-b", "/nonexistent"]).ends(1).says("--bundle");
    assert!(!state_directory(scene).exists(), "nothing else is made");
}
