//! Many detached containers alive at once: what each start costs, how long `vial ps` takes, and what a monitor needs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::measure::{median_and_least, memory, milliseconds, time};
use super::peers::make_rootfs;
use super::{VIAL, keepers};

/// How many starts at the beginning and at the end are compared.
const SOME: usize = 10;

/// Starts so many, measures, and removes them.
pub fn bench(directory: &Path, count: usize) {
    let count = count.max(2 * SOME);
    let (root, state) = (directory.join("rootfs"), directory.join("vial"));
    make_rootfs(&root).expect("make a root file system");
    let vial = |words: &[&str]| -> Vec<String> {
        let fixed = [VIAL.to_owned(), "--root".into(), state.display().to_string()];
        fixed.into_iter().chain(words.iter().map(ToString::to_string)).collect()
    };
    let root = root.display().to_string();
    let times: Vec<Duration> = (0..count).map(|_| time(&vial(&["run", "-d", &root, "/bin/sleep", "86400"]))).collect();
    let shown = |times: &[Duration]| milliseconds(median_and_least(times.to_vec()).0);
    let listing: Vec<Duration> = (0..20).map(|_| time(&vial(&["ps"]))).collect();
    let monitors: Vec<u64> = monitors(&state.join("containers"));
    println!("{count} detached containers alive at once, each `sleep` on a busybox root; medians.\n");
    println!("| | |\n|---|---:|");
    println!("| start of the first {SOME} | {} ms |", shown(&times[..SOME]));
    println!("| start of the last {SOME} | {} ms |", shown(&times[count - SOME..]));
    println!("| `vial ps` of all | {} ms |", shown(&listing));
    println!("\n| what stays beside each container | anonymous memory | proportional share (PSS) |\n|---|---:|---:|");
    let own = ("vial's monitor", memory(&monitors, "Anonymous:"), memory(&monitors, "Pss:"));
    for (name, anonymous, share) in [own].into_iter().chain(keepers::measured(directory, &root)) {
        println!("| {name} | {anonymous} KiB | {share} KiB |");
    }
    println!();
    let ids: Vec<String> = containers(&state.join("containers")).map(|(id, _)| id).collect();
    let mut remove = vial(&["rm", "-f"]);
    remove.extend(ids);
    println!("All removed in {} ms.\n", milliseconds(time(&remove)));
}

fn containers(directory: &Path) -> impl Iterator<Item = (String, Value)> {
    fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("state.json")).ok()?;
        Some((entry.file_name().into_string().ok()?, serde_json::from_str(&text).ok()?))
    })
}

fn monitors(directory: &Path) -> Vec<u64> {
    containers(directory).filter_map(|(_, state)| state["owner"].as_u64()).collect()
}
