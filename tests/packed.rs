//! What is packed in the program is unpacked where it is needed, and only there.
//!
//! A debug build packs nothing: `VIAL_UNDER_TEST=target/release/vial` has the tests look at a release.

use std::fs;

use crate::util::Scene;
use crate::util::command::VIAL;
use crate::util::strace;

trials! {
    a_plain_start_unpacks_what_makes_a_plan_and_nothing_else [Root, Kernel("overlay"), Tool("strace"), Busybox];
    what_cannot_be_unpacked_is_an_error_and_nothing_is_left [Root, Kernel("overlay"), Tool("strace"), Busybox];
}

/// What makes memory executable, in all processes that a command starts.
fn unpackings(scene: &Scene, words: &[&str]) -> Vec<String> {
    let trace = scene.path("trace");
    let mut all =
        vec!["-e", "trace=clone,clone3,fork,vfork,execve,mprotect", "-o", trace.to_str().expect("a path of text")];
    all.extend(strace::OPTIONS.iter().chain([&VIAL]).chain(words));
    scene.command("strace", all).ok();
    let text = fs::read_to_string(&trace).expect("read the trace");
    let calls = text.lines().filter_map(|line| line.find(" mprotect(0x").map(|at| line[at..].to_owned()));
    calls.filter(|call| call.contains("PROT_READ|PROT_EXEC")).collect()
}

fn a_plain_start_unpacks_what_makes_a_plan_and_nothing_else(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["import", &rootfs, "image"]).ok();
    let both = unpackings(scene, &["run", "--rm", "--network", "none", &rootfs, "true"]);
    assert!(matches!(both.len(), 0 | 3), "a run unpacks:\n{}", both.join("\n"));
    for words in [
        &["run", "--rm", "--network", "none", "image", "true"][..],
        &["run", "--rm", "-e", "A=b", "--name", "named", "--hostname", "box", "--network", "none", &rootfs, "true"],
        &["run", "--rm", "-d", "--network", "none", &rootfs, "true"],
        &["run", "--rm", "-d", "--network", "none", "image", "true"],
    ] {
        assert_eq!(unpackings(scene, words), both, "vial {words:?}");
    }
}

/// In a debug build nothing is to be unpacked, so nothing fails; a release says so.
fn what_cannot_be_unpacked_is_an_error_and_nothing_is_left(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for words in [&["ps"][..], &["run", "--rm", "-v", "/:/mnt", "--network", "none", &rootfs, "true"]] {
        let trace = scene.path("trace").display().to_string();
        let inject = ["-qq", "-o", &trace, "-e", "trace=mprotect", "-e", "inject=mprotect:error=EACCES", VIAL];
        let output = scene.command("strace", inject.iter().chain(words)).run();
        let denied = fs::read_to_string(&trace).expect("read the trace").contains("EACCES");
        if denied {
            let message = output.ends(125).stderr;
            assert!(message.starts_with("vial: unpack a part of vial"), "{message}");
        } else {
            output.ends(0);
        }
    }
}
