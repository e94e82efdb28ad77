//! A host of a test's own: a network namespace in which vial runs, and a second one behind a cable, which is the rest of the
//! world. Whatever a test does with interfaces, packet filters and ports stays there.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::Scene;
use super::command::{Cmd, Output, VIAL};
use super::detached::Detached;
use super::traffic::{NAP, PATIENCE, Place};

/// Stays until it is stopped, which takes no time.
pub const STAY: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
/// The host's addresses on its cable.
pub const HOST: [&str; 2] = ["198.51.100.1", "2001:db8:1::1"];
/// Those of the other end, to which the host's default route leads.
pub const REMOTE: [&str; 2] = ["198.51.100.2", "2001:db8:1::2"];
/// The host's loopback.
pub const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];
/// The host's interface at the cable.
pub const CABLE: &str = "net0";
/// A web server in the busybox root, and a line that tells whose it is.
pub const WEB: &str = "mkdir -p /www; hostname >/www/index.html; httpd -f -p '[::]:80' -h /www";

/// The host, with what it is connected to.
pub struct Host<'a> {
    scene: &'a Scene,
    /// What all names of this test end with.
    tag: String,
    /// The stores in use: directories of the scene.
    stores: RefCell<Vec<&'static str>>,
}

impl<'a> Host<'a> {
    /// A host whose cable has the usual MTU.
    pub fn new(scene: &'a Scene) -> Host<'a> {
        Host::with_mtu(scene, 1500)
    }

    /// A host at a cable with this MTU.
    pub fn with_mtu(scene: &'a Scene, mtu: u32) -> Host<'a> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let tag = format!("vt{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let host = Host { scene, tag, stores: RefCell::new(vec!["root"]) };
        let (near, far) = (host.netns(), host.netns_of_remote());
        for name in [&near, &far] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
            // A new namespace takes after the machine's.
            ip(&["netns", "exec", name, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"]);
        }
        let mtu = mtu.to_string();
        #[rustfmt::skip]
        ip(&["link", "add", CABLE, "mtu", &mtu, "netns", &near, "type", "veth", "peer", "name", CABLE, "mtu", &mtu, "netns", &far]);
        for (name, own) in [(&near, HOST), (&far, REMOTE)] {
            ip(&["-n", name, "address", "add", &format!("{}/24", own[0]), "dev", CABLE]);
            ip(&["-n", name, "address", "add", &format!("{}/64", own[1]), "dev", CABLE, "nodad"]);
            ip(&["-n", name, "link", "set", CABLE, "up"]);
        }
        for remote in REMOTE {
            ip(&["-n", &near, "route", "add", "default", "via", remote]);
        }
        host
    }

    fn netns(&self) -> String {
        format!("{}h", self.tag)
    }

    fn netns_of_remote(&self) -> String {
        format!("{}r", self.tag)
    }

    /// The host's namespace.
    pub fn place(&self) -> Place {
        Place::named(&self.netns())
    }

    /// The namespace of the rest of the world.
    pub fn remote(&self) -> Place {
        Place::named(&self.netns_of_remote())
    }

    /// A name that no other test's containers have, and of which `/run/netns` has none yet.
    pub fn name(&self, word: &str) -> String {
        format!("{word}-{}", self.tag)
    }

    /// A program on the host.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, program: &str, words: impl IntoIterator<Item = S>) -> Cmd<'a> {
        self.run_in(&self.netns(), &[program], words)
    }

    /// A program in the rest of the world.
    pub fn command_there<S: AsRef<std::ffi::OsStr>>(
        &self,
        program: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Cmd<'a> {
        self.run_in(&self.netns_of_remote(), &[program], words)
    }

    /// Another namespace of the kernel's, but no other mounts: `ip netns exec` would hide the control groups.
    fn run_in<S: AsRef<std::ffi::OsStr>>(
        &self,
        netns: &str,
        program: &[&str],
        words: impl IntoIterator<Item = S>,
    ) -> Cmd<'a> {
        self.scene.command("nsenter", [format!("--net=/run/netns/{netns}")]).args(program).args(words)
    }

    /// vial, which connects containers as it does for everybody.
    pub fn vial<S: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Cmd<'a> {
        self.run_in(&self.netns(), &["env", "-u", "VIAL_NETWORK", VIAL], words)
    }

    /// vial with another store.
    pub fn vial_of<S: AsRef<std::ffi::OsStr>>(
        &self,
        store: &'static str,
        words: impl IntoIterator<Item = S>,
    ) -> Cmd<'a> {
        if !self.stores.borrow().contains(&store) {
            self.stores.borrow_mut().push(store);
        }
        self.vial(words).env("VIAL_ROOT", self.scene.path(store))
    }

    /// `vial run -d` of a shell script in the busybox root, under a name that begins with this word.
    pub fn start(&self, word: &str, options: &[&str], script: &str) -> Cmd<'a> {
        let rootfs = self.scene.rootfs().display().to_string();
        let name = self.name(word);
        self.vial(["run", "-d", "--name", &name]).args(options).args([&rootfs, "sh", "-c", script])
    }

    /// The same, and it must succeed.
    #[track_caller]
    pub fn container(&self, word: &str, options: &[&str], script: &str) -> Guest<'a> {
        self.start(word, options, script).ok();
        self.guest(word)
    }

    /// The container whose name begins with this word.
    #[track_caller]
    pub fn guest(&self, word: &str) -> Guest<'a> {
        Guest(Detached::find(self.scene, &self.name(word)))
    }

    /// What a script prints in a container of its own.
    #[track_caller]
    pub fn inside(&self, options: &[&str], script: &str) -> String {
        let rootfs = self.scene.rootfs().display().to_string();
        let command = self.vial(["run", "--rm"]).args(options).args([&rootfs, "sh", "-c", script]);
        command.ok().stdout.trim_end().to_owned()
    }

    /// What `ip` prints on the host.
    #[track_caller]
    pub fn ip(&self, words: &[&str]) -> String {
        self.command("ip", words).ok().stdout
    }

    /// The host's interfaces that it has not had from the beginning, by name.
    #[track_caller]
    pub fn interfaces(&self) -> Vec<String> {
        let listed = self.ip(&["-o", "link"]);
        let names = listed.lines().filter_map(|line| Some(line.split(": ").nth(1)?.split('@').next()?.to_owned()));
        names.filter(|name| !["lo", CABLE].contains(&name.as_str())).collect()
    }

    /// Everything that the packet filters have.
    #[track_caller]
    pub fn rules(&self) -> String {
        self.command("nft", ["-a", "list", "ruleset"]).ok().stdout
    }

    /// What is left of containers though none is there: all but the networks themselves, their bridges and tables.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(self.interfaces().into_iter().filter(|name| name.starts_with("vl")));
        let rules = self.rules();
        left.extend(rules.lines().filter(|line| line.contains("elements")).map(str::to_owned));
        for store in self.stores.borrow().iter() {
            for network in entries(&self.scene.path(store).join("networks")) {
                for kind in ["leases", "names"] {
                    left.extend(entries(&network.join(kind)).iter().map(|path| path.display().to_string()));
                }
            }
        }
        left.extend(self.named().iter().map(|path| path.display().to_string()));
        left.extend(self.processes().into_iter().map(|(id, line)| format!("process {id} {line}")));
        left
    }

    /// What lies among the files of networks that was never finished.
    pub fn unfinished(&self) -> Vec<String> {
        let mut found = Vec::new();
        for store in self.stores.borrow().iter() {
            let networks = self.scene.path(store).join("networks");
            let all =
                entries(&networks).into_iter().flat_map(|network| [vec![network.clone()], entries(&network)].concat());
            let names = all.map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            found.extend(names.filter(|name| name.starts_with('.') || name.starts_with("lease.")));
        }
        found
    }

    /// The names of containers' network namespaces.
    pub fn named(&self) -> Vec<PathBuf> {
        let end = format!("-{}", self.tag);
        let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&end));
        entries(Path::new("/run/netns")).into_iter().filter(is_ours).collect()
    }

    /// The processes on the host, with their command lines.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let namespace = self.place().id();
        let mut found = Vec::new();
        for entry in entries(Path::new("/proc")) {
            let Some(id) = entry.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
            if fs::read_link(entry.join("ns/net")).is_ok_and(|link| link.display().to_string() == namespace)
                && id != process::id()
            {
                let line = fs::read(entry.join("cmdline")).unwrap_or_default();
                found.push((id, String::from_utf8_lossy(&line).replace('\0', " ")));
            }
        }
        found
    }

    /// Asserts that nothing of containers is left, which may take the kernel a moment.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        self.assert_nothing_left_of("all");
    }

    /// The same; `what` tells those who read of a failure what was done.
    #[track_caller]
    pub fn assert_nothing_left_of(&self, what: &str) {
        let ends = Instant::now() + PATIENCE / 2;
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < ends, "{what}: left behind:\n{}", left.join("\n"));
            thread::sleep(NAP * 4);
        }
    }

    /// Ends all containers and removes all networks; asserts that nothing is left then, in the kernel or elsewhere.
    #[track_caller]
    pub fn end(&self) {
        let stores = self.stores.borrow().clone();
        for store in &stores {
            let ids = self.containers(store);
            if !ids.is_empty() {
                self.vial_of(store, ["rm", "-f", "-v"]).args(&ids).ok();
            }
        }
        self.assert_nothing_left();
        for store in &stores {
            for network in entries(&self.scene.path(store).join("networks")) {
                let name = network.file_name().expect("it has a name").to_owned();
                self.vial_of(store, ["network", "rm"]).args([name]).ok();
            }
        }
        assert_eq!(self.interfaces(), [""; 0], "interfaces are left");
        assert!(
            !self.rules().contains("table ip vial") && !self.rules().contains("table ip6 vial"),
            "{}",
            self.rules()
        );
    }

    fn containers(&self, store: &str) -> Vec<String> {
        let all = entries(&self.scene.path(store).join("containers"));
        all.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    /// A `vial run` that is refused before its workload starts: nothing of it is left, and nothing has run.
    #[track_caller]
    pub fn is_refused(&self, options: &[&str]) -> Output {
        let mark = self.scene.path("started");
        let volume = format!("{}:/scene", self.scene.directory().display());
        let refused = self.start("refused", &[&["-v", &volume], options].concat(), "touch /scene/started; sleep 600");
        let output = refused.ends(125).prints("");
        assert!(!mark.exists(), "the workload ran: {}", output.shown());
        let name = self.name("refused");
        let listed = self.vial(["ps", "-a", "--format", "{{.Names}}"]).ok().stdout;
        assert!(!listed.contains(&name), "it is still there: {listed}");
        assert!(!self.named().iter().any(|path| path.ends_with(&name)), "its namespace still has a name");
        output
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        for store in self.stores.borrow().iter() {
            let ids = self.containers(store);
            for words in [["rm", "-f"].iter().copied().chain(ids.iter().map(String::as_str)).collect(), vec!["gc"]] {
                let mut vial = Command::new("nsenter");
                vial.arg(format!("--net=/run/netns/{}", self.netns())).arg(VIAL).args(words);
                vial.env("VIAL_ROOT", self.scene.path(store)).stdin(Stdio::null());
                let _ = vial.stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
        }
        for (id, _) in self.processes() {
            let _ = Command::new("/bin/kill").arg("-KILL").arg(id.to_string()).stderr(Stdio::null()).status();
        }
        let names = self.named();
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        for name in names.chain([self.netns().as_str(), self.netns_of_remote().as_str()]) {
            let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
        }
    }
}

/// A container on the host.
pub struct Guest<'a>(pub Detached<'a>);

impl Guest<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its network namespace.
    #[track_caller]
    pub fn place(&self) -> Place {
        Place::of(self.0.pid())
    }

    /// Its addresses at an interface, as it has them: IPv4 and IPv6, with the lengths of their prefixes.
    #[track_caller]
    pub fn addresses(&self, interface: &str) -> [String; 2] {
        let pid = self.0.pid();
        let words = [format!("--net=/proc/{pid}/ns/net"), "ip".into(), "-o".into(), "address".into()];
        let output =
            Command::new("nsenter").args(words).args(["show", "dev", interface]).output().expect("run nsenter");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ["inet", "inet6"].map(|family| {
            let own = text.lines().filter(|line| !line.contains("scope link"));
            let words = own.map(|line| line.split_whitespace().collect::<Vec<_>>());
            let found = words.filter(|words| words.get(2) == Some(&family)).find_map(|words| words.get(3).copied());
            found.unwrap_or_default().to_owned()
        })
    }

    /// Its addresses at `eth0`: IPv4 and IPv6.
    #[track_caller]
    pub fn own(&self) -> [String; 2] {
        self.addresses("eth0").map(|address| {
            let (address, _) = address.split_once('/').expect("it has an address of each family");
            address.to_owned()
        })
    }

    /// What a script prints in it.
    #[track_caller]
    pub fn exec(&self, host: &Host<'_>, script: &str) -> String {
        host.vial(["exec", self.name(), "sh", "-c", script]).ok().stdout.trim_end().to_owned()
    }
}

/// `ip`, in the tests' own namespace.
#[track_caller]
fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().expect("run ip");
    assert!(output.status.success(), "ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
}

fn entries(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
