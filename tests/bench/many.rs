//! Many detached containers alive at once: what each start costs, one by one and all together, how long `vial ps` takes, and what a
//! monitor needs.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::measure::{command, installed, median_and_least, memory, run, time};
use super::peers::{Kind, make_bundle, make_rootfs};
use super::report::{Cell, Report, Table, count, milliseconds};
use super::{VIAL, keepers};

/// How many starts at the beginning and at the end are compared.
const SOME: usize = 10;
/// How often `ps` lists.
const LISTS: usize = 20;
/// What the containers do.
const STAYS: &[&str] = &["/bin/sleep", "86400"];

/// Starts so many, measures, and removes them.
pub fn bench(report: &mut Report, directory: &Path, number: usize) {
    let number = number.max(2 * SOME);
    let (root, state) = (directory.join("rootfs"), directory.join("vial"));
    make_rootfs(&root).expect("make a root file system");
    let vial = |words: &[&str]| -> Vec<String> {
        let fixed = [VIAL.to_owned(), "--root".into(), state.display().to_string()];
        fixed.into_iter().chain(words.iter().map(ToString::to_string)).collect()
    };
    let root = root.display().to_string();
    let start = vial(&[&["run", "-d", &root], STAYS].concat());
    let containers = state.join("containers");
    let remove_all = || {
        let ids = self::containers(&containers).map(|(id, _)| id);
        let line: Vec<String> = vial(&["rm", "-f"]).into_iter().chain(ids).collect();
        time(&line)
    };
    let mut times: Vec<Duration> = Vec::with_capacity(number);
    let mut lists = Table::new(format!("`vial ps`, medians of {LISTS}."), &["median ms", "least ms"]);
    for present in [1, 100, 500, number] {
        if present > number || (present == number && [1, 100, 500].contains(&number)) {
            continue;
        }
        times.extend((times.len()..present).map(|_| time(&start)));
        let (median, least) = median_and_least((0..LISTS).map(|_| time(&vial(&["ps"]))).collect());
        lists.row(format!("of {present}"), vec![milliseconds(median), milliseconds(least)]);
    }
    report.add(&lists);
    let title = format!(
        "{number} detached containers, each `sleep` on a busybox root, one after the other; medians of {SOME}."
    );
    let mut starts = Table::new(title, &["ms"]);
    let median = |times: &[Duration]| median_and_least(times.to_vec()).0;
    let (first, last) = (median(&times[..SOME]), median(&times[number - SOME..]));
    starts.row(format!("start of the first {SOME}"), vec![milliseconds(first)]);
    starts.row(format!("start of the last {SOME}"), vec![milliseconds(last)]);
    starts.row("ratio", vec![Cell::Number(last.as_secs_f64() / first.as_secs_f64(), 2)]);
    let mut keepers =
        Table::new("What stays beside each container.", &["anonymous memory KiB", "proportional share (PSS) KiB"]);
    let monitors: Vec<u64> = self::containers(&containers).filter_map(|(_, state)| state["owner"].as_u64()).collect();
    let own = ("vial's monitor", memory(&monitors, "Anonymous:"), memory(&monitors, "Pss:"));
    starts.row("all removed", vec![milliseconds(remove_all())]);
    report.add(&starts);
    for (name, anonymous, share) in [own].into_iter().chain(keepers::measured(directory, &root)) {
        keepers.row(name, vec![count(Some(anonymous)), count(Some(share))]);
    }
    report.add(&keepers);
    let mut together = Table::new(
        "Detached containers that are started all at once, from the first to the last.",
        &["vial ms", "crun ms"],
    );
    for number in [100, number] {
        let own = at_once(number, &|_| start.clone());
        remove_all();
        let others = installed("crun").then(|| crun(directory, Path::new(&root), number));
        together.row(format!("{number}"), vec![milliseconds(own), others.map_or(Cell::Nothing, milliseconds)]);
    }
    report.add(&together);
}

/// How long it takes until so many commands have ended that are started at once.
fn at_once(number: usize, line: &dyn Fn(usize) -> Vec<String>) -> Duration {
    let begun = Instant::now();
    let children: Vec<Child> = (0..number).map(|at| command(&line(at)).spawn().expect("start a command")).collect();
    for mut child in children {
        assert!(child.wait().is_ok_and(|status| status.success()), "{}", line(0).join(" "));
    }
    begun.elapsed()
}

/// The same of crun's.
fn crun(directory: &Path, root: &Path, number: usize) -> Duration {
    let (bundle, state) = (directory.join("bundle"), directory.join("crun").display().to_string());
    make_bundle(&["crun", "spec"], &bundle, root, STAYS, Kind::NoNetwork).expect("make a bundle");
    let bundle = bundle.display().to_string();
    let line = |words: &[&str]| [&["crun", "--root", &state], words].concat().iter().map(ToString::to_string).collect();
    let taken = at_once(number, &|at| line(&["run", "--detach", "--bundle", &bundle, &format!("bench{at}")]));
    for at in 0..number {
        run(&line(&["delete", "--force", &format!("bench{at}")]));
    }
    taken
}

fn containers(directory: &Path) -> impl Iterator<Item = (String, Value)> {
    fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("state.json")).ok()?;
        Some((entry.file_name().into_string().ok()?, serde_json::from_str(&text).ok()?))
    })
}
