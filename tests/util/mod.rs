//! What the tests share: needs, a scene with a fresh root directory, commands with a time limit, a check for what is left.

pub mod account;
pub mod archive;
pub mod bpf;
pub mod bundle;
pub mod bus;
pub mod command;
pub mod container;
pub mod detached;
pub mod disk;
pub mod dns;
pub mod elf;
pub mod engine;
pub mod faults;
pub mod image;
pub mod killer;
pub mod leaks;
pub mod needs;
pub mod network;
pub mod registry;
pub mod rootfs;
pub mod scene;
pub mod source;
pub mod strace;
pub mod tracer;
pub mod traffic;
pub mod tree;
pub mod user;
pub mod weak;

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use libtest_mimic::{Failed, Trial};

pub use needs::Need;
pub use scene::Scene;

/// Defines `trials()` for a test file: each test function with what it needs.
macro_rules! trials {
    ($($test:ident [$($need:expr),* $(,)?];)*) => {
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            #[allow(unused_imports, reason = "some files need nothing")]
            use $crate::util::Need::*;
            vec![$($crate::util::trial(concat!(module_path!(), "::", stringify!($test)), &[$($need),*], $test)),*]
        }
    };
}

/// A test in its own scene; ignored, with the reason in its name, when something that it needs is missing.
pub fn trial(path: &str, needs: &[Need], test: fn(&Scene)) -> Trial {
    let name = path.split_once("::").map_or(path, |(_crate, name)| name).to_owned();
    let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
    let shown = if missing.is_empty() { name.clone() } else { format!("{name} ({})", missing.join(", ")) };
    let run = move || {
        let _watch = watch(name.clone());
        let scene = Scene::new(&name);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            test(&scene);
            scene.assert_nothing_left();
        }));
        drop(scene);
        outcome.map_err(|_| Failed::from(PANIC.take()))
    };
    Trial::test(shown, run).with_ignored_flag(!missing.is_empty())
}

/// After so long a test hangs.
const LONGEST: Duration = Duration::from_mins(25);
/// What takes longer is told.
const LONG: Duration = Duration::from_secs(20);

/// Ends everything, and says why, if what is returned still exists after [`LONGEST`]: nobody waits for what never ends.
fn watch(name: String) -> mpsc::Sender<()> {
    let (watched, watcher) = mpsc::channel();
    let start = Instant::now();
    thread::spawn(move || {
        if watcher.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} has not ended after {} s", LONGEST.as_secs());
            process::exit(101);
        }
        if start.elapsed() > LONG {
            eprintln!("{name} took {} s", start.elapsed().as_secs());
        }
    });
    watched
}

/// Says that something is over when it goes, also when what it belongs to has failed: who waits for that never waits in vain.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has nobody ignore the terminal's signals, as jobs do that a shell has in the background: vial leaves that as it is.
pub fn heed_signals() {
    let status = fs::read_to_string("/proc/self/status").expect("read this process's status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).expect("it has a mask");
    if ignored & (1 << (libc::SIGINT - 1) | 1 << (libc::SIGQUIT - 1)) != 0 {
        let program = env::current_exe().expect("this program has a path");
        let error =
            Command::new("env").arg("--default-signal=INT,QUIT").arg(program).args(env::args_os().skip(1)).exec();
        eprintln!("the tests ignore SIGINT and SIGQUIT, and can't say otherwise: {error}");
    }
}

/// As root gives this process, which has no threads yet, a network namespace of its own with a loopback, so that all that the
/// tests do with networks stays there and goes with them; whether that is so.
pub fn own_network() -> bool {
    if vial::sys::process::geteuid() != 0 {
        return true;
    }
    MACHINES_NETWORK.get_or_init(|| File::open("/proc/self/ns/net").ok());
    if vial::sys::process::unshare(libc::CLONE_NEWNET).is_err() {
        return false;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    up.is_ok_and(|status| status.success())
}

/// The network namespace that the tests were started in.
static MACHINES_NETWORK: OnceLock<Option<File>> = OnceLock::new();

/// What has nsenter(1) run something in the network that the tests were started in, for what is to be downloaded.
pub fn machines_network() -> String {
    match MACHINES_NETWORK.get() {
        Some(Some(file)) => format!("--net=/proc/{}/fd/{}", process::id(), file.as_raw_fd()),
        _ => "--net=/proc/self/ns/net".to_owned(),
    }
}

thread_local! {
    /// The last panic of this thread: what and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics for the list of failures, where each stands beside its test, instead of printing them as they come.
pub fn keep_panics() {
    panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
}
