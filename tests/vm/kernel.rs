//! A kernel out of a package that was unpacked without being installed, and its modules.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The kernel that `tests/run` fetches, below Cargo's target directory.
const PACKAGE: &str = "kernels/linux-image-cloud-amd64";

/// The kernel's unpacked package, if it is there.
pub fn kernel() -> Option<Kernel> {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join(PACKAGE);
    let image = fs::read_dir(package.join("boot")).ok()?.flatten().map(|entry| entry.path());
    let image = image.into_iter().find(|path| name(path).starts_with("vmlinuz-"))?;
    Some(Kernel { image, package })
}

/// A kernel that can be booted.
pub struct Kernel {
    /// The file that is booted.
    pub image: PathBuf,
    package: PathBuf,
}

impl Kernel {
    /// The modules of these names as the kernel loads them, each after those that it depends on. What is no module is taken to
    /// be built in.
    pub fn modules(&self, names: &[String]) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        list(&self.package.join("lib/modules"), &mut files);
        let (mut loaded, mut order) = (Vec::new(), Vec::new());
        for name in names {
            load(name, &files, &mut loaded, &mut order);
        }
        order
    }
}

fn load(wanted: &str, files: &[PathBuf], loaded: &mut Vec<String>, order: &mut Vec<Vec<u8>>) {
    let plain = wanted.replace('-', "_");
    let is_it = |path: &&PathBuf| name(path).split('.').next().is_some_and(|stem| stem.replace('-', "_") == plain);
    let Some(file) = files.iter().find(is_it).filter(|_| !loaded.contains(&plain)) else { return };
    loaded.push(plain);
    let module = read(file);
    for needed in depends(&module).split(',').filter(|name| !name.is_empty()) {
        load(needed, files, loaded, order);
    }
    order.push(module);
}

/// A module's content; later releases of Debian compress them.
fn read(file: &Path) -> Vec<u8> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        return Command::new("xz").arg("-dc").arg(file).output().expect("run xz").stdout;
    }
    fs::read(file).expect("read a module")
}

/// What a module says that it depends on, in its section `.modinfo`: text that ends in a NUL.
fn depends(module: &[u8]) -> String {
    const KEY: &[u8] = b"\0depends=";
    let at = module.windows(KEY.len()).position(|window| window == KEY).map_or(module.len(), |at| at + KEY.len());
    let text = module[at..].split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            list(&path, files);
        } else if name(&path).contains(".ko") {
            files.push(path);
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
