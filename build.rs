//! Links the binary without a C library, a start file or a dynamic loader.
//!
//! The `libc` crate makes cargo pass `-lc` and friends. The binary uses that crate for kernel types and constants only, so
//! empty archives take the libraries' place: a symbol that is missing then fails the link. Without them it would silently
//! bind to the host's shared libc and crash at run time.
//!
//! Nothing unwinds and nobody debugs the stripped binary, so a linker script drops the tables for unwinding, which the
//! precompiled core library brings along.

use std::{env, fs, path::Path};

/// The libraries that the `libc` crate and the musl targets name on the linker's command line.
const EMPTY: &[&str] = &["c", "m", "rt", "pthread", "util", "dl", "gcc", "gcc_s", "gcc_eh", "unwind"];

/// Sections that a static binary without unwinding has no use for. `INSERT` makes this an addition to the linker's own script.
/// The start files that the musl target links (and nothing calls) refer to their own, which therefore stay.
const SCRIPT: &str = "SECTIONS
{
  /DISCARD/ : { *(EXCLUDE_FILE(*crt*.o) .eh_frame) *(.eh_frame_hdr) *(.gcc_except_table*) *(.comment) *(.note.*) }
}
INSERT AFTER .text;
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let archives = Path::new(&out).join("empty");
    fs::create_dir_all(&archives).expect("create the directory for the empty archives");
    for name in EMPTY {
        fs::write(archives.join(format!("lib{name}.a")), "!<arch>\n").expect("write an empty archive");
    }
    let script = Path::new(&out).join("discard.ld");
    fs::write(&script, SCRIPT).expect("write the linker script");
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
}
