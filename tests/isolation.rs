//! What a container can't see, reach, change or outlive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::util::container::{Container, eventually, groups, inside, namespace, run, run_in, signal, states};
use crate::util::detached::is_gone;
use crate::util::{Scene, leaks};

trials! {
    every_namespace_is_the_containers_own [Root, Busybox, Kernel("overlay"), Command("run")];
    each_namespace_can_be_shared_with_the_host [Root, Busybox, Kernel("overlay"), Command("run")];
    each_namespace_can_be_shared_with_another_container [Root, Busybox, Kernel("overlay"), Command("run")];
    a_network_namespace_is_joined_by_its_path [Root, Busybox, Tool("unshare"), Kernel("overlay"), Command("run")];
    a_container_that_does_not_run_shares_nothing [Root, Busybox, Kernel("overlay"), Command("run")];
    the_workload_is_process_1_and_sees_no_other [Root, Busybox, Kernel("overlay"), Command("run")];
    the_hosts_processes_are_seen_with_its_pid_namespace [Root, Busybox, Kernel("overlay"), Command("run")];
    no_mount_of_the_hosts_is_visible [Root, Busybox, Kernel("overlay"), Command("run")];
    no_path_leads_to_the_hosts_files [Root, Busybox, Kernel("overlay"), Command("run")];
    a_second_change_of_root_does_not_lead_out [Root, Busybox, Tool("perl"), Kernel("overlay"), Command("run")];
    inherited_files_are_closed [Root, Busybox, Tool("bash"), Kernel("overlay"), Command("run")];
    mounts_of_the_container_stay_in_it [Root, Busybox, Kernel("overlay"), Command("run")];
    later_mounts_of_the_host_do_not_come_in [Root, Busybox, Kernel("overlay"), Command("run")];
    changes_of_the_root_stay_in_the_container [Root, Busybox, Kernel("overlay"), Command("run")];
    without_a_network_there_is_only_loopback_and_it_is_up [Root, Busybox, Kernel("overlay"), Command("run")];
    the_kernels_settings_are_read_only [Root, Busybox, Kernel("overlay"), Command("run")];
    masked_paths_are_empty_and_stay_masked [Root, Busybox, Kernel("overlay"), Command("run")];
    the_capabilities_are_dockers_14 [Root, Busybox, Kernel("overlay"), Command("run")];
    capabilities_are_added_and_dropped [Root, Busybox, Kernel("overlay"), Command("run")];
    another_user_has_no_capability [Root, Busybox, Kernel("overlay"), Command("run")];
    no_new_privileges_is_set_when_asked [Root, Busybox, Tool("setpriv"), File("/usr/bin/id"), Kernel("overlay"), Command("run")];
    the_workload_is_in_its_group_before_it_runs [Root, Busybox, Kernel("overlay"), Command("run")];
    the_workload_cannot_leave_its_group [Root, Busybox, Kernel("overlay"), Command("run")];
    groups_that_the_workload_made_go_with_it [Root, Busybox, Kernel("overlay"), Command("run")];
    gc_kills_what_the_workload_froze [Root, Busybox, CgroupV1("freezer"), Kernel("overlay"), Command("run"), Command("gc")];
    what_forked_away_dies_with_the_container [Root, Busybox, Kernel("overlay"), Command("run")];
    killing_vial_kills_the_workload_and_gc_removes_the_rest [Root, Busybox, Kernel("overlay"), Command("run"), Command("gc")];
    killing_vial_in_the_hosts_pid_namespace_leaves_nothing_to_gc [Root, Busybox, Kernel("overlay"), Command("run"), Command("gc")];
    two_containers_do_not_see_each_other [Root, Busybox, Kernel("overlay"), Command("run")];
}

/// The namespaces that a container has by default.
const KINDS: [&str; 6] = ["mnt", "uts", "ipc", "pid", "net", "cgroup"];
/// A workload that waits to be killed.
const WAIT: &str = "exec sleep 600";

fn own(kind: &str) -> String {
    namespace(std::process::id(), kind)
}

fn every_namespace_is_the_containers_own(scene: &Scene) {
    let container = Container::start(scene, &[], WAIT);
    for kind in KINDS {
        assert_ne!(container.namespace(kind), own(kind), "{kind}");
    }
    // Users and time are the host's unless asked for.
    for kind in ["user", "time"] {
        // Not every kernel has those of time.
        if Path::new("/proc/self/ns").join(kind).exists() {
            assert_eq!(container.namespace(kind), own(kind), "{kind}");
        }
    }
    container.stop();
}

fn each_namespace_can_be_shared_with_the_host(scene: &Scene) {
    for (option, shared) in
        [("--pid", "pid"), ("--network", "net"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")]
    {
        let container = Container::start(scene, &[option, "host"], WAIT);
        for kind in KINDS {
            assert_eq!(container.namespace(kind) == own(kind), kind == shared, "{option} host: {kind}");
        }
        container.stop();
    }
}

fn each_namespace_can_be_shared_with_another_container(scene: &Scene) {
    let first = Container::named(scene, "first", &["--hostname", "one"], WAIT);
    for (option, shared) in [("--pid", "pid"), ("--network", "net"), ("--ipc", "ipc"), ("--uts", "uts")] {
        for other in ["container:first", &format!("container:{}", &first.id[..12])] {
            let second = Container::named(scene, "second", &[option, other], WAIT);
            for kind in KINDS {
                assert_eq!(second.namespace(kind) == first.namespace(kind), kind == shared, "{option} {other}: {kind}");
                assert_ne!(second.namespace(kind), own(kind), "{option} {other}: {kind}");
            }
            second.stop();
        }
    }
    assert_eq!(inside(scene, &["--uts", "container:first"], "hostname"), "one");
    assert_eq!(inside(scene, &["--pid", "container:first"], "tr '\\0' ' ' </proc/1/cmdline"), "sleep 600");
    first.stop();
}

fn a_network_namespace_is_joined_by_its_path(scene: &Scene) {
    let holder = scene.command("unshare", ["-n", "sleep", "600"]).start();
    eventually("the namespace is made", || (namespace(holder.id(), "net") != own("net")).then_some(()));
    let path = scene.path("network");
    fs::write(&path, "").expect("make a file");
    let link = format!("/proc/{}/ns/net", holder.id());
    scene.command("mount", ["--bind", &link, &path.display().to_string()]).ok();
    let wanted = namespace(holder.id(), "net");
    let option = format!("ns:{}", path.display());
    let container = Container::start(scene, &["--network", &option], WAIT);
    assert_eq!(container.namespace("net"), wanted);
    container.stop();
    // Somebody else's interfaces are left as they are.
    run(scene, &["--network", &option], "cat /sys/class/net/lo/operstate; ip -o link").ok().shows("down");
    scene.command("umount", [&path]).ok();
    signal(holder.id(), "KILL");
    drop(holder.wait());
    run(scene, &["--network", "ns:/nonexistent"], "true").ends(125).says("/nonexistent").says("ENOENT");
    run(scene, &["--network", "ns:/etc/passwd"], "true").ends(125).says("EINVAL");
}

fn a_container_that_does_not_run_shares_nothing(scene: &Scene) {
    for option in ["--pid", "--network", "--ipc", "--uts"] {
        run(scene, &[option, "container:nobody"], "true").ends(125).prints("").says("nobody");
    }
}

fn the_workload_is_process_1_and_sees_no_other(scene: &Scene) {
    // The shell's own pattern, so that no other program runs.
    assert_eq!(inside(scene, &[], "echo $$ /proc/[0-9]*"), "1 /proc/1");
    let container = Container::start(scene, &[], WAIT);
    assert!(container.read_proc("status").lines().any(|line| {
        line.starts_with("NSpid:") && line.split_whitespace().skip(1).eq([&container.pid.to_string(), "1"])
    }));
    container.stop();
    // Its processes can't be signalled either.
    let test = std::process::id();
    run(scene, &[], &format!("kill -0 {test}")).ends(1).says("No such process");
}

fn the_hosts_processes_are_seen_with_its_pid_namespace(scene: &Scene) {
    let test = std::process::id();
    let script = format!("test $$ -gt 1 && cat /proc/{test}/comm");
    let name = fs::read_to_string("/proc/self/comm").expect("read the own name");
    assert_eq!(inside(scene, &["--pid", "host"], &script), name.trim_end());
}

/// Mount points with file system type and options, as `/proc/self/mountinfo` has them.
fn mounts(table: &str) -> BTreeMap<String, (String, String)> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        Some((left[4].to_owned(), (right.split(' ').next()?.to_owned(), left[5].to_owned())))
    };
    table.lines().filter_map(parse).collect()
}

fn no_mount_of_the_hosts_is_visible(scene: &Scene) {
    let table = inside(scene, &[], "cat /proc/self/mountinfo");
    for (point, (kind, _)) in mounts(&table) {
        let known = match &*point {
            "/" => kind == "overlay",
            "/proc" => kind == "proc",
            "/dev/pts" => kind == "devpts",
            "/dev" | "/dev/shm" => kind == "tmpfs",
            "/dev/mqueue" => kind == "mqueue",
            "/sys" => kind == "sysfs",
            "/etc/hosts" | "/etc/hostname" | "/etc/resolv.conf" => true,
            point if point.starts_with("/sys/fs/cgroup") => ["tmpfs", "cgroup", "cgroup2"].contains(&&*kind),
            point if point.starts_with("/proc/") || point.starts_with("/sys/") => kind == "proc" || kind == "tmpfs",
            _ => false,
        };
        assert!(known, "{point} {kind}:\n{table}");
    }
    // No point is mounted on twice, as a root left below another would be; and all mounts are private.
    let points: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(points.iter().filter(|point| **point == "/").count(), 1, "{table}");
    assert!(!table.contains("shared:") && !table.contains("master:") && !table.contains("propagate_from:"), "{table}");
}

fn no_path_leads_to_the_hosts_files(scene: &Scene) {
    fs::write(scene.path("host-only-file"), "secret").expect("write a file");
    let path = scene.path("host-only-file").display().to_string();
    let script = format!(
        "for root in '' /../../../.. /proc/1/root /proc/self/root/.. /proc/1/cwd/../../.. /proc/1/fd/../root/.. /dev/fd/..\n\
         do cat $root{path} 2>/dev/null && echo through $root\n done\n\
         cd / && cd ../../../.. && pwd && ls -d bin\n\
         find / -xdev -name host-only-file\n find /dev /sys /etc -name host-only-file\n\
         for link in /proc/1/fd/* /proc/1/cwd /proc/1/exe /proc/1/root\n do readlink $link\n done"
    );
    let output = run(scene, &[], &script).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines[..3], ["/", "bin", "/dev/null"], "{}", output.shown());
    assert!(!output.stdout.contains("host-only-file"), "{}", output.shown());
    assert!(output.stdout.ends_with("/\n/bin/busybox\n/\n"), "{}", output.shown());
}

fn a_second_change_of_root_does_not_lead_out(scene: &Scene) {
    fs::write(scene.path("host-only-file"), "secret").expect("write a file");
    // The classic way out of a chroot: stand outside of a second one and climb.
    let script = "mkdir '/x'; chroot '/x'; chdir '..' for 1..99; chroot '.'; chdir '/'; \
                  print -e $ARGV[0] ? 'out' : 'in', -e '/bin/busybox' ? ' and at the root' : ''";
    let path = scene.path("host-only-file").display().to_string();
    let rootfs = scene.rootfs().display().to_string();
    let libraries = ["/usr", "/lib", "/lib64"].iter().filter(|path| Path::new(path).exists());
    let mounts: Vec<String> = libraries.map(|path| format!("{path}:{path}:ro")).collect();
    let options: Vec<&str> = mounts.iter().flat_map(|mount| ["-v", mount]).collect();
    let perl = crate::util::needs::tool("perl").expect("perl is there").display().to_string();
    let words = [&["run", "--rm"], &options[..], &[&rootfs, &perl, "-e", script, &path]].concat();
    scene.vial(words).ok().prints("in and at the root");
}

fn inherited_files_are_closed(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let list = "ls /proc/$$/fd; true";
    let start =
        format!("exec 3</ 4</etc/passwd 17</proc 30>>{}; exec \"$0\" run --rm \"$@\"", scene.path("open").display());
    for options in [&[][..], &["--init"], &["-i"], &["--pid", "host"]] {
        let words = ["-c", &start, crate::util::command::VIAL];
        let words = words.iter().chain(options).copied().chain([&*rootfs, "sh", "-c", list]);
        let output = scene.command("bash", words).ok();
        output.prints("0\n1\n2\n");
    }
}

fn mounts_of_the_container_stay_in_it(scene: &Scene) {
    let shared = scene.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    let bind = format!("{}:/shared", shared.display());
    let script =
        format!("mount -t tmpfs from-inside /mnt && mount -t tmpfs from-inside /shared && touch /shared/x && {WAIT}");
    let container = Container::start(scene, &["--cap-add", "SYS_ADMIN", "-v", &bind], &script);
    eventually("the container has mounted", || {
        (container.read_proc("mountinfo").matches("from-inside").count() == 2).then_some(())
    });
    let table = fs::read_to_string("/proc/self/mountinfo").expect("read the mount table");
    assert!(!table.contains("from-inside"), "{table}");
    assert_eq!(fs::read_dir(&shared).expect("list a directory").count(), 0);
    container.stop();
}

fn later_mounts_of_the_host_do_not_come_in(scene: &Scene) {
    let shared = scene.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    let shown = shared.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "shared", &shown]).ok();
    scene.command("mount", ["--make-shared", &shown]).ok();
    fs::create_dir(shared.join("below")).expect("make a directory");
    let container = Container::start(scene, &["-v", &format!("{shown}:/shared")], WAIT);
    scene.command("mount", ["-t", "tmpfs", "later", &format!("{shown}/below")]).ok();
    assert!(fs::read_to_string("/proc/self/mountinfo").expect("read the mount table").contains(" later "));
    assert!(!container.read_proc("mountinfo").contains(" later "));
    container.stop();
    scene.command("umount", [format!("{shown}/below")]).ok();
    scene.command("umount", [&shown]).ok();
}

fn changes_of_the_root_stay_in_the_container(scene: &Scene) {
    let root = scene.path("own");
    crate::util::rootfs::make(&root).expect("make a root");
    let image = root.display().to_string();
    let script = "rm /etc/passwd && echo new >/etc/new && mkdir /home/made && chmod 700 /etc && cat /etc/new";
    run_in(scene, &[], &image, script).ok().prints("new\n");
    assert!(root.join("etc/passwd").is_file() && !root.join("etc/new").exists() && !root.join("home/made").exists());
    // Nor does the next container see them, and nothing is made in the image for what is mounted.
    run_in(scene, &[], &image, "ls /etc/passwd; ls /home").ok().prints("/etc/passwd\nuser\n");
    for made in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/null"] {
        assert!(!root.join(made).exists(), "{made}");
    }
}

fn without_a_network_there_is_only_loopback_and_it_is_up(scene: &Scene) {
    for options in [&[][..], &["--network", "none"]] {
        let output = run(scene, options, "ls /sys/class/net; ip -o addr; ip route; ping -c 1 -W 5 127.0.0.1").ok();
        let first = output.stdout.lines().next();
        assert_eq!(first, Some("lo"), "{}", output.shown());
        output.shows("127.0.0.1/8").shows("1 packets received");
    }
    let flags = inside(scene, &[], "cat /sys/class/net/lo/flags");
    assert_eq!(u32::from_str_radix(flags.trim_start_matches("0x"), 16).expect("a number") & 1, 1, "up: {flags}");
    // And nothing of the host's is reachable.
    run(scene, &[], "ping -c 1 -W 1 192.0.2.1").ends(1).says("unreachable");
}

fn the_kernels_settings_are_read_only(scene: &Scene) {
    let table = inside(scene, &[], "cat /proc/self/mountinfo");
    let mounts = mounts(&table);
    for point in ["/sys", "/sys/fs/cgroup", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] {
        if !Path::new(point).exists() {
            continue;
        }
        let (_, options) = mounts.get(point).unwrap_or_else(|| panic!("{point} is no mount:\n{table}"));
        assert!(options.split(',').any(|option| option == "ro"), "{point} {options}");
    }
    for (point, (kind, options)) in &mounts {
        if ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"].contains(&&**kind) {
            assert!(["nosuid", "nodev", "noexec"].iter().all(|flag| options.contains(flag)), "{point} {options}");
        }
        if kind.starts_with("cgroup") {
            assert!(options.starts_with("ro"), "{point} {options}");
        }
    }
    // The workload's view.
    let before = fs::read_to_string("/proc/sys/kernel/panic").expect("read a setting");
    for path in ["/proc/sys/kernel/panic", "/proc/sys/kernel/hostname", "/sys/kernel/uevent_seqnum", "/sys/power/state"]
    {
        if Path::new(path).exists() {
            run(scene, &[], &format!("echo 1 >{path}")).ends(1).says("Read-only file system");
        }
    }
    run(scene, &[], "mkdir /sys/fs/cgroup/x").ends(1).says("Read-only file system");
    run(scene, &[], "mount -o remount,rw /proc/sys").ends(1);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/panic").expect("read a setting"), before);
}

fn masked_paths_are_empty_and_stay_masked(scene: &Scene) {
    let files = ["interrupts", "kcore", "keys", "latency_stats", "sched_debug", "timer_list", "timer_stats"];
    for name in files {
        let path = format!("/proc/{name}");
        if Path::new(&path).exists() {
            assert_eq!(inside(scene, &[], &format!("cat {path} | wc -c; stat -c '%t:%T' {path}")), "0\n1:3", "{path}");
        }
    }
    for path in ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"] {
        if Path::new(path).exists() {
            assert_eq!(inside(scene, &[], &format!("ls -A {path}")), "", "{path}");
            run(scene, &[], &format!("touch {path}/x")).ends(1).says("Read-only");
        }
    }
    run(scene, &[], "umount /proc/keys").ends(1);
    // By descriptor of its parent, too.
    assert_eq!(inside(scene, &[], "cd /proc && cat keys ../proc/keys self/root/proc/keys"), "");
}

/// The five capability sets.
fn capabilities(scene: &Scene, options: &[&str]) -> [u64; 5] {
    let status = inside(scene, options, "cat /proc/self/status");
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        u64::from_str_radix(value.expect("the status names the set"), 16).expect("a number")
    })
}

// capabilities(7): CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, SETPCAP 8, NET_BIND_SERVICE 10,
// NET_RAW 13, SYS_CHROOT 18, MKNOD 27, AUDIT_WRITE 29, SETFCAP 31.
const DEFAULT: [u32; 14] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];
const SYS_ADMIN: u64 = 1 << 21;
const CHOWN: u64 = 1;

fn default_set() -> u64 {
    DEFAULT.iter().map(|number| 1 << number).sum()
}

fn the_capabilities_are_dockers_14(scene: &Scene) {
    let set = default_set();
    assert_eq!(capabilities(scene, &[]), [0, set, set, set, 0]);
    assert_eq!(capabilities(scene, &["--init"]), [0, set, set, set, 0]);
    // What is not in the set is refused.
    run(scene, &[], "mount -t tmpfs x /mnt").ends(1).says("permission denied");
    run(scene, &[], "hostname other").ends(1).says("Operation not permitted");
    run(scene, &[], "date -s 2000-01-01").run().says("Operation not permitted");
    run(scene, &[], "chroot / true").ok();
}

fn capabilities_are_added_and_dropped(scene: &Scene) {
    let set = default_set();
    let check =
        |options: &[&str], set: u64| assert_eq!(capabilities(scene, options), [0, set, set, set, 0], "{options:?}");
    check(&["--cap-add", "SYS_ADMIN"], set | SYS_ADMIN);
    check(&["--cap-add", "cap_sys_admin", "--cap-drop", "CHOWN"], (set | SYS_ADMIN) & !CHOWN);
    check(&["--cap-drop", "ALL"], 0);
    check(&["--cap-drop", "ALL", "--cap-add", "CHOWN"], CHOWN);
    // ALL is what vial itself may give: root here may lack some, and those can't be had by name either.
    let status = fs::read_to_string("/proc/self/status").expect("read the status");
    let own = status.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("the status names the set");
    let own = u64::from_str_radix(own, 16).expect("a number");
    let [_, permitted, effective, bounding, ambient] = capabilities(scene, &["--cap-add", "ALL"]);
    assert_eq!((permitted, effective, bounding, ambient), (own, own, own, 0));
    assert_eq!(capabilities(scene, &["--cap-add", "ALL", "--cap-drop", "CHOWN"])[1], own & !CHOWN);
    if own & 1 << 24 == 0 {
        run(scene, &["--cap-add", "SYS_RESOURCE"], "true").ends(125).says("vial itself lacks SYS_RESOURCE");
    }
    run(scene, &["--cap-drop", "CHOWN"], "chown 1 /tmp").ends(1).says("Operation not permitted");
    run(scene, &["--cap-add", "SYS_ADMIN"], "mount -t tmpfs x /mnt && hostname other && hostname")
        .ok()
        .prints("other\n");
}

fn another_user_has_no_capability(scene: &Scene) {
    assert_eq!(capabilities(scene, &["-u", "user"]), [0, 0, 0, default_set(), 0]);
    assert_eq!(capabilities(scene, &["-u", "1234:1234", "--cap-add", "SYS_ADMIN"])[1..3], [0, 0]);
    run(scene, &["-u", "user"], "touch /etc/x").ends(1).says("Permission denied");
}

fn no_new_privileges_is_set_when_asked(scene: &Scene) {
    let script = "sed -n 's/NoNewPrivs:\t//p' /proc/self/status";
    assert_eq!(inside(scene, &[], script), "0");
    assert_eq!(inside(scene, &["--security-opt", "no-new-privileges"], script), "1");
    assert_eq!(inside(scene, &["--security-opt", "no-new-privileges=false"], script), "0");
    // A program with a set-user-ID bit tells the difference.
    let script = "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id && setpriv --reuid=1000 --clear-groups /tmp/id -u";
    run_in(scene, &[], "host", script).ok().prints("0\n");
    run_in(scene, &["--security-opt", "no-new-privileges"], "host", script).ok().prints("1000\n");
}

fn the_workload_is_in_its_group_before_it_runs(scene: &Scene) {
    let container = Container::start(scene, &["--pids-limit", "50", "-m", "64m"], &format!("sleep 600 & {WAIT}"));
    let path = format!("/vial/{}", container.id);
    let groups = groups(&path);
    assert!(!groups.is_empty(), "no control group {path}");
    for group in groups {
        eventually("both processes are in the group", || {
            let processes = fs::read_to_string(group.join("cgroup.procs")).expect("read a group");
            let found: Vec<u32> = processes.lines().filter_map(|line| line.parse().ok()).collect();
            (found.contains(&container.pid) && found.len() == 2).then_some(())
        });
    }
    container.stop();
    assert_eq!(crate::util::container::groups(&path), Vec::<std::path::PathBuf>::new());
    // From inside it is the root of what there is.
    let cgroups = inside(
        scene,
        &["--pids-limit", "50"],
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs 2>/dev/null; true",
    );
    assert!(!cgroups.contains("vial") && cgroups.lines().any(|line| line == "1"), "{cgroups}");
}

fn the_workload_cannot_leave_its_group(scene: &Scene) {
    // Even when it may mount, it finds no group above its own.
    let script = "for hierarchy in $(sed -n 's/^[0-9]*:\\([a-z,]*\\):.*/\\1/p' /proc/self/cgroup)\n do\n\
                  mkdir -p /tmp/$hierarchy && mount -t cgroup -o $hierarchy none /tmp/$hierarchy || continue\n\
                  echo 1 >/tmp/$hierarchy/../cgroup.procs\n echo 1 >/tmp/$hierarchy/cgroup.procs\n done 2>/dev/null\n\
                  mkdir /tmp/v2 && mount -t cgroup2 none /tmp/v2 && echo 1 >/tmp/v2/cgroup.procs\n touch /tmp/done\n exec sleep 600";
    let options = ["--cap-add", "SYS_ADMIN", "--pids-limit", "50", "-m", "64m"];
    let container = Container::start(scene, &options, script);
    let done = format!("/proc/{}/root/tmp/done", container.pid);
    eventually("the workload has tried", || Path::new(&done).exists().then_some(()));
    let inside = format!("/vial/{}", container.id);
    let table = container.read_proc("cgroup");
    for controller in ["devices", "memory", "pids", "freezer"] {
        let line = table
            .lines()
            .find(|line| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|name| name == controller)));
        assert!(line.is_none_or(|line| line.ends_with(&inside)), "{table}");
    }
    assert!(table.contains(&inside), "{table}");
    container.stop();
    // Without that capability there is no way at all.
    run(scene, &[], "for file in $(find /sys/fs/cgroup -name cgroup.procs); do echo 1 >$file; done")
        .ends(1)
        .says("Read-only");
}

fn groups_that_the_workload_made_go_with_it(scene: &Scene) {
    let script = "mkdir /tmp/g && { mount -t cgroup -o freezer none /tmp/g || mount -t cgroup2 none /tmp/g; } 2>/dev/null &&\n\
                  mkdir -p /tmp/g/a/b && { sleep 600 & } && echo $! >/tmp/g/a/b/cgroup.procs && ls -d /tmp/g/a/b";
    run(scene, &["--cap-add", "SYS_ADMIN"], script).ok().shows("/tmp/g/a/b");
}

fn gc_kills_what_the_workload_froze(scene: &Scene) {
    let script = "mkdir /tmp/g && mount -t cgroup -o freezer none /tmp/g && mkdir /tmp/g/a && { sleep 600 & } &&\n\
                  echo $! >/tmp/g/a/cgroup.procs && echo FROZEN >/tmp/g/a/freezer.state && wait";
    let container = Container::start(scene, &["--cap-add", "SYS_ADMIN"], script);
    let state = format!("/sys/fs/cgroup/freezer/vial/{}/a/freezer.state", container.id);
    eventually("the process is frozen", || fs::read_to_string(&state).is_ok_and(|now| now == "FROZEN\n").then_some(()));
    container.signal("KILL");
    eventually("vial is gone", || is_gone(container.vial.id()).then_some(()));
    drop(container.vial);
    scene.vial(["gc"]).ok().shows(&container.id);
}

fn what_forked_away_dies_with_the_container(scene: &Scene) {
    let daemon = "(setsid sleep 543 </dev/null >/dev/null 2>&1 &) ; (setsid sh -c 'trap \"\" TERM HUP; sleep 543; sleep 543' </dev/null >/dev/null 2>&1 &)\nsleep 0.1; echo away";
    for options in [&[][..], &["--pid", "host"], &["--pid", "host", "--cgroupns", "host"], &["--init"]] {
        run(scene, options, daemon).ok().prints("away\n").silent();
        scene.assert_nothing_left();
    }
    let other = Container::named(scene, "other", &[], WAIT);
    run(scene, &["--pid", "container:other"], daemon).ok().prints("away\n");
    assert_eq!(leaks::processes(scene.directory()).iter().filter(|process| process.line.contains("543")).count(), 0);
    other.stop();
}

fn killing_vial_kills_the_workload_and_gc_removes_the_rest(scene: &Scene) {
    for options in [&[][..], &["--init"], &["-v", "/data", "-m", "64m"], &["-u", "user"]] {
        let container = Container::start(scene, options, &format!("(setsid sleep 600 &); {WAIT}"));
        let (id, workload) = (container.id.clone(), format!("/proc/{}", container.pid));
        container.signal("KILL");
        container.vial.wait().ends(137);
        eventually("the workload is dead", || (!Path::new(&workload).exists()).then_some(()));
        assert_eq!(states(scene).len(), 1);
        scene.vial(["gc"]).ok().silent().shows(&format!("container {id}"));
        scene.assert_nothing_left();
        assert!(groups(&format!("/vial/{id}")).is_empty());
        let volumes = fs::read_dir(scene.root().join("volumes")).map_or(0, Iterator::count);
        assert_eq!(volumes, 0, "{options:?}");
        scene.vial(["gc"]).ok().silent().prints("");
    }
}

fn killing_vial_in_the_hosts_pid_namespace_leaves_nothing_to_gc(scene: &Scene) {
    let container = Container::start(scene, &["--pid", "host"], &format!("(setsid sleep 543 &); sleep 0.1; {WAIT}"));
    let id = container.id.clone();
    eventually("the daemon runs", || {
        leaks::processes(scene.directory()).iter().any(|process| process.line.starts_with("sleep 543")).then_some(())
    });
    container.signal("KILL");
    eventually("vial is gone", || is_gone(container.vial.id()).then_some(()));
    drop(container.vial);
    scene.vial(["gc"]).ok().shows(&id);
    scene.assert_nothing_left();
    assert!(groups(&format!("/vial/{id}")).is_empty());
}

fn two_containers_do_not_see_each_other(scene: &Scene) {
    let first =
        Container::named(scene, "first", &[], &format!("echo first >/tmp/mine; echo first >/dev/shm/mine; {WAIT}"));
    let second = run(scene, &["--name", "second"], "ls /tmp /dev/shm; echo /proc/[0-9]*; ipcs | grep -c 0x").run();
    second.prints("/dev/shm:\n\n/tmp:\n/proc/1\n0\n");
    first.stop();
}
