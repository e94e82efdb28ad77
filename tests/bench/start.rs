//! From start to exit of `/bin/true`, beside others; what it takes in memory, system calls and files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::measure::{in_turn, installed, median_and_least, peak_memory};
use super::peers::{Kind, Peer, all, make_rootfs};
use super::report::{Report, Table, compare, count};
use super::strace;

/// What runs in the container.
const WORKLOAD: &[&str] = &["/bin/true"];

/// Measures everything.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    make_rootfs(&directory.join("rootfs")).expect("make a root file system");
    let peers = all(directory);
    for (kind, words) in [
        (Kind::HostNetwork, "with the host's network"),
        (Kind::NoNetwork, "with a network namespace of its own"),
        (Kind::Limited, "with that, limits on memory, processes and processor time, and a filter of system calls"),
    ] {
        let rows = peers.iter().filter_map(|peer| Some((peer.name, peer.line(kind, WORKLOAD)?)));
        let title = format!("Start to exit of {} on a busybox root, {words}, {rounds} rounds in turn.", WORKLOAD[0]);
        compare(report, title, rows.collect(), rounds);
    }
    let title = "What it takes: peak memory of the tool's own process; system calls of the tool's processes until the workload runs, \
        and after (with a network namespace); the program's file, alone and with all that it links, and for podman and containerd \
        without the other programs that they start";
    let mut table = Table::new(title, &["peak KiB", "calls", "file KiB", "with libraries KiB"]);
    for peer in &peers {
        let sleep = peer.line(Kind::NoNetwork, &["/bin/sleep", "0.2"]).expect("all can do this");
        let memory = peak_memory(&sleep, false);
        let calls = if peer.is_alone { calls(peer, directory) } else { None };
        let kib = |bytes: u64| count(Some(bytes / 1024));
        let own = fs::metadata(&peer.program).map_or(0, |metadata| metadata.len());
        table.row(peer.name, vec![count(Some(memory)), count(calls), kib(own), kib(own + libraries(&peer.program))]);
    }
    report.add(&table);
    let versions = peers.iter().filter(|peer| !peer.version.is_empty());
    report.note(versions.map(|peer| format!("{}: {}", peer.name, peer.version)).collect::<Vec<_>>().join("\n"));
}

/// What [`check`] allows: so much of what crun takes.
const MOST: f64 = 0.6;
/// How often that is tried: the kernel has crun wait for half of its time, or not, as it is busy.
const ATTEMPTS: usize = 3;

/// Says so when vial has become slow: a start takes more than a part of crun's in the same minute.
pub fn check(report: &mut Report, directory: &Path, rounds: usize) {
    make_rootfs(&directory.join("rootfs")).expect("make a root file system");
    let peers = all(directory);
    let line = |name| peers.iter().find(|peer| peer.name == name)?.line(Kind::NoNetwork, WORKLOAD);
    let (Some(own), Some(other)) = (line("vial run"), line("crun run")) else {
        report.fail("crun is not installed");
        return;
    };
    let lines = [own, other];
    let mut least = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        let times = in_turn(&lines, rounds);
        let [own, other] = [0, 1].map(|which: usize| median_and_least(times[which].clone()).0.as_secs_f64());
        report.note(format!(
            "vial run: {:.2} ms; crun run: {:.2} ms; ratio {:.2}",
            1e3 * own,
            1e3 * other,
            own / other
        ));
        least = least.min(own / other);
        if least <= MOST {
            return;
        }
    }
    report.fail(format!("`vial run` takes {least:.2} of what `crun run` does, at most {MOST}"));
}

/// All calls of the tool's processes: what a process does after it has executed the workload is not the tool's.
fn calls(peer: &Peer, directory: &Path) -> Option<u64> {
    if !installed("strace") {
        return None;
    }
    let file = directory.join("trace");
    let mut command = Command::new("strace");
    command.args(strace::OPTIONS).arg("-o").arg(&file).args(peer.line(Kind::NoNetwork, WORKLOAD)?);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{} under strace", peer.name);
    let trace = strace::parse(&fs::read_to_string(file).expect("read the trace")).expect("a trace that is understood");
    let workload = format!("\"{}\"", WORKLOAD[0]);
    let own = trace.processes.values().map(|calls| {
        let executed = calls.iter().position(|call| call.executed() && call.line.contains(&workload));
        executed.map_or(calls.len(), |at| at + 1) as u64
    });
    Some(own.sum())
}

/// How long the libraries are that a program links, ldd(1).
fn libraries(program: &Path) -> u64 {
    let output = Command::new("ldd").arg(program).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}
