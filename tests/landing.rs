//! Landing: an image is in the store whole or not at all, whatever happens to vial, to the disk, or in the archive.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::util::archive::{end, member};
use crate::util::command::VIAL;
use crate::util::container::eventually;
use crate::util::disk::Disk;
use crate::util::{Scene, killer, strace};

trials! {
    nobody_else_can_look_into_the_store [Root, Command("import")];
    an_image_is_on_the_disk_before_it_shows [Root, Tool("strace"), Command("import")];
    a_full_disk_leaves_no_half_image [Root, Tool("mount"), Kernel("tmpfs"), Command("import")];
    a_full_disk_with_a_journal_leaves_no_half_image [Root, Tool("mount"), Tool("mkfs.ext4"), Tool("losetup"), Command("import")];
    a_quota_that_is_used_up_is_told_and_leaves_no_half_image [Root, Tool("strace"), Command("import")];
    a_store_that_cannot_be_written_is_told_and_can_be_read [Root, Tool("mount"), Kernel("tmpfs"), Command("import")];
    commands_killed_at_any_call_leave_whole_images [Root, Busybox, Kernel("overlay"), Command("tag")];
    a_bomb_is_refused_at_the_size_that_was_said [Root, Tool("gzip"), Command("import")];
    a_bomb_leaves_room_on_the_disk [Root, Tool("mount"), Kernel("tmpfs"), Tool("python3"), Command("import")];
    set_id_bits_and_capabilities_are_the_images_own [Root, Tool("tar"), Command("import")];
}

/// A directory to import, `tree`: files of different sizes, below a directory.
fn tree(scene: &Scene) {
    fs::create_dir_all(scene.path("tree/below")).expect("make directories");
    for size in [0, 1, 5000, 70_000, 300_000] {
        fs::write(scene.path(format!("tree/below/{size}")), vec![b'x'; size]).expect("write a file");
    }
}

fn entries(root: &Path, name: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root.join(name)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().expect("a name of vial's")).collect()
}

/// Asserts that every image that shows has its layers, and every name its image; and after `gc`, that there is nothing else.
fn is_sound(scene: &Scene, root: &Path, moment: &str) {
    let check = || {
        let mut needed = BTreeSet::new();
        for image in entries(root, "images") {
            let text = fs::read_to_string(root.join("images").join(&image)).expect("read a configuration");
            let config: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{moment}: {error}"));
            for layer in config["rootfs"]["diff_ids"].as_array().expect("layers") {
                needed.insert(layer.as_str().expect("a digest").replace("sha256:", ""));
            }
        }
        let layers = entries(root, "layers");
        assert!(needed.is_subset(&layers), "{moment}: {needed:?} of {layers:?}");
        (needed, layers)
    };
    check();
    let vial = |words: &[&str]| scene.vial(["--root", &root.display().to_string()]).args(words).ok();
    let shown = vial(&["images", "--no-trunc", "--format={{.ID}} {{.Repository}}:{{.Tag}}"]).stdout;
    vial(&["gc"]);
    let (needed, layers) = check();
    assert_eq!(needed, layers, "{moment}");
    assert_eq!(entries(root, "tmp"), BTreeSet::new(), "{moment}");
    assert_eq!(
        entries(root, "refs").len(),
        shown.lines().filter(|line| !line.ends_with("<none>")).count(),
        "{moment}: {shown}"
    );
    assert_eq!(vial(&["images", "--no-trunc", "--format={{.ID}} {{.Repository}}:{{.Tag}}"]).stdout, shown, "{moment}");
}

fn nobody_else_can_look_into_the_store(scene: &Scene) {
    tree(scene);
    scene.command("sh", ["-c", "umask 0; exec \"$0\" --root new/store import tree it", VIAL]).ok();
    for name in ["", "layers", "images", "refs", "tmp"] {
        let made = fs::metadata(scene.path("new/store").join(name)).expect("it was made");
        assert_eq!(made.permissions().mode() & 0o7777, 0o700, "{name}");
    }
}

fn an_image_is_on_the_disk_before_it_shows(scene: &Scene) {
    tree(scene);
    let words = ["-y", "-o", "trace", "-e", "trace=syncfs,fsync,renameat2", VIAL, "import", "tree", "it"];
    scene.command("strace", strace::OPTIONS.iter().copied().chain(words)).ok();
    let trace = fs::read_to_string(scene.path("trace")).expect("read the trace");
    // A process of its own puts what is unpacked on the disk meanwhile; only the first one's word counts.
    let named = trace.lines().find(|line| line.contains("renameat2(")).expect("it gets its name");
    let first = named.split(' ').next().expect("a process ID");
    let steps: Vec<&str> = trace
        .lines()
        .filter(|line| line.split(' ').next() == Some(first))
        .filter_map(|line| {
            let put = |target: &str| line.contains("renameat2(") && line.contains(&format!("\"{target}"));
            let synced = |name: &str| line.contains("fsync(") && line.contains(&format!("/{name}>"));
            match () {
                () if line.contains("syncfs(") => Some("all"),
                () if put("layers/") => Some("layer"),
                () if put("refs/") => Some("name"),
                () if put("images/") => Some("image"),
                () if synced("layers") => Some("layers"),
                () if synced("refs") => Some("names"),
                () if synced("images") => Some("images"),
                () if synced("file") => Some("file"),
                () => None,
            }
        })
        .collect();
    assert_eq!(steps, ["all", "layer", "layers", "file", "name", "names", "image", "images"], "{trace}");
}

/// Imports into stores on ever larger disks, until one is large enough; each says so and stays sound.
fn fills(scene: &Scene, root: &Path, room: &mut dyn FnMut(u64)) {
    tree(scene);
    for size in 0..60 {
        room(size);
        let output = scene.vial(["--root", &root.display().to_string(), "import", "tree", "it"]).run();
        if output.code == 0 {
            assert!(size > 3, "{size}");
            is_sound(scene, root, "in the end");
            assert_eq!(entries(root, "images").len(), 1);
            return;
        }
        let output = output.ends(125).prints("").says("ENOSPC").says("the disk is full");
        assert_eq!(output.stderr.lines().filter(|line| line.starts_with("vial: ")).count(), 1, "{}", output.shown());
        assert!(entries(root, "images").is_empty() && entries(root, "layers").is_empty(), "{size}");
        is_sound(scene, root, &size.to_string());
    }
    panic!("no disk was large enough");
}

fn a_full_disk_leaves_no_half_image(scene: &Scene) {
    let disk = scene.path("small");
    fs::create_dir(&disk).expect("make a directory");
    let at = disk.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", &at]).ok();
    fills(scene, &disk.join("root"), &mut |size| {
        scene.command("mount", ["-o", &format!("remount,size={}k", 64 + 16 * size), &at]).ok();
    });
    scene.command("umount", [&at]).ok();
}

fn a_full_disk_with_a_journal_leaves_no_half_image(scene: &Scene) {
    let disk = Disk::new(scene);
    scene.command("mkfs.ext4", ["-q", "-b", "1024", &disk.path]).ok();
    let mount = scene.path("small");
    fs::create_dir(&mount).expect("make a directory");
    let at = mount.display().to_string();
    scene.command("mount", [&disk.path, &at]).ok();
    let filler = mount.join("filler");
    fills(scene, &mount.join("root"), &mut |size| {
        // All is taken away but for what grows.
        let _ = fs::write(&filler, vec![1; 8 << 20]);
        let filler = fs::File::options().write(true).open(&filler).expect("open the filler");
        let length = filler.metadata().expect("stat").len();
        filler.set_len(length.saturating_sub((8 + 8 * size) << 10)).expect("cut the filler");
        scene.command("sync", ["-f", &at]).ok();
    });
    scene.command("umount", [&at]).ok();
    // Who made a mount namespace meanwhile has a copy of the mount for a moment.
    let backing = format!("/sys/block/{}/loop/backing_file", disk.path.trim_start_matches("/dev/"));
    drop(disk);
    eventually("the device is let go of", || (!Path::new(&backing).exists()).then_some(()));
}

fn a_quota_that_is_used_up_is_told_and_leaves_no_half_image(scene: &Scene) {
    tree(scene);
    // Making a directory of the tree, writing its largest file, putting it all on the disk; then the layer's name and the image's.
    for (call, when) in [("mkdirat", "7+"), ("write", "4+"), ("syncfs", "1"), ("fsync", "1"), ("fsync", "2")] {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=EDQUOT:when={when}"));
        let words = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, VIAL, "import", "tree", "it"];
        let output = scene.command("strace", words).ends(125).prints("");
        assert!(call == "write" || output.stderr.contains("hint: the quota is used up"), "{}", output.shown());
        for kind in ["images", "layers"] {
            assert_eq!(entries(&scene.root(), kind), BTreeSet::new(), "{call} {when}");
        }
        is_sound(scene, &scene.root(), call);
    }
    scene.vial(["import", "tree", "it"]).ok();
}

fn a_store_that_cannot_be_written_is_told_and_can_be_read(scene: &Scene) {
    tree(scene);
    let disk = scene.path("small");
    fs::create_dir(&disk).expect("make a directory");
    let at = disk.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", &at]).ok();
    let root = disk.join("root").display().to_string();
    let vial = |words: &[&str]| scene.vial(["--root", &root]).args(words);
    vial(&["import", "tree", "it"]).ok();
    scene.command("mount", ["-o", "remount,ro", &at]).ok();
    for words in [&["import", "tree", "other"][..], &["tag", "it", "other"], &["rmi", "it"]] {
        vial(words).ends(125).prints("").says("EROFS");
    }
    vial(&["images", "--format={{.Repository}}"]).ok().prints("it\n");
    vial(&["history", "-q", "it"]).ok();
    scene.command("umount", [&at]).ok();
}

fn commands_killed_at_any_call_leave_whole_images(scene: &Scene) {
    tree(scene);
    let rootfs = scene.rootfs().display().to_string();
    let before = || {
        for id in scene.vial(["images", "-q", "--no-trunc"]).ok().stdout.lines() {
            scene.vial(["rmi", "-f", id]).run();
        }
        scene.vial(["import", "tree", "it"]).ok();
        scene.vial(["import", "tree", "it"]).ok();
    };
    scene.vial(["import", &rootfs, "base"]).ok();
    scene.vial(["create", "--name", "c", "base", "true"]).ok();
    for words in [&["tag", "it", "other"][..], &["rmi", "it"], &["commit", "c", "it"], &["gc", "--images"]] {
        before();
        for (moment, what) in killer::moments(scene, words, 20, 3) {
            before();
            killer::run(scene, words, Some(moment));
            is_sound(scene, &scene.root(), &what);
        }
    }
    scene.vial(["rm", "c"]).ok();
}

fn a_bomb_is_refused_at_the_size_that_was_said(scene: &Scene) {
    // In a file's data, between the members, and behind the end.
    for (name, place) in [("data", 0), ("names", 1), ("tail", 2)] {
        let mut archive = Vec::new();
        let body = vec![0; if place == 0 { 30 << 20 } else { 0 }];
        member(&mut archive, b"file", 'f', b"", &body);
        if place == 1 {
            for _ in 0..30_000 {
                member(&mut archive, b"file", 'f', b"", b"");
            }
        }
        end(&mut archive);
        if place == 2 {
            archive.resize(30 << 20, 0);
        }
        fs::write(scene.path(name), &archive).expect("write the archive");
        scene.command("gzip", ["-9", name]).ok();
        let packed = format!("{name}.gz");
        assert!(fs::metadata(scene.path(&packed)).expect("it is there").size() < 600 << 10);
        scene.vial(["import", "--max-size", "8m", &packed, "it"]).ends(125).prints("").says("--max-size");
        assert_eq!(entries(&scene.root(), "layers"), BTreeSet::new(), "{name}");
        assert_eq!(entries(&scene.root(), "tmp"), BTreeSet::new(), "{name}");
        scene.vial(["import", "--max-size", "40m", &packed, "it"]).ok();
        scene.vial(["rmi", "it"]).ok();
    }
}

fn set_id_bits_and_capabilities_are_the_images_own(scene: &Scene) {
    // As in docker's layers. Nobody on the host gets at them, since nobody gets into the store.
    fs::create_dir(scene.path("tree")).expect("make a directory");
    for (name, mode) in [("user", 0o4755), ("group", 0o2711), ("both", 0o6555)] {
        fs::write(scene.path("tree").join(name), name).expect("write a file");
        fs::set_permissions(scene.path("tree").join(name), fs::Permissions::from_mode(mode)).expect("chmod");
    }
    scene.command("tar", ["-cf", "tree.tar", "-C", "tree", "."]).ok();
    scene.vial(["import", "tree.tar", "it"]).ok();
    let layer = entries(&scene.root(), "layers").pop_first().expect("a layer");
    for (name, mode) in [("user", 0o4755), ("group", 0o2711), ("both", 0o6555)] {
        let file = scene.root().join("layers").join(&layer).join("diff").join(name);
        assert_eq!(fs::metadata(file).expect("it is there").permissions().mode() & 0o7777, mode, "{name}");
    }
}

/// Bytes and files that are free on a file system.
fn free(scene: &Scene, at: &str) -> (u64, u64) {
    let output = scene.command("stat", ["-f", "-c", "%a %S %d", at]).ok();
    let words: Vec<u64> = output.stdout.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    (words[0] * words[1], words[2])
}

fn a_bomb_leaves_room_on_the_disk(scene: &Scene) {
    let disk = scene.path("small");
    fs::create_dir(&disk).expect("make a directory");
    let at = disk.display().to_string();
    scene.command("mount", ["-t", "tmpfs", "-o", "size=200m,nr_inodes=50000", "tmpfs", &at]).ok();
    let root = disk.join("root").display().to_string();
    // One large file, many small ones, and files without anything in them, all of which are more than there is room for.
    let script = "import sys,tarfile\n\
                  count, size = int(sys.argv[2]), int(sys.argv[3])\n\
                  with tarfile.open(sys.argv[1], 'w:gz', compresslevel=1) as tar:\n\
                  \x20   for number in range(count):\n\
                  \x20       entry = tarfile.TarInfo('f%d' % number)\n\
                  \x20       entry.size = size\n\
                  \x20       tar.addfile(entry, open('/dev/zero', 'rb'))\n";
    for (name, count, size) in [("one", 1, 400 << 20), ("many", 40, 10 << 20), ("empty", 60_000, 0)] {
        let bomb = format!("{name}.tar.gz");
        let make = scene.command("python3", ["-c", script, &bomb, &count.to_string(), &size.to_string()]);
        // An emulated processor takes its time.
        make.limit(std::time::Duration::from_mins(5)).ok();
        let running = scene.vial(["--root", &root, "import", &bomb, "it"]).start();
        let (mut bytes, mut files) = free(scene, &at);
        let mut running = running;
        while !running.has_ended() {
            let now = free(scene, &at);
            (bytes, files) = (bytes.min(now.0), files.min(now.1));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        running.wait().ends(125).prints("").says("ENOSPC").says("hundredth").says("the disk is full");
        assert!(bytes > 0 && files > 300, "{name}: {bytes} bytes and {files} files were left");
        is_sound(scene, Path::new(&root), name);
        assert!(free(scene, &at).0 > 190 << 20, "{name}: what was unpacked is gone");
    }
    scene.command("umount", [&at]).ok();
}
