//! podman, as root.

use std::fs;

use serde_json::Value;

use crate::util::container::eventually;
use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    a_container_is_looked_at_from_all_sides_and_lives_several_times [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_workload_that_ignores_the_request_to_end_is_killed [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_container_and_what_is_executed_in_it_have_terminals_of_the_users_size [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("script"), Command("oci")];
    a_health_check_is_run_in_the_container [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_workload_that_fails_is_started_again [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    an_image_is_built_by_commands_that_vial_runs [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    volumes_devices_and_file_systems_in_memory_are_where_they_were_asked_for [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
    a_filter_of_system_calls_comes_from_podmans_own_profile_or_a_file [Root, Busybox, Tool("podman"), Tool("conmon"), Command("oci")];
}

/// A workload that stays, and ends at once when it is asked to.
const STAYS: &str = "trap 'exit 0' TERM; echo out; echo err >&2; while :; do sleep 0.1; done";

fn ready(scene: &Scene) -> Engine<'_> {
    let engine = Engine::new(scene);
    engine.import();
    engine
}

fn a_container_is_looked_at_from_all_sides_and_lives_several_times(scene: &Scene) {
    let engine = ready(scene);
    let podman = |words: &[&str]| engine.podman(words);
    let id = podman(&["run", "-d", "--name", "one", "-h", "inside", IMAGE, "sh", "-c", STAYS]).ok().stdout;
    assert_eq!(id.trim().len(), 64);
    eventually("it wrote", || podman(&["logs", "one"]).ok().stdout.contains("out").then_some(()));
    assert_eq!(podman(&["logs", "one"]).ok().stderr, "err\n");

    let state = |field: &str| -> Value {
        let told = podman(&["inspect", "one", "--format", "{{json .State}}"]).ok().stdout;
        serde_json::from_str::<Value>(&told).expect("inspect tells the state as JSON")[field].clone()
    };
    assert_eq!(state("Status"), "running");
    let pid = state("Pid").as_u64().expect("a number");
    let root = fs::read_link(format!("/proc/{pid}/root")).expect("the first process is there");
    assert!(root.display().to_string().contains('/'));

    podman(&["exec", "one", "hostname"]).ok().prints("inside\n");
    podman(&["exec", "-e", "A=b", "-w", "/tmp", "-u", "1:2", "one", "sh", "-c", "echo $A; pwd; id -u; id -g"])
        .ok()
        .prints("b\n/tmp\n1\n2\n");
    podman(&["exec", "-i", "one", "cat"]).input("from outside").ok().prints("from outside");
    podman(&["exec", "one", "sh", "-c", "exit 9"]).ends(9);
    podman(&["exec", "one", "nosuch"]).ends(127);
    podman(&["exec", "one", "/etc/passwd"]).ends(126);
    podman(&["exec", "-d", "one", "sleep", "500"]).ok();
    eventually("it is listed", || podman(&["top", "one", "args"]).ok().stdout.contains("sleep 500").then_some(()));
    let figures = podman(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "one"]).ok().stdout;
    let processes = figures.trim().strip_prefix("one ").and_then(|number| number.parse::<u32>().ok());
    assert!(processes.is_some_and(|number| number >= 2), "{figures}");

    podman(&["pause", "one"]).ok();
    assert_eq!(state("Status"), "paused");
    podman(&["exec", "one", "true"]).ends(255).says("container state improper");
    podman(&["unpause", "one"]).ok();

    fs::write(scene.path("given"), "given").expect("write a file");
    podman(&["cp", "given", "one:/tmp/taken"]).ok();
    podman(&["exec", "one", "cat", "/tmp/taken"]).ok().prints("given");
    podman(&["exec", "one", "sh", "-c", "echo mine >/tmp/own"]).ok();
    podman(&["cp", "one:/tmp/own", "own"]).ok();
    assert_eq!(fs::read_to_string(scene.path("own")).expect("it was copied"), "mine\n");

    podman(&["stop", "-t", "20", "one"]).ok();
    assert_eq!((state("Status"), state("ExitCode")), ("exited".into(), 0.into()));
    podman(&["start", "one"]).ok();
    podman(&["restart", "-t", "20", "one"]).ok();
    podman(&["exec", "one", "cat", "/tmp/own"]).ok().prints("mine\n");
    podman(&["kill", "one"]).ok();
    podman(&["wait", "one"]).ok().prints("137\n");
    podman(&["rm", "one"]).ok();
    podman(&["create", "--name", "two", IMAGE, "echo", "later"]).ok();
    podman(&["start", "-a", "two"]).ok().prints("later\n");
    engine.end();
}

fn a_workload_that_ignores_the_request_to_end_is_killed(scene: &Scene) {
    let engine = ready(scene);
    let script = "trap '' TERM; trap 'echo asked' USR1; echo up; while :; do sleep 0.1; done";
    engine.podman(&["run", "-d", "--name", "deaf", IMAGE, "sh", "-c", script]).ok();
    let said = |word: &str| engine.podman(&["logs", "deaf"]).ok().stdout.contains(word).then_some(());
    eventually("it is up", || said("up"));
    engine.podman(&["kill", "-s", "USR1", "deaf"]).ok();
    eventually("the signal came", || said("asked"));
    engine.podman(&["stop", "-t", "1", "deaf"]).ok();
    engine
        .podman(&["inspect", "deaf", "--format", "{{.State.Status}} {{.State.ExitCode}}"])
        .ok()
        .prints("exited 137\n");
    engine.end();
}

fn a_container_and_what_is_executed_in_it_have_terminals_of_the_users_size(scene: &Scene) {
    let engine = ready(scene);
    // podman tells the size once the container runs.
    let inside = "tty; until stty size </dev/tty | grep -q 77 || test $((n += 1)) = 99; do sleep 0.1; done; \
                  stty size </dev/tty; test -t 0 && test -t 2 && echo terminal";
    let script = format!(
        "$PODMAN run -it --rm --cgroup-parent=/{0} {IMAGE} sh -c '{inside}; exit 5'; echo code $?
         $PODMAN run -dt --name stays --cgroup-parent=/{0} {IMAGE} sh -c 'tty; sleep 500' >/dev/null; echo code $?
         $PODMAN exec -it stays sh -c 'tty; test -t 1 && echo terminal; exit 6'; echo code $?
         $PODMAN logs stays",
        engine.group
    );
    let output = engine.on_a_terminal(&script, "");
    let wanted =
        ["/dev/pts/0", "33 77", "terminal", "code 5", "code 0", "/dev/pts/1", "terminal", "code 6", "/dev/pts/0"];
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines, wanted, "{}", output.shown());
    let typed = engine.on_a_terminal("$PODMAN exec -it stays sh -c 'read line; echo got $line'", "typed\n");
    assert!(typed.stdout.contains("got typed"), "{}", typed.shown());
    engine.end();
}

fn a_health_check_is_run_in_the_container(scene: &Scene) {
    let engine = ready(scene);
    let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"];
    let words = [&["run", "-d", "--name", "checked"], &check[..], &[IMAGE, "sh", "-c", STAYS]].concat();
    engine.podman(&words).ok();
    engine.podman(&["healthcheck", "run", "checked"]).ends(1).prints("unhealthy\n");
    engine.podman(&["exec", "checked", "touch", "/tmp/well"]).ok();
    engine.podman(&["healthcheck", "run", "checked"]).ok();
    engine.end();
}

fn a_workload_that_fails_is_started_again(scene: &Scene) {
    let engine = ready(scene);
    engine.podman(&["run", "-d", "--name", "fails", "--restart", "on-failure:2", IMAGE, "sh", "-c", "exit 3"]).ok();
    let format = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}";
    eventually("it was started twice more", || {
        let told = engine.podman(&["inspect", "fails", "--format", format]).ok().stdout;
        (told == "exited 3 2\n").then_some(())
    });
    engine.end();
}

fn an_image_is_built_by_commands_that_vial_runs(scene: &Scene) {
    let engine = ready(scene);
    let steps = format!(
        "FROM {IMAGE}\nCOPY given /given\nRUN cat /given >/built && echo $(id -u) >>/built\nRUN echo somebody:x:9:9::/:/bin/sh >>/etc/passwd\n\
         USER somebody\nWORKDIR /work\nRUN id -un >/tmp/who\nENV A=b\nENTRYPOINT [\"sh\", \"-c\", \"cat /built /tmp/who; pwd; echo $A\"]\n"
    );
    fs::create_dir(scene.path("context")).expect("make a directory");
    fs::write(scene.path("context/Containerfile"), steps).expect("write what is to be built");
    fs::write(scene.path("context/given"), "given\n").expect("write a file");
    let built =
        engine.podman(&["build", "--isolation", "oci", "--network", "none", "-t", "localhost/built", "context"]);
    built.ok();
    engine.podman(&["run", "--rm", "localhost/built"]).ok().prints("given\n0\nsomebody\n/work\nb\n");
    let failing = format!("FROM {IMAGE}\nRUN exit 7\n");
    fs::write(scene.path("context/Containerfile"), failing).expect("write what is to be built");
    let output = engine.podman(&["build", "--isolation", "oci", "--network", "none", "context"]).run();
    assert!(output.code != 0 && output.stderr.contains("exit status 7"), "{}", output.shown());
    engine.end();
}

fn volumes_devices_and_file_systems_in_memory_are_where_they_were_asked_for(scene: &Scene) {
    let engine = ready(scene);
    let host = scene.path("host");
    fs::create_dir(&host).expect("make a directory");
    fs::write(host.join("file"), "theirs\n").expect("write a file");
    let bound = |options: &str| format!("{}:/mnt{options}", host.display());
    let script = "cat /mnt/file; touch /mnt/new 2>/dev/null || echo refused";
    assert_eq!(engine.inside(&["-v", &bound(":ro")], script), "theirs\nrefused");
    assert_eq!(engine.inside(&["-v", &bound(":z")], script), "theirs");
    assert!(host.join("new").exists());
    let words = ["--tmpfs", "/scratch:size=1m,mode=700"];
    let told = engine.inside(&words, "grep ' /scratch ' /proc/mounts; stat -c %a /scratch");
    assert!(told.contains("tmpfs /scratch tmpfs rw,nosuid,nodev") && told.ends_with("\n700"), "{told}");
    let script = "touch /no 2>/dev/null || echo fixed; for place in /tmp /run /dev/shm /var/tmp; do touch $place/x && echo $place; done";
    assert_eq!(engine.inside(&["--read-only"], script), "fixed\n/tmp\n/run\n/dev/shm\n/var/tmp");
    let copied = engine.inside(&["--mount", "type=tmpfs,destination=/etc,tmpcopyup"], "cat /etc/passwd; touch /etc/x");
    assert!(copied.contains("root"), "{copied}");
    let device = engine
        .inside(&["--device", "/dev/zero:/dev/nothing:r"], "head -c 3 /dev/nothing | wc -c; echo x >/dev/nothing");
    assert_eq!(device, "3", "it can be read");
    let twice = "echo once >>/data/log; cat /data/log";
    assert_eq!(engine.inside(&["-v", "kept:/data"], twice), "once");
    assert_eq!(engine.inside(&["-v", "kept:/data"], twice), "once\nonce");
    engine.podman(&["volume", "rm", "kept"]).ok();
    engine.end();
}

fn a_filter_of_system_calls_comes_from_podmans_own_profile_or_a_file(scene: &Scene) {
    let engine = ready(scene);
    let script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr -s '\\t\\n' '  '; mkdir /tmp/x && echo made";
    assert_eq!(engine.inside(&[], script), "NoNewPrivs: 0 Seccomp: 2 made");
    assert_eq!(engine.inside(&["--security-opt", "seccomp=unconfined"], script), "NoNewPrivs: 0 Seccomp: 0 made");
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}"#;
    fs::write(scene.path("profile.json"), profile).expect("write a profile");
    let option = format!("seccomp={}", scene.path("profile.json").display());
    let words =
        ["run", "--rm", "--security-opt", &option, "--security-opt", "no-new-privileges", IMAGE, "sh", "-c", script];
    let output = engine.podman(&words).ends(1).says("Operation not supported");
    assert_eq!(output.stdout.trim_end(), "NoNewPrivs: 1 Seccomp: 2");
    engine.end();
}
