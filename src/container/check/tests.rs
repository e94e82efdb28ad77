use super::*;
use crate::base::json::parse;
use std::format;
use std::string::{String, ToString};

/// A bundle that is right, with `change` merged into it.
fn bundle(change: &str) -> (Spec, Value) {
    let base = r#"{"ociVersion":"1.3.0","process":{"cwd":"/","args":["sh"]},"root":{"path":"rootfs"},
        "linux":{"namespaces":[{"type":"mount"},{"type":"uts"},{"type":"pid"}]}}"#;
    let mut value = parse(base.as_bytes()).unwrap();
    merge(&mut value, &parse(change.as_bytes()).unwrap());
    (Spec::from_json(&value).unwrap_or_else(|error| panic!("{change}: {error}")), value)
}

fn merge(into: &mut Value, from: &Value) {
    match (into.as_object().is_some(), from.as_object()) {
        (true, Some(members)) => members.iter().for_each(|(name, value)| merge(into.member(name), value)),
        _ => *into = from.clone(),
    }
}

fn refusal(change: &str) -> String {
    let (spec, value) = bundle(change);
    check(&spec, &value).map_or_else(|error| error.to_string(), |()| String::from("accepted"))
}

#[test]
fn what_is_right_is_accepted() {
    for change in [
        "{}",
        r#"{"process":null}"#,
        r#"{"hostname":"box","domainname":"example.test"}"#,
        r#"{"process":{"env":["A=b","C="],"oomScoreAdj":-1000,"user":{"umask":511}}}"#,
        r#"{"process":{"scheduler":{"policy":"SCHED_FIFO","priority":99}}}"#,
        r#"{"process":{"scheduler":{"policy":"SCHED_OTHER","nice":-20}}}"#,
        r#"{"process":{"scheduler":{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,"period":3}}}"#,
        r#"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_IDLE"},"execCPUAffinity":{"initial":"0-1, 3"}}}"#,
        r#"{"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]}}"#,
        r#"{"mounts":[{"destination":"/x","type":"tmpfs","options":["tmpcopyup","size=1m"]}]}"#,
        r#"{"mounts":[{"destination":"/x","source":"relative","options":["rbind","rro","ridmap"],
            "uidMappings":[{"containerID":0,"hostID":1,"size":1}],"gidMappings":[{"containerID":0,"hostID":1,"size":1}]}]}"#,
        r#"{"mounts":[{"destination":"/x","options":["bind","remount","ro"]}]}"#,
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"time"}],"timeOffsets":{"monotonic":{"secs":-5,"nanosecs":1}}}}"#,
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"network"}],"netDevices":{"eth0":{"name":"in"},"eth1":{}},
            "sysctl":{"net.ipv4.ip_forward":"1","net/ipv4/conf/eth0.1/forwarding":"1"}}}"#,
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"user","path":"/proc/1/ns/user"}],"uidMappings":[]}}"#,
        r#"{"linux":{"sysctl":{"kernel.domainname":"x"},"rootfsPropagation":"rslave","personality":{"domain":"LINUX32"}}}"#,
        r#"{"linux":{"memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]}}}"#,
        r#"{"linux":{"devices":[{"type":"p","path":"/dev/pipe"},{"type":"c","path":"/x","major":1,"minor":3,"fileMode":8630}]}}"#,
        r#"{"hooks":{"poststop":[{"path":"/bin/true","args":["true"],"env":["A=b"],"timeout":1}],"prestart":null}}"#,
    ] {
        assert_eq!(refusal(change), "accepted", "{change}");
    }
}

#[test]
fn versions_are_those_of_the_first_major_version() {
    for version in ["1.0.0", "1.0.0-rc5", "1.0.2-dev", "1.2.1", "1.3.0", "1.3.0+build.7", "1.3.1-dev"] {
        assert_eq!(refusal(&format!("{{\"ociVersion\":\"{version}\"}}")), "accepted", "{version}");
    }
    for version in ["", "1", "1.0", "0.5.0-dev", "2.0.0", "01.0.0", "1.0.x", "1.0.0.0", "v1.0.0", "1.00.0", "-1.0.0"] {
        let said = refusal(&format!("{{\"ociVersion\":\"{version}\"}}"));
        assert!(said.starts_with("ociVersion: expected a version from 1.0.0 to 1.3.0"), "{version}: {said}");
    }
}

/// What is changed, and how the error begins.
const REFUSED: &[(&str, &str)] = &[
    (r#"{"root":null}"#, "root.path: expected the path"),
    (r#"{"root":{"path":""}}"#, "root.path: expected"),
    (r#"{"process":{"cwd":"work"}}"#, "process.cwd: expected an absolute path"),
    (r#"{"process":{"args":[]}}"#, "process.args: expected the program"),
    (r#"{"process":{"args":["a\u0000b"]}}"#, "process.args: expected texts without a zero byte"),
    (r#"{"process":{"env":["A=b","PATH"]}}"#, "process.env[1]: expected NAME=VALUE"),
    (r#"{"process":{"consoleSize":{"height":65536,"width":1}}}"#, "process.consoleSize: "),
    (r#"{"process":{"user":{"umask":512}}}"#, "process.user.umask: "),
    (r#"{"process":{"user":{"uid":4294967295}}}"#, "process.user: "),
    (r#"{"process":{"capabilities":{"ambient":["CAP_PUDDING"]}}}"#, "process.capabilities.ambient: "),
    (
        r#"{"process":{"rlimits":[{"type":"RLIMIT_PUDDING","soft":0,"hard":0}]}}"#,
        "process.rlimits[0].type: expected one of RLIMIT_CPU, ",
    ),
    (
        r#"{"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":0},{"type":"RLIMIT_CORE","soft":0,"hard":0}]}}"#,
        "process.rlimits[1].type: expected each limit once",
    ),
    (r#"{"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]}}"#, "process.rlimits[0].soft: "),
    (r#"{"process":{"oomScoreAdj":1001}}"#, "process.oomScoreAdj: expected a number from -1000 to 1000"),
    (
        r#"{"process":{"scheduler":{"policy":"SCHED_PUDDING"}}}"#,
        "process.scheduler.policy: expected one of SCHED_OTHER, ",
    ),
    (
        r#"{"process":{"scheduler":{"policy":"SCHED_ISO"}}}"#,
        "process.scheduler.policy: expected another one than SCHED_ISO",
    ),
    (r#"{"process":{"scheduler":{"policy":"SCHED_FIFO","priority":0}}}"#, "process.scheduler.priority: "),
    (r#"{"process":{"scheduler":{"policy":"SCHED_OTHER","priority":1}}}"#, "process.scheduler.priority: "),
    (r#"{"process":{"scheduler":{"policy":"SCHED_BATCH","nice":20}}}"#, "process.scheduler.nice: "),
    (
        r#"{"process":{"scheduler":{"policy":"SCHED_DEADLINE","runtime":3,"deadline":2,"period":3}}}"#,
        "process.scheduler.runtime: ",
    ),
    (r#"{"process":{"scheduler":{"policy":"SCHED_OTHER","runtime":3}}}"#, "process.scheduler.runtime: "),
    (r#"{"process":{"scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_X"]}}}"#, "process.scheduler.flags: "),
    (r#"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_NONE"}}}"#, "process.ioPriority.class: "),
    (r#"{"process":{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}}}"#, "process.ioPriority.priority: "),
    (r#"{"process":{"execCPUAffinity":{"final":"1-"}}}"#, "process.execCPUAffinity.final: expected a list"),
    (r#"{"hostname":"box","linux":{"namespaces":[{"type":"mount"}]}}"#, "hostname: expected a uts namespace"),
    (r#"{"domainname":"box","linux":{"namespaces":[{"type":"mount"}]}}"#, "domainname: expected a uts namespace"),
    (r#"{"mounts":[{"destination":"x","type":"tmpfs"}]}"#, "mounts[0].destination: expected an absolute path"),
    (r#"{"mounts":[{"destination":"/x"}]}"#, "mounts[0].type: "),
    (r#"{"mounts":[{"destination":"/x","options":["bind"]}]}"#, "mounts[0].source: "),
    (r#"{"mounts":[{"destination":"/x","type":"tmpfs","options":["size=1,mode=7"]}]}"#, "mounts[0].options: "),
    (
        r#"{"mounts":[{"destination":"/x","type":"proc","options":["tmpcopyup"]}]}"#,
        "mounts[0].options: expected tmpcopyup",
    ),
    (r#"{"mounts":[{"destination":"/x","type":"tmpfs","options":["idmap"]}]}"#, "mounts[0].options: expected owners"),
    (
        r#"{"mounts":[{"destination":"/x","source":"/y","options":["bind","idmap"]}]}"#,
        "mounts[0].options: expected idmap with",
    ),
    (
        r#"{"mounts":[{"destination":"/x","source":"/y","options":["bind"],"uidMappings":[{"containerID":0,"hostID":1,"size":1}]}]}"#,
        "mounts[0].uidMappings: ",
    ),
    (r#"{"annotations":{"":"x"}}"#, "annotations: expected names"),
    (r#"{"hooks":{"prestart":[{"path":"true"}]}}"#, "hooks.prestart[0].path: true is not absolute"),
    (r#"{"hooks":{"poststart":[{"path":"/x"},{"path":"/x","timeout":0}]}}"#, "hooks.poststart[1].timeout: "),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"pid"}]}}"#,
        "linux.namespaces[2].type: expected each type once",
    ),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"pid","path":"ns"}]}}"#,
        "linux.namespaces[1].path: expected an absolute path",
    ),
    (r#"{"linux":{"namespaces":[{"type":"pid"}]}}"#, "linux.namespaces: expected a mount namespace"),
    (
        r#"{"linux":{"uidMappings":[{"containerID":0,"hostID":1,"size":1}]}}"#,
        "linux.uidMappings: expected a user namespace",
    ),
    (r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"user"}]}}"#, "linux.uidMappings: expected mappings"),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"user"}],"uidMappings":[{"containerID":0,"hostID":1,"size":0}]}}"#,
        "linux.uidMappings[0].size: ",
    ),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"user"}],"uidMappings":[{"containerID":0,"hostID":1,"size":5},{"containerID":4,"hostID":9,"size":1}]}}"#,
        "linux.uidMappings[1]: expected ranges that don't overlap",
    ),
    (r#"{"linux":{"timeOffsets":{"monotonic":{"secs":1}}}}"#, "linux.timeOffsets: expected a new time namespace"),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"time"}],"timeOffsets":{"realtime":{"secs":1}}}}"#,
        "linux.timeOffsets.realtime: ",
    ),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"time"}],"timeOffsets":{"boottime":{"nanosecs":1000000000}}}}"#,
        "linux.timeOffsets.boottime.nanosecs: ",
    ),
    (
        r#"{"linux":{"sysctl":{"net.ipv4.ip_forward":"1"}}}"#,
        "linux.sysctl.net.ipv4.ip_forward: expected a network namespace",
    ),
    (r#"{"linux":{"sysctl":{"kernel.shmmax":"1"}}}"#, "linux.sysctl.kernel.shmmax: expected an ipc namespace"),
    (r#"{"linux":{"sysctl":{"fs.mqueue.msg_max":"1"}}}"#, "linux.sysctl.fs.mqueue.msg_max: expected an ipc namespace"),
    (r#"{"linux":{"sysctl":{"kernel.hostname":"x"}}}"#, "linux.sysctl.kernel.hostname: expected hostname"),
    (
        r#"{"linux":{"sysctl":{"vm.swappiness":"1"}}}"#,
        "linux.sysctl.vm.swappiness: expected a parameter of a namespace",
    ),
    (
        r#"{"linux":{"sysctl":{"net/../kernel/core_pattern":"1"}}}"#,
        "linux.sysctl.net/../kernel/core_pattern: expected a parameter's name",
    ),
    (
        r#"{"linux":{"sysctl":{"net.a/../../kernel":"1"}}}"#,
        "linux.sysctl.net.a/../../kernel: expected a parameter's name",
    ),
    (r#"{"linux":{"devices":[{"type":"c","path":"dev/x","major":1,"minor":3}]}}"#, "linux.devices[0].path: "),
    (r#"{"linux":{"devices":[{"type":"c","path":"/dev/x","major":1}]}}"#, "linux.devices[0].minor: "),
    (r#"{"linux":{"devices":[{"type":"b","path":"/dev/x","major":-1,"minor":1}]}}"#, "linux.devices[0].major: "),
    (
        r#"{"linux":{"devices":[{"type":"p","path":"/x"},{"type":"p","path":"/x"}]}}"#,
        "linux.devices[1].path: expected each path once",
    ),
    (r#"{"linux":{"maskedPaths":["/a","b"]}}"#, "linux.maskedPaths[1]: expected an absolute path"),
    (r#"{"linux":{"rootfsPropagation":"sideways"}}"#, "linux.rootfsPropagation: expected private"),
    (r#"{"linux":{"netDevices":{"eth0":{}}}}"#, "linux.netDevices: expected a network namespace"),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"network"}],"netDevices":{"eth0":{"name":"a/b"}}}}"#,
        "linux.netDevices.eth0.name: ",
    ),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"network"}],"netDevices":{"sixteen-bytes-xx":{}}}}"#,
        "linux.netDevices.sixteen-bytes-xx: ",
    ),
    (
        r#"{"linux":{"namespaces":[{"type":"mount"},{"type":"network"}],"netDevices":{"a":{},"b":{"name":"a"}}}}"#,
        "linux.netDevices.b.name: expected each name once",
    ),
    (r#"{"linux":{"intelRdt":{"closID":"../x"}}}"#, "linux.intelRdt.closID: "),
    (r#"{"linux":{"intelRdt":{"memBwSchema":"L3:0=1"}}}"#, "linux.intelRdt.memBwSchema: "),
    (r#"{"linux":{"intelRdt":{"schemata":["L3:0=1\nMB:0=1"]}}}"#, "linux.intelRdt: "),
    (r#"{"linux":{"personality":{"domain":"BSD"}}}"#, "linux.personality.domain: expected LINUX or LINUX32"),
    (r#"{"linux":{"personality":{"domain":"LINUX","flags":["x"]}}}"#, "linux.personality.flags: "),
    (
        r#"{"linux":{"memoryPolicy":{"mode":"MPOL_PUDDING"}}}"#,
        "linux.memoryPolicy.mode: expected one of MPOL_DEFAULT, ",
    ),
    (r#"{"linux":{"memoryPolicy":{"mode":"MPOL_BIND"}}}"#, "linux.memoryPolicy.nodes: expected nodes"),
    (r#"{"linux":{"memoryPolicy":{"mode":"MPOL_LOCAL","nodes":"0"}}}"#, "linux.memoryPolicy.nodes: expected none"),
    (
        r#"{"linux":{"memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES","MPOL_F_RELATIVE_NODES"]}}}"#,
        "linux.memoryPolicy.flags: ",
    ),
];

#[test]
fn what_is_wrong_is_refused_by_its_member_with_what_is_accepted() {
    for (change, error) in REFUSED {
        let said = refusal(change);
        assert!(said.starts_with(error), "{change}: {said}");
    }
}
