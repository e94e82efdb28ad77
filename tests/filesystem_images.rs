//! File system images: squashfs, erofs and ext4 files as images, and the loop devices that they are mounted through.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::util::command::VIAL;
use crate::util::container::{eventually, signal};
use crate::util::detached::Detached;
use crate::util::{Scene, leaks};
use crate::vm::Machine;

trials! {
    an_image_of_each_kind_runs_where_it_lies_and_from_the_store [Root, Busybox, Kernel("overlay"), Kernel("loop"), Kernel("squashfs"), Kernel("erofs"), Kernel("ext4"), Tool("mksquashfs"), Tool("mkfs.erofs"), Tool("mkfs.ext4")];
    the_store_keeps_the_file_as_it_is [Root, Busybox, Tool("mkfs.ext4"), Tool("sha256sum"), Command("import")];
    what_a_container_changes_stays_beside_the_image [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Tool("tar"), Command("commit")];
    the_device_goes_with_the_container_however_that_ends [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Command("gc")];
    many_containers_start_at_once [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Command("run")];
    an_image_in_use_stays_and_its_last_name_frees_it [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Command("rmi")];
    what_the_kernel_cannot_mount_is_told [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Kernel("ext4"), Tool("mksquashfs"), Tool("mkfs.ext4"), Command("run")];
    what_is_no_file_system_is_refused [Root, Busybox, Tool("tar"), Command("run")];
    a_dev_without_loop_devices_is_enough [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Tool("unshare"), Command("run")];
    a_kernel_without_the_newer_request_is_enough [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Tool("strace"), Command("run")];
    a_device_that_another_process_took_is_given_up_for_the_next [Root, Busybox, Kernel("overlay"), Kernel("squashfs"), Tool("mksquashfs"), Tool("strace"), Command("run")];
    an_image_runs_from_an_initial_ram_file_system_on_v2 [Machine];
}

/// Makes an image of a small root; its path.
fn make(scene: &Scene, kind: &str) -> String {
    let tree = scene.path("tree");
    if !tree.exists() {
        let script = "mkdir -p tree/bin tree/etc tree/dir tree/proc tree/dev tree/sys tree/tmp
            cp \"$ROOT/bin/busybox\" tree/bin/
            for name in sh cat ls rm rmdir mkdir echo sleep touch true mknod; do ln -s busybox tree/bin/$name; done
            echo from the image >tree/etc/motd; echo x >tree/dir/x; chown 7:8 tree/dir/x; chmod 4750 tree/dir/x";
        scene.command("sh", ["-ec", script]).env("ROOT", scene.rootfs()).ok();
    }
    let name = format!("root.{kind}");
    match kind {
        "squashfs" => scene.command("mksquashfs", ["tree", &name, "-quiet", "-no-progress"]).ok(),
        "erofs" => scene.command("mkfs.erofs", [&name, "tree"]).ok(),
        _ => scene.command("mkfs.ext4", ["-q", "-O", "^metadata_csum", "-d", "tree", &name, "8M"]).ok(),
    };
    format!("./{name}")
}

/// The loop devices that have a file of the scene's.
fn devices(scene: &Scene) -> usize {
    leaks::loop_devices(scene.directory()).len()
}

#[track_caller]
fn assert_no_device(scene: &Scene) {
    eventually("no loop device is left", || (devices(scene) == 0).then_some(()));
}

/// The file of the layer of the only image.
fn kept(scene: &Scene) -> PathBuf {
    let layers = fs::read_dir(scene.root().join("layers")).expect("there are layers");
    layers.flatten().map(|layer| layer.path().join("image")).find(|path| path.exists()).expect("one is a file")
}

fn an_image_of_each_kind_runs_where_it_lies_and_from_the_store(scene: &Scene) {
    let script =
        "cat /etc/motd; ls -ln /dir/x | cut -c-30; echo new >/etc/motd; rm -r /dir; mkdir /dir; ls /dir; echo $?";
    let script = script.replace("| cut -c-30", "");
    for kind in ["squashfs", "erofs", "ext4"] {
        let path = make(scene, kind);
        let name = format!("it:{kind}");
        scene.vial(["import", "-m", "by hand", &path, &name]).ok().silent();
        for image in [path.as_str(), &name, scene.path(&path[2..]).to_str().expect("UTF-8")] {
            for options in [&["run", "--rm"][..], &["run", "--rm", "--read-only", "--tmpfs", "/etc", "--tmpfs", "/dir"]]
            {
                let words = [options, &[image, "sh", "-c", &script]].concat();
                let output = scene.vial(words).run();
                if options.len() == 2 {
                    let output =
                        output.ends(0).silent().shows("from the image\n-rwsr-x---    1 7        8").shows("\n0\n");
                    assert_eq!(output.stdout.lines().count(), 3, "{}", output.shown());
                }
                assert_no_device(scene);
            }
        }
        let size = fs::metadata(scene.path(format!("root.{kind}"))).expect("it is there").len();
        let report = scene.vial(["inspect", &name]).ok().stdout;
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!((report[0]["Size"].as_u64(), report[0]["Comment"].as_str()), (Some(size), Some("by hand")));
    }
}

fn the_store_keeps_the_file_as_it_is(scene: &Scene) {
    make(scene, "ext4");
    let original = scene.path("root.ext4");
    let sum = scene.command("sha256sum", [&original]).ok().stdout;
    let sum = sum.split(' ').next().unwrap_or_default();
    let blocks = |path: &Path| fs::metadata(path).expect("look at a file").blocks();
    for piped in [false, true] {
        let script = if piped { "cat root.ext4 | \"$VIAL\" import - it" } else { "\"$VIAL\" import root.ext4 it" };
        scene.command("sh", ["-ec", script]).env("VIAL", VIAL).ok();
        let layer = kept(scene);
        assert_eq!(fs::read(&layer).expect("read"), fs::read(&original).expect("read"));
        assert!(layer.parent().is_some_and(|layer| layer.ends_with(sum)), "{} has {sum}", layer.display());
        assert!(piped || blocks(&layer) <= blocks(&original) + 16, "its holes are kept");
        assert_eq!(fs::metadata(&layer).expect("look").mode() & 0o777, 0o600);
        scene.vial(["rmi", "it"]).ok();
        assert_eq!(fs::read_dir(scene.root().join("layers")).expect("list").count(), 0);
    }
}

fn what_a_container_changes_stays_beside_the_image(scene: &Scene) {
    let path = make(scene, "squashfs");
    scene.vial(["import", &path, "it"]).ok();
    let before = fs::read(kept(scene)).expect("read");
    let script = "echo mine >/etc/motd; rm -r /dir; echo a >/new; exec sleep 600";
    scene.vial(["run", "-d", "--name", "c", "it", "sh", "-c", script]).ok();
    eventually("it has run", || scene.vial(["exec", "c", "cat", "/new"]).run().stdout.contains('a').then_some(()));
    for runs in [true, false] {
        if !runs {
            scene.vial(["kill", "c"]).ok();
            scene.vial(["wait", "c"]).ok();
            assert_no_device(scene);
        }
        scene.vial(["diff", "c"]).ok().silent().prints("D /dir\nC /etc\nC /etc/motd\nA /new\n");
        scene.vial(["cp", "c:/etc/motd", "out"]).ok();
        assert_eq!(fs::read_to_string(scene.path("out")).expect("read"), "mine\n");
        scene.vial(["cp", "out", "c:/etc/put"]).ok();
        scene.vial(["export", "-o", "c.tar", "c"]).ok();
        let listed =
            scene.command("tar", ["-tf", "c.tar"]).ok().shows("./bin/busybox\n").shows("./new\n").shows("./etc/put\n");
        assert!(!listed.stdout.contains("./dir"), "{}", listed.shown());
        scene.vial(["commit", "-c", "CMD cat /etc/motd /etc/put", "c", "it:2"]).ok();
        scene.vial(["run", "--rm", "it:2"]).ok().prints("mine\nmine\n");
        scene.vial(["exec", "c", "rm", "/etc/put"]).run().ends(if runs { 0 } else { 125 });
        scene.vial(["rmi", "it:2"]).ok();
    }
    scene.vial(["start", "c"]).ok();
    scene.vial(["exec", "c", "cat", "/etc/put"]).ok().prints("mine\n");
    scene.vial(["rm", "-f", "c"]).ok();
    assert_no_device(scene);
    assert_eq!(fs::read(kept(scene)).expect("read"), before);
    // A second image on top of one that was committed has both layers.
    scene.vial(["run", "--name", "d", "it", "sh", "-c", "rm /etc/motd"]).ok();
    scene.vial(["commit", "d", "it:3"]).ok();
    scene.vial(["rm", "d"]).ok();
    scene.vial(["rmi", "it"]).ok();
    scene.vial(["run", "--rm", "it:3", "ls", "/etc/motd"]).ends(1);
    assert_eq!(fs::read(kept(scene)).expect("read"), before);
}

fn the_device_goes_with_the_container_however_that_ends(scene: &Scene) {
    let path = make(scene, "squashfs");
    let script = "echo ready; exec sleep 600";
    let mut vial = scene.vial(["run", "--rm", &path, "sh", "-c", script]).start();
    eventually("it runs", || (devices(scene) == 1 && !vial.has_ended()).then_some(()));
    signal(vial.id(), "KILL");
    vial.wait();
    assert_no_device(scene);
    scene.vial(["gc"]).ok();
    for how in ["workload", "monitor and workload", "rm", "in turn"] {
        let run = |name: &str| {
            scene.vial(["run", "-d", "--name", name, &path, "sh", "-c", script]).ok();
            Detached::find(scene, name)
        };
        let (web, other) = (run("web"), run("other"));
        assert_eq!(devices(scene), 2, "{how}");
        let pid = web.pid();
        match how {
            "workload" => signal(pid, "KILL"),
            "monitor and workload" => {
                web.kill_monitor();
                signal(pid, "KILL");
            }
            "rm" => web.remove(),
            _ => {
                web.vial(&["stop", "-t", "0"]).ok();
                web.vial(&["start"]).ok();
                assert_eq!(devices(scene), 2);
                web.remove();
            }
        }
        eventually("one device is left", || (devices(scene) == 1).then_some(()));
        scene.vial(["exec", "other", "cat", "/etc/motd"]).ok().prints("from the image\n");
        other.remove();
        assert_no_device(scene);
        scene.vial(["gc"]).ok();
        scene.vial(["rm", "-f", "web"]).ok();
    }
}

fn many_containers_start_at_once(scene: &Scene) {
    let path = make(scene, "squashfs");
    let running: Vec<_> = (0..12).map(|_| scene.vial(["run", "--rm", &path, "cat", "/etc/motd"]).start()).collect();
    for vial in running {
        vial.wait().ends(0).silent().prints("from the image\n");
    }
    assert_no_device(scene);
}

fn an_image_in_use_stays_and_its_last_name_frees_it(scene: &Scene) {
    let path = make(scene, "squashfs");
    scene.vial(["import", &path, "it"]).ok();
    scene.vial(["import", &path, "again"]).ok();
    assert_eq!(fs::read_dir(scene.root().join("layers")).expect("list").count(), 1, "the same file is kept once");
    scene.vial(["create", "--name", "c", "it", "true"]).ok();
    scene.vial(["rmi", "again"]).ok();
    scene.vial(["rmi", "it"]).ends(125).says("in use by container c");
    scene.vial(["gc"]).ok().prints("");
    scene.vial(["start", "-a", "c"]).ok();
    scene.vial(["rm", "c"]).ok();
    scene.vial(["rmi", "it"]).ok();
    assert_eq!(fs::read_dir(scene.root().join("layers")).expect("list").count(), 0);
}

fn what_the_kernel_cannot_mount_is_told(scene: &Scene) {
    make(scene, "squashfs");
    make(scene, "ext4");
    let change = |from: &str, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(scene.path(from)).expect("read an image");
        change(&mut bytes);
        fs::write(scene.path(name), bytes).expect("write an image");
    };
    change("root.squashfs", "cut", &|bytes| bytes.truncate(bytes.len() / 2));
    // squashfs_fs.h: the compressor is at byte 20; number 2 is lzma, which the kernel never had.
    change("root.squashfs", "lzma", &|bytes| bytes[20] = 2);
    // ext4's feature_incompat is at byte 96 of the superblock; 4 says that the journal has to be replayed.
    change("root.ext4", "dirty", &|bytes| bytes[1024 + 96] |= 4);
    for (name, what, why) in [
        ("cut", "mount the file system image", "damaged"),
        ("lzma", "mount the file system image", "another compressor"),
        ("dirty", "mount the file system image", "journal was never written back"),
    ] {
        let path = format!("./{name}");
        scene.vial(["run", "--rm", &path, "true"]).ends(125).says(what).says(why);
        scene.vial(["import", &path, name]).ok();
        scene.vial(["run", "-d", "--rm", name, "true"]).ends(125).says(what).says(why);
        assert_no_device(scene);
    }
}

fn what_is_no_file_system_is_refused(scene: &Scene) {
    fs::write(scene.path("words"), "just some words").expect("write");
    fs::write(scene.path("empty"), "").expect("write");
    // A partition table of PC's: four entries of 16 bytes from byte 446 on, here one that begins at sector 2048, and the mark.
    let mut disk = vec![0; 1 << 20];
    disk[446..462].copy_from_slice(b"\0\0\x21\0\x83\xff\xff\xff\0\x08\0\0\0\x08\0\0");
    disk[510..512].copy_from_slice(b"\x55\xaa");
    fs::write(scene.path("disk"), disk).expect("write");
    make(scene, "none-of-these-but-the-tree-is-made");
    scene.command("tar", ["-cf", "it.tar", "-C", "tree", "."]).ok();
    scene.command("mkfifo", ["fifo"]).ok();
    for name in ["words", "empty", "disk", "it.tar"] {
        let output = scene.vial(["run", "--rm", &format!("./{name}"), "true"]).ends(125);
        output.says(&format!("./{name} holds no file system")).says("squashfs, erofs or ext4").says("vial import");
    }
    scene.vial(["run", "--rm", "./fifo", "true"]).ends(125).says("neither a directory nor a file");
    scene.vial(["import", "disk", "it"]).ends(125).says("a boot sector or partitions").says("losetup");
    scene.vial(["import", "it.tar", "it"]).ok();
    scene.vial(["run", "-d", "--name", "c", "it", "sleep", "600"]).ok();
    scene.vial(["cp", "-", "c:/"]).input(b"hsqs and more").ends(125).says("a file system image is no archive");
    scene.vial(["rm", "-f", "c"]).ok();
}

fn a_dev_without_loop_devices_is_enough(scene: &Scene) {
    let path = make(scene, "squashfs");
    let script = "awk '$2 ~ /vial-test-/ { print $2 }' /proc/self/mounts | xargs -r -n 1 umount -l
        mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/tty c 5 0
        \"$VIAL\" run --rm \"$IMAGE\" cat /etc/motd && \"$VIAL\" run --name c \"$IMAGE\" touch /new && \"$VIAL\" diff c
        ls /dev; \"$VIAL\" rm c";
    let unshare = scene.command("unshare", ["-m", "sh", "-c", script]).env("VIAL", VIAL).env("IMAGE", &path);
    unshare.ok().silent().prints("from the image\nA /new\nnull\ntty\nc\n");
    assert_no_device(scene);
}

/// Runs a container of an image whose n-th `ioctl` in each process fails; what strace saw of them.
fn run_with_failing(scene: &Scene, n: u32, error: &str) -> String {
    let path = make(scene, "squashfs");
    let trace = scene.path("trace").display().to_string();
    let inject = format!("inject=ioctl:error={error}:when={n}");
    let strace = ["-f", "-o", &trace, "-e", "trace=ioctl", "-e", &inject, VIAL];
    scene
        .command("strace", strace.into_iter().chain(["run", "--rm", &path, "cat", "/etc/motd"]))
        .ok()
        .prints("from the image\n");
    assert_no_device(scene);
    fs::read_to_string(trace).expect("read the trace")
}

fn a_kernel_without_the_newer_request_is_enough(scene: &Scene) {
    let trace = run_with_failing(scene, 2, "EINVAL");
    let line = |text: &str| trace.lines().any(|line| line.contains(text));
    assert!(line("LOOP_CONFIGURE") && line("LOOP_SET_FD") && line("LOOP_SET_STATUS64"), "{trace}");
}

fn a_device_that_another_process_took_is_given_up_for_the_next(scene: &Scene) {
    let trace = run_with_failing(scene, 2, "EBUSY");
    assert_eq!(trace.lines().filter(|line| line.contains("LOOP_CTL_GET_FREE")).count(), 2, "{trace}");
}

fn an_image_runs_from_an_initial_ram_file_system_on_v2(scene: &Scene) {
    // busybox makes an ext2 image, which Linux's ext4 mounts.
    let make = "truncate -s 6M /data/it && mke2fs -F /data/it >/dev/null && mount -o loop /data/it /mnt
        mkdir /mnt/bin /mnt/proc /mnt/dev /mnt/sys && cp /bin/busybox /mnt/bin/ && ln -s busybox /mnt/bin/sh
        ln -s busybox /mnt/bin/cat && echo inside >/mnt/motd && umount /mnt";
    let booted = Machine::with(&["overlay", "loop", "ext4"])
        .step("mount", "mount -t cgroup2 none /sys/fs/cgroup")
        .step("make", make)
        .step("run", "vial run --rm --pids-limit 9 /data/it sh -c 'cat /motd; cat /proc/self/cgroup'")
        .step("import", "vial import /data/it it && vial run --rm it cat /motd")
        .step("devices", "cat /sys/block/loop*/loop/backing_file")
        .boot(scene)
        .unwrap_or_else(|error| panic!("{error}"));
    booted.step("make").ends(0);
    booted.step("run").ends(0).prints("inside\n0::/\n");
    booted.step("import").ends(0).shows("inside\n");
    booted.step("devices").prints("");
}
