//! A machine that vial brings up: from the moment at which its kernel hands over to a container that runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[path = "../vm/cpio.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod cpio;
#[path = "../vm/kernel.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod kernel;

use super::VIAL;
use super::measure::{installed, median_and_least};
use super::peers::make_rootfs;
use super::report::{Report, Table, milliseconds};

/// How long a machine may take.
const LIMIT: &str = "60";
/// vial imports the archive, which is all that is there besides, and the container tells the time since the kernel's start.
const WORDS: &str = r#"vial.modules=overlay vial.run="--rm --network none bb busybox cat /proc/uptime""#;

/// Boots the machine so many times.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    let Some(kernel) = kernel::kernel().filter(|kernel| installed(kernel.board.emulator)) else {
        report.note("boot: left out, needs qemu and the kernel that tests/run fetches");
        return;
    };
    fs::create_dir_all(directory).expect("make a directory");
    let (root, archive) = (directory.join("rootfs"), directory.join("bb.tar.gz"));
    make_rootfs(&root).expect("make a root file system");
    let packed = Command::new("tar").arg("-C").arg(&root).arg("-czf").arg(&archive).arg(".").status();
    assert!(packed.is_ok_and(|status| status.success()), "make an archive");
    let mut first = cpio::Cpio::default();
    first.program("init", &fs::read(VIAL).expect("read vial"));
    for name in ["images", "lib", "lib/modules"] {
        first.directory(name);
    }
    first.program("images/bb.tar.gz", &fs::read(&archive).expect("read the archive"));
    let library = kernel.library(&["overlay"]);
    first.directory(library[0].0.rsplit_once('/').expect("it has a directory").0);
    for (path, content) in &library {
        first.program(path, content);
    }
    let disk = directory.join("initramfs");
    fs::write(&disk, first.finish()).expect("write the first root");
    let times = (0..rounds).map(|_| boot(&kernel, &disk)).collect();
    let (median, least) = median_and_least(times);
    let title = format!(
        "From the kernel's handing over to a running container, on an emulated machine (Linux {}, {} without KVM), {rounds} rounds.",
        kernel.version(),
        kernel.board.emulator,
    );
    let mut table = Table::new(title, &["median ms", "least ms"]);
    table.row("vial boot", vec![milliseconds(median), milliseconds(least)]);
    report.add(&table);
}

/// How long it took once, by the machine's own clock.
fn boot(kernel: &kernel::Kernel, disk: &Path) -> Duration {
    let board = &kernel.board;
    let words = format!("console={} loglevel=7 printk.time=1 panic=-1 {WORDS}", board.console);
    let mut qemu = Command::new("timeout");
    qemu.args([LIMIT, board.emulator]).args(board.options).args(["-accel", "tcg", "-m", "512", "-nodefaults"]);
    qemu.args(["-display", "none", "-serial", "stdio", "-no-reboot", "-append", &words]);
    qemu.args(["-kernel".as_ref(), kernel.image.as_os_str(), "-initrd".as_ref(), disk.as_os_str()]);
    let output = qemu.stdin(Stdio::null()).output().expect("run the emulator");
    let console = String::from_utf8_lossy(&output.stdout);
    let lines = || console.lines().map(|line| line.trim_end_matches('\r'));
    let handed_over = lines().find(|line| line.contains("Run /init as init process"));
    let handed_over = handed_over.and_then(|line| line.trim_start_matches('[').split(']').next()?.trim().parse().ok());
    // Two numbers: since the start, and of them without anything to do.
    let told = lines().find_map(|line| line.split_once(' ')?.0.parse().ok().filter(|_| !line.starts_with('[')));
    let (Some(handed_over), Some(told)) = (handed_over, told) else { panic!("the machine did not tell: {console}") };
    Duration::from_secs_f64(f64::max(told, handed_over) - handed_over)
}
