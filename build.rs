//! Links the binary without a C library, a start file or a dynamic loader.
//!
//! The `libc` crate makes cargo pass `-lc` and friends. The binary uses that crate for kernel types and constants only, so
//! empty archives take the libraries' place: a symbol that is missing then fails the link. Without them it would silently
//! bind to the host's shared libc and crash at run time.
//!
//! Nothing unwinds and nobody debugs the stripped binary, so a linker script drops the tables for unwinding, which the
//! precompiled core library brings along.
//!
//! What most commands never execute is packed when a release is linked (`src/rt/cold_link.rs`).
//!
//! It also packs the phrases that the sources hold (`base::phrase`), and makes tables of the default seccomp profile.

use std::{env, fmt::Write, fs, path::Path, process::ExitCode};

#[path = "src/rt/cold_link.rs"]
mod cold_link;
#[path = "src/base/phrase/find.rs"]
mod find;
#[path = "src/base/phrase/pack.rs"]
mod pack;
#[path = "src/kernel/security/seccomp/compile.rs"]
mod seccomp;

/// The libraries that the `libc` crate and the musl targets name on the linker's command line.
const EMPTY: &[&str] = &["c", "m", "rt", "pthread", "util", "dl", "gcc", "gcc_s", "gcc_eh", "unwind"];

/// Sections that a static binary without unwinding has no use for. `INSERT` makes this an addition to the linker's own script.
/// The start files that the musl target links (and nothing calls) refer to their own, which therefore stay.
const SCRIPT: &str = "SECTIONS
{
  /DISCARD/ : { *(EXCLUDE_FILE(*crt*.o) .eh_frame) *(.eh_frame_hdr) *(.gcc_except_table*) *(.comment) *(.note.*) }
  /DISCARD/ : { *(.ARM.exidx* .ARM.extab*) }
}
INSERT AFTER .text;
";

fn main() -> ExitCode {
    // A copy of this program stands between the compiler and the linker, see .cargo/rustc.
    if let Ok(linker) = env::var(cold_link::LINKER) {
        return cold_link::link(&linker);
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=.cargo");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let archives = Path::new(&out).join("empty");
    fs::create_dir_all(&archives).expect("create the directory for the empty archives");
    for name in EMPTY {
        fs::write(archives.join(format!("lib{name}.a")), "!<arch>\n").expect("write an empty archive");
    }
    let script = Path::new(&out).join("discard.ld");
    let mut text = SCRIPT.to_owned();
    if env::var("PROFILE").as_deref() != Ok("release") {
        text.push_str("cold_begin = 0;\ncold_end = 0;\n");
    }
    fs::write(&script, text).expect("write the linker script");
    let (archives, script) = (format!("-L{}", archives.display()), format!("-T{}", script.display()));
    // These mean the same to gcc and to a bare linker.
    for argument in
        ["-nostdlib", "-static", "-no-pie", "--entry=vial_start", &archives, &script, "-z", "noseparate-code"]
    {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let prefix = if linker.contains("lld") { "" } else { "-Wl," };
    for argument in ["--no-eh-frame-hdr", "--build-id=none"] {
        println!("cargo:rustc-link-arg-bins={prefix}{argument}");
    }
    fs::write(Path::new(&out).join("phrases.rs"), phrases()).expect("write the packed phrases");
    let processor = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets the processor for build scripts");
    let names = fs::read_to_string("src/kernel/security/caps.rs").expect("read the names of capabilities");
    let tables = seccomp::tables(&processor, &names);
    fs::write(Path::new(&out).join("seccomp.rs"), tables).expect("write the tables of the default profile");
    let own = env::current_exe().expect("this program has a path");
    fs::copy(own, Path::new(&out).join("link")).expect("copy this program");
    ExitCode::SUCCESS
}

/// The source of the tables that `base::phrase` includes.
fn phrases() -> String {
    let mut texts = Vec::new();
    let mut todo = vec![Path::new("src").to_owned()];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                fs::read_dir(path).expect("list the sources").map(|entry| entry.expect("list the sources").path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            find::phrases(&fs::read_to_string(path).expect("read a source"), &mut texts);
        }
    }
    texts.sort();
    texts.dedup();
    texts.retain(|text| !text.is_empty());
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let packed = pack::pack(&texts);
    let (symbols, text, lengths, width) = (packed.symbols, packed.text, packed.lengths, packed.width);
    assert!(lengths.len() < 25 && width <= 12, "codes of {} bits, halves of {width}", lengths.len());
    let mut source = format!(
        "/// What each symbol stands for: two numbers of so many bits, either two symbols or all ones and a byte.\n\
         pub(super) static SYMBOLS: [u8; {}] = {symbols:?};\n\
         /// The bits of each half of a symbol.\n\
         pub(super) const WIDTH: usize = {width};\n\
         /// The codes of all phrases.\n\
         pub(super) static TEXT: [u8; {}] = {text:?};\n\
         /// How many symbols have a code of one bit, of two, and so on.\n\
         pub(super) static LENGTHS: [u16; {}] = {lengths:?};\n\
         /// All phrases in order, and where they are: the start and the length in bits.\n\
         pub(super) const ALL: &[(&str, u32, u32)] = &[\n",
        symbols.len(),
        text.len(),
        lengths.len()
    );
    for (text, (start, length)) in texts.iter().zip(packed.places) {
        assert!(start < 1 << 19 && length < 1 << 13, "too long for a number of 32 bits: {text:?}");
        let _ = writeln!(source, "    ({text:?}, {start}, {length}),");
    }
    source + "];\n"
}
