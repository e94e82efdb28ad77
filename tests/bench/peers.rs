//! The ways to run a program in namespaces of its own that are compared.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde_json::{Value, json};

use super::containerd::Containerd;
use super::measure::{installed, run, version};
use super::podman::Podman;
use super::{VIAL, elf};

/// What a container is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It has the host's network.
    HostNetwork,
    /// It has a network namespace with nothing but loopback.
    NoNetwork,
    /// As that, with limits on memory, processes and processor time, and a filter of system calls.
    Limited,
}

/// What tells the command line that runs a workload in a container of a kind, if there is one.
type Line = Box<dyn Fn(Kind, &[&str]) -> Option<Vec<String>>>;

/// A tool.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// Its program.
    pub program: PathBuf,
    /// Its version.
    pub version: String,
    line: Line,
    /// Whether all of the work is done by the processes that it starts.
    pub is_alone: bool,
}

impl Peer {
    /// The command line that runs this workload, if it can run it so.
    pub fn line(&self, kind: Kind, workload: &[&str]) -> Option<Vec<String>> {
        (self.line)(kind, workload)
    }
}

/// The floor, if there is a compiler, vial, and what else is installed; directories hold `rootfs`.
pub fn all(directory: &Path) -> Vec<Peer> {
    let at = |name: &str| directory.join(name).display().to_string();
    let root = at("rootfs");
    // Some write into the root.
    let written = at("written");
    make_rootfs(Path::new(&written)).expect("make a root file system");
    let mut peers = Vec::new();
    let mut add = |name, program: &str, version, is_alone, line: Line| {
        peers.push(Peer { name, program: path_of(program), version, line, is_alone });
    };
    if let Some(floor) = floor(directory) {
        let directory = directory.display().to_string();
        let program = floor.clone();
        let line = move |kind, workload: &[&str]| {
            let network = match kind {
                Kind::HostNetwork => "host",
                Kind::NoNetwork => "none",
                Kind::Limited => return None,
            };
            Some(words(&[&floor, network, &directory], workload))
        };
        add("the floor: nothing but the calls", &program, String::new(), true, Box::new(line));
    }
    let state = at("vial");
    let rootfs = root.clone();
    let vial = move |kind: Kind, workload: &[&str]| {
        let options: &[&str] = match kind {
            Kind::HostNetwork => &["--network", "host"],
            Kind::NoNetwork => &["--network", "none"],
            Kind::Limited => &["--network", "none", "--memory", "64m", "--pids-limit", "100", "--cpus", "1"],
        };
        Some(words(&[&[VIAL, "--root", &state, "run", "--rm"], options, &[&rootfs]].concat(), workload))
    };
    add("vial run", VIAL, version_of(&[VIAL, "version"]), true, Box::new(vial));
    for (name, words) in [("vial oci run", &[VIAL, "oci"][..]), ("crun run", &["crun"]), ("runc run", &["runc"])] {
        if words.len() > 1 || installed(words[0]) {
            let (directory, program) = (directory.to_owned(), words[0]);
            let line = move |kind, workload: &[&str]| Some(bundled(words, &directory, kind, workload));
            add(name, program, if words.len() > 1 { String::new() } else { version(program) }, true, Box::new(line));
        }
    }
    if installed("bwrap") {
        let root = root.clone();
        add("bwrap", "bwrap", version("bwrap"), true, Box::new(move |kind, workload| bwrap(&root, kind, workload)));
    }
    if installed("unshare") {
        let root = root.clone();
        let line = move |kind, workload: &[&str]| unshare(&root, kind, workload);
        add("unshare + chroot", "unshare", version("unshare"), true, Box::new(line));
    }
    if installed("systemd-nspawn") {
        let root = written.clone();
        let line = move |kind, workload: &[&str]| nspawn(&root, kind, workload);
        add("systemd-nspawn", "systemd-nspawn", version("systemd-nspawn"), true, Box::new(line));
    }
    if let Some(podman) = Podman::new(directory) {
        let root = written.clone();
        let line = move |kind, workload: &[&str]| {
            let options: &[&str] = match kind {
                Kind::HostNetwork => &["--rm", "--network", "host"],
                Kind::NoNetwork => &["--rm", "--network", "none"],
                Kind::Limited => {
                    &["--rm", "--network", "none", "--memory", "64m", "--pids-limit", "100", "--cpus", "1"]
                }
            };
            Some(podman.run(options, &root, workload))
        };
        add("podman run", "podman", version("podman"), false, Box::new(line));
    }
    if let Some(daemon) = Containerd::start(&directory.join("containerd")) {
        let line = move |kind, workload: &[&str]| {
            let network: &[&str] = match kind {
                Kind::HostNetwork => &["--net-host"],
                Kind::NoNetwork => &[],
                Kind::Limited => return None,
            };
            Some(daemon.line(&[&["run", "--rm"], network, &["--rootfs", &written, "bench"], workload].concat()))
        };
        add("ctr run (containerd)", "ctr", version("ctr"), false, Box::new(line));
    }
    peers
}

/// The floor's program, made by a C compiler. It knows where the controllers are with cgroup v1.
fn floor(directory: &Path) -> Option<String> {
    let program = directory.join("floor").display().to_string();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/floor.c");
    let headers = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let options = ["-O2", "-static", "-idirafter", "/usr/include", "-idirafter", &headers, "-o", &program, source];
    let is_made =
        ["musl-gcc", "gcc"].into_iter().any(|compiler| run(&words(&[&[compiler], &options[..]].concat(), &[])));
    (is_made && Path::new("/sys/fs/cgroup/devices/devices.deny").exists()).then_some(program)
}

/// Where a program is.
fn path_of(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| PathBuf::from(program))
}

/// The first line that a command prints.
fn version_of(line: &[&str]) -> String {
    let output = Command::new(line[0]).args(&line[1..]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn words(fixed: &[&str], workload: &[&str]) -> Vec<String> {
    fixed.iter().chain(workload).map(ToString::to_string).collect()
}

/// One bundle for each tool, kind and workload, since all of it is part of its config.json.
fn bundled(tool: &[&str], directory: &Path, kind: Kind, workload: &[&str]) -> Vec<String> {
    let name = format!("{}-{kind:?}-{}", tool.join("-").replace('/', ""), workload.join("-").replace('/', ""));
    let bundle = directory.join(&name);
    // Others know no later version of the specification than their own.
    let spec = if tool.len() > 1 && installed("crun") { &["crun"] } else { tool };
    make_bundle(&[spec, &["spec"]].concat(), &bundle, &directory.join("rootfs"), workload, kind)
        .expect("make a bundle");
    let state = directory.join(format!("{}-state", tool.join("-").replace('/', ""))).display().to_string();
    words(&[tool, &["--root", &state, "run", "--bundle", &bundle.display().to_string(), "bench"]].concat(), &[])
}

/// A tool's own idea of a config.json, without a terminal, and with the namespaces that vial makes; unless it is there.
pub fn make_bundle(spec: &[&str], bundle: &Path, rootfs: &Path, workload: &[&str], kind: Kind) -> io::Result<()> {
    if bundle.join("config.json").exists() {
        return Ok(());
    }
    fs::create_dir_all(bundle)?;
    let made = Command::new(spec[0]).args(&spec[1..]).current_dir(bundle).status()?;
    assert!(made.success(), "{}: {made}", spec.join(" "));
    let path = bundle.join("config.json");
    let mut spec: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(workload);
    spec["root"]["path"] = json!(rootfs);
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let kinds = kinds.into_iter().filter(|name| *name != "network" || kind != Kind::HostNetwork);
    spec["linux"]["namespaces"] = kinds.map(|kind| json!({ "type": kind })).collect();
    if kind == Kind::Limited {
        spec["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
        spec["linux"]["resources"]["pids"] = json!({"limit": 100});
        spec["linux"]["resources"]["cpu"] = json!({"quota": 100_000, "period": 100_000});
        spec["linux"]["seccomp"] = filter();
    }
    fs::write(&path, spec.to_string())
}

/// A filter as the specification has it: calls that docker's refuses.
fn filter() -> Value {
    let refused = "acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module fsconfig fsmount fsopen fspick \
        get_kernel_syms init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kexec_file_load kexec_load keyctl \
        lookup_dcookie mount mount_setattr move_mount move_pages name_to_handle_at nfsservctl open_by_handle_at open_tree \
        perf_event_open pivot_root quotactl reboot request_key setdomainname setns settimeofday swapoff swapon sysfs syslog umount2 \
        unshare uselib userfaultfd ustat vhangup";
    let refused: Vec<&str> = refused.split_whitespace().collect();
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": refused, "action": "SCMP_ACT_ERRNO"}]})
}

fn bwrap(root: &str, kind: Kind, workload: &[&str]) -> Option<Vec<String>> {
    let network: &[&str] = match kind {
        Kind::HostNetwork => &[],
        Kind::NoNetwork => &["--unshare-net"],
        Kind::Limited => return None,
    };
    let namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup"];
    let mounts = ["--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev"];
    Some(words(&[&["bwrap"], &namespaces[..], network, &mounts].concat(), workload))
}

fn unshare(root: &str, kind: Kind, workload: &[&str]) -> Option<Vec<String>> {
    let network: &[&str] = match kind {
        Kind::HostNetwork => &[],
        Kind::NoNetwork => &["--net"],
        Kind::Limited => return None,
    };
    let proc = format!("--mount-proc={root}/proc");
    let namespaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", &proc];
    Some(words(&[&["unshare"], &namespaces[..], network, &["chroot", root]].concat(), workload))
}

fn nspawn(root: &str, kind: Kind, workload: &[&str]) -> Option<Vec<String>> {
    let network: &[&str] = match kind {
        Kind::HostNetwork => &[],
        Kind::NoNetwork => &["--private-network"],
        Kind::Limited => return None,
    };
    Some(words(&[&["systemd-nspawn", "-q", "--register=no", "--keep-unit"], network, &["-D", root]].concat(), workload))
}

/// A root file system of a static busybox.
pub fn make_rootfs(directory: &Path) -> io::Result<()> {
    let path = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    let path = path.ok_or_else(|| io::Error::other("there is no busybox"))?;
    if !elf::is_static(&fs::read(path)?) {
        return Err(io::Error::other("busybox is linked dynamically; Debian's busybox-static is not"));
    }
    // systemd-nspawn takes nothing for a system without usr.
    for name in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var"] {
        fs::create_dir_all(directory.join(name))?;
    }
    fs::copy(path, directory.join("bin/busybox"))?;
    for applet in ["true", "sleep", "sh"] {
        symlink("busybox", directory.join("bin").join(applet))?;
    }
    fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(directory.join("etc/group"), "root:x:0:\n")
}
