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

mod audit;
mod boot;
mod decode;
mod import;
mod keepers;
mod load;
mod many;
mod measure;
mod network;
mod oci;
mod peers;
mod start;

#[path = "../util/elf.rs"]
mod elf;
#[path = "../util/strace.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod strace;

use std::path::PathBuf;
use std::process::{Command, ExitCode, id};
use std::{env, fs};

/// The binary under test.
const VIAL: &str = env!("CARGO_BIN_EXE_vial");

/// What the command line asks for.
struct Options {
    /// Its parts; none for all.
    parts: Vec<String>,
    rounds: Option<usize>,
    archive: Option<PathBuf>,
    directory: PathBuf,
}

fn main() -> ExitCode {
    let (Some(options), true) = (options(), measure::is_root()) else {
        eprintln!(
            "usage, as root: cargo bench -- [start] [import] [load] [decode] [many] [network] [oci] [boot] [audit] [--rounds N] [--archive FILE] [--directory DIR]"
        );
        return ExitCode::FAILURE;
    };
    if let Some(code) = inside_own_mounts() {
        return code;
    }
    fs::create_dir_all(&options.directory).expect("make the bench's directory");
    println!("{}\n", measure::machine());
    let wanted = |name: &str| options.parts.is_empty() || options.parts.iter().any(|part| part == name);
    let at = |name: &str| options.directory.join(name);
    let rounds = |usual: usize| options.rounds.unwrap_or(usual);
    if wanted("start") {
        start::bench(&at("start"), rounds(100));
    }
    if wanted("import") {
        import::bench(&at("import"), rounds(5), options.archive.as_deref());
    }
    if wanted("load") {
        load::bench(&at("load"), rounds(3));
    }
    if wanted("decode") {
        decode::bench(&at("decode"), rounds(5));
    }
    if wanted("many") {
        many::bench(&at("many"), rounds(500));
    }
    if wanted("network") {
        network::bench(&at("network"), rounds(20));
    }
    if wanted("oci") {
        oci::bench(&at("oci"), rounds(100));
    }
    if wanted("boot") {
        boot::bench(&at("boot"), rounds(5));
    }
    if wanted("audit") {
        audit::bench(&at("audit"), rounds(5));
    }
    measure::remove(&options.directory);
    ExitCode::SUCCESS
}

fn options() -> Option<Options> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("vial-bench-{}", id()));
    let mut options = Options { parts: Vec::new(), rounds: None, archive: None, directory };
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // What cargo adds.
            "--bench" => {}
            "start" | "import" | "load" | "decode" | "many" | "network" | "oci" | "boot" | "audit" => {
                options.parts.push(arg);
            }
            "--rounds" => options.rounds = Some(args.next()?.parse().ok().filter(|rounds| *rounds > 0)?),
            "--archive" => options.archive = Some(fs::canonicalize(args.next()?).ok()?),
            "--directory" => options.directory = PathBuf::from(args.next()?).join(format!("vial-bench-{}", id())),
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
