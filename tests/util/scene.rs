//! A test's own directory, with a root directory for vial in it; whatever happens, nothing of it stays.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use super::command::{Cmd, VIAL};
use super::{leaks, rootfs};

/// How long the kernel may take to bury what has ended.
const GRACE: Duration = Duration::from_secs(1);

/// A test's surroundings.
pub struct Scene {
    directory: PathBuf,
}

impl Scene {
    /// A fresh directory; the name only helps whoever looks at a failure.
    pub fn new(name: &str) -> Scene {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let short: String = name.rsplit("::").next().unwrap_or(name).chars().take(24).collect();
        let directory = work_directory().join(format!("{number}-{short}"));
        fs::create_dir_all(directory.join("root")).expect("make the scene's directory");
        Scene { directory }
    }

    /// The scene's directory, which is also where commands run.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory that vial keeps everything in.
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// A path for a file of the test's own.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// vial with these arguments.
    pub fn vial<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd<'_> {
        Cmd::new(&self.directory, VIAL).args(args)
    }

    /// Another program with these arguments.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Cmd<'_> {
        Cmd::new(&self.directory, program).args(args)
    }

    /// A root file system of busybox, shared by all tests, which must not change it.
    #[expect(clippy::unused_self, reason = "reads as what the scene offers")]
    pub fn rootfs(&self) -> &'static Path {
        rootfs::shared()
    }

    /// Asserts that vial has left no mount, process or state here.
    pub fn assert_nothing_left(&self) {
        let ends = Instant::now() + GRACE;
        loop {
            let left = leaks::below(&self.directory);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < ends, "left behind:\n{}", left.join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        kill_all_below(&self.directory);
        // Only a test that failed leaves containers; their control groups lie outside of the directory.
        if fs::read_dir(self.root().join("containers")).is_ok_and(|mut entries| entries.next().is_some()) {
            let mut gc = Command::new(VIAL);
            gc.arg("gc").env("VIAL_ROOT", self.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let _ = gc.status();
        }
        unmount_all_below(&self.directory);
        remove(&self.directory);
    }
}

/// Kills what still belongs to a scene.
pub fn kill_all_below(directory: &Path) {
    for _ in 0..20 {
        let processes = leaks::processes(directory);
        if processes.is_empty() {
            return;
        }
        let ids = processes.iter().map(|process| process.id.to_string());
        let _ = Command::new("/bin/kill").arg("-KILL").args(ids).stderr(Stdio::null()).status();
        thread::sleep(Duration::from_millis(20));
    }
}

fn unmount_all_below(directory: &Path) {
    for target in leaks::mounts(directory).iter().rev() {
        let _ = Command::new("umount").arg("-l").arg(target).stderr(Stdio::null()).status();
    }
}

/// Removes a directory, but never through a mount that could not be taken away.
fn remove(directory: &Path) {
    if leaks::mounts(directory).is_empty() {
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(directory).status();
    }
}

/// This test run's directory: in Cargo's directory for it, or below `VIAL_TEST_DIR`, say when that can't hold an overlay.
pub fn work_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let parent = env::var_os("VIAL_TEST_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        remove_abandoned(&parent);
        let directory = parent.join(format!("{}{}", leaks::MARK, process::id()));
        fs::create_dir_all(&directory).expect("make the test run's directory");
        directory
    })
}

/// Whether something bears the name of a test run that is over.
fn is_abandoned(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(leaks::MARK));
    let id = name.and_then(|name| name.split('-').next()).and_then(|id| id.parse::<u32>().ok());
    id.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists())
}

/// Removes what test runs left that were killed.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(|entry| is_abandoned(&entry.path())) {
        kill_all_below(&entry.path());
        unmount_all_below(&entry.path());
        remove(&entry.path());
    }
    for group in leaks::control_groups().into_iter().filter(|group| is_abandoned(group)) {
        // One with processes stays: it is still of use to somebody.
        let _ = fs::remove_dir(group);
    }
}

/// Removes the directory of this test run.
pub fn remove_work_directory() {
    let directory = work_directory();
    unmount_all_below(directory);
    remove(directory);
}
