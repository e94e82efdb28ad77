//! Plans for hosts of every kind, line by line.

use super::super::devices::{Access, DeviceKind, DeviceRule};
use super::*;
use crate::kernel::cgroup::Hierarchy;
use crate::kernel::cgroup::limits::{BlockThrottle, BlockWeight, Rdma, ThrottleKind};
use std::vec;

fn host(list: &[(Version, &str, &[&str])]) -> Hierarchies {
    let hierarchy = |(version, mount, controllers): &(Version, &str, &[&str])| Hierarchy {
        version: *version,
        mount: (*mount).to_string(),
        controllers: controllers.iter().map(ToString::to_string).collect(),
    };
    list.iter().map(hierarchy).collect()
}

fn v1_host() -> Hierarchies {
    host(&[
        (Version::V1, "/cg/memory", &["memory"]),
        (Version::V1, "/cg/cpu,cpuacct", &["cpu", "cpuacct"]),
        (Version::V1, "/cg/cpuset", &["cpuset"]),
        (Version::V1, "/cg/devices", &["devices"]),
        (Version::V1, "/cg/freezer", &["freezer"]),
        (Version::V2, "/cg/unified", &["hugetlb"]),
    ])
}

fn v2_host() -> Hierarchies {
    host(&[(Version::V2, "/cg", &["cpuset", "cpu", "io", "memory", "pids"])])
}

fn lines(hierarchies: &Hierarchies, limits: &Limits, extent: Extent) -> Vec<String> {
    let plan = plan(hierarchies, limits, &GroupPath::new("vial/x").unwrap(), extent);
    assert_eq!(plan.unmet, []);
    plan.to_string().lines().map(ToString::to_string).collect()
}

fn deny_all() -> Vec<DeviceRule> {
    vec![DeviceRule { allow: false, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL }]
}

/// A limit of every kind.
fn everything() -> Limits {
    let throttle = |kind| BlockThrottle { device: (8, 0), kind, rate: 1 };
    Limits {
        memory: Some(1),
        memory_reservation: Some(1),
        memory_swap: Some(1),
        memory_swappiness: Some(1),
        memory_kernel: Some(1),
        memory_kernel_tcp: Some(1),
        oom_kill_disable: true,
        cpu_shares: Some(2),
        cpu_quota: Some(1),
        cpu_period: Some(1),
        cpu_burst: Some(1),
        cpu_idle: Some(1),
        cpu_realtime_period: Some(1),
        cpu_realtime_runtime: Some(1),
        cpuset_cpus: Some("0".to_string()),
        cpuset_mems: Some("0".to_string()),
        pids: Some(1),
        block_weight: Some(10),
        block_leaf_weight: Some(10),
        block_weights: vec![BlockWeight { device: (8, 0), weight: Some(10), leaf_weight: Some(10) }],
        block_throttles: vec![
            throttle(ThrottleKind::ReadBytes),
            throttle(ThrottleKind::WriteBytes),
            throttle(ThrottleKind::Reads),
            throttle(ThrottleKind::Writes),
        ],
        hugepages: vec![("2MB".to_string(), 0)],
        rdma: vec![("mlx5_0".to_string(), Rdma { handles: Some(1), objects: None })],
        network_class: Some(1),
        network_priorities: vec![("lo".to_string(), 1)],
        devices: deny_all(),
        unified: Vec::new(),
    }
}

#[test]
fn without_limits_the_group_is_only_where_it_can_be_stopped() {
    assert_eq!(lines(&v1_host(), &Limits::default(), Extent::Needed), ["make group /cg/freezer/vial/x"]);
    assert_eq!(lines(&v2_host(), &Limits::default(), Extent::Needed), ["make group /cg/vial/x"]);
    assert!(lines(&Hierarchies::default(), &Limits::default(), Extent::Needed).is_empty());
}

#[test]
fn an_accounted_group_is_where_its_use_is_counted() {
    let expected =
        ["make group /cg/memory/vial/x", "make group /cg/cpu,cpuacct/vial/x", "make group /cg/freezer/vial/x"];
    assert_eq!(lines(&v1_host(), &Limits::default(), Extent::Accounted), expected);
    let expected = [
        "make group /cg/vial/x",
        "write +memory +pids +io to /cg/cgroup.subtree_control",
        "write +memory +pids +io to /cg/vial/cgroup.subtree_control",
    ];
    assert_eq!(lines(&v2_host(), &Limits::default(), Extent::Accounted), expected);
}

#[test]
fn v1_limits_go_to_the_hierarchies_of_their_controllers() {
    let limits = Limits {
        memory: Some(4096),
        memory_swap: Some(8192),
        cpu_shares: Some(512),
        devices: deny_all(),
        ..Limits::default()
    };
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
    assert_eq!(lines(&v1_host(), &limits, Extent::Needed), expected);
}

#[test]
fn cpusets_of_v1_are_filled_from_the_top_down_except_for_what_is_given() {
    let limits = Limits { cpuset_cpus: Some("0".to_string()), ..Limits::default() };
    let expected = [
        "make group /cg/cpuset/vial/x",
        "make group /cg/freezer/vial/x",
        "fill /cg/cpuset/vial/cpuset.cpus from above",
        "fill /cg/cpuset/vial/cpuset.mems from above",
        "fill /cg/cpuset/vial/x/cpuset.mems from above",
        "write 0 to /cg/cpuset/vial/x/cpuset.cpus (--cpuset-cpus)",
    ];
    assert_eq!(lines(&v1_host(), &limits, Extent::Needed), expected);
}

#[test]
fn v2_controllers_are_switched_on_from_the_top_down_before_anything_is_written() {
    let limits = Limits { pids: Some(-1), memory: Some(4096), devices: deny_all(), ..Limits::default() };
    let expected = [
        "make group /cg/vial/x",
        "write +memory +pids to /cg/cgroup.subtree_control",
        "write +memory +pids to /cg/vial/cgroup.subtree_control",
        "write 4096 to /cg/vial/x/memory.max (--memory)",
        "write max to /cg/vial/x/pids.max (--pids-limit)",
        "attach a device filter of 8 instructions to /cg/vial/x (--device)",
    ];
    assert_eq!(lines(&v2_host(), &limits, Extent::Needed), expected);
}

#[test]
fn on_a_hybrid_host_each_limit_goes_where_its_controller_is() {
    let limits = Limits { hugepages: vec![("2MB".to_string(), 0)], memory: Some(1), ..Limits::default() };
    let expected = [
        "make group /cg/memory/vial/x",
        "make group /cg/unified/vial/x",
        "make group /cg/freezer/vial/x",
        "write +hugetlb to /cg/unified/cgroup.subtree_control",
        "write +hugetlb to /cg/unified/vial/cgroup.subtree_control",
        "write 1 to /cg/memory/vial/x/memory.limit_in_bytes (--memory)",
        "write 0 to /cg/unified/vial/x/hugetlb.2MB.max (linux.resources.hugepageLimits)",
    ];
    assert_eq!(lines(&v1_host(), &limits, Extent::Needed), expected);
}

#[test]
fn a_limit_without_its_controller_is_unmet_and_names_controller_option_and_kernel_option() {
    let limits = Limits { pids: Some(5), devices: deny_all(), ..Limits::default() };
    let none = plan(&Hierarchies::default(), &limits, &GroupPath::new("x").unwrap(), Extent::Needed);
    let text: Vec<String> = none.unmet.iter().map(ToString::to_string).collect();
    for (text, words) in
        text.iter().zip([["pids", "--pids-limit", "CONFIG_CGROUP_PIDS"], ["devices", "--device", "CONFIG_CGROUP_BPF"]])
    {
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
    assert_eq!(text.len(), 2);
    let hybrid = plan(&v1_host(), &limits, &GroupPath::new("x").unwrap(), Extent::Needed);
    assert_eq!(hybrid.unmet.len(), 1);
}

#[test]
fn every_limit_of_v1_belongs_to_a_controller_of_the_table() {
    let limits = everything();
    for write in v1::writes(&limits, None) {
        let known = CONTROLLERS.iter().any(|controller| controller.v1 == write.controller);
        assert!(known || write.controller == "devices", "{write:?}");
    }
}

#[test]
fn raw_v2_files_need_their_controller_on_v2() {
    let unified = |file: &str| Limits { unified: vec![(file.to_string(), "1".to_string())], ..Limits::default() };
    assert_eq!(lines(&v2_host(), &unified("memory.high"), Extent::Needed).len(), 4);
    assert_eq!(lines(&v1_host(), &unified("cgroup.max.depth"), Extent::Needed).len(), 3);
    for file in ["memory.high", "../memory.max", "x"] {
        let plan = plan(&v1_host(), &unified(file), &GroupPath::new("x").unwrap(), Extent::Needed);
        assert_eq!((plan.unmet.len(), plan.steps.len()), (1, 0), "{file}");
    }
}
