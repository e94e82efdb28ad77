//! Containers on a bridge with a published port: from start to exit beside podman, the netlink datagrams that it takes, and what
//! a start costs when many are there. All of it in a network namespace of the bench's own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio, id};
use std::thread;
use std::time::Duration;

use super::VIAL;
use super::measure::{command, installed, median_and_least, time, version};
use super::peers::make_rootfs;
use super::podman::Podman;
use super::report::{Report, Table, compare, milliseconds};

/// How many starts there are of each kind when many containers are there, and how many those are; in the end as few as at first,
/// which shows how much the machine itself has changed.
const SOME: usize = 30;
const PRESENT: [(usize, &str); 4] = [(1, ""), (100, ""), (500, ""), (1, " again")];
/// How long new containers are left alone: their kernels look for others with the same address, and tell routers of theirs.
const SETTLE: Duration = Duration::from_secs(10);
/// And how long each one's network namespace has to go, which the kernel takes apart when it has time.
const PAUSE: Duration = Duration::from_millis(100);

/// A network namespace, which goes with this.
struct Namespace(String);

impl Namespace {
    fn new() -> Namespace {
        let name = format!("vial-bench-{}", id());
        run(&["ip", "netns", "add", &name]);
        run(&["ip", "-n", &name, "link", "set", "lo", "up"]);
        Namespace(name)
    }

    /// A command line in there; `ip netns exec` would make other mounts too.
    fn line(&self, words: &[&str]) -> Vec<String> {
        let enter = ["nsenter".to_owned(), format!("--net=/run/netns/{}", self.0)];
        enter.into_iter().chain(words.iter().map(ToString::to_string)).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

fn run(words: &[&str]) {
    time(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// Measures everything and prints tables.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    if !installed("ip") || !installed("nsenter") {
        report.note("network: left out, needs iproute2 and nsenter");
        return;
    }
    let (root, state) = (directory.join("rootfs").display().to_string(), directory.join("vial").display().to_string());
    make_rootfs(Path::new(&root)).expect("make a root file system");
    let host = Namespace::new();
    let vial = |words: &[&str]| host.line(&[&[VIAL, "--root", &state], words].concat());
    let once = |options: &[&str]| vial(&[&["run", "--rm"], options, &[&root, "/bin/true"]].concat());
    let published = once(&["--network", "bridge", "-p", "18080:80"]);
    let mut lines = vec![
        ("vial, bridge and -p".to_owned(), published.clone()),
        ("vial, bridge".to_owned(), once(&["--network", "bridge"])),
        ("vial, --network none".to_owned(), once(&["--network", "none"])),
    ];
    let podman = Podman::new(directory);
    if let Some(podman) = &podman {
        // It makes no bridge for a directory.
        let archive = directory.join("busybox.tar").display().to_string();
        run(&["tar", "-C", &root, "-cf", &archive, "."]);
        time(&podman.line(&["import", "-q", &archive, "busybox"]));
        let line = podman.image(&["--rm", "--network", "bridge", "-p", "18081:80"], "busybox", &["/bin/true"]);
        lines.push((version("podman"), host.line(&line.iter().map(String::as_str).collect::<Vec<_>>())));
    }
    let title = format!(
        "Start to exit of /bin/true on a bridge, with one published port where that is said; {rounds} rounds in turn."
    );
    compare(report, title, lines, rounds);
    if let Some([before, after]) = datagrams(directory, &published) {
        report.note(format!(
            "Netlink datagrams to the kernel, of all of vial's processes: {before} until the workload runs, {after} after."
        ));
    }
    many(report, &vial, &root, &published);
}

/// Datagrams before and after the workload is executed.
fn datagrams(directory: &Path, line: &[String]) -> Option<[usize; 2]> {
    if !installed("strace") {
        return None;
    }
    let file = directory.join("datagrams");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-s", "64", "-e", "trace=sendto,sendmsg,execve", "-o"]).arg(&file).args(line);
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "vial under strace");
    let trace = fs::read_to_string(file).expect("read the trace");
    let (before, after) = trace.split_once("execve(\"/bin/true\"")?;
    let count = |part: &str| part.lines().filter(|line| line.contains("nlmsg_len=") && line.contains("send")).count();
    Some([count(before), count(after)])
}

/// Starts more and more containers with published ports, and sees what a further one costs.
fn many(report: &mut Report, vial: &dyn Fn(&[&str]) -> Vec<String>, root: &str, published: &[String]) {
    let title = format!(
        "Start to exit of one more when so many are on the bridge, each with a published port of its own; medians of {SOME}."
    );
    let mut table = Table::new(title, &["median ms", "least ms"]);
    let mut there: Vec<String> = Vec::new();
    for (present, note) in PRESENT {
        while there.len() < present {
            let port = format!("{}:80", 20_000 + there.len());
            let words = ["run", "-d", "--network", "bridge", "-p", &port, root, "/bin/sleep", "86400"];
            let output = command(&vial(&words)).stdout(Stdio::piped()).output().expect("run vial");
            there.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let gone: Vec<&str> = there.iter().skip(present).map(String::as_str).collect();
        if !gone.is_empty() {
            time(&vial(&[&["rm", "-f"][..], &gone].concat()));
        }
        there.truncate(present);
        thread::sleep(SETTLE);
        let once = || {
            thread::sleep(PAUSE);
            time(published)
        };
        let (median, least) = median_and_least((0..SOME).map(|_| once()).collect::<Vec<Duration>>());
        table.row(format!("{present}{note}"), vec![milliseconds(median), milliseconds(least)]);
    }
    report.add(&table);
    time(&vial(&["rm", "-f", &there[0]]));
}
