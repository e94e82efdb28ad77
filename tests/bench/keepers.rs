//! What podman and containerd keep beside each container in vial's monitor's place, and how much memory that takes.

use std::fs;
use std::path::Path;

use super::containerd::Containerd;
use super::measure::{memory, run};
use super::podman::Podman;

/// So many containers of each are looked at.
const COUNT: usize = 3;

/// The name, and the median of the anonymous memory and of the proportional share, in KiB.
pub type Row = (&'static str, u64, u64);

/// All that are installed.
pub fn measured(directory: &Path, root: &str) -> Vec<Row> {
    let rows = [conmon(directory, root), shim(&directory.join("containerd"), root)];
    rows.into_iter().flatten().collect()
}

/// The processes of this name that have a word on their command lines.
fn find(name: &str, word: &str) -> Vec<u64> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u64| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.split('\0').next().is_some_and(|program| program.ends_with(name)) && line.contains(word)
    };
    pids.filter(is_it).collect()
}

fn row(name: &'static str, pids: &[u64]) -> Option<Row> {
    (!pids.is_empty()).then(|| (name, memory(pids, "Anonymous:"), memory(pids, "Pss:")))
}

fn conmon(directory: &Path, root: &str) -> Option<Row> {
    let podman = Podman::new(directory)?;
    for _ in 0..COUNT {
        run(&podman.run(&["-d", "--network", "none"], root, &["/bin/sleep", "86400"]));
    }
    row("conmon (podman)", &find("conmon", &directory.display().to_string()))
}

fn shim(directory: &Path, root: &str) -> Option<Row> {
    let daemon = Containerd::start(directory)?;
    let names: Vec<String> = (0..COUNT).map(|number| format!("bench{number}")).collect();
    for name in &names {
        run(&daemon.line(&["run", "-d", "--rootfs", root, name, "/bin/sleep", "86400"]));
    }
    let row = row("containerd-shim-runc-v2", &find("containerd-shim-runc-v2", &daemon.socket));
    for name in &names {
        run(&daemon.line(&["task", "kill", "-s", "9", name]));
        run(&daemon.line(&["task", "rm", "-f", name]));
        run(&daemon.line(&["container", "rm", name]));
    }
    row
}
