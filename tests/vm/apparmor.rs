//! `AppArmor`, which the kernel of these machines has: profiles that containers are given, and what is said when one refuses something.

use std::fmt::Write;
use std::fs;
use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    a_container_is_confined_by_its_profile [Machine, Tool("apparmor_parser"), File("/etc/apparmor.d/abi/3.0")];
    what_is_executed_later_is_confined_as_well [Machine, Tool("apparmor_parser"), File("/etc/apparmor.d/abi/3.0")];
    what_a_profile_refuses_is_told_as_such [Machine, Tool("apparmor_parser"), File("/etc/apparmor.d/abi/3.0")];
    a_profile_that_is_not_loaded_is_refused [Machine, Tool("apparmor_parser"), File("/etc/apparmor.d/abi/3.0")];
}

/// All but one file.
const PROFILE: &str = "abi <abi/3.0>,
profile only-test flags=(attach_disconnected,mediate_deleted) {
  file, network, capability, mount, umount, pivot_root, ptrace, signal, unix,
  deny /etc/passwd rw,
}
";

/// The profile as the kernel reads it, in letters.
fn compiled(scene: &Scene) -> String {
    fs::write(scene.path("profile"), PROFILE).expect("write the profile");
    let compile = "apparmor_parser -Q -K --features-file=/etc/apparmor.d/abi/3.0 -o compiled profile";
    scene.command("sh", ["-c", &format!("PATH=$PATH:/usr/sbin:/sbin {compile}")]).ok();
    fs::read(scene.path("compiled")).expect("it was compiled").iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:03o}");
        text
    })
}

/// The machine, booted once for all tests here.
#[track_caller]
fn booted() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "apparmor", |scene| machine(&compiled(scene)).boot(scene))
}

fn machine(profile: &str) -> Machine {
    let run = "--network none --security-opt apparmor=only-test host";
    Machine::with(&["overlay"])
        .step("mount", "mount -t cgroup2 none /sys/fs/cgroup && mount -t securityfs none /sys/kernel/security")
        // The kernel wants all of it in one write(2).
        .step(
            "load",
            format!(
                "printf '{profile}' >/run/profile && dd bs=64k if=/run/profile of=/sys/kernel/security/apparmor/.load"
            ),
        )
        .step("label", format!("vial run --rm {run} cat /proc/self/attr/current"))
        .step("start", format!("vial run -d --name web {run} sleep 600 | wc -c"))
        .step(
            "join",
            "vial exec web cat /proc/self/attr/current; vial exec web cat /etc/passwd; echo $?; vial rm -f web",
        )
        .step("why", format!("vial why -- run --rm {run} cat /etc/passwd"))
        .step("other", "vial run --rm --network none --security-opt apparmor=no-such host true")
        .step("without", "vial run --rm --network none --security-opt apparmor=unconfined host cat /etc/passwd | wc -l")
}

fn a_container_is_confined_by_its_profile(_: &Scene) {
    booted().step("load").ends(0);
    booted().step("label").ends(0).prints("only-test (enforce)\n");
}

fn what_is_executed_later_is_confined_as_well(_: &Scene) {
    booted().step("start").ends(0).prints("65\n");
    let output = booted().step("join").ends(0).says("can't open '/etc/passwd': Permission denied");
    output.prints("only-test (enforce)\n1\nweb\n");
}

fn what_a_profile_refuses_is_told_as_such(_: &Scene) {
    let output = booted().step("why").ends(1);
    output
        .says("security module: the kernel's security module confines it (only-test (enforce))")
        .says("openat failed with EACCES in cat (process 1)")
        .says("apparmor=unconfined");
    // Which is what helps.
    booted().step("without").ends(0).shows("3");
}

fn a_profile_that_is_not_loaded_is_refused(_: &Scene) {
    booted().step("other").ends(125).says("no-such");
}
