//! `stats` and `top`: what they show is what the kernel counts.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::util::Scene;
use crate::util::container::{Container, eventually, groups, signal};

trials! {
    processor_time_is_shown_as_it_is_limited [Root, Busybox, Kernel("overlay"), Command("stats")];
    memory_and_processes_are_those_that_the_group_counts [Root, Busybox, CgroupV1("memory"), Kernel("overlay"), Command("stats")];
    what_no_group_counts_is_counted_by_process [Root, Busybox, Kernel("overlay"), Command("stats")];
    traffic_of_the_containers_own_interfaces_is_shown [Root, Busybox, Tool("nsenter"), Tool("ip"), Kernel("overlay"), Command("stats")];
    bytes_that_reach_the_disk_are_shown [Root, Busybox, Kernel("overlay"), Command("stats")];
    containers_that_do_not_run_are_shown_when_asked_for [Root, Busybox, Kernel("overlay"), Command("stats")];
    each_second_what_comes_is_shown_and_what_goes_is_not [Root, Busybox, Kernel("overlay"), Command("stats")];
    a_stream_of_named_containers_ends_with_the_last_of_them [Root, Busybox, Kernel("overlay"), Command("stats")];
    on_a_terminal_the_table_is_drawn_over_and_the_cursor_stays_visible [Root, Busybox, Tool("script"), Tool("stty"), Kernel("overlay"), Command("stats")];
    every_process_is_listed_with_the_hosts_numbers [Root, Busybox, Kernel("overlay"), Command("top")];
    options_are_those_of_the_hosts_ps [Root, Busybox, Tool("ps"), Kernel("overlay"), Command("top")];
    what_does_not_run_has_no_processes_to_list [Root, Busybox, Kernel("overlay"), Command("top")];
}

const BUSY: &str = "while :; do :; done";

/// The row of one container.
#[track_caller]
fn look(scene: &Scene, name: &str) -> Value {
    let output = scene.vial(["stats", "--no-stream", "--json", name]).ok().silent();
    let mut rows: Vec<Value> = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.shown()));
    assert_eq!(rows.len(), 1, "{}", output.shown());
    rows.remove(0)
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("{field} in {row}"))
}

fn percent(row: &Value, field: &str) -> f64 {
    text(row, field).strip_suffix('%').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{row}"))
}

/// The bytes that `1.5MiB` and `12.3kB` are about.
fn bytes(size: &str) -> f64 {
    let end = size.find(|letter: char| letter.is_ascii_alphabetic()).expect("a unit");
    let (number, unit) = size.split_at(end);
    let base: f64 = if unit.contains('i') { 1024.0 } else { 1000.0 };
    let power = "BKMGT".find(unit.chars().next().map_or(' ', |letter| letter.to_ascii_uppercase())).expect("a unit");
    number.parse::<f64>().expect("a number") * base.powi(power as i32)
}

/// Both sides of `a / b`.
fn pair(row: &Value, field: &str) -> (f64, f64) {
    let (one, other) = text(row, field).split_once(" / ").unwrap_or_else(|| panic!("{field} in {row}"));
    (bytes(one), bytes(other))
}

/// A file of the container's group, in whichever hierarchy has it.
fn counted(container: &Container<'_>, file: &str) -> String {
    let found = groups(&format!("/vial/{}", container.id)).into_iter().map(|group| group.join(file));
    let found = found.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no group has {file}"));
    fs::read_to_string(found).expect("read a counter").trim().to_owned()
}

/// Hundredths of a second of processor time that all processes of a container have had.
fn ticks(container: &Container<'_>) -> u32 {
    let time = |pid: &str| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // Its own, and that of children it waited for, proc_pid_stat(5).
        fields[11..15].iter().map(|field| field.parse::<u32>().ok()).sum()
    };
    counted(container, "cgroup.procs").lines().filter_map(time).sum()
}

fn processor_time_is_shown_as_it_is_limited(scene: &Scene) {
    let half = Container::named(scene, "half", &["--cpus", "0.5"], BUSY);
    let tenth = Container::named(scene, "tenth", &["--cpu-quota", "10000"], BUSY);
    // Children that soon end do the work, so that only sums over all that ever was tell the truth.
    let brief = "while :; do sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'; done";
    let child = Container::named(scene, "child", &["--cpus", "0.3"], brief);
    let idle = Container::named(scene, "idle", &[], "exec sleep 600");
    for (container, name, limit) in
        [(&half, "half", 50.0), (&tenth, "tenth", 10.0), (&child, "child", 30.0), (&idle, "idle", 0.0)]
    {
        // A machine under load gives less than the limit, and what it gives is what is to be shown.
        eventually(name, || {
            let (before, begun) = (ticks(container), Instant::now());
            let row = look(scene, name);
            let given = f64::from(ticks(container) - before) / begun.elapsed().as_secs_f64();
            let shown = percent(&row, "CPUPerc");
            assert!(shown <= limit * 1.25 + 0.5, "{name}: {row}");
            let enough = given >= limit * 0.3 && (shown - given).abs() <= limit * 0.15 + 1.0;
            enough.then_some(())
        });
    }
    for container in [half, tenth, child, idle] {
        container.stop();
    }
}

fn memory_and_processes_are_those_that_the_group_counts(scene: &Scene) {
    // 20 MiB of a file in memory, which can't be dropped, and threads of control besides.
    let script = "dd if=/dev/zero of=/dev/shm/file bs=1M count=20 2>/dev/null; sleep 600 & sleep 600 & wait";
    let container = Container::named(scene, "full", &["-m", "64m", "--pids-limit", "9", "--shm-size", "30m"], script);
    eventually("all of them are there", || (counted(&container, "pids.current") == "3").then_some(()));
    let row = look(scene, "full");
    let stat = counted(&container, "memory.stat");
    let inactive = stat.lines().find_map(|line| line.strip_prefix("total_inactive_file ")).expect("a counter");
    let usage: f64 = counted(&container, "memory.usage_in_bytes").parse().expect("a number");
    let expected = usage - inactive.parse::<f64>().expect("a number");
    let (used, limit) = pair(&row, "MemUsage");
    assert!(expected > f64::from(20 << 20) && (used - expected).abs() < f64::from(1 << 20), "{expected}: {row}");
    assert_eq!(text(&row, "MemUsage").split(" / ").nth(1), Some("64MiB"));
    assert!((percent(&row, "MemPerc") - used / limit * 100.0).abs() < 0.1, "{row}");
    assert_eq!(text(&row, "PIDs"), "3");
    assert_eq!((text(&row, "Name"), text(&row, "ID")), ("full", &container.id[..12]));
    container.stop();
}

fn what_no_group_counts_is_counted_by_process(scene: &Scene) {
    // Whoever writes all at once has all of it until somebody reads.
    let script = "dd bs=30M count=1 if=/dev/zero 2>/dev/null | sleep 600 & while :; do :; done";
    let container = Container::named(scene, "plain", &[], script);
    eventually("it has its memory, and works", || {
        let row = look(scene, "plain");
        let (used, limit) = pair(&row, "MemUsage");
        let meminfo = fs::read_to_string("/proc/meminfo").expect("read meminfo");
        let total = meminfo.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok()).expect("a number");
        assert!((limit - total * 1024.0).abs() < total * 1024.0 * 0.01, "all memory is the limit: {row}");
        let enough = used > 25e6 && percent(&row, "CPUPerc") > 20.0 && text(&row, "PIDs") == "3";
        assert!(used < 200e6, "{row}");
        enough.then_some(())
    });
    container.stop();
}

fn traffic_of_the_containers_own_interfaces_is_shown(scene: &Scene) {
    let container = Container::named(scene, "net", &[], "exec sleep 600");
    let inside = |words: &str| {
        let namespace = format!("--net=/proc/{}/ns/net", container.pid);
        scene.command("nsenter", [&*namespace, "ip"]).args(words.split(' ')).ok();
    };
    assert_eq!(text(&look(scene, "net"), "NetIO"), "0B / 0B");
    // Two that are joined tell each other of themselves as soon as they are up.
    for words in ["link set lo up", "link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"] {
        inside(words);
    }
    let table = || fs::read_to_string(format!("/proc/{}/net/dev", container.pid)).expect("read the table");
    let column = |at: usize| -> f64 {
        let table = table();
        let lines = table.lines().filter(|line| line.trim_start().starts_with('v'));
        lines.map(|line| line.split_whitespace().nth(at).map_or(0.0, |number| number.parse().expect("a number"))).sum()
    };
    eventually("as much as was sent is shown", || {
        let (before, row, after) = ([column(1), column(9)], look(scene, "net"), [column(1), column(9)]);
        let (received, sent) = pair(&row, "NetIO");
        // Three digits are shown.
        let fits = |shown: f64, at: usize| before[at] > 0.0 && shown >= before[at] * 0.99 && shown <= after[at] * 1.01;
        (fits(received, 0) && fits(sent, 1)).then_some(())
    });
    container.stop();
    // The host's interfaces are not the container's.
    let host = Container::named(scene, "host", &["--network", "host"], "exec sleep 600");
    assert_eq!(text(&look(scene, "host"), "NetIO"), "0B / 0B");
    host.stop();
}

fn bytes_that_reach_the_disk_are_shown(scene: &Scene) {
    let share = format!("{}:/mnt", scene.directory().display());
    let script = "dd if=/dev/zero of=/mnt/file bs=1M count=3 conv=fsync 2>/dev/null; touch /mnt/done; exec sleep 600";
    let container = Container::named(scene, "writer", &["-v", &share], script);
    eventually("it has written", || scene.path("done").exists().then_some(()));
    let (_, written) = pair(&look(scene, "writer"), "BlockIO");
    assert!((3e6..6e6).contains(&written), "{written}");
    container.stop();
}

fn containers_that_do_not_run_are_shown_when_asked_for(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "ended", &rootfs, "true"]).ok();
    let container = Container::named(scene, "runs", &[], "exec sleep 600");
    let names = |words: &[&str]| {
        let words = [&["stats", "--no-stream", "--format", "{{.Name}}"], words].concat();
        scene.vial(words).ok().silent().stdout
    };
    assert_eq!(names(&[]), "runs\n");
    assert_eq!(names(&["-a"]), "runs\nended\n");
    assert_eq!(names(&["ended"]), "ended\n");
    let row = look(scene, "ended");
    let values = ["CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"].map(|field| text(&row, field));
    assert_eq!(values, ["0.00%", "0B / 0B", "0.00%", "0B / 0B", "0B / 0B", "0"]);
    scene.vial(["stats", "--no-stream", "nosuch"]).ends(125).prints("").says("no such container: nosuch");
    let table = scene.vial(["stats", "--no-stream", "--no-trunc", "runs"]).ok().stdout;
    let heading: Vec<&str> =
        table.lines().next().expect("a heading").split("  ").filter(|word| !word.is_empty()).collect();
    let heading: Vec<&str> = heading.into_iter().map(str::trim).collect();
    assert_eq!(
        heading,
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
    );
    assert!(table.contains(&container.id), "{table}");
    container.stop();
    scene.vial(["rm", "ended"]).ok();
}

fn each_second_what_comes_is_shown_and_what_goes_is_not(scene: &Scene) {
    let log = scene.path("log");
    let file = fs::File::create(&log).expect("make a file");
    let first = Container::named(scene, "first", &[], "exec sleep 600");
    let mut stats = std::process::Command::new(crate::util::command::VIAL)
        .args(["stats", "--format", "{{.Name}} {{.CPUPerc}}"])
        .env("VIAL_ROOT", scene.root())
        .current_dir(scene.directory())
        .stdout(file)
        .spawn()
        .expect("start vial");
    let begun = Instant::now();
    let read = || fs::read_to_string(&log).expect("read the log");
    eventually("the first is shown", || read().contains("first 0.0").then_some(()));
    let second = Container::named(scene, "second", &[], "exec sleep 600");
    eventually("the second is shown too", || read().contains("second 0.0").then_some(()));
    first.stop();
    let seen = read().matches("first").count();
    eventually("only the second is shown", || {
        let lines = read();
        let last: Vec<&str> = lines.lines().rev().take(2).collect();
        last.iter().all(|line| line.starts_with("second")).then_some(())
    });
    let (rounds, elapsed) = (read().matches("second").count() + seen, begun.elapsed());
    assert!(rounds as u64 <= elapsed.as_secs() * 2 + 2, "{rounds} rows in {elapsed:?}");
    assert!(!read().contains('\x1b'), "a file is no terminal");
    second.stop();
    signal(stats.id(), "INT");
    assert!(!stats.wait().expect("wait for vial").success());
}

fn a_stream_of_named_containers_ends_with_the_last_of_them(scene: &Scene) {
    let container = Container::named(scene, "only", &[], "exec sleep 600");
    let stats = scene.vial(["stats", "--format", "{{.Name}}", "only"]).limit(Duration::from_secs(20)).start();
    std::thread::sleep(Duration::from_millis(1500));
    container.stop();
    stats.wait().ends(0).shows("only\n");
}

fn on_a_terminal_the_table_is_drawn_over_and_the_cursor_stays_visible(scene: &Scene) {
    let container = Container::named(scene, "only", &[], "exec sleep 600");
    let drawn = on_terminal(scene, "", "2.6");
    assert!(drawn.matches("\x1b[H").count() >= 2 && drawn.contains("only"), "{drawn:?}");
    assert!(drawn.trim_end().ends_with("\x1b[?25h"), "{drawn:?}");
    assert_eq!(drawn.matches("\x1b[?25l").count(), drawn.matches("\x1b[?25h").count(), "{drawn:?}");
    assert!(!on_terminal(scene, "--no-stream", "9").contains('\x1b'));
    container.stop();
}

/// What vial shows on a terminal in so many seconds, after which it is interrupted.
fn on_terminal(scene: &Scene, words: &str, seconds: &str) -> String {
    let line =
        format!("stty rows 24 cols 200; exec timeout -s INT {seconds} {} stats {words}", crate::util::command::VIAL);
    scene.command("script", ["-qec", &line, "/dev/null"]).env("TERM", "xterm").run().stdout
}

/// The cells of each line.
fn cells(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect()
}

fn every_process_is_listed_with_the_hosts_numbers(scene: &Scene) {
    let script = "setsid sleep 601 & sleep 602 & exec sleep 603";
    let container = Container::named(scene, "many", &["--user", "12345"], script);
    let list = || scene.vial(["top", "many"]).ok().silent().stdout;
    let table = eventually("all have begun", || {
        Some(list()).filter(|table| table.lines().count() == 4 && !table.contains("sh -c") && !table.contains("setsid"))
    });
    let rows = cells(&table);
    assert_eq!(rows[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    assert!(table.starts_with("UID                 PID                 PPID"), "{table}");
    let first = rows.iter().find(|row| row[1] == container.pid.to_string()).expect("the workload is among them");
    assert_eq!(
        (first[0], first[2], first[5], first[7]),
        ("12345", &*container.vial.id().to_string(), "?", "sleep 603")
    );
    for row in &rows[1..] {
        let command = fs::read_to_string(format!("/proc/{}/cmdline", row[1])).expect("it is a process of the host");
        assert_eq!(command.trim_end_matches('\0').replace('\0', " "), row[7]);
        assert!(row[4].len() == 5 && row[4].contains(':') && row[6] == "00:00:00" && row[3] == "0", "{row:?}");
    }
    let mut commands: Vec<&str> = rows[1..].iter().map(|row| row[7]).collect();
    commands.sort_unstable();
    assert_eq!(commands, ["sleep 601", "sleep 602", "sleep 603"]);
    container.stop();
}

fn options_are_those_of_the_hosts_ps(scene: &Scene) {
    let container = Container::named(scene, "some", &[], "sleep 601 & exec sleep 602");
    let top = |options: &[&str]| scene.vial([&["top", "some"], options].concat());
    let shown = eventually("both sleep", || {
        let shown = top(&["-o", "pid=,args="]).ok().silent().stdout;
        (shown.matches("sleep").count() == 2 && !shown.contains("sh")).then_some(shown)
    });
    let mut pids: Vec<&str> = shown.lines().map(|line| line.split_whitespace().next().expect("a number")).collect();
    pids.sort_unstable();
    assert!(pids.contains(&&*container.pid.to_string()), "{shown}");
    top(&["-o", "comm"]).ok().prints("COMMAND\nsleep\nsleep\n");
    let table = top(&["aux"]).ok().stdout;
    assert!(table.starts_with("USER") && table.lines().count() == 3, "{table}");
    top(&["--nonsense"]).ends(125).says("vial: ps failed").says("accepted: options of a ps that knows -q");
    top(&["-ef"]).env("PATH", "/nonexistent").ends(125).says("there is none in PATH").says("without options");
    container.stop();
}

fn what_does_not_run_has_no_processes_to_list(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "ended", &rootfs, "true"]).ok();
    scene.vial(["top", "ended"]).ends(125).prints("").says("container ended is not running");
    scene.vial(["top", "nosuch"]).ends(125).prints("").says("no such container: nosuch");
    scene.vial(["rm", "ended"]).ok();
}
