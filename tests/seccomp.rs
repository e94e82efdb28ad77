//! Filters of system calls: the default profile, those of the user's own, and what they mean to the programs under them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vial::base::errno::Errno;
use vial::base::json;
use vial::kernel::security::filter::NATIVE;
use vial::kernel::security::seccomp::watch::Verdict;
use vial::kernel::security::{caps, seccomp};
use vial::sys::notify::Call;

use crate::util::command::{Cmd, VIAL};
use crate::util::container::{Container, eventually, inside, run};
use crate::util::detached::Detached;
use crate::util::needs::PYTHON;
use crate::util::{Scene, bpf};

trials! {
    every_process_of_a_container_is_filtered_and_has_the_capabilities_asked_for [Root, Busybox, Kernel("overlay")];
    a_container_that_is_started_again_is_filtered_again [Root, Busybox, Kernel("overlay")];
    the_default_profile_decides_about_calls_as_dockers [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_capability_brings_the_calls_that_are_of_use_with_it [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    programs_of_32_bits_and_of_x32_are_filtered_too [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    real_programs_run_under_the_default_profile [Root, Tool("python3"), Tool("redis-server"), Kernel("overlay")];
    a_profile_of_ones_own_is_read_and_applies_to_all_starts_and_to_exec [Root, Busybox, Kernel("overlay")];
    rules_that_ask_for_capabilities_kernels_and_architectures_are_for_those [Root, Busybox, Kernel("overlay")];
    each_action_does_what_its_name_says [Root, Busybox, Tool("gcc"), Kernel("overlay")];
    a_process_outside_decides_about_calls [Root, Busybox, Tool("gcc"), Tool("python3"), Kernel("overlay")];
    a_profile_that_is_none_is_refused_with_what_is_wrong [Root, Busybox, Kernel("overlay")];
    a_kernel_without_filters_is_an_error_that_names_its_option [Root, Busybox, Tool("strace"), Kernel("overlay")];
    filters_decide_as_libseccomps_and_search_less [Python("seccomp")];
    a_profile_is_shown_as_what_it_comes_to [];
    vial_runs_under_the_profile_of_its_own_calls [Root, Python("seccomp"), Kernel("overlay")];
    the_host_s_keys_stay_outside [Root, Busybox, Tool("gcc"), Kernel("overlay")];
}

const STATUS: &str =
    "grep -E '^(Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | cut -f 2 | tr '\\n' ' '";
/// What that prints for root with docker's 14 capabilities.
const ROOT: &str = "0000000000000000 00000000a80425fb 00000000a80425fb 00000000a80425fb 0000000000000000 0 2 ";

fn every_process_of_a_container_is_filtered_and_has_the_capabilities_asked_for(scene: &Scene) {
    let none = "0000000000000000";
    let user = format!("{none} {none} {none} 00000000a80425fb {none} 0 2 ");
    for (options, expected) in [
        (&[][..], ROOT),
        (&["--init"], ROOT),
        (&["-u", "user"], &user),
        (&["-u", "user", "--init"], &user),
        (&["-u", "user", "--init", "--cap-add", "SYS_ADMIN"], &user.replace("a80425fb", "a82425fb")),
        (&["--init", "--cap-add", "SYS_ADMIN"], &ROOT.replace("a80425fb", "a82425fb")),
        (&["--security-opt", "no-new-privileges"], &ROOT.replace("0 2 ", "1 2 ")),
        (&["--security-opt", "seccomp=unconfined"], &ROOT.replace("0 2 ", "0 0 ")),
        (&["--security-opt", "seccomp:default"], ROOT),
        (&["--cap-add", "SYS_ADMIN"], &ROOT.replace("a80425fb", "a82425fb")),
        (&["--cap-add", "SYS_PTRACE"], &ROOT.replace("a80425fb", "a80c25fb")),
        (&["--cap-drop", "ALL"], &ROOT.replace("00000000a80425fb", none)),
    ] {
        assert_eq!(inside(scene, options, STATUS), expected.trim_end(), "{options:?}");
        let container = Container::start(scene, options, "exec sleep 600");
        let joined = scene.vial(["exec", &container.id, "sh", "-c", STATUS]).ok();
        assert_eq!(joined.stdout.trim_end(), expected.trim_end(), "exec with {options:?}");
        // vial's init, which stays, is not less confined, and has no more rights.
        let first = format!("cat /proc/1/status | {}", STATUS.replace(" /proc/self/status", ""));
        let init = scene.vial(["exec", "-u", "root", &container.id, "sh", "-c", &first]).ok();
        let mode = |text: &str| text.trim_end().chars().last();
        assert_eq!(mode(&init.stdout), mode(expected), "{options:?}: {}", init.stdout);
        assert_eq!(init.stdout.get(..84), expected.get(..84), "{options:?}");
        container.stop();
    }
}

fn a_container_that_is_started_again_is_filtered_again(scene: &Scene) {
    let web = Detached::run(scene, "web", &[], &format!("{STATUS}; echo; exec sleep 600"));
    web.says(ROOT);
    web.vial(&["restart", "-t", "0"]).ok();
    eventually("it has started twice", || (web.output().matches(ROOT).count() == 2).then_some(()));
    web.vial(&["rm", "-f"]).ok();
}

/// Makes the program that makes calls.
fn probe(scene: &Scene) -> String {
    fs::write(scene.path("calls.c"), include_str!("data/calls.c")).expect("write the source");
    scene.command("gcc", ["-O1", "-static", "-o", "calls", "calls.c"]).ok();
    format!("{}:/calls:ro", scene.path("calls").display())
}

/// What the kernel says of calls in a container.
#[track_caller]
fn answers(scene: &Scene, volume: &str, options: &[&str], calls: &[&str]) -> Vec<i64> {
    let rootfs = scene.rootfs().display().to_string();
    let words = ["run", "--rm", "-v", volume].into_iter().chain(options.iter().copied());
    let output = scene.vial(words).args([&rootfs, "/calls"]).args(calls).ok();
    output.stdout.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

const EPERM: i64 = -libc::EPERM as i64;
const ENOSYS: i64 = -libc::ENOSYS as i64;
const EFAULT: i64 = -libc::EFAULT as i64;

fn number(call: syscalls::Sysno) -> i64 {
    call as i64
}

fn the_default_profile_decides_about_calls_as_dockers(scene: &Scene) {
    use syscalls::Sysno;
    let volume = probe(scene);
    let new_user = libc::CLONE_NEWUSER;
    let unfiltered = |value: i64| value != EPERM && value != ENOSYS;
    let cases: &[(String, &dyn Fn(i64) -> bool)] = &[
        (format!("n,{}", number(Sysno::getpid)), &|value| value == 1),
        ("n,5000".to_owned(), &|value| value == ENOSYS),
        (format!("n,{},0,-3,0", number(Sysno::keyctl)), &|value| value == EPERM),
        (format!("n,{}", number(Sysno::add_key)), &|value| value == EPERM),
        (format!("n,{}", number(Sysno::bpf)), &|value| value == EPERM),
        // Without the filter the arguments would be looked at first.
        (format!("n,{}", number(Sysno::mount)), &|value| value == EPERM),
        (format!("n,{},-1", number(Sysno::setns)), &|value| value == EPERM),
        (format!("n,{},{new_user}", number(Sysno::unshare)), &|value| value == EPERM),
        (format!("n,{},{}", number(Sysno::clone), new_user | libc::SIGCHLD), &|value| value == EPERM),
        (format!("n,{}", number(Sysno::clone3)), &|value| value == ENOSYS),
        (format!("n,{},-1", number(Sysno::open_by_handle_at)), &|value| value == EPERM),
        (format!("n,{}", number(Sysno::io_uring_setup)), &|value| value == EPERM),
        (format!("n,{}", number(Sysno::userfaultfd)), &|value| value == EPERM),
        (format!("n,{},0", number(Sysno::ptrace)), &|value| value == 0),
        (format!("n,{},1,1,0", number(Sysno::socket)), &|value| value >= 0),
        (format!("n,{},38,5,0", number(Sysno::socket)), &|value| value == EPERM),
        (format!("n,{},40,1,0", number(Sysno::socket)), &|value| value == EPERM),
        // The kernel takes an int: bits above are no way around.
        (format!("n,{},0x100000026,5,0", number(Sysno::socket)), &|value| value == EPERM),
        (format!("n,{},0x100000028,1,0", number(Sysno::socket)), &|value| value == EPERM),
        (format!("n,{},0xffffffff", number(Sysno::personality)), &|value| value == 0),
        (format!("n,{},0x40000", number(Sysno::personality)), &|value| value == EPERM),
        (format!("n,{},1", number(Sysno::chroot)), &|value| value == EFAULT),
        (format!("n,{},-1,0", number(Sysno::fchmod)), &unfiltered),
    ];
    let calls: Vec<&str> = cases.iter().map(|(call, _)| &**call).collect();
    let said = answers(scene, &volume, &[], &calls);
    for ((call, fits), value) in cases.iter().zip(&said) {
        assert!(fits(*value), "{call}: {value}");
    }
    // And none of that is so without a profile.
    let calls = [&*cases[2].0, &cases[5].0, &cases[6].0, &cases[9].0];
    let said = answers(scene, &volume, &["--security-opt", "seccomp=unconfined"], &calls);
    assert!(unfiltered(said[0]) && said[1] == EFAULT && said[2] == -i64::from(libc::EBADF), "{said:?}");
    assert_eq!(said[3], -i64::from(libc::EINVAL));
    assert_eq!(answers(scene, &volume, &["--privileged"], &calls[1..])[0], EFAULT);
}

fn a_capability_brings_the_calls_that_are_of_use_with_it(scene: &Scene) {
    use syscalls::Sysno;
    let volume = probe(scene);
    for (capability, call, arguments) in [
        ("SYS_ADMIN", Sysno::mount, ""),
        ("SYS_ADMIN", Sysno::unshare, ",0"),
        ("SYS_ADMIN", Sysno::setns, ",-1"),
        ("SYS_ADMIN", Sysno::clone3, ""),
        ("SYS_ADMIN", Sysno::fsopen, ""),
        ("DAC_READ_SEARCH", Sysno::open_by_handle_at, ",-1"),
        ("SYS_BOOT", Sysno::reboot, ""),
        ("SYS_MODULE", Sysno::delete_module, ""),
        ("SYS_MODULE", Sysno::finit_module, ",-1"),
        ("SYS_PACCT", Sysno::acct, ",1"),
        ("SYS_PTRACE", Sysno::pidfd_getfd, ",-1"),
        ("SYS_PTRACE", Sysno::process_madvise, ",-1"),
        #[cfg(target_arch = "x86_64")]
        ("SYS_RAWIO", Sysno::iopl, ",99"),
        ("SYS_TIME", Sysno::settimeofday, ",1"),
        ("SYS_TIME", Sysno::clock_settime, ",99"),
        ("SYS_NICE", Sysno::set_mempolicy, ",99"),
        ("SYSLOG", Sysno::syslog, ",99"),
        ("BPF", Sysno::bpf, ",99"),
        ("PERFMON", Sysno::perf_event_open, ""),
    ] {
        let call = format!("n,{}{arguments}", number(call));
        let without = answers(scene, &volume, &[], &[&call])[0];
        let with = answers(scene, &volume, &["--cap-add", capability], &[&call])[0];
        let refused = if capability == "SYS_ADMIN" && without == ENOSYS { ENOSYS } else { EPERM };
        assert_eq!(without, refused, "{capability} {call}");
        assert_ne!(with, refused, "{capability} {call}");
    }
    let chroot = format!("n,{},1", number(Sysno::chroot));
    assert_eq!(answers(scene, &volume, &["--cap-drop", "SYS_CHROOT"], &[&chroot]), [EPERM]);
}

fn programs_of_32_bits_and_of_x32_are_filtered_too(scene: &Scene) {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let volume = probe(scene);
    // getpid, keyctl, mount, socketcall of socket(2) and of another, no such call, socket(AF_ALG), clone3; then of x32 keyctl, no
    // such call, mount.
    let calls = [
        "c,20",
        "c,288",
        "c,21",
        "c,102,1",
        "c,102,5",
        "c,5000",
        "c,359,38,5",
        "c,359,1,1",
        "c,435",
        "x,250",
        "x,5000",
        "x,165",
    ];
    let said = answers(scene, &volume, &[], &calls);
    assert_eq!(said[..7], [1, EPERM, EPERM, ENOSYS, EFAULT, ENOSYS, EPERM], "{said:?}");
    assert!(said[7] >= 0, "{said:?}");
    assert_eq!(said[8..], [ENOSYS, EPERM, ENOSYS, EPERM], "{said:?}");
}

fn real_programs_run_under_the_default_profile(scene: &Scene) {
    let path = format!("PATH={}", std::env::var("PATH").expect("there is a PATH"));
    let host = |script: &str| {
        scene.vial(["run", "--rm", "--network", "none", "-e", &path, "host", "sh", "-c", script]).ok().stdout
    };
    let python = "import threading,socket,subprocess,multiprocessing as m,os,mmap,select\n\
                  a,b=socket.socketpair(); a.send(b'x'); t=threading.Thread(target=lambda: b.recv(1)); t.start(); t.join()\n\
                  select.epoll().close(); mmap.mmap(-1,4096)\n\
                  p=m.get_context('fork').Pool(2); print(sum(p.map(abs,range(100))), subprocess.check_output(['echo','x']))";
    assert_eq!(host(&format!("python3 -c \"{python}\"")), "4950 b'x\\n'\n");
    let redis = "redis-server --port 0 --unixsocket /tmp/s --save '' --daemonize yes >/dev/null\n\
                 until redis-cli -s /tmp/s set a b 2>/dev/null; do sleep 0.1; done; redis-cli -s /tmp/s get a";
    assert!(host(redis).ends_with("OK\nb\n"));
    assert_eq!(
        host("perl -e 'print 6*7'; echo x | gzip | gzip -d; seq 9 | sort -rn | head -n 1; ls / | wc -l >/dev/null"),
        "42x\n9\n"
    );
}

/// A profile in docker's form.
fn profile(scene: &Scene, name: &str, content: &Value) -> String {
    let path = scene.path(name);
    fs::write(&path, content.to_string()).expect("write a profile");
    format!("seccomp={}", path.display())
}

fn a_profile_is_shown_as_what_it_comes_to(scene: &Scene) {
    let shown = |words: &[&str]| -> BTreeMap<String, Vec<String>> {
        let output = scene.vial([&["seccomp", "--json"], words].concat()).ok().silent();
        let calls: Vec<Value> = serde_json::from_str(&output.stdout).expect("it is JSON");
        let texts = |list: &Value| {
            list.as_array().expect("verdicts").iter().map(|one| one.as_str().expect("text").to_owned()).collect()
        };
        calls.iter().map(|call| (call["Name"].as_str().expect("a name").to_owned(), texts(&call["Verdicts"]))).collect()
    };
    let default = shown(&["default"]);
    let program = seccomp::default_filter(caps::DEFAULT).program;
    let values =
        [0, 1, 2, 8, 16, 38, 40, 0x2_0000, 0x2_0008, 0xffff_ffff, 0x1000_0000, 0x2000_0000, 0x7e02_0000, u64::MAX];
    for (number, name) in seccomp::names::calls(0) {
        // What it says to some arguments is what is shown, and nothing else is.
        let mut said: Vec<u32> = Vec::new();
        for first in values {
            for second in values {
                let arguments = [first, second, second, second, 0, 0];
                let verdict = bpf::run(program, NATIVE, number, arguments).0;
                said.push(verdict);
                // So does who decides in the kernel's place.
                let call = Call { number, architecture: NATIVE, arguments, ..Call::default() };
                let expected = match verdict {
                    0x7fff_0000 => Verdict::Made,
                    0x0005_0000..=0x0005_ffff => Verdict::Fails(Errno((verdict & 0xffff) as i32)),
                    _ => Verdict::Kills,
                };
                assert_eq!(seccomp::watch::verdict(program, &call), expected, "{name}{arguments:x?}");
            }
        }
        said.sort_unstable();
        said.dedup();
        let words: Vec<&str> = said.iter().rev().map(|verdict| seccomp::outcomes::shown(*verdict)).collect();
        let expected = words.join(", or by its arguments ");
        // Another call of the same number may be the one that is listed.
        assert_eq!(default[name], [expected], "{name}");
    }
    assert_eq!(default["mount"], ["EPERM"]);
    assert_eq!(default["read"], ["allowed"]);
    let text = scene.vial(["seccomp", "default"]).ok().silent().shows("\nallowed (").shows(" read");
    assert!(text.stdout.starts_with(&format!("default: {} instructions\n", program.len())), "{}", text.shown());
    let listing = scene.vial(["seccomp", "--program", "default"]).ok().silent().stdout;
    assert_eq!(listing.lines().count(), program.len());
    // Two of them, and what is in only one.
    let own = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": [OWN],
                     "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["write"], "action": "SCMP_ACT_LOG"},
                                  {"names": ["close"], "action": "SCMP_ACT_KILL_PROCESS"}]});
    fs::write(scene.path("own.json"), own.to_string()).expect("write a profile");
    let both = shown(&["default", "own.json"]);
    assert_eq!(both["read"], ["allowed", "allowed"]);
    assert_eq!(both["write"], ["allowed", "allowed, and logged"]);
    assert_eq!(both["close"], ["allowed", "kills the process"]);
    assert_eq!(both["mount"], ["EPERM", "ENOSYS"]);
    let differences = scene.vial(["seccomp", "default", "own.json"]).ok().silent().stdout;
    assert!(
        differences.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == ["mount", "EPERM", "ENOSYS"]),
        "{differences}"
    );
    assert!(!differences.contains("\nread "), "{differences}");
    scene.vial(["seccomp", "nowhere.json"]).ends(125).says("nowhere.json");
    fs::write(scene.path("bad.json"), "{\"defaultAction\": \"SCMP_ACT_NONE\"}").expect("write a profile");
    scene.vial(["seccomp", "bad.json"]).ends(125).says("SCMP_ACT_NONE");
    scene.vial(["seccomp"]).ends(125).says("seccomp");
    scene.vial(["seccomp", "default", "default", "default"]).ends(125).says("seccomp");
}

/// Executes its further arguments under a profile, by libseccomp.
const UNDER: &str = "import json, os, sys, seccomp
allowed = seccomp.SyscallFilter(defaction=seccomp.ERRNO(1))
for rule in json.load(open(sys.argv[1]))['syscalls']:
    for name in rule['names']:
        allowed.add_rule(seccomp.ALLOW, name)
allowed.load()
os.execv(sys.argv[2], sys.argv[2:])";

fn vial_runs_under_the_profile_of_its_own_calls(scene: &Scene) {
    let whole: Value =
        serde_json::from_str(&scene.vial(["syscalls", "--seccomp"]).ok().silent().stdout).expect("it is JSON");
    let under = |profile: &Value, words: &[&str]| {
        fs::write(scene.path("vial.json"), profile.to_string()).expect("write the profile");
        scene.command(PYTHON, [&["-c", UNDER, "vial.json", VIAL], words].concat())
    };
    // The workload makes no other calls either: it is vial.
    fs::create_dir_all(scene.path("own/bin")).expect("make a directory");
    for name in ["own/tmp", "own/proc", "own/sys", "own/dev", "own/etc", "own/root"] {
        fs::create_dir_all(scene.path(name)).expect("make a directory");
    }
    fs::copy(VIAL, scene.path("own/bin/vial")).expect("copy vial");
    let mut attached = None;
    for line in [
        "import own image",
        "images",
        "tag image other",
        "history image",
        "run --rm image /bin/vial version",
        "run --rm --network none --read-only --tmpfs /tmp -m 64m --pids-limit 50 --init -u 5:5 image /bin/vial version",
        "run --rm --userns auto image /bin/vial version",
        "run -d -i --name web -v own:/own image /bin/vial import - x",
        "exec web /bin/vial version",
        "why -- run --rm --network none image /bin/vial version",
        "why -- exec web /bin/vial version",
        "why web",
        "ps -a",
        "top web",
        "stats --no-stream",
        "logs web",
        "inspect web",
        "port web",
        "pause web",
        "unpause web",
        "update -m 96m web",
        "cp web:/bin/vial copy",
        "diff web",
        "export -o root.tar web",
        "commit web third",
        "rename web site",
        "restart -t 0 site",
        "attach --no-stdin site",
        "kill site",
        "wait site",
        "start site",
        "stop -t 0 site",
        "rm -f site",
        "create --network bridge --name made image /bin/vial version",
        "save -o saved.tar image",
        "rmi third",
        "load -i saved.tar",
        "network create net",
        "network ls",
        "network inspect net",
        "network connect net made",
        "network disconnect net made",
        "network rm net",
        "network prune",
        "start -a made",
        "rm made",
        "pack packed /bin/true",
        "volume create kept",
        "volume ls",
        "volume inspect kept",
        "volume rm kept own",
        "audit --rm --network none image /bin/vial version",
        "seccomp default",
        "explain mount",
        "syscalls",
        "boot --containers",
        "oci features",
        "gc",
        "info",
        "version",
        "help run",
    ] {
        let command = under(&whole, &line.split(' ').collect::<Vec<_>>());
        if line.starts_with("attach ") {
            attached = Some(command.start());
            std::thread::sleep(Duration::from_millis(300));
        } else {
            command.ok();
        }
    }
    // It ends with what it was attached to.
    attached.expect("one is attached").wait().ends(137);
    under(&whole, &["pull", "127.0.0.1:1/x"]).ends(125).says("ECONNREFUSED");
    under(&whole, &["check"]).run().shows("yes  seccomp filters\n");
    for missing in ["openat", "clone", "mount", "pivot_root", "capset", "seccomp", "wait4", "sendmsg"] {
        let mut less = whole.clone();
        less["syscalls"][0]["names"].as_array_mut().expect("names").retain(|name| name != missing);
        assert_ne!(less, whole, "{missing}");
        let output = under(&less, &["run", "--rm", "--network", "none", "image", "/bin/vial", "version"]).run();
        assert_ne!(output.code, 0, "without {missing}: {}", output.shown());
    }
    // Behind those that could not clean up after themselves.
    scene.vial(["network", "prune"]).ok();
    scene.vial(["gc"]).ok();
}

/// This machine's architecture in a profile.
const OWN: &str = if cfg!(target_arch = "x86_64") {
    "SCMP_ARCH_X86_64"
} else if cfg!(target_arch = "aarch64") {
    "SCMP_ARCH_AARCH64"
} else {
    "SCMP_ARCH_ARM"
};

/// One that allows all but some calls.
fn but(action: &str, errno: i32, names: &[&str]) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": OWN, "subArchitectures": null}],
           "syscalls": [{"names": names, "action": action, "errnoRet": errno, "args": [], "comment": "", "includes": {}, "excludes": {}},
                        {"names": ["no_such_call"], "action": "SCMP_ACT_KILL"}]})
}

fn a_profile_of_ones_own_is_read_and_applies_to_all_starts_and_to_exec(scene: &Scene) {
    let option = profile(scene, "profile.json", &but("SCMP_ACT_ERRNO", libc::EXDEV, &["mkdir", "mkdirat"]));
    let script = "mkdir /tmp/x 2>&1; echo again";
    let said = "mkdir: can't create directory '/tmp/x': Invalid cross-device link\nagain\n";
    for options in [&[][..], &["--security-opt", "no-new-privileges"], &["-u", "user"], &["--init"]] {
        run(scene, &[&["--security-opt", &option], options].concat(), script).ok().prints(said);
    }
    let web = Detached::run(scene, "web", &["--security-opt", &option], &format!("{script}; exec sleep 600"));
    web.says(said);
    // What it is stands in its bundle; the file is not needed any more.
    fs::remove_file(scene.path("profile.json")).expect("remove the profile");
    let config: Value =
        serde_json::from_str(&fs::read_to_string(web.path().join("config.json")).expect("read the bundle"))
            .expect("it is JSON");
    assert_eq!(config["linux"]["seccomp"]["syscalls"][0]["names"], json!(["mkdir", "mkdirat"]));
    assert_eq!(config["linux"]["seccomp"]["architectures"], json!([OWN]));
    scene.vial(["exec", "web", "mkdir", "/tmp/y"]).ends(1).says("Invalid cross-device link");
    web.vial(&["restart", "-t", "0"]).ok();
    eventually("it has started twice", || (web.output().matches(said).count() == 2).then_some(()));
    web.vial(&["rm", "-f"]).ok();
    // Docker's own.
    let docker = concat!("seccomp=", env!("CARGO_MANIFEST_DIR"), "/src/kernel/security/seccomp/default.json");
    assert_eq!(inside(scene, &["--security-opt", docker], STATUS), ROOT.trim_end());
}

fn rules_that_ask_for_capabilities_kernels_and_architectures_are_for_those(scene: &Scene) {
    for (part, value, options, refused) in [
        ("includes", json!({"caps": ["CAP_SYS_TIME"]}), &[][..], false),
        ("includes", json!({"caps": ["CAP_SYS_TIME"]}), &["--cap-add", "SYS_TIME"], true),
        ("excludes", json!({"caps": ["CAP_SYS_TIME"]}), &[], true),
        ("excludes", json!({"caps": ["CAP_SYS_TIME"]}), &["--cap-add", "SYS_TIME"], false),
        ("includes", json!({"minKernel": "4.8"}), &[], true),
        ("includes", json!({"minKernel": "99.0"}), &[], false),
        ("includes", json!({"arches": ["amd64", "arm64", "arm"]}), &[], true),
        ("includes", json!({"arches": ["s390x"]}), &[], false),
        ("excludes", json!({"arches": ["amd64", "arm64", "arm"]}), &[], false),
    ] {
        let mut content = but("SCMP_ACT_ERRNO", libc::EXDEV, &["mkdir", "mkdirat"]);
        content["syscalls"][0][part] = value.clone();
        let option = profile(scene, "profile.json", &content);
        let options = [&["--security-opt", &option], options].concat();
        let output = run(scene, &options, "mkdir /tmp/x").run();
        assert_eq!(output.code == 1, refused, "{part} {value}: {}", output.shown());
    }
}

fn each_action_does_what_its_name_says(scene: &Scene) {
    let volume = probe(scene);
    let call = format!("n,{}", number(syscalls::Sysno::kcmp));
    for (action, errno, expected) in [
        ("SCMP_ACT_KILL", 0, 159),
        ("SCMP_ACT_KILL_THREAD", 0, 159),
        ("SCMP_ACT_KILL_PROCESS", 0, 159),
        ("SCMP_ACT_TRAP", 0, 159),
        ("SCMP_ACT_ERRNO", 71, -71),
        // Nobody traces.
        ("SCMP_ACT_TRACE", 1, -38),
        ("SCMP_ACT_LOG", 0, -1),
    ] {
        let option = profile(scene, "profile.json", &but(action, errno, &["kcmp"]));
        let rootfs = scene.rootfs().display().to_string();
        let words =
            ["run", "--rm", "--init", "-v", &volume, "--security-opt", &option, "--cap-add", "SYS_PTRACE", &rootfs];
        let output = scene.vial(words).args(["/calls", &call]).run();
        let said = output.stdout.trim_end().parse::<i64>();
        match expected {
            159 => assert_eq!(output.code, 159, "{action}: {}", output.shown()),
            -1 => assert!(said.is_ok_and(|value| value <= 0 && value != ENOSYS), "{action}: {}", output.shown()),
            _ => assert_eq!(said, Ok(expected), "{action}: {}", output.shown()),
        }
    }
}

fn a_process_outside_decides_about_calls(scene: &Scene) {
    let volume = probe(scene);
    let socket = scene.path("agent").display().to_string();
    let mut content = but("SCMP_ACT_NOTIFY", 0, &["kcmp"]);
    content["listenerPath"] = json!(socket);
    content["listenerMetadata"] = json!("about it");
    let option = profile(scene, "profile.json", &content);
    let call = format!("n,{}", number(syscalls::Sysno::kcmp));
    let rootfs = scene.rootfs().display().to_string();
    let words = ["run", "--rm", "-v", &volume, "--security-opt", &option];
    let start = || scene.vial(words).args([&rootfs, "/calls", &call]);
    // Nobody listens.
    start().ends(125).says("connect to the socket agent").says("listenerPath");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/decide.py");
    for options in [&[][..], &["--security-opt", "no-new-privileges"]] {
        let _ = fs::remove_file(scene.path("agent"));
        let agent = scene.command("python3", [script, &socket]).start();
        eventually("somebody listens", || Path::new(&socket).exists().then_some(()));
        std::thread::sleep(std::time::Duration::from_millis(200));
        scene.vial(words).args(options).args([&rootfs, "/calls", &call]).ok().prints("-76\n");
        let told = agent.wait().ends(0);
        assert!(
            told.stdout.contains("['seccompFd'] True about it ") && told.stdout.contains(" True\n"),
            "{}",
            told.shown()
        );
        assert!(told.stdout.ends_with(&format!("call {}\n", number(syscalls::Sysno::kcmp))), "{}", told.shown());
    }
    start().args(["x"]).run();
    for (name, change) in [("listenerPath", json!("agent")), ("defaultAction", json!("SCMP_ACT_NOTIFY"))] {
        let mut content = content.clone();
        content[name] = change;
        run(scene, &["--security-opt", &profile(scene, "profile.json", &content)], "true")
            .ends(125)
            .says("SCMP_ACT_NOTIFY");
    }
}

fn a_profile_that_is_none_is_refused_with_what_is_wrong(scene: &Scene) {
    run(scene, &["--security-opt", "seccomp=missing"], "true").ends(125).says("--security-opt").says("open missing");
    for (content, said) in [
        ("{", "malformed"),
        ("{}", "no defaultAction"),
        (r#"{"defaultAction":"SCMP_ACT_PARDON"}"#, "defaultAction: unknown value SCMP_ACT_PARDON"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"x"}]}"#,
            "action: unknown value x",
        ),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}"#, "syscalls[0].names"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
            "index: unknown value 6",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":0,"op":"=="}]}]}"#,
            "op: unknown value ==",
        ),
        (r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#, "flags: unknown value"),
    ] {
        fs::write(scene.path("profile.json"), content).expect("write a profile");
        run(scene, &["--security-opt", "seccomp=profile.json"], "true").ends(125).prints("").says(said);
    }
}

/// vial on a kernel whose answer to these calls is an error.
fn without<'a>(scene: &'a Scene, calls: &str, error: &str, words: &[&str]) -> Cmd<'a> {
    let trace = scene.path("trace").display().to_string();
    let rootfs = scene.rootfs().display().to_string();
    let inject = format!("inject={calls}:error={error}");
    let strace = ["-f", "-o", &trace, "-e", &format!("trace={calls}"), "-e", &inject, VIAL].map(str::to_owned);
    scene.command("strace", strace).args(words).args([&rootfs, "sh", "-c", STATUS])
}

fn a_kernel_without_filters_is_an_error_that_names_its_option(scene: &Scene) {
    for error in ["ENOSYS", "EINVAL"] {
        let words = ["run", "--rm"];
        without(scene, "seccomp", error, &words).ends(125).prints("").says(error).says("CONFIG_SECCOMP_FILTER");
        without(scene, "seccomp", error, &["run", "--rm", "--init"]).ends(125).prints("").says("CONFIG_SECCOMP_FILTER");
        let best = without(scene, "seccomp", error, &["--best-effort", "run", "--rm"]).ok();
        assert_eq!(best.stdout, ROOT.replace("0 2 ", "0 0 "), "{}", best.shown());
        assert!(
            best.stderr.starts_with("vial: warning: ") && best.stderr.contains("CONFIG_SECCOMP_FILTER"),
            "{}",
            best.shown()
        );
        let unconfined = ["run", "--rm", "--security-opt", "seccomp=unconfined"];
        without(scene, "seccomp", error, &unconfined).ok().silent();
    }
    // Whatever else goes wrong is no matter of best effort.
    without(scene, "seccomp", "EACCES", &["--best-effort", "run", "--rm"]).ends(125).prints("").says("EACCES");
    scene.vial(["gc"]).ok();
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.throw(of.len() as u64) as usize]
    }

    /// A value that is near others that were drawn.
    fn value(&mut self) -> u64 {
        let small = self.throw(4);
        *self.one(&[
            small,
            small + 0xffff_fffe,
            small << 31,
            small << 32,
            0xffff_ffff_0000_0000 | small,
            u64::MAX - small,
        ])
    }
}

/// Names and numbers of calls by a column of the list: 1 x86-64, 2 i386, 3 x32.
fn calls(column: usize) -> BTreeMap<u32, String> {
    let rows = include_str!("../src/kernel/security/seccomp/numbers.txt").lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|line| line.split(' ').collect::<Vec<_>>());
    rows.filter_map(|row| Some((row[column].parse().ok()?, row[0].to_owned()))).collect()
}

/// Calls of Linux 6.11 and later that have low numbers: `uretprobe` and `uprobe`.
const NEWER: [u32; 2] = [335, 336];

/// A profile that is made at random. All rules of a call have one action: what they mean together does not depend on their order.
fn random(dice: &mut Dice, names: &[String]) -> Value {
    const ACTIONS: [&str; 7] = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "TRAP", "TRACE", "LOG"];
    let mut rules = Vec::new();
    for _ in 0..=dice.throw(30) {
        let (name, action, errno) = (dice.one(names).clone(), *dice.one(&ACTIONS), dice.throw(200));
        if rules.iter().any(|rule: &Value| rule["names"][0] == name.as_str()) {
            continue;
        }
        for _ in 0..=dice.throw(3) {
            let mut args = Vec::new();
            for index in 0..6 {
                if dice.throw(5) == 0 {
                    let op = dice.one(&["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
                    let (one, two) = (dice.value(), dice.value());
                    let two = if *op == "MASKED_EQ" { one & two } else { 0 };
                    args.push(json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": one, "valueTwo": two}));
                }
            }
            rules.push(
                json!({"names": [name], "action": format!("SCMP_ACT_{action}"), "errnoRet": errno, "args": args}),
            );
        }
    }
    let default = *dice.one(&ACTIONS[..5]);
    let mut architectures = vec!["SCMP_ARCH_X86_64"];
    architectures.extend(["SCMP_ARCH_X86", "SCMP_ARCH_X32"].iter().filter(|_| dice.throw(2) == 0));
    json!({"defaultAction": format!("SCMP_ACT_{default}"), "defaultErrnoRet": dice.throw(100), "architectures": architectures,
           "syscalls": rules})
}

fn filters_decide_as_libseccomps_and_search_less(scene: &Scene) {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let numbers = [calls(1), calls(2), calls(3)];
    // Calls that are as old as the library, and on i386 none that it has pass through another one.
    let multiplexed = ["socketcall", "ipc"];
    let is_old = |name: &String| {
        numbers[0].iter().any(|(number, known)| known == name && *number < 440 && !NEWER.contains(number))
    };
    let apart = |name: &String| {
        !numbers[1]
            .iter()
            .any(|(number, known)| known == name && ((359..=373).contains(number) || (393..=402).contains(number)))
    };
    let names: Vec<String> = numbers[0].values().filter(|name| is_old(name) && apart(name)).cloned().collect();
    assert!(names.len() > 250, "{}", names.len());
    let dice = &mut Dice(7);
    let mut profiles: Vec<Value> = (0..120).map(|_| random(dice, &names)).collect();
    let docker = json::parse(include_bytes!("../src/kernel/security/seccomp/default.json")).expect("it is JSON");
    let docker = seccomp::resolve(&docker, caps::DEFAULT, "6.1.0").expect("it is a profile").to_compact();
    profiles.push(serde_json::from_str(&docker).expect("it is JSON"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/libseccomp.py");
    let input = Value::from(profiles.clone()).to_string();
    scene.command(PYTHON, [script, &scene.directory().display().to_string()]).input(input).ok();
    let mut compared = 0;
    let mut steps = (0, 0);
    for (place, profile) in profiles.iter().enumerate() {
        let theirs = program(&fs::read(scene.path(place.to_string())).expect("read libseccomp's program"));
        let parsed = json::parse(profile.to_string().as_bytes()).expect("it is JSON");
        let ours = seccomp::compile(&parsed).unwrap_or_else(|error| panic!("{profile}: {error}")).0.program;
        let is_docker = place + 1 == profiles.len();
        for _ in 0..if is_docker { 0 } else { 400 } {
            let (column, architecture, bit) = *dice.one(&[
                (0, 0xc000_003e, 0),
                (1, 0x4000_0003, 0),
                (2, 0xc000_003e, 0x4000_0000),
                (0, 0xc000_00b7, 0),
            ]);
            let ruled = dice.one(profile["syscalls"].as_array().expect("there are rules"))["names"][0].as_str();
            let known: Vec<u32> = numbers[column]
                .iter()
                .filter(|(_, name)| Some(name.as_str()) == ruled || dice.throw(60) == 0)
                .map(|(number, _)| *number)
                .collect();
            let Some(number) = known.get(dice.throw(known.len().max(1) as u64) as usize) else { continue };
            if multiplexed.contains(&numbers[column][number].as_str()) {
                continue;
            }
            let mut args = [0; 6];
            for arg in &mut args {
                // 32-bit programs have arguments of 32 bits.
                *arg = dice.value() & if column == 1 { 0xffff_ffff } else { u64::MAX };
            }
            let (mine, wanted) = (
                bpf::run(ours, architecture, number | bit, args).0,
                bpf::run(&theirs, architecture, number | bit, args).0,
            );
            assert_eq!(mine, wanted, "{architecture:#x} {:#x} {args:x?} of {profile}", number | bit);
            compared += 1;
        }
        if is_docker {
            for number in numbers[0].keys().filter(|number| **number < 440 && !NEWER.contains(number)) {
                let (mine, wanted) =
                    (bpf::run(ours, 0xc000_003e, *number, [0; 6]), bpf::run(&theirs, 0xc000_003e, *number, [0; 6]));
                assert_eq!(mine.0, wanted.0, "docker's profile on {}", numbers[0][number]);
                steps = (steps.0 + mine.1, steps.1 + wanted.1);
            }
            let mut told = String::new();
            let _ =
                write!(told, "{} and {} instructions, {} and {} executed", ours.len(), theirs.len(), steps.0, steps.1);
            assert!(steps.0 * 10 < steps.1, "{told}");
        }
    }
    assert!(compared > 10_000, "{compared}");
}

fn the_host_s_keys_stay_outside(scene: &Scene) {
    let volume = probe(scene);
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
    let call = format!("n,{},0,-3,0", number(syscalls::Sysno::keyctl));
    let outside = scene.command(&scene.path("calls").display().to_string(), [&call]).ok().stdout;
    let options = ["--security-opt", "seccomp=unconfined"];
    let first = answers(scene, &volume, &options, &[&call])[0];
    let second = answers(scene, &volume, &options, &[&call])[0];
    if first != ENOSYS {
        assert!(first > 0 && second > 0 && first != second, "{first} {second}");
        assert_ne!(outside.trim_end(), first.to_string());
    }
    // A kernel without keys has none to keep.
    without(scene, "keyctl", "ENOSYS", &["run", "--rm"]).ok().prints(ROOT);
}

/// The program in a file as `seccomp_export_bpf(3)` writes it.
fn program(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().map(|word: &[u8; 8]| u64::from_le_bytes(*word)).collect()
}
