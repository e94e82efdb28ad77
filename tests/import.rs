//! Import: a root file system comes out of an archive or a directory as it went in, and nothing else does.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::util::command::VIAL;
use crate::util::container::eventually;
use crate::util::tree::{self, Tree, assert_same, without};
use crate::util::{Scene, archive, killer};

trials! {
    a_directory_keeps_everything [Root, Command("import")];
    a_pax_archive_keeps_everything [Root, Tool("tar"), Command("import")];
    a_gnu_archive_keeps_what_it_can_carry [Root, Tool("tar"), Command("import")];
    a_ustar_archive_keeps_what_it_can_carry [Root, Tool("tar"), Command("import")];
    gzip_in_a_file_and_through_a_pipe_gives_the_same [Root, Tool("tar"), Tool("gzip"), Command("import")];
    a_user_without_root_and_further_ids_imports_all_as_the_users_own [Root, Tool("setpriv"), Tool("tar"), Command("import")];
    sparse_files_stay_sparse [Root, Tool("tar"), Command("import")];
    a_member_over_8_gib_is_whole [Root, Tool("tar"), Command("import")];
    names_of_thousands_of_bytes_are_kept [Root, Tool("tar"), Command("import")];
    an_imported_root_runs [Root, Busybox, Tool("tar"), Kernel("overlay"), Command("run")];
    an_empty_archive_is_refused_and_an_empty_directory_is_not [Tool("tar"), Command("import")];
    progress_is_shown_on_a_terminal_only [Tool("tar"), Tool("script"), Command("import")];
    a_terminal_is_no_archive [Tool("script"), Command("import")];
    a_truncated_archive_is_refused_with_the_place [Root, Tool("tar"), Command("import")];
    zstd_in_every_form_gives_the_same [Root, Tool("tar"), Tool("zstd"), Command("import")];
    a_damaged_zstd_archive_is_refused_with_the_place [Root, Tool("tar"), Tool("zstd"), Command("import")];
    zstd_that_needs_what_vial_has_not_is_refused_with_a_way_out [Root, Tool("tar"), Tool("zstd"), Command("import")];
    a_truncated_gzip_archive_is_refused_with_the_place [Root, Tool("tar"), Tool("gzip"), Command("import")];
    a_flipped_byte_is_found [Root, Tool("tar"), Tool("gzip"), Command("import")];
    a_damaged_header_is_found_with_its_place [Root, Tool("tar"), Command("import")];
    other_formats_are_called_by_their_names [Command("import")];
    an_archive_that_tries_to_leave_the_root_changes_nothing_outside [Root, Command("import")];
    links_out_of_the_root_are_kept_and_never_followed [Root, Command("import")];
    the_last_of_two_members_of_one_name_wins [Root, Command("import")];
    names_of_whiteouts_are_names_like_others [Root, Command("import")];
    an_import_killed_at_any_call_shows_nothing_and_is_cleaned_up [Root, Tool("tar"), Command("gc")];
    an_import_killed_while_it_waits_shows_nothing [Root, Tool("tar"), Command("gc")];
    two_imports_at_once_both_land [Root, Tool("tar"), Command("import")];
    a_large_plain_archive_needs_little_memory [Root, Command("import")];
    a_large_gzip_archive_needs_little_memory [Root, Tool("gzip"), Command("import")];
}

/// The capabilities that setcap(8) gives with `cap_net_bind_service+ep`: struct `vfs_cap_data`, revision 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = format!("@{seconds}.{nanoseconds:09}");
    let status = Command::new("touch").args(["-h", "-d", &time]).arg(path).status().expect("run touch");
    assert!(status.success(), "touch {}", path.display());
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

fn node(path: &Path, rest: &[&str]) {
    assert!(Command::new("mknod").arg(path).args(rest).status().expect("run mknod").success());
}

/// A tree that every archive format can carry.
fn plain_tree(scene: &Scene) -> PathBuf {
    let top = scene.path("tree");
    fs::create_dir_all(top.join("usr/bin")).expect("make directories");
    for (name, bits, owner) in [
        ("usr/bin/su", 0o4755, (0, 0)),
        ("usr/bin/wall", 0o2755, (0, 5)),
        ("secret", 0o000, (0, 0)),
        ("mine", 0o640, (1000, 1001)),
        ("nobodys", 0o644, (65534, 65534)),
    ] {
        fs::write(top.join(name), format!("this is {name}\n")).expect("write a file");
        chown(top.join(name), Some(owner.0), Some(owner.1)).expect("chown");
        mode(&top.join(name), bits);
    }
    for (name, bits) in [("tmp", 0o1777), ("shared", 0o2775), ("closed", 0o700)] {
        fs::create_dir(top.join(name)).expect("make a directory");
        chown(top.join(name), Some(0), Some(7)).expect("chown");
        mode(&top.join(name), bits);
    }
    fs::write(top.join("shared/inside"), "x").expect("write a file");
    fs::write(top.join("empty"), "").expect("write a file");
    fs::write(top.join("large"), b"0123456789abcdef".repeat(70_000)).expect("write a file");
    fs::write(top.join("of a block"), [7; 512]).expect("write a file");
    for link in ["hard 1", "usr/hard 2"] {
        fs::hard_link(top.join("large"), top.join(link)).expect("link");
    }
    for (target, name) in
        [("large", "soft"), ("/usr/bin/su", "absolute"), ("../../nowhere", "dangling"), ("loop", "loop")]
    {
        symlink(target, top.join(name)).expect("symlink");
    }
    chown_link(&top.join("soft"));
    node(&top.join("null"), &["c", "1", "3"]);
    node(&top.join("disk"), &["b", "259", "70000"]);
    node(&top.join("fifo"), &["p"]);
    for name in ["ä ö", "new\nline", "back\\slash", "-dash", "*", " "] {
        fs::write(top.join(name), name).expect("write a file");
    }
    fs::write(top.join(std::ffi::OsStr::from_bytes(b"not utf-8 \xff\xfe")), "x").expect("write a file");
    fs::write(top.join("n".repeat(100)), "x").expect("write a file");
    let deep = top.join("d".repeat(60)).join("e".repeat(60)).join("f".repeat(60));
    fs::create_dir_all(&deep).expect("make directories");
    fs::write(deep.join("file"), "deep").expect("write a file");
    for (at, name) in
        ["empty", "soft", "fifo", "null", "mine", "shared/inside", "shared", "usr/bin", "."].iter().enumerate()
    {
        set_time(&top.join(name), 1_000_000_000 + at as i64, 0);
    }
    top
}

fn chown_link(path: &Path) {
    std::os::unix::fs::lchown(path, Some(12), Some(34)).expect("chown a link");
}

/// What GNU's archives can carry too: long names and links, large IDs, times before 1970 and after 2242.
fn long_tree(scene: &Scene) -> PathBuf {
    let top = plain_tree(scene);
    fs::write(top.join("x".repeat(255)), "long").expect("write a file");
    let deep = (0..6).fold(top.clone(), |path, at| path.join(format!("{at}").repeat(150)));
    fs::create_dir_all(&deep).expect("make directories");
    fs::write(deep.join("file"), "very deep").expect("write a file");
    fs::hard_link(deep.join("file"), top.join("near")).expect("link");
    symlink("/long/".repeat(100), top.join("long link")).expect("symlink");
    fs::write(top.join("large owner"), "x").expect("write a file");
    chown(top.join("large owner"), Some(4_000_000_000), Some(3_000_000_000)).expect("chown");
    for (name, seconds) in [("before", -86_400), ("after", 9_000_000_000)] {
        fs::write(top.join(name), name).expect("write a file");
        set_time(&top.join(name), seconds, 0);
    }
    top
}

/// All there is: fractions of seconds and extended attributes.
fn whole_tree(scene: &Scene) -> PathBuf {
    let top = long_tree(scene);
    let set = |name: &str, attribute: &str, value: &[u8]| {
        xattr::set(top.join(name), attribute, value).expect("set an extended attribute");
    };
    set("mine", "user.note", b"bytes \x00\xff\n = here");
    set("mine", "user.empty", b"");
    set("mine", "trusted.mine", b"root's");
    set("shared", "user.directory", &[b'v'; 900]);
    set("usr/bin/wall", "security.capability", CAPABILITY);
    // set-group-ID goes when an attribute of this kind comes.
    mode(&top.join("usr/bin/wall"), 0o2755);
    for (at, name) in ["mine", "shared", "soft", "fifo", "before", "usr/bin/wall"].iter().enumerate() {
        set_time(&top.join(name), if *name == "before" { -5 } else { 1_234_567_890 }, 123_456_789 + at as u32);
    }
    set_time(&top, 1_500_000_000, 1);
    top
}

/// The content of the store's only layer.
pub fn layer(scene: &Scene) -> PathBuf {
    let layers: Vec<_> = fs::read_dir(scene.root().join("layers")).expect("the store is there").flatten().collect();
    assert_eq!(layers.len(), 1, "layers: {layers:?}");
    layers[0].path().join("diff")
}

/// Everything in a directory of the store.
fn entries(scene: &Scene, name: &str) -> Vec<PathBuf> {
    fs::read_dir(scene.root().join(name)).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Asserts that the store shows nothing and holds nothing.
fn assert_empty(scene: &Scene) {
    scene.vial(["images", "-q", "-a"]).ok().prints("");
    for name in ["images", "refs", "layers", "tmp"] {
        assert_eq!(entries(scene, name), [""; 0].map(PathBuf::from), "in {name}");
    }
}

fn remove_all(scene: &Scene) {
    let ids = scene.vial(["images", "-q", "--no-trunc"]).ok().stdout;
    for id in ids.lines() {
        scene.vial(["rmi", "-f", id]).ok();
    }
}

pub fn make_archive(scene: &Scene, tree: &Path, options: &[&str], name: &str) {
    let target = scene.path(name);
    let place = ["-cf".as_ref(), target.as_os_str(), "-C".as_ref(), tree.as_os_str(), ".".as_ref()];
    scene.command("tar", options.iter().map(AsRef::as_ref).chain(place)).ok();
}

/// Imports and looks at what is in the store then.
pub fn imported(scene: &Scene, source: &str) -> Tree {
    scene.vial(["import", source, "it"]).ok().silent();
    let tree = tree::look(&layer(scene));
    remove_all(scene);
    assert_empty(scene);
    tree
}

fn a_directory_keeps_everything(scene: &Scene) {
    let top = whole_tree(scene);
    assert_same(&tree::look(&top), &imported(scene, "tree"));
    assert_same(&tree::look(&top), &imported(scene, "./tree/"));
}

fn a_pax_archive_keeps_everything(scene: &Scene) {
    let top = whole_tree(scene);
    let options = ["--format=pax", "--xattrs", "--xattrs-include=*"];
    make_archive(scene, &top, &options, "it.tar");
    assert_same(&tree::look(&top), &imported(scene, "it.tar"));
}

fn a_gnu_archive_keeps_what_it_can_carry(scene: &Scene) {
    let top = long_tree(scene);
    make_archive(scene, &top, &["--format=gnu"], "it.tar");
    assert_same(&without(tree::look(&top), true, true), &imported(scene, "it.tar"));
}

fn a_ustar_archive_keeps_what_it_can_carry(scene: &Scene) {
    let top = plain_tree(scene);
    make_archive(scene, &top, &["--format=ustar"], "it.tar");
    assert_same(&without(tree::look(&top), true, true), &imported(scene, "it.tar"));
    // The members' names may begin in any way.
    let plain = without(tree::look(&top.join("usr")), true, true);
    scene.command("tar", ["--format=ustar", "-cf", "it.tar", "-C", "tree/usr", "bin", "hard 2"]).ok();
    let found = imported(scene, "it.tar");
    assert_eq!(found.keys().collect::<Vec<_>>(), plain.keys().collect::<Vec<_>>());
}

fn gzip_in_a_file_and_through_a_pipe_gives_the_same(scene: &Scene) {
    let top = long_tree(scene);
    make_archive(scene, &top, &["--format=pax"], "it.tar");
    scene.command("sh", ["-c", "gzip -9 <it.tar >it.tar.gz; head -c 2000 it.tar | gzip >two.gz; tail -c +2001 it.tar | gzip -1 >>two.gz"]).ok();
    let expected = without(tree::look(&top), false, true);
    // What it is shows in the content, not in the name; and a file may be several gzip members in a row.
    fs::copy(scene.path("it.tar.gz"), scene.path("it.misnamed.tar")).expect("copy the archive");
    for source in ["it.tar", "it.tar.gz", "it.misnamed.tar", "two.gz"] {
        assert_same(&expected, &imported(scene, source));
    }
    let mut ids = Vec::new();
    for source in ["it.tar", "it.tar.gz"] {
        let line = format!("cat {source} | {VIAL} import - it && {VIAL} import - it:again < {source}");
        scene.command("sh", ["-c", &line]).ok().silent();
        assert_same(&expected, &tree::look(&layer(scene)));
        ids.extend(entries(scene, "layers"));
        remove_all(scene);
    }
    assert_eq!(ids[0], ids[1], "the layer's digest is that of the plain archive");
    let digest = scene.command("sha256sum", ["it.tar"]).ok().stdout;
    assert_eq!(ids[0].file_name().and_then(|name| name.to_str()), digest.split(' ').next());
}

fn zstd_in_every_form_gives_the_same(scene: &Scene) {
    let top = long_tree(scene);
    make_archive(scene, &top, &["--format=pax"], "it.tar");
    let script = "for l in 1 3 9 19; do zstd -q -$l it.tar -o it$l; done; zstd -q --fast=5 --no-check it.tar -o fast
        zstd -q --ultra -22 --long=27 it.tar -o long; zstd -q -T2 -B1048576 <it.tar >threads
        printf 'P\\052M\\030\\003\\0\\0\\0abc' >two; head -c 2000 it.tar | zstd -q >>two; tail -c +2001 it.tar | zstd -q >>two";
    scene.command("sh", ["-c", script]).ok();
    let expected = without(tree::look(&top), false, true);
    for source in ["it1", "it3", "it9", "it19", "fast", "long", "threads", "two"] {
        assert_same(&expected, &imported(scene, source));
    }
    scene.command("sh", ["-c", &format!("{VIAL} import it.tar plain && cat it9 | {VIAL} import - it")]).ok().silent();
    let digest = scene.command("sha256sum", ["it.tar"]).ok().stdout;
    let layers = entries(scene, "layers");
    assert_eq!(layers.len(), 1, "the layer's digest is that of the plain archive");
    assert_eq!(layers[0].file_name().and_then(|name| name.to_str()), digest.split(' ').next());
}

fn a_damaged_zstd_archive_is_refused_with_the_place(scene: &Scene) {
    fs::write(scene.path("plain"), small(scene)).expect("write a file");
    scene.command("zstd", ["-q", "--check", "plain"]).ok();
    let whole = fs::read(scene.path("plain.zst")).expect("read the archive");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(scene.path("bad.zst"), bytes).expect("write the archive");
        let output = scene.vial(["import", "bad.zst", "it"]).run().ends(125).prints("");
        assert!(output.stderr.contains("at byte"), "{what}: {}", output.shown());
        assert!(output.stderr.contains("bytes are counted in the compressed file"), "{}", output.shown());
        assert_empty(scene);
    };
    for length in [4, 5, 12, 50, whole.len() / 2, whole.len() - 4, whole.len() - 1] {
        refused(&whole[..length], &format!("{length} bytes"));
    }
    for at in (9..whole.len()).step_by((whole.len() / 40).max(1)) {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        // Another of several ways to say the same is none to be refused; see below.
        if zstd::decode_all(&bad[..]).is_err() {
            refused(&bad, &format!("byte {at} of {}", whole.len()));
        }
    }
    refused(&[&whole, &b"garbage"[..]].concat(), "garbage behind the end");
}

fn zstd_that_needs_what_vial_has_not_is_refused_with_a_way_out(scene: &Scene) {
    fs::write(scene.path("plain"), small(scene)).expect("write a file");
    scene
        .command(
            "sh",
            [
                "-c",
                "mkdir s; for n in $(seq 300); do seq $n $((n + 200)) >s/$n; done; zstd -q --train s/* -o d
            zstd -q -D d plain -o d.zst; zstd -q --ultra --long=28 <plain >l.zst",
            ],
        )
        .ok();
    let long = if cfg!(target_pointer_width = "32") { "zstd -dc --long=30" } else { "zstd -dc --long=31" };
    for (file, what, way) in [
        ("d.zst", "can't be decompressed: it was compressed with a dictionary", "zstd -dc -D"),
        ("l.zst", "can't be decompressed: it needs a window of more than 128 MiB", long),
    ] {
        let output = scene.vial(["import", file, "it"]).run().ends(125).prints("").says(what);
        assert!(output.stderr.contains(way), "{}", output.shown());
        assert_empty(scene);
    }
    scene.command("sh", ["-c", &format!("{long} l.zst | {VIAL} import - it")]).ok();
}

fn a_user_without_root_and_further_ids_imports_all_as_the_users_own(scene: &Scene) {
    fs::create_dir_all(scene.path("tree/a")).expect("make directories");
    fs::write(scene.path("tree/a/f"), "x").expect("write a file");
    mode(&scene.path("tree/a"), 0o555);
    let home = std::env::temp_dir().join(format!("vial-import-{}", std::process::id()));
    fs::create_dir(&home).expect("make a home");
    for (path, owner) in [("own.tar", "--owner=4321"), ("roots.tar", "--owner=0")] {
        make_archive(scene, &scene.path("tree"), &[owner, "--group=4321", "--sort=name"], path);
        fs::copy(scene.path(path), home.join(path)).expect("copy the archive");
        mode(&home.join(path), 0o644);
    }
    chown(&home, Some(4321), Some(4321)).expect("give the home away");
    let run = |archive: &str| {
        let script = "exec 9<\"$0\"; cd \"$1\"; shift; exec setpriv --reuid=4321 --regid=4321 --clear-groups /proc/self/fd/9 \"$@\"";
        let home = home.display().to_string();
        let root = format!("{home}/root");
        scene.command("sh", ["-c", script, VIAL, &home, "--root", &root, "import", archive]).run()
    };
    let outcome = (run("own.tar"), run("roots.tar"));
    let layers = fs::read_dir(home.join("root/layers")).expect("layers").flatten();
    let owners: Vec<u32> =
        layers.map(|layer| fs::metadata(layer.path().join("diff/a/f")).expect("the file").uid()).collect();
    let _ = Command::new("rm").arg("-rf").arg(&home).status();
    outcome.0.ends(0).says("owners");
    outcome.1.ends(0).says("owners");
    assert_eq!(owners, [4321, 4321]);
}

/// A file with holes at its beginning, in its middle and at its end.
fn make_sparse(path: &Path, size: u64) {
    let file = File::create(path).expect("make a file");
    file.set_len(size).expect("set its length");
    for (at, text) in [(size / 4, "early"), (size / 2, "middle"), (size - 20_000, "late")] {
        file.write_all_at(text.as_bytes(), at).expect("write to it");
    }
}

fn sparse_files_stay_sparse(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    make_sparse(&scene.path("tree/holes"), 2 << 20);
    File::create(scene.path("tree/hole")).and_then(|file| file.set_len(1 << 20)).expect("make a file");
    let expected = without(tree::look(&scene.path("tree")), true, true);
    let archives: &[&[&str]] = &[
        &["-S", "--format=gnu"],
        &["-S", "--format=pax", "--sparse-version=0.0"],
        &["-S", "--format=pax", "--sparse-version=0.1"],
        &["-S", "--format=pax", "--sparse-version=1.0"],
        &[],
    ];
    for options in archives {
        let source = if options.is_empty() {
            "tree"
        } else {
            make_archive(scene, &scene.path("tree"), options, "it.tar");
            assert!(fs::metadata(scene.path("it.tar")).expect("it was made").len() < 200 << 10);
            "it.tar"
        };
        scene.vial(["import", source, "it"]).ok();
        let found = layer(scene);
        assert_same(&expected, &without(tree::look(&found), true, true));
        for name in ["holes", "hole"] {
            assert!(tree::is_sparse(&found.join(name)), "{name} from {source} {options:?} takes up all of its size");
        }
        remove_all(scene);
    }
}

fn a_member_over_8_gib_is_whole(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    make_sparse(&scene.path("tree/huge"), 9 << 30);
    fs::write(scene.path("tree/then"), "what follows").expect("write a file");
    for options in [["-S", "--format=gnu"], ["-S", "--format=pax"], ["", ""]] {
        let source = if options[0].is_empty() {
            "tree"
        } else {
            make_archive(scene, &scene.path("tree"), &options, "it.tar");
            "it.tar"
        };
        scene.vial(["import", source, "it"]).ok();
        let found = layer(scene);
        assert_same(&without(tree::look(&scene.path("tree")), true, true), &without(tree::look(&found), true, true));
        assert!(tree::is_sparse(&found.join("huge")));
        let mut text = [0; 5];
        File::open(found.join("huge")).and_then(|file| file.read_exact_at(&mut text, (9 << 30) / 4)).expect("read it");
        assert_eq!(&text, b"early");
        remove_all(scene);
    }
}

fn names_of_thousands_of_bytes_are_kept(scene: &Scene) {
    // Longer than PATH_MAX from the file system's root on, but not in the archive.
    let make = |levels: u32| {
        let script = format!(
            "mkdir tree; cd tree; n=$(printf %0200d 7); for i in $(seq {levels}); do mkdir $n; cd -P $n; done; echo end >file"
        );
        scene.command("bash", ["-c", &script]).ok();
    };
    make(20);
    let names = |scene: &Scene, top: &Path| -> String {
        scene.command("find", [".", "-printf", "%y%m%s %P\n"]).current_dir(top).ok().stdout
    };
    let expected = names(scene, &scene.path("tree"));
    assert!(expected.lines().any(|line| line.len() > 4000));
    for format in ["--format=pax", "--format=gnu"] {
        make_archive(scene, &scene.path("tree"), &[format], "it.tar");
        scene.vial(["import", "it.tar", "it"]).ok();
        assert_eq!(names(scene, &layer(scene)), expected, "{format}");
        remove_all(scene);
    }
    scene.vial(["import", "tree", "it"]).ok();
    assert_eq!(names(scene, &layer(scene)), expected);
    remove_all(scene);
    assert_empty(scene);
    // A longer one could not be named in the container.
    scene.command("rm", ["-rf", "tree"]).ok();
    make(30);
    make_archive(scene, &scene.path("tree"), &["--format=pax"], "it.tar");
    for source in ["it.tar", "tree"] {
        scene.vial(["import", source, "it"]).run().ends(125).says("more than 4095 bytes");
        assert_empty(scene);
    }
}

fn an_imported_root_runs(scene: &Scene) {
    let rootfs = scene.rootfs();
    scene.command("cp", ["-a".as_ref(), rootfs.as_os_str(), scene.path("tree").as_os_str()]).ok();
    let top = scene.path("tree");
    fs::write(top.join("etc/note"), "from the archive\n").expect("write a file");
    chown(top.join("etc/note"), Some(1000), Some(29)).expect("chown");
    mode(&top.join("etc/note"), 0o4640);
    set_time(&top.join("etc/note"), 1_000_000_000, 0);
    fs::hard_link(top.join("etc/note"), top.join("same")).expect("link");
    symlink("etc/note", top.join("soft")).expect("symlink");
    make_archive(scene, &top, &["--format=pax"], "root.tar");
    scene.vial(["import", "root.tar", "box"]).ok();
    let script =
        "cat /soft; stat -c '%a %u:%g %Y %h' /same; test /same -ef /etc/note && echo same; echo new >/etc/note";
    let expected = "from the archive\n4640 1000:29 1000000000 2\nsame\n";
    scene.vial(["run", "--rm", "box", "sh", "-c", script]).ok().prints(expected).silent();
    // What a container writes stays out of the image.
    scene.vial(["run", "--rm", "box", "cat", "/etc/note"]).ok().prints("from the archive\n");
    assert_same(&tree::look(&top), &tree::look(&layer(scene)));
    scene.vial(["rmi", "box"]).ok();
}

fn an_empty_archive_is_refused_and_an_empty_directory_is_not(scene: &Scene) {
    scene.command("tar", ["-cf", "empty.tar", "-T", "/dev/null"]).ok();
    fs::write(scene.path("nothing"), "").expect("write a file");
    fs::write(scene.path("zeros"), [0; 4096]).expect("write a file");
    for source in ["empty.tar", "nothing", "zeros", "/dev/null"] {
        scene.vial(["import", source, "it"]).run().ends(125).prints("");
        assert_empty(scene);
    }
    scene.vial(["import", "empty.tar", "it"]).run().says("the archive holds no files");
    scene.vial(["import", "-", "it"]).run().ends(125).says("is empty");
    fs::create_dir(scene.path("directory")).expect("make a directory");
    scene.vial(["import", "directory", "it"]).ok();
    scene.vial(["images", "--format={{.Repository}} {{.Size}}"]).ok().prints("it 0B\n");
}

fn progress_is_shown_on_a_terminal_only(scene: &Scene) {
    fs::create_dir(scene.path("tree")).expect("make a directory");
    for name in 0..20 {
        fs::write(scene.path(format!("tree/{name}")), vec![name; 1 << 20]).expect("write a file");
    }
    make_archive(scene, &scene.path("tree"), &[], "it.tar");
    scene.vial(["import", "it.tar"]).ok().silent();
    let line = format!("{VIAL} import it.tar");
    let shown = scene.command("script", ["-qefc", &line, "/dev/null"]).ok();
    assert!(shown.stdout.contains("\rimporting: ") && shown.stdout.contains("\r\u{1b}[K"), "{}", shown.shown());
}

fn a_terminal_is_no_archive(scene: &Scene) {
    let line = format!("{VIAL} import - it");
    scene.command("script", ["-qefc", &line, "/dev/null"]).run().ends(125).shows("standard input is a terminal");
}

/// A small archive of a few files, and its bytes.
fn small(scene: &Scene) -> Vec<u8> {
    let top = scene.path("small");
    fs::create_dir_all(top.join("etc")).expect("make directories");
    fs::write(top.join("etc/first"), b"0123456789abcdef".repeat(400)).expect("write a file");
    fs::write(top.join("etc/second"), (0..9000).map(|at| (at * 31 / 7) as u8).collect::<Vec<u8>>())
        .expect("write a file");
    symlink("first", top.join("etc/soft")).expect("symlink");
    fs::hard_link(top.join("etc/first"), top.join("etc/hard")).expect("link");
    make_archive(scene, &top, &["--format=pax", "--sort=name", "-b1"], "small.tar");
    fs::read(scene.path("small.tar")).expect("read the archive")
}

fn a_truncated_archive_is_refused_with_the_place(scene: &Scene) {
    let whole = small(scene);
    // Inside a header and inside data. At the end of a member all that is missing is the end mark, which tar forgives too.
    for length in [100, 511, 513, 700, 2100, 2600, 5000, whole.len() - 2000] {
        fs::write(scene.path("cut.tar"), &whole[..length]).expect("write the archive");
        let output = scene.vial(["import", "cut.tar", "it"]).run().ends(125).prints("");
        if length >= 512 {
            let place = output.stderr.split("at byte ").nth(1).and_then(|rest| rest.split(' ').next());
            let place: usize =
                place.and_then(|place| place.parse().ok()).unwrap_or_else(|| panic!("{}", output.shown()));
            assert!(place <= length && place + 512 >= length, "cut at {length}: {}", output.shown());
            assert!(output.stderr.contains("ends in the middle of"), "{}", output.shown());
        }
        assert_empty(scene);
        let piped = scene.vial(["import", "-", "it"]).input(&whole[..length]).run().ends(125);
        assert!(length < 512 || piped.stderr.contains("at byte"), "{}", piped.shown());
        assert_empty(scene);
    }
}

fn gzipped(scene: &Scene, bytes: &[u8]) -> Vec<u8> {
    fs::write(scene.path("plain"), bytes).expect("write a file");
    scene.command("gzip", ["-n", "-9", "-f", "plain"]).ok();
    fs::read(scene.path("plain.gz")).expect("read the archive")
}

fn a_truncated_gzip_archive_is_refused_with_the_place(scene: &Scene) {
    let whole = small(scene);
    let whole = gzipped(scene, &whole);
    for length in [5, 12, 50, whole.len() / 2, whole.len() - 9, whole.len() - 8, whole.len() - 4, whole.len() - 1] {
        fs::write(scene.path("cut.gz"), &whole[..length]).expect("write the archive");
        let output = scene.vial(["import", "cut.gz", "it"]).run().ends(125).prints("");
        assert!(output.stderr.contains("damaged") && output.stderr.contains("at byte"), "{length}: {}", output.shown());
        assert!(output.stderr.contains("bytes are counted in the compressed file"), "{}", output.shown());
        assert_empty(scene);
    }
}

fn a_flipped_byte_is_found(scene: &Scene) {
    let plain = small(scene);
    let whole = gzipped(scene, &plain);
    // Behind gzip's header, whose time and flags may say what they like, and not in the last byte of the data, whose last bits
    // may mean nothing.
    let step = whole.len() / 40;
    let mut refused = 0;
    for at in (10..whole.len() - 9).step_by(step.max(1)).chain([whole.len() - 8, whole.len() - 1]) {
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        // A match that begins elsewhere among zeros means the same: of a hundred such flips one does, and which one depends on
        // the times in the archive.
        let mut content = Vec::new();
        if flate2::read::MultiGzDecoder::new(&bad[..]).read_to_end(&mut content).is_ok() {
            assert!(content == plain, "another decoder takes byte {at} of {} for something else", whole.len());
            continue;
        }
        refused += 1;
        fs::write(scene.path("bad.gz"), &bad).expect("write the archive");
        let output = scene.vial(["import", "bad.gz", "it"]).run();
        assert_eq!(output.code, 125, "byte {at} of {}: {}", whole.len(), output.shown());
        assert!(output.stderr.contains("at byte"), "byte {at}: {}", output.shown());
        assert_empty(scene);
    }
    assert!(refused > 20, "{refused}");
    // More behind the end is damage too, but zeros are a tape's.
    let behind = |bytes: &[u8]| {
        fs::write(scene.path("bad.gz"), [&whole, bytes].concat()).expect("write the archive");
        scene.vial(["import", "bad.gz", "it"]).run()
    };
    behind(&[0; 512]).ends(0);
    remove_all(scene);
    behind(b"garbage").ends(125).says("at byte");
    assert_empty(scene);
}

fn a_damaged_header_is_found_with_its_place(scene: &Scene) {
    let whole = small(scene);
    let headers: Vec<usize> =
        (0..whole.len()).step_by(512).filter(|at| &whole[at + 257..at + 262] == b"ustar").collect();
    assert!(headers.len() > 5);
    for header in headers.into_iter().skip(1) {
        for at in [0, 101, 125, 150, 156] {
            let mut bad = whole.clone();
            bad[header + at] ^= 0x41;
            fs::write(scene.path("bad.tar"), &bad).expect("write the archive");
            let output = scene.vial(["import", "bad.tar", "it"]).run().ends(125).says("damaged");
            assert!(output.stderr.contains(&format!("at byte {header} of the archive")), "{}", output.shown());
            assert_empty(scene);
        }
    }
}

fn other_formats_are_called_by_their_names(scene: &Scene) {
    #[rustfmt::skip]
    let cases: &[(&[u8], &str, &str)] = &[
        (b"PK\x03\x04\x14\0\0\0rest of a zip archive",         "a zip archive",   "tar archives"),
        (b"\xfd7zXZ\0\0\x04rest of an xz archive",             "an xz archive",   "xz -dc"),
        (b"BZh91AY&SYrest of a bzip2 archive",                 "a bzip2 archive", "bzip2 -dc"),
        (b"\x7fELF\x02\x01\x01rest of a program",              "a program",       "tar archives"),
        (b"<!DOCTYPE html><html><body>404",                    "a web page",      "download"),
        (b"{\"errors\":[]}",                                   "JSON",            "tar archives"),
        (b"070701rest of a cpio archive",                      "a cpio archive",  "cpio"),
        (b"!<arch>\ndebian-binary",                            "an ar archive",   "tar archives"),
        (b"just some words, and more of them",                 "not an archive",  "tar archives"),
        (b"\x1f\x9d\x90compress(1)",                           "not an archive",  "tar archives"),
        (&[0xff; 3000],                                        "not an archive",  "tar archives"),
    ];
    for (content, name, hint) in cases {
        fs::write(scene.path("file.tar.gz"), content).expect("write a file");
        let output = scene.vial(["import", "file.tar.gz", "it"]).run().ends(125).prints("");
        let first = output.stderr.lines().next().unwrap_or_default();
        let last = output.stderr.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
        assert!(first.starts_with("vial: file.tar.gz is ") && first.contains(name), "{}", output.shown());
        assert!(last.contains(hint), "{}", output.shown());
        scene.vial(["import", "-", "it"]).input(*content).run().ends(125).says(name);
        assert_empty(scene);
    }
    // The real tools' output, where they are installed.
    fs::create_dir(scene.path("tree")).expect("make a directory");
    fs::write(scene.path("tree/f"), "x").expect("write a file");
    for (tool, line, name) in [
        ("zip", "cd tree; zip -q ../real.bin f; mv ../real.bin.zip ../real.bin 2>/dev/null; true", "a zip archive"),
        ("xz", "tar -c tree | xz >real.bin", "an xz archive"),
        ("bzip2", "tar -c tree | bzip2 >real.bin", "a bzip2 archive"),
    ] {
        if crate::util::needs::tool(tool).is_some() {
            let _ = fs::remove_file(scene.path("real.bin"));
            scene.command("sh", ["-c", line]).ok();
            scene.vial(["import", "real.bin", "it"]).run().ends(125).says(name);
        }
    }
    scene.vial(["import", VIAL]).run().ends(125).says("a program");
    assert_empty(scene);
}

/// A member's name, its kind and what it links to.
pub type Member = (&'static str, char, &'static str);

/// Archives that try to write, link or change something outside, each with a name. `%` stands for the scene's directory.
#[rustfmt::skip]
pub const HOSTILE: &[(&str, &[Member])] = &[
    ("a name with ..",                    &[("../escaped", 'f', ""), ("../../../../../../../../../../../../%/escaped", 'f', "")]),
    ("a name with .. further in",         &[("a/../../../escaped", 'f', "")]),
    ("a name that only is ..",            &[("..", 'd', ""), ("../", 'd', ""), ("a/../..", 'd', "")]),
    ("an absolute name",                  &[("%/escaped", 'f', ""), ("//%/outside/escaped", 'f', "")]),
    ("a directory with ..",               &[("../escaped/", 'd', "")]),
    ("a file through an absolute link",   &[("l", 'l', "%/outside"), ("l/escaped", 'f', "")]),
    ("a file through a relative link",    &[("l", 'l', "../../../../../outside"), ("l/escaped", 'f', "")]),
    ("a file through two links",          &[("a", 'l', "%"), ("b", 'l', "a/outside"), ("b/escaped", 'f', "")]),
    ("a file through a link to the top",  &[("l", 'l', "/"), ("l%/outside/escaped", 'f', "")]),
    ("a file in the place of a link",     &[("l", 'l', "%/outside/canary"), ("l", 'f', "")]),
    ("a directory in a link's place",     &[("l", 'l', "%/outside"), ("l/", 'd', ""), ("l/escaped", 'f', "")]),
    ("a directory's mode by a link",      &[("l", 'l', "%/outside"), ("l/.", 'd', ""), ("l/./", 'd', "")]),
    ("a hard link out by ..",             &[("h", 'h', "../../../../outside/canary"), ("h", 'f', "")]),
    ("a hard link out by its name",       &[("h", 'h', "%/outside/canary"), ("h", 'f', "")]),
    ("a hard link through a link",        &[("l", 'l', "%/outside"), ("h", 'h', "l/canary"), ("h", 'f', "")]),
    ("a hard link to a link",             &[("l", 'l', "%/outside/canary"), ("h", 'h', "l"), ("h", 'f', "")]),
    ("a link loop",                       &[("a", 'l', "b"), ("b", 'l', "a"), ("a/escaped", 'f', "")]),
    ("a link to itself",                  &[("a", 'l', "a"), ("a/b/c", 'd', "")]),
    ("a device over a directory",         &[("d/", 'd', ""), ("d/f", 'f', ""), ("d", 'c', "")]),
    ("a device through a link",           &[("l", 'l', "%/outside"), ("l/escaped", 'c', "")]),
    ("a FIFO in the place of a link",     &[("l", 'l', "%/outside/canary"), ("l", 'p', "")]),
    ("a link through a link",             &[("l", 'l', "%/outside"), ("l/escaped", 'l', "/etc")]),
    ("the root as a link",                &[(".", 'l', "%/outside"), ("escaped", 'f', "")]),
    ("the root as a file",                &[("./", 'f', "")]),
    ("the store's own lock by a link",    &[("l", 'l', "../../../.."), ("l/lock", 'f', ""), ("l/images/x.json", 'f', "")]),
    ("a link through proc",               &[("l", 'l', "/proc/self/cwd/outside"), ("l/escaped", 'f', "")]),
    ("a file below a file",               &[("f", 'f', ""), ("f/escaped", 'f', "")]),
    ("a file below a device",             &[("d", 'c', ""), ("d/escaped", 'f', "")]),
    ("no name",                           &[("", 'f', "")]),
    ("a link to nothing",                 &[("l", 'l', "")]),
    ("a hard link to what is not there",  &[("h", 'h', "nowhere")]),
    ("a hard link to itself",             &[("h", 'f', ""), ("h", 'h', "h")]),
    ("a hard link to a directory",        &[("d/", 'd', ""), ("h", 'h', "d")]),
];

fn an_archive_that_tries_to_leave_the_root_changes_nothing_outside(scene: &Scene) {
    fs::create_dir(scene.path("outside")).expect("make a directory");
    fs::write(scene.path("outside/canary"), "sings").expect("write a file");
    let above = || -> Vec<std::ffi::OsString> {
        let parent = scene.directory().parent().expect("a scene lies in a directory");
        let names = [parent, Path::new("/")].map(|path| fs::read_dir(path).expect("list a directory").flatten());
        let names = names.into_iter().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().contains("escaped")).collect()
    };
    let place = scene.directory().display().to_string();
    for (what, members) in HOSTILE {
        let mut bytes = Vec::new();
        for (name, kind, link) in *members {
            let (name, link) = (name.replace('%', &place), link.replace('%', &place));
            archive::member(&mut bytes, name.as_bytes(), *kind, link.as_bytes(), b"hostile");
        }
        archive::end(&mut bytes);
        fs::write(scene.path("hostile.tar"), &bytes).expect("write the archive");
        let look = || {
            let mut tree = tree::look(scene.directory());
            tree.retain(|path, _| !path.starts_with("./root"));
            tree
        };
        let before = look();
        let output = scene.vial(["import", "hostile.tar", "it"]).run();
        assert!(output.code == 0 || output.code == 125, "{what}: {}", output.shown());
        assert_same(&before, &look());
        assert_eq!(above(), [""; 0], "{what}");
        if output.code == 0 {
            let layer = layer(scene);
            let beside = fs::read_dir(layer.parent().expect("a layer lies in a directory")).expect("list it");
            let mut names: Vec<_> = beside.map(|entry| entry.expect("list it").file_name()).collect();
            names.sort();
            assert_eq!(names, ["diff", "frame", "size"], "{what}");
            assert_eq!(entries(scene, "images").len(), 1, "{what}");
            remove_all(scene);
        } else {
            assert!(output.stderr.starts_with("vial: "), "{what}: {}", output.shown());
        }
        assert_empty(scene);
    }
}

fn links_out_of_the_root_are_kept_and_never_followed(scene: &Scene) {
    let mut bytes = Vec::new();
    archive::member(&mut bytes, b"only here/", 'd', b"", b"");
    archive::member(&mut bytes, b"up", 'l', b"../../..", b"");
    archive::member(&mut bytes, b"root", 'l', b"/only here", b"");
    archive::member(&mut bytes, b"root/inside", 'f', b"", b"by an absolute link");
    archive::member(&mut bytes, b"up/only here/also", 'f', b"", b"by a relative link");
    archive::end(&mut bytes);
    scene.vial(["import", "-", "it"]).input(bytes).ok();
    let layer = layer(scene);
    assert_eq!(fs::read_link(layer.join("up")).expect("a link"), Path::new("../../.."));
    assert_eq!(fs::read_link(layer.join("root")).expect("a link"), Path::new("/only here"));
    // As it would be in the container, whose root is the layer.
    assert_eq!(fs::read_to_string(layer.join("only here/inside")).expect("a file"), "by an absolute link");
    assert_eq!(fs::read_to_string(layer.join("only here/also")).expect("a file"), "by a relative link");
    assert!(!Path::new("/only here").exists());
}

fn the_last_of_two_members_of_one_name_wins(scene: &Scene) {
    let mut bytes = Vec::new();
    for (name, kind, link, body) in [
        ("twice", 'f', "", "first, and longer"),
        ("twice", 'f', "", "second"),
        ("was/", 'd', "", ""),
        ("was/full", 'f', "", "x"),
        ("was", 'f', "", "now a file"),
        ("is", 'f', "", "x"),
        ("is/", 'd', "", ""),
        ("is/full", 'f', "", "x"),
        ("kept/", 'd', "", ""),
        ("kept/inside", 'f', "", "x"),
        ("kept/", 'd', "", ""),
        ("one", 'f', "", "shared"),
        ("other", 'h', "one", ""),
        ("one", 'f', "", "its own"),
    ] {
        archive::member(&mut bytes, name.as_bytes(), kind, link.as_bytes(), body.as_bytes());
    }
    archive::end(&mut bytes);
    scene.vial(["import", "-", "it"]).input(bytes).ok();
    let layer = layer(scene);
    let read = |name: &str| fs::read_to_string(layer.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read("twice"), "second");
    assert_eq!(read("was"), "now a file");
    assert_eq!(read("is/full"), "x");
    assert_eq!(read("kept/inside"), "x");
    // Writing the second through the first would have changed the file's other name too.
    assert_eq!((read("one"), read("other")), ("its own".into(), "shared".into()));
}

fn names_of_whiteouts_are_names_like_others(scene: &Scene) {
    let mut bytes = Vec::new();
    for name in ["a", ".wh.a", "d/", "d/b", "d/.wh..wh..opq", ".wh.", ".wh..wh.plnk"] {
        archive::member(&mut bytes, name.as_bytes(), if name.ends_with('/') { 'd' } else { 'f' }, b"", b"x");
    }
    archive::end(&mut bytes);
    scene.vial(["import", "-", "it"]).input(bytes).ok();
    let found: Vec<String> = tree::look(&layer(scene)).keys().map(|path| path.display().to_string()).collect();
    assert_eq!(found, [".", "./.wh.", "./.wh..wh.plnk", "./.wh.a", "./a", "./d", "./d/.wh..wh..opq", "./d/b"]);
}

/// What must hold after an import was killed: nothing is shown that is not whole, the same import works, `gc` cleans up.
fn recovers(scene: &Scene, source: &str, expected: &Tree, moment: &str) {
    let shown = scene.vial(["images", "-q", "-a"]).ok().silent().stdout;
    if !shown.is_empty() {
        assert_same(expected, &tree::look(&layer(scene)));
        scene.vial(["images", "it:1", "-q"]).ok().prints(&shown);
    }
    let id = scene.vial(["import", source, "it:1"]).ok().silent().stdout;
    assert_same(expected, &tree::look(&layer(scene)));
    scene.vial(["images", "it:1", "-q", "--no-trunc"]).ok().prints(&id);
    scene.vial(["gc"]).ok();
    assert_eq!(entries(scene, "tmp"), [""; 0].map(PathBuf::from), "{moment}");
    assert_same(expected, &tree::look(&layer(scene)));
    remove_all(scene);
    scene.vial(["gc"]).ok();
    assert_empty(scene);
}

fn an_import_killed_at_any_call_shows_nothing_and_is_cleaned_up(scene: &Scene) {
    small(scene);
    scene.command("gzip", ["-k", "small.tar"]).ok();
    let expected = tree::look(&scene.path("small"));
    let words = ["import", "small.tar.gz", "it:1"];
    let moments = killer::moments(scene, &words, 60, 1);
    remove_all(scene);
    for (moment, what) in moments {
        killer::run(scene, &words, Some(moment));
        recovers(scene, "small.tar.gz", &expected, &what);
    }
}

/// Starts `vial import - it:1` with a pipe to its standard input.
fn start_import(scene: &Scene) -> Child {
    let mut command = Command::new(VIAL);
    command.args(["import", "-", "it:1"]).env("VIAL_ROOT", scene.root()).current_dir(scene.directory());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start vial")
}

fn an_import_killed_while_it_waits_shows_nothing(scene: &Scene) {
    let whole = small(scene);
    let expected = tree::look(&scene.path("small"));
    for length in [0, 100, 1024, 3000, 9000, whole.len() - 512, whole.len()] {
        let mut child = start_import(scene);
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(&whole[..length]).expect("feed the import");
        if length >= 3000 {
            eventually("the import begins", || (!entries(scene, "tmp").is_empty()).then_some(()));
        }
        std::thread::sleep(Duration::from_millis(20));
        child.kill().expect("kill the import");
        child.wait().expect("wait for it");
        drop(stdin);
        scene.assert_nothing_left();
        scene.vial(["images", "-q", "-a"]).ok().prints("");
        recovers(scene, "small.tar", &expected, &format!("killed after {length} bytes"));
    }
}

fn two_imports_at_once_both_land(scene: &Scene) {
    small(scene);
    let script = format!("for i in 1 2 3 4 5 6; do {VIAL} import small.tar it:$i & done; wait");
    scene.command("sh", ["-c", &script]).ok().silent();
    let listed = scene.vial(["images", "--format={{.Tag}}"]).ok().stdout;
    let mut tags: Vec<&str> = listed.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["1", "2", "3", "4", "5", "6"]);
    assert_same(&tree::look(&scene.path("small")), &tree::look(&layer(scene)));
    assert_eq!(entries(scene, "tmp"), [""; 0].map(PathBuf::from));
}

/// The most memory that vial may have had, for any archive.
const MEMORY: u64 = 8 << 10;

/// The peak memory in KiB of a process and of those that it made.
fn peaks(id: u32) -> Vec<u64> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = children.split_whitespace().map(str::to_owned).chain([id.to_string()]);
    ids.filter_map(|id| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    })
    .collect()
}

/// Feeds an import all but the last bytes of an archive; the peaks when it waits for them.
fn peaks_of_import(scene: &Scene, feed: impl FnOnce(&mut dyn Write), rest: &[u8]) -> Vec<u64> {
    let mut child = start_import(scene);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    feed(&mut stdin);
    // All that was fed is taken when both wait on a pipe.
    std::thread::sleep(Duration::from_millis(300));
    let found = peaks(child.id());
    stdin.write_all(rest).expect("feed the import");
    drop(stdin);
    let output = child.wait_with_output().expect("wait for the import");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    found
}

/// Large files and small ones, about 52 kB each.
fn write_large(out: &mut dyn Write, files: usize) {
    let body = b"0123456789abcdef".repeat(4096);
    for number in 0..files {
        let mut bytes = Vec::new();
        let length = if number % 2 == 0 { body.len() } else { 40_000 };
        archive::member(
            &mut bytes,
            format!("directory{}/file{number}", number / 100).as_bytes(),
            'f',
            b"",
            &body[..length],
        );
        out.write_all(&bytes).expect("feed the import");
    }
}

fn a_large_plain_archive_needs_little_memory(scene: &Scene) {
    let found = peaks_of_import(scene, |out| write_large(out, 2000), &[0; 1024]);
    assert!(found.len() == 3 && found.iter().all(|peak| *peak < MEMORY), "peaks in KiB: {found:?}");
    let files = scene.command("sh", ["-c", "find root/layers -type f -name 'file*' | wc -l"]).ok();
    files.prints("2000\n");
}

fn a_large_gzip_archive_needs_little_memory(scene: &Scene) {
    let mut whole = File::create(scene.path("large.tar")).expect("make a file");
    // Less than the plain one, since an unoptimised binary takes its time.
    write_large(&mut whole, 500);
    scene.command("gzip", ["-1", "large.tar"]).limit(Duration::from_mins(2)).ok();
    let whole = fs::read(scene.path("large.tar.gz")).expect("read the archive");
    // Without the check of the whole, which stands in the last bytes, it can't be done.
    let (most, last) = whole.split_at(whole.len() - 8);
    let found = peaks_of_import(scene, |out| out.write_all(most).expect("feed the import"), last);
    assert!(found.len() == 3 && found.iter().all(|peak| *peak < MEMORY), "peaks in KiB: {found:?}");
}
