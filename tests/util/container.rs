//! Containers for tests: a script in the busybox root, and one that runs while the test looks at it from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command::{Cmd, Output, Running, VIAL};
use super::scene::Scene;

/// `vial run --rm` of a shell script in the busybox root.
pub fn run<'a>(scene: &'a Scene, options: &[&str], script: &str) -> Cmd<'a> {
    run_in(scene, options, &scene.rootfs().display().to_string(), script)
}

/// The same in another image.
pub fn run_in<'a>(scene: &'a Scene, options: &[&str], image: &str, script: &str) -> Cmd<'a> {
    scene.vial(["run", "--rm"]).args(options).args([image, "sh", "-c", script])
}

/// What the script prints, without the end of its last line; it must succeed and say nothing else.
#[track_caller]
pub fn inside(scene: &Scene, options: &[&str], script: &str) -> String {
    run(scene, options, script).ok().silent().stdout.trim_end().to_owned()
}

/// Waits until something is there, for as long as a loaded machine may need.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let ends = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < ends, "it did not come to pass: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a shell script on a terminal of its own; vial is `$VIAL`, the busybox root `$ROOT`.
pub fn on_a_terminal(scene: &Scene, script: &str, input: &str) -> Output {
    fs::write(scene.path("script"), script).expect("write a script");
    let words = ["-qefc", "bash ./script", "/dev/null"];
    let mut output = scene.command("script", words).env("VIAL", VIAL).env("ROOT", scene.rootfs()).input(input).run();
    // What `script` types at the end of its own input.
    output.stdout = output.stdout.replace("^@", "").replace("^D\u{8}\u{8}", "");
    output
}

/// A container that runs.
pub struct Container<'a> {
    /// The vial that started it.
    pub vial: Running<'a>,
    /// Its ID.
    pub id: String,
    /// The workload, as the host sees it.
    pub pid: u32,
}

impl<'a> Container<'a> {
    /// Starts a container in the busybox root; returns when vial says that it runs. A `--name` tells several apart.
    #[track_caller]
    pub fn start(scene: &'a Scene, options: &[&str], script: &str) -> Container<'a> {
        Container::watch(scene, run(scene, options, script).start(), None)
    }

    /// As [`Container::start`], with a name.
    #[track_caller]
    pub fn named(scene: &'a Scene, name: &str, options: &[&str], script: &str) -> Container<'a> {
        let vial = run(scene, &[&["--name", name], options].concat(), script).start();
        Container::watch(scene, vial, Some(name))
    }

    /// Waits until the container that a command starts runs; the one of this name, or the only one.
    #[track_caller]
    pub fn watch(scene: &Scene, mut vial: Running<'a>, name: Option<&str>) -> Container<'a> {
        let names = scene.root().join("names");
        let found = eventually("the container runs", || {
            if vial.has_ended() {
                return Some(None);
            }
            let wanted = name.map(|name| fs::read_link(names.join(name)).unwrap_or_default());
            states(scene).into_iter().find_map(|(id, state)| {
                let is_it =
                    wanted.as_deref().is_none_or(|wanted| wanted == Path::new(&id)) && state["status"] == "running";
                let pid = state["pid"].as_u64().filter(|pid| is_it && *pid > 0)?;
                Some(Some((id, pid as u32)))
            })
        });
        let Some((id, pid)) = found else { panic!("it ended at once: {}", vial.wait().shown()) };
        Container { vial, id, pid }
    }

    /// A file of the workload's in `/proc`.
    pub fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// The content of a file of the workload's in `/proc`.
    #[track_caller]
    pub fn read_proc(&self, name: &str) -> String {
        fs::read_to_string(self.proc(name)).unwrap_or_else(|error| panic!("{}: {error}", self.proc(name).display()))
    }

    /// A namespace of the workload's: `pid:[4026531836]`.
    #[track_caller]
    pub fn namespace(&self, kind: &str) -> String {
        namespace(self.pid, kind)
    }

    /// Sends a signal to vial.
    pub fn signal(&self, name: &str) {
        signal(self.vial.id(), name);
    }

    /// Ends the workload from outside.
    pub fn stop(self) -> Output {
        signal(self.pid, "KILL");
        self.vial.wait().ends(137)
    }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

/// A namespace of a process.
#[track_caller]
pub fn namespace(pid: u32, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("read a process's namespace");
    link.display().to_string()
}

/// The state of every container of the scene, by ID.
pub fn states(scene: &Scene) -> Vec<(String, Value)> {
    let entries = fs::read_dir(scene.root().join("containers")).into_iter().flatten().flatten();
    let state = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("state.json")).ok()?;
        Some((entry.file_name().into_string().ok()?, serde_json::from_str(&text).ok()?))
    };
    entries.filter_map(state).collect()
}

/// The directories that a control group has, in all hierarchies; `path` as `/vial/ID`.
pub fn groups(path: &str) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("read the mount table");
    let mounts = table.lines().filter(|line| line.contains(" - cgroup"));
    let points = mounts.filter_map(|line| line.split(' ').nth(4));
    points.map(|point| PathBuf::from(format!("{point}{path}"))).filter(|directory| directory.is_dir()).collect()
}
