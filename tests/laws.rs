//! The laws that the sources and the finished binaries keep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use goblin::elf::Elf;

use crate::util::Scene;
use crate::util::elf::is_static;
use crate::util::needs::tool;
use crate::util::source::{code_only, project, rust_files, tokens};

trials! {
    there_are_two_normal_dependencies [];
    the_release_binary_has_one_door_and_is_static_and_small [Tool("objdump")];
    the_musl_binary_has_one_door_and_is_static_and_small [Target(MUSL_X86), OneOf(OBJDUMPS_X86)];
    the_arm_binary_has_one_door_and_is_static_and_small [Target(MUSL_ARM), OneOf(OBJDUMPS_ARM)];
    the_armhf_binary_has_one_door_and_is_static_and_small [Target(ARMHF), OneOf(OBJDUMPS_ARMHF)];
    the_riscv64_binary_has_one_door_and_is_static_and_small [Target(RISCV64), OneOf(OBJDUMPS_RISCV64)];
    code_without_the_compilers_guarantees_stays_at_the_bottom [];
    no_source_file_holds_two_ideas [];
    nothing_is_marked_as_unfinished [];
    a_door_is_counted [];
    what_floors_take_adds_up [];
    dynamic_linking_is_seen [Tool("sh")];
}

pub const MUSL_X86: &str = "x86_64-unknown-linux-musl";
pub const MUSL_ARM: &str = "aarch64-unknown-linux-musl";
/// Which library it would be linked with makes no difference to vial; this one's core library is made of short instructions too.
pub const ARMHF: &str = "thumbv7neon-unknown-linux-gnueabihf";
pub const RISCV64: &str = "riscv64gc-unknown-linux-gnu";
/// What vial is built for.
const TARGETS: [&str; 5] = ["x86_64-unknown-linux-gnu", MUSL_X86, MUSL_ARM, ARMHF, RISCV64];
const OBJDUMPS_X86: &[&str] = &["x86_64-linux-gnu-objdump", "llvm-objdump"];
const OBJDUMPS_ARM: &[&str] = &["aarch64-linux-gnu-objdump", "llvm-objdump"];
const OBJDUMPS_ARMHF: &[&str] = &["arm-linux-gnueabihf-objdump", "llvm-objdump"];
const OBJDUMPS_RISCV64: &[&str] = &["riscv64-linux-gnu-objdump", "llvm-objdump"];

/// The most bytes that a release binary may have.
const SIZE: u64 = 512 << 10;
/// The most lines of a source file.
const LINES: usize = 500;

fn there_are_two_normal_dependencies(scene: &Scene) {
    // Not for all targets that there are: what Windows would need is not here, and there is no network.
    for target in TARGETS {
        let words = ["tree", "--locked", "-e", "normal", "--prefix", "none", "--target", target];
        let output = scene.command(env!("CARGO"), words).current_dir(project()).ok();
        let mut names: Vec<&str> = output.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, ["libc", "syscalls", "vial"], "{}", output.shown());
    }
}

/// Builds the release binary: for the host, or for a target.
pub fn release(scene: &Scene, target: Option<&str>) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's directory for tests has a parent");
    let mut cargo = scene.command(env!("CARGO"), ["build", "--release", "--locked", "--bin", "vial", "--target-dir"]);
    cargo = cargo.args([directory]).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    cargo = cargo.env("CARGO_TARGET_THUMBV7NEON_UNKNOWN_LINUX_GNUEABIHF_LINKER", "rust-lld");
    cargo = cargo.env("CARGO_TARGET_RISCV64GC_UNKNOWN_LINUX_GNU_LINKER", "rust-lld");
    cargo = cargo.args(target.into_iter().flat_map(|target| ["--target", target]));
    cargo.current_dir(project()).limit(Duration::from_mins(10)).ok();
    directory.join(target.unwrap_or_default()).join("release/vial")
}

/// How often a program enters the kernel, by its disassembly; what is data is none of it.
fn doors(disassembly: &str, is_data: &dyn Fn(u64) -> bool) -> usize {
    let instruction = |line: &str| {
        let (address, text) = line.trim_start().split_once(':')?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let mut words = text.split_whitespace();
        let enters = match words.next() {
            Some("syscall" | "sysenter" | "svc" | "ecall") => true,
            Some("int") => words.next().is_some_and(|operand| operand.trim_start_matches('$') == "0x80"),
            _ => false,
        };
        Some((address, enters))
    };
    disassembly.lines().filter_map(instruction).filter(|(address, enters)| *enters && !is_data(*address)).count()
}

/// Where the data of packs is, which are code and data in one: behind a function's end, with no mark of instructions before it
/// ("ELF for the Arm Architecture", mapping symbols).
fn data_among_code(program: &[u8]) -> impl Fn(u64) -> bool {
    let elf = Elf::parse(program).expect("it was linked");
    let (mut functions, mut marks) = (BTreeMap::new(), Vec::new());
    for symbol in &elf.syms {
        let at = symbol.st_value & !1;
        if symbol.is_function() {
            functions.insert(at, at + symbol.st_size);
        } else if elf.strtab.get_at(symbol.st_name).is_some_and(|name| name.starts_with("$t") || name.starts_with("$a"))
        {
            marks.push(at);
        }
    }
    assert!(functions.len() > 1000 && marks.len() > 1000, "the program has lost its symbols");
    marks.sort_unstable();
    move |address| {
        let Some((_, &end)) = functions.range(..=address).next_back() else { return false };
        let marked = marks[..marks.partition_point(|mark| *mark <= address)].last();
        address >= end && marked.is_none_or(|mark| *mark < end)
    }
}

/// The bytes of a program's section, if it has one that is called so.
fn section<'a>(program: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let elf = Elf::parse(program).ok()?;
    let header = elf.section_headers.iter().find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(name))?;
    program.get(header.file_range()?)
}

fn keeps_the_laws(scene: &Scene, path: &Path, objdumps: &[&str]) {
    let program = fs::read(path).expect("read the binary");
    assert!(is_static(&program), "{} is not statically linked", path.display());
    assert!(program.len() as u64 <= SIZE, "{} has {} bytes, more than {SIZE}", path.display(), program.len());
    let objdump = objdumps.iter().find_map(|name| tool(name)).expect("one of these was found before");
    let list = |path: &Path| {
        let args = ["-d".as_ref(), "--no-show-raw-insn".as_ref(), path.as_os_str()];
        let listing = scene.command(&objdump.to_string_lossy(), args).ok().stdout;
        let start = &listing[..listing.len().min(500)];
        assert!(listing.lines().count() > 1000, "this is no disassembly of vial:\n{start}");
        listing
    };
    // What is packed in it can be looked into before it was packed only.
    let whole = as_it_was_linked(path);
    let all = list(&whole);
    let linked = fs::read(&whole).expect("read the program");
    let counted =
        if objdumps == OBJDUMPS_ARMHF { doors(&all, &data_among_code(&linked)) } else { doors(&all, &|_| false) };
    assert_eq!(counted, 1, "instructions that enter the kernel in {}", whole.display());
    if objdumps == OBJDUMPS_ARMHF {
        // Only symbols, which the program itself lost, tell there what is an instruction; so it is to have what was looked into.
        let code = section(&linked, ".text").expect("a program has code");
        assert!(section(&program, ".text") == Some(code), "{} has other code than was linked", path.display());
        assert!(code.len() * 3 < program.len() * 2, "nothing was packed in {}", path.display());
    } else {
        let listing = list(path);
        assert_eq!(doors(&listing, &|_| false), 1, "instructions that enter the kernel in {}", path.display());
        assert!(all.lines().count() > listing.lines().count() + 10_000, "nothing was packed in {}", path.display());
    }
    let packs = fs::read_to_string(whole.with_file_name("packs.txt")).expect("the build says what is where");
    eprintln!("{} bytes of {}\n{}", program.len(), path.display(), budget(&packs, program.len()));
    // Nothing turns its defences off.
    let program = fs::read(&whole).expect("read the program");
    assert!(!program.windows(9).any(|bytes| bytes == b"VIAL_WEAK"), "{} can be weakened", whole.display());
}

/// What the floors take of a program's bytes, packed as they are there, by the build's list of what is where.
fn budget(packs: &str, whole: usize) -> String {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    // The share of its bytes that is left of a pack.
    let mut shares = BTreeMap::from([("hot", 1.0)]);
    for line in packs.lines() {
        if let [pack, bytes, "bytes,", "packed", packed] = line.split_whitespace().collect::<Vec<_>>()[..] {
            shares.insert(pack, number(packed) / number(bytes));
        }
    }
    let mut floors: BTreeMap<&str, f64> = BTreeMap::new();
    for line in packs.lines().filter(|line| !line.contains("bytes, packed")) {
        let mut words = line.split_whitespace();
        let (Some(share), Some(size), Some(path)) =
            (words.next().and_then(|pack| shares.get(pack)), words.next(), words.next())
        else {
            continue;
        };
        let floor = path.strip_prefix("vial::").and_then(|path| path.split("::").next()).unwrap_or("what all share");
        *floors.entry(floor).or_default() += number(size) * share;
    }
    let named: f64 = floors.values().sum();
    let mut rows: Vec<_> =
        floors.into_iter().chain([("headers and tables", f64::from(whole as u32) - named)]).collect();
    rows.sort_by(|one, other| other.1.total_cmp(&one.1));
    rows.iter().map(|(floor, bytes)| format!("{bytes:>8.0} {floor}\n")).collect()
}

/// The program before a part of it was packed, which the build left with the files that it is made of.
fn as_it_was_linked(program: &Path) -> PathBuf {
    let builds = fs::read_dir(program.with_file_name("build")).expect("list the build scripts' directories");
    let candidates = builds.flatten().map(|entry| entry.path().join("out/whole"));
    let written = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    candidates.filter(|path| path.exists()).max_by_key(written).expect("the build keeps the program as it was linked")
}

fn the_release_binary_has_one_door_and_is_static_and_small(scene: &Scene) {
    keeps_the_laws(scene, &release(scene, None), &["objdump"]);
}

fn the_musl_binary_has_one_door_and_is_static_and_small(scene: &Scene) {
    keeps_the_laws(scene, &release(scene, Some(MUSL_X86)), OBJDUMPS_X86);
}

fn the_arm_binary_has_one_door_and_is_static_and_small(scene: &Scene) {
    keeps_the_laws(scene, &release(scene, Some(MUSL_ARM)), OBJDUMPS_ARM);
}

fn the_armhf_binary_has_one_door_and_is_static_and_small(scene: &Scene) {
    keeps_the_laws(scene, &release(scene, Some(ARMHF)), OBJDUMPS_ARMHF);
}

fn the_riscv64_binary_has_one_door_and_is_static_and_small(scene: &Scene) {
    keeps_the_laws(scene, &release(scene, Some(RISCV64)), OBJDUMPS_RISCV64);
}

fn code_without_the_compilers_guarantees_stays_at_the_bottom(_: &Scene) {
    for (path, text) in rust_files("src") {
        let code = code_only(&text);
        let found = tokens(&code).into_iter().find(|(token, _)| *token == "unsafe");
        let allowed = path.starts_with("src/sys") || path.starts_with("src/rt");
        assert!(allowed || found.is_none(), "{}:{}: unsafe", path.display(), found.map_or(0, |(_, line)| line));
    }
}

fn no_source_file_holds_two_ideas(_: &Scene) {
    let files = rust_files("src").into_iter().map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = files.filter(|(_, lines)| *lines > LINES).collect();
    assert!(long.is_empty(), "more than {LINES} lines: {long:?}");
}

fn nothing_is_marked_as_unfinished(_: &Scene) {
    // In pieces, so that this file is not found.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("unimple", "mented!")];
    for (path, text) in rust_files("src").into_iter().chain(rust_files("tests")) {
        for (number, line) in text.lines().enumerate() {
            let mark = marks.iter().find(|mark| line.contains(**mark));
            assert!(mark.is_none(), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

fn a_door_is_counted(_: &Scene) {
    let listing = "  401000:\tmov    $0x1,%eax\n  401005:\tsyscall\n  401007:\tcall   401010 <syscall>\n  401009:\tint    $0x80\n";
    assert_eq!(doors(listing, &|_| false), 2);
    assert_eq!(doors("  210120:      \tsvc\t#0\n  210124:\tsvc\t#0x0\n  210128:\tret\n", &|at| at == 0x21_0124), 1);
}

fn what_floors_take_adds_up(_: &Scene) {
    let packs = "hot 100 vial::sys::call  \nhot 50 .rodata.str1.1   \nlook 200 vial::cli::ps  look\n3 hatches\nlook 200 bytes, packed 80\n";
    assert_eq!(
        budget(packs, 260),
        "     100 sys\n      80 cli\n      50 what all share\n      30 headers and tables\n"
    );
}

fn dynamic_linking_is_seen(_: &Scene) {
    let tests = fs::read(env::current_exe().expect("this program has a path")).expect("read this program");
    assert!(!is_static(&tests), "the tests themselves are linked dynamically");
}
