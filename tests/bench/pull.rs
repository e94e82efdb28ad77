//! How long it takes to pull an image of three layers from a registry on this machine, beside podman.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::VIAL;
use super::import::into_fresh;
use super::load::layout;
use super::measure::{command, installed, median_and_least, remove, run};
use super::report::{Report, TIMES, Table, times};

/// A registry, which ends with this.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    /// Starts Debian's on a free port.
    fn start(directory: &Path) -> Registry {
        let port =
            TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("find a port").port();
        let address = format!("127.0.0.1:{port}");
        let store = directory.join("registry").display().to_string();
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {store}\nhttp:\n  addr: {address}\n"
        );
        let config = directory.join("registry.yml");
        fs::write(&config, text).expect("write a configuration");
        let words = ["docker-registry".to_owned(), "serve".into(), config.display().to_string()];
        let process = command(&words).stderr(Stdio::null()).spawn().expect("start a registry");
        for _ in 0..100 {
            if TcpStream::connect(&address).is_ok() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        Registry { process, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures and adds a table.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    if !["docker-registry", "skopeo"].into_iter().all(installed) {
        report.note("pull: left out, needs docker-registry and skopeo");
        return;
    }
    fs::create_dir_all(directory).expect("make the bench's directory");
    let size = layout(directory);
    let registry = Registry::start(directory);
    let name = format!("{}/bench:latest", registry.address);
    let from = format!("oci:{}:latest", directory.join("layout").display());
    let pushed =
        ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", &from, &format!("docker://{name}")];
    let pushed = Command::new(pushed[0]).args(&pushed[1..]).status();
    assert!(pushed.is_ok_and(|status| status.success()), "push the image");
    let line = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let run_root = format!("/run/vial-bench-{}", std::process::id());
    let trees = directory.join("trees");
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        own.push(into_fresh(&trees, |target| line(&[VIAL, "--root", target, "pull", "-q", "--plain-http", &name])));
        if installed("podman") {
            others.push(into_fresh(&trees, |target| {
                let root = format!("{target}/root");
                let fixed = ["podman", "--root", &root, "--runroot", &run_root, "--tmpdir", &run_root];
                line(&[&fixed[..], &["pull", "-q", "--tls-verify=false", &name]].concat())
            }));
        }
    }
    let title = format!(
        "Pulling an image of three layers (gzip), {} MB unpacked, from a registry on this machine, {rounds} rounds in turn.",
        size / 1_000_000
    );
    let mut table = Table::new(title, &TIMES);
    let first = median_and_least(own.clone()).0;
    table.row("vial pull", times(own, first));
    if !others.is_empty() {
        table.row("podman pull", times(others, first));
    }
    report.add(&table);
    remove(&PathBuf::from(run_root));
    run(&line(&["rm", "-rf", "--one-file-system", &directory.display().to_string()]));
}
