//! Time, memory, and what the machine is.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Whether the effective user is root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Whether a program is in `PATH`.
pub fn installed(name: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|directory| directory.join(name).is_file())
}

/// Processor, number of cores, kernel, distribution.
pub fn machine() -> String {
    let field = |path: &str, name: &str, separator: char| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(separator).map_or(String::new(), |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name", ':');
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = field("/etc/os-release", "PRETTY_NAME", '=');
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{processor}, {cores} cores, Linux {}, {system}", kernel.trim())
}

/// A program's version, by its first line.
pub fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// A command that reads and writes nothing.
pub fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    // systemd-nspawn tells of what is not its business.
    command.env("SYSTEMD_LOG_LEVEL", "emerg");
    command
}

/// Whether a command succeeds; nobody reads what it says.
pub fn run(words: &[String]) -> bool {
    command(words).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// From start to exit; the command must succeed.
pub fn time(words: &[String]) -> Duration {
    let mut command = command(words);
    let begun = Instant::now();
    let status = command.status();
    let taken = begun.elapsed();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{}: {status:?}", words.join(" "));
    taken
}

/// The times of each command, which take turns so often, each time with another one first, since some leave work to whoever comes next;
/// before that each runs once, and finds cold caches.
pub fn in_turn(lines: &[Vec<String>], rounds: usize) -> Vec<Vec<Duration>> {
    for line in lines {
        time(line);
    }
    let mut times = vec![Vec::with_capacity(rounds); lines.len()];
    for turn in (0..rounds).flat_map(|round| (0..lines.len()).map(move |at| round + at)) {
        let which = turn % lines.len();
        times[which].push(time(&lines[which]));
    }
    times
}

/// The peak of resident memory in KiB of a command that lasts a while, or with `all` the largest among its processes.
///
/// Read from `VmHWM` (`proc_pid_status(5)`) until the end, and not from `ru_maxrss`: in a child that was started by vfork(2)
/// that one begins with the memory of the process that started it.
pub fn peak_memory(words: &[String], all: bool) -> u64 {
    let mut child: Child = command(words).spawn().expect("start a command");
    let mut peaks = HashMap::new();
    loop {
        let mut pids = vec![child.id().to_string()];
        while let Some(pid) = pids.pop() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter(|_| all).map(str::to_owned));
            // The first reading may still be of the program that is about to be replaced; the last counts, for it only grows.
            if let Some(now) = line.and_then(|line| line.split_whitespace().next()?.parse().ok()) {
                peaks.insert(pid, now);
            }
        }
        if let Some(status) = child.try_wait().expect("wait for a child") {
            assert!(status.success(), "{}: {status}", words.join(" "));
            return peaks.into_values().max().unwrap_or_default();
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// The median of one line of processes' `smaps_rollup`, `proc_pid_smaps(5)`, in KiB.
pub fn memory(pids: &[u64], line: &str) -> u64 {
    let size = |pid: &u64| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        text.lines().find_map(|found| found.strip_prefix(line))?.split_whitespace().next()?.parse().ok()
    };
    let mut sizes: Vec<u64> = pids.iter().filter_map(size).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or_default()
}

/// The one in the middle, and the least.
pub fn median_and_least(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[0])
}

/// Removes a directory with everything in it on the same file system.
pub fn remove(directory: &Path) {
    let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(directory).status();
}
