//! vial as a machine's first process: the only program of its first root file system, beside an archive and modules.

use std::fs;
use std::path::Path;

use super::cpio::Cpio;
use super::dhcp::{self, Lease};
use super::{LIMIT, emulate, kernel};
use crate::util::Scene;
use crate::util::command::{Output, VIAL};

trials! {
    a_container_is_run_and_the_machine_goes_off_with_its_code_told [Machine, Tool("gzip")];
    an_address_comes_from_the_network_or_is_told [Machine, Tool("gzip")];
    another_lease_takes_the_place_of_the_one_before [Machine, Tool("gzip")];
    containers_with_a_policy_start_with_the_machine_and_stop_with_it [Machine, Tool("gzip"), Tool("mkfs.ext4")];
    what_is_wrong_with_settings_is_told_and_the_rest_counts [Machine, Tool("gzip")];
    the_first_root_with_an_image_is_below_two_megabytes [Machine, Tool("gzip"), Tool("xz")];
}

/// What containers need of Debian's cloud kernel, and disks and networks of a machine that is emulated.
const MODULES: &[&str] = &["overlay", "virtio_pci", "virtio_blk", "ext4", "virtio_net"];

/// The first root file system: vial, an archive of busybox's root, and modules.
fn root(scene: &Scene, vial: &Path, modules: &[&str], settings: &str) -> Vec<u8> {
    let archive = scene.path("bb.tar");
    scene
        .command("tar", ["-C".as_ref(), scene.rootfs().as_os_str(), "-cf".as_ref(), archive.as_os_str(), ".".as_ref()])
        .ok();
    scene.command("gzip", ["-9f".as_ref(), archive.as_os_str()]).ok();
    let mut root = Cpio::default();
    root.program("init", &fs::read(vial).expect("read vial"));
    for directory in ["images", "etc", "etc/vial", "lib", "lib/modules"] {
        root.directory(directory);
    }
    root.program("images/bb.tar.gz", &fs::read(scene.path("bb.tar.gz")).expect("read the archive"));
    root.program("etc/vial/boot.conf", settings.as_bytes());
    if !modules.is_empty() {
        let library = kernel::kernel().expect("there is a kernel").library(modules);
        root.directory(library[0].0.rsplit_once('/').expect("it has a directory").0);
        for (path, content) in library {
            root.program(&path, &content);
        }
    }
    root.finish()
}

/// Boots it with these words on the kernel's command line; what the console shows.
fn boot(scene: &Scene, settings: &str, words: &str, devices: &[(&str, String)]) -> Output {
    let disk = scene.path("initramfs");
    fs::write(&disk, root(scene, Path::new(VIAL), MODULES, settings)).expect("write the first root");
    let kernel = kernel::kernel().expect("there is a kernel");
    let mut output = emulate(scene, &kernel, &disk, devices, words, LIMIT);
    output.stdout = output.stdout.replace('\r', "");
    output
}

fn a_container_is_run_and_the_machine_goes_off_with_its_code_told(scene: &Scene) {
    let words = r#"vial.modules=overlay vial.run="--rm -m 64m --network none bb sh -c 'cat /proc/self/cgroup; ls -1 /; exit 5'""#;
    let shown = boot(scene, "", words, &[]).ends(0).stdout;
    let (_, shown) = shown.split_once("\n0::/\n").unwrap_or_else(|| panic!("its group is its root: {shown}"));
    // The image's own root and nothing of the machine's.
    assert!(shown.starts_with("bin\n") && !shown.contains("images"), "{shown}");
    assert!(shown.contains("vial: the container ended with code 5\n"), "{shown}");
}

fn an_address_comes_from_the_network_or_is_told(scene: &Scene) {
    let network = [("-netdev", "user,id=n".to_owned()), ("-device", "virtio-net-pci,netdev=n".to_owned())];
    let settings = "modules=overlay,virtio_pci,virtio_net\nhostname=board\nrun=--rm --network host bb sh -c 'hostname; ip -4 addr show eth0; ip route; cat /etc/resolv.conf'\n";
    let shown = boot(scene, settings, "vial.net=dhcp", &network).ends(0).stdout;
    assert!(shown.contains("vial: network eth0: 10.0.2.15/24 via 10.0.2.2\n"), "{shown}");
    for line in ["\nboard\n", "inet 10.0.2.15/24", "default via 10.0.2.2 dev eth0", "nameserver 10.0.2.3"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let shown = boot(scene, settings, "vial.net=eth0:10.0.2.77/16,10.0.2.2,192.0.2.53", &network).ends(0).stdout;
    for line in ["inet 10.0.2.77/16", "default via 10.0.2.2 dev eth0", "nameserver 192.0.2.53"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

fn another_lease_takes_the_place_of_the_one_before(scene: &Scene) {
    let lease =
        |last, router, names| Lease { address: [10, 9, 0, last], router: [10, 9, 0, router], names: [10, 9, 0, names] };
    // Another router alone, and then all.
    let cable = dhcp::serve(vec![lease(5, 1, 53), lease(5, 2, 53), lease(6, 3, 54)]);
    let network = [("-netdev", cable), ("-device", "virtio-net-pci,netdev=n".to_owned())];
    let settings = "modules=overlay,virtio_pci,virtio_net\nnet=dhcp\nrun=--rm --network host bb sh -c '
        until ip route | grep via.10.9.0.3; do sleep 1; ip route | grep via.10.9.0.2 && echo the second; done | uniq; ip -4 -o addr show eth0; ip route'\n"
        .replace("\n        ", " ");
    let shown = boot(scene, &settings, "", &network).ends(0).stdout;
    let (first, last) = shown.split_once("the second\n").unwrap_or_else(|| panic!("the second router: {shown}"));
    assert!(first.contains("vial: network eth0: 10.9.0.5/24 via 10.9.0.1\n"), "{shown}");
    for line in ["inet 10.9.0.6/24", "default via 10.9.0.3 dev eth0"] {
        assert!(last.contains(line), "{line}: {shown}");
    }
    for line in ["10.9.0.5", "via 10.9.0.1"] {
        assert!(!last.contains(line), "{line}: {shown}");
    }
}

fn containers_with_a_policy_start_with_the_machine_and_stop_with_it(scene: &Scene) {
    let disk = scene.path("disk");
    fs::File::create(&disk).expect("make the disk").set_len(64 << 20).expect("give it a size");
    scene.command("mkfs.ext4", ["-q".as_ref(), disk.as_os_str()]).ok();
    let drive = [("-drive", format!("file={},format=raw,if=virtio", disk.display()))];
    let settings = "modules=overlay,virtio_pci,virtio_blk,ext4\ndata=/dev/vda\n";
    // It ends the machine the second time: the first process takes the signal of poweroff(8).
    let script = "'if [ -e /again ]; then echo came back >/dev/ttyS0; kill -USR2 1; else touch /again; fi; \
                  trap \\'echo asked to end >/dev/ttyS0; exit\\' TERM; while :; do sleep 0.1; done'"
        .replace("\\'", "\\\"");
    let run =
        format!("-d --name tick --restart always --network none --pid host --device /dev/ttyS0 bb sh -c {script}");
    let settings_of_first = format!("{settings}run={run}\n");
    let shown = boot(scene, &settings_of_first, "", &drive).ends(0).stdout;
    assert!(shown.contains("vial: the container ended with code 0\n"), "{shown}");
    let shown = boot(scene, settings, "", &drive).ends(0).stdout;
    assert!(shown.contains("vial: the machine is up\n") && shown.contains("came back\n"), "{shown}");
}

fn what_is_wrong_with_settings_is_told_and_the_rest_counts(scene: &Scene) {
    let words =
        r#"vial.modules=overlay,no-such vial.colour=red vial.net=dhcp vial.run="--network none --rm bb echo ran""#;
    let shown = boot(scene, "", words, &[]).ends(0).stdout;
    for line in ["no such module: no-such", "unknown setting", "no network interface", "\nran\n", "ended with code 0"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

fn the_first_root_with_an_image_is_below_two_megabytes(scene: &Scene) {
    let disk = scene.path("initramfs");
    fs::write(&disk, root(scene, &crate::laws::release(scene, None), &[], "")).expect("write the first root");
    scene.command("xz", ["-9".as_ref(), "--check=crc32".as_ref(), disk.as_os_str()]).ok();
    let size = fs::metadata(scene.path("initramfs.xz")).expect("look at it").len();
    assert!(size < 2_000_000, "{size} bytes");
}
