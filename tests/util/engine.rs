//! Real engines that have vial run their containers, on a host of the test's own: mounts and a network namespace that a process holds,
//! so that what engines keep in `/run`, and what they do with networks, goes with it.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::command::{Cmd, Output, Running, VIAL};
use super::container::eventually;
use super::leaks;
use super::scene::Scene;
use super::user::User;

/// The image that all engines have: the busybox root.
pub const IMAGE: &str = "localhost/busybox";

/// What the host is like where it is not the machine's own. `$0` is the scene's directory, `$1` the user's number.
const HOST: &str = "set -e
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/user/$1
chown $1:$1 /run/user/$1
chmod 700 /run/user/$1
mknod -m 666 null c 1 3
mount --bind null /dev/null
if [ -e /dev/net/tun ]; then mknod -m 666 tun c 10 200; mount --bind tun /dev/net/tun; fi
if [ -e /dev/fuse ]; then mknod -m 666 fuse c 10 229; mount --bind fuse /dev/fuse; fi
for file in passwd group subuid subgid; do
    if [ -e $file ]; then [ -e /etc/$file ] || : >/etc/$file; mount --bind $file /etc/$file; fi
done
[ -z \"$2\" ] || umount \"$2\"
: >ready
exec sleep infinity";

/// An engine's host, for root or a normal user.
pub struct Engine<'a> {
    scene: &'a Scene,
    user: Option<User<'a>>,
    holder: RefCell<Option<Running<'a>>>,
    /// What control groups, container names and containerd's namespace begin with.
    pub group: String,
    containerd: RefCell<Option<Running<'a>>>,
}

impl<'a> Engine<'a> {
    /// One on which root runs engines.
    pub fn new(scene: &'a Scene) -> Engine<'a> {
        Engine::make(scene, None, "")
    }

    /// The same without a cgroup v2 beside v1, which crun can't do with.
    pub fn beside_crun(scene: &'a Scene) -> Engine<'a> {
        Engine::make(scene, None, &second_hierarchy())
    }

    /// One on which a normal user does.
    pub fn rootless(scene: &'a Scene) -> Engine<'a> {
        Engine::make(scene, Some(User::new(scene)), "")
    }

    /// The same without a cgroup v2 beside v1.
    pub fn rootless_beside_crun(scene: &'a Scene) -> Engine<'a> {
        Engine::make(scene, Some(User::new(scene)), &second_hierarchy())
    }

    fn make(scene: &'a Scene, user: Option<User<'a>>, unmounted: &str) -> Engine<'a> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let group = format!("{}{}-{}", leaks::MARK, process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // Who runs it need not be able to reach the one under test; the name makes it a runtime.
        let runtime = scene.path("vial-oci");
        fs::copy(VIAL, &runtime).expect("copy vial");
        fs::set_permissions(&runtime, PermissionsExt::from_mode(0o755)).expect("let all execute vial");
        let at = |name: &str| scene.path(name).display().to_string();
        let home = user.as_ref().map_or_else(|| scene.directory().to_owned(), User::home);
        let limits = "default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]";
        let configuration = format!(
            "[containers]\n{limits}\nnetns = \"none\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"vial\"\n\
             runtime_supports_nocgroup = [\"vial\", \"crun\"]\nruntime_supports_json = [\"vial\", \"crun\", \"runc\"]\n\
             infra_image = \"localhost/infra\"\n\
             [engine.runtimes]\nvial = [\"{}\"]\n\
             [network]\nnetwork_config_dir = \"{}\"\n",
            at("vial-oci"),
            home.join("networks").display(),
        );
        fs::write(scene.path("containers.conf"), configuration).expect("write containers.conf");
        let id = user.as_ref().map_or(0, |user| user.id).to_string();
        let words = ["-m", "-n", "sh", "-c", HOST, &at(""), &id, unmounted];
        let holder = scene.command("unshare", words).limit(Duration::from_mins(20)).start();
        let ready = scene.path("ready");
        let mut holder = holder;
        eventually("the engine's host is ready", || (ready.exists() || holder.has_ended()).then_some(()));
        assert!(ready.exists(), "the engine's host could not be made: {}", holder.wait().shown());
        Engine { scene, user, holder: RefCell::new(Some(holder)), group, containerd: RefCell::new(None) }
    }

    /// A program on the host, as the user.
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, words: impl IntoIterator<Item = S>) -> Cmd<'a> {
        let holder = self.holder.borrow().as_ref().expect("the host is there").id().to_string();
        let mut before = vec!["-t".to_owned(), holder, "-m".into(), "-n".into()];
        let id = self.user.as_ref().map(|user| user.id.to_string());
        if let Some(id) = &id {
            let word = |text: &str| text.to_owned();
            before.extend([word("setpriv"), word("--reuid"), id.clone(), word("--regid"), id.clone()]);
            before.push(word("--clear-groups"));
        }
        let home = self.home();
        let script = "cd \"$0\" && unset VIAL_ROOT VIAL_PULL VIAL_NETWORK && exec \"$@\"";
        before.extend(["sh", "-c", script, &home.display().to_string(), program].map(str::to_owned));
        let command = self.scene.command("nsenter", before).args(words).env("HOME", &home);
        let command = command.env("CONTAINERS_CONF", self.scene.path("containers.conf")).env("TMPDIR", &home);
        match id {
            Some(id) => command.env("USER", "tester").env("XDG_RUNTIME_DIR", format!("/run/user/{id}")),
            None => command,
        }
    }

    /// Where the user's files are.
    pub fn home(&self) -> PathBuf {
        match &self.user {
            Some(user) => user.home(),
            None => self.scene.directory().to_owned(),
        }
    }

    /// Where images and containers are.
    fn store(&self) -> [String; 6] {
        let home = self.home().display().to_string();
        let run = self.user.as_ref().map_or("/run/storage".to_owned(), |user| format!("/run/user/{}/storage", user.id));
        let root = format!("{home}/storage");
        ["--root".into(), root, "--runroot".into(), run, "--storage-driver".into(), "vfs".into()]
    }

    /// podman with vial as its runtime.
    pub fn podman(&self, words: &[&str]) -> Cmd<'a> {
        self.podman_on("vial", words)
    }

    /// podman with another runtime. Containers get a control group below the test's own.
    pub fn podman_on(&self, runtime: &str, words: &[&str]) -> Cmd<'a> {
        let mut all: Vec<String> = self.store().into();
        all.extend(["--log-level".into(), "error".into(), "--runtime".into(), runtime.into()]);
        let (verb, rest) = words.split_first().expect("podman has a command");
        let is_making = matches!(*verb, "run" | "create" | "build") || words.starts_with(&["pod", "create"]);
        let verbs = if *verb == "pod" { 2 } else { 1 };
        all.extend(words[..verbs].iter().map(|word| (*word).to_owned()));
        let has_own = rest.iter().any(|word| ["--pod", "--cgroup-parent", "--cgroups=disabled"].contains(word));
        if is_making && !has_own && self.user.is_none() {
            // buildah takes that of its parent itself, which must have no others below then.
            let below = if *verb == "build" { "/build" } else { "" };
            all.push(format!("--cgroup-parent=/{}{below}", self.group));
        }
        all.extend(words[verbs..].iter().map(|word| (*word).to_owned()));
        self.command("podman", all)
    }

    /// What a shell script does on a terminal of its own; podman is `$PODMAN`.
    pub fn on_a_terminal(&self, script: &str, input: &str) -> Output {
        let podman = format!("podman {} --runtime vial", self.store().join(" "));
        fs::write(self.home().join("script"), script).expect("write a script");
        let words = ["-qefc", "stty rows 33 cols 77; . ./script", "/dev/null"];
        let mut output = self.command("script", words).env("PODMAN", podman).env("SHELL", "/bin/sh").input(input).run();
        // What `script` types at the end of its own input.
        output.stdout = output.stdout.replace("^@", "").replace("^D\u{8}\u{8}", "").replace('\r', "");
        output
    }

    /// buildah with vial as its runtime.
    pub fn buildah(&self, words: &[&str]) -> Cmd<'a> {
        self.command("buildah", self.store()).args(words)
    }

    /// What a program of the container's prints; podman makes it anew, and removes it.
    #[track_caller]
    pub fn inside(&self, options: &[&str], script: &str) -> String {
        let words = [&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat();
        let mut output = self.podman(&words).ok();
        if output.stdout.is_empty() {
            // Programs write to pipes of podman's monitor; on a loaded machine all of it was lost between that and podman once.
            output = self.podman(&words).ok();
        }
        output.stdout.trim_end().to_owned()
    }

    /// Gives podman and buildah the image.
    pub fn import(&self) {
        let archive = self.archive();
        self.podman(&["import", &archive, IMAGE]).ok();
    }

    /// An archive of the busybox root.
    pub fn archive(&self) -> String {
        let archive = self.scene.path("root.tar");
        if !archive.exists() {
            let (from, to) = (self.scene.rootfs().display().to_string(), archive.display().to_string());
            // The tests' own root belongs to whoever runs them.
            self.scene.command("tar", ["--owner=0", "--group=0", "-C", &from, "-cf", &to, "."]).ok();
        }
        archive.display().to_string()
    }

    /// The directories of the container's control group, one for each hierarchy of v1 or v2 that has it.
    pub fn groups(&self, name: &str) -> Vec<PathBuf> {
        hierarchies().iter().map(|mount| mount.join(&self.group).join(name)).filter(|path| path.exists()).collect()
    }

    /// Starts a containerd.
    pub fn start_containerd(&self) {
        let at = |name: &str| self.scene.path(name).display().to_string();
        let disabled = ["grpc.v1.cri", "snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.devmapper"];
        let disabled = disabled.map(|name| format!("\"io.containerd.{name}\"")).join(", ");
        let configuration = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [{disabled}]\n[grpc]\naddress = \"{}\"\n",
            at("containerd"),
            at("containerd-state"),
            at("containerd.sock"),
        );
        fs::write(self.scene.path("containerd.toml"), configuration).expect("write containerd's configuration");
        let log = at("containerd.log");
        let script = "exec containerd -c \"$0\" >\"$1\" 2>&1";
        let words = ["-c", script, &at("containerd.toml"), &log];
        let started = self.command("sh", words).limit(Duration::from_mins(20)).start();
        *self.containerd.borrow_mut() = Some(started);
        eventually("containerd answers", || (self.ctr(&["version"]).run().code == 0).then_some(()));
    }

    /// containerd's own client.
    pub fn ctr(&self, words: &[&str]) -> Cmd<'a> {
        let socket = self.scene.path("containerd.sock").display().to_string();
        self.command("ctr", ["-a", &socket, "-n", &self.group]).args(words)
    }

    /// Asserts that vial knows of no container any more.
    #[track_caller]
    pub fn assert_vial_has_none(&self) {
        let script = "ls /run/vial/oci ${XDG_RUNTIME_DIR:-/nowhere}/vial/oci 2>/dev/null; true";
        let names = self.command("sh", ["-c", script]).ok().stdout;
        let left: Vec<&str> = names.lines().filter(|line| !line.is_empty() && !line.ends_with(':')).collect();
        assert!(left.is_empty(), "vial still has the containers {left:?}");
    }

    /// Ends everything; asserts that no container and no control group of one is left.
    #[track_caller]
    pub fn end(self) {
        if self.containerd.borrow().is_none() {
            self.podman(&["pod", "rm", "-fa", "-t", "0"]).ok();
            // Its own cleaning up is in the way for a moment, with runc below as well.
            eventually("podman removes its containers", || {
                let removed = self.podman(&["rm", "-fa", "-t", "0"]).run();
                (!removed.stderr.contains("/shm: device or resource busy")).then(|| removed.ends(0))
            });
        }
        self.assert_vial_has_none();
        let left = self.left_groups();
        assert!(left.is_empty(), "control groups are left: {left:?}");
    }

    /// The control groups that are there, but for those above containers' own.
    pub fn left_groups(&self) -> Vec<String> {
        let mut left = Vec::new();
        for mount in hierarchies() {
            let inside = fs::read_dir(mount.join(&self.group)).into_iter().flatten().flatten();
            // podman leaves that of its monitors.
            let groups = inside.filter(|entry| entry.path().is_dir() && entry.file_name() != "conmon");
            left.extend(groups.map(|entry| entry.path().display().to_string()));
        }
        left
    }

    /// Removes the control groups that another runtime has left, as far as they are empty.
    pub fn remove_groups(&self) {
        for mount in hierarchies() {
            remove_groups(&mount.join(&self.group));
        }
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && self.containerd.borrow().is_none() {
            // What runs in control groups would keep them when they are removed below.
            let _ = self.podman(&["pod", "rm", "-fa", "-t", "0"]).run();
            let _ = self.podman(&["rm", "-fa", "-t", "0"]).run();
        }
        if self.user.is_some() {
            // The process that holds the user's namespace.
            let _ = self.podman(&["system", "migrate"]).run();
        }
        for process in [self.containerd.take(), self.holder.take()].into_iter().flatten() {
            let _ = Command::new("/bin/kill").arg(process.id().to_string()).stderr(Stdio::null()).status();
            let _ = process.wait();
        }
        // What ends now is in them for a moment more.
        let ends = Instant::now() + Duration::from_secs(5);
        let groups = || hierarchies().into_iter().map(|mount| mount.join(&self.group)).filter(|group| group.exists());
        while groups().count() > 0 && Instant::now() < ends {
            groups().for_each(|group| remove_groups(&group));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Removes control groups that are empty, with those below.
fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove_groups(&entry.path());
    }
    let _ = fs::remove_dir(group);
}

/// Where control groups are mounted.
fn hierarchies() -> Vec<PathBuf> {
    mounts(|line| line.contains(" - cgroup ") || line.contains(" - cgroup2 "))
}

/// Where v2 is mounted beside v1; empty if it is not.
fn second_hierarchy() -> String {
    let found = mounts(|line| line.contains(" - cgroup2 "));
    let second = found.iter().find(|path| *path != Path::new("/sys/fs/cgroup"));
    second.map(|path| path.display().to_string()).unwrap_or_default()
}

fn mounts(is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lines = table.lines().filter(|line| is_wanted(line));
    lines.filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect()
}
