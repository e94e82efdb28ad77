//! Kernels out of packages that were unpacked without being installed, and their modules.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A machine that is emulated.
pub struct Board {
    /// The emulator, and what it is to emulate.
    pub emulator: &'static str,
    pub options: &'static [&'static str],
    /// What the kernel calls the serial line.
    pub console: &'static str,
}

/// A PC.
pub const PC: Board = Board { emulator: "qemu-system-x86_64", options: &["-cpu", "max"], console: "ttyS0" };
/// A board with an Arm processor of 64 bits, and one of 32.
pub const ARM64: Board =
    Board { emulator: "qemu-system-aarch64", options: &["-machine", "virt", "-cpu", "cortex-a72"], console: "ttyAMA0" };
pub const ARM32: Board =
    Board { emulator: "qemu-system-arm", options: &["-machine", "virt", "-cpu", "cortex-a15"], console: "ttyAMA0" };

/// And one with a RISC-V processor.
pub const RISCV: Board = Board { emulator: "qemu-system-riscv64", options: &["-machine", "virt"], console: "ttyS0" };

/// Where `tests/run` unpacks a package: by release and architecture, and name.
pub fn package(of: &str, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("cargo's directory for tests has a parent");
    target.join("kernels").join(of).join(name)
}

/// The kernel that most machines boot, if it is there.
pub fn kernel() -> Option<Kernel> {
    kernel_of("bookworm-amd64", "linux-image-cloud-amd64", PC)
}

/// A kernel of a package, if it is there.
pub fn kernel_of(of: &str, name: &str, board: Board) -> Option<Kernel> {
    let package = package(of, name);
    let image = fs::read_dir(package.join("boot")).ok()?.flatten().map(|entry| entry.path());
    let image = image.into_iter().find(|path| PREFIXES.iter().any(|prefix| self::name(path).starts_with(prefix)))?;
    Some(Kernel { image, board, package })
}

/// What the names of kernels begin with: of those that are compressed, and of others.
const PREFIXES: [&str; 2] = ["vmlinuz-", "vmlinux-"];

/// A kernel that can be booted.
pub struct Kernel {
    /// The file that is booted.
    pub image: PathBuf,
    /// What it runs on.
    pub board: Board,
    package: PathBuf,
}

impl Kernel {
    /// Its version, as in `6.1`.
    pub fn version(&self) -> String {
        let name = name(&self.image);
        let version = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or_default();
        version.split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
    }

    /// Where its modules are.
    fn tree(&self) -> PathBuf {
        let places = ["lib/modules", "usr/lib/modules"].map(|place| self.package.join(place));
        places.into_iter().find(|place| place.exists()).unwrap_or_default()
    }

    /// Its modules as they lie below `/lib/modules`, those of these names and all that they need: a name and a content each, with the
    /// table of what needs what.
    pub fn library(&self, names: &[&str]) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        list(&self.tree(), &mut files);
        let release = fs::read_dir(self.tree()).expect("list releases").flatten().next();
        let release = release.expect("there is a release").file_name().to_string_lossy().into_owned();
        let (mut library, mut table): (Vec<(String, Vec<u8>)>, String) = (Vec::new(), String::new());
        for wanted in names {
            let mut needed = Vec::new();
            collect(wanted, &files, &mut needed);
            // Those that others need come first; the table has them behind the module, the nearest first.
            let files: Vec<String> = needed.iter().rev().map(|(name, _)| format!("{name}.ko")).collect();
            if let Some((own, others)) = files.split_first() {
                table = format!("{table}{own}: {}\n", others.join(" "));
            }
            for (name, content) in needed {
                let file = format!("{name}.ko");
                if !library.iter().any(|(known, _)| *known == file) {
                    library.push((file, content));
                }
            }
        }
        library.push(("modules.dep".to_owned(), table.into_bytes()));
        for (name, _) in &mut library {
            *name = format!("lib/modules/{release}/{name}");
        }
        library
    }

    /// The modules of these names as the kernel loads them, each after those that it depends on. What is no module is taken to
    /// be built in.
    pub fn modules(&self, names: &[String]) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        list(&self.tree(), &mut files);
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

/// A module with those that it needs before it: their names and contents. What is no module is built in.
fn collect(wanted: &str, files: &[PathBuf], found: &mut Vec<(String, Vec<u8>)>) {
    let plain = wanted.replace('-', "_");
    let is_it = |path: &&PathBuf| name(path).split('.').next().is_some_and(|stem| stem.replace('-', "_") == plain);
    let Some(file) = files.iter().find(is_it).filter(|_| !found.iter().any(|(known, _)| *known == plain)) else {
        return;
    };
    let module = read(file);
    for needed in depends(&module).split(',').filter(|name| !name.is_empty()) {
        collect(needed, files, found);
    }
    found.push((plain, module));
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
