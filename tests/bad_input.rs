//! What is wrong on the command line is said in one line that names the option and the value, with what is accepted; the exit
//! code is 125, and nothing is left.
//!
//! The cases go through the real binary. Those for options come from the table of commands: an option without a case fails.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use vial::cli::flags::table::{GLOBAL, TOP};
use vial::cli::flags::{ANY, COMMANDS, Command as Row, Flag, Takes, names};

use crate::util::Scene;
use crate::util::command::Output;

trials! {
    every_option_of_every_command_refuses_a_bad_value [];
    every_switch_refuses_a_value_that_is_not_yes_or_no [];
    every_option_that_takes_a_value_misses_it [];
    every_option_is_refused_empty_unless_that_means_something [];
    every_option_is_refused_if_it_is_not_utf8_unless_it_takes_bytes [];
    a_misspelt_option_of_every_command_is_answered_with_the_one_that_was_meant [];
    a_misspelt_command_is_answered_with_the_one_that_was_meant [];
    an_option_of_another_command_is_unknown [];
    too_few_and_too_many_words_are_refused_with_the_usage [];
    options_that_contradict_each_other_are_refused_by_both_names [];
    limits_below_the_kernels_minimum_are_refused_with_it [];
    user_numbers_that_the_kernel_cannot_have_are_refused [];
    malformed_names_of_images_are_refused_with_what_is_accepted [];
    words_that_are_not_utf8_are_refused_and_do_not_break_the_message [];
    values_that_only_the_machine_can_judge_are_refused_by_the_options_name [Root, Kernel("overlay"), Command("run")];
    values_that_only_the_image_can_judge_are_refused_by_the_options_name [Root, Busybox, Kernel("overlay"), Command("run")];
    a_terminal_that_is_not_there_is_missed [Command("run")];
    a_name_that_is_taken_is_refused [Root, Busybox, Kernel("overlay"), Command("run")];
}

/// For each option at least one value that it must refuse, whatever the machine. The first column is a command, or `*` for all
/// that have the option.
#[rustfmt::skip]
const BAD: &[(&str, &str, &[&str])] = &[
    ("*", "log", &["/nonexistent/directory/log", "/"]),
    ("*", "log-format", &["", "xml", "JSON"]),
    ("*", "cgroup-manager", &["", "nobody", "Systemd"]),
    ("*", "rootless", &["", "perhaps", "2"]),
    ("*", "bundle", &["", "/nonexistent/bundle", "/dev/null"]),
    ("*", "console-socket", &[""]),
    ("*", "pid-file", &[""]),
    ("*", "preserve-fds", &["", "x", "-1", "1.5", "1000", "99999999999"]),
    ("oci exec", "process", &["", "/nonexistent/process"]),
    ("oci exec", "cwd", &["", "relative"]),
    ("oci exec", "env", &["", "=x", "A"]),
    ("oci exec", "user", &["", "x", "-1", "0:x", "4294967295", "0:4294967295", "99999999999999999999"]),
    ("oci exec", "additional-gids", &["", "x", "-1", "4294967295"]),
    ("oci exec", "cap", &["", "NOSUCH", "CAP_"]),
    ("oci update", "resources", &["", "/nonexistent/limits"]),
    ("oci update", "blkio-weight", &["", "x", "0", "9", "1001"]),
    ("oci update", "cpu-period", &["", "x", "0", "-1"]),
    ("oci update", "cpu-quota", &["", "x", "0", "-2"]),
    ("oci update", "cpu-burst", &["", "x", "-1"]),
    ("oci update", "cpu-share", &["", "x", "0", "-1"]),
    ("oci update", "cpu-idle", &["", "x", "2", "-1"]),
    ("oci update", "cpu-rt-period", &["", "x", "0", "-1"]),
    ("oci update", "cpu-rt-runtime", &["", "x", "0", "-2"]),
    ("oci update", "cpuset-cpus", &["", "x", "1-0"]),
    ("oci update", "cpuset-mems", &["", "x", "1-0"]),
    ("oci update", "memory", &["", "x", "0", "-2", "1z", "99999999999999999999"]),
    ("oci update", "memory-reservation", &["", "x", "0", "-2"]),
    ("oci update", "memory-swap", &["", "x", "0", "-2"]),
    ("oci update", "pids-limit", &["", "x", "0", "-2", "1.5"]),
    ("oci update", "l3-cache-schema", &["", "L3:0=f"]),
    ("oci update", "mem-bw-schema", &["", "MB:0=50"]),
    ("oci events", "interval", &["", "x", "0", "-1s", "1 s"]),
    ("*", "explain", &["xml", "TEXT", "json,text", "1"]),
    ("*", "explain-to", &["", "/nonexistent/directory/ledger", "/"]),
    ("*", "root", &[""]),
    ("*", "storage", &["", "zfs", "Overlay", "overlay,copy"]),
    ("*", "format", &["{{", "{{.ID", "{{}}", "{{range .}}", "{{.Nope..}}"]),
    ("run", "name", &["a b", "-x", ".x", "a/b", "a:b", "ä", "../x", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]),
    ("run", "env", &["=x", "="]),
    ("run", "volume", &["a/b", "/a:b", "/a:/b:c:d", "/a:/b:rx", "/a:/", "nosuch:/b:ro,rw", "a b:/c", "/a:/b:"]),
    ("run", "workdir", &["a", "./a", "~"]),
    ("run", "user", &["-1", "4294967295", "4294967296", "99999999999999999999", "+1", "a b", "0:-1", "0:4294967295", ":", ":0", "0:", "a:b:c", "root/x"]),
    ("run", "network", &["a/b", "host:", "name=", "name=a,x=1", "name=a,ip=x", "container:", "ns:", "ns:relative", "none:x", "container:../x"]),
    ("*", "memory", &["x", "-1", "12x", "1.5.5m", "0", "1k", "5m", "99999999999999999999", "64 m", "0x10"]),
    ("*", "cpus", &["x", "-1", "0", "0.001", "1e3", "1.0000000001", "99999999999999999999", "1,5"]),
    ("run", "env-file", &["/nonexistent/file"]),
    ("run", "label-file", &["/nonexistent/file"]),
    ("run", "group-add", &["-1", "4294967295", "a:b", "a b"]),
    ("run", "stop-signal", &["0", "65", "-9", "NOSIG", "SIG", "RTMAX+1"]),
    ("run", "ulimit", &["nofile", "nofiles=1", "nofile=", "nofile=x", "nofile=2:1", "nofile=-2", "as=1", "=1", "nofile=1:2:3"]),
    ("run", "oom-score-adj", &["1001", "-1001", "x", "1.5", "99999999999999999999"]),
    ("run", "label", &["=x"]),
    ("run", "log-driver", &["syslog", "NONE", "json-file,local"]),
    ("run", "log-opt", &["max-size", "max-size=x", "max-size=1023", "max-size=-1", "max-file=0", "max-file=101", "mode=non-blocking"]),
    ("run", "cidfile", &["/nonexistent/directory/id", "/"]),
    ("run", "mount", &["x", "type=nfs,dst=/b", "type=bind,dst=/b", "type=bind,src=/a", "type=tmpfs,dst=b", "type=tmpfs,dst=/b,tmpfs-size=x", "dst=/b,frob=1"]),
    ("run", "tmpfs", &["x", "/", "/b:size=x", "/b:mode=9", "/b:frob"]),
    ("run", "shm-size", &["x", "0", "-1", "1z"]),
    ("run", "device", &["null", "/dev/null:x", "/dev/null:/n:x", "/dev/null:/n:r:w"]),
    ("run", "hostname", &["a b", "-a", "a-", "a..b", "a_/b", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]),
    ("run", "domainname", &["a b", "-a", "a/b"]),
    ("run", "add-host", &["a", "a:", ":1.2.3.4", "a:1.2.3", "a:1.2.3.256", "a b:1.2.3.4", "a:[::1"]),
    ("run", "publish", &["x", "0", "65536:80", "80:80:80", "8000-8010:80", "80/sctp", "[::1:80:80"]),
    ("run", "expose", &["x", "0", "1:2", "80/x"]),
    ("run", "network-alias", &["a b", "-a", "a/b"]),
    ("run", "ip", &["x", "fd00::1", "1.2.3", "1.2.3.4/24"]),
    ("run", "ip6", &["x", "1.2.3.4", "fd00::1/64"]),
    ("run", "mac-address", &["x", "03:00:00:00:00:01", "02:00:00:00:00"]),
    ("network connect", "network-alias", &["", "a b", "-a"]),
    ("network connect", "ip", &["", "x", "fd00::1", "1.2.3"]),
    ("network connect", "ip6", &["", "x", "10.0.0.1"]),
    ("network connect", "mac-address", &["", "x", "02:42:0a:00:00", "01:42:0a:00:00:05"]),
    ("network create", "subnet", &["x", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/31", "10.0.0.0/33", "fd00::/127"]),
    ("network create", "gateway", &["x", "1.2.3.4", "10.118.0.0/16"]),
    ("network create", "opt", &["x", "mtu=1", "mtu=x", "name=", "name=a/b", "frob=1"]),
    ("network create", "driver", &["x", "host", "Bridge"]),
    ("network create", "label", &["=x"]),
    ("run", "dns", &["localhost", "1.2.3", "1.2.3.4:53", "1.2.3.400"]),
    ("run", "dns-search", &["a b", "-a", "a..b"]),
    ("run", "dns-option", &["a b", "a\tb"]),
    ("run", "pid", &["none", "Host", "container:", "container:a b"]),
    ("run", "ipc", &["other", "container:", "ns:/x"]),
    ("run", "uts", &["none", "container:"]),
    ("run", "cgroupns", &["none", "container:a"]),
    ("run", "userns", &["private", "container:a"]),
    ("run", "uidmap", &["0:1", "0:1:0", "a:1:1", "0:4294967295:1"]),
    ("run", "gidmap", &["0:1", "0:1:0", "-1:1:1"]),
    ("run", "sysctl", &["net.ipv4.ip_forward", "kernel.panic=1", "vm.swappiness=1", "net.a/../../kernel/panic=1", "=1"]),
    ("*", "memory-reservation", &["x", "1k", "-1"]),
    ("*", "memory-high", &["x", "1k", "-1"]),
    ("run", "memory-swap", &["x", "64m", "-2", "-1"]),
    ("update", "memory-swap", &["x", "1m", "-2"]),
    ("*", "memory-swappiness", &["x", "-1", "101"]),
    ("*", "cpu-quota", &["x", "0", "999", "-2"]),
    ("*", "cpu-period", &["x", "0", "999", "1000001"]),
    ("*", "cpu-shares", &["x", "0", "1", "262145", "-5"]),
    ("*", "cpuset-cpus", &["x", "1-0", "0,", ",0", "0-", "0--1", "0 1"]),
    ("*", "cpuset-mems", &["x", "1-0", "0,"]),
    ("*", "pids-limit", &["x", "-2", "1.5"]),
    ("*", "blkio-weight", &["x", "0", "9", "1001"]),
    ("*", "device-read-bps", &["x", "/dev/sda", "/dev/sda:0", "/dev/sda:x", "sda:1m"]),
    ("*", "device-write-bps", &["x", "/dev/sda", "/dev/sda:0", "/dev/sda:x", "sda:1m"]),
    ("*", "device-read-iops", &["x", "/dev/sda", "/dev/sda:0", "/dev/sda:1m", "sda:1"]),
    ("*", "device-write-iops", &["x", "/dev/sda", "/dev/sda:0", "/dev/sda:1m", "sda:1"]),
    ("run", "device-cgroup-rule", &["x", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 x", "c -1:3 r"]),
    ("run", "cgroup-parent", &["/", "..", "/a/../b", "/a/.."]),
    ("run", "cap-add", &["NET", "CAP_", "0", "NET_ADMIN,SYS_ADMIN"]),
    ("run", "cap-drop", &["NET", "CAP_", "0"]),
    ("run", "security-opt", &["x", "no-new-privileges=maybe", "no-new-privilegesx", "seccomp=", "mask=x"]),
    ("run", "landlock", &["", "/usr", "ro:usr", "rx:/usr"]),
    ("run", "restart", &["never", "always:1", "on-failure:", "on-failure:x", "on-failure:-1", "Always"]),
    ("run", "stop-timeout", &["x", "-2", "1.5"]),
    ("*", "detach-keys", &["ctrl-", "ctrl-P", "ab", "a,", "alt-x"]),
    ("*", "time", &["x", "-2", "1.5", "10s"]),
    ("*", "signal", &["0", "65", "-9", "NOSIG", "SIG", "RTMAX+1"]),
    ("ps", "last", &["x", "-1", "1.5"]),
    ("ps", "filter", &["x", "colour=red", "status=gone", "name", "="]),
    ("images", "filter", &["", "x", "=", "x=1", "dangling", "dangling=maybe", "dangling="]),
    ("logs", "tail", &["x", "-1", "ALL", "1.5", "99999999999999999999"]),
    ("logs", "since", &["x", "-10m", "1e9", "2026-01-02T03:04:05", "10 m", "1h30", "2026-13-01T00:00:00Z"]),
    ("logs", "until", &["x", "-10m", "1d", "2026-01-02", "10:00"]),
    ("inspect", "type", &["net", "Container"]),
    ("save", "format", &["docker", "OCI", "oci-archive "]),
    ("*", "output", &["/nonexistent/directory/file", "/", "/tmp/"]),
    ("audit", "report", &["", "/nonexistent/directory/file", "/"]),
    ("audit", "with", &["", "strace", "eBPF"]),
    ("why", "report", &["", "/nonexistent/directory/file", "/"]),
    ("audit", "follow", &[""]),
    ("run", "pull", &["x", "MISSING", "missing,always", "true"]),
    ("pull", "creds", &["x", ":x", ":"]),
    ("load", "input", &["/nonexistent/file"]),
    ("*", "platform", &["linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux//v7"]),
    ("*", "max-size", &["x", "0", "-1", "1z"]),
    ("pack", "self-contained", &["", ".", "/nonexistent/out", "/dev/null/x"]),
    ("pack", "include", &["/nonexistent/file", "nonexistent", "/dev/null/x"]),
    ("*", "change", &["x", "RUN true", "CMD", "ENV", "ENV A", "ENV =1", "ENV A=\"", "EXPOSE 0", "EXPOSE 80/icmp", "STOPSIGNAL SIGNOT", "USER a b"]),
];

/// Options that any text fits.
const ANY_TEXT: &[&str] = &["entrypoint", "message", "author", "apparmor", "process-label"];
/// Options for which an empty value means something.
const MAY_BE_EMPTY: &[&str] = &["entrypoint", "message", "author"];
/// Options that take bytes: the kernel's paths and variables need not be UTF-8.
const BYTES: &[&str] = &[
    "env",
    "env-file",
    "label-file",
    "cidfile",
    "entrypoint",
    "root",
    "explain-to",
    "output",
    "report",
    "self-contained",
    "input",
];

/// Every command with each of its options, the global ones too.
fn options() -> impl Iterator<Item = (&'static Row, &'static Flag)> {
    COMMANDS.iter().flat_map(|row| row.flags().chain(GLOBAL.flags()).map(move |flag| (row, flag)))
}

/// A command line with one option, and as many further words as the command takes at least.
fn line(row: &Row, option: impl AsRef<OsStr>) -> Vec<OsString> {
    let state = row.name().starts_with("oci ").then(|| "--root=state".into());
    let words = row.name().split(' ').map(OsString::from).chain(state).chain([option.as_ref().to_owned()]);
    let image = if ["run", "create", "audit"].contains(&row.name()) { "host" } else { "x" };
    // What `audit` does may take none.
    let count = if row.name() == "audit" { 1 } else { row.args.0 };
    words.chain((0..count).map(|_| image.into())).collect()
}

/// The command whose options this one shares.
fn like(row: &Row) -> &'static str {
    if ["create", "exec", "audit"].contains(&row.name()) { "run" } else { row.name() }
}

/// The first line on standard error, without vial's name, and the hint.
fn said(output: &Output) -> (&str, &str) {
    let first = output.stderr.lines().next().and_then(|line| line.strip_prefix("vial: "));
    let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
    (first.unwrap_or_else(|| panic!("no first line: {}", output.shown())), hint.unwrap_or_default())
}

/// Runs what must be refused before anything is made: not even the root directory is touched.
fn refused(scene: &Scene, words: &[impl AsRef<OsStr>]) -> Output {
    let (is_oci, output) = (words[0].as_ref() == "oci", scene.vial(words).run().prints(""));
    let fails = if is_oci { [1, 255].contains(&output.code) } else { output.code == 125 };
    assert!(fails, "{}", output.shown());
    let made: Vec<_> = fs::read_dir(scene.root()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    assert!(made.is_empty(), "{made:?} was made by {}", output.shown());
    output
}

/// Asserts that the first line names the option and the value, and that the hint tells what is accepted.
fn names_option_and_value(output: &Output, flag: &Flag, value: &str) {
    let (first, hint) = said(output);
    let quoted = if value.is_empty() { "\"\"".to_owned() } else { value.to_owned() };
    let shown = first.contains(&quoted) || first.contains(&format!("{value:?}"));
    assert!(first.contains(&format!("--{}", flag.long())) && shown, "{}", output.shown());
    assert!(hint.len() > 3, "the hint does not help: {}", output.shown());
}

fn every_option_of_every_command_refuses_a_bad_value(scene: &Scene) {
    let mut without = Vec::new();
    for (row, flag) in options().filter(|(_, flag)| flag.takes != Takes::Switch) {
        let own = BAD
            .iter()
            .find(|(command, name, _)| *name == flag.long() && [row.name(), like(row), "*"].contains(command));
        let Some((.., values)) = own else {
            if !ANY_TEXT.contains(&flag.long()) {
                without.push(format!("{} --{}", row.name(), flag.long()));
            }
            continue;
        };
        for value in *values {
            // Files are looked for only when all else is right, and with the root directory open.
            let files = ["env-file", "label-file", "cidfile"].contains(&flag.long()) && !value.is_empty();
            let words = line(row, format!("--{}={value}", flag.long()));
            let output = if files { scene.vial(words).run().ends(125).prints("") } else { refused(scene, &words) };
            names_option_and_value(&output, flag, value);
            if files {
                let _ = fs::remove_dir_all(scene.root());
                fs::create_dir(scene.root()).expect("make the root directory anew");
            }
        }
    }
    assert!(without.is_empty(), "no bad value is tried for:\n{}", without.join("\n"));
    let stale = BAD.iter().filter(|(command, name, _)| {
        !options().any(|(row, flag)| *name == flag.long() && (*command == "*" || *command == row.name()))
    });
    assert_eq!(stale.map(|(command, name, _)| format!("{command} --{name}")).collect::<Vec<_>>(), [""; 0]);
}

fn every_switch_refuses_a_value_that_is_not_yes_or_no(scene: &Scene) {
    for (row, flag) in options().filter(|(_, flag)| flag.takes == Takes::Switch) {
        for value in ["perhaps", "", "2", "TRUE!"] {
            let output = refused(scene, &line(row, format!("--{}={value}", flag.long())));
            names_option_and_value(&output, flag, value);
            assert!(said(&output).1.contains("=true or =false"), "{}", output.shown());
        }
    }
    let version = TOP.flags().first().expect("vial has a --version");
    names_option_and_value(&refused(scene, &["--version=perhaps"]), version, "perhaps");
}

fn every_option_that_takes_a_value_misses_it(scene: &Scene) {
    for (row, flag) in options().filter(|(_, flag)| matches!(flag.takes, Takes::One | Takes::Many)) {
        let mut words: Vec<String> = row.name().split(' ').map(String::from).collect();
        let mut forms = vec![format!("--{}", flag.long())];
        if flag.short != b' ' {
            forms.push(format!("-{}", char::from(flag.short)));
        }
        for form in forms {
            words.push(form);
            let output = refused(scene, &words);
            let (first, hint) = said(&output);
            assert_eq!(first, format!("missing value for --{}", flag.long()), "{}", output.shown());
            assert!(hint.contains(flag.value()) && hint.contains(flag.help()), "{}", output.shown());
            words.pop();
        }
    }
}

fn every_option_is_refused_empty_unless_that_means_something(scene: &Scene) {
    for (row, flag) in options().filter(|(_, flag)| flag.takes != Takes::Switch) {
        if !MAY_BE_EMPTY.contains(&flag.long()) {
            let output = refused(scene, &line(row, format!("--{}=", flag.long())));
            names_option_and_value(&output, flag, "");
        }
    }
}

fn every_option_is_refused_if_it_is_not_utf8_unless_it_takes_bytes(scene: &Scene) {
    for (row, flag) in options().filter(|(_, flag)| flag.takes != Takes::Switch && !BYTES.contains(&flag.long())) {
        let option = [b"--", flag.long().as_bytes(), b"=A\xff"].concat();
        let output = refused(scene, &line(row, OsStr::from_bytes(&option)));
        names_option_and_value(&output, flag, "A\u{fffd}");
    }
}

fn a_misspelt_option_of_every_command_is_answered_with_the_one_that_was_meant(scene: &Scene) {
    for (row, flag) in options().filter(|(_, flag)| flag.long().len() > 3) {
        let misspelt = format!("--{}x{}", &flag.long()[..2], &flag.long()[2..]);
        let output = refused(scene, &line(row, &misspelt));
        let (first, hint) = said(&output);
        assert_eq!(first, format!("unknown flag {misspelt} for vial {}", row.name()));
        assert!(hint.starts_with(&format!("did you mean --{}?", flag.long())), "{}", output.shown());
    }
    for row in COMMANDS {
        let output =
            refused(scene, &line(row, "--qqqqqqqqqqqq")).says(&format!("`vial {} --help` lists all", row.name()));
        assert!(!output.stderr.contains("did you mean"), "{}", output.shown());
        refused(scene, &line(row, "-Z")).says("unknown flag -Z");
    }
    refused(scene, &["--versoin"]).says("did you mean --version?");
}

fn a_misspelt_command_is_answered_with_the_one_that_was_meant(scene: &Scene) {
    for name in names().filter(|name| name.len() > 3) {
        let misspelt = format!("{}q{}", &name[..name.len() - 2], &name[name.len() - 2..]);
        let output = refused(scene, &misspelt.split(' ').collect::<Vec<_>>());
        let (first, hint) = said(&output);
        assert_eq!(first, format!("unknown command {misspelt:?}"));
        assert!(hint.starts_with(&format!("did you mean `vial {name}`?")), "{}", output.shown());
    }
    for unknown in ["frobnicate", "RUN", "run ", "", "imag"] {
        let (output, quoted) = (refused(scene, &[unknown]), format!("{unknown:?}"));
        assert!(said(&output).0.contains(&quoted), "{}", output.shown());
        output.says("`vial help` lists all commands");
    }
    // Command names are never abbreviated.
    refused(scene, &["imp", "x"]).says("unknown command \"imp\"");
    refused(scene, &["help", "rnu"]).says("did you mean `vial run`?");
}

fn an_option_of_another_command_is_unknown(scene: &Scene) {
    for (words, flag) in [
        (["images", "--memory=64m"], "--memory"),
        (["rmi", "--json"], "--json"),
        (["version", "--quiet"], "--quiet"),
        (["--memory=64m", "run"], "--memory"),
    ] {
        let output = refused(scene, &words);
        assert!(said(&output).0.starts_with(&format!("unknown flag {flag} for vial")), "{}", output.shown());
    }
}

fn too_few_and_too_many_words_are_refused_with_the_usage(scene: &Scene) {
    for row in COMMANDS {
        let (least, most) = (usize::from(row.args.0), usize::from(row.args.1));
        let mut counts = Vec::new();
        if least > 0 {
            counts.push((least - 1, "at least"));
        }
        if row.args.1 != ANY {
            counts.push((most + 1, "at most"));
        }
        for (count, bound) in counts {
            let words: Vec<&str> = row.name().split(' ').chain(vec!["x"; count]).collect();
            let output = refused(scene, &words);
            let (first, hint) = said(&output);
            assert!(first.starts_with(&format!("vial {} takes {bound}", row.name())), "{}", output.shown());
            assert_eq!(hint, format!("usage: vial {} {}", row.name(), row.usage));
        }
    }
}

fn options_that_contradict_each_other_are_refused_by_both_names(scene: &Scene) {
    #[rustfmt::skip]
    let cases: &[(&[&str], [&str; 2])] = &[
        (&["--cpus=1", "--cpu-quota=5000"],                  ["--cpus", "--cpu-quota"]),
        (&["--cpu-period=5000", "--cpus=1"],                 ["--cpus", "--cpu-period"]),
        (&["--memory=64m", "--memory-reservation=65m"],      ["--memory-reservation", "--memory"]),
        (&["--memory=64m", "--memory-high=65m"],             ["--memory-high", "--memory"]),
        (&["--memory=64m", "--memory-swap=63m"],             ["--memory-swap", "--memory"]),
        (&["--memory-swap=64m"],                             ["--memory-swap", "--memory is not given"]),
        (&["--cap-add=ALL", "--cap-drop=all"],               ["--cap-add", "--cap-drop"]),
        (&["--log-opt=max-file=1", "--log-driver=none"],     ["--log-opt", "--log-driver none"]),
        (&["--hostname=a", "--uts=host"],                    ["--hostname", "--uts"]),
        (&["--domainname=a", "--uts=container:x"],           ["--domainname", "--uts"]),
        (&["--shm-size=1m", "--ipc=host"],                   ["--shm-size", "--ipc"]),
        (&["--shm-size=1m", "--ipc=none"],                   ["--shm-size", "--ipc"]),
        (&["--add-host=a:1.2.3.4", "--network=container:x"], ["--add-host", "--network"]),
        (&["--dns=1.2.3.4", "--network=container:x"],        ["--dns", "--network"]),
        (&["--sysctl=net.a=1", "--network=host"],            ["--sysctl", "--network"]),
        (&["--sysctl=kernel.sem=1", "--ipc=host"],           ["--sysctl", "--ipc"]),
        (&["--volume=/a:/x", "--volume=/b:/x"],              ["--volume", "/x"]),
        (&["--volume=/a:/x", "--tmpfs=/x/../x"],             ["--tmpfs", "/x"]),
    ];
    for (options, named) in cases {
        let words: Vec<&str> = ["run"].iter().chain(*options).chain(&["host", "true"]).copied().collect();
        let output = refused(scene, &words);
        let (first, hint) = said(&output);
        assert!(named.iter().all(|name| first.contains(name)) && !hint.is_empty(), "{}", output.shown());
    }
    // Limits that the container has already are compared when it is known.
    refused(scene, &["update", "x"]).says("no limit is given");
    let output = refused(scene, &["images", "--format=json", "--json"]);
    assert!(said(&output).0.contains("--json is given too"), "{}", output.shown());
}

fn limits_below_the_kernels_minimum_are_refused_with_it(scene: &Scene) {
    #[rustfmt::skip]
    let cases = [
        ("--memory", "6143k", "at least 6MiB"),       ("--memory-reservation", "1m", "at least 6MiB"),
        ("--memory-high", "1m", "at least 6MiB"),     ("--memory-swap", "1m", "at least 6MiB"),
        ("--cpus", "0.009", "at least 0.01"),         ("--cpu-quota", "999", "at least 1000"),
        ("--cpu-period", "999", "from 1000"),         ("--cpu-shares", "1", "from 2"),
        ("--blkio-weight", "9", "from 10"),           ("--pids-limit", "-2", "at least 1"),
        ("--memory-swappiness", "-1", "from 0"),      ("--shm-size", "0", "at least 1B"),
        ("--oom-score-adj", "-1001", "from -1000"),   ("--device-read-bps", "/dev/sda:0", "at least 1"),
    ];
    for (option, value, least) in cases {
        let output = refused(scene, &["run", &format!("{option}={value}"), "host", "true"]);
        let (first, hint) = said(&output);
        assert!(first.starts_with(&format!("invalid value {value:?} for {option}: ")), "{}", output.shown());
        assert!(hint.contains(least), "{}", output.shown());
        // The same as two words.
        assert_eq!(refused(scene, &["run", option, value, "host", "true"]).stderr, output.stderr);
    }
}

fn user_numbers_that_the_kernel_cannot_have_are_refused(scene: &Scene) {
    for value in ["4294967295", "-1", "4294967296", "0:4294967295", "18446744073709551616"] {
        let output = refused(scene, &["run", "-u", value, "host", "true"]);
        let (first, hint) = said(&output);
        assert!(first.starts_with(&format!("invalid value {value:?} for --user: ")), "{}", output.shown());
        assert!(hint.contains("from 0 to 4294967294"), "{}", output.shown());
    }
}

fn malformed_names_of_images_are_refused_with_what_is_accepted(scene: &Scene) {
    let long = "a".repeat(256);
    for name in ["", "Upper", "a:", "a:-x", "a b", "a//b", "-a", "a@sha256:12", "ä", "a/../b", &long] {
        for words in
            [&["run", "--", name, "true"][..], &["images", "--", name], &["import", "--", "/nonexistent", name]]
        {
            let output = refused(scene, words);
            let (first, hint) = said(&output);
            assert!(first.starts_with(&format!("invalid image {name:?}: ")), "{}", output.shown());
            assert!(hint.contains("NAME[:TAG]"), "{}", output.shown());
        }
        scene.vial(["rmi", "--", name]).run().ends(125).prints("").says(&format!("invalid image {name:?}: "));
        fs::remove_dir_all(scene.root()).and_then(|()| fs::create_dir(scene.root())).expect("make the root anew");
    }
    for name in ["host", "host:1", "sha256", &"0".repeat(64)] {
        refused(scene, &["import", "/nonexistent", name]).says("this name already means something else");
    }
}

fn words_that_are_not_utf8_are_refused_and_do_not_break_the_message(scene: &Scene) {
    let odd = OsStr::from_bytes(b"\xff\xfe");
    let lines: &[&[&OsStr]] = &[
        &[odd],
        &["run".as_ref(), odd],
        &["images".as_ref(), odd],
        &["import".as_ref(), "x".as_ref(), odd],
        &["rmi".as_ref(), odd],
        &["help".as_ref(), odd],
        &["volume".as_ref(), odd],
        &["run".as_ref(), OsStr::from_bytes(b"--\xff"), "host".as_ref()],
        &["run".as_ref(), OsStr::from_bytes(b"-\xff"), "host".as_ref()],
    ];
    for words in lines {
        let output = scene.vial(*words).run().ends(125).prints("");
        assert!(said(&output).0.contains('\u{fffd}') || said(&output).0.contains("UTF-8"), "{}", output.shown());
    }
    // A path is bytes: the message shows it, whatever it holds.
    scene.vial([OsStr::new("import"), OsStr::from_bytes(b"/nonexistent/\xff")]).run().ends(125).says("/nonexistent/");
}

fn values_that_only_the_machine_can_judge_are_refused_by_the_options_name(scene: &Scene) {
    fs::write(scene.path("taken"), "").expect("write a file");
    fs::write(scene.path("bad.env"), "A=1\n=2\n").expect("write a file");
    fs::create_dir(scene.path("directory")).expect("make a directory");
    #[rustfmt::skip]
    let cases: &[(&[&str], &str, &str)] = &[
        (&["--device=/nonexistent/device"],                    "--device",            "/nonexistent/device"),
        (&["--device=/etc/passwd"],                            "--device",            "/etc/passwd"),
        (&["--device-read-bps=/nonexistent/disk:1m"],          "--device-read-bps",   "/nonexistent/disk"),
        (&["--device-write-bps=/dev/null:1m"],                 "--device-write-bps",  "/dev/null"),
        (&["--device-read-iops=/etc/passwd:1"],                "--device-read-iops",  "/etc/passwd"),
        (&["--device-write-iops=/nonexistent/disk:1"],         "--device-write-iops", "/nonexistent/disk"),
        (&["--env-file=/nonexistent/file"],                    "--env-file",          "/nonexistent/file"),
        (&["--env-file=directory"],                            "--env-file",          "directory"),
        (&["--env-file=bad.env"],                              "--env-file",          "line 2 of bad.env"),
        (&["--label-file=/nonexistent/file"],                  "--label-file",        "/nonexistent/file"),
        (&["--label-file=bad.env"],                            "--label-file",        "line 2 of bad.env"),
        (&["--cidfile=taken"],                                 "--cidfile",           "taken"),
        (&["--cidfile=/nonexistent/directory/id"],             "--cidfile",           "/nonexistent/directory/id"),
        (&["--pid=container:nosuch"],                          "--pid",               "nosuch"),
        (&["--ipc=container:nosuch"],                          "--ipc",               "nosuch"),
        (&["--uts=container:nosuch"],                          "--uts",               "nosuch"),
        (&["--network=container:nosuch"],                      "--network",           "nosuch"),
        (&["--network=nosuch"],                                "--network",           "nosuch"),
        (&["--network=ns:/nonexistent/ns"],                    "--network",           "/nonexistent/ns"),
        (&["--network=ns:/etc/passwd"],                        "--network",           "/etc/passwd"),
        (&["--mount=type=bind,src=/nonexistent/x,dst=/mnt"],   "--mount",             "/nonexistent/x"),
        (&["--sysctl=net.nosuch.parameter=1"],                 "--sysctl",            "nosuch"),
        (&["--cpuset-cpus=4000"],                              "--cpuset-cpus",       "4000"),
        (&["--cpuset-mems=900"],                               "--cpuset-mems",       "900"),
        (&["--explain-to=directory"],                          "--explain-to",        "directory"),
    ];
    for (options, option, value) in cases {
        let words: Vec<&str> = ["run", "--rm"].iter().chain(*options).chain(&["host", "true"]).copied().collect();
        let output = scene.vial(&words).run().ends(125).prints("");
        said(&output);
        assert!(output.stderr.contains(option) && output.stderr.contains(value), "{}", output.shown());
        scene.assert_nothing_left();
    }
    assert_eq!(fs::read_to_string(scene.path("taken")).expect("the file is there"), "");
}

fn values_that_only_the_image_can_judge_are_refused_by_the_options_name(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    #[rustfmt::skip]
    let cases = [
        ("--user=nosuchuser",          "--user",      "nosuchuser"),
        ("--user=0:nosuchgroup",       "--user",      "nosuchgroup"),
        ("--group-add=nosuchgroup",    "--group-add", "nosuchgroup"),
        ("--workdir=/etc/passwd",      "--workdir",   "/etc/passwd"),
        ("--volume=/etc/passwd:/etc",  "--volume",    "/etc"),
        ("--volume=/tmp:/etc/passwd",  "--volume",    "/etc/passwd"),
        ("--tmpfs=/etc/passwd",        "--tmpfs",     "/etc/passwd"),
    ];
    for (word, option, value) in cases {
        let output = scene.vial(["run", "--rm", word, &rootfs, "true"]).run().ends(125).prints("");
        said(&output);
        assert!(output.stderr.contains(option) && output.stderr.contains(value), "{}", output.shown());
        scene.assert_nothing_left();
    }
    for image in ["/nonexistent/rootfs", "./nonexistent", "/etc/passwd", "nosuchimage"] {
        let output = scene.vial(["run", "--rm", image, "true"]).run().ends(125).prints("");
        assert!(said(&output).0.contains(image) && said(&output).1.len() > 3, "{}", output.shown());
        scene.assert_nothing_left();
    }
}

fn a_terminal_that_is_not_there_is_missed(scene: &Scene) {
    let output = refused(scene, &["run", "--rm", "-it", "host", "true"]);
    assert!(said(&output).0.contains("--tty") && said(&output).1.contains("-i"), "{}", output.shown());
}

fn a_name_that_is_taken_is_refused(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let wait = "while [ ! -e /mnt/stop ]; do sleep 0.02; done";
    let share = format!("{}:/mnt", scene.directory().display());
    let holder = scene.vial([
        "run",
        "--rm",
        "--name",
        "taken",
        "-v",
        &share,
        &rootfs,
        "sh",
        "-c",
        &format!("touch /mnt/up; {wait}"),
    ]);
    let holder = holder.start();
    crate::util::container::eventually("the first container runs", || scene.path("up").exists().then_some(()));
    let output = scene.vial(["run", "--rm", "--name", "taken", &rootfs, "true"]).run().ends(125).prints("");
    assert!(said(&output).0.contains("taken") && said(&output).1.len() > 3, "{}", output.shown());
    fs::write(scene.path("stop"), "").expect("write a file");
    holder.wait().ends(0);
    scene.vial(["run", "--rm", "--name", "taken", &rootfs, "true"]).ok();
}
