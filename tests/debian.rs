//! A real Debian, made by debootstrap and imported, runs what people run in one; and so does the host's own root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::util::Scene;
use crate::util::scene::work_directory;

trials! {
    a_debian_from_an_archive_runs_its_programs [Root, Tool("debootstrap"), Tool("tar"), Kernel("overlay"), Command("import")];
    a_debian_from_a_compressed_archive_runs_its_programs [Root, Tool("debootstrap"), Tool("tar"), Tool("gzip"), Kernel("overlay"), Command("import")];
    a_package_is_installed_in_a_debian [Root, Tool("debootstrap"), Tool("tar"), Tool("dpkg-deb"), Kernel("overlay"), Command("import")];
    python_on_the_hosts_root_computes_something [Root, Tool("python3"), Kernel("overlay"), Command("run")];
    a_compiler_on_the_hosts_root_makes_a_program_that_runs [Root, Tool("gcc"), Kernel("overlay"), Command("run")];
    perl_and_pipes_on_the_hosts_root [Root, Tool("perl"), Kernel("overlay"), Command("run")];
}

/// An archive of a minimal Debian 12, or why there is none. The archive is kept beside the test runs' directories, so that one
/// download serves many runs; `cargo clean` removes it.
fn archive() -> Result<&'static Path, &'static str> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    MADE.get_or_init(|| make("minbase", &[])).as_deref().map_err(String::as_str)
}

/// Makes an archive of a minimal Debian 12 with these packages, under this name.
pub fn make(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debian-bookworm-{name}.tar"));
    if kept.exists() {
        return Ok(kept);
    }
    let tree = work_directory().join(format!("debian-{name}"));
    // The tests' own network leads nowhere.
    let mut command = Command::new("nsenter");
    command
        .arg(crate::util::machines_network())
        .args(["debootstrap", "--variant=minbase"])
        .args((!packages.is_empty()).then(|| format!("--include={}", packages.join(","))))
        .arg("bookworm")
        .arg(&tree)
        .args(mirror());
    let output = command.output().map_err(|error| format!("debootstrap: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let log = fs::read_to_string(tree.join("debootstrap/debootstrap.log")).unwrap_or_default();
        let tail = |text: &str| text.lines().rev().take(8).map(|line| format!("  {line}\n")).collect::<String>();
        return Err(format!("{command:?} failed ({}):\n{}{}", output.status, tail(&said), tail(&log)));
    }
    // Complete before it has its name.
    let part = kept.with_extension("part");
    let mut command = Command::new("tar");
    command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-cf"]).arg(&part).arg("-C").arg(&tree).arg(".");
    let packed = command.status().map_err(|error| format!("tar: {error}"))?;
    let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&tree).status();
    if !packed.success() {
        return Err(format!("{command:?} failed: {packed}"));
    }
    fs::rename(&part, &kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(kept)
}

/// The mirror that apt uses on this machine, if it says so; else debootstrap's own choice.
fn mirror() -> Option<String> {
    let files = ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"];
    let text: String = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let words = text.lines().filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let mut urls = words.flat_map(str::split_whitespace).filter(|word| word.starts_with("http"));
    urls.find(|url| !url.contains("security")).map(str::to_owned)
}

/// The archive; the test fails with debootstrap's last words if there is none.
fn debian() -> &'static Path {
    archive().unwrap_or_else(|error| panic!("no Debian could be made to test on:\n{error}"))
}

/// Runs a command in a new container of the image `debian:bookworm`.
fn run(scene: &Scene, words: &[&str]) -> crate::util::command::Output {
    let words = ["run", "--rm", "debian:bookworm"].iter().chain(words).copied();
    scene.vial(words).limit(Duration::from_mins(2)).ok()
}

/// What any Debian must do.
fn programs_run(scene: &Scene) {
    run(scene, &["apt-get", "--version"]).shows("apt 2.6").shows("Supported modules");
    run(scene, &["perl", "-e", "print 6*7"]).prints("42");
    run(scene, &["perl", "-MList::Util=sum", "-e", "print sum(map { $_ ** 2 } 1..100)"]).prints("338350");
    let pipe = "set -o pipefail; seq 1000 | sort -rn | head -n 3 | tr '\\n' ' '; echo ${PIPESTATUS[*]} | wc -w";
    run(scene, &["bash", "-c", pipe]).shows("1000 999 998 ");
    let substituted = "diff <(printf '%s\\n' a b) <(printf '%s\\n' a c) | grep -c '^[<>]'";
    run(scene, &["bash", "-c", substituted]).prints("2\n");
    run(scene, &["dpkg-query", "-W", "-f", "${Package} ${Status}\\n", "bash"]).prints("bash install ok installed\n");
    run(scene, &["dpkg", "--audit"]).prints("");
    // Every file of every package is what the package says: a check of the import by someone else.
    run(scene, &["bash", "-c", "cd / && cat var/lib/dpkg/info/*.md5sums | md5sum --quiet -c - 2>&1 | head"]).prints("");
    run(scene, &["stat", "-c", "%a %U:%G", "/usr/bin/passwd", "/etc/shadow", "/tmp"])
        .prints("4755 root:root\n640 root:shadow\n1777 root:root\n");
    run(scene, &["cat", "/etc/debian_version"]).shows("12.");
    run(scene, &["bash", "-lc", "echo $HOME; id -un; tty || true"]).prints("/root\nroot\nnot a tty\n");
}

fn a_debian_from_an_archive_runs_its_programs(scene: &Scene) {
    let archive = debian().display().to_string();
    scene.vial(["import", &archive, "debian:bookworm"]).limit(Duration::from_mins(3)).ok();
    programs_run(scene);
    scene.vial(["rmi", "debian:bookworm"]).ok();
}

fn a_debian_from_a_compressed_archive_runs_its_programs(scene: &Scene) {
    let line = format!("gzip -1 <{} | {} import - debian:bookworm", debian().display(), crate::util::command::VIAL);
    scene.command("sh", ["-c", &line]).limit(Duration::from_mins(5)).ok();
    programs_run(scene);
    scene.vial(["rmi", "debian:bookworm"]).ok();
}

fn a_package_is_installed_in_a_debian(scene: &Scene) {
    let archive = debian().display().to_string();
    scene.vial(["import", &archive, "debian:bookworm"]).limit(Duration::from_mins(3)).ok();
    // A package of our own, so that no network is needed.
    let control =
        "Package: greeter\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: greets\n";
    fs::create_dir_all(scene.path("package/DEBIAN")).expect("make directories");
    fs::create_dir_all(scene.path("package/usr/bin")).expect("make directories");
    fs::write(scene.path("package/DEBIAN/control"), control).expect("write a file");
    fs::write(
        scene.path("package/usr/bin/greet"),
        "#!/bin/sh\necho greetings from $(dpkg-query -W greeter | cut -f2)\n",
    )
    .expect("write a file");
    scene.command("chmod", ["755", "package/usr/bin/greet"]).ok();
    scene.command("dpkg-deb", ["--root-owner-group", "-b", "package", "greeter.deb"]).ok();
    let share = format!("{}:/mnt:ro", scene.directory().display());
    let script =
        "dpkg -i /mnt/greeter.deb >/dev/null && greet && dpkg -P greeter >/dev/null && test ! -e /usr/bin/greet";
    let words = ["run", "--rm", "-v", &share, "debian:bookworm", "bash", "-c", script];
    scene.vial(words).limit(Duration::from_mins(2)).ok().prints("greetings from 1.0\n");
    scene.vial(["rmi", "debian:bookworm"]).ok();
}

fn python_on_the_hosts_root_computes_something(scene: &Scene) {
    let script = "import math, hashlib; print(math.factorial(25) % 1000007, hashlib.sha256(b'vial').hexdigest()[:16])";
    let outside = scene.command("python3", ["-c", script]).ok().stdout;
    let path = format!("PATH={}", std::env::var("PATH").expect("there is a PATH"));
    scene.vial(["run", "--rm", "-e", &path, "host", "python3", "-c", script]).ok().prints(&outside);
}

fn a_compiler_on_the_hosts_root_makes_a_program_that_runs(scene: &Scene) {
    let program = r#"
        #include <stdio.h>
        #include <unistd.h>
        int main(void) {
            static char composite[100001];
            int count = 0;
            for (int number = 2; number <= 100000; number++) {
                if (composite[number]) continue;
                count++;
                for (long multiple = (long)number * number; multiple <= 100000; multiple += number) composite[multiple] = 1;
            }
            printf("%d primes, process %d\n", count, (int)getpid());
            return 3;
        }"#;
    fs::write(scene.path("primes.c"), program).expect("write a file");
    let share = format!("{}:/src:ro", scene.directory().display());
    // What the compiler writes goes to the container's own layer.
    let script = "gcc -O2 -Wall -Werror -o /tmp/primes /src/primes.c && exec /tmp/primes";
    let words = ["run", "--rm", "-v", &share, "-w", "/src", "host", "sh", "-c", script];
    scene.vial(words).limit(Duration::from_mins(2)).run().ends(3).prints("9592 primes, process 1\n");
    assert!(!scene.path("primes").exists());
}

fn perl_and_pipes_on_the_hosts_root(scene: &Scene) {
    let script = "perl -e 'print qq($_\\n) for 1..500' | sort -n | tail -n 1; ps -e | wc -l; hostname | wc -c";
    let output = scene.vial(["run", "--rm", "--hostname", "inside", "host", "sh", "-c", script]).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("500", "7"), "{}", output.shown());
    // The shell, ps, wc and a heading, but nothing of the host's.
    assert!(lines[1].parse::<u32>().is_ok_and(|count| count <= 5), "{}", output.shown());
}
