//! All fuzz targets in one program; `VIAL_FUZZ` names the one to run, and `all` has them listed with their longest inputs.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

use std::sync::OnceLock;
use std::{env, fs, path::Path, process};

static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let wanted = env::var("VIAL_FUZZ").unwrap_or_default();
        let Some(target) = targets::TARGETS.iter().find(|target| target.name == wanted) else {
            // `campaign` asks for them, and whoever has mistyped one.
            targets::TARGETS.iter().for_each(|target| println!("{} {}", target.name, target.longest));
            process::exit(i32::from(wanted != "all"));
        };
        // Buffers of decoders come from the heap, which stays; windows do not, which would have to be filled with zeros.
        for (option, bytes) in [(libc::M_MMAP_THRESHOLD, 200 << 10), (libc::M_TRIM_THRESHOLD, 64 << 20)] {
            // SAFETY: it sets a number, and nobody else is running yet.
            assert_eq!(unsafe { libc::mallopt(option, bytes) }, 1, "mallopt takes it");
        }
        // The corpus begins with what a script would otherwise have to make.
        let corpus = Path::new("target/corpus").join(target.name);
        fs::create_dir_all(&corpus).expect("make the directory of the corpus");
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).expect("write a seed");
        }
        CHECK.set(target.check).expect("this runs once");
    },
    |bytes: &[u8]| CHECK.get().expect("set at the start")(bytes)
);
