//! How long it takes to import a root file system's archive, beside `tar -x` and `tar -xz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::VIAL;
use super::measure::{median_and_least, remove, time};
use super::report::{Cell, Report, Table};

/// What an archive is made of when none is given: programs, libraries, many small files, links.
pub const PARTS: &[&str] = &[
    "etc",
    "usr/lib/git-core",
    "usr/lib/python3",
    "usr/lib/python3.11",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/sbin",
    "usr/share/doc",
    "usr/share/perl",
    "usr/share/vim",
    "usr/share/zoneinfo",
];

/// Measures with an archive of this machine's files.
pub fn bench(report: &mut Report, directory: &Path, rounds: usize) {
    compare(report, directory, rounds, None);
}

/// Measures and adds a table.
pub fn compare(report: &mut Report, directory: &Path, rounds: usize, archive: Option<&Path>) {
    fs::create_dir_all(directory).expect("make the bench's directory");
    let plain = directory.join("root.tar");
    match archive {
        Some(archive) => unpacked(archive, &plain),
        None => generated(&plain),
    }
    let packed = directory.join("root.tar.gz");
    self::packed("gzip -6", &plain, &packed);
    let size = fs::metadata(&plain).expect("the archive exists").len();
    let trees = directory.join("trees");
    let title = format!("Import of {} MB, {} entries, {rounds} rounds in turn.", size / 1_000_000, entries(&plain));
    let columns = ["vial import s", "least s", "tar s", "tar's least s", "ratio of medians", "MB/s of vial"];
    let mut table = Table::new(title, &columns);
    for (kind, path, flags) in [("tar", &plain, "-xf"), ("tar.gz", &packed, "-xzf")] {
        let mut own = Vec::new();
        let mut other = Vec::new();
        for _ in 0..rounds {
            own.push(into_fresh(&trees, |target| {
                [VIAL, "--root", target, "import", &path.display().to_string(), "bench"].map(str::to_owned).to_vec()
            }));
            other.push(into_fresh(&trees, |target| {
                ["tar", "--numeric-owner", "-C", target, flags, &path.display().to_string()].map(str::to_owned).to_vec()
            }));
        }
        let ((own, own_least), (other, other_least)) = (median_and_least(own), median_and_least(other));
        let (seconds, ratio) = (own.as_secs_f64(), own.as_secs_f64() / other.as_secs_f64());
        let rate = f64::from((size / 1000) as u32) / 1e3 / seconds;
        let mut cells: Vec<Cell> =
            [own, own_least, other, other_least].map(|time: Duration| Cell::Number(time.as_secs_f64(), 2)).into();
        cells.extend([Cell::Number(ratio, 2), Cell::Number(rate, 0)]);
        table.row(kind, cells);
    }
    report.add(&table);
    remove(&trees);
}

/// The time of a command that fills a new directory. What earlier rounds wrote is on the disk before the clock starts.
///
/// Nothing is removed until the end: ext4 avoids inodes that were freed in the last minutes (`recently_deleted`) at the cost of
/// a search for each new file, which would drown what is measured.
pub fn into_fresh(trees: &Path, line: impl FnOnce(&str) -> Vec<String>) -> Duration {
    let number = fs::read_dir(trees).map_or(0, Iterator::count);
    let target: PathBuf = trees.join(number.to_string());
    fs::create_dir_all(&target).expect("make a directory");
    let _ = Command::new("sync").status();
    time(&line(&target.display().to_string()))
}

/// Compresses a file by this command, which writes to standard output with `-c`.
pub fn packed(line: &str, plain: &Path, packed: &Path) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("-c").arg(plain).stdout(fs::File::create(packed).expect("make a file"));
    assert!(command.status().is_ok_and(|status| status.success()), "{line}");
}

/// A plain copy of an archive that may be compressed.
fn unpacked(archive: &Path, plain: &Path) {
    let magic = fs::read(archive).expect("read the archive");
    if magic.starts_with(&[0x1f, 0x8b]) {
        let gzip =
            Command::new("gzip").arg("-dc").arg(archive).stdout(fs::File::create(plain).expect("make a file")).status();
        assert!(gzip.is_ok_and(|status| status.success()), "gzip");
    } else {
        fs::write(plain, magic).expect("copy the archive");
    }
}

/// An archive of parts of this machine's own root.
pub fn generated(plain: &Path) {
    let parts = PARTS.iter().filter(|part| Path::new("/").join(part).exists());
    let mut tar = Command::new("tar");
    tar.args(["-C", "/", "--one-file-system", "--numeric-owner", "-cf"]).arg(plain).args(parts);
    assert!(tar.status().is_ok_and(|status| status.success()), "tar");
}

fn entries(archive: &Path) -> usize {
    let output = Command::new("tar").arg("-tf").arg(archive).output().expect("list the archive");
    String::from_utf8_lossy(&output.stdout).lines().count()
}
