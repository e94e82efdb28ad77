//! What a bundle may ask for beside what every container has: each member is seen to have its effect, or is refused by its name.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::util::Scene;
use crate::util::command::Output;
use crate::util::network::Host;

trials! {
    a_time_namespace_has_its_clocks_ahead [Root, Busybox, File("/proc/self/timens_offsets"), Command("oci")];
    a_process_is_scheduled_as_its_bundle_says [Root, Busybox, Command("oci")];
    the_machine_and_its_memory_are_as_the_bundle_says [Root, Busybox, File("/proc/self/numa_maps"), Command("oci")];
    a_file_system_in_memory_begins_with_what_was_there [Root, Busybox, Command("oci")];
    mounts_propagate_and_restrict_as_their_options_say [Root, Busybox, Command("oci")];
    the_root_propagates_as_the_bundle_says [Root, Busybox, Command("oci")];
    a_mount_shows_owners_by_its_own_maps [Root, Busybox, Command("oci")];
    an_interface_of_the_hosts_is_moved_with_its_addresses_and_comes_back_if_nothing_starts [Root, Busybox, Tool("ip"), Command("oci")];
    a_root_without_a_mount_on_dev_gets_the_devices_that_it_lacks [Root, Busybox, Command("oci")];
    what_this_kernel_lacks_is_refused_by_name [Root, Busybox, Command("oci")];
    a_bundle_that_makes_no_sense_is_refused_before_anything_is_made [Root, Busybox, Command("oci")];
    json_that_is_deep_doubled_or_no_text_is_refused [Root, Busybox, Command("oci")];
}

/// A bundle whose workload is a script, with `change` merged into it.
fn bundle(scene: &Scene, script: &str, change: &Value) -> PathBuf {
    let directory = scene.path("bundle");
    fs::create_dir_all(&directory).expect("make the bundle");
    let sets = json!(["CAP_SYS_ADMIN", "CAP_SYS_NICE"]);
    let mut config = json!({
        "ociVersion": "1.3.0",
        "process": {
            "cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
            "capabilities": {"bounding": sets, "effective": sets, "permitted": sets}
        },
        "root": {"path": scene.rootfs()},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=64k"]}],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}]}
    });
    merge(&mut config, change);
    fs::write(directory.join("config.json"), config.to_string()).expect("write the bundle");
    directory
}

/// Members are merged, lists grow.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) if from.iter().all(Value::is_object) => {
            into.extend(from.iter().cloned());
        }
        (into, from) => *into = from.clone(),
    }
}

fn run_bundle(scene: &Scene) -> Output {
    let (bundle, root) = (scene.path("bundle"), scene.path("oci"));
    let id = format!("spec-{}-{}", std::process::id(), scene.directory().file_name().unwrap().to_string_lossy());
    let words = ["oci", "--root", root.to_str().unwrap(), "run", "--bundle", bundle.to_str().unwrap(), &id];
    scene.vial(words).run()
}

fn run(scene: &Scene, script: &str, change: &Value) -> Output {
    bundle(scene, script, change);
    run_bundle(scene)
}

fn a_time_namespace_has_its_clocks_ahead(scene: &Scene) {
    let change = json!({"linux": {"namespaces": [{"type": "time"}],
        "timeOffsets": {"monotonic": {"secs": 1000}, "boottime": {"secs": 500_000_000, "nanosecs": 5}}}});
    let shown = run(scene, "cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime", &change).ends(0).stdout;
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(words[..6], ["monotonic", "1000", "0", "boottime", "500000000", "5"], "{shown}");
    assert!(words[6].parse::<u64>().unwrap() >= 500_000_000, "{shown}");
    // Also where root is nobody outside.
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let mut user = change.clone();
    merge(&mut user, &json!({"linux": {"namespaces": [{"type": "user"}], "uidMappings": map, "gidMappings": map}}));
    let shown = run(scene, "cat /proc/self/timens_offsets", &user).ends(0).stdout;
    assert_eq!(shown.split_whitespace().nth(1), Some("1000"), "{shown}");
}

fn a_process_is_scheduled_as_its_bundle_says(scene: &Scene) {
    let change = json!({"process": {
        "scheduler": {"policy": "SCHED_BATCH", "nice": 5}, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}});
    // The fields 19 and 41 of proc_pid_stat(5): the nice value, the policy.
    let shown = run(scene, "ionice -p $$; cut -d' ' -f19,41 /proc/self/stat", &change).ends(0).stdout;
    assert_eq!(shown, "best-effort: prio 6\n5 3\n");
}

fn the_machine_and_its_memory_are_as_the_bundle_says(scene: &Scene) {
    let change =
        json!({"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}}});
    let shown = run(scene, "head -1 /proc/self/numa_maps", &change).ends(0).stdout;
    assert!(shown.contains(" bind=static:0 "), "{shown}");
    let machine =
        |domain: &str| run(scene, "uname -m", &json!({"linux": {"personality": {"domain": domain}}})).ends(0).stdout;
    assert_ne!(machine("LINUX"), machine("LINUX32"));
    let said = run(scene, "true", &json!({"linux": {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "1023"}}}));
    assert!(said.code == 1 && said.stderr.contains("linux.memoryPolicy"), "{}", said.shown());
}

fn a_file_system_in_memory_begins_with_what_was_there(scene: &Scene) {
    let mount = |options: Value| json!({"mounts": [{"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": options}]});
    let script = "ls /etc; stat -f -c %T /etc; touch /etc/x";
    let shown = run(scene, script, &mount(json!(["tmpcopyup"]))).ends(0).stdout;
    assert!(shown.contains("passwd\n") && shown.ends_with("tmpfs\n"), "{shown}");
    let sealed = run(scene, script, &mount(json!(["tmpcopyup", "ro"])));
    assert!(sealed.stdout.contains("passwd\n") && sealed.stderr.contains("Read-only"), "{}", sealed.shown());
}

fn mounts_propagate_and_restrict_as_their_options_say(scene: &Scene) {
    fs::create_dir_all(scene.path("data")).expect("make a directory");
    let data = scene.path("data");
    let change = json!({"mounts": [
        {"destination": "/run", "type": "tmpfs", "options": ["rshared", "rnosuid", "rnoatime"]},
        {"destination": "/mnt", "source": data, "type": "bind", "options": ["nosymfollow", "noatime", "unbindable"]},
        {"destination": "/tmp", "source": data, "options": ["bind"]},
        {"destination": "/tmp", "options": ["bind", "remount", "ro", "nosuid"]}
    ]});
    let shown = run(scene, "cat /proc/self/mountinfo", &change).ends(0).stdout;
    let at = |point: &str| {
        let line = shown
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(point))
            .unwrap_or_else(|| panic!("{point}: {shown}"));
        line.to_owned()
    };
    assert!(at("/run").contains(" rw,nosuid,noatime shared:"), "{shown}");
    assert!(at("/mnt").contains(" rw,noatime,nosymfollow unbindable "), "{shown}");
    assert!(at("/tmp").contains(" ro,nosuid"), "{shown}");
}

fn the_root_propagates_as_the_bundle_says(scene: &Scene) {
    for (word, found) in [("shared", " shared:"), ("unbindable", " unbindable "), ("private", " - ")] {
        let change = json!({"linux": {"rootfsPropagation": word}});
        let shown = run(scene, "grep ' / / \\| / rw' /proc/self/mountinfo | head -1", &change).ends(0).stdout;
        assert!(shown.contains(found), "{word}: {shown}");
    }
}

fn a_mount_shows_owners_by_its_own_maps(scene: &Scene) {
    let data = scene.path("data");
    fs::create_dir_all(&data).expect("make a directory");
    fs::write(data.join("file"), "").expect("write a file");
    std::os::unix::fs::chown(data.join("file"), Some(1000), Some(1000)).expect("give it away");
    let map = |host: u32| json!([{"containerID": 1000, "hostID": host, "size": 1}]);
    let change = json!({"mounts": [{"destination": "/mnt", "source": data, "options": ["rbind", "idmap"],
        "uidMappings": map(5000), "gidMappings": map(6000)}]});
    let shown = run(scene, "stat -c '%u %g' /mnt/file", &change).ends(0).stdout;
    assert_eq!(shown, "5000 6000\n");
}

fn an_interface_of_the_hosts_is_moved_with_its_addresses_and_comes_back_if_nothing_starts(scene: &Scene) {
    let host = Host::new(scene);
    host.ip(&["link", "add", "out0", "type", "veth", "peer", "name", "out1"]);
    host.ip(&["addr", "add", "10.9.0.5/24", "dev", "out0"]);
    host.ip(&["link", "set", "out0", "mtu", "1400", "up"]);
    let change = json!({"linux": {"netDevices": {"out0": {"name": "inside"}}}});
    let run_there = |script: &str, change: &Value| {
        let bundle = bundle(scene, script, change);
        let root = scene.path("oci");
        host.vial(["oci", "--root", root.to_str().unwrap(), "run", "--bundle", bundle.to_str().unwrap(), "moved"]).run()
    };
    let mut missing = change.clone();
    merge(&mut missing, &json!({"linux": {"netDevices": {"none0": {}}}}));
    let said = run_there("true", &missing);
    assert!(said.stderr.contains("linux.netDevices.none0: there is no such network interface"), "{}", said.shown());
    let mut nothing = change.clone();
    merge(&mut nothing, &json!({"process": {"args": ["/nothing"]}}));
    assert_ne!(run_there("true", &nothing).code, 0);
    let shown = host.ip(&["addr", "show", "out0"]);
    assert!(shown.contains("10.9.0.5/24"), "{shown}");
    let shown = run_there("ip addr show inside", &change).ends(0).stdout;
    assert!(shown.contains("mtu 1400") && shown.contains("inet 10.9.0.5/24") && shown.contains(",UP"), "{shown}");
}

fn a_root_without_a_mount_on_dev_gets_the_devices_that_it_lacks(scene: &Scene) {
    let rootfs = scene.path("own");
    crate::util::rootfs::make(&rootfs).expect("make a root file system");
    bundle(scene, "", &json!({}));
    let path = scene.path("bundle/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["root"]["path"] = json!(rootfs);
    config["mounts"] = json!([{"destination": "/proc", "type": "proc"}]);
    config["process"]["args"] = json!(["sh", "-c", "echo x >/dev/null && ls /dev"]);
    config["linux"]["devices"] = json!([{"type": "p", "path": "/run/fifo", "fileMode": 384, "uid": 5, "gid": 6}]);
    fs::write(&path, config.to_string()).unwrap();
    let shown = run_bundle(scene).ends(0).stdout;
    for name in ["null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "ptmx"] {
        assert!(shown.lines().any(|line| line == name), "{name}: {shown}");
    }
}

fn what_this_kernel_lacks_is_refused_by_name(scene: &Scene) {
    let shares = json!({"linux": {"intelRdt": {"l3CacheSchema": "L3:0=f"}}});
    if !fs::exists("/sys/fs/resctrl/schemata").unwrap_or(false) {
        let said = run(scene, "true", &shares);
        assert!(
            said.code == 1 && said.stderr.contains("linux.intelRdt") && said.stderr.contains("CONFIG_X86_CPU_RESCTRL"),
            "{}",
            said.shown()
        );
    }
    let groups = ["/proc/self/cgroup", "/sys/fs/cgroup/cgroup.controllers"].map(fs::read_to_string);
    let groups: String = groups.into_iter().flatten().collect();
    for (controller, resources, member) in [
        ("net_cls", json!({"network": {"classID": 1}}), "linux.resources.network.classID"),
        (
            "net_prio",
            json!({"network": {"priorities": [{"name": "lo", "priority": 1}]}}),
            "linux.resources.network.priorities",
        ),
        ("rdma", json!({"rdma": {"none0": {"hcaHandles": 1}}}), "linux.resources.rdma"),
    ] {
        if groups.contains(controller) {
            continue;
        }
        let said = run(scene, "true", &json!({"linux": {"resources": resources}}));
        assert!(
            said.code == 1 && said.stderr.contains(member) && said.stderr.contains("CONFIG_CGROUP_"),
            "{}",
            said.shown()
        );
    }
}

fn a_bundle_that_makes_no_sense_is_refused_before_anything_is_made(scene: &Scene) {
    for (change, member) in [
        (json!({"ociVersion": "2.0.0"}), "ociVersion: "),
        (json!({"process": {"cwd": "work"}}), "process.cwd: "),
        (json!({"linux": {"sysctl": {"vm.swappiness": "1"}}}), "linux.sysctl.vm.swappiness: "),
        (json!({"linux": {"timeOffsets": {"monotonic": {"secs": 1}}}}), "linux.timeOffsets: "),
        (json!({"linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}}), "linux.uidMappings: "),
        (json!({"linux": {"namespaces": [{"type": "pid"}]}}), "linux.namespaces[5].type: "),
        (json!({"hooks": {"prestart": [{"path": "true"}]}}), "hooks.prestart[0].path: "),
    ] {
        let said = run(scene, "true", &change);
        assert!(said.code == 1 && said.stderr.contains(member), "{member} {}", said.shown());
        let left = fs::read_dir(scene.path("oci")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{member}");
    }
}

fn json_that_is_deep_doubled_or_no_text_is_refused(scene: &Scene) {
    bundle(scene, "true", &json!({}));
    let path = scene.path("bundle/config.json");
    let good = fs::read_to_string(&path).unwrap();
    let deep = format!("{{\"annotations\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let doubled = good.replacen('{', "{\"hostname\":\"one\",\"hostname\":\"two\",", 1);
    let mut no_text = good.clone().into_bytes();
    let at = good.find("sh").unwrap();
    no_text[at] = 0xff;
    for (content, words) in [
        (deep.into_bytes(), "nested too deep"),
        (doubled.into_bytes(), "a name occurs twice"),
        (no_text, "not UTF-8"),
        (b"{".to_vec(), "expected"),
    ] {
        fs::write(&path, content).unwrap();
        let said = run_bundle(scene);
        assert!(said.code == 1 && said.stderr.contains(words), "{words}: {}", said.shown());
    }
}
