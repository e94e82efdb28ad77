//! `vial check` tells what of the kernel can be used, by using it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::strace;
use crate::util::user::User;

trials! {
    what_a_plain_run_needs_is_there_and_it_runs [Root, Busybox, Kernel("overlay")];
    what_is_missing_is_named_with_what_to_do [Root, Tool("strace")];
    where_a_plain_run_would_fail_the_code_says_so [Root, Tool("strace")];
    rights_that_are_missing_are_named [Root, Tool("setpriv")];
    a_normal_user_is_told_what_works_there [Root, Tool("setpriv")];
    nothing_of_what_is_tried_is_left [Root, Tool("ip")];
}

/// The rows of the JSON form, by name.
fn rows(output: &Output) -> Vec<(String, Value)> {
    let rows: Vec<Value> = serde_json::from_str(&output.stdout).expect("it prints JSON");
    rows.into_iter().map(|row| (row["Name"].as_str().expect("a name").to_owned(), row)).collect()
}

/// Those that do not work.
fn missing(output: &Output) -> Vec<String> {
    rows(output).into_iter().filter(|(_, row)| row["Works"] == false).map(|(name, _)| name).collect()
}

fn what_a_plain_run_needs_is_there_and_it_runs(scene: &Scene) {
    let shown = scene.vial(["check"]).ok().silent().stdout;
    assert!(shown.ends_with("\n`vial run` works here with its defaults.\n"), "{shown}");
    let rows = rows(&scene.vial(["check", "--json"]).ok().silent());
    assert!(rows.len() > 40);
    for (name, row) in &rows {
        let works = row["Works"].as_bool().expect("yes or no");
        assert!(works || row["Needed"] == false, "{row}");
        assert_eq!(works, row.get("Error").is_none(), "{row}");
        assert!(shown.contains(&format!("\n{:<5}{name}\n", if works { "yes" } else { "no" })), "{name}:\n{shown}");
    }
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["run", "--rm", "--network", "bridge", &rootfs, "true"]).ok();
    // What the machine has no sign of is not claimed.
    let works =
        |name: &str| rows.iter().find(|(known, _)| known == name).expect("there is such a row").1["Works"] == true;
    assert_eq!(works("AppArmor"), Path::new("/sys/kernel/security/apparmor").exists());
    assert_eq!(works("SELinux"), Path::new("/sys/fs/selinux").exists());
    let kinds = fs::read_to_string("/proc/filesystems").expect("read the list of file systems");
    for kind in ["squashfs", "erofs", "ext4", "btrfs"] {
        assert_eq!(works(kind), kinds.lines().any(|line| line.trim_start_matches("nodev").trim() == kind), "{kind}");
    }
}

/// Calls that a kernel may lack, and what then is told to be missing.
const CALLS: [(&str, &str, &str); 10] = [
    ("openat2", "ENOSYS", "openat2"),
    ("openat2", "EPERM", "openat2"),
    ("open_tree", "ENOSYS", "open_tree, move_mount"),
    ("fsopen", "ENOSYS", "fsopen, fsmount"),
    ("mount_setattr", "ENOSYS", "mount_setattr"),
    ("clone3", "EPERM", "clone3"),
    ("pidfd_open", "ENOSYS", "pidfd_open"),
    ("close_range", "EINVAL", "close_range"),
    ("memfd_create", "ENOSYS", "memfd_create"),
    ("landlock_create_ruleset", "EOPNOTSUPP", "Landlock"),
];

/// `vial check` with a call that fails in all its processes.
fn without(scene: &Scene, call: &str, error: &str) -> Output {
    let inject = format!("inject={call}:error={error}");
    let trace = scene.path("trace").display().to_string();
    let words = ["-o", &trace, "-e", &format!("trace={call}"), "-e", &inject, VIAL, "check", "--json"];
    scene.command("strace", strace::OPTIONS.iter().chain(&words)).run()
}

fn what_is_missing_is_named_with_what_to_do(scene: &Scene) {
    let usual = missing(&scene.vial(["check", "--json"]).ok());
    for (call, error, name) in CALLS {
        let output = without(scene, call, error).ends(0);
        let more: Vec<String> = missing(&output).into_iter().filter(|missing| !usual.contains(missing)).collect();
        // Owners are mapped by `open_tree` and `mount_setattr`.
        assert!(more.iter().any(|missing| missing == name), "{call} {error}: {more:?}");
        assert!(
            more.iter().all(|missing| missing == name || missing == "mounts with mapped owners"),
            "{call}: {more:?}"
        );
        let row = rows(&output).into_iter().find(|(known, _)| known == name).expect("there is such a row").1;
        assert!(row["Error"].as_str().expect("an error").contains(error), "{row}");
        assert!(!row["Options"].as_str().expect("options").is_empty(), "{row}");
        assert!(!row["Without"].as_str().expect("words").is_empty(), "{row}");
    }
}

fn where_a_plain_run_would_fail_the_code_says_so(scene: &Scene) {
    for (call, error, names) in [
        ("unshare", "EINVAL", &["mount namespaces", "PID namespaces", "network namespaces", "bridges", "overlay"][..]),
        ("mount", "ENODEV", &["tmpfs", "proc", "sysfs", "devpts", "mqueue", "overlay"]),
        ("seccomp", "EINVAL", &["seccomp filters"]),
        ("socket", "EAFNOSUPPORT", &["bridges", "veth"]),
    ] {
        let missing = missing(&without(scene, call, error).ends(1));
        for name in names {
            assert!(missing.iter().any(|missing| missing == name), "{call}: {name} is not among {missing:?}");
        }
    }
    let inject = ["-o", "/dev/null", "-e", "inject=seccomp:error=EINVAL", VIAL, "check"];
    let output = scene.command("strace", strace::OPTIONS.iter().chain(&inject)).run().ends(1);
    let output = output.shows("NO   seccomp filters\n").shows("the kernel's: CONFIG_SECCOMP_FILTER\n");
    output.shows("`vial run` does not work here with its defaults, for want of: seccomp filters\n");
}

fn rights_that_are_missing_are_named(scene: &Scene) {
    let output = scene.command("setpriv", ["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", VIAL, "check"]);
    let output = output.run().ends(1);
    output.shows("NO   capabilities of root\n       CAP_NET_ADMIN is missing\n");
}

fn a_normal_user_is_told_what_works_there(scene: &Scene) {
    let user = User::new(scene);
    let rows = rows(&user.vial(["check", "--json"]).ok().silent());
    let works =
        |name: &str| rows.iter().find(|(known, _)| known == name).expect("there is such a row").1["Works"] == true;
    for name in ["capabilities of root", "mount namespaces", "overlay", "proc", "sysfs", "bridges", "seccomp filters"] {
        assert!(works(name), "{name}");
    }
    assert!(!works("mounts with mapped owners"));
}

fn nothing_of_what_is_tried_is_left(scene: &Scene) {
    scene.vial(["check"]).ok();
    let links = scene.command("ip", ["-o", "link"]).ok().stdout;
    assert!(!links.contains("check"), "{links}");
    let groups = scene.command("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", "vial-check-*"]).ok().stdout;
    assert_eq!(groups, "");
    assert!(!scene.root().exists() || fs::read_dir(scene.root()).is_ok_and(|mut entries| entries.next().is_none()));
}
