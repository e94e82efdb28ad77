//! What it costs to have a workload's calls recorded: vial by a program of the kernel's and by notification, strace, perf trace.

use std::path::Path;
use std::time::Duration;

use super::VIAL;
use super::measure::{installed, median_and_least, milliseconds, time};

/// Workloads: the first does nothing but calls that take the kernel no time, the second works.
const WORKLOADS: [(&str, &str); 2] = [
    ("`dd` of 300,000 bytes, one by one", "exec dd if=/dev/zero of=/dev/null bs=1 count=300000 status=none"),
    ("`tar` of `/usr/lib/python3*` through `gzip`", "tar c /usr/lib/python3* 2>/dev/null | gzip -1 >/dev/null"),
];

/// Runs each in turn.
pub fn bench(directory: &Path, rounds: usize) {
    let root = directory.join("vial").display().to_string();
    let report = directory.join("report").display().to_string();
    let vial = |words: &[&str], script: &str| -> Vec<String> {
        let words = [&[VIAL, "--root", &root], words, &["--rm", "--network", "none"]].concat();
        let words = words.into_iter().map(str::to_owned);
        words.chain(["host", "sh", "-c", script].map(str::to_owned)).collect()
    };
    println!("A container of the host's root whose calls are recorded; medians of {rounds}, from start to exit.\n");
    for (name, script) in WORKLOADS {
        let audit = |way: &[&str]| vial(&[&["audit", "--report", &report], way].concat(), script);
        let mut rows = vec![
            ("vial run: nothing is recorded", vial(&["run"], script)),
            ("vial audit --only-calls", audit(&["--with", "ebpf", "--only-calls"])),
            ("vial audit, with files, addresses and rights", audit(&["--with", "ebpf"])),
            ("vial audit --with notify", audit(&["--with", "notify"])),
        ];
        if installed("strace") {
            let script = format!("exec strace -f -c -o /dev/null sh -c '{script}'");
            rows.push(("vial run, and `strace -f -c` in it", vial(&["run", "--cap-add", "SYS_PTRACE"], &script)));
        }
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
        for _ in 0..rounds {
            for ((_, words), times) in rows.iter().zip(&mut times) {
                times.push(time(words));
            }
        }
        println!("{name}:\n\n| | ms | least | of the first |\n|---|---:|---:|---:|");
        let medians: Vec<(Duration, Duration)> = times.into_iter().map(median_and_least).collect();
        for ((name, _), (median, least)) in rows.iter().zip(&medians) {
            let ratio = median.as_secs_f64() / medians[0].0.as_secs_f64();
            println!("| {name} | {} | {} | {ratio:.2} |", milliseconds(*median), milliseconds(*least));
        }
        println!();
    }
}
