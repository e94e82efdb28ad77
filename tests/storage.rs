//! Storage drivers: containers on overlay, on btrfs and on copies; stores on file systems of all kinds; state in memory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::command::{Cmd, VIAL};
use crate::util::container::{eventually, signal};
use crate::util::tree::{self, assert_same, is_sparse};
use crate::util::{Scene, leaks};
use crate::vm::Machine;

trials! {
    every_command_does_the_same_with_each_driver [Root, Busybox, Kernel("overlay"), Kernel("btrfs"), Tool("mkfs.btrfs"), Tool("tar"), Command("commit")];
    layers_hide_what_they_hide_with_each_driver [Root, Busybox, Kernel("overlay"), Kernel("btrfs"), Tool("mkfs.btrfs"), Tool("tar"), Command("commit")];
    a_copy_is_the_same_to_the_last_attribute [Root, Busybox, Kernel("overlay"), Kernel("btrfs"), Tool("mkfs.btrfs"), Tool("mkfifo"), Command("run")];
    a_layer_is_a_subvolume_and_a_container_a_snapshot [Root, Busybox, Kernel("btrfs"), Tool("mkfs.btrfs"), Tool("btrfs"), Command("run")];
    a_copy_on_btrfs_shares_its_data [Root, Busybox, Kernel("btrfs"), Tool("mkfs.btrfs"), Tool("filefrag"), Command("run")];
    file_system_images_run_with_each_driver [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Kernel("btrfs"), Tool("mksquashfs"), Tool("mkfs.btrfs"), Command("commit")];
    a_copy_that_is_killed_is_waste_that_gc_removes [Root, Busybox, Kernel("btrfs"), Tool("mkfs.btrfs"), Command("gc")];
    a_directory_that_holds_the_store_is_copied_without_it [Root, Busybox, Kernel("overlay"), Tool("mount"), Command("run")];
    the_driver_is_the_first_that_works_on_the_stores_file_system [Root, Busybox, Kernel("overlay"), Kernel("tmpfs"), Kernel("ramfs"), Kernel("btrfs"), Tool("mkfs.btrfs"), Command("info")];
    a_file_system_without_owners_is_told [Machine];
    a_read_only_store_can_be_looked_at [Root, Busybox, Kernel("squashfs"), Tool("mksquashfs"), Command("import")];
    a_driver_that_does_not_work_is_refused [Root, Busybox, Kernel("overlay"), Command("run")];
    nothing_is_written_to_a_disk_in_ram_mode [Root, Busybox, Kernel("overlay"), Kernel("tmpfs"), Tool("unshare"), Tool("strace"), Command("commit")];
    ram_mode_wants_memory [Root, Busybox, Kernel("overlay"), Kernel("tmpfs"), Tool("unshare"), Command("info")];
}

/// A file system of a test's own, which is unmounted with this.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one: of a kind without a device, or what a file holds.
    fn new(scene: &Scene, name: &str, arguments: &[&str]) -> Mounted {
        let place = scene.path(name);
        fs::create_dir_all(&place).expect("make a directory");
        scene.command("mount", arguments.iter().map(OsStr::new).chain([place.as_os_str()])).ok();
        Mounted(place)
    }

    fn btrfs(scene: &Scene) -> Mounted {
        let disk = fs::File::create(scene.path("btrfs.disk")).expect("make a file");
        disk.set_len(400 << 20).expect("give it a size");
        scene.command("mkfs.btrfs", ["-q", "btrfs.disk"]).ok();
        Mounted::new(scene, "btrfs", &["-o", "loop", "btrfs.disk"])
    }

    /// A store on it.
    fn store(&self) -> String {
        self.0.join("store").display().to_string()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A store, and the driver that it is used with.
struct Store<'a> {
    scene: &'a Scene,
    root: String,
    driver: &'static str,
}

impl<'a> Store<'a> {
    fn vial(&self, words: &[&str]) -> Cmd<'a> {
        self.scene.vial(words).env("VIAL_ROOT", &self.root).env("VIAL_STORAGE", self.driver)
    }

    /// The directories below one of the store's.
    fn entries(&self, name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(Path::new(&self.root).join(name)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    #[track_caller]
    fn assert_empty(&self) {
        for name in ["containers", "names", "tmp", "layers", "images", "trees"] {
            let left = self.entries(name);
            assert!(left.is_empty(), "{} {}: {left:?}", self.driver, self.root);
        }
    }
}

/// A store for each driver: the last on btrfs, the others in the scene's root.
fn stores<'a>(scene: &'a Scene, btrfs: &Mounted) -> [Store<'a>; 4] {
    let store = |root: String, driver| Store { scene, root, driver };
    [
        store(scene.root().display().to_string(), "overlay"),
        store(scene.root().display().to_string(), "copy"),
        store(btrfs.store(), "btrfs"),
        store(btrfs.store(), "copy"),
    ]
}

/// `vial ps` says this of a container.
fn condition(store: &Store<'_>) -> String {
    store.vial(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok().stdout
}

fn every_command_does_the_same_with_each_driver(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let btrfs = Mounted::btrfs(scene);
    for store in stores(scene, &btrfs) {
        let vial = |words: &[&str]| store.vial(words);
        vial(&["info"]).ok().shows(&format!("Driver              {}\n", store.driver));
        vial(&["import", &rootfs, "image"]).ok();
        let script = "echo one >/etc/new; rm -r /home; echo more >>/etc/passwd; chmod 700 /mnt; exec sleep 600";
        vial(&["run", "-d", "--name", "c", "image", "sh", "-c", script]).ok();
        eventually("it has begun", || {
            (vial(&["exec", "c", "stat", "-c", "%a", "/mnt"]).ok().stdout == "700\n").then_some(())
        });
        let changed = "C /etc\nA /etc/new\nC /etc/passwd\nD /home\nC /mnt\n";
        vial(&["diff", "c"]).ok().silent().prints(changed);
        vial(&["cp", "c:/etc/new", "-"]).ok().shows("one");
        fs::write(scene.path("file"), "two\n").expect("write");
        vial(&["cp", "file", "c:/etc/two"]).ok();
        vial(&["exec", "c", "cat", "/etc/two"]).ok().prints("two\n");
        vial(&["commit", "c", "second"]).ok();
        vial(&["kill", "c"]).ok();
        vial(&["wait", "c"]).ok();
        // What it has is there when it does not run, and when it runs again.
        let changed = changed.replace("C /etc/passwd", "C /etc/passwd\nA /etc/two");
        vial(&["diff", "c"]).ok().silent().prints(&changed);
        vial(&["cp", "file", "c:/three"]).ok();
        vial(&["cp", "c:/three", "copied"]).ok();
        assert_eq!(fs::read_to_string(scene.path("copied")).expect("read"), "two\n");
        vial(&["export", "-o", "c.tar", "c"]).ok();
        let listed = scene.command("tar", ["-tf", "c.tar"]).ok().shows("./three\n").shows("./etc/two\n").stdout;
        assert!(!listed.contains("./home"), "{listed}");
        vial(&["start", "c"]).ok();
        vial(&["exec", "c", "cat", "/three"]).ok().prints("two\n");
        vial(&["restart", "-t", "0", "c"]).ok();
        vial(&["exec", "c", "cat", "/three"]).ok().prints("two\n");
        assert_eq!(condition(&store), "c running\n");
        vial(&["ps", "-s"]).ok().shows("c  ");
        // The image that was committed, a layer more, and one on top of that.
        let look = "cat /etc/new /etc/two; tail -n 1 /etc/passwd; ls -d /home /three; stat -c %a /mnt";
        vial(&["run", "--name", "d", "second", "sh", "-c", look]).ends(0).prints("one\ntwo\nmore\n700\n");
        vial(&["diff", "d"]).ok().prints("");
        vial(&["rm", "d"]).ok();
        vial(&["run", "--name", "d", "second", "sh", "-c", "rm /etc/two; mkdir /home"]).ok();
        vial(&["commit", "d", "third"]).ok();
        vial(&["run", "--rm", "third", "sh", "-c", "ls -d /home /etc/two"]).ends(1).prints("/home\n");
        vial(&["run", "--rm", "--read-only", "third", "touch", "/x"]).ends(1).says("Read-only");
        let layer = scene.command("sh", ["-c", "ls -A \"$1\" | wc -l", "-", &store.root]).ok().stdout;
        assert!(!layer.is_empty());
        vial(&["create", "--name", "e", "third", "true"]).ok();
        vial(&["cp", "file", "e:/made"]).ok();
        vial(&["diff", "e"]).ok().prints("A /made\n");
        vial(&["rmi", "third"]).ends(125).says("in use");
        vial(&["gc"]).ok().prints("");
        vial(&["rm", "-f", "c", "d", "e"]).ok();
        vial(&["rmi", "third", "second", "image"]).ok();
        store.assert_empty();
    }
    drop(btrfs);
}

fn layers_hide_what_they_hide_with_each_driver(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let btrfs = Mounted::btrfs(scene);
    let mut first: Option<String> = None;
    for store in stores(scene, &btrfs) {
        store.vial(&["import", &rootfs, "image"]).ok();
        // A file for a directory, a directory for a file, a directory made anew, a link for a file, a hard link, an owner.
        for script in [
            "mkdir -p /a/b /x/y; echo 1 >/a/b/f; echo 2 >/x/y/g; echo 3 >/file; ln /file /hard; echo 4 >/z",
            "rm -r /a; echo 5 >/a; rm /file; mkdir /file; echo 6 >/file/h; rm -r /x; mkdir -p /x/n; rm /z; ln -s a /z; chown 1:2 /hard",
            "rm /a; mkdir -p /a/b; echo 7 >/a/b/i; rm /file/h; rm /x/n -r; mknod /fifo p; chmod 4711 /hard",
        ] {
            store.vial(&["run", "--name", "c", "image", "sh", "-c", script]).ok();
            store.vial(&["commit", "c", "image"]).ok();
            store.vial(&["rm", "c"]).ok();
        }
        let look = "for f in $(find /a /x /file /hard /z /fifo | sort); do stat -c '%n %F %a %u:%g' $f; done; stat -c 'has %h' /hard; cat /a/b/i /hard";
        let found = store.vial(&["run", "--rm", "image", "sh", "-c", look]).ok().silent().stdout;
        assert!(
            found.contains("/hard regular file 4711 1:2\n")
                && found.contains("has 1\n")
                && found.contains("/z symbolic link"),
            "{found}"
        );
        assert!(!found.contains("/a/b/f") && !found.contains("/x/y") && !found.contains("/file/h"), "{found}");
        assert_eq!(*first.get_or_insert_with(|| found.clone()), found, "{} {}", store.driver, store.root);
        // The same when what an image hides is seen through an image made by another driver.
        store.vial(&["run", "--name", "c", "image", "true"]).ok();
        store.vial(&["diff", "c"]).ok().prints("");
        store.vial(&["rm", "c"]).ok();
        store.vial(&["rmi", "image"]).ok();
        let ids = store.vial(&["images", "-q"]).ok().stdout;
        for id in ids.lines() {
            store.vial(&["rmi", "-f", id]).ok();
        }
        store.assert_empty();
    }
}

fn a_copy_is_the_same_to_the_last_attribute(scene: &Scene) {
    let top = scene.path("tree");
    let script = "mkdir -p tree/bin tree/d/e tree/proc tree/dev tree/sys; cp \"$ROOT/bin/busybox\" tree/bin/true; cd tree
        echo small >d/small; ln d/small hard; ln -s d/small soft; ln -s /nowhere broken; mkfifo fifo; mknod null c 1 3
        mknod disk b 7 99; truncate -s 64M sparse; echo end >>sparse; chown 34:56 d d/small; chmod 4751 hard; chmod 1777 d/e
        chmod 0 fifo; chown -h 7:8 soft; find . -exec touch -h -d @86400.123456789 {} +";
    scene.command("sh", ["-ec", script]).env("ROOT", scene.rootfs()).ok();
    for (name, attribute, value) in [("d/small", "user.a", "b"), ("d", "user.c", ""), ("bin/true", "trusted.x", "y")] {
        xattr::set(top.join(name), attribute, value.as_bytes()).expect("set an extended attribute");
    }
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    xattr::set(top.join("bin/true"), "security.capability", capability).expect("give a file a capability");
    let before = tree::look(&top);
    let path = top.display().to_string();
    let btrfs = Mounted::btrfs(scene);
    for store in stores(scene, &btrfs).iter().skip(1) {
        store.vial(&["create", "--name", "c", &path, "true"]).ok();
        let made = store.entries("containers").pop().expect("there is a container").join("tree");
        assert_same(&before, &tree::look(&made));
        assert!(is_sparse(&made.join("sparse")));
        store.vial(&["diff", "c"]).ok().prints("");
        store.vial(&["start", "-a", "c"]).ok();
        store.vial(&["diff", "c"]).ok().prints("");
        store.vial(&["rm", "c"]).ok();
        store.assert_empty();
    }
}

fn a_layer_is_a_subvolume_and_a_container_a_snapshot(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let btrfs = Mounted::btrfs(scene);
    let store = Store { scene, root: btrfs.store(), driver: "btrfs" };
    let subvolumes = || {
        let listed = scene.command("btrfs", ["subvolume", "list", "btrfs"]).ok().stdout;
        let mut names: Vec<String> =
            listed.lines().filter_map(|line| line.rsplit(' ').next().map(String::from)).collect();
        names.sort();
        names
    };
    store.vial(&["import", &rootfs, "image"]).ok();
    store.vial(&["run", "--name", "c", "image", "sh", "-c", "echo x >/new"]).ok();
    let names = subvolumes();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names[0].contains("/containers/") && names[0].ends_with("/tree") && names[1].contains("/trees/"),
        "{names:?}"
    );
    let shown = scene.command("btrfs", ["subvolume", "show", &format!("btrfs/{}", names[1])]).ok().stdout;
    assert!(shown.contains("Snapshot(s):") && shown.contains(&names[0]), "{shown}");
    store.vial(&["commit", "c", "second"]).ok();
    store.vial(&["run", "--rm", "second", "cat", "/new"]).ok().prints("x\n");
    assert_eq!(subvolumes().len(), 3, "a tree for each layer, and the container's");
    // A workload that makes subvolumes itself is removed with them.
    let tree = store.entries("containers").pop().expect("there is a container").join("tree/inner");
    scene.command("btrfs", ["subvolume".as_ref(), "create".as_ref(), tree.as_os_str()]).ok();
    fs::write(tree.join("file"), "x").expect("write");
    store.vial(&["rm", "c"]).ok();
    store.vial(&["rmi", "second"]).ok();
    assert_eq!(subvolumes().len(), 1);
    store.vial(&["rmi", "image"]).ok();
    assert_eq!(subvolumes(), [""; 0]);
    store.assert_empty();
}

fn a_copy_on_btrfs_shares_its_data(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let btrfs = Mounted::btrfs(scene);
    let store = Store { scene, root: btrfs.store(), driver: "copy" };
    store.vial(&["import", &rootfs, "image"]).ok();
    store.vial(&["create", "--name", "c", "image", "true"]).ok();
    scene.command("sync", ["-f", "btrfs"]).ok();
    let busybox = store.entries("containers").pop().expect("there is a container").join("tree/bin/busybox");
    scene.command("filefrag", ["-v".as_ref(), busybox.as_os_str()]).ok().shows("shared");
    store.vial(&["rm", "c"]).ok();
    store.vial(&["rmi", "image"]).ok();
    store.assert_empty();
}

fn file_system_images_run_with_each_driver(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.command("mksquashfs", [&rootfs, "root.squashfs", "-quiet", "-no-progress"]).ok();
    let btrfs = Mounted::btrfs(scene);
    for store in stores(scene, &btrfs) {
        store.vial(&["import", "root.squashfs", "image"]).ok();
        for image in ["./root.squashfs", "image"] {
            store.vial(&["run", "--name", "c", image, "sh", "-c", "echo x >/new; rm /etc/group"]).ok();
            store.vial(&["diff", "c"]).ok().prints("C /etc\nD /etc/group\nA /new\n");
            if image == "image" {
                store.vial(&["commit", "c", "second"]).ok();
                store.vial(&["run", "--rm", "second", "ls", "/new", "/etc/group"]).ends(1).prints("/new\n");
            }
            store.vial(&["rm", "c"]).ok();
        }
        store.vial(&["rmi", "second", "image"]).ok();
        store.assert_empty();
        for place in [scene.path("root.squashfs"), Path::new(&store.root).join("layers")] {
            eventually("no loop device is left", || leaks::loop_devices(&place).is_empty().then_some(()));
        }
    }
}

fn a_copy_that_is_killed_is_waste_that_gc_removes(scene: &Scene) {
    let top = scene.path("tree");
    for directory in 0..40 {
        let directory = top.join(directory.to_string());
        fs::create_dir_all(&directory).expect("make a directory");
        for file in 0..100 {
            fs::write(directory.join(file.to_string()), "some content").expect("write a file");
        }
    }
    let path = top.display().to_string();
    let btrfs = Mounted::btrfs(scene);
    for store in stores(scene, &btrfs).iter().skip(1) {
        store.vial(&["import", &path, "image"]).ok();
        for (image, target) in
            [(path.as_str(), "containers"), ("image", if store.driver == "btrfs" { "tmp" } else { "containers" })]
        {
            let vial = store.vial(&["run", "-d", "--name", "c", image, "true"]).start();
            // It is under way when some of it is there.
            eventually("the copy is under way", || {
                let below = |path: &Path| {
                    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
                };
                let trees = store.entries(target).iter().flat_map(|path| below(path)).collect::<Vec<_>>();
                trees.iter().any(|tree| tree.is_dir() && below(tree).len() > 1).then_some(())
            });
            signal(vial.id(), "KILL");
            vial.wait();
            store.vial(&["gc"]).ok();
            for name in ["containers", "names", "tmp"] {
                eventually("it is clean", || {
                    store.vial(&["gc"]).ok();
                    store.entries(name).is_empty().then_some(())
                });
            }
            assert!(store.entries("trees").is_empty(), "no half of a tree is in its place");
        }
        store.vial(&["rmi", "image"]).ok();
        store.assert_empty();
    }
}

fn a_directory_that_holds_the_store_is_copied_without_it(scene: &Scene) {
    let top = scene.path("top");
    fs::create_dir_all(top.join("mnt")).expect("make a directory");
    scene.command("cp", ["-a", &format!("{}/.", scene.rootfs().display()), "top"]).ok();
    let mount = Mounted::new(scene, "top/mnt", &["-t", "tmpfs", "none"]);
    fs::write(mount.0.join("hidden"), "x").expect("write");
    let store = Store { scene, root: top.join("store").display().to_string(), driver: "copy" };
    let look = "ls -A /store /mnt";
    store.vial(&["run", "--rm", "./top", "sh", "-c", look]).ok().prints("/mnt:\n\n/store:\n");
    drop(mount);
    store.assert_empty();
}

fn the_driver_is_the_first_that_works_on_the_stores_file_system(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for name in ["lower", "upper", "work"] {
        fs::create_dir(scene.path(name)).expect("make a directory");
    }
    let overlay = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", scene.directory().display());
    for (place, arguments, driver) in [
        ("tmpfs", &["-t", "tmpfs", "none"][..], "overlay"),
        ("ramfs", &["-t", "ramfs", "none"], "copy"),
        ("overlay", &["-t", "overlay", "-o", &overlay, "none"], "copy"),
    ] {
        let mounted = Mounted::new(scene, place, arguments);
        let root = mounted.store();
        let vial = |words: &[&str]| scene.vial(words).env("VIAL_ROOT", &root);
        vial(&["info"]).ok().shows(&format!("Driver              {driver}\n"));
        vial(&["import", &rootfs, "image"]).ok();
        vial(&["run", "--name", "c", "image", "sh", "-c", "rm -r /etc; mkdir /etc; echo x >/etc/new"]).ok();
        vial(&["diff", "c"]).ok().shows("D /etc/passwd\n").shows("A /etc/new\n");
        vial(&["commit", "c", "second"]).ok();
        vial(&["run", "-d", "--name", "d", "second", "sleep", "600"]).ok();
        vial(&["exec", "d", "ls", "/etc/new", "/etc/passwd"]).ends(1).prints("/etc/new\n");
        vial(&["rm", "-f", "c", "d"]).ok();
        // The host's root is not copied, but tried.
        if driver == "overlay" {
            vial(&["run", "--rm", "host", "true"]).ok();
        }
        vial(&["rmi", "second", "image"]).ok();
        Store { scene, root, driver }.assert_empty();
    }
    let btrfs = Mounted::btrfs(scene);
    scene.vial(["--root", &btrfs.store(), "info"]).ok().shows("Driver              overlay\n");
    scene.vial(["--root", &btrfs.store(), "run", "--rm", &rootfs, "true"]).ok();
}

/// Makes and mounts a FAT of 4 MiB: the boot sector with its table of numbers, its mark, the beginning of the allocation table.
const FAT: &str = r"truncate -s 4M /data/fat
    put() { dd of=/data/fat bs=1 seek=$1 conv=notrunc 2>/dev/null; }
    printf '\353\074\220MSDOS5.0\000\002\001\001\000\001\000\002\000\040\370\040\000\040\000\100\000' | put 0
    printf '\200\000\051abcdNO NAME    FAT16   ' | put 36
    printf '\125\252' | put 510; printf '\370\377\377\377' | put 512
    mount -t vfat -o loop /data/fat /mnt && touch /mnt/x";

fn a_file_system_without_owners_is_told(scene: &Scene) {
    let booted = Machine::with(&["overlay", "loop", "vfat", "nls_cp437", "nls_iso8859-1", "nls_ascii"])
        .step("mount", FAT)
        .step("run", "vial --root /mnt/store run --rm host true")
        .step("detached", "vial --root /mnt/store run -d host true")
        .step("import", "mkdir /data/d && touch /data/d/x && vial --root /mnt/store import /data/d it")
        .boot(scene)
        .unwrap_or_else(|error| panic!("{error}"));
    booted.step("mount").ends(0);
    for step in ["run", "detached", "import"] {
        booted.step(step).ends(125).says("knows neither owners nor links").says("--root DIR");
    }
}

fn a_read_only_store_can_be_looked_at(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "image"]).ok();
    let root = scene.root().display().to_string();
    scene.command("mksquashfs", [&root, "store.squashfs", "-quiet", "-no-progress"]).ok();
    scene.vial(["rmi", "image"]).ok();
    let mounted = Mounted::new(scene, "read-only", &["-o", "loop", "store.squashfs"]);
    let vial = |words: &[&str]| scene.vial(words).env("VIAL_ROOT", &mounted.0);
    vial(&["images", "--format", "{{.Repository}}"]).ok().prints("image\n");
    for words in [
        &["run", "--rm", "image", "true"][..],
        &["run", "--rm", &rootfs, "true"],
        &["import", &rootfs, "other"],
        &["rmi", "image"],
    ] {
        vial(words).ends(125).says("EROFS (Read-only file system)").says("--root DIR");
    }
}

fn a_driver_that_does_not_work_is_refused(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let run = ["run", "--rm", &rootfs, "true"];
    scene
        .vial(["--storage", "btrfs"].iter().chain(&run))
        .ends(125)
        .says("the store is not on btrfs")
        .says("overlay or copy");
    scene
        .vial(run)
        .env("VIAL_STORAGE", "zfs")
        .ends(125)
        .says("invalid value \"zfs\" for VIAL_STORAGE")
        .says("overlay, btrfs or copy");
    scene.vial(run).env("VIAL_STORAGE", "").ok();
    // The option is stronger than the variable.
    scene.vial(["--storage", "copy"].iter().chain(&run)).env("VIAL_STORAGE", "btrfs").ok();
    for command in ["run", "create"] {
        let output = scene.vial(["--storage", "copy", command, "host", "true"]).ends(125);
        output.says("the host's own root needs the storage driver overlay");
    }
    // From the variable it is a wish, which the host's root can't fulfil.
    scene.vial(["run", "--rm", "host", "true"]).env("VIAL_STORAGE", "copy").ok();
    let plan =
        scene.vial(["run", "--storage", "copy", "--dry-run", &rootfs, "true"]).ok().shows("use tree as the root");
    assert!(!plan.stdout.contains("overlay"), "{}", plan.shown());
}

/// A script in a mount namespace where every disk is read-only and `/run` is in memory; `$VIAL` is vial, `$ROOT` a busybox.
fn in_memory<'a>(scene: &'a Scene, script: &str) -> Cmd<'a> {
    let script = format!(
        "mount --make-rprivate / && mount -t tmpfs none /run
        # What other tests have mounted is not to be kept by this.
        awk '$2 ~ /vial-test-/ {{ print $2 }}' /proc/self/mounts | xargs -r -n 1 umount -l
        awk '$3 ~ /^(ext4|xfs|btrfs)$/ {{ print $2 }}' /proc/self/mounts | while read -r place; do
            # What was mounted below /run is hidden now.
            [ ! -e \"$place\" ] || mount -o remount,bind,ro \"$place\" || exit 1
        done
        ! touch \"$ROOT/x\" 2>/dev/null || exit 1
        cd /run
        {script}"
    );
    scene.command("unshare", ["-m", "sh", "-ec", &script]).env("VIAL", VIAL).env("ROOT", scene.rootfs())
}

fn nothing_is_written_to_a_disk_in_ram_mode(scene: &Scene) {
    // strace sees that nothing is even tried: no file is opened for writing but in memory.
    let script = "vial() { strace -f -y -o /run/trace -A -e trace=openat,creat,mkdirat,mknodat,symlinkat,renameat2,unlinkat \"$VIAL\" --ram \"$@\"; }
        vial import \"$ROOT\" image >/dev/null
        vial run --name c image sh -c 'echo kept >/file; rm /etc/group; mv /home /away'
        vial diff c | head -n 1
        vial commit c second >/dev/null
        vial run -d --rm --name d second sleep 600 >/dev/null &
        until \"$VIAL\" --ram ps -q | grep -q .; do sleep 0.1; done
        vial exec d cat /file
        vial cp d:/file - | tar -xO
        vial rm -f c d >/dev/null
        wait
        vial run --rm -v data:/data host touch /data/x
        vial --storage copy run --rm second cat /file
        vial rmi second image >/dev/null
        vial gc
        rm -rf /run/mount; ls /run /run/vial/layers
        grep -c 'O_CREAT' /run/trace >/dev/null
        grep -vE '^[0-9]+ +(\\+\\+\\+|---)' /run/trace | grep -E 'O_WRONLY|O_RDWR|O_CREAT' | grep -oE '= [0-9]+<[^>]*>$' | sed 's/^= [0-9]*<//; s/>$//' |
            grep -vE '^(/run/|/sys/fs/cgroup/|/proc/|/dev/|/memfd:|pipe:|socket:|anon_inode:)' | sort -u >/run/outside
        grep -v -e '^/[a-z]*$' -e '^/etc/' -e '^/data/' /run/outside >&2 || true
        ! grep EROFS /run/trace >&2";
    in_memory(scene, script).ok().silent().prints(
        "A /away\nkept\nkept\nkept\ntrace\nvial\n\n/run/vial/layers:\n"
            .replace("trace\nvial\n\n/run/vial/layers:\n", "/run:\ntrace\nvial\n\n/run/vial/layers:\n")
            .as_str(),
    );
}

fn ram_mode_wants_memory(scene: &Scene) {
    scene
        .vial(["--ram", "--root", "./store", "info"])
        .ends(125)
        .says("--ram: ./store is not in memory")
        .says("--root DIR");
    assert!(!scene.path("store").exists());
    scene.vial(["--ram", "--root", "./store", "help"]).ok();
    let tmpfs = Mounted::new(scene, "tmpfs", &["-t", "tmpfs", "none"]);
    scene
        .vial(["--ram", "--root", &tmpfs.store(), "info"])
        .ok()
        .shows(&format!("RootDir             {}\n", tmpfs.store()));
    scene
        .vial(["--ram", "--root", &tmpfs.store(), "run", "--rm", "host", "echo", "in memory"])
        .ok()
        .prints("in memory\n");
    drop(tmpfs);
    // The option is stronger than VIAL_ROOT, which the tests set.
    in_memory(scene, "\"$VIAL\" --ram info | grep RootDir; test ! -e \"$VIAL_ROOT/lock\"")
        .ok()
        .prints("RootDir             /run/vial\n");
    symlink("/nonexistent", scene.path("dangling")).expect("make a link");
    scene.vial(["--ram", "--root", "./dangling/store", "info"]).ends(125).says("dangling");
}
