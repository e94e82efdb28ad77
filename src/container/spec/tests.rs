use super::*;
use crate::base::json::{object, parse};

/// A document that has every member there is, each with a value of its own, so that a mix-up of two would show.
const FULL: &str = r#"{
  "ociVersion": "1.3.0",
  "process": {
    "terminal": true,
    "consoleSize": {"height": 24, "width": 80},
    "user": {"uid": 1000, "gid": 1001, "umask": 18, "additionalGids": [5, 6]},
    "args": ["sh", "-c", "true"],
    "env": ["PATH=/bin", "TERM=xterm"],
    "cwd": "/work",
    "capabilities": {
      "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"], "inheritable": ["CAP_FOWNER"],
      "permitted": ["CAP_CHOWN"], "ambient": ["CAP_SETUID"]
    },
    "rlimits": [
      {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096},
      {"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615}
    ],
    "noNewPrivileges": true,
    "oomScoreAdj": -500,
    "scheduler": {
      "policy": "SCHED_DEADLINE", "nice": -3, "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"], "runtime": 11,
      "deadline": 12, "period": 13
    },
    "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "execCPUAffinity": {"initial": "0-1", "final": "1"},
    "apparmorProfile": "profile",
    "selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0"
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "web",
  "domainname": "example.test",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {
      "destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind", "ro"],
      "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
      "gidMappings": [{"containerID": 1, "hostID": 100001, "size": 65535}]
    }
  ],
  "annotations": {"z.last": "1", "a.first": "2"},
  "linux": {
    "namespaces": [
      {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "pid"}, {"type": "network", "path": "/run/netns/web"},
      {"type": "cgroup"}, {"type": "user"}, {"type": "time"}
    ],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 4294967295}],
    "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 32000}],
    "timeOffsets": {"monotonic": {"secs": -17, "nanosecs": 18}, "boottime": {"secs": 19, "nanosecs": 20}},
    "devices": [
      {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 438, "uid": 3, "gid": 4},
      {"type": "b", "path": "/dev/sda", "major": 8, "minor": 0},
      {"type": "u", "path": "/dev/old", "major": 1, "minor": 2},
      {"type": "p", "path": "/dev/pipe"}
    ],
    "netDevices": {"eth0": {"name": "inside"}, "eth1": {}},
    "cgroupsPath": "/vial/web",
    "resources": {
      "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}],
      "memory": {
        "limit": 536870912, "reservation": 268435456, "swap": -1, "kernel": -2, "kernelTCP": -3, "swappiness": 60,
        "disableOOMKiller": false, "useHierarchy": true, "checkBeforeUpdate": false
      },
      "cpu": {
        "shares": 1024, "quota": 50000, "period": 100000, "burst": 2000, "idle": 1, "realtimeRuntime": 950000,
        "realtimePeriod": 1000000, "cpus": "0-3,7", "mems": "0"
      },
      "pids": {"limit": 100},
      "blockIO": {
        "weight": 10, "leafWeight": 20,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}, {"major": 8, "minor": 16}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 1, "rate": 700}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 2, "rate": 800}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 3, "rate": 18446744073709551615}]
      },
      "hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854775808}],
      "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
      "unified": {"memory.high": "1G"}
    },
    "sysctl": {"net.ipv4.ip_forward": "1"},
    "rootfsPropagation": "slave",
    "maskedPaths": ["/proc/kcore"],
    "readonlyPaths": ["/proc/sys"],
    "mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0",
    "intelRdt": {
      "closID": "group", "schemata": ["L3:0=ff"], "l3CacheSchema": "L3:0=ffff0", "memBwSchema": "MB:0=20",
      "enableMonitoring": true
    },
    "personality": {"domain": "LINUX32", "flags": ["none"]},
    "memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
  }
}"#;

fn value(text: &str) -> Value {
    parse(text.as_bytes()).expect("the test's JSON is well-formed")
}

fn full() -> Spec {
    Spec::from_json(&value(FULL)).expect("the full document is read")
}

/// The first line of the error that `text` leads to.
fn refusal(text: &str) -> String {
    Spec::from_json(&value(text)).expect_err(text).to_string()
}

fn theirs(value: &Value) -> serde_json::Value {
    serde_json::from_str(&value.to_compact()).expect("serde_json reads what we write")
}

#[test]
fn a_full_document_comes_back_member_for_member_in_the_same_order() {
    assert_eq!(full().to_json(), value(FULL));
}

#[test]
fn each_member_of_a_full_document_matters() {
    fn leaves(value: &Value, path: &[usize], found: &mut Vec<Vec<usize>>) {
        let below: Vec<&Value> = match value {
            Value::Object(members) => members.iter().map(|(_, value)| value).collect(),
            Value::Array(elements) => elements.iter().collect(),
            _ => return found.push(path.to_vec()),
        };
        for (at, value) in below.iter().enumerate() {
            leaves(value, &[path, &[at]].concat(), found);
        }
    }
    fn change(value: &mut Value, path: &[usize]) {
        match (value, path) {
            (Value::Object(members), [at, rest @ ..]) => change(&mut members[*at].1, rest),
            (Value::Array(elements), [at, rest @ ..]) => change(&mut elements[*at], rest),
            (leaf, _) => *leaf = object([]),
        }
    }
    let mut found = Vec::new();
    leaves(&value(FULL), &[], &mut found);
    assert!(found.len() > 160, "{} leaves", found.len());
    for path in found {
        let mut changed = value(FULL);
        change(&mut changed, &path);
        Spec::from_json(&changed).expect_err("an object in the place of a leaf");
    }
}

#[test]
fn what_vial_writes_obeys_the_members_and_types_of_the_specification() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/runtime-spec.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(schema).expect(schema)).expect(schema);
    let validator = jsonschema::validator_for(&schema).expect("the schema compiles");
    for mut spec in [full(), Spec { oci_version: OCI_VERSION, ..Spec::default() }] {
        let document = theirs(&spec.to_json());
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path)).collect();
        assert_eq!(errors, [""; 0]);
    }
    let mut misspelt = theirs(&full().to_json());
    misspelt["linux"]["resources"]["memory"]["kernelTcp"] = 1.into();
    assert!(!validator.is_valid(&misspelt), "the schema finds a wrong name");
}

#[test]
fn a_short_document_is_as_short_when_it_is_written() {
    let text = r#"{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0},"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"}}"#;
    let mut spec = Spec::from_json(&value(text)).unwrap();
    assert_eq!(spec.to_json().to_compact(), text);
    assert_eq!(spec.linux, None);
}

/// What other programs write and vial has no use for, wherever there is room for it, and what it does use beside it.
const OTHERS: &str = r#"{
  "ociVersion": "1.0.2-dev",
  "process": {
    "user": {"uid": 0, "gid": 0, "username": "ContainerUser"}, "args": ["sh"], "env": [], "cwd": "/", "commandLine": "sh"
  },
  "root": {"path": "rootfs"},
  "hooks": {"prestart": [{"path": "/bin/true", "args": ["true"], "timeout": 5}], "poststop": []},
  "annotations": {},
  "mounts": [{"destination": "/x", "type": "tmpfs", "source": "x", "options": [], "uidMappings": []}],
  "solaris": {"cappedCPU": {"ncpus": "8"}}, "windows": {"layerFolders": []}, "vm": {"kernel": {"path": "k"}}, "zos": {},
  "linux": {
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"}]},
    "timeOffsets": {"realtime": {"secs": 1}}, "netDevices": {"eth0": {"name": "inside", "mtu": 1}},
    "resources": {"network": {"classID": 1, "priorities": []}, "rdma": {"mlx5_1": {"hcaHandles": 3}}, "pids": {"limit": 7}}
  }
}"#;

#[test]
fn what_others_write_is_read_and_written_stably() {
    let mut spec = Spec::from_json(&value(OTHERS)).unwrap();
    assert_eq!(Spec::from_json(&spec.to_json()), Ok(spec.clone()));
    assert_eq!(spec.linux.unwrap().resources.unwrap().0.at(&["pids", "limit"]), Some(&7.into()));
}

#[test]
fn unknown_members_are_ignored_and_null_is_absent() {
    let spec = Spec::from_json(&value(
        r#"{"ociVersion":"9","x":[1],"linux":{"new":{},"devices":null},"mounts":null,"process":null}"#,
    ));
    assert_eq!(spec.unwrap().to_json().to_compact(), r#"{"ociVersion":"9","linux":{}}"#);
    assert_eq!(refusal(r#"{"ociVersion":null}"#), "ociVersion: is missing");
}

#[test]
fn an_error_names_the_path_and_says_what_was_found() {
    let linux = |text: &str| refusal(&format!(r#"{{"ociVersion":"1","linux":{text}}}"#));
    for (text, error) in [
        (
            r#"{"resources":{"memory":{"limit":"1G"}}}"#,
            "linux.resources.memory.limit: expected an integer, found a string",
        ),
        (r#"{"resources":{"cpu":{"quota":1.5}}}"#, "linux.resources.cpu.quota: expected an integer, found 1.5"),
        (
            r#"{"resources":{"cpu":{"shares":-1}}}"#,
            "linux.resources.cpu.shares: expected an integer from 0 to 18446744073709551615, found -1",
        ),
        (
            r#"{"resources":{"blockIO":{"weight":65536}}}"#,
            "linux.resources.blockIO.weight: expected an integer from 0 to 65535, found 65536",
        ),
        (
            r#"{"namespaces":[{"type":"mount"},{"type":"net"}]}"#,
            "linux.namespaces[1].type: expected one of mount, uts, ipc, pid, network, cgroup, user, time, found \"net\"",
        ),
        (r#"{"devices":[{"type":"c"}]}"#, "linux.devices[0].path: is missing"),
        (r#"{"resources":{"pids":{"limit":true}}}"#, "linux.resources.pids.limit: expected an integer, found true"),
        (r#"{"devices":[7]}"#, "linux.devices[0]: expected an object, found 7"),
        (r#"{"devices":{}}"#, "linux.devices: expected an array, found an object"),
        (r#"{"sysctl":{"a.b":1}}"#, "linux.sysctl.a.b: expected a string, found 1"),
        (r#"{"netDevices":{"eth0":{"name":1}}}"#, "linux.netDevices.eth0.name: expected a string, found 1"),
        (r#"{"netDevices":{"eth0":null}}"#, "linux.netDevices.eth0: expected an object, found null"),
        (
            r#"{"timeOffsets":{"boottime":{"nanosecs":-1}}}"#,
            "linux.timeOffsets.boottime.nanosecs: expected an integer from 0 to 4294967295, found -1",
        ),
        (r#"{"memoryPolicy":{}}"#, "linux.memoryPolicy.mode: is missing"),
        (r#"{"sysctl":[]}"#, "linux.sysctl: expected an object, found an array"),
        (r#"{"maskedPaths":["/",null]}"#, "linux.maskedPaths[1]: expected a string, found null"),
        (r#""all""#, "linux: expected an object, found a string"),
    ] {
        assert_eq!(linux(text), error);
    }
    assert_eq!(refusal("[]"), "expected an object, found an array");
    assert_eq!(refusal("{}"), "ociVersion: is missing");
    assert_eq!(
        refusal(r#"{"ociVersion":"1","process":{"cwd":"/","terminal":1}}"#),
        "process.terminal: expected true or false, found 1"
    );
}

#[test]
fn a_process_is_also_read_alone() {
    let text = r#"{"user":{"uid":7,"gid":8},"args":["id"],"cwd":"/"}"#;
    let mut process = Process::from_json(&value(text)).unwrap();
    assert_eq!((process.user.uid, process.user.gid), (7, 8));
    assert_eq!(process.to_json().to_compact(), text);
    let error = Process::from_json(&value(r#"{"user":{"uid":"root"}}"#)).unwrap_err();
    assert_eq!(error.to_string(), "user.uid: expected an integer, found a string");
}

#[test]
fn every_kind_of_namespace_bears_its_name() {
    let names: Vec<&str> = NamespaceKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, ["mount", "uts", "ipc", "pid", "network", "cgroup", "user", "time"]);
    assert_eq!(
        full().linux.unwrap().namespaces.iter().map(|namespace| namespace.kind).collect::<Vec<_>>(),
        NamespaceKind::ALL
    );
}
