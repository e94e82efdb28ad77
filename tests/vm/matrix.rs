//! What works on which kernel: the same steps on machines that differ in one thing each. README has the table that is made here.

use std::fmt::Write as _;
use std::{fs, thread};

use super::kernel::{ARM32, ARM64, PC, RISCV, kernel_of, package};
use super::{Booted, Kind, Machine};
use crate::laws::{ARMHF, MUSL_ARM, RISCV64, release};
use crate::util::Scene;
use crate::util::command::{Output, VIAL};
use crate::util::rootfs::make_of;
use crate::util::source::project;

trials! {
    what_works_on_which_kernel_is_what_the_readme_says [Machine, Kernels, Tool("qemu-system-aarch64"), Tool("qemu-system-riscv64"), Target(MUSL_ARM), Target(ARMHF), Target(RISCV64)];
}

/// Modules of Debian's kernels, for containers on networks.
pub const MODULES: &[&str] = &[
    "overlay",
    "veth",
    "bridge",
    "crc32c_generic",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_nat",
    "nft_masq",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_counter",
];

const V2: &str = "mount -t cgroup2 none /sys/fs/cgroup";
const V1: &str = "mount -t tmpfs none /sys/fs/cgroup; cd /sys/fs/cgroup
    for name in memory pids cpu,cpuacct cpuset devices freezer blkio; do
        mkdir $name && mount -t cgroup -o $name none $name || exit 1
    done";

/// A machine: how the table calls it, what it has, and how it is prepared.
struct Row {
    name: &'static str,
    kernel: [&'static str; 2],
    without: &'static [&'static str],
    prepare: &'static str,
}

const ON_AMD64: [&str; 2] = ["bookworm-amd64", "linux-image-cloud-amd64"];
const ON_ARM64: [&str; 2] = ["bookworm-arm64", "linux-image-cloud-arm64"];
const ON_ARMHF: [&str; 2] = ["bookworm-armhf", "linux-image-armmp-lpae"];
const ON_RISCV64: [&str; 2] = ["trixie-riscv64", "linux-image-riscv64"];
const OLDER: [&str; 2] = ["bullseye-amd64", "linux-image-cloud-amd64"];
/// For the boards that are not of this machine's architecture.
const BUSYBOX: &str = "busybox-static";

/// Debian's programs, of which [`super::boards`] makes systems.
pub const ROOT: &str = "root";

/// Has an option be given with each command.
const BEST_EFFORT: &str = r#"mv /bin/vial /bin/vial-itself &&
    printf '#!/bin/sh\nexec vial-itself --best-effort "$@"\n' >/bin/vial && chmod +x /bin/vial"#;
const COPY: &str = r#"mount -t cgroup2 none /sys/fs/cgroup; mv /bin/vial /bin/vial-itself &&
    printf '#!/bin/sh\n[ "$1" != run ] || { shift; set -- run --storage copy "$@"; }\nexec vial-itself "$@"\n' >/bin/vial &&
    chmod +x /bin/vial"#;

const ROWS: [Row; 12] = [
    Row { name: "x86_64, cgroup v2", kernel: ON_AMD64, without: &[], prepare: V2 },
    Row { name: "arm64, cgroup v2", kernel: ON_ARM64, without: &[], prepare: V2 },
    Row { name: "armhf, cgroup v2", kernel: ON_ARMHF, without: &[], prepare: V2 },
    Row { name: "riscv64, cgroup v2", kernel: ON_RISCV64, without: &[], prepare: V2 },
    Row { name: "x86_64, cgroup v2", kernel: OLDER, without: &[], prepare: V2 },
    Row { name: "x86_64, cgroup v1", kernel: ON_AMD64, without: &[], prepare: V1 },
    Row { name: "x86_64, no control groups", kernel: ON_AMD64, without: &[], prepare: "" },
    Row { name: "x86_64, no control groups, `--best-effort`", kernel: ON_AMD64, without: &[], prepare: BEST_EFFORT },
    Row { name: "x86_64, no overlay", kernel: ON_AMD64, without: &["overlay"], prepare: V2 },
    Row { name: "x86_64, no overlay, `--storage copy`", kernel: ON_AMD64, without: &["overlay"], prepare: COPY },
    Row { name: "x86_64, no nf_tables", kernel: ON_AMD64, without: &["nf_tables", "nft_"], prepare: V2 },
    Row {
        name: "x86_64, no user namespaces",
        kernel: ON_AMD64,
        without: &[],
        prepare: "mount -t cgroup2 none /sys/fs/cgroup; echo 0 >/proc/sys/user/max_user_namespaces",
    },
];

/// A capability: how the table calls it, the steps that show it, and what they print.
const COLUMNS: [(&str, &str, &str); 11] = [
    (
        "run",
        "mkdir -p /t/etc && cp -a /bin /t && rm -f /t/bin/vial* && cp /etc/passwd /t/etc && tar -cf /t.tar -C /t . &&
         vial import /t.tar image >/dev/null && vial run --rm image sh -c 'echo $$'",
        "1\n",
    ),
    (
        "background, exec",
        "vial run -d --name one image sleep 600 >/dev/null && vial exec one echo within && vial rm -f one",
        "within\none\n",
    ),
    ("memory limit", "vial run --rm -m 24m image sh -c 'dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null; echo ended with $?'", "ended with 137\n"),
    (
        "process limit",
        "vial run --rm --pids-limit 3 image sh -c 'sleep 1 & sleep 1 & sleep 1 & wait' 2>/tmp/said; code=$?
         grep -v fork /tmp/said >&2; [ $code != 2 ] || { echo refused to fork; code=0; }; exit $code",
        "refused to fork\n",
    ),
    (
        "device rules",
        "vial run --rm image sh -c 'mknod /node c 7 0 && echo made && cat /node 2>&1 | sed \"s/.*: //\"'",
        "made\nOperation not permitted\n",
    ),
    (
        "pause",
        "vial run -d --name two image sleep 600 >/dev/null && vial pause two >/dev/null &&
         vial ps --format '{{.Status}}' | grep -o Paused && vial unpause two && vial rm -f two",
        "Paused\ntwo\ntwo\n",
    ),
    ("seccomp", "vial run --rm image grep -c 'Seccomp:.2' /proc/self/status", "1\n"),
    ("user namespace", "vial run --rm --userns auto image sh -c 'test $(cut -c 11-20 /proc/self/uid_map) -gt 0 && echo mapped'", "mapped\n"),
    (
        "without root",
        "chmod 711 /data; mkdir -p /data/u/fs/bin && cp /bin/busybox /data/u/fs/bin && ln -s busybox /data/u/fs/bin/echo &&
         chown -R 1000:1000 /data/u && su user -c 'VIAL_ROOT=/data/u/store vial run --rm /data/u/fs /bin/echo ran'",
        "ran\n",
    ),
    (
        "network, -p",
        "ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; vial run -d --name web --network bridge -p 8080:80 image httpd -f -p 80 -h /etc >/dev/null || exit
         for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://127.0.0.1:8080/passwd 2>/dev/null >/got && break; sleep 0.3; done
         grep -c root /got &&
         vial run --rm --network bridge image wget -q -O - http://web/passwd | grep -c root && vial rm -f web",
        "1\n1\nweb\n",
    ),
    (
        "oci",
        "mkdir -p /b && cd /b && vial oci spec && ln -s /t rootfs && sed -i -e 's/\"terminal\": *true/\"terminal\":false/' -e 's|\"sh\"|\"/bin/echo\",\"ran\"|' config.json &&
         vial oci run three",
        "ran\n",
    ),
];

/// A row of the table, and what each step did.
fn boot(scene: &Scene, row: &Row) -> Result<(String, Booted), String> {
    let [of, name] = row.kernel;
    let (board, target) = match of {
        _ if of.ends_with("arm64") => (ARM64, Some(MUSL_ARM)),
        _ if of.ends_with("armhf") => (ARM32, Some(ARMHF)),
        _ if of.ends_with("riscv64") => (RISCV, Some(RISCV64)),
        _ => (PC, None),
    };
    let kernel = kernel_of(of, name, board);
    let kernel = kernel.ok_or_else(|| format!("tests/run has not fetched {name} of {of}"))?;
    let version = kernel.version();
    let kind = if target.is_some() {
        let rootfs = scene.path("rootfs");
        let places = ["bin/busybox", "usr/bin/busybox"].map(|place| package(of, BUSYBOX).join(place));
        let busybox = places.iter().find(|place| place.exists()).expect("the package has busybox");
        make_of(busybox, &rootfs).expect("make a root");
        Kind { kernel, vial: release(scene, target), rootfs }
    } else {
        Kind { kernel, vial: VIAL.into(), rootfs: scene.rootfs().to_owned() }
    };
    let modules: Vec<&str> =
        MODULES.iter().copied().filter(|name| !row.without.iter().any(|gone| name.starts_with(gone))).collect();
    let machine = Machine::with(&modules).of(kind).step("prepare", row.prepare);
    let machine = COLUMNS.iter().fold(machine, |machine, (name, script, _)| machine.step(name, *script));
    let booted = machine.boot(scene)?;
    booted.step("prepare").ends(0);
    Ok((format!("{version}, {}", row.name), booted))
}

/// Why the test can't run: a package that is not there.
pub fn missing() -> Option<String> {
    let of_others = [ON_ARM64, ON_ARMHF, ON_RISCV64].map(|[of, _]| [of, BUSYBOX]);
    let of_boards = [ON_AMD64, ON_ARM64, ON_ARMHF].map(|[of, _]| [of, ROOT]);
    let packages = ROWS.iter().map(|row| row.kernel).chain(of_others).chain(of_boards);
    let missing = packages.into_iter().find(|[of, name]| !package(of, name).exists());
    missing.map(|[of, name]| format!("needs {name} of {of}, which tests/run fetches on x86_64"))
}

/// What the table says of a step: whether it did what is expected, and whether something was said.
fn cell(output: &Output, expected: &str) -> &'static str {
    // Who was killed for memory is told of in any case.
    let said = output.stderr.lines().any(|line| !line.contains("out of memory"));
    match (output.code == 0 && output.stdout == expected, said) {
        (true, false) => "yes",
        (true, true) => "told",
        (false, true) if output.code == 0 && output.stderr.contains("can't be enforced") => "no, told",
        (false, true) if output.code > 0 && output.stderr.contains("hint: ") => "refused",
        _ => "wrong",
    }
}

fn what_works_on_which_kernel_is_what_the_readme_says(_: &Scene) {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
    let mut table = format!("| Linux | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let mut remarks = String::new();
    for (number, rows) in ROWS.chunks(2).enumerate() {
        let scene = |at: usize| Scene::new(&format!("matrix-{number}-{at}"));
        let booted: Vec<_> = thread::scope(|scope| {
            let booting: Vec<_> =
                rows.iter().enumerate().map(|(at, row)| scope.spawn(move || boot(&scene(at), row))).collect();
            booting.into_iter().map(|booting| booting.join().expect("it does not panic")).collect()
        });
        for (row, booted) in rows.iter().zip(booted) {
            let (name, booted) = booted.unwrap_or_else(|error| panic!("{}: {error}", row.name));
            let _ = write!(table, "| {name} |");
            for (column, _, expected) in COLUMNS {
                let output = booted.step(column);
                let cell = cell(&output, expected);
                if cell != "yes" {
                    let _ = writeln!(remarks, "{name}: {column}: {cell}: {}", output.shown());
                }
                let _ = write!(table, " {cell} |");
            }
            table.push('\n');
        }
    }
    println!("{table}");
    assert!(!table.contains(" wrong |"), "{table}\n{remarks}");
    let readme = fs::read_to_string(project().join("README.md")).expect("read README.md");
    assert!(readme.contains(&table), "README.md has another table than\n{table}\n{remarks}");
}
