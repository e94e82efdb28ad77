mod refused;

use super::mounts::{Mount, Propagation, Source, Tmpfs};
use super::namespaces::{HostEntry, Namespace};
use super::process::{Ulimit, Variable, Who};
use super::*;
use crate::cli::flags::{Takes, command, table};
use crate::cli::parse::parse;
use crate::kernel::security::caps;

/// What options are made of stays, so the words do too.
fn read(words: &[&str]) -> Result<RunOptions<'static>> {
    let words: Vec<&'static [u8]> = words.iter().map(|word| &*word.as_bytes().to_vec().leak()).collect();
    let parsed = parse(words.leak()).unwrap_or_else(|(_, error)| panic!("{error}"));
    RunOptions::from_parsed(Box::leak(Box::new(parsed))).map(core::mem::take)
}

/// `run FLAGS host true` with the flags separated by single spaces.
fn run(flags: &str) -> RunOptions<'static> {
    let mut words = vec!["run"];
    words.extend(flags.split(' ').filter(|word| !word.is_empty()));
    words.extend(["host", "true"]);
    read(&words).unwrap_or_else(|error| panic!("{flags}: {error}"))
}

fn error(words: &[&str]) -> String {
    let mut all = vec!["run"];
    all.extend(words);
    all.push("host");
    match read(&all) {
        Ok(options) => panic!("{words:?} was accepted: {options:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_flag_of_run_is_taken_in_by_someone() {
    // An arm that is missing would show as a bad value that is accepted; switches have no bad values.
    let all = run("-i -t -d --rm --init --read-only --dry-run --oom-kill-disable");
    assert!(all.interactive && all.tty && all.record.remove && all.process.init);
    assert!(all.mounts.read_only && all.dry_run && all.limits.oom_kill_disable);
    let none = run("");
    assert!(!none.interactive && !none.tty && !none.record.remove && !none.process.init);
    assert!(!none.mounts.read_only && !none.dry_run && !none.limits.oom_kill_disable);
    assert_eq!(none.limits, limits::Limits::default());
    let switches = command("run").unwrap().flags().filter(|flag| flag.takes == Takes::Switch).count();
    // --sig-proxy is on if it is not said.
    assert!(all.detach && !none.detach && none.manner.proxy && !run("--sig-proxy=false").manner.proxy);
    assert_eq!(switches, 9);
    assert_eq!(table::GLOBAL.flags.len(), 7);
}

#[test]
fn the_image_and_command_are_taken_as_they_are() {
    let options = read(&["run", "alpine:3", "sh", "-c", "--rm"]).unwrap();
    assert!(matches!(options.image, Image::Name(name) if name.name == "alpine"));
    assert_eq!(options.command, [b"sh" as &[u8], b"-c", b"--rm"]);
    assert!(read(&["run", "Alpine"]).unwrap_err().to_string().contains("invalid image \"Alpine\""));
}

#[test]
fn the_record_holds_name_labels_and_files() {
    let record = run("--name web -l a=1 -l b --label-file l --cidfile c").record;
    assert_eq!(record.name, Some("web"));
    assert_eq!(record.labels, [Setting { name: "a", value: "1" }, Setting { name: "b", value: "" }]);
    assert_eq!((record.label_files, record.cidfile), (vec![b"l" as &[u8]], Some(b"c" as &[u8])));
}

#[test]
fn the_log_has_a_driver_and_bounds() {
    let usual = LogOptions::default();
    assert_eq!((run("").record.log, usual.driver), (usual, "k8s-file"));
    let log =
        run("--log-driver json-file --log-opt max-size=20k --log-opt max-file=7 --log-opt max-size=1K").record.log;
    assert_eq!(log, LogOptions { driver: "json-file", max_size: 1024, max_file: 7 });
    for driver in ["k8s-file", "local", "none"] {
        assert_eq!(run(&format!("--log-driver {driver}")).record.log, LogOptions { driver, ..usual });
    }
    let conflict = error(&["--log-opt=max-size=1m", "--log-driver=none"]);
    assert!(conflict.starts_with("--log-opt conflicts with --log-driver none: no log is kept"), "{conflict}");
}

#[test]
fn the_process_has_words_variables_and_limits() {
    let process =
        run("-e A=1=2 -e B -e C= --env-file f -w /srv --entrypoint /init --stop-signal SIGINT --oom-score-adj -500")
            .process;
    let expected: [(&[u8], Option<&[u8]>); 3] = [(b"A", Some(b"1=2")), (b"B", None), (b"C", Some(b""))];
    assert_eq!(process.env, expected.map(|(name, value)| Variable { name, value }));
    assert_eq!((process.env_files, process.workdir), (vec![b"f" as &[u8]], Some("/srv")));
    assert_eq!(
        (process.entrypoint, process.stop_signal, process.oom_score_adj),
        (Some(b"/init" as &[u8]), Some(2), Some(-500))
    );

    let limits =
        run("--ulimit nofile=1:2 --ulimit core=0 --ulimit nofile=1024:unlimited --ulimit stack=-1").process.ulimits;
    let expected = [("core", 0, 0), ("nofile", 1024, u64::MAX), ("stack", u64::MAX, u64::MAX)];
    assert_eq!(limits.iter().map(|limit| (limit.name(), limit.soft, limit.hard)).collect::<Vec<_>>(), expected);
    assert_eq!(limits[1], Ulimit { resource: 7, soft: 1024, hard: u64::MAX });
}

#[test]
fn users_and_groups_are_numbers_or_names() {
    for (text, user, group) in [
        ("0", Who::Id(0), None),
        ("4294967294:007", Who::Id(4_294_967_294), Some(Who::Id(7))),
        ("www-data:adm", Who::Name("www-data"), Some(Who::Name("adm"))),
        ("1a:_x", Who::Name("1a"), Some(Who::Name("_x"))),
    ] {
        let flags = format!("-u {text} --group-add 5 --group-add audio");
        let process = run(&flags).process;
        assert_eq!((process.user, process.group), (Some(user), group), "{text}");
        assert_eq!(process.groups, [Who::Id(5), Who::Name("audio")]);
    }
}

fn bind(path: &str, create: bool, recursive: bool, propagation: Propagation) -> Source<'_> {
    Source::Bind { path, create, recursive, propagation }
}

#[test]
fn mounts_are_host_paths_volumes_and_memory() {
    let private = Propagation::RPrivate;
    let tmpfs = Tmpfs { size: Some(64 << 20), mode: Some(0o1777), ..Tmpfs::default() };
    let named = |copy| Source::Volume { name: "data", copy };
    for (flags, source, target, read_only) in [
        ("-v /a:/b", bind("/a", true, true, private), "/b", false),
        ("-v ./a:/b:ro,z", bind("./a", true, true, private), "/b", true),
        ("-v ../a:/b//c/:rw,rslave,bind", bind("../a", true, false, Propagation::RSlave), "/b/c", false),
        ("-v data:/b:ro", named(true), "/b", true),
        ("-v data:/b:nocopy", named(false), "/b", false),
        ("-v /b", Source::Anonymous { copy: true }, "/b", false),
        ("--mount type=bind,src=/a,dst=/b", bind("/a", false, true, private), "/b", false),
        (
            "--mount type=bind,source=./a,target=/b,readonly,bind-propagation=shared,bind-nonrecursive",
            bind("./a", false, false, Propagation::Shared),
            "/b",
            true,
        ),
        (
            "--mount type=bind,src=/a,destination=/b,ro=false,bind-recursive=disabled",
            bind("/a", false, false, private),
            "/b",
            false,
        ),
        ("--mount \"src=data\",dst=/b,volume-nocopy=true", named(false), "/b", false),
        ("--mount type=volume,dst=/b,ro=1", Source::Anonymous { copy: true }, "/b", true),
        ("--mount type=tmpfs,dst=/b,tmpfs-size=64m,tmpfs-mode=1777", Source::Tmpfs(tmpfs), "/b", false),
        ("--tmpfs /b", Source::Tmpfs(Tmpfs::default()), "/b", false),
        ("--tmpfs /b:size=64m,mode=1777,ro", Source::Tmpfs(tmpfs), "/b", true),
        (
            "--tmpfs /b:exec,suid,dev,uid=1,gid=2,nr_inodes=1k,rw",
            Source::Tmpfs(Tmpfs {
                uid: Some(1),
                gid: Some(2),
                inodes: Some(1024),
                exec: true,
                suid: true,
                dev: true,
                ..Tmpfs::default()
            }),
            "/b",
            false,
        ),
    ] {
        assert_eq!(run(flags).mounts.mounts, [Mount { source, target, read_only }], "{flags}");
    }
    assert_eq!(Propagation::RShared.name(), "rshared");
}

#[test]
fn two_mounts_can_not_have_one_target() {
    let message = error(&["-v", "/a:/b", "--tmpfs", "/x/../b/"]);
    assert!(message.contains("for --tmpfs: another mount has this target"), "{message}");
    assert_eq!(run("-v /a:/b -v /c").mounts.mounts.len(), 2);
}

#[test]
fn devices_have_a_place_and_an_access() {
    for (text, host, container, access) in [
        ("/dev/fuse", "/dev/fuse", "/dev/fuse", "rwm"),
        ("/dev/sda:r", "/dev/sda", "/dev/sda", "r"),
        ("/dev/sda:/dev/xvda", "/dev/sda", "/dev/xvda", "rwm"),
        ("/dev/sda:/dev/xvda:mr", "/dev/sda", "/dev/xvda", "mr"),
    ] {
        let flags = format!("--device {text} --shm-size 1g");
        let mounts = run(&flags).mounts;
        assert_eq!(mounts.devices, [mounts::Device { host, container, access }]);
        assert_eq!(mounts.shm_size, Some(1 << 30));
    }
}

#[test]
fn namespaces_are_private_shared_or_named() {
    let namespaces = run("--net none --pid host --ipc shareable --uts container:web --cgroupns private").namespaces;
    assert_eq!((namespaces.network, namespaces.pid), (Some(Namespace::None), Some(Namespace::Host)));
    assert_eq!((namespaces.ipc, namespaces.uts), (Some(Namespace::Shareable), Some(Namespace::Container("web"))));
    assert_eq!(namespaces.cgroup, Some(Namespace::Private));
    assert_eq!(run("--network ns:/run/netns/x").namespaces.network, Some(Namespace::Path("/run/netns/x")));
    assert_eq!(run("--ipc none").namespaces.ipc, Some(Namespace::None));
    assert_eq!(run("").namespaces.network, None);
}

#[test]
fn names_and_addresses_are_kept_as_text() {
    let flags = "-h web --domainname example.com --add-host a:1.2.3.4 --add-host b=::1 --add-host c:[fd00::1] --add-host d:fd00::2 \
                 --dns 1.1.1.1 --dns ::1 --dns-search example.com --dns-search . --dns-option ndots:2 --sysctl net.ipv4.ip_forward=1 \
                 --sysctl kernel.sem=1 --sysctl fs.mqueue.msg_max=";
    let names = run(flags).namespaces;
    assert_eq!((names.hostname, names.domainname), (Some("web"), Some("example.com")));
    let expected = [("a", "1.2.3.4"), ("b", "::1"), ("c", "fd00::1"), ("d", "fd00::2")];
    assert_eq!(names.hosts, expected.map(|(name, address)| HostEntry { name, address }));
    assert_eq!(
        (names.dns, names.dns_search, names.dns_options),
        (vec!["1.1.1.1", "::1"], vec!["example.com", "."], vec!["ndots:2"])
    );
    let expected = [("net.ipv4.ip_forward", "1"), ("kernel.sem", "1"), ("fs.mqueue.msg_max", "")];
    assert_eq!(names.sysctls, expected.map(|(name, value)| Setting { name, value }));
}

#[test]
fn limits_are_in_the_kernels_units() {
    let limits = run(
        "-m 64m --memory-reservation 64m --memory-high 32m --memory-swap 64m --memory-swappiness 0 -c 2 --cpuset-cpus 0-1,3 --cpuset-mems 0 \
         --pids-limit 10 --blkio-weight 1000 --cpu-quota 1000 --cpu-period 1000000 --cgroup-parent /jobs/a --device-read-bps /dev/sda:1m \
         --device-read-bps /dev/sda:2m --device-write-bps /dev/sdb:1 --device-read-iops /dev/sda:5 --device-write-iops /dev/sda:6",
    )
    .limits;
    assert_eq!(
        (limits.memory, limits.memory_reservation, limits.memory_high),
        (Some(64 << 20), Some(64 << 20), Some(32 << 20))
    );
    assert_eq!((limits.memory_swap, limits.swappiness, limits.cpu_shares), (Some(64 << 20), Some(0), Some(2)));
    assert_eq!(
        (limits.cpuset_cpus, limits.cpuset_mems, limits.cgroup_parent),
        (Some("0-1,3"), Some("0"), Some("/jobs/a"))
    );
    assert_eq!((limits.pids, limits.blkio_weight), (Some(10), Some(1000)));
    assert_eq!((limits.cpu_quota, limits.cpu_period), (Some(1000), Some(1_000_000)));
    let throttle = |path, rate| vec![limits::Throttle { path, rate }];
    assert_eq!(limits.read_bps, throttle("/dev/sda", 2 << 20));
    assert_eq!(limits.write_bps, throttle("/dev/sdb", 1));
    assert_eq!((limits.read_iops, limits.write_iops), (throttle("/dev/sda", 5), throttle("/dev/sda", 6)));

    assert_eq!(run("-m 6m --memory-swap -1").limits.memory_swap, Some(-1));
    assert_eq!(run("--cpu-quota -1").limits.cpu_quota, Some(-1));
    assert_eq!([run("--pids-limit 0").limits.pids, run("--pids-limit -1").limits.pids], [Some(-1), Some(-1)]);
}

#[test]
fn cpus_become_a_quota_of_the_default_period() {
    for (text, quota) in [("1.5", 150_000), ("0.01", 1_000), ("2", 200_000), ("0.333333333", 33_333)] {
        let flags = format!("--cpus {text}");
        let limits = run(&flags).limits;
        assert_eq!((limits.cpu_quota, limits.cpu_period), (Some(quota), Some(100_000)), "{text}");
    }
}

#[test]
fn device_rules_have_numbers_or_stars() {
    for (text, kind, major, minor, access) in [
        ("c 1:3 rwm", b'c', Some(1), Some(3), "rwm"),
        ("a *:* r", b'a', None, None, "r"),
        ("b 8:* m", b'b', Some(8), None, "m"),
    ] {
        let options = read(&["run", "--device-cgroup-rule", text, "host"]).unwrap();
        assert_eq!(options.limits.device_rules, [limits::DeviceRule { kind, major, minor, access }]);
    }
}

#[test]
fn capabilities_add_to_and_take_from_the_default() {
    let number = |name| 1u64 << caps::number(name).unwrap();
    let security =
        run("--cap-add net_admin --cap-add CAP_SYS_TIME --cap-drop Kill --security-opt no-new-privileges").security;
    assert_eq!(security.capabilities(), (caps::DEFAULT | number("NET_ADMIN") | number("SYS_TIME")) & !number("KILL"));
    assert!(security.no_new_privileges);
    assert_eq!(run("--cap-drop all --cap-add chown").security.capabilities(), 1);
    assert_eq!(run("--cap-add ALL --cap-drop chown").security.capabilities(), caps::ALL & !1);
    for (text, on) in [("=true", true), (":true", true), ("=false", false)] {
        let flags = format!("--security-opt no-new-privileges{text}");
        assert_eq!(run(&flags).security.no_new_privileges, on);
    }
}

#[test]
fn flags_that_contradict_each_other_are_named_together() {
    for (flags, expected) in [
        (
            "--cpus 1 --cpu-quota 5000",
            &["--cpus conflicts with --cpu-quota", "accepted: --cpus, or --cpu-quota"] as &[_],
        ),
        ("--cpu-period 5000 --cpus 1", &["--cpus conflicts with --cpu-period"]),
        ("-m 8m --memory-reservation 9m", &["\"9m\" for --memory-reservation: above --memory", "at most --memory"]),
        ("--memory-high 9m -m 8m", &["\"9m\" for --memory-high: above --memory"]),
        ("-m 8m --memory-swap 7m", &["\"7m\" for --memory-swap: below --memory", "accepted: -1 for no limit"]),
        ("-h web --uts host", &["--hostname conflicts with --uts: that namespace is the host's"]),
        ("--domainname x --uts container:a", &["--domainname conflicts with --uts", "another container's"]),
        ("--shm-size 1m --ipc host", &["--shm-size conflicts with --ipc"]),
        ("--shm-size 1m --ipc none", &["--shm-size conflicts with --ipc"]),
        ("--add-host a:1.2.3.4 --network container:a", &["--add-host conflicts with --network"]),
        ("--dns 1.2.3.4 --network container:a", &["--dns conflicts with --network"]),
        (
            "--sysctl net.a=1 --network host",
            &["\"net.a=1\" for --sysctl", "with --network as given the namespace is the host's"],
        ),
        ("--sysctl kernel.sem=1 --ipc host", &["for --sysctl", "--ipc as given"]),
        ("--sysctl fs.mqueue.a=1 --ipc container:a", &["for --sysctl", "another container's"]),
        ("--cap-add all --cap-drop all", &["--cap-add conflicts with --cap-drop: both name ALL"]),
    ] {
        let message = error(&flags.split(' ').collect::<Vec<_>>());
        for part in expected {
            assert!(message.contains(part), "{flags} gave:\n{message}\nwithout: {part}");
        }
    }
    // What merely stands side by side is no conflict.
    run("--sysctl net.a=1 --ipc host --uts host -m 8m --memory-high 8m");
    run("-h web --network host --add-host a:1.2.3.4");
}
