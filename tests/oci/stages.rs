//! The stages of a container's life: what each command does in each of them, and many at once.

use std::fs;

use serde_json::Value;

use crate::util::Scene;
use crate::util::bundle::{Bundle, errors, oci, state_directory};
use crate::util::container::eventually;
use crate::util::detached::is_gone;
use crate::util::needs;

trials! {
    a_container_is_created_started_ended_and_deleted [Root, Busybox, Command("oci")];
    each_command_is_refused_in_the_stages_that_it_does_not_fit [Root, Busybox, Command("oci")];
    a_container_that_waits_takes_further_processes_and_can_be_deleted [Root, Busybox, Command("oci")];
    a_run_has_the_exit_code_of_its_program_and_leaves_nothing [Root, Busybox, Command("oci")];
    a_container_that_is_kept_has_ended_and_can_be_asked [Root, Busybox, Command("oci")];
    a_paused_container_is_told_as_such_and_deleted_by_force [Root, Busybox, Command("oci")];
    signals_reach_the_first_process_or_all [Root, Busybox, Command("oci")];
    many_containers_are_made_at_once [Root, Busybox, Command("oci")];
    of_two_starts_at_once_one_wins [Root, Busybox, Command("oci")];
    deletes_at_once_leave_nothing [Root, Busybox, Command("oci")];
    processes_are_listed_by_number_and_as_ps_does [Root, Busybox, Command("oci")];
    containers_are_listed [Root, Busybox, Command("oci")];
    a_container_may_have_no_control_group [Root, Busybox, Command("oci")];
    names_of_other_runtimes_mean_this_one [Root, Busybox, Command("oci")];
}

fn a_container_is_created_started_ended_and_deleted(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "echo up >/mnt/up; exec sleep 600");
    bundle.config["annotations"] = serde_json::json!({"some.body": "text"});
    let pid_file = scene.path("pid");
    bundle.make("create", &["--pid-file", &pid_file.display().to_string()]).ends(0);
    let state = bundle.state();
    assert_eq!(errors("state-schema", &state), [""; 0], "{state}");
    assert_eq!((&state["id"], &state["status"]), (&"web".into(), &"created".into()));
    assert_eq!(state["bundle"], bundle.directory.display().to_string());
    assert_eq!(state["annotations"]["some.body"], "text");
    assert_eq!(state["rootfs"], scene.rootfs().display().to_string());
    assert_eq!(state["owner"], "root");
    assert_eq!(fs::read_to_string(&pid_file).expect("read it"), state["pid"].to_string());
    assert!(!scene.path("up").exists(), "it waits");
    bundle.oci("start", &[]).ok().prints("").silent();
    eventually("the program runs", || scene.path("up").exists().then_some(()));
    assert_eq!(bundle.status(), "running");
    assert_eq!(bundle.state()["pid"], state["pid"]);
    bundle.oci("kill", &["KILL"]).ok().prints("").silent();
    bundle.is_going_to_be("stopped");
    assert_eq!(errors("state-schema", &bundle.state()), [""; 0]);
    bundle.oci("delete", &[]).ok().prints("").silent();
    bundle.assert_gone();
    bundle.oci("state", &[]).ends(1).says("container web does not exist");
    // The schema would have found something.
    assert!(!errors("state-schema", &serde_json::json!({"ociVersion": "1", "id": 5})).is_empty());
}

fn each_command_is_refused_in_the_stages_that_it_does_not_fit(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    for command in ["start", "state", "kill", "delete", "pause", "resume", "ps", "events", "exec", "update"] {
        let words: &[&str] = match command {
            "exec" => &["true"],
            _ => &[],
        };
        let code = if command == "exec" { 255 } else { 1 };
        let options: &[&str] = if command == "update" { &["--pids-limit", "9"] } else { &[] };
        let command = oci(scene, [command]).args(options).args(["web"]).args(words);
        command.ends(code).prints("").says("container web does not exist");
    }
    bundle.oci("delete", &["--force"]).ok();
    bundle.create();
    bundle.make("create", &[]).ends(1).says("container with given ID already exists: web");
    bundle.make("run", &[]).ends(1).says("container with given ID already exists: web");
    assert_eq!(bundle.status(), "created", "another one of that name does no harm");
    bundle.oci("resume", &[]).ends(1).says("created");
    bundle.oci("start", &[]).ok();
    bundle.oci("start", &[]).ends(1).says("it is running");
    bundle.oci("delete", &[]).ends(1).says("that is not stopped: running");
    bundle.oci("resume", &[]).ends(1).says("running");
    bundle.oci("pause", &[]).ok();
    bundle.oci("pause", &[]).ends(1).says("paused");
    bundle.oci("start", &[]).ends(1).says("it is paused");
    bundle.oci("delete", &[]).ends(1).says("that is not stopped: paused");
    bundle.oci("exec", &["true"]).ends(255).says("paused");
    bundle.oci("resume", &[]).ok();
    bundle.oci("kill", &["9"]).ok();
    bundle.is_going_to_be("stopped");
    // containerd takes these words for the end of the container.
    for command in ["kill", "pause", "ps", "events"] {
        bundle.oci(command, &[]).ends(1).prints("").says("container not running");
    }
    bundle.oci("exec", &["true"]).ends(255).says("container not running");
    oci(scene, ["update", "--pids-limit", "9", "web"]).ends(1).says("container not running");
    bundle.oci("start", &[]).ends(1).says("it is stopped");
    bundle.oci("delete", &[]).ok();
    bundle.oci("delete", &[]).ends(1).says("does not exist");
    bundle.assert_gone();
}

fn a_container_that_waits_takes_further_processes_and_can_be_deleted(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.create();
    bundle.oci("exec", &["hostname"]).ok().prints("inside\n");
    assert_eq!(bundle.status(), "created");
    let pid = bundle.pid();
    bundle.oci("delete", &[]).ok();
    bundle.assert_gone();
    assert!(is_gone(pid as u32), "what waited is gone");
}

fn a_run_has_the_exit_code_of_its_program_and_leaves_nothing(scene: &Scene) {
    for (line, code) in [("exit 7", 7), ("exec nosuch", 127), ("true", 0)] {
        let bundle = Bundle::new(scene, "web", line);
        bundle.make("run", &[]).ends(code);
        bundle.assert_gone();
    }
    let bundle = Bundle::new(scene, "web", "cat; exit 3");
    bundle.write();
    let words = ["run", "-b", &bundle.directory.display().to_string(), "web"];
    oci(scene, words).input("words\n").ends(3).prints("words\n").silent();
    bundle.assert_gone();
}

fn a_container_that_is_kept_has_ended_and_can_be_asked(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exit 5");
    bundle.make("run", &["--keep"]).ends(5);
    assert_eq!(bundle.status(), "stopped");
    bundle.make("run", &[]).ends(1).says("already exists");
    bundle.oci("delete", &[]).ok();
    bundle.make("run", &["-d"]).ends(0);
    bundle.is_going_to_be("stopped");
    bundle.delete();
}

fn a_paused_container_is_told_as_such_and_deleted_by_force(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "while :; do sleep 0.01; date +%N >/mnt/now; done");
    bundle.start();
    eventually("it runs", || scene.path("now").exists().then_some(()));
    bundle.oci("pause", &[]).ok();
    assert_eq!(bundle.status(), "paused");
    let now = || fs::read(scene.path("now")).expect("read it");
    let before = now();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(now(), before, "it stands still");
    bundle.delete();
}

fn signals_reach_the_first_process_or_all(scene: &Scene) {
    let line = "trap 'echo first >>/mnt/got' USR1; (trap 'echo other >>/mnt/got' USR1; echo >/mnt/up; while :; do sleep 0.01; done) & \
                while :; do sleep 0.01; done";
    let bundle = Bundle::new(scene, "web", line);
    bundle.start();
    eventually("it runs", || scene.path("up").exists().then_some(()));
    let got = |words: &str| eventually(words, || (fs::read_to_string(scene.path("got")).ok()? == words).then_some(()));
    bundle.oci("kill", &["USR1"]).ok();
    got("first\n");
    fs::write(scene.path("got"), "").expect("write a file");
    oci(scene, ["kill", "--all", "web", "10"]).ok();
    eventually("both have it", || {
        let text = fs::read_to_string(scene.path("got")).ok()?;
        (text.contains("first") && text.contains("other")).then_some(())
    });
    for word in ["", "SIGNONE", "65", "-1", "99999999999"] {
        let words = ["kill", "--", "web", word];
        let output = oci(scene, words).run();
        assert!(word.is_empty() || output.code == 1, "{}", output.shown());
        if word.is_empty() {
            continue;
        }
        output.says("invalid signal").says("accepted");
    }
    bundle.delete();
}

fn many_containers_are_made_at_once(scene: &Scene) {
    // One emulated processor has its time for each command.
    let many = if needs::is_board() { 10 } else { 50 };
    let names: Vec<String> = (0..many).map(|number| format!("c{number}")).collect();
    let bundles: Vec<Bundle<'_>> = names.iter().map(|name| Bundle::new(scene, name, "exec sleep 600")).collect();
    std::thread::scope(|scope| {
        for bundle in &bundles {
            scope.spawn(|| bundle.create());
        }
    });
    let listed = oci(scene, ["list", "-q"]).ok().stdout;
    assert_eq!(listed.lines().count(), many, "{listed}");
    std::thread::scope(|scope| {
        for bundle in &bundles {
            scope.spawn(|| {
                bundle.oci("start", &[]).ok();
                assert_eq!(bundle.status(), "running");
                bundle.delete();
            });
        }
    });
    oci(scene, ["list", "-q"]).ok().prints("");
}

fn of_two_starts_at_once_one_wins(scene: &Scene) {
    for _ in 0..10 {
        let bundle = Bundle::new(scene, "web", "echo x >>/mnt/starts; exec sleep 600");
        bundle.create();
        let starts: Vec<_> = (0..4).map(|_| bundle.oci("start", &[]).start()).collect();
        let outputs: Vec<_> = starts.into_iter().map(crate::util::command::Running::wait).collect();
        let won = outputs.iter().filter(|output| output.code == 0).count();
        assert_eq!(won, 1, "{outputs:?}");
        for output in outputs.iter().filter(|output| output.code != 0) {
            assert!(output.code == 1 && output.stderr.contains("it is running"), "{}", output.shown());
        }
        eventually("it runs", || (fs::read_to_string(scene.path("starts")).ok()? == "x\n").then_some(()));
        bundle.delete();
        assert_eq!(fs::read_to_string(scene.path("starts")).expect("read it"), "x\n", "it was started once");
        fs::remove_file(scene.path("starts")).expect("remove it");
    }
}

fn deletes_at_once_leave_nothing(scene: &Scene) {
    for force in [false, true] {
        for _ in 0..5 {
            let bundle = Bundle::new(scene, "web", "exec sleep 600");
            bundle.start();
            if !force {
                bundle.oci("kill", &["KILL"]).ok();
                bundle.is_going_to_be("stopped");
            }
            let words: &[&str] = if force { &["--force"] } else { &[] };
            let deletes: Vec<_> = (0..4).map(|_| bundle.oci("delete", words).start()).collect();
            let outputs: Vec<_> = deletes.into_iter().map(crate::util::command::Running::wait).collect();
            for output in &outputs {
                let fine = output.code == 0 || !force && output.stderr.contains("does not exist");
                assert!(fine, "{}", output.shown());
            }
            let done = outputs.iter().filter(|output| output.code == 0).count();
            assert!(done == 1 || force, "{outputs:?}");
            bundle.assert_gone();
        }
    }
}

fn processes_are_listed_by_number_and_as_ps_does(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "sleep 601 & exec sleep 600");
    bundle.start();
    eventually("both run", || {
        let listed: Value = serde_json::from_str(&oci(scene, ["ps", "-f", "json", "web"]).ok().stdout).ok()?;
        let numbers = listed.as_array()?;
        (numbers.len() == 2 && numbers.contains(&bundle.pid().into())).then_some(())
    });
    let pid = bundle.pid().to_string();
    let table = oci(scene, ["ps", "web"]).ok();
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("UID") && lines[0].ends_with("CMD"), "{}", table.shown());
    assert!(table.stdout.contains("sleep 601") && table.stdout.contains(&pid), "{}", table.shown());
    if crate::util::needs::tool("ps").is_some() {
        let output = oci(scene, ["ps", "web", "-o", "pid,args"]).ok();
        assert!(output.stdout.contains(&format!("{pid} sleep 600")), "{}", output.shown());
    }
    oci(scene, ["ps", "-f", "yaml", "web"]).ends(1).says("--format").says("table or json");
    bundle.delete();
}

fn containers_are_listed(scene: &Scene) {
    oci(scene, ["list"]).ok().shows("ID").shows("OWNER");
    oci(scene, ["list", "-f", "json"]).ok().prints("[]\n");
    let one = Bundle::new(scene, "one", "exec sleep 600");
    let two = Bundle::new(scene, "two", "exit 0");
    one.start();
    two.make("run", &["--keep"]).ends(0);
    oci(scene, ["list", "-q"]).ok().prints("one\ntwo\n");
    let output = oci(scene, ["list", "--format=json"]).ok();
    let all: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    assert_eq!(
        (&all[0]["id"], &all[0]["status"], &all[1]["status"]),
        (&"one".into(), &"running".into(), &"stopped".into())
    );
    assert_eq!((&all[0]["pid"], &all[1]["pid"]), (&one.pid().into(), &0.into()));
    let table = oci(scene, ["list"]).ok().stdout;
    let row = table.lines().find(|line| line.starts_with("one")).expect("it is listed");
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["one", &one.pid().to_string(), "running", &one.directory.display().to_string()], "{table}");
    assert_eq!(words[5], "root");
    // One that is damaged does not hide the others.
    fs::write(state_directory(scene).join("two/state.json"), "{").expect("damage it");
    let output = oci(scene, ["list"]).ok();
    assert!(output.stdout.contains("one") && output.stderr.contains("two"), "{}", output.shown());
    one.delete();
    two.delete();
}

fn a_container_may_have_no_control_group(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    let options = ["--cgroup-manager", "disabled"];
    bundle.make("create", &options).ends(0);
    bundle.assert_groupless();
    bundle.oci("start", &[]).ok();
    bundle.oci("exec", &["hostname"]).ok().prints("inside\n");
    bundle.oci("pause", &[]).ends(1).says("has no control group");
    bundle.oci("events", &[]).ends(1).says("has no control group");
    assert_eq!(bundle.status(), "running");
    oci(scene, ["kill", "--all", "web", "KILL"]).ok();
    bundle.is_going_to_be("stopped");
    bundle.oci("delete", &[]).ok();
    bundle.config["linux"]["resources"]["pids"] = serde_json::json!({"limit": 9});
    bundle.make("create", &options).ends(1).says("linux.resources.pids needs a control group");
    bundle.assert_gone();
    bundle.make("create", &["--cgroup-manager", "cgroupfs"]).ends(0);
    bundle.delete();
    bundle.make("create", &["--cgroup-manager", "nobody"]).ends(1).says("--cgroup-manager").says("disabled");
}

impl Bundle<'_> {
    fn assert_groupless(&self) {
        assert_eq!(crate::util::container::groups(&self.group), [""; 0].map(std::path::PathBuf::from));
    }
}

fn names_of_other_runtimes_mean_this_one(scene: &Scene) {
    for name in ["runc", "crun", "vial-oci"] {
        let link = scene.path(name);
        std::os::unix::fs::symlink(crate::util::command::VIAL, &link).expect("make a link");
        let link = link.display().to_string();
        scene.command(&link, ["--version"]).ok().shows("vial version ");
        let bundle = Bundle::new(scene, "web", "echo $0; exit 4");
        bundle.write();
        let (root, place) = (state_directory(scene).display().to_string(), bundle.directory.display().to_string());
        let words = ["--debug", "--root", &root, "--log-format", "json", "run", "--bundle", &place, "web"];
        scene.command(&link, words).ends(4).prints("/bin/sh\n");
    }
}
