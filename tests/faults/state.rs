//! What a workload sees of itself: all that was asked for, in a text that is the same for the same container.

use std::fs;

/// Prints it. What is `$1` is the file that it goes to, or `-`.
pub const SCRIPT: &str = r#"
look() {
    echo "= $$"
    echo "= status"; grep -E '^(Umask|NoNewPrivs|Seccomp|Cap|Uid|Gid|Groups|SigPnd|SigBlk|SigIgn|SigCgt|ShdPnd|Cpus_allowed_list|CoreDumping)' /proc/$$/status
    echo "= session"; cut -d' ' -f1,5-8 /proc/$$/stat; cat /proc/$$/personality; stat -c '%u:%g' /proc/$$
    echo "= namespaces"; for n in /proc/$$/ns/*; do echo "$n $(readlink $n)"; done
    echo "= limits"; cat /proc/$$/limits; echo "oom $(cat /proc/$$/oom_score_adj)"
    echo "= mounts"; cat /proc/$$/mountinfo
    echo "= names"; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname
    echo "= environment"; tr '\0' '\n' </proc/$$/environ | sort; pwd; umask
    echo "= files"; for f in /proc/$$/fd/*; do echo "$f $(readlink $f)"; done
    echo "= groups"; cat /proc/$$/cgroup
    for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us \
        cpu/cpu.shares devices/devices.list freezer/freezer.state cpuset/cpuset.cpus; do
        echo "$f $(cat /sys/fs/cgroup/$f 2>&1 | tr '\n' ' ')"
    done
    for d in /sys/fs/cgroup/*; do echo "$d $(grep -cx $$ $d/tasks 2>&1)"; done
    echo "= devices"; stat -c '%n %F %a %u:%g %t:%T' /dev/* /dev/pts/* /dev/shm/* | sed 's/ [0-9.]* / /'; for l in /dev/*; do readlink $l; done
    echo "= tree"; stat -c '%n %F %a %u:%g' /* /data/* /etc/*
    echo "= contents"; cat /etc/hostname /etc/hosts /etc/resolv.conf
    echo "= hidden"; for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug /proc/latency_stats; do
        test -e $f && echo "$f $(head -c 8 $f 2>&1 | wc -c)"
    done
    ls -A /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap 2>&1
    echo "= refused"; for f in /x /proc/sys/x /proc/sys/kernel/domainname /proc/sysrq-trigger /sys/x /sys/fs/cgroup/x /read/x /data/x /tmp/x; do
        (echo x >$f) 2>&1; rm -f $f 2>/dev/null
    done
    for n in "b 254 0" "c 1 2" "c 5 1"; do (mknod /tmp/node $n && head -c 1 /tmp/node) 2>&1 | wc -c; rm -f /tmp/node; done
    echo "= parameters"; cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
    echo "= interfaces"; ip -o link 2>&1; ip -o address 2>&1 | grep -v "scope link"; ip route 2>&1
    echo "= end"
}
case $1 in
-) look 2>&1 ;;
*) look >$1.new 2>&1; mv $1.new $1 ;;
esac
"#;

/// In its place if the workload has told nothing.
pub const NOTHING: &str = "the workload has written nothing down\n";

/// Namespaces that are the host's.
fn of_the_host() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/ns").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// What a workload printed without what differs from one container to the next: IDs, and numbers that the kernel gives out.
pub fn normal(text: &str) -> String {
    let host = of_the_host();
    let mut out = String::new();
    let mut section = "";
    // The number of a process is the next one that is free.
    let own = text.lines().next().unwrap_or_default().trim_start_matches("= ");
    for line in text.lines().skip(1) {
        if let Some(name) = line.strip_prefix("= ") {
            section = name;
            out.push_str(&format!("{line}\n"));
            continue;
        }
        let line = without_ids(line).replace(&format!("/proc/{own}/"), "/proc/PID/");
        let words: Vec<&str> = line.split(' ').collect();
        let line = match (section, words.as_slice()) {
            ("mounts", [_, _, _, rest @ ..]) if rest.len() > 5 => {
                let rest: Vec<&str> = rest
                    .iter()
                    .map(|word| {
                        word.split_once(':').map_or(*word, |(kind, number)| {
                            if number.bytes().all(|byte| byte.is_ascii_digit()) { kind } else { *word }
                        })
                    })
                    .collect();
                // Whether the host's disk is waited for at the end.
                rest.join(" ").replace(",fsync=volatile", "")
            }
            ("namespaces", [path, link]) => {
                format!("{path} {}", if host.iter().any(|own| own == link) { "host's" } else { "own" })
            }
            ("session", _) => {
                words.iter().map(|word| if *word == own { "PID" } else { word }).collect::<Vec<_>>().join(" ")
            }
            ("files", [path, link]) => format!("{path} {}", link.split(":[").next().unwrap_or_default()),
            // That a cable is in may be told a moment later.
            ("interfaces", _) => without_addresses(&line),
            _ => line,
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }
    without_hidden_mounts(&out)
}

/// Leaves out mounts that are covered by others at the same place, to which nothing leads.
fn without_hidden_mounts(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let place = |line: &str| line.contains(" - ").then(|| line.split(' ').nth(1).unwrap_or_default().to_owned());
    let covered = |at: usize| {
        place(lines[at]).is_some_and(|own| lines[at + 1..].iter().any(|line| place(line).as_ref() == Some(&own)))
    };
    let mut seen: Vec<&str> = (0..lines.len()).filter(|at| !covered(*at)).map(|at| lines[at]).collect();
    // In which order they were made shows nowhere else.
    let first = seen.iter().position(|line| *line == "= mounts").map_or(0, |at| at + 1);
    let count = seen[first..].iter().position(|line| line.starts_with("= ")).unwrap_or(0);
    seen[first..first + count].sort_unstable();
    seen.join("\n") + "\n"
}

/// Puts a word in the place of each ID of 64 digits, and of its first 12.
fn without_ids(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in line.chars().chain(['\n']) {
        if letter.is_ascii_hexdigit() {
            word.push(letter);
            continue;
        }
        out.push_str(if [12, 64].contains(&word.len()) { "ID" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.trim_end_matches('\n').to_owned()
}

/// Numbers of interfaces and addresses that are made at random.
fn without_addresses(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let is_number = word.trim_end_matches(':').bytes().all(|byte| byte.is_ascii_digit());
        let lifetime = word.ends_with("sec");
        match word.split_once("@if") {
            _ if is_number || lifetime => "N",
            Some((name, _)) => name,
            _ if word.starts_with('<') => "FLAGS",
            None if word.contains("::") || word.matches(':').count() > 3 => "ADDRESS",
            None => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The lines in which two texts differ.
pub fn difference(clean: &str, seen: &str) -> String {
    let only = |from: &str, other: &str, mark: char| {
        let lines = from.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    let lines = only(clean, seen, '-') + &only(seen, clean, '+');
    if lines.is_empty() { "the lines are in another order".to_owned() } else { lines }
}
