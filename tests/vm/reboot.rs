//! Containers over reboots: a machine with a disk that goes down without a word, and comes up again.

use std::fs;
use std::sync::OnceLock;

use super::{Booted, Machine, once};
use crate::util::Scene;

trials! {
    after_a_power_cut_the_list_tells_the_truth [Machine, Tool("mkfs.ext4")];
    a_power_cut_undoes_nothing_that_was_reported [Machine, Tool("mkfs.ext4")];
    the_line_in_inittab_starts_what_is_to_run [Machine, Tool("mkfs.ext4")];
    what_was_written_and_asked_for_is_there_again [Machine, Tool("mkfs.ext4")];
    what_was_to_go_with_its_end_is_removed [Machine, Tool("mkfs.ext4")];
}

/// What the machine does from one power cut to the next.
struct Story {
    before: Booted,
    after: Booted,
    started: Booted,
}

const LIST: &str = "vial ps -a --format '{{.Names}} {{.State}}' | sort";

/// The machine, booted three times for all tests here.
#[track_caller]
fn told() -> &'static Story {
    static TOLD: OnceLock<Result<Story, String>> = OnceLock::new();
    once(&TOLD, "reboot", story)
}

fn story(scene: &Scene) -> Result<Story, String> {
    let disk = scene.path("disk");
    fs::File::create(&disk).and_then(|file| file.set_len(256 << 20)).map_err(|error| error.to_string())?;
    scene.command("mkfs.ext4", ["-q".as_ref(), disk.as_os_str()]).ok();
    let machine = || Machine::with(&["overlay", "virtio_pci", "virtio_blk"]).disk(&disk);
    let run = |name: &str, options: &str| {
        format!("vial run -d --name {name} {options} host sh -c 'echo life >>/lives; echo said; exec sleep 600'\n")
    };
    let before = machine()
        .step("mount", "mount -t cgroup2 none /sys/fs/cgroup")
        .step(
            "run",
            [
                run("always", "--restart always -m 32m --pids-limit 20 -e WORD=kept -h inside -w /etc -v data:/srv"),
                run("unless", "--restart unless-stopped"),
                run("failure", "--restart on-failure:3"),
                run("no", "-v data:/srv --cpus 0.5"),
                run("always-stopped", "--restart always"),
                run("unless-stopped", "--restart unless-stopped"),
                run("goes", "--rm -v /gone"),
                "vial create --name created host true\n".into(),
                "until [ $(cat /data/containers/*/log | grep -c said) = 7 ]; do sleep 0.1; done\n".into(),
                "vial exec always sh -c 'echo data >/srv/file; echo upper >/upper'; sync\n".into(),
            ]
            .concat(),
        )
        // From here on nothing is written to the disk unless vial asks for it.
        .step("stop", "vial stop -t 0 always-stopped unless-stopped")
        .step("exit", "vial run -d --name seven host sh -c 'exit 7'; vial wait seven")
        .step("update", "vial update -m 48m always; vial rename no other")
        .step("list", LIST)
        .boot(scene)?;
    let after = machine()
        .step("list", LIST)
        .step("seven", "vial inspect -f '{{.State.ExitCode}}' seven")
        .step("always", "vial inspect -f '{{.State.ExitCode}} {{.HostConfig.Memory}} {{.State.Pid}}' always")
        .step("logs", "vial logs always")
        .boot(scene)?;
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("read it");
    let line = readme.lines().find(|line| line.starts_with("::once:")).expect("README has a line for inittab");
    let look = "sh -c 'cat /lives /srv/file /upper; echo $WORD $(hostname) $(pwd)
                cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'";
    let started = machine()
        .inittab(&format!("{line}\n::once:/run-steps\n"))
        .step("started", format!("until [ $(vial ps -q | wc -l) = 4 ]; do sleep 0.2; done; {LIST}"))
        .step("always", format!("ps | grep -c vial-[k]eeper; vial exec always {look}"))
        .step(
            "restarts",
            "kill -9 $(vial inspect -f '{{.State.Pid}}' always)
                           until vial exec always cat /lives 2>/dev/null | wc -l | grep 3; do sleep 0.1; done",
        )
        .step("start", "vial start other; vial exec other sh -c 'cat /lives /srv/file /sys/fs/cgroup/cpu.max'")
        .step("gc", "vial gc | cut -d ' ' -f 1; ls /data/volumes; vial ps -aq -f name=goes")
        .boot(scene)?;
    Ok(Story { before, after, started })
}

fn after_a_power_cut_the_list_tells_the_truth(_: &Scene) {
    told().before.step("list").prints(
        "always running\nalways-stopped exited\ncreated created\nfailure running\ngoes running\nother running\n\
         seven exited\nunless running\nunless-stopped exited\n",
    );
    told().after.step("list").ends(0).silent().prints(
        "always exited\nalways-stopped exited\ncreated created\nfailure exited\ngoes dead\nother exited\n\
         seven exited\nunless exited\nunless-stopped exited\n",
    );
    told().after.step("logs").ends(0).prints("said\n");
}

fn a_power_cut_undoes_nothing_that_was_reported(_: &Scene) {
    told().before.step("exit").ends(0);
    told().after.step("seven").ends(0).prints("7\n");
    told().after.step("always").ends(0).prints("137 50331648 0\n");
}

fn the_line_in_inittab_starts_what_is_to_run(_: &Scene) {
    told().started.step("started").ends(0).prints(
        "always running\nalways-stopped running\ncreated created\nfailure running\ngoes dead\nother exited\n\
         seven exited\nunless running\nunless-stopped exited\n",
    );
}

fn what_was_written_and_asked_for_is_there_again(_: &Scene) {
    told().started.step("always").ends(0).prints("4\nlife\nlife\ndata\nupper\nkept inside /etc\n50331648\n20\n");
    told().started.step("restarts").ends(0).prints("3\n");
    told().started.step("start").ends(0).prints("other\nlife\nlife\ndata\n50000 100000\n");
}

fn what_was_to_go_with_its_end_is_removed(_: &Scene) {
    told().started.step("gc").ends(0).prints("container\nvolume\ndata\n");
}
