//! `vial check` on kernels that lack something: modules that are not loaded are not there.

use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    where_everything_is_there_a_run_works [Machine];
    what_a_kernel_lacks_is_told [Machine];
    without_control_groups_a_run_takes_the_best_effort [Machine];
}

const NETWORK: [&str; 9] =
    ["overlay", "veth", "bridge", "nf_tables", "nft_chain_nat", "nft_ct", "nft_nat", "nft_masq", "nft_fib_ipv4"];

const RUN: &str = "vial run --rm host echo it runs";

#[track_caller]
fn whole() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "check-whole", |scene| {
        Machine::with(&NETWORK)
            .step("bare", "vial check")
            .step("bare run", RUN)
            .step("best effort", RUN.replace("vial", "vial --best-effort"))
            .step("mount", "mount -t cgroup2 none /sys/fs/cgroup")
            .step("check", "vial check")
            .step("run", RUN)
            .boot(scene)
    })
}

#[track_caller]
fn poor() -> &'static Booted {
    static BOOTED: OnceLock<Result<Booted, String>> = OnceLock::new();
    once(&BOOTED, "check-poor", |scene| Machine::with(&[]).step("check", "vial check").step("run", RUN).boot(scene))
}

fn where_everything_is_there_a_run_works(_: &Scene) {
    let mut check = whole().step("check").ends(0).silent();
    for name in
        ["overlay", "control groups", "memory limits", "device rules", "bridges", "veth", "packet filters", "clone3"]
    {
        check = check.shows(&format!("yes  {name}\n"));
    }
    whole().step("run").ends(0).prints("it runs\n");
}

fn what_a_kernel_lacks_is_told(_: &Scene) {
    let mut check = poor().step("check").ends(1).silent();
    for name in ["overlay", "bridges", "veth"] {
        check = check.shows(&format!("NO   {name}\n"));
    }
    check
        .shows("CONFIG_OVERLAY_FS")
        .shows("CONFIG_BRIDGE")
        .shows("for want of: overlay, control groups, device rules, bridges, veth\n");
    poor().step("run").ends(125);
}

fn without_control_groups_a_run_takes_the_best_effort(_: &Scene) {
    let check = whole().step("bare").ends(1);
    check.shows("no   memory limits\n").shows("for want of: control groups, device rules\n");
    whole().step("bare run").ends(125);
    whole().step("best effort").ends(0).prints("it runs\n");
}
