//! The OCI runtime's command line: a container is created, started and deleted, each by a command of its own, as engines do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::VIAL;
use super::measure::{installed, median_and_least, milliseconds, peak_memory, time, version};
use super::peers::{make_bundle, make_rootfs};

/// What is timed, one after the other.
const STEPS: [&str; 3] = ["create", "start", "delete"];

/// Measures everything and prints a table. All have the same bundle.
pub fn bench(directory: &Path, rounds: usize) {
    let rootfs = directory.join("rootfs");
    make_rootfs(&rootfs).expect("make a root file system");
    let (bundle, sleeping) = (directory.join("bundle"), directory.join("sleeping"));
    // Others know no later version of the specification than their own.
    let maker = ["crun", "runc"].into_iter().find(|tool| installed(tool));
    let (maker, spec) = maker.map_or((VIAL, &["oci", "spec"][..]), |tool| (tool, &["spec"][..]));
    make_bundle(maker, spec, &bundle, &rootfs, &["/bin/true"]).expect("make a bundle");
    make_bundle(maker, spec, &sleeping, &rootfs, &["/bin/sleep", "0.2"]).expect("make a bundle");
    let mut tools = vec![("vial oci".to_owned(), vec![VIAL, "oci"])];
    tools.extend(["crun", "runc"].into_iter().filter(|tool| installed(tool)).map(|tool| (version(tool), vec![tool])));
    let lines = |number: usize, step: &str| -> Vec<String> {
        let state = directory.join(format!("state-{number}")).display().to_string();
        let [bundle, sleeping] = [&bundle, &sleeping].map(|path| path.display().to_string());
        let rest = match step {
            "create" => vec!["create", "--bundle", &bundle, "bench"],
            "start" => vec!["start", "bench"],
            "delete" => vec!["delete", "--force", "bench"],
            _ => vec!["run", "--bundle", &sleeping, "bench"],
        };
        tools[number].1.iter().chain(&["--root", &state]).chain(&rest).map(ToString::to_string).collect()
    };
    let once = |number: usize| STEPS.map(|step| time(&lines(number, step)));
    let mut times = vec![Vec::with_capacity(rounds); tools.len()];
    // The first ones find cold caches.
    for number in 0..tools.len() {
        once(number);
    }
    for _ in 0..rounds {
        times.iter_mut().enumerate().for_each(|(number, times)| times.push(once(number)));
    }
    println!(
        "create, start and delete --force of /bin/true in one and the same bundle, {rounds} rounds in turn; peak memory of run.\n"
    );
    println!("| tool | median ms | least ms | times vial | create | start | delete | peak KiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let whole = |times: &[[Duration; 3]]| median_and_least(times.iter().map(|steps| steps.iter().sum()).collect());
    let base = whole(&times[0]).0;
    for (number, times) in times.iter().enumerate() {
        let (median, least) = whole(times);
        let ratio = median.as_secs_f64() / base.as_secs_f64();
        let [create, start, delete] =
            [0, 1, 2].map(|step| milliseconds(median_and_least(times.iter().map(|steps| steps[step]).collect()).0));
        let memory = peak_memory(&lines(number, "run"), false);
        let (median, least) = (milliseconds(median), milliseconds(least));
        println!(
            "| {} | {median} | {least} | {ratio:.2} | {create} | {start} | {delete} | {memory} |",
            tools[number].0
        );
    }
    println!();
    let _ = fs::remove_dir_all(directory);
}
