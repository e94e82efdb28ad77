//! What it costs to have a workload's calls recorded: vial by a program of the kernel's and by notification, strace, perf trace.

use std::path::Path;

use super::VIAL;
use super::measure::installed;
use super::report::{Report, compare};

/// Workloads: the first does nothing but calls that take the kernel no time, the second works.
const WORKLOADS: [(&str, &str); 2] = [
    ("`dd` of 300,000 bytes, one by one", "exec dd if=/dev/zero of=/dev/null bs=1 count=300000 status=none"),
    ("`tar` of `/usr/lib/python3*` through `gzip`", "tar c /usr/lib/python3* 2>/dev/null | gzip -1 >/dev/null"),
];

/// Runs each in turn.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    let root = directory.join("vial").display().to_string();
    let file = directory.join("report").display().to_string();
    let vial = |words: &[&str], script: &str| -> Vec<String> {
        let words = [&[VIAL, "--root", &root], words, &["--rm", "--network", "none"]].concat();
        let words = words.into_iter().map(str::to_owned);
        words.chain(["host", "sh", "-c", script].map(str::to_owned)).collect()
    };
    for (name, script) in WORKLOADS {
        let audit = |way: &[&str]| vial(&[&["audit", "--report", &file], way].concat(), script);
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
        let title = format!(
            "Start to exit of a container of the host's root whose calls are recorded, {rounds} rounds in turn: {name}."
        );
        compare(report, title, rows, rounds);
    }
}
