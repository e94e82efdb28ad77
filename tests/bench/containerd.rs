//! containerd with a state of its own, and its client.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::measure::{installed, run};

/// The daemon, which ends with this.
pub struct Containerd {
    process: Child,
    /// Where it listens.
    pub socket: String,
}

impl Containerd {
    /// Starts one below a directory, if it is installed with all that it needs.
    pub fn start(directory: &Path) -> Option<Containerd> {
        if !["containerd", "containerd-shim-runc-v2", "ctr", "runc"].into_iter().all(installed) {
            return None;
        }
        fs::create_dir_all(directory).expect("make a directory");
        let at = |name: &str| directory.join(name).display().to_string();
        let (socket, config) = (at("socket"), at("config.toml"));
        let text = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {socket:?}\n",
            at("root"),
            at("state")
        );
        fs::write(&config, text).expect("write a configuration");
        let mut daemon = Command::new("containerd");
        daemon.args(["-c", &config]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Containerd { process: daemon.spawn().expect("start containerd"), socket };
        for _ in 0..100 {
            if run(&daemon.line(&["version"])) {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        Some(daemon)
    }

    /// A command line of its client.
    pub fn line(&self, words: &[&str]) -> Vec<String> {
        [&["ctr", "-a", &self.socket], words].concat().into_iter().map(str::to_owned).collect()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
