mod refused;

use super::mounts::{Device, Mount, Propagation, Source, TMPFS};
use super::namespaces::{CONTAINER, HOST, NETWORKED, NONE, PATH, PRIVATE, SHAREABLE};
use super::*;
use crate::base::json;
use crate::cli::flags::{Takes, command, table};
use crate::cli::parse::parse;
use crate::container::launch;
use crate::kernel::security::caps;

/// What options are made of stays, so the words do too.
fn read(words: &[&str]) -> Result<&'static mut RunOptions<'static>> {
    let words: Vec<&'static [u8]> = words.iter().map(|word| &*word.as_bytes().to_vec().leak()).collect();
    let parsed = parse(words.leak()).unwrap_or_else(|(_, error)| panic!("{error}"));
    RunOptions::from_parsed(Box::leak(Box::new(parsed)), "none")
}

/// `run FLAGS host true` with the flags separated by single spaces.
fn run(flags: &str) -> &'static mut RunOptions<'static> {
    let mut words = vec!["run"];
    words.extend(flags.split(' ').filter(|word| !word.is_empty()));
    words.extend(["host", "true"]);
    read(&words).unwrap_or_else(|error| panic!("{flags}: {error}"))
}

/// What flags come to in the specification, as compact JSON.
fn spec(flags: &str) -> String {
    run(flags).spec.get_mut().to_compact()
}

/// The value at a place of it, if there is one.
fn at(flags: &str, keys: &[&str]) -> Option<Value> {
    run(flags).spec.get_mut().at(keys).cloned()
}

fn error(words: &[&str]) -> String {
    let mut all = vec!["run"];
    all.extend(words);
    all.push("host");
    match read(&all) {
        Ok(_) => panic!("{words:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_flag_of_run_is_taken_in_by_someone() {
    // An arm that is missing would show as a bad value that is accepted; switches have no bad values.
    let all = run("-i -t -d --rm --init --read-only --dry-run --oom-kill-disable");
    let parsed = all.parsed;
    assert!([Id::Interactive, Id::Tty, Id::Remove, Id::DryRun].iter().all(|id| parsed.on(*id)));
    assert_eq!(
        all.spec.get_mut().to_compact(),
        r#"{"process":{"terminal":true},"annotations":{"vial.init":"true"},"root":{"readonly":true},"linux":{"resources":{"memory":{"disableOOMKiller":true}}}}"#
    );
    assert_eq!(spec(""), "null");
    let off = "--init --init=false --read-only --read-only=false --oom-kill-disable --oom-kill-disable=false";
    assert_eq!(
        spec(off),
        r#"{"annotations":{"vial.init":""},"root":{"readonly":null},"linux":{"resources":{"memory":{"disableOOMKiller":null}}}}"#
    );
    let switches = command("run").unwrap().flags().filter(|flag| flag.takes == Takes::Switch).count();
    // --sig-proxy is on if it is not said.
    assert!(parsed.on(Id::Detach) && run("").manner.proxy && !run("--sig-proxy=false").manner.proxy);
    assert_eq!(switches, 11);
    assert_eq!(table::GLOBAL.flags().len(), 7);
}

#[test]
fn what_a_later_start_needs_is_noted_under_its_name() {
    for (flags, name, value) in [
        ("--init", launch::INIT, "true"),
        ("--restart on-failure:3", launch::RESTART, "on-failure:3"),
        ("--stop-timeout 007", launch::STOP_TIMEOUT, "7"),
        ("--stop-signal SIGINT", launch::STOP_SIGNAL, "SIGINT"),
        ("--stop-signal 2", launch::STOP_SIGNAL, "SIGINT"),
    ] {
        assert_eq!(at(flags, &["annotations", name]), Some(value.into()), "{flags}");
    }
    assert!(run("--restart always").restarts() && !run("--restart no").restarts() && !run("").restarts());
}

#[test]
fn the_image_and_command_are_taken_as_they_are() {
    let options = read(&["run", "alpine:3", "sh", "-c", "--rm"]).unwrap();
    assert!(matches!(options.image, Image::Name(name) if name.name == "alpine"));
    assert_eq!(options.command, [b"sh" as &[u8], b"-c", b"--rm"]);
    assert!(read(&["run", "Alpine"]).err().unwrap().to_string().contains("invalid image \"Alpine\""));
}

#[test]
fn the_record_holds_name_labels_and_files() {
    let parsed = run("--name web -l a=1 -l b --label-file l --cidfile c").parsed;
    assert_eq!(parsed.text(Id::Name), "web");
    let labels: Vec<_> = parsed.texts(Id::Label).iter().copied().filter_map(label).collect();
    assert_eq!(labels, [Setting { name: "a", value: "1" }, Setting { name: "b", value: "" }]);
    assert_eq!((parsed.all(Id::LabelFile), parsed.text(Id::CidFile)), (vec![b"l" as &[u8]], "c"));
}

#[test]
fn the_log_has_a_driver_and_bounds() {
    let log = |flags: &str| LogOptions::from_annotations(run(flags).spec.get_mut());
    let usual = LogOptions::default();
    assert_eq!((log(""), spec(""), usual.driver), (usual, "null".to_owned(), "k8s-file"));
    let given = "--log-driver json-file --log-opt max-size=20k --log-opt max-file=7 --log-opt max-size=1K";
    assert_eq!(log(given), LogOptions { driver: "json-file", max_size: 1024, max_file: 7 });
    assert_eq!(
        spec(given),
        r#"{"annotations":{"vial.log.driver":"json-file","vial.log.maxSize":"1024","vial.log.maxFile":"7"}}"#
    );
    for driver in ["k8s-file", "local", "none"] {
        assert_eq!(log(&format!("--log-driver {driver}")), LogOptions { driver, ..usual });
    }
    let conflict = error(&["--log-opt=max-size=1m", "--log-driver=none"]);
    assert!(conflict.starts_with("--log-opt conflicts with --log-driver none: no log is kept"), "{conflict}");
}

#[test]
fn the_process_has_words_variables_and_limits() {
    let options = run("-e A=1=2 -e B -e C= --env-file f -w /srv --entrypoint /init --oom-score-adj -500");
    assert_eq!(options.parsed.all(Id::Env), [b"A=1=2" as &[u8], b"B", b"C="]);
    let expected: [(&[u8], Option<&[u8]>); 3] = [(b"A", Some(b"1=2")), (b"B", None), (b"C", Some(b""))];
    let read: Vec<_> = options.parsed.all(Id::Env).into_iter().filter_map(Variable::parse).collect();
    assert_eq!(read, expected.map(|(name, value)| Variable { name, value }));
    assert_eq!(options.parsed.all(Id::EnvFile), [b"f"]);
    assert_eq!(options.parsed.text(Id::Entrypoint), "/init");
    assert_eq!(options.spec.get_mut().to_compact(), r#"{"process":{"cwd":"/srv","oomScoreAdj":-500}}"#);

    let limits = "--ulimit nofile=1:2 --ulimit core=0 --ulimit nofile=1024:unlimited --ulimit stack=-1";
    assert_eq!(
        spec(limits),
        r#"{"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":0},{"type":"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615},{"type":"RLIMIT_STACK","soft":18446744073709551615,"hard":18446744073709551615}]}}"#
    );
}

#[test]
fn users_and_groups_are_numbers_or_names() {
    for text in ["0", "4294967294:007", "www-data:adm", "1a:_x"] {
        let flags = format!("-u {text} --group-add 5 --group-add audio");
        let parsed = run(&flags).parsed;
        assert_eq!((parsed.text(Id::User), parsed.texts(Id::GroupAdd)), (text, &["5", "audio"][..]));
    }
}

fn bind(path: &str, create: bool, recursive: bool, propagation: Propagation) -> Source<'_> {
    Source::Bind { path, create, recursive, propagation }
}

#[test]
fn mounts_are_host_paths_volumes_and_memory() {
    let private = Propagation::RPrivate;
    let tmpfs = &["noexec", "nosuid", "nodev", "size=67108864", "mode=1777"];
    let named = |copy| Source::Volume { name: "data", copy };
    for (flags, source, target, read_only) in [
        ("-v /a:/b", bind("/a", true, true, private), "/b", false),
        ("-v ./a:/b:ro,z", bind("./a", true, true, private), "/b", true),
        ("-v ../a:/b//c/:rw,rslave,bind", bind("../a", true, false, Propagation::RSlave), "/b/c", false),
        ("-v data:/b:ro", named(true), "/b", true),
        ("-v data:/b:U", named(true), "/b", false),
        ("--mount type=bind,src=/a,dst=/b,U=true", bind("/a", false, true, private), "/b", false),
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
        ("--tmpfs /b", Source::Tmpfs(TMPFS), "/b", false),
        ("--tmpfs /b:size=64m,mode=1777,ro", Source::Tmpfs(tmpfs), "/b", true),
        ("--tmpfs /b:exec,noexec,mode=0700", Source::Tmpfs(&["nosuid", "nodev", "noexec", "mode=700"]), "/b", false),
        (
            "--tmpfs /b:exec,suid,dev,uid=1,gid=2,nr_inodes=1k,rw",
            Source::Tmpfs(&["mode=1777", "uid=1", "gid=2", "nr_inodes=1024"]),
            "/b",
            false,
        ),
    ] {
        let (owned, labelled) = (flags.contains('U'), flags.ends_with(",z"));
        assert_eq!(run(flags).mounts, [Mount { source, target, read_only, idmap: false, owned, labelled }], "{flags}");
    }
    assert_eq!(Propagation::RShared.name(), "rshared");
}

#[test]
fn two_mounts_can_not_have_one_target() {
    let message = error(&["-v", "/a:/b", "--tmpfs", "/x/../b/"]);
    assert!(message.contains("for --tmpfs: another mount has this target"), "{message}");
    assert_eq!(run("-v /a:/b -v /c").mounts.len(), 2);
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
        let parsed = run(&flags).parsed;
        assert_eq!(mounts::device(parsed.text(Id::Device)), Ok(Device { host, container, access }));
        assert_eq!(text::size(parsed.text(Id::ShmSize)), Some(1 << 30));
    }
}

#[test]
fn namespaces_are_private_shared_or_named() {
    for (flags, id, mode, rest) in [
        ("--net none", Id::Network, NONE, ""),
        ("--network ns:/run/netns/x", Id::Network, PATH, "/run/netns/x"),
        ("--pid host", Id::Pid, HOST, ""),
        ("--ipc shareable", Id::Ipc, SHAREABLE, ""),
        ("--ipc none", Id::Ipc, NONE, ""),
        ("--uts container:web", Id::Uts, CONTAINER, "web"),
        ("--cgroupns private", Id::CgroupNs, PRIVATE, ""),
        ("", Id::Network, NONE, ""),
        ("--network default", Id::Network, NETWORKED, ""),
        ("--net web", Id::Network, NETWORKED, ""),
    ] {
        assert_eq!(run(flags).mode(id), (mode, rest), "{flags}");
    }
}

/// What is noted of networks, after `vial.`.
fn noted(flags: &str, name: &str) -> Option<String> {
    let name = ["vial.", name].concat();
    at(flags, &["annotations", &name]).map(|value| value.as_str().unwrap().to_owned())
}

#[test]
fn networks_are_noted_with_what_the_container_is_there() {
    for (flags, expected) in [
        ("", None),
        ("--network host", None),
        ("--network bridge", Some("bridge")),
        ("--network private --dns 1.2.3.4", Some("bridge")),
        ("--net a --net b", Some("a\nb")),
        (
            "--network-alias x --net-alias y --ip 10.0.0.5 --ip6 fd00::5 --mac-address 02:42:0a:00:00:05 --net a --net b",
            Some("a alias=x alias=y ip=10.0.0.5 ip6=fd00::5 mac=02:42:0a:00:00:05\nb"),
        ),
        (
            "--network name=a,alias=x,alias=y,ip=10.0.0.5 --network name=b,ip6=fd00::5,mac-address=02:42:0a:00:00:05",
            Some("a alias=x alias=y ip=10.0.0.5\nb ip6=fd00::5 mac=02:42:0a:00:00:05"),
        ),
    ] {
        assert_eq!(noted(flags, "networks").as_deref(), expected, "{flags}");
    }
    let flags = "--net a --dns 1.2.3.4 --dns ::1 --add-host b:1.2.3.4 --add-host c=host-gateway";
    assert_eq!(noted(flags, "dns").as_deref(), Some("1.2.3.4 ::1"));
    assert_eq!(noted(flags, "hosts").as_deref(), Some("b 1.2.3.4\nc host-gateway"));
}

#[test]
fn published_ports_are_noted_one_by_one() {
    for (port, lines) in [
        ("80", "tcp * 0 80"),
        ("0:80", "tcp * 0 80"),
        ("8080:80", "tcp * 8080 80"),
        (":8080:80", "tcp * 8080 80"),
        ("53:53/udp", "udp * 53 53"),
        ("127.0.0.1:8080:80/tcp", "tcp 127.0.0.1 8080 80"),
        ("0.0.0.0:8080:80", "tcp 0.0.0.0 8080 80"),
        ("127.0.0.1::80", "tcp 127.0.0.1 0 80"),
        ("[::1]:8080:80", "tcp ::1 8080 80"),
        ("[0:0::]:8080:80", "tcp :: 8080 80"),
        ("8000-8002:80-82", "tcp * 8000 80\ntcp * 8001 81\ntcp * 8002 82"),
        ("80-81/udp", "udp * 0 80\nudp * 0 81"),
        ("65535:65535", "tcp * 65535 65535"),
    ] {
        assert_eq!(noted(&format!("--net a -p {port}"), "ports").as_deref(), Some(lines), "{port}");
    }
    assert_eq!(noted("--net a -p 1:2 -p 3:4", "ports").as_deref(), Some("tcp * 1 2\ntcp * 3 4"));
    assert_eq!(noted("--network host -p 1:2", "networks"), None);
    let exposed = network::exposed(run("--expose 90 --expose 53/udp --expose 8000-8001").parsed, "80/tcp, 81/sctp");
    assert_eq!(exposed, "80/tcp, 81/sctp, 90/tcp, 53/udp, 8000-8001/tcp");
    let mut lines = "tcp * 8080 80\ntcp * 53 53";
    network::publish_all(exposed, &mut lines);
    assert_eq!(lines, "tcp * 8080 80\ntcp * 53 53\ntcp * 0 90\nudp * 0 53\ntcp * 0 8000\ntcp * 0 8001");
}

#[test]
fn names_and_addresses_are_kept_as_text() {
    let flags = "-h web --domainname example.com --add-host a:1.2.3.4 --add-host b=::1 --add-host c:[fd00::1] --add-host d:fd00::2 \
                 --dns 1.1.1.1 --dns ::1 --dns-search example.com --dns-search . --dns-option ndots:2 --sysctl net.ipv4.ip_forward=1 \
                 --sysctl kernel.sem=1 --sysctl fs.mqueue.msg_max=";
    let options = run(flags);
    let parsed = options.parsed;
    assert_eq!((parsed.text(Id::Hostname), parsed.text(Id::Domainname)), ("web", "example.com"));
    let hosts: Vec<_> =
        parsed.texts(Id::AddHost).iter().copied().filter_map(|entry| namespaces::host_entry(entry).ok()).collect();
    assert_eq!(hosts, [("a", "1.2.3.4"), ("b", "::1"), ("c", "fd00::1"), ("d", "fd00::2")]);
    assert_eq!(parsed.texts(Id::Dns), ["1.1.1.1", "::1"]);
    assert_eq!(
        (parsed.texts(Id::DnsSearch), parsed.texts(Id::DnsOption)),
        (&["example.com", "."][..], &["ndots:2"][..])
    );
    assert_eq!(
        options.spec.get_mut().to_compact(),
        r#"{"domainname":"example.com","annotations":{"vial.hosts":"a 1.2.3.4\nb ::1\nc fd00::1\nd fd00::2","vial.dns":"1.1.1.1 ::1"},"linux":{"sysctl":{"net.ipv4.ip_forward":"1","kernel.sem":"1","fs.mqueue.msg_max":""}}}"#
    );
    assert_eq!(at("--sysctl net.a=1 --sysctl net.a=2", &["linux", "sysctl", "net.a"]), Some("2".into()));
}

/// The limits of a flag or several.
fn resources(flags: &str) -> String {
    at(flags, &["linux", "resources"]).unwrap().to_compact()
}

#[test]
fn limits_are_in_the_kernels_units() {
    assert_eq!(
        resources(
            "-m 64m --memory-reservation 64m --memory-high 32m --memory-swap 64m --memory-swappiness 0 -c 2 --cpuset-cpus 0-1,3 \
             --cpuset-mems 0 --pids-limit 10 --blkio-weight 1000 --cpu-quota 1000 --cpu-period 1000000 --cgroup-parent /jobs/a"
        ),
        r#"{"memory":{"limit":67108864,"reservation":67108864,"swap":67108864,"swappiness":0},"unified":{"memory.high":"33554432"},"cpu":{"shares":2,"cpus":"0-1,3","mems":"0","quota":1000,"period":1000000},"pids":{"limit":10},"blockIO":{"weight":1000}}"#
    );
    for (flags, place, number) in [
        ("-m 6m --memory-swap -1", "memory swap", -1),
        ("--cpu-quota -1", "cpu quota", -1),
        ("--pids-limit 0", "pids limit", -1),
        ("--pids-limit -1", "pids limit", -1),
    ] {
        let keys: Vec<_> = ["linux", "resources"].into_iter().chain(place.split(' ')).collect();
        assert_eq!(at(flags, &keys), Some(number.into()), "{flags}");
    }
}

#[test]
fn throttles_have_a_device_and_a_rate() {
    for (id, text, expected) in [
        (Id::DeviceReadBps, "/dev/sda:2m", ("/dev/sda", 2 << 20)),
        (Id::DeviceWriteBps, "/dev//sdb:1", ("/dev/sdb", 1)),
        (Id::DeviceReadIops, "/dev/sda:5", ("/dev/sda", 5)),
        (Id::DeviceWriteIops, "/dev/sda:6", ("/dev/sda", 6)),
    ] {
        assert_eq!(limits::throttle(id, text), Ok(expected));
    }
    let mut spec = Value::Null;
    for (minor, rate) in [("0", "1"), ("1", "2"), ("0", "3")] {
        add(&mut spec, Id::DeviceReadBps, "major minor rate", &["8", minor, rate]);
    }
    assert_eq!(
        spec.to_compact(),
        r#"{"linux":{"resources":{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":2},{"major":8,"minor":0,"rate":3}]}}}}"#,
        "the last rate of a device counts"
    );
}

#[test]
fn new_limits_take_the_places_of_old_ones_and_leave_the_others() {
    let mut old = json::parse(
        br#"{"a":1,"linux":{"b":2,"resources":{"memory":{"limit":5,"swap":6},"pids":{"limit":7},
            "blockIO":{"rate":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":2}]}}}}"#,
    )
    .unwrap();
    let new = json::parse(
        br#"{"linux":{"resources":{"memory":{"limit":9},"cpu":{"shares":3},
            "blockIO":{"rate":[{"major":8,"minor":0,"rate":4}],"other":[{"major":1,"minor":1,"rate":1}]}}}}"#,
    )
    .unwrap();
    merge(&mut old, &new);
    assert_eq!(
        old.to_compact(),
        r#"{"a":1,"linux":{"b":2,"resources":{"memory":{"limit":9,"swap":6},"pids":{"limit":7},"#.to_owned()
            + r#""blockIO":{"rate":[{"major":8,"minor":1,"rate":2},{"major":8,"minor":0,"rate":4}],"#
            + r#""other":[{"major":1,"minor":1,"rate":1}]},"cpu":{"shares":3}}}}"#
    );
}

#[test]
fn cpus_become_a_quota_of_the_default_period() {
    for (text, quota) in [("1.5", 150_000), ("0.01", 1_000), ("2", 200_000), ("0.333333333", 33_333)] {
        let expected = format!(r#"{{"cpu":{{"period":100000,"quota":{quota}}}}}"#);
        assert_eq!(resources(&format!("--cpus {text}")), expected);
    }
}

#[test]
fn device_rules_have_numbers_or_stars() {
    let words = ["c 1:3 rwm", "a *:* r", "b 8:* m", "c 1:3 r", "c 1:3 r"];
    let mut line = vec!["run"];
    line.extend(words.iter().flat_map(|word| ["--device-cgroup-rule", word]));
    line.push("host");
    let options = read(&line).unwrap();
    assert_eq!(
        options.spec.get_mut().at(&["linux", "resources", "devices"]).unwrap().to_compact(),
        r#"[{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"},{"allow":true,"type":"a","major":null,"minor":null,"access":"r"},{"allow":true,"type":"b","major":8,"minor":null,"access":"m"},{"allow":true,"type":"c","major":1,"minor":3,"access":"r"}]"#
    );
}

#[test]
fn capabilities_add_to_and_take_from_the_default() {
    let number = |name| 1u64 << caps::number(name).unwrap();
    let caps = run("--cap-add net_admin --cap-add CAP_SYS_TIME --cap-drop Kill").capabilities();
    assert_eq!(caps, (caps::DEFAULT | number("NET_ADMIN") | number("SYS_TIME")) & !number("KILL"));
    assert_eq!(run("--cap-drop all --cap-add chown").capabilities(), 1);
    assert_eq!(run("--cap-add ALL --cap-drop chown").capabilities(), caps::ALL & !1);
    for (text, on) in [("", "true"), ("=true", "true"), (":true", "true"), ("=false", "null")] {
        let expected = format!(r#"{{"process":{{"noNewPrivileges":{on}}}}}"#);
        assert_eq!(spec(&format!("--security-opt no-new-privileges{text}")), expected);
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
        ("-p 80:80 --network none", &["--publish conflicts with --network: the container is on no network"]),
        ("-P --network container:a", &["--publish-all conflicts with --network"]),
        ("--ip 10.0.0.5 --network host", &["--ip conflicts with --network", "accepted: a network's name"]),
        ("--network-alias a --network ns:/x", &["--network-alias conflicts with --network"]),
        ("--mac-address 02:00:00:00:00:01", &["--mac-address conflicts with --network"]),
        ("--add-host a:host-gateway --network none", &["--add-host conflicts with --network", "on no network"]),
        ("--network a --network host", &["--network conflicts with --network: one is no network", "one mode alone"]),
        ("--network none --network a", &["is no network", "one mode alone"]),
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
