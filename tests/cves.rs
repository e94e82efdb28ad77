//! What broke other container engines: each attack is carried out, comes to nothing, and is seen to succeed on a vial that lacks
//! the defence (`util::weak`), or where a user has turned it off.
//!
//! What an attack does to the host it does in the test's own directory.
#![expect(unsafe_code, reason = "renameat2(2) with RENAME_EXCHANGE is in no crate that the tests have")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::import::Member;
use crate::util::Over;
use crate::util::command::{Cmd, Output};
use crate::util::container::{Container, eventually};
use crate::util::detached::Detached;
use crate::util::scene::work_directory;
use crate::util::user::User;
use crate::util::weak::{Victim, only_without, weakened};
use crate::util::{Scene, archive, image, needs, rootfs, tree};

trials! {
    // runc CVE-2019-5736
    the_runtime_is_not_rewritten_through_its_own_link_in_proc [Root, Busybox, Tool("gcc"), Kernel("overlay"), Tool("cargo")];
    // The same, while it is on its way in.
    what_is_on_its_way_into_a_container_is_closed_to_tracing [Root, Busybox, Tool("gcc"), Kernel("overlay"), Tool("cargo")];
    // runc CVE-2024-21626
    a_directory_that_was_left_open_leads_nowhere [Root, Busybox, Tool("bash"), Kernel("overlay"), Tool("cargo")];
    // runc CVE-2021-30465, CVE-2024-45310
    a_component_swapped_while_a_container_is_set_up_leads_nowhere [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // docker CVE-2018-15664, CVE-2026-41568
    a_component_swapped_while_files_are_copied_leads_nowhere [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // runc CVE-2026-41579, crun CVE-2026-47766, bubblewrap CVE-2026-87766
    links_in_the_place_of_dev_make_no_node_on_the_host [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // runc CVE-2025-31133, CVE-2025-52565
    nothing_but_the_null_device_is_mounted_as_a_mask_and_no_path_as_the_console [Root, Busybox, Tool("strace"), Kernel("overlay"), Tool("cargo")];
    // runc CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881
    a_covered_proc_swallows_no_setting [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // runc CVE-2022-29162, podman CVE-2022-27650
    no_capability_is_inherited_by_a_program_that_would_take_it [Root, Busybox, Tool("setpriv"), Kernel("overlay"), Tool("cargo")];
    // docker CVE-2022-36109, Linux CVE-2014-8989
    no_group_is_stale_and_none_can_be_dropped [Root, Busybox, Tool("gcc"), Tool("setpriv"), Tool("newuidmap"), Kernel("overlay"), Tool("cargo")];
    // crun CVE-2026-30892, containerd CVE-2024-40635
    no_number_wraps_around_to_root [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // bubblewrap CVE-2017-5226
    nothing_is_typed_into_the_callers_terminal [Root, Busybox, Tool("script"), Tool("gcc"), File("/proc/sys/dev/tty/legacy_tiocsti"), Kernel("overlay"), Tool("cargo")];
    // Linux CVE-2022-0492, runc CVE-2023-25809
    no_control_group_can_be_written_and_no_release_agent_set [Root, Busybox, Tool("newuidmap"), Kernel("overlay")];
    // runc CVE-2021-43784
    an_attribute_that_is_too_long_smuggles_no_other [];
    // containerd CVE-2020-15257
    no_abstract_socket_is_bound [Root, Busybox, Tool("gcc"), Tool("strace"), Kernel("overlay"), Tool("cargo")];
    // docker CVE-2019-14271, CVE-2026-41567
    nothing_of_an_image_is_executed_outside_of_the_container [Root, Busybox, Tool("strace"), Kernel("overlay")];
    // containerd CVE-2022-23648, CVE-2026-53488
    an_images_volumes_and_labels_do_not_drive_the_host [Root, Busybox, Kernel("overlay"), Tool("cargo")];
    // cri-o and podman CVE-2024-9676
    a_list_of_users_that_is_a_pipe_or_a_link_is_not_read [Root, Busybox, Tool("timeout"), Kernel("overlay"), Tool("cargo")];
    // CVE-2025-47290, CVE-2026-33056, CVE-2026-44517
    evil_layers_change_nothing_outside [Root, Tool("timeout"), Tool("cargo")];
    // CVE-2025-62518
    no_member_is_smuggled_by_two_sizes [Root, Tool("cargo")];
    bombs_are_refused_with_little_memory [Root, Tool("python3"), Tool("cargo")];
    // docker CVE-2021-41091, containerd CVE-2024-25621
    the_store_is_closed_to_others_and_takes_no_attribute_of_overlayfs [Root, Busybox, Tool("gcc"), Tool("setpriv"), Kernel("overlay"), Tool("cargo")];
    // bubblewrap CVE-2026-41163
    a_copy_with_a_set_id_bit_refuses_to_run [Root, Busybox, Tool("setpriv"), Kernel("overlay"), Tool("cargo")];
    // Linux CVE-2026-31431
    no_socket_reaches_the_kernels_ciphers_or_the_hypervisor [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_number_given_out_again_is_not_signalled [Root, Busybox, Tool("unshare"), Kernel("overlay"), Tool("cargo")];
    the_vial_under_test_cannot_be_weakened [Tool("cargo")];
}

const WAIT: &str = "exec sleep 600";

/// How long a race is run; `VIAL_TEST_SECONDS` is for those who want to be sure.
fn extent() -> Duration {
    let asked = std::env::var("VIAL_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(3))
}

/// A root file system of the test's own.
fn own_root(scene: &Scene, name: &str) -> PathBuf {
    let root = scene.path(name);
    rootfs::make(&root).expect("make a root file system");
    root
}

/// A directory of the host's that a container must not reach, with a canary in it.
fn outside(scene: &Scene) -> PathBuf {
    let outside = scene.path("outside");
    if !outside.exists() {
        fs::create_dir(&outside).expect("make a directory");
    }
    fs::write(outside.join("canary"), "sings").expect("write a file");
    outside
}

/// What is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("list a directory").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// `run --rm` in a root file system.
fn run<'a>(victim: Victim<'a>, options: &[&str], root: &Path, words: &[&str]) -> Cmd<'a> {
    let limited = victim.vial(["run", "--rm"]).args(options).args([root]).args(words);
    limited.limit(Duration::from_secs(30))
}

/// The hostile program, compiled.
fn attacker(scene: &Scene, root: &Path) {
    fs::write(scene.path("attack.c"), include_str!("data/attack.c")).expect("write the source");
    let gcc = text(&needs::tool("gcc").expect("gcc is there"));
    scene.command(&gcc, ["-O2", "-static", "-o", &text(&root.join("bin/attack")), "attack.c"]).ok();
}

fn the_runtime_is_not_rewritten_through_its_own_link_in_proc(scene: &Scene) {
    crate::hostile::watcher(scene);
    let root = own_root(scene, "own");
    fs::remove_file(root.join("bin/sh")).expect("remove a link");
    fs::write(root.join("bin/sh"), "#!/proc/self/exe\n").expect("write a script");
    fs::set_permissions(root.join("bin/sh"), PermissionsExt::from_mode(0o755)).expect("set a mode");
    let digest = |path: &Path| Sha256::digest(fs::read(path).expect("read the program"));
    only_without(scene, "exe", |victim| {
        // Another file than the container's owner executes, as after an update of vial: nothing else keeps it from being written.
        let program = scene.path(if victim.is_whole() { "whole" } else { "weakened" });
        fs::copy(victim.program(), &program).expect("copy vial");
        let before = digest(&program);
        let shared = format!("{}:/shared", scene.directory().display());
        let words = ["run", "--rm", "-v", &shared, &text(scene.rootfs()), "/shared/watch"];
        let container = Container::watch(scene, scene.vial(words).start(), None);
        eventually("the watcher watches", || fs::remove_file(scene.path("ready")).ok());
        let inside = format!("container:{}", container.id);
        let name = text(&root);
        let prepare = "rm -f /bin/sh; printf '#!/proc/self/exe\\n' >/bin/sh; chmod +x /bin/sh";
        scene.vial(["exec", &container.id, "/bin/busybox", "sh", "-c", prepare]).ok();
        for round in 0..18 {
            let words: &[&str] = match round % 3 {
                0 => &["run", "--rm", "--pid", &inside, &name, "/bin/sh", "version"],
                1 => &["run", "--rm", "--pid", &inside, &name, "/proc/self/exe", "version"],
                _ => &["exec", &container.id, "/bin/sh", "-c", "true"],
            };
            // What has been rewritten just now is no program that a test can start; `env` says so and is one.
            drop(victim.command("env", [&[&*text(&program)], words].concat()).run());
            if digest(&program) != before {
                break;
            }
        }
        fs::write(scene.path("stop"), "").expect("write a file");
        let report = eventually("the watcher has told", || fs::read_to_string(scene.path("report")).ok());
        container.stop();
        for name in ["stop", "report"] {
            fs::remove_file(scene.path(name)).expect("remove a file");
        }
        let copied = report.lines().any(|line| line.starts_with("opened /memfd:vial"));
        assert!(!victim.is_whole() || copied, "it has got hold of nothing: {report}");
        digest(&program) != before
    });
}

fn what_is_on_its_way_into_a_container_is_closed_to_tracing(scene: &Scene) {
    crate::hostile::watcher(scene);
    only_without(scene, "dumpable", |victim| {
        let shared = format!("{}:/shared", scene.directory().display());
        let words = ["run", "--rm", "-v", &shared, &text(scene.rootfs()), "/shared/watch"];
        let container = Container::watch(scene, scene.vial(words).start(), None);
        eventually("the watcher watches", || fs::remove_file(scene.path("ready")).ok());
        let inside = format!("container:{}", container.id);
        for _ in 0..20 {
            drop(run(victim, &["--pid", &inside], scene.rootfs(), &["sleep", "0.002"]).run());
            drop(victim.vial(["exec", &container.id, "sleep", "0.002"]).run());
        }
        fs::write(scene.path("stop"), "").expect("write a file");
        let report = eventually("the watcher has told", || fs::read_to_string(scene.path("report")).ok());
        container.stop();
        for name in ["stop", "report"] {
            fs::remove_file(scene.path(name)).expect("remove a file");
        }
        assert!(report.lines().any(|line| line == "exe /bin/busybox"), "it has seen nothing: {report}");
        // Of vial's own processes it sees the program, the memory and the open files.
        report.lines().any(|line| line.starts_with("exe /memfd:vial") || line.starts_with("opened"))
    });
}

fn a_directory_that_was_left_open_leads_nowhere(scene: &Scene) {
    let outside = outside(scene);
    let start = format!("exec 7<{}; exec \"$0\" \"$@\"", outside.display());
    let container = Container::start(scene, &[], WAIT);
    let rootfs = text(scene.rootfs());
    let reads = |victim: Victim<'_>, words: &[&str]| {
        let program = text(victim.program());
        let words = [&["-c", &start, &program], words].concat();
        let output = victim.command("bash", words).run();
        assert!(!victim.is_whole() || output.code != 0, "{}", output.shown());
        output.stdout == "sings"
    };
    let by_the_directory =
        |victim: Victim<'_>| reads(victim, &["run", "--rm", "-w", "/proc/self/fd/7", &rootfs, "cat", "canary"]);
    only_without(scene, "fds,cwd", by_the_directory);
    // Each of the two defences is enough.
    assert!(!by_the_directory(Victim::without(scene, "fds")));
    assert!(!by_the_directory(Victim::without(scene, "cwd")));
    only_without(scene, "fds", |victim| reads(victim, &["run", "--rm", &rootfs, "cat", "/proc/self/fd/7/canary"]));
    // What enters a container is not in its `/proc` before it has no such file any more.
    only_without(scene, "fds,exe", |victim| reads(victim, &["exec", &container.id, "cat", "/proc/self/fd/7/canary"]));
    let by_exec = ["exec", "-w", "/proc/self/fd/7", &container.id, "cat", "canary"];
    for off in ["", "fds,exe", "fds,cwd,exe"] {
        assert!(!reads(Victim::without(scene, off), &by_exec), "{off}");
    }
    container.stop();
}

/// Swaps two names for one another, again and again, as long as something is done; how often.
fn swapping(one: &Path, other: &Path, act: impl FnOnce()) -> usize {
    let paths = [one, other].map(|path| CString::new(path.as_os_str().as_bytes()).expect("no zero byte"));
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let [one, other] = [&paths[0], &paths[1]].map(|path| path.as_ptr());
                // SAFETY: both are valid strings.
                unsafe { libc::renameat2(libc::AT_FDCWD, one, libc::AT_FDCWD, other, libc::RENAME_EXCHANGE) };
                count.fetch_add(1, Ordering::Relaxed);
                if count.load(Ordering::Relaxed) % 64 == 0 {
                    thread::sleep(Duration::from_micros(50));
                }
            }
        });
        let _over = Over(&over);
        act();
    });
    count.into_inner()
}

/// A volume with a directory `d` and a link `l` to a directory of the host's, which somebody swaps.
fn volume_with_a_link(scene: &Scene, target: &Path) -> PathBuf {
    let volume = scene.path("volume");
    if !volume.exists() {
        fs::create_dir_all(volume.join("d")).expect("make directories");
        symlink(target, volume.join("l")).expect("make a link");
    }
    volume
}

/// Repeats an attack while the names are swapped: until it succeeds or the time is up.
fn raced(volume: &Path, attack: impl Fn() -> bool) -> bool {
    let ends = Instant::now() + extent();
    let mut escaped = false;
    let swaps = swapping(&volume.join("d"), &volume.join("l"), || {
        while !escaped && Instant::now() < ends {
            escaped = attack();
        }
    });
    assert!(escaped || swaps > 1000, "it was swapped {swaps} times only");
    escaped
}

fn a_component_swapped_while_a_container_is_set_up_leads_nowhere(scene: &Scene) {
    let outside = outside(scene);
    let volume = volume_with_a_link(scene, &outside);
    fs::create_dir(scene.path("source")).expect("make a directory");
    let (volume_option, mount) =
        (format!("{}:/vol", volume.display()), format!("{}:/vol/d/made", scene.path("source").display()));
    let options = ["-v", &volume_option, "-v", &mount, "--tmpfs", "/vol/d/memory", "--device", "/dev/zero:/vol/d/node"];
    only_without(scene, "root", |victim| {
        raced(&volume, || {
            drop(run(victim, &options, scene.rootfs(), &["true"]).run());
            for name in ["made", "memory", "node"] {
                let _ = fs::remove_dir(volume.join("d").join(name));
                let _ = fs::remove_file(volume.join("d").join(name));
            }
            names(&outside) != ["canary"]
        })
    });
}

fn a_component_swapped_while_files_are_copied_leads_nowhere(scene: &Scene) {
    let outside = outside(scene);
    let volume = volume_with_a_link(scene, &outside);
    fs::write(scene.path("file"), "written").expect("write a file");
    fs::write(volume.join("d/canary"), "mine").expect("write a file");
    let option = format!("{}:/vol", volume.display());
    let command = crate::util::container::run(scene, &["-v", &option], WAIT);
    let container = Container::watch(scene, command.limit(extent() * 4 + Duration::from_mins(1)).start(), None);
    let into = format!("{}:/vol/d/new", container.id);
    let out = format!("{}:/vol/d/canary", container.id);
    only_without(scene, "resolve", |victim| {
        raced(&volume, || {
            drop(victim.vial(["cp", "file", &into]).run());
            names(&outside) != ["canary"]
        })
    });
    fs::remove_file(outside.join("new")).expect("remove what the attack made");
    only_without(scene, "resolve", |victim| {
        raced(&volume, || victim.vial(["cp", &out, "-"]).run().stdout.contains("sings"))
    });
    container.stop();
}

fn links_in_the_place_of_dev_make_no_node_on_the_host(scene: &Scene) {
    let outside = outside(scene);
    let is_node = |name: &str| fs::symlink_metadata(outside.join(name)).is_ok_and(|data| data.rdev() != 0);
    for name in ["dev", "proc", "sys"] {
        // The container gets a directory of the host's where the link leads.
        let root = own_root(scene, name);
        fs::remove_dir(root.join(name)).expect("remove a directory");
        symlink("/data", root.join(name)).expect("make a link");
        fs::create_dir(root.join("data")).expect("make a directory");
        let volume = format!("{}:/data", outside.display());
        let options = ["-v", &volume, "--device", "/dev/zero:/dev/made"];
        run(Victim::whole(scene), &options, &root, &["true"]).ends(125).says(&format!("/{name} is a link"));
        assert_eq!(names(&outside), ["canary"]);
        if name == "dev" {
            only_without(scene, "kernel-files", |victim| {
                drop(run(victim, &options, &root, &["true"]).run());
                is_node("made")
            });
            fs::remove_file(outside.join("made")).expect("remove what the attack made");
        }
    }
    let root = own_root(scene, "deep");
    symlink(&outside, root.join("deep")).expect("make a link");
    only_without(scene, "root", |victim| {
        drop(run(victim, &["--device", "/dev/zero:/deep/node"], &root, &["true"]).run());
        is_node("node")
    });
}

fn nothing_but_the_null_device_is_mounted_as_a_mask_and_no_path_as_the_console(scene: &Scene) {
    let devices = scene.path("devices");
    fs::create_dir(&devices).expect("make a directory");
    let masked =
        ["/proc/timer_list", "/proc/keys", "/proc/interrupts"].into_iter().find(|path| Path::new(path).exists());
    let masked = masked.expect("the kernel has a file that is masked");
    let volume = format!("{}:/dev", devices.display());
    let null = devices.join("null");
    fs::write(&null, "hostile").expect("write a file");
    only_without(scene, "null", |victim| {
        run(victim, &["-i", "-v", &volume], scene.rootfs(), &["cat", masked]).run().stdout == "hostile"
    });
    for trap in
        ["mkfifo $0", "ln -s /proc/sysrq-trigger $0", "mkdir $0", "mknod $0 c 1 5", "mknod $0 b 1 3", "ln -s zero $0"]
    {
        scene.command("sh", ["-ec", &format!("rm -rf $0; {trap}"), &text(&null)]).ok();
        let output = run(Victim::whole(scene), &["-i", "-v", &volume], scene.rootfs(), &["true"]).ends(125);
        output.prints("").says("/dev/null");
    }
    // The terminal's own end is mounted as the console, whatever has its name.
    let rootfs = text(scene.rootfs());
    let program = text(Victim::whole(scene).program());
    let words = [
        "-f",
        "-s",
        "64",
        "-o",
        "calls",
        "-e",
        "trace=mount,move_mount,open_tree",
        &program,
        "run",
        "--rm",
        "-t",
        &rootfs,
    ];
    scene.command("strace", words.iter().chain(&["sh", "-c", "test -c /dev/console && tty"])).ok().shows("/dev/pts/0");
    let calls = fs::read_to_string(scene.path("calls")).expect("read the trace");
    assert!(calls.contains("move_mount("), "{calls}");
    assert!(!calls.contains("mount(\"/dev"), "a device is mounted by its name:\n{calls}");
}

fn a_covered_proc_swallows_no_setting(scene: &Scene) {
    let root = own_root(scene, "own");
    symlink("/proc", root.join("data")).expect("make a link");
    let fake = scene.path("fake/sys/net/ipv4/ip_forward");
    let swallowed = || fs::read_to_string(&fake).expect("read the file") != "fake";
    let prepare = || {
        fs::create_dir_all(fake.parent().expect("it lies in a directory")).expect("make directories");
        fs::write(&fake, "fake").expect("write a file");
    };
    let setting = ["--sysctl", "net.ipv4.ip_forward=1", "-v"];
    let by_a_link = format!("{}:/data", scene.path("fake").display());
    let below = format!("{}:/proc/sys", scene.path("fake/sys").display());
    for (volume, says) in [(&by_a_link, "leads to /proc"), (&below, "ip_forward")] {
        prepare();
        only_without(scene, "proc", |victim| {
            let output = run(victim, &[&setting[..], &[volume]].concat(), &root, &["true"]).run();
            if victim.is_whole() {
                output.ends(125).says(says);
            }
            swallowed()
        });
    }
    // A link in what covers a part of it leads to no other parameter of the kernel's.
    let deep = format!("{}:/proc/sys/net", scene.path("net").display());
    fs::create_dir_all(scene.path("net/ipv4")).expect("make directories");
    symlink("/proc/sys/kernel/domainname", scene.path("net/ipv4/ip_forward")).expect("make a link");
    let said = |victim: Victim<'_>| {
        let words = ["cat", "/proc/sys/kernel/domainname"];
        run(victim, &[&setting[..], &[&deep]].concat(), &root, &words).run()
    };
    only_without(scene, "proc", |victim| said(victim).stdout == "1\n");
    said(Victim::whole(scene)).ends(125);
    // What is not covered is set.
    let words = ["cat", "/proc/sys/net/ipv4/ip_forward"];
    run(Victim::whole(scene), &setting[..2], &root, &words).ok().prints("1\n");
}

/// A line of `/proc/self/status`.
fn status(output: &Output, name: &str) -> String {
    let line = output.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name}: {}", output.shown())).trim().to_owned()
}

fn no_capability_is_inherited_by_a_program_that_would_take_it(scene: &Scene) {
    let root = own_root(scene, "own");
    fs::create_dir(root.join("gain")).expect("make a directory");
    fs::copy(root.join("bin/busybox"), root.join("gain/busybox")).expect("copy a program");
    // `struct vfs_cap_data` of version 2, linux/capability.h: in effect, nothing permitted, all but the last inheritable.
    let words = [0x0200_0001_u32, 0, u32::MAX, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    xattr::set(root.join("gain/busybox"), "security.capability", &value).expect("give the program capabilities");
    let words = ["/gain/busybox", "cat", "/proc/self/status"];
    only_without(scene, "inheritable", |victim| {
        let output = run(victim, &["-u", "1000:1000"], &root, &words).ok();
        status(&output, "CapEff") != "0000000000000000"
    });
    for options in [&[][..], &["-u", "1000"], &["--cap-add", "ALL"], &["--cap-drop", "ALL"], &["--privileged"]] {
        let output = run(Victim::whole(scene), options, &root, &["cat", "/proc/self/status"]).ok();
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(status(&output, set), "0000000000000000", "{options:?}");
        }
    }
    // Nor are those that the caller hands on.
    let program = text(Victim::whole(scene).program());
    let handed =
        ["--inh-caps", "+net_admin", "--ambient-caps", "+net_admin", &program, "run", "--rm", &text(&root), "cat"];
    let output = scene.command("setpriv", handed.iter().chain(&["/proc/self/status"])).ok();
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(status(&output, set), "0000000000000000");
    }
    let container = Container::start(scene, &[], WAIT);
    let words = ["exec", "-u", "1000", &container.id, "cat", "/proc/self/status"];
    let output = scene.vial(words).ok();
    for set in ["CapInh", "CapAmb", "CapEff", "CapPrm"] {
        assert_eq!(status(&output, set), "0000000000000000");
    }
    container.stop();
}

fn no_group_is_stale_and_none_can_be_dropped(scene: &Scene) {
    // Of the caller's groups none is left.
    only_without(scene, "groups,read-back", |victim| {
        let program = text(victim.program());
        let words = ["--groups", "4242", &program, "run", "--rm", &text(scene.rootfs()), "cat", "/proc/self/status"];
        let output = victim.command("setpriv", words).run();
        output.code == 0 && status(&output, "Groups").contains("4242")
    });
    // The own group is among them, so that a program with a set-group-ID bit does not take it away: a file can be closed to a
    // group, and whoever is in it is to stay in it.
    let groups = |options: &[&str]| {
        let output = run(Victim::whole(scene), options, scene.rootfs(), &["cat", "/proc/self/status"]).ok();
        status(&output, "Groups")
    };
    assert_eq!(groups(&["-u", "1000:1001"]), "1001");
    assert_eq!(groups(&["-u", "user"]), "29 1000");
    assert_eq!(groups(&["-u", "7:7", "--group-add", "29"]), "7 29");
    let root = own_root(scene, "own");
    fs::write(root.join("closed"), "").expect("write a file");
    std::os::unix::fs::chown(root.join("closed"), Some(0), Some(1000)).expect("give it to a group");
    fs::set_permissions(root.join("closed"), PermissionsExt::from_mode(0o704)).expect("close it to the group");
    attacker(scene, &root);
    std::os::unix::fs::chown(root.join("bin/attack"), Some(0), Some(29)).expect("give it to a group");
    fs::set_permissions(root.join("bin/attack"), PermissionsExt::from_mode(0o2755)).expect("set its set-group-ID bit");
    only_without(scene, "groups,read-back", |victim| {
        run(victim, &["-u", "1000:1000"], &root, &["attack", "read", "/closed"]).run().code == 0
    });
    // A user to whom nobody has given IDs can't leave a group by which others keep files from members.
    let user = User::alone(scene);
    let words = ["run", "--rm", &user.rootfs(), "cat", "/proc/self/setgroups"];
    user.vial(words).ok().prints("deny\n");
}

/// What is no ID, whoever reads it.
const NO_IDS: [&str; 11] =
    ["4294967295", "4294967296", "18446744073709551616", "-1", "+1", " 1", "1 ", "0x0", "1e3", "-0", "0,0"];

fn no_number_wraps_around_to_root(scene: &Scene) {
    let rootfs = text(scene.rootfs());
    for bad in NO_IDS {
        for options in [
            &["-u", bad][..],
            &["-u", &format!("1000:{bad}")],
            &["-u", "1000", "--group-add", bad],
            &["--tmpfs", &format!("/x:uid={bad}")],
            &["--tmpfs", &format!("/x:gid={bad}")],
        ] {
            run(Victim::whole(scene), options, scene.rootfs(), &["id", "-u"]).ends(125).prints("");
        }
        for line in [format!("evil:x:{bad}:1000::/:\n"), format!("evil:x:1000:{bad}::/:\n")] {
            let root = scene.path("own");
            if !root.exists() {
                own_root(scene, "own");
            }
            fs::write(root.join("etc/passwd"), line).expect("write a file");
            run(Victim::whole(scene), &["-u", "evil"], &root, &["id", "-u"]).ends(125).prints("");
        }
        // A line's ends are trimmed there, which changes no number.
        let line = format!("tester:{bad}:65536\ntester:100000:{bad}:\n");
        assert_eq!(vial::kernel::users::subordinate(&line, "tester", 1000), [], "{bad}");
    }
    for wraps in ["4294967296", "-1", "4294967295"] {
        only_without(scene, "ids,read-back", |victim| {
            run(victim, &["-u", wraps], scene.rootfs(), &["id", "-u"]).run().stdout == "0\n"
        });
    }
    // An image's configuration.
    scene.vial(["import", &rootfs, "base"]).ok();
    for bad in NO_IDS {
        for user in [bad.to_owned(), format!("1000:{bad}")] {
            image::configured(scene, "base", "it", &format!("{{\"User\": \"{user}\"}}"));
            scene.vial(["run", "--rm", "it", "id", "-u"]).ends(125).prints("");
        }
    }
    image::configured(scene, "base", "it", "{\"User\": \"4294967296\"}");
    only_without(scene, "ids,read-back", |victim| victim.vial(["run", "--rm", "it", "id", "-u"]).run().stdout == "0\n");
    // A container's specification.
    let made = Detached::create(scene, "made", &[], "id -u");
    let path = made.path().join("config.json");
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("read the specification")).expect("it is JSON");
    for (member, number, off) in [
        ("uid", 4_294_967_295_i64, "ids,read-back"),
        ("gid", 4_294_967_295, "ids,read-back"),
        ("uid", 4_294_967_296, ""),
        ("uid", -1, ""),
        ("additionalGids", 4_294_967_295, "ids,read-back"),
        ("additionalGids", -1, ""),
    ] {
        let mut changed = whole.clone();
        let value = serde_json::Value::from(number);
        if member != "uid" {
            // Root has a group by the image's list of users.
            changed["process"]["user"]["uid"] = 1234.into();
        }
        changed["process"]["user"][member] = if member == "additionalGids" { vec![value].into() } else { value };
        fs::write(&path, changed.to_string()).expect("write the specification");
        scene.vial(["start", "-a", "made"]).ends(125).prints("");
        if member == "uid" && !off.is_empty() {
            let output = Victim::without(scene, off).vial(["start", "-a", "made"]).run();
            assert!(output.stdout == "0\n", "{}", output.shown());
        }
    }
    fs::write(&path, whole.to_string()).expect("write the specification");
    made.remove();
}

fn nothing_is_typed_into_the_callers_terminal(scene: &Scene) {
    let root = own_root(scene, "own");
    attacker(scene, &root);
    fs::write(scene.path("script"), "$VIAL run --rm -i $ROOT attack type; $VIAL exec -i c attack type; echo the end")
        .expect("write a script");
    let words = ["run", "-d", "--name", "c", &text(&root), "sleep", "600"];
    scene.vial(words).ok();
    let permitted = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|text| text.trim() == "1");
    let typed = |victim: Victim<'_>| {
        let command = victim.command("script", ["-qec", "bash ./script", "/dev/null"]);
        let output = command.env("VIAL", victim.program()).env("ROOT", &root).run();
        assert!(output.stdout.contains("the end"), "{}", output.shown());
        // A kernel that keeps it for administrators says EIO to all others.
        assert!(!victim.is_whole() || output.stdout.matches("EPERM").count() == 2 || !permitted, "{}", output.shown());
        output.stdout.contains("done")
    };
    if permitted {
        only_without(scene, "session", typed);
    } else {
        assert!(!typed(Victim::whole(scene)));
    }
    scene.vial(["rm", "-f", "c"]).ok();
}

/// A hierarchy of control groups of the test's own, with no controller, by its name.
struct Hierarchy(String);

impl Drop for Hierarchy {
    fn drop(&mut self) {
        // It goes with its last mount, unless a group in it has yet to go.
        let script = "mount -t cgroup -o none,name=$0 none . && rmdir x; sleep 0.1; umount -l .";
        let is_there = || fs::read_to_string("/proc/self/cgroup").is_ok_and(|table| table.contains(&self.0));
        for _ in 0..20 {
            if !is_there() {
                break;
            }
            let place = work_directory().join(&self.0);
            let _ = fs::create_dir(&place);
            let mut command = std::process::Command::new("unshare");
            let command = command.args(["-m", "sh", "-c", &format!("cd {} && {script}", place.display()), &self.0]);
            let _ = command.stderr(std::process::Stdio::null()).status();
            let _ = fs::remove_dir(&place);
        }
    }
}

fn no_control_group_can_be_written_and_no_release_agent_set(scene: &Scene) {
    let agent = scene.path("agent");
    let canary = scene.path("escaped");
    fs::write(&agent, format!("#!/bin/sh\necho escaped >{}\n", canary.display())).expect("write a script");
    fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).expect("set a mode");
    let hierarchy = Hierarchy(format!("vial-cves-{}", std::process::id()));
    let script = format!(
        "mkdir /tmp/h && mount -t cgroup -o none,name={} none /tmp/h && mkdir /tmp/h/x && cd /tmp/h && \
         echo 1 >x/notify_on_release && echo {} >release_agent && sh -c 'echo $$ >x/cgroup.procs' && sleep 0.3; \
         cd /; rmdir /tmp/h/x; umount /tmp/h",
        hierarchy.0,
        agent.display()
    );
    let attack = |options: &[&str], script: &str| {
        run(Victim::whole(scene), options, scene.rootfs(), &["sh", "-c", script]).run()
    };
    let in_a_user_namespace = format!("unshare -Ur -m -C sh -c '{}'", script.replace('\'', "'\\''"));
    for options in [
        &[][..],
        &["--security-opt", "seccomp=unconfined"],
        &["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"],
        &["--cgroupns", "host"],
    ] {
        for script in [&script, &in_a_user_namespace] {
            drop(attack(options, script));
            assert!(!canary.exists(), "{options:?}: the host has executed what the container wanted");
        }
    }
    let output = attack(&["--privileged", "--cgroupns", "host"], &script);
    assert!(canary.exists(), "the attack comes to nothing even with all rights: it is none: {}", output.shown());
    // The control groups that it has are not to be written either: neither made nor changed.
    let script = "for file in $(find /sys/fs/cgroup -name cgroup.procs -o -name tasks -o -name release_agent); do \
                  (echo 0 >$file) 2>/dev/null && echo wrote $file; mkdir ${file%/*}/x 2>/dev/null && echo made ${file%/*}/x; \
                  done; ls /sys/fs/cgroup | head -n 1";
    for options in [&[][..], &["--cgroupns", "host"], &["--security-opt", "seccomp=unconfined"]] {
        let output = attack(options, script).ends(0);
        assert!(!output.stdout.contains("wrote") && !output.stdout.contains("made"), "{options:?}: {}", output.shown());
        assert!(!output.stdout.is_empty(), "there are none: {}", output.shown());
    }
    attack(&["--privileged"], script).ends(0).shows("made");
    let name = hierarchy.0.clone();
    drop(hierarchy);
    // The kernel takes its time, and more while others start containers.
    eventually("the hierarchy is gone", || {
        let table = fs::read_to_string("/proc/self/cgroup").expect("read the own groups");
        (!table.contains(&name)).then_some(())
    });
    let user = User::new(scene);
    let output = user.vial(["run", "--rm", &user.rootfs(), "sh", "-c", script]).ok();
    assert!(!output.stdout.contains("wrote") && !output.stdout.contains("made"), "{}", output.shown());
}

fn an_attribute_that_is_too_long_smuggles_no_other(_: &Scene) {
    use vial::kernel::netlink::{Datagram, Socket, next_attribute};
    // Its length is cut off to 16 bits, so that the kernel would see a short one, and an attribute that the attacker made up.
    let mut value = vec![0; 4];
    value.extend([8, 0, 77, 0, 1, 2, 3, 4]);
    value.resize(0x1_0004, 0);
    let mut datagram = Datagram::default();
    datagram.message(16, 0, &[]);
    datagram.attribute(3, &value);
    datagram.acknowledge();
    let bytes = datagram.finish().to_vec();
    let mut rest = &bytes[16..];
    let read: Vec<_> = std::iter::from_fn(|| next_attribute(&mut rest)).take(2).collect();
    assert_eq!(read[1], (77, &[1, 2, 3, 4][..]), "the attack is none");
    let refused = |datagram: &mut Datagram| {
        let error = Socket::route().and_then(|socket| socket.request(datagram, vial::base::phrase::Phrase::EMPTY));
        error.err().is_some_and(|error| error.is(vial::base::errno::Errno::EMSGSIZE))
    };
    assert!(refused(&mut datagram), "it would have been sent");
    // So is what holds too many.
    let mut datagram = Datagram::default();
    datagram.message(16, 0, &[]);
    let at = datagram.open(1);
    for _ in 0..3 {
        datagram.attribute(3, &vec![0; 30_000]);
    }
    datagram.close(at);
    datagram.acknowledge();
    assert!(refused(&mut datagram), "it would have been sent");
}

/// The abstract sockets of this network namespace.
fn abstract_sockets() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/unix").expect("read the list of sockets");
    table.lines().filter_map(|line| line.split_once(" @")).map(|(_, name)| name.to_owned()).collect()
}

fn no_abstract_socket_is_bound(scene: &Scene) {
    let root = own_root(scene, "own");
    attacker(scene, &root);
    let before = abstract_sockets();
    only_without(scene, "abstract", |victim| {
        let id = victim.vial(["run", "-d", "-i", &text(&root), "cat"]).ok().stdout;
        let new: Vec<_> = abstract_sockets().into_iter().filter(|name| !before.contains(name)).collect();
        // Whoever shares the host's network could talk to it.
        let reaches = |name: &String| {
            run(
                Victim::whole(scene),
                &["--network", "host"],
                &root,
                &["attack", "abstract", name.trim_end_matches('@')],
            )
            .run()
            .code
                == 0
        };
        let reached = new.iter().any(reaches);
        scene.vial(["rm", "-f", id.trim_end()]).ok();
        assert!(!victim.is_whole() || new.is_empty(), "{new:?}");
        reached
    });
    let program = text(Victim::whole(scene).program());
    let name = text(&root);
    scene.vial(["run", "-d", "--name", "c", &name, "sleep", "600"]).ok();
    for words in [
        &["run", "--rm", &name, "true"][..],
        &["exec", "c", "true"],
        &["cp", "c:/etc/passwd", "-"],
        &["logs", "c"],
        &["stats", "--no-stream", "c"],
        &["stop", "-t", "0", "c"],
        &["rm", "c"],
    ] {
        let strace = ["-f", "-o", "calls", "-e", "trace=bind,connect", &program];
        let command = scene.command("strace", strace.iter().chain(words));
        drop(command.run());
        let calls = fs::read_to_string(scene.path("calls")).expect("read the trace");
        assert!(!calls.contains("sun_path=@"), "{words:?}:\n{calls}");
    }
}

/// The programs that a trace's processes have executed, except for vial itself and its copy.
fn executed(trace: &Path, program: &str) -> Vec<String> {
    let calls = fs::read_to_string(trace).expect("read the trace");
    let calls = calls.lines().filter(|line| line.contains("execve") && line.ends_with("= 0"));
    let paths = calls.filter_map(|line| line.split('"').nth(1)).map(str::to_owned);
    paths.filter(|path| path != program && path != "/proc/self/exe" && !path.starts_with("/proc/self/fd/")).collect()
}

fn nothing_of_an_image_is_executed_outside_of_the_container(scene: &Scene) {
    let root = own_root(scene, "own");
    let canary = scene.path("escaped");
    // Whatever a tool might start, or a library load, tells where it ran.
    let trap =
        format!("#!/bin/busybox sh\necho \"$0\" >>{}\nexec /bin/busybox \"${{0##*/}}\" \"$@\"\n", canary.display());
    fs::create_dir_all(root.join("lib64")).expect("make a directory");
    for name in ["tar", "gzip", "xz", "zstd", "cp", "ldconfig", "nologin", "getent", "unpigz"] {
        let _ = fs::remove_file(root.join("bin").join(name));
        fs::write(root.join("bin").join(name), &trap).expect("write a script");
        fs::set_permissions(root.join("bin").join(name), PermissionsExt::from_mode(0o755)).expect("set a mode");
    }
    for name in ["lib64/ld-linux-x86-64.so.2", "lib64/libnss_files.so.2", "lib64/libc.so.6"] {
        fs::write(root.join(name), &trap).expect("write a file");
    }
    // It is a trap: who goes there and starts an archiver, as docker did, runs it.
    scene.command("chroot", [&text(&root), "/bin/tar", "--help"]).run();
    let in_root = root.join(canary.strip_prefix("/").expect("an absolute path"));
    assert!(!in_root.exists(), "the script has no directory to write to there");
    fs::create_dir_all(in_root.parent().expect("it lies in a directory")).expect("make directories");
    scene.command("chroot", [&text(&root), "/bin/tar", "--help"]).run();
    assert!(in_root.exists(), "the trap is none");
    fs::remove_file(&in_root).expect("remove a file");
    let program = text(Victim::whole(scene).program());
    let trace = scene.path("calls");
    let traced = |words: &[&str]| {
        let strace = ["-f", "-s", "200", "-o", "calls", "-e", "trace=execve,execveat", &program];
        let output = scene.command("strace", strace.iter().chain(words)).run();
        assert_eq!(output.code, 0, "{}", output.shown());
        executed(&trace, &program)
    };
    let name = text(&root);
    scene.command("tar", ["cf", "root.tar", "-C", &name, "."]).ok();
    scene.command("gzip", ["-k", "root.tar"]).ok();
    fs::write(scene.path("file"), "file").expect("write a file");
    assert_eq!(traced(&["import", "root.tar.gz", "it"]), [""; 0]);
    assert_eq!(traced(&["import", &name, "tree"]), [""; 0]);
    let container = Detached::run(scene, "c", &[], WAIT);
    scene.vial(["rm", "-f", "c"]).ok();
    drop(container);
    scene.vial(["run", "-d", "--name", "c", "it", "sleep", "600"]).ok();
    for words in [
        &["cp", "file", "c:/file"][..],
        &["cp", "c:/bin", "out"],
        &["export", "-o", "out.tar", "c"],
        &["diff", "c"],
        &["commit", "c", "more"],
        &["save", "-o", "saved.tar", "it"],
        &["load", "-i", "saved.tar"],
    ] {
        assert_eq!(traced(words), [""; 0], "{words:?}");
    }
    // What `exec` executes is what was asked for, and it is in the container.
    assert_eq!(traced(&["exec", "c", "/bin/readlink", "/proc/self/ns/mnt"]), ["/bin/readlink"]);
    let own = fs::read_link("/proc/self/ns/mnt").expect("read a link").display().to_string();
    let inside = scene.vial(["exec", "c", "/bin/readlink", "/proc/self/ns/mnt"]).ok().stdout;
    assert_ne!(inside.trim_end(), own);
    scene.vial(["rm", "-f", "c"]).ok();
    assert!(!canary.exists() && !in_root.exists(), "a trap was run");
}

fn an_images_volumes_and_labels_do_not_drive_the_host(scene: &Scene) {
    let outside = outside(scene);
    let root = own_root(scene, "own");
    symlink(&outside, root.join("vol")).expect("make a link");
    let up = format!("{}{}", "/..".repeat(12), outside.display());
    let name = text(&root);
    scene.vial(["import", &name, "base"]).ok();
    // A volume is filled with what the image has in its place, and not with what the host has.
    let number = AtomicUsize::new(0);
    only_without(scene, "root", |victim| {
        let volume = format!("v{}", number.fetch_add(1, Ordering::Relaxed));
        drop(victim.vial(["run", "--rm", "-v", &format!("{volume}:/vol"), "base", "true"]).run());
        let shown = scene.vial(["run", "--rm", "-v", &format!("{volume}:/x"), "base", "cat", "/x/canary"]).run();
        scene.vial(["volume", "rm", &volume]).ok();
        shown.stdout == "sings"
    });
    for path in [&up, "/vol", "/vol/../../vol", "/proc/../..//vol/."] {
        let config = format!("{{\"Volumes\": {{\"{path}\": {{}}}}}}");
        image::configured(scene, "base", "it", &config);
        let words = ["run", "--rm", "it", "sh", "-c", &format!("cat /vol/canary {up}/canary /canary; ls -d /bin")];
        let output = scene.vial(words).run();
        let ran = output.stdout.contains("/bin") || output.code == 125;
        assert!(!output.stdout.contains("sings") && ran, "{path}: {}", output.shown());
    }
    for path in ["/proc", "/proc/", "/proc/sys", "/x/../proc/self/"] {
        image::configured(scene, "base", "it", &format!("{{\"Volumes\": {{\"{path}\": {{}}}}}}"));
        scene.vial(["run", "--rm", "it", "true"]).ends(125).says("a volume on /proc");
    }
    assert_eq!(names(&outside), ["canary"]);
    // What stands in a container's specification beside what the runtime knows drives vial, and no label gets there.
    let notes: BTreeMap<&str, String> = [
        ("vial.directory", text(&outside)),
        ("vial.layers", String::new()),
        ("vial.user", "0".to_owned()),
        ("vial.seccomp", String::new()),
        ("vial.fills", "/vol".to_owned()),
        ("vial.restart", "always".to_owned()),
        ("vial.init", "true".to_owned()),
        ("io.kubernetes.cri.sandbox-id", "../../x".to_owned()),
        ("run.oci.hooks.stdout", text(&scene.path("hook"))),
    ]
    .into();
    let labels = serde_json::to_string(&notes).expect("it is JSON");
    image::configured(
        scene,
        "base",
        "it",
        &format!("{{\"Labels\": {labels}, \"Annotations\": {labels}, \"User\": \"1000\"}}"),
    );
    scene.vial(["create", "--name", "c", "it", "sh", "-c", "id -u; cat /canary"]).ok();
    let path = Detached::find(scene, "c").path().join("config.json");
    let mut whole: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("read the specification")).expect("it is JSON");
    for (name, value) in &notes {
        let noted = whole["annotations"][name].as_str().unwrap_or_default();
        assert!(noted != value || value.is_empty(), "{name} is the image's: {whole}");
    }
    let output = scene.vial(["start", "-a", "c"]).run();
    assert!(output.stdout == "1000\n", "{}", output.shown());
    // Whoever can write there has the host.
    whole["annotations"] = serde_json::json!({"vial.directory": text(&outside)});
    fs::write(&path, whole.to_string()).expect("write the specification");
    scene.vial(["start", "-a", "c"]).run();
    scene.vial(["cp", "c:/canary", "-"]).ok().shows("sings");
    scene.vial(["rm", "-f", "c"]).ok();
}

fn a_list_of_users_that_is_a_pipe_or_a_link_is_not_read(scene: &Scene) {
    let root = own_root(scene, "own");
    for trap in [
        "mkfifo passwd",
        "ln -s /proc/self/environ passwd",
        "ln -s /dev/zero passwd",
        "ln -s group passwd",
        "mkdir passwd",
        "mknod passwd c 1 5",
        "ln passwd2 passwd; rm passwd",
        "mkfifo group",
    ] {
        let script = format!("cd {}/etc; rm -rf passwd group; echo user:x:0: >passwd2; {trap}; true", root.display());
        scene.command("sh", ["-ec", &script]).ok();
        let output =
            run(Victim::whole(scene), &["-u", "user"], &root, &["id", "-u"]).limit(Duration::from_secs(20)).ends(125);
        output.prints("").says("no user user");
        // Busybox's `id` would wait for a pipe.
        let words = ["grep", "^Uid", "/proc/self/status"];
        run(Victim::whole(scene), &["-u", "7"], &root, &words).limit(Duration::from_secs(20)).ok().shows("\t7\t7");
    }
    fs::write(root.join("etc/passwd"), "").expect("write a file");
    fs::File::options()
        .write(true)
        .open(root.join("etc/passwd"))
        .and_then(|file| file.set_len(1 << 40))
        .expect("make it large");
    run(Victim::whole(scene), &["-u", "user"], &root, &["id", "-u"]).ends(125).says("/etc/passwd");
    fs::remove_file(root.join("etc/passwd")).expect("remove a file");
    scene.command("mkfifo", [root.join("etc/passwd")]).ok();
    // It would be waited for, for ever.
    only_without(scene, "passwd", |victim| {
        let words = ["-s", "KILL", "3", &text(victim.program()), "run", "--rm", "-u", "user", &text(&root), "true"];
        let hangs = victim.command("timeout", words).run().code == 137;
        if hangs {
            scene.vial(["gc"]).ok();
        }
        hangs
    });
    fs::remove_file(root.join("etc/passwd")).expect("remove a file");
    fs::remove_file(root.join("etc/group")).expect("remove a pipe");
    symlink("/etc/link", root.join("etc/passwd")).expect("make a link");
    fs::write(root.join("etc/link"), "user:x:0:0::/:\n").expect("write a file");
    only_without(scene, "passwd", |victim| run(victim, &["-u", "user"], &root, &["id", "-u"]).run().stdout == "0\n");
}

/// An archive as docker saves images: one of these layers.
fn docker_archive(layers: &[Vec<u8>]) -> Vec<u8> {
    let digests: Vec<_> = layers.iter().map(|layer| format!("sha256:{:x}", Sha256::digest(layer))).collect();
    let config = serde_json::json!({"os": "linux", "architecture": architecture(), "config": {"Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": digests}});
    let files: Vec<_> = (0..layers.len()).map(|number| format!("{number}.tar")).collect();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["it:latest"], "Layers": files}]);
    let mut bytes = Vec::new();
    for (name, content) in [("manifest.json", manifest.to_string()), ("config.json", config.to_string())] {
        archive::member(&mut bytes, name.as_bytes(), 'f', b"", content.as_bytes());
    }
    for (name, layer) in files.iter().zip(layers) {
        archive::member(&mut bytes, name.as_bytes(), 'f', b"", layer);
    }
    archive::end(&mut bytes);
    bytes
}

/// This machine's kind, as images call it.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// Further members that try to reach the directory `%/outside`, which whiteouts are for, too.
#[rustfmt::skip]
const LAYERS: &[(&str, &[Member])] = &[
    ("a whiteout through a link",         &[("l", 'l', "%/outside"), ("l/.wh.new", 'f', "")]),
    ("a whiteout through a link upwards", &[("l", 'l', "../../../../../outside"), ("l/.wh.new", 'f', "")]),
    ("an opaque directory through a link",&[("l", 'l', "%/outside"), ("l/.wh..wh..opq", 'f', "")]),
    ("a whiteout of the directory above", &[(".wh...", 'f', ""), (".wh..", 'f', ""), ("d/.wh...", 'f', "")]),
    ("a whiteout with a path",            &[("../.wh.outside", 'f', ""), ("x/../../.wh.outside", 'f', "")]),
    ("a mode through a link",             &[("l", 'l', "%/outside"), ("l", 'd', "")]),
    ("a mode through two links",          &[("a", 'l', "%"), ("b", 'l', "a/outside"), ("b", 'd', "")]),
    ("a hard link, and then its mode",    &[("l", 'l', "%/outside"), ("h", 'h', "l/canary"), ("h", 'f', "")]),
    ("a FIFO through a link",             &[("l", 'l', "%/outside"), ("l/pipe", 'p', "")]),
    ("a directory through a link",        &[("l", 'l', "%/outside"), ("l/d/e/f", 'd', "")]),
    ("a device upwards",                  &[("../../../../../outside/device", 'c', "")]),
    ("a link made of a directory",        &[("d/", 'd', ""), ("d", 'l', "%/outside"), ("d/x", 'f', "")]),
    ("a directory below a dangling link", &[("l", 'l', "%/outside/new"), ("l/x", 'f', "")]),
    ("a link in the place of a whiteout", &[(".wh.l", 'f', ""), ("l", 'l', "%/outside"), ("l/x", 'f', "")]),
];

fn evil_layers_change_nothing_outside(scene: &Scene) {
    let place = text(scene.directory());
    let outside = scene.path("outside");
    let fresh = || {
        let _ = fs::remove_dir_all(&outside);
        drop(self::outside(scene));
        fs::set_permissions(&outside, PermissionsExt::from_mode(0o755)).expect("set a mode");
        let mut look = tree::look(&outside);
        for node in look.values_mut() {
            node.modified = (0, 0);
        }
        look
    };
    let changed = |before: &tree::Tree| {
        let mut look = tree::look(&outside);
        for node in look.values_mut() {
            node.modified = (0, 0);
        }
        look != *before
    };
    let mut reached = Vec::new();
    for (what, members) in crate::import::HOSTILE.iter().chain(LAYERS) {
        let mut layer = Vec::new();
        for (name, kind, link) in *members {
            let (name, link) = (name.replace('%', &place), link.replace('%', &place));
            archive::member(&mut layer, name.as_bytes(), *kind, link.as_bytes(), b"hostile");
        }
        archive::end(&mut layer);
        // As a layer of an image, and as a root file system.
        fs::write(scene.path("layer.tar"), &layer).expect("write the archive");
        fs::write(scene.path("image.tar"), docker_archive(&[layer])).expect("write the archive");
        for words in [&["import", "layer.tar", "it"][..], &["load", "-i", "image.tar"]] {
            for victim in [Victim::whole(scene), Victim::without(scene, "resolve,nofollow")] {
                let before = fresh();
                let program = text(victim.program());
                let words = [&["20", &program], words].concat();
                let output = victim.command("timeout", words).run();
                assert!(!victim.is_whole() || [0, 125].contains(&output.code), "{what}: {}", output.shown());
                let changed = changed(&before);
                assert!(!victim.is_whole() || !changed, "{what}: {}", output.shown());
                if changed {
                    reached.push(*what);
                }
                drop(scene.vial(["rmi", "it"]).run());
            }
        }
    }
    fresh();
    reached.dedup();
    assert!(reached.len() >= 20, "these are no attacks, since little is changed by them: {reached:?}");
    for kind in ["a whiteout through a link", "a mode through a link", "a hard link through a link", "a device upwards"]
    {
        assert!(reached.contains(&kind), "{kind} is no attack: {reached:?}");
    }
    // A path as deep as there can be, and a list of users that is a pipe.
    let mut bytes = Vec::new();
    let deep = "d/".repeat(2000);
    archive::member(&mut bytes, format!("{deep}file").as_bytes(), 'f', b"", b"deep");
    archive::member(&mut bytes, b"etc/passwd", 'p', b"", b"");
    archive::member(&mut bytes, format!("{deep}{deep}file").as_bytes(), 'f', b"", b"too deep");
    archive::end(&mut bytes);
    let limit = Duration::from_secs(30);
    scene.vial(["import", "-", "it"]).input(bytes.clone()).limit(limit).ends(125).says("4095");
    bytes.clear();
    archive::member(&mut bytes, format!("{deep}file").as_bytes(), 'f', b"", b"deep");
    archive::member(&mut bytes, b"etc/passwd", 'p', b"", b"");
    archive::end(&mut bytes);
    scene.vial(["import", "-", "it"]).input(bytes).limit(limit).ok();
    scene.vial(["run", "--rm", "-u", "user", "it", "x"]).limit(limit).ends(125).says("no user user");
    scene.vial(["rmi", "it"]).limit(limit).ok();
    scene.vial(["gc"]).limit(limit).ok();
}

/// A pax header with these records, and a file `data` whose own header has another size; its data is itself a member.
fn two_sizes(records: &str, own: u64, smuggled: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = |name: &str, kind: tar::EntryType, size: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).expect("a short name");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    if !records.is_empty() {
        bytes.extend(header("pax", tar::EntryType::XHeader, records.len() as u64));
        bytes.extend(records.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend(header("data", tar::EntryType::Regular, own));
    bytes.extend(smuggled);
    bytes.extend(header("last", tar::EntryType::Regular, 0));
    archive::end(&mut bytes);
    bytes
}

fn record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let length = (1..99).find(|length: &usize| length.to_string().len() + body.len() == *length).expect("there is one");
    format!("{length}{body}")
}

fn no_member_is_smuggled_by_two_sizes(scene: &Scene) {
    let mut smuggled = Vec::new();
    archive::member(&mut smuggled, b"smuggled", 'f', b"", b"evil");
    let size = smuggled.len();
    let imported = |victim: Victim<'_>, bytes: &[u8]| {
        let output = victim.vial(["import", "-", "it"]).input(bytes).run();
        assert!(!victim.is_whole() || [0, 125].contains(&output.code), "{}", output.shown());
        if output.code != 0 {
            return None;
        }
        let found = names(&crate::import::layer(scene));
        scene.vial(["rmi", "it"]).ok();
        Some(found)
    };
    let reference = |bytes: &[u8]| {
        let mut archive = tar::Archive::new(bytes);
        let mut found = Vec::new();
        for entry in archive.entries().ok()? {
            found.push(entry.ok()?.path().ok()?.display().to_string());
        }
        found.sort();
        Some(found)
    };
    let plain = two_sizes(&record("size", &size.to_string()), 0, &smuggled);
    assert_eq!(reference(&plain).as_deref(), Some(&["data".to_owned(), "last".to_owned()][..]));
    only_without(scene, "pax", |victim| {
        imported(victim, &plain).is_some_and(|names| names.contains(&"smuggled".to_owned()))
    });
    let mut agreed = 0;
    for own in [0, 512, size as u64] {
        for value in
            ["0", "", "512", "1024", "+1024", " 1024", "1024 ", "01024", "1e3", "-0", "18446744073709551616", "0x400"]
        {
            for records in [
                record("size", value),
                record("size", value) + &record("uid", "0") + &record("mtime", "0"),
                record("GNU.sparse.realsize", "4") + &record("size", value),
                record("path", "data") + &record("size", value),
            ] {
                let bytes = two_sizes(&records, own, &smuggled);
                // Either both see the same, or vial sees that something is wrong.
                let Some(found) = imported(Victim::whole(scene), &bytes) else { continue };
                if let Some(expected) = reference(&bytes) {
                    assert_eq!(found, expected, "{records:?} and {own}");
                    agreed += 1;
                }
            }
        }
    }
    // The reference takes the first of two sizes, POSIX the last.
    for (records, expected) in [
        (record("size", "0") + &record("size", &size.to_string()), &["data", "last"][..]),
        (record("size", &size.to_string()) + &record("size", "0"), &["data", "last", "smuggled"]),
    ] {
        let found = imported(Victim::whole(scene), &two_sizes(&records, 512, &smuggled));
        assert_eq!(found.expect("they are lawful"), expected, "{records:?}");
    }
    assert!(agreed > 20, "they were compared {agreed} times only");
}

/// Gzip members, one after the other, that are this much of zeros, behind this.
fn gzipped(first: &[u8], mebibytes: usize) -> Vec<u8> {
    use std::io::Write;
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("compress")
    };
    [pack(first), pack(&vec![0; 1 << 20]).repeat(mebibytes)].concat()
}

fn bombs_are_refused_with_little_memory(scene: &Scene) {
    // The most memory that a command took, in MiB, and its exit code.
    let measured = |victim: Victim<'_>, words: &[&str]| {
        let script = "import resource, subprocess, sys\ncode = subprocess.call(sys.argv[1:])\n\
                      print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)";
        let program = text(victim.program());
        let words = [&["-c", script, &program], words].concat();
        let output = victim.command("python3", words).limit(Duration::from_secs(50)).ok();
        let mut numbers =
            output.stdout.lines().last().unwrap_or_default().split(' ').map(|word| word.parse::<i32>().unwrap_or(-1));
        (numbers.next().unwrap_or(-1), numbers.next().unwrap_or(-1))
    };
    let mut large = tar::Header::new_ustar();
    large.set_path("zeros").expect("a short name");
    large.set_mode(0o644);
    large.set_uid(0);
    large.set_gid(0);
    large.set_mtime(0);
    large.set_size(1 << 30);
    large.set_cksum();
    let bomb = gzipped(large.as_bytes(), 1024);
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    fs::write(scene.path("bomb.gz"), &bomb).expect("write a file");
    let frame = zstd::encode_all(&vec![0; 1 << 20][..], 19).expect("compress");
    let first = zstd::encode_all(&large.as_bytes()[..], 1).expect("compress");
    fs::write(scene.path("bomb.zst"), [first, frame.repeat(1024)].concat()).expect("write a file");
    // Members without number: empty files.
    let mut empty = Vec::new();
    for number in 0..2048 {
        archive::member(&mut empty, format!("f{}", number % 3).as_bytes(), 'f', b"", b"");
    }
    let frame = zstd::encode_all(&empty[..], 3).expect("compress");
    fs::write(scene.path("endless.zst"), frame.repeat(1024)).expect("write a file");
    for name in ["bomb.gz", "bomb.zst", "endless.zst"] {
        let (code, memory) = measured(Victim::whole(scene), &["import", name, "it", "--max-size", "4m"]);
        assert!(code == 125 && memory < 24, "{name}: exit code {code}, {memory} MiB");
        assert_eq!(names(&scene.root().join("layers")), [""; 0], "{name} has left something");
    }
    // It is one for whoever sets no limit.
    large.set_size(32 << 20);
    large.set_cksum();
    fs::write(scene.path("bomb.gz"), gzipped(large.as_bytes(), 32)).expect("write a file");
    let (code, memory) = measured(Victim::whole(scene), &["import", "bomb.gz", "it"]);
    assert!(code == 0 && memory < 24, "exit code {code}, {memory} MiB");
    let layer = crate::import::layer(scene);
    assert_eq!(fs::metadata(layer.join("zeros")).expect("it is there").len(), 32 << 20);
    scene.vial(["rmi", "it"]).ok();
    // An extended header that wants to be held in memory.
    for kind in [
        tar::EntryType::XHeader,
        tar::EntryType::XGlobalHeader,
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
    ] {
        large.set_entry_type(kind);
        large.set_size(1 << 30);
        large.set_cksum();
        fs::write(scene.path("header.gz"), gzipped(large.as_bytes(), 48)).expect("write a file");
        let (code, memory) = measured(Victim::whole(scene), &["import", "header.gz", "it"]);
        assert!(code == 125 && memory < 24, "{kind:?}: exit code {code}, {memory} MiB");
        if kind == tar::EntryType::XHeader {
            let (_, memory) = measured(Victim::without(scene, "bombs"), &["import", "header.gz", "it"]);
            assert!(memory > 40, "the attack is none: {memory} MiB");
        }
    }
}

fn the_store_is_closed_to_others_and_takes_no_attribute_of_overlayfs(scene: &Scene) {
    // What has a set-user-ID bit in an image, anybody on the host could execute.
    let root = own_root(scene, "own");
    attacker(scene, &root);
    fs::set_permissions(root.join("bin/attack"), PermissionsExt::from_mode(0o4755)).expect("set its set-user-ID bit");
    only_without(scene, "private-store", |victim| {
        let _ = fs::remove_dir_all(scene.root());
        victim.vial(["import", &text(&root), "it"]).ok();
        let program = text(&crate::import::layer(scene).join("bin/attack"));
        // setpriv(1) itself keeps capabilities until it executes something.
        let words =
            ["--reuid", "59999", "--regid", "59999", "--clear-groups", "sh", "-c", "exec \"$0\" root", &program];
        victim.command("setpriv", words).run().code == 0
    });
    let _ = fs::remove_dir_all(scene.root());
    Victim::whole(scene).vial(["import", &text(&root), "it"]).ok();
    let container = Detached::run(scene, "c", &["-v", "data:/data"], WAIT);
    for entry in fs::read_dir(scene.root()).expect("list the store").flatten() {
        let data = entry.metadata().expect("look at it");
        assert_eq!(data.mode() & 0o077, 0, "{} is open to others", entry.path().display());
    }
    container.remove();
    scene.vial(["volume", "rm", "data"]).ok();
    fs::remove_dir_all(scene.root()).expect("remove the store");
    scene.vial(["import", &text(&root), "it"]).ok();
    assert_eq!(fs::metadata(scene.root()).expect("look at it").mode() & 0o777, 0o700);
    scene.vial(["rmi", "it"]).ok();
    // An attribute of overlayfs would have a layer show what is not in it.
    let mut bytes = Vec::new();
    let mut builder = tar::Builder::new(&mut bytes);
    let attributes = [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "trusted.overlay.metacopy",
        "user.overlay.opaque",
        "user.overlay.redirect",
    ];
    let records = attributes.map(|name| (format!("SCHILY.xattr.{name}"), &b"y"[..]));
    builder.append_pax_extensions(records.iter().map(|(name, value)| (&**name, *value))).expect("add a header");
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    header.set_cksum();
    builder.append_data(&mut header, "d", &b""[..]).expect("add a member");
    header.set_entry_type(tar::EntryType::Regular);
    builder.append_data(&mut header, "f", &b""[..]).expect("add a member");
    builder.into_inner().expect("end the archive");
    only_without(scene, "overlay-attributes", |victim| {
        victim.vial(["import", "-", "it"]).input(bytes.clone()).ok();
        let directory = crate::import::layer(scene).join("d");
        let found =
            xattr::list(&directory).expect("list attributes").filter(|name| name.to_string_lossy().contains("overlay"));
        let found = found.count();
        scene.vial(["rmi", "it"]).ok();
        found >= 3
    });
}

fn a_copy_with_a_set_id_bit_refuses_to_run(scene: &Scene) {
    let outside = outside(scene);
    fs::set_permissions(&outside, PermissionsExt::from_mode(0o700)).expect("close a directory");
    let volume = format!("{}:/s", outside.display());
    let rootfs = text(scene.rootfs());
    let copy = scene.path("copy");
    for mode in [0o4755, 0o2755, 0o6755] {
        let attack = |victim: Victim<'_>| {
            fs::copy(victim.program(), &copy).expect("copy vial");
            fs::set_permissions(&copy, PermissionsExt::from_mode(mode)).expect("set its set-ID bits");
            let words = ["--reuid", "59999", "--regid", "59999", "--clear-groups", &text(&copy)];
            let run = ["run", "--rm", "-v", &volume, &rootfs, "cat", "/s/canary"];
            let output = victim.command("setpriv", words.iter().chain(&run)).run();
            if victim.is_whole() {
                let output = output.clone().ends(125).prints("").says("rights from its file");
                victim.command("setpriv", words.iter().chain(&["version"])).ends(125).prints("");
                assert!(output.stderr.contains("chmod"), "{}", output.shown());
            }
            output.stdout == "sings"
        };
        if mode & 0o4000 == 0 {
            assert!(!attack(Victim::whole(scene)));
        } else {
            only_without(scene, "secure", attack);
        }
    }
    // Root's own is as good as ever, with these bits or without.
    scene.command(&text(&copy), ["version"]).env("VIAL_WEAK", "").ok();
}

fn no_socket_reaches_the_kernels_ciphers_or_the_hypervisor(scene: &Scene) {
    let root = own_root(scene, "own");
    attacker(scene, &root);
    let container = Container::start(scene, &["-v", &format!("{}:/own", root.display())], WAIT);
    for family in ["alg", "vsock"] {
        let open = |options: &[&str]| run(Victim::whole(scene), options, &root, &["attack", family]).run().stdout;
        assert_eq!(open(&[]), "EPERM\n", "{family}");
        assert_eq!(open(&["--cap-add", "NET_ADMIN"]), "EPERM\n", "{family}");
        scene.vial(["exec", &container.id, "/own/bin/attack", family]).ends(1).prints("EPERM\n");
        // The kernel itself has nothing against it, if it can.
        for options in [&["--security-opt", "seccomp=unconfined"][..], &["--privileged"]] {
            let answer = open(options);
            assert!(["done\n", "EAFNOSUPPORT\n"].contains(&&*answer), "{family}: {answer}");
        }
    }
    container.stop();
}

fn a_number_given_out_again_is_not_signalled(scene: &Scene) {
    // In a PID namespace of its own, where root says which number comes next.
    let script = "\"$PROGRAM\" run -d --name c \"$ROOT\" sleep 600 >/dev/null || exit 9
        pid=$(\"$PROGRAM\" inspect --format '{{.State.Pid}}' c)
        for process in /proc/[0-9]*; do process=${process#/proc/}; [ $process = $$ ] || kill -KILL $process; done
        while [ -e /proc/$pid ]; do :; done
        for round in $(seq 50); do
            echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
            sleep 600 &
            [ $! = $pid ] && break
            kill -KILL $!
        done
        [ $! = $pid ] || exit 8
        for words in 'kill c' 'stop -t 0 c' 'kill -s TERM c' 'exec c true' 'restart -t 0 c' 'rm -f c' gc; do
            \"$PROGRAM\" $words >/dev/null 2>&1
            kill -0 $pid 2>/dev/null && [ \"$(tr '\\0' ' ' </proc/$pid/cmdline)\" = 'sleep 600 ' ] || { echo \"killed by $words\"; break; }
            [ \"$words\" = 'restart -t 0 c' ] && break
        done
        \"$PROGRAM\" rm -f c >/dev/null 2>&1";
    only_without(scene, "start-time", |victim| {
        let command = victim.command("unshare", ["-pf", "--mount-proc", "--kill-child", "bash", "-c", script]);
        let output =
            command.env("PROGRAM", victim.program()).env("ROOT", scene.rootfs()).limit(Duration::from_secs(50)).run();
        assert!(![8, 9].contains(&output.code), "{}", output.shown());
        scene.vial(["gc"]).run();
        output.stdout.contains("killed by")
    });
}

fn the_vial_under_test_cannot_be_weakened(_: &Scene) {
    let knows = |path: &Path| fs::read(path).expect("read it").windows(9).any(|bytes| bytes == b"VIAL_WEAK");
    assert!(knows(weakened()));
    assert!(!knows(Path::new(crate::util::command::VIAL)));
}
