//! Links the binary without a C library, a start file or a dynamic loader.
//!
//! The `libc` crate makes cargo pass `-lc` and friends. The binary uses that crate for kernel types and constants only, so
//! empty archives take the libraries' place: a symbol that is missing then fails the link. Without them it would silently
//! bind to the host's shared libc and crash at run time.

use std::{env, fs, path::Path};

/// The libraries that the `libc` crate and the musl targets name on the linker's command line.
const EMPTY: &[&str] = &["c", "m", "rt", "pthread", "util", "dl", "gcc", "gcc_s", "gcc_eh", "unwind"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let archives = Path::new(&out).join("empty");
    fs::create_dir_all(&archives).expect("create the directory for the empty archives");
    for name in EMPTY {
        fs::write(archives.join(format!("lib{name}.a")), "!<arch>\n").expect("write an empty archive");
    }
    let archives = archives.display().to_string();
    for argument in ["-nostdlib", "-static", "-no-pie", "--entry=vial_start", &format!("-L{archives}")] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
