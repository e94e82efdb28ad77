//! Killed commands: whatever the moment, `delete --force` leaves nothing, and what nobody was told of goes with `gc`.

use std::fs;

use crate::util::Scene;
use crate::util::bundle::{Bundle, oci, state_directory};
use crate::util::killer;
use crate::util::leaks;

trials! {
    a_create_killed_at_any_call_leaves_what_delete_removes [Root, Busybox, Command("oci")];
    a_start_killed_at_any_call_leaves_what_delete_removes [Root, Busybox, Command("oci")];
    a_delete_killed_at_any_call_leaves_what_delete_removes [Root, Busybox, Command("oci")];
    an_update_killed_at_any_call_leaves_the_old_or_the_new [Root, Busybox, Command("oci")];
    waste_of_killed_creates_goes_with_gc [Root, Busybox, Tool("unshare"), Command("oci")];
    what_is_damaged_is_named_and_can_be_deleted [Root, Busybox, Command("oci")];
}

/// How many moments are tried, and the place of the first.
const SAMPLE: usize = 60;

/// The words of a command, with those before the command's name.
fn words<'a>(root: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    [&["oci", "--root", root], words].concat()
}

/// Asserts that a forced deletion leaves nothing of a container.
fn is_deleted(scene: &Scene, bundle: &Bundle<'_>, what: &str) {
    let output = bundle.oci("delete", &["--force"]).run();
    assert!(output.code == 0, "{what}: {}", output.shown());
    bundle.assert_gone();
    crate::util::container::eventually(what, || leaks::processes(scene.directory()).is_empty().then_some(()));
}

fn a_create_killed_at_any_call_leaves_what_delete_removes(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.write();
    let (root, place) = (state_directory(scene).display().to_string(), bundle.directory.display().to_string());
    let words = words(&root, &["create", "--bundle", &place, "--pid-file", "pid", "web"]);
    let moments = killer::moments(scene, &words, SAMPLE, 3);
    is_deleted(scene, &bundle, "one that was not killed");
    for (moment, what) in moments {
        killer::run(scene, &words, Some(moment));
        // It is told as it is, whatever that is.
        let state = bundle.oci("state", &[]).run();
        assert!(state.code == 0 || state.stderr.contains("does not exist"), "{what}: {}", state.shown());
        is_deleted(scene, &bundle, &what);
    }
}

fn a_start_killed_at_any_call_leaves_what_delete_removes(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    let root = state_directory(scene).display().to_string();
    let words = words(&root, &["start", "web"]);
    bundle.create();
    let moments = killer::moments(scene, &words, SAMPLE, 1);
    is_deleted(scene, &bundle, "one that was not killed");
    for (moment, what) in moments {
        bundle.create();
        killer::run(scene, &words, Some(moment));
        let status = bundle.status();
        assert!(["created", "running", "stopped"].contains(&&*status), "{what}: {status}");
        if status == "created" {
            // It may have been told to go on a moment ago.
            let again = bundle.oci("start", &[]).run();
            assert!(again.code == 0 || again.stderr.contains("it is running"), "{what}: {}", again.shown());
            bundle.is_going_to_be("running");
        }
        is_deleted(scene, &bundle, &what);
    }
}

fn a_delete_killed_at_any_call_leaves_what_delete_removes(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    let root = state_directory(scene).display().to_string();
    let words = words(&root, &["delete", "--force", "web"]);
    bundle.start();
    for (moment, what) in killer::moments(scene, &words, SAMPLE, 2) {
        bundle.start();
        killer::run(scene, &words, Some(moment));
        is_deleted(scene, &bundle, &what);
    }
}

fn an_update_killed_at_any_call_leaves_the_old_or_the_new(scene: &Scene) {
    let mut bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.config["linux"]["resources"]["pids"] = serde_json::json!({"limit": 20});
    let root = state_directory(scene).display().to_string();
    let words = words(&root, &["update", "--pids-limit", "30", "web"]);
    bundle.start();
    for (moment, what) in killer::moments(scene, &words, 20, 1) {
        killer::run(scene, &words, Some(moment));
        let kept = bundle.kept()["linux"]["resources"]["pids"]["limit"].clone();
        assert!(kept == 20 || kept == 30, "{what}: {kept}");
        oci(scene, ["update", "--pids-limit", "20", "web"]).ok();
        assert_eq!(bundle.limit("pids.max"), "20", "{what}");
        assert_eq!(bundle.kept()["linux"]["resources"]["pids"]["limit"], 20, "{what}");
    }
    is_deleted(scene, &bundle, "in the end");
}

fn waste_of_killed_creates_goes_with_gc(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    bundle.write();
    let group = format!("{}-begun", bundle.group);
    fs::write(scene.path("begun.json"), bundle.config.to_string()).expect("write a file");
    let state = serde_json::json!({"bundle": "/x", "created": "2026-01-02T03:04:05Z", "cgroupsPath": group});
    fs::write(scene.path("state.json"), state.to_string()).expect("write a file");
    // `gc` looks where engines keep their containers unless told otherwise.
    let script = "mount -t tmpfs none /run; mkdir -p /run/vial/oci/cut /run/vial/oci/begun; \
                  cp state.json /run/vial/oci/begun; cp begun.json /run/vial/oci/begun/config.json; \
                  mkdir /sys/fs/cgroup/memory$3 2>/dev/null || mkdir /sys/fs/cgroup$3; \
                  $1 oci create -b $2 web </dev/null >/dev/null; \
                  $1 gc --dry-run; $1 gc; ls /run/vial/oci; $1 gc; $1 oci delete --force web; ls /run/vial/oci";
    let place = bundle.directory.display().to_string();
    let vial = crate::util::command::VIAL;
    let output = scene.command("unshare", ["-m", "sh", "-c", script, "sh", vial, &place, &group]).ok();
    let expected = "oci container begun\noci container cut\n";
    assert_eq!(output.stdout, format!("{expected}{expected}web\n"), "{}", output.shown());
    assert!(crate::util::container::groups(&group).is_empty(), "its groups are gone");
    bundle.assert_gone();
}

fn what_is_damaged_is_named_and_can_be_deleted(scene: &Scene) {
    let bundle = Bundle::new(scene, "web", "exec sleep 600");
    let directory = state_directory(scene).join("web");
    for (file, text) in [
        ("state.json", ""),
        ("state.json", "{"),
        ("state.json", "[]"),
        ("state.json", "{\"bundle\":5}"),
        ("config.json", ""),
        ("config.json", "{\"process\":5}"),
    ] {
        bundle.start();
        let config = fs::read(directory.join("config.json")).expect("read it");
        fs::write(directory.join(file), text).expect("damage it");
        let output = bundle.oci("exec", &["true"]).ends(255);
        assert!(output.stderr.contains(file) && output.stderr.contains("delete --force"), "{}", output.shown());
        if file == "state.json" {
            bundle.oci("state", &[]).ends(1).says(file);
            bundle.oci("delete", &[]).ends(1).says(file);
            // The group tells what there is to be killed.
            is_deleted(scene, &bundle, text);
        } else {
            fs::write(directory.join(file), config).expect("repair it");
            is_deleted(scene, &bundle, text);
        }
    }
}
