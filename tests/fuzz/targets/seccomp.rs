//! Filters of system calls: `linux.seccomp` of a specification, and profiles of docker's form.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Value as Theirs, json};

use vial::base::json::{self, Value, record};
use vial::container::spec::Seccomp;
use vial::kernel::security::seccomp;

/// An interpreter of the kernel's programs.
#[allow(clippy::duplicate_mod, reason = "the fuzzer is a crate of its own, and has no other way to it")]
#[path = "../../util/bpf.rs"]
mod bpf;

const ACTIONS: [(&str, u32); 9] = [
    ("KILL", 0),
    ("KILL_THREAD", 0),
    ("KILL_PROCESS", 0x8000_0000),
    ("TRAP", 0x0003_0000),
    ("ERRNO", 0x0005_0000),
    ("NOTIFY", 0x7fc0_0000),
    ("TRACE", 0x7ff0_0000),
    ("LOG", 0x7ffc_0000),
    ("ALLOW", 0x7fff_0000),
];
const OPERATORS: [&str; 8] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ", "NO"];
const NAMES: [&str; 16] = [
    "read",
    "write",
    "open",
    "openat",
    "socket",
    "socketcall",
    "clone",
    "clone3",
    "personality",
    "sendmsg",
    "mmap",
    "mmap2",
    "stat64",
    "statx",
    "no_such_call",
    "uname",
];
const VALUES: [u64; 8] = [0, 1, 38, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0026, 0x8000_0000_0000_0000, u64::MAX];
/// The numbers of calls on this processor and of 32-bit programs there: columns of the list; and what those are to the kernel.
const HERE: (usize, u32, usize, u32, &str, &str) = if cfg!(target_arch = "x86_64") {
    (1, 0xc000_003e, 2, 0x4000_0003, "X86_64", "X86")
} else {
    (4, 0xc000_00b7, 5, 0x4000_0028, "AARCH64", "ARM")
};

pub fn profiles() -> Vec<Vec<u8>> {
    let mut all = super::texts(&[
        r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ERRNO","errnoRet":97,"args":[{"index":0,"value":38,"op":"SCMP_CMP_EQ"}]}]}"#,
        r#"{"defaultAction":"SCMP_ACT_KILL","flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[{"names":["clone"],"action":"SCMP_ACT_TRACE","excludes":{"caps":["CAP_SYS_ADMIN"]}}]}"#,
    ]);
    all.push(vec![8, 1, 0, 4, 4, 0, 0]);
    all.push(vec![4, 13, 3, 0x80 | 6, 8, 1, 0, 3, 2, 0, 4, 5, 0, 0x82, 3, 3, 1, 6, 5, 4]);
    all.push(vec![1, 0, 1, 0x41, 7, 0, 0x81, 8, 2, 0, 5, 1, 0, 1, 3, 0]);
    all
}

/// Whole bytes of an input, zeros behind it.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }
}

/// A profile that bytes stand for: most texts of a profile's form would be none.
fn made(bytes: &[u8]) -> Theirs {
    let mut bytes = Bytes(bytes);
    let action = |byte: usize| format!("SCMP_ACT_{}", ACTIONS[byte % 9].0);
    let mut profile = json!({ "defaultAction": action(bytes.next()), "defaultErrnoRet": bytes.next() });
    let architectures = bytes.next();
    if architectures & 1 != 0 {
        profile["architectures"] = json!([format!("SCMP_ARCH_{}", HERE.4), format!("SCMP_ARCH_{}", HERE.5)]);
    }
    let mut calls = Vec::new();
    while !bytes.0.is_empty() && calls.len() < 20 {
        let (name, what, errno) = (bytes.next(), bytes.next(), bytes.next());
        let mut names = vec![NAMES[name & 15]];
        if name & 0x40 != 0 {
            names.push(NAMES[(name + 1) & 15]);
        }
        let mut call = json!({ "names": names, "action": action(what), "errnoRet": errno });
        if name & 0x80 != 0 {
            let mut args = Vec::new();
            for _ in 0..=errno & 3 {
                let (index, op) = (bytes.next() % 7, OPERATORS[bytes.next() & 7]);
                let (one, two) = (VALUES[bytes.next() & 7], VALUES[bytes.next() & 7]);
                args.push(json!({ "index": index, "op": format!("SCMP_CMP_{op}"), "value": one, "valueTwo": two }));
            }
            call["args"] = json!(args);
        }
        calls.push(call);
    }
    profile["syscalls"] = json!(calls);
    profile
}

/// The kernel would take the program.
fn is_sound(program: &[u64]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    for (at, word) in program.iter().enumerate() {
        let (code, yes, no, k) =
            (*word as u16, (word >> 16 & 0xff) as usize, (word >> 24 & 0xff) as usize, (word >> 32) as usize);
        let left = program.len() - at - 1;
        match code {
            0x06 => {}
            0x05 => assert!(k < left, "a jump leaves the program"),
            0x20 => assert!(k < 64 && k.is_multiple_of(4) && left > 0, "a word that is not there"),
            0x54 => assert!(left > 0),
            0x15 | 0x25 | 0x35 | 0x45 => assert!(yes < left && no < left, "a branch leaves the program"),
            _ => panic!("an instruction that is not known: {code:#x}"),
        }
    }
}

/// The names of calls by column and number.
fn names() -> &'static HashMap<(usize, u32), Vec<&'static str>> {
    static NAMES: OnceLock<HashMap<(usize, u32), Vec<&str>>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: HashMap<_, Vec<_>> = HashMap::new();
        let list = include_str!("../../../src/kernel/security/seccomp/numbers.txt");
        for row in list.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = row.split(' ').collect();
            for column in [HERE.0, HERE.2] {
                if let Ok(number) = fields[column].parse() {
                    names.entry((column, number)).or_default().push(fields[0]);
                }
            }
        }
        names
    })
}

/// What a naive reader makes of a profile for a call with these arguments.
fn expected(profile: &Theirs, column: usize, number: u32, args: [u64; 6]) -> u32 {
    let verdict = |of: &Theirs, action: &str, errno: &str| {
        let name = of[action].as_str().expect("an action");
        let verdict =
            ACTIONS.iter().find(|(known, _)| name.strip_prefix("SCMP_ACT_") == Some(known)).expect("a known one").1;
        let data = of[errno].as_u64().unwrap_or(1) as u32 & 0xffff;
        if verdict == 0x0005_0000 || verdict == 0x7ff0_0000 { verdict | data } else { verdict }
    };
    let default = verdict(profile, "defaultAction", "defaultErrnoRet");
    let Some(names) = names().get(&(column, number)) else {
        return if default & 0x7fff_0000 >= 0x7ff0_0000 && default >> 31 == 0 { default } else { 0x0005_0026 };
    };
    let holds = |arg: &Theirs| {
        let (value, two) = (arg["value"].as_u64().unwrap(), arg["valueTwo"].as_u64().unwrap());
        let cut = |number: u64| if column == HERE.0 { number } else { number & 0xffff_ffff };
        let (given, value, two) = (cut(args[arg["index"].as_u64().unwrap() as usize]), cut(value), cut(two));
        match &arg["op"].as_str().unwrap()["SCMP_CMP_".len()..] {
            "NE" => given != value,
            "LT" => given < value,
            "LE" => given <= value,
            "EQ" => given == value,
            "GE" => given >= value,
            "GT" => given > value,
            _ => given & value == two,
        }
    };
    let mut conditional = None;
    for call in profile["syscalls"].as_array().unwrap() {
        let own = verdict(call, "action", "errnoRet");
        let is_named = call["names"].as_array().unwrap().iter().any(|name| names.iter().any(|known| name == known));
        if !is_named || own == default {
            continue;
        }
        let args: &[Theirs] = call["args"].as_array().map_or(&[], |args| args);
        if args.is_empty() {
            return own;
        }
        let twice = (1..args.len()).any(|at| args[..at].iter().any(|before| before["index"] == args[at]["index"]));
        if if twice { args.iter().any(holds) } else { args.iter().all(holds) } {
            conditional = conditional.or(Some(own));
        }
    }
    conditional.unwrap_or(default)
}

/// A profile is refused, or becomes a program that the kernel takes, and which decides as a naive reader of the profile does.
pub fn filter(bytes: &[u8]) {
    if bytes.first() == Some(&b'{') {
        let Ok(value) = json::parse(bytes) else { return };
        for capabilities in [0, u64::MAX] {
            if let Ok(resolved) = seccomp::resolve(&value, capabilities, "6.1.0") {
                sound(&resolved);
            }
        }
        return sound(&value);
    }
    let profile = made(bytes);
    let value = json::parse(profile.to_string().as_bytes()).expect("it is JSON");
    let Ok((filter, _)) = seccomp::compile(&value) else { return };
    is_sound(filter.program);
    let both = profile.get("architectures").is_some();
    // Not all of them each time, but one in so many, and others for each input.
    let mut turn = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    for (column, architecture) in [(HERE.0, HERE.1), (HERE.2, HERE.3)] {
        for number in [0, 1, 2, 41, 56, 102, 120, 135, 136, 257, 359, 384, 435, 1000] {
            for value in VALUES {
                turn += 1;
                if turn % 17 != 0 {
                    continue;
                }
                let args = [value, value, 38, value ^ 1, 0, u64::MAX];
                let decided = bpf::run(filter.program, architecture, number, args).0;
                let wanted = if column == HERE.2 && !both { 0 } else { expected(&profile, column, number, args) };
                assert!(
                    decided == wanted,
                    "{profile}\ncall {number} of {architecture:#x} with {args:x?}: {decided:#x}, not {wanted:#x}"
                );
            }
        }
    }
}

/// If it has the form of `linux.seccomp`, its program is sound.
fn sound(value: &Value) {
    let mut whole = Seccomp::default();
    if record::take(&mut whole, value).is_ok()
        && let Ok((filter, _)) = seccomp::compile(&whole.0)
    {
        is_sound(filter.program);
    }
}
