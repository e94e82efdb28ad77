//! A normal user, made for one test: the machine's own files of users stay as they are, since commands see others in their place.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::command::{Cmd, VIAL};
use super::network::Host;
use super::scene::Scene;

/// IDs that no user has; the next ones are those of further users.
static NEXT: AtomicU32 = AtomicU32::new(0);
const FIRST: u32 = 59_000;
/// The first of their subordinate IDs.
const SUBORDINATE: u32 = 1_000_000;
/// How many each has.
pub const COUNT: u32 = 65_536;

/// A normal user of a scene.
pub struct User<'a> {
    scene: &'a Scene,
    /// Its number.
    pub id: u32,
    /// The first of its subordinate IDs.
    pub first: u32,
}

impl<'a> User<'a> {
    /// One with subordinate IDs.
    pub fn new(scene: &'a Scene) -> User<'a> {
        let user = User::alone(scene);
        let line = format!("someone:1:1\ntester:{}:{COUNT}\n", user.first);
        for name in ["subuid", "subgid"] {
            fs::write(scene.path(name), &line).expect("write the user's subordinate IDs");
        }
        user
    }

    /// One without.
    pub fn alone(scene: &'a Scene) -> User<'a> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let user = User { scene, id: FIRST + number, first: SUBORDINATE + number * COUNT };
        let id = user.id;
        let home = user.home();
        fs::create_dir(&home).expect("make the user's home");
        std::os::unix::fs::chown(&home, Some(id), Some(id)).expect("give the user a home");
        let of = |file: &str, line: String| {
            let text = fs::read_to_string(format!("/etc/{file}")).unwrap_or_default();
            fs::write(scene.path(file), text + &line).expect("write the user's entry");
        };
        of("passwd", format!("tester:x:{id}:{id}::{}:/bin/sh\n", home.display()));
        of("group", format!("tester:x:{id}:\n"));
        for name in ["subuid", "subgid"] {
            fs::write(scene.path(name), "someone:1:1\n").expect("write that the user has no subordinate IDs");
        }
        // It need not be able to reach the one under test.
        let vial = scene.path("vial");
        fs::copy(VIAL, &vial).expect("copy vial");
        fs::set_permissions(&vial, PermissionsExt::from_mode(0o755)).expect("let the user execute vial");
        user
    }

    /// A root file system of busybox that is this user's.
    pub fn rootfs(&self) -> String {
        let place = self.home().join("rootfs").display().to_string();
        if !self.home().join("rootfs").exists() {
            self.scene.command("cp", ["-a", &self.scene.rootfs().display().to_string(), &place]).ok();
            self.scene.command("chown", ["-hR", &format!("{0}:{0}", self.id), &place]).ok();
        }
        place
    }

    /// Its home directory.
    pub fn home(&self) -> PathBuf {
        self.scene.path("home")
    }

    /// Where its state is.
    pub fn root(&self) -> PathBuf {
        self.home().join(".local/share/vial")
    }

    /// vial, as this user executes it.
    pub fn vial<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Cmd<'a> {
        self.command(
            [self.scene.path("vial").display().to_string()]
                .into_iter()
                .chain(args.into_iter().map(|arg| arg.as_ref().to_owned())),
        )
    }

    /// A command line that this user executes.
    pub fn command(&self, words: impl IntoIterator<Item = String>) -> Cmd<'a> {
        self.scene.command("unshare", self.words(words))
    }

    fn words(&self, words: impl IntoIterator<Item = String>) -> Vec<String> {
        let id = self.id.to_string();
        let script = "for file in passwd group subuid subgid; do \
                          [ -e /etc/$file ] || : >/etc/$file; mount --bind $0/$file /etc/$file || exit; \
                      done; \
                      if [ -e /dev/net/tun ]; then mknod -m 666 $0/tun c 10 200; mount --bind $0/tun /dev/net/tun; fi 2>/dev/null; \
                      cd $0/home; exec setpriv --reuid $1 --regid $1 --clear-groups -- env -u VIAL_ROOT \
                      HOME=$0/home USER=tester \"${@:2}\"";
        let here = self.scene.directory().display().to_string();
        ["-m", "bash", "-c", script, &here, &id].map(str::to_owned).into_iter().chain(words).collect()
    }

    /// vial on a host of the test's own, connecting containers as it does for normal users.
    pub fn vial_on<S: AsRef<str>>(&self, host: &Host<'a>, args: impl IntoIterator<Item = S>) -> Cmd<'a> {
        host.command("unshare", self.words_on(args))
    }

    /// The same as what `unshare` is to be told.
    pub fn words_on<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Vec<String> {
        let vial = ["env", "-u", "VIAL_NETWORK", &self.scene.path("vial").display().to_string()].map(str::to_owned);
        self.words(vial.into_iter().chain(args.into_iter().map(|arg| arg.as_ref().to_owned())))
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        // What the harness asks for in the end.
        let left = fs::read_dir(self.root().join("containers")).into_iter().flatten().flatten();
        let left: Vec<_> = left.map(|entry| entry.path()).collect();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "containers are left: {left:?}");
        }
    }
}
