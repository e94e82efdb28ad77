//! A further process in a container that runs.

use std::path::Path;

use super::VIAL;
use super::measure::{installed, run, version};
use super::peers::{Kind, make_bundle, make_rootfs};
use super::podman::Podman;
use super::report::{Report, compare};

/// What the container does meanwhile.
const STAYS: &[&str] = &["/bin/sleep", "86400"];

/// Measures everything.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    let rootfs = directory.join("rootfs");
    make_rootfs(&rootfs).expect("make a root file system");
    let root = rootfs.display().to_string();
    let own = directory.join("vial").display().to_string();
    let vial = |words: &[&str]| line(&[&[VIAL, "--root", &own], words].concat());
    start(&vial(&[&["run", "-d", "--name", "bench", "--network", "none", &root], STAYS].concat()));
    let mut rows = vec![("vial exec".to_owned(), vial(&["exec", "bench", "/bin/true"]))];
    let mut ends = vec![vial(&["rm", "-f", "bench"])];
    for tool in [&[VIAL, "oci"][..], &["crun"], &["runc"]] {
        let is_own = tool.len() > 1;
        if !is_own && !installed(tool[0]) {
            continue;
        }
        let name = if is_own { "vial oci".to_owned() } else { version(tool[0]) };
        let [bundle, state] = ["bundle", "state"].map(|kind| directory.join(format!("{kind}-{}", rows.len())));
        let maker = if is_own && installed("crun") { &["crun"] } else { tool };
        make_bundle(&[maker, &["spec"]].concat(), &bundle, &rootfs, STAYS, Kind::NoNetwork).expect("make a bundle");
        let (bundle, state) = (bundle.display().to_string(), state.display().to_string());
        let words = |words: &[&str]| line(&[tool, &["--root", &state], words].concat());
        start(&words(&["run", "--detach", "--bundle", &bundle, "bench"]));
        rows.push((format!("{name} exec"), words(&["exec", "bench", "/bin/true"])));
        ends.push(words(&["delete", "--force", "bench"]));
    }
    let podman = Podman::new(directory);
    if let Some(podman) = &podman {
        start(&podman.run(&["-d", "--name", "bench", "--network", "none"], &root, STAYS));
        rows.push((format!("{} exec", version("podman")), podman.line(&["exec", "bench", "/bin/true"])));
    }
    let title = format!("Start to exit of /bin/true as a further process of a container, {rounds} rounds in turn.");
    compare(report, title, rows, rounds);
    for line in &ends {
        run(line);
    }
}

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn start(line: &[String]) {
    assert!(run(line), "{}", line.join(" "));
}
