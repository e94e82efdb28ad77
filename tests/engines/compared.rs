//! The same command lines on vial and on crun: both print the same and end with the same code.

use crate::util::command::Output;
use crate::util::engine::{Engine, IMAGE};
use crate::util::scene::Scene;

trials! {
    containers_print_and_end_as_on_crun [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("crun"), Command("oci")];
    what_fails_fails_with_the_same_code_and_words [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("crun"), Command("oci")];
    a_normal_users_containers_print_and_end_as_on_crun [Root, Busybox, Tool("podman"), Tool("conmon"), Tool("crun"), Tool("newuidmap"), Command("oci")];
}

/// The surroundings of a process, but for what differs from one to the next.
const SURROUNDINGS: &str = "id; id -G; pwd; umask; ulimit -n; ulimit -Hn; ulimit -u; cat /proc/self/oom_score_adj; tr -s ' ' </proc/self/uid_map; \
    grep -E '^(Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Groups|Cpus_allowed|Mems_allowed)' /proc/self/status; cat /proc/self/timerslack_ns; \
    cut -d ' ' -f 5-8 /proc/self/stat; env | grep -v HOSTNAME | sort; ls -l /proc/self/fd | grep -c -- '->'; \
    cat /proc/self/coredump_filter; cat /proc/self/personality; head -n 1 /proc/self/comm";
/// The mounts, sorted: kinds and places, and whether they can be written to. Those of control groups have the kernel's own order, and a
/// tmpfs or the device that hides something has what each runtime takes for it.
const MOUNTS: &str = "cut -d ' ' -f 2-4 /proc/mounts | grep -v -E ' /sys/fs/cgroup|^/sys/fs/cgroup|^/proc/(keys|timer_list|kcore|acpi|bus|fs|irq|sys|latency|sched|scsi)|^/sys/(firmware|dev)' | sed 's/,.*//' | sort";
/// The devices and links in `/dev`; crun also makes `core`.
const DEVICES: &str =
    "cd /dev; stat -c '%n %F %a %u %g %t %T' $(ls | grep -v ^core$); readlink fd stdin stdout stderr ptmx";
/// What is hidden or can't be changed.
const HIDDEN: &str = "for file in /proc/kcore /proc/keys /proc/timer_list; do cat $file 2>/dev/null | wc -c; done; ls /proc/acpi /sys/firmware; \
    for place in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/profiling; do \
        (: >>$place) 2>/dev/null || echo fixed $place; done";
/// What the container sees of its control groups.
const GROUPS: &str = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares memory.max pids.max cpu.weight 2>/dev/null; \
    touch memory/x memory.x 2>/dev/null || echo fixed; grep -c libpod /proc/self/mountinfo >/dev/null";

/// Options, and a script.
const ALIKE: &[(&str, &str)] = &[
    ("", SURROUNDINGS),
    ("--user 1000:5 --group-add 7 --workdir /tmp --umask 027", SURROUNDINGS),
    ("--cap-drop all --cap-add NET_RAW --security-opt no-new-privileges", SURROUNDINGS),
    ("--privileged", SURROUNDINGS),
    ("--user 33 --cap-add NET_RAW", SURROUNDINGS),
    ("--ulimit core=0 --ulimit nofile=100:200 --ulimit nproc=50:60 --oom-score-adj 100", SURROUNDINGS),
    ("--env A=b --env C --hostname inside --init", "echo $A $C; hostname; cat /proc/sys/kernel/hostname; ps -o args"),
    ("", MOUNTS),
    ("--read-only", MOUNTS),
    ("--read-only --read-only-tmpfs=false", MOUNTS),
    (
        "--tmpfs /scratch:size=1m,mode=700,noexec --shm-size 2m --volume /etc:/mnt/etc:ro --mount type=tmpfs,destination=/more",
        MOUNTS,
    ),
    ("--privileged", MOUNTS),
    ("--systemd always", MOUNTS),
    ("", DEVICES),
    ("--device /dev/zero:/dev/in/side:rw --device /dev/null:/dev/only:r", DEVICES),
    ("", HIDDEN),
    (
        "--privileged",
        "ls /proc/acpi /sys/firmware; for place in /proc/sys/kernel/hostname /sys/kernel/profiling; do (: >>$place) && echo $place; done",
    ),
    (
        "--security-opt unmask=/proc/acpi --security-opt mask=/proc/version",
        "wc -c </proc/version; ls /proc/acpi | wc -l",
    ),
    ("--memory 64m --pids-limit 30 --cpu-shares 256", GROUPS),
    ("--memory 64m --pids-limit 30 --cpu-shares 256 --cgroupns host", GROUPS),
    (
        "--memory 64m --memory-reservation 32m --memory-swap 128m --cpus 0.5 --cpuset-cpus 0",
        "grep Cpus_allowed_list /proc/self/status",
    ),
    ("--uidmap 0:200000:65536 --gidmap 0:200000:65536", SURROUNDINGS),
    (
        "--uidmap 0:200000:65536 --gidmap 0:200000:65536",
        "ls -ln / /dev/shm /dev/pts | grep -v -E ' (dev|etc|proc|run|sys|tmp)$'",
    ),
    (
        "--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1000",
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
    ),
    ("--pid host --uts host --ipc host", "hostname; test -e /proc/1/root || echo closed"),
    ("--network host", "readlink /proc/self/ns/net; ls /sys/class/net"),
    ("--cgroups=disabled", "echo ran"),
    ("--annotation some=thing --label some=thing --stop-signal USR1", "echo ran"),
    ("--tty", "tty; test -t 0 && test -t 1 && test -t 2 && echo terminal; ls -l /dev/console | cut -d ' ' -f 1"),
    ("--user 1000 --workdir /root", "pwd; cd /root || echo closed"),
    ("", "exit 7"),
    ("", "kill -9 $$"),
    ("", "kill -SEGV $$"),
    ("--interactive", "cat"),
    ("--user 1000", "echo again >/dev/stdout; echo error >/dev/stderr"),
];

/// Whole command lines behind `podman run --rm` that fail; `IMAGE` stands for the image.
const FAILING: &[&str] = &[
    "IMAGE nosuch",
    "IMAGE /nosuch",
    "IMAGE /etc/passwd",
    "IMAGE /etc",
    "--workdir /nosuch IMAGE true",
    "--workdir /etc/passwd IMAGE true",
    "--user nosuch IMAGE true",
    "--sysctl kernel.nosuch=1 IMAGE true",
    "--ulimit nofile=100:99999999 IMAGE true",
    "--device-read-bps /dev/null:1mb IMAGE true",
    "--volume /nosuch:/mnt IMAGE true",
    "--security-opt seccomp=/nosuch IMAGE true",
    "--userns container:nosuch IMAGE true",
    "--network ns:/nosuch IMAGE true",
    "--cap-add NOSUCH IMAGE true",
    "--tmpfs /mnt:nosuch IMAGE true",
];

/// A command line for each runtime.
fn both(engine: &Engine<'_>, words: &[&str]) -> [Output; 2] {
    let run = |runtime| engine.podman_on(runtime, words).input("given\n").run();
    let ours = run("vial");
    assert_eq!(engine.left_groups(), [""; 0], "{}", ours.shown());
    let theirs = run("crun");
    engine.remove_groups();
    [ours, theirs]
}

fn compare(engine: &Engine<'_>, rows: &[(&str, &str)]) {
    let mut different = String::new();
    for (options, script) in rows {
        let options: Vec<&str> = options.split_whitespace().collect();
        let words = [&["run", "--rm"], &options[..], &[IMAGE, "sh", "-c", script]].concat();
        let [ours, theirs] = both(engine, &words);
        if (&ours.stdout, ours.code) != (&theirs.stdout, theirs.code) {
            different += &format!("{}\n{}\n", ours.shown(), theirs.shown());
        }
    }
    assert!(different.is_empty(), "{different}");
}

fn containers_print_and_end_as_on_crun(scene: &Scene) {
    let engine = Engine::beside_crun(scene);
    engine.import();
    compare(&engine, ALIKE);
    engine.end();
}

fn what_fails_fails_with_the_same_code_and_words(scene: &Scene) {
    let engine = Engine::beside_crun(scene);
    engine.import();
    let mut different = String::new();
    // What podman makes of an error.
    let kind = |output: &Output| {
        let kinds = [
            "OCI runtime attempted to invoke a command that was not found",
            "OCI permission denied",
            "OCI runtime error",
        ];
        kinds.into_iter().find(|kind| output.stderr.contains(kind))
    };
    for line in FAILING {
        let line = line.replace("IMAGE", IMAGE);
        let words = [&["run", "--rm"], &line.split_whitespace().collect::<Vec<_>>()[..]].concat();
        let [ours, theirs] = both(&engine, &words);
        if (&ours.stdout, ours.code, kind(&ours)) != (&theirs.stdout, theirs.code, kind(&theirs)) || ours.code == 0 {
            different += &format!("{}\n{}\n", ours.shown(), theirs.shown());
        }
    }
    assert!(different.is_empty(), "{different}");
    engine.end();
}

fn a_normal_users_containers_print_and_end_as_on_crun(scene: &Scene) {
    let engine = Engine::rootless_beside_crun(scene);
    engine.import();
    compare(
        &engine,
        &[
            ("", SURROUNDINGS),
            ("--user 1000:5 --group-add 7 --workdir /tmp", SURROUNDINGS),
            ("--userns keep-id", SURROUNDINGS),
            ("--userns auto:size=1000", SURROUNDINGS),
            ("--privileged", SURROUNDINGS),
            ("", MOUNTS),
            ("--read-only", MOUNTS),
            ("--device /dev/zero:/dev/nothing", "head -c 3 /dev/nothing | wc -c; echo >/dev/null"),
            ("--network host", "readlink /proc/self/ns/net"),
            ("--pid host", "test -e /proc/1/root || echo closed"),
            ("--tty", "tty; test -t 0 && echo terminal"),
            ("", "exit 7"),
            ("", "nosuch"),
        ],
    );
    engine.end();
}
