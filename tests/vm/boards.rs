//! The project's own tests on machines of several kinds: they are built for each, statically, and run there by a kernel of the table
//! in [`super::matrix`], in a small Debian system for that processor. What a test needs and that has not, the test itself says.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use super::kernel::{ARM32, ARM64, Board, PC, kernel_of, package};
use super::{Booted, Kind, Machine, matrix};
use crate::laws::{ARMHF, MUSL_ARM, MUSL_X86, release};
use crate::util::Scene;
use crate::util::command::Output;
use crate::util::rootfs::make_of;
use crate::util::source::project;

trials! {
    the_integration_tests_pass_on_amd64 [Root, Machine, Kernels, Tool("mkfs.ext4"), Target(MUSL_X86)];
    the_integration_tests_pass_on_arm64 [Root, Machine, Kernels, Tool("mkfs.ext4"), Tool(ON_ARM64.linker), Target(ON_ARM64.target), Target(MUSL_ARM)];
    the_integration_tests_pass_on_armhf [Root, Machine, Kernels, Tool("mkfs.ext4"), Tool(ON_ARMHF.linker), Target(ARMHF)];
    the_unit_tests_pass_on_armhf [Root, Machine, Kernels, Tool("mkfs.ext4"), Tool(ON_ARMHF.linker), Target(ARMHF)];
}

/// A kind of machine.
struct On {
    board: Board,
    /// Whose packages, and which has the kernel.
    of: &'static str,
    kernel: &'static str,
    /// What the tests are built for: the standard library is linked with a C library, for which the linker knows where it is.
    target: &'static str,
    linker: &'static str,
    /// What vial is built for, as it is released.
    vial: &'static str,
}

const ON_AMD64: On = On {
    board: PC,
    of: "bookworm-amd64",
    kernel: "linux-image-cloud-amd64",
    target: "x86_64-unknown-linux-gnu",
    linker: "cc",
    vial: MUSL_X86,
};
const ON_ARM64: On = On {
    board: ARM64,
    of: "bookworm-arm64",
    kernel: "linux-image-cloud-arm64",
    target: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    vial: MUSL_ARM,
};
const ON_ARMHF: On = On {
    board: ARM32,
    of: "bookworm-armhf",
    kernel: "linux-image-armmp-lpae",
    target: ARMHF,
    linker: "arm-linux-gnueabihf-gcc",
    vial: ARMHF,
};

/// Modules of Debian's kernels that these machines need besides those of [`super::matrix`].
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4", "macvlan", "loop", "nf_conntrack_netlink"];
/// The first process of the system on the disk.
const INIT: &str = "#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 none /sys/fs/cgroup
mount -t securityfs none /sys/kernel/security
ip link set lo up
exec sh /run/run-steps
";

/// Tests by the beginnings of their names, and how many of them pass there at least; the others need what the machine has not.
type Tests = [(&'static str, usize)];
/// What is run on each.
const TESTS: &Tests = &[("workload::", 36), ("isolation::", 28)];
/// And on one of the boards, since an emulated processor takes its time. `VIAL_BOARD_TESTS` has names that are run instead, with a
/// comma between them: whatever one runs can be run on the others.
const ON_AMD64_TOO: &Tests = &[("foreground::", 17)];
const ON_ARM64_TOO: &Tests = &[("limits::", 16), ("networking::", 16), ("oci::bundles::", 6), ("oci::words::", 11)];
/// Where numbers are short, all of these.
const ON_ARMHF_TOO: &Tests = &[
    ("commit::", 9),
    ("detached::", 17),
    ("exec::", 20),
    ("foreground::", 17),
    ("image_config::", 7),
    ("layers::", 6),
    ("limits::", 16),
    ("logs::", 20),
    ("names::", 7),
    ("nested::", 3),
    ("networking::", 16),
    ("oci::bundles::", 6),
    ("oci::words::", 11),
    ("restarts::", 9),
    ("security_options::", 4),
    ("storage::", 4),
    ("update::", 4),
    ("user_namespaces::", 12),
    ("whiteouts::", 3),
];

/// Where tests are built for other machines.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's directory for tests has a parent").join("boards")
}

/// Builds tests for a machine, and tells where they are.
fn build(scene: &Scene, on: &On, which: &[&str]) -> PathBuf {
    let words = ["test", "--no-run", "--locked", "--message-format=json", "--target", on.target, "--target-dir"];
    let cargo = scene.command(env!("CARGO"), words).args([directory()]).args(which);
    let variable = on.target.replace('-', "_");
    let cargo = cargo
        // `util::needs::is_board` knows it by this.
        .env("VIAL_UNDER_TEST", "/bin/vial")
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env(&format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), on.linker)
        .env(&format!("CC_{variable}"), on.linker)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    let output = cargo.current_dir(project()).limit(Duration::from_mins(14)).ok();
    let messages = output.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables = messages.filter(|message| message["profile"]["test"] == true);
    let mut executables = executables.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    executables.next_back().expect("cargo tells where the tests are")
}

/// A machine that can run them, with Debian's programs on its disk: what it runs is `/bin/tests`.
fn machine(scene: &Scene, on: On, tests: &Path) -> Machine {
    let kernel = kernel_of(on.of, on.kernel, on.board).expect("it was looked for before");
    let tree = scene.path("tree");
    scene.command("cp", ["-a".as_ref(), package(on.of, "root").as_os_str(), tree.as_os_str()]).ok();
    let vial = release(scene, Some(on.vial));
    for (from, name) in [(tests, "tests"), (&vial, "vial")] {
        fs::copy(from, tree.join("bin").join(name)).expect("copy a program");
    }
    fs::create_dir_all(tree.join("usr/local/bin")).expect("make a directory");
    for name in ["awk", "poweroff"] {
        symlink("/bin/busybox", tree.join("usr/local/bin").join(name)).expect("make a link");
    }
    fs::write(tree.join("etc/hosts"), "127.0.0.1 localhost\n").expect("write a file");
    // What packages do when they are set up.
    for name in ["passwd", "group"] {
        fs::copy(tree.join(format!("usr/share/base-passwd/{name}.master")), tree.join("etc").join(name))
            .expect("copy a file");
    }
    let init = tree.join("sbin/steps");
    fs::write(&init, INIT).expect("write a program");
    fs::set_permissions(&init, PermissionsExt::from_mode(0o755)).expect("let all execute it");
    symlink("steps", tree.join("sbin/init")).expect("make a link");
    // What they look for where they were built.
    let below = |path: &Path| tree.join(path.strip_prefix("/").expect("it is below the root"));
    for path in [directory().join(on.target).join("tmp").as_path(), project()] {
        fs::create_dir_all(below(path)).expect("make directories");
    }
    for name in ["src", "tests", "Cargo.toml", "README.md"] {
        scene.command("cp", ["-r".as_ref(), project().join(name).as_os_str(), below(project()).as_os_str()]).ok();
    }
    let disk = scene.path("disk");
    fs::File::create(&disk).and_then(|file| file.set_len(2 << 30)).expect("make a disk");
    scene.command("mkfs.ext4", ["-q", "-d"]).args([tree.as_os_str(), disk.as_os_str()]).ok();
    let rootfs = scene.path("rootfs");
    make_of(&package(on.of, "root").join("bin/busybox"), &rootfs).expect("make a root");
    Machine::with(&[matrix::MODULES, MODULES].concat())
        .of(Kind { kernel, vial, rootfs })
        .disk(&disk)
        .limit(Duration::from_mins(24))
}

fn boot(scene: &Scene, machine: Machine) -> Booted {
    machine.boot(scene).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether tests passed, so many at least.
fn passed(output: &Output, least: usize) -> bool {
    let result = output.stdout.lines().find(|line| line.starts_with("test result: ")).unwrap_or_default();
    let passed = result.split(' ').nth(3).and_then(|number| number.parse::<usize>().ok());
    println!("{} {result}", output.line);
    output.code == 0 && passed.is_some_and(|passed| passed >= least)
}

fn integration_tests_pass(scene: &Scene, on: On, more: &Tests) {
    let tests = build(scene, &on, &["--test", "integration"]);
    let others = env::var("VIAL_BOARD_TESTS").ok();
    let chosen = match &others {
        Some(names) => names.split(',').map(|name| (name, 1)).collect(),
        None => [TESTS, more].concat(),
    };
    let step = |machine: Machine, (name, _): &(&str, usize)| {
        machine.step(name, format!("unset VIAL_NETWORK; RUST_BACKTRACE=0 tests {name} 2>&1"))
    };
    let booted = boot(scene, chosen.iter().fold(machine(scene, on, &tests), step));
    let outputs = chosen.iter().map(|(name, least)| (booted.step(name), *least));
    let failed: Vec<String> =
        outputs.filter(|(output, least)| !passed(output, *least)).map(|(output, _)| output.shown()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn the_integration_tests_pass_on_amd64(scene: &Scene) {
    integration_tests_pass(scene, ON_AMD64, ON_AMD64_TOO);
}

fn the_integration_tests_pass_on_arm64(scene: &Scene) {
    integration_tests_pass(scene, ON_ARM64, ON_ARM64_TOO);
}

fn the_integration_tests_pass_on_armhf(scene: &Scene) {
    integration_tests_pass(scene, ON_ARMHF, ON_ARMHF_TOO);
}

fn the_unit_tests_pass_on_armhf(scene: &Scene) {
    let tests = build(scene, &ON_ARMHF, &["--lib"]);
    let machine = machine(scene, ON_ARMHF, &tests).step("tests", "RUST_BACKTRACE=0 tests 2>&1");
    let output = boot(scene, machine).step("tests");
    assert!(passed(&output, 400), "{}", output.shown());
}
