//! What a monitor may still do once its container runs: watch it and clean up, and nothing else.

#![expect(unsafe_code, reason = "has a copy of this process make calls that a filter refuses")]

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use syscalls::Sysno;
use vial::container::monitor::confine::{CALLS, WITH};
use vial::kernel::security::filter;

use crate::util::Scene;
use crate::util::container::{eventually, groups, signal, states};

trials! {
    a_monitor_gives_up_what_watching_does_not_need [Root, Busybox, Kernel("overlay"), File("/proc/sys/kernel/seccomp"), Command("run")];
    a_confined_monitor_removes_all_there_is [Root, Busybox, Kernel("overlay"), Command("run")];
    what_is_given_up_fails_and_the_rest_works [Root, File("/proc/sys/kernel/seccomp")];
    nothing_that_makes_processes_mounts_or_rights_is_left [];
}

/// Calls that make processes, mounts, namespaces, rights or connections, or that change the machine.
const DANGEROUS: &[Sysno] = &[
    Sysno::execve,
    Sysno::execveat,
    Sysno::clone,
    Sysno::clone3,
    Sysno::ptrace,
    Sysno::process_vm_readv,
    Sysno::process_vm_writev,
    Sysno::pidfd_getfd,
    Sysno::mount,
    Sysno::umount2,
    Sysno::pivot_root,
    Sysno::chroot,
    Sysno::open_tree,
    Sysno::move_mount,
    Sysno::fsopen,
    Sysno::fsmount,
    Sysno::mount_setattr,
    Sysno::unshare,
    Sysno::setns,
    Sysno::bpf,
    Sysno::socket,
    Sysno::socketpair,
    Sysno::connect,
    Sysno::bind,
    Sysno::listen,
    Sysno::setresuid,
    Sysno::setresgid,
    Sysno::setgroups,
    Sysno::capset,
    Sysno::prctl,
    Sysno::seccomp,
    Sysno::mknodat,
    Sysno::fchmodat,
    Sysno::fchownat,
    Sysno::linkat,
    Sysno::symlinkat,
    Sysno::open_by_handle_at,
    Sysno::init_module,
    Sysno::finit_module,
    Sysno::kexec_load,
    Sysno::reboot,
    Sysno::swapon,
    Sysno::acct,
    Sysno::keyctl,
    Sysno::perf_event_open,
    Sysno::userfaultfd,
    Sysno::io_uring_setup,
    Sysno::memfd_create,
    Sysno::personality,
    Sysno::sethostname,
    Sysno::settimeofday,
];

/// The field of a container's state, from its file.
#[track_caller]
fn owner(scene: &Scene) -> u64 {
    let state = eventually("the container runs", || {
        states(scene).pop().map(|(_, state)| state).filter(|state| state["status"] == "running")
    });
    state["owner"].as_u64().expect("the state names the owner")
}

/// How many filters hold for a process: the mode, seccomp(2).
pub fn mode(pid: u64) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Seccomp:\t")).map(str::to_owned)
}

fn a_monitor_gives_up_what_watching_does_not_need(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    for options in [&[][..], &["-it"], &["--init", "--restart", "no"]] {
        let free = ["run", "-d", "--name", "stays", "--security-opt", "seccomp=unconfined"];
        scene.vial(free).args(options).args([&rootfs, "sleep", "600"]).ok();
        let pid = owner(scene);
        eventually("it is confined", || (mode(pid)? == "2").then_some(()));
        // That is not for the workload, nor for what joins it.
        scene.vial(["exec", "stays", "grep", "^Seccomp:", "/proc/1/status"]).ok().prints("Seccomp:\t0\n");
        scene.vial(["exec", "stays", "grep", "^Seccomp:", "/proc/self/status"]).ok().prints("Seccomp:\t0\n");
        // Nor is that of a monitor that was killed lost.
        signal(pid as u32, "KILL");
        eventually("it is gone", || mode(pid).is_none().then_some(()));
        scene.vial(["exec", "stays", "true"]).ok();
        let next = eventually("there is another monitor", || Some(owner(scene)).filter(|next| *next != pid));
        eventually("it is confined", || (mode(next)? == "2").then_some(()));
        scene.vial(["rm", "-f", "stays"]).ok();
    }
}

fn a_confined_monitor_removes_all_there_is(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let parent = format!("/vial-test-{}-confined/below", std::process::id());
    let script = "setsid sleep 600 & mkdir -p /tmp/a/b; echo words >/data/file; seq 1 3000; sleep 0.2; exit 3";
    let words = ["run", "-d", "--rm", "--pid", "host", "-v", "/data", "--cgroup-parent", &parent, "-m", "64m"];
    scene.vial(words).args(["--log-opt", "max-size=2k", &rootfs, "sh", "-c", script]).ok();
    eventually("the container is gone", || scene.vial(["ps", "-aq"]).ok().stdout.is_empty().then_some(()));
    let volumes = scene.root().join("volumes");
    eventually("its volume is gone", || {
        fs::read_dir(&volumes).is_ok_and(|mut left| left.next().is_none()).then_some(())
    });
    eventually("its groups are gone", || groups(parent.trim_end_matches("/below")).is_empty().then_some(()));
    scene.assert_nothing_left();
}

fn what_is_given_up_fails_and_the_rest_works(scene: &Scene) {
    let (file, other) = (scene.path("file"), scene.path("other"));
    fs::write(&file, "words").expect("write a file");
    let mut command = Command::new("true");
    let confined = move || {
        filter::allow_only(CALLS, WITH).map_err(|error| io::Error::other(error.to_string()))?;
        // What a monitor needs.
        if fs::read(&file)? != b"words" || fs::hard_link(&file, &other).is_ok() {
            return Err(io::Error::from_raw_os_error(libc::EBADMSG));
        }
        for (place, call) in DANGEROUS.iter().enumerate() {
            // SAFETY: null pointers and zeros; whatever a call does with these harms nobody but the process, which is about to end.
            let result = unsafe { libc::syscall(*call as libc::c_long, 0, 0, 0, 0, 0, 0) };
            if result != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::EPERM) {
                return Err(io::Error::from_raw_os_error(1000 + place as i32));
            }
        }
        Ok(())
    };
    // SAFETY: the process is this one's copy, and is used for nothing else.
    let error = unsafe { command.pre_exec(confined) }.spawn().expect_err("the program can't be executed");
    let code = error.raw_os_error().unwrap_or(0);
    // What failed in the end is the execve.
    let place = usize::try_from(code - 1000).ok().and_then(|place| DANGEROUS.get(place));
    assert_eq!(code, libc::EPERM, "{place:?} was made: {error}");
}

fn nothing_that_makes_processes_mounts_or_rights_is_left(_: &Scene) {
    let left: Vec<&Sysno> = DANGEROUS.iter().filter(|call| CALLS.contains(call)).collect();
    assert!(left.is_empty(), "{left:?}");
    // Every call there is one that vial can make at all, or that the kernel makes of another.
    let known: Vec<&str> = vial::sys::calls().map(|call| call.name).collect();
    let foreign: Vec<&Sysno> =
        CALLS.iter().filter(|call| !known.contains(&call.name()) && **call != Sysno::restart_syscall).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
