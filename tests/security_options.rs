//! What else confines a container or frees it: `--privileged`, `--landlock` and the options of `--security-opt`.

use std::fs;

use crate::util::Scene;
use crate::util::command::{Cmd, VIAL};
use crate::util::container::{Container, inside, run};
use crate::util::detached::Detached;

trials! {
    a_privileged_container_has_all_rights_devices_and_files_of_the_kernel [Root, Busybox, Kernel("overlay")];
    masks_are_added_and_taken_away [Root, Busybox, Kernel("overlay")];
    apparmor_and_labels_that_are_not_there_are_errors [Root, Busybox, Kernel("overlay")];
    landlock_keeps_a_container_to_its_paths [Root, Busybox, Kernel("overlay"), File("/sys/kernel/security"), Linux(6, 2)];
    a_kernel_without_landlock_is_an_error_that_names_its_option [Root, Busybox, Tool("strace"), Kernel("overlay")];
}

fn a_privileged_container_has_all_rights_devices_and_files_of_the_kernel(scene: &Scene) {
    let own = fs::read_to_string("/proc/self/status").expect("read the own status");
    let own = own.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).expect("the own capabilities");
    let script = "grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status | cut -f 2; ls /sys/firmware | wc -l; \
                  test -w /proc/sys/kernel/domainname && echo inside >/proc/sys/kernel/domainname && cat /proc/sys/kernel/domainname; \
                  for group in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do mkdir $group/below 2>/dev/null && rmdir $group/below && echo group && break; done; \
                  mount -t tmpfs none /mnt && echo mounted; stat -c '%t:%T %a' /dev/kmsg; readlink /dev/ptmx; mount | grep -c '/sys .*ro[,)]'";
    let firmware = fs::read_dir("/sys/firmware").map_or(0, Iterator::count);
    let expected = format!("{own}\n{own}\n0\n{firmware}\ninside\ngroup\nmounted\n1:b ");
    let output = run(scene, &["--privileged"], script).run();
    assert!(output.stdout.starts_with(&expected) && output.stdout.ends_with("\npts/ptmx\n0\n"), "{}", output.shown());
    // A start later it is the same, and what joins it has a filter only by its own capabilities.
    let web = Detached::run(scene, "web", &["--privileged"], "grep Seccomp: /proc/self/status; exec sleep 600");
    web.says("Seccomp:\t0");
    scene.vial(["exec", "web", "grep", "CapEff", "/proc/self/status"]).ok().prints(&format!("CapEff:\t{own}\n"));
    web.vial(&["rm", "-f"]).ok();
    // A profile that is asked for holds all the same.
    let options = ["--privileged", "--security-opt", "seccomp=default"];
    assert_eq!(inside(scene, &options, "grep Seccomp: /proc/self/status"), "Seccomp:\t2");
    // exec --privileged may do what its capabilities are for.
    let container = Container::start(scene, &[], "exec sleep 600");
    let mount = ["exec", "--privileged", &container.id, "sh", "-c", "mount -t tmpfs none /mnt && echo mounted"];
    scene.vial(mount).ok().prints("mounted\n");
    scene.vial(["exec", &container.id, "mount", "-t", "tmpfs", "none", "/mnt"]).ends(1);
    container.stop();
}

fn masks_are_added_and_taken_away(scene: &Scene) {
    let script = "wc -c </etc/passwd; ls /usr | wc -l; ls /sys/firmware | wc -l; grep -q CPU0 /proc/interrupts && echo seen; \
                  (: >>/proc/irq/default_smp_affinity) 2>/dev/null && echo writable; (: >>/proc/sys/kernel/domainname) 2>/dev/null && echo sys";
    let look = |options: &[&str]| run(scene, options, script).run().stdout;
    let usual = look(&[]);
    assert!(usual.ends_with("\n0\n") && !usual.starts_with("0\n"), "{usual}");
    let masked = look(&["--security-opt", "mask=/etc/passwd:/usr"]);
    assert_eq!(masked, "0\n0\n0\n");
    let lines = |options: &[&str]| look(options).lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    let firmware = fs::read_dir("/sys/firmware").map_or(0, Iterator::count).to_string();
    for option in ["unmask=ALL", "systempaths=unconfined", "unmask:all"] {
        assert_eq!(lines(&["--security-opt", option]), [&firmware, "seen", "writable", "sys"], "{option}");
    }
    assert_eq!(lines(&["--security-opt", "unmask=/sys/firmware:/proc/irq"]), [&firmware, "writable"]);
    assert_eq!(lines(&["--security-opt", "unmask=/proc/*"]), ["0", "seen", "writable", "sys"]);
}

fn apparmor_and_labels_that_are_not_there_are_errors(scene: &Scene) {
    let has_apparmor =
        fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'));
    let options = ["--security-opt", "apparmor=vial-test-no-such-profile"];
    let output = run(scene, &options, "true").ends(125).prints("");
    let said = if has_apparmor { "no AppArmor profile" } else { "CONFIG_SECURITY_APPARMOR" };
    assert!(output.stderr.contains(said), "{}", output.shown());
    if !has_apparmor {
        let rootfs = scene.rootfs().display().to_string();
        let words = ["--best-effort", "run", "--rm"].iter().chain(&options).copied();
        scene
            .vial(words)
            .args([&rootfs, "echo", "on"])
            .ok()
            .prints("on\n")
            .says("warning")
            .says("CONFIG_SECURITY_APPARMOR");
    }
    run(scene, &["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"], "echo on")
        .ok()
        .prints("on\n");
    // A label is taken where there are labels, and else refused, unless it is only wanted.
    let words = ["--security-opt", "label=type:x_t", "--security-opt", "label=level:s0:c1,c2"];
    let has_selinux = fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains("selinuxfs"));
    if !has_selinux {
        run(scene, &words, "true")
            .ends(125)
            .prints("")
            .says("system_u:system_r:x_t:s0:c1,c2")
            .says("CONFIG_SECURITY_SELINUX");
        let rootfs = scene.rootfs().display().to_string();
        let wanted = ["--best-effort", "run", "--rm"].iter().chain(&words).copied();
        scene.vial(wanted).args([&rootfs, "echo", "on"]).ok().prints("on\n").says("CONFIG_SECURITY_SELINUX");
    }
    let rootfs = scene.rootfs().display().to_string();
    let planned = ["run", "--dry-run", "--rm"].iter().chain(&words).copied();
    let plan = scene.vial(planned).args([&rootfs, "true"]).ok();
    assert!(plan.stdout.contains("take the SELinux label system_u:system_r:x_t:s0:c1,c2"), "{}", plan.shown());
    assert!(plan.stdout.contains("context=\"system_u:object_r:container_file_t:s0:c1,c2\""), "{}", plan.shown());
    run(scene, &["--security-opt", "label=user:"], "true").ends(125).says("label=disable");
    let volume = format!("{}:/v:z", scene.directory().display());
    run(scene, &["-v", &volume, "--security-opt", "label=type:x_t"], "true").ends(125).says("chcon");
}

fn landlock_keeps_a_container_to_its_paths(scene: &Scene) {
    let probe = "echo x >/tmp/x && cat /tmp/x; echo x >/root/x; cat /etc/passwd | wc -l; truncate -s 0 /etc/group; wc -l </etc/group; \
                 rm /etc/hosts; grep -E '^(Seccomp|CapEff):' /proc/self/status | cut -f 2";
    let rules = ["--landlock", "ro:/,rw:/tmp", "--landlock", "rw:/dev"];
    for (options, capabilities) in [
        (&[][..], "00000000a80425fb"),
        (&["--security-opt", "no-new-privileges"], "00000000a80425fb"),
        (&["-u", "user"], "0000000000000000"),
        (&["--init"], "00000000a80425fb"),
    ] {
        let output = run(scene, &[&rules[..], options].concat(), probe).run();
        assert_eq!(output.stdout, format!("x\n3\n4\n{capabilities}\n2\n"), "{options:?}: {}", output.shown());
        assert_eq!(output.stderr.matches("Permission denied").count(), 3, "{}", output.shown());
    }
    let output = run(scene, &[&rules[..], &["--security-opt", "seccomp=unconfined"]].concat(), probe).run();
    assert!(output.stdout.ends_with("\n0\n"), "{}", output.shown());
    // What joins it and what is started again is kept to them too.
    let web = Detached::run(scene, "web", &rules, "echo x >/root/x; echo done; exec sleep 600");
    web.says("denied");
    web.says("done");
    scene
        .vial(["exec", "web", "sh", "-c", "echo y >/tmp/y; cat /tmp/y; echo x >/root/x"])
        .ends(1)
        .prints("y\n")
        .says("Permission denied");
    web.vial(&["restart", "-t", "0"]).ok();
    crate::util::container::eventually("it has started twice", || {
        (web.output().matches("denied").count() == 2).then_some(())
    });
    web.vial(&["rm", "-f"]).ok();
    // Without its own program it can't run.
    run(scene, &["--landlock", "ro:/etc"], "true").ends(126).says("EACCES");
    run(scene, &["--landlock", "ro:/missing"], "true").ends(125).says("/missing").says("ENOENT");
}

/// vial on a kernel whose answer to a call is an error.
fn without<'a>(scene: &'a Scene, call: &str, error: &str, words: &[&str]) -> Cmd<'a> {
    let trace = scene.path("trace").display().to_string();
    let rootfs = scene.rootfs().display().to_string();
    let inject = format!("inject={call}:error={error}");
    let strace = ["-f", "-o", &trace, "-e", &format!("trace={call}"), "-e", &inject, VIAL].map(str::to_owned);
    scene.command("strace", strace).args(words).args(["run", "--rm", "--landlock", "ro:/", &rootfs, "echo", "on"])
}

fn a_kernel_without_landlock_is_an_error_that_names_its_option(scene: &Scene) {
    for error in ["ENOSYS", "EOPNOTSUPP"] {
        let call = "landlock_create_ruleset";
        without(scene, call, error, &[]).ends(125).prints("").says(error).says("CONFIG_SECURITY_LANDLOCK");
        without(scene, call, error, &["--best-effort"])
            .ok()
            .prints("on\n")
            .says("warning")
            .says("CONFIG_SECURITY_LANDLOCK");
    }
    without(scene, "landlock_restrict_self", "EPERM", &["--best-effort"]).ends(125).prints("").says("EPERM");
}
