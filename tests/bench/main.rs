//! `cargo bench`: vial beside other ways to start a container and to unpack an archive, on this machine.
//!
//!     cargo bench                        # everything
//!     cargo bench -- start --rounds 200  # from start to exit, memory and system calls
//!     cargo bench -- import --archive debian.tar --rounds 5
//!     cargo bench -- load --rounds 3     # an image of three layers
//!     cargo bench -- decode              # the decoders alone
//!     cargo bench -- many --rounds 500   # so many detached containers at once
//!     cargo bench -- network --rounds 20 # on a bridge, with published ports
//!     cargo bench -- oci --rounds 100    # create, start and delete, as engines do
//!     cargo bench -- boot --rounds 5     # a machine that vial brings up
//!     cargo bench -- audit --rounds 5    # a workload whose calls are recorded
//!     cargo bench -- exec --rounds 100   # a further process in a container
//!     cargo bench -- pull --rounds 3     # from a registry on this machine
//!     cargo bench -- start --json        # as JSON
//!     cargo bench -- check               # fails if a start takes too much of what it takes crun

mod audit;
mod boot;
mod containerd;
mod decode;
mod exec;
mod import;
mod keepers;
mod load;
mod many;
mod measure;
mod network;
mod oci;
mod peers;
mod podman;
mod pull;
mod report;
mod start;

#[path = "../util/elf.rs"]
mod elf;
#[path = "../util/strace.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod strace;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, id};
use std::{env, fs};

use report::Report;

/// The binary under test.
const VIAL: &str = env!("CARGO_BIN_EXE_vial");

/// What the command line asks for.
struct Options {
    /// Its parts; none for all.
    parts: Vec<String>,
    rounds: Option<usize>,
    archive: Option<PathBuf>,
    directory: PathBuf,
    json: bool,
}

/// What measures something in a directory, in so many rounds.
type Bench = fn(&mut Report, &Path, usize);

/// All parts, and how many rounds each has if nobody asks for others.
const PARTS: &[(&str, usize, Bench)] = &[
    ("start", 60, start::bench),
    ("exec", 60, exec::bench),
    ("oci", 60, oci::bench),
    ("network", 20, network::bench),
    ("many", 500, many::bench),
    ("import", 5, import::bench),
    ("load", 3, load::bench),
    ("pull", 3, pull::bench),
    ("decode", 5, decode::bench),
    ("audit", 3, audit::bench),
    ("boot", 5, boot::bench),
    (CHECK, 60, start::check),
];
const CHECK: &str = "check";
/// Those whose stores and roots are in memory: ext4 looks longer and longer for an inode that was not used in the last minutes when
/// thousands of files come and go, which nobody's own containers do.
const IN_MEMORY: [&str; 4] = ["start", "exec", "oci", CHECK];

fn main() -> ExitCode {
    let (Some(options), true) = (options(), measure::is_root()) else {
        let parts: Vec<String> = PARTS.iter().map(|(name, ..)| format!("[{name}]")).collect();
        eprintln!(
            "usage, as root: cargo bench -- {} [--rounds N] [--archive FILE] [--directory DIR] [--json]",
            parts.join(" ")
        );
        return ExitCode::FAILURE;
    };
    if let Some(code) = inside_own_mounts() {
        return code;
    }
    fs::create_dir_all(&options.directory).expect("make the bench's directory");
    let mut report = Report::new(options.json, measure::machine());
    for (name, rounds, bench) in PARTS {
        // What fails is there for those who ask for it.
        let is_wanted =
            if options.parts.is_empty() { *name != CHECK } else { options.parts.iter().any(|part| part == name) };
        if !is_wanted {
            continue;
        }
        let (directory, rounds) = (options.directory.join(name), options.rounds.unwrap_or(*rounds));
        if IN_MEMORY.contains(name) {
            fs::create_dir_all(&directory).expect("make a directory");
            let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&directory).status();
            assert!(mounted.is_ok_and(|status| status.success()), "mount a file system in memory");
        }
        match &options.archive {
            Some(archive) if *name == "import" => import::compare(&mut report, &directory, rounds, Some(archive)),
            _ => bench(&mut report, &directory, rounds),
        }
        if IN_MEMORY.contains(name) {
            let _ = Command::new("umount").arg("-l").arg(&directory).status();
        }
    }
    measure::remove(&options.directory);
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Option<Options> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vial-bench-{}", id()));
    let mut options = Options { parts: Vec::new(), rounds: None, archive: None, directory, json: false };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // What cargo adds.
            "--bench" => {}
            part if PARTS.iter().any(|(name, ..)| *name == part) => options.parts.push(arg),
            "--rounds" => options.rounds = Some(args.next()?.parse().ok().filter(|rounds| *rounds > 0)?),
            "--archive" => options.archive = Some(fs::canonicalize(args.next()?).ok()?),
            "--directory" => options.directory = PathBuf::from(args.next()?).join(format!("vial-bench-{}", id())),
            "--json" => options.json = true,
            _ => return None,
        }
    }
    Some(options)
}

/// crun can't start where control groups are a hybrid of both versions, unless the second one's mount is hidden. So that all
/// are measured alike, everything runs in a mount namespace without it, and vial's containers, as the others', without a network.
fn inside_own_mounts() -> Option<ExitCode> {
    const MARK: &str = "VIAL_BENCH_INSIDE";
    const UNIFIED: &str = "/sys/fs/cgroup/unified";
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let hybrid = mounts.lines().any(|line| line.split(' ').nth(4) == Some(UNIFIED));
    if env::var_os(MARK).is_some() {
        return None;
    }
    let script = format!("{} exec \"$0\" \"$@\"", if hybrid { format!("umount {UNIFIED} &&") } else { String::new() });
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]).args(env::args_os()).env(MARK, "1");
    // The others make no connection to a network either.
    command.env("VIAL_NETWORK", "none");
    let status = command.status().expect("start unshare");
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
