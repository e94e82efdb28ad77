//! All integration tests, in one binary: one module per capability, and `util` with what they share.
//!
//! The harness is `libtest-mimic`, since a test that lacks root or a tool is to be reported as ignored with its reason, and
//! only a program that builds its list of tests at run time can do that.

#[macro_use]
mod util;

mod attached;
mod audit;
mod bad_input;
mod builds;
mod check;
mod command_line;
mod commit;
mod confinement;
mod control_groups;
mod cost;
mod cp;
mod crashes;
mod crowd;
mod cves;
mod debian;
mod detached;
mod diff_export;
mod docker_habits;
mod engines;
mod exec;
mod explain;
mod faults;
mod filesystem_images;
mod flat;
mod floors;
mod foreground;
mod freezer;
mod fuzzed;
mod harness;
mod hostile;
mod image_config;
mod images;
mod import;
mod isolation;
mod keeper;
mod landing;
mod laws;
mod layers;
mod ledger;
mod limits;
mod load;
mod logs;
mod memory;
mod names;
mod nested;
mod network_cleanup;
mod networking;
mod networks;
mod oci;
mod oci_spec;
mod old_kernels;
mod owners;
mod pack;
mod packed;
mod published;
mod pull;
mod restarts;
mod rootless;
mod save;
mod scopes;
mod seccomp;
mod security_options;
mod self_contained;
mod service;
mod stats;
mod storage;
mod update;
mod user_namespaces;
mod vm;
mod whiteouts;
mod why;
mod workload;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    util::heed_signals();
    util::keep_panics();
    if !arguments.list && !util::own_network() {
        eprintln!("the tests could not have a network namespace of their own");
        return ExitCode::FAILURE;
    }
    let groups = util::leaks::control_groups();
    let trials = [
        attached::trials(),
        audit::trials(),
        bad_input::trials(),
        builds::trials(),
        check::trials(),
        command_line::trials(),
        commit::trials(),
        confinement::trials(),
        cp::trials(),
        control_groups::trials(),
        cost::trials(),
        crashes::trials(),
        crowd::trials(),
        cves::trials(),
        debian::trials(),
        engines::trials(),
        exec::trials(),
        explain::trials(),
        faults::trials(),
        detached::trials(),
        diff_export::trials(),
        docker_habits::trials(),
        filesystem_images::trials(),
        flat::trials(),
        floors::trials(),
        foreground::trials(),
        freezer::trials(),
        fuzzed::trials(),
        harness::trials(),
        hostile::trials(),
        image_config::trials(),
        images::trials(),
        import::trials(),
        isolation::trials(),
        keeper::trials(),
        laws::trials(),
        landing::trials(),
        layers::trials(),
        ledger::trials(),
        limits::trials(),
        load::trials(),
        logs::trials(),
        memory::trials(),
        names::trials(),
        nested::trials(),
        network_cleanup::trials(),
        networking::trials(),
        networks::trials(),
        oci::bundles::trials(),
        oci::kills::trials(),
        oci::limits::trials(),
        oci::own::trials(),
        oci::stages::trials(),
        oci::words::trials(),
        oci_spec::trials(),
        old_kernels::trials(),
        owners::trials(),
        pack::trials(),
        packed::trials(),
        published::trials(),
        pull::trials(),
        stats::trials(),
        storage::trials(),
        update::trials(),
        user_namespaces::trials(),
        restarts::trials(),
        rootless::trials(),
        save::trials(),
        scopes::trials(),
        seccomp::trials(),
        security_options::trials(),
        self_contained::trials(),
        service::trials(),
        vm::trials(),
        whiteouts::trials(),
        why::trials(),
        workload::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    util::scene::remove_work_directory();
    let left = util::leaks::new_control_groups(&groups);
    if !left.is_empty() {
        eprintln!("control groups are left behind:\n{}", left.join("\n"));
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
