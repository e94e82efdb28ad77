//! The ways to run a program in namespaces of its own that are compared.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde_json::{Value, json};

use super::measure::{installed, version};
use super::{VIAL, elf};

/// A tool.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The command line that runs a workload.
    line: fn(&Path, &[&str]) -> Vec<String>,
}

impl Peer {
    /// The command line that runs this workload, below the bench's directory.
    pub fn line(&self, directory: &Path, workload: &[&str]) -> Vec<String> {
        (self.line)(directory, workload)
    }
}

/// vial, and what else is installed.
pub fn all() -> Vec<Peer> {
    let peer = |name: &'static str, program: &str, line| {
        let found = Path::new(program).is_absolute() || installed(program);
        found.then(|| Peer { name, version: version(program), line })
    };
    let peers = [
        peer("vial", VIAL, vial),
        peer("crun", "crun", |directory, workload| oci("crun", directory, workload)),
        peer("runc", "runc", |directory, workload| oci("runc", directory, workload)),
        peer("bwrap", "bwrap", bwrap),
        peer("unshare + chroot", "unshare", unshare),
    ];
    let mut peers: Vec<Peer> = peers.into_iter().flatten().collect();
    if let Some(vial) = peers.first_mut() {
        let output = Command::new(VIAL).arg("version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().clone_into(&mut vial.version);
    }
    peers
}

fn words(fixed: &[&str], workload: &[&str]) -> Vec<String> {
    fixed.iter().chain(workload).map(ToString::to_string).collect()
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn vial(directory: &Path, workload: &[&str]) -> Vec<String> {
    let (root, state) = (show(&directory.join("rootfs")), show(&directory.join("vial")));
    words(&[VIAL, "--root", &state, "run", "--rm", "--network", "none", &root], workload)
}

/// One bundle for each tool and workload, since what runs is part of its config.json.
fn oci(tool: &str, directory: &Path, workload: &[&str]) -> Vec<String> {
    let bundle = directory.join(format!("{tool}-{}", workload.join("-").replace('/', "")));
    if !bundle.join("config.json").exists() {
        make_bundle(tool, &["spec"], &bundle, &directory.join("rootfs"), workload).expect("make a bundle");
    }
    let state = show(&directory.join(format!("{tool}-state")));
    words(&[tool, "--root", &state, "run", "--bundle", &show(&bundle), &format!("bench-{tool}")], &[])
}

/// The tool's own idea of a config.json, without a terminal, and with the namespaces that vial makes.
pub fn make_bundle(tool: &str, spec: &[&str], bundle: &Path, rootfs: &Path, workload: &[&str]) -> io::Result<()> {
    fs::create_dir_all(bundle)?;
    let made = Command::new(tool).args(spec).current_dir(bundle).status()?;
    assert!(made.success(), "{tool} spec: {made}");
    let path = bundle.join("config.json");
    let mut spec: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(workload);
    spec["root"]["path"] = json!(rootfs);
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    spec["linux"]["namespaces"] = kinds.iter().map(|kind| json!({ "type": kind })).collect();
    fs::write(&path, spec.to_string())
}

fn bwrap(directory: &Path, workload: &[&str]) -> Vec<String> {
    let root = show(&directory.join("rootfs"));
    let namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"];
    let mut fixed = vec!["bwrap"];
    fixed.extend(namespaces);
    fixed.extend(["--ro-bind", &root, "/", "--proc", "/proc", "--dev", "/dev"]);
    words(&fixed, workload)
}

fn unshare(directory: &Path, workload: &[&str]) -> Vec<String> {
    let root = show(&directory.join("rootfs"));
    let proc = format!("--mount-proc={root}/proc");
    let fixed =
        ["unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--cgroup", "--fork", &proc, "chroot", &root];
    words(&fixed, workload)
}

/// A root file system of a static busybox.
pub fn make_rootfs(directory: &Path) -> io::Result<()> {
    let path = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let path = path.ok_or_else(|| io::Error::other("there is no busybox"))?;
    if !elf::is_static(&fs::read(path)?) {
        return Err(io::Error::other("busybox is linked dynamically; Debian's busybox-static is not"));
    }
    for name in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(directory.join(name))?;
    }
    fs::copy(path, directory.join("bin/busybox"))?;
    for applet in ["true", "sleep", "sh"] {
        symlink("busybox", directory.join("bin").join(applet))?;
    }
    fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(directory.join("etc/group"), "root:x:0:\n")
}
