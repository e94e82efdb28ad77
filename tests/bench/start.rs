//! From start to exit of `/bin/true`, the tool's peak memory, and the system calls it takes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::measure::{installed, median_and_least, milliseconds, peak_memory, time};
use super::peers::{Peer, all, make_rootfs};
use super::strace;

/// What runs in the container.
const WORKLOAD: &[&str] = &["/bin/true"];

/// Measures everything and prints a table.
pub fn bench(directory: &Path, rounds: usize) {
    make_rootfs(&directory.join("rootfs")).expect("make a root file system");
    let peers = all();
    let lines: Vec<_> = peers.iter().map(|peer| peer.line(directory, WORKLOAD)).collect();
    // The first ones find cold caches.
    for line in &lines {
        time(line);
    }
    let mut times = vec![Vec::with_capacity(rounds); peers.len()];
    for _ in 0..rounds {
        for (line, times) in lines.iter().zip(&mut times) {
            times.push(time(line));
        }
    }
    println!("Start to exit of {} on a busybox root, {rounds} rounds in turn;", WORKLOAD[0]);
    println!(
        "namespaces for mounts, UTS, IPC, PIDs, network and control groups; peak memory of the tool's own process;"
    );
    println!("system calls of the tool's processes until the workload runs, and after.\n");
    println!("| tool | median ms | least ms | times vial | peak KiB | calls |");
    println!("|---|---:|---:|---:|---:|---:|");
    let base = median_and_least(times[0].clone()).0;
    for (peer, times) in peers.iter().zip(times) {
        let (median, least) = median_and_least(times);
        let ratio = median.as_secs_f64() / base.as_secs_f64();
        let memory = peak_memory(&peer.line(directory, &["/bin/sleep", "0.2"]), false);
        let calls = calls(peer, directory).map_or("-".to_owned(), |calls| calls.to_string());
        let (median, least) = (milliseconds(median), milliseconds(least));
        println!("| {} | {median} | {least} | {ratio:.2} | {memory} | {calls} |", peer.name);
    }
    println!();
    for peer in &peers {
        println!("{}: {}", peer.name, peer.version);
    }
    println!();
}

/// All calls of the tool's processes: what a process does after it has executed the workload is not the tool's.
fn calls(peer: &Peer, directory: &Path) -> Option<usize> {
    if !installed("strace") {
        return None;
    }
    let file = directory.join("trace");
    let mut command = Command::new("strace");
    command.args(strace::OPTIONS).arg("-o").arg(&file).args(peer.line(directory, WORKLOAD));
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{} under strace", peer.name);
    let trace = strace::parse(&fs::read_to_string(file).expect("read the trace")).expect("a trace that is understood");
    let workload = format!("\"{}\"", WORKLOAD[0]);
    let own = trace.processes.values().map(|calls| {
        let executed = calls.iter().position(|call| call.executed() && call.line.contains(&workload));
        executed.map_or(calls.len(), |at| at + 1)
    });
    Some(own.sum())
}
