//! Plans for hosts of every kind, line by line.

use super::*;
use crate::base::json::parse;
use std::format;
use std::string::ToString;

fn host(list: &[(Version, &'static str, &'static str)]) -> Hierarchies {
    list.iter().map(|&(version, mount, controllers)| Hierarchy { version, mount, controllers }).collect()
}

fn v1_host() -> Hierarchies {
    host(&[
        (Version::V1, "/cg/memory", "memory"),
        (Version::V1, "/cg/cpu,cpuacct", "cpu,cpuacct"),
        (Version::V1, "/cg/cpuset", "cpuset"),
        (Version::V1, "/cg/devices", "devices"),
        (Version::V1, "/cg/freezer", "freezer"),
        (Version::V2, "/cg/unified", "hugetlb"),
    ])
}

fn v2_host() -> Hierarchies {
    host(&[(Version::V2, "/cg", "cpuset,cpu,io,memory,pids")])
}

const DENY_ALL: &str = r#""devices":[{"allow":false}]"#;

/// The members of `linux.resources`.
fn limits(members: &str) -> Value {
    parse(format!("{{{members}}}").as_bytes()).unwrap()
}

fn planned(hierarchies: &Hierarchies, members: &str, path: &str) -> Plan {
    *plan(hierarchies, &limits(members), GroupPath::new(path).unwrap(), None, false).unwrap()
}

fn lines_of(plan: &Plan) -> Vec<String> {
    assert_eq!(*plan.unmet, []);
    let mut lines: Vec<String> =
        plan.directories.iter().map(|directory| format!("make group {}", directory.path)).collect();
    lines.extend(plan.steps.iter().map(|step| step.text().to_string()));
    lines
}

fn lines(hierarchies: &Hierarchies, members: &str) -> Vec<String> {
    lines_of(&planned(hierarchies, members, "vial/x"))
}

#[test]
fn without_limits_the_group_is_only_where_it_can_be_stopped() {
    assert_eq!(lines(&v1_host(), ""), ["make group /cg/freezer/vial/x"]);
    assert_eq!(lines(&v2_host(), ""), ["make group /cg/vial/x"]);
    assert!(lines(&Hierarchies::default(), "").is_empty());
}

#[test]
fn v1_limits_go_to_the_hierarchies_of_their_controllers() {
    let limits = [r#""memory":{"limit":4096,"swap":8192},"cpu":{"shares":512},"#, DENY_ALL].concat();
    let expected = [
        "make group /cg/memory/vial/x",
        "make group /cg/cpu,cpuacct/vial/x",
        "make group /cg/devices/vial/x",
        "make group /cg/freezer/vial/x",
        "write 4096 to /cg/memory/vial/x/memory.limit_in_bytes (--memory)",
        "write 8192 to /cg/memory/vial/x/memory.memsw.limit_in_bytes (--memory-swap)",
        "write 512 to /cg/cpu,cpuacct/vial/x/cpu.shares (--cpu-shares)",
        "write a to /cg/devices/vial/x/devices.deny (--device)",
    ];
    assert_eq!(lines(&v1_host(), &limits), expected);
}

#[test]
fn cpusets_of_v1_are_filled_from_the_top_down_except_for_what_is_given() {
    let limits = r#""cpu":{"cpus":"0"}"#;
    let expected = [
        "make group /cg/cpuset/vial/x",
        "make group /cg/freezer/vial/x",
        "fill /cg/cpuset/vial/cpuset.cpus from above",
        "fill /cg/cpuset/vial/cpuset.mems from above",
        "fill /cg/cpuset/vial/x/cpuset.mems from above",
        "write 0 to /cg/cpuset/vial/x/cpuset.cpus (--cpuset-cpus)",
    ];
    assert_eq!(lines(&v1_host(), limits), expected);
}

#[test]
fn v2_controllers_are_switched_on_from_the_top_down_before_anything_is_written() {
    let limits = [r#""pids":{"limit":-1},"memory":{"limit":4096},"#, DENY_ALL].concat();
    let expected = [
        "make group /cg/vial/x",
        "write +memory +pids to /cg/cgroup.subtree_control",
        "write +memory +pids to /cg/vial/cgroup.subtree_control",
        "write 4096 to /cg/vial/x/memory.max (--memory)",
        "write max to /cg/vial/x/pids.max (--pids-limit)",
        "attach a device filter of 8 instructions to /cg/vial/x (--device)",
    ];
    assert_eq!(lines(&v2_host(), &limits), expected);
}

#[test]
fn on_a_hybrid_host_each_limit_goes_where_its_controller_is() {
    let limits = r#""hugepageLimits":[{"pageSize":"2MB","limit":0}],"memory":{"limit":1}"#;
    let expected = [
        "make group /cg/memory/vial/x",
        "make group /cg/unified/vial/x",
        "make group /cg/freezer/vial/x",
        "write +hugetlb to /cg/unified/cgroup.subtree_control",
        "write +hugetlb to /cg/unified/vial/cgroup.subtree_control",
        "write 1 to /cg/memory/vial/x/memory.limit_in_bytes (--memory)",
        "write 0 to /cg/unified/vial/x/hugetlb.2MB.max (linux.resources.hugepageLimits)",
    ];
    assert_eq!(lines(&v1_host(), limits), expected);
}

#[test]
fn a_limit_without_its_controller_is_unmet_and_names_controller_option_and_kernel_option() {
    let limits = [r#""pids":{"limit":5},"#, DENY_ALL].concat();
    let none = planned(&Hierarchies::default(), &limits, "x");
    let text: Vec<String> = none.unmet.iter().map(ToString::to_string).collect();
    for (text, words) in
        text.iter().zip([["pids", "--pids-limit", "CONFIG_CGROUP_PIDS"], ["devices", "--device", "CONFIG_CGROUP_BPF"]])
    {
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
    assert_eq!(text.len(), 2);
    let hybrid = planned(&v1_host(), &limits, "x");
    assert_eq!(hybrid.unmet.len(), 1);
}

fn changed(members: &str, memsw_now: u64) -> Vec<String> {
    let path = GroupPath::new("x").unwrap();
    let plan = plan(&v1_host(), &limits(members), path, Some(memsw_now), false).unwrap();
    lines_of(&plan)
        .iter()
        .filter_map(|line| Some(line.split_once("write ")?.1.split(' ').next()?.to_string()))
        .collect()
}

#[test]
fn memory_goes_before_memory_and_swap_in_a_fresh_group_and_when_lowered_and_after_it_when_raised() {
    let fresh = lines(&v1_host(), r#""memory":{"limit":1,"swap":2}"#);
    assert!(fresh[2].starts_with("write 1 to") && fresh[3].starts_with("write 2 to"), "{fresh:?}");
    let both = |limit, swap| format!("\"memory\":{{\"limit\":{limit},\"swap\":{swap}}}");
    assert_eq!(changed(&both(1, 2), 4), ["1", "2"]);
    assert_eq!(changed(&both(8, -1), 4), ["-1", "8"]);
    assert_eq!(changed(&both(-1, -1), 4), ["-1", "-1"]);
    assert_eq!(changed(&[&*both(8, 9), ",\"cpu\":{\"shares\":3}"].concat(), 4), ["9", "8", "3"]);
}

#[test]
fn the_idle_state_is_left_before_and_entered_after_shares() {
    assert_eq!(changed(r#""memory":{"limit":1},"cpu":{"shares":512,"idle":0}"#, 9), ["1", "0", "512"]);
    assert_eq!(changed(r#""memory":{"limit":1},"cpu":{"shares":512,"idle":1}"#, 9), ["1", "512", "1"]);
}

#[test]
fn what_only_v1_has_is_unmet_and_names_the_option() {
    let plan = planned(&v2_host(), r#""memory":{"swappiness":1,"disableOOMKiller":true,"kernelTCP":1}"#, "x");
    for (error, option) in
        plan.unmet.iter().zip(["linux.resources.memory.kernelTCP", "--memory-swappiness", "--oom-kill-disable"])
    {
        assert!(error.to_string().contains(&format!("{option} can't be enforced: cgroup v2 has nothing")), "{error}");
    }
    assert_eq!((plan.unmet.len(), plan.steps.len()), (3, 1));
}

#[test]
fn numbers_that_no_device_has_are_refused() {
    let limits = r#""blockIO":{"throttleReadBpsDevice":[{"major":4294967304,"minor":0,"rate":1}]}"#;
    let blkio = host(&[(Version::V1, "/cg/blkio", "blkio")]);
    let plan = planned(&blkio, limits, "x");
    assert!(plan.unmet[0].to_string().contains("--device-read-bps: 4294967304:0 are no device numbers"));
    assert_eq!(*plan.steps, []);
}

#[test]
fn raw_v2_files_need_their_controller_on_v2() {
    let unified = |file: &str| format!("\"unified\":{{\"{file}\":\"1\"}}");
    assert_eq!(lines(&v2_host(), &unified("memory.high")).len(), 4);
    assert_eq!(lines(&v1_host(), &unified("cgroup.max.depth")).len(), 3);
    for file in ["memory.high", "../memory.max", "x"] {
        let plan = planned(&v1_host(), &unified(file), "x");
        assert_eq!((plan.unmet.len(), plan.steps.len()), (1, 0), "{file}");
    }
}

#[test]
fn a_group_for_others_is_in_all_hierarchies_and_counts_what_it_can() {
    let path = GroupPath::new("/a/b").unwrap();
    let hierarchies = v2_host();
    let whole = plan(&hierarchies, &limits(""), path, None, true).unwrap();
    let lines = lines_of(&whole);
    assert!(lines.contains(&"write +memory to /cg/a/cgroup.subtree_control if it can be".to_string()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("hugetlb")), "{lines:?}");
    let v1 = v1_host();
    let whole = plan(&v1, &limits(""), path, None, true).unwrap();
    assert_eq!(whole.directories.len(), v1.iter().count());
}
