//! podman with a store of its own.

use std::path::Path;
use std::process::id;

use super::measure::{installed, remove, run};

/// podman, whose store goes with this.
pub struct Podman {
    fixed: Vec<String>,
    run_root: String,
}

/// Its own limits are higher than root's are in some machines.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

impl Podman {
    /// With its store below a directory, if it is installed with all that it needs.
    pub fn new(directory: &Path) -> Option<Podman> {
        if !["podman", "conmon", "crun"].into_iter().all(installed) {
            return None;
        }
        let at = |name: &str| directory.join("podman").join(name).display().to_string();
        // It takes no long path for what is not to outlive a boot.
        let run_root = format!("/run/vial-bench-{}", id());
        let places =
            ["--root", &at("root"), "--runroot", &run_root, "--tmpdir", &at("tmp"), "--network-config-dir", &at("net")];
        let ways = ["--cgroup-manager", "cgroupfs", "--runtime", "crun"];
        let fixed = [&["podman"], &places[..], &ways].concat().into_iter().map(str::to_owned).collect();
        Some(Podman { fixed, run_root })
    }

    /// A command line.
    pub fn line(&self, words: &[&str]) -> Vec<String> {
        self.fixed.iter().cloned().chain(words.iter().map(ToString::to_string)).collect()
    }

    /// The one that runs a workload in a root file system's directory.
    pub fn run(&self, options: &[&str], root: &str, workload: &[&str]) -> Vec<String> {
        self.image(&[options, &["--rootfs"]].concat(), root, workload)
    }

    /// The one that runs a workload of an image.
    pub fn image(&self, options: &[&str], image: &str, workload: &[&str]) -> Vec<String> {
        self.line(&[&["run"], options, &LIMITS, &[image], workload].concat())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        run(&self.line(&["rm", "-f", "-a", "-t", "0"]));
        remove(Path::new(&self.run_root));
    }
}
