//! `pack --self-contained`: vial and an image in one file, which runs it where nothing is installed.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use crate::util::Scene;
use crate::util::command::{Cmd, VIAL};
use crate::util::container::on_a_terminal;
use crate::util::{account, strace};

trials! {
    one_file_runs_its_image_with_its_arguments [Root, Busybox, Kernel("overlay")];
    it_runs_where_there_is_nothing_else [Root, Busybox, Kernel("overlay"), Tool("chroot"), Tool("unshare")];
    programs_are_packed_and_written_at_once [Root, Kernel("overlay")];
    options_come_from_the_environment [Root, Busybox, Kernel("overlay")];
    it_has_a_terminal_when_somebody_sits_at_one [Root, Busybox, Kernel("overlay"), Tool("script")];
    a_damaged_one_is_refused_and_leaves_nothing [Root, Busybox, Kernel("overlay")];
    what_can_not_be_written_is_told_and_leaves_nothing [Root, Busybox, Kernel("overlay")];
    it_is_told_as_strace_sees_it [Root, Busybox, Kernel("overlay"), Tool("strace")];
}

/// Writes `out`, with busybox as image and this configuration.
fn write(scene: &Scene, change: &str) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", "-c", change, &rootfs, "app:1"]).ok();
    scene.vial(["pack", "--self-contained", "out", "app:1"]).ok().silent().prints("");
}

/// Runs it with another store, as on another machine.
fn run<'a>(scene: &'a Scene, words: &[&str]) -> Cmd<'a> {
    scene.command("./out", words).env("VIAL_ROOT", scene.path("other"))
}

/// What is in the other store's directory of this name.
fn others(scene: &Scene, directory: &str) -> usize {
    fs::read_dir(scene.path("other").join(directory)).map_or(0, Iterator::count)
}

fn one_file_runs_its_image_with_its_arguments(scene: &Scene) {
    write(scene, "ENTRYPOINT [\"/bin/busybox\"]");
    let meta = fs::metadata(scene.path("out")).expect("it is written");
    assert_eq!(meta.permissions().mode() & 0o777, 0o755);
    scene.vial(["rmi", "app:1"]).ok();
    run(scene, &["echo", "a b", "--help", "-x"]).ok().silent().prints("a b --help -x\n");
    let layers = scene.path("other/layers");
    let layer = fs::read_dir(&layers).expect("a store").next().expect("a layer").expect("a layer").path();
    let before = fs::metadata(&layer).expect("a layer").modified().expect("a time");
    run(scene, &["sh", "-c", "exit 7"]).ends(7).silent();
    run(scene, &["cat"]).input("through it\n").ok().prints("through it\n");
    run(scene, &["nothing-of-this-name"]).ends(127);
    // It was unpacked once, has no name that another image may have, and goes as other images do.
    assert_eq!(fs::metadata(&layer).expect("a layer").modified().expect("a time"), before);
    assert_eq!((others(scene, "layers"), others(scene, "refs"), others(scene, "containers")), (1, 0, 0));
    scene.vial(["--root", "other", "image", "prune"]).ok();
    assert_eq!(others(scene, "layers"), 0);
    run(scene, &["true"]).ok().silent();
    scene.assert_nothing_left();
}

fn it_runs_where_there_is_nothing_else(scene: &Scene) {
    write(scene, "CMD [\"/bin/sh\", \"-c\", \"echo alone; ls /\"]");
    let script = "mkdir bare && mount -t tmpfs bare bare && mkdir bare/proc bare/sys && mount -t proc proc bare/proc &&
        mount --rbind /sys bare/sys && cp out bare/out && exec chroot bare /out";
    let output = scene.command("unshare", ["-m", "sh", "-ec", script]).env("VIAL_ROOT", "").ok();
    assert!(output.stdout.starts_with("alone\n"), "{}", output.shown());
    assert!(!output.stdout.contains("out"), "{}", output.shown());
}

fn programs_are_packed_and_written_at_once(scene: &Scene) {
    scene.vial(["pack", "-q", "--self-contained=out", "tools", "cat", "ls"]).ok();
    run(scene, &["/proc/1/comm"]).ok().prints("cat\n");
    // What is there is replaced.
    scene.vial(["pack", "-q", "--self-contained=out", "tools", "ls"]).ok();
    run(scene, &["-d", "/"]).ok().prints("/\n");
    assert!(!scene.path("out.part").exists());
}

fn options_come_from_the_environment(scene: &Scene) {
    write(scene, "ENTRYPOINT [\"/bin/sh\"]");
    let with = |options: &str, words: &[&str]| run(scene, words).env("VIAL_OPTIONS", options);
    with("-e A=1\t-e\nB=2 --hostname here", &["-c", "echo $A$B $(hostname)"]).ok().prints("12 here\n");
    with("", &["-c", "echo $A"]).ok().prints("\n");
    with("--help", &["-c", "exit 3"]).ok().shows("Usage: vial run");
    with("--fo", &[]).ends(125).says("VIAL_OPTIONS: unknown flag --fo");
    with("-m x", &[]).ends(125).says("invalid value");
    for options in ["app", "-- app", "-e A=1 app -x"] {
        let error = with(options, &["-c", "true"]).ends(125);
        error.says("VIAL_OPTIONS: not an option: app").says("accepted: options of `vial run`");
    }
    assert_eq!((others(scene, "layers"), others(scene, "containers")), (1, 0));
    let id = with("-d --name c", &["-c", "sleep 60"]).ok().stdout;
    assert_eq!(id.trim_end().len(), 64);
    scene.vial(["--root", "other", "rm", "-f", "c"]).ok();
    scene.assert_nothing_left();
}

fn it_has_a_terminal_when_somebody_sits_at_one(scene: &Scene) {
    write(scene, "ENTRYPOINT [\"/bin/sh\"]");
    let root = scene.path("other").display().to_string();
    on_a_terminal(scene, &format!("VIAL_ROOT={root} ./out -c 'test -t 1 && tty'"), "").shows("/dev/pts/0");
    on_a_terminal(scene, &format!("VIAL_ROOT={root} ./out -c tty < /dev/null"), "").shows("not a tty");
}

fn a_damaged_one_is_refused_and_leaves_nothing(scene: &Scene) {
    write(scene, "CMD [\"/bin/true\"]");
    let whole = fs::read(scene.path("out")).expect("it is written");
    let start = u32::from_le_bytes(*whole[12..].first_chunk().expect("a header")) as usize;
    assert_eq!(start, fs::metadata(VIAL).expect("vial").len().next_multiple_of(512) as usize);
    let refused = |what: &str| {
        let _ = fs::remove_dir_all(scene.path("other"));
        run(scene, &[]).ends(125).says("the image in this program: ").says(what);
        assert_eq!((others(scene, "layers"), others(scene, "images"), others(scene, "tmp")), (0, 0, 0));
    };
    for (length, what) in
        [(start, "no image"), (start + 700, "ends in the middle"), (start.midpoint(whole.len()), "ends in the middle")]
    {
        fs::write(scene.path("out"), &whole[..length]).expect("cut it");
        refused(what);
    }
    let file = fs::File::options().write(true).open(scene.path("out")).expect("open it");
    file.write_all_at(&whole, 0).expect("write it");
    let at = start + (whole.len() - start) / 3;
    file.write_all_at(&[whole[at] ^ 1], at as u64).expect("flip a bit");
    drop(file);
    refused("digest");
}

fn what_can_not_be_written_is_told_and_leaves_nothing(scene: &Scene) {
    write(scene, "CMD [\"/bin/true\"]");
    let pack = |words: &[&str]| scene.vial([&["pack"], words].concat()).ends(125);
    pack(&["app:1"]).says("no program is named").says("usage: vial pack");
    pack(&["--self-contained", "nowhere/out", "app:1"]).says("--self-contained").says("in a directory that is there");
    pack(&["--self-contained", "", "app:1"]).says("--self-contained");
    pack(&["--self-contained", ".", "app:1"]).says("--self-contained");
    pack(&["--self-contained", "new", "nothing"]).says("no image is named nothing");
    pack(&["--self-contained", "new", "tools", "nothing-of-this-name"]).says("nothing-of-this-name");
    pack(&["--self-contained", "/dev/full", "app:1"]).says("ENOSPC");
    for left in ["new", "new.part", "out.part"] {
        assert!(!scene.path(left).exists(), "{left}");
    }
    assert!(Path::new("/dev/full").metadata().expect("a device").permissions().mode() & 0o111 == 0);
}

fn it_is_told_as_strace_sees_it(scene: &Scene) {
    write(scene, "CMD [\"/bin/true\"]");
    // With the image to be unpacked, and with the image there.
    for round in 0..2 {
        let (trace, ledger) = (scene.path(format!("trace{round}")), scene.path(format!("ledger{round}")));
        let words = ["-f", "-v", "-x", "-s", "256", "-o"];
        let traced = scene.command("strace", words.map(Into::into).into_iter().chain([trace.clone(), "./out".into()]));
        let options = format!("--explain=json --explain-to={}", ledger.display());
        traced.env("VIAL_ROOT", scene.path("other")).env("VIAL_OPTIONS", options).ok();
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let traced = strace::parse(&read(&trace)).unwrap_or_else(|error| panic!("{error}"));
        let told = account::parse(&read(&ledger)).unwrap_or_else(|error| panic!("{error}"));
        let found = account::differences(&traced, &told);
        assert!(found.is_empty(), "round {round}: {}", found.join("\n"));
    }
}
