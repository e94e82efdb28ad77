//! What the workload finds: devices, files, names, variables, its user, its limits, and what was mounted for it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use crate::util::container::{Container, eventually, inside, run, run_in, states};
use crate::util::{Scene, rootfs};

trials! {
    the_devices_are_the_usual_few [Root, Busybox, Kernel("overlay"), Command("run")];
    the_devices_work [Root, Busybox, Kernel("overlay"), Command("run")];
    pseudo_terminals_are_the_containers_own [Root, Busybox, Tool("script"), Kernel("overlay"), Command("run")];
    shared_memory_has_the_size_asked_for [Root, Busybox, Kernel("overlay"), Command("run")];
    message_queues_are_the_containers_own [Root, Busybox, Kernel("overlay"), Command("run")];
    the_container_knows_its_names [Root, Busybox, Kernel("overlay"), Command("run")];
    the_resolver_asks_whom_it_is_told_to [Root, Busybox, Kernel("overlay"), Command("run")];
    the_environment_is_the_promised_one [Root, Busybox, Kernel("overlay"), Command("run")];
    variables_come_from_options_files_and_the_caller [Root, Busybox, Kernel("overlay"), Command("run")];
    the_working_directory_is_made_when_missing [Root, Busybox, Kernel("overlay"), Command("run")];
    users_are_looked_up_in_the_image [Root, Busybox, Kernel("overlay"), Command("run")];
    a_hostile_passwd_neither_hangs_nor_leads_out [Root, Busybox, Kernel("overlay"), Command("run")];
    an_entrypoint_takes_the_command_as_arguments [Root, Busybox, Kernel("overlay"), Command("run")];
    labels_are_noted [Root, Busybox, Kernel("overlay"), Command("run")];
    the_id_is_written_to_a_new_file_only [Root, Busybox, Kernel("overlay"), Command("run")];
    resource_limits_are_set [Root, Busybox, Kernel("overlay"), Command("run")];
    kernel_parameters_are_set_in_the_container_only [Root, Busybox, Kernel("overlay"), Command("run")];
    the_oom_score_is_set [Root, Busybox, Kernel("overlay"), Command("run")];
    an_init_collects_orphans [Root, Busybox, Kernel("overlay"), Command("run")];
    an_init_passes_signals_and_exit_codes_on [Root, Busybox, Kernel("overlay"), Command("run")];
    a_read_only_root_is_read_only [Root, Busybox, Kernel("overlay"), Command("run")];
    a_tmpfs_has_the_options_asked_for [Root, Busybox, Kernel("overlay"), Command("run")];
    a_bind_mount_shows_the_hosts_directory [Root, Busybox, Kernel("overlay"), Command("run")];
    a_missing_source_is_made_for_volume_but_not_for_mount [Root, Busybox, Kernel("overlay"), Command("run")];
    read_only_holds_for_everything_mounted_below [Root, Busybox, Kernel("overlay"), Command("run")];
    a_file_is_mounted_on_a_file [Root, Busybox, Kernel("overlay"), Command("run")];
    links_in_the_image_do_not_lead_a_mount_out [Root, Busybox, Kernel("overlay"), Command("run")];
    nor_do_they_on_old_kernels [Root, Busybox, Tool("strace"), Kernel("overlay"), Command("run")];
    a_new_volume_gets_what_the_image_has_there [Root, Busybox, Kernel("overlay"), Command("run")];
    a_volume_is_kept_and_not_filled_twice [Root, Busybox, Kernel("overlay"), Command("run")];
    a_volume_without_a_name_goes_with_its_container [Root, Busybox, Kernel("overlay"), Command("run")];
    every_type_of_mount_works [Root, Busybox, Kernel("overlay"), Command("run")];
    a_device_of_the_host_is_given [Root, Busybox, Kernel("loop"), Kernel("overlay"), Command("run")];
    the_hosts_devices_keep_owner_and_mode [Root, Busybox, Kernel("overlay"), Command("run")];
    the_umask_is_022 [Root, Busybox, Kernel("overlay"), Command("run")];
    signals_are_as_vial_found_them [Root, Busybox, Kernel("overlay"), Command("run")];
}

fn the_devices_are_the_usual_few(scene: &Scene) {
    let list =
        "cd /dev && for name in $(ls -A); do echo $name $(stat -c '%A %u:%g %t:%T' $name) $(readlink $name); done";
    let expected = [
        "fd lrwxrwxrwx 0:0 0:0 /proc/self/fd",
        "full crw-rw-rw- 0:0 1:7",
        "mqueue drwxrwxrwt 0:0 0:0",
        "null crw-rw-rw- 0:0 1:3",
        "ptmx lrwxrwxrwx 0:0 0:0 pts/ptmx",
        "pts drwxr-xr-x 0:0 0:0",
        "random crw-rw-rw- 0:0 1:8",
        "shm drwxrwxrwt 0:0 0:0",
        "stderr lrwxrwxrwx 0:0 0:0 /proc/self/fd/2",
        "stdin lrwxrwxrwx 0:0 0:0 /proc/self/fd/0",
        "stdout lrwxrwxrwx 0:0 0:0 /proc/self/fd/1",
        "tty crw-rw-rw- 0:0 5:0",
        "urandom crw-rw-rw- 0:0 1:9",
        "zero crw-rw-rw- 0:0 1:5",
    ];
    assert_eq!(inside(scene, &[], list).lines().collect::<Vec<_>>(), expected);
    // What the image has in /dev is covered.
    let root = scene.path("own");
    rootfs::make(&root).expect("make a root");
    fs::write(root.join("dev/null"), "no device").expect("write a file");
    fs::write(root.join("dev/other"), "").expect("write a file");
    run_in(scene, &[], &root.display().to_string(), list).ok().prints(&(expected.join("\n") + "\n"));
}

fn the_devices_work(scene: &Scene) {
    let script = "echo x >/dev/null && head -c 3 /dev/zero | od -An -tx1 && head -c 4 /dev/urandom | wc -c &&\n\
                  head -c 4 /dev/random | wc -c && echo out >/dev/stdout && echo words >/dev/stderr && cat /dev/stdin &&\n\
                  cat <(echo fd) 2>/dev/null | cat && echo x >/dev/full";
    let output = run(scene, &["-i"], script).input("in\n").ends(1);
    output.says("words\n").says("No space left").shows("00 00 00\n4\n4\nout\nin\n");
    run(scene, &["-u", "user"], "echo x >/dev/null && head -c 1 /dev/urandom | wc -c").ok().prints("1\n");
}

fn pseudo_terminals_are_the_containers_own(scene: &Scene) {
    assert_eq!(
        inside(scene, &[], "ls /dev/pts; stat -c '%A' /dev/pts/ptmx; exec 3<>/dev/ptmx && ls /dev/pts"),
        "ptmx\ncrw-rw-rw-\n0\nptmx"
    );
    let script = "tty; stat -c '%A %u:%g' /dev/console; stat -c '%u:%g %a' $(tty); ls -1 /dev/pts; test -t 0 -a -t 1 -a -t 2 && echo all; echo tested >/dev/console; echo also >/dev/tty";
    let expected = "/dev/pts/0\r\ncrw--w---- 0:5\r\n0:5 620\r\n0\r\nptmx\r\nall\r\ntested\r\nalso\r\n";
    // Only the output is a terminal's; the input is none.
    run(scene, &["-t"], script).ok().prints(expected);
    let script =
        "stat -c '%u:%g %a' /dev/console; echo seen >/dev/console; cat /proc/self/stat | awk '{ print ($7 != 0) }'";
    run(scene, &["-t", "-u", "user"], script).ok().prints("1000:5 620\r\nseen\r\n1\r\n");
}

fn shared_memory_has_the_size_asked_for(scene: &Scene) {
    let script =
        "df -k /dev/shm | awk 'NR == 2 { print $1, $2 }'; grep ' /dev/shm ' /proc/self/mountinfo | cut -d' ' -f 6";
    assert_eq!(inside(scene, &[], script), "shm 65536\nrw,nosuid,nodev,noexec,relatime");
    assert_eq!(inside(scene, &["--shm-size", "3m"], script).lines().next(), Some("shm 3072"));
    run(scene, &["--shm-size", "1m"], "dd if=/dev/zero of=/dev/shm/x bs=1k count=2000").ends(1).says("No space left");
    assert_eq!(
        inside(scene, &["--ipc", "none"], "ls -A /dev | grep -c shm; grep -c ' /dev/shm ' /proc/self/mountinfo; true"),
        "0\n0"
    );
}

fn message_queues_are_the_containers_own(scene: &Scene) {
    let name = format!("vial-test-{}", std::process::id());
    let container = Container::start(scene, &[], &format!("touch /dev/mqueue/{name} && exec sleep 600"));
    eventually("the queue is made", || {
        Path::new(&format!("/proc/{}/root/dev/mqueue/{name}", container.pid)).exists().then_some(())
    });
    assert!(!Path::new("/dev/mqueue").join(&name).exists());
    assert_eq!(inside(scene, &[], "ls /dev/mqueue"), "");
    container.stop();
}

fn the_container_knows_its_names(scene: &Scene) {
    let script = "hostname; cat /etc/hostname; echo $HOSTNAME; cat /proc/sys/kernel/domainname; getent hosts $(hostname) 2>/dev/null || grep -w $(hostname) /etc/hosts";
    let shown = inside(scene, &["--cidfile", &scene.path("id").display().to_string()], script);
    let id = fs::read_to_string(scene.path("id")).expect("the ID was written");
    let short = &id[..12];
    assert!(shown.starts_with(&format!("{short}\n{short}\n{short}\n(none)\n")), "{shown} {id}");
    let shown = inside(
        scene,
        &["-h", "box", "--domainname", "example.org", "--add-host", "db:10.0.0.7", "--add-host", "v6=[fd00::1]"],
        "hostname; cat /etc/hostname /etc/hosts; echo $HOSTNAME; cat /proc/sys/kernel/domainname",
    );
    let expected = "box\nbox\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                    ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n127.0.1.1\tbox.example.org box\n\
                    10.0.0.7\tdb\nfd00::1\tv6\nbox\nexample.org";
    assert_eq!(shown, expected);
    // The host keeps its own.
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("read the host's name");
    assert_ne!(host.trim_end(), "box");
    assert_eq!(inside(scene, &["--uts", "host"], "hostname; cat /etc/hostname"), format!("{0}\n{0}", host.trim_end()));
    // The files can be changed, and that stays in the container.
    run(scene, &[], "echo 10.1.1.1 more >>/etc/hosts && tail -n 1 /etc/hosts; stat -c '%a %u:%g' /etc/hosts /etc/hostname /etc/resolv.conf")
        .ok()
        .prints("10.1.1.1 more\n644 0:0\n644 0:0\n644 0:0\n");
}

fn the_resolver_asks_whom_it_is_told_to(scene: &Scene) {
    let options = [
        "--dns",
        "192.0.2.53",
        "--dns",
        "fd00::53",
        "--dns-search",
        "a.example",
        "--dns-search",
        "b.example",
        "--dns-option",
        "ndots:2",
    ];
    let expected = "nameserver 192.0.2.53\nnameserver fd00::53\nsearch a.example b.example\noptions ndots:2";
    assert_eq!(inside(scene, &options, "cat /etc/resolv.conf"), expected);
    // A server on the host's loopback is out of reach unless the network is shared.
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = host.lines().filter(|line| line.starts_with("nameserver ")).collect();
    let shown = inside(scene, &["--network", "host"], "cat /etc/resolv.conf");
    if servers.iter().all(|server| !server.contains(" 127.0.0.53")) {
        assert!(servers.iter().all(|server| shown.contains(server)), "{shown}");
    }
    assert!(!inside(scene, &[], "cat /etc/resolv.conf").contains("nameserver 127."));
}

fn the_environment_is_the_promised_one(scene: &Scene) {
    let command = |options: &[&str]| {
        let output = scene.vial(["run", "--rm", "-h", "box"]).env("HOST_SECRET", "x").env("TERM", "vt100");
        let output = output.args(options).args([&scene.rootfs().display().to_string(), "env"]).ok();
        let mut lines: Vec<String> = output.stdout.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.sort();
        lines
    };
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(command(&[]), ["HOME=/root", "HOSTNAME=box", path, "container=vial"]);
    assert_eq!(command(&["-t"]), ["HOME=/root", "HOSTNAME=box", path, "TERM=xterm", "container=vial"]);
    assert_eq!(command(&["-u", "user"])[0], "HOME=/home/user");
    assert_eq!(command(&["-u", "4321"])[0], "HOME=/");
    let set =
        ["-e", "HOME=/elsewhere", "-e", "HOSTNAME=other", "-e", "PATH=/bin", "-e", "container=oci", "-e", "EMPTY="];
    assert_eq!(command(&set), ["EMPTY=", "HOME=/elsewhere", "HOSTNAME=other", "PATH=/bin", "container=oci"]);
    // Without a PATH nothing can be found by name.
    run(scene, &["-e", "PATH=/nowhere"], "true").ends(127).says("PATH");
}

fn variables_come_from_options_files_and_the_caller(scene: &Scene) {
    fs::write(scene.path("first"), "# a remark\nA=file\nB=from file = with signs \n\nPASSED\nABSENT\nEMPTY=\n")
        .expect("write");
    fs::write(scene.path("second"), "C=2\nA=second").expect("write");
    let output = run(
        scene,
        &[
            "--env-file",
            "first",
            "--env-file",
            "second",
            "-e",
            "C=option",
            "-e",
            "ALSO",
            "-e",
            "GONE",
            "-e",
            "container",
        ],
        "env | sort",
    );
    let output = output.env("PASSED", "from caller").env("ALSO", "two\nlines").env("UNASKED", "x").ok();
    for line in [
        "A=second\n",
        "B=from file = with signs \n",
        "PASSED=from caller\n",
        "EMPTY=\n",
        "C=option\n",
        "ALSO=two\nlines\n",
    ] {
        assert!(output.stdout.contains(line) || line.starts_with("ALSO"), "{line}: {}", output.shown());
    }
    for name in ["ABSENT", "GONE", "UNASKED", "container="] {
        assert!(!output.stdout.contains(name), "{name}: {}", output.shown());
    }
    assert_eq!(run(scene, &["-e", "ALSO"], "echo \"$ALSO\"").env("ALSO", "two\nlines").ok().stdout, "two\nlines\n");
    run(scene, &["--env-file", "missing"], "true").ends(125).says("missing").says("ENOENT");
    fs::write(scene.path("bad"), "A=1\n=x\n").expect("write");
    run(scene, &["--env-file", "bad"], "true").ends(125).says("bad").says("2");
}

fn the_working_directory_is_made_when_missing(scene: &Scene) {
    assert_eq!(inside(scene, &[], "pwd"), "/");
    assert_eq!(inside(scene, &["-w", "/home/user"], "pwd"), "/home/user");
    assert_eq!(
        inside(scene, &["-w", "/new/and/deeper", "-u", "user"], "pwd; stat -c '%u %a' . .."),
        "/new/and/deeper\n0 755\n0 755"
    );
    run(scene, &["-w", "/etc/passwd"], "true").ends(125).says("/etc/passwd").says("ENOTDIR");
    run(scene, &["-w", "/root", "-u", "user"], "pwd").ends(125).says("/root").says("EACCES");
}

/// A root of the test's own, with this `/etc/passwd` and `/etc/group`.
fn own_root(scene: &Scene, name: &str, passwd: &str, group: &str) -> String {
    let root = scene.path(name);
    rootfs::make(&root).expect("make a root");
    fs::write(root.join("etc/passwd"), passwd).expect("write a file");
    fs::write(root.join("etc/group"), group).expect("write a file");
    root.display().to_string()
}

fn users_are_looked_up_in_the_image(scene: &Scene) {
    let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:4242:4300::/srv/web:/bin/sh\n77:x:78:79::/odd:/bin/sh\n";
    let group = "root:x:0:\nweb:x:4300:\nmedia:x:4400:web,77\nextra:x:4500:\n";
    let root = own_root(scene, "own", passwd, group);
    let ids = "echo $(id -u):$(id -g) $(sed -n 's/Groups:\t//p' /proc/self/status) $HOME";
    let check = |options: &[&str], expected: &str| {
        let shown = run_in(scene, options, &root, ids).ok().stdout;
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{options:?}");
    };
    check(&[], "0:0 0 /root");
    check(&["-u", "web"], "4242:4300 4300 4400 /srv/web");
    check(&["-u", "4242"], "4242:4300 4300 4400 /srv/web");
    check(&["-u", "web:extra"], "4242:4500 4500 /srv/web");
    check(&["-u", "web:5"], "4242:5 5 /srv/web");
    check(&["-u", "9:10"], "9:10 10 /");
    check(&["-u", "9"], "9:0 0 /");
    check(&["-u", "77"], "78:79 79 4400 /odd");
    check(&["-u", "web", "--group-add", "extra", "--group-add", "4600"], "4242:4300 4300 4400 4500 4600 /srv/web");
    check(&["--group-add", "media"], "0:0 0 4400 /root");
    for (options, words) in [
        (["-u", "nobody"], "no user nobody"),
        (["-u", "web:nogroup"], "no group nogroup"),
        (["--group-add", "what"], "no group what"),
    ] {
        run_in(scene, &options, &root, "true").ends(125).says(words).says("hint: ");
    }
}

fn a_hostile_passwd_neither_hangs_nor_leads_out(scene: &Scene) {
    let root = own_root(scene, "own", "", "");
    let file = scene.path("own/etc/passwd");
    // The workload itself must not read the file.
    let script = "sed -n 's/[UG]id:\\t\\([0-9]*\\).*/\\1/p' /proc/self/status; echo $HOME";
    let check = |what: &str| {
        run_in(scene, &["-u", "5:6"], &root, script).ok().prints("5\n6\n/\n");
        run_in(scene, &["-u", "root"], &root, script).ends(125).says("no user root");
        assert!(!what.is_empty());
    };
    fs::remove_file(&file).expect("remove a file");
    check("missing");
    scene.command("mkfifo", [&file]).ok();
    check("a FIFO that nobody writes to");
    fs::remove_file(&file).expect("remove a file");
    symlink("/etc/passwd-that-is-a-link", &file).expect("make a link");
    check("a dangling link");
    fs::remove_file(&file).expect("remove a file");
    symlink("/proc/1/root/etc/passwd", &file).expect("make a link");
    check("a magic link");
    fs::remove_file(&file).expect("remove a file");
    fs::create_dir(&file).expect("make a directory");
    check("a directory");
    fs::remove_dir(&file).expect("remove a directory");
    fs::write(&file, "root:x:4294967296:0:::\nroot\n:::\n\u{1}\n").expect("write a file");
    run_in(scene, &["-u", "root"], &root, script).ends(125).says("/etc/passwd");
    // A sparse file of a gigabyte must not be read into memory.
    fs::File::create(&file).and_then(|file| file.set_len(1 << 30)).expect("make a sparse file");
    let huge = run_in(scene, &["-u", "5:6"], &root, script).run();
    assert!(huge.code == 0 || huge.code == 125 && huge.stderr.contains("/etc/passwd"), "{}", huge.shown());
}

fn an_entrypoint_takes_the_command_as_arguments(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--rm", "--entrypoint", "/bin/echo", &rootfs, "-n", "one", "two"]).ok().prints("one two");
    scene.vial(["run", "--rm", "--entrypoint", "", &rootfs, "echo", "plain"]).ok().prints("plain\n");
    scene.vial(["run", "--rm", "--entrypoint", "", &rootfs]).ends(125).says("no command");
    scene.vial(["run", "--rm", &rootfs]).ok().prints("");
}

fn labels_are_noted(scene: &Scene) {
    fs::write(scene.path("labels"), "# a remark\nfrom=file\nboth=file\n").expect("write a file");
    let options = ["-l", "colour=red", "-l", "flag", "--label", "both=option", "--label-file", "labels"];
    let container = Container::start(scene, &options, "exec sleep 600");
    let states = states(scene);
    let labels = &states[0].1["labels"];
    let text = |name: &str| labels[name].as_str();
    assert_eq!(
        [text("colour"), text("flag"), text("both"), text("from")],
        [Some("red"), Some(""), Some("option"), Some("file")]
    );
    container.stop();
}

fn the_id_is_written_to_a_new_file_only(scene: &Scene) {
    let container = Container::start(scene, &["--cidfile", "cid"], "exec sleep 600");
    assert_eq!(fs::read_to_string(scene.path("cid")).expect("the file is there"), container.id);
    container.stop();
    run(scene, &["--cidfile", "cid"], "echo ran").ends(125).prints("").says("cid").says("EEXIST");
    run(scene, &["--cidfile", "missing/cid"], "echo ran").ends(125).prints("").says("missing/cid");
    assert!(!scene.path("missing").exists());
}

fn resource_limits_are_set(scene: &Scene) {
    let options = ["--ulimit", "nofile=256:512", "--ulimit", "core=0", "--ulimit", "fsize=1000000:2000000"];
    let limits = inside(scene, &options, "cat /proc/self/limits");
    let find = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("the limit is shown");
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(":")
    };
    assert_eq!(find("Max open files"), "256:512");
    assert_eq!(find("Max core file size"), "0:0");
    assert_eq!(find("Max file size"), "1000000:2000000");
    let script = "trap '' XFSZ; head -c 5000 /dev/zero >/tmp/x; stat -c %s /tmp/x";
    run(scene, &["--ulimit", "fsize=1000"], script).ok().prints("1000\n");
    let own = fs::read_to_string("/proc/self/limits").expect("read the own limits");
    let hard = own
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().nth(1));
    let unlimited = run(scene, &["--ulimit", "nofile=99999999:99999999"], "true").ends(125);
    unlimited.says("nofile (--ulimit)").says(hard.filter(|hard| *hard != "unlimited").unwrap_or(""));
}

fn kernel_parameters_are_set_in_the_container_only(scene: &Scene) {
    let before = fs::read_to_string("/proc/sys/kernel/msgmax").expect("read a parameter");
    let options =
        ["--sysctl", "kernel.msgmax=12345", "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "fs.mqueue.msg_max=33"];
    let script = "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max";
    assert_eq!(inside(scene, &options, script), "12345\n1\n33");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/msgmax").expect("read a parameter"), before);
    run(scene, &["--sysctl", "net.no_such=1"], "true").ends(125).says("no_such").says("no such parameter");
    run(scene, &["--sysctl", "kernel.panic=1"], "true").ends(125).says("--sysctl").says("kernel.panic");
    run(scene, &["--sysctl", "net.ipv4.ip_forward=words"], "true").ends(125).says("ip_forward").says("EINVAL");
}

fn the_oom_score_is_set(scene: &Scene) {
    assert_eq!(inside(scene, &["--oom-score-adj", "567"], "cat /proc/self/oom_score_adj"), "567");
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("read the own score");
    assert_eq!(inside(scene, &[], "cat /proc/self/oom_score_adj"), own.trim_end());
    let lower = run(scene, &["--oom-score-adj", "-900"], "cat /proc/self/oom_score_adj").run();
    assert!(
        lower.stdout == "-900\n" || lower.code == 125 && lower.stderr.contains("CAP_SYS_RESOURCE"),
        "{}",
        lower.shown()
    );
}

fn an_init_collects_orphans(scene: &Scene) {
    // The workload is a child of process 1, which collects what the workload's children left.
    let script = "(sh -c 'exit 3' & sh -c 'exit 4' &)\nsleep 0.2\ngrep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l; echo $((PPID))";
    assert_eq!(inside(scene, &["--init"], script), "0\n1");
    // A shell as process 1 that does not wait shows that the test sees them.
    let script = "(sh -c 'exit 3' & sh -c 'exit 4' &)\nexec sh -c 'sleep 0.2 & exec sleep 0.4' & wait; echo";
    drop(run(scene, &[], script).ok());
}

fn an_init_passes_signals_and_exit_codes_on(scene: &Scene) {
    run(scene, &["--init"], "exit 42").ends(42);
    run(scene, &["--init"], "kill -KILL $$").ends(137);
    run(scene, &["--init"], "kill -TERM $$").ends(143);
    // Without an init, process 1 is not killed by signals that it does not handle.
    run(scene, &[], "kill -TERM $$; exit 5").ends(5);
    let script = "trap 'exit 7' USR1; trap 'exit 8' TERM; touch /shared/ready; while :; do sleep 0.05; done";
    let shared = format!("{}:/shared", scene.directory().display());
    for (signal, code) in [("USR1", 7), ("TERM", 8)] {
        let container = Container::start(scene, &["--init", "-v", &shared], script);
        eventually("the workload is ready", || scene.path("ready").exists().then_some(()));
        container.signal(signal);
        container.vial.wait().ends(code);
        fs::remove_file(scene.path("ready")).expect("remove a file");
    }
    run(scene, &["--init"], "").args(["x"]).ok();
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--rm", "--init", &rootfs, "/missing"]).ends(127).says("/missing");
    scene.vial(["run", "--rm", "--init", &rootfs, "/etc/passwd"]).ends(126).says("/etc/passwd");
}

fn a_read_only_root_is_read_only(scene: &Scene) {
    for path in ["/x", "/etc/x", "/tmp/x"] {
        run(scene, &["--read-only"], &format!("touch {path}")).ends(1).says("Read-only file system");
    }
    // What is mounted keeps its own ways, and the places for it are made.
    let options = ["--read-only", "--tmpfs", "/run", "--tmpfs", "/data", "-w", "/work"];
    run(scene, &options, "touch /dev/shm/x /run/x /data/x && echo x >/dev/null && pwd").ok().prints("/work\n");
    let table = inside(scene, &["--read-only", "--cap-add", "SYS_ADMIN"], "grep ' / / ' /proc/self/mountinfo");
    assert!(table.split(' ').nth(5).is_some_and(|options| options.starts_with("ro")), "{table}");
}

fn a_tmpfs_has_the_options_asked_for(scene: &Scene) {
    let line = |options: &str| {
        let script = "grep ' /mnt ' /proc/self/mountinfo; stat -c '%a %u:%g' /mnt";
        let shown = inside(scene, &["--tmpfs", options], script);
        let fields: Vec<&str> = shown.split_whitespace().collect();
        let mut all: Vec<&str> = fields[5].split(',').chain(fields[fields.len() - 3].split(',')).collect();
        all.sort_unstable();
        all.dedup();
        (all.join(","), fields[fields.len() - 2..].join(" "))
    };
    let (options, owner) = line("/mnt");
    assert!(["nosuid", "nodev", "noexec"].iter().all(|flag| options.contains(flag)), "{options}");
    assert_eq!(owner, "1777 0:0");
    let (options, owner) = line("/mnt:size=10m,mode=750,uid=5,gid=6,exec");
    assert!(options.contains("size=10240k") && !options.contains("noexec"), "{options}");
    assert_eq!(owner, "750 5:6");
    assert!(line("/mnt:ro").0.split(',').any(|option| option == "ro"));
    run(scene, &["--tmpfs", "/mnt:size=1m"], "dd if=/dev/zero of=/mnt/x bs=1k count=2000")
        .ends(1)
        .says("No space left");
    run(scene, &["--tmpfs", "/mnt"], "cp /bin/busybox /mnt/busybox && /mnt/busybox true")
        .ends(126)
        .says("Permission denied");
    run(scene, &["--tmpfs", "/mnt:exec"], "cp /bin/busybox /mnt/busybox && /mnt/busybox true").ok();
}

fn a_bind_mount_shows_the_hosts_directory(scene: &Scene) {
    fs::create_dir(scene.path("host")).expect("make a directory");
    fs::write(scene.path("host/there"), "before").expect("write a file");
    let absolute = scene.path("host").display().to_string();
    for source in [&absolute, "./host"] {
        let script = "cat /data/there && echo after >/data/new && chmod 640 /data/new && rm /data/there";
        run(scene, &["-v", &format!("{source}:/data")], script).ok().prints("before");
        let new = scene.path("host/new");
        assert_eq!(fs::read_to_string(&new).expect("the file is there"), "after\n");
        assert_eq!(new.metadata().expect("the file is there").permissions().mode() & 0o777, 0o640);
        assert!(!scene.path("host/there").exists());
        fs::write(scene.path("host/there"), "before").expect("write a file");
    }
    let read_only = format!("{absolute}:/data:ro");
    run(scene, &["-v", &read_only], "cat /data/there; touch /data/x").ends(1).prints("before").says("Read-only");
    run(
        scene,
        &["-v", &read_only, "--cap-add", "SYS_ADMIN"],
        "mount -o remount,rw,bind /data; cat /proc/mounts | grep ' /data '",
    )
    .run();
    // What the image has at the place of the mount stays untouched below it.
    run(scene, &["-v", &format!("{absolute}:/etc")], "ls /etc").ok().shows("there");
    assert!(scene.rootfs().join("etc/passwd").exists());
    // Two mounts, the later inside the earlier, whatever the order.
    fs::create_dir(scene.path("inner")).expect("make a directory");
    fs::create_dir(scene.path("host/sub")).expect("make a directory");
    fs::write(scene.path("inner/deep"), "deep").expect("write a file");
    let (outer, inner) = (format!("{absolute}:/data"), format!("{}:/data/sub", scene.path("inner").display()));
    for options in [["-v", &outer, "-v", &inner], ["-v", &inner, "-v", &outer]] {
        run(scene, &options, "cat /data/there /data/sub/deep").ok().prints("beforedeep");
    }
}

fn a_missing_source_is_made_for_volume_but_not_for_mount(scene: &Scene) {
    let missing = scene.path("new/deeper");
    run(scene, &["-v", &format!("{}:/data", missing.display())], "touch /data/x").ok();
    assert!(missing.join("x").exists());
    let other = scene.path("other");
    let option = format!("type=bind,src={},dst=/data", other.display());
    run(scene, &["--mount", &option], "true").ends(125).says(&other.display().to_string()).says("ENOENT");
    assert!(!other.exists());
}

fn read_only_holds_for_everything_mounted_below(scene: &Scene) {
    let top = scene.path("top");
    fs::create_dir_all(top.join("below")).expect("make directories");
    let below = top.join("below").display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "nosuid", "below", &below]).ok();
    fs::create_dir(top.join("below/deep")).expect("make a directory");
    scene.command("mount", ["-t", "tmpfs", "deep", &format!("{below}/deep")]).ok();
    let show = "cut -d' ' -f 5,6 /proc/self/mountinfo | grep /data";
    let volume = format!("{}:/data", top.display());
    run(scene, &["-v", &volume], "touch /data/x /data/below/x /data/below/deep/x").ok();
    let long = format!("type=bind,src={},dst=/data,readonly", top.display());
    for options in [["-v", &format!("{volume}:ro")], ["--mount", &long]] {
        for path in ["/data/y", "/data/below/y", "/data/below/deep/y"] {
            run(scene, &options, &format!("touch {path}")).ends(1).says("Read-only file system");
        }
        let shown = inside(scene, &options, show);
        assert!(shown.contains("/data/below ro,nosuid"), "{shown}");
    }
    // The host's own mounts are as writable as before.
    fs::write(top.join("below/deep/z"), "").expect("write below");
    for path in [format!("{below}/deep"), below] {
        scene.command("umount", [path]).ok();
    }
}

fn a_file_is_mounted_on_a_file(scene: &Scene) {
    fs::write(scene.path("file"), "the host's").expect("write a file");
    let source = scene.path("file").display().to_string();
    for target in ["/etc/passwd", "/new/place"] {
        run(scene, &["-v", &format!("{source}:{target}")], &format!("cat {target}; echo changed >{target}"))
            .ok()
            .prints("the host's");
        assert_eq!(fs::read_to_string(&source).expect("read a file"), "changed\n");
        fs::write(&source, "the host's").expect("write a file");
    }
    run(scene, &["-v", &format!("{source}:/etc/hosts:ro")], "cat /etc/hosts; echo x >/etc/hosts")
        .ends(1)
        .prints("the host's");
    run(scene, &["-v", &format!("{source}:/etc")], "true").ends(125).says("/etc").says("hint: ");
    run(scene, &["-v", "/etc:/bin/busybox"], "true").ends(125).says("/bin/busybox").says("hint: ");
}

fn links_in_the_image_do_not_lead_a_mount_out(scene: &Scene) {
    links_lead_nowhere(scene, &[]);
}

fn nor_do_they_on_old_kernels(scene: &Scene) {
    let calls = "openat2,open_tree,move_mount,mount_setattr";
    let inject = format!("inject={calls}:error=ENOSYS");
    links_lead_nowhere(scene, &["strace", "-f", "-o", "trace", "-e", &format!("trace={calls}"), "-e", &inject]);
}

fn links_lead_nowhere(scene: &Scene, tracer: &[&str]) {
    let root = own_root(scene, "own", "", "");
    let base = scene.path("own");
    fs::create_dir(scene.path("outside")).expect("make a directory");
    fs::create_dir(base.join("opt")).expect("make a directory");
    for (target, name) in [
        (scene.path("outside").as_path(), "absolute"),
        (Path::new("../../../../../../../../etc"), "climbing"),
        (Path::new("opt/../etc"), "under"),
        (Path::new("/proc/self/fd"), "magic"),
    ] {
        symlink(target, base.join(name)).expect("make a link");
    }
    fs::write(scene.path("file"), "mounted").expect("write a file");
    let source = scene.path("file").display().to_string();
    let run = |options: &[&str], script: &str| {
        let words = tracer.iter().chain(&[crate::util::command::VIAL, "run", "--rm"]).chain(options);
        let words: Vec<&str> = words.copied().chain([&*root, "sh", "-c", script]).collect();
        scene.command(words[0], &words[1..]).run()
    };
    for link in ["climbing", "under"] {
        let mount = format!("{source}:/{link}/vial-test-x");
        run(&["-v", &mount], "cat /etc/vial-test-x").ends(0).prints("mounted");
        run(&["-v", &format!("{mount}:ro")], "echo x >/etc/vial-test-x").ends(1).says("Read-only");
        // Not even a copy of the host's files comes in.
        let files = "group\nhostname\nhosts\nos-release\npasswd\nresolv.conf\n";
        run(&["--mount", &format!("type=volume,dst=/{link}")], "ls -1 /etc").ends(0).prints(files);
        run(&["-w", &format!("/{link}/vial-test-y")], "pwd").ends(0).prints("/etc/vial-test-y\n");
        run(&["--device", &format!("/dev/null:/{link}/vial-test-z")], "stat -c %F /etc/vial-test-z").ends(0);
    }
    for made in ["x", "y", "z"].map(|name| format!("/etc/vial-test-{name}")) {
        assert!(!Path::new(&made).exists(), "{made} was made on the host");
    }
    let outside = || fs::read_dir(scene.path("outside")).expect("list a directory").count();
    run(&["-v", &format!("{source}:/absolute/x")], "true");
    run(&["-v", &format!("{source}:/magic/0")], "true");
    // The places of what every container has may be links, too.
    for (place, target) in
        [("etc", scene.path("outside")), ("proc", scene.path("outside")), ("dev", "../outside".into())]
    {
        fs::remove_dir_all(base.join(place)).expect("remove a directory");
        symlink(target, base.join(place)).expect("make a link");
        run(&["-v", &format!("{source}:/mnt/file")], "true");
        assert_eq!(outside(), 0, "{place}");
    }
}

fn a_new_volume_gets_what_the_image_has_there(scene: &Scene) {
    let root = own_root(scene, "own", "", "");
    let data = scene.path("own/srv");
    fs::create_dir(&data).expect("make a directory");
    fs::write(data.join("file"), "content").expect("write a file");
    fs::hard_link(data.join("file"), data.join("same")).expect("make a link");
    symlink("file", data.join("link")).expect("make a link");
    fs::create_dir(data.join("private")).expect("make a directory");
    fs::write(data.join("private/program"), "x").expect("write a file");
    fs::set_permissions(data.join("private/program"), PermissionsExt::from_mode(0o4711)).expect("set a mode");
    fs::set_permissions(data.join("private"), PermissionsExt::from_mode(0o700)).expect("set a mode");
    for path in ["file", "private", "private/program", ""] {
        chown(data.join(path), Some(1000), Some(29)).expect("set an owner");
    }
    fs::set_permissions(data.join("private/program"), PermissionsExt::from_mode(0o4711)).expect("set a mode");
    fs::set_permissions(&data, PermissionsExt::from_mode(0o2775)).expect("set a mode");
    let script = "cd /srv && stat -c '%n %a %u:%g %h %F' . file same private private/program; readlink link; cat file; test file -ef same && echo hard";
    let expected = ". 2775 1000:29 3 directory\nfile 644 1000:29 2 regular file\nsame 644 1000:29 2 regular file\n\
                    private 700 1000:29 2 directory\nprivate/program 4711 1000:29 1 regular file\nfile\ncontenthard\n";
    run_in(scene, &["-v", "kept:/srv"], &root, script).ok().prints(expected);
    // The volume itself holds it, not the image.
    let stored = scene.root().join("volumes/kept/_data");
    assert_eq!(fs::read_to_string(stored.join("file")).expect("the volume has the file"), "content");
    assert_eq!(stored.metadata().expect("the volume is there").uid(), 1000);
    // Not so if that was not wanted, or if a directory of the host is mounted.
    run_in(scene, &["--mount", "type=volume,src=other,dst=/srv,volume-nocopy"], &root, "ls -A /srv").ok().prints("");
    run_in(scene, &["-v", "third:/srv:nocopy"], &root, "ls -A /srv").ok().prints("");
    run_in(scene, &["-v", "./bound:/srv"], &root, "ls -A /srv").ok().prints("");
}

fn a_volume_is_kept_and_not_filled_twice(scene: &Scene) {
    run(scene, &["-v", "data:/etc"], "rm /etc/passwd && echo new >/etc/new").ok();
    run(scene, &["-v", "data:/etc"], "ls /etc/passwd; cat /etc/new").ends(0).prints("new\n");
    run(scene, &["-v", "data:/etc:ro"], "touch /etc/x").ends(1).says("Read-only");
    // Two containers at once see the same.
    let container = Container::start(scene, &["-v", "data:/mnt"], "exec sleep 600");
    run(scene, &["-v", "data:/mnt"], "echo shared >/mnt/both").ok();
    assert_eq!(fs::read_to_string(format!("/proc/{}/root/mnt/both", container.pid)).expect("read"), "shared\n");
    container.stop();
}

fn a_volume_without_a_name_goes_with_its_container(scene: &Scene) {
    let volumes = || fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
    run(scene, &["-v", "/data", "--mount", "type=volume,dst=/more"], "touch /data/x /more/x").ok();
    assert_eq!(volumes(), 0);
    run(scene, &["-v", "/data", "-v", "/etc/passwd/x:/y"], "true").run().ends(125);
    assert_eq!(volumes(), 0);
    run(scene, &["-v", "kept:/data"], "true").ok();
    assert_eq!(volumes(), 1);
}

fn every_type_of_mount_works(scene: &Scene) {
    fs::create_dir(scene.path("host")).expect("make a directory");
    fs::write(scene.path("host/file"), "bound").expect("write a file");
    let source = scene.path("host").display().to_string();
    for option in [
        format!("type=bind,source={source},target=/data"),
        format!("type=bind,src={source},dst=/data,readonly"),
        format!("type=bind,src={source},destination=/data,ro=true,bind-propagation=rprivate"),
    ] {
        run(scene, &["--mount", &option], "cat /data/file").ok().prints("bound");
    }
    let writable = |option: &str| run(scene, &["--mount", option], "touch /data/x && stat -c %a /data").run();
    writable("type=tmpfs,dst=/data,tmpfs-size=1m,tmpfs-mode=1770").ends(0).prints("1770\n");
    writable("type=volume,src=named,dst=/data").ends(0);
    writable("src=named,dst=/data").ends(0);
    writable("src=named,dst=/data,readonly").ends(1);
    writable("type=volume,dst=/data").ends(0);
    writable("type=magic,dst=/data").ends(125).says("--mount").says("magic");
}

fn a_device_of_the_host_is_given(scene: &Scene) {
    // The control group denies it otherwise.
    run(scene, &[], "mknod /tmp/control c 10 237 && exec 3</tmp/control").run().says("Operation not permitted");
    let script = "stat -c '%t:%T' /dev/loop-control && exec 3<>/dev/loop-control && echo open";
    run(scene, &["--device", "/dev/loop-control"], script).ok().prints("a:ed\nopen\n");
    let script = "test -c /dev/other/loop && exec 3</dev/other/loop && exec 4>/dev/other/loop; echo open";
    let read_only = run(scene, &["--device", "/dev/loop-control:/dev/other/loop:r"], script).run();
    read_only.prints("").says("/dev/other/loop: Operation not permitted");
    run(scene, &["--device", "/dev/missing"], "true").ends(125).says("--device").says("/dev/missing");
    run(scene, &["--device", "/etc/passwd"], "true").ends(125).says("--device").says("no device");
}

fn the_hosts_devices_keep_owner_and_mode(scene: &Scene) {
    let state = |path: &str| {
        let data = fs::metadata(path).expect("a device");
        (data.uid(), data.gid(), data.mode(), data.rdev())
    };
    let paths = ["/dev/null", "/dev/zero", "/dev/tty", "/dev/ptmx"];
    let before: Vec<_> = paths.iter().map(|path| state(path)).collect();
    for options in [&["-u", "user"][..], &["-u", "7:8", "-t"], &["--init", "-u", "user"]] {
        // Standard error is the host's null device.
        let words = ["run", "--rm"].iter().chain(options).copied();
        let rootfs = scene.rootfs().display().to_string();
        let words: Vec<&str> = words.chain([&*rootfs, "sh", "-c", "chown 0 /dev/null /proc/self/fd/1; true"]).collect();
        let script = "exec \"$0\" \"$@\" </dev/null >/dev/null 2>/dev/null";
        let args = ["-c", script, crate::util::command::VIAL].into_iter().chain(words);
        scene.command("sh", args).ok();
        assert_eq!(paths.iter().map(|path| state(path)).collect::<Vec<_>>(), before, "{options:?}");
    }
}

fn the_umask_is_022(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let script = "umask 077; exec \"$0\" run --rm \"$1\" sh -c 'umask; touch /tmp/x; mkdir /tmp/y; stat -c %a /tmp/x /tmp/y /etc/hosts /tmp / /dev/shm'";
    let output = scene.command("sh", ["-c", script, crate::util::command::VIAL, &rootfs]).ok();
    output.prints("0022\n644\n755\n644\n1777\n755\n1777\n");
}

fn signals_are_as_vial_found_them(scene: &Scene) {
    let words = ["sed", "-n", "s/Sig\\(Blk\\|Ign\\)://p", "/proc/self/status"];
    let own = scene.command(words[0], &words[1..]).ok().stdout;
    let rootfs = scene.rootfs().display().to_string();
    for options in [&["run", "--rm"][..], &["run", "--rm", "--init"]] {
        scene.vial(options).args([&*rootfs]).args(words).ok().prints(&own);
    }
}
