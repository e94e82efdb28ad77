//! Containers for tests that stay: `vial run -d`, and what can be seen of them from outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::command::{Cmd, Output};
use super::container::{eventually, signal};
use super::scene::Scene;

/// A detached container.
pub struct Detached<'a> {
    scene: &'a Scene,
    /// Its name, as it was given.
    pub name: String,
    /// Its ID.
    pub id: String,
}

impl<'a> Detached<'a> {
    /// `vial run -d` of a shell script in the busybox root.
    #[track_caller]
    pub fn run(scene: &'a Scene, name: &str, options: &[&str], script: &str) -> Detached<'a> {
        let output = run(scene, &[&["--name", name], options].concat(), script).ok().silent();
        Detached::made(scene, name, &output)
    }

    /// `vial create` of one.
    #[track_caller]
    pub fn create(scene: &'a Scene, name: &str, options: &[&str], script: &str) -> Detached<'a> {
        let rootfs = scene.rootfs().display().to_string();
        let command = scene.vial(["create", "--name", name]).args(options).args([&rootfs, "sh", "-c", script]);
        Detached::made(scene, name, &command.ok().silent())
    }

    /// The container of this name.
    #[track_caller]
    pub fn find(scene: &'a Scene, name: &str) -> Detached<'a> {
        let id = fs::read_link(scene.root().join("names").join(name)).expect("there is a container of this name");
        Detached { scene, name: name.to_owned(), id: id.display().to_string() }
    }

    /// The container of this ID.
    pub fn of(scene: &'a Scene, id: &str) -> Detached<'a> {
        Detached { scene, name: id.to_owned(), id: id.to_owned() }
    }

    #[track_caller]
    fn made(scene: &'a Scene, name: &str, output: &Output) -> Detached<'a> {
        let id = output.stdout.trim_end().to_owned();
        let is_id =
            id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && output.stdout.lines().count() == 1;
        assert!(is_id, "not an ID: {}", output.shown());
        Detached { scene, name: name.to_owned(), id }
    }

    /// Its directory.
    pub fn path(&self) -> PathBuf {
        self.scene.root().join("containers").join(&self.id)
    }

    /// Its `state.json`; null if there is none.
    pub fn state(&self) -> Value {
        let text = fs::read_to_string(self.path().join("state.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn number(&self, member: &str) -> u32 {
        self.state()[member].as_u64().unwrap_or_default() as u32
    }

    /// Its first process; 0 without one.
    pub fn pid(&self) -> u32 {
        self.number("pid")
    }

    /// Its monitor.
    pub fn monitor(&self) -> u32 {
        self.number("owner")
    }

    /// What makes its monitors; 0 if there is none.
    pub fn keeper(&self) -> u32 {
        let status = proc(self.monitor(), "status");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")?.parse().ok()).unwrap_or(0);
        if proc(parent, "cmdline").starts_with("vial-keeper") { parent } else { 0 }
    }

    /// Kills its processes as a power cut does: all at once, the one that would replace another first.
    pub fn kill_all(&self) {
        let all = [self.keeper(), self.monitor(), self.pid()];
        let there = all.into_iter().filter(|pid| *pid != 0).map(|pid| pid.to_string());
        // One may be gone with the one before it.
        let _ = Command::new("kill").arg("-KILL").args(there).stderr(Stdio::null()).status();
        eventually("all are gone", || all.iter().all(|pid| is_gone(*pid)).then_some(()));
    }

    /// A vial command on it: the container's name comes last.
    pub fn vial(&self, words: &[&str]) -> Cmd<'a> {
        self.scene.vial(words.iter().copied().chain([self.name.as_str()]))
    }

    /// What `vial ps -a` says of it: `running`, `exited`.
    #[track_caller]
    pub fn condition(&self) -> String {
        let filter = format!("id={}", self.id);
        let output = self.scene.vial(["ps", "-a", "-f", &filter, "--format", "{{.State}}"]).ok();
        output.stdout.trim_end().to_owned()
    }

    /// Waits until its log has this text.
    #[track_caller]
    pub fn says(&self, text: &str) {
        eventually(&format!("{} prints {text:?}", self.name), || self.output().contains(text).then_some(()));
    }

    /// Everything that it has printed.
    #[track_caller]
    pub fn output(&self) -> String {
        let output = self.vial(&["logs"]).ok();
        output.stdout + &output.stderr
    }

    /// The exit code that `vial wait` tells.
    #[track_caller]
    pub fn wait(&self) -> u32 {
        let output = self.vial(&["wait"]).ok().silent();
        output.stdout.trim_end().parse().unwrap_or_else(|_| panic!("not a number: {}", output.shown()))
    }

    /// Kills its monitor, with the keeper that would replace it, and waits until it is gone.
    pub fn kill_monitor(&self) {
        let (monitor, keeper) = (self.monitor(), self.keeper());
        signal(if keeper == 0 { monitor } else { keeper }, "KILL");
        eventually("the monitor is gone", || is_gone(monitor).then_some(()));
    }

    /// Removes it, whatever it does.
    #[track_caller]
    pub fn remove(&self) {
        self.vial(&["rm", "-f"]).ok().silent();
    }
}

/// `vial run -d` of a shell script in the busybox root.
pub fn run<'a>(scene: &'a Scene, options: &[&str], script: &str) -> Cmd<'a> {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "-d"]).args(options).args([&rootfs, "sh", "-c", script])
}

/// Whether a process has ended.
pub fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// A file of a process in `/proc`; empty if it is gone.
pub fn proc(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}
