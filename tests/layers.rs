//! Layers: what becomes of single members of an archive, and of what lies in a directory, as only root can tell.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::import::{imported, layer, make_archive};
use crate::util::Scene;
use crate::util::tree::{self, assert_same, without};

trials! {
    a_device_takes_the_place_of_a_directory [Root, Command("import")];
    a_device_that_the_kernel_has_no_number_for_is_refused [Root, Command("import")];
    a_setgid_directory_gives_its_group_to_nothing_that_says_otherwise [Root, Command("import")];
    an_archive_of_version_7_keeps_what_it_can_carry [Root, Tool("tar"), Command("import")];
    attributes_with_any_name_are_kept [Root, Tool("tar"), Command("import")];
    mounted_file_systems_are_left_out [Root, Tool("mount"), Command("import")];
}

/// A header: its kind, mode, group, and the numbers of a device.
fn header(kind: EntryType, mode: u32, group: u64, device: (u32, u32)) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(group);
    header.set_size(0);
    header.set_device_major(device.0).expect("it fits");
    header.set_device_minor(device.1).expect("it fits");
    header
}

/// An archive of members without content.
fn archive(members: &[(&str, Header)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, header) in members {
        builder.append_data(&mut header.clone(), name, &b""[..]).expect("add a member");
    }
    builder.into_inner().expect("end the archive")
}

fn a_device_takes_the_place_of_a_directory(scene: &Scene) {
    let file = header(EntryType::Regular, 0o644, 0, (0, 0));
    let members = [("d/x", file), ("d", header(EntryType::Char, 0o666, 0, (1, 3)))];
    scene.vial(["import", "-", "it"]).input(archive(&members)).ok();
    let found = fs::symlink_metadata(layer(scene).join("d")).expect("it is there");
    assert!(found.file_type().is_char_device());
    assert_eq!((libc::major(found.rdev()), libc::minor(found.rdev())), (1, 3));
}

fn a_device_that_the_kernel_has_no_number_for_is_refused(scene: &Scene) {
    let members = [("b", header(EntryType::Block, 0o666, 0, (4096, 3)))];
    scene.vial(["import", "-", "it"]).input(archive(&members)).ends(125).says("there is no device 4096:3");
}

fn a_setgid_directory_gives_its_group_to_nothing_that_says_otherwise(scene: &Scene) {
    let members = [
        ("mail", header(EntryType::Directory, 0o2775, 50, (0, 0))),
        ("mail/f", header(EntryType::Regular, 0o644, 0, (0, 0))),
        ("mail/d", header(EntryType::Directory, 0o755, 0, (0, 0))),
    ];
    scene.vial(["import", "-", "it"]).input(archive(&members)).ok();
    let layer = layer(scene);
    for (name, group, mode) in [("mail", 50, 0o2775), ("mail/f", 0, 0o644), ("mail/d", 0, 0o755)] {
        let found = fs::metadata(layer.join(name)).expect("it is there");
        assert_eq!((found.gid(), found.mode() & 0o7777), (group, mode), "{name}");
    }
}

fn an_archive_of_version_7_keeps_what_it_can_carry(scene: &Scene) {
    let top = scene.path("tree");
    let script = "mkdir -p tree/d; cd tree; echo small >d/small; ln d/small hard; ln -s d/small soft
        head -c 700000 /dev/urandom >big; chown 34:56 big d; chmod 4751 big; chmod 1700 d
        find . -exec touch -h -d @86400 {} +";
    scene.command("sh", ["-ec", script]).ok();
    make_archive(scene, &top, &["--format=v7"], "it.tar");
    assert_same(&without(tree::look(&top), true, true), &imported(scene, "it.tar"));
}

fn attributes_with_any_name_are_kept(scene: &Scene) {
    let top = scene.path("tree");
    fs::create_dir(&top).expect("make a directory");
    fs::write(top.join("f"), "").expect("write a file");
    for (name, value) in [("user.a=b%c", &b"x\0=\ny"[..]), ("user.%41", b""), ("user. ", b" ")] {
        xattr::set(top.join("f"), name, value).expect("set an extended attribute");
    }
    make_archive(scene, &top, &["--format=pax", "--xattrs"], "it.tar");
    assert_same(&tree::look(&top), &imported(scene, "it.tar"));
    assert_same(&tree::look(&top), &imported(scene, "tree"));
}

fn mounted_file_systems_are_left_out(scene: &Scene) {
    let mount = scene.path("tree/mnt");
    fs::create_dir_all(&mount).expect("make directories");
    scene.command("mount", ["-t".as_ref(), "tmpfs".as_ref(), "none".as_ref(), mount.as_os_str()]).ok();
    fs::write(mount.join("hidden"), "x").expect("write a file");
    let found = imported(scene, "tree");
    scene.command("umount", [&mount]).ok();
    let names: Vec<&Path> = found.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, [Path::new("."), Path::new("./mnt")]);
}
