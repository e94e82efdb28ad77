//! The whole tool as a normal user, who owns nothing but a home directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::util::leaks;
use crate::util::network::{CABLE, HOST, Host, LOOPBACK, REMOTE, WEB};
use crate::util::scene::Scene;
use crate::util::traffic::{BOTH, By, Place};
use crate::util::user::User;

trials! {
    a_normal_user_is_root_in_a_container_and_nobody_outside [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    images_are_imported_and_files_keep_their_owners [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    a_container_lives_a_whole_life [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    what_a_layer_takes_away_is_gone_and_a_directory_that_was_replaced_is_new [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    a_container_outlives_its_monitor_and_is_still_the_users [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    many_commands_at_once_share_a_namespace [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    without_subordinate_ids_there_is_one_user [Root, Busybox, Kernel("overlay")];
    without_newuidmap_there_is_one_user [Root, Busybox, Kernel("overlay")];
    the_storage_driver_copy_works [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    devices_of_the_host_are_given_but_not_made [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    the_hosts_network_is_shared_with_its_files [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    what_only_root_can_have_is_refused_in_words [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
    the_reasons_of_a_host_without_user_namespaces_are_told_apart [Root, Busybox, Tool("strace"), Tool("python3")];
    pasta_leads_out_and_published_ports_lead_in [Root, Busybox, Kernel("overlay"), Tool("newuidmap"), Tool("pasta"), File("/dev/net/tun")];
    slirp4netns_leads_out_and_published_ports_lead_in [Root, Busybox, Kernel("overlay"), Tool("newuidmap"), Tool("slirp4netns"), File("/dev/net/tun")];
    slirp4netns_is_taken_where_there_is_no_pasta_and_none_of_both_is_an_error [Root, Busybox, Kernel("overlay"), Tool("newuidmap"), Tool("slirp4netns"), File("/dev/net/tun")];
    what_connects_a_container_outlives_its_monitor [Root, Busybox, Kernel("overlay"), Tool("newuidmap"), Tool("pasta"), Tool("slirp4netns"), File("/dev/net/tun")];
    volumes_are_written_as_the_user [Root, Busybox, Kernel("overlay"), Tool("newuidmap")];
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let ends = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < ends, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes of a user of the host, by its number.
fn processes_of(uid: u32) -> Vec<String> {
    let listed = Command::new("ps").args(["-o", "pid=,args=", "-u", &uid.to_string()]).output().expect("ps");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.lines().filter(|line| !line.contains("<defunct>")).map(str::to_owned).collect()
}

fn ends_without_a_trace(scene: &Scene, user: &User<'_>) {
    until("processes of the user are left", || processes_of(user.id).is_empty());
    let mounts = leaks::mounts(scene.directory());
    assert!(mounts.is_empty(), "{mounts:?}");
}

fn a_normal_user_is_root_in_a_container_and_nobody_outside(scene: &Scene) {
    let user = User::new(scene);
    let script = "id -u; id -g; cat /proc/self/uid_map; cat /proc/self/gid_map; grep -E '^(NoNewPrivs|CapEff)' /proc/self/status; \
                  touch /made /proc/sys/x 2>/dev/null; test -e /made && echo made; \
                  mknod /node c 1 3 2>/dev/null || echo no nodes; cat /proc/mounts | grep -c ' / overlay '; hostname";
    let output = user.vial(["run", "--rm", "-h", "inside", &user.rootfs(), "sh", "-c", script]).ok().silent();
    let words: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let (id, first) = (user.id.to_string(), user.first.to_string());
    let maps = [vec!["0", &*id, "1"], vec!["1", &*first, "65536"]];
    assert_eq!(words[..2], [["0"], ["0"]]);
    assert_eq!(words[2..4], maps);
    assert_eq!(words[4..6], maps);
    assert_eq!(
        words[6..],
        [
            vec!["CapEff:", "00000000a80425fb"],
            vec!["NoNewPrivs:", "0"],
            vec!["made"],
            vec!["no", "nodes"],
            vec!["1"],
            vec!["inside"]
        ]
    );
    let running = user.vial(["run", "--rm", &user.rootfs(), "sleep", "12345"]).start();
    until("the workload does not run as the user", || {
        processes_of(user.id).iter().any(|line| line.ends_with("sleep 12345"))
    });
    let other = user.vial(["run", "--rm", "-u", "1000", &user.rootfs(), "sleep", "12345"]).start();
    until("the other workload does not run as a subordinate user", || !processes_of(user.first + 999).is_empty());
    drop((running, other));
    for id in [user.id, user.first + 999] {
        for line in processes_of(id) {
            let pid = line.split_whitespace().next().expect("a process ID").to_owned();
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }
    user.vial(["gc"]).ok();
    ends_without_a_trace(scene, &user);
}

fn images_are_imported_and_files_keep_their_owners(scene: &Scene) {
    let user = User::new(scene);
    let archive = scene.path("root.tar");
    let mine = scene.path("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("file"), "42\n").unwrap();
    std::os::unix::fs::chown(mine.join("file"), Some(42), Some(43)).unwrap();
    scene
        .command(
            "tar",
            [
                "--numeric-owner",
                "-cf",
                archive.to_str().unwrap(),
                "-C",
                &user.rootfs(),
                ".",
                "-C",
                mine.to_str().unwrap(),
                "file",
            ],
        )
        .ok();
    user.vial(["import", archive.to_str().unwrap(), "web"]).ok().silent();
    user.vial(["run", "--rm", "web", "stat", "-c", "%u:%g", "/file"]).ok().prints("42:43\n");
    let layers: Vec<_> =
        fs::read_dir(user.root().join("layers")).unwrap().flatten().map(|entry| entry.path()).collect();
    let stat = fs::metadata(layers[0].join("diff/file")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (user.first + 41, user.first + 42));
    // Out of the user's store and into root's, with the owners that the image has.
    let saved = user.home().join("saved.tar");
    user.vial(["save", "-o", saved.to_str().unwrap(), "web"]).ok();
    scene.vial(["load", "-i", saved.to_str().unwrap()]).ok();
    scene.vial(["run", "--rm", "web", "stat", "-c", "%u:%g", "/file"]).ok().prints("42:43\n");
    user.vial(["rmi", "web"]).ok();
    assert_eq!(fs::read_dir(user.root().join("layers")).unwrap().count(), 0);
    ends_without_a_trace(scene, &user);
}

fn a_container_lives_a_whole_life(scene: &Scene) {
    let user = User::new(scene);
    let vial = |words: &[&str]| user.vial(words.iter().copied()).ok();
    vial(&["import", &user.rootfs(), "base"]).silent();
    vial(&[
        "run",
        "-d",
        "--name",
        "one",
        "--restart",
        "on-failure",
        "-e",
        "WORD=yes",
        "base",
        "sh",
        "-c",
        "echo $WORD; trap 'exit 7' TERM; while :; do sleep 0.05; done",
    ]);
    until("the log is empty", || vial(&["logs", "one"]).stdout == "yes\n");
    vial(&["exec", "one", "id", "-u"]).prints("0\n");
    vial(&["exec", "-u", "1000:1000", "one", "id", "-u"]).prints("1000\n");
    user.vial(["exec", "one", "sh", "-c", "exit 9"]).ends(9);
    vial(&["top", "one"]).shows("sh -c");
    fs::write(user.home().join("file"), "given\n").unwrap();
    vial(&["cp", "file", "one:/etc/file"]);
    vial(&["exec", "one", "stat", "-c", "%u", "/etc/file"]).prints("0\n");
    vial(&["cp", "one:/etc/file", "back"]);
    assert_eq!(fs::read_to_string(user.home().join("back")).unwrap(), "given\n");
    vial(&["diff", "one"]).shows("A /etc/file");
    vial(&["rename", "one", "two"]);
    vial(&["stop", "two"]);
    vial(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).shows("two Exited (7)");
    vial(&["commit", "two", "kept"]);
    vial(&["run", "--rm", "kept", "cat", "/etc/file"]).prints("given\n");
    vial(&["start", "two"]);
    vial(&["exec", "two", "cat", "/etc/file"]).prints("given\n");
    vial(&["restart", "-t", "1", "two"]);
    vial(&["kill", "-s", "KILL", "two"]);
    vial(&["wait", "two"]);
    vial(&["rm", "-f", "two"]);
    vial(&["ps", "-aq"]).prints("");
    ends_without_a_trace(scene, &user);
}

fn what_a_layer_takes_away_is_gone_and_a_directory_that_was_replaced_is_new(scene: &Scene) {
    let user = User::new(scene);
    let vial = |words: &[&str]| user.vial(words.iter().copied()).ok();
    vial(&["import", &user.rootfs(), "base"]).silent();
    vial(&["run", "--name", "a", "base", "sh", "-c", "mkdir /d; touch /d/old /gone"]);
    vial(&["commit", "a", "one"]);
    vial(&["run", "--name", "b", "one", "sh", "-c", "rm -r /d /gone; mkdir /d; touch /d/new"]);
    vial(&["diff", "b"]).shows("D /gone");
    vial(&["commit", "b", "two"]);
    let script = "ls /d; ls /gone 2>/dev/null || echo none";
    vial(&["run", "--rm", "two", "sh", "-c", script]).prints("new\nnone\n");
    // The same from an archive, which has whiteouts in docker's form, and on another storage driver.
    vial(&["save", "-o", "two.tar", "two"]);
    vial(&["rm", "a", "b"]);
    vial(&["rmi", "one", "two"]);
    vial(&["load", "-i", "two.tar"]);
    vial(&["run", "--rm", "two", "sh", "-c", script]).prints("new\nnone\n");
    vial(&["--storage", "copy", "run", "--rm", "two", "sh", "-c", script]).prints("new\nnone\n");
    ends_without_a_trace(scene, &user);
}

fn a_container_outlives_its_monitor_and_is_still_the_users(scene: &Scene) {
    let user = User::new(scene);
    let vial = |words: &[&str]| user.vial(words.iter().copied()).ok();
    vial(&["run", "-d", "--name", "one", &user.rootfs(), "sleep", "1000"]);
    let monitor = processes_of(user.id).into_iter().find(|line| line.contains("vial-monitor")).expect("a monitor");
    let pid = monitor.split_whitespace().next().unwrap().to_owned();
    scene.command("kill", ["-KILL", &pid]).ok();
    until("the monitor is still there", || !processes_of(user.id).iter().any(|line| line.contains("vial-monitor")));
    vial(&["exec", "-u", "1000", "one", "id", "-u"]).prints("1000\n");
    vial(&["run", "-d", "--name", "two", &user.rootfs(), "sleep", "1000"]);
    vial(&["rm", "-f", "one", "two"]);
    ends_without_a_trace(scene, &user);
}

fn many_commands_at_once_share_a_namespace(scene: &Scene) {
    let user = User::new(scene);
    let root = user.rootfs();
    let started: Vec<_> = (0..12)
        .map(|number| {
            user.vial(["run", "-d", "--name", &format!("c{number}"), "-u", "1000", &root, "sleep", "1000"]).start()
        })
        .collect();
    for running in started {
        running.wait().ends(0);
    }
    let namespaces = user.vial(["ps", "-q"]).ok().stdout.lines().count();
    assert_eq!(namespaces, 12);
    let of = |line: &String| fs::read_link(format!("/proc/{}/ns/user", line.split_whitespace().next().unwrap())).ok();
    let mut found: Vec<_> = processes_of(user.first + 999).iter().filter_map(of).collect();
    assert_eq!(found.len(), 12);
    found.dedup();
    assert_eq!(found.len(), 1, "there is more than one namespace");
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    user.vial(["rm", "-f"].into_iter().chain(names.iter().map(String::as_str))).ok();
    ends_without_a_trace(scene, &user);
    assert!(processes_of(user.first + 999).is_empty());
}

/// What holds where the user is the only one.
fn there_is_one_user(scene: &Scene, user: &User<'_>, path: &str) {
    let vial = |words: &[&str]| user.vial(words.iter().copied()).env("PATH", path);
    let archive = scene.path("root.tar");
    scene
        .command("tar", ["--owner=42", "--group=43", "-cf", archive.to_str().unwrap(), "-C", &user.rootfs(), "."])
        .ok();
    vial(&["import", archive.to_str().unwrap(), "web"]).ok().says("owners").says("usermod --add-subuids");
    vial(&[
        "run",
        "--rm",
        "web",
        "sh",
        "-c",
        "stat -c %u:%g /bin/busybox; cat /proc/self/uid_map | wc -l; cat /proc/self/setgroups",
    ])
    .ok()
    .prints("0:0\n1\ndeny\n");
    vial(&["run", "--rm", "-u", "1000", "web", "true"])
        .ends(125)
        .says("has no place in the user namespace")
        .says("newuidmap");
    vial(&["run", "-d", "--name", "one", "web", "sleep", "1000"]).ok();
    vial(&["exec", "one", "id", "-u"]).ok().prints("0\n");
    vial(&["rm", "-f", "one"]).ok();
    ends_without_a_trace(scene, user);
}

fn without_subordinate_ids_there_is_one_user(scene: &Scene) {
    there_is_one_user(scene, &User::alone(scene), "/usr/sbin:/usr/bin:/sbin:/bin");
}

fn without_newuidmap_there_is_one_user(scene: &Scene) {
    let user = User::new(scene);
    // Programs that the command line of the user's needs, but not that one.
    let few = scene.path("few");
    fs::create_dir(&few).unwrap();
    for name in ["bash", "env", "setpriv", "mount", "unshare"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap().stdout;
        std::os::unix::fs::symlink(String::from_utf8_lossy(&found).trim(), few.join(name)).unwrap();
    }
    there_is_one_user(scene, &user, few.to_str().unwrap());
}

fn the_storage_driver_copy_works(scene: &Scene) {
    let user = User::new(scene);
    let script = "touch /made; chown 1000 /made; stat -c %u /made";
    user.vial(["--storage", "copy", "run", "--rm", &user.rootfs(), "sh", "-c", script]).ok().prints("1000\n");
    ends_without_a_trace(scene, &user);
}

fn devices_of_the_host_are_given_but_not_made(scene: &Scene) {
    let user = User::new(scene);
    let script = "echo gone >/dev/null; head -c 4 /dev/zero | wc -c; stat -c %t:%T /dev/more; ls /dev";
    let output = user.vial(["run", "--rm", "--device", "/dev/full:/dev/more", &user.rootfs(), "sh", "-c", script]).ok();
    assert_eq!(
        output.stdout.split_whitespace().collect::<Vec<_>>(),
        [
            "4", "1:7", "fd", "full", "more", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "tty", "urandom", "zero"
        ]
    );
    // A terminal of its own.
    let word =
        user.vial(["run", "--rm", "-t", &user.rootfs(), "sh", "-c", "tty; test -c /dev/console && echo there"]).ok();
    assert_eq!(word.stdout.split_whitespace().collect::<Vec<_>>(), ["/dev/pts/0", "there"]);
    ends_without_a_trace(scene, &user);
}

fn the_hosts_network_is_shared_with_its_files(scene: &Scene) {
    let user = User::new(scene);
    let script = "ls /sys/class/net; touch /sys/x 2>/dev/null || echo read-only";
    let output = user.vial(["run", "--rm", "--network", "host", &user.rootfs(), "sh", "-c", script]).ok();
    let host = scene.command("ls", ["/sys/class/net"]).ok().stdout;
    assert_eq!(
        output.stdout.replace("read-only\n", "").split_whitespace().collect::<Vec<_>>(),
        host.split_whitespace().collect::<Vec<_>>()
    );
    assert!(output.stdout.ends_with("read-only\n"));
    user.vial(["run", "-d", "--name", "one", "--network", "host", &user.rootfs(), "sleep", "1000"]).ok();
    user.vial(["exec", "one", "hostname"]).ok();
    user.vial(["rm", "-f", "one"]).ok();
    ends_without_a_trace(scene, &user);
}

fn what_only_root_can_have_is_refused_in_words(scene: &Scene) {
    let user = User::new(scene);
    let refused = |words: &[&str]| {
        let root = user.rootfs();
        let words = [&["run", "--rm"], words, &[&root, "true"]].concat();
        user.vial(words).ends(125)
    };
    refused(&["--network", "bridge"]).says("need root").says("--network none or host");
    refused(&["--device-cgroup-rule", "c 1:3 r"]).says("needs root");
    refused(&["--pid", "host"]).says("--pid conflicts with working in a user namespace");
    refused(&["--ipc", "host"]).says("--ipc conflicts with working in a user namespace");
    refused(&["-m", "64m"]).says("--memory can't be enforced").says("cgroup v2").says("Delegate=yes");
    user.vial(["--best-effort", "run", "--rm", "-m", "64m", &user.rootfs(), "echo", "yes"])
        .ok()
        .prints("yes\n")
        .says("warning");
    user.vial(["run", "--rm", "host", "true"]).ends(125).says("mounted below it").says("root");
    ends_without_a_trace(scene, &user);
}

fn the_reasons_of_a_host_without_user_namespaces_are_told_apart(scene: &Scene) {
    let user = User::alone(scene);
    let vial = scene.path("vial").display().to_string();
    let root = user.rootfs();
    let run = [vial.as_str(), "run", "--rm", &root, "true"];
    let injected = |errno: &str| {
        let inject = format!("inject=unshare:error={errno}");
        let words = ["strace", "-o", "/dev/null", "-e", &inject].into_iter().chain(run);
        user.command(words.map(str::to_owned)).ends(125)
    };
    injected("ENOSYS").says("CONFIG_USER_NS");
    injected("ENOSPC").says("user.max_user_namespaces");
    injected("EPERM").says("a sandbox's filter");
    // The host's own settings, in a user namespace of the test's where they can be made without harm.
    let script = "import os,sys\n\
                  up,down=os.pipe(),os.pipe()\n\
                  if os.fork()==0:\n \
                   libc=__import__('ctypes').CDLL(None,use_errno=True)\n \
                   assert libc.unshare(0x10000000)==0\n \
                   os.write(up[1],b'1'); os.read(down[0],1)\n \
                   open('/proc/sys/user/max_user_namespaces','w').write('0')\n \
                   os.execvp('setpriv',['setpriv','--reuid','1000','--regid','1000','--clear-groups','env','-u','VIAL_ROOT','HOME=/nowhere','VIAL_ROOT='+sys.argv[1]]+sys.argv[2:])\n\
                  os.read(up[0],1)\n\
                  pid=open('/proc/self/task/%d/children'%os.getpid()).read().split()[0]\n\
                  [open('/proc/%s/%s'%(pid,f),'w').write('0 0 65536') for f in ('uid_map','gid_map')]\n\
                  os.write(down[1],b'1')\n\
                  sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))";
    let store = scene.path("store");
    fs::create_dir(&store).unwrap();
    std::os::unix::fs::chown(&store, Some(1000), Some(1000)).unwrap();
    let words = ["-c", script, store.to_str().unwrap()].into_iter().chain(run);
    scene.command("python3", words).ends(125).says("sysctl user.max_user_namespaces");
    // Debian's setting, which not every kernel has.
    let fake =
        "mount -t tmpfs none /proc/sys/kernel && echo 0 >/proc/sys/kernel/unprivileged_userns_clone && exec \"$@\"";
    let inject = ["strace", "-o", "/dev/null", "-e", "inject=unshare:error=EPERM"];
    let setpriv = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
    let env = format!("VIAL_ROOT={}", store.display());
    let words =
        ["-m", "sh", "-c", fake, "sh"].into_iter().chain(setpriv).chain(["env", env.as_str()]).chain(inject).chain(run);
    scene.command("unshare", words).ends(125).says("kernel.unprivileged_userns_clone=1");
}

fn pasta_leads_out_and_published_ports_lead_in(scene: &Scene) {
    let user = User::new(scene);
    let host = Host::new(scene);
    leads_out_and_in(scene, &user, &host, "pasta", "169.254.1.1", &[HOST[0], HOST[1], LOOPBACK[0], LOOPBACK[1]]);
    // It is what a user gets who says nothing.
    user.vial_on(&host, ["run", "--rm", &user.rootfs(), "ls", "/sys/class/net"]).ok().shows(CABLE);
    ends_without_a_trace(scene, &user);
    host.end();
}

fn slirp4netns_leads_out_and_published_ports_lead_in(scene: &Scene) {
    let user = User::new(scene);
    let host = Host::new(scene);
    leads_out_and_in(scene, &user, &host, "slirp4netns", "10.0.2.3", &[HOST[0], LOOPBACK[0]]);
    let (root, network) = (user.rootfs(), ["--network", "slirp4netns"]);
    let vial = |words: &[&str]| user.vial_on(&host, [&["run", "--rm"], &network[..], words, &[&root]].concat());
    vial(&["--network", "none"]).args(["true"]).ends(125).says("several networks, or one mode alone");
    // It knows IPv4 alone, and says so. It leads to nothing at the host's loopback.
    vial(&["-p", "[::1]:8080:80"]).args(["true"]).ends(125).says("at IPv4 addresses only").says("pasta");
    let own = host.place().listen(By::Tcp, LOOPBACK[0], 7001);
    let ask = "for address in 10.0.2.2 127.0.0.1; do timeout 2 nc $address 7001 </dev/null; done; ip link; ip -6 route";
    let seen = vial(&[]).args(["sh", "-c", ask]).run().stdout;
    assert!(seen.contains("tap0") && seen.contains("mtu 65520"), "{seen}");
    assert!(!seen.contains(LOOPBACK[0]) && own.count() == 0, "{seen}");
    // What it can't do it says, and then there is no container: here a port that it can't have.
    let low = vial(&["-p", "80:80"]).args(["true"]).ends(125);
    assert!(low.stderr.contains("80") && !low.stderr.contains("starting"), "{}", low.stderr);
    ends_without_a_trace(scene, &user);
    host.end();
}

fn slirp4netns_is_taken_where_there_is_no_pasta_and_none_of_both_is_an_error(scene: &Scene) {
    let user = User::new(scene);
    let host = Host::new(scene);
    let root = user.rootfs();
    let vial = |hidden: &[&str], words: &[&str]| {
        // Hides programs from everybody in there, as a host that does not have them.
        for name in hidden {
            let hides = scene.path("hides").join(name);
            fs::create_dir_all(hides.parent().unwrap()).unwrap();
            if !hides.exists() {
                scene.command("mknod", [hides.to_str().unwrap(), "c", "0", "0"]).ok();
            }
        }
        let hide = format!(
            "mount -t overlay none -o lowerdir={}:/usr/bin /usr/bin && exec \"$@\"",
            scene.path("hides").display()
        );
        let inner = user.words_on(words.iter().copied());
        host.command("unshare", ["-m", "sh", "-c", &hide, "sh", "unshare"].map(str::to_owned).into_iter().chain(inner))
    };
    let links = ["run", "--rm", &root, "ls", "/sys/class/net"];
    vial(&["pasta", "passt"], &links).ok().shows("tap0");
    vial(&[], &["run", "--rm", "--network", "pasta", &root, "true"])
        .ends(125)
        .says("there is no pasta")
        .says("slirp4netns");
    vial(&["slirp4netns"], &links)
        .ends(125)
        .says("need root")
        .says("--network none or host")
        .says("pasta")
        .says("slirp4netns");
    vial(&[], &["run", "--rm", "--network", "slirp4netns", &root, "true"]).ends(125).says("there is no slirp4netns");
    vial(&[], &["run", "--rm", "--network", "none", &root, "ls", "/sys/class/net"]).ok().prints("lo\n");
    ends_without_a_trace(scene, &user);
    host.end();
}

fn what_connects_a_container_outlives_its_monitor(scene: &Scene) {
    let user = User::new(scene);
    let host = Host::new(scene);
    let root = user.rootfs();
    for program in ["pasta", "slirp4netns"] {
        let vial = |words: &[&str]| user.vial_on(&host, words.iter().copied());
        let network = ["--network", program, "-p", "8080:80"];
        vial(&[&["run", "-d", "--name", "web"], &network[..], &[&root, "sh", "-c", WEB]].concat()).ok().silent();
        let url = format!("http://{}:8080/", HOST[0]);
        let answers = || host.command("curl", ["-s", "-m", "5", &url]).run().stdout.len() > 5;
        until("nobody answers", answers);
        let is_monitor = |line: &String| line.contains("vial-monitor");
        let pid = |line: String| line.split_whitespace().next().unwrap().to_owned();
        let monitor = || processes_of(user.id).into_iter().find(is_monitor).map(pid);
        let before = monitor().expect("a monitor");
        scene.command("kill", ["-KILL", &before]).ok();
        until("no other monitor comes", || {
            let _ = vial(&["ps"]).run();
            monitor().is_some_and(|now| now != before)
        });
        vial(&["exec", "web", "true"]).ok();
        assert!(answers(), "{program} ended with the monitor");
        vial(&["rm", "-f", "web"]).ok();
        ends_without_a_trace(scene, &user);
    }
    host.end();
}

/// A container that is connected by a program: out, in at these addresses, and what is left of it when it is gone.
fn leads_out_and_in(scene: &Scene, user: &User<'_>, host: &Host<'_>, program: &str, resolver: &str, at: &[&str]) {
    let root = user.rootfs();
    let vial = |words: &[&str]| user.vial_on(host, words.iter().copied());
    let network = ["--network", program];
    let datagrams = format!("{}:8053:53/udp", HOST[0]);
    let ports = ["-p", "8080:80", "-p", &datagrams, "-p", "8100-8101:80-81"];
    let words = [&["run", "-d", "--name", "web"], &network[..], &ports, &[&root, "sh", "-c", WEB]].concat();
    vial(&words).ok().silent();
    // In, from the host and from elsewhere, and out, as the host. What passes on is there before the server in the container.
    let answers = |ask: &dyn Fn() -> String, what: &str| until(what, || ask().len() > 5);
    for address in at {
        let url =
            if address.contains(':') { format!("http://[{address}]:8080/") } else { format!("http://{address}:8080/") };
        answers(&|| host.command("curl", ["-s", "-m", "5", &url]).run().stdout, &url);
    }
    let url = format!("http://{}:8080/", HOST[0]);
    answers(&|| host.command_there("curl", ["-s", "-m", "5", &url]).run().stdout, "nobody answers elsewhere");
    let second = format!("http://{}:8100/", HOST[0]);
    answers(&|| host.command_there("curl", ["-s", "-m", "5", &second]).run().stdout, "a range leads nowhere");
    host.place().must_not_reach(By::Udp, LOOPBACK[0], 8053);
    let server = processes_of(user.id).into_iter().find(|line| line.contains("httpd -f") && !line.contains("vial"));
    let pid = server.expect("a server").split_whitespace().next().unwrap().parse().unwrap();
    let heard = Place::of(pid).listen(By::Udp, "::", 53);
    // Not by the loopback: Debian 12's pasta loses the answer there, and slirp4netns takes it for one to the host's loopback.
    assert!(!host.remote().ask(By::Udp, HOST[0], 8053).is_empty());
    drop(heard);
    let far = BOTH.map(|by| host.remote().listen(by, "::", 7000));
    // By a program that leaves its side open: Debian 12's pasta takes half an end for the whole.
    let out = || vial(&["exec", "web", "timeout", "3", "nc", REMOTE[0], "7000"]).run().stdout;
    until("the way out does not begin at the host", || out().contains(HOST[0]));
    assert_eq!(Place::of(pid).ask(By::Udp, REMOTE[0], 7000), HOST[0]);
    drop(far);
    vial(&["exec", "web", "cat", "/etc/resolv.conf"]).ok().shows(&format!("nameserver {resolver}"));
    let listed = vial(&["port", "web"]).ok().stdout;
    assert!(listed.contains("80/tcp -> 0.0.0.0:8080"), "{listed}");
    assert_eq!(listed.contains("[::]:8080"), at.len() > 2, "{listed}");
    // A port that is taken, and what ends with the container.
    let taken = [&["run", "--rm"], &network[..], &["-p", "8080:80", &root, "true"]].concat();
    vial(&taken).ends(125).says("8080").says("the port is taken");
    vial(&["restart", "-t", "0", "web"]).ok();
    answers(&|| host.command("curl", ["-s", "-m", "5", &url]).run().stdout, "nobody answers after a restart");
    let of = |words: &str| processes_of(user.id).into_iter().find(|line| line.contains(words));
    let program_line = format!("{program} --");
    assert!(of(&program_line).is_some(), "{:?}", processes_of(user.id));
    vial(&["stop", "-t", "0", "web"]).ok();
    until("it is left after a stop", || of(&program_line).is_none());
    vial(&["start", "web"]).ok();
    vial(&["rm", "-f", "web"]).ok();
    until("it is left after a removal", || of(&program_line).is_none());
    // vial is killed: the container ends with it, and what connected it is found.
    let lost = [&["run", "--rm", "--name", "lost"], &network[..], &["-p", "8080:80", &root, "sleep", "4711"]].concat();
    let running = vial(&lost).start();
    let runs = || processes_of(user.id).iter().any(|line| line.ends_with(" sleep 4711") && !line.contains("vial"));
    until("the container does not run", runs);
    let line = of("vial run --rm --name lost").expect("vial runs");
    let pid = line.split_whitespace().next().expect("a process ID").to_owned();
    scene.command("kill", ["-KILL", &pid]).ok();
    running.wait();
    until("the container goes on", || !runs());
    vial(&["gc"]).ok();
    until("it is left after a collection", || of(&program_line).is_none());
    // The same ports, at once.
    let again = [&["run", "--rm"], &network[..], &["-p", "8080:80", &root, "ip", "route"]].concat();
    vial(&again).ok().shows("default");
    vial(&["run", "--rm", "--network", "none", &root, "ip", "route"]).ok().prints("");
    scene.vial(["run", "--rm", "--network", program, &root, "true"]).ends(125).says("normal users");
    ends_without_a_trace(scene, user);
}

fn volumes_are_written_as_the_user(scene: &Scene) {
    let user = User::new(scene);
    let shared = user.home().join("shared");
    user.command(["mkdir".to_owned(), shared.display().to_string()]).ok();
    let volume = format!("{}:/shared", shared.display());
    user.vial([
        "run",
        "--rm",
        "-v",
        &volume,
        "-v",
        "named:/named",
        &user.rootfs(),
        "sh",
        "-c",
        "touch /shared/a /named/b; chown 1000:1000 /shared/a",
    ])
    .ok();
    let stat = fs::metadata(shared.join("a")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (user.first + 999, user.first + 999));
    assert_eq!(fs::metadata(user.root().join("volumes/named/_data/b")).unwrap().uid(), user.id);
    // What is read-only outside stays so.
    let read_only = format!("{}:/shared:ro", shared.display());
    user.vial(["run", "--rm", "-v", &read_only, &user.rootfs(), "touch", "/shared/b"]).ends(1).says("Read-only");
    user.vial(["volume", "rm", "named"]).ok();
    ends_without_a_trace(scene, &user);
}
