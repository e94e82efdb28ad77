//! What an image's configuration says of the containers that are made of it, also where it lies.

use serde_json::Value;

use crate::util::Scene;
use crate::util::image::configured;

trials! {
    what_runs_is_entry_point_and_command_as_docker_joins_them [Root, Busybox, Kernel("overlay"), Command("run")];
    the_process_is_as_the_image_says_unless_the_user_says_otherwise [Root, Busybox, Kernel("overlay"), Command("run")];
    volumes_of_the_image_are_filled_and_go_with_the_container [Root, Busybox, Kernel("overlay"), Command("run")];
    labels_and_ports_of_the_image_are_the_containers [Root, Busybox, Kernel("overlay"), Command("run")];
    members_of_the_wrong_type_are_as_if_not_there [Root, Busybox, Kernel("overlay"), Command("run")];
    a_configuration_that_cannot_be_obeyed_is_refused [Root, Busybox, Kernel("overlay"), Command("run")];
    a_huge_configuration_is_refused_or_obeyed_in_time [Root, Busybox, Kernel("overlay"), Command("run")];
}

fn import(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
}

/// An image with this configuration, by the name `it`.
fn image(scene: &Scene, config: &str) {
    configured(scene, "base", "it", config);
}

/// What a container of it prints.
fn run(scene: &Scene, words: &[&str]) -> String {
    scene.vial(["run", "--rm"]).args(words).ok().stdout
}

fn what_runs_is_entry_point_and_command_as_docker_joins_them(scene: &Scene) {
    import(scene);
    image(scene, r#"{"Entrypoint": ["echo", "entry"], "Cmd": ["command"]}"#);
    assert_eq!(run(scene, &["it"]), "entry command\n");
    assert_eq!(run(scene, &["it", "a", "b"]), "entry a b\n");
    // Another entry point takes the command away that was meant for the first.
    assert_eq!(run(scene, &["--entrypoint", "echo", "it"]), "\n");
    assert_eq!(run(scene, &["--entrypoint", "echo", "it", "a"]), "a\n");
    assert_eq!(run(scene, &["--entrypoint", "", "it", "echo", "a"]), "a\n");
    scene.vial(["run", "--rm", "--entrypoint", "", "it"]).ends(125).says("no command to run");
    image(scene, r#"{"Cmd": ["echo", "command"]}"#);
    assert_eq!(run(scene, &["it"]), "command\n");
    assert_eq!(run(scene, &["it", "echo", "a"]), "a\n");
    image(scene, "{}");
    scene.vial(["run", "--rm", "it"]).ends(125).says("no command to run");
}

fn the_process_is_as_the_image_says_unless_the_user_says_otherwise(scene: &Scene) {
    import(scene);
    image(
        scene,
        r#"{"Env": ["A=1", "B=x=y", "PATH=/bin"], "WorkingDir": "/made/deep", "User": "7:8", "StopSignal": "SIGUSR1",
            "Shell": ["/bin/none"], "ArgsEscaped": true, "Healthcheck": {"Test": ["CMD", "false"]}, "OnBuild": ["RUN x"]}"#,
    );
    assert_eq!(
        run(scene, &["it", "sh", "-c", "echo $A $B $PATH; pwd; id -u; id -g"]),
        "1 x=y /bin\n/made/deep\n7\n8\n"
    );
    assert_eq!(
        run(scene, &["-e", "A=2", "-w", "/tmp", "-u", "9", "it", "sh", "-c", "echo $A $B; pwd; id -u"]),
        "2 x=y\n/tmp\n9\n"
    );
    scene.vial(["create", "--name", "c", "it", "true"]).ok();
    scene.vial(["inspect", "-f", "{{.Config.StopSignal}} {{.Config.User}}", "c"]).ok().prints("SIGUSR1 7:8\n");
    scene.vial(["rm", "c"]).ok();
    // By name, with the groups of the image's files.
    image(scene, r#"{"User": "nosuch"}"#);
    scene.vial(["run", "--rm", "it", "true"]).ends(125).says("no user nosuch in the image");
}

fn volumes_of_the_image_are_filled_and_go_with_the_container(scene: &Scene) {
    import(scene);
    image(scene, r#"{"Volumes": {"/bin/": {}, "/new/../new2": {}, "relative": {}, "/": {}, "": {}, "..": {}}}"#);
    let volumes = || std::fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
    scene.vial(["run", "--rm", "it", "sh", "-c", "echo kept > /new2/file; test -e /bin/busybox"]).ok();
    assert_eq!(volumes(), 0);
    for (flags, left) in [(&["rm", "-v", "c"], 0), (&["rm", "-f", "c"], 2)] {
        scene.vial(["create", "--name", "c", "it", "true"]).ok();
        scene.vial(["start", "-a", "c"]).ok();
        assert_eq!(volumes(), 2);
        scene.vial(flags).ok();
        assert_eq!(volumes(), left);
    }
}

fn labels_and_ports_of_the_image_are_the_containers(scene: &Scene) {
    import(scene);
    image(
        scene,
        r#"{"Labels": {"a": "image", "b": "image", "c": 7}, "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443": {}, "x": {},
            "70000/tcp": {}, "80/icmp": {}, "1-65535/tcp": {}}}"#,
    );
    scene.vial(["run", "-d", "--name", "c", "-l", "b=own", "it", "sleep", "600"]).ok();
    let row = |template: &str| scene.vial(["ps", "-a", "--format", template]).ok().stdout;
    assert_eq!(row("{{.Ports}}|{{.Labels}}"), "80/tcp, 53/udp, 443/tcp|a=image,b=own\n");
    assert_eq!(scene.vial(["ps", "-q", "-f", "label=a=image"]).ok().stdout.lines().count(), 1);
    let config = scene.vial(["inspect", "-f", "{{json .Config}}", "c"]).ok().stdout;
    let config: Value = serde_json::from_str(&config).expect("an object");
    assert_eq!(config["ExposedPorts"], serde_json::json!({"80/tcp": {}, "53/udp": {}, "443/tcp": {}}));
    assert_eq!(config["Labels"], serde_json::json!({"a": "image", "b": "own"}));
    scene.vial(["stop", "-t", "0", "c"]).ok();
    // As docker's, the list names the ports of what runs.
    assert_eq!(row("{{.Ports}}"), "\n");
    scene.vial(["rm", "c"]).ok();
}

fn members_of_the_wrong_type_are_as_if_not_there(scene: &Scene) {
    import(scene);
    let wrong = r#"{"Entrypoint": "sh", "Cmd": 7, "Env": {"A": "b"}, "WorkingDir": [1], "User": 5, "Volumes": ["/x"],
        "StopSignal": 9, "Labels": [1], "ExposedPorts": "80"}"#;
    for config in ["7", "[]", "null", "\"x\"", "{\"Env\": [1, null, {}], \"Labels\": {\"a\": null}}", wrong] {
        image(scene, config);
        assert_eq!(run(scene, &["it", "echo", "fine"]), "fine\n", "{config}");
        scene.vial(["inspect", "it"]).ok();
        scene.vial(["images", "-f", "label=a"]).ok();
    }
    // A variable without a value is an empty one, and one without a name is none.
    image(scene, r#"{"Env": ["LONELY", "=x", "", "A=1"]}"#);
    let lines = run(scene, &["it", "env"]);
    assert!(lines.lines().any(|line| line == "LONELY=") && !lines.lines().any(|line| line.starts_with('=')), "{lines}");
    // What leads out of the root does not.
    image(scene, r#"{"WorkingDir": "/a/../../../../b"}"#);
    assert_eq!(run(scene, &["it", "pwd"]), "/b\n");
}

fn a_configuration_that_cannot_be_obeyed_is_refused(scene: &Scene) {
    import(scene);
    for (config, expected) in [
        (r#"{"Cmd": ["echo", "a\u0000b"]}"#, "a zero byte"),
        (r#"{"Entrypoint": ["\u0000"]}"#, "a zero byte"),
        (r#"{"Env": ["A=\u0000"]}"#, "a zero byte"),
        (r#"{"WorkingDir": "/a\u0000b"}"#, "a zero byte"),
        (r#"{"User": "0\u0000"}"#, "a zero byte"),
        (r#"{"Volumes": {"/a\u0000b": {}}}"#, "a zero byte"),
        (r#"{"WorkingDir": "/bin/busybox"}"#, "ENOTDIR"),
        (r#"{"User": "4294967295"}"#, "no user 4294967295"),
        (r#"{"User": "a:b:c"}"#, "no user a"),
        (r#"{"Volumes": {"/bin/busybox": {}}}"#, "ENOTDIR"),
        (r#"{"Volumes": {"/x/../proc/": {}}}"#, "a volume on /proc"),
    ] {
        image(scene, config);
        let output = scene.vial(["run", "--rm", "it", "echo", "fine"]).ends(125).prints("");
        assert!(output.stderr.contains(expected), "{config}: {}", output.shown());
        assert_eq!(std::fs::read_dir(scene.root().join("containers")).map_or(0, Iterator::count), 0, "{config}");
    }
    scene.assert_nothing_left();
}

fn a_huge_configuration_is_refused_or_obeyed_in_time(scene: &Scene) {
    import(scene);
    let many = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    let volumes = format!("{{\"Volumes\": {{{}}}}}", many(50_000, &|at| format!("\"/v{at}\": {{}}")));
    let variables = format!("{{\"Env\": [{}]}}", many(300_000, &|at| format!("\"V{at}=0123456789\"")));
    let deep = format!("{{\"Env\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let ports = format!("{{\"ExposedPorts\": {{{}}}}}", many(65_000, &|at| format!("\"{at}/tcp\": {{}}")));
    for (config, expected) in [
        (&volumes, "too many volumes"),
        (&variables, "larger than 4194304 bytes"),
        (&deep, "nested too deep"),
        (&ports, ""),
    ] {
        image(scene, config);
        let output = scene.vial(["run", "--rm", "it", "true"]).run();
        assert!(output.code == if expected.is_empty() { 0 } else { 125 }, "{}", output.shown());
        assert!(output.stderr.contains(expected), "{expected}: {}", output.shown());
    }
}
