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
    let steps = plan(spec, &Setting { root: overlay(), cgroups, fills: &[], confined: false, shifted: false }).unwrap();
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
    let v1 = |name| CgroupMount { name, kind: c"cgroup", data: name };
    let actions = planned(&spec(), &[v1("pids"), v1("cpu,cpuacct")]);
    let tmpfs = place(&actions, |action| is_at(action, "/sys/fs/cgroup"));
    let pids = place(&actions, |action| is_at(action, "/sys/fs/cgroup/pids"));
    let seal = place(&actions, |action| matches!(action, Action::Seal { path } if *path == c"/sys/fs/cgroup"));
    assert!(tmpfs < pids && pids < seal);
    let v2 = CgroupMount { name: "", kind: c"cgroup2", data: "" };
    let actions = planned(&spec(), &[v2]);
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

#[test]
fn what_is_unknown_is_refused_by_member() {
    let refused = |change: fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        plan(&spec, &Setting { root: overlay(), cgroups: &[], fills: &[], confined: false, shifted: false })
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
    let setting = Setting { root: overlay(), cgroups: &[], fills: &[], confined: true, shifted: false };
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
