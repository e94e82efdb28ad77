//! The default profile against docker's, read by another reader, on every number; and how long a search is.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::Value;

/// The integration tests have it too.
#[path = "../../../../tests/util/bpf.rs"]
mod bpf;

use bpf::run;

use super::super::caps;
use super::{COMPAT_ARCHITECTURE, default_filter};
use crate::kernel::security::filter::NATIVE;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

/// The calls of an architecture by number: a column of the list.
fn calls(column: usize) -> BTreeMap<u32, &'static str> {
    let rows = include_str!("numbers.txt").lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|line| line.split(' ').collect::<Vec<_>>());
    rows.filter_map(|row| Some((row[column].parse().ok()?, row[0]))).collect()
}

/// What docker's profile says of a call, given the lower half of its first argument.
fn expected(profile: &Value, arch: &str, name: &str, capabilities: u64, first: u64) -> u32 {
    let has = |value: &Value, what: &str| value.as_array().is_some_and(|list| list.iter().any(|item| item == what));
    let held = |list: &Value| {
        let mut names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| capabilities & 1 << caps::number(name).unwrap() != 0)
    };
    for rule in profile["syscalls"].as_array().unwrap() {
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let unfit = !has(&rule["names"], name)
            || includes["arches"].is_array() && !has(&includes["arches"], arch)
            || has(&excludes["arches"], arch)
            || includes["caps"].is_array() && !held(&includes["caps"])
            || held(&excludes["caps"]);
        let is_true = |arg: &Value| {
            let value = arg["value"].as_u64().unwrap();
            assert_eq!(arg["index"], 0);
            match arg["op"].as_str().unwrap() {
                "SCMP_CMP_EQ" => first == value,
                "SCMP_CMP_LT" => first < value,
                "SCMP_CMP_GT" => first > value,
                "SCMP_CMP_MASKED_EQ" => first & value == 0,
                other => panic!("{other}"),
            }
        };
        if unfit || !rule["args"].as_array().is_none_or(|args| args.iter().all(is_true)) {
            continue;
        }
        match rule["action"].as_str().unwrap() {
            "SCMP_ACT_ALLOW" => return ALLOW,
            _ => return 0x0005_0000 | rule["errnoRet"].as_u64().unwrap() as u32,
        }
    }
    EPERM
}

/// What the processor is called in the profile, and which columns of the list are its calls and those of 32-bit programs.
const HERE: (&str, usize, Option<usize>) = if cfg!(target_arch = "x86_64") {
    ("amd64", 1, Some(2))
} else if cfg!(target_arch = "aarch64") {
    ("arm64", 4, Some(5))
} else if cfg!(target_arch = "riscv64") {
    ("riscv64", 6, None)
} else {
    ("arm", 5, None)
};

/// First arguments: the flags of clone, families of sockets, personalities, and what is beside them.
const FIRST: &[u64] =
    &[0, 1, 2, 8, 16, 17, 37, 38, 39, 40, 41, 131_072, 131_080, 0x1000_0000, 0x7e02_0000, 0x0001_1200, 0xffff_ffff];

#[test]
fn every_call_is_decided_as_by_dockers_profile() {
    let profile: Value = serde_json::from_str(include_str!("default.json")).unwrap();
    let (arch, native, compat) = HERE;
    let single = (0..caps::COUNT).map(|number| 1 << number);
    for capabilities in single.chain([0, caps::DEFAULT, caps::ALL, caps::ALL & !(1 << 21)]) {
        let program = default_filter(capabilities).program;
        let tables = [(NATIVE, Some(native)), (COMPAT_ARCHITECTURE, compat)];
        for (architecture, column) in
            tables.into_iter().filter_map(|(architecture, column)| Some((architecture, column?)))
        {
            let calls = calls(column);
            for number in
                (0..600).chain([1000, 5000, 0x000f_0001, 0x000f_0005, 0x000f_0009, 0x3fff_ffff, 0x8000_0000, u32::MAX])
            {
                let by_argument = ["socket", "socketcall", "personality", "clone"];
                let is_one = calls.get(&number).is_some_and(|name| by_argument.contains(name));
                for &first in &FIRST[..if is_one { FIRST.len() } else { 2 }] {
                    let (verdict, _) = run(program, architecture, number, [first, 0, 0, 0, 0, 0]);
                    let wanted = match calls.get(&number) {
                        // Its arguments lie in memory: it is no way around the rule for `socket`.
                        Some(&"socketcall") if first == 1 => ENOSYS,
                        Some(name) => expected(&profile, arch, name, capabilities, first),
                        None => ENOSYS,
                    };
                    let name = calls.get(&number);
                    assert_eq!(
                        verdict, wanted,
                        "{architecture:#x} {number} {name:?}({first:#x}) with {capabilities:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn calls_of_x32_are_decided_as_the_processors_own() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let profile: Value = serde_json::from_str(include_str!("default.json")).unwrap();
    let program = default_filter(caps::DEFAULT).program;
    let (x32, native) = (calls(3), calls(1));
    for number in 0..1200 {
        for &first in FIRST {
            let (verdict, _) = run(program, NATIVE, 0x4000_0000 | number, [first, 0, 0, 0, 0, 0]);
            // The kernel has no x32 call of the numbers that only the others have.
            let name = x32.get(&number).or_else(|| native.get(&number));
            let wanted = name.map_or(ENOSYS, |name| expected(&profile, "amd64", name, caps::DEFAULT, first));
            assert_eq!(verdict, wanted, "{number} {name:?}({first:#x})");
        }
    }
}

#[test]
fn the_upper_half_of_an_argument_that_the_kernel_does_not_take_counts_for_nothing() {
    let program = default_filter(caps::DEFAULT).program;
    let number = |name: &str| calls(HERE.1).into_iter().find(|(_, known)| *known == name).unwrap().0;
    for (name, low, wanted) in [
        ("socket", 38, EPERM),
        ("socket", 40, EPERM),
        ("socket", 2, ALLOW),
        ("personality", 1, EPERM),
        ("clone", 0x1000_0000, EPERM),
    ] {
        for high in [0, 1 << 32, 0xffff_ffff << 32] {
            assert_eq!(
                run(program, NATIVE, number(name), [high | low, 0, 0, 0, 0, 0]).0,
                wanted,
                "{name} {low} {high:#x}"
            );
        }
    }
}

#[test]
fn calls_of_architectures_that_the_processor_does_not_have_kill() {
    let program = default_filter(caps::ALL).program;
    for architecture in [0, 0x4000_0003, 0x4000_0028, 0xc000_003e, 0xc000_00b7, 0x8000_0016] {
        if architecture != NATIVE && (architecture != COMPAT_ARCHITECTURE || HERE.2.is_none()) {
            assert_eq!(run(program, architecture, 1, [0; 6]).0, 0, "{architecture:#x}");
        }
    }
}

#[test]
fn a_search_is_short() {
    let program = default_filter(caps::DEFAULT).program;
    let steps: Vec<usize> = calls(HERE.1).into_keys().map(|number| run(program, NATIVE, number, [0; 6]).1).collect();
    let (most, sum) = (*steps.iter().max().unwrap(), steps.iter().sum::<usize>());
    // Machines of 32 bits have more calls to search, and another one for memory.
    let (mmap, steps_of_common) = if cfg!(target_pointer_width = "64") { ("mmap", 12) } else { ("mmap2", 13) };
    let common = ["read", "write", "openat", "close", "futex", mmap, "epoll_pwait", "recvmsg", "clock_gettime"];
    let numbers: BTreeMap<String, u32> =
        calls(HERE.1).into_iter().map(|(number, name)| (name.to_string(), number)).collect();
    for name in common {
        let (verdict, steps) = run(program, NATIVE, numbers[name], [0; 6]);
        assert!(verdict == ALLOW && steps <= steps_of_common, "{name}: {steps}");
    }
    assert!(most <= 18, "{most}");
    assert!(program.len() < 400, "{} instructions", program.len());
    assert!(sum <= 12 * steps.len(), "{sum} for {} calls", steps.len());
}
