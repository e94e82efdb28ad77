//! `diff` and `export`: what a container has made of its root.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::container::{Container, eventually};
use crate::util::tree::{self, assert_same};

trials! {
    every_kind_of_change_is_listed_once_and_sorted [Root, Busybox, Kernel("overlay")];
    changes_are_told_against_all_layers_of_an_image [Root, Busybox, Kernel("overlay")];
    a_container_that_did_nothing_has_changed_nothing [Root, Busybox, Kernel("overlay")];
    changes_of_a_running_container_and_on_the_host_are_listed [Root, Busybox, Kernel("overlay")];
    an_export_is_the_whole_root_for_tar_and_for_import [Root, Busybox, Tool("tar"), Kernel("overlay")];
    an_export_leaves_out_what_is_mounted [Root, Busybox, Tool("tar"), Kernel("overlay")];
    an_export_goes_to_a_file_or_not_at_all [Root, Busybox, Tool("tar"), Tool("script"), Kernel("overlay")];
}

/// A root with something to change.
const BEFORE: &str = "mkdir -p /keep/deep /gone/deep /turned /opaque/sub /was-dir; echo 1 > /keep/deep/file; echo 1 > /gone/deep/file; \
     echo 1 > /was-file; echo 1 > /opaque/old; echo 1 > /opaque/both; echo 1 > /opaque/sub/x; echo 1 > /mode; mkdir /mode-dir; \
     touch /a.b; mkdir /a; touch /a/b; ln -s /keep /soft; touch -d @1 /keep /keep/deep /opaque/sub /mode-dir /a";
/// What is done to it, and the list of that.
const CHANGES: &str = "echo 2 >> /keep/deep/file; rm -r /gone; rm /was-file; mkdir /was-file; rmdir /was-dir; echo f > /was-dir; \
     rm -r /opaque; mkdir -p /opaque/sub; echo 2 > /opaque/both; echo 2 > /opaque/new; chmod 600 /mode; chmod 700 /mode-dir; \
     touch /a/c /a.c; rm /soft; ln -s /new /soft; mkdir -p '/new dir/sub'; touch '/new dir/sub/f'; mkfifo /pipe; mknod /null c 1 3; \
     touch /made; rm /made";
const LIST: &str = "C /a\nA /a.c\nA /a/c\nD /gone\nC /keep\nC /keep/deep\nC /keep/deep/file\nC /mode\nC /mode-dir\nA /new dir\n\
     A /new dir/sub\nA /new dir/sub/f\nA /null\nC /opaque\nC /opaque/both\nA /opaque/new\nD /opaque/old\nC /opaque/sub\n\
     D /opaque/sub/x\nA /pipe\nC /soft\nC /was-dir\nC /was-file\n";

/// An image of the busybox root in which [`BEFORE`] was run.
fn image(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "base"]).ok();
    scene.vial(["run", "--name", "making", "base", "sh", "-ec", BEFORE]).ok();
    scene.command("sh", ["-c", &format!("{VIAL} export making | {VIAL} import - made")]).ok();
    scene.vial(["rm", "making"]).ok();
}

fn every_kind_of_change_is_listed_once_and_sorted(scene: &Scene) {
    image(scene);
    scene.vial(["run", "--name", "c", "made", "sh", "-ec", CHANGES]).ok();
    scene.vial(["diff", "c"]).ok().silent().prints(LIST);
    scene.vial(["container", "diff", "c"]).ok().prints(LIST);
    scene.vial(["rm", "c"]).ok();
    scene.assert_nothing_left();
}

fn changes_are_told_against_all_layers_of_an_image(scene: &Scene) {
    image(scene);
    scene
        .vial([
            "run",
            "--name",
            "one",
            "made",
            "sh",
            "-ec",
            "rm -r /gone; mkdir /second; echo 2 > /second/file; rm /mode",
        ])
        .ok();
    scene.vial(["commit", "one", "two"]).ok();
    let script = "rm /second/file; touch /keep/x; mkdir /gone; touch /mode";
    scene.vial(["run", "--name", "c", "two", "sh", "-ec", script]).ok();
    scene.vial(["diff", "c"]).ok().prints("A /gone\nC /keep\nA /keep/x\nA /mode\nC /second\nD /second/file\n");
    scene.vial(["rm", "c", "one"]).ok();
    scene.assert_nothing_left();
}

fn a_container_that_did_nothing_has_changed_nothing(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    // Not even by what was mounted, also where the root lacks the places.
    scene.vial(["run", "--name", "c", "-v", "vol:/new/vol", "-w", "/tmp", &rootfs, "true"]).ok();
    scene.vial(["diff", "c"]).ok().prints("");
    scene.vial(["run", "--name", "host", "host", "true"]).ok();
    scene.vial(["diff", "host"]).ok().prints("");
    scene.vial(["diff", "nosuch"]).ends(125).says("no such container: nosuch");
    scene.vial(["rm", "c", "host"]).ok();
    scene.vial(["volume", "rm", "vol"]).ok();
}

fn changes_of_a_running_container_and_on_the_host_are_listed(scene: &Scene) {
    let script = "touch /mnt/x; rm /etc/group; echo up > /up; sleep 30";
    let running = Container::named(scene, "r", &[], script);
    eventually("the script has run", || running.proc("root/up").exists().then_some(()));
    scene.vial(["diff", "r"]).ok().prints("C /etc\nD /etc/group\nC /mnt\nA /mnt/x\nA /up\n");
    running.stop();
    scene.vial(["run", "--name", "h", "host", "sh", "-c", "echo > /etc/passwd; mkdir /vial-was-here"]).ok();
    scene.vial(["diff", "h"]).ok().prints("C /etc\nC /etc/passwd\nA /vial-was-here\n");
    scene.vial(["rm", "h"]).ok();
    scene.assert_nothing_left();
}

fn an_export_is_the_whole_root_for_tar_and_for_import(scene: &Scene) {
    image(scene);
    let script = format!("{CHANGES}; chmod 4755 /mode; ln /mode /hard; chown 12:34 /keep");
    scene.vial(["run", "--name", "c", "made", "sh", "-ec", &script]).ok();
    scene.vial(["export", "-o", "c.tar", "c"]).ok().silent();
    fs::create_dir(scene.path("tar")).expect("make a directory");
    scene.command("tar", ["--xattrs", "--xattrs-include=*", "-xpf", "c.tar", "-C", "tar"]).ok();
    let id = scene.vial(["import", "c.tar", "again"]).ok().stdout;
    let image =
        fs::read_to_string(scene.root().join("images").join(format!("{}.json", id.trim_end().replace("sha256:", ""))));
    let image: serde_json::Value = serde_json::from_str(&image.expect("the image's file")).expect("JSON");
    let layer = image["rootfs"]["diff_ids"][0].as_str().expect("a digest").replace("sha256:", "");
    let imported = tree::look(&scene.root().join("layers").join(layer).join("diff"));
    assert_same(&tree::look(&scene.path("tar")), &imported);
    // And it is what the container saw, but for what is mounted there.
    scene.vial(["cp", "-a", "c:/", "copy"]).ok();
    let without_mounts = |mut tree: tree::Tree| {
        for name in ["hostname", "hosts", "resolv.conf"] {
            tree.remove(&std::path::Path::new("./etc").join(name)).expect("it is there");
        }
        tree
    };
    assert_same(&without_mounts(imported.clone()), &without_mounts(tree::look(&scene.path("copy"))));
    assert!(
        imported.contains_key(std::path::Path::new("./hard")) && !imported.contains_key(std::path::Path::new("./gone"))
    );
    // Twice the same.
    scene.command("sh", ["-c", &format!("{VIAL} export c | cmp - c.tar")]).ok().silent();
    scene.vial(["rm", "c"]).ok();
    scene.assert_nothing_left();
}

fn an_export_leaves_out_what_is_mounted(scene: &Scene) {
    fs::create_dir(scene.path("share")).expect("make a directory");
    fs::write(scene.path("share/secret"), "text-of-the-host").expect("write a file");
    let share = format!("{}:/share", scene.path("share").display());
    let options = ["-v", &share, "-v", "named:/vol", "--tmpfs", "/scratch", "-h", "a-name-of-its-own"];
    let running = Container::named(scene, "r", &options, "touch /vol/v /scratch/t /mine; echo up > /up; sleep 30");
    eventually("the script has run", || running.proc("root/up").exists().then_some(()));
    scene.vial(["export", "--output", "r.tar", "r"]).ok();
    running.stop();
    let listed = scene.command("tar", ["-tf", "r.tar"]).ok().stdout;
    let below = |name: &str| listed.lines().filter(|line| line.starts_with(&format!("./{name}/"))).count();
    for name in ["share", "vol", "scratch", "proc", "sys", "dev"] {
        assert_eq!(below(name), 1, "{name}: {listed}");
    }
    assert!(listed.contains("./mine\n"), "{listed}");
    let archive = fs::read(scene.path("r.tar")).expect("read the archive");
    let has = |text: &[u8]| archive.windows(text.len()).any(|window| window == text);
    assert!(!has(b"a-name-of-its-own") && !has(b"text-of-the-host"), "what is mounted came along");
    scene.vial(["volume", "rm", "named"]).ok();
}

fn an_export_goes_to_a_file_or_not_at_all(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--name", "c", &rootfs, "true"]).ok();
    scene.vial(["export", "-o", "none.tar", "nosuch"]).ends(125).says("no such container: nosuch");
    assert!(!scene.path("none.tar").exists());
    scene.vial(["export", "-o", "/dev/full", "c"]).ends(125).says("ENOSPC");
    let line = format!("{VIAL} export c");
    scene.command("script", ["-qec", &line, "/dev/null"]).ends(125).shows("terminal");
    // A layer that can't be read: nothing half-finished stays.
    fs::set_permissions(scene.path("root"), PermissionsExt::from_mode(0o700)).expect("chmod");
    let id = fs::read_link(scene.root().join("names/c")).expect("the container's ID");
    let bundle = scene.root().join("containers").join(id);
    fs::rename(bundle.join("upper"), bundle.join("elsewhere")).expect("rename");
    scene.vial(["export", "-o", "c.tar", "c"]).ends(125);
    assert!(!scene.path("c.tar").exists());
    scene.vial(["rm", "c"]).ok();
    scene.assert_nothing_left();
}
