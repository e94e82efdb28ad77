//! What a workload sees of itself: all that was asked for, in a text that is the same for the same container.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::util::scene::work_directory;
use crate::util::{needs, rootfs};

/// The root file system that the workloads are in: busybox, and the program that looks (`tests/data/look.c`): `/bin/look -` prints
/// what it sees, `/bin/look FILE stay` writes it to a file and stays. A shell script that does so takes a hundred processes.
pub fn root() -> String {
    static MADE: OnceLock<String> = OnceLock::new();
    let make = || {
        let directory = work_directory().join("looking");
        rootfs::make(&directory).expect("make a root file system");
        let (source, program) = (work_directory().join("look.c"), directory.join("bin/look"));
        fs::write(&source, include_str!("../data/look.c")).expect("write the source");
        let gcc = needs::tool("gcc").expect("gcc is there");
        let made = Command::new(gcc).args(["-O2", "-static", "-o"]).arg(program).arg(source).status();
        assert!(made.is_ok_and(|status| status.success()), "compile tests/data/look.c");
        directory.display().to_string()
    };
    MADE.get_or_init(make).clone()
}

/// In its place if the workload has told nothing.
pub const NOTHING: &str = "the workload has written nothing down\n";

/// Namespaces that are the host's.
fn of_the_host() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// What a workload printed without what differs from one container to the next: IDs, and numbers that the kernel gives out.
pub fn normal(text: &str) -> String {
    let host = of_the_host();
    let mut out = String::new();
    let mut section = "";
    // The number of a process is the next one that is free.
    let own = text.lines().next().unwrap_or_default().trim_start_matches("= ");
    for line in text.lines().skip(1) {
        if let Some(name) = line.strip_prefix("= ") {
            section = name;
            out.push_str(&format!("{line}\n"));
            continue;
        }
        let line = without_ids(line).replace(&format!("/proc/{own}/"), "/proc/PID/");
        let words: Vec<&str> = line.split(' ').collect();
        let line = match (section, words.as_slice()) {
            ("mounts", [_, _, _, rest @ ..]) if rest.len() > 5 => {
                let rest: Vec<&str> = rest
                    .iter()
                    .map(|word| {
                        word.split_once(':').map_or(*word, |(kind, number)| {
                            if number.bytes().all(|byte| byte.is_ascii_digit()) { kind } else { *word }
                        })
                    })
                    .collect();
                // Whether the host's disk is waited for at the end.
                rest.join(" ").replace(",fsync=volatile", "")
            }
            ("namespaces", [path, link]) => {
                format!("{path} {}", if host.iter().any(|own| own == link) { "host's" } else { "own" })
            }
            ("session", _) => {
                words.iter().map(|word| if *word == own { "PID" } else { word }).collect::<Vec<_>>().join(" ")
            }
            ("files", [path, link]) => format!("{path} {}", link.split(":[").next().unwrap_or_default()),
            ("interfaces", ["address", name, address, bits]) if address.contains(':') && *name != "lo" => {
                // It is made at random.
                format!("address {name} ADDRESS {bits}")
            }
            _ => line,
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }
    without_hidden_mounts(&out)
}

/// Leaves out mounts that are covered by others at the same place, to which nothing leads.
fn without_hidden_mounts(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let place = |line: &str| line.contains(" - ").then(|| line.split(' ').nth(1).unwrap_or_default().to_owned());
    let covered = |at: usize| {
        place(lines[at]).is_some_and(|own| lines[at + 1..].iter().any(|line| place(line).as_ref() == Some(&own)))
    };
    let mut seen: Vec<&str> = (0..lines.len()).filter(|at| !covered(*at)).map(|at| lines[at]).collect();
    // In which order they were made shows nowhere else.
    let first = seen.iter().position(|line| *line == "= mounts").map_or(0, |at| at + 1);
    let count = seen[first..].iter().position(|line| line.starts_with("= ")).unwrap_or(0);
    seen[first..first + count].sort_unstable();
    seen.join("\n") + "\n"
}

/// Puts a word in the place of each ID of 64 digits, and of its first 12.
fn without_ids(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in line.chars().chain(['\n']) {
        if letter.is_ascii_hexdigit() {
            word.push(letter);
            continue;
        }
        out.push_str(if [12, 64].contains(&word.len()) { "ID" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.trim_end_matches('\n').to_owned()
}

/// The lines in which two texts differ.
pub fn difference(clean: &str, seen: &str) -> String {
    let only = |from: &str, other: &str, mark: char| {
        let lines = from.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    let lines = only(clean, seen, '-') + &only(seen, clean, '+');
    if lines.is_empty() { "the lines are in another order".to_owned() } else { lines }
}
