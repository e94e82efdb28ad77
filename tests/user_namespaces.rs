//! User namespaces of a container's own: `--userns auto`, `--uidmap`, `--gidmap`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;

use crate::util::network::{HOST, Host, WEB};
use crate::util::scene::Scene;

trials! {
    root_in_a_container_is_nobody_outside [Root, Busybox, Kernel("overlay")];
    layers_are_shared_with_their_owners_as_the_image_has_them [Root, Busybox, Kernel("overlay")];
    the_range_of_a_container_is_its_own_and_stays_with_it [Root, Busybox, Kernel("overlay")];
    ranges_come_from_what_the_host_leaves_to_containers [Root, Busybox, Kernel("overlay")];
    ids_are_mapped_as_asked [Root, Busybox, Kernel("overlay")];
    volumes_have_owners_as_the_container_sees_them [Root, Busybox, Kernel("overlay")];
    files_are_copied_in_and_out_with_owners_as_the_container_sees_them [Root, Busybox, Kernel("overlay")];
    without_mounts_that_map_owners_a_copy_is_made [Root, Busybox, Kernel("overlay"), Tool("strace")];
    limits_and_namespaces_are_as_without [Root, Busybox, Kernel("overlay")];
    the_bridge_and_published_ports_are_as_without [Root, Busybox, Kernel("overlay"), Tool("nft")];
    what_is_malformed_or_contradicts_is_refused [Root, Busybox];
    a_range_is_given_back_whatever_happens [Root, Busybox, Kernel("overlay")];
}

const STATUS: &str = "id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status; ls -n /bin/busybox | awk '{print $3}'; touch /made; stat -c %u /made /";

fn ranges(scene: &Scene) -> BTreeSet<String> {
    let entries = fs::read_dir(scene.root().join("ranges")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn root_in_a_container_is_nobody_outside(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let output = scene.vial(["run", "--name", "one", "--userns", "auto", &rootfs, "sh", "-c", STATUS]).ok().silent();
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let first: u32 = lines[1][1].parse().expect("a map");
    assert_eq!(lines[1], ["0", &first.to_string(), "65536"]);
    assert_eq!((lines[0][0], lines[2][1], lines[3][0]), ("0", "00000000a80425fb", "0"));
    assert_eq!(lines[4..], [["0"], ["0"]]);
    assert_eq!(ranges(scene), [first.to_string()].into());
    // Nothing in the store is the container's by those IDs.
    let id = fs::read_dir(scene.root().join("containers")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(id.join("upper/made")).unwrap().uid(), 0);
    scene.vial(["rm", "one"]).ok();
    assert!(ranges(scene).is_empty());
    // Outside its processes are those IDs, also what is executed in it later, and what it has not is not its.
    scene.vial(["run", "-d", "--name", "two", "--userns", "auto", &rootfs, "sleep", "4321"]).ok();
    let first: u32 = ranges(scene).first().unwrap().parse().unwrap();
    let of = |pattern: &str| {
        let found = Command::new("pgrep").args(["-u", pattern, "sleep"]).output().unwrap().stdout;
        String::from_utf8_lossy(&found).lines().count()
    };
    assert_eq!(of(&first.to_string()), 1);
    scene.vial(["exec", "-d", "-u", "7:7", "two", "sleep", "4321"]).ok();
    assert_eq!(of(&(first + 7).to_string()), 1);
    scene.vial(["exec", "two", "id", "-u"]).ok().prints("0\n");
    scene.vial(["exec", "-t", "two", "stat", "-c", "%u", "/dev/pts/0"]).ok().prints("0\r\n");
    scene
        .vial(["exec", "two", "sh", "-c", "chown 1 /proc/1 2>/dev/null; mknod /n c 1 3 2>/dev/null || echo no"])
        .ok()
        .prints("no\n");
    scene.vial(["run", "--rm", "-t", "--userns", "auto", &rootfs, "tty"]).ok().shows("/dev/");
    scene.vial(["rm", "-f", "two"]).ok();
    assert!(ranges(scene).is_empty());
    scene.assert_nothing_left();
}

fn layers_are_shared_with_their_owners_as_the_image_has_them(scene: &Scene) {
    let files = scene.path("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("file"), "x").unwrap();
    chown(files.join("file"), Some(42), Some(43)).unwrap();
    fs::set_permissions(files.join("file"), PermissionsExt::from_mode(0o4755)).unwrap();
    scene.command("cp", ["-a", &scene.rootfs().join("bin").display().to_string(), &files.display().to_string()]).ok();
    scene.vial(["import", files.to_str().unwrap(), "web"]).ok();
    let words = ["run", "--rm", "--userns", "auto", "web", "stat", "-c", "%u:%g:%a", "/file"];
    let started: Vec<_> = (0..8).map(|_| scene.vial(words).start()).collect();
    for running in started {
        running.wait().ends(0).prints("42:43:4755\n");
    }
    assert_eq!(fs::read_dir(scene.root().join("layers")).unwrap().count(), 1);
    // What a container changes is an image's with the same owners.
    scene
        .vial([
            "run",
            "--name",
            "one",
            "--userns",
            "auto",
            "web",
            "sh",
            "-c",
            "mkdir /d; touch /d/new; chown 5:6 /d/new; rm /file",
        ])
        .ok();
    scene.vial(["commit", "one", "two"]).ok();
    scene.vial(["run", "--rm", "two", "sh", "-c", "stat -c %u:%g /d/new; ls /file"]).ends(1).prints("5:6\n");
    scene.vial(["rm", "one"]).ok();
    scene.assert_nothing_left();
}

fn the_range_of_a_container_is_its_own_and_stays_with_it(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let map = ["sh", "-c", "cat /proc/self/uid_map >>/maps; cat /maps"];
    scene.vial(["run", "--name", "a", "--userns=auto", &rootfs].iter().chain(&map)).ok();
    scene.vial(["run", "--name", "b", "--userns=auto", &rootfs].iter().chain(&map)).ok();
    assert_eq!(ranges(scene).len(), 2);
    let again = scene.vial(["start", "-a", "a"]).ok().stdout;
    let lines: Vec<&str> = again.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
    scene.vial(["rm", "a"]).ok();
    assert_eq!(ranges(scene).len(), 1);
    scene.vial(["rm", "b"]).ok();
    scene.assert_nothing_left();
}

fn ranges_come_from_what_the_host_leaves_to_containers(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let vial = |subuid: &str| {
        let file = scene.path("sub");
        fs::write(&file, subuid).unwrap();
        let script = "for file in /etc/subuid /etc/subgid; do [ -e $file ] || : >$file; mount --bind $0 $file || exit; done; exec \"$@\"";
        let words = [
            "-m",
            "sh",
            "-c",
            script,
            file.to_str().unwrap(),
            crate::util::command::VIAL,
            "run",
            "--rm",
            "--userns=auto",
            &rootfs,
            "cat",
            "/proc/self/gid_map",
        ];
        scene.command("unshare", words).run()
    };
    assert!(vial("vial:500000000:65536\ncontainers:600000000:65536\n").ends(0).stdout.contains(" 500000000 "));
    assert!(vial("containers:600000000:65536\n").ends(0).stdout.contains(" 600000000 "));
    let taken = scene.root().join("ranges/600000000");
    scene.vial(["create", "--name", "one", &rootfs, "true"]).ok();
    let id = fs::read_dir(scene.root().join("containers")).unwrap().next().unwrap().unwrap().file_name();
    std::os::unix::fs::symlink(&id, &taken).unwrap();
    vial("containers:600000000:65536\n")
        .ends(125)
        .says("all ranges of user IDs are taken")
        .says("vial:1000000000:655360");
    // A range of a container that is gone is found by a collection.
    fs::remove_file(&taken).unwrap();
    std::os::unix::fs::symlink("0123", &taken).unwrap();
    scene.vial(["gc"]).ok().shows("range 600000000");
    assert!(ranges(scene).is_empty());
    scene.vial(["rm", "one"]).ok();
}

fn ids_are_mapped_as_asked(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let show = "awk '{print $1\":\"$2\":\"$3}' /proc/self/uid_map /proc/self/gid_map";
    let maps = ["--uidmap", "0:300000:1000", "--uidmap", "1000:0:1", "--gidmap", "0:400000:2000"];
    scene
        .vial(["run", "--rm"].iter().chain(&maps).chain(&[&*rootfs, "sh", "-c", show]))
        .ok()
        .prints("0:300000:1000\n1000:0:1\n0:400000:2000\n");
    let one = ["run", "--rm", "--uidmap", "0:300000:65536", &rootfs, "sh", "-c", show];
    scene.vial(one).ok().prints("0:300000:65536\n0:300000:65536\n");
    // An ID that has no place.
    scene.vial(["run", "--rm", "--uidmap", "0:300000:10", "-u", "10", &rootfs, "true"]).ends(125).says("EINVAL");
    scene.assert_nothing_left();
}

fn volumes_have_owners_as_the_container_sees_them(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let shared = scene.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("host"), "x").unwrap();
    let (plain, mapped) = (format!("{}:/shared", shared.display()), format!("{}:/shared:idmap", shared.display()));
    let run = |volume: &str, script: &str| {
        scene.vial(["run", "--rm", "--userns=auto", "-v", volume, &rootfs, "sh", "-c", script]).run()
    };
    // The host's own files are nobody's inside, and can't be written by the container's root.
    run(&plain, "stat -c %u /shared/host; touch /shared/new 2>/dev/null || echo no").ends(0).prints("65534\nno\n");
    run(&mapped, "stat -c %u /shared/host; touch /shared/new; chown 7:8 /shared/new").ends(0).prints("0\n");
    let stat = fs::metadata(shared.join("new")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (7, 8));
    // A named volume is vial's own: two containers with different IDs see the same owners.
    run("named:/v", "touch /v/a; chown 5 /v/a").ends(0);
    run("named:/v", "stat -c %u /v/a").ends(0).prints("5\n");
    scene.vial(["run", "--rm", "-v", "named:/v", &rootfs, "stat", "-c", "%u", "/v/a"]).ok().prints("5\n");
    // A new one has what the image has there.
    run("other:/etc", "stat -c %u /etc/passwd").ends(0).prints("0\n");
    scene.vial(["run", "--rm", "-v", &mapped, &rootfs, "true"]).ends(125).says("idmap").says("--userns");
    scene.vial(["volume", "rm", "named", "other"]).ok();
    scene.assert_nothing_left();
}

fn files_are_copied_in_and_out_with_owners_as_the_container_sees_them(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene
        .vial([
            "run",
            "-d",
            "--name",
            "one",
            "--userns=auto",
            &rootfs,
            "sh",
            "-c",
            "touch /made; chown 3:4 /made; sleep 600",
        ])
        .ok();
    scene.vial(["exec", "one", "sh", "-c", "until [ $(stat -c %u /made) = 3 ]; do sleep 0.1; done"]).ok();
    let archive = scene.path("out.tar");
    let listed = |what: &str| {
        let file = archive.to_str().unwrap();
        scene
            .command(
                "sh",
                [
                    "-c",
                    &format!(
                        "{} {what} >{file}; tar --numeric-owner -tvf {file} | awk '{{print $2, $6}}'",
                        crate::util::command::VIAL
                    ),
                ],
            )
            .ok()
            .stdout
    };
    assert_eq!(listed("cp one:/made -"), "3/4 made\n");
    assert!(listed("export one").contains("3/4 ./made\n"));
    fs::write(scene.path("given"), "x").unwrap();
    scene.vial(["cp", "given", "one:/given"]).ok();
    scene.vial(["exec", "one", "stat", "-c", "%u:%g", "/given"]).ok().prints("0:0\n");
    scene.vial(["cp", "-a", "given", "one:/given"]).ends(125).says("--userns");
    scene.vial(["cp", "one:/made", "back"]).ok();
    assert!(scene.path("back").exists());
    scene.vial(["diff", "one"]).ok().shows("A /given");
    scene.vial(["stop", "-t", "0", "one"]).ok();
    assert_eq!(listed("cp one:/made -"), "3/4 made\n");
    scene.vial(["rm", "one"]).ok();
    scene.assert_nothing_left();
}

fn without_mounts_that_map_owners_a_copy_is_made(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    // The kernel's answer before Linux 5.12.
    let strace = ["-f", "-o", "/dev/null", "-e", "inject=mount_setattr:error=ENOSYS", crate::util::command::VIAL];
    let run = |words: &[&str]| scene.command("strace", strace.iter().chain(words)).run();
    let script = "stat -c %u:%a /bin/busybox /; touch /made; chown 9 /made; stat -c %u /made";
    run(&["run", "--name", "one", "--userns=auto", &rootfs, "sh", "-c", script])
        .ends(0)
        .prints("0:755\n0:755\n9\n")
        .says("copy of its image");
    let first: u32 = ranges(scene).first().unwrap().parse().unwrap();
    let id = fs::read_dir(scene.root().join("containers")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(id.join("tree/made")).unwrap().uid(), first + 9);
    assert_eq!(scene.rootfs().join("bin/busybox").metadata().unwrap().uid(), 0);
    let listed = scene
        .command(
            "sh",
            ["-c", &format!("{} export one | tar --numeric-owner -tvf - | grep ' ./made'", crate::util::command::VIAL)],
        )
        .ok()
        .stdout;
    assert!(listed.contains(" 9/0 "), "{listed}");
    scene.vial(["diff", "one"]).ends(125).says("owners of its own");
    scene.vial(["rm", "one"]).ok();
    scene.assert_nothing_left();
}

fn limits_and_namespaces_are_as_without(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let script = "ip addr show lo | grep -c 127.0.0.1; hostname inside && hostname; cat /proc/sys/kernel/hostname; mount | grep -c cgroup; ulimit -n";
    let words = [
        "run",
        "--rm",
        "--userns=auto",
        "--cap-add",
        "SYS_ADMIN",
        "--security-opt",
        "seccomp=unconfined",
        "-m",
        "64m",
        "--ulimit",
        "nofile=100",
        &rootfs,
        "sh",
        "-c",
        script,
    ];
    let output = scene.vial(words).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[..3], ["1", "inside", "inside"]);
    assert!(lines[3].parse::<u32>().unwrap() > 0);
    assert_eq!(lines[4], "100");
    scene.vial(["run", "--rm", "--userns=auto", "--network=host", &rootfs, "ls", "/sys/class/net"]).ok().shows("lo");
    scene.vial(["run", "--rm", "--userns=auto", "--read-only", &rootfs, "touch", "/x"]).ends(1);
    scene.assert_nothing_left();
}

fn the_bridge_and_published_ports_are_as_without(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &["--userns", "auto", "-p", "8080:80", "--cap-add", "NET_ADMIN"], WEB);
    let own = web.own();
    assert!(host.command_there("curl", ["-s", "-m", "10", &format!("http://{}:8080/", HOST[0])]).ok().stdout.len() > 5);
    // The namespace is the container's own: who has the right to may change it.
    assert_eq!(web.exec(&host, "ip link set eth0 mtu 1400 && cat /sys/class/net/eth0/mtu").trim(), "1400");
    // Another one shares the network, and has other users.
    let joined = format!("container:{}", host.name("web"));
    let root = scene.rootfs().display().to_string();
    let words = ["run", "--rm", "--userns", "auto", "--network", &joined, &root, "ip", "address", "show", "eth0"];
    host.vial(words).ok().shows(&own[0]);
    host.end();
}

fn what_is_malformed_or_contradicts_is_refused(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let refused = |words: &[&str]| scene.vial(["run", "--rm"].iter().chain(words).chain(&[&*rootfs, "true"])).ends(125);
    refused(&["--userns", "nomad"]).says("--userns").says("no such mode");
    for map in [
        "",
        "0",
        "0:1",
        "0:1:0",
        "0:1:2:3",
        "a:1:1",
        "0:-1:1",
        "0:4294967295:1",
        "0:1:4294967295",
        "4294967290:0:10",
        "+0:1:1",
        "0: 1:1",
    ] {
        refused(&["--uidmap", map]).says("--uidmap").says("0:100000:65536");
    }
    refused(&["--userns", "auto", "--uidmap", "0:1:1"]).says("conflicts");
    for shared in [["--pid", "host"], ["--ipc", "host"], ["--cgroupns", "host"]] {
        refused(&[&["--userns", "auto"], &shared[..]].concat()).says("conflicts with --userns");
    }
    refused(&["--userns", "keep-id:5"]).says("no such mode");
    refused(&["--uidmap", "0:300000:10", "--uidmap", "5:400000:10"]).says("must not overlap");
    scene.vial(["run", "--rm", "--userns=host", &rootfs, "true"]).ok();
    scene.assert_nothing_left();
}

fn a_range_is_given_back_whatever_happens(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--rm", "--userns=auto", &rootfs, "no-such-program"]).ends(127);
    scene.vial(["run", "--userns=auto", "--mount", "type=bind,src=/nowhere,dst=/y", &rootfs, "true"]).ends(125);
    assert!(ranges(scene).is_empty());
    let running = scene.vial(["run", "--name", "one", "--userns=auto", &rootfs, "sleep", "600"]).start();
    crate::util::container::eventually("it does not run", || {
        scene.vial(["ps", "-q"]).ok().stdout.lines().next().map(drop)
    });
    scene.command("kill", ["-KILL", &running.id().to_string()]).ok();
    running.wait();
    scene.vial(["rm", "-f", "one"]).ok();
    assert!(ranges(scene).is_empty());
    scene.assert_nothing_left();
}
