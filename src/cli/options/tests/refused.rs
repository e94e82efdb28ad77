//! Values that must be refused, and how.

use super::*;

/// A flag, values that must be refused, what the reason must say, and what is accepted.
#[rustfmt::skip] // One case a line, however long.
const BAD: &[(&str, &[&str], &str, &str)] = &[
    ("name", &["", "-a", "a/b", "é"], "not a name", "letters, digits, _ . and -"),
    ("label", &["", "=x"], "no name", "NAME=VALUE"),
    ("label-file", &[""], "empty", "a path"),
    ("env-file", &[""], "empty", "a path"),
    ("cidfile", &[""], "empty", "a path"),
    ("log-driver", &["", "None", "syslog", "journald", "k8s-file local", "none "], "no such driver", "k8s-file json-file local none"),
    ("log-opt", &["", "max-size", "max-size=", "max-size=0", "max-size=1023", "max-size=-1", "max-size=1x", "max-file=0", "max-file=101", "max-file=", "max-file=1k", "mode=non-blocking", "=1", "max-files=2"], "no such option", "max-size=SIZE"),
    ("env", &["", "=x"], "no name", "NAME=VALUE"),
    ("workdir", &["", "tmp", "./tmp"], "not absolute", "an absolute path"),
    ("user", &["4294967295", "4294967296", "0:4294967295"], "too large", "numbers from 0 to 4294967294"),
    ("user", &["", ":", "0:", ":0", "-1", "+1", "a b", "0:-1", "a:b:c", "a,b"], "neither a number nor a name", "UID or user name"),
    ("group-add", &["4294967295"], "too large", "numbers from 0"),
    ("group-add", &["", "-1", "a:b"], "neither", "GID or group name"),
    ("stop-signal", &["", "0", "65", "-9", "TERMM"], "no such signal", "1 to 64"),
    ("ulimit", &["", "nofile"], "no =", "NAME=SOFT[:HARD]"),
    ("ulimit", &["as=1", "-=1", "NOFILE=1", "=1"], "no such resource", "nofile nproc"),
    ("ulimit", &["nofile=", "nofile=x", "nofile=1:", "nofile=-2", "nofile=1:2:3", "core=1k"], "not a number", "`unlimited`"),
    ("ulimit", &["nofile=2:1", "nofile=-1:5", "core=unlimited:0"], "the soft limit is above the hard", "SOFT at most HARD"),
    ("oom-score-adj", &["", "x", "1.5"], "not a whole number", "from -1000 to 1000"),
    ("oom-score-adj", &["-1001"], "too small", "from -1000 to 1000"),
    ("oom-score-adj", &["1001"], "too large", "from -1000 to 1000"),
    ("volume", &["", "x", "a:b", "/a:/", "/a:/..", "/a:/proc", "/a:/x/../proc/", "a:./b", ":"], "the target must be absolute and not / or /proc", "[SOURCE:]TARGET"),
    ("volume", &["/a:/b:ro:x", "/a:/b:"], "too many or empty parts", "[SOURCE:]TARGET"),
    ("volume", &[":/b", "-a:/b", "a b:/b", "~/x:/b"], "neither a path nor a volume's name", "starts with / or ."),
    ("volume", &["/a:/b:u", "/a:/b:ro,", "/a:/b:nocopy", "a:/b:rshared", "a:/b:rbind", "/a:/b:RO"], "an option is unknown", "rshared z Z"),
    ("volume", &["/a:/b:ro,rw", "/a:/b:ro,ro", "/a:/b:rshared,slave", "/a:/b:z,Z", "/a:/b:bind,rbind"], "contradict", "OPTIONS of ro rw"),
    ("mount", &["", "x=y,dst=/b", "type=nfs,dst=/b", "dst=b", "dst=/", "dst", "dst=/b,ro=2", "dst=/b,", "type"], "a key is unknown", "type=bind"),
    ("mount", &["type=bind,src=/a,dst=/b,bind-propagation=x", "type=bind,src=/a,dst=/b,bind-recursive=readonly"], "malformed", "enabled|disabled"),
    ("mount", &["type=tmpfs,dst=/b,tmpfs-size=x", "type=tmpfs,dst=/b,tmpfs-size=0", "type=tmpfs,dst=/b,tmpfs-mode=9"], "malformed", "tmpfs-size"),
    ("mount", &["type=volume", "type=bind,src=/a", "src=a"], "no target", "dst=TARGET"),
    ("mount", &["type=bind,dst=/b", "type=bind,src=a,dst=/b", "type=bind,src=,dst=/b"], "needs a source path", "src=PATH"),
    ("mount", &["type=tmpfs,src=/a,dst=/b"], "a tmpfs has no source", "type=tmpfs"),
    ("mount", &["src=/a,dst=/b"], "not a volume's name", "letters, digits"),
    ("mount", &["dst=/b,tmpfs-size=1m", "type=bind,src=/a,dst=/b,volume-nocopy", "type=tmpfs,dst=/b,bind-nonrecursive"], "belongs to another type", "type="),
    ("mount", &["dst=\"/b\"", "\"dst=/b"], "a quotation mark", "type="),
    ("tmpfs", &["", "b", "/", "/proc", ":ro"], "the target must be absolute and not / or /proc", "TARGET[:OPTIONS]"),
    ("tmpfs", &["/b:", "/b:x", "/b:size=0", "/b:size=12x", "/b:mode=9", "/b:uid=-1", "/b:gid=a", "/b:ro=1", "/b:size", "/b:nr_inodes=x", "/b:ro:rw"], "unknown or malformed", "nr_inodes"),
    ("shm-size", &["", "x", "-1", "12x"], "not a size", "b, k, m, g"),
    ("shm-size", &["0"], "too small", "at least 1B"),
    ("device", &["", "null", "./null", ":/dev/null"], "the host's path is not absolute", "HOST[:CONTAINER[:ACCESS]]"),
    ("device", &["/dev/null:", "/dev/null:null", "/dev/null:/", "/dev/null:x:r", "/dev/null:rr"], "the container's path is not absolute", "HOST"),
    ("device", &["/dev/null:/n:x", "/dev/null:/n:", "/dev/null:/n:rwmr"], "the access is not of rwm", "rwm"),
    ("device", &["/a:/b:r:w"], "too many parts", "rwm"),
    ("network", &["", "host:", "none:x", "pasta:-t,8080", "container:", "container:a/b", "ns:", "ns:net", "a/b", "-a", "alias=a", "name=", "name=a/b"], "no such mode", "none, host, pasta, slirp4netns, container:ID, ns:PATH, a network's name"),
    ("network", &["slirp4netns:mtu=1500", "name=a,gw=1", "name=a,", "name=a,driver-opt=x=y"], "a key is unknown", "name=NAME"),
    ("network", &["name=a,ip=fd00::1", "name=a,ip=", "name=a,ip6=10.0.0.1", "name=a,alias=a/b", "name=a,mac-address=02:00:00:00:00"], "a value is malformed", "mac-address=MAC"),
    ("publish", &["", "0", "x", "80:", "65536", "8080:0", ":80:", "80-79", "8080:80-", "-80", "1:2:3:4"], "not a", "[[ADDRESS:]PORT:]PORT"),
    ("publish", &["80/", "80/sctp", "80/TCP"], "neither tcp nor udp", "[/tcp|/udp]"),
    ("publish", &["8000-8010:80", "80:80-81", "8000-8001:80-82"], "ranges of different lengths", "8000-8010:80-90"),
    ("publish", &["localhost:80:80", "1.2.3:80:80", "[::1:80:80", "[x]:80:80"], "not an address", "127.0.0.1:53:53/udp"),
    ("expose", &["", "0", "x", "65536", "80-79", "80:80"], "not a port", "such as 80 or 53/udp"),
    ("expose", &["80/x"], "neither tcp nor udp", "53/udp"),
    ("network-alias", &["", "-a", "a/b", "a b"], "malformed", "letters, digits"),
    ("ip", &["", "fd00::1", "1.2.3", "1.2.3.4/8"], "malformed", "10.0.0.5"),
    ("ip6", &["", "1.2.3.4", "fd00:::1", "fd00::1/64"], "malformed", "fd00::5"),
    ("mac-address", &["", "02:42:0a:00:00", "03:42:0a:00:00:05", "2:42:0a:00:00:051", "02-42-0a-00-00-05", "02:42:0a:00:00:0g"], "malformed", "02:42:0a:00:00:05"),
    ("pull", &["", "x", "MISSING", "missing,always", "true"], "not one of them", "missing always never"),
    ("pid", &["", "none", "ns:/x", "container:", "HOST", "private:"], "no such mode", "private, host or container:ID"),
    ("ipc", &["", "ns:/x", "container:", "shared"], "no such mode", "private, shareable, none, host or container:ID"),
    ("uts", &["", "none", "container:"], "no such mode", "private, host or container:ID"),
    ("cgroupns", &["", "none", "container:a"], "no such mode", "private or host"),
    ("userns", &["", "private", "container:a", "auto "], "no such mode", "auto"),
    ("uidmap", &["", "0", "0:1", "0:1:0", "0:1:2:3", "a:1:1", "0:-1:1", "0:4294967295:1", "4294967290:0:10", "+0:1:1"], "not a range of IDs", "0:100000:65536"),
    ("gidmap", &["", "0:1:4294967295", "0: 1:1"], "not a range of IDs", "0:100000:65536"),
    ("hostname", &["", "-a", "a b", "a..b", "a/b"], "not a host name", "at most 64 bytes"),
    ("domainname", &["", "(none)"], "not a host name", "at most 64 bytes"),
    ("add-host", &["", "a"], "no address", "NAME:IP"),
    ("add-host", &["a:", "a:1.2.3", "a:host-gatewa", ":host-gateway", ":1.2.3.4", "a:[::1", "a:[1.2.3.4]", "a=1.2.3.4.5", "a:1.2.3.4 "], "not a name and an address", "IPv4 or IPv6"),
    ("dns", &["", "localhost", "1.2.3", "1.2.3.4:53", "[::1]"], "not an address", "IPv4 or IPv6"),
    ("dns-search", &["", "a b", "-a", "a..b"], "not a domain", "example.com"),
    ("dns-option", &["", "a b", "a\n"], "not one word", "ndots:2"),
    ("sysctl", &["", "net.x"], "no =", "NAME=VALUE"),
    ("sysctl", &["kernel.panic=1", "vm.swappiness=1", "net.=1", "net=1", "net/x=1", "net...kernel.panic=1", "net.a/../../kernel/panic=1", "kernel.sem2=1", "fs.file-max=1", "=1"], "not a parameter of a namespace", "fs.mqueue.* or net.*"),
    ("memory", &["", "12x", "-1", "1.m", " 64m"], "not a size", "b, k, m, g"),
    ("memory", &["0", "5m", "6291455"], "too small", "at least 6MiB"),
    ("memory-reservation", &["x"], "not a size", "at least 6MiB"),
    ("memory-reservation", &["1k"], "too small", "at least 6MiB"),
    ("memory-high", &["x"], "not a size", "at least 6MiB"),
    ("memory-high", &["1k"], "too small", "at least 6MiB"),
    ("memory-swap", &["x", "-2", "-1m"], "not a size", "at least 6MiB"),
    ("memory-swap", &["-1", "64m"], "--memory is not given", "at least --memory"),
    ("memory-swappiness", &["", "x"], "not a whole number", "from 0 to 100"),
    ("memory-swappiness", &["-1"], "too small", "from 0 to 100"),
    ("memory-swappiness", &["101"], "too large", "from 0 to 100"),
    ("cpus", &["", "x", "-1", ".5", "1e3", "1.0000000001"], "not a number of CPUs", "such as 1.5"),
    ("cpus", &["0", "0.009"], "too small", "at least 0.01"),
    ("cpu-quota", &["", "x", "1.5"], "not a whole number", "-1 for no limit"),
    ("cpu-quota", &["0", "999", "-2"], "too small", "at least 1000"),
    ("cpu-period", &["", "1ms"], "not a whole number", "from 1000 to 1000000"),
    ("cpu-period", &["999"], "too small", "from 1000 to 1000000"),
    ("cpu-period", &["1000001"], "too large", "from 1000 to 1000000"),
    ("cpu-shares", &["", "x"], "not a whole number", "from 2 to 262144"),
    ("cpu-shares", &["0", "1"], "too small", "from 2 to 262144"),
    ("cpu-shares", &["262145"], "too large", "from 2 to 262144"),
    ("cpuset-cpus", &["", "a", "1-0", "0,", "0-"], "not a list", "0-2,4"),
    ("cpuset-mems", &["", "a", "1-0"], "not a list", "0-2,4"),
    ("pids-limit", &["", "x", "1.5"], "not a whole number", "at least 1"),
    ("pids-limit", &["-2"], "too small", "0 or -1 for no limit"),
    ("blkio-weight", &["", "x"], "not a whole number", "from 10 to 1000"),
    ("blkio-weight", &["0", "9"], "too small", "from 10 to 1000"),
    ("blkio-weight", &["1001"], "too large", "from 10 to 1000"),
    ("device-cgroup-rule", &["", "c 1:3", "x 1:3 r", "cc 1:3 r", "c 1 r", "c 1:3 x", "c 1:3 rr", "c -1:3 r", "c 1:3  r", "c 1:3 r ", "c:1:3:r"], "not a device rule", "'c 1:3 rwm'"),
    ("cgroup-parent", &["", "/", "..", "/a/../b", "./a"], "not a path below the cgroup root", "such as /jobs"),
    ("cap-add", &["", "NET", "CAP_", "0", "net-admin"], "no such capability", "NET_ADMIN"),
    ("cap-add", &["NET_ADMN"], "did you mean NET_ADMIN?", "capabilities(7)"),
    ("restart", &["", "never", "always:1", "on-failure:x"], "no such policy", "on-failure[:COUNT]"),
    ("stop-timeout", &["x", "1.5"], "not a whole number", "from -1"),
    ("detach-keys", &["", "ctrl-P", "ab"], "not keys", "ctrl-LETTER"),
    ("cap-drop", &["", "FOO"], "no such capability", "capabilities(7)"),
    ("security-opt", &["", "no-new-privilegesx", "systempaths=x", "systempaths", "seccomp", "mask", "x=y"], "no such option", "no-new-privileges[=true|false]"),
    ("security-opt", &["no-new-privileges=maybe", "no-new-privileges="], "neither true nor false", "no-new-privileges[=true|false]"),
    ("security-opt", &["seccomp=", "apparmor=", "mask=", "mask=proc", "unmask=/a:b", "unmask:/a:"], "no value, or not an absolute path", "unmask=ALL|PATH[:PATH]"),
    ("security-opt", &["label=kind:x", "label=x", "label="], "neither disable nor user:, role:, type:, level: or filetype:", "label=disable|user:U"),
    ("security-opt", &["label=type:", "label=level:s0 c1", "label=type:a\"b"], "no value, or not an absolute path", "label=disable|user:U"),
    ("security-opt", &["label"], "no such option", "label=disable|user:U"),
    ("landlock", &["", "/usr", "ro:usr", "rx:/usr", "ro:/usr,"], "not a list of ro: or rw: and absolute paths", "ro:/,rw:/tmp"),
];

const THROTTLES: [&str; 4] = ["device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops"];

fn assert_refused(flag: &str, value: &str, why: &str, accepted: &str) {
    let message = error(&[&format!("--{flag}={value}")]);
    let (first, hint) = message.split_once('\n').unwrap_or((&message, ""));
    let start = format!("invalid value {value:?} for --{flag}: ");
    assert!(first.starts_with(&start) && first.contains(why), "--{flag}={value}: {first}");
    assert!(hint.starts_with("hint: accepted: ") && hint.contains(accepted), "--{flag}={value}: {hint}");
}

#[test]
fn every_bad_value_is_refused_by_the_name_of_its_flag_with_what_is_accepted() {
    for (flag, values, why, accepted) in BAD {
        for value in *values {
            assert_refused(flag, value, why, accepted);
        }
    }
    for flag in THROTTLES {
        assert_refused(flag, "/dev/sda", "no rate", "PATH:RATE");
        assert_refused(flag, "dev/sda:1", "not absolute", "PATH:RATE");
        for value in ["/dev/sda:", "/dev/sda:0", "/dev/sda:-1", "/dev/sda:x"] {
            assert_refused(flag, value, "not a rate", "at least 1");
        }
    }
    assert_refused("device-read-iops", "/dev/sda:1m", "not a rate", "a whole number");
}

#[test]
fn every_flag_of_run_that_takes_a_value_has_bad_values_above() {
    for flag in command("run").unwrap().flags().filter(|flag| flag.takes != Takes::Switch) {
        let known = BAD.iter().any(|(name, ..)| *name == flag.long()) || THROTTLES.contains(&flag.long());
        // Any text is an entrypoint.
        assert!(known || flag.id == Id::Entrypoint, "--{}", flag.long());
    }
}

#[test]
fn values_of_run_that_are_no_utf8_are_refused_unless_they_are_paths_or_variables() {
    for flag in command("run").unwrap().flags().filter(|flag| flag.takes != Takes::Switch) {
        let long = [b"--", flag.long().as_bytes(), b"=A\xff"].concat();
        let words: [&[u8]; 3] = [b"run", &long, b"host"];
        let accepted = RunOptions::from_parsed(&parse(&words).unwrap(), DEFAULT).is_ok();
        let bytes = matches!(flag.id, Id::Env | Id::EnvFile | Id::LabelFile | Id::CidFile | Id::Entrypoint);
        assert_eq!(accepted, bytes, "--{}", flag.long());
    }
}
