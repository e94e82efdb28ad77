//! `update` and `events`: limits that change, and what is used of them.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::util::Scene;
use crate::util::bundle::{Bundle, oci};
use crate::util::container::eventually;
use crate::util::needs;

trials! {
    limits_change_in_the_kernel_and_in_what_is_kept [Root, Busybox, CgroupV1("memory"), Command("oci")];
    limits_come_from_a_file_or_standard_input [Root, Busybox, CgroupV1("memory"), Command("oci")];
    memory_and_swap_follow_the_rules_of_other_runtimes [Root, Busybox, CgroupV1("memory"), Command("oci")];
    what_cannot_be_is_refused_and_changes_nothing [Root, Busybox, CgroupV1("memory"), Command("oci")];
    a_paused_container_stays_paused [Root, Busybox, CgroupV1("freezer"), Command("oci")];
    what_is_used_is_printed_in_the_shape_that_engines_read [Root, Busybox, CgroupV1("memory"), Command("oci")];
    the_shape_is_that_of_runc [Root, Busybox, Tool("runc"), CgroupV1("memory"), Command("oci")];
    events_come_until_the_container_ends [Root, Busybox, Command("oci")];
    memory_that_runs_out_is_an_event [Root, Busybox, CgroupV1("memory"), Command("oci")];
    waiting_for_events_takes_no_time [Root, Busybox, Command("oci")];
    events_take_no_more_memory_the_longer_they_come [Root, Busybox, Command("oci")];
}

fn update<'a>(scene: &'a Scene, words: &[&str]) -> crate::util::command::Cmd<'a> {
    oci(scene, ["update"]).args(words)
}

fn limits_change_in_the_kernel_and_in_what_is_kept(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.start();
    #[rustfmt::skip]
    let rows: &[(&[&str], &str, &str, &str, Value)] = &[
        (&["--memory", "33554432"],          "memory.limit_in_bytes",      "33554432", "/memory/limit",       json!(33_554_432)),
        (&["--memory", "64M"],               "memory.limit_in_bytes",      "67108864", "/memory/limit",       json!(67_108_864)),
        (&["--memory-reservation", "16m"],   "memory.soft_limit_in_bytes", "16777216", "/memory/reservation", json!(16_777_216)),
        (&["--pids-limit", "50"],            "pids.max",                   "50",       "/pids/limit",         json!(50)),
        (&["--pids-limit", "-1"],            "pids.max",                   "max",      "/pids/limit",         json!(-1)),
        (&["--cpu-share", "512"],            "cpu.shares",                 "512",      "/cpu/shares",         json!(512)),
        (&["--cpu-period", "50000"],         "cpu.cfs_period_us",          "50000",    "/cpu/period",         json!(50_000)),
        (&["--cpu-quota", "20000"],          "cpu.cfs_quota_us",           "20000",    "/cpu/quota",          json!(20_000)),
        (&["--cpu-quota", "-1"],             "cpu.cfs_quota_us",           "-1",       "/cpu/quota",          json!(-1)),
        (&["--cpuset-cpus", "0"],            "cpuset.cpus",                "0",        "/cpu/cpus",           json!("0")),
        (&["--cpuset-mems", "0"],            "cpuset.mems",                "0",        "/cpu/mems",           json!("0")),
        (&["--blkio-weight", "300"],         "blkio.bfq.weight",           "300",      "/blockIO/weight",     json!(300)),
    ];
    for (words, file, value, member, kept) in rows {
        if *file == "blkio.bfq.weight" && !bundle.has(file) {
            continue;
        }
        update(scene, words).args(["web"]).ok().prints("").silent();
        assert_eq!(bundle.limit(file), *value, "{words:?}");
        assert_eq!(bundle.kept()["linux"]["resources"].pointer(member), Some(kept), "{words:?}");
    }
    let kept = bundle.kept();
    assert_eq!(kept["linux"]["resources"]["devices"], bundle.config["linux"]["resources"]["devices"], "the rest stays");
    assert_eq!(kept["mounts"], bundle.config["mounts"]);
    bundle.delete();
}

impl Bundle<'_> {
    fn has(&self, file: &str) -> bool {
        crate::util::container::groups(&self.group).iter().any(|group| group.join(file).exists())
    }
}

fn limits_come_from_a_file_or_standard_input(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.create();
    // As containerd gives them: all members that it knows of, most of them empty.
    let all = json!({
        "devices": bundle.config["linux"]["resources"]["devices"],
        "memory": {"limit": 33_554_432, "swap": 0, "reservation": 0, "kernel": 0},
        "cpu": {"shares": 256, "quota": 0, "period": 0, "cpus": "", "mems": "", "realtimeRuntime": 0, "realtimePeriod": 0},
        "pids": {"limit": 0}, "blockIO": {"weight": 0}, "hugepageLimits": [], "network": null,
    });
    update(scene, &["--resources", "-", "web"]).input(all.to_string()).ok().silent();
    assert_eq!((bundle.limit("memory.limit_in_bytes"), bundle.limit("cpu.shares")), ("33554432".into(), "256".into()));
    assert_eq!((bundle.limit("pids.max"), bundle.limit("cpu.cfs_quota_us")), ("max".into(), "-1".into()));
    fs::write(scene.path("limits"), json!({"memory": {"limit": 41_943_040}, "pids": {"limit": 30}}).to_string())
        .expect("write it");
    update(scene, &["-r", "limits", "--cpu-share", "300", "web"]).ok();
    assert_eq!((bundle.limit("memory.limit_in_bytes"), bundle.limit("pids.max")), ("41943040".into(), "30".into()));
    assert_eq!(bundle.limit("cpu.shares"), "300");
    update(scene, &["-r", "-", "web"]).input("{}").ok();
    assert_eq!(bundle.kept()["linux"]["resources"]["memory"], json!({"limit": 41_943_040}));
    bundle.oci("start", &[]).ok();
    bundle.delete();
}

fn memory_and_swap_follow_the_rules_of_other_runtimes(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 33_554_432, "swap": 33_554_432});
    bundle.start();
    let limits = || (bundle.limit("memory.limit_in_bytes"), bundle.limit("memory.memsw.limit_in_bytes"));
    let before = limits();
    update(scene, &["--memory", "64m", "web"]).ends(1).says("linux.resources.memory.swap").says("give both");
    update(scene, &["--memory-swap", "1m", "web"]).ends(1).says("linux.resources.memory.swap");
    assert_eq!(limits(), before);
    for megabytes in ["64m", "20m"] {
        update(scene, &["--memory", megabytes, "--memory-swap", megabytes, "web"]).ok();
        let (memory, both) = limits();
        assert_eq!(memory, both);
    }
    update(scene, &["--memory-swap", "80m", "web"]).ok();
    assert_eq!(limits().1, "83886080");
    // No limit on memory is none on swap either.
    update(scene, &["--memory", "-1", "web"]).ok();
    let (memory, both) = limits();
    assert!(memory.len() > 15 && both.len() > 15, "{memory} {both}");
    assert_eq!(bundle.kept()["linux"]["resources"]["memory"], json!({"limit": -1, "swap": -1}));
    bundle.delete();
}

fn what_cannot_be_is_refused_and_changes_nothing(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 40});
    bundle.start();
    let before = bundle.kept();
    #[rustfmt::skip]
    let options: &[(&[&str], &str)] = &[
        (&["--memory", "much"],                  "--memory"),
        (&["--memory", "0"],                     "--memory"),
        (&["--pids-limit", "0"],                 "--pids-limit"),
        (&["--cpu-idle", "2"],                   "--cpu-idle"),
        (&["--cpuset-cpus", "x"],                "--cpuset-cpus"),
        (&["--cpuset-cpus", "4000", "--pids-limit", "9"], "linux.resources.cpu.cpus"),
        (&["--l3-cache-schema", "L3:0=f"],       "linux.intelRdt"),
        (&["--mem-bw-schema", "MB:0=5"],         "linux.intelRdt"),
        (&["--resources", "/nonexistent"],       "--resources"),
    ];
    for (words, named) in options {
        let output = update(scene, words).args(["web"]).ends(1).prints("");
        let named = output.stderr.contains(named)
            || *named == "linux.resources.cpu.cpus" && output.stderr.contains("--cpuset-cpus");
        assert!(named, "{}", output.shown());
    }
    #[rustfmt::skip]
    let files = [
        ("{",                                                "--resources"),
        ("\u{ff}",                                           "--resources"),
        ("[]",                                               "linux.resources"),
        (r#"{"memory":{"limit":"x"}}"#,                      "linux.resources.memory.limit: "),
        (r#"{"memory":[]}"#,                                 "linux.resources.memory: "),
        (r#"{"pids":{"limit":1.5}}"#,                        "linux.resources.pids.limit: "),
        (r#"{"devices":[{"allow":true,"access":"rwm"}]}"#,   "linux.resources.devices"),
        (r#"{"memory":{"limit":1,"swap":1},"pids":{"limit":9}}"#, "memory.limit_in_bytes"),
    ];
    for (text, named) in files {
        let output = update(scene, &["-r", "-", "web"]).input(text).run();
        assert!(output.code == 1 && output.stderr.contains(named), "{text}: {}", output.shown());
    }
    assert_eq!(bundle.kept(), before);
    assert_eq!(bundle.limit("pids.max"), "40");
    bundle.delete();
}

fn a_paused_container_stays_paused(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.start();
    bundle.oci("pause", &[]).ok();
    update(scene, &["--pids-limit", "33", "--cpu-share", "99", "web"]).ok();
    assert_eq!((bundle.status(), bundle.limit("pids.max")), ("paused".into(), "33".into()));
    bundle.oci("resume", &[]).ok();
    assert_eq!(bundle.status(), "running");
    bundle.delete();
}

fn stats(scene: &Scene) -> Value {
    let output = oci(scene, ["events", "--stats", "web"]).ok().silent();
    let event: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    assert_eq!((&event["type"], &event["id"]), (&"stats".into(), &"web".into()));
    event["data"].clone()
}

fn what_is_used_is_printed_in_the_shape_that_engines_read(scene: &Scene) {
    let mut bundle =
        Bundle::new(scene, "web", "dd if=/dev/zero of=/mnt/file bs=64k count=64; : $(seq 20000); exec sleep 600");
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
    bundle.config["linux"]["resources"]["pids"] = json!({"limit": 77});
    bundle.start();
    let data = eventually("it has used the processor", || {
        let data = stats(scene);
        (data["cpu"]["usage"]["total"].as_u64()? > 1_000_000).then_some(data)
    });
    assert_eq!(data["memory"]["usage"]["limit"], 67_108_864);
    assert!(data["memory"]["usage"]["usage"].as_u64().is_some_and(|bytes| bytes > 10_000), "{data}");
    assert!(data["memory"]["swap"]["limit"].is_u64() && data["memory"]["kernel"]["failcnt"].is_u64(), "{data}");
    assert!(
        data["memory"]["raw"]["hierarchical_memory_limit"] == 67_108_864 && data["memory"]["cache"].is_u64(),
        "{data}"
    );
    assert_eq!(data["pids"]["limit"], 77);
    assert!(data["pids"]["current"].as_u64().is_some_and(|count| count >= 1), "{data}");
    let percpu = data["cpu"]["usage"]["percpu"].as_array().expect("it is counted");
    assert!(!percpu.is_empty() && data["cpu"]["usage"]["kernel"].is_u64() && data["cpu"]["usage"]["user"].is_u64());
    assert!(data["cpu"]["throttling"].is_object() && data["blkio"].is_object() && data["hugetlb"].is_object());
    assert_eq!(data["intel_rdt"], json!({}));
    bundle.delete();
}

/// What members a document has, with the kinds of their values.
fn shape(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| shape(value, &format!("{path}/{name}"), out)),
        Value::Array(elements) => elements.iter().take(1).for_each(|value| shape(value, &format!("{path}/0"), out)),
        Value::Number(_) => out.push(format!("{path} number")),
        Value::String(_) => out.push(format!("{path} text")),
        _ => out.push(format!("{path} nothing")),
    }
}

fn the_shape_is_that_of_runc(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 67_108_864});
    bundle.start();
    let ours = stats(scene);
    bundle.delete();
    bundle.write();
    let (root, place) = (scene.path("runc").display().to_string(), bundle.directory.display().to_string());
    crate::util::bundle::stays(scene, "web", &["runc", "--root", &root, "run", "-d", "-b", &place, "web"]).ends(0);
    let theirs = scene.command("runc", ["--root", &root, "events", "--stats", "web"]).ok().stdout;
    scene.command("runc", ["--root", &root, "delete", "--force", "web"]).ok();
    let theirs: Value = serde_json::from_str(&theirs).expect("it is JSON");
    let (mut own, mut other) = (Vec::new(), Vec::new());
    shape(&ours, "", &mut own);
    shape(&theirs["data"], "", &mut other);
    // What it reads of the group's settings is no use of anything.
    other.retain(|line| {
        !line.starts_with("/cpuset/") || line.starts_with("/cpuset/cpus") || line.starts_with("/cpuset/mems")
    });
    let missing: Vec<_> = other.iter().filter(|line| !own.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {own:?}");
}

fn events_come_until_the_container_ends(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.start();
    let events = oci(scene, ["events", "--interval", "100ms", "web"]).start();
    std::thread::sleep(Duration::from_secs(1));
    bundle.oci("kill", &["KILL"]).ok();
    let killed = Instant::now();
    let output = events.wait().ends(0).silent();
    assert!(killed.elapsed() < Duration::from_secs(10));
    let lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert!((2..=12).contains(&lines.len()), "{}", output.shown());
    assert!(lines.iter().all(|line| line["type"] == "stats" && line["data"]["cpu"].is_object()), "{}", output.shown());
    bundle.delete();
    for interval in ["0", "x", "-1s", "0s"] {
        oci(scene, ["events", "--interval", interval, "web"]).ends(1).says("--interval").says("5s");
    }
}

fn memory_that_runs_out_is_an_event(scene: &Scene) {
    let line = "echo >/mnt/up; while [ ! -e /mnt/go ]; do sleep 0.02; done; tail -c 100m /dev/zero; sleep 600";
    let mut bundle = Bundle::new(scene, "web", line);
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": 16_777_216, "swap": 16_777_216});
    bundle.start();
    eventually("it runs", || scene.path("up").exists().then_some(()));
    let events =
        crate::util::command::Cmd::limit(oci(scene, ["events", "--interval", "1h", "web"]), Duration::from_mins(1))
            .start();
    let watched = format!("/proc/{}/fd", events.id());
    eventually("the events are watched", || (fs::read_dir(&watched).ok()?.count() > 6).then_some(()));
    fs::write(scene.path("go"), "").expect("write a file");
    eventually("a process was killed", || bundle.limit("memory.oom_control").contains("oom_kill 1").then_some(()));
    std::thread::sleep(Duration::from_millis(200));
    bundle.delete();
    let output = events.wait().ends(0);
    assert!(!output.stdout.is_empty(), "{}", output.shown());
    for line in output.stdout.lines() {
        let event: Value = serde_json::from_str(line).expect("it is JSON");
        assert_eq!(event, json!({"type": "oom", "id": "web"}));
    }
}

fn waiting_for_events_takes_no_time(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.start();
    let events = oci(scene, ["events", "web"]).start();
    let stat = format!("/proc/{}/stat", events.id());
    let state = || {
        let text = fs::read_to_string(&stat).ok()?;
        let fields: Vec<String> = text.rsplit_once(") ")?.1.split(' ').map(String::from).collect();
        Some((fields[0].clone(), fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?))
    };
    eventually("it sleeps", || (state()?.0 == "S").then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    let before = state().expect("it is there").1;
    std::thread::sleep(Duration::from_secs(2));
    let (kind, after) = state().expect("it is there");
    assert!(kind == "S" && after - before <= 1, "{kind}, {before} ticks and then {after}");
    bundle.delete();
    events.wait().ends(0);
}

fn events_take_no_more_memory_the_longer_they_come(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.start();
    let root = crate::util::bundle::state_directory(scene).display().to_string();
    let line = format!("exec {} oci --root {root} events --interval 1ms web >lines", crate::util::command::VIAL);
    let events = scene.command("sh", ["-c", &line]).start();
    let lines = || fs::read_to_string(scene.path("lines")).unwrap_or_default().lines().count();
    let memory = || {
        let text = fs::read_to_string(format!("/proc/{}/status", events.id())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    eventually("some have come", || (lines() > 50).then_some(()));
    let before = memory();
    let many = if needs::is_board() { 150 } else { 500 };
    eventually("more have come", || (lines() > many).then_some(()));
    assert!(memory() <= before + 32, "{before} KiB, and then {}", memory());
    bundle.delete();
    events.wait().ends(0);
}
