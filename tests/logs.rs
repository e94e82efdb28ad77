//! `vial logs`: what is in a container's log is shown as it was printed, whole, by its last lines, by time, and as it comes.
//!
//! The logs are written by the code that writes them for containers, from here, into the directory of one that has ended; a
//! test that needs it to run owns it meanwhile as vial would: by the lock and by `state.json`.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vial::base::time::Timestamp;
use vial::container::log::write::Log;
use vial::container::log::{LogOptions, Stream};
use vial::sys::file::{self, Lock};
use vial::sys::{Fd, fd};

use crate::util::command::{Running, VIAL};
use crate::util::container::{eventually, signal};
use crate::util::{Scene, account};

trials! {
    both_streams_are_shown_byte_for_byte [Root, Busybox, Kernel("overlay"), Command("logs")];
    the_last_lines_are_shown [Root, Busybox, Kernel("overlay"), Command("logs")];
    lines_are_chosen_and_marked_by_their_time [Root, Busybox, Kernel("overlay"), Command("logs")];
    both_streams_keep_their_order_in_one_file [Root, Busybox, Kernel("overlay"), Command("logs")];
    the_end_of_a_long_log_is_there_at_once_and_in_little_memory [Root, Busybox, Kernel("overlay"), Command("logs")];
    a_damaged_log_is_shown_as_well_as_it_can_be [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_an_ended_container_shows_its_log_and_ends [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_goes_on_over_rotations_and_restarts_and_sleeps_in_between [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_ends_when_the_container_is_removed [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_ends_when_the_owner_is_killed [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_ends_at_the_time_that_was_given [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_a_container_that_has_said_nothing_yet_waits_for_it [Root, Busybox, Kernel("overlay"), Command("logs")];
    every_call_while_following_states_its_reason [Root, Busybox, Kernel("overlay"), Command("logs")];
    a_container_without_a_log_is_told_apart [Root, Busybox, Kernel("overlay"), Command("logs")];
    a_full_disk_loses_what_does_not_fit_and_says_how_much [Root, Tool("mount"), Kernel("tmpfs")];
    what_a_container_in_the_background_prints_is_kept_byte_for_byte [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_goes_on_over_restarts_and_ends_with_the_container [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_shows_all_that_a_container_that_goes_has_printed [Root, Busybox, Kernel("overlay"), Command("logs")];
    following_goes_on_when_the_monitor_is_killed [Root, Busybox, Kernel("overlay"), Command("logs")];
    the_options_are_written_down [Root, Busybox, Kernel("overlay"), Command("logs")];
}

/// A container that has ended, under the name `web`.
struct Web<'a> {
    scene: &'a Scene,
    path: PathBuf,
    directory: Fd,
}

impl<'a> Web<'a> {
    fn new(scene: &'a Scene, options: &[&str]) -> Web<'a> {
        scene.vial(["run", "--name", "web"]).args(options).args([&scene.rootfs().display().to_string(), "true"]).ok();
        let id = fs::read_link(scene.root().join("names/web")).expect("the container has a name");
        let path = scene.root().join("containers").join(id);
        let name = file::path(path.to_str().expect("a path in UTF-8")).expect("a path");
        let directory = file::open(fd::CWD, name, libc::O_RDONLY | libc::O_DIRECTORY).expect("open its directory");
        Web { scene, path, directory }
    }

    fn log(&self, max_size: u64, max_file: u32) -> Log {
        let options = LogOptions { max_size, max_file, ..LogOptions::default() };
        Log::open(self.directory.by_ref(), &options).expect("open the log").expect("a log is kept")
    }

    /// Changes what vial knows of it, in the way of its owner.
    fn state(&self, status: &str) {
        let text = fs::read_to_string(self.path.join("state.json")).expect("read the state");
        let mut state: Value = serde_json::from_str(&text).expect("the state is JSON");
        state["status"] = json!(status);
        fs::write(self.path.join("state.json.new"), state.to_string()).expect("write the state");
        fs::rename(self.path.join("state.json.new"), self.path.join("state.json")).expect("put the state in place");
    }

    /// Owns it as if it ran.
    fn start(&self) {
        // Who follows it takes the lock for a moment to see whether somebody owns it, which vial's own commands wait for too.
        let lock = || file::try_lock(self.directory.by_ref(), Lock::Exclusive).expect("flock");
        eventually("nobody owns it", || lock().then_some(()));
        self.state("running");
    }

    /// `vial logs` in the background, into files.
    fn follow(&self, options: &str) -> Running<'a> {
        let line = format!("exec {VIAL} logs -f {options} web >out 2>errors");
        self.scene.command("sh", ["-c", &line]).start()
    }

    /// What was shown so far.
    fn shown(&self, name: &str) -> Vec<u8> {
        fs::read(self.scene.path(name)).unwrap_or_default()
    }

    fn eventually_shown(&self, text: &str) {
        eventually(text, || self.shown("out").ends_with(text.as_bytes()).then_some(()));
    }

    /// Both streams of `vial logs`, as bytes.
    fn logs(&self, options: &str) -> [Vec<u8>; 2] {
        self.scene.command("sh", ["-c", &format!("exec {VIAL} logs {options} web >out 2>errors")]).ok();
        [self.shown("out"), self.shown("errors")]
    }

    fn remove(self) {
        drop(self.directory);
        self.scene.vial(["rm", "web"]).ok();
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp { secs, nanos: 500_000_000 }
}

fn both_streams_are_shown_byte_for_byte(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let mut out = b"first\n\n\r\n \0\xff\xfe\n$ ".to_vec();
    out.extend([vec![b'x'; 1 << 20], b"\nwithout an end".to_vec()].concat());
    let errors = b"warning\n2026-11-23T10:00:00.123456789Z stdout F not a header\nerror: ".to_vec();
    let mut log = web.log(256 << 10, 9);
    // As they may come through pipes: in pieces of any length.
    for (number, piece) in out.chunks(4099).enumerate() {
        log.append(Stream::Stdout, at(number as i64), piece);
        if let Some(piece) = errors.chunks(7).nth(number) {
            log.append(Stream::Stderr, at(number as i64), piece);
        }
    }
    assert!(web.path.join("log.4").exists(), "the log is rotated");
    for options in ["", "-f", "--tail all", "-n 100", "--since 0", "--until 1000"] {
        let [stdout, stderr] = web.logs(options);
        assert!(stdout == out, "{options}: {} of {} bytes", stdout.len(), out.len());
        assert_eq!(String::from_utf8_lossy(&stderr), String::from_utf8_lossy(&errors), "{options}");
    }
    web.remove();
}

fn the_last_lines_are_shown(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let mut log = web.log(1 << 20, 3);
    log.append(Stream::Stdout, at(0), b"1\n2\n3\n");
    log.append(Stream::Stderr, at(0), b"4\n");
    log.append(Stream::Stdout, at(0), b"5 half");
    log.append(Stream::Stderr, at(0), b"6\n");
    log.append(Stream::Stdout, at(0), b", whole\n");
    for (number, out, errors) in [
        ("0", "", ""),
        ("1", "5 half, whole\n", ""),
        ("2", "5 half, whole\n", "6\n"),
        ("3", "5 half, whole\n", "4\n6\n"),
        ("4", "3\n5 half, whole\n", "4\n6\n"),
        ("99", "1\n2\n3\n5 half, whole\n", "4\n6\n"),
    ] {
        for form in ["-n", "--tail"] {
            let output = scene.vial(["logs", form, number, "web"]).ok().prints(out);
            assert_eq!(output.stderr, errors, "{form} {number}");
        }
    }
    scene.vial(["container", "logs", "--tail=2", "--tail=all", "web"]).ok().prints("1\n2\n3\n5 half, whole\n");
    web.remove();
}

fn lines_are_chosen_and_marked_by_their_time(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs() as i64;
    let mut log = web.log(1 << 20, 3);
    for (time, line) in [(1_700_000_000, "old\n"), (now - 3600, "an hour ago\n"), (now - 5, "just now\n")] {
        log.append(Stream::Stdout, at(time), line.as_bytes());
    }
    for (options, expected) in [
        ("--since 2023-11-14T22:13:20.5Z --until 2023-11-14T23:13:20.5+01:00", "old\n"),
        ("--since 1700000000.500000001 --until 10s", "an hour ago\n"),
        ("--since 1700000000.5 --until=59m59s", "old\nan hour ago\n"),
        ("--since 1h10m", "an hour ago\njust now\n"),
        ("--since 30m", "just now\n"),
        ("--since 0s", ""),
        ("--since 2h --tail 1", "just now\n"),
        ("--until 1h0.5m --tail 1", ""),
        ("-t --until 1700000001", "2023-11-14T22:13:20.500000000Z old\n"),
    ] {
        assert_eq!(String::from_utf8(web.logs(options)[0].clone()).unwrap(), expected, "{options}");
    }
    web.remove();
}

fn both_streams_keep_their_order_in_one_file(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let mut log = web.log(1 << 20, 3);
    let mut expected = String::new();
    for number in 0..3000 {
        let stream = if number % 7 < 3 { Stream::Stdout } else { Stream::Stderr };
        log.append(stream, at(0), format!("{number}\n").as_bytes());
        let _ = writeln!(expected, "{number}");
    }
    scene.command("sh", ["-c", &format!("exec {VIAL} logs web 2>&1")]).ok().prints(&expected);
    web.remove();
}

fn the_end_of_a_long_log_is_there_at_once_and_in_little_memory(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let entry = format!("2026-11-23T10:00:00.123456789Z stdout F {}\n", "z".repeat(79));
    let full = entry.repeat((10 << 20) / entry.len());
    for name in ["log.2", "log.1", "log"] {
        fs::write(web.path.join(name), &full).expect("write a file of the log");
    }
    let begun = Instant::now();
    scene.vial(["logs", "-n", "3", "web"]).ok().prints(&format!("{}\n", "z".repeat(79)).repeat(3));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?} for three lines");
    // Less memory than a tenth of a file: the limit is on all that is mapped.
    let line = format!("ulimit -v 6000; {VIAL} logs web | wc -c; {VIAL} logs -n 100000 web | wc -l");
    let lines = 3 * full.len() / entry.len();
    scene.command("sh", ["-c", &line]).ok().silent().prints(&format!("{}\n100000\n", lines * 80));
    web.remove();
}

fn a_damaged_log_is_shown_as_well_as_it_can_be(scene: &Scene) {
    let web = Web::new(scene, &[]);
    let head = "2026-11-23T10:00:00.123456789Z std";
    fs::write(web.path.join("log.1"), format!("{head}out F one\n{head}out F tw")).expect("write a file of the log");
    let rest = format!("{head}\n\nnonsense\n{head}out F three\n{head}err F four\n{head}out P fi");
    fs::write(web.path.join("log"), rest).expect("write a file of the log");
    let output = scene.vial(["logs", "web"]).ok().prints("one\ntwthree\nfi");
    assert_eq!(output.stderr, format!("{head}\n\nnonsense\nfour\n"));
    assert_eq!(scene.vial(["logs", "-n", "4", "web"]).ok().prints("three\nfi").stderr, "nonsense\nfour\n");
    web.remove();
}

fn following_an_ended_container_shows_its_log_and_ends(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.log(1 << 20, 3).append(Stream::Stdout, at(0), b"1\n2\n3\n");
    scene.vial(["logs", "-f", "web"]).ok().prints("1\n2\n3\n").silent();
    scene.vial(["logs", "--follow", "-n1", "web"]).ok().prints("3\n").silent();
    web.remove();
}

fn following_goes_on_over_rotations_and_restarts_and_sleeps_in_between(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.start();
    let mut log = web.log(4 << 10, 50);
    log.append(Stream::Stdout, at(0), b"not wanted\nfirst\n");
    let mut follower = web.follow("-n 1");
    let mut expected = "first\n".to_owned();
    web.eventually_shown(&expected);
    // A prompt is shown without its newline.
    log.append(Stream::Stdout, at(0), b"$ ");
    expected.push_str("$ ");
    web.eventually_shown(&expected);

    let switches = || {
        let status = fs::read_to_string(format!("/proc/{}/status", follower.id())).expect("it runs");
        status.lines().filter(|line| line.contains("ctxt_switches")).map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("it sleeps while nothing happens", || {
        let before = switches();
        thread::sleep(Duration::from_millis(400));
        (switches() == before).then_some(())
    });

    for round in 0..3 {
        for number in 0..200 {
            let line = format!("round {round} line {number}\n");
            log.append(Stream::Stdout, at(0), line.as_bytes());
            expected.push_str(&line);
        }
        web.eventually_shown(&expected);
        fs::write(web.path.join("restarting"), "").expect("make the marker");
        drop(log);
        web.state("exited");
        file::unlock(web.directory.by_ref()).expect("flock");
        thread::sleep(Duration::from_millis(50));
        web.start();
        log = web.log(4 << 10, 50);
        fs::remove_file(web.path.join("restarting")).expect("remove the marker");
    }
    assert!(web.path.join("log.5").exists(), "the log is rotated");
    log.append(Stream::Stdout, at(0), b"last words");
    expected.push_str("last words");
    assert!(!follower.has_ended());
    web.state("exited");
    follower.wait().ends(0);
    assert_eq!(String::from_utf8(web.shown("out")).unwrap(), expected);
    assert_eq!(web.shown("errors"), b"");
    file::unlock(web.directory.by_ref()).expect("flock");
    web.remove();
}

fn following_ends_when_the_container_is_removed(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.start();
    let mut log = web.log(1 << 20, 3);
    log.append(Stream::Stdout, at(0), b"first\n");
    let mut follower = web.follow("");
    web.eventually_shown("first\n");
    // Two files later, and at once gone.
    let follower_sees = "x".repeat(1000) + "\n";
    signal(follower.id(), "STOP");
    log.append(Stream::Stdout, at(0), follower_sees.as_bytes());
    assert!(!follower.has_ended());
    // As vial removes it: by a process that has the lock all the while.
    fs::remove_file(web.path.join("config.json")).expect("remove config.json");
    fs::remove_dir_all(&web.path).expect("remove the container's directory");
    signal(follower.id(), "CONT");
    follower.wait().ends(0);
    let shown = fs::read_to_string(scene.path("out")).expect("it was shown");
    assert_eq!(shown, format!("first\n{follower_sees}"));
    // And while the follower sleeps.
    fs::remove_file(scene.root().join("names/web")).expect("remove the name");
    let web = Web::new(scene, &[]);
    web.start();
    web.log(1 << 20, 3).append(Stream::Stdout, at(0), b"second\n");
    let follower = web.follow("");
    web.eventually_shown("second\n");
    thread::sleep(Duration::from_millis(100));
    fs::remove_file(web.path.join("config.json")).expect("remove config.json");
    fs::remove_dir_all(&web.path).expect("remove the container's directory");
    follower.wait().ends(0);
    fs::remove_file(scene.root().join("names/web")).expect("remove the name");
}

fn following_ends_when_the_owner_is_killed(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.start();
    let mut log = web.log(1 << 20, 3);
    log.append(Stream::Stdout, at(0), b"first\n");
    let follower = web.follow("");
    web.eventually_shown("first\n");
    // What the kernel does for a process that is gone: its files are closed, in some order, some time apart.
    log.append(Stream::Stdout, at(0), b"second\n");
    drop(log);
    thread::sleep(Duration::from_millis(100));
    file::unlock(web.directory.by_ref()).expect("flock");
    follower.wait().ends(0);
    assert_eq!(web.shown("out"), b"first\nsecond\n");
    web.state("exited");
    web.remove();
}

fn following_ends_at_the_time_that_was_given(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.start();
    let mut log = web.log(1 << 20, 3);
    log.append(Stream::Stdout, at(0), b"first\n");
    scene.vial(["logs", "-f", "--until", "0s", "web"]).ok().prints("first\n");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs() as i64;
    let begun = Instant::now();
    let follower = web.follow(&format!("--until {}.5", now + 2));
    web.eventually_shown("first\n");
    log.append(Stream::Stdout, at(now), b"second\n");
    log.append(Stream::Stdout, at(now + 9), b"too late\n");
    follower.wait().ends(0);
    assert!(begun.elapsed() > Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert_eq!(web.shown("out"), b"first\nsecond\n");
    web.state("exited");
    file::unlock(web.directory.by_ref()).expect("flock");
    web.remove();
}

fn following_a_container_that_has_said_nothing_yet_waits_for_it(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.state("created");
    scene.vial(["logs", "-f", "web"]).ok().prints("").silent();
    web.start();
    web.state("created");
    let mut follower = web.follow("-t");
    thread::sleep(Duration::from_millis(100));
    assert!(!follower.has_ended());
    web.log(1 << 20, 3).append(Stream::Stdout, at(0), b"at last\n");
    web.eventually_shown("1970-01-01T00:00:00.500000000Z at last\n");
    web.state("exited");
    follower.wait().ends(0);
    file::unlock(web.directory.by_ref()).expect("flock");
    web.remove();
}

fn every_call_while_following_states_its_reason(scene: &Scene) {
    let web = Web::new(scene, &[]);
    web.start();
    let mut log = web.log(4 << 10, 3);
    let (out, ledger) = (scene.path("out"), scene.path("ledger"));
    let options = format!("--explain=json --explain-to {}", ledger.display());
    let line = format!("exec {VIAL} {options} logs -f -t --since 3h web >{}", out.display());
    let follower = scene.command("sh", ["-c", &line]).start();
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs() as i64;
    for number in 0..100 {
        log.append(Stream::Stdout, at(now), format!("line {number} {}\n", "-".repeat(100)).as_bytes());
        thread::sleep(Duration::from_millis(1));
    }
    eventually("the last line", || fs::read_to_string(&out).ok().filter(|text| text.contains("line 99 ")));
    web.state("exited");
    follower.wait().ends(0);
    let text = fs::read_to_string(&ledger).expect("read the ledger");
    let told = account::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let entries = &told.processes[&told.first];
    let wait = vial::sys::number::ppoll.name();
    for call in ["inotify_init1", "inotify_add_watch", wait, "flock"] {
        assert!(entries.iter().any(|entry| entry.call == call), "{call} is missing");
    }
    for entry in entries {
        assert!(!entry.step.is_empty(), "{}", entry.line);
    }
    assert!(text.contains("IN_MODIFY|IN_CLOSE_WRITE|IN_MOVED_TO|IN_DELETE"), "{text}");
    file::unlock(web.directory.by_ref()).expect("flock");
    web.remove();
}

fn a_container_without_a_log_is_told_apart(scene: &Scene) {
    let web = Web::new(scene, &[]);
    for follow in ["-f", "-n1"] {
        let output = scene.vial(["logs", follow, "web"]).ends(125).prints("");
        output.says("container web has no log: it runs, or ran, in the foreground").says("hint: ");
    }
    web.remove();
    let web = Web::new(scene, &["--log-driver", "none"]);
    let said = scene.vial(["logs", "web"]).ends(125).prints("");
    said.says("container web has no log: its logging driver is none").says("hint: make it without --log-driver none");
    // Never started, it has nothing to say yet.
    web.remove();
    scene.vial(["logs", "web"]).ends(125).prints("").says("no such container: web");
}

fn a_full_disk_loses_what_does_not_fit_and_says_how_much(scene: &Scene) {
    let disk = scene.path("disk");
    fs::create_dir(&disk).expect("make a directory");
    let target = disk.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "size=128k", "none", &target]).ok();
    let ballast = disk.join("ballast");
    let directory = file::open(fd::CWD, file::path(&target).unwrap(), libc::O_RDONLY).expect("open the directory");
    for max_size in [32 << 10, 10 << 20] {
        let options = LogOptions { max_size, max_file: 3, ..LogOptions::default() };
        let mut log = Log::open(directory.by_ref(), &options).expect("open the log").expect("a log is kept");
        log.append(Stream::Stdout, at(1), b"before\n");
        fs::write(&ballast, vec![b'#'; 1 << 20]).expect_err("the disk is full then");
        let mut lost = 0;
        for number in 0..3000 {
            let line = format!("line {number}\n");
            lost += line.len();
            log.append(if number % 2 == 0 { Stream::Stdout } else { Stream::Stderr }, at(2), line.as_bytes());
        }
        fs::remove_file(&ballast).expect("remove the ballast");
        log.append(Stream::Stdout, at(3), b"after\n");
        log.append(Stream::Stdout, at(4), b"and on\n");
        let text: String =
            ["log.2", "log.1", "log"].map(|name| fs::read_to_string(disk.join(name)).unwrap_or_default()).concat();
        // What fitted is whole.
        let kept: usize = text.lines().filter(|line| line.contains(" F line ")).map(|line| line.len() + 1 - 40).sum();
        // Some notes fit while the disk is full; together they tell of every byte once.
        let notes = text.lines().filter_map(|line| line.split_once(" system F vial: "));
        let numbers = notes.map(|(_, note)| {
            let end = " bytes of the log are lost: ENOSPC (No space left on device)";
            note.strip_suffix(end).and_then(|number| number.parse::<usize>().ok()).expect("a note")
        });
        assert!(lost > kept && numbers.sum::<usize>() == lost - kept, "{} bytes are lost: {text}", lost - kept);
        assert!(text.contains(" F before\n"));
        assert!(text.ends_with("stdout F and on\n") && text.contains("device)\n1970-01-01T00:00:03"), "{text}");
        assert!(text.lines().all(|line| line.get(29..31) == Some("Z ")), "no entry is cut");
        assert_eq!(fs::metadata(disk.join("log")).expect("there is a log").mode() & 0o777, 0o600);
        for name in ["log", "log.1", "log.2"] {
            let _ = fs::remove_file(disk.join(name));
        }
    }
    drop(directory);
    scene.command("umount", [&target]).ok();
}

/// `vial run -d` of a shell script, as `web`.
fn background(scene: &Scene, options: &[&str], script: &str) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "-d", "--name", "web"]).args(options).args([&rootfs, "sh", "-c", script]).ok();
}

/// `vial logs` with these options, in the background, into files.
fn follow<'a>(scene: &'a Scene, options: &str) -> Running<'a> {
    scene.command("sh", ["-c", &format!("exec {VIAL} logs -f {options} web >out 2>errors")]).start()
}

/// Waits until standard output was shown to end so.
fn ends(scene: &Scene, text: &str) {
    eventually(text, || fs::read_to_string(scene.path("out")).ok().filter(|out| out.ends_with(text)));
}

fn what_a_container_in_the_background_prints_is_kept_byte_for_byte(scene: &Scene) {
    let script = "printf 'one\\n\\n\\r\\n\\0\\377'; echo words >&2; cat /bin/busybox; printf 'no end' >&2";
    background(scene, &[], script);
    scene.vial(["wait", "web"]).ok().prints("0\n");
    scene.command("sh", ["-c", &format!("exec {VIAL} logs web >out 2>errors")]).ok();
    let program = fs::read(scene.rootfs().join("bin/busybox")).expect("read busybox");
    let expected = [b"one\n\n\r\n\0\xff", program.as_slice()].concat();
    assert!(fs::read(scene.path("out")).expect("it was shown") == expected);
    assert_eq!(fs::read_to_string(scene.path("errors")).expect("it was shown"), "words\nno end");
    scene.vial(["rm", "web"]).ok();
    // A terminal has one stream.
    background(scene, &["-t"], "echo out; echo words >&2");
    scene.vial(["wait", "web"]).ok();
    scene.vial(["logs", "web"]).ok().prints("out\r\nwords\r\n").silent();
    scene.vial(["rm", "web"]).ok();
    background(scene, &["--log-driver=none"], "echo out");
    scene.vial(["logs", "web"]).ends(125).says("its logging driver is none");
    scene.vial(["rm", "-f", "web"]).ok();
}

fn following_goes_on_over_restarts_and_ends_with_the_container(scene: &Scene) {
    let script = "trap 'echo bye; exit' TERM; seq 300; echo ready; while :; do sleep 0.02; done";
    background(scene, &["--log-opt", "max-size=4k", "--log-opt", "max-file=90"], script);
    let follower = follow(scene, "");
    let numbers: String = (1..=300).map(|number| format!("{number}\n")).collect();
    let mut expected = format!("{numbers}ready\n");
    ends(scene, &expected);
    for _ in 0..3 {
        scene.vial(["restart", "web"]).ok();
        expected = format!("{expected}bye\n{numbers}ready\n");
        ends(scene, &expected);
    }
    scene.vial(["stop", "web"]).ok();
    follower.wait().ends(0);
    expected.push_str("bye\n");
    assert_eq!(fs::read_to_string(scene.path("out")).expect("it was shown"), expected);
    assert_eq!(fs::read_to_string(scene.path("errors")).expect("it was shown"), "");
    scene.vial(["logs", "web"]).ok().prints(&expected).silent();
    scene.vial(["rm", "web"]).ok();
    // Those of a policy too.
    background(scene, &["--restart", "on-failure:2"], "sleep 0.3; echo failed; exit 1");
    follow(scene, "").wait().ends(0);
    assert_eq!(fs::read_to_string(scene.path("out")).expect("it was shown"), "failed\n".repeat(3));
    scene.vial(["rm", "web"]).ok();
}

fn following_shows_all_that_a_container_that_goes_has_printed(scene: &Scene) {
    let share = format!("{}:/mnt", scene.directory().display());
    for script in ["seq 2000; exit 3", "seq 2000; kill -9 $$"] {
        let script = format!("while [ ! -e /mnt/go ]; do sleep 0.02; done; {script}");
        background(scene, &["--rm", "-v", &share], &script);
        let follower = follow(scene, "");
        // It has the log open before there is anything to lose.
        let opened = || {
            let files = fs::read_dir(format!("/proc/{}/fd", follower.id())).into_iter().flatten().flatten();
            files.filter_map(|file| fs::read_link(file.path()).ok()).any(|path| path.ends_with("log")).then_some(())
        };
        eventually("the log is open", opened);
        fs::write(scene.path("go"), "").expect("write a file");
        follower.wait().ends(0);
        let expected: String = (1..=2000).map(|number| format!("{number}\n")).collect();
        assert!(fs::read_to_string(scene.path("out")).expect("it was shown") == expected);
        scene.assert_nothing_left();
        fs::remove_file(scene.path("go")).expect("remove a file");
    }
}

fn following_goes_on_when_the_monitor_is_killed(scene: &Scene) {
    let share = format!("{}:/mnt", scene.directory().display());
    let script = "echo first; while [ ! -e /mnt/go ]; do sleep 0.02; done; echo second; exit 4";
    background(scene, &["-v", &share], script);
    let follower = follow(scene, "");
    ends(scene, "first\n");
    let state = crate::util::container::states(scene).remove(0).1;
    signal(state["owner"].as_u64().expect("it has an owner") as u32, "KILL");
    eventually("another monitor is there", || {
        let now = crate::util::container::states(scene).remove(0).1;
        (now["owner"] != state["owner"]).then_some(())
    });
    fs::write(scene.path("go"), "").expect("write a file");
    follower.wait().ends(0);
    assert_eq!(fs::read_to_string(scene.path("out")).expect("it was shown"), "first\nsecond\n");
    scene.vial(["rm", "web"]).ok();
}

fn the_options_are_written_down(scene: &Scene) {
    let config = |web: &Web<'_>| -> Value {
        serde_json::from_slice(&fs::read(web.path.join("config.json")).expect("read config.json")).expect("it is JSON")
    };
    let web = Web::new(scene, &["--log-driver=local", "--log-opt", "max-size=1m", "--log-opt", "max-file=5"]);
    let read = config(&web);
    let annotations = &read["annotations"];
    assert_eq!(annotations["vial.log.driver"], "local");
    assert_eq!((&annotations["vial.log.maxSize"], &annotations["vial.log.maxFile"]), (&json!("1048576"), &json!("5")));
    let parsed = vial::base::json::parse(&fs::read(web.path.join("config.json")).unwrap()).expect("it is JSON");
    let expected = LogOptions { driver: "local", max_size: 1 << 20, max_file: 5 };
    assert_eq!(LogOptions::from_annotations(&parsed), expected);
    web.remove();
    let web = Web::new(scene, &[]);
    assert!(!config(&web)["annotations"].as_object().expect("an object").keys().any(|key| key.contains("log")));
    web.remove();
}
