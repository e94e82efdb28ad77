//! The project's own tests on machines of several kinds: they are built for each, statically, and run there by a kernel of the table
//! in [`super::matrix`]. What a test needs and the machine has not, which has nothing but busybox, the test itself says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::kernel::{ARM32, ARM64, Board, PC, kernel_of, package};
use super::{Booted, Kind, Machine};
use crate::laws::{ARMHF, MUSL_ARM, release};
use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::rootfs::{make, make_of};
use crate::util::source::project;

trials! {
    the_integration_tests_pass_on_amd64 [Machine, Kernels];
    the_integration_tests_pass_on_arm64 [Machine, Kernels, Tool(ON_ARM64.linker), Target(ON_ARM64.target), Target(MUSL_ARM)];
    the_integration_tests_pass_on_armhf [Machine, Kernels, Tool(ON_ARMHF.linker), Target(ARMHF)];
    the_unit_tests_pass_on_armhf [Machine, Kernels, Tool(ON_ARMHF.linker), Target(ARMHF)];
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
    /// What vial is built for, if the machine is of another kind than this one.
    vial: Option<&'static str>,
}

const ON_AMD64: On = On {
    board: PC,
    of: "bookworm-amd64",
    kernel: "linux-image-cloud-amd64",
    target: "x86_64-unknown-linux-gnu",
    linker: "cc",
    vial: None,
};
const ON_ARM64: On = On {
    board: ARM64,
    of: "bookworm-arm64",
    kernel: "linux-image-cloud-arm64",
    target: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    vial: Some(MUSL_ARM),
};
const ON_ARMHF: On = On {
    board: ARM32,
    of: "bookworm-armhf",
    kernel: "linux-image-armmp-lpae",
    target: ARMHF,
    linker: "arm-linux-gnueabihf-gcc",
    vial: Some(ARMHF),
};

/// Tests that are run there, by the beginnings of their names, and those that the machine has another program for than they mean.
const TESTS: &[&str] = &["foreground::", "isolation::", "workload::"];
/// More of them, where numbers are short.
const MORE: &[&str] = &["commit::", "image_config::", "update::", "whiteouts::"];
const LEFT_OUT: &str = "--skip isolation::no_new_privileges_is_set_when_asked";
/// rm(1) with an option that busybox's has not.
const REMOVE: &str = r#"#!/bin/sh
for word; do
    shift
    [ "$word" = --one-file-system ] || set -- "$@" "$word"
done
exec busybox rm "$@"
"#;

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

/// A machine that can run them: what it runs is `/bin/tests`.
fn machine(scene: &Scene, on: On, tests: &Path) -> Machine {
    let kernel = kernel_of(on.of, on.kernel, on.board).expect("it was looked for before");
    let rootfs = scene.path("rootfs");
    let made = match on.vial {
        None => make(&rootfs),
        Some(_) => make_of(&package(on.of, "busybox-static").join("bin/busybox"), &rootfs),
    };
    made.expect("make a root");
    fs::copy(tests, rootfs.join("bin/tests")).expect("copy the tests");
    // What they look for where they were built.
    let below = |path: &Path| rootfs.join(path.strip_prefix("/").expect("it is below the root"));
    for path in [directory().join(on.target).join("tmp").as_path(), project(), Path::new("/tmp")] {
        fs::create_dir_all(below(path)).expect("make directories");
    }
    for name in ["src", "tests"] {
        scene.command("cp", ["-r".as_ref(), project().join(name).as_os_str(), below(project()).as_os_str()]).ok();
    }
    fs::remove_file(rootfs.join("bin/rm")).expect("remove a link");
    fs::write(rootfs.join("bin/rm"), REMOVE).expect("write a program");
    fs::set_permissions(rootfs.join("bin/rm"), PermissionsExt::from_mode(0o755)).expect("let all execute it");
    let vial = on.vial.map_or_else(|| VIAL.into(), |target| release(scene, Some(target)));
    Machine::with(&["overlay", "veth", "bridge"])
        .of(Kind { kernel, vial, rootfs })
        .limit(Duration::from_mins(12))
        .step("prepare", "mount -t cgroup2 none /sys/fs/cgroup; mkdir -p /dev/shm && mount -t tmpfs none /dev/shm")
}

fn boot(scene: &Scene, machine: Machine) -> Booted {
    machine.boot(scene).unwrap_or_else(|error| panic!("{error}"))
}

/// Asserts that tests passed, so many at least.
#[track_caller]
fn passed(output: &Output, least: usize) {
    let result = output.stdout.lines().find(|line| line.starts_with("test result: ")).unwrap_or_default();
    let passed = result.split(' ').nth(3).and_then(|number| number.parse::<usize>().ok());
    assert!(output.code == 0 && passed.is_some_and(|passed| passed >= least), "{}", output.shown());
    println!("{} {result}", output.line);
}

fn integration_tests_pass(scene: &Scene, on: On, names: &[&str]) {
    let tests = build(scene, &on, &["--test", "integration"]);
    let machine = machine(scene, on, &tests);
    let machine = names
        .iter()
        .fold(machine, |machine, name| machine.step(name, format!("RUST_BACKTRACE=0 tests {name} {LEFT_OUT} 2>&1")));
    let booted = boot(scene, machine);
    for name in names {
        passed(&booted.step(name), 3);
    }
}

fn the_integration_tests_pass_on_amd64(scene: &Scene) {
    integration_tests_pass(scene, ON_AMD64, TESTS);
}

fn the_integration_tests_pass_on_arm64(scene: &Scene) {
    integration_tests_pass(scene, ON_ARM64, TESTS);
}

fn the_integration_tests_pass_on_armhf(scene: &Scene) {
    integration_tests_pass(scene, ON_ARMHF, &[TESTS, MORE].concat());
}

fn the_unit_tests_pass_on_armhf(scene: &Scene) {
    let tests = build(scene, &ON_ARMHF, &["--lib"]);
    let machine = machine(scene, ON_ARMHF, &tests).step("tests", "RUST_BACKTRACE=0 tests 2>&1");
    passed(&boot(scene, machine).step("tests"), 400);
}
