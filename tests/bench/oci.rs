//! The OCI runtime's command line: a container is created, started and deleted, each by a command of its own, as engines do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::VIAL;
use super::measure::{installed, median_and_least, peak_memory, time, version};
use super::peers::{Kind, make_bundle, make_rootfs};
use super::report::{Report, Table, count, milliseconds, times};

/// What is timed, one after the other.
const STEPS: [&str; 3] = ["create", "start", "delete"];

/// Measures everything. All have the same bundle.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    let rootfs = directory.join("rootfs");
    make_rootfs(&rootfs).expect("make a root file system");
    let (bundle, sleeping) = (directory.join("bundle"), directory.join("sleeping"));
    // Others know no later version of the specification than their own.
    let maker = ["crun", "runc"].into_iter().find(|tool| installed(tool));
    let spec = maker.map_or(vec![VIAL, "oci", "spec"], |tool| vec![tool, "spec"]);
    make_bundle(&spec, &bundle, &rootfs, &["/bin/true"], Kind::NoNetwork).expect("make a bundle");
    make_bundle(&spec, &sleeping, &rootfs, &["/bin/sleep", "0.2"], Kind::NoNetwork).expect("make a bundle");
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
    let mut all = vec![Vec::with_capacity(rounds); tools.len()];
    // The first ones find cold caches.
    for number in 0..tools.len() {
        once(number);
    }
    for _ in 0..rounds {
        all.iter_mut().enumerate().for_each(|(number, times)| times.push(once(number)));
    }
    let title = format!(
        "create, start and delete --force of /bin/true in one and the same bundle, {rounds} rounds in turn; peak memory of run."
    );
    let columns = ["median ms", "least ms", "times the first", "create ms", "start ms", "delete ms", "peak KiB"];
    let mut table = Table::new(title, &columns);
    let whole = |times: &[[Duration; 3]]| -> Vec<Duration> { times.iter().map(|steps| steps.iter().sum()).collect() };
    let first = median_and_least(whole(&all[0])).0;
    for (number, steps) in all.iter().enumerate() {
        let mut cells = times(whole(steps), first);
        let median = |step: usize| median_and_least(steps.iter().map(|steps| steps[step]).collect()).0;
        cells.extend((0..STEPS.len()).map(|step| milliseconds(median(step))));
        cells.push(count(Some(peak_memory(&lines(number, "run"), false))));
        table.row(tools[number].0.clone(), cells);
    }
    report.add(&table);
    let _ = fs::remove_dir_all(directory);
}
