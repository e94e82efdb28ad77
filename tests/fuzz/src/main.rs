//! All fuzz targets in one program; `VIAL_FUZZ` names the one to run.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

use std::sync::OnceLock;
use std::{env, fs, path::Path};

static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let wanted = env::var("VIAL_FUZZ").unwrap_or_default();
        let names = targets::TARGETS.map(|target| target.name).join(" ");
        let found = targets::TARGETS.iter().find(|target| target.name == wanted);
        let target = found.unwrap_or_else(|| panic!("VIAL_FUZZ must be one of: {names}"));
        // The corpus begins with what a script would otherwise have to make.
        let corpus = Path::new("corpus").join(target.name);
        fs::create_dir_all(&corpus).expect("make the directory of the corpus");
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), seed).expect("write a seed");
        }
        CHECK.set(target.check).expect("this runs once");
    },
    |bytes: &[u8]| CHECK.get().expect("set at the start")(bytes)
);
