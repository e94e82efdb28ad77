//! Bundles and names that won't do: each is refused quickly, by what is wrong, and leaves nothing.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::util::Scene;
use crate::util::bundle::{Bundle, oci, state_directory};
use crate::util::command::Output;

trials! {
    names_that_lead_elsewhere_are_refused [Root, Busybox, Command("oci")];
    what_is_no_bundle_is_refused_quickly [Root, Busybox, Command("oci")];
    what_is_wrong_with_a_specification_is_named_by_its_path [Root, Busybox, Command("oci")];
    unknown_members_are_no_error [Root, Busybox, Command("oci")];
    annotations_of_vials_own_have_no_effect_in_others_bundles [Root, Busybox, Kernel("overlay"), Command("oci")];
    a_group_that_others_are_in_is_refused [Root, Busybox, Command("oci")];
}

/// Asserts that a failed `create` has left nothing and did not take long.
fn left_nothing(scene: &Scene, output: &Output, began: Instant) {
    assert!(output.code == 1 && output.stdout.is_empty(), "{}", output.shown());
    assert!(output.stderr.lines().count() <= 3, "{}", output.shown());
    assert!(began.elapsed() < Duration::from_secs(10), "{}", output.shown());
    let left: Vec<_> = fs::read_dir(state_directory(scene)).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?} is left by {}", output.shown());
}

fn names_that_lead_elsewhere_are_refused(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "true");
    bundle.write();
    fs::create_dir_all(scene.path("x")).expect("make a directory");
    let place = bundle.directory.display().to_string();
    let long = "a".repeat(256);
    for name in ["../x", "..", ".", "", "a/b", "/x", "a b", "a\nb", "ä", "*", &long] {
        for command in ["create", "run", "start", "state", "kill", "delete", "exec", "pause", "ps", "events"] {
            let mut words = vec![command];
            if ["create", "run"].contains(&command) {
                words.extend(["--bundle", &place]);
            }
            words.extend(["--", name]);
            if command == "exec" {
                words.push("true");
            }
            let output = oci(scene, &words).run();
            assert!(output.code == if command == "exec" { 255 } else { 1 }, "{}", output.shown());
            assert!(
                output.stderr.contains("invalid container ID") && output.stderr.contains("accepted"),
                "{}",
                output.shown()
            );
        }
        oci(scene, ["delete", "--force", "--", name]).ends(1).says("invalid container ID");
    }
    assert!(scene.path("x").is_dir(), "nothing was removed");
    for name in ["a", "A_b+c-d.e", "-x", "...", &"a".repeat(64)] {
        Bundle::new(scene, "web", "exit 3").write();
        let output = oci(scene, ["run", "--bundle", &place, "--", name]).ends(3);
        left_nothing(scene, &Output { code: 1, ..output }, Instant::now());
    }
}

fn what_is_no_bundle_is_refused_quickly(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "true");
    let config = bundle.directory.join("config.json");
    let path = config.display().to_string();
    let make = |script: &str| drop(scene.command("sh", ["-c", script, "sh", &path]).ok());
    let whole = bundle.config.to_string();
    #[rustfmt::skip]
    let cases: &[(&str, &str)] = &[
        ("true",                                                                                    "config.json"),
        ("mkfifo $1",                                                                               "config.json: not a file"),
        ("mkdir $1",                                                                                "config.json: not a file"),
        ("ln -s /dev/zero $1",                                                                      "config.json: not a file"),
        ("ln -s nosuch $1",                                                                         "config.json"),
        (": >$1",                                                                                   "config.json: "),
        ("head -c 17000000 /dev/zero | tr '\\0' ' ' >$1",                                           "config.json: the file is larger than 16777216 bytes"),
        ("head -c 10000000 /dev/zero | tr '\\0' '[' >$1",                                           "config.json: "),
        ("{ yes '{\"a\":' | head -n 200000; } >$1",                                                 "config.json: "),
        ("printf '{\"ociVersion\":\"1.0.0\",\"x\":\"\\377\"}' >$1",                                 "config.json: "),
        ("printf '{\"ociVersion\":\"1.0.0\"} x' >$1",                                               "config.json: "),
        ("echo '[]' >$1",                                                                           "config.json: "),
        ("echo '{\"ociVersion\":\"1.0.0\",\"ociVersion\":\"1.0.0\"}' >$1",                          "config.json: "),
    ];
    for (script, said) in cases {
        let _ = fs::remove_file(&config);
        make(script);
        let began = Instant::now();
        let output = bundle.create_as_is();
        assert!(output.stderr.contains(said), "{script}: {}", output.shown());
        left_nothing(scene, &output, began);
        let _ = fs::remove_dir(&config);
    }
    for place in ["/nonexistent", "/etc/passwd", "/dev/null"] {
        let output = oci(scene, ["create", "--bundle", place, "web"]).run();
        assert!(output.stderr.contains("--bundle"), "{}", output.shown());
        left_nothing(scene, &output, Instant::now());
    }
    let _ = fs::remove_file(&config);
    fs::write(&config, &whole).expect("write it");
    bundle.make("create", &[]).ends(0);
    bundle.delete();
}

impl Bundle<'_> {
    fn create_as_is(&self) -> Output {
        self.oci("create", &[]).current_dir(&self.directory).run()
    }
}

fn what_is_wrong_with_a_specification_is_named_by_its_path(scene: &Scene) {
    let log = scene.path("log").display().to_string();
    #[rustfmt::skip]
    let cases: &[(&str, Value, &str)] = &[
        ("/ociVersion",                            json!(null),                          "ociVersion"),
        ("/ociVersion",                            json!(5),                             "ociVersion: "),
        ("/process/args",                          json!("sh"),                          "process.args: "),
        ("/process/args/0",                        json!(5),                             "process.args[0]: "),
        ("/process/cwd",                           json!("relative"),                    "process.cwd"),
        ("/process/user/uid",                      json!(-1),                            "process.user.uid: "),
        ("/process/capabilities/bounding/0",       json!("CAP_NOSUCH"),                  "process.capabilities.bounding"),
        ("/process/rlimits",                       json!([{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "process.rlimits[0]"),
        ("/root",                                  json!(null),                          "root"),
        ("/root/path",                             json!(7),                             "root.path: "),
        ("/mounts/1/destination",                  json!(null),                          "mounts[1].destination"),
        ("/mounts/1/options",                      json!("ro"),                          "mounts[1].options: "),
        ("/linux/namespaces/0/type",               json!("planet"),                      "linux.namespaces[0].type: "),
        ("/linux/resources/memory",                json!({"limit": "x"}),                "linux.resources.memory.limit: "),
        ("/linux/resources/devices/0/access",      json!("q"),                           "linux.resources.devices"),
        ("/linux/cgroupsPath",                     json!("/../x"),                       "linux.cgroupsPath"),
        ("/linux/seccomp",                         json!({"defaultAction": "SCMP_ACT_X"}), "linux.seccomp: defaultAction"),
        ("/linux/sysctl",                          json!({"kernel.panic": "1"}),         "linux.sysctl"),
        ("/linux/rootfsPropagation",               json!("sideways"),                    "linux.rootfsPropagation"),
        ("/hooks",                                 json!({"prestart": [{"path": "relative"}]}), "hooks.prestart[0].path"),
    ];
    for (place, value, named) in cases {
        let mut bundle = Bundle::new(scene, "web", "true");
        let (parent, member) = place.rsplit_once('/').expect("it is a path");
        let parent = bundle.config.pointer_mut(parent).expect("it is there");
        match member.parse::<usize>() {
            Ok(number) => parent[number] = value.clone(),
            Err(_) => parent[member] = value.clone(),
        }
        let began = Instant::now();
        let output = bundle.make("create", &["--log", &log, "--log-format", "json"]);
        left_nothing(scene, &output, began);
        assert!(output.stderr.contains(named), "{place}: {}", output.shown());
        let text = fs::read_to_string(&log).expect("there is a log");
        let line: Value = serde_json::from_str(text.lines().last().expect("it has a line")).expect("it is JSON");
        assert!(line["msg"].as_str().is_some_and(|text| text.contains(named)), "{line}");
        bundle.assert_gone();
    }
}

fn unknown_members_are_no_error(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exit 6");
    bundle.config["frob"] = json!({"a": [1, 2.5, null]});
    bundle.config["linux"]["frob"] = json!("x");
    bundle.config["process"]["frob"] = json!(5);
    bundle.make("run", &[]).ends(6);
}

fn annotations_of_vials_own_have_no_effect_in_others_bundles(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["create", "--name", "it", &rootfs, "true"]).ok();
    let id = scene.vial(["ps", "-aq", "--no-trunc"]).ok().stdout.trim().to_owned();
    let store = scene.root().join("containers").join(&id);
    let kept = fs::read_to_string(store.join("config.json")).expect("read it");
    let kept: Value = serde_json::from_str(&kept).expect("it is JSON");
    let mut annotations = kept["annotations"].as_object().expect("it has some").clone();
    for (name, value) in [
        ("directory", "/"),
        ("layers", "x"),
        ("storage", "copy"),
        ("file", "/etc/passwd"),
        ("init", "1"),
        ("shifted", "1"),
        ("bestEffort", "1"),
        ("best-effort", "1"),
        ("seccomp", "nosuch"),
        ("user", "nosuchuser"),
        ("cgroupParents", "/sys/fs/cgroup"),
        ("landlock", "x"),
        ("weakened", "all"),
        ("image", "x"),
        ("range", "0"),
        ("volumes", "../../x"),
    ] {
        annotations.insert(format!("vial.{name}"), value.into());
    }
    // Names of every annotation that vial has, wherever they are in its sources.
    for (_, text) in crate::util::source::rust_files("src") {
        for name in text.split('"').filter(|word| word.starts_with("vial.") && !word.contains(['/', ' ', '{'])) {
            annotations.entry(name).or_insert_with(|| "/".into());
        }
    }
    assert!(annotations.len() > 25, "{annotations:?}");
    let line =
        "test -e /etc/hostname && echo host; cat /etc/os-release; ls /proc | grep -c '^[0-9]*$' >/dev/null; exit 9";
    let mut bundle = Bundle::new(scene, "web", line);
    bundle.config["annotations"] = annotations.into();
    let run = |bundle: &Bundle<'_>| {
        bundle.write();
        oci(scene, ["run", "--bundle", &bundle.directory.display().to_string(), "web"]).run()
    };
    let output = run(&bundle).ends(9);
    output.prints(&fs::read_to_string(scene.rootfs().join("etc/os-release")).expect("read it")).silent();
    // Nor with files beside it such as vial's containers have.
    fs::copy(store.join("state.json"), bundle.directory.join("state.json")).expect("copy a file");
    let output = run(&bundle).ends(9);
    output.prints(&fs::read_to_string(scene.rootfs().join("etc/os-release")).expect("read it")).silent();
    bundle.assert_gone();
    scene.vial(["rm", "it"]).ok();
}

fn a_group_that_others_are_in_is_refused(scene: &Scene) {
    let one = Bundle::new(scene, "one", "exec sleep 600");
    one.start();
    let mut two = Bundle::new(scene, "two", "exec sleep 600");
    // Its own, and one that it is below.
    for group in [one.group.clone(), format!("{}/below", one.group)] {
        two.config["linux"]["cgroupsPath"] = group.into();
        let output = two.make("create", &[]);
        if output.code == 0 {
            two.oci("delete", &["--force"]).ok();
        }
    }
    two.config["linux"]["cgroupsPath"] = one.group.clone().into();
    let output = two.make("create", &[]).ends(1);
    assert!(output.stderr.contains(&one.group), "{}", output.shown());
    assert_eq!(one.status(), "running", "it is not touched");
    one.delete();
    // Above a container is no place for another's group either: that one's end would be both's.
    let mut above = Bundle::new(scene, "above", "exec sleep 600");
    let parent = above.group.clone();
    let mut below = Bundle::new(scene, "below", "exec sleep 600");
    below.config["linux"]["cgroupsPath"] = format!("{parent}/{}", "x").into();
    below.start();
    above.config["linux"]["cgroupsPath"] = parent.into();
    above.make("create", &[]).ends(1);
    assert_eq!(below.status(), "running", "it is not touched");
    below.oci("delete", &["--force"]).ok();
}
