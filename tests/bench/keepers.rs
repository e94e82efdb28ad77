//! What podman and containerd keep beside each container in vial's monitor's place, and how much memory that takes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::measure::{command, installed, memory, remove};

/// So many containers of each are looked at.
const COUNT: usize = 3;

/// The name, and the median of the anonymous memory and of the proportional share, in KiB.
pub type Row = (&'static str, u64, u64);

/// All that are installed.
pub fn measured(directory: &Path, root: &str) -> Vec<Row> {
    let rows = [conmon(&directory.join("podman"), root), shim(&directory.join("containerd"), root)];
    rows.into_iter().flatten().collect()
}

fn run(words: &[&str]) -> bool {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    command(&words).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
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
    if !installed("podman") || !installed("conmon") || !installed("crun") {
        return None;
    }
    let at = |name: &str| directory.join(name).display().to_string();
    // podman takes no long path for what is not to outlive a boot.
    let run_root = format!("/run/vial-bench-{}", std::process::id());
    let (own, temporary) = (at("root"), at("tmp"));
    let fixed = ["podman", "--root", &own, "--runroot", &run_root, "--tmpdir", &temporary, "--storage-driver", "vfs"];
    let podman =
        |words: &[&str]| run(&[&fixed, &["--cgroup-manager", "cgroupfs", "--runtime", "crun"][..], words].concat());
    // Its own limits are higher than root's are in some machines.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    for _ in 0..COUNT {
        podman(
            &[&["run", "-d", "--network", "none"], &limits[..], &["--rootfs", root, "/bin/sleep", "86400"]].concat(),
        );
    }
    let row = row("conmon (podman)", &find("conmon", &own));
    podman(&["rm", "-f", "-a", "-t", "0"]);
    remove(Path::new(&run_root));
    row
}

fn shim(directory: &Path, root: &str) -> Option<Row> {
    if !installed("containerd") || !installed("containerd-shim-runc-v2") || !installed("ctr") || !installed("runc") {
        return None;
    }
    fs::create_dir_all(directory).expect("make a directory");
    let at = |name: &str| directory.join(name).display().to_string();
    let (socket, config) = (at("socket"), at("config.toml"));
    let text = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n",
        at("root"),
        at("state")
    );
    fs::write(&config, text).expect("write a configuration");
    let mut daemon = Command::new("containerd");
    daemon.args(["-c", &config]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = daemon.spawn().expect("start containerd");
    let ctr = |words: &[&str]| run(&[&["ctr", "-a", &socket][..], words].concat());
    for _ in 0..100 {
        if ctr(&["version"]) {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    let names: Vec<String> = (0..COUNT).map(|number| format!("bench{number}")).collect();
    for name in &names {
        ctr(&["run", "-d", "--rootfs", root, name, "/bin/sleep", "86400"]);
    }
    let row = row("containerd-shim-runc-v2", &find("containerd-shim-runc-v2", &socket));
    for name in &names {
        ctr(&["task", "kill", "-s", "9", name]);
        ctr(&["task", "rm", "-f", name]);
        ctr(&["container", "rm", name]);
    }
    let _ = daemon.kill();
    let _ = daemon.wait();
    row
}
