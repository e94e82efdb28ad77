//! The order of the plan, which is what keeps the host out of reach.

use super::*;
use crate::container::defaults;
use crate::container::spec::{Device, DeviceKind, Linux, Mount, Namespace, Root as SpecRoot};

fn spec() -> Spec {
    let bind = Mount {
        destination: "/data",
        source: Some("/srv/data"),
        options: ["rbind", "ro", "rro"].to_vec(),
        ..Mount::default()
    };
    let mut mounts = core::mem::take(&mut defaults::spec().unwrap().mounts);
    mounts.push(bind);
    Spec {
        process: Some(Process { cwd: "/work", terminal: true, ..Process::default() }),
        root: Some(SpecRoot { path: "rootfs", readonly: true }),
        hostname: Some("box"),
        mounts,
        linux: Some(Linux {
            namespaces: namespaces(defaults::spec().unwrap()).to_vec(),
            masked_paths: alloc::vec!["/proc/kcore"],
            readonly_paths: alloc::vec!["/proc/sys"],
            sysctl: alloc::vec![("net.ipv4.ip_forward", "1")],
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

fn overlay() -> Root {
    let layers = &["../a:b", "/c,d"];
    Root::Overlay { layers, image: "", upper: "upper", work: "work", target: "rootfs", volatile: true }
}

fn planned(spec: &Spec, cgroups: &[CgroupMount]) -> Vec<Action> {
    let steps =
        plan(spec, &Setting { root: overlay(), cgroups, fills: &[], confined: false, shifted: false, hooks: false })
            .unwrap();
    assert!(steps.iter().all(|step| !step.why.is_empty()), "every step has a reason");
    steps.iter().map(|step| step.action).collect()
}

fn place(actions: &[Action], what: impl Fn(&Action) -> bool) -> usize {
    actions.iter().position(what).expect("the action is in the plan")
}

fn is_at(action: &Action, path: &str) -> bool {
    let bytes = path.as_bytes();
    match action {
        Action::Filesystem { target, .. } | Action::Attach { target, .. } => target.to_bytes() == bytes,
        Action::Mask { path } | Action::ReadOnly { path } => path.to_bytes() == bytes,
        Action::Sysctl { path, .. } => path.as_bytes() == bytes,
        _ => false,
    }
}

#[test]
fn the_hosts_trees_are_taken_before_the_root_changes_and_nothing_is_mounted_until_it_has() {
    let actions = planned(&spec(), &[]);
    let take = place(&actions, |action| matches!(action, Action::Take { .. }));
    let private = place(&actions, |action| *action == Action::Private);
    let enter = place(&actions, |action| matches!(action, Action::EnterRoot { .. }));
    let first_mount = place(&actions, |action| matches!(action, Action::Filesystem { .. } | Action::Attach { .. }));
    assert!(take < private && private < enter && enter < first_mount);
}

#[test]
fn what_hides_the_host_comes_after_what_needs_it_and_before_the_user_changes() {
    let actions = planned(&spec(), &[]);
    let proc = place(&actions, |action| is_at(action, "/proc"));
    let sysctl = place(&actions, |action| is_at(action, "sys/net/ipv4/ip_forward"));
    let read_only = place(&actions, |action| is_at(action, "/proc/sys"));
    let null = place(&actions, |action| matches!(action, Action::Device { path, .. } if *path == c"/dev/null"));
    let mask = place(&actions, |action| is_at(action, "/proc/kcore"));
    let directory = place(&actions, |action| matches!(action, Action::MakeWorkingDirectory { .. }));
    let seal = place(&actions, |action| matches!(action, Action::Seal { path } if *path == c"/"));
    let user = place(&actions, |action| matches!(action, Action::Become { .. }));
    assert!(proc < sysctl && sysctl < read_only && null < mask && mask < directory && directory < seal && seal < user);
}

#[test]
fn devices_lie_on_the_containers_own_dev_and_the_console_on_its_own_devpts() {
    let actions = planned(&spec(), &[]);
    let dev = place(&actions, |action| is_at(action, "/dev"));
    let device = place(&actions, |action| matches!(action, Action::Device { .. }));
    let pts = place(&actions, |action| is_at(action, "/dev/pts"));
    let console = place(&actions, |action| *action == Action::Console { first: true });
    assert!(dev < device && pts < console);
}

#[test]
fn overlays_own_separators_in_a_path_are_escaped() {
    let actions = planned(&spec(), &[]);
    let at = place(&actions, |action| matches!(action, Action::Overlay { .. }));
    let Action::Overlay { data, .. } = &actions[at] else { unreachable!() };
    assert_eq!(*data, c"lowerdir=../a\\:b:/c\\,d,upperdir=upper,workdir=work,redirect_dir=off,metacopy=off,index=off");
}

#[test]
fn read_only_means_the_whole_tree() {
    let actions = planned(&spec(), &[]);
    let at = place(&actions, |action| is_at(action, "/data"));
    let Action::Attach { options, .. } = &actions[at] else { unreachable!() };
    assert_ne!(options.set & libc::MS_RDONLY, 0);
    assert_ne!(options.recursive, 0);
}

#[test]
fn several_hierarchies_lie_on_a_read_only_tmpfs_and_one_is_mounted_in_its_place() {
    let v1 = |name| CgroupMount { name, kind: c"cgroup", data: name, path: "/groups/own" };
    let actions = planned(&spec(), &[v1("pids"), v1("cpu,cpuacct")]);
    let tmpfs = place(&actions, |action| is_at(action, "/sys/fs/cgroup"));
    let pids = place(&actions, |action| is_at(action, "/sys/fs/cgroup/pids"));
    let seal = place(&actions, |action| matches!(action, Action::Seal { path } if *path == c"/sys/fs/cgroup"));
    assert!(tmpfs < pids && pids < seal);
    let v2 = CgroupMount { name: "", kind: c"cgroup2", data: "", path: "/groups/own" };
    let actions = planned(&spec(), &[v2]);
    let at = place(&actions, |action| is_at(action, "/sys/fs/cgroup"));
    assert!(matches!(&actions[at], Action::Filesystem { kind, .. } if *kind == c"cgroup2"));
}

#[test]
fn without_a_cgroup_namespace_only_the_containers_own_groups_are_shown() {
    let mut spec = spec();
    spec.linux.as_mut().unwrap().namespaces.retain(|namespace| namespace.kind != NamespaceKind::Cgroup);
    let v1 = |name| CgroupMount { name, kind: c"cgroup", data: name, path: "/groups/own" };
    let actions = planned(&spec, &[v1("pids"), v1("memory")]);
    let takes =
        actions.iter().filter(|action| matches!(action, Action::Take { source, .. } if *source == c"/groups/own"));
    assert_eq!(takes.count(), 2);
    let at = place(&actions, |action| is_at(action, "/sys/fs/cgroup/memory"));
    assert!(matches!(&actions[at], Action::Attach { options, .. } if options.set & libc::MS_RDONLY != 0));
    assert!(!actions.iter().any(|action| matches!(action, Action::Filesystem { kind, .. } if *kind == c"cgroup")));
    let v2 = CgroupMount { name: "", kind: c"cgroup2", data: "", path: "/groups/own" };
    let actions = planned(&spec, &[v2]);
    let at = place(&actions, |action| is_at(action, "/sys/fs/cgroup"));
    assert!(matches!(&actions[at], Action::Filesystem { kind, .. } if *kind == c"cgroup2"));
}

#[test]
fn only_a_network_of_its_own_gets_a_loopback_interface() {
    let mut spec = spec();
    assert!(planned(&spec, &[]).contains(&Action::Loopback));
    let linux = spec.linux.as_mut().unwrap();
    linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
    linux.namespaces.push(Namespace { kind: NamespaceKind::Network, path: Some("/proc/1/ns/net") });
    let actions = planned(&spec, &[]);
    assert!(!actions.contains(&Action::Loopback));
    assert!(matches!(actions[0], Action::Join { .. }), "a shared namespace is joined first");
}

/// What is seldom done, in its order, and what else there is.
fn rare_at(actions: &[Action], what: impl Fn(&Rare) -> bool) -> usize {
    place(actions, |action| matches!(action, Action::Rare(rare) if what(rare)))
}

/// A specification from JSON, merged into nothing.
fn rare_spec(linux: &str, process: &str, mounts: &str) -> Spec {
    let text = std::format!(
        r#"{{"ociVersion":"1.3.0","root":{{"path":"rootfs"}},"process":{{"cwd":"/","args":["sh"]{process}}},
        "mounts":[{{"destination":"/proc","type":"proc"}}{mounts}],
        "linux":{{"namespaces":[{{"type":"mount"}},{{"type":"pid"}}{linux}}}}}"#
    );
    let value = crate::base::json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    Spec::from_json(&value).unwrap()
}

#[test]
fn clocks_are_set_while_the_hosts_proc_is_there_and_the_rest_before_the_user_changes() {
    let spec = rare_spec(
        r#",{"type":"time"}],"timeOffsets":{"monotonic":{"secs":-5,"nanosecs":6},"boottime":{"secs":7}},
           "personality":{"domain":"LINUX32"},"memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]},
           "intelRdt":{"closID":"own","l3CacheSchema":"L3:0=f","schemata":["MB:0=10"],"enableMonitoring":true}"#,
        r#","scheduler":{"policy":"SCHED_BATCH","nice":3,"flags":["SCHED_FLAG_RESET_ON_FORK"]},
           "ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4},"execCPUAffinity":{"initial":"0"}"#,
        "",
    );
    let actions = planned(&spec, &[]);
    let enter = place(&actions, |action| matches!(action, Action::EnterRoot { .. }));
    let time = rare_at(&actions, |rare| *rare == Rare::Time { offsets: "monotonic -5 6\nboottime 7 0\n" });
    let caches = rare_at(&actions, |rare| {
        *rare == Rare::Caches { group: "own", schemata: "L3:0=f\nMB:0=10\n", monitored: true }
    });
    assert!(time < enter && caches < enter);
    let user = place(&actions, |action| matches!(action, Action::Become { .. }));
    let late = [
        rare_at(
            &actions,
            |rare| matches!(rare, Rare::Scheduler { attributes, .. } if (attributes.policy, attributes.nice, attributes.flags) == (3, 3, 1)),
        ),
        rare_at(&actions, |rare| matches!(rare, Rare::IoPriority { priority, .. } if *priority == 2 << 13 | 4)),
        rare_at(
            &actions,
            |rare| matches!(rare, Rare::Memory { number, nodes, any: true, .. } if *number == 2 | 1 << 15 && nodes[0] == 1),
        ),
        rare_at(&actions, |rare| *rare == Rare::Personality { domain: 8 }),
    ];
    assert!(late.iter().all(|at| enter < *at && *at < user), "{late:?}");
    let is_affinity = |action: &Action| matches!(action, Action::Rare(Rare::Processors { .. }));
    assert!(!actions.iter().any(is_affinity), "that is for further processes");
    assert_eq!(
        made_by_clone(&spec).unwrap().0,
        libc::CLONE_NEWNS | libc::CLONE_NEWPID,
        "clone(2) takes no time namespace"
    );
}

#[test]
fn a_further_process_is_on_its_processors_before_and_after_it_joins() {
    let spec = rare_spec("]", r#","execCPUAffinity":{"initial":"0-1,3","final":"1"}"#, "");
    let container = Entered { held: -1, pid: 1, then: 0 };
    let steps = enter(&spec, spec.process.as_ref().unwrap(), container).unwrap();
    let actions: Vec<Action> = steps.iter().map(|step| step.action).collect();
    let first = rare_at(&actions, |rare| matches!(rare, Rare::Processors { set, early: true, .. } if set[0] == 0b1011));
    let joins = place(&actions, |action| matches!(action, Action::Enter { .. }));
    let last = rare_at(&actions, |rare| matches!(rare, Rare::Processors { set, early: false, .. } if set[0] == 0b10));
    assert!(first < joins && joins < last);
    assert_eq!(crate::container::child::early(steps), first + 1, "and then it joins the control group");
}

#[test]
fn a_root_that_sees_the_hosts_mounts_is_cut_off_in_one_direction_only() {
    for (word, cut, last) in [
        ("slave", libc::MS_SLAVE | libc::MS_REC, libc::MS_SLAVE),
        ("rshared", libc::MS_SLAVE | libc::MS_REC, libc::MS_SHARED | libc::MS_REC),
        ("unbindable", 0, libc::MS_UNBINDABLE),
        ("private", 0, 0),
    ] {
        let spec = rare_spec(&std::format!(r#"],"readonlyPaths":["/proc/sys"],"rootfsPropagation":"{word}""#), "", "");
        let actions = planned(&spec, &[]);
        let spreads: Vec<usize> =
            (0..actions.len()).filter(|at| matches!(actions[*at], Action::Rare(Rare::Spread { .. }))).collect();
        let is = |at: usize, wanted| matches!(actions[at], Action::Rare(Rare::Spread { propagation, target, .. }) if *propagation == wanted && *target == c"/");
        assert_eq!(spreads.len(), usize::from(cut != 0) + usize::from(last != 0), "{word}");
        assert_eq!(actions.contains(&Action::Private), cut == 0, "{word}");
        if cut != 0 {
            assert!(
                is(spreads[0], cut)
                    && spreads[0] < place(&actions, |action| matches!(action, Action::EnterRoot { .. }))
            );
        }
        if last != 0 {
            let at = *spreads.last().unwrap();
            assert!(is(at, last) && at > place(&actions, |action| is_at(action, "/proc/sys")), "{word}");
        }
    }
    let spec = rare_spec(r#"],"rootfsPropagation":"sideways""#, "", "");
    let setting = Setting { root: overlay(), cgroups: &[], fills: &[], confined: false, hooks: false, shifted: false };
    assert!(
        plan(&spec, &setting)
            .unwrap_err()
            .to_string()
            .contains("linux.rootfsPropagation: unknown propagation sideways")
    );
}

#[test]
fn a_user_namespace_that_is_there_is_entered_as_a_new_one_is() {
    let spec =
        rare_spec(r#",{"type":"user","path":"/proc/9/ns/user"},{"type":"network","path":"/proc/9/ns/net"}]"#, "", "");
    let setting = Setting {
        root: Root::Directory("/srv"),
        cgroups: &[],
        fills: &[],
        confined: false,
        hooks: false,
        shifted: true,
    };
    let actions: Vec<Action> = plan(&spec, &setting).unwrap().iter().map(|step| step.action).collect();
    let held = rare_at(&actions, |rare| matches!(rare, Rare::Users { path } if *path == c"/proc/9/ns/user"));
    let network = place(&actions, |action| matches!(action, Action::Join { .. }));
    let users = place(&actions, |action| matches!(action, Action::EnterUsers { .. }));
    assert!(held < network && network < users);
    assert_eq!(actions.iter().filter(|action| matches!(action, Action::Join { .. })).count(), 1);
    assert_ne!(made_by_clone(&spec).unwrap().0 & libc::CLONE_NEWUSER, 0);
}

#[test]
fn the_mount_namespace_is_joined_last_since_paths_are_its_own_from_then_on() {
    let mut spec = spec();
    let at = |kind, path| Namespace { kind, path: Some(path) };
    spec.linux.as_mut().unwrap().namespaces =
        alloc::vec![at(NamespaceKind::Mount, "/m"), at(NamespaceKind::Time, "/t"), at(NamespaceKind::Ipc, "/i")];
    let actions = planned(&spec, &[]);
    let joined: Vec<&CStr> = actions
        .iter()
        .filter_map(|action| if let Action::Join { path, .. } = action { Some(*path) } else { None })
        .collect();
    assert_eq!(joined, [c"/t", c"/i", c"/m"]);
}

#[test]
fn mounts_of_all_kinds_are_made_where_they_can_see_what_they_need() {
    let spec = rare_spec(
        "]",
        "",
        r#",{"destination":"/disk","type":"ext4","source":"/dev/sdz","options":["ro"]},
        {"destination":"/etc","type":"tmpfs","source":"tmpfs","options":["tmpcopyup","mode=755"]},
        {"destination":"/shared","type":"tmpfs","options":["rshared","rnosuid","rnoatime"]},
        {"destination":"/bound","type":"bind","source":"data"},
        {"destination":"/mapped","source":"/srv","options":["rbind","ridmap"],
         "uidMappings":[{"containerID":0,"hostID":1000,"size":5}],"gidMappings":[{"containerID":0,"hostID":2000,"size":5}]},
        {"destination":"/bound","options":["bind","remount","ro"]}"#,
    );
    let actions = planned(&spec, &[]);
    let enter = place(&actions, |action| matches!(action, Action::EnterRoot { .. }));
    let disk = place(
        &actions,
        |action| matches!(action, Action::Make { kind, source, .. } if (*kind, *source) == (c"ext4", c"/dev/sdz")),
    );
    let copy = place(
        &actions,
        |action| matches!(action, Action::Make { kind, source, .. } if (*kind, *source) == (c"tmpfs", c"tmpfs")),
    );
    assert!(disk < enter && copy < enter && enter < place(&actions, |action| is_at(action, "/disk")));
    let fill = place(&actions, |action| matches!(action, Action::Fill { path, .. } if *path == c"/etc"));
    assert!(fill < place(&actions, |action| is_at(action, "/etc")));
    let shared = place(&actions, |action| is_at(action, "/shared"));
    let Action::Rare(Rare::Spread { target, propagation, attributes }) = actions[shared + 1] else {
        panic!("{:?}", actions[shared + 1])
    };
    assert_eq!((*target, *propagation, *attributes), (c"/shared", libc::MS_SHARED | libc::MS_REC, (0x12, 0x70)));
    assert!(place(&actions, |action| matches!(action, Action::Take { source, .. } if *source == c"data")) < enter);
    let mapped = rare_at(&actions, |rare| {
        matches!(rare, Rare::MapOwners { uids: "0 1000 5\n", gids: "0 2000 5\n", recursive: true, .. })
    });
    assert!(mapped < enter);
    let again = actions.iter().rposition(|action| is_at(action, "/bound")).unwrap();
    let Action::Filesystem { flags, .. } = actions[again] else { panic!("{:?}", actions[again]) };
    assert_eq!(flags, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY);
}

#[test]
fn a_dev_of_the_roots_own_gets_the_devices_that_it_lacks_and_one_of_the_hosts_none() {
    let own = planned(&rare_spec("]", "", ""), &[]);
    assert_eq!(own.iter().filter(|action| matches!(action, Action::Rare(Rare::Device { .. }))).count(), 6);
    assert!(!own.iter().any(|action| matches!(action, Action::Device { .. })));
    let hosts = planned(&rare_spec("]", "", r#",{"destination":"/dev","source":"/dev","options":["rbind"]}"#), &[]);
    let is_device = |action: &Action| {
        matches!(action, Action::Device { .. } | Action::Link { .. } | Action::Rare(Rare::Device { .. }))
    };
    assert!(!hosts.iter().any(is_device));
}

#[test]
fn what_is_unknown_is_refused_by_member() {
    let refused = |change: fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        plan(
            &spec,
            &Setting { root: overlay(), cgroups: &[], fills: &[], confined: false, shifted: false, hooks: false },
        )
        .unwrap_err()
        .to_string()
    };
    let rlimit = refused(|spec| {
        let limit = crate::container::spec::Rlimit { kind: "RLIMIT_PUDDING", soft: 1, hard: 1 };
        spec.process.as_mut().unwrap().rlimits.push(limit);
    });
    assert!(rlimit.contains("process.rlimits") && rlimit.contains("PUDDING"), "{rlimit}");
    let source = refused(|spec| spec.mounts.last_mut().unwrap().source = None);
    assert!(source.contains("/data has no source"), "{source}");
}

#[test]
fn in_a_user_namespace_devices_are_the_hosts_and_proc_is_made_while_the_hosts_can_be_seen() {
    let mut spec = spec();
    let device = |path, kind| Device { kind, path, ..Default::default() };
    if let Some(linux) = &mut spec.linux {
        linux.devices = alloc::vec![device("/dev/fuse", DeviceKind::Char), device("/dev/pipe", DeviceKind::Fifo)];
    }
    let setting = Setting { root: overlay(), cgroups: &[], fills: &[], confined: true, shifted: false, hooks: false };
    let actions: Vec<Action> = plan(&spec, &setting).unwrap().iter().map(|step| step.action).collect();
    let leave = place(&actions, |action| matches!(action, Action::EnterRoot { .. }));
    let taken = |path| place(&actions, |action| matches!(action, Action::Take { source, .. } if *source == path));
    let put = |path| place(&actions, |action| matches!(action, Action::Attach { target, .. } if *target == path));
    for path in [c"/dev/null", c"/dev/tty", c"/dev/fuse"] {
        assert!(taken(path) < leave && leave < put(path), "{path:?}");
        let slots = [taken(path), put(path)].map(|at| match actions[at] {
            Action::Take { slot, .. } | Action::Attach { slot, .. } => slot,
            _ => unreachable!(),
        });
        assert_eq!(slots[0], slots[1], "{path:?}");
    }
    for (kind, path) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
        let made = place(&actions, |action| matches!(action, Action::Make { kind: made, .. } if *made == kind));
        assert!(made < leave && leave < put(path));
    }
    let nodes = actions.iter().filter(|action| matches!(action, Action::Device { .. }));
    assert_eq!(nodes.count(), 1, "only the FIFO");
    let data = actions.iter().find_map(|action| match action {
        Action::Overlay { data, .. } => Some(data.to_string_lossy().into_owned()),
        _ => None,
    });
    assert!(data.unwrap().ends_with(",index=off,userxattr"));
}
