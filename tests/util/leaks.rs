//! What a test left behind: mounts, processes, state, control groups, loop devices.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

/// A process that belongs to a scene.
pub struct Process {
    /// Its ID.
    pub id: u32,
    /// Its command line.
    pub line: String,
}

/// Everything below a scene's directory that should have gone, a line each.
pub fn below(directory: &Path) -> Vec<String> {
    let mounts = mounts(directory).into_iter().map(|target| format!("mount {target}"));
    let processes = processes(directory).into_iter().map(|process| format!("process {} {}", process.id, process.line));
    let state = state(&directory.join("root")).into_iter().map(|path| format!("state {}", path.display()));
    let loops = loop_devices(directory).into_iter().map(|name| format!("loop device {name}"));
    mounts.chain(processes).chain(state).chain(loops).collect()
}

/// Loop devices that are bound to a file in the directory, by name.
pub fn loop_devices(directory: &Path) -> Vec<String> {
    let is_ours = |path: &PathBuf| {
        fs::read(path.join("loop/backing_file"))
            .is_ok_and(|file| contains_path(&file, directory.as_os_str().as_bytes()))
    };
    entries(Path::new("/sys/block"))
        .iter()
        .filter(|path| is_ours(path))
        .map(|path| path.display().to_string())
        .collect()
}

/// Mounts in this namespace whose target, source or options name the directory, outermost first: their targets.
pub fn mounts(directory: &Path) -> Vec<String> {
    let needle = directory.to_string_lossy();
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lines = all.lines().filter(|line| contains_path(line.as_bytes(), needle.as_bytes()));
    lines.filter_map(|line| line.split(' ').nth(4).map(unescape)).collect()
}

/// Blanks and the like are octal in mountinfo (`proc_pid_mountinfo(5)`).
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (octal, plain)| text.replace(octal, plain))
}

/// Processes that have the directory in their environment or command line, that work in it, or whose mounts come from it, and
/// containers' monitors, which only have files open there.
pub fn processes(directory: &Path) -> Vec<Process> {
    let needle = directory.as_os_str().as_bytes();
    let own_mounts = fs::read_link("/proc/self/ns/mnt").ok();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let path = entry.path();
        if id == process::id() || is_zombie(&path) {
            continue;
        }
        let mentions = |file: &str| fs::read(path.join(file)).is_ok_and(|bytes| contains_path(&bytes, needle));
        let stands = |link: &str| fs::read_link(path.join(link)).is_ok_and(|target| target.starts_with(directory));
        let stays = || {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            let open = || fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
            (line.starts_with(b"vial-monitor") || line.starts_with(b"vial-keeper"))
                && open().any(|file| fs::read_link(file.path()).is_ok_and(|target| target.starts_with(directory)))
        };
        let contained = || fs::read_link(path.join("ns/mnt")).ok() != own_mounts && mentions("mountinfo");
        if mentions("environ")
            || mentions("cmdline")
            || stands("cwd")
            || stands("root")
            || stands("exe")
            || contained()
            || stays()
        {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            found.push(Process { id, line: String::from_utf8_lossy(&line).replace('\0', " ") });
        }
    }
    found
}

fn is_zombie(path: &Path) -> bool {
    let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_name, rest)| rest.starts_with(['Z', 'X']))
}

/// Whether the path occurs, not as the beginning of a longer name.
fn contains_path(bytes: &[u8], path: &[u8]) -> bool {
    bytes.windows(path.len()).enumerate().any(|(at, window)| {
        let next = bytes.get(at + path.len());
        window == path && next.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-' && *byte != b'_')
    })
}

/// Containers that still exist, and anything in the run state but empty files (locks) and directories.
fn state(root: &Path) -> Vec<PathBuf> {
    let mut left = entries(&root.join("containers"));
    let mut run = vec![root.join("run")];
    while let Some(directory) = run.pop() {
        for path in entries(&directory) {
            match fs::symlink_metadata(&path) {
                Ok(data) if data.is_dir() => run.push(path),
                Ok(data) if data.is_file() && data.len() == 0 => {}
                _ => left.push(path),
            }
        }
    }
    left
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// What the names of a test run's own directories and control groups begin with; its process number follows.
pub const MARK: &str = "vial-test-";

/// The control groups that exist of vial's containers, those above them, and those of test runs.
pub fn control_groups() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut todo = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((directory, depth)) = todo.pop() {
        for path in entries(&directory) {
            if !path.is_dir() || path.is_symlink() {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(MARK) || name == "vial" || directory.file_name().is_some_and(|name| name == "vial") {
                found.insert(path.clone());
            }
            if depth < 5 {
                todo.push((path, depth + 1));
            }
        }
    }
    found
}

/// The control groups of this path and below, in every hierarchy, outermost first.
pub fn control_groups_below(path: &str) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = entries(top).into_iter().filter(|path| !path.is_symlink()).chain([top.to_owned()]);
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = hierarchies.map(|place| place.join(path.trim_start_matches('/'))).collect();
    while let Some(directory) = todo.pop() {
        if directory.is_dir() {
            todo.extend(entries(&directory).into_iter().filter(|path| path.is_dir()));
            found.push(directory);
        }
    }
    found
}

/// The control groups that were made since then, are empty, and do not go away. Those with processes in them belong to other
/// containers of this machine; a test's own process that stays is found by [`processes`].
pub fn new_control_groups(before: &BTreeSet<PathBuf>) -> Vec<String> {
    let ends = Instant::now() + Duration::from_secs(5);
    loop {
        let left: Vec<String> = control_groups()
            .difference(before)
            .filter(|path| is_empty(path))
            .map(|path| path.display().to_string())
            .collect();
        if left.is_empty() || Instant::now() > ends {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether no process is in the control group or in one below.
fn is_empty(group: &Path) -> bool {
    let own = fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|processes| processes.is_empty());
    own && entries(group).iter().filter(|path| path.is_dir()).all(|path| is_empty(path))
}
